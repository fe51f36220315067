"""From a release to a proof in one command: rows, SFT, GRPO, and the models served and scored."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from filmed_release import filmed

from pipeline.cli.console import exit_code
from pipeline.cli.main import cli


def run(*words: str | Path) -> int:
    return exit_code(cli, [str(word) for word in words])


SMALL = [
    "sft.steps=3", "sft.rows_per_step=4", "sft.batch=4", "grpo.steps=2", "grpo.prompts_per_step=2",
    "grpo.group=4", "grpo.batch=8", "grpo.most_tokens=16", "model.most_frames=4",
]  # fmt: skip


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("deaf", [False, True])
def test_a_stop_ends_the_command_that_runs(
    tmp_path: Path, stop: signal.Signals, deaf: bool
) -> None:
    """Nothing is left that trains on; one that doesn't end by itself is killed."""
    ignored = "signal.signal(signal.SIGTERM, signal.SIG_IGN); " if deaf else ""
    child = f"import os, pathlib, signal, time; {ignored}pathlib.Path('child').write_text(str(os.getpid())); time.sleep(600)"
    parent = (
        "import sys; from pipeline.tuning import recipe; recipe._GRACE_SECONDS = 0.5; recipe._LONGEST_END_SECONDS = 1; "
        f"recipe._ended([sys.executable, '-c', {child!r}])"
    )
    root = str(Path(__file__).parents[2])
    process = subprocess.Popen(
        [sys.executable, "-c", parent],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": root},
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while not ((tmp_path / "child").is_file() and (tmp_path / "child").read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(stop)
    assert process.wait(60) != 0
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "child").read_text()), 0)


def test_from_a_release_to_a_proof(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    made = filmed(tmp_path, 16, split=None)
    sets = [word for one in SMALL for word in ("--set", one)]
    words = ["train", "run", made.folder, "--videos", made.videos, "--preset", "tiny-cpu"]
    words += [
        "--image-pixels",
        "64",
        "--items",
        "2",
        "--fps",
        "2",
        "--out",
        tmp_path / "out",
        *sets,
    ]
    assert run(*words) == 0
    told = capfd.readouterr().out
    for part in ("train rows: ", "train sft: 3 steps", "train grpo: 2 steps", "train report: "):
        assert part in told, part
    (first,) = (tmp_path / "out" / "runs").glob("sft-tiny-cpu-*")
    assert {"README.md", "curves.png", "metrics.jsonl", "model", "run.json"} <= {
        path.name for path in first.iterdir()
    }
    # The command line names what a person would type to do a part again.
    assert f"$ egost train grpo {tmp_path}/out/rows/" in told
    assert f" --from {first} --preset tiny-cpu" in told
    found = json.loads((tmp_path / "out" / "proof" / "report.json").read_text())
    cells = found["cells"]
    assert len(cells) == 3 * 2 * 4 * 2  # models, with and without thinking, arms, frame rates
    # Of few items, none may be about what frames in reverse order show.
    coverage = {(cell["arm"], cell["coverage"]) for cell in cells}
    assert coverage - {("reversed", None)} >= {(arm, 1) for arm in ("frames", "blank", "shuffled")}
    assert {share for arm, share in coverage} <= {1, None}
    assert (tmp_path / "out" / "proof" / "report.html").is_file()
    # Again, nothing is trained and nothing asked.
    assert run(*words) == 0
    again = capfd.readouterr().out
    assert "all 3 steps were already made" in again
    assert "nothing to do" in again
