"""What a text-only model chose of items that it saw without images, and what that makes as a reader. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pipeline.blind.sheet import ProbeItem, lay_out
from pipeline.blind.tried import Tried, single

MODEL = "text-only model"


@dataclass(frozen=True)
class Picks:
    """The option that a model chose of each item that it was asked; None where it gave no usable answer."""

    model: str
    of: int  # items from which those asked were drawn
    chosen: tuple[tuple[ProbeItem, int | None], ...]
    failed: Mapping[str, int]  # items without a usable answer, by reason
    cost_usd: float | None

    @property
    def answered(self) -> tuple[ProbeItem, ...]:
        """The items with a usable answer."""
        return tuple(item for item, choice in self.chosen if choice is not None)

    def reader(self, seed: int) -> Tried:
        """Return the model as a reader of the items that it answered; others count neither way."""
        table = lay_out(self.answered, seed)
        choice = np.array([choice for _, choice in self.chosen if choice is not None])
        scores = (table.position == choice[table.item_of]).astype(float)
        return single(table, MODEL, f"{self.model}, asked without images", scores)

    def note(self) -> str:
        """Return how many items were asked and answered, and why others were not, in one line."""
        sampled = f" of {self.of:,}" if self.of > len(self.chosen) else ""
        missing = ""
        if self.failed:
            why = max(self.failed, key=lambda reason: self.failed[reason])
            often = ", most often" if len(self.failed) > 1 else ""
            missing = f"; {sum(self.failed.values()):,} without a usable answer{often}: {why}"
        cost = f"; {self.cost_usd:.2f} USD" if self.cost_usd else ""
        return (
            f"{MODEL} {self.model}: asked {len(self.chosen):,}{sampled} items without images, answered "
            f"{len(self.answered):,}{missing}{cost}"
        )

    def to_json(self) -> dict[str, object]:
        """Return the model, the counts and what it chose of each item (from 0) as plain values."""
        return {
            "name": self.model,
            "asked": len(self.chosen),
            "answered": len(self.answered),
            "failed": dict(self.failed),
            "cost_usd": self.cost_usd,
            "chosen": {item.id: choice for item, choice in self.chosen},
        }
