"""The changes between two releases, row by row, and the version number that they require."""

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from pipeline.releases.reading import Released
from pipeline.routes.route import OPPOSITE

Version = tuple[int, int, int]
_Row = Mapping[str, Any]
_SHOWN = 160  # characters of a value that are printed


@dataclass(frozen=True)
class Change:
    """A row that differs between two releases: its old and new values, and the reason."""

    id: str
    columns: Mapping[str, tuple[Any, Any]]
    reason: str = ""


@dataclass(frozen=True)
class Difference:
    """The rows added, removed and changed between two releases; ids are sorted.

    `evidence_only` counts the rows whose evidence changed but whose question and answer did not.
    """

    before: str
    after: str
    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[Change, ...]
    evidence_only: int = 0
    reasons: Mapping[str, str] = field(default_factory=dict)  # of removed rows, where one is known

    @property
    def level(self) -> str:
        """Return the part of the version number that must increase: `major`, `minor` or `patch`."""
        if self.removed or self.changed:
            return "major"
        return "minor" if self.added else "patch"

    def columns(self) -> dict[str, int]:
        """Return the number of rows in which each column changed."""
        return dict(sorted(Counter(name for row in self.changed for name in row.columns).items()))

    def __str__(self) -> str:
        counts = (
            f"{len(self.added)} added, {len(self.removed)} removed, {len(self.changed)} changed"
        )
        if self.evidence_only:
            counts += f", {self.evidence_only} with changed evidence only"
        return f"diff: {self.before} to {self.after}: {counts}: a {self.level} change"

    def lines(self) -> Iterator[str]:
        """Yield every difference as text to print, row by row."""
        yield from (f"+ {unit}" for unit in self.added)
        yield from (f"- {unit}{_reason(self.reasons, unit)}" for unit in self.removed)
        for change in self.changed:
            yield f"~ {change.id}"
            if change.reason:
                yield f"    {change.reason}"
            for name, (old, new) in change.columns.items():
                yield f"    {name}: {_short(old)} => {_short(new)}"

    def as_json(self) -> str:
        """Return every difference as one JSON object."""
        return json.dumps(
            {
                "before": self.before,
                "after": self.after,
                "level": self.level,
                "added": self.added,
                "removed": self.removed,
                "reasons": self.reasons,
                "changed": [
                    {
                        "id": change.id,
                        "reason": change.reason,
                        "columns": {
                            name: {"before": old, "after": new}
                            for name, (old, new) in change.columns.items()
                        },
                    }
                    for change in self.changed
                ],
                "evidence_changed": self.evidence_only,
            },
            ensure_ascii=False,
            indent=1,
        )


def difference(before: Released, after: Released) -> Difference:
    """Compare two releases by item id; the order of rows does not matter.

    Holds a 64-bit hash of every row, and only the changed rows themselves.
    """
    old, new = _hashes(before), _hashes(after)
    added, removed = new.join(old, "id", "anti"), old.join(new, "id", "anti")
    both = old.join(new, "id", suffix="_new")
    is_changed = pl.col("question") != pl.col("question_new")
    changed = both.filter(is_changed)["id"].sort()
    same = both.filter(~is_changed)
    was, became = _rows(before, "data", changed), _rows(after, "data", changed)
    evidence = [_rows(one, "evidence", changed) for one in (before, after)]
    return Difference(
        before.version,
        after.version,
        added=tuple(added["id"].sort()),
        removed=tuple(removed["id"].sort()),
        changed=tuple(
            _change(unit, was[unit], became[unit], *(rows.get(unit) for rows in evidence))
            for unit in changed
        ),
        reasons=_removals(before, after, removed["id"], added["id"]),
        evidence_only=same.filter(pl.col("evidence").ne_missing(pl.col("evidence_new"))).height,
    )


_WHY = [
    *("id", "clip_id", "flips", "facts", "steps", "span_start", "span_end", "mirrored"),
    *("provider", "model", "prompt_sha256", "reply_id", "verified_by"),
]


def _removals(
    before: Released, after: Released, removed: pl.Series, added: pl.Series
) -> dict[str, str]:
    """Return why items are gone, as far as it can be derived from what is asked about their clip now."""
    gone = _rows(before, "evidence", removed, _WHY)
    clips = list({row["clip_id"] for row in gone.values()})
    spans: dict[str, dict[object, _Row]] = {}
    for frame in after.frames("evidence", _WHY):
        for row in frame.filter(
            pl.col("clip_id").is_in(clips), pl.col("id").is_in(added.implode())
        ).to_dicts():
            known, place = spans.setdefault(row["clip_id"], {}), (_times(row), row["mirrored"])
            if row["facts"] or place not in known:  # descriptions ask about none
                known[place] = row
    return {
        item_id: _replaced(row, spans[row["clip_id"]].values())
        for item_id, row in sorted(gone.items())
        if row["clip_id"] in spans
    }


def _replaced(old: _Row, now: Collection[_Row]) -> str:
    """Return why the items of `now` replace one of the same clip."""
    if old["flips"] and any(row["facts"] for row in now):
        return "composed again: items ask about two facts of a span, no longer about whole clips"
    same = [row for row in now if _times(row) == _times(old)]
    if not same:
        return "its clip was cut into other spans"
    if all(_walked(row) != _walked(old) for row in same):
        return _cause(old, same[0])
    if all(row["mirrored"] != old["mirrored"] for row in same):
        return "the frames of its span are flipped left to right now, or no longer"
    return "other facts of its span are asked about"


def _times(row: _Row) -> tuple[float | None, float | None]:
    return row["span_start"], row["span_end"]


