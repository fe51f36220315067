"""What people typed is kept, listed and shown again, whatever was wrong with it."""

from pathlib import Path
from typing import Any

import pytest
from walked import clip, draft, rows, steps

from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.rows import Finding, Rows
from pipeline.labelstudio.protocol import Unsubmitted
from pipeline.labelstudio.scripted import ScriptedClient
from pipeline.review import review
from pipeline.review.rows import Verdict
from pipeline.review.settings import ReviewSettings
from pipeline.review.spans import judged_clips
from pipeline.review.verdicts import Pulled
from pipeline.routes.rows import Route

SETTINGS = ReviewSettings(agree=1, overlap=1, planted=0)
WALK = steps("straight", "left", "straight")
TYPED = "0:00.0 go straight | a <b>shop</b>\n0:01.0 trun | the door\n0:02.0 go straight"
RIGHT = TYPED.replace("trun", "turn right")


class Job:
    """A pushed clip; `verdicts` are all that were pulled."""

    def __init__(self, folder: WorkspaceFolder, tmp_path: Path) -> None:
        self.folder, self.client = folder, ScriptedClient()
        self.seen = rows(folder, tmp_path, [draft(clip(), WALK)], ["walk"])
        self.verdicts: dict[str, Verdict] = {}
        self.findings: dict[str, tuple[Finding, ...]] = {"": self.seen[Finding]}
        self.push()

    def push(self) -> int:
        found = tuple(one for some in self.findings.values() for one in some)
        verdicts = tuple(self.verdicts.values())
        now = Rows({**self.seen.seen, Verdict: verdicts, Finding: found})
        return review.push(self.client, now, SETTINGS, self.folder).reopened

    def answer(self, task: int, *, who: str = "ann", skipped: bool = False, **given: str) -> Pulled:
        """Return what is pulled after a person has sent these values."""
        result = [
            {
                "from_name": name,
                "value": {"choices" if name == "verdict" else "text": [value]},
            }
            for name, value in given.items()
        ]
        self.client.answer(task, result, email=f"{who}@example.org", skipped=skipped)
        for one in review.pull(self.client, (), SETTINGS, self.folder):
            assert isinstance(one, Pulled)
            self.verdicts[one.annotation_id] = one.verdict
            self.findings[one.annotation_id] = one.findings
        return one

    def data(self, task: int) -> dict[str, Any]:
        return self.client.kept[task].data

    def unused(self) -> tuple[str, ...]:
        return review.status(
            self.client, SETTINGS, self.folder, list(self.verdicts.values())
        ).unused


@pytest.fixture
def job(tmp_path: Path) -> Job:
    folder = WorkspaceFolder(tmp_path / "workspace")
    folder.root.mkdir()
    return Job(folder, tmp_path)


def test_an_unreadable_line_is_kept_listed_and_shown_again_with_the_mistake_marked(job: Job):
    verdict = job.answer(1, verdict="corrected", steps=TYPED, forward="Past a shop.").verdict
    assert (verdict.verdict, verdict.typed, verdict.steps) == ("skip", TYPED, [])
    assert job.push() == 1
    page = job.data(2)
    assert (page["steps"], page["forward"], page["reverse"]) == (TYPED, "Past a shop.", "Go back.")
    box = page["findings"]
    assert '0:01.0 <span style="background:#ffd7d2;text-decoration:underline wavy' in box
    assert ">trun </span>| the door" in box
    assert "a &lt;b&gt;shop&lt;/b&gt;" in box
    assert verdict.annotator in box
    (line,) = job.unused()
    assert f"clip {verdict.clip_id}, {verdict.annotator}, round 1" in line
    assert "line 2, column 8: expected go straight" in line
    assert job.push() == 0


def test_what_is_wrong_is_said_once_and_only_until_it_is_corrected(job: Job):
    job.answer(1, verdict="corrected", steps=TYPED)
    job.push()
    assert job.data(2)["findings"].count("expected go straight") == 1
    assert "typed this in round 1" in job.data(2)["findings"]
    job.answer(2, verdict="corrected")
    job.answer(1, verdict="corrected", steps=RIGHT)
    job.push()
    assert job.data(3)["findings"] == job.data(1)["findings"]


def test_a_correction_that_changes_nothing_is_explained_on_the_next_page(job: Job):
    job.answer(1, verdict="corrected", steps=job.data(1)["steps"])
    assert job.push() == 1
    page = job.data(2)
    assert "judged this clip in round 1" in page["findings"]
    assert page["findings"].count("but nothing was changed") == 1
    assert page["steps"] == job.data(1)["steps"]


def test_the_corrected_text_of_the_next_round_counts(job: Job):
    job.answer(1, verdict="corrected", steps=TYPED)
    job.push()
    verdict = job.answer(2, verdict="accept", steps=RIGHT).verdict
    assert (verdict.verdict, verdict.typed) == ("corrected", "")
    assert [step.move for step in verdict.steps] == ["straight", "right", "straight"]
    assert verdict.fingerprint == job.seen.one(Route).fingerprint
    assert job.unused() == ()
    assert job.push() == 0


