"""A file in the reference's format is asked and scored in its words and by its rule, labelled as such."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from public_formats import ROWS, VIDEOS, asked, options, reference, right
from test_evaluation import Model, images_of, settings, text_of

from pipeline.errors import UserError
from pipeline.evaluate import evaluation
from pipeline.evaluate.baselines import Baselines
from pipeline.evaluate.evaluation import Evaluated, Evaluation, Options
from pipeline.evaluate.item_files import FRAMES, ItemFile, open_file, with_frames
from pipeline.evaluate.results import read_results
from pipeline.evaluate.rules import BY_REFERENCE
from pipeline.evaluate.score import compare_folders, score_file
from pipeline.models.wire import ScriptedModel


@pytest.fixture(autouse=True)
def no_baselines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Baselines have tests of their own."""
    monkeypatch.setattr(evaluation, "baselines", lambda *_, **__: Baselines((), None, ()))


def film(path: Path, level: int, seconds: int = 4) -> None:
    """Write a film of 4 frames a second that gets brighter every half second."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=4)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(4 * seconds):
            picture = np.full((48, 64, 3), level + 20 * (number // 2), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode())


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A file in the reference's format, whose videos are named by paths of another machine, and their folder."""
    root = tmp_path_factory.mktemp("reference")
    for number in range(VIDEOS):
        film(root / "videos" / "deep" / f"v{number}.mp4", 20 + number)
    return reference(root, "letter"), root / "videos"


@pytest.fixture
def items(made: tuple[Path, Path], tmp_path: Path) -> ItemFile:
    return with_frames(open_file(made[0]), [made[1]], tmp_path / "frames")


def run(items: ItemFile, out: Path, model: ScriptedModel, **options: Any) -> Evaluated:
    return Evaluation(items, Options(**options), out).run(settings(), wire=model)


def accuracy(lines: Sequence[str], name: str) -> float:
    """Return the accuracy in the table's row of this name."""
    row = next(line for line in lines if line.startswith(f"{name}  "))
    return float(row.removeprefix(name).split()[0])


def says(body: Mapping[str, Any]) -> str:
    """Reply with the true option, in words that the reference's rule takes for A."""
    shown, number = text_of(body), int(re.findall(r"opened (\d+) times", text_of(body))[0])
    count = len(re.findall(r"^[A-D]\. ", shown, re.MULTILINE))
    letters = dict(re.findall(r"^([A-D])\. (.+)$", shown, re.MULTILINE))
    (letter,) = [
        one for one, text in letters.items() if text == options(number, count)[right(number, count)]
    ]
    return f"Answer: {letter}"


def test_items_are_read_with_their_options_and_shown_eight_frames_in_the_references_words(
    items: ItemFile, tmp_path: Path
) -> None:
    assert len(items.questions) == ROWS
    model = Model(answer=says)
    run(items, tmp_path, model, prompt="reference")
    assert len(model.asked) == ROWS
    for body in model.asked:
        assert len(images_of(body)) == len({*images_of(body)}) == FRAMES
        assert "Frame8:" in text_of(body)
        assert "at 0." not in text_of(body)  # it tells no times
        assert text_of(body).count("Options:") == 1  # those within the question are cut off
        assert text_of(body).count("return only the option number") == 1
    first = items.questions[0]
    assert first.question == asked(0)
    assert first.frame_seconds == tuple((2 * part + 1) * 0.25 for part in range(FRAMES))


def test_the_references_rule_reads_the_same_replies_without_another_request(
    items: ItemFile, tmp_path: Path
) -> None:
    strict = run(items, tmp_path, Model(answer=says))
    silent = Model()
    found = run(items, tmp_path, silent, parser="reference")
    assert silent.asked == []
    assert found.folder == strict.folder / "read-by-reference"
    kept, other = read_results(strict.folder), read_results(found.folder)
    assert [one.reply for one in kept.predictions] == [one.reply for one in other.predictions]
    assert {one.letter for one in other.predictions} == {"A"}  # of "Answer: C"
    assert all(BY_REFERENCE in one.flags for one in other.predictions)
    assert (kept.identity.parser, other.identity.parser) == ("strict", "reference")
    assert kept.identity.folder == other.identity.folder == strict.folder.name
    measured = [
        one.body["metrics"]["arms"]["frames"]["accuracy"]["all"]["all"] for one in (kept, other)
    ]
    of_a = sum(one.answer == "A" for one in items.questions) / ROWS
    assert [one["value"] for one in measured] == [1, round(of_a, 4)]
    assert other.body["strictly"]["frames"]["accuracy"]["all"]["all"]["value"] == 1
    # The label is in the table's head, next to what the strict parser reads, and in the exports.
    assert found.lines[1] == "read by the reference's rule: the first capital A to D"
    assert accuracy(found.lines, "frames, read strictly") == 100
    assert accuracy(found.lines, "frames") == round(100 * of_a, 1)
    log = json.loads((found.folder / "exports" / "inspect-frames.json").read_text())
    assert "the reference's rule" in log["results"]["scores"][0]["params"]["parser"]
    (aggregate,) = (found.folder / "exports" / "data").rglob("*[0-9a-f].json")
    (same,) = (strict.folder / "exports" / "data").rglob("*[0-9a-f].json")
    assert aggregate.name != same.name
    assert '"parser": "reference"' in aggregate.read_text()


