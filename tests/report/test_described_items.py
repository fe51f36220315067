"""Items answered in words on the page of results: what was sent, said, read and scored; nothing withheld, no markup."""

import html
import json
import re
from pathlib import Path
from typing import Any

import pytest
from made_descriptions import add_descriptions, add_judgements, add_people, right, swapped, text_of
from made_results import make_results
from page_data import HOSTILE, data_of, details_of

from pipeline.evaluate import prompting
from pipeline.evaluate.described_files import DESCRIPTIONS, JUDGED, OPEN, OPEN_ITEMS
from pipeline.evaluate.open_items import open_items
from pipeline.evaluate.open_rows import OpenItem
from pipeline.evaluate.pictures import Pictures
from pipeline.evaluate.results import amend, packed, read_results
from pipeline.evaluate.run import Plan, asked
from pipeline.models.chat import PromptImage
from pipeline.releases.reading import Released, open_release
from pipeline.report import result_items
from pipeline.report.results_page import write_results_page


def page(folder: Path, released: Released | None) -> str:
    return write_results_page([folder], released).read_text(encoding="utf-8")


def replies_of(text: str, arm: str = "frames") -> dict[str, Any]:
    """Return the one reply to each item answered in words in an arm, by id."""
    found = {}
    for id_, one in details_of(text).items():
        if "reference" in one:
            (found[id_],) = (made for made in one["replies"][0] if made["arm"] == arm)
    return found


def outcomes_of(text: str, arm: str = "frames") -> dict[str, str]:
    """Return the characters of outcome and error of each item in the list, by id."""
    data = data_of(text)
    (rows,) = data["sources"][0]["arms"][arm]
    return {item[0]: rows[0][at] + rows[1][at] for at, item in enumerate(data["items"])}


def test_both_kinds_of_items_are_in_one_list(released: Released, tmp_path: Path) -> None:
    folder = make_results(tmp_path, released)
    items = add_descriptions(folder, released)
    text = page(folder, released)
    assert 'class="notice' not in text
    details, data = details_of(text), data_of(text)
    choices = read_results(folder).questions
    assert details.keys() == {one.id for one in choices} | {one.id for one in items}
    assert f"{len(details)} items, {len(items)} of them answered in words," in text
    assert {"route_forward", "route_reverse"} < set(data["task"])
    place = {one[0]: one for one in data["items"]}
    for item in items:
        assert data["task"][place[item.id][1]] == item.task
        assert data["split_group"][place[item.id][3]] == item.split_group
        (pair,) = {other.id for other in items if other.twin == item.twin} - {item.id}
        assert place[pair][5] == place[item.id][5] != ""
        shown = details[item.id]["reference"]
        assert (shown["text"], shown["moves"]) == (item.reference, item.moves)
        assert (shown["landmarks"], shown["actions"]) == (item.landmarks, item.actions)


def test_the_page_tells_what_was_sent(released: Released, tmp_path: Path) -> None:
    arms = ("frames", "blind", "blank", "one", "shuffled")
    folder = make_results(tmp_path, released, arms=(*arms, "reversed", "rotate"))
    add_descriptions(folder, released, arms=arms)
    details, pictures = details_of(page(folder, released)), Pictures(released.folder)
    questions = [one for one in open_items(released).questions if one.split == "test"]
    seen = 0
    for one in asked(Plan(questions, arms, 1, prompting.load_open("ours")), pictures):
        (way,) = details[one.question.id]["asked"]
        assert way["arms"].keys() == set(arms)
        sent = way["arms"][one.arm]
        parts = [part for message in one.messages for part in message.parts]
        texts = [part for part in parts if isinstance(part, str)]
        assert texts == [*sent["labels"], way["texts"][sent["text"]]]
        names = [way["frames"][at] for at in sent["frames"]]
        kinds = {"none": [], "frames": pictures.frames(names), "grey": pictures.grey(names)}
        images = [part for part in parts if isinstance(part, PromptImage)]
        assert images == kinds[sent["pictures"]]
        seen += 1
    assert seen == len(arms) * len(questions) > 0


