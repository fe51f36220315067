"""Rewards of one completion, judged by its row's solution. Pure.

`exact` is the reference's only reward; all others are this project's own. None stands for a reward that isn't defined for a
row: trainers that can skip it do.

A copy of this code is in the file that trainers import. So it uses the standard library alone, and so does what it imports.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import isfinite
from typing import Any, NamedTuple, cast

from pipeline.releases.letter import parse_letter
from pipeline.releases.replytext import plain_text, without_thinking
from pipeline.routes.likeness import Reference, common_f1, likeness, turn_likeness
from pipeline.routes.rows import Move
from pipeline.routes.told import Told, Vocabulary, name_key, told
from pipeline.training.lists import Event, Lists, inverted, read

TAU = 2.0
"""Seconds by which a stated time may be off before it earns nothing: about the length of a turn."""
WELL_FORMED = 0.1

_WHOLE = re.compile(r"\s*<think>(?P<think>.*?)</think>\s*<answer>.*?</answer>\s*", re.DOTALL)
_ANSWER_TAG = re.compile(r"<\s{0,9}/?\s{0,9}(?:final[_ ]?)?answer\b[^<>]{0,40}>", re.IGNORECASE)
_TAG = re.compile(
    rf"{_ANSWER_TAG.pattern}|<\s{{0,9}}/?\s{{0,9}}think\w*[^<>]{{0,40}}>", re.IGNORECASE
)
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
# Longer ones count as no answer: nobody writes them, and the time to read them grows faster than their length.
_LONGEST_TEXT = 20_000  # characters outside of thinking
_LONGEST_ANSWER = 4_000
_LEAST = 1e-9  # by which a list must be better than a copy of the options


class Rewards(NamedTuple):
    """The rewards of one completion; see `rewards` for what each is.

    All but `format`, which is 0 or .1, are from 0 to 1.
    """

    exact: float | None
    square: float | None
    route: float | None
    times: float | None
    consistency: float | None
    format: float


SCHEMES: Mapping[str, tuple[str, ...]] = {
    "paper": ("exact",),
    "ours": Rewards._fields,
    **{f"ours_{name}": (name,) for name in Rewards._fields if name != "exact"},
}
"""The rewards that a scheme is the sum of. Only `paper` is the reference's."""


def total(found: Rewards, scheme: str = "paper") -> float | None:
    """Return the sum of a scheme's rewards that are defined; None if none of them is."""
    defined = [value for name in SCHEMES[scheme] if (value := getattr(found, name)) is not None]
    return sum(defined) if defined else None


def rewards(completion: str, solution: Mapping[str, Any]) -> Rewards:
    """Return the rewards of a completion; `solution` is what `solution.py` makes of its row.

    - exact: 1 for the right letter. The completion must end with a single, full `<answer>X</answer>`.
    - square: .25 (b1 + b2) + .5 b1 b2, where b is 1 for each of the two asked facts that the chosen option gets right.
    - route: the mean of the turns' likeness (1 - edits / length of the longer list) and the F1 of landmarks and of actions
      in order, of the list of what happens; of an item answered in words, of the description. A kind in which
      it is no better than a copy of the options earns nothing.
    - times: the F1 of turns matched one to one by side, each match worth 1 - |difference of their middles| / TAU; 0 if
      the turns are no better than a copy.
    - consistency: route if the list inverted equals the list of the way back and both agree with the answer, else 0.
    - format: .1 for `<think>...</think><answer>...</answer>` with nothing before, between or after.
    """
    called = _names(solution)
    known = _renamed(solution, called)
    answer, stated = _answer(completion), _stated(completion, called)
    happened = [
        Event(one["kind"], one["what"], one["start"], one["end"]) for one in solution["happenings"]
    ]
    if solution["format"] == "open":
        exact = square = None
        said = told(answer or "", _vocabulary(solution))
        route = _described(said, happened, solution)
        agrees: bool | None = answer is not None and _same_turns(said, _way(stated, solution))
    else:
        chosen = _chosen(completion, answer, solution["options"])
        right = _ALPHABET.find(solution["answer"])
        exact = float(chosen == right)
        square = _square(chosen, right, solution["facts"])
        route = _listed(stated.forward, [_called(one, called) for one in happened], known)
        agrees = _agrees(chosen, _way(stated, known), known["facts"])
    consistent = None
    if route is not None and agrees is not None:
        consistent = route if agrees and _inverts(stated, known) else 0.0
    times = _times(stated.forward, happened)
    if times and _of_one("turn", stated.forward, happened, solution) == 0:
        times = 0.0
    return Rewards(exact, square, route, times, consistent, _format(completion, answer))


def lists_agree(completion: str, chosen: int, solution: Mapping[str, Any]) -> bool | None:
    """Return whether the list of the asked way that a completion states makes the chosen option true, as `consistency` asks.

    `chosen` is the option's place. None if the completion states no lists, or the item has no facts.
    """
    called = _names(solution)
    known, stated = _renamed(solution, called), _stated(completion, called)
    return _agrees(chosen, _way(stated, known), known["facts"]) if any(stated) else None


# ---- the answer ----------------------------------------------------------------------------------


