"""A fake Label Studio client for tests and the demo: it stores tasks and simulates annotators."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pipeline.labelstudio.protocol import Annotation, AnnotationTask, ServerProject, Unsubmitted


@dataclass
class ScriptedClient:
    """An AnnotationServer without a server: it stores what it is sent; `answer` simulates a person."""

    url: str = "http://scripted.invalid"
    made: dict[int, ServerProject] = field(default_factory=dict)
    kept: dict[int, AnnotationTask] = field(default_factory=dict)
    home: dict[int, int] = field(default_factory=dict)
    given: dict[int, Annotation] = field(default_factory=dict)
    drafts: list[Unsubmitted] = field(default_factory=list)
    files: dict[int, list[str]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    clock_us: int = 1_700_000_000_000_000

    def projects(self) -> list[ServerProject]:
        """Return all projects."""
        return [replace(one, tasks=len(self.tasks(one.id))) for one in self.made.values()]

    def create(self, title: str, description: str, config: str, overlap: int) -> int:
        """Create a project."""
        self.calls.append("create")
        number = len(self.made) + 1
        self.made[number] = ServerProject(number, title, description, config, 0)
        return number

    def configure(self, project: int, config: str, overlap: int) -> None:
        """Update the label config."""
        self.calls.append("configure")
        self.made[project] = replace(self.made[project], config=config)

    def describe(self, project: int, description: str) -> None:
        """Replace the description of a project."""
        self.made[project] = replace(self.made[project], description=description)

    def serve(self, project: int, folder: Path) -> None:
        """Record the call."""
        self.calls.append("serve")

    def tasks(self, project: int) -> list[AnnotationTask]:
        """Return all tasks."""
        return [task for number, task in self.kept.items() if self.home[number] == project]

    def add(self, project: int, pages: Sequence[bytes]) -> None:
        """Create one task per page."""
        self.calls.append(f"add {len(pages)}")
        for one in pages:
            number = len(self.home) + 1
            self.kept[number] = AnnotationTask(number, json.loads(one), 0, 0)
            self.home[number] = project

    def change(self, task: int, data: dict[str, Any]) -> None:
        """Replace the data of a task's page."""
        self.calls.append(f"change {task}")
        old = self.kept[task]
        self.kept[task] = AnnotationTask(task, dict(data), old.finished, old.skipped)

    def remove(self, task: int) -> None:
        """Delete a task."""
        self.calls.append(f"remove {task}")
        del self.kept[task]

    def uploads(self, project: int) -> dict[str, str]:
        """Return the URL of each uploaded file."""
        return {name: f"/data/upload/{project}/{name}" for name in self.files.get(project, [])}

    def upload(self, project: int, paths: Sequence[Path]) -> None:
        """Record the files' names; a missing file is an error."""
        self.calls.append(f"upload {len(paths)}")
        assert all(path.stat().st_size for path in paths)
        self.files.setdefault(project, []).extend(path.name for path in paths)

    def annotations(self, project: int, since_us: int = 0) -> list[Annotation]:
        """Return the annotations since then."""
        return [
            one
            for one in self.given.values()
            if one.updated_us > since_us and self.home[one.task.id] == project
        ]

    def unsubmitted(self, project: int) -> list[Unsubmitted]:
        """Return the work that people have not submitted."""
        return [one for one in self.drafts if self.home[one.task.id] == project]

    def answer(
        self,
        task: int,
        result: list[dict[str, Any]],
        *,
        email: str = "person@example.org",
        skipped: bool = False,
        seconds: float = 30.0,
    ) -> Annotation:
        """Simulate a person who submits, edits (a second answer) or skips a task."""
        old = self.kept[task]
        earlier = [n for n, one in self.given.items() if (one.task.id, one.email) == (task, email)]
        if not earlier:
            old = AnnotationTask(
                task, old.data, old.finished + (not skipped), old.skipped + skipped
            )
            self.kept[task] = old
        self.clock_us += 60_000_000
        number = earlier[0] if earlier else len(self.given) + 1
        self.given[number] = Annotation(number, old, email, skipped, result, seconds, self.clock_us)
        return self.given[number]
