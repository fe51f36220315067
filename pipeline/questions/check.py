"""Automatic checks of routes and items; their findings order the review queue."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Literal

from pipeline.assets import asset
from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.rows import Finding, Row, Rows, digest
from pipeline.motion.rows import Clip, Turn
from pipeline.questions.composition import steps_shown
from pipeline.questions.rows import ComposedFrom, Item, Span
from pipeline.questions.settings import CheckSettings
from pipeline.questions.truth import true_options
from pipeline.routes.route import MOVE_WORDS, TURNS, canonical
from pipeline.routes.rows import Orientation, Route, Step
from pipeline.routes.tasks import SEPARATOR, RouteText, Words, holds, is_subsequence, plain, texts
from pipeline.routes.wording import FACT_WORDS, STEMS, load
from pipeline.sources.rows import Narration
from pipeline.times import print_time

Severity = Literal["info", "warning", "error"]
Check = Callable[[Rows, Route, "CheckSettings"], Iterator[Finding]]

_LONGEST_FACT, _LONGEST_DESCRIPTION, _LONGEST_QUESTION, _LONGEST_OPTION = 80, 1_500, 300, 400
_FILLERS = {"a", "an", "the", "then", "and", "past", "by", "to", "at", "of"}
_PERSONAL = {
    "an e-mail address": re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+"),
    "a telephone number": re.compile(r"(?<![\w.])\+?\d(?:[ ()/.-]?\d){7,14}(?![\w.])"),
    # Two or more groups of letters and digits, at least five characters: "KA-01 AB 1234", not "room B 12".
    "a licence plate": re.compile(
        r"\b(?=(?:[ -]?[A-Z0-9]){5,10}\b)[A-Z]{1,3}[ -]?(?:\d{1,2}[ -]?[A-Z]{1,3}[ -]?)?\d{2,4}(?:[ -]?[A-Z]{1,3})?\b"
    ),
    "a person's name": re.compile(r"\b(?:Mr|Mrs|Ms|Miss|Dr|Prof|Herr|Frau|Mme)\b\.? [A-Z]\w+"),
}


def depends(settings: CheckSettings, folder: WorkspaceFolder) -> str:
    """Return the digest of the wordings: a language's words for left and right decide what is counted."""
    return digest(asset(STEMS).read_text(encoding="utf-8"))


def run(rows: Rows, settings: CheckSettings, folder: WorkspaceFolder) -> Iterator[Row]:
    """Run every check on one clip's current route and items."""
    routes = {route.origin: route for route in rows[Route]}
    route = routes.get("verified") or routes.get("draft")
    if route is None:
        return
    for _, check in CHECKS:
        yield from check(rows, route, settings)


def motion_contradicts(rows: Rows, route: Route, settings: CheckSettings) -> Iterator[Finding]:
    """Report a turn that was measured to the opposite side, or was not measured at all."""
    clip = rows.one(Clip)
    for step in route.steps:
        if step.move not in TURNS:
            continue
        near = [turn for turn in rows[Turn] if _near(step, turn, settings.slack_seconds)]
        if any(turn.kind == step.move for turn in near):
            continue
        stated = (
            f"at {print_time(step.start_us - clip.start_us)} the route says {MOVE_WORDS[step.move]}"
        )
        sided = [turn for turn in near if {turn.kind, step.move} == {"left", "right"}]
        if sided:
            yield _finding(
                route,
                "motion_contradicts",
                "error",
                f"{stated}, but the camera {_measured(sided[0])}",
            )
        elif near:
            yield _finding(
                route, "motion_differs", "warning", f"{stated}, but the camera {_measured(near[0])}"
            )
        else:
            yield _finding(
                route, "motion_absent", "warning", f"{stated}, but no turn was measured there"
            )


def turn_left_out(rows: Rows, route: Route, settings: CheckSettings) -> Iterator[Finding]:
    """Report a turn, measured while walking, for which the route has no step."""
    clip = rows.one(Clip)
    for turn in rows[Turn]:
        reported = any(
            step.move in TURNS and _near(step, turn, settings.slack_seconds) for step in route.steps
        )
        if turn.moving and not reported:
            at = print_time(turn.start_us - clip.start_us)
            what = f"at {at} the camera {_measured(turn)}, but the route has no turn there"
            yield _finding(route, "turn_left_out", "warning", what)


def glance_told(rows: Rows, route: Route, settings: CheckSettings) -> Iterator[Finding]:
    """Report a turn step where only a glance was measured (a head turn without a change of heading)."""
    clip = rows.one(Clip)
    for step in route.steps:
        near = [turn for turn in rows[Turn] if _near(step, turn, 0)]
        if step.move in TURNS and near and not any(turn.moving for turn in near):
            at = print_time(step.start_us - clip.start_us)
            what = f"at {at} the route says {MOVE_WORDS[step.move]}, but that may be a glance"
            yield _finding(route, "glance_told", "info", what)


