"""The contents of a report, read from a workspace: funnel, plots, and every clip with its pairs."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.rows import Finding, Rejection
from pipeline.engine.store import Store
from pipeline.motion.heading_curve import Mark, heading_curve
from pipeline.motion.rows import Clip, Frame, Heading, Turn
from pipeline.questions.rows import Item, Span, Stratum
from pipeline.releases.plots import Plot, blind_bars
from pipeline.releases.publish import versions
from pipeline.releases.reading import open_release
from pipeline.report.asked import AskedClip, by_clip, facts_shown
from pipeline.report.figures import TASK_ORDER, cost_bars, item_plots, people_plots
from pipeline.report.film import chosen
from pipeline.report.refused import by_reason
from pipeline.review.counted import Counted
from pipeline.review.rows import Verdict
from pipeline.review.settings import ReviewSettings
from pipeline.routes.rows import Route, Step
from pipeline.sources.rows import Source, Video

# Of the heading curve, in tenths of a pixel; the page shows it about 1,100 px wide.
_WIDTH, _LEADERS = 10_000, 200
_TALL, _FLAT = 1500, 1000  # height with turns, and without


@dataclass(frozen=True)
class Loss:
    """The units dropped for one reason, and how to fix it."""

    count: int
    why: str
    units: tuple[str, ...] = ()
    fix: str = ""


@dataclass(frozen=True)
class Level:
    """One level of the funnel: how many units reached it, and what was dropped before it."""

    name: str
    count: int
    note: str = ""
    losses: tuple[Loss, ...] = ()

    @property
    def lost(self) -> int:
        """Return how many units were dropped before this level."""
        return sum(loss.count for loss in self.losses)


@dataclass(frozen=True)
class Thumbnail:
    """One keyframe of a clip: its file, its clip time, and the reason it was kept."""

    path: Path
    at_us: int
    reason: str


@dataclass(frozen=True)
class ClipCard:
    """One clip of the gallery; `start_us` and the rows are in video time."""

    clip_id: str
    video: str
    split: str
    scene: str
    start_us: int
    length_us: int
    origin: str
    frames: Sequence[Thumbnail]
    heading: Heading | None
    turns: Sequence[Turn]
    steps: Sequence[Step]
    descriptions: tuple[str, str]
    items: Sequence[Mapping[str, Any]]
    verdicts: Sequence[Mapping[str, Any]] = ()
    findings: Sequence[tuple[str, str, str]] = ()
    spans: Sequence[Mark] = ()

    def as_json(self) -> dict[str, Any]:
        """Return what the page's script needs; times are clip time in seconds."""
        stills = [self.frames[position] for position in chosen(len(self.frames))]
        return {
            "id": self.clip_id,
            "video": self.video,
            "split": self.split,
            "scene": self.scene,
            "start": self.start_us / 1e6,
            "length": self.length_us / 1e6,
            "origin": self.origin,
            "stills": [
                [still.at_us / 1e6, still.reason, self._turn_at(still.at_us)] for still in stills
            ],
            "steps": [
                [(step.start_us - self.start_us) / 1e6, step.move, step.landmark, step.action]
                for step in self.steps
            ],
            "descriptions": list(self.descriptions),
            "spans": [
                [
                    (span.start_us - self.start_us) / 1e6,
                    (span.end_us - self.start_us) / 1e6,
                    span.label,
                ]
                for span in self.spans
            ],
            "items": list(self.items),
            "verdicts": list(self.verdicts),
            "findings": [list(finding) for finding in self.findings],
        }

    def curve(self) -> str:
        """Return the heading curve as SVG; empty if neither heading nor turns are known."""
        if self.heading is None and not self.turns:
            return ""
        return heading_curve(
            self.start_us,
            self.start_us + self.length_us,
            self.heading,
            self.turns,
            [self.start_us + self.frames[position].at_us for position in chosen(len(self.frames))],
            width=_WIDTH,
            height=_TALL if self.turns else _FLAT,
            leaders=_LEADERS,
            marks=self.spans,
        )

    def _turn_at(self, clip_us: int) -> str:
        """Return the kind of the turn during which a frame was seen, or nothing."""
        time_us = self.start_us + clip_us
        inside = (t for t in self.turns if t.moving and t.start_us <= time_us <= t.end_us)
        return next((turn.kind for turn in inside), "")


