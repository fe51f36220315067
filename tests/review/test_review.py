import json
import re
from pathlib import Path
from typing import Any

import factories
import pytest
from pydantic import ValidationError
from walked import clip, draft, project_id, rows, steps

from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.rows import Finding, Rejection, Rows
from pipeline.errors import UserError
from pipeline.labelstudio.protocol import GoneError
from pipeline.labelstudio.scripted import ScriptedClient
from pipeline.motion.rows import Clip
from pipeline.questions.rows import Item
from pipeline.review import review, routepage
from pipeline.review.agreement import too_few_people
from pipeline.review.rows import UNREADABLE, Answer, Verdict
from pipeline.review.settings import ReviewSettings
from pipeline.review.verdicts import SCRIPTED
from pipeline.routes import motion_draft, route, templates, wording
from pipeline.routes.rows import Route

SETTINGS = ReviewSettings(agree=1, overlap=1, planted=0)
WALK = steps("straight", "left", "straight", landmark="the <b>red</b> door")


@pytest.fixture
def folder(tmp_path: Path) -> WorkspaceFolder:
    """Return a workspace with a fixed secret, so that random draws are reproducible."""
    folder = WorkspaceFolder(tmp_path / "workspace")
    folder.root.mkdir()
    (folder.root / "secret").write_bytes(b"the same every time")
    return folder


@pytest.fixture
def pushed(folder: WorkspaceFolder, tmp_path: Path) -> tuple[ScriptedClient, Rows]:
    client, seen = ScriptedClient(), rows(folder, tmp_path, [draft(clip(), WALK)], ["walk"])
    review.push(client, seen, SETTINGS, folder)
    return client, seen


def result(**given: str | list[str]) -> list[dict[str, Any]]:
    """Return what the page sends for these controls."""
    return [
        {
            "from_name": name,
            "value": {
                "choices" if name in ("verdict", "reasons") else "text": [value]
                if isinstance(value, str)
                else value
            },
        }
        for name, value in given.items()
    ]


def pull(
    client: ScriptedClient, folder: WorkspaceFolder, known: tuple[Verdict, ...] = ()
) -> list[review.Pulled]:
    return list(review.pull(client, known, SETTINGS, folder))


def with_rows(seen: Rows, **changed: Any) -> Rows:
    kinds = {"routes": Route, "verdicts": Verdict, "findings": Finding}
    return Rows({**seen.seen, **{kinds[name]: tuple(value) for name, value in changed.items()}})


def test_push_is_idempotent(pushed, folder):
    client, seen = pushed
    again = review.push(client, seen, SETTINGS, folder)
    assert (again.new, again.updated, again.reopened, again.kept) == (0, 0, 0, 1)
    assert len(client.kept) == 1


@pytest.mark.parametrize(("answered", "stays"), [((), 1), ((1,), 1), ((2,), 2), ((1, 2), None)])
def test_a_duplicate_round_is_removed_by_the_next_push(pushed, folder, answered, stays):
    """This happens if a push is killed and run again before the server has stored its pages."""
    client, seen = pushed
    client.add(1, [json.dumps(client.kept[1].data).encode()])
    for task in answered:
        client.answer(task, result(verdict="accept"))
    for _ in range(2):
        assert review.push(client, seen, SETTINGS, folder).kept == 1
        assert list(client.kept) == ([1, 2] if stays is None else [stays])


def test_doubtful_clips_come_first(folder, tmp_path):
    names = ["calm", "doubted", "unsure"]
    drafts = [
        draft(clip("calm"), WALK),
        draft(clip("doubted"), WALK),
        draft(clip("unsure"), WALK).model_copy(update={"confidence": 0.1}),
    ]
    seen = rows(folder, tmp_path, drafts, names)
    only = [one for one in seen[Finding] if one.unit == clip("doubted").clip_id]
    client = ScriptedClient()
    review.push(client, with_rows(seen, findings=only), SETTINGS, folder)
    order = [task.data["clip_id"] for task in client.kept.values()]
    assert order == [clip(name).clip_id for name in ("doubted", "unsure", "calm")]


