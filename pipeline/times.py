"""How times of a clip are printed. Pure."""

from functools import lru_cache


def print_time(time_us: int) -> str:
    """Return a clip time as minutes, seconds and tenths: `0:12.4`."""
    return _print_tenths((time_us + 50_000) // 100_000)


@lru_cache(2**12)  # clips are minutes long, so there are only a few hundred different times
def _print_tenths(tenths: int) -> str:
    return f"{tenths // 600}:{tenths % 600 // 10:02d}.{tenths % 10}"
