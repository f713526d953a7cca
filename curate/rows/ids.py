"""Computes row ids and content digests.

An id is the digest of a row's identity: kind, language and payload. A content digest covers everything that a later
step can read. Both are computed from the values in Arrow's buffers, never from parquet bytes, so that equal rows have
equal digests however they were chunked, compressed or sliced. BLAKE2b with 128 bits for rows (rows are untrusted: a
fast non-cryptographic hash could be made to collide) and 256 bits for contents.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from curate.rows.extras import canonical, extra_bytes, extras_in, narrow, widen
from curate.rows.kinds import EXTRAS, Kind, required_columns, schema

_ROW = b"curate-row-1"
_CONTENT = b"curate-content1"
_EXTRAS = b"\xff" * 8
"""Before a row's optional parts: no list has this length, so that no row without them has the same bytes."""
Ranger = Callable[[int, int], bytes]


def _flat(array: pa.Array | pa.ChunkedArray) -> pa.Array:
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks() if array.num_chunks != 1 else array.chunk(0)
        if isinstance(array, pa.ChunkedArray):
            array = array.chunk(0) if array.num_chunks else pa.array([], array.type)
    return array


def _offsets(array: pa.Array) -> npt.NDArray[np.int64]:
    """The n+1 offsets of a string or list array, absolute into its child buffer."""
    wide = (
        pa.types.is_large_string(array.type)
        or pa.types.is_large_list(array.type)
        or pa.types.is_large_binary(array.type)
    )
    dtype, size = (np.int64, 8) if wide else (np.int32, 4)
    buffer = array.buffers()[1]
    if buffer is None or len(array) == 0:
        return np.zeros(1, np.int64)
    return np.frombuffer(buffer, dtype, len(array) + 1, array.offset * size).astype(np.int64)


def _string_bytes(array: pa.Array) -> memoryview:
    data = array.buffers()[2]
    return memoryview(data) if data is not None else memoryview(b"")


def _ranger(array: pa.Array, path: str, left_out: frozenset[str] = frozenset()) -> Ranger:
    """Returns a function for the unambiguous bytes of rows ``start`` to ``end``: every text and list is preceded by
    its length."""
    kind = array.type
    if array.null_count:
        raise ValueError(f"column {path} holds {array.null_count} nulls; every value must be given")
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        offsets = _offsets(array)
        lengths, data, at = np.diff(offsets).astype("<i8").tobytes(), _string_bytes(array), offsets.tolist()
        return lambda start, end: lengths[8 * start : 8 * end] + data[at[start] : at[end]]
    if pa.types.is_list(kind):
        offsets = _offsets(array)
        counts, ends = np.diff(offsets).astype("<i8").tobytes(), offsets.tolist()
        inner = _ranger(array.values, f"{path}[]", left_out)
        return lambda start, end: counts[8 * start : 8 * end] + inner(ends[start], ends[end])
    if pa.types.is_struct(kind):
        names = [kind.field(index).name for index in range(kind.num_fields)]
        parts = [
            _ranger(array.field(name), f"{path}.{name}", left_out) for name in names if f"{path}.{name}" not in left_out
        ]
        return lambda start, end: b"".join([part(start, end) for part in parts])
    if pa.types.is_boolean(kind):
        flags = np.asarray(array.to_numpy(zero_copy_only=False), bool).tobytes()
        return lambda start, end: flags[start:end]
    if pa.types.is_floating(kind):
        values = (np.asarray(array.to_numpy(zero_copy_only=False), "<f8") + 0.0).tobytes()  # -0.0 becomes 0.0
        return lambda start, end: values[8 * start : 8 * end]
    raise TypeError(f"column {path}: no canonical bytes for Arrow type {kind}")


def _row_digests(
    table: pa.Table, names: Iterable[str], first: bytes, left_out: frozenset[str] = frozenset()
) -> list[bytes]:
    extras = extra_bytes(table)
    table = narrow(table)
    columns = [_ranger(_flat(table[name]), name, left_out) for name in names]
    start = hashlib.blake2b(first, digest_size=16, person=_ROW)
    digests: list[bytes] = []
    for i in range(table.num_rows):
        digest = start.copy()
        digest.update(b"".join([column(i, i + 1) for column in columns]))
        if extras is not None and extras[i]:
            digest.update(_EXTRAS + extras[i])
        digests.append(digest.digest())
    return digests


def row_ids(kind: Kind, table: pa.Table) -> pa.Array:
    """The id of each row: 32 hexadecimal digits over kind, ``language`` and the kind's payload columns.

    Two rows have the same id exactly if they are the same item; source, scores and lineage have no influence. Optional
    parts count where a row has them, so the ids of other rows do not depend on which optional parts there are.
    """
    digests = _row_digests(table, ["language", *required_columns(kind)], kind.value.encode() + b"\0")
    return pa.array([digest.hex() for digest in digests], pa.string())


def row_digests(table: pa.Table) -> list[bytes]:
    """16 bytes over everything in each row except ``lineage.makers[].key``: equal for equal rows of a version.

    Digests of rows in order, and thus a version, do not depend on how the rows are split into files.
    """
    names = [name for name in table.column_names if name not in EXTRAS]
    return _row_digests(table, names, b"version\0", frozenset({"lineage.makers[].key"}))


