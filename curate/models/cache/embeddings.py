"""Caches embeddings by the digest of their text, in one SQLite file per model identity.

Vectors are cached and returned at half precision and unit length. So a cold run, a warm run and a run without a cache
give the same numbers (two encodings that differ by a rounding error nearly always round to the same half), at a cost of
less than 1e-4 in a cosine. Several processes of one machine may use one file (:mod:`curate.caches`). A cache that
cannot be used gives a warning, never an error.
"""

from __future__ import annotations

import hashlib
import logging
import sqlite3
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import orjson
import regex

from curate.caches import Cache, has_checks, is_damage, move_aside, transaction
from curate.models.embedding.preprocess import normalize_rows
from curate.rows.ids import hash_texts
from curate.steps import Encoder

_LOG = logging.getLogger("curate.models")

Vectors = npt.NDArray[np.float32]

_FORMAT = 1
_HALF = np.dtype("<f2")
_DAY = 86_400.0
_PATTERN = "embeddings-*.sqlite"
_CHUNK = 4096
"""Vectors written at once."""
_LOOKED_UP = 500
_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS vectors (
    id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, vector BLOB NOT NULL, crc INTEGER
);
CREATE TABLE IF NOT EXISTS used (id INTEGER PRIMARY KEY, day INTEGER NOT NULL);
"""


def round_vectors(vectors: Vectors) -> tuple[npt.NDArray[np.float16], Vectors]:
    """The half-precision vectors to store, and their unit vectors."""
    halves = vectors.astype(_HALF)
    return halves, normalize_rows(halves.astype(np.float32))


class EmbeddingCache(Cache):
    """The cached vectors of one model, by digest of the text."""

    schema: ClassVar[str] = _SCHEMA
    table: ClassVar[str] = "vectors"
    select: ClassVar[str] = "key, vector, {check}, vectors.id, day FROM vectors LEFT JOIN used USING (id)"

    def __init__(self, folder: Path, identity: Mapping[str, Any], dimensions: int, *, deadline: float = 30.0) -> None:
        """
        Args:
            folder: where the files of all models are.
            identity: the JSON of all that changes vectors.
            deadline: seconds to wait for another process that is writing.
        """
        text = orjson.dumps(dict(identity), option=orjson.OPT_SORT_KEYS).decode()
        meta = {"format": str(_FORMAT), "dimensions": str(dimensions), "identity": text}
        super().__init__(folder, folder / file_name(identity), deadline=deadline, meta=meta)
        self._dimensions = dimensions
        self._given_up = self._damaged = False
        self._inode: int | None = None

    def _set_up(self, connection: sqlite3.Connection) -> None:
        super()._set_up(connection)
        connection.create_function("crc32", 1, zlib.crc32, deterministic=True)
        if self._base_file is not None:
            connection.execute(
                "CREATE TABLE IF NOT EXISTS touched (key BLOB PRIMARY KEY, day INTEGER NOT NULL) WITHOUT ROWID"
            )
        self._inode = _inode(self.file)

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Turns an error of SQLite or the file system into one warning and disables the cache; a damaged file is
        moved aside."""
        with self._lock:
            try:
                yield
            except (sqlite3.Error, OSError) as error:
                mine = self._inode
                self._close()
                if isinstance(error, sqlite3.Error) and is_damage(error, self.file) and not self._damaged:
                    self._damaged = True  # a second time the disk is to blame
                    # Another process may have begun a new one meanwhile.
                    if mine in (None, _inode(self.file)):
                        with suppress(FileNotFoundError):
                            _LOG.warning(
                                f"the embedding cache {self.file} is damaged ({error}); it was moved to"
                                f" {move_aside(self.file).name}: its vectors are computed again"
                            )
                    return
                self._given_up = True
                busy = isinstance(error, sqlite3.OperationalError) and "locked" in str(error)
                advice = "another process holds it" if busy else "delete the file if this comes again"
                _LOG.warning(
                    f"the embedding cache {self.file.name} in {self.file.parent} cannot be used ({error}); going on"
                    f" without it, {advice}"
                )

    def get(self, keys: Sequence[bytes]) -> dict[bytes, npt.NDArray[np.float16]]:
        """The half-precision vectors of these keys; missing and damaged ones are left out."""
        found: dict[bytes, npt.NDArray[np.float16]] = {}
        if self._given_up:
            return found
        size, today = self._dimensions * _HALF.itemsize, int(time.time() / _DAY)
        with self._guarded():
            connection = self._open()
            # Use of a vector from the cache before this build is recorded in this machine's own file.
            for source, used in ((connection, "used"), (self._base, "touched")):
                missing = [key for key in keys if key not in found]
                seen = []
                # All or nothing: what a damaged file gave before the error would not be in its successor.
                for key, vector, crc, number, day in list(self._rows(source, missing)):
                    if _is_sound(vector, crc, size):
                        found[key] = np.frombuffer(vector, _HALF)
                        if day != today:
                            seen.append((number if used == "used" else key, today))
                if seen:
                    with transaction(connection):
                        connection.executemany(f"INSERT OR REPLACE INTO {used} VALUES (?, ?)", seen)
        return found

    def put(self, keys: Sequence[bytes], halves: npt.NDArray[np.float16]) -> None:
        """Stores vectors, shape (len(keys), dimensions); a key that another process stored meanwhile keeps its
        value."""
        if self._given_up or not keys:
            return
        size, today = self._dimensions * _HALF.itemsize, int(time.time() / _DAY)
        blobs = np.ascontiguousarray(halves, _HALF)
        with self._guarded():
            connection = self._open()
            for start in range(0, len(keys), _CHUNK):
                part = range(start, min(start + _CHUNK, len(keys)))
                with transaction(connection):
                    # What another process kept meanwhile stays; what is damaged was not found, and makes room.
                    connection.executemany(
                        "DELETE FROM vectors WHERE key = ? AND (length(vector) != ? OR crc != crc32(vector))",
                        ((keys[i], size) for i in part),
                    )
                    connection.executemany(
                        "INSERT OR IGNORE INTO vectors (key, vector, crc) VALUES (?, ?, ?)",
                        ((keys[i], blobs[i].tobytes(), zlib.crc32(blobs[i])) for i in part),
                    )
                    connection.executemany(
                        "INSERT OR REPLACE INTO used SELECT id, ? FROM vectors WHERE key = ?",
                        ((today, keys[i]) for i in part),
                    )


