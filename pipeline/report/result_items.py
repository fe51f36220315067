"""The items of a results page: what was sent of each, and what each model replied.

Items without a known answer, and those of withheld splits, are left out with everything about them.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from pipeline.errors import EgostError
from pipeline.evaluate import arms, prompting
from pipeline.evaluate.arms import Shown
from pipeline.evaluate.ground import ground
from pipeline.evaluate.metrics import MAIN, errs_only_in
from pipeline.evaluate.prompting import Medium, Prompt
from pipeline.evaluate.results import Results
from pipeline.evaluate.scoring import Question, Scored, scored
from pipeline.evaluate.standings import parser_of
from pipeline.report.film import films, width_for

INLINED = 200  # items up to which frames are in the page itself
BATCH = 40  # items in one block, which is parsed when the first of them is opened
_TEXTS = 24_000_000  # characters of all replies together; browsers open such a file without delay
_LEAST_TEXT = 1_000  # of a reply, kept however many there are
_WIDEST = 320
_OUTCOMES = {
    "right": "r",
    "wrong": "w",
    "unreadable": "u",
    "refused": "f",
    "truncated": "t",
    "failed": "-",
}
_NOT_ASKED = " "
_MEDIA: dict[str, Medium] = {"none": "none", "video": "video"}


@dataclass(frozen=True)
class Frames:
    """Where the frames of items are: their folder, and the questions with the names of their frames."""

    folder: Path
    questions: Mapping[str, Question]


@dataclass(frozen=True)
class Source:
    """Results as the page shows them: their label, their scored predictions, and the frames that were sent.

    `questions` are the items, all with known answers; `frames` is None where the release isn't there.
    """

    label: str
    results: Results
    questions: Mapping[str, Question]
    scored: Sequence[Scored]
    frames: Frames | None

    @classmethod
    def of(
        cls, label: str, results: Results, frames: Frames | None, withheld: Iterable[str] = ()
    ) -> "Source":
        """Score what was replied to items with known answers, none of which is in a `withheld` split."""
        held = set(withheld)
        questions = {one.id: one for one in results.questions if one.split not in held}
        made = [one for one in results.predictions if one.id in questions]
        return cls(label, results, questions, scored(questions.values(), made), frames)

    @property
    def prompt(self) -> Prompt | None:
        """The words in which the model was asked; None if the template has changed since."""
        try:
            found = prompting.load(self.results.identity.prompt)
        except EgostError:
            return None
        return found if found.sha256 == self.results.identity.prompt_sha256 else None


def ordered(sources: Sequence[Source]) -> list[Question]:
    """Return the items of all sources, those of a scene and of a span next to one another."""
    known = {id_: one for source in sources for id_, one in source.questions.items()}
    return sorted(
        known.values(), key=lambda one: (one.split, one.split_group, one.video, one.twin or one.id)
    )


def index(items: Sequence[Question], sources: Sequence[Source]) -> dict[str, Any]:
    """Return what lists and filters need of all items: one character for each outcome and kind of error."""
    names: dict[str, list[str]] = {
        name: sorted({getattr(one, name) for one in items})
        for name in ("task", "category", "split_group", "split")
    }
    place = {name: {label: at for at, label in enumerate(labels)} for name, labels in names.items()}
    return {
        **names,
        "items": [
            [one.id, *(place[name][getattr(one, name)] for name in names), one.twin or ""]
            for one in items
        ],
        "sources": [_outcomes(items, source) for source in sources],
    }


def _outcomes(items: Sequence[Question], source: Source) -> dict[str, Any]:
    at = {one.id: number for number, one in enumerate(items)}
    found: dict[str, dict[int, list[list[str]]]] = defaultdict(dict)
    for one in source.scored:
        rows = found[one.arm].setdefault(one.repeat, [[_NOT_ASKED] * len(items) for _ in range(2)])
        number = at[one.question.id]
        rows[0][number] = _OUTCOMES[one.outcome]
        rows[1][number] = _error(one)
    return {
        "name": source.label,
        "arms": {
            arm: [["".join(row) for row in repeats[number]] for number in sorted(repeats)]
            for arm, repeats in _in_order(found).items()
        },
    }


def _in_order(found: Mapping[str, Any]) -> dict[str, Any]:
    order = {name: number for number, name in enumerate(arms.ARMS)}
    return {arm: found[arm] for arm in sorted(found, key=lambda one: (order.get(one, 99), one))}


def _error(one: Scored) -> str:
    """Return the kind of error: mirror, order, another one; a space where nothing is known of it."""
    if one.outcome != "wrong" or one.facts_right is None:
        return _NOT_ASKED
    return "m" if errs_only_in(one, sides=True) else "o" if errs_only_in(one, sides=False) else "x"


# ---- details, in blocks ----------------------------------------------------------------------------------


def blocks(items: Sequence[Question], sources: Sequence[Source]) -> list[list[dict[str, Any]]]:
    """Return the details of all items, `BATCH` in each block."""
    count = sum(len(source.scored) for source in sources)
    longest = max(_LEAST_TEXT, _TEXTS // max(1, count))
    replies = [(_by_item(source), parser_of(source.results.body)) for source in sources]
    ways = _ways(sources)
    details = [
        {
            "question": one.question,
            "options": list(one.options),
            "answer": one.answer_index,
            "facts": [[fact.name, list(fact.values)] for fact in one.facts],
            "mirrored": one.mirrored,
            "asked": [way.of(one) for way in ways],
            "replies": [
                [_reply(made, longest, parser) for made in own.get(one.id, ())]
                for own, parser in replies
            ],
        }
        for one in items
    ]
    return [details[start : start + BATCH] for start in range(0, len(details), BATCH)]


def _by_item(source: Source) -> Mapping[str, list[Scored]]:
    found: defaultdict[str, list[Scored]] = defaultdict(list)
    for one in source.scored:
        found[one.question.id].append(one)
    return found


def _reply(one: Scored, longest: int, parser: str) -> dict[str, Any]:
    """Return a prediction with why it was read so; texts that are too long lose their middle."""
    made, options = one.prediction, one.question.options
    order = arms.order_of(one.arm, len(options))
    shown = None if one.chosen is None else chr(ord("A") + order.index(one.chosen))
    why = ground(made, shown, [options[at] for at in order], parser)
    text, mark = shortened(made.reply or "", longest, (why.start, why.end))
    found = {
        "arm": one.arm,
        "repeat": one.repeat,
        "outcome": one.outcome,
        "letter": made.letter,
        "shown": shown if shown != made.letter else None,
        "true": one.true,
        "error": {"m": "mirror", "o": "order"}.get(_error(one)),
        "why": why.text,
        "mark": mark if mark[1] else None,
        "text": text,
        "reasoning": shortened(made.reasoning or "", longest)[0],
        "refusal": made.refusal,
        "flags": made.flags,
        "finish": made.finish,
        "tokens": [made.input_tokens, made.output_tokens] if made.input_tokens else None,
        "cost": made.cost_usd,
        "seconds": made.seconds,
        "failed": made.error,
        "sent": made.sent_sha256,
    }
    return {name: value for name, value in found.items() if value not in (None, "", [])}


def shortened(
    text: str, longest: int, mark: tuple[int, int] = (0, 0)
) -> tuple[str, tuple[int, int]]:
    """Return a text without its middle if it is too long, and where a marked part is then: (0, 0) if it is cut."""
    if len(text) <= longest:
        return text, mark
    head = tail = longest // 2
    cut = len(text) - head - tail
    note = f"\n[... {cut} characters are left out here; predictions.parquet has them ...]\n"
    whole = text[:head] + note + text[-tail:]
    start, end = mark
    if end <= head:
        return whole, mark
    by = len(note) - cut
    return whole, (start + by, end + by) if start >= len(text) - tail else (0, 0)


@dataclass(frozen=True)
class _Way:
    """How some sources put items to models: in which words, with which frames, in which arms."""

    prompt: Prompt | None
    frames: Frames | None
    arms: tuple[str, ...]

    @cached_property
    def label(self) -> Callable[[int, float], str]:
        """The text before a frame, by its number and time; those of a span are the same for all its items."""
        assert self.prompt
        return cache(self.prompt.label)

    def of(self, item: Question) -> dict[str, Any]:
        """Return what was sent of an item in each arm."""
        question = self.frames.questions.get(item.id) if self.frames else None
        if question is None:
            return {}
        sent, texts = {}, list[str]()
        for arm in self.arms:
            asked = "rotate" if arm.startswith("rotate-") else arm
            known = arms.ARMS.keys() & {asked}
            options = len(question.options)
            found = arms.shown(asked, item.id, question.frame_seconds, options) if known else []
            if one := dict(found).get(arm):
                sent[arm] = self._sent(question, one, texts)
        return {"frames": list(question.frames), "arms": sent, "texts": texts}

    def _sent(self, question: Question, one: Shown, texts: list[str]) -> dict[str, Any]:
        labels = [f"{at:.1f} s" for at in one.seconds]
        found: dict[str, Any] = {"pictures": one.pictures, "frames": list(one.frames)}
        if self.prompt:
            labels = [self.label(number, at) for number, at in enumerate(one.seconds, start=1)]
            options = [question.options[at] for at in one.order]
            medium = _MEDIA.get(one.pictures, "frames" if labels else "none")
            text = self.prompt.text(question.question, options, medium)
            if text not in texts:  # the same in most arms
                texts.append(text)
            found["text"] = texts.index(text)
        return found | {"labels": labels, "order": list(one.order)}


def _way_of(source: Source) -> tuple[str, float | None, bool]:
    identity = source.results.identity
    return identity.prompt_sha256, identity.fps, source.frames is None


def _ways(sources: Sequence[Source]) -> list[_Way]:
    """Return how models were asked, without repetition; the order is that of `way_numbers`."""
    alike: defaultdict[tuple[str, float | None, bool], list[Source]] = defaultdict(list)
    for source in sources:
        alike[_way_of(source)].append(source)
    return [
        _Way(
            own[0].prompt,
            own[0].frames,
            tuple({one.arm: None for source in own for one in source.scored}),
        )
        for own in alike.values()
    ]


def way_numbers(sources: Sequence[Source]) -> list[int]:
    """Return for each source which of the ways of asking in an item's details is its own."""
    ways = list(dict.fromkeys(map(_way_of, sources)))
    return [ways.index(_way_of(source)) for source in sources]