def test_external_text_is_escaped(pushed):
    client, _ = pushed
    data = client.kept[1].data
    assert "&lt;script&gt;" in data["findings"]
    assert "<script" not in data["findings"] + data["frames"] + data["answers"] + data["about"]


def test_a_page_lists_the_facts_that_follow_from_the_steps_and_not_what_is_asked(folder, tmp_path):
    walked = [
        *steps("straight", "left", "around", "right", landmark="The <red> door."),
        steps("straight", landmark="bench")[0],
        steps("straight", landmark="the  <red> door")[0].model_copy(update={"action": "opens it"}),
    ]
    client = ScriptedClient()
    seen = rows(folder, tmp_path, [draft(clip(), walked)], ["walk"])
    review.push(client, seen, SETTINGS, folder)
    shown = re.sub(r"</?(table|tr|td)[^>]*>", "|", client.kept[1].data["answers"])
    assert [cell for cell in shown.split("|") if cell] == [
        *("turns", "1 left (0:00.8), 2 right (0:02.3)"),
        *("landmarks", "the &lt;red&gt; door -&gt; bench -&gt; the &lt;red&gt; door"),
        *("actions", "opens it"),
        *(
            "repeated",
            "the &lt;red&gt; door: not asked about where its part of the clip has it twice",
        ),
        *("items", "ask about the sides of turns and the order of two landmarks or two actions"),
    ]


def test_a_changed_draft_updates_a_task_that_nobody_answered(pushed, folder):
    client, seen = pushed
    other = draft(clip(), steps("straight", "right"))
    done = review.push(client, with_rows(seen, routes=[other]), SETTINGS, folder)
    assert (done.updated, done.new) == (1, 0)
    assert client.kept[1].data["fingerprint"] == other.fingerprint
    assert client.kept[1].data["round"] == 1


def test_a_changed_draft_opens_a_new_round_once_somebody_answered(pushed, folder):
    client, seen = pushed
    client.answer(1, result(verdict="accept"))
    other = with_rows(seen, routes=[draft(clip(), steps("straight", "right"))])
    assert review.push(client, other, SETTINGS, folder).reopened == 1
    assert review.push(client, other, SETTINGS, folder).kept == 1
    assert [task.data["round"] for task in client.kept.values()] == [1, 2]


def test_accept_returns_the_draft(pushed, folder):
    client, seen = pushed
    untouched = client.kept[1].data["steps"]
    client.answer(1, result(verdict="accept", steps=untouched, forward="Walk.", reverse="Go back."))
    (found,) = pull(client, folder)
    assert found.verdict.verdict == "accept"
    assert tuple(found.verdict.steps) == WALK
    assert found.verdict.fingerprint == seen.one(Route).fingerprint
    assert (found.verdict.by, found.verdict.round, found.verdict.seconds) == ("person", 1, 30.0)


def test_an_edited_line_keeps_exact_times(pushed, folder):
    client, _ = pushed
    lines = client.kept[1].data["steps"].replace("turn left", "turn right")
    client.answer(1, result(verdict="corrected", steps=lines))
    (found,) = pull(client, folder)
    assert [step.move for step in found.verdict.steps] == ["straight", "right", "straight"]
    assert [step.start_us for step in found.verdict.steps] == [step.start_us for step in WALK]


def test_accept_with_an_edit_is_a_correction(pushed, folder):
    client, _ = pushed
    client.answer(1, result(verdict="accept", forward="Walk on."))
    assert pull(client, folder)[0].verdict.verdict == "corrected"


