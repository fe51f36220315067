"""The items that a workspace would release now, each with its question and evidence row."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.rows import Finding
from pipeline.engine.store import Store
from pipeline.motion.rows import Clip, Frame, Turn
from pipeline.questions.audited import by_item, key_of
from pipeline.questions.rows import ComposedFrom, Item, Written
from pipeline.releases.gates import Origin, ReleaseCandidate, some
from pipeline.releases.layout import GLANCE, LETTERS, Evidence, QuestionRow, ReleaseItem
from pipeline.releases.rows import Still
from pipeline.review.counted import Counted
from pipeline.review.rows import Answer, Verdict
from pipeline.review.settings import ReviewSettings
from pipeline.routes.route import MOVE_WORDS
from pipeline.routes.rows import Route
from pipeline.routes.tasks import Words
from pipeline.routes.wording import load
from pipeline.sources.rows import Video

GONE = "of a video, clip or route that is gone"
NO_CONSENT = "without consent to release"
NOT_VERIFIED = "not verified"
SET_ASIDE = "set aside"
TAKEN_DOWN = "of a video that was taken down"
_FIXES = {
    GONE: "run egost generate-qa to compose items",
    NO_CONSENT: "write `release` in the consent column of manifest.csv (or ingest.consent), then egost frames",
    NOT_VERIFIED: "review more clips: egost review push, pull",
    SET_ASIDE: "egost show ID gives the reason; items that are corrected in review are released",
    TAKEN_DOWN: "none: videos that were taken down are never released again",
}


@dataclass(frozen=True)
class LeftOut:
    """Items that are left out for one reason, and the fix."""

    why: str
    rows: tuple[str, ...]

    @property
    def fix(self) -> str:
        """Return what to do so that they are released."""
        return _FIXES[self.why]

    def __str__(self) -> str:
        return f"left out: {len(self.rows)} items {self.why} ({some(self.rows)})"


class Harvest:
    """All rows that a release needs, by clip, item or video.

    `counted` holds the verdicts that count, which decide who verified an item.
    """

    def __init__(
        self, store: Store, review: ReviewSettings, *, only_verified: bool, min_verified: float
    ) -> None:
        self.videos = {video.video_id: video for video in store.rows(Video)}
        self.clips = {clip.clip_id: clip for clip in store.rows(Clip)}
        routes = store.rows(Route)
        # "draft" sorts before "verified", so a verified route replaces its draft, as in composing.
        self.routes = {route.clip_id: route for route in routes}
        self.verdicts = store.rows(Verdict)
        self.counted = Counted.of(self.verdicts, review, store.folder)
        self.stills = _by_clip(store.rows(Still))
        self._written = {row.item_id: row for row in store.rows(Written)}
        self._verdicts_of = Counter(verdict.clip_id for verdict in self.verdicts)
        self._turns = _by_clip(store.rows(Turn))
        self._frames = _by_clip(store.rows(Frame))
        self._findings: dict[str, list[Finding]] = {}
        for finding in store.rows(Finding):
            self._findings.setdefault(finding.unit, []).append(finding)
        self.why_out: dict[str, str] = {}
        out: dict[str, list[str]] = {}
        items = []
        taken = taken_down(store.folder)
        for item in store.rows(Item):
            if why := self._why_not(item, taken, only_verified):
                out.setdefault(why, []).append(item.item_id)
                self.why_out[item.item_id] = (
                    f"{why}: {item.status_reason}" if why == SET_ASIDE else why
                )
            else:
                items.append(item)
        self.left_out = tuple(LeftOut(why, tuple(rows)) for why, rows in sorted(out.items()))
        languages = Counter(self.routes[item.clip_id].language for item in items)
        self.language = languages.most_common(1)[0][0] if languages else "en"
        self.words = self._words_in_use(store)
        self.candidate = ReleaseCandidate(
            tuple(items),
            self.routes,
            self._verified_by(items, routes, store.rows(Answer)),
            min_verified,
            self._origins(items),
            self.words,
        )

    def _words_in_use(self, store: Store) -> Words:
        """Return the words for moves in the items' options: those that they were composed with."""
        used = Counter(
            tuple(one.moves)
            for one in store.rows(ComposedFrom)
            if one.moves
            and one.clip_id in self.routes
            and self.routes[one.clip_id].language == self.language
        )
        if not used:
            return load(self.language).moves
        return dict(zip(MOVE_WORDS, used.most_common(1)[0][0], strict=False))

    def _verified_by(
        self, items: Iterable[Item], routes: Iterable[Route], answers: Iterable[Answer]
    ) -> dict[str, frozenset[str]]:
        """Return by verified item who verified it: its route's facts, or its answer if a model wrote it."""
        of_route = self.counted.verified_by(routes)
        verified = {item.item_id: item for item in items if item.status == "verified"}
        given = by_item(verified.values(), answers)
        return {
            item_id: frozenset(
                one.by for one in given.get(item_id, ()) if one.choice == key_of(item)
            )
            if item.option_kind == "model"
            else of_route.get((item.clip_id, item.category), frozenset())
            for item_id, item in verified.items()
        }

    def _origins(self, items: Iterable[Item]) -> dict[str, Origin]:
        found = {}
        for clip_id in sorted({item.clip_id for item in items}):
            clip = self.clips[clip_id]
            video = self.videos[clip.video_id]
            found[clip_id] = Origin(
                video.split_group,
                video.sha256,
                clip.start_us,
                clip.end_us,
                tuple(f"frames/{still.media}" for still in self.stills.get(clip_id, ())),
            )
        return found

    def _why_not(self, item: Item, taken: Iterable[str], only_verified: bool) -> str | None:
        known = item.video_id in self.videos and item.clip_id in self.clips
        if not (known and item.clip_id in self.routes):
            return GONE
        if item.status == "set_aside":
            return SET_ASIDE
        video = self.videos[item.video_id]
        if video.sha256 in taken:
            return TAKEN_DOWN
        if video.consent != "release":
            return NO_CONSENT
        return NOT_VERIFIED if only_verified and item.status != "verified" else None

    def entries(
        self, dataset: str, human: Mapping[str, tuple[int, int]] | None = None
    ) -> Iterator[ReleaseItem]:
        """Yield the released rows of each item, in order of ids.

        `human` gives by item how many people answered it, and how many of them correctly.
        """
        for item in self.candidate.items:
            answers, right = (human or {}).get(item.item_id, (0, 0))
            evidence = self._evidence(item).model_copy(
                update={"human_answers": answers, "human_right": right}
            )
            yield ReleaseItem(item.split, self._question(item, dataset), evidence)

    def _question(self, item: Item, dataset: str) -> QuestionRow:
        video, clip = self.videos[item.video_id], self.clips[item.clip_id]
        stills = self.stills.get(item.clip_id, ())
        letter = LETTERS[item.answer_index] if item.answer_index is not None else None
        return QuestionRow(
            id=item.item_id,
            dataset=dataset,
            scene_name=video.scene,
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
            video=video.path,
            video_sha256=video.sha256,
            start=clip.start_us / 1e6,
            end=clip.end_us / 1e6,
            split_group=video.split_group,
            frames=[f"frames/{still.media}" for still in stills],
            frame_seconds=[still.t_us / 1e6 for still in stills],
        )

    def _evidence(self, item: Item) -> Evidence:
        route = self.routes[item.clip_id]
        written = self._written.get(item.item_id)
        source = written or route
        turns: Sequence[Turn] = self._turns.get(item.clip_id, ())
        frames: Sequence[Frame] = self._frames.get(item.clip_id, ())
        found = self._findings.get(item.clip_id, []) + self._findings.get(item.item_id, [])
        return Evidence(
            id=item.item_id,
            clip_id=item.clip_id,
            status=item.status,
            verified_by=sorted(self.candidate.verified_by.get(item.item_id, ())),
            flips=item.flips,
            reference_moves=item.reference_moves,
            reference_landmarks=item.reference_landmarks,
            steps=route.steps,
            turn_kinds=[turn.kind if turn.moving else GLANCE for turn in turns],
            turn_start=[turn.start_us / 1e6 for turn in turns],
            turn_end=[turn.end_us / 1e6 for turn in turns],
            turn_degrees=[turn.yaw_degrees for turn in turns],
            frame_seconds=[frame.t_us / 1e6 for frame in frames],
            frame_media=[frame.media for frame in frames],
            findings=[f"{finding.severity}: {finding.message}" for finding in found],
            provider="openai" if written else route.provider,
            model=source.model,
            prompt_sha256=source.prompt_sha256,
            reply_id=source.reply_id,
            cost_usd=source.cost_usd,
            written_evidence=written.evidence if written else None,
            written_seconds=[at_us / 1e6 for at_us in written.evidence_us] if written else [],
            verdicts=self._verdicts_of[item.clip_id],
            fingerprint=item.fingerprint,
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
            }
            for video in self.videos.values()
            if video.video_id in wanted
        }

    def media(self, closed: Iterable[str]) -> dict[str, str]:
        """Return the released frames: name in the release to name in the workspace.

        `closed` names the licences that forbid redistribution.
        """
        forbidden = {licence.casefold() for licence in closed}
        clips = {
            item.clip_id
            for item in self.candidate.items
            if (self.videos[item.video_id].licence or "").casefold() not in forbidden
        }
        return {
            f"frames/{still.media}": still.media
            for clip in sorted(clips)
            for still in self.stills.get(clip, ())
        }

    def nothing(self) -> tuple[str, str]:
        """Return why there is nothing to release, and the fix."""
        counted = ", ".join(f"{len(one.rows)} items {one.why}" for one in self.left_out)
        fix = "; ".join(one.fix for one in self.left_out) or _FIXES[GONE]
        return f"there is nothing to release ({counted or 'no items'})", fix


def _by_clip(rows: Iterable[Any]) -> Mapping[str, list[Any]]:
    groups: dict[str, list[Any]] = {}
    for row in rows:
        groups.setdefault(row.clip_id, []).append(row)
    return groups


def _takedowns(folder: WorkspaceFolder) -> Path:
    return folder.root / "takedowns.jsonl"


def taken_down(folder: WorkspaceFolder) -> frozenset[str]:
    """Return the sha256 of every video that was taken down and must never be released again."""
    path = _takedowns(folder)
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return frozenset(json.loads(line)["sha256"] for line in lines if line.strip())


def take_down(folder: WorkspaceFolder, sha256: str, path: str) -> None:
    """Record that a video was taken down."""
    if sha256 not in taken_down(folder):
        with _takedowns(folder).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"sha256": sha256, "path": path}, ensure_ascii=False) + "\n")
