"""The embedded Label Studio server: its environment, starting, stopping, and who it is.

The server needs an environment of its own (it pins openai < 2). That is made once per machine in
the user's cache; data, secrets and log of a workspace's server lie in `<workspace>/label-studio/`.
"""

import fcntl
import hashlib
import logging
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from pydantic import BaseModel

from pipeline.assets import asset
from pipeline.errors import UserError
from pipeline.store import Place, write_atomic

logger = logging.getLogger(__name__)

VERSION = "1.23.2"
USER = "admin@localhost.local"
PORT = 8080
_HEALTH_SECONDS = 300  # a first start took 28 s on a quiet machine and 187 s on a busy one
_STOP_SECONDS = 20
_LOG_TAIL_LINES = 15
# Django reads its settings bare (PORT, HOST, DEBUG, USERNAME ...): only these names are passed on.
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT")


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


class _Mark(BaseModel):
    """What `server.json` says; `born` tells our process from a later one with the same pid."""

    pid: int
    born: str
    port: int


def folder(place: Place) -> Path:
    """Return the folder of a workspace's server: data, secrets, log."""
    return place.root.absolute() / "label-studio"


def media_folder(place: Place) -> Path:
    """Return the media folder as the server sees it.

    A storage must be a strict subfolder of the document root, and the root is to hold nothing
    but media: so the root is a folder with a single link in it.
    """
    return folder(place) / "served" / "media"


def start(place: Place, port: int = 0) -> Server:
    """Return this workspace's server, started if need be; port 0 means 8080 or else a free one.

    The first start on a machine makes the server's environment (1 GB, minutes). Raises UserError
    for a taken port, a failed installation, or a server that doesn't come up (with its log's tail).
    """
    home = folder(place)
    home.mkdir(parents=True, exist_ok=True)
    home.chmod(0o700)
    with _locked(home / ".lock"):
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
        port = _free_port(port)
        known = _secrets(home)
        _prepare(place, home, program)
        pid = _spawn(program, home, known, port)
        mark = _Mark(pid=pid, born=_birth(pid) or "", port=port)
        write_atomic(home / "server.json", mark.model_dump_json().encode())
        server = Server(f"http://127.0.0.1:{port}", pid, USER, known.password, known.token)
        try:
            _await_health(server, home / "server.log")
        except BaseException:
            _end(mark)
            (home / "server.json").unlink(missing_ok=True)
            raise
        return server


def stop(place: Place) -> bool:
    """Stop this workspace's server and say whether there was one."""
    home = folder(place)
    if not home.exists():
        return False
    with _locked(home / ".lock"):
        mark = _read_mark(home)
        (home / "server.json").unlink(missing_ok=True)
        return mark is not None and _end(mark)


def status(place: Place) -> Server | None:
    """Return this workspace's server if it is running, answering and really ours."""
    server = _alive(folder(place))
    return server if server and _is_ours(server) else None


def environment() -> Path:
    """Return the server's own environment, made on first use with exact versions.

    Its name holds the versions' digest, so that new versions never change one in use.
    """
    pins = asset("constraints-label-studio.txt")
    stamp = hashlib.sha256(pins.read_bytes()).hexdigest()[:8]
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    home = cache() / f"label-studio-{VERSION}-py{python}-{stamp}"
    ready = home / "egost-ready"
    if ready.exists():
        return home
    cache().mkdir(parents=True, exist_ok=True)
    with _locked(cache() / f".{home.name}.lock"):
        if ready.exists():
            return home
        shutil.rmtree(home, ignore_errors=True)  # what a killed installation left
        logger.info(
            "installing Label Studio %s into %s (1 GB, 1 to 3 minutes, once)", VERSION, home
        )
        log = cache() / f"{home.name}.log"
        for command in _install_commands(home, pins):
            _command(command, log, "installing Label Studio", dict(os.environ))
        logger.info("preparing its empty database (half a minute, once)")
        # `version` as a command migrates and ends; `--version` would start a server on 0.0.0.0.
        template = {"LABEL_STUDIO_BASE_DATA_DIR": str(home / "template")}
        _command(
            [str(home / "bin" / "label-studio"), "version"],
            log,
            "preparing Label Studio",
            _clean(home) | template,
        )
        ready.touch()
    return home


