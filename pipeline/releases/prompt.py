"""The prompt that every adapter and scorer puts to a model: frames, question, lettered options. Pure.

Adapters contain a copy of this code (see adapters.py), so it uses the standard library alone.
"""

from collections.abc import Sequence

INSTRUCTION = "These are frames of one first-person video, in time order."
ASK = "Answer with the letter of the right option alone."


def question_prompt(question: str, options: Sequence[str]) -> str:
    """Return the prompt of a multiple-choice item: one line per option, lettered from A to D."""
    lettered = map("{}. {}".format, "ABCD", options)
    return "\n".join([INSTRUCTION, question, *lettered, ASK])
