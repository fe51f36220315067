"""Verify a release without its workspace: its bytes, columns, counts, gate results and description."""

import hashlib
import importlib.metadata
import re
from collections.abc import Container, Mapping
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path

import polars as pl

from pipeline import __version__
from pipeline.errors import GateError, UserError
from pipeline.releases.blindgate import LEARNER, NOT_MEASURED, blind
from pipeline.releases.croissant import check_croissant
from pipeline.releases.gates import (
    Gate,
    check_gates,
    check_questions,
    verified_by_people,
    visible_facts,
)
from pipeline.releases.layout import file_digest
from pipeline.releases.reading import (
    AS_OF,
    CONFIGS,
    NEW_COPY,
    SUMS,
    Released,
    check_schema,
    open_release,
)

_LINE = re.compile(r"([0-9a-f]{64})  (.+)")
_FRAME = re.compile(r"frames/[0-9a-f]{2}/[0-9a-f]{32}\.jpg")
_NEEDS = {visible_facts.__name__: "visible"}  # gates by the column of the evidence that they need
_NAMED = 20  # faults that one message lists; it only counts the others


@dataclass(frozen=True)
class Verified:
    """The result of a verification: what was checked, and the gates that the release reports as failed."""

    folder: Path
    version: str
    files: int
    items: int
    root_digest: str
    admitted: tuple[str, ...]
    unproven: tuple[str, ...]
    recomputed: tuple[str, ...]
    partly: tuple[str, ...] = ()  # gates recomputed only on rows with published answers
    omitted: tuple[str, ...] = ()  # gates that need columns which this release doesn't have

    def __str__(self) -> str:
        admits = f"; reported as not met: {', '.join(self.admitted)}" if self.admitted else ""
        admits += f"; reported as unproven: {', '.join(self.unproven)}" if self.unproven else ""
        gates = f"{len(self.recomputed)} gates recomputed"
        if self.partly:
            gates += f", {len(self.partly)} more on rows with published answers"
        if self.omitted:
            gates += f"; made before there was what these need: {', '.join(self.omitted)}"
        return (
            f"verify: {self.folder}: version {self.version}: {self.files} files and {self.items} items "
            f"are as released, {gates}{admits}; root digest {self.root_digest}"
        )


def verify(folder: Path, digest: str | None = None) -> Verified:
    """Check a release against SHA256SUMS, its manifest and the gates; return what was checked.

    `digest` is the root digest that export printed, which covers SHA256SUMS itself. Raises UserError
    if the folder is not a release or the digest is malformed, and GateError with every file that was
    changed, lost or added, or with the figure that does not follow from the rows.
    """
    root_digest, files = check_bytes(folder, digest)
    released = open_release(folder)
    for config, kind in CONFIGS.items():
        for path in released.files(config):
            check_schema(path, kind)
    items = _check_counts(released)
    _check_cuts(released)
    omitted = [name for name, column in _NEEDS.items() if column in released.lacks("evidence")]
    recomputed, partly = _check_figures(released, omitted)
    check_croissant(folder, NEW_COPY)
    states = {gate.name: gate.state for gate in released.gates}
    return Verified(
        folder,
        released.version,
        files,
        items,
        root_digest,
        tuple(name for name, state in states.items() if state == "failed"),
        tuple(name for name, state in states.items() if state == "unproven"),
        tuple(recomputed),
        tuple(partly),
        tuple(omitted),
    )


def check_bytes(folder: Path, digest: str | None = None) -> tuple[str, int]:
    """Check every file of a release against SHA256SUMS; return the root digest and the number of files.

    Raises what `verify` raises of these.
    """
    path = folder / SUMS
    if digest is not None and not re.fullmatch(r"[0-9a-f]{64}", digest):
        raise UserError(
            f"--digest {digest}", "not 64 hex digits", "copy the root digest that export printed"
        )
    if not path.is_file():
        raise UserError(
            str(folder), f"is not a release (it has no {SUMS})", "give the folder of a release"
        )
    data = path.read_bytes()
    root_digest = hashlib.sha256(data).hexdigest()
    if digest is not None and root_digest != digest:
        raise GateError(
            str(path), f"was changed: its digest is {root_digest}, not {digest}", NEW_COPY
        )
    sums = _parse(path, data)
    faults = _faults(folder, sums)
    if faults:
        more = f"; and {len(faults) - _NAMED} more" if len(faults) > _NAMED else ""
        raise GateError(str(folder), "; ".join(faults[:_NAMED]) + more, NEW_COPY)
    return root_digest, len(sums)


