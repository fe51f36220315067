"""Reading the records of a file, whatever its format, each with the line it begins at."""

import codecs
import csv
import io
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from json import decoder, scanner
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.blind.answers import RowFaultError
from pipeline.blind.columns import ANSWER, QUESTION, option_place, plain_name
from pipeline.errors import UserError

_NUMBER = re.compile(r"-?(?:0|[1-9]\d{0,14})(?:\.\d+)?")
_LONGEST_CELL = 2**24
# UTF-32 first: its mark begins with that of UTF-16.
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
# JSON and headings begin with ASCII: which of the first four bytes are zero tells the encoding (RFC 4627).
_ZEROS: Mapping[tuple[bool, ...], str] = {
    (False, True, False, True): "utf-16-le",
    (True, False, True, False): "utf-16-be",
    (False, True, True, True): "utf-32-le",
    (True, True, True, False): "utf-32-be",
}
_PACKED = {".gz", ".zip", ".bz2", ".xz", ".zst", ".tar", ".tgz", ".7z"}
_SENTENCE = 4  # words: no name of a column has so many
# In JSON text: a pair of surrogates, half of one, or any other escape.
_ESCAPES = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)"
)


@dataclass(frozen=True)
class Records:
    """The records of a file with their places, and the places of objects and lists within them by `id()`."""

    roots: list[tuple[str, Any]]
    places: dict[int, str] = field(default_factory=dict)


def readable(file: Path) -> bool:
    """Return whether the name of a file ends in a known format."""
    return file.suffix.lower() in _READERS


def decode(file: Path) -> Records:
    """Read a file's records; one that can't be decoded is a RowFaultError in its place.

    Raises UserError if that is true of the whole file.
    """
    if not readable(file):
        packed = file.suffix.lower() in _PACKED
        raise UserError(str(file), "unknown file type", f"{'unpack it, or ' * packed}use {FORMATS}")
    try:
        return _READERS[file.suffix.lower()](file)
    except RecursionError as error:
        raise UserError(str(file), "nested too deeply", "use a list of items") from error


def _text(file: Path) -> str:
    """Return the text of a file in UTF-8, or in UTF-16 or UTF-32 if it shows that."""
    data = file.read_bytes()
    known = next((name for mark, name in _MARKS.items() if data.startswith(mark)), None)
    name = known or _ZEROS.get(tuple(byte == 0 for byte in data[:4]), "utf-8")
    try:
        return data.decode(name)
    except UnicodeDecodeError as error:
        # Without a mark or zeros in the first letters, UTF-16 can't be told from other encodings.
        maybe = "; perhaps it is UTF-16" if name == "utf-8" and b"\0" in data else ""
        line = data.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"{file}, line {line}",
            f"not {name[:6].upper()} text: {error.reason} (0x{data[error.start]:02x}){maybe}",
            "save the file as UTF-8 (in a spreadsheet: as CSV UTF-8)",
        ) from error


def _json(file: Path) -> Records:
    """Read one JSON value, or one on each line: the names of files tell these apart badly."""
    text = _whole(io.StringIO(_text(file), newline=None).read())
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    if len(lines) < 2 or isinstance(_value(lines[0][1]), RowFaultError):
        try:
            return _located(file, text)
        except json.JSONDecodeError as error:
            if file.suffix.lower() == ".json":
                where = f"{file}, line {error.lineno}"
                raise UserError(where, f"not valid JSON: {error.msg}", "fix that line") from error
        except ValueError as error:
            raise UserError(str(file), "a number of thousands of digits", "correct it") from error
    return Records([(f"{file}, line {number}", _value(line)) for number, line in lines])


def _whole(text: str) -> str:
    """Replace half characters, which truncated emoji leave behind, as any reader of UTF-8 does."""
    if not re.search(r"\\u[dD][89a-fA-F]", text):
        return text
    return _ESCAPES.sub(lambda found: r"\ufffd" if found[1] else found[0], text)


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        return RowFaultError(f"not valid JSON: {error.msg}")
    except RecursionError:
        return RowFaultError("nested too deeply")
    except ValueError:  # Python reads no longer ones
        return RowFaultError("a number of thousands of digits")


