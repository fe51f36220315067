"""The rows of questions: items, what they were composed from, and what a model wrote or expects."""

from typing import Literal

from pydantic import Field

from pipeline.engine.rows import Record, Row, digest
from pipeline.routes.rows import Category, Orientation
from pipeline.sources.rows import Split

Contrast = Literal["turn", "order", "mixed"]
"""The kinds of the two facts that an item asks about."""


def item_id(clip_id: str, task: str, ordinal: int = 0) -> str:
    """Return the id of an item, which doesn't depend on its answer."""
    return "i_" + digest("item", clip_id, task, ordinal)


class Span(Row):
    """The part of a clip that items ask about: a video of its own in a release, with an opaque id.

    `frame_us` are the evenly spaced frames on which models are scored, in video time. A `mirrored` span is
    shown flipped left to right; an `upright` one never is (`compose.never_mirror`). `made` is a digest of how its items were composed; while it is the same, a
    span that was composed before keeps its items.
    """

    table = "spans"
    key = ("span_id",)
    span_id: str
    clip_id: str
    video_id: str
    start_us: int
    end_us: int
    frame_us: list[int]
    mirrored: bool
    upright: bool = False
    made: str


class AskedFact(Record):
    """One of the two facts that an item asks about.

    `values` are what the four options state of it, in the order of the options. `back`, `rewound` and
    `mirrored` are the statement that is true of the way back, of reversed and of mirrored frames, such as
    `turn:1=right`. A frame must show each of the spans of video time in `seen_us` (start, end, start, …).
    """

    name: str
    values: list[str]
    back: str
    rewound: str
    mirrored: str
    seen_us: list[int]


class Item(Row):
    """One question-answer pair; its id never depends on its answer.

    `twin` is the same for the forward and the reverse item on the same two facts. An item without a span
    was composed by an earlier version and asks about its whole clip; `flips` name what its options flip.
    """

    table = "items"
    key = ("item_id",)
    item_id: str
    clip_id: str
    video_id: str
    span_id: str | None = None
    twin: str | None = None
    split: Split
    task: str
    category: Category
    orientation: Orientation
    format: Literal["mcq", "open"]
    question: str
    options: list[str]
    answer_index: int | None
    answer_text: str
    option_kind: Literal["facts", "square", "model"] | None
    contrast: Literal["turn", "order", "mixed", "content"] | None
    facts: list[AskedFact] = Field(default_factory=list)
    flips: list[str] = Field(default_factory=list)
    reference_moves: list[str]
    reference_landmarks: list[str]
    status: Literal["draft", "verified", "set_aside"]
    status_reason: str | None
    fingerprint: str


class Stratum(Row):
    """A category and its kinds of facts: how many pairs could be asked, and why it is closed if it is.

    `candidates` are the pairs of visible facts, `admissible` those that can't be guessed without the video,
    `asked` those that items ask about. `fitted` says whether a reader was fitted to them; too few were judged
    by the reader that ships with the toolkit, which proves nothing.
    """

    table = "strata"
    key = ("category", "contrast")
    category: Category
    contrast: Contrast
    candidates: int
    admissible: int
    asked: int
    closed: str | None
    fitted: bool


class Expected(Row):
    """Where in a walk a model expects a landmark or an action that it was told by name alone, without images.

    `position` is 0 at the start of the clip and 100 at its end; `sure` is 0 if the name could be anywhere and 1
    if it is always there. `cost_usd` is the cost of the whole reply, shared by its names; None if the server
    reports no tokens.
    """

    table = "expected"
    key = ("clip_id", "kind", "name")
    clip_id: str
    kind: Literal["landmark", "action"]
    name: str
    position: float
    sure: float
    model: str
    prompt_sha256: str
    reply_id: str
    cost_usd: float | None


class Written(Row):
    """One item as a model wrote it for a task of `prompts/tasks/`, with the evidence that it cites.

    `cost_usd` is the cost of the whole reply, shared by its items; None if the server reports no tokens.
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
        """What identifies it in messages: clip, task and ordinal, never its answer."""
        return item_id(self.clip_id, self.task, self.ordinal)


class ComposedFrom(Row):
    """What a clip's items were composed from; stored in done.sqlite only, not as a table.

    `facts` is a digest of its route's moves, landmarks and actions. `moves` are the words for moves that its
    items use, in the order of `MOVE_WORDS`, and `words` those for facts, in the order of `FACT_WORDS`;
    earlier versions don't record them, and they are empty.
    """

    table = "composed_from"
    key = ("clip_id",)
    clip_id: str
    facts: str
    moves: list[str] = Field(default_factory=list)
    words: list[str] = Field(default_factory=list)


class AuditedBefore(Row):
    """An audited item of a span or clip that is no longer there; stored in done.sqlite only.

    It is used again if its span comes back, or its clip with the same `facts`: a file was missing for a
    while, or an annotator was excluded and included again. `facts` is empty for an item of a span.
    """

    table = "audited_before"
    key = ("item_id", "facts")
    item_id: str
    facts: str
    item: Item