# ---- the steps alone -------------------------------------------------------------------------------


def outside_clip(rows: Rows, route: Route, settings: CheckSettings) -> Iterator[Finding]:
    """Report a step that is outside its clip, has no duration, or overlaps the previous step."""
    clip = rows.one(Clip)
    for number, step in enumerate(route.steps, start=1):
        where = f"step {number} ({print_time(max(0, step.start_us - clip.start_us))})"
        if step.start_us < clip.start_us or step.end_us > clip.end_us:
            yield _finding(route, "outside_clip", "error", f"{where} is outside the clip")
        if step.start_us >= step.end_us:
            yield _finding(route, "no_duration", "error", f"{where} has no duration")
    for number, (one, other) in enumerate(pairwise(route.steps), start=2):
        if other.start_us < one.end_us:
            what = f"step {number} begins before step {number - 1} ends"
            yield _finding(route, "out_of_order", "error", what)


def landmark_out_of_order(rows: Rows, route: Route, settings: CheckSettings) -> Iterator[Finding]:
    """Report two landmarks whose order differs from that of the narrations."""
    clip, slack_us = rows.one(Clip), round(settings.slack_seconds * 1e6)
    narrated: dict[str, list[int]] = {}
    for narration in rows[Narration]:
        if narration.landmark and clip.start_us <= narration.t_us <= clip.end_us:
            narrated.setdefault(plain(narration.landmark), []).append(narration.t_us)
    # A name narrated twice may refer to two things, so its times are ignored.
    at = {name: times[0] for name, times in narrated.items() if len(set(times)) == 1}
    names = [plain(step.landmark) for step in route.steps if step.landmark]
    for one, other in pairwise(name for name in names if name in at):
        if at[one] > at[other] + slack_us:
            what = (
                f"the route has {one!r} before {other!r}; they were narrated in the opposite order"
            )
            yield _finding(route, "landmark_out_of_order", "warning", what)


def turn_not_described(rows: Rows, route: Route, settings: CheckSettings) -> Iterator[Finding]:
    """Report a description that mentions left or right less often than the route turns that way.

    The language's words for them are in prompts/stems.toml; an empty one there skips the check.
    """
    sides = load(route.language).description
    turned = Counter(step.move for step in route.steps)
    both: tuple[tuple[Orientation, str, int, int], ...] = (
        ("forward", route.forward_description, turned["left"], turned["right"]),
        ("reverse", route.reverse_description, turned["right"], turned["left"]),
    )
    for orientation, text, lefts, rights in both:
        words = Counter(re.findall(r"\w+", text.casefold()))
        for word, times in ((sides["left"], lefts), (sides["right"], rights)):
            mentioned = words[word.casefold()]
            if word and mentioned < times:
                what = f"the {orientation} description says {word!r} for {mentioned} of {times} such turns"
                yield _finding(route, "turn_not_described", "warning", what)


def unknown_words(rows: Rows, route: Route, settings: CheckSettings) -> Iterator[Finding]:
    """Report a landmark or an action with words that are not in `known_words`."""
    known = {word.casefold() for word in settings.known_words}
    if not known:
        return
    for text in _facts(route):
        unknown = [word for word in re.findall(r"[^\W\d_]+", text) if word.casefold() not in known]
        if unknown:
            what = f"{text!r} has words that are not in check.known_words: {', '.join(unknown)}"
            yield _finding(route, "unknown_words", "info", what)


def overlong(rows: Rows, route: Route, settings: CheckSettings) -> Iterator[Finding]:
    """Report texts that are too long to read at a glance."""
    for text in _facts(route):
        if len(text) > _LONGEST_FACT:
            what = f"{text[:30]!r}… has {len(text)} characters, more than {_LONGEST_FACT}"
            yield _finding(route, "overlong", "warning", what)
    for name in ("forward_description", "reverse_description"):
        length = len(getattr(route, name))
        if length > _LONGEST_DESCRIPTION:
            what = f"the {name.replace('_', ' ')} has {length} characters, more than {_LONGEST_DESCRIPTION}"
            yield _finding(route, "overlong", "warning", what)
    for item in rows[Item]:
        limits = [("question", item.question, _LONGEST_QUESTION)]
        limits += [("option", option, _LONGEST_OPTION) for option in item.options]
        for name, text, most in limits:
            if len(text) > most:
                what = f"the {name} has {len(text)} characters, more than {most}"
                yield _of_item(item, "overlong", "warning", what)


def personal_data(rows: Rows, route: Route, settings: CheckSettings) -> Iterator[Finding]:
    """Report text that may identify a person: addresses, numbers, licence plates, names with a title."""
    clip = rows.one(Clip)
    narrated = [n.text for n in rows[Narration] if clip.start_us <= n.t_us <= clip.end_us]
    described = (route.forward_description, route.reverse_description)
    for text in dict.fromkeys((*_facts(route), *described, *narrated)):
        for what in _personal(text):
            yield _finding(route, "personal_data", "warning", what)
    for item in rows[Item]:
        if item.option_kind == "model":
            for text in (item.question, item.answer_text, *item.options):
                for what in _personal(text):
                    yield _of_item(item, "personal_data", "warning", what)


