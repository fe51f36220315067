"""Overhead of drafting at zero model latency: clips per second and core, and memory over time.

    python benchmarks/draft.py [CLIPS]

A server in another process answers immediately. Only this process's CPU time counts: reading keyframes,
rendering prompts, encoding images, HTTP, the journal, checking answers. Targets, with 8 frames of 40 kB:
at least 60 clips per second and core; constant memory over 5,000 clips.
"""

import asyncio
import json
import multiprocessing
import resource
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

import cv2
import numpy as np

from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.rows import Rows
from pipeline.motion.rows import Clip, Frame, Stay, Turn
from pipeline.routes import draft
from pipeline.routes.settings import DraftSettings
from pipeline.sources.rows import Narration, Video

FRAMES = 8
TARGET = 60
ANSWER = json.dumps(
    {
        "steps": [
            {
                "start_seconds": start,
                "move": move,
                "landmark": f"door {start}",
                "action": None,
                "undo": None,
            }
            for start, move in enumerate(["straight", "left", "straight", "right"] * 3)
        ],
        "forward_description": "Go ahead. " * 20,
        "reverse_description": "Go back. " * 20,
        "confidence": 0.8,
    }
)
REPLY = json.dumps(
    {
        "model": "m",
        "choices": [{"message": {"content": ANSWER}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1000, "completion_tokens": 300},
    }
).encode()


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read requests and answer each immediately."""
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            at = head.lower().index(b"content-length:") + 15
            await reader.readexactly(int(head[at : head.index(b"\r\n", at)]))
            writer.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
                % len(REPLY)
                + REPLY
            )
    except asyncio.IncompleteReadError:
        writer.close()


def serve(pipe: Connection) -> None:
    """Serve on a free port of loopback and send the port through the pipe."""

    async def forever() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0, limit=2**22)
        pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(forever())


def store_jpegs(workspace: WorkspaceFolder) -> list[str]:
    """Store eight JPEGs of about 40 kB."""
    random = np.random.default_rng(0)
    names = []
    for _ in range(FRAMES):
        coarse = random.integers(0, 255, (90, 160, 3), dtype=np.uint8)
        pixels = cv2.resize(coarse, (640, 360), interpolation=cv2.INTER_CUBIC)
        names.append(
            workspace.keep(
                cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 60])[1].tobytes(), ".jpg"
            )
        )
    return names


def clip_rows(number: int, names: list[str]) -> Rows:
    """Return one clip's rows; its narration makes its request unique."""
    clip = f"c{number}"
    video = Video(
        video_id="v",
        root="r",
        path="walk.mp4",
        sha256="0",
        bytes=1,
        container="mp4",
        codec="h264",
        width=640,
        height=360,
        rotation=0,
        fps_num=30,
        fps_den=1,
        duration_us=20_000_000,
        has_audio=False,
        hfov_degrees=None,
        lens="rectilinear",
        scene=None,
        wearer=None,
        source=None,
        licence=None,
        consent="local",
        split_group="g",
        split="test",
    )
    frames = tuple(
        Frame(
            clip_id=clip,
            t_us=index * 2_000_000,
            pts=index,
            width=640,
            height=360,
            media=name,
            sharpness=1.0,
            reason="gap",
            suspect=False,
        )
        for index, name in enumerate(names)
    )
    turns = tuple(
        Turn(
            clip_id=clip,
            start_us=at,
            end_us=at + 1_000_000,
            kind="left",
            yaw_degrees=90.0,
            moving=True,
            confidence=0.9,
        )
        for at in (3_000_000, 9_000_000)
    )
    narrations = (Narration(video_id="v", t_us=1_000_000, text=f"walk {number}"),)
    return Rows(
        {
            Video: (video,),
            Clip: (Clip(clip_id=clip, video_id="v", start_us=0, end_us=20_000_000),),
            Turn: turns,
            Stay: (),
            Frame: frames,
            Narration: narrations,
        }
    )


async def drafts(workspace: WorkspaceFolder, settings: DraftSettings, count: int) -> list[float]:
    """Draft `count` clips, 256 at a time as the engine does; return memory in MB at five points."""
    names = store_jpegs(workspace)
    numbers = iter(range(count))
    memory: list[float] = []
    async with draft.opens(settings, workspace) as service:

        async def work() -> None:
            for number in numbers:
                await draft.run(clip_rows(number, names), settings, service)
                if (number + 1) % max(1, count // 5) == 0:
                    status = Path("/proc/self/statm").read_text(encoding="ascii")
                    memory.append(int(status.split()[1]) * resource.getpagesize() / 1e6)

        await asyncio.gather(*(work() for _ in range(256)))
    return memory


def main() -> None:
    """Run and print one line per figure."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,), daemon=True)
    server.start()
    settings = DraftSettings(
        provider="openai", model="m", base_url=f"http://127.0.0.1:{ours.recv()}/v1", frames=FRAMES
    )
    with tempfile.TemporaryDirectory() as folder:
        workspace = WorkspaceFolder(Path(folder))
        for name in ("asked", "stored replies"):
            wall, cpu = time.perf_counter(), time.process_time()
            memory = asyncio.run(drafts(workspace, settings, count))
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            print(
                f"{name}: {count} clips, {count / cpu:.0f} per second and core, {count / wall:.0f} per second"
                f" (target: {TARGET} per second and core)"
            )
            print(
                f"  memory (MB) after each fifth: {', '.join(f'{megabytes:.0f}' for megabytes in memory)}"
                " (target: constant)"
            )
    server.terminate()


if __name__ == "__main__":
    main()
