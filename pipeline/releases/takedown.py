"""Take a video down: make the next version from the newest one, without that video."""

import logging
from collections import Counter
from collections.abc import Iterator, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.engine.folder import WorkspaceFolder
from pipeline.errors import UserError
from pipeline.releases.candidate import ReleaseCandidate
from pipeline.releases.difference import next_versions
from pipeline.releases.gates import Gate, check_gates
from pipeline.releases.layout import ReleaseItem, file_digest
from pipeline.releases.leftout import TAKEN_DOWN, take_down, taken_down
from pipeline.releases.publish import Issue, Release, publish, versions
from pipeline.releases.reading import AS_OF, SUMS, Released, candidate_of, open_release
from pipeline.releases.spanmap import ReleasedSpan, map_path, record, released_spans

log = logging.getLogger(__name__)

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

    `name` is the video's path as in a manifest, its sha256, or the id of one of its spans as in a release's
    rows. The new version has only rows of the newest one, whatever has been added to the workspace since.
    Raises UserError for a video that no release contains.
    """
    released = [open_release(version) for version in versions(folder.releases)]
    spans = released_spans(folder)
    sha256 = next((one.video_sha256 for one in spans if one.span_id == name), name)
    holding = [(one, video) for one in released if (video := _find(one, name, sha256))]
    if not holding:
        raise UserError(
            name,
            f"no release in {folder.releases} contains this video",
            "give its path or sha256 as in a release's manifest.json, or the id of one of its spans as in "
            "the column video of a release's rows; to keep a video out of future releases, change its "
            "consent in manifest.csv",
        )
    last, video = holding[-1]
    take_down(folder, video["sha256"], video["path"])
    release, removed = None, 0
    if last is released[-1]:
        has_spans = "mirrored_spans" in last.manifest  # those of earlier versions name videos
        if has_spans and not any(one.version == last.version for one in spans):
            log.warning(
                f"{map_path(folder)}: has no spans of {last.version}; the evidence of that release names them"
            )
        of_video = {one.span_id for one in spans if one.video_sha256 == video["sha256"]}
        release, removed = _without(folder, last, video["sha256"], of_video)
    still_in = tuple(one.folder.name for one, _ in holding)
    return TakenDown(video["path"], removed, release, still_in)


def _find(released: Released, name: str, sha256: str) -> dict[str, Any] | None:
    videos = released.manifest["videos"]
    return next(
        (video for video in videos if name == video["path"] or sha256 == video["sha256"]), None
    )


def _without(
    folder: WorkspaceFolder, newest: Released, sha256: str, spans: Set[str]
) -> tuple[Release, int]:
    """Publish the newest version again without a video: without these spans, and others of its digest."""
    manifest = newest.manifest
    sealed = folder.root / "sealed" / newest.folder.name
    if manifest["withheld"]:
        sums = sealed / SUMS
        if not sums.is_file() or file_digest(sums) != manifest["sealed_digest"]:
            what = f"the withheld answers of {newest.version} are missing or changed"
            raise UserError(str(sealed), what, "restore this folder")

    def entries() -> Iterator[tuple[bool, ReleaseItem]]:
        """Yield each item, with whether it remains."""
        for entry in newest.entries(sealed if manifest["withheld"] else None):
            known = entry.evidence.video_sha256 == sha256 or entry.question.video in spans
            yield not known, entry

    def kept() -> Iterator[ReleaseItem]:
        return (entry for remains, entry in entries() if remains)

    removed = [entry.question.id for remains, entry in entries() if not remains]
    if not any(True for _ in kept()):
        raise UserError(
            str(newest.folder),
            "no item of this release would remain",
            "withdraw it wherever it was published; the take-down is recorded, no later version will contain the video",
        )
    settings = manifest["settings"]["export"]
    version = next_versions(newest.version, "major")[0]
    names = {name for entry in kept() for name in entry.question.frames}
    left = {entry.question.video for entry in kept()}
    issue = Issue(
        version=version,
        dataset=manifest["dataset"],
        said=newest.said,
        canary=manifest["canary"],
        settings=manifest["settings"],
        entries=kept(),
        sources={
            video["sha256"]: {name: video[name] for name in _OF_A_SOURCE if name in video}
            for video in manifest["videos"]
        },
        gates=_gates(
            newest,
            candidate_of(kept(), settings["min_verified"], newest.said),
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
        hydrate={
            span: source for span, source in manifest.get("hydrate", {}).items() if span in left
        },
        embed=manifest["frames_embedded"],
    )
    released = publish(
        folder.releases,
        folder.root / "sealed",
        issue,
        lambda: record(folder, (one for entry in kept() for one in _spans(version, entry))),
    )
    return released, len(removed)


def _spans(version: str, entry: ReleaseItem) -> Iterator[ReleasedSpan]:
    """Yield an item's span for the private map; none of a release in which rows name their videos."""
    evidence = entry.evidence
    if entry.question.video_sha256 is None and evidence.span_start is not None:
        yield ReleasedSpan(
            version=version,
            span_id=entry.question.video,
            clip_id=evidence.clip_id,
            video_sha256=evidence.video_sha256 or "",
            start_us=round(evidence.span_start * 1e6),
            end_us=round((evidence.span_end or 0) * 1e6),
            mirrored=evidence.mirrored,
        )


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
