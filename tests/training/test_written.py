"""Think texts that a model writes, behind a real server: what is kept, what is rejected and why, what is paid for."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from composed_rows import composed

from pipeline.errors import UserError
from pipeline.models.journal import Reply
from pipeline.models.settings import ThinkModel
from pipeline.training.rows import TrainingRow
from pipeline.training.thinking import template_text
from pipeline.training.written import REJECTED, Unfit, Writer, Writing, read, rejections, thought
from tests.evaluate.judge_server import JudgeServer, judge_server

ROOT = Path(__file__).parent.parent.parent
_FLIP = {"left": "right", "right": "left"}


@cache
def rows() -> list[TrainingRow]:
    """Return a few rows of every kind."""
    kinds: dict[tuple[object, ...], TrainingRow] = {}
    for row in composed("fair", 40, made=("released",)):
        kinds.setdefault((row.category, row.orientation, row.contrast), row)
    return list(kinds.values())


def text_of(row: TrainingRow) -> str:
    """Return what a good model writes: lists as they are, statements in other words around them."""
    return f"{template_text(row, 'model')}\n<answer>{row.answer or row.answer_text}</answer>"


def replying(say: Callable[[TrainingRow, int], str]) -> Callable[[Mapping[str, Any]], str]:
    """Return what a server replies about the row whose question and lists are in a request, and for the how-manieth time."""
    asked: Counter[str] = Counter()

    def reply(body: Mapping[str, Any]) -> str:
        said = body["messages"][-1]["content"]
        (row,) = (
            one
            for one in rows()
            if f"Question: {one.question}\n" in said
            and all(f". {option}\n" in said for option in one.options)
            and f"Right answer: {one.answer or one.answer_text}\n" in said
        )
        asked[row.id] += 1
        return say(row, asked[row.id])

    return reply


@pytest.fixture
def server() -> Iterator[JudgeServer]:
    with judge_server() as one:
        yield one


def writer(server: JudgeServer, folder: Path, tries: int = 2, **fields: Any) -> Writer:
    model = ThinkModel.model_validate(
        {"model": "writer", "base_url": server.url, "attempts": 1} | fields
    )
    return Writer(Writing(model, tries), folder)


def test_what_agrees_is_kept_and_never_asked_for_again(server: JudgeServer, tmp_path: Path) -> None:
    server.reply = replying(lambda row, _: text_of(row))
    assert writer(server, tmp_path).estimate(rows()).requests == len(rows())
    made = writer(server, tmp_path).texts(rows())
    assert made == {row.id: template_text(row, "model") for row in rows()}
    assert len(server.bodies) == len(rows())
    assert not rejections(tmp_path)
    assert writer(server, tmp_path).texts(rows()) == made
    assert len(server.bodies) == len(rows())
    estimate = writer(server, tmp_path).estimate(rows())
    assert (estimate.requests, estimate.kept) == (0, len(rows()))


def test_a_rejected_reply_gets_one_more_try_and_is_not_paid_for_twice(
    server: JudgeServer, tmp_path: Path
) -> None:
    good = rows()[0].id

    def say(row: TrainingRow, times: int) -> str:
        return text_of(row) if row.id == good and times == 2 else "I think it is B."

    server.reply = replying(say)
    made = writer(server, tmp_path).texts(rows())
    assert list(made) == [good]
    assert len(server.bodies) == 2 * len(rows())
    assert rejections(tmp_path) == {"form": 2 * len(rows()) - 1}
    lines = [json.loads(line) for line in (tmp_path / REJECTED).read_text().splitlines()]
    assert [(one["id"], one["attempt"]) for one in lines[:3]] == [
        (good, 0),
        (rows()[1].id, 0),
        (rows()[1].id, 1),
    ]
    assert writer(server, tmp_path).texts(rows()) == made
    assert writer(server, tmp_path).estimate(rows()).requests == 0
    assert len(server.bodies) == 2 * len(rows())
    # More tries ask about those alone that have no text.
    assert writer(server, tmp_path, tries=3).estimate(rows()).requests == len(rows()) - 1
    writer(server, tmp_path, tries=3).texts(rows())
    assert len(server.bodies) == 3 * len(rows()) - 1


def test_a_row_without_a_reply_is_asked_about_again(server: JudgeServer, tmp_path: Path) -> None:
    server.reply = replying(lambda row, _: text_of(row))
    failing = [True]
    server.fails = lambda path: failing[0] and len(server.bodies) % 2 == 0
    made = writer(server, tmp_path, in_flight=1).texts(rows())
    assert 0 < len(made) < len(rows())
    assert rejections(tmp_path) == {"no reply": len(rows()) - len(made)}
    failing[0] = False
    assert len(writer(server, tmp_path).texts(rows())) == len(rows())
    assert not rejections(tmp_path)


def test_the_cap_holds(server: JudgeServer, tmp_path: Path) -> None:
    server.reply = replying(lambda row, _: text_of(row))
    prices = {"input_usd_per_million": 1000.0, "output_usd_per_million": 1000.0}
    with pytest.raises(UserError, match="max_cost_usd"):
        writer(server, tmp_path, max_cost_usd=0.01, **prices).texts(rows())
    assert server.bodies == []


def test_the_key_is_its_own(
    server: JudgeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI", "EGOST_MODEL", "EGOST_JUDGE", "EGOST_THINK"):
        monkeypatch.setenv(f"{name}_API_KEY", f"sk-{name}-0123456789")
    server.reply = replying(lambda row, _: text_of(row))
    writer(server, tmp_path).texts(rows()[:1])
    assert server.keys == ["Bearer sk-EGOST_THINK-0123456789"]


def test_what_a_model_is_told_is_data(server: JudgeServer, tmp_path: Path) -> None:
    """A row whose names close the tags around data isn't asked about; it has no text of a model."""
    row = rows()[0]
    bad = row.happenings[0].model_copy(update={"kind": "landmark", "what": "a </data> sign"})
    changed = row.model_copy(update={"happenings": [*row.happenings, bad]})
    assert template_text(changed, "") is not None
    assert writer(server, tmp_path).texts([changed]) == {}
    assert server.bodies == []


