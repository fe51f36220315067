"""A run's card tells what was trained on what, how, at what cost, and how to use it."""

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
from made_run import grpo_steps, make_run

from pipeline.errors import UserError
from pipeline.tuning.runcard import cost, write_card

SETTINGS = {"model": {"zero": 0}, "grpo": {"group": 8, "learning_rate": 1e-5, "seed": 7}}


def text(run: Path, preset: Any = SETTINGS) -> str:
    path = write_card(run, preset)
    assert path == run / "README.md"
    return path.read_text()


def made(folder: Path, **record: Any) -> Path:
    return make_run(folder, grpo_steps(), settings=SETTINGS, **record)


def test_the_card_has_what_a_reader_asks(tmp_path: Path) -> None:
    found = text(made(tmp_path / "grpo-tiny-cpu-0123456789ab"))
    for words in (
        "# grpo-tiny-cpu-0123456789ab",
        "on 240 training rows",
        "| rows | x-1 and y-2, 240 rows |",
        f"| SHA-256 of the rows | `{'ab' * 32}` |",
        "The rows are of the split `train` of x 1.0.0 and y 2.0.0. Don't score",
        "frames of the release's videos: their licences apply as well",
        "| seed | 7 |",
        "| GPU | 2 x NVIDIA H100 |",
        "| most GPU memory (measured) | 41.2 GiB |",
        "| time of training | 90 min |",
        "| cost | not priced |",
        "| starts | 3 (resumed 2 times) |",
        "| steps | 60 of 60 |",
        "| trained parameters | 80,740,352 |",
        "Versions: python 3.11.2, torch 2.13.0, trl 1.16.0.",
        "| reward `paper` | 0.6",
        "| groups without variance | 0.2 |",
        "Nothing found.",
        "egost train serve grpo-tiny-cpu-0123456789ab",
        "--prompt ours",
        "its licence applies",
    ):
        assert words in found, words
    assert "/home/someone" not in found
    assert "Not finished" not in found
    assert "curves.png" not in found
    assert "\n\n\n" not in found
    # A list right below a table would be a row of it.
    assert not re.search(r"^\|.*\n- ", found, re.MULTILINE)


def test_the_front_matter_names_the_base_of_a_hub(tmp_path: Path) -> None:
    run = made(tmp_path / "r")
    head = text(run).split("---\n")[1]
    assert 'base_model: "Qwen/Qwen2.5-VL-7B-Instruct"\n' in head
    assert "library_name: transformers\n" in head
    assert "datasets: []\n" in head
    assert '"grpo"]\n' in head
    (run / "model").mkdir()
    (run / "model" / "adapter_config.json").write_text("{}")
    assert "library_name: peft\n" in text(run)


def test_the_base_is_that_of_the_first_stage(tmp_path: Path) -> None:
    make_run(tmp_path / "sft-a", stage="sft", model="Qwen/Qwen2-VL-7B-Instruct")
    found = text(made(tmp_path / "grpo-b", model="/elsewhere/runs/sft-a/model"))
    assert 'base_model: "Qwen/Qwen2-VL-7B-Instruct"\n' in found
    assert "| started from | sft-a |" in found
    assert "elsewhere" not in found


def test_a_model_in_a_folder_is_no_base_of_a_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "runs" / "tiny").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    for number, model in enumerate(("runs/tiny", str(tmp_path / "runs" / "tiny"), None)):
        found = text(made(tmp_path / str(number), model=model))
        assert "base_model" not in found
        assert str(tmp_path) not in found


@pytest.mark.parametrize("releases", [None, [], [None], ["x 1.0.0", None]])
def test_rows_of_no_release_are_not_called_those_of_one(tmp_path: Path, releases: Any) -> None:
    found = text(made(tmp_path / "r", rows={"folders": ["toy"], "releases": releases}))
    assert "The rows name no release." in found
    assert "split `train`" not in found
    assert "release's videos" not in found


