"""The two kinds of expected errors: one that the user has to fix, one that concerns a single unit.

    EgostError
    ├── UserError     the command stops, exit code 2: something must change first
    │   ├── MistakesError  several at once, such as all wrong lines of a manifest
    │   └── GateError      exit code 3: a condition that a release must meet is not met
    └── RowError      this unit only: it becomes a row in `rejections`, the run goes on

Any other exception is a bug. In the work on a unit it becomes that unit's failure, with the
traceback in the workspace's errors.log; elsewhere it ends in a traceback and exit code 1.
"""

import errno
import logging
import os
import re
import signal
from collections.abc import Iterable
from typing import Any

DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
NOT_WRITABLE = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


def plain(text: str) -> str:
    """Return a text with control characters escaped: a file name may contain line breaks or escape codes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def ended(exit_code: int) -> str:
    """Return how another program ended, as words: `exited with 1`, `was killed by SIGSEGV`."""
    if exit_code >= 0:
        return f"exited with {exit_code}"
    try:
        return f"was killed by {signal.Signals(-exit_code).name}"
    except ValueError:  # a real-time signal has no name
        return f"was killed by signal {-exit_code}"


SECRET_NAME = re.compile(r"(?<![a-z])(api)?(key|token|secret|password)$", re.IGNORECASE)
_SHORTEST_SECRET = 8  # characters; a shorter value would also be found in other words


def masked(text: str) -> str:
    """Return a text to be logged without secrets.

    These are the values of environment variables named like one, such as OPENAI_API_KEY, and the
    user and password of an address.
    """
    for name, value in os.environ.items():
        if SECRET_NAME.search(name) and len(value) >= _SHORTEST_SECRET:
            text = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", "***", text)
    return re.sub(r"(\w+://)[^/@\s]*@", r"\1***@", text)


class EgostError(Exception):
    """The base class of every error that this package raises on purpose."""

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle any error, whatever its class needs to be made: a process pool returns it so."""
        return _unpickled, (type(self), self.args, self.__dict__)


def _unpickled(
    kind: type[EgostError], args: tuple[object, ...], state: dict[str, Any]
) -> EgostError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


class UserError(EgostError):
    """Something that the user has to change: where it is, what is wrong, how to fix it.

    `log` holds another program's last lines, which are shown below.
    """

    exit_code = 2

    def __init__(self, where: str, what: str, fix: str, log: Iterable[str] = ()) -> None:
        super().__init__(where, what, fix)
        self.where, self.what, self.fix, self.log = where, what, fix, tuple(log)

    def __str__(self) -> str:
        log = "".join(f"\n    {plain(line)}" for line in self.log)
        return f"error: {plain(self.where)}: {plain(self.what)}{log}\n  fix: {plain(self.fix)}"


class MistakesError(UserError):
    """Several errors at once; `where`, `what` and `fix` are those of the first."""

    _SHOWN = 20  # as many as a person fixes in one go

    def __init__(self, errors: Iterable[UserError]) -> None:
        self.errors = tuple(errors)
        first = self.errors[0]
        super().__init__(first.where, first.what, first.fix)

    def __str__(self) -> str:
        shown = [str(error) for error in self.errors[: self._SHOWN]]
        rest = len(self.errors) - len(shown)
        return "\n".join([*shown, *([f"and {rest} more of this kind"] if rest else [])])


class GateError(UserError):
    """A gate failed, or too many units of a stage failed."""

    exit_code = 3


class RowError(EgostError):
    """One unit can't be used or could not be finished.

    With `again=False` the input is at fault (a text file called x.mp4): the unit counts as rejected
    and is not retried until its input changes. With `again=True` the attempt failed (a server
    stalled): the unit counts as failed and the next run retries it. `trace` is the traceback of an
    error that nobody expected.
    """

    def __init__(self, what: str, fix: str, *, again: bool = False, trace: str = "") -> None:
        super().__init__(what, fix)
        self.what, self.fix, self.again, self.trace = what, fix, again, trace

    def __str__(self) -> str:
        return f"{self.what} (fix: {self.fix})"


def warnings_to_stderr() -> None:
    """Log warnings and errors of this process to stderr."""
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING, force=True)
    logging.addLevelName(logging.WARNING, "warning")
