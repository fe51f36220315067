"""What the page of one route task shows: the task's data, field by field, as `annotations/route.xml` names them.

Whatever a model, a sidecar or a file name brought in is escaped: the page renders HTML.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from typing import Any
from xml.etree import ElementTree

from pipeline.assets import asset
from pipeline.engine.rows import Finding, Rows
from pipeline.errors import UserError
from pipeline.motion.heading_curve import heading_curve
from pipeline.motion.rows import Clip, Frame, Heading, Turn
from pipeline.routes import route, tasks, wording
from pipeline.routes.rows import Route, Step
from pipeline.sources.rows import Video
from pipeline.times import print_time
from pipeline.video import reviewclip

SEVERITIES = ("error", "warning", "info")
FIELDS = ("verdict", "reasons", "steps", "forward", "reverse", "note")
"""The controls that `pull` reads: every one has to be in the label config by this name."""


@dataclass(frozen=True)
class PageRows:
    """The rows that one clip's page is made of, and its language's words; frames and turns in time order."""

    clip: Clip
    video: Video
    draft: Route
    frames: Sequence[Frame]
    turns: Sequence[Turn]
    heading: Heading | None
    findings: Sequence[Finding]
    words: tasks.Words


def queue(rows: Rows) -> list[PageRows]:
    """Return what each page shows, the worst findings and then the least confident drafts first."""
    videos = {video.video_id: video for video in rows[Video]}
    clips = {clip.clip_id: clip for clip in rows[Clip]}
    headings = {heading.clip_id: heading for heading in rows[Heading]}
    frames: defaultdict[str, list[Frame]] = defaultdict(list)
    turns: defaultdict[str, list[Turn]] = defaultdict(list)
    findings: defaultdict[str, list[Finding]] = defaultdict(list)
    for frame in rows[Frame]:
        frames[frame.clip_id].append(frame)
    for turn in rows[Turn]:
        turns[turn.clip_id].append(turn)
    for doubt in rows[Finding]:
        findings[doubt.unit].append(doubt)
    drafts = [one for one in rows[Route] if one.origin == "draft" and one.clip_id in clips]
    # Once a push: looking for the file and reading it took a tenth of making a page.
    words = {name: wording.load(name).moves for name in {one.language for one in drafts}}
    shown = [
        PageRows(
            clip=clips[draft.clip_id],
            video=videos[clips[draft.clip_id].video_id],
            draft=draft,
            frames=frames[draft.clip_id],
            turns=turns[draft.clip_id],
            heading=headings.get(draft.clip_id),
            findings=findings[draft.clip_id],
            words=words[draft.language],
        )
        for draft in drafts
    ]
    shown.sort(key=_doubt)
    return shown


def _doubt(shown: PageRows) -> tuple[list[int], float, str]:
    found = [doubt.severity for doubt in shown.findings]
    worst_first = [-found.count(severity) for severity in ("error", "warning")]
    return worst_first, shown.draft.confidence, shown.clip.clip_id


def page(shown: PageRows, movie: str, at: Callable[[str], str], guidelines: str) -> dict[str, Any]:
    """Return a task's data, but for its round.

    `movie` is the media name of the review clip, `at(name)` where browsers find a media file,
    `guidelines` the version of the guidelines by which people judge.
    """
    clip, draft = shown.clip, shown.draft
    start = clip.start_us
    times = [frame.t_us for frame in shown.frames]
    curve = heading_curve(start, clip.end_us, shown.heading, shown.turns, times)
    return {
        "clip_id": clip.clip_id,
        "fingerprint": draft.fingerprint,
        "guideline_version": guidelines,
        "clip": at(movie),
        "fps": reviewclip.FPS,
        "frames": grid(shown.frames, start, at) + curve,
        "steps": route.print_lines(draft.steps, start),
        "forward": draft.forward_description,
        "reverse": draft.reverse_description,
        "answers": _answers(draft.steps, shown.words),
        "findings": _findings(shown.findings),
        "about": _about(shown),
        "start_us": start,
        "end_us": clip.end_us,
        "draft_steps": [dict(vars(step)) for step in draft.steps],
    }


def label_config() -> str:
    """Return `annotations/route.xml`; raise UserError if a control that pull reads is missing."""
    verdicts = {"verdict": ("accept", "corrected", "reject")}
    return checked_config("annotations/route.xml", verdicts, FIELDS)


def checked_config(name: str, choices: Mapping[str, Sequence[str]], fields: Sequence[str]) -> str:
    """Return a label config; raise UserError if a control or a choice that pull reads is missing."""
    path = asset(name)
    text = path.read_text(encoding="utf-8")
    try:
        tags = list(ElementTree.fromstring(text).iter())
    except ElementTree.ParseError as error:
        raise UserError(str(path), f"not valid XML: {error}", "mend that line") from error
    fix = "name the controls and their choices as the file in the package does"
    controls = {tag.get("name"): tag for tag in tags}
    missing = [field for field in fields if field not in controls]
    if missing:
        raise UserError(str(path), f"no control is named {', '.join(missing)}", fix)
    for control, wanted in choices.items():
        there = {tag.get("value") for tag in controls[control].iter("Choice")}
        lacking = [value for value in wanted if value not in there]
        if lacking:
            raise UserError(str(path), f"{control} has no choice {', '.join(lacking)}", fix)
    return text


def guideline_version() -> str:
    """Return the version that `annotations/guidelines.md` gives itself."""
    path = asset("annotations/guidelines.md")
    found = re.search(r"^Version (\S+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    if not found:
        raise UserError(str(path), "says no version", "add a line such as: Version 1.0")
    return found.group(1)


def _about(shown: PageRows) -> str:
    seconds = (shown.clip.end_us - shown.clip.start_us) / 1e6
    at = print_time(shown.clip.start_us)
    return f"{escape(shown.video.path)} from {at}, {seconds:.1f} s"


def grid(
    frames: Iterable[Frame], start_us: int, at: Callable[[str], str], *, why: bool = True
) -> str:
    """Return keyframes as HTML, with their clip times and, unless told otherwise, why each was kept."""
    cells = "".join(
        [
            _cell(
                escape(at(frame.media)),
                frame.t_us - start_us,
                _escaped(frame.reason) if why else "",
            )
            for frame in frames
        ]
    )
    return f"<div style='display:grid;grid-template-columns:repeat(8,minmax(0,1fr));gap:4px 5px'>{cells}</div>"


def _cell(source: str, time_us: int, why: str) -> str:
    return (
        f"<figure title='{why}'><img src='{source}' alt=''/>"
        f"<figcaption><b>{print_time(time_us)}</b> {why}</figcaption></figure>"
    )


_escaped = lru_cache(2**12)(escape)  # of reasons: there are few, and they stand at every keyframe


def _answers(steps: Sequence[Step], words: tasks.Words) -> str:
    """Show the answers that follow from the steps: what an error there would spoil."""
    told = tasks.RouteText(steps, words)
    rows = []
    for category in tasks.SQUARE_CATEGORIES:
        marks = told.of(category)
        if not marks and category != "direction":
            continue
        for orientation in tasks.ORIENTATIONS:
            answer = escape(tasks.render(marks, orientation)) or "no turns"
            rows.append(
                f"<tr><td style='color:#777;padding-right:10px;vertical-align:top;white-space:nowrap'>"
                f"{category}, {orientation}</td><td>{answer}</td></tr>"
            )
    return f"<table style='font-size:12px;line-height:16px'>{''.join(rows)}</table>"


def _findings(findings: Iterable[Finding]) -> str:
    colours = {"error": "#b3261e", "warning": "#9a6700", "info": "#555"}
    ranked = sorted(findings, key=lambda one: (SEVERITIES.index(one.severity), one.message))
    lines = "".join(
        f'<li style="color:{colours[one.severity]}">{escape(one.message)}</li>' for one in ranked
    )
    if not lines:
        return '<span style="font-size:12px;color:#777">nothing was found to doubt</span>'
    return f'<ul style="font-size:12px;line-height:17px;margin:0;padding-left:16px">{lines}</ul>'
