"""`egost repair`: copies take the place of refused files, with their fields, consent and narrations."""

import errno
import os
import resource
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import imageio_ffmpeg
import numbered
import pytest

from pipeline.cli.console import exit_code
from pipeline.cli.main import cli
from pipeline.engine.rows import Rejection
from pipeline.engine.workspace import Workspace
from pipeline.errors import RowError, UserError
from pipeline.flow import make_workspace, open_workspace
from pipeline.sources.intake import repair_files, take_in
from pipeline.sources.repaired import RepairedCopies, Repairs
from pipeline.sources.rows import Narration, Source, Video
from pipeline.video import reader, repair

UNEVEN_MS = [sum((17, 50, 33, 90, 8)[number % 5] for number in range(end)) for end in range(45)]
SETTINGS = {"run": {"workers": 1}, "frames": {"motion": False}}


def bare(path: Path, codec: str = "libx264", **options: str) -> Path:
    """Write an elementary stream: packets without times."""
    whole = path.with_name(f".whole-{path.stem}.mp4")
    numbered.write(whole, codec=codec, options={"bf": "2", "g": "30", **options})
    kind = {"libx264": "h264", "libx265": "hevc"}[codec]
    with av.open(str(whole)) as source, av.open(str(path), "w", format=kind) as target:
        (stream,) = source.streams.video
        copy = target.add_stream_from_template(stream)
        for packet in source.demux(stream):
            if packet.dts is not None:
                packet.stream = copy
                target.mux(packet)
    whole.unlink()
    return path


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    folder = tmp_path / "videos"
    (folder / "walks").mkdir(parents=True)
    bare(folder / "walks" / "a.h264")
    (folder / "walks" / "a.csv").write_text("time,text\n1.5,past the door\n")
    numbered.write(folder / "fine.mp4", count=30)
    (folder / "text.mp4").write_text("hello")
    manifest(folder, "model")
    return folder


def manifest(folder: Path, consent: str) -> None:
    line = f"walks/a.h264,office,anna,our lab,CC0,90,fisheye,test,{consent}"
    columns = "path,scene,wearer,source,licence,hfov_degrees,lens,split,consent"
    (folder / "manifest.csv").write_text(f"{columns}\n{line}\n")


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    make_workspace(tmp_path / "ws", SETTINGS)
    with open_workspace(tmp_path / "ws") as opened:
        yield opened


def scanned(workspace: Workspace, *paths: Path) -> list[Video]:
    take_in(workspace, paths)
    list(workspace.run(["ingest", "split"]))
    return workspace.store.rows(Video)


def repaired(
    workspace: Workspace, *files: Path, rate: Fraction | None = None
) -> tuple[str, list[str]]:
    count = Repairs()
    lines = list(repair_files(workspace, files, rate, count, lambda done, total: None))
    list(workspace.run(["ingest", "split"]))
    return str(count), lines


def numbers(video: Video) -> list[int]:
    frames = reader.frames(Path(video.root, video.path))
    return [numbered.read(frame.bgr(320)) for frame in frames]


def test_a_copy_takes_the_place_of_its_original(workspace: Workspace, videos: Path) -> None:
    original = videos / "walks" / "a.h264"
    before = original.read_bytes()
    assert [one.path for one in scanned(workspace, videos)] == ["fine.mp4"]
    (refused,) = (one for one in workspace.store.rows(Rejection) if one.unit == "walks/a.h264")
    assert "egost repair FILE" in refused.fix
    last, lines = repaired(workspace, original, videos / "fine.mp4", videos / "text.mp4")
    assert last == "repair: 3 files: 1 repaired, 1 needs no repair, 1 can't be repaired"
    assert lines[0].startswith("walks/a.h264: it has no duration and no timestamps")
    # It declares a time base of a millisecond in the place of a rate.
    assert "again at 30 frames per second, which is assumed (--fps sets another), 3.0 s" in lines[0]
    assert "text.mp4: can't be repaired: a text file" in lines[2]

    (copy,) = (one for one in workspace.store.rows(Video) if one.scene)
    assert (copy.path, copy.scene, copy.wearer, copy.source, copy.licence) == (
        "walks/a.h264.mp4", "office", "anna", "our lab", "CC0",
    )  # fmt: skip
    assert (copy.hfov_degrees, copy.lens, copy.split, copy.consent) == (90, "fisheye", "test", "model")  # fmt: skip
    assert Path(copy.root).is_relative_to(workspace.folder.root.absolute() / "repaired")
    assert numbers(copy) == list(range(90))
    assert [(one.t_us, one.text) for one in workspace.store.rows(Narration)] == [
        (1_500_000, "past the door")
    ]
    assert [one.unit for one in workspace.store.rows(Rejection)] == ["text.mp4"]
    assert original.read_bytes() == before

    file = Path(copy.root, copy.path)
    made = file.stat().st_mtime_ns
    again, (line, *_) = repaired(workspace, original)
    assert (again, line) == (
        "repair: 1 file: 0 repaired, 1 repaired earlier",
        "walks/a.h264: repaired earlier, and not changed since",
    )
    assert file.stat().st_mtime_ns == made
    assert len(scanned(workspace)) == len(scanned(workspace, videos)) == 2
    with pytest.raises(UserError, match="a repaired copy"):
        repaired(workspace, file)

    # A stricter consent of the original holds for the copy, whichever way it is found.
    for consent, paths in (("local", ()), ("release", (videos,)), ("local", (original,))):
        manifest(videos, consent)
        found = {one.path: one.consent for one in scanned(workspace, *paths)}
        assert found["walks/a.h264.mp4"] == consent

    # And so does that of another file with the same content.
    manifest(videos, "release")
    (videos / "again.h264").write_bytes(before)
    found = {one.path: one.consent for one in scanned(workspace, videos)}
    assert found["walks/a.h264.mp4"] == "local"
    (videos / "again.h264").unlink()

    # The copy goes with its original.
    original.unlink()
    (videos / "manifest.csv").unlink()
    assert [one.path for one in scanned(workspace, videos)] == ["fine.mp4"]
    assert not file.exists()
    assert not RepairedCopies(workspace.store)._copies


