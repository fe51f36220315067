"""Automatic doubts about routes and items, as findings that sort the review queue."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Literal

from pipeline.assets import asset
from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.rows import Finding, Row, Rows, digest
from pipeline.motion.rows import Clip, Turn
from pipeline.questions.rows import Item
from pipeline.questions.settings import CheckSettings
from pipeline.routes.route import MOVE_WORDS, canonical
from pipeline.routes.rows import Orientation, Route, Step
from pipeline.routes.tasks import SEPARATOR, RouteText, holds, plain, told, within
from pipeline.routes.wording import STEMS, load
from pipeline.sources.rows import Narration
from pipeline.times import print_time

Severity = Literal["info", "warning", "error"]
Check = Callable[[Rows, Route, "CheckSettings"], Iterator[Finding]]

_LONGEST_FACT, _LONGEST_DESCRIPTION, _LONGEST_QUESTION, _LONGEST_OPTION = 80, 1_500, 300, 400
_FILLERS = {"a", "an", "the", "then", "and", "past", "by", "to", "at", "of"}
_PERSONAL = {
    "an e-mail address": re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+"),
    "a telephone number": re.compile(r"(?<![\w.])\+?\d(?:[ ()/.-]?\d){7,14}(?![\w.])"),
    # Letters and digits in two groups or more, five signs at least: "KA-01 AB 1234", not "room B 12".
    "a licence plate": re.compile(
        r"\b(?=(?:[ -]?[A-Z0-9]){5,10}\b)[A-Z]{1,3}[ -]?(?:\d{1,2}[ -]?[A-Z]{1,3}[ -]?)?\d{2,4}(?:[ -]?[A-Z]{1,3})?\b"
    ),
    "a person's name": re.compile(r"\b(?:Mr|Mrs|Ms|Miss|Dr|Prof|Herr|Frau|Mme)\b\.? [A-Z]\w+"),
}


def depends(settings: CheckSettings, folder: WorkspaceFolder) -> str:
    """Return the digest of the wordings: what a language calls left decides what is counted."""
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
    """Doubt a turn that the camera measured to the other side, or did not measure at all."""
    clip = rows.one(Clip)
    for step in route.steps:
        if step.move == "straight":
            continue
        near = [turn for turn in rows[Turn] if _near(step, turn, settings.slack_seconds)]
        if any(turn.kind == step.move for turn in near):
            continue
        said = (
            f"at {print_time(step.start_us - clip.start_us)} the route says {MOVE_WORDS[step.move]}"
        )
        sided = [turn for turn in near if {turn.kind, step.move} == {"left", "right"}]
        if sided:
            yield _finding(
                route, "motion_contradicts", "error", f"{said}; the camera {_measured(sided[0])}"
            )
        elif near:
            yield _finding(
                route, "motion_differs", "warning", f"{said}; the camera {_measured(near[0])}"
            )
        else:
            yield _finding(route, "motion_absent", "warning", f"{said}; no turn was measured there")


def turn_left_out(rows: Rows, route: Route, settings: CheckSettings) -> Iterator[Finding]:
    """Doubt a route that has no step for a turn measured while walking."""
    clip = rows.one(Clip)
    for turn in rows[Turn]:
        told = any(
            step.move != "straight" and _near(step, turn, settings.slack_seconds)
            for step in route.steps
        )
        if turn.moving and not told:
            at = print_time(turn.start_us - clip.start_us)
            what = f"at {at} the camera {_measured(turn)}; the route has no turn there"
            yield _finding(route, "turn_left_out", "warning", what)


def glance_told(rows: Rows, route: Route, settings: CheckSettings) -> Iterator[Finding]:
    """Doubt a step that rests on a look aside alone."""
    clip = rows.one(Clip)
    for step in route.steps:
        near = [turn for turn in rows[Turn] if _near(step, turn, 0)]
        if step.move != "straight" and near and not any(turn.moving for turn in near):
            at = print_time(step.start_us - clip.start_us)
            what = f"at {at} the route says {MOVE_WORDS[step.move]}; it may be a look aside"
            yield _finding(route, "glance_told", "info", what)


# ---- the steps by themselves -----------------------------------------------------------------------


def outside_clip(rows: Rows, route: Route, settings: CheckSettings) -> Iterator[Finding]:
    """Find a step that lies beyond its clip, lasts no time, or begins before the one before it."""
    clip = rows.one(Clip)
    for number, step in enumerate(route.steps, start=1):
        where = f"step {number} ({print_time(max(0, step.start_us - clip.start_us))})"
        if step.start_us < clip.start_us or step.end_us > clip.end_us:
            yield _finding(route, "outside_clip", "error", f"{where} lies outside the clip")
        if step.start_us >= step.end_us:
            yield _finding(route, "no_duration", "error", f"{where} lasts no time")
    for number, (one, other) in enumerate(pairwise(route.steps), start=2):
        if other.start_us < one.end_us:
            what = f"step {number} begins before step {number - 1} ends"
            yield _finding(route, "out_of_order", "error", what)


def landmark_out_of_order(rows: Rows, route: Route, settings: CheckSettings) -> Iterator[Finding]:
    """Doubt two landmarks told in the other order than they were narrated."""
    clip, slack_us = rows.one(Clip), round(settings.slack_seconds * 1e6)
    told: dict[str, list[int]] = {}
    for said in rows[Narration]:
        if said.landmark and clip.start_us <= said.t_us <= clip.end_us:
            told.setdefault(plain(said.landmark), []).append(said.t_us)
    # A name narrated twice may be two things, so its time decides nothing.
    at = {name: times[0] for name, times in told.items() if len(set(times)) == 1}
    names = [plain(step.landmark) for step in route.steps if step.landmark]
    for one, other in pairwise(name for name in names if name in at):
        if at[one] > at[other] + slack_us:
            what = (
                f"the route tells {one!r} before {other!r}; they were narrated the other way round"
            )
            yield _finding(route, "landmark_out_of_order", "warning", what)


def turn_not_described(rows: Rows, route: Route, settings: CheckSettings) -> Iterator[Finding]:
    """Doubt a description that says left or right less often than the route turns there.

    How its language says them stands in prompts/stems.toml; an empty text there counts nothing.
    """
    said_as = load(route.language).description
    turned = Counter(step.move for step in route.steps)
    both: tuple[tuple[Orientation, str, int, int], ...] = (
        ("forward", route.forward_description, turned["left"], turned["right"]),
        ("reverse", route.reverse_description, turned["right"], turned["left"]),
    )
    for orientation, text, lefts, rights in both:
        words = Counter(re.findall(r"\w+", text.casefold()))
        for word, times in ((said_as["left"], lefts), (said_as["right"], rights)):
            said = words[word.casefold()]
            if word and said < times:
                what = f"the {orientation} description says {word!r} {said} times, the route has {times}"
                yield _finding(route, "turn_not_described", "warning", what)


def unknown_words(rows: Rows, route: Route, settings: CheckSettings) -> Iterator[Finding]:
    """Doubt a landmark or an action with a word that the project's vocabulary doesn't have."""
    known = {word.casefold() for word in settings.known_words}
    if not known:
        return
    for text in _facts(route):
        strange = [word for word in re.findall(r"[^\W\d_]+", text) if word.casefold() not in known]
        if strange:
            what = f"{text!r} has words that are not in known_words: {', '.join(strange)}"
            yield _finding(route, "unknown_words", "info", what)


def overlong(rows: Rows, route: Route, settings: CheckSettings) -> Iterator[Finding]:
    """Doubt texts that are longer than anyone reads."""
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
        texts = [("question", item.question, _LONGEST_QUESTION)]
        texts += [("option", option, _LONGEST_OPTION) for option in item.options]
        for name, text, most in texts:
            if len(text) > most:
                what = f"the {name} has {len(text)} characters, more than {most}"
                yield _of_item(item, "overlong", "warning", what)


def personal_data(rows: Rows, route: Route, settings: CheckSettings) -> Iterator[Finding]:
    """Find what may point to a person in the texts: addresses, numbers, plates, names with a title."""
    clip = rows.one(Clip)
    said = [n.text for n in rows[Narration] if clip.start_us <= n.t_us <= clip.end_us]
    told = (route.forward_description, route.reverse_description)
    for text in dict.fromkeys((*_facts(route), *told, *said)):
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
    """Find a multiple-choice item whose options are not four different texts, or hardly differ."""
    for item in rows[Item]:
        if item.format != "mcq":
            continue
        if len({text.casefold() for text in item.options}) != 4:
            what = "the options are not four different texts"
            yield _of_item(item, "options_alike", "error", what)
        elif len({_core(text) for text in item.options}) != 4:
            what = "two options differ in filler words or signs alone"
            yield _of_item(item, "options_near", "warning", what)


def _core(text: str) -> tuple[str, ...]:
    words = re.findall(r"\w+", text.casefold())
    return tuple(word for word in words if word not in _FILLERS)


def two_true(rows: Rows, route: Route, settings: CheckSettings) -> Iterator[Finding]:
    """Find an item of which another option than the answer is true of the route as well.

    What a model wrote can be judged where all its options are made of what the route tells.
    """
    moves = load(route.language).moves
    telling = RouteText(canonical(route.steps), moves)
    for item in rows[Item]:
        if item.format != "mcq":
            continue
        if item.option_kind == "square":
            true = [holds(text, telling, item.category, item.orientation) for text in item.options]
        else:
            happened = told(telling.events, item.orientation)
            parts = [text.split(SEPARATOR) for text in item.options]
            if not {part for option in parts for part in option} <= {*happened, *moves.values()}:
                continue
            true = [within(option, happened) for option in parts]
        right = item.answer_index is not None and true[item.answer_index]
        if not right:
            what = "the route doesn't bear the answer out"
            yield _of_item(item, "answer_not_borne_out", "error", what)
        if sum(true) - right > 0:
            yield _of_item(item, "two_true", "error", "another option is true of the route as well")


def answer_in_question(rows: Rows, route: Route, settings: CheckSettings) -> Iterator[Finding]:
    """Doubt a question that says its answer and none of the distractors."""
    for item in rows[Item]:
        question = plain(item.question)
        named = [text for text in item.options if text in question]
        if item.format == "mcq" and named == [item.answer_text]:
            what = "the question says the answer"
            yield _of_item(item, "answer_in_question", "warning", what)


CHECKS: tuple[tuple[Severity, Check], ...] = (
    # The severest that each one tells.
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
