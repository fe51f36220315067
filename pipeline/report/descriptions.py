"""The items of a results page that are answered in words: what was said of each, what was read in it, who scored it."""

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from pipeline.errors import EgostError
from pipeline.evaluate import prompting
from pipeline.evaluate.described import (
    LIKENESS,
    Described,
    as_description,
    as_question,
    described,
    reference_of,
)
from pipeline.evaluate.described_files import (
    DESCRIPTIONS,
    JUDGED,
    OPEN_ITEMS,
    read_people,
    read_table,
)
from pipeline.evaluate.judge_scores import SCORES
from pipeline.evaluate.judged import Key
from pipeline.evaluate.open_rows import Judgement, OpenItem, PeopleScores
from pipeline.evaluate.prompting import Prompt
from pipeline.evaluate.results import Results
from pipeline.evaluate.rows import Prediction
from pipeline.evaluate.scoring import Question
from pipeline.releases.layout import file_digest
from pipeline.report.replies import shortened, shown_reply, without_gaps
from pipeline.routes.likeness import Reference, likeness
from pipeline.routes.route import OPPOSITE
from pipeline.routes.told import Told, Vocabulary, name_key

DESCRIBED = "described"
"""The outcome of a reply that describes something; others are those of any reply."""
NO_ERROR = " "
Scoring = TypeVar("Scoring", Judgement, PeopleScores)
_RIGHT, _MIRROR, _TURNS = "y", "m", "n"


@dataclass(frozen=True)
class Descriptions:
    """What one model said of the items answered in words whose answers are known, and who scored it.

    `vocabulary` has the names that descriptions are read by; without the release it is None, and then nothing that was
    read in them is shown. `held` counts items whose answers are withheld. `outdated` is whether the judges' scores
    are of other descriptions than these, so that they aren't shown.
    """

    items: Mapping[str, OpenItem]
    made: Sequence[Described]
    judged: Mapping[Key, Sequence[Judgement]]
    people: Mapping[Key, Sequence[PeopleScores]]
    vocabulary: Vocabulary | None
    held: int = 0
    outdated: bool = False

    @classmethod
    def read(
        cls, results: Results, vocabulary: Vocabulary | None, withheld: Container[str] = ()
    ) -> "Descriptions | None":
        """Read those of a results folder, without items of `withheld` splits; None if it has no descriptions.

        Raise UserError if a file can't be read.
        """
        folder = results.folder
        if not (folder / DESCRIPTIONS).exists():
            return None
        stored = read_table(folder, DESCRIPTIONS, Prediction)
        items = {
            one.id: one
            for one in read_table(folder, OPEN_ITEMS, OpenItem)
            if one.split not in withheld
        }
        judge = results.body.get("judge")
        told_of = judge.get("descriptions_sha256") if isinstance(judge, Mapping) else None
        there = (folder / JUDGED).exists()
        current = there and told_of == file_digest(folder / DESCRIPTIONS)
        rows = read_table(folder, JUDGED, Judgement) if current else []
        return cls(
            items,
            [
                described(items[one.id], as_description(one), vocabulary or Vocabulary())
                for one in stored
                if one.id in items
            ],
            _by_description(one for one in rows if one.id in items),
            _by_description(one for one in read_people(folder) if one.id in items),
            vocabulary,
            held=len({one.id for one in stored} - items.keys()),
            outdated=there and not current,
        )

    @property
    def questions(self) -> dict[str, Question]:
        """The items as lists and filters need them; they have no options."""
        return {id_: replace(as_question(one), twin=one.twin) for id_, one in self.items.items()}

    @property
    def replies(self) -> int:
        """The number of texts by models, judges included."""
        return len(self.made) + sum(map(len, self.judged.values()))

    def outcome(self, one: Described) -> str:
        """Return what became of a reply."""
        made = one.prediction.outcome
        return DESCRIBED if made == "answered" else made

    def error(self, one: Described) -> str:
        """Return whether all turns are right, only all sides are wrong, or others too; nothing where it isn't known."""
        if self.vocabulary is None or not one.text:
            return NO_ERROR
        if one.likeness.turns == 1:
            return _RIGHT
        known = reference_of(one.item)
        moves = tuple(OPPOSITE[move] for move in known.moves)
        swapped = Reference(moves, orientation=known.orientation)
        return _MIRROR if likeness(Told(one.told.moves), swapped).turns == 1 else _TURNS

    def reply(self, one: Described, longest: int) -> dict[str, Any]:
        """Return a description as the page shows it; texts longer than `longest` lose their middle."""
        made, key = one.prediction, (one.prediction.id, one.prediction.arm, one.prediction.repeat)
        found = shown_reply(made, self.outcome(one), longest, _place(one))
        if one.text and self.vocabulary is not None:
            found["read"] = _read(one)
        found["error"] = {_MIRROR: "mirror", _TURNS: "turns"}.get(self.error(one))
        found["judged"] = [_judged(row, longest) for row in self.judged.get(key, ())]
        found["people"] = [
            [row.annotator, row.by == "person", *(getattr(row, name) for name in SCORES)]
            for row in self.people.get(key, ())
        ]
        return without_gaps(found)


