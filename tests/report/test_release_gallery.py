"""The report of a release: one card per span; releases of earlier versions have whole clips."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
from small_release import release, small_space

from pipeline.releases.layout import Evidence, QuestionRow
from pipeline.releases.reading import Released, open_release
from pipeline.report.gallery import Gallery
from pipeline.report.page import render
from pipeline.report.release_gallery import gallery_of_release

SHIFT = 100.0  # seconds: where the clips of the earlier release begin in their videos


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Released]:
    with small_space(tmp_path_factory.mktemp("released") / "workspace", clips=4) as space:
        yield open_release(release(space).folder)


@dataclass(frozen=True)
class Changed:
    """A release whose rows have been replaced."""

    released: Released
    rows: list[tuple[str, QuestionRow]]
    proofs: list[Evidence]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.released, name)

    def questions(self) -> list[tuple[str, QuestionRow]]:
        return self.rows

    def evidence(self) -> list[Evidence]:
        return self.proofs


def gallery(released: Released, questions: dict[str, Any], evidence: dict[str, Any]) -> Gallery:
    """Return the report's contents once these fields of all rows are replaced."""
    rows = [(split, row.model_copy(update=questions)) for split, row in released.questions()]
    proofs = [row.model_copy(update=evidence) for row in released.evidence()]
    return gallery_of_release(cast("Released", Changed(released, rows, proofs)))


def test_each_span_has_a_card_with_its_facts(released: Released) -> None:
    found = gallery_of_release(released)
    spans = {row.video for _, row in released.questions()}
    assert {card.video for card in found.clips} == spans
    assert f"{len(spans)} spans" in found.subtitle
    proofs = {row.id: row for row in released.evidence()}
    for card in found.clips:
        (mark,) = card.spans
        assert (mark.start_us, mark.end_us) == (card.start_us, card.start_us + card.length_us)
        for item in card.items:
            proof = proofs[item["id"]]
            assert (item["twin"], item["span"]) == (proof.twin, 1)
            assert [fact["name"] for fact in item["facts"]] == [fact.name for fact in proof.facts]
            assert [fact["seen"] for fact in item["facts"]] == proof.visible
    assert any(item["facts"] for card in found.clips for item in card.items)


def test_a_span_in_the_middle_of_a_video_has_its_steps_and_frames_in_place(
    released: Released,
) -> None:
    moved = {"span_start": 5.0, "span_end": 15.0, "mirrored": True}
    for card in gallery(released, {"start": 0.0, "end": 10.0}, moved).clips:
        assert (card.start_us, card.length_us) == (5_000_000, 10_000_000)
        assert [mark.label for mark in card.spans] == ["span, mirrored"]
        assert card.frames[0].at_us == 500_000  # rows count from the start of the span
        assert card.as_json()["steps"][1][0] == 0.0  # the evidence counts from that of the video


def test_a_release_of_an_earlier_version_is_shown_by_clip(
    released: Released, tmp_path: Path
) -> None:
    earlier = {"span_start": None, "span_end": None, "twin": None, "facts": [], "visible": []}
    times = [SHIFT + 1, SHIFT + 9]
    old = gallery(
        released,
        {
            "video": "walk.mp4", "video_sha256": "0" * 64, "start": SHIFT, "end": SHIFT + 20,
            "frames": ["frames/a.jpg", "frames/b.jpg"], "frame_seconds": times,
        },
        earlier,
    )  # fmt: skip
    (card,) = old.clips  # all rows have the same clip now
    assert "1 clips" in old.subtitle
    assert (card.start_us, card.length_us, card.spans) == (100_000_000, 20_000_000, [])
    assert [frame.at_us for frame in card.frames] == [1_000_000, 9_000_000]
    assert {item["span"] for item in card.items} == {0}
    assert "walk.mp4" in render(old, tmp_path)


def test_withheld_rows_have_no_evidence(released: Released) -> None:
    rows = [
        (split, row.model_copy(update={"answer": None, "answer_text": None}))
        for split, row in released.questions()
    ]
    found = gallery_of_release(cast("Released", Changed(released, rows, [])))
    assert len(found.clips) == len({row.video for _, row in rows})
    for card in found.clips:
        assert (card.start_us, list(card.spans), list(card.steps)) == (0, [], [])
        assert {item["status"] for item in card.items} == {"withheld"}
