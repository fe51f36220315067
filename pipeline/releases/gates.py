"""The conditions that a release must meet: small functions that recompute from the rows. Pure."""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.engine.rows import Record
from pipeline.questions.rows import Item
from pipeline.review.rows import Verdict
from pipeline.routes.route import MOVE_WORDS, OPPOSITE, canonical
from pipeline.routes.rows import Route
from pipeline.routes.tasks import SEPARATOR, RouteText, Words, holds, plain

OPTIONS = 4
_SKEWED_ITEMS, _SKEWED_SHARE = 2, 0.03


@dataclass(frozen=True)
class ReleaseCandidate:
    """What is about to be released, with all that the gates recompute it from.

    `words` says the moves in the language of the items.
    """

    items: tuple[Item, ...]
    routes: Mapping[str, Route]  # by clip: the one that the items were composed from
    judged_by: Mapping[str, frozenset[str]]  # by clip: `person`, `script` or both
    min_verified: float
    origins: Mapping[str, "Origin"] = field(default_factory=dict)  # by clip
    words: Words = field(default_factory=lambda: MOVE_WORDS)


@dataclass(frozen=True)
class Origin:
    """Where a clip comes from: its split group, its span of one video, and the pictures it shows."""

    split_group: str
    video: str
    start_us: int
    end_us: int
    pictures: tuple[str, ...] = ()


class Gate(Record):
    """One gate's result: the figure, the limit, the rows at fault, and what would mend them.

    `parts` is the figure by task where there is one: the share that was answered blind.
    """

    name: str
    met: bool
    figure: str
    limit: str
    rows: tuple[str, ...] = ()
    fix: str = ""
    parts: Mapping[str, float] = {}

    def __str__(self) -> str:
        sign = "met" if self.met else "NOT MET"
        shown = f" ({some(self.rows)})" if self.rows else ""
        return f"{self.name}: {sign}: {self.figure}, wanted {self.limit}{shown}"


def some(rows: Sequence[str]) -> str:
    """Return the first three of many rows, for a line that people read."""
    return ", ".join(rows[:3]) + (", …" if len(rows) > 3 else "")


def check_gates(candidate: ReleaseCandidate) -> list[Gate]:
    """Run every gate on the candidate."""
    return [gate(candidate) for gate in GATES]


def check_questions(candidate: ReleaseCandidate) -> list[Gate]:
    """Run the gates that need no answer: `candidate` may hold items whose answers are withheld."""
    return [gate(candidate) for gate in GATES if gate in ASKING]


def no_faults(
    name: str, faults: Iterable[str], what: str, fix: str, *, total: int | None = None
) -> Gate:
    """Return a gate that is met if there are no faults; `total` adds their share to the figure."""
    rows = tuple(faults)
    share = f" ({len(rows) / total:.1%})" if total else ""
    return Gate(
        name=name,
        met=not rows,
        figure=f"{len(rows)} {what}{share}",
        limit="0",
        rows=rows,
        fix=fix if rows else "",
    )


def schema(candidate: ReleaseCandidate) -> Gate:
    """Every item is complete and agrees with itself; ids are unique; there is at least one."""
    seen: set[str] = set()
    faults = [] if candidate.items else ["no items"]
    for item in candidate.items:
        twice = item.item_id in seen
        seen.add(item.item_id)
        if (
            twice
            or not item.question.strip()
            or not item.answer_text.strip()
            or not _answer_agrees(item)
        ):
            faults.append(item.item_id)
    return no_faults(
        "schema",
        sorted(faults),
        "faulty items",
        "run `egost generate-qa`; egost show ID shows an item",
    )


def _answer_agrees(item: Item) -> bool:
    if item.format == "open":
        return not item.options and item.answer_index is None
    index = item.answer_index
    return (
        index is not None
        and 0 <= index < len(item.options)
        and item.options[index] == item.answer_text
    )


