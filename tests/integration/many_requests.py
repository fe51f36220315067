"""Ask many plain questions of a server: `python many_requests.py FOLDER URL COUNT [batch|singly] [CAP]`, killable.

Prints the key of each reply and what it says as JSON. With a cap, a token costs 0.001 USD.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from pipeline.engine.folder import WorkspaceFolder
from pipeline.errors import EgostError
from pipeline.models.batch_files import BatchLimits
from pipeline.models.batches import Batches
from pipeline.models.chat import Message, PlainRequest, PromptImage
from pipeline.models.llm import connect
from pipeline.models.replies import Completion
from pipeline.models.settings import EvaluatedModel

Said = tuple[str, str, str | None, str | None]
QUICK = BatchLimits(most_requests=100, first_wait=0.05, longest_wait=0.2, seconds_to_appear=1.0)


def requests(count: int) -> list[PlainRequest]:
    image = PromptImage(b"jpeg", 64, 64)
    return [
        PlainRequest((Message("user", (image, f"question {number}: A or B?")),), repeat=number % 2)
        for number in range(count)
    ]


def settings(url: str, **changes: Any) -> EvaluatedModel:
    given: dict[str, Any] = {"timeout_seconds": 1.0, "attempts": 8, "max_completion_tokens": 100}
    return EvaluatedModel(model="m", base_url=url, **{**given, **changes})


async def batched(folder: WorkspaceFolder, chosen: EvaluatedModel, count: int) -> list[Any]:
    async with connect(chosen, folder) as client:
        asked = requests(count)
        errors = await Batches(client, limits=QUICK).fetch(asked)
        assert not errors, errors
        return [
            _said(made)
            for made in [await client.complete(one.messages, repeat=one.repeat) for one in asked]
        ]


async def singly(folder: WorkspaceFolder, chosen: EvaluatedModel, count: int) -> list[Any]:
    async with connect(chosen, folder) as client:

        async def one(asked: PlainRequest) -> Said | None:
            try:
                made = await client.complete(asked.messages, repeat=asked.repeat)
            except EgostError:
                return None
            return _said(made)

        return await asyncio.gather(*map(one, requests(count)))


def _said(made: Completion) -> Said:
    reply = made.reply
    return made.key, reply.text, reply.refusal, reply.finish


def main(folder: str, url: str, count: str, how: str = "singly", cap: str = "") -> None:
    run = {"batch": batched, "singly": singly}[how]
    place = WorkspaceFolder(Path(folder))
    place.root.mkdir(exist_ok=True)
    names = ("input_usd_per_million", "output_usd_per_million")
    priced = {**dict.fromkeys(names, 1000.0), "max_cost_usd": float(cap)} if cap else {}
    print(json.dumps(asyncio.run(run(place, settings(url, **priced), int(count)))))  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
