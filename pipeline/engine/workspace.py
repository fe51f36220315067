"""An open workspace: its folder, its store, its settings, and the stages that run in it."""

from collections.abc import Container, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.engine.config import Config, commented
from pipeline.engine.folder import WorkspaceFolder, write_atomic
from pipeline.engine.run import Pending, pending, run_stage
from pipeline.engine.settings import AnySettings, RunSettings, Settings
from pipeline.engine.stage import Stage, Summary
from pipeline.engine.store import Store, opened, read
from pipeline.errors import UserError

Sections = Mapping[str, type[Settings]]
"""The settings class of each section of `egost.toml`, in the order of the file."""


@dataclass(frozen=True)
class Workspace:
    """A workspace that this process has opened, to write (and locked) or only to read."""

    folder: WorkspaceFolder
    store: Store
    config: Config
    stages: tuple[Stage, ...]
    sections: Sections

    def settings(self, section: str, kind: type[AnySettings]) -> AnySettings:
        """Return the settings of a section."""
        return self.config.settings(section, kind)

    def run(self, names: Iterable[str], redo: Container[str] = ()) -> Iterator[Summary]:
        """Run these stages in order; yield the summary of each.

        `redo` holds the flags (`--redraft`, `--recompose`) that allow judged work to be replaced.
        """
        how = self.settings("run", RunSettings)
        wanted = set(names)
        for index, stage in enumerate(self.stages):
            if stage.name in wanted:
                settings = self.settings(stage.section or stage.name, stage.settings)
                if stage.wanted and not (stage.wanted(settings) or self.store.keys(stage.name)):
                    continue  # turned off, and no earlier units to delete
                upstream = [earlier.name for earlier in self.stages[:index]]
                yield run_stage(stage, self.store, settings, how, upstream, redo=stage.redo in redo)

    def run_command(self, command: str, redo: Container[str] = ()) -> Iterator[Summary]:
        """Run the stages of a command, such as `generate-qa`."""
        return self.run([stage.name for stage in self.stages if stage.command == command], redo)

    def pending(self, name: str, redo: Container[str] = ()) -> Pending:
        """Return the units that a run of this stage would work on now."""
        index = next(index for index, stage in enumerate(self.stages) if stage.name == name)
        stage, upstream = self.stages[index], [earlier.name for earlier in self.stages[:index]]
        settings = self.settings(stage.section or name, stage.settings)
        return pending(stage, self.store, settings, upstream, redo=stage.redo in redo)

    def recorded(self) -> dict[str, dict[str, object]]:
        """Return all settings in force, for a release's manifest."""
        return {
            name: self.settings(name, kind).model_dump() for name, kind in self.sections.items()
        }


@contextmanager
def open_workspace(
    root: Path,
    stages: tuple[Stage, ...],
    sections: Sections,
    overrides: Iterable[str] = (),
    command: str = "egost",
) -> Iterator[Workspace]:
    """Open and lock a workspace; raise UserError if there is none, it is in use, or a setting is wrong."""
    folder, config = _configured(root, sections, overrides)
    with opened(folder, command) as store:
        yield Workspace(folder, store, config, stages, sections)


@contextmanager
def read_workspace(
    root: Path, stages: tuple[Stage, ...], sections: Sections, overrides: Iterable[str] = ()
) -> Iterator[Workspace]:
    """Open a workspace as it is now, to be read only; raise UserError if there is none or a setting is wrong."""
    folder, config = _configured(root, sections, overrides)
    with read(folder) as store:
        yield Workspace(folder, store, config, stages, sections)


def _configured(
    root: Path, sections: Sections, overrides: Iterable[str]
) -> tuple[WorkspaceFolder, Config]:
    folder = WorkspaceFolder(root)
    if not folder.config.exists():
        raise UserError(
            str(root), "no workspace there (it has no egost.toml)", f"egost init {root}"
        )
    config = Config.load(folder.config, sections, overrides)
    for name, kind in sections.items():
        config.settings(name, kind)
    return folder, config


def make_workspace(
    root: Path, sections: Sections, values: Mapping[str, Mapping[str, Any]] | None = None
) -> str | None:
    """Create a workspace with these settings; return a message, or None if there already is one."""
    folder = WorkspaceFolder(root)
    if folder.config.exists():
        return None
    if root.exists() and not (root.is_dir() and _is_begun(folder)):
        raise UserError(str(root), "exists and is not a workspace", "choose a new or empty folder")
    folder.media.mkdir(parents=True, exist_ok=True)
    folder.tables.mkdir(exist_ok=True)
    folder.secret()
    # The settings file is written last: a folder that has one is a complete workspace.
    write_atomic(folder.config, commented(sections, values or {}).encode())
    return f"created the workspace {root}; its settings are in {folder.config}"


def _is_begun(folder: WorkspaceFolder) -> bool:
    """Return whether a folder is empty or holds only the start of a workspace, left by a killed run."""
    made = {folder.media.name, folder.tables.name, "secret"}
    names = {path.name for path in folder.root.iterdir()}
    begun = all(name in made or name.startswith(".tmp-") for name in names)
    empty = not any(any(path.iterdir()) for path in (folder.media, folder.tables) if path.is_dir())
    return begun and empty
