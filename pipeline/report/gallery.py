"""What a report shows, gathered from a workspace: the funnel, the plots, and every clip with its pairs."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.rows import Finding, Rejection
from pipeline.engine.store import Store
from pipeline.motion.rows import Clip, Frame, Heading, Turn
from pipeline.questions.rows import Item
from pipeline.releases.gates import judged_by
from pipeline.releases.plots import Plot, blind_bars
from pipeline.releases.publish import versions
from pipeline.releases.reading import open_release
from pipeline.report.figures import TASK_ORDER, cost_bars, item_plots, people_plots
from pipeline.report.film import chosen
from pipeline.review.rows import Verdict
from pipeline.routes.rows import Route, Step
from pipeline.sources.rows import Source, Video

_POINTS = 90  # of a heading curve: one every 8 pixels where it is drawn widest


@dataclass(frozen=True)
class Loss:
    """How many were lost on the way for one reason, which they are, and what mends it."""

    count: int
    why: str
    units: tuple[str, ...] = ()
    fix: str = ""


@dataclass(frozen=True)
class Level:
    """One level of the funnel: how many got there, and what was lost on the way to it."""

    name: str
    count: int
    note: str = ""
    losses: tuple[Loss, ...] = ()

    @property
    def lost(self) -> int:
        """Return how many were lost on the way here."""
        return sum(loss.count for loss in self.losses)


@dataclass(frozen=True)
class Thumbnail:
    """One picture of a clip: where it lies, when it was seen (clip time), why it was kept."""

    path: Path
    at_us: int
    reason: str


@dataclass(frozen=True)
class ClipCard:
    """One clip as the gallery shows it; times are clip time, in microseconds until they are shown."""

    clip_id: str
    video: str
    split: str
    scene: str
    start_us: int
    length_us: int
    origin: str
    frames: Sequence[Thumbnail]
    heading: Sequence[tuple[int, float]]
    turns: Sequence[Turn]
    steps: Sequence[Step]
    descriptions: tuple[str, str]
    items: Sequence[Mapping[str, Any]]
    verdicts: Sequence[Mapping[str, Any]] = ()
    findings: Sequence[tuple[str, str, str]] = ()

    def as_json(self) -> dict[str, Any]:
        """Return what the page's script needs, in seconds and with short names: there may be thousands."""
        stills = [self.frames[position] for position in chosen(len(self.frames))]
        return {
            "id": self.clip_id,
            "video": self.video,
            "split": self.split,
            "scene": self.scene,
            "start": self.start_us / 1e6,
            "length": self.length_us / 1e6,
            "origin": self.origin,
            "stills": [[still.at_us / 1e6, still.reason] for still in stills],
            "yaw": [[round(at / 1e6, 2), round(degrees, 1)] for at, degrees in self.heading],
            "turns": [
                [
                    (turn.start_us - self.start_us) / 1e6,
                    (turn.end_us - self.start_us) / 1e6,
                    turn.kind if turn.moving else "glance",
                    round(turn.yaw_degrees),
                ]
                for turn in self.turns
            ],
            "steps": [
                [(step.start_us - self.start_us) / 1e6, step.move, step.landmark, step.action]
                for step in self.steps
            ],
            "told": list(self.descriptions),
            "items": list(self.items),
            "verdicts": list(self.verdicts),
            "findings": [list(finding) for finding in self.findings],
        }


@dataclass(frozen=True)
class Gallery:
    """All that one page shows."""

    title: str
    subtitle: str
    notices: Sequence[str]
    funnel: Sequence[Level]
    plots: Sequence[Plot]
    clips: Sequence[ClipCard]


