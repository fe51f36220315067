import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import cv2
import factories
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from walked import clip, draft, rows, steps

from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.rows import Rows
from pipeline.errors import UserError
from pipeline.labelstudio.scripted import ScriptedClient
from pipeline.motion.rows import Frame
from pipeline.questions.audited import confirmed, flaw, flawed_clips, flaws, pairs_set_aside
from pipeline.questions.rows import Item, Span
from pipeline.releases import stills
from pipeline.review import audit
from pipeline.review.accuracy import accuracy, by_people, clustered, judged, wilson
from pipeline.review.audit import MediaAccess
from pipeline.review.rows import Answer, Verdict
from pipeline.review.settings import AuditSettings
from pipeline.review.verdicts import pseudonym
from pipeline.video import reader
from pipeline.video.display import flipped
from pipeline.video.reviewclip import Form

SETTINGS = AuditSettings()
SHOWN = MediaAccess(Form(160))
SECRET = b"0123"


def item(number: int = 0, **fields: object) -> Item:
    one = clip()
    fields_ = {
        "item_id": f"i{number}", "clip_id": one.clip_id, "video_id": one.video_id, "span_id": None,
        "twin": None, "facts": [],
    }  # fmt: skip
    return factories.item(**{**fields_, "fingerprint": f"print {number}", **fields})


def answer(choice: str, who: str = "a", of: Item | None = None, **fields: object) -> Answer:
    of = of or item()
    fields_ = {
        "item_id": of.item_id, "fingerprint": of.fingerprint, "annotator": who, "choice": choice,
        "seconds": 9.0, "created_us": 1, "annotation_id": f"{of.item_id} {who}", "by": "person",
    }  # fmt: skip
    return Answer.model_validate(fields_ | fields)


@pytest.fixture
def workspace(tmp_path: Path) -> WorkspaceFolder:
    return WorkspaceFolder(tmp_path / "workspace")


def seen(
    workspace: WorkspaceFolder,
    folder: Path,
    items: Sequence[Item],
    *verdicts: Verdict,
    spans: Sequence[Span] = (),
) -> Rows:
    made = rows(workspace, folder, [draft(clip(), steps("left", "right"))], ["walk"])
    given = {Item: tuple(items), Span: tuple(spans), Verdict: verdicts, Answer: ()}
    return Rows({**made.seen, **given})


def span(number: int, start_us: int, end_us: int, *, mirrored: bool = False) -> Span:
    one = clip()
    return Span(
        span_id=f"s{number}",
        clip_id=one.clip_id,
        video_id=one.video_id,
        start_us=start_us,
        end_us=end_us,
        frame_us=[start_us],
        mirrored=mirrored,
        made="",
    )


def choose(client: ScriptedClient, task: int, value: str, who: str) -> None:
    result = [{"from_name": "choice", "value": {"choices": [value]}}]
    client.answer(task, result, email=f"{who}@example.org")


def test_a_task_shows_the_question_and_hides_the_answer(workspace: WorkspaceFolder, tmp_path: Path):
    one = item(options=["<b>left</b>", "right", "both", "no"], answer_index=2, answer_text="both")
    client = ScriptedClient()
    now = seen(workspace, tmp_path, [one])
    assert audit.push(client, now, SETTINGS, SHOWN, workspace).new == 1
    assert audit.push(client, now, SETTINGS, SHOWN, workspace).kept == 1
    data = client.kept[1].data
    assert [one["hotkey"] for one in data["choices"]] == list("1234567")
    assert data["choices"][0]["html"] == "&lt;b&gt;left&lt;/b&gt;"
    assert set(data) == {"uid", "round", "clip", "fps", "frames", "question", "choices"}
    other = one.model_copy(update={"answer_index": 0, "answer_text": one.options[0]})
    again = ScriptedClient()
    audit.push(again, seen(workspace, tmp_path, [other]), SETTINGS, SHOWN, workspace)
    assert again.kept[1].data == data
    for secret in (one.fingerprint, one.item_id, "middle of turn"):
        assert secret not in str(data)


