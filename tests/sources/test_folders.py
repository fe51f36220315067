"""Hidden folders, trash and what systems keep: nothing in them comes in."""

from pathlib import Path

import pytest

from pipeline.errors import UserError
from pipeline.sources.scan import Scan, scan

SYSTEM_FOLDERS = [
    ".Trash-1000/files", ".Trashes/501", ".Trash", "$RECYCLE.BIN/S-1-5", "$Recycle.Bin", "RECYCLER",
    "System Volume Information", "__MACOSX", "@eaDir/a.mp4", ".snapshot/daily", ".snapshots/1/snapshot",
    "lost+found", ".git/lfs", "#recycle", "#snapshot", ".thumbnails", "~snapshot", "@Recycle",
    ".AppleDouble", ".zfs/snapshot", "FOUND.000", "@GMT-2026.11.01-00.00.00", ".Spotlight-V100", ".stversions",
]  # fmt: skip


def write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"video")


def names(found: Scan) -> list[str]:
    return sorted(source.path for source in found.sources.values())


@pytest.mark.parametrize("folder", SYSTEM_FOLDERS)
@pytest.mark.parametrize("where", ["", "kitchen/"])
def test_system_folders_are_skipped_and_counted(tmp_path: Path, folder: str, where: str) -> None:
    write(tmp_path, "a.mp4", f"{where}{folder}/withdrawn.mp4", "kitchen/b.mp4")
    found = scan([tmp_path], (), "local")
    assert names(found) == ["a.mp4", "kitchen/b.mp4"]
    assert found.hidden_folders == (tmp_path / where / folder.partition("/")[0],)


@pytest.mark.parametrize(
    "name", ["trash can", "recycle", "snapshots", "git", "macosx", "@home", "#1", "~"]
)
def test_other_folders_are_searched(tmp_path: Path, name: str) -> None:
    write(tmp_path, f"{name}/a.mp4")
    assert names(scan([tmp_path], (), "local")) == [f"{name}/a.mp4"]


def test_hidden_video_files_are_skipped_and_counted(tmp_path: Path) -> None:
    write(tmp_path, "a.mp4", "._a.mp4", ".hidden.MOV", ".DS_Store", "._a.vtt")
    found = scan([tmp_path], (), "local")
    assert names(found) == ["a.mp4"]
    assert {path.name for path in found.hidden_videos} == {"._a.mp4", ".hidden.MOV"}
    assert not found.skipped
    assert not found.sources.popitem()[1].sidecars


def test_a_link_to_a_hidden_folder_is_skipped(tmp_path: Path) -> None:
    write(tmp_path, "a.mp4", ".cache/b.mp4")
    (tmp_path / ".link").symlink_to(tmp_path / ".cache")
    assert names(scan([tmp_path], (), "local")) == ["a.mp4"]


def test_a_hidden_folder_that_is_named_is_searched(tmp_path: Path) -> None:
    write(tmp_path, "a.mp4", ".data/b.mp4", ".data/sub/c.mp4", ".data/.git/d.mp4")
    hidden = scan([tmp_path / ".data"], (), "local")
    assert names(hidden) == ["b.mp4", "sub/c.mp4"]
    known = list(hidden.sources.values())

    above = scan([tmp_path], known, "local")
    assert names(above) == ["a.mp4"]
    assert above.gone == (), "they were named, and are still there"
    known += above.sources.values()
    assert scan([tmp_path / ".data"], known, "local").sources == hidden.sources
    again = scan([], known, "local")
    assert (set(again.sources), again.gone) == ({one.source_id for one in known}, ())


def test_a_hidden_file_that_is_named_is_used(tmp_path: Path) -> None:
    write(tmp_path, "a.mp4", ".b.mp4", ".data/c.mp4")
    named = scan([tmp_path, tmp_path / ".b.mp4", tmp_path / ".data" / "c.mp4"], (), "local")
    assert names(named) == [".b.mp4", "a.mp4", "c.mp4"]
    for paths in ([], [tmp_path]):
        assert scan(paths, named.sources.values(), "local").gone == ()


def test_a_known_video_that_now_lies_in_the_trash_is_gone(tmp_path: Path) -> None:
    write(tmp_path, "a.mp4", "b.mp4")
    known = scan([tmp_path], (), "local").sources
    (tmp_path / ".Trash-1000").mkdir()
    (tmp_path / "b.mp4").rename(tmp_path / ".Trash-1000" / "b.mp4")
    found = scan([tmp_path], known.values(), "local")
    assert names(found) == ["a.mp4"]
    assert [known[one].path for one in found.gone] == ["b.mp4"]


@pytest.mark.parametrize("again", [True, False])
def test_what_an_older_version_took_from_a_hidden_folder_is_gone(
    tmp_path: Path, again: bool
) -> None:
    write(tmp_path, "a.mp4", ".Trash-1000/b.mp4")
    known = scan([tmp_path], (), "local").sources
    (one,) = known.values()
    hidden = one.model_copy(update={"source_id": "s_b", "path": ".Trash-1000/b.mp4"})
    found = scan([] if again else [tmp_path], [one, hidden], "local")
    assert names(found) == ["a.mp4"]
    assert found.gone == ("s_b",)


def test_a_folder_with_nothing_but_hidden_videos_has_none(tmp_path: Path) -> None:
    write(tmp_path, ".Trash-1000/b.mp4")
    with pytest.raises(UserError, match="no video files") as told:
        scan([tmp_path], (), "local")
    assert "only if you name it" in told.value.fix


def test_a_manifest_line_about_a_hidden_video_is_explained(tmp_path: Path) -> None:
    write(tmp_path, "a.mp4", ".old/b.mp4")
    (tmp_path / "manifest.csv").write_text("path\n.old/b.mp4\n")
    with pytest.raises(UserError, match="hidden or in a hidden or system folder"):
        scan([tmp_path], (), "local")
