"""A workspace with one planted fault fails the gate for that fault, which names the rows."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import factories
import numpy as np
import pytest
from clip_rows import jpeg
from small_release import LENIENT, release, small_space, varied

from pipeline.cli.console import run
from pipeline.cli.main import cli
from pipeline.engine.rows import Row
from pipeline.engine.stage import PULL
from pipeline.engine.workspace import Workspace
from pipeline.errors import GateError
from pipeline.motion.rows import Clip, Frame, Heading, Turn
from pipeline.questions.rows import ComposedFrom, Item, Span, Stratum
from pipeline.releases.card import card
from pipeline.releases.export import export, measure
from pipeline.releases.gates import GATES, Gate
from pipeline.releases.harvest import Harvest
from pipeline.releases.layout import QuestionRow, write_sums
from pipeline.releases.looks import FLIPPED_EVERY, look
from pipeline.releases.reading import open_release
from pipeline.releases.rows import Looks, Still
from pipeline.releases.settings import ExportSettings
from pipeline.releases.verify import verify
from pipeline.releases.workspace_gates import WORKSPACE_GATES, Checked, Limits, consent
from pipeline.report.gallery import gallery_of
from pipeline.report.page import render
from pipeline.report.release_gallery import gallery_of_release
from pipeline.review.accuracy import wilson
from pipeline.review.rows import Answer
from pipeline.review.settings import ReviewSettings
from pipeline.routes.rows import Route
from pipeline.sources.rows import Video

SETTINGS = ExportSettings.model_validate(LENIENT)
REVIEW = ReviewSettings()


@pytest.fixture
def space(tmp_path: Path) -> Iterator[Workspace]:
    with small_space(tmp_path / "workspace", clips=8) as space:
        yield space


def egost(words: list[str]) -> int:
    with pytest.raises(SystemExit) as ended:
        run(cli, words)
    return int(str(ended.value.code))


def failed(space: Workspace, **fields: Any) -> dict[str, Gate]:
    settings = ExportSettings.model_validate(LENIENT | fields)
    gates = measure(space.store, settings, REVIEW).gates
    return {gate.name: gate for gate in gates if gate.state == "failed"}


def edit(space: Workspace, kind: Any, stage: str, change: Callable[[Any], Any]) -> None:
    """Change rows of one type; the stage's other rows are kept."""
    others = (Span, Stratum, ComposedFrom) if kind is Item else ()
    rows = [change(row) for row in space.store.rows(kind)]
    rows += [row for other in others for row in space.store.rows(other)]
    space.store.finish(stage, "all", "edited", "done", rows)


def span_of(space: Workspace, clip_id: str) -> Span:
    return next(span for span in space.store.rows(Span) if span.clip_id == clip_id)


def stills_of(space: Workspace, span_id: str) -> list[Still]:
    return [still for still in space.store.rows(Still) if still.span_id == span_id]


def items_of(space: Workspace, clip_id: str) -> tuple[str, ...]:
    items = space.store.rows(Item)
    return tuple(sorted(item.item_id for item in items if item.clip_id == clip_id))


def test_a_correct_workspace_meets_every_gate(space: Workspace) -> None:
    assert failed(space) == {}


def test_a_leaked_split_is_caught(space: Workspace) -> None:
    """Two videos of one group are assigned to two splits."""
    edit(space, Video, "split", lambda row: row.model_copy(update={"split_group": "g_same"}))
    assert failed(space)["split_leak"].rows == tuple(
        sorted(item.item_id for item in space.store.rows(Item))
    )


def test_the_same_footage_in_two_splits_is_caught_by_bytes_and_by_hash(
    space: Workspace,
) -> None:
    one, other = span_of(space, "c_0000"), span_of(space, "c_0003")
    first = stills_of(space, one.span_id)
    copied = [
        still.model_copy(update={name: getattr(same, name) for name in ("media", "sha256", "look")})
        for still, same in zip(stills_of(space, other.span_id), first, strict=True)
    ]
    space.store.finish("stills", other.span_id, "edited", "done", copied)
    both = tuple(sorted((*items_of(space, "c_0000"), *items_of(space, "c_0003"))))
    found = failed(space)
    assert set(found) == {"split_leak", "near_identical_clips"}
    assert found["split_leak"].rows == found["near_identical_clips"].rows == both


