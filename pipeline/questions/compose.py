"""Compose question-answer items from routes: descriptions of spans, and questions about pairs of facts.

All draws are keyed with the workspace's secret seed, so they can't be replayed. A span that was composed
before keeps its items while its facts and the settings are the same (`Span.made`), so a corrected clip
changes only its own items.
"""

import dataclasses
import gc
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pipeline.assets import asset
from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.rows import Rejection, Row, Rows, digest
from pipeline.motion.rows import Clip, Turn
from pipeline.questions.asking import Letters
from pipeline.questions.audited import Audited, after_audit, place_of_clip
from pipeline.questions.composition import (
    CONSTRUCTION,
    AskedPair,
    Composition,
    EarlierPair,
    RouteToAsk,
    SpanToAsk,
    ask,
    earlier_pairs,
    kinds_asked,
    opaque,
    spans_of,
    written_id,
)
from pipeline.questions.draw import Draw
from pipeline.questions.refusals import Refusals, unheld
from pipeline.questions.rows import ComposedFrom, Expected, Item, Span, Stratum, Written
from pipeline.questions.settings import ComposeSettings
from pipeline.questions.spans import LEAST_DESCRIBED
from pipeline.review.rows import Answer
from pipeline.routes import templates
from pipeline.routes.motion_draft import describe_steps
from pipeline.routes.remedies import Material
from pipeline.routes.route import TURNS, canonical, reverse, worth_describing
from pipeline.routes.rows import Category, Route, Step
from pipeline.routes.tasks import ROUTE, Task
from pipeline.routes.wording import FACT_WORDS, STEMS, Wording, load, words_in_order
from pipeline.sources.rows import Video

_FIELDS = set(Item.model_fields)
_NO_OPTIONS: Mapping[str, Any] = {
    "options": [],
    "answer_index": None,
    "option_kind": None,
    "contrast": None,
    "twin": None,
    "facts": [],
    "flips": [],
    "reference_moves": [],
    "reference_landmarks": [],
}


def depends(settings: ComposeSettings, folder: WorkspaceFolder) -> str:
    """Return the digest of the wordings, of the template of descriptions and of the secret seed."""
    texts = [asset(name).read_text(encoding="utf-8") for name in (STEMS, "prompts/describe.j2")]
    return digest(*texts, folder.secret().hex())


@dataclass(frozen=True)
class _ClipToAsk:
    """A clip to ask about: its best route, and the reason if people rejected it."""

    clip: Clip
    video: Video
    route: Route
    steps: tuple[Step, ...]
    refused: str | None
    wording: Wording
    turns: tuple[Turn, ...] = ()

    @cached_property
    def facts(self) -> str:
        """The digest of the route's moves, landmarks and actions, without the times of its steps."""
        return digest(*((s.move, s.landmark, s.action, s.undo) for s in self.route.steps))

    def to_ask(self, min_confidence: float) -> RouteToAsk:
        """Return what the composition needs; unsure turns of a draft wait for people."""
        waiting = frozenset[int]()
        if self.route.origin != "verified":
            waiting = frozenset(
                step.start_us
                for step in self.steps
                if step.move in TURNS and not self._measured(step, min_confidence)
            )
        return RouteToAsk(
            self.clip.clip_id,
            self.video.split_group,
            self.video.split,
            self.steps,
            self.wording,
            self.turns,
            self.video.hfov_degrees,
            waiting,
        )

    def _measured(self, step: Step, least: float) -> bool:
        return any(
            turn.confidence >= least and turn.start_us < step.end_us and turn.end_us > step.start_us
            for turn in self.turns
        )

    def material(self, span_seconds: float) -> Material:
        """Return what there is to ask about."""
        return Material(
            seconds=(self.clip.end_us - self.clip.start_us) / 1e6,
            video_seconds=self.video.duration_us / 1e6,
            span_seconds=span_seconds,
            provider=self.route.provider,
            landmarks=any(step.landmark for step in self.steps),
            actions=any(step.action for step in self.steps),
        )

    @property
    def place(self) -> str:
        """What keeps the items that an earlier version composed of this clip."""
        return place_of_clip(self.clip.clip_id, self.facts)

    def status_of(self, item: Item) -> tuple[str, str | None]:
        """Return the status of an item of this clip, and the reason."""
        return self.status(kinds_asked(item.category, item.facts))

    def status(self, categories: Iterable[Category]) -> tuple[str, str | None]:
        """Return the status of an item about these categories of facts, and the reason."""
        if self.refused:
            return "set_aside", self.refused
        return ("verified" if {*categories} <= {*self.route.verified_categories} else "draft"), None


