"""The embedded Label Studio server: starting, stopping, and who it is.

Data, secrets and log of a workspace's server lie in `<workspace>/label-studio/`.
"""

import fcntl
import os
import secrets
import signal
import socket
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from pydantic import BaseModel

from pipeline.engine.folder import WorkspaceFolder, write_atomic
from pipeline.errors import UserError
from pipeline.labelstudio.install import clean, environment, locked, tail

USER = "admin@localhost.local"
PORT = 8080
_MARK = "server.mark"
_HEALTH_SECONDS = 300  # a first start took 28 s on a quiet machine and 187 s on a busy one
_STOP_SECONDS = 20
# The server's process says who it is before it becomes the server, and holds this command's lock
# (as 9) until then: a kill in between can't leave a server that the next start doesn't know.
_ANNOUNCED_START = """
{ echo "$2" && echo $$ && { cat /proc/$$/stat 2>/dev/null || ps -o state=,lstart= -p $$; } } >"$1.new" &&
mv "$1.new" "$1" && shift 2 && exec "$@" 9>&-
"""
_LOCK_HANDLE = 9


@dataclass(frozen=True)
class Server:
    """A running embedded server and how to log in to it."""

    url: str
    pid: int
    user: str
    password: str = field(repr=False)
    token: str = field(repr=False)


class _Secrets(BaseModel):
    password: str
    token: str


@dataclass(frozen=True)
class _ServerProcess:
    """What `server.mark` says; `born` tells our process from a later one with the same pid."""

    pid: int
    born: str
    port: int


def server_folder(folder: WorkspaceFolder) -> Path:
    """Return the folder of a workspace's server: data, secrets, log."""
    return folder.root.absolute() / "label-studio"


def media_folder(folder: WorkspaceFolder) -> Path:
    """Return the media folder as the server sees it.

    A storage must be a strict subfolder of the document root, and the root is to hold nothing
    but media: so the root is a folder with a single link in it.
    """
    return server_folder(folder) / "served" / "media"


def start(folder: WorkspaceFolder, port: int = 0) -> Server:
    """Return this workspace's server, started if need be; port 0 means 8080 or else a free one.

    The first start on a machine makes the server's environment (1 GB, minutes). Raises UserError
    for a taken port, a failed installation, or a server that doesn't come up (with its log's tail).
    """
    home = server_folder(folder)
    home.mkdir(parents=True, exist_ok=True)
    home.chmod(0o700)
    with locked(home / ".lock") as lock:
        running = _alive(home)
        if running:
            if port not in (0, int(running.url.rsplit(":", 1)[1])):
                raise UserError(
                    running.url,
                    "this workspace's server is running there",
                    "stop it first: egost label-studio stop",
                )
            try:  # two servers on one database would fight
                _await_health(running, home / "server.log")
                return running
            except UserError:
                if _alive(home):
                    raise  # else it was just ending
        program = environment() / "bin" / "label-studio"
        first = _free_port(port) if port else _free_port(PORT, 0)
        _prepare(folder, home, program)
        try:
            return _launch(program, home, first, lock)
        except _StrangerError:
            if port:
                raise
            # Another server took that port while ours was starting, and ours the next one in silence.
            return _launch(program, home, _free_port(0), lock)


class _StrangerError(UserError):
    """Somebody else's server answers on the port."""


def _launch(program: Path, home: Path, port: int, lock: int) -> Server:
    known = _secrets(home)
    pid = _spawn(program, home, known, port, lock)
    server = Server(f"http://127.0.0.1:{port}", pid, USER, known.password, known.token)
    try:
        _await_health(server, home / "server.log")
    except BaseException:
        _end(_ServerProcess(pid, _birth(pid) or "", port))
        (home / _MARK).unlink(missing_ok=True)
        raise
    return server


def stop(folder: WorkspaceFolder) -> bool:
    """Stop this workspace's server and say whether there was one."""
    home = server_folder(folder)
    if not home.exists():
        return False
    with locked(home / ".lock"):
        mark = _read_mark(home)
        (home / _MARK).unlink(missing_ok=True)
        return mark is not None and _end(mark)


def status(folder: WorkspaceFolder) -> Server | None:
    """Return this workspace's server if it is running, answering and really ours."""
    server = _alive(server_folder(folder))
    return server if server and _is_ours(server) else None


