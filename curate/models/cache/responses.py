"""Caches raw responses of models by request, before they are parsed, so that no request is paid for twice.

There is one SQLite file (WAL) per model identity below ``cache/answers/``; values are JSON, never pickles. Several
processes of one machine may use one file (see :mod:`curate.caches` for several machines). When :meth:`AnswerCache.put`
returns, the value is on disk, even if the process is killed next. Failures are never stored. :class:`AnswerWriter`
stores responses from another thread a few milliseconds later, many per commit.
"""

from __future__ import annotations

import hashlib
import logging
import re
import sqlite3
import threading
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import orjson

from curate.caches import ANSWERS, Cache, is_damage, open_sound, transaction
from curate.errors import DiskFullError, ModelError, is_disk_full

_LOG = logging.getLogger("curate.models")

_GATHER = 0.002
"""Seconds the writer lets responses accumulate before it commits them together."""


def question_key(question: Any) -> bytes:
    """A 16-byte key of a request: BLAKE2b of its JSON with sorted keys. Lone surrogates are escaped, not refused."""
    try:
        data = orjson.dumps(question, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # orjson refuses lone surrogates
        import json

        data = json.dumps(question, sort_keys=True, ensure_ascii=True).encode()
    return hashlib.blake2b(data, digest_size=16).digest()


class AnswerCache(Cache):
    """The cached responses of one model identity; thread-safe. With ``folder=None`` they are kept in memory only."""

    schema: ClassVar[str] = ANSWERS
    table: ClassVar[str] = "answers"
    select: ClassVar[str] = "key, value, {check} FROM answers"

    def __init__(self, folder: Path | None, name: str, identity: Mapping[str, Any]) -> None:
        """Opens the file, or creates it.

        Args:
            folder: the store's ``cache`` folder.
            name: readable first part of the file's name.
            identity: everything besides the request that a response depends on.
        """
        self._mark = question_key(dict(identity))
        slug = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")[:60] or "model"
        file = folder / "answers" / f"{slug}-{self._mark.hex()[:12]}.sqlite" if folder else Path(":memory:")
        super().__init__(folder or Path(), file)
        self._open()

    def _connect(self) -> sqlite3.Connection:
        return open_sound(self.file, self._set_up, "the answers that are needed again are asked for again")

    def _sum(self, key: bytes, value: bytes) -> bytes:
        """Checksum of a response, with its request and model."""
        return hashlib.blake2b(key + value, digest_size=8, key=self._mark).digest()

    def get(self, keys: Iterable[bytes]) -> dict[bytes, Any]:
        """The cached values of these keys."""
        wanted: Sequence[bytes] = list(dict.fromkeys(keys))
        found: dict[bytes, Any] = {}
        with self._lock:
            for own in (True, False):
                wanted = [key for key in wanted if key not in found]
                try:
                    found |= self._look_up(wanted, own)
                except sqlite3.DatabaseError as error:
                    if not is_damage(error, self.file):
                        raise
                    if own:
                        self._close()
                        self._open()
                        with suppress(sqlite3.DatabaseError):
                            found |= self._look_up(wanted, own)
        return found

    def _look_up(self, wanted: Sequence[bytes], own: bool) -> dict[bytes, Any]:
        """Looks keys up in one of the two files; a damaged response is deleted and counts as missing."""
        connection = self._open()
        found: dict[bytes, Any] = {}
        damaged: list[tuple[bytes]] = []
        for key, value, told in self._rows(connection if own else self._base, wanted):
            if told is None or told == self._sum(key, value):
                try:
                    found[key] = orjson.loads(value)
                    continue
                except orjson.JSONDecodeError:
                    pass
            damaged.append((key,))
        if damaged:
            _LOG.warning(f"{len(damaged):,} answers in {self.file} are damaged; they are asked for again")
            if own:
                connection.executemany("DELETE FROM answers WHERE key = ?", damaged)
        return found

    def put(self, answers: Mapping[bytes, Any], replace: Collection[bytes] = ()) -> None:
        """Stores JSON values (``orjson.Fragment`` for JSON text); an existing value of a key stays.

        Args:
            replace: keys whose existing value is replaced.
        """
        if not answers:
            return
        rows = [(key, data, self._sum(key, data)) for key, value in answers.items() for data in (orjson.dumps(value),)]
        again = [(value, told, key) for key, value, told in rows if key in replace]
        with self._lock, transaction(connection := self._open()):
            connection.executemany("INSERT OR IGNORE INTO answers (key, value, sum) VALUES (?, ?, ?)", rows)
            # A negative time says that it took another's place (see curate.caches).
            connection.executemany("UPDATE answers SET value = ?, sum = ?, at = -unixepoch() WHERE key = ?", again)

    def __len__(self) -> int:
        with self._lock:
            return int(self._open().execute("SELECT count(*) FROM answers").fetchone()[0])


class AnswerWriter:
    """Stores responses in a cache from another thread, so that the receiver never waits for the disk."""

    def __init__(self, cache: AnswerCache) -> None:
        self._cache = cache
        self._changed = threading.Condition()
        self._pending: dict[bytes, Any] = {}
        self._replace: set[bytes] = set()
        self._put = self._done = 0
        self._error: BaseException | None = None
        self._thread: threading.Thread | None = None

    def put(self, key: bytes, value: Any, *, replace: bool = False) -> None:
        """Accepts a response; it is on disk a few milliseconds later, or :attr:`failed`."""
        with self._changed:
            self._pending[key] = value
            if replace:
                self._replace.add(key)
            self._put += 1
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._write, name="curate-answers", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    @property
    def backlog(self) -> int:
        """Responses that are not on disk yet."""
        return self._put - self._done

    @property
    def failed(self) -> bool:
        """Whether the last responses could not be written; true until a later write succeeds."""
        return self._error is not None

    def flush(self, timeout: float = 120.0) -> None:
        """Returns when all responses accepted so far are on disk.

        Raises:
            DiskFullError: there is no space left.
            ModelError: writing failed for another reason, or took too long.
        """
        with self._changed:
            wanted = self._put
            self._changed.wait_for(lambda: self._done >= wanted, timeout)
            if self._error is not None:
                kind = DiskFullError if is_disk_full(self._error) else ModelError
                raise kind(
                    f"answers cannot be kept in {self._cache.file}: {self._error}; free some space or repair the file"
                ) from self._error
            if self._done < wanted:
                raise ModelError(f"answers could not be written to {self._cache.file} within {timeout:.0f} s")

    def _write(self) -> None:
        while True:
            with self._changed:
                if not self._changed.wait_for(lambda: self._pending, 10.0):
                    self._thread = None
                    return
            time.sleep(_GATHER)
            with self._changed:
                batch, self._pending, reached = self._pending, {}, self._put
                replace, self._replace = self._replace, set()
            error: BaseException | None = None
            try:
                if replace:
                    self._cache.put(batch, replace)
                else:
                    self._cache.put(batch)
            except Exception as caught:  # noqa: BLE001 - told to who put or waits
                error = caught
            with self._changed:
                self._done, self._error = reached, error
                self._changed.notify_all()
