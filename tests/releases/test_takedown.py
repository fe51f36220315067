"""A video that is taken down is in no later version; withheld answers are never released."""

import json
import stat
from pathlib import Path

import polars as pl
import pytest
from small_release import fill, release, small_space

from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.workspace import Workspace
from pipeline.errors import UserError
from pipeline.questions.rows import Item
from pipeline.releases.reading import open_release
from pipeline.releases.spanmap import ReleasedSpan, map_path, record, released_spans
from pipeline.releases.takedown import take_video_down
from pipeline.releases.verify import verify
from pipeline.report.gallery import gallery_of
from pipeline.report.page import render
from pipeline.report.release_gallery import gallery_of_release
from pipeline.review.settings import ReviewSettings
from pipeline.sources.rows import Video


def ids(folder: Path) -> set[str]:
    return {row.id for _, row in open_release(folder).questions()}


def first_video(space: Workspace) -> tuple[Video, set[str]]:
    row = space.store.rows(Video)[0]
    return row, {item.item_id for item in space.store.rows(Item) if item.video_id == row.video_id}


@pytest.mark.parametrize("withhold", [[], ["test"]])
def test_the_next_version_has_the_other_rows_and_nothing_new(
    tmp_path: Path, withhold: list[str]
) -> None:
    with small_space(tmp_path / "workspace") as space:
        before = release(space, "1.0.0", withhold=withhold)
        row, gone = first_video(space)
        fill(space, 6)  # rows added to the workspace since are not released
        done = take_video_down(space.folder, row.path)
    assert done.release is not None
    assert done.release.folder.name == "v2.0.0"
    assert done.removed == len(gone)
    assert done.still_in == ("v1.0.0",)
    assert ids(done.release.folder) == ids(before.folder) - gone
    text = (done.release.folder / "CHANGES.md").read_text(encoding="utf-8")
    assert all(f"- `{unit}`: of a video that was taken down" in text for unit in gone)
    manifest = json.loads((done.release.folder / "manifest.json").read_text(encoding="utf-8"))
    assert row.sha256 not in json.dumps(manifest["videos"])
    assert manifest["left_out"] == {"of a video that was taken down": len(gone)}
    frames = {
        name for _, row in open_release(done.release.folder).questions() for name in row.frames
    }
    kept = {
        path.relative_to(done.release.folder).as_posix()
        for path in (done.release.folder / "frames").glob("*/*")
    }
    assert kept == frames
    verify(done.release.folder, done.release.root_digest)
    verify(before.folder, before.root_digest)


def test_no_later_export_contains_the_video(tmp_path: Path) -> None:
    with small_space(tmp_path / "workspace") as space:
        release(space, "1.0.0")
        row, gone = first_video(space)
        take_video_down(space.folder, row.sha256)
        later = release(space, "2.0.1")
    assert not ids(later.folder) & gone
    assert "Videos taken down: 1; no further version" in (later.folder / "README.md").read_text(
        encoding="utf-8"
    )


def test_a_video_is_found_by_the_id_of_a_span(tmp_path: Path) -> None:
    """Others know no more of a video than its spans in a release."""
    with small_space(tmp_path / "workspace") as space:
        first = release(space, "1.0.0").folder
        row, gone = first_video(space)
        (span_id,) = {one.video for _, one in open_release(first).questions() if one.id in gone}
        done = take_video_down(space.folder, span_id)
    assert done.path == row.path
    assert done.release is not None
    assert ids(first) - ids(done.release.folder) == gone
    known = [one for one in released_spans(space.folder) if one.version == "2.0.0"]
    assert {one.span_id for one in known} == {
        one.video for _, one in open_release(done.release.folder).questions()
    }
    assert row.sha256 not in {one.video_sha256 for one in known}


