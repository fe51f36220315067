"""What results are of, in the words that the formats of other tools share. Pure.

Items of withheld splits are in no export. A failed request has no score in any: a score of 0 would turn
missing data into a wrong answer.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from pipeline.evaluate.rules import REFERENCE, RULES, STRICT
from pipeline.evaluate.scoring import Question, Scored

METHOD = "cluster-robust over split groups (CR2, Satterthwaite), Wilson"
_MODULES = {STRICT: "pipeline.releases.letter", REFERENCE: "pipeline.evaluate.rules"}
PARTS = {
    "accuracy": "accuracy",
    "pairs": "accuracy over pairs of a forward and a reverse item, both right",
    "facts": "accuracy of each of an item's two facts",
}
"""The figures of `metrics.ArmMetrics` that are exported, and what they are."""


@dataclass(frozen=True)
class About:
    """What results are of, as other tools record it. `made` is a time with its zone."""

    dataset: str
    version: str
    release_sha256: str
    model: str
    base_url: str
    prompt: str
    prompt_sha256: str
    settings: Mapping[str, Any]
    code: str
    made: datetime
    parser: str = STRICT

    @property
    def reading(self) -> str:
        """How letters were read from replies."""
        return f"{_MODULES[self.parser]}: {RULES[self.parser]}"


def asked(question: Question) -> str:
    """Return the question and its options as text, in the order of the released item."""
    options = (f"{letter_of(place)}. {text}" for place, text in enumerate(question.options))
    return "\n".join([question.question, *options])


def cells_of(one: Scored) -> dict[str, Any]:
    """Return what a prediction and its item are, by name."""
    question = one.question
    return {
        "arm": one.arm,
        "repeat": one.repeat,
        "outcome": one.outcome,
        "split": question.split,
        "task": question.task,
        "category": question.category,
        "orientation": question.orientation,
        "contrast": question.contrast or "",
        "split_group": question.split_group,
    }


def details(about: About, arm: str) -> dict[str, str]:
    """Return what identifies an arm's results, as texts."""
    return {
        "arm": arm,
        "prompt": about.prompt,
        "prompt_sha256": about.prompt_sha256,
        "parser": about.parser,
        "release_version": about.version,
        "release_sha256": about.release_sha256,
        "settings": json.dumps(about.settings, sort_keys=True),
    }


def generation(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the sampling parameters that both formats know, where they were set."""
    parameters = settings.get("parameters") or {}
    found = {name: parameters.get(name) for name in ("top_p", "top_k")}
    found |= {
        "temperature": settings.get("temperature"),
        "max_tokens": settings.get("max_completion_tokens"),
    }
    return {name: value for name, value in found.items() if value is not None}


def letter_of(place: int) -> str:
    """Return the letter of an option's place."""
    return chr(ord("A") + place)


def slug(text: str) -> str:
    """Return a text as part of a name: lower case, with hyphens for all but letters, digits and underscores."""
    return re.sub(r"[^\w-]+", "-", text).strip("-").lower() or "unknown"


def stable_uuid(about: About, what: str) -> str:
    """Return an id that results of the same release, model, prompt, settings and parser always have."""
    named = [
        about.release_sha256,
        about.model,
        about.base_url,
        about.prompt_sha256,
        dict(about.settings),
        what,
        # Ids of results that are read strictly stay what they were before there was another parser.
        *([about.parser] if about.parser != STRICT else []),
    ]
    text = json.dumps(named, sort_keys=True)
    return str(UUID(bytes=hashlib.sha256(text.encode()).digest()[:16], version=4))
