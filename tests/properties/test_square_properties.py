"""Squares compared with brute force, computed independently of the code under test."""

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from pipeline.routes.rows import Step
from pipeline.routes.tasks import SEPARATOR, RouteText, holds, squares

MOVES = st.lists(st.sampled_from(["straight", "left", "right", "around"]), max_size=8)
NAMES = st.sampled_from(["door", "plant", "lift", "stairs", "sign", "red door"])
ACTIONS = st.sampled_from(
    # The last ones have the words of landmarks, and are undone like the others.
    [("opens it", "closes it"), ("takes it", "puts it back"), ("up", "down"), ("door", "lift")]
)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["straight", "straight", "left", "right", "around"]),
        st.none() | NAMES,
        st.none() | ACTIONS,
    ),
    max_size=9,
)
WORDS = {"left": "turn left", "right": "turn right", "around": "turn around"}
OTHER = {"turn left": "turn right", "turn right": "turn left"}


def as_steps(walk: list[tuple[str, str | None, tuple[str, str] | None]]) -> list[Step]:
    return [
        Step.model_validate(
            {
                "start_us": number * 10,
                "end_us": number * 10 + 10,
                "move": move,
                "landmark": name,
                "action": action and action[0],
                "undo": action and action[1],
            }
        )
        for number, (move, name, action) in enumerate(walk)
    ]


def events(steps: list[Step]) -> list[tuple[str, str]]:
    """Return every event of a route in order, with its forward and reverse words."""
    found = []
    for step in steps:
        if step.landmark:
            found.append((step.landmark, step.landmark))
        if step.move != "straight":
            word = WORDS[step.move]
            found.append((word, OTHER.get(word, word)))
        if step.action and step.undo:
            found.append((step.action, step.undo))
    return found


def happens(parts: list[str], happened: list[str]) -> bool:
    """Return whether the parts happen in this order, by trying every position of the first."""
    if not parts:
        return True
    return any(
        happens(parts[1:], happened[at + 1 :])
        for at, word in enumerate(happened)
        if word == parts[0]
    )


@given(MOVES)
def test_a_direction_square_is_the_truth_and_its_flips(moves: list[str]) -> None:
    steps = as_steps([(move, None, None) for move in moves])
    shown = [WORDS[move] for move in moves if move != "straight"]
    offered = squares(RouteText(steps), "direction", 0)
    sided = sum(word in OTHER for word in shown)
    assert len(offered) == sided * (sided - 1) // 2
    for square in offered:
        places = [int(name.removeprefix("turn:")) for name in square.names]
        every = []
        for words in product(("turn left", "turn right"), repeat=2):
            changed = list(shown)
            for place, word in zip(places, words, strict=True):
                changed[place] = word
            every.append(changed)
        forward, reverse = square.options("forward"), square.options("reverse")
        back = {
            SEPARATOR.join(ways): SEPARATOR.join(OTHER.get(w, w) for w in reversed(ways))
            for ways in every
        }
        assert set(forward) == set(back)
        assert [back[text] for text in forward] == reverse
        assert forward[0] == SEPARATOR.join(shown)


@given(STEPS, st.sampled_from(["landmark", "action"]))
def test_of_four_different_options_exactly_the_first_happens(
    walk: list[tuple[str, str | None, tuple[str, str] | None]], category: str
) -> None:
    steps = as_steps(walk)
    there = [event[0] for event in events(steps)]
    back = [event[1] for event in reversed(events(steps))]
    for square in squares(RouteText(steps), category, 0):  # type: ignore[arg-type]
        for orientation, happened in (("forward", there), ("reverse", back)):
            options = square.options(orientation)  # type: ignore[arg-type]
            assert len(set(options)) == 4
            true = [text for text in options if happens(text.split(SEPARATOR), happened)]
            assert true == [options[0]]
            held = [
                text for text in options if holds(text, RouteText(steps), category, orientation)
            ]  # type: ignore[arg-type]
            assert held == true
