"""Time of a first push compared with the server's bulk import of the same bytes; second push; pull; memory.

    python benchmarks/labelstudio.py [TASKS [ROUNDS]]

Starts a Label Studio in a temporary workspace and stops it afterwards. Cutting review clips is not
included (ffmpeg does it once per clip); everything else that a user waits for is. Bulk import and push
alternate, because the load of a busy machine changes within minutes. The ratio of CPU time (client and
server together) estimates the ratio on a single core. Memory is the growth during a push in a process
that holds only the rows.
"""

import gc
import json
import math
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import httpx
import walked

from pipeline.demo import reviewers
from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.rows import Rows
from pipeline.labelstudio import client as labelstudio
from pipeline.labelstudio import server as labelstudio_server
from pipeline.labelstudio.client import LabelStudioClient
from pipeline.labelstudio.scripted import ScriptedClient
from pipeline.labelstudio.server import Server
from pipeline.motion.rows import Heading
from pipeline.review import review, routepage, sending
from pipeline.review.rows import Verdict
from pipeline.review.settings import ReviewSettings
from pipeline.routes.rows import Route

NEW = 10
MOVES = ("straight", "left", "straight", "right", "straight", "left", "straight", "right")
WALK = walked.steps(*MOVES, landmark="the red door")
WORDS = "Go straight along the corridor, turn left past the red door, then turn right. " * 3


@dataclass(frozen=True)
class Spent:
    """Seconds of wall-clock time, and of CPU time of client and server together."""

    wall: float
    cpu: float


def winding(heading: Heading) -> Heading:
    """Return a unique heading curve of 30 s at 10 Hz."""
    seed = int(heading.clip_id, 16) % 997
    times = [round(heading.t_us[-1] * n / 300) for n in range(300)]
    yaws = [90 * math.sin(n / 40 + seed) for n in range(300)]
    return heading.model_copy(update={"t_us": times, "yaw_degrees": yaws})


def rows(home: WorkspaceFolder, folder: Path, tasks: int) -> Rows:
    """Return the input of a push of `tasks` walks, whose review clips count as cut."""
    sending.cut_all = lambda clips, home, form, stage: []
    names = [f"walk {number}" for number in range(tasks)]
    drafts = [walked.draft(walked.clip(name), WALK, WORDS, WORDS) for name in names]
    seen = walked.rows(home, folder, drafts, names, frames=16)
    return Rows({**seen.seen, Heading: tuple(map(winding, seen[Heading]))})


def settings(project: str) -> ReviewSettings:
    """Return settings with one annotator per clip."""
    return ReviewSettings(project=project, agree=1, overlap=1, planted=0)


def cpu_of(pid: int) -> float:
    """Return the CPU seconds that a process has used."""
    ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(ticks[11]) + int(ticks[12])) / os.sysconf("SC_CLK_TCK")


