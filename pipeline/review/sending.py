"""Sending pages to people: review clips, media, batches; whatever else a task's page shows, others decide."""

import json
import os
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import islice
from pathlib import Path
from time import monotonic
from typing import Any, Literal, TypeVar
from xml.etree import ElementTree

from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.rows import Rejection
from pipeline.errors import RowError, UserError
from pipeline.labelstudio import server as labelstudio_server
from pipeline.labelstudio.client import AnnotationServer, AnnotationTask
from pipeline.motion.rows import Clip, Frame
from pipeline.review.settings import ReviewSettings
from pipeline.sources.rows import Video
from pipeline.video import reviewclip
from pipeline.video.reviewclip import Form

_CHUNK, _AHEAD = 50, 30  # pages made together (0.4 MB), and how many such may wait for the server
_FEW, _LINGER_S = 4, 0.1  # a post takes that long, whatever is in it: fewer chunks wait for more

# Files can be uploaded only into a project whose pages show one thing: this one never has a task.
_SHELF = "egost media"
_SHELF_CONFIG = '<View><Image name="media" value="$media"/></View>'

News = Literal["new", "updated", "reopened"]
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

    def __add__(self, other: "Pushed") -> "Pushed":
        """Return what both did; people open the first one's project."""
        return Pushed(
            self.new + other.new,
            self.updated + other.updated,
            self.reopened + other.reopened,
            self.kept + other.kept,
            (*self.rejected, *other.rejected),
            self.project_url,
        )


@dataclass(frozen=True)
class Project:
    """One Label Studio project: its title, its label config, and how many people judge each task."""

    title: str
    config: str
    overlap: int


@dataclass(frozen=True)
class PlannedTask:
    """A page that has to go out: whose clip and frames it shows, and the task that it changes, if any.

    `data()` makes what the page shows, once its media are where browsers find them.
    """

    clip: Clip
    video: Video
    frames: Sequence[Frame]
    news: News
    data: Callable[[], dict[str, Any]]
    task: int | None = None


def silent(done: int, total: int) -> None:
    """Show no progress."""


Item = TypeVar("Item")
Made = TypeVar("Made")


