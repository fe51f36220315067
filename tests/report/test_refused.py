"""Rejections by reason, and how `egost rejections` lists them."""

from pathlib import Path

import factories
import pytest

from pipeline.cli.console import exit_code
from pipeline.cli.main import cli
from pipeline.engine.rows import Rejection, Row
from pipeline.flow import make_workspace, open_workspace
from pipeline.report.refused import by_reason

NARRATE, COPY = "narrations with an action column", "copy the file again"


def refused(stage: str, unit: str, what: str, fix: str = COPY) -> Rejection:
    return Rejection(stage=stage, unit=unit, what=what, fix=fix)


QUESTIONS = [
    refused("compose", f"c_{n}", f"no action items: {n} actions", NARRATE) for n in range(9)
]
FAILURES = [
    refused("draft", "c_7", "the server sent status 500", "run it again"),
    refused("ingest", "b.mp4", "zero bytes"),
    refused("frames", "d.mp4", "damaged at 3.4 s and 5.1 s; the rest is kept"),
    refused("frames", "e.mp4", "damaged at 12.0 s; the rest is kept"),
    refused("frames", "f.mp4", "damaged at 9 s; the rest is kept"),
    refused("split", "x copy.mp4", "same content as x.mp4"),
    refused("split", "z copy.mp4", "same content as z.mp4"),
]


def test_failures_come_first_and_one_reason_is_one_group_whatever_the_numbers() -> None:
    groups = by_reason([*QUESTIONS, *FAILURES], ["ingest", "split", "frames", "draft", "compose"])
    assert [(one.stage, len(one.units), one.failed) for one in groups] == [
        ("ingest", 1, True),
        ("split", 2, True),
        ("frames", 2, True),
        ("frames", 1, True),
        ("draft", 1, True),
        ("compose", 9, False),
    ]
    assert groups[2].what == "damaged at 12.0 s; the rest is kept"
    assert groups[2].units == ("e.mp4", "f.mp4")


def test_another_fix_is_another_group_and_each_is_its_own() -> None:
    other = refused("compose", "c_99", "no action items: 3 actions", "a model (draft.provider)")
    assert [len(one.units) for one in by_reason([*QUESTIONS, other])] == [9, 1]
    alone = by_reason([*QUESTIONS, other], each=True)
    assert sorted(one.units for one in alone) == sorted((row.unit,) for row in (*QUESTIONS, other))


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    root = tmp_path / "w"
    make_workspace(root)
    rows: list[Row] = [factories.video("a"), factories.clip("a"), *QUESTIONS, *FAILURES]
    rows += [
        refused("compose", "c_a", "no landmark items: none"),
        refused("frames", "a.mp4", "dark"),
    ]
    with open_workspace(root) as opened:
        opened.store.finish("frames", "all", "k", "done", rows)
    return root


def listed(workspace: Path, capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    assert exit_code(cli, ["-w", str(workspace), "rejections", *words]) == 0
    return capsys.readouterr().out.splitlines()


def test_reasons_are_listed_with_counts_examples_and_one_fix(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = listed(workspace, capsys)
    assert lines[0] == "ingest: b.mp4: zero bytes"
    begin = lines.index("compose: no action items: 0 actions")
    assert lines[begin + 1 : begin + 3] == [
        "  9 of this kind: c_0, c_1, c_2 and 6 more",
        f"  fix: {NARRATE}",
    ]
    assert [line.split(":")[0] for line in lines if not line.startswith(" ")] == [
        *(
            "ingest",
            "split",
            "frames",
            "frames",
            "frames",
            "draft",
            "compose",
            "compose",
            "rejections",
        )
    ]
    assert lines[-1] == "rejections: 18 (failed or refused: 8, questions not asked: 10)"


def test_each_one_is_listed_on_request(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = listed(workspace, capsys, "--all")
    assert sum(line.startswith("compose: c_") for line in lines) == 10
    assert len(lines) == 2 * 18 + 1


def test_those_of_a_video_include_those_of_its_clips(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    by_path = listed(workspace, capsys, factories.video("a").path)
    assert by_path == [
        "frames: a.mp4: dark",
        f"  fix: {COPY}",
        "compose: c_a: no landmark items: none",
        f"  fix: {COPY}",
        "rejections: 2 (failed or refused: 1, questions not asked: 1)",
    ]
    assert listed(workspace, capsys, "c_3")[0] == "compose: c_3: no action items: 3 actions"
    assert listed(workspace, capsys, "nothing") == ["rejections: none"]
