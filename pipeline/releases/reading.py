"""Read a release: its manifest, its rows, and the candidate that its gates are recomputed from."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from pipeline.engine.arrow import arrow_schema
from pipeline.engine.rows import Record
from pipeline.errors import GateError, UserError
from pipeline.questions.rows import Item
from pipeline.releases.gates import Gate, Origin, ReleaseCandidate
from pipeline.releases.layout import LETTERS, Evidence, QuestionRow, ReleaseItem
from pipeline.routes.route import MOVE_WORDS
from pipeline.routes.rows import Route
from pipeline.routes.tasks import Words

AnyRecord = TypeVar("AnyRecord", bound=Record)
SUMS = "SHA256SUMS"
AS_OF = "; as measured for "
"""Before the version that a gate's figure was copied from, when a video was taken down."""
_ROWS_AT_ONCE = 8192
CONFIGS: dict[str, type[Record]] = {"data": QuestionRow, "evidence": Evidence}


@dataclass(frozen=True)
class Released:
    """A release on disk: its folder and its manifest."""

    folder: Path
    manifest: dict[str, Any]

    @property
    def version(self) -> str:
        """Return the version, such as `1.0.0`."""
        return str(self.manifest["version"])

    @property
    def splits(self) -> list[str]:
        """Return the names of its splits, in the order of the manifest."""
        return list(self.manifest["items"])

    @property
    def gates(self) -> list[Gate]:
        """Return the result of every gate, also of a release from before gates could be unproven."""
        return [Gate.model_validate(gate) for gate in self.manifest["gates"]]

    def files(self, config: str) -> list[Path]:
        """Return the Parquet files of `data` or `evidence`, split by split."""
        return [
            path
            for split in self.splits
            for path in sorted((self.folder / config).glob(f"{split}-*-of-*.parquet"))
        ]

    def frames(self, config: str, columns: list[str] | None = None) -> Iterator[pl.DataFrame]:
        """Yield the rows of `data` or `evidence` with their `split`, a few thousand at a time."""
        for path in self.files(config):
            for batch in _batches(path, CONFIGS[config], columns):
                yield pl.DataFrame(batch).with_columns(split=pl.lit(split_of(path)))

    def questions(self) -> Iterator[tuple[str, QuestionRow]]:
        """Yield each question with its split, in file order."""
        for path in self.files("data"):
            for row in read_rows(path, QuestionRow):
                yield split_of(path), row

    def evidence(self) -> Iterator[Evidence]:
        """Yield each evidence row, in file order."""
        for path in self.files("evidence"):
            yield from read_rows(path, Evidence)

    def entries(self, sealed: Path | None = None) -> Iterator[ReleaseItem]:
        """Yield every item with its evidence; those of withheld splits only if `sealed` is given."""
        withheld = set(self.manifest["withheld"])
        answers = Released(sealed, self.manifest) if sealed else None
        evidence = {row.id: row for row in self.evidence()}
        if answers:
            evidence |= {row.id: row for row in answers.evidence()}
        open_rows = (pair for pair in self.questions() if pair[0] not in withheld)
        for split, question in (*open_rows, *(answers.questions() if answers else ())):
            if question.id not in evidence:
                raise GateError(question.id, "has no evidence row", NEW_COPY)
            yield ReleaseItem(split, question, evidence[question.id])

    @property
    def words(self) -> Words:
        """The phrases for moves in its language; releases from before the language setting are English."""
        words: Words = self.manifest.get("moves", MOVE_WORDS)
        return words

    def candidate(self) -> ReleaseCandidate:
        """Return the items whose answers are published, with everything that the gates need."""
        least = self.manifest["settings"]["export"]["min_verified"]
        return candidate_of(self.entries(), least, self.words)

    def questions_alone(self) -> ReleaseCandidate:
        """Return every item without its evidence, which is all that a withheld split contains."""
        items, origins = [], dict[str, Origin]()
        for split, row in self.questions():
            clip = f"{row.video_sha256} {row.start} {row.end}"
            items.append(_item(row, split, clip))
            _note(origins, clip, row)
        return ReleaseCandidate(tuple(items), {}, {}, 0.0, origins, self.words)


def candidate_of(
    entries: Iterable[ReleaseItem], min_verified: float, words: Words
) -> ReleaseCandidate:
    """Return released items as a candidate for the gates."""
    items, routes, origins = [], {}, dict[str, Origin]()
    verified_by = {}
    for entry in entries:
        evidence = entry.evidence
        items.append(_item(entry.question, entry.split, evidence.clip_id, evidence))
        routes[evidence.clip_id] = _route(evidence)
        _note(origins, evidence.clip_id, entry.question)
        verified_by[evidence.id] = frozenset(evidence.verified_by)
    return ReleaseCandidate(tuple(items), routes, verified_by, min_verified, origins, words)