@pytest.mark.parametrize(
    ("given", "says", "shown"),
    [
        (
            result(verdict="corrected", steps="0:00.0 go straight\n0:01.0 turn up"),
            "line 2, column 8",
            "the marked steps could not be read",
        ),
        (result(verdict="corrected"), "nothing was changed", "nothing was changed"),
        (result(note="hm"), "no verdict was chosen", "no verdict was chosen"),
    ],
)
def test_an_unusable_verdict_is_sent_again(pushed, folder, given, says, shown):
    client, seen = pushed
    client.answer(1, given)
    (found,) = pull(client, folder)
    assert (found.verdict.verdict, found.verdict.steps) == ("skip", [])
    assert says in found.findings[0].message
    after = with_rows(seen, verdicts=[found.verdict], findings=[*seen[Finding], *found.findings])
    assert review.push(client, after, SETTINGS, folder).reopened == 1
    assert shown in client.kept[2].data["findings"]
    assert review.push(client, after, SETTINGS, folder).reopened == 0


def test_a_rejection_carries_its_reasons(pushed, folder):
    client, _ = pushed
    client.answer(1, result(verdict="reject", reasons=["no walk", "other"], note="a <dog>"))
    verdict = pull(client, folder)[0].verdict
    assert (verdict.verdict, verdict.reasons) == ("reject", ["no walk", "other", "note: a <dog>"])


def test_a_skip_does_not_count(pushed, folder):
    client, seen = pushed
    client.answer(1, [], skipped=True)
    (found,) = pull(client, folder)
    assert (found.verdict.verdict, found.findings) == ("skip", ())
    assert verified(seen.one(Clip), seen[Route], [found.verdict], folder) == []
    assert UNREADABLE not in found.verdict.reasons


def test_pull_fetches_new_annotations_and_an_edit_keeps_its_row(pushed, folder):
    client, _ = pushed
    client.answer(1, result(verdict="accept"))
    first = pull(client, folder)
    assert pull(client, folder, (first[0].verdict,)) == first
    client.clock_us += 3_600_000_000
    client.answer(1, result(verdict="reject"))
    (later,) = pull(client, folder, (first[0].verdict,))
    assert later.annotation_id == first[0].annotation_id
    assert later.verdict.verdict == "reject"


def test_annotators_are_pseudonyms_and_scripts_are_named(pushed, folder):
    client, _ = pushed
    client.answer(1, result(verdict="accept"), email="Ann@example.org")
    client.answer(1, result(verdict="accept"), email=f"careful{SCRIPTED}")
    person, script = (found.verdict for found in pull(client, folder))
    assert (person.by, script.by) == ("person", "script")
    assert person.annotator != script.annotator
    assert "ann" not in person.annotator.removeprefix("a-").casefold().split("@")
    assert "example" not in person.model_dump_json()


def verdict(
    kind: str, walked=WALK, *, who: str = "a", at: int = 1, fingerprint: str = ""
) -> Verdict:
    return Verdict.model_validate(
        {
            "clip_id": clip().clip_id,
            "fingerprint": fingerprint or draft(clip(), WALK).fingerprint,
            "round": 1,
            "annotator": who,
            "verdict": kind,
            "reasons": [],
            "steps": list(walked),
            "forward_description": "Walk.",
            "reverse_description": "Go back.",
            "seconds": 1.0,
            "guideline_version": "1.0",
            "created_us": at,
            "annotation_id": f"{who}{at}",
            "kind": "real",
            "by": "person",
        }
    )


def verified(one: Clip, routes, verdicts, folder: WorkspaceFolder, agree: int = 1) -> list[Any]:
    seen = Rows({Clip: (one,), Route: tuple(routes), Verdict: tuple(verdicts)})
    return list(review.run(seen, ReviewSettings(agree=agree), folder))


def test_one_correction_verifies_and_changes_the_fingerprint(folder):
    told = draft(clip(), WALK)
    right = steps("straight", "right", "straight")
    said = verdict("corrected", right).model_copy(
        update={"forward_description": "Right.", "reverse_description": "Left."}
    )
    (made,) = verified(clip(), [told], [said], folder)
    assert (made.origin, tuple(made.steps)) == ("verified", right)
    assert made.verified_categories == ["route", "direction", "landmark", "action"]
    assert made.fingerprint == route.fingerprint(right, "Right.", "Left.") != told.fingerprint


