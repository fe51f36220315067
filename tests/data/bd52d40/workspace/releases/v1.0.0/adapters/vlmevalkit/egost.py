"""egost 1.0.0 as a VLMEvalKit dataset: put this release's folder on the path and import it.

    from adapters.vlmevalkit.egost import Egost
    dataset = Egost()
"""

import json
import re
from pathlib import Path

from vlmeval.dataset.video_base import VideoBaseDataset

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


class Egost(VideoBaseDataset):
    """Multiple-choice questions on equally distant frames."""

    TYPE = "Video-MCQ"

    def __init__(self, dataset="Egost", **how):
        super().__init__(dataset=dataset, **how)

    @classmethod
    def supported_datasets(cls):
        """Return the names that this class serves."""
        return ["Egost"]

    def prepare_dataset(self, dataset):
        """Return where the table lies."""
        table = Path(__file__).resolve().with_name("egost.tsv")
        return {"root": str(RELEASE), "data_file": str(table)}

    def save_video_frames(self, line, *_, **__):
        """Return the frames of the release: nothing has to be cut."""
        return [str(RELEASE / name) for name in json.loads(line["frames"])]

    def build_prompt(self, line, video_llm=False, **_):
        """Return the pictures in time order, then the question."""
        if isinstance(line, int):
            line = self.data.iloc[line]
        row = {"question": line["question"], "options": json.loads(line["candidates"])}
        pictures = [{"type": "image", "value": path} for path in self.save_video_frames(line)]
        return [*pictures, {"type": "text", "value": asked(row)}]

    @classmethod
    def evaluate(cls, eval_file, **_):
        """Return accuracy by task, and the share of replies that could be read."""
        from vlmeval.smp import load

        table = load(eval_file)
        found = [
            letter(str(reply), json.loads(options))
            for reply, options in zip(table["prediction"], table["candidates"])
        ]
        table = table.assign(
            right=[one == answer for one, answer in zip(found, table["answer"])],
            readable=[one is not None for one in found],
        )
        scores = {"overall": float(table["right"].mean()), "readable": float(table["readable"].mean())}
        scores.update(table.groupby("question_type")["right"].mean().astype(float).to_dict())
        return scores