def _located(file: Path, text: str) -> Records:
    """Decode JSON and note the line on which each object and each list begins."""
    places: dict[int, str] = {}
    line, counted = 1, 0

    def located(parse: Callable[..., tuple[Any, int]]) -> Callable[..., tuple[Any, int]]:
        def parse_at(given: tuple[str, int], *rest: Any) -> tuple[Any, int]:
            nonlocal line, counted
            line += text.count("\n", counted, given[1])
            counted, own = given[1], line
            found, end = parse(given, *rest)
            places[id(found)] = f"{file}, line {own}"
            return found, end

        return parse_at

    reader = json.JSONDecoder()
    reader.parse_object = located(decoder.JSONObject)  # type: ignore[attr-defined]
    reader.parse_array = located(decoder.JSONArray)  # type: ignore[attr-defined]
    reader.scan_once = scanner.py_make_scanner(reader)  # type: ignore[attr-defined]
    content = reader.decode(text)
    return Records([(f"{file}, line 1", content)], places)


def _csv(file: Path) -> Records:
    """Read a table with a heading line; numbers become numbers, except in options and answers."""
    lines = io.StringIO(_text(file), newline="")
    head = lines.readline()
    lines.seek(0)
    delimiter = max(",\t;|", key=head.count)
    csv.field_size_limit(_LONGEST_CELL)
    table = csv.DictReader(lines, delimiter=delimiter, strict=False)
    roots: list[tuple[str, Any]] = []
    try:
        names = table.fieldnames or []
        if fault := _heading_fault(names):
            return Records([(f"{file}, line 1", fault)])
        ended = table.line_num
        for row in table:
            where = f"{file}, line {ended + 1}"
            ended = table.line_num
            roots.append((where, _checked(row, len(names))))
    except csv.Error as error:
        what = f"not readable as a table: {error}"
        raise UserError(f"{file}, line {table.line_num}", what, "write it again") from error
    rows = [row for _, row in roots if isinstance(row, dict)]
    for name in names:
        words = plain_name(name) in (*ANSWER, *QUESTION) or option_place(name)
        cells = [row[name] for row in rows if row[name]]
        if not words and cells and all(map(_NUMBER.fullmatch, cells)):
            for row in rows:
                row[name] = json.loads(row[name]) if row[name] else None
    return Records(roots)


def _heading_fault(names: Sequence[str]) -> RowFaultError | None:
    """Return what is wrong with a first line that names no columns, or two alike."""
    known = any(plain_name(name) in QUESTION for name in names)
    if not known and any(len(name.split()) >= _SENTENCE or name.endswith("?") for name in names):
        needed = ",".join(["question", *"ABCDEFGHIJ"[: max(2, len(names) - 2)], "answer"])
        return RowFaultError(
            f"the first line of a table names its columns, and this is an item: put such a line above it ({needed})"
        )
    twice = [name for name, count in Counter(names).items() if count > 1 and name.strip()]
    return RowFaultError(f"two columns are called {twice[0]}: rename one") if twice else None


def _checked(row: dict[str | None, Any], columns: int) -> Any:
    """Return a row of a table, or what is wrong with it."""
    cells = sum(value is not None for name, value in row.items() if name is not None)
    cells += len(row.get(None) or ())
    if cells == columns:
        return row
    long = cells < columns and any("\n" in value for value in row.values() if value)
    hint = "; it goes on over several lines: is a quotation mark missing?" if long else ""
    return RowFaultError(f"the heading names {columns} columns, the row has {cells}{hint}")


def _parquet(file: Path) -> Records:
    """Read a table without its binary columns, such as images."""
    try:
        whole = pq.ParquetFile(file)
        names = [one.name for one in whole.schema_arrow if not _binary(one.type)]
        rows = whole.read(columns=names).to_pylist(maps_as_pydicts="lossy")
    except (pa.ArrowException, OSError) as error:
        raise UserError(str(file), f"not readable as Parquet: {error}", "write it again") from error
    return Records([(f"{file}, row {number}", row) for number, row in enumerate(rows, start=1)])


def _binary(kind: pa.DataType) -> bool:
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return True
    return any(_binary(kind.field(place).type) for place in range(kind.num_fields))


_READERS: dict[str, Callable[[Path], Records]] = {
    ".json": _json,
    ".jsonl": _json,
    ".ndjson": _json,
    ".csv": _csv,
    ".tsv": _csv,
    ".parquet": _parquet,
}
FORMATS = ".jsonl, .json, .csv, .tsv or .parquet"
