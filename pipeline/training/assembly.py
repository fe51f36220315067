"""Which rows the items of a train split give, as their frames show them, and why others are left out."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from pipeline.training.contrast import Way, contrast, names_text
from pipeline.training.frames import SpanFrames
from pipeline.training.rows import Made, TrainingRow
from pipeline.training.source import SourceItem, TrainSplit

NO_VIDEO = "their video isn't there, and the release has no frames that are close enough"
UNREADABLE = "their video can't be read"
IN_WORDS = "they are answered in words, and nothing tells what is true of such frames"
UNDEFINED = "what is true of such frames is none of their options"
TEXT = "something with text is passed, which would be mirrored (--mirror-text allows it)"


@dataclass(frozen=True)
class LeftOut:
    """How many items got no row, and how many rows no contrast row, by way; each by reason."""

    items: Counter[str]
    contrast: Mapping[Way, Counter[str]]

    def lines(self) -> Iterator[str]:
        """Yield a line for each reason."""
        for why, count in sorted(self.items.items()):
            yield f"left out: {count} items: {why}"
        for way, reasons in self.contrast.items():
            for why, count in sorted(reasons.items()):
                yield f"without {way} frames: {count} items: {why}"


@dataclass(frozen=True)
class Assembly:
    """How rows are put together from a train split and the frames of its spans.

    `places` are the spans whose frames come from somewhere. `ways` are those in which frames are also shown;
    mirrored ones of something with text, or with one of the `upright` words in a name, only if `mirror_text`.
    `settled` says why an item, shown in a way, is left out: a model learns nothing from it.
    """

    split: TrainSplit
    places: Collection[str]
    ways: Sequence[Way]
    mirror_text: bool
    upright: Sequence[str]
    settled: Mapping[tuple[str, Made], str]

    @cached_property
    def mirrored(self) -> set[str]:
        """The spans whose frames are needed flipped as well."""
        return {
            item.asked.video
            for item in self.split.items
            if "mirrored" in self.ways and self._why_no(item, "mirrored") is None
        }

    def rows(self, frames: Mapping[str, SpanFrames]) -> tuple[list[TrainingRow], LeftOut]:
        """Return the rows in order of their ids, without think texts and weights, and what is left out."""
        out = Counter(self.split.left_out)
        lacking: dict[Way, Counter[str]] = {way: Counter() for way in self.ways}
        found: list[TrainingRow] = []
        for item in self.split.items:
            of_span = frames.get(item.asked.video)
            if of_span is None:
                out[UNREADABLE if item.asked.video in self.places else NO_VIDEO] += 1
                continue
            if why := item.why_not(of_span.shown_us):
                out[why] += 1
                continue
            row = released_row(item, of_span)
            if why := self.settled.get((item.row.id, "released")):
                out[why] += 1
            else:
                found.append(row)
            for way in self.ways:
                names = of_span.mirrored if way == "mirrored" else of_span.names
                why = self._why_no(item, way)
                other = None if why else contrast(row, item.asked, way, names)
                if other:
                    found.append(other)
                else:
                    lacking[way][why or UNDEFINED] += 1
        return sorted(found, key=lambda row: row.id), LeftOut(out, lacking)

    def _why_no(self, item: SourceItem, way: Way) -> str | None:
        """Return why an item gets no row with such frames; None if it gets one."""
        if item.row.format != "mcq":
            return IN_WORDS
        if item.asked.option_true_of(way) is None:
            return UNDEFINED
        if way == "mirrored" and not self.mirror_text and names_text(item.names, self.upright):
            return TEXT
        return self.settled.get((item.row.id, way))


def released_row(item: SourceItem, frames: SpanFrames) -> TrainingRow:
    """Return an item as a row with its own frames, without think text and weight."""
    row = item.row
    return TrainingRow.model_validate(
        {
            "id": row.id,
            "item": row.id,
            "made": "released",
            "question_type": row.question_type,
            "category": row.category,
            "orientation": row.orientation,
            "contrast": row.contrast,
            "format": row.format,
            "language": item.language,
            "split_group": row.split_group,
            "video": row.video,
            "question": row.question,
            "options": row.options,
            "answer": row.answer,
            "answer_text": row.answer_text or "",
            "facts": item.facts,
            "happenings": item.seen(frames.shown_us),
            "seconds": item.asked.seconds,
            "frames": frames.names,
            "frame_seconds": [at_us / 1e6 for at_us in frames.times_us],
            "think": None,
            "think_source": "none",
        }
    )
