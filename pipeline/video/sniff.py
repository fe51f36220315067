"""Detecting a file's type from its first bytes, to reject non-videos with a clear message."""

import os
from pathlib import Path

from pipeline.errors import RowError

_IMAGE_STARTS = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"BM": "BMP",
    b"II*\x00": "TIFF",
    b"MM\x00*": "TIFF",
}
_IMAGE_BRANDS = {b"heic", b"heix", b"mif1", b"avif"}


def refuse_by_bytes(path: Path) -> None:
    """Raise RowError for a folder, an empty file, text, an image, or missing permissions.

    FFmpeg would open an image as a video of one frame, and text as subtitles or a playlist.
    """
    try:
        if path.is_dir():
            raise RowError(
                "a folder, not a file", "rename the folder, or move the videos out of it"
            )
        if not path.is_file() and path.exists():
            raise RowError("not a regular file", "use a regular file")
        with path.open("rb") as file:
            start = file.read(4096)
    except PermissionError as error:
        raise RowError("permission denied", "make it readable: chmod u+r FILE") from error
    except FileNotFoundError as error:
        raise RowError(
            "the file is gone", "restore it, or remove it from the list", again=True
        ) from error
    except OSError as error:
        raise RowError(
            f"can't be read: {os.strerror(error.errno or 0)}", "check the link and the disk"
        ) from error
    if not start:
        raise RowError("zero bytes", "copy or download it again")
    for magic, name in _IMAGE_STARTS.items():
        if start.startswith(magic):
            raise RowError(
                f"an image ({name}) with a video's name", "use the video, or remove the image"
            )
    if (start[:4] == b"RIFF" and start[8:12] == b"WEBP") or (
        start[4:8] == b"ftyp" and start[8:12] in _IMAGE_BRANDS
    ):
        raise RowError("an image with a video's name", "use the video, or remove the image")
    if _is_text(start):
        raise RowError("a text file with a video's name", "copy or download the video again")


def _is_text(start: bytes) -> bool:
    try:
        text = start.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(start) - 4:
            return False
        text = start[: error.start].decode("utf-8")
    return all(character.isprintable() or character in "\t\r\n\f\ufeff" for character in text)


def unreadable(path: Path, error: Exception) -> RowError:
    """Return the error for a file that FFmpeg can't open."""
    boxes = _top_boxes(path)
    if b"ftyp" in boxes and b"moov" not in boxes:
        return RowError(
            "no moov box: the recording or the copy was interrupted before the index was written",
            "copy it again from the camera, or let the camera repair it (many do when switched on)",
        )
    what = getattr(error, "strerror", None) or str(error)
    return RowError(f"not a video that FFmpeg can read ({what})", "copy or download it again")


def _top_boxes(path: Path) -> set[bytes]:
    """Return the names of the complete top-level boxes of an MP4 or MOV file."""
    names: set[bytes] = set()
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        at = 0
        while at + 8 <= end and len(names) < 64:
            file.seek(at)
            head = file.read(16)
            size = int.from_bytes(head[:4], "big")
            if size == 1:
                size = int.from_bytes(head[8:16], "big")
            if size < 8 or at + size > end:
                break
            names.add(head[4:8])
            at += size
    return names
