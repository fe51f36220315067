"""From an annotation to a verdict: what a person chose and edited, read against the draft they saw."""

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
"""E-mail addresses that end so belong to scripted reviewers; `.invalid` can't be anybody's."""

Kind = Literal["real", "gold", "planted", "adjudication"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class Pulled:
    """One annotation: its verdict, what was wrong with it, the span that its page showed.

    Store under `annotation_id`.
    """

    annotation_id: str
    verdict: Verdict
    findings: tuple[Finding, ...]
    span_us: tuple[int, int]


def uid(secret: bytes, clip_id: str, kind: Kind, number: int) -> str:
    """Return the name of a clip's task in a round; it doesn't tell planted tasks from real ones."""
    return digest("task", secret.hex(), clip_id, kind, number)


def kind_of(data: Mapping[str, Any], secret: bytes) -> Kind | None:
    """Return what kind of task of ours this is, or None if others put it there."""
    for kind in KINDS:
        if data.get("uid") == uid(
            secret, str(data.get("clip_id")), kind, int(data.get("round", 0))
        ):
            return kind
    return None


def judge(annotation: Annotation, secret: bytes) -> Pulled:
    """Read what one person did with one task; `secret` makes their pseudonym.

    The page sends prefilled fields that nobody touched, too, so only a difference from the draft
    is an edit. What can't be read becomes a verdict that doesn't count, with the reason.
    """
    data = annotation.task.data
    kind = kind_of(data, secret)
    said = _Said("skip", (), (), data["forward"], data["reverse"])
    if not annotation.skipped:
        read = _ruled if kind == "adjudication" else _read
        said = read(_given(annotation.result), data)
    if kind == "planted" and said.verdict == "corrected" and _turns_stand(said, data):
        said = replace(said, reasons=[MISSED, *said.reasons])
    # A second server counts its annotations from 1 again: the task's own name tells them apart.
    number = f"{data['uid']}-{annotation.id}"
    row = Verdict.model_validate(
        {
            "clip_id": data["clip_id"],
            "fingerprint": data["fingerprint"],
            "round": data["round"],
            "annotator": pseudonym(annotation.email, secret),
            "verdict": said.verdict,
            "reasons": list(said.reasons),
            "steps": list(said.steps),
            "forward_description": said.forward,
            "reverse_description": said.reverse,
            "seconds": annotation.seconds,
            "guideline_version": data["guideline_version"],
            "created_us": annotation.updated_us,
            "annotation_id": number,
            "kind": kind,
            "by": by(annotation.email),
        }
    )
    found = []
    if said.problem:
        message = f"{row.annotator}: {said.problem}"
        found.append(finding(row.clip_id, UNREADABLE, "error", message))
    return Pulled(number, row, tuple(found), (data["start_us"], data["end_us"]))


@dataclass(frozen=True)
class _Said:
    """What an annotation says; with a `problem` it counts for nothing."""

    verdict: str
    reasons: Sequence[str]
    steps: Sequence[Step]
    forward: str
    reverse: str
    problem: str | None = None


def _turns_stand(said: _Said, data: Mapping[str, Any]) -> bool:
    shown = [Step.model_validate(step) for step in data["draft_steps"]]
    return route.turns(said.steps) == route.turns(shown)


def _read(given: Mapping[str, str], data: Mapping[str, Any]) -> _Said:
    """Read what the route page sends, against the draft that it showed."""
    draft = [Step.model_validate(step) for step in data["draft_steps"]]
    said = given.get("verdict", "")
    lines = given.get("steps", data["steps"])
    forward, back = given.get("forward", data["forward"]), given.get("reverse", data["reverse"])
    edited = _edited(given, data)
    reasons = [part for part in given.get("reasons", "").split("\n") if part and said == "reject"]
    reasons += [f"note: {given['note']}"] if given.get("note") else []
    steps: Sequence[Step] = ()
    problem = None
    try:
        if said in ("accept", "corrected"):
            if lines.split() == data["steps"].split():
                steps = draft
            else:
                steps = route.parse_lines(lines, data["start_us"], data["end_us"], draft)
    except route.LineError as error:
        problem = f"step lines can't be read: {error}"
    except ValidationError as error:
        problem = f"step lines can't be read: {error.errors()[0]['msg']}"
    if said not in ("accept", "corrected", "reject"):
        problem = "no verdict was chosen"
    elif said == "corrected" and not edited:
        problem = "the verdict says corrected, but nothing was changed"
    if problem:
        return _Said("skip", [UNREADABLE, *reasons], (), forward, back, problem)
    if said == "accept" and edited:
        said = "corrected"
    return _Said(said, reasons, steps, forward, back)


def _ruled(given: Mapping[str, str], data: Mapping[str, Any]) -> _Said:
    """Read what the adjudication page sends: one of two versions, a third one, or a rejection."""
    said = given.get("verdict", "")
    if said not in ("A", "B"):
        return _read(given, data)
    reasons = [f"note: {given['note']}"] if given.get("note") else []
    version = data["versions"][said]
    if _edited(given, data):
        problem = f"version {said} was chosen, but the text was changed"
        return _Said("skip", [UNREADABLE, *reasons], (), data["forward"], data["reverse"], problem)
    steps = [Step.model_validate(step) for step in version["steps"]]
    return _Said(
        version["verdict"],
        [*version["reasons"], *reasons],
        steps,
        version["forward"],
        version["reverse"],
    )


def _edited(given: Mapping[str, str], data: Mapping[str, Any]) -> bool:
    fields = ("steps", "forward", "reverse")
    return any(given.get(name, data[name]).split() != data[name].split() for name in fields)


def _given(result: Iterable[dict[str, Any]]) -> dict[str, str]:
    """Return what each control holds; several choices come one a line."""
    found = {}
    for one in result:
        value = one.get("value") or {}
        texts = value.get("text", value.get("choices", []))
        found[str(one.get("from_name"))] = texts if isinstance(texts, str) else "\n".join(texts)
    return found


def pseudonym(email: str, secret: bytes) -> str:
    """Return a name that stays the same for a person in this workspace and tells nobody who it is.

    A script is no person, and its name says so.
    """
    if email.endswith(SCRIPTED):
        return "script-" + email.removesuffix(SCRIPTED)
    return "a-" + digest("annotator", secret.hex(), email.casefold())[:8]


def by(email: str) -> Literal["person", "script"]:
    """Tell a script's account from a person's."""
    return "script" if email.endswith(SCRIPTED) else "person"
