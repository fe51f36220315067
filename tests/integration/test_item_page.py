"""The pages of the audit and of adjudication in a real browser, answered by hotkey."""

from collections.abc import Iterator
from html import unescape
from pathlib import Path

import factories
import pytest
from browser import logged_in
from playwright.sync_api import Page
from walked import clip, draft, project_id, rows, steps

from pipeline.demo import reviewers
from pipeline.demo.reviewers import Truth
from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.rows import Finding, Rows
from pipeline.errors import UserError
from pipeline.labelstudio import accounts
from pipeline.labelstudio.client import LabelStudioClient
from pipeline.labelstudio.server import Server
from pipeline.motion.rows import Frame
from pipeline.questions import audited
from pipeline.questions.rows import Item, Span
from pipeline.review import audit, review
from pipeline.review.audit import MediaAccess
from pipeline.review.rows import Answer, Verdict
from pipeline.review.settings import AuditSettings, ReviewSettings
from pipeline.routes.rows import Route
from pipeline.video.reviewclip import Form

pytestmark = pytest.mark.integration

ARTEFACTS = Path(__file__).parent.parent.parent / "test-artefacts"
FRAMES = 16
BAR_IS_LEFT = """() => {
    const video = document.querySelector("video"), canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
    const sheet = canvas.getContext("2d");
    sheet.drawImage(video, 0, 0);
    const half = canvas.width / 2;
    const sum = (x) => sheet.getImageData(x, 0, half, canvas.height).data.reduce((a, b) => a + b);
    return sum(0) > sum(half);
}"""
OWNED = "past <script>document.title='owned'</script> & the \"red\" door"


@pytest.fixture
def page(server: Server, browser_path: str, tmp_path: Path) -> Iterator[Page]:
    ARTEFACTS.mkdir(exist_ok=True)
    profile = tmp_path / "profile"
    with logged_in(server.url, server.user, server.password, browser_path, profile) as shown:
        errors: list[str] = []
        shown.on("pageerror", lambda error: errors.append(str(error)))
        yield shown
        assert errors == []


def submitted(page: Page) -> None:
    with page.expect_response(
        lambda one: "/annotations" in one.url and one.request.method == "POST"
    ):
        page.keyboard.press("Control+Enter")


def frames_and_clip(page: Page, frames: int, at: float = 2.0) -> None:
    page.wait_for_function(
        "count => [...document.images].filter("
        "one => one.src.includes('local-files') && one.naturalWidth > 0).length === count",
        arg=frames,
    )
    page.wait_for_function("document.querySelector('video')?.readyState >= 2")
    page.evaluate("at => { document.querySelector('video').currentTime = at }", at)
    page.wait_for_function(
        "at => (video => !video.seeking && Math.abs(video.currentTime - at) < 0.1)(document.querySelector('video'))",
        arg=at,
    )


def all_in_view(page: Page) -> None:
    bottom = page.evaluate("document.querySelector('.egost').getBoundingClientRect().bottom")
    bar = page.evaluate("document.querySelector('.lsf-bottombar').getBoundingClientRect().top")
    assert bottom <= bar


def test_a_person_answers_an_item(
    page: Page,
    client: LabelStudioClient,
    server: Server,
    server_place: WorkspaceFolder,
    tmp_path: Path,
):
    settings = AuditSettings(project="test item page", overlap=1)
    one = clip("asked")
    options = [f"{OWNED} before the lamp; first turn left", "no", "first turn right", "neither"]
    item = factories.item(
        item_id="i_asked", clip_id=one.clip_id, video_id=one.video_id, options=options,
        answer_text=options[0], question=f"What comes first? {OWNED}", span_id="s_asked",
    )  # fmt: skip
    span = Span(
        span_id="s_asked", clip_id=one.clip_id, video_id=one.video_id, start_us=1_000_000,
        end_us=2_500_000, frame_us=[1_500_000], mirrored=True, made="",
    )  # fmt: skip
    made = rows(server_place, tmp_path, [draft(one, steps("left"))], ["asked"], FRAMES)
    seen = Rows({**made.seen, Item: (item,), Span: (span,), Verdict: (), Answer: ()})
    audit.push(client, seen, settings, MediaAccess(Form(160)), server_place)

    page.goto(f"{server.url}/projects/{project_id(client, settings.project)}/data?labeling=1")
    page.get_by_text("none of these is right").wait_for()
    inside = [frame for frame in made[Frame] if 1_000_000 <= frame.t_us < 2_500_000]
    frames_and_clip(page, len(inside), at=1)
    assert page.evaluate("document.querySelector('video').duration") == pytest.approx(1.5, abs=0.1)
    # At 2 s, the bar of the video is right of the middle; the span is mirrored.
    assert page.evaluate(BAR_IS_LEFT)
    all_in_view(page)
    assert page.title() == "Label Studio"
    assert page.locator("input:checked").count() == 0
    assert page.get_by_text(OWNED).count() == 2
    page.screenshot(path=ARTEFACTS / "item-page.png")
    page.keyboard.press("5")
    page.locator("input:checked").wait_for()
    page.keyboard.press("1")
    page.screenshot(path=ARTEFACTS / "item-page-answered.png")
    submitted(page)

    (answer,) = audit.pull(client, seen, settings, server_place).answers
    assert (answer.item_id, answer.choice, answer.by) == ("i_asked", "0", "person")
    assert answer.fingerprint == item.fingerprint
    assert answer.seconds > 0


