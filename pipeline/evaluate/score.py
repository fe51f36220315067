"""Score predictions that somebody made elsewhere, and compare the results of models."""

import csv
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from pipeline.errors import UserError, plain
from pipeline.evaluate import results
from pipeline.evaluate.arms import FRAMES
from pipeline.evaluate.baselines import baselines
from pipeline.evaluate.cells import ALL, LEAST_WITHHELD
from pipeline.evaluate.compare import check_comparable, compare
from pipeline.evaluate.item_files import ItemFile
from pipeline.evaluate.measured import Measured
from pipeline.evaluate.open_items import open_items
from pipeline.evaluate.reading import questions_of
from pipeline.evaluate.rows import Prediction
from pipeline.evaluate.rules import RULES, STRICT, check_parser, read
from pipeline.evaluate.score_open import score_open
from pipeline.evaluate.scoring import Question, place_of, scored
from pipeline.evaluate.table import points, wrapped
from pipeline.releases.layout import file_digest
from pipeline.releases.reading import SUMS, Released

LOG = "scored.jsonl"
"""In the folder of withheld answers: every scoring, with the digest of what was scored."""
_SHOWN = 10
_NAME, _NUMBER = re.compile(r"\w[\w .-]{0,29}", re.ASCII), re.compile(r"\d{1,6}", re.ASCII)
# What other tools write as the reply to a request that failed: not an answer, although it parses as one.
_FAILURES = ("[LMMS_EVAL_", "BUDGET_EXCEEDED", "Failed to obtain answer via API")


def score_file(
    released: Released | ItemFile, path: Path, sealed: Path | None, parser: str = STRICT
) -> list[str]:
    """Return the metrics of a file of predictions as lines; raise UserError if one isn't for this release.

    Withheld items are scored without others: there is no figure over fewer than 30 of them, all are rounded,
    and the call is logged beside their answers. `parser` is one of `rules.RULES`.
    """
    check_parser(parser)
    if sealed and isinstance(released, Released):
        _check_sealed(released, sealed)
    questions, evidence = questions_of(released, sealed)
    known = {one.id: one for one in questions}
    rows = read_rows(path)
    spoken = open_items(released, sealed)
    in_words = {one.id: one for one in spoken.questions}
    _check(rows, known | in_words, path, parser)
    _check_release(rows, released, path)
    withheld = set(released.manifest["withheld"])
    described = [
        _prediction(row, in_words[id_]) for row in rows if (id_ := str(row["id"])) in in_words
    ]
    lines = score_open(described, spoken, withheld, str(path))
    made = [_prediction(row, known[id_]) for row in rows if (id_ := str(row["id"])) in known]
    if described and not made:
        if sealed:
            _log(sealed, path, len(described))
        return [*lines, f"score: {path}: {len(described)} descriptions"]
    asked = [known[id_] for id_ in dict.fromkeys(one.id for one in made)]
    if unknown := [one for one in asked if one.answer_index is None]:
        raise UserError(
            str(path),
            f"the answers of {len(unknown)} of its {len(asked)} items are withheld",
            "add --answers FOLDER if you have them, or leave these items out",
        )
    if not made:
        raise UserError(str(path), "has no predictions", "check the file")
    least, notes = 0, [*released.notes] if isinstance(released, ItemFile) else []
    if held := [one for one in asked if one.split in withheld]:
        # Next to items whose answers are known, a figure would tell the outcome of a few withheld ones.
        least = LEAST_WITHHELD
        if left_out := len(asked) - len(held):
            notes.append(f"note: {left_out} items with published answers are left out")
        asked = held
    ids = {one.id for one in asked}
    made = [one for one in made if one.id in ids]
    free = baselines(
        questions, evidence, released.folder, scored=lambda one: one.id in ids, least=least
    )
    strictly, others = (
        [read(one, known[one.id], name) for one in made] for name in (STRICT, parser)
    )
    beside = strictly if parser != STRICT else ()
    measured = Measured.of(asked, others, free, least, parser, beside)
    if sealed:
        _log(sealed, path, len(rows))
    return [
        *measured.lines(),
        *wrapped(notes),
        *lines,
        f"score: {path}: {len(made)} predictions for {len(asked)} items"
        + (f", {len(described)} descriptions" if described else ""),
    ]


