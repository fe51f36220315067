"""What an audit changes: audited items keep their wording, flawed items are set aside. Pure."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pipeline.engine.rows import Held, Row, Rows
from pipeline.questions.rows import AuditedBefore, ComposedFrom, Item
from pipeline.review.rows import Answer
from pipeline.routes.route import MOVE_WORDS, canonical
from pipeline.routes.rows import Category, Move, Route
from pipeline.routes.tasks import SEPARATOR, Task

_Place = tuple[str, Category, str]  # clip, category, and the digest of the facts of its route
_TWO = 2  # people who must give the same answer before it verifies an item or sets it aside


@dataclass(frozen=True)
class Audited:
    """The items that people have audited in their current form, as pairs by clip, category and facts.

    A new wording or another choice of squares replaces them only on request (`--recompose`). A
    corrected route replaces them at once, since they may no longer be true of it.
    """

    pairs: Mapping[_Place, Sequence[Item]]
    moves: Mapping[str, Mapping[Move, str]]  # by language: the words for moves that they use

    @classmethod
    def of(cls, rows: Rows, facts: Mapping[str, str]) -> "Audited":
        """Return them from compose's input; `facts` are those of the clips now."""
        given = {(one.item_id, one.fingerprint) for one in rows[Answer]}
        if rows.redo or not given:
            return cls({}, {})
        composed = {one.clip_id: one for one in rows.before(ComposedFrom)}
        pairs: dict[_Place, list[Item]] = {}
        for one in rows.before(AuditedBefore):
            pairs.setdefault((one.item.clip_id, one.item.category, one.facts), []).append(one.item)
        earlier = [one for one in rows.before(Item) if one.option_kind != "model"]
        judged = {
            (one.clip_id, one.category)
            for one in earlier
            if (one.item_id, one.fingerprint) in given
        }
        current: dict[_Place, list[Item]] = {}
        for item in earlier:
            if (item.clip_id, item.category) in judged:
                fact = composed[item.clip_id].facts if item.clip_id in composed else ""
                current.setdefault((item.clip_id, item.category, fact), []).append(item)
        routes = {route.clip_id: route for route in sorted(rows[Route], key=lambda one: one.origin)}
        moves: dict[str, dict[Move, str]] = {}
        for (clip_id, category, fact), pair in current.items():
            if (route := routes.get(clip_id)) and facts.get(clip_id) == fact:
                words = moves.setdefault(route.language, {})
                known = composed.get(clip_id)
                if known and known.moves:
                    words |= zip(MOVE_WORDS, known.moves, strict=False)
                elif category == "direction":
                    words |= _words_shown(pair, route)
        return cls(pairs | current, moves)

    def keep(
        self,
        clip_id: str,
        facts: str,
        category: Category,
        made: Sequence[Row],
        status: Callable[[Task], tuple[str, str | None]],
        *,
        old_words: bool,
    ) -> Iterator[Row]:
        """Yield the items composed for a clip and category, or the audited items that replace them.

        A pair is kept whole, since both its items ask about the same two facts. `old_words` says that
        its options use words for moves that have changed since.
        """
        pair = self.pairs.get((clip_id, category, facts), ())
        if not pair:
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
            reworded = old_words and item.format == "mcq"
            if new is None or new.fingerprint != item.fingerprint or reworded:
                yield Held(item_id=item.item_id)
        yield from fresh.values()

    def absent(self, facts: Mapping[str, str]) -> Iterator[AuditedBefore]:
        """Yield the audited items whose clip or facts are gone, so that they can return with them."""
        for (clip_id, _, fact), pair in self.pairs.items():
            if facts.get(clip_id) != fact:
                for item in pair:
                    yield AuditedBefore(item_id=item.item_id, facts=fact, item=item)