def test_an_item_shows_its_span_alone_and_a_mirrored_span_flipped(
    workspace: WorkspaceFolder, tmp_path: Path
):
    spans = [span(0, 1_000_000, 2_000_000), span(1, 1_000_000, 2_000_000, mirrored=True)]
    items = [item(0, span_id="s0"), item(1, span_id="s1"), item(2), item(3, span_id="gone")]
    now, client = seen(workspace, tmp_path, items, spans=spans), ScriptedClient()
    assert audit.push(client, now, SETTINGS, SHOWN, workspace).new == 3
    by_length: dict[tuple[int, bool], list[list[np.ndarray]]] = {}
    for task in client.kept.values():
        frames = list(reader.frames(media(workspace, task.data["clip"])))
        clip_shown = [frame.bgr(160) for frame in frames]
        names = re.findall(r"src='([^']+)'", task.data["frames"])
        keyframes = [cv2.imread(str(media(workspace, name))) for name in names]
        bar_right = clip_shown[0][60, 80:].mean() > clip_shown[0][60, :80].mean()
        by_length[len(frames), bool(bar_right)] = [clip_shown, keyframes]
        if len(frames) == 30:  # one second
            inside = [one for one in now[Frame] if 1_000_000 <= one.t_us < 2_000_000]
            assert len(names) == len(inside) < len(now[Frame])
            assert "<b>0:00.1</b>" in task.data["frames"]
            assert "<b>0:01.1</b>" not in task.data["frames"]
    assert [length for length, _ in sorted(by_length)] == [30, 30, 90]
    straight, mirrored = by_length[30, False], by_length[30, True]
    for pictures, others in zip(straight, mirrored, strict=True):
        for picture, other in zip(pictures, others, strict=True):
            assert 2 * difference(flipped(picture), other) < difference(picture, other)
    # The page shows what models are scored with.
    (frame,) = reader.frames_at(tmp_path / "walk.mp4", [1_500_000])
    still = stills.shown(frame, 160, mirrored=True)
    assert 4 * difference(still, mirrored[0][15]) < difference(still, straight[0][15])


def media(workspace: WorkspaceFolder, url: str) -> Path:
    return workspace.media_path(url.rpartition("media/")[2])


def difference(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one.astype(int) - other.astype(int)).mean())


def test_the_sample_is_stratified_stable_and_contains_all_model_written_items():
    categories = ["direction"] * 50 + ["landmark"] * 5
    items = [item(number, category=one) for number, one in enumerate(categories)]
    items += [item(90, status="draft"), item(91, format="open"), item(92, status="set_aside")]
    found = audit.sample(items, set(), 8, SECRET)
    assert Counter(one.category for one in found) == {"direction": 4, "landmark": 4}
    assert found == audit.sample(items[::-1], set(), 8, SECRET)
    assert found != audit.sample(items, set(), 8, b"another")
    assert len(audit.sample(items, set(), 0, SECRET)) == 55
    old = {one.item_id for one in items if one not in found and one.status == "verified"}
    keep = {sorted(old)[0]}
    assert keep <= {one.item_id for one in audit.sample(items, keep, 8, SECRET)}
    wrote = [item(200 + n, option_kind="model", status="draft") for n in range(20)]
    asked = [one.item_id for one in audit.sample([*items, *wrote], set(), 8, SECRET)]
    assert {one.item_id for one in wrote} <= set(asked)


def paired(number: int, **fields: object) -> list[Item]:
    """Return the forward and the reverse item on the same two facts."""
    return [
        item(2 * number + way, twin=f"t{number}", span_id=f"s{number // 3}", **fields)
        for way in range(2)
    ]


def test_the_sample_is_balanced_over_kinds_of_facts_and_asks_one_of_each_twin_first():
    kinds = ["turn"] * 9 + ["mixed"] * 3
    items = [one for number, kind in enumerate(kinds) for one in paired(number, contrast=kind)]
    found = audit.sample(items, set(), 6, SECRET)
    assert Counter(one.contrast for one in found) == {"turn": 3, "mixed": 3}
    assert len({one.twin for one in found}) == 6
    assert len({one.twin for one in audit.sample(items, set(), 12, SECRET)}) == 12
    assert len(audit.sample(items, set(), 0, SECRET)) == 24


