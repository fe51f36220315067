"""Rounds: which clips a project has no task of, whose task is out of date, which go out once more."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pipeline.engine.rows import digest
from pipeline.labelstudio.client import AnnotationTask
from pipeline.review.routepage import PageRows
from pipeline.review.rows import Verdict
from pipeline.review.sending import News, Outlet, PlannedTask, Progress, Pushed, silent
from pipeline.review.verdicts import Kind, kind_of, uid


@dataclass(frozen=True)
class Page:
    """One page that should be out: the rows that it shows, what kind of task, its data but for its round."""

    shown: PageRows
    kind: Kind
    data: dict[str, Any]


@dataclass(frozen=True)
class Rounds:
    """Brings the tasks of a project up to date. `make` returns what a page shows, but for its round.

    `enough(page)` tells that a page whose task is not there need not go out (people have judged it
    on a server that is gone); `again(page, round)` that a finished task has to be judged once more.
    """

    outlet: Outlet
    secret: bytes
    verdicts: Sequence[Verdict]
    make: Callable[[PageRows, Kind], dict[str, Any]]
    enough: Callable[[Page], bool] = field(default=lambda page: False)
    again: Callable[[Page, int], bool] = field(default=lambda page, number: False)

    def send(self, queue: Sequence[tuple[PageRows, Kind]], progress: Progress = silent) -> Pushed:
        """Make what is missing, change what is out of date and unanswered; twice = once."""
        rounds: Counter[tuple[str, Kind]] = Counter()
        for one in self.verdicts:
            rounds[one.clip_id, one.kind] = max(rounds[one.clip_id, one.kind], one.round)

        def make(one: tuple[PageRows, Kind]) -> Page:
            shown, kind = one
            return Page(shown, kind, self.make(shown, kind))

        def planner() -> Callable[[Page], PlannedTask | None]:
            newest: dict[tuple[str, Kind], _Out] = {}
            spare: list[int] = []
            for task in self.outlet.tasks():
                kind = kind_of(task.data, self.secret)
                if kind is None:
                    continue
                key, out = (task.data["clip_id"], kind), _Out.of(task)
                older, newer = sorted((newest.get(key, out), out), key=_Out.rank)
                newest[key] = newer
                # A push that was killed while the server took its pages in may have been run again
                # before they were there: the same round twice. One that nobody touched can go.
                if older.task != newer.task and older.round == newer.round and not older.touched:
                    spare.append(older.task)
            self.outlet.remove(spare)

            def plan(page: Page) -> PlannedTask | None:
                key = (page.shown.clip.clip_id, page.kind)
                return self._plan(page, newest.get(key), rounds[key])

            return plan

        return self.outlet.send(queue, make, planner, "push", progress)

    def _plan(self, page: Page, out: "_Out | None", last: int) -> PlannedTask | None:
        if out is None:
            if self.enough(page):
                return None
            return self._numbered(page, last + 1, "reopened" if last else "new")
        if not out.finished:
            same = self._numbered(page, out.round, "updated")
            return replace(same, task=out.task) if _printed(same.data()) != out.printed else None
        if page.kind == "planted":
            return None
        if out.fingerprint == page.data["fingerprint"] and not self.again(page, out.round):
            return None
        return self._numbered(page, out.round + 1, "reopened")

    def _numbered(self, page: Page, number: int, news: News) -> PlannedTask:
        shown = page.shown
        head = {"uid": uid(self.secret, shown.clip.clip_id, page.kind, number), "round": number}

        def data() -> dict[str, Any]:
            late = self.outlet.uploads  # only now are its media where it says
            return head | (self.make(shown, page.kind) if late else page.data)

        return PlannedTask(shown.clip, shown.video, shown.frames, news, data)


@dataclass(frozen=True, slots=True)
class _Out:
    """What matters of a task that is out; `printed` stands for its page, and only while nobody finished it."""

    task: int
    round: int
    finished: int
    touched: int
    fingerprint: str
    printed: str

    @classmethod
    def of(cls, task: AnnotationTask) -> "_Out":
        data = task.data
        printed = "" if task.finished else _printed(data)
        touched = task.finished + task.skipped
        number = int(data["round"])
        return cls(task.id, number, task.finished, touched, data["fingerprint"], printed)

    def rank(self) -> tuple[int, int, int, int]:
        """Order the tasks of one clip: the last is the newest round, the most judged, the first made."""
        return self.round, self.finished, self.touched, -self.task


def _printed(data: Mapping[str, Any]) -> str:
    return digest(json.dumps(data, sort_keys=True))
