"""Finds the files that contain erased rows, and removes the rows from each."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pyarrow.parquet as pq

from curate.caches import is_damage, move_aside
from curate.catalog import Catalog
from curate.engine.store.copies import copies
from curate.engine.store.gc import discard, remove_damaged, remove_unused_results
from curate.engine.store.integrity import read_sealed
from curate.engine.store.store import Store
from curate.erase.descent import id_of, lineage_columns, name_of
from curate.erase.select import files, quarantined, read
from curate.errors import DamagedError, StoreError
from curate.rows.ids import hash_texts

_SENTENCE = re.compile(r"[^.!?…。！？।॥؟۔።፧։\n]+[.!?…。！？।॥؟۔።፧։]*")
_PIECE = 12
"""Characters of the shortest piece of a text that is looked for within others; a shorter text is only found by
itself."""
_LABEL = 40
"""Characters of an attribute that may be somebody's text and no label."""
_NO_TEXT = frozenset(
    {"role", "model", "id", "object", "finish_reason", "stop_reason", "system_fingerprint", "service_tier"}
)
"""Fields of rows and of servers' answers that hold names."""
_AT_ONCE = 20_000_000
"""Characters of pieces that are looked for in one go."""
_ANSWERS = 20_000


@dataclass(frozen=True)
class Gone:
    """What must not be there any more."""

    rows: frozenset[str] = frozenset()
    """Ids of rows and unreadable lines; no copy of them may be there."""
    sources: frozenset[str] = frozenset()
    made: frozenset[str] = frozenset()
    """Names of copies that were made of them, or have a text of theirs beside them (see
    :func:`curate.erase.descent.name_of`)."""

    def __or__(self, other: Gone) -> Gone:
        return Gone(self.rows | other.rows, self.sources | other.sources, self.made | other.made)

    def count(self, path: Path) -> int | None:
        """How many such rows a Parquet file of the store holds; None if it is damaged."""
        frame = self.rows_of(path)
        return None if frame is None else frame.height

    def rows_of(self, path: Path) -> pl.DataFrame | None:
        """These rows of a file, all columns; None if it is damaged."""
        named = pl.Series(sorted(self.rows), dtype=pl.String).implode()
        here = pl.col("source").is_in(list(self.sources))
        try:
            names = set(pq.read_schema(path).names)
        except Exception:  # noqa: BLE001 - whatever Arrow says of a damaged file
            return None
        if {"place", "raw"} <= names:
            bad = quarantined(path)
            # What could not be made of a row may repeat what stood beside it.
            return (
                None
                if bad is None
                else bad.filter(pl.col("id").is_in(named) | pl.col("id").is_in(self._ids.implode()) | here)
            )
        if not {"id", "lineage"} <= names:
            return pl.DataFrame()
        lines = read(path, "id", "lineage")
        if lines is None:
            return None
        of_them = pl.col("parents").str.split(" ").list.eval(pl.element().is_in(named)).list.any()
        frame = lines.select("id", *lineage_columns())
        mask = frame.select(pl.col("id").is_in(named) | of_them | here).to_series() | self._is_copy(frame)
        if not mask.any():
            return pl.DataFrame()
        whole = read(path)
        return None if whole is None else whole.filter(mask)

    @cached_property
    def _ids(self) -> pl.Series:
        """The ids in the names of copies."""
        return pl.Series(sorted(set(map(id_of, self.made))), dtype=pl.String)

    def _is_copy(self, frame: pl.DataFrame) -> pl.Series:
        maybe = (
            frame.select("id", "parents", "makers").with_row_index("at").filter(pl.col("id").is_in(self._ids.implode()))
        )
        at = [place for place, *one in maybe.iter_rows() if name_of(*one) in self.made]
        return pl.int_range(len(frame), eager=True).is_in(pl.Series(at, dtype=pl.Int64).implode())


def versions_with(store: Store, gone: Gone) -> dict[str, int]:
    """``name@version`` → how many such rows it holds, in whatever state it is; 0 for one of which that cannot be
    known."""
    return _with(store, gone, "datasets", "@")


def results_with(store: Store, gone: Gone) -> dict[str, int]:
    """``step/key`` → the same of results on the way to versions."""
    return _with(store, gone, "work", "/")