def _words_shown(pair: Iterable[Item], route: Route) -> dict[Move, str]:
    """Return the words for moves in direction items, which show all turns of the route in order."""
    turns = [step.move for step in canonical(route.steps) if step.move != "straight"]
    shown = [one.answer_text.split(SEPARATOR) for one in pair if one.orientation == "forward"]
    return {
        move: word
        for parts in shown
        if len(parts) == len(turns)
        for move, word in zip(turns, parts, strict=True)
    }


def after_audit(composed: Iterator[Row], answers: Sequence[Answer]) -> Iterator[Row]:
    """Yield the items with flawed ones set aside; only the audit can verify items that a model wrote."""
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
    """Return the answers that count, by item: to its current form, the newest of each annotator.

    Scripts never overrule people: their answers count only where no person has answered.
    """
    wanted = {item.item_id: item.fingerprint for item in items}
    found: defaultdict[str, dict[str, Answer]] = defaultdict(dict)
    for one in sorted(answers, key=lambda one: (one.created_us, one.annotation_id)):
        if wanted.get(one.item_id) == one.fingerprint:
            found[one.item_id][one.annotator] = one
    return {
        item_id: [one for one in given.values() if one.by == "person"] or list(given.values())
        for item_id, given in found.items()
    }


def key_of(item: Item) -> str:
    """Return the choice that agrees with the item's key; an open item's answer is shown as choice 0."""
    return str(item.answer_index or 0)


def flaw(key: str, answers: Sequence[Answer], least: int = _TWO) -> str | None:
    """Return what is wrong with an item, or None.

    At least `least` people, and more than half of those who could tell, must give the same other answer.
    """
    # Item rows store these texts, so new wording would change rows.
    votes = Counter(one.choice for one in answers if one.choice != "unsure")
    most, count = max(votes.items(), key=lambda one: one[1], default=("", 0))
    if count < least or 2 * count <= votes.total() or most == key:
        return None
    whom = f"{count} of {votes.total()} in the audit"
    if most == "none":
        return f"no option is right, say {whom}"
    if most == "many":
        return f"more than one option is right, say {whom}"
    return f"another option is right, say {whom}"


def flaws(items: Iterable[Item], answers: Sequence[Answer], least: int = _TWO) -> dict[str, str]:
    """Return the reason for each flawed item, by item id."""
    if not answers:
        return {}
    known = list(items)
    given = by_item(known, answers)
    found = {one.item_id: flaw(key_of(one), given.get(one.item_id, ()), least) for one in known}
    return {item_id: reason for item_id, reason in found.items() if reason}


def confirmed(items: Iterable[Item], answers: Sequence[Answer]) -> set[str]:
    """Return the items by a model that at least two people, and a majority, answered with the key."""
    known = list(items)
    keys = {item.item_id: key_of(item) for item in known if item.option_kind == "model"}
    found = set()
    for item_id, given in by_item(known, answers).items():
        right = sum(one.choice == keys.get(item_id) for one in given)
        if right >= _TWO and 2 * right > len(given):
            found.add(item_id)
    return found


def flawed_clips(items: Iterable[Item], answers: Sequence[Answer]) -> dict[str, int]:
    """Return the clips with a flawed item, each with the time of the newest answer to it."""
    known = {item.item_id: item for item in items}
    found: Counter[str] = Counter()
    given = by_item(known.values(), answers)
    for item_id in flaws(known.values(), answers):
        clip_id = known[item_id].clip_id
        found[clip_id] = max(found[clip_id], *(one.created_us for one in given[item_id]))
    return found


def pairs_set_aside(items: Sequence[Item], reasons: Mapping[str, str]) -> dict[str, str]:
    """Return the reason for each item to set aside: the flawed items and the other halves of their pairs."""
    flawed = {(item.clip_id, item.category): item for item in items if item.item_id in reasons}
    found = {}
    for item in items:
        cause = flawed.get((item.clip_id, item.category))
        if cause:
            own = reasons.get(item.item_id)
            found[item.item_id] = own or f"its other half, {cause.task}: {reasons[cause.item_id]}"
    return found
