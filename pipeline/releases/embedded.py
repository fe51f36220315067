"""A second copy of the question rows with the frames embedded, for readers that load Parquet alone."""

import json
from collections.abc import Mapping

import pyarrow as pa

from pipeline.releases.layout import QuestionRow, Shards
from pipeline.releases.reading import Released

CONFIG = "with_frames"
# A frame has about 60 kB and a row has 8: 50 MB in memory at once, 0.5 GB per file.
_ROWS_PER_GROUP, _ROWS_PER_FILE = 100, 1000
_IMAGES = pa.field("images", pa.list_(pa.struct({"bytes": pa.binary(), "path": pa.string()})))
# Tells `datasets` that these bytes are images.
_FEATURES = {"images": {"feature": {"_type": "Image"}, "_type": "List"}}


def write_embedded(released: Released, metadata: Mapping[str, str]) -> None:
    """Write `with_frames/` into a release that already has `data/` and `frames/`.

    `images` holds the files that `frames` names; it is empty where a licence forbids redistribution.
    """
    known = {**metadata, "huggingface": json.dumps({"info": {"features": _FEATURES}})}
    shards: dict[str, Shards] = {}
    for split, row in released.questions():
        if split not in shards:
            shards[split] = Shards(
                released.folder / CONFIG,
                split,
                QuestionRow,
                known,
                also=[_IMAGES],
                rows_per_group=_ROWS_PER_GROUP,
                rows_per_file=_ROWS_PER_FILE,
            )
        files = [(name, released.folder / name) for name in row.frames]
        images = [
            {"bytes": file.read_bytes(), "path": name} for name, file in files if file.is_file()
        ]
        shards[split].add(row, images=images)
    for one in shards.values():
        one.close()
