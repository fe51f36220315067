"""Load training rows with ms-swift's own loader, from another folder, and score replies: python check_swift.py ROWS."""

import json
import os
import sys
import tempfile
from pathlib import Path

rows = Path(sys.argv[1]).resolve()
os.chdir(tempfile.mkdtemp())
os.environ["MODELSCOPE_CACHE"] = os.environ["HF_HOME"] = str(Path.cwd())

from PIL import Image  # noqa: E402
from swift.dataset import load_dataset  # noqa: E402
from swift.rewards import orms  # noqa: E402
from swift.utils import import_external_file  # noqa: E402

loaded = {}
for path in sorted((rows / "swift").glob("*.jsonl")):
    # remove_unused_columns as for GRPO: rewards see the other columns.
    dataset, _ = load_dataset(
        str(path), strict=True, remove_unused_columns=False, load_from_cache_file=False
    )
    loaded[path.stem] = dataset
    for row in dataset:
        text = "".join(turn["content"] for turn in row["messages"])
        assert text.count("<image>") == len(row["images"]) > 0
        for image in row["images"]:
            assert Image.open(image["path"]).size[0] > 0, image
        assert json.loads(row["solution"])["format"]
import_external_file(str(rows / "egost_rewards.py"))  # as --external_plugins does
assert orms["egost_paper"]
for row in loaded["sft_think"]:
    reply = row["messages"][-1]["content"]
    assert orms["egost_ours"]()([reply], solution=[row["solution"]])[0] > 1
    known = json.loads(row["solution"])
    (paper,) = orms["egost_paper"](args=None)([reply], solution=[row["solution"]], id=[row["id"]])
    assert paper == (None if known["format"] == "open" else 1.0)
names = ", ".join(name for name in orms if name.startswith("egost_"))
counts = ", ".join(f"{len(dataset)} {name}" for name, dataset in loaded.items())
print(f"ms-swift: {counts}; rewards: {names}")  # noqa: T201
