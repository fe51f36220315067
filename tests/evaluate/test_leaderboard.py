"""The leaderboard: what is verified, what isn't, and what is never in one table."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made_results import knows, make_results
from small_release import release, small_space, varied

from pipeline.errors import GateError, UserError
from pipeline.evaluate import leaderboard as board
from pipeline.evaluate.baselines import Baselines
from pipeline.evaluate.leaderboard import Row, leaderboard, to_json
from pipeline.evaluate.results import PREDICTIONS, RESULTS, packed, read_results
from pipeline.evaluate.rows import Prediction
from pipeline.releases.reading import Released, open_release
from pipeline.report.leaderboard_page import write_leaderboard


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """Two releases of twelve walks, and one of them with withheld answers."""
    root = tmp_path_factory.mktemp("board") / "w"
    with small_space(root, 12, walk=varied) as space:
        return (
            release(space).folder,
            release(space, "0.1.1").folder,
            release(space, "0.2.0", withhold=["test"]).folder,
        )


@pytest.fixture(autouse=True)
def no_baselines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Baselines have tests of their own, and take seconds."""
    monkeypatch.setattr(board, "baselines", lambda *_, **__: Baselines((), None, ()))


@pytest.fixture
def released(releases: tuple[Path, Path, Path]) -> Released:
    return open_release(releases[0])


def models(rows: tuple[Row, ...]) -> list[Row]:
    return [row for row in rows if row.kind == "model"]


def the_row(folder: Path, released: Released) -> Row:
    (table,) = leaderboard([folder], [released.folder])
    (row,) = models(table.rows)
    return row


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = folder / RESULTS
    body = json.loads(path.read_text(encoding="utf-8"))
    change(body)
    path.write_text(json.dumps(body), encoding="utf-8")


def rewrite(folder: Path, change: Callable[[Prediction], Prediction | None]) -> None:
    made = [new for one in read_results(folder).predictions if (new := change(one)) is not None]
    (folder / PREDICTIONS).write_bytes(packed(Prediction, made))


def test_replies_that_are_scored_again_verify_a_row(released: Released, tmp_path: Path) -> None:
    folder = make_results(tmp_path, released)
    row = the_row(folder, released)
    stored = json.loads((folder / RESULTS).read_text(encoding="utf-8"))["metrics"]
    figure = stored["arms"]["frames"]["accuracy"]["all"]["all"]
    assert (row.status, row.rank) == ("verified", 1)
    assert row.accuracy.to_json() == figure
    assert row.gain is not None
    assert row.gain.to_json() == stored["gains"][0]["parts"]["all"]["all"]
    assert row.cost_usd == pytest.approx(stored["arms"]["frames"]["usage"]["cost_usd"])
    assert (row.prompt, row.frames, row.made[:2]) == ("ours", "as released", "20")


def raised(body: dict[str, Any]) -> None:
    body["metrics"]["arms"]["frames"]["accuracy"]["all"]["all"]["value"] = 0.99


def raised_gain(body: dict[str, Any]) -> None:
    body["metrics"]["gains"][0]["parts"]["all"]["all"]["value"] = 0.9


def more_items(body: dict[str, Any]) -> None:
    body["metrics"]["items"] += 1


@pytest.mark.parametrize("change", [raised, raised_gain, more_items])
def test_edited_figures_are_not_verified(
    released: Released, tmp_path: Path, change: Callable[[dict[str, Any]], None]
) -> None:
    folder = make_results(tmp_path, released)
    edit(folder, change)
    row = the_row(folder, released)
    assert (row.status, row.rank) == ("contradicted", None)
    assert row.accuracy.value != 0.99  # that of the replies
    assert "stored figures" in row.why


def corrected(answers: dict[str, str]) -> Callable[[Prediction], Prediction]:
    return lambda one: one.model_copy(update={"letter": answers[one.id], "outcome": "answered"})


def hidden(answers: dict[str, str]) -> Callable[[Prediction], Prediction]:
    """Wrong answers become missing data."""
    return lambda one: (
        one
        if one.letter == answers[one.id]
        else one.model_copy(update={"letter": None, "outcome": "failed"})
    )


