import json
import os
import re
import signal
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from walked import clip, draft, project_id, rows, steps

from pipeline.demo import reviewers
from pipeline.demo.reviewers import Truth
from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.rows import Rows
from pipeline.errors import UserError
from pipeline.labelstudio import accounts
from pipeline.labelstudio import client as labelstudio
from pipeline.labelstudio import server as labelstudio_server
from pipeline.labelstudio.client import LabelStudioClient
from pipeline.labelstudio.server import Server
from pipeline.motion.rows import Clip
from pipeline.review import review, sending
from pipeline.review.clips import clip_form
from pipeline.review.rows import Verdict
from pipeline.review.settings import ReviewSettings
from pipeline.routes.rows import Route
from pipeline.video import reviewclip
from pipeline.video.reviewclip import Excerpt, Form

pytestmark = pytest.mark.integration

TRUE = steps("straight", "left", "straight", landmark='the "red" <b>door</b> | and bar \\')
WRONG = steps("straight", "right", "straight", landmark='the "red" <b>door</b> | and bar \\')


def test_starting_again_finds_the_same_server(server: Server, server_place: WorkspaceFolder):
    assert labelstudio_server.start(server_place) == server
    assert labelstudio_server.status(server_place) == server
    assert oct((server_place.root / "label-studio" / "secrets.json").stat().st_mode)[-3:] == "600"


def test_a_wrong_token_and_a_wrong_port_have_different_errors(server: Server):
    with pytest.raises(UserError, match="rejects this key"):
        labelstudio.connect(server.url, "0" * 40)
    with pytest.raises(UserError, match="no Label Studio server answers"):
        labelstudio.connect("http://127.0.0.1:9", "0" * 40)


def test_a_taken_port_is_refused(server: Server, tmp_path: Path):
    port = int(server.url.rsplit(":", 1)[1])
    with pytest.raises(UserError, match="another program is listening there"):
        labelstudio_server.start(WorkspaceFolder(tmp_path), port)


def test_only_media_are_served_and_only_to_people_who_are_logged_in(
    client: LabelStudioClient, server: Server, server_place: WorkspaceFolder
):
    number = client.create("media alone", "", "<View><Text name='t' value='$t'/></View>", 1)
    client.serve(number, labelstudio_server.media_folder(server_place))
    name = server_place.keep(b"picture", ".jpg")
    (server_place.root / "done.sqlite").write_bytes(b"not for browsers")
    headers = {"Authorization": f"Token {server.token}"}

    def get(path: str, **more: dict[str, str]) -> httpx.Response:
        return httpx.get(f"{server.url}/data/local-files/", params={"d": path}, **more)

    assert get(f"media/{name}", headers=headers).content == b"picture"
    assert get(f"media/{name}").status_code != 200
    for path in ("media/../../done.sqlite", "../done.sqlite", "media/../../secrets.json"):
        answer = get(path, headers=headers)
        assert answer.status_code >= 400, path
        assert b"not for browsers" not in answer.content
        assert server.token.encode() not in answer.content


