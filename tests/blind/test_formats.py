"""Public benchmarks' files are read as they are, and mistakes in them are reported in words."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from public_formats import (
    FORMATS,
    ROWS,
    TOLD,
    VIDEOS,
    WORDS,
    answer,
    asked,
    dumped,
    egoschema,
    hourvideo,
    lines,
    mvbench,
    nextqa,
    options,
    parquet_list,
    right,
    tempcompass,
    vsibench,
)

from pipeline.blind.decoding import decode
from pipeline.blind.files import Benchmark, read_benchmark
from pipeline.blind.lettered import split_options
from pipeline.blind.sheet import ProbeItem
from pipeline.cli.console import exit_code
from pipeline.cli.main import cli
from pipeline.errors import UserError


@pytest.mark.parametrize(
    ("make", "kind"), [(make, kind) for make, (_, kinds) in FORMATS.items() for kind in kinds]
)
def test_every_item_of_a_public_format_is_read(make: Any, kind: str, tmp_path: Path) -> None:
    found = read_benchmark(make(tmp_path, kind))
    assert found.faults == {}
    assert len(found.items) == ROWS
    for item in found.items:
        number = int(item.question.removeprefix("Which door is opened ").split()[0])
        assert item.question == asked(number)
        assert list(item.options) == options(number, len(item.options))
        assert item.answer == right(number, len(item.options))
    counts = [len(item.options) for item in sorted(found.items, key=lambda one: one.question)]
    expected = FORMATS[make][0]
    assert set(counts) == {expected} if expected else len(set(counts)) > 1
    assert len({item.id for item in found.items}) == ROWS
    videos = {item.group for item in found.items}
    assert len(videos) == (ROWS if make is egoschema else VIDEOS)
    given_away = [name for item in found.items for name, value in item.columns.items()
                  if str(value).startswith(item.question)]  # fmt: skip
    assert given_away == []


def by_task(found: Benchmark) -> set[str]:
    return {item.task for item in found.items}


def test_keys_of_nested_json_are_videos_and_tasks(tmp_path: Path) -> None:
    found = read_benchmark(tempcompass(tmp_path, "both"))
    assert by_task(found) == {"action", "speed", "direction"}
    assert {item.clip for item in found.items} == {f"10{video}" for video in range(VIDEOS)}
    assert by_task(read_benchmark(hourvideo(tmp_path, "letter"))) == {"reasoning/spatial"}


def test_what_the_answers_are_is_reported(tmp_path: Path) -> None:
    told = {kind: read_benchmark(nextqa(tmp_path, kind)).answers for kind in ("0", "1", "text")}
    assert told == {
        "0": "numbers of options, from 0 (answer)",
        "1": "numbers of options, from 1 (answer)",
        "text": "option texts (answer)",
    }
    assert read_benchmark(egoschema(tmp_path, "0")).answers == (
        "numbers of options, from 0 (answer), from subset_answers.json"
    )


def test_questions_without_a_published_answer_are_skipped_and_counted(tmp_path: Path) -> None:
    file = egoschema(tmp_path, "0")
    for path in (file, tmp_path):
        found = read_benchmark(path)
        assert found.skipped == {"questions without a published answer": 2 * ROWS}
    assert found.without_questions == ("uid_to_url.json",)
    (tmp_path / "subset_answers.json").unlink()
    with pytest.raises(UserError, match="no answer"):
        read_benchmark(file)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("subset_answers.json", {f"uid-{n}": right(n, 5) for n in range(ROWS)}),
        ("test_gt.json", {f"uid-{n}": {"answer": right(n, 5)} for n in range(ROWS)}),
        ("labels.json", {"v": {f"uid-{n}": right(n, 5) for n in range(ROWS)}}),
        ("labels.jsonl", [{"q_uid": f"uid-{n}", "label": right(n, 5)} for n in range(ROWS)]),
        ("solution.csv", [{"id": f"uid-{n}", "answer": right(n, 5)} for n in range(ROWS)]),
    ],
)
def test_answers_may_be_in_a_file_beside_the_questions(name: str, key: Any, tmp_path: Path) -> None:
    file = egoschema(tmp_path, "0")
    (tmp_path / "subset_answers.json").unlink()
    if name.endswith(".csv"):
        pl.DataFrame(key).write_csv(tmp_path / name)
    else:
        (lines if name.endswith("l") else dumped)(tmp_path / name, key)
    found = read_benchmark(file)
    assert [item.answer for item in found.items] == [right(n, 5) for n in range(ROWS)]
    assert found.answers.endswith(f", from {name}")


@pytest.mark.parametrize("pair", [("yes", "no"), ("Yes.", "No."), ("True", "False")])
def test_questions_answered_by_yes_or_no_have_these_options(
    pair: tuple[str, str], tmp_path: Path
) -> None:
    rows = {
        f"10{n}": {"order": [{"question": f"Is door {n} open?", "answer": pair[n % 2]}]}
        for n in range(ROWS)
    }
    found = read_benchmark(dumped(tmp_path / "yes_no.json", rows))
    plain = tuple(text.strip(".").capitalize() for text in pair)
    assert {item.options for item in found.items} == {plain}
    assert [item.answer for item in found.items] == [n % 2 for n in range(ROWS)]


def test_a_broken_answer_does_not_make_yes_or_no_questions_open(tmp_path: Path) -> None:
    said = ["yes", "no"] * 9 + ["maybe"]
    rows = [{"question": asked(n), "answer": one} for n, one in enumerate(said)]
    path = lines(tmp_path / "a.jsonl", rows)
    found = read_benchmark(path)
    assert len(found.items) == 18
    assert found.faults == {f"{path}, line 19": "no option is the answer 'maybe' (2 options)"}


def test_null_options_are_open_questions(tmp_path: Path) -> None:
    found = read_benchmark(vsibench(tmp_path, "letter"))
    assert found.skipped == {"open questions": 5}
    assert {item.group for item in found.items} == {f"4106940{video}" for video in range(VIDEOS)}


@pytest.mark.parametrize("command", ["blind", "gates", "import"])
def test_a_file_of_open_questions_is_a_plain_result(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        {"question": asked(n), "answer": "yes" if n == 3 else f"the {WORDS[n % 5]} one",
         "category": "object recognition", "question_id": f"q{n}",
         "episode_history": f"hm3d-v0/{n % VIDEOS}"}
        for n in range(ROWS)
    ]  # fmt: skip
    path = dumped(tmp_path / "open-eqa-v0.json", rows)
    assert exit_code(cli, [command, str(path)]) == 0
    assert capsys.readouterr().out.strip() == (
        f"{path}: no multiple-choice items, {ROWS} open questions"
    )


LEFT = "Which way? Options: "


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        (f"{LEFT}A. left, B. right, C. back{TOLD}", ["left", "right", "back"]),
        (f"{LEFT}A. left., B. right, C. back{TOLD}", ["left.", "right", "back"]),
        (f"{LEFT}A) left, B) right, C) back{TOLD}", ["left", "right", "back"]),
        (f"{LEFT}A. left B. right C. back Instructions: pick A.", ["left", "right", "back"]),
        ("Which way?\nA. left\nB. right\nC. back\nAnswer with the option's letter from the given "
         "choices directly.", ["left", "right", "back"]),
        ("Which way?\n(A) left\n(B) right\n(C) back\nOnly give the best option.\nBest option:(",
         ["left", "right", "back"]),
        ("Which way?\nA. left\nB. right\nPlease directly give the best option:", ["left", "right"]),
        ("Which way?\n\nA. left\n\nB. right\n\nRespond with a single letter (A or B).",
         ["left", "right"]),
        ("Which way? A. Left. B. Right. Please answer with A or B.", ["Left.", "Right."]),
        ("Order: 1. up 2. down 3. on. What is first?\nA. 1\nB. 2\nC. 3", ["1", "2", "3"]),
        ("What helps?\nA. iron\nB. salt\nC. Vitamin D. helps most", ["iron", "salt", "Vitamin D. helps most"]),
        ("Which?\nOption 1: left\nOption 2: right", ["left", "right"]),
        ("Which?\na) left\nb) right", ["left", "right"]),
        ("Which way?\nA. left\nB. right\n\nThe camera is on a helmet.", ["left", "right"]),
        ("Which way? A. left of (B) here B. right C. back", ["left of (B) here", "right", "back"]),
    ],
)  # fmt: skip
def test_instructions_are_no_part_of_an_option(
    question: str, expected: list[str], tmp_path: Path
) -> None:
    row = {"problem": question, "solution": "<answer>A</answer>"}
    if "Option 1" in question:
        row["solution"] = "1"
    (item,) = read_benchmark(lines(tmp_path / "a.jsonl", [row])).items
    assert list(item.options) == expected
    assert item.answer == 0


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        ("A. Vitamin B B. Vitamin C. C. Milk D. Tea", ["Vitamin B", "Vitamin C.", "Milk", "Tea"]),
        ("A. Vitamin A. B. Vitamin B. C. Vitamin C. D. Vitamin D.",
         ["Vitamin A.", "Vitamin B.", "Vitamin C.", "Vitamin D."]),
        ("A. milk B. Vitamin C. helps C. tea D. salt", ["milk", "Vitamin C. helps", "tea", "salt"]),
        ("A. Crew A B. Crew C. C. Crew B D. none", ["Crew A", "Crew C.", "Crew B", "none"]),
        ("A. Milk B. Ward C. is far C. Tea D. Salt", ["Milk", "Ward C. is far", "Tea", "Salt"]),
        ("A. Mr. A. Smith B. Bob C. Carl", ["Mr. A. Smith", "Bob", "Carl"]),
        ("A. Mr. B. Smith, B. Bob, C. Carl", ["Mr. B. Smith", "Bob", "Carl"]),
        ("A: plan A: go left B: right C: up", ["plan A: go left", "right", "up"]),
        ("A. sits B. picks an option C. walks D. eats", ["sits", "picks an option", "walks", "eats"]),
        ("A. 5 B. B C. C D. D", ["5", "B", "C", "D"]),
        ("(A) sits (B) walks, or (C) eats", ["sits", "walks", "eats"]),
        ("Information A: sits\nInformation B: eats", ["sits", "eats"]),
        ("Option A. sits Option B. eats", ["sits", "eats"]),
    ],
)  # fmt: skip
def test_a_letter_and_a_stop_within_an_option_are_no_label(
    listed: str, expected: list[str]
) -> None:
    for question in ("What does he need?", "What did person A. do with B. Smith?"):
        found = split_options(f"{question} {listed}")
        assert (found.question, list(found.options)) == (question, expected)


@pytest.mark.parametrize(
    ("listed", "what"),
    [
        ("A. milk B. cup C. is red C. tea D. salt",
         "option C may begin at 'C. is red C. t' or at 'C. tea D. salt'"),
        ("A. worm B. fly C. C. elegans D. mouse",
         "option C may begin at 'C. C. elegans ' or at 'C. elegans D. '"),
        ("(A) sits (B) (B) walks (C) eats",
         "option B may begin at '(B) (B) walks (' or at '(B) walks (C) e'"),
        ("A. iron B. salt C. Vitamin D. helps", "option D may be part of the one before ('D. helps')"),
        ("A. Bob B. Carl C. T. D. Doe", "option D may be part of the one before ('D. Doe')"),
    ],
)  # fmt: skip
def test_a_label_that_may_be_part_of_an_option_is_reported(
    listed: str, what: str, tmp_path: Path
) -> None:
    row = {"question": f"What is it? {listed}", "answer": "A"}
    fix = ": write the options on lines of their own, or as a list"
    assert mistakes(tmp_path, [row]) == {"line 21": what + fix}


@pytest.mark.parametrize(
    "told",
    [
        "\nE. g. write A.",
        "\nE.g. A",
        "\nExample: E. left",
        "\nAnswer A. or B. or C. or D. or E. only.",
        " Answer with A, B, C, D or E.",
        " Please answer with A, B, C, D, or E. Nothing else.",
        " Choose (A), (B), (C), (D) or (E).",
        "\nReply A/B/C/D/E. E. g. A.",
    ],
)
@pytest.mark.parametrize("style", ["{}. {}", "({}) {}", "{}) {}"])
@pytest.mark.parametrize("between", [" ", "\n", ", "])
def test_no_option_is_made_of_instructions(told: str, style: str, between: str) -> None:
    expected = options(0, 4)
    listed = between.join(map(style.format, "ABCD", expected))
    assert list(split_options(f"Which?\n{listed}{told}").options) == expected
    assert list(split_options(f"Which? (A, B, C or D){told}\n{listed}").options) == expected


def mistakes(tmp_path: Path, rows: Sequence[Any], name: str = "bad.jsonl") -> dict[str, str]:
    good = [{"question": asked(n), "options": options(n, 4), "answer": answer(n, 4, "letter")}
            for n in range(20)]  # fmt: skip
    path = tmp_path / name
    found = read_benchmark((lines if name.endswith("l") else dumped)(path, [*good, *rows]))
    assert len(found.items) == len(good)
    return {where.removeprefix(f"{path}, "): what for where, what in found.faults.items()}


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ({"question": f"{LEFT}A. left{TOLD}"}, "only one option"),
        ({"question": f"{LEFT}A. left, B. right, C.{TOLD}"}, "option C holds the instructions"),
        ({"question": f"{LEFT}A. left, B. , C. right"}, "option B is empty"),
        ({"question": f"{LEFT}A. left, B. right, D. back"}, "option C is missing"),
        ({"question": f"{LEFT}A. left, B. right, B. back"}, "two options are labelled B"),
        ({"question": "Which way?", "options": ["left", "", "back"]}, "option B is empty"),
        ({"question": "Which way?", "options": ["left", None, "back"]}, "option B is empty"),
        ({"question": "Which way?", "options": ["left", "right"], "answer": "E"},
         "no option is the answer 'E' (2 options)"),
        ({"question": "Which way?", "options": ["left", "right"], "answer": ""}, "no answer"),
        ({"question": "Which way?"}, "no options, neither in columns nor in the question (A. ... B. ...)"),
        ({"question": "Which way?", "A": "left", "B": "right", "D": "back"},
         "no options: the columns a, b, d don't follow one another"),
        (["left", "right"], "not an object with named fields"),
    ],
)  # fmt: skip
def test_a_broken_row_is_reported_with_its_line_in_words(
    row: Any, what: str, tmp_path: Path
) -> None:
    whole = {"answer": "A", **row} if isinstance(row, dict) else row
    found = mistakes(tmp_path, [whole])
    assert found == {"line 21": what}


def test_a_broken_row_of_a_list_is_reported_with_its_line(tmp_path: Path) -> None:
    """The file has one value a line; the row begins on the line before its question."""
    found = mistakes(tmp_path, [{"question": "Which way?", "answer": "A"}], "bad.json")
    text = (tmp_path / "bad.json").read_text(encoding="utf-8").splitlines()
    line = next(number for number, one in enumerate(text, 1) if "Which way?" in one)
    assert list(found) == [f"line {line - 1}"]


def frame(orient: str, rows: list[dict[str, Any]]) -> Any:
    """Return rows as `pandas.DataFrame.to_json` writes them."""
    names = list(rows[0])
    return {
        "records": rows,
        "split": {"columns": names, "index": list(range(len(rows))),
                  "data": [list(row.values()) for row in rows]},
        "index": {str(n): row for n, row in enumerate(rows)},
        "columns": {name: {str(n): row[name] for n, row in enumerate(rows)} for name in names},
        "table": {"schema": {"fields": [{"name": name, "type": "string"} for name in names]},
                  "data": [{"index": n, **row} for n, row in enumerate(rows)]},
        "list": {name: [row[name] for row in rows] for name in names},
    }[orient]  # fmt: skip


@pytest.mark.parametrize("orient", ["records", "split", "index", "columns", "table", "list"])
@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("with_id", [False, True])
def test_tables_of_pandas_are_read(orient: str, wide: bool, with_id: bool, tmp_path: Path) -> None:
    rows = []
    for n in range(ROWS):
        listed = dict(zip("ABCD", options(n, 4), strict=True))
        rows.append({"video": f"v{n % VIDEOS}", "question": asked(n), "minutes": n % 3,
                     **(listed if wide else {"options": options(n, 4)}),
                     "answer": answer(n, 4, "letter")} | ({"id": f"q{n}"} if with_id else {}))  # fmt: skip
    found = read_benchmark(dumped(tmp_path / "a.json", frame(orient, rows)))
    assert found.faults == {}
    assert [list(item.options) for item in found.items] == [options(n, 4) for n in range(ROWS)]
    assert [item.answer for item in found.items] == [right(n, 4) for n in range(ROWS)]
    assert [item.clip for item in found.items] == [f"v{n % VIDEOS}" for n in range(ROWS)]
    assert {item.task for item in found.items} == {""}
    assert len({item.id for item in found.items}) == ROWS
    assert found.items[3].id == "q3" or not with_id
    assert found.items[4].columns["minutes"] == 1


def test_a_row_of_a_table_with_a_cell_too_few_is_reported(tmp_path: Path) -> None:
    rows = [{"question": asked(n), "options": options(n, 4), "answer": "B"} for n in range(ROWS)]
    content = frame("split", rows)
    content["data"][3].pop()
    path = dumped(tmp_path / "a.json", content)
    (where,) = [n for n, line in enumerate(path.read_text().splitlines(), 1) if asked(3) in line]
    found = read_benchmark(path)
    assert found.faults == {f"{path}, line {where - 1}": "the table names 3 columns, the row has 2"}


def test_lists_of_questions_options_and_answers_are_rows(tmp_path: Path) -> None:
    """An article of RACE, or a video, with a list for each field."""
    content = [
        {"id": f"v{video}", "questions": [asked(n) for n in own],
         "options": [options(n, 4) for n in own], "answers": [answer(n, 4, "letter") for n in own]}
        for video in range(VIDEOS)
        for own in [range(video, ROWS, VIDEOS)]
    ]  # fmt: skip
    found = read_benchmark(dumped(tmp_path / "a.json", content))
    assert found.faults == {}
    for item in found.items:
        number = int(item.question.split()[4])
        assert item.options[item.answer] == options(number, 4)[right(number, 4)]
        assert item.clip == f"v{number % VIDEOS}"
    assert len({item.id for item in found.items}) == ROWS


@pytest.mark.parametrize("kind", ["letter", "1", "text"])
def test_an_object_of_lettered_options_may_have_any_name(kind: str, tmp_path: Path) -> None:
    rows = [{"question": asked(n), "mcq_test": dict(zip("ABCD", options(n, 4), strict=True)),
             "correct_answer_label": answer(n, 4, kind), "scores": {"0": 0.1, "1": 0.9}}
            for n in range(ROWS)]  # fmt: skip
    found = read_benchmark(lines(tmp_path / "a.jsonl", rows))
    assert [list(item.options) for item in found.items] == [options(n, 4) for n in range(ROWS)]
    assert [item.answer for item in found.items] == [right(n, 4) for n in range(ROWS)]
    assert "mcq_test.A" not in found.items[0].columns


A, UPPER, LOWER = answer, "ABCD", "abcd"
PUBLIC: dict[str, Callable[[int], dict[str, Any]]] = {
    "HellaSwag": lambda n: {
        "ctx": asked(n), "endings": options(n, 4), "label": str(right(n, 4)), "activity_label": "x"},
    "SWAG": lambda n: {
        "video-id": f"v{n}", "startphrase": asked(n), "gold-source": "gold", "label": right(n, 4),
        **{f"ending{p}": t for p, t in enumerate(options(n, 4))}},
    "PIQA": lambda n: {"goal": asked(n), "label": right(n, 2),
                       **{f"sol{p + 1}": t for p, t in enumerate(options(n, 2))}},
    "WinoGrande": lambda n: {"sentence": asked(n), "answer": str(right(n, 2) + 1),
                             **{f"option{p + 1}": t for p, t in enumerate(options(n, 2))}},
    "SIQA": lambda n: {"context": "x", "question": asked(n), "label": str(right(n, 3) + 1),
                       **{f"answer{UPPER[p]}": t for p, t in enumerate(options(n, 3))}},
    "OpenBookQA": lambda n: {
        "question_stem": asked(n), "choices": {"text": options(n, 4), "label": list("ABCD")},
        "answerKey": A(n, 4, "letter")},
    "ARC": lambda n: {"question": {"stem": asked(n), "choices": [
        {"text": t, "label": "ABCD"[p]} for p, t in texts(n)]}, "answerKey": A(n, 4, "letter")},
    "A-OKVQA": lambda n: {
        "question": asked(n), "choices": options(n, 4), "correct_choice_idx": right(n, 4),
        "direct_answers": [A(n, 4, "text")] * 3},
    "MedMCQA": lambda n: {"question": asked(n), "cop": right(n, 4) + 1,
                          **{f"op{LOWER[p]}": t for p, t in texts(n)}},
    "ReClor": lambda n: {"question": asked(n), "answers": options(n, 4), "label": right(n, 4)},
    "Quail": lambda n: {
        "question": asked(n), "answers": options(n, 4), "correct_answer_id": right(n, 4)},
    "AGIEval": lambda n: {
        "query": asked(n), "choices": [f"({UPPER[p]}){t}" for p, t in texts(n)],
        "gold": [right(n, 4)]},
    "letters as options": lambda n: {
        "question": "\n".join([asked(n), *(f"{UPPER[p]}. {t}" for p, t in texts(n))]),
        "choices": list("ABCD"), "answer": A(n, 4, "letter")},
    "BIG-bench": lambda n: {
        "input": asked(n), "target_scores": {t: int(correct(n, p)) for p, t in texts(n)}},
    "TVQA": lambda n: {"q": asked(n), "answer_idx": right(n, 5), "vid_name": f"v{n}",
                       **{f"a{p}": t for p, t in enumerate(options(n, 5))}},
    "SEED-Bench": lambda n: {"question": asked(n), "answer": A(n, 4, "letter"), "data_id": "x",
                             **{f"choice_{LOWER[p]}": t for p, t in texts(n)}},
    "in Chinese": lambda n: {
        "question": "\n".join([asked(n), *(f"{UPPER[p]}、{t}\uff1b" for p, t in texts(n))]),
        "answer": A(n, 4, "letter")},
    "messages": lambda n: {"messages": [
        {"role": "user", "content": [{"type": "video", "video": "x"}, {"type": "text", "text":
            "\n".join([asked(n), *(f"{UPPER[p]}. {t}" for p, t in texts(n))])}]},
        {"role": "assistant", "content": [{"type": "text", "text": A(n, 4, "letter")}]}]},
}  # fmt: skip


@pytest.mark.parametrize("name", PUBLIC)
def test_other_public_formats_are_read(name: str, tmp_path: Path) -> None:
    found = read_benchmark(lines(tmp_path / "a.jsonl", [PUBLIC[name](n) for n in range(ROWS)]))
    assert found.faults == {}
    assert len(found.items) == ROWS
    for n, item in enumerate(found.items):
        count = len(item.options)
        assert item.question == asked(n)
        assert list(item.options) == options(n, count)
        assert item.answer == right(n, count)
        assert not any(str(value) in item.options for value in item.columns.values())


def test_the_video_may_be_named_in_an_object(tmp_path: Path) -> None:
    """HD-EPIC."""
    rows = {
        f"task_{n}": {"inputs": {"video 1": {"id": f"v{n % VIDEOS}", "start_time": "00:01"}},
                      "question": asked(n), "choices": options(n, 5), "correct_idx": right(n, 5)}
        for n in range(ROWS)
    }  # fmt: skip
    found = read_benchmark(dumped(tmp_path / "a.json", rows))
    assert [item.clip for item in found.items] == [f"v{n % VIDEOS}" for n in range(ROWS)]
    assert len({item.id for item in found.items}) == ROWS


@pytest.mark.parametrize("withheld", [-1, "NA", "?", "", None])
def test_what_stands_for_an_unpublished_answer_is_none(withheld: Any, tmp_path: Path) -> None:
    rows = [{"question": asked(n), "options": options(n, 4),
             "answer": withheld if n % 3 else A(n, 4, "letter")} for n in range(ROWS)]  # fmt: skip
    found = read_benchmark(lines(tmp_path / "a.jsonl", rows))
    assert (len(found.items), found.faults) == (4, {})
    assert found.skipped == {"questions without a published answer": 8}
    rows[1] |= {"options": ["NA", "-1", "?", "none"], "answer": "NA"}
    assert len(read_benchmark(lines(tmp_path / "a.jsonl", rows)).items) == 5


@pytest.mark.parametrize("kind", ["0", "text"])
def test_options_under_an_unknown_name_are_no_open_questions(kind: str, tmp_path: Path) -> None:
    rows = [{"question": asked(n), "answer": A(n, 4, kind), "mine": options(n, 4), "tags": ["x", "y"]}
            for n in range(ROWS)]  # fmt: skip
    path = lines(tmp_path / "a.jsonl", rows)
    with pytest.raises(UserError, match="are they in mine") as refused:
        read_benchmark(path)
    assert refused.value.where == f"{path}, line 1"
    for row in rows:
        row["answer"], row["mine"] = "something else", ["one", "two"]
    assert read_benchmark(lines(path, rows)).skipped == {"open questions": ROWS}


def test_a_missing_quotation_mark_is_suspected(tmp_path: Path) -> None:
    path = nextqa(tmp_path, "0")
    text = path.read_text(encoding="utf-8").splitlines()
    text[4] = text[4].replace("Which", '"Which')
    path.write_text("\n".join(text), encoding="utf-8")
    (fault,) = read_benchmark(path).faults.items()
    assert fault == (
        f"{path}, line 5",
        "the heading names 13 columns, the row has 5; it goes on over several lines: "
        "is a quotation mark missing?",
    )


def test_a_broken_video_among_others_is_reported(tmp_path: Path) -> None:
    content = json.loads(tempcompass(tmp_path, "both").read_text(encoding="utf-8"))
    content["broken"] = {"action": [{"answer": "A. left"}]}
    found = read_benchmark(dumped(tmp_path / "t.json", content))
    assert len(found.items) == ROWS
    (what,) = found.faults.values()
    assert what.startswith("no question (looked for question, problem")


def test_a_table_with_a_cell_too_many_is_reported_with_its_line(tmp_path: Path) -> None:
    path = nextqa(tmp_path, "0")
    text = path.read_text(encoding="utf-8")
    path.write_text(text + '1,2,3,4,"What\nfor?",0,9,CW,a,b,c,d,e,f\n' + text.splitlines()[1])
    found = read_benchmark(path)
    assert found.faults == {
        f"{path}, line {ROWS + 2}": "the heading names 13 columns, the row has 14"
    }
    assert len(found.items) == ROWS + 1


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_tables_may_have_other_delimiters(delimiter: str, tmp_path: Path) -> None:
    path = nextqa(tmp_path, "0")
    path.write_text(path.read_text(encoding="utf-8").replace(",", delimiter), encoding="utf-8")
    found = read_benchmark(path)
    assert len(found.items) == ROWS
    assert found.items[0].columns["width"] == 640


ENCODINGS = ["utf-8-sig", *(f"utf-{size}{end}" for size in (16, 32) for end in ("", "-le", "-be"))]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_text_may_have_another_encoding_if_it_shows_which(
    encoding: str, newline: str, tmp_path: Path
) -> None:
    table, rows = nextqa(tmp_path, "0"), mvbench(tmp_path, "text")
    for path in (table, rows):
        before = read_benchmark(path)
        text = path.read_text(encoding="utf-8").replace("Which door", "Quelle entrée ☺")
        path.write_bytes(newline.join(text.splitlines()).encode(encoding))
        found = read_benchmark(path)
        assert [item.options for item in found.items] == [item.options for item in before.items]
        assert {item.question[:15] for item in found.items} == {"Quelle entrée ☺"}


@pytest.mark.parametrize(
    ("data", "line", "what"),
    [
        ("question,a0,a1,answer\nOù?,x,y,0\n".encode("latin-1"), 2, r"not UTF-8 text: .*0xf9\)"),
        ('{"question": "x"}\n"\u2019"'.encode("cp1252"), 2, r"not UTF-8 text: .*0x92\)"),
        ("質問,a0,a1\nÖ,x,y\n".encode("utf-16-le"), 1, r"not UTF-8 text: .*perhaps it is UTF-16"),
        ("question,a0,a1".encode("utf-16")[:-1], 1, "not UTF-16 text: truncated data"),
    ],
)  # fmt: skip
def test_text_in_an_unknown_encoding_is_refused_with_its_line(
    data: bytes, line: int, what: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(data)
    with pytest.raises(UserError, match=what) as refused:
        read_benchmark(path)
    assert refused.value.where == f"{path}, line {line}"
    assert "UTF-8" in refused.value.fix


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("Which way?,left,right,ahead,B\nWhere?,in,out,up,A\n",
         "put such a line above it (question,A,B,C,answer)"),
        ("question,a,b,a,answer\nWhich way?,left,right,ahead,a\n", "two columns are called a: rename one"),
    ],
)  # fmt: skip
def test_a_table_whose_heading_names_no_columns_or_two_alike_is_refused(
    text: str, what: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as refused:
        read_benchmark(path)
    assert (refused.value.where, what in refused.value.what) == (f"{path}, line 1", True)
    mvbench(tmp_path, "text")  # in a folder, such a file holds something else
    assert len(read_benchmark(tmp_path).items) == ROWS


def test_a_packed_file_is_to_be_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(b"x")
    with pytest.raises(UserError) as refused:
        read_benchmark(path)
    assert refused.value.fix.startswith("unpack it, or use .jsonl")


def test_json_on_each_line_is_read_whatever_the_file_is_called(tmp_path: Path) -> None:
    file = vsibench(tmp_path, "letter").rename(tmp_path / "test.json")
    assert len(read_benchmark(file).items) == ROWS
    listed = mvbench(tmp_path, "text").rename(tmp_path / "list.jsonl")
    assert len(read_benchmark(listed).items) == ROWS


def test_a_few_numbers_that_are_no_option_do_not_hide_what_the_others_are(tmp_path: Path) -> None:
    """One row says 5 of five options from 0: it is broken, the file is not."""
    rows = [{"question": asked(n), "options": options(n, 5), "answer": answer(n, 5, "0")}
            for n in range(100)]  # fmt: skip
    rows[40]["answer"] = 5
    path = lines(tmp_path / "a.jsonl", rows)
    found = read_benchmark(path)
    assert found.answers == "numbers of options, from 0 (answer)"
    assert found.faults == {f"{path}, line 41": "no option is the answer '5' (5 options)"}


def test_unreadable_rows_are_counted_and_most_must_be_readable(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows: list[Any] = json.loads(mvbench(tmp_path, "text").read_text(encoding="utf-8")) * 10
    for number in range(8):
        rows[number] = {**rows[number], "answer": "none of these"}
    path = lines(tmp_path / "a.jsonl", rows)
    assert exit_code(cli, ["blind", str(path)]) == 0
    out = capsys.readouterr().out.splitlines()
    begin = out.index("could not read 8 of 120 rows:")
    assert (
        out[begin + 1] == f"  {path}, line 1: no option is the answer 'none of these' (4 options)"
    )
    assert out[begin + 6] == f"  and 3 more: egost import {path} lists all"
    lines(path, [{**row, "answer": "none"} for row in rows[:70]] + rows[70:])
    assert exit_code(cli, ["blind", str(path)]) == 2
    err = capsys.readouterr().err
    assert f"{path}, line 1" in err
    assert "70 of 120 rows can't be read" in err


def test_gates_of_a_file_list_its_mistakes_and_run_the_probe(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"question": asked(n), "options": options(n, 4), "answer": answer(n, 4, "letter"),
             "video": f"v{n % VIDEOS}"} for n in range(20)]  # fmt: skip
    rows[3]["options"] = rows[3]["options"][:3]
    rows[5]["options"][3] += TOLD
    path = lines(tmp_path / "a.jsonl", rows)
    assert exit_code(cli, ["gates", str(path)]) == 3
    out = capsys.readouterr().out.splitlines()
    assert f"{path}, line 4: 3 options, others have 4" in out
    assert f"{path}, line 6: option D holds the instructions" in out
    assert any(line.startswith("blind: unproven: ") for line in out)


NAMES = (
    "question",
    "options",
    "answer",
    "label",
    "video",
    "id",
    "a0",
    "a1",
    "A",
    "B",
    "messages",
    "x",
    *("columns", "data", "questions", "answers", "choice", "choices", "text", "labels", "correct"),
    *("target_scores", "input", "content", "from", "value"),
)
TEXTS = st.sampled_from(
    [
        "",
        "A",
        "yes",
        "2",
        "Which? A. x B. y",
        "Options:\n1. x\n\nInstructions:",
        "C.",
        "human",
        "question",
        "Which? A. Mr. B. x B. y C. B. Choose A, B or C.",
        "['a' 'b']",
        "wrong",
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 9) | st.floats() | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=6)
    ),
    max_leaves=25,
)


@given(content=VALUES, by_line=st.booleans())
def test_any_json_is_read_or_refused(content: Any, by_line: bool) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.jsonl"
        rows = content if by_line and isinstance(content, list) else [content]
        try:
            items = read_benchmark(lines(path, rows)).items
        except UserError as error:
            where, items = error.where, ()
        else:
            where = str(path)
    assert where.startswith(str(path))
    for item in items:
        assert 0 <= item.answer < len(item.options)
        assert all(item.options)


def test_images_in_a_table_are_not_read(tmp_path: Path) -> None:
    (_, row), *_ = decode(parquet_list(tmp_path, "0")).roots
    assert row.keys() == {"video", "question", "choices", "answer"}


@pytest.mark.parametrize("padding", [None, "", " ", float("nan")])
def test_rows_with_fewer_options_may_be_padded(padding: object, tmp_path: Path) -> None:
    row = {"question": "Which way?", "options": ["left", "right", padding], "answer": "B"}
    (item,) = read_benchmark(lines(tmp_path / "a.jsonl", [row])).items
    assert item.options == ("left", "right")


def test_folders_of_files_keep_their_ids_apart(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        mvbench(tmp_path / name, "text").rename(tmp_path / f"{name}.json")
    items: tuple[ProbeItem, ...] = read_benchmark(tmp_path).items
    assert len({item.id for item in items}) == 2 * ROWS


def apart(folder: Path, questions: str, others: dict[str, Any], name: str = "uid-{}") -> Path:
    """Write questions without answers, and other files beside them."""
    for other, content in others.items():
        dumped(folder / other, content)
    rows = [{"id": name.format(n), "question": asked(n), "options": options(n, 5)}
            for n in range(ROWS)]  # fmt: skip
    return dumped(folder / questions, rows)


def keyed(shift: int = 0, name: str = "uid-{}", lead: str = "") -> list[dict[str, Any]]:
    said = {"question": lead + asked(0)} if lead else {}
    return [{"id": name.format(n), "answer": (right(n, 5) + shift) % 5, **said}
            for n in range(ROWS)]  # fmt: skip


@pytest.mark.parametrize(
    ("questions", "other", "content"),
    [
        ("mine_test.json", "other_with_answers.json", keyed(1, "{}")),  # row numbers tell nothing
        ("test_unlabeled.json", "train_labeled.json", keyed(1, "{}")),
        ("test.json", "train_unlabeled.json", keyed(1)),
        ("test.json", "baseline_answers.json", keyed(1)),
        ("test.json", "test_answers.json", keyed(1, lead="Another: ")),  # other questions
        ("test.json", "answers.json", keyed(1)[:1] + keyed(1, "else-{}")),  # one id in common
    ],
)
def test_answers_to_other_questions_are_not_taken(
    questions: str, other: str, content: Any, tmp_path: Path
) -> None:
    name = content[-1]["id"].replace(str(ROWS - 1), "{}").replace("else", "uid")
    with pytest.raises(UserError, match="no answer"):
        read_benchmark(apart(tmp_path, questions, {other: content}, name))


@pytest.mark.parametrize(
    ("questions", "key", "name"),
    [
        ("mine_test.json", "mine_test_answers.json", "{}"),
        ("questions.json", "answers.json", "{}"),
        ("questions.json", "subset_answers.json", "uid-{}"),
        ("mine_unlabeled.json", "mine_labels.json", "{}"),
    ],
)
def test_answers_are_taken_from_the_file_with_the_same_name(
    questions: str, key: str, name: str, tmp_path: Path
) -> None:
    others = {key: keyed(0, name), "gpt_answers.json": keyed(1, name)}
    found = read_benchmark(apart(tmp_path, questions, others, name))
    assert [item.answer for item in found.items] == [right(n, 5) for n in range(ROWS)]
    assert found.answers.endswith(f", from {key}")


def test_a_file_of_answers_that_repeats_the_questions_is_read_once(tmp_path: Path) -> None:
    path = apart(tmp_path, "mine.json", {})
    key = [{"id": f"uid-{n}", "question": asked(n), "answer": right(n, 5)} for n in range(ROWS)]
    dumped(tmp_path / "mine_gt.json", key)
    assert read_benchmark(tmp_path).items == read_benchmark(path).items
    assert read_benchmark(tmp_path).faults == {}


def test_two_files_of_different_answers_are_refused_by_name(tmp_path: Path) -> None:
    path = apart(tmp_path, "q.json", {"a_answers.json": keyed(), "b_answers.json": keyed(1)})
    with pytest.raises(UserError, match=r"a_answers\.json and b_answers\.json .* differently"):
        read_benchmark(path)
    dumped(tmp_path / "b_answers.json", keyed())
    assert len(read_benchmark(path).items) == ROWS


def padded(filler: Any, real: int = 0, kind: str = "letter") -> list[dict[str, Any]]:
    """Return rows of a table with five option columns; every third row has two options less."""
    rows = []
    for n in range(24):
        count = 5 if n % 3 else 3
        texts = [*options(n, count), *[filler] * (5 - count)]
        rows.append({"question": asked(n), "answer": answer(n, count, kind),
                     **{f"option{place}": text for place, text in enumerate(texts)}})  # fmt: skip
    rows[0]["answer"] = "D" if real else rows[0]["answer"]
    return rows


@pytest.mark.parametrize("filler", ["N/A", "nan", "None", "-", "NULL", ""])
@pytest.mark.parametrize("kind", ["letter", "0", "1", "text"])
def test_fillers_of_empty_cells_are_no_options(filler: str, kind: str, tmp_path: Path) -> None:
    found = read_benchmark(lines(tmp_path / "a.jsonl", padded(filler, kind=kind)))
    assert [len(item.options) for item in found.items] == [5 if n % 3 else 3 for n in range(24)]
    assert [item.answer for item in found.items] == [right(n, 5 if n % 3 else 3) for n in range(24)]


def test_a_text_that_is_an_answer_or_ends_all_rows_is_an_option(tmp_path: Path) -> None:
    found = read_benchmark(lines(tmp_path / "a.jsonl", padded("None", real=1)))
    assert {len(item.options) for item in found.items} == {5}
    rows = [{"question": asked(n), "options": [*options(n, 3), "None"], "answer": "ABC"[n % 3]}
            for n in range(12)]  # fmt: skip
    found = read_benchmark(lines(tmp_path / "b.jsonl", rows))
    assert {item.options[3] for item in found.items} == {"None"}
    rows[0] |= {"options": options(0, 4)}
    rows[3:] = [row | {"options": options(n, 4)} for n, row in enumerate(rows[3:], 3)]
    found = read_benchmark(lines(tmp_path / "c.jsonl", rows))
    assert {len(item.options) for item in found.items} == {4}  # in two rows only


def inside(number: int, tail: str, last: str = "") -> dict[str, Any]:
    texts = options(number, 4)
    texts[3] = last or texts[3]
    listed = "\n".join(f"{letter}. {text}" for letter, text in zip("ABCD", texts, strict=True))
    return {
        "id": number,
        "problem": f"{asked(number)}\n{listed}{tail}",
        "answer": "ABCD"[number % 4],
    }


@pytest.mark.parametrize(
    "tail",
    [
        "\nAnswer the question with A, B, C, or D.",
        "\nYour answer?",
        "\nLet's think step by step.",
        "\nThink first, then answer in <answer></answer> tags.",
        "\nYour response should be A, B, C or D.",
        "\nThe frames are in order.\nThink about it.",
        " Your answer?",
        ", Answer with the option's letter.",
    ],
)
def test_what_ends_nearly_all_rows_is_no_part_of_an_option(tail: str, tmp_path: Path) -> None:
    rows = [inside(n, "" if n == 7 else tail) for n in range(ROWS)]
    found = read_benchmark(lines(tmp_path / "a.jsonl", rows))
    assert [list(item.options) for item in found.items] == [options(n, 4) for n in range(ROWS)]


def test_several_lines_may_follow_the_options_of_one_file(tmp_path: Path) -> None:
    tails = ("\nYour answer?", "\nLet's think.", "")
    rows = [inside(n, tails[n % 3]) for n in range(ROWS)]
    found = read_benchmark(lines(tmp_path / "a.jsonl", rows))
    assert [list(item.options) for item in found.items] == [options(n, 4) for n in range(ROWS)]


@pytest.mark.parametrize(
    "text",
    [
        "press the button, select the number",
        "he nods. Choose a letter",
        "pick a number",
        "Answer: 42",
        "Choose yes",
        "goes on. Your answer?",
    ],
)
@pytest.mark.parametrize("tail", ["", "\nYour answer?", "\nAnswer with the letter."])
def test_an_option_that_reads_like_instructions_is_kept(
    text: str, tail: str, tmp_path: Path
) -> None:
    rows = [inside(n, tail, text if n == 5 else "") for n in range(ROWS)]
    found = read_benchmark(lines(tmp_path / "a.jsonl", rows))
    assert found.faults == {}
    assert found.items[5].options[3] == text
    assert list(found.items[4].options) == options(4, 4)


@pytest.mark.parametrize("last", ["None Of The Above", "not given. The video does not show it"])
def test_a_last_option_that_all_rows_share_is_kept(last: str, tmp_path: Path) -> None:
    rows = [inside(n, "", last) for n in range(ROWS)]
    found = read_benchmark(lines(tmp_path / "a.jsonl", rows))
    assert {item.options[3] for item in found.items} == {last}
    rows = [inside(n, " Meters") | {"problem": asked(n) + "".join(
        f"\n{letter}. {n + place} Meters" for place, letter in enumerate("ABCD"))}
        for n in range(ROWS)]  # fmt: skip
    found = read_benchmark(lines(tmp_path / "b.jsonl", rows))
    assert found.items[3].options == ("3 Meters", "4 Meters", "5 Meters", "6 Meters")


def test_answers_in_sentences_to_yes_or_no_questions(tmp_path: Path) -> None:
    said = ["Yes, the man does.", "No, he does not.", "Yes.", "no"]
    rows = [{"question": asked(n), "answer": said[n % 4]} for n in range(ROWS)]
    found = read_benchmark(lines(tmp_path / "a.jsonl", rows))
    assert {item.options for item in found.items} == {("Yes", "No")}
    assert [item.answer for item in found.items] == [n % 2 for n in range(ROWS)]


@pytest.mark.parametrize(
    "columns",
    [
        ("wrong_answer_0", "wrong_answer_1", "wrong_answer_2"),
        ("Incorrect Answer 1", "Incorrect Answer 2", "Incorrect Answer 3"),
        ("distractor1", "distractor2", "distractor3"),
        ("incorrect_answers",),
    ],
)
def test_columns_of_wrong_answers_are_options_in_an_order_that_tells_nothing(
    columns: Sequence[str], tmp_path: Path
) -> None:
    rows = []
    for n in range(ROWS):
        first, *wrong = options(n, 4)
        cells = [wrong] if len(columns) == 1 else wrong
        rows.append({"question": asked(n), "correct_answer": first,
                     **dict(zip(columns, cells, strict=True))})  # fmt: skip
    found = read_benchmark(lines(tmp_path / "a.jsonl", rows))
    assert len(found.items) == ROWS
    for n, item in enumerate(found.items):
        assert list(item.options) == sorted(options(n, 4), key=str.casefold)
        assert item.options[item.answer] == options(n, 4)[0]
        assert item.columns == {}


def correct(number: int, place: int) -> bool:
    return place == right(number, 4)


def texts(number: int) -> list[tuple[int, str]]:
    return list(enumerate(options(number, 4)))


MARKS: dict[str, Callable[[int], dict[str, Any]]] = {
    "correct": lambda n: {"options": [{"text": t, "correct": correct(n, p)} for p, t in texts(n)]},
    "is_correct": lambda n: {
        "choices": [{"label": "ABCD"[p], "text": t, "is_correct": int(correct(n, p))}
                    for p, t in texts(n)]},
    "isCorrect": lambda n: {
        "options": [{"value": t} | ({"isCorrect": True} if correct(n, p) else {})
                    for p, t in texts(n)]},
    "answer": lambda n: {  # CLEVRER
        "choices": [{"choice_id": p, "choice": t, "answer": "correct" if correct(n, p) else "wrong"}
                    for p, t in texts(n)]},
    "by label": lambda n: {
        "options": {"DCBA"[p]: {"text": t, "correct": str(correct(n, p))} for p, t in texts(n)[::-1]}},
    "columns": lambda n: {f"option {p}": {"text": t, "correct": correct(n, p)} for p, t in texts(n)},
    "a list for each field": lambda n: {
        "choices": {"text": options(n, 4), "correct": [correct(n, p) for p in range(4)]}},
    "mc1_targets": lambda n: {  # TruthfulQA
        "mc1_targets": {"choices": options(n, 4), "labels": [int(correct(n, p)) for p in range(4)]}},
    "target_scores": lambda n: {"target_scores": {t: int(correct(n, p)) for p, t in texts(n)}},
    "text: true": lambda n: {"options": {t: correct(n, p) for p, t in texts(n)}},
    "beside": lambda n: {"options": options(n, 4), "label": [int(correct(n, p)) for p in range(4)]},
}  # fmt: skip


@pytest.mark.parametrize("name", MARKS)
@pytest.mark.parametrize("table", [False, True])
def test_options_may_be_marked_as_right_or_wrong(name: str, table: bool, tmp_path: Path) -> None:
    rows = [{"question": asked(n), "video": f"v{n % VIDEOS}"} | MARKS[name](n) for n in range(ROWS)]
    if table and name not in ("target_scores", "text: true"):
        path = tmp_path / "a.parquet"
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        path = lines(tmp_path / "a.jsonl", rows)
    found = read_benchmark(path)
    assert found.faults == {}
    assert found.answers.startswith("marks on options (")
    for n, item in enumerate(found.items):
        expected = options(n, 4)
        assert sorted(item.options) == sorted(expected)
        assert item.options == tuple(expected) or name == "by label"
        assert item.options[item.answer] == expected[right(n, 4)]
        assert item.columns == {"video": f"v{n % VIDEOS}"}


@pytest.mark.parametrize(
    ("marks", "what"),
    [
        ((False, False), "no option is marked as right"),
        ((True, True), "2 options are marked as right"),
        (("maybe", True), "no answer"),
        ((None, None), "no answer"),
        ((0, 0), "no option is marked as right"),
    ],
)
def test_marks_that_name_no_option_are_reported_with_their_line(
    marks: tuple[Any, Any], what: str, tmp_path: Path
) -> None:
    row = {"options": [{"text": "in", "correct": marks[0]}, {"text": "out", "correct": marks[1]}]}
    assert mistakes(tmp_path, [{"question": "Which way?"} | row]) == {"line 21": what}


def test_marks_and_an_answer_that_differ_are_reported(tmp_path: Path) -> None:
    row = {"options": [{"text": "in", "correct": True}, {"text": "out", "correct": False}]}
    whole = {"question": "Which way?", "answer": "B"} | row
    what = "the columns correct and answer give different options"
    assert mistakes(tmp_path, [whole]) == {"line 21": what}


@pytest.mark.parametrize(
    ("row", "right"),
    [
        ({"options": [{"id": 0, "text": "in"}, {"id": 1, "text": "out"}], "answer": 1}, 1),
        ({"options": [{"label": 1, "text": "in"}, {"label": 0, "text": "out"}], "answer": 0}, 1),
        ({"options": {"one": "yes", "two": "no"}, "answer": "no"}, 1),
        ({"options": [{"answer": "yes"}, {"answer": "no"}], "answer": "no"}, 1),
        ({"options": ["polish", "Polish", "5", "5."], "answer": "Polish"}, 1),
        ({"options": ["polish", "Polish", "5", "5."], "answer": "5."}, 3),
        ({"options": [True, False], "answer": False}, 1),
        ({"options": "['in'\n 'out'\n 'up, \\'or\\' down']", "answer": "up, 'or' down"}, 2),
        ({"answer_1": "in", "answer_2": "out", "correct_answer": "answer_2"}, 1),
        ({"A": "in", "B": "out", "choice": "A", "answer": "B"}, 1),
        ({"choice": ["in", "out"], "answer": "out"}, 1),
        ({"options": ["in", "out", "up"], "correct": [True, False, False], "answer": "B"}, 1),
        ({"options": ["True", "False"], "correct": True, "answer": "B"}, 1),
        ({"options": ["1", "2"], "question": "How many? A. cup B. plate", "answer": "2"}, 1),
        (
            {
                "options": ["A", "B"],
                "question": "Which is first: A. cup B. plate C. knife",
                "answer": "B",
            },
            1,
        ),
    ],
)
def test_what_looks_like_marks_or_another_option_is_read(
    row: dict[str, Any], right: int, tmp_path: Path
) -> None:
    path = lines(tmp_path / "a.jsonl", [{"question": "Which?"} | row])
    (item,) = read_benchmark(path).items
    assert item.answer == right
    assert len(item.options) == len(row.get("options", "12")) or isinstance(row["options"], str)


def test_options_that_may_be_meant_twice_or_are_one_text_are_reported(tmp_path: Path) -> None:
    rows = [
        {"question": "Which?", "options": ["polish", "Polish"], "answer": "POLISH"},
        {"question": "Which?", "options": "in | out", "answer": "A"},
    ]
    assert mistakes(tmp_path, rows) == {
        "line 21": "no option is the answer 'POLISH' (2 options)",
        "line 22": "only one option ('in | out'): write a list, or each on a line",
    }


@pytest.mark.parametrize(
    ("given", "what"),
    [
        (None, "no options, neither in columns nor in the question (A. ... B. ...)"),
        ([], "no options, neither in columns nor in the question (A. ... B. ...)"),
        (5, "the options are 5, neither a list nor a text"),
    ],
)
def test_missing_options_among_many_rows_with_options_are_reported(
    given: Any, what: str, tmp_path: Path
) -> None:
    row = {"question": "Which way?", "options": given, "answer": "A"}
    assert mistakes(tmp_path, [row]) == {"line 21": what}
    path = lines(tmp_path / "a.jsonl", [row | {"options": ["left", "right"]}] * 10
                 + [row | {"format": "open", "options": None}])  # fmt: skip
    assert read_benchmark(path).skipped == {"open questions": 1}
