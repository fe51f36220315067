"""Contrast rows: what is true of reversed and of mirrored frames, checked by the steps that those show."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest
from small_release import release, small_space

from pipeline.errors import UserError
from pipeline.questions.rows import Item
from pipeline.questions.truth import true_options
from pipeline.releases.reading import Released, open_release
from pipeline.routes.route import OPPOSITE
from pipeline.routes.rows import Move, Step
from pipeline.training.assembly import released_row
from pipeline.training.contrast import WAYS, Way, contrast, names_text, ways
from pipeline.training.frames import SpanFrames
from pipeline.training.rows import TrainingRow
from pipeline.training.source import SourceItem, train_split

SECOND = 1_000_000
ACTIONS = {
    "opens the {} box": "closes the {} box",
    "picks up the {} cup": "puts the {} cup back",
    "switches the {} lamp on": "switches the {} lamp off",
}
COLOURS = ("red", "blue", "green", "grey", "white", "black", "pink")
THINGS = ("door", "bench", "plant", "window", "lift", "sofa")


def eventful(number: int) -> list[Step]:
    """Return a walk at random with turns, landmarks, and actions that can be undone."""
    draw = random.Random(number)
    moves: list[Move] = ["straight", *draw.choices(("left", "right", "straight"), k=6), "straight"]
    things = draw.sample([f"{colour} {thing}" for colour in COLOURS for thing in THINGS], 8)
    done = draw.sample([(one, colour) for one in ACTIONS for colour in COLOURS], 8)
    return [
        Step(
            start_us=at * 4 * SECOND,
            end_us=(at + 1) * 4 * SECOND,
            move=move,
            landmark=f"the {things[at]}" if at % 2 == 0 else None,
            action=done[at][0].format(done[at][1]) if at % 2 and move == "straight" else None,
            undo=ACTIONS[done[at][0]].format(done[at][1])
            if at % 2 and move == "straight"
            else None,
        )
        for at, move in enumerate(moves)
    ]


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Released:
    with small_space(
        tmp_path_factory.mktemp("contrast") / "w", 30, walk=eventful, split="train"
    ) as space:
        return open_release(release(space).folder)


def frames_of(item: SourceItem) -> SpanFrames:
    times = tuple(range(200_000, round(item.asked.seconds * 1e6), 400_000))
    names = tuple(f"media/{at}.jpg" for at in times)
    return SpanFrames(times, times, names, tuple(f"flipped {name}" for name in names))


def shown(steps: Sequence[Step], way: Way) -> list[Step]:
    """Return steps as frames show them that are in reverse order, or flipped left to right."""
    swapped = [step.model_copy(update={"move": OPPOSITE[step.move]}) for step in steps]
    return swapped[::-1] if way == "rewound" else swapped


def pairs(released: Released, way: Way) -> list[tuple[SourceItem, TrainingRow, TrainingRow | None]]:
    found = []
    for item in train_split(released).items:
        if item.row.format == "mcq":
            frames = frames_of(item)
            row = released_row(item, frames)
            names = frames.mirrored if way == "mirrored" else frames.names
            found.append((item, row, contrast(row, item.asked, way, names)))
    return found


@pytest.mark.parametrize("way", WAYS)
def test_the_answer_is_the_one_option_that_is_true_of_what_the_frames_show(
    released: Released, way: Way
) -> None:
    items: dict[str, Item] = {one.item_id: one for one in released.candidate().items}
    evidence = {one.id: one for one in released.evidence()}
    words = released.said["en"].facts
    tasks: Counter[str] = Counter()
    changed = 0
    for item, row, other in pairs(released, way):
        steps = shown(evidence[item.row.id].steps, way)
        true = true_options(items[item.row.id], steps, words)
        if other is None:
            assert way == "rewound"  # mirrored frames show the same turns and names
            continue
        assert [letter for letter, one in zip("ABCD", true, strict=True) if one] == [other.answer]
        assert other.answer_text == other.options["ABCD".index(str(other.answer))]
        assert (other.id, other.item, other.made) == (f"{row.id}-{way}", row.id, way)
        tasks[other.question_type] += 1
        changed += other.answer != row.answer
    assert changed
    assert len(tasks) == 6, tasks  # three categories, both ways


@pytest.mark.parametrize("way", WAYS)
def test_the_happenings_are_those_that_the_frames_show(released: Released, way: Way) -> None:
    for _, row, other in pairs(released, way):
        if other is None:
            continue
        there, back = row.happenings, other.happenings
        assert [one.start for one in back] == sorted(one.start for one in back)
        if way == "rewound":
            there = there[::-1]
            assert other.frames == row.frames[::-1]
            for one, same in zip(there, back, strict=True):
                assert same.start == pytest.approx(row.seconds - one.end, abs=1e-5)
        else:
            assert all(name.startswith("flipped ") for name in other.frames)
            assert other.frame_seconds == row.frame_seconds
        for one, same in zip(there, back, strict=True):
            turned = {"left": "right", "right": "left"}.get(one.what, one.what)
            assert same.what == (turned if one.kind == "turn" else one.what)


@pytest.mark.parametrize("way", WAYS)
def test_twice_the_other_way_is_the_row_itself(released: Released, way: Way) -> None:
    seen = 0
    for item, row, other in pairs(released, way):
        if other is None:
            continue
        names = row.frames if way == "mirrored" else other.frames
        asked = replace(item.asked, facts=tuple(other.facts), answer=other.answer)
        again = contrast(other, asked, way, names)
        assert again is not None
        same = again.model_copy(update={"id": row.id, "made": "released"})
        assert same.answer == row.answer
        assert same.facts == row.facts
        assert same.frames == row.frames
        assert [one.what for one in same.happenings] == [one.what for one in row.happenings]
        assert same.frame_seconds == pytest.approx(row.frame_seconds, abs=1e-5)
        seen += 1
    assert seen > 10


@pytest.mark.parametrize("way", WAYS)
def test_each_event_of_a_fact_lies_where_the_frames_show_it(released: Released, way: Way) -> None:
    seen = Counter[str]()
    for _, _, other in pairs(released, way):
        if other is None or other.orientation == "reverse":  # whose turns are counted from the end
            continue
        for fact in other.facts:
            times = list(zip(fact.seen_us[::2], fact.seen_us[1::2], strict=True))
            assert times == sorted(times)
            kind, _, subject = fact.name.partition(":")
            there = [one for one in other.happenings if one.kind == kind]
            at = {(round(one.start * 1e6), round(one.end * 1e6)): one for one in there}
            events = [at[time] for time in times]
            if kind == "turn":
                assert events == [there[int(subject) - 1]]
            else:
                assert {one.what for one in events} == {*subject.split("|")}
            seen[kind] += 1
    assert len(seen) == 3, seen


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (["red door", "opens the box"], False),
        (["EXIT sign"], True),
        (["Notice board"], True),
        (["poster of a moon"], True),
        (["signal box"], False),
        (["reads the newspaper"], True),
        (["Straßenschild"], True),
        (["die große Uhr"], True),
        (["Uhrwerk"], False),
        (["Anzeigetafeln"], True),
        (["stairs", "white door"], False),
        ([], False),
    ],
)
def test_things_with_text_are_known_by_their_names(names: list[str], text: bool) -> None:
    assert names_text(names) is text


@pytest.mark.parametrize(
    "name",
    ["room 12", "the \u201cStudio\u201d door", 'the "way out"', "the blackboard", "a bookshelf", "Bücherregal"],
)  # fmt: skip
def test_what_somebody_read_there_is_text(name: str) -> None:
    assert names_text([name])


def test_the_words_of_a_release_that_is_never_mirrored_count_too() -> None:
    assert names_text(["passing cars"], ["CARS"])
    assert not names_text(["scars"], ["cars"])


def test_ways_are_named_or_refused() -> None:
    assert ways(["mirrored", "rewound", "mirrored"]) == ("rewound", "mirrored")
    assert ways(["none"]) == ()
    with pytest.raises(UserError, match="there is no 'reversed'"):
        ways(["reversed"])


def test_items_that_are_answered_in_words_have_no_contrast(released: Released) -> None:
    item = next(one for one in train_split(released).items if one.row.format == "open")
    row = released_row(item, frames_of(item))
    assert contrast(row, item.asked, "rewound", row.frames) is None
