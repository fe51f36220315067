"""A model client with a scripted server and a clock of its own, for tests of `pipeline/models/`."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from typing import Any

from pipeline.engine.folder import WorkspaceFolder
from pipeline.models.journal import Journal
from pipeline.models.llm import ModelClient
from pipeline.models.pace import Pace
from pipeline.models.prices import Price
from pipeline.models.replies import Replies
from pipeline.models.settings import ModelSettings
from pipeline.models.wire import ScriptedModel

PRICED = Price(name="m", input=1000.0, output=2000.0, pictures="tiles")  # 0.001 and 0.002 per token
SETTINGS = ModelSettings(
    model="m", base_url="http://127.0.0.1:1/v1", max_completion_tokens=100, max_cost_usd=1000
)


class Clock:
    """A clock that advances only during sleep."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += max(0.0, seconds)
        await asyncio.sleep(0)

    def now(self) -> float:
        return self.time


def talk(
    folder: WorkspaceFolder,
    model: ScriptedModel,
    work: Callable[[ModelClient], Awaitable[Any]],
    settings: ModelSettings = SETTINGS,
    price: Price = PRICED,
    clock: Clock | None = None,
) -> Any:
    clock = clock or Clock()

    async def once() -> Any:
        journal = Journal(folder.root / "llm.sqlite")
        pace = Pace(settings.in_flight, sleep=clock.sleep, now=clock.now)
        try:
            return await work(
                ModelClient(Replies(settings, model, journal, price, pace=pace, sleep=clock.sleep))
            )
        finally:
            journal.close()

    return asyncio.run(once())


def table(folder: WorkspaceFolder, query: str) -> list[Any]:
    with sqlite3.connect(folder.root / "llm.sqlite") as db:
        found = db.execute(query).fetchall()
    db.close()
    return found
