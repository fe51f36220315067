"""The page of results: what was sent and replied, nothing of withheld items, nothing half written."""

import html
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made_results import knows, make_results
from page_data import HOSTILE, data_of, details_of

from pipeline.engine.rows import digest
from pipeline.errors import UserError
from pipeline.evaluate import prompting
from pipeline.evaluate.arms import ARMS
from pipeline.evaluate.denser import folder_of
from pipeline.evaluate.described_files import JUDGE, OPEN, write_section
from pipeline.evaluate.pictures import Pictures
from pipeline.evaluate.reading import questions_of
from pipeline.evaluate.results import ITEMS, RESULTS, packed, read_results
from pipeline.evaluate.rows import Prediction
from pipeline.evaluate.run import Plan, asked
from pipeline.models.chat import PromptImage
from pipeline.releases.reading import Released, open_release
from pipeline.report import result_items, results_page
from pipeline.report.replies import shortened
from pipeline.report.results_page import write_results_page


def test_the_page_tells_what_was_sent_in_every_arm(released: Released, tmp_path: Path) -> None:
    arms = [name for name in ARMS if name not in ("frames-16", "frames-32")]
    folder = make_results(tmp_path, released, arms=arms)
    text = write_results_page([folder], released).read_text(encoding="utf-8")
    details, pictures = details_of(text), Pictures(released.folder)
    questions = [one for one in questions_of(released)[0] if one.split == "test"]
    plan = Plan(questions, arms, 1, prompting.load("ours"))
    seen = 0
    for one in asked(plan, pictures):
        (way,) = details[one.question.id]["asked"]
        sent = way["arms"][one.arm]
        parts = [part for message in one.messages for part in message.parts]
        assert [part for part in parts if isinstance(part, str)] == [
            *sent["labels"],
            way["texts"][sent["text"]],
        ]
        images = [part for part in parts if isinstance(part, PromptImage)]
        names = [way["frames"][at] for at in sent["frames"]]
        if sent["pictures"] == "none":
            assert images == []
        elif sent["pictures"] == "frames":
            assert images == pictures.frames(names)
        else:
            assert images == pictures.grey(names)
        seen += 1
    assert seen >= 9 * len(questions)


def test_replies_letters_and_outcomes_are_those_of_the_predictions(
    released: Released, tmp_path: Path
) -> None:
    folders = [
        make_results(tmp_path, released, name, knows(share))
        for name, share in (("a", 0.9), ("b", 0.3))
    ]
    text = write_results_page(folders, released).read_text(encoding="utf-8")
    details, data = details_of(text), data_of(text)
    assert [source["name"] for source in data["sources"]] == ["a", "b"]
    for number, folder in enumerate(folders):
        results = read_results(folder)
        answers = {one.id: one.answer for one in results.questions}
        assert details.keys() == answers.keys()
        place = {item[0]: at for at, item in enumerate(data["items"])}
        for one in results.predictions:
            (reply,) = (
                made for made in details[one.id]["replies"][number] if made["arm"] == one.arm
            )
            assert reply["text"] == one.reply
            assert reply.get("letter") == one.letter
            right = one.letter == answers[one.id]
            wanted = "right" if right else "wrong" if one.letter else "unreadable"
            assert reply["outcome"] == wanted
            code = data["sources"][number]["arms"][one.arm][0][0][place[one.id]]
            assert code == wanted[0]


def test_withheld_items_have_no_page(releases: tuple[Path, Path], tmp_path: Path) -> None:
    held = open_release(releases[1])
    secret = "The withheld reply says <answer>B</answer>"
    folder = make_results(
        tmp_path, held, splits=("train", "test"),
        reply=lambda one, arm: {"reply": secret if one.split == "test" else "<answer>A</answer>"},
    )  # fmt: skip
    withheld = [one for one in questions_of(held)[0] if one.split == "test"]
    published = {one.question for one in questions_of(held)[0] if one.split == "train"}
    assert withheld
    text = html.unescape(write_results_page([folder], held).read_text(encoding="utf-8"))
    assert len(details_of(text)) == len(read_results(folder).questions) > 0
    for one in withheld:
        assert one.id not in text
        assert one.question in published or one.question not in text
        assert not set(one.frames) & set(re.findall(r"frames/\w\w/\w+\.jpg", text))
        assert one.split_group not in text
    assert "withheld reply" not in text
    assert f"{len(withheld)} items have no page" in text


