"""Baselines that cost nothing: what is reached without a model, and by people.

Each is a list of predictions in an arm of its own, so that it is scored and summarised as a model is.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import ascii_uppercase

import numpy as np

from pipeline.blind.probe import probe
from pipeline.blind.sheet import ProbeItem
from pipeline.engine.rows import digest
from pipeline.evaluate.cells import Parts, units_of
from pipeline.evaluate.rows import Prediction
from pipeline.evaluate.scoring import Question
from pipeline.questions.rows import AskedFact
from pipeline.releases.layout import Evidence

MOST_FREQUENT = "most frequent letter"
BLIND_PROBE = "blind probe"
MOTION_FRAMES = "measured motion (released frames)"
MOTION_VIDEO = "measured motion (video)"
_MOST_SPANS = 100  # whose frames are measured: half a second each, once for a release
_OTHER_SIDE = {"left": "right", "right": "left"}


@dataclass(frozen=True)
class Human:
    """What people who had not seen the answer chose, on the items that they answered: `items`, by id."""

    accuracy: Parts
    answers: int
    items: frozenset[str]


@dataclass(frozen=True)
class Baselines:
    """The predictions of all baselines, each in an arm of its own, the human row, and what was left out."""

    predictions: tuple[Prediction, ...]
    human: Human | None
    notes: tuple[str, ...]


def baselines(
    questions: Sequence[Question],
    evidence: Mapping[str, Evidence],
    release: Path,
    *,
    scored: Callable[[Question], bool] = lambda question: True,
    least: int = 0,
) -> Baselines:
    """Return the baselines of the items that are `scored`; all `questions` with an answer teach them.

    `evidence` is by item id; `release` is the folder with the frames. `least` is that of `metrics.summarise`.
    """
    known = [
        question
        for question in questions
        if question.answer_index is not None and len(question.options) > 1
    ]
    wanted = [question for question in known if scored(question)]
    guessed = blind_probe(known)
    ids = {question.id for question in wanted}
    notes = []
    if 0 < (probed := sum(one.id in ids for one in guessed)) < len(wanted):
        notes.append(f"{BLIND_PROBE}: measured on {probed} of {len(wanted)} items, whole scenes")
    moved = measured_motion(wanted, evidence, release)
    with_facts = any(question.facts for question in wanted)
    notes += [
        f"{name}: answers {sum(one.arm == name for one in moved)} of {len(wanted)} items, those that {which}"
        for name, which in (
            (MOTION_FRAMES, f"ask for sides, of {_MOST_SPANS} spans at most"),
            (MOTION_VIDEO, "ask for sides"),
        )
        if with_facts
    ]
    predictions = (
        *most_frequent_letter(known, wanted),
        *(one for one in guessed if one.id in ids),
        *moved,
    )
    return Baselines(predictions, human(wanted, evidence, least), tuple(notes))


def most_frequent_letter(known: Sequence[Question], wanted: Iterable[Question]) -> list[Prediction]:
    """Return for each wanted item the letter that is right most often in other scenes.

    Items of the split `train` teach the others; where there are none, all items of other scenes do. As
    letters are even over all items, those of other scenes then point away from a scene's own: below chance.
    """
    training = [question for question in known if question.split == "train"]
    every, trained = _letters(known), _letters(training)
    found = []
    for question in wanted:
        counts = trained if training and question.split != "train" else every
        others = counts[""] - counts.get(question.split_group, Counter())
        letters = ascii_uppercase[: len(question.options)]
        letter = max(letters, key=lambda one: (others[one], -ord(one)))
        found.append(_prediction(question, MOST_FREQUENT, letter))
    return found


def _letters(questions: Iterable[Question]) -> dict[str, Counter[str]]:
    """Return how often each letter is the answer: in all (under "") and by group."""
    found: dict[str, Counter[str]] = {"": Counter()}
    for question in questions:
        for group in ("", question.split_group):
            found.setdefault(group, Counter())[question.answer or ""] += 1
    return found


def blind_probe(questions: Sequence[Question]) -> list[Prediction]:
    """Return what the learned blind probe answers to each item, taught by other scenes' items alone.

    Of many items, whole scenes are drawn, as `egost blind` does.
    """
    if not questions:
        return []
    found = probe([_probe_item(question) for question in questions], quick=True)
    predictions = []
    by_id = {question.id: question for question in questions}
    for index, item in enumerate(found.sheet.items):
        scores = found.learned.scores[list(found.sheet.rows(index))]
        # Tied options: drawn by the item's id, or a probe that knows nothing would always answer A.
        best = np.flatnonzero(scores == scores.max()).tolist()
        place = _drawn(item.id, best)
        predictions.append(_prediction(by_id[item.id], BLIND_PROBE, ascii_uppercase[place]))
    return predictions


def _probe_item(question: Question) -> ProbeItem:
    return ProbeItem(
        id=question.id,
        question=question.question,
        options=question.options,
        answer=question.answer_index or 0,
        group=question.split_group,
        clip=question.video,
        task=question.task,
        orientation=question.orientation,
        contrast=question.contrast or "",
        split=question.split,
        twin=question.twin or "",
        columns={"category": question.category},
    )


def human(
    questions: Sequence[Question], evidence: Mapping[str, Evidence], least: int = 0
) -> Human | None:
    """Return the accuracy of people on the items that they answered in audits; None if there are none."""
    given = [(question, evidence[question.id]) for question in questions if question.id in evidence]
    given = [(question, one) for question, one in given if one.human_answers]
    if not given:
        return None
    shares = np.array([one.human_right / one.human_answers for _, one in given])
    return Human(
        units_of([question for question, _ in given], least).figures(shares),
        sum(one.human_answers for _, one in given),
        frozenset(question.id for question, _ in given),
    )


# ---- measured motion ---------------------------------------------------------------------------------


def measured_motion(
    questions: Sequence[Question], evidence: Mapping[str, Evidence], release: Path
) -> list[Prediction]:
    """Return what measured turns answer to the items that ask for sides: from released frames, and from the video.

    What isn't measured, such as an order or a turn that wasn't found, is drawn by the item's id. There is no
    prediction from frames where files are missing, nor beyond a sample of spans.
    """
    asked = [question for question in questions if any(map(_is_side, question.facts))]
    frames = _by_video(asked, release)
    video = {question.id: _measured(evidence.get(question.id)) for question in asked}
    shown = {question.id: frames[question.video] for question in asked}
    return [
        _moved(question, found, arm)
        for arm, turns in ((MOTION_FRAMES, shown), (MOTION_VIDEO, video))
        for question in asked
        if (found := turns[question.id]) is not None
    ]


def _by_video(questions: Iterable[Question], release: Path) -> dict[str, Sequence[str] | None]:
    """Return the turns that the frames of each video show; None for those that aren't in the sample."""
    from pipeline.evaluate.turn_cache import kept_turns

    asked = {question.video: question for question in questions}
    sample = sorted(asked, key=lambda video: digest("baseline", video))[:_MOST_SPANS]
    spans = {
        video: (tuple(asked[video].frames), tuple(asked[video].frame_seconds)) for video in sample
    }
    return dict.fromkeys(asked) | kept_turns(release, spans)


