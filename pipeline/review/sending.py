"""Sends tasks to Label Studio: review clips, media, batches. Other modules decide what a page shows."""

import json
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import islice
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any, Literal, TypeVar
from xml.etree import ElementTree

from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.rows import Rejection
from pipeline.errors import UserError
from pipeline.labelstudio import server as labelstudio_server
from pipeline.labelstudio.protocol import AnnotationServer, AnnotationTask, GoneError
from pipeline.motion.rows import Frame
from pipeline.review.clips import Stretch, clip_name, cut_all
from pipeline.review.projects import Project, Projects
from pipeline.sources.rows import Video
from pipeline.video.reviewclip import Form

_CHUNK, _AHEAD = 50, 30  # pages per batch (0.4 MB), and how many batches may wait for the server
# A request takes 0.1 s whatever its size, so fewer than _MIN_BATCHES wait that long for more.
_MIN_BATCHES, _WAIT_S = 4, 0.1

# Files can be uploaded only to a project whose pages show a single field; this one never has a task.
_UPLOADS_CONFIG = '<View><Image name="media" value="$media"/></View>'
_UPLOADS = Project("egost media", config=_UPLOADS_CONFIG, shared=True)

Outcome = Literal["new", "updated", "reopened"]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Pushed:
    """How many tasks a push sent, updated or kept; `rejected` are clips whose review clip could not be cut."""

    new: int = 0
    updated: int = 0
    reopened: int = 0
    kept: int = 0
    rejected: tuple[Rejection, ...] = ()
    project_url: str = ""

    def __add__(self, other: "Pushed") -> "Pushed":
        """Return the sum of both, with the first one's project."""
        return Pushed(
            self.new + other.new,
            self.updated + other.updated,
            self.reopened + other.reopened,
            self.kept + other.kept,
            (*self.rejected, *other.rejected),
            self.project_url,
        )


@dataclass(frozen=True)
class PlannedTask:
    """A page to be sent: the stretch of video and the frames that it shows, and the task that it updates, if any.

    `data()` returns the task's data; it is called once the page's media are on the server.
    """

    shown: Stretch
    video: Video
    frames: Sequence[Frame]
    outcome: Outcome
    data: Callable[[], dict[str, Any]]
    task: int | None = None


def silent(done: int, total: int) -> None:
    """Show no progress."""


Entry = TypeVar("Entry")
Made = TypeVar("Made")


class Sender:
    """Sends pages to one project, with their review clips and media.

    `form` is the format of review clips. The project is created on the server on first use.
    """

    def __init__(
        self,
        client: AnnotationServer,
        folder: WorkspaceFolder,
        media: "Media",
        project: Project,
        form: Form,
    ) -> None:
        self.client = client
        self._folder, self._media, self._project, self._form = folder, media, project, form
        self._projects = Projects(client, folder)
        self._uploads_project = 0
        self._uploaded: Mapping[str, str] = {}

    @cached_property
    def number(self) -> int:
        """The project's id on the server; creates the project if it is missing."""
        number = self._projects.open(self._project)
        if self._media.served:
            self.client.serve(number, self._media.served)
        if self.uploads:
            self._uploads_project = self._projects.open(_UPLOADS)
            self._uploaded = self.client.uploads(self._uploads_project)
        return number

    @property
    def uploads(self) -> bool:
        """Whether media files are uploaded to the server."""
        return self._media.uploads

    def tasks(self) -> Iterable[AnnotationTask]:
        """Yield the tasks of the project, in any order."""
        return self.client.tasks(self.number)

    def remove(self, tasks: Collection[int]) -> None:
        """Delete tasks, except those that somebody has begun to work on or has deleted."""
        begun = {one.task.id for one in self.client.unsubmitted(self.number)} if tasks else set()
        for task in tasks:
            if task in begun:
                continue
            with suppress(GoneError):
                self.client.remove(task)

    def media_url(self, media_name: str) -> str:
        """Return the URL of a media file; empty if it is still to be uploaded."""
        if self._media.url:  # called for every keyframe
            return self._media.url + media_name
        return self._uploaded.get(_file_name(media_name), "")

    def clip_name(self, shown: Stretch, video: Video) -> str:
        """Return the media name of the review clip."""
        return clip_name(shown, video, self._form)

    def send(
        self,
        queue: Sequence[Entry],
        make: Callable[[Entry], Made],
        planner: Callable[[], Callable[[Made], PlannedTask | None]],
        stage: str,
        progress: Progress,
    ) -> Pushed:
        """Send all entries that need it, in batches; a clip that can't be cut becomes a rejection of `stage`.

        `make` needs no server, so it starts while `planner` reads the existing tasks. `planner`
        returns a function from what was made to the planned task, or None if nothing is to be sent.
        """
        counted: Counter[str] = Counter()
        rejected: list[Rejection] = []
        reached = 0
        ended = Event()

        def prepare(made: Future[list[Made]], plan: Callable[[Made], PlannedTask | None]) -> _Batch:
            part = made.result()
            found = [planned for one in part if (planned := plan(one))]
            wanted = ((one.shown, one.video) for one in found)
            failed = cut_all(wanted, self._folder, self._form, stage, ended.is_set)
            ready = [one for one in found if self.clip_name(one.shown, one.video) not in failed]
            outcomes = [one.outcome for one in ready]
            late = ready if self.uploads else []
            pages = None if self.uploads else self._pages(ready)
            return _Batch(
                len(part), len(part) - len(found), outcomes, late, pages, [*failed.values()]
            )

        # Pages are made while the project is opened and while the server stores earlier ones. All
        # that are ready are sent in one request: few requests if pages are made quickly, early ones
        # if clips have to be cut.
        parts = (queue[begin : begin + _CHUNK] for begin in range(0, len(queue), _CHUNK))
        with ThreadPoolExecutor(1) as making, ThreadPoolExecutor(1) as ahead:

            def begun(count: int) -> list[Future[list[Made]]]:
                return [
                    making.submit(lambda part: [make(one) for one in part], part)
                    for part in islice(parts, count)
                ]

            try:
                first = begun(_AHEAD)
                plan = planner()
                coming = deque(ahead.submit(prepare, made, plan) for made in first)
                del first  # so that pages are freed once they are sent
                while coming:
                    batches = _ready(coming)
                    coming += [ahead.submit(prepare, made, plan) for made in begun(len(batches))]
                    rejected += self._post(batches, stage)
                    for batch in batches:
                        counted.update(batch.outcomes)
                        counted["kept"] += batch.kept
                        rejected += batch.failed
                        reached += batch.size
                    progress(reached, len(queue))
            finally:
                ended.set()
                ahead.shutdown(wait=False, cancel_futures=True)
                making.shutdown(wait=False, cancel_futures=True)
        return Pushed(
            counted["new"],
            counted["updated"],
            counted["reopened"],
            counted["kept"],
            # Several spans of a clip may fail for the same reason.
            tuple({one.identity(): one for one in rejected}.values()),
            project_url(self.client, self.number),
        )

    def _pages(self, plans: Iterable[PlannedTask]) -> "_Pages":
        pages = _Pages([], [])
        for one in plans:
            data = one.data()
            check_fields(self._project.config, data)
            if one.task is None:
                pages.new.append(json.dumps(data).encode())
            else:
                pages.changed.append((one.task, one.shown.clip_id, data))
        return pages

    def _post(self, batches: Iterable["_Batch"], stage: str) -> list[Rejection]:
        """Send batches; return a rejection for each task that somebody has deleted meanwhile."""
        new: list[bytes] = []
        changed: list[tuple[int, str, dict[str, Any]]] = []
        for batch in batches:
            pages = batch.pages
            if pages is None:
                self._upload(batch.late)
                pages = self._pages(batch.late)
            new += pages.new
            changed += pages.changed
        if new:
            self.client.add(self.number, new)
        gone = []
        for task, clip_id, data in changed:
            try:
                self.client.change(task, data)
            except GoneError:
                what, fix = (
                    f"its task {task} was deleted on the server",
                    "push again to send it anew",
                )
                gone.append(Rejection(stage=stage, unit=clip_id, what=what, fix=fix))
        return gone

    def _upload(self, plans: Iterable[PlannedTask]) -> None:
        names = {
            name
            for one in plans
            for name in (
                self.clip_name(one.shown, one.video),
                *(frame.media for frame in one.frames),
            )
        }
        lacking = sorted(name for name in names if _file_name(name) not in self._uploaded)
        if lacking:
            self.client.upload(
                self._uploads_project, [self._folder.media_path(name) for name in lacking]
            )
            self._uploaded = self.client.uploads(self._uploads_project)


