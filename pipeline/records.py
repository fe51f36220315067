"""Every row type of the workspace, and how ids are made.

Time is integer microseconds. Every `*_us` is video time: 0 is the first picture shown.
Angles are degrees, positive to the left (counter-clockwise from above).
"""

import hashlib
from collections.abc import Iterable
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict

Move = Literal["straight", "left", "right", "around"]
TurnKind = Literal["left", "right", "around"]
Category = Literal["route", "direction", "landmark", "action"]
Orientation = Literal["forward", "reverse"]
Consent = Literal["local", "model", "release"]
Lens = Literal["rectilinear", "fisheye"]
Split = Literal["train", "validation", "test"]


def digest(*parts: object) -> str:
    """Return 16 hex digits that stand for these parts; parts can't run into one another."""
    return digest_of(parts)


def digest_of(parts: Iterable[object]) -> str:
    """Return the digest of these parts, taken one after the other."""
    hasher = hashlib.sha256()
    for part in parts:
        text = str(part).encode()
        hasher.update(b"%d:" % len(text) + text)
    return hasher.hexdigest()[:16]


def clip_id(video_id: str, start_us: int, end_us: int) -> str:
    """Return the id of a clip: another span is another clip."""
    return "c_" + digest("clip", video_id, start_us, end_us)


def item_id(clip_id: str, task: str, ordinal: int = 0) -> str:
    """Return the id of an item; its answer is no part of it."""
    return "i_" + digest("item", clip_id, task, ordinal)


class Record(BaseModel):
    """A frozen value with no unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Row(Record):
    """One row of the table named `table`, sorted and told apart by the `key` fields."""

    table: ClassVar[str]
    key: ClassVar[tuple[str, ...]]

    def identity(self) -> tuple[str | int, ...]:
        """Return the values of the key fields."""
        return tuple(getattr(self, name) for name in self.key)

    def shown(self) -> str:
        """Return what people call this unit."""
        return str(self.identity()[0])


class Source(Row):
    """One file that was found on disk, with what its manifest line and its folder say about it."""

    table = "sources"
    key = ("source_id",)
    source_id: str
    root: str
    path: str
    bytes: int
    mtime_ns: int
    sidecars: list[str] = []
    sidecar_stamp: str = ""
    scene: str | None = None
    wearer: str | None = None
    source: str | None = None
    licence: str | None = None
    hfov_degrees: float | None = None
    lens: Lens | None = None
    split: Split | None = None
    consent: Consent = "local"

    def shown(self) -> str:
        """Return the path below the ingested root."""
        return self.path


class Footage(Row):
    """What the container and the manifest line of one video file say."""

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


class Probe(Footage):
    """A readable video file."""

    table = "probes"
    key = ("video_id", "path", "root")
    wanted_split: Split | None


class Video(Footage):
    """A video that the benchmark may use: a probe, once per content, with its split."""

    table = "videos"
    key = ("video_id",)
    split_group: str
    split: Split


class SplitLabel(Row):
    """What ties videos together (a scene, a wearer, a video alone) and where it was assigned, for good."""

    table = "split_labels"
    key = ("label",)
    label: str
    split_group: str
    split: Split


class Narration(Row):
    """One line of a video's narration sidecar."""

    table = "narrations"
    key = ("video_id", "t_us", "text")
    video_id: str
    t_us: int
    text: str
    landmark: str | None = None
    action: str | None = None
    undo: str | None = None


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


class Still(Row):
    """One of the equally distant frames of a clip that models are scored with; `look` is a perceptual hash."""

    table = "stills"
    key = ("clip_id", "number")
    clip_id: str
    number: int
    t_us: int
    media: str
    sha256: str
    look: str
    width: int
    height: int


class Step(Record):
    """One step of a route: a span, a move, and what is passed or done there."""

    start_us: int
    end_us: int
    move: Move
    landmark: str | None = None
    action: str | None = None
    undo: str | None = None


