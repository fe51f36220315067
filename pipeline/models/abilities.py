"""What a server can't do, found out by one request before a run, so that its items aren't blamed.

The request has as many images as the run's. Each is of one plain colour, and the model is asked for all colours in
order: counts of tokens don't prove that images were seen. A code word at the very beginning shows whether the server
cuts off the start of long requests. A model may be too weak for the question, so only a pattern that a second request
with other colours repeats stops the run; anything else that isn't right is a warning.
"""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

import cv2
import numpy as np

from pipeline.errors import EgostError, RowError, UserError
from pipeline.models.answer import without_reasoning
from pipeline.models.budget import CapError
from pipeline.models.chat import Message, Part, PromptImage, PromptVideo, request_keys
from pipeline.models.journal import Reply
from pipeline.models.llm import ModelClient

COLOURS = {
    "black": (0, 0, 0),
    "blue": (0, 0, 255),
    "green": (0, 160, 0),
    "red": (255, 0, 0),
    "white": (255, 255, 255),
    "yellow": (255, 255, 0),
}
_NAMED = re.compile(rf"\b(?:{'|'.join(COLOURS)})\b", re.IGNORECASE)
_WORD = "kestrel"
_MOST_IMAGES = re.compile(
    r"(?:at most|maximum(?: of)?|up to|limit(?:ed)?(?: of| to)?|only)\D{0,20}(\d+) images?\b"
    r"|images?\b.{0,40}(?:maximum|limit|most)\D{0,12}(\d+)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Abilities:
    """What the probe has shown: whether all images reach the model in order, what was seen, what is doubtful."""

    confirmed: bool
    note: str
    warning: str | None = None


@dataclass(frozen=True)
class Video:
    """Why a server takes no videos (None: it does), and what is doubtful."""

    refusal: str | None = None
    warning: str | None = None


@dataclass(frozen=True)
class _Finding:
    """What a reply shows; `fault` is a kind of error that would make a run worthless."""

    note: str
    confirmed: bool = False
    fault: str | None = None


async def probe(client: ModelClient, images: int, width: int, height: int) -> Abilities:
    """Find out whether `images` images of this size in pixels reach the model in one request.

    Raises UserError if the server refuses them, shows the model only some of them, or cuts the
    request off. A stored reply that shows such a fault is asked for again: the server may have been
    fixed since.
    """
    if images == 0:
        return Abilities(True, "no images are sent")
    first = await _asked(client, images, width, height, 0)
    finding = read(first, colours(images, 0))
    if finding.fault:
        second = await _asked(client, images, width, height, 1)
        again = read(second, colours(images, 1))
        if again.fault and _end(again.fault) == _end(finding.fault):
            raise _worthless(client, images, again.fault)
        finding = again
    doubt = f"could not confirm that all {images} images reach the model: {finding.note}"
    return Abilities(finding.confirmed, finding.note, None if finding.confirmed else doubt)


async def probe_video(client: ModelClient, video: PromptVideo, shown: Sequence[str]) -> Video:
    """Find out whether a video reaches the model: one of plain colours, those of `shown` in order.

    Raises UserError if the server can't be asked at all: that isn't a matter of videos.
    """
    names = ", ".join(COLOURS)
    text = (
        f"This video shows {len(shown)} plain colours out of {names}, one after the other. Write all of them"
        " in order, separated by commas. Write nothing else."
    )
    try:
        made = await client.complete((Message("user", (video, text)),))
    except CapError:
        raise
    except EgostError as error:
        client.replies.go_on()
        try:
            await client.complete((Message("user", ("Answer with the word yes.",)),))
        except RowError as other:
            raise UserError(client.settings.base_url, other.what, other.fix) from other
        what = error.what if isinstance(error, RowError | UserError) else str(error)
        return Video(refusal=" ".join(what.split()))
    finding = read(made.reply, shown)
    doubt = f"could not confirm that videos reach the model: {finding.note}"
    return Video(warning=None if finding.confirmed else doubt)


def colours(images: int, series: int) -> list[str]:
    """Return the colours of a series: neighbours differ, and so do the ends of one series and of the next."""
    chance, names = random.Random(2 * images + series), list(COLOURS)
    ends = names[3 * series : 3 * series + 3]
    found = chance.sample(ends, min(images, 2))
    if images < 3:
        return found
    start, end = found
    middle: list[str] = []
    for index in range(images - 2):
        last = middle[-1] if middle else start
        taken = {last, end if index == images - 3 else last}
        middle.append(chance.choice([name for name in names if name not in taken]))
    return [start, *middle, end]


def read(reply: Reply, shown: Sequence[str]) -> _Finding:
    """Return what a reply says about the colours that were shown."""
    text = without_reasoning(reply.text)
    named = [found.lower() for found in _NAMED.findall(text)][-len(shown) :]
    if named == list(shown):
        return _Finding(f"all {len(shown)} colours were named in order", confirmed=True)
    if reply.refusal:
        return _Finding(f"the model refused: {reply.refusal[:100]}")
    if reply.finish == "length":
        return _Finding("the reply reached max_completion_tokens")
    if not named:
        start = " ".join(text.split())[:80]
        return _Finding(f"the reply names no colour ({start or 'it is empty'})")
    if len(shown) > 1:
        few = named[:1] if len(set(named)) == 1 else named
        if few == list(shown[-len(few) :]):
            cut = _WORD not in text.lower() and len(few) > 1
            return _Finding("only the last images were named", fault="cut" if cut else "last")
        if few == list(shown[: len(few)]):
            return _Finding("only the first images were named", fault="first")
    right = sum(a == b for a, b in zip(named, shown, strict=False))
    return _Finding(f"{right} of {len(shown)} colours were right")


def _end(fault: str) -> str:
    return "first" if fault == "first" else "last"


async def _asked(client: ModelClient, images: int, width: int, height: int, series: int) -> Reply:
    """Return the reply to a series; a stored one only if it shows no fault."""
    shown = colours(images, series)
    messages = (Message("user", _parts(shown, width, height)),)
    for repeat in count():
        stored = client.replies.stored(request_keys(client.settings, messages, None, repeat))
        try:
            made = await client.complete(messages, repeat=repeat)
        except RowError as error:
            raise _refused(client, images, error) from error
        if not (stored and read(made.reply, shown).fault):
            return made.reply
    raise AssertionError("unreachable")


def _parts(shown: Sequence[str], width: int, height: int) -> tuple[Part, ...]:
    parts: list[Part] = [f"The code word is {_WORD}."]
    for number, name in enumerate(shown, start=1):
        parts += [f"Image {number}:", _plain(COLOURS[name], width, height)]
    names = ", ".join(COLOURS)
    parts.append(
        f"Each of these {len(shown)} images has one plain colour out of {names}. Write the code word from"
        " the beginning of this message, then the colours of all images in order, separated by commas."
        " Write nothing else."
    )
    return tuple(parts)


def _plain(rgb: tuple[int, int, int], width: int, height: int) -> PromptImage:
    _, data = cv2.imencode(".jpg", np.full((height, width, 3), rgb[::-1], np.uint8))
    return PromptImage(data.tobytes(), width, height)


def _refused(client: ModelClient, images: int, error: RowError) -> UserError:
    server, fewer = client.settings.base_url, client.settings.fewer_images
    found = _MOST_IMAGES.search(error.what)
    most = found and (found[1] or found[2])
    if most:
        return UserError(
            server,
            f"accepts at most {most} images in a request, and this run sends {images}: {error.what}",
            f"use {fewer}, or raise the server's limit"
            f" (vLLM: --limit-mm-per-prompt '{{\"image\": {images}}}')",
        )
    return UserError(
        server, f"can't answer a request with {images} images: {error.what}", error.fix
    )


def _worthless(client: ModelClient, images: int, fault: str) -> UserError:
    fewer = client.settings.fewer_images
    words = {
        "last": (
            f"shows the model only the last of {images} images",
            "use a server that accepts several images (an update may help), or raise its context length",
        ),
        "first": (
            f"shows the model only the first of {images} images",
            f"raise the server's limit on images or its context length, or use {fewer}",
        ),
        "cut": (
            f"cuts off the beginning of a request with {images} images",
            f"raise the server's context length (Ollama: OLLAMA_CONTEXT_LENGTH), or use {fewer}",
        ),
    }
    return UserError(client.settings.base_url, *words[fault])
