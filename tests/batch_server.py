"""A server on loopback with the Batch API as OpenAI documents it, which bills, fails and expires as it is told."""

import email
import email.policy
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Choose = Callable[[str, int], str]  # a line's custom_id and how often it came -> a fault, or "good"
Seen = Callable[[str, str], str | None]  # a request and its stage -> a fault of HTTP, or None


def completion(body: Mapping[str, Any], text: str, **more: Any) -> Any:
    message = {"role": "assistant", "content": text, "refusal": None}
    choice = {"index": 0, "message": message, "finish_reason": "stop", **more}
    usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
    named = {"id": "chatcmpl-1", "object": "chat.completion", "model": f"{body['model']}-2026"}
    return {**named, "system_fingerprint": "fp_1", "choices": [choice], "usage": usage}


@dataclass
class _Batch:
    id: str
    input_file: str
    metadata: dict[str, str]
    lines: list[dict[str, Any]]
    created: float
    ends: str = "completed"  # or "expired": only half is answered
    problem: str | None = None
    ended: float | None = None
    output_file: str | None = None
    error_file: str | None = None
    status: str = "validating"


@dataclass
class BatchServer:
    """`billed` counts the completions of each custom_id, in a batch or singly.

    `choose` decides about lines; `seen` is called before a request is handled and before it is
    answered, and may name a fault: "500", "429", or "lost" (the connection is closed). The batches
    in `expiring`, by number from 1, expire; those in `failing` fail, as do those that are made while
    `most_open` others are worked on. A batch takes `seconds`.
    """

    choose: Choose = lambda key, times: "good"
    answer: Callable[[Mapping[str, Any]], str] = lambda body: "<answer>B</answer>"
    seen: Seen = lambda request, stage: None
    expiring: frozenset[int] = frozenset()
    failing: frozenset[int] = frozenset()
    most_open: int = 1000
    seconds: float = 0.1
    most_bytes: int = 200_000_000
    most_requests: int = 50_000
    page: int = 3
    billed: Counter[str] = field(default_factory=Counter)
    came: Counter[str] = field(default_factory=Counter)
    uploaded: list[int] = field(default_factory=list)
    batches: dict[str, _Batch] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    headers: list[dict[str, str]] = field(default_factory=list)

    def __enter__(self) -> "BatchServer":
        self._lock = threading.RLock()
        self._number = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _handle(self) -> None:
                outer._handle(self)

            do_GET = do_POST = do_DELETE = _handle  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, *_: object) -> None:
                pass  # a client that was killed

        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    # ---- HTTP ----------------------------------------------------------------------------------------

    def _handle(self, request: BaseHTTPRequestHandler) -> None:
        data = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        parts = urlsplit(request.path)
        named = f"{request.command} {parts.path.removeprefix('/v1')}"
        self.headers.append({k.lower(): v for k, v in request.headers.items()})
        fault = self.seen(named, "came")
        if fault is None:
            with self._lock:
                for batch in self.batches.values():  # also of one that nobody asks about
                    self._work(batch)
                status, body = self._answer(named, parse_qs(parts.query), request.headers, data)
            fault = self.seen(named, "done")
        if fault == "lost":
            request.close_connection = True
            request.connection.close()
            return
        if fault is not None:
            status, body = int(fault), _error("try again")
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        request.send_response(status)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(sent)))
        request.end_headers()
        request.wfile.write(sent)

    def _answer(
        self, named: str, query: Mapping[str, list[str]], headers: Any, data: bytes
    ) -> tuple[int, Any]:
        if named == "POST /files":
            return self._upload(headers["Content-Type"], data)
        if named == "POST /batches":
            return self._create(json.loads(data))
        if named == "GET /batches":
            return self._list(query)
        if named == "POST /chat/completions":
            return self._single(json.loads(data))
        if found := re.fullmatch(r"GET /batches/([^/]+)", named):
            batch = self.batches.get(found[1])
            if batch is None:
                return 404, _error(f"No batch found with id '{found[2]}'.")
            return 200, self._shown(batch)
        if found := re.fullmatch(r"GET /files/([^/]+)/content", named):
            known = self.files.get(found[1])
            return (404, _error("No such File object")) if known is None else (200, known)
        if found := re.fullmatch(r"DELETE /files/([^/]+)", named):
            gone = self.files.pop(found[1], None) is not None
            return (200 if gone else 404), {"id": found[1], "object": "file", "deleted": gone}
        return 404, _error(f"Invalid URL ({named})")

    # ---- files and batches ---------------------------------------------------------------------------

    def _new(self, kind: str) -> str:
        self._number += 1
        return f"{kind}{self._number:06d}"

    def _upload(self, content_type: str, data: bytes) -> tuple[int, Any]:
        whole = b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + data
        message = email.message_from_bytes(whole, policy=email.policy.HTTP)
        parts = {
            part.get_param("name", header="content-disposition"): part
            for part in message.iter_parts()
        }
        purpose, file = parts["purpose"].get_payload(), parts["file"]
        content = file.get_payload(decode=True)
        assert isinstance(content, bytes)
        if purpose != "batch" or not str(file.get_filename()).endswith(".jsonl"):
            return 400, _error("Invalid file format for Batch API. Must be .jsonl")
        if len(content) > self.most_bytes:
            return 413, _error("The file is too large")
        self.uploaded.append(len(content))
        name = self._new("file-")
        self.files[name] = content
        return 200, {"id": name, "object": "file", "bytes": len(content), "purpose": "batch"}

    def _create(self, body: Mapping[str, Any]) -> tuple[int, Any]:
        content = self.files.get(body["input_file_id"])
        if content is None:
            return 400, _error(f"Invalid 'input_file_id': {body['input_file_id']}")
        metadata = body.get("metadata") or {}
        if body["completion_window"] != "24h" or body["endpoint"] != "/v1/chat/completions":
            return 400, _error("Invalid 'endpoint' or 'completion_window'")
        if len(metadata) > 16 or any(len(k) > 64 or len(v) > 512 for k, v in metadata.items()):
            return 400, _error("Invalid 'metadata'")
        lines = [json.loads(line) for line in content.splitlines()]
        batch = _Batch(
            self._new("batch_"), body["input_file_id"], metadata, lines, time.monotonic()
        )
        number = len(self.batches) + 1
        ids = [line["custom_id"] for line in lines]
        wrong = {(line["method"], line["url"]) for line in lines} != {
            ("POST", "/v1/chat/completions")
        }
        if (
            wrong
            or len(set(ids)) < len(ids)
            or len(ids) > self.most_requests
            or max(map(len, ids)) > 64
        ):
            batch.problem = "a line is not valid"
        ended = ("completed", "failed", "expired", "cancelled")
        working = [other for other in self.batches.values() if other.status not in ended]
        if number in self.failing or len(working) >= self.most_open:
            batch.problem = "Enqueued token limit reached for m in organization org-1."
        if number in self.expiring:
            batch.ends = "expired"
        self.batches[batch.id] = batch
        return 200, self._shown(batch)

    def _list(self, query: Mapping[str, list[str]]) -> tuple[int, Any]:
        known = list(self.batches.values())[::-1]
        after = query.get("after", [""])[0]
        start = next((i + 1 for i, batch in enumerate(known) if batch.id == after), 0)
        shown = [self._shown(batch) for batch in known[start : start + self.page]]
        more = start + self.page < len(known)
        ends = {"first_id": shown[0]["id"], "last_id": shown[-1]["id"]} if shown else {}
        return 200, {"object": "list", "data": shown, "has_more": more, **ends}

    def _shown(self, batch: _Batch) -> dict[str, Any]:
        done = [line["custom_id"] for line in batch.lines] if batch.output_file else []
        errors = {
            "object": "list",
            "data": [{"code": "invalid", "message": batch.problem, "line": 1}],
        }
        return {
            "id": batch.id,
            "object": "batch",
            "endpoint": "/v1/chat/completions",
            "errors": errors if batch.problem else None,
            "input_file_id": batch.input_file,
            "completion_window": "24h",
            "status": batch.status,
            "output_file_id": batch.output_file,
            "error_file_id": batch.error_file,
            "created_at": 1_700_000_000,
            "request_counts": {"total": len(batch.lines), "completed": len(done), "failed": 0},
            "metadata": batch.metadata or None,
        }

    def _work(self, batch: _Batch) -> None:
        """Bring a batch to where it is by now."""
        if batch.status in ("completed", "failed", "expired", "cancelled"):
            return
        if batch.problem:
            batch.status = "failed"
        elif batch.ends == "cancelled" or time.monotonic() >= batch.created + self.seconds:
            self._finish(batch)
        else:
            batch.status = "in_progress"

    def _finish(self, batch: _Batch) -> None:
        output, errors = [], []
        answered = len(batch.lines) if batch.ends == "completed" else len(batch.lines) // 2
        for index, line in enumerate(batch.lines):
            key = line["custom_id"]
            entry = {
                "id": self._new("batch_req_"),
                "custom_id": key,
                "response": None,
                "error": None,
            }
            if index >= answered:
                code = f"batch_{batch.ends}"
                entry["error"] = {"code": code, "message": "This request could not be executed."}
                errors.append(entry)
                continue
            self.came[key] += 1
            fault = self.choose(key, self.came[key])
            if fault == "dropped":
                self.billed[key] += 1
                continue
            status, body = self._line(key, fault, line["body"])
            entry["response"] = {"status_code": status, "request_id": "req_1", "body": body}
            (output if status == 200 else errors).append(entry)
        batch.output_file, batch.error_file = self._file(output), self._file(errors[::-1])
        batch.status = batch.ends

    def _line(self, key: str, fault: str, body: Mapping[str, Any]) -> tuple[int, Any]:
        if fault == "good":
            self.billed[key] += 1
            return 200, completion(body, self.answer(body))
        if fault == "refused":
            self.billed[key] += 1
            found = completion(body, self.answer(body))
            found["choices"][0]["message"] |= {"content": None, "refusal": "I can't help with that"}
            return 200, found
        if fault == "filtered":
            return 400, _error("The response was filtered", code="content_filter")
        if fault == "no_max_completion_tokens" and "max_completion_tokens" in body:
            return 400, _error(
                "Unsupported parameter: 'max_completion_tokens'", param="max_completion_tokens"
            )
        if fault == "no_max_completion_tokens":
            self.billed[key] += 1
            return 200, completion(body, self.answer(body))
        if fault == "wrong":
            return 400, _error("Invalid image")
        return int(fault), _error("The server had an error processing your request")

    def _file(self, entries: list[dict[str, Any]]) -> str | None:
        if not entries:
            return None
        name = self._new("file-")
        self.files[name] = "".join(json.dumps(entry) + "\n" for entry in entries).encode()
        return name

    def _single(self, body: Mapping[str, Any]) -> tuple[int, Any]:
        self.billed["singly"] += 1
        return 200, completion(body, self.answer(body))


def _error(message: str, **more: str | None) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, **more}}
