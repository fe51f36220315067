"""`egost_rewards.py`: the file that trainers import gives the package's rewards, in each trainer's signature."""

import ast
import importlib.util
import inspect
import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any

import made_rows
import pytest
from made_rows import listed, perfect, said, think

from pipeline.training import signatures
from pipeline.training.lists import Event, inverted
from pipeline.training.onefile import REWARDS_FILE, rewards_file, write_rewards
from pipeline.training.rewards import SCHEMES, Rewards, rewards, total
from pipeline.training.rows import TrainingRow
from pipeline.training.solution import solution, solution_text


def imported(path: Path, name: str = "egost_rewards") -> ModuleType:
    """Import a file from its path without registering it, as some trainers do."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_rewards(tmp_path_factory.mktemp("rewards"))


@pytest.fixture(scope="module")
def copy(path: Path) -> ModuleType:
    return imported(path)


def altered(row: TrainingRow, draw: Random) -> str:
    """Return a completion that is right in part."""
    events = listed(row)
    for _ in range(draw.randrange(4)):
        at = draw.randrange(len(events))
        kind = draw.randrange(3)
        if kind == 0:
            events[at:at] = [Event("turn", draw.choice(("left", "right")), 1.0, 2.5)]
        elif kind == 1 and len(events) > 1:
            events.pop(at)
        else:
            events[at] = events[at]._replace(start=draw.uniform(0, 9), end=draw.uniform(9, 20))
    back = (
        inverted(events)
        if draw.random() < 0.7
        else [event for event in inverted(events) if draw.random() < 0.9]
    )
    answer = draw.choice((*"ABCD", row.answer_text, "A or B"))
    completion = said(think(events, back, draw.choice(("en", "de"))), answer)
    if draw.random() < 0.2:
        at = draw.randrange(len(completion))
        completion = (
            completion[:at]
            + draw.choice(("<answer>", "</think>", "x", "\n", "\uff21"))
            + completion[at:]
        )
    return completion


def test_the_file_gives_the_rewards_of_the_package(copy: ModuleType) -> None:
    draw, found = Random(5), set()
    rows = [*Random(6).sample(made_rows.rows("fair", 120), 60), *made_rows.mixed()[-2:]]
    for row in rows * 4:
        known, completion = solution(row), altered(row, draw)
        expected = rewards(completion, known)
        assert tuple(copy.rewards(completion, json.loads(solution_text(row)))) == tuple(expected)
        for scheme in SCHEMES:
            assert copy.total(copy.rewards(completion, known), scheme) == total(expected, scheme)
        found.add(expected)
    assert len(found) > 100  # of all sorts


def test_a_description_is_read_alike(copy: ModuleType) -> None:
    row = made_rows.mixed()[-2]
    for text in (
        row.answer_text, "At the red door left, **right** afterwards.", "Biegen Sie links ab, dann rechts.", "Rechts.",
        "He turns around, then goes left; don't turn right.", "left x2", "\u2190 \u2192", "Open the fridge!", "turn \u201cleft\u201d",
    ):  # fmt: skip
        completion = said("I look.", text)
        assert tuple(copy.rewards(completion, solution(row))) == tuple(
            rewards(completion, solution(row))
        )


def test_it_uses_the_standard_library_alone_and_nothing_that_python_hides(
    path: Path, tmp_path: Path
) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    modules = {
        node.module if isinstance(node, ast.ImportFrom) else node.names[0].name
        for node in tree.body
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert {str(name).partition(".")[0] for name in modules} <= sys.stdlib_module_names
    row = made_rows.rows("fair", 120)[0]
    (tmp_path / "case.json").write_text(
        json.dumps([perfect(row), solution_text(row)]), encoding="utf-8"
    )
    code = (
        "import importlib.util, json, sys; spec = importlib.util.spec_from_file_location('r', sys.argv[1]); "
        "r = importlib.util.module_from_spec(spec); spec.loader.exec_module(r); "
        "text, known = json.load(open(sys.argv[2], encoding='utf-8')); "
        "print(json.dumps([r.score(text, known), r.paper([text], [known]), 'pydantic' in sys.modules]))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code, str(path), "case.json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == [list(rewards(perfect(row), solution(row))), [1.0], False]


def test_the_file_is_that_of_the_rows_folder(path: Path) -> None:
    assert path.name == REWARDS_FILE == "egost_rewards.py"
    assert path.read_text(encoding="utf-8") == rewards_file()
    assert "pipeline" not in rewards_file()


# ---- signatures ----------------------------------------------------------------------------------

ROW = made_rows.turns_row(("left", "right", "right", "left", "right"))
KNOWN = solution_text(ROW)
WORDS = solution_text(made_rows.mixed()[-2])
RIGHT, WRONG = "<answer>A</answer>", "<answer>B</answer>"


@pytest.fixture(params=["package", "file"])
def module(request: pytest.FixtureRequest, copy: ModuleType) -> Any:
    return signatures if request.param == "package" else copy


def test_trl(module: Any) -> None:
    """`reward(prompts=, completions=, **columns)`, in texts, messages, or messages in parts."""
    messages = [[{"role": "assistant", "content": text}] for text in (RIGHT, WRONG)]
    parts = [
        [{"role": "assistant", "content": [{"type": "text", "text": text}]}]
        for text in (RIGHT, WRONG)
    ]
    columns = {
        "prompts": ["", ""],
        "completion_ids": [[1], [2]],
        "trainer_state": None,
        "id": ["i", "i"],
    }
    for completions in ([RIGHT, WRONG], messages, parts):
        given: dict[str, Any] = {"completions": completions, "solution": [KNOWN, KNOWN], **columns}
        assert module.paper(**given) == [1.0, 0.0]
        assert module.ours_square(**given) == [1.0, 0.25]
        assert module.ours(**given) == [2.0, 0.25]
    assert module.paper([RIGHT], [WORDS]) == [None]  # TRL skips it
    assert module.paper([RIGHT], [json.loads(KNOWN)]) == [1.0]  # a loader may have parsed it
    assert module.paper([None], [KNOWN]) == [0.0]
    assert module.paper([[{"role": "assistant", "content": None}]], [KNOWN]) == [0.0]
    with pytest.raises(ValueError, match="shorter"):
        module.paper([RIGHT, WRONG], [KNOWN])


def test_the_names_that_trl_logs_say_which_rewards_are_ours(module: Any) -> None:
    named: dict[str, Callable[..., Any]] = module.IN_TRL
    assert {name: function.__name__ for name, function in named.items()} == {
        name: name for name in SCHEMES
    }
    assert {name for name in named if not name.startswith("ours")} == {"paper"}
    assert all(getattr(module, name) is function for name, function in named.items())


def test_rewards_can_be_sent_to_another_process() -> None:
    assert pickle.loads(pickle.dumps(signatures.ours_route)) is signatures.ours_route


def test_verl(module: Any) -> None:
    assert list(inspect.signature(module.compute_score).parameters)[:4] == [
        "data_source", "solution_str", "ground_truth", "extra_info",
    ]  # fmt: skip
    found = module.compute_score("egost", RIGHT, KNOWN, {"id": "i"})
    assert found["score"] == found["exact"] == found["ours_square"] == 1.0
    assert module.compute_score("egost", RIGHT, KNOWN, scheme="ours")["score"] == 2.0
    of_words = module.compute_score(
        data_source="egost", solution_str=RIGHT, ground_truth=WORDS, extra_info=None
    )
    assert (
        of_words.keys()
        == found.keys()
        == {"score", "exact", *(f"ours_{name}" for name in Rewards._fields[1:])}
    )
    assert all(isinstance(value, float) for value in of_words.values())


def test_easyr1(module: Any) -> None:
    assert (module.REWARD_NAME, module.REWARD_TYPE) == ("egost", "batch")
    given = [
        {"response": text, "response_length": 9, "ground_truth": KNOWN} for text in (RIGHT, WRONG)
    ]
    found = module.compute_scores(given)
    assert [one["overall"] for one in found] == [1.0, 0.0]
    assert [one["overall"] for one in module.compute_scores(given, scheme="ours_square")] == [
        1.0,
        0.25,
    ]
    assert all(isinstance(value, float) for one in found for value in one.values())


class ORM:
    """ms-swift's base class of rewards, as far as this needs it."""

    def __init__(self, args: Any = None, **others: Any) -> None:
        self.args = args


