"""Asking about clips in batches: the replies are stored before the stages ask for them, at half the price."""

import asyncio
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tqdm import tqdm

from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.rows import Rows
from pipeline.errors import EgostError, RowError
from pipeline.models.batch_files import BatchLimits
from pipeline.models.batches import Batches
from pipeline.models.llm import ModelRequest, connect
from pipeline.routes.asking import Requests, may_send
from pipeline.routes.settings import DraftSettings
from pipeline.sources.rows import Video


@dataclass(frozen=True)
class _Asked:
    """The requests about all units, made anew whenever they are iterated: their images don't fit in memory."""

    units: Sequence[tuple[Rows, Requests]]

    def __iter__(self) -> Iterator[ModelRequest[Any]]:
        for rows, requests in self.units:
            try:
                yield from requests(rows)
            except RowError:
                continue  # a keyframe can't be read: the stage reports it


def fetch(
    units: Sequence[tuple[Rows, Requests]],
    settings: DraftSettings,
    folder: WorkspaceFolder,
    limits: BatchLimits | None = None,
) -> list[EgostError]:
    """Store the replies to the requests about these units; return what batches left unanswered.

    Videos that must stay on this machine are left out. Raises UserError if batches can't be made or
    the cap has no room for all; batches that were made are collected by the next run.
    """
    allowed = [unit for unit in units if may_send(unit[0].one(Video), settings)]

    async def once() -> list[EgostError]:
        async with connect(settings, folder) as client:
            batches = Batches(client, progress, limits)
            return list((await batches.fetch(_Asked(allowed))).values())

    with tqdm(desc="batches", unit="", disable=not sys.stderr.isatty()) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        return asyncio.run(once())