def read_rows(path: Path) -> list[dict[str, object]]:
    """Return the rows of a Parquet, JSONL or CSV file of predictions; raise UserError naming a bad line."""
    try:
        if path.suffix == ".parquet":
            return list(pq.read_table(path).to_pylist())
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
        raise UserError(
            str(path), f"can't be read: {error}", "give a file of predictions"
        ) from error
    if path.suffix == ".csv":
        return [dict(row) for row in csv.DictReader(StringIO(text, newline=""))]
    return [
        _line(path, number, line)
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip()
    ]


def _line(path: Path, number: int, line: str) -> dict[str, object]:
    try:
        row = json.loads(line)
        if not isinstance(row, dict):
            raise TypeError("no object")
    except (ValueError, TypeError) as error:
        fix = 'write lines such as {"id": "i_1", "reply": "<answer>C</answer>"}'
        raise UserError(f"{path}, line {number}", f"is no JSON object: {error}", fix) from error
    return row


def _check_sealed(released: Released, sealed: Path) -> None:
    """Raise UserError for a folder of withheld answers that isn't this release's."""
    digest = released.manifest.get("sealed_digest")
    sums = sealed / SUMS
    if not sums.is_file() or (digest and file_digest(sums) != digest):
        raise UserError(
            str(sealed),
            "doesn't have the withheld answers of this release",
            f"give the folder that was made with it, such as sealed/v{released.version}",
        )


def _check_release(
    rows: Sequence[Mapping[str, object]], released: Released | ItemFile, path: Path
) -> None:
    """Raise UserError for a row that names another release: the column `release` may have the root digest."""
    named = [(number, one) for number, row in enumerate(rows, 1) if (one := row.get("release"))]
    digest = results.release_digest(released) if named else ""
    for number, one in named:
        if str(one).strip().lower() != digest:
            raise UserError(
                f"{path}, row {number}",
                f"is for the release with the digest {plain(str(one))[:64]}, not {digest}",
                "score predictions for the release that they were made on",
            )


def _check(
    rows: Sequence[Mapping[str, object]], known: Mapping[str, Question], path: Path, parser: str
) -> None:
    """Raise UserError for a row whose id is not one of the release, before anything is scored."""
    fix = "each row needs the id of an item of this release, and a reply or a letter"
    unknown = [
        (number, row.get("id"))
        for number, row in enumerate(rows, 1)
        if str(row.get("id")) not in known
    ]
    if unknown:
        number, id_ = unknown[0]
        what = (
            f"its id isn't one of the release: {plain(str(id_))[:80]}; rows like it: {len(unknown)}"
        )
        raise UserError(f"{path}, row {number}", what, fix)
    for number, row in enumerate(rows, 1):
        if not {"reply", "letter"} & row.keys():
            raise UserError(f"{path}, row {number}", "has neither reply nor letter", fix)
        if parser != STRICT and row.get("letter") and not row.get("reply"):
            what = f"has a letter without a reply, which --parser {parser} can't read"
            raise UserError(f"{path}, row {number}", what, "leave --parser out")


