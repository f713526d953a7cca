"""Gemini's batch interface: ``models.batchGenerateContent`` with its requests inline, and the operation it returns."""

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
    text_in,
)
from curate.models.endpoint.http import EndpointClient
from curate.models.endpoint.wire import RequestBody

_STATES: Mapping[str, State] = {
    "SUCCEEDED": "ended",
    "PARTIALLY_SUCCEEDED": "ended",
    "EXPIRED": "expired",
    "CANCELLED": "cancelled",
    "FAILED": "failed",
}
# The HTTP status of the codes of google.rpc.Status.
_STATUS: Mapping[int, int] = {
    1: 499,
    3: 400,
    4: 504,
    5: 404,
    6: 409,
    7: 403,
    8: 429,
    9: 400,
    10: 409,
    11: 400,
    12: 501,
    14: 503,
    16: 401,
}


class GeminiBatches(BatchInterface):
    """``:batchGenerateContent`` and ``/batches``.

    Args:
        path: of the model, such as ``/models/gemini-2.5-flash``.
    """

    most_requests: ClassVar[int] = 100_000
    most_bytes: ClassVar[int] = 20_000_000

    def __init__(self, path: str) -> None:
        self._path = path

    def item(self, key: str, body: RequestBody) -> bytes:
        return orjson.dumps({"request": body.body, "metadata": {"key": key}})

    async def submit(self, items: Sequence[bytes], name: str, client: EndpointClient) -> str:
        head = f'{{"batch":{{"displayName":"curate-{name}","inputConfig":{{"requests":{{"requests":['.encode()
        data = head + b",".join(items) + b"]}}}}"
        return given_id(await client.call("POST", f"{self._path}:batchGenerateContent", data), "name")

    async def find(self, record: BatchRecord, known: Collection[str], client: EndpointClient) -> str | None:
        after = ""
        while True:
            page = await client.call("GET", f"/batches?pageSize=100{after}")
            for one in entries(page, "operations"):
                if text_in(one, "metadata", "displayName") == f"curate-{record.name}":
                    return given_id(one, "name")
            token = page.get("nextPageToken") if isinstance(page, dict) else None
            if not token:
                return None
            after = f"&pageToken={quote(str(token), safe='')}"

    async def poll(self, batch_id: str, client: EndpointClient) -> Batch:
        raw = await client.call("GET", f"/{quote(batch_id)}")
        about = raw.get("metadata") if isinstance(raw, dict) else None
        named = str(about.get("state") or "") if isinstance(about, dict) else ""
        state = _STATES.get(named.rpartition("STATE_")[2], "running")
        error = raw.get("error") if isinstance(raw, dict) else None
        if state == "running" and error:
            state = "failed"
        return Batch(batch_id, state, raw, (error or {"message": "it does not say why"}) if state == "failed" else None)

    async def results(
        self, batch: Batch, keys: Sequence[str], client: EndpointClient
    ) -> AsyncIterator[BatchResult | None]:
        listed = _responses(batch.raw)
        for place, one in enumerate(listed):
            about = one.get("metadata") if isinstance(one, dict) else None
            key = about.get("key") if isinstance(about, dict) else None
            if key is None and len(listed) == len(keys):  # results are in the order of the requests
                key = keys[place]
            yield _result(one, key)


def _responses(raw: Mapping[str, Any]) -> list[Any]:
    """The inline responses: of the finished operation, or of the batch that its metadata describes."""
    about = raw.get("metadata")
    for output in (raw.get("response"), about.get("output") if isinstance(about, dict) else None):
        found = output.get("inlinedResponses") if isinstance(output, dict) else None
        listed = found.get("inlinedResponses") if isinstance(found, dict) else found
        if isinstance(listed, list):
            return listed
    return []


def _result(one: Any, key: Any) -> BatchResult | None:
    if not isinstance(one, dict) or not isinstance(key, str):
        return None
    if isinstance(error := one.get("error"), dict):
        code = error.get("code")
        return BatchResult(key, {"error": error}, _STATUS.get(code, 500) if isinstance(code, int) else 500)
    return BatchResult(key, one["response"]) if isinstance(one.get("response"), dict) else None
