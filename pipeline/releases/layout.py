"""The format of a release on disk: row types, Parquet files, checksums."""

import hashlib
import os
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

from pipeline.engine.arrow import arrow_schema
from pipeline.engine.rows import Record
from pipeline.questions.rows import AskedFact
from pipeline.routes.rows import Step

SPLITS = ("train", "validation", "test")
LETTERS = "ABCDEFGHIJ"  # items need four; a release exported with failed gates may have others
GLANCE = "glance"  # in `turn_kinds`: a head turn without a change of heading


class QuestionRow(Record):
    """One released row of the `default` config: the question and its answer.

    Each span is a video of its own: `video` is its opaque id, `start` is 0 and `end` its length in seconds.
    Only `split_group`, also opaque, connects the spans of a scene. `frames` are files of the release, evenly
    spaced at `frame_seconds`, seconds from the start of the span. Withheld answers are null.

    Releases of earlier versions have whole clips instead: `video` is a path, `video_sha256` is given, and
    times are in video time.
    """

    id: str
    dataset: str
    scene_name: str | None
    question_type: str
    question: str
    options: list[str]
    ground_truth: str | None
    answer: str | None
    answer_text: str | None
    category: str
    orientation: str
    format: str
    contrast: str | None
    video: str
    video_sha256: str | None
    start: float
    end: float
    split_group: str
    frames: list[str]
    frame_seconds: list[float]
    language: str | None = None


class Evidence(Record):
    """One released row of the `evidence` config: the evidence for the answer with the same id.

    It names the video and the part of it that the item asks about. Times are in video time. What is told of
    a `mirrored` span is told as its frames show it, flipped left to right: its facts, steps and turns; `findings` are
    about the clip as it was filmed. `turn_kinds` are left, right, around or glance; degrees are positive to the left.
    `written_evidence` is the evidence that a model gave for an item it wrote, at `written_seconds` of the
    video. `human_right` of `human_answers` people who had not seen the answer chose it.
    Kept apart from the question, because the number of turns or keyframes would reveal the answer.

    Releases of earlier versions lack the fields that have defaults.
    """

    id: str
    clip_id: str
    status: str
    verified_by: list[str]
    flips: list[str]
    reference_moves: list[str]
    reference_landmarks: list[str]
    steps: list[Step]
    turn_kinds: list[str]
    turn_start: list[float]
    turn_end: list[float]
    turn_degrees: list[float]
    frame_seconds: list[float]
    frame_media: list[str]
    findings: list[str]
    provider: str
    model: str | None
    prompt_sha256: str | None
    reply_id: str | None
    cost_usd: float | None
    verdicts: int
    fingerprint: str
    written_evidence: str | None
    written_seconds: list[float]
    human_answers: int = 0
    human_right: int = 0
    video_sha256: str | None = None
    span_start: float | None = None
    span_end: float | None = None
    mirrored: bool = False
    twin: str | None = None
    facts: list[AskedFact] = Field(default_factory=list)
    visible: list[bool] = Field(default_factory=list)


@dataclass(frozen=True)
class ReleaseItem:
    """One item to be released: its split, its question row and its evidence row."""

    split: str
    question: QuestionRow
    evidence: Evidence

    def blank(self) -> QuestionRow:
        """Return the question row without its answer."""
        return self.question.model_copy(
            update={"ground_truth": None, "answer": None, "answer_text": None}
        )


ROWS_PER_GROUP = 1000
ROWS_PER_FILE = 100_000  # about 20 MB: small enough to preview, and few files for a million rows


