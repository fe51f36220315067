"""People score descriptions on a real Label Studio server: the page is accepted, and scores come back."""

import json
import sys
from pathlib import Path

import httpx
import pytest
from browser import logged_in

from pipeline.engine.folder import WorkspaceFolder
from pipeline.evaluate import judge_people
from pipeline.evaluate.described_files import JUDGE, OPEN, read_people
from pipeline.evaluate.judge_scores import SCORES
from pipeline.evaluate.results import RESULTS
from pipeline.labelstudio import accounts
from pipeline.labelstudio.client import LabelStudioClient
from pipeline.labelstudio.server import Server

sys.path.insert(0, str(Path(__file__).parent.parent / "evaluate"))  # for test_judge_people.py

from test_judge_people import chosen, folder  # noqa: F401

ARTEFACTS = Path(__file__).parent.parent.parent / "test-artefacts"

pytestmark = pytest.mark.integration


def test_push_score_pull(
    client: LabelStudioClient,
    server: Server,
    server_place: WorkspaceFolder,
    folder: Path,  # noqa: F811
) -> None:
    sent = judge_people.push(client, server_place, folder, 4, 1)
    assert (sent.new, sent.kept) == (4, 0)
    assert judge_people.push(client, server_place, folder, 4, 1).kept == 4
    number = int(sent.project_url.split("/")[-2])
    (person,) = accounts.invite(client, ["scorer"])
    assert isinstance(person, accounts.LogIn)
    token = accounts.log_in(server.url, person.email, person.password)
    for task in client.tasks(number):
        result = [one | {"to_name": "texts"} for one in chosen(**dict.fromkeys(SCORES, 4))]
        done = httpx.post(
            f"{server.url}/api/tasks/{task.id}/annotations/",
            headers={"Authorization": f"Token {token}"},
            json={"result": result, "lead_time": 9.0},
        )
        assert done.status_code == 201, done.text
    found = judge_people.pull(client, server_place, folder)
    assert (found.scores, found.people, found.scripted, found.left_out) == (4, 1, 0, 0)
    assert {row.direction for row in read_people(folder)} == {4}
    body = json.loads((folder / RESULTS).read_text())["judge"]
    assert body == json.loads((folder / JUDGE).read_text())
    assert body["judges"][0]["rubrics"]["ours"]["people"]["descriptions"] == 4
    assert (folder / OPEN).exists()


def test_a_person_scores_in_a_browser(
    client: LabelStudioClient,
    server: Server,
    server_place: WorkspaceFolder,
    browser_path: str,
    folder: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    other = folder.rename(folder.with_name("another-model-0123456789ab"))
    sent = judge_people.push(client, server_place, other, 1, 1)
    number = int(sent.project_url.split("/")[-2])
    profile = tmp_path / "profile"
    with logged_in(server.url, server.user, server.password, browser_path, profile) as page:
        page.goto(f"{server.url}/projects/{number}/data?labeling=1")
        page.get_by_text("Turn left <b>here</b>.").wait_for()  # escaped
        ARTEFACTS.mkdir(exist_ok=True)
        page.screenshot(path=ARTEFACTS / "description-page.png")
        for row, score in enumerate((5, 0, 2)):
            page.locator("input[type=radio]").nth(6 * row + score).click()
        assert page.locator("input:checked").count() == 3
        page.screenshot(path=ARTEFACTS / "description-page-scored.png")
        with page.expect_response(
            lambda one: "/annotations" in one.url and one.request.method == "POST"
        ):
            page.keyboard.press("Control+Enter")
    judge_people.pull(client, server_place, other)
    (row,) = read_people(other)
    assert (row.direction, row.landmark, row.semantics, row.by) == (5, 0, 2, "person")
