"""Load a release's dataset in VLMEvalKit: python check_vlmevalkit.py RELEASE FOLDER."""

import importlib.util
import json
import sys
from pathlib import Path

from vlmeval.smp import dump

release = Path(sys.argv[1]).resolve()
(path,) = (release / "adapters" / "vlmevalkit").glob("*.py")
spec = importlib.util.spec_from_file_location(path.stem, path)
adapter = importlib.util.module_from_spec(spec)
spec.loader.exec_module(adapter)
(kind,) = (value for value in vars(adapter).values() if getattr(value, "TYPE", "") == "Video-MCQ")
dataset = kind()
prompt = dataset.build_prompt(0)
pictures = [part["value"] for part in prompt if part["type"] == "image"]
assert pictures
assert all(Path(one).is_file() for one in pictures)
assert all(text in prompt[-1]["value"] for text in json.loads(dataset.data.iloc[0]["candidates"]))
replies = dataset.data.assign(prediction=dataset.data["answer"])
dump(replies, sys.argv[2] + "/replies.tsv")
scores = dataset.evaluate(sys.argv[2] + "/replies.tsv")
assert scores["overall"] == scores["readable"] == 1.0, scores
print(f"vlmevalkit: {len(dataset)} rows, {len(pictures)} frames each")  # noqa: T201