def test_what_was_read_and_how_alike_it_is(released: Released, tmp_path: Path) -> None:
    def say(item: OpenItem, arm: str) -> dict[str, Any]:
        if arm == "blind":
            return right(item, "frames")
        if item.orientation == "forward":
            return {"reply": swapped(item), "finish": "stop"}
        said = f"{text_of(item)} Then turn left. You may then turn left or right."
        return {"reply": said.replace(item.landmarks[0], "a thing"), "finish": "stop"}

    folder = make_results(tmp_path, released)
    items = {one.id: one for one in add_descriptions(folder, released, say)}
    text = page(folder, released)
    outcomes = outcomes_of(text)
    for id_, one in replies_of(text).items():
        item, read = items[id_], one["read"]
        assert one["outcome"] == "described"
        if item.orientation == "forward":
            assert (outcomes[id_], one["error"]) == ("dm", "mirror")
            assert "mark" not in one
            assert read["landmarks"] == [[name, True] for name in item.landmarks]
            assert read["alike"]["landmarks"] == 1
            assert read["unread"] == []
        else:
            assert (outcomes[id_], one["error"]) == ("dn", "turns")
            turns = [move for move in item.moves if move != "straight"]
            assert read["moves"] == ["around", *turns, "left"]
            assert read["alike"]["turns"] == pytest.approx(1 - 1 / (len(turns) + 1))
            assert [item.landmarks[0], True] not in read["landmarks"]
            assert any("turn left or right" in part for part in read["unread"])
    outcomes = outcomes_of(text, "blind")
    for id_, one in replies_of(text, "blind").items():
        assert outcomes[id_] == "dy"
        start, end = one["mark"]
        assert one["text"][start:end] == text_of(items[id_])
        assert one["read"]["alike"]["turns"] == 1


def test_replies_that_describe_nothing_have_their_outcome(
    released: Released, tmp_path: Path
) -> None:
    kinds: list[tuple[str, dict[str, Any]]] = [
        ("refused", {"reply": "I'm sorry, but I can't help with that."}),
        ("truncated", {"reply": "<think>left", "finish": "length"}),
        ("unreadable", {"reply": ""}),
        ("failed", {"outcome": "failed", "error": "HTTP 500: <gone>"}),
    ]
    found = sorted(one.id for one in open_items(released).questions if one.split == "test")
    wanted = {id_: kinds[at % len(kinds)] for at, id_ in enumerate(found)}
    folder = make_results(tmp_path, released)
    add_descriptions(folder, released, lambda item, _: wanted[item.id][1])
    text = page(folder, released)
    outcomes = outcomes_of(text)
    codes = {"refused": "f ", "truncated": "t ", "unreadable": "u ", "failed": "- "}
    for id_, one in replies_of(text).items():
        assert one["outcome"] == wanted[id_][0]
        assert outcomes[id_] == codes[one["outcome"]]
        assert "read" not in one
        assert one.get("failed") == wanted[id_][1].get("error")


def test_scores_of_judges_and_people_stand_beside_a_description(
    released: Released, tmp_path: Path
) -> None:
    folder = make_results(tmp_path, released)
    items = add_descriptions(folder, released)
    assert all("judged" not in one for one in replies_of(page(folder, released)).values())
    add_judgements(folder, HOSTILE, calibrated=False)
    add_people(folder, items[0])
    replies = replies_of(page(folder, released))
    for one in replies.values():
        about = {"judge": "judge-x", "rubric": "ours", "uncalibrated": True}
        first = {"repeat": 0, "outcome": "scored", "scores": [4, 3, 5], "reply": HOSTILE}
        assert one["judged"] == [
            about | first,
            about | {"repeat": 1, "outcome": "unreadable", "reply": "hm"},
        ]
    assert replies[items[0].id]["people"] == [["ada", True, 2, 1, 0], ["bot", False, 2, 1, 0]]
    assert "people" not in replies[items[1].id]
    add_judgements(folder, "fine")
    assert all("uncalibrated" not in one["judged"][0] for one in _all(page(folder, released)))


def _all(text: str) -> list[Any]:
    found = [*replies_of(text).values(), *replies_of(text, "blind").values()]
    assert found
    return found


def test_scores_of_other_descriptions_are_not_shown(released: Released, tmp_path: Path) -> None:
    folder = make_results(tmp_path, released)
    add_descriptions(folder, released)
    add_judgements(folder, "fine")
    add_descriptions(folder, released, lambda item, _: {"reply": swapped(item)})
    text = page(folder, released)
    assert "judges scored other descriptions than these" in text
    assert not any("judged" in one for one in _all(text))