@pytest.mark.parametrize("way", [corrected, hidden])
def test_edited_letters_and_outcomes_are_not_verified(
    released: Released, tmp_path: Path, way: Callable[[dict[str, str]], Any]
) -> None:
    folder = make_results(tmp_path, released, reply=knows(0.5))
    answers = {one.id: str(one.answer) for one in read_results(folder).questions}
    rewrite(folder, way(answers))
    honest = the_row(make_results(tmp_path / "other", released, reply=knows(0.5)), released)
    row = the_row(folder, released)
    assert (row.status, row.rank) == ("contradicted", None)
    assert "stored letters or outcomes" in row.why
    assert row.accuracy == honest.accuracy


def test_wrong_answers_that_were_left_out_leave_no_complete_result(
    released: Released, tmp_path: Path
) -> None:
    folder = make_results(tmp_path, released, reply=knows(0.5), arms=("frames",))
    answers = {one.id: str(one.answer) for one in read_results(folder).questions}
    rewrite(folder, lambda one: one if one.letter == answers[one.id] else None)
    row = the_row(folder, released)
    assert row.rank is None
    assert row.status == "contradicted"


def same_answers(path: Path) -> None:
    """Make A the answer of every row of a Parquet file."""
    table = pq.read_table(path)
    answers = pa.array(["A"] * table.num_rows)
    place = table.schema.get_field_index("answer")
    pq.write_table(table.set_column(place, "answer", answers), path)


def test_edited_answers_of_items_change_nothing(released: Released, tmp_path: Path) -> None:
    folder = make_results(tmp_path, released, reply=knows(0.5))
    before = the_row(folder, released)
    same_answers(folder / "items.parquet")
    assert the_row(folder, released) == before  # the answers are those of the release


def test_without_replies_or_without_the_release_a_row_is_reported(
    released: Released, tmp_path: Path
) -> None:
    folder = make_results(tmp_path, released)
    (table,) = leaderboard([folder], [])
    (row,) = models(table.rows)
    assert (row.status, row.rank) == ("reported", None)
    assert "--release" in row.why
    (folder / PREDICTIONS).unlink()
    row = the_row(folder, released)
    assert (row.status, row.rank) == ("reported", None)
    assert RESULTS in row.why
    assert row.accuracy.value


def test_a_changed_release_verifies_nothing(released: Released, tmp_path: Path) -> None:
    folder = make_results(tmp_path, released)
    copy = shutil.copytree(released.folder, tmp_path / "copy")
    (shard,) = sorted((copy / "data").glob("test-*.parquet"))
    same_answers(shard)
    with pytest.raises(GateError, match="data/test"):
        leaderboard([folder], [copy])


