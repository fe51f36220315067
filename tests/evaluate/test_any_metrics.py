"""Whatever the items and predictions are, figures are made without an error and are in their bounds."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from random import Random
from typing import Any

import pytest
from scripted_answers import fact, predicted, question

from pipeline.evaluate.compare import compare
from pipeline.evaluate.intervals import Figure
from pipeline.evaluate.metrics import summarise
from pipeline.evaluate.rows import Prediction
from pipeline.evaluate.scoring import Question, scored

ARMS = ("frames", "blind", "reversed", "frames-4", "rotate-1", "rotate-2", "rotate-3")
OUTCOMES = ("answered", "answered", "answered", "unreadable", "refused", "truncated", "failed")


def items(draw: Random) -> list[Question]:
    found = []
    for number in range(draw.choice((0, 1, 7, 45, 120))):
        options = draw.randint(2, 6)
        sides = " ".join(draw.choice(("left", "right")) for _ in range(options))
        facts = (
            fact("turn:1", sides, rewound=draw.choice(("turn:1=left", "turn:2=left", ""))),
            fact("landmark:a|b", "first " * options, rewound="landmark:a|b=first"),
        )
        found.append(
            question(
                f"i_{number}",
                options=tuple(f"option {one}" for one in range(options)),
                answer="ABCDEF"[draw.randrange(options)],
                facts=facts[: draw.randint(0, 2)],
                twin=draw.choice((None, "t_1", "t_2", f"t_{number // 2}")),
                split_group=f"g_{draw.randint(0, 14)}",
                task=draw.choice(("direction_forward", "direction_reverse", "own task")),
                contrast=draw.choice((None, "turn", "mixed")),
                turns=draw.choice((None, 0, 3, 50)),
                seconds=draw.choice((0.0, 9.999, 10.0, 1e6)),
            )
        )
    words = {"left": frozenset({"first turn left"})}
    return [replace(one, words=(words, {})[: len(one.facts)]) for one in found]


def predictions(draw: Random, questions: list[Question]) -> list[Prediction]:
    rows = []
    arms = draw.sample(ARMS, draw.randint(0, len(ARMS)))
    repeats = draw.sample((0, 1, 7), draw.randint(1, 3))
    for one in questions:
        for arm in arms:
            for repeat in repeats if draw.random() < 0.8 else ():
                outcome = draw.choice(OUTCOMES)
                rows.append(
                    predicted(
                        one.id,
                        draw.choice("ABCDEFGZ") if outcome == "answered" else None,
                        arm=arm,
                        repeat=repeat,
                        outcome=outcome,
                        reply=draw.choice((None, "", "first turn left\n<answer>A")),
                        seconds=draw.choice((None, 0.0, 1e9)),
                    )
                )
    return rows


def figures(value: Any) -> Iterator[Figure]:
    if isinstance(value, Figure):
        yield value
    elif is_dataclass(value):
        for one in fields(value):
            yield from figures(getattr(value, one.name))
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from figures(one)
    elif isinstance(value, tuple):
        for one in value:
            yield from figures(one)


@pytest.mark.parametrize("least", [0, 30])
@pytest.mark.parametrize("seed", range(60))
def test_any_predictions_have_figures_in_their_bounds(seed: int, least: int) -> None:
    draw = Random(seed)
    questions = items(draw)
    rows = predictions(draw, questions)
    results = scored(questions, rows)
    metrics = summarise(questions, results, least=least)
    json.dumps(metrics.to_json(), allow_nan=False)
    for one in figures(metrics):
        if one.value is None:
            assert one.low is one.high is None
            continue
        assert one.items >= max(1, least)
        assert -1 <= one.value <= 1
        if one.low is not None and one.high is not None:
            assert one.groups >= 10
            assert -1 <= one.low <= one.value + 1e-9
            assert one.value - 1e-9 <= one.high <= 1
    for arm in metrics.arms.values():
        assert 0 <= arm.coverage <= 1
        if arm.bounds and (value := arm.accuracy["all"]["all"].value) is not None:
            low, high = arm.bounds
            assert low <= value + 1e-9
            assert value <= high + 1e-9
    if "frames" in metrics.arms:
        same = compare(questions, results, results, ("one", "other"), least=least)
        assert same.wins in (0, None)
        assert same.parts["all"]["all"].value in (0, None)