def _parse(path: Path, data: bytes) -> dict[str, str]:
    sums: dict[str, str] = {}
    # Keep bytes that are not UTF-8, so that a flipped bit is reported with its line number.
    for number, line in enumerate(data.decode("utf-8", "surrogateescape").split("\n")[:-1], 1):
        match = _LINE.fullmatch(line)
        if not match or match[2] in sums or ".." in Path(match[2]).parts or match[2][0] == "/":
            raise GateError(str(path), f"was changed: line {number} is not a checksum", NEW_COPY)
        sums[match[2]] = match[1]
    if not sums or not data.endswith(b"\n"):
        raise GateError(str(path), "was changed: its end is missing", NEW_COPY)
    return sums


def _faults(folder: Path, sums: dict[str, str]) -> list[str]:
    present = {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_symlink() or not path.is_dir()
    } - {SUMS}
    faults = []
    for name in sorted({*sums, *present}):
        shown = ascii(name)[1:-1]
        path = folder / name
        if name not in present:
            faults.append(f"{shown} is missing")
        elif name not in sums and _is_hydrated(folder, name):
            continue
        elif name not in sums:
            faults.append(f"{shown} is not part of the release")
        elif path.is_symlink():
            faults.append(f"{shown} is a link, not a file")
        elif file_digest(path) != sums[name]:
            faults.append(f"{shown} was changed")
    return faults


def _is_hydrated(folder: Path, name: str) -> bool:
    """Return whether a file is a frame restored by hydrate: its name is its digest, so it needs no line."""
    path = folder / name
    named = bool(_FRAME.fullmatch(name)) and path.is_file() and not path.is_symlink()
    return named and file_digest(path).startswith(path.stem)


def _check_counts(released: Released) -> int:
    """Check the manifest's counts against the rows, and both configs against each other."""
    folder = str(released.folder)
    schema: dict[str, pl.DataType] = {
        "id": pl.String(),
        "frames": pl.List(pl.String),
        "split": pl.String(),
    }
    found = (frame.select(*schema) for frame in released.frames("data", ["id", "frames"]))
    rows = pl.concat([pl.DataFrame(schema=schema), *found])
    repeated = rows.filter(~pl.col("id").is_first_distinct())
    if len(repeated):
        raise GateError(repeated["id"][0], "appears twice in the release", NEW_COPY)
    counts = dict.fromkeys(released.splits, 0) | dict(rows["split"].value_counts().iter_rows())
    if counts != released.manifest["items"]:
        what = f"the manifest counts {released.manifest['items']}, the rows are {counts}"
        raise GateError(folder, what, NEW_COPY)
    shown = {*rows["frames"].explode()}
    strays = {
        path.relative_to(released.folder).as_posix()
        for path in (released.folder / "frames").glob("*/*")
    } - shown
    if strays:
        raise GateError(folder, f"{min(strays)} belongs to no row", NEW_COPY)
    open_rows = rows.filter(~pl.col("split").is_in(released.manifest["withheld"]))
    evidence = (frame["id"] for frame in released.frames("evidence", ["id"]))
    if {*open_rows["id"]} != {unit for ids in evidence for unit in ids}:
        raise GateError(folder, "data and evidence hold different ids", NEW_COPY)
    return len(rows)


def _check_cuts(released: Released) -> None:
    """Check that frames that aren't shipped can be cut from their videos, at the times in the evidence."""
    videos = {video["sha256"] for video in released.manifest["videos"]}
    cuts = released.manifest.get("hydrate", {})
    where = {
        row.id: (row.video_sha256, _us(row.span_start), _us(row.span_end))
        for row in released.evidence()
    }
    for _, row in released.questions():
        if row.video_sha256 is not None:
            continue  # an earlier release: each row has its place in its video
        cut = cuts.get(row.video)
        if cut is None:
            if not all((released.folder / name).is_file() for name in row.frames):
                raise GateError(row.id, "has neither frames nor a place to cut them from", NEW_COPY)
            continue
        given = (cut.get("video"), cut.get("start_us"), cut.get("end_us"))
        if None in given or cut["video"] not in videos or where.get(row.id, given) != given:
            raise GateError(row.id, "manifest.json cuts its frames from another place", NEW_COPY)


