"""What the items of a clip ask: its spans, and what each option states of two facts. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.errors import plain
from pipeline.motion.heading_curve import Mark
from pipeline.motion.rows import Clip, Turn
from pipeline.questions.rows import AskedFact, Item, Span
from pipeline.questions.spans import inside
from pipeline.questions.visible import sees
from pipeline.report.clip_picture import in_time, marks
from pipeline.routes.route import canonical, print_lines
from pipeline.routes.rows import Route, Step
from pipeline.sources.rows import Video
from pipeline.times import print_time

_LETTERS = "ABCDEFGHIJ"


@dataclass(frozen=True)
class AskedClip:
    """A clip with its best route, its spans, its items, and the measured turns."""

    clip: Clip
    video: Video
    route: Route | None
    spans: Sequence[Span]
    items: Sequence[Item]
    turns: Sequence[Turn]

    def marks(self) -> list[Mark]:
        """Return the spans in time order, numbered from 1."""
        return marks(self.spans)

    def number(self, item: Item) -> int:
        """Return the number of the item's span; 0 if it asks about the whole clip."""
        ids = [span.span_id for span in in_time(self.spans)]
        return ids.index(item.span_id) + 1 if item.span_id in ids else 0

    def visible(self, item: Item) -> list[bool]:
        """Return for each fact of an item whether the frames of its span show it."""
        span = next((one for one in self.spans if one.span_id == item.span_id), None)
        if span is None:
            return []
        return sees(item.facts, span.frame_us, self.turns, self.video.hfov_degrees)

    def lines(self) -> Iterator[str]:
        """Yield the clip's route, divided by its spans, each followed by its items."""
        steps = canonical(self.route.steps) if self.route else ()
        rest = list(steps)
        for number, span in enumerate(in_time(self.spans), start=1):
            yield f"span {number} {self._span(span)}"
            own = inside(steps, span.start_us, span.end_us)
            rest = [step for step in rest if step not in own]
            yield from self._steps(own)
            for item in self.items:
                if item.span_id == span.span_id:
                    yield from _indented(self.item_lines(item))
        if rest:
            yield "in no span" if self.spans else "the whole clip"
            yield from self._steps(rest)
        for item in self.items:
            if not self.number(item):
                yield from self.item_lines(item)

    def item_lines(self, item: Item) -> Iterator[str]:
        """Yield an item's task, what each option states, and what is known about its facts."""
        twin = f", twin {item.twin}" if item.twin else ""
        yield f"{item.item_id} {item.task} ({item.status}){twin}: {plain(item.question)}"
        for index, text in enumerate(item.options):
            stated = ", ".join(f"{fact.name}={fact.values[index]}" for fact in item.facts)
            right = ", the answer" if index == item.answer_index else ""
            note = f" ({stated}{right})".replace("(, ", "(") if stated or right else ""
            yield f"  {_LETTERS[index]} {plain(text + note)}"
        if not item.options:
            yield f"  {plain(item.answer_text)}"
        for fact, seen in zip(item.facts, self.visible(item), strict=False):
            back, rewound, mirrored = (
                stated.removeprefix(f"{fact.name}=")
                for stated in (fact.back, fact.rewound, fact.mirrored)
            )
            yield plain(
                f"  {fact.name}: {'shown' if seen else 'not shown'} by the frames; on the way back {back}, "
                f"frames reversed {rewound}, mirrored {mirrored}"
            )

    def told(self, items: Iterable[Item]) -> Iterator[str]:
        """Yield for each of some items which part of the clip it asks about, and what."""
        for item in items:
            span = next((one for one in self.spans if one.span_id == item.span_id), None)
            about = f"span {self.number(item)} {self._span(span)}" if span else "the whole clip"
            yield f"{item.item_id} asks about {about}"
            yield from _indented(self.item_lines(item))

    def _steps(self, steps: Iterable[Step]) -> Iterator[str]:
        return _indented(map(plain, print_lines(steps, self.clip.start_us).splitlines()))

    def _span(self, span: Span) -> str:
        start, end = (
            print_time(time - self.clip.start_us) for time in (span.start_us, span.end_us)
        )
        mirrored = ", mirrored: shown with left and right exchanged" if span.mirrored else ""
        return f"({span.span_id}) from {start} to {end} of the clip{mirrored}"


def facts_shown(facts: Sequence[AskedFact], visible: Sequence[bool]) -> list[dict[str, Any]]:
    """Return facts as the report's script needs them; `visible` is empty if it isn't known."""
    return [
        {
            "name": fact.name,
            "values": fact.values,
            "maps": [fact.back, fact.rewound, fact.mirrored],
            "seen": visible[number] if number < len(visible) else None,
        }
        for number, fact in enumerate(facts)
    ]


def by_clip(rows: Iterable[Any]) -> defaultdict[str, list[Any]]:
    """Group rows by clip."""
    groups: defaultdict[str, list[Any]] = defaultdict(list)
    for row in rows:
        groups[row.clip_id].append(row)
    return groups


def _indented(lines: Iterable[str]) -> Iterator[str]:
    return (f"  {line}" for line in lines)
