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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import __version__
from pipeline.assets import asset
from pipeline.engine.folder import WorkspaceFolder, write_atomic
from pipeline.engine.lock import locked
from pipeline.engine.rows import digest
from pipeline.errors import GateError, UserError
from pipeline.evaluate.in_words import Bar
from pipeline.evaluate.results import made, packed, release_digest
from pipeline.evaluate.spans import SourceSpan, spans_found
from pipeline.releases.hydrate import stills_settings
from pipeline.releases.reading import Released
from pipeline.training import formats
from pipeline.training.assembly import Assembly, LeftOut
from pipeline.training.card import FORMAT, card, counts
from pipeline.training.contrast import WAYS, Way
from pipeline.training.frames import (
    MOST,
    SLOWEST,
    Cut,
    Form,
    OwnFrames,
    cut_frames,
    own_frames,
    planned,
    tidy,
)
from pipeline.training.learned import settled
from pipeline.training.rows import TrainingRow
from pipeline.training.source import LEAST_VIDEOS, train_split
from pipeline.training.thinking import LACKS, lack
from pipeline.training.weights import weights
from pipeline.training.written import Writer, Writing, rejections, thought

log = logging.getLogger(__name__)

ROWS, BODY, CARD = "rows.parquet", "rows.json", "README.md"
MARKED = "their text contains a tag that loaders or rewards take for more than text"
_MOST_LOST = 0.01  # of the rows, if a model writes think texts and gives no reply to some
_UNKEPT = "no text of the model could be kept"