def test_a_changed_original_is_no_longer_replaced(workspace: Workspace, videos: Path) -> None:
    original = videos / "walks" / "a.h264"
    repaired(workspace, original, rate=Fraction(15))
    (copy,) = workspace.store.rows(Video)
    assert copy.duration_us == 6_000_000
    bare(original, g="10")
    assert scanned(workspace, original) == []
    assert not Path(copy.root, copy.path).exists()
    assert [one.path for one in workspace.store.rows(Source)] == [copy.path.removesuffix(".mp4")]
    assert repaired(workspace, original)[0] == "repair: 1 file: 1 repaired"


def test_a_killed_repair_leaves_nothing_that_is_used(
    workspace: Workspace, videos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(self: RepairedCopies, copy: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(RepairedCopies, "add", killed)
        with pytest.raises(KeyboardInterrupt):
            repaired(workspace, videos / "walks" / "a.h264")
    assert [one.path for one in scanned(workspace, videos)] == ["fine.mp4"]
    assert repaired(workspace, videos / "walks" / "a.h264")[0] == "repair: 1 file: 1 repaired"


def test_a_full_disk_ends_the_repair(workspace: Workspace, videos: Path) -> None:
    """A file-size limit simulates a full disk."""
    least, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, most))
    try:
        with pytest.raises(OSError, match=r"repaired\.mp4") as full:
            repair.repair(
                videos / "walks" / "a.h264",
                workspace.folder.root / "repaired.mp4",
                workspace.folder.root,
            )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (least, most))
    assert full.value.errno == errno.EFBIG


def test_the_command_ends_with_what_is_left_to_do(
    tmp_path: Path, videos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_workspace(tmp_path / "ws", SETTINGS)
    at = ["-w", str(tmp_path / "ws"), "repair"]
    assert exit_code(cli, [*at, str(videos / "text.mp4")]) == 2
    told = capsys.readouterr()
    assert told.out.endswith("repair: 1 file: 0 repaired, 1 can't be repaired\n")
    assert told.err.startswith("error: repair: 1 file can't be repaired")
    assert exit_code(cli, [*at, str(videos / "gone.mp4")]) == 2
    assert exit_code(cli, [*at, "--fps", "0", str(videos / "text.mp4")]) == 2
    assert "'0' is no frame rate" in capsys.readouterr().err


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """A stream of another shape, to be joined."""
    numbered.write(tmp_path / "other.ts", count=45, size=(320, 320), options={"g": "30"})
    return tmp_path / "other.ts"


def test_frames_of_several_shapes_are_brought_to_one(tmp_path: Path, other: Path) -> None:
    numbered.write(tmp_path / "one.ts", times_ms=UNEVEN_MS, options={"g": "30"})
    path = tmp_path / "a.ts"
    path.write_bytes((tmp_path / "one.ts").read_bytes() + other.read_bytes())
    why = repair.fault(path, tmp_path)
    assert why is not None
    assert "egost repair FILE" in why.fix
    did, info = repair.repair(path, tmp_path / "copy.mp4", tmp_path)
    assert (did, info.width, info.height) == ("encoded again", 320, 320)
    times = [frame.t_us for frame in reader.frames(tmp_path / "copy.mp4")]
    assert 87 <= len(times) <= 90, "where recordings join, ffmpeg lets some frames overlap"
    assert times[:45] == [frame.t_us for frame in reader.frames(tmp_path / "one.ts")]


def test_a_transport_stream_with_a_service_name_is_copied(tmp_path: Path) -> None:
    """The bundled ffmpeg crashes on one where it can load converters of character sets."""
    numbered.write(tmp_path / "a.ts")
    did, info = repair.repair(tmp_path / "a.ts", tmp_path / "copy.mp4", tmp_path)
    assert (did, round(info.duration_us, -4)) == ("copied into a new file", 3_000_000)


@pytest.mark.parametrize(
    ("name", "codec", "options", "rate"),
    [
        ("it's 50%02d.h264", "libx264", {"x264-params": "force-cfr=1:fps=25"}, 25),
        ("a.h265", "libx265", {"x265-params": "log-level=none:keyint=30:bframes=2"}, 30),
    ],
)
def test_bare_streams_of_any_name_get_times(
    tmp_path: Path, name: str, codec: str, options: dict[str, str], rate: int
) -> None:
    path = bare(tmp_path / name, codec, **options)
    did, info = repair.repair(path, tmp_path / "copy.mp4", tmp_path)
    assert did.startswith(f"encoded again at {rate} frames per second")
    assert info.duration_us == 90 * 1_000_000 // rate


@pytest.mark.parametrize(
    ("command", "how"), [("kill -SEGV $$", "was killed by SIGSEGV"), ("exit 3", "exited with 3")]
)
def test_how_ffmpeg_ended_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, how: str
) -> None:
    program = tmp_path / "ffmpeg"
    program.write_text(f"#!/bin/sh\necho broken >&2\n{command}\n")
    program.chmod(0o755)
    monkeypatch.setattr(imageio_ffmpeg, "get_ffmpeg_exe", lambda: os.fspath(program))
    path = bare(tmp_path / "a.h264")
    with pytest.raises(RowError, match=f"ffmpeg {how}: broken"):
        repair.repair(path, tmp_path / "copy.mp4", tmp_path)
