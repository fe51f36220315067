"""Make this folder's rows: runs with the code of commit bd52d40 and the worlds of `tests/worlds.py`.

    PYTHONPATH=CHECKOUT_OF_bd52d40 python make.py

The columns are those that were released with the questions at that time.
"""

import importlib.util
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.records import Answer, Clip, Item, Rejection, Route, Row, Step, Turn, Video, Written
from pipeline.route import fingerprint
from pipeline.settings import ComposeSettings
from pipeline.stages.compose import run
from pipeline.store import Place, Rows

HERE = Path(__file__).parent
# As many clips as show the leak.
CLIPS = {
    "houses": 300,
    "corridors": 300,
    "long_tail": 300,
    "paths": 300,
    "loops": 300,
    "aisles": 300,
    "out_and_back": 300,
    "right_streets": 300,
    "kitchens": 300,
    "habits": 300,
    "fair": 300,
}
EVERY = ["route", "direction", "landmark", "action"]


def worlds() -> Any:
    """Return `tests/worlds.py`."""
    spec = importlib.util.spec_from_file_location("worlds", HERE.parents[1] / "worlds.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def of_its_own(kitchen: str, text: str | None) -> str | None:
    """Name the things of a kitchen as they are called there: `the old fridge`."""
    if not text:
        return text
    lead, _, thing = text.rpartition(" ")
    look = random.Random(f"{kitchen} {thing}").choice(
        ("old", "new", "big", "small", "white", "blue")
    )
    return f"{lead} {look} {thing}"


def given(world: str, clips: int) -> Iterator[Row]:
    """Yield the rows of a workspace whose routes people have verified."""
    groups: dict[str, int] = {}
    for number, line in enumerate(worlds().routes(world, clips, 0)):
        group = groups.setdefault(line["group"], len(groups))
        split = "train" if group % 20 < 3 else "validation" if group % 20 == 3 else "test"
        at, steps = 0, []
        for seconds, move, landmark, action, undo in line["steps"]:
            end = at + round(seconds * 1e6)
            if world == "kitchens":
                # In the same words everywhere, this order was known and no action was asked about.
                action, undo = (of_its_own(line["scene"], text) for text in (action, undo))
            steps.append(
                Step(
                    start_us=at, end_us=end, move=move, landmark=landmark, action=action, undo=undo
                )
            )
            at = end
        video, clip = f"v_{number:08d}", f"c_{number:08d}"
        yield Video.model_construct(
            video_id=video,
            path=line["path"],
            scene=line["scene"],
            split_group=f"g_{group:04d}",
            split=split,
        )
        yield Clip(clip_id=clip, video_id=video, start_us=0, end_us=at)
        yield Route.model_construct(
            clip_id=clip,
            origin="verified",
            verified_categories=EVERY,
            fingerprint=fingerprint(steps, "there", "back"),
            steps=steps,
            forward_description="there",
            reverse_description="back",
            language="en",
        )


def released(world: str, clips: int) -> Iterator[dict[str, Any]]:
    """Yield the released multiple-choice rows, in the order of their ids."""
    tables: dict[type[Row], list[Any]] = {
        kind: [] for kind in (Video, Clip, Route, Turn, Written, Rejection, Answer)
    }
    for row in given(world, clips):
        tables[type(row)].append(row)
    with TemporaryDirectory() as folder:
        place = Place(Path(folder))
        (place.root / "secret").write_bytes(f"the world of {world}".encode())
        found = list(
            run(
                Rows({kind: tuple(rows) for kind, rows in tables.items()}), ComposeSettings(), place
            )
        )
    videos = {row.video_id: row for row in tables[Video]}
    spans = {row.clip_id: row for row in tables[Clip]}
    items = [row for row in found if isinstance(row, Item) and row.format == "mcq"]
    for item in sorted(items, key=lambda one: (one.split, one.item_id)):
        video, clip = videos[item.video_id], spans[item.clip_id]
        yield {
            "id": item.item_id,
            "scene_name": video.scene,
            "question_type": item.task,
            "question": item.question,
            "options": item.options,
            "answer": "ABCD"[item.answer_index or 0],
            "category": item.category,
            "orientation": item.orientation,
            "contrast": item.contrast,
            "video": video.path,
            "start": clip.start_us / 1e6,
            "end": clip.end_us / 1e6,
            "split_group": video.split_group,
            "split": item.split,
        }


def main() -> None:
    """Write one file for each world."""
    for world, clips in CLIPS.items():
        rows = list(released(world, clips))
        path = HERE / f"{world}.parquet"
        pq.write_table(pa.Table.from_pylist(rows), path, compression="zstd", compression_level=19)
        sys.stdout.write(f"{world}: {len(rows)} rows, {path.stat().st_size} bytes\n")


if __name__ == "__main__":
    main()