def _with(store: Store, gone: Gone, top: str, between: str) -> dict[str, int]:
    found = {}
    for folder in sorted(store.root.glob(f"{top}/*/[!.]*")):
        if folder.is_dir() and folder.name != "refs":
            counts = [gone.count(path) for path in sorted(folder.rglob("*.parquet"))]
            if any(count != 0 for count in counts):
                found[f"{folder.parent.name}{between}{folder.name}"] = (
                    0 if None in counts else sum(count or 0 for count in counts)
                )
    return found


# -------------------------------------------------------------------------------------------------------------
# inside the store
def remove_versions(store: Store, catalog: Catalog, names: Iterable[str]) -> list[str]:
    """Removes versions with their names, published ones too. The latest of a dataset goes only where this catalog
    cannot build another.

    Returns:
        Those that were removed.

    Raises:
        StoreError: one cannot be removed.
    """
    removed = []
    for one in names:
        name, _, version = one.partition("@")
        refs = {ref for ref, about in store.refs(name).items() if str(about["version"]) == version}
        if "latest" in refs and name in catalog.datasets:
            continue
        try:
            if "latest" in refs:
                (store.root / "state" / f"{name}.json").unlink(missing_ok=True)
            for ref in refs:
                (store.dataset(name) / "refs" / f"{ref}.json").unlink()
            discard(store.dataset(name) / version)
        except OSError as error:
            raise StoreError(f"{one} cannot be removed: {error.strerror or error}") from error
        removed.append(one)
    return removed


def remove_leftovers(store: Store) -> None:
    """Removes results that no dataset stands on, and all that was set aside because it was damaged."""
    remove_unused_results(store)
    remove_damaged(store)


# -----------------------------------------------------------------------------------------------------------
# answers of models
def texts_of(store: Store, gone: Gone) -> set[str]:
    """Every text of these rows and lines, so far as the store still has them."""
    found: set[str] = set()
    for path in files(
        store, "rows-*.parquet", "data/*.parquet", "rejected/*.parquet", "bad.parquet", "quarantined/*.parquet"
    ):
        frame = gone.rows_of(path)
        if frame is not None and frame.height:
            if "raw" in frame.columns:
                found.update(frame["raw"])
                continue
            for row in frame.drop("id", "language", "group_id", "lineage", "scores").to_dicts():
                labels = [one["value"] for one in row.pop("attributes")]
                found.update(_strings(row))
                found.update(label for label in labels if len(label) >= _LABEL)
    return found


def forget_cached(store: Store, texts: Iterable[str]) -> tuple[int, int]:
    """Removes from the caches of models the answers that repeat one of these texts, or a sentence or line of one,
    and the vectors of these
    texts. At worst that costs a question more: what is in rows that stay is not touched.

    Returns:
        How many answers and vectors were removed.
    """
    whole, pieces = _whole_and_pieces(texts)
    cache, listed = store.root / "cache", list(pieces)
    keys = hash_texts(sorted(whole | pieces))
    answers = _remove(cache.glob("answers/*.sqlite"), "answers", lambda file: _answers_with(file, whole, listed))
    return answers, _remove(cache.glob("embeddings-*.sqlite"), "vectors", lambda file: iter(keys))


def recordings_with(catalog: Catalog, texts: Iterable[str]) -> list[str]:
    """The recordings of the catalog's models that repeat one of these texts, or a sentence of one, each with the
    number of such lines. They are files of the user, which an erasure only names."""
    from curate.models.recorded.recording import raw_lines

    whole, pieces = _whole_and_pieces(texts)
    paths = {model.path.expanduser() for model in catalog.models.values() if model.use == "recorded"}
    found = []
    for path in sorted(one for one in paths if one.is_file()):
        count = sum(_repeating([_read(line) for line in raw_lines(path)], whole, list(pieces)))
        if count:
            found.append(f"{path}: {count:,} of its lines")
    return found


def _whole_and_pieces(texts: Iterable[str]) -> tuple[set[str], set[str]]:
    """Texts, and the pieces of them to be looked for within others."""
    whole, pieces = set[str](), set[str]()
    for text in texts:
        whole.add(text.strip())
        pieces.update(piece for one in (text, *_SENTENCE.findall(text)) if len(piece := one.strip()) >= _PIECE)
    whole.discard("")
    return whole, pieces