def test_push_work_pull(
    client: LabelStudioClient, server: Server, server_place: WorkspaceFolder, tmp_path: Path
):
    settings = ReviewSettings(project="test push and pull", agree=1, overlap=1, planted=0)
    names = ["right", "wrong"]
    drafts = [draft(clip("right"), TRUE), draft(clip("wrong"), WRONG)]
    seen = rows(server_place, tmp_path, drafts, names)
    assert review.push(client, seen, settings, server_place).new == 2
    again = review.push(client, seen, settings, server_place)
    assert (again.new, again.updated, again.kept) == (0, 0, 2)
    tasks = list(client.tasks(project_id(client, settings.project)))
    client.add(project_id(client, settings.project), [json.dumps(tasks[0].data).encode()])
    assert review.push(client, seen, settings, server_place).kept == 2
    assert (
        list(client.tasks(project_id(client, settings.project))) == tasks
    )  # the duplicate is removed

    one = reviewers.join(server, client, "careful")
    assert reviewers.join(server, client, "careful").key == one.key
    truths = {clip(name).clip_id: Truth(TRUE) for name in names}
    assert reviewers.work(one, settings.project, truths) == {"accept": 1, "corrected": 1}
    assert reviewers.work(one, settings.project, truths) == {}

    pulled = list(review.pull(client, (), settings, server_place))
    verdicts = {found.verdict.clip_id: found.verdict for found in pulled}
    assert [found.findings for found in pulled] == [(), ()]
    assert {key: value.verdict for key, value in verdicts.items()} == {
        clip("right").clip_id: "accept",
        clip("wrong").clip_id: "corrected",
    }
    assert all(tuple(one.steps) == TRUE for one in verdicts.values())
    assert {one.by for one in verdicts.values()} == {"script"}
    again = list(review.pull(client, verdicts.values(), settings, server_place))
    assert {found.annotation_id: found for found in again} == {
        one.annotation_id: one for one in pulled
    }

    answered = Rows({**seen.seen, Verdict: tuple(verdicts.values())})
    assert review.push(client, answered, settings, server_place).kept == 2
    changed = Rows(
        {**answered.seen, Route: (drafts[0], draft(clip("wrong"), TRUE, "Walk past the door."))}
    )
    assert review.push(client, changed, settings, server_place).reopened == 1
    found = review.status(client, settings, server_place)
    assert (found.tasks, found.done, found.waiting) == (3, 2, 1)


def test_skips_are_pulled(
    client: LabelStudioClient, server: Server, server_place: WorkspaceFolder, tmp_path: Path
):
    settings = ReviewSettings(project="test skips", agree=1, overlap=1, planted=0)
    seen = rows(server_place, tmp_path, [draft(clip("skipped"), TRUE)], ["skipped"])
    review.push(client, seen, settings, server_place)
    one = reviewers.join(server, client, "unsure")
    assert reviewers.work(one, settings.project, {})["skip"] >= 1
    (found,) = review.pull(client, (), settings, server_place)
    assert (found.verdict.verdict, found.verdict.by) == ("skip", "script")


def test_a_missing_project_is_an_error_with_a_fix(
    client: LabelStudioClient, server_place: WorkspaceFolder
):
    with pytest.raises(UserError, match="egost review push"):
        review.status(client, ReviewSettings(project="never made"), server_place)


def test_a_project_is_known_by_its_mark_whatever_people_do_to_it(
    client: LabelStudioClient, server: Server, server_place: WorkspaceFolder, tmp_path: Path
):
    settings = ReviewSettings(project="test renamed", agree=1, overlap=1, planted=0)
    seen = rows(server_place, tmp_path, [draft(clip("renamed"), TRUE)], ["renamed"])
    review.push(client, seen, settings, server_place)
    number = project_id(client, settings.project)
    truths = {clip("renamed").clip_id: Truth(TRUE)}
    reviewers.work(reviewers.join(server, client, "careful"), settings.project, truths)
    (ours,) = client.tasks(number)
    strange = [{**ours.data, "round": "first"}, dict.fromkeys(ours.data, "odd")]
    client.add(number, [json.dumps(one).encode() for one in strange])

    def change(**fields: str) -> None:
        headers = {"Authorization": f"Token {server.token}"}
        url = f"{server.url}/api/projects/{number}/"
        httpx.patch(url, headers=headers, json=fields).raise_for_status()

    for fields in (
        {"title": "Kitchen study"},
        {"description": "Our own words."},
        {"title": settings.project, "description": ""},
    ):
        change(**fields)
        assert len(list(review.pull(client, (), settings, server_place))) == 1
        assert review.push(client, seen, settings, server_place).kept == 1
    assert sum("test renamed" in one.description for one in client.projects()) == 1
    found = review.status(client, settings, server_place)
    assert (found.tasks, found.done, found.foreign) == (1, 1, 2)

    other = WorkspaceFolder(tmp_path / "other")
    other.media.mkdir(parents=True)
    with pytest.raises(UserError, match="belongs to another workspace"):
        review.push(client, rows(other, tmp_path, [], []), settings, other)