def test_text_shown_again_is_an_edit_even_if_it_is_left_as_it_is(job: Job):
    job.answer(1, steps=RIGHT, note="which verdict?")
    assert job.push() == 1
    assert job.data(2)["steps"] == RIGHT
    verdict = job.answer(2, verdict="accept").verdict
    assert (verdict.verdict, verdict.steps[1].move) == ("corrected", "right")


def test_an_edited_annotation_replaces_what_was_unreadable(job: Job):
    job.answer(1, verdict="corrected", steps=TYPED)
    job.push()
    job.answer(1, verdict="corrected", steps=RIGHT)
    assert job.unused() == ()
    job.push()
    assert job.data(2)["steps"] == job.data(1)["steps"]


@pytest.mark.parametrize(
    ("emptied", "wrong"),
    [
        ("steps", "there are no steps"),
        ("forward", "there is no forward description any more"),
    ],
)
def test_a_text_that_was_emptied_is_not_taken_for_one_left_as_it_is(
    job: Job, emptied: str, wrong: str
):
    # The page sends all texts except empty ones.
    texts = {name: job.data(1)[name] for name in ("steps", "forward", "reverse") if name != emptied}
    verdict = job.answer(1, verdict="accept", **texts).verdict
    assert verdict.verdict == "skip"
    assert wrong in job.unused()[0]
    assert job.push() == 1
    assert job.data(2)[emptied] == job.data(1)[emptied]
    assert wrong in job.data(2)["findings"]
    assert job.answer(2, verdict="accept").verdict.verdict == "accept"


def test_a_close_reading_counts_is_reported_and_what_was_typed_is_kept(job: Job):
    typed = "0:00,0 go straight\n0:01.0 turn rihgt\n0:02.0 go straight"
    pulled = job.answer(1, verdict="corrected", steps=typed)
    assert (pulled.verdict.verdict, pulled.verdict.typed) == ("corrected", typed)
    assert [step.move for step in pulled.verdict.steps] == ["straight", "right", "straight"]
    assert [step.start_us for step in pulled.verdict.steps] == [step.start_us for step in WALK]
    assert [str(one) for one in pulled.readings] == [
        "line 1: '0:00,0 go straight' was read as '0:00.0 go straight'",
        "line 2: '0:01.0 turn rihgt' was read as '0:01.0 turn right'",
    ]
    assert job.push() == 0


def test_a_skip_keeps_the_note_and_everything_typed(job: Job):
    verdict = job.answer(
        1, skipped=True, note="too dark", steps=TYPED, forward="F.", reverse="R."
    ).verdict
    assert (verdict.verdict, verdict.reasons) == ("skip", ["note: too dark"])
    texts = (verdict.typed, verdict.forward_description, verdict.reverse_description)
    assert texts == (TYPED, "F.", "R.")
    assert "skipped, but steps were typed" in job.unused()[0]
    assert job.push() == 0


def test_a_rejection_keeps_the_steps_that_were_typed(job: Job):
    verdict = job.answer(1, verdict="reject", steps=TYPED).verdict
    assert (verdict.verdict, verdict.typed) == ("reject", TYPED)
    assert job.unused() == ()


def test_a_later_skip_leaves_a_persons_verdict_in_place(job: Job):
    job.answer(1, verdict="corrected", steps=RIGHT)
    job.client.given[2] = job.client.given[1].__class__(
        **{**vars(job.client.given[1]), "id": 2, "skipped": True, "updated_us": 10**16}
    )
    pulled = [one.verdict for one in review.pull(job.client, (), SETTINGS, job.folder)]
    assert sorted(one.verdict for one in pulled) == ["corrected", "skip"]


def test_two_peoples_unreadable_texts_are_both_shown(job: Job):
    job.answer(1, who="ann", verdict="corrected", steps=TYPED)
    job.answer(1, who="bob", verdict="corrected", steps=TYPED.replace("shop", "bank"))
    job.push()
    page = job.data(2)
    assert "bank" in page["steps"]
    assert "a &lt;b&gt;shop" in page["findings"]
    assert page["findings"].count("typed this in round 1") == 2


def test_unreadable_work_keeps_its_clip_and_its_draft(job: Job):
    verdict = job.answer(1, verdict="corrected", steps=TYPED).verdict
    assert judged_clips([verdict]) == {verdict.clip_id}
    skip = job.answer(1, skipped=True).verdict
    assert judged_clips([skip]) == set()


def test_work_that_is_not_submitted_is_reported_and_its_task_is_not_removed(job: Job):
    task = job.client.kept[1]
    begun = task.__class__(2, task.data, 0, 0)
    job.client.kept[2], job.client.home[2] = begun, 1
    job.client.drafts.append(Unsubmitted(begun, "ann@example.org"))
    job.push()
    assert 2 in job.client.kept
    (line,) = review.outside(job.client, SETTINGS, job.folder)
    assert line.startswith(f"clip {clip().clip_id}: a-")
    assert "not submitted" in line


def test_pages_without_returned_work_are_as_before(job: Job):
    assert "draft_texts" not in job.data(1)
    assert job.data(1)["findings"].startswith("<ul")
    assert len(job.seen[Finding]) == 1
