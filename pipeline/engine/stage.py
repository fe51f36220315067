"""What a stage is: a named plain function from rows to rows, with its units, their keys and its summary."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.rows import Row, Rows, digest, digest_of
from pipeline.engine.settings import Settings
from pipeline.engine.store import Store
from pipeline.errors import RowError

SCAN, PULL = "scan", "pull"  # external rows: files found on disk, people's verdicts


@dataclass(frozen=True)
class LazyFunction:
    """A function whose module is imported when it is first called.

    Importing decoders and HTTP clients would take longer than a whole run with nothing to do.
    """

    module: str
    name: str = "run"

    @property
    def function(self) -> Callable[..., Any]:
        """The function itself; imports its module."""
        return getattr(import_module(self.module), self.name)  # type: ignore[no-any-return]

    def __call__(self, *given: Any) -> Any:
        """Call it."""
        return self.function(*given)


@dataclass(frozen=True)
class Stage:
    """A named plain function from rows to rows.

    `per` is the row type of which each row makes a unit (None: one unit for all rows). `remembers`
    lists types whose earlier rows, written by this stage or by people, the function may see although
    they are not part of the key: assignments never change, and what people judged is kept. An
    `async` function runs in the event loop and receives what `opens(settings, folder)` yields; any
    other runs in a process pool and receives the WorkspaceFolder. `depends` adds to the key what is
    neither row nor setting, such as a template. `key_fields` limits a type's part of the key to the
    fields that matter (a reworded licence must not decode a video again). A `light` function runs in
    this process, because sending its rows to another would take longer. `section` names another
    stage whose settings it shares. A stage has no units if `wanted(settings)` is false. However many
    units of an `optional` stage fail, the run goes on: later stages do without its rows. Increase
    `version` when the same input should give different rows, and `rejects` when inputs that were rejected
    until now should be tried again.

    What people have judged is replaced only if the user asks for it: `judged(store)` returns the
    units that keep their rows although their key has changed; a stage with one unit for all rows
    decides row by row instead, from `Rows.redo`. `redo` is the flag by which the user asks;
    `command` is the command that runs the stage.
    """

    name: str
    does: str
    reads: tuple[type[Row], ...]
    writes: tuple[type[Row], ...]
    settings: type[Settings]
    run: Callable[..., Any]
    per: type[Row] | None
    command: str = ""
    version: int = 1
    rejects: int = 1
    remembers: tuple[type[Row], ...] = ()
    opens: Callable[[Any, WorkspaceFolder], AbstractAsyncContextManager[Any]] | None = None
    depends: Callable[[Any, WorkspaceFolder], str] | None = None
    key_fields: Mapping[type[Row], set[str]] = field(default_factory=dict)
    light: bool = False
    section: str = ""
    wanted: Callable[[Any], bool] | None = None
    optional: bool = False
    judged: Callable[[Store], set[str]] | None = None
    redo: str = ""

    def key_head(self, settings: Settings, folder: WorkspaceFolder) -> str:
        """Return the digest of everything that all units of this stage depend on."""
        extra = self.depends(settings, folder) if self.depends else ""
        return digest(self.name, self.version, settings.for_keys(), extra)

    def key(self, head: str, seen: Mapping[type[Row], Iterable[Row]]) -> str:
        """Return the digest of everything that one unit's rows depend on."""
        return digest_of(self._parts(head, seen))

    def rejected_key(self, key: str) -> str:
        """Return the key under which a rejected unit is stored."""
        return key if self.rejects == 1 else f"{key}.{self.rejects}"

    def _parts(self, head: str, seen: Mapping[type[Row], Iterable[Row]]) -> Iterator[str]:
        yield head
        for kind, rows in seen.items():
            fields = self.key_fields.get(kind)
            yield kind.table
            for row in rows:
                yield row.as_key(fields)


@dataclass(frozen=True)
class Unit:
    """One unit of a stage's work: its id, its name in messages, its key and the rows it sees."""

    id: str
    label: str
    key: str
    rows: Rows


@dataclass(frozen=True)
class Summary:
    """The result of one run of a stage."""

    stage: str
    noun: str
    new: int
    kept: int
    rejected: int = 0
    failed: int = 0
    other_rejections: int = 0  # not of units, but of a sidecar file or a pair of items
    held: int = 0  # how many of the kept units would be replaced if nobody had judged them
    redo: str = ""  # the flag that replaces them
    crashes: str = ""  # how many units failed unexpectedly, and where their tracebacks are

    @property
    def total(self) -> int:
        """The number of units."""
        return self.new + self.kept + self.rejected + self.failed

    def __str__(self) -> str:
        parts = [f"{self.new} new" if self.new else "nothing new", f"{self.kept} kept"]
        parts += [f"{self.rejected} rejected"] if self.rejected else []
        parts += [f"{self.failed} failed"] if self.failed else []
        parts += (
            [f"{self.other_rejections} other rejection{'s' * (self.other_rejections > 1)}"]
            if self.other_rejections
            else []
        )
        hint = (
            " (egost rejections)" if self.rejected or self.failed or self.other_rejections else ""
        )
        noun = self.noun.removesuffix("s") if self.total == 1 else self.noun
        line = f"{self.stage}: {self.total} {noun}: {', '.join(parts)}{hint}"
        if self.held:
            nouns = self.noun.removesuffix("s") if self.held == 1 else self.noun
            line += (
                f"\n  kept because people judged them, though out of date: {self.held} {nouns}; "
                f"{self.redo} would replace them (--dry-run lists them)"
            )
        return f"{line}\n  {self.crashes}" if self.crashes else line


Outcome = Iterable[Row] | RowError
"""A unit's rows, or the reason why there are none."""
