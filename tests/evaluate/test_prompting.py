"""How an item is put to a model: each prompt, in each arm's medium, and the adapters' copy of one of them."""

from string import ascii_uppercase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import UserError
from pipeline.evaluate.prompting import PROMPTS, load
from pipeline.models.chat import PromptImage, PromptVideo
from pipeline.releases import prompt as adapters
from pipeline.releases.letter import parse_letter

OPTIONS = ("the red door", "the printer", "the stairs", "the lift")
IMAGES = [PromptImage(bytes([number]), 640, 360) for number in range(3)]
SECONDS = (0.5, 1.5, 12.25)
LINE = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1)


@pytest.mark.parametrize("name", PROMPTS)
def test_every_frame_follows_its_label_and_the_question_comes_last(name: str) -> None:
    (message,) = load(name).parts("Which comes first?", OPTIONS, SECONDS, IMAGES)
    assert message.role == "user"
    assert list(message.parts[1:-1:2]) == IMAGES
    labels = message.parts[:-1:2]
    assert all(f"{number}" in str(label) for number, label in enumerate(labels, start=1))
    if name != "reference":
        assert [str(label).split()[-2] for label in labels] == ["0.5", "1.5", "12.2"]
    text = str(message.parts[-1])
    at = [
        text.index("Which comes first?"),
        *(text.index(f"{x}. {y}") for x, y in zip("ABCD", OPTIONS, strict=True)),
    ]
    assert at == sorted(at)


@pytest.mark.parametrize("name", PROMPTS)
def test_without_frames_nothing_speaks_of_images(name: str) -> None:
    (message,) = load(name).parts("Which comes first?", OPTIONS, (), ())
    (text,) = message.parts
    assert isinstance(text, str)
    assert not any(word in text for word in ("frame", "Frame", "video", "image"))


def test_a_video_is_announced_as_one() -> None:
    video = PromptVideo(b"", 640, 360, 8)
    (message,) = load("ours").parts("Which comes first?", OPTIONS, (), [video])
    assert message.parts[0] == video
    assert str(message.parts[1]).startswith("This is a first-person video.")


def test_frames_and_times_have_to_match() -> None:
    with pytest.raises(ValueError, match="zip"):
        load("ours").parts("Which?", OPTIONS, SECONDS, IMAGES[:2])


def test_the_reference_is_worded_as_the_reference_is() -> None:
    (message,) = load("reference").parts("Which way?", OPTIONS, SECONDS, IMAGES)
    assert message.parts[:4:2] == ("Frame1:", "Frame2:")
    assert message.parts[-1] == (
        "Which way?\n\nOptions:\nA. the red door\nB. the printer\nC. the stairs\nD. the lift\n\nInstructions: Please"
        " select the most appropriate answer from the options above and return only the option number"
        " (e.g. A, B, C or D)."
    )


@given(
    LINE,
    st.lists(LINE, min_size=2, max_size=10),
    st.lists(st.floats(0, 9999), min_size=1, max_size=4),
)
def test_the_adapters_prompt_is_the_direct_one(
    question: str, options: list[str], seconds: list[float]
) -> None:
    images = [IMAGES[0]] * len(seconds)
    (message,) = load("direct").parts(question, options, seconds, images)
    labels = [adapters.frame_label(number, at) for number, at in enumerate(seconds, start=1)]
    assert list(message.parts[:-1:2]) == labels
    assert message.parts[-1] == adapters.question_prompt(question, options)
    (blind,) = load("direct").parts(question, options, (), ())
    assert blind.parts == (adapters.question_prompt(question, options, frames=False),)


def test_options_are_lettered_as_the_parser_reads_them() -> None:
    options = [f"place {number}" for number in range(10)]
    text = str(load("direct").parts("Where?", options, (), ())[0].parts[-1])
    for letter, option in zip(ascii_uppercase, options, strict=False):
        assert f"{letter}. {option}" in text.splitlines()
        assert parse_letter(letter, options) == letter


@pytest.mark.parametrize("name", PROMPTS)
def test_a_prompt_that_is_echoed_states_no_letter(name: str) -> None:
    (message,) = load(name).parts("Which comes first?", OPTIONS, SECONDS, IMAGES)
    assert parse_letter(str(message.parts[-1]), OPTIONS) is None


def test_prompts_are_told_apart_by_their_digests() -> None:
    assert len({load(name).sha256 for name in PROMPTS}) == len(PROMPTS)


def test_an_unknown_prompt_is_an_error() -> None:
    with pytest.raises(UserError, match="ours, reference, direct"):
        load("other")
