"""Read a release: its manifest, its rows, and the candidate that its gates are recomputed from."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import isclose
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
from pipeline.releases.candidate import NO_WORDS, Place, ReleaseCandidate, Said, place_of
from pipeline.releases.gates import Gate
from pipeline.releases.layout import LETTERS, Evidence, QuestionRow, ReleaseItem
from pipeline.routes.route import MOVE_WORDS, canonical
from pipeline.routes.wording import FACT_WORDS

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

    def lacks(self, config: str) -> set[str]:
        """Return the columns that releases didn't have yet when this one was made."""
        kind = CONFIGS[config]
        known = {name for path in self.files(config) for name in _schema(path).names}
        return {*kind.model_fields} - known if known else set()

    def entries(self, sealed: Path | None = None) -> Iterator[ReleaseItem]:
        """Yield every item with its evidence; those of withheld splits only if `sealed` is given.

        The evidence of an earlier release takes its video and times from the question.
        """
        withheld = set(self.manifest["withheld"])
        answers = Released(sealed, self.manifest) if sealed else None
        evidence = {row.id: row for row in self.evidence()}
        if answers:
            evidence |= {row.id: row for row in answers.evidence()}
        open_rows = (pair for pair in self.questions() if pair[0] not in withheld)
        for split, question in (*open_rows, *(answers.questions() if answers else ())):
            if question.id not in evidence:
                raise GateError(question.id, "has no evidence row", NEW_COPY)
            yield ReleaseItem(split, question, _located(evidence[question.id], question))

    @property
    def said(self) -> dict[str, Said]:
        """The words of each language; earlier releases have one language, and words for moves alone."""
        known = self.manifest.get("languages") or {
            self.manifest.get("language", "en"): {"moves": self.manifest.get("moves", {})}
        }
        try:
            return {language: _said(words) for language, words in known.items()}
        except (AttributeError, KeyError, IndexError, ValueError) as error:
            path = self.folder / "manifest.json"
            raise GateError(str(path), f"has damaged words: {error!r}", NEW_COPY) from error

    def candidate(self) -> ReleaseCandidate:
        """Return the items whose answers are published, with everything that the gates need."""
        least = self.manifest["settings"]["export"]["min_verified"]
        return candidate_of(self.entries(), least, self.said)

    def questions_alone(self) -> ReleaseCandidate:
        """Return every item without its evidence, which is all that a withheld split contains."""
        items, places = [], dict[str, Place]()
        for split, row in self.questions():
            items.append(_item(row, split))
            _note(places, items[-1], row)
        return ReleaseCandidate(tuple(items), places, {}, 0.0)


def _said(words: Mapping[str, Mapping[Any, str]]) -> Said:
    facts = {**dict.fromkeys(FACT_WORDS, ""), **words.get("facts", {})}
    for text in facts.values():
        text.format(nth="", side="", first="", second="")
    moves = words.get("moves", {})
    return Said({move: moves.get(move, own) for move, own in MOVE_WORDS.items()}, facts)


def candidate_of(
    entries: Iterable[ReleaseItem], min_verified: float, said: Mapping[str, Said]
) -> ReleaseCandidate:
    """Return released items as a candidate for the gates; `said` are the words of each language."""
    items, places, verified_by, visible = [], dict[str, Place](), {}, {}
    (first, *_) = said.values()
    for entry in entries:
        evidence = entry.evidence
        item = _item(entry.question, entry.split, evidence)
        items.append(item)
        words = said.get(entry.question.language or "", first)
        _note(places, item, entry.question, evidence, words)
        verified_by[evidence.id] = frozenset(evidence.verified_by)
        visible[evidence.id] = tuple(evidence.visible)
    return ReleaseCandidate(tuple(items), places, verified_by, min_verified, visible)


def _located(evidence: Evidence, question: QuestionRow) -> Evidence:
    if question.video_sha256 is None:
        return evidence
    return evidence.model_copy(
        update={
            "video_sha256": question.video_sha256,
            "span_start": question.start,
            "span_end": question.end,
        }
    )