def gallery_of(store: Store, folder: WorkspaceFolder, notices: Sequence[str] = ()) -> Gallery:
    """Gather a workspace."""
    videos = {video.video_id: video for video in store.rows(Video)}
    routes = {route.clip_id: route for route in store.rows(Route)}  # verified ones come last
    items, verdicts, turns = store.rows(Item), store.rows(Verdict), store.rows(Turn)
    frames, headings = by_clip(store.rows(Frame)), by_clip(store.rows(Heading))
    turns_by_clip, verdicts_by_clip = by_clip(turns), by_clip(verdicts)
    items_by_clip = by_clip(items)
    findings = defaultdict(list)
    for finding in store.rows(Finding):
        findings[finding.unit].append(finding)
    clips = []
    for clip in store.rows(Clip):
        video, route = videos[clip.video_id], routes.get(clip.clip_id)
        own = sorted(items_by_clip[clip.clip_id], key=lambda item: TASK_ORDER.get(item.task, 99))
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
                heading=_thinned(headings[clip.clip_id], clip),
                turns=turns_by_clip[clip.clip_id],
                steps=route.steps if route else (),
                descriptions=(route.forward_description, route.reverse_description)
                if route
                else ("", ""),
                items=[_item(item) for item in own],
                verdicts=[_verdict(one) for one in verdicts_by_clip[clip.clip_id]],
                findings=[(remark.severity, remark.kind, remark.message) for remark in remarks],
            )
        )
    minutes = sum(video.duration_us for video in videos.values()) / 60e6
    return Gallery(
        title=folder.root.resolve().name,
        subtitle=f"workspace: {len(videos)} videos, {minutes:.0f} minutes, {len(clips)} clips, {len(items)} pairs",
        notices=notices,
        funnel=_funnel(store, videos, clips, routes, items),
        plots=[
            *item_plots(
                [item for clip in clips for item in clip.items],
                [clip.length_us for clip in clips],
                turns,
            ),
            *people_plots(verdicts),
            *cost_bars(
                (route.model or route.provider, route.cost_usd) for route in routes.values()
            ),
            *_blind_plots(folder),
        ],
        clips=clips,
    )


def by_clip(rows: Iterable[Any]) -> defaultdict[str, list[Any]]:
    """Return rows by the clip they belong to."""
    groups: defaultdict[str, list[Any]] = defaultdict(list)
    for row in rows:
        groups[row.clip_id].append(row)
    return groups


def _thinned(headings: Sequence[Heading], clip: Clip) -> list[tuple[int, float]]:
    if not headings:
        return []
    (heading,) = headings
    points = list(zip(heading.t_us, heading.yaw_degrees, strict=True))
    step = max(len(points) / _POINTS, 1.0)
    kept = [points[int(number * step)] for number in range(int(len(points) / step))]
    if points and kept[-1] != points[-1]:
        kept.append(points[-1])
    return [(at - clip.start_us, degrees) for at, degrees in kept]


def _item(item: Item) -> dict[str, Any]:
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
    pairs = len({(item.clip_id, item.category) for item in kept})
    levels = [
        Level("files", len(store.rows(Source)), "found in the folders that were named"),
        Level("videos", len(videos), "readable, each content once", _told(lost, "ingest", "split")),
        Level("clips", len(clips), "spans that are asked about", _told(lost, "frames")),
        Level("routes", len(routes), "drafted", _told(lost, "draft")),
        Level("verified routes", verified, _judges(store), _told(lost, "push", "review")),
        Level(
            "pairs",
            len(kept),
            f"{pairs} times forward and reverse",
            (
                *_told(lost, "compose", "check"),
                *(Loss(count, f"set aside: {why}") for why, count in aside.most_common()),
            ),
        ),
        Level(
            "releasable",
            len(allowed),
            f"consent given; {sum(item.status == 'verified' for item in allowed)} of them verified",
            (Loss(len(kept) - len(allowed), "pairs without consent to release"),)
            if len(kept) > len(allowed)
            else (),
        ),
    ]
    rest = _told(lost, *list(lost))
    return (
        [*levels, Level("elsewhere", sum(loss.count for loss in rest), "", rest)]
        if rest
        else levels
    )


def _judges(store: Store) -> str:
    """Return who accepted or corrected routes: a script is no person."""
    judged = judged_by(store.rows(Route), store.rows(Verdict)).values()
    people = sum("person" in by for by in judged)
    told = [f"{people} by people"] if people or not judged else []
    told += [f"{len(judged) - people} by scripts alone"] if len(judged) > people else []
    return f"judged: {', '.join(told)}"


def _told(lost: dict[str, list[Rejection]], *stages: str) -> tuple[Loss, ...]:
    """Take the rejections of these stages and group them by reason, the most frequent first."""
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for stage in stages:
        for rejection in lost.pop(stage, []):
            groups[rejection.what, rejection.fix].append(rejection.unit)
    return tuple(
        Loss(len(units), what, tuple(units), fix)
        for (what, fix), units in sorted(groups.items(), key=lambda pair: (-len(pair[1]), pair[0]))
    )


def _blind_plots(folder: WorkspaceFolder) -> list[Plot]:
    """Show what the newest release measured: probing anew would take a minute."""
    known = versions(folder.releases)
    if not known:
        return []
    newest = open_release(known[-1])
    return blind_bars(newest.manifest["gates"], f"; as measured for {newest.version}")