def _note(origins: dict[str, Origin], clip: str, question: QuestionRow) -> None:
    """Record where a clip comes from; raise GateError if its rows disagree."""
    found = Origin(
        question.split_group,
        question.video_sha256,
        round(question.start * 1e6),
        round(question.end * 1e6),
        tuple(question.frames),
    )
    if origins.setdefault(clip, found) != found:
        raise GateError(question.id, "contradicts earlier rows of the same clip", NEW_COPY)


NEW_COPY = "get a new copy of this release; a release never changes"


def open_release(folder: Path) -> Released:
    """Open a release; raise UserError if the folder is not one, GateError if its manifest is damaged."""
    path = folder / "manifest.json"
    if not path.is_file():
        raise UserError(
            str(folder),
            "is not a release (it has no manifest.json)",
            "give a folder such as releases/v1.0.0",
        )
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        released = Released(folder, manifest)
        if not (isinstance(released.version, str) and isinstance(manifest["items"], dict)):
            raise KeyError("items")
    except (ValueError, KeyError, TypeError) as error:
        raise GateError(str(path), f"can't be read: {error!r}", NEW_COPY) from error
    return released


def split_of(path: Path) -> str:
    """Return the split that a file such as `test-00000-of-00001.parquet` belongs to."""
    return path.name.split("-", 1)[0]


def check_schema(path: Path, kind: type[Record]) -> None:
    """Raise GateError unless the file's columns are exactly this type's fields."""
    try:
        found = pq.read_schema(path)
    except (pa.ArrowException, OSError) as error:
        raise GateError(str(path), f"not readable as Parquet: {error}", NEW_COPY) from error
    wanted = arrow_schema(kind)
    if not found.equals(wanted, check_metadata=False):
        differing = sorted(
            name
            for name in {*found.names, *wanted.names}
            if name not in found.names
            or name not in wanted.names
            or not found.field(name).equals(wanted.field(name))
        )
        what = f"columns differ from those of a release: {', '.join(differing) or 'their order'}"
        raise GateError(str(path), what, "read it with the version of egost that wrote it")


def read_rows(path: Path, kind: type[AnyRecord]) -> Iterator[AnyRecord]:
    """Yield the rows of one Parquet file, a few thousand in memory at a time."""
    try:
        for batch in _batches(path, kind):
            for row in batch.to_pylist():
                yield kind.model_validate(row)
    except ValidationError as error:
        raise GateError(str(path), f"has damaged rows: {error}", NEW_COPY) from error


def _batches(
    path: Path, kind: type[Record], columns: list[str] | None = None
) -> Iterator[pa.RecordBatch]:
    check_schema(path, kind)
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            yield from file.iter_batches(_ROWS_AT_ONCE, columns=columns)
    except (pa.ArrowException, OSError) as error:
        raise GateError(str(path), f"has damaged rows: {error}", NEW_COPY) from error


def _item(
    question: QuestionRow, split: str, clip_id: str, evidence: Evidence | None = None
) -> Item:
    letter = question.answer
    flips = evidence.flips if evidence else []
    return Item.model_validate(
        {
            "item_id": question.id,
            "clip_id": clip_id,
            "video_id": question.video_sha256,
            "split": split,
            "task": question.question_type,
            "category": question.category,
            "orientation": question.orientation,
            "format": question.format,
            "question": question.question,
            "options": question.options,
            "answer_index": None if letter is None else LETTERS.find(letter),
            "answer_text": question.answer_text or "",
            "option_kind": "square" if flips else "model" if question.options else None,
            "contrast": question.contrast,
            "flips": flips,
            "reference_moves": evidence.reference_moves if evidence else [],
            "reference_landmarks": evidence.reference_landmarks if evidence else [],
            "status": evidence.status if evidence else "draft",
            "status_reason": None,
            "fingerprint": evidence.fingerprint if evidence else "",
        }
    )


def _route(row: Evidence) -> Route:
    return Route(
        clip_id=row.clip_id,
        origin="verified" if row.status == "verified" else "draft",
        verified_categories=[],
        fingerprint="",
        provider=row.provider,
        model=row.model,
        prompt_sha256=row.prompt_sha256,
        reply_id=row.reply_id,
        input_tokens=None,
        output_tokens=None,
        cost_usd=row.cost_usd,
        steps=row.steps,
        forward_description="",
        reverse_description="",
        confidence=0.0,
    )
