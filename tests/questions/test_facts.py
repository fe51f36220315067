"""Facts are true of their span, their counterparts are false, and no item follows from others."""

from collections import defaultdict
from itertools import product

import worlds

from pipeline.questions.candidates import ClipSpan, candidates
from pipeline.questions.draw import Draw
from pipeline.questions.facts import KINDS
from pipeline.questions.spantext import SpanText
from pipeline.routes.route import canonical, reverse
from pipeline.routes.rows import Step

DRAW = Draw(b"secret")


def texts(world: str, clips: int, seed: int = 0) -> list[ClipSpan]:
    found = []
    for number, route in enumerate(worlds.routes(world, clips, seed)):
        at, steps = 0, []
        for seconds, move, landmark, action, undo in route["steps"]:
            end = at + round(seconds * 1e6)
            steps.append(
                Step(
                    start_us=at,
                    end_us=end,
                    move=move,
                    landmark=landmark,
                    action=action,
                    undo=undo,
                )
            )
            at = end
        span = SpanText(f"span{number}", canonical(steps))
        found.append(ClipSpan(f"clip{number}", route["group"], span))
    return found


def test_one_combination_is_true_and_three_are_false_in_every_world() -> None:
    checked = 0
    for world in worlds.WORLDS:
        spans = texts(world, 60)
        for pair in candidates(spans, DRAW, 1_000_000):
            text = spans[pair.span].text
            true = [
                all(
                    KINDS[fact.kind].holds(fact.subject, value, text)
                    for fact, value in zip(pair.facts, values, strict=True)
                )
                for values in product((True, False), repeat=2)
            ]
            assert true.count(True) == 1
            assert true.index(True) == pair.truth
            checked += 4
    assert checked > 20_000


def test_the_way_back_states_what_the_reversed_route_shows() -> None:
    for span in texts("fair", 40):
        back = SpanText(span.text.span_id, reverse(span.text.steps))
        for kind in (KINDS["turn"], KINDS["landmark"]):
            for fact in kind.find(span.text, DRAW, 0):
                returned = fact.back()
                assert kind.holds(returned.subject, returned.value, back)
                assert returned.back() == fact


def test_two_orders_of_an_item_share_no_name() -> None:
    spans = texts("fair", 200)
    orders = [pair for pair in candidates(spans, DRAW, 1_000_000) if pair.contrast == "order"]
    assert len(orders) > 100
    for pair in orders:
        first, second = (set(fact.subject) for fact in pair.facts)
        assert not first & second


def test_no_order_follows_from_the_others_of_its_span() -> None:
    asked: dict[tuple[int, str], set[tuple[str, str]]] = defaultdict(set)
    for number, span in enumerate(texts("fair", 200)):
        for kind in ("landmark", "action"):
            for fact in KINDS[kind].find(span.text, DRAW, 0):
                asked[number, kind].add((str(fact.subject[0]), str(fact.subject[1])))
    assert max(map(len, asked.values())) > 3
    for orders in asked.values():
        # A graph without a cycle: whatever is true of some orders, the others can be either way.
        root: dict[str, str] = {}

        def find(name: str) -> str:
            while root.setdefault(name, name) != name:  # noqa: B023
                name = root[name]  # noqa: B023
            return name

        for one, other in orders:
            assert find(one) != find(other)
            root[find(one)] = find(other)
        uses = defaultdict(int)
        for name in (name for order in orders for name in order):
            uses[name] += 1
        assert max(uses.values()) <= 2
