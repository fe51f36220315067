"""Clips of a release's spans for the `video` arm, cut from the source videos and mirrored where the release is."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from io import BytesIO
from pathlib import Path

import av

from pipeline.engine.folder import WorkspaceFolder
from pipeline.errors import RowError
from pipeline.evaluate.spans import SourceSpan, cutting
from pipeline.models.abilities import COLOURS
from pipeline.models.chat import PromptVideo
from pipeline.video.reviewclip import Excerpt, Form, clip_name, colours_shown, keep_clip

log = logging.getLogger(__name__)

# Servers take one or two frames a second out of a clip; more only make the request larger.
DEFAULT_FPS = 8.0
_KEPT = 4  # of a span's items, one follows the other


@dataclass(frozen=True)
class Clips:
    """The clips of one release in one form, by the name that the release gives to a span."""

    form: Form
    paths: Mapping[str, Path]

    def of(self, name: str) -> PromptVideo:
        """Return the clip of a span."""
        return _read(self.paths[name])

    def colours(self, names: Sequence[str]) -> PromptVideo:
        """Return a film of plain colours in the size and form of these clips, a second each."""
        one = self.of(next(iter(self.paths)))
        colours = [COLOURS[name] for name in names]
        return _measured(colours_shown(colours, one.width, one.height, self.form))


def clips_form(pixels: int, fps: float | None) -> Form:
    """Return the form of clips with this longest side, and with so many frames a second."""
    return Form(pixels, fps=Fraction(str(fps or DEFAULT_FPS)))


def cut_clips(
    spans: Mapping[str, SourceSpan],
    form: Form,
    folder: Path,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Clips:
    """Cut the clip of each span into `folder` unless it is there; one that can't be cut is left out.

    `progress` gets the number of clips, if any is cut.
    """
    place = WorkspaceFolder(folder)
    excerpts = {
        name: Excerpt(one.sha256, one.start_us, one.end_us, one.rotation, one.mirrored)
        for name, one in spans.items()
    }
    paths = {name: place.media_path(clip_name(one, form)) for name, one in excerpts.items()}
    if all(path.exists() for path in paths.values()):
        return Clips(form, paths)
    with cutting(folder):
        for done, (name, one) in enumerate(excerpts.items(), start=1):
            try:
                keep_clip(place, spans[name].path, one, form)
            except RowError as error:
                log.warning("a clip of %s is left out: %s", spans[name].path.name, error)
                del paths[name]
            progress(done, len(excerpts))
    return Clips(form, paths)


@lru_cache(_KEPT)
def _read(path: Path) -> PromptVideo:
    return _measured(path.read_bytes())


def _measured(data: bytes) -> PromptVideo:
    with av.open(BytesIO(data)) as file:
        film = file.streams.video[0]
        return PromptVideo(data, film.width, film.height, film.frames)
