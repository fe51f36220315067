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
    """How keyframes, clips and motion are made."""

    motion: bool = Field(
        True,
        description="Measure heading and turns (one full decode); false: keyframes alone, by seeking.",
    )
    budget: int = Field(16, ge=2, le=256, description="Keyframes per clip, at most.")
    width: int = Field(640, ge=64, le=4096, description="Width of a keyframe in pixels, at most.")
    quality: int = Field(90, ge=30, le=100, description="JPEG quality of the keyframes.")
    max_clip_seconds: float = Field(
        120.0, ge=10, le=3600, description="Longer videos are cut into clips at calm moments."
    )
    default_hfov_degrees: float = Field(
        70.0,
        ge=20,
        le=200,
        description="Horizontal field of view of videos that don't say theirs; angles scale with it.",
    )
    lens: Lens = Field(
        "rectilinear",
        description='Lens of videos that don\'t say theirs: "rectilinear", or "fisheye" (equidistant, as Aria\'s).',
    )


class FacesSettings(Settings):
    """Whether keyframes are searched for faces."""

    look: bool = Field(True, description="Search the keyframes for faces.")
    smallest: float = Field(
        0.08, ge=0.05, le=0.9, description="Height of the smallest face, as a share of the picture."
    )
    retired: ClassVar[Mapping[str, object]] = {"sureness": LEAST_HITS}