def test_withheld_items_stay_out_when_somebody_scored_them(
    releases: tuple[Path, Path], tmp_path: Path
) -> None:
    """The page of a results folder to which the sealed answers were added."""
    released, held = map(open_release, releases)
    folder = make_results(tmp_path, held, splits=("train", "test"))
    scored = make_results(tmp_path / "scored", released)
    hidden = {one.id for one in read_results(scored).questions}
    assert hidden == {one.id for one in questions_of(held)[0] if one.split == "test"}
    tables = [pq.read_table(one / ITEMS) for one in (folder, scored)]
    pq.write_table(pa.concat_tables(tables), folder / ITEMS)
    assert {one.id for one in read_results(folder).questions} > hidden
    text = write_results_page([folder], held).read_text(encoding="utf-8")
    assert not any(id_ in text for id_ in hidden)


def test_what_models_wrote_is_data(released: Released, tmp_path: Path) -> None:
    folder = make_results(
        tmp_path, released, HOSTILE,
        lambda *_: {"reply": HOSTILE, "reasoning": HOSTILE, "refusal": None, "finish": HOSTILE},
    )  # fmt: skip
    text = write_results_page([folder], released).read_text(encoding="utf-8")
    assert "<script>document" not in text
    blocks = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', text, re.DOTALL)
    assert len(blocks) >= 2
    assert not any(set(block) & set("<>&\u2028\u2029") for block in blocks)
    for one in details_of(text).values():
        assert one["replies"][0][0]["text"] == HOSTILE


