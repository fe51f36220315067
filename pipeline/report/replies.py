"""What a results page shows of any reply: its text, which may be too long, and what came with it. Pure."""

from typing import Any

from pipeline.evaluate.rows import Prediction

_TEXTS = 24_000_000  # characters of all replies together; browsers open such a file without delay
_LEAST_TEXT = 1_000  # of a reply, kept however many there are


def longest_text(replies: int) -> int:
    """Return how many characters of each of so many replies are shown."""
    return max(_LEAST_TEXT, _TEXTS // max(1, replies))


def shortened(
    text: str, longest: int, mark: tuple[int, int] = (0, 0)
) -> tuple[str, tuple[int, int]]:
    """Return a text without its middle if it is too long, and where a marked part is then: (0, 0) if it is cut."""
    if len(text) <= longest:
        return text, mark
    head = tail = longest // 2
    cut = len(text) - head - tail
    note = f"\n[... {cut} characters are left out here; the results folder has them ...]\n"
    whole = text[:head] + note + text[-tail:]
    start, end = mark
    if end <= head:
        return whole, mark
    by = len(note) - cut
    return whole, (start + by, end + by) if start >= len(text) - tail else (0, 0)


def shown_reply(
    made: Prediction, outcome: str, longest: int, mark: tuple[int, int] = (0, 0)
) -> dict[str, Any]:
    """Return a prediction as the page shows it, of whichever kind its item is; `mark` is the part that was read."""
    text, marked = shortened(made.reply or "", longest, mark)
    return {
        "arm": made.arm,
        "repeat": made.repeat,
        "outcome": outcome,
        "mark": marked if marked[1] else None,
        "text": text,
        "reasoning": shortened(made.reasoning or "", longest)[0],
        "refusal": made.refusal,
        "flags": made.flags,
        "finish": made.finish,
        "tokens": [made.input_tokens, made.output_tokens] if made.input_tokens else None,
        "cost": made.cost_usd,
        "seconds": made.seconds,
        "failed": made.error,
        "sent": made.sent_sha256,
    }


def without_gaps(found: dict[str, Any]) -> dict[str, Any]:
    """Return fields without those that are None or empty."""
    return {name: value for name, value in found.items() if value not in (None, "", [])}
