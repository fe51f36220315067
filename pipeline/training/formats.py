"""The rows in the format of each trainer, written from the canonical rows into their folder.

trl/            sft_think, sft_nothink, grpo, grpo_words (.jsonl): content in typed parts, absolute paths of images
swift/          the same files for ms-swift: `<image>` in the text, absolute paths
llamafactory/   sft_think, sft_nothink (.json) and dataset_info.json: paths relative to this folder (`media_dir`)
easyr1/         grpo, grpo_words (.jsonl): paths relative to the folder of rows (`image_dir`)
verl/           all four (.parquet): absolute paths
egost_rewards.py

`grpo` has the items that are answered with a letter, `grpo_words` those answered in words. A file without rows isn't written.
Trainers that read absolute paths don't find them after the folder was moved: `write_again`.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.engine.folder import replacing
from pipeline.errors import UserError
from pipeline.evaluate.prompting import Prompt, load, load_open
from pipeline.evaluate.results import unpacked
from pipeline.training.onefile import write_rewards
from pipeline.training.rows import TrainingRow
from pipeline.training.solution import solution_text
from pipeline.training.thinking import completion

ROWS_FILE = "rows.parquet"
IMAGE = "<image>"
# What loaders, chat templates and rewards take for more than text.
MARKS = re.compile(
    r"<\s{0,9}/?\s{0,9}(?:image|img|video|audio|bbox|ref-object|cot-process|start-image|think\w*|(?:final[_ ]?)?answer)"
    r"\b[^<>\n]{0,40}>|<\|[^<>|\n]{1,40}\|>",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Written:
    """The files that were written, and why rows are in none of them, by row."""

    files: Sequence[Path]
    refused: Mapping[str, str]


@dataclass(frozen=True)
class Prepared:
    """A row with what a model is asked and replies: texts and images in turn, where None is the next image."""

    row: TrainingRow
    parts: Sequence[str | None]

    @property
    def marked(self) -> str:
        """The prompt as one text with a placeholder for each image."""
        return "".join(IMAGE if part is None else part for part in self.parts)

    @cached_property
    def solution(self) -> str:
        """What rewards need, as text."""
        return solution_text(self.row)

    @property
    def plain(self) -> str:
        """The reply without thinking."""
        return completion(self.row.model_copy(update={"think": None}))

    @property
    def reply(self) -> str | None:
        """The reply with thinking; None if the row has none."""
        return completion(self.row) if self.row.think else None

    def files(self, above: str) -> list[str]:
        """Return the paths of the images, as seen from a folder from which `above` is that of the rows."""
        return [f"{above}/{name}" if above else name for name in self.row.frames]


def write(rows: Iterable[TrainingRow], folder: Path, names: Sequence[str] = ()) -> Written:
    """Write rows for these trainers (default: all) and the file of rewards; what other runs wrote for them is replaced.

    Rows that loaders would misread are refused: see `refusal`. Raise UserError for an unknown trainer.
    """
    for name in names:
        if name not in NAMES:
            raise UserError(
                "formats", f"there is no format {name!r}", f"choose from {', '.join(NAMES)}"
            )
    asked, refused = [], {}
    prompts = load("ours"), load_open("ours")
    for row in rows:
        if why := refusal(row):
            refused[row.id] = why
        else:
            asked.append(_prepared(row, prompts[row.format == "open"]))
    files: list[Path] = []
    for name in names or NAMES:
        now = list(_FORMATS[name](asked, folder.resolve()))
        for stale in {*row_files(folder.resolve() / name)} - {*now}:
            stale.unlink(missing_ok=True)
        files += now
    return Written([*files, write_rewards(folder)], refused)


def write_again(folder: Path) -> Written:
    """Write all formats again from a folder's canonical rows; raise UserError if it has none or they are damaged."""
    if not (folder / ROWS_FILE).is_file():
        raise UserError(
            str(folder), f"has no {ROWS_FILE}", "name a folder that egost train rows made"
        )
    try:
        rows = list(unpacked(folder / ROWS_FILE, TrainingRow))
    except (ValueError, pa.ArrowException) as error:
        what = f"can't be read: {str(error).splitlines()[0]}"
        raise UserError(str(folder / ROWS_FILE), what, "egost train rows makes it again") from error
    return write(rows, folder)