def test_two_people_confirm_an_open_item_that_a_model_wrote(
    page: Page,
    client: LabelStudioClient,
    server: Server,
    server_place: WorkspaceFolder,
    tmp_path: Path,
):
    settings = AuditSettings(project="test open item", overlap=3, sample=1)
    one = clip("open")
    texts = [f"第三个门 {OWNED}", "the bin"]
    items = tuple(
        factories.item(
            item_id=f"i_open{number}", clip_id=one.clip_id, video_id=one.video_id, format="open",
            options=[], answer_index=None, answer_text=text, option_kind="model", status="draft",
            question=f"What stands beside the door ({number})? {OWNED}",
        )
        for number, text in enumerate(texts)
    )  # fmt: skip
    made = rows(server_place, tmp_path, [draft(one, steps("left"))], ["open"], FRAMES)
    span = factories.span(clip_id=one.clip_id, video_id=one.video_id, end_us=one.end_us)
    seen = Rows({**made.seen, Item: items, Span: (span,), Verdict: (), Answer: ()})
    shown = MediaAccess(Form(160))
    assert audit.push(client, seen, settings, shown, server_place).new == 2
    assert audit.push(client, seen, settings, shown, server_place).kept == 2

    page.goto(f"{server.url}/projects/{project_id(client, settings.project)}/data?labeling=1")
    for key, choice in (("1", "0"), ("2", "none")):
        page.get_by_text("this answer is wrong").wait_for()
        frames_and_clip(page, FRAMES)
        all_in_view(page)
        assert page.title() == "Label Studio"
        assert page.locator("input:checked").count() == 0
        assert page.locator("label:has-text('the answer is: ')").count() == 1
        page.screenshot(path=ARTEFACTS / f"open-item-page-{choice}.png")
        page.keyboard.press(key)
        page.locator("input:checked").wait_for()
        submitted(page)
        page.wait_for_timeout(500)

    def pulled() -> tuple[Answer, ...]:
        return audit.pull(client, seen, settings, server_place).answers

    first = {one.item_id: one.choice for one in pulled()}
    assert sorted(first.values()) == ["0", "none"]
    assert audited.confirmed(items, pulled()) == set()  # one person is not enough

    asked = {item.question: first[item.item_id] for item in items}
    known = {
        reviewers.AskedQuestion(
            movie=task.data["clip"].rpartition("media/")[2],
            question=task.data["question"],
            options=tuple(unescape(choice["html"]) for choice in task.data["choices"]),
        ): asked[task.data["question"]]
        for task in client.tasks(project_id(client, settings.project))
    }
    script = reviewers.join(server, client, "script")
    assert reviewers.answer(script, settings.project, known) == {"0": 1, "none": 1}
    assert audited.confirmed(items, pulled()) == set()  # scripts don't count
    (login,) = accounts.invite(client, ["Second Person"])
    assert isinstance(login, accounts.LogIn)
    key = accounts.log_in(server.url, login.email, login.password)
    second = reviewers.Reviewer(login.name, login.email, server.url, key)
    assert reviewers.answer(second, settings.project, known) == {"0": 1, "none": 1}
    (right,), (wrong,) = (
        [key for key, choice in first.items() if choice == wanted] for wanted in ("0", "none")
    )
    assert audited.confirmed(items, pulled()) == {right}
    assert audited.flaws(items, pulled()) == {wrong: "no option is right, say 2 of 2 in the audit"}


