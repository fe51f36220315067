"""Make the rows of training from a release's train split: cut their frames, add contrast rows, think texts and weights.

rows/egost-1.0.0-3f0c…/
  rows.parquet   the rows; everything else is made from them
  media/         their frames, by digest
  trl/ swift/ …  the same rows as each trainer reads them, and egost_rewards.py, which scores replies to them
  README.md      their card
  rows.json      the same for programs, written last: with it, the rows are complete
  .lock          held while a command makes them
"""

import hashlib
import json
import logging
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.assets import asset
from pipeline.engine.folder import WorkspaceFolder, write_atomic
from pipeline.engine.lock import locked
from pipeline.engine.rows import digest
from pipeline.errors import UserError
from pipeline.evaluate.results import made, packed, release_digest
from pipeline.evaluate.spans import SourceSpan, spans_found
from pipeline.releases.hydrate import stills_settings
from pipeline.releases.reading import Released
from pipeline.training import formats
from pipeline.training.card import FORMAT, card, counts
from pipeline.training.contrast import WAYS, Way, contrast, names_text
from pipeline.training.frames import (
    MOST,
    SLOWEST,
    Cut,
    Form,
    OwnFrames,
    SpanFrames,
    cut_frames,
    own_frames,
    planned,
    tidy,
)
from pipeline.training.learned import settled
from pipeline.training.rows import TrainingRow
from pipeline.training.source import LEAST_VIDEOS, SourceItem, TrainSplit, train_split
from pipeline.training.thinking import LACKS, lack, template_text
from pipeline.training.weights import weights

log = logging.getLogger(__name__)

ROWS, BODY, CARD = "rows.parquet", "rows.json", "README.md"

NO_VIDEO = "their video isn't there, and the release has no frames that are close enough"
UNREADABLE = "their video can't be read"
IN_WORDS = "they are answered in words, and nothing tells what is true of such frames"
UNDEFINED = "what is true of such frames is none of their options"
MARKED = "their text contains a tag that loaders or rewards take for more than text"
TEXT = "something with text is passed, which would be mirrored (--mirror-text allows it)"


@dataclass(frozen=True)
class Options:
    """How rows are made.

    `videos` are files or folders; `fps` and `pixels` (of the longer side) are those of the frames. `contrast` names
    the ways in which frames are also shown, mirrored ones with text only if `mirror_text`. `results` are those of a
    trained model, whose settled items are left out. Wordings of think texts follow from `seed`. 0 `workers` are one
    for each core.
    """

    videos: Sequence[Path] = ()
    fps: float = 2.5
    pixels: int = 320
    contrast: Sequence[Way] = WAYS
    mirror_text: bool = False
    unverified: bool = False
    results: Path | None = None
    seed: int = 0
    workers: int = 0


@dataclass(frozen=True)
class LeftOut:
    """How many items got no row, and how many rows no contrast row, by way; each by reason."""

    items: Counter[str]
    contrast: Mapping[Way, Counter[str]]

    def lines(self) -> Iterator[str]:
        """Yield a line for each reason."""
        for why, count in sorted(self.items.items()):
            yield f"left out: {count} items: {why}"
        for way, reasons in self.contrast.items():
            for why, count in sorted(reasons.items()):
                yield f"without {way} frames: {count} items: {why}"


@dataclass(frozen=True)
class RowsMade:
    """Where the rows are, how many there are by what their frames show, and what was left out."""

    folder: Path
    made: Mapping[str, int]
    videos: int
    left_out: Sequence[str]
    new: bool

    def lines(self) -> Iterator[str]:
        """Yield what was left out, then what was made."""
        yield from self.left_out
        shown = ", ".join(f"{count} {name}" for name, count in self.made.items())
        done = "" if self.new else "nothing to do: "
        total = sum(self.made.values())
        yield f"train rows: {done}{total} rows ({shown}) of {self.videos} videos: {self.folder}"