def test_typed_work_that_is_not_submitted_is_reported(
    client: LabelStudioClient, server: Server, server_place: WorkspaceFolder, tmp_path: Path
):
    settings = ReviewSettings(project="test drafts", agree=1, overlap=1, planted=0)
    seen = rows(server_place, tmp_path, [draft(clip("begun"), TRUE)], ["begun"])
    review.push(client, seen, settings, server_place)
    number = project_id(client, settings.project)
    (task,) = client.tasks(number)
    person = reviewers.join(server, client, "slow")
    httpx.post(
        f"{server.url}/api/tasks/{task.id}/drafts",
        headers={"Authorization": f"Token {person.key}"},
        json={"result": [{"from_name": "note", "value": {"text": ["wait"]}}], "lead_time": 1},
    ).raise_for_status()
    assert [one.task for one in client.unsubmitted(number)] == [task]
    (line,) = review.outside(client, settings, server_place)
    assert (
        line
        == f"clip {clip('begun').clip_id}: script-slow has begun work that is not submitted yet"
    )


def test_a_personal_token_works_as_well(server: Server, server_place: WorkspaceFolder):
    with accounts.session(server.url) as session:
        session.get("/user/login/")
        form = {"email": server.user, "password": server.password}
        session.post("/user/login/", data=form | accounts.csrf(session))
        headers = {"X-CSRFToken": session.cookies["csrftoken"]}
        key = session.post("/api/token/", headers=headers).json()["token"]
    assert labelstudio.connect(server.url, key).whoami() == server.user


def test_invited_people_can_log_in_and_are_invited_once(client: LabelStudioClient, server: Server):
    names = ["Ann Example", "bob@example.org", "Jürgen O'Groß", "李雷"]
    ann, bob, juergen, li = accounts.invite(client, names)
    assert (ann.email, bob.email) == ("ann.example@localhost.local", "bob@example.org")
    assert (juergen.name, juergen.email) == ("Jürgen O'Groß", "jurgen.o.gross@localhost.local")
    assert re.fullmatch(r"person-[0-9a-f]{16}@localhost\.local", li.email)
    assert ann.password not in repr(ann)
    key = accounts.log_in(server.url, ann.email, ann.password)
    assert labelstudio.connect(server.url, key).whoami() == ann.email
    again, cem = accounts.invite(client, ["Ann Example", "Cem Example"])
    assert isinstance(again, UserError)
    assert "there is one already" in again.what
    assert accounts.log_in(server.url, cem.email, cem.password)


def clicks_accept(data: Mapping[str, Any], truth: Truth) -> dict[str, str]:
    return {"verdict": "accept"}


def test_two_people_get_each_clip_and_a_third_none(
    client: LabelStudioClient, server: Server, server_place: WorkspaceFolder, tmp_path: Path
):
    settings = ReviewSettings(project="test overlap", agree=2, overlap=2, planted=0)
    seen = rows(server_place, tmp_path, [draft(clip("twice"), WRONG)], ["twice"])
    review.push(client, seen, settings, server_place)
    truths = {clip("twice").clip_id: Truth(TRUE)}
    habits = {"careful": reviewers.careful, "hasty": clicks_accept, "third": reviewers.careful}
    counted = [
        dict(reviewers.work(reviewers.join(server, client, name), settings.project, truths, habit))
        for name, habit in habits.items()
    ]
    assert counted == [{"corrected": 1}, {"accept": 1}, {}]
    verdicts = [found.verdict for found in review.pull(client, (), settings, server_place)]
    made = list(
        review.run(
            Rows({Clip: seen[Clip], Route: seen[Route], Verdict: tuple(verdicts)}),
            settings,
            server_place,
        )
    )
    assert [row.verified_categories for row in made if isinstance(row, Route)] == [
        ["landmark", "action"]
    ]
    found = review.status(client, settings, server_place, verdicts)
    assert found.agreement == {}  # scripts are not people