@given(
    st.lists(st.sampled_from(["turn", "mixed", "order"]), min_size=1, max_size=6),
    st.data(),
    st.integers(0, 12),
)
def test_twins_do_not_follow_each_other_if_there_is_another_item(
    kinds: list[str], data: st.DataObject, size: int
):
    items = [one for number, kind in enumerate(kinds) for one in paired(number, contrast=kind)]
    asked = set(data.draw(st.lists(st.sampled_from([one.item_id for one in items]))))
    found = audit.sample(items, asked, size, SECRET)
    assert asked <= {one.item_id for one in found}
    assert len(found) == (max(size, len(asked)) if size and size < len(items) else len(items))
    if len(found) > 2:
        assert all(one.twin != after.twin for one, after in pairwise(found))


def test_answers_are_pulled_and_a_reviewers_own_does_not_count(
    workspace: WorkspaceFolder, tmp_path: Path
):
    judge = factories.verdict(
        factories.route(),
        clip_id=clip().clip_id,
        annotator=pseudonym("ann@example.org", place_secret(workspace)),
    )
    client, one = ScriptedClient(), item()
    now = seen(workspace, tmp_path, [one], judge)
    audit.push(client, now, SETTINGS, SHOWN, workspace)
    choose(client, 1, "0", "ann")
    choose(client, 1, "many", "cat")
    pulled = audit.pull(client, now, SETTINGS, workspace)
    assert [(found.choice, found.fingerprint) for found in pulled.answers] == [
        ("many", one.fingerprint)
    ]
    assert (pulled.own, pulled.stale) == (1, 0)
    assert audit.push(client, now, SETTINGS, SHOWN, workspace).reopened == 1
    choose(client, 2, "0", "dan")
    assert audit.push(client, now, SETTINGS, SHOWN, workspace).kept == 1
    changed = Rows({**now.seen, Item: (item(fingerprint="another"),)})
    assert audit.pull(client, changed, SETTINGS, workspace) == audit.Answered((), 0, 3, 0)


def place_secret(workspace: WorkspaceFolder) -> bytes:
    workspace.root.mkdir(exist_ok=True)
    return workspace.secret()


def test_a_skip_is_no_answer(workspace: WorkspaceFolder, tmp_path: Path):
    client, now = ScriptedClient(), seen(workspace, tmp_path, [item()])
    audit.push(client, now, SETTINGS, SHOWN, workspace)
    client.answer(1, [], skipped=True)
    assert audit.pull(client, now, SETTINGS, workspace) == audit.Answered((), 0, 0, 0)


def test_foreign_tasks_are_left_out_and_counted(workspace: WorkspaceFolder, tmp_path: Path):
    client, now = ScriptedClient(), seen(workspace, tmp_path, [item()])
    audit.push(client, now, SETTINGS, SHOWN, workspace)
    ours = client.kept[1].data
    odd = [{"text": "a"}, {**ours, "round": "second"}, {**ours, "round": 10**12}, {"round": None}]
    client.add(1, [json.dumps(one).encode() for one in odd])
    for task in list(client.kept):
        choose(client, task, "0", "cat")
    client.answer(1, [{"from_name": "choice", "value": "0"}, "odd"], email="dan@example.org")
    pulled = audit.pull(client, now, SETTINGS, workspace)
    assert (len(pulled.answers), pulled.stale, pulled.foreign) == (1, 0, len(odd))
    tasks, done, _ = audit.status(client, SETTINGS, now[Item], workspace)
    assert (tasks, done) == (1, 1)
    assert audit.push(client, now, SETTINGS, SHOWN, workspace).new == 0


def test_a_missing_project_is_an_error_with_a_fix(workspace: WorkspaceFolder):
    place_secret(workspace)
    with pytest.raises(UserError, match="there is no project") as caught:
        audit.status(ScriptedClient(), SETTINGS, (), workspace)
    assert "egost audit push" in caught.value.fix


