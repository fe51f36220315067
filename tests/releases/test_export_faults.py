"""Interrupted exports: a full disk, a read-only folder, a kill at a random moment."""

import ctypes
import errno
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import factories
import numbered
import pyarrow.parquet as pq
import pytest
from small_release import MOVES, drafted, fill, release, small_space

from pipeline.cli.console import run as egost
from pipeline.cli.main import cli
from pipeline.engine.stage import PULL
from pipeline.errors import UserError
from pipeline.releases import publish
from pipeline.releases.publish import versions
from pipeline.releases.takedown import take_video_down
from pipeline.releases.verify import verify
from pipeline.sources.rows import Video

LIMITS = ("min_agreement=0", "min_audited=0", "blind_points=100")
WORDS = [
    "export",
    "1.0.0",
    "--withhold",
    "test",
    *(word for limit in LIMITS for word in ("--set", f"export.{limit}")),
]
_DAC_OVERRIDE, _DAC_READ_SEARCH, _PR_CAPBSET_DROP = 1, 2, 24


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace of one real video that is ready to be exported, with its stills."""
    folder = tmp_path_factory.mktemp("walks")
    numbered.write(folder / "a.mp4", count=620)
    given = {"root": str(folder), "path": "a.mp4", "licence": "CC0-1.0"}
    sha256 = hashlib.sha256((folder / "a.mp4").read_bytes()).hexdigest()
    draft = drafted("0000", 0)
    checked = draft.model_copy(
        update={
            "origin": "verified",
            "verified_categories": ["route", "direction", "landmark", "action"],
        }
    )
    with small_space(folder / "workspace", clips=0) as space:
        for stage, rows in {
            "split": [factories.video("0000", sha256=sha256, **given)],
            "frames": [factories.clip("0000", 5 * len(MOVES[0]))],
            "draft": [draft],
            "review": [checked],
            PULL: [factories.verdict(draft)],
        }.items():
            space.store.finish(stage, "all", "made up", "done", rows)
        list(space.run(["compose", "stills"]))
    return folder / "workspace"


@pytest.fixture
def workspace(template: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(template, tmp_path / "workspace"))


@pytest.fixture(scope="module")
def whole(template: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of an undisturbed export."""
    root = Path(shutil.copytree(template, tmp_path_factory.mktemp("whole") / "workspace"))
    assert command(root) == 0
    found = left(root)
    assert "sealed/v1.0.0/SHA256SUMS" in found
    assert "releases/v1.0.0/SHA256SUMS" in found
    return found


def command(root: Path) -> object:
    with pytest.raises(SystemExit) as ended:
        egost(cli, ["-w", str(root), *WORDS])
    return ended.value.code


def left(root: Path) -> dict[str, bytes]:
    """Return every file of releases and sealed answers, including hidden and incomplete ones."""
    files = [*(root / "releases").rglob("*"), *(root / "sealed").rglob("*")]
    return {
        path.relative_to(root).as_posix(): path.read_bytes() for path in files if path.is_file()
    }