def _prepare(folder: WorkspaceFolder, home: Path, program: Path) -> None:
    data = home / "data"
    data.mkdir(exist_ok=True)
    database = data / "label_studio.sqlite3"
    if not database.exists():
        # Migrated but without users: the server makes its user and its own secret key on start.
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
        "LABEL_STUDIO_USER_TOKEN": known.token,
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
    (home / _MARK).unlink(missing_ok=True)
    log = os.open(home / "server.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    null = os.open(os.devnull, os.O_RDONLY)
    held = fcntl.fcntl(lock, fcntl.F_DUPFD_CLOEXEC, _LOCK_HANDLE + 1)
    arguments = [str(home / _MARK), str(port), str(program), "start", *options]
    try:
        # A session of its own, so that the server outlives this command and its terminal.
        return os.posix_spawn(
            "/bin/sh",
            ["sh", "-c", _ANNOUNCED_START, "sh", *arguments],
            env,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, source, target)
                for source, target in ((null, 0), (log, 1), (log, 2), (held, _LOCK_HANDLE))
            ],
            setsid=True,
        )
    finally:
        for handle in (log, null, held):
            os.close(handle)


def _await_health(server: Server, log: Path) -> None:
    began = time.monotonic()
    while time.monotonic() - began < _HEALTH_SECONDS:
        if _birth(server.pid) is None:
            raise UserError("Label Studio", "it ended while starting:", f"see {log}", tail(log))
        try:
            if httpx.get(f"{server.url}/health", timeout=5).json().get("status") == "UP":
                break
        except (httpx.HTTPError, ValueError):
            pass
        time.sleep(0.25)
    else:
        raise UserError(
            "Label Studio",
            f"not up after {_HEALTH_SECONDS} s:",
            f"see {log}; a busy machine may only need a second try",
            tail(log),
        )
    if not _is_ours(server):
        raise _StrangerError(
            server.url,
            "the server there doesn't know this workspace's key",
            f"choose another --port; delete {log.parent / 'data'} if it came from elsewhere",
        )


def _alive(home: Path) -> Server | None:
    mark = _read_mark(home)
    if mark is None or not mark.born or _birth(mark.pid) != mark.born:
        return None
    known = _secrets(home)
    return Server(f"http://127.0.0.1:{mark.port}", mark.pid, USER, known.password, known.token)


def _is_ours(server: Server) -> bool:
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
    """Return a port that nobody listens on: Label Studio itself would take the next one in silence."""
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
        "another program listens there",
        "choose another --port, or leave it out",
    )


def _secrets(home: Path) -> _Secrets:
    path = home / "secrets.json"
    if not path.exists():
        drawn = _Secrets(password=secrets.token_urlsafe(12), token=secrets.token_hex(20))
        write_atomic(path, drawn.model_dump_json().encode(), mode=0o600)
    return _Secrets.model_validate_json(path.read_bytes())


def _read_mark(home: Path) -> _ServerProcess | None:
    try:
        port, pid, shown = (home / _MARK).read_text(encoding="utf-8").splitlines()
        return _ServerProcess(int(pid), _born(shown) or "", int(port))
    except (OSError, ValueError):
        return None


def _birth(pid: int) -> str | None:
    """Return when a process began, or None if it has ended: pids are used again."""
    with suppress(ChildProcessError):  # a child that has ended stays a zombie until asked for
        os.waitpid(pid, os.WNOHANG)
    stat = Path(f"/proc/{pid}/stat")
    if stat.parent.parent.joinpath("self").exists():
        try:
            return _born(stat.read_text())
        except OSError:
            return None
    shown = subprocess.run(
        ["ps", "-o", "state=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return _born(shown.stdout)


def _born(shown: str) -> str | None:
    """Read when a process began out of its line in /proc or from ps; None if that says it has ended."""
    if ")" in shown:
        state, *numbers = shown.rpartition(")")[2].split()
        # In a container whose process 1 reaps nobody, what has ended stays a zombie for good.
        return None if state in "ZX" else numbers[18]
    state, _, born = shown.strip().partition(" ")
    return None if state.startswith("Z") else born.strip() or None


def _end(mark: _ServerProcess) -> bool:
    if not mark.born or _birth(mark.pid) != mark.born:
        return False
    for order in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.kill(mark.pid, order)
        deadline = time.monotonic() + _STOP_SECONDS
        while time.monotonic() < deadline:
            if _birth(mark.pid) != mark.born:
                return True
            time.sleep(0.05)
    raise UserError(
        f"process {mark.pid}", "Label Studio can't be ended", "it hangs in the system: see its disk"
    )
