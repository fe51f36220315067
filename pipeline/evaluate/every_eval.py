"""Results as Every Eval Ever asks: an aggregate, and a line for each prediction (schemas of version 0.3.0). Pure."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.evaluate import exports
from pipeline.evaluate.cells import ALL
from pipeline.evaluate.exports import About
from pipeline.evaluate.intervals import Figure
from pipeline.evaluate.metrics import ArmMetrics, Metrics
from pipeline.evaluate.scoring import Scored

_SCHEMA = "0.3.0"


@dataclass(frozen=True)
class EveryEval:
    """An aggregate and its lines, with their paths in a repository of such files; no lines, no second path."""

    path: str
    aggregate: Mapping[str, Any]
    lines_path: str | None
    lines: str


def every_eval(
    about: About, results: Sequence[Scored], metrics: Metrics, organization: str = "unknown"
) -> EveryEval:
    """Return the results as Every Eval Ever asks; `results` without those of withheld splits.

    `organization` is who ran the evaluation.
    """
    parts = [_portable(part) for part in about.model.split("/")]
    developer, *rest = parts if len(parts) > 1 else ("unknown", *parts)
    model = "/".join((developer, *rest))
    stem = exports.stable_uuid(about, "every eval")
    # The tool looks models up by path, so a path is spelled as the model is.
    folder = "/".join(("data", exports.slug(about.dataset), developer, "_".join(rest)))
    stamp = str(about.made.timestamp())
    run = f"{exports.slug(about.dataset)}/{model}/{stamp}"
    lines = "".join(
        json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n"
        for one in results
        if (line := _line(about, one, run, model))
    )
    lines_path = f"{folder}/{stem}_samples.jsonl" if lines else None
    aggregate: dict[str, Any] = {
        "schema_version": _SCHEMA,
        "evaluation_id": run,
        "evaluation_timestamp": about.made.isoformat(timespec="seconds"),
        "retrieved_timestamp": stamp,
        "source_metadata": {
            "source_name": "egost evaluate",
            "source_type": "evaluation_run",
            "source_organization_name": organization,
            "evaluator_relationship": "other",
        },
        "eval_library": {"name": "egost", "version": about.code},
        "model_info": {
            "name": about.model,
            "id": model,
            "developer": developer,
            "additional_details": {
                "deployment_type": "unknown",
                "model_availability": "unknown",
                "base_url": about.base_url,
            },
        },
        "evaluation_results": list(_results(about, metrics)),
    }
    if lines_path:
        aggregate["detailed_evaluation_results"] = {
            "format": "jsonl",
            "file_path": lines_path,
            "hash_algorithm": "sha256",
            "checksum": hashlib.sha256(lines.encode()).hexdigest(),
            "total_rows": lines.count("\n"),
        }
    return EveryEval(f"{folder}/{stem}.json", aggregate, lines_path, lines)


def _portable(name: str) -> str:
    """Return a part of a model's name as a file name that every system takes."""
    return re.sub(r'[<>:"\\|?*\x00-\x1f]', "_", name).strip(". ") or "unknown"


def _results(about: About, metrics: Metrics) -> Iterator[dict[str, Any]]:
    """Yield each arm's figures of all items and of each task; what is withheld is left out."""
    for arm, figures in metrics.arms.items():
        for metric in exports.PARTS:
            parts = getattr(figures, metric)
            cells = {ALL: parts.get(ALL, {}).get(ALL), **parts.get("task", {})}
            for label, figure in cells.items():
                if figure is not None and figure.value is not None:
                    yield _result(about, arm, figures, metric, label, figure)


def _result(
    about: About, arm: str, figures: ArmMetrics, metric: str, label: str, figure: Figure
) -> dict[str, Any]:
    uncertainty: dict[str, Any] = {"num_samples": figure.items}
    if figure.low is not None and figure.high is not None:
        uncertainty["confidence_interval"] = {
            "lower": round(figure.low, 4),
            "upper": round(figure.high, 4),
            "confidence_level": 0.95,
            "method": exports.METHOD,
        }
    more = {"groups": str(figure.groups), "coverage": f"{figures.coverage:.4f}"}
    if label == ALL:
        more |= {outcome: str(count) for outcome, count in figures.outcomes.items()}
    return {
        "evaluation_result_id": _result_id(arm, metric, label),
        "evaluation_name": f"{about.dataset} {arm}" + (f" {label}" if label != ALL else ""),
        "source_data": {
            "dataset_name": about.dataset,
            "source_type": "other",
            "additional_details": {
                "version": about.version,
                "release_sha256": about.release_sha256,
            },
        },
        "evaluation_timestamp": about.made.isoformat(timespec="seconds"),
        "metric_config": {
            "evaluation_description": exports.PARTS[metric],
            "metric_id": metric if metric == "accuracy" else f"{metric}_accuracy",
            "metric_kind": "accuracy",
            "metric_unit": "proportion",
            "lower_is_better": False,
            "score_type": "continuous",
            "min_score": 0,
            "max_score": 1,
        },
        "score_details": {
            "score": round(figure.value or 0.0, 4),
            "details": more,
            "uncertainty": uncertainty,
        },
        "generation_config": {
            "generation_args": {
                **exports.generation(about.settings),
                "prompt_template": about.prompt,
            },
            "additional_details": exports.details(about, arm),
        },
    }


def _line(about: About, one: Scored, run: str, model: str) -> dict[str, Any] | None:
    row, question = one.prediction, one.question
    if one.outcome == "failed":
        return None
    text, right = exports.asked(question), exports.letter_of(one.true)
    line: dict[str, Any] = {
        "schema_version": _SCHEMA,
        "evaluation_id": run,
        "model_id": model,
        "evaluation_name": f"{about.dataset} {one.arm}",
        "evaluation_result_id": _result_id(one.arm, "accuracy", ALL),
        "sample_id": question.id,
        "sample_hash": hashlib.sha256((text + right).encode()).hexdigest(),
        "interaction_type": "single_turn",
        "input": {"raw": text, "reference": [right], "choices": list(question.options)},
        "output": {
            "raw": [row.reply or ""],
            "reasoning_trace": [row.reasoning] if row.reasoning else None,
        },
        "answer_attribution": [
            {
                "turn_idx": 0,
                "source": "output.raw",
                "extracted_value": one.letter or "",
                "extraction_method": about.reading,
                "is_terminal": True,
            }
        ],
        "evaluation": {
            "score": float(one.outcome == "right"),
            "is_correct": one.outcome == "right",
        },
        "metadata": {name: str(value) for name, value in exports.cells_of(one).items()},
    }
    if row.input_tokens is not None and row.output_tokens is not None:
        line["token_usage"] = {
            "input_tokens": row.input_tokens,
            "output_tokens": row.output_tokens,
            "total_tokens": row.input_tokens + row.output_tokens,
        }
    if row.seconds is not None:
        line["performance"] = {"latency_ms": round(1000 * row.seconds, 3)}
    return line


def _result_id(arm: str, metric: str, label: str) -> str:
    return f"{exports.slug(arm)}/{metric}/{exports.slug(label)}"
