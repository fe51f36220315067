"""What a stage is: a named plain function from rows to rows, its units, their keys, what a run of it did."""

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

SCAN, PULL = "scan", "pull"  # rows that come from outside: files found on disk, people's verdicts


@dataclass(frozen=True)
class LazyFunction:
    """A function of a module that is imported when it has something to do.

    Decoders and clients of servers take longer to import than a run with nothing to do may take.
    """

    module: str
    name: str = "run"

    @property
    def function(self) -> Callable[..., Any]:
        """The function itself; the first time, this imports its module."""
        return getattr(import_module(self.module), self.name)  # type: ignore[no-any-return]

    def __call__(self, *given: Any) -> Any:
        """Call it."""
        return self.function(*given)


@dataclass(frozen=True)
class Stage:
    """A named plain function from rows to rows.

    `per` names the row type that makes a unit (None: all rows at once). `remembers` lists types
    whose earlier rows, of this very stage or from people, the function may see without being redone
    for them: a draw never moves, and what people judged stays. An `async` function runs in the
    event loop with what `opens(settings, folder)` yields; any other runs in a process pool with the
    WorkspaceFolder. `depends` adds to the key what is neither row nor setting, such as a template; `key_fields`
    narrows a type's part of the key to the fields that matter (new wording of a licence must not
    decode a video again). A `light` function runs in this process: handing its rows over would take
    longer. `section` names another stage whose settings it shares; a stage that its settings don't
    want (`wanted`) has no units. Raise `version` when the same input should give others.

    What people have judged is replaced only when the user asks for it: `judged(store)` names the
    units that keep their rows even though their key has changed; a stage with one unit for all rows
    decides that row by row instead, from `Rows.redo`. `redo` is the flag with which the user asks;
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
    remembers: tuple[type[Row], ...] = ()
    opens: Callable[[Any, WorkspaceFolder], AbstractAsyncContextManager[Any]] | None = None
    depends: Callable[[Any, WorkspaceFolder], str] | None = None
    key_fields: Mapping[type[Row], set[str]] = field(default_factory=dict)
    light: bool = False
    section: str = ""
    wanted: Callable[[Any], bool] | None = None
    judged: Callable[[Store], set[str]] | None = None
    redo: str = ""

    def key_head(self, settings: Settings, folder: WorkspaceFolder) -> str:
        """Return the digest of what all units of this stage depend on."""
        extra = self.depends(settings, folder) if self.depends else ""
        return digest(self.name, self.version, settings.for_keys(), extra)

    def key(self, head: str, seen: Mapping[type[Row], Iterable[Row]]) -> str:
        """Return the digest of all that one unit's rows follow from."""
        return digest_of(self._parts(head, seen))

    def _parts(self, head: str, seen: Mapping[type[Row], Iterable[Row]]) -> Iterator[str]:
        yield head
        for kind, rows in seen.items():
            heeded = self.key_fields.get(kind)
            yield kind.table
            for row in rows:
                yield row.model_dump_json(include=heeded)


@dataclass(frozen=True)
class Unit:
    """One piece of a stage's work: its id, its name for people, its key and the rows it sees."""

    id: str
    label: str
    key: str
    rows: Rows


@dataclass(frozen=True)
class Summary:
    """What one run of a stage did."""

    stage: str
    noun: str
    new: int
    kept: int
    rejected: int = 0
    failed: int = 0
    other_rejections: int = (
        0  # rejections of something else than a unit: a sidecar, a pair of flips
    )
    held: int = 0  # of the kept ones: those that would be replaced if nobody had judged them
    redo: str = ""  # the flag that replaces them

    @property
    def total(self) -> int:
        """How many units there are."""
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
            line += (
                f"\n  {self.held} of the kept {self.noun} are out of date but have been judged by "
                f"people, so they stay as they are; {self.redo} would replace them (--dry-run lists them)"
            )
        return line


Outcome = Iterable[Row] | RowError
"""What a unit came to: its rows, or why there are none."""
