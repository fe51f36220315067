"""A benchmark in the reference's format is read, audited row by row, and written again."""

import json
from pathlib import Path
from typing import Any

import pytest
from blind_items import read_items
from small_release import release, small_space

from pipeline.blind.files import read_benchmark
from pipeline.errors import UserError
from pipeline.releases.foreign import audit, write
from pipeline.releases.gates import Gate
from pipeline.releases.reading import open_release

MOVES = (
    "turn left then right",
    "turn right then right",
    "turn left then left",
    "turn right then left",
)


def row(number: int, **fields: Any) -> dict[str, Any]:
    """One row in the reference's format: options inside the question, a tagged letter, think text."""
    letter = "ABCD"[number % 4]
    options = [MOVES[(place - number) % 4] for place in range(4)]
    stood = " ".join(f"{name}. {text}" for name, text in zip("ABCD", options, strict=True))
    given = {
        "question_id": f"q{number}",
        "video": f"v{number // 2}.mp4",
        "question_type": f"direction_{('forward', 'reverse')[number % 2]}",
        "question": f"Which way in {('there', 'back')[number % 2]}? {stood}",
        "answer": f"<answer>{letter}</answer>",
        "think": "<think>The wall moves right.</think>",
    }
    return given | fields


def audited(tmp_path: Path, rows: list[dict[str, Any]], name: str = "a.jsonl") -> dict[str, Gate]:
    path = tmp_path / name
    text = "\n".join(json.dumps(one) for one in rows) if name.endswith("l") else json.dumps(rows)
    path.write_text(text, encoding="utf-8")
    return {gate.name: gate for gate in audit(read_benchmark(path)).gates}


@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
def test_correct_rows_pass_every_check(tmp_path: Path, name: str) -> None:
    found = audited(tmp_path, [row(number) for number in range(8)], name)
    assert [gate.name for gate in found.values() if not gate.met] == []


@pytest.mark.parametrize(
    ("fault", "gate", "words"),
    [
        ({"answer": "<answer>E</answer>"}, "readable", "no option is the answer 'E' (4 options)"),
        ({"question": "Which way in back? A. left B. right"}, "options",
         "2 options, others have 4, the answer doesn't invert the forward one (q4)"),
        (
            {"question": "Which way in there? A. one B. two C. three D. four"},
            "stems",
            "the question belongs to direction_forward, the task is direction_reverse",
        ),
        ({"question_id": "q0"}, "duplicates", "the id q0 is used twice"),
        (
            {"question": "Which way in back? A. turn left B. turn right then right C. walk D. wait",
             "answer": "B"},
            "reverses",
            "the answer doesn't invert the forward one (q4)",
        ),
    ],
)  # fmt: skip
def test_a_fault_is_reported_with_its_row(
    tmp_path: Path, fault: dict[str, Any], gate: str, words: str
) -> None:
    rows = [row(number) for number in range(8)]
    rows[5] |= fault
    found = audited(tmp_path, rows)
    assert not found[gate].met
    expected = {"readable": f"{tmp_path}/a.jsonl, line 6", "duplicates": "q0"}.get(gate, "q5")
    assert found[gate].rows == (expected,)
    (line,) = audit(read_benchmark(tmp_path / "a.jsonl")).lines()
    assert line == f"{tmp_path}/a.jsonl, line 6: {words}"


def test_unreadable_lines_are_reported_and_the_others_read(tmp_path: Path) -> None:
    good = [json.dumps(row(number)) for number in range(4)]
    lines = [*good, "[1]", '{"question": ', json.dumps(row(4, answer=float("nan"))), "null"]
    (tmp_path / "a.jsonl").write_text("\n".join(lines), encoding="utf-8")
    found = read_benchmark(tmp_path / "a.jsonl")
    assert len(found.items) == 4
    assert [(place.rpartition(" ")[2], why) for place, why in found.faults.items()] == [
        ("5", "not an object with named fields"),
        ("6", "not valid JSON: Expecting value"),
        ("7", "no answer"),
        ("8", "not an object with named fields"),
    ]
    (gate, *_) = audit(found).gates
    assert gate.figure == "4 rows that can't be read (50.0%)"
    with pytest.raises(UserError, match="line 5: not an object") as told:
        read_items(tmp_path / "a.jsonl")
    assert "egost import FILE --to" in told.value.fix


def test_every_failed_check_has_a_fix(tmp_path: Path) -> None:
    rows = [row(0, question_id="same", answer="A") for _ in range(12)]
    failed = [gate for gate in audited(tmp_path, rows).values() if not gate.met]
    assert {gate.name for gate in failed} == {"letters", "duplicates"}
    assert all(gate.fix for gate in failed)


def test_a_skewed_letter_is_reported(tmp_path: Path) -> None:
    rows = [row(4 * number, question_id=f"q{number}", video=f"v{number}") for number in range(12)]
    found = audited(tmp_path, rows)
    assert found["letters"].figure == "A is correct in 12 of 12 (100.0%)"
    assert len(found["letters"].rows) == 12


def test_a_letter_is_compared_with_the_items_that_offer_it(tmp_path: Path) -> None:
    """Half of the items have no C: the others may not be counted as chances for it."""
    rows = [
        {
            "question": f"Where {n}?",
            "options": ["x", "y", "z"][: 2 + n % 2],
            "answer": "ACBC"[n % 4],
        }
        for n in range(40)
    ]
    found = audited(tmp_path, rows)["letters"]
    assert found.figure == "C is correct in 20 of 20 (100.0%)"
    assert len(found.rows) == 20


def test_items_with_many_options_are_written_and_read_back(tmp_path: Path) -> None:
    options = [f"option text {n}" for n in range(30)]
    given = [
        {"question": "Where?", "id": f"q{n}", "options": options, "answer": options[n]}
        for n in range(30)
    ]
    (tmp_path / "many.json").write_text(json.dumps(given), encoding="utf-8")
    found = read_benchmark(tmp_path / "many.json")
    assert audit(found)
    write(found, tmp_path / "ours.jsonl")
    assert [item.answer for item in read_items(tmp_path / "ours.jsonl")] == list(range(30))


def test_a_file_without_items_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "no question"}\n', encoding="utf-8")
    with pytest.raises(UserError, match="line 1: no question"):
        read_benchmark(tmp_path / "a.jsonl")


def test_a_release_in_the_reference_format_is_read_back(tmp_path: Path) -> None:
    with small_space(tmp_path / "workspace", clips=8) as space:
        made = open_release(release(space, "1.0.0").folder)
    found = read_benchmark(made.folder / "adapters" / "ego_st" / "test.json")
    known = {row.id: row for split, row in made.questions() if split == "test" and row.options}
    assert {item.id for item in found.items} == known.keys()
    for item in found.items:
        assert list(item.options) == known[item.id].options
        assert item.options[item.answer] == known[item.id].answer_text
    write(found, tmp_path / "ours.jsonl")
    again = read_items(tmp_path / "ours.jsonl")
    assert [(one.id, one.options, one.answer) for one in again] == [
        (one.id, one.options, one.answer) for one in found.items
    ]
