"""The report: one HTML file that shows a workspace or a release, pictures first, with nothing to load.

Small pictures are embedded, so that the file can be sent and opened anywhere; a keyframe in full size
is opened from beside the file where it is still there. Whatever a model or a person wrote reaches the
page as JSON and is shown as text alone.
"""

import base64
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from pipeline import __version__
from pipeline.engine.folder import write_atomic
from pipeline.errors import UserError
from pipeline.report.film import chosen, films, width_for
from pipeline.report.gallery import ClipCard, Gallery

_PAGE = Path(__file__).parent
_BATCH = 40  # strips in one block of the page: read when the first of its clips comes into view


def write_report(
    gallery: Gallery, target: Path, progress: Callable[[int, int], None] = lambda done, total: None
) -> Path:
    """Write the page of a gallery and return its path; raise UserError where it can't be written."""
    if target.is_dir():
        raise UserError(str(target), "is a folder", "name a file, such as report.html")
    text = render(gallery, target.parent, progress)
    write_atomic(target, text.encode())
    return target


def render(
    gallery: Gallery, beside: Path, progress: Callable[[int, int], None] = lambda done, total: None
) -> str:
    """Return the page; paths to full-size pictures are relative to the folder `beside`."""
    style = (_PAGE / "report.css").read_text(encoding="utf-8")
    script = (_PAGE / "report.js").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_PAGE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    strips, sizes = _strips(gallery.clips, progress)
    clips = [
        clip.as_json() | {"film": size, "full": _full(clip, beside)}
        for clip, size in zip(gallery.clips, sizes, strict=True)
    ]
    return environment.get_template("report.html.j2").render(
        gallery=gallery,
        version=__version__,
        plots=[(plot.title, plot.note, Markup(plot.svg)) for plot in gallery.plots],
        most=max([level.count for level in gallery.funnel] + [1]),
        style=Markup(style),
        script=Markup(script),
        script_digest=_csp(script),
        style_digest=_csp(style),
        clips=Markup(_json(clips)),
        batch=_BATCH,
        strips=[Markup(_json(part)) for part in _parts(strips)],
    )


def _strips(
    clips: Sequence[ClipCard], progress: Callable[[int, int], None]
) -> tuple[list[str | None], list[list[int] | None]]:
    picked = [
        [clip.frames[position].path for position in chosen(len(clip.frames))] for clip in clips
    ]
    width = width_for(sum(map(len, picked)))
    strips: list[str | None] = []
    sizes: list[list[int] | None] = []
    for done, film in enumerate(films(picked, width), start=1):
        strips.append(film.data if film else None)
        sizes.append([film.count, film.width, film.height] if film else None)
        progress(done, len(clips))
    return strips, sizes


def _full(clip: ClipCard, beside: Path) -> list[str]:
    return [
        Path(os.path.relpath(clip.frames[position].path, beside)).as_posix()
        for position in chosen(len(clip.frames))
    ]


def _parts(strips: Sequence[str | None]) -> Iterable[Sequence[str | None]]:
    return (strips[start : start + _BATCH] for start in range(0, len(strips), _BATCH))


def _json(value: Any) -> str:
    """Return JSON that can stand inside a script element: it can neither close it nor open a comment."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def _csp(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