def row_files(of_format: Path) -> list[Path]:
    """Return the files with rows in the folder of a format; others are a user's own, such as the settings of a trainer."""
    names = (f"{name}{ending}" for name in (*_SFT, *_GRPO) for ending in _ENDINGS)
    return sorted(path for name in names if (path := of_format / name).is_file())


def moved(folder: Path) -> bool:
    """Return whether absolute paths in a folder's formats don't lead into it: it was moved or copied."""
    here = f"{folder.resolve()}/"
    try:
        for path in row_files(folder / "swift"):
            with path.open("rb") as file:
                if not all(one.startswith(here) for one in json.loads(next(file))["images"]):
                    return True
    except (ValueError, KeyError, StopIteration):
        return True
    return False


def refusal(row: TrainingRow) -> str | None:
    """Return why loaders would misread a row; None if they don't."""
    if not row.frames:
        return "has no frames"
    if len(row.frames) != len(row.frame_seconds):
        return f"has {len(row.frames)} frames and {len(row.frame_seconds)} times"
    for text in (row.question, *row.options, row.answer_text, row.think or ""):
        if mark := MARKS.search(text):
            return f"has {mark[0]!r} in its text, which loaders or rewards take for more than text"
    return None


def _prepared(row: TrainingRow, prompt: Prompt) -> Prepared:
    parts: list[str | None] = []
    for number, seconds in enumerate(row.frame_seconds, start=1):
        parts += [prompt.label(number, seconds), None]
    return Prepared(row, [*parts, prompt.text(row.question, row.options, "frames")])


# ---- one function per trainer --------------------------------------------------------------------


def _trl(rows: Sequence[Prepared], folder: Path) -> Iterator[Path]:
    def text(said: str) -> dict[str, str]:
        return {"type": "text", "text": said}

    def line(one: Prepared, reply: str | None) -> dict[str, Any]:
        asked = [
            {"type": "image", "text": None} if part is None else text(part) for part in one.parts
        ]
        replied = {"completion": [{"role": "assistant", "content": [text(reply)]}]} if reply else {}
        return {
            "id": one.row.id,
            "prompt": [{"role": "user", "content": asked}],
            **replied,
            "images": one.files(str(folder)),
            "solution": one.solution,
            "weight": one.row.weight,
        }

    for name, lines in _files(rows, line):
        yield _json_lines(folder / "trl" / f"{name}.jsonl", lines)


def _swift(rows: Sequence[Prepared], folder: Path) -> Iterator[Path]:
    def line(one: Prepared, reply: str | None) -> dict[str, Any]:
        return {
            "id": one.row.id,
            "messages": _messages(one, reply),
            "images": one.files(str(folder)),
            "solution": one.solution,
            "weight": one.row.weight,
        }

    for name, lines in _files(rows, line):
        yield _json_lines(folder / "swift" / f"{name}.jsonl", lines)


def _llamafactory(rows: Sequence[Prepared], folder: Path) -> Iterator[Path]:
    def line(one: Prepared, reply: str | None) -> dict[str, Any]:
        return {"messages": _messages(one, reply), "images": one.files("..")}

    info = {}
    for name, lines in _files(rows, line, _SFT):
        path = folder / "llamafactory" / f"{name}.json"
        with replacing(path) as file:
            for number, row in enumerate(lines):
                file.write(b",\n" if number else b"[\n")
                file.write(_json(row))
            file.write(b"\n]\n")
        info[f"egost_{name}"] = {
            "file_name": path.name,
            "formatting": "sharegpt",
            "columns": {"messages": "messages", "images": "images"},
            "tags": {
                "role_tag": "role",
                "content_tag": "content",
                "user_tag": "user",
                "assistant_tag": "assistant",
            },
        }
        yield path
    if info:
        path = folder / "llamafactory" / "dataset_info.json"
        with replacing(path) as file:
            file.write(json.dumps(info, indent=1).encode() + b"\n")
        yield path


