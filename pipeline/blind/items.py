"""Reading multiple-choice items for the blind probe: a workspace's own, or anybody's file of questions."""

import ast
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.blind.sheet import ProbeItem
from pipeline.errors import UserError
from pipeline.motion.rows import Clip
from pipeline.questions.rows import Item
from pipeline.sources.rows import Video

if TYPE_CHECKING:
    from pipeline.engine.store import Store

# What other benchmarks call these columns; the first that a row has is taken.
_QUESTION = ("question", "problem", "prompt", "query", "instruction")
_OPTIONS = ("options", "choices", "candidates")
_TEXT = ("text", "content", "value", "option", "answer")  # of an option that is an object
_COLUMN = re.compile(r"(?:(option|choice|opt)[_ ]?)?([A-Ja-j]|\d)", re.IGNORECASE)
_ANSWER = (
    *("answer_index", "correct_index", "label", "answer", "ground_truth", "correct_answer"),
    *("correct_choice", "solution", "gt", "target", "answer_text"),
)
_GROUP = (
    *("group", "split_group", "scene", "scene_name", "scene_id", "video", "video_id", "videoID"),
    *("video_path", "video_name", "path"),
)
_CLIP = ("clip", "clip_id", "video", "video_id", "videoID", "video_path", "video_name", "path")
_TASK = ("task", "question_type", "problem_type", "task_type", "qa_type", "category", "type")
_ID = ("id", "item_id", "question_id", "problem_id", "qid", "uid")
# Never a predictor: these hold the answer, or were written by somebody who knew it.
_HOLDS_ANSWER = re.compile(
    r"answer|ground_truth|solution|correct|label|^gt$|target|process|think|reason|rational|explan|"
    r"fingerprint|^cot$",
    re.IGNORECASE,
)
_MARK = re.compile(r"(?:(?<=\s)|^|(?<=[,;]))\(?([A-Z])[.):]\s*(?=\S)")
_LETTER = re.compile(r"\(?([A-Za-z])\)?(?:[.:)]\s*(.*))?", re.DOTALL)
_TAGGED = re.compile(r"<answer>(.*?)</answer>", re.DOTALL | re.IGNORECASE)
_LEAD = re.compile(r"(?:(?:the\s+)?(?:correct\s+)?answer\s*(?:is|:)\s*)", re.IGNORECASE)
_TAIL = re.compile(r"\s*\b(?:options|choices)\s*:?\s*$", re.IGNORECASE)
_FIX = "each item needs a question, two or more options, and the answer as index (from 0), letter or text"
_PASS_OVER = "; egost import FILE --to OTHER.jsonl tells every such row and writes the rest"


class _RowFaultError(ValueError):
    """What is wrong with one row."""


def read_items(path: Path) -> list[ProbeItem]:
    """Read items from JSONL, JSON, Parquet, or a folder of them (a release: its `data/`).

    Rows without options are open questions and are passed over. Raise UserError with file and line.
    """
    files = _files(path)
    found: list[ProbeItem] = []
    for file in files:
        for where, row in _rows(file):
            try:
                item = _item(
                    row, f"{file.stem}:{len(found)}" if len(files) > 1 else str(len(found))
                )
            except _RowFaultError as fault:
                raise UserError(where, str(fault), _FIX + _PASS_OVER) from fault
            if item:
                found.append(item)
    if not found:
        raise UserError(str(path), "holds no multiple-choice item", _FIX)
    return found


def tolerant(path: Path) -> Iterator[tuple[str, ProbeItem | str | None]]:
    """Yield each row's place with its item, or with what is wrong with it; None is an open question."""
    files = _files(path)
    for file in files:
        for number, (where, row) in enumerate(_rows(file)):
            try:
                yield where, _item(row, f"{file.stem}:{number}" if len(files) > 1 else str(number))
            except _RowFaultError as fault:
                yield where, str(fault)


def from_rows(
    items: Iterable[Item], videos: Iterable[Video], clips: Iterable[Clip] = ()
) -> list[ProbeItem]:
    """Return the multiple-choice items of a workspace, in the order in which they are released.

    Groups are split groups; the columns are those published beside a question.
    """
    video_of = {video.video_id: video for video in videos}
    clip_of = {clip.clip_id: clip for clip in clips}
    found = []
    for item in sorted(items, key=lambda one: one.item_id):
        if item.format != "mcq" or item.answer_index is None or item.status == "set_aside":
            continue
        video, clip = video_of.get(item.video_id), clip_of.get(item.clip_id)
        columns: dict[str, str | int | float] = {"category": item.category, "video": item.video_id}
        if video:
            columns["scene_name"] = video.scene or ""
        if clip:
            columns |= {"start": clip.start_us / 1e6, "end": clip.end_us / 1e6}
            columns["length"] = (clip.end_us - clip.start_us) / 1e6
        found.append(
            ProbeItem(
                id=item.item_id,
                question=item.question,
                options=tuple(item.options),
                answer=item.answer_index,
                group=video.split_group if video else item.video_id,
                clip=item.clip_id,
                task=item.task,
                orientation=item.orientation,
                contrast=item.contrast or "",
                option_kind=item.option_kind or "",
                split=item.split,
                columns=columns,
            )
        )
    return found


