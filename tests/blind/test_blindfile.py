"""Reading items from other people's files; rows that can't be read are reported with file and line."""

import json
from pathlib import Path
from typing import Any

import blind_items as made
import polars as pl
import pytest
from blind_items import read_items
from small_release import small_space

from pipeline.blind import audit
from pipeline.blind.files import read_benchmark
from pipeline.blind.items import blind_report
from pipeline.blind.probe import LIMITS
from pipeline.cli.console import exit_code
from pipeline.cli.main import cli
from pipeline.errors import UserError

TEXT = "Which way?\nOptions:\nA. left\nB. right\nC. straight on"
ROW = {"question": "Which way?", "options": ["left", "right", "straight on"], "answer": "B"}


def one(tmp_path: Path, row: object, name: str = "items.jsonl") -> Any:
    path = tmp_path / name
    path.write_text(json.dumps(row) + "\n", encoding="utf-8")
    (item,) = read_items(path)
    return item


@pytest.mark.parametrize(
    "answer",
    [
        *("B", "b", "(B)", "B.", "B. right", "B: right", "right", "Right.", ["B"]),
        *("<answer>B</answer>", "<think>A?</think><answer> B </answer>"),
        *("Answer: B", "The answer is B", "B. righ"),
    ],
)
def test_an_answer_is_a_letter_or_a_text(tmp_path: Path, answer: object) -> None:
    assert one(tmp_path, ROW | {"answer": answer}).answer == 1


@pytest.mark.parametrize(
    "answer", ["D", "E. right", "A. right", 4, -1, "back", True, 0.5, "left or right", {"a": 1}]
)
def test_an_answer_that_is_none_of_the_options_is_reported(tmp_path: Path, answer: object) -> None:
    path = tmp_path / "items.jsonl"
    path.write_text(json.dumps(ROW) + "\n\n" + json.dumps(ROW | {"answer": answer}) + "\n")
    with pytest.raises(UserError) as caught:
        read_items(path)
    assert caught.value.where == f"{path}, line 3"
    assert "no option is the answer" in caught.value.what
    assert "(3 options)" in caught.value.what


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        (["A. left", "B. right", "C. straight on"], "B"),
        (["(A) left", "(B) right", "(C) straight on"], "B. right"),
        ({"A": "left", "B": "right", "C": "straight on", "D": None}, "B"),
        ("A. left\nB. right\nC. straight on", "right"),
        ("left\nright\nstraight on", "B"),
        ('["left", "right", "straight on"]', "B"),
        ("['left', 'right', 'straight on']", "right"),
        ('{"A": "left", "B": "right", "C": "straight on"}', "B"),
        ([{"label": "A", "text": "left"}, {"text": "right"}, {"content": "straight on"}], "B"),
    ],
)
def test_options_come_in_many_forms(tmp_path: Path, options: object, answer: str) -> None:
    item = one(tmp_path, ROW | {"options": options, "answer": answer})
    assert item.options == ("left", "right", "straight on")
    assert item.answer == 1


@pytest.mark.parametrize(
    "names",
    [
        ("A", "B", "C"),
        ("a", "b", "c"),
        ("option_1", "option_2", "option_3"),
        ("choice0", "choice1", "choice2"),
        ("Option C", "Option B", "Option A"),
    ],
)
def test_options_may_have_columns_of_their_own(tmp_path: Path, names: tuple[str, ...]) -> None:
    texts = dict(zip(sorted(names), ("left", "right", "straight on"), strict=True))
    row = {
        "question": "Which way?",
        **{name: texts[name] for name in names},
        "room": 3,
        "answer": "B",
    }
    item = one(tmp_path, row)
    assert (item.options, item.answer) == (("left", "right", "straight on"), 1)
    assert item.columns == {"room": 3}


