"""Open items are asked like the others, scored without a judge, and kept apart from accuracy."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from speaking import Say, Speaker, settings

from pipeline.errors import UserError
from pipeline.evaluate.answers import read_description
from pipeline.evaluate.described_files import DESCRIPTIONS, OPEN, OPEN_ITEMS
from pipeline.evaluate.describing import Descriptions, OpenEvaluation
from pipeline.evaluate.evaluation import Evaluation, Options
from pipeline.evaluate.open_items import open_items
from pipeline.evaluate.open_rows import OpenItem
from pipeline.evaluate.results import PREDICTIONS, RESULTS, read_results
from pipeline.evaluate.score import LOG, score_file
from pipeline.releases.reading import Released, open_release
from pipeline.routes.route import MOVE_WORDS, OPPOSITE

pytestmark = pytest.mark.usefixtures("no_baselines")


def perfect(item: OpenItem) -> str:
    moves = [MOVE_WORDS[move] for move in item.moves]
    places = [f" past {name}" for name in item.landmarks]
    steps = ", then ".join(f"{move}{place}" for move, place in zip(moves, places, strict=True))
    return f"<answer>{'Turn around, then ' * (item.orientation == 'reverse')}{steps}.</answer>"


def mirrored(item: OpenItem) -> str:
    return perfect(item.model_copy(update={"moves": [OPPOSITE[move] for move in item.moves]}))


def run(
    released: Released, out: Path, say: Say, **options: Any
) -> tuple[Path, Descriptions, Speaker]:
    given = Options(**options)
    whole = Evaluation(released, given, out)
    model = Speaker(released, say)
    folder = whole.run(settings(), wire=model).folder
    found = OpenEvaluation(released, given, whole).run(settings(), folder, wire=model)
    return folder, found, model


def figures(folder: Path, arm: str = "frames") -> dict[str, Any]:
    body = json.loads((folder / RESULTS).read_text())["open"]["arms"][arm]
    return {name: parts["all"]["all"]["value"] for name, parts in body["figures"].items()}


def test_descriptions_are_scored_and_kept_apart(released: Released, tmp_path: Path) -> None:
    folder, found, model = run(
        released, tmp_path, perfect, arms=("frames", "blind", "rotate", "reversed")
    )
    assert sorted(model.spoken) == sorted(one.id for one in found.items)
    assert found.complete
    assert figures(folder) == {"turns": 1, "landmarks": 1, "actions": None, "order": None}
    assert figures(folder, "blind")["turns"] == 0
    results = read_results(folder)
    known = {one.id for one in found.items}
    assert not known & {one.id for one in results.predictions}
    assert {"frames", "blind", "rotate-1"} <= results.body["metrics"]["arms"].keys()
    assert results.body["open"]["arms"].keys() == {"frames", "blind"}
    assert results.body["judge"] is None
    assert all(one.served_model == "m-2026-01-01" for one in found.predictions)
    assert any("without a judge" in line for line in found.lines)


def test_what_another_walk_would_get_stands_beside_the_model(
    released: Released, tmp_path: Path
) -> None:
    folder, found, _ = run(released, tmp_path, perfect)
    body = json.loads((folder / RESULTS).read_text())["open"]["another_walk"]
    assert 0.2 < body["turns"]["all"]["all"]["value"] < 0.9
    assert body["landmarks"]["all"]["all"]["value"] < 0.5
    assert any(line.startswith("another walk") for line in found.lines)


def test_what_is_wrong_costs_and_stored_replies_are_not_asked_again(
    released: Released, tmp_path: Path
) -> None:
    folder, found, _ = run(released, tmp_path, mirrored)
    assert figures(folder)["turns"] < 0.5  # of a list and its mirror image, some may still align
    assert figures(folder)["landmarks"] == 1
    again, same, model = run(released, tmp_path, perfect)
    assert (again, model.spoken) == (folder, [])
    assert same.predictions == found.predictions


def test_a_later_run_of_the_other_items_keeps_the_figures(
    released: Released, tmp_path: Path
) -> None:
    folder, _, model = run(released, tmp_path, perfect)
    before = (folder / OPEN).read_bytes()
    Evaluation(released, Options(), tmp_path).run(settings(), wire=model)
    assert json.loads((folder / RESULTS).read_text())["open"] == json.loads(before)
    assert {DESCRIPTIONS, OPEN_ITEMS, PREDICTIONS} <= {path.name for path in folder.iterdir()}


def test_refused_cut_and_empty_replies_state_nothing(released: Released, tmp_path: Path) -> None:
    folder, found, _ = run(released, tmp_path, lambda item: "<think>the turn is left")
    assert {one.outcome for one in found.predictions} == {"unreadable"}
    assert figures(folder)["turns"] == 0


def test_withheld_items_get_predictions_and_no_figure(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    held = open_release(folders[1])
    given = Options(arms=("blind",))
    whole = Evaluation(held, given, tmp_path)
    model = Speaker(held, perfect)
    folder = whole.run(settings(), wire=model).folder
    found = OpenEvaluation(held, given, whole).run(settings(), folder, wire=model)
    assert found.items == []
    assert len(found.predictions) == len(open_items(held).questions) > 0
    body = json.loads((folder / RESULTS).read_text())["open"]
    assert body["withheld"] == len(found.predictions)
    assert body["arms"] == {}


def test_a_file_of_descriptions_is_scored(released: Released, tmp_path: Path) -> None:
    folder, found, _ = run(released, tmp_path, mirrored)
    both = [*score_file(released, folder / PREDICTIONS, None)]
    alone = score_file(released, folder / DESCRIPTIONS, None)
    assert any("answered in words" in line for line in alone)
    assert not any("answered in words" in line for line in both)
    path = tmp_path / "made.jsonl"
    (first, second, *_) = found.items
    choice = read_results(folder).questions[0]
    lines = [
        {"id": first.id, "reply": perfect(first)},
        {"id": second.id, "reply": perfect(second)},
        {"id": choice.id, "letter": choice.answer},
    ]
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    told = score_file(released, path, None)
    assert any(line.startswith("frames") and line.count("100.0") == 2 for line in told)
    assert "1 predictions for 1 items" in told[-1]


def test_withheld_descriptions_are_scored_with_the_answers_alone(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    held = open_release(folders[1])
    sealed = folders[1].parent.parent / "sealed" / "v0.2.0"
    known = open_items(held, sealed).known
    assert len(known) < 30
    path = tmp_path / "made.jsonl"
    lines = [{"id": one.id, "reply": perfect(one)} for one in known.values()]
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    with pytest.raises(UserError, match="withheld"):
        score_file(held, path, None)
    told = score_file(held, path, sealed)
    assert not any(re.search(r"\d\.\d", line) for line in told)
    assert (sealed / LOG).read_text().count("\n") == 1


@pytest.mark.parametrize(
    ("reply", "finish", "text", "outcome"),
    [
        ("<answer>Turn left.</answer>", "stop", "Turn left.", "answered"),
        ("<think>right?</think>Turn left.", "stop", "Turn left.", "answered"),
        ("I saw.\n<answer>No.</answer> or <answer>Turn left.</answer>", "stop", "Turn left.", "answered"),
        ("I saw.\n<answer>Turn left.", "stop", "Turn left.", "answered"),
        ("<answer>Turn left.</answer> And", "length", "Turn left.", "answered"),
        ("<answer>Turn left, then", "length", "", "truncated"),
        ("<think>Turn left", None, "", "truncated"),
        ("", "stop", "", "unreadable"),
        ("<answer> </answer>", "stop", "", "unreadable"),
        ("I'm sorry, but I can't help with that.", "stop", "", "refused"),
        ("Turn left.", "content_filter", "", "refused"),
    ],
)  # fmt: skip
def test_replies_are_read(reply: str, finish: str | None, text: str, outcome: str) -> None:
    found = read_description(reply, finish)
    assert (found.text, found.outcome) == (text, outcome)
