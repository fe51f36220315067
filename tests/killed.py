"""Run work in forked children, each killed at one of its commit points.

    python tests/killed.py WORK FOLDER

WORK is a function below. Commit points are just before and just after each visible write: a
transaction of the store, or a file or folder renamed into place. Prints one JSON object with file
digests after an undisturbed run and, for each point, after a kill and a second run.
"""

import hashlib
import io
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import factories
import numbered
import pyarrow
import pyarrow.parquet
from small_release import LENIENT, add_stills

from pipeline.cli.console import exit_code
from pipeline.cli.main import cli
from pipeline.engine.folder import WorkspaceFolder, write_atomic
from pipeline.engine.run import run_stage
from pipeline.engine.settings import RunSettings
from pipeline.engine.stage import LazyFunction
from pipeline.engine.store import Store, opened
from pipeline.flow import SECTIONS, STAGES
from pipeline.motion.rows import Turn
from pipeline.releases.export import export
from pipeline.releases.settings import ExportSettings
from pipeline.review.settings import ReviewSettings

MOVES = ("left", "right", "right", "left")


class Fuse:
    """Counts commit points, and kills this process at the chosen one."""

    def __init__(self, at: int | None) -> None:
        self.at, self.count = at, 0

    def burn(self) -> None:
        if self.count == self.at:
            os.kill(os.getpid(), signal.SIGKILL)
        self.count += 1

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            self.burn()
            result = function(*arguments, **named)
            self.burn()
            return result

        return call


def fill(store: Store) -> None:
    """Add the rows of earlier stages: two probes, their clips and their drafts."""
    for name in "ab":
        store.finish("ingest", name, "1", "done", [factories.probe(name, scene=f"room {name}")])
        store.finish("frames", name, "1", "done", [factories.clip(name), *_turns(name)])
        store.finish("draft", name, "1", "done", [factories.route(name, MOVES)])


def _turns(name: str) -> list[Turn]:
    return [
        Turn(
            clip_id=f"c_{name}",
            start_us=step.start_us,
            end_us=step.end_us,
            kind=step.move,  # type: ignore[arg-type]
            yaw_degrees=90.0 if step.move == "left" else -90.0,
            moving=True,
            confidence=0.9,
        )
        for step in factories.steps(MOVES)
    ]


def stages(workspace: WorkspaceFolder) -> None:
    """Split, compose and check."""
    with opened(workspace) as store:
        for index, stage in enumerate(STAGES):
            if stage.name in ("split", "compose", "check"):
                upstream = [earlier.name for earlier in STAGES[:index]]
                how = RunSettings(workers=1, max_failed=1)
                run_stage(stage, store, stage.settings(), how, upstream)


def release(workspace: WorkspaceFolder) -> None:
    """Export version 1.0.0 unless it exists."""
    recorded = {name: kind().model_dump() for name, kind in SECTIONS.items()}
    with opened(workspace) as store:
        if not (workspace.releases / "v1.0.0").exists():
            settings = ExportSettings.model_validate(LENIENT | {"min_verified": 0})
            export(store, workspace, "1.0.0", settings, ReviewSettings(), recorded)


def frames(workspace: WorkspaceFolder) -> None:
    """Run `egost frames` on a video, in this process alone."""
    videos = str(workspace.root.parent / "videos")
    words = ["-w", str(workspace.root), "frames", videos, "--set", "run.workers=1"]
    output = io.StringIO()
    with redirect_stdout(output):
        assert exit_code(cli, words) == 0, output.getvalue()


def write_video(folder: Path) -> None:
    """Write a short video with a sidecar and a manifest."""
    folder.mkdir()
    numbered.write(folder / "a.mp4", count=18, options={"preset": "ultrafast"})
    (folder / "a.jsonl").write_text('{"time": 0.2, "text": "door"}\n')
    (folder / "manifest.csv").write_text("path,scene\na.mp4,office\n")


def in_child(
    work: Callable[[WorkspaceFolder], None], workspace: WorkspaceFolder, at: int | None = None
) -> int:
    """Run in a fork; return its exit status, or the number of points if `at` is None."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            fuse = Fuse(at)
            for name in ("finish", "forget", "rebuild"):
                setattr(Store, name, fuse.around(getattr(Store, name)))
            Path.replace = fuse.around(Path.replace)  # type: ignore[method-assign]
            Path.rename = fuse.around(Path.rename)  # type: ignore[method-assign]
            work(workspace)
            os.write(writing, str(fuse.count).encode())
        except BaseException:  # noqa: BLE001 (a child must never return into its parent's code)
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    os.close(writing)
    _, status = os.waitpid(child, 0)
    count = os.read(reading, 100)
    os.close(reading)
    if at is not None:
        return status
    assert status == 0, "an undisturbed run failed"
    return int(count)


def digests(workspace: WorkspaceFolder) -> dict[str, str]:
    """Return the digest of every file that a run leaves."""
    parts = (workspace.tables, workspace.releases, workspace.media, workspace.unfinished)
    files = [path for part in parts for path in part.rglob("*")]
    return {
        path.relative_to(workspace.root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
        if path.is_file()
    }


def main(work: Callable[[WorkspaceFolder], None], folder: Path) -> None:
    def fresh(name: str) -> WorkspaceFolder:
        workspace = WorkspaceFolder(folder / name)
        workspace.root.mkdir()
        if work is frames:
            return workspace  # starts from an empty folder
        write_atomic(workspace.root / "secret", b"the same for all")
        in_child(lambda at: _filled(at, work), workspace)
        return workspace

    if work is frames:
        write_video(folder / "videos")
    whole = fresh("whole")
    points = in_child(work, whole)
    report: dict[str, Any] = {"points": points, "whole": digests(whole), "after": []}
    for at in range(points):
        workspace = fresh(str(at))
        status = in_child(work, workspace, at)
        seen = sorted(path.name for path in workspace.releases.glob("v*"))
        found = {name: len(list((workspace.releases / name).rglob("*"))) for name in seen}
        in_child(work, workspace)
        report["after"].append(
            {
                "killed": os.WTERMSIG(status) == signal.SIGKILL,
                "seen": found,
                "files": digests(workspace),
            }
        )
    sys.stdout.write(json.dumps(report))


def _filled(workspace: WorkspaceFolder, work: Callable[[WorkspaceFolder], None]) -> None:
    with opened(workspace) as store:
        fill(store)
    if work is release:
        stages(workspace)
        with opened(workspace) as store:
            add_stills(store)


def load_all() -> None:
    """Import everything in the parent, so that a hundred children don't each do it."""
    for stage in STAGES:
        if isinstance(stage.run, LazyFunction):
            assert stage.run.function
    pyarrow.array([1])  # looks for pandas, and imports it


if __name__ == "__main__":
    load_all()
    main({"frames": frames, "stages": stages, "release": release}[sys.argv[1]], Path(sys.argv[2]))
