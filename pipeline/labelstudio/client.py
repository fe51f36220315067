"""A client of a Label Studio server; `ScriptedClient` is its fake for tests.

Writes are never retried: the SDK's own retries turned 60 posted annotations into 64 rows.
"""

import json
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import httpx

from pipeline.errors import UserError
from pipeline.labelstudio.protocol import (
    Annotation,
    AnnotationTask,
    GoneError,
    ServerProject,
    Unsubmitted,
)

OLDEST, TOO_NEW = (1, 23), (2, 0)
_PAGE = 500  # tasks per request; 5,000 tasks with data took 12.8 s at 1,000 and no less with more
_IMPORT_SECONDS = 600  # 5,000 tasks take 2 s on a quiet machine; a team server may be slower
_PROJECTS = 100  # per request
_FILES = 50  # per request; the server accepts 100 at most


class LabelStudioClient:
    """An AnnotationServer that uses the Label Studio SDK."""

    def __init__(self, url: str, key: str) -> None:
        from label_studio_sdk.client import LabelStudio  # takes 2 s to import

        self.url = url
        sdk: Any = LabelStudio  # its constructor has no types
        # One connection per request: connections would go stale between a person's commands.
        self._once = httpx.Client(
            timeout=120, follow_redirects=True, limits=httpx.Limits(max_keepalive_connections=0)
        )
        self._api = sdk(
            base_url=url, api_key=key, max_retries=0, timeout=120, httpx_client=self._once
        )
        self._emails: dict[int, str] = {}
        # Projects created by this client that are still empty: their content needs no request.
        self._no_tasks: set[int] = set()
        self._no_media: set[int] = set()

    def whoami(self) -> str:
        """Return the e-mail address of the key's account."""
        with self._requesting("the key"):
            return str(self._api.users.whoami().email)

    def invitation(self) -> str:
        """Return the link through which people create their own accounts."""
        with self._requesting("an invitation"):
            return self.url + str(self._api.organizations.invites.get_invite_link().invite_url)

    def projects(self) -> list[ServerProject]:
        """Return all projects that the account sees."""
        with self._requesting("projects"):
            return [
                ServerProject(
                    id=int(one.id),
                    title=str(one.title or ""),
                    description=str(one.description or ""),
                    config=str(one.label_config or ""),
                    tasks=int(one.task_number or 0),
                )
                for one in self._api.projects.list(page_size=_PROJECTS)
            ]

    def create(self, title: str, description: str, config: str, overlap: int) -> int:
        """Create a project; return its id."""
        wanted = {"title": title, "description": description, **_settings(config, overlap)}
        with self._requesting(f"project {title!r}"):
            number = int(self._api.projects.create(**wanted).id)
        self._no_tasks.add(number)
        self._no_media.add(number)
        return number

    def configure(self, project: int, config: str, overlap: int) -> None:
        """Update the label config and the overlap of a project if they differ."""
        wanted = _settings(config, overlap)
        with self._requesting(f"project {project}"):
            now = self._api.projects.get(id=project)
            if any(getattr(now, name, None) != value for name, value in wanted.items()):
                self._api.projects.update(id=project, **wanted)

    def describe(self, project: int, description: str) -> None:
        """Replace the description of a project."""
        with self._requesting(f"project {project}"):
            self._api.projects.update(id=project, description=description)

    def serve(self, project: int, folder: Path) -> None:
        """Serve the files in a folder of the server's machine to the members of a project."""
        with self._requesting("media storage"):
            new = project in self._no_media
            rows = [] if new else self._api.import_storage.local.list(project=project)
            if all(row.path != str(folder) for row in rows):
                self._no_media.discard(project)
                self._api.import_storage.local.create(
                    project=project, path=str(folder), title="egost media", use_blob_urls=True
                )

    def tasks(self, project: int) -> Iterator[AnnotationTask]:
        """Yield all tasks in any order, one at a time: their pages are large."""
        if project in self._no_tasks:
            return
        what = f"tasks of project {project}"
        with self._requesting(what):
            found = iter(
                self._api.tasks.list(
                    project=project,
                    page_size=_PAGE,
                    fields="task_only",
                    include="id,data,total_annotations,cancelled_annotations",
                )
            )
        while True:
            with self._requesting(what):
                some = [_task(one) for one in islice(found, _PAGE)]
            if not some:
                return
            yield from some

    def add(self, project: int, pages: Sequence[bytes]) -> None:
        """Create one task per page, given as JSON; the server doesn't check for duplicates."""
        self._no_tasks.discard(project)
        # Without the SDK, which visits every value in Python: a third of the total time.
        body = _Body(pages)
        headers = {"Content-Type": "application/json", "Content-Length": str(len(body))}
        self._post(project, "return_task_ids=false", content=body, headers=headers)

    def uploads(self, project: int) -> dict[str, str]:
        """Return the URL of each file uploaded to a project, by file name."""
        with self._requesting(f"files of project {project}"):
            found = [str(one.file) for one in self._api.files.list(project, all_=True)]
        # The server prefixes each name with eight digits.
        return {name.rpartition("/")[2].partition("-")[2]: _file_url(name) for name in found}

    def upload(self, project: int, paths: Sequence[Path]) -> None:
        """Upload files for pages; the server doesn't check for duplicates."""
        for begin in range(0, len(paths), _FILES):
            files = {
                path.name: (path.name, path.read_bytes()) for path in paths[begin : begin + _FILES]
            }
            self._post(project, "commit_to_project=false", files=files)

    def _post(self, project: int, query: str, **what: Any) -> None:
        url = f"{self.url}/api/projects/{project}/import?{query}"
        with self._requesting(f"import into project {project}"):
            headers = self._api._client_wrapper.get_headers() | what.pop("headers", {})
            done = self._once.post(url, headers=headers, timeout=_IMPORT_SECONDS, **what)
        if done.is_error:
            raise self._refusal(f"import into project {project}", done.status_code, done.text)

    def change(self, task: int, data: dict[str, Any]) -> None:
        """Replace the data of a task's page."""
        with self._requesting(f"task {task}"):
            self._api.tasks.update(id=str(task), data=data)

    def remove(self, task: int) -> None:
        """Delete a task."""
        with self._requesting(f"task {task}"):
            self._api.tasks.delete(id=str(task))

    def annotations(self, project: int, since_us: int = 0) -> list[Annotation]:
        """Return all annotations (including skips) of tasks changed since; a person may have several."""
        since = datetime.fromtimestamp(since_us / 1e6, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        changed = ("tasks:updated_at", "greater", "Datetime", since)
        given: dict[int, Annotation] = {}
        # A task that was only skipped has no total_annotations, so it needs a query of its own.
        for counter in ("total_annotations", "cancelled_annotations"):
            for found in self._found(
                project, changed, (f"tasks:{counter}", "greater", "Number", 0)
            ):
                task = _task(found)
                for raw in found.annotations or []:
                    one = self._annotation(raw, task)
                    given[one.id] = one
        return [given[number] for number in sorted(given)]

    def unsubmitted(self, project: int) -> list[Unsubmitted]:
        """Return the work that people have not submitted."""
        found = []
        for one in self._found(project, ("tasks:draft_exists", "equal", "Boolean", True)):
            with self._requesting(f"drafts of task {one.id}"):
                # The list of tasks holds only the drafts of the key's own account.
                url = f"{self.url}/api/tasks/{one.id}/drafts"
                drafts = self._once.get(url, headers=self._api._client_wrapper.get_headers())
            if not drafts.is_error:
                people = {str(draft.get("user")) for draft in drafts.json()}
                found += [Unsubmitted(_task(one), email) for email in sorted(people)]
        return found

    def _found(self, project: int, *conditions: tuple[str, str, str, object]) -> list[Any]:
        query = json.dumps(_all_of(*conditions))
        with self._requesting(f"annotations of project {project}"):
            return list(
                self._api.tasks.list(project=project, page_size=_PAGE, fields="all", query=query)
            )

    def _annotation(self, raw: dict[str, Any], task: AnnotationTask) -> Annotation:
        return Annotation(
            id=int(raw["id"]),
            task=task,
            email=self._email(_person(raw.get("completed_by"))),
            skipped=bool(raw.get("was_cancelled")),
            result=list(raw.get("result") or []),
            seconds=float(raw.get("lead_time") or 0.0),
            updated_us=_microseconds(raw["updated_at"]),
        )

    def _email(self, person: int | None) -> str:
        if person is None:  # the account was deleted
            return "somebody@deleted.invalid"
        if person not in self._emails:
            self._emails = {user.id: str(user.email) for user in self._api.users.list()}
        return self._emails.get(person, f"user-{person}@deleted.invalid")

    @contextmanager
    def _requesting(self, what: str) -> Iterator[None]:
        from label_studio_sdk.core.api_error import ApiError

        try:
            with warnings.catch_warnings():
                # To renew a personal token, the SDK calls a deprecated function of pydantic.
                warnings.simplefilter("ignore", DeprecationWarning)
                yield
        except ApiError as error:
            raise self._refusal(what, error.status_code, error.body) from error
        except httpx.HTTPError as error:
            raise unreachable(self.url, error) from error

    def _refusal(self, what: str, code: int | None, body: object) -> UserError:
        if code == 401:
            return UserError(
                self.url,
                "the server rejects this key",
                "set LABEL_STUDIO_API_KEY to a token from its account page",
            )
        if code == 403:
            return UserError(
                f"{self.url}: {what}",
                "this key has no permission for that",
                "use the key of an account that has, such as the administrator's",
            )
        if code == 404:
            return GoneError(
                f"{self.url}: {what}",
                "doesn't exist (any more)",
                "run `egost review push`, which creates what is missing",
            )
        detail = body
        if isinstance(body, dict):
            detail = body.get("validation_errors") or body.get("detail", body)
        return UserError(
            f"{self.url}: {what}",
            f"the server refused ({code}): {str(detail)[:300]}",
            "see the server's log, then run this again",
        )


class _Body:
    """Pages as one JSON list, in blocks: as one string, it would be in memory four times during sending."""

    _BEGIN, _BETWEEN, _END = b'[{"data": ', b'}, {"data": ', b"}]"
    _BLOCK = 50  # pages

    def __init__(self, pages: Sequence[bytes]) -> None:
        self._pages = pages

    def __len__(self) -> int:
        between = len(self._BETWEEN) * (len(self._pages) - 1)
        return sum(map(len, self._pages)) + between + len(self._BEGIN) + len(self._END)

    def __iter__(self) -> Iterator[bytes]:
        before = self._BEGIN
        for begin in range(0, len(self._pages), self._BLOCK):
            yield before + self._BETWEEN.join(self._pages[begin : begin + self._BLOCK])
            before = self._BETWEEN
        yield self._END


def connect(url: str, key: str) -> LabelStudioClient:
    """Return a client; raise UserError for no server, another program, its version or the key."""
    url = url.rstrip("/")
    check_server(url)
    client = LabelStudioClient(url, key)
    client.whoami()
    return client


def check_server(url: str) -> str:
    """Return the version of the Label Studio server at `url`; raise UserError if it isn't one."""
    try:
        answer = httpx.get(f"{url}/api/version", timeout=20, follow_redirects=True)
        release = answer.json()["label-studio-os-package"]["version"]
        numbers = tuple(int(part) for part in release.split(".")[:2])
    except httpx.HTTPError as error:
        raise unreachable(url, error) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            url,
            "another program answers; it is not Label Studio",
            "change [review] url, or stop that program",
        ) from error
    if not OLDEST <= numbers < TOO_NEW:
        wanted = ".".join(map(str, OLDEST))
        raise UserError(
            url, f"this is Label Studio {release}, not {wanted} or a later 1.x", "install 1.23.2"
        )
    return str(release)


