"""Write a release (rows, frames, card, manifest, changes, adapters, checksums) completely or not at all."""

import hashlib
import importlib.metadata
import json
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2
import pyarrow as pa

from pipeline import __version__
from pipeline.errors import UserError
from pipeline.releases.adapters import write_adapters
from pipeline.releases.blindgate import LEARNER
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
from pipeline.releases.plots import bars, blind_bars, grouped, standalone
from pipeline.releases.reading import SUMS, Released, open_release
from pipeline.routes.tasks import Words

_TEMPORARY = ".tmp-"
# The licence ids of the Hugging Face hub that are used for videos.
_HUB_LICENCE = re.compile(
    r"cc0-1\.0|cc-by(-nc)?(-sa|-nd)?-[234]\.0|mit|apache-2\.0|odbl|odc-by|pddl"
)
_CARD = Path(__file__).with_name("card.md.j2")


@dataclass(frozen=True)
class Issue:
    """What to publish: the rows, facts about them, and the files of their frames."""

    version: str
    dataset: str
    language: str
    words: Words  # its phrases for moves, from which gates are recomputed
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


@dataclass
class _SplitCounts:
    """Counts over the rows as they are written, so that one pass suffices."""

    tasks: Counter[str] = field(default_factory=Counter)
    letters: dict[str, Counter[str]] = field(default_factory=dict)
    contrasts: Counter[str] = field(default_factory=Counter)
    choices: Counter[str] = field(default_factory=Counter)
    clips: dict[str, tuple[str, int, int]] = field(default_factory=dict)
    judged: dict[str, set[str]] = field(default_factory=lambda: {"person": set(), "script": set()})
    providers: set[str] = field(default_factory=set)
    models: set[str] = field(default_factory=set)
    prompts: set[str] = field(default_factory=set)
    replies: set[str] = field(default_factory=set)
    cost: float = 0.0
    example: Any = None
    withheld: frozenset[str] = frozenset()  # splits
    held_out: set[str] = field(default_factory=set)  # the ids of their items

    def passing(self, entries: Iterable[ReleaseItem]) -> Iterator[ReleaseItem]:
        for entry in entries:
            self._count(entry)
            yield entry

    def _count(self, entry: ReleaseItem) -> None:
        question, evidence = entry.question, entry.evidence
        if entry.split in self.withheld:
            self.held_out.add(question.id)
        self.tasks[question.question_type] += 1
        if question.answer:
            self.letters.setdefault(question.question_type, Counter())[question.answer] += 1
        self.choices[entry.split] += question.format == "mcq"
        if question.contrast:
            self.contrasts[question.contrast] += 1
        if evidence.clip_id not in self.clips:
            span = (question.video_sha256, round(question.start * 1e6), round(question.end * 1e6))
            self.clips[evidence.clip_id] = span
        self.providers.add(evidence.provider)
        self.models.update([evidence.model] if evidence.model else [])
        self.prompts.update([evidence.prompt_sha256] if evidence.prompt_sha256 else [])
        if evidence.reply_id and evidence.reply_id not in self.replies:  # items share a reply
            self.replies.add(evidence.reply_id)
            self.cost += evidence.cost_usd or 0.0
        for kind in evidence.verified_by:
            self.judged[kind].add(evidence.clip_id)
        if self.example is None or (question.format == "mcq" and self.example.format != "mcq"):
            self.example = question


def versions(releases: Path) -> list[Path]:
    """Return the folders of all releases, oldest version first."""
    found = [
        path
        for path in releases.glob("v*.*.*")
        if (path / SUMS).is_file() and (path / "manifest.json").is_file()
    ]
    return sorted(found, key=lambda path: parse_version(path.name[1:]))