def test_the_same_footage_is_caught_in_another_cut_and_mirrored(space: Workspace) -> None:
    """No frame is the same: one span begins 2.2 s later and is flipped left to right."""
    draw = np.random.default_rng(0)
    scenery = draw.integers(0, 255, (8, 200, 3), dtype=np.uint8)
    film = [scenery[:, 2 * moment : 2 * moment + 9] for moment in range(90)]  # it pans to the right

    def seen(clip_id: str, part: slice, *, mirrored: bool) -> None:
        shown = [picture[:, ::-1] if mirrored else picture for picture in film[part]]
        rows: list[Row] = [*stills_of(space, span_of(space, clip_id).span_id)]
        rows.append(
            Looks(
                span_id=span_of(space, clip_id).span_id,
                video_id=f"v_{clip_id[2:]}",
                looks="".join(look(picture) for picture in shown),
                flipped="".join(look(picture[:, ::-1]) for picture in shown[::FLIPPED_EVERY]),
            )
        )
        space.store.finish("stills", span_of(space, clip_id).span_id, "edited", "done", rows)

    seen("c_0000", slice(0, 60), mirrored=False)
    seen("c_0003", slice(11, 90), mirrored=True)
    found = failed(space)
    assert set(found) == {"near_identical_clips"}
    both = tuple(sorted((*items_of(space, "c_0000"), *items_of(space, "c_0003"))))
    assert found["near_identical_clips"].rows == both


def test_a_missing_frame_and_a_changed_byte_are_caught(space: Workspace) -> None:
    still = stills_of(space, span_of(space, "c_0002").span_id)[0]
    path = space.folder.media_path(still.media)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert failed(space)["media"].rows == items_of(space, "c_0002")
    path.unlink()
    assert failed(space)["media"].rows == items_of(space, "c_0002")
    path.write_bytes(whole)
    assert failed(space) == {}


@pytest.mark.parametrize("change", ["one fewer", "one more", "none"])
def test_a_span_has_exactly_its_frames(space: Workspace, change: str) -> None:
    """Spans differ in their number of frames, so that no other span tells how many there should be."""
    span_id = span_of(space, "c_0001").span_id
    stills = stills_of(space, span_id)
    assert len({len(span.frame_us) for span in space.store.rows(Span)}) > 1
    more = stills[-1].model_copy(update={"number": len(stills)})
    rows = {"one fewer": stills[:-1], "one more": [*stills, more], "none": []}[change]
    space.store.finish("stills", span_id, "edited", "done", rows)
    assert failed(space)["media"].rows == items_of(space, "c_0001")


@pytest.mark.parametrize("change", ["no frames", "a frozen picture"])
def test_facts_that_no_released_frame_shows_are_caught(space: Workspace, change: str) -> None:
    """Where frames can't be decoded, or the camera froze, the last one before is displayed."""
    asked = [item for item in space.store.rows(Item) if item.facts]
    span_id = asked[0].span_id or ""
    stills = stills_of(space, span_id) if change == "a frozen picture" else []
    frozen = [still.model_copy(update={"t_us": -1_000_000}) for still in stills]
    space.store.finish("stills", span_id, "edited", "done", frozen)
    of_span = {item.item_id for item in asked if item.span_id == span_id}
    assert {*failed(space)["visible_facts"].rows} == of_span


def test_a_skewed_letter_is_caught(space: Workspace) -> None:
    def first(item: Item) -> Item:
        if item.format == "open":
            return item
        right = item.answer_index or 0
        order = [right, *(index for index in range(len(item.options)) if index != right)]
        facts = [
            fact.model_copy(update={"values": [fact.values[index] for index in order]})
            for fact in item.facts
        ]
        options = [item.options[index] for index in order]
        return item.model_copy(update={"options": options, "answer_index": 0, "facts": facts})

    edit(space, Item, "compose", first)
    found = failed(space)
    assert set(found) == {"letters"}
    assert "A is correct in" in found["letters"].figure


