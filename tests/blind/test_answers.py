"""What the answers of a file are is decided for the file as a whole, reported, or asked for."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
from blind_items import read_items
from hypothesis import given
from hypothesis import strategies as st

from pipeline.blind.answers import READINGS, Answers, UndecidedError, decide
from pipeline.blind.files import read_benchmark
from pipeline.blind.parsing import item_of
from pipeline.cli.console import answers_option, exit_code
from pipeline.cli.main import cli
from pipeline.errors import UserError

FOUR = ["left", "right", "ahead", "back"]


def written(folder: Path, rows: Iterable[dict[str, Any]]) -> Path:
    path = folder / "items.jsonl"
    path.write_text("".join(json.dumps({"question": "Where?", **row}) + "\n" for row in rows))
    return path


def positions(rows: Sequence[dict[str, Any]], told: Any = None) -> tuple[list[int], Answers]:
    found = [item_of({"question": "Where?", **row}, "0", f"row {n}") for n, row in enumerate(rows)]
    items = [one for one in found if one]
    answers = decide(items, told)
    return [one.make(answers.position(one)).answer for one in items], answers


def numbered(values: Iterable[Any], options: Sequence[Any] = FOUR) -> list[dict[str, Any]]:
    return [{"options": list(options), "answer": value} for value in values]


@pytest.mark.parametrize("first", [0, 1])
def test_answers_that_count_from_one_are_not_shifted(tmp_path: Path, first: int) -> None:
    right = [number % 4 for number in range(200)]
    path = written(tmp_path, numbered(position + first for position in right))
    assert [item.answer for item in read_items(path)] == right
    assert read_benchmark(path).answers == f"numbers of options, from {first} (answer)"


@given(
    right=st.lists(st.integers(0, 3), min_size=1),
    first=st.sampled_from([0, 1]),
    form=st.sampled_from([int, float, str, lambda number: f"({number})", lambda number: [number]]),
)
def test_numbers_are_read_right_or_refused(right: list[int], first: int, form: Any) -> None:
    rows = numbered(form(position + first) for position in right)
    telling = (0 if first == 0 else 3) in right
    if telling:
        assert positions(rows)[0] == right
    else:
        with pytest.raises(UndecidedError):
            positions(rows)
    assert positions(rows, str(first))[0] == right


def test_numbers_of_several_lengths_are_read_together() -> None:
    rows = numbered([1, 2, 3]) + numbered([2], FOUR[:2])
    assert positions(rows)[0] == [0, 1, 2, 1]


def test_a_file_that_does_not_show_what_its_numbers_are_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, numbered([1, 2, 3, 2]))
    with pytest.raises(UserError, match="from 0 or numbers of options, from 1") as refused:
        read_items(path)
    assert refused.value.exit_code == 2
    assert "--answers" in refused.value.fix
    for command in ("blind", "gates", "import"):
        assert exit_code(cli, [command, str(path)]) == 2
        assert "fix: say what they are with --answers" in capsys.readouterr().err
    assert [item.answer for item in read_items(path, "0")] == [1, 2, 3, 2]
    assert [item.answer for item in read_items(path, "1")] == [0, 1, 2, 1]
    assert exit_code(cli, ["import", str(path), "--answers", "1"]) == 0
    assert "answers are numbers of options, from 1 (answer), 0 rows" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["blind", "gates"])
def test_answers_without_a_file_are_refused(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(cli, ["-w", str(tmp_path), command, "--answers", "1"]) == 2
    assert "there is no FILE" in capsys.readouterr().err


def test_a_file_that_counts_in_both_ways_is_refused_with_both_rows(tmp_path: Path) -> None:
    path = written(tmp_path, numbered([2, 0, 1, 4]))
    with pytest.raises(UserError, match="no reading fits all") as refused:
        read_benchmark(path)
    assert "from 0: not 4 of 4 options in" in refused.value.what
    assert "from 1: not 0 of 4 options in" in refused.value.what
    assert "line 4" in refused.value.what
    found = read_benchmark(path, "0")
    assert [item.answer for item in found.items] == [2, 0, 1]
    assert list(found.faults) == [f"{path}, line 4"]


def test_what_the_file_disproves_is_refused() -> None:
    rows = numbered([1, 2, 3, 4])
    with pytest.raises(UndecidedError, match=r"can't be .*from 0 \(4 of 4 options in row 3\)"):
        positions(rows, "0")
    assert positions(rows, "1")[0] == [0, 1, 2, 3]


def test_a_broken_row_says_nothing_about_the_others(tmp_path: Path) -> None:
    found = read_benchmark(written(tmp_path, numbered([0, 2, 9, -1, 1, "9" * 6000])))
    assert [item.answer for item in found.items] == [0, 2, 1]
    assert len(found.faults) == 3


def test_a_letter_or_text_beside_a_number_decides() -> None:
    beside = [
        {"options": FOUR, "answer_index": 2, "answer": "B"},
        {"options": FOUR, "answer_index": 3},
    ]
    assert positions(beside)[0] == [1, 2]
    beside[0]["answer"] = "ahead"
    assert positions(beside)[0] == [2, 3]


def test_a_number_that_is_no_answer_is_ignored_where_every_row_has_a_letter() -> None:
    rows = [{"options": FOUR, "label": 1, "answer": letter} for letter in "DABC"]
    found, answers = positions(rows)
    assert found == [3, 0, 1, 2]
    assert str(answers) == "letters (answer)"


def test_a_column_that_does_not_show_what_its_numbers_are_may_stand_beside_one_that_does() -> None:
    rows = [{"options": FOUR, "label": one, "answer": one - 1} for one in (1, 2, 3)]
    found, answers = positions(rows)
    assert found == [0, 1, 2]
    assert str(answers) == "numbers of options, from 0 (answer)"
    with pytest.raises(UndecidedError, match="column label"):
        positions([*rows, {"options": FOUR, "label": 2}])


def test_columns_that_give_different_options_are_reported(tmp_path: Path) -> None:
    """A `label` of 0 or 1 is read as an option as well, and must not come before the answer in silence."""
    pairs = [(1, 0), (0, 3), (0, 0)]
    rows = [{"options": FOUR, "label": flag, "answer": answer} for flag, answer in pairs]
    rows += [{"options": FOUR, "answer": "B", "correct_answer": "ahead"}]
    found = read_benchmark(written(tmp_path, rows))
    assert [item.answer for item in found.items] == [0]
    assert [fault.split("columns ")[1] for fault in found.faults.values()] == [
        "label and answer give different options",
        "label and answer give different options",
        "answer and correct_answer give different options",
    ]


@pytest.mark.parametrize("named", ["letter", "text"])
@pytest.mark.parametrize("first", [0, 1])
def test_an_index_that_contradicts_a_text_is_a_fault_of_its_row(
    first: int, named: str, tmp_path: Path
) -> None:
    rows = [{"options": FOUR, "answer_idx": n % 4 + first,
             "answer": "ABCD"[n % 4] if named == "letter" else FOUR[n % 4]}
            for n in range(20)]  # fmt: skip
    rows[7] |= {"answer_idx": first}
    path = written(tmp_path, rows)
    found = read_benchmark(path)
    what = "the columns answer and answer_idx give different options"
    assert found.faults == {f"{path}, line 8": what}
    assert [item.answer for item in found.items] == [n % 4 for n in range(20) if n != 7]
    for n, row in enumerate(rows):
        row["answer_idx"] = (n + 2) % 4 + first
    with pytest.raises(UserError, match="column answer_idx gives other options") as refused:
        read_items(written(tmp_path, rows))
    assert "20 of 20 rows" in refused.value.what
    assert "(text, letter)" in refused.value.fix
    assert len(read_items(path, named)) == 20  # type: ignore[arg-type]


def test_an_index_that_contradicts_texts_is_refused_where_some_texts_are_numbers() -> None:
    kinds = (FOUR, ["12", "3", "7", "40"])
    rows = [{"options": kinds[n % 2], "answer_idx": n // 2 % 4, "answer": kinds[n % 2][n // 2 % 4]}
            for n in range(40)]  # fmt: skip
    assert positions(rows)[0] == [n // 2 % 4 for n in range(40)]
    for n, row in enumerate(rows):
        row["answer_idx"] = (n // 2 + 2) % 4
    with pytest.raises(UndecidedError, match="column answer_idx gives other options"):
        positions(rows)
    assert positions(rows, "text")[0] == [n // 2 % 4 for n in range(40)]


@pytest.mark.parametrize("stray", [2, "2", 0])
@pytest.mark.parametrize("named", ["letter", "text"])
def test_a_stray_number_among_letters_or_texts_is_a_fault_of_its_row(
    stray: Any, named: Any, tmp_path: Path
) -> None:
    rows = numbered("ABCD"[n % 4] if named == "letter" else FOUR[n % 4] for n in range(40))
    rows[9]["answer"] = stray
    path = written(tmp_path, rows)
    for told in (None, named):
        found = read_benchmark(path, told)
        what = f"the answer {stray!r} is a number, those of other rows are not"
        assert found.faults == {f"{path}, line 10": what}
    rows[1::4] = numbered([1, 2] * 5)  # as many as this are no accident
    with pytest.raises(UserError, match="may be numbers of options") as refused:
        read_benchmark(written(tmp_path, rows))
    assert "letter" in refused.value.fix
    assert len(read_benchmark(path, named).items) == 30


def test_a_row_that_contradicts_itself_says_nothing_about_the_others(tmp_path: Path) -> None:
    rows = [{"options": FOUR, "label": 1, "answer": letter} for letter in "DA"]
    rows += [{"options": FOUR, "label": 1, "answer": "B", "correct_answer": "ahead"}]
    found = read_benchmark(written(tmp_path, rows))
    assert [item.answer for item in found.items] == [3, 0]
    assert len(found.faults) == 1


@pytest.mark.parametrize(
    "value",
    [
        "b",
        "(B)",
        "B.",
        "B)",
        "[B]",
        "**B**",
        "Option B",
        "option_b",
        "choice B: right",
        "Answer: B",
        "\\boxed{B}",
        "Not A. So \\boxed{\\text{B}}",
        "B - right",
    ],
)
def test_a_letter_is_read_in_any_dress(value: str) -> None:
    assert positions(numbered([value, "D"]))[0] == [1, 3]


@pytest.mark.parametrize("value", ["Option 4", "4.0", "option_4", "[4]"])
def test_a_number_is_read_in_any_dress(value: str) -> None:
    assert positions(numbered([value, 1]))[0] == [3, 0]


def test_an_option_that_begins_with_the_word_option_is_a_text() -> None:
    assert positions(numbered(["option B", "a way"], ["a way", "b way", "option B"]))[0] == [2, 0]


@pytest.mark.parametrize(
    ("options", "values", "right"),
    [
        (["2", "3", "5", "4"], ["3", "2", "4"], [1, 0, 3]),  # texts that look like numbers
        ([2, 3, 5, 4], [3, 2, 4], [1, 0, 3]),
        (["7", "12", "30", "9"], [30, 9], [2, 3]),
        (["1", "2", "3", "4"], [4, 2], [3, 1]),  # as texts and as numbers from 1
        (["0", "1", "2", "3"], [0, 2], [0, 2]),
        (["a", "an", "the", "no"], ["A", "B", "the"], [0, 1, 2]),
    ],
)
def test_options_that_look_like_letters_or_numbers(
    options: list[Any], values: list[Any], right: list[int]
) -> None:
    assert positions(numbered(values, options))[0] == right


def test_letters_that_are_other_options_as_well_are_refused() -> None:
    rows = numbered(["A", "D"], ["B", "A", "D", "C"])
    with pytest.raises(UndecidedError, match="option texts or letters"):
        positions(rows)
    assert positions(rows, "letter")[0] == [0, 3]
    assert positions(rows, "text")[0] == [1, 2]


def test_numbers_beside_words_are_positions_even_where_an_option_is_that_number() -> None:
    """The file of a mathematics test: the answer 2 to `2, 4, 8, 16` is not the option 2."""
    rows = numbered([2], ["2", "4", "8", "16"]) + numbered([0, 3])
    assert positions(rows)[0] == [2, 0, 3]


def test_numbers_for_options_that_are_other_numbers_are_refused() -> None:
    rows = numbered([1, 2], ["3", "1", "2", "0"])
    with pytest.raises(UndecidedError, match="option texts or numbers"):
        positions(rows)
    assert positions(rows, "text")[0] == [1, 2]
    assert positions(rows, "1")[0] == [0, 1]


@pytest.mark.parametrize(
    ("first", "form"), [(0, str), (1, str), (0, int), (1, int), (1, "{}.".format)]
)
def test_counts_that_are_also_numbers_of_options_are_refused_by_line(
    first: int, form: Any, tmp_path: Path
) -> None:
    """Is 2 of `1, 3, 2, 4` the third option or the second one?"""
    orders = [[1, 3, 2, 0], [3, 0, 1, 2], [2, 1, 0, 3], [0, 1, 2, 3]] * 5
    rows = [{"options": [form(one + first) for one in order], "answer": form(n % 4 + first)}
            for n, order in enumerate(orders)]  # fmt: skip
    path = written(tmp_path, rows)
    with pytest.raises(UserError, match="option texts or numbers of options") as refused:
        read_benchmark(path)
    assert f"{path}, line 1" in refused.value.what
    assert [item.answer for item in read_items(path, "text")] == [
        order.index(n % 4) for n, order in enumerate(orders)
    ]
    assert [item.answer for item in read_items(path, str(first))] == [n % 4 for n in range(20)]
    named = [{"answer": row["answer"]} | {f"a{place + first}": one for place, one
             in enumerate(row["options"])} for row in rows]  # fmt: skip
    with pytest.raises(UndecidedError, match="option texts or numbers"):
        positions(named)  # the columns' numbers don't say that the answers are numbers
    # One row that is no text, or no number of an option, decides; so do words in other rows.
    words = {"options": FOUR, "answer": form(first)}
    assert positions([*rows, words])[0][:-1] == [n % 4 for n in range(20)]
    many = {"options": [form(one) for one in (7, 8, 9, 5)], "answer": form(9)}
    texts = [order.index(n % 4) for n, order in enumerate(orders)]
    assert positions([*rows, many])[0][:-1] == texts
    assert positions([*rows, *numbered(["back"])])[0][:-1] == texts


@pytest.mark.parametrize(
    ("row", "right"),
    [
        ({"options": {"1": "left", "2": "right", "3": "ahead"}, "answer": "2"}, 1),
        ({"options": {"0": "left", "1": "right", "2": "ahead"}, "answer": 1}, 1),
        ({"option_1": "left", "option_2": "right", "option_3": "ahead", "answer": 2}, 1),
        ({"choice0": "left", "choice1": "right", "choice2": "ahead", "answer": 1}, 1),
        ({"options": ["1. left", "2. right", "3. ahead"], "answer": "2"}, 1),
        ({"options": ["1. left", "2. right", "3. ahead"], "answer": "2. right"}, 1),
        ({"options": ["left", "right", "ahead"], "answer": "2. right"}, 1),
        (
            {"choices": {"text": ["left", "right"], "label": ["A", "B"]}, "answerKey": "", "label": "B"},
            1,
        ),
        ({"choices": {"text": ["left", "right"], "label": ["1", "2"]}, "answer": "1"}, 0),
        ({"options": [{"id": 1, "text": "left"}, {"id": 2, "text": "right"}], "answer": 1}, 0),
        ({"options": ["C. left", "A. right", "B. ahead"], "answer": "C"}, 0),
        ({"options": ["C. left", "A. right", "B. ahead"], "answer": "A. right"}, 1),
        ({"options": [{"label": "B", "text": "left"}, {"label": "A", "text": "right"}], "answer": "A"}, 1),
        ({"options": ["(2) left", "(3) right", "(1) ahead"], "answer": "3"}, 1),
        ({"options": [{"id": 3, "text": "a"}, {"id": 1, "text": "b"}, {"id": 2, "text": "c"}], "answer": 1}, 1),
        ({"options": [{"id": 14, "text": "a"}, {"id": 11, "text": "b"}], "answer": 11}, 1),
        ({"options": [{"id": "o6", "text": "a"}, {"id": "o4", "text": "b"}], "answer": "o4"}, 1),
    ],
)  # fmt: skip
def test_labels_of_options_show_what_numbers_mean(row: dict[str, Any], right: int) -> None:
    assert positions([row])[0] == [right]


@pytest.mark.parametrize(
    "form", ["{}. {}", "({}) {}", "[{}] {}", "{} - {}", "Option {}: {}", "**{}.** {}", "<{}> {}"]
)
@pytest.mark.parametrize("labels", ["ABCD", "CADB"])
def test_labels_are_no_part_of_the_options_in_any_order(form: str, labels: str) -> None:
    rows = [{"options": [form.format(*pair) for pair in zip(labels, FOUR, strict=True)],
             "answer": letter} for letter in "ABCD"]  # fmt: skip
    found = [item_of({"question": "Where?", **row}, "0", "row") for row in rows]
    assert [list(one.options) for one in found if one] == [FOUR] * 4
    assert positions(rows)[0] == [labels.index(letter) for letter in "ABCD"]


def test_options_of_which_one_has_no_label_keep_theirs() -> None:
    row = {"options": ["A. left", "right"], "answer": "B"}
    found = item_of({"question": "Where?", **row}, "0", "row")
    assert found
    assert list(found.options) == row["options"]


def test_shards_are_decided_one_by_one_and_reported_by_file(tmp_path: Path) -> None:
    for name, values in (("a", [0, 1]), ("b", [4, 1])):
        written(tmp_path, numbered(values)).rename(tmp_path / f"{name}.jsonl")
    assert [item.answer for item in read_items(tmp_path)] == [0, 1, 3, 0]
    assert read_benchmark(tmp_path).answers == (
        "a.jsonl: numbers of options, from 0 (answer); b.jsonl: numbers of options, from 1 (answer)"
    )


def test_the_commands_know_every_reading() -> None:
    def command() -> None: ...

    (option,) = answers_option(command).__click_params__  # type: ignore[attr-defined]
    assert tuple(option.type.choices) == READINGS