def test_a_server_killed_during_push_leaves_each_clip_one_task(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sending, "_AHEAD", 1)  # otherwise all pages might be sent in one request
    folder = WorkspaceFolder(tmp_path / "workspace")
    folder.media.mkdir(parents=True)
    names = [f"walk {number}" for number in range(120)]
    drafts = [draft(clip(name), TRUE) for name in names]
    seen = rows(folder, tmp_path, drafts, names, frames=1)
    settings = ReviewSettings(project="test killed", agree=1, overlap=1, planted=0)
    movie = reviewclip.keep_clip(
        folder, tmp_path / "walk.mp4", Excerpt("any", 0, 3_000_000), Form(160)
    )
    for name in names:  # identical clips: cutting all 120 would only test the encoder
        one = clip(name)
        span = Excerpt(one.video_id, one.start_us, one.end_us)
        path = folder.media_path(reviewclip.clip_name(span, clip_form(settings)))
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(movie.read_bytes())
    try:
        server = labelstudio_server.start(folder, _free_port())
        client = labelstudio.connect(server.url, server.token)

        def kill(done: int, total: int) -> None:
            if done < total:
                os.kill(server.pid, signal.SIGKILL)

        with pytest.raises(UserError, match="no Label Studio server answers"):
            review.push(client, seen, settings, folder, kill)
        again = labelstudio_server.start(folder)
        client = labelstudio.connect(again.url, again.token)
        done = review.push(client, seen, settings, folder)
        assert 0 < done.kept < 120
        tasks = client.tasks(project_id(client, settings.project))
        assert sorted(task.data["clip_id"] for task in tasks) == sorted(
            one.clip_id for one in seen[Clip]
        )
    finally:
        labelstudio_server.stop(folder)


def test_a_server_killed_during_pull_leaves_each_annotation_one_row(tmp_path: Path):
    folder = WorkspaceFolder(tmp_path / "workspace")
    folder.media.mkdir(parents=True)
    names = ["one", "two", "three"]
    seen = rows(folder, tmp_path, [draft(clip(name), TRUE) for name in names], names, frames=1)
    settings = ReviewSettings(project="test killed pull", agree=1, overlap=1, planted=0)
    truths = {clip(name).clip_id: Truth(TRUE) for name in names}
    try:
        server = labelstudio_server.start(folder, _free_port())
        client = labelstudio.connect(server.url, server.token)
        review.push(client, seen, settings, folder)
        one = reviewers.join(server, client, "careful")
        reviewers.work(one, settings.project, truths)
        found = review.pull(client, (), settings, folder)
        first = next(found)
        os.kill(server.pid, signal.SIGKILL)
        with pytest.raises(UserError, match="no Label Studio server answers"):
            list(review.pull(client, [first.verdict], settings, folder))
        again = labelstudio_server.start(folder)
        client = labelstudio.connect(again.url, again.token)
        pulled = list(review.pull(client, [first.verdict], settings, folder))
        ids = [one.annotation_id for one in pulled]
        assert len(ids) == len(set(ids)) == 3
        assert first.annotation_id in ids
    finally:
        labelstudio_server.stop(folder)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_media_are_uploaded_to_a_server_without_access_to_the_folder(
    client: LabelStudioClient, server: Server, server_place: WorkspaceFolder, tmp_path: Path
):
    settings = ReviewSettings(project="test uploads", agree=1, overlap=1, planted=0, url=server.url)
    folder = WorkspaceFolder(tmp_path / "elsewhere")
    folder.media.mkdir(parents=True)
    seen = rows(folder, tmp_path, [draft(clip("far"), TRUE)], ["far"])
    assert review.push(client, seen, settings, folder).new == 1
    number = project_id(client, settings.project)
    (task,) = client.tasks(number)
    sources = [task.data["clip"], *re.findall(r"src='([^']+)'", task.data["frames"])]
    assert len(sources) == 9
    headers = {"Authorization": f"Token {server.token}"}
    ours = {path.read_bytes() for path in folder.media.rglob("*.*")}
    for source in sources:
        assert httpx.get(server.url + source, headers=headers).content in ours
        assert httpx.get(server.url + source).status_code in (401, 403)
    part = httpx.get(server.url + sources[0], headers={**headers, "Range": "bytes=0-99"})
    assert (part.status_code, len(part.content)) == (206, 100)
    shelf = project_id(client, "egost media")
    before = client.uploads(shelf)
    assert len(before) == 9
    assert review.push(client, seen, settings, folder).kept == 1
    assert client.uploads(shelf) == before
    assert list(client.tasks(shelf)) == []
