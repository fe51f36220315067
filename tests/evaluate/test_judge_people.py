"""People score descriptions: what they see, what is fetched, and how far a judge agrees with them."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pipeline.engine.folder import WorkspaceFolder
from pipeline.errors import UserError
from pipeline.evaluate import judge_people
from pipeline.evaluate.described_files import (
    DESCRIPTIONS,
    JUDGE,
    JUDGED,
    OPEN,
    OPEN_ITEMS,
    PEOPLE,
    read_people,
)
from pipeline.evaluate.judge_scores import SCORES
from pipeline.evaluate.judged import score_agreement
from pipeline.evaluate.open_rows import Judgement, OpenItem
from pipeline.evaluate.results import RESULTS, packed
from pipeline.evaluate.rows import Prediction
from pipeline.labelstudio.scripted import ScriptedClient


def item(number: int) -> OpenItem:
    return OpenItem(
        id=f"i_{number}", split="test", task="route_forward", category="route", orientation="forward",
        split_group="g", video="v", question="Which way?", reference="Turn left <b>here</b>.", language="en",
        seconds=10, twin=None, moves=["left"], landmarks=[], actions=[], source="evidence", steps=[],
    )  # fmt: skip


def judgement(number: int, score: int, repeat: int) -> Judgement:
    return Judgement(
        id=f"i_{number}", arm="frames", repeat=0, planted=None, judge="j", rubric="ours", judge_repeat=repeat,
        outcome="scored", direction=score, landmark=5 - score, semantics=3,
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a results folder: twelve descriptions, which a judge scored twice each."""
    folder = tmp_path / "some-model-0123456789ab"
    folder.mkdir()
    made = [
        Prediction(id=f"i_{n}", arm=arm, reply=f"Turn left {n}.", letter=None, outcome="answered")
        for n in range(12)
        for arm in ("frames", "blind")
    ]
    made.append(
        Prediction(id="i_unknown", arm="frames", reply="?", letter=None, outcome="answered")
    )
    (folder / DESCRIPTIONS).write_bytes(packed(Prediction, made))
    (folder / OPEN_ITEMS).write_bytes(packed(OpenItem, [item(n) for n in range(12)]))
    rows = [judgement(n, n % 6, repeat) for n in range(12) for repeat in range(2)]
    (folder / JUDGED).write_bytes(packed(Judgement, rows))
    judge = {"descriptions_sha256": "d", "judges": [{"model": "j", "rubrics": {"ours": {}}}]}
    (folder / JUDGE).write_text(json.dumps(judge))
    (folder / OPEN).write_text('{"descriptions_sha256": "d"}')
    (folder / RESULTS).write_text("{}")
    return folder


@pytest.fixture
def home(tmp_path: Path) -> WorkspaceFolder:
    (tmp_path / "w").mkdir()
    return WorkspaceFolder(tmp_path / "w")


def chosen(**scores: int) -> list[dict[str, Any]]:
    return [
        {"from_name": name, "type": "choices", "value": {"choices": [str(score)]}}
        for name, score in scores.items()
    ]


def judge_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / RESULTS).read_text())["judge"]["judges"][0]
    return found["rubrics"]["ours"]


def test_pages_show_the_texts_and_neither_model_nor_judge(
    folder: Path, home: WorkspaceFolder
) -> None:
    client = ScriptedClient()
    sent = judge_people.push(client, home, folder, 5, 2)
    assert (sent.new, sent.kept) == (5, 0)
    pages = json.dumps([task.data for task in client.kept.values()])
    assert "Turn left &lt;b&gt;here&lt;/b&gt;." in pages
    titles = [one.title for one in client.made.values()]
    for hidden in ("some-model", "i_1", "blind", "frames"):
        assert hidden not in pages
        assert not any(hidden in title for title in titles)


def test_pushing_again_sends_what_is_missing(folder: Path, home: WorkspaceFolder) -> None:
    client = ScriptedClient()
    judge_people.push(client, home, folder, 5, 2)
    again = judge_people.push(client, home, folder, 5, 2)
    assert (again.new, again.kept) == (0, 5)
    more = judge_people.push(client, home, folder, 500, 2)
    assert (more.new, more.kept) == (7, 5)
    assert len(client.made) == 1


def test_scores_are_fetched_and_compared(folder: Path, home: WorkspaceFolder) -> None:
    client = ScriptedClient()
    judge_people.push(client, home, folder, 12, 2)
    assert judge_people.pull(client, home, folder).scores == 0
    for task in list(client.kept.values()):
        number = next(n for n in range(12) if f"Turn left {n}." in task.data["texts"])
        same = chosen(direction=number % 6, landmark=number % 6, semantics=3)
        client.answer(task.id, same, email="anna@example.org")
        client.answer(
            task.id, chosen(direction=0, landmark=0, semantics=0), email="s@scripted.invalid"
        )
    first = next(iter(client.kept))
    client.answer(first, [], email="ben@example.org", skipped=True)
    client.answer(first, chosen(direction=3), email="carl@example.org")  # two scores are missing
    found = judge_people.pull(client, home, folder)
    assert (found.scores, found.people, found.scripted, found.left_out) == (12, 1, 12, 1)
    people = judge_of(folder)["people"]
    assert people["descriptions"] == 12
    assert people["kappa"]["direction"] == 1  # as the judge scores
    assert people["kappa"]["landmark"] < 0  # the opposite
    assert people["kappa"]["semantics"] is None  # both give everything a 3
    rows = read_people(folder)
    assert "anna" not in (folder / PEOPLE).read_text()
    assert judge_people.pull(client, home, folder) == found
    assert read_people(folder) == rows


def test_descriptions_that_changed_are_not_scored_by_old_scores(
    folder: Path, home: WorkspaceFolder
) -> None:
    client = ScriptedClient()
    judge_people.push(client, home, folder, 12, 2)
    for number in list(client.kept):
        client.answer(number, chosen(direction=1, landmark=1, semantics=1))
    rows = [
        Prediction.model_validate(row) for row in pq.read_table(folder / DESCRIPTIONS).to_pylist()
    ]
    changed = [row.model_copy(update={"reply": "Turn right."}) for row in rows]
    (folder / DESCRIPTIONS).write_bytes(packed(Prediction, changed))
    found = judge_people.pull(client, home, folder)
    assert (found.scores, found.left_out) == (0, 12)


def test_a_folder_without_descriptions_is_an_error(tmp_path: Path, home: WorkspaceFolder) -> None:
    with pytest.raises(UserError, match="open_items"):
        judge_people.push(ScriptedClient(), home, tmp_path, 5, 2)


def test_kappa_is_weighted_by_the_square() -> None:
    near = {("i", "frames", n): dict.fromkeys(SCORES, n % 5 + 1) for n in range(20)}
    far = {("i", "frames", n): dict.fromkeys(SCORES, 5 - n % 5) for n in range(20)}
    truth = {("i", "frames", n): dict.fromkeys(SCORES, n % 5) for n in range(20)}
    close, opposite = (score_agreement(one, truth).kappa["direction"] for one in (near, far))
    assert close == pytest.approx(0.8)  # one off everywhere: 1 - 20 / (20 * (2 * 2 + 1))
    assert opposite is not None
    assert close is not None
    assert opposite < 0 < close
