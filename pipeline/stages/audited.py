"""What an audit means for the items: audited ones keep their words, flawed ones are set aside. Pure."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pipeline.engine.rows import Held, Row
from pipeline.engine.store import Rows
from pipeline.questions.rows import ComposedFrom, Item
from pipeline.review.rows import Answer
from pipeline.routes.rows import Category
from pipeline.routes.tasks import Task
from pipeline.stages.answers import confirmed, flaws, pairs_set_aside


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
        # A workspace of before this was kept has no such rows: its items are of these very routes.
        if not pair or self.facts.get(clip_id, facts) != facts:
            yield from made
            return
        fresh = {row.item_id: row for row in made if isinstance(row, Item)}
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
