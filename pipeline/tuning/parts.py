"""One kind of memory of a training run, and the moments of a step at which it is taken."""

from dataclasses import dataclass

GIB = 2**30
MOMENTS = {
    "loss": "when the loss is computed",
    "text": "in the backward pass of the language model",
    "vision": "in the backward pass of the vision tower",
    "generation": "while completions are generated",
}
TRAINING = frozenset({"loss", "text", "vision"})
EVER = frozenset(MOMENTS)


@dataclass(frozen=True)
class Part:
    """Memory of one kind: how much, at which moments of a step it is taken, how it is computed and by which source."""

    name: str
    gib: float
    moments: frozenset[str]
    formula: str
    source: str


def part(name: str, size: float, moments: frozenset[str], formula: str, source: str) -> Part:
    """Return a part of `size` bytes."""
    return Part(name, size / GIB, moments, formula, source)
