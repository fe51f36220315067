"""What people must agree on, by category: facts, not spans or prose, with one name for the same thing. Pure."""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence

from pipeline.routes import route
from pipeline.routes.rows import Category, Step
from pipeline.routes.tasks import plain

Vocabulary = Mapping[tuple[str, str], str]
"""From a kind (landmark or action) and what was said, in plain form, to the one name."""


def named(vocabulary: Vocabulary, kind: str, text: str) -> str:
    """Return the one name for what was said."""
    said = plain(text)
    return vocabulary.get((kind, said), said)


Facts = Mapping[Category, Callable[[Sequence[Step]], Hashable]]
"""What two people must have in common to agree on a category."""


def facts_of(vocabulary: Vocabulary) -> Facts:
    """Return the facts by category, with one name for what the vocabulary calls the same."""

    def landmarks(steps: Iterable[Step]) -> tuple[str, ...]:
        return tuple(named(vocabulary, "landmark", one.landmark) for one in steps if one.landmark)

    def actions(steps: Iterable[Step]) -> tuple[tuple[str, str], ...]:
        return tuple(
            (named(vocabulary, "action", one.action), named(vocabulary, "action", one.undo or ""))
            for one in steps
            if one.action
        )

    return {
        "route": lambda steps: (route.turns(steps), landmarks(steps), actions(steps)),
        "direction": route.turns,
        "landmark": landmarks,
        "action": actions,
    }


FACTS = facts_of({})
"""The facts where every name stands for itself."""
