"""The settings of frames and faces."""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from pipeline.engine.settings import Settings
from pipeline.sources.rows import Lens

# Overlapping detections that make a face; fewer find more faces, and more that aren't there.
# On 48 keyframes of three walks that show no face, 6 found four and 10 found one.
LEAST_HITS = 10


class FramesSettings(Settings):
    """How clips, keyframes and motion are computed."""

    motion: bool = Field(
        True,
        description="Measure heading and turns (one full decode); false: only keyframes, by seeking.",
    )
    budget: int = Field(16, ge=2, le=256, description="Maximum number of keyframes per clip.")
    width: int = Field(640, ge=64, le=4096, description="Maximum width of a keyframe in pixels.")
    quality: int = Field(90, ge=30, le=100, description="JPEG quality of the keyframes.")
    max_clip_seconds: float = Field(
        120.0,
        ge=10,
        le=3600,
        description="Longer videos are cut into clips where the heading is steady.",
    )
    default_hfov_degrees: float = Field(
        70.0,
        ge=20,
        le=200,
        description="Horizontal field of view of videos that don't specify it; angles scale with it.",
    )
    lens: Lens = Field(
        "rectilinear",
        description='Lens of videos that don\'t specify it: "rectilinear", or "fisheye" (equidistant, such as Aria\'s).',
    )


class FacesSettings(Settings):
    """Whether and how keyframes are searched for faces."""

    look: bool = Field(True, description="Search the keyframes for faces.")
    smallest: float = Field(
        0.08, ge=0.05, le=0.9, description="Height of the smallest face, as a share of the frame."
    )
    retired: ClassVar[Mapping[str, object]] = {"sureness": LEAST_HITS}
