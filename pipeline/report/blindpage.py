"""The page of an audit: one self-contained HTML file on what can be answered without frames, and why."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from markupsafe import Markup

from pipeline import __version__
from pipeline.blind.audit import Audit
from pipeline.blind.causes import ADVICE
from pipeline.blind.explain import ReadOption
from pipeline.blind.sheet import Figure
from pipeline.blind.shown import shown
from pipeline.engine.folder import write_atomic
from pipeline.errors import UserError
from pipeline.report.intervalbar import interval_bar
from pipeline.report.page import asset, csp_digest, template

_OPEN = 5  # items that are shown unfolded
_MOST_WORDS = 150  # of an option
_LONGEST = 80  # characters of a word
_LISTED = 500  # ids of items to remove

_CHIPS = {
    **{"leak": "bad", "no leak found": "good", "too few to tell": "warn"},
    **{"failed": "bad", "met": "good", "unproven": "warn"},
}
_KINDS = {
    "words": "Words: the wording of options tells which is right",
    "length": "Length: the answer is longer or shorter than the other options",
    "letters": "Letters: answers are not spread evenly over A, B, C, ...",
    "order": "Order: the order in which the options are listed tells which is right",
    "structure": "Structure: how an item's options and the items of a clip are built",
    "names": "Names: file names, ids or other published texts tell which option is right",
    "scenes": "Scenes: other items, of the same scene or of others, tell what is true",
    "sense": "Common sense: the answer is what anybody would expect who sees nothing",
    "versions": "Versions: what was kept since the earlier version tells the answer",
}


def page_writer(target: Path) -> Callable[[Audit, str, Sequence[str]], None]:
    """Return a function that writes an audit's page; raise UserError if it can't be written there."""
    if target.is_dir():
        raise UserError(str(target), "is a folder", "name a file, such as blind.html")
    if not target.absolute().parent.is_dir():
        raise UserError(str(target.parent), "no such folder", "create it, or name another file")

    def write(audit: Audit, title: str, notes: Sequence[str]) -> None:
        write_atomic(target, render(audit, title, notes).encode())

    return write


def render(audit: Audit, title: str, notes: Sequence[str] = ()) -> str:
    """Return the page of an audit; `notes` say how the items were read."""
    style = asset("report.css") + asset("blind.css")
    return template("blind.html.j2").render(
        audit=audit,
        title=title,
        notes=notes,
        report=audit.report,
        state=audit.report.state(),
        chips=_CHIPS,
        kinds=_KINDS,
        advice=ADVICE,
        interval=_interval,
        belief=_belief,
        marked=_marked,
        shown=shown,
        open=_OPEN,
        listed=_LISTED,
        version=__version__,
        style=Markup(style),
        style_digest=csp_digest(style),
    )


def _interval(figure: Figure) -> Markup:
    """Return a bar of an accuracy."""
    return interval_bar(figure.accuracy, figure.low, figure.high, figure.chance)


def _belief(share: float) -> Markup:
    """Return a bar of the share that an option gets."""
    return Markup(
        '<svg class="belief" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="track" width="100" height="10"/><rect class="fill" width="{100 * share:.1f}" height="10"/></svg>'
    )


def _marked(options: Sequence[ReadOption], option: ReadOption) -> Iterator[tuple[str, str]]:
    """Yield the words of an option, each with the class that shows how it was read, or none."""
    strongest = max((abs(word.value) for one in options for word in one.words), default=0.0)
    for word in option.words[:_MOST_WORDS]:
        text = word.what if len(word.what) <= _LONGEST else f"{word.what[:_LONGEST]}..."
        level = round(3 * abs(word.value) / strongest) if strongest > 0 else 0
        yield text, f"{'for' if word.value > 0 else 'against'}-{level}" if level else ""
    if len(option.words) > _MOST_WORDS:
        yield "...", ""
