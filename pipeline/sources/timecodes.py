"""Reading a time that somebody wrote: seconds, a clock time, a frame timecode or an ISO duration. Pure."""

import math
import re
from datetime import timedelta
from fractions import Fraction

from pydantic import TypeAdapter, ValidationError

_NUMBER = r"(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][+-]?\d+)?"
_CLOCK = re.compile(rf"(?:(?:(\d+)\s*:\s*)?(\d+)\s*:\s*)?({_NUMBER})\s*s?", re.ASCII)
_FRAMES = re.compile(r"(\d+)([:;])(\d+)([:;])(\d+)([:;])(\d+)", re.ASCII)
_LONGEST_S = 1e7
_EXACT = Fraction(1, 5000)  # a rate that differs by more from 30 and from 30000/1001 varies


def read_time(value: object, rate: Fraction | None) -> int:
    """Return microseconds; raise ValueError with what is wrong.

    `rate` is the video's frame rate, by which `HH:MM:SS:FF` and the drop-frame form `HH:MM:SS;FF` count
    as in SMPTE ST 12-1; None if it is unknown.
    """
    text = str(value).strip()
    negative = text.startswith("-")
    if isinstance(value, int | float) and not isinstance(value, bool):
        seconds = float(text)
    elif found := _CLOCK.fullmatch(text):
        hours, minutes, rest = found.groups(default="0")
        seconds = int(hours[:9]) * 3600 + int(minutes[:9]) * 60 + float(rest.replace(",", "."))
    elif found := _FRAMES.fullmatch(text):
        hours, _, minutes, _, whole, separator, frame = found.groups()
        numbers = [int(part[:9]) for part in (hours, minutes, whole, frame)]
        seconds = _of_frames(numbers, separator == ";", rate, text)
    elif text[:1] == "P":
        try:
            seconds = TypeAdapter(timedelta).validate_python(text).total_seconds()
        except ValidationError as error:
            raise ValueError(f"not a time: {text!r}") from error
    else:
        raise ValueError(f"not a time{' within a video' * negative}: {value!r}")
    if not (math.isfinite(seconds) and 0 <= seconds < _LONGEST_S):
        raise ValueError(f"not a time within a video: {value!r}")
    return round(seconds * 1_000_000)


def _of_frames(numbers: list[int], drop: bool, rate: Fraction | None, text: str) -> float:
    """Return the seconds of a frame timecode: hours, minutes, seconds, frames."""
    hours, minutes, seconds, frame = numbers
    if rate is None:
        raise ValueError(f"not a time: {text!r} counts frames, and the video has no frame rate")
    shown = f"{float(rate):.6g} frames a second"
    nominal = round(rate)
    if frame >= nominal or seconds > 59 or minutes > 59:
        raise ValueError(f"not a time: {text!r} in a video with {shown}")
    ntsc = Fraction(nominal * 1000, 1001)
    slow = abs(rate / ntsc - 1) < _EXACT
    whole = hours * 3600 + minutes * 60 + seconds
    if drop:
        if not slow or nominal % 30:
            raise ValueError(f"not a time: {text!r} drops frames, and the video has {shown}")
        dropped = nominal // 15  # numbers, in every minute but each tenth
        if frame < dropped and seconds == 0 and minutes % 10:
            raise ValueError(f"not a time: {text!r} is a number that drop-frame counting skips")
        minute = hours * 60 + minutes
        return float((whole * nominal + frame - dropped * (minute - minute // 10)) / ntsc)
    return float((whole * nominal + frame) / (ntsc if slow else Fraction(nominal)))