class Shards:
    """Writes the rows of one config and split to `<split>-00000-of-00003.parquet`, in bounded memory.

    The same rows give the same bytes with the same version of pyarrow. `also` names columns in
    addition to those of `kind`; `add` takes their values.
    """

    def __init__(
        self,
        folder: Path,
        split: str,
        kind: type[Record],
        metadata: Mapping[str, str],
        *,
        also: Iterable[pa.Field] = (),
        rows_per_group: int = ROWS_PER_GROUP,
        rows_per_file: int = ROWS_PER_FILE,
    ) -> None:
        self._folder, self._split = folder, split
        self._rows_per_group, self._rows_per_file = rows_per_group, rows_per_file
        self._schema = pa.schema([*arrow_schema(kind), *also], metadata)
        self._waiting: list[dict[str, Any]] = []
        self._parts: list[Path] = []
        self._in_part = 0
        self._writer: pq.ParquetWriter | None = None
        folder.mkdir(parents=True, exist_ok=True)

    def add(self, row: Record, **also: Any) -> None:
        """Add one row."""
        self._waiting.append(row.model_dump() | also)
        if len(self._waiting) == self._rows_per_group:
            self._flush()

    def _flush(self) -> None:
        if self._writer is None:
            path = self._folder / f"{self._split}-{len(self._parts):05}.part"
            self._parts.append(path)
            # These options give reproducible bytes and let a reader check each page (pyarrow 21+).
            self._writer = pq.ParquetWriter(
                path,
                self._schema,
                compression="zstd",
                write_page_index=True,
                use_content_defined_chunking=True,
                write_page_checksum=True,
            )
        self._writer.write_table(
            pa.Table.from_pylist(self._waiting, schema=self._schema),
            row_group_size=self._rows_per_group,
        )
        self._in_part += len(self._waiting)
        self._waiting = []
        if self._in_part >= self._rows_per_file:
            self._end_part()

    def _end_part(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._writer, self._in_part = None, 0

    def close(self) -> list[Path]:
        """Write the remaining rows, give the files their final names, and return them."""
        if self._waiting:
            self._flush()
        self._end_part()
        total = len(self._parts)
        return [
            part.rename(self._folder / f"{self._split}-{number:05}-of-{total:05}.parquet")
            for number, part in enumerate(self._parts)
        ]


def write_entries(
    folder: Path,
    entries: Iterable[ReleaseItem],
    metadata: Mapping[str, str],
    withheld: Container[str] = (),
    sealed: Path | None = None,
) -> dict[str, int]:
    """Write `data/` and `evidence/`; return the number of rows by split.

    The answers of withheld splits and their evidence are written to the folder `sealed` only.
    """
    shards: dict[tuple[str, str], Shards] = {}

    def add(where: Path, config: str, split: str, row: Record) -> None:
        if (config, split) not in shards:
            shards[config, split] = Shards(where, split, type(row), metadata)
        shards[config, split].add(row)

    counts = dict.fromkeys(SPLITS, 0)
    for entry in entries:
        counts[entry.split] += 1
        if entry.split not in withheld:
            add(folder / "data", "data", entry.split, entry.question)
            add(folder / "evidence", "evidence", entry.split, entry.evidence)
            continue
        add(folder / "data", "data", entry.split, entry.blank())
        if sealed:
            add(sealed / "data", "sealed data", entry.split, entry.question)
            add(sealed / "evidence", "sealed evidence", entry.split, entry.evidence)
    for one in shards.values():
        one.close()
    return {split: count for split, count in counts.items() if count}


def write_sums(folder: Path) -> str:
    """Write SHA256SUMS for every file; return the digest of that list, the release's root digest."""
    text = "".join(
        f"{file_digest(path)}  {path.relative_to(folder).as_posix()}\n"
        for path in sorted(file for file in folder.rglob("*") if file.is_file())
    )
    (folder / "SHA256SUMS").write_text(text, encoding="utf-8")
    return hashlib.sha256(text.encode()).hexdigest()


def file_digest(path: Path) -> str:
    """Return the sha256 of a file, in bounded memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def settle(folder: Path) -> None:
    """Flush every file and folder to disk, before the rename that makes them a release."""
    for path in (*folder.rglob("*"), folder):
        sync(path)


def sync(path: Path) -> None:
    """Flush one file or folder to disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
