"""The gates that a release must meet, each recomputed from its rows alone. Pure."""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any

from pydantic import computed_field, model_validator

from pipeline.blind.cells import State, Verdict
from pipeline.engine.rows import Record
from pipeline.questions.rows import Item
from pipeline.releases.candidate import Place, ReleaseCandidate, place_of
from pipeline.releases.options import with_other_truth, without_inverse

OPTIONS = 4
_SKEWED_ITEMS, _SKEWED_SHARE = 2, 0.03


class BlindCell(Record):
    """What the best reader without frames gets on the items of one category and the same kinds of facts."""

    name: str
    verdict: Verdict
    twins: int
    items: int
    accuracy: float
    low: float
    high: float
    chance: float
    reader: str


class Gate(Record):
    """One gate's result: the figure, the limit, the rows at fault, and the fix.

    A gate is unproven if there is too little data to decide; this doesn't stop an export. `parts` gives
    the figure by task if there is one: the accuracy without the video. `cells` gives its verdicts.
    """

    name: str
    state: State
    figure: str
    limit: str
    rows: tuple[str, ...] = ()
    fix: str = ""
    parts: Mapping[str, float] = {}
    cells: tuple[BlindCell, ...] = ()

    @computed_field  # type: ignore[prop-decorator]
    @property
    def met(self) -> bool:
        """Whether the requirement is met for certain."""
        return self.state == "met"

    @model_validator(mode="before")
    @classmethod
    def _state_of_met(cls, given: Any) -> Any:
        """Read the gates of earlier releases, which have `met` alone."""
        if not isinstance(given, Mapping) or "met" not in given:
            return given
        known = {name: value for name, value in given.items() if name != "met"}
        return {"state": "met" if given["met"] else "failed", **known}

    def __str__(self) -> str:
        sign = {"met": "met", "failed": "NOT MET", "unproven": "unproven"}[self.state]
        shown = f" ({some(self.rows)})" if self.rows else ""
        return f"{self.name}: {sign}: {self.figure}, required {self.limit}{shown}"


def met_if(holds: bool) -> State:
    """Return the state of a gate that can always be decided."""
    return "met" if holds else "failed"


def some(rows: Sequence[str]) -> str:
    """Return the first three of many rows, for a printed line."""
    return ", ".join(rows[:3]) + (", …" if len(rows) > 3 else "")


def check_gates(candidate: ReleaseCandidate) -> list[Gate]:
    """Run every gate on the candidate."""
    return [gate(candidate) for gate in GATES]


def check_questions(candidate: ReleaseCandidate) -> list[Gate]:
    """Run the gates that need no answers, so that `candidate` may hold items with withheld answers."""
    return [gate(candidate) for gate in GATES if gate in WITHOUT_ANSWERS]


def no_faults(
    name: str, faults: Iterable[str], what: str, fix: str, *, total: int | None = None
) -> Gate:
    """Return a gate that is met if there are no faults; `total` adds their share to the figure."""
    rows = tuple(faults)
    share = f" ({len(rows) / total:.1%})" if total else ""
    return Gate(
        name=name,
        state=met_if(not rows),
        figure=f"{len(rows)} {what}{share}",
        limit="0",
        rows=rows,
        fix=fix if rows else "",
    )


