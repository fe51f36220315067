"""The base class of every row type, the digests used for ids, and the rows that any stage may write."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal, TypeVar

from pydantic import BaseModel, ConfigDict


def digest(*parts: object) -> str:
    """Return a digest of 16 hex digits; each part is prefixed with its length, so ("ab", "c") != ("a", "bc")."""
    return digest_of(parts)


def digest_of(parts: Iterable[object]) -> str:
    """Return the digest of these parts, which are read one at a time."""
    hasher = hashlib.sha256()
    for part in parts:
        text = str(part).encode()
        hasher.update(b"%d:" % len(text) + text)
    return hasher.hexdigest()[:16]


class Record(BaseModel):
    """A frozen value that accepts no unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Row(Record):
    """One row of the table named `table`, identified and sorted by the `key` fields.

    If `distinct`, equal rows of several units are one row: two copies of a video have the same narrations.
    """

    table: ClassVar[str]
    key: ClassVar[tuple[str, ...]]
    distinct: ClassVar[bool] = False
    later: ClassVar[tuple[str, ...]] = ()  # fields that were added when workspaces already existed

    def identity(self) -> tuple[str | int, ...]:
        """Return the values of the key fields."""
        return tuple(getattr(self, name) for name in self.key)

    def shown(self) -> str:
        """Return the name of this unit in messages."""
        return str(self.identity()[0])

    def as_key(self, fields: set[str] | None = None) -> str:
        """Return these fields (None: all) as part of a unit's key.

        Fields in `later` count only if they differ from their default, so that a new field changes no
        key of an existing workspace.
        """
        kind = type(self)
        same = {
            name for name in kind.later if getattr(self, name) == kind.model_fields[name].default
        }
        return self.model_dump_json(include=fields, exclude=same or None)


AnyRow = TypeVar("AnyRow", bound=Row)


@dataclass(frozen=True)
class Rows(Mapping[type[Row], tuple[Row, ...]]):
    """The rows that one unit may see, by type. `earlier` holds the stage's own rows of the last run.

    `redo` is set if the user asked to replace what people have judged (`--recompose`).
    """

    seen: Mapping[type[Row], tuple[Row, ...]]
    earlier: Mapping[type[Row], tuple[Row, ...]] = field(default_factory=dict)
    redo: bool = False

    def __getitem__(self, kind: type[AnyRow]) -> tuple[AnyRow, ...]:
        """Return the rows of one type, in key order."""
        return self.seen[kind]  # type: ignore[return-value]

    def __iter__(self) -> Iterator[type[Row]]:
        return iter(self.seen)

    def __len__(self) -> int:
        return len(self.seen)

    def one(self, kind: type[AnyRow]) -> AnyRow:
        """Return the single row of this type."""
        (row,) = self[kind]
        return row

    def before(self, kind: type[AnyRow]) -> tuple[AnyRow, ...]:
        """Return this type's rows from the stage's last run or from people; a stage must not change them."""
        return self.earlier.get(kind, ())  # type: ignore[return-value]


class Finding(Row):
    """The result of an automatic check of one unit; findings determine the order of review."""

    table = "findings"
    key = ("unit_kind", "unit", "kind", "message")
    unit_kind: Literal["clip", "route", "item"]
    unit: str
    kind: str
    severity: Literal["info", "warning", "error"]
    message: str


class Rejection(Row):
    """An input or a unit that was rejected or failed, with the reason and the fix."""

    table = "rejections"
    key = ("stage", "unit", "what")
    stage: str
    unit: str
    what: str
    fix: str


class Held(Row):
    """An item that was kept because people have audited it, although composing now gives a different one.

    Stored in done.sqlite only, not as a table.
    """

    table = "held"
    key = ("item_id",)
    item_id: str
