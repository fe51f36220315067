"""The prompt that every adapter puts to a model: frames, question, lettered options. Pure.

It is the prompt `direct` (prompts/evaluate/direct.j2). Adapters contain a copy of this code (see adapters.py), so
it uses the standard library alone.
"""

from collections.abc import Sequence
from string import ascii_uppercase

INSTRUCTION = "These are frames of one first-person video, in time order."
ASK = "Answer with the letter of the right option alone."


def frame_label(number: int, seconds: float) -> str:
    """Return the text before a frame: its number, from 1, and its time."""
    return f"Frame {number}, at {seconds:.1f} s:"


def question_prompt(question: str, options: Sequence[str], frames: bool = True) -> str:
    """Return the text after the frames, or without them: the question, and a line per option, lettered from A."""
    lettered = map("{}. {}".format, ascii_uppercase, options)
    return "\n".join([*([INSTRUCTION] if frames else []), question, *lettered, ASK])
