"""Finding what an older version of this package read wrongly, so that this alone is done again."""

from collections import defaultdict
from pathlib import Path

from pipeline.engine.store import Store
from pipeline.errors import RowError
from pipeline.sources.copies import differ
from pipeline.sources.ingest import narrations_of
from pipeline.sources.rows import CopyConsent, Narration, Probe, Source
from pipeline.video import reader


def outdate_misread(store: Store) -> bool:
    """Mark the units of ingest and split whose rows are now different; return whether all were checked.

    Older versions lost all narrations of a file with one bad cue and read frame timecodes as hours; of
    two copies of a video only the first counted; mirrored videos were read as rotated, with left and right
    exchanged. A file that isn't there now can't be checked.
    """
    probes: dict[str, list[Probe]] = defaultdict(list)
    for probe in store.rows(Probe):
        probes[probe.video_id].append(probe)
    merged = {row.video_id for row in store.rows(CopyConsent)}
    if any(differ(copies) and video_id not in merged for video_id, copies in probes.items()):
        for unit in store.keys("split"):
            store.outdate("split", unit)
    stored: dict[str, set[str]] = defaultdict(set)
    for row in store.rows(Narration):
        stored[row.video_id].add(row.model_dump_json())
    sources = {(source.root, source.path): source for source in store.rows(Source)}
    complete = True
    for video_id, copies in probes.items():
        found = [(probe, sources.get((probe.root, probe.path))) for probe in copies]
        places = [(probe, source) for probe, source in found if source]
        if not all(Path(source.root, source.path).exists() for _, source in places):
            complete = False
            continue
        now = {
            row.model_dump_json()
            for probe, source in places
            for row in narrations_of(source, probe)
            if isinstance(row, Narration)
        }
        mirrored = any(_is_mirrored(probe, source) for probe, source in places)
        if now != stored[video_id] or mirrored:
            for _, source in places:
                store.outdate("ingest", source.source_id)
    return complete


def _is_mirrored(probe: Probe, source: Source) -> bool:
    """Return whether a video that was read as rotated is mirrored."""
    if not probe.rotation or probe.conversion:
        return False
    try:
        return "mirrored" in reader.probe(Path(source.root, source.path)).conversion
    except RowError:
        return False
