"""The embedded Label Studio server of a workspace: start it, stop it, recognise its process.

Its data, secrets and log are in `<workspace>/label-studio/`.
"""

import fcntl
import os
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
from pydantic import BaseModel

from pipeline.engine.folder import WorkspaceFolder, write_atomic
from pipeline.errors import UserError, ended
from pipeline.labelstudio.install import clean, environment, tail

USER = "admin@localhost.local"
PORT = 8080
_RECORD = "server.mark"  # port and pid, a line each; older versions added a line
_TOKEN = "LABEL_STUDIO_USER_TOKEN"
_HEALTH_SECONDS = 300  # a first start took 28 s on a quiet machine and 187 s on a busy one
_STOP_SECONDS = 20
# The new process records its pid before it becomes the server, and holds this command's lock (as
# descriptor 9) until then: if the command is killed, the next start still finds the server.
_RECORD_AND_START = """
{ echo "$2" && echo $$; } >"$1.new" && mv "$1.new" "$1" && shift 2 && exec "$@" 9>&-
"""
_LOCK_DESCRIPTOR = 9


@dataclass(frozen=True)
class Server:
    """A running server and how to log in to it."""

    url: str
    pid: int
    user: str
    password: str = field(repr=False)
    token: str = field(repr=False)


class _Secrets(BaseModel):
    password: str
    token: str


@dataclass(frozen=True)
class _Recorded:
    process: psutil.Process
    port: int


def server_folder(folder: WorkspaceFolder) -> Path:
    """Return the folder of a workspace's server: data, secrets, log."""
    return folder.root.absolute() / "label-studio"


def media_folder(folder: WorkspaceFolder) -> Path:
    """Return the media folder under the server's document root.

    A storage must be a strict subfolder of the document root, and only media may be served: the
    root is a folder that holds a single link, to the media.
    """
    return server_folder(folder) / "served" / "media"


def start(folder: WorkspaceFolder, port: int = 0) -> Server:
    """Return this workspace's server; start it if it isn't running. Port 0 means 8080 or a free one.

    The first start on a machine installs the server (1 GB, some minutes). Raises UserError for a
    port in use, a failed installation, or a server that doesn't start (with the end of its log).
    """
    home = server_folder(folder)
    home.mkdir(parents=True, exist_ok=True)
    home.chmod(0o700)
    with _locked(home / ".lock") as lock:
        running = _running(home)
        if running:
            if port not in (0, int(running.url.rsplit(":", 1)[1])):
                raise UserError(
                    running.url,
                    "this workspace's server is running there",
                    "stop it first: egost label-studio stop",
                )
            try:  # two servers must never share a database
                _await_health(running, home / "server.log")
                return running
            except UserError:
                if _running(home):
                    raise  # otherwise it was shutting down
        program = environment() / "bin" / "label-studio"
        first = _free_port(port) if port else _free_port(PORT, 0)
        _prepare(folder, home, program)
        try:
            return _launch(program, home, first, lock)
        except _OtherServerError:
            if port:
                raise
            # Another server took the port during startup; Label Studio then uses the next one silently.
            return _launch(program, home, _free_port(0), lock)


class _OtherServerError(UserError):
    """Another server answers on the port."""


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    """Wait for the lock; yield its descriptor, which a child can inherit (filelock offers no such way)."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock.fileno()


def _launch(program: Path, home: Path, port: int, lock: int) -> Server:
    known = _secrets(home)
    pid = _spawn(program, home, known, port, lock)
    server = Server(f"http://127.0.0.1:{port}", pid, USER, known.password, known.token)
    try:
        _await_health(server, home / "server.log")
    except BaseException:
        with suppress(psutil.NoSuchProcess):
            _end(psutil.Process(pid))
        (home / _RECORD).unlink(missing_ok=True)
        raise
    return server


def stop(folder: WorkspaceFolder) -> bool:
    """Stop this workspace's server; return whether it was running."""
    home = server_folder(folder)
    if not home.exists():
        return False
    with _locked(home / ".lock"):
        recorded = _recorded(home)
        (home / _RECORD).unlink(missing_ok=True)
        if recorded:
            _end(recorded.process)
        return recorded is not None


def status(folder: WorkspaceFolder) -> Server | None:
    """Return this workspace's server if it is running and accepts this workspace's key."""
    server = _running(server_folder(folder))
    return server if server and _accepts_key(server) else None


def _prepare(folder: WorkspaceFolder, home: Path, program: Path) -> None:
    data = home / "data"
    data.mkdir(exist_ok=True)
    database = data / "label_studio.sqlite3"
    if not database.exists():
        # Migrated, but without users: the server creates its user and secret key when it starts.
        template = program.parent.parent / "template" / database.name
        write_atomic(database, template.read_bytes(), mode=0o600)
    folder.media.mkdir(parents=True, exist_ok=True)
    link = media_folder(folder)
    link.parent.mkdir(exist_ok=True)
    if not link.is_symlink() or link.resolve() != folder.media.resolve():
        link.unlink(missing_ok=True)
        link.symlink_to(Path("..") / ".." / folder.media.name)


