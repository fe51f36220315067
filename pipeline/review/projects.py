"""Which Label Studio projects are this workspace's: known by id, and by a mark in their description.

People may rename a project, edit its description, copy or delete it. A project of an older version
has no mark: it is recognised once, by its tasks, and then marked.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from pipeline.engine.folder import WorkspaceFolder, write_atomic
from pipeline.engine.rows import digest
from pipeline.errors import UserError
from pipeline.labelstudio.protocol import AnnotationServer, ServerProject

_MARK = re.compile(r"^[ \t]*egost workspace (\w+): (.+?)[ \t]*\r?$", re.MULTILINE)
_SHARED = "shared"  # the mark of a project that all workspaces on a server use
_FIRST = 500  # tasks: one request


def _none_is_ours(data: Mapping[str, Any]) -> bool:
    return False


@dataclass(frozen=True)
class Project:
    """One project as this workspace wants it: its title when it is made, its label config, its overlap.

    `ours(data)` is whether a task with this data is one that this workspace sent to this project.
    Config and overlap are needed to open it only. A shared one is used by all workspaces.
    """

    title: str
    ours: Callable[[Mapping[str, Any]], bool] = _none_is_ours
    config: str = ""
    overlap: int = 1
    shared: bool = False


@dataclass(frozen=True)
class Projects:
    """The projects of the workspace in `folder` on one server."""

    client: AnnotationServer
    folder: WorkspaceFolder

    def open(self, wanted: Project) -> int:
        """Return the id of a project; create it, or bring its label config up to date.

        Raises UserError if another workspace or somebody else has a project of this title.
        """
        found = self.claimed(wanted)
        if found:
            number = found[0].id
            self.client.configure(number, wanted.config, wanted.overlap)
        else:
            self._refuse_taken(wanted)
            mark = self._line(wanted)
            number = self.client.create(wanted.title, mark, wanted.config, wanted.overlap)
            self._remember(wanted.title, number)
        return number

    def claimed(self, wanted: Project) -> list[ServerProject]:
        """Return `all` projects under a title, after marking those that have no mark yet."""
        found, line = self.all(wanted), self._line(wanted)
        for one in found:
            if line not in _lines(one):
                text = f"{one.description}\n{line}" if one.description.strip() else line
                self.client.describe(one.id, text)
        if found:
            self._remember(wanted.title, found[0].id)
        return found

    def existing(
        self, wanted: Project, command: str = "egost review push", *, claim: bool = False
    ) -> list[ServerProject]:
        """Return `all` projects under a title, or `claimed` ones; raise UserError if there is none."""
        found = self.claimed(wanted) if claim else self.all(wanted)
        if not found:
            self._refuse_taken(wanted)
            what = f"there is no project {wanted.title!r} of this workspace"
            raise UserError(self.client.url, what, f"run `{command}` first")
        return found

    def all(self, wanted: Project) -> list[ServerProject]:
        """Return this workspace's projects under a title: the one in use, then copies of it. Changes nothing."""
        every = sorted(self.client.projects(), key=lambda one: one.id)
        line = self._line(wanted)
        found = [one for one in every if line in _lines(one)]
        kept = self._remembered().get(wanted.title)
        if all(one.id != kept for one in found):
            unmarked = [one for one in every if one not in found and (not found or one.id == kept)]
            found += [
                one for one in unmarked if self._holds_ours(one, wanted, known=one.id == kept)
            ]
        return sorted(found, key=lambda one: (one.id != kept, one.title != wanted.title, one.id))

    def _holds_ours(self, one: ServerProject, wanted: Project, *, known: bool) -> bool:
        """Return whether a project without our mark is this workspace's.

        While titles alone were compared, several workspaces could send tasks to one project.
        """
        named = known or one.title == wanted.title
        if named and not one.tasks:
            return not _lines(one)
        # Unrelated projects must not cost much: all our pages show keyframes, and a project that
        # isn't known by name either is ours if its first tasks are.
        if "$frames" not in one.config or (not named and _lines(one)):
            return False
        tasks = self.client.tasks(one.id)
        return any(wanted.ours(task.data) for task in (tasks if named else islice(tasks, _FIRST)))

    def _refuse_taken(self, wanted: Project) -> None:
        for one in self.client.projects():
            if one.title == wanted.title:
                whose = "belongs to another workspace" if _lines(one) else "isn't this workspace's"
                raise UserError(
                    f"{self.client.url}: project {one.title!r} (id {one.id})",
                    f"this title is taken: that project {whose}",
                    "give this workspace's project another title (review.project or audit.project "
                    "in egost.toml), or rename that project in Label Studio",
                )

    def _mark(self, wanted: Project) -> str:
        """Return the workspace's mark; a copy of the workspace has the same one."""
        if wanted.shared:
            return _SHARED
        return digest("workspace", self.folder.secret().hex())

    def _line(self, wanted: Project) -> str:
        return f"egost workspace {self._mark(wanted)}: {wanted.title.strip()}"

    def _remembered(self) -> dict[str, int]:
        try:
            return dict(json.loads(self._file.read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError, TypeError):
            return {}  # the marks are enough

    def _remember(self, title: str, number: int) -> None:
        known = self._remembered()
        if known.get(title) != number:
            text = json.dumps(known | {title: number}, indent=1, ensure_ascii=False) + "\n"
            write_atomic(self._file, text.encode())

    @property
    def _file(self) -> Path:
        return self.folder.root / "projects.json"


def _lines(project: ServerProject) -> list[str]:
    """Return the marks in a project's description."""
    return [
        f"egost workspace {mark}: {title}" for mark, title in _MARK.findall(project.description)
    ]
