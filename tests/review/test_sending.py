"""How tasks are sent: in batches, with uploaded media if no server serves the media folder."""

import errno
import re
import resource
from collections.abc import Sequence
from pathlib import Path
from threading import Event, Semaphore
from time import sleep
from typing import Any

import pytest
from walked import clip, draft, project_id, rows, steps

from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.rows import Rejection
from pipeline.errors import UserError
from pipeline.labelstudio.scripted import ScriptedClient
from pipeline.motion.rows import Frame
from pipeline.review import review, routepage, sending
from pipeline.review.settings import ReviewSettings

ELSEWHERE = ReviewSettings(agree=1, overlap=1, planted=0, url="http://team.invalid")
WALK = steps("straight", "left", "straight")


@pytest.fixture
def folder(tmp_path: Path) -> WorkspaceFolder:
    folder = WorkspaceFolder(tmp_path / "workspace")
    folder.root.mkdir()
    return folder


def sources(client: ScriptedClient) -> set[str]:
    found = set()
    for task in client.kept.values():
        found |= {task.data["clip"], *re.findall(r"src='([^']+)'", task.data["frames"])}
    return found


def test_media_are_uploaded_once_if_nothing_serves_them(
    folder: WorkspaceFolder, tmp_path: Path
) -> None:
    names = ["a", "b"]
    seen = rows(folder, tmp_path, [draft(clip(name), WALK) for name in names], names)
    client = ScriptedClient()
    assert review.push(client, seen, ELSEWHERE, folder).new == 2
    project = project_id(client, "egost media")
    assert len(client.files[project]) == len({frame.media for frame in seen[Frame]}) + 2
    assert sources(client) == {f"/data/upload/{project}/{name}" for name in client.files[project]}
    assert "serve" not in client.calls
    client.calls.clear()
    assert review.push(client, seen, ELSEWHERE, folder).kept == 2
    assert client.calls == ["configure", "configure"]


def test_a_push_that_was_killed_while_uploading_uploads_only_what_is_missing(
    folder: WorkspaceFolder, tmp_path: Path
) -> None:
    seen = rows(folder, tmp_path, [draft(clip("a"), WALK)], ["a"])
    client = ScriptedClient()
    project = client.create("egost media", "", "", 1)
    first = sorted({frame.media for frame in seen[Frame]})[:3]
    client.upload(project, [folder.media_path(name) for name in first])
    client.calls.clear()
    review.push(client, seen, ELSEWHERE, folder)
    assert "upload 6" in client.calls  # five keyframes, and the clip
    assert len(client.files[project]) == len(set(client.files[project])) == 9
    assert all(source.startswith("/data/upload/") for source in sources(client))


def test_served_media_are_not_uploaded(folder: WorkspaceFolder, tmp_path: Path) -> None:
    settings = ELSEWHERE.model_copy(update={"media_url": "https://files.invalid/m?a=1&b=/"})
    client = ScriptedClient()
    review.push(client, rows(folder, tmp_path, [draft(clip(), WALK)], ["walk"]), settings, folder)
    assert client.files == {}
    (source,) = {one.partition("b=/")[0] for one in sources(client) if ".jpg" in one}
    assert source == "https://files.invalid/m?a=1&amp;"


def test_all_pages_that_are_ready_are_sent_in_one_request(
    folder: WorkspaceFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [str(number) for number in range(360)]
    seen = rows(folder, tmp_path, [draft(clip(name), WALK) for name in names], names, frames=1)
    settings = ReviewSettings(agree=1, overlap=1, planted=0)
    turn = Semaphore(1)
    made = 0

    def cut_all(*_: object) -> dict[str, Rejection]:
        nonlocal made
        turn.acquire()
        made += 1
        return {}

    class Slow(ScriptedClient):
        """A server whose first request is slow: all other pages are made meanwhile."""

        def add(self, project: int, pages: Sequence[str]) -> None:
            turn.release(100)
            while made < 8:
                sleep(0.01)
            sleep(0.5)
            super().add(project, pages)

    monkeypatch.setattr(sending, "cut_all", cut_all)
    client, reached = Slow(), list[int]()
    review.push(client, seen, settings, folder, lambda done, total: reached.append(done))
    assert [call for call in client.calls if "add" in call] == ["add 50", "add 310"]
    assert reached == [50, 360]


def test_pages_are_made_while_the_project_is_opened(
    folder: WorkspaceFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [str(number) for number in range(300)]
    seen = rows(folder, tmp_path, [draft(clip(name), WALK) for name in names], names, frames=1)
    all_made = Event()
    made: list[str] = []
    real = routepage.page

    def page(shown: routepage.PageRows, *rest: Any) -> dict[str, Any]:
        made.append(shown.clip.clip_id)
        if len(made) == len(names):
            all_made.set()
        return real(shown, *rest)

    class SlowToOpen(ScriptedClient):
        def project(self, title: str, config: str, overlap: int) -> int:
            assert all_made.wait(60), "no page is made before the project is there"
            return super().project(title, config, overlap)

    monkeypatch.setattr(routepage, "page", page)
    monkeypatch.setattr(sending, "cut_all", lambda *_: {})
    client = SlowToOpen()
    settings = ReviewSettings(agree=1, overlap=1, planted=0)
    assert review.push(client, seen, settings, folder).new == 300
    assert sorted(task.data["clip_id"] for task in client.kept.values()) == sorted(made)
    assert review.push(client, seen, settings, folder).kept == 300


def test_a_server_that_fails_ends_the_push_at_once(
    folder: WorkspaceFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [str(number) for number in range(400)]
    seen = rows(folder, tmp_path, [draft(clip(name), WALK) for name in names], names, frames=1)
    made: list[int] = []

    def cut_all(*_: object) -> dict[str, Rejection]:
        made.append(1)
        sleep(0.05)
        return {}

    class Ends(ScriptedClient):
        def add(self, project: int, pages: Sequence[str]) -> None:
            raise UserError("there", "no answer", "start it")

    monkeypatch.setattr(sending, "cut_all", cut_all)
    settings = ReviewSettings(agree=1, overlap=1, planted=0)
    with pytest.raises(UserError, match="no answer"):
        review.push(Ends(), seen, settings, folder)
    assert len(made) < 8


def test_a_push_that_meets_a_full_disk_continues_when_there_is_space(
    folder: WorkspaceFolder, tmp_path: Path
) -> None:
    """A file-size limit simulates a full disk."""
    seen = rows(folder, tmp_path, [draft(clip(), WALK)], ["walk"])
    settings, client = ReviewSettings(agree=1, overlap=1, planted=0), ScriptedClient()
    least, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, most))
    try:
        with pytest.raises(OSError, match=r"\.mp4") as full:
            review.push(client, seen, settings, folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (least, most))
    assert full.value.errno == errno.EFBIG
    assert client.kept == {}
    assert list(folder.media.rglob(".tmp-*")) == []
    pushed = review.push(client, seen, settings, folder)
    assert (pushed.new, pushed.rejected) == (1, ())
