"""Completions that try to be paid for nothing, and policies that know nothing."""

import math
import time
from collections.abc import Callable
from functools import cache
from random import Random
from statistics import fmean, stdev

import made_rows
import pytest
from made_rows import listed, perfect, said, think, turns_row

from pipeline.evaluate.prompting import load
from pipeline.training.lists import Event, inverted, write
from pipeline.training.rewards import Rewards, rewards, total
from pipeline.training.rows import TrainingRow
from pipeline.training.solution import solution

ROW = turns_row(("left", "right", "right", "left", "right"))  # the answer is A
GOOD = perfect(ROW)
LISTS = think(listed(ROW), inverted(listed(ROW)))
NOTHING = Rewards(0, 0, 0, 0, 0, 0)
PROMPT = load("ours").text(ROW.question, ROW.options, "frames")


def judged(completion: str) -> Rewards:
    return rewards(completion, solution(ROW))


@pytest.mark.parametrize(
    "completion",
    [
        "",
        " \n\t",
        "<answer></answer>",
        "<think></think><answer></answer>",
        "<answer>",
        "</answer>",
        "A",
        "Answer: A",
        "<answer>A or B</answer>",
        "<answer>A, B, C, D</answer>",
        "<answer>ABCD</answer>",
        "<answer>A</answer><answer>B</answer><answer>C</answer><answer>D</answer>",
        "<answer>A</answer> <answer>A</answer>",
        "<answer>B</answer><answer>A</answer>",
        "<final_answer>B</final_answer><answer>A</answer>",
        "<answer><answer>A</answer></answer>",
        "<answer>A</answer></answer>",
        "<answer><think>A</think></answer>",
        "<think><answer>A</answer></think>",
        "<think>So <answer>A</answer>",  # thinking that never ends
        "<think>So</think> <think>and <answer>A</answer>",
        "```\n<answer>A</answer>\n```",
        "<answer>A</answer>.",
        "<answer>A</answer> or B",
        "<answer>A</answer>\u200b",
        "<answer>A</answer><!-- B -->",
        "<answer>\u0410</answer>",  # Cyrillic
        "<answer>\uff21</answer>",  # full width
        "<answer>\U0001d400</answer>",  # mathematical bold
        "<\uff41nswer>A</answer>",
        "\uff1canswer\uff1eA\uff1c/answer\uff1e",
        "<answer>A\u200b</answer>",
        "<answer>A.</answer>",
        f"<answer>A. {ROW.options[0]}</answer>",
        f"<answer>{ROW.options[0]}</answer>",
        "<answer>Z</answer>",
        "<answer>E</answer>",
        "<answer>a</answer>",
        "<Answer>A</Answer>",
        "<answer >A</answer>",
        "<answer>not A</answer>",
        "It is not <answer>A</answer>",  # the parser that models are scored with denies it
        "<answer>A</answer" + ">" * 2,
        PROMPT,
        PROMPT + "A",
        "\\boxed{A}",
        "<answer>" + "A" * 10_000 + "</answer>",
        "It might be A. " * 5_000 + "<answer>A</answer>",
    ],
)  # fmt: skip
def test_nothing_is_earned_by(completion: str) -> None:
    assert judged(completion) == NOTHING


def test_the_form_alone_earns_a_tenth_at_most() -> None:
    for answer in ("A or B", "ABCD", "\u0410", ROW.options[0]):
        found = judged(said("I look.", answer))
        assert found._replace(format=0) == NOTHING
        assert found.format <= 0.1
    assert judged(said(PROMPT, "B")).format == 0  # the prompt has tags of its own
    for completion in (
        GOOD + GOOD,
        GOOD + "\n<answer>A</answer>",
        GOOD + "B",
        "```\n" + GOOD + "\n```",
        GOOD.replace("<think>", "<think><think>"),
        "Well. " + GOOD,
        GOOD.replace("</think>", "</think>\u200b"),
    ):
        assert judged(completion).format == 0, completion


