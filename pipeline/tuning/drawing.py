"""Draw the tokens of one row of a batch, and end it, by that row's own settings alone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from pipeline.tuning.chat_body import Drawing


@dataclass(frozen=True)
class Draw:
    """Chance for one row: its settings, and a generator of its own, so that other rows don't shift it."""

    settings: Drawing
    generator: torch.Generator

    @classmethod
    def of(cls, settings: Drawing, fresh: int, device: torch.device) -> "Draw":
        """Return the chance of a request; without a seed of its own it starts from `fresh`."""
        seed = fresh if settings.seed is None else settings.seed
        return cls(settings, torch.Generator(device).manual_seed(seed))

    def only_drawn(self, scores: torch.Tensor) -> torch.Tensor:
        """Return the scores of a row (one per token) with all but the drawn token at minus infinity."""
        of = self.settings
        order = torch.sort(scores.float(), descending=True, stable=True)
        # Less the greatest, so that a low temperature makes them minus infinity at worst.
        likely = ((order.values - order.values[0]) / of.temperature).softmax(-1)
        # The least number of tokens whose probabilities reach top_p: at least one.
        kept = likely.cumsum(-1) - likely < of.top_p
        kept[0] = True
        if of.top_k > 0:
            kept[of.top_k :] = False
        at = torch.multinomial(likely * kept, 1, generator=self.generator)
        drawn = torch.full_like(scores, -torch.inf)
        drawn[order.indices[at]] = 0.0
        return drawn


class Ends:
    """Ends each row at its own limit on tokens, at its stops, or when nobody waits for it any more."""

    def __init__(
        self,
        limits: Sequence[int],
        width: int,
        stopped: Callable[[int, torch.Tensor], bool],
        gone: Callable[[int], bool],
    ) -> None:
        """Take the rows' limits in tokens, and the width of the prompts; `stopped` gets a row and its tokens."""
        self._limits, self._width, self._stopped, self._gone = limits, width, stopped, gone
        self.lengths = list(limits)  # of the replies: what follows in a row is filler

    def __call__(self, tokens: torch.Tensor, scores: object, **_: object) -> torch.Tensor:
        """Return for each row whether it ends; `tokens` are prompts and replies so far, rows x tokens."""
        made = tokens.shape[1] - self._width
        ends = []
        for row, limit in enumerate(self._limits):
            ends.append(made >= limit or self._gone(row) or self._stopped(row, tokens[row]))
            if ends[row]:
                self.lengths[row] = min(self.lengths[row], made)
        return torch.tensor(ends, dtype=torch.bool, device=tokens.device)
