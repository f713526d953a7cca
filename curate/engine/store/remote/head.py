"""The one object of a store behind a URL that ever changes: it names the list of all files, and who may change it.

Everything else is written once, under the digest of its bytes. So a change of the store is one conditional write, and
whoever was overtaken cannot write any more.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

import orjson

from curate.engine.store.remote.objects import Conflict, Objects, Token
from curate.errors import StoreError

NAME = "store.json"
FORMAT = 1
_TRIES = 5


@dataclass(frozen=True)
class Head:
    """What that object says."""

    index: str = ""
    """The object with the list of all files; empty while there are none."""
    purges: int = 0
    """How often rows were erased: a working copy from before must not bring them back."""
    holder: Mapping[str, Any] | None = None
    """Who may change the store: host, process and a word of its own; None: nobody works in it."""
    write: str = ""
    """A word of each write, by which its writer knows it again when the answer was lost."""
    format: int = FORMAT


@dataclass(frozen=True)
class State:
    """The head as it was read or written."""

    head: Head
    token: Token
    written: datetime | None = None
    """When, by the server's clock, if it was read."""


def read_head(objects: Objects) -> State | None:
    """The head; None if there is no store yet.

    Raises:
        StoreError: it cannot be read, or is of a newer format.
    """
    found = objects.get(NAME)
    if found is None:
        return None
    data, token, written = found
    try:
        said = orjson.loads(data)
        number = said["format"]
        if number == FORMAT:
            return State(Head(**said), token, written)
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise StoreError(f"{objects.url}/{NAME} is not what curate writes there; name another folder") from None
    raise StoreError(f"{objects.url} has format {number}, this curate reads format {FORMAT}; use another store")


def swap_head(objects: Objects, before: State | None, **changes: Any) -> State:
    """Writes the head if it is as it was; a write of which the answer was lost is recognised.

    Raises:
        Conflict: somebody else wrote it.
        StoreError: it cannot be written.
    """
    head = replace(before.head if before else Head(), write=uuid.uuid4().hex, **changes)
    failure: Exception = Conflict()
    for number in range(_TRIES):
        if number:
            time.sleep(0.2 * 2**number)
        try:
            return State(head, objects.swap(NAME, orjson.dumps(asdict(head)), before.token if before else None))
        except (Conflict, StoreError) as error:
            failure = error
        found = read_head(objects)
        if found is not None and found.head.write == head.write:
            return found
        if (found is None) != (before is None) or (found and before and found.head.write != before.head.write):
            raise Conflict
    raise failure
