"""What was composed, in the lines that `generate-qa` ends with: items by kind, closed cells, what is unproven. Pure."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from pipeline.engine.rows import Rejection
from pipeline.questions.refusals import MORE_FRAMES, UNSEEN
from pipeline.questions.rows import Item, Span, Stratum

_COIN = (
    'set compose.mirror = "coin": each span is then flipped left to right or not, which makes the '
    "sides of its turns even"
)
_FOOTAGE = "add other scenes, or walk the same ones in other orders and directions"


def composed(
    items: Iterable[Item],
    spans: Sequence[Span],
    strata: Sequence[Stratum],
    mirror: str,
    rejections: Iterable[Rejection] = (),
) -> Iterator[str]:
    """Yield the counts of items, the closed cells with what would open them, and what is unproven.

    `mirror` is the setting; `rejections` are those of compose.
    """
    kinds: Counter[str] = Counter()
    twins: set[str] = set()
    aside = 0
    for item in items:
        if item.status == "set_aside":
            aside += 1
            continue
        kinds[" ".join(filter(None, (item.category, item.contrast)))] += 1
        twins |= {item.twin} if item.twin else set()
    listed = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    yield (
        f"items: {kinds.total()}{f' ({listed})' if listed else ''}; {len(twins)} pairs of a forward and a "
        f"reverse one{f'; {aside} set aside' if aside else ''}"
    )
    if mirror == "coin":
        upright = sum(span.upright for span in spans)
        yield (
            f"mirrored: {sum(span.mirrored for span in spans)} of {len(spans)} spans"
            f"{f'; {upright} are never flipped (compose.never_mirror)' if upright else ''}"
        )
    for cell in strata:
        if cell.closed:
            sided = cell.contrast in ("turn", "mixed") and mirror == "off"
            yield f"closed: {cell.category} {cell.contrast}: {cell.closed}"
            yield f"  to open it: {f'{_COIN}; or {_FOOTAGE}' if sided else _FOOTAGE}"
    candidates = sum(cell.candidates for cell in strata)
    guessed = candidates - sum(cell.admissible for cell in strata)
    if guessed:
        yield f"not asked: {guessed} of {candidates} pairs of facts, which can be guessed without the video"
    unseen = {row.unit for row in rejections if UNSEEN in row.what}
    if unseen:
        clips = f"{len(unseen)} clip{'s' if len(unseen) > 1 else ''}"
        yield f"not shown: a category in {clips}, by too few frames; {MORE_FRAMES}"
    few = ", ".join(
        f"{cell.candidates} {cell.category} {cell.contrast}" for cell in strata if not cell.fitted
    )
    if few:
        yield (
            "unproven: whether items can be answered without the video: too few pairs of facts to fit a "
            f"reader, so the one that ships with the toolkit judged them ({few})"
        )
