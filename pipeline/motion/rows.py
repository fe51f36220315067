"""The rows that one decode of a video gives: clips, headings, turns, keyframes.

Every `*_us` is video time in integer microseconds: 0 is the first picture shown. Angles are degrees,
positive to the left (counter-clockwise from above)."""

import re
from typing import Literal

from pipeline.engine.rows import Row, digest

TurnKind = Literal["left", "right", "around"]


def clip_id(video_id: str, start_us: int, end_us: int) -> str:
    """Return the id of a clip: another span is another clip."""
    return "c_" + digest("clip", video_id, start_us, end_us)


class Clip(Row):
    """One span of a video that is asked about."""

    table = "clips"
    key = ("clip_id",)
    clip_id: str
    video_id: str
    start_us: int
    end_us: int


class JudgedClip(Clip):
    """A span that people have judged: it stays a clip, whatever the settings say now."""

    table = "judged_clips"


class Heading(Row):
    """The measured heading of a clip, unwrapped, starting at 0 degrees; positive = left."""

    table = "headings"
    key = ("clip_id",)
    clip_id: str
    t_us: list[int]
    yaw_degrees: list[float]


class Turn(Row):
    """One measured heading change; `moving` is false for a look aside without walking on."""

    table = "turns"
    key = ("clip_id", "start_us")
    clip_id: str
    start_us: int
    end_us: int
    kind: TurnKind
    yaw_degrees: float
    moving: bool
    confidence: float


class Frame(Row):
    """One keyframe, with the exact presentation timestamp and why it was kept."""

    table = "frames"
    key = ("clip_id", "t_us")
    clip_id: str
    t_us: int
    pts: int
    width: int
    height: int
    media: str
    sharpness: float
    reason: str
    suspect: bool

    @property
    def brief_reason(self) -> str:
        """Return the reason without its figures: `between turn 3 and look 4`."""
        return re.sub(r" \([^)]*\)", "", self.reason)
