import sys
from pathlib import Path

import pytest

from pipeline.demo import story


def test_the_command_is_named_as_it_can_be_called(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "argv", [".venv/bin/egost", "-w", "demo", "demo"])
    assert story._command() == ".venv/bin/egost"
    monkeypatch.setattr(sys, "argv", ["pipeline/__main__.py", "demo"])
    assert story._command() == "egost"
    (tmp_path / "egost").touch(mode=0o755)
    monkeypatch.setattr(sys, "argv", [".venv/bin/egost", "demo"])
    assert story._command() == "egost"