def _spawn(program: Path, home: Path, known: _Secrets, port: int, lock: int) -> int:
    env = clean(home) | {
        "LABEL_STUDIO_BASE_DATA_DIR": str(home / "data"),
        "LABEL_STUDIO_USERNAME": USER,
        "LABEL_STUDIO_PASSWORD": known.password,
        _TOKEN: known.token,
        "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
        "LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED": "true",
        "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT": str(home / "served"),
        "LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK": "true",
    }
    options = [
        "--no-browser",
        "--internal-host",
        "127.0.0.1",
        "--port",
        str(port),
        "--log-level",
        "INFO",
    ]
    (home / _RECORD).unlink(missing_ok=True)
    log = os.open(home / "server.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    null = os.open(os.devnull, os.O_RDONLY)
    held = fcntl.fcntl(lock, fcntl.F_DUPFD_CLOEXEC, _LOCK_DESCRIPTOR + 1)
    arguments = [str(home / _RECORD), str(port), str(program), "start", *options]
    try:
        # In a new session, so that the server outlives this command and its terminal.
        return os.posix_spawn(
            "/bin/sh",
            ["sh", "-c", _RECORD_AND_START, "sh", *arguments],
            env,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, source, target)
                for source, target in ((null, 0), (log, 1), (log, 2), (held, _LOCK_DESCRIPTOR))
            ],
            setsid=True,
        )
    finally:
        for descriptor in (log, null, held):
            os.close(descriptor)


def _await_health(server: Server, log: Path) -> None:
    began = time.monotonic()
    while time.monotonic() - began < _HEALTH_SECONDS:
        if not _is_alive(server.pid):
            what = f"it {_how_it_ended(server.pid)} during startup:"
            raise UserError("Label Studio", what, f"see {log}", tail(log))
        try:
            if httpx.get(f"{server.url}/health", timeout=5).json().get("status") == "UP":
                break
        except (httpx.HTTPError, ValueError):
            pass
        time.sleep(0.25)
    else:
        raise UserError(
            "Label Studio",
            f"not ready after {_HEALTH_SECONDS} s:",
            f"see {log}; if the machine was busy, try again",
            tail(log),
        )
    if not _accepts_key(server):
        raise _OtherServerError(
            server.url,
            "the server there doesn't accept this workspace's key",
            f"choose another --port; delete {log.parent / 'data'} if it came from another workspace",
        )


def _recorded(home: Path) -> _Recorded | None:
    """Return the process and port on record if that process is this workspace's server.

    A later process may have the same pid, so it must have been started with this workspace's token.
    The start time is no substitute: psutil computes it from the clock, and once the clock has been
    set, a second server would be started on the same database.
    """
    try:
        port, pid, *_ = (home / _RECORD).read_text(encoding="utf-8").splitlines()
        process = psutil.Process(int(pid))
        if process.environ().get(_TOKEN) == _secrets(home).token:
            return _Recorded(process, int(port))
    except (OSError, ValueError, psutil.Error):
        pass
    return None


def _running(home: Path) -> Server | None:
    recorded = _recorded(home)
    if recorded is None:
        return None
    known, url = _secrets(home), f"http://127.0.0.1:{recorded.port}"
    return Server(url, recorded.process.pid, USER, known.password, known.token)


def _accepts_key(server: Server) -> bool:
    try:
        answer = httpx.get(
            f"{server.url}/api/current-user/whoami",
            headers={"Authorization": f"Token {server.token}"},
            timeout=20,
        )
        return answer.status_code == 200 and answer.json().get("email") == server.user
    except (httpx.HTTPError, ValueError, AttributeError):
        return False


def _free_port(*candidates: int) -> int:
    """Return the first free port: Label Studio itself would silently use the next one."""
    for candidate in candidates:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", candidate))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise UserError(
        f"port {candidates[0]}",
        "another program is listening there",
        "choose another --port, or leave it out",
    )


def _secrets(home: Path) -> _Secrets:
    path = home / "secrets.json"
    if not path.exists():
        drawn = _Secrets(password=secrets.token_urlsafe(12), token=secrets.token_hex(20))
        write_atomic(path, drawn.model_dump_json().encode(), mode=0o600)
    return _Secrets.model_validate_json(path.read_bytes())


def _is_alive(pid: int) -> bool:
    """Return whether a process runs; one that has ended is a zombie until its parent reaps it."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _how_it_ended(pid: int) -> str:
    try:
        _, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:  # another command started it
        return "ended"
    return ended(os.waitstatus_to_exitcode(status))


def _end(process: psutil.Process) -> None:
    for signal in (process.terminate, process.kill):
        with suppress(psutil.NoSuchProcess):
            signal()
        deadline = time.monotonic() + _STOP_SECONDS
        while time.monotonic() < deadline:
            if not _is_alive(process.pid):
                return
            time.sleep(0.05)
    raise UserError(
        f"process {process.pid}",
        "Label Studio can't be stopped",
        "the process hangs in the system: check its disk",
    )
