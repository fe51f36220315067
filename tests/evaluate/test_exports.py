"""Results in other tools' formats: valid by their schemas, true to the figures, silent about what is withheld."""

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from scripted_answers import answered, as_rows, predicted, question

from pipeline.evaluate.every_eval import EveryEval, every_eval
from pipeline.evaluate.export_files import write_exports
from pipeline.evaluate.exports import About
from pipeline.evaluate.inspect_log import inspect_log
from pipeline.evaluate.metrics import Metrics, summarise
from pipeline.evaluate.rows import Prediction
from pipeline.evaluate.scoring import Scored, scored

SCHEMAS = Path(__file__).parent.parent / "data" / "every_eval_ever"  # of every_eval_ever 0.3.0
ABOUT = About(
    dataset="Ego-ST",
    version="1.0.0",
    release_sha256="a" * 64,
    model="Qwen/Qwen2.5-VL-7B",
    base_url="http://127.0.0.1:8000/v1",
    prompt="ours",
    prompt_sha256="b" * 64,
    settings={"temperature": 0.0, "max_completion_tokens": 2000, "parameters": {"top_p": 0.9}},
    code="0.1.0",
    made=datetime(2026, 11, 27, 12, tzinfo=UTC),
)


def schema(name: str) -> jsonschema.Draft202012Validator:
    text = (SCHEMAS / f"{name}.schema.json").read_text(encoding="utf-8")
    return jsonschema.Draft202012Validator(json.loads(text))


def made() -> tuple[list[Scored], Metrics]:
    questions, given = as_rows(answered(np.random.default_rng(0), 1, 12, 8), 0)
    given = [
        row.model_copy(update={"reply": f"<answer>{row.letter}</answer>", "seconds": 0.25})
        for row in given
    ]
    usage = {"input_tokens": 900, "output_tokens": 5, "reasoning": "hm", "finish": "length"}
    given[0] = given[0].model_copy(update=usage)
    given[1] = predicted(given[1].id, None, outcome="failed", error="timed out")
    given += [row.model_copy(update={"arm": "blind"}) for row in given]
    found = scored(questions, given)
    return found, summarise(questions, found)


def exported() -> EveryEval:
    return every_eval(ABOUT, *made())


def test_every_eval_is_valid_by_its_schemas() -> None:
    found = exported()
    aggregate = json.loads(json.dumps(found.aggregate, allow_nan=False))
    schema("eval").validate(aggregate)
    lines = [json.loads(line) for line in found.lines.splitlines()]
    for line in lines:
        schema("instance_level_eval").validate(line)
    assert {line["evaluation_id"] for line in lines} == {aggregate["evaluation_id"]}
    assert {line["model_id"] for line in lines} == {aggregate["model_info"]["id"]}
    known = {one["evaluation_result_id"] for one in aggregate["evaluation_results"]}
    assert {line["evaluation_result_id"] for line in lines} <= known


def test_the_schema_would_find_a_mistake() -> None:
    aggregate: dict[str, Any] = dict(exported().aggregate)
    with pytest.raises(jsonschema.ValidationError):
        schema("eval").validate({**aggregate, "evaluation_results": [{}]})


def test_every_eval_has_the_figures_and_the_lines() -> None:
    results, metrics = made()
    found = every_eval(ABOUT, results, metrics)
    by_id = {one["evaluation_result_id"]: one for one in found.aggregate["evaluation_results"]}
    figure = metrics.arms["frames"].accuracy["all"]["all"]
    score = by_id["frames/accuracy/all"]["score_details"]
    assert score["score"] == round(figure.value or 0, 4)
    assert score["uncertainty"]["num_samples"] == figure.items
    assert score["uncertainty"]["confidence_interval"]["lower"] == round(figure.low or 0, 4)
    assert score["details"]["failed"] == "1"
    assert "frames/accuracy/direction_forward" in by_id
    generated = by_id["frames/accuracy/all"]["generation_config"]["generation_args"]
    assert generated == {
        "temperature": 0.0,
        "top_p": 0.9,
        "max_tokens": 2000,
        "prompt_template": "ours",
    }
    detailed = found.aggregate["detailed_evaluation_results"]
    assert detailed["checksum"] == hashlib.sha256(found.lines.encode()).hexdigest()
    assert detailed["total_rows"] == len(results) - 2  # without the failed one of each arm
    assert (
        detailed["file_path"] == found.lines_path == found.path.replace(".json", "_samples.jsonl")
    )
    right = sum(json.loads(line)["evaluation"]["is_correct"] for line in found.lines.splitlines())
    assert right == sum(one.outcome == "right" for one in results)