def run(rows: Rows, settings: ComposeSettings, folder: WorkspaceFolder) -> Iterator[Row]:
    """Compose the items of all clips; a category that a clip can't support is a rejection."""
    with garbage_collection_paused():
        yield from _items(rows, settings, Draw(folder.secret()))


@contextmanager
def garbage_collection_paused() -> Iterator[None]:
    """Pause garbage collection: rows form no cycles, and traversing them takes a fifth of the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _items(rows: Rows, settings: ComposeSettings, draw: Draw) -> Iterator[Row]:
    asked = sorted(_asked(rows), key=lambda one: draw(one.clip.clip_id))
    audited = Audited.of(rows, {one.clip.clip_id: one.facts for one in asked})
    newest = {one.route.language: one.wording for one in asked}
    used = {language: audited.in_use(wording) for language, wording in newest.items()}
    asked = [dataclasses.replace(one, wording=used[one.route.language]) for one in asked]
    reworded = {language for language, wording in newest.items() if used[language] != wording}
    spans = {
        one.clip.clip_id: spans_of(one.to_ask(settings.min_confidence), settings, draw)
        for one in asked
        if one.place not in audited.items
    }
    everything = [span for found in spans.values() for span in found]
    before = {} if rows.redo else _before(rows, _made(settings))
    composition = ask(everything, before, settings, draw, rows[Expected])
    composer = _Composer(draw, templates.load("describe.j2"), rows)
    yield from audited.absent({one.place for one in asked} | {span.span_id for span in everything})
    strata = composition.strata or rows.before(Stratum)
    yield from strata
    apart_us = round(settings.apart_seconds * 1e6)
    refusals = Refusals(composition, strata, rows.before(Rejection), draw, apart_us)
    yield from after_audit(
        _composed(asked, spans, settings, refusals, composition, composer, audited, reworded),
        rows[Answer],
    )


def _made(settings: ComposeSettings) -> str:
    """Return what `Span.made` holds: a digest of how items are composed now."""
    return digest(CONSTRUCTION, settings.for_keys())


def _before(rows: Rows, made: str) -> Mapping[str, Sequence[EarlierPair]]:
    """Return the spans composed before with these settings, each with the pairs that it keeps."""
    pairs = earlier_pairs(rows.before(Item))
    return {
        span.span_id: pairs.get(span.span_id, ()) for span in rows.before(Span) if span.made == made
    }


def _composed(
    asked: Iterable[_ClipToAsk],
    spans: Mapping[str, Sequence[SpanToAsk]],
    settings: ComposeSettings,
    refusals: Refusals,
    composition: Composition,
    composer: "_Composer",
    audited: Audited,
    reworded: Set[str],
) -> Iterator[Row]:
    for one in asked:
        old_words = one.route.language in reworded
        yield ComposedFrom.model_construct(
            clip_id=one.clip.clip_id,
            facts=one.facts,
            moves=words_in_order(one.wording.moves),
            words=[one.wording.facts[name] for name in FACT_WORDS],
        )
        if one.clip.clip_id not in spans:
            yield from audited.keep(one.place, (), one.status_of, reworded=True)
            continue
        of_clip = spans[one.clip.clip_id]
        for span in of_clip:
            yield Span(
                span_id=span.span_id,
                clip_id=one.clip.clip_id,
                video_id=one.video.video_id,
                start_us=span.start_us,
                end_us=span.end_us,
                frame_us=list(span.frame_us),
                mirrored=span.mirrored,
                upright=span.upright,
                made=_made(settings),
            )
            items = [
                *composer.route_items(one, span),
                *composer.pair_items(one, span, composition.questions(span)),
            ]
            yield from audited.keep(span.span_id, items, one.status_of, reworded=old_words)
        yield from composer.written_items(one, of_clip)
        material = one.material(settings.span_seconds)
        yield from refusals.of(one.clip.clip_id, of_clip, material)


def _asked(rows: Rows) -> Iterator[_ClipToAsk]:
    videos = {video.video_id: video for video in rows[Video]}
    # "draft" sorts before "verified", so a verified route replaces the draft.
    best = {route.clip_id: route for route in sorted(rows[Route], key=lambda route: route.origin)}
    refused = {row.unit: row.what for row in rows[Rejection] if row.stage == "review"}
    measured: dict[str, list[Turn]] = {}
    for turn in rows[Turn]:
        measured.setdefault(turn.clip_id, []).append(turn)
    wordings = {language: load(language) for language in {one.language for one in best.values()}}
    for clip in rows[Clip]:
        # A killed run may have dropped a video and not yet its clips.
        if (route := best.get(clip.clip_id)) and clip.video_id in videos:
            yield _ClipToAsk(
                clip,
                videos[clip.video_id],
                route,
                canonical(route.steps),
                refused.get(clip.clip_id),
                wordings[route.language],
                tuple(measured.get(clip.clip_id, ())),
            )


class _Composer:
    """Makes item rows; an item that a model wrote keeps the letter that it had before."""

    def __init__(self, draw: Draw, describe: templates.Prompt, rows: Rows) -> None:
        self._draw = draw
        self._describe = describe
        self._letters = Letters(draw)
        self._earlier = {
            item.item_id: item.answer_index
            for item in rows.before(Item)
            if item.option_kind == "model"
        }
        self._written: dict[str, list[Written]] = {}
        for row in rows[Written]:
            self._written.setdefault(row.clip_id, []).append(row)

    def route_items(self, one: _ClipToAsk, span: SpanToAsk) -> Iterator[Item]:
        """Yield the items that ask for a description of a span, if there is enough to describe."""
        if worth_describing(span.steps) < LEAST_DESCRIBED:
            return
        whole = len(span.steps) == len(one.steps) and not span.mirrored
        twin = opaque("t", self._draw, span.span_id, "route")
        for task in ROUTE:
            way = task.orientation
            steps = reverse(span.steps) if way == "reverse" else span.steps
            text = describe_steps(self._describe, span.steps, way, one.wording)
            if whole:  # people may have worded it better
                route = one.route
                text = route.forward_description if way == "forward" else route.reverse_description
            name = opaque("i", self._draw, twin, way)
            stems = one.wording.stems[task.name]
            yield self._item(
                one,
                task,
                name,
                span.span_id,
                question=stems[self._draw(name, "stem") % len(stems)],
                twin=twin,
                format="open",
                answer_text=text,
                reference_moves=[step.move for step in steps],
                reference_landmarks=[step.landmark for step in steps if step.landmark],
            )

    def pair_items(
        self, one: _ClipToAsk, span: SpanToAsk, pairs: Iterable[AskedPair]
    ) -> Iterator[Item]:
        """Yield the multiple-choice items about pairs of facts."""
        for asked in pairs:
            for way, question in asked.questions.items():
                yield self._item(
                    one,
                    Task(asked.pair.category, way),
                    asked.item_ids[way],
                    span.span_id,
                    question=question.question,
                    twin=asked.twin,
                    format="mcq",
                    options=list(question.options),
                    answer_index=question.answer_index,
                    answer_text=question.options[question.answer_index],
                    option_kind="facts",
                    contrast=asked.pair.contrast,
                    facts=asked.facts(way),
                )

    def written_items(self, one: _ClipToAsk, spans: Sequence[SpanToAsk]) -> Iterator[Row]:
        """Yield the items that a model wrote, each about the span that holds all its evidence.

        They aren't based on the route, so no verdict on it verifies them.
        """
        for row in self._written.get(one.clip.clip_id, ()):
            holding = [
                span
                for span in spans
                if all(span.start_us <= at_us <= span.end_us for at_us in row.evidence_us)
            ]
            if len(holding) != 1 or holding[0].mirrored:
                yield unheld(row.item_id, mirrored=bool(holding))
                continue
            name, task = written_id(row, self._draw), Task(row.category, row.orientation)
            fields: dict[str, Any] = {"format": "open", "answer_text": row.answer}
            if row.format == "mcq":
                # Keyed by their texts, so that the order of generation leaves no trace.
                options = sorted(row.distractors, key=lambda text: self._draw(name, "option", text))
                index = self._earlier.get(name)
                if index is None:
                    index = self._letters.next(row.task, one.video.split, name)
                options.insert(index, row.answer)
                fields |= {
                    "format": "mcq",
                    "options": options,
                    "answer_index": index,
                    "contrast": "content",
                }
            item = self._item(one, task, name, holding[0].span_id, question=row.question, **fields)
            yield item.model_copy(
                update={
                    "task": row.task,
                    "option_kind": "model",
                    "status": "set_aside" if one.refused else "draft",
                    "status_reason": one.refused,
                }
            )

    def _item(self, one: _ClipToAsk, task: Task, name: str, span_id: str, **fields: Any) -> Item:
        asked: dict[str, Any] = {**_NO_OPTIONS, **fields}
        status, reason = one.status(kinds_asked(task.category, asked["facts"]))
        # Valid by construction: validating 800,000 items, each with its own set of field names, took
        # 1.4 GB and a quarter of the time.
        return Item.model_construct(
            _fields_set=_FIELDS,
            item_id=name,
            clip_id=one.clip.clip_id,
            video_id=one.clip.video_id,
            span_id=span_id,
            split=one.video.split,
            task=task.name,
            category=task.category,
            orientation=task.orientation,
            status=status,
            status_reason=reason,
            fingerprint=digest(asked["question"], asked["options"], asked["answer_text"]),
            **asked,
        )
