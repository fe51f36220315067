"""The Python environment of the embedded Label Studio server: installed once, in the user's cache.

The server needs its own environment because it pins openai < 2.
"""

import hashlib
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

from filelock import FileLock
from platformdirs import user_cache_path

from pipeline.assets import asset
from pipeline.errors import UserError, ended

logger = logging.getLogger(__name__)

VERSION = "1.23.2"
_LOG_TAIL_LINES = 15
# Django reads settings from variables without a prefix (PORT, HOST, DEBUG, USERNAME ...), so only
# these are passed on.
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT")


def environment() -> Path:
    """Return the folder of the server's environment; install it first if it is missing.

    Its name contains a digest of the pinned versions, so that an environment in use never changes.
    """
    pins = asset("constraints-label-studio.txt")
    stamp = hashlib.sha256(pins.read_bytes()).hexdigest()[:8]
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    home = cache() / f"label-studio-{VERSION}-py{python}-{stamp}"
    ready = home / "egost-ready"
    if ready.exists():
        return home
    cache().mkdir(parents=True, exist_ok=True)
    with FileLock(cache() / f".{home.name}.lock", fallback_to_soft=False):
        if ready.exists():
            return home
        shutil.rmtree(home, ignore_errors=True)  # left by an installation that was killed
        logger.info(
            "installing Label Studio %s into %s (1 GB, 1 to 3 minutes, once)", VERSION, home
        )
        log = cache() / f"{home.name}.log"
        for command in _install_commands(home, pins):
            _command(command, log, "installing Label Studio", dict(os.environ))
        logger.info("preparing its empty database (half a minute, once)")
        # The command `version` migrates and exits; `--version` would start a server on 0.0.0.0.
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
    """Return the user's cache folder for this program, shared by all workspaces."""
    return user_cache_path("egost", appauthor=False).absolute()


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
    """Run a command; its output goes to the terminal if there is one, otherwise to the log."""
    with log.open("ab") as out:
        # An active virtual environment must not change where the server is installed.
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
            f"{' '.join(command[:3])} ... {ended(done.returncode)}:",
            f"see {log}; check the network and the disk, then run this again",
            tail(log),
        )


def clean(home: Path) -> dict[str, str]:
    """Return the server's environment variables: none of the user's own, no telemetry, HOME = `home`."""
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
