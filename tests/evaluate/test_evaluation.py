"""A model is asked about a release, its replies are read, and results are written that others can check."""

import json
import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from batch_server import BatchServer
from small_release import release, small_space, varied

from pipeline.demo.scripted_models import colour_of
from pipeline.errors import UserError
from pipeline.evaluate import score
from pipeline.evaluate.evaluation import Evaluated, Evaluation, Options
from pipeline.evaluate.reading import questions_of
from pipeline.evaluate.results import read_results
from pipeline.evaluate.rules import read
from pipeline.evaluate.score import LOG, compare_folders, score_file
from pipeline.models import batches
from pipeline.models.batch_files import BatchLimits
from pipeline.models.failures import RequestError
from pipeline.models.journal import Reply
from pipeline.models.settings import EvaluatedModel
from pipeline.models.wire import ScriptedModel
from pipeline.releases.reading import Released, open_release

Answer = Callable[[Mapping[str, Any]], str]

pytestmark = pytest.mark.usefixtures("no_baselines")


def text_of(body: Mapping[str, Any]) -> str:
    content = body["messages"][-1]["content"]
    return "\n".join(
        [content] if isinstance(content, str) else [one.get("text", "") for one in content]
    )


def images_of(body: Mapping[str, Any]) -> list[str]:
    content = body["messages"][-1]["content"]
    return [
        one["image_url"]["url"]
        for one in content
        if not isinstance(one, str) and one["type"] == "image_url"
    ]


class Model(ScriptedModel):
    """A scripted model that sees plain colours; only requests about items count."""

    async def send(self, body: Mapping[str, Any]) -> Reply:
        if "code word" in text_of(body):
            return Reply(
                f"kestrel: {', '.join(map(colour_of, images_of(body)))}", None, "stop", "m", 9, 9
            )
        return await self.ask_item(body)

    async def ask_item(self, body: Mapping[str, Any]) -> Reply:
        return await super().send(body)


def options_of(body: Mapping[str, Any]) -> dict[str, str]:
    found = dict(re.findall(r"^([A-D])[.:)] (.+)$", text_of(body), re.MULTILINE))
    assert len(found) == 4
    return {text: letter for letter, text in found.items()}


def seer(released: Released) -> Answer:
    """Return a model that sees all and says the letter of the option that is true."""
    true = {
        (row.question, frozenset(row.options)): row.answer_text for _, row in released.questions()
    }

    def answer(body: Mapping[str, Any]) -> str:
        options = options_of(body)
        (told,) = (
            answer
            for (asked, texts), answer in true.items()
            if asked in text_of(body) and texts == {*options}
        )
        return f"I looked.\n<answer>{options[str(told)]}</answer>"

    return answer


def settings(name: str = "m", **fields: Any) -> EvaluatedModel:
    given = {"model": name, "base_url": "http://127.0.0.1:1/v1", "attempts": 1}
    return EvaluatedModel.model_validate(given | fields)


def run(
    released: Released, out: Path, model: ScriptedModel, name: str = "m", **options: Any
) -> Evaluated:
    return Evaluation(released, Options(**options), out).run(settings(name), wire=model)


def test_a_model_that_sees_is_right_in_every_order_of_options_and_asked_once(
    released: Released, tmp_path: Path
) -> None:
    model = Model(answer=seer(released))
    arms = ("frames", "rotate", "shuffled", "blind")
    found = run(released, tmp_path, model, arms=arms)
    results = read_results(found.folder)
    assert len(results.predictions) == found.predictions == len(model.asked)
    answers = {one.id: one.answer for one in results.questions}
    assert len(answers) >= 20
    assert all(one.letter == answers[one.id] for one in results.predictions)
    assert {one.arm for one in results.predictions} == {
        "frames", "rotate-1", "rotate-2", "rotate-3", "shuffled", "blind",
    }  # fmt: skip
    assert results.body["metrics"]["arms"]["frames"]["accuracy"]["all"]["all"]["value"] == 1
    again = run(released, tmp_path, Model(), arms=arms)
    assert again.folder == found.folder
    assert read_results(again.folder).predictions == results.predictions


