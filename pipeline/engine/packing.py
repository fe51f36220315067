"""Rows of one unit as one value of the database: lines of JSON, compressed where they are many. Pure."""

import gzip
import io
import zlib
from collections.abc import Iterable, Sequence

_LARGE = 2**20  # bytes of JSON of one unit from which on they are compressed


def pack(lines: Sequence[bytes]) -> bytes:
    """Return lines of JSON as one value; many of them compressed, to an eighth.

    The items of 100,000 clips are 575 MB of JSON: SQLite would copy them twice, and takes 1 GB at most.
    """
    if sum(map(len, lines)) < _LARGE:
        return b"\n".join(lines)
    packer = zlib.compressobj(level=1, wbits=zlib.MAX_WBITS + 16)
    packed = [packer.compress(line + b"\n") for line in lines]
    return b"".join([*packed, packer.flush()])


def lines_of(body: bytes) -> Iterable[bytes]:
    """Return the lines of a packed value."""
    return io.BytesIO(body) if body.startswith(b"{") else gzip.open(io.BytesIO(body))
