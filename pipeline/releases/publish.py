"""Writing a release: rows, pictures, card, manifest, changes, adapters, checksums; whole or not at all."""

import hashlib
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

_BESIDE = ".tmp-"
# Of the ids that the hub knows, those of licences that videos bear.
_HUB_LICENCE = re.compile(
    r"cc0-1\.0|cc-by(-nc)?(-sa|-nd)?-[234]\.0|mit|apache-2\.0|odbl|odc-by|pddl"
)
_CARD = Path(__file__).with_name("card.md.j2")


@dataclass(frozen=True)
class Issue:
    """What is to be published: the rows, what is known about them, and where their pictures are."""

    version: str
    dataset: str
    language: str
    words: Words  # how it says the moves: gates are recomputed from a release alone
    canary: str
    settings: Mapping[str, Any]
    entries: Iterable[ReleaseItem]
    sources: Mapping[str, Mapping[str, Any]]  # by sha256 of the video
    gates: list[Gate]
    left_out: Mapping[str, int]
    newest_verdict_us: int
    agreement: Mapping[str, Any]
    human: Mapping[str, Any] = field(default_factory=dict)  # accuracy by task, and of `all`
    closed: frozenset[str] = frozenset()
    media: Mapping[str, Path] = field(default_factory=dict)  # by name in the release
    withheld: frozenset[str] = frozenset()
    reasons: Mapping[str, str] = field(default_factory=dict)  # by item id: why it changed or went
    taken_down: int = 0
    embed: bool = False  # write the rows once more, with their pictures inside


@dataclass(frozen=True)
class Release:
    """A written release: where it is, what it holds, its root digest and its gates."""

    folder: Path
    counts: Mapping[str, int]
    root_digest: str
    gates: list[Gate]
    left_out: Mapping[str, int]
    sealed: Path | None = None


@dataclass
class _SplitCounts:
    """Counts what passes by, so that the rows are gone through once."""

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
    kept_back: set[str] = field(default_factory=set)  # the ids of their items

    def passing(self, entries: Iterable[ReleaseItem]) -> Iterator[ReleaseItem]:
        for entry in entries:
            self._count(entry)
            yield entry

    def _count(self, entry: ReleaseItem) -> None:
        asked, behind = entry.question, entry.evidence
        if entry.split in self.withheld:
            self.kept_back.add(asked.id)
        self.tasks[asked.question_type] += 1
        if asked.answer:
            self.letters.setdefault(asked.question_type, Counter())[asked.answer] += 1
        self.choices[entry.split] += asked.format == "mcq"
        if asked.contrast:
            self.contrasts[asked.contrast] += 1
        if behind.clip_id not in self.clips:
            span = (asked.video_sha256, round(asked.start * 1e6), round(asked.end * 1e6))
            self.clips[behind.clip_id] = span
        self.providers.add(behind.provider)
        self.models.update([behind.model] if behind.model else [])
        self.prompts.update([behind.prompt_sha256] if behind.prompt_sha256 else [])
        if behind.reply_id and behind.reply_id not in self.replies:  # items share a reply
            self.replies.add(behind.reply_id)
            self.cost += behind.cost_usd or 0.0
        for kind in behind.verified_by:
            self.judged[kind].add(behind.clip_id)
        if self.example is None or (asked.format == "mcq" and self.example.format != "mcq"):
            self.example = asked


def versions(releases: Path) -> list[Path]:
    """Return the folders of all releases, the oldest version first."""
    found = [
        path
        for path in releases.glob("v*.*.*")
        if (path / SUMS).is_file() and (path / "manifest.json").is_file()
    ]
    return sorted(found, key=lambda path: parse_version(path.name[1:]))


