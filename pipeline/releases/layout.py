"""What a release looks like on disk: its row types, its Parquet, its checksums."""

import hashlib
import os
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.engine.arrow import arrow_schema
from pipeline.engine.rows import Record
from pipeline.routes.rows import Step

SPLITS = ("train", "validation", "test")
LETTERS = "ABCDEFGHIJ"  # four are wanted; a release that admits its failed gates may hold others
GLANCE = "glance"  # a measured look aside and back, among the kinds of turns


class QuestionRow(Record):
    """One released row of the `default` config: what a model is asked, and the answer.

    `frames` are files of the release at equal distances, as many for every clip; `frame_seconds`,
    `start` and `end` are video time. Where the answers of a split are withheld, they are null.
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
    video_sha256: str
    start: float
    end: float
    split_group: str
    frames: list[str]
    frame_seconds: list[float]


class Evidence(Record):
    """One released row of the `evidence` config: what the answer of the same id rests on.

    `turn_kinds` are left, right, around or glance; degrees are positive to the left.
    `written_evidence` is what a model that wrote the item says it rests on, at `written_seconds` of the
    video. `human_right` of `human_answers` people who did not see the answer chose it: how hard the item is.
    Kept apart from the question: the number of turns or keyframes beside it would tell the answer.
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


@dataclass(frozen=True)
class ReleaseItem:
    """One item on its way out: its split, its question row, and what its answer rests on."""

    split: str
    question: QuestionRow
    evidence: Evidence

    def blank(self) -> QuestionRow:
        """Return the question row without its answer."""
        return self.question.model_copy(
            update={"ground_truth": None, "answer": None, "answer_text": None}
        )


ROWS_PER_GROUP = 1000
ROWS_PER_FILE = 100_000  # about 20 MB: small enough to look at, and few files for a million rows


class Shards:
    """Writes the rows of one config and split: `<split>-00000-of-00003.parquet`, in bounded memory.

    The same rows give the same bytes, under one version of pyarrow. `also` names columns beside
    those of `kind`, whose values each row brings along.
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
            # These options give the same bytes twice and let a reader check a page (pyarrow 21+).
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
        """Write what is left, give the files their names, and return them."""
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
    """Write `data/` and `evidence/` and return how many rows each split has.

    The answers of withheld splits, and their evidence, go to the folder `sealed` alone.
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
    """Write SHA256SUMS over every file; return its own digest, the release's root digest."""
    text = "".join(
        f"{file_digest(path)}  {path.relative_to(folder).as_posix()}\n"
        for path in sorted(file for file in folder.rglob("*") if file.is_file())
    )
    (folder / "SHA256SUMS").write_text(text, encoding="utf-8")
    return hashlib.sha256(text.encode()).hexdigest()


def file_digest(path: Path) -> str:
    """Return the sha256 of a file, read a piece at a time."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def settle(folder: Path) -> None:
    """Flush every file and folder to disk before the rename makes them a release."""
    for path in (*folder.rglob("*"), folder):
        sync(path)


def sync(path: Path) -> None:
    """Flush one file or folder to disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
