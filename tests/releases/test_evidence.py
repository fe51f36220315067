from pathlib import Path

from small_release import fill, release, small_space

from pipeline.engine.rows import Finding
from pipeline.flow import open_workspace
from pipeline.questions.rows import Item
from pipeline.releases.reading import open_release


def test_what_checks_found_in_the_clip_of_a_mirrored_span_is_marked_as_filmed(
    tmp_path: Path,
) -> None:
    root = tmp_path / "workspace"
    with small_space(root, clips=0):
        pass
    of_clip = "at 0:01.0 the route says turn left, but the camera turned 90 degrees to the right"
    with open_workspace(root, ["compose.mirror=coin"]) as space:
        fill(space, clips=8)
        found = [
            Finding(unit_kind="route", unit=f"c_{number:04d}", kind="motion_contradicts", severity="error", message=of_clip)
            for number in range(8)
        ]  # fmt: skip
        found += [
            Finding(unit_kind="item", unit=item.item_id, kind="overlong", severity="warning", message="an option is long")
            for item in space.store.rows(Item)
        ]  # fmt: skip
        space.store.finish("check", "all", "made up", "done", found)
        evidence = list(open_release(release(space).folder).evidence())
    assert {row.mirrored for row in evidence} == {True, False}
    for row in evidence:
        how = " (as filmed)" if row.mirrored else ""
        assert row.findings == [f"error: {of_clip}{how}", "warning: an option is long"]