@pytest.mark.parametrize("map_is", ["there", "lost", "damaged"])
def test_spans_are_found_after_their_clips_were_cut_anew(
    tmp_path: Path, map_is: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither the workspace's spans nor, if the map is lost, more than the evidence is needed."""
    with small_space(tmp_path / "workspace") as space:
        first = release(space, "1.0.0").folder
        row, gone = first_video(space)
        space.store.finish("compose", "all", "edited", "done", [])
        path = map_path(space.folder)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        if map_is == "lost":
            path.unlink()
        elif map_is == "damaged":
            path.write_bytes(path.read_bytes()[:-9])
            with pytest.raises(UserError, match=r"spans.jsonl: can't be read"):
                take_video_down(space.folder, row.sha256)
            return
        done = take_video_down(space.folder, row.sha256)
    assert done.release is not None
    assert ids(first) - ids(done.release.folder) == gone
    assert ("has no spans of 1.0.0" in caplog.text) == (map_is == "lost")


def test_the_map_keeps_every_version_and_no_line_twice(tmp_path: Path) -> None:
    folder = WorkspaceFolder(tmp_path)
    one = ReleasedSpan(
        version="1.0.0", span_id="s_1", clip_id="c_1", video_sha256="0" * 64, start_us=0, end_us=9,
        mirrored=False,
    )  # fmt: skip
    later = one.model_copy(update={"version": "1.1.0", "mirrored": True})
    for spans in ([one], [one], [one, later], []):
        record(folder, spans)
    assert released_spans(folder) == [one, later]
    assert len(map_path(folder).read_text().splitlines()) == 2


def test_a_video_that_no_release_contains_is_an_error(tmp_path: Path) -> None:
    with small_space(tmp_path / "workspace", clips=1) as space:
        release(space, "1.0.0")
        with pytest.raises(UserError, match="contains this video"):
            take_video_down(space.folder, "elsewhere.mp4")


def test_a_release_of_one_video_is_withdrawn_not_replaced(tmp_path: Path) -> None:
    with small_space(tmp_path / "workspace", clips=1) as space:
        release(space, "1.0.0")
        with pytest.raises(UserError, match="no item of this release would remain"):
            take_video_down(space.folder, first_video(space)[0].path)
        assert [path.name for path in space.folder.releases.iterdir()] == ["v1.0.0"]
        with pytest.raises(UserError, match="there is nothing to release"):
            release(space, "1.0.1")


def test_withheld_answers_are_nowhere_in_the_release(tmp_path: Path) -> None:
    with small_space(tmp_path / "workspace", clips=8) as space:
        made = release(space, "1.0.0", withhold=["test"])
        items = {item.item_id: item for item in space.store.rows(Item)}
        page = render(gallery_of_release(open_release(made.folder)), tmp_path)
        assert len(gallery_of(space.store, space.folder, ReviewSettings()).clips) == 8
    assert made.sealed is not None
    asked = pl.read_parquet(made.folder / "data" / "test-*.parquet")
    for name in ("answer", "answer_text", "ground_truth"):
        assert asked[name].null_count() == asked.height > 0
    assert not list((made.folder / "evidence").glob("test-*"))
    table = (made.folder / "adapters" / "vlmevalkit" / "egost.tsv").read_text(encoding="utf-8")
    assert {line.split("\t")[4] for line in table.splitlines()[1:]} == {""}
    told = "Walk number"  # the start of every route description, which is an answer
    texts = [
        path for path in made.folder.rglob("*") if path.suffix in (".md", ".json", ".tsv", ".yaml")
    ]
    assert len(texts) > 5
    test_clips = {items[unit].answer_text for unit in asked["id"] if items[unit].format == "open"}
    for path in texts:
        found = path.read_text(encoding="utf-8")
        assert not any(answer in found for answer in test_clips), path
    assert told in "".join(test_clips)
    assert not any(f'"{answer}"' in page for answer in test_clips)

    answers = pl.read_parquet(made.sealed / "data" / "test-*.parquet")
    assert {row["id"]: row["answer_text"] for row in answers.iter_rows(named=True)} == {
        unit: items[unit].answer_text for unit in asked["id"]
    }
    assert stat.S_IMODE(made.sealed.parent.stat().st_mode) == 0o700
    manifest = json.loads((made.folder / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["withheld"] == ["test"]
    found = verify(made.folder, made.root_digest)
    assert found.items == len(items)


def test_a_failed_gate_stays_after_a_take_down(tmp_path: Path) -> None:
    with small_space(tmp_path / "workspace", clips=8) as space:
        first = release(space, "1.0.0", min_audited=120)
        done = take_video_down(space.folder, space.store.rows(Video)[0].sha256)
        again = take_video_down(space.folder, space.store.rows(Video)[1].sha256)
    names = [gate.name for gate in first.gates]
    for made in (done.release, again.release):
        assert made is not None
        told = {gate["name"]: gate for gate in open_release(made.folder).manifest["gates"]}
        assert list(told) == names
        assert not told["audit"]["met"]
        assert (
            told["audit"]["figure"]
            == "flawed items in the sample: none of none; as measured for 1.0.0"
        )
        card = (made.folder / "README.md").read_text(encoding="utf-8")
        assert "**Gate not met: audit:**" in card
        assert verify(made.folder, made.root_digest).admitted == ("audit",)
