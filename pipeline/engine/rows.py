"""The base of every row type, how ids are made, and the rows that any stage may write."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal, TypeVar

from pydantic import BaseModel, ConfigDict


def digest(*parts: object) -> str:
    """Return 16 hex digits that stand for these parts; parts can't run into one another."""
    return digest_of(parts)


def digest_of(parts: Iterable[object]) -> str:
    """Return the digest of these parts, taken one after the other."""
    hasher = hashlib.sha256()
    for part in parts:
        text = str(part).encode()
        hasher.update(b"%d:" % len(text) + text)
    return hasher.hexdigest()[:16]


class Record(BaseModel):
    """A frozen value with no unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Row(Record):
    """One row of the table named `table`, sorted and told apart by the `key` fields."""

    table: ClassVar[str]
    key: ClassVar[tuple[str, ...]]

    def identity(self) -> tuple[str | int, ...]:
        """Return the values of the key fields."""
        return tuple(getattr(self, name) for name in self.key)

    def shown(self) -> str:
        """Return what people call this unit."""
        return str(self.identity()[0])


AnyRow = TypeVar("AnyRow", bound=Row)


@dataclass(frozen=True)
class Rows(Mapping[type[Row], tuple[Row, ...]]):
    """The rows that one unit may see, by type. `earlier` holds what the stage itself wrote last time.

    `redo` is set when the user asked to replace what people have judged (`--recompose`).
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
        """Return what this stage wrote of this type in its last run, or people judged: it never moves."""
        return self.earlier.get(kind, ())  # type: ignore[return-value]


class Finding(Row):
    """An automatic check's remark about one unit; findings sort the review queue."""

    table = "findings"
    key = ("unit_kind", "unit", "kind", "message")
    unit_kind: Literal["clip", "route", "item"]
    unit: str
    kind: str
    severity: Literal["info", "warning", "error"]
    message: str


class Rejection(Row):
    """An input or a unit that was refused or failed, with the reason and what mends it."""

    table = "rejections"
    key = ("stage", "unit", "what")
    stage: str
    unit: str
    what: str
    fix: str


class Held(Row):
    """An item that was kept because people have audited it, though composing it now gives another.

    Kept in done.sqlite only, not as a table.
    """

    table = "held"
    key = ("item_id",)
    item_id: str