def test_columns_with_a_gap_are_not_options(tmp_path: Path) -> None:
    item = one(tmp_path, ROW | {"a": 1, "b": 2})
    assert item.columns == {"a": 1, "b": 2}
    with pytest.raises(UserError, match="no options"):
        one(tmp_path, {"question": "Which way?", "A": "left", "C": "right", "answer": "left"})


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        "Which way? A. left B. right C. straight on",
        "Which way? (A) left, (B) right, (C) straight on",
        "Which way?\nA) left\nB) right\nC) straight on\n",
        "Which way? Choices: A: left; B: right; C: straight on",
    ],
)
def test_options_may_be_inside_the_question(tmp_path: Path, text: str) -> None:
    item = one(tmp_path, {"problem": text, "solution": "<answer>C</answer>", "process": "so C"})
    assert item.question == "Which way?"
    assert item.options == ("left", "right", "straight on")
    assert item.answer == 2
    assert dict(item.columns) == {}


def test_what_contains_the_answer_is_not_a_column(tmp_path: Path) -> None:
    row = ROW | {
        "answer_text": "right",
        "reasoning": "so",
        "fps": 30,
        "scene": "hall",
        "frames": [1],
    }
    item = one(tmp_path, row)
    assert item.columns == {"fps": 30, "scene": "hall"}
    assert item.group == "hall"


def test_without_a_group_the_video_is_one_and_else_the_row(tmp_path: Path) -> None:
    assert one(tmp_path, ROW | {"video": "v.mp4"}).group == "v.mp4"
    assert one(tmp_path, ROW).group == "row 0"


def test_json_and_parquet_and_folders_read_alike(tmp_path: Path) -> None:
    rows = [{**ROW, "id": str(number), "video": f"v{number}"} for number in range(4)]
    lines = tmp_path / "a.jsonl"
    lines.write_text("\n".join(map(json.dumps, rows)))
    listed = tmp_path / "b.json"
    listed.write_text(json.dumps({"version": 1, "data": rows}, indent=1))
    release = tmp_path / "v1.0.0"
    (release / "data").mkdir(parents=True)
    pl.DataFrame(rows).write_parquet(release / "data" / "test-00000-of-00001.parquet")
    assert read_items(lines) == read_items(listed) == read_items(release)
    assert len(read_items(lines)) == 4


def test_open_questions_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "items.jsonl"
    opened = {"question": "Describe it.", "options": [], "answer_text": "It goes on."}
    path.write_text(json.dumps(opened) + "\n" + json.dumps(ROW))
    assert len(read_items(path)) == 1


@pytest.mark.parametrize(
    ("name", "text", "where", "what"),
    [
        ("a.jsonl", '{"question": "x"', ", line 1", "not valid JSON"),
        ("a.json", '[\n{"question": ]', ", line 2", "not valid JSON"),
        ("a.json", '{"a": 1}', ", line 1", "no question"),
        ("a.jsonl", "[1]", ", line 1", "not an object"),
        ("a.jsonl", '{"options": ["a", "b"]}', ", line 1", "no question"),
        ("a.jsonl", '{"question": "Where?"}', ", line 1", "no options"),
        (
            "a.jsonl",
            '{"question": "x", "options": ["a"], "answer": 0}',
            ", line 1",
            "only one option",
        ),
        ("a.jsonl", '{"question": "x", "options": ["a", "b"]}', ", line 1", "no answer"),
        ("a.jsonl", "", "", "no multiple-choice item"),
        ("a.parquet", "text", "", "not readable as Parquet"),
        ("a.txt", "x", "", "unknown file type"),
    ],
)
def test_what_can_not_be_read_is_reported(
    tmp_path: Path, name: str, text: str, where: str, what: str
) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        read_items(path)
    assert caught.value.where == f"{path}{where}"
    assert what in caught.value.what


@pytest.mark.parametrize("name", ["missing.jsonl", "folder"])
def test_a_missing_file_is_reported(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match=r"no such file|no \.jsonl"):
        read_items(tmp_path / name)


def test_bytes_that_are_not_text_are_reported(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"question": "\xff\xfe"}')
    with pytest.raises(UserError, match="not UTF-8"):
        read_items(path)


