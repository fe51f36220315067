"""Replies to every item of a release, with what egost makes of them: python same_replies.py RELEASE FILE.

The checks of other tools give their adapters the same replies, and compare accuracy and clustered errors.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.evaluate.answers import read_answer
from pipeline.evaluate.intervals import shares
from pipeline.evaluate.reading import questions_of
from pipeline.evaluate.rows import Prediction
from pipeline.evaluate.scoring import Question, scored
from pipeline.releases.reading import Released, open_release

FORMS = (
    "{letter}",
    "<answer>{letter}</answer>",
    "It turns left twice.\n\n**{letter}**",
    r"\boxed{{{letter}}}",
    "The correct answer is {letter}.",
    "{text}",
    "{letter}. {text}",
    "It is not {other}.\nAnswer: {letter}",
    "<think>Maybe {other}.</think>\n<answer>{letter}</answer>",
)
UNREADABLE = (
    "",
    "A person turns left.",
    "{letter} or {other}",
    "I see a door.",
    "<think>It is {letter}",
)
CUT = ("<answer>{letter}</answer> I", "Answer: {letter}", "<think>It is {letter}.")
FILTERED = "<answer>{letter}</answer>"


def replies(questions: list[Question]) -> Iterator[dict[str, Any]]:
    """Yield one reply to each question: scenes differ in how many are right, and every form occurs."""
    groups = sorted({one.split_group for one in questions})
    for number, one in enumerate(questions):
        easy = groups.index(one.split_group) % 3 + 1  # of 4
        options = dict(zip("ABCDEFGHIJ", one.options, strict=False))
        right = number % 4 < easy
        letter = one.answer if right else next(name for name in options if name != one.answer)
        form, finish = FORMS[number % len(FORMS)], "stop"
        if number % 7 == 3:
            form = UNREADABLE[number // 7 % len(UNREADABLE)]
        elif number % 11 == 5:
            form, finish = CUT[number // 11 % len(CUT)], "max_tokens"
        elif number % 13 == 6:
            form, finish = FILTERED, "content_filter"
        other = next(name for name in options if name != letter)
        text = form.format(letter=letter, other=other, text=options[str(letter)])
        yield {"id": one.id, "reply": text, "finish": finish}


def figures(questions: list[Question], rows: list[dict[str, Any]], finish: bool) -> dict[str, Any]:
    """Return what egost makes of replies: accuracy, the share that is readable, and clustered errors.

    Without `finish`, the reason why a reply ended isn't known, as in lmms-eval. `cr2` is egost's own error; `cr1`
    is that of Inspect, with the factor C / (C - 1) for C clusters, and `miller` that of lmms-eval, equation 4 of
    arXiv 2411.00640 with the unbiased variance of single items.
    """
    known = {one.id: one for one in questions}
    made = []
    for row in rows:
        given = {"finish": row["finish"]} if finish else {}
        answer = read_answer(row["reply"], known[row["id"]].options, **given)
        made.append(
            Prediction(id=row["id"], arm="frames", letter=answer.letter, outcome=answer.outcome)
        )
    results = scored(questions, made)
    right = np.array([one.outcome == "right" for one in results], float)
    _, group = np.unique([one.question.split_group for one in results], return_inverse=True)
    sums, sizes = np.bincount(group, right), np.bincount(group).astype(float)
    count, clusters = len(right), len(sizes)
    off = right - right.mean()
    within = np.bincount(group, off) ** 2
    cross = (within.sum() - (off**2).sum()) / count**2
    return {
        "accuracy": float(right.mean()),
        "readable": float(np.mean([one.letter is not None for one in results])),
        "cr2": float(shares(sums, sizes).error) if clusters > 1 else None,
        "cr1": float(np.sqrt(within.sum() * clusters / (clusters - 1)) / count)
        if clusters > 1
        else None,
        "miller": float(np.sqrt(right.var(ddof=1) / count + cross)) if count > 1 else None,
    }


def same_replies(released: Released, split: str) -> dict[str, Any]:
    """Return replies to the items of a split, and egost's figures with and without finish reasons."""
    questions = [
        one
        for one in questions_of(released)[0]
        if one.split == split and one.answer_index is not None
    ]
    rows = list(replies(questions))
    return {
        "replies": {row["id"]: row for row in rows},
        "figures": figures(questions, rows, finish=True),
        "without_finish": figures(questions, rows, finish=False),
    }


def main() -> None:
    """Write replies and figures of the split that adapters score."""
    released = open_release(Path(sys.argv[1]))
    counts = released.manifest["multiple_choice_items"]
    split = "test" if counts.get("test") else next(name for name, count in counts.items() if count)
    found = same_replies(released, split)
    path = Path(sys.argv[2])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found), encoding="utf-8")
    told = ", ".join(f"{name} {value:.4f}" for name, value in found["figures"].items() if value)
    print(f"egost: {len(found['replies'])} replies: {told}")  # noqa: T201


if __name__ == "__main__":
    main()