def from_released(rows: Iterable[Mapping[str, Any]]) -> list[ProbeItem]:
    """Return the multiple-choice items among rows as they are released, with every column beside them."""
    found = (_item(row, str(number)) for number, row in enumerate(rows))
    return [item for item in found if item]


def blind_report(file: Path | None, store: "Store | None", as_json: bool) -> str:
    """Probe a file of items, or the workspace's own, and return the report as text or JSON.

    A file needs no workspace. Whatever is found, this returns: gates judge.
    """
    from pipeline.blind.probe import run_probe

    if file is not None:
        items = read_items(file)
    elif store is not None:
        items = from_rows(store.rows(Item), store.rows(Video), store.rows(Clip))
        if not items:
            raise UserError(
                str(store.folder.root),
                "has no multiple-choice items",
                "run `egost generate-qa`, or name a file: egost blind FILE",
            )
    else:
        raise UserError("egost blind", "neither a file nor a workspace", "name a file of items")
    report = run_probe(items)
    return json.dumps(report.to_json(), indent=2, ensure_ascii=False) if as_json else str(report)


# ---- files -----------------------------------------------------------------------------------------


def _files(path: Path) -> list[Path]:
    if not path.exists():
        raise UserError(str(path), "no such file or folder", "check the path")
    if path.is_file():
        return [path]
    folder = path / "data" if (path / "data").is_dir() else path
    files = sorted(file for file in folder.iterdir() if file.suffix in _READERS)
    if not files:
        raise UserError(str(folder), "no .jsonl, .json or .parquet in it", "name a file of items")
    return files


def _rows(file: Path) -> Iterator[tuple[str, Any]]:
    """Yield each row's place with what stands there: that it is none is the row's own fault."""
    reader = _READERS.get(file.suffix.lower())
    if reader is None:
        raise UserError(str(file), "not a known kind of file", "use .jsonl, .json or .parquet")
    try:
        yield from reader(file)
    except UnicodeDecodeError as error:
        raise UserError(str(file), f"not UTF-8 text: {error}", "save it as UTF-8") from error


def _read_jsonl(file: Path) -> Iterator[tuple[str, Any]]:
    with file.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                where = f"{file}, line {number}"
                try:
                    row = json.loads(line)
                except json.JSONDecodeError as error:
                    row = _RowFaultError(f"not valid JSON: {error.msg}")
                yield where, row


def _read_json(file: Path) -> Iterator[tuple[str, Any]]:
    try:
        content = json.loads(file.read_text(encoding="utf-8-sig"))
    except json.JSONDecodeError as error:
        raise UserError(
            f"{file}, line {error.lineno}", f"not valid JSON: {error.msg}", "mend it"
        ) from error
    if isinstance(content, dict):
        lists = [value for value in content.values() if isinstance(value, list)]
        content = lists[0] if len(lists) == 1 else None
    if not isinstance(content, list):
        raise UserError(str(file), "not a list of items", "give a list, or one item per line")
    for number, row in enumerate(content, start=1):
        yield f"{file}, item {number}", row


def _read_parquet(file: Path) -> Iterator[tuple[str, Any]]:
    try:
        rows = pq.read_table(file).to_pylist()
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(str(file), f"not readable as Parquet: {error}", "write it again") from error
    for number, row in enumerate(rows, start=1):
        yield f"{file}, row {number}", row


_READERS = {".jsonl": _read_jsonl, ".json": _read_json, ".parquet": _read_parquet}


# ---- one row ---------------------------------------------------------------------------------------


def _item(row: Any, number: str) -> ProbeItem | None:
    if isinstance(row, _RowFaultError):
        raise row
    if not isinstance(row, Mapping):
        raise _RowFaultError("not an object with named fields")
    question = _first(row, _QUESTION)
    if not isinstance(question, str) or not question.strip():
        raise _RowFaultError(f"no question (looked for {', '.join(_QUESTION)})")
    options = _options(_first(row, _OPTIONS))
    spread = {} if options else _spread(row)
    options = options or list(spread.values())
    if not options:
        question, options = _inside(question)
    if not options:
        if row.get("options") is not None or row.get("format") == "open":
            return None
        raise _RowFaultError("no options, neither in a column nor in the question (A. ... B. ...)")
    if len(options) < 2:
        raise _RowFaultError("a single option")
    answer = _answer(row, options)
    clip = _first(row, _CLIP)
    start = row.get("start")
    group = _first(row, _GROUP)
    used = {*_QUESTION, *_OPTIONS, *_ID, *spread, "format"}
    return ProbeItem(
        id=str(_or(_first(row, _ID), number)),
        question=question,
        options=tuple(options),
        answer=answer,
        group=str(_or(group, f"row {number}")),
        clip=str(_or(clip, f"row {number}")) + (f"@{start}" if start is not None else ""),
        task=str(_or(_first(row, _TASK), "")),
        orientation=str(_or(row.get("orientation"), "")),
        contrast=str(_or(row.get("contrast"), "")),
        option_kind=str(_or(row.get("option_kind"), "")),
        split=str(_or(row.get("split"), "")),
        columns={
            name: value
            for name, value in row.items()
            if name not in used
            and not _HOLDS_ANSWER.search(name)
            and isinstance(value, str | int | float)
        },
    )