class Route(Row):
    """A clip's steps in time order with both descriptions: drafted, or verified by people.

    `language` is the section of prompts/stems.toml that it is told in; its questions are asked in it.
    """

    table = "routes"
    key = ("clip_id", "origin")
    clip_id: str
    origin: Literal["draft", "verified"]
    verified_categories: list[Category]
    fingerprint: str
    provider: str
    model: str | None
    prompt_sha256: str | None
    reply_id: str | None
    input_tokens: int | None
    output_tokens: int | None
    cost_usd: float | None
    steps: list[Step]
    forward_description: str
    reverse_description: str
    confidence: float
    language: str = "en"


class Item(Row):
    """One question-answer pair; its id never depends on its answer."""

    table = "items"
    key = ("item_id",)
    item_id: str
    clip_id: str
    video_id: str
    split: Split
    task: str
    category: Category
    orientation: Orientation
    format: Literal["mcq", "open"]
    question: str
    options: list[str]
    answer_index: int | None
    answer_text: str
    option_kind: Literal["square", "model"] | None
    contrast: Literal["turn", "order", "mixed", "content"] | None
    flips: list[str]
    reference_moves: list[str]
    reference_landmarks: list[str]
    status: Literal["draft", "verified", "set_aside"]
    status_reason: str | None
    fingerprint: str


class Written(Row):
    """One item as a model wrote it for a task of `prompts/tasks/`, and what it says it rests on.

    `cost_usd` is that of its reply, which its items share; None where the server counts no tokens.
    """

    table = "written"
    key = ("clip_id", "task", "ordinal")
    clip_id: str
    task: str
    ordinal: int
    category: Category
    orientation: Orientation
    format: Literal["mcq", "open"]
    question: str
    answer: str
    distractors: list[str]
    evidence: str
    evidence_us: list[int]
    model: str
    prompt_sha256: str
    reply_id: str
    cost_usd: float | None

    @property
    def item_id(self) -> str:
        """The id of the item that it becomes: by clip, task and ordinal, never by its answer."""
        return item_id(self.clip_id, self.task, self.ordinal)


class Finding(Row):
    """An automatic check's remark about one unit; findings sort the review queue."""

    table = "findings"
    key = ("unit_kind", "unit", "kind", "message")
    unit_kind: Literal["clip", "route", "item"]
    unit: str
    kind: str
    severity: Literal["info", "warning", "error"]
    message: str


class Verdict(Row):
    """One judgement of one clip's route; it counts for the fingerprint that was judged alone."""

    table = "verdicts"
    key = ("clip_id", "annotation_id")
    clip_id: str
    fingerprint: str
    round: int
    annotator: str
    verdict: Literal["accept", "corrected", "reject", "skip"]
    reasons: list[str]
    steps: list[Step]
    forward_description: str
    reverse_description: str
    seconds: float
    guideline_version: str
    created_us: int
    annotation_id: str
    kind: Literal["real", "gold", "planted", "adjudication"]
    by: Literal["person", "script"]


class Answer(Row):
    """What one person chose for one item without seeing its answer; it counts for this fingerprint alone.

    `choice` is the number of an option, or: no option is right, more than one is, can't tell.
    """

    table = "answers"
    key = ("item_id", "annotation_id")
    item_id: str
    fingerprint: str
    annotator: str
    choice: Literal["0", "1", "2", "3", "none", "many", "unsure"]
    seconds: float
    created_us: int
    annotation_id: str
    by: Literal["person", "script"]


class Rejection(Row):
    """An input or a unit that was refused or failed, with the reason and what mends it."""

    table = "rejections"
    key = ("stage", "unit", "what")
    stage: str
    unit: str
    what: str
    fix: str


class ComposedFrom(Row):
    """What a clip's items were composed from: a digest of the moves, landmarks and actions of its route.

    Kept in done.sqlite only, not as a table: it shows whether an audited item still describes its route.
    """

    table = "composed_from"
    key = ("clip_id",)
    clip_id: str
    facts: str


class Held(Row):
    """An item that was kept because people have audited it, though composing it now gives another.

    Kept in done.sqlite only, not as a table.
    """

    table = "held"
    key = ("item_id",)
    item_id: str


TABLES: dict[str, type[Row]] = {
    kind.table: kind
    for kind in (
        *(Source, Probe, Video, SplitLabel, Narration, Clip, JudgedClip, Heading, Turn, Frame),
        *(Still, Route, Written, Item, Finding, Verdict, Answer, Rejection),
    )
}