@pytest.mark.parametrize(
    "lists",
    [
        "Forward:\nBackward:",  # both empty, so each inverts the other
        "Forward:\n\nBackward:\n",
        "Forward:\n- turn: nowhere\nBackward:\n- turn: nowhere",
        LISTS + "\n" + LISTS,  # stated twice: which one counts?
        f"{LISTS}\nForward:\n- turn: left",
        LISTS.replace("Forward:", "There:"),
        LISTS.partition("Backward:")[0],
        "Backward:\n- turn: left\nForward:\n- turn: right",
        "Forward: left, right, right, left, right. Backward: left, right, left, left, right.",
    ],
)
def test_lists_that_state_nothing_earn_nothing(lists: str) -> None:
    found = judged(said(lists, "A"))
    assert (found.route, found.times, found.consistency) == (0, 0, 0)
    assert (found.exact, found.square) == (1, 1)


def test_more_lines_than_happenings_earn_less() -> None:
    events = listed(ROW)
    one_more = [*events, events[-1]]
    found = judged(said(think(one_more, inverted(one_more)), "A"))
    assert found[2:5] == (pytest.approx(5 / 6), pytest.approx(10 / 11), pytest.approx(5 / 6))
    for often in (2, 20, 2000):
        found = judged(said(think(events * often, inverted(events * often)), "A"))
        assert found[2:5] == (0, 0, 0)


def test_lists_after_the_answer_are_not_read() -> None:
    found = judged(f"<think>I look.</think><answer>A</answer>\n{LISTS}")
    assert found == NOTHING
    found = judged(f"<answer>B</answer>\n{LISTS}\n<answer>A</answer>")
    assert (found.route, found.times, found.consistency) == (0, 0, 0)


def test_a_copied_option_earns_nothing_even_if_it_is_the_right_one() -> None:
    for letter, sides in zip(
        "ABCD",
        (("left", "right"), ("left", "left"), ("right", "left"), ("right", "right")),
        strict=True,
    ):
        for events in (
            [Event("turn", side) for side in sides],
            [Event("turn", side, at, at + 2.0) for at, side in zip((0, 4), sides, strict=True)],
        ):
            for there in (events, inverted(events), events * 2, events * 3, [*events, *events[:1]]):
                found = judged(said(think(there, inverted(there)), letter))
                assert (found.route, found.times, found.consistency) == (0, 0, 0)


@pytest.mark.parametrize("one", ["x", "<think>", "</think>", "<answer>", "<", "< ", " ", "\n", "\t", "- ", "left ", "A or B, ", "\\boxed{", "\0", "<answer>A</answer>",
    "- 1.0 s to 2.0 s: turn: left\n", "Forward:\nBackward:\n", "turn left then right. "])  # fmt: skip