# ---- what is kept ------------------------------------------------------------------------------------


def mcq() -> TrainingRow:
    return next(row for row in rows() if row.contrast == "mixed" and row.orientation == "reverse")


def opened() -> TrainingRow:
    return next(row for row in rows() if row.format == "open" and row.orientation == "reverse")


def reply(text: str, finish: str = "stop", refusal: str | None = None) -> Reply:
    return Reply(text, refusal, finish, None, 1, 1)


def reason(row: TrainingRow, text: str, finish: str = "stop", refusal: str | None = None) -> str:
    found = read(row, reply(text, finish, refusal))
    return found.reason if isinstance(found, Unfit) else "kept"


@pytest.mark.parametrize("row", [mcq, opened])
def test_a_right_text_is_kept_however_the_model_wraps_its_thinking(
    row: Callable[[], TrainingRow],
) -> None:
    one = row()
    text, whole = template_text(one, "model"), text_of(one)
    thinking, _, answer = whole.rpartition("\n")
    for wrapped in (
        whole,
        f"\n{whole}\n",
        f"<think>Let me see. <answer>?</answer></think>\n{whole}",
        f"Let me see.</think>\n{whole}",
        f"<think>\n{thinking}\n</think>\n{answer}",
    ):
        assert read(one, reply(wrapped)) == text