def test_a_true_distractor_is_caught(space: Workspace) -> None:
    victim = next(item for item in space.store.rows(Item) if item.facts)

    def second_truth(item: Item) -> Item:
        if item.item_id != victim.item_id:
            return item
        right = item.answer_index or 0
        wrong = right ^ 1
        options = [*item.options]
        options[wrong] = item.answer_text
        facts = []
        for fact in item.facts:
            values = [*fact.values]
            values[wrong] = values[right]
            facts.append(fact.model_copy(update={"values": values}))
        return item.model_copy(update={"options": options, "facts": facts})

    edit(space, Item, "compose", second_truth)
    assert victim.item_id in failed(space)["no_true_distractor"].rows


@pytest.mark.parametrize(
    "change", ["{answer} ", "\N{NO-BREAK SPACE}{answer}", "{answer}.", "{swapped}"]
)
def test_an_option_that_repeats_the_answer_in_other_characters_is_caught(
    space: Workspace, change: str
) -> None:
    """Its facts still state something else, so that only its text gives it away."""
    victim = next(item for item in space.store.rows(Item) if item.facts)
    wrong = (victim.answer_index or 0) ^ 1
    text = change.format(
        answer=victim.answer_text, swapped="; ".join(reversed(victim.answer_text.split("; ")))
    )
    assert text not in victim.options
    options = [text if index == wrong else one for index, one in enumerate(victim.options)]
    edit(
        space,
        Item,
        "compose",
        lambda item: (
            item.model_copy(update={"options": options}) if item.item_id == victim.item_id else item
        ),
    )
    found = failed(space)
    assert found["no_true_distractor"].rows == (victim.item_id,)
    assert ("four_options" in found) == (" ".join(text.split()) == victim.answer_text)


def test_a_distractor_that_became_true_is_caught(space: Workspace) -> None:
    """People correct the route after the items were composed from it."""
    clip_id = next(item.clip_id for item in space.store.rows(Item) if item.category == "direction")
    route = next(row for row in space.store.rows(Route) if row.clip_id == clip_id)
    turned = [
        step.model_copy(
            update={"move": {"left": "right", "right": "left"}.get(step.move, step.move)}
        )
        for step in route.steps
    ]
    rows = [
        row.model_copy(update={"steps": turned}) if row.clip_id == clip_id else row
        for row in space.store.rows(Route)
        if row.origin == "verified"
    ]
    space.store.finish("review", "all", "edited", "done", rows)
    asked = {
        item.item_id
        for item in space.store.rows(Item)
        if item.clip_id == clip_id and item.category == "direction"
    }
    assert asked <= set(failed(space)["no_true_distractor"].rows)


def test_a_reverse_that_does_not_invert_is_caught(space: Workspace) -> None:
    victim = next(item for item in space.store.rows(Item) if item.task == "direction_reverse")
    other = next(index for index in range(4) if index != victim.answer_index)
    wrong = {"answer_index": other, "answer_text": victim.options[other]}
    edit(
        space,
        Item,
        "compose",
        lambda item: item.model_copy(update=wrong) if item.item_id == victim.item_id else item,
    )
    assert victim.item_id in failed(space)["inverse_pairs"].rows


@pytest.mark.parametrize("count", [3, 5])
def test_items_with_three_or_five_options_are_caught_but_can_be_released(
    space: Workspace, count: int
) -> None:
    wanted = [item.item_id for item in space.store.rows(Item) if item.options]

    def resized(item: Item) -> Item:
        if item.item_id not in wanted:
            return item
        rest = [text for text in item.options if text != item.answer_text] + ["none of them"]
        options = [*rest[: count - 1], item.answer_text]
        return item.model_copy(update={"options": options, "answer_index": count - 1})

    edit(space, Item, "compose", resized)
    assert failed(space)["four_options"].rows == tuple(sorted(wanted))
    made = release(space)
    assert "four_options" in verify(made.folder).admitted
    rows = [row for _, row in open_release(made.folder).questions() if row.options]
    assert {row.answer for row in rows} == {"ABCDE"[count - 1]}
    shown = gallery_of_release(open_release(made.folder))
    assert {item["right"] for clip in shown.clips for item in clip.items} == {None, count - 1}
    (first, *_) = json.loads((made.folder / "adapters/ego_st/test.json").read_text("utf-8"))
    assert first["question"].endswith(
        f" {'ABCDE'[count - 1]}. {rows_by_id(rows)[first['question_id']]}"
    )