def _easyr1(rows: Sequence[Prepared], folder: Path) -> Iterator[Path]:
    def line(one: Prepared, reply: str | None) -> dict[str, Any]:
        return {"problem": one.marked, "answer": one.solution, "images": one.files("")}

    for name, lines in _files(rows, line, _GRPO):
        yield _json_lines(folder / "easyr1" / f"{name}.jsonl", lines)


_TURNS = pa.list_(pa.struct({"role": pa.string(), "content": pa.string()}))
_VERL = pa.schema(
    {
        "data_source": pa.string(),
        "prompt": _TURNS,
        "images": pa.list_(pa.struct({"image": pa.string()})),
        "ability": pa.string(),
        "reward_model": pa.struct({"style": pa.string(), "ground_truth": pa.string()}),
        "extra_info": pa.struct({"id": pa.string(), "index": pa.int64(), "weight": pa.float64()}),
    }
)
_ROWS_PER_GROUP = 500  # with 96 images each, 15 MB in memory
_VERL_SFT = pa.schema({"id": pa.string(), "messages": _TURNS, "images": _VERL.field("images").type})


def _verl(rows: Sequence[Prepared], folder: Path) -> Iterator[Path]:
    def line(one: Prepared, reply: str | None) -> dict[str, Any]:
        images = [{"image": path} for path in one.files(str(folder))]
        if reply:
            return {"id": one.row.id, "messages": _messages(one, reply), "images": images}
        return {
            "data_source": "egost",
            "prompt": _messages(one, None),
            "images": images,
            "ability": one.row.question_type,
            "reward_model": {"style": "rule", "ground_truth": one.solution},
            "extra_info": {"id": one.row.id, "weight": one.row.weight},
        }

    for name, lines in _files(rows, line):
        path = folder / "verl" / f"{name}.parquet"
        schema = _VERL_SFT if name in _SFT else _VERL
        with replacing(path) as file, pq.ParquetWriter(file, schema, compression="zstd") as writer:
            numbered = enumerate(lines)
            while some := list(islice(numbered, _ROWS_PER_GROUP)):
                for number, row in some:
                    row.get("extra_info", {})["index"] = number
                found = [row for _, row in some]
                writer.write_table(pa.Table.from_pylist(found, schema))
        yield path


_FORMATS: Mapping[str, Callable[[Sequence[Prepared], Path], Iterator[Path]]] = {
    "trl": _trl,
    "swift": _swift,
    "llamafactory": _llamafactory,
    "easyr1": _easyr1,
    "verl": _verl,
}
NAMES = tuple(_FORMATS)

_SFT = ("sft_think", "sft_nothink")
_GRPO = ("grpo", "grpo_words")
_ENDINGS = (".jsonl", ".json", ".parquet")
_Line = Callable[[Prepared, str | None], dict[str, Any]]


def _files(
    rows: Sequence[Prepared], line: _Line, names: Sequence[str] = (*_SFT, *_GRPO)
) -> Iterator[tuple[str, Iterator[dict[str, Any]]]]:
    """Yield the name of each file that isn't empty, with its lines; a line's reply is None in those for GRPO."""
    for name in names:
        if name == "sft_think":
            some = [one for one in rows if one.reply]
        elif name == "sft_nothink":
            some = list(rows)
        else:
            some = [one for one in rows if (one.row.format == "open") == (name == "grpo_words")]
        if some:
            yield name, (line(one, _reply(one, name)) for one in some)


def _reply(one: Prepared, name: str) -> str | None:
    return {"sft_think": one.reply, "sft_nothink": one.plain}.get(name)


def _messages(one: Prepared, reply: str | None) -> list[dict[str, str]]:
    asked = {"role": "user", "content": one.marked}
    return [asked, {"role": "assistant", "content": reply}] if reply else [asked]


def _json_lines(path: Path, lines: Iterable[Mapping[str, Any]]) -> Path:
    with replacing(path) as file:
        for line in lines:
            file.write(_json(line) + b"\n")
    return path


def _json(line: Mapping[str, Any]) -> bytes:
    return json.dumps(line, ensure_ascii=False).encode()
