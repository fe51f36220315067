"""Two copies of one content: the strictest consent and all labels, whichever is found first."""

from collections.abc import Iterable
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from factories import probe
from hypothesis import given
from hypothesis import strategies as st

from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.rows import Rejection, Row, Rows
from pipeline.sources.rows import Consent, CopyConsent, Probe, SplitLabel, Video
from pipeline.sources.settings import SplitSettings
from pipeline.sources.split import run

KINDS = (Video, SplitLabel, CopyConsent)


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    """A folder with files at which the copies' rows point."""
    for name in "abc":
        (tmp_path / f"{name}.mp4").touch()
    return tmp_path


def split(
    folder: WorkspaceFolder, probes: Iterable[Probe], earlier: Iterable[Row] = ()
) -> list[Row]:
    before = list(earlier)
    kept: dict[type[Row], tuple[Row, ...]] = {
        kind: tuple(row for row in before if isinstance(row, kind)) for kind in KINDS
    }
    return list(run(Rows({Probe: tuple(probes)}, kept), SplitSettings(), folder))


def video(rows: Iterable[Row], video_id: str = "v_x") -> Video:
    (found,) = (row for row in rows if isinstance(row, Video) and row.video_id == video_id)
    return found


def told(rows: Iterable[Row]) -> dict[str, str]:
    return {row.unit: row.what for row in rows if isinstance(row, Rejection)}


def copy(videos: Path, name: str, consent: Consent = "release", **fields: Any) -> Probe:
    return probe("x", root=str(videos), path=f"{name}.mp4", consent=consent, **fields)


@pytest.mark.parametrize("order", list(permutations(["release", "model", "local"])))
def test_the_strictest_consent_applies_whatever_the_names(
    folder: WorkspaceFolder, videos: Path, order: tuple[Consent, ...]
) -> None:
    copies = [copy(videos, name, consent) for name, consent in zip("abc", order, strict=True)]
    assert video(split(folder, copies)).consent == "local"
    assert video(split(folder, copies[::-1])).consent == "local"


def test_the_labels_of_all_copies_count(folder: WorkspaceFolder, videos: Path) -> None:
    kitchen, ann = probe("k", scene="kitchen"), probe("w", wearer="Ann")
    rows = split(
        folder,
        [
            copy(videos, "a", scene="hall"),
            copy(videos, "b", scene="kitchen", wearer="Ann"),
            kitchen,
            ann,
        ],
    )
    assert len({row.split_group for row in rows if isinstance(row, Video)}) == 1
    assert (video(rows).path, video(rows).scene, video(rows).wearer) == ("a.mp4", "hall", "Ann")
    assert told(rows) == {
        "b.mp4": "same content as a.mp4; its scene kitchen counts as well; its wearer Ann counts as well"
    }


def test_equal_copies_have_nothing_to_agree_on(folder: WorkspaceFolder, videos: Path) -> None:
    rows = split(folder, [copy(videos, "a", scene="x"), copy(videos, "b", scene="x")])
    assert told(rows) == {"b.mp4": "same content as a.mp4"}


def test_contradictions_are_reported_and_gaps_filled(folder: WorkspaceFolder, videos: Path) -> None:
    one = copy(videos, "a", hfov_degrees=90.0, lens=None, licence="CC-BY-4.0", wanted_split="train")
    two = copy(videos, "b", hfov_degrees=120.0, lens="fisheye", licence="own", wanted_split="test")
    rows = split(folder, [two, one])
    assert (video(rows).hfov_degrees, video(rows).lens, video(rows).licence, video(rows).split) == (
        90.0, "fisheye", "CC-BY-4.0", "train",
    )  # fmt: skip
    what = told(rows)["b.mp4"]
    for part in (
        "hfov_degrees 120.0 contradicts 90.0",
        "licence own contradicts CC-BY-4.0",
        "split test",
    ):
        assert part in what
    assert "lens" not in what