def _is_sound(vector: bytes, crc: int | None, size: int) -> bool:
    return len(vector) == size and crc in (None, zlib.crc32(vector))


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except OSError:
        return None


class CachedEncoder:
    """An encoder with a cache; every model's ``load`` returns one, with or without a cache folder."""

    def __init__(
        self,
        encode: Callable[[list[str]], Vectors],
        *,
        dimensions: int,
        supports: Callable[[str], bool],
        absolute: bool,
        batch_size: int,
        cache: EmbeddingCache | None = None,
    ) -> None:
        """
        Args:
            encode: unit vectors of some texts (the zero vector for whitespace), whatever else is in the batch.
            absolute: whether a cosine means the same for every language, so that one threshold can be set.
            batch_size: texts encoded between two writes to the cache: what a crash may cost.
        """
        self.dimensions = dimensions
        self.absolute = absolute
        self._encode = encode
        self._supports = supports
        self._batch_size = batch_size
        self._cache = cache

    def supports(self, language: str) -> bool:
        """Whether similarities of texts in this language are meaningful."""
        return self._supports(language)

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Unit-length vectors, shape (len(texts), dimensions); whitespace gets the zero vector."""
        places: dict[str, int] = {}
        order = np.fromiter((places.setdefault(text, len(places)) for text in texts), np.int64, len(texts))
        unique = list(places)
        halves = np.zeros((len(unique), self.dimensions), _HALF)
        missing = [i for i, text in enumerate(unique) if text and not text.isspace()]
        keys = hash_texts(unique) if self._cache else []
        if self._cache:
            found = self._cache.get([keys[i] for i in missing])
            for i in missing:
                if (half := found.get(keys[i])) is not None:
                    halves[i] = half
            missing = [i for i in missing if keys[i] not in found]
        for start in range(0, len(missing), self._batch_size):
            batch = missing[start : start + self._batch_size]
            halves[batch] = round_vectors(self._encode([unique[i] for i in batch]))[0]
            if self._cache:
                self._cache.put([keys[i] for i in batch], halves[batch])
        return normalize_rows(halves.astype(np.float32))[order]


def cached(
    encode: Callable[[list[str]], Vectors], *, folder: Path | None, identity: Mapping[str, Any], **wrapper: Any
) -> Encoder:
    """The :class:`CachedEncoder` for the model with that identity; ``wrapper`` are its other arguments."""
    cache = EmbeddingCache(folder, identity, wrapper["dimensions"]) if folder is not None else None
    return CachedEncoder(encode, cache=cache, **wrapper)


# --------------------------------------------------------------------------------------------------------- housekeeping
def file_name(identity: Mapping[str, Any]) -> str:
    """A readable file name that is unique for the identity."""
    text = orjson.dumps(dict(identity), option=orjson.OPT_SORT_KEYS)
    readable = regex.sub(r"[^A-Za-z0-9.]+", "-", str(identity.get("model", "")).partition("@")[0]).strip("-.")[:60]
    return f"embeddings-{readable or 'model'}-{hashlib.blake2b(text, digest_size=8).hexdigest()}.sqlite"


@dataclass(frozen=True)
class CacheFile:
    """The contents of one model's file."""

    path: Path
    identity: dict[str, Any]
    """The model's identity; empty if the file cannot be read."""
    vectors: int
    bytes: int
    """Bytes on disk, including the write-ahead log."""
    problem: str = ""
    """Why the file cannot be read; empty if it can be."""


