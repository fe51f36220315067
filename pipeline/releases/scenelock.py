"""Items to leave out because the public times of spans would tell what happened first. Pure.

A span's place in its video is published where a licence forbids sharing frames, for `hydrate`. What is seen
in one span is then known to come before what is seen in a later one, and people walk the same way again:
such a name may be asked about in one span of its scene only.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Container, Iterable, Mapping

from pipeline.questions.rows import Item, Span


def told_by_times(
    items: Iterable[Item],
    spans: Collection[Span],
    scenes: Mapping[str, str],
    closed: Container[str],
) -> set[str]:
    """Return the ids of items whose names another span of their scene shows.

    `scenes` gives the scene of each video, `closed` names the videos whose spans have public times. One of
    the two spans must have such a time; the only span of a video comes before and after nothing. Twins stay
    together; they are considered in the order of their opaque ids.
    """
    often = Counter(span.video_id for span in spans)
    placed = {
        span.span_id for span in spans if span.video_id in closed and often[span.video_id] > 1
    }
    twins: dict[tuple[str, str], list[Item]] = defaultdict(list)
    for item in items:
        if item.span_id and item.twin and item.facts:
            twins[item.twin, item.span_id].append(item)
    holders: dict[tuple[str, str], set[str]] = defaultdict(set)
    found: set[str] = set()
    for (_, span_id), pair in sorted(twins.items()):
        names = [(scenes[item.video_id], name) for item in pair for name in _names(item)]
        others = {other for name in names for other in holders[name] - {span_id}}
        if any(span_id in placed or other in placed for other in others):
            found |= {item.item_id for item in pair}
            continue
        for name in names:
            holders[name].add(span_id)
    return found


def _names(item: Item) -> set[str]:
    """Return the landmarks and actions that an item names; the number of a turn names nothing elsewhere."""
    kinds = (fact.name.partition(":") for fact in item.facts)
    return {
        f"{kind}:{name}"
        for kind, _, subject in kinds
        if kind != "turn"
        for name in subject.split("|")
    }
