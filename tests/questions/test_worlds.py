"""`benchmarks/worlds.py ROUTES.jsonl ROWS.jsonl` names the line that it can't use, and reads all others."""

import json
import runpy
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import worlds

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "worlds.py"
STEP: list[Any] = [4, "straight", "the door", None, None]


@cache
def bench() -> dict[str, Any]:
    return runpy.run_path(str(SCRIPT))


def line(**fields: Any) -> dict[str, Any]:
    """Return a line without the fields that are ...; others replace its own."""
    given = {"scene": "s", "group": "g", "path": "", "language": "en", "steps": [STEP]} | fields
    return {name: value for name, value in given.items() if value is not ...}


def step(**fields: Any) -> dict[str, Any]:
    """Return a line whose second step has these columns."""
    names = ("seconds", "move", "landmark", "action", "undo")
    return line(steps=[STEP, [fields.get(*one) for one in zip(names, STEP, strict=True)]])


def written(path: Path, *lines: Any) -> Path:
    texts = [one if isinstance(one, bytes) else json.dumps(one).encode() for one in lines]
    path.write_bytes(b"".join(text + b"\n" for text in texts))
    return path


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        (step(seconds=-4), "step 2, seconds: should be greater than or equal to 0, not -4"),
        (step(seconds=float("nan")), "step 2, seconds: should be a finite number, not NaN"),
        (step(seconds=float("-inf")), "step 2, seconds: should be a finite number, not -Infinity"),
        (step(seconds=86_401), "step 2, seconds: should be less than or equal to 86400, not 86401"),
        (step(seconds="4"), 'step 2, seconds: should be a valid number, not "4"'),
        (step(seconds=None), "step 2, seconds: should be a valid number, not null"),
        (step(seconds=True), "step 2, seconds: should be a valid number, not true"),
        (
            step(move="up"),
            "step 2, move: should be 'straight', 'left', 'right', 'around' or 'stay'",
        ),
        (step(landmark=5), "step 2, landmark: should be a valid string, not 5"),
        (step(action=["a"]), "step 2, action: should be a valid string"),
        (step(undo=False), "step 2, undo: should be a valid string, not false"),
        (line(steps=[STEP, STEP[:4]]), "step 2, undo: is missing"),
        (line(steps=[[*STEP, 1]]), "step 1: more than 5 columns"),
        (line(steps=[None]), "step 1: should be a valid array, not null"),
        (line(steps=[[50_000, *STEP[1:]]] * 2), "steps: the route is longer than a day"),
        (line(steps=None), "steps: should be a valid array, not null"),
        (line(steps=...), "steps: is missing"),
        (line(scene=5), "scene: should be a valid string, not 5"),
        (line(group=...), "group: is missing"),
        (line(group=""), "group: String should have at least 1 character"),
        (line(language="xx"), "language: no section [xx]"),
        (line(language=3), "language: should be a valid string, not 3"),
        ([1, 2], "should be an object"),
        (b'{"scene": "s"', "Invalid JSON: EOF while parsing an object at column 13"),
        (b"", "Invalid JSON: EOF while parsing a value"),
        (b'"\xff"', "Invalid JSON: invalid unicode code point"),
        (json.dumps(step(landmark="\ud83d")).encode(), "Invalid JSON: "),
    ],
)
def test_a_line_that_cannot_be_used_is_named(
    wrong: Any, what: str, tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    path = written(tmp_path / "routes.jsonl", line(), wrong, line())
    rows = tmp_path / "rows.jsonl"
    monkeypatch.setattr(sys, "argv", ["worlds.py", str(path), str(rows)])
    with pytest.raises(SystemExit) as exit_info:
        bench()["main"]()
    assert exit_info.value.code == 2
    error, fix = capsys.readouterr().err.splitlines()
    assert error.startswith(f"error: {path}, line 2: {what}")
    assert fix.startswith("  fix: ")
    assert not rows.exists()


def test_a_file_that_cannot_be_read_or_written_ends_without_a_traceback(tmp_path: Path) -> None:
    path = written(tmp_path / "routes.jsonl", line())
    for files in ((tmp_path / "none.jsonl", tmp_path / "rows.jsonl"), (path, tmp_path)):
        done = subprocess.run(
            [sys.executable, SCRIPT, *files], capture_output=True, text=True, check=False
        )
        assert done.returncode == 2
        assert "Traceback" not in done.stderr
        assert any(str(file) in done.stderr for file in files)


def test_any_character_may_be_in_a_name(tmp_path: Path) -> None:
    made = worlds.routes("fair", 3, 0)
    for route in made:
        for one in route["steps"]:
            one[2] = one[2] and f"{one[2]}\u2028\x85\x1c wall"
    texts = [json.dumps(one, ensure_ascii=False).encode() for one in made]
    path = written(tmp_path / "routes.jsonl", *texts)
    read = bench()["read_lines"](path)
    assert [len(one["steps"]) for one in read] == [len(one["steps"]) for one in made]
    assert [one["steps"][0][2] for one in read] == [one["steps"][0][2] for one in made]


def test_what_may_be_left_out_changes_nothing(tmp_path: Path) -> None:
    full = [line(scene=f"s{number}", **one) for number, one in enumerate(_walks())]
    bare = [{key: one[key] for key in ("group", "steps")} for one in full]
    read = bench()["read_lines"]
    found = [
        bench()["read_routes"](read(written(tmp_path / "routes.jsonl", *lines)))
        for lines in (full, bare)
    ]
    assert found[0] == found[1]
    assert read(written(tmp_path / "empty.jsonl")) == []


def _walks() -> list[dict[str, Any]]:
    return [
        {key: route[key] for key in ("group", "steps")} for route in worlds.routes("fair", 20, 0)
    ]


def test_the_group_decides_whatever_the_scene() -> None:
    steps = worlds.routes("fair", 1, 0)[0]["steps"]
    routes = bench()["read_routes"](
        line(scene=scene, group=group, steps=steps) for scene, group in ("ag", "bg", "ah")
    )
    assert [route.scene for route in routes] == ["g", "g", "h"]
    assert routes[0].split == routes[1].split
