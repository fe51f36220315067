"""Why items are left out of a release, each reason with its fix; which videos were taken down."""

import json
from dataclasses import dataclass
from pathlib import Path

from pipeline.engine.folder import WorkspaceFolder
from pipeline.releases.gates import some

GONE = "of a video, clip, span or route that is gone"
NO_CONSENT = "without consent to release"
NOT_VERIFIED = "not verified"
SET_ASIDE = "set aside"
TAKEN_DOWN = "of a video that was taken down"
TOLD_BY_TIMES = "whose names also occur in a span of their scene with public times"
FIXES = {
    GONE: "run egost generate-qa to compose items",
    NO_CONSENT: "write `release` in the consent column of manifest.csv (or ingest.consent), then egost frames",
    NOT_VERIFIED: "review more clips: egost review push, pull",
    SET_ASIDE: "egost show ID gives the reason; items that are corrected in review are released",
    TOLD_BY_TIMES: "use videos whose licence permits sharing frames (export.closed_licences): their times stay private",
    TAKEN_DOWN: "none: videos that were taken down are never released again",
}


@dataclass(frozen=True)
class LeftOut:
    """Items that are left out for one reason, and the fix."""

    why: str
    rows: tuple[str, ...]

    @property
    def fix(self) -> str:
        """Return what to do so that they are released."""
        return FIXES[self.why]

    def __str__(self) -> str:
        return f"left out: {len(self.rows)} items {self.why} ({some(self.rows)})"


def _takedowns(folder: WorkspaceFolder) -> Path:
    return folder.root / "takedowns.jsonl"


def taken_down(folder: WorkspaceFolder) -> frozenset[str]:
    """Return the sha256 of every video that was taken down and must never be released again."""
    path = _takedowns(folder)
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return frozenset(json.loads(line)["sha256"] for line in lines if line.strip())


def take_down(folder: WorkspaceFolder, sha256: str, path: str) -> None:
    """Record that a video was taken down."""
    if sha256 not in taken_down(folder):
        with _takedowns(folder).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"sha256": sha256, "path": path}, ensure_ascii=False) + "\n")
