"""A text-only model as a reader: what it is asked, what it costs nothing to ask again, what its refusals count as."""

import json
import random
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import blind_items as made
import blind_planted as planted
import pytest

from pipeline.blind.asking import MOST, ask_model, drawn, replies_of
from pipeline.blind.audit import audit
from pipeline.blind.picks import MODEL
from pipeline.blind.probe import probe
from pipeline.blind.sheet import ProbeItem
from pipeline.cli.console import exit_code
from pipeline.cli.main import cli
from pipeline.engine.folder import WorkspaceFolder
from pipeline.errors import UserError
from pipeline.models.settings import ModelSettings
from pipeline.models.wire import ScriptedModel
from pipeline.report.blindpage import render
from tests.integration.fault_server import FaultServer

SETTINGS = ModelSettings(model="m", base_url="http://127.0.0.1:1/v1", attempts=1)
Choose = Callable[[list[str]], str | None]


def asked(body: Mapping[str, Any]) -> list[list[str]]:
    """Return the options of each question in a request."""
    text = body["messages"][1]["content"]
    text = text if isinstance(text, str) else "".join(part["text"] for part in text)
    blocks = re.split(r"^\d+\. .*$", text, flags=re.MULTILINE)[1:]
    return [re.findall(r"^   [A-Z]: (.*)$", block, flags=re.MULTILINE) for block in blocks]


def choosing(choose: Choose) -> Callable[[Mapping[str, Any]], str]:
    """Return a model that chooses each question's option by its text; None refuses."""

    def answer(body: Mapping[str, Any]) -> str:
        picks = []
        for number, options in enumerate(asked(body), start=1):
            text = choose(options)
            chosen = None if text is None else "ABCDEFGH"[options.index(text)]
            picks.append({"number": number, "letter": chosen})
        return json.dumps({"picks": picks})

    return answer


def knowing(items: list[ProbeItem]) -> Choose:
    """Return what a model that knows the world chooses: what is true."""
    truths = {item.options[item.answer] for item in items}
    return lambda options: next(text for text in options if text in truths)


def guessing(seed: int = 0) -> Choose:
    rng = random.Random(seed)
    return lambda options: rng.choice(options)


@pytest.fixture
def folder(tmp_path: Path) -> WorkspaceFolder:
    return WorkspaceFolder(tmp_path / "replies")


@pytest.fixture
def items() -> list[ProbeItem]:
    """Fair items, each with words of its own: nothing can be learned from others."""
    return [
        replace(one, options=tuple(f"{text} {at}" for text in one.options))
        for at, one in enumerate(planted.worded(200, share=0))
    ]


def test_what_a_model_knows_is_a_leak_that_no_other_reader_sees(
    items: list[ProbeItem], folder: WorkspaceFolder
) -> None:
    picks = ask_model(items, SETTINGS, folder, wire=ScriptedModel(answer=choosing(knowing(items))))
    found = audit(items, picks=picks)
    assert audit(items).report.leaks() == []
    assert found.report.model
    assert found.report.model.overall.accuracy == 1
    assert found.report.state() == "failed"
    assert found.headline().startswith("Without frames, a reader answers 100.0% of 200 items right")
    (leak,) = [leak for leak in found.report.leaks() if not leak.where]
    assert leak.name == MODEL
    first = found.causes[0]
    assert (first.kind, first.cell.verdict, first.cell.reader) == ("sense", "leak", MODEL)
    (title,) = [title for title in found.tables if MODEL in title]
    assert [(cell.name, cell.figure.items) for cell in found.tables[title]] == [
        ("t0", 100),
        ("t1", 100),
    ]
    page = render(found, "items", [picks.note()])
    assert "Common sense: the answer is what anybody would expect who sees nothing" in page
    assert "text-only model m: asked 200 items without images, answered 200" in page


def test_a_model_that_guesses_is_at_chance_and_one_that_is_wrong_leaks_too(
    items: list[ProbeItem], folder: WorkspaceFolder
) -> None:
    guessed = ask_model(items, SETTINGS, folder, wire=ScriptedModel(answer=choosing(guessing())))
    report = probe(items, quick=True, picks=guessed).report
    assert report.model
    assert 0.15 < report.model.overall.accuracy < 0.35
    assert report.leaks() == []
    right = knowing(items)
    wrong = choosing(lambda options: next(text for text in options if text != right(options)))
    settings = SETTINGS.model_copy(update={"model": "contrary"})
    picks = ask_model(items, settings, folder, wire=ScriptedModel(answer=wrong))
    assert {leak.name for leak in probe(items, quick=True, picks=picks).report.leaks()} == {MODEL}


