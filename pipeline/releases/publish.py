"""Write a release (rows, frames, card, manifest, changes, adapters, checksums) completely or not at all."""

import hashlib
import importlib.metadata
import json
import shutil
import tempfile
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline import __version__
from pipeline.errors import UserError
from pipeline.releases.adapters import write_adapters
from pipeline.releases.blindgate import LEARNER
from pipeline.releases.candidate import Said
from pipeline.releases.card import card, write_plots
from pipeline.releases.croissant import write_croissant
from pipeline.releases.difference import (
    Difference,
    changes_text,
    difference,
    next_versions,
    parse_version,
)
from pipeline.releases.embedded import write_embedded
from pipeline.releases.gates import Gate
from pipeline.releases.layout import (
    ReleaseItem,
    file_digest,
    settle,
    sync,
    write_entries,
    write_sums,
)
from pipeline.releases.reading import SUMS, Released, open_release
from pipeline.releases.tally import Tally

_TEMPORARY = ".tmp-"


@dataclass(frozen=True)
class Issue:
    """What to publish: the rows, facts about them, and the files of their frames."""

    version: str
    dataset: str
    said: Mapping[str, Said]  # the words of each language, from which gates are recomputed
    canary: str
    settings: Mapping[str, Any]
    entries: Iterable[ReleaseItem]
    sources: Mapping[str, Mapping[str, Any]]  # by sha256 of the video
    gates: list[Gate]
    left_out: Mapping[str, int]
    newest_verdict_us: int
    agreement: Mapping[str, Any]
    human: Mapping[str, Any] = field(default_factory=dict)  # accuracy by task, and for `all`
    closed: frozenset[str] = frozenset()
    media: Mapping[str, Path] = field(default_factory=dict)  # by name in the release
    withheld: frozenset[str] = frozenset()
    reasons: Mapping[str, str] = field(
        default_factory=dict
    )  # by item id: why it was changed or removed
    taken_down: int = 0
    hydrate: Mapping[str, Mapping[str, Any]] = field(
        default_factory=dict
    )  # by span whose frames can't be released: where to cut them from
    embed: bool = False  # also write the rows with their frames embedded


@dataclass(frozen=True)
class Release:
    """A written release: its folder, item counts, root digest and gates."""

    folder: Path
    counts: Mapping[str, int]
    root_digest: str
    gates: list[Gate]
    left_out: Mapping[str, int]
    sealed: Path | None = None

    @property
    def reservations(self) -> str:
        """Return which gates are not met or unproven, to end a printed line; empty if there are none."""
        return "".join(
            f"; {called}: {', '.join(named)}"
            for called, state in (("not met", "failed"), ("unproven", "unproven"))
            if (named := [gate.name for gate in self.gates if gate.state == state])
        )

    def __str__(self) -> str:
        splits = ", ".join(f"{count} {split}" for split, count in self.counts.items())
        return (
            f"export: {sum(self.counts.values())} items ({splits}) in {self.folder}{self.reservations}; "
            f"root digest {self.root_digest}"
        )


def versions(releases: Path) -> list[Path]:
    """Return the folders of all releases, oldest version first."""
    found = [
        path
        for path in releases.glob("v*.*.*")
        if (path / SUMS).is_file() and (path / "manifest.json").is_file()
    ]
    return sorted(found, key=lambda path: parse_version(path.name[1:]))


def publish(
    releases: Path, sealed: Path, issue: Issue, before: Callable[[], None] = lambda: None
) -> Release:
    """Write a release to a temporary folder and rename it to `releases/v<version>`.

    `before` is called when the release is complete but for its name.

    Raises UserError if the version number does not follow from the change. The answers of withheld
    splits are written to `sealed/v<version>`, which only the owner can read.
    """
    folder = releases / f"v{issue.version}"
    parents = [releases, *([sealed] if issue.withheld else [])]
    try:
        for path in parents:
            _clear(path)
        temporary = Path(tempfile.mkdtemp(dir=releases, prefix=_TEMPORARY))
        # Not under `releases`: people copy that folder, and a killed export may leave answers behind.
        answers = Path(tempfile.mkdtemp(dir=sealed, prefix=_TEMPORARY)) if issue.withheld else None
        tally = Tally(withheld=issue.withheld)
        counts = write_entries(
            temporary, tally.passing(issue.entries), _metadata(issue), issue.withheld, answers
        )
        manifest = _manifest(issue, counts, tally)
        if answers:
            manifest["sealed_digest"] = write_sums(answers)
        change = _change(releases, temporary, issue, manifest)
        manifest["changes"] = {
            "since": change.before if change else None,
            "since_root_digest": _root_digest(releases, change),
            "level": change.level if change else None,
        }
        _write_media(temporary, issue)
        if issue.embed:
            write_embedded(Released(temporary, manifest), _metadata(issue))
        _write_json(temporary / "manifest.json", manifest)
        text = changes_text(
            change, issue.version, _root_digest(releases, change) or "", _reasons(issue)
        )
        _write(temporary / "CHANGES.md", text)
        write_plots(temporary / "plots", tally, manifest["gates"])
        write_adapters(temporary, manifest)
        write_croissant(temporary, manifest)
        _write(temporary / "README.md", card(manifest, tally.example))
        root_digest = write_sums(temporary)
        temporary.chmod(0o755)
        settle(temporary)
        # Answers first: a kill in between leaves answers without a release, which the next export
        # replaces, and never a release without its answers.
        sealed_folder = _seal(sealed / f"v{issue.version}", answers)
        before()
        temporary.rename(folder)
        sync(releases)
    except BaseException as error:
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(folder)  # a full disk raises an error without a path
        for left in (left for path in parents for left in path.glob(f"{_TEMPORARY}*")):
            shutil.rmtree(left, ignore_errors=True)
        raise
    return Release(folder, counts, root_digest, issue.gates, issue.left_out, sealed_folder)


