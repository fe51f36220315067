"""Whole runs over folders that people move, copy and clean up."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numbered
import pytest

from pipeline.engine.workspace import Workspace
from pipeline.flow import make_workspace, open_workspace
from pipeline.sources.intake import take_in
from pipeline.sources.rows import Narration, Probe, Source, Video

DOOR = "WEBVTT\n\n00:00.500 --> 00:00.900\nthe door &amp; the sofa\n"


@pytest.fixture(scope="module")
def walks(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Small real videos of one second with different contents."""
    folder = tmp_path_factory.mktemp("walks")
    for count in (30, 31):
        numbered.write(folder / f"{count}.mp4", count=count)
    return [(folder / f"{count}.mp4").read_bytes() for count in (30, 31)]


@pytest.fixture
def videos(tmp_path: Path, walks: list[bytes]) -> Path:
    found = tmp_path / "videos"
    found.mkdir()
    for name, walk in zip(("a", "b"), walks, strict=True):
        (found / f"{name}.mp4").write_bytes(walk)
    (found / "a.vtt").write_text(DOOR)
    return found


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    make_workspace(tmp_path / "ws")
    with open_workspace(tmp_path / "ws") as opened:
        yield opened


def frames(workspace: Workspace, *paths: Path) -> str:
    """Take in paths and run ingest and split; return the messages."""
    told = take_in(workspace, paths)
    told += [str(summary) for summary in workspace.run(["ingest", "split"])]
    return "\n".join(told)


def places(workspace: Workspace, kind: type[Source | Probe | Video]) -> set[tuple[str, str]]:
    return {(Path(row.root).name, row.path) for row in workspace.store.rows(kind)}


def units(workspace: Workspace) -> dict[str, dict[str, str]]:
    return {name: workspace.store.keys(name) for name in ("scan", "ingest", "split")}


def test_an_unchanged_folder_changes_nothing(workspace: Workspace, videos: Path) -> None:
    shutil.copyfile(videos / "a.mp4", videos / "copy.mp4")
    (videos / "manifest.csv").write_text("path,consent\ncopy.mp4,model\n")
    frames(workspace, videos)
    before = units(workspace)
    for paths in ([videos], []):
        assert "1 new" not in frames(workspace, *paths)
        assert units(workspace) == before


@pytest.mark.parametrize("how", ["moved", "copied"])
def test_a_moved_folder_is_known_once(workspace: Workspace, videos: Path, how: str) -> None:
    frames(workspace, videos)
    said = workspace.store.rows(Narration)
    old = workspace.store.rows(Video)
    new = videos.with_name("new")
    if how == "moved":
        videos.rename(new)
    else:  # without their modification times
        shutil.copytree(videos, new, copy_function=shutil.copyfile)
        shutil.rmtree(videos)
    told = frames(workspace, new)
    assert f"2 files moved: {videos} is gone, the same are in {new}" in told
    for kind in (Source, Probe, Video):
        assert places(workspace, kind) == {("new", "a.mp4"), ("new", "b.mp4")}
    assert workspace.store.rows(Narration) == said
    assert [row.split for row in workspace.store.rows(Video)] == [row.split for row in old]
    assert "moved" not in frames(workspace, new)


def test_another_video_of_the_same_name_has_not_moved(
    workspace: Workspace, videos: Path, walks: list[bytes]
) -> None:
    frames(workspace, videos)
    videos.rename(videos.with_name("away"))
    new = videos.with_name("card2")
    new.mkdir()
    size = (videos.with_name("away") / "a.mp4").stat().st_size
    (new / "a.mp4").write_bytes(walks[1][:size].ljust(size, b"\0"))
    told = frames(workspace, new)
    assert "moved" not in told
    assert {("videos", "a.mp4"), ("videos", "b.mp4"), ("card2", "a.mp4")} == places(
        workspace, Source
    )


def test_a_moved_folder_with_another_consent_is_reported(
    workspace: Workspace, videos: Path
) -> None:
    frames(workspace, videos)
    new = videos.with_name("new")
    videos.rename(new)
    (new / "manifest.csv").write_text("path,consent\na.mp4,release\n")
    assert "1 moved file with another consent than before: a.mp4" in frames(workspace, new)


def test_narrations_of_two_copies_are_not_doubled(workspace: Workspace, videos: Path) -> None:
    for name in ("a.mp4", "a.vtt"):
        shutil.copyfile(videos / name, videos / name.replace("a", "copy"))
    (videos / "copy.srt").write_text("1\n00:00:00,800 --> 00:00:00,900\nthe lamp\n")
    frames(workspace, videos)
    texts = [row.text for row in workspace.store.rows(Narration)]
    assert texts == ["the door & the sofa", "the lamp"]
    table = workspace.folder.tables / "narrations.parquet"
    import pyarrow.parquet as pq

    assert pq.read_table(table)["text"].to_pylist() == texts


def test_what_was_left_out_is_counted(workspace: Workspace, videos: Path) -> None:
    for name in ("one/@eaDir", "two/@eaDir", ".git"):
        (videos / name).mkdir(parents=True)
    (videos / "._a.mp4").touch()
    (videos / "a.en.vtt").write_text(DOOR)
    for name in ("notes.txt", "Manifest.CSV", "manifest.xlsx"):
        (videos / name).touch()
    told = take_in(workspace, [videos])
    assert told == [
        "3 hidden or system folders not searched: @eaDir (2 times), .git",
        "1 hidden video file skipped: ._a.mp4",
        "3 files not read: Manifest.CSV (save it as manifest.csv), a.en.vtt (a.vtt is read for a.mp4), "
        "manifest.xlsx (save it as manifest.csv)",
        "1 other file skipped: 1 .txt",
    ]


def test_the_language_of_the_drafts_chooses_the_narrations(
    workspace: Workspace, videos: Path
) -> None:
    for language in ("de", "en"):
        (videos / f"b.{language}.vtt").write_text(DOOR)
    take_in(workspace, [videos])
    assert {row.path: row.sidecars for row in workspace.store.rows(Source)}["b.mp4"] == ["b.en.vtt"]


def test_only_what_an_older_version_misread_is_read_again(
    workspace: Workspace, videos: Path
) -> None:
    (videos / "b.vtt").write_text("WEBVTT\n\n00:00.500 --> 00:00.900\nplain\n")
    frames(workspace, videos)
    (row,) = (row for row in workspace.store.rows(Narration) if row.text == "the door & the sofa")
    (source,) = (row for row in workspace.store.rows(Source) if row.path == "a.mp4")
    right = units(workspace)
    wrong = row.model_copy(update={"text": "the door &amp; the sofa"})
    (probe,) = (one for one in workspace.store.rows(Probe) if one.path == "a.mp4")
    store, key = workspace.store, right["ingest"][source.source_id]
    store.finish("ingest", source.source_id, key, "done", [probe, wrong])
    take_in(workspace, [])
    assert units(workspace) == right, "this version has looked at this workspace already"

    with store._db as database:
        database.execute("DELETE FROM notes WHERE name = 'sources_checked'")
    take_in(workspace, [])
    assert {
        unit for unit, key in units(workspace)["ingest"].items() if right["ingest"][unit] != key
    } == {source.source_id}
    frames(workspace)
    assert units(workspace) == right
    assert row in store.rows(Narration)