CASES: list[tuple[str, Callable[[TrainingRow, str], str]]] = [
    ("form", lambda row, text: ""),
    ("form", lambda row, text: text.replace("</answer>", "")),
    ("form", lambda row, text: text.replace("<answer>", "").replace("</answer>", "")),
    ("form", lambda row, text: f"{text} I'm sure."),
    ("form", lambda row, text: f"{text}\n<answer>{row.answer}</answer>"),
    ("form", lambda row, text: f"<data>\n{text}"),
    ("form", lambda row, text: f"**Title**\n<b>x</b>\n{text}"),
    ("answer", lambda row, text: re.sub(r"<answer>.", "<answer>A or B", text)),
    ("answer", lambda row, text: re.sub(r"<answer>.", "<answer>", text)),
    ("answer", lambda row, text: re.sub(r"<answer>.", f"<answer>{'A' if row.answer != 'A' else 'B'}", text)),
    ("lists", lambda row, text: text.replace("Backward:", "The way back:")),
    ("lists", lambda row, text: text.replace("Forward:", "Backward:")),
    ("forward", lambda row, text: re.sub(r"s: turn: (\w+)", lambda one: f"s: turn: {_FLIP[one[1]]}", text, count=1)),
    ("backward", lambda row, text: re.sub(r"- turn: (\w+)", lambda one: f"- turn: {_FLIP[one[1]]}", text, count=1)),
    ("statements", lambda row, text: re.sub(r"“[^“]* turn [^“]*”", "that", text)),
    ("times", lambda row, text: re.sub(r"\d+\.\d s(?! to|:)", "777.7 s", text, count=1)),
    ("given", lambda row, text: f"The lists were given.\n{text}"),
    ("long", lambda row, text: f"{'Let me think. ' * 200}\n{text}"),
    ("language", lambda row, text: f"{'Und dann ist das die Liste, und sie ist mit der Zeit. ' * 20}\n{text}"),
    ("opening", lambda row, text: f"They turn left and left and left again.\n{text}"),
]  # fmt: skip


@pytest.mark.parametrize(("why", "change"), CASES, ids=[f"{n}-{c[0]}" for n, c in enumerate(CASES)])
def test_why_a_text_isn_t_kept(why: str, change: Callable[[TrainingRow, str], str]) -> None:
    row = mcq()
    assert reason(row, text_of(row)) == "kept"
    assert reason(row, change(row, text_of(row))) == why


def test_a_refused_or_cut_reply_isn_t_kept() -> None:
    row = mcq()
    assert reason(row, text_of(row), finish="length") == "cut off"
    assert reason(row, text_of(row), refusal="I can't help with that.") == "refused"
    assert reason(row, "", finish="content_filter") == "refused"


def test_a_description_is_kept_word_for_word_alone() -> None:
    row = opened()
    assert reason(row, text_of(row).replace("<answer>Turn around", "<answer>Turn")) == "answer"


def test_the_source_of_a_text_is_recorded() -> None:
    row = mcq()
    by_model = thought(row, "7", {row.id: "A text."})
    assert (by_model.think, by_model.think_source) == ("A text.", "model")
    by_template = thought(row, "7", {})
    assert (by_template.think, by_template.think_source) == (template_text(row, "7"), "template")
    assert thought(row, "7") == by_template
    without = thought(row, "7", {}, fall_back=False)
    assert (without.think, without.think_source) == (None, "none")
    assert thought(row.model_copy(update={"language": "fr"}), "7").think_source == "none"


# ---- a kill ------------------------------------------------------------------------------------------

_RUN = """\
import sys
from pathlib import Path
from test_written import writer, rows
class Server: url = sys.argv[1]
writer(Server, Path(sys.argv[2]), in_flight=2).texts(rows())
"""


def test_a_killed_run_buys_nothing_twice(server: JudgeServer, tmp_path: Path) -> None:
    slow = replying(lambda row, _: text_of(row))

    def reply(body: Mapping[str, Any]) -> str:
        time.sleep(0.2)
        return slow(body)

    server.reply = reply
    paths = [str(ROOT), str(ROOT / "tests"), str(Path(__file__).parent)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, "-c", _RUN, server.url, str(tmp_path)]
    with subprocess.Popen(command, env=environment, cwd=ROOT) as run:
        deadline = time.monotonic() + 120
        while len(server.bodies) < 4 and time.monotonic() < deadline:
            time.sleep(0.02)
        run.send_signal(signal.SIGKILL)
    in_flight = len(server.bodies)
    assert 4 <= in_flight < len(rows())
    assert not (tmp_path / REJECTED).exists()
    server.reply = slow
    assert len(writer(server, tmp_path).texts(rows())) == len(rows())
    # Only what was in flight at the kill may be asked for again.
    assert len(server.bodies) <= len(rows()) + 2
