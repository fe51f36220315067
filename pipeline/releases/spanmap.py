"""The private map from released spans to their videos: what links them is in no release.

Lines are added, never removed: a take-down finds every span of a video in every version, also after
its clips were cut into other spans.
"""

from collections.abc import Iterable
from pathlib import Path

from pydantic import ValidationError

from pipeline.engine.folder import WorkspaceFolder, write_atomic
from pipeline.engine.rows import Record
from pipeline.errors import UserError


class ReleasedSpan(Record):
    """One span as a version released it; times are in us of video time."""

    version: str
    span_id: str
    clip_id: str
    video_sha256: str
    start_us: int
    end_us: int
    mirrored: bool


def map_path(folder: WorkspaceFolder) -> Path:
    """Return the file of the map, which only the owner can read."""
    return folder.root / "sealed" / "spans.jsonl"


def record(folder: WorkspaceFolder, spans: Iterable[ReleasedSpan]) -> None:
    """Add a version's spans to the map, completely or not at all; those that it has are not repeated.

    Call it before the release gets its name, so that no release exists without its spans in the map.
    """
    path = map_path(folder)
    known = {one.model_dump_json(): None for one in released_spans(folder)}
    lines = known | {one.model_dump_json(): None for one in spans}
    if len(lines) == len(known):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.parent.chmod(0o700)
    data = "".join(f"{line}\n" for line in lines).encode()
    write_atomic(path, data, mode=0o600, via=folder.unfinished)


def released_spans(folder: WorkspaceFolder) -> list[ReleasedSpan]:
    """Return every span of every version; none without a map. Raise UserError for a damaged one."""
    path = map_path(folder)
    if not path.exists():
        return []
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
        return [ReleasedSpan.model_validate_json(line) for line in lines if line.strip()]
    except (ValidationError, UnicodeDecodeError) as error:
        raise UserError(
            str(path),
            f"can't be read: {str(error).splitlines()[0]}",
            "restore a copy of it; without one, move it away: take-downs then use the evidence of the "
            "releases and the workspace's spans",
        ) from error
