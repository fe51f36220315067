"""Statuses, gates, cards and reports count the same verdicts and mean the same by agreement."""

from pathlib import Path
from typing import Any

import factories
import pytest
from small_release import small_space
from walked import clip, draft, steps

from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.rows import Rows
from pipeline.releases.export import measure
from pipeline.releases.settings import ExportSettings
from pipeline.report.figures import people_plots
from pipeline.review import review
from pipeline.review.counted import Counted
from pipeline.review.facts import named
from pipeline.review.rows import Verdict
from pipeline.review.settings import ReviewSettings
from pipeline.review.vocabulary import vocabulary_of
from pipeline.routes.rows import Route, Step

WALK = steps("left", "right", landmark="the sofa")
OTHER = steps("right", "right", landmark="the sofa")
DRAFT = draft(clip(), WALK)
SETTINGS = ReviewSettings()


def verdict(who: str, walked: list[Step], by: str = "person", **fields: Any) -> Verdict:
    return factories.verdict(
        DRAFT, by, annotator=who, annotation_id=f"{who} {fields}", steps=list(walked), **fields
    )


@pytest.fixture
def folder(tmp_path: Path) -> WorkspaceFolder:
    found = WorkspaceFolder(tmp_path / "workspace")
    found.root.mkdir()
    return found


def routes(folder: WorkspaceFolder, *verdicts: Verdict) -> list[Route]:
    """Return the draft and what review makes of the verdicts on it."""
    made = review.run(Rows({Route: (DRAFT,), Verdict: verdicts}), SETTINGS, folder)
    return [DRAFT, *(row for row in made if isinstance(row, Route))]


def verified_by(folder: WorkspaceFolder, *verdicts: Verdict) -> dict[str, set[str]]:
    counted = Counted.of(verdicts, SETTINGS, folder)
    found = counted.verified_by(routes(folder, *verdicts))
    return {category: set(by) for (_, category), by in found.items()}


def test_a_person_who_disagrees_with_two_scripts_verified_nothing(folder: WorkspaceFolder) -> None:
    found = verified_by(
        folder,
        verdict("one", WALK, "script"),
        verdict("two", WALK, "script"),
        verdict("Ann", OTHER, verdict="corrected"),
    )
    assert found["direction"] == found["route"] == {"script"}
    assert found["landmark"] == {"person", "script"}


def test_people_who_agree_and_who_rule_verified_it(folder: WorkspaceFolder) -> None:
    both = [verdict("Ann", WALK), verdict("Bob", WALK)]
    assert verified_by(folder, *both)["direction"] == {"person"}
    apart = [verdict("Ann", WALK), verdict("Bob", OTHER, verdict="corrected")]
    assert "direction" not in verified_by(folder, *apart)
    ruling = verdict("Cat", WALK, kind="adjudication", created_us=9)
    assert verified_by(folder, *apart, ruling)["direction"] == {"person"}


def test_only_verdicts_on_the_current_draft_count(folder: WorkspaceFolder) -> None:
    verified = routes(folder, verdict("Ann", WALK), verdict("Bob", WALK))
    for void in (
        verdict("Ann", WALK, fingerprint="another"),
        verdict("Ann", WALK, verdict="reject"),
        verdict("Ann", WALK, verdict="skip"),
        verdict("Ann", WALK, kind="gold"),
        verdict("Ann", WALK, kind="planted"),
    ):
        counted = Counted.of([void], SETTINGS, folder)
        assert set(counted.verified_by(verified).values()) == {frozenset()}


def test_an_excluded_person_counts_nowhere(folder: WorkspaceFolder) -> None:
    missed = [
        verdict("hasty", OTHER, kind="planted", clip_id=f"c{number}", fingerprint=f"p{number}")
        for number in range(5)
    ]
    given = [verdict("Ann", WALK), verdict("hasty", OTHER, verdict="corrected"), *missed]
    counted = Counted.of(given, SETTINGS, folder)
    assert counted.excluded == {"hasty"}
    assert counted.agreement() == {}
    assert (
        Counted.of([*given, verdict("Bob", WALK)], SETTINGS, folder)
        .agreement()["direction"]
        .percent
        == 1
    )


def test_scripts_are_not_people_who_agree(folder: WorkspaceFolder) -> None:
    given = [verdict("one", WALK, "script"), verdict("two", WALK, "script"), verdict("Ann", OTHER)]
    assert Counted.of(given, SETTINGS, folder).agreement() == {}


def test_the_gate_and_the_report_resolve_synonyms_as_review_does(tmp_path: Path) -> None:
    """Two people name every landmark differently; with the synonyms known, they agree everywhere."""
    with small_space(tmp_path / "workspace", clips=4) as space:
        drafts = space.store.rows(Route, ["draft"])
        renamed = [
            factories.verdict(
                one,
                annotator="Bob",
                annotation_id=f"b{number}",
                verdict="corrected",
                steps=[
                    step.model_copy(update={"landmark": f"a {step.landmark}"}) for step in one.steps
                ],
            )
            for number, one in enumerate(drafts)
        ]
        space.store.finish("pull", "second", "made up", "done", renamed)
        settings = ExportSettings.model_validate({"blind_points": 100, "min_audited": 0})

        def shown() -> tuple[str, str]:
            found = measure(space.store, settings, SETTINGS).gates
            (gate,) = (gate for gate in found if gate.name == "agreement_of_people")
            verdicts = space.store.rows(Verdict)
            plots = people_plots(verdicts, Counted.of(verdicts, SETTINGS, space.folder))
            (plot,) = (plot.svg for plot in plots if plot.title == "Agreement by category")
            return f"{gate.state} {gate.figure}", plot

        gate, plot = shown()
        assert gate.startswith("failed 0% on 4 clips")
        assert "0 %" in plot
        names = {step.landmark for one in drafts for step in one.steps}
        known = vocabulary_of(space.folder, SETTINGS.log)
        lines = [
            f"landmark,a {name},{named(known, 'landmark', str(name))}\n" for name in sorted(names)
        ]
        path = space.folder.root / "vocabulary.csv"
        path.write_text("kind,said,name\n" + "".join(lines), encoding="utf-8")
        gate, again = shown()
        assert gate.startswith("met 100% on 4 clips")
        assert again != plot
