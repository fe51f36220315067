"""The output of `egost frames`, `show` and `status`, run as a user would."""

import errno
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numbered
import pytest

from pipeline.cli.console import exit_code
from pipeline.cli.main import cli


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two short videos, one of them with control characters in its name."""
    root = tmp_path_factory.mktemp("glance")
    (root / "videos").mkdir()
    numbered.write(root / "videos" / "a.mp4", count=20)
    numbered.write(root / "videos" / "b\n$x^{$日本.mp4", count=25)
    (root / "videos" / "e\x1b[31m.mp4").touch()
    return root


def test_a_run_prints_turns_and_the_paths_of_pictures(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["-w", str(folder / "workspace"), "frames", str(folder / "videos")]
    assert exit_code(cli, words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "a.mp4 0:00.0 to 0:00.7: no turns" in lines
    assert any(line.startswith("b\\n$x^{$日本.mp4 0:00.0 to") for line in lines)
    drawn = [Path(line.removeprefix("  picture: ")) for line in lines if "picture:" in line]
    assert len(drawn) == 2
    assert all(path.suffix == ".svg" and ElementTree.parse(path) for path in drawn)
    assert "field of view: unknown for 2 of 2 videos" in lines[-1]

    assert exit_code(cli, words) == 0
    again = capsys.readouterr().out
    assert "picture" not in again
    assert again.count("nothing new") == 3

    assert exit_code(cli, ["-w", str(folder / "workspace"), "show", "a.mp4"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[-2] == "a.mp4 0:00.0 to 0:00.7: no turns"
    assert Path(shown[-1].removeprefix("picture: ")) in drawn

    assert exit_code(cli, [*words, "--set", "frames.motion=false"]) == 0
    assert "a.mp4 0:00.0 to 0:00.7: motion not measured" in capsys.readouterr().out

    assert exit_code(cli, ["-w", str(folder / "workspace"), "status"]) == 0
    assert "rejections: 1 (egost rejections lists the reasons)" in capsys.readouterr().out
    assert exit_code(cli, ["-w", str(folder / "workspace"), "rejections"]) == 0
    assert "ingest: e\\x1b[31m.mp4: zero bytes\n  fix: " in capsys.readouterr().out


def test_in_a_folder_that_cannot_be_written_rows_are_shown_without_pictures(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert exit_code(cli, ["-w", str(folder / "workspace"), "frames", str(folder / "videos")]) == 0
    capsys.readouterr()

    def refuse(path: Path, *_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    monkeypatch.setattr(Path, "write_text", refuse)
    assert exit_code(cli, ["-w", str(folder / "workspace"), "show", "a.mp4"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2].startswith("a.mp4 0:00.0 to 0:00.7: ")
    pictures = folder / "workspace" / "pictures"
    assert lines[-1] == f"picture: not drawn: {pictures} can't be written"


def test_a_run_with_nothing_to_do_loads_no_large_library(folder: Path) -> None:
    words = ["-w", str(folder / "workspace"), "frames", str(folder / "videos")]
    assert exit_code(cli, words) == 0
    code = (
        "import sys; from pipeline.cli.main import cli; from pipeline.cli.console import exit_code\n"
        f"assert exit_code(cli, {words}) == 0\n"
        "print(sorted({'av', 'cv2', 'httpx', 'jinja2', 'numpy', 'openai', 'pyarrow'} & sys.modules.keys()))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lines = ran.stdout.splitlines()
    assert "frames: 2 videos: nothing new, 2 kept" in lines
    assert lines[-1] == "[]"


@pytest.mark.parametrize("manifest", [b"path,scene\nx.mp4,a\n", b"path;scene\na.mp4;x\n", b"\xff"])
def test_a_wrong_manifest_is_an_error_and_creates_no_workspace(
    tmp_path: Path, manifest: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.mp4").touch()
    (tmp_path / "manifest.csv").write_bytes(manifest)
    workspace = tmp_path / "workspace"
    assert exit_code(cli, ["-w", str(workspace), "frames", str(tmp_path)]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith(f"error: {tmp_path}/manifest.csv, line ")
    assert second.startswith("  fix: ")
    assert not workspace.exists()


def test_an_incomplete_workspace_is_completed(tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    numbered.write(tmp_path / "videos" / "a.mp4", count=20)
    (tmp_path / "workspace" / "media").mkdir(parents=True)
    (tmp_path / "workspace" / "secret").write_bytes(b"drawn before the kill")
    words = ["-w", str(tmp_path / "workspace"), "frames", str(tmp_path / "videos")]
    assert exit_code(cli, words) == 0
    assert (tmp_path / "workspace" / "secret").read_bytes() == b"drawn before the kill"
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").touch()
    assert exit_code(cli, ["-w", str(tmp_path / "other"), "frames", str(tmp_path / "videos")]) == 2


def test_a_workspace_inside_the_videos_is_not_searched(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    numbered.write(tmp_path / "a.mp4", count=20)
    words = ["-w", str(tmp_path / "workspace"), "frames", str(tmp_path)]
    assert exit_code(cli, words) == 0
    (tmp_path / "workspace" / "media" / "clip.mp4").write_bytes((tmp_path / "a.mp4").read_bytes())
    capsys.readouterr()
    assert exit_code(cli, words) == 0
    assert "ingest: 1 file: nothing new, 1 kept" in capsys.readouterr().out
