"""The verdict log: every pulled verdict as one JSON line, in a file that can be kept in git.

If an annotation was edited, its later line replaces the earlier one on reading.
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
    """Return the path of a project's log.

    `log` is a folder relative to the workspace, or absolute. If it is empty, the log is in
    `annotations/verdicts/` of the checkout that contains the workspace, else in the workspace.
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
    """Return the newest line about each annotation; raise UserError naming a line that can't be read.

    An incomplete last line was being written when the command or the machine stopped. It is left
    out; the next pull fetches it again.
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
            fix = "correct or delete that line (git shows what it was)"
            raise UserError(f"{path}:{number}", problem, fix) from error
        found[one.annotation_id] = one
    return found


def append(path: Path, verdicts: Iterable[Verdict]) -> int:
    """Append verdicts that the log doesn't contain yet, and sync to disk; return the number of new lines."""
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
        file.truncate(_complete(file.tell(), path))
        file.write(b"".join(lines))
        file.flush()
        os.fsync(file.fileno())
    return len(lines)


def _complete(size: int, path: Path) -> int:
    """Return the offset at which the last complete line ends."""
    data = path.read_bytes()
    return size if data.endswith(b"\n") or not data else data.rfind(b"\n") + 1
