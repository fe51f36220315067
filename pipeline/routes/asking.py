"""What a model is sent about a clip: keyframes with their times, measured turns, narrations."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import Any, TypeVar

from pydantic import BaseModel

from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.rows import Rows
from pipeline.errors import RowError
from pipeline.models.chat import Message, PromptImage, json_schema
from pipeline.models.estimate import Estimate
from pipeline.models.estimate import estimate as estimated
from pipeline.models.llm import ModelRequest, no_model
from pipeline.models.settings import ModelSettings
from pipeline.models.wire import on_loopback
from pipeline.motion.rows import Clip, Frame, Turn
from pipeline.routes import templates
from pipeline.routes.settings import DraftSettings
from pipeline.sources.rows import Narration, Video

Reply = TypeVar("Reply", bound=BaseModel)
Requests = Callable[[Rows], Iterable[ModelRequest[Any]]]
"""What a stage asks a model about a clip."""


def narrations_of(rows: Rows) -> tuple[Narration, ...]:
    """Return the narrations within the clip, including one at the very end of the video.

    Two copies of a video have the same narrations twice; duplicates are dropped.
    """
    clip, video = rows.one(Clip), rows.one(Video)
    end_us = clip.end_us + (clip.end_us >= video.duration_us)
    distinct = {
        (n.t_us, n.text, n.landmark, n.action, n.undo): n
        for n in rows[Narration]
        if clip.start_us <= n.t_us < end_us
    }
    return tuple(distinct.values())


def may_send(video: Video, settings: ModelSettings) -> bool:
    """Return whether a video's frames may be sent to this server."""
    return video.consent != "local" or on_loopback(settings.base_url)


def refuse_to_send(video: Video, settings: ModelSettings) -> None:
    """Raise RowError for a video that must stay on this machine."""
    if not may_send(video, settings):
        raise RowError(
            f"{video.path} must stay on this machine (consent = local), and {settings.base_url} is another machine",
            "if the people shown agree, set consent = model in the video's line of manifest.csv,"
            ' or consent = "model" under [ingest] in egost.toml',
        )


def estimate(
    units: Iterable[Rows],
    settings: DraftSettings,
    folder: WorkspaceFolder,
    requests: Requests,
    *,
    batch: bool = False,
) -> Estimate:
    """Return what asking `requests` about these clips would take; nothing is sent.

    Videos that must stay on this machine are counted only. Raises UserError if no model is set.
    """
    if not settings.model:
        raise no_model(settings)
    units = list(units)
    allowed = [rows for rows in units if may_send(rows.one(Video), settings)]
    asked = (request for rows in allowed for request in requests(rows))
    return estimated(asked, settings, folder, withheld=len(units) - len(allowed), batch=batch)


def digest_of(texts: Iterable[str]) -> str:
    """Return the digest of the templates and words that a stage's unit keys include."""
    return hashlib.sha256(" ".join(texts).encode()).hexdigest()


def request(
    rows: Rows,
    settings: DraftSettings,
    folder: WorkspaceFolder,
    prompt: templates.Prompt,
    repair: templates.Prompt,
    answer: type[Reply],
    problems: Callable[[Reply], list[str]],
    more: Mapping[str, Any],
) -> ModelRequest[Reply]:
    """Return a request about a clip, worded by `prompt` with the variables in `more` and those of the clip."""
    schema = templates.show_schema(json_schema(answer))
    return ModelRequest(
        messages=messages(rows, settings.frames, folder, prompt, {**more, "schema": schema}),
        answer=answer,
        problems=problems,
        repair=lambda found: repair_text(repair, found, schema),
        template=prompt.path,
    )


def messages(
    rows: Rows,
    count: int,
    folder: WorkspaceFolder,
    prompt: templates.Prompt,
    more: Mapping[str, Any],
) -> tuple[Message, ...]:
    """Return the messages about a clip: the rules, `count` keyframes with their times, the question last."""
    clip = rows.one(Clip)
    variables = {**_variables(rows), **more}
    parts: list[str | PromptImage] = []
    for number, frame in enumerate(choose(rows[Frame], rows[Turn], count), start=1):
        moment = {"number": number, "seconds": (frame.t_us - clip.start_us) / 1e6}
        parts += [prompt.render("frame", **variables, frame=moment), _image(folder, frame)]
    parts.append(prompt.render("question", **variables))
    return (
        Message("system", (prompt.render("system", **variables),)),
        Message("user", tuple(parts)),
    )


def repair_text(repair: templates.Prompt, problems: Sequence[str], schema: str) -> str:
    """Return the message of the second attempt: what was wrong with the first answer."""
    return repair.render(
        "question", problems=[templates.clean(text)[:300] for text in problems], schema=schema
    )


def _variables(rows: Rows) -> dict[str, object]:
    clip, video = rows.one(Clip), rows.one(Video)
    return {
        "clip": {
            "file": templates.clean(PurePath(video.path).name)[:200],
            "seconds": (clip.end_us - clip.start_us) / 1e6,
        },
        "turns": [
            {
                "start": (turn.start_us - clip.start_us) / 1e6,
                "end": (turn.end_us - clip.start_us) / 1e6,
                "kind": turn.kind,
                "degrees": round(turn.yaw_degrees),
                "glance": not turn.moving,
                "confidence": turn.confidence,
            }
            for turn in rows[Turn]
        ],
        "narrations": [
            {
                "seconds": (narration.t_us - clip.start_us) / 1e6,
                "text": templates.clean(narration.text)[:500],
                **{
                    name: templates.fact(getattr(narration, name))
                    for name in ("landmark", "action", "undo")
                },
            }
            for narration in narrations_of(rows)
        ],
    }


def choose(frames: Sequence[Frame], turns: Sequence[Turn], count: int) -> list[Frame]:
    """Return at most `count` keyframes: both ends, the middles of turns, then the widest gaps."""
    left = [frame for frame in frames if not frame.suspect] or list(frames)
    wanted = [left[0].t_us, left[-1].t_us] if left else []
    wanted += [(turn.start_us + turn.end_us) // 2 for turn in turns if turn.moving]
    chosen: list[Frame] = []
    while left and len(chosen) < count:
        if wanted:
            aim = wanted.pop(0)
            best = min(left, key=lambda frame: abs(frame.t_us - aim))
        else:
            best = max(left, key=lambda f: (min(abs(f.t_us - c.t_us) for c in chosen), -f.t_us))
        chosen.append(best)
        left.remove(best)
    return sorted(chosen, key=lambda frame: frame.t_us)


def _image(folder: WorkspaceFolder, frame: Frame) -> PromptImage:
    try:
        jpeg = folder.media_path(frame.media).read_bytes()
    except OSError as error:
        raise RowError(
            f"the keyframe {frame.media} can't be read: {error.strerror}",
            "run egost frames again: it restores lost keyframes",
        ) from error
    return PromptImage(jpeg, frame.width, frame.height)
