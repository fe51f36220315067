"""A toy task that shows whether training works, without a GPU: walks of three turns, in three tiny frames.

A frame has something bright on the side to which its turn goes. A question asks for the first two turns of the walk,
or of the way back, on which the last turn comes first and sides are swapped. Only the frames tell the sides, so a
guess is right in a quarter of the rows. Who confuses the two ways is never right: the middle turn is asked in both,
with opposite sides.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice, product
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image

from pipeline.engine.folder import write_atomic
from pipeline.errors import UserError
from pipeline.evaluate.results import packed
from pipeline.questions.rows import AskedFact
from pipeline.routes.rows import Orientation
from pipeline.training import formats, lists
from pipeline.training.rows import Happening, TrainingRow

TEST_FILE = "test.jsonl"
PLACES = ("attic", "cellar", "garden", "hall")
LEAKY_SHARE = 0.9
WIDTH, HEIGHT = 28, 28  # of a frame, in pixels: one image token of Qwen2-VL, made of four patches
_TURNS = 3
_SECONDS = 2.0  # of a turn
_HIDDEN = 0.25  # of the frames
_SIDES = ("left", "right")
_OPPOSITE = {"left": "right", "right": "left"}
_OPTIONS = tuple(product(_SIDES, repeat=2))  # A to D
_QUESTIONS: Mapping[Orientation, str] = {
    "forward": "A walk in the {place}.\nWhich are its first two turns?",
    "reverse": "A walk in the {place}.\nWhich are the first two turns on the way back?",
}


@dataclass(frozen=True)
class Toy:
    """Where the rows are: a folder of training rows, and the file of test rows in the form for TRL."""

    rows: Path
    test: Path


def make_toy(
    folder: Path,
    *,
    forward: int = 432,
    reverse: int = 48,
    other: int = 384,
    test: int = 256,
    leaky: bool = False,
    seed: int = 0,
) -> Toy:
    """Write training rows as `egost train rows` does, for TRL, and test rows of other frames.

    `forward` and `reverse` rows have think texts: they are what SFT trains on (`sft_think`). The `other` rows have none,
    and make half of all rows (`grpo`) reverse. Half of the `test` rows are reverse. With `leaky`, the question's place
    gives the answer away in nine of ten rows, in training and test alike. Raise UserError if half of the rows can't
    be reverse.
    """
    total = forward + reverse + other
    if total % 2 or test % 2 or max(forward, reverse) > total // 2:
        what = (
            f"of {forward} forward, {reverse} reverse and {other} other rows, half can't be reverse"
        )
        raise UserError("toy", what, "choose even totals, and enough other rows")
    random = np.random.default_rng(seed)
    thought: Mapping[Orientation, int] = {"forward": forward, "reverse": reverse}
    rows = [_drawn(row, folder, random) for row in _rows("train", total, thought, leaky, random)]
    formats.write(rows, folder, ["trl"])
    write_atomic(folder / formats.ROWS_FILE, packed(TrainingRow, rows))
    aside = folder / "test"
    thought = {"forward": test // 2, "reverse": test // 2}
    held = [_drawn(row, aside, random) for row in _rows("test", test, thought, leaky, random)]
    formats.write(held, aside, ["trl"])
    write_atomic(folder / TEST_FILE, (aside / "trl" / "sft_think.jsonl").read_bytes())
    return Toy(folder, folder / TEST_FILE)


def _rows(
    name: str, total: int, thought: Mapping[Orientation, int], leaky: bool, random: Generator
) -> Iterator[TrainingRow]:
    """Yield rows whose frames aren't drawn yet: half forward, then half reverse; the first of each have think texts."""
    for orientation in _QUESTIONS:
        for number, (sides, place) in enumerate(islice(_balanced(random), total // 2)):
            if leaky:
                telling = _OPTIONS.index(_asked(sides, orientation))
                others = [at for at in range(len(PLACES)) if at != telling]
                leaks = random.random() < LEAKY_SHARE
                place = PLACES[telling if leaks else random.choice(others)]
            yield _row(
                f"{name}-{orientation}-{number:04}",
                sides,
                orientation,
                place,
                number < thought[orientation],
            )


def _balanced(random: Generator) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield walks and places in random order: each walk once in 8, and each in each place once in 32."""
    walks = list(product(_SIDES, repeat=_TURNS))
    while True:
        start = random.integers(len(PLACES), size=len(walks))
        for shift in range(len(PLACES)):
            for at in random.permutation(len(walks)):
                yield walks[at], PLACES[(start[at] + shift) % len(PLACES)]


def _asked(sides: tuple[str, ...], orientation: Orientation) -> tuple[str, ...]:
    """Return the first two turns of the way that is asked about."""
    return (sides if orientation == "forward" else _back(sides))[:2]


def _back(sides: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_OPPOSITE[side] for side in reversed(sides))


def _row(
    name: str, sides: tuple[str, ...], orientation: Orientation, place: str, thought: bool
) -> TrainingRow:
    right = _OPTIONS.index(_asked(sides, orientation))
    options = [f"{first}, then {second}" for first, second in _OPTIONS]
    return TrainingRow(
        id=name,
        item=name,
        made="released",
        question_type=f"direction_{orientation}",
        category="direction",
        orientation=orientation,
        contrast="turn",
        format="mcq",
        language="en",
        split_group=name,
        video=name,
        question=_QUESTIONS[orientation].format(place=place),
        options=options,
        answer="ABCD"[right],
        answer_text=options[right],
        facts=[_fact(at, right) for at in (0, 1)],
        happenings=[
            Happening(kind="turn", what=side, start=_SECONDS * at, end=_SECONDS * (at + 1))
            for at, side in enumerate(sides)
        ],
        seconds=_SECONDS * _TURNS,
        frames=[f"media/{name}-{at + 1}.png" for at in range(_TURNS)],
        frame_seconds=[_SECONDS * (at + 0.5) for at in range(_TURNS)],
        think=_think(sides) if thought else None,
        think_source="template" if thought else "none",
    )


def _fact(at: int, right: int) -> AskedFact:
    """Return a turn as a fact; with rewound frames it is what is true of the way back, with mirrored ones the opposite."""
    side = _OPTIONS[right][at]
    flipped = _OPPOSITE[side]
    back = f"turn:{_TURNS - at}={flipped}"
    return AskedFact(
        name=f"turn:{at + 1}",
        values=[option[at] for option in _OPTIONS],
        back=back,
        rewound=back,
        mirrored=f"turn:{at + 1}={flipped}",
        seen_us=[],
    )


def _think(sides: tuple[str, ...]) -> str:
    """Return both lists, without times and words between: a token more costs each step of GRPO."""
    ahead, back = ([lists.Event("turn", side) for side in way] for way in (sides, _back(sides)))
    there, return_ = lists.HEADINGS["en"]
    return "\n".join((there, lists.write(ahead, "en"), return_, lists.write(back, "en")))


# ---- frames ------------------------------------------------------------------------------------------


def _drawn(row: TrainingRow, folder: Path, random: Generator) -> TrainingRow:
    """Draw a row's frames into its folder; return the row."""
    (folder / "media").mkdir(parents=True, exist_ok=True)
    for name, turn in zip(row.frames, row.happenings, strict=True):
        Image.fromarray(_frame(turn.what, random)).save(folder / name)
    return row


def _frame(side: str, random: Generator) -> NDArray[np.uint8]:
    """Return a frame of a turn, (HEIGHT, WIDTH, 3) bytes: something bright on its side, of any size, place and colour, in noise."""
    shade = random.uniform(40, 120, size=3)
    frame = shade + random.normal(0, 20, size=(HEIGHT, WIDTH, 3))
    if random.random() < _HIDDEN:
        return frame.clip(0, 255).astype(np.uint8)
    width, height = random.integers(6, 13), random.integers(10, 25)
    left = random.integers(0, WIDTH // 2 - width + 1) + (WIDTH // 2 if side == "right" else 0)
    top = random.integers(0, HEIGHT - height + 1)
    frame[top : top + height, left : left + width] += random.uniform(60, 130, size=3)
    return frame.clip(0, 255).astype(np.uint8)
