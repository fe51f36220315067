"""The names that columns have in other benchmarks, and what a row holds under one of them. Pure.

Names are compared without regard to case, with spaces and hyphens as underscores: `Option 0` is `option_0`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

# The first of these that a row has is used.
QUESTION = (
    "question",
    "problem",
    "question_text",
    "stem",
    "query",
    "prompt",
    "instruction",
    "q",
    "question_stem",
)
# Questions only beside options: elsewhere they name captions and narrations.
_BEGINNING = ("ctx", "goal", "startphrase", "sentence", "input")
OPTIONS = (
    *("options", "choices", "candidates", "answer_choices", "option", "answer_options"),
    *("possible_answers", "endings", "mc1_targets", "target_scores"),
)
TEXT = ("text", "content", "value", "option", "choice", "answer")  # of options that are objects
TEXTS = ("text", "texts", "choices", "options")  # of an object with a list for each field
LABEL = ("label", "key", "id", "choice_id", "option_id")
MARK = (  # of options that are objects: whether one is the answer
    *("correct", "is_correct", "iscorrect", "is_answer", "isanswer", "is_right", "right"),
    *("is_true", "istrue", "correctness", "answer", "label", "labels"),
)
INDEX = (
    *("answer_index", "correct_index", "answer_idx", "correct_idx", "correct_answer_idx"),
    *("correct_choice_idx", "correct_choice_index", "correct_option_idx", "correct_option_index"),
)
ANSWER = (
    *(*INDEX, "label"),
    *("answer", "ground_truth", "correct_answer", "correct_answer_label", "correct_option"),
    *("correct_choice", "correct", "answerkey", "answer_key", "answer_id", "answer_letter"),
    *("solution", "gt", "gt_answer", "truth", "target", "answer_text", "correct_answer_id"),
    *("right_answer", "correct_label", "answer_label", "gold", "cop"),
)
_VIDEO = (
    *("video", "video_id", "videoid", "video_uid", "video_path", "video_name", "vid", "path"),
    *("videos", "video_idx", "video_filename", "vid_name", "image", "image_path", "image_id"),
)
GROUP = ("group", "split_group", "scene", "scene_name", "scene_id", *_VIDEO)
CLIP = ("clip", "clip_id", "clip_uid", *_VIDEO)
TASK = (
    *("task", "question_type", "problem_type", "task_type", "task_name", "qa_type", "category"),
    *("question_category", "type", "dimension", "dim"),
)
ID = (
    "id",
    "item_id",
    "question_id",
    "problem_id",
    "qid",
    "q_uid",
    "uid",
    "question_uid",
    "mcq_id",
    "question_idx",
)
SPLITS = frozenset({"train", "training", "val", "valid", "validation", "dev", "test", "testmini"})

_HOLDS_ANSWER = re.compile(
    r"answer|ground_truth|solution|correct|label|^gt$|process|think|reason|rational|explan|"
    r"(^|_)target(_(idx|index|id|option|choice|letter|text))?$|(^|_)gold(_|$)|^cop$|fingerprint|^cot$|^pred",
    re.IGNORECASE,
)
# With more, keys are names of frames or objects rather than columns, and pairs of them would take hours.
_MOST_FIELDS, _DEEPEST = 20, 3
_OPTION = re.compile(
    r"(?:(options?|choices?|opt?|candidate|alternative|ending|sol|answer|ans|a)_?)?([a-j]|\d{1,2})"
)
_WRONG = re.compile(
    r"(?:(?:wrong|incorrect|distractor)s?(?:_?(?:answer|option|choice)s?)?"
    r"|(?:false|negative)_(?:answer|option|choice)s?)_?(?:\d{1,2}|[a-j])?"
)


@lru_cache(2**12)
def plain_name(name: str) -> str:
    """Return a column's name as it is compared."""
    return name.strip().casefold().replace(" ", "_").replace("-", "_")


def plain_row(row: Mapping[Any, Any]) -> dict[str, Any]:
    """Return a row by plain names; of two that are equal, the first."""
    found: dict[str, Any] = {}
    for name, value in row.items():
        found.setdefault(plain_name(str(name)), value)
    return found


def missing(value: Any) -> bool:
    """Return whether a cell holds nothing: None, an empty text, or not a number."""
    return value is None or value != value or (isinstance(value, str) and not value.strip())


def first(row: Mapping[str, Any], names: Iterable[str]) -> Any:
    """Return what a row with plain names has under the first of `names` that holds something, else None."""
    return next((row[name] for name in names if not missing(row.get(name))), None)


def options_of(row: Mapping[str, Any]) -> Any:
    """Return the column of options of a row with plain names, else None.

    `choice` may also be what somebody chose, and `answers` what several said: they count as lists only, the
    latter beside a number that names one of its texts.
    """
    found, choice, answers = first(row, OPTIONS), row.get("choice"), row.get("answers")
    if found is not None:
        return found
    if isinstance(choice, list) and len(choice) > 1:
        return choice
    texts = (
        isinstance(answers, list) and len(answers) > 1 and all(isinstance(t, str) for t in answers)
    )
    return answers if texts and any(isinstance(row.get(name), int) for name in ANSWER) else None


def question_of(row: Mapping[str, Any]) -> Any:
    """Return the question of a row with plain names, else None."""
    found = first(row, QUESTION)
    if found is None and (
        options_of(row) is not None or sum(map(bool, map(option_place, row))) > 1
    ):
        return first(row, _BEGINNING)
    return found


def holds_answer(name: str) -> bool:
    """Return whether a column contains the answer, or was written with knowledge of it."""
    return any(_HOLDS_ANSWER.search(part) for part in name.split("."))


def flat(row: Mapping[str, Any], lead: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the columns of a row, those of an object in it as `meta.fps`; an object with many fields is one value."""
    for name, value in row.items():
        if isinstance(value, Mapping) and len(value) <= _MOST_FIELDS and lead.count(".") < _DEEPEST:
            yield from flat(value, f"{lead}{name}.")
        else:
            yield f"{lead}{name}", value


def option_place(name: str) -> tuple[str, str] | None:
    """Return the lead and the label of a column that may hold one option, such as `option_`, `2`; else None."""
    found = _OPTION.fullmatch(plain_name(name))
    return (found.group(1) or "", found.group(2).upper()) if found else None


def holds_wrong(name: str) -> bool:
    """Return whether a column holds wrong options, such as `wrong_answer_0` or `distractors`."""
    return _WRONG.fullmatch(plain_name(name)) is not None


def sequences(count: int) -> tuple[list[str], ...]:
    """Return the labels that options may have: from A, from 0 and from 1."""
    return (
        [chr(65 + place) for place in range(count)],
        *([str(place + start) for place in range(count)] for start in (0, 1)),
    )
