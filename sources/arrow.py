"""Converts Arrow batches (Parquet, Hub datasets) to records: class labels by name; an unreadable cell or row is one bad
row."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from curate.steps import FailedRow
from sources.reading import too_long
from sources.records import UNREAD, Need, Record

Decode = Callable[[Any], Any]


def lacks(columns: Mapping[str, Need] | None, names: Collection[str]) -> bool:
    """Whether a column is missing: then the first rows must be complete, so that the error can list the columns."""
    required = [name for name, need in columns.items() if need.required] if columns is not None else []
    return any(name not in names for name in required if not name.startswith("@"))


def batch_records(
    batch: pa.RecordBatch,
    first: int,
    columns: Collection[str] | None,
    decoders: Mapping[str, Decode],
    limit: int,
) -> Iterator[Record | FailedRow]:
    """The records of a batch.

    Args:
        first: the number of its first row.
        columns: those whose values are needed; for others only whether there is a value. None for all.
        decoders: from :func:`decoders_of`.
        limit: bytes of the longest row that is read.
    """
    needed_names = [name for name in batch.schema.names if columns is None or name in columns]
    others = [name for name in batch.schema.names if name not in needed_names]
    needed = batch.select(needed_names)
    present = [(name, None if not batch[name].null_count else batch[name].is_valid().to_pylist()) for name in others]
    for start, part in _parts(needed, limit):
        if part is None:
            yield FailedRow(f"row {first + start}", too_long(limit), "")
            continue
        weight = part.nbytes // max(1, part.num_rows)
        for offset, row in enumerate(_rows(part, decoders)):
            place = first + start + offset
            if isinstance(row, str):
                yield FailedRow(f"row {place}", row, "")
                continue
            for name, valid in present:
                if valid is None or valid[start + offset]:
                    row[name] = UNREAD
            yield place, row, weight


def _parts(batch: pa.RecordBatch, limit: int) -> Iterator[tuple[int, pa.RecordBatch | None]]:
    """A batch in pieces without rows beyond the limit, each with its first row; None for a row beyond it."""
    waiting = [(0, batch)] if batch.num_rows else []
    while waiting:
        start, part = waiting.pop()
        if part.nbytes <= limit:
            yield start, part
        elif part.num_rows == 1:
            yield start, None
        else:
            half = part.num_rows // 2
            waiting += [(start + half, part.slice(half)), (start, part.slice(0, half))]


def _rows(batch: pa.RecordBatch, decoders: Mapping[str, Decode]) -> Iterator[dict[str, Any] | str]:
    """The rows of a batch; for a row with a value that Python cannot hold, the error message."""
    if not batch.num_columns:
        yield from ({} for _ in range(batch.num_rows))
        return
    try:
        rows: Sequence[dict[str, Any] | str] = batch.to_pylist()
    except Exception:  # noqa: BLE001 - bytes that are no UTF-8, years beyond 9999 and the like, each with an error of its own
        rows = [_row(batch, index) for index in range(batch.num_rows)]
    for row in rows:
        if isinstance(row, dict):
            for name, decode in decoders.items():
                if name in row:
                    row[name] = decode(row[name])
        yield row


def _row(batch: pa.RecordBatch, index: int) -> dict[str, Any] | str:
    row = {}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        try:
            row[name] = column[index].as_py()
        except Exception as error:  # noqa: BLE001 - as above
            return f"column '{name}' has a value that cannot be read ({type(error).__name__}: {error})"
    return row


# --------------------------------------------------------------------------------------------------------- class labels
def decoders_of(features: Any) -> dict[str, Decode]:
    """For each column with class labels, a function that replaces their numbers by names.

    Args:
        features: the features of a dataset as ``datasets`` stores them; anything else has no class labels.
    """
    named = features.items() if isinstance(features, dict) else ()
    return {name: decode for name, one in named if (decode := _decoder(one)) is not None}


def features_of(schema: pa.Schema) -> Any:
    """The features that ``datasets`` wrote to the metadata of an Arrow or Parquet file; None if there are none."""
    try:
        return json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, TypeError, ValueError):
        return None


def _decoder(feature: Any) -> Decode | None:
    if isinstance(feature, list):
        return _each(_decoder(feature[0])) if len(feature) == 1 else None
    if not isinstance(feature, dict):
        return None
    kind = feature.get("_type")
    if kind == "ClassLabel" and isinstance(names := feature.get("names"), list):
        return lambda value: _label(value, names)
    inner = feature.get("feature")
    if kind == "Sequence" and isinstance(inner, dict) and "_type" not in inner:  # of objects: an object of lists
        return _inside({name: _each(_decoder(one)) for name, one in inner.items()})
    if kind in ("List", "LargeList", "Sequence"):
        return _each(_decoder(inner))
    return None if isinstance(kind, str) else _inside({name: _decoder(one) for name, one in feature.items()})


def _label(value: Any, names: Sequence[Any]) -> Any:
    """The name of a label; -1 means no label in ``datasets``."""
    if not isinstance(value, int) or value == -1:
        return None if value == -1 else value
    return names[value] if 0 <= value < len(names) else value


def _each(decode: Decode | None) -> Decode | None:
    if decode is None:
        return None
    return lambda value: [decode(one) for one in value] if isinstance(value, list) else value


def _inside(decoders: Mapping[str, Decode | None]) -> Decode | None:
    known = {name: decode for name, decode in decoders.items() if decode is not None}
    if not known:
        return None

    def decode(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {name: known[name](inner) if name in known else inner for name, inner in value.items()}

    return decode