def pictures(items: Sequence[Question], sources: Sequence[Source]) -> list[dict[str, str]]:
    """Return the frames of all items for the page itself, sized down, as WebP in base64: by name, for each way of asking."""
    wanted = [
        {
            name: frames.folder / name
            for one in items
            if (question := frames.questions.get(one.id))
            for name in question.frames
        }
        if (frames := way.frames)
        else {}
        for way in _ways(sources)
    ]
    width = width_for(sum(map(len, wanted)), _WIDEST)
    found = []
    for names in wanted:
        made = films(([path] for path in names.values()), width)
        found.append({name: one.data for name, one in zip(names, made, strict=True) if one})
    return found


def arms_shown(sources: Sequence[Source]) -> dict[str, str]:
    """Return the arms of all sources with what each shows; the main one is first."""
    names = _in_order({one.arm: None for source in sources for one in source.scored})
    found = {
        name: arms.ARMS.get(name)
        or ("the options in another rotation" if name.startswith("rotate-") else "")
        for name in names
    }
    return {MAIN: found.pop(MAIN), **found} if MAIN in found else found


def folders(sources: Sequence[Source]) -> list[Path | None]:
    """Return the folder of the frames, for each way of asking."""
    return [way.frames.folder if way.frames else None for way in _ways(sources)]