def rows_by_id(rows: list[QuestionRow]) -> dict[str, str | None]:
    return {row.id: row.answer_text for row in rows}


def test_a_video_without_consent_is_caught(space: Workspace) -> None:
    """Such items are left out earlier; this gate is a second check."""
    harvest = Harvest(space.store, REVIEW, only_verified=False, min_verified=1)
    harvest.videos["v_0000"] = harvest.videos["v_0000"].model_copy(update={"consent": "model"})
    limits = Limits(agreement=0, flawed=1, audited=0, blind=1, blind_within=1)
    gate = consent(Checked(harvest, space.folder, limits, "egost", (), (), ()))
    assert gate.rows == items_of(space, "c_0000")


def test_items_left_out_are_named_with_the_fix(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with small_space(tmp_path / "workspace", clips=8) as space:
        edit(space, Video, "split", without_consent)
        out = items_of(space, "c_0000")
    words = ["-w", str(tmp_path / "workspace"), "gates"]
    limits = [
        part for name, value in LENIENT.items() for part in ("--set", f"export.{name}={value}")
    ]
    assert egost(words + limits) == 0
    told = capsys.readouterr().out
    some = f"{', '.join(out[:3])}, …" if len(out) > 3 else ", ".join(out)
    assert f"consent: met: 0 items without consent to release ({len(out)} are left out)" in told
    assert (
        f"left out: {len(out)} items without consent to release ({some})\n"
        "  fix: write `release` in the consent column of manifest.csv"
    ) in told
    assert egost([*words, *limits, "--json"]) == 0
    measured = json.loads(capsys.readouterr().out)
    assert [tuple(one["rows"]) for one in measured["left_out"]] == [out]
    assert {one["name"] for one in measured["gates"]} == {
        gate.__name__ for gate in (*GATES, *WORKSPACE_GATES)
    }


def without_consent(row: Video) -> Video:
    return row.model_copy(update={"consent": "model"}) if row.video_id == "v_0000" else row


def test_too_little_agreement_is_reported(space: Workspace) -> None:
    assert (
        "no clip was judged by two"
        in failed(space, min_agreement=0.8)["agreement_of_people"].figure
    )
    drafts = [row for row in space.store.rows(Route) if row.origin == "draft"]
    agreeing = [
        factories.verdict(row, annotation_id=f"x{n}", annotator="Bob")
        for n, row in enumerate(drafts)
    ]
    space.store.finish(PULL, "second", "made up", "done", agreeing)
    assert failed(space, min_agreement=0.8) == {}
    differing = [
        factories.verdict(row, annotation_id=f"x{n}", annotator="Bob", verdict="reject")
        for n, row in enumerate(drafts)
    ]
    space.store.finish(PULL, "second", "made up", "done", differing)
    gate = failed(space, min_agreement=0.8)["agreement_of_people"]
    assert gate.figure.startswith("0% on 8 clips")
    assert gate.rows == tuple(sorted(row.clip_id for row in drafts))


def test_the_clips_on_which_people_disagree_are_named(space: Workspace) -> None:
    drafts = [row for row in space.store.rows(Route) if row.origin == "draft"]
    second = [
        factories.verdict(
            row,
            annotation_id=f"x{n}",
            annotator="Bob",
            verdict="reject" if row.clip_id in ("c_0001", "c_0005") else "accept",
        )
        for n, row in enumerate(drafts)
    ]
    space.store.finish(PULL, "second", "made up", "done", second)
    gate = failed(space, min_agreement=0.8)["agreement_of_people"]
    assert gate.figure.startswith("75% on 8 clips")
    assert gate.rows == ("c_0001", "c_0005")
    assert "(c_0001, c_0005)" in str(gate)
    assert failed(space, min_agreement=0.7) == {}


def answers(space: Workspace, wrong: int) -> list[Answer]:
    """One person audits every multiple-choice item and finds no correct option in `wrong` of them.

    The items of a clip follow one another, those of the clip with most items first.
    """
    items = [item for item in space.store.rows(Item) if item.format == "mcq"]
    often = Counter(item.clip_id for item in items)
    items.sort(key=lambda item: (-often[item.clip_id], item.clip_id, item.item_id))
    return [
        Answer(
            item_id=item.item_id,
            fingerprint=item.fingerprint,
            annotator="Ann",
            choice="none" if number < wrong else str(item.answer_index),  # type: ignore[arg-type]
            seconds=9,
            created_us=1,
            annotation_id=str(number),
            by="person",
        )
        for number, item in enumerate(items)
    ]


def test_too_many_flaws_and_too_few_audited_items_are_reported(space: Workspace) -> None:
    assert "none of none" in failed(space, min_audited=1)["audit"].figure
    space.store.finish(PULL, "audit", "made up", "done", answers(space, 0))
    assert failed(space, min_audited=10) == {}
    flawed = answers(space, 4)
    space.store.finish(PULL, "audit", "made up", "done", flawed)
    gate = failed(space, min_audited=10)["audit"]
    assert gate.rows == tuple(sorted(one.item_id for one in flawed[:4]))
    assert gate.figure.startswith("flawed items in the sample: 4 of ")
    assert "audit more items" in failed(space, min_audited=1000)["audit"].fix


def test_one_persons_doubt_counts_but_sets_nothing_aside(space: Workspace) -> None:
    space.store.finish(PULL, "audit", "made up", "done", answers(space, 1))
    list(space.run(["compose"]))
    assert {item.status for item in space.store.rows(Item)} == {"verified"}
    gate = failed(space, min_audited=10, max_flawed=0.0)["audit"]
    assert gate.figure.endswith("; 1 of them by one person alone")
    doubted = space.store.rows(Answer)[0].item_id
    second = answers(space, 1)[0].model_copy(update={"annotator": "Bob", "annotation_id": "b"})
    space.store.finish(PULL, "second audit", "made up", "done", [second])
    list(space.run(["compose"]))
    aside = {item.item_id for item in space.store.rows(Item) if item.status == "set_aside"}
    assert gate.rows[0] in aside
    assert len(aside) == 2  # its pair as well
    assert doubted in {item.item_id for item in space.store.rows(Item)}


def test_scripts_audit_nothing(space: Workspace) -> None:
    scripts = [row.model_copy(update={"by": "script"}) for row in answers(space, 0)]
    space.store.finish(PULL, "audit", "made up", "done", scripts)
    assert "none of none" in failed(space, min_audited=1)["audit"].figure


def test_an_item_that_a_model_wrote_is_verified_by_who_chose_its_answer(space: Workspace) -> None:
    """Its clip's route says nothing about it."""
    first = next(item for item in space.store.rows(Item) if item.options)
    edit(
        space,
        Item,
        "compose",
        lambda item: (
            item.model_copy(update={"option_kind": "model"})
            if item.item_id == first.item_id
            else item
        ),
    )

    def verified_by(choice: str, by: str) -> frozenset[str]:
        given = [
            row.model_copy(update={"choice": choice, "by": by})
            for row in answers(space, 0)
            if row.item_id == first.item_id
        ]
        space.store.finish(PULL, "audit", "made up", "done", given)
        harvest = Harvest(space.store, REVIEW, only_verified=False, min_verified=1)
        return harvest.candidate.verified_by[first.item_id]

    assert verified_by(str(first.answer_index), "person") == {"person"}
    assert verified_by(str(first.answer_index), "script") == {"script"}
    assert verified_by("none", "person") == frozenset()


def test_human_accuracy_is_on_the_card_and_difficulty_in_each_evidence_row(
    space: Workspace,
) -> None:
    given = answers(space, 3)
    scripts = [row.model_copy(update={"annotator": "bot", "by": "script"}) for row in given]
    for number, row in enumerate(scripts):
        scripts[number] = row.model_copy(update={"annotation_id": f"s{number}"})
    space.store.finish(PULL, "audit", "made up", "done", [*given[:10], *scripts])
    made = release(space, "1.0.0")
    manifest = json.loads((made.folder / "manifest.json").read_text(encoding="utf-8"))
    whole = manifest["human_accuracy"]["all"]
    assert (whole["right"], whole["answers"]) == (7, 10)
    tasks = {name: one for name, one in manifest["human_accuracy"].items() if name != "all"}
    assert sum(one["answers"] for one in tasks.values()) == 10
    card = (made.folder / "README.md").read_text(encoding="utf-8")
    assert (
        f"| all | 7 of 10 (70 %) | {100 * whole['low']:.0f} to {100 * whole['high']:.0f} % |"
        in card
    )
    # The three wrong answers are on one clip: the interval is wider than of ten independent ones.
    assert whole["high"] - whole["low"] > wilson(7, 10).high - wilson(7, 10).low
    found = {
        row.id: (row.human_right, row.human_answers) for row in open_release(made.folder).evidence()
    }
    assert {row.item_id: found[row.item_id] for row in given[:10]} == {
        row.item_id: (int(number >= 3), 1) for number, row in enumerate(given[:10])
    }
    assert sum(count for _, count in found.values()) == 10


def test_a_release_reports_agreement_and_human_accuracy(space: Workspace) -> None:
    drafts = [route for route in space.store.rows(Route) if route.origin == "draft"]
    second = [factories.verdict(one, annotator="Bob", annotation_id="b") for one in drafts]
    space.store.finish(PULL, "second", "made up", "done", second)
    space.store.finish("audit", "all", "made up", "done", answers(space, 0))
    plots = gallery_of_release(open_release(release(space).folder)).plots
    assert {"Agreement by category", "Human accuracy by task"} <= {plot.title for plot in plots}
    funnel = {level.name: level for level in gallery_of(space.store, space.folder, REVIEW).funnel}
    assert funnel["verified routes"].note == f"judged: {len(drafts)} by people"


def test_a_glance_is_not_a_turn_in_a_release(space: Workspace) -> None:
    aside = [turn.model_copy(update={"moving": False}) for turn in space.store.rows(Turn)]
    rest = [row for kind in (Clip, Frame, Heading) for row in space.store.rows(kind)]
    space.store.finish("frames", "all", "edited", "done", [*rest, *aside])
    made = open_release(release(space).folder)
    assert {kind for row in made.evidence() for kind in row.turn_kinds} == {"glance"}
    assert not any(turn.moving for clip in gallery_of_release(made).clips for turn in clip.turns)


def test_a_script_has_no_human_accuracy(space: Workspace) -> None:
    scripts = [row.model_copy(update={"by": "script"}) for row in answers(space, 0)]
    space.store.finish(PULL, "audit", "made up", "done", scripts)
    card = (release(space, "1.0.0").folder / "README.md").read_text(encoding="utf-8")
    assert "No person has answered items without seeing the answer" in card


@pytest.mark.slow
def test_guessable_items_are_caught(tmp_path: Path) -> None:
    """Distractors as in the reference: from a vocabulary that never occurs in an answer."""
    with small_space(tmp_path / "workspace", clips=60, walk=varied) as space:

        def paraphrased(item: Item) -> Item:
            if item.format == "open":
                return item
            texts = [
                text if index == item.answer_index else text.replace("turn", "spin") + "."
                for index, text in enumerate(item.options)
            ]
            return item.model_copy(update={"options": texts})

        edit(space, Item, "compose", paraphrased)
        gate = failed(space, blind_points=5)["blind"]
    assert gate.figure.startswith("LEAKS: ")
    assert gate.rows


@pytest.mark.slow
def test_a_column_that_reveals_answers_is_caught_and_named(tmp_path: Path) -> None:
    """The column `contrast` is published with each item; here its four values give the letters."""
    names = ("turn", "order", "mixed", "content")
    with small_space(tmp_path / "workspace", clips=60, walk=varied) as space:

        def telling(item: Item) -> Item:
            if item.answer_index is None:
                return item
            return item.model_copy(update={"contrast": names[item.answer_index]})

        assert failed(space, blind_points=5) == {}
        edit(space, Item, "compose", telling)
        gate = failed(space, blind_points=5)["blind"]
        asked = {item.item_id: item.task for item in space.store.rows(Item) if item.options}
    assert gate.figure.startswith("LEAKS: columns answers ")
    assert "best: letter given contrast" in gate.figure
    assert gate.rows
    assert set(gate.rows) <= asked.keys()
    assert set(gate.parts) == set(asked.values())


def test_an_unproven_gate_stops_nothing_but_heads_card_and_report(
    space: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = ExportSettings.model_validate(LENIENT | {"blind_points": 5})
    recorded = space.recorded()
    asked = {item.clip_id for item in space.store.rows(Item) if item.options}
    made = export(space.store, space.folder, "1.0.0", settings, REVIEW, recorded)
    assert "; unproven: blind; root digest " in str(made)
    card = (made.folder / "README.md").read_text(encoding="utf-8")
    assert card.splitlines()[1] == "# Unproven: blind."
    head, _, body = card.partition("\n# ")[2].partition("\n# ")
    assert f"> **Unproven: blind:** {len(asked)} clips are too few" in head
    assert "| blind | **unproven** |" in body
    assert "## Answering without the video" in body
    assert "| **too few to tell** |" in body
    released = open_release(made.folder)
    assert "Unproven: blind" in gallery_of_release(released).notices[0]
    assert json.loads((made.folder / "croissant.json").read_text())["rai:dataLimitations"] == (
        "Unproven: blind."
    )
    (gate,) = (one for one in released.manifest["gates"] if one["name"] == "blind")
    assert (gate["state"], gate["met"]) == ("unproven", False)
    found = verify(made.folder, made.root_digest)
    assert (found.admitted, found.unproven) == ((), ("blind",))
    assert "blind" in found.recomputed
    assert "; reported as unproven: blind" in str(found)


def test_the_last_line_of_export_names_what_is_unproven(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with small_space(tmp_path / "w", clips=8):
        pass
    # Its stills are made up: there is no video to cut them from.
    monkeypatch.setattr(Workspace, "run_command", lambda space, name: [])
    settings = [
        f"--set=export.{name}={value}" for name, value in (LENIENT | {"blind_points": 5}).items()
    ]
    assert egost(["-w", str(tmp_path / "w"), "export", "1.0.0", *settings]) == 0
    *others, last = capsys.readouterr().out.splitlines()
    assert last.startswith("export: ")
    assert "; unproven: blind; root digest " in last
    assert any(line.startswith("blind: unproven: ") for line in others)


def test_the_card_shows_the_verdict_on_each_cell(space: Workspace) -> None:
    made = release(space, "1.0.0", blind_points=5)
    released = open_release(made.folder)
    (gate,) = (one for one in released.manifest["gates"] if one["name"] == "blind")
    (cell,) = gate["cells"][:1]
    verdicts = {"turns": "leak", "orders": "no leak found", "both": "too few to tell"}
    gate["cells"] = [
        {
            **cell,
            "name": name,
            "verdict": verdict,
            "twins": 700,
            "accuracy": 0.31,
            "reader": "majority",
        }
        for name, verdict in verdicts.items()
    ]
    rows = [
        line
        for line in card(released.manifest, next(released.questions())[1]).splitlines()
        if "majority" in line
    ]
    assert [row.split(" | ")[:3] for row in rows] == [
        ["| turns", "**leak**", "700"],
        ["| orders", "no leak found", "700"],
        ["| both", "**too few to tell**", "700"],
    ]
    assert all("31 % (" in row for row in rows)


@pytest.mark.parametrize("state", ["met", "failed"])
def test_verify_recomputes_the_blind_gate(space: Workspace, state: str) -> None:
    made = release(space, "1.0.0", blind_points=5)
    path = made.folder / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    (gate,) = (one for one in manifest["gates"] if one["name"] == "blind")
    gate |= {"state": state, "met": state == "met"}
    path.write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (made.folder / "SHA256SUMS").unlink()
    write_sums(made.folder)
    with pytest.raises(GateError, match=r"the rows give \d clips are too few"):
        verify(made.folder)
    for one in manifest["gates"]:
        del one["cells"]  # as in a release from before the gate had cells
    path.write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (made.folder / "SHA256SUMS").unlink()
    write_sums(made.folder)
    found = verify(made.folder)
    assert found.unproven == ()
    assert "blind" not in found.recomputed


def test_verify_finds_a_cell_that_claims_more_than_its_rows_show(space: Workspace) -> None:
    made = release(space, "1.0.0", blind_points=5)
    path = made.folder / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    manifest["made_with"]["scikit-learn"] = "another version"
    for twins in (None, 1200):
        (gate,) = (one for one in manifest["gates"] if one["name"] == "blind")
        gate["cells"][0]["twins"] = twins or gate["cells"][0]["twins"]
        path.write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        (made.folder / "SHA256SUMS").unlink()
        write_sums(made.folder)
        if twins is None:
            assert "blind" in verify(made.folder).recomputed
        else:
            with pytest.raises(GateError, match=r"the rows give \d clips are too few"):
                verify(made.folder)


def test_export_refuses_failed_gates_and_reports_them_if_allowed(space: Workspace) -> None:
    settings = ExportSettings.model_validate(LENIENT | {"min_audited": 5})
    with pytest.raises(GateError, match="audit: NOT MET") as told:
        export(space.store, space.folder, "1.0.0", settings, REVIEW, space.recorded())
    assert told.value.exit_code == 3
    made = release(space, "1.0.0", min_audited=5)
    card = (made.folder / "README.md").read_text(encoding="utf-8")
    assert "> **Gate not met: audit:** flawed items in the sample: none of none" in card


def test_blind_accuracy_by_task_is_plotted_if_measured(tmp_path: Path, space: Workspace) -> None:
    title = "Blind accuracy by task"
    assert title not in render(gallery_of(space.store, space.folder, REVIEW), tmp_path)
    unmeasured = release(space, "0.1.0")
    assert not (unmeasured.folder / "plots" / "blind.svg").exists()
    assert "plots/blind.svg" not in (unmeasured.folder / "README.md").read_text(encoding="utf-8")

    made = release(space, "0.1.1", blind_points=5)
    assert title in (made.folder / "plots" / "blind.svg").read_text(encoding="utf-8")
    assert "(plots/blind.svg)" in (made.folder / "README.md").read_text(encoding="utf-8")
    page = render(gallery_of_release(open_release(made.folder)), tmp_path)
    assert title in page
    (gate,) = (gate for gate in made.gates if gate.name == "blind")
    share = 100 * gate.parts["direction_forward"]
    assert f">{share:.0f} %</text>" in page or f">{share:.1f} %</text>" in page
    assert "as measured for 0.1.1" in render(
        gallery_of(space.store, space.folder, REVIEW), tmp_path
    )


def test_the_perceptual_hash_survives_encoding_and_scaling() -> None:
    draw = np.random.default_rng(1)
    coarse = draw.integers(0, 255, (9, 12, 3), dtype=np.uint8)
    picture = cv2.resize(coarse, (480, 360), interpolation=cv2.INTER_CUBIC)
    small = cv2.resize(picture, (200, 150), interpolation=cv2.INTER_AREA)
    again = cv2.imdecode(cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 40])[1], 1)
    other = cv2.imdecode(np.frombuffer(jpeg(1), np.uint8), 1)

    def apart(one: str, two: str) -> int:
        return (int(one, 16) ^ int(two, 16)).bit_count()

    assert apart(look(picture), look(again)) <= 6
    assert apart(look(picture), look(other)) > 12