def hash_texts(texts: Iterable[str], size: int = 16) -> list[bytes]:
    """A digest of each text (for cache keys); lone surrogates are included as they are."""
    begun = hashlib.blake2b(digest_size=size)
    return [finish(begun, text.encode("utf-8", "surrogatepass")) for text in texts]


def finish(begun: Any, data: bytes) -> bytes:
    """The digest of ``data`` by a copy of a prepared hasher, which is five times faster than a new one."""
    digest = begun.copy()
    digest.update(data)
    made: bytes = digest.digest()
    return made


class ContentDigest:
    """Digest of a table's values in row order, updated table by table.

    It covers column names, types and values, but not chunking, offsets, compression and metadata.
    ``lineage.makers[].key`` is always left out (a row made by another recipe with the same result is the same row), and
    so is ``lineage.source_id`` unless ``places`` is given: an inserted line must not change all rows after it. Optional
    parts that no row of the table has (:mod:`curate.rows.extras`) do not count.
    """

    def __init__(self, *, places: bool = False) -> None:
        self._places = places
        self._digest = hashlib.blake2b(digest_size=32, person=_CONTENT)

    def update(self, table: pa.Table) -> ContentDigest:
        table = narrow(table, extras_in(table))
        self._digest.update(table.num_rows.to_bytes(8, "little"))
        for name in table.column_names:
            self._digest.update(f"{name}\0".encode())
            self._feed(_flat(table[name]), name)
        return self

    def _feed(self, array: pa.Array, path: str) -> None:
        kind, update = array.type, self._digest.update
        update(f"{len(array)}:{array.null_count}\0".encode())
        if array.null_count:
            update(np.packbits(np.asarray(array.is_valid().to_numpy(zero_copy_only=False), bool)).tobytes())
            if not pa.types.is_nested(kind):
                array = array.drop_null()
        if pa.types.is_null(kind):
            update(b"null")
        elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
            offsets = _offsets(array)
            update(b"text" + np.diff(offsets).astype("<i8").tobytes())
            update(_string_bytes(array)[int(offsets[0]) : int(offsets[-1])])
        elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
            if array.null_count:
                import pyarrow.compute as pc

                array = pc.fill_null(array, pa.scalar([], kind))
            offsets = _offsets(array)
            update(b"list" + np.diff(offsets).astype("<i8").tobytes())
            self._feed(array.values.slice(int(offsets[0]), int(offsets[-1] - offsets[0])), path + "[]")
        elif pa.types.is_struct(kind):
            for index in range(kind.num_fields):
                name = f"{path}.{kind.field(index).name}"
                if name == "lineage.makers[].key" or (name == "lineage.source_id" and not self._places):
                    continue
                update(f"{name}\0".encode())
                self._feed(array.field(index), name)
        elif pa.types.is_floating(kind):
            values = np.asarray(array.to_numpy(zero_copy_only=False), "<f8") + 0.0  # -0.0 becomes 0.0
            update(b"real" + values.tobytes())
        elif pa.types.is_boolean(kind):
            update(b"bool" + np.packbits(np.asarray(array.to_numpy(zero_copy_only=False), bool)).tobytes())
        elif pa.types.is_integer(kind):
            update(b"int" + np.asarray(array.to_numpy(zero_copy_only=False), "<i8").tobytes())
        elif pa.types.is_binary(kind) or pa.types.is_fixed_size_binary(kind) or pa.types.is_large_binary(kind):
            for value in array.to_pylist():
                update(len(value).to_bytes(8, "little") + value)
        elif pa.types.is_fixed_size_list(kind):
            update(f"fixed{kind.list_size}".encode())
            self._feed(array.flatten(), path + "[]")
        else:
            raise TypeError(f"column {path}: no canonical digest for Arrow type {kind}")

    def hexdigest(self) -> str:
        return self._digest.hexdigest()


def content_digest(table: pa.Table, *, places: bool = False) -> str:
    """The :class:`ContentDigest` of one table, as 64 hexadecimal digits."""
    return ContentDigest(places=places).update(table).hexdigest()


def with_ids(kind: Kind, table: pa.Table) -> pa.Table:
    """The table in the kind's schema, with its ``id`` column computed; an empty ``group_id`` becomes the id.

    Raises:
        ValueError: a column is missing, or has nulls where they are not allowed.
    """
    import pyarrow.compute as pc

    target = schema(kind)
    table = canonical(kind, widen(table))
    ids = row_ids(kind, table)
    groups = table["group_id"].combine_chunks() if "group_id" in table.column_names else pa.array([""] * len(ids))
    groups = pc.if_else(pc.equal(groups, ""), ids, groups)
    columns = []
    for field in target:
        if field.name == "id":
            columns.append(ids)
        elif field.name == "group_id":
            columns.append(groups)
        elif field.name not in table.column_names:
            raise ValueError(f"a {kind} row needs a column '{field.name}'; there are {', '.join(table.column_names)}")
        else:
            columns.append(table[field.name].cast(field.type))
    return pa.Table.from_arrays(columns, schema=target)


def line_id(source: str, raw: str) -> str:
    """An id for a line that could not be read: 32 hexadecimal digits of its source and raw text."""
    return hashlib.blake2b(
        b"curate-line-1\0" + f"{source}\0{raw}".encode("utf-8", "replace"), digest_size=16
    ).hexdigest()
