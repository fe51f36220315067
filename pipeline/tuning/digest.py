"""The digest of a model's folder: it tells models apart that are put at the same path, without reading all weights."""

import hashlib
import json
import struct
from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import UserError

# Of each weight: training changes nearly all values of those that it trains.
_BYTES_OF_WEIGHT = 1024
_WHOLE_BYTES = 32 * 2**20  # files up to this size are read whole: settings, words, tiny models
_END_BYTES = 2**20  # of both ends of larger files that aren't safetensors
_LONGEST_HEADER = 100 * 2**20  # as safetensors itself allows
_SUFFIXES = (".json", ".jinja", ".txt", ".model", ".safetensors", ".bin")


def model_digest(folder: Path) -> str:
    """Return the SHA-256 of a model's files: settings and words whole, and the beginning of each weight.

    Raise UserError if a file can't be read.
    """
    digest = hashlib.sha256()
    for path in sorted(one for one in folder.iterdir() if one.suffix in _SUFFIXES):
        try:
            size = path.stat().st_size
            digest.update(f"{path.name} {size}\n".encode())
            for part in _parts(path, size):
                digest.update(part)
        except (OSError, ValueError, LookupError, TypeError, AttributeError, struct.error) as error:
            what = f"can't be read: {error}"
            raise UserError(str(path), what, "copy the model again") from error
    return digest.hexdigest()


def _parts(path: Path, size: int) -> Iterator[bytes]:
    if size <= _WHOLE_BYTES:
        yield path.read_bytes()
        return
    with path.open("rb") as file:
        if path.suffix != ".safetensors":
            yield file.read(_END_BYTES)
            file.seek(-_END_BYTES, 2)
            yield file.read()
            return
        (length,) = struct.unpack("<Q", file.read(8))
        if length > _LONGEST_HEADER:
            raise ValueError(f"its header has {length} bytes")
        header = file.read(length)
        yield header
        for name, about in sorted(json.loads(header).items()):
            if name != "__metadata__":
                start, end = about["data_offsets"]
                file.seek(8 + length + start)
                yield file.read(min(_BYTES_OF_WEIGHT, end - start))
