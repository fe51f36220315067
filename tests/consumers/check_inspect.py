"""Load a release's task with frames, and its eval.yaml, in Inspect: python check_inspect.py RELEASE FOLDER.

FOLDER has the replies that same_replies.py wrote, and gets Inspect's logs.
"""

import json
import os
import sys
import tempfile
from pathlib import Path

import tiktoken
import yaml
from datasets import load_dataset
from inspect_ai import eval as evaluate
from inspect_ai._eval.task.hf import HFTask, _record_to_sample_hf
from inspect_ai.model import ModelOutput, get_model

release, folder = (Path(name).resolve() for name in sys.argv[1:3])
os.chdir(release)
# Inspect would download a table to count a mock model's tokens.
tiktoken.get_encoding = lambda name: type(
    "Encoding", (), {"encode": lambda self, text, **_: text.split()}
)()

(spec,) = yaml.safe_load(Path("eval.yaml").read_text(encoding="utf-8"))["tasks"]
task = HFTask.model_validate(spec)
# A cache of its own: another release in a folder of the same name would be found in the usual one.
rows = load_dataset(
    str(release), task.config, split=task.split, cache_dir=tempfile.mkdtemp(dir=folder)
)
sample = _record_to_sample_hf(rows[0], task.field_spec)
assert sample.choices == rows[0]["options"]
assert sample.target == rows[0]["answer"]


def scored(outputs: list[ModelOutput]) -> object:
    """Return the log of the release's own task with these outputs, in the order of its samples."""
    (log,) = evaluate(
        "adapters/inspect_task.py",
        model=get_model("mockllm/model", custom_outputs=outputs),
        display="none",
        log_dir=str(folder),
        max_samples=1,  # in order
        max_connections=1,
    )
    assert log.status == "success", log.error
    return log


log = scored([ModelOutput.from_content("mockllm", "ANSWER: A") for _ in rows])
share = sum(row["answer"] == "A" for row in rows) / len(rows)
metrics = log.results.scores[0].metrics
assert abs(metrics["accuracy"].value - share) < 1e-9
assert metrics["readable"].value == 1.0
kinds = [part.type for part in log.samples[0].messages[0].content]
assert kinds == ["text", "image"] * len(rows[0]["frames"]) + ["text"], kinds
pictures = kinds.count("image")
print(f"inspect: {len(rows)} samples, always A scores {share:.3f}, {pictures} frames each")  # noqa: T201

same = json.loads((folder / "replies.json").read_text(encoding="utf-8"))
given = [same["replies"][row["id"]] for row in rows]
log = scored(
    [ModelOutput.from_content("mockllm", one["reply"], stop_reason=one["finish"]) for one in given]
)
for sample, row in zip(log.samples, rows, strict=True):
    assert sample.id == row["id"]
    assert sample.output.completion == same["replies"][row["id"]]["reply"]
metrics, ours = log.results.scores[0].metrics, same["figures"]
for name in ("accuracy", "readable"):
    assert abs(metrics[name].value - ours[name]) < 1e-9, (name, metrics[name].value, ours[name])
# Inspect multiplies the variance by C / (C - 1) for C scenes, egost corrects it by their sizes (CR2).
error = metrics["stderr"].value
if ours["cr1"] is not None:
    assert abs(error - ours["cr1"]) < 1e-9, (error, ours["cr1"])
print(  # noqa: T201
    f"inspect: the same replies: accuracy {metrics['accuracy'].value:.4f} as in egost, clustered error {error:.4f} (C / (C - 1)), egost's {ours['cr2'] or 0:.4f} (CR2)"
)
