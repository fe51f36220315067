import pytest
from factories import steps

from pipeline.routes.rows import Step
from pipeline.routes.tasks import RouteText, holds, plain, squares, what_is_missing


def walk(*words: str) -> RouteText:
    """Return a route with steps of two seconds: `left`, `@red door` (a landmark), `!opens it/closes it` (an action)."""
    found = []
    for number, word in enumerate(words):
        fields: dict[str, object] = {"move": "straight"}
        if word[0] == "@":
            fields["landmark"] = word[1:]
        elif word[0] == "!":
            fields["action"], fields["undo"] = word[1:].split("/")
        else:
            fields["move"] = word
        span = {"start_us": number * 2_000_000, "end_us": (number + 1) * 2_000_000}
        found.append(Step.model_validate({**span, **fields}))
    return RouteText(found)


def test_the_square_of_a_left_and_a_right() -> None:
    (square,) = squares(RouteText(steps(["straight", "left", "right"])), "direction", 0)
    assert square.contrast == "turn"
    assert square.names == ["turn:0", "turn:1"]
    assert square.options("forward") == [
        "turn left -> turn right",
        "turn left -> turn left",
        "turn right -> turn right",
        "turn right -> turn left",
    ]


def test_the_reverse_order_is_backwards_with_sides_swapped() -> None:
    (square,) = squares(RouteText(steps(["left", "around", "left"])), "direction", 0)
    assert square.options("reverse") == [
        "turn right -> turn around -> turn right",
        "turn left -> turn around -> turn right",
        "turn right -> turn around -> turn left",
        "turn left -> turn around -> turn left",
    ]


def test_four_landmarks_flip_two_pairs_of_neighbours() -> None:
    (square,) = squares(walk("@Red door.", "@plant", "left", "@lift", "@stairs"), "landmark", 0)
    assert square.contrast == "order"
    assert square.names == ["order:0-1", "order:2-3"]
    assert square.options("forward")[0] == "red door -> plant -> lift -> stairs"
    assert square.options("forward")[3] == "plant -> red door -> stairs -> lift"
    # The second pair flipped; on the way back the other way round.
    assert square.options("reverse")[1] == "lift -> stairs -> plant -> red door"


def test_two_landmarks_and_a_turn_make_a_mixed_square() -> None:
    (square,) = squares(walk("@door", "left", "@plant"), "landmark", 0)
    assert square.contrast == "mixed"
    assert square.names == ["order:0-1", "turn:0"]
    assert square.options("forward") == [
        "door -> turn left -> plant",
        "door -> turn right -> plant",
        "plant -> turn left -> door",
        "plant -> turn right -> door",
    ]
    assert square.options("reverse")[0] == "plant -> turn right -> door"


def test_actions_are_undone_on_the_way_back() -> None:
    clip = walk("!opens the door/closes the door", "right", "!takes a cup/puts it back")
    (square,) = squares(clip, "action", 0)
    assert square.options("forward")[0] == "opens the door -> turn right -> takes a cup"
    assert square.options("reverse")[0] == "puts it back -> turn left -> closes the door"


def test_no_square_has_a_second_true_option() -> None:
    # A right after the left: "door -> turn right -> plant" happens as well.
    assert squares(walk("@door", "left", "right", "@plant"), "landmark", 0) == []
    # The same door twice: both orders of door and plant happen.
    assert squares(walk("@door", "@plant", "@door", "left"), "landmark", 0) == []


def test_flipped_events_are_apart_in_time() -> None:
    clip = steps(["left", "right"])
    apart = clip[1].start_us - clip[0].start_us
    assert squares(RouteText(clip), "direction", apart)
    assert squares(RouteText(clip), "direction", apart + 1) == []


@pytest.mark.parametrize(
    ("text", "true"),
    [
        ("door -> turn left", True),
        ("turn left -> door", False),
        ("turn left -> plant", True),
        ("turn right", False),
        ("plant", True),
        ("cupboard", False),
    ],
)
def test_what_holds_of_a_route(text: str, true: bool) -> None:
    assert holds(text, walk("@door", "left", "@plant"), "landmark", "forward") is true


def test_a_direction_answer_has_to_name_every_turn() -> None:
    clip = RouteText(steps(["left", "right", "left"]))
    assert holds("turn left -> turn right -> turn left", clip, "direction", "forward")
    assert not holds("turn left -> turn right", clip, "direction", "forward")
    assert holds("turn right -> turn left -> turn right", clip, "direction", "reverse")


def test_options_have_one_case_and_no_full_stop() -> None:
    assert plain("  The EXIT   sign. ") == "the exit sign"
    assert " -> " not in plain("a -> b")


@pytest.mark.parametrize(
    ("clip", "category", "reason"),
    [
        (["left", "around"], "direction", "1 turn to the left or right"),
        ([], "direction", "0 turns"),
        (["@door"], "landmark", "1 landmark and 0 turns"),
        (["@door", "@plant"], "landmark", "2 landmarks and 0 turns"),
        (["!opens it/closes it"], "action", "1 action that can be undone and 0 turns"),
    ],
)
def test_what_is_missing_for_a_square_is_reported(
    clip: list[str], category: str, reason: str
) -> None:
    route = walk(*clip)
    assert squares(route, category, 0) == []  # type: ignore[arg-type]
    assert what_is_missing(route, category).startswith(reason)  # type: ignore[arg-type]
