"""A leaderboard: one table for each release, set of items and parser, in which results stand next to what is free.

A row is verified if its stored replies were read again here, scored with the answers of the release, and amount
to the stored figures; that a model gave these replies, and at which cost, nobody can check afterwards. All
other rows are as reported. Only verified rows of complete results have a rank.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from pipeline.engine.rows import digest
from pipeline.errors import UserError
from pipeline.evaluate.baselines import baselines
from pipeline.evaluate.cells import ALL
from pipeline.evaluate.metrics import LEAST_COVERAGE, MAIN, summarise
from pipeline.evaluate.reading import questions_of
from pipeline.evaluate.recheck import Rechecked, recheck
from pipeline.evaluate.results import (
    PREDICTIONS,
    RESULTS,
    Claims,
    read_claims,
    read_results,
)
from pipeline.evaluate.rows import Prediction
from pipeline.evaluate.scoring import Question, scored
from pipeline.evaluate.standings import (
    PARSER,
    Row,
    computed,
    computed_baselines,
    number,
    parser_of,
    reported,
    stored_baselines,
)
from pipeline.releases.layout import Evidence
from pipeline.releases.reading import Released, open_release
from pipeline.releases.verify import check_bytes

FORMAT = 1  # of leaderboard.json
_NO_ANSWERS = "its release isn't there: add --release FOLDER"
_NAMED = 3


@dataclass(frozen=True)
class Table:
    """The rows that may be compared: of one release, the same items and the same parser; the best are first."""

    release: str
    dataset: str
    version: str
    items: str
    parser: str
    rows: tuple[Row, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return {**vars(self), "rows": [row.to_json() for row in self.rows]}


class Answers:
    """The answers of one release, whose files are as they were released."""

    def __init__(self, folder: Path) -> None:
        """Check every file against SHA256SUMS; raise UserError or GateError if it is no release, or was changed."""
        self.digest, _ = check_bytes(folder)
        self.released: Released = open_release(folder)
        questions, self._evidence = questions_of(self.released)
        self.questions: Sequence[Question] = questions

    @cached_property
    def known(self) -> Mapping[str, Question]:
        """The items whose answers are published, by id."""
        return {one.id: one for one in self.questions if one.answer_index is not None}

    def baselines(self, ids: frozenset[str]) -> list[Row]:
        """Return the rows of all baselines and people on these items; the figures are computed here."""
        asked = [one for one in self.questions if one.id in ids]
        evidence: Mapping[str, Evidence] = self._evidence
        free = baselines(
            self.questions, evidence, self.released.folder, scored=lambda one: one.id in ids
        )
        people = free.human.accuracy[ALL][ALL] if free.human else None
        return computed_baselines(summarise(asked, scored(asked, free.predictions)), people)


@dataclass(frozen=True)
class _Placed:
    """A row with the table that it belongs to, and the items that it is of, where these are known."""

    table: tuple[str, str, str, str, str]
    ids: frozenset[str]
    row: Row
    free: Sequence[Row]


def leaderboard(
    folders: Sequence[Path],
    releases: Sequence[Path],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Table]:
    """Return the tables of results folders; `releases` are folders of releases, which rows are verified with.

    Raise UserError for a folder without a results.json, EgostError for a release that was changed.
    """
    known = {one.digest: one for one in map(Answers, releases)}
    placed: list[_Placed] = []
    for done, folder in enumerate(dict.fromkeys(one.resolve() for one in folders), start=1):
        placed.append(_placed(folder, known))
        progress(done, len(folders))
    tables = []
    for key in sorted({one.table for one in placed}):
        own = [one for one in placed if one.table == key]
        release, dataset, version, items, parser = key
        free = list(own[0].free)
        ids = next((one.ids for one in own if one.ids), frozenset[str]())
        if release in known and ids:
            free = known[release].baselines(ids)
        rows = _ranked([*(one.row for one in own), *free])
        tables.append(Table(release, dataset, version, items, parser, tuple(rows)))
    return tables


def to_json(tables: Iterable[Table], made: str, egost: str) -> str:
    """Return the text of leaderboard.json."""
    body = {
        "format": FORMAT,
        "made": made,
        "egost": egost,
        "tables": [one.to_json() for one in tables],
    }
    return json.dumps(body, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def _placed(folder: Path, known: Mapping[str, Answers]) -> _Placed:
    claims = read_claims(folder)
    answers = known.get(claims.identity.release)
    questions: Sequence[Question] = ()
    if not (folder / PREDICTIONS).exists():
        row = reported(claims, folder, f"there is only {RESULTS}, no replies")
    elif answers is None:
        row = reported(claims, folder, _NO_ANSWERS)
    else:
        row, questions = _checked(claims, folder, answers)
    release, dataset, version = map(
        str, (claims.identity.release, claims.identity.dataset, claims.identity.version)
    )
    table = (release, dataset, version, _items(claims, questions, answers), parser_of(claims.body))
    ids = frozenset(one.id for one in questions)
    return _Placed(table, ids, row, stored_baselines(claims, folder))


def _items(claims: Claims, questions: Sequence[Question], answers: Answers | None) -> str:
    """Return what a table's items are called; those that are some of their splits have a name of their own."""
    if not questions or not answers:
        count = number((claims.body.get("metrics") or {}).get("items"))
        return f"{count} items of {', '.join(map(str, claims.body.get('splits') or ()))}"
    splits = sorted({one.split for one in questions})
    whole = sum(one.split in splits for one in answers.known.values())
    if len(questions) == whole:
        return f"{whole} items of {', '.join(splits)}"
    chosen = digest(*sorted(one.id for one in questions))[:6]
    return f"{len(questions)} of {whole} items of {', '.join(splits)} (set {chosen})"