def test_the_report_of_a_file_needs_no_workspace(tmp_path: Path) -> None:
    path = tmp_path / "items.jsonl"
    with path.open("w") as file:
        for item in made.leaky(120):
            inside = "\n".join(
                f"{letter}. {text}" for letter, text in zip("ABCD", item.options, strict=True)
            )
            row = {
                "problem": f"{item.question}\n{inside}",
                "solution": f"<answer>{'ABCD'[item.answer]}</answer>",
                "path": item.group,
            }
            file.write(json.dumps(row) + "\n")
    report = json.loads(blind_report(path, None, as_json=True))
    assert report["items"] == 120
    assert report["accuracy"] > 0.45
    assert {"low", "high", "chance"} <= set(report)
    assert blind_report(path, None, as_json=False).splitlines()[-1] == report["verdict"]


def test_neither_file_nor_workspace_is_an_error() -> None:
    with pytest.raises(UserError, match="no file and no workspace"):
        blind_report(None, None, as_json=False)


@pytest.mark.parametrize(("points", "limits"), [("20", (0.2, 0.08)), ("100", LIMITS)])
def test_a_workspace_is_probed_with_the_limits_of_its_gate(
    points: str, limits: tuple[float, float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[float, float]] = []
    monkeypatch.setattr(audit, "audit", lambda items, limits, **_: seen.append(limits))
    with small_space(tmp_path / "w"):
        pass
    given = ["-w", str(tmp_path / "w"), "blind", "--set", f"export.blind_points={points}"]
    assert exit_code(cli, given) == 0
    assert seen == [limits]


# ---- garbage -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["items.jsonl", "items.json"])
def test_half_a_character_is_replaced_and_a_whole_one_kept(tmp_path: Path, name: str) -> None:
    r"""JSON may hold half of an emoji, `\ud83d`, which no text in UTF-8 can."""
    rows = [
        ROW
        | {"id": "cut", "options": ["left \ud83d", "right \ude00", "\\ud83d"], "clip": "\udc00"},
        ROW | {"id": "whole", "options": ["left \ud83d\ude00", "right", "\ude00\ud83d"]},
    ]
    path = tmp_path / name
    text = "\n".join(map(json.dumps, rows)) if name == "items.jsonl" else json.dumps(rows)
    path.write_text(text)
    cut, whole = read_items(path)
    assert cut.options == ("left \ufffd", "right \ufffd", "\\ud83d")
    assert cut.clip == "\ufffd"
    assert whole.options == ("left \U0001f600", "right", "\ufffd\ufffd")
    assert '"items": 2' in blind_report(path, None, as_json=True)


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ('{"answer": ' + "9" * 5000 + "}", "a number of thousands of digits"),
        ('{"a":' * 100_000 + "1" + "}" * 100_000, "nested too deeply"),
        ('{"question": "le\0ft"}', "not valid JSON: Invalid control character at"),
    ],
)
def test_a_row_of_garbage_is_one_fault_among_rows(tmp_path: Path, row: str, what: str) -> None:
    path = tmp_path / "items.jsonl"
    path.write_text("\n".join([json.dumps(ROW), row, json.dumps(ROW)]))
    benchmark = read_benchmark(path)
    assert len(benchmark.items) == 2
    assert benchmark.faults == {f"{path}, line 2": what}


@pytest.mark.parametrize("answer", ["9" * 5000, "[" * 100_000 + "]" * 100_000])
def test_a_file_of_garbage_is_reported(tmp_path: Path, answer: str) -> None:
    path = tmp_path / "items.json"
    path.write_text(f'[{{"question": "x",\n"answer": {answer}}}]')
    with pytest.raises(UserError, match=r"thousands of digits|nested too deeply"):
        read_items(path)


def test_a_cut_parquet_file_is_reported(tmp_path: Path) -> None:
    table = tmp_path / "a.parquet"
    pl.DataFrame([ROW]).write_parquet(table)
    table.write_bytes(table.read_bytes()[:-8])
    with pytest.raises(UserError, match="not readable as Parquet"):
        read_items(table)
