"""A chat completion server on loopback that fails in every way that a real one was seen to fail."""

import asyncio
import hashlib
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Choose = Callable[[str, int], str]  # a request's digest and how often it came -> a fault, or "good"


def good_answer(body: Mapping[str, Any]) -> str:
    """A route that depends on the clip alone, repaired or not, so that two runs can be compared."""
    number = int(hashlib.sha256(json.dumps(body["messages"][:2]).encode()).hexdigest()[:8], 16)
    steps = [
        {
            "start_seconds": 0,
            "move": "straight",
            "landmark": f"door {number % 97}",
            "action": None,
            "undo": None,
        },
        {
            "start_seconds": 5,
            "move": ["left", "right"][number % 2],
            "landmark": None,
            "action": None,
            "undo": None,
        },
    ]
    return json.dumps(
        {
            "steps": steps,
            "forward_description": "Ahead.",
            "reverse_description": "Back.",
            "confidence": 0.5,
        }
    )


@dataclass
class FaultServer:
    """Counts what it was asked and what it would bill: every completion that it worked out."""

    choose: Choose = lambda key, times: "good"
    answer: Callable[[Mapping[str, Any]], str] = good_answer
    stall_seconds: float = 30.0
    tokens: tuple[int, int] = (1000, 100)
    came: Counter[str] = field(default_factory=Counter)
    billed: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    most_at_once: int = 0
    bodies: list[Mapping[str, Any]] = field(default_factory=list)
    keep_bodies: bool = True

    def __enter__(self) -> "FaultServer":
        self._loop = asyncio.new_event_loop()
        started = threading.Event()
        self._thread = threading.Thread(target=self._serve, args=(started,), daemon=True)
        self._thread.start()
        started.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def busy_for(self, seconds: float) -> None:
        """Do nothing for so long, as on a machine with too much to do; come back once that began."""
        begun = threading.Event()
        self._loop.call_soon_threadsafe(lambda: (begun.set(), time.sleep(seconds)))
        begun.wait(10)

    def _serve(self, started: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._main(started))
        self._loop.close()

    async def _main(self, started: threading.Event) -> None:
        self._stop = asyncio.Event()
        self._at_once = 0
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0, limit=2**24)
        self.port = server.sockets[0].getsockname()[1]
        started.set()
        await self._stop.wait()
        # What was accepted a moment ago has to begin: a task that is cancelled before that closes nothing.
        await self._turns()
        server.close()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._turns()

    @staticmethod
    async def _turns(count: int = 10) -> None:
        for _ in range(count):
            await asyncio.sleep(0)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = next(
                    int(line.split(b":")[1])
                    for line in head.split(b"\r\n")
                    if line.lower().startswith(b"content-length")
                )
                body = json.loads(await reader.readexactly(length))
                self._at_once += 1
                self.most_at_once = max(self.most_at_once, self._at_once)
                try:
                    if not await self._reply(body, writer):
                        return
                finally:
                    self._at_once -= 1
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _reply(self, body: Mapping[str, Any], writer: asyncio.StreamWriter) -> bool:
        """Answer one request; return whether the connection can go on."""
        key = hashlib.sha256(json.dumps(body["messages"]).encode()).hexdigest()
        self.came[key] += 1
        if self.keep_bodies:
            self.bodies.append(body)
        fault = self.choose(key, self.came[key])
        self.faults[fault] += 1
        handler = getattr(self, f"_{fault}", None)
        if handler is None:
            await self._send(writer, 200, self._completion(body, key))
            return True
        return bool(await handler(body, key, writer))

    def _completion(self, body: Mapping[str, Any], key: str, **message: Any) -> dict[str, Any]:
        self.billed[key] += 1
        finish = message.pop("finish", "stop")
        said = {"role": "assistant", "content": self.answer(body), **message}
        return {
            "id": f"reply-{key[:8]}",
            "object": "chat.completion",
            "created": 0,
            "model": body["model"],
            "choices": [{"index": 0, "message": said, "finish_reason": finish}],
            "usage": {
                "prompt_tokens": self.tokens[0],
                "completion_tokens": self.tokens[1],
                "total_tokens": sum(self.tokens),
            },
        }

    async def _send(
        self, writer: asyncio.StreamWriter, status: int, body: object, **headers: str
    ) -> bool:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        lines = {"Content-Type": "application/json", "Content-Length": str(len(data))}
        lines |= {name.replace("_", "-"): value for name, value in headers.items()}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        writer.write(f"HTTP/1.1 {status} X\r\n{head}\r\n".encode() + data)
        await writer.drain()
        return True

    def _error(self, message: str, **more: str) -> dict[str, Any]:
        return {"error": {"message": message, "type": "t", "param": None, "code": None, **more}}

    async def _busy(self, body: Any, key: str, writer: Any) -> bool:
        return await self._send(writer, 429, self._error("slow down"), Retry_After="0.2")

    async def _busy_long(self, body: Any, key: str, writer: Any) -> bool:
        return await self._send(writer, 429, self._error("slow down"), Retry_After="3")

    async def _broken(self, body: Any, key: str, writer: Any) -> bool:
        return await self._send(writer, 500, self._error("oh no"))

    async def _gateway(self, body: Any, key: str, writer: Any) -> bool:
        return await self._send(writer, 502, b"<html>bad gateway</html>", Content_Type="text/html")

    async def _stall(self, body: Any, key: str, writer: Any) -> bool:
        self._completion(body, key)
        await asyncio.sleep(self.stall_seconds)
        return False

    async def _drip(self, body: Any, key: str, writer: Any) -> bool:
        data = json.dumps(self._completion(body, key)).encode()
        writer.write(
            f"HTTP/1.1 200 X\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n".encode()
        )
        for index in range(len(data)):
            writer.write(data[index : index + 1])
            await writer.drain()
            await asyncio.sleep(0.05)
        return True

    async def _reset_before(self, body: Any, key: str, writer: Any) -> bool:
        writer.transport.abort()
        return False

    async def _reset_mid_body(self, body: Any, key: str, writer: Any) -> bool:
        data = json.dumps(self._completion(body, key)).encode()
        writer.write(
            f"HTTP/1.1 200 X\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n".encode()
        )
        writer.write(data[: len(data) // 2])
        await writer.drain()
        await asyncio.sleep(0.01)
        writer.transport.abort()
        return False

    async def _truncated(self, body: Any, key: str, writer: Any) -> bool:
        data = json.dumps(self._completion(body, key)).encode()
        return await self._send(writer, 200, data[: len(data) // 2])

    async def _not_a_completion(self, body: Any, key: str, writer: Any) -> bool:
        self._completion(body, key)
        return await self._send(writer, 200, {"hello": "world"})

    async def _web_page(self, body: Any, key: str, writer: Any) -> bool:
        return await self._send(writer, 200, b"<html>welcome</html>", Content_Type="text/html")

    async def _streamed(self, body: Any, key: str, writer: Any) -> bool:
        whole = self._completion(body, key)
        message = whole["choices"][0].pop("message")
        pieces = [{"index": 0, "delta": {"content": piece}} for piece in message["content"]]
        events = [{"choices": [piece]} for piece in pieces]
        last = {**whole, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
        text = "".join(f"data: {json.dumps(event)}\n\n" for event in [*events, last])
        kind = "text/event-stream"
        return await self._send(writer, 200, f"{text}data: [DONE]\n\n".encode(), Content_Type=kind)

    async def _empty(self, body: Any, key: str, writer: Any) -> bool:
        return await self._send(writer, 200, self._completion(body, key) | {"choices": []})

    async def _prose(self, body: Any, key: str, writer: Any) -> bool:
        return await self._send(writer, 200, self._completion(body, key, content="I see a door."))

    async def _invalid(self, body: Any, key: str, writer: Any) -> bool:
        text = json.dumps({"steps": [{"start_seconds": 900, "move": "left"}]})
        return await self._send(writer, 200, self._completion(body, key, content=text))

    async def _refusal(self, body: Any, key: str, writer: Any) -> bool:
        found = self._completion(body, key, content=None, refusal="I can't look at this")
        return await self._send(writer, 200, found)

    async def _filtered(self, body: Any, key: str, writer: Any) -> bool:
        found = self._completion(body, key, content="", finish="content_filter")
        return await self._send(writer, 200, found)

    async def _filtered_input(self, body: Any, key: str, writer: Any) -> bool:
        error = self._error("flagged", code="content_policy_violation")
        return await self._send(writer, 400, error)

    async def _cut_off(self, body: Any, key: str, writer: Any) -> bool:
        found = self._completion(body, key, content='{"steps": [', finish="length")
        return await self._send(writer, 200, found)

    async def _no_schema(self, body: Any, key: str, writer: Any) -> bool:
        if "response_format" in body:
            return await self._send(writer, 400, self._error("unknown field response_format"))
        return await self._send(writer, 200, self._completion(body, key))

    async def _one_image(self, body: Any, key: str, writer: Any) -> bool:
        error = self._error("At most 1 image(s) may be provided in one request.")
        return await self._send(writer, 400, error)

    async def _too_large(self, body: Any, key: str, writer: Any) -> bool:
        return await self._send(writer, 413, self._error("too large"))

    async def _wrong_model(self, body: Any, key: str, writer: Any) -> bool:
        error = self._error("no such model", code="model_not_found")
        return await self._send(writer, 404, error)

    async def _wrong_key(self, body: Any, key: str, writer: Any) -> bool:
        return await self._send(writer, 401, self._error("Incorrect API key: sk-test-secret"))

    async def _no_quota(self, body: Any, key: str, writer: Any) -> bool:
        error = self._error("You exceeded your current quota", code="insufficient_quota")
        return await self._send(writer, 429, error)

    async def _no_temperature(self, body: Any, key: str, writer: Any) -> bool:
        error = self._error("unsupported value", param="temperature")
        return await self._send(writer, 400, error)

    async def _error_in_reply(self, body: Any, key: str, writer: Any) -> bool:
        error = {"error": {"message": "Rate limit exceeded: free-models-per-day", "code": 429}}
        return await self._send(writer, 200, error)

    async def _throttled(self, body: Any, key: str, writer: Any) -> bool:
        error = {"__type": "com.amazon.coral.service#ThrottlingException", "message": "Too fast"}
        return await self._send(writer, 400, error)

    async def _gemini_busy(self, body: Any, key: str, writer: Any) -> bool:
        wait = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "2s"}
        error = {"code": 429, "message": "You exceeded your current quota.", "details": [wait]}
        return await self._send(writer, 429, [{"error": error}])

    async def _gemini_key(self, body: Any, key: str, writer: Any) -> bool:
        error = {"code": 400, "message": "API key not valid", "status": "INVALID_ARGUMENT"}
        return await self._send(writer, 400, [{"error": error}])

    async def _no_vision(self, body: Any, key: str, writer: Any) -> bool:
        error = self._error("image_url is only supported by certain models")
        return await self._send(writer, 400, error)

    async def _moderated(self, body: Any, key: str, writer: Any) -> bool:
        error = {"error": {"code": 403, "message": "Input flagged by moderation"}}
        return await self._send(writer, 403, error)

    async def _page_too_large(self, body: Any, key: str, writer: Any) -> bool:
        page = b"<html><head><title>413 Request Entity Too Large</title></head></html>"
        return await self._send(writer, 413, page, Content_Type="text/html")

    async def _echoes_the_key(self, body: Any, key: str, writer: Any) -> bool:
        text = "your key is sk-test-secret"
        return await self._send(writer, 200, self._completion(body, key, content=text))

    async def _no_reason_ever(self, body: Any, key: str, writer: Any) -> bool:
        return await self._send(writer, 400, b"")

    async def _unless(
        self, body: Any, key: str, writer: Any, name: str, status: int, error: object
    ) -> bool:
        """Refuse a request with this field, and answer any other."""
        if name in body:
            return await self._send(writer, status, error)
        return await self._send(writer, 200, self._completion(body, key))

    async def _no_json_output(self, body: Any, key: str, writer: Any) -> bool:
        error = self._error("This model does not support JSON output")
        return await self._unless(body, key, writer, "response_format", 400, error)

    async def _no_schema_in_detail(self, body: Any, key: str, writer: Any) -> bool:
        detail = [{"loc": ["body", "response_format", "type"], "msg": "Input should be 'text'"}]
        return await self._unless(body, key, writer, "response_format", 422, {"detail": detail})

    async def _no_grammar(self, body: Any, key: str, writer: Any) -> bool:
        error = self._error("Failed to compile grammar")
        return await self._unless(body, key, writer, "response_format", 500, error)

    async def _no_reason(self, body: Any, key: str, writer: Any) -> bool:
        return await self._unless(body, key, writer, "response_format", 400, b"")

    async def _fails_on_schemas(self, body: Any, key: str, writer: Any) -> bool:
        return await self._unless(body, key, writer, "response_format", 500, b"Internal Error")

    async def _mistral(self, body: Any, key: str, writer: Any) -> bool:
        detail = [{"loc": ["body", "max_completion_tokens"], "msg": "Extra inputs"}]
        name = "max_completion_tokens"
        return await self._unless(body, key, writer, name, 422, {"detail": detail})

    async def _mistral_in_message(self, body: Any, key: str, writer: Any) -> bool:
        detail = [{"loc": ["body", "max_completion_tokens"], "msg": "Extra inputs"}]
        error = {"object": "error", "message": {"detail": detail}, "type": "invalid"}
        return await self._unless(body, key, writer, "max_completion_tokens", 422, error)

    async def _unnamed_field(self, body: Any, key: str, writer: Any) -> bool:
        error = {"error": "Extra inputs are not permitted"}
        return await self._unless(body, key, writer, "max_completion_tokens", 400, error)

    async def _crashes_on_the_name(self, body: Any, key: str, writer: Any) -> bool:
        error = {"error": "unexpected keyword argument 'max_completion_tokens'"}
        return await self._unless(body, key, writer, "max_completion_tokens", 500, error)

    async def _cuts_at_16(self, body: Any, key: str, writer: Any) -> bool:
        """Know max_tokens only, and stop at a default of 16 without it."""
        found = self._completion(body, key)
        if "max_tokens" not in body:
            found["choices"][0]["message"]["content"] = '{"steps": [{"start'
            found["choices"][0]["finish_reason"] = "length"
            found["usage"]["completion_tokens"] = 16
        return await self._send(writer, 200, found)

    async def _elsewhere(self, body: Any, key: str, writer: Any) -> bool:
        return await self._send(writer, 307, b"", Location="http://192.0.2.1/v1/chat/completions")
