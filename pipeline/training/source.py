"""What rows are made of: the items of a release's train split, with what happens in their spans."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from pipeline.errors import GateError, UserError
from pipeline.evaluate.reading import question_of
from pipeline.evaluate.scoring import Question
from pipeline.motion.rows import Turn
from pipeline.questions.facts import KINDS, Fact
from pipeline.questions.rows import AskedFact
from pipeline.questions.visible import sees, shown
from pipeline.releases.layout import Evidence, QuestionRow, ReleaseItem
from pipeline.releases.reading import NEW_COPY, Released
from pipeline.routes.route import TURNS
from pipeline.routes.tasks import plain
from pipeline.training.rows import Happening

SPLIT = "train"
LEAST_VIDEOS = 4
"""Of so many videos there must be rows: on fewer, a model learns the places and not the task."""

_NEEDED = ("canary", "dataset", "settings", "videos", "withheld")  # in the manifest

UNVERIFIED = "nobody has verified them (--unverified uses them)"
NO_FACTS = "a model wrote them, so that nothing tells which facts they ask about"
UNSEEN = "the frames don't show a fact that they ask about"
UNCOUNTED = "they ask about a turn by its number, and the frames don't show all turns"
UNTOLD = "they are answered with the whole route, and the frames don't show all of it"


@dataclass(frozen=True)
class SourceItem:
    """An item of the train split: as it is asked, and what is known of its span.

    Times are from the start of the span: `happenings` (all verified ones) in seconds, `facts` and `turns` in
    microseconds. `names` are all landmarks and actions, verified or not. `hfov_degrees` is the video's horizontal field of view; None if the release doesn't name it.
    """

    row: QuestionRow
    asked: Question
    language: str
    facts: tuple[AskedFact, ...]
    happenings: tuple[Happening, ...]
    names: tuple[str, ...]
    turns: tuple[Turn, ...]
    hfov_degrees: float | None

    def seen(self, frame_us: Sequence[int]) -> tuple[Happening, ...]:
        """Return what frames at these times show of the span."""
        return tuple(one for one in self.happenings if self._shows(one, frame_us))

    def why_not(self, frame_us: Sequence[int]) -> str | None:
        """Return why frames at these times are too few for the item; None if they show what it asks about.

        A turn is asked about by its number, so all turns must be seen then; and all of the route, where it is the
        answer.
        """
        if not all(sees(self.facts, frame_us, self.turns, self.hfov_degrees)):
            return UNSEEN
        unseen = {*self.happenings} - {*self.seen(frame_us)}
        if unseen and not self.facts:
            return UNTOLD
        counted = any(fact.name.startswith("turn:") for fact in self.facts)
        return (
            UNCOUNTED
            if counted and any(one.kind == "turn" and one.what != "around" for one in unseen)
            else None
        )

    def _shows(self, one: Happening, frame_us: Sequence[int]) -> bool:
        times = ((_us(one.start), _us(one.end)),)
        fact = Fact(one.kind, (), value=True, seen=times)
        return shown(fact, frame_us, self.turns, self.hfov_degrees)


@dataclass(frozen=True)
class TrainSplit:
    """The items that rows can be made of, their evidence by id, and how many others there are, by reason."""

    items: tuple[SourceItem, ...]
    evidence: Mapping[str, Evidence]
    left_out: Counter[str]


def train_split(released: Released, *, unverified: bool = False) -> TrainSplit:
    """Return the items of the train split; those that nobody verified only if `unverified`.

    Raise GateError if the manifest is damaged; UserError if there is no train split, if its answers are withheld, if the release is older than the facts of
    items, or if it is of fewer than `LEAST_VIDEOS` videos.
    """
    where = str(released.folder)
    if absent := [name for name in _NEEDED if name not in released.manifest]:
        what = f"is damaged: it lacks {', '.join(absent)}"
        raise GateError(str(released.folder / "manifest.json"), what, NEW_COPY)
    if SPLIT not in released.splits:
        what = f"has no train split, only {', '.join(released.splits) or 'no items'}"
        fix = "give some videos the split train (column split of manifest.csv), and export again"
        raise UserError(where, what, fix)
    if SPLIT in released.manifest["withheld"]:
        what = "withholds the answers of its train split"
        raise UserError(where, what, "export a release without train in export.withhold")
    if older := sorted(released.lacks("evidence") & {"facts", "span_start", "video_sha256"}):
        what = f"was made before items recorded the facts that they ask about: it lacks {', '.join(older)}"
        raise UserError(where, what, "export a release with this version of egost")
    entries = [one for one in released.entries() if one.split == SPLIT]
    videos = {one.evidence.video_sha256 for one in entries}
    if len(videos) < LEAST_VIDEOS:
        what = f"has a train split of {len(videos)} videos; rows need at least {LEAST_VIDEOS}"
        raise UserError(where, what, "add videos to the train split, and export again")
    left_out: Counter[str] = Counter()
    known = [one for one in entries if unverified or one.evidence.status == "verified"]
    left_out[UNVERIFIED] = len(entries) - len(known)
    usable = [one for one in known if one.evidence.facts or one.evidence.reference_moves]
    left_out[NO_FACTS] = len(known) - len(usable)
    kinds = {} if unverified else _verified_kinds(usable)
    fields = {one["sha256"]: one.get("hfov_degrees") for one in released.manifest["videos"]}
    usual = str(released.manifest.get("language", "en"))
    items = tuple(
        _item(one, kinds.get(one.question.video, frozenset(KINDS)), fields, usual) for one in usable
    )
    evidence = {one.question.id: one.evidence for one in usable}
    return TrainSplit(items, MappingProxyType(evidence), +left_out)


def _verified_kinds(entries: Iterable[ReleaseItem]) -> dict[str, frozenset[str]]:
    """Return which kinds of happenings people have verified in each span: those that its verified items state."""
    found: dict[str, set[str]] = defaultdict(set)
    for one in entries:
        facts = one.evidence.facts
        found[one.question.video] |= {fact.name.partition(":")[0] for fact in facts} or {*KINDS}
    return {name: frozenset(kinds) for name, kinds in found.items()}


def _item(
    entry: ReleaseItem,
    kinds: frozenset[str],
    fields: Mapping[str, float | None],
    usual: str,
) -> SourceItem:
    evidence, start_us = entry.evidence, _us(entry.evidence.span_start or 0.0)
    happenings = happenings_of(evidence, start_us)
    times = zip(evidence.turn_start, evidence.turn_end, evidence.turn_degrees, strict=True)
    return SourceItem(
        row=entry.question,
        asked=question_of(entry.split, entry.question, evidence),
        language=entry.question.language or usual,
        facts=tuple(_from_start(fact, start_us) for fact in evidence.facts),
        happenings=tuple(one for one in happenings if one.kind in kinds),
        names=tuple(one.what for one in happenings if one.kind != "turn"),
        turns=tuple(
            Turn(
                clip_id=evidence.clip_id,
                start_us=_us(start) - start_us,
                end_us=_us(end) - start_us,
                kind="left" if degrees > 0 else "right",
                yaw_degrees=degrees,
                moving=True,
                confidence=1.0,
            )
            for start, end, degrees in times
        ),
        hfov_degrees=fields.get(str(evidence.video_sha256)),
    )


def _from_start(fact: AskedFact, start_us: int) -> AskedFact:
    return fact.model_copy(update={"seen_us": [at_us - start_us for at_us in fact.seen_us]})


def happenings_of(evidence: Evidence, start_us: int) -> list[Happening]:
    """Return the turns, landmarks and actions of the steps, in order of time; the span starts at `start_us`."""
    found = []
    for step in evidence.steps:
        start, end = (step.start_us - start_us) / 1e6, (step.end_us - start_us) / 1e6
        if step.move in TURNS:
            found.append(Happening(kind="turn", what=step.move, start=start, end=end))
        if step.landmark and (what := plain(step.landmark)):
            found.append(Happening(kind="landmark", what=what, start=start, end=end))
        if step.action and (what := plain(step.action)):
            undo = plain(step.undo) if step.undo else None
            found.append(Happening(kind="action", what=what, start=start, end=end, undo=undo))
    return sorted(found, key=lambda one: one.start)


def _us(seconds: float) -> int:
    return round(seconds * 1e6)
