"""Load a release's task in lmms-eval and score replies with it: python check_lmms_eval.py RELEASE FOLDER.

FOLDER has the replies that same_replies.py wrote. Without torch, empty stand-ins take its place.
"""

import json
import os
import sys
import tempfile
from pathlib import Path

from without_torch import stand_in

WITHOUT_TORCH = stand_in()
os.environ["HF_DATASETS_CACHE"] = tempfile.mkdtemp()  # no rows of another release

from lmms_eval.evaluator_utils import TaskOutput  # noqa: E402
from lmms_eval.tasks import TaskManager, get_task_dict  # noqa: E402

release, folder = (Path(name).resolve() for name in sys.argv[1:3])
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
# The same replies as egost scored: the same accuracy. lmms-eval's clustered error has no correction for few scenes,
# and it doesn't tell adapters why a reply ended.
same = json.loads((folder / "replies.json").read_text(encoding="utf-8"))
ours = same["without_finish"]
output = TaskOutput.from_taskdict(path.stem, task)
for doc in docs:
    reply = same["replies"][doc["id"]]["reply"]
    for name, score in task.process_results(doc, [reply]).items():
        output.sample_metrics[name, "none"].append(score)
output.calculate_aggregate_metric(bootstrap_iters=0)
output.calculate_clt_aggregate_metric()
for name in ("accuracy", "readable"):
    value = output.agg_metrics[f"{name},none"]
    assert abs(value - ours[name]) < 1e-9, (name, value, ours[name])
error = output.agg_metrics["accuracy_stderr_clustered,none"]
if ours["miller"] is not None and len({doc["split_group"] for doc in docs}) > 1:
    assert abs(error - ours["miller"]) < 1e-9, (error, ours["miller"])
shown = error if isinstance(error, str) else f"{error:.4f}"
told = f"accuracy {ours['accuracy']:.4f} as in egost, clustered error {shown} (Miller), egost's {ours['cr2'] or 0:.4f} (CR2)"
print(f"lmms-eval: task {path.stem}, {len(docs)} documents, {len(pictures)} frames each")  # noqa: T201
print(f"lmms-eval{' (without torch)' if WITHOUT_TORCH else ''}: the same replies: {told}")  # noqa: T201
