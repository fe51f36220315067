"""Load a release's task in lmms-eval and score replies with it: python check_lmms_eval.py RELEASE."""

import os
import sys
from pathlib import Path

from lmms_eval.evaluator_utils import TaskOutput
from lmms_eval.tasks import TaskManager, get_task_dict

release = Path(sys.argv[1]).resolve()
os.chdir(release)
(path,) = (release / "adapters" / "lmms_eval").glob("*.yaml")
manager = TaskManager(include_path=str(path.parent))
task = get_task_dict([path.stem], manager)[path.stem]
docs = list(task.test_docs())
pictures = task.doc_to_visual(docs[0])
assert len(pictures) == len(docs[0]["frames"])
text = task.doc_to_text(docs[0])
assert docs[0]["question"] in text
assert all(
    f"{name}. {option}" in text for name, option in zip("ABCD", docs[0]["options"], strict=True)
)
assert task.doc_to_target(docs[0]) == docs[0]["answer"]
for reply, expected in (
    (docs[0]["answer"], {"failed": 0.0, "accuracy": 1.0, "readable": 1.0}),
    (f"Answer: {docs[0]['answer']}", {"failed": 0.0, "accuracy": 1.0, "readable": 1.0}),
    ("I think that A wall is seen", {"failed": 0.0, "accuracy": 0.0, "readable": 0.0}),
    ("[LMMS_EVAL_BUDGET_EXCEEDED]", {"failed": 1.0}),
):
    scores = task.process_results(docs[0], [reply])
    assert {name: one["score"] for name, one in scores.items()} == expected
# Standard errors are clustered by the group that the scores carry.
output = TaskOutput.from_taskdict(path.stem, task)
for doc in docs:
    for name, score in task.process_results(doc, ["A"]).items():
        output.sample_metrics[name, "none"].append(score)
output.calculate_clt_aggregate_metric()
if len({doc["split_group"] for doc in docs}) > 1:
    assert output.agg_metrics["accuracy_stderr_clustered,none"] != "N/A"
print(f"lmms-eval: task {path.stem}, {len(docs)} documents, {len(pictures)} frames each")  # noqa: T201