def test_a_second_copy_that_arrives_later_or_becomes_stricter_counts(
    folder: WorkspaceFolder, videos: Path
) -> None:
    first = split(folder, [copy(videos, "b")])
    later = split(folder, [copy(videos, "a", "model"), copy(videos, "b")], first)
    assert (video(later).path, video(later).consent) == ("b.mp4", "model")
    stricter = split(folder, [copy(videos, "a", "local"), copy(videos, "b")], later)
    assert video(stricter).consent == "local"
    looser = split(folder, [copy(videos, "a", "release"), copy(videos, "b")], stricter)
    assert video(looser).consent == "release", "both lines allow it, and both copies are there"


def test_copies_in_two_folders_are_told_apart(folder: WorkspaceFolder, videos: Path) -> None:
    (videos / "backup").mkdir()
    (videos / "backup" / "a.mp4").touch()
    rows = split(folder, [copy(videos, "a"), copy(videos / "backup", "a", "local")])
    assert video(rows).consent == "local"
    assert f"same content as {videos}/a.mp4" in told(rows)["a.mp4"]


@pytest.mark.parametrize("removed", ["a", "b"])
def test_deleting_a_copy_allows_no_more(
    folder: WorkspaceFolder, videos: Path, removed: str
) -> None:
    consents: dict[str, Consent] = {"a": "release", "b": "release", removed: "local"}
    both = split(folder, [copy(videos, name, consents[name]) for name in "ab"])
    left = "ba"["ab".index(removed)]
    (videos / f"{removed}.mp4").unlink()
    rows = split(folder, [copy(videos, left)], both)
    for _ in range(2):  # and it stays so
        assert (video(rows).path, video(rows).consent) == (f"{left}.mp4", "local")
        assert told(rows) == {
            f"{left}.mp4": f"its consent stays local, that of a copy which is gone: {removed}.mp4"
        }
        rows = split(folder, [copy(videos, left)], rows)
    gone = split(folder, [probe("other")], rows)
    rows = split(folder, [copy(videos, left)], gone)
    assert video(rows).consent == "local", "even if the other was missing for a while"

    # What people write about the copy that is left is newer than what the other one had.
    rows = split(folder, [copy(videos, left, "model")], rows)
    assert video(rows).consent == "model"
    rows = split(folder, [copy(videos, left, "release")], rows)
    assert (video(rows).consent, told(rows)) == ("release", {})


def test_a_copy_on_a_drive_that_is_not_mounted_keeps_its_consent(
    folder: WorkspaceFolder, videos: Path
) -> None:
    away = copy(videos / "drive", "a", "local", scene="kitchen")
    both = split(folder, [copy(videos, "a"), away])
    assert (video(both).root, video(both).consent) == (str(videos), "local")
    assert "make" in next(row.fix for row in both if isinstance(row, Rejection))
    edited = split(folder, [copy(videos, "a", "model"), away], both)
    edited = split(folder, [copy(videos, "a"), away], edited)
    assert video(edited).consent == "local", "it is still known, and may come back"


COPIES = st.lists(
    st.builds(
        dict,
        consent=st.sampled_from(["local", "model", "release"]),
        scene=st.sampled_from([None, "x", "y"]),
        wearer=st.sampled_from([None, "Ann"]),
    ),
    min_size=1,
    max_size=4,
)


@given(COPIES, st.randoms())
def test_consent_and_groups_do_not_depend_on_names(
    copies: list[dict[str, Any]], random: Any
) -> None:
    names = [f"{number}.mp4" for number in range(len(copies))]
    results = []
    for _ in range(2):
        probes = [probe("x", path=name, **given) for name, given in zip(names, copies, strict=True)]
        rows = split(None, probes)  # type: ignore[arg-type]
        labels = {row.label for row in rows if isinstance(row, SplitLabel)}
        results.append((video(rows).consent, labels))
        random.shuffle(names)
    assert results[0] == results[1]
    order = ["local", "model", "release"]
    assert results[0][0] == min((given["consent"] for given in copies), key=order.index)
