"""A release's items in the format of each evaluation tool and trainer, with one prompt and one parser."""

import csv
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import jinja2

from pipeline.releases import letter, prompt, replytext
from pipeline.releases.copies import copied_code, copied_imports
from pipeline.releases.layout import LETTERS, QuestionRow, Shards
from pipeline.releases.reading import Released

_TEMPLATES = Path(__file__).with_name("templates")
_COPIED = (prompt, replytext, letter)
"""The modules that every adapter contains a copy of."""


def write_adapters(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write `mcq/`, `adapters/` and `eval.yaml` into a release that already has `data/`."""
    splits = [split for split, count in manifest["multiple_choice_items"].items() if count]
    if not splits:
        return
    slug = re.sub(r"\W+", "_", f"{manifest['dataset']}".lower()).strip("_") or "egost"
    if slug[0].isdigit():
        slug = f"egost_{slug}"
    scored = "test" if "test" in splits else splits[0]
    values: dict[str, Any] = {
        "manifest": manifest,
        "slug": slug,
        "module": slug,
        "name": "".join(word.capitalize() for word in slug.split("_")),
        "splits": splits,
        "scored": scored,
        "imports": copied_imports(_COPIED),
        "copied": copied_code(_COPIED),
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
        path.write_text(environment.get_template(template).render(values), encoding="utf-8")
    _write_rows(folder, manifest, splits, f"vlmevalkit/{slug}.tsv", scored)


def _write_rows(
    folder: Path, manifest: Mapping[str, Any], splits: Sequence[str], table: str, scored: str
) -> None:
    """Write the multiple-choice rows in every format, reading them once.

    These are Parquet without open items, since most tools can't handle both; the JSON of the first
    Ego-ST release; and a TSV table of the split `scored`.
    """
    metadata = {name: str(manifest[name]) for name in ("dataset", "version", "canary")}
    adapters = folder / "adapters"
    with ExitStack() as stack:
        shards = {split: Shards(folder / "mcq", split, QuestionRow, metadata) for split in splits}
        first = {
            split: stack.enter_context(_first_form(adapters / "ego_st" / f"{split}.json"))
            for split in splits
        }
        add_to_table = stack.enter_context(_table(adapters / table))
        for split, row in Released(folder, dict(manifest)).questions():
            if row.format != "mcq":
                continue
            shards[split].add(row)
            first[split](row)
            if split == scored:
                add_to_table(row)
    for one in shards.values():
        one.close()


@contextmanager
def _table(path: Path) -> Iterator[Callable[[QuestionRow], None]]:
    """Write items as VLMEvalKit's TSV; yields a function that adds one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    names = [
        "index",
        "video",
        "question",
        "candidates",
        "answer",
        "question_type",
        "frames",
        "frame_seconds",
        "id",
    ]
    number = count()
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(names)

        def add(row: QuestionRow) -> None:
            options = json.dumps(row.options, ensure_ascii=False)
            item = (row.video, row.question, options, row.answer, row.question_type)
            frames = (json.dumps(row.frames), json.dumps(row.frame_seconds))
            writer.writerow((next(number), *item, *frames, row.id))

        yield add


@contextmanager
def _first_form(path: Path) -> Iterator[Callable[[QuestionRow], None]]:
    """Write items as in the first Ego-ST release: options inside the question, letters as answers.

    Yields a function that adds one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    number = count()
    with path.open("w", encoding="utf-8") as file:

        def add(row: QuestionRow) -> None:
            lettered = zip(LETTERS, row.options, strict=False)
            options = " ".join(f"{name}. {text}" for name, text in lettered)
            item = {
                "question_id": row.id,
                "video": row.video,
                "video_start": row.start,
                "video_end": row.end,
                "question_type": row.question_type,
                "question": f"{row.question} {options}",
                "answer": row.answer,
            }
            file.write(",\n " if next(number) else "\n ")
            file.write(json.dumps(item, ensure_ascii=False))

        file.write("[")
        yield add
        file.write("\n]\n")
