"""Think texts that a model writes from verified happenings, and why others aren't kept.

    rows/
      llm.sqlite       every request to the model and its reply
      rejected.jsonl   each reply that wasn't kept, with the reason, and each row that got none

A reply is kept if it ends with the right answer in a full `<answer>X</answer>` and agrees with what happens. A stored
reply is never requested again: a row whose reply was rejected gets another try, up to a number of tries in all.
"""

import asyncio
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from string import ascii_uppercase

from pipeline.engine.folder import WorkspaceFolder, write_atomic
from pipeline.errors import EgostError
from pipeline.evaluate.run import each
from pipeline.models.chat import Message, PlainRequest, request_keys
from pipeline.models.estimate import Estimate, estimate
from pipeline.models.journal import Reply, read_ledger
from pipeline.models.llm import ModelClient, connect
from pipeline.models.settings import ThinkModel
from pipeline.models.wire import Wire
from pipeline.routes import templates, wording
from pipeline.routes.told import language_of
from pipeline.training import lists, thinking
from pipeline.training.agreeing import disagreements_in_words
from pipeline.training.rows import TrainingRow

REJECTED = "rejected.jsonl"
_GUESSED_OUTPUT = 700  # tokens of two lists of a dozen lines and 250 words
_MOST_WORDS = 500  # besides the lists: twice what the prompt asks for
_REPLY = re.compile(r"(?P<think>.*?)<answer>(?P<answer>[^<>]*)</answer>\s*", re.DOTALL)
_TAG = re.compile(r"</?[a-zA-Z][^<>\n]{0,40}>")
_GIVEN = re.compile(
    r"\b(?:as given|(?:was|were|is|are|been) (?:given|provided|verified)|given (?:lists?|answer)|provided (?:lists?|answer)"
    r"|the instructions?|vorgegeben\w*|(?:die|der|den) Vorgaben?|angegebene\w* (?:Listen?|Antwort))\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Writing:
    """Which model writes think texts, and how often it is asked about a row until a text can be kept.

    With `fall_back`, a row without such a text gets the one of the template; otherwise it is left without thinking.
    """

    model: ThinkModel
    tries: int = 2
    fall_back: bool = True

    def __post_init__(self) -> None:
        if self.tries < 1:
            raise ValueError("tries: at least 1")


@dataclass(frozen=True)
class Rejection:
    """A reply that wasn't kept, or a row without a reply; `reply` is the key of the request in llm.sqlite."""

    id: str
    attempt: int
    reason: str
    told: str
    reply: str | None


def rejections(folder: Path) -> Counter[str]:
    """Return how many replies weren't kept, by reason; `no reply` counts rows that the next run asks about again."""
    path = folder / REJECTED
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return Counter(json.loads(line)["reason"] for line in lines)


class Writer:
    """A model that writes the think texts of a folder of rows; the caller holds the folder's lock."""

    def __init__(self, writing: Writing, folder: Path) -> None:
        self._writing, self._folder = writing, folder

    @cached_property
    def _prompt(self) -> templates.Prompt:
        return templates.load("training/write.j2")

    @property
    def prompt_sha256(self) -> str:
        """The digest of the prompt."""
        return self._prompt.sha256

    def estimate(self, rows: Iterable[TrainingRow]) -> Estimate:
        """Return how many requests are still to be sent and what they may cost, if every text can be kept; nothing is sent."""
        model, folder = self._writing.model, WorkspaceFolder(self._folder)
        return estimate(self._requests(rows), model, folder, guessed_output=_GUESSED_OUTPUT)

    def _requests(self, rows: Iterable[TrainingRow]) -> Iterator[PlainRequest]:
        """Yield the requests that were sent about each row, and the next one if none of their replies can be kept."""
        with read_ledger(self._folder / "llm.sqlite") as ledger:
            for row in filter(_can_be_asked, rows):
                messages = self._messages(row)
                for attempt in range(self._writing.tries):
                    yield PlainRequest(messages, attempt)
                    keys = request_keys(self._writing.model, messages, None, attempt)
                    stored = [kept for one in keys.values() if (kept := ledger.reply(one.key))]
                    if not stored or isinstance(read(row, stored[-1][0]), str):
                        break

    def texts(
        self,
        rows: Sequence[TrainingRow],
        progress: Callable[[int, int], None] = lambda done, total: None,
        wire: Wire | None = None,
    ) -> dict[str, str]:
        """Return the think texts that can be kept, by row; write down why others weren't.

        Replies that are stored aren't requested again. Raise UserError if the model can't be asked at all; if only
        some requests fail, their rows have no text, and the next run asks about them. `wire` replaces the server.
        """
        asked = [row for row in rows if _can_be_asked(row)]
        made = asyncio.run(self._made(asked, lambda done: progress(done, len(asked)), wire))
        lines = [json.dumps(asdict(one), ensure_ascii=False) for each in made for one in each.lost]
        write_atomic(self._folder / REJECTED, "".join(f"{line}\n" for line in lines).encode())
        return {one.id: one.text for one in made if one.text is not None}

    async def _made(
        self, rows: Sequence[TrainingRow], progress: Callable[[int], None], wire: Wire | None
    ) -> list["_Made"]:
        model = self._writing.model
        async with connect(model, WorkspaceFolder(self._folder), wire) as client:
            return await each(
                rows, lambda row: self._ask(row, client), _failed, client, model.in_flight, progress
            )

    async def _ask(self, row: TrainingRow, client: ModelClient) -> "_Made":
        lost: list[Rejection] = []
        for attempt in range(self._writing.tries):
            made = await client.complete(self._messages(row), repeat=attempt)
            found = read(row, made.reply)
            if isinstance(found, str):
                return _Made(row.id, found, lost)
            lost.append(Rejection(row.id, attempt, found.reason, found.told, made.key))
        return _Made(row.id, None, lost)

    def _messages(self, row: TrainingRow) -> tuple[Message, ...]:
        ahead, back = thinking.both_lists(row)
        said = {
            "language": wording.load(row.language).name,
            "ahead": ahead,
            "back": back,
            "question": row.question,
            "options": [
                {"letter": letter, "text": text}
                for letter, text in zip(ascii_uppercase, row.options, strict=False)
            ],
            "answer": _answer(row),
            "statements": thinking.statements(row) if row.options else (),
            "orientation": row.orientation,
        }
        return (
            Message("system", (self._prompt.render("system", **said),)),
            Message("user", (self._prompt.render("question", **said),)),
        )


def thought(
    row: TrainingRow, seed: str, written: Mapping[str, str] | None = None, *, fall_back: bool = True
) -> TrainingRow:
    """Return a row with its think text: the one that was written, else the template's, else none."""
    if written is not None and row.id in written:
        return row.model_copy(update={"think": written[row.id], "think_source": "model"})
    text = thinking.template_text(row, seed) if written is None or fall_back else None
    return row.model_copy(
        update={"think": text, "think_source": "none" if text is None else "template"}
    )


# ---- what can be kept --------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Made:
    """What came of a row: the text that can be kept, and the replies before it that can't."""

    id: str
    text: str | None
    lost: Sequence[Rejection]


@dataclass(frozen=True)
class Unfit:
    """Why a reply can't be kept; `told` is for people."""

    reason: str
    told: str


def read(row: TrainingRow, reply: Reply) -> str | Unfit:
    """Return the think text of a reply, or why it can't be kept."""
    if reply.refusal or reply.finish == "content_filter":
        return Unfit("refused", (reply.refusal or "by the server's content filter")[:200])
    if reply.finish == "length":
        return Unfit("cut off", "the reply reached max_completion_tokens")
    found = _REPLY.fullmatch(_without_own_thinking(reply.text))
    if not found:
        return Unfit("form", "it doesn't end with one full <answer>...</answer>")
    text, answer = found["think"].strip(), " ".join(found["answer"].split())
    if answer != " ".join(_answer(row).split()):
        return Unfit("answer", f"it answers {answer[:80]!r}")
    if tag := _TAG.search(text):
        return Unfit("form", f"it contains {tag[0]}")
    if wrong := disagreements_in_words(row, text):
        return Unfit(wrong[0].what, "; ".join(one.told for one in wrong))
    prose = _prose(text)
    if language_of(prose) not in (row.language, None):
        return Unfit("language", "it is in another language than the question")
    if given := _GIVEN.search(prose):
        return Unfit("given", f"it speaks of what it was given: {given[0]!r}")
    if len(prose.split()) > _MOST_WORDS:
        return Unfit("long", f"more than {_MOST_WORDS} words besides the lists")
    return text


def _without_own_thinking(text: str) -> str:
    """Return a reply without what a model thought before it wrote, or with its text taken out of thinking tags."""
    before, closed, after = text.rpartition("</think>")
    if not closed or lists.read(after):
        return after
    return before.rpartition("<think>")[2] + after


def _prose(text: str) -> str:
    """Return a text without the lines of its lists."""
    return "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("- "))


def _answer(row: TrainingRow) -> str:
    return row.answer_text if row.answer is None else row.answer


def _can_be_asked(row: TrainingRow) -> bool:
    """Return whether there is a text to be written, and nothing in the data that closes the tags around it."""
    return thinking.lack(row) is None and "data>" not in f"{row}".lower()


def _failed(row: TrainingRow, error: EgostError) -> _Made:
    return _Made(row.id, None, [Rejection(row.id, 0, "no reply", str(error), None)])
