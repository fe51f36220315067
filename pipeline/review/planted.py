"""Planted tasks: a clip's page sent again with one turn flipped, to find annotators who don't look.

They look like any other task. No verdict on them can verify a route: no draft has their fingerprint.
"""

from collections.abc import Sequence
from dataclasses import replace

from pipeline.engine.rows import digest
from pipeline.review.routepage import PageRows
from pipeline.review.verdicts import Kind
from pipeline.routes import route


def with_planted(
    queue: Sequence[PageRows], share: float, secret: bytes
) -> list[tuple[PageRows, Kind]]:
    """Add the planted tasks, each half a queue's length away from its clip's own task."""
    found: list[tuple[float, PageRows, Kind]] = []
    for position, shown in enumerate(queue):
        found.append((position, shown, "real"))
        drawn = int(digest("planted", secret.hex(), shown.clip.clip_id), 16)
        wrong = _flipped(shown, drawn) if drawn < share * 16**16 else None
        if wrong:
            found.append(((position + len(queue) // 2) % len(queue) + 0.5, wrong, "planted"))
    found.sort(key=lambda one: one[0])
    return [(shown, kind) for _, shown, kind in found]


def _flipped(shown: PageRows, drawn: int) -> PageRows | None:
    """Return the page with one turn flipped to the other side, or None if there is no such turn."""
    steps = list(shown.draft.steps)
    sided = [position for position, step in enumerate(steps) if step.move in ("left", "right")]
    if not sided:
        return None
    position = sided[drawn % len(sided)]
    steps[position] = steps[position].model_copy(
        update={"move": route.OPPOSITE[steps[position].move]}
    )
    descriptions = (shown.draft.forward_description, shown.draft.reverse_description)
    draft = shown.draft.model_copy(
        update={"steps": steps, "fingerprint": route.fingerprint(steps, *descriptions)}
    )
    return replace(shown, draft=draft)
