"""Turns are measured from a release's frames once, and again where what was kept can't be used."""

import json
import threading
from pathlib import Path

import pytest

from pipeline.evaluate import odometry
from pipeline.evaluate.turn_cache import Frames, kept_turns
from pipeline.releases.reading import SUMS

SPANS: dict[str, Frames] = {"s_1": (("a.jpg", "b.jpg"), (0.5, 1.5)), "s_2": (("c.jpg",), (0.5,))}
TURNS = {"s_1": ("left", "around"), "s_2": ()}


@pytest.fixture
def release(tmp_path: Path) -> Path:
    (tmp_path / SUMS).write_text("0 README.md\n")
    return tmp_path


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The first frame of each span that is measured, as it is measured."""
    found: list[str] = []

    def turns_shown(paths: tuple[Path, ...], seconds: tuple[float, ...]) -> tuple[str, ...] | None:
        found.append(paths[0].name)
        return {"a.jpg": ("left", "around"), "c.jpg": ()}.get(paths[0].name)

    monkeypatch.setattr(odometry, "turns_shown", turns_shown)
    return found


def test_turns_are_measured_once(release: Path, measured: list[str], cache: Path) -> None:
    before = {*release.iterdir()}
    assert kept_turns(release, SPANS) == TURNS
    assert kept_turns(release, SPANS) == TURNS
    assert measured == ["a.jpg", "c.jpg"]
    assert {*release.iterdir()} == before  # a release is never written to
    assert len(list(cache.rglob("*.json"))) == 1


def test_another_release_version_or_time_is_measured(
    release: Path, measured: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept_turns(release, SPANS)
    measured.clear()
    kept_turns(release, {"s_1": (("a.jpg", "b.jpg"), (0.5, 2.5))})
    assert measured == ["a.jpg"]
    (release / SUMS).write_text("1 README.md\n")
    kept_turns(release, SPANS)
    monkeypatch.setattr(odometry, "VERSION", "next")
    kept_turns(release, SPANS)
    assert measured == ["a.jpg", *["a.jpg", "c.jpg"] * 2]


def test_frames_that_are_missing_are_looked_for_again(release: Path, measured: list[str]) -> None:
    gone: dict[str, Frames] = {"s_3": (("gone.jpg",), (0.5,))}
    assert kept_turns(release, gone) == kept_turns(release, gone) == {"s_3": None}
    assert measured == ["gone.jpg"] * 2


@pytest.mark.parametrize(
    "damaged", [b"", b"\xff\xfe", b"[1]", b"{", b'{"x": 3}', b'{"x": ["up"]}', b'{"x": [[]]}']
)
def test_a_damaged_cache_is_measured_again(
    release: Path, measured: list[str], cache: Path, damaged: bytes
) -> None:
    kept_turns(release, SPANS)
    (path,) = cache.rglob("*.json")
    whole = path.read_bytes()
    path.write_bytes(damaged)
    assert kept_turns(release, SPANS) == TURNS
    assert path.read_bytes() == whole
    assert measured == ["a.jpg", "c.jpg"] * 2


def test_without_a_cache_that_can_be_written_turns_are_measured_each_time(
    release: Path, measured: list[str], cache: Path
) -> None:
    cache.rmdir()
    cache.write_text("a file where the folder should be")
    assert kept_turns(release, SPANS) == kept_turns(release, SPANS) == TURNS
    assert measured == ["a.jpg", "c.jpg"] * 2


def test_what_was_measured_before_an_interruption_is_kept(
    release: Path, measured: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = odometry.turns_shown

    def interrupted(paths: tuple[Path, ...], seconds: tuple[float, ...]) -> object:
        if paths[0].name == "c.jpg":
            raise KeyboardInterrupt
        return first(paths, seconds)

    monkeypatch.setattr(odometry, "turns_shown", interrupted)
    with pytest.raises(KeyboardInterrupt):
        kept_turns(release, SPANS)
    monkeypatch.setattr(odometry, "turns_shown", first)
    assert kept_turns(release, SPANS) == TURNS
    assert measured == ["a.jpg", "c.jpg"]


def test_commands_at_once_leave_a_whole_file(
    release: Path, measured: list[str], cache: Path
) -> None:
    threads = [threading.Thread(target=kept_turns, args=(release, SPANS)) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    (path,) = cache.rglob("*.json")
    assert len(json.loads(path.read_text())) == 2
