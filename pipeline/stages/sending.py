"""Sending pages to people: which tasks a project lacks, which are out of date, which go out once more."""

import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from pipeline.clients import labelstudio_server, reviewclip
from pipeline.clients.labelstudio import Client, Task
from pipeline.errors import RowError, UserError
from pipeline.records import Clip, Rejection, Verdict, Video
from pipeline.stages.routepage import Shown
from pipeline.stages.verdicts import Kind, kind_of, uid
from pipeline.store import Place

# People can begin early, and few posts cost little: 5,000 tasks go out in five.
_FIRST_BATCH, _GROWTH, _LARGEST_BATCH = 50, 4, 2000

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Pushed:
    """What a push did, in tasks. `rejected` are clips whose review clip could not be cut."""

    new: int = 0
    updated: int = 0
    reopened: int = 0
    kept: int = 0
    rejected: tuple[Rejection, ...] = ()
    project_url: str = ""


@dataclass(frozen=True)
class Project:
    """One Label Studio project: its title, its label config, and how many people judge each task."""

    title: str
    config: str
    overlap: int


@dataclass(frozen=True)
class Page:
    """One page that should be out: the rows that it shows, what kind of task, its data but for its round."""

    shown: Shown
    kind: Kind
    data: dict[str, Any]


def silent(done: int, total: int) -> None:
    """Show no progress."""


@dataclass(frozen=True)
class Sender:
    """Brings the tasks of a project up to date. `pixels` is the longest side of review clips.

    `enough(page)` tells that a page whose task is not there need not go out (people have judged it
    on a server that is gone); `again(page, round)` that a finished task has to be judged once more.
    """

    client: Client
    place: Place
    pixels: int
    verdicts: Sequence[Verdict]
    enough: Callable[[Page], bool] = field(default=lambda page: False)
    again: Callable[[Page, int], bool] = field(default=lambda page, number: False)

    def send(
        self,
        project: Project,
        queue: Sequence[tuple[Shown, Kind]],
        page: Callable[[Shown, Kind], dict[str, Any]],
        served: Path | None,
        progress: Progress = silent,
    ) -> Pushed:
        """Make what is missing, change what is out of date and unanswered; twice = once.

        `served` is the folder that the server serves media from, None where media are elsewhere.
        """
        number = self.client.project(project.title, project.config, project.overlap)
        if served:
            self.client.serve(number, served)
        secret = self.place.secret()
        newest: dict[tuple[str, Kind], Task] = {}
        for task in self.client.tasks(number):
            kind = kind_of(task.data, secret)
            if kind:
                newest[task.data["clip_id"], kind] = task
        rounds: Counter[tuple[str, Kind]] = Counter()
        for one in self.verdicts:
            rounds[one.clip_id, one.kind] = max(rounds[one.clip_id, one.kind], one.round)

        def prepare(part: Sequence[tuple[Shown, Kind]]) -> _Batch:
            plans = []
            for shown, kind in part:
                key = (shown.clip.clip_id, kind)
                wanted = Page(shown, kind, page(shown, kind))
                check_fields(project.config, ("uid", "round", *wanted.data))
                plans.append(self._plan(wanted, newest.get(key), rounds[key], secret))
            todo = [plan for plan in plans if plan]
            clips = [(plan.page.shown.clip, plan.page.shown.video) for plan in todo]
            failed = cut_all(clips, self.place, self.pixels)
            without = {one.unit for one in failed}
            ready = [plan for plan in todo if plan.page.shown.clip.clip_id not in without]
            return _Batch(len(part), len(plans) - len(todo), ready, failed)

        counted: Counter[str] = Counter()
        rejected: list[Rejection] = []
        reached = 0
        # The next batch is made while the server takes this one in: that hides a fifth of the time.
        with ThreadPoolExecutor(1) as ahead:
            parts = _parts(queue)
            coming = [ahead.submit(prepare, part) for part in islice(parts, 1)]
            while coming:
                batch = coming.pop().result()
                coming = [ahead.submit(prepare, part) for part in islice(parts, 1)]
                adding = [plan.page.data for plan in batch.ready if plan.change is None]
                self.client.add(number, adding)
                for plan in batch.ready:
                    if plan.change is not None:
                        self.client.change(plan.change, plan.page.data)
                    counted[
                        "updated" if plan.change else "reopened" if plan.reopens else "new"
                    ] += 1
                counted["kept"] += batch.kept
                rejected += batch.failed
                reached += batch.size
                progress(reached, len(queue))
        return Pushed(
            counted["new"],
            counted["updated"],
            counted["reopened"],
            counted["kept"],
            tuple(rejected),
            project_url(self.client, number),
        )

    def _plan(self, page: Page, task: Task | None, last: int, secret: bytes) -> "_Plan | None":
        def numbered(number: int) -> Page:
            name = uid(secret, page.shown.clip.clip_id, page.kind, number)
            return replace(page, data={"uid": name, "round": number, **page.data})

        if task is None:
            return None if self.enough(page) else _Plan(numbered(last + 1), None, last > 0)
        number = int(task.data["round"])
        if not task.finished:
            same = numbered(number)
            return _Plan(same, task.id, False) if same.data != task.data else None
        if page.kind == "planted":
            return None
        if task.data["fingerprint"] == page.data["fingerprint"] and not self.again(page, number):
            return None
        return _Plan(numbered(number + 1), None, True)