@dataclass(frozen=True)
class Gallery:
    """The contents of one page; `cells` tell what could be asked."""

    title: str
    subtitle: str
    notices: Sequence[str]
    funnel: Sequence[Level]
    plots: Sequence[Plot]
    clips: Sequence[ClipCard]
    cells: Sequence[Stratum] = ()


def gallery_of(
    store: Store, folder: WorkspaceFolder, review: ReviewSettings, notices: Sequence[str] = ()
) -> Gallery:
    """Return the contents of a workspace's report; `review` decides which verdicts count."""
    videos = {video.video_id: video for video in store.rows(Video)}
    routes = {
        route.clip_id: route for route in store.rows(Route)
    }  # verified routes come last and replace drafts
    items, verdicts, turns = store.rows(Item), store.rows(Verdict), store.rows(Turn)
    frames, headings = by_clip(store.rows(Frame)), by_clip(store.rows(Heading))
    counted = Counted.of(verdicts, review, folder)
    turns_by_clip, verdicts_by_clip = by_clip(turns), by_clip(verdicts)
    items_by_clip, spans_by_clip = by_clip(items), by_clip(store.rows(Span))
    findings = defaultdict(list)
    for finding in store.rows(Finding):
        findings[finding.unit].append(finding)
    clips = []
    for clip in store.rows(Clip):
        video, route = videos[clip.video_id], routes.get(clip.clip_id)
        own = sorted(items_by_clip[clip.clip_id], key=lambda item: TASK_ORDER.get(item.task, 99))
        asked = AskedClip(
            clip, video, route, spans_by_clip[clip.clip_id], own, turns_by_clip[clip.clip_id]
        )
        remarks = [*findings[clip.clip_id], *(f for item in own for f in findings[item.item_id])]
        clips.append(
            ClipCard(
                clip_id=clip.clip_id,
                video=video.path,
                split=video.split,
                scene=video.scene or "",
                start_us=clip.start_us,
                length_us=clip.end_us - clip.start_us,
                origin=route.origin if route else "",
                frames=[
                    Thumbnail(
                        folder.media_path(frame.media),
                        frame.t_us - clip.start_us,
                        frame.brief_reason,
                    )
                    for frame in frames[clip.clip_id]
                ],
                heading=next(iter(headings[clip.clip_id]), None),
                turns=turns_by_clip[clip.clip_id],
                steps=route.steps if route else (),
                descriptions=(route.forward_description, route.reverse_description)
                if route
                else ("", ""),
                items=[_item(item, asked) for item in own],
                spans=asked.marks(),
                verdicts=[_verdict(one) for one in verdicts_by_clip[clip.clip_id]],
                findings=[(remark.severity, remark.kind, remark.message) for remark in remarks],
            )
        )
    minutes = sum(video.duration_us for video in videos.values()) / 60e6
    return Gallery(
        title=folder.root.resolve().name,
        subtitle=f"workspace: {len(videos)} videos, {minutes:.0f} min, {len(clips)} clips, {len(items)} pairs",
        notices=notices,
        funnel=_funnel(store, videos, clips, routes, items, _judges(store, counted)),
        plots=[
            *item_plots(
                [item for clip in clips for item in clip.items],
                [clip.length_us for clip in clips],
                turns,
            ),
            *people_plots(verdicts, counted),
            *cost_bars(
                (route.model or route.provider, route.cost_usd) for route in routes.values()
            ),
            *_blind_plots(folder),
        ],
        clips=clips,
        cells=store.rows(Stratum),
    )