class RowMaker:
    """A release's train split with its videos, and how rows are made of it; read once."""

    def __init__(self, released: Released, options: Options, out: Path) -> None:
        """Read the release and find its videos; raise UserError if no rows can be made of it."""
        self._released, self._options = released, options
        self._split: TrainSplit = train_split(released, unverified=options.unverified)
        self._settled = settled(options.results, released) if options.results else {}
        self._spans, self._own = self._places()
        named = re.sub(r"[^\w.-]+", "-", f"{released.manifest['dataset']}-{released.version}")
        self.folder = out / f"{named.strip('-.')}-{digest(json.dumps(self._identity))[:12]}"

    def _places(self) -> tuple[dict[str, SourceSpan], dict[str, OwnFrames]]:
        """Return where the frames of each span come from: its video, or else the release's own frames."""
        asked = [one.asked for one in self._split.items]
        spans = spans_found(self._released, asked, self._split.evidence, self._options.videos)
        own = {
            one.video: found
            for one in asked
            if one.video not in spans
            and (found := own_frames(self._released.folder, one, self._options.fps))
        }
        if asked and not spans and not own:
            raise UserError(
                "--videos",
                "none of the release's videos is there, and its own frames are missing, or fewer than "
                f"{SLOWEST:g} a second",
                "give the folder with the videos that the release was made from; their digests must be the same",
            )
        return spans, own

    @cached_property
    def _identity(self) -> dict[str, Any]:
        """What the rows follow from."""
        of, manifest = self._options, self._released.manifest
        known = {name: one.sha256 for name, one in self._spans.items()} | dict.fromkeys(
            self._own, "release"
        )
        return {
            "format": FORMAT,
            "dataset": manifest["dataset"],
            "version": self._released.version,
            "release": release_digest(self._released),
            "settings": {
                "fps": of.fps,
                "most_frames": MOST,
                "pixels": of.pixels,
                "quality": stills_settings(self._released).quality,
                "contrast": list(of.contrast),
                "mirror_text": of.mirror_text,
                "unverified": of.unverified,
                "seed": of.seed,
            },
            "settled": sorted([*key, why] for key, why in self._settled.items()),
            "prompts": _prompts(),
            "sources": digest(*(f"{name} {where}" for name, where in sorted(known.items()))),
        }

    def dry_run(self) -> Iterator[str]:
        """Yield what would be made, as far as that is known before frames are cut; raise UserError as `run` does."""
        plan = planned(self._spans, self._own, self._options.fps)
        rows, left_out = self._rows(Cut(plan))
        self._check(rows, left_out)
        yield from left_out.lines()
        cut = sum(len(plan[name].times_us) for name in self._spans)
        shown = Counter(row.made for row in rows)
        told = ", ".join(f"{count} {name}" for name, count in shown.items())
        yield f"would make {len(rows)} rows ({told}), with {cut} frames from videos: {self.folder}"

    def run(self, progress: Callable[[int, int], None] = lambda done, total: None) -> RowsMade:
        """Make the rows, or go on where a killed run was; `progress` gets the number of videos.

        Raise UserError if another command makes the same rows, or if there are rows of fewer than `LEAST_VIDEOS`
        videos.
        """
        folder = made(self.folder)
        with locked(folder / ".lock", "egost train rows"):
            if body := _complete(folder):
                return _told(folder, body, new=False)
            with suppress(FileNotFoundError):
                (folder / BODY).unlink()
            for left in folder.rglob(".tmp-*"):  # of a killed run
                left.unlink()
            of = self._options
            form = Form(of.fps, of.pixels, stills_settings(self._released).quality)
            workers = of.workers or os.cpu_count() or 1
            cut = cut_frames(
                self._spans, self._own, self._mirrored, form, folder, workers, progress
            )
            _raise_for_unfinished(cut)
            shown, left_out = self._rows(cut)
            rows = self._finished(shown, left_out)
            self._check(rows, left_out)
            return self._written(folder, rows, left_out)

    # ---- rows ----------------------------------------------------------------------------------------

    @cached_property
    def _mirrored(self) -> set[str]:
        """The spans whose frames are needed flipped as well."""
        return {
            item.asked.video
            for item in self._split.items
            if "mirrored" in self._options.contrast and self._why_no(item, "mirrored") is None
        }

    def _rows(self, cut: Cut) -> tuple[list[TrainingRow], LeftOut]:
        """Return the rows in order of their ids, without think texts and weights, and what is left out."""
        out = Counter(self._split.left_out)
        lacking: dict[Way, Counter[str]] = {way: Counter() for way in self._options.contrast}
        rows: list[TrainingRow] = []
        for item in self._split.items:
            frames = cut.frames.get(item.asked.video)
            why = (
                (UNREADABLE if item.asked.video in self._spans | self._own else NO_VIDEO)
                if frames is None
                else item.why_not(frames.shown_us)
            )
            if frames is None or why:
                out[str(why)] += 1
                continue
            row = released_row(item, frames)
            if settled := self._settled.get((item.row.id, "released")):
                out[settled] += 1
            else:
                rows.append(row)
            for way in self._options.contrast:
                names = frames.mirrored if way == "mirrored" else frames.names
                why = self._why_no(item, way)
                other = None if why else contrast(row, item.asked, way, names)
                if other:
                    rows.append(other)
                else:
                    lacking[way][why or UNDEFINED] += 1
        return sorted(rows, key=lambda row: row.id), LeftOut(out, lacking)

    def _why_no(self, item: SourceItem, way: Way) -> str | None:
        """Return why an item gets no row with such frames; None if it gets one."""
        if item.row.format != "mcq":
            return IN_WORDS
        if item.asked.option_true_of(way) is None:
            return UNDEFINED
        words = self._released.manifest["settings"].get("compose", {}).get("never_mirror", ())
        if way == "mirrored" and not self._options.mirror_text and names_text(item.names, words):
            return TEXT
        return self._settled.get((item.row.id, way))

    def _check(self, rows: Sequence[TrainingRow], left_out: LeftOut) -> None:
        videos = self._videos(rows)
        if len(videos) < LEAST_VIDEOS:
            reasons = "; ".join(left_out.lines())
            raise UserError(
                str(self._released.folder),
                f"gives rows of {len(videos)} videos, and at least {LEAST_VIDEOS} are needed ({reasons})",
                "change what the reasons name, or add videos to the train split and export again",
            )

    def _videos(self, rows: Sequence[TrainingRow]) -> set[str]:
        evidence = self._split.evidence
        return {str(evidence[row.item].video_sha256) for row in rows}

    def _finished(self, rows: Sequence[TrainingRow], left_out: LeftOut) -> list[TrainingRow]:
        """Return the rows with think texts and weights; count those that no trainer's format can have."""
        found = []
        for row in rows:
            text = template_text(row, str(self._options.seed))
            update = {"think": text, "think_source": "template" if text else "none"}
            found.append(row.model_copy(update=update))
        kept = [row for row in found if formats.refusal(row) is None]
        left_out.items.update({MARKED: len(found) - len(kept)} if len(kept) < len(found) else {})
        weighed = zip(kept, weights(kept), strict=True)
        return [row.model_copy(update={"weight": weight}) for row, weight in weighed]

    # ---- files ---------------------------------------------------------------------------------------

    def _written(self, folder: Path, rows: Sequence[TrainingRow], left_out: LeftOut) -> RowsMade:
        """Write everything, `rows.json` last; delete what only an unfinished run needs."""
        via = WorkspaceFolder(folder).unfinished
        table = packed(TrainingRow, rows)
        write_atomic(folder / ROWS, table, via=via)
        formats.write(rows, folder)
        body = self._body(rows, left_out, hashlib.sha256(table).hexdigest())
        write_atomic(folder / CARD, card(body, rows[0]).encode(), via=via)
        tidy(folder, {name for row in rows for name in row.frames})
        text = json.dumps(body, ensure_ascii=False, indent=1) + "\n"
        write_atomic(folder / BODY, text.encode())
        return _told(folder, body, new=True)

    def _body(self, rows: Sequence[TrainingRow], left_out: LeftOut, sha256: str) -> dict[str, Any]:
        manifest = self._released.manifest
        videos = self._videos(rows)
        closed = set(manifest.get("hydrate", {})) & {row.video for row in rows}
        lacks = Counter(LACKS[why] for row in rows if row.think is None and (why := lack(row)))
        return {
            **self._identity,
            "settled": len(self._settled),
            "canary": manifest["canary"],
            "licences": dict(
                sorted(
                    Counter(
                        one["licence"] or "not stated"
                        for one in manifest["videos"]
                        if one["sha256"] in videos
                    ).items()
                )
            ),
            "closed_spans": len(closed),
            "videos": len(videos),
            **counts(rows),
            "without_think": dict(sorted(lacks.items())),
            "left_out": dict(sorted(left_out.items.items())),
            "contrast_left_out": {
                way: dict(sorted(reasons.items())) for way, reasons in left_out.contrast.items()
            },
            "left_out_lines": list(left_out.lines()),
            "rows_sha256": sha256,
        }


