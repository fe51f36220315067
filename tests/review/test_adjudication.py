from pathlib import Path
from typing import Any

import pytest
from walked import clip, draft, rows, steps

from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.rows import Finding, Rejection, Row, Rows
from pipeline.errors import UserError
from pipeline.labelstudio.scripted import ScriptedClient
from pipeline.review import adjudication, review, routepage
from pipeline.review.rows import UNREADABLE, Verdict
from pipeline.review.settings import ReviewSettings
from pipeline.review.verified import DIFFER
from pipeline.routes.rows import Route

SETTINGS = ReviewSettings(agree=2, overlap=2, planted=0)
WALK = steps("straight", "left", "straight", landmark="the <i>door</i>")
OTHER = steps("straight", "right", "straight", landmark="the <i>door</i>")


@pytest.fixture
def workspace(tmp_path: Path) -> WorkspaceFolder:
    return WorkspaceFolder(tmp_path / "workspace")


class Job:
    """One clip on its way through review, with a scripted server."""

    def __init__(self, workspace: WorkspaceFolder, folder: Path) -> None:
        self.folder, self.client = workspace, ScriptedClient()
        self.seen = rows(workspace, folder, [draft(clip(), WALK)], ["walk"])
        self.verdicts: tuple[Verdict, ...] = ()
        review.push(self.client, self.seen, SETTINGS, workspace)

    def answer(self, task: int, who: str, verdict: str, lines: str | None = None) -> None:
        given = [{"from_name": "verdict", "value": {"choices": [verdict]}}]
        if lines is not None:
            given.append({"from_name": "steps", "value": {"text": [lines]}})
        self.client.answer(task, given, email=f"{who}@example.org")

    def pulled(self) -> list[Row]:
        found = review.pull(self.client, (), SETTINGS, self.folder)
        self.verdicts = tuple(one.verdict for one in found)
        return list(
            review.run(
                Rows({Route: self.seen[Route], Verdict: self.verdicts}), SETTINGS, self.folder
            )
        )

    def adjudicate(self, made: list[Row]) -> review.Pushed:
        doubts = tuple(row for row in made if isinstance(row, Finding))
        now = Rows({**self.seen.seen, Verdict: self.verdicts, Finding: doubts})
        return review.adjudicate(self.client, now, SETTINGS, self.folder)

    @property
    def newest(self) -> dict[str, Any]:
        return self.client.kept[max(self.client.kept)].data

    @property
    def right(self) -> str:
        """The letter of the version that turns right."""
        return next(
            letter
            for letter, one in self.newest["versions"].items()
            if any(step["move"] == "right" for step in one["steps"])
        )


@pytest.fixture
def job(workspace: WorkspaceFolder, tmp_path: Path) -> Job:
    """Return a job in which two people disagree about the turn."""
    job = Job(workspace, tmp_path)
    job.answer(1, "ann", "accept")
    job.answer(1, "bob", "corrected", routepage.route.print_lines(OTHER, 0))
    return job


def routes(made: list[Row]) -> list[Route]:
    return [row for row in made if isinstance(row, Route)]


def test_a_disagreement_is_sent_once_with_both_versions_and_no_names(job: Job):
    made = job.pulled()
    assert [row.kind for row in made if isinstance(row, Finding)] == [DIFFER]
    assert job.adjudicate(made).new == 1
    assert job.adjudicate(made).kept == 1
    page = job.newest
    assert sorted(page["versions"]) == ["A", "B"]
    assert "turn left" in page["beside"]
    assert "turn right" in page["beside"]
    assert "&lt;i&gt;door" in page["beside"]
    assert not any(one.annotator in str(page) for one in job.verdicts)


def test_a_clip_that_people_no_longer_dispute_is_not_sent(job: Job):
    made = job.pulled()
    job.verdicts = job.verdicts[:1]  # the other person has been excluded since
    assert job.adjudicate(made).new == 0


def test_the_third_persons_choice_wins(job: Job):
    job.adjudicate(job.pulled())
    job.answer(2, "cat", job.right)
    made = job.pulled()
    (verified,) = routes(made)
    assert verified.steps == list(OTHER)
    assert not [row for row in made if isinstance(row, Finding) and row.kind == DIFFER]
    assert job.adjudicate(made).new == 0


def test_a_third_version_wins_as_well(job: Job):
    job.adjudicate(job.pulled())
    job.answer(2, "cat", "corrected", "0:00.0 go straight\n0:01.0 turn around")
    (verified,) = routes(job.pulled())
    assert [step.move for step in verified.steps] == ["straight", "around"]


def test_a_choice_with_edited_text_is_sent_again(job: Job):
    job.adjudicate(job.pulled())
    job.answer(2, "cat", "A", "0:00.0 turn around")
    made = job.pulled()
    (ruled,) = [one for one in job.verdicts if one.kind == "adjudication"]
    assert ruled.reasons == [UNREADABLE, "version A was chosen, but the text was changed"]
    assert ruled.typed == "0:00.0 turn around"
    assert job.adjudicate(made).reopened == 1


def test_nobody_rules_on_a_clip_that_they_judged(job: Job):
    job.adjudicate(job.pulled())
    job.answer(2, "ann", job.right)
    made = job.pulled()
    assert all("direction" not in one.verified_categories for one in routes(made))
    assert job.adjudicate(made).reopened == 1
    assert job.adjudicate(made).kept == 1


def test_a_rejecting_version_never_fills_the_text_fields(
    workspace: WorkspaceFolder, tmp_path: Path
):
    job = Job(workspace, tmp_path)
    job.answer(1, "ann", "reject")
    job.answer(1, "bob", "accept")
    job.adjudicate(job.pulled())
    assert job.newest["versions"]["B"]["verdict"] == "reject"
    assert job.newest["steps"]
    job.answer(2, "cat", "B")
    made = job.pulled()
    assert routes(made) == []
    assert [row.unit for row in made if isinstance(row, Rejection)] == [clip().clip_id]


def test_two_later_verdicts_outweigh_a_ruling(job: Job):
    job.adjudicate(job.pulled())
    job.answer(2, "cat", job.right)
    for who in ("ann", "bob"):
        job.answer(1, who, "accept")
    (verified,) = routes(job.pulled())
    assert verified.steps == list(WALK)


def test_a_config_without_a_choice_is_refused(monkeypatch, tmp_path):
    path = tmp_path / "adjudicate.xml"
    path.write_text(adjudication.label_config().replace('<Choice value="B"', '<Choice value="C"'))
    monkeypatch.setattr(routepage, "asset", lambda name: path)
    with pytest.raises(UserError, match="verdict has no choice B"):
        adjudication.label_config()


def test_a_description_that_both_versions_share_is_not_shown_twice(job: Job):
    job.adjudicate(job.pulled())
    assert "forward: " not in job.newest["beside"]
    assert "reverse: " not in job.newest["beside"]
    job.client.answer(
        1,
        [
            {"from_name": "verdict", "value": {"choices": ["corrected"]}},
            {"from_name": "steps", "value": {"text": [routepage.route.print_lines(OTHER, 0)]}},
            {"from_name": "forward", "value": {"text": ["Right at the door."]}},
            {"from_name": "reverse", "value": {"text": [job.client.kept[1].data["reverse"]]}},
        ],
        email="bob@example.org",
    )
    job.adjudicate(job.pulled())
    beside = job.newest["beside"]
    assert (beside.count("forward: "), beside.count("reverse: ")) == (2, 0)
