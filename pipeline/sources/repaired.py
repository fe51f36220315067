"""Repaired copies of videos that were refused: they take the place of their originals.

A copy has no fields of its own. At every scan it gets the consent, the other manifest fields and the
narrations that its original has then, and it goes when its original goes or changes.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from pydantic import BaseModel, TypeAdapter

from pipeline.engine.rows import digest
from pipeline.engine.store import Store
from pipeline.errors import RowError, UserError, plain
from pipeline.sources.copies import strictest
from pipeline.sources.folders import readable, sha256_of
from pipeline.sources.rows import Consent, Lens, Source
from pipeline.video import sniff
from pipeline.video.lens_tags import read_lens

_NOTE = "repaired copies"
_SUFFIX = ".mp4"


class RepairedCopy(BaseModel):
    """A copy: its folder, in that of all copies, its path there, and its original as it was.

    The lens is the original's according to its container, which the copy may not have.
    """

    folder: str
    path: str
    original: Source
    sha256: str
    hfov_degrees: float | None = None
    lens: Lens | None = None


_COPIES = TypeAdapter(dict[str, RepairedCopy])


class RepairedCopies:
    """The repaired copies of a workspace, by the id of their original."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.root = store.folder.root.absolute()
        self.folder = self.root / "repaired"
        self.unfinished = store.folder.unfinished / f"repaired{_SUFFIX}"
        self._copies = _COPIES.validate_json(store.note(_NOTE) or "{}")

    def originals(self, known: Iterable[Source]) -> list[Source]:
        """Return sources with originals in the place of their copies."""
        return [self._original(source) for source in known]

    def _original(self, source: Source) -> Source:
        copy = self._copies.get(source.source_id)
        if copy is None or Path(source.root) == Path(copy.original.root):
            return source
        places = ("root", "path", "bytes", "mtime_ns", "hfov_degrees", "lens")
        return source.model_copy(update={name: getattr(copy.original, name) for name in places})

    def in_use(self, sources: Mapping[str, Source]) -> dict[str, Source]:
        """Return sources with copies in the place of their originals.

        A copy gets the strictest consent that any file with the content of its original has.
        """
        return {name: self._in_use(one, sources.values()) for name, one in sources.items()}

    def _in_use(self, source: Source, every: Iterable[Source]) -> Source:
        copy = self._copies.get(source.source_id)
        if copy is None or not self.is_current(source):
            return source
        consents: list[Consent] = [source.consent]
        for other in every:
            file = Path(other.root, other.path)
            if other.bytes == source.bytes and other.source_id != source.source_id:
                try:
                    same = sha256_of(file) == copy.sha256
                except OSError:  # it may be the same
                    same = True
                consents += [other.consent] * same
        file = self.file(copy)
        self._link(source, file)
        status = file.stat()
        return source.model_copy(
            update={
                "root": str(self.folder / copy.folder),
                "path": copy.path,
                "bytes": status.st_size,
                "mtime_ns": status.st_mtime_ns,
                "consent": strictest(consents),
                "hfov_degrees": source.hfov_degrees or copy.hfov_degrees,
                "lens": source.lens or copy.lens,
            }
        )

    def is_current(self, source: Source) -> bool:
        """Return whether a source has a copy that was made from the file as it is now."""
        copy = self._copies.get(source.source_id)
        if copy is None or not self.file(copy).is_file():
            return False
        now, then = source, copy.original
        return (now.bytes, now.mtime_ns) == (then.bytes, then.mtime_ns)

    def _link(self, source: Source, copy: Path) -> None:
        """Make the original's narration files appear next to the copy."""
        for name in source.sidecars:
            link, there = copy.with_name(name), Path(source.root, source.path).with_name(name)
            if not link.is_symlink() or link.readlink() != there:
                link.unlink(missing_ok=True)
                link.symlink_to(there)

    def file(self, copy: RepairedCopy) -> Path:
        """Return the file of a copy."""
        return self.folder / copy.folder / copy.path

    def add(self, copy: RepairedCopy) -> None:
        """Record a copy."""
        self._copies[copy.original.source_id] = copy
        self._save()

    def drop_outdated(self, sources: Mapping[str, Source], gone: Iterable[str]) -> None:
        """Delete copies whose originals are gone or have changed since."""
        outdated = self._copies.keys() & {
            *gone,
            *(name for name, one in sources.items() if one.bytes >= 0 and not self.is_current(one)),
        }
        for name in outdated:
            file = self.file(self._copies.pop(name))
            for path in (file, *file.parent.glob("*")):
                if path == file or (path.is_symlink() and not path.exists()):
                    path.unlink(missing_ok=True)
        if outdated:
            self._save()

    def _save(self) -> None:
        self._store.set_note(_NOTE, _COPIES.dump_json(self._copies).decode())


