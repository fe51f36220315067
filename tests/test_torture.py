"""`egost frames` killed at random moments and run again gives the same tables and images."""

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "torture.py"


def test_five_random_kills_of_frames_leave_the_same_bytes() -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--kills", "5", "--walks", "2"],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
        cwd=SCRIPT.parents[1],
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == "5 kills: the same bytes\n"
