"""Whether the images of rows can be decoded."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from pipeline.errors import UserError

# How the files of each format begin and end; one that was cut off, or filled with zeros, doesn't end so.
_ENDS = ((b"\xff\xd8\xff", b"\xff\xd9"), (b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"))
_LONGEST_END = 8


def damaged(rows: Iterable[Mapping[str, Any]], *, thoroughly: bool = False) -> UserError | None:
    """Return an error that names the first row with an image that can't be decoded, and its file; None if there is none.

    Otherwise than `thoroughly`, images that begin and end as they should aren't decoded: a million then take minutes, not hours.
    """
    seen: set[str] = set()
    for row in rows:
        for name in row["images"]:
            if name in seen:
                continue
            seen.add(name)
            path = Path(name)
            try:
                if thoroughly or not _is_whole(path):
                    with Image.open(path) as image:
                        image.load()
            # A damaged header can raise nearly anything; a picture of too many pixels is an error or a warning.
            except (
                OSError,
                SyntaxError,
                ValueError,
                Warning,
                Image.DecompressionBombError,
            ) as error:
                what = f"can't be decoded, and row {row['id']} has it: {error}"
                fix = "delete it and run egost train rows again, which makes it anew"
                return UserError(name, what, fix)
    return None


def _is_whole(path: Path) -> bool:
    with path.open("rb") as file:
        begin = file.read(_LONGEST_END)
        size = file.seek(0, 2)
        file.seek(max(0, size - _LONGEST_END))
        end = file.read()
    return any(begin.startswith(first) and end.endswith(last) for first, last in _ENDS)