# Newcombe (1998), table I: Wilson's interval of 81 of 263 and of 1 of 29.
@pytest.mark.parametrize(
    ("hits", "total", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (1, 29, 0.0061, 0.1718), (0, 20, 0.0, 0.1611)],
)
def test_wilson_equals_published_figures(hits, total, low, high):
    found = wilson(hits, total)
    assert (found.low, found.high) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


@pytest.mark.parametrize(
    ("answers", "wrong"),
    [
        ("0", None), ("0 1", None), ("1", None), ("none none 0", "no option is right"), ("many many", "more than one"),
        ("many", None), ("unsure", None), ("unsure unsure 3", None), ("unsure 3 3", "another option"), ("1 2", None),
        ("1 2 3", None), ("1 1 0 0", None), ("1 1 2 3", None), ("1 1 1 0 0", "another option"), ("1 1 2 none 0", None),
    ],
)  # fmt: skip
def test_a_flaw_needs_two_people_and_a_majority(answers: str, wrong: str | None):
    found = flaw("0", [answer(choice, str(n)) for n, choice in enumerate(answers.split())])
    assert (found is None) == (wrong is None)
    assert wrong is None or wrong in str(found)


def test_a_flawed_item_affects_its_pair_and_its_clip():
    one, half, other = (
        item(0),
        item(1, task="direction_reverse", orientation="reverse"),
        item(2, category="landmark"),
    )
    answers = [answer("none", of=one, created_us=5), answer("none", "b", of=one, created_us=9)]
    reasons = flaws([one, half, other], answers)
    assert list(reasons) == ["i0"]
    aside = pairs_set_aside([one, half, other], reasons)
    assert sorted(aside) == ["i0", "i1"]
    assert "its other half, direction_forward" in aside["i1"]
    assert flawed_clips([one, half, other], answers) == {clip().clip_id: 9}


def test_scripts_never_overrule_people():
    one, written = item(0), item(1, option_kind="model", status="draft")
    scripts = [answer("none", who, one, by="script") for who in ("x", "y", "z")]
    assert flaws([one], scripts).keys() == {"i0"}
    assert flaws([one], [*scripts, answer("0", "a", one)]) == {}
    people_say_no = [answer("none", who, written) for who in "ab"]
    yes = [answer("0", who, written, by="script") for who in ("x", "y", "z")]
    assert confirmed([written], yes) == {"i1"}
    assert confirmed([written], [*yes, *people_say_no]) == set()
    assert "right, say 2 of 2" in flaws([written], [*yes, *people_say_no])["i1"]


def test_an_answer_counts_only_for_the_fingerprint_that_was_answered():
    changed = item(fingerprint="another")
    assert flaws([changed], [answer("none")]) == {}
    assert judged([changed], [answer("none")]).answers == 0


def test_a_model_written_open_item_shows_its_answer_and_needs_two_confirmations(
    workspace: WorkspaceFolder, tmp_path: Path
):
    one = item(
        format="open", option_kind="model", status="draft", options=[], answer_index=None,
        answer_text="past <b>the</b> door", contrast=None, flips=[],
    )  # fmt: skip
    composed = item(7, format="open", options=[], answer_index=None, answer_text="", contrast=None)
    now, client = seen(workspace, tmp_path, [one, composed]), ScriptedClient()
    assert audit.push(client, now, SETTINGS, SHOWN, workspace).new == 1
    shown = client.kept[1].data["choices"]
    assert [(choice["value"], choice["hotkey"]) for choice in shown] == [
        ("0", "1"), ("none", "2"), ("many", "3"), ("unsure", "4"),
    ]  # fmt: skip
    assert shown[0]["html"] == "the answer is: past &lt;b&gt;the&lt;/b&gt; door"
    choose(client, 1, "0", "cat")
    choose(client, 1, "0", "dan")
    answers = audit.pull(client, now, SETTINGS, workspace).answers
    assert confirmed([one], answers[:1]) == set()
    assert confirmed([one], answers) == {"i0"}
    found = judged([one], answers)
    assert (found.accuracy, found.agreement, found.flawed.total) == ({}, None, 1)
    assert "right, say 2 of 2" in flaws([one], [answer("none", "a"), answer("none", "b")])["i0"]


