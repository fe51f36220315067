"""The table in the terminal: every mean over tasks has its parts, and every arm says what it measures."""

from collections.abc import Sequence

from scripted_answers import fact, predicted, question

from pipeline.evaluate.metrics import Metrics, summarise
from pipeline.evaluate.scoring import Question, scored
from pipeline.evaluate.table import table


def items() -> list[Question]:
    facts = (
        fact("turn:1", "left right left right", rewound="turn:2=right"),
        fact("turn:2", "left left right right", rewound="turn:1=right"),
    )
    return [
        question(f"i_{n:02}", task=task, facts=facts, split_group=f"g_{n // 2}")
        for n in range(24)
        for task in [("direction_forward", "direction_reverse")[n // 12]]
    ]


def metrics(questions: Sequence[Question], letters: Sequence[str], **arms: str) -> Metrics:
    given = [
        predicted(one.id, letter) for one, letter in zip(questions, letters * 24, strict=False)
    ]
    given += [
        predicted(one.id, letter, arm=arm) for arm, letter in arms.items() for one in questions
    ]
    return summarise(questions, scored(questions, given))


def test_every_row_has_its_accuracy_in_every_task() -> None:
    questions = items()
    found = metrics(questions, "A" * 12 + "D" * 12, blind="A")
    free = metrics(questions, "D" * 12 + "A" * 12).arms
    lines = table(found, {"a baseline": free["frames"]}, None)
    start = next(number for number, line in enumerate(lines) if line.startswith("accuracy by task"))
    assert lines[start].split() == ["accuracy", "by", "task", "items", "frames", "blind", "a"]
    assert lines[start + 1].split() == ["baseline"]  # a long name goes on below
    assert [line.split() for line in lines[start + 2 : start + 4]] == [
        ["direction_forward", "12", "100.0", "100.0", "0.0"],
        ["direction_reverse", "12", "0.0", "100.0", "100.0"],
    ]


def test_no_line_is_wider_than_a_terminal_whatever_is_shown() -> None:
    questions = items()
    arms = ("blind", "blank", "one", "shuffled", "reversed", "rotate-1", "rotate-2", "rotate-3")
    given = [predicted(one.id, "A", arm=arm) for arm in ("frames", *arms) for one in questions]
    given += [predicted(one.id, None, arm="frames-16", outcome="refused") for one in questions]
    found = summarise(questions, scored(questions, given))
    free = {"measured motion (released frames)": found.arms["frames"]}
    lines = table(found, free, found.arms["frames"].accuracy["all"]["all"], ["a word " * 40])
    assert max(map(len, lines)) <= 100
    head = next(line for line in lines if line.startswith("measured motion (released frames)"))
    assert head.split()[-1] == "24"
    # Every arm has its column, in as many blocks as it takes.
    blocks = [line for line in lines if line.startswith("accuracy by task")]
    assert len(blocks) == 2
    assert " ".join(blocks).split().count("rotate-3") == 1


def test_replies_that_are_not_right_by_the_models_own_doing_are_told_apart() -> None:
    questions = items()
    outcomes = ["refused", "unreadable", "unreadable", "truncated"]
    given = [
        predicted(one.id, None, outcome=outcomes[n]) if n < 4 else predicted(one.id, "A")
        for n, one in enumerate(questions)
    ]
    lines = table(summarise(questions, scored(questions, given)), {}, None)
    text = " ".join(" ".join(lines).split())
    assert (
        "frames: of 24 replies 2 unreadable, 1 refused, 1 truncated, counted as not right" in text
    )
    assert "accuracy over the others: 100.0%" in text
    row = next(line for line in lines if line.startswith("frames "))
    assert row.split()[1] == "83.3"


def test_figures_of_too_few_withheld_items_are_not_shown_and_others_are_rounded() -> None:
    questions = items()
    given = [predicted(one.id, "A" if n else "D") for n, one in enumerate(questions)]
    found = summarise(questions, scored(questions, given), least=20)
    lines = table(found, {}, None)
    row = next(line for line in lines if line.startswith("frames "))
    assert row.split()[1] == "96.0"  # 23 of 24
    assert "note: - is withheld: shown from 20 items on" in lines
    bounds = found.arms["frames"].bounds
    assert bounds is not None
    assert all(round(one, 2) == one for one in bounds)


def test_what_arms_measure_and_what_a_model_tends_to_do_is_told() -> None:
    found = metrics(items(), "AAAD", blind="A", reversed="D")
    text = " ".join(line.strip() for line in table(found, {}, None))
    assert "frames over blind: -25.0 points" in text
    assert "reversed frames: 100.0% [" in text
    assert "of 24 items that they change (0 stay the same, 0 are left out)" in text
    assert "reversed over frames: +75.0 points" in text
    assert "mirror errors (all sides wrong, nothing else): 100.0%" in text
    assert "order errors" not in text
    assert "D is answered more often than it is the answer: +25.0 points" in text


def test_requests_without_a_reply_are_told_of_every_arm() -> None:
    questions = items()
    rows = [predicted(one.id, "A", arm="blind") for one in questions[1:]]
    rows.append(predicted(questions[0].id, None, arm="blind", outcome="failed"))
    text = "\n".join(table(summarise(questions, scored(questions, rows)), {}, None))
    assert (
        "blind: 95.8% of requests have a reply; if all others were wrong, or right: 95.8%, 100.0%"
        in text
    )


def test_too_few_groups_are_noted() -> None:
    questions = items()
    assert not any("no intervals" in line for line in table(metrics(questions, "A"), {}, None))
    lines = table(metrics(questions[:4], "A"), {}, None)
    assert "note: no intervals: 2 split groups are too few (at least 10)" in lines
