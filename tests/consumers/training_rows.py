"""Make a small folder of training rows that trainers' loaders are tried on: python training_rows.py FOLDER."""

import shutil
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1] / name) for name in (".", "training")]

import made_rows  # noqa: E402

from pipeline.engine.folder import write_atomic  # noqa: E402
from pipeline.evaluate.results import packed  # noqa: E402
from pipeline.training.checking import check  # noqa: E402
from pipeline.training.formats import ROWS_FILE, write  # noqa: E402
from pipeline.training.rows import TrainingRow  # noqa: E402

folder = Path(sys.argv[1])
shutil.rmtree(folder, ignore_errors=True)
rows = made_rows.with_frames(made_rows.mixed(), folder)
write_atomic(folder / ROWS_FILE, packed(TrainingRow, rows))
written = write(rows, folder)
assert not written.refused, written.refused
assert not check(folder)
print(f"training rows: {len(rows)} in {len(written.files)} files: {folder}")  # noqa: T201
