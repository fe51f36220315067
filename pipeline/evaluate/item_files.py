"""Items in another benchmark's file, such as the reference's: what is asked about whole videos that they name."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from pipeline.blind.files import read_benchmark
from pipeline.blind.sheet import ProbeItem
from pipeline.engine.folder import write_atomic
from pipeline.errors import RowError, UserError
from pipeline.evaluate.scoring import Question
from pipeline.releases.hydrate import files_under
from pipeline.releases.layout import LETTERS, file_digest
from pipeline.releases.settings import StillsSettings
from pipeline.releases.stills import cut, encode, evenly
from pipeline.video import properties

SPLIT = "test"
FRAMES, WIDTH = 8, 448
"""What the reference shows of a video: the middle frames of so many equal parts, so many pixels wide."""
_FIX = "name the folder with the videos, under the names that the file has"


@dataclass(frozen=True)
class ItemFile:
    """The multiple-choice items of a file; `folder` has their frames, if they were cut.

    It has what an evaluation reads of a release: a manifest, a version and splits. `sha256` is the file's.
    """

    path: Path
    sha256: str
    questions: tuple[Question, ...]
    folder: Path
    notes: tuple[str, ...] = ()
    splits = (SPLIT,)

    @property
    def version(self) -> str:
        """The first digits of the file's digest: such files have no version."""
        return self.sha256[:12]

    @property
    def manifest(self) -> dict[str, Any]:
        """Return what a release's manifest says of its name and its splits; no answer is withheld."""
        return {"dataset": self.path.stem, "withheld": (), "items": {SPLIT: len(self.questions)}}


def open_file(path: Path) -> ItemFile:
    """Read a file of multiple-choice items; raise UserError if it has none, or ids that are not unique."""
    found = read_benchmark(path)
    found.check_most()
    if found.without_items:
        raise UserError(str(path), "has no multiple-choice items", "name a file that has some")
    if many := [one for one, count in Counter(one.id for one in found.items).items() if count > 1]:
        what = f"{len(many)} ids are used more than once, such as {many[0]}"
        raise UserError(str(path), what, "give each item an id of its own")
    if long := next((one for one in found.items if len(one.options) > len(LETTERS)), None):
        what = f"item {long.id} has {len(long.options)} options"
        raise UserError(str(path), what, f"{len(LETTERS)} at most can be asked for")
    return ItemFile(
        path,
        file_digest(path),
        tuple(map(_question, found.items)),
        path.parent,
        tuple(f"note: {line}" for line in found.notes()),
    )


def _question(item: ProbeItem) -> Question:
    return Question(
        id=item.id,
        split=SPLIT,
        task=item.task or SPLIT,
        category=item.task or SPLIT,
        orientation=item.orientation,
        contrast=item.contrast or None,
        split_group=item.group,
        video=item.clip,
        question=item.question,
        options=item.options,
        answer=LETTERS[item.answer],
        frames=(),
        frame_seconds=(),
        seconds=0.0,
    )


def with_frames(
    items: ItemFile,
    videos: Iterable[Path],
    out: Path,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> ItemFile:
    """Cut the frames of every video that is there into a folder of `out`; what is cut already is kept.

    `videos` are files or folders, in which a video is found by its name. Items without a whole video are left
    out and noted. Raise UserError if none is left, or if two files have the name.
    """
    folder = out / f"frames-{items.sha256[:12]}-{FRAMES}"
    named = _by_name(videos)
    asked: dict[str, list[Question]] = defaultdict(list)
    for question in items.questions:
        asked[question.video].append(question)
    shown: dict[str, Question] = {}
    faults: list[str] = []
    for done, (video, questions) in enumerate(asked.items(), start=1):
        path = _file_of(video, named)
        try:
            found = _shown(questions, path, folder) if path else ()
            shown |= {one.id: one for one in found}
        except RowError as error:
            faults.append(f"note: {path} can't be read: {error.what}")
        progress(done, len(asked))
    if not shown:
        first = _name(next(iter(asked)))
        what = f"none of the videos is there or can be read, such as {first}"
        raise UserError("--videos", what, _FIX)
    notes = [*items.notes, *faults]
    if left_out := len(items.questions) - len(shown):
        notes.append(f"note: {left_out} items are left out: their videos are not there")
    kept = tuple(shown[one.id] for one in items.questions if one.id in shown)
    return replace(items, questions=kept, folder=folder, notes=tuple(notes))


def _by_name(videos: Iterable[Path]) -> dict[str, list[Path]]:
    """Return the files by their names, with and without the ending."""
    found: dict[str, list[Path]] = defaultdict(list)
    for path in files_under(videos):
        for name in {path.name, path.stem}:
            found[name].append(path)
    return found


def _file_of(video: str, named: dict[str, list[Path]]) -> Path | None:
    """Return the file of a video that is named by a path on its authors' machine; None if it isn't there."""
    paths = named.get(_name(video), ())
    if len(paths) > 1:
        both = " and ".join(map(str, paths[:2]))
        raise UserError("--videos", f"{_name(video)} may be {both}", "leave one of them out")
    return paths[0] if paths else None


def _name(video: str) -> str:
    return PurePosixPath(video.replace("\\", "/")).name


def _shown(questions: Sequence[Question], path: Path, folder: Path) -> list[Question]:
    """Cut the frames of a video and return the questions about it with them; raise RowError if it can't be read."""
    length_us = properties.probe(path).duration_us
    times = evenly(0, length_us, FRAMES)
    names = [f"{file_digest(path)[:32]}/{number:04}.jpg" for number in range(FRAMES)]
    missing = [
        (at, name) for at, name in zip(times, names, strict=True) if not (folder / name).exists()
    ]
    settings = StillsSettings.model_validate({"width": WIDTH})
    for frame, name in cut(path, missing, 0) if missing else ():
        write_atomic(folder / name, encode(frame, settings, mirrored=False)[0])
    seconds = tuple(at / 1e6 for at in times)
    return [
        replace(one, frames=tuple(names), frame_seconds=seconds, seconds=length_us / 1e6)
        for one in questions
    ]
