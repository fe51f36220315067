from pathlib import Path

import factories
import pytest

from pipeline.engine.folder import WorkspaceFolder
from pipeline.errors import UserError
from pipeline.review.rows import Verdict
from pipeline.review.verdictlog import append, log_path, read_log


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "verdicts" / "egost-routes.jsonl"


def verdict(number: str = "1", **fields: object) -> Verdict:
    return factories.verdict(factories.route(), annotation_id=number, **fields)


def test_what_was_written_is_read_back(log: Path):
    one, other = verdict("1"), verdict("2", reasons=["note: a\nb \u2028 c"])
    assert append(log, [one, other]) == 2
    assert read_log(log) == {"1": one, "2": other}


def test_append_is_idempotent_and_an_edit_adds_a_line(log: Path):
    append(log, [verdict()])
    assert append(log, [verdict()]) == 0
    edited = verdict(verdict="reject")
    assert append(log, [edited]) == 1
    assert read_log(log) == {"1": edited}
    assert len(log.read_text().splitlines()) == 2


def test_an_incomplete_line_is_written_again(log: Path):
    append(log, [verdict("1"), verdict("2")])
    whole = log.read_bytes()
    for size in range(whole.index(b"\n") + 1, len(whole)):
        log.write_bytes(whole[:size])
        assert list(read_log(log)) == ["1"]
        append(log, [verdict("2")])
        assert log.read_bytes() == whole


def test_an_unreadable_line_is_named(log: Path):
    append(log, [verdict()])
    log.write_text(log.read_text() + '{"clip_id": 3}\n')
    with pytest.raises(UserError) as caught:
        read_log(log)
    assert caught.value.where == f"{log}:2"


def test_the_log_is_in_the_workspace_unless_a_checkout_contains_it(tmp_path: Path):
    folder = WorkspaceFolder(tmp_path)
    assert log_path(folder, "", "egost routes") == tmp_path / "verdicts" / "egost-routes.jsonl"
    assert log_path(folder, "kept", "a/../b") == tmp_path / "kept" / "a-..-b.jsonl"
    inside = WorkspaceFolder(Path(__file__).parents[2] / "workspace")
    ours = (Path(__file__).parents[2] / ".git").exists()
    wanted = ("annotations", "verdicts") if ours else ("workspace", "verdicts")
    assert log_path(inside, "", "egost routes").parts[-3:-1] == wanted
