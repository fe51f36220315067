"""Prepare a release's rows for supervised training with images in TRL: python check_trl.py RELEASE."""

import importlib.util
import sys
from pathlib import Path

from trl.data_utils import is_conversational, prepare_multimodal_messages

release = Path(sys.argv[1]).resolve()
spec = importlib.util.spec_from_file_location("trl_rows", release / "adapters" / "trl_rows.py")
adapter = importlib.util.module_from_spec(spec)
spec.loader.exec_module(adapter)
rows = adapter.load("train")
row = rows[0]
assert is_conversational(row)
messages = prepare_multimodal_messages(row["prompt"] + row["completion"], images=row["images"])
kinds = [part["type"] for part in messages[0]["content"]]
assert kinds.count("image") == len(row["images"]) > 0, kinds
assert adapter.reward([row["completion"]], [row["solution"]], [row["options"]]) == [1.0]
assert adapter.reward(["no idea"], [row["solution"]], [row["options"]]) == [0.0]
print(f"trl: {len(rows)} rows, {len(row['images'])} frames each, conversational")  # noqa: T201
