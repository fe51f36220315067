"""temporary"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pipeline.models.chat import Message, PromptImage, PromptVideo


@dataclass(frozen=True)
class Prompt:
    name: str
    sha256: str

    def parts(
        self,
        question: str,
        options: Sequence[str],
        seconds: Sequence[float],
        seen: "Sequence[PromptImage | PromptVideo]",
    ) -> tuple[Message, ...]:
        parts: list = []
        for at, image in zip(seconds, seen):
            parts += [f"{at:.1f} s", image]
        lines = "\n".join(f"{chr(65 + i)}. {o}" for i, o in enumerate(options))
        parts.append(f"{question}\n{lines}\nThink freely, then end with <answer>C</answer>.")
        return (Message("user", tuple(parts)),)


def load(name: str) -> Prompt:
    return Prompt(name, hashlib.sha256(name.encode()).hexdigest())
