"""The rules by which letters are read from replies: the strict parser, and the reference's. Pure.

A rule is no part of what a model is asked: the same replies are read again without any request.
"""

import re
from collections.abc import Mapping, Sequence
from string import ascii_uppercase

from pipeline.errors import UserError
from pipeline.evaluate.answers import Answer, read_answer
from pipeline.evaluate.arms import order_of
from pipeline.evaluate.rows import Prediction
from pipeline.evaluate.scoring import Question

STRICT, REFERENCE = "strict", "reference"
RULES: Mapping[str, str] = {
    STRICT: "the last explicit statement of one letter",
    REFERENCE: "the reference's rule: the first capital A to D",
}
"""How each parser reads a reply, in the words of tables and exports."""
BY_REFERENCE = "read by the reference's rule"
"""The flag of every prediction that is not read strictly."""

_TAGGED = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
_CAPITAL = re.compile(r"[A-D]")


def check_parser(name: str) -> None:
    """Raise UserError if there is no such parser."""
    if name not in RULES:
        raise UserError(
            "--parser", f"there is no parser {name!r}", f"choose from {', '.join(RULES)}"
        )


def read(row: Prediction, question: Question, parser: str = STRICT) -> Prediction:
    """Return a prediction with what its reply says by a rule, in the letters of the released item.

    A failed one, and a letter that came without a reply, stay as they are.
    """
    without_reply = row.reply is None and row.reasoning is None
    if row.outcome == "failed" or (without_reply and row.letter):
        return row
    order = order_of(row.arm, len(question.options))
    options = [question.options[at] for at in order]
    answer = read_answer(row.reply, options, row.finish, row.refusal, row.reasoning)
    if parser == REFERENCE:
        answer = _by_reference(row.reply or "", options, answer)
    letter = answer.letter and ascii_uppercase[order[ascii_uppercase.index(answer.letter)]]
    read_as = {"letter": letter, "outcome": answer.outcome, "flags": list(answer.flags)}
    return row.model_copy(update=read_as)


def _by_reference(reply: str, options: Sequence[str], strictly: Answer) -> Answer:
    """Return what the reference takes a reply for (WPR001/Ego-ST, mutiple_choice_infer.py and mcq_infer.py).

    The first capital A to D counts, of the first `<answer>` where there is one: "Answer: C" gives A, and a
    cut or refusing reply with such a letter is answered. A reply without one is wrong there; here it keeps
    the name that it has by the strict parser.
    """
    tagged = _TAGGED.search(reply)
    found = _CAPITAL.search(tagged[1] if tagged else reply)
    if found and ascii_uppercase.index(found[0]) < len(options):
        return Answer(found[0], "answered", (BY_REFERENCE,))
    outcome = "unreadable" if strictly.outcome == "answered" else strictly.outcome
    return Answer(None, outcome, (BY_REFERENCE,))
