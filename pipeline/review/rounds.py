"""Rounds: which clips have no task in a project yet, whose task is outdated, which are sent again."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pipeline.engine.rows import digest
from pipeline.labelstudio.protocol import AnnotationTask
from pipeline.review.routepage import PageRows
from pipeline.review.rows import Verdict
from pipeline.review.sending import Outcome, PlannedTask, Progress, Pushed, Sender, silent
from pipeline.review.verdicts import Kind, ShownPage, page_of, uid


@dataclass(frozen=True)
class Page:
    """One page to be sent: the rows that it shows, the kind of its task, its data except for the round."""

    shown: PageRows
    kind: Kind
    data: dict[str, Any]


@dataclass(frozen=True)
class Rounds:
    """Brings a project's tasks up to date. `make` returns a page's data except for its round.

    `enough(page)` is true if a page without a task need not be sent (people judged it on a server
    that is gone); `again(page, round)` is true if a finished task has to be judged again.
    """

    sender: Sender
    secret: bytes
    verdicts: Sequence[Verdict]
    make: Callable[[PageRows, Kind], dict[str, Any]]
    enough: Callable[[Page], bool] = field(default=lambda page: False)
    again: Callable[[Page, int], bool] = field(default=lambda page, number: False)

    def send(self, queue: Sequence[tuple[PageRows, Kind]], progress: Progress = silent) -> Pushed:
        """Create missing tasks and update outdated ones that nobody has answered. Idempotent."""
        rounds: Counter[tuple[str, Kind]] = Counter()
        for one in self.verdicts:
            rounds[one.clip_id, one.kind] = max(rounds[one.clip_id, one.kind], one.round)

        def make(one: tuple[PageRows, Kind]) -> Page:
            shown, kind = one
            return Page(shown, kind, self.make(shown, kind))

        def planner() -> Callable[[Page], PlannedTask | None]:
            newest: dict[tuple[str, Kind], _SentTask] = {}
            duplicates: list[int] = []
            for task in self.sender.tasks():
                ours = page_of(task.data, self.secret)
                if ours is None:
                    continue
                page, kind = ours
                key, sent = (page.clip_id, kind), _SentTask.of(task, page)
                older, newer = sorted((newest.get(key, sent), sent), key=_SentTask.rank)
                newest[key] = newer
                # If a push was killed while the server stored its pages, and was run again before
                # they appeared, a round is there twice. One that nobody has answered is removed.
                if older.task != newer.task and older.round == newer.round and not older.touched:
                    duplicates.append(older.task)
            self.sender.remove(duplicates)

            def plan(page: Page) -> PlannedTask | None:
                key = (page.shown.clip.clip_id, page.kind)
                return self._plan(page, newest.get(key), rounds[key])

            return plan

        return self.sender.send(queue, make, planner, "push", progress)

    def _plan(self, page: Page, sent: "_SentTask | None", last: int) -> PlannedTask | None:
        if sent is None:
            if self.enough(page):
                return None
            return self._in_round(page, last + 1, "reopened" if last else "new")
        if not sent.finished:
            same = self._in_round(page, sent.round, "updated")
            changed = _page_digest(same.data()) != sent.page_digest
            return replace(same, task=sent.task) if changed else None
        if page.kind == "planted":
            return None
        if sent.fingerprint == page.data["fingerprint"] and not self.again(page, sent.round):
            return None
        return self._in_round(page, sent.round + 1, "reopened")

    def _in_round(self, page: Page, number: int, outcome: Outcome) -> PlannedTask:
        shown = page.shown
        head = {"uid": uid(self.secret, shown.clip.clip_id, page.kind, number), "round": number}

        def data() -> dict[str, Any]:
            # If media are uploaded, their URLs are known only now.
            made = self.make(shown, page.kind) if self.sender.uploads else page.data
            return head | made

        return PlannedTask(shown.clip, shown.video, shown.frames, outcome, data)


@dataclass(frozen=True, slots=True)
class _SentTask:
    """The facts kept about a task on the server; `page_digest` is set only while nobody has finished it."""

    task: int
    round: int
    finished: int
    touched: int
    fingerprint: str
    page_digest: str

    @classmethod
    def of(cls, task: AnnotationTask, page: ShownPage) -> "_SentTask":
        page_digest = "" if task.finished else _page_digest(task.data)
        touched = task.finished + task.skipped
        return cls(task.id, page.round, task.finished, touched, page.fingerprint, page_digest)

    def rank(self) -> tuple[int, int, int, int]:
        """Return the sort key of one clip's tasks: newest round, then most judged, then first created, last."""
        return self.round, self.finished, self.touched, -self.task


def _page_digest(data: Mapping[str, Any]) -> str:
    return digest(json.dumps(data, sort_keys=True))