@dataclass(frozen=True)
class Kept:
    """What the caches have of some texts."""

    model: str
    vectors: Vectors
    """A unit-length vector for each text; zero where there is none."""
    found: npt.NDArray[np.bool_]
    """Of each text whether there is one."""


def kept_vectors(folder: Path, texts: Sequence[str]) -> Kept | None:
    """The vectors of the model that has most of these texts; nothing is encoded, and nothing counts as used. None if
    no model has any, or their files cannot be read."""
    keys = hash_texts(texts)
    best: tuple[str, dict[bytes, npt.NDArray[np.float16]]] = ("", {})
    for file in statistics(folder):
        if file.problem or not file.vectors:
            continue
        try:
            found = _sound(file.path, keys)
        except sqlite3.Error as error:
            _LOG.warning(f"the embedding cache {file.path} cannot be read ({error})")
            continue
        if len(found) > len(best[1]):
            best = (str(file.identity.get("model", "")).partition("@")[0] or file.path.stem, found)
    model, found = best
    if not found:
        return None
    halves = np.zeros((len(keys), len(next(iter(found.values())))), _HALF)
    for place, key in enumerate(keys):
        if (half := found.get(key)) is not None:
            halves[place] = half
    return Kept(model, normalize_rows(halves.astype(np.float32)), np.array([key in found for key in keys], bool))


def _sound(path: Path, keys: Sequence[bytes]) -> dict[bytes, npt.NDArray[np.float16]]:
    """The undamaged vectors of these keys in a file."""
    found = {}
    with closing(sqlite3.connect(path, timeout=5)) as connection:
        size = int(connection.execute("SELECT value FROM meta WHERE name = 'dimensions'").fetchone()[0])
        check = "crc" if has_checks(connection, "vectors") else "NULL"
        for start in range(0, len(keys), _LOOKED_UP):
            part = keys[start : start + _LOOKED_UP]
            marks = ",".join("?" * len(part))
            for key, vector, crc in connection.execute(
                f"SELECT key, vector, {check} FROM vectors WHERE key IN ({marks})", part
            ):
                if _is_sound(vector, crc, size * _HALF.itemsize):
                    found[key] = np.frombuffer(vector, _HALF)
    return found


@dataclass(frozen=True)
class Pruned:
    """The result of :func:`prune` for one file."""

    path: Path
    removed: int
    kept: int
    freed: int
    """Bytes on disk."""
    problem: str = ""


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.parent.glob(path.name + "*") if file.is_file())


def statistics(folder: Path) -> list[CacheFile]:
    """Describes the embedding caches in a folder, by name; empty if there is no such folder."""
    files = []
    for path in sorted(folder.glob(_PATTERN)):
        try:
            with closing(sqlite3.connect(path, timeout=5)) as connection:
                row = connection.execute("SELECT value FROM meta WHERE name = 'identity'").fetchone()
                count = connection.execute("SELECT count(*) FROM used").fetchone()[0]
            files.append(CacheFile(path, orjson.loads(row[0]) if row else {}, count, _size(path)))
        except (sqlite3.Error, ValueError) as error:
            files.append(CacheFile(path, {}, 0, _size(path), str(error)))
    return files


def prune(folder: Path, older_than_days: float, *, now: float | None = None) -> list[Pruned]:
    """Removes the vectors that were not used for that many days, and shrinks the files.

    Args:
        older_than_days: 0 removes everything not used today (days are UTC days).
        now: seconds since the epoch, for tests.
    """
    limit = int((time.time() if now is None else now) / _DAY - older_than_days)
    done = []
    for path in sorted(folder.glob(_PATTERN)):
        before = _size(path)
        try:
            with closing(sqlite3.connect(path, timeout=30, isolation_level=None)) as connection:
                with transaction(connection):
                    connection.execute("DELETE FROM used WHERE day < ?", (limit,))
                    removed = connection.execute("DELETE FROM vectors WHERE id NOT IN (SELECT id FROM used)").rowcount
                if removed:
                    connection.execute("VACUUM")
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                kept = connection.execute("SELECT count(*) FROM vectors").fetchone()[0]
            done.append(Pruned(path, removed, kept, max(0, before - _size(path))))
        except sqlite3.Error as error:
            done.append(Pruned(path, 0, 0, 0, str(error)))
    return done