def _walked(row: _Row) -> list[tuple[str | None, ...]]:
    """Return the steps of a span as they were walked, also if its frames are flipped."""
    return [
        (
            OPPOSITE[step["move"]] if row["mirrored"] else step["move"],
            step["landmark"],
            step["action"],
            step["undo"],
        )
        for step in row["steps"]
    ]


def _hashes(released: Released) -> pl.DataFrame:
    """Return by item `id` a hash of its question row, its split included, and of its evidence."""
    row = pl.struct(pl.all()).struct.json_encode().hash()
    unit = pl.col("id") + ""  # a copy: the column itself keeps its whole batch in memory
    questions, evidence = (
        pl.concat(
            [
                pl.DataFrame(schema={"id": pl.String, name: pl.UInt64}),
                *(frame.select(unit, row.alias(name)) for frame in released.frames(config)),
            ]
        ).unique("id", keep="last")
        for name, config in (("question", "data"), ("evidence", "evidence"))
    )
    return questions.join(evidence, "id", "left")


def _rows(
    released: Released, config: str, wanted: pl.Series, columns: list[str] | None = None
) -> dict[str, _Row]:
    """Return the rows of the wanted ids, by id."""
    return {
        row["id"]: row
        for frame in released.frames(config, columns)
        for row in frame.filter(pl.col("id").is_in(wanted.implode())).to_dicts()
    }


def _change(
    unit: str,
    old: _Row,
    new: _Row,
    before: _Row | None,
    after: _Row | None,
) -> Change:
    columns = {name: (old[name], new[name]) for name in sorted(old) if old[name] != new[name]}
    return Change(
        unit, columns, "; ".join(_causes(columns, before, after)) or "its metadata changed"
    )


_MOVED = ("split", "split_group", "scene_name")
_ASKED = {"question", "options", "answer_text", "ground_truth", "answer", "contrast"}
_FRAMES = {"frames", "frame_seconds"}


def _causes(
    columns: Mapping[str, tuple[Any, Any]], before: _Row | None, after: _Row | None
) -> Iterator[str]:
    """Yield the reasons why a row changed that can be derived from the rows and their evidence."""
    renamed = "video_sha256" in columns
    if renamed:
        yield "its span is a video of its own now, with opaque ids"
    for name in _MOVED:
        if name in columns and not (renamed and name != "split"):
            old, new = columns[name]
            yield f"moved from {name.removesuffix('_name')} {old} to {new}"
    if "answer_text" in columns and None in columns["answer_text"]:
        now = "withheld" if columns["answer_text"][1] is None else "published"
        yield f"its answer is {now} from this version on"
    elif columns.keys() & _ASKED:
        yield _cause(before, after)
    if renamed:
        return
    if columns.keys() & {"start", "end"}:
        yield "its clip was cut again"
    elif columns.keys() & _FRAMES:
        yield "its frames were extracted again"


def _cause(before: _Row | None, after: _Row | None) -> str:
    if before is None or after is None:  # withheld, so the release has no evidence
        return "composed again"
    if before["steps"] == after["steps"]:
        return "composed again from the same route"
    # A route that people corrected still names its original draft.
    if _drafted(before) != _drafted(after):
        return "its route was drafted again"
    if after["verified_by"]:
        reviewer = "a person's" if "person" in after["verified_by"] else "a script's"
        return f"its route was corrected by {reviewer} verdict"
    return "its route changed without review"


def _drafted(row: _Row) -> tuple[str | None, ...]:
    return row["provider"], row["model"], row["prompt_sha256"], row["reply_id"]


def next_versions(previous: str, level: str) -> tuple[str, ...]:
    """Return the version numbers that may follow, the usual one first.

    Below 1.0.0 there is no compatibility promise: a major change increases the middle number, and
    1.0.0 may always come next.
    """
    major, minor, patch = parse_version(previous)
    if major == 0:
        near = (0, minor, patch + 1) if level == "patch" else (0, minor + 1, 0)
        return _text(near), "1.0.0"
    following: dict[str, Version] = {
        "major": (major + 1, 0, 0),
        "minor": (major, minor + 1, 0),
        "patch": (major, minor, patch + 1),
    }
    return (_text(following[level]),)


def parse_version(text: str) -> Version:
    """Read `1.2.3`."""
    major, minor, patch = (int(part) for part in text.split("."))
    return major, minor, patch


def _text(version: Version) -> str:
    return ".".join(map(str, version))


def changes_text(
    found: Difference | None, version: str, digest: str, why: Mapping[str, str]
) -> str:
    """Return CHANGES.md: the rows that this version changed, each with the reason if one is known.

    `digest` is the root digest of the previous version; `why` gives reasons by item id.
    """
    if found is None:
        return f"# Changes in {version}\n\nThe first version.\n"
    lines = [
        f"# Changes in {version}",
        "",
        f"Compared with {found.before}, whose root digest is `{digest}`: {len(found.added)} rows added, "
        f"{len(found.removed)} removed, {len(found.changed)} changed"
        + (
            f", {found.evidence_only} with changed evidence for the same question and answer"
            if found.evidence_only
            else ""
        )
        + f". This is a {found.level} change.",
    ]
    why = {**found.reasons, **why}
    for title, units in (("Added", found.added), ("Removed", found.removed)):
        if units:
            lines += ["", f"## {title}", ""]
            lines += [f"- `{unit}`{_reason(why, unit)}" for unit in units]
    if found.changed:
        lines += ["", "## Changed", ""]
        for change in found.changed:
            lines.append(
                f"- `{change.id}`: {', '.join(change.columns)}{_reason({change.id: change.reason, **why}, change.id)}"
            )
    return "\n".join(lines) + "\n"


def _reason(why: Mapping[str, str], unit: str) -> str:
    return f": {why[unit]}" if why.get(unit) else ""


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