@dataclass
class Repairs:
    """How many files were repaired, needed no repair, and can't be repaired."""

    repaired: int = 0
    kept: int = 0
    sound: int = 0
    failed: int = 0

    def __str__(self) -> str:
        total = self.repaired + self.kept + self.sound + self.failed
        parts = [f"{self.repaired} repaired"]
        parts += [f"{self.kept} repaired earlier"] if self.kept else []
        parts += [f"{self.sound} need{'s' * (self.sound == 1)} no repair"] if self.sound else []
        parts += [f"{self.failed} can't be repaired"] if self.failed else []
        return f"repair: {total} file{'s' * (total != 1)}: {', '.join(parts)}"

    def raise_for_failed(self) -> None:
        """Raise UserError if a file can't be repaired."""
        if self.failed:
            what = f"{self.failed} file{'s' * (self.failed != 1)} can't be repaired"
            raise UserError("repair", what, "see the fix of each file above")


def repair_all(
    copies: RepairedCopies,
    sources: Sequence[Source],
    rate: Fraction | None,
    count: Repairs,
    progress: Callable[[int, int], None],
) -> Iterator[str]:
    """Make and record a copy of each source that can't be used; yield what was done to each file."""
    for number, source in enumerate(sources):
        progress(number, len(sources))
        try:
            yield f"{plain(source.path)}: {_repaired(copies, source, rate, count)}"
        except RowError as error:
            count.failed += 1
            yield f"{plain(source.path)}: can't be repaired: {plain(error.what)}"
            yield f"  fix: {plain(error.fix)}"
    progress(len(sources), len(sources))


def _repaired(copies: RepairedCopies, source: Source, rate: Fraction | None, count: Repairs) -> str:
    # PyAV and OpenCV: a scan with nothing to repair doesn't wait for them.
    from pipeline.video.repair import fault, repair

    if copies.is_current(source) and rate is None:
        count.kept += 1
        return "repaired earlier, and not changed since"
    file = Path(source.root, source.path)
    sniff.refuse_by_bytes(file)
    why = fault(file, copies.root)
    if why is None:
        count.sound += 1
        return "needs no repair"
    copies.unfinished.parent.mkdir(parents=True, exist_ok=True)
    try:
        did, info = repair(file, copies.unfinished, copies.root, rate)
        tags = read_lens(file, {}, info.width, info.height)
        copy = RepairedCopy(
            folder=digest(source.root)[:8],
            path=f"{source.path}{_SUFFIX}",
            original=source,
            sha256=sha256_of(file),
            hfov_degrees=tags.hfov_degrees,
            lens=tags.lens,
        )
        target = copies.file(copy)
        target.parent.mkdir(parents=True, exist_ok=True)
        copies.unfinished.replace(target)
    finally:
        copies.unfinished.unlink(missing_ok=True)
    copies.add(copy)
    count.repaired += 1
    return f"{plain(why.what)}: {did}, {info.duration_us / 1e6:.1f} s; {readable(target)}"
