"""The interface of a provider's batch API, and the records of submitted batches.

A :class:`BatchInterface` writes requests into a batch, submits it, asks how it is and reads its results.
:class:`BatchRecords` keeps the ids of submitted batches on disk, so that a build that was killed finds its batches
again.
"""

from __future__ import annotations

import os
import secrets
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import orjson

from curate.caches import base_of
from curate.errors import ModelError, ServerError
from curate.models.endpoint.wire import RequestBody
from curate.models.generation.structured_output import read_json

if TYPE_CHECKING:
    from curate.models.endpoint.http import EndpointClient

PRICE_SHARE = 0.5
"""What a request in a batch costs at OpenAI, Anthropic and Google, as a share of the price of a single one."""
State = Literal["running", "ended", "expired", "cancelled", "failed"]


@dataclass(frozen=True)
class Batch:
    """A submitted batch, as the server describes it."""

    id: str
    state: State
    """``expired`` and ``cancelled``: requests without a result were not answered. ``failed``: the batch was refused as
    a whole, and nothing was charged."""
    raw: Any
    """The server's own description."""
    problem: Any = None
    """Why it failed, as the protocol writes errors."""


@dataclass(frozen=True)
class BatchResult:
    """What became of one request of a batch."""

    key: str
    """The cache key of the request, as 32 hexadecimal digits."""
    value: Any = None
    """The response: an answer, or an error."""
    status: int = 200
    """Its HTTP status."""
    lost: Literal["", "expired", "cancelled"] = ""
    """Why there is no response."""


class BatchInterface(ABC):
    """The batch interface of a protocol."""

    most_requests: ClassVar[int]
    """Requests that a batch may have."""
    most_bytes: ClassVar[int]
    """Bytes that a submission may have."""

    @abstractmethod
    def item(self, key: str, body: RequestBody) -> bytes:
        """A request as part of a submission: one line of JSON."""

    @abstractmethod
    async def submit(self, items: Sequence[bytes], name: str, client: EndpointClient) -> str:
        """Submits a batch and returns its id.

        Args:
            name: what :meth:`find` may know it by.
        """

    @abstractmethod
    async def find(self, record: BatchRecord, known: Collection[str], client: EndpointClient) -> str | None:
        """The id of a batch whose submission was not answered; None if the server made none.

        Args:
            known: ids of other batches.
        """

    @abstractmethod
    async def poll(self, batch_id: str, client: EndpointClient) -> Batch:
        """How a batch is."""

    @abstractmethod
    def results(self, batch: Batch, keys: Sequence[str], client: EndpointClient) -> AsyncIterator[BatchResult | None]:
        """The results of a batch that has ended, in any order; None for one that cannot be understood.

        Args:
            keys: of the requests, in the order of submission.
        """


def json_object(line: bytes) -> dict[str, Any]:
    """The JSON object in a line of results; empty if it is something else."""
    try:
        told = read_json(line)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def entries(page: Any, name: str) -> list[dict[str, Any]]:
    """The objects in a list of a page."""
    listed = page.get(name) if isinstance(page, dict) else None
    return [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []


def text_in(entry: Mapping[str, Any], *names: str) -> str:
    """The text below these names in an object; empty if there is none."""
    found: Any = entry
    for name in names:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found if isinstance(found, str) else ""


def given_id(given: Any, name: str = "id") -> str:
    """The id in what a server says of a new file or batch.

    Raises:
        ServerError: there is none. Nobody knows whether a batch was made, so it is not submitted again at once.
    """
    found = given.get(name) if isinstance(given, dict) else None
    if not isinstance(found, str) or not found:
        raise ServerError(f"the server accepted a batch but gave it no '{name}'", load=False, again=False)
    return found


# --------------------------------------------------------------------------------------------------------- on the disk
@dataclass(frozen=True)
class BatchRecord:
    """A batch that was submitted and not collected."""

    id: str
    """Empty while it is submitted."""
    name: str
    """Given by curate: 16 hexadecimal digits."""
    keys: tuple[str, ...]
    """The cache keys of its requests, in order, as 32 hexadecimal digits."""
    server: str
    """The address, without credentials."""
    submitted: str
    """UTC, ISO 8601."""
    file: Path


class BatchRecords:
    """The batches of one model that were submitted and not collected: one small JSON file each, without texts, keys or
    headers."""

    def __init__(self, cache: Path, answers: Path) -> None:
        """
        Args:
            cache: the store's ``cache`` folder, or a machine's own part of it.
            answers: the file with the cached responses of the model; its name identifies the model.
        """
        self.folder = (base_of(cache) or cache) / "batches"
        self._model = answers.stem

    def open(self) -> list[BatchRecord]:
        """The batches, oldest first.

        Raises:
            ModelError: a file is damaged.
        """
        records = []
        for file in self.folder.glob(f"{self._model}-*.json"):
            try:
                told: Mapping[str, Any] = orjson.loads(file.read_bytes())
                record = BatchRecord(**{**told, "keys": tuple(told["keys"]), "file": file})
            except (ValueError, KeyError, TypeError) as error:
                raise ModelError(
                    f"{file} is damaged ({error}): it named a batch that was submitted and not collected; look for it"
                    " at the provider, then delete the file and build again"
                ) from None
            records.append(record)
        return sorted(records, key=lambda one: (one.submitted, one.id))

    def add(self, keys: Sequence[str], server: str) -> BatchRecord:
        """Records a batch that is about to be submitted; it is on disk when this returns."""
        name = secrets.token_hex(8)
        submitted = datetime.now(UTC).isoformat(timespec="seconds")
        record = BatchRecord("", name, tuple(keys), server, submitted, self.folder / f"{self._model}-{name}.json")
        self._write(record)
        return record

    def identify(self, record: BatchRecord, batch_id: str) -> BatchRecord:
        """The record with the id that the server gave; it is on disk when this returns."""
        record = replace(record, id=batch_id)
        self._write(record)
        return record

    def _write(self, record: BatchRecord) -> None:
        told = {name: value for name, value in vars(record).items() if name != "file"}
        self.folder.mkdir(parents=True, exist_ok=True)
        aside = record.file.with_suffix(".tmp")
        with aside.open("wb") as stream:
            stream.write(orjson.dumps(told))
            stream.flush()
            os.fsync(stream.fileno())
        aside.replace(record.file)

    def remove(self, record: BatchRecord) -> None:
        """Forgets a batch: its results are in the cache, or there is none."""
        record.file.unlink(missing_ok=True)
