"""The results of one model on one release: a folder with its replies, predictions and metrics.

    results/qwen2.5-vl-7b-3f0c…/
      llm.sqlite            every request and reply: a run that was killed goes on and pays for nothing twice
      predictions.parquet   what was replied to each item in each arm, and the letter that was read
      items.parquet         the items whose answers are known: with both files, the metrics can be computed again
      results.json          metrics, settings, digests of release and prompts, the version of the code, the date
      open.json             the figures of items that are answered in words (describing.py), and judge.json (judging.py)
      exports/              the same for Inspect and for Every Eval Ever (export_files.py)
      read-by-reference/    if that was asked for: the same replies as the reference's rule reads them

The folder is named by release, model, prompt and settings; arms and repeats can be added to it later.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError, create_model

from pipeline import __version__
from pipeline.engine.arrow import arrow_schema
from pipeline.engine.folder import write_atomic
from pipeline.engine.rows import Record, digest
from pipeline.errors import DISK_FULL, UserError
from pipeline.evaluate.exports import About
from pipeline.evaluate.item_files import ItemFile
from pipeline.evaluate.metrics import Metrics
from pipeline.evaluate.rows import Prediction
from pipeline.evaluate.rules import STRICT
from pipeline.evaluate.scoring import Question
from pipeline.models.settings import ModelSettings
from pipeline.releases.layout import file_digest
from pipeline.releases.reading import SUMS, Released

AnyRecord = TypeVar("AnyRecord", bound=Record)
FORMAT = 1  # of results.json
ITEMS, PREDICTIONS, RESULTS = "items.parquet", "predictions.parquet", "results.json"
SECTIONS = {"open": "open.json", "judge": "judge.json"}
"""Parts of `results.json` that are computed later than the rest, with the files that they are kept in."""
_LEFT = {"frames", "frame_seconds", "words"}  # of a question: these stay in the release
_KEPT: dict[str, Any] = {
    one.name: (one.type, ...) for one in fields(Question) if one.name not in _LEFT
}
AskedItem = create_model("AskedItem", __base__=Record, **_KEPT)
"""A question with a known answer as results keep it."""


@dataclass(frozen=True)
class Identity:
    """What results are of; two results are comparable if they agree in all but the model and its settings."""

    release: str  # root digest
    dataset: str
    version: str
    model: str
    base_url: str
    prompt: str
    prompt_sha256: str
    image_pixels: int | None
    fps: float | None  # of frames cut from the videos; None: the released ones
    settings: Mapping[str, Any]
    parser: str = STRICT  # how replies were read

    @classmethod
    def of(
        cls,
        released: Released | ItemFile,
        settings: ModelSettings,
        prompt: str,
        prompt_sha256: str,
        image_pixels: int | None,
        fps: float | None = None,
    ) -> "Identity":
        """Return what a run of a model on a release is of."""
        return cls(
            release_digest(released),
            str(released.manifest["dataset"]),
            released.version,
            settings.model,
            settings.base_url,
            prompt,
            prompt_sha256,
            image_pixels,
            fps,
            json.loads(settings.for_keys()),
        )

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> "Identity":
        """Return what a results.json is of; the first ones name no parser."""
        known = {"parser": STRICT, **body}
        return cls(**{name: known[name] for name in cls.__dataclass_fields__})

    @property
    def folder(self) -> str:
        """The name of the results folder, whose replies every parser reads."""
        named = re.sub(r"[^\w.-]+", "-", self.model).strip("-.").lower()[:60] or "model"
        asked = {name: value for name, value in self.to_json().items() if name != "parser"}
        return f"{named}-{digest(json.dumps(asked, sort_keys=True))[:12]}"

    @property
    def compared(self) -> dict[str, object]:
        """What two results must have in common to be compared."""
        return {
            "release": self.release,
            "prompt": self.prompt_sha256,
            "image_pixels": self.image_pixels,
            "fps": self.fps,
            "parser": self.parser,
        }

    def about(self) -> About:
        """Return what other tools record of the results, as of now."""
        return About(
            self.dataset,
            self.version,
            self.release,
            self.model,
            self.base_url,
            self.prompt,
            self.prompt_sha256,
            self.settings,
            __version__,
            datetime.now(UTC),
            self.parser,
        )

    def to_json(self) -> dict[str, object]:
        """Return the fields."""
        return dict(vars(self))


@dataclass(frozen=True)
class Results:
    """A results folder as it is on disk."""

    folder: Path
    identity: Identity
    questions: tuple[Question, ...]
    predictions: tuple[Prediction, ...]
    body: Mapping[str, Any]


def made(folder: Path) -> Path:
    """Make a folder of results unless it is there; raise UserError if it can't be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if error.errno in DISK_FULL:
            raise
        raise UserError(
            str(folder), f"can't be made: {error.strerror}", "name another folder with --out"
        ) from error
    return folder