def publish(releases: Path, sealed: Path, issue: Issue) -> Release:
    """Write `releases/v<version>` beside and rename it into place.

    Raises UserError where the version is not the number that the change calls for. The answers of
    withheld splits go to `sealed/v<version>`, which nobody else may read.
    """
    folder = releases / f"v{issue.version}"
    keeping = [releases, *([sealed] if issue.withheld else [])]
    try:
        for path in keeping:
            _clear(path)
        beside = Path(tempfile.mkdtemp(dir=releases, prefix=_BESIDE))
        # Not below `releases`, which people copy whole: what a kill leaves must not go out with it.
        answers = Path(tempfile.mkdtemp(dir=sealed, prefix=_BESIDE)) if issue.withheld else None
        tally = _SplitCounts(withheld=issue.withheld)
        counts = write_entries(
            beside, tally.passing(issue.entries), _metadata(issue), issue.withheld, answers
        )
        manifest = _manifest(issue, counts, tally)
        if answers:
            manifest["sealed_digest"] = write_sums(answers)
        change = _change(releases, beside, issue, manifest)
        manifest["changes"] = {
            "since": change.before if change else None,
            "since_root_digest": _root_digest(releases, change),
            "level": change.level if change else None,
        }
        _write_media(beside, issue)
        if issue.embed:
            write_embedded(Released(beside, manifest), _metadata(issue))
        _write_json(beside / "manifest.json", manifest)
        text = changes_text(
            change, issue.version, _root_digest(releases, change) or "", issue.reasons
        )
        _write(beside / "CHANGES.md", text)
        _write_plots(beside / "plots", tally, manifest["gates"])
        write_adapters(beside, manifest)
        write_croissant(beside, manifest)
        _write(beside / "README.md", _card(manifest, tally.example))
        root_digest = write_sums(beside)
        beside.chmod(0o755)
        settle(beside)
        # The answers first: a kill in between leaves answers without a release, which are no
        # version and are written again, and never a release whose answers are lost.
        kept = _seal(sealed / f"v{issue.version}", answers)
        beside.rename(folder)
        sync(releases)
    except BaseException as error:
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(folder)  # a full disk does not say where
        for left in (left for path in keeping for left in path.glob(f"{_BESIDE}*")):
            shutil.rmtree(left, ignore_errors=True)
        raise
    return Release(folder, counts, root_digest, issue.gates, issue.left_out, kept)


def _clear(path: Path) -> None:
    """Make a folder if it isn't there, and clear what a killed export left in it."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise UserError(
            str(path), "is a file where a folder must be", "move that file away"
        ) from error
    for left in path.glob(f"{_BESIDE}*"):
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
        # Neither interpreter nor host nor clock: the same workspace gives the same bytes elsewhere.
        "made_with": {"egost": __version__, "pyarrow": pa.__version__},
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
        "gates": [_published(gate, tally.kept_back).model_dump() for gate in issue.gates],
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


def _published(gate: Gate, kept_back: Container[str]) -> Gate:
    """Return a gate's result as everybody may see it: the rows of a skewed letter tell their answer."""
    if gate.name != "letters":
        return gate
    return gate.model_copy(update={"rows": tuple(row for row in gate.rows if row not in kept_back)})


def _change(
    releases: Path, beside: Path, issue: Issue, manifest: Mapping[str, Any]
) -> Difference | None:
    """Compare with the newest version, and refuse a number that does not follow from the change."""
    known = versions(releases)
    if not known:
        return None
    before = open_release(known[-1])
    found = difference(before, Released(beside, dict(manifest)))
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
                "is not the picture that was cut: it is gone, or its bytes have changed",
                "egost export cuts the pictures of a workspace again; those of a release come back with a whole copy of it",
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
        "letters": grouped("Letters of the right answers", letters, chance=0.25),
        "contrasts": bars("What options flip", dict(sorted(tally.contrasts.items())), kind="plain"),
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
        # Of an export that was killed, or of a release that was moved away: answers are not made
        # again, so they are kept beside under their digest unless they are the same.
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
        failed=[gate for gate in manifest["gates"] if not gate["met"]],
        example=example,
        licences={name: sorted(set(sources)) for name, sources in sorted(licences.items())},
        hub_licences=_hub_licences(licences),
        closed=sum(not video["pictures_included"] for video in manifest["videos"]),
    )
    return text.rstrip("\n") + "\n"


def _hub_licences(licences: Iterable[str]) -> list[str]:
    """Return the licences as the Hugging Face hub knows them: an id in small letters, else `other`."""
    named = {name.casefold().replace(" ", "-") for name in licences}
    return sorted({name if _HUB_LICENCE.fullmatch(name) else "other" for name in named})


def _write_json(path: Path, value: Any) -> None:
    _write(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