def _clear(path: Path) -> None:
    """Create a folder if it does not exist, and remove what a killed export left in it."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise UserError(
            str(path), "is a file, but must be a folder", "move that file away"
        ) from error
    for left in path.glob(f"{_TEMPORARY}*"):
        shutil.rmtree(left)


def _metadata(issue: Issue) -> dict[str, str]:
    return {"dataset": issue.dataset, "version": issue.version, "canary": issue.canary}


def _manifest(issue: Issue, counts: Mapping[str, int], tally: Tally) -> dict[str, Any]:
    return {
        "dataset": issue.dataset,
        "version": issue.version,
        "languages": {language: asdict(words) for language, words in sorted(issue.said.items())},
        "canary": issue.canary,
        # No interpreter, host or clock: the same workspace must give the same bytes elsewhere.
        "made_with": {
            "egost": __version__,
            "pyarrow": pa.__version__,
            LEARNER: importlib.metadata.version(LEARNER),
        },
        "settings": issue.settings,
        "items": dict(counts),
        **tally.figures(counts),
        "frames_embedded": issue.embed,
        "withheld": sorted(issue.withheld),
        "left_out": dict(sorted(issue.left_out.items())),
        "agreement": issue.agreement,
        "human_accuracy": issue.human,
        "gates": [_published(gate, tally.held_out).model_dump() for gate in issue.gates],
        "newest_verdict_us": issue.newest_verdict_us,
        "taken_down_videos": issue.taken_down,
        # In the order of their digests, and without their spans: nothing tells which span is of which video.
        "videos": [
            {
                **issue.sources[sha256],
                "pictures_included": (issue.sources[sha256]["licence"] or "").casefold()
                not in issue.closed,
            }
            for sha256 in sorted(tally.videos)
        ],
        "hydrate": {name: issue.hydrate[name] for name in sorted(issue.hydrate)},
    }


def _published(gate: Gate, held_out: Container[str]) -> Gate:
    """Return a gate's public result: the rows of a skewed letter would reveal withheld answers."""
    if gate.name != "letters":
        return gate
    return gate.model_copy(update={"rows": tuple(row for row in gate.rows if row not in held_out)})


def _change(
    releases: Path, temporary: Path, issue: Issue, manifest: Mapping[str, Any]
) -> Difference | None:
    """Compare with the newest version; raise UserError for a number that does not follow from the change."""
    known = versions(releases)
    if not known:
        return None
    before = open_release(known[-1])
    found = difference(before, Released(temporary, dict(manifest)))
    allowed = next_versions(before.version, found.level)
    if issue.version not in allowed:
        raise UserError(
            f"version {issue.version}",
            f"{len(found.added)} rows added, {len(found.removed)} removed and {len(found.changed)} changed "
            f"since {before.version}: a {found.level} change",
            f"export {' or '.join(allowed)}",
        )
    return found


def _reasons(issue: Issue) -> Mapping[str, str]:
    """Return why items were left out. Details could tell withheld answers, so then only the kind is told."""
    if not issue.withheld:
        return issue.reasons
    return {item_id: why.partition(":")[0] for item_id, why in issue.reasons.items()}


def _root_digest(releases: Path, change: Difference | None) -> str | None:
    return file_digest(releases / f"v{change.before}" / SUMS) if change else None


def _write_media(folder: Path, issue: Issue) -> None:
    for name, source in sorted(issue.media.items()):  # the order of their times tells nothing
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        data = source.read_bytes() if source.is_file() else b""
        if not hashlib.sha256(data).hexdigest().startswith(target.stem):
            raise UserError(
                str(source),
                "is missing, or is not the frame that was extracted",
                "run egost export, which extracts a workspace's frames again; for a release, get a complete copy",
            )
        target.write_bytes(data)


def _seal(target: Path, answers: Path | None) -> Path | None:
    if answers is None:
        return None
    target.parent.chmod(0o700)
    settle(answers)
    if target.exists():
        # From a killed export, or of a release that was moved away. Answers can't be recreated, so
        # unless they are the same, the old ones are renamed and kept.
        digest = file_digest(target / SUMS) if (target / SUMS).is_file() else "incomplete"
        if digest == file_digest(answers / SUMS):
            shutil.rmtree(answers)
            return target
        target.rename(target.with_name(f"{target.name}-until-{digest[:16]}"))
    answers.rename(target)
    sync(target.parent)
    return target


def _write_json(path: Path, value: Any) -> None:
    _write(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
