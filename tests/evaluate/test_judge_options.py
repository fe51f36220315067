"""Which judges the command line asks for, and what it refuses before anything is read or sent."""

from pathlib import Path

import click
import pytest

from pipeline.cli.evaluation import evaluate
from pipeline.cli.judge import judges_of
from pipeline.errors import UserError
from pipeline.evaluate.judging import Judges
from pipeline.evaluate.rubrics import Rubric
from pipeline.models.keys import key_for
from pipeline.models.settings import JudgeModel, SecondJudgeModel

ARGUMENTS = ["no release", "--model", "m", "--base-url", "http://127.0.0.1:1/v1"]
FIRST = ["--judge-model", "j", "--judge-base-url", "http://127.0.0.1:2/v1"]


def run(*more: str) -> None:
    evaluate.main([*ARGUMENTS, *more], standalone_mode=False)


@pytest.mark.parametrize(
    ("given", "what"),
    [
        (("--judge-base-url", "http://127.0.0.1:2/v1"), "1 times for 0 judges"),
        ((*FIRST, "--judge-model", "k"), "1 times for 2 judges"),
        ((*FIRST, *FIRST), "names one model twice"),
        (("--judge-model", "a", "--judge-model", "b", "--judge-model", "c"), "more than twice"),
    ],
)
def test_judges_that_do_not_fit_together_are_refused(given: tuple[str, ...], what: str) -> None:
    with pytest.raises(UserError, match=what):
        run(*given)


def test_each_judge_has_its_own_settings_server_and_key() -> None:
    context = click.Context(evaluate)
    servers = ("http://127.0.0.1:2/v1", "https://judge.example/v1")
    found = judges_of(context, ("j", "k"), servers, ("KEY_J", "KEY_K"), ("ours",), 3)
    first, second = found.judges
    assert (type(first), first.model, first.base_url) == (JudgeModel, "j", servers[0])
    assert (type(second), second.model, second.base_url) == (SecondJudgeModel, "k", servers[1])
    keys = {"KEY_J": "of j", "KEY_K": "of k", "OPENAI_API_KEY": "of drafting"}
    assert [key_for(one, keys).value for one in (first, second)] == ["of j", "of k"]


def test_no_other_role_s_key_goes_to_a_judge() -> None:
    others = {"OPENAI_API_KEY": "a", "EGOST_MODEL_API_KEY": "b", "EGOST_JUDGE_API_KEY": "c"}
    away = SecondJudgeModel(model="k", base_url="https://judge.example/v1")
    with pytest.raises(UserError, match="EGOST_SECOND_JUDGE_API_KEY"):
        key_for(away, others)
    local = SecondJudgeModel(model="k", base_url="http://127.0.0.1:2/v1")
    assert key_for(local, others).value == ""


def test_an_unknown_rubric_is_refused() -> None:
    with pytest.raises(UserError, match="there is no rubric 'mine'"):
        Rubric.load("mine")


def test_a_judge_whose_price_is_unknown_is_refused_before_any_model_is_asked(
    tmp_path: Path,
) -> None:
    judge = JudgeModel(model="unheard-of", base_url="https://judge.example/v1")
    with pytest.raises(UserError, match="no price is known for the model 'unheard-of'"):
        Judges([judge], ["ours"], 3, (), "0" * 64, tmp_path)