def _prediction(row: Mapping[str, object], question: Question) -> Prediction:
    """Return a row as a prediction, whose reply is still to be read: as egost wrote it, or with a reply or a letter."""
    if {*Prediction.model_fields} <= row.keys():
        try:
            return Prediction.model_validate({**row, "arm": _arm(row), "repeat": _repeat(row)})
        except ValidationError as error:
            raise UserError(
                question.id, f"has a damaged prediction: {error}", "check the file"
            ) from error
    given: dict[str, Any] = {
        "id": question.id,
        "arm": _arm(row),
        "repeat": _repeat(row),
    }
    reply = _reply(row.get("reply"))
    if row.get("letter") and not reply:
        letter = str(row["letter"]).strip().upper()
        if place_of(letter, question.options) is None:
            return Prediction(**given, letter=None, outcome="unreadable")
        return Prediction(**given, letter=letter, outcome="answered")
    if reply is None or reply.startswith(_FAILURES):
        return Prediction(**given, letter=None, outcome="failed", error=reply)
    given |= {name: _text(row, name) for name in ("finish", "refusal", "reasoning")}
    return Prediction(**given, reply=reply, letter=None, outcome="unreadable")


def _arm(row: Mapping[str, object]) -> str:
    arm = str(row.get("arm") or FRAMES)
    if not _NAME.fullmatch(arm):
        what = f"has the arm {plain(arm)[:80]}"
        raise UserError(str(row["id"]), what, "write a name such as frames or blind")
    return arm


def _repeat(row: Mapping[str, object]) -> int:
    repeat = str(row.get("repeat") or 0)
    if not _NUMBER.fullmatch(repeat):
        what = f"has the repeat {plain(repeat)[:80]}"
        raise UserError(str(row["id"]), what, "write 0, 1, ...")
    return int(repeat)


def _reply(given: object) -> str | None:
    """Return a reply's text, also of a list of parts; None if there was no reply."""
    if isinstance(given, list):
        return "".join(str(part.get("text", "")) for part in given if isinstance(part, dict))
    return None if given is None else str(given)


def _text(row: Mapping[str, object], name: str) -> str | None:
    return str(row[name]) if row.get(name) else None


def _log(sealed: Path, path: Path, count: int) -> None:
    """Add a line to the log beside the withheld answers."""
    line = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "file": path.name,
        "sha256": file_digest(path),
        "predictions": count,
    }
    with (sealed / LOG).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line, ensure_ascii=False) + "\n")


def compare_folders(folders: Sequence[Path], arm: str, *, anyway: bool) -> list[str]:
    """Return how each results folder differs from the first, as lines."""
    if len(folders) < 2:
        raise UserError(
            "egost compare", "needs at least two folders of results", "name two of them"
        )
    first, *others = map(results.read_results, folders)
    return [line for other in others for line in _compared(first, other, arm, anyway=anyway)]


def _compared(
    one: results.Results, other: results.Results, arm: str, *, anyway: bool
) -> Iterator[str]:
    differing = check_comparable(one.identity.compared, other.identity.compared, anyway=anyway)
    yield from (f"note: they differ in {what}" for what in differing)
    for parser in dict.fromkeys((one.identity.parser, other.identity.parser)):
        if parser != STRICT:
            yield f"read by {RULES[parser]}"
    shared = {question.id for question in one.questions} & {
        question.id for question in other.questions
    }
    questions = [question for question in one.questions if question.id in shared]
    names = (one.identity.model, other.identity.model)
    first, second = (scored(questions, _of(some, shared)) for some in (one, other))
    found = compare(questions, first, second, names, arm=arm)
    yield f"{names[0]} minus {names[1]}, {arm}: {points(found.parts[ALL][ALL])}"
    for label, figure in found.parts.get("task", {}).items():
        yield f"  {label:<34}{points(figure)}"
    if found.wins is not None and found.losses is not None:
        p = f", sign test p = {found.p:.3g}" if found.p is not None else ""
        yield f"{found.wins} items only or more often right in the first, {found.losses} in the second{p}"
    for item in found.items[:_SHOWN]:
        yield f"  {item.id}: {' and '.join(letter or '-' for letter in item.letters)}, {item.better} is right"
    if len(found.items) > _SHOWN:
        yield f"  and {len(found.items) - _SHOWN} more"
    yield f"compare: {one.folder} and {other.folder}: {len(questions)} items"


def _of(some: results.Results, ids: Iterable[str]) -> list[Prediction]:
    return [one for one in some.predictions if one.id in ids]
