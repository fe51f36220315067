"""Take what a scan of the disk found into an open workspace."""

from collections.abc import Sequence
from pathlib import Path

from pipeline.engine import SCAN
from pipeline.errors import UserError
from pipeline.flow import Space
from pipeline.records import Source, digest
from pipeline.stages.ingest import IngestSettings, scan


def take_in(space: Space, paths: Sequence[Path]) -> list[str]:
    """Record the video files in `paths`; return what there is to say about the rest.

    A file that is gone from a folder that was looked at is forgotten, with all that followed from it.
    """
    settings = space.config.settings("ingest", IngestSettings)
    known = space.store.rows(Source)
    if not paths and not known:
        raise UserError(
            str(space.place.root),
            "no videos are known yet",
            "name a file or folder: egost frames PATH",
        )
    found = scan(paths, known, settings)
    gone = [
        source.source_id
        for source in known
        if source.root in found.roots and source.source_id not in found.sources
    ]
    space.store.forget(SCAN, gone)
    keys = space.store.keys(SCAN)
    for source in found.sources.values():
        key = digest(source.model_dump_json())
        if keys.get(source.source_id) != key:
            space.store.finish(SCAN, source.source_id, key, "done", [source])
    space.store.rebuild()
    lines = []
    if gone:
        lines.append(f"{len(gone)} files are gone and forgotten")
    if found.passed_over:
        lines.append(f"{found.passed_over} other files passed over")
    return lines