def test_a_lone_correction_is_used_at_once_and_verifies_nothing(folder):
    told, right = draft(clip(), WALK), steps("straight", "right", "straight")
    made = verified(clip(), [told], [verdict("corrected", right)], folder, agree=2)
    (used,) = (row for row in made if isinstance(row, Route))
    assert (tuple(used.steps), used.verified_categories) == (right, [])
    accepted = verified(clip(), [told], [verdict("accept")], folder, agree=2)
    assert [row for row in accepted if isinstance(row, Route)] == []
    elsewhere = steps("straight", "right", "straight", landmark="the bin")
    differing = [verdict("corrected", right), verdict("corrected", elsewhere, who="b")]
    (agreed,) = (
        row for row in verified(clip(), [told], differing, folder, 2) if isinstance(row, Route)
    )
    assert "landmark" not in agreed.verified_categories


def test_a_verdict_counts_only_for_its_fingerprint(folder):
    told = draft(clip(), WALK)
    assert verified(clip(), [told], [verdict("accept", fingerprint="another")], folder) == []


def test_a_rejection_leaves_no_verified_route(folder):
    made = verified(clip(), [draft(clip(), WALK)], [verdict("reject", ())], folder)
    assert [type(row) for row in made] == [Finding, Rejection]


def test_a_persons_newest_verdict_counts(folder):
    told = draft(clip(), WALK)
    made = verified(clip(), [told], [verdict("reject", (), at=1), verdict("accept", at=2)], folder)
    assert [row.origin for row in made] == ["verified"]


def test_two_must_agree_by_category(folder):
    told = draft(clip(), WALK)
    bare = steps("straight", "left", "straight")
    both = [verdict("accept", who="a"), verdict("corrected", bare, who="b", at=2)]
    assert verified(clip(), [told], both[:1], folder, agree=2) == []
    made, doubt = verified(clip(), [told], both, folder, agree=2)
    assert made.verified_categories == ["direction", "action"]
    assert doubt.message == "people disagree on: route, landmark"


def test_a_config_without_a_control_is_refused(monkeypatch, tmp_path):
    path = tmp_path / "route.xml"
    text = routepage.label_config()
    path.write_text(text.replace('name="steps"', 'name="lines"'))
    monkeypatch.setattr(routepage, "asset", lambda name: path)
    with pytest.raises(UserError, match="no control is named steps"):
        routepage.label_config()


def test_a_config_with_an_unknown_field_is_refused_before_anything_is_sent(
    monkeypatch, folder, tmp_path
):
    path = tmp_path / "route.xml"
    path.write_text(routepage.label_config().replace('"$findings"', '"$fndings"'))
    guidelines = routepage.asset("annotations/guidelines.md")
    monkeypatch.setattr(
        routepage, "asset", lambda name: path if name.endswith(".xml") else guidelines
    )
    client, seen = ScriptedClient(), rows(folder, tmp_path, [draft(clip(), WALK)], ["walk"])
    with pytest.raises(UserError, match=r"shows \$fndings, which its tasks don't have"):
        review.push(client, seen, SETTINGS, folder)
    assert client.kept == {}


def test_a_clip_without_its_video_is_rejected(folder, tmp_path):
    seen = rows(folder, tmp_path, [draft(clip(), WALK)], ["walk"])
    (tmp_path / "walk.mp4").unlink()
    done = review.push(ScriptedClient(), seen, SETTINGS, folder)
    assert (done.new, [one.unit for one in done.rejected]) == (0, [clip().clip_id])


def test_status_counts_tasks_and_people(pushed, folder):
    client, _ = pushed
    assert review.status(client, SETTINGS, folder).waiting == 1
    client.answer(1, result(verdict="accept"))
    found = review.status(client, SETTINGS, folder)
    assert (found.tasks, found.done, found.waiting) == (1, 1, 0)
    assert list(found.annotators.values()) == [1]


