"""`egost evaluate` and `egost score` where choices, descriptions and judges meet: what is asked, kept, told."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from judge_server import JudgeServer, judge_server, text_of

from pipeline.cli.console import exit_code
from pipeline.cli.main import cli
from pipeline.evaluate.described_files import OPEN, write_section
from pipeline.evaluate.open_items import open_items
from pipeline.evaluate.results import RESULTS
from pipeline.evaluate.rows import Prediction
from pipeline.evaluate.score_open import score_open
from pipeline.releases.reading import open_release

Captured = pytest.CaptureFixture[str]

pytestmark = pytest.mark.usefixtures("no_baselines")


@pytest.fixture
def server() -> Iterator[JudgeServer]:
    with judge_server() as one:
        yield one


def egost(*words: object) -> int:
    return exit_code(cli, [str(word) for word in words])


def evaluate(folder: Path, server: JudgeServer, out: Path, *more: object) -> int:
    words = ("--base-url", server.url, "--out", out, "--items", 4, "--arms", "blind")
    return egost("evaluate", folder, "--model", "tested", *words, *more)


def folder_of(out: Path, model: str = "tested") -> Path:
    (found,) = out.glob(f"{model}-*")
    return found


def body_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / RESULTS).read_text(encoding="utf-8"))
    return found


def test_another_parser_asks_for_no_description_again(
    folders: tuple[Path, Path], server: JudgeServer, tmp_path: Path, capsys: Captured
) -> None:
    assert evaluate(folders[0], server, tmp_path) == 0
    asked, folder = len(server.bodies), folder_of(tmp_path)
    before = body_of(folder)["open"]
    capsys.readouterr()
    assert evaluate(folders[0], server, tmp_path, "--parser", "reference") == 0
    assert len(server.bodies) == asked
    assert body_of(folder)["open"] == before
    assert not (folder / "read-by-reference" / "llm.sqlite").exists()
    assert f"page: {folder / 'page.html'}" in capsys.readouterr().out.splitlines()
    page = (folder / "page.html").read_text(encoding="utf-8")
    assert '"tested, parser reference"' in page
    assert "answered in words, scored without a judge" in page


def test_a_judge_that_cannot_be_asked_leaves_models_and_pages(
    folders: tuple[Path, Path], server: JudgeServer, tmp_path: Path, capsys: Captured
) -> None:
    judge = ("--judge-model", "j", "--judge-base-url", "http://127.0.0.1:9/v1")
    once = ("--set", "judge.attempts=1")
    assert evaluate(folders[0], server, tmp_path, "--model", "other", *judge, *once) == 2
    shown = capsys.readouterr()
    assert shown.err.splitlines()[-2] == "error: http://127.0.0.1:9/v1: no server answers"
    assert shown.out.count("answered in words, scored without a judge") == 2
    for model in ("tested", "other"):
        assert (folder_of(tmp_path, model) / "page.html").is_file()


def test_a_judge_that_only_fails_is_given_up_and_the_reason_told(
    folders: tuple[Path, Path], server: JudgeServer, tmp_path: Path, capsys: Captured
) -> None:
    url, once = server.url.replace("/v1", "/broken/v1"), ("--set", "judge.attempts=1")
    judge = ("--judge-model", "constant", "--judge-base-url", url, "--set", "judge.in_flight=4")
    server.fails = lambda path: "broken" in path and len(server.asked("constant")) > 30
    assert evaluate(folders[0], server, tmp_path, *judge, *once) == 3
    assert len(server.asked("constant")) < 30 + 40
    assert "requests in a row" in capsys.readouterr().err


def test_a_server_that_dies_before_descriptions_is_told_in_one_line(
    folders: tuple[Path, Path], server: JudgeServer, tmp_path: Path, capsys: Captured
) -> None:
    server.fails = lambda path: "A. " not in text_of(server.bodies[-1])
    one_by_one = ("--set", "evaluate.attempts=1", "--set", "evaluate.in_flight=1")
    assert evaluate(folders[0], server, tmp_path, "--items", 30, *one_by_one) == 3
    error, fix = capsys.readouterr().err.splitlines()[-2:]
    assert "; tested: 0.0% of the requests about descriptions have a reply" in error
    assert error.count("error: ") == 1
    assert "requests in a row" in error
    assert "fix: " not in error
    assert fix.startswith("  fix: ")


def test_lines_about_two_judges_fit_a_terminal(
    folders: tuple[Path, Path], server: JudgeServer, tmp_path: Path, capsys: Captured
) -> None:
    judges = [
        ("--judge-model", one, "--judge-base-url", server.url) for one in ("honest", "obeying")
    ]
    repeats = ("--judge-repeats", 1, "--rubric", "reference")
    assert evaluate(folders[0], server, tmp_path, *judges[0], *judges[1], *repeats) == 0
    shown = capsys.readouterr().out.splitlines()
    assert any(line.startswith("agreement of both judges") for line in shown)
    assert max(len(line) for line in shown if str(tmp_path) not in line) <= 100


def test_a_judge_without_anything_to_judge_is_told(
    folders: tuple[Path, Path], server: JudgeServer, tmp_path: Path, capsys: Captured
) -> None:
    judge = ("--judge-model", "honest", "--judge-base-url", server.url)
    assert evaluate(folders[1], server, tmp_path, *judge) == 0
    assert "note: no judge is asked: " in capsys.readouterr().out
    assert evaluate(folders[0], server, tmp_path / "2", *judge, "--arms", "rotate") == 0
    assert "note: no judge is asked: " in capsys.readouterr().out
    assert server.asked("honest") == []
    capsys.readouterr()
    assert evaluate(folders[1], server, tmp_path, *judge, "--dry-run") == 0
    assert "requests to honest" not in capsys.readouterr().out


def test_nothing_is_left_to_ask_once_all_is_judged(
    folders: tuple[Path, Path], server: JudgeServer, tmp_path: Path, capsys: Captured
) -> None:
    judge = ("--judge-model", "honest", "--judge-base-url", server.url, "--judge-repeats", 1)
    assert evaluate(folders[0], server, tmp_path, *judge) == 0
    capsys.readouterr()
    assert evaluate(folders[0], server, tmp_path, *judge, "--dry-run") == 0
    shown = capsys.readouterr().out
    assert "0 requests to tested" in shown
    assert "model: 0 requests to honest" in shown


def test_edited_figures_of_descriptions_are_told_on_the_page(
    folders: tuple[Path, Path], server: JudgeServer, tmp_path: Path
) -> None:
    assert evaluate(folders[0], server, tmp_path) == 0
    folder = folder_of(tmp_path)
    page, told = folder / "page.html", "other figures of items answered in words"
    assert told not in page.read_text(encoding="utf-8")
    stored = json.loads((folder / OPEN).read_text(encoding="utf-8"))
    stored["arms"]["blind"]["figures"]["turns"]["all"]["all"]["value"] = 1.0
    write_section(folder, OPEN, stored)
    assert egost("results", folder, "--release", folders[0]) == 0
    assert told in page.read_text(encoding="utf-8")


def test_a_description_that_is_given_twice_is_refused(
    folders: tuple[Path, Path], tmp_path: Path, capsys: Captured
) -> None:
    (one, *_) = open_items(open_release(folders[0])).known
    rows = [{"id": one, "reply": "Turn left."}, {"id": one, "reply": "Turn right."}]
    path = tmp_path / "made.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    assert egost("score", folders[0], path) == 2
    assert f"error: {one}: has two descriptions in arm frames, repeat 0" in capsys.readouterr().err


def test_repeats_of_a_description_are_no_duplicates(folders: tuple[Path, Path]) -> None:
    items = open_items(open_release(folders[0]))
    (one, *_) = items.known
    rows = [
        Prediction(
            id=one, arm="frames", repeat=number, reply="Left.", letter=None, outcome="unreadable"
        )
        for number in range(2)
    ]
    assert score_open(rows, items, (), "x")
