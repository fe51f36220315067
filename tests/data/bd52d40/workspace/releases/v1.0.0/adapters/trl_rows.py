"""egost 1.0.0 as rows for TRL's trainers: prompt, completion, frames as images.

    from adapters.trl_rows import load
    train = load("train")
"""

import re
from pathlib import Path

from datasets import Dataset, Features, Image, Sequence, Value

RELEASE = Path(__file__).resolve().parents[1]
INSTRUCTION = "These are frames of one first-person video, in time order."
ASK = "Answer with the letter of the right option alone."


def asked(row):
    """Return the text that a model is asked, options with their letters."""
    options = [f"{name}. {text}" for name, text in zip("ABCD", row["options"])]
    return "\n".join([INSTRUCTION, row["question"], *options, ASK])


_REPLY = re.compile(
    r"\W*(?:(?:the\s+)?(?:correct\s+|final\s+|best\s+)?(?:answer|option|choice)(?:\s+is|\s*:|\s+)\W*)?"
    r"\(?\[?([A-D])\]?\)?(?:[.):]\s*(?P<text>.+?))?\W*",
    re.IGNORECASE | re.DOTALL,
)


def letter(reply, options=()):
    """Return the letter that a reply settles on, or None: it is then counted as unreadable, not as wrong.

    Read are a letter alone, "Answer: C", and a letter followed by exactly its option's text; of a
    longer reply, its last line.
    """
    for text in (reply.strip(), (reply.strip().splitlines() or [""])[-1].strip()):
        match = _REPLY.fullmatch(text)
        if match is None:
            continue
        found, said = match[1].upper(), match["text"]
        if said is None:
            return found
        place = "ABCD".index(found)
        if place < len(options) and _plain(said) == _plain(options[place]):
            return found
    return None


def _plain(text):
    return " ".join(text.split()).strip(" .").casefold()


_MESSAGES = [{"role": Value("string"), "content": Value("string")}]
FEATURES = Features(
    {
        "id": Value("string"),
        "prompt": _MESSAGES,
        "completion": _MESSAGES,
        "images": Sequence(Image()),
        "solution": Value("string"),
        "options": Sequence(Value("string")),
        "question_type": Value("string"),
    }
)


def load(split="train"):
    """Return one split; contents are plain strings, which TRL lays the images into."""
    import polars as pl

    rows = pl.read_parquet(RELEASE / "mcq" / f"{split}-*.parquet").to_dicts()
    return Dataset.from_list([_row(row) for row in rows if row["answer"]], features=FEATURES)


def _row(row):
    return {
        "id": row["id"],
        "prompt": [{"role": "user", "content": asked(row)}],
        "completion": [{"role": "assistant", "content": row["answer"]}],
        "images": [str(RELEASE / name) for name in row["frames"]],
        "solution": row["answer"],
        "options": row["options"],
        "question_type": row["question_type"],
    }


def reward(completions, solution, options, **_):
    """Return 1.0 for the right letter and 0.0 for any other reply: a reward function for GRPO."""
    replies = [text if isinstance(text, str) else text[-1]["content"] for text in completions]
    return [
        float(letter(reply, texts) == right)
        for reply, texts, right in zip(replies, options, solution)
    ]