def _raise_for_unfinished(cut: Cut) -> None:
    """Raise UserError if the frames of a video might be cut by another run; warn of videos that can't be read."""
    for path, error in cut.failed.items():
        if error.again:
            fix = "run this again; if that fails too, leave this file out of --videos"
            raise UserError(
                str(path), f"couldn't be cut: {error.what}", fix, error.trace.splitlines()
            )
        log.warning("%s can't be read: %s", path, error)


def released_row(item: SourceItem, frames: SpanFrames) -> TrainingRow:
    """Return an item as a row with its own frames, without think text and weight."""
    row = item.row
    return TrainingRow.model_validate(
        {
            "id": row.id,
            "item": row.id,
            "made": "released",
            "question_type": row.question_type,
            "category": row.category,
            "orientation": row.orientation,
            "contrast": row.contrast,
            "format": row.format,
            "language": item.language,
            "split_group": row.split_group,
            "video": row.video,
            "question": row.question,
            "options": row.options,
            "answer": row.answer,
            "answer_text": row.answer_text or "",
            "facts": item.facts,
            "happenings": item.seen(frames.shown_us),
            "seconds": item.asked.seconds,
            "frames": frames.names,
            "frame_seconds": [at_us / 1e6 for at_us in frames.times_us],
            "think": None,
            "think_source": "none",
        }
    )


def _prompts() -> dict[str, str]:
    """Return the digest of each template that rows are worded with."""
    folder = asset("prompts")
    paths = [*folder.glob("training/*"), *folder.glob("evaluate/ours.j2"), folder / "stems.toml"]
    paths += folder.glob("evaluate/open/ours.j2")
    return {
        f"prompts/{path.relative_to(folder).as_posix()}": hashlib.sha256(
            path.read_bytes()
        ).hexdigest()
        for path in sorted(paths)
        if path.is_file()
    }


def _complete(folder: Path) -> dict[str, Any] | None:
    """Return the `rows.json` of finished rows, if their table and all their frames are there."""
    try:
        body: dict[str, Any] = json.loads((folder / BODY).read_text(encoding="utf-8"))
        names = pq.read_table(folder / ROWS, columns=["frames"])["frames"].to_pylist()
    except (OSError, ValueError, pa.ArrowException):
        return None
    files = {name for some in names for name in some}
    return body if all((folder / name).is_file() for name in files) else None


def _told(folder: Path, body: Mapping[str, Any], *, new: bool) -> RowsMade:
    return RowsMade(folder, body["made"], body["videos"], body["left_out_lines"], new)
