"""Anthropic's batch interface: Message Batches."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from urllib.parse import quote

import orjson

from curate.models.endpoint.batches import (
    Batch,
    BatchInterface,
    BatchRecord,
    BatchResult,
    entries,
    given_id,
    json_object,
    text_in,
)
from curate.models.endpoint.http import EndpointClient
from curate.models.endpoint.wire import RequestBody, count

_NEAR = timedelta(minutes=15)
"""How far the server's clock, and the end of an upload, may be from the time when the submission began."""
_LOST: dict[str, Any] = {"expired": "expired", "canceled": "cancelled"}


class AnthropicBatches(BatchInterface):
    """``/messages/batches``."""

    most_requests: ClassVar[int] = 100_000
    most_bytes: ClassVar[int] = 256_000_000

    def item(self, key: str, body: RequestBody) -> bytes:
        return orjson.dumps({"custom_id": key, "params": body.body})

    async def submit(self, items: Sequence[bytes], name: str, client: EndpointClient) -> str:
        return given_id(await client.call("POST", "/messages/batches", b'{"requests":[' + b",".join(items) + b"]}"))

    async def find(self, record: BatchRecord, known: Collection[str], client: EndpointClient) -> str | None:
        """By time and number of requests, because batches have no names. If it is another one after all, its results
        belong to no request, and the requests fail in passing."""
        page = await client.call("GET", "/messages/batches?limit=100")
        submitted = datetime.fromisoformat(record.submitted)
        for one in entries(page, "data"):
            counts, created = one.get("request_counts"), _time(text_in(one, "created_at"))
            if one.get("id") in known or not isinstance(counts, dict) or created is None:
                continue
            near = abs(created - submitted) < _NEAR
            if near and sum(map(count, counts.values())) == len(record.keys):
                return given_id(one)
        return None

    async def poll(self, batch_id: str, client: EndpointClient) -> Batch:
        raw = await client.call("GET", f"/messages/batches/{quote(batch_id, safe='')}")
        ended = isinstance(raw, dict) and raw.get("processing_status") == "ended"
        return Batch(batch_id, "ended" if ended else "running", raw)

    async def results(
        self, batch: Batch, keys: Sequence[str], client: EndpointClient
    ) -> AsyncIterator[BatchResult | None]:
        # Not the address that the server gives for them, which would be sent the key wherever it is.
        async for line in client.lines(f"/messages/batches/{quote(batch.id, safe='')}/results"):
            yield _result(line)


def _time(text: str) -> datetime | None:
    """A time that the server gives; None if it is none."""
    try:
        given = datetime.fromisoformat(text)
    except ValueError:
        return None
    return given if given.tzinfo else given.replace(tzinfo=UTC)


def _result(line: bytes) -> BatchResult | None:
    told = json_object(line)
    result = told.get("result")
    if not isinstance(result, dict) or not isinstance(key := told.get("custom_id"), str):
        return None
    match result.get("type"):
        case "succeeded":
            return BatchResult(key, result.get("message"))
        case "errored":
            error = result.get("error")
            whole = isinstance(error, dict) and error.get("type") == "error"
            return BatchResult(key, error if whole else {"type": "error", "error": error})
        case "expired" | "canceled" as state:
            return BatchResult(key, lost=_LOST[state])
    return None
