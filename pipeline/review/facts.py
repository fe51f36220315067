"""What people must agree on in each category: facts, not spans or prose, after resolving synonyms. Pure."""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence

from pipeline.routes import route
from pipeline.routes.rows import Category, Step
from pipeline.routes.tasks import plain

Vocabulary = Mapping[tuple[str, str], str]
"""From a kind (`landmark` or `action`) and a wording in plain form to its canonical name."""


def named(vocabulary: Vocabulary, kind: str, text: str) -> str:
    """Return the canonical name for a wording."""
    wording = plain(text)
    return vocabulary.get((kind, wording), wording)


Facts = Mapping[Category, Callable[[Sequence[Step]], Hashable]]
"""By category, the function from steps to the value that two people must share to agree."""


def facts_of(vocabulary: Vocabulary) -> Facts:
    """Return the facts by category, with the vocabulary's synonyms resolved."""

    def landmarks(steps: Iterable[Step]) -> tuple[str, ...]:
        return tuple(named(vocabulary, "landmark", one.landmark) for one in steps if one.landmark)

    def actions(steps: Iterable[Step]) -> tuple[tuple[str, str], ...]:
        return tuple(
            (named(vocabulary, "action", one.action), named(vocabulary, "action", one.undo or ""))
            for one in steps
            if one.action
        )

    return {
        "route": lambda steps: (route.course(steps), landmarks(steps), actions(steps)),
        "direction": route.turns,
        "landmark": landmarks,
        "action": actions,
    }