def test_pull_without_a_project_is_an_error_with_a_fix(folder):
    with pytest.raises(UserError, match="review push"):
        list(review.pull(ScriptedClient(), (), SETTINGS, folder))


def planting(share: float) -> ReviewSettings:
    return ReviewSettings(agree=1, overlap=1, planted=share)


def test_planted_tasks_flip_one_turn_and_look_like_any_other(folder, tmp_path):
    names = [f"walk {number}" for number in range(6)]
    seen = rows(folder, tmp_path, [draft(clip(name), WALK) for name in names], names, frames=1)
    client = ScriptedClient()
    done = review.push(client, seen, planting(0.5), folder)
    assert 6 < done.new < 12
    assert review.push(client, seen, planting(0.5), folder).kept == done.new
    wrong = [task for task in client.kept.values() if "turn right" in task.data["steps"]]
    assert len(wrong) == done.new - 6
    assert {frozenset(task.data) for task in client.kept.values()} == {frozenset(wrong[0].data)}
    assert "planted" not in str(wrong[0].data)


def test_a_planted_task_never_verifies_and_reveals_who_only_clicks_accept(folder, tmp_path):
    seen = rows(folder, tmp_path, [draft(clip(str(n)), WALK) for n in range(6)], list("012345"), 1)
    client = ScriptedClient()
    review.push(client, seen, planting(0.5), folder)
    for number, task in list(client.kept.items()):
        client.answer(number, result(verdict="accept"), email="hasty@example.org", seconds=3)
        lines = task.data["steps"].replace("turn right", "turn left")
        kind = "accept" if lines == task.data["steps"] else "corrected"
        client.answer(number, result(verdict=kind, steps=lines), email="careful@example.org")
    found = [one.verdict for one in pull(client, folder)]
    planted = [one for one in found if one.kind == "planted"]
    assert planted
    assert not [one for one in planted if one.fingerprint == draft(clip(), WALK).fingerprint]
    told = review.status(client, SETTINGS, folder, found)
    hasty, careful = sorted(told.people.values(), key=lambda one: one.median_seconds)
    assert (hasty.caught, careful.caught) == (0, careful.planted)
    assert careful.planted == hasty.planted == len(planted) / 2
    assert told.hours_left == 0


def test_another_workspaces_tasks_are_not_touched(pushed, folder, tmp_path):
    client, seen = pushed
    other = WorkspaceFolder(tmp_path / "other")
    other.media.mkdir(parents=True)
    client.answer(1, result(verdict="accept"))
    client.made.clear()
    assert review.push(client, seen, SETTINGS, other).new == 1
    client.home[1] = 1  # as when projects were known by their titles alone
    before = client.kept[1]
    assert review.push(client, seen, SETTINGS, other).kept == 1
    assert client.kept[1] == before
    assert list(review.pull(client, (), SETTINGS, other)) == [review.Foreign(1, 1)]


ODD = [
    {"round": "first"},
    {"round": None},
    {"round": [1]},
    {"draft_steps": "0:00.0 go straight"},
    {"steps": None},
    {"start_us": "soon"},
    {"uid": None},
    {"clip_id": 3},
]


def test_foreign_tasks_are_left_out_and_counted(pushed, folder):
    client, seen = pushed
    ours = client.kept[1].data
    pages = [{"text": "a", "round": "x"}, {}, *({**ours, **odd} for odd in ODD)]
    client.add(1, [json.dumps(page).encode() for page in pages])
    for task in list(client.kept):
        client.answer(task, result(verdict="accept"))
    found = pull(client, folder)
    (mine,) = [one for one in found if not isinstance(one, review.Foreign)]
    assert mine.verdict.verdict == "accept"
    assert [one.task for one in found if isinstance(one, review.Foreign)] == [*range(2, 12)]
    told = review.status(client, SETTINGS, folder)
    assert (told.tasks, told.foreign) == (1, len(pages))
    assert review.push(client, seen, SETTINGS, folder).kept == 1