def test_the_same_results_have_the_same_names() -> None:
    assert exported() == exported()
    other = replace(ABOUT, model="Qwen/Qwen2.5-VL-72B")
    assert every_eval(other, *made()).path != exported().path


@pytest.mark.parametrize("model", ["gpt-4o", "a/b/c", "C:\\models\\m.gguf", "../..", "日本"])
def test_any_model_name_makes_a_portable_path(model: str) -> None:
    path = every_eval(replace(ABOUT, model=model), *made()).path
    assert path.count("/") == 4
    for part in path.split("/"):
        assert part.strip(".") == part != ""
        assert not {*'<>:"\\|?*'} & {*part}


def test_the_files_are_written_into_the_results_folder(tmp_path: Path) -> None:
    results, metrics = made()
    written = write_exports(tmp_path, ABOUT, results, metrics)
    names = {path.relative_to(tmp_path).as_posix() for path in written}
    found = exported()
    assert names == {
        "exports/inspect-frames.json",
        "exports/inspect-blind.json",
        f"exports/{found.path}",
        f"exports/{found.lines_path}",
    }
    later = replace(ABOUT, made=datetime(2026, 11, 28, tzinfo=UTC))
    assert write_exports(tmp_path, later, results, metrics) == written  # nothing is left over
    assert json.loads(written[0].read_text(encoding="utf-8"))["eval"]["created"].startswith(
        "2026-11-28"
    )


def test_an_inspect_log_has_every_prediction_and_what_became_of_it() -> None:
    results, metrics = made()
    log = inspect_log(ABOUT, "frames", results, metrics)
    json.dumps(log, allow_nan=False)
    mine = [one for one in results if one.arm == "frames"]
    assert [sample["id"] for sample in log["samples"]] == [one.question.id for one in mine]
    failed = log["samples"][1]
    assert failed["error"]["message"] == "timed out"
    assert "scores" not in failed
    first = log["samples"][0]
    assert first["output"]["choices"][0]["stop_reason"] == "max_tokens"
    assert first["output"]["choices"][0]["message"]["content"][0]["reasoning"] == "hm"
    assert first["output"]["usage"]["total_tokens"] == 905
    assert log["results"]["completed_samples"] == log["results"]["total_samples"] - 1
    values = [one["scores"]["accuracy"]["value"] for one in log["samples"] if "scores" in one]
    share = values.count("C") / len(values)
    metric = log["results"]["scores"][0]["metrics"]["accuracy"]
    assert metric["value"] == pytest.approx(share)
    assert log["samples"][0]["metadata"]["split_group"]


def test_refused_and_unreadable_replies_have_their_reasons() -> None:
    questions = [question("i_0"), question("i_1")]
    given = [predicted("i_0", None), predicted("i_1", None, outcome="refused")]
    found = scored(questions, given)
    samples = inspect_log(ABOUT, "frames", found, summarise(questions, found))["samples"]
    reasons = [one["scores"]["accuracy"]["reason"] for one in samples]
    assert reasons == ["invalid_response_format", "refusal"]


def test_withheld_items_are_in_no_export() -> None:
    questions = [question(f"i_{n}") for n in range(40)]
    rows: list[Prediction] = [predicted(one.id, "A") for one in questions]
    metrics = summarise(questions, scored(questions, rows), least=30)
    log = inspect_log(ABOUT, "frames", [], metrics)
    found = every_eval(ABOUT, [], metrics)
    schema("eval").validate(json.loads(json.dumps(found.aggregate)))
    assert log["samples"] is None
    assert (found.lines, found.lines_path) == ("", None)
    text = json.dumps([log, found.aggregate])
    assert not any(f'"{one.id}"' in text for one in questions)
    assert log["results"]["scores"][0]["metrics"]["accuracy"]["value"] == 1


def test_few_withheld_items_have_no_figure_in_any_export() -> None:
    questions = [question(f"i_{n}") for n in range(29)]
    given = scored(questions, [predicted(one.id, "A") for one in questions])
    metrics = summarise(questions, given, least=30)
    assert inspect_log(ABOUT, "frames", [], metrics)["results"]["scores"] == []
    assert every_eval(ABOUT, [], metrics).aggregate["evaluation_results"] == []
