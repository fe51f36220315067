"""An OpenAI-compatible server on the loopback interface for trained models; no key, and no other address.

    POST /v1/chat/completions   chat_body.py: what is supported
    GET  /v1/models             the models' names
    GET  /health                requests that wait

Errors are in OpenAI's form. A request holds a place in the queue from before its body is read (generating.py).
"""

import json
import logging
import select
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import uuid4

import torch

from pipeline.errors import UserError
from pipeline.models.wire import on_loopback
from pipeline.tuning.chat_body import RefusedError, parse
from pipeline.tuning.generating import Job, Queue
from pipeline.tuning.served import Said, Served
from pipeline.tuning.vlm import load

log = logging.getLogger(__name__)
_HOST = "127.0.0.1"
_MOST_BYTES = 128 * 2**20  # of a body: 96 frames of 1280 x 720 are about 30 MiB
_MOST_DROPPED, _PIECE = 2**31, 2**20
_MOST_DIGITS = 16  # of a length
_IDLE_SECONDS = 120  # of a connection; the client that we use closes its own after 5
_BODY_SECONDS = 120  # for a whole body: one that comes byte by byte would hold its place for days
_LOOK_SECONDS = 0.25  # how often a request that waits looks whether its client is still there
_FEW_PARAMETERS = 10_000_000


def models_of(arguments: Sequence[str]) -> dict[str, str]:
    """Return where models are by the names under which they are served: NAME=FOLDER, or a folder's own name.

    Raise UserError if two have one name.
    """
    found: dict[str, str] = {}
    for argument in arguments:
        name, separator, place = argument.partition("=")
        if not (name and separator) or "/" in name or Path(argument).exists():
            place = argument
            name = Path(place).resolve().name if Path(place).is_dir() else place
        if name in found:
            what = f"two models would be served as {name}"
            raise UserError(argument, what, f"give one of them a name: OTHER={place}")
        found[name] = place
    return found


def _place(model: str | Path) -> str:
    """Return the folder or name to load: a run's folder stands for the model in it."""
    run = Path(model)
    if not (run / "run.json").is_file():
        return str(model)
    if not (run / "model").is_dir():
        what = "is a run without a model: it hasn't finished"
        raise UserError(str(model), what, "finish it, or name another folder")
    return str(run / "model")


def loaded(models: Mapping[str, str | Path], device: str | None = None) -> dict[str, Served]:
    """Load models by name; `device` is torch's name (None: the first GPU, or the CPU)."""
    where = device or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.device(where)
        return {name: Served(load(_place(model), device=where)) for name, model in models.items()}
    except (RuntimeError, AssertionError) as error:  # no such device, or too little memory
        what = str(error).splitlines()[0]
        raise UserError(f"--device {where}", what, "use another device, or fewer models") from error