@pytest.mark.parametrize("odd", ["text", {"from_name": "steps"}, {"value": "a"}, None, 3])
def test_an_odd_result_does_not_stop_a_pull(pushed, folder, odd):
    client, _ = pushed
    client.answer(1, [odd, *result(verdict="accept"), {"from_name": "x", "value": {"text": [1]}}])
    assert pull(client, folder)[0].verdict.verdict == "accept"


def test_a_task_deleted_meanwhile_does_not_stop_a_push(folder, tmp_path, monkeypatch):
    names = ["one", "two"]
    seen = rows(folder, tmp_path, [draft(clip(name), WALK) for name in names], names)
    client = ScriptedClient()
    review.push(client, seen, SETTINGS, folder)
    change = client.change

    def gone(task: int, data: dict[str, Any]) -> None:
        if task == 1:
            raise GoneError("server: task 1", "doesn't exist (any more)", "push")
        change(task, data)

    monkeypatch.setattr(client, "change", gone)
    others = with_rows(seen, routes=[draft(clip(name), steps("around")) for name in names])
    done = review.push(client, others, SETTINGS, folder)
    assert "was deleted on the server" in done.rejected[0].what
    assert "turn around" in client.kept[2].data["steps"]


def test_after_losing_the_server_nobody_is_asked_twice(pushed, folder):
    client, seen = pushed
    client.answer(1, result(verdict="accept"))
    (found,) = pull(client, folder)
    known = with_rows(seen, verdicts=[found.verdict])
    assert review.push(ScriptedClient(), known, SETTINGS, folder).kept == 1
    changed = with_rows(known, routes=[draft(clip(), steps("around"))])
    fresh = ScriptedClient()
    assert review.push(fresh, changed, SETTINGS, folder).reopened == 1
    assert fresh.kept[1].data["round"] == 2


def test_a_templates_description_follows_the_corrected_steps(folder):
    describe = templates.load("describe.j2")

    def told(walked):
        return [
            motion_draft.describe_steps(describe, walked, way, wording.load("en"))
            for way in ("forward", "reverse")
        ]

    right = steps("straight", "right", "straight")
    drafted = draft(clip(), WALK, *told(WALK))
    said = verdict("corrected", right, fingerprint=drafted.fingerprint).model_copy(
        update=dict(zip(("forward_description", "reverse_description"), told(WALK), strict=True))
    )
    (made,) = verified(clip(), [drafted], [said], folder)
    assert [made.forward_description, made.reverse_description] == told(right)
    assert "route" in made.verified_categories


def test_a_models_description_of_the_old_steps_verifies_no_route_items(folder):
    right = steps("straight", "right", "straight")
    drafted = draft(clip(), WALK).model_copy(update={"provider": "openai", "model": "m"})
    doubt, made = verified(clip(), [drafted], [verdict("corrected", right)], folder)
    assert doubt.kind == "description_stale"
    assert made.verified_categories == ["direction", "landmark", "action"]


def test_annotators_who_miss_planted_errors_are_excluded_and_their_clips_reopen(folder, tmp_path):
    names = list("012345")
    seen = rows(folder, tmp_path, [draft(clip(name), WALK) for name in names], names, 1)
    settings = ReviewSettings(agree=1, overlap=1, planted=1)
    client = ScriptedClient()
    assert review.push(client, seen, settings, folder).new == 12
    for number in list(client.kept):
        client.answer(number, result(verdict="accept"), email="hasty@example.org")
    found = [one.verdict for one in pull(client, folder)]
    told = review.status(client, settings, folder, found)
    assert told.excluded == set(told.people)
    judged = with_rows(seen, verdicts=found)
    assert list(review.run(judged, settings, folder)) == []
    assert review.push(client, judged, settings, folder).reopened == 6
    assert review.push(client, judged, settings, folder).reopened == 0
    patient = settings.model_copy(update={"min_known": 7})
    assert len(list(review.run(judged, patient, folder))) == 6
    assert review.push(client, judged, patient, folder).reopened == 0


