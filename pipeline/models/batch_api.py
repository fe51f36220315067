"""The Batch API of an OpenAI-compatible server: files, batches and their results."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from pipeline.models.completion import mappings
from pipeline.models.error_body import read_error
from pipeline.models.failures import RequestError
from pipeline.models.openai_wire import OpenAIWire

log = logging.getLogger(__name__)

ENDPOINT = "/v1/chat/completions"
_MARK = "egost"  # the entry of a batch's metadata
_ENDED = ("completed", "failed", "expired", "cancelled")
_SLOWEST = 100_000  # bytes per second of an upload or a download
_MOST_PAGES = 200


@dataclass(frozen=True)
class ServerBatch:
    """A batch as the server describes it; `problem` is why a failed one failed."""

    id: str
    status: str
    done: int
    mark: str | None
    input_file: str | None
    results: tuple[str, ...]
    problem: str

    @property
    def ended(self) -> bool:
        """Whether the server works on it no more."""
        return self.status in _ENDED


class BatchApi:
    """Uploads, makes, finds and reads batches; every method may raise RequestError."""

    def __init__(self, wire: OpenAIWire) -> None:
        self._wire, self._client = wire, wire.client

    async def upload(self, path: Path) -> str:
        """Upload a file of requests; return its id."""
        with path.open("rb") as file:
            found = await self._json(
                self._client.files.with_raw_response.create(
                    file=(path.name, file, "application/jsonl"), purpose="batch"
                ),
                seconds=300 + path.stat().st_size / _SLOWEST,
            )
        return _id(found)

    async def create(self, file_id: str, mark: str) -> ServerBatch:
        """Make a batch of an uploaded file, marked so that `marked` finds it."""
        return _batch(
            await self._json(
                self._client.batches.with_raw_response.create(
                    input_file_id=file_id,
                    endpoint=cast(Literal["/v1/chat/completions"], ENDPOINT),
                    completion_window="24h",
                    metadata={_MARK: mark},
                )
            )
        )

    async def get(self, batch_id: str) -> ServerBatch:
        """Return a batch as it is now."""
        return _batch(await self._json(self._client.batches.with_raw_response.retrieve(batch_id)))

    async def marked(self) -> list[ServerBatch]:
        """Return the batches that this program has made for this account, the latest first."""
        found: list[ServerBatch] = []
        after: dict[str, Any] = {}
        for _ in range(_MOST_PAGES):
            page = await self._json(self._client.batches.with_raw_response.list(limit=100, **after))
            batches = [_batch(batch) for batch in mappings(page.get("data"))]
            found += [batch for batch in batches if batch.mark]
            if not (page.get("has_more") and batches):
                break
            after = {"after": batches[-1].id}
        return found

    async def results(self, file_id: str) -> list[Mapping[str, Any]]:
        """Return the lines of a result file; what is no JSON object is left out."""
        content = await self._content(
            self._client.files.with_raw_response.content(file_id), seconds=3600
        )
        lines = []
        for line in content.split(b"\n"):
            try:
                found = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(found, Mapping):
                lines.append(found)
        return lines

    async def delete(self, file_id: str) -> None:
        """Delete a file: it holds frames, or replies that are stored by now; a failure changes nothing."""
        try:
            await self._content(self._client.files.with_raw_response.delete(file_id))
        except RequestError as error:
            log.warning("the file %s was not deleted from the server: %s", file_id, error.what)

    async def _json(self, request: Any, *, seconds: float | None = None) -> Mapping[str, Any]:
        content = await self._content(request, seconds=seconds)
        try:
            found = json.loads(content)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, Mapping) or not isinstance(found.get("id", ""), str):
            shown = read_error(content, 0).text[:100] or "it is empty"
            raise RequestError(
                "moment", f"the reply is not of the Batch API: {shown}", unknown=True
            )
        return found

    async def _content(self, request: Any, *, seconds: float | None = None) -> bytes:
        response = await self._wire.answered(request, seconds=seconds)
        return bytes(response.content)


def _id(found: Mapping[str, Any]) -> str:
    name = found.get("id")
    if not isinstance(name, str) or not name:
        raise _strange(found)
    return name


def _strange(found: object) -> RequestError:
    shown = read_error(found, 0).text[:100] or "it has no id"
    return RequestError("moment", f"the reply is not one of the Batch API: {shown}", unknown=True)


def _batch(found: Mapping[str, Any]) -> ServerBatch:
    counts, metadata, errors = (found.get(k) for k in ("request_counts", "metadata", "errors"))
    counts = counts if isinstance(counts, Mapping) else {}
    errors = errors.get("data") if isinstance(errors, Mapping) else errors
    mark = metadata.get(_MARK) if isinstance(metadata, Mapping) else None
    files = (found.get("output_file_id"), found.get("error_file_id"))
    numbers = [counts.get(name) for name in ("completed", "failed")]
    return ServerBatch(
        _id(found),
        str(found.get("status")),
        sum(number for number in numbers if isinstance(number, int)),
        mark if isinstance(mark, str) else None,
        found.get("input_file_id") or None,
        tuple(file for file in files if isinstance(file, str) and file),
        read_error(errors or "", 0).text[:300],
    )
