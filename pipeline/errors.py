"""The two kinds of expected errors: one that the user has to fix, one that concerns a single unit.

    EgostError
    ├── UserError     the command stops, exit code 2: something must change first
    │   ├── MistakesError  several at once, such as all wrong lines of a manifest
    │   └── GateError      exit code 3: a condition that a release must meet is not met
    └── RowError      this unit only: it becomes a row in `rejections`, the run goes on

Any other exception is a bug and ends in a traceback and exit code 1.
"""

import logging
import signal
from collections.abc import Iterable


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


class EgostError(Exception):
    """The base class of every error that this package raises on purpose."""


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
    stalled): the unit counts as failed and the next run retries it.
    """

    def __init__(self, what: str, fix: str, *, again: bool = False) -> None:
        super().__init__(what, fix, again)
        self.what, self.fix, self.again = what, fix, again

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle the error with its keyword argument, which the default would lose."""
        return _row_error, (self.what, self.fix, self.again)

    def __str__(self) -> str:
        return f"{self.what} (fix: {self.fix})"


def _row_error(what: str, fix: str, again: bool) -> RowError:
    return RowError(what, fix, again=again)


def warnings_to_stderr() -> None:
    """Log warnings and errors of this process to stderr."""
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING, force=True)
    logging.addLevelName(logging.WARNING, "warning")