def test_ms_swift_knows_the_rewards_once_the_file_is_loaded(
    path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    orms: dict[str, Any] = {"math": ORM}
    rewards_of_swift = ModuleType("swift.rewards")
    rewards_of_swift.__spec__ = importlib.util.spec_from_loader("swift.rewards", None)
    rewards_of_swift.ORM, rewards_of_swift.orms = ORM, orms  # type: ignore[attr-defined]
    package = ModuleType("swift")
    package.__path__ = []
    monkeypatch.setitem(sys.modules, "swift", package)
    monkeypatch.setitem(sys.modules, "swift.rewards", rewards_of_swift)
    imported(path, "_swift_external")
    assert orms.keys() == {"math", *(f"egost_{scheme}" for scheme in SCHEMES)}
    reward = orms["egost_paper"](args=None)
    assert isinstance(reward, ORM)
    assert reward([RIGHT, WRONG], solution=[KNOWN, KNOWN], id=["i", "i"], trainer_state=None) == [
        1.0,
        0.0,
    ]
    assert orms["egost_ours_square"]()([WRONG], solution=[KNOWN]) == [0.25]


def test_another_package_of_that_name_does_not_matter(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = ModuleType("swift")  # OpenStack's
    package.__path__ = []
    monkeypatch.setitem(sys.modules, "swift", package)
    assert imported(path).paper([RIGHT], [KNOWN]) == [1.0]