def _remove(paths: Iterable[Path], table: str, keys: Callable[[sqlite3.Connection], Iterator[bytes]]) -> int:
    removed = 0
    for path in sorted(paths):
        try:
            with closing(sqlite3.connect(path, timeout=120, isolation_level=None)) as file:
                wanted = [(key,) for key in keys(file)]
                file.execute("BEGIN IMMEDIATE")
                count = file.executemany(f"DELETE FROM {table} WHERE key = ?", wanted).rowcount
                file.execute("COMMIT")
                if count > 0:
                    removed += count
                    file.execute("VACUUM")  # a deleted row stays in the file until its page is written over
                file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.DatabaseError as error:
            if not is_damage(error, path):
                raise
            move_aside(path)  # what it holds cannot be known; it goes with all that was set aside
    return removed


def _answers_with(connection: sqlite3.Connection, whole: set[str], pieces: list[str]) -> Iterator[bytes]:
    cursor = connection.execute("SELECT key, value FROM answers")
    while batch := cursor.fetchmany(_ANSWERS):
        hit = _repeating([_read(value) for _, value in batch], whole, pieces)
        yield from (key for (key, _), there in zip(batch, hit, strict=True) if there)


def _repeating(found: Sequence[Any], whole: set[str], pieces: Sequence[str]) -> pl.Series:
    """Whether each of these JSON values has one of the texts, or a text with one of the pieces in it."""
    values = [[one.strip() for one in _strings(value)] for value in found]
    joined = pl.Series(["\0".join(value) for value in values], dtype=pl.String)
    hit = pl.Series([not whole.isdisjoint(value) for value in values], dtype=pl.Boolean)
    for group in _groups(pieces):
        hit = hit | joined.str.contains_any(group)
    return hit


def _groups(pieces: Sequence[str]) -> Iterator[list[str]]:
    group: list[str] = []
    size = 0
    for piece in pieces:
        group.append(piece)
        size += len(piece)
        if size > _AT_ONCE:
            yield group
            group, size = [], 0
    if group:
        yield group


def _read(value: bytes) -> Any:
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:  # damaged, or as it came from a server
        return value.decode("utf-8", "replace")


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, one in value.items():
            if name not in _NO_TEXT:
                yield from _strings(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _strings(one)


# ------------------------------------------------------------------------------------------------------------------
# outside
def remove_copies(store: Store, versions: Iterable[str]) -> tuple[list[str], list[str]]:
    """Removes the files of exports, reports and review sheets of these versions (``name@version``).

    Returns:
        Those that were removed, and those with files that somebody changed since, which stay.
    """
    wanted, removed, left = set(versions), [], []
    for copy in copies(store):
        if f"{copy.dataset}@{copy.version}" not in wanted:
            continue
        same, changed = copy.there()
        for file in same:
            file.unlink(missing_ok=True)
        for folder in sorted({file.parent for file in same}, key=lambda one: -len(one.parts)):
            with suppress(OSError):  # something else is in it
                folder.rmdir()
        if changed:
            left.append(
                f"{copy.path} ({copy.dataset}@{copy.version}): {changed[0].name} was changed since it was written"
            )
        else:
            removed.append(str(copy.path))
            copy.record.unlink(missing_ok=True)
    return removed, left


def copies_of(store: Store, versions: Iterable[str]) -> list[str]:
    """Where exports, reports and review sheets of these versions lie."""
    wanted = set(versions)
    return [
        f"{one.path} ({one.dataset}@{one.version})" for one in copies(store) if f"{one.dataset}@{one.version}" in wanted
    ]


def publications_of(store: Store, versions: Iterable[str]) -> list[str]:
    """Where these versions were published."""
    wanted = set(versions)
    found = []
    for path in sorted((store.root / "publish").glob("*/[!.]*.json")):
        with suppress(DamagedError):
            about = read_sealed(path) or {}
            if f"{about.get('dataset')}@{about.get('version')}" in wanted:
                found.append(f"{about['to']} ({about['dataset']}@{about['version']}, {str(about['at'])[:10]})")
    return list(dict.fromkeys(found))


__all__ = [
    "Gone",
    "copies_of",
    "forget_cached",
    "publications_of",
    "recordings_with",
    "remove_copies",
    "remove_leftovers",
    "remove_versions",
    "results_with",
    "texts_of",
    "versions_with",
]