def _note(
    places: dict[str, Place],
    item: Item,
    question: QuestionRow,
    evidence: Evidence | None = None,
    said: Said | None = None,
) -> None:
    """Record what an item asks about; raise GateError if its rows disagree."""
    start, end, video = question.start, question.end, question.video_sha256
    if video is None and start != 0:
        raise GateError(question.id, "doesn't start at 0, where its span does", NEW_COPY)
    if evidence and evidence.span_start is not None and evidence.span_end is not None:
        start, end, video = evidence.span_start, evidence.span_end, evidence.video_sha256
        length = question.end - question.start
        if not isclose(length, end - start, abs_tol=1e-5):
            what = f"lasts {length:g} s, but {end - start:g} s in its evidence"
            raise GateError(question.id, what, NEW_COPY)
    found = Place(
        question.split_group,
        video or question.video,
        round(start * 1e6),
        round(end * 1e6),
        tuple(question.frames),
        # An item that an earlier version composed is judged by its whole clip, in canonical form.
        canonical(evidence.steps) if evidence else (),
        said or NO_WORDS,
    )
    if places.setdefault(place_of(item), found) != found:
        raise GateError(question.id, "contradicts earlier rows of the same span", NEW_COPY)


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
    """Raise GateError unless the file's columns are this type's fields; those with defaults may be missing."""
    found, wanted = _schema(path), arrow_schema(kind)
    names = [name for name in wanted.names if name in found.names or _needed(kind, name)]
    differing = sorted(
        name
        for name in {*found.names, *names}
        if name not in found.names
        or name not in wanted.names
        or found.field(name).type != wanted.field(name).type
        or found.field(name).nullable > wanted.field(name).nullable
    )
    if differing or found.names != names:
        what = f"columns differ from those of a release: {', '.join(differing) or 'their order'}"
        raise GateError(str(path), what, "read it with the version of egost that wrote it")


def _schema(path: Path) -> pa.Schema:
    try:
        return pq.read_schema(path)
    except (pa.ArrowException, OSError) as error:
        raise GateError(str(path), f"not readable as Parquet: {error}", NEW_COPY) from error


def _needed(kind: type[Record], name: str) -> bool:
    return kind.model_fields[name].is_required()


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
    """Yield the rows of one file; a column that releases didn't have yet when it was made has its default."""
    check_schema(path, kind)
    wanted = arrow_schema(kind)
    names = columns or wanted.names
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            stored = [name for name in names if name in file.schema_arrow.names]
            for batch in file.iter_batches(_ROWS_AT_ONCE, columns=stored):
                yield pa.RecordBatch.from_arrays(
                    [
                        batch.column(name)
                        if name in stored
                        else pa.array(
                            [kind.model_fields[name].get_default(call_default_factory=True)]
                            * batch.num_rows,
                            wanted.field(name).type,
                        )
                        for name in names
                    ],
                    schema=pa.schema([wanted.field(name) for name in names]),
                )
    except (pa.ArrowException, OSError) as error:
        raise GateError(str(path), f"has damaged rows: {error}", NEW_COPY) from error


def _item(question: QuestionRow, split: str, evidence: Evidence | None = None) -> Item:
    """Return a released item. Its place is its span; a whole clip is one by its video and times."""
    letter = question.answer
    flips, facts = (evidence.flips, evidence.facts) if evidence else ([], [])
    composed = "facts" if facts else "square" if flips else None
    place = question.video
    if question.video_sha256 is not None:
        place = f"{question.video_sha256} {question.start} {question.end}"
    return Item.model_validate(
        {
            "item_id": question.id,
            "clip_id": evidence.clip_id if evidence else place,
            "video_id": (evidence and evidence.video_sha256) or question.video,
            "span_id": place,
            "twin": evidence.twin if evidence else None,
            "split": split,
            "task": question.question_type,
            "category": question.category,
            "orientation": question.orientation,
            "format": question.format,
            "question": question.question,
            "options": question.options,
            "answer_index": None if letter is None else LETTERS.find(letter),
            "answer_text": question.answer_text or "",
            "option_kind": composed or ("model" if question.options else None),
            "contrast": question.contrast,
            "facts": facts,
            "flips": flips,
            "reference_moves": evidence.reference_moves if evidence else [],
            "reference_landmarks": evidence.reference_landmarks if evidence else [],
            "status": evidence.status if evidence else "draft",
            "status_reason": None,
            "fingerprint": evidence.fingerprint if evidence else "",
        }
    )
