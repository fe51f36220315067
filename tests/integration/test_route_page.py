"""The route page in a real browser: a config that the server accepts can still show a blank page."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import logged_in
from playwright.sync_api import Page
from walked import clip, draft, project_id, rows, steps

from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.rows import Finding, Rows
from pipeline.labelstudio.client import LabelStudioClient
from pipeline.labelstudio.server import Server
from pipeline.review import review
from pipeline.review.rows import Verdict
from pipeline.review.settings import ReviewSettings
from pipeline.routes.rows import Route

pytestmark = pytest.mark.integration

ARTEFACTS = Path(__file__).parent.parent.parent / "test-artefacts"
FRAMES = 16
OWNED = """the "red" door</textarea><script>document.title='owned'</script>"""
FORWARD = "Walk past <img src=x onerror=\"document.title='owned'\"> the 'red' door & turn left."


@pytest.fixture
def page(server: Server, browser_path: str, tmp_path: Path) -> Iterator[Page]:
    ARTEFACTS.mkdir(exist_ok=True)
    profile = tmp_path / "profile"
    with logged_in(server.url, server.user, server.password, browser_path, profile) as shown:
        yield shown


def test_a_person_corrects_a_route(
    page: Page,
    client: LabelStudioClient,
    server: Server,
    server_place: WorkspaceFolder,
    tmp_path: Path,
):
    settings = ReviewSettings(project="test route page", agree=1, overlap=1, planted=0)
    walked = steps("straight", "left", "straight", landmark=OWNED)
    drafted = draft(clip("seen"), walked, FORWARD, "Turn around first. Walk back.")
    seen = rows(server_place, tmp_path, [drafted], ["seen"], FRAMES)
    review.push(client, seen, settings, server_place)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))

    page.goto(f"{server.url}/projects/{project_id(client, settings.project)}/data?labeling=1")
    lines = page.locator("textarea[name=steps]")
    lines.wait_for()
    _pictures_and_clip(page)
    assert page.title() == "Label Studio"
    assert page.locator("textarea[name=forward]").input_value() == FORWARD
    assert OWNED in lines.input_value()
    assert page.locator("input[type=checkbox]:checked").count() == 0
    _all_in_view(page)
    page.screenshot(path=ARTEFACTS / "route-page.png")

    lines.fill(lines.input_value().replace("turn left", "turn right"))
    page.locator("h4").first.click()  # leave the text field, in which hotkeys don't work
    page.keyboard.press("3")
    page.locator("input[name='person recognisable']").wait_for(state="visible")
    page.keyboard.press("2")
    page.screenshot(path=ARTEFACTS / "route-page-corrected.png")
    _submit(page)

    (found,) = review.pull(client, (), settings, server_place)
    assert found.findings == ()
    assert (found.verdict.verdict, found.verdict.by) == ("corrected", "person")
    assert [step.move for step in found.verdict.steps] == ["straight", "right", "straight"]
    assert [step.start_us for step in found.verdict.steps] == [step.start_us for step in walked]
    assert found.verdict.steps[0].landmark == OWNED
    assert found.verdict.forward_description == FORWARD
    assert found.verdict.fingerprint == seen.one(Route).fingerprint
    assert found.verdict.seconds > 0
    assert errors == []


def test_submitting_without_a_verdict_leaves_the_text_editable_and_a_typo_comes_back_marked(
    page: Page,
    client: LabelStudioClient,
    server: Server,
    server_place: WorkspaceFolder,
    tmp_path: Path,
):
    settings = ReviewSettings(project="test typed work", agree=1, overlap=1, planted=0)
    drafted = draft(clip("typed"), steps("straight", "left", "straight"))
    seen = rows(server_place, tmp_path, [drafted], ["typed"], FRAMES)
    review.push(client, seen, settings, server_place)
    url = f"{server.url}/projects/{project_id(client, settings.project)}/data?labeling=1"
    page.goto(url)
    lines = page.locator("textarea[name=steps]")
    lines.wait_for()
    lines.fill(lines.input_value().replace("turn left", "turn up"))
    page.locator("h4").first.click()
    page.keyboard.press("Control+Enter")
    page.locator("button:has-text('OK')").click()
    page.locator(".steps .lsf-textarea__region").click()
    page.locator(".steps textarea").wait_for()
    page.keyboard.press("Control+End")
    page.keyboard.press("Enter")
    page.keyboard.type("0:02,5 turn rihgt | the lamp")
    page.locator("h4").first.click()
    page.keyboard.press("2")
    _submit(page)

    (found,) = review.pull(client, (), settings, server_place)
    typed = "0:00.0 go straight\n0:01.0 turn up\n0:02.0 go straight\n0:02,5 turn rihgt | the lamp"
    assert (found.verdict.verdict, found.verdict.typed) == ("skip", typed)
    judged = Rows({**seen.seen, Verdict: (found.verdict,)})
    assert review.push(client, judged, settings, server_place).reopened == 1
    page.goto(url)
    lines.wait_for()
    assert lines.input_value() == typed
    page.get_by_text("typed this in round 1").wait_for()
    page.get_by_text("turn up", exact=True).wait_for()
    page.screenshot(path=ARTEFACTS / "route-page-returned.png")
    lines.fill(typed.replace("turn up", "trun right"))
    page.locator("h4").first.click()
    page.keyboard.press("2")
    _submit(page)
    _, again = review.pull(client, [found.verdict], settings, server_place)
    assert [step.move for step in again.verdict.steps] == ["straight", "right", "straight", "right"]
    assert len(again.readings) == 2


def _submit(page: Page) -> None:
    with page.expect_response(
        lambda one: "/annotations" in one.url and one.request.method == "POST"
    ):
        page.keyboard.press("Control+Enter")


NAMES = (
    "die große rot-weiß gestreifte Schranke vor dem Bürogebäude der Universitätsbibliothek",
    "走廊尽头的红色自动售货机和旁边的垃圾桶",
    "باب المصعد الأحمر الكبير",
    OWNED,
)


def test_the_verdict_stays_in_view_beside_a_long_route_in_any_script(
    page: Page,
    client: LabelStudioClient,
    server: Server,
    server_place: WorkspaceFolder,
    tmp_path: Path,
):
    settings = ReviewSettings(project="test long route", agree=1, overlap=1, planted=0)
    moves = ["straight", "left", "straight", "right", "around"] * 6
    walked = tuple(
        step.model_copy(update={"landmark": NAMES[index % len(NAMES)]})
        for index, step in enumerate(steps(*moves))
    )
    drafted = draft(clip("long"), walked, " ".join(NAMES) * 3, " ".join(NAMES) * 3)
    made = rows(server_place, tmp_path, [drafted], ["long"], FRAMES)
    doubts = tuple(
        made.one(Finding).model_copy(
            update={"kind": f"doubt {n}", "message": f"{n} {NAMES[n % 4]}"}
        )
        for n in range(12)
    )
    review.push(client, Rows({**made.seen, Finding: doubts}), settings, server_place)
    page.goto(f"{server.url}/projects/{project_id(client, settings.project)}/data?labeling=1")
    page.locator("textarea[name=steps]").wait_for()
    _pictures_and_clip(page)
    assert page.title() == "Label Studio"
    page.screenshot(path=ARTEFACTS / "route-page-long.png")
    page.locator("h4").first.click()
    for key, shown in (("3", "person recognisable"), ("1", "accept")):
        page.keyboard.press(key)
        page.locator(f"input[name='{shown}']").wait_for(state="visible")
        verdict = page.locator(".egost .verdict").bounding_box()
        bar = page.locator(".lsf-bottombar").bounding_box()
        assert verdict
        assert bar
        assert 400 < verdict["y"] < verdict["y"] + verdict["height"] <= bar["y"]
    _submit(page)
    (found,) = review.pull(client, (), settings, server_place)
    assert (found.verdict.verdict, tuple(found.verdict.steps)) == ("accept", walked)


def _pictures_and_clip(page: Page) -> None:
    """Check that all keyframes and the heading curve are shown, and that the clip plays and seeks."""
    page.wait_for_function(
        "count => [...document.images].filter("
        "one => one.src.includes('local-files') && one.naturalWidth > 0).length === count",
        arg=FRAMES,
    )
    curve = page.locator("svg polyline[points]").bounding_box()
    assert curve
    assert (curve["width"], curve["height"]) > (400, 20)
    page.wait_for_function("document.querySelector('video')?.readyState >= 2")
    assert page.evaluate("document.querySelector('video').duration") == pytest.approx(3.0, abs=0.1)
    page.evaluate("document.querySelector('video').currentTime = 2")
    page.wait_for_function(
        "(video => !video.seeking && Math.abs(video.currentTime - 2) < 0.1)(document.querySelector('video'))"
    )
    page.evaluate("document.querySelector('video').play()")
    page.wait_for_function("document.querySelector('video').currentTime > 2.2")
    page.evaluate("document.querySelector('video').pause()")


def _all_in_view(page: Page) -> None:
    """Check that everything fits at 1440 x 900 without scrolling, and no keyframe is under a text field."""
    bottom = page.evaluate("document.querySelector('.egost').getBoundingClientRect().bottom")
    bar = page.evaluate("document.querySelector('.lsf-bottombar').getBoundingClientRect().top")
    assert bottom <= bar
    frames = page.evaluate(
        "[...document.querySelectorAll('figure')].map(one => one.getBoundingClientRect().right)"
    )
    fields = page.evaluate("document.querySelector('textarea').getBoundingClientRect().left")
    assert len(frames) == FRAMES
    assert max(frames) < fields