def test_results_read_by_different_rules_are_not_compared_silently(
    items: ItemFile, tmp_path: Path
) -> None:
    found = run(items, tmp_path, Model(answer=says), parser="reference")
    both = [found.folder.parent, found.folder]
    with pytest.raises(UserError, match="parser: strict and reference"):
        compare_folders(both, "frames", anyway=False)
    lines = compare_folders(both, "frames", anyway=True)
    assert "note: they differ in parser: strict and reference" in lines
    # Results from before there was another parser are read strictly.
    path = found.folder.parent / "results.json"
    body = json.loads(path.read_text())
    del body["parser"]
    path.write_text(json.dumps(body))
    with pytest.raises(UserError, match="parser: strict and reference"):
        compare_folders(both, "frames", anyway=False)
    same = compare_folders([found.folder, found.folder], "frames", anyway=False)
    assert "read by the reference's rule: the first capital A to D" in same


def test_a_file_of_predictions_is_scored_on_a_file_of_items(
    made: tuple[Path, Path], tmp_path: Path
) -> None:
    items, path = open_file(made[0]), tmp_path / "p.jsonl"
    rows = [{"id": one.id, "reply": f"Answer: {one.answer}"} for one in items.questions]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    strict = score_file(items, path, None)
    assert accuracy(strict, "frames") == 100
    other = score_file(items, path, None, "reference")
    assert other[0] == "read by the reference's rule: the first capital A to D"
    assert accuracy(other, "frames") < 100
    assert accuracy(other, "frames, read strictly") == 100
    path.write_text(json.dumps({"id": items.questions[0].id, "letter": "A"}) + "\n")
    with pytest.raises(UserError, match="letter without a reply"):
        score_file(items, path, None, "reference")
    with pytest.raises(UserError, match="no parser 'lax'"):
        score_file(items, path, None, "lax")


def test_results_are_scored_again_as_they_are_read(items: ItemFile, tmp_path: Path) -> None:
    """A letter of the reference's rule in a file of predictions isn't taken for one of the strict parser."""
    found = run(items, tmp_path, Model(answer=says), parser="reference", arms=("frames", "rotate"))
    lines = score_file(items, found.folder / "predictions.parquet", None)
    for arm in ("frames", "rotate-1", "rotate-2"):
        assert accuracy(lines, arm) == 100, arm


def test_videos_that_are_not_there_are_noted_and_two_of_one_name_refused(
    made: tuple[Path, Path], tmp_path: Path
) -> None:
    items, (_, videos) = open_file(made[0]), made
    some = with_frames(items, [videos / "deep" / "v1.mp4"], tmp_path / "out")
    assert {one.video for one in some.questions} == {"/videos/v1.mp4"}
    left_out = ROWS - len(some.questions)
    assert f"note: {left_out} items are left out: their videos are not there" in some.notes
    (tmp_path / "v1.mp4").write_text("no video")
    with pytest.raises(UserError, match=r"v1\.mp4 may be .* and "):
        with_frames(items, [videos, tmp_path / "v1.mp4"], tmp_path / "out")
    broken = with_frames(items, [videos / "deep" / "v0.mp4", tmp_path / "v1.mp4"], tmp_path / "out")
    assert any("v1.mp4 can't be read" in note for note in broken.notes)
    with pytest.raises(UserError, match=r"none of the videos .*v0\.mp4"):
        with_frames(items, [tmp_path / "v1.mp4"], tmp_path / "out")


def test_ids_that_are_not_unique_are_refused(made: tuple[Path, Path], tmp_path: Path) -> None:
    rows = [json.loads(line) | {"id": "same"} for line in made[0].read_text().splitlines()]
    path = tmp_path / "items.jsonl"
    of_one_video = rows[::VIDEOS]
    path.write_text("".join(json.dumps(row) + "\n" for row in of_one_video))
    with pytest.raises(UserError, match="used more than once, such as same"):
        open_file(path)
