"""The objects of a store behind a URL: read, written, written on a condition, listed and deleted through obstore."""

from __future__ import annotations

import hashlib
import os
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from curate.errors import StoreError

Token = Mapping[str, str]
"""Which state of an object was read: what a conditional write compares."""
RETRIES: Any = {"max_retries": 6, "retry_timeout": timedelta(seconds=60)}
_WHOLE = 16 << 20
"""Bytes up to which a file is sent in one request: of a request that is cut off nothing stays in the bucket."""
_HINTS = (
    ("NoSuchBucket|ContainerNotFound|bucket does not exist", "there is no such bucket, and curate creates none"),
    (
        "AccessDenied|AllAccessDisabled|AuthorizationPermissionMismatch|403 Forbidden",
        "its credentials do not permit it",
    ),
    (
        "InvalidAccessKeyId|SignatureDoesNotMatch|ExpiredToken|InvalidToken|401 Unauthorized",
        "its credentials are not accepted",
    ),
    ("PermissionDenied|Unauthenticated", "its credentials do not permit it"),
    ("169.254.169.254|[Cc]redential", "there are no credentials for it in the environment"),
    ("HTTP error|error sending request|timed out|50[0-9] [A-Z]", "it cannot be reached"),
)


class Conflict(Exception):
    """The condition of a write does not hold: somebody else wrote the object."""


class Objects:
    """The objects below a URL."""

    def __init__(self, url: str) -> None:
        try:
            import obstore
            from obstore.store import from_url
        except ImportError:
            raise StoreError(
                f"a store at {url} needs the package obstore: pip install 'polycurate[remote-store]'"
            ) from None
        self.url = url
        self.versioned = False
        """Whether a write has shown that the bucket keeps old versions of objects."""
        self._api: Any = obstore
        plain = any(
            os.environ.get(name, "").startswith("http://")
            for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT")
        )

        def opened(timeout: str) -> Any:
            options: Any = {"timeout": timeout, "connect_timeout": "10s"} | ({"allow_http": True} if plain else {})
            return from_url(url, client_options=options, retry_config=RETRIES)

        with self._told("cannot be used"):
            self._small, self._large = opened("20s"), opened("10m")

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """Errors of the library, which repeat requests at length, become one sentence."""
        try:
            yield
        except (Conflict, StoreError):
            raise
        except Exception as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # of a file here
            text = f"{type(error).__name__} {error}".partition("Debug source")[0]
            why = next((said for pattern, said in _HINTS if re.search(pattern, text)), "")
            if isinstance(error, FileNotFoundError) and not why:
                raise
            raise StoreError(f"{self.url} {what}: {why or type(error).__name__}") from None

    def get(self, name: str) -> tuple[bytes, Token, datetime] | None:
        """An object with its state and when it was written by the server's clock; None if there is none."""
        try:
            with self._told("cannot be read"):
                found = self._api.get(self._small, name)
                return bytes(found.bytes()), _token(found.meta), found.meta["last_modified"]
        except FileNotFoundError:
            return None

    def put(self, name: str, data: bytes | Path) -> None:
        """Writes an object."""
        multipart = isinstance(data, Path) and data.stat().st_size > _WHOLE
        with self._told("cannot be written"):
            self._api.put(self._large, name, data, mode="overwrite", use_multipart=multipart)

    def swap(self, name: str, data: bytes, before: Token | None) -> Token:
        """Writes an object that is as it was read (None: that is not there).

        Raises:
            Conflict: it is not; or it is not known whether this write was done, because its answer was lost.
        """
        exceptions = self._api.exceptions
        try:
            with self._told("cannot be written"):
                made = _token(self._api.put(self._small, name, data, mode=before or "create"))
        except StoreError as error:
            if isinstance(error.__context__, exceptions.AlreadyExistsError | exceptions.PreconditionError):
                raise Conflict from None
            raise
        # Google's store numbers the states of every object; it does not keep them for that.
        self.versioned = made.get("version", "null") != "null" and not self.url.startswith("gs://")
        return made

    def now(self) -> datetime:
        """The time by the server's clock, to the second."""
        with self._told("cannot be written"):
            self._api.put(self._small, "clock", uuid.uuid4().bytes)
            found: datetime = self._api.head(self._small, "clock")["last_modified"]
            return found

    def fetch(self, name: str, target: Path, size: int, sha256: str, *, aside: Path) -> None:
        """Brings an object into a file, whole or not at all.

        Args:
            aside: a folder on the same disk, for the file while it is not whole.

        Raises:
            ValueError: it is not what was written, or gone.
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = aside / f".tmp-{uuid.uuid4().hex}"
        digest = hashlib.sha256()
        try:
            with self._told("cannot be read"), temporary.open("wb") as file:
                for chunk in self._api.get(self._large, name).stream():
                    digest.update(chunk)
                    file.write(chunk)
            found = temporary.stat().st_size
            if found != size:
                raise ValueError(f"it has {found:,} bytes instead of {size:,} in {self.url}")
            if digest.hexdigest() != sha256:
                raise ValueError(f"its bytes in {self.url} are not those that were written")
            temporary.replace(target)
        except FileNotFoundError:
            raise ValueError(f"it is gone from {self.url}") from None
        finally:
            temporary.unlink(missing_ok=True)

    def listed(self, prefix: str) -> Iterator[tuple[str, int]]:
        """Name and size of all objects below a prefix."""
        with self._told("cannot be listed"):
            for batch in self._api.list(self._large, prefix):
                for one in batch:
                    yield one["path"], one["size"]

    def delete(self, names: Sequence[str]) -> None:
        """Deletes objects, those that are there."""
        if names:
            with self._told("cannot be written"), suppress(FileNotFoundError):
                self._api.delete(self._large, list(names))

    def require_conditions(self) -> None:
        """Tries whether conditional writes work here.

        Raises:
            StoreError: they do not.
        """
        name = f"probe-{uuid.uuid4().hex}"
        first = self.swap(name, b"1", None)
        try:
            heeded = self._refuses(name, None)
            self.put(name, b"2")
            heeded = self._refuses(name, first) and heeded
        finally:
            with suppress(StoreError):
                self.delete([name])
        if not heeded:
            raise StoreError(
                f"{self.url}: this server does not heed conditional writes (If-None-Match, If-Match), without which "
                "two builds would overwrite each other; use another one, or a folder"
            )

    def _refuses(self, name: str, before: Token | None) -> bool:
        try:
            self.swap(name, b"3", before)
        except Conflict:
            return True
        return False


def _token(meta: Mapping[str, Any]) -> Token:
    return {key: str(meta[key]) for key in ("e_tag", "version") if meta.get(key) is not None}