def test_arms_send_the_images_that_they_name(folders: tuple[Path, Path], tmp_path: Path) -> None:
    released = open_release(
        folders[1]
    )  # withheld, so whether reversed frames have an answer isn't known
    sent = {}
    for arm in ("frames", "reversed", "one", "blank", "blind"):
        model = Model(answer=lambda _: "A")
        run(released, tmp_path / arm, model, arms=[arm], items=1)
        sent[arm] = images_of(model.asked[0])
    assert sent["reversed"] == sent["frames"][::-1]
    assert sent["one"] == [sent["frames"][len(sent["frames"]) // 2]]
    assert len(sent["blank"]) == len(sent["frames"])
    assert not {*sent["blank"]} & {*sent["frames"]}
    assert sent["blind"] == []


def test_reversed_frames_are_not_shown_with_questions_that_they_do_not_answer(
    released: Released, tmp_path: Path
) -> None:
    model = Model(answer=lambda _: "A")
    found = run(released, tmp_path, model, arms=("frames", "reversed"))
    results = read_results(found.folder)
    shown = {one.id for one in results.predictions if one.arm == "reversed"}
    answered = {one.id for one in results.questions if one.option_true_of("rewound") is not None}
    assert shown == answered < {one.id for one in results.questions}


def test_a_repeat_is_a_request_of_its_own(released: Released, tmp_path: Path) -> None:
    letters = iter("ABCD" * 1000)
    model = Model(answer=lambda _: next(letters))
    found = run(released, tmp_path, model, repeats=3, items=4)
    assert len(model.asked) == found.predictions
    assert {one.repeat for one in read_results(found.folder).predictions} == {0, 1, 2}


def test_requests_without_a_reply_are_missing_and_counted(
    released: Released, tmp_path: Path
) -> None:
    say, asked = seer(released), []

    class Failing(Model):
        async def ask_item(self, body: Mapping[str, Any]) -> Reply:
            asked.append(body)
            if len(asked) % 4 == 0:
                raise RequestError("moment", "the server is busy")
            return await super().ask_item(body)

    found = run(released, tmp_path, Failing(answer=say))
    assert not found.complete
    results = read_results(found.folder)
    failed = [one for one in results.predictions if one.outcome == "failed"]
    assert len(failed) == len(asked) // 4
    assert all("the server is busy" in str(one.error) for one in failed)
    measured = results.body["metrics"]["arms"]["frames"]
    assert measured["accuracy"]["all"]["all"]["value"] == 1  # neither right nor wrong
    assert measured["bounds"][0] < 1 == measured["bounds"][1]
    assert any("have a reply" in line for line in found.lines)
    # The next run asks for what is missing alone.
    model = Model(answer=say)
    assert run(released, tmp_path, model).complete
    assert len(model.asked) == len(failed)


def test_a_server_that_can_not_be_asked_ends_the_run_with_its_reason(
    released: Released, tmp_path: Path
) -> None:
    class Silent(ScriptedModel):
        async def send(self, body: Mapping[str, Any]) -> Reply:
            raise RequestError("server", "refused the key", "set another")

    with pytest.raises(UserError, match="refused the key"):
        run(released, tmp_path, Silent())


def test_withheld_answers_are_scored_only_by_those_who_have_them(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    held = open_release(folders[1])
    found = run(held, tmp_path, Model(answer=seer(open_release(folders[0]))))
    results = read_results(found.folder)
    assert results.body["metrics"] is None
    assert results.questions == ()
    assert found.withheld == found.predictions
    sealed = folders[1].parent.parent / "sealed" / folders[1].name
    predictions = found.folder / "predictions.parquet"
    with pytest.raises(UserError, match="withheld"):
        score_file(held, predictions, None)
    lines = score_file(held, predictions, sealed)
    assert any(line.startswith("frames ") and line.split()[1] == "100.0" for line in lines)
    (logged,) = (sealed / LOG).read_text().splitlines()
    assert json.loads(logged)["predictions"] == found.predictions
    (sealed / LOG).unlink()


def test_withheld_items_are_scored_without_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(score, "LEAST_WITHHELD", 5)
    with small_space(tmp_path / "w", 8, walk=varied) as space:
        found = release(space, withhold=["test"])
    held = open_release(found.folder)
    rows = [(split, row) for split, row in held.questions() if row.format == "mcq"]
    (one,) = [row for split, row in rows if split == "test"][:1]
    known = [row for split, row in rows if split == "train"]
    assert len(known) >= 4
    # All known answers and one guess: a figure of all would tell whether the guess is right.
    lines = [json.dumps({"id": row.id, "letter": row.answer or "A"}) for row in (one, *known)]
    path = tmp_path / "p.jsonl"
    path.write_text("\n".join(lines))
    text = "\n".join(score_file(held, path, found.sealed))
    assert f"{len(known)} items with published answers are left out" in text
    assert "1 predictions for 1 items" in text
    assert not re.search(r"^frames.*%", text, re.MULTILINE)


def test_results_are_exported_for_other_tools(released: Released, tmp_path: Path) -> None:
    found = run(released, tmp_path, Model(answer=seer(released)), arms=("frames", "blind"))
    log = json.loads((found.folder / "exports" / "inspect-frames.json").read_text())
    assert log["results"]["scores"][0]["metrics"]["accuracy"]["value"] == 1
    assert len(log["samples"]) == log["results"]["completed_samples"] == found.predictions // 2
    assert (found.folder / "exports" / "inspect-blind.json").is_file()
    (lines,) = (found.folder / "exports" / "data").rglob("*_samples.jsonl")
    assert len(lines.read_text().splitlines()) == found.predictions


def test_a_file_of_predictions_is_checked_before_it_is_scored(
    released: Released, tmp_path: Path
) -> None:
    ids = [row.id for _, row in released.questions() if row.format == "mcq"]
    path = tmp_path / "p.jsonl"
    lines = [{"id": ids[0], "reply": "<answer>A</answer>"}, {"id": ids[1], "letter": "b"}]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert score_file(released, path, None)[-1].endswith("2 predictions for 2 items")
    for wrong, what in (
        ({"id": "i_no", "letter": "A"}, "i_no"),
        ({"id": ids[2]}, "neither reply nor letter"),
        ({"id": ids[0], "letter": "A"}, "two predictions"),
    ):
        path.write_text("".join(json.dumps(line) + "\n" for line in [*lines, wrong]))
        with pytest.raises(UserError, match=what):
            score_file(released, path, None)


def test_replies_of_other_tools_are_read_and_their_failures_are_missing(
    released: Released, tmp_path: Path
) -> None:
    ids = [row.id for _, row in released.questions() if row.format == "mcq"]
    replies: list[object] = [
        [{"type": "text", "text": "Answer: "}, {"type": "text", "text": "B"}],
        "[LMMS_EVAL_REQUEST_FAILED]",
        "Failed to obtain answer via API.",
        None,
        "",
    ]
    path = tmp_path / "p.jsonl"
    rows = [{"id": id_, "reply": reply} for id_, reply in zip(ids, replies, strict=False)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    known = {one.id: one for one in questions_of(released)[0]}
    made = [score._prediction(row, known[str(row["id"])]) for row in rows]
    outcomes = [read(one, known[one.id]).outcome for one in made]
    assert outcomes == ["answered", "failed", "failed", "failed", "unreadable"]
    assert any(
        "40.0% of requests have a reply" in line for line in score_file(released, path, None)
    )
    for column, odd in (
        *(("repeat", one) for one in ("x", -1, 10**30, "1.0")),
        *(("arm", one) for one in ("\x1b[31mred", "a\nb", "x" * 31, "../frames")),
    ):
        path.write_text(json.dumps({"id": ids[0], "reply": "A", column: odd}) + "\n")
        with pytest.raises(UserError, match=f"has the {column} ") as caught:
            score_file(released, path, None)
        assert len(str(caught.value).splitlines()) == 2
        assert "\x1b" not in str(caught.value)
    table = tmp_path / "p.csv"
    table.write_text(f'id,reply,repeat\n{ids[0]},"I see a door.\n\nAnswer: B",0.0\n')
    with pytest.raises(UserError, match=r"has the repeat 0\.0"):
        score_file(released, table, None)
    table.write_text(f'id,reply\n{ids[0]},"I see A door.\n\nAnswer: B"\n')
    (row,) = score.read_rows(table)
    assert str(row["reply"]).count("\n") == 2  # a reply of several lines


def test_two_models_are_compared_on_the_same_items(released: Released, tmp_path: Path) -> None:
    say = seer(released)
    first = run(released, tmp_path, Model(answer=say), "good")
    second = run(released, tmp_path, Model(answer=lambda _: "I can't tell."), "bad")
    lines = compare_folders([first.folder, second.folder], "frames", anyway=False)
    assert lines[0].startswith("good minus bad, frames: +100.0 points")
    other = run(released, tmp_path, Model(answer=say), "small", image_pixels=48)
    with pytest.raises(UserError, match="image_pixels"):
        compare_folders([first.folder, other.folder], "frames", anyway=False)
    assert compare_folders([first.folder, other.folder], "frames", anyway=True)


def test_a_server_that_shows_the_model_only_the_last_image_ends_the_run(
    released: Released, tmp_path: Path
) -> None:
    class Last(ScriptedModel):
        async def send(self, body: Mapping[str, Any]) -> Reply:
            self.asked.append(body)
            return Reply(f"kestrel: {colour_of(images_of(body)[-1])}", None, "stop", "m", 9, 9)

    model = Last()
    with pytest.raises(UserError, match="last"):
        run(released, tmp_path, model)
    assert len(model.asked) == 2  # asked again with other colours, and never about an item


def test_a_batch_answers_all_items_and_what_it_gives_up_is_missing(
    released: Released, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "BatchLimits", partial(BatchLimits, first_wait=0.02))
    lost: set[str] = set()

    def choose(key: str, times: int) -> str:
        if len(lost) < 3:
            lost.add(key)
        return "wrong" if key in lost else "good"

    with BatchServer(choose=choose, seconds=0.05) as server:
        options = Options(batch=True, items=30)
        asked = EvaluatedModel(model="m", base_url=server.url)
        found = Evaluation(released, options, tmp_path).run(asked)
        predictions = read_results(found.folder).predictions
        failed = [one for one in predictions if one.outcome == "failed"]
        assert len(predictions) == 30
        assert len(failed) == 3
        assert {one.letter for one in predictions if one.outcome == "answered"} == {"B"}
        assert max(server.billed.values()) == 1
