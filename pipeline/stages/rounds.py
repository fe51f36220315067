"""Rounds: which clips a project has no task of, whose task is out of date, which go out once more."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pipeline.clients.labelstudio import Task
from pipeline.records import Verdict
from pipeline.stages.routepage import Shown
from pipeline.stages.sending import News, Outlet, Plan, Progress, Pushed, silent
from pipeline.stages.verdicts import Kind, kind_of, uid


@dataclass(frozen=True)
class Page:
    """One page that should be out: the rows that it shows, what kind of task, its data but for its round.

    `text` is the data as JSON; there is none yet where media are still to be uploaded.
    """

    shown: Shown
    kind: Kind
    data: dict[str, Any]
    text: str


@dataclass(frozen=True)
class Rounds:
    """Brings the tasks of a project up to date. `make` returns what a page shows, but for its round.

    `enough(page)` tells that a page whose task is not there need not go out (people have judged it
    on a server that is gone); `again(page, round)` that a finished task has to be judged once more.
    """

    outlet: Outlet
    secret: bytes
    verdicts: Sequence[Verdict]
    make: Callable[[Shown, Kind], dict[str, Any]]
    enough: Callable[[Page], bool] = field(default=lambda page: False)
    again: Callable[[Page, int], bool] = field(default=lambda page, number: False)

    def send(self, queue: Sequence[tuple[Shown, Kind]], progress: Progress = silent) -> Pushed:
        """Make what is missing, change what is out of date and unanswered; twice = once."""
        rounds: Counter[tuple[str, Kind]] = Counter()
        for one in self.verdicts:
            rounds[one.clip_id, one.kind] = max(rounds[one.clip_id, one.kind], one.round)

        def make(one: tuple[Shown, Kind]) -> Page:
            shown, kind = one
            data = self.make(shown, kind)
            return Page(shown, kind, data, "" if self.outlet.uploads else json.dumps(data))

        def planner() -> Callable[[Page], Plan | None]:
            newest = {
                (task.data["clip_id"], kind): task
                for task in self.outlet.tasks()
                if (kind := kind_of(task.data, self.secret))
            }

            def plan(page: Page) -> Plan | None:
                key = (page.shown.clip.clip_id, page.kind)
                return self._plan(page, newest.get(key), rounds[key])

            return plan

        return self.outlet.send(queue, make, planner, "push", progress)

    def _plan(self, page: Page, task: Task | None, last: int) -> Plan | None:
        if task is None:
            if self.enough(page):
                return None
            return self._numbered(page, last + 1, "reopened" if last else "new")
        number = int(task.data["round"])
        if not task.finished:
            same = self._numbered(page, number, "updated")
            return replace(same, task=task.id) if same.data() != task.data else None
        if page.kind == "planted":
            return None
        if task.data["fingerprint"] == page.data["fingerprint"] and not self.again(page, number):
            return None
        return self._numbered(page, number + 1, "reopened")

    def _numbered(self, page: Page, number: int, news: News) -> Plan:
        shown = page.shown
        head = {"uid": uid(self.secret, shown.clip.clip_id, page.kind, number), "round": number}

        def data() -> dict[str, Any]:
            late = self.outlet.uploads  # only now are its media where it says
            return head | (self.make(shown, page.kind) if late else page.data)

        text = f"{json.dumps(head)[:-1]}, {page.text[1:]}" if page.text else ""
        return Plan(shown.clip, shown.video, shown.frames, news, data, text=text)
