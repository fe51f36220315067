"""The Makefile passes values on as they are, whatever characters are in them."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

MAKEFILE = Path(__file__).parents[2] / "Makefile"
STUB = "#!{python}\nimport json, sys\nprint(json.dumps(sys.argv[1:]))\n"
ODD = [
    "my ws",
    "it's",
    'say "hi"',
    "a$HOME$$b",
    "`id`;#",
    "two  spaces\\",
    "x'; exit 3; '",
    "küche*?",
]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with the Makefile, already set up, whose egost prints its arguments; its path has a space."""
    folder = tmp_path / "a checkout"
    (folder / ".venv" / "bin").mkdir(parents=True)
    shutil.copy(MAKEFILE, folder)
    for name in ("pyproject.toml", "constraints.txt"):
        (folder / name).touch()
        os.utime(folder / name, (1, 1))
    stub = folder / ".venv" / "bin" / "egost"
    stub.write_text(STUB.format(python=sys.executable))
    stub.chmod(0o755)
    (folder / ".venv" / "ready").touch()
    return folder


def passed(checkout: Path, target: str, **values: str) -> list[str]:
    """Return the arguments that a target gives to egost."""
    given = [f"{name}={value}" for name, value in values.items()]
    done = subprocess.run(
        ["make", "-s", target, *given], cwd=checkout, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found: list[str] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("value", ODD)
def test_values_are_passed_on_as_they_are(checkout: Path, value: str) -> None:
    for target, words in {
        "generate-qa": ["generate-qa"],
        "annotate": ["review", "push"],
        "pull": ["review", "pull"],
        "label-studio": ["label-studio", "start", "--port", "0"],
        "report": ["report"],
    }.items():
        assert passed(checkout, target, W=value) == ["-w", value, *words]
    assert passed(checkout, "frames", W=value, VIDEOS=value) == ["-w", value, "frames", value]
    assert passed(checkout, "export", W=value, VERSION=value) == ["-w", value, "export", value]
    assert passed(checkout, "report", RELEASE=value) == ["report", value]
    scored = passed(checkout, "evaluate", RELEASE=value, MODEL=value)
    assert scored == ["evaluate", value, "--model", value]


def test_flags_are_words_of_the_shell(checkout: Path) -> None:
    flags = """--redraft --set 'draft.language=it'"'"'s' --set "export.dataset=my set" """
    arms = passed(checkout, "evaluate", RELEASE="r", MODEL="m", FLAGS="--arms 'frames, blind'")
    assert arms[-2:] == ["--arms", "frames, blind"]
    words = ["--redraft", "--set", "draft.language=it's", "--set", "export.dataset=my set"]
    assert passed(checkout, "generate-qa", FLAGS=flags)[2:] == ["generate-qa", *words]
    assert passed(checkout, "export", FLAGS=flags, VERSION="1.0.0")[2:] == [
        "export",
        *words,
        "1.0.0",
    ]


def test_values_that_are_not_given_are_left_out(checkout: Path) -> None:
    assert passed(checkout, "frames") == ["-w", "workspace", "frames"]
    assert passed(checkout, "export") == ["-w", "workspace", "export"]
    assert passed(checkout, "label-studio", PORT="9000")[-1] == "9000"
    assert passed(checkout, "demo") == ["-w", "demo", "demo"]
    assert passed(checkout, "evaluate") == ["demo", "--evaluate"]


def test_consumers_that_are_not_there_are_named_and_none_at_all_is_a_failure(
    checkout: Path,
) -> None:
    def made(of: str = "RELEASE=a release") -> "subprocess.CompletedProcess[str]":
        command = ["make", "-s", "consumers", of]
        return subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)

    python = checkout / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True, exist_ok=True)
    python.write_text("#!/bin/sh\n")
    python.chmod(0o755)
    done = made()
    assert done.returncode != 0
    assert "inspect: not checked: no .consumers/inspect" in done.stdout
    assert done.stdout.splitlines()[-1] == "consumers: 0 of 7 checks have passed"
    python = checkout / ".consumers" / "trl" / "bin" / "python"
    python.parent.mkdir(parents=True)
    for line, code in ("echo read $2", 0), ("exit 1", 2):
        python.write_text(f"#!/bin/sh\n{line}\n")
        python.chmod(0o755)
        done = made()
        assert done.returncode == code
        assert ("read a release" in done.stdout) is (code == 0)
        assert ("read .consumers/rows" in done.stdout) is (code == 0)
        assert ("consumers: 2 of 7 checks have passed" in done.stdout) is (code == 0)
    python.write_text("#!/bin/sh\necho read $2\n")
    assert made("ROWS=my rows").stdout.splitlines() == [
        "read my rows",
        "swift: not checked: no .consumers/swift (see tests/consumers/README.md)",
        "verl: not checked: no .consumers/verl (see tests/consumers/README.md)",
        "consumers: 1 of 3 checks have passed",
    ]
