"""Recording the sources found by a scan in an open workspace."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path

from pipeline.engine.rows import digest
from pipeline.engine.stage import SCAN
from pipeline.engine.workspace import Workspace
from pipeline.errors import UserError, plain
from pipeline.routes.settings import DraftSettings
from pipeline.sources.folders import readable, sha256_of
from pipeline.sources.repaired import RepairedCopies, Repairs, repair_all
from pipeline.sources.rows import Probe, Source
from pipeline.sources.scan import Scan, scan
from pipeline.sources.settings import IngestSettings

_CHECKED = "sources_checked"  # the note of a workspace with nothing that an older version misread


def take_in(workspace: Workspace, paths: Sequence[Path]) -> list[str]:
    """Record the video files in `paths`; return messages about removed and skipped files.

    A file that no longer exists in a scanned folder is removed, with everything derived from it.
    """
    settings = workspace.settings("ingest", IngestSettings)
    copies = RepairedCopies(workspace.store)
    known = copies.originals(workspace.store.rows(Source))
    if not paths and not known:
        raise UserError(
            str(workspace.folder.root),
            "no videos yet",
            "give a file or folder: egost frames PATH",
        )
    language = workspace.settings("draft", DraftSettings).language
    found = scan(paths, known, settings.consent, language)
    moved = _moved(found, known, workspace.store.rows(Probe))
    workspace.store.forget(SCAN, [*found.gone, *moved])
    left = {one.source_id: one for one in known if one.source_id not in (*found.gone, *moved)}
    left |= found.sources
    copies.drop_outdated(left, (*found.gone, *moved))
    keys = workspace.store.keys(SCAN)
    for source in copies.in_use(left).values():
        key = digest(source.as_key())
        if keys.get(source.source_id) != key:
            workspace.store.finish(SCAN, source.source_id, key, "done", [source])
    if workspace.store.note(_CHECKED) is None:
        from pipeline.sources.older import outdate_misread  # loads the decoder

        if outdate_misread(workspace.store):
            workspace.store.set_note(_CHECKED, "1")
    workspace.store.rebuild()
    return list(_messages(found, known, moved))


def repair_files(
    workspace: Workspace,
    files: Sequence[Path],
    rate: Fraction | None,
    count: Repairs,
    progress: Callable[[int, int], None],
) -> Iterator[str]:
    """Make copies of files that can't be used and record all files; yield what was done to each."""
    copies = RepairedCopies(workspace.store)
    for file in files:
        if file.resolve().is_relative_to(copies.folder.resolve()):
            raise UserError(readable(file), "a repaired copy", "give the original file")
    settings = workspace.settings("ingest", IngestSettings)
    known = copies.originals(workspace.store.rows(Source))
    found = scan(files, known, settings.consent)
    yield from repair_all(copies, list(found.sources.values()), rate, count, progress)
    yield from take_in(workspace, files)


def _moved(found: Scan, known: Sequence[Source], probes: Iterable[Probe]) -> dict[str, Source]:
    """Return, by the id of a known source whose folder is gone, the new source of the same file.

    A moved file keeps its name and size, and unless it was copied its modification time.
    """
    before = {source.source_id for source in known}
    new: dict[tuple[str, int], list[Source]] = defaultdict(list)
    for source in found.sources.values():
        if source.source_id not in before:
            new[_looks(source)].append(source)
    left = [one for one in known if one.source_id not in (*found.gone, *found.sources)]
    if not (new and left):
        return {}
    sha256 = {(probe.root, probe.path): probe.sha256 for probe in probes}
    moved = {}
    for old in left:
        if old.bytes < 0 or Path(old.root).exists():
            continue
        for now in new.get(_looks(old), ()):
            copied = old.mtime_ns != now.mtime_ns
            if not copied or sha256_of(Path(now.root, now.path)) == sha256.get(
                (old.root, old.path)
            ):
                moved[old.source_id] = now
                break
    return moved


def _looks(source: Source) -> tuple[str, int]:
    return Path(source.path).name, source.bytes


def _messages(found: Scan, known: Sequence[Source], moved: Mapping[str, Source]) -> Iterator[str]:
    """Yield messages about removed and skipped files; a file now found from another folder is kept."""
    there = {Path(source.root, source.path) for source in found.sources.values()}
    by_id = {source.source_id: source for source in known}
    gone = [
        by_id[one].path for one in found.gone if Path(by_id[one].root, by_id[one].path) not in there
    ]
    if gone:
        yield f"{_counted(len(gone), 'file')} no longer found, removed: {few(gone)}"
    moves = Counter((by_id[one].root, now.root) for one, now in moved.items())
    for (old, new), count in moves.items():
        yield f"{_counted(count, 'file')} moved: {plain(old)} is gone, the same are in {plain(new)}"
    looser = [now.path for one, now in moved.items() if now.consent != by_id[one].consent]
    if looser:
        yield f"{_counted(len(looser), 'moved file')} with another consent than before: {few(looser)}"
    if found.hidden_folders:
        names = Counter(readable(Path(path.name)) for path in found.hidden_folders)
        shown = few(name + f" ({n} times)" * (n > 1) for name, n in names.most_common())
        yield f"{_counted(len(found.hidden_folders), 'hidden or system folder')} not searched: {shown}"
    if found.hidden_videos:
        shown = few(readable(Path(path.name)) for path in found.hidden_videos)
        yield f"{_counted(len(found.hidden_videos), 'hidden video file')} skipped: {shown}"
    if found.unread:
        shown = few(
            f"{readable(Path(path.name))} ({why})" for path, why in sorted(found.unread.items())
        )
        yield f"{_counted(len(found.unread), 'file')} not read: {shown}"
    if found.skipped:
        kinds = Counter(path.suffix.lower() or "no suffix" for path in found.skipped)
        shown = few(f"{count} {kind}" for kind, count in kinds.most_common())
        yield f"{_counted(len(found.skipped), 'other file')} skipped: {shown}"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"


def few(texts: Iterable[str], most: int = 5) -> str:
    """Return the first texts on one line, and the number of the others."""
    every = [plain(text) for text in texts]
    return ", ".join(every[:most]) + (f" and {len(every) - most} more" if len(every) > most else "")