@dataclass(frozen=True)
class Options:
    """How rows are made.

    `videos` are files or folders; `fps` and `pixels` (of the longer side) are those of the frames. `contrast` names
    the ways in which frames are also shown, mirrored ones with text only if `mirror_text`. `results` are those of a
    trained model, whose settled items are left out. Think texts are those of `writing`'s model, or of templates, whose
    wordings follow from `seed`. 0 `workers` are one for each core.
    """

    videos: Sequence[Path] = ()
    fps: float = 2.5
    pixels: int = 320
    contrast: Sequence[Way] = WAYS
    mirror_text: bool = False
    unverified: bool = False
    results: Path | None = None
    seed: int = 0
    writing: Writing | None = None
    workers: int = 0


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
        self._split = train_split(released, unverified=options.unverified)
        self._spans, self._own = self._places()
        self._assembly = Assembly(
            self._split,
            self._spans.keys() | self._own.keys(),
            options.contrast,
            options.mirror_text,
            released.manifest["settings"].get("compose", {}).get("never_mirror", ()),
            settled(options.results, released) if options.results else {},
        )
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
            "egost": __version__,
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
                "think": of.writing
                and {
                    "model": json.loads(of.writing.model.for_keys()),
                    "tries": of.writing.tries,
                    "fall_back": of.writing.fall_back,
                },
            },
            "settled": sorted([*key, why] for key, why in self._assembly.settled.items()),
            "prompts": _prompts(),
            "sources": digest(*(f"{name} {where}" for name, where in sorted(known.items()))),
        }

    def dry_run(self) -> Iterator[str]:
        """Yield what would be made, as far as that is known before frames are cut; raise UserError as `run` does."""
        plan = planned(self._spans, self._own, self._options.fps)
        rows, left_out = self._assembly.rows(plan)
        self._check(rows, left_out)
        yield from left_out.lines()
        if writing := self._options.writing:
            yield str(Writer(writing, self.folder).estimate(rows))
        cut = sum(len(plan[name].times_us) for name in self._spans)
        shown = Counter(row.made for row in rows)
        told = ", ".join(f"{count} {name}" for name, count in shown.items())
        yield f"would make {len(rows)} rows ({told}), with {cut} frames from videos: {self.folder}"

    def run(self, bar: Bar = lambda name: nullcontext(lambda done, total: None)) -> RowsMade:
        """Make the rows, or go on where a killed run was; `bar` shows the number of videos, then of texts.

        Raise UserError if another command makes the same rows, or if there are rows of fewer than `LEAST_VIDEOS`
        videos; GateError if a model gives no reply to more than 1 % of the rows.
        """
        # Before anything is cut; cutting can only find that more can't be seen.
        self._check(*self._assembly.rows(planned(self._spans, self._own, self._options.fps)))
        folder = made(self.folder)
        with locked(folder / ".lock", "egost train rows"):
            if body := _complete(folder):
                if elsewhere := formats.moved(folder):
                    formats.write_again(folder)
                return _told(folder, body, new=elsewhere)
            with suppress(FileNotFoundError):
                (folder / BODY).unlink()
            for left in folder.rglob(".tmp-*"):  # of a killed run
                left.unlink()
            of = self._options
            form = Form(of.fps, of.pixels, stills_settings(self._released).quality)
            workers = of.workers or os.cpu_count() or 1
            flip = self._assembly.mirrored
            with bar("cutting") as progress:
                cut = cut_frames(self._spans, self._own, flip, form, folder, workers, progress)
            _raise_for_unfinished(cut)
            shown, left_out = self._assembly.rows(cut.frames)
            self._check(shown, left_out)
            rows = self._finished(shown, left_out, bar)
            self._check(rows, left_out)
            return self._written(folder, rows, left_out)

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

    def _finished(
        self, rows: Sequence[TrainingRow], left_out: LeftOut, bar: Bar
    ) -> list[TrainingRow]:
        """Return the rows with think texts and weights; count those that no trainer's format can have."""
        of, written = self._options, None
        if of.writing:
            with bar("writing") as progress:
                written = Writer(of.writing, self.folder).texts(rows, progress)
            lost = rejections(self.folder)["no reply"]
            if lost > _MOST_LOST * len(rows):
                what = f"{lost} of {len(rows)} rows got no reply from {of.writing.model.model}"
                raise GateError(str(self.folder), what, "run this again: replies are kept")
        fall_back = of.writing is None or of.writing.fall_back
        found = [thought(row, str(of.seed), written, fall_back=fall_back) for row in rows]
        kept = [row for row in found if formats.refusal(row) is None]
        if len(kept) < len(found):
            left_out.items[MARKED] += len(found) - len(kept)
        weighed = zip(kept, weights(kept), strict=True)
        return [row.model_copy(update={"weight": weight}) for row, weight in weighed]

    # ---- files ---------------------------------------------------------------------------------------

    def _written(self, folder: Path, rows: Sequence[TrainingRow], left_out: LeftOut) -> RowsMade:
        """Write everything, `rows.json` last; delete what only an unfinished run needs."""
        via = WorkspaceFolder(folder).unfinished
        table = packed(TrainingRow, rows)
        write_atomic(folder / ROWS, table, via=via)
        files = formats.write(rows, folder).files
        body = {
            **self._body(rows, left_out),
            "files": sorted(
                path.resolve().relative_to(folder.resolve()).as_posix() for path in files
            ),
            "rows_sha256": hashlib.sha256(table).hexdigest(),
        }
        write_atomic(folder / CARD, card(body, rows[0]).encode(), via=via)
        tidy(folder, {name for row in rows for name in row.frames})
        text = json.dumps(body, ensure_ascii=False, indent=1) + "\n"
        write_atomic(folder / BODY, text.encode())
        return _told(folder, body, new=True)

    def _body(self, rows: Sequence[TrainingRow], left_out: LeftOut) -> dict[str, Any]:
        manifest = self._released.manifest
        videos = self._videos(rows)
        closed = set(manifest.get("hydrate", {})) & {row.video for row in rows}
        lacks = Counter(
            LACKS[why] if (why := lack(row)) else _UNKEPT for row in rows if row.think is None
        )
        licences = Counter(
            one["licence"] or "not stated" for one in manifest["videos"] if one["sha256"] in videos
        )
        return {
            **self._identity,
            "settled": len(self._assembly.settled),
            "canary": manifest["canary"],
            "licences": dict(sorted(licences.items())),
            "closed_spans": len(closed),
            "videos": len(videos),
            **counts(rows),
            "without_think": dict(sorted(lacks.items())),
            "rejected": dict(sorted(rejections(self.folder).items())),
            "left_out": dict(sorted(left_out.items.items())),
            "contrast_left_out": {
                way: dict(sorted(reasons.items())) for way, reasons in left_out.contrast.items()
            },
            "left_out_lines": list(left_out.lines()),
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
    """Return the `rows.json` of finished rows, if their table, all their frames and all formats are there."""
    try:
        body: dict[str, Any] = json.loads((folder / BODY).read_text(encoding="utf-8"))
        names = pq.read_table(folder / ROWS, columns=["frames"])["frames"].to_pylist()
        files = {*body["files"], *(name for some in names for name in some)}
    except (OSError, ValueError, KeyError, pa.ArrowException):
        return None
    return body if all((folder / name).is_file() for name in files) else None


def _told(folder: Path, body: Mapping[str, Any], *, new: bool) -> RowsMade:
    return RowsMade(folder, body["made"], body["videos"], body["left_out_lines"], new)
