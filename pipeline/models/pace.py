"""The number and rate of requests in flight: adaptive, and observing Retry-After."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager


class Pace:
    """A limited number of slots that shrinks when the server is overloaded and grows with success.

    `requests_per_minute` and `tokens_per_minute` space the requests evenly; 0 means no limit.
    """

    def __init__(
        self,
        in_flight: int,
        requests_per_minute: float = 0,
        tokens_per_minute: float = 0,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limit = float(in_flight)
        self._most = in_flight
        self._active = 0
        self._freed = asyncio.Condition()
        self._request_gap = 60 / requests_per_minute if requests_per_minute else 0.0
        self._token_gap = 60 / tokens_per_minute if tokens_per_minute else 0.0
        self._next_request = self._next_tokens = 0.0
        self._closed_until = self._last_halved = 0.0
        self._sleep, self._now = sleep, now

    @asynccontextmanager
    async def slot(self, tokens: int) -> AsyncIterator[float]:
        """Wait for a slot, the rate limits and the end of a Retry-After; yield the time of sending."""
        async with self._freed:
            await self._freed.wait_for(lambda: self._active < max(1, int(self.limit)))
            self._active += 1
        try:
            await self._wait(tokens)
            yield self._now()
        finally:
            async with self._freed:
                self._active -= 1
                self._freed.notify_all()

    async def _wait(self, tokens: int) -> None:
        begin = max(self._now(), self._next_request, self._next_tokens)
        self._next_request = begin + self._request_gap
        self._next_tokens = begin + self._token_gap * tokens
        while (left := max(begin, self._closed_until) - self._now()) > 0:
            await self._sleep(left)

    def went_well(self) -> None:
        """Add one slot for every round of successful requests."""
        self.limit = min(self._most, self.limit + 1 / self.limit)

    def pushed_back(self, sent: float) -> None:
        """Halve the slots, once per round: requests sent before the last halving don't count."""
        if sent >= self._last_halved:
            self.limit = max(1.0, self.limit / 2)
            self._last_halved = self._now()

    def close_for(self, seconds: float) -> None:
        """Send nothing for this many seconds."""
        self._closed_until = max(self._closed_until, self._now() + seconds)
