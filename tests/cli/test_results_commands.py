"""The commands that show results: where they write, what they print, what they refuse."""

import json
from pathlib import Path

import pytest
from made_results import make_results
from small_release import release, small_space, varied

from pipeline.cli.console import exit_code
from pipeline.cli.main import cli
from pipeline.demo.scripted_models import BLIND, serving
from pipeline.evaluate import evaluation
from pipeline.evaluate import leaderboard as board
from pipeline.evaluate.baselines import Baselines
from pipeline.evaluate.reading import questions_of
from pipeline.releases.reading import Released, open_release


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Released:
    root = tmp_path_factory.mktemp("commands") / "w"
    with small_space(root, 8, walk=varied) as space:
        return open_release(release(space).folder)


def egost(*words: object) -> int:
    return exit_code(cli, [str(word) for word in words])


def test_the_page_of_one_result_is_in_its_folder_and_of_several_beside_them(
    released: Released, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = [make_results(tmp_path, released, name) for name in ("a", "b")]
    assert egost("results", folders[0], "--release", released.folder) == 0
    assert str(folders[0] / "page.html") in capsys.readouterr().out
    assert egost("results", *folders) == 0
    assert egost("results", *folders, "--out", tmp_path / "x.html") == 0
    for path in (folders[0] / "page.html", tmp_path / "page.html", tmp_path / "x.html"):
        assert path.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_evaluate_writes_the_page_beside_its_results(
    released: Released, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluation, "baselines", lambda *_, **__: Baselines((), None, ()))
    questions, _ = questions_of(released)
    with serving(questions) as url:
        words = ("--model", BLIND, "--base-url", url, "--arms", "blind", "--out", tmp_path)
        assert egost("evaluate", released.folder, *words) == 0
    (page,) = tmp_path.glob("*/page.html")
    text = page.read_text(encoding="utf-8")
    tested = [one.id for one in questions if one.split == "test"]
    assert tested
    assert all(id_ in text for id_ in tested)


def test_what_cannot_be_shown_is_refused_with_the_fix(
    released: Released, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_results(tmp_path, released)
    alone = make_results(tmp_path / "alone", released)
    (alone / "predictions.parquet").unlink()
    for words, told in (
        (("results", alone), "no predictions.parquet"),
        (("results", tmp_path), "no results.json"),
        (("results", folder, "--release", tmp_path), str(tmp_path)),
        (("results", folder, "--out", tmp_path), "is a folder"),
        (("leaderboard", tmp_path), "no results.json"),
        (("leaderboard", folder, "--out", folder / "results.json"), "is no folder"),
        (("leaderboard", folder, "--release", folder), "is not a release"),
    ):
        assert egost(*words) == 2, words
        error = capsys.readouterr().err
        assert told in error
        assert "fix: " in error
    assert not (tmp_path / "leaderboard").exists()


def test_the_leaderboard_prints_what_is_verified(
    released: Released,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(board, "baselines", lambda *_, **__: Baselines((), None, ()))
    folders = [make_results(tmp_path, released, name) for name in ("a", "b")]
    (folders[1] / "predictions.parquet").unlink()
    out = tmp_path / "board"
    assert egost("leaderboard", *folders, "--release", released.folder, "--out", out) == 0
    assert "1 verified, 1 reported" in capsys.readouterr().out
    body = json.loads((out / "leaderboard.json").read_text(encoding="utf-8"))
    assert {row["status"] for row in body["tables"][0]["rows"] if row["kind"] == "model"} == {
        "verified",
        "reported",
    }
    assert sorted(path.name for path in out.iterdir()) == ["index.html", "leaderboard.json"]