def _checked(claims: Claims, folder: Path, answers: Answers) -> tuple[Row, Sequence[Question]]:
    """Return the row of results whose replies are there, with the items that it is of."""
    if parser_of(claims.body) != PARSER:
        why = f"only replies that the {PARSER} parser read are checked"
        return reported(claims, folder, why), ()
    found = read_results(folder)
    asked = sorted(one.id for one in found.questions)
    if not asked:
        return reported(claims, folder, "it has no items with known answers"), ()
    if strange := len({*asked} - answers.known.keys()):
        why = f"{strange} of its items have no published answer in this release"
        return reported(claims, folder, why), ()
    questions = [answers.known[id_] for id_ in asked]
    predictions = [one for one in found.predictions if one.id in {*asked}]
    try:
        again = recheck(questions, predictions, claims.body.get("metrics") or {})
    except UserError as error:  # an item that was predicted twice in an arm and repeat
        return reported(claims, folder, f"{error.where} {error.what}"), ()
    if why := _contradiction(again) or _uneven(predictions):
        return computed(claims, again.metrics, "contradicted", why), questions
    count = sum(one.outcome != "failed" for one in predictions)
    why = f"{count} replies were read again and scored with the release's answers"
    return computed(claims, again.metrics, "verified", why), questions


def _uneven(predictions: Iterable[Prediction]) -> str:
    """Return whether items were asked unequally often: then the better repeats may have been chosen."""
    often = Counter(one.id for one in predictions if one.arm == MAIN)
    return "items were asked unequally often" if len({*often.values()}) > 1 else ""


def _contradiction(again: Rechecked) -> str:
    if again.letters:
        return f"{again.letters} stored letters or outcomes aren't those of their replies"
    if again.differing:
        named = ", ".join(again.differing[:_NAMED])
        more = f" and {rest} more" if (rest := len(again.differing) - _NAMED) > 0 else ""
        return f"stored figures aren't those of the replies: {named}{more}"
    return ""


def _ranked(rows: Iterable[Row]) -> list[Row]:
    """Return rows with ranks, the best first; contradicted ones come last."""
    ordered = sorted(
        rows,
        key=lambda row: (
            row.status == "contradicted",
            row.accuracy.value is None,
            -(row.accuracy.value or 0.0),
            row.name,
        ),
    )
    found, rank = list[Row](), 0
    for row in ordered:
        complete = row.coverage is not None and row.coverage >= LEAST_COVERAGE
        ranks = row.kind == "model" and row.status == "verified" and complete
        rank += ranks
        found.append(replace(row, rank=rank if ranks else None))
    return found