def cache() -> Path:
    """Return the folder for what can be made again, shared by all workspaces."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base).absolute() / "egost"


def _install_commands(home: Path, pins: Path) -> list[list[str]]:
    python = str(home / "bin" / "python")
    uv = shutil.which("uv")
    if uv:
        return [
            [uv, "venv", "--python", sys.executable, str(home)],
            [uv, "pip", "install", "--python", python, "--requirements", str(pins)],
        ]
    return [
        [sys.executable, "-m", "venv", str(home)],
        [python, "-m", "pip", "install", "--disable-pip-version-check", "--requirement", str(pins)],
    ]


def _command(command: list[str], log: Path, what: str, env: dict[str, str]) -> None:
    """Run a command; its progress goes to a terminal if there is one, else into the log."""
    with log.open("ab") as out:
        # A virtual environment around us must not decide where the server is installed.
        env = {
            name: value for name, value in env.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")
        }
        shown = sys.stderr.fileno() if sys.stderr.isatty() else out
        done = subprocess.run(
            command, env=env, stdin=subprocess.DEVNULL, stdout=shown, stderr=shown, check=False
        )
    if done.returncode:
        raise UserError(
            what,
            f"{' '.join(command[:3])} ... ended with {done.returncode}:\n{_tail(log)}",
            f"see {log}, check network and disk, then run this again",
        )


def _prepare(place: Place, home: Path, program: Path) -> None:
    data = home / "data"
    data.mkdir(exist_ok=True)
    database = data / "label_studio.sqlite3"
    if not database.exists():
        # Migrated but without users: the server makes its user and its own secret key on start.
        template = program.parent.parent / "template" / database.name
        write_atomic(database, template.read_bytes(), mode=0o600)
    place.media.mkdir(parents=True, exist_ok=True)
    link = media_folder(place)
    link.parent.mkdir(exist_ok=True)
    if not link.is_symlink() or link.resolve() != place.media.resolve():
        link.unlink(missing_ok=True)
        link.symlink_to(Path("..") / ".." / place.media.name)


def _spawn(program: Path, home: Path, known: _Secrets, port: int) -> int:
    env = _clean(home) | {
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
    log = os.open(home / "server.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    null = os.open(os.devnull, os.O_RDONLY)
    try:
        # A session of its own, so that the server outlives this command and its terminal.
        return os.posix_spawn(
            program,
            [str(program), "start", *options],
            env,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, source, target)
                for source, target in ((null, 0), (log, 1), (log, 2))
            ],
            setsid=True,
        )
    finally:
        os.close(log)
        os.close(null)


def _clean(home: Path) -> dict[str, str]:
    passed = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return passed | {
        "HOME": str(home),
        "COLLECT_ANALYTICS": "false",
        "SENTRY_DSN": "",
        "FRONTEND_SENTRY_DSN": "",
        "LATEST_VERSION_CHECK": "false",
    }


def _await_health(server: Server, log: Path) -> None:
    began = time.monotonic()
    while time.monotonic() - began < _HEALTH_SECONDS:
        if _birth(server.pid) is None:
            raise UserError("Label Studio", f"it ended while starting:\n{_tail(log)}", f"see {log}")
        try:
            if httpx.get(f"{server.url}/health", timeout=5).json().get("status") == "UP":
                break
        except (httpx.HTTPError, ValueError):
            pass
        time.sleep(0.25)
    else:
        raise UserError(
            "Label Studio",
            f"not up after {_HEALTH_SECONDS} s:\n{_tail(log)}",
            f"see {log}; a busy machine may only need a second try",
        )
    if not _is_ours(server):
        raise UserError(
            server.url,
            "the server there doesn't know this workspace's key",
            f"delete {log.parent / 'data'} if it came from elsewhere, or choose another port",
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


def _free_port(port: int) -> int:
    """Return a port that nobody listens on: Label Studio itself would take the next one in silence."""
    for candidate in (port,) if port else (PORT, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", candidate))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise UserError(
        f"port {port}", "another program listens there", "choose another --port, or leave it out"
    )


def _secrets(home: Path) -> _Secrets:
    path = home / "secrets.json"
    if not path.exists():
        drawn = _Secrets(password=secrets.token_urlsafe(12), token=secrets.token_hex(20))
        write_atomic(path, drawn.model_dump_json().encode(), mode=0o600)
    return _Secrets.model_validate_json(path.read_bytes())


def _read_mark(home: Path) -> _Mark | None:
    try:
        return _Mark.model_validate_json((home / "server.json").read_bytes())
    except (OSError, ValueError):
        return None


def _birth(pid: int) -> str | None:
    """Return when a process began, or None if it has ended: pids are used again."""
    with suppress(ChildProcessError):  # a child that has ended stays a zombie until asked for
        os.waitpid(pid, os.WNOHANG)
    stat = Path(f"/proc/{pid}/stat")
    if stat.parent.parent.joinpath("self").exists():
        try:
            state, *numbers = stat.read_text().rpartition(")")[2].split()
        except OSError:
            return None
        # In a container whose process 1 reaps nobody, what has ended stays a zombie for good.
        return None if state in "ZX" else numbers[18]
    shown = subprocess.run(
        ["ps", "-o", "state=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    state, _, born = shown.stdout.strip().partition(" ")
    return None if state.startswith("Z") else born.strip() or None


def _end(mark: _Mark) -> bool:
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


def _tail(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join(f"    {line}" for line in lines[-_LOG_TAIL_LINES:])


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
