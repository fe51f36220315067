"""The verdict log: every pulled verdict once, one JSON line each, in a file that git can show.

A later line about the same annotation (somebody edited it) replaces the earlier one on reading.
"""

import os
import re
from collections.abc import Iterable
from pathlib import Path

from pydantic import ValidationError

from pipeline.assets import asset
from pipeline.engine.folder import WorkspaceFolder
from pipeline.errors import UserError
from pipeline.review.rows import Verdict


def log_path(folder: WorkspaceFolder, log: str, project: str) -> Path:
    """Return the file of a project's log.

    A folder of the user's choice is below the workspace unless it is absolute. Without one the log
    lies in the checkout that the workspace lies in (`annotations/verdicts/`), else in the workspace.
    """
    name = re.sub(r"[^\w.-]+", "-", project).strip("-.") + ".jsonl"
    if log:
        return folder.root / log / name
    annotations = asset("annotations").resolve()
    ours = (annotations.parent / ".git").exists()
    if ours and folder.root.resolve().is_relative_to(annotations.parent):
        return annotations / "verdicts" / name
    return folder.root / "verdicts" / name


def read_log(path: Path) -> dict[str, Verdict]:
    """Return the newest line about each annotation; raise UserError with the line that can't be read.

    A last line without its end was being written when the machine or the command stopped: it is
    left out, and the next pull brings it again.
    """
    if not path.exists():
        return {}
    found: dict[str, Verdict] = {}
    lines = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines[:-1], start=1):
        if not line.strip():
            continue
        try:
            one = Verdict.model_validate_json(line)
        except ValidationError as error:
            problem = str(error).splitlines()[-2].strip()
            fix = "mend or delete that line (git shows what it was)"
            raise UserError(f"{path}:{number}", problem, fix) from error
        found[one.annotation_id] = one
    return found


def append(path: Path, verdicts: Iterable[Verdict]) -> int:
    """Write what the log doesn't hold yet, to the disk; return how many lines that were."""
    known = read_log(path)
    lines = []
    for one in verdicts:
        if known.get(one.annotation_id) != one:
            known[one.annotation_id] = one
            lines.append(one.model_dump_json().encode() + b"\n")
    if not lines:
        return 0
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab+") as file:
        whole = _whole(file.tell(), path)
        file.truncate(whole)
        file.write(b"".join(lines))
        file.flush()
        os.fsync(file.fileno())
    return len(lines)


def _whole(size: int, path: Path) -> int:
    """Return where the last whole line ends."""
    data = path.read_bytes()
    return size if data.endswith(b"\n") or not data else data.rfind(b"\n") + 1
