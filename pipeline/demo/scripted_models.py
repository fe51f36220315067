"""Two models that are scripts, behind a server on loopback: one knows what frames show, one never looks.

They show what `egost evaluate` measures. Neither is a model, which their names say.
"""

import base64
import hashlib
import json
import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from pipeline.demo.scripted_words import Walks
from pipeline.evaluate.scoring import Question
from pipeline.models.abilities import COLOURS

SEER, BLIND = "script-that-knows-80-percent", "script-that-never-looks"
_KNOWS = 0.8  # the probability with which the first knows each fact, if it gets frames
_PLAIN = 4.0  # grey levels of standard deviation: less is one colour, with the noise of JPEG
_OPTION = re.compile(r"^([A-J])\. (.+)$", re.MULTILINE)


@contextmanager
def serving(questions: Sequence[Question], walks: Walks | None = None) -> Iterator[str]:
    """Serve both scripts on a free port of this machine; yield the base URL."""
    reply = reply_of(questions, walks)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
            sent = json.dumps(_completion(body, reply(body))).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def reply_of(
    questions: Sequence[Question], walks: Walks | None = None
) -> Callable[[Mapping[str, Any]], str]:
    """Return what both scripts reply to the body of a request about one of these questions or walks, or about colours."""
    known = {(one.question, frozenset(one.options)): one for one in questions}
    return lambda body: (walks and _description(body, walks)) or _reply(body, known)


def _completion(body: Mapping[str, Any], text: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    words = sum(len(part.split()) for part in _texts(body))
    usage = {
        "prompt_tokens": words + 85 * len(_images(body)),
        "completion_tokens": len(text.split()),
    }
    return {
        "id": "chatcmpl-script",
        "object": "chat.completion",
        "model": body["model"],
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": usage | {"total_tokens": sum(usage.values())},
    }


def _reply(body: Mapping[str, Any], known: Mapping[tuple[str, frozenset[str]], Question]) -> str:
    text, images = "\n".join(_texts(body)), _images(body)
    options = {option: letter for letter, option in _OPTION.findall(text)}
    question = next(
        (one for (asked, texts), one in known.items() if asked in text and texts == {*options}),
        None,
    )
    if question is None:
        return f"kestrel: {', '.join(map(colour_of, images))}"
    drawn = random.Random(hashlib.sha256(f"{body['model']} {question.id}".encode()).hexdigest())
    sees = _sees(body)
    place = _known_option(question, drawn) if sees else drawn.randrange(len(question.options))
    return f"<answer>{options[question.options[place]]}</answer>"


def _description(body: Mapping[str, Any], walks: Walks) -> str | None:
    """Return what a script says of a walk; None if it isn't asked to describe one."""
    images = _images(body)
    first = _data(images[0]) if images else None
    return walks.reply(
        "\n".join(_texts(body)), first, _KNOWS if _sees(body) else None, body["model"]
    )


def _sees(body: Mapping[str, Any]) -> bool:
    return body["model"] == SEER and any(map(_shows_something, _images(body)))


def _known_option(question: Question, drawn: random.Random) -> int:
    """Return the option that states each fact as it is, with probability `_KNOWS`, or else the opposite."""
    answer = question.answer_index or 0
    wanted = [
        {fact.values[answer]} if drawn.random() < _KNOWS else {*fact.values} - {fact.values[answer]}
        for fact in question.facts
    ]
    return next(
        place
        for place in range(len(question.options))
        if all(
            fact.values[place] in some for fact, some in zip(question.facts, wanted, strict=True)
        )
    )


def _texts(body: Mapping[str, Any]) -> list[str]:
    content = body["messages"][-1]["content"]
    return (
        [content] if isinstance(content, str) else [one["text"] for one in content if "text" in one]
    )


def _images(body: Mapping[str, Any]) -> list[str]:
    content = body["messages"][-1]["content"]
    return (
        []
        if isinstance(content, str)
        else [one["image_url"]["url"] for one in content if "image_url" in one]
    )


def _shows_something(url: str) -> bool:
    """Return whether an image is more than one plain colour."""
    return float(_pixels(url).std(axis=(0, 1)).max()) > _PLAIN


def colour_of(url: str) -> str:
    """Return the name of the colour of a plain image, given as a data URL."""
    seen = _pixels(url).mean(axis=(0, 1))[::-1]
    return min(COLOURS, key=lambda name: float(np.abs(seen - np.array(COLOURS[name])).sum()))


def _data(url: str) -> bytes:
    return base64.b64decode(url.partition(",")[2])


def _pixels(url: str) -> "npt.NDArray[np.uint8]":
    found = cv2.imdecode(np.frombuffer(_data(url), np.uint8), cv2.IMREAD_REDUCED_COLOR_4)
    return np.asarray(found, dtype=np.uint8)
