"""The files of other tools' formats in a results folder.

exports/inspect-frames.json              for `inspect view`; one for each arm
exports/data/DATASET/DEVELOPER/MODEL/…   for Every Eval Ever, laid out as in its repository
"""

import json
from collections.abc import Sequence
from pathlib import Path

from pipeline.engine.folder import write_atomic
from pipeline.evaluate.every_eval import every_eval
from pipeline.evaluate.exports import About, slug
from pipeline.evaluate.inspect_log import inspect_log
from pipeline.evaluate.metrics import Metrics
from pipeline.evaluate.scoring import Scored


def write_exports(
    folder: Path, about: About, results: Sequence[Scored], metrics: Metrics
) -> list[Path]:
    """Write `exports/` into a results folder and return the files.

    `results` are without those of withheld splits, `metrics` are of what was scored.
    """
    found = every_eval(about, results, metrics)
    files = {
        f"inspect-{slug(arm)}.json": json.dumps(
            inspect_log(about, arm, results, metrics), ensure_ascii=False, allow_nan=False
        )
        for arm in metrics.arms
    }
    files[found.path] = json.dumps(found.aggregate, ensure_ascii=False, allow_nan=False, indent=1)
    if found.lines_path:
        files[found.lines_path] = found.lines
    written = [folder / "exports" / name for name in files]
    for path, text in zip(written, files.values(), strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, text.encode())
    return written
