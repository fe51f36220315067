"""Items that a model writes for a user's own tasks: what is asked, kept, refused, and what it costs."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.rows import Rejection, Row, Rows
from pipeline.errors import RowError, UserError
from pipeline.flow import STAGES
from pipeline.models.wire import ScriptedModel
from pipeline.questions import write
from pipeline.questions.rows import Written
from pipeline.routes import templates
from pipeline.routes.settings import DraftSettings
from tests.clip_rows import clip, rows, turn, us, workspace

MODEL = DraftSettings(
    provider="openai", model="m", base_url="http://127.0.0.1:1/v1", tasks=["direction"]
)


def item(**changes: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "question": "Which way does the wearer go after the red door?",
        "answer": "Turn left.",
        "distractors": ["Turn right", "Go straight on", "turn around"],
        "evidence": "After the door the corridor swings to the right.",
        "evidence_seconds": [6.0, 5],
    }
    return given | changes


def answer(*items: dict[str, Any]) -> str:
    return json.dumps({"items": items})


def wrote(
    folder: WorkspaceFolder, model: ScriptedModel, seen: Rows, settings: DraftSettings = MODEL
) -> list[Row]:
    async def once() -> list[Row]:
        async with write.opens(settings, folder, model) as service:
            return await write.run(seen, settings, service)

    return asyncio.run(once())


@pytest.fixture
def folder(tmp_path: Path) -> WorkspaceFolder:
    return workspace(tmp_path / "w")


def test_a_reply_becomes_items_in_the_form_of_all_options_with_provenance(
    folder: WorkspaceFolder,
) -> None:
    model = ScriptedModel(answer(item(), item(answer="Stairs->Left", question="And then?")))
    one, two = wrote(folder, model, rows(folder))
    assert isinstance(one, Written)
    assert isinstance(two, Written)
    assert (one.answer, one.distractors) == (
        "turn left",
        ["turn right", "go straight on", "turn around"],
    )
    assert two.answer == "stairs -> left"
    assert (one.ordinal, two.ordinal, one.task, one.format) == (0, 1, "direction", "mcq")
    assert one.evidence_us == [us(5), us(6)]
    assert (one.model, one.cost_usd) == ("m", 0.0)
    assert one.item_id != two.item_id
    assert one.item_id == one.model_copy(update={"answer": "x"}).item_id


def test_the_question_shows_rules_frames_turns_and_how_many(folder: WorkspaceFolder) -> None:
    model = ScriptedModel(answer(item()))
    wrote(folder, model, rows(folder))
    (body,) = model.asked
    system, user = body["messages"]
    assert "at most 2 questions" in system["content"]
    assert [part["type"] for part in user["content"]] == ["text", "image_url"] * 3 + ["text"]
    assert "5.0 s to 7.0 s: left, 90 degrees" in user["content"][-1]["text"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"distractors": ["a", "b"]}, "distractors: 2, expected 3"),
        ({"distractors": ["TURN LEFT", "b", "c"]}, "have to differ"),
        ({"distractors": ["B) right", "b", "c"]}, "no letters before an option"),
        ({"distractors": ["x" * 201, "b", "c"]}, "201 characters"),
        ({"answer": " . "}, "distractors: 0 characters"),
        ({"question": "\n"}, "question: has 0 characters"),
        ({"evidence": "x" * 501}, "evidence: has 501"),
        ({"evidence_seconds": []}, "name at least one moment"),
        ({"evidence_seconds": [20.5]}, "20.5 is not within the clip (0 to 20)"),
        ({"evidence_seconds": ["soon"]}, "evidence_seconds"),
    ],
)
def test_a_wrong_item_is_repaired_once(
    folder: WorkspaceFolder, changes: dict[str, Any], says: str
) -> None:
    model = ScriptedModel(answer(item(**changes)), answer(item()))
    assert len(wrote(folder, model, rows(folder))) == 1
    repair = model.asked[1]["messages"][-1]["content"]
    assert "items[0]" in repair
    assert says in repair


def test_more_items_than_asked_for_are_refused(folder: WorkspaceFolder) -> None:
    three = [item(question=f"Where at {number}?") for number in range(3)]
    model = ScriptedModel(answer(*three), answer())
    with pytest.raises(RowError, match="nothing to ask"):
        wrote(folder, model, rows(folder))
    assert "items: 3, expected at most 2" in model.asked[1]["messages"][-1]["content"]


def test_the_same_question_twice_is_refused(folder: WorkspaceFolder) -> None:
    model = ScriptedModel(answer(item(), item(answer="Turn off")), answer(item()))
    assert len(wrote(folder, model, rows(folder))) == 1
    assert "two ask the same" in model.asked[1]["messages"][-1]["content"]


def test_one_failed_task_does_not_affect_the_other_and_is_recorded(folder: WorkspaceFolder) -> None:
    both = MODEL.model_copy(update={"tasks": ["direction", "order"]})
    found = wrote(folder, ScriptedModel(answer(item()), "no", "still no"), rows(folder), both)
    kinds = {type(row): row for row in found}
    assert kinds.keys() == {Written, Rejection}
    refused = kinds[Rejection]
    assert isinstance(refused, Rejection)
    assert "prompts/tasks/order.j2" in refused.what
    assert "prompts/tasks/order.j2" in refused.fix


def test_stored_replies_are_not_paid_for_again(folder: WorkspaceFolder) -> None:
    first = wrote(folder, ScriptedModel(answer(item())), rows(folder))
    nothing = ScriptedModel()
    assert wrote(folder, nothing, rows(folder)) == first
    assert not nothing.asked


def test_a_video_that_must_stay_is_not_sent_elsewhere(folder: WorkspaceFolder) -> None:
    away = MODEL.model_copy(
        update={
            "base_url": "https://models.example/v1",
            "input_usd_per_million": 1.0,
            "output_usd_per_million": 1.0,
        }
    )
    model = ScriptedModel(answer(item()))
    with pytest.raises(RowError, match="must stay on this machine"):
        wrote(folder, model, rows(folder, consent="local"), away)
    assert not model.asked


def test_the_cap_holds_for_items_too(folder: WorkspaceFolder) -> None:
    capped = MODEL.model_copy(
        update={"max_cost_usd": 0.0, "input_usd_per_million": 1.0, "output_usd_per_million": 1.0}
    )
    model = ScriptedModel(answer(item()))
    with pytest.raises(UserError, match="max_cost_usd"):
        wrote(folder, model, rows(folder), capped)
    assert not model.asked


def test_only_named_tasks_are_asked_and_enter_the_key(folder: WorkspaceFolder) -> None:
    (stage,) = [one for one in STAGES if one.name == "write"]
    assert stage.wanted is not None
    assert not stage.wanted(DraftSettings(provider="openai", model="m"))
    assert stage.wanted(MODEL)
    both = MODEL.model_copy(update={"tasks": ["direction", "order"]})
    assert write.depends(MODEL, folder) != write.depends(both, folder)


def test_an_unknown_task_is_reported_with_those_that_exist(folder: WorkspaceFolder) -> None:
    with pytest.raises(UserError, match="poem") as caught:
        wrote(folder, ScriptedModel(), rows(folder), MODEL.model_copy(update={"tasks": ["poem"]}))
    assert "direction, order" in caught.value.fix


def test_an_estimate_counts_one_request_per_clip_and_task(folder: WorkspaceFolder) -> None:
    both = MODEL.model_copy(update={"tasks": ["direction", "order"]})
    seen = [rows(folder, of=clip(f"c{n}"), turns=(turn(n, n + 1),)) for n in range(1, 4)]
    assert write.estimate(seen, both, folder).requests == 6
    assert str(write.estimate(seen, DraftSettings(), folder)).endswith("0.00 USD")


OPEN = """+++
name = "reach"
version = 1
output = "items"
category = "landmark"
orientation = "forward"
format = "open"
count = 1
+++
{% block system %}Ask. {{ schema }}{% endblock %}
{% block frame %}{{ frame.number }}{% endblock %}
{% block question %}Go.{% endblock %}
"""


def own_task(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    path = folder / "reach.j2"
    path.write_text(text)
    monkeypatch.setattr(templates, "_task_files", lambda: [path])


def test_a_users_own_open_task_needs_no_python(
    folder: WorkspaceFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_task(tmp_path, monkeypatch, OPEN)
    settings = MODEL.model_copy(update={"tasks": ["reach"]})
    good = item(answer="They reach the Red Door.", distractors=[])
    model = ScriptedModel(answer(item()), answer(good))
    (found,) = wrote(folder, model, rows(folder), settings)
    assert isinstance(found, Written)
    assert (found.format, found.answer, found.distractors) == (
        "open",
        "They reach the Red Door.",
        [],
    )
    assert "expected none for an open question" in model.asked[1]["messages"][-1]["content"]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('category = "landmark"\n', "", "category"),
        ("count = 1\n", "count = 0\n", "count"),
        ('output = "items"', 'output = "text"', 'output = "items"'),
        ('name = "reach"', 'name = "other"', "name has to be the file's own"),
        ("{{ schema }}", "{{ nobody }}", "'nobody' is undefined"),
    ],
)
def test_prompts_check_covers_tasks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, says: str
) -> None:
    own_task(tmp_path, monkeypatch, OPEN.replace(old, new))
    (problem,) = templates.check_prompts()
    assert problem.path == "prompts/tasks/reach.j2"
    assert says in problem.what