@dataclass(frozen=True)
class _Plan:
    """What one clip's newest task should show, and what has to be done for that."""

    page: Page
    change: int | None
    reopens: bool


@dataclass(frozen=True)
class _Batch:
    """Some pages of the queue: how many, how many may stay, what is to be sent, what can't be."""

    size: int
    kept: int
    ready: list[_Plan]
    failed: list[Rejection]


def _parts(queue: Sequence[tuple[Shown, Kind]]) -> Iterator[Sequence[tuple[Shown, Kind]]]:
    reached, size = 0, _FIRST_BATCH
    while reached < len(queue):
        yield queue[reached : reached + size]
        reached, size = reached + size, min(_GROWTH * size, _LARGEST_BATCH)


def cut_all(
    clips: Iterable[tuple[Clip, Video]], place: Place, pixels: int, stage: str = "push"
) -> list[Rejection]:
    """Cut the review clips that aren't there yet; ffmpeg works outside Python, so threads do."""

    def cut(one: tuple[Clip, Video]) -> Rejection | None:
        clip, video = one
        path = Path(video.root) / video.path
        try:
            reviewclip.keep_clip(place, path, video.video_id, clip.start_us, clip.end_us, pixels)
        except RowError as error:
            return Rejection(stage=stage, unit=clip.clip_id, what=error.what, fix=error.fix)
        return None

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return [failed for failed in pool.map(cut, clips) if failed]


@dataclass(frozen=True)
class Media:
    """Where browsers find the media folder, and the folder that the server serves for that, if any."""

    url: str
    served: Path | None


def media(place: Place, server_url: str, media_url: str) -> Media:
    """Return where pages find their media; raise UserError if a server of one's own isn't told."""
    if not server_url:
        return Media("/data/local-files/?d=media/", labelstudio_server.media_folder(place))
    if not media_url:
        raise UserError(
            "review.media_url",
            "empty, while review.url names a server of your own",
            "set it to where browsers find the workspace's media folder",
        )
    return Media(media_url.rstrip("/") + "/", None)


def check_fields(config: str, fields: Collection[str]) -> None:
    """Raise UserError if a label config shows a field that its tasks don't have."""
    lacking = sorted(_shown_by(config) - set(fields))
    if lacking:
        raise UserError(
            "annotations/",
            f"a page shows ${', $'.join(lacking)}, which its tasks don't have",
            f"use one of: {', '.join(sorted(fields))}",
        )


@cache
def _shown_by(config: str) -> frozenset[str]:
    values = [
        value for tag in ElementTree.fromstring(config).iter() for value in tag.attrib.values()
    ]
    return frozenset(value[1:] for value in values if value.startswith("$"))


def project_url(client: Client, project: int) -> str:
    """Return where people open a project."""
    return f"{client.url}/projects/{project}/data"
