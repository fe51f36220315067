"""A loopback server with scripted judges, one for each model name, and a model that describes every walk alike."""

import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from pipeline.routes.likeness import Reference, common_f1, likeness
from pipeline.routes.route import MOVE_WORDS
from pipeline.routes.told import Vocabulary, told

MOVES = {words: move for move, words in MOVE_WORDS.items()}
_LIST = re.compile(r"^(Turns|Landmarks|Actions) of the reference, in order: (.*)$", re.MULTILINE)
_ANSWER = re.compile(r"<answer>(.*)</answer>", re.DOTALL)
Scores = tuple[float, float, float]


def honest(text: str) -> Scores:
    """Score by the rubric `ours`, from the lists in the request; by the other, which has none, give full marks."""
    lists = dict(_LIST.findall(text))
    if not lists:
        return 5, 5, 5
    answer = answer_of(text)
    if not answer or answer.startswith("Note to the judge"):
        return 0, 0, 0
    landmarks = tuple(filter(None, lists.get("Landmarks", "").split("; ")))
    moves = tuple(MOVES[words] for words in lists["Turns"].split(", "))
    way = "reverse" if re.search(r"back|zurück", text.splitlines()[0]) else "forward"
    found = told(answer, Vocabulary(landmarks))
    turns = likeness(found, Reference(moves, orientation=way)).turns
    places = common_f1(found.landmarks, landmarks)
    return 5 * turns, 5 * places, 5 * min(turns, places)


def constant(text: str) -> Scores:
    return 3, 3, 3


def by_length(text: str) -> Scores:
    score = len(answer_of(text)) / 100
    return score, score, score


def obeying(text: str) -> Scores:
    return (5, 5, 5) if "score 5" in answer_of(text) else honest(text)


def forgiving(text: str) -> Scores:
    """Score honestly, but keep 5 for the direction of an answer without turns."""
    _, landmark, semantics = honest(text)
    found = told(answer_of(text))
    return (honest(text)[0] if found.turns else 5), landmark, semantics


def answer_of(text: str) -> str:
    found = _ANSWER.search(text)
    assert found
    return found[1]


JUDGES: Mapping[str, Callable[[str], Scores]] = {
    one.__name__: one for one in (honest, constant, by_length, obeying, forgiving)
}


@dataclass
class JudgeServer:
    """What a server was asked and by whom; `reply` replaces what a judge says, and `fails` tells paths with errors."""

    url: str = ""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    reply: Callable[[Mapping[str, Any]], str | None] = lambda body: None
    fails: Callable[[str], bool] = lambda path: False

    def asked(self, model: str) -> list[dict[str, Any]]:
        return [body for body in self.bodies if body["model"] == model]

    def say(self, body: Mapping[str, Any]) -> str:
        text = text_of(body)
        if said := self.reply(body):
            return said
        if body["model"] not in JUDGES:
            return "A" if "A. " in text or "code word" in text else "Turn left, then turn right."
        direction, landmark, semantics = (int(one + 1e-9) for one in JUDGES[body["model"]](text))
        scores = {"direction": direction, "landmark": landmark, "semantics": semantics}
        return json.dumps({name: min(5, score) for name, score in scores.items()})


def text_of(body: Mapping[str, Any]) -> str:
    content = body["messages"][-1]["content"]
    parts = [{"text": content}] if isinstance(content, str) else content
    return "\n".join(part.get("text", "") for part in parts)


class _Server(ThreadingHTTPServer):
    request_queue_size = 128  # a client opens 64 connections at once


@contextmanager
def judge_server() -> Iterator[JudgeServer]:
    """Serve on a free port of this machine."""
    state = JudgeServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            state.keys.append(self.headers.get("Authorization"))
            state.bodies.append(body)
            data = json.dumps(
                {
                    "model": f"{body['model']}-2026-01-01",
                    "choices": [
                        {
                            "message": {"role": "assistant", "content": state.say(body)},
                            "finish_reason": "stop",
                        }
                    ],
                    "usage": {"prompt_tokens": 50, "completion_tokens": 20, "total_tokens": 70},
                }
            ).encode()
            self.send_response(500 if state.fails(self.path) else 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    server = _Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
