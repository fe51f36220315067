"""What a report shows, gathered from a release alone: its manifest, its rows, its frames."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from pipeline.motion.rows import Turn, TurnKind
from pipeline.releases.layout import GLANCE, LETTERS, Evidence, QuestionRow
from pipeline.releases.plots import blind_bars
from pipeline.releases.reading import Released
from pipeline.report.figures import (
    TASK_ORDER,
    agreement_bars,
    cost_bars,
    human_bars,
    item_plots,
)
from pipeline.report.gallery import ClipCard, Gallery, Level, Loss, Thumbnail


def gallery_of_release(released: Released) -> Gallery:
    """Gather a release; raise GateError where its files can't be read."""
    manifest = released.manifest
    evidence = {row.id: row for row in released.evidence()}
    # A withheld split has no evidence, so a clip is known by its span.
    rows: defaultdict[tuple[str, float, float], list[tuple[str, QuestionRow]]] = defaultdict(list)
    for split, question in released.questions():
        rows[question.video_sha256, question.start, question.end].append((split, question))
    clips = [_shown(released, own, evidence) for _, own in sorted(rows.items())]
    total = sum(manifest["items"].values())
    splits = ", ".join(f"{count} {split}" for split, count in manifest["items"].items())
    left_out = tuple(Loss(count, f"items {why}") for why, count in manifest["left_out"].items())
    return Gallery(
        title=f"{manifest['dataset']} {released.version}",
        subtitle=f"release: {len(clips)} clips, {total} pairs ({splits})",
        notices=[
            f"Gate not met: {gate['name']}: {gate['figure']}, wanted {gate['limit']}."
            for gate in manifest["gates"]
            if not gate["met"]
        ],
        funnel=[
            Level("videos", len(manifest["videos"]), "with clips in this release"),
            Level("clips", len(clips), f"{manifest['clips_judged_by_people']} judged by people"),
            Level("pairs", total, "released", left_out),
        ],
        plots=[
            *item_plots(
                [item for clip in clips for item in clip.items],
                [clip.length_us for clip in clips],
                [turn for clip in clips for turn in clip.turns],
            ),
            *agreement_bars({name: one["percent"] for name, one in manifest["agreement"].items()}),
            *human_bars(manifest["human_accuracy"]),
            *cost_bars(_spent(evidence.values())),
            *blind_bars(manifest["gates"]),
        ],
        clips=clips,
    )


def _spent(evidence: Iterable[Evidence]) -> Iterator[tuple[str, float | None]]:
    """Yield the model and the cost of each reply once: the items of a clip share it."""
    replies = {row.reply_id: row for row in evidence if row.reply_id}
    return ((row.model or row.provider, row.cost_usd) for row in replies.values())


def _shown(
    released: Released,
    rows: list[tuple[str, QuestionRow]],
    evidence: dict[str, Evidence],
) -> ClipCard:
    split, first = rows[0]
    behind = evidence.get(first.id)
    start_us = round(first.start * 1e6)
    own = sorted(
        (question for _, question in rows), key=lambda row: TASK_ORDER.get(row.question_type, 99)
    )
    told = {row.orientation: row.answer_text or "" for row in own if row.category == "route"}
    turns = _turns(behind) if behind else []
    return ClipCard(
        clip_id=behind.clip_id if behind else "",
        video=first.video,
        split=split,
        scene=first.scene_name or "",
        start_us=start_us,
        length_us=round(first.end * 1e6) - start_us,
        origin=behind.status if behind else "",
        frames=[
            Thumbnail(
                released.folder / name, round(at * 1e6) - start_us, "one of equally distant frames"
            )
            for name, at in zip(first.frames, first.frame_seconds, strict=True)
        ],
        heading=_heading(turns, start_us),
        turns=turns,
        steps=behind.steps if behind else (),
        descriptions=(told.get("forward", ""), told.get("reverse", "")),
        items=[_item(row, evidence.get(row.id)) for row in own],
        findings=[
            (severity, "finding", message)
            for severity, _, message in (
                text.partition(": ") for text in (behind.findings if behind else ())
            )
        ],
    )


def _turns(behind: Evidence) -> list[Turn]:
    return [
        Turn(
            clip_id=behind.clip_id,
            start_us=round(start * 1e6),
            end_us=round(end * 1e6),
            kind=_kind(kind, degrees),
            yaw_degrees=degrees,
            moving=kind != GLANCE,
            confidence=1.0,
        )
        for kind, start, end, degrees in zip(
            behind.turn_kinds, behind.turn_start, behind.turn_end, behind.turn_degrees, strict=True
        )
    ]


def _kind(text: str, degrees: float) -> TurnKind:
    if text == GLANCE:
        return "left" if degrees > 0 else "right"
    return "left" if text == "left" else "right" if text == "right" else "around"


def _heading(turns: list[Turn], start_us: int) -> list[tuple[int, float]]:
    """Return the heading that the turns add up to; a release holds no measured curve."""
    points, yaw = [(0, 0.0)], 0.0
    for turn in turns:
        points.append((turn.start_us - start_us, yaw))
        yaw += turn.yaw_degrees
        points.append((turn.end_us - start_us, yaw))
    return points if turns else []


def _item(row: QuestionRow, behind: Evidence | None) -> dict[str, Any]:
    return {
        "id": row.id,
        "task": row.question_type,
        "question": row.question,
        "options": row.options,
        "right": None if row.answer is None else LETTERS.index(row.answer),
        "answer": row.answer_text or "",
        "status": behind.status if behind else "withheld",
        "why": "",
        "contrast": row.contrast or "",
    }
