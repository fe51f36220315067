"""Turns an annotation into a verdict: what a person chose and edited, compared with the draft they saw."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from pydantic import ValidationError

from pipeline.engine.rows import Finding, digest
from pipeline.labelstudio.client import Annotation
from pipeline.review.rows import MISSED, UNREADABLE, Verdict
from pipeline.review.verified import finding
from pipeline.routes import route
from pipeline.routes.rows import Step

SCRIPTED = "@scripted.invalid"
"""Scripted reviewers' e-mail addresses end in this; nobody can own a `.invalid` address."""

Kind = Literal["real", "gold", "planted", "adjudication"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class Pulled:
    """One annotation: its id in the store, its verdict, its problems, the span that its page showed."""

    annotation_id: str
    verdict: Verdict
    findings: tuple[Finding, ...]
    span_us: tuple[int, int]


def uid(secret: bytes, clip_id: str, kind: Kind, number: int) -> str:
    """Return the id of a clip's task in a round; it doesn't reveal whether the task is planted."""
    return digest("task", secret.hex(), clip_id, kind, number)


def kind_of(data: Mapping[str, Any], secret: bytes) -> Kind | None:
    """Return the kind of a task that this workspace made, or None for other tasks."""
    for kind in KINDS:
        if data.get("uid") == uid(
            secret, str(data.get("clip_id")), kind, int(data.get("round", 0))
        ):
            return kind
    return None


def judge(annotation: Annotation, secret: bytes) -> Pulled:
    """Return the verdict that an annotation expresses; `secret` determines the pseudonym.

    The page also sends prefilled fields that were not touched, so only a difference from the draft
    is an edit. An annotation that can't be read becomes a verdict that doesn't count, with a finding.
    """
    data = annotation.task.data
    kind = kind_of(data, secret)
    reading = _Reading("skip", (), (), data["forward"], data["reverse"])
    if not annotation.skipped:
        read = _read_adjudication if kind == "adjudication" else _read
        reading = read(_values(annotation.result), data)
    if kind == "planted" and reading.verdict == "corrected" and _same_turns(reading, data):
        reading = replace(reading, reasons=[MISSED, *reading.reasons])
    # Another server counts its annotations from 1 again, so the id includes that of the task.
    annotation_id = f"{data['uid']}-{annotation.id}"
    row = Verdict.model_validate(
        {
            "clip_id": data["clip_id"],
            "fingerprint": data["fingerprint"],
            "round": data["round"],
            "annotator": pseudonym(annotation.email, secret),
            "verdict": reading.verdict,
            "reasons": list(reading.reasons),
            "steps": list(reading.steps),
            "forward_description": reading.forward,
            "reverse_description": reading.reverse,
            "seconds": annotation.seconds,
            "guideline_version": data["guideline_version"],
            "created_us": annotation.updated_us,
            "annotation_id": annotation_id,
            "kind": kind,
            "by": by(annotation.email),
        }
    )
    found = []
    if reading.problem:
        message = f"{row.annotator}: {reading.problem}"
        found.append(finding(row.clip_id, UNREADABLE, "error", message))
    return Pulled(annotation_id, row, tuple(found), (data["start_us"], data["end_us"]))


@dataclass(frozen=True)
class _Reading:
    """The contents of an annotation; with a `problem` it doesn't count."""

    verdict: str
    reasons: Sequence[str]
    steps: Sequence[Step]
    forward: str
    reverse: str
    problem: str | None = None


def _same_turns(reading: _Reading, data: Mapping[str, Any]) -> bool:
    shown = [Step.model_validate(step) for step in data["draft_steps"]]
    return route.turns(reading.steps) == route.turns(shown)


def _read(given: Mapping[str, str], data: Mapping[str, Any]) -> _Reading:
    """Read the values that a route page sends; compare them with the draft that it showed."""
    draft = [Step.model_validate(step) for step in data["draft_steps"]]
    verdict = given.get("verdict", "")
    lines = given.get("steps", data["steps"])
    forward, back = given.get("forward", data["forward"]), given.get("reverse", data["reverse"])
    edited = _edited(given, data)
    reasons = []
    if verdict == "reject":
        reasons += [part for part in given.get("reasons", "").split("\n") if part]
    reasons += _note(given)
    steps: Sequence[Step] = ()
    problem = None
    try:
        if verdict in ("accept", "corrected"):
            if lines.split() == data["steps"].split():
                steps = draft
            else:
                steps = route.parse_lines(lines, data["start_us"], data["end_us"], draft)
    except route.LineError as error:
        problem = f"step lines can't be read: {error}"
    except ValidationError as error:
        problem = f"step lines can't be read: {error.errors()[0]['msg']}"
    if verdict not in ("accept", "corrected", "reject"):
        problem = "no verdict was chosen"
    elif verdict == "corrected" and not edited:
        problem = 'the verdict is "corrected", but nothing was changed'
    if problem:
        return _Reading("skip", [UNREADABLE, *reasons], (), forward, back, problem)
    if verdict == "accept" and edited:
        verdict = "corrected"
    return _Reading(verdict, reasons, steps, forward, back)


def _read_adjudication(given: Mapping[str, str], data: Mapping[str, Any]) -> _Reading:
    """Read the values that an adjudication page sends: version A or B, a third version, or a rejection."""
    letter = given.get("verdict", "")
    if letter not in ("A", "B"):
        return _read(given, data)
    version = data["versions"][letter]
    if _edited(given, data):
        return _Reading(
            "skip",
            [UNREADABLE, *_note(given)],
            (),
            data["forward"],
            data["reverse"],
            f"version {letter} was chosen, but the text was changed",
        )
    return _Reading(
        version["verdict"],
        [*version["reasons"], *_note(given)],
        [Step.model_validate(step) for step in version["steps"]],
        version["forward"],
        version["reverse"],
    )


def _note(given: Mapping[str, str]) -> list[str]:
    return [f"note: {given['note']}"] if given.get("note") else []


def _edited(given: Mapping[str, str], data: Mapping[str, Any]) -> bool:
    fields = ("steps", "forward", "reverse")
    return any(given.get(name, data[name]).split() != data[name].split() for name in fields)


def _values(result: Iterable[dict[str, Any]]) -> dict[str, str]:
    """Return the value of each control by its name; several choices are joined by line breaks."""
    found = {}
    for one in result:
        value = one.get("value") or {}
        texts = value.get("text", value.get("choices", []))
        found[str(one.get("from_name"))] = texts if isinstance(texts, str) else "\n".join(texts)
    return found


def pseudonym(email: str, secret: bytes) -> str:
    """Return a person's pseudonym, which is constant within this workspace; a script keeps its name."""
    if email.endswith(SCRIPTED):
        return "script-" + email.removesuffix(SCRIPTED)
    return "a-" + digest("annotator", secret.hex(), email.casefold())[:8]


def by(email: str) -> Literal["person", "script"]:
    """Return whether an account belongs to a script or a person."""
    return "script" if email.endswith(SCRIPTED) else "person"
