"""The rows of questions: items as released, as a model wrote them, and what they were composed from."""

from typing import Literal

from pipeline.engine.rows import Row, digest
from pipeline.routes.rows import Category, Orientation
from pipeline.sources.rows import Split


def item_id(clip_id: str, task: str, ordinal: int = 0) -> str:
    """Return the id of an item; its answer is no part of it."""
    return "i_" + digest("item", clip_id, task, ordinal)


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


class ComposedFrom(Row):
    """What a clip's items were composed from: a digest of the moves, landmarks and actions of its route.

    Kept in done.sqlite only, not as a table: it shows whether an audited item still describes its route.
    """

    table = "composed_from"
    key = ("clip_id",)
    clip_id: str
    facts: str
