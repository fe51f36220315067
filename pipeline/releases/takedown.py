"""Taking a video out of what is released: the next version is made from the newest one, without it."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.engine.folder import WorkspaceFolder
from pipeline.errors import UserError
from pipeline.releases.difference import next_versions
from pipeline.releases.gates import Gate, ReleaseCandidate, check_gates
from pipeline.releases.harvest import TAKEN_DOWN, take_down, taken_down
from pipeline.releases.layout import ReleaseItem, file_digest
from pipeline.releases.publish import Issue, Release, publish, versions
from pipeline.releases.reading import SUMS, Released, candidate_of, open_release

_AS_OF = "; as measured for "


@dataclass(frozen=True)
class TakenDown:
    """What taking a video down did, and where it still is."""

    path: str
    removed: int
    release: Release | None
    still_in: tuple[str, ...]

    def __str__(self) -> str:
        if self.release:
            made = f"{self.removed} items are out: {self.release.folder} is without them, root digest {self.release.root_digest}"
        else:
            made = "the newest version does not hold it, so no version was made"
        older = (
            f"; {', '.join(self.still_in)} still hold it: withdraw them wherever they were published"
            if self.still_in
            else ""
        )
        return f"release take-down: {self.path}: {made}{older}; no later version will hold it"


def take_video_down(folder: WorkspaceFolder, name: str) -> TakenDown:
    """Remember that a video must not be released, and replace the newest version if it holds it.

    `name` is the video's path as a manifest has it, or its sha256. The new version holds the rows of
    the newest one and nothing else that the workspace may hold by now. Raises UserError for a video
    that no release holds.
    """
    released = versions(folder.releases)
    holding = [(version, _find(open_release(version), name)) for version in released]
    known = [(version, video) for version, video in holding if video]
    if not known:
        raise UserError(
            name,
            f"no release in {folder.releases} holds this video",
            "give its path or sha256 as a release's manifest.json has it; to keep a video out of "
            "releases to come, write another consent into manifest.csv",
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
            what = f"these are not the withheld answers of {newest.version}, or they are not there"
            raise UserError(str(sealed), what, "bring this folder back")

    def kept() -> Iterator[ReleaseItem]:
        entries = newest.entries(sealed if manifest["withheld"] else None)
        return (entry for entry in entries if entry.question.video_sha256 != sha256)

    gone = [row.id for _, row in newest.questions() if row.video_sha256 == sha256]
    left = sum(manifest["items"].values()) - len(gone)
    if not left:
        raise UserError(
            str(newest.folder),
            "nothing would be left of this release",
            "withdraw it wherever it was published; the video is noted, no later version will hold it",
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
            video["sha256"]: {name: video[name] for name in ("path", "sha256", "source", "licence")}
            for video in manifest["videos"]
        },
        gates=_gates(
            newest,
            candidate_of(kept(), settings["min_verified"], newest.words),
            frozenset(gone),
        ),
        left_out=Counter(manifest["left_out"]) + Counter({TAKEN_DOWN: len(gone)}),
        newest_verdict_us=manifest["newest_verdict_us"],
        agreement=manifest["agreement"],
        human=manifest["human_accuracy"],
        closed=frozenset(licence.casefold() for licence in settings["closed_licences"]),
        media=_pictures(newest.folder, names),
        withheld=frozenset(manifest["withheld"]),
        reasons=dict.fromkeys(gone, TAKEN_DOWN),
        taken_down=len(taken_down(folder)),
        embed=manifest["frames_embedded"],
    )
    return publish(folder.releases, folder.root / "sealed", issue), len(gone)


def _gates(newest: Released, left: ReleaseCandidate, gone: frozenset[str]) -> list[Gate]:
    """Return every gate's result: what rows alone decide anew, the rest as the older version says.

    A gate that was not met must not vanish from the card because a video did.
    """
    told = [Gate.model_validate(gate) for gate in newest.manifest["gates"]]
    anew = {gate.name: gate for gate in check_gates(left)}
    earlier = [
        gate.model_copy(
            update={
                "figure": _as_of(newest.version, gate.figure),
                "rows": tuple(row for row in gate.rows if row not in gone),
            }
        )
        for gate in told
        if gate.name not in anew
    ]
    return [*anew.values(), *earlier]


def _as_of(version: str, figure: str) -> str:
    return figure if _AS_OF in figure else f"{figure}{_AS_OF}{version}"


def _pictures(folder: Path, names: set[str]) -> dict[str, Path]:
    """Return the wanted pictures that the release holds: of closed licences there are none."""
    return {name: folder / name for name in sorted(names) if (folder / name).is_file()}