def four_options(candidate: ReleaseCandidate) -> Gate:
    """Every multiple-choice item has exactly four options, all different."""
    faults = [
        item.item_id
        for item in candidate.items
        if item.format == "mcq"
        and (
            len(item.options) != OPTIONS
            or len({text.casefold() for text in item.options}) != OPTIONS
        )
    ]
    return no_faults(
        "four_options", sorted(faults), "items without four different options", "compose them again"
    )


def letters(candidate: ReleaseCandidate) -> Gate:
    """In every task and split each letter is right equally often, within 3 % (or two items)."""
    right: dict[tuple[str, str], list[Item]] = defaultdict(list)
    for item in candidate.items:
        if item.format == "mcq":
            right[item.split, item.task].append(item)
            right[item.split, "all tasks"].append(item)
    told: list[tuple[bool, int, str]] = []
    faults: set[str] = set()
    for (split, task), items in sorted(right.items()):
        counts = Counter(item.answer_index for item in items)
        index = max(range(OPTIONS), key=lambda one: abs(counts[one] - len(items) / OPTIONS))
        off = abs(counts[index] - len(items) / OPTIONS)
        # Two items of a few dozen are no skew: a review that rejects some leaves as much.
        skewed = off > max(_SKEWED_ITEMS, _SKEWED_SHARE * len(items))
        what = (
            f"{'ABCD'[index]} is right in {counts[index]} of {len(items)} {split} items of {task}"
        )
        told.append((skewed, len(items), what))
        if skewed:
            faults.update(item.item_id for item in items if item.answer_index == index)
    figure = max(told)[2] if told else "no letters"
    return Gate(
        name="letters",
        met=not any(skewed for skewed, *_ in told),
        figure=figure,
        limit="a quarter each, within 3 %",
        rows=tuple(sorted(faults)),
        fix="compose them again in a new workspace: items once made never move"
        if any(skewed for skewed, *_ in told)
        else "",
    )


def inverse_pairs(candidate: ReleaseCandidate) -> Gate:
    """Forward and reverse come together, and each reverse option inverts one forward option.

    What a model wrote stands alone: it has no route to walk back. Routes are never of its making.
    """
    pairs: dict[tuple[str, str], dict[str, Item]] = {}
    for item in candidate.items:
        if item.option_kind != "square" and item.category != "route":
            continue
        pairs.setdefault((item.clip_id, item.category), {})[item.orientation] = item
    faults = []
    for pair in pairs.values():
        if len(pair) != 2:
            faults += [item.item_id for item in pair.values()]
        elif pair["forward"].option_kind == "square" and not _inverse(pair, candidate):
            faults.append(pair["reverse"].item_id)
    return no_faults(
        "inverse_pairs",
        sorted(faults),
        "items without their inverse",
        "compose them again: egost generate-qa",
    )


def _inverse(pair: Mapping[str, Item], candidate: ReleaseCandidate) -> bool:
    forward, back = pair["forward"], pair["reverse"]
    route = candidate.routes.get(forward.clip_id)
    steps = route.steps if route else ()
    told_back = {plain(s.action): plain(s.undo) for s in steps if s.action and s.undo}
    told_back |= {candidate.words[move]: candidate.words[OPPOSITE[move]] for move in OPPOSITE}
    inverted = {_inverted(text, told_back) for text in forward.options}
    return (
        inverted == set(back.options)
        and _inverted(forward.answer_text, told_back) == back.answer_text
    )


def _inverted(text: str, told_back: Mapping[str, str]) -> str:
    return SEPARATOR.join(told_back.get(part, part) for part in reversed(text.split(SEPARATOR)))


def no_true_distractor(candidate: ReleaseCandidate) -> Gate:
    """Hold every option of a square against its clip's route: the answer is true, no other is."""
    faults = []
    for item in candidate.items:
        if item.option_kind != "square":
            continue
        route = candidate.routes.get(item.clip_id)
        telling = RouteText(canonical(route.steps) if route else (), candidate.words)
        true = [
            index
            for index, text in enumerate(item.options)
            if holds(text, telling, item.category, item.orientation)
        ]
        if true != [item.answer_index]:
            faults.append(item.item_id)
    fix = "compose them again: egost generate-qa"
    return no_faults(
        "no_true_distractor", sorted(faults), "items whose truth is not the answer alone", fix
    )


