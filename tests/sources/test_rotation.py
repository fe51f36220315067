"""The manifest's rotation: what it changes, and what it leaves alone in a workspace without it."""

from pathlib import Path

import numbered
import odd_files
import pytest
from factories import probe, video

from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.rows import Rejection, Rows
from pipeline.engine.stage import SCAN
from pipeline.engine.store import Store
from pipeline.flow import STAGES
from pipeline.motion.rows import Clip
from pipeline.sources.ingest import run
from pipeline.sources.older import outdate_misread
from pipeline.sources.rows import Probe, Source, Video
from pipeline.sources.scan import scan
from pipeline.sources.settings import IngestSettings


def test_a_rotation_of_0_changes_no_key_and_any_other_does() -> None:
    for stage in STAGES:
        if stage.name in ("frames", "stills"):
            plain = stage.key("head", {Video: [video("a")], Clip: []})
            assert stage.key("head", {Video: [video("a", manifest_rotation=0)], Clip: []}) == plain
            assert stage.key("head", {Video: [video("a", manifest_rotation=90)], Clip: []}) != plain
            assert (
                stage.key("head", {Video: [video("a", conversion="mirrored")], Clip: []}) != plain
            )
    source = Source(source_id="s", root="/", path="a.mp4", bytes=1, mtime_ns=1)
    assert "rotation" not in source.as_key()
    assert '"rotation":180' in source.model_copy(update={"rotation": 180}).as_key()
    assert '"rotation":0' in source.model_dump_json(), "tables show it for every file"


def test_a_rotation_in_the_manifest_reaches_the_video(
    tmp_path: Path, folder: WorkspaceFolder
) -> None:
    numbered.write(tmp_path / "a.mp4", count=30)
    (tmp_path / "manifest.csv").write_text("path,rotation\na.mp4,270\n")
    (source,) = scan([tmp_path], (), "local").sources.values()
    (found,) = run(Rows({Source: (source,)}), IngestSettings(), folder)
    assert isinstance(found, Probe)
    assert (found.manifest_rotation, found.rotation) == (270, 0)
    assert (found.width, found.height) == (180, 320)


def test_a_second_track_is_reported_and_the_video_is_used(
    tmp_path: Path, folder: WorkspaceFolder
) -> None:
    odd_files.two_tracks(1, (640, 360))(tmp_path / "a.mkv")
    (source,) = scan([tmp_path / "a.mkv"], (), "local").sources.values()
    found, note = run(Rows({Source: (source,)}), IngestSettings(), folder)
    assert isinstance(found, Probe)
    assert isinstance(note, Rejection)
    assert (note.stage, note.unit) == ("ingest", "a.mkv")
    assert "2 video tracks" in note.what


@pytest.mark.parametrize("mirrored", [True, False])
def test_only_videos_that_an_older_version_mirrored_are_read_again(
    tmp_path: Path, store: Store, mirrored: bool
) -> None:
    path = tmp_path / "a.mp4"
    matrix = "-display_hflip:v" if mirrored else "-display_rotation:v"
    odd_files.oriented(lambda p: p, matrix, *([] if mirrored else ["180"]))(path)
    (source,) = scan([path], (), "local").sources.values()
    old = probe("a", root=source.root, path=source.path, rotation=180)
    store.finish(SCAN, source.source_id, "key", "done", [source])
    store.finish("ingest", source.source_id, "key", "done", [old])
    assert outdate_misread(store)
    assert store.keys("ingest") == {source.source_id: "" if mirrored else "key"}
