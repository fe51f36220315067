import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numbered
import pytest

from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.rows import Rejection, Row, Rows
from pipeline.errors import MistakesError, RowError, UserError
from pipeline.sources.ingest import run
from pipeline.sources.rows import Consent, Narration, Probe, Source
from pipeline.sources.scan import Scan, scan
from pipeline.sources.settings import IngestSettings

SETTINGS = IngestSettings()


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A small real video of one second."""
    path = tmp_path_factory.mktemp("walk") / "walk.mp4"
    numbered.write(path, count=30)
    return path.read_bytes()


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    found = tmp_path / "videos"
    found.mkdir()
    return found


def found(*paths: Path, known: Iterable[Source] = (), consent: Consent = "local") -> Scan:
    return scan(paths, known, consent)


def names(of: Scan) -> set[str]:
    return {source.path for source in of.sources.values()}


def ingested(source: Source, folder: WorkspaceFolder) -> list[Row]:
    # Rows are stored as JSON, so a name that can't be encoded fails here.
    source = Source.model_validate_json(source.model_dump_json())
    rows = list(run(Rows({Source: (source,)}), SETTINGS, folder))
    return [type(row).model_validate_json(row.model_dump_json()) for row in rows]


def rejected(source: Source, folder: WorkspaceFolder) -> str:
    with pytest.raises(RowError) as told:
        ingested(source, folder)
    assert told.value.fix
    return told.value.what


def test_a_folder_is_searched_recursively(
    videos: Path, walk: bytes, folder: WorkspaceFolder
) -> None:
    (videos / "deep" / "er").mkdir(parents=True)
    for name in ("a.mp4", "deep/er/B.MP4"):
        (videos / name).write_bytes(walk)
    (videos / "notes.txt").touch()
    (videos / "manifest.csv").write_text("path,scene\na.mp4,office\n")
    (videos / "a.vtt").write_text("WEBVTT\n\n00:00.5 --> 00:00.9\nthe door\n")
    (videos / "stray.srt").touch()
    seen = found(videos)
    assert names(seen) == {"a.mp4", "deep/er/B.MP4"}
    assert {path.name for path in seen.skipped} == {"notes.txt", "stray.srt"}
    sources = {source.path: source for source in seen.sources.values()}
    assert sources["a.mp4"].scene == "office"
    probe, narration = ingested(sources["a.mp4"], folder)
    assert isinstance(probe, Probe)
    assert (probe.codec, probe.width, probe.height) == ("h264", *numbered.SIZE)
    assert probe.duration_us == pytest.approx(1_000_000, abs=40_000)
    assert isinstance(narration, Narration)
    assert (narration.video_id, narration.t_us, narration.text) == (
        probe.video_id, 500_000, "the door",
    )  # fmt: skip


def test_an_id_depends_on_the_content_not_on_the_name(
    videos: Path, walk: bytes, folder: WorkspaceFolder
) -> None:
    for name in ("a.mp4", "b.mp4"):
        (videos / name).write_bytes(walk)
    probes = [ingested(source, folder)[0] for source in found(videos).sources.values()]
    assert len({row.video_id for row in probes if isinstance(row, Probe)}) == 1


ODD_NAMES = [
    "it's \"quoted\".mp4", "two\nlines.mp4", "日本 🧭.mp4", "-rf.mp4", " .mp4", "a|b\\c.mp4",
    "e\u0301.mp4", "%20#?.mp4", "concat:x.mp4", "sep\u2028.mp4",
]  # fmt: skip


@pytest.mark.parametrize("name", ODD_NAMES)
def test_odd_names_are_ingested(
    videos: Path, walk: bytes, folder: WorkspaceFolder, name: str
) -> None:
    (videos / name).write_bytes(walk)
    (videos / name).with_suffix(".jsonl").write_text('{"time": 0.5, "text": "door"}')
    (source,) = found(videos).sources.values()
    assert source.path == name
    probe, narration = ingested(source, folder)
    assert isinstance(probe, Probe)
    assert isinstance(narration, Narration)


def test_a_name_that_is_not_utf_8_is_rejected(
    videos: Path, walk: bytes, folder: WorkspaceFolder
) -> None:
    raw = os.fsencode(videos) + b"/bad\xff"
    Path(os.fsdecode(raw + b".mp4")).write_bytes(walk)
    Path(os.fsdecode(raw + b".vtt")).write_text("WEBVTT\n")
    (source,) = found(videos).sources.values()
    assert source.path == "bad\\xff.mp4"
    assert "not UTF-8" in rejected(source, folder)


def test_a_folder_whose_name_is_not_utf_8_is_an_error(videos: Path, walk: bytes) -> None:
    odd = Path(os.fsdecode(os.fsencode(videos) + b"/odd\xff"))
    odd.mkdir()
    (odd / "a.mp4").write_bytes(walk)
    with pytest.raises(UserError, match="not UTF-8"):
        found(odd)


def test_files_that_are_not_videos_are_rejected(videos: Path, folder: WorkspaceFolder) -> None:
    (videos / "empty.mp4").touch()
    (videos / "text.mp4").write_text("this is text, not a video\n" * 40)
    (videos / "picture.mp4").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(500))
    (videos / "noise.mp4").write_bytes(bytes(range(256)) * 40)
    (videos / "folder.mp4").mkdir()
    (videos / "broken.mp4").symlink_to(videos / "nowhere.mp4")
    (videos / "loop.mp4").symlink_to(videos / "loop.mp4")
    told = {source.path: rejected(source, folder) for source in found(videos).sources.values()}
    assert "zero bytes" in told.pop("empty.mp4")
    assert "text file" in told.pop("text.mp4")
    assert "image" in told.pop("picture.mp4")
    assert "folder" in told.pop("folder.mp4")
    assert "broken symbolic link" in told.pop("broken.mp4")
    assert "broken symbolic link" in told.pop("loop.mp4")
    assert told.keys() == {"noise.mp4"}


def test_a_linked_folder_is_rejected_and_not_followed(
    videos: Path, walk: bytes, folder: WorkspaceFolder
) -> None:
    (videos / "a.mp4").write_bytes(walk)
    (videos / "round").symlink_to(videos)
    sources = {source.path: source for source in found(videos).sources.values()}
    assert sources.keys() == {"a.mp4", "round"}
    assert "a symbolic link to a folder" in rejected(sources["round"], folder)


def test_an_unreadable_file_is_rejected(videos: Path, walk: bytes, folder: WorkspaceFolder) -> None:
    file = videos / "shut.mp4"
    file.write_bytes(walk)
    file.chmod(0)
    if os.access(file, os.R_OK):
        pytest.skip("root can read all files")
    (source,) = found(videos).sources.values()
    assert "permission denied" in rejected(source, folder)


BROKEN = {
    "a.jsonl": '{"time": 1',
    "a.csv": "words\nx\n",
    "a.srt": "hello",
    "a.vtt": "WEBVTT\n\n09:00.000 --> 09:01.000\nlate\n",
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_sidecar_is_rejected_and_the_video_is_kept(
    videos: Path, walk: bytes, folder: WorkspaceFolder, name: str
) -> None:
    (videos / "a.mp4").write_bytes(walk)
    (videos / name).write_text(BROKEN[name])
    (source,) = found(videos).sources.values()
    probe, rejection = ingested(source, folder)
    assert isinstance(probe, Probe)
    assert isinstance(rejection, Rejection)
    assert rejection.unit == name
    assert rejection.what.startswith("narrations can't be read: ")


def test_a_sidecar_that_is_not_text_is_rejected(
    videos: Path, walk: bytes, folder: WorkspaceFolder
) -> None:
    (videos / "a.mp4").write_bytes(walk)
    (videos / "a.csv").write_bytes(b"time,text\n1,\x81\n")
    (source,) = found(videos).sources.values()
    assert [type(row) for row in ingested(source, folder)] == [Probe, Rejection]


def test_a_sidecar_that_is_not_utf_8_is_read_and_reported(
    videos: Path, walk: bytes, folder: WorkspaceFolder
) -> None:
    (videos / "a.mp4").write_bytes(walk)
    (videos / "a.csv").write_bytes("time,text\n1,Tür\n".encode("latin-1"))
    (source,) = found(videos).sources.values()
    _, rejection, narration = ingested(source, folder)
    assert isinstance(rejection, Rejection)
    assert rejection.what == "not UTF-8: read as Windows-1252"
    assert isinstance(narration, Narration)
    assert narration.text == "Tür"


def test_one_bad_line_loses_only_itself(videos: Path, walk: bytes, folder: WorkspaceFolder) -> None:
    (videos / "a.mp4").write_bytes(walk)
    lines = ["time,text", "0.1,a", "0:0x,b", "00:00:00:15,c", "9,late", "0.9,d"]
    (videos / "a.csv").write_text("\n".join(lines))
    (source,) = found(videos).sources.values()
    rows = ingested(source, folder)
    narrations = [(row.t_us, row.text) for row in rows if isinstance(row, Narration)]
    assert narrations == [(100_000, "a"), (500_000, "c"), (900_000, "d")]
    first, second = (row.what for row in rows if isinstance(row, Rejection))
    assert first == "not read: line 3: not a time: '0:0x'"
    assert second.startswith("not read: line 5: 9 s is after the end of the video at 1")


def test_of_very_many_bad_lines_the_first_are_reported(
    videos: Path, walk: bytes, folder: WorkspaceFolder
) -> None:
    (videos / "a.mp4").write_bytes(walk)
    (videos / "a.csv").write_text("time,text\n0,a\n" + "x,y\n" * 500)
    (source,) = found(videos).sources.values()
    told = [row.what for row in ingested(source, folder) if isinstance(row, Rejection)]
    assert len(told) == 21
    assert told[-1] == "not read: 480 more lines"


def test_narrations_have_distinct_keys_and_none_is_lost(
    videos: Path, walk: bytes, folder: WorkspaceFolder
) -> None:
    (videos / "a.mp4").write_bytes(walk)
    lines = ['{"time": 0.5, "landmark": "door"}', '{"time": 0.5, "action": "opens it"}']
    lines += ['{"time": 1.5, "text": "end"}', '{"time": 1.6, "text": "end"}']
    (videos / "a.jsonl").write_text("\n".join(lines))
    (source,) = found(videos).sources.values()
    said = [row for row in ingested(source, folder) if isinstance(row, Narration)]
    assert len({row.identity() for row in said}) == len(said)
    assert {row.landmark for row in said} == {None, "door"}
    assert {row.action for row in said} == {None, "opens it"}


def test_consent_comes_from_the_manifest_or_the_settings(videos: Path, walk: bytes) -> None:
    for name in ("a.mp4", "b.mp4"):
        (videos / name).write_bytes(walk)
    (videos / "manifest.csv").write_text("path,consent\na.mp4,release\n")
    seen = {s.path: s.consent for s in found(videos, consent="model").sources.values()}
    assert seen == {"a.mp4": "release", "b.mp4": "model"}


def test_a_changed_file_or_sidecar_is_detected(videos: Path, walk: bytes) -> None:
    (videos / "a.mp4").write_bytes(walk)
    first = found(videos).sources
    assert found(videos).sources == first
    (videos / "a.vtt").write_text("WEBVTT\n")
    second = found(videos).sources
    assert second.keys() == first.keys()
    assert second != first


def test_a_rescan_needs_no_path_and_keeps_what_is_not_mounted(videos: Path, walk: bytes) -> None:
    (videos / "a.mp4").write_bytes(walk)
    known = found(videos).sources
    assert found(known=known.values()).sources == known
    videos.rename(videos.with_name("elsewhere"))
    assert found(known=known.values()).sources == known


def test_one_file_and_its_folder_are_one_source(videos: Path, walk: bytes) -> None:
    (videos / "a.mp4").write_bytes(walk)
    (videos / "sub").mkdir()
    every = found(videos / "a.mp4", videos, videos / "sub" / "..").sources
    assert len(every) == 1


@pytest.mark.parametrize(("name", "what"), [("none", "no such file"), ("", "no video files")])
def test_a_path_without_videos_is_an_error(videos: Path, name: str, what: str) -> None:
    with pytest.raises(UserError, match=what):
        found(videos / name)


def test_a_folder_inside_a_known_one_gives_the_same_videos(videos: Path, walk: bytes) -> None:
    (videos / "sub").mkdir()
    (videos / "sub" / "a.mp4").write_bytes(walk)
    (videos / "manifest.csv").write_text("path,scene\nsub/a.mp4,office\n")
    inner = found(videos / "sub")
    assert names(inner) == {"a.mp4"}
    outer = found(videos, known=inner.sources.values())
    (source,) = outer.sources.values()
    assert (source.root, source.path, source.scene) == (str(videos), "sub/a.mp4", "office")
    assert set(outer.gone) == inner.sources.keys()
    again = found(videos / "sub", known=outer.sources.values())
    assert (again.sources, again.gone) == (outer.sources, ())


def test_a_manifest_applies_to_its_own_folder(videos: Path, walk: bytes) -> None:
    (videos / "sub" / "deep").mkdir(parents=True)
    for name in ("a.mp4", "sub/b.mp4", "sub/deep/c.mp4"):
        (videos / name).write_bytes(walk)
    (videos / "manifest.csv").write_text("path,scene\na.mp4,one\nsub/b.mp4,two\n")
    (videos / "sub" / "manifest.csv").write_text("path,scene\ndeep/c.mp4,three\n")
    seen = {source.path: source.scene for source in found(videos).sources.values()}
    assert seen == {"a.mp4": "one", "sub/b.mp4": "two", "sub/deep/c.mp4": "three"}
    (videos / "sub" / "manifest.csv").write_text("path,scene\nb.mp4,three\n")
    with pytest.raises(MistakesError, match=r"b\.mp4 is also described in"):
        found(videos)


def test_a_manifest_line_that_matches_no_video_is_an_error(videos: Path, walk: bytes) -> None:
    for name in ("a.mp4", "notes.txt", ".hidden.mp4"):
        (videos / name).write_bytes(walk)
    (videos / "manifest.csv").write_text("path\nnotes.txt\na.mp4\n.hidden.mp4\n")
    with pytest.raises(MistakesError) as told:
        found(videos)
    assert [error.where.rpartition(" ")[2] for error in told.value.errors] == ["2", "4"]
    assert names(found(videos / "a.mp4")) == {"a.mp4"}


def test_the_longest_name_and_capital_suffixes_are_read(
    videos: Path, walk: bytes, folder: WorkspaceFolder
) -> None:
    (videos / ("a" * 251 + ".mp4")).write_bytes(walk)
    (videos / "b.MP4").write_bytes(walk)
    (videos / "b.SRT").write_text("1\n00:00:00,100 --> 00:00:00,200\nHello\n")
    sources = {source.path[0]: source for source in found(videos).sources.values()}
    assert [type(row) for row in ingested(sources["a"], folder)] == [Probe]
    assert [type(row) for row in ingested(sources["b"], folder)] == [Probe, Narration]


def test_two_sidecars_with_the_same_narrations_give_each_once(
    videos: Path, walk: bytes, folder: WorkspaceFolder
) -> None:
    (videos / "a.mp4").write_bytes(walk)
    (videos / "a.srt").write_text("1\n00:00:00,500 --> 00:00:00,900\nthe door\n")
    (videos / "a.vtt").write_text("WEBVTT\n\n00:00.500 --> 00:00.900\nthe door\n")
    (source,) = found(videos).sources.values()
    assert [type(row) for row in ingested(source, folder)] == [Probe, Narration]


@pytest.mark.parametrize(
    ("how", "what"),
    [
        ({"count": 5}, "too short for a question"),
        ({"size": (640, 64)}, "640 x 64 pixels"),
        ({"times_ms": [0, 8000, 16000, 24000]}, "one frame every"),
    ],
)
def test_videos_that_show_no_route_are_rejected(
    videos: Path, folder: WorkspaceFolder, how: dict[str, Any], what: str
) -> None:
    numbered.write(videos / "a.mp4", **{"count": 30, **how})
    (source,) = found(videos).sources.values()
    assert what in rejected(source, folder)
