from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from factories import SECOND, probe

from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.rows import Rejection, Row, Rows
from pipeline.sources.rows import Probe, SplitLabel, Video
from pipeline.sources.settings import SplitSettings
from pipeline.sources.split import run


def split(
    folder: WorkspaceFolder,
    probes: Iterable[Probe],
    earlier: Iterable[Row] = (),
    **settings: Any,
) -> list[Row]:
    before = list(earlier)
    kept: dict[type[Row], tuple[Row, ...]] = {
        kind: tuple(row for row in before if isinstance(row, kind)) for kind in (Video, SplitLabel)
    }
    return list(run(Rows({Probe: tuple(probes)}, kept), SplitSettings(**settings), folder))


def splits(rows: Iterable[Row]) -> dict[str, str]:
    return {row.path: row.split for row in rows if isinstance(row, Video)}


def rejections(rows: Iterable[Row]) -> dict[str, str]:
    return {row.unit: row.what for row in rows if isinstance(row, Rejection)}


def groups(rows: Iterable[Row]) -> dict[str, str]:
    return {row.path: row.split_group for row in rows if isinstance(row, Video)}


def test_scenes_and_wearers_connect_videos(folder: WorkspaceFolder) -> None:
    found = groups(
        split(
            folder,
            [
                probe("a", scene="office"),
                probe("b", scene="office", wearer="Ann"),
                probe("c", wearer="Ann"),
                probe("d", scene="Ann"),
                probe("e"),
            ],
        )
    )
    assert found["a.mp4"] == found["b.mp4"] == found["c.mp4"]
    assert len(set(found.values())) == 3


def test_an_assignment_never_changes(folder: WorkspaceFolder) -> None:
    first = split(folder, [probe(name, scene=name) for name in "abcdefgh"])
    more = [probe(name, scene=name) for name in "abcdefgh"] + [
        probe(f"x{number}", scene=f"new {number}", duration_us=900 * SECOND) for number in range(9)
    ]
    second = splits(split(folder, more, first, train=0.6, test=0.35))
    assert splits(first).items() <= second.items()


def test_a_label_that_reappears_keeps_its_assignment(folder: WorkspaceFolder) -> None:
    first = split(folder, [probe("a", scene="office", wanted_split="train"), probe("b")])
    second = split(folder, [probe("b")], first)
    third = split(folder, [probe("c", scene="office"), probe("b")], second)
    assert splits(third)["c.mp4"] == "train"


def test_a_video_that_would_join_two_groups_is_rejected_naming_both(
    folder: WorkspaceFolder,
) -> None:
    apart = [probe("a", scene="office"), probe("b", wearer="Ann")]
    first = split(folder, apart)
    joined = split(folder, [*apart, probe("c", scene="office", wearer="Ann")], first)
    assert splits(joined) == splits(first)
    (what,) = rejections(joined).values()
    assert "scene:office, wearer:Ann would join two split groups" in what
    assert all(group in what for group in groups(first).values())


@pytest.mark.parametrize("wanted", ["train", "validation", "test"])
def test_a_requested_split_is_assigned(folder: WorkspaceFolder, wanted: str) -> None:
    rows = split(folder, [probe("a", scene="x", wanted_split=wanted), probe("b", scene="x")])
    assert splits(rows) == {"a.mp4": wanted, "b.mp4": wanted}


def test_contradicting_requests_are_rejected(folder: WorkspaceFolder) -> None:
    rows = split(
        folder,
        [
            probe("a", scene="x", wanted_split="train"),
            probe("b", scene="x", wanted_split="test"),
        ],
    )
    assert splits(rows) == {"a.mp4": "train"}
    assert "requests test" in rejections(rows)["b.mp4"]


def test_a_video_that_would_join_two_requests_is_rejected(folder: WorkspaceFolder) -> None:
    rows = split(
        folder,
        [
            probe("a", scene="x", wanted_split="train"),
            probe("b", wearer="y", wanted_split="test"),
            probe("c", scene="x", wearer="y"),
        ],
    )
    assert splits(rows) == {"a.mp4": "train", "b.mp4": "test"}
    assert "train" in rejections(rows)["c.mp4"]
    assert "test" in rejections(rows)["c.mp4"]


def test_a_request_against_an_assignment_is_rejected(folder: WorkspaceFolder) -> None:
    first = split(folder, [probe("a", wanted_split="train")])
    rows = split(folder, [probe("a", wanted_split="test")], first)
    assert "requests test, but its split group is in train" in rejections(rows)["a.mp4"]


def test_footage_is_divided_by_the_shares_of_the_settings(folder: WorkspaceFolder) -> None:
    probes = [
        probe(f"{number:03}", scene=f"s{number}", duration_us=(20 + number % 7) * SECOND)
        for number in range(100)
    ]
    length: Counter[str] = Counter()
    for row in split(folder, probes):
        if isinstance(row, Video):
            length[row.split] += row.duration_us
    shares = {name: seconds / length.total() for name, seconds in length.items()}
    assert shares == pytest.approx({"test": 0.8, "train": 0.15, "validation": 0.05}, abs=0.01)


def test_the_order_of_probes_does_not_matter(folder: WorkspaceFolder) -> None:
    probes = [probe(name, scene=name if name < "d" else None) for name in "abcdefgh"]
    one, two = split(folder, probes), split(folder, probes[::-1])
    assert splits(one) == splits(two)
    assert groups(one) == groups(two)


def test_of_duplicates_the_first_is_kept(folder: WorkspaceFolder) -> None:
    later = probe("z", path="z.mp4")
    first = split(folder, [later])
    rows = split(folder, [later, probe("z", path="a copy.mp4")], first)
    assert list(splits(rows)) == ["z.mp4"]
    assert rejections(rows) == {"a copy.mp4": "same content as z.mp4"}


def test_a_moved_folder_keeps_its_videos(folder: WorkspaceFolder, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "a.mp4").touch()
    old = probe("a", root=str(tmp_path / "old"), path="a.mp4")
    before = split(folder, [old])
    after = split(folder, [old, probe("a", root=str(tmp_path / "new"), path="a.mp4")], before)
    (video,) = (row for row in before if isinstance(row, Video))
    assert video.model_copy(update={"root": str(tmp_path / "new")}) in after
    assert not rejections(after), "it exists only once"


def test_a_large_group_gives_a_warning(
    folder: WorkspaceFolder, caplog: pytest.LogCaptureFixture
) -> None:
    split(folder, [probe("a", scene="office", duration_us=90 * SECOND), probe("b"), probe("c")])
    assert "(scene office) contains 82 % of the footage" in caplog.text
    assert caplog.text.count("contains") == 1


def test_shares_that_do_not_add_up_are_an_error() -> None:
    with pytest.raises(ValueError, match="must be 1"):
        SplitSettings(train=0.5)
