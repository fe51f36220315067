"""The rows from decoding a video: clips, headings, turns, stays, keyframes.

Every `*_us` is video time in integer microseconds; 0 is the first displayed frame. Angles are in
degrees, positive to the left (counter-clockwise seen from above).
"""

import re
from typing import Literal

from pipeline.engine.rows import Row, digest

TurnKind = Literal["left", "right", "around"]


def clip_id(video_id: str, start_us: int, end_us: int) -> str:
    """Return the id of the clip with this span."""
    return "c_" + digest("clip", video_id, start_us, end_us)


class Clip(Row):
    """One span of a video, with one route."""

    table = "clips"
    key = ("clip_id",)
    clip_id: str
    video_id: str
    start_us: int
    end_us: int


class JudgedClip(Clip):
    """A span that people have judged; it remains a clip even if the settings change."""

    table = "judged_clips"


class Heading(Row):
    """The measured heading of a clip, unwrapped, starting at 0 degrees; positive = left."""

    table = "headings"
    key = ("clip_id",)
    clip_id: str
    t_us: list[int]
    yaw_degrees: list[float]


class Turn(Row):
    """One measured heading change; `moving` is false for a glance, without a change of course."""

    table = "turns"
    key = ("clip_id", "start_us")
    clip_id: str
    start_us: int
    end_us: int
    kind: TurnKind
    yaw_degrees: float
    moving: bool
    confidence: float


class Stay(Row):
    """A span in which the wearer was measured to stay in place, whatever the head does.

    Videos that were decoded before stays were measured have none.
    """

    table = "stays"
    key = ("clip_id", "start_us")
    clip_id: str
    start_us: int
    end_us: int
    confidence: float


class Frame(Row):
    """One keyframe, with its exact presentation timestamp and the reason it was kept."""

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
        """Return the reason without its figures: `between turn 3 and glance 4`, which rows call a look."""
        return re.sub(r"\blook (?=\d)", "glance ", re.sub(r" \([^)]*\)", "", self.reason))
