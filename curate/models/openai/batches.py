"""OpenAI's batch interface: a file of requests, a batch of that file, a file of answers and one of errors."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import quote

import orjson

from curate.models.endpoint.batches import (
    Batch,
    BatchInterface,
    BatchRecord,
    BatchResult,
    State,
    entries,
    given_id,
    json_object,
    text_in,
)
from curate.models.endpoint.http import EndpointClient
from curate.models.endpoint.wire import RequestBody

_STATES: Mapping[str, State] = {
    "completed": "ended",
    "expired": "expired",
    "cancelled": "cancelled",
    "failed": "failed",
}
_LOST: Mapping[str, Any] = {"batch_expired": "expired", "batch_cancelled": "cancelled"}
_NAME = "curate"
_BOUNDARY = b"curate-6b1f9a5e0d3c47f2"


class OpenAIBatches(BatchInterface):
    """``/files`` and ``/batches``.

    Args:
        path: of the requests, such as ``/chat/completions``.
    """

    most_requests: ClassVar[int] = 50_000
    most_bytes: ClassVar[int] = 200_000_000

    def __init__(self, path: str) -> None:
        self._path = f"/v1{path}"

    def item(self, key: str, body: RequestBody) -> bytes:
        return orjson.dumps({"custom_id": key, "method": "POST", "url": self._path, "body": body.body})

    async def submit(self, items: Sequence[bytes], name: str, client: EndpointClient) -> str:
        given = await client.call(
            "POST", "/files", _form(items), **{"Content-Type": f"multipart/form-data; boundary={_BOUNDARY.decode()}"}
        )
        wanted = {"input_file_id": given_id(given), "endpoint": self._path, "completion_window": "24h"}
        return given_id(await client.call("POST", "/batches", orjson.dumps({**wanted, "metadata": {_NAME: name}})))

    async def find(self, record: BatchRecord, known: Collection[str], client: EndpointClient) -> str | None:
        after = ""
        while True:
            page = await client.call("GET", f"/batches?limit=100{after}")
            listed = entries(page, "data")
            for one in listed:
                if text_in(one, "metadata", _NAME) == record.name:
                    return given_id(one)
            if not (listed and page.get("has_more")):
                return None
            after = f"&after={quote(given_id(listed[-1]), safe='')}"

    async def poll(self, batch_id: str, client: EndpointClient) -> Batch:
        raw = await client.call("GET", f"/batches/{quote(batch_id, safe='')}")
        state = _STATES.get(str(raw.get("status")) if isinstance(raw, dict) else "", "running")
        return Batch(batch_id, state, raw, _why(raw) if state == "failed" else None)

    async def results(
        self, batch: Batch, keys: Sequence[str], client: EndpointClient
    ) -> AsyncIterator[BatchResult | None]:
        for name in ("output_file_id", "error_file_id"):
            if file := batch.raw.get(name):
                async for line in client.lines(f"/files/{quote(str(file), safe='')}/content"):
                    yield _result(line)


def _form(items: Sequence[bytes]) -> bytes:
    """The file of requests as the form that uploads it (RFC 7578)."""
    head = b"--" + _BOUNDARY + b"\r\nContent-Disposition: form-data; name="
    purpose = head + b'"purpose"\r\n\r\nbatch\r\n'
    file = head + b'"file"; filename="curate.jsonl"\r\nContent-Type: application/jsonl\r\n\r\n'
    return b"".join([purpose, file, b"\n".join(items), b"\n\r\n--", _BOUNDARY, b"--\r\n"])


def _why(raw: Mapping[str, Any]) -> Any:
    """The first error of a batch that was refused, with its line."""
    errors = raw.get("errors")
    listed = errors.get("data") if isinstance(errors, dict) else errors
    first = listed[0] if isinstance(listed, list) and listed else {}
    if not isinstance(first, dict):
        return {"message": str(first)}
    line = f"line {first['line']}: " if first.get("line") else ""
    return {**first, "message": f"{line}{first.get('message') or 'it does not say why'}"}


def _result(line: bytes) -> BatchResult | None:
    told = json_object(line)
    if not isinstance(key := told.get("custom_id"), str):
        return None
    response, error = told.get("response"), told.get("error")
    if isinstance(error, dict) and not (isinstance(response, dict) and response.get("body")):
        lost = _LOST.get(str(error.get("code")), "")
        return BatchResult(key, lost=lost) if lost else BatchResult(key, {"error": error})
    if not isinstance(response, dict) or not isinstance(status := response.get("status_code"), int):
        return None
    return BatchResult(key, response.get("body"), status)
