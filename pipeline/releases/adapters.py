"""The same items in the form that each evaluation tool and trainer reads, with one prompt and one parser."""

import csv
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import jinja2

from pipeline.releases.layout import Question, Shards
from pipeline.releases.reading import Released

_TEMPLATES = Path(__file__).with_name("templates")


def write_adapters(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write `mcq/`, `adapters/` and `eval.yaml` into a release whose `data/` is there."""
    released = Released(folder, dict(manifest))
    splits = _choices_alone(folder, released, manifest)
    if not splits:
        return
    slug = re.sub(r"\W+", "_", f"{manifest['dataset']}".lower()).strip("_") or "egost"
    if slug[0].isdigit():
        slug = f"egost_{slug}"
    scored = "test" if "test" in splits else splits[0]
    named: dict[str, Any] = {
        "manifest": manifest,
        "slug": slug,
        "module": slug,
        "name": "".join(word.capitalize() for word in slug.split("_")),
        "splits": splits,
        "scored": scored,
    }
    files = {
        "eval.yaml": "eval.yaml.j2",
        "adapters/README.md": "README.md.j2",
        f"adapters/lmms_eval/{slug}.yaml": "lmms_eval.yaml.j2",
        "adapters/lmms_eval/utils.py": "lmms_eval_utils.py.j2",
        f"adapters/vlmevalkit/{slug}.py": "vlmevalkit.py.j2",
        "adapters/inspect_task.py": "inspect_task.py.j2",
        "adapters/trl_rows.py": "trl_rows.py.j2",
    }
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    for name, template in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(environment.get_template(template).render(named), encoding="utf-8")
    _write_tsv(folder / "adapters" / "vlmevalkit" / f"{slug}.tsv", released, scored)
    for split in splits:
        write_first_form(
            folder / "adapters" / "ego_st" / f"{split}.json", _choices(released, split)
        )


def _choices_alone(folder: Path, released: Released, manifest: Mapping[str, Any]) -> list[str]:
    """Write the multiple-choice rows once more, alone: most tools can't tell two formats apart."""
    metadata = {name: str(manifest[name]) for name in ("dataset", "version", "canary")}
    shards: dict[str, Shards] = {}
    for split, row in released.questions():
        if row.format == "mcq":
            if split not in shards:
                shards[split] = Shards(folder / "mcq", split, Question, metadata)
            shards[split].add(row)
    for one in shards.values():
        one.close()
    return list(shards)


def _choices(released: Released, split: str) -> Iterator[Question]:
    return (row for found, row in released.questions() if found == split and row.format == "mcq")


def _write_tsv(path: Path, released: Released, split: str) -> None:
    columns = (
        "index",
        "video",
        "question",
        "candidates",
        "answer",
        "question_type",
        "frames",
        "id",
    )
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(columns)
        for number, row in enumerate(_choices(released, split)):
            writer.writerow(
                [
                    number,
                    row.video,
                    row.question,
                    json.dumps(row.options, ensure_ascii=False),
                    row.answer,
                    row.question_type,
                    json.dumps(row.frames),
                    row.id,
                ]
            )


def write_first_form(path: Path, rows: Iterator[Question]) -> None:
    """Write items as the first Ego-ST release has them: options inside the question, letter answers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        file = stack.enter_context(path.open("w", encoding="utf-8"))
        file.write("[")
        for number, row in enumerate(rows):
            options = " ".join(
                f"{name}. {text}" for name, text in zip("ABCD", row.options, strict=True)
            )
            item = {
                "question_id": row.id,
                "video": row.video,
                "video_start": row.start,
                "video_end": row.end,
                "question_type": row.question_type,
                "question": f"{row.question} {options}",
                "answer": row.answer,
            }
            file.write(",\n " if number else "\n ")
            file.write(json.dumps(item, ensure_ascii=False))
        file.write("\n]\n")
