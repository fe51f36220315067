"""Take a video down: make the next version from the newest one, without that video."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.engine.folder import WorkspaceFolder
from pipeline.errors import UserError
from pipeline.releases.difference import next_versions
from pipeline.releases.gates import Gate, ReleaseCandidate, check_gates
from pipeline.releases.layout import ReleaseItem, file_digest
from pipeline.releases.leftout import TAKEN_DOWN, take_down, taken_down
from pipeline.releases.publish import Issue, Release, publish, versions
from pipeline.releases.reading import AS_OF, SUMS, Released, candidate_of, open_release

_OF_A_SOURCE = ("path", "sha256", "source", "licence", "rotation")  # rotation: unless 0


@dataclass(frozen=True)
class TakenDown:
    """The result of a take-down, and the older versions that still contain the video."""

    path: str
    removed: int
    release: Release | None
    still_in: tuple[str, ...]

    def __str__(self) -> str:
        if self.release:
            made = f"removed {self.removed} items in {self.release.folder}, root digest {self.release.root_digest}{self.release.reservations}"
        else:
            made = "the newest version does not contain it, so no new version was made"
        older = (
            f"; still in {', '.join(self.still_in)}: withdraw these versions wherever they were published"
            if self.still_in
            else ""
        )
        return f"release take-down: {self.path}: {made}{older}; no later version will contain it"


def take_video_down(folder: WorkspaceFolder, name: str) -> TakenDown:
    """Record that a video must not be released, and replace the newest version if it contains it.

    `name` is the video's path as in a manifest, or its sha256. The new version has only rows of the
    newest one, whatever has been added to the workspace since. Raises UserError for a video that no
    release contains.
    """
    released = versions(folder.releases)
    holding = [(version, _find(open_release(version), name)) for version in released]
    known = [(version, video) for version, video in holding if video]
    if not known:
        raise UserError(
            name,
            f"no release in {folder.releases} contains this video",
            "give its path or sha256 as in a release's manifest.json; to keep a video out of "
            "future releases, change its consent in manifest.csv",
        )
    video = known[-1][1]
    assert video is not None
    take_down(folder, video["sha256"], video["path"])
    newest = open_release(released[-1])
    release, removed = None, 0
    if known[-1][0] == released[-1]:
        release, removed = _without(folder, newest, video["sha256"])
    return TakenDown(video["path"], removed, release, tuple(version.name for version, _ in known))


def _find(released: Released, name: str) -> dict[str, Any] | None:
    videos = released.manifest["videos"]
    return next((video for video in videos if name in (video["path"], video["sha256"])), None)


def _without(folder: WorkspaceFolder, newest: Released, sha256: str) -> tuple[Release, int]:
    manifest = newest.manifest
    sealed = folder.root / "sealed" / newest.folder.name
    if manifest["withheld"]:
        sums = sealed / SUMS
        if not sums.is_file() or file_digest(sums) != manifest["sealed_digest"]:
            what = f"the withheld answers of {newest.version} are missing or changed"
            raise UserError(str(sealed), what, "restore this folder")

    def kept() -> Iterator[ReleaseItem]:
        entries = newest.entries(sealed if manifest["withheld"] else None)
        return (entry for entry in entries if entry.question.video_sha256 != sha256)

    removed = [row.id for _, row in newest.questions() if row.video_sha256 == sha256]
    left = sum(manifest["items"].values()) - len(removed)
    if not left:
        raise UserError(
            str(newest.folder),
            "no item of this release would remain",
            "withdraw it wherever it was published; the take-down is recorded, no later version will contain the video",
        )
    settings = manifest["settings"]["export"]
    names = {name for entry in kept() for name in entry.question.frames}
    issue = Issue(
        version=next_versions(newest.version, "major")[0],
        dataset=manifest["dataset"],
        language=manifest["language"],
        words=newest.words,
        canary=manifest["canary"],
        settings=manifest["settings"],
        entries=kept(),
        sources={
            video["sha256"]: {name: video[name] for name in _OF_A_SOURCE if name in video}
            for video in manifest["videos"]
        },
        gates=_gates(
            newest,
            candidate_of(kept(), settings["min_verified"], newest.words),
            frozenset(removed),
        ),
        left_out=Counter(manifest["left_out"]) + Counter({TAKEN_DOWN: len(removed)}),
        newest_verdict_us=manifest["newest_verdict_us"],
        agreement=manifest["agreement"],
        human=manifest["human_accuracy"],
        closed=frozenset(licence.casefold() for licence in settings["closed_licences"]),
        media=_frames(newest.folder, names),
        withheld=frozenset(manifest["withheld"]),
        reasons=dict.fromkeys(removed, TAKEN_DOWN),
        taken_down=len(taken_down(folder)),
        embed=manifest["frames_embedded"],
    )
    return publish(folder.releases, folder.root / "sealed", issue), len(removed)


def _gates(newest: Released, left: ReleaseCandidate, removed: frozenset[str]) -> list[Gate]:
    """Return every gate's result: recomputed where rows suffice, else copied from the older version.

    A failed gate must not disappear from the card because a video was taken down.
    """
    recomputed = {gate.name: gate for gate in check_gates(left)}
    earlier = [
        gate.model_copy(
            update={
                "figure": _as_of(newest.version, gate.figure),
                "rows": tuple(row for row in gate.rows if row not in removed),
            }
        )
        for gate in newest.gates
        if gate.name not in recomputed
    ]
    return [*recomputed.values(), *earlier]


def _as_of(version: str, figure: str) -> str:
    return figure if AS_OF in figure else f"{figure}{AS_OF}{version}"


def _frames(folder: Path, names: set[str]) -> dict[str, Path]:
    """Return the files of the named frames that the release contains; closed licences have none."""
    return {name: folder / name for name in sorted(names) if (folder / name).is_file()}
