"""Work that can't be used as it was typed: listed, and shown again on the page of the next round."""

from collections.abc import Iterable, Iterator, Mapping
from html import escape
from typing import Any

from pipeline.review.rows import UNREADABLE, Verdict
from pipeline.review.verdicts import Kind, Pulled, ShownPage, read_typed
from pipeline.routes import route
from pipeline.routes.route import LineError

_TEXTS = ("steps", "forward", "reverse")
_BOX = (
    "font-size:12px;line-height:17px;border-left:3px solid #b3261e;padding-left:6px;"
    "max-height:136px;overflow-y:auto;overflow-wrap:anywhere;white-space:pre-wrap;user-select:text"
)


def unused(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """Return the verdicts that can't be used, and skips with typed steps, oldest first.

    Those that the same person has replaced, with a later verdict on the same clip, are left out.
    """
    newest: dict[tuple[str, Kind, str], Verdict] = {}
    for one in sorted(verdicts, key=lambda one: (one.created_us, one.annotation_id)):
        key = (one.clip_id, one.kind, one.annotator)
        if one.worked or one.typed:
            newest.pop(key, None)
            newest[key] = one
    return [one for one in newest.values() if one.verdict == "skip"]


def listed(one: Verdict) -> str:
    """Return a line about a verdict that can't be used: clip, person, round and what is wrong."""
    wrong = "skipped, but steps were typed"
    if UNREADABLE in one.reasons:
        # A verdict that was pulled before the reason was kept has none.
        wrong = "; ".join(one.reasons[one.reasons.index(UNREADABLE) + 1 :][:1]) or UNREADABLE
    return f"clip {one.clip_id}, {one.annotator}, round {one.round} ({one.kind}): {wrong}"


def told(pulled: Pulled) -> Iterator[str]:
    """Yield a line if a pulled verdict can't be used, and one for each step line read with a correction."""
    yield from map(listed, unused([pulled.verdict]))
    for reading in pulled.readings:
        yield f"clip {pulled.verdict.clip_id}, {pulled.verdict.annotator}: {reading}"


def with_returned(data: dict[str, Any], verdicts: Iterable[Verdict]) -> dict[str, Any]:
    """Return a page's data with people's work on this draft in earlier rounds that can't be used.

    `verdicts` are those of the page's clip and kind. A box for each person says what is wrong and
    marks the mistakes; the text fields below contain the newest text that was typed.
    """
    waiting = [
        one
        for one in unused(verdicts)
        if UNREADABLE in one.reasons and one.fingerprint == data["fingerprint"]
    ]
    if not waiting:
        return data
    page = ShownPage.model_validate({"uid": "", "round": 0, **data})
    texts = [_texts(one, data) for one in waiting]
    boxes = "".join(_box(one, typed, page) for one, typed in zip(waiting, texts, strict=True))
    newest = next((typed for typed in reversed(texts) if any(typed.values())), {})
    shown = {name: text for name, text in newest.items() if text}
    drafted = {name: data[name] for name in _TEXTS}
    return data | shown | {"draft_texts": drafted, "findings": boxes + data["findings"]}


def _texts(one: Verdict, data: Mapping[str, Any]) -> dict[str, str]:
    """Return the texts that the person changed; an unchanged one is empty."""
    given = dict(
        zip(_TEXTS, (one.typed, one.forward_description, one.reverse_description), strict=True)
    )
    return {
        name: "" if text.split() == str(data[name]).split() else text
        for name, text in given.items()
    }


def _box(one: Verdict, texts: Mapping[str, str], page: ShownPage) -> str:
    lines = []
    did = "typed this" if any(texts.values()) else "judged this clip"
    wrong = f"it could not be used: {escape(listed(one).partition('): ')[2])}"
    if texts["steps"]:
        mistakes = {mistake.line: mistake for mistake in read_typed(texts["steps"], page).mistakes}
        for number, line in enumerate(route.split_lines(texts["steps"]), start=1):
            lines.append(_marked(line, mistakes[number]) if number in mistakes else escape(line))
        wrong = "the marked steps could not be read" if mistakes else wrong
    lines += [f"{name}: {escape(text)}" for name in ("forward", "reverse") if (text := texts[name])]
    return (
        f'<div style="{_BOX}"><b>{escape(one.annotator)}</b> {did} in round {one.round}, and {wrong}. '
        "If it is yours, correct it below and submit it again."
        f'<div style="font-family:monospace">{"<br/>".join(lines)}</div></div>'
    )


def _marked(line: str, mistake: LineError) -> str:
    """Return a line as HTML, marked from the mistake to the end of that part of the line."""
    begin = min(mistake.column - 1, max(len(line) - 1, 0))
    end = line.find("|", begin + 1)
    end = len(line) if end < 0 else end
    before, wrong, after = (escape(part) for part in (line[:begin], line[begin:end], line[end:]))
    mark = f'<span style="background:#ffd7d2;text-decoration:underline wavy #b3261e">{wrong}</span>'
    return f'{before}{mark}{after} <span style="color:#b3261e">← {escape(mistake.what)}</span>'