def prompt_of(results: Results) -> Prompt | None:
    """Return the words in which items answered in words were put to a model; None if the template has changed since."""
    stored = results.body.get("open")
    try:
        found = prompting.load_open(results.identity.prompt)
    except EgostError:
        return None
    asked = stored.get("prompt_sha256") if isinstance(stored, Mapping) else None
    return found if found.sha256 == asked else None


def reference(item: OpenItem) -> dict[str, Any]:
    """Return what a description of an item should state, as the page shows it."""
    return {
        "text": item.reference,
        "moves": item.moves,
        "landmarks": item.landmarks,
        "actions": item.actions,
        "source": item.source,
        "back": item.orientation == "reverse",
    }


def _by_description(rows: Iterable[Scoring]) -> dict[Key, list[Scoring]]:
    """Return rows by the description that they score, those about planted answers left out."""
    found: dict[Key, list[Scoring]] = defaultdict(list)
    for one in rows:
        if one.arm is not None:
            found[one.id, one.arm, one.repeat].append(one)
    return found


def _place(one: Described) -> tuple[int, int]:
    """Return where in its reply a description stands, if that is only a part of it."""
    reply = one.prediction.reply or ""
    at = reply.rfind(one.text) if one.text and one.text != reply.strip() else -1
    return (0, 0) if at < 0 else (at, at + len(one.text))


def _read(one: Described) -> dict[str, Any]:
    """Return what the grammar read in a description, and how alike that is to the reference."""
    told, item = one.told, one.item
    return {
        "moves": list(told.moves),
        "landmarks": _wanted(told.landmarks, item.landmarks),
        "actions": _wanted(told.actions, item.actions),
        "unread": list(told.unread),
        "language": told.language,
        "alike": {name: getattr(one.likeness, name) for name in LIKENESS},
    }


def _wanted(told: Iterable[str], known: Iterable[str]) -> list[list[Any]]:
    """Return names, each with whether the reference has it."""
    keys = {name_key(name) for name in known}
    return [[name, name_key(name) in keys] for name in told]


def _judged(row: Judgement, longest: int) -> dict[str, Any]:
    """Return one judgement as the page shows it."""
    scores = [getattr(row, name) for name in SCORES]
    found = {
        "judge": row.judge,
        "rubric": row.rubric,
        "repeat": row.judge_repeat,
        "outcome": row.outcome,
        "scores": None if None in scores else scores,
        "uncalibrated": True if row.calibrated is False else None,
        "reply": shortened(row.reply or "", longest)[0],
        "failed": row.error,
    }
    return without_gaps(found)
