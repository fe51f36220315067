"""Gold clips: a file of clips whose true routes are known, to measure how well people judge."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError

from pipeline.engine.rows import Record
from pipeline.errors import UserError
from pipeline.review.settings import ReviewSettings
from pipeline.routes import route
from pipeline.routes.rows import Step

_ENDLESS_US = 10**15  # gold lines have no clip length, and only facts are compared


class _Gold(Record):
    clip_id: str
    steps: str


def read_gold(path: Path) -> dict[str, tuple[Step, ...]]:
    """Return the true steps by clip of a file like `annotations/gold.example.jsonl`.

    Raises UserError with the line that can't be read.
    """
    found = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            entry = _Gold.model_validate_json(line)
            found[entry.clip_id] = route.parse_lines(entry.steps, 0, _ENDLESS_US)
        except (ValidationError, route.LineError) as error:
            problem = str(error).splitlines()[-1].strip()
            raise UserError(
                f"{path}:{number}", problem, "write lines as in annotations/gold.example.jsonl"
            ) from error
    return found


def gold_of(settings: ReviewSettings) -> Mapping[str, Sequence[Step]]:
    """Return the true steps by clip of the file in `review.gold`; none if it is empty."""
    return read_gold(gold_file(settings)) if settings.gold else {}


def gold_file(settings: ReviewSettings) -> Path:
    """Return the file in `review.gold`; raise UserError if it doesn't exist."""
    path = Path(settings.gold)
    if not path.is_file():
        raise UserError(
            f"review.gold = {path}", "no such file", "see annotations/gold.example.jsonl"
        )
    return path
