"""Prices: the most that a request can cost, and the cost of a reply."""

import fnmatch
import math
import tomllib
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline.assets import asset
from pipeline.errors import UserError
from pipeline.models.settings import ModelSettings
from pipeline.models.wire import on_loopback

TABLE = "prompts/prices.toml"
_MAX_PATCHES = 1536
_MESSAGE_TOKENS = 16  # role and separators of one message; 3 to 7 where measured
_CHARACTERS_PER_TOKEN = 3.5  # English prose 4.2, JSON and numbers 2.5 to 3


class Price(BaseModel):
    """One model's prices in US dollars per million tokens, and how it counts images."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    input: float = Field(ge=0, allow_inf_nan=False)
    output: float = Field(ge=0, allow_inf_nan=False)
    pictures: Literal["tiles", "patches", "unknown"]
    base: int = 85
    tile: int = 170
    factor: float = 2.46
    basis: str = ""  # where the prices come from, shown in estimates

    def cost(self, input_tokens: int, output_tokens: int) -> float:
        """Return the cost of this many tokens in US dollars."""
        return (input_tokens * self.input + output_tokens * self.output) / 1e6

    def of(self, input_tokens: int | None, output_tokens: int | None) -> float | None:
        """Return the cost of a reply; None if the server didn't count its tokens and they aren't free."""
        if self.input == self.output == 0:
            return 0.0
        if input_tokens is None or output_tokens is None:
            return None
        return self.cost(input_tokens, output_tokens)

    def batched(self) -> "Price":
        """Return the price in the Batch API: half, for input and output alike."""
        basis = f"{self.basis}; half price in a batch"
        given = {"input": self.input / 2, "output": self.output / 2, "basis": basis}
        return self.model_copy(update=given)

    def image_tokens(self, width: int, height: int, detail: str) -> int:
        """Return the tokens of one image; for an unknown model, the larger count of both rules."""
        patches = min(math.ceil(width / 32) * math.ceil(height / 32), _MAX_PATCHES)
        tiles = 0 if detail == "low" else math.ceil(width / 512) * math.ceil(height / 512)
        by_tiles, by_patches = self.base + self.tile * tiles, math.ceil(patches * self.factor)
        return {"tiles": by_tiles, "patches": by_patches}.get(
            self.pictures, max(by_tiles, by_patches)
        )


@dataclass(frozen=True)
class Size:
    """The size of a request: messages, bytes and characters of text, tokens of images."""

    messages: int
    text_bytes: int
    characters: int
    image_tokens: int

    @property
    def most_tokens(self) -> int:
        """The upper bound on input tokens: a token is at least one byte."""
        return self.text_bytes + self.messages * _MESSAGE_TOKENS + self.image_tokens

    @property
    def likely_tokens(self) -> int:
        """The expected number of input tokens."""
        text = math.ceil(self.characters / _CHARACTERS_PER_TOKEN)
        return text + self.messages * _MESSAGE_TOKENS // 3 + self.image_tokens


def price_of(settings: ModelSettings) -> Price:
    """Return the prices of a model: from the settings, else the table, else zero for a local server.

    Raises UserError if only one of the two prices is set, or if those of a remote model are unknown:
    its cost couldn't be capped.
    """
    input_usd, output_usd = settings.input_usd_per_million, settings.output_usd_per_million
    names = [f"{settings.section}.{name}_usd_per_million" for name in ("input", "output")]
    if (input_usd is None) is not (output_usd is None):
        missing, other = names if input_usd is None else names[::-1]
        raise UserError(
            missing,
            f"is not set, but {other} is: tokens without a price would count as free",
            "set both prices, or neither",
        )
    model = settings.model
    known = next((price for price in table() if _fits(model, price.name)), None)
    if input_usd is not None and output_usd is not None:
        start = known or Price(name=model, input=0, output=0, pictures="unknown")
        given = {
            "input": input_usd,
            "output": output_usd,
            "basis": f"prices set in [{settings.section}]",
        }
        return start.model_copy(update=given)
    if on_loopback(settings.base_url):
        free = "a server on this machine is assumed to cost nothing"
        return Price(name=model, input=0, output=0, pictures="unknown", basis=free)
    if known is None:
        raise UserError(
            TABLE,
            f"no price is known for the model {model!r}, so its cost can't be capped",
            f"set {names[0]} and {names[1]}, or add the model to the table",
        )
    return known


def _fits(model: str, name: str) -> bool:
    """Return whether a name in the table matches a model or a dated snapshot of it."""
    dated = f"{name}-20[0-9][0-9]-[01][0-9]-[0-3][0-9]"
    return fnmatch.fnmatchcase(model, name) or fnmatch.fnmatchcase(model, dated)


def table() -> list[Price]:
    """Return the price table; raise UserError if it can't be read."""
    path = asset(TABLE)
    try:
        found = tomllib.loads(path.read_text("utf-8"))
        basis = f"list prices of {TABLE}, {found['checked']}"
        return [Price.model_validate({"basis": basis, **entry}) for entry in found["model"]]
    except (
        tomllib.TOMLDecodeError,
        UnicodeDecodeError,
        KeyError,
        TypeError,
        ValidationError,
    ) as error:
        raise UserError(
            TABLE,
            f"can't be read: {error}",
            "fix the table: `checked` (date and source) and [[model]] entries with name, input, output, pictures",
        ) from error
