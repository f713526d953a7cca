"""The columns of all summaries, which the near-duplicate methods compare: on disk, about a hundred bytes a row beside
texts, signatures and vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from curate.rows.fields import latest_value
from curate.text import segmentation as text
from filters.duplicates.clusters import Criterion, Facts, Linkage
from filters.duplicates.files import CHUNK, Files

Hashes = npt.NDArray[np.uint64]
Flags = npt.NDArray[np.bool_]
BATCH = 8192
_WIDE = {"signature": np.dtype(np.uint16), "vector": np.dtype(np.float16)}


@dataclass(frozen=True)
class Summary:
    """The summary of some rows, as a Parquet file."""

    path: Path
    fixed: bool = False
    """Whether its rows are always kept and get no decision (rows of ``against``)."""

    @property
    def rows(self) -> int:
        return int(pq.read_metadata(self.path).num_rows)


@dataclass
class SummaryColumns:
    """The columns of all summaries, in their order."""

    high: Hashes
    low: Hashes
    """Digest of the normal forms."""
    there: Flags
    """Whether the row has any text to compare."""
    assessed: Flags
    """Whether the row can be compared by meaning; always true for other methods."""
    id_high: Hashes
    id_low: Hashes
    block: Hashes
    """Only rows of the same block may be duplicates."""
    own: Hashes
    """Equal texts are merged only within the same block and the same value here."""
    group: Hashes
    language: npt.NDArray[np.int32]
    """Index into ``languages``."""
    languages: tuple[str, ...]
    digits: Hashes
    numbers: Hashes
    number_count: Hashes
    negation: Hashes
    facts: Facts
    data: Any
    """Signatures (uint16) or vectors (float16), one row each, memory-mapped."""
    texts: tuple[pa.Array, ...]
    spoken: tuple[npt.NDArray[np.int32], ...] = ()
    """The language of each text, an index into ``languages``; only for ``cross_lingual``."""

    def __len__(self) -> int:
        return len(self.high)


@dataclass(frozen=True)
class Rules:
    """Which rows may be duplicates, and which of them are kept."""

    across: str
    scope: str
    numbers: bool
    negation: bool
    linkage: Linkage
    criteria: tuple[Criterion, ...]
    drop: bool
    own: tuple[str, ...] = ()
    """``language``, ``group``, ``numbers``: what rows with equal texts must share to be merged at the start."""


def gather(
    summaries: Sequence[Summary], rules: Rules, scores: Sequence[str], column: str, files: Files
) -> SummaryColumns:
    """Reads all summaries once.

    Args:
        scores: the scores needed to choose the kept row.
        column: ``signature`` or ``vector``: the column that goes to a file unchanged.
    """
    counts = [summary.rows for summary in summaries]
    total = sum(counts)
    schema = pq.read_schema(summaries[0].path)
    # What a method does not have is 0, and takes no place.
    numeric = {
        name: files.array(name, (total,), np.uint64) if name in schema.names else np.broadcast_to(np.uint64(0), total)
        for name in ("high", "low", "id_high", "id_low", "group", "numbers", "number_count", "negation", "digits")
    }
    there, chars = files.array("there", (total,), bool), files.array("chars", (total,), np.int64)
    by_meaning = "assessed" in schema.names
    assessed = files.array("assessed", (total,), bool) if by_meaning else np.broadcast_to(True, total)
    codes: dict[str, dict[str, int]] = {"language": {}, "source": {}}
    coded = {name: files.array(name, (total,), np.int32) for name in codes}
    values = {name: files.array(f"score-{number}", (total,), np.float64) for number, name in enumerate(scores)}
    dtype = _WIDE[column]
    width = schema.field(column).type.byte_width // dtype.itemsize
    data = files.array(column, (total, width), dtype)
    said = [name for name in schema.names if name.startswith("spoken_")]
    spoken = [files.array(name, (total,), np.int32) for name in said]
    texts = [files.texts(name, total) for name in schema.names if name.startswith("text_")]
    start = 0
    for summary in summaries:
        with pq.ParquetFile(summary.path) as file:
            for batch in file.iter_batches(BATCH):
                if not batch.num_rows:
                    continue
                end = start + batch.num_rows
                for name, array in numeric.items():
                    if name in schema.names:
                        array[start:end] = batch[name].fill_null(0).to_numpy(zero_copy_only=False)
                there[start:end] = batch["high"].is_valid().to_numpy(zero_copy_only=False)
                chars[start:end] = batch["chars"].to_numpy()
                for name, known in codes.items():
                    coded[name][start:end] = _coded(batch[name], known)
                for name, numbers_of in zip(said, spoken, strict=True):
                    numbers_of[start:end] = _coded(batch[name], codes["language"])
                for name, array in values.items():
                    array[start:end] = score_of(batch["scores"], name)
                if by_meaning:
                    assessed[start:end] = batch["assessed"].to_numpy(zero_copy_only=False)
                for number, out in enumerate(texts):
                    out.write(batch[f"text_{number}"])
                wide = batch[column]
                numbers = np.frombuffer(wide.buffers()[1], dtype, len(wide) * width, wide.offset * wide.type.byte_width)
                data[start:end] = numbers.reshape(-1, width)
                start = end
        files.release()
    fixed = np.repeat([summary.fixed for summary in summaries], counts) if any(s.fixed for s in summaries) else None
    block = [
        *([coded["language"]] if rules.across == "language" else []),
        *([coded["source"]] if rules.scope == "source" else []),
        *([numeric["group"]] if rules.scope == "group" else []),
        *([numeric["numbers"]] if rules.numbers else []),
        *([numeric["negation"]] if rules.negation else []),
    ]
    own = [coded["language"]] if "language" in rules.own else []
    own += [numeric[name] for name in ("group", "numbers") if name in rules.own]
    return SummaryColumns(
        numeric["high"],
        numeric["low"],
        there,
        assessed,
        numeric["id_high"],
        numeric["id_low"],
        _mixed(block, total, files, "block"),
        _mixed(own, total, files, "own"),
        numeric["group"],
        coded["language"],
        tuple(codes["language"]),
        numeric["digits"],
        numeric["numbers"],
        numeric["number_count"],
        numeric["negation"],
        Facts(chars, coded["source"], tuple(codes["source"]), values, fixed),
        data,
        tuple(one.done() for one in texts),
        tuple(spoken),
    )


def _coded(column: pa.Array, known: dict[str, int]) -> npt.NDArray[np.int32]:
    """The number of each value; values that are not known yet get the next ones."""
    found = column.dictionary_encode(null_encoding="encode")
    numbers = [known.setdefault(one, len(known)) for one in found.dictionary.to_pylist()]
    coded: npt.NDArray[np.int32] = np.array(numbers, np.int32)[found.indices.to_numpy()]
    return coded


def _mixed(parts: Sequence[npt.NDArray[Any]], count: int, files: Files, name: str) -> Hashes:
    """A digest of these values of each row."""
    if not parts:
        return np.broadcast_to(np.uint64(0), count)
    mixed: Hashes = files.array(name, (count,), np.uint64)
    for start in range(0, count, CHUNK):
        here = slice(start, start + CHUNK)
        block = np.zeros(len(mixed[here]), np.uint64)
        with np.errstate(over="ignore"):
            for number, part in enumerate(parts, 1):
                block = text.scramble(
                    block * np.uint64(0x9E3779B97F4A7C15) + part[here].astype(np.uint64) + np.uint64(number)
                )
        mixed[here] = block
    return mixed


def score_of(scores: pa.Array, name: str) -> npt.NDArray[np.float64]:
    """The latest value of the score of that name in each row's list; NaN where there is none."""
    lists = pl.Series("scores", pl.from_arrow(scores))
    return (
        np.array(latest_value(lists, name).fill_null(float("nan")).to_list(), np.float64) if len(lists) else np.zeros(0)
    )
