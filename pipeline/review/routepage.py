"""The page of one route task: the task's data, with the field names of `annotations/route.xml`.

Text from models, sidecar files and file names is escaped, because the page renders HTML.
"""

import re
from collections import Counter, defaultdict
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
from pipeline.review.rows import UNREADABLE
from pipeline.routes import route, tasks
from pipeline.routes.rows import Route, Step
from pipeline.sources.rows import Video
from pipeline.times import print_time
from pipeline.video import reviewclip

_SIDES = ("left", "right")
SEVERITIES = ("error", "warning", "info")
FIELDS = ("verdict", "reasons", "steps", "forward", "reverse", "note")
"""The names of the controls that `pull` reads; the label config must contain all of them."""


@dataclass(frozen=True)
class PageRows:
    """The rows that one clip's page is made of, frames and turns in time order."""

    clip: Clip
    video: Video
    draft: Route
    frames: Sequence[Frame]
    turns: Sequence[Turn]
    heading: Heading | None
    findings: Sequence[Finding]


def queue(rows: Rows) -> list[PageRows]:
    """Return what each page shows, clips with the worst findings first, then the least confident drafts."""
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
    for found in rows[Finding]:
        findings[found.unit].append(found)
    drafts = [one for one in rows[Route] if one.origin == "draft" and one.clip_id in clips]
    shown = [
        PageRows(
            clip=clips[draft.clip_id],
            video=videos[clips[draft.clip_id].video_id],
            draft=draft,
            frames=frames[draft.clip_id],
            turns=turns[draft.clip_id],
            heading=headings.get(draft.clip_id),
            findings=findings[draft.clip_id],
        )
        for draft in drafts
    ]
    shown.sort(key=_priority)
    return shown


def _priority(shown: PageRows) -> tuple[list[int], float, str]:
    severities = [found.severity for found in shown.findings]
    worst_first = [-severities.count(severity) for severity in ("error", "warning")]
    return worst_first, shown.draft.confidence, shown.clip.clip_id


def page(
    shown: PageRows, clip_name: str, media_url: Callable[[str], str], guidelines: str
) -> dict[str, Any]:
    """Return a task's data except for its round.

    `clip_name` is the media name of the review clip, `media_url(name)` the URL of a media file,
    `guidelines` the version of the guidelines.
    """
    clip, draft = shown.clip, shown.draft
    start = clip.start_us
    times = [frame.t_us for frame in shown.frames]
    curve = heading_curve(start, clip.end_us, shown.heading, shown.turns, times)
    return {
        "clip_id": clip.clip_id,
        "fingerprint": draft.fingerprint,
        "guideline_version": guidelines,
        "clip": media_url(clip_name),
        "fps": reviewclip.FPS,
        "frames": grid(shown.frames, start, media_url) + curve,
        "steps": route.print_lines(draft.steps, start),
        "forward": draft.forward_description,
        "reverse": draft.reverse_description,
        "answers": _facts(draft.steps, start),
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
        raise UserError(str(path), f"not valid XML: {error}", "correct that line") from error
    fix = "use the names of controls and choices of the original file in the package"
    controls = {tag.get("name"): tag for tag in tags}
    missing = [field for field in fields if field not in controls]
    if missing:
        raise UserError(str(path), f"no control is named {', '.join(missing)}", fix)
    for control, wanted in choices.items():
        found = {tag.get("value") for tag in controls[control].iter("Choice")}
        lacking = [value for value in wanted if value not in found]
        if lacking:
            raise UserError(str(path), f"{control} has no choice {', '.join(lacking)}", fix)
    return text


def guideline_version() -> str:
    """Return the version stated in `annotations/guidelines.md`."""
    path = asset("annotations/guidelines.md")
    found = re.search(r"^Version (\S+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    if not found:
        raise UserError(str(path), "states no version", "add a line such as: Version 1.0")
    return found.group(1)


def _about(shown: PageRows) -> str:
    seconds = (shown.clip.end_us - shown.clip.start_us) / 1e6
    return f"{escape(shown.video.path)} from {print_time(shown.clip.start_us)}, {seconds:.1f} s"


def grid(
    frames: Iterable[Frame],
    start_us: int,
    media_url: Callable[[str], str],
    *,
    reasons: bool = True,
) -> str:
    """Return keyframes as HTML with their times in the clip and, with `reasons`, why each was kept."""
    cells = "".join(
        [
            _cell(
                escape(media_url(frame.media)),
                frame.t_us - start_us,
                _escaped(frame.reason) if reasons else "",
            )
            for frame in frames
        ]
    )
    return f"<div style='display:grid;grid-template-columns:repeat(8,minmax(0,1fr));gap:4px 5px'>{cells}</div>"


def _cell(source: str, time_us: int, reason: str) -> str:
    return (
        f"<figure title='{reason}'><img src='{source}' alt=''/>"
        f"<figcaption><b>{print_time(time_us)}</b> {reason}</figcaption></figure>"
    )


_escaped = lru_cache(2**12)(escape)  # for reasons: few different ones, one per keyframe


def _facts(steps: Sequence[Step], start_us: int) -> str:
    """Return the facts that items may ask about, as an HTML table: they follow from the steps."""
    shown = route.canonical(steps)
    turns = [
        f"{number} {step.move} ({print_time(step.start_us - start_us)})"
        for number, step in enumerate((one for one in shown if one.move in _SIDES), start=1)
    ]
    names = {
        kind: [tasks.plain(name) for step in shown if (name := getattr(step, kind))]
        for kind in ("landmark", "action")
    }
    often = [
        name for found in names.values() for name, times in Counter(found).items() if times > 1
    ]
    rows = [
        _row("turns", ", ".join(turns) or "none to the left or right"),
        *(
            _row(f"{kind}s", escape(tasks.SEPARATOR.join(found)))
            for kind, found in names.items()
            if found
        ),
        _row(
            "repeated",
            f"{escape(', '.join(often))}: not asked about where its part of the clip has it twice",
        )
        if often
        else "",
        _row("items", "ask about the sides of turns and the order of two landmarks or two actions"),
    ]
    return f"<table style='font-size:12px;line-height:16px'>{''.join(rows)}</table>"


def _row(head: str, text: str) -> str:
    return (
        f"<tr><td style='color:#777;padding-right:10px;vertical-align:top;white-space:nowrap'>"
        f"{head}</td><td>{text}</td></tr>"
    )


def _findings(findings: Iterable[Finding]) -> str:
    """Return findings as HTML, except those about unreadable verdicts (see `with_returned`)."""
    colours = {"error": "#b3261e", "warning": "#9a6700", "info": "#555"}
    ranked = sorted(
        (one for one in findings if one.kind != UNREADABLE),
        key=lambda one: (SEVERITIES.index(one.severity), one.message),
    )
    lines = "".join(
        f'<li style="color:{colours[one.severity]}">{escape(one.message)}</li>' for one in ranked
    )
    if not lines:
        return '<span style="font-size:12px;color:#777">the automatic checks found nothing</span>'
    return f'<ul style="font-size:12px;line-height:17px;margin:0;padding-left:16px">{lines}</ul>'