def failing(error: OSError, after: int, work: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a call so that it raises `error` after `after` successful calls."""
    calls = iter(range(after + 1))

    def call(*arguments: Any, **named: Any) -> Any:
        if next(calls, after) == after:
            raise error
        return work(*arguments, **named)

    return call


@pytest.mark.parametrize(
    ("owner", "name", "after"),
    [
        (pq.ParquetWriter, "write_table", 0),  # the rows
        (pq.ParquetWriter, "write_table", 2),
        (Path, "write_bytes", 5),  # a frame
        (Path, "write_text", 0),
        (Path, "write_text", 7),  # an adapter
        (publish, "write_croissant", 0),
        (os, "fsync", 3),
        (Path, "rename", 3),  # just before or after the answers are sealed
        (Path, "mkdir", 1),  # after the folder of the lock
    ],
)
@pytest.mark.parametrize(
    ("number", "told"), [(errno.ENOSPC, "the disk is full"), (errno.EROFS, "can't be written")]
)
def test_a_failed_write_is_reported_and_leaves_no_version(
    workspace: Path,
    whole: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    owner: Any,
    name: str,
    after: int,
    number: int,
    told: str,
) -> None:
    capsys.readouterr()
    with monkeypatch.context() as patch:
        error = OSError(number, os.strerror(number))
        patch.setattr(owner, name, failing(error, after, getattr(owner, name)))
        assert command(workspace) == 2
    what, fix = capsys.readouterr().err.split("\n  fix: ")
    assert what.startswith(f"error: {workspace / 'releases' / 'v1.0.0'}: {told}")
    assert fix.strip()
    assert not list((workspace / "releases").glob("*"))
    assert not [path for path in left(workspace) if ".tmp-" in path]
    assert command(workspace) == 0
    assert left(workspace) == whole


@pytest.mark.parametrize("limit", [600, 2_500, 9_000])
def test_a_file_size_limit_ends_the_export_and_leaves_no_version(
    workspace: Path, whole: dict[str, bytes], limit: int
) -> None:
    """A real error from the system: a limit on file sizes replaces a full disk."""
    assert any(len(data) > limit for data in whole.values())
    code = (
        "import resource, signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "from pipeline.releases import publish\nfrom pipeline.releases import export\n"
        "made = publish.publish\n"
        "def limited(*given):\n"
        f"    resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, resource.RLIM_INFINITY))\n"
        "    return made(*given)\n"
        "export.publish = limited\n"
        "from pipeline.__main__ import main\nmain()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "-w", str(workspace), *WORDS],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert "the disk is full, or a quota is used up\n  fix: " in done.stderr
    assert left(workspace) == {}
    assert command(workspace) == 0
    assert left(workspace) == whole


def without_rights() -> None:
    """Drop the privilege by which root ignores file permissions."""
    for right in (_DAC_OVERRIDE, _DAC_READ_SEARCH):
        ctypes.CDLL(None).prctl(_PR_CAPBSET_DROP, right, 0, 0, 0)


@pytest.mark.parametrize("folder", ["releases", "sealed"])
def test_a_read_only_folder_is_reported(
    workspace: Path, whole: dict[str, bytes], folder: str
) -> None:
    (workspace / folder).mkdir()
    (workspace / folder).chmod(0o555)
    # root ignores file permissions, so the child drops that privilege first.
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", "-w", str(workspace), *WORDS],
        capture_output=True, text=True, check=False, preexec_fn=without_rights,
    )  # fmt: skip
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.startswith(f"error: {workspace / folder}")
    assert "can't be written\n  fix: check the permissions" in done.stderr
    assert left(workspace) == {}
    (workspace / folder).chmod(0o755)
    assert command(workspace) == 0
    assert left(workspace) == whole


@pytest.mark.parametrize("folder", ["releases", "sealed"])
def test_a_file_in_place_of_a_folder_is_reported(
    workspace: Path, capsys: pytest.CaptureFixture[str], folder: str
) -> None:
    (workspace / folder).write_text("not a folder", encoding="utf-8")
    assert command(workspace) == 2
    told = capsys.readouterr().err
    assert told == (
        f"error: {workspace / folder}: is a file, but must be a folder\n  fix: move that file away\n"
    )
    assert (workspace / folder).read_text(encoding="utf-8") == "not a folder"


def killed_export(root: Path, wait: float) -> bool:
    """Start an export and kill it `wait` seconds after its first write; return whether it was killed."""
    child = subprocess.Popen(
        [sys.executable, "-m", "pipeline", "-w", str(root), *WORDS],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while child.poll() is None and not list((root / "releases").glob("*")):
        time.sleep(0.001)
    time.sleep(wait)
    child.kill()
    return child.wait(60) == -signal.SIGKILL


def test_an_export_killed_at_a_random_moment_leaves_no_version_or_a_complete_one(
    template: Path, tmp_path: Path, whole: dict[str, bytes]
) -> None:
    draw = random.Random(6)
    struck = 0
    for number in range(5):
        root = Path(shutil.copytree(template, tmp_path / str(number)))
        struck += killed_export(root, draw.uniform(0, 0.15))
        there = {name: data for name, data in left(root).items() if ".tmp-" not in name}
        released = {name for name in there if name.startswith("releases/")}
        assert released in (set(), {name for name in whole if name.startswith("releases/")})
        assert all(whole[name] == data for name, data in there.items())
        if released:
            verify(root / "releases" / "v1.0.0")
        else:
            assert command(root) == 0
        assert {name: data for name, data in left(root).items() if ".tmp-" not in name} == whole
    assert struck >= 3, "the kills came when the work was done"


def test_sealed_answers_without_a_release_are_not_a_version(
    workspace: Path, whole: dict[str, bytes]
) -> None:
    """A kill between the two renames leaves sealed answers without a release."""
    code = (
        "import os, signal\nfrom pathlib import Path\n"
        "rename = Path.rename\n"
        "def deadly(self, target):\n"
        "    if target.name == 'v1.0.0' and target.parent.name == 'releases':\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return rename(self, target)\n"
        "Path.rename = deadly\n"
        "from pipeline.__main__ import main\nmain()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "-w", str(workspace), *WORDS], check=False, timeout=120
    )
    assert done.returncode == -signal.SIGKILL
    sealed = workspace / "sealed" / "v1.0.0"
    assert sealed.is_dir()
    assert versions(workspace / "releases") == []
    assert versions(workspace / "sealed") == []
    with pytest.raises(UserError, match="manifest"):
        verify(sealed)
    assert command(workspace) == 0
    assert left(workspace) == whole


def test_sealed_answers_of_another_export_are_neither_used_nor_lost(tmp_path: Path) -> None:
    """Sealed answers can't be recreated, so those of a release that was moved away are kept."""
    with small_space(tmp_path / "workspace") as space:
        first = release(space, "1.0.0", withhold=["test"])
        assert first.sealed is not None
        kept = {path.name: path.read_bytes() for path in first.sealed.rglob("*.parquet")}
        shutil.move(first.folder, tmp_path / "published")
        fill(space, 6)
        second = release(space, "1.0.0", withhold=["test"])
        assert second.sealed == first.sealed
        (beside,) = set((tmp_path / "workspace" / "sealed").glob("v*")) - {second.sealed}
        assert {path.name: path.read_bytes() for path in beside.rglob("*.parquet")} == kept

        shutil.rmtree(second.sealed)
        beside.rename(second.sealed)
        with pytest.raises(UserError, match=r"the withheld answers of 1\.0\.0"):
            take_video_down(space.folder, space.store.rows(Video)[0].path)
