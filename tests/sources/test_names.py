import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.sources.names import Names, folded
from pipeline.sources.sidecars import assign

NFD = unicodedata.normalize("NFD", "küche.mp4")


@pytest.mark.parametrize(
    "written",
    [
        "kitchen/0001 a.mp4",
        "kitchen\\0001 a.mp4",
        ".\\kitchen\\0001 a.mp4",
        "./kitchen/0001 a.mp4",
        "Kitchen/0001 A.MP4",
        "kitchen//0001\u00a0a.mp4 ",
        "kitchen/0001%20a.mp4",
        "kitchen / 0001  a.mp4",
        "\u202akitchen/0001 a.mp4",
        "\uff4bitchen/0001 a.mp4",
    ],
)
def test_spellings_of_one_name_are_the_same(written: str) -> None:
    assert Names(["kitchen/0001 a.mp4", "kitchen/0002 a.mp4"]).spelled(written) == [
        "kitchen/0001 a.mp4"
    ]


@pytest.mark.parametrize("written", ["KÜCHE.MP4", "ku\u200d\u0308che.mp4"])
def test_composed_and_decomposed_letters_are_the_same(written: str) -> None:
    assert Names([NFD]).spelled(written) == [NFD]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("kitchen/0001.mov", "kitchen/0001.mp4"),
        ("C:\\data\\kitchen\\0001.mp4", "kitchen/0001.mp4"),
        ("/data/office.mp4", "sub/office.mp4"),
        ("sub/ofice.mp4", "sub/office.mp4"),
        ("walk_01.mp4", "walk-1.mp4"),
        ("kitchen/0009.mp4", None),
        ("b.mp4", None),
        ("..", None),
        ("", None),
    ],
)
def test_the_likely_file_is_named(written: str, meant: str | None) -> None:
    paths = ["kitchen/0001.mp4", "kitchen/0002.mp4", "sub/office.mp4", "walk-1.mp4", "a.mp4"]
    assert Names(paths).likely(written) == meant


@given(st.text(max_size=30), st.lists(st.text(max_size=12), max_size=4))
def test_any_name_can_be_looked_up(name: str, paths: list[str]) -> None:
    names = Names(paths)
    assert set(names.spelled(name)) <= set(paths)
    assert names.likely(name) in [None, *paths]
    once = folded(name)
    assert "%" in once or folded(once) == once  # `%20` is decoded again


def read(videos: list[str], files: list[str], language: str | None = None) -> dict[str, list[str]]:
    return {v: f for v, f in assign(videos, files, language).of.items() if f}


@pytest.mark.parametrize(
    ("video", "file"),
    [
        ("walk.mp4", "walk.vtt"),
        ("walk.mp4", "walk.mp4.vtt"),
        ("walk.mp4", "walk.mp4.csv"),
        ("walk.mp4", "walk.en.vtt"),
        ("walk.mp4", "walk.pt-BR.srt"),
        ("walk.mp4", "walk.en-orig.vtt"),
        ("walk.mp4", "walk.mp4.en.vtt"),
        ("walk.mp4", "walk.eng.forced.srt"),
        ("walk.mp4", "Walk.VTT"),
        ("Walk.MP4", "walk.mp4.VTT"),
        ("walk a.mp4", "walk%20a.vtt"),
        (NFD, "küche.vtt"),
        (NFD, "küche.de.vtt"),
        ("küche.mp4", f"{NFD}.srt"),
        ("take.1.mp4", "take.1.vtt"),
    ],
)
def test_narrations_are_found_by_any_spelling_of_the_name(video: str, file: str) -> None:
    found = assign([video, "other.mp4"], [file], None)
    assert found.of == {video: [file]}
    assert not found.unread


def test_the_closest_name_is_read_and_the_others_are_reported() -> None:
    found = assign(["walk.mp4"], ["walk.vtt", "walk.csv", "walk.en.vtt", "WALK.srt"], None)
    assert found.of == {"walk.mp4": ["walk.csv", "walk.vtt"]}
    assert set(found.unread) == {"walk.en.vtt", "WALK.srt"}
    assert found.unread["walk.en.vtt"] == "walk.csv is read for walk.mp4"


def test_the_language_of_the_drafts_is_chosen() -> None:
    files = ["walk.de.vtt", "walk.en-US.vtt", "walk.en-US.srt"]
    assert read(["walk.mp4"], files, "en") == {"walk.mp4": ["walk.en-US.srt", "walk.en-US.vtt"]}
    assert read(["walk.mp4"], files, "de") == {"walk.mp4": ["walk.de.vtt"]}
    assert read(["walk.mp4"], [*files, "walk.en.vtt"], "en") == {"walk.mp4": ["walk.en.vtt"]}
    open_ = assign(["walk.mp4"], files, "fr")
    assert not open_.of["walk.mp4"]
    assert all("several languages" in why for why in open_.unread.values())
    assert len(open_.unread) == 3


def test_a_name_for_two_videos_is_reported_unless_it_is_their_stem() -> None:
    assert read(["a.mp4", "a.mov"], ["a.vtt"]) == {"a.mp4": ["a.vtt"], "a.mov": ["a.vtt"]}
    assert read(["Two.mp4", "two.mp4"], ["two.vtt"]) == {"two.mp4": ["two.vtt"]}
    found = assign(["Two.mp4", "two.mp4"], ["TWO.vtt"], None)
    assert not found.of
    assert found.unread == {"TWO.vtt": "it could be for Two.mp4 or two.mp4"}


@pytest.mark.parametrize(
    "file", ["walk_subs.vtt", "walk-1.vtt", "wlak.srt", "walk.mov.vtt", "walk.en.csv"]
)
def test_the_likely_video_of_a_file_that_is_not_read_is_named(file: str) -> None:
    found = assign(["walk.mp4", "office.mp4"], [file], None)
    assert not found.of
    assert "walk.mp4" in found.unread[file]


@pytest.mark.parametrize("file", ["walk.imu.csv", "notes.csv", "gaze.jsonl"])
def test_other_data_is_neither_read_nor_taken_for_narrations(file: str) -> None:
    found = assign(["walk.mp4"], [file], None)
    assert not found.of
    assert not found.unread


def test_the_order_of_names_does_not_matter() -> None:
    videos, files = (
        ["walk.mp4", "Two.mp4"],
        ["two.vtt", "walk.en.vtt", "walk.de.vtt", "walk.mp4.csv"],
    )
    one, other = assign(videos, files, "en"), assign(videos[::-1], files[::-1], "en")
    assert one == other
