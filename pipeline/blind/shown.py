"""Lines with a test's own texts, as they are shown: nothing that steers a terminal, no endless words. Pure."""

import re

from pipeline.errors import plain

_LONGEST = 80
_LONG = re.compile(rf"\S{{{_LONGEST + 1},}}")


def shown(line: str) -> str:
    """Return a line with control and invisible characters escaped, and words of more than 80 characters cut."""
    return _LONG.sub(lambda found: f"{found.group()[: _LONGEST - 3]}...", plain(line))
