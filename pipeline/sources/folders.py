"""Files and folders of videos: which of them count, and which are hidden, trash or a system's own."""

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from pipeline.engine.config import CONFIG_NAME
from pipeline.sources.names import VIDEO_SUFFIXES

# Folders that systems keep for deleted files, snapshots and previews: what people withdrew is there.
# In lower case; names that begin with a dot need no entry.
_SYSTEM_FOLDERS = {
    *("$recycle.bin", "recycler", "recycled", "system volume information", "$extend"),  # Windows
    *("__macosx", "network trash folder", "temporary items"),  # macOS
    "lost+found",  # Linux
    *("@eadir", "#recycle", "#snapshot", "@sharesnap", "@tmp"),  # Synology
    *("@recycle", "@recently-snapshot", "@__thumb"),  # QNAP
    *("~snapshot", "~snapsht"),  # NetApp
}
_SYSTEM_PREFIXES = (".", "@gmt-", "found.0")  # hidden; previous versions; chkdsk
CLIPS_INDEX = "review-clips.csv"  # marks a folder of review clips, which are not input videos
_WORKSPACE_FOLDERS = {"label-studio", "media", "pictures", "releases", "repaired", "tables"}


@dataclass
class Walked:
    """What is below a folder: the paths to look at, and what was left out because it is hidden."""

    paths: list[Path] = field(default_factory=list)
    hidden_folders: list[Path] = field(default_factory=list)
    hidden_files: list[Path] = field(default_factory=list)


def is_hidden(name: str) -> bool:
    """Return whether a folder or file of this name is hidden, trash, or a system's own."""
    lowered = name.casefold()
    return lowered.startswith(_SYSTEM_PREFIXES) or lowered in _SYSTEM_FOLDERS


def is_reached(path: PurePath, root: PurePath) -> bool:
    """Return whether a walk of `root` reaches the folder of `path`, which is below it."""
    return not any(is_hidden(part) for part in path.relative_to(root).parts[:-1])


def walk(root: Path) -> Walked:
    """Return what is below a folder; a root that is hidden itself was named on purpose, and is searched.

    A link to a folder (possibly circular), a folder named x.mp4 and one that can't be opened are among
    the paths, so that they are rejected by name later.
    """
    found, unreadable = Walked(), list[Path]()
    for folder, folders, files in os.walk(
        root, onerror=lambda error: unreadable.append(Path(error.filename))
    ):
        here = Path(folder)
        if CLIPS_INDEX in files:
            folders.clear()
            continue
        if CONFIG_NAME in files:  # a workspace: its review clips are not input videos
            folders[:] = [
                name
                for name in folders
                if here == root and name not in _WORKSPACE_FOLDERS and not is_hidden(name)
            ]
            files = [name for name in files if here == root and not is_hidden(name)]
        found.hidden_folders += (here / name for name in sorted(folders) if is_hidden(name))
        folders[:] = sorted(name for name in folders if not is_hidden(name))
        for name in folders:
            if Path(name).suffix.lower() in VIDEO_SUFFIXES or (here / name).is_symlink():
                found.paths.append(here / name)
        for name in sorted(files):
            (found.hidden_files if name.startswith(".") else found.paths).append(here / name)
    found.paths += unreadable
    return found


def readable(path: Path) -> str:
    """Return a path as text, with escapes such as `\\xff` for bytes that are not UTF-8."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def sha256_of(file: Path) -> str:
    """Return the SHA-256 of a file's content."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
