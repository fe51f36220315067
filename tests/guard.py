"""The error of the network guard; not in conftest.py, since two files of that name can't both be imported."""


class BlockedError(RuntimeError):
    """A test tried to reach another machine."""