def publish(releases: Path, sealed: Path, issue: Issue) -> Release:
    """Write a release to a temporary folder and rename it to `releases/v<version>`.

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
        tally = _SplitCounts(withheld=issue.withheld)
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
            change, issue.version, _root_digest(releases, change) or "", issue.reasons
        )
        _write(temporary / "CHANGES.md", text)
        _write_plots(temporary / "plots", tally, manifest["gates"])
        write_adapters(temporary, manifest)
        write_croissant(temporary, manifest)
        _write(temporary / "README.md", _card(manifest, tally.example))
        root_digest = write_sums(temporary)
        temporary.chmod(0o755)
        settle(temporary)
        # Answers first: a kill in between leaves answers without a release, which the next export
        # replaces, and never a release without its answers.
        sealed_folder = _seal(sealed / f"v{issue.version}", answers)
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


def _manifest(issue: Issue, counts: Mapping[str, int], tally: _SplitCounts) -> dict[str, Any]:
    spans: dict[str, list[list[int]]] = {}
    for sha256, start_us, end_us in sorted(tally.clips.values()):
        spans.setdefault(sha256, []).append([start_us, end_us])
    videos = sorted((issue.sources[sha256] for sha256 in spans), key=lambda video: video["path"])
    return {
        "dataset": issue.dataset,
        "version": issue.version,
        "language": issue.language,
        "moves": dict(issue.words),
        "canary": issue.canary,
        # No interpreter, host or clock: the same workspace must give the same bytes elsewhere.
        "made_with": {
            "egost": __version__,
            "pyarrow": pa.__version__,
            LEARNER: importlib.metadata.version(LEARNER),
        },
        "settings": issue.settings,
        "items": dict(counts),
        "multiple_choice_items": {split: tally.choices[split] for split in counts},
        "items_by_task": dict(sorted(tally.tasks.items())),
        "frames_embedded": issue.embed,
        "withheld": sorted(issue.withheld),
        "left_out": dict(sorted(issue.left_out.items())),
        "clips": len(tally.clips),
        "clips_judged_by_people": len(tally.judged["person"]),
        "clips_judged_by_scripts": len(tally.judged["script"]),
        "agreement": issue.agreement,
        "human_accuracy": issue.human,
        "gates": [_published(gate, tally.held_out).model_dump() for gate in issue.gates],
        "providers": sorted(tally.providers),
        "models": sorted(tally.models),
        "prompts": sorted(tally.prompts),
        "cost_usd": round(tally.cost, 6),
        "newest_verdict_us": issue.newest_verdict_us,
        "taken_down_videos": issue.taken_down,
        "videos": [
            {
                **video,
                "pictures_included": (video["licence"] or "").casefold() not in issue.closed,
                "spans_us": spans[video["sha256"]],
            }
            for video in videos
        ],
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


def _root_digest(releases: Path, change: Difference | None) -> str | None:
    return file_digest(releases / f"v{change.before}" / SUMS) if change else None


def _write_media(folder: Path, issue: Issue) -> None:
    for name, source in issue.media.items():
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


def _write_plots(folder: Path, tally: _SplitCounts, gates: list[dict[str, Any]]) -> None:
    folder.mkdir()
    letters = {
        task: {letter: float(counts[letter]) for letter in "ABCD"}
        for task, counts in sorted(tally.letters.items())
    }
    for name, plot in {
        "tasks": bars("Items by task", dict(sorted(tally.tasks.items())), kind="plain"),
        "letters": grouped("Letters of the correct answers", letters, chance=0.25),
        "contrasts": bars(
            "Facts that options flip", dict(sorted(tally.contrasts.items())), kind="plain"
        ),
    }.items():
        _write(folder / f"{name}.svg", standalone(plot))
    for plot in blind_bars(gates):
        _write(folder / "blind.svg", standalone(plot))


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


def _card(manifest: Mapping[str, Any], example: Any) -> str:
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False
    )
    licences: dict[str, list[str]] = {}
    for video in manifest["videos"]:
        licences.setdefault(video["licence"] or "not stated", []).append(
            video["source"] or video["path"]
        )
    text = environment.from_string(_CARD.read_text(encoding="utf-8")).render(
        manifest=manifest,
        doubts=[gate for gate in manifest["gates"] if gate["state"] != "met"],
        example=example,
        licences={name: sorted(set(sources)) for name, sources in sorted(licences.items())},
        hub_licences=_hub_licences(licences),
        closed=sum(not video["pictures_included"] for video in manifest["videos"]),
    )
    return text.rstrip("\n") + "\n"


def _hub_licences(licences: Iterable[str]) -> list[str]:
    """Return the licences as Hugging Face hub ids: lower case, or `other`."""
    named = {name.casefold().replace(" ", "-") for name in licences}
    return sorted({name if _HUB_LICENCE.fullmatch(name) else "other" for name in named})


def _write_json(path: Path, value: Any) -> None:
    _write(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