def _answer(completion: str) -> str | None:
    """Return what is in the one answer tag outside of thinking, with which a completion must end."""
    # What follows the last closing tag would be in the content, together with that tag.
    _, opened, content = completion.rstrip().removesuffix("</answer>").rpartition("<answer>")
    rest, _ = without_thinking(completion)
    if not opened or len(rest) > _LONGEST_TEXT or len(content) > _LONGEST_ANSWER:
        return None
    alone = len(_ANSWER_TAG.findall(rest)) == 2 and not _TAG.search(content)
    return content.strip() if alone else None


def _chosen(completion: str, answer: str | None, options: int) -> int | None:
    """Return the place of the chosen option, if the parser that models are scored with reads the same letter."""
    letter = answer if answer and len(answer) == 1 else ""
    if not letter or letter not in _ALPHABET[:options]:
        return None
    return _ALPHABET.find(letter) if parse_letter(completion, ("",) * options) == letter else None


def _format(completion: str, answer: str | None) -> float:
    whole = _WHOLE.fullmatch(completion)
    filled = whole and whole["think"].strip() and answer
    return WELL_FORMED if filled and len(_TAG.findall(plain_text(completion))) == 4 else 0.0


def _square(chosen: int | None, right: int, facts: Sequence[Mapping[str, Any]]) -> float | None:
    if len(facts) != 2:
        return None
    if chosen is None:
        return 0.0
    one, other = (bool(fact["values"][chosen] == fact["values"][right]) for fact in facts)
    return 0.25 * (one + other) + 0.5 * (one and other)


# ---- the way -------------------------------------------------------------------------------------


def _listed(
    stated: Sequence[Event], happened: Sequence[Event], solution: Mapping[str, Any]
) -> float | None:
    """Return how alike the stated list and what happened are; None if nothing happened that the options don't state."""
    parts = [_of_one(kind, stated, happened, solution) for kind in ("turn", "landmark", "action")]
    known = [part for part in parts if part is not None]
    return sum(known) / len(known) if known else None


def _of_one(
    kind: str, stated: Sequence[Event], happened: Sequence[Event], solution: Mapping[str, Any]
) -> float | None:
    """Return how alike the lists of one kind are; None if a copy of what the options state would be perfect.

    0 if a copy is as good, or if the list is one, repeated or not; a perfect list isn't taken for a copy.
    """
    said, wanted = _of_kind(stated, kind), _of_kind(happened, kind)
    alike = turn_likeness if kind == "turn" else common_f1
    copies = list(_copies(kind, wanted, solution))
    copied = max((alike(copy, wanted) for copy in copies), default=0.0)
    if copied == 1 or not (said or wanted):
        return None
    reached = alike(said, wanted)
    repeats = reached < 1 and any(_repeats(said, copy) for copy in copies)
    return reached if reached > copied + _LEAST and not repeats else 0.0


def _copies(kind: str, wanted: Sequence[str], solution: Mapping[str, Any]) -> Iterator[list[str]]:
    """Yield lists of one kind that are no more than copies of what the options state.

    Of turns, those of each option and of all in a row, as they are and inverted. Of names, the best copy: those of the
    options in the right order.
    """
    facts = [fact for fact in solution["facts"] if fact["kind"] == kind]
    if kind != "turn":
        known = {name for fact in facts for name in fact["subject"]}
        undo = _undo(solution)
        yield [name for name in wanted if known & {name, undo.get(name, name)}]
    elif facts:
        options = [
            [str(fact["values"][option]) for fact in facts] for option in range(solution["options"])
        ]
        for sides in (*options, [side for option in options for side in option]):
            yield sides
            yield [one.what for one in inverted([Event("turn", side) for side in sides])]


def _repeats(said: Sequence[str], copy: Sequence[str]) -> bool:
    """Return whether a list is a copy again and again."""
    return bool(copy) and all(one == copy[at % len(copy)] for at, one in enumerate(said))


def _described(said: Told, happened: Sequence[Event], solution: Mapping[str, Any]) -> float | None:
    """Return how alike a description and the way are; None if there is nothing to describe."""
    way, orientation = happened, solution["orientation"]
    if orientation == "reverse":
        undo = {one["what"]: one["undo"] for one in solution["happenings"] if one["undo"]}
        way = inverted([one for one in way if one.kind != "action" or one.what in undo], undo)
    turns, landmarks, actions = (
        tuple(_of_kind(way, kind)) for kind in ("turn", "landmark", "action")
    )
    moves = cast(tuple[Move, ...], turns)
    alike = likeness(said, Reference(moves, landmarks, actions, orientation))
    turning = alike.turns if turns or said.turns else None
    parts = [part for part in (turning, alike.landmarks, alike.actions) if part is not None]
    return sum(parts) / len(parts) if parts else None


def _vocabulary(solution: Mapping[str, Any]) -> Vocabulary:
    happenings = solution["happenings"]
    actions = [one for one in happenings if one["kind"] == "action"]
    return Vocabulary(
        [one["what"] for one in happenings if one["kind"] == "landmark"],
        [name for one in actions for name in (one["what"], one["undo"]) if name],
        solution.get("phrases", {}),
    )


