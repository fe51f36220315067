"""Which verdicts count, and how well people agree: the one definition for statuses, gates, cards, reports."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from pipeline.engine.folder import WorkspaceFolder
from pipeline.review.agreement import (
    Agreement,
    Annotator,
    agreement,
    annotators,
    differing,
    excluded,
    latest,
    ruling,
)
from pipeline.review.facts import Facts, facts_of
from pipeline.review.gold import gold_of
from pipeline.review.rows import Verdict
from pipeline.review.settings import ReviewSettings
from pipeline.review.vocabulary import vocabulary_of
from pipeline.routes.rows import Category, Route


def by_clip(verdicts: Iterable[Verdict]) -> Mapping[str, Sequence[Verdict]]:
    """Return these verdicts by clip."""
    found: defaultdict[str, list[Verdict]] = defaultdict(list)
    for one in verdicts:
        found[one.clip_id].append(one)
    return found


@dataclass(frozen=True)
class Counted:
    """The verdicts that count: those of annotators who are not excluded.

    `facts` are what people must agree on, with the synonyms of the vocabulary resolved; `people` is what
    every annotator has done, the excluded ones included.
    """

    verdicts: tuple[Verdict, ...]
    facts: Facts
    people: Mapping[str, Annotator]
    excluded: frozenset[str]

    @classmethod
    def of(
        cls, verdicts: Sequence[Verdict], settings: ReviewSettings, folder: WorkspaceFolder
    ) -> "Counted":
        """Return those among all verdicts; raise UserError if the vocabulary or gold file can't be read."""
        facts = facts_of(vocabulary_of(folder, settings.log))
        people = annotators(verdicts, gold_of(settings), facts)
        out = excluded(people, settings.min_caught, settings.min_right, settings.min_known)
        return cls(tuple(one for one in verdicts if one.annotator not in out), facts, people, out)

    @cached_property
    def by_clip(self) -> Mapping[str, Sequence[Verdict]]:
        """The verdicts that count, by clip."""
        return by_clip(self.verdicts)

    def agreement(self) -> dict[Category, Agreement]:
        """Return the agreement of people by category; scripts are not people."""
        return agreement(self._of_people, self.facts)

    def differing(self) -> dict[Category, list[str]]:
        """Return by category the ids of the clips on which people disagree."""
        return differing(self._of_people, self.facts)

    @cached_property
    def _of_people(self) -> list[Verdict]:
        return [one for one in self.verdicts if one.by == "person"]

    def verified_by(self, routes: Iterable[Route]) -> dict[tuple[str, str], frozenset[str]]:
        """Return by clip and verified category whether a `person`, a `script` or both verified its facts.

        Only those count whose own facts are the verified ones; who disagreed did not verify them.
        """
        known = list(routes)
        drafts = {one.clip_id: one.fingerprint for one in known if one.origin == "draft"}
        found: dict[tuple[str, str], frozenset[str]] = {}
        for verified in known:
            if verified.origin != "verified" or verified.clip_id not in drafts:
                continue
            verdicts, draft = self.by_clip.get(verified.clip_id, ()), drafts[verified.clip_id]
            ruled = ruling(verdicts, draft)
            judged = [*latest(verdicts, draft), *([ruled] if ruled else [])]
            for category in verified.verified_categories:
                fact = self.facts[category]
                found[verified.clip_id, category] = frozenset(
                    one.by
                    for one in judged
                    if one.verdict != "reject" and fact(one.steps) == fact(verified.steps)
                )
        return found
