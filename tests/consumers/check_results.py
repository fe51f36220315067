"""Read the exported results of an evaluation with Inspect's own code: python check_results.py RESULTS."""

import sys
from pathlib import Path

from inspect_ai.log import read_eval_log
from inspect_ai.scorer import SampleScore, accuracy, stderr

for path in sorted((Path(sys.argv[1]) / "exports").glob("inspect-*.json")):
    log = read_eval_log(str(path))
    assert log.status == "success"
    samples = [sample for sample in log.samples or () if sample.scores]
    assert len(samples) == log.results.completed_samples
    scores = [
        SampleScore(
            score=sample.scores["accuracy"],
            sample_id=sample.id,
            sample_metadata=sample.metadata,
        )
        for sample in samples
    ]
    (ours,) = [one for one in log.results.scores if one.name == "accuracy"]
    if log.eval.config.epochs == 1:  # egost averages an item's repeats first, Inspect doesn't
        assert abs(ours.metrics["accuracy"].value - accuracy()(scores)) < 1e-6
    error = stderr(cluster="split_group")(scores)
    low, high = (ours.metrics.get(name) for name in ("ci_low", "ci_high"))
    within = f", ours [{low.value:.3f}, {high.value:.3f}]" if low and high else ""
    found = f"accuracy {accuracy()(scores):.3f}, clustered error {error:.3f}{within}"
    print(f"inspect: {path.name}: {len(samples)} samples, {found}")  # noqa: T201
