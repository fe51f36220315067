"""Adapters contain the project's own prompt and letter parser, and run without the project."""

import importlib.util
import inspect
import re
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_release import release, small_space

from pipeline.releases.letter import parse_letter
from pipeline.releases.prompt import ASK, INSTRUCTION, question_prompt
from pipeline.releases.reading import Released, open_release

OPTIONS = ("the red door", "the printer", "the stairs", "the lift")
ADAPTERS = ("lmms_eval/utils.py", "trl_rows.py", "vlmevalkit/egost.py")


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
        ("the stairs", None),
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
    options: list[str], letter: int, option: int, separator: str
) -> None:
    normalized = [" ".join(text.split()) for text in options]
    reply = f"{'ABCD'[letter]}{separator}{options[option]}"
    expected = "ABCD"[letter] if normalized[letter] == normalized[option] else None
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
    with small_space(tmp_path_factory.mktemp("adapters") / "workspace") as space:
        yield open_release(release(space, "1.0.0").folder)


def load(made: Released, name: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Import an adapter, with a stand-in for the one package that CI does not have."""
    package = ModuleType("vlmeval.dataset.video_base")
    package.VideoBaseDataset = object  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "vlmeval.dataset.video_base", package)
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
    for function in (parse_letter, question_prompt):
        assert inspect.getsource(function) in text
    assert re.findall(r"^\s*(?:from|import) pipeline", text, re.MULTILINE) == []
    adapter = load(made, name, monkeypatch)
    assert adapter.question_prompt("Where?", OPTIONS) == question_prompt("Where?", OPTIONS)
    assert adapter.parse_letter("C. the stairs", OPTIONS) == "C"
    assert adapter.parse_letter("C. the lift", OPTIONS) is None


def test_all_adapters_are_valid_python_that_imports_no_project_code(made: Released) -> None:
    paths = sorted((made.folder / "adapters").rglob("*.py"))
    assert len(paths) == 4
    for path in paths:
        text = path.read_text(encoding="utf-8")
        compile(text, str(path), "exec")
        assert "pipeline" not in text
    assert INSTRUCTION in (made.folder / "adapters" / "inspect_task.py").read_text(encoding="utf-8")


def test_lmms_eval_scores_replies(made: Released, monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = load(made, "lmms_eval/utils.py", monkeypatch)
    row = next(row for _, row in made.questions() if row.format == "mcq").model_dump()
    assert adapter.doc_to_text(row) == question_prompt(row["question"], row["options"])
    assert len(adapter.doc_to_visual(row)) == len(row["frames"])
    score = adapter.process_results(row, [f"Answer: {row['answer']}"])
    assert score == {"accuracy": 1.0, "readable": 1.0}
    assert adapter.process_results(row, ["no idea"]) == {"accuracy": 0.0, "readable": 0.0}


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