class Outlet:
    """A project, and all that takes a page there: review clips, media, checks, posts.

    `form` is how review clips are made. Whatever is missing on the server is made there, when the
    project is first asked for.
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
        self._place, self._media, self._project, self._form = folder, media, project, form
        self._shelf = 0
        self._uploaded: Mapping[str, str] = {}

    @cached_property
    def number(self) -> int:
        """The project's id on the server."""
        wanted = self._project
        number = self.client.project(wanted.title, wanted.config, wanted.overlap)
        if self._media.served:
            self.client.serve(number, self._media.served)
        if self.uploads:
            self._shelf = self.client.project(_SHELF, _SHELF_CONFIG, 1)
            self._uploaded = self.client.uploads(self._shelf)
        return number

    @property
    def uploads(self) -> bool:
        """Whether media are sent to the server, file by file."""
        return self._media.uploads

    def tasks(self) -> Iterable[AnnotationTask]:
        """Yield the tasks of the project, in any order."""
        return self.client.tasks(self.number)

    def remove(self, tasks: Iterable[int]) -> None:
        """Take tasks away."""
        for task in tasks:
            self.client.remove(task)

    def at(self, media_name: str) -> str:
        """Return where browsers find a media file; nowhere yet if it is still to be uploaded."""
        if self._media.url:  # asked for at every keyframe
            return self._media.url + media_name
        return self._uploaded.get(_file_name(media_name), "")

    def movie(self, clip: Clip) -> str:
        """Return the media name of a clip's review clip."""
        return reviewclip.clip_name(clip.video_id, clip.start_us, clip.end_us, self._form)

    def send(
        self,
        queue: Sequence[Item],
        make: Callable[[Item], Made],
        planner: Callable[[], Callable[[Made], PlannedTask | None]],
        stage: str,
        progress: Progress,
    ) -> Pushed:
        """Send what has a plan, in batches; a clip that can't be cut is a rejection of `stage`.

        `make` needs no server: it begins while `planner` looks for what is there already, and
        returns what plans each of the made.
        """
        counted: Counter[str] = Counter()
        rejected: list[Rejection] = []
        reached = 0

        def prepare(made: Future[list[Made]], plan: Callable[[Made], PlannedTask | None]) -> _Batch:
            part = made.result()
            found = [planned for one in part if (planned := plan(one))]
            clips = ((one.clip, one.video) for one in found)
            failed = cut_all(clips, self._place, self._form, stage)
            without = {one.unit for one in failed}
            ready = [one for one in found if one.clip.clip_id not in without]
            news = [one.news for one in ready]
            late = ready if self.uploads else []
            pages = None if self.uploads else self._pages(ready)
            return _Batch(len(part), len(part) - len(found), news, late, pages, failed)

        # Pages are made while the project is opened and while the server takes in others, and it
        # gets all that are ready at once: few posts where pages are quick to make, early ones where
        # clips have to be cut.
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
                del first  # pages are held until they are posted, no longer
                while coming:
                    batches = _ready(coming)
                    coming += [ahead.submit(prepare, made, plan) for made in begun(len(batches))]
                    self._post(batches)
                    for batch in batches:
                        counted.update(batch.news)
                        counted["kept"] += batch.kept
                        rejected += batch.failed
                        reached += batch.size
                    progress(reached, len(queue))
            finally:
                ahead.shutdown(wait=False, cancel_futures=True)
                making.shutdown(wait=False, cancel_futures=True)
        return Pushed(
            counted["new"],
            counted["updated"],
            counted["reopened"],
            counted["kept"],
            tuple(rejected),
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
                pages.changed.append((one.task, data))
        return pages

    def _post(self, batches: Iterable["_Batch"]) -> None:
        new: list[bytes] = []
        changed: list[tuple[int, dict[str, Any]]] = []
        for batch in batches:
            pages = batch.pages
            if pages is None:
                self._upload(batch.late)
                pages = self._pages(batch.late)
            new += pages.new
            changed += pages.changed
        if new:
            self.client.add(self.number, new)
        for task, data in changed:
            self.client.change(task, data)

    def _upload(self, plans: Iterable[PlannedTask]) -> None:
        names = {
            name
            for one in plans
            for name in (self.movie(one.clip), *(frame.media for frame in one.frames))
        }
        lacking = sorted(name for name in names if _file_name(name) not in self._uploaded)
        if lacking:
            self.client.upload(self._shelf, [self._place.media_path(name) for name in lacking])
            self._uploaded = self.client.uploads(self._shelf)


def _file_name(media_name: str) -> str:
    return media_name.rpartition("/")[2]


@dataclass(frozen=True)
class _Pages:
    """What the pages of new tasks show, as JSON, and what tasks that are there show now."""

    new: list[bytes]
    changed: list[tuple[int, dict[str, Any]]]


@dataclass(frozen=True)
class _Batch:
    """Some of the queue: how many, how many may stay, what is to be sent, what can't be.

    There are no pages yet, but what they are made of (`late`), where their media have to be uploaded
    first. Else the text of a page is all that is kept of it: there are many, and they are large.
    """

    size: int
    kept: int
    news: list[News]
    late: list[PlannedTask]
    pages: _Pages | None
    failed: list[Rejection]


def _ready(coming: "deque[Future[_Batch]]") -> list[_Batch]:
    """Take the first batch and all that are ready, or will be before a post would have begun."""
    batches = [coming.popleft().result()]
    until = monotonic() + _LINGER_S
    while coming:
        patience = max(until - monotonic(), 0) if len(batches) < _FEW else 0
        if not wait([coming[0]], patience).done:
            break
        batches.append(coming.popleft().result())
    return batches


def cut_all(
    clips: Iterable[tuple[Clip, Video]], folder: WorkspaceFolder, form: Form, stage: str = "push"
) -> list[Rejection]:
    """Cut the review clips that aren't there yet; ffmpeg works outside Python, so threads do."""

    def cut(one: tuple[Clip, Video]) -> Rejection | None:
        clip, video = one
        path = Path(video.root) / video.path
        try:
            reviewclip.keep_clip(folder, path, video.video_id, clip.start_us, clip.end_us, form)
        except RowError as error:
            return Rejection(stage=stage, unit=clip.clip_id, what=error.what, fix=error.fix)
        return None

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return [failed for failed in pool.map(cut, clips) if failed]


@dataclass(frozen=True)
class Media:
    """Where browsers find the media folder: below a URL (that of a folder which the server serves), or uploaded."""

    url: str = ""
    served: Path | None = None

    @property
    def uploads(self) -> bool:
        """Whether media are sent to the server, file by file."""
        return not self.url


def media(folder: WorkspaceFolder, server_url: str, media_url: str) -> Media:
    """Return how pages find their media: on the embedded server, at `media_url`, or uploaded."""
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
            f"use one of: {', '.join(sorted(fields))}",
        )


@cache
def _shown_by(config: str) -> frozenset[str]:
    values = [
        value for tag in ElementTree.fromstring(config).iter() for value in tag.attrib.values()
    ]
    return frozenset(value[1:] for value in values if value.startswith("$"))


def clip_form(settings: ReviewSettings) -> Form:
    """Return the form of review clips that a workspace's settings ask for."""
    return Form(settings.clip_pixels, settings.clip_sound)


def known_project(client: AnnotationServer, title: str, command: str = "egost review push") -> int:
    """Return a project's id; raise UserError if it isn't there (any more)."""
    project = client.find(title)
    if project is None:
        raise UserError(client.url, f"there is no project {title!r}", f"run `{command}` first")
    return project


def project_url(client: AnnotationServer, project: int) -> str:
    """Return where people open a project."""
    return f"{client.url}/projects/{project}/data"
