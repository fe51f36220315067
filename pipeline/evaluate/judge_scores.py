"""The scores in a judge's reply, read strictly: one object with three whole numbers from 0 to 5. Pure.

Nothing else is a score, least of all 0. A reply that holds two different objects of this form, such as one that
repeats what the answer says about its own score, is unreadable.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.evaluate.answers import is_cut, is_refused
from pipeline.evaluate.open_rows import Judging
from pipeline.models.answer import answers
from pipeline.releases.replytext import without_thinking

SCORES = ("direction", "landmark", "semantics")
HIGHEST = 5


@dataclass(frozen=True)
class Scores:
    """The scores of one answer, each from 0 to 5."""

    direction: int
    landmark: int
    semantics: int

    @property
    def total(self) -> int:
        """The sum of the three."""
        return self.direction + self.landmark + self.semantics


def read_scores(
    text: str | None, finish: str | None = None, refusal: str | None = None
) -> tuple[Judging, Scores | None]:
    """Return the outcome of a judge's reply, and its scores if it has any."""
    shown, thinking = without_thinking(text or "")
    if is_refused(shown, finish, refusal):
        return "refused", None
    if is_cut(finish) or thinking:
        return "truncated", None
    found = [one for one in answers(shown) if {*SCORES} & {*one}]
    if not found or any(one != found[0] for one in found) or not _are_scores(found[0]):
        return "unreadable", None
    return "scored", Scores(**found[0])


def _are_scores(found: Mapping[str, object]) -> bool:
    return {*found} == {*SCORES} and all(map(_is_score, found.values()))


def _is_score(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= HIGHEST
