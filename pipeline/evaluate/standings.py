"""The rows of a leaderboard: what a model, a baseline or people reached, as computed here or as results.json has it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any, Literal

from pipeline.errors import UserError
from pipeline.evaluate.cells import ALL
from pipeline.evaluate.intervals import Figure
from pipeline.evaluate.metrics import MAIN, ArmMetrics, Metrics
from pipeline.evaluate.results import RESULTS, Claims, Identity

PARSER = "strict"
"""The parser of results that name none."""
Status = Literal["verified", "reported", "contradicted"]
_BLIND = "blind"
_NOTHING = Figure(None, None, None, 0, 0, "no items")


@dataclass(frozen=True)
class Row:
    """One row; `why` gives the reason for its status. `gain` is over the arm `blind`, where that was asked, too.

    `rank` is None for all but verified rows of models with complete results.
    """

    name: str
    kind: Literal["model", "baseline", "people", "chance"]
    status: Status
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
class _Figures:
    accuracy: Figure
    pairs: Figure | None
    facts: Figure | None
    coverage: float | None
    usage: Mapping[str, Any]


def computed(claims: Claims, metrics: Metrics, status: Status, why: str) -> Row:
    """Return the row of a model whose replies were scored here."""
    gain = next((one for one in metrics.gains if (one.arm, one.over) == (MAIN, _BLIND)), None)
    figures = _computed_figures(metrics.arms[MAIN]) if MAIN in metrics.arms else None
    return _model(claims, figures, gain.parts[ALL][ALL] if gain else None, status, why)


def reported(claims: Claims, folder: Path, why: str) -> Row:
    """Return the row that a results.json gives; raise UserError if it is damaged."""
    with _undamaged(folder):
        metrics = claims.body.get("metrics") or {}
        arm = (metrics.get("arms") or {}).get(MAIN)
        gains = {(one["arm"], one["over"]): one["parts"] for one in metrics.get("gains") or ()}
        gain = _stored_figure(gains.get((MAIN, _BLIND)))
        return _model(claims, _stored_figures(arm) if arm else None, gain, "reported", why)


def computed_baselines(metrics: Metrics, people: Figure | None) -> list[Row]:
    """Return the rows of baselines, which are the arms of `metrics`, of people and of chance, computed here."""
    arms = {name: _computed_figures(arm) for name, arm in metrics.arms.items()}
    return _free(arms, people, metrics.chance, "verified", "computed here")


def stored_baselines(claims: Claims, folder: Path) -> list[Row]:
    """Return what a results.json says of baselines, people and chance; raise UserError if it is damaged."""
    with _undamaged(folder):
        body = claims.body
        arms = {name: _stored_figures(arm) for name, arm in (body.get("baselines") or {}).items()}
        people = _stored_figure((body.get("people") or {}).get("accuracy"))
        chance = (body.get("metrics") or {}).get("chance")
        why = f"as in {RESULTS}"
        return _free(arms, people, float(chance) if chance else None, "reported", why)


def parser_of(body: Mapping[str, Any]) -> str:
    """Return the name of the parser that read the replies of a results.json."""
    return str(body.get("parser") or PARSER)


def number(value: object) -> int:
    """Return a whole number that a results.json should have; 0 for anything else."""
    return value if isinstance(value, int) else 0


@contextmanager
def _undamaged(folder: Path) -> Iterator[None]:
    """Raise UserError for what can't be read in the fields of a results.json."""
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            str(folder / RESULTS), f"is damaged: {error!r}", "get the file again"
        ) from error


def _computed_figures(arm: ArmMetrics) -> _Figures:
    parts = (arm.accuracy, arm.pairs, arm.facts)
    accuracy, pairs, facts = (one[ALL][ALL] if one else None for one in parts)
    return _Figures(accuracy or _NOTHING, pairs, facts, arm.coverage, vars(arm.usage))


def _stored_figures(arm: Mapping[str, Any]) -> _Figures:
    parts = (arm.get(name) for name in ("accuracy", "pairs", "facts"))
    accuracy, pairs, facts = map(_stored_figure, parts)
    usage = arm.get("usage") or {}
    return _Figures(accuracy or _NOTHING, pairs, facts, float(arm["coverage"]), usage)


def _stored_figure(parts: Mapping[str, Any] | None) -> Figure | None:
    """Return the figure of all items; raise KeyError, TypeError or ValueError if there is none."""
    if not parts:
        return None
    stored = parts[ALL][ALL]
    value, low, high = (
        None if stored[name] is None else float(stored[name]) for name in ("value", "low", "high")
    )
    if not all(one is None or isfinite(one) for one in (value, low, high)):
        raise ValueError("a figure is no number")
    items, groups = int(stored["items"]), int(stored["groups"])
    return Figure(value, low, high, items, groups, str(stored.get("note", "")))


def _model(
    claims: Claims, figures: _Figures | None, gain: Figure | None, status: Status, why: str
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
        prompt=str(identity.prompt),
        prompt_sha256=str(identity.prompt_sha256),
        frames=_frames(identity),
        repeats=number(body.get("repeats")) or 1,
        sampling={name: one for name, one in identity.settings.items() if one not in (None, {})},
        input_tokens=number(usage.get("input_tokens")),
        output_tokens=number(usage.get("output_tokens")),
        cost_usd=float(usage.get("cost_usd") or 0),
        made=str(body.get("made") or ""),
        egost=str(body.get("egost") or ""),
    )


def _frames(identity: Identity) -> str:
    cut = "as released" if identity.fps is None else f"{identity.fps:g} a second, cut anew"
    size = "" if identity.image_pixels is None else f", at most {identity.image_pixels} pixels"
    return f"{cut}{size}"


def _free(
    arms: Mapping[str, _Figures],
    people: Figure | None,
    chance: float | None,
    status: Status,
    why: str,
) -> list[Row]:
    rows = [
        Row(name, "baseline", status, why, one.accuracy, one.pairs, one.facts)
        for name, one in arms.items()
    ]
    if chance:
        rows.append(Row("chance", "chance", status, why, Figure(chance, None, None, 0, 0)))
    if people:
        rows.append(Row("people", "people", status, f"{why}, on the items they answered", people))
    return rows