def test_a_third_person_decides_between_two_versions(
    page: Page,
    client: LabelStudioClient,
    server: Server,
    server_place: WorkspaceFolder,
    tmp_path: Path,
):
    settings = ReviewSettings(project="test adjudication", agree=2, overlap=2, planted=0)
    name = "disputed"
    true = steps("straight", "left", "straight", landmark=OWNED)
    wrong = steps("straight", "right", "straight", landmark=OWNED)
    seen = rows(server_place, tmp_path, [draft(clip(name), wrong)], [name], FRAMES)
    review.push(client, seen, settings, server_place)
    truths = {clip(name).clip_id: Truth(true, "Turn left there.", "Turn right there.")}
    for who, habit in (("careful", reviewers.careful), ("hasty", reviewers.hasty)):
        reviewers.work(reviewers.join(server, client, who), settings.project, truths, habit)

    def judged() -> Rows:
        verdicts = tuple(one.verdict for one in review.pull(client, (), settings, server_place))
        now = Rows({**seen.seen, Verdict: verdicts})
        made = list(review.run(now, settings, server_place))
        doubts = tuple(row for row in made if isinstance(row, Finding))
        verified = tuple(row for row in made if isinstance(row, Route))
        return Rows({**now.seen, Finding: doubts, Route: (*seen[Route], *verified)})

    differing = judged()
    assert review.adjudicate(client, differing, settings, server_place).new == 1
    assert review.adjudicate(client, differing, settings, server_place).kept == 1
    page.goto(
        f"{server.url}/projects/{project_id(client, settings.adjudication_project)}/data?labeling=1"
    )
    page.locator("textarea[name=steps]").wait_for()
    frames_and_clip(page, FRAMES)
    all_in_view(page)
    assert page.title() == "Label Studio"
    page.screenshot(path=ARTEFACTS / "adjudication-page.png")
    (task,) = client.tasks(project_id(client, settings.adjudication_project))
    left = [
        letter
        for letter, one in task.data["versions"].items()
        if any(step["move"] == "left" for step in one["steps"])
    ]
    page.locator("h4").first.click()
    page.keyboard.press("1" if left == ["A"] else "2")
    submitted(page)

    after = judged()
    (verified,) = [row for row in after[Route] if row.origin == "verified"]
    assert tuple(verified.steps) == true
    assert len(verified.verified_categories) == 4
    assert {one.kind for one in after[Verdict]} == {"real", "adjudication"}


def test_deletions_and_edits_on_the_server(
    client: LabelStudioClient, server: Server, server_place: WorkspaceFolder, tmp_path: Path
):
    settings = ReviewSettings(project="test deleted", agree=1, overlap=1, planted=0)
    names = ["stays", "goes"]
    walked = steps("straight", "left")
    seen = rows(server_place, tmp_path, [draft(clip(name), walked) for name in names], names)
    review.push(client, seen, settings, server_place)
    one = reviewers.join(server, client, "careful")
    reviewers.work(one, settings.project, {clip(name).clip_id: Truth(walked) for name in names})
    first = {
        found.verdict.clip_id: found.verdict
        for found in review.pull(client, (), settings, server_place)
    }
    project = project_id(client, settings.project)
    gone, kept = (
        next(task for task in client.tasks(project) if task.data["clip_id"] == clip(name).clip_id)
        for name in ("goes", "stays")
    )
    client._api.tasks.delete(id=str(gone.id))
    (annotation,) = [a for a in client.annotations(project) if a.task.id == kept.id]
    client._api.annotations.update(
        id=annotation.id, result=[reviewers._control("verdict", "reject")]
    )
    known = tuple(first.values())
    (edited,) = review.pull(client, known, settings, server_place)
    assert edited.verdict.verdict == "reject"
    assert edited.annotation_id == first[clip("stays").clip_id].annotation_id
    again = review.push(client, Rows({**seen.seen, Verdict: known}), settings, server_place)
    assert (again.new, again.reopened, again.kept) == (0, 0, 2)

    client._api.projects.delete(id=project)
    with pytest.raises(UserError, match="there is no project"):
        list(review.pull(client, known, settings, server_place))
    again = review.push(client, Rows({**seen.seen, Verdict: known}), settings, server_place)
    assert (again.new, again.reopened, again.kept) == (0, 0, 2)
