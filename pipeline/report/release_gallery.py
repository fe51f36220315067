"""The contents of a report, read from a release alone: its manifest, rows and frames."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from pipeline.motion.heading_curve import Mark
from pipeline.motion.rows import Heading, Turn, TurnKind
from pipeline.releases.layout import GLANCE, LETTERS, Evidence, QuestionRow
from pipeline.releases.plots import blind_bars
from pipeline.releases.reading import Released
from pipeline.report.asked import facts_shown
from pipeline.report.figures import (
    TASK_ORDER,
    agreement_bars,
    cost_bars,
    human_bars,
    item_plots,
)
from pipeline.report.gallery import ClipCard, Gallery, Level, Loss, Thumbnail


def gallery_of_release(released: Released) -> Gallery:
    """Return the contents of a release's report; raise GateError if its files can't be read."""
    manifest = released.manifest
    evidence = {row.id: row for row in released.evidence()}
    # A withheld split has no evidence. In releases of earlier versions, clips share their video.
    rows: defaultdict[tuple[str, float, float], list[tuple[str, QuestionRow]]] = defaultdict(list)
    noun = "clips"
    for split, question in released.questions():
        noun = "clips" if question.video_sha256 else "spans"
        video = question.video_sha256 or question.video
        rows[video, question.start, question.end].append((split, question))
    clips = [_card(released, own, evidence) for _, own in sorted(rows.items())]
    total = sum(manifest["items"].values())
    splits = ", ".join(f"{count} {split}" for split, count in manifest["items"].items())
    left_out = tuple(Loss(count, f"items {why}") for why, count in manifest["left_out"].items())
    return Gallery(
        title=f"{manifest['dataset']} {released.version}",
        subtitle=f"release: {len(clips)} {noun}, {total} pairs ({splits})",
        notices=[
            f"{'Unproven' if gate.state == 'unproven' else 'Gate not met'}: {gate.name}: "
            f"{gate.figure}, required {gate.limit}."
            for gate in released.gates
            if gate.state != "met"
        ],
        funnel=[
            Level("videos", len(manifest["videos"]), "with clips in this release"),
            Level(noun, len(clips), f"{manifest['clips_judged_by_people']} clips judged by people"),
            Level("pairs", total, "released", left_out),
        ],
        plots=[
            *item_plots(
                [item for clip in clips for item in clip.items],
                [clip.length_us for clip in clips],
                [turn for clip in clips for turn in clip.turns],
                noun,
            ),
            *agreement_bars({name: one["percent"] for name, one in manifest["agreement"].items()}),
            *human_bars(manifest["human_accuracy"]),
            *cost_bars(_spent(evidence.values())),
            *blind_bars(manifest["gates"]),
        ],
        clips=clips,
    )


def _spent(evidence: Iterable[Evidence]) -> Iterator[tuple[str, float | None]]:
    """Return the model and cost of each reply once: the items of a clip share one reply."""
    replies = {row.reply_id: row for row in evidence if row.reply_id}
    return ((row.model or row.provider, row.cost_usd) for row in replies.values())


def _card(
    released: Released,
    rows: list[tuple[str, QuestionRow]],
    evidence: dict[str, Evidence],
) -> ClipCard:
    split, first = rows[0]
    own_evidence = evidence.get(first.id)
    length_us = round((first.end - first.start) * 1e6)
    start_us = round(first.start * 1e6)
    spans = []
    if own_evidence and own_evidence.span_start is not None:  # the rows count from the span's start
        start_us = round(own_evidence.span_start * 1e6)
        label = "span, mirrored" if own_evidence.mirrored else "span"
        spans = [Mark(start_us, start_us + length_us, label)]
    own = sorted(
        (question for _, question in rows), key=lambda row: TASK_ORDER.get(row.question_type, 99)
    )
    routes = {row.orientation: row.answer_text or "" for row in own if row.category == "route"}
    turns = _turns(own_evidence) if own_evidence else []
    return ClipCard(
        clip_id=own_evidence.clip_id if own_evidence else "",
        video=first.video,
        split=split,
        scene=first.scene_name or "",
        start_us=start_us,
        length_us=length_us,
        origin=own_evidence.status if own_evidence else "",
        frames=[
            Thumbnail(
                released.folder / name, round((at - first.start) * 1e6), "evenly spaced frame"
            )
            for name, at in zip(first.frames, first.frame_seconds, strict=True)
        ],
        heading=_heading(turns, start_us, start_us + length_us),
        turns=turns,
        steps=own_evidence.steps if own_evidence else (),
        descriptions=(routes.get("forward", ""), routes.get("reverse", "")),
        items=[_item(row, evidence.get(row.id)) for row in own],
        findings=[
            (severity, "finding", message)
            for severity, _, message in (
                text.partition(": ") for text in (own_evidence.findings if own_evidence else ())
            )
        ],
        spans=spans,
    )


def _turns(evidence: Evidence) -> list[Turn]:
    return [
        Turn(
            clip_id=evidence.clip_id,
            start_us=round(start * 1e6),
            end_us=round(end * 1e6),
            kind=_kind(kind, degrees),
            yaw_degrees=degrees,
            moving=kind != GLANCE,
            confidence=1.0,
        )
        for kind, start, end, degrees in zip(
            evidence.turn_kinds,
            evidence.turn_start,
            evidence.turn_end,
            evidence.turn_degrees,
            strict=True,
        )
    ]


def _kind(text: str, degrees: float) -> TurnKind:
    if text == GLANCE:
        return "left" if degrees > 0 else "right"
    return "left" if text == "left" else "right" if text == "right" else "around"


def _heading(turns: list[Turn], start_us: int, end_us: int) -> Heading | None:
    """Return the sum of the turns over time: a release doesn't contain the measured heading."""
    times, yaws = [start_us], [0.0]
    for turn in turns:
        times += [turn.start_us, turn.end_us]
        yaws += [yaws[-1], yaws[-1] + turn.yaw_degrees]
    if not turns:
        return None
    return Heading(clip_id=turns[0].clip_id, t_us=[*times, end_us], yaw_degrees=[*yaws, yaws[-1]])


def _item(row: QuestionRow, evidence: Evidence | None) -> dict[str, Any]:
    return {
        "id": row.id,
        "task": row.question_type,
        "question": row.question,
        "options": row.options,
        "right": None if row.answer is None else LETTERS.index(row.answer),
        "answer": row.answer_text or "",
        "status": evidence.status if evidence else "withheld",
        "why": "",
        "contrast": row.contrast or "",
        "span": int(evidence is not None and evidence.span_start is not None),
        "twin": (evidence.twin if evidence else None) or "",
        "facts": facts_shown(evidence.facts, evidence.visible) if evidence else [],
    }
