"""Contrast rows: the frames of a row in reverse order or flipped left to right, and what is true of those. Pure.

The answer comes from the maps of the item's own facts; where they lead to other facts than those that the item asks
about, there is no such row.
"""

import re
from collections.abc import Iterable, Sequence
from string import ascii_uppercase
from typing import Literal

from pipeline.errors import UserError
from pipeline.evaluate.scoring import Question
from pipeline.questions.rows import AskedFact
from pipeline.routes.route import OPPOSITE
from pipeline.training.rows import Happening, TrainingRow

Way = Literal["rewound", "mirrored"]
WAYS: tuple[Way, ...] = ("rewound", "mirrored")
NONE = "none"
_OTHER = {"left": "right", "right": "left", "first": "second", "second": "first"}

# What can be read in a picture, or would look wrong in a mirror, by the words for it: who names a door by its number or
# by a quotation has read it there. German words form compounds.
_TEXT = re.compile(
    r"\d|[\"\u201c-\u201f\u00ab\u00bb]"
    r"|\b(signs?|signposts?|posters?|notices?|notice ?boards?|billboards?|boards?|(?:white|black|chalk|key)boards?|labels?|letters?"
    r"|letterings?|texts?|writings?|numbers?|number ?plates?|plates?|clocks?|screens?|displays?|monitors?|menus?"
    r"|maps?|books?|newspapers?|magazines?|banners?|graffiti|logos?|stickers?"
    r"|calendars?|timetables?|advert(?:isement)?s?|bookcases?|bookshel(?:f|ves)|televisions?|tvs?|computers?|laptops?)\b"
    r"|\w*(schild|schilder|plakat|plakate|tafel|tafeln|uhr|uhren|anzeige|anzeigen|aufschrift|aufschriften"
    r"|beschriftung|beschriftungen|etikett|etiketten|bildschirm|bildschirme|buch|bücher|zeitung|zeitungen"
    r"|bücherregale?|bücherschrank|bücherschränke|kalender|fahrplan|fahrpläne|fernseher|tastatur|landkarte|stadtplan|aufkleber|kennzeichen)\b",
    re.IGNORECASE,
)


def ways(names: Sequence[str]) -> tuple[Way, ...]:
    """Return the ways that were asked for, each once; raise UserError for one that doesn't exist.

    `none` alone stands for no way.
    """
    if tuple(names) == (NONE,):
        return ()
    for name in names:
        if name not in WAYS:
            fix = f"choose from {', '.join(WAYS)}, or {NONE} alone"
            raise UserError("--contrast", f"there is no {name!r}", fix)
    return tuple(way for way in WAYS if way in names)


def names_text(names: Iterable[str], words: Iterable[str] = ()) -> bool:
    """Return whether a landmark or an action is something with text, or contains one of these words.

    Nothing looks at the pictures: text that no name tells of is not found.
    """
    wanted = {word.casefold() for word in words}
    return any(_TEXT.search(one) or wanted & {*re.findall(r"\w+", one.casefold())} for one in names)


def contrast(
    row: TrainingRow, asked: Question, way: Way, frames: Sequence[str]
) -> TrainingRow | None:
    """Return a released row with its frames shown the other way, in the files `frames`; None without an answer there.

    `asked` is the item with its facts.
    """
    true, before = asked.option_true_of(way), asked.answer_index
    if true is None or before is None:
        return None
    rewound = way == "rewound"
    end_us = round(row.seconds * 1e6)
    seen = {fact.rewound.rpartition("=")[0]: fact.seen_us for fact in row.facts}
    facts = [
        _fact(fact, before, true, _reflected(seen[fact.name], end_us) if rewound else fact.seen_us)
        for fact in row.facts
    ]
    happenings = [_happening(one, row.seconds, rewound=rewound) for one in row.happenings]
    seconds = [round(row.seconds - at, 6) for at in reversed(row.frame_seconds)]
    return row.model_copy(
        update={
            "id": f"{row.id}-{way}",
            "made": way,
            "answer": ascii_uppercase[true],
            "answer_text": row.options[true],
            "facts": facts,
            "happenings": happenings[::-1] if rewound else happenings,
            "frames": list(reversed(frames)) if rewound else list(frames),
            "frame_seconds": seconds if rewound else row.frame_seconds,
        }
    )


def _fact(fact: AskedFact, before: int, true: int, seen_us: list[int]) -> AskedFact:
    """Return a fact with the maps that hold where the option `true` is right instead of `before`.

    A map swaps or keeps both values of a fact, so where the value is the other one, so is what it leads to.
    """
    changed = fact.values[before] != fact.values[true]
    maps = {name: getattr(fact, name) for name in ("back", "rewound", "mirrored")}
    return fact.model_copy(
        update={
            "seen_us": seen_us,
            **{name: _negated(text) if changed else text for name, text in maps.items()},
        }
    )


def _negated(statement: str) -> str:
    name, _, value = statement.rpartition("=")
    return f"{name}={_OTHER[value]}"


def _reflected(seen_us: Sequence[int], end_us: int) -> list[int]:
    """Return start and end of each event as reversed frames show them, the first one first."""
    return [end_us - at_us for at_us in reversed(seen_us)]


def _happening(one: Happening, seconds: float, *, rewound: bool) -> Happening:
    update: dict[str, object] = {}
    if one.kind == "turn":
        update["what"] = OPPOSITE.get(one.what, one.what)  # type: ignore[call-overload]
    if rewound:
        update |= {"start": round(seconds - one.end, 6), "end": round(seconds - one.start, 6)}
    return one.model_copy(update=update)
