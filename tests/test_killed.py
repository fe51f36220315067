"""A run killed at any commit point and repeated gives the same tables and the same release."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).with_name("killed.py")


def killed_everywhere(work: str, folder: Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), work, str(folder)],
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
        env={"PYTHONPATH": str(SCRIPT.parent.parent), "PATH": ""},
    )
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    assert all(after["killed"] for after in report["after"])
    return report


@pytest.mark.parametrize(("work", "fewest"), [("frames", 40), ("stages", 20), ("release", 2)])
def test_a_second_run_after_any_kill_gives_the_same_bytes(
    tmp_path: Path, work: str, fewest: int
) -> None:
    report = killed_everywhere(work, tmp_path)
    assert report["points"] >= fewest
    assert report["whole"]
    for at, after in enumerate(report["after"]):
        assert after["files"] == report["whole"], f"killed at commit point {at}"


def test_a_killed_export_leaves_no_version_or_a_complete_one(tmp_path: Path) -> None:
    report = killed_everywhere("release", tmp_path)
    whole = {"v1.0.0": len(list((tmp_path / "whole" / "releases" / "v1.0.0").rglob("*")))}
    assert whole["v1.0.0"] > 5
    seen = [after["seen"] for after in report["after"]]
    assert {} in seen
    assert whole in seen
    assert all(found in ({}, whole) for found in seen)