def test_a_huge_completion_is_read_in_seconds(one: str) -> None:
    """Measured: 0.1 to 0.5 s. A time that grows with the square of the length would take minutes."""
    big = one * (200_000 // len(one))
    for row in (ROW, made_rows.mixed()[-1]):
        known = solution(row)
        began = time.process_time()
        for completion in (
            f"Forward:\n{big}\nBackward:\n",
            f"Forward:\n- landmark:{big}\nBackward:\n- landmark: x{big}y",
            said(big, "A"),
            f"<think>x</think><answer>{big}</answer>",
            f"<think>x</think>{big}<answer>A</answer>",
        ):
            assert rewards(completion, known).exact in (0, 1, None)
        assert time.process_time() - began < 8


# ---- policies ------------------------------------------------------------------------------------

Policy = Callable[[TrainingRow, Random], str]


def stated(row: TrainingRow, option: int) -> list[Event]:
    """Return what an option states, as a list: what can be copied from the question."""
    found = []
    for fact in solution(row)["facts"]:
        value = fact["values"][option]
        if fact["kind"] == "turn":
            found.append(Event("turn", value))
        else:
            names = fact["subject"] if value == "first" else fact["subject"][::-1]
            found += [Event(fact["kind"], name) for name in names]
    return found


def at_random(row: TrainingRow, draw: Random) -> str:
    return said("I guess.", draw.choice("ABCD"))


def always(letter: str) -> Policy:
    return lambda row, draw: said("As ever.", letter)


def copying(row: TrainingRow, draw: Random) -> str:
    option = draw.randrange(4)
    events = stated(row, option)
    return said(think(events, inverted(events)), "ABCD"[option])


def copying_the_way_back(row: TrainingRow, draw: Random) -> str:
    option = draw.randrange(4)
    events = stated(row, option)
    return said(think(inverted(events), events), "ABCD"[option])


def copying_all(row: TrainingRow, draw: Random) -> str:
    events = [event for option in range(4) for event in stated(row, option)]
    return said(think(events, inverted(events)), draw.choice("ABCD"))


def copying_with_times(row: TrainingRow, draw: Random) -> str:
    option = draw.randrange(4)
    events = stated(row, option)
    apart = row.seconds / len(events)
    timed = [one._replace(start=at * apart, end=at * apart + 2) for at, one in enumerate(events)]
    return said(think(timed, inverted(timed)), "ABCD"[option])


def copying_the_question(row: TrainingRow, draw: Random) -> str:
    lines = "\n".join(f"- {text}" for text in (row.question, *row.options))
    return said(f"Forward:\n{lines}\nBackward:\n{lines}", draw.choice("ABCD"))


@cache
def asked() -> tuple[TrainingRow, ...]:
    return tuple(Random(3).sample(made_rows.many(), 2000))


def earned(policy: Policy) -> dict[str, list[float]]:
    draw = Random(7)
    found = [rewards(policy(row, draw), solution(row)) for row in asked()]
    return {
        **{
            name: [value for one in found if (value := getattr(one, name)) is not None]
            for name in Rewards._fields
        },
        "ours": [total(one, "ours") or 0.0 for one in found],
    }


def near(values: list[float], expected: float) -> bool:
    """Return whether a mean is the expected one within four standard errors."""
    return abs(fmean(values) - expected) < 4 * stdev(values) / math.sqrt(len(values))


@pytest.mark.parametrize(
    "policy",
    [
        at_random,
        *map(always, "ABCD"),
        copying,
        copying_the_way_back,
        copying_all,
        copying_the_question,
    ],
)
def test_a_policy_that_knows_nothing_gets_what_chance_gives(policy: Policy) -> None:
    found = earned(policy)
    assert near(found["exact"], 1 / 4)
    assert near(found["square"], 3 / 8)
    assert set(found["route"]) == set(found["times"]) == set(found["consistency"]) == {0}
    assert set(found["format"]) == {0.1}
    assert near(found["ours"], 1 / 4 + 3 / 8 + 0.1)


def test_made_up_times_gain_next_to_nothing() -> None:
    found = earned(copying_with_times)
    assert set(found["route"]) == set(found["consistency"]) == {0}
    assert (
        fmean(found["times"]) < 0.01
    )  # where the options tell all turns, so that they can't be copies
    assert near(found["ours"], 1 / 4 + 3 / 8 + 0.1)


def test_a_guessed_way_earns_a_tenth_of_the_right_one() -> None:
    def guessing(row: TrainingRow, draw: Random) -> str:
        count = draw.randint(3, 6)
        apart = row.seconds / count
        events = [
            Event("turn", draw.choice(("left", "right")), at * apart, at * apart + 2)
            for at in range(count)
        ]
        return said(think(events, inverted(events)), draw.choice("ABCD"))

    found = earned(guessing)
    assert near(found["exact"], 1 / 4)
    assert fmean(found["route"]) < 0.12
    assert fmean(found["times"]) < 0.15
    assert fmean(found["consistency"]) < 0.02


def test_a_list_can_be_read_again() -> None:
    """The lists of these tests are those that rewards read: else all of the above would hold for nothing."""
    assert write(listed(ROW), "en") in GOOD
    assert judged(GOOD) == (1, 1, 1, 1, 1, 0.1)