def memory(what: str) -> float:
    """Return this process's memory in MB (`VmRSS`: current, `VmHWM`: peak)."""
    found = re.search(rf"{what}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found.group(1)) / 1024


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Print the duration of the block."""
    began = time.monotonic()
    yield
    print(f"{what:<44} {time.monotonic() - began:7.2f} s", flush=True)


def main(tasks: int, rounds: int) -> None:
    """Measure on a temporary server."""
    with tempfile.TemporaryDirectory() as folder:
        home = WorkspaceFolder(Path(folder) / "workspace")
        home.media.mkdir(parents=True)
        server = labelstudio_server.start(home)
        try:
            client = labelstudio.connect(server.url, server.token)
            seen = rows(home, Path(folder), tasks)
            against_bulk(client, server, home, seen, rounds)
            afterwards(client, server, home, seen)
            del seen
            for count in (tasks // 5, tasks, 2 * tasks):
                in_fresh_processes(server, home, count)
        finally:
            labelstudio_server.stop(home)


def against_bulk(
    client: LabelStudioClient, server: Server, home: WorkspaceFolder, seen: Rows, rounds: int
) -> None:
    """Alternate bulk imports and first pushes of the same tasks; print their ratios."""
    tasks = len(seen[Route])
    scripted = ScriptedClient()
    review.push(scripted, seen, settings("scripted"), home)
    body = json.dumps([{"data": task.data} for task in scripted.kept.values()]).encode()
    del scripted
    headers = {"Authorization": f"Token {server.token}", "Content-Type": "application/json"}

    def spent(work: Callable[[], object]) -> Spent:
        began, cpu = time.monotonic(), time.process_time() + cpu_of(server.pid)
        work()
        ended = time.process_time() + cpu_of(server.pid)
        return Spent(time.monotonic() - began, ended - cpu)

    def bulk(number: int) -> Spent:
        project = client.create(f"bulk {number}", "", routepage.label_config(), 1)
        url = f"{server.url}/api/projects/{project}/import?return_task_ids=false"
        return spent(
            lambda: httpx.post(url, content=body, headers=headers, timeout=600).raise_for_status()
        )

    def push(number: int) -> Spent:
        one = settings(f"push {number}")
        return spent(lambda: review.push(client, seen, one, home))

    bulks, walls, cpus = [bulk(0)], [], []
    print(f"{tasks} tasks, {len(body) / 1e6:.1f} MB; wall clock, CPU of client and server")
    print(f"  bulk import 0   {bulks[0].wall:6.2f} s {bulks[0].cpu:6.2f} s", flush=True)
    for number in range(1, rounds + 1):
        ours = push(number)
        bulks.append(bulk(number))
        adjacent = bulks[-2:]
        walls.append(ours.wall / mean(one.wall for one in adjacent))
        cpus.append(ours.cpu / mean(one.cpu for one in adjacent))
        print(
            f"  first push {number}    {ours.wall:6.2f} s {ours.cpu:6.2f} s"
            f"   ratios to the adjacent imports: {walls[-1]:.2f} {cpus[-1]:.2f}"
        )
        print(
            f"  bulk import {number}   {bulks[-1].wall:6.2f} s {bulks[-1].cpu:6.2f} s", flush=True
        )
    print(
        f"first push / bulk import = {median(walls):.2f} in wall-clock time (median of {rounds}; "
        f"{min(walls):.2f} to {max(walls):.2f}; target: at most 1.5), {median(cpus):.2f} in CPU time"
    )


def afterwards(
    client: LabelStudioClient, server: Server, home: WorkspaceFolder, seen: Rows
) -> None:
    """Time a second push, a pull of a few new answers, and a push after it."""
    one, tasks = settings("push 1"), len(seen[Route])
    with timed("second push, nothing to do"):
        assert review.push(client, seen, one, home).kept == tasks
    person = reviewers.join(server, client, "careful")
    truths = {draft.clip_id: reviewers.Truth(WALK) for draft in seen[Route]}
    reviewers.work(person, one.project, truths, limit=NEW)
    known = [found.verdict for found in review.pull(client, (), one, home)]
    time.sleep(61)  # a pull requests the last minute again: let it be empty
    reviewers.work(person, one.project, truths, limit=NEW)
    with timed(f"pull of {NEW} new among {tasks} (target: 3 s)"):
        fresh = list(review.pull(client, known, one, home))
    assert len(fresh) >= NEW
    with timed("push after the pull"):
        again = Rows({**seen.seen, Verdict: tuple(known)})
        assert review.push(client, again, one, home).kept == tasks


def in_fresh_processes(server: Server, home: WorkspaceFolder, tasks: int) -> None:
    """Print the memory growth of a first and a second push in a fresh process."""
    for expected in ("new", "kept"):
        given = ("--memory", str(tasks), expected, server.url, server.token, str(home.root))
        subprocess.run([sys.executable, __file__, *given], check=True)


def grow(tasks: int, expected: str, url: str, token: str, root: Path) -> None:
    """Push, and print the memory growth beyond the rows themselves."""
    home = WorkspaceFolder(root)
    seen = rows(home, root.parent, tasks)
    client = labelstudio.connect(url, token)
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    before = memory("VmRSS")
    pushed = review.push(client, seen, settings(f"memory {tasks}"), home)
    assert getattr(pushed, expected) == tasks
    grown = memory("VmHWM") - before
    print(
        f"push of {tasks} clips, all {expected}: {grown:.0f} MB in addition to {before:.0f} MB",
        flush=True,
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--memory"]:
        grow(int(sys.argv[2]), *sys.argv[3:6], Path(sys.argv[6]))
    else:
        numbers = dict(enumerate(map(int, sys.argv[1:])))
        main(numbers.get(0, 5000), numbers.get(1, 3))