def test_gold_clips_go_to_everybody_and_verify_nothing(folder, tmp_path):
    names = ["known", "other"]
    seen = rows(folder, tmp_path, [draft(clip(name), WALK) for name in names], names, 1)
    gold = tmp_path / "gold.jsonl"
    gold.write_text(f'{{"clip_id": "{clip("known").clip_id}", "steps": "0:00.0 turn around"}}')
    settings = SETTINGS.model_copy(update={"gold": str(gold), "min_known": 1})
    client = ScriptedClient()
    assert review.push(client, seen, settings, folder).new == 3
    assert review.push(client, seen, settings, folder).kept == 3
    (known,) = client.tasks(project_id(client, settings.gold_project))
    client.answer(known.id, result(verdict="accept"))
    (found,) = review.pull(client, (), settings, folder)
    assert found.verdict.kind == "gold"
    told = review.status(client, settings, folder, [found.verdict])
    ((name, one),) = told.people.items()
    assert (one.gold, one.right, told.excluded) == (1, 0, {name})
    judged = with_rows(seen, verdicts=[found.verdict])
    assert list(review.run(judged, settings, folder)) == []


def test_a_clip_with_a_flawed_item_is_sent_once_more(pushed, folder):
    client, seen = pushed
    client.answer(1, result(verdict="accept"))
    (found,) = pull(client, folder)
    late = found.verdict.created_us + 1
    one = factories.item(item_id="i", clip_id=clip().clip_id, fingerprint="f")
    said = Answer(
        item_id="i", fingerprint="f", annotator="c", choice="none", seconds=1.0, created_us=late,
        annotation_id="x", by="person",
    )  # fmt: skip
    second = said.model_copy(update={"annotator": "d", "annotation_id": "y"})
    now = with_rows(seen, verdicts=[found.verdict])
    doubted = Rows({**now.seen, Item: (one,), Answer: (said,)})
    flawed = Rows({**now.seen, Item: (one,), Answer: (said, second)})
    assert review.push(client, now, SETTINGS, folder).reopened == 0
    assert review.push(client, doubted, SETTINGS, folder).reopened == 0
    assert review.push(client, flawed, SETTINGS, folder).reopened == 1
    assert review.push(client, flawed, SETTINGS, folder).kept == 1
    client.answer(2, result(verdict="accept"))
    both = Rows({**flawed.seen, Verdict: tuple(one.verdict for one in pull(client, folder))})
    assert review.push(client, both, SETTINGS, folder).kept == 1


def test_every_image_of_the_guidelines_exists():
    guidelines = routepage.asset("annotations/guidelines.md")
    named = re.findall(r"\]\((images/[^)]+)\)", guidelines.read_text(encoding="utf-8"))
    there = sorted(path.name for path in (guidelines.parent / "images").iterdir())
    assert sorted(Path(name).name for name in named) == there
    assert len(there) >= 3


def test_two_people_by_default_and_overlap_below_agree_is_refused():
    assert (ReviewSettings().agree, ReviewSettings().overlap, ReviewSettings().planted) == (
        2,
        2,
        0.05,
    )
    with pytest.raises(ValidationError, match=r"1 is less than review.agree = 2"):
        ReviewSettings(overlap=1)
    with pytest.raises(ValidationError, match=r"2 is less than review.agree = 3"):
        ReviewSettings(agree=3)


def test_people_who_work_alone_get_advice():
    told = too_few_people([verdict("accept"), verdict("skip", who="b")], 2)
    assert "set review.agree = 1 and review.overlap = 1" in str(told)
    assert too_few_people([], 2) is None
    both = [verdict("accept"), verdict("accept", who="b")]
    assert too_few_people(both, 2) is None
    assert too_few_people(both[:1], 1) is None