def split_leak(candidate: ReleaseCandidate) -> Gate:
    """No split group, video or pair of equal pictures stands on two sides of a split."""
    splits: dict[Hashable, set[str]] = defaultdict(set)
    marks: dict[str, list[Hashable]] = {}
    for item in candidate.items:
        if item.clip_id not in marks:
            marks[item.clip_id] = _marks(item, candidate.origins.get(item.clip_id))
        for mark in marks[item.clip_id]:
            splits[mark].add(item.split)
    leaked = {mark for mark, names in splits.items() if len(names) > 1}
    faults = [
        item.item_id
        for item in candidate.items
        # One equal picture may be black or a title; two are the same footage.
        if sum(
            2 if isinstance(mark, tuple) else 1 for mark in marks[item.clip_id] if mark in leaked
        )
        >= 2
    ]
    return no_faults(
        "split_leak",
        sorted(faults),
        "items on two sides of a split",
        "name their common scene in manifest.csv, so that they go to one split",
    )


def _marks(item: Item, origin: Origin | None) -> list[Hashable]:
    if origin is None:
        return [("video", item.video_id)]
    return [("group", origin.split_group), ("video", origin.video), *sorted({*origin.pictures})]


def duplicates(candidate: ReleaseCandidate) -> Gate:
    """No question with the same options is asked twice of the same span."""
    asked: dict[Hashable, list[str]] = defaultdict(list)
    for item in candidate.items:
        origin = candidate.origins.get(item.clip_id)
        where = (origin.video, origin.start_us, origin.end_us) if origin else item.clip_id
        asked[
            where,
            item.category,
            item.orientation,
            item.question.casefold(),
            frozenset(item.options),
        ].append(item.item_id)
    faults = [unit for units in asked.values() if len(units) > 1 for unit in sorted(units)[1:]]
    return no_faults("duplicates", sorted(faults), "items asked twice", "compose them again")


def verified_by_people(candidate: ReleaseCandidate) -> Gate:
    """A share of the items rests on a person's verdict; a script's verdict is not a person's."""
    counted = {
        item.item_id
        for item in candidate.items
        if item.status == "verified" and "person" in candidate.judged_by.get(item.clip_id, ())
    }
    total = len(candidate.items)
    share = len(counted) / total if total else 0.0
    met = total > 0 and share >= candidate.min_verified
    return Gate(
        name="verified_by_people",
        met=met,
        figure=f"{len(counted)} of {total} items ({share:.0%})",
        limit=f"{candidate.min_verified:.0%}",
        rows=() if met else tuple(sorted({item.item_id for item in candidate.items} - counted)),
        fix=""
        if met
        else "review the rest (egost review push, pull), or set export.only_verified = true",
    )


GATES: tuple[Callable[[ReleaseCandidate], Gate], ...] = (
    schema,
    four_options,
    letters,
    inverse_pairs,
    no_true_distractor,
    split_leak,
    duplicates,
    verified_by_people,
)


# What the questions alone decide: it can be told even of a split whose answers are withheld.
ASKING = frozenset({four_options, split_leak, duplicates})


def judged_by(routes: Iterable[Route], verdicts: Iterable[Verdict]) -> dict[str, frozenset[str]]:
    """Tell for each clip whether persons or scripts accepted or corrected the draft that stands."""
    drafts = {route.clip_id: route.fingerprint for route in routes if route.origin == "draft"}
    found: dict[str, set[str]] = {}
    for verdict in verdicts:
        counts = verdict.verdict in ("accept", "corrected") and verdict.kind == "real"
        if counts and drafts.get(verdict.clip_id) == verdict.fingerprint:
            found.setdefault(verdict.clip_id, set()).add(verdict.by)
    return {clip: frozenset(kinds) for clip, kinds in found.items()}
