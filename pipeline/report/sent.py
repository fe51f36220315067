"""What was sent of each item, as a results page shows it: frames and words, told apart where models were asked differently."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from pipeline.evaluate import arms
from pipeline.evaluate.arms import Shown
from pipeline.evaluate.prompting import Medium, Prompt
from pipeline.evaluate.scoring import Question
from pipeline.report.film import films, width_for
from pipeline.report.result_sources import Frames, Source

_WIDEST = 320
_MEDIA: dict[str, Medium] = {"none": "none", "video": "video"}


@dataclass(frozen=True)
class _Wording:
    """In which words items of one kind were put to models, and in which arms; None where the words aren't known."""

    prompt: Prompt | None
    arms: tuple[str, ...]

    @cached_property
    def label(self) -> Callable[[int, float], str]:
        """The text before a frame, by its number and time; those of a span are the same for all its items."""
        assert self.prompt
        return cache(self.prompt.label)

    def of(self, question: Question) -> dict[str, Any]:
        """Return what was sent of an item in each arm."""
        sent, texts = {}, list[str]()
        for arm in self.arms:
            asked = "rotate" if arm.startswith("rotate-") else arm
            known = arms.ARMS.keys() & {asked}
            options = len(question.options)
            found = arms.shown(asked, question.id, question.frame_seconds, options) if known else []
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


@dataclass(frozen=True)
class Way:
    """How some sources put items to models: with which frames, and in which words those with options and those without."""

    frames: Frames | None
    choices: _Wording
    words: _Wording

    def of(self, item: Question) -> dict[str, Any]:
        """Return what was sent of an item in each arm; nothing where that isn't known."""
        question = self.frames.questions.get(item.id) if self.frames else None
        if question is None:
            return {}
        return (self.choices if item.options else self.words).of(question)


def _way_of(source: Source) -> tuple[object, ...]:
    identity = source.results.identity
    unknown = source.words is not None and source.words_prompt is None
    return identity.prompt_sha256, identity.fps, source.frames is None, unknown


def ways_of(sources: Sequence[Source]) -> list[Way]:
    """Return how models were asked, without repetition; the order is that of `way_numbers`."""
    alike: defaultdict[tuple[object, ...], list[Source]] = defaultdict(list)
    for source in sources:
        alike[_way_of(source)].append(source)
    return [_way(own) for own in alike.values()]


def _way(own: Sequence[Source]) -> Way:
    """Return how these sources, all alike, put items to models."""
    chosen = dict.fromkeys(one.arm for source in own for one in source.scored)
    told = [source for source in own if source.words]
    said = dict.fromkeys(
        one.prediction.arm for source in told if source.words for one in source.words.made
    )
    return Way(
        own[0].frames,
        _Wording(own[0].prompt, tuple(chosen)),
        _Wording(told[0].words_prompt if told else None, tuple(said)),
    )


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
        for way in ways_of(sources)
    ]
    width = width_for(sum(map(len, wanted)), _WIDEST)
    found = []
    for names in wanted:
        made = films(([path] for path in names.values()), width)
        found.append({name: one.data for name, one in zip(names, made, strict=True) if one})
    return found


def folders(sources: Sequence[Source]) -> list[Path | None]:
    """Return the folder of the frames, for each way of asking."""
    return [way.frames.folder if way.frames else None for way in ways_of(sources)]