def _first(row: Mapping[str, Any], names: Iterable[str]) -> Any:
    return next((row[name] for name in names if row.get(name) not in (None, "")), None)


def _or(value: Any, other: str) -> Any:
    return other if value is None else value


def _spread(row: Mapping[str, Any]) -> dict[str, str]:
    """Return options that have a column each, such as A, B, C, D or option_1, option_2."""
    found: dict[str, list[tuple[str, str, str]]] = {}
    for name, value in row.items():
        column = _COLUMN.fullmatch(name)
        if column and isinstance(value, str | int | float) and str(value).strip():
            lead, last = column.groups()
            found.setdefault(lead or "", []).append((last.casefold(), name, str(value).strip()))
    most = max(map(len, found.values()), default=0)
    best = next((sorted(columns) for columns in found.values() if len(columns) == most), [])
    # From A, 0 or 1 on without a gap: else they are other columns that happen to be called so.
    follow = [last for last, _, _ in best]
    ways = (
        [chr(97 + n) for n in range(len(best))],
        *([str(n + k) for n in range(len(best))] for k in (0, 1)),
    )
    return {name: text for _, name, text in best} if len(best) > 1 and follow in ways else {}


def _options(found: Any) -> list[str]:
    if isinstance(found, str):
        found = _nested(found)
    if isinstance(found, dict):
        found = [found[key] for key in sorted(found) if found[key] is not None]
    if isinstance(found, str):
        return _inside(found)[1] or [line.strip() for line in found.splitlines() if line.strip()]
    if not isinstance(found, list):
        return []
    texts = [str(_first(one, _TEXT) if isinstance(one, dict) else one).strip() for one in found]
    marks = [_MARK.match(text) for text in texts]
    if all(mark and mark.group(1) == chr(65 + position) for position, mark in enumerate(marks)):
        return [text[mark.end() :] for text, mark in zip(texts, marks, strict=True) if mark]
    return texts


def _nested(text: str) -> Any:
    """Return the list or object that a text holds as JSON or as Python prints it, else the text."""
    if text.strip()[:1] not in ("[", "{"):
        return text
    for read in (json.loads, ast.literal_eval):
        try:
            found = read(text.strip())
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        if isinstance(found, list | dict):
            return found
    return text


def _inside(text: str) -> tuple[str, list[str]]:
    """Cut options that are written into the question: `... A. one B. two`, in lines or in one."""
    marks = list(_MARK.finditer(text))
    best: list[re.Match[str]] = []
    for begin, mark in enumerate(marks):
        if mark.group(1) != "A":
            continue
        chain = [mark]
        for other in marks[begin + 1 :]:
            if other.group(1) == chr(ord("A") + len(chain)):
                chain.append(other)
        if len(chain) >= max(2, len(best)):
            best = chain
    if not best:
        return text, []
    ends = [mark.start() for mark in best[1:]] + [len(text)]
    options = [
        text[mark.end() : end].strip().rstrip(",;").strip()
        for mark, end in zip(best, ends, strict=True)
    ]
    return _TAIL.sub("", text[: best[0].start()]).strip(), options


def _answer(row: Mapping[str, Any], options: list[str]) -> int:
    tried = []
    for name in _ANSWER:
        value = row.get(name)
        if value is None or value == "":
            continue
        position = _place(value, options)
        if position is not None:
            return position
        tried.append(f"{name} = {str(value)[:60]!r}")
    if not tried:
        raise _RowFaultError(f"no answer (looked for {', '.join(_ANSWER)})")
    raise _RowFaultError(f"the answer is none of the {len(options)} options: {'; '.join(tried)}")


def _place(value: Any, options: list[str]) -> int | None:
    """Return which option this answer means: its index from 0, its text, or its letter."""
    plain = [_plain(option) for option in options]
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, int | float):
        if _plain(str(value)) in plain:
            return plain.index(_plain(str(value)))
        return next((position for position in range(len(options)) if position == value), None)
    tagged = _TAGGED.search(value)
    text = (tagged.group(1) if tagged else value).strip()
    text = _LEAD.sub("", text, count=1) if _LEAD.match(text) else text
    if _plain(text) in plain:
        return plain.index(_plain(text))
    letter = _LETTER.fullmatch(text.strip())
    if letter:
        position = ord(letter.group(1).upper()) - ord("A")
        rest = letter.group(2)
        if position < len(options) and (not rest or _plain(rest) == plain[position]):
            return position
    return next((position for position in range(len(options)) if str(position) == text), None)


def _plain(text: str) -> str:
    return " ".join(text.casefold().split()).rstrip(".")
