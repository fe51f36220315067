"""How the demonstration's two scripts describe a walk: one from its verified steps with some mistakes, one without looking."""

import random
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from pipeline.evaluate.open_items import OpenItems
from pipeline.routes import templates, wording
from pipeline.routes.motion_draft import describe_steps
from pipeline.routes.route import OPPOSITE
from pipeline.routes.rows import Orientation, Step

_GUESSED_TURNS = 3


class Walks:
    """The walks that scripts are asked to describe; which one a request shows is known from its first frame."""

    def __init__(self, items: OpenItems, release: Path) -> None:
        """Read the first frame of each item from the folder of the release."""
        self._describe = templates.load("describe.j2")
        self._asked = dict.fromkeys(one.question for one in items.questions)
        self._known = {
            (_digest((release / one.frames[0]).read_bytes()), one.question): items.known[one.id]
            for one in items.questions
            if one.id in items.known and one.frames
        }

    def reply(self, text: str, first: bytes | None, knows: float | None, model: str) -> str | None:
        """Return what a script says of a walk; None if the text doesn't ask it to describe one.

        `first` is the first image of the request. `knows` is the probability with which the script knows each turn,
        landmark and action that it shows; None for a script that makes up a walk.
        """
        asked = next((one for one in self._asked if one in text), None)
        if asked is None:
            return None
        item = self._known.get((_digest(first), asked)) if first and knows is not None else None
        drawn = random.Random(sha256(f"{model} {item.id if item else asked}".encode()).hexdigest())
        if item is None or knows is None:
            return self._said(_made_up(drawn), "en", "forward")
        steps = [_as_known(step, knows, drawn) for step in item.steps]
        return self._said(steps, item.language or "en", item.orientation)

    def _said(self, steps: Sequence[Step], language: str, way: Orientation) -> str:
        said = describe_steps(self._describe, steps, way, wording.load(language))
        return f"<answer>{said}</answer>"


def _digest(image: bytes) -> str:
    return sha256(image).hexdigest()


def _as_known(step: Step, knows: float, drawn: random.Random) -> Step:
    """Return a step as a script knows it: a turn or its opposite, a landmark and an action or none."""
    move, landmark, action = (drawn.random() < knows for _ in range(3))
    return step.model_copy(
        update={
            "move": step.move if move else OPPOSITE[step.move],
            "landmark": step.landmark if landmark else None,
            "action": step.action if action else None,
            "undo": step.undo if action else None,
        }
    )


def _made_up(drawn: random.Random) -> list[Step]:
    """Return turns to sides drawn at random, without anything on the way."""
    return [
        Step(start_us=0, end_us=0, move=drawn.choice(("left", "right")))
        for _ in range(_GUESSED_TURNS)
    ]