def _item(item: Item, asked: AskedClip) -> dict[str, Any]:
    return {
        "id": item.item_id,
        "task": item.task,
        "question": item.question,
        "options": item.options,
        "right": item.answer_index,
        "answer": item.answer_text,
        "status": item.status,
        "why": item.status_reason or "",
        "contrast": item.contrast or "",
        "span": asked.number(item),
        "twin": item.twin or "",
        "facts": facts_shown(item.facts, asked.visible(item)),
    }


def _verdict(one: Verdict) -> dict[str, Any]:
    return {
        "who": one.annotator,
        "by": one.by,
        "verdict": one.verdict,
        "kind": one.kind,
        "reasons": one.reasons,
        "seconds": round(one.seconds),
    }


# ---- the funnel ----------------------------------------------------------------------------------


def _funnel(
    store: Store,
    videos: Mapping[str, Video],
    clips: Sequence[ClipCard],
    routes: Mapping[str, Route],
    items: Sequence[Item],
    judges: str,
) -> list[Level]:
    lost: defaultdict[str, list[Rejection]] = defaultdict(list)
    for rejection in store.rows(Rejection):
        lost[rejection.stage].append(rejection)
    verified = sum(route.origin == "verified" for route in routes.values())
    kept = [item for item in items if item.status != "set_aside"]
    aside = Counter(
        item.status_reason or "set aside" for item in items if item.status == "set_aside"
    )
    allowed = [item for item in kept if videos[item.video_id].consent == "release"]
    pairs = len({item.twin or (item.clip_id, item.category) for item in kept})
    levels = [
        Level("files", len(store.rows(Source)), "found in the given folders"),
        Level(
            "videos", len(videos), "readable, duplicates removed", _losses(lost, "ingest", "split")
        ),
        Level("clips", len(clips), "parts of videos, one route each", _losses(lost, "frames")),
        Level("routes", len(routes), "drafted", _losses(lost, "draft")),
        Level("verified routes", verified, judges, _losses(lost, "push", "review")),
        Level(
            "pairs",
            len(kept),
            f"{pairs} questions, forward and reverse",
            (
                *_losses(lost, "compose", "check"),
                *(Loss(count, f"set aside: {why}") for why, count in aside.most_common()),
            ),
        ),
        Level(
            "releasable",
            len(allowed),
            f"with consent to release; {sum(item.status == 'verified' for item in allowed)} verified",
            (Loss(len(kept) - len(allowed), "pairs without consent to release"),)
            if len(kept) > len(allowed)
            else (),
        ),
    ]
    rest = _losses(lost, *list(lost))
    return (
        [*levels, Level("other stages", sum(loss.count for loss in rest), "", rest)]
        if rest
        else levels
    )


def _judges(store: Store, counted: Counted) -> str:
    """Return how many routes were verified by people, and how many by scripts alone."""
    judged: defaultdict[str, set[str]] = defaultdict(set)
    for (clip_id, _), by in counted.verified_by(store.rows(Route)).items():
        judged[clip_id] |= by
    people = sum("person" in by for by in judged.values())
    counts = [f"{people} by people"] if people or not judged else []
    counts += [f"{len(judged) - people} by scripts alone"] if len(judged) > people else []
    return f"judged: {', '.join(counts)}"


def _losses(lost: dict[str, list[Rejection]], *stages: str) -> tuple[Loss, ...]:
    """Remove these stages from `lost` and return their rejections by reason, most frequent first."""
    found = [rejection for stage in stages for rejection in lost.pop(stage, [])]
    return tuple(Loss(len(one.units), one.what, one.units, one.fix) for one in by_reason(found))


def _blind_plots(folder: WorkspaceFolder) -> list[Plot]:
    """Return the newest release's blind-probe plots: running the probe again would take a minute."""
    known = versions(folder.releases)
    if not known:
        return []
    newest = open_release(known[-1])
    return blind_bars(newest.manifest["gates"], f"; as measured for {newest.version}")
