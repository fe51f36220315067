"""What the lmms-eval task of egost 1.0.0 calls: frames, prompt, score."""

import re
from pathlib import Path

RELEASE = Path(__file__).resolve().parents[2]
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


def doc_to_visual(doc):
    """Return the clip's equally distant frames as pictures."""
    from PIL import Image

    return [Image.open(RELEASE / name).convert("RGB") for name in doc["frames"]]


def doc_to_text(doc, lmms_eval_specific_kwargs=None):
    """Return the prompt."""
    return asked(doc)


def process_results(doc, results):
    """Score one reply; an unreadable one is not right, and is told apart."""
    found = letter(results[0], doc["options"])
    return {"accuracy": float(found == doc["answer"]), "readable": float(found is not None)}
