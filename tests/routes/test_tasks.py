import unicodedata

import pytest
from factories import steps

from pipeline.routes.rows import Step
from pipeline.routes.tasks import RouteText, holds, plain


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


def test_a_name_is_one_name_however_its_accents_are_encoded() -> None:
    for name in ("Été avant été", "Ångström", "カバン", "ἀγορά", "Việt Nam", "한국"):
        composed = unicodedata.normalize("NFC", name)
        assert plain(unicodedata.normalize("NFD", name)) == plain(composed) == composed.lower()
