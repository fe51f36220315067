"""Adapters contain the project's own prompt and letter parser, and run without the project."""

import asyncio
import csv
import importlib.util
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from small_release import release, small_space

from pipeline.evaluate.reading import questions_of
from pipeline.releases import letter
from pipeline.releases.letter import parse_letter
from pipeline.releases.prompt import ASK, INSTRUCTION, frame_label, question_prompt
from pipeline.releases.reading import Released, open_release
from pipeline.releases.replytext import without_thinking

OPTIONS = ("the red door", "the printer", "the stairs", "the lift")
ADAPTERS = ("inspect_task.py", "lmms_eval/utils.py", "trl_rows.py", "vlmevalkit/egost.py")


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("C", "C"),
        ("c", "C"),
        (" (C) ", "C"),
        ("[C].", "C"),
        ("**C**", "C"),
        ("Answer: C", "C"),
        ("The correct answer is C.", "C"),
        ("option c", "C"),
        ("C. the stairs", "C"),
        ("C) The  Stairs.", "C"),
        ("First left, then right.\nAnswer: C", "C"),
        ("C. the lift", None),
        ("C, because the stairs come last", None),
        ("A wall is seen", None),
        ("A or C", None),
        ("E", None),
        ("the stairs", "C"),
        ("", None),
        ("  \n ", None),
    ],
)
def test_only_an_unambiguous_letter_is_read(reply: str, expected: str | None) -> None:
    assert parse_letter(reply, OPTIONS) == expected


def test_option_text_without_known_options_is_unreadable() -> None:
    assert parse_letter("C. the stairs") is None


@given(st.text(max_size=60))
def test_any_reply_gives_a_letter_or_none(reply: str) -> None:
    assert parse_letter(reply, OPTIONS) in {None, *"ABCD"}


TEXTS = st.lists(
    st.text("abcdefgh ", min_size=1).map(str.strip).filter(bool),
    min_size=4,
    max_size=4,
    unique=True,
)


@given(TEXTS, st.integers(0, 3), st.integers(0, 3), st.sampled_from([". ", ") ", ": "]))
def test_a_letter_counts_only_with_its_own_option(
    options: list[str], at: int, option: int, separator: str
) -> None:
    normalized = [" ".join(text.split()) for text in options]
    reply = f"{'ABCD'[at]}{separator}{options[option]}"
    expected = "ABCD"[at] if normalized[at] == normalized[option] else None
    assert parse_letter(reply, options) == expected


@given(st.sampled_from("ABCD"), st.sampled_from(["{}", "({})", "Answer: {}", "The answer is {}."]))
def test_reasoning_before_the_last_line_is_ignored(letter: str, form: str) -> None:
    reply = f"First I pass a door; then I turn.\n{form.format(letter)}"
    assert parse_letter(reply, OPTIONS) == letter


@given(st.text(max_size=40), TEXTS)
def test_the_prompt_holds_question_and_lettered_options_in_order(
    question: str, options: list[str]
) -> None:
    lettered = [f"{letter}. {text}" for letter, text in zip("ABCD", options, strict=True)]
    expected = "\n".join([INSTRUCTION, question, *lettered, ASK])
    assert question_prompt(question, options) == expected


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Released]:
    with small_space(tmp_path_factory.mktemp("adapters") / "workspace", 8) as space:
        yield open_release(release(space, "1.0.0").folder)


class Recorded:
    """A stand-in for a class of a tool that CI does not have: it records what it is made from."""

    def __init__(self, *args: Any, **named: Any) -> None:
        self.args, self.named = args, named

    def __getattr__(self, name: str) -> Any:
        return self.named[name]


def stand_ins() -> Iterator[ModuleType]:
    """Yield the modules of tools that adapters import, with what they use of them."""
    video = ModuleType("vlmeval.dataset.video_base")
    video.VideoBaseDataset = object  # type: ignore[attr-defined]
    yield video
    names = {
        "inspect_ai": ("Task",),
        "inspect_ai.dataset": ("MemoryDataset", "Sample"),
        "inspect_ai.model": ("ChatMessageUser", "ContentImage", "ContentText"),
        "inspect_ai.scorer": ("SampleScore", "Score", "accuracy", "stderr"),
        "inspect_ai.solver": ("generate",),
    }
    for name, classes in names.items():
        module = ModuleType(name)
        for one in classes:
            setattr(module, one, Recorded)
        yield module
        if name == "inspect_ai":
            module.task = lambda function: function  # type: ignore[attr-defined]
        elif name == "inspect_ai.scorer":
            module.CORRECT, module.INCORRECT = "C", "I"  # type: ignore[attr-defined]
            module.metric = lambda function: function  # type: ignore[attr-defined]
            module.scorer = lambda metrics: lambda function: function  # type: ignore[attr-defined]


