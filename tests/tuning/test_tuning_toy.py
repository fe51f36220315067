"""The toy task: balanced, told by frames alone, and judged by the rewards of real rows."""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pipeline.errors import UserError
from pipeline.evaluate.results import unpacked
from pipeline.training import formats
from pipeline.training.rows import TrainingRow
from pipeline.training.signatures import ours_route, ours_square, paper, score
from pipeline.tuning import toy_scores, vlm
from pipeline.tuning.tiny import make_tiny
from pipeline.tuning.toy import PLACES, Toy, make_toy

Row = dict[str, Any]
SMALL: dict[str, Any] = {"forward": 64, "reverse": 16, "other": 48, "test": 256}


@pytest.fixture(scope="module")
def fair(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    return make_toy(tmp_path_factory.mktemp("fair"), **SMALL)


@pytest.fixture(scope="module")
def leaky(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    return make_toy(
        tmp_path_factory.mktemp("leaky"), forward=200, reverse=200, other=0, test=400, leaky=True
    )


def rows(path: Path) -> list[Row]:
    return toy_scores.read_rows(path)


def known(row: Row) -> Row:
    found: Row = json.loads(row["solution"])
    return found


def text(row: Row) -> str:
    """Return all that the prompt tells without its frames."""
    return json.dumps(row["prompt"])


def reply(row: Row) -> str:
    found: str = row["completion"][0]["content"][0]["text"]
    return found


def place(row: Row) -> str:
    (found,) = (one for one in PLACES if one in text(row))
    return found


def guessed(
    learned: Sequence[Row], asked: Sequence[Row], told: Callable[[Row], str] = text
) -> float:
    """Return how often the answer that is most frequent with the same text, or part of it, is right."""
    seen: dict[str, Counter[str]] = defaultdict(Counter)
    for row in learned:
        seen[told(row)][known(row)["answer"]] += 1
    right: int = sum(seen[told(row)].most_common(1)[0][0] == known(row)["answer"] for row in asked)
    return right / len(asked)


def test_half_of_the_rows_are_reverse_and_answers_are_balanced_in_each_half(fair: Toy) -> None:
    for path, each in ((fair.rows / "trl" / "grpo.jsonl", 16), (fair.test, 32)):
        found = Counter((known(row)["orientation"], known(row)["answer"]) for row in rows(path))
        assert found == {(way, letter): each for way in ("forward", "reverse") for letter in "ABCD"}


def test_sft_gets_the_rows_with_think_texts_and_grpo_all(fair: Toy) -> None:
    told = rows(fair.rows / "trl" / "sft_think.jsonl")
    assert Counter(known(row)["orientation"] for row in told) == {"forward": 64, "reverse": 16}
    every = list(unpacked(fair.rows / formats.ROWS_FILE, TrainingRow))
    assert [row["id"] for row in rows(fair.rows / "trl" / "grpo.jsonl")] == [
        row.id for row in every
    ]


def test_the_text_alone_tells_nothing(fair: Toy) -> None:
    asked = rows(fair.test)
    assert guessed(asked, asked) == 0.25


def test_the_place_of_leaky_rows_gives_the_answer_away(leaky: Toy) -> None:
    learned, asked = rows(leaky.rows / "trl" / "sft_think.jsonl"), rows(leaky.test)
    assert {place(row) for row in asked} == {*PLACES}
    assert 0.86 < guessed(learned, asked, place) < 0.94


def test_rewards_accept_the_replies_that_sft_trains_on(fair: Toy) -> None:
    for row in rows(fair.test):
        for reward in (paper, ours_square, ours_route):
            assert reward([row["completion"]], [row["solution"]]) == [1.0], reply(row)
        assert score(reply(row), row["solution"]).consistency == 1.0


def test_an_answer_for_the_other_way_is_never_right(fair: Toy) -> None:
    for row in rows(fair.test):
        turns = [one["what"] for one in known(row)["happenings"]]
        flipped = [{"left": "right", "right": "left"}[one] for one in reversed(turns)]
        other = turns if known(row)["orientation"] == "reverse" else flipped
        letter = "ABCD"[2 * (other[0] == "right") + (other[1] == "right")]
        assert paper([f"<answer>{letter}</answer>"], [row["solution"]]) == [0.0]


def test_frames_show_their_side_or_nothing(fair: Toy) -> None:
    def brighter(path: str) -> float:
        with Image.open(path) as image:
            half = image.width // 2
            left, right = (
                image.convert("L")
                .crop((at, 0, at + half, image.height))
                .resize((1, 1), Image.Resampling.BOX)
                for at in (0, half)
            )
            return float(right.getpixel((0, 0))) - float(left.getpixel((0, 0)))  # type: ignore[arg-type]

    right = []
    for row in rows(fair.test):
        for path, turn in zip(row["images"], known(row)["happenings"], strict=True):
            by = brighter(path)
            if abs(by) > 5:  # grey levels; noise makes 1
                right.append((by > 0) == (turn["what"] == "right"))
    assert all(right)
    assert 0.6 < len(right) / (3 * len(rows(fair.test))) < 0.8


def contents(made: Toy) -> dict[str, bytes]:
    return {
        str(path.relative_to(made.rows)): path.read_bytes()
        for path in sorted(made.rows.rglob("*.png"))
    }


def test_the_same_seed_makes_the_same_bytes_and_another_one_other_frames(
    tmp_path: Path, fair: Toy
) -> None:
    here = make_toy(tmp_path / "here", **SMALL)
    assert contents(here) == contents(fair)
    for name in ("trl/sft_think.jsonl", "trl/grpo.jsonl", "test.jsonl"):
        there = (fair.rows / name).read_text().replace(str(fair.rows), "")
        assert (here.rows / name).read_text().replace(str(here.rows), "") == there
    other = contents(make_toy(tmp_path / "other", **SMALL, seed=1))
    assert other.keys() == contents(fair).keys()
    assert not {*other.values()} & {*contents(fair).values()}


def test_no_two_frames_are_alike(fair: Toy) -> None:
    found = contents(fair)
    assert len({*found.values()}) == len(found) == 3 * (128 + 256)


@pytest.mark.parametrize(
    "counts",
    [
        {"forward": 65, "reverse": 16, "other": 48, "test": 64},
        {"forward": 64, "reverse": 16, "other": 0, "test": 64},
        {"forward": 64, "reverse": 16, "other": 48, "test": 63},
    ],
)
def test_rows_that_cannot_be_halves_are_refused(tmp_path: Path, counts: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="half can't be reverse"):
        make_toy(tmp_path / "rows", **counts)
    assert not (tmp_path / "rows").exists()


def test_an_untrained_model_gets_nothing_right(tmp_path: Path, fair: Toy) -> None:
    asked = rows(fair.test)[124:132]
    make_tiny(tmp_path / "tiny", [reply(row) for row in asked])
    loaded = vlm.load(tmp_path / "tiny")
    assert toy_scores.exact(loaded, asked) == {"all": 0.0, "forward": 0.0, "reverse": 0.0}
    assert not loaded.model.training


def test_scores_tell_forward_from_reverse_and_blank_frames_are_grey(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fair: Toy
) -> None:
    asked = rows(fair.test)
    make_tiny(tmp_path / "tiny", [text(row) for row in asked])
    loaded = vlm.load(tmp_path / "tiny")
    shown: list[set[tuple[int, int, int]]] = []
    gold = (reply(row) if known(row)["orientation"] == "forward" else "" for row in asked)

    def decoded(some: Sequence[object], **_: object) -> list[str]:
        return list(islice(gold, len(some)))

    monkeypatch.setattr(toy_scores, "MOST_TOKENS", 1)
    monkeypatch.setattr(loaded.processor, "batch_decode", decoded)
    of_images = loaded.processor.image_processor.preprocess

    def seen(images: Any, *given: Any, **named: Any) -> Any:
        shown.extend({*one.get_flattened_data()} for some in images for one in some)
        return of_images(images, *given, **named)

    monkeypatch.setattr(loaded.processor.image_processor, "preprocess", seen)
    assert toy_scores.exact(loaded, asked, blank=True) == {
        "all": 0.5,
        "forward": 1.0,
        "reverse": 0.0,
    }
    assert {frozenset(one) for one in shown} == {frozenset({(128, 128, 128)})}
