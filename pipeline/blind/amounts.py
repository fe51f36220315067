"""Options that are amounts: numbers, times and dates, and which is larger. Pure."""

import re
from collections.abc import Iterator

import numpy as np

from pipeline.blind.sheet import Floats, OptionTable, Strategy

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = rf"({'|'.join(_MONTHS)})[a-z]*\.?"
_ISO = re.compile(r"\b(\d{4})-(\d{1,2})-(\d{1,2})\b")
_DAY_FIRST = re.compile(rf"\b(\d{{1,2}})(?:st|nd|rd|th)?\s+{_MONTH},?\s+(\d{{4}})\b")
_MONTH_FIRST = re.compile(rf"\b{_MONTH}\s+(\d{{1,2}})(?:st|nd|rd|th)?,?\s+(\d{{4}})\b")
_TIME = re.compile(r"\b\d+(?::\d{2}(?:\.\d+)?)+\b")
_NUMBER = re.compile(r"(?<![\w.])[-+]?\d{1,3}(?:,\d{3})+(?:\.\d+)?|(?<![\w.])[-+]?\d+(?:\.\d+)?")
_WORDS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen"),
    *("nineteen", "twenty"),
)
_WORD = re.compile(rf"\b({'|'.join(_WORDS)})\b")
_PLACES = ("smallest", "second smallest", "third smallest")


def amount(text: str) -> tuple[float, ...] | None:
    """Return what a text's only date, time or number is worth, in its order, or None if it has none or several."""
    text = text.casefold()
    if found := _ISO.search(text):
        return tuple(map(float, found.groups()))
    if found := _DAY_FIRST.search(text):
        day, month, year = found.groups()
        return float(year), float(_MONTHS.index(month)), float(day)
    if found := _MONTH_FIRST.search(text):
        month, day, year = found.groups()
        return float(year), float(_MONTHS.index(month)), float(day)
    if found := _TIME.search(text):
        total = 0.0
        for part in found.group().split(":"):
            total = 60 * total + float(part)
        return (total,)
    numbers = [float(one.replace(",", "")) for one in _NUMBER.findall(text)]
    numbers += [float(_WORDS.index(word)) for word in _WORD.findall(text)]
    return (numbers[0],) if len(numbers) == 1 else None


def amounts(sheet: OptionTable) -> Iterator[Strategy]:
    """Choose by size where all options of an item are amounts: the smallest, the middle one, and so on."""
    below, size = _smaller(sheet)
    for at, name in enumerate(_PLACES):
        yield Strategy(f"{name} number or date", (below == at).astype(float))
        largest = name.replace("smallest", "largest")
        yield Strategy(f"{largest} number or date", (below == size - 1 - at).astype(float))
    yield Strategy("middle number or date", -np.abs(below - (size - 1) / 2))


def _smaller(sheet: OptionTable) -> tuple[Floats, Floats]:
    """Return how many other amounts in its item are smaller than each, and how many different ones there are.

    In items with other options, all are 0.
    """
    below, size = np.zeros((2, len(sheet.texts)))
    for index, item in enumerate(sheet.items):
        values = [value for text in item.options if (value := amount(text)) is not None]
        if len(values) == len(item.options):
            order = sorted(set(values))
            below[list(sheet.rows(index))] = [order.index(value) for value in values]
            size[list(sheet.rows(index))] = len(order)
    return below, size
