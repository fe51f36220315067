"""The estimated requests, tokens and cost of a run, before anything is sent."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pipeline.engine.folder import WorkspaceFolder
from pipeline.models.chat import PlainRequest, json_schema, request_keys, size_of
from pipeline.models.journal import Ledger, read_ledger
from pipeline.models.llm import ModelRequest
from pipeline.models.prices import price_of
from pipeline.models.settings import ModelSettings

_GUESSED_OUTPUT = 600  # tokens of a route with a dozen steps and two descriptions
_ENOUGH = 3  # replies, from which on their mean token counts replace the guess
_MEASURED_BAND, _GUESSED_BAND = (0.85, 1.25), (0.6, 1.8)


@dataclass(frozen=True)
class Estimate:
    """The requests still to send; `kept` have a stored reply, `withheld` may not be sent.

    `measured` is true if the token counts come from replies of this model in this workspace.
    """

    model: str
    requests: int = 0
    kept: int = 0
    withheld: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    low_usd: float = 0.0
    likely_usd: float = 0.0
    high_usd: float = 0.0
    measured: bool = False
    spent_usd: float = 0.0
    cap_usd: float = 0.0
    basis: str = ""  # of the prices
    section: str = "draft"  # of the settings

    def __add__(self, other: "Estimate") -> "Estimate":
        """Return the sum of both; spending and cap belong to the workspace and are not added."""
        if not (self.model and other.model):
            return self if self.model else other
        return Estimate(
            self.model,
            self.requests + other.requests,
            self.kept + other.kept,
            max(self.withheld, other.withheld),
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.low_usd + other.low_usd,
            self.likely_usd + other.likely_usd,
            self.high_usd + other.high_usd,
            self.measured and other.measured,
            self.spent_usd,
            self.cap_usd,
            self.basis,
            self.section,
        )

    def __str__(self) -> str:
        if not self.model:
            return "model: not used (provider = motion): 0 requests, 0.00 USD"
        basis = (
            "from the replies so far"
            if self.measured
            else "a guess; after a few replies there is a better one"
        )
        lines = [
            f"model: {self.requests} requests to {self.model}, {self.kept} replies already stored",
            f"  about {self.input_tokens:,} tokens in and {self.output_tokens:,} out ({basis})",
            f"  {self.likely_usd:.2f} USD, between {self.low_usd:.2f} and {self.high_usd:.2f};"
            f" up to {self.spent_usd:.2f} of max_cost_usd = {self.cap_usd:.2f} already spent",
            f"  {self.basis}",
        ]
        if self.withheld:
            lines.append(f"  {self.withheld} clips may not leave this machine (consent = local)")
        if self.spent_usd + self.likely_usd > self.cap_usd:
            lines.append(
                f"  the run would reach the cap before its end: increase {self.section}.max_cost_usd"
            )
        return "\n".join(lines)


def estimate(
    questions: Iterable[ModelRequest[Any] | PlainRequest],
    settings: ModelSettings,
    folder: WorkspaceFolder,
    withheld: int = 0,
    *,
    batch: bool = False,
    guessed_output: int = _GUESSED_OUTPUT,
) -> Estimate:
    """Return the estimate for these questions; nothing is sent. Raises UserError for an unknown price.

    `guessed_output` is the length of a reply in tokens, as long as too few replies are stored.
    """
    price = price_of(settings)
    if batch:
        price = price.batched()
    requests = kept = guessed = 0
    with read_ledger(folder.root / "llm.sqlite") as ledger:
        for question in questions:
            if _is_kept(ledger, settings, question):
                kept += 1
                continue
            size = size_of(settings, question.messages, price)
            requests += 1
            guessed += size.likely_tokens
        usage, totals = ledger.usage(settings.model), ledger.totals()
    measured = usage.replies >= _ENOUGH
    tokens_in = round(requests * usage.input_tokens) if measured else guessed
    each_out = usage.output_tokens if measured else guessed_output
    tokens_out = round(requests * min(each_out, settings.max_completion_tokens))
    likely = price.cost(tokens_in, tokens_out)
    low, high = _MEASURED_BAND if measured else _GUESSED_BAND
    return Estimate(
        settings.model,
        requests,
        kept,
        withheld,
        tokens_in,
        tokens_out,
        likely * low,
        likely,
        likely * high,
        measured,
        totals.cost_usd + totals.unknown_usd,
        settings.max_cost_usd,
        price.basis,
        settings.section,
    )


def _is_kept(
    ledger: Ledger, settings: ModelSettings, question: ModelRequest[Any] | PlainRequest
) -> bool:
    if isinstance(question, PlainRequest):
        keys = request_keys(settings, question.messages, None, question.repeat)
    else:
        keys = request_keys(settings, question.messages, json_schema(question.answer))
    return any(ledger.reply(known.key) for known in keys.values())
