"""The rows of the sources: files on disk, videos with their splits, narrations."""

from typing import Literal

from pydantic import Field

from pipeline.engine.rows import Row

Consent = Literal["local", "model", "release"]


Lens = Literal["rectilinear", "fisheye"]
Rotation = Literal[0, 90, 180, 270]


Split = Literal["train", "validation", "test"]


class Source(Row):
    """One file found by a scan, with its manifest fields and sidecars."""

    table = "sources"
    key = ("source_id",)
    later = ("rotation",)
    source_id: str
    root: str
    path: str
    bytes: int
    mtime_ns: int
    sidecars: list[str] = Field(default_factory=list)
    sidecar_stamp: str = ""
    scene: str | None = None
    wearer: str | None = None
    source: str | None = None
    licence: str | None = None
    hfov_degrees: float | None = None
    lens: Lens | None = None
    split: Split | None = None
    consent: Consent = "local"
    rotation: Rotation = 0

    def shown(self) -> str:
        """Return the path below the ingested root."""
        return self.path


class Footage(Row):
    """The properties of one video file, from its container and manifest line."""

    later = ("manifest_rotation", "conversion")
    video_id: str
    root: str
    path: str
    sha256: str
    bytes: int
    container: str
    codec: str
    width: int
    height: int
    rotation: int
    fps_num: int
    fps_den: int
    duration_us: int
    has_audio: bool
    hfov_degrees: float | None
    lens: Lens | None
    scene: str | None
    wearer: str | None
    source: str | None
    licence: str | None
    consent: Consent
    manifest_rotation: Rotation = 0
    conversion: str = ""

    def shown(self) -> str:
        """Return the path below the ingested root."""
        return self.path


class Probe(Footage):
    """A readable video file."""

    table = "probes"
    key = ("video_id", "path", "root")
    wanted_split: Split | None


class Video(Footage):
    """A video of the benchmark: one probe per distinct content, with its split."""

    table = "videos"
    key = ("video_id",)
    split_group: str
    split: Split


class CopyConsent(Row):
    """The consent that one of several copies of a video gave; stored in done.sqlite only, not as a table.

    A copy that is gone is kept here: its consent stays in force.
    """

    table = "copy_consents"
    key = ("video_id", "root", "path")
    video_id: str
    root: str
    path: str
    consent: Consent


class SplitLabel(Row):
    """A label that videos share (a scene, a wearer, or one video), and its permanent assignment."""

    table = "split_labels"
    key = ("label",)
    label: str
    split_group: str
    split: Split


class Narration(Row):
    """One line of a video's narration sidecar."""

    table = "narrations"
    key = ("video_id", "t_us", "text")
    distinct = True
    video_id: str
    t_us: int
    text: str
    landmark: str | None = None
    action: str | None = None
    undo: str | None = None
