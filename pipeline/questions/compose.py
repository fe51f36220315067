"""Compose question-answer items from routes: route descriptions, and squares for the other categories.

All draws are keyed with the workspace's secret seed and each item's id, so they can't be replayed, and
adding a clip doesn't change other clips' items. Letters and flips are balanced within a split.
"""

import dataclasses
import gc
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

from pipeline.assets import asset
from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.rows import Rejection, Row, Rows, digest
from pipeline.motion.rows import Clip, Turn
from pipeline.questions.audited import Audited, after_audit
from pipeline.questions.balance import ChosenSquares, SquareCandidate, choose_squares
from pipeline.questions.draw import Draw
from pipeline.questions.order import OrderModel
from pipeline.questions.rows import ComposedFrom, Item, Written, item_id
from pipeline.questions.settings import ComposeSettings
from pipeline.review.rows import Answer
from pipeline.routes.route import OPPOSITE, canonical
from pipeline.routes.rows import Category, Move, Route, Step
from pipeline.routes.tasks import (
    MIXED,
    ORIENTATIONS,
    ROUTE,
    SQUARE_CATEGORIES,
    RouteText,
    Square,
    Task,
    texts,
)
from pipeline.routes.wording import STEMS, Wording, load, words_in_order
from pipeline.sources.rows import Split, Video

_FIELDS = set(Item.model_fields)
_NO_OPTIONS: Mapping[str, Any] = {
    "options": [],
    "answer_index": None,
    "option_kind": None,
    "contrast": None,
    "flips": [],
    "reference_moves": [],
    "reference_landmarks": [],
}


def depends(settings: ComposeSettings, folder: WorkspaceFolder) -> str:
    """Return the digest of the wordings and of the secret seed."""
    return digest(asset(STEMS).read_text(encoding="utf-8"), folder.secret().hex())


@dataclass(frozen=True)
class _ClipToAsk:
    """A clip to ask about: its best route in canonical form, and the reason if people rejected it."""

    clip: Clip
    video: Video
    route: Route
    steps: tuple[Step, ...]
    refused: str | None
    wording: Wording
    measured: tuple[Turn, ...] = ()

    def doubtful(self, least: float) -> frozenset[str]:
        """Return the turns of a draft for which no turn of at least this confidence was measured."""
        if self.route.origin == "verified":
            return frozenset()
        sided = [step for step in self.steps if step.move != "straight"]
        return frozenset(
            f"turn:{index}"
            for index, step in enumerate(sided)
            if not any(
                turn.confidence >= least
                and turn.start_us < step.end_us
                and turn.end_us > step.start_us
                for turn in self.measured
            )
        )

    @cached_property
    def facts(self) -> str:
        """The digest of the route's moves, landmarks and actions, without the times of its steps."""
        return digest(*((s.move, s.landmark, s.action, s.undo) for s in self.route.steps))

    def status(self, task: Task) -> tuple[str, str | None]:
        if self.refused:
            return "set_aside", self.refused
        return ("verified" if task.category in self.route.verified_categories else "draft"), None

    def item_id(self, task: Task) -> str:
        return item_id(self.clip.clip_id, task.name)


def run(rows: Rows, settings: ComposeSettings, folder: WorkspaceFolder) -> Iterator[Row]:
    """Compose the items of all clips; a category that a clip can't support is a rejection."""
    with _garbage_collection_paused():
        yield from _items(rows, settings, Draw(folder.secret()))


