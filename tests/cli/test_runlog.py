"""runs.jsonl: one line for each command that had the workspace open."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from pipeline import __version__
from pipeline.cli.console import run
from pipeline.cli.main import cli
from pipeline.cli.runlog import without_secrets
from pipeline.engine.store import Store
from pipeline.flow import make_workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    root = tmp_path / "w"
    make_workspace(root)
    return root


def egost(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        run(cli, list(arguments))
    assert isinstance(ended.value.code, int)
    return ended.value.code


def lines(root: Path) -> list[dict[str, Any]]:
    path = root / "runs.jsonl"
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_line_says_when_a_command_ran_and_how_it_ended(workspace: Path) -> None:
    old = {"command": "egost frames", "did": ["as an older version wrote it"]}
    (workspace / "runs.jsonl").write_text(json.dumps(old) + "\n")
    words = ["-w", str(workspace), "generate-qa", "--set", "run.workers=1"]
    assert egost(*words) == 0
    assert egost("-w", str(workspace), "export", "1.0.0") == 2
    first, line, failed = lines(workspace)
    assert first == old
    assert list(line) == [
        *("command", "arguments", "version", "started", "ended", "seconds", "exit", "did")
    ]
    assert (line["command"], line["arguments"]) == ("egost generate-qa", words)
    assert (line["version"], line["exit"]) == (__version__, 0)
    assert line["did"][0] == "draft: 0 clips: nothing new, 0 kept"
    started, ended = (datetime.fromisoformat(line[name]) for name in ("started", "ended"))
    assert line["started"].endswith("Z")
    assert 0 <= line["seconds"] - (ended - started).total_seconds() + 0.1 < 0.2
    assert (failed["command"], failed["exit"], failed["did"]) == ("egost export", 2, [])


@pytest.mark.parametrize(
    ("error", "code"), [(KeyboardInterrupt(), 130), (KeyError("bug"), 1), (OSError(28, "full"), 2)]
)
def test_a_run_that_ends_early_is_recorded(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int
) -> None:
    def stop(*_: object) -> None:
        raise error

    monkeypatch.setattr(Store, "keys", stop)
    words = ["-w", str(workspace), "generate-qa"]
    if code == 1:
        with pytest.raises(KeyError):
            run(cli, words)
    else:
        assert egost(*words) == code
    (line,) = lines(workspace)
    assert (line["exit"], line["did"]) == (code, [])


@pytest.mark.parametrize("words", [["status"], ["rejections"], ["gates"], ["generate-qa", "--dry-run"], ["export"], ["generate-qa", "--set", "nonsense.x=1"]])  # fmt: skip
def test_what_changes_nothing_is_not_recorded(workspace: Path, words: list[str]) -> None:
    egost("-w", str(workspace), *words)
    assert lines(workspace) == []


def test_arguments_are_recorded_without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1234567890")
    monkeypatch.setenv("SHORT_KEY", "1")
    monkeypatch.setenv("KEYBOARD_LAYOUT", "deutsch-nodeadkeys")
    given = {
        "sk-1234567890": "***",
        "draft.model=sk-1234567890": "draft.model=***",
        "xsk-1234567890": "xsk-1234567890",
        "draft.api_key=abc": "draft.api_key=***",
        "frames.keyframes=8": "frames.keyframes=8",
        "draft.max_completion_tokens=4000": "draft.max_completion_tokens=4000",
        "draft.input_usd_per_million=1.5": "draft.input_usd_per_million=1.5",
        "review.url=http://me:pass@host:80/x": "review.url=http://***@host:80/x",
        "draft.base_url=https://host/v1?key=a&b=c": "draft.base_url=https://host/v1?***",
        "deutsch-nodeadkeys": "deutsch-nodeadkeys",
        "me@example.org": "me@example.org",
        "": "",
    }
    assert dict(zip(given, without_secrets(given), strict=True)) == given


def test_names_that_are_no_text_are_recorded(workspace: Path, tmp_path: Path) -> None:
    assert egost("-w", str(workspace), "frames", f"{tmp_path}/\udcff.mp4") == 2
    (line,) = lines(workspace)
    assert line["arguments"][-1].endswith("\udcff.mp4")
