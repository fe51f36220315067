"""How the embedded server's process is tracked; integration/test_label_studio.py tests the server."""

import os
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from pipeline.engine.folder import WorkspaceFolder
from pipeline.errors import UserError
from pipeline.labelstudio import server as labelstudio_server

# Answers only the requests that `start` makes.
FAKE = """
import json, os, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
class Fake(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        user = {"status": "UP", "email": os.environ["LABEL_STUDIO_USERNAME"]}
        self.wfile.write(json.dumps(user).encode())
    def log_message(self, *words):
        pass
port = int(sys.argv[sys.argv.index("--port") + 1])
try:
    server = HTTPServer(("127.0.0.1", port), Fake)
except OSError:  # silently, as Label Studio does
    server = HTTPServer(("127.0.0.1", 0), Fake)
server.serve_forever()
"""

# Starts the server of a workspace and is killed right after the spawn.
KILLED = """
import os, signal, sys
from pathlib import Path
from threading import Thread
from pipeline.labelstudio import server as labelstudio_server
from pipeline.errors import UserError
from pipeline.engine.folder import WorkspaceFolder
labelstudio_server.environment = lambda: Path(sys.argv[2])
spawn = os.posix_spawn
def spawn_and_die(*arguments, **named):
    print(spawn(*arguments, **named), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
os.posix_spawn = spawn_and_die
labelstudio_server.start(WorkspaceFolder(Path(sys.argv[1])))
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "installed"
    (home / "bin").mkdir(parents=True)
    (home / "template").mkdir()
    (home / "template" / "label_studio.sqlite3").touch()
    program = home / "bin" / "label-studio"
    program.write_text(f"#!{sys.executable}\n{FAKE}")
    program.chmod(0o755)
    monkeypatch.setattr(labelstudio_server, "environment", lambda: home)
    return home


def test_a_start_that_was_killed_after_the_spawn_leaves_a_known_server(
    tmp_path: Path, installed: Path
) -> None:
    folder = WorkspaceFolder(tmp_path / "workspace")
    command = [sys.executable, "-c", KILLED, str(folder.root), str(installed)]
    killed = subprocess.run(command, capture_output=True, text=True, check=False)
    assert killed.returncode < 0, killed.stderr
    pid = int(killed.stdout)
    try:
        assert labelstudio_server.start(folder).pid == pid
        assert labelstudio_server.status(folder) == labelstudio_server.start(folder)
        assert labelstudio_server.stop(folder)
        assert not labelstudio_server._is_alive(pid)
        assert labelstudio_server.status(folder) is None
    finally:
        if labelstudio_server._is_alive(pid):
            os.kill(pid, 9)


def test_a_server_that_an_older_version_started_is_found(tmp_path: Path, installed: Path) -> None:
    folder = WorkspaceFolder(tmp_path / "workspace")
    server = labelstudio_server.start(folder)
    record = labelstudio_server.server_folder(folder) / "server.mark"
    stat = f"{server.pid} (label-studio) S {' '.join('1' * 30)}"  # as /proc showed it
    record.write_text(f"{record.read_text()}{stat}\n")
    assert labelstudio_server.status(folder) == server
    assert labelstudio_server.stop(folder)
    assert not labelstudio_server._is_alive(server.pid)


def test_another_server_that_took_the_port_during_startup_is_not_used(
    tmp_path: Path, installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, port_of = WorkspaceFolder(tmp_path / "workspace"), labelstudio_server._free_port

    class Other(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"status": "UP", "email": "somebody@else"}')

        def log_message(self, *words: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Other) as other:
        Thread(target=other.serve_forever, daemon=True).start()
        taken = other.server_address[1]
        # As if it had been free a moment ago.
        found = [taken, port_of(0)]
        monkeypatch.setattr(labelstudio_server, "_free_port", lambda *_: found.pop(0))
        server = labelstudio_server.start(folder)
        assert server.url != f"http://127.0.0.1:{taken}"
        assert labelstudio_server.stop(folder)
        found = [taken]
        with pytest.raises(UserError, match="doesn't accept this workspace's key"):
            labelstudio_server.start(folder, taken)
        assert labelstudio_server.status(folder) is None
        other.shutdown()


def test_a_server_that_cannot_record_its_pid_does_not_run(tmp_path: Path, installed: Path) -> None:
    folder = WorkspaceFolder(tmp_path / "workspace")
    home = labelstudio_server.server_folder(folder)
    (home / "server.mark.new").mkdir(parents=True)
    with pytest.raises(UserError, match=r"it exited with \d+ during startup"):
        labelstudio_server.start(folder)
    (home / "server.mark.new").rmdir()
    assert labelstudio_server.start(folder).pid
    assert labelstudio_server.stop(folder)


def test_a_zombie_counts_as_ended() -> None:
    # `exec` leaves a parent that never reaps its child, like process 1 of many containers.
    shell = ["sh", "-c", "sleep 0.5 & echo $!; exec sleep 60"]
    with subprocess.Popen(shell, stdout=subprocess.PIPE, text=True) as parent:
        try:
            assert parent.stdout is not None
            child = int(parent.stdout.readline())
            assert labelstudio_server._is_alive(child)
            deadline = time.monotonic() + 60
            while labelstudio_server._is_alive(child):
                assert time.monotonic() < deadline
                time.sleep(0.05)
            stat = Path(f"/proc/{child}/stat")
            if not stat.exists():
                pytest.skip("needs /proc to check that the child is still a zombie")
            assert stat.read_text().rpartition(")")[2].split()[0] == "Z"
        finally:
            parent.kill()