def _us(seconds: float | None) -> int | None:
    return None if seconds is None or not isfinite(seconds) else round(seconds * 1e6)


def _check_figures(released: Released, omitted: Container[str]) -> tuple[list[str], list[str]]:
    """Recompute every gate that needs only the rows, and compare it with the manifest.

    If answers are withheld, gates that need none are recomputed on all rows, the others on the rows
    with published answers.
    """
    published = {gate.name: gate for gate in released.gates}
    same = released.manifest["made_with"]["egost"] == __version__
    withheld = bool(released.manifest["withheld"])
    candidate = released.candidate()
    whole = check_questions(released.questions_alone()) if withheld else check_gates(candidate)
    recomputed, partly = [], []
    for gate in whole:
        claim = None if gate.name in omitted else _claim(published, gate, same)
        if claim is None:
            continue
        # Another version of egost may compute a figure differently, but not whether the gate is met.
        if claim.state != gate.state or (same and _comparable(claim) != _comparable(gate)):
            raise GateError(
                gate.name,
                f"the manifest says {claim.figure}; the rows give {gate.figure}",
                NEW_COPY,
            )
        recomputed.append(gate.name)
    if withheld and candidate.items:
        ids = {item.item_id for item in candidate.items}
        # A gate on a share may be met with some rows at fault; requiring all rows lists each of them.
        for gate in check_gates(replace(candidate, min_verified=1.0)):
            known = gate.name in recomputed or gate.name in omitted
            claim = None if known else _claim(published, gate, same)
            if claim is None or (
                claim.state == "met"
                and claim.name == verified_by_people.__name__
                and candidate.min_verified < 1
            ):
                continue
            _check_open_rows(claim, gate, ids)
            partly.append(gate.name)
    if _check_blind(released, published):
        recomputed.append(blind.__name__)
    return recomputed, partly


def _check_blind(released: Released, published: Mapping[str, Gate]) -> bool:
    """Recompute the blind gate if the release has all that it was measured on; return whether it does.

    Releases from before the gate had cells were measured by another rule.
    """
    claim, manifest = published.get(blind.__name__), released.manifest
    celled = any("cells" in gate for gate in manifest["gates"])
    if claim is None or not celled or manifest["withheld"]:
        return False
    if claim.figure == NOT_MEASURED or AS_OF in claim.figure:
        return False
    limits = manifest["settings"]["export"]
    questions = (row for _, row in released.questions())
    gate = blind(questions, limits["blind_points"], limits["blind_task_points"])
    # Another egost has other readers, and another scikit-learn fits them a little differently, but the twins
    # are what they are.
    made = manifest["made_with"]
    same = (made["egost"], made.get(LEARNER)) == (__version__, importlib.metadata.version(LEARNER))
    if _twins(gate) != _twins(claim) or (same and gate.state != claim.state):
        raise GateError(
            gate.name, f"the manifest says {claim.figure}; the rows give {gate.figure}", NEW_COPY
        )
    return True


def _twins(gate: Gate) -> dict[str, int]:
    return {cell.name: cell.twins for cell in gate.cells}


def _comparable(gate: Gate) -> tuple[list[str], tuple[str, ...]]:
    """Return the numbers of a gate's figure, whose wording may change, and its rows."""
    return re.findall(r"\d+", gate.figure), gate.rows


def _claim(published: Mapping[str, Gate], gate: Gate, same: bool) -> Gate | None:
    claim = published.get(gate.name)
    if claim is None and same:
        raise GateError(gate.name, "the manifest lacks this gate", NEW_COPY)
    return claim


def _check_open_rows(claim: Gate, gate: Gate, ids: set[str]) -> None:
    """Compare the rows at fault in the manifest with those found, among the rows in `ids`."""
    named = ids.intersection(claim.rows)
    if named != {*gate.rows}:
        raise GateError(
            gate.name,
            f"the manifest lists {len(named)} rows with published answers; "
            f"the rows give {len(gate.rows)}: {gate.figure}",
            NEW_COPY,
        )
