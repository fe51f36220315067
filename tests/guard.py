"""What the network guard raises; apart, as two files called conftest can't both be imported."""


class BlockedError(RuntimeError):
    """A test tried to reach another machine."""
