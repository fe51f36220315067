"""Recording the sources found by a scan in an open workspace."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from pipeline.engine.rows import digest
from pipeline.engine.stage import SCAN
from pipeline.engine.workspace import Workspace
from pipeline.errors import UserError, plain
from pipeline.routes.settings import DraftSettings
from pipeline.sources.folders import readable
from pipeline.sources.rows import Source
from pipeline.sources.scan import Scan, scan
from pipeline.sources.settings import IngestSettings


def take_in(workspace: Workspace, paths: Sequence[Path]) -> list[str]:
    """Record the video files in `paths`; return messages about removed and skipped files.

    A file that no longer exists in a scanned folder is removed, with everything derived from it.
    """
    settings = workspace.settings("ingest", IngestSettings)
    known = workspace.store.rows(Source)
    if not paths and not known:
        raise UserError(
            str(workspace.folder.root),
            "no videos yet",
            "give a file or folder: egost frames PATH",
        )
    language = workspace.settings("draft", DraftSettings).language
    found = scan(paths, known, settings.consent, language)
    workspace.store.forget(SCAN, found.gone)
    keys = workspace.store.keys(SCAN)
    for source in found.sources.values():
        key = digest(source.model_dump_json())
        if keys.get(source.source_id) != key:
            workspace.store.finish(SCAN, source.source_id, key, "done", [source])
    workspace.store.rebuild()
    return list(_messages(found, known))


def _messages(found: Scan, known: Sequence[Source]) -> Iterator[str]:
    """Yield messages about removed and skipped files; a file now found from another folder is kept."""
    there = {Path(source.root, source.path) for source in found.sources.values()}
    by_id = {source.source_id: source for source in known}
    gone = [
        by_id[one].path
        for one in found.gone
        if one not in found.moved and Path(by_id[one].root, by_id[one].path) not in there
    ]
    if gone:
        yield f"{_counted(len(gone), 'file')} no longer found, removed: {few(gone)}"
    moves = Counter((by_id[one].root, found.sources[now].root) for one, now in found.moved.items())
    for (old, new), count in moves.items():
        yield f"{_counted(count, 'file')} moved: {plain(old)} is gone, the same are in {plain(new)}"
    if found.hidden_folders:
        names = Counter(readable(Path(path.name)) for path in found.hidden_folders)
        shown = few(name + f" ({n} times)" * (n > 1) for name, n in names.most_common())
        yield f"{_counted(len(found.hidden_folders), 'hidden or system folder')} not searched: {shown}"
    if found.hidden_videos:
        shown = few(readable(Path(path.name)) for path in found.hidden_videos)
        yield f"{_counted(len(found.hidden_videos), 'hidden video file')} skipped: {shown}"
    if found.unread:
        shown = few(f"{readable(Path(path.name))} ({why})" for path, why in found.unread.items())
        yield f"{_counted(len(found.unread), 'narration file')} not read: {shown}"
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