def load(made: Released, name: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Import an adapter from its path, as the tools do."""
    for package in stand_ins():
        monkeypatch.setitem(sys.modules, package.__name__, package)
    path = made.folder / "adapters" / name
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ADAPTERS)
def test_adapters_contain_exactly_the_projects_prompt_and_parser(
    made: Released, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (made.folder / "adapters" / name).read_text(encoding="utf-8")
    for function in (parse_letter, without_thinking, question_prompt, frame_label):
        assert inspect.getsource(function) in text
    assert re.findall(r"^\s*(?:from|import) pipeline", text, re.MULTILINE) == []
    adapter = load(made, name, monkeypatch)
    assert adapter.question_prompt("Where?", OPTIONS) == question_prompt("Where?", OPTIONS)
    assert adapter.parse_letter("C. the stairs", OPTIONS) == "C"
    assert adapter.parse_letter("C. the lift", OPTIONS) is None
    assert adapter.parse_letter(r"<think>A</think> \boxed{\text{C}}", OPTIONS) == "C"


@pytest.mark.parametrize("name", ADAPTERS)
def test_adapters_use_no_other_prompt_and_parser(made: Released, name: str) -> None:
    text = (made.folder / "adapters" / name).read_text(encoding="utf-8")
    own = text.replace(inspect.getsource(letter), "")
    assert "question_prompt(" in own
    assert "parse_letter(" in own
    for other in ("multiple_choice", "choice(", "extract_mcq", "can_infer", "random"):
        assert other not in own


def test_all_adapters_are_valid_python_that_imports_no_project_code(made: Released) -> None:
    paths = sorted((made.folder / "adapters").rglob("*.py"))
    assert len(paths) == 4
    for path in paths:
        text = path.read_text(encoding="utf-8")
        compile(text, str(path), "exec")
        assert "pipeline" not in text


def test_lmms_eval_scores_replies(made: Released, monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = load(made, "lmms_eval/utils.py", monkeypatch)
    row = next(row for _, row in made.questions() if row.format == "mcq").model_dump()
    assert adapter.doc_to_text(row) == question_prompt(row["question"], row["options"])
    assert len(adapter.doc_to_visual(row)) == len(row["frames"])
    group = {"split_group": row["split_group"]}
    assert adapter.process_results(row, [f"Answer: {row['answer']}"]) == {
        "failed": {"score": 0.0, **group},
        "accuracy": {"score": 1.0, **group},
        "readable": {"score": 1.0, **group},
    }
    unreadable = adapter.process_results(row, ["no idea"])
    assert [one["score"] for one in unreadable.values()] == [0.0, 0.0, 0.0]
    assert adapter.mean([{"score": 1.0}, {"score": 0.0}]) == 0.5
    withheld = row | {"answer": None}
    assert adapter.process_results(withheld, ["no idea"])["accuracy"]["score"] == 0.0


@pytest.mark.parametrize(
    "text", ["[LMMS_EVAL_REQUEST_FAILED after 5 retries] 400", "[LMMS_EVAL_BUDGET_EXCEEDED]"]
)
def test_failed_calls_of_lmms_eval_are_missing_data(
    made: Released, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    adapter = load(made, "lmms_eval/utils.py", monkeypatch)
    row = next(row for _, row in made.questions() if row.format == "mcq").model_dump()
    scores = adapter.process_results(row, [text])
    assert {name: one["score"] for name, one in scores.items()} == {"failed": 1.0}


def test_the_lmms_eval_task_clusters_its_errors_by_what_scores_carry(
    made: Released, monkeypatch: pytest.MonkeyPatch
) -> None:
    (path,) = (made.folder / "adapters" / "lmms_eval").glob("*.yaml")
    text = re.sub(r"!function \S+", "function", path.read_text(encoding="utf-8"))
    task = yaml.safe_load(text)
    adapter = load(made, "lmms_eval/utils.py", monkeypatch)
    row = next(row for _, row in made.questions() if row.format == "mcq").model_dump()
    for one in adapter.process_results(row, ["A"]).values():
        assert one.keys() == {task["cluster_key"], task["score_key"]}
    assert {one["metric"] for one in task["metric_list"]} == {"accuracy", "readable", "failed"}


def test_chat_models_of_lmms_eval_get_each_frame_after_its_time(
    made: Released, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = load(made, "lmms_eval/utils.py", monkeypatch)
    row = next(row for _, row in made.questions() if row.format == "mcq").model_dump()
    (message,) = adapter.doc_to_messages(row)
    labels = [frame_label(at, seconds) for at, seconds in enumerate(row["frame_seconds"], start=1)]
    texts = [part["text"] for part in message["content"] if part["type"] == "text"]
    assert texts == [*labels, question_prompt(row["question"], row["options"])]
    assert [part["type"] for part in message["content"][:2]] == ["text", "image"]


def test_vlmevalkit_gets_each_frame_after_its_time(
    made: Released, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = load(made, "vlmevalkit/egost.py", monkeypatch)
    with (made.folder / "adapters" / "vlmevalkit" / "egost.tsv").open(encoding="utf-8") as file:
        line = next(csv.DictReader(file, delimiter="\t"))
    message = adapter.Egost.build_prompt(adapter.Egost.__new__(adapter.Egost), line)
    row = next(row for _, row in made.questions() if row.id == line["id"])
    assert message[0]["value"] == frame_label(1, row.frame_seconds[0])
    assert [part["type"] for part in message] == ["text", "image"] * len(row.frames) + ["text"]
    assert message[-1]["value"] == question_prompt(row.question, row.options)


def test_inspect_asks_and_scores_as_the_other_adapters(
    made: Released, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = load(made, "inspect_task.py", monkeypatch)
    task = adapter.egost()
    (samples,) = task.named["dataset"].args
    rows = {row.id: row for _, row in made.questions()}
    sample = samples[0]
    row = rows[sample.named["id"]]
    content = sample.named["input"][0].named["content"]
    assert len(content) == 2 * len(row.frames) + 1
    assert content[0].named["text"] == frame_label(1, row.frame_seconds[0])
    assert content[-1].named["text"] == question_prompt(row.question, row.options)
    blind = adapter.egost(frames=False).named["dataset"].args[0][0]
    (only,) = blind.named["input"][0].named["content"]
    assert only.named["text"] == question_prompt(row.question, row.options, frames=False)

    def scored(reply: str, stop: str = "stop") -> tuple[str, str | None]:
        output = Recorded(completion=reply, stop_reason=stop)
        state = Recorded(output=output, metadata=sample.named["metadata"])
        score = asyncio.run(adapter.stated_letter()(state, Recorded(text=row.answer)))
        return score.named["value"], score.named["answer"]

    assert scored(f"Answer: {row.answer}") == ("C", row.answer)
    assert scored("A person turns left") == ("I", None)
    assert scored(f"Answer: {row.answer}", "max_tokens") == ("I", None)
    assert scored(f"Answer: {row.answer}", "model_length") == ("I", None)
    assert scored(f"<answer>{row.answer}</answer> I", "max_tokens") == ("C", row.answer)
    assert scored(f"Answer: {row.answer}", "content_filter") == ("I", None)
    found = [Recorded(score=Recorded(answer=one)) for one in ("A", None, "B", None)]
    assert adapter.readable()(found) == 0.5


def test_the_same_replies_have_the_same_results_in_every_tool(
    made: Released, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent.parent / "consumers"))
    from same_replies import figures, replies

    questions = [one for one in questions_of(made)[0] if one.split == "test"]
    given = list(replies(questions * 12))  # so that every form of a reply occurs
    rows = {row.id: row.model_dump() for _, row in made.questions()}
    lmms = load(made, "lmms_eval/utils.py", monkeypatch)
    inspect_score = load(made, "inspect_task.py", monkeypatch).stated_letter()
    for one in given:
        row = rows[one["id"]]
        scores = lmms.process_results(row, [one["reply"]])
        (question,) = (each for each in questions if each.id == one["id"])
        expected = figures([question], [one], finish=False)
        assert scores["accuracy"]["score"] == expected["accuracy"], one
        assert scores["readable"]["score"] == expected["readable"], one
        assert scores["accuracy"]["split_group"] == question.split_group
        output = Recorded(completion=one["reply"], stop_reason=one["finish"])
        state = Recorded(output=output, metadata={"options": row["options"]})
        score = asyncio.run(inspect_score(state, Recorded(text=row["answer"])))
        expected = figures([question], [one], finish=True)
        assert (score.named["value"] == "C") == expected["accuracy"], one
        assert (score.named["answer"] is not None) == expected["readable"], one


def test_trl_rewards_the_right_letter_alone(
    made: Released, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    adapter = load(made, "trl_rows.py", monkeypatch)
    rows = adapter.load("train")
    row = rows[0]
    assert row["prompt"][0]["content"].startswith(INSTRUCTION)
    rewards = adapter.reward(
        [row["completion"], "no idea"], [row["solution"]] * 2, [row["options"]] * 2
    )
    assert rewards == [1.0, 0.0]
    assert len(row["images"]) == 20
