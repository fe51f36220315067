"""What is suggested for a clip with too little to ask about: only what can help it."""

import dataclasses

import pytest

from pipeline.routes.remedies import Material, remedy
from pipeline.routes.rows import Category

BENCH = Material(
    seconds=10, video_seconds=10, span_seconds=40, provider="motion", landmarks=False, actions=False
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
    narrated = dataclasses.replace(BENCH, actions=True)
    assert remedy("landmark", narrated) == (
        "a landmark column in its narrations (.csv or .jsonl), a model (draft.provider), "
        "or add landmarks in review"
    )
    assert remedy("action", narrated) == (
        "narrations that name more actions, a model (draft.provider), or add actions in review"
    )
    modelled = dataclasses.replace(BENCH, provider="openai")
    assert remedy("landmark", modelled) == (
        "narrations beside the video that name landmarks, or add landmarks in review"
    )
    both = dataclasses.replace(modelled, landmarks=True)
    assert remedy("action", both) == "add actions in review"
    assert remedy("route", both) == (
        "narrations that name more landmarks or actions, or add landmarks or actions in review"
    )


def test_neither_narrations_nor_a_model_add_turns() -> None:
    assert remedy("direction", BENCH) == "add turns in review if the draft lacks some"
