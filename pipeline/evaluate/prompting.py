"""The words in which an item is put to a model: one of the prompts in `prompts/evaluate/`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pipeline.errors import UserError
from pipeline.models.chat import Message, Part, PromptImage, PromptVideo
from pipeline.releases.layout import LETTERS
from pipeline.routes import templates

Medium = Literal["frames", "video", "none"]
"""What the text of a prompt speaks of."""
PROMPTS = {
    "ours": "the model thinks freely and ends with <answer>X</answer>",
    "reference": "the wording of the reference: the option's letter alone, frames without times",
    "direct": "the option's letter alone; the prompt of the adapters",
}


@dataclass(frozen=True)
class Prompt:
    """A prompt with the digest of its template."""

    name: str
    sha256: str
    _template: templates.Prompt

    def parts(
        self,
        question: str,
        options: Sequence[str],
        seconds: Sequence[float],
        seen: Sequence[PromptImage | PromptVideo],
    ) -> tuple[Message, ...]:
        """Return the request: each frame after its time, then the question with lettered options.

        `seconds` are the times of the frames in `seen`. Without times, `seen` is a video, or empty: then nothing
        in the text speaks of images. Raise ValueError if times and frames differ in number.
        """
        medium: Medium = "frames" if seconds else "video" if seen else "none"
        parts: list[Part] = []
        if seconds:
            for number, (at, image) in enumerate(zip(seconds, seen, strict=True), start=1):
                parts += [self.label(number, at), image]
        else:
            parts += seen
        parts.append(self.text(question, options, medium))
        return (Message("user", tuple(parts)),)

    def label(self, number: int, seconds: float) -> str:
        """Return the text before a frame."""
        return self._template.render("frame", frame={"number": number, "seconds": seconds})

    def text(self, question: str, options: Sequence[str], medium: Medium) -> str:
        """Return the text after all frames: the question with lettered options."""
        lettered = [
            {"letter": letter, "text": text} for letter, text in zip(LETTERS, options, strict=False)
        ]
        return self._template.render("question", question=question, options=lettered, medium=medium)


def load(name: str) -> Prompt:
    """Return a prompt by its name; raise UserError for an unknown one or a mistake in its template."""
    if name not in PROMPTS:
        raise UserError(
            "--prompt", f"there is no prompt {name!r}", f"choose from {', '.join(PROMPTS)}"
        )
    template = templates.load(f"evaluate/{name}.j2")
    return Prompt(name, template.sha256, template)


def load_open(name: str) -> Prompt:
    """Return the prompt for items that are answered in words, by its name; raise UserError as `load` does."""
    load(name)
    template = templates.load(f"evaluate/open/{name}.j2")
    return Prompt(name, template.sha256, template)
