"""The folder of a workspace: the paths of its files, media named by digest, atomic writes."""

import hashlib
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedWriter
from pathlib import Path


@dataclass(frozen=True)
class WorkspaceFolder:
    """The paths of one workspace. Cheap to copy into another process."""

    root: Path

    @property
    def config(self) -> Path:
        """The settings file."""
        return self.root / "egost.toml"

    @property
    def done(self) -> Path:
        """The database of finished units: the source of truth."""
        return self.root / "done.sqlite"

    @property
    def lock(self) -> Path:
        """Locked while a command runs; names that command."""
        return self.root / ".lock"

    @property
    def runs(self) -> Path:
        """The log of the commands that were run here, one JSON line each."""
        return self.root / "runs.jsonl"

    @property
    def errors(self) -> Path:
        """The tracebacks of errors that nobody expected."""
        return self.root / "errors.log"

    @property
    def media(self) -> Path:
        """Keyframes and review clips, named by digest; the only folder that is served."""
        return self.root / "media"

    @property
    def tables(self) -> Path:
        """The Parquet tables, rebuilt from done.sqlite."""
        return self.root / "tables"

    @property
    def releases(self) -> Path:
        """One folder per released version."""
        return self.root / "releases"

    @property
    def unfinished(self) -> Path:
        """Files being written; the next run deletes what a killed run left here."""
        return self.root / ".unfinished"

    def media_path(self, name: str) -> Path:
        """Return the file of a media name such as `ab/ab12….jpg`."""
        return self.media / name

    def keep(self, data: bytes, suffix: str) -> str:
        """Store bytes under their digest and return the media name; bytes stored before aren't rewritten."""
        name = media_name(data, suffix)
        target = self.media_path(name)
        if not (target.exists() and target.stat().st_size == len(data)):
            write_atomic(target, data, via=self.unfinished)
        return name

    def secret(self) -> bytes:
        """Return the secret seed for composing: drawn once, stored with mode 0600, never released."""
        path = self.root / "secret"
        if not path.exists():
            write_atomic(path, secrets.token_hex(32).encode(), mode=0o600)
        return path.read_bytes()


def media_name(data: bytes, suffix: str) -> str:
    """Return the media name of these bytes, which contains the start of their sha256."""
    hexdigest = hashlib.sha256(data).hexdigest()
    return f"{hexdigest[:2]}/{hexdigest[:32]}{suffix}"


def write_atomic(path: Path, data: bytes, *, mode: int = 0o644, via: Path | None = None) -> None:
    """Write a file atomically; `mode` and `via` are those of `replacing`."""
    with replacing(path, mode=mode, via=via) as file:
        file.write(data)


@contextmanager
def replacing(
    path: Path, *, mode: int = 0o644, via: Path | None = None
) -> Iterator[BufferedWriter]:
    """Open a file to be written atomically: a temporary file, flushed to disk, then renamed.

    `via` is the folder of the temporary file, on the same disk; by default that of `path`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    via = via or path.parent
    via.mkdir(parents=True, exist_ok=True)
    try:
        handle, temporary = tempfile.mkstemp(dir=via, prefix=".tmp-")
    except OSError as error:
        error.filename = str(path)  # not the name that was made up
        raise
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            os.fchmod(file.fileno(), mode)
        Path(temporary).replace(path)
    except BaseException as error:
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)  # the error of a full disk names no file
        Path(temporary).unlink(missing_ok=True)
        raise