def test_other_releases_items_and_parsers_have_tables_of_their_own(
    releases: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    one, other = map(open_release, releases[:2])
    folders = [
        make_results(tmp_path / "1", one, "a", knows(0.9)),
        make_results(tmp_path / "2", one, "b", knows(0.5)),
        make_results(tmp_path / "3", other, "c"),
        make_results(tmp_path / "4", one, "d", splits=("train",)),
        make_results(tmp_path / "5", one, "e", parser="reference"),
    ]
    some = read_results(folders[0]).questions[:4]
    fewer = shutil.copytree(folders[1], tmp_path / "fewer")
    ids = {question.id for question in some}
    rewrite(fewer, lambda row: row if row.id in ids else None)
    items = pq.read_table(fewer / "items.parquet")
    pq.write_table(
        items.filter([id_.as_py() in ids for id_ in items["id"]]), fewer / "items.parquet"
    )
    tables = leaderboard([*folders, fewer], [one.folder, other.folder])
    names = {
        (table.version, table.items, table.parser): [row.name for row in models(table.rows)]
        for table in tables
    }
    count = len(read_results(folders[0]).questions)
    assert names.pop(("0.1.0", f"{count} items of test", "strict")) == ["a", "b"]
    assert sorted(names.values()) == [["b"], ["c"], ["d"], ["e"]]
    assert any(items.startswith(f"4 of {count} items of test (set ") for _, items, _ in names)
    assert [row.rank for table in tables for row in models(table.rows) if row.name == "c"] == [1]


def test_the_same_folder_twice_is_one_row(released: Released, tmp_path: Path) -> None:
    folder = make_results(tmp_path, released)
    (table,) = leaderboard([folder, tmp_path / "." / folder.name], [released.folder])
    assert len(models(table.rows)) == 1


def test_repeats_that_were_chosen_are_not_verified(released: Released, tmp_path: Path) -> None:
    folder = make_results(tmp_path, released)
    first, *_ = [one for one in read_results(folder).predictions if one.arm == "frames"]
    again = [*read_results(folder).predictions, first.model_copy(update={"repeat": 1})]
    (folder / PREDICTIONS).write_bytes(packed(Prediction, again))
    edit(folder, lambda body: body["metrics"].clear())  # no figure that could differ
    row = the_row(folder, released)
    assert (row.status, row.rank) == ("contradicted", None)
    assert "unequally often" in row.why


def test_prompts_are_told_apart_within_a_table(released: Released, tmp_path: Path) -> None:
    folders = [
        make_results(tmp_path, released, prompt=prompt, reply=knows(share))
        for prompt, share in (("direct", 0.4), ("ours", 0.9))
    ]
    (table,) = leaderboard(folders, [released.folder])
    assert [(row.prompt, row.rank) for row in models(table.rows)] == [("ours", 1), ("direct", 2)]


def test_baselines_people_and_chance_are_among_the_rows(released: Released, tmp_path: Path) -> None:
    person = {"value": 0.97, "low": None, "high": None, "items": 9, "groups": 4}
    folder = make_results(
        tmp_path, released, people={"accuracy": {"all": {"all": person}}, "answers": 18}
    )
    (table,) = leaderboard([folder], [])
    kinds = {row.name: row.kind for row in table.rows}
    assert kinds == {
        "model-a": "model",
        "people": "people",
        "blind probe": "baseline",
        "chance": "chance",
    }
    assert table.rows[0].name == "people"
    assert all(row.rank is None for row in table.rows)


def test_withheld_answers_give_a_row_without_figures(
    releases: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    held = open_release(releases[2])
    folder = make_results(tmp_path, held, reply=lambda *_: {"reply": "<answer>A</answer>"})
    row = the_row(folder, held)
    assert row.accuracy.value is None
    assert row.rank is None


def test_both_files_have_the_same_rows_and_a_kill_leaves_earlier_ones(
    released: Released, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hostile = "</script><img src=x onerror=alert(1)>\u2028\u202e"
    folder = make_results(tmp_path, released, model=hostile)
    tables = leaderboard([folder], [released.folder])
    page = write_leaderboard(tables, tmp_path / "out")
    data = json.loads((tmp_path / "out" / "leaderboard.json").read_text(encoding="utf-8"))
    assert data["tables"][0]["rows"][0]["name"] == hostile
    assert data["tables"] == json.loads(to_json(tables, "", ""))["tables"]
    text = page.read_text(encoding="utf-8")
    assert "<img" not in text
    assert "&lt;img" in text
    before = {path.name: path.read_bytes() for path in page.parent.iterdir()}

    def killed(*_: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", killed)  # when all is written, but not yet in its place
    with pytest.raises(KeyboardInterrupt):
        write_leaderboard([], tmp_path / "out")
    assert {path.name: path.read_bytes() for path in page.parent.iterdir()} == before


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body.update(metrics={"arms": 3}),
        lambda body: body["metrics"]["arms"].update(frames=[1]),
        lambda body: body["metrics"]["arms"]["frames"].update(coverage="all"),
        lambda body: body["metrics"]["arms"]["frames"]["accuracy"]["all"].update(
            all={"value": "1"}
        ),
        lambda body: body["metrics"]["arms"]["frames"]["accuracy"]["all"]["all"].update(
            value=float("nan")
        ),
        lambda body: body.update(baselines=["x"]),
        lambda body: body.update(people=3),
    ],
)
def test_a_damaged_results_file_is_named(
    released: Released, tmp_path: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    folder = make_results(tmp_path, released)
    (folder / PREDICTIONS).unlink()
    edit(folder, change)
    with pytest.raises(UserError, match=RESULTS):
        leaderboard([folder], [])