def _file_name(media_name: str) -> str:
    return media_name.rpartition("/")[2]


@dataclass(frozen=True)
class _Pages:
    """The data of new tasks, as JSON, and of existing tasks: the task's id, its clip, its new data."""

    new: list[bytes]
    changed: list[tuple[int, str, dict[str, Any]]]


@dataclass(frozen=True)
class _Batch:
    """A part of the queue: its size, how many tasks are kept, what is to be sent, what can't be.

    If media have to be uploaded first, `pages` is None and `late` holds the planned tasks. Otherwise
    only the text of each page is kept, because pages are many and large.
    """

    size: int
    kept: int
    outcomes: list[Outcome]
    late: list[PlannedTask]
    pages: _Pages | None
    failed: list[Rejection]


def _ready(coming: "deque[Future[_Batch]]") -> list[_Batch]:
    """Remove and return the first batch and all that are ready, or will be within `_WAIT_S`."""
    batches = [coming.popleft().result()]
    until = monotonic() + _WAIT_S
    while coming:
        patience = max(until - monotonic(), 0) if len(batches) < _MIN_BATCHES else 0
        if not wait([coming[0]], patience).done:
            break
        batches.append(coming.popleft().result())
    return batches


@dataclass(frozen=True)
class Media:
    """How pages load media: below `url` (`served` is the folder that the server serves there), or uploaded."""

    url: str = ""
    served: Path | None = None

    @property
    def uploads(self) -> bool:
        """Whether media files are uploaded to the server."""
        return not self.url


def media(folder: WorkspaceFolder, server_url: str, media_url: str) -> Media:
    """Return how pages load their media: from the embedded server, from `media_url`, or uploaded."""
    if not server_url:
        return Media("/data/local-files/?d=media/", labelstudio_server.media_folder(folder))
    return Media(media_url.rstrip("/") + "/") if media_url else Media()


def check_fields(config: str, fields: Collection[str]) -> None:
    """Raise UserError if a label config shows a field that its tasks don't have."""
    lacking = sorted(_shown_by(config) - set(fields))
    if lacking:
        raise UserError(
            "annotations/",
            f"a page shows ${', $'.join(lacking)}, which its tasks don't have",
            f"use only these fields: {', '.join(sorted(fields))}",
        )


@cache
def _shown_by(config: str) -> frozenset[str]:
    values = [
        value for tag in ElementTree.fromstring(config).iter() for value in tag.attrib.values()
    ]
    return frozenset(value[1:] for value in values if value.startswith("$"))


def project_url(client: AnnotationServer, project: int) -> str:
    """Return the address at which people open a project."""
    return f"{client.url}/projects/{project}/data"
