"""Which options of an item about two facts are true of a span, from its steps alone. Pure.

Nothing here uses how items are composed, so that checks and gates find the composer's mistakes.
"""

from collections.abc import Iterator, Mapping, Sequence

from pipeline.questions.rows import AskedFact, Item
from pipeline.routes.route import reverse
from pipeline.routes.rows import Orientation, Step
from pipeline.routes.tasks import plain

_ORDINALS = 3  # turns are named up to the third, from the start or from the end


def true_options(item: Item, steps: Sequence[Step], said: Mapping[str, str]) -> list[bool | None]:
    """Return for each option whether it is true of a span with these steps, as its frames show them.

    It is None where the option's text doesn't say what the item's facts state. `said` are the words of the
    item's language.
    """
    known = [_truth(fact, item.orientation, steps) for fact in item.facts]
    sides = sum(step.move in ("left", "right") for step in steps)
    return [
        bool(known)
        and all(fact.values[index] == value for fact, value in zip(item.facts, known, strict=True))
        if text in _texts(item.facts, index, sides, said)
        else None
        for index, text in enumerate(item.options)
    ]


def _truth(fact: AskedFact, orientation: Orientation, steps: Sequence[Step]) -> str | None:
    """Return which value of a fact is true; None if the steps don't decide it."""
    kind, _, subject = fact.name.partition(":")
    way = reverse(steps) if orientation == "reverse" else tuple(steps)
    if kind == "turn":
        sides = [step.move for step in way if step.move in ("left", "right")]
        number = int(subject)
        return sides[number - 1] if 0 < number <= len(sides) else None
    if kind == "landmark":
        return _first(subject, [plain(step.landmark) for step in way if step.landmark])
    if orientation == "reverse" and fact.back.rpartition("=")[0] == fact.name:
        # The item names the actions themselves, not what undoes them: they are seen going back in time.
        way = tuple(reversed(steps))
    return _first(subject, [plain(step.action) for step in way if step.action])


def _first(subject: str, names: Sequence[str]) -> str | None:
    for one, other in split_names(subject):
        if names.count(one) == names.count(other) == 1:
            return "first" if names.index(one) < names.index(other) else "second"
    return None


def split_names(subject: str) -> Iterator[tuple[str, str]]:
    """Yield the two names of an order in every way it can be divided; a name may contain the bar."""
    parts = subject.split("|")
    for at in range(1, len(parts)):
        yield "|".join(parts[:at]), "|".join(parts[at:])


def _texts(
    facts: Sequence[AskedFact], index: int, sides: int, said: Mapping[str, str]
) -> frozenset[str]:
    """Return the texts that say what the option states of the facts."""
    found = [""]
    for number, fact in enumerate(facts):
        joint = said["and"] if number else ""
        found = [
            f"{text}{joint}{words}"
            for text in found
            for words in wordings(fact.name, fact.values[index], sides, said)
        ]
    return frozenset(found)


def wordings(name: str, value: str, sides: int, said: Mapping[str, str]) -> Iterator[str]:
    """Yield the words that say a value of a fact, in a span with this many turns to the left or right."""
    kind, _, subject = name.partition(":")
    if kind == "turn":
        for key, number in (
            ("nth", int(subject)),
            ("last", sides + 1 - int(subject)),
        ):
            if 0 < number <= _ORDINALS and value in said:
                yield said["turn"].format(nth=said[f"{key}_{number}"], side=said[value])
        return
    for one, other in split_names(subject):
        first, second = (one, other) if value == "first" else (other, one)
        yield said[f"{kind}_order"].format(first=first, second=second)
