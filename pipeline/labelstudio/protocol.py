"""What review and audit need of an annotation server: its records and operations."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pipeline.errors import UserError


@dataclass(frozen=True)
class ServerProject:
    """One project as it is on the server; `tasks` is their number."""

    id: int
    title: str
    description: str
    config: str
    tasks: int


@dataclass(frozen=True)
class AnnotationTask:
    """One task: its page's `data`, and how many people finished or skipped it."""

    id: int
    data: dict[str, Any]
    finished: int
    skipped: int


@dataclass(frozen=True)
class Annotation:
    """One person's annotation of one task; times are in microseconds since 1970, by the server's clock."""

    id: int
    task: AnnotationTask
    email: str
    skipped: bool
    result: list[dict[str, Any]]
    seconds: float
    updated_us: int


@dataclass(frozen=True)
class Unsubmitted:
    """Work that a person has not submitted: a draft that the server saved."""

    task: AnnotationTask
    email: str


class GoneError(UserError):
    """Something that is no longer on the server."""


class AnnotationServer(Protocol):
    """The server operations that review and audit use."""

    url: str

    def projects(self) -> list[ServerProject]:
        """Return all projects that the account sees."""

    def create(self, title: str, description: str, config: str, overlap: int) -> int:
        """Create a project; return its id."""

    def configure(self, project: int, config: str, overlap: int) -> None:
        """Update the label config and the overlap of a project if they differ."""

    def describe(self, project: int, description: str) -> None:
        """Replace the description of a project."""

    def serve(self, project: int, folder: Path) -> None:
        """Serve the files in a folder of the server's machine to the members of a project."""

    def tasks(self, project: int) -> Iterable[AnnotationTask]:
        """Yield all tasks in any order, one at a time: their pages are large."""

    def add(self, project: int, pages: Sequence[bytes]) -> None:
        """Create one task per page, given as JSON; the server doesn't check for duplicates."""

    def change(self, task: int, data: dict[str, Any]) -> None:
        """Replace the data of a task's page."""

    def remove(self, task: int) -> None:
        """Delete a task."""

    def uploads(self, project: int) -> dict[str, str]:
        """Return the URL of each file uploaded to a project, by file name."""

    def upload(self, project: int, paths: Sequence[Path]) -> None:
        """Upload files for pages; the server doesn't check for duplicates."""

    def annotations(self, project: int, since_us: int = 0) -> list[Annotation]:
        """Return all annotations (including skips) of tasks changed since; a person may have several."""

    def unsubmitted(self, project: int) -> list[Unsubmitted]:
        """Return the work that people have not submitted."""
