"""Results as Inspect's EvalLog, one for each arm, which `inspect view` and `read_eval_log` open. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.evaluate import exports
from pipeline.evaluate.cells import ALL
from pipeline.evaluate.exports import About
from pipeline.evaluate.intervals import Figure
from pipeline.evaluate.metrics import Metrics
from pipeline.evaluate.scoring import Scored

_VERSION = 2  # of EvalLog
_REASONS = {"unreadable": "invalid_response_format", "refused": "refusal"}
_STOPS = {"length": "max_tokens", "content_filter": "content_filter"}


def inspect_log(
    about: About, arm: str, results: Sequence[Scored], metrics: Metrics
) -> dict[str, Any]:
    """Return one arm's results as an EvalLog; `results` without those of withheld splits."""
    made = about.made.isoformat(timespec="seconds")
    mine = [one for one in results if one.arm == arm]
    figures = metrics.arms[arm]
    task, run = (
        f"{exports.slug(about.dataset)}-{exports.slug(arm)}",
        exports.stable_uuid(about, arm),
    )
    scores = [
        {
            "name": name,
            "scorer": "egost",
            "params": {"parser": about.reading},
            "metrics": _inspect_metrics(parts),
        }
        for name in exports.PARTS
        if (parts := getattr(figures, name)) and parts[ALL][ALL].value is not None
    ]
    usage = {
        "input_tokens": figures.usage.input_tokens,
        "output_tokens": figures.usage.output_tokens,
        "total_tokens": figures.usage.input_tokens + figures.usage.output_tokens,
        "total_cost": figures.usage.cost_usd,
    }
    return {
        "version": _VERSION,
        "status": "success",
        "eval": {
            "eval_id": run,
            "run_id": run,
            "created": made,
            "task": task,
            "task_id": task,
            "task_version": about.version,
            "dataset": {
                "name": f"{about.dataset} {about.version}",
                "samples": metrics.items,
                "shuffled": False,
            },
            "model": about.model,
            "model_base_url": about.base_url,
            "model_generate_config": exports.generation(about.settings),
            "config": {"epochs": 1 + max((one.repeat for one in mine), default=0)},
            "packages": {"egost": about.code},
            "metadata": exports.details(about, arm),
        },
        "plan": {"name": "egost evaluate", "steps": []},
        "results": {
            "total_samples": len(mine),
            "completed_samples": sum(one.outcome != "failed" for one in mine),
            "scores": scores,
        },
        "stats": {"started_at": made, "completed_at": made, "model_usage": {about.model: usage}},
        "samples": [_sample(about, one) for one in mine] or None,
    }


def _inspect_metrics(parts: Mapping[str, Mapping[str, Figure]]) -> dict[str, Any]:
    """Return the figure of all items and its bounds, and those of tasks, as Inspect's metrics."""
    whole = parts[ALL][ALL]
    values = {"accuracy": whole.value, "ci_low": whole.low, "ci_high": whole.high}
    values |= {task: figure.value for task, figure in parts.get("task", {}).items()}
    return {
        name: {"name": name, "value": value, "params": {"method": exports.METHOD}}
        for name, value in values.items()
        if value is not None
    }


def _sample(about: About, one: Scored) -> dict[str, Any]:
    row, question = one.prediction, one.question
    made: dict[str, Any] = {
        "id": question.id,
        "epoch": one.repeat + 1,
        "input": exports.asked(question),
        "choices": list(question.options),
        "target": exports.letter_of(one.true),
        "metadata": exports.cells_of(one),
    }
    if one.outcome == "failed":
        error = {"message": row.error or "no reply", "traceback": "", "traceback_ansi": ""}
        return made | {"error": error}
    content: Any = row.reply or ""
    if row.reasoning:
        content = [{"type": "reasoning", "reasoning": row.reasoning}, _text(content)]
    choice = {
        "message": {"role": "assistant", "content": content, "model": row.served_model},
        "stop_reason": _STOPS.get(row.finish or "", "stop" if row.finish else "unknown"),
    }
    score: dict[str, Any] = {
        "value": "C" if one.outcome == "right" else "I",
        "answer": one.letter,
        "explanation": f"{one.outcome}: {about.reading}",
    }
    if reason := _REASONS.get(one.outcome):
        score["reason"] = reason
    output: dict[str, Any] = {
        "model": row.served_model or about.model,
        "choices": [choice],
        "time": row.seconds,
    }
    if row.input_tokens is not None and row.output_tokens is not None:
        output["usage"] = {
            "input_tokens": row.input_tokens,
            "output_tokens": row.output_tokens,
            "total_tokens": row.input_tokens + row.output_tokens,
        }
    return made | {"output": output, "scores": {"accuracy": score}, "total_time": row.seconds}


def _text(text: str) -> dict[str, str]:
    return {"type": "text", "text": text}
