"""What an audit means for the items: audited ones keep their words, flawed ones are set aside. Pure."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pipeline.engine.rows import Held, Row, Rows
from pipeline.questions.rows import ComposedFrom, Item
from pipeline.review.rows import Answer
from pipeline.routes.rows import Category
from pipeline.routes.tasks import Task

_TWO = 2  # people who have to answer what a model wrote before it counts as verified


@dataclass(frozen=True)
class Audited:
    """The items that people have audited exactly as they are, by clip and category.

    New wording or another choice of questions doesn't replace them until the user asks for it
    (`--recompose`); a corrected route does, since they would no longer be true of it.
    """

    pairs: Mapping[tuple[str, Category], Sequence[Item]]
    facts: Mapping[str, str]  # by clip: what its items were composed from

    @classmethod
    def of(cls, rows: Rows) -> "Audited":
        """Read them from what compose sees: answers, its earlier items and what those were composed from."""
        given = {(one.item_id, one.fingerprint) for one in rows[Answer]}
        if rows.redo or not given:
            return cls({}, {})
        earlier = [one for one in rows.before(Item) if one.option_kind != "model"]
        judged = {
            (one.clip_id, one.category)
            for one in earlier
            if (one.item_id, one.fingerprint) in given
        }
        pairs: dict[tuple[str, Category], list[Item]] = {}
        for item in earlier:
            if (item.clip_id, item.category) in judged:
                pairs.setdefault((item.clip_id, item.category), []).append(item)
        return cls(pairs, {one.clip_id: one.facts for one in rows.before(ComposedFrom)})

    def over(
        self,
        clip_id: str,
        facts: str,
        category: Category,
        made: Sequence[Row],
        status: Callable[[Task], tuple[str, str | None]],
    ) -> Iterator[Row]:
        """Yield what was composed for a clip and category, or the audited items that stand for it.

        A pair stays whole: both its items ask about the same two facts.
        """
        pair = self.pairs.get((clip_id, category), ())
        fresh = {row.item_id: row for row in made if isinstance(row, Item)}
        if not pair or not self._still_true(clip_id, facts, pair, fresh):
            yield from made
            return
        for item in pair:
            new = fresh.pop(item.item_id, None)
            if category == "route" and new and new.answer_text != item.answer_text:
                yield new  # people corrected the description itself
                continue
            now, reason = status(Task(item.category, item.orientation))
            yield item.model_copy(update={"status": now, "status_reason": reason})
            if new is None or new.fingerprint != item.fingerprint:
                yield Held(item_id=item.item_id)
        yield from fresh.values()

    def _still_true(
        self, clip_id: str, facts: str, pair: Sequence[Item], fresh: Mapping[str, Item]
    ) -> bool:
        """Return whether these items describe the clip's route as it is now."""
        known = self.facts.get(clip_id)
        if known is not None:
            return known == facts
        # Items of format 0 don't record it. They are kept where only their question would differ.
        return all(
            one.item_id in fresh and _claims(one) == _claims(fresh[one.item_id]) for one in pair
        )


def _claims(item: Item) -> tuple[str, list[str]]:
    return item.answer_text, sorted(item.options)


def after_audit(composed: Iterator[Row], answers: Sequence[Answer]) -> Iterator[Row]:
    """Set aside what the audit found to be flawed; what a model wrote is verified by it alone."""
    if not answers:
        yield from composed
        return
    made = list(composed)
    items = [row for row in made if isinstance(row, Item)]
    reasons = pairs_set_aside(items, flaws(items, answers))
    sure = confirmed(items, answers)
    for row in made:
        if isinstance(row, Item) and row.item_id in reasons:
            change = {"status": "set_aside", "status_reason": reasons[row.item_id]}
            yield row.model_copy(update=change)
        elif isinstance(row, Item) and row.item_id in sure and row.status == "draft":
            yield row.model_copy(update={"status": "verified"})
        else:
            yield row


def by_item(items: Iterable[Item], answers: Iterable[Answer]) -> dict[str, list[Answer]]:
    """Return the answers that count, by item: those to the question as it stands, one a person."""
    wanted = {item.item_id: item.fingerprint for item in items}
    found: defaultdict[str, dict[str, Answer]] = defaultdict(dict)
    for one in sorted(answers, key=lambda one: (one.created_us, one.annotation_id)):
        if wanted.get(one.item_id) == one.fingerprint:
            found[one.item_id][one.annotator] = one
    return {item_id: list(given.values()) for item_id, given in found.items()}


def key_of(item: Item) -> str:
    """Return the choice that says what the item's key says; an open item's answer is shown as choice 0."""
    return str(item.answer_index or 0)


def flaw(key: str, answers: Sequence[Answer]) -> str | None:
    """Return what is wrong with an item: most people say so, those who can't tell aside."""
    said = Counter(one.choice for one in answers if one.choice != "unsure")
    most, count = max(said.items(), key=lambda one: one[1], default=("", 0))
    if 2 * count <= said.total() or most == key:
        return None
    whom = f"{count} of {said.total()} in the audit"
    if most == "none":
        return f"no option is right, say {whom}"
    if most == "many":
        return f"more than one option is right, say {whom}"
    return f"another option is right, say {whom}"


def flaws(items: Iterable[Item], answers: Sequence[Answer]) -> dict[str, str]:
    """Return why each flawed item is flawed, by item."""
    if not answers:
        return {}
    known = list(items)
    given = by_item(known, answers)
    found = {one.item_id: flaw(key_of(one), given.get(one.item_id, ())) for one in known}
    return {item_id: reason for item_id, reason in found.items() if reason}


def confirmed(items: Iterable[Item], answers: Sequence[Answer]) -> set[str]:
    """Return the items that a model wrote and that two people, and most of all, answered by the key."""
    known = list(items)
    keys = {item.item_id: key_of(item) for item in known if item.option_kind == "model"}
    found = set()
    for item_id, given in by_item(known, answers).items():
        right = sum(one.choice == keys.get(item_id) for one in given)
        if right >= _TWO and 2 * right > len(given):
            found.add(item_id)
    return found


def flawed_clips(items: Iterable[Item], answers: Sequence[Answer]) -> dict[str, int]:
    """Return the clips with a flawed item, and when the newest answer about it was given."""
    known = {item.item_id: item for item in items}
    found: Counter[str] = Counter()
    given = by_item(known.values(), answers)
    for item_id in flaws(known.values(), answers):
        clip_id = known[item_id].clip_id
        found[clip_id] = max(found[clip_id], *(one.created_us for one in given[item_id]))
    return found


def pairs_set_aside(items: Sequence[Item], reasons: Mapping[str, str]) -> dict[str, str]:
    """Return why each item leaves: a flawed one, and with it the other half of its pair."""
    flawed = {(item.clip_id, item.category): item for item in items if item.item_id in reasons}
    found = {}
    for item in items:
        cause = flawed.get((item.clip_id, item.category))
        if cause:
            own = reasons.get(item.item_id)
            found[item.item_id] = own or f"its other half, {cause.task}: {reasons[cause.item_id]}"
    return found