class Server:
    """The HTTP server and its queue, answering in threads of this process from the start until `close`."""

    def __init__(
        self,
        models: Mapping[str, Served],
        port: int = 0,
        batch: int = 8,
        threads: int | None = None,
    ) -> None:
        """Listen on a port (0: a free one). Raise UserError if it is taken.

        `threads` are torch's on a CPU (None: one if all models are tiny, else torch's own choice): more would spin.
        """
        try:
            self._http = _Http((_HOST, port), _Handler)
        except OSError as error:
            what = f"can't be listened on: {error.strerror}"
            raise UserError(
                f"--port {port}", what, "use another port, or 0 for a free one"
            ) from None
        self._http.started = int(time.time())
        if threads is None and all(model.parameters < _FEW_PARAMETERS for model in models.values()):
            threads = 1
        self.queue = self._http.queue = Queue(models, batch, threads)
        self.url = f"http://{_HOST}:{self._http.server_address[1]}/v1"
        self._thread = Thread(target=self._http.serve_forever, args=(0.1,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Answer what can't be finished with 503, and stop listening."""
        self.queue.close()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


@contextmanager
def serving(
    models: Mapping[str, str | Path],
    *,
    port: int = 0,
    device: str | None = None,
    batch: int = 8,
    threads: int | None = None,
) -> Iterator[str]:
    """Serve models by name from threads of this process, and yield the base URL, up to /v1.

    A thread and not a process: nothing outlives a process that is killed, errors keep their tracebacks, and torch
    computes outside of the interpreter's lock. Folders may be runs. torch's number of threads is put back.
    """
    before = torch.get_num_threads()
    server = Server(loaded(models, device), port, batch, threads)
    try:
        yield server.url
    finally:
        server.close()
        torch.set_num_threads(before)


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 1024  # as many requests as a client may have in flight
    queue: Queue
    started: int  # Unix time

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log an error of a connection, unless the client is gone."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            log.exception("a request failed")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = _IDLE_SECONDS
    server: _Http
    _read = False  # whether the body was

    def do_GET(self) -> None:
        """Answer with the models or the state."""
        self._guarded(self._get)

    def do_POST(self) -> None:
        """Answer a chat completion request."""
        self._guarded(self._post)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer in OpenAI's form to what is no request that this server knows."""
        self.close_connection = True
        self._send(code, RefusedError(code, message or HTTPStatus(code).phrase).body)

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: a line for each of thousands of requests helps nobody."""

    def _guarded(self, answer: Any) -> None:
        try:
            # A page in a browser must not reach this server by a name of its own that it points here.
            if not _is_here(self.headers.get("Host", _HOST)):
                raise RefusedError(403, "this server answers on this machine alone")
            answer()
        except RefusedError as error:
            self._drop_body()
            self._send(error.status, error.body)
        except (ConnectionError, TimeoutError):  # nobody is there any more
            self.close_connection = True
        except Exception as error:
            log.exception("a request failed")
            self._send(500, RefusedError(500, f"{type(error).__name__}: {error}").body)

    def _get(self) -> None:
        path = _path(self.path)
        queue, made = self.server.queue, self.server.started
        about = [
            {"id": name, "object": "model", "created": made, "owned_by": "egost",
             "max_model_len": model.context}
            for name, model in queue.models.items()
        ]  # fmt: skip
        if path == "/health":
            self._send(200, {"status": "ok", "waiting": queue.taken, "answered": queue.answered})
        elif path == "/v1/models":
            self._send(200, {"object": "list", "data": about})
        elif path.startswith("/v1/models/"):
            name = unquote(path.removeprefix("/v1/models/"))
            for one in about:
                if one["id"] == name:
                    return self._send(200, one)
            what = f"the model {name!r} does not exist"
            raise RefusedError(404, what, "model_not_found", "model")
        else:
            raise RefusedError(404, f"no such address: GET {path}")
        return None

    def _post(self) -> None:
        path = _path(self.path)
        if path != "/v1/chat/completions":
            raise RefusedError(404, f"no such address: POST {path}")
        queue = self.server.queue
        with queue.place():
            job = queue.submit(parse(self._body()))
            said = self._awaited(job)
        model = queue.models[job.ask.model]
        self._send(200, _completion(job.ask.model, model.fingerprint, said))

    def _length(self) -> int | None:
        """Return the length of the body in bytes; None if the header is missing or no number."""
        text = self.headers.get("Content-Length", "")
        return int(text) if text.isdecimal() and len(text) < _MOST_DIGITS else None

    def _body(self) -> bytes:
        length = self._length()
        if length is None:
            self.close_connection = True
            raise RefusedError(411, "the header Content-Length is missing or no number")
        if length > _MOST_BYTES:
            what = f"the body has {length} bytes, more than {_MOST_BYTES}"
            raise RefusedError(413, what, "request_too_large")
        self._read = True
        data, until = bytearray(), time.monotonic() + _BODY_SECONDS
        while len(data) < length:
            if time.monotonic() > until:
                self.close_connection = True
                what = f"the body wasn't there within {_BODY_SECONDS} s"
                raise RefusedError(408, what)
            piece = self.rfile.read1(min(_PIECE, length - len(data)))
            if not piece:
                raise ConnectionResetError("the client is gone")
            data += piece
        return bytes(data)

    def _awaited(self, job: Job) -> Said:
        while True:
            try:
                return job.reply.result(_LOOK_SECONDS)
            except TimeoutError:
                if _is_gone(self.connection):
                    self.server.queue.leave(job)
                    raise ConnectionResetError("the client is gone") from None

    def _drop_body(self) -> None:
        """Read a body that was refused, so that a client that is still sending it sees why."""
        left = 0 if self._read else self._length() or 0
        if left > _MOST_DROPPED:
            self.close_connection = True
            return
        while left > 0 and (piece := self.rfile.read(min(_PIECE, left))):
            left -= len(piece)

    def _send(self, status: int, body: Mapping[str, Any]) -> None:
        data = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
        self._read = False  # the connection may bring a further request
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        if status == 503:
            self.send_header("Retry-After", str(self.server.queue.wait_seconds))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)


def _path(target: str) -> str:
    try:
        return urlsplit(target).path.rstrip("/")
    except ValueError:
        raise RefusedError(404, f"no such address: {target[:100]}") from None


def _is_here(host: str) -> bool:
    try:
        return on_loopback(f"http://{host}")
    except ValueError:
        return False


def _is_gone(connection: socket.socket) -> bool:
    """Return whether the other side has closed a connection."""
    waiting = select.poll()
    try:
        waiting.register(connection, select.POLLIN)
        return bool(waiting.poll(0)) and not connection.recv(1, socket.MSG_PEEK)
    except OSError:
        return True


def _completion(model: str, fingerprint: str, said: Said) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{uuid4().hex}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model,
        "system_fingerprint": fingerprint,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": said.text, "refusal": None},
                "logprobs": None,
                "finish_reason": said.finish,
            }
        ],
        "usage": {
            "prompt_tokens": said.prompt_tokens,
            "completion_tokens": said.tokens,
            "total_tokens": said.prompt_tokens + said.tokens,
        },
    }