def test_it_is_asked_in_batches_without_images_answers_or_columns(folder: WorkspaceFolder) -> None:
    items = [
        replace(
            one, columns={"hint": f"column-{one.answer}"}, clip=f"clip-{at}", group=f"scene-{at}"
        )
        for at, one in enumerate(planted.worded(700, share=0))
    ]
    model = ScriptedModel(answer=choosing(guessing()))
    picks = ask_model(items, SETTINGS, folder, wire=model)
    assert (len(picks.chosen), len(picks.answered), picks.of) == (MOST, MOST, 700)
    assert len(model.asked) == 60
    assert "asked 600 of 700 items" in picks.note()
    text = json.dumps(model.asked)
    assert not [
        word for word in ("image_url", "column-", "clip-", "scene-", "answer_index") if word in text
    ]
    assert [len(asked(body)) for body in model.asked] == [10] * 60


def test_an_item_that_is_added_leaves_the_sample_of_the_others() -> None:
    items = planted.worded(700, share=0)
    before, after = drawn(items), drawn([*items, *planted.worded(5, share=0, seed=9)])
    assert len({one.id for one in before} & {one.id for one in after}) >= MOST - 5
    assert drawn(items[::-1]) == before


def test_a_repeated_run_asks_only_what_is_missing(
    items: list[ProbeItem], folder: WorkspaceFolder
) -> None:
    answer = choosing(guessing())

    class Killed(ScriptedModel):
        async def send(self, body: Mapping[str, Any]) -> Any:
            if len(self.asked) == 7:
                raise KeyboardInterrupt
            return await super().send(body)

    first = Killed(answer=answer)
    with pytest.raises(KeyboardInterrupt):
        ask_model(items, SETTINGS, folder, wire=first)
    second = ScriptedModel(answer=answer)
    picks = ask_model(items, SETTINGS, folder, wire=second)
    assert len(picks.answered) == 200
    # What was in flight as it was killed may be asked again.
    assert len(second.asked) < 20
    third = ScriptedModel(answer=answer)
    assert ask_model(items, SETTINGS, folder, wire=third) == picks
    assert third.asked == []


def test_refusals_and_unusable_replies_are_counted_and_not_scored(
    items: list[ProbeItem], folder: WorkspaceFolder
) -> None:
    right = knowing(items)
    refusing = choosing(lambda options: None if "sofa" in options[0] else right(options))
    refused = sum("sofa" in item.options[0] for item in items)
    broken = json.dumps({"picks": [{"number": 99, "letter": "Z"}]})
    calls: Iterator[int] = iter(range(10_000))

    def answer(body: Mapping[str, Any]) -> str:
        # Both attempts at the first batch: its answer, and its repair.
        return broken if len(body["messages"]) > 2 or next(calls) == 0 else refusing(body)

    picks = ask_model(items, SETTINGS, folder, wire=ScriptedModel(answer=answer))
    unusable = {why: count for why, count in picks.failed.items() if why != "the model refused"}
    ((reason, count),) = unusable.items()
    assert count == 10
    assert "not one of 1 to 10" in reason
    assert 0 < picks.failed["the model refused"] <= refused
    assert len(picks.answered) == 200 - 10 - picks.failed["the model refused"]
    often = max(picks.failed, key=lambda why: picks.failed[why])
    without = 200 - len(picks.answered)
    assert f"; {without} without a usable answer, most often: {often}" in picks.note()
    report = probe(items, quick=True, picks=picks).report
    assert report.model
    assert (report.model.overall.accuracy, report.model.overall.items) == (1, len(picks.answered))


def test_a_model_that_answers_nothing_is_an_error_and_no_score(
    items: list[ProbeItem], folder: WorkspaceFolder
) -> None:
    silent = ScriptedModel(answer=choosing(lambda options: None))
    with pytest.raises(
        UserError, match="m gave no usable answer to any of 200 items: the model refused"
    ):
        ask_model(items, SETTINGS, folder, wire=silent)


