"""What the reasoning of a reply states of the two facts of its item. Pure.

Deliberately cautious: a fact counts as stated where the text has the words of one of its values and of no
other, with at most a few words such as "is to the" between them. What is said in other words, or weighed
against its opposite, isn't counted.
"""

import re
from collections.abc import Mapping
from functools import lru_cache

from pipeline.evaluate.scoring import Scored

_BETWEEN = r"(?:\W+(?:is|was|goes|went|comes|came|a|an|the|to|on)){0,4}\W+"
_ANSWER = re.compile(r"<answer>|\\boxed|\bfinal answer\b", re.IGNORECASE)


def stated(one: Scored) -> list[str | None]:
    """Return for each fact the value that the reasoning states, or None."""
    text = _reasoning(one)
    return [
        values.pop() if len(values := _found(text, words)) == 1 else None
        for words in one.question.words
    ]


def _reasoning(one: Scored) -> str:
    """Return the reasoning and what comes before the answer in the reply, with plain spaces."""
    reply = one.prediction.reply or ""
    last = [found.start() for found in _ANSWER.finditer(reply)][-1:]
    before = reply[: last[0]] if last else "\n".join(reply.strip().splitlines()[:-1])
    return _plain(f"{one.prediction.reasoning or ''}\n{before}")


def _found(text: str, words: Mapping[str, frozenset[str]]) -> set[str]:
    return {value for value, wordings in words.items() if any(_says(text, one) for one in wordings)}


def _says(text: str, wording: str) -> bool:
    words = tuple(_plain(wording).split())
    # Compiling takes a hundred times as long as looking for the words, which most texts don't have.
    return all(word in text for word in words) and bool(_pattern(words).search(text))


@lru_cache(maxsize=100_000)
def _pattern(words: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){_BETWEEN.join(map(re.escape, words))}(?!\w)")


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()