def test_frames_are_in_the_page_of_few_items_and_links_for_many(
    released: Released, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_results(tmp_path / "results", released)
    text = write_results_page([folder], released).read_text(encoding="utf-8")
    pictures = data_of(text, "pictures-0")
    names = {name for one in details_of(text).values() for name in one["asked"][0]["frames"]}
    assert pictures.keys() == names
    monkeypatch.setattr(result_items, "INLINED", 1)
    page = write_results_page([folder], released)
    text = page.read_text(encoding="utf-8")
    assert "pictures-0" not in text
    (base,) = data_of(text)["bases"]
    assert not base.startswith("/")
    assert all((page.parent / base / name).is_file() for name in names)


def test_a_kill_leaves_the_earlier_page(
    released: Released, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_results(tmp_path, released)
    page = write_results_page([folder], released)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def killed(*_: object, **__: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(results_page, "__version__", "other")
    monkeypatch.setattr(os, "fsync", killed)  # when all is written, but not yet in its place
    with pytest.raises(KeyboardInterrupt):
        write_results_page([folder], released)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert page.name in before


def test_results_of_another_release_are_refused(
    releases: tuple[Path, Path], tmp_path: Path
) -> None:
    one, other = map(open_release, releases)
    folder = make_results(tmp_path / "1", one)
    with pytest.raises(UserError, match="another release"):
        write_results_page([folder], other)
    held = make_results(tmp_path / "2", other)
    with pytest.raises(UserError, match="another release"):
        write_results_page([folder, held], None)
    with pytest.raises(UserError, match="is a folder"):
        write_results_page([folder], one, tmp_path)
    with pytest.raises(UserError, match="no such folder"):
        write_results_page([folder], one, tmp_path / "none" / "page.html")


def test_what_a_reader_must_know_is_said(released: Released, tmp_path: Path) -> None:
    folder = make_results(tmp_path, released)

    def text() -> str:
        return write_results_page([folder], released).read_text(encoding="utf-8")

    assert 'class="notice' not in text()
    assert "add --release" in write_results_page([folder], None).read_text(encoding="utf-8")
    body = json.loads((folder / RESULTS).read_text(encoding="utf-8"))
    body["metrics"]["arms"]["frames"]["accuracy"]["all"]["all"]["value"] = 0.999
    (folder / RESULTS).write_text(json.dumps(body), encoding="utf-8")
    shown = text()
    assert "other figures than its predictions give" in html.unescape(shown)
    assert "99.9%" not in shown
    body["prompt_sha256"] = "0" * 64
    (folder / RESULTS).write_text(json.dumps(body), encoding="utf-8")
    assert "has changed since" in text()
    made = read_results(folder).predictions
    wrong = [one.model_copy(update={"letter": "A", "outcome": "answered"}) for one in made]
    (folder / "predictions.parquet").write_bytes(packed(Prediction, wrong))
    assert "what the parser reads" in html.unescape(text())


def test_two_results_of_one_model_have_two_names(released: Released, tmp_path: Path) -> None:
    folders = [make_results(tmp_path / str(number), released, "m") for number in range(2)]
    page = write_results_page(folders, released, tmp_path / "both.html")
    assert [one["name"] for one in data_of(page.read_text(encoding="utf-8"))["sources"]] == [
        "m",
        "m (2)",
    ]


@pytest.mark.parametrize(
    ("mark", "shown"),
    [((0, 5), "start"), ((95, 100), "<end>"), ((40, 60), None), ((15, 25), None)],
)
def test_a_long_text_loses_its_middle_and_keeps_what_is_marked(
    mark: tuple[int, int], shown: str | None
) -> None:
    text = "start" + "." * 90 + "<end>"
    assert shortened(text, 100, mark) == (text, mark)
    short, (start, end) = shortened(text, 40, mark)
    assert (short[start:end] or None) == shown
    assert "60 characters are left out" in short
    assert short.startswith("start")
    assert short.endswith("<end>")


def test_judged_answers_are_shown_where_results_have_them(
    released: Released, tmp_path: Path
) -> None:
    folder = make_results(tmp_path, released)

    def parts(value: float) -> Mapping[str, Any]:
        figure = {"value": value, "low": 0.5 * value, "high": None, "items": 40}
        return {"all": {"all": figure | {"high": 1.1 * value}}, "task": {"t": figure}}

    arms = {"frames": {"figures": {"turns": parts(0.625)}}}
    write_section(folder, OPEN, {"arms": arms, "another_walk": {"turns": parts(0.2)}})
    scores = {"arms": {"frames": {"scores": {"direction": parts(3.25)}}}}
    judge = {"model": "judge-<1>", "calibrated": False, "rubrics": {"ours": scores}}
    write_section(folder, JUDGE, {"judges": [judge, "no judge"]})
    text = write_results_page([folder], released).read_text(encoding="utf-8")
    assert "<td>62.5 [31.2, 68.8]</td>" in text
    assert "<td>20.0 [10.0, 22.0]</td>" in text
    assert "judged by judge-&lt;1&gt;, rubric ours, from 0 to 5 (uncalibrated" in text
    assert "<td>3.25 [1.62, 3.58]</td>" in text


def test_results_without_known_answers_have_a_page_without_items(
    releases: tuple[Path, Path], tmp_path: Path
) -> None:
    held = open_release(releases[1])
    folder = make_results(tmp_path, held)
    text = write_results_page([folder], held).read_text(encoding="utf-8")
    assert 'id="data"' not in text
    assert "have no page" in text


def test_results_that_another_parser_read_are_told_apart(
    released: Released, tmp_path: Path
) -> None:
    folders = [
        make_results(tmp_path / "1", released, "m"),
        make_results(tmp_path / "2", released, "m", parser="reference"),
    ]
    text = write_results_page(folders, released).read_text(encoding="utf-8")
    assert [one["name"] for one in data_of(text)["sources"]] == ["m", "m, parser reference"]
    whys = [
        {
            reply["why"]
            for one in details_of(text).values()
            for reply in one["replies"][number]
            if "letter" in reply
        }
        for number in range(2)
    ]
    assert whys == [{"the last answer in tags"}, {"by the rule of the parser 'reference'"}]


def test_frames_that_were_cut_from_videos_are_found_again(
    released: Released, tmp_path: Path
) -> None:
    folder = make_results(tmp_path / "results", released)
    body = json.loads((folder / RESULTS).read_text(encoding="utf-8"))
    (folder / RESULTS).write_text(json.dumps(body | {"fps": 2.0}), encoding="utf-8")
    cut = folder_of(folder.parent, body["release"], 2.0)
    question = read_results(folder).questions[0]
    first = cut / digest(question.video) / "0000.jpg"
    first.parent.mkdir(parents=True)
    first.write_bytes(next((released.folder / "frames").rglob("*.jpg")).read_bytes())
    details = details_of(write_results_page([folder], released).read_text(encoding="utf-8"))
    (way,) = details[question.id]["asked"]
    assert len(way["frames"]) == round(question.seconds * 2)
    assert (cut / way["frames"][0]) == first
    assert way["arms"]["frames"]["labels"][:2] == ["Frame 1, at 0.2 s:", "Frame 2, at 0.8 s:"]
    assert [one["asked"] for id_, one in details.items() if one["asked"] == [{}]]