def release_digest(released: Released | ItemFile) -> str:
    """Return a release's root digest, that of its SHA256SUMS, as export printed it; of a file, its own."""
    if isinstance(released, ItemFile):
        return released.sha256
    path = released.folder / SUMS
    try:
        return file_digest(path)
    except OSError as error:
        raise UserError(
            str(path), f"can't be read: {error.strerror}", "get a new copy of this release"
        ) from error


def write_results(
    folder: Path,
    identity: Identity,
    questions: Iterable[Question],
    predictions: Iterable[Prediction],
    metrics: Metrics | None,
    more: Mapping[str, object],
) -> None:
    """Write both tables, then `results.json`, each atomically; of `questions`, those with known answers.

    `metrics` is None where no answer is known; `more` are further fields of results.json.
    """
    known = (one for one in questions if one.answer is not None)
    items = (
        AskedItem.model_validate({name: getattr(one, name) for name in _KEPT}) for one in known
    )
    write_atomic(folder / ITEMS, packed(AskedItem, items))
    write_atomic(folder / PREDICTIONS, packed(Prediction, predictions))
    body = {
        "format": FORMAT,
        **identity.to_json(),
        "egost": __version__,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "metrics": metrics.to_json() if metrics else None,
        **more,
    }
    _write_body(folder, body)


def amend(folder: Path) -> None:
    """Write `results.json` anew with the sections that are in files of their own now."""
    path = folder / RESULTS
    if path.exists():
        _write_body(folder, json.loads(path.read_text(encoding="utf-8")))


def _write_body(folder: Path, body: Mapping[str, Any]) -> None:
    text = json.dumps({**body, **_sections(folder)}, ensure_ascii=False, indent=1) + "\n"
    write_atomic(folder / RESULTS, text.encode())


def _sections(folder: Path) -> dict[str, Any]:
    """Return the figures of open items and of the judge; those of other descriptions than the present ones are None."""
    found = {}
    for name, path in SECTIONS.items():
        try:
            found[name] = json.loads((folder / path).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            found[name] = None
    described, judged = (found[name] or {} for name in SECTIONS)
    if judged.get("descriptions_sha256") != described.get("descriptions_sha256"):
        found["judge"] = None
    return found


def packed(kind: type[Record], rows: Iterable[Record]) -> bytes:
    """Return rows of one type as Parquet."""
    table = pa.Table.from_pylist([row.model_dump() for row in rows], schema=arrow_schema(kind))
    into = BytesIO()
    pq.write_table(table, into, compression="zstd")
    return into.getvalue()


@dataclass(frozen=True)
class Claims:
    """What a results.json says, whether or not the predictions are there that it is of."""

    identity: Identity
    body: Mapping[str, Any]


def read_claims(folder: Path) -> Claims:
    """Read the `results.json` of a folder; raise UserError if there is none."""
    with _readable(folder):
        body = json.loads((folder / RESULTS).read_text(encoding="utf-8"))
        if body["format"] != FORMAT:
            raise UserError(
                str(folder),
                f"has format {body['format']}",
                "use the version of egost that wrote it",
            )
        return Claims(Identity.read(body), body)


def read_results(folder: Path) -> Results:
    """Read a results folder; raise UserError if it is none."""
    claims = read_claims(folder)
    with _readable(folder):
        predictions = tuple(unpacked(folder / PREDICTIONS, Prediction))
        items = unpacked(folder / ITEMS, AskedItem)
        questions = tuple(Question(**dict(item), frames=(), frame_seconds=()) for item in items)
    return Results(folder, claims.identity, questions, predictions, claims.body)


@contextmanager
def _readable(folder: Path) -> Iterator[None]:
    """Raise UserError for what goes wrong while files of a results folder are read."""
    fix = "give a folder that egost evaluate wrote"
    try:
        yield
    except FileNotFoundError as error:
        names = (RESULTS, PREDICTIONS, ITEMS)  # Arrow's error doesn't name the file
        missing = next((name for name in names if not (folder / name).exists()), names[0])
        raise UserError(str(folder), f"is no results folder: it has no {missing}", fix) from error
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException, ValidationError) as error:
        raise UserError(str(folder), f"can't be read: {error}", fix) from error


def unpacked(path: Path, kind: type[AnyRecord]) -> Iterator[AnyRecord]:
    """Yield the rows of a Parquet file that `packed` made."""
    rows = pq.read_table(path, schema=arrow_schema(kind)).to_pylist()
    return map(kind.model_validate, rows)