def _times(stated: Sequence[Event], happened: Sequence[Event]) -> float | None:
    """Return the F1 of turns matched one to one by side, by how near they are in time; None without turns."""
    said = [one for one in stated if one.kind == "turn"]
    wanted = [one for one in happened if one.kind == "turn"]
    if not wanted:
        return None
    near = sum(
        _matched(_middles(said, side), _middles(wanted, side))
        for side in {one.what for one in wanted}
    )
    return 2 * near / (len(said) + len(wanted))


def _middles(turns: Sequence[Event], side: str) -> list[float]:
    spans = [(one.start, one.end) for one in turns if one.what == side]
    middles = [
        (start + end) / 2
        for start, end in spans
        if start is not None and end is not None and start <= end
    ]
    return sorted(filter(isfinite, middles))


def _matched(said: Sequence[float], wanted: Sequence[float]) -> float:
    """Return the most that matches between two sorted lists of times can earn. The best ones never cross."""
    last = [0.0] * (len(wanted) + 1)
    for one in said:
        now = [0.0]
        for place, other in enumerate(wanted):
            near = max(0.0, 1 - abs(one - other) / TAU)
            now.append(max(now[-1], last[place + 1], last[place] + near))
        last = now
    return last[-1]


# ---- agreement within a completion ---------------------------------------------------------------


def _stated(completion: str, called: "_Names") -> Lists:
    """Return the lists that a completion states before its answer, empty if they can't be read."""
    lists = read(completion.partition("<answer>")[0]) or Lists((), ())
    return Lists(*(tuple(_called(one, called) for one in events) for events in lists))


def _way(stated: Lists, solution: Mapping[str, Any]) -> Sequence[Event]:
    """Return the list that the item asks about."""
    return stated.backward if solution["orientation"] == "reverse" else stated.forward


def _inverts(stated: Lists, solution: Mapping[str, Any]) -> bool:
    """Return whether the list of the way back is the other one inverted, actions as they are or undone."""
    back = tuple(Event(one.kind, one.what) for one in stated.backward)
    return back in (inverted(stated.forward), inverted(stated.forward, _undo(solution)))


def _agrees(
    chosen: int | None, way: Sequence[Event], facts: Sequence[Mapping[str, Any]]
) -> bool | None:
    """Return whether a list makes the chosen option true; None for items without facts."""
    if not facts:
        return None
    return chosen is not None and all(_value(fact, way) == fact["values"][chosen] for fact in facts)


def _value(fact: Mapping[str, Any], way: Sequence[Event]) -> str | None:
    """Return which value of a fact a list states; None if it decides neither."""
    names = _of_kind(way, fact["kind"])
    if fact["kind"] == "turn":
        sides = [name for name in names if name in ("left", "right")]
        number = int(fact["subject"])
        return sides[number - 1] if 0 < number <= len(sides) else None
    one, other = fact["subject"]
    if one == other or names.count(one) != 1 or names.count(other) != 1:
        return None
    return "first" if names.index(one) < names.index(other) else "second"


def _same_turns(said: Told, way: Sequence[Event]) -> bool:
    """Return whether a description makes the turns of a list; it may begin by turning around."""
    made, turns = list(said.turns), _of_kind(way, "turn")
    return turns == made or (made[:1] == ["around"] and turns == made[1:])


def _undo(solution: Mapping[str, Any]) -> dict[str, str]:
    return {one["what"]: one["undo"] for one in solution["happenings"] if one["undo"]}


def _of_kind(events: Sequence[Event], kind: str) -> list[str]:
    return [one.what for one in events if one.kind == kind]


# ---- names ---------------------------------------------------------------------------------------

_Names = Callable[[str], str]


def _names(solution: Mapping[str, Any]) -> _Names:
    """Return what gives all wordings of a name the same one.

    Two things of a row may differ in their wording alone, such as a door and doors: each keeps its own name, and any
    other wording is the first one's.
    """
    own, worded = set(), dict[str, str]()
    for one in solution["happenings"]:
        for name in (one["what"], one["undo"]) if one["kind"] != "turn" else ():
            if name:
                own.add(name.lower())
                worded.setdefault(_key(name), name.lower())

    def called(name: str) -> str:
        known = name.lower()
        return known if known in own else worded.get(_key(name), known)

    return called


def _key(name: str) -> str:
    """Return what is the same for all wordings of a name; a name without words is its own key."""
    return name_key(name) or name.lower()


def _called(one: Event, called: _Names) -> Event:
    return one if one.kind == "turn" else one._replace(what=called(one.what))


def _renamed(solution: Mapping[str, Any], called: _Names) -> Mapping[str, Any]:
    """Return a solution with all its names as lists are compared by."""
    return {
        **solution,
        "facts": [
            fact if fact["kind"] == "turn" else {**fact, "subject": [*map(called, fact["subject"])]}
            for fact in solution["facts"]
        ],
        "happenings": [
            one
            if one["kind"] == "turn"
            else {**one, "what": called(one["what"]), "undo": one["undo"] and called(one["undo"])}
            for one in solution["happenings"]
        ],
    }
