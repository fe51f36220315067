"""The page of an audit: its first line, causes, marked words, and what it may not load or run."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import blind_planted as planted
import pytest

from pipeline.blind.audit import Audit, audit
from pipeline.cli.console import exit_code
from pipeline.cli.main import cli
from pipeline.report.blindpage import render
from pipeline.report.page import asset, csp_digest


class Read(HTMLParser):
    """The elements of a page with their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += f"{data} "


@pytest.fixture(scope="module")
def worded() -> Audit:
    return audit(planted.worded(160))


@pytest.fixture(scope="module")
def page(worded: Audit) -> str:
    return render(worded, "items.jsonl", ["answers: letters (answer)"])


def test_the_first_line_is_the_headline(worded: Audit, page: str) -> None:
    heading = re.search(r"<h1>(.*?)</h1>", page)
    assert heading
    assert heading[1] == worded.headline()
    body = Read(page[page.index("<body") :])
    assert body.text.strip().startswith(worded.headline())


def test_the_leak_is_named_with_the_word_and_what_to_do(page: str) -> None:
    text = " ".join(Read(page).text.split())
    assert "Words: the wording of options tells which is right leak" in text
    assert '"avoid" 0 120 160' in text
    assert "Rewrite the wrong options" in text
    assert 'words against other options: "avoid"' in text


def test_words_that_decided_are_marked(page: str) -> None:
    assert '<mark class="against-3">avoid</mark>' in page
    assert '<mark class="for-3">avoid</mark>' not in page


def test_the_page_loads_and_runs_nothing(page: str) -> None:
    found = Read(page)
    assert "script" not in {tag for tag, _ in found.elements}
    for tag, attributes in found.elements:
        assert not {"src", "style", "onclick"} & set(attributes), tag
        assert (attributes.get("href") or "#").startswith(("#", "data:"))
    assert f"sha256-{csp_digest(asset('report.css') + asset('blind.css'))}" in page


def test_texts_of_others_are_shown_as_text() -> None:
    items = planted.worded(40)
    text = '<script>alert(1)</script> & "x"'
    items = [replace(item, options=(text, *item.options[1:]), id=f"<b>{item.id}") for item in items]
    found = render(audit(items, quick=True), "<i>x</i>.jsonl")
    assert "<script" not in found
    assert "<b>i_" not in found
    assert "<i>x" not in found
    assert "&lt;script&gt;" in found


def test_a_page_of_fair_items_says_that_there_are_too_few() -> None:
    page = render(audit(planted.worded(60, share=0)), "fair")
    found = " ".join(Read(page).text.split())
    assert "Verdict: unproven (no leak found, but too little to rule one out)." in found
    assert "there are too few items to rule one out" in found
    assert "too few to tell" in found
    assert 'class="advice"' not in page


def written(tmp_path: Path, count: int) -> Path:
    path = tmp_path / "items.jsonl"
    rows = [
        {"id": item.id, "question": item.question, "options": item.options}
        | {"answer": "ABCD"[item.answer], "video": item.clip, "scene": item.group}
        for item in planted.worded(count)
    ]
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def test_the_command_writes_a_page_and_explains_an_item(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, page = written(tmp_path, 60), tmp_path / "page.html"
    assert exit_code(cli, ["blind", str(path), "--quick", "--json", "--html", str(page)]) == 0
    told = capsys.readouterr()
    report = json.loads(told.out)
    assert f"wrote {page}" in told.err
    text = page.read_text()
    assert report["headline"] in text
    assert all(one["id"] in text for one in report["guessable"])
    wanted = report["guessable"][0]["id"]
    assert exit_code(cli, ["blind", str(path), "--quick", "--explain", wanted]) == 0
    assert "against: avoid -" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "what"),
    [
        (["--explain", "nothing"], "no multiple-choice item has the id 'nothing'"),
        (["--html", "missing/page.html"], "missing: no such folder"),
        (["--html", "."], ".: is a folder"),
        (["--html", "p.html", "--explain", "x"], "--html and --explain can't be used together"),
    ],
)
def test_mistakes_are_reported_before_anything_is_written(
    given: list[str],
    what: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = written(tmp_path, 20)
    monkeypatch.chdir(tmp_path)
    assert exit_code(cli, ["blind", str(path), "--quick", *given]) == 2
    assert what in capsys.readouterr().err
    assert [one.name for one in tmp_path.iterdir()] == ["items.jsonl"]
