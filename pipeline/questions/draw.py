"""Numbers that can't be predicted without the workspace's secret. Pure."""

import hmac
import random
from collections.abc import Iterable
from typing import TypeVar

Drawn = TypeVar("Drawn")


class Draw:
    """The HMAC-SHA256, under the secret, of what a number is drawn for."""

    def __init__(self, secret: bytes) -> None:
        """Prepare to draw under this secret, of any length."""
        self._keyed = hmac.new(secret, digestmod="sha256")

    def __call__(self, *parts: str) -> int:
        """Return a number below 2**64 for these texts; the same texts always give the same number."""
        # Each part follows its length: ("ab", "c") and ("a", "bc") must differ.
        text = "".join([f"{len(part)}:{part}" for part in parts])
        keyed = self._keyed.copy()  # a third faster than to start from the secret
        keyed.update(text.encode())
        return int.from_bytes(keyed.digest()[:8], "big")

    def shuffled(self, some: Iterable[Drawn], *parts: str) -> list[Drawn]:
        """Return these in an order drawn for these texts; every order is equally likely."""
        found = list(some)
        random.Random(self(*parts)).shuffle(found)
        return found
