"""Counts over the rows of a release, taken while they are written."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from pipeline.releases.layout import ReleaseItem


@dataclass
class Tally:
    """Counts over the rows as they are written, so that one pass suffices."""

    tasks: Counter[str] = field(default_factory=Counter)
    letters: dict[str, Counter[str]] = field(default_factory=dict)
    contrasts: Counter[str] = field(default_factory=Counter)
    choices: Counter[str] = field(default_factory=Counter)
    clips: set[str] = field(default_factory=set)
    spans: dict[str, bool] = field(default_factory=dict)  # whether each is mirrored
    videos: set[str] = field(default_factory=set)  # their sha256
    judged: dict[str, set[str]] = field(default_factory=lambda: {"person": set(), "script": set()})
    providers: set[str] = field(default_factory=set)
    models: set[str] = field(default_factory=set)
    prompts: set[str] = field(default_factory=set)
    replies: set[str] = field(default_factory=set)
    cost: float = 0.0
    example: Any = None
    withheld: frozenset[str] = frozenset()  # splits
    held_out: set[str] = field(default_factory=set)  # the ids of their items

    def passing(self, entries: Iterable[ReleaseItem]) -> Iterator[ReleaseItem]:
        """Yield the rows unchanged, and count them."""
        for entry in entries:
            self._count(entry)
            yield entry

    def _count(self, entry: ReleaseItem) -> None:
        question, evidence = entry.question, entry.evidence
        if entry.split in self.withheld:
            self.held_out.add(question.id)
        self.tasks[question.question_type] += 1
        if question.answer:
            self.letters.setdefault(question.question_type, Counter())[question.answer] += 1
        self.choices[entry.split] += question.format == "mcq"
        if question.contrast:
            self.contrasts[question.contrast] += 1
        self.clips.add(evidence.clip_id)
        self.spans[question.video if question.video_sha256 is None else evidence.clip_id] = (
            evidence.mirrored
        )
        if video := evidence.video_sha256 or question.video_sha256:
            self.videos.add(video)
        self.providers.add(evidence.provider)
        self.models.update([evidence.model] if evidence.model else [])
        self.prompts.update([evidence.prompt_sha256] if evidence.prompt_sha256 else [])
        if evidence.reply_id and evidence.reply_id not in self.replies:  # items share a reply
            self.replies.add(evidence.reply_id)
            self.cost += evidence.cost_usd or 0.0
        for kind in evidence.verified_by:
            self.judged[kind].add(evidence.clip_id)
        if self.example is None or (question.format == "mcq" and self.example.format != "mcq"):
            self.example = question

    def figures(self, splits: Iterable[str]) -> dict[str, Any]:
        """Return the counts as the manifest has them."""
        return {
            "multiple_choice_items": {split: self.choices[split] for split in splits},
            "items_by_task": dict(sorted(self.tasks.items())),
            "clips": len(self.clips),
            "spans": len(self.spans),
            "mirrored_spans": sum(self.spans.values()),
            "clips_judged_by_people": len(self.judged["person"]),
            "clips_judged_by_scripts": len(self.judged["script"]),
            "providers": sorted(self.providers),
            "models": sorted(self.models),
            "prompts": sorted(self.prompts),
            "cost_usd": round(self.cost, 6),
        }
