"""The report: one self-contained HTML file that shows a workspace or a release.

Thumbnails and heading curves are embedded, so that the file can be sent and opened anywhere; full-size
keyframes are opened from their files if these still exist. Text by models and people is passed as JSON
and shown as text only.
"""

import base64
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
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
_BATCH = 40  # clips whose images are in one block: parsed when the first of them comes into view


def write_report(
    gallery: Gallery, target: Path, progress: Callable[[int, int], None] = lambda done, total: None
) -> Path:
    """Write the page of a gallery and return its path; raise UserError if the path is a folder."""
    if target.is_dir():
        raise UserError(str(target), "is a folder", "name a file, such as report.html")
    text = render(gallery, target.parent, progress)
    write_atomic(target, text.encode())
    return target


def render(
    gallery: Gallery, beside: Path, progress: Callable[[int, int], None] = lambda done, total: None
) -> str:
    """Return the page; paths of full-size keyframes are relative to the folder `beside`."""
    style, script = asset("report.css"), asset("report.js")
    strips, sizes = _strips(gallery.clips, progress)
    clips = [
        clip.as_json() | {"film": size, "full": _full(clip, beside)}
        for clip, size in zip(gallery.clips, sizes, strict=True)
    ]
    return template("report.html.j2").render(
        gallery=gallery,
        version=__version__,
        plots=[(plot.title, plot.note, Markup(plot.svg)) for plot in gallery.plots],
        most=max([level.count for level in gallery.funnel] + [1]),
        style=Markup(style),
        script=Markup(script),
        script_digest=csp_digest(script),
        style_digest=csp_digest(style),
        clips=Markup(json_for_script(clips)),
        batch=_BATCH,
        images=[Markup(json_for_script(block)) for block in _blocks(gallery.clips, strips)],
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


def _blocks(
    clips: Sequence[ClipCard], strips: Sequence[str | None]
) -> Iterator[list[tuple[str | None, str]]]:
    """Yield the filmstrips and heading curves, a batch of clips at a time."""
    for start in range(0, len(clips), _BATCH):
        curves = [clip.curve() for clip in clips[start : start + _BATCH]]
        yield list(zip(strips[start : start + _BATCH], curves, strict=True))


def json_for_script(value: Any) -> str:
    """Return JSON for a script element, which it can neither close nor turn into a comment."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def asset(name: str) -> str:
    """Return the text of a style sheet or script of the pages."""
    return (_PAGE / name).read_text(encoding="utf-8")


def template(name: str) -> jinja2.Template:
    """Return the template of a page; what it is given is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_PAGE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)


def csp_digest(text: str) -> str:
    """Return the digest by which a page's content security policy allows a style or script."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
