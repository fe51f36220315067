"""The command where another module on the path has the package's name, which is a common one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import __version__

ROOT = Path(__file__).parents[2]


def run(path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Start `egost` with a folder at the front of the module search path."""
    found = os.pathsep.join([str(path), str(ROOT)])
    return subprocess.run(
        [sys.executable, "-c", "import egost; egost.main()", *words],
        env={**os.environ, "PYTHONPATH": found},
        cwd=path,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("name", ["pipeline.py", "pipeline/__init__.py"])
def test_a_module_that_hides_the_package_is_named(tmp_path: Path, name: str) -> None:
    hiding = tmp_path / name
    hiding.parent.mkdir(exist_ok=True)
    hiding.write_text("raise RuntimeError('this must never be run')")
    done = run(tmp_path, "--version")
    assert done.returncode == 2
    assert done.stdout == ""
    first, fix = done.stderr.splitlines()
    assert first.startswith(f"error: {hiding.resolve()}: hides the package")
    assert fix.startswith(f"  fix: remove {tmp_path.resolve()} from PYTHONPATH")


def test_other_files_of_that_name_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / "pipeline").mkdir()  # no package: the real one is found after it
    (tmp_path / "pipeline" / "notes.txt").touch()
    done = run(tmp_path, "--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() == f"egost, version {__version__}"