def unreachable(url: str, error: httpx.HTTPError) -> UserError:
    """Return the error for a server that didn't answer."""
    return UserError(
        url,
        f"no Label Studio server answers ({type(error).__name__})",
        "start it with `egost label-studio start`, or change [review] url",
    )


def _file_url(name: str) -> str:
    return name if name.startswith(("/", "http")) else f"/data/{name}"


def _task(found: Any) -> AnnotationTask:
    return AnnotationTask(
        id=int(found.id),
        data=found.data if isinstance(found.data, dict) else {},  # of an imported task, anything
        finished=int(found.total_annotations or 0),
        skipped=int(found.cancelled_annotations or 0),
    )


def _person(completed_by: object) -> int | None:
    """Return a user's id, which is a number in lists of tasks and a dict in single tasks."""
    number = completed_by.get("id") if isinstance(completed_by, dict) else completed_by
    return None if number is None else int(str(number))


def _settings(config: str, overlap: int) -> dict[str, Any]:
    return {
        "label_config": config,
        "maximum_annotations": overlap,
        "overlap_cohort_percentage": 100,
        "show_skip_button": True,
        "skip_queue": "REQUEUE_FOR_OTHERS",
        "sampling": "Sequential sampling",
        "show_instruction": False,
        "reveal_preannotations_interactively": False,
    }


def _microseconds(moment: str | datetime) -> int:
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment)
    return round(moment.timestamp() * 1e6)


def _all_of(*conditions: tuple[str, str, str, object]) -> dict[str, Any]:
    names = ("filter", "operator", "type", "value")
    items = [dict(zip(names, (f"filter:{one[0]}", *one[1:]), strict=True)) for one in conditions]
    return {"filters": {"conjunction": "and", "items": items}}