def schema(candidate: ReleaseCandidate) -> Gate:
    """Require at least one item, unique ids, and complete items whose answer agrees with their options."""
    seen: set[str] = set()
    faults = [] if candidate.items else ["no items"]
    for item in candidate.items:
        repeated = item.item_id in seen
        seen.add(item.item_id)
        if (
            repeated
            or not item.question.strip()
            or not item.answer_text.strip()
            or not _answer_agrees(item)
        ):
            faults.append(item.item_id)
    return no_faults(
        "schema",
        sorted(faults),
        "faulty items",
        "run egost generate-qa; egost show ID shows an item",
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
    """Require exactly four different options of every multiple-choice item."""
    faults = [
        item.item_id
        for item in candidate.items
        if item.format == "mcq"
        and (
            len(item.options) != OPTIONS
            or len({" ".join(text.casefold().split()) for text in item.options}) != OPTIONS
        )
    ]
    return no_faults(
        "four_options",
        sorted(faults),
        "items without four different options",
        "compose the items again",
    )


def letters(candidate: ReleaseCandidate) -> Gate:
    """Require every letter to be correct equally often in each task and split, within 3 % or two items."""
    groups: dict[tuple[str, str], list[Item]] = defaultdict(list)
    for item in candidate.items:
        if item.format == "mcq":
            groups[item.split, item.task].append(item)
            groups[item.split, "all tasks"].append(item)
    found: list[tuple[bool, int, str]] = []
    faults: set[str] = set()
    for (split, task), items in sorted(groups.items()):
        counts = Counter(item.answer_index for item in items)
        index = max(range(OPTIONS), key=lambda one: abs(counts[one] - len(items) / OPTIONS))
        off = abs(counts[index] - len(items) / OPTIONS)
        # Two of a few dozen items are not a skew: a review that rejects items causes as much.
        skewed = off > max(_SKEWED_ITEMS, _SKEWED_SHARE * len(items))
        what = (
            f"{'ABCD'[index]} is correct in {counts[index]} of {len(items)} {split} items of {task}"
        )
        found.append((skewed, len(items), what))
        if skewed:
            faults.update(item.item_id for item in items if item.answer_index == index)
    figure = max(found)[2] if found else "no letters"
    return Gate(
        name="letters",
        state=met_if(not any(skewed for skewed, *_ in found)),
        figure=figure,
        limit="a quarter each, within 3 %",
        rows=tuple(sorted(faults)),
        fix="compose the items again in a new workspace: existing items keep their letters"
        if any(skewed for skewed, *_ in found)
        else "",
    )


def inverse_pairs(candidate: ReleaseCandidate) -> Gate:
    """Require forward and reverse items in pairs, each reverse option inverting one forward option.

    Items written by a model need no pair: they have no route to reverse. Route items are never
    written by a model.
    """
    return no_faults(
        "inverse_pairs",
        sorted(without_inverse(candidate)),
        "items without a matching inverse",
        "compose the items again: egost generate-qa",
    )


def no_true_distractor(candidate: ReleaseCandidate) -> Gate:
    """Require that the answer is the only composed option that is true of the steps."""
    fix = "compose the items again: egost generate-qa"
    return no_faults(
        "no_true_distractor",
        sorted(with_other_truth(candidate)),
        "items with a true distractor or a false answer",
        fix,
    )


def visible_facts(candidate: ReleaseCandidate) -> Gate:
    """Require that the released frames show every fact that is asked about."""
    asked = {item.item_id: item for item in candidate.items if item.option_kind == "facts"}
    faults = [
        item_id
        for item_id, item in asked.items()
        if sum(candidate.visible.get(item_id, ())) < len(item.facts)
    ]
    total = sum(len(item.facts) for item in asked.values())
    seen = sum(sum(candidate.visible.get(item_id, ())) for item_id in asked)
    return Gate(
        name="visible_facts",
        state=met_if(not faults),
        figure=f"frames show {seen} of {total} facts" if asked else "no items about facts",
        limit="all",
        rows=tuple(sorted(faults)),
        fix="compose the items again: egost generate-qa" if faults else "",
    )


def split_leak(candidate: ReleaseCandidate) -> Gate:
    """Require that no split group, video or pair of equal frames occurs in two splits."""
    splits: dict[Hashable, set[str]] = defaultdict(set)
    marks: dict[str, list[Hashable]] = {}
    for item in candidate.items:
        if place_of(item) not in marks:
            marks[place_of(item)] = _marks(item, candidate.places.get(place_of(item)))
        for mark in marks[place_of(item)]:
            splits[mark].add(item.split)
    leaked = {mark for mark, names in splits.items() if len(names) > 1}
    faults = [
        item.item_id
        for item in candidate.items
        # One equal frame may be black or a title; two are the same footage.
        if sum(
            2 if isinstance(mark, tuple) else 1 for mark in marks[place_of(item)] if mark in leaked
        )
        >= 2
    ]
    return no_faults(
        "split_leak",
        sorted(faults),
        "items whose footage is in two splits",
        "give their videos the same scene in manifest.csv, which puts them in one split",
    )


def _marks(item: Item, place: Place | None) -> list[Hashable]:
    if place is None:
        return [("video", item.video_id)]
    return [("group", place.split_group), ("video", place.video), *sorted({*place.frames})]


def duplicates(candidate: ReleaseCandidate) -> Gate:
    """Require that no question is repeated with the same options on the same span."""
    asked: dict[Hashable, list[str]] = defaultdict(list)
    for item in candidate.items:
        place = candidate.places.get(place_of(item))
        where = (place.video, place.start_us, place.end_us) if place else place_of(item)
        asked[
            where,
            item.category,
            item.orientation,
            item.question.casefold(),
            frozenset(item.options),
        ].append(item.item_id)
    faults = [unit for units in asked.values() if len(units) > 1 for unit in sorted(units)[1:]]
    return no_faults("duplicates", sorted(faults), "duplicate items", "compose the items again")


def verified_by_people(candidate: ReleaseCandidate) -> Gate:
    """Require that people verified a given share of the items; scripts don't count as people."""
    verified = {
        item.item_id
        for item in candidate.items
        if item.status == "verified" and "person" in candidate.verified_by.get(item.item_id, ())
    }
    total = len(candidate.items)
    share = len(verified) / total if total else 0.0
    met = total > 0 and share >= candidate.min_verified
    return Gate(
        name="verified_by_people",
        state=met_if(met),
        figure=f"{len(verified)} of {total} items ({share:.0%})",
        limit=f"{candidate.min_verified:.0%}",
        rows=() if met else tuple(sorted({item.item_id for item in candidate.items} - verified)),
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
    visible_facts,
    split_leak,
    duplicates,
    verified_by_people,
)


# Decided by the questions alone, so also for a split whose answers are withheld.
WITHOUT_ANSWERS = frozenset({four_options, split_leak, duplicates})
