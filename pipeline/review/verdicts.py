"""Turns an annotation into a verdict: what a person chose and edited, compared with the draft they saw."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline.engine.rows import Finding, Record, digest
from pipeline.labelstudio.protocol import Annotation
from pipeline.review.rows import MISSED, UNREADABLE, Verdict
from pipeline.review.verified import finding
from pipeline.routes import route, wording
from pipeline.routes.rows import Step
from pipeline.routes.typed import Lines, Reading, read_lines

SCRIPTED = "@scripted.invalid"
"""Scripted reviewers' e-mail addresses end in this; nobody can own a `.invalid` address."""

Kind = Literal["real", "gold", "planted", "adjudication"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class Pulled:
    """One annotation: its id in the store, its verdict, its problems, the span that its page showed.

    `readings` are the step lines that were not read as they stand.
    """

    annotation_id: str
    verdict: Verdict
    findings: tuple[Finding, ...]
    span_us: tuple[int, int]
    readings: tuple[Reading, ...] = ()


class _Version(Record):
    """One side of an adjudication."""

    verdict: Literal["accept", "corrected", "reject"]
    reasons: list[str]
    steps: list[Step]
    forward: str
    reverse: str


class _Texts(Record):
    """The texts of a route page: the step lines and both descriptions."""

    steps: str
    forward: str
    reverse: str


class ShownPage(BaseModel):
    """The parts of a task's data by which an annotation is read; the data hold more.

    `draft_texts` are the draft's, if the page showed what a person typed in an earlier round.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    uid: str
    clip_id: str
    fingerprint: str
    round: int
    guideline_version: str
    start_us: int
    end_us: int
    steps: str
    forward: str
    reverse: str
    draft_steps: list[Step]
    draft_texts: _Texts | None = None
    versions: dict[Literal["A", "B"], _Version] = {}

    @property
    def before(self) -> _Texts:
        """The draft's texts, from which an edit differs."""
        return self.draft_texts or _Texts.model_validate(_shown(self))


def uid(secret: bytes, clip_id: str, kind: Kind, number: int) -> str:
    """Return the id of a clip's task in a round; it doesn't reveal whether the task is planted."""
    return digest("task", secret.hex(), clip_id, kind, number)


def kind_of(data: Mapping[str, Any], secret: bytes) -> Kind | None:
    """Return the kind of a task that this workspace made, or None for other tasks."""
    clip_id, number = data.get("clip_id"), data.get("round")
    if not isinstance(clip_id, str) or not isinstance(number, int):
        return None
    return next(
        (one for one in KINDS if data.get("uid") == uid(secret, clip_id, one, number)), None
    )


def page_of(data: Mapping[str, Any], secret: bytes) -> tuple[ShownPage, Kind] | None:
    """Return a page as this workspace sent it, and its kind; None for any other task.

    Somebody may have imported the task, or one of ours with changed data.
    """
    kind = kind_of(data, secret)
    try:
        page = ShownPage.model_validate(data)
    except ValidationError:
        return None
    if kind is None or (kind == "adjudication" and len(page.versions) != 2):
        return None
    return page, kind


def judge(annotation: Annotation, page: ShownPage, kind: Kind, secret: bytes) -> Pulled:
    """Return the verdict that an annotation expresses; `secret` determines the pseudonym.

    The page also sends prefilled fields that were not touched, so only a difference from the draft
    is an edit. An annotation that can't be read becomes a verdict that doesn't count, with a finding.
    What was typed is kept in any case, after a skip too.
    """
    given = values(annotation.result)
    if len(given.keys() & _Texts.model_fields.keys()) > 1:
        # The page also sends texts that were left as they are, but no empty one. Scripts may send
        # the one text that they changed.
        given = dict.fromkeys(_Texts.model_fields, "") | given
    if annotation.skipped:
        reading = _Reading("skip", _note(given))
    else:
        reading = (_read_adjudication if kind == "adjudication" else _read)(given, page)
    if kind == "planted" and reading.verdict == "corrected" and _same_turns(reading, page):
        reading = replace(reading, reasons=[MISSED, *reading.reasons])
    if reading.problem:
        reasons = [UNREADABLE, reading.problem, *reading.reasons]
        reading = replace(reading, verdict="skip", reasons=reasons, steps=())
    before = page.before.model_dump()
    # The page sends nothing but the choice of a skip; a text of an earlier round isn't this person's.
    texts = reading.version or _Texts.model_validate(
        (before if annotation.skipped else _shown(page))
        | {name: given[name] for name in before.keys() & given.keys()}
    )
    exactly = reading.steps and not reading.readings
    typed = "" if exactly or _same(texts.steps, page.before.steps) else texts.steps
    # Another server counts its annotations from 1 again, so the id includes that of the task.
    annotation_id = f"{page.uid}-{annotation.id}"
    row = Verdict.model_validate(
        {
            "clip_id": page.clip_id,
            "fingerprint": page.fingerprint,
            "round": page.round,
            "annotator": pseudonym(annotation.email, secret),
            "verdict": reading.verdict,
            "reasons": list(reading.reasons),
            "steps": list(reading.steps),
            "forward_description": texts.forward,
            "reverse_description": texts.reverse,
            "seconds": annotation.seconds,
            "guideline_version": page.guideline_version,
            "created_us": annotation.updated_us,
            "annotation_id": annotation_id,
            "kind": kind,
            "by": by(annotation.email),
            "typed": typed,
        }
    )
    found = []
    if reading.problem:
        message = f"{row.annotator}: {reading.problem}"
        found.append(finding(row.clip_id, UNREADABLE, "error", message))
    span = (page.start_us, page.end_us)
    return Pulled(annotation_id, row, tuple(found), span, tuple(reading.readings))


@dataclass(frozen=True)
class _Reading:
    """The contents of an annotation; with a `problem` it doesn't count.

    `version` holds the texts of the side that an adjudicator chose.
    """

    verdict: str
    reasons: Sequence[str]
    steps: Sequence[Step] = ()
    problem: str | None = None
    readings: Sequence[Reading] = ()
    version: _Texts | None = None


def _same_turns(reading: _Reading, page: ShownPage) -> bool:
    return route.turns(reading.steps) == route.turns(page.draft_steps)


def _read(given: Mapping[str, str], page: ShownPage) -> _Reading:
    """Read the values that a route page sends; compare them with the draft."""
    verdict = given.get("verdict", "")
    edited = _edited(given, page)
    reasons = []
    if verdict == "reject":
        reasons += [part for part in given.get("reasons", "").split("\n") if part]
    reasons += _note(given)
    if verdict not in ("accept", "corrected", "reject"):
        return _Reading("skip", reasons, problem="no verdict was chosen")
    if verdict == "reject":
        return _Reading(verdict, reasons)
    lines = read_typed(given.get("steps", page.steps), page)
    if lines.mistakes:
        problem = f"step lines can't be read: {'; '.join(map(str, lines.mistakes))}"
        return _Reading("skip", reasons, problem=problem)
    removed = [
        name
        for name in ("forward", "reverse")
        if getattr(page.before, name).strip() and not given.get(name, "removed").strip()
    ]
    if removed:
        problem = f"there is no {' and no '.join(removed)} description any more"
        return _Reading("skip", reasons, problem=problem)
    if verdict == "corrected" and not edited:
        problem = 'the verdict is "corrected", but nothing was changed'
        return _Reading("skip", reasons, problem=problem)
    verdict = "corrected" if edited else verdict
    return _Reading(verdict, reasons, lines.steps, readings=lines.readings)


def read_typed(text: str, page: ShownPage) -> Lines:
    """Read step lines that were typed on a page; untouched ones are the draft's steps."""
    if _same(text, page.before.steps):
        return Lines(tuple(page.draft_steps))
    words = wording.move_words()
    return read_lines(text, page.start_us, page.end_us, page.draft_steps, words)


def _read_adjudication(given: Mapping[str, str], page: ShownPage) -> _Reading:
    """Read the values that an adjudication page sends: version A or B, a third version, or a rejection."""
    letter = given.get("verdict", "")
    if letter not in ("A", "B"):
        return _read(given, page)
    # Text of an earlier round is shown again: leaving it as it is changes nothing.
    if any(not _same(given.get(name, text), text) for name, text in _shown(page).items()):
        problem = f"version {letter} was chosen, but the text was changed"
        return _Reading("skip", _note(given), problem=problem)
    chosen = page.versions["A" if letter == "A" else "B"]
    reasons = [*chosen.reasons, *_note(given)]
    texts = _Texts(steps=page.before.steps, forward=chosen.forward, reverse=chosen.reverse)
    return _Reading(chosen.verdict, reasons, chosen.steps, version=texts)


def _note(given: Mapping[str, str]) -> list[str]:
    return [f"note: {given['note']}"] if given.get("note") else []


def _edited(given: Mapping[str, str], page: ShownPage) -> bool:
    return any(
        not _same(given.get(name, text), getattr(page.before, name))
        for name, text in _shown(page).items()
    )


def _shown(page: ShownPage) -> dict[str, str]:
    return {"steps": page.steps, "forward": page.forward, "reverse": page.reverse}


def _same(one: str, other: str) -> bool:
    return one.split() == other.split()


def values(result: Iterable[object]) -> dict[str, str]:
    """Return the value of each control by its name; several texts or choices are joined by line breaks."""
    found = {}
    for one in result:
        value = one.get("value") if isinstance(one, dict) else None
        if isinstance(one, dict) and isinstance(value, dict):
            texts = value.get("text", value.get("choices", []))
            texts = texts if isinstance(texts, list) else [texts]
            found[str(one.get("from_name"))] = "\n".join(map(str, texts))
    return found


def pseudonym(email: str, secret: bytes) -> str:
    """Return a person's pseudonym, which is constant within this workspace; a script keeps its name."""
    if email.endswith(SCRIPTED):
        return "script-" + email.removesuffix(SCRIPTED)
    return "a-" + digest("annotator", secret.hex(), email.casefold())[:8]


def by(email: str) -> Literal["person", "script"]:
    """Return whether an account belongs to a script or a person."""
    return "script" if email.endswith(SCRIPTED) else "person"
