"""What other scorers were seen to get wrong, from the request to the figures; how replies are read is tested elsewhere.

trap                                                        tested in
1  failed calls are graded                                  here
2  an unreadable answer becomes a random letter             here; test_reading_answers
3  "A person turns left" is A; <answer>C</answer> isn't C    releases/test_letter
4  repeats return one stored reply                          here; models/test_complete
5  a server that ignores the limit, or cuts the request     models/test_llm, models/test_abilities
6  "At most 1 image(s)": the item is blamed                 models/test_abilities
7  temperature 0 is not deterministic                       here; cli/test_evaluation_commands
8  a cut <think> is searched for letters                    here; test_reading_answers
9  one role's key reaches another role's server             models/test_keys
10 intervals are too narrow                                 test_intervals
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from small_release import release, small_space, varied
from test_evaluation import Model, run

from pipeline.evaluate import evaluation, score
from pipeline.evaluate.baselines import Baselines
from pipeline.evaluate.results import Results, read_results
from pipeline.evaluate.score import score_file
from pipeline.models.failures import RequestError
from pipeline.models.journal import Reply
from pipeline.models.wire import ScriptedModel
from pipeline.releases.reading import Released, open_release


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Released:
    with small_space(
        tmp_path_factory.mktemp("release") / "w", 8, walk=varied, split="test"
    ) as space:
        return open_release(release(space).folder)


@pytest.fixture(autouse=True)
def no_baselines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Baselines have tests of their own."""
    for module in (evaluation, score):
        monkeypatch.setattr(module, "baselines", lambda *_, **__: Baselines((), None, ()))


class Says(Model):
    """A scripted model that replies to each item with the next of these."""

    def __init__(self, *replies: Reply | Exception) -> None:
        super().__init__()
        self._next = [*replies]

    async def ask_item(self, body: Mapping[str, Any]) -> Reply:
        self.asked.append(body)
        reply = self._next[(len(self.asked) - 1) % len(self._next)]
        if isinstance(reply, Exception):
            raise reply
        return reply


def text(content: str, finish: str = "stop", **fields: Any) -> Reply:
    given = {"refusal": None, "model": "m", "input_tokens": 9, "output_tokens": 9}
    return Reply(text=content, finish=finish, **(given | fields))


def results(released: Released, out: Path, model: ScriptedModel, **options: Any) -> Results:
    return read_results(run(released, out, model, **options).folder)


@pytest.mark.parametrize(
    "error",
    [
        "[LMMS_EVAL_REQUEST_FAILED]",
        "[LMMS_EVAL_REQUEST_FAILED after 5 attempts: Connection error.]",
        "BUDGET_EXCEEDED",  # its D is the first letter that is an option's
        "Failed to obtain answer via API.",
    ],
)
def test_1_a_failed_call_is_missing_whatever_stands_in_place_of_a_reply(
    released: Released, tmp_path: Path, error: str
) -> None:
    ids = [row.id for _, row in released.questions() if row.format == "mcq"]
    rows = [{"id": one, "reply": "A" if n else error} for n, one in enumerate(ids)]
    path = tmp_path / "p.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    shown = "\n".join(score_file(released, path, None))
    assert f"frames: {1 - 1 / len(ids):.1%} of requests have a reply" in shown
    row = next(line for line in shown.splitlines() if line.startswith("frames "))
    assert row.split()[-1] == str(len(ids) - 1)


def test_1_an_error_in_a_reply_with_status_200_is_no_answer(
    released: Released, tmp_path: Path
) -> None:
    """Inspect#1534: the error's own letters would be graded; and accuracy must not rise with errors (#3707)."""
    busy = RequestError("moment", "Rate limit exceeded: free-models-per-day")
    found = results(released, tmp_path, Says(text("<answer>A</answer>"), busy))
    outcomes = [one.outcome for one in found.predictions]
    assert outcomes.count("failed") == len(outcomes) // 2
    arm = found.body["metrics"]["arms"]["frames"]
    share, (low, high) = arm["accuracy"]["all"]["all"]["value"], arm["bounds"]
    assert low < share < high
    assert high - low == pytest.approx(outcomes.count("failed") / len(outcomes), abs=1e-3)


def test_2_and_8_the_models_own_failures_count_against_it_each_under_its_name(
    released: Released, tmp_path: Path
) -> None:
    model = Says(
        text("It could be B or C."),
        text("<think>The answer is A", "length"),
        text("", refusal="I can't look at this."),
        text(""),
    )
    found = results(released, tmp_path, model, items=8)
    assert {one.outcome for one in found.predictions} == {"unreadable", "truncated", "refused"}
    assert all(one.letter is None for one in found.predictions)
    arm = found.body["metrics"]["arms"]["frames"]
    assert arm["accuracy"]["all"]["all"]["value"] == arm["facts"]["all"]["all"]["value"] == 0
    assert arm["readable"]["all"]["all"]["items"] == 0
    assert arm["coverage"] == 1
    asked = len(model.asked)
    results(released, tmp_path, model, items=8)
    assert len(model.asked) == asked  # no second chance


def test_4_and_7_every_repeat_is_asked_and_kept_with_what_the_server_says_of_itself(
    released: Released, tmp_path: Path
) -> None:
    replies = [
        text(f"<answer>{letter}</answer>", model=f"m-{letter}", fingerprint=f"fp-{letter}")
        for letter in "ABC"
    ]
    found = results(released, tmp_path, Says(*replies), items=2, repeats=3)
    for one in {one.id for one in found.predictions}:
        mine = [row for row in found.predictions if row.id == one]
        assert {row.letter for row in mine} == {"A", "B", "C"}
        assert len({row.sent_sha256 for row in mine}) == 3
    assert all(
        (row.served_model, row.fingerprint) == (f"m-{row.letter}", f"fp-{row.letter}")
        for row in found.predictions
    )
    assert found.body["metrics"]["arms"]["frames"]["between_runs"] is not None


@pytest.mark.parametrize("counts", [(None, None), (1, 1)], ids=["sglang#954", "llama.cpp#5863"])
def test_counts_of_tokens_are_neither_needed_nor_believed(
    released: Released, tmp_path: Path, counts: tuple[int | None, int | None]
) -> None:
    """Images are confirmed by what the model says of them, and unknown counts are told as unknown."""
    given = {"input_tokens": counts[0], "output_tokens": counts[1]}
    found = results(released, tmp_path, Says(text("<answer>A</answer>", **given)), items=4)
    assert all(one.outcome == "answered" for one in found.predictions)
    assert {one.input_tokens for one in found.predictions} == {counts[0]}
    usage = found.body["metrics"]["arms"]["frames"]["usage"]
    assert usage["unknown"] == (len(found.predictions) if counts[0] is None else 0)