@contextmanager
def _garbage_collection_paused() -> Iterator[None]:
    """Pause garbage collection: rows form no cycles, and traversing them takes a fifth of the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _items(rows: Rows, settings: ComposeSettings, draw: Draw) -> Iterator[Row]:
    composer = _Composer(draw, rows.before(Item))
    asked = sorted(_asked(rows), key=lambda one: draw(one.clip.clip_id))
    audited = Audited.of(rows, {one.clip.clip_id: one.facts for one in asked})
    asked, reworded = _with_words_in_use(asked, audited.moves)
    choices = _chosen(
        [composer.candidate(one, settings.min_confidence) for one in asked], settings, draw
    )
    written: dict[str, list[Written]] = {}
    for row in rows[Written]:
        written.setdefault(row.clip_id, []).append(row)
    composer.reserve(asked, choices, written)
    composed = _composed(asked, choices, composer, written, audited, reworded)
    yield from after_audit(composed, rows[Answer])


def _with_words_in_use(
    asked: list[_ClipToAsk], moves: Mapping[str, Mapping[Move, str]]
) -> tuple[list[_ClipToAsk], Set[str]]:
    """Return the clips with the words for moves that audited items use, and the languages concerned.

    Options with old and new words in one release would differ in more than their facts, so the words
    of a language change for all its items or for none.
    """
    wordings = {one.route.language: one.wording for one in asked}
    changed = {
        language: dataclasses.replace(wording, moves={**wording.moves, **moves[language]})
        for language, wording in wordings.items()
        if language in moves and not moves[language].items() <= wording.moves.items()
    }
    if not changed:
        return asked, set()
    return [
        dataclasses.replace(one, wording=changed.get(one.route.language, one.wording))
        for one in asked
    ], changed.keys()


def _chosen(
    candidates: Sequence[SquareCandidate], settings: ComposeSettings, draw: Draw
) -> dict[str, ChosenSquares]:
    models = {
        category: OrderModel(
            (one.group, texts(one.route.of(category), "forward")) for one in candidates
        )
        for category in SQUARE_CATEGORIES[1:]
    }
    return choose_squares(candidates, models, round(settings.apart_seconds * 1e6), draw)


def _composed(
    asked: Iterable["_ClipToAsk"],
    choices: Mapping[str, ChosenSquares],
    composer: "_Composer",
    written: Mapping[str, Sequence[Written]],
    audited: Audited,
    reworded: Set[str],
) -> Iterator[Row]:
    yield from audited.absent({one.clip.clip_id: one.facts for one in asked})
    for one in asked:
        choice = choices[one.clip.clip_id]
        old_words = one.route.language in reworded
        keep = partial(audited.keep, one.clip.clip_id, one.facts, old_words=old_words)
        yield ComposedFrom.model_construct(
            clip_id=one.clip.clip_id, facts=one.facts, moves=words_in_order(one.wording.moves)
        )
        yield from keep("route", [composer.open_item(one, task) for task in ROUTE], one.status)
        for category in SQUARE_CATEGORIES:
            made: list[Row] = []
            if category in choice.squares:
                for orientation in ORIENTATIONS:
                    task = Task(category, orientation)
                    made.append(composer.square_item(one, task, choice.squares[category]))
            else:
                made.append(_rejection(one, category, choice.reasons[category]))
            yield from keep(category, made, one.status)
        for row in written.get(one.clip.clip_id, ()):
            yield composer.written_item(one, row)


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


def _rejection(one: _ClipToAsk, category: Category, reason: str) -> Rejection:
    return Rejection(
        stage="compose",
        unit=one.clip.clip_id,
        what=f"no {category} items: {reason}",
        fix="longer clips (frames.max_clip_seconds), richer narrations, or correct the route in review",
    )


@dataclass(frozen=True, slots=True)
class _EarlierItem:
    """What a recomposed item keeps of its earlier version."""

    flips: Sequence[str]
    answer_index: int | None


class _Composer:
    """Composes items; items that existed before keep their letters and flips."""

    def __init__(self, draw: Draw, earlier: Iterable[Item]) -> None:
        self._draw = draw
        self._earlier = {
            item.item_id: _EarlierItem(item.flips, item.answer_index) for item in earlier
        }
        self._used: Counter[tuple[str, Split, int]] = Counter()

    def candidate(self, one: _ClipToAsk, min_confidence: float) -> SquareCandidate:
        """Return what a clip's squares are chosen from, and the flips that its items have had."""
        kept: dict[Category, Sequence[str]] = {}
        # Skipped in the first run: there is nothing to look up, and the digests would take a tenth of the time.
        for category in SQUARE_CATEGORIES if self._earlier else ():
            before = self._earlier.get(one.item_id(Task(category, "forward")))
            if before:
                kept[category] = before.flips
        return SquareCandidate(
            one.clip.clip_id,
            one.video.split,
            one.video.split_group,
            RouteText(one.steps, one.wording.moves),
            kept,
            one.doubtful(min_confidence),
        )

    def reserve(
        self,
        asked: Iterable[_ClipToAsk],
        choices: Mapping[str, ChosenSquares],
        written: Mapping[str, Iterable[Written]],
    ) -> None:
        """Count the letters of the items that existed before, which keep them."""
        for one in asked if self._earlier else ():
            staying = [
                (one.item_id(task), task.name)
                for category in choices[one.clip.clip_id].squares
                for task in (Task(category, orientation) for orientation in ORIENTATIONS)
            ]
            staying += [(row.item_id, row.task) for row in written.get(one.clip.clip_id, ())]
            for name, task_name in staying:
                before = self._earlier.get(name)
                if before and before.answer_index is not None:
                    self._used[task_name, one.video.split, before.answer_index] += 1

    def open_item(self, one: _ClipToAsk, task: Task) -> Item:
        """Return an item that asks for a description, with moves and landmarks as references for scoring."""
        moves = [step.move for step in one.steps]
        landmarks = [step.landmark for step in one.steps if step.landmark]
        description = one.route.forward_description
        if task.orientation == "reverse":
            # As route.reverse, without validating its steps, which took a tenth of the time.
            moves = [OPPOSITE[move] for move in reversed(moves)]
            landmarks.reverse()
            description = one.route.reverse_description
        return self._item(
            one,
            task,
            one.item_id(task),
            task.name,
            format="open",
            answer_text=description,
            reference_moves=moves,
            reference_landmarks=landmarks,
        )

    def square_item(self, one: _ClipToAsk, task: Task, square: Square) -> Item:
        """Return an item with a square's four options."""
        name = one.item_id(task)
        truth, *distractors = square.options(task.orientation)
        return self._item(
            one,
            task,
            name,
            task.name + (MIXED if square.contrast == "mixed" else ""),
            **self._lettered(one, name, task.name, truth, distractors),
            option_kind="square",
            contrast=square.contrast,
            flips=square.names,
        )

    def written_item(self, one: _ClipToAsk, row: Written) -> Item:
        """Return an item that a model wrote; it isn't based on the route, so no verdict on it verifies it."""
        asked: dict[str, Any] = {**_NO_OPTIONS, "answer_text": row.answer}
        if row.format == "mcq":
            asked |= self._lettered(one, row.item_id, row.task, row.answer, row.distractors)
            asked["contrast"] = "content"
        return Item(
            item_id=row.item_id,
            clip_id=row.clip_id,
            video_id=one.clip.video_id,
            split=one.video.split,
            task=row.task,
            category=row.category,
            orientation=row.orientation,
            question=row.question,
            status="set_aside" if one.refused else "draft",
            status_reason=one.refused,
            fingerprint=digest(row.question, asked["options"], row.answer),
            **{**asked, "format": row.format, "option_kind": "model"},
        )

    def _lettered(
        self, one: _ClipToAsk, item_id: str, task_name: str, truth: str, distractors: Iterable[str]
    ) -> dict[str, Any]:
        # Keyed by their texts, so that the order of generation leaves no trace.
        options = sorted(distractors, key=lambda text: self._draw(item_id, "option", text))
        index = self._letter(item_id, task_name, one.video.split)
        options.insert(index, truth)
        return {
            "format": "mcq",
            "options": options,
            "answer_index": index,
            "answer_text": truth,
        }

    def _letter(self, item_id: str, task_name: str, split: Split) -> int:
        before = self._earlier.get(item_id)
        if before and before.answer_index is not None:
            return before.answer_index
        used = [self._used[task_name, split, index] for index in range(4)]
        fewest = min(used)
        least = [index for index in range(4) if used[index] == fewest]
        index = least[self._draw(item_id, "letter") % len(least)]
        self._used[task_name, split, index] += 1
        return index

    def _item(self, one: _ClipToAsk, task: Task, name: str, stem: str, **fields: object) -> Item:
        wordings = one.wording.stems[stem]
        question = wordings[self._draw(name, "stem") % len(wordings)]
        status, reason = one.status(task)
        asked: dict[str, Any] = {**_NO_OPTIONS, **fields}
        # Valid by construction: validating 800,000 items, each with its own set of field names, took
        # 1.4 GB and a quarter of the time.
        return Item.model_construct(
            _fields_set=_FIELDS,
            item_id=name,
            clip_id=one.clip.clip_id,
            video_id=one.clip.video_id,
            split=one.video.split,
            task=task.name,
            category=task.category,
            orientation=task.orientation,
            question=question,
            status=status,
            status_reason=reason,
            fingerprint=digest(question, asked["options"], asked["answer_text"]),
            **asked,
        )
