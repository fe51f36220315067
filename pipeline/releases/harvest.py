"""The items that a workspace would release now, each with its question and evidence row."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pipeline.engine.rows import Finding, Row
from pipeline.engine.store import Store
from pipeline.motion.rows import Clip, Frame, Turn
from pipeline.questions.audited import by_item, key_of
from pipeline.questions.composition import kinds_asked, opaque, steps_shown, written_id
from pipeline.questions.draw import Draw
from pipeline.questions.facts import Fact
from pipeline.questions.rows import AskedFact, ComposedFrom, Item, Span, Written
from pipeline.questions.visible import shown
from pipeline.releases.candidate import Place, ReleaseCandidate, Said, place_of
from pipeline.releases.layout import GLANCE, LETTERS, Evidence, QuestionRow, ReleaseItem
from pipeline.releases.leftout import (
    FIXES,
    GONE,
    NO_CONSENT,
    NOT_VERIFIED,
    SET_ASIDE,
    TAKEN_DOWN,
    TOLD_BY_TIMES,
    LeftOut,
    taken_down,
)
from pipeline.releases.rows import Still
from pipeline.releases.scenelock import told_by_times
from pipeline.releases.spanmap import ReleasedSpan
from pipeline.review.counted import Counted
from pipeline.review.rows import Answer, Verdict
from pipeline.review.settings import ReviewSettings
from pipeline.routes.route import MOVE_WORDS, canonical
from pipeline.routes.rows import Category, Route
from pipeline.routes.wording import FACT_WORDS, load
from pipeline.sources.rows import Video


@dataclass(frozen=True)
class _Footage:
    """The part of a video that items ask about: a span, or a whole clip of items by an earlier version.

    `name` is its opaque id in releases.
    """

    name: str
    clip: Clip
    video: Video
    start_us: int
    end_us: int
    span: Span | None

    @property
    def mirrored(self) -> bool:
        return self.span is not None and self.span.mirrored

    @property
    def seconds(self) -> float:
        return (self.end_us - self.start_us) / 1e6

    def holds(self, at_us: int) -> bool:
        return self.start_us <= at_us <= self.end_us


class Harvest:
    """All rows that a release needs, by span, clip, item or video.

    `closed` names the licences that forbid sharing frames. `counted` holds the verdicts that count, which decide who verified an item. Stills and the places of the
    candidate are those of `place_of` an item.
    """

    def __init__(
        self,
        store: Store,
        review: ReviewSettings,
        *,
        only_verified: bool,
        min_verified: float,
        closed: Iterable[str] = (),
    ) -> None:
        self._draw = Draw(store.folder.secret())
        self._only_verified = only_verified
        self._closed = {licence.casefold() for licence in closed}
        self.videos = {video.video_id: video for video in store.rows(Video)}
        self.clips = {clip.clip_id: clip for clip in store.rows(Clip)}
        self.spans = {span.span_id: span for span in store.rows(Span)}
        routes = store.rows(Route)
        # "draft" sorts before "verified", so a verified route replaces its draft, as in composing.
        self.routes = {route.clip_id: route for route in routes}
        self.verdicts = store.rows(Verdict)
        self.counted = Counted.of(self.verdicts, review, store.folder)
        self.stills: Mapping[str, list[Still]] = _grouped(store.rows(Still), "span_id")
        self._written = {written_id(row, self._draw): row for row in store.rows(Written)}
        self._verdicts_of = Counter(verdict.clip_id for verdict in self.verdicts)
        self._turns: Mapping[str, list[Turn]] = _grouped(store.rows(Turn), "clip_id")
        self._frames: Mapping[str, list[Frame]] = _grouped(store.rows(Frame), "clip_id")
        self._findings: Mapping[str, list[Finding]] = _grouped(store.rows(Finding), "unit")
        self.why_out: dict[str, str] = {}
        out: dict[str, list[str]] = {}
        taken = taken_down(store.folder)
        asked = store.rows(Item)
        reasons = {item.item_id: self._why_not(item, taken) for item in asked}
        told = told_by_times(
            [item for item in asked if not reasons[item.item_id]],
            self.spans.values(),
            {name: video.split_group for name, video in self.videos.items()},
            {name for name, video in self.videos.items() if self._is_closed(video)},
        )
        reasons |= dict.fromkeys(told, TOLD_BY_TIMES)
        for item in asked:
            if why := reasons[item.item_id]:
                out.setdefault(why, []).append(item.item_id)
                self.why_out[item.item_id] = (
                    f"{why}: {item.status_reason}" if why == SET_ASIDE else why
                )
        items = tuple(item for item in asked if not reasons[item.item_id])
        self.left_out = tuple(LeftOut(why, tuple(rows)) for why, rows in sorted(out.items()))
        self._footage = {place_of(item): self._footage_of(item) for item in items}
        languages = {self.routes[item.clip_id].language for item in items}
        self.said = {one: self._words_in_use(store, one) for one in sorted(languages)}
        self.candidate = ReleaseCandidate(
            items,
            {place: self._place(place) for place in self._footage},
            self._verified_by(items, routes, store.rows(Answer)),
            min_verified,
            {item.item_id: self._visible(item) for item in items if item.facts},
        )

    def _words_in_use(self, store: Store, language: str) -> Said:
        """Return the words in a language's options: those that they were composed with."""
        wording = load(language)
        composed = [
            one
            for one in store.rows(ComposedFrom)
            if one.clip_id in self.routes and self.routes[one.clip_id].language == language
        ]
        moves = _most_used(one.moves for one in composed)
        facts = _most_used(one.words for one in composed)
        return Said(
            {**wording.moves, **dict(zip(MOVE_WORDS, moves, strict=False))},
            {**wording.facts, **dict(zip(FACT_WORDS, facts, strict=False))},
        )

    def _verified_by(
        self, items: Iterable[Item], routes: Iterable[Route], answers: Iterable[Answer]
    ) -> dict[str, frozenset[str]]:
        """Return by verified item who verified it: its route's facts, or its answer if a model wrote it."""
        of_route = self.counted.verified_by(routes)
        verified = {item.item_id: item for item in items if item.status == "verified"}
        given = by_item(verified.values(), answers)

        def of(item: Item) -> frozenset[str]:
            if item.option_kind == "model":
                chosen = given.get(item.item_id, ())
                return frozenset(one.by for one in chosen if one.choice == key_of(item))
            kinds: Iterable[Category] = kinds_asked(item.category, item.facts)
            return frozenset.intersection(
                *(of_route.get((item.clip_id, kind), frozenset()) for kind in kinds)
            )

        return {item_id: of(item) for item_id, item in verified.items()}

    def _footage_of(self, item: Item) -> _Footage:
        clip, video = self.clips[item.clip_id], self.videos[item.video_id]
        if item.span_id:
            span = self.spans[item.span_id]
            return _Footage(span.span_id, clip, video, span.start_us, span.end_us, span)
        # The id of a clip follows from its video, whose digest is public.
        name = opaque("s", self._draw, "clip", clip.clip_id)
        return _Footage(name, clip, video, clip.start_us, clip.end_us, None)

    def _place(self, place: str) -> Place:
        footage = self._footage[place]
        route = self.routes[footage.clip.clip_id]
        steps = canonical(route.steps)
        return Place(
            footage.video.split_group,
            footage.video.sha256,
            footage.start_us,
            footage.end_us,
            tuple(f"frames/{still.media}" for still in self.stills.get(place, ())),
            steps_shown(footage.span, steps) if footage.span else steps,
            self.said[route.language],
        )

    def _visible(self, item: Item) -> list[bool]:
        """Return for each fact of an item whether its released frames show it."""
        footage = self._footage[place_of(item)]
        moments = footage.span.frame_us if footage.span else []
        stills = self.stills.get(place_of(item), ())
        frames = [one.shows_us(at_us) for one, at_us in zip(stills, moments, strict=False)]
        turns = self._turns.get(item.clip_id, ())
        return [
            shown(_as_fact(fact), frames, turns, footage.video.hfov_degrees) for fact in item.facts
        ]

    def _why_not(self, item: Item, taken: Iterable[str]) -> str | None:
        known = item.video_id in self.videos and item.clip_id in self.clips
        if item.span_id and item.span_id not in self.spans:
            return GONE
        if not (known and item.clip_id in self.routes):
            return GONE
        if item.status == "set_aside":
            return SET_ASIDE
        video = self.videos[item.video_id]
        if video.sha256 in taken:
            return TAKEN_DOWN
        if video.consent != "release":
            return NO_CONSENT
        return NOT_VERIFIED if self._only_verified and item.status != "verified" else None

    def _is_closed(self, video: Video) -> bool:
        """Return whether a video's licence forbids sharing its frames."""
        return (video.licence or "").casefold() in self._closed

    def entries(
        self, dataset: str, human: Mapping[str, tuple[int, int]] | None = None
    ) -> Iterator[ReleaseItem]:
        """Yield the released rows of each item, in order of ids.

        `human` gives by item how many people answered it, and how many of them correctly.
        """
        for item in sorted(self.candidate.items, key=lambda one: one.item_id):
            answers, right = (human or {}).get(item.item_id, (0, 0))
            evidence = self._evidence(item).model_copy(
                update={"human_answers": answers, "human_right": right}
            )
            yield ReleaseItem(item.split, self._question(item, dataset), evidence)

    def _question(self, item: Item, dataset: str) -> QuestionRow:
        footage, stills = self._footage[place_of(item)], self.stills.get(place_of(item), ())
        letter = LETTERS[item.answer_index] if item.answer_index is not None else None
        return QuestionRow(
            id=item.item_id,
            dataset=dataset,
            scene_name=None,
            question_type=item.task,
            question=item.question,
            options=item.options,
            ground_truth=letter or item.answer_text,
            answer=letter,
            answer_text=item.answer_text,
            category=item.category,
            orientation=item.orientation,
            format=item.format,
            contrast=item.contrast,
            video=footage.name,
            video_sha256=None,
            start=0.0,
            end=footage.seconds,
            # The id of a group follows from its scene or its video, whose digest is public.
            split_group=opaque("g", self._draw, footage.video.split_group),
            frames=[f"frames/{still.media}" for still in stills],
            # When frames were really taken would tell where in its video the span lies.
            frame_seconds=[
                round((2 * number + 1) * footage.seconds / (2 * len(stills)), 6)
                for number in range(len(stills))
            ],
            language=self.routes[item.clip_id].language,
        )

    def _evidence(self, item: Item) -> Evidence:
        footage, route = self._footage[place_of(item)], self.routes[item.clip_id]
        written = self._written.get(item.item_id)
        source = written or route
        turns = [
            turn
            for turn in self._turns.get(item.clip_id, ())
            if turn.start_us < footage.end_us and turn.end_us > footage.start_us
        ]
        frames = [
            frame for frame in self._frames.get(item.clip_id, ()) if footage.holds(frame.t_us)
        ]
        # What is found in a clip is told of its route, which has the real sides.
        seen = " (as filmed)" if footage.mirrored else ""
        found = [
            *((one, seen) for one in self._findings.get(item.clip_id, ())),
            *((one, "") for one in self._findings.get(item.item_id, ())),
        ]
        sides, sign = (_MIRRORED, -1.0) if footage.mirrored else ({}, 1.0)
        kinds = [turn.kind if turn.moving else GLANCE for turn in turns]
        return Evidence(
            id=item.item_id,
            clip_id=item.clip_id,
            status=item.status,
            verified_by=sorted(self.candidate.verified_by.get(item.item_id, ())),
            flips=item.flips,
            reference_moves=item.reference_moves,
            reference_landmarks=item.reference_landmarks,
            steps=list(self.candidate.places[place_of(item)].steps),
            turn_kinds=[sides.get(kind, kind) for kind in kinds],
            turn_start=[turn.start_us / 1e6 for turn in turns],
            turn_end=[turn.end_us / 1e6 for turn in turns],
            turn_degrees=[sign * turn.yaw_degrees for turn in turns],
            frame_seconds=[frame.t_us / 1e6 for frame in frames],
            frame_media=[frame.media for frame in frames],
            findings=[f"{finding.severity}: {finding.message}{how}" for finding, how in found],
            provider="openai" if written else route.provider,
            model=source.model,
            prompt_sha256=source.prompt_sha256,
            reply_id=source.reply_id,
            cost_usd=source.cost_usd,
            written_evidence=written.evidence if written else None,
            written_seconds=[at_us / 1e6 for at_us in written.evidence_us] if written else [],
            verdicts=self._verdicts_of[item.clip_id],
            fingerprint=item.fingerprint,
            video_sha256=footage.video.sha256,
            span_start=footage.start_us / 1e6,
            span_end=footage.end_us / 1e6,
            mirrored=footage.mirrored,
            twin=item.twin,
            facts=item.facts,
            visible=list(self.candidate.visible.get(item.item_id, ())),
        )

    def sources(self) -> dict[str, dict[str, Any]]:
        """Return the manifest entry of each released video, by sha256."""
        wanted = {item.video_id for item in self.candidate.items}
        return {
            video.sha256: {
                "path": video.path,
                "sha256": video.sha256,
                "source": video.source,
                "licence": video.licence,
                # Absent where it is 0, as in releases from before there was a rotation.
                **({"rotation": video.manifest_rotation} if video.manifest_rotation else {}),
                # Absent where it isn't known and was assumed.
                **({"hfov_degrees": video.hfov_degrees} if video.hfov_degrees else {}),
            }
            for video in self.videos.values()
            if video.video_id in wanted
        }

    def released_spans(self, version: str) -> Iterator[ReleasedSpan]:
        """Yield what the private map keeps of each span."""
        for one in self._footage.values():
            yield ReleasedSpan(
                version=version,
                span_id=one.name,
                clip_id=one.clip.clip_id,
                video_sha256=one.video.sha256,
                start_us=one.start_us,
                end_us=one.end_us,
                mirrored=one.mirrored,
            )

    def hydrate(self) -> dict[str, dict[str, Any]]:
        """Return where the spans whose frames can't be released are cut from, by their names."""
        return {
            one.name: {
                "video": one.video.sha256,
                "start_us": one.start_us,
                "end_us": one.end_us,
            }
            for one in self._footage.values()
            if self._is_closed(one.video)
        }

    def media(self) -> dict[str, str]:
        """Return the released frames: name in the release to name in the workspace."""
        shown = {
            still.media
            for place, one in self._footage.items()
            if not self._is_closed(one.video)
            for still in self.stills.get(place, ())
        }
        return {f"frames/{name}": name for name in shown}

    def nothing(self) -> tuple[str, str]:
        """Return why there is nothing to release, and the fix."""
        counted = ", ".join(f"{len(one.rows)} items {one.why}" for one in self.left_out)
        fix = "; ".join(one.fix for one in self.left_out) or FIXES[GONE]
        return f"there is nothing to release ({counted or 'no items'})", fix


def _most_used(words: Iterable[Sequence[str]]) -> Sequence[str]:
    """Return the words that most clips were composed with; none if no clip names its words."""
    often = Counter(tuple(texts) for texts in words if texts)
    return often.most_common(1)[0][0] if often else ()


def _as_fact(asked: AskedFact) -> Fact:
    """Return what visibility depends on: a fact's kind and when it is seen."""
    times = asked.seen_us
    seen = tuple(zip(times[::2], times[1::2], strict=True))
    return Fact(asked.name.partition(":")[0], (), value=True, seen=seen)


_MIRRORED = {"left": "right", "right": "left"}
_AnyRow = TypeVar("_AnyRow", bound=Row)


def _grouped(rows: Iterable[_AnyRow], column: str) -> Mapping[str, list[_AnyRow]]:
    groups: dict[str, list[_AnyRow]] = {}
    for row in rows:
        groups.setdefault(getattr(row, column), []).append(row)
    return groups
