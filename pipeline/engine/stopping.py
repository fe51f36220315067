"""SIGTERM, which schedulers send, as an interrupt: a command ends as after Ctrl-C, with a line about how to go on."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def stoppable() -> Iterator[None]:
    """Raise KeyboardInterrupt on SIGTERM, as on Ctrl-C; for the main thread, also as a decorator.

    Ctrl-C is set up anew, unless it is ignored: a library that the trainers import takes SIGINT over.
    """
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
