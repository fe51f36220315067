"""Load a release's task with frames, and its eval.yaml, in Inspect: python check_inspect.py RELEASE LOGS."""

import os
import sys
from pathlib import Path

import tiktoken
import yaml
from datasets import load_dataset
from inspect_ai import eval as evaluate
from inspect_ai._eval.task.hf import HFTask, _record_to_sample_hf
from inspect_ai.model import ModelOutput, get_model

release = Path(sys.argv[1]).resolve()
os.chdir(release)
# Inspect would download a table to count a mock model's tokens.
tiktoken.get_encoding = lambda name: type(
    "Encoding", (), {"encode": lambda self, text, **_: text.split()}
)()

(spec,) = yaml.safe_load(Path("eval.yaml").read_text(encoding="utf-8"))["tasks"]
task = HFTask.model_validate(spec)
rows = load_dataset(str(release), task.config, split=task.split)
sample = _record_to_sample_hf(rows[0], task.field_spec)
assert sample.choices == rows[0]["options"]
assert sample.target == rows[0]["answer"]

answers = [ModelOutput.from_content("mockllm", "ANSWER: A") for _ in rows]
(log,) = evaluate(
    "adapters/inspect_task.py",
    model=get_model("mockllm/model", custom_outputs=answers),
    display="none",
    log_dir=sys.argv[2],
)
assert log.status == "success", log.error
share = sum(row["answer"] == "A" for row in rows) / len(rows)
metrics = log.results.scores[0].metrics
assert abs(metrics["accuracy"].value - share) < 1e-9
assert metrics["readable"].value == 1.0
assert metrics["stderr"].value > 0
kinds = [part.type for part in log.samples[0].messages[0].content]
assert kinds == ["text", "image"] * len(rows[0]["frames"]) + ["text"], kinds
pictures = kinds.count("image")
print(f"inspect: {len(rows)} samples, always A scores {share:.3f}, {pictures} frames each")  # noqa: T201
