"""The environment that the embedded Label Studio server runs in: made once per machine, in the user's cache.

The server needs one of its own (it pins openai < 2).
"""

import fcntl
import hashlib
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.assets import asset
from pipeline.errors import UserError

logger = logging.getLogger(__name__)

VERSION = "1.23.2"
_LOG_TAIL_LINES = 15
# Django reads its settings bare (PORT, HOST, DEBUG, USERNAME ...): only these names are passed on.
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT")


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
    with locked(cache() / f".{home.name}.lock"):
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
            clean(home) | template,
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
            f"{' '.join(command[:3])} ... ended with {done.returncode}:",
            f"see {log}, check network and disk, then run this again",
            tail(log),
        )


def clean(home: Path) -> dict[str, str]:
    """Return the variables of the server's process: nothing of ours, no telemetry, `home` as its home."""
    passed = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return passed | {
        "HOME": str(home),
        "COLLECT_ANALYTICS": "false",
        "SENTRY_DSN": "",
        "FRONTEND_SENTRY_DSN": "",
        "LATEST_VERSION_CHECK": "false",
    }


def tail(log: Path) -> list[str]:
    """Return the last lines of a log."""
    return log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LOG_TAIL_LINES:]


@contextmanager
def locked(path: Path) -> Iterator[int]:
    """Wait until nobody else is in here; yield the handle of the lock."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock.fileno()