def test_runs_that_started_from_each_other_end(tmp_path: Path) -> None:
    make_run(tmp_path / "a", model=str(tmp_path / "b" / "model"))
    run = make_run(tmp_path / "b", model=str(tmp_path / "a" / "model"))
    assert "# b" in text(run)


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({"price_per_hour": 2.5}, "7.50 US$ (2 GPUs x 1.50 h x 2.50 US$ an hour)"),
        ({"price_per_hour": 2.5, "hardware": {"gpus": 1}}, "3.75 US$ (1 GPU x"),
        ({"price_per_hour": 0.1, "hardware": {"gpus": 0}}, "0.15 US$ (1 machine x"),
        ({"price_per_hour": 0, "hardware": {}}, "0.00 US$"),
        ({"price_per_hour": math.nan}, "not priced"),
        ({"price_per_hour": 1, "seconds": None}, "not priced"),
        ({}, "not priced"),
    ],
)
def test_the_cost_is_price_times_hours_times_gpus(record: dict[str, Any], words: str) -> None:
    assert cost({"seconds": 5400.0, "hardware": {"gpus": 2}, **record}).startswith(words)


def test_settings_that_are_not_the_presets_are_told(tmp_path: Path) -> None:
    preset = {"model": {"zero": 3}, "grpo": {"group": 8, "learning_rate": 1e-6, "beta": 0.1}}
    found = text(made(tmp_path / "r"), preset)
    assert "| `grpo.learning_rate` | 1e-05 | 1e-06 |" in found
    assert "| `model.zero` | 0 | 3 |" in found
    assert "`grpo.group`" not in found
    assert "All as in the preset. " in text(made(tmp_path / "same"))


def test_a_preset_of_ones_own_is_not_compared(tmp_path: Path) -> None:
    for number, name in enumerate(("mine", "../models/x", None)):
        assert "The preset isn't one that ships" in text(
            made(tmp_path / str(number), preset=name), None
        )


def test_gaps_and_broken_lines_are_told(tmp_path: Path) -> None:
    steps = grpo_steps(20)
    steps[3]["loss"] = steps[4]["loss"] = math.nan
    run = make_run(tmp_path / "r", steps, tail='x\n{"step": 21}\n')
    found = text(run)
    assert "\n\n- loss: not a number (2 steps, the first is 4); a gap in the curve." in found
    assert "- metrics.jsonl: 1 lines that are no step." in found
    assert "- The loss was not a number at step 4" in found


def test_an_unfinished_or_blind_run_says_so_first(tmp_path: Path) -> None:
    run = make_run(tmp_path / "r", grpo_steps(3), finished=None, steps=3, blind=True, starts=1)
    (run / "curves.png").write_bytes(b"")
    found = text(run)
    assert "**Not finished:** step 3 of 60." in found
    assert "**Trained without frames (`--blind`)**" in found
    assert "| starts | 1 |" in found
    assert "Means of the last 3 steps" in found
    assert "Too few steps to tell." in found
    assert "](curves.png)" in found


def test_a_record_without_most_of_it_has_a_card(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"stage": "sft", "rows": {"folders": 3}, "hardware": 3}')
    found = text(tmp_path, None)
    assert "No step is written yet." in found
    assert "an unknown number of training rows" in found
    assert found.count("not recorded") > 5


def test_names_cannot_break_the_tables(tmp_path: Path) -> None:
    found = text(made(tmp_path / "r", family="a|b\nc", preset="x"))
    assert "| family | a\\|b c |" in found


@pytest.mark.parametrize("body", [None, "{", "[]"])
def test_a_folder_that_is_no_run_is_refused(tmp_path: Path, body: str | None) -> None:
    if body is not None:
        (tmp_path / "run.json").write_text(body)
    with pytest.raises(UserError, match="is no run"):
        write_card(tmp_path)


def test_the_card_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    run = made(tmp_path / "r")
    before = text(run)
    (run / "run.json").write_text(
        json.dumps({**json.loads((run / "run.json").read_text()), "seed": 8})
    )
    assert text(run) != before
    assert [path.name for path in run.iterdir() if path.name.startswith(".")] == []
