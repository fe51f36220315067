"""First push of many tasks against the server's own bulk import of the same bytes; second push; pull.

    python benchmarks/labelstudio.py [TASKS]

Starts a Label Studio of its own in a temporary workspace and stops it again. Review clips are
taken as cut (that is ffmpeg's time, spent once per clip); everything else is what a user waits for.
"""

import json
import math
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import mean

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import httpx
import walked

from pipeline.clients import labelstudio, labelstudio_server
from pipeline.clients.labelstudio_scripted import ScriptedClient
from pipeline.demo import reviewers
from pipeline.records import Heading, Verdict
from pipeline.stages import review, routepage, sending
from pipeline.stages.review import ReviewSettings
from pipeline.store import Place, Rows

NEW = 10


def winding(heading: Heading) -> Heading:
    """Return a heading of half a minute at ten a second that no other clip has."""
    seed = int(heading.clip_id, 16) % 997
    times = [round(heading.t_us[-1] * n / 300) for n in range(300)]
    yaws = [90 * math.sin(n / 40 + seed) for n in range(300)]
    return heading.model_copy(update={"t_us": times, "yaw_degrees": yaws})


@contextmanager
def timed(what: str, took: dict[str, float]) -> Iterator[None]:
    """Print how long the block took, and note it."""
    began = time.monotonic()
    yield
    took[what] = time.monotonic() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{what:<42} {took[what]:7.2f} s   (peak {peak} MB)")


def main(tasks: int) -> None:
    """Measure against a server of our own."""
    with tempfile.TemporaryDirectory() as folder:
        place = Place(Path(folder) / "workspace")
        place.media.mkdir(parents=True)
        server = labelstudio_server.start(place)
        try:
            measure(place, Path(folder), server, tasks)
        finally:
            labelstudio_server.stop(place)


def measure(place: Place, folder: Path, server: labelstudio_server.Server, tasks: int) -> None:
    """Push, push again, answer a few, pull, push."""
    names = [f"walk {number}" for number in range(tasks)]
    moves = ("straight", "left", "straight", "right", "straight", "left", "straight", "right")
    walk = walked.steps(*moves, landmark="the red door")
    words = "Go straight along the corridor, turn left past the red door, then turn right. " * 3
    drafts = [walked.draft(walked.clip(name), walk, words, words) for name in names]
    seen = walked.rows(place, folder, drafts, names, frames=16)
    seen = Rows({**seen.seen, Heading: tuple(map(winding, seen[Heading]))})
    sending.cut_all = lambda clips, place, form, stage: []
    client = labelstudio.connect(server.url, server.token)
    settings = ReviewSettings(project="benchmark push", agree=1, overlap=1, planted=0)
    took: dict[str, float] = {}

    def push(rows: Rows) -> review.Pushed:
        return review.push(client, rows, settings, place)

    played = ScriptedClient()
    review.push(played, seen, settings, place)
    body = json.dumps([{"data": task.data} for task in played.kept.values()]).encode()

    def bulk(when: str) -> None:
        project = client.project(f"benchmark bulk {when}", routepage.label_config(), 1)
        with timed(f"one bulk import of the same, {when}", took):
            httpx.post(
                f"{server.url}/api/projects/{project}/import?return_task_ids=false",
                content=body,
                headers={
                    "Authorization": f"Token {server.token}",
                    "Content-Type": "application/json",
                },
                timeout=600,
            ).raise_for_status()

    # Before and after: on a busy machine a minute changes more than any code.
    bulk("before")
    with timed(f"first push of {tasks} tasks", took):
        assert push(seen).new == tasks
    bulk("after")
    with timed("second push, nothing to do", took):
        assert push(seen).kept == tasks
    one = reviewers.join(server, client, "careful")
    truths = {walked.clip(name).clip_id: reviewers.Truth(walk) for name in names}
    reviewers.work(one, settings.project, truths, limit=NEW)
    known = [found.verdict for found in review.pull(client, (), settings, place)]
    time.sleep(61)  # the last minute is asked for again: let it hold nothing
    reviewers.work(one, settings.project, truths, limit=NEW)
    with timed(f"pull of {NEW} new among {tasks}", took):
        fresh = list(review.pull(client, known, settings, place))
    assert len(fresh) >= NEW
    with timed("push after the pull", took):
        assert push(Rows({**seen.seen, Verdict: tuple(known)})).kept == tasks
    bulks = [seconds for what, seconds in took.items() if "bulk" in what]
    ratio = took[f"first push of {tasks} tasks"] / mean(bulks)
    print(f"first push / bulk import = {ratio:.2f} (target: 1.5 at most)")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5000)
