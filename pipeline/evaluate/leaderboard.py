"""A leaderboard: one table for each release, set of items and parser, in which results stand next to what is free.

A row is verified if its stored replies were read again here, scored with the answers of the release, and amount
to the stored figures; that a model gave these replies, and at which cost, nobody can check afterwards. All
other rows are as reported. Only verified rows of complete results have a rank.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import isfinite
from pathlib import Path
from typing import Any, Literal

from pipeline.engine.rows import digest
from pipeline.errors import UserError
from pipeline.evaluate.baselines import baselines
from pipeline.evaluate.cells import ALL
from pipeline.evaluate.intervals import Figure
from pipeline.evaluate.metrics import LEAST_COVERAGE, MAIN, ArmMetrics, Metrics, summarise
from pipeline.evaluate.reading import questions_of
from pipeline.evaluate.recheck import Rechecked, recheck
from pipeline.evaluate.results import (
    PREDICTIONS,
    RESULTS,
    Claims,
    Identity,
    read_claims,
    read_results,
)
from pipeline.evaluate.scoring import Question, scored
from pipeline.releases.layout import Evidence
from pipeline.releases.reading import Released, open_release
from pipeline.releases.verify import check_bytes

FORMAT = 1  # of leaderboard.json
PARSER = "strict"
_NO_ANSWERS = "its release isn't there: add --release FOLDER"
_NAMED = 3


@dataclass(frozen=True)
class Row:
    """One row; `why` gives the reason for its status. `gain` is over the arm `blind`, where that was asked, too.

    `rank` is None for all but verified rows of models with complete results.
    """

    name: str
    kind: Literal["model", "baseline", "people", "chance"]
    status: Literal["verified", "reported", "contradicted"]
    why: str
    accuracy: Figure
    pairs: Figure | None = None
    facts: Figure | None = None
    gain: Figure | None = None
    coverage: float | None = None
    prompt: str = ""
    prompt_sha256: str = ""
    frames: str = ""
    repeats: int = 1
    sampling: Mapping[str, Any] = field(default_factory=dict)
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    made: str = ""
    egost: str = ""
    rank: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return {
            name: value.to_json() if isinstance(value, Figure) else value
            for name, value in vars(self).items()
        }


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
        found = summarise(asked, scored(asked, free.predictions))
        people = free.human.accuracy[ALL][ALL] if free.human else None
        arms = {name: _figures(arm) for name, arm in found.arms.items()}
        return _free(arms, people, found.chance, "verified")


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
    for done, folder in enumerate(folders, start=1):
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
    try:
        row, questions = _checked(folder, answers) if answers else (None, ())
    except UserError as error:  # of what is in the folder, besides the claims
        row, questions = _reported(claims, folder, error.what), ()
    else:
        if row is None:
            alone = not (folder / PREDICTIONS).exists()
            why = f"only {RESULTS} is there, without replies" if alone else _NO_ANSWERS
            row = _reported(claims, folder, why)
    body, identity = claims.body, claims.identity
    splits = sorted({one.split for one in questions}) or list(body.get("splits") or [])
    count = len(questions) or _number((body.get("metrics") or {}).get("items"))
    items = f"{count} items of {', '.join(map(str, splits))}"
    if answers and questions:
        whole = sum(one.split in splits for one in answers.known.values())
        if count < whole:
            chosen = digest(*sorted(one.id for one in questions))[:6]
            items = f"{count} of {whole} items of {', '.join(splits)} (set {chosen})"
    release, dataset, version = map(str, (identity.release, identity.dataset, identity.version))
    table = (release, dataset, version, items, _parser(body))
    ids = frozenset(one.id for one in questions)
    return _Placed(table, ids, row, stored_baselines(claims, folder))


def _parser(body: Mapping[str, Any]) -> str:
    return str(body.get("parser") or PARSER)


def _checked(folder: Path, answers: Answers) -> tuple[Row | None, Sequence[Question]]:
    """Return the row of results whose replies are there, and the items of it; no row if there are no replies."""
    if not (folder / PREDICTIONS).exists():
        return None, ()
    found = read_results(folder)
    asked = {one.id for one in found.questions}
    if strange := asked - answers.known.keys():
        what = f"{len(strange)} of its items are none with published answers"
        raise UserError(str(folder), what, "give results of this release")
    questions = [answers.known[one] for one in sorted(asked)]
    predictions = [one for one in found.predictions if one.id in asked]
    stored = found.body.get("metrics") or {}
    again = recheck(questions, predictions, stored)
    counts = {
        Counter(one.id for one in predictions if one.arm == MAIN)[id_]
        for id_ in {one.id for one in predictions if one.arm == MAIN}
    }
    claims = Claims(found.identity, found.body)
    if _parser(found.body) != PARSER:
        return _reported(claims, folder, "only replies read by the strict parser are checked"), ()
    why = _contradiction(again)
    if len(counts) > 1:
        why = "items were asked unequally often"
    replies = sum(one.outcome != "failed" for one in predictions)
    if why:
        return _row(claims, again.metrics, "contradicted", why), questions
    why = f"{replies} replies were read again and scored with the release's answers"
    return _row(claims, again.metrics, "verified", why), questions


def _contradiction(again: Rechecked) -> str:
    if again.letters:
        return f"{again.letters} stored letters or outcomes aren't those of their replies"
    if again.differing:
        named = ", ".join(again.differing[:_NAMED])
        more = f" and {rest} more" if (rest := len(again.differing) - _NAMED) > 0 else ""
        return f"stored figures aren't those of the replies: {named}{more}"
    return ""


# ---- rows ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Figures:
    accuracy: Figure
    pairs: Figure | None
    facts: Figure | None
    coverage: float | None
    usage: Mapping[str, Any]


def _figures(arm: ArmMetrics) -> _Figures:
    parts = (arm.accuracy, arm.pairs, arm.facts)
    accuracy, pairs, facts = (one[ALL][ALL] if one else None for one in parts)
    none = Figure(None, None, None, 0, 0, "no items")
    return _Figures(accuracy or none, pairs, facts, arm.coverage, vars(arm.usage))


def _stored_figures(arm: Mapping[str, Any]) -> _Figures:
    accuracy, pairs, facts = (_figure(arm.get(name)) for name in ("accuracy", "pairs", "facts"))
    none = Figure(None, None, None, 0, 0, "no items")
    coverage = float(arm["coverage"])
    return _Figures(accuracy or none, pairs, facts, coverage, arm.get("usage") or {})


def _figure(parts: Mapping[str, Any] | None) -> Figure | None:
    return figure_from(parts[ALL][ALL]) if parts else None


def figure_from(stored: Mapping[str, Any]) -> Figure:
    """Return a figure as results.json has it; raise KeyError, TypeError or ValueError if it is none."""
    value, low, high = (
        None if stored[name] is None else float(stored[name]) for name in ("value", "low", "high")
    )
    if not all(one is None or isfinite(one) for one in (value, low, high)):
        raise ValueError("a figure is no number")
    note = str(stored.get("note", ""))
    return Figure(value, low, high, int(stored["items"]), int(stored["groups"]), note)


def _row(
    claims: Claims, metrics: Metrics, status: Literal["verified", "contradicted"], why: str
) -> Row:
    gain = next((one for one in metrics.gains if (one.arm, one.over) == (MAIN, "blind")), None)
    return _model(
        claims,
        _figures(metrics.arms[MAIN]) if MAIN in metrics.arms else None,
        gain.parts[ALL][ALL] if gain else None,
        status,
        why,
    )


def _reported(claims: Claims, folder: Path, why: str) -> Row:
    """Return a row with what results.json says."""
    with_metrics = claims.body.get("metrics") or {}
    try:
        arm = (with_metrics.get("arms") or {}).get(MAIN)
        gain = next(
            (
                _figure(one["parts"])
                for one in with_metrics.get("gains") or ()
                if (one["arm"], one["over"]) == (MAIN, "blind")
            ),
            None,
        )
        return _model(claims, _stored_figures(arm) if arm else None, gain, "reported", why)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise _damaged(folder, error) from error


def _damaged(folder: Path, error: Exception) -> UserError:
    return UserError(str(folder / RESULTS), f"is damaged: {error!r}", "get the file again")


def _model(
    claims: Claims,
    figures: _Figures | None,
    gain: Figure | None,
    status: Literal["verified", "reported", "contradicted"],
    why: str,
) -> Row:
    identity, body = claims.identity, claims.body
    if figures is None:
        missing = f"no predictions in arm {MAIN}" if body.get("metrics") else "answers are withheld"
        figures = _Figures(Figure(None, None, None, 0, 0, missing), None, None, None, {})
    usage = figures.usage
    return Row(
        name=str(identity.model),
        kind="model",
        status=status,
        why=why,
        accuracy=figures.accuracy,
        pairs=figures.pairs,
        facts=figures.facts,
        gain=gain,
        coverage=figures.coverage,
        prompt=identity.prompt,
        prompt_sha256=identity.prompt_sha256,
        frames=_frames(identity),
        repeats=_number(body.get("repeats")) or 1,
        sampling={name: one for name, one in identity.settings.items() if one not in (None, {})},
        input_tokens=usage.get("input_tokens"),
        output_tokens=usage.get("output_tokens"),
        cost_usd=usage.get("cost_usd"),
        made=str(body.get("made") or ""),
        egost=str(body.get("egost") or ""),
    )


def _frames(identity: Identity) -> str:
    cut = "as released" if identity.fps is None else f"{identity.fps:g} a second, cut anew"
    size = "" if identity.image_pixels is None else f", at most {identity.image_pixels} pixels"
    return f"{cut}{size}"


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def stored_baselines(claims: Claims, folder: Path) -> Sequence[Row]:
    """Return what results.json says of baselines and people."""
    try:
        arms = (claims.body.get("baselines") or {}).items()
        people = (claims.body.get("people") or {}).get("accuracy")
        stored = {name: _stored_figures(arm) for name, arm in arms}
        chance = (claims.body.get("metrics") or {}).get("chance")
        return _free(stored, _figure(people), float(chance) if chance else None, "reported")
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise _damaged(folder, error) from error


def _free(
    arms: Mapping[str, _Figures],
    people: Figure | None,
    chance: float | None,
    status: Literal["verified", "reported"],
) -> list[Row]:
    why = "computed here" if status == "verified" else "as in the results of the first row"
    rows = [
        Row(name, "baseline", status, why, one.accuracy, one.pairs, one.facts)
        for name, one in arms.items()
    ]
    if chance:
        rows.append(Row("chance", "chance", status, why, Figure(chance, None, None, 0, 0)))
    if people:
        rows.append(Row("people", "people", status, f"{why}, on the items they answered", people))
    return rows


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
        found.append(Row(**{**vars(row), "rank": rank if ranks else None}))
    return found
