"""The rows of questions: items, items as a model wrote them, and what items were composed from."""

from typing import Literal

from pydantic import Field

from pipeline.engine.rows import Row, digest
from pipeline.routes.rows import Category, Orientation
from pipeline.sources.rows import Split


def item_id(clip_id: str, task: str, ordinal: int = 0) -> str:
    """Return the id of an item, which doesn't depend on its answer."""
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
        """The id of the item composed from it: by clip, task and ordinal, never by its answer."""
        return item_id(self.clip_id, self.task, self.ordinal)


class ComposedFrom(Row):
    """What a clip's items were composed from; stored in done.sqlite only, not as a table.

    `facts` is a digest of its route's moves, landmarks and actions: audited items are kept while it
    is the same. `moves` are the words for moves that its options use, in the order of `MOVE_WORDS`; a
    workspace of format 0 doesn't record them, and they are empty.
    """

    table = "composed_from"
    key = ("clip_id",)
    clip_id: str
    facts: str
    moves: list[str] = Field(default_factory=list)


class AuditedBefore(Row):
    """An audited item of a route or clip that is no longer there; stored in done.sqlite only.

    It is used again if its clip comes back with the same facts: a file was missing for a while, or an
    annotator was excluded and included again.
    """

    table = "audited_before"
    key = ("item_id", "facts")
    item_id: str
    facts: str
    item: Item