def test_a_model_written_item_needs_two_right_answers():
    one = item(option_kind="model", status="draft")
    assert confirmed([one], [answer("0")]) == set()
    assert confirmed([one], [answer("0"), answer("0", "b")]) == {"i0"}
    assert (
        confirmed([one], [answer("0"), answer("0", "b"), answer("1", "c"), answer("1", "d")])
        == set()
    )
    assert confirmed([item()], [answer("0"), answer("0", "b")]) == set()


def test_the_audit_reports_accuracy_agreement_and_flaws():
    one, other = item(0), item(1)
    answers = [
        answer("0", "a", one),
        answer("0", "b", one),
        answer("1", "a", other),
        answer("2", "b", other),
    ]
    found = judged([one, other], answers)
    assert str(found.accuracy["direction_forward"]).startswith("2 of 4 (50.0%")
    assert found.agreement is not None
    assert found.agreement.percent == 0.5
    assert (found.flawed.hits, found.flawed.total) == (0, 2)


def test_open_items_are_in_neither_part_of_human_accuracy():
    """Twenty questions, each answered right, and twenty open items, whose answer people saw."""
    asked = [item(number, clip_id=f"c{number}") for number in range(20)]
    opened = [
        item(
            100 + number,
            format="open",
            options=[],
            answer_index=None,
            answer_text="",
            contrast=None,
        )
        for number in range(20)
    ]
    answers = [answer("0", of=one) for one in (*asked, *opened)]
    found = judged([*asked, *opened], answers)
    assert (found.overall.hits, found.overall.total, found.answers) == (20, 20, 40)
    assert (accuracy(found)["all"]["right"], accuracy(found)["all"]["answers"]) == (20, 20)
    assert accuracy(judged(opened, answers)) == {}
    assert by_people([*asked, *opened], answers) == {one.item_id: (1, 1) for one in asked}


def test_answers_on_one_clip_are_not_independent():
    """Ten clips with ten answers each: what counts is the ten clips if each is all right or all wrong."""
    alike = {number: [number < 5] * 10 for number in range(10)}
    mixed = {number: [True, False] * 5 for number in range(10)}
    assert clustered(alike) == replace(wilson(50, 100, 9), hits=50, total=100)  # 100 / (100 / 9)
    assert clustered(mixed) == wilson(50, 100)
    assert clustered({"one": [True, False]}) == wilson(1, 2, 1)
    assert clustered({1: [True] * 3, 2: [True]}) == wilson(4, 4)
    assert clustered({}) == wilson(0, 0)


@given(st.lists(st.lists(st.booleans(), min_size=1, max_size=6), min_size=1, max_size=8))
def test_an_interval_by_clips_is_never_narrower_and_holds_the_share(found: list[list[bool]]):
    share, plain = (
        clustered(dict(enumerate(found))),
        wilson(sum(map(sum, found)), sum(map(len, found))),
    )
    assert (share.hits, share.total) == (plain.hits, plain.total)
    assert 0 <= share.low <= share.hits / share.total <= share.high <= 1
    assert share.high - share.low >= plain.high - plain.low - 1e-12


def test_the_share_of_flawed_items_counts_those_that_somebody_could_tell_about():
    items = [item(number, clip_id=f"c{number}") for number in range(4)]
    told = [
        *(answer("none", who, items[0]) for who in "ab"),
        answer("1", "a", items[1]),
        *(answer("unsure", who, items[2]) for who in "ab"),
        answer("0", "a", items[3]),
    ]
    found = judged(items, told)
    assert (found.flawed.hits, found.flawed.total) == (2, 3)
    assert found.doubted == {"i1"}
    assert flaws(items, told).keys() == {"i0"}