def _measured(evidence: Evidence | None) -> list[str] | None:
    """Return the kinds of turns measured in the video of a span, as its frames show them.

    The evidence of a mirrored span has its turns flipped already. A turn belongs to the span that has its middle.
    """
    if evidence is None or evidence.span_start is None or evidence.span_end is None:
        return None
    turns = zip(evidence.turn_kinds, evidence.turn_start, evidence.turn_end, strict=True)
    return [
        kind
        for kind, start, end in turns
        if evidence.span_start <= (start + end) / 2 < evidence.span_end
    ]


def _moved(question: Question, turns: Sequence[str], arm: str) -> Prediction:
    sides = [kind for kind in turns if kind in _OTHER_SIDE]
    if question.orientation == "reverse":
        sides = [_OTHER_SIDE[side] for side in reversed(sides)]
    places = [
        place
        for place in range(len(question.options))
        if all(_agrees(fact, place, sides) for fact in question.facts if _is_side(fact))
    ]
    place = _drawn(question.id, places or range(len(question.options)))
    return _prediction(question, arm, ascii_uppercase[place])


def _is_side(fact: AskedFact) -> bool:
    return fact.name.startswith("turn:")


def _agrees(fact: AskedFact, place: int, sides: Sequence[str]) -> bool:
    number = int(fact.name.removeprefix("turn:"))
    return number > len(sides) or fact.values[place] == sides[number - 1]


def _drawn(item_id: str, places: Sequence[int]) -> int:
    return places[int(digest("baseline", item_id), 16) % len(places)]


def _prediction(question: Question, arm: str, letter: str) -> Prediction:
    return Prediction(id=question.id, arm=arm, letter=letter, outcome="answered", cost_usd=0.0)
