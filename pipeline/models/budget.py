"""The cost cap: money is reserved before a request is sent, so that the cap can't be exceeded."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pipeline.errors import UserError
from pipeline.models.journal import Journal
from pipeline.models.settings import ModelSettings


class CapError(UserError):
    """The cap has no room for what is sent next."""


class Reservation:
    """Money reserved for one request; `cost` is its actual cost (the whole reservation, if never set)."""

    def __init__(self, usd: float) -> None:
        self.usd = self.cost = usd


class Budget:
    """The cap on the cost of all requests of a workspace, over all runs."""

    def __init__(self, settings: ModelSettings, journal: Journal) -> None:
        totals = journal.ledger.totals()
        self._settings = settings
        self._spent = totals.cost_usd + totals.unknown_usd
        self._held = 0.0
        self._in_flight = 0
        self._changed = asyncio.Condition()
        self._factor = journal.ledger.overrun(settings.model)

    @asynccontextmanager
    async def reserved(self, usd: float) -> AsyncIterator[Reservation]:
        """Reserve the most that a request can cost, once there is room; raise CapError at the cap."""
        async with self._changed:
            reservation = await self._reserve(usd)
        try:
            yield reservation
        finally:
            async with self._changed:
                self._held -= reservation.usd
                self._in_flight -= 1
                self._spent += reservation.cost
                # The server counted more tokens than our rule.
                if reservation.cost > reservation.usd > 0:
                    self._factor *= reservation.cost / reservation.usd
                self._changed.notify_all()

    async def correct(self, usd: float) -> None:
        """Change what is spent: requests that were booked in full have turned out to cost less."""
        async with self._changed:
            self._spent += usd
            self._changed.notify_all()

    async def idle(self) -> None:
        """Wait until no request is in flight: their replies are paid for."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self._in_flight)

    async def _reserve(self, usd: float) -> Reservation:
        cap = self._settings.max_cost_usd
        await self._changed.wait_for(lambda: self._fits(usd) or not self._in_flight)
        most = usd * self._factor
        if not self._fits(usd):
            raise CapError(
                f"{self._settings.section}.max_cost_usd",
                f"what is sent next may cost {most:.4f} USD, and {self._spent:.4f} of {cap:.2f} USD"
                " are spent or may have been",
                "increase it, then run this again: nothing is paid for twice",
            )
        self._held += most
        self._in_flight += 1
        return Reservation(most)

    def _fits(self, usd: float) -> bool:
        most = usd * self._factor
        return most == 0 or self._spent + self._held + most <= self._settings.max_cost_usd