def test_a_cache_folder_that_can_not_be_made_is_an_error(
    tmp_path: Path, items: list[ProbeItem]
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="can't be made for the model's replies: Not a directory"):
        ask_model(items, SETTINGS, WorkspaceFolder(tmp_path / "file" / "x"), wire=ScriptedModel())


def test_two_runs_about_one_file_do_not_ask_at_once(
    items: list[ProbeItem], folder: WorkspaceFolder
) -> None:
    from pipeline.engine.lock import locked

    folder.root.mkdir(parents=True)
    with (
        locked(folder.lock, "egost blind --model"),
        pytest.raises(UserError, match="another egost"),
    ):
        ask_model(items, SETTINGS, folder, wire=ScriptedModel())


# ---- from the command line, against a server -----------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path, items: list[ProbeItem], monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "items.jsonl"
    rows = [
        {"id": one.id, "video": one.clip, "scene": one.group, "question": one.question}
        | {"options": one.options, "answer": "ABCD"[one.answer], "task": one.task}
        for one in items
    ]
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def test_egost_blind_asks_a_server(
    file: Path, items: list[ProbeItem], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with FaultServer(answer=choosing(knowing(items))) as server:
        given = ["blind", str(file), "--model", "m", "--base-url", server.url, "--quick"]
        assert exit_code(cli, [*given, "--json"]) == 0
        assert sum(server.came.values()) == 20
        found = json.loads(capsys.readouterr().out)
        assert found["model"]["answered"] == 200
        assert found["attacks"][MODEL]["accuracy"] == 1
        assert exit_code(cli, [*given, "--html", str(tmp_path / "page.html")]) == 0
        assert sum(server.came.values()) == 20  # all of them are stored
    out = capsys.readouterr().out
    assert "text-only model m: asked 200 items without images, answered 200" in out
    assert "LEAKS: text-only model answers 100.0% blind" in out
    assert f"by category and kinds of facts, {MODEL} alone:" in out
    assert replies_of(file).root.is_relative_to(tmp_path / "cache")


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("wrong_key", "refused the key"),
        ("stall", "no usable answer to any of 200 items"),
        ("prose", "no usable answer to any of 200 items"),
        ("web_page", "is not an OpenAI-compatible server"),
        ("no_quota", "no quota left"),
    ],
)
def test_a_server_that_does_not_answer_is_an_error(
    fault: str, told: str, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with FaultServer(lambda key, times: fault, answer=choosing(guessing())) as server:
        given = ["blind", str(file), "--model", "m", "--base-url", server.url, "--quick"]
        given += ["--set", "draft.timeout_seconds=0.3", "--set", "draft.attempts=1"]
        assert exit_code(cli, given) == 2
    shown = capsys.readouterr()
    assert told in shown.err
    assert shown.out == ""


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["--model", "m", "--explain", "x"], "--model and --explain can't be used together"),
        (["--base-url", "http://127.0.0.1:1/v1"], "but there is no --model"),
        (["--set", "draft.attempts=1"], "--set can't be used with FILE"),
        (["--model", "m", "--set", "draft.attempts=none"], "draft.attempts"),
        (["--model", "m", "--base-url", "here"], "draft.base_url"),
        (["--model", ""], "draft.model"),
        (["--model", "unheard-of", "--base-url", "https://example.org/v1"], "no price is known"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    given: list[str], told: str, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(cli, ["blind", str(file), *given]) == 2
    assert told in capsys.readouterr().err


def test_a_workspace_is_not_sent(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(cli, ["blind", "--model", "m"]) == 2
    assert "there is no FILE" in capsys.readouterr().err


def test_a_permutation_of_the_answers_makes_a_model_guess(folder: WorkspaceFolder) -> None:
    items = made.composed(60)
    picks = ask_model(items, SETTINGS, folder, wire=ScriptedModel(answer=choosing(knowing(items))))
    rng = random.Random(3)
    table = picks.reader(0).sheet
    permuted = table.with_answers([rng.randrange(4) for _ in table.items])
    chosen = {id(item): choice for item, choice in picks.chosen}
    hits = [
        one.answer == chosen[id(item)]
        for one, item in zip(permuted.items, table.items, strict=True)
    ]
    assert abs(sum(hits) / len(hits) - 0.25) < 0.07