def _personal(text: str) -> Iterator[str]:
    for what, pattern in _PERSONAL.items():
        if found := pattern.search(text):
            yield f"{found.group()!r} may be {what}"


def _facts(route: Route) -> Iterator[str]:
    for step in route.steps:
        yield from (text for text in (step.landmark, step.action, step.undo) if text)


# ---- the items ---------------------------------------------------------------------------------------


def options_alike(rows: Rows, route: Route, settings: CheckSettings) -> Iterator[Finding]:
    """Report a multiple-choice item without four different options, or with two that hardly differ."""
    for item in rows[Item]:
        if item.format != "mcq":
            continue
        if len({text.casefold() for text in item.options}) != 4:
            what = "the options are not four different texts"
            yield _of_item(item, "options_alike", "error", what)
        elif len({_core(text) for text in item.options}) != 4:
            what = "two options differ only in filler words or punctuation"
            yield _of_item(item, "options_near", "warning", what)


def _core(text: str) -> tuple[str, ...]:
    words = re.findall(r"\w+", text.casefold())
    return tuple(word for word in words if word not in _FILLERS)


def two_true(rows: Rows, route: Route, settings: CheckSettings) -> Iterator[Finding]:
    """Report an item whose answer is not true of the route, or of which another option is true, too.

    An item that a model wrote is checked only if its options consist of the route's own texts.
    """
    moves, said = _words(rows, route)
    steps = canonical(route.steps)
    whole = RouteText(steps, moves)
    spans = {span.span_id: span for span in rows[Span]}
    for item in rows[Item]:
        if item.format != "mcq":
            continue
        if item.option_kind == "facts":
            span = spans[item.span_id or ""]
            true = [one is True for one in true_options(item, steps_shown(span, steps), said)]
        elif item.option_kind == "square":
            true = [holds(text, whole, item.category, item.orientation) for text in item.options]
        else:
            happened = texts(whole.events, item.orientation)
            parts = [text.split(SEPARATOR) for text in item.options]
            if not {part for option in parts for part in option} <= {*happened, *moves.values()}:
                continue
            true = [is_subsequence(option, happened) for option in parts]
        right = item.answer_index is not None and true[item.answer_index]
        if not right:
            what = "the answer is not true of the route"
            yield _of_item(item, "answer_not_borne_out", "error", what)
        if sum(true) - right > 0:
            yield _of_item(item, "two_true", "error", "another option is also true of the route")


def _words(rows: Rows, route: Route) -> tuple[Words, Mapping[str, str]]:
    """Return the words for moves and for facts that a clip's items use.

    Items keep their words while audited items use them, even if the file has others.
    """
    wording = load(route.language)
    moves, said = dict(wording.moves), dict(wording.facts)
    for composed in rows.before(ComposedFrom):
        moves |= zip(MOVE_WORDS, composed.moves, strict=False)
        said |= zip(FACT_WORDS, composed.words, strict=False)
    return moves, said


def answer_in_question(rows: Rows, route: Route, settings: CheckSettings) -> Iterator[Finding]:
    """Report a question that contains its answer and none of the distractors."""
    for item in rows[Item]:
        question = plain(item.question)
        named = [text for text in item.options if text in question]
        if item.format == "mcq" and named == [item.answer_text]:
            what = "the question contains the answer"
            yield _of_item(item, "answer_in_question", "warning", what)


CHECKS: tuple[tuple[Severity, Check], ...] = (
    # Each with the highest severity that it reports.
    ("error", motion_contradicts),
    ("warning", turn_left_out),
    ("info", glance_told),
    ("error", outside_clip),
    ("warning", landmark_out_of_order),
    ("warning", turn_not_described),
    ("info", unknown_words),
    ("warning", overlong),
    ("warning", personal_data),
    ("error", options_alike),
    ("error", two_true),
    ("warning", answer_in_question),
)


def _near(step: Step, turn: Turn, slack_seconds: float) -> bool:
    slack = round(slack_seconds * 1e6)
    return turn.start_us < step.end_us + slack and turn.end_us > step.start_us - slack


def _measured(turn: Turn) -> str:
    side = "left" if turn.yaw_degrees > 0 else "right"
    return f"turned {abs(turn.yaw_degrees):.0f} degrees to the {side}"


def _finding(route: Route, kind: str, severity: Severity, message: str) -> Finding:
    return Finding(
        unit_kind="route", unit=route.clip_id, kind=kind, severity=severity, message=message
    )


def _of_item(item: Item, kind: str, severity: Severity, message: str) -> Finding:
    return Finding(
        unit_kind="item", unit=item.item_id, kind=kind, severity=severity, message=message
    )
