import http.server
import json
import os
import socket
import stat
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.assets import asset
from pipeline.cli.console import exit_code
from pipeline.cli.main import cli
from pipeline.engine.folder import WorkspaceFolder
from pipeline.errors import UserError
from pipeline.flow import make_workspace
from pipeline.labelstudio import accounts, client, server
from pipeline.labelstudio import install as labelstudio_install
from pipeline.review import people


@pytest.fixture
def web() -> Iterator[tuple[str, dict[str, tuple[int, Any]]]]:
    """A server on loopback with the answers of a test, by path."""
    answers: dict[str, tuple[int, Any]] = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            code, body = answers.get(self.path.partition("?")[0], (404, {"detail": "not found"}))
            data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", answers
        server.shutdown()
        thread.join()


def version(number: str) -> tuple[int, Any]:
    return 200, {"label-studio-os-package": {"version": number}}


@pytest.mark.parametrize("answer", [(200, "<html>hello</html>"), (200, {"version": 3}), (404, [])])
def test_another_program_is_not_label_studio(web, answer):
    url, answers = web
    answers["/api/version"] = answer
    with pytest.raises(UserError, match="it is not Label Studio"):
        client.connect(url, "key")


@pytest.mark.parametrize("number", ["1.22.9", "0.9", "2.0.0"])
def test_an_untested_version_is_refused(web, number):
    url, answers = web
    answers["/api/version"] = version(number)
    with pytest.raises(UserError, match=f"this is Label Studio {number}"):
        client.check_server(url)


@pytest.mark.parametrize("number", ["1.23.2", "1.24.0.post1"])
def test_a_supported_version_is_accepted(web, number):
    url, answers = web
    answers["/api/version"] = version(number)
    assert client.check_server(url) == number


def test_a_servers_error_is_quoted(web):
    url, answers = web
    answers["/api/version"] = version("1.23.2")
    answers["/api/current-user/whoami"] = (503, {"detail": "database is locked"})
    with pytest.raises(UserError, match=r"refused \(503\): database is locked"):
        client.connect(url, "0" * 40)


def test_no_server_names_the_address_and_the_command():
    with pytest.raises(UserError) as caught:
        client.connect("http://127.0.0.1:9/", "key")
    assert caught.value.where == "http://127.0.0.1:9"
    assert "egost label-studio start" in caught.value.fix


def test_a_port_in_use_is_refused():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(UserError, match="another program is listening there"):
            server._free_port(other.getsockname()[1])


def test_the_servers_environment_has_none_of_the_users_variables(monkeypatch, tmp_path):
    for name in ("PORT", "HOST", "DEBUG", "USERNAME", "OPENAI_API_KEY", "LABEL_STUDIO_API_KEY"):
        monkeypatch.setenv(name, "ours")
    clean = labelstudio_install.clean(tmp_path)
    assert "ours" not in clean.values()
    assert clean["HOME"] == str(tmp_path)


def test_secrets_are_drawn_once_and_readable_only_by_their_owner(tmp_path):
    first = server._secrets(tmp_path)
    assert server._secrets(tmp_path) == first
    assert stat.S_IMODE((tmp_path / "secrets.json").stat().st_mode) == 0o600
    assert first != server._secrets(Path(tmp_path, "other"))


def test_another_process_with_the_recorded_pid_is_left_alone(tmp_path):
    home = server.server_folder(WorkspaceFolder(tmp_path))
    home.mkdir()
    stat_line = f"{os.getpid()} (another) S {' '.join('1' * 30)}"
    (home / "server.mark").write_text(f"9\n{os.getpid()}\n{stat_line}\n")
    assert server.status(WorkspaceFolder(tmp_path)) is None
    assert server.stop(WorkspaceFolder(tmp_path)) is False


def test_a_workspace_without_a_server_has_none(tmp_path):
    assert server.status(WorkspaceFolder(tmp_path)) is None
    assert server.stop(WorkspaceFolder(tmp_path)) is False


def test_the_cache_is_where_the_platform_keeps_it(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert labelstudio_install.cache() == tmp_path / "egost"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = "Library/Caches" if sys.platform == "darwin" else ".cache"
    assert labelstudio_install.cache() == tmp_path / folder / "egost"


@pytest.mark.parametrize("uv", ["/somewhere/uv", None])
def test_the_environment_is_installed_with_uv_or_pip(monkeypatch, uv):
    monkeypatch.setattr(labelstudio_install.shutil, "which", lambda name: uv)
    make, install = labelstudio_install._install_commands(Path("/home"), Path("/pins.txt"))
    assert make[-1] == "/home"
    assert install[-1] == "/pins.txt"
    assert ("uv" in make[0]) == (uv is not None)


@pytest.mark.parametrize(
    ("end", "how"), [("exit 3", "exited with 3"), ("kill -9 $$", "was killed by SIGKILL")]
)
def test_a_failed_installation_shows_the_end_of_its_log(monkeypatch, tmp_path, end, how):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    broken = [["sh", "-c", f"echo no such thing on the index; {end}"]]
    monkeypatch.setattr(labelstudio_install, "_install_commands", lambda home, pins: broken)
    with pytest.raises(UserError, match=rf"{how}:\n +no such thing"):
        labelstudio_install.environment()
    assert not list(tmp_path.rglob("egost-ready"))


def test_every_version_of_the_server_is_pinned():
    lines = asset("constraints-label-studio.txt").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert f"label-studio=={labelstudio_install.VERSION}" in pins
    assert all("==" in line for line in pins)


def test_one_failed_invitation_leaves_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    class Invites:
        url = "http://server.invalid"

        def invitation(self) -> str:
            return "link"

    def sign_up(url: str, link: str, email: str, password: str, name: str) -> bool:
        if name == "cem":
            raise UserError(url, "no Label Studio server answers", "start it")
        return name != "ann"

    make_workspace(tmp_path / "w")
    monkeypatch.setattr(people, "connect", lambda workspace: Invites())
    monkeypatch.setattr(accounts, "sign_up", sign_up)
    monkeypatch.setattr(accounts, "log_in", lambda *given: "token")
    command = ["-w", str(tmp_path / "w"), "label-studio", "invite"]
    assert exit_code(cli, [*command, "ann", "bob", "cem", "dan"]) == 2
    out, err = capsys.readouterr()
    first, second, last = out.splitlines()
    assert first.startswith("bob: log in as bob@localhost.local with ")
    assert second.startswith("dan: log in as dan@localhost.local with ")
    assert last.startswith("label-studio invite: 2 accounts; ")
    assert err.count("error: ") == 3
    assert "2 of 4 people have no account" in err
    assert "ann@localhost.local: no account was made: there is one already" in err
    assert exit_code(cli, [*command, "bob"]) == 0


def test_work_of_a_deleted_account_and_odd_tasks_are_read(monkeypatch: pytest.MonkeyPatch):
    moment = "2026-11-26T10:00:00Z"
    given = {"id": 7, "completed_by": None, "result": None, "updated_at": moment}
    counts = {"total_annotations": 1, "cancelled_annotations": 0}
    tasks = [
        SimpleNamespace(id=1, data={"round": "x"}, annotations=[given], **counts),
        SimpleNamespace(id=2, data=[1], annotations=None, **counts),
    ]
    one = client.LabelStudioClient("http://127.0.0.1:9", "0" * 40)
    monkeypatch.setattr(one, "_found", lambda *conditions: tasks)
    (found,) = one.annotations(1)
    assert (found.id, found.email, found.result) == (7, "somebody@deleted.invalid", [])
