"""What is suggested for a clip with too little to ask about: only what can help it."""

import dataclasses

import pytest

from pipeline.routes.remedies import Material, remedy
from pipeline.routes.rows import Category

BENCH = Material(
    seconds=10, video_seconds=10, span_seconds=40, narrated=False, provider="motion",
    turns=0, landmarks=0, actions=0,
)  # fmt: skip
CATEGORIES: tuple[Category, ...] = ("route", "direction", "landmark", "action")


@pytest.mark.parametrize("category", CATEGORIES)
@pytest.mark.parametrize(
    ("seconds", "video", "helps"), [(10, 10, False), (120, 3600, False), (40, 90, False), (15, 90, True)]
)  # fmt: skip
def test_longer_clips_are_suggested_only_where_the_video_goes_on_and_a_span_would_grow(
    category: Category, seconds: float, video: float, helps: bool
) -> None:
    clip = dataclasses.replace(BENCH, seconds=seconds, video_seconds=video)
    assert ("max_clip_seconds" in remedy(category, clip)) is helps


def test_what_names_things_is_suggested_unless_it_is_there() -> None:
    assert remedy("action", BENCH) == (
        "narrations with an action column beside the video (.csv or .jsonl), a model "
        "(draft.provider), or add actions in review"
    )
    narrated = dataclasses.replace(BENCH, narrated=True, actions=2)
    assert remedy("action", narrated) == (
        "an action column in its narrations (.csv or .jsonl), a model (draft.provider), "
        "or add actions in review (the route names 2)"
    )
    modelled = dataclasses.replace(BENCH, provider="openai")
    assert remedy("landmark", modelled) == (
        "narrations beside the video that name landmarks, or add landmarks in review"
    )
    both = dataclasses.replace(modelled, narrated=True, landmarks=1)
    assert remedy("route", both) == "add landmarks or actions in review (the route names 1)"


def test_neither_narrations_nor_a_model_add_turns() -> None:
    assert remedy("direction", BENCH) == (
        "add turns in review if the draft lacks some (this clip has none)"
    )