def test_withheld_items_have_no_page(releases: tuple[Path, Path], tmp_path: Path) -> None:
    held = open_release(releases[1])
    folder = make_results(tmp_path, held, splits=("train", "test"))
    items = add_descriptions(folder, held, splits=("train", "test"))
    asked = [one for one in open_items(held).questions if one.split in ("train", "test")]
    hidden = {one.id for one in asked} - {one.id for one in items}
    assert hidden
    assert items
    text = html.unescape(page(folder, held))
    assert {one.id for one in items} <= details_of(text).keys()
    assert not any(id_ in text for id_ in hidden)
    assert "withheld words" not in text
    choices = {one.id for one in read_results(folder).predictions} - details_of(text).keys()
    assert f"{len(choices) + len(hidden)} items have no page" in text


def test_withheld_items_stay_out_when_somebody_scored_them(
    releases: tuple[Path, Path], tmp_path: Path
) -> None:
    released, held = map(open_release, releases)
    folder = make_results(tmp_path, held, splits=("train", "test"))
    add_descriptions(folder, held, splits=("train", "test"))
    known = open_items(released).known.values()
    (folder / OPEN_ITEMS).write_bytes(packed(OpenItem, known))
    text = page(folder, held)
    assert not any(one.id in text for one in known if one.split == "test")
    assert "withheld words" not in text


def test_what_models_and_judges_wrote_is_data(released: Released, tmp_path: Path) -> None:
    folder = make_results(tmp_path, released)
    said = {"reply": f"Turn left. {HOSTILE}", "reasoning": HOSTILE, "finish": HOSTILE}
    items = add_descriptions(folder, released, lambda *_: said)
    add_judgements(folder, HOSTILE, judge=HOSTILE)
    add_people(folder, items[0])
    text = page(folder, released)
    assert "<script>document" not in text
    blocks = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', text, re.DOTALL)
    assert not any(set(block) & set("<>&\u2028\u2029") for block in blocks)
    for one in replies_of(text).values():
        assert one["text"] == said["reply"]
        assert (one["judged"][0]["judge"], one["judged"][0]["reply"]) == (HOSTILE, HOSTILE)


def test_without_the_release_nothing_is_read(released: Released, tmp_path: Path) -> None:
    folder = make_results(tmp_path, released)
    items = add_descriptions(folder, released)
    text = page(folder, None)
    assert "so it isn't shown either" in html.unescape(text)
    assert replies_of(text).keys() == {one.id for one in items}
    assert not any("read" in one for one in _all(text))
    assert set(outcomes_of(text).values()) >= {"d "}


def test_a_prompt_that_has_changed_is_not_shown(released: Released, tmp_path: Path) -> None:
    folder = make_results(tmp_path, released)
    (item, *_) = add_descriptions(folder, released)
    body = json.loads((folder / OPEN).read_text(encoding="utf-8"))
    (folder / OPEN).write_text(json.dumps(body | {"prompt_sha256": "0" * 64}), encoding="utf-8")
    amend(folder)
    text = page(folder, released)
    assert "the prompt for items answered in words has changed since" in text
    details = details_of(text)
    assert details[item.id]["asked"][0]["texts"] == []
    choice = read_results(folder).questions[0]
    assert details[choice.id]["asked"][0]["texts"]


def test_a_folder_whose_descriptions_are_damaged_has_its_other_items(
    released: Released, tmp_path: Path
) -> None:
    folder = make_results(tmp_path, released)
    add_descriptions(folder, released)
    add_judgements(folder, "fine")
    for name in (JUDGED, OPEN_ITEMS, DESCRIPTIONS):
        before = (folder / name).read_bytes()
        (folder / name).write_bytes(before[: len(before) // 2])
        text = html.unescape(page(folder, released))
        assert "descriptions can't be shown" in text
        assert name in text
        assert details_of(text).keys() == {one.id for one in read_results(folder).questions}
        (folder / name).write_bytes(before)
    (folder / DESCRIPTIONS).unlink()
    assert "can't be checked" in html.unescape(page(folder, released))


def test_items_of_both_kinds_count_for_the_frames_in_the_page(
    released: Released, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_results(tmp_path, released)
    items = add_descriptions(folder, released)
    choices = len(read_results(folder).questions)
    monkeypatch.setattr(result_items, "INLINED", choices + len(items))
    text = page(folder, released)
    names = {name for one in details_of(text).values() for name in one["asked"][0]["frames"]}
    assert data_of(text, "pictures-0").keys() == names
    monkeypatch.setattr(result_items, "INLINED", choices + len(items) - 1)
    assert "pictures-0" not in page(folder, released)
