"""What errors of libraries mean where the user has to act: a full disk, and images that can't be decoded."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from pipeline.errors import DISK_FULL, EgostError, UserError
from pipeline.tuning.images import damaged

# What writes weights has errors of its own, and tokenizers a bare Exception: they are known by their words.
_FULL = (
    "No space left on device",
    "File too large",
    "Disk quota exceeded",
    *(f"(os error {number})" for number in sorted(DISK_FULL)),
    "inline_container",  # torch's writer of archives, which gives no reason
)


class Explained:
    """Raises UserError instead of what a library raises; no `except`, since libraries raise bare Exceptions too."""

    def __init__(self, folder: Path, rows: Sequence[Mapping[str, Any]] = ()) -> None:
        """Take the folder that is written to, and the rows whose images are read."""
        self._folder, self._rows = folder, rows

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Raise what the error means, if that is known."""
        if not isinstance(error, Exception) or isinstance(error, EgostError):
            return
        found = None
        if _is_full(error):
            what = "can't be written: the disk is full, or a quota or a limit on files is reached"
            fix = "free some space and run the same command again: it goes on from the last whole checkpoint"
            found = UserError(str(self._folder), what, fix)
        elif isinstance(error, OSError | SyntaxError):  # as PIL's are
            found = damaged(self._rows, thoroughly=True)
        if found:
            raise found from error


def _is_full(error: Exception) -> bool:
    if getattr(error, "errno", None) in DISK_FULL:
        return True
    return any(words in str(error) for words in _FULL)
