"""What all near-duplicate methods share, from summaries to decisions: gather, merge equal texts, pair, link, decide.

Rows with one normal form are merged at the start, so that a text copied a million times is compared once. About a
hundred bytes a row are held in memory; signatures, vectors and texts are in memory-mapped files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
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
from filters.duplicates.clusters import Criterion, Facts, Linkage, Places, decision, link, ranks
from filters.duplicates.minhash import Files, Pairs

Hashes = npt.NDArray[np.uint64]
Flags = npt.NDArray[np.bool_]
BATCH = 8192


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

    def __len__(self) -> int:
        return len(self.high)

    def ids(self, rows: Places) -> list[str]:
        """The ids of these rows."""
        return [
            f"{a:016x}{b:016x}" for a, b in zip(self.id_high[rows].tolist(), self.id_low[rows].tolist(), strict=True)
        ]


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
    summaries: Sequence[Summary], rules: Rules, scores: Sequence[str], column: str | None, files: Files
) -> SummaryColumns:
    """Reads all summaries once.

    Args:
        scores: the scores needed to choose the kept row.
        column: ``signature`` or ``vector``: the column that goes to a file unchanged.
    """
    counts = [summary.rows for summary in summaries]
    total = sum(counts)
    numeric = {
        name: np.zeros(total, np.uint64)
        for name in ("high", "low", "id_high", "id_low", "group", "numbers", "number_count", "negation", "digits")
    }
    there, assessed = np.zeros(total, bool), np.ones(total, bool)
    chars = np.zeros(total, np.int64)
    codes: dict[str, dict[str, int]] = {"language": {}, "source": {}}
    coded = {name: np.zeros(total, np.int32) for name in codes}
    values = {name: np.full(total, np.nan) for name in scores}
    data: Any = None
    texts: list[Any] = []
    start = 0
    for summary in summaries:
        with pq.ParquetFile(summary.path) as file:
            width = sum(name.startswith("text_") for name in file.schema_arrow.names)
            texts = texts or [files.texts(f"text-{number}") for number in range(width)]
            if (
                column is not None and not total
            ):  # every row was dropped before: there is no batch to learn its width from
                kept = file.schema_arrow.field(column).type
                data = np.zeros((0, kept.list_size), kept.value_type.to_pandas_dtype())
            for batch in file.iter_batches(BATCH):
                end = start + batch.num_rows
                for name, array in numeric.items():
                    if name in batch.schema.names:
                        array[start:end] = batch[name].fill_null(0).to_numpy(zero_copy_only=False)
                there[start:end] = batch["high"].is_valid().to_numpy(zero_copy_only=False)
                chars[start:end] = batch["chars"].to_numpy()
                for name, known in codes.items():
                    coded[name][start:end] = [known.setdefault(one, len(known)) for one in batch[name].to_pylist()]
                for name, array in values.items():
                    array[start:end] = score_of(batch["scores"], name)
                if "assessed" in batch.schema.names:
                    assessed[start:end] = batch["assessed"].to_numpy(zero_copy_only=False)
                for number, out in enumerate(texts):
                    out.write(batch[f"text_{number}"])
                if column is not None:
                    wide = flat(batch[column])
                    data = files.array(column, (total, wide.shape[1]), wide.dtype) if data is None else data
                    data[start:end] = wide
                start = end
    fixed = np.repeat([summary.fixed for summary in summaries], counts) if any(s.fixed for s in summaries) else None
    facts = Facts(chars, coded["source"], tuple(codes["source"]), values, fixed)
    block = _block(rules, coded, numeric)
    return SummaryColumns(
        numeric["high"],
        numeric["low"],
        there,
        assessed,
        numeric["id_high"],
        numeric["id_low"],
        block,
        _own(rules, coded, numeric),
        numeric["group"],
        coded["language"],
        tuple(codes["language"]),
        numeric["digits"],
        numeric["numbers"],
        numeric["number_count"],
        numeric["negation"],
        facts,
        data,
        tuple(one.done() for one in texts),
    )


def _block(rules: Rules, coded: dict[str, npt.NDArray[np.int32]], numeric: dict[str, Hashes]) -> Hashes:
    parts = [
        *([coded["language"].astype(np.uint64)] if rules.across == "language" else []),
        *([coded["source"].astype(np.uint64)] if rules.scope == "source" else []),
        *([numeric["group"]] if rules.scope == "group" else []),
        *([numeric["numbers"]] if rules.numbers else []),
        *([numeric["negation"]] if rules.negation else []),
    ]
    return _mixed(parts, len(coded["language"]))


def _own(rules: Rules, coded: dict[str, npt.NDArray[np.int32]], numeric: dict[str, Hashes]) -> Hashes:
    parts = [coded["language"].astype(np.uint64)] if "language" in rules.own else []
    parts += [numeric[name] for name in ("group", "numbers") if name in rules.own]
    return _mixed(parts, len(numeric["group"]))


def _mixed(parts: Sequence[Hashes], count: int) -> Hashes:
    block = np.zeros(count, np.uint64)
    with np.errstate(over="ignore"):
        for number, part in enumerate(parts, 1):
            block = text.scramble(block * np.uint64(0x9E3779B97F4A7C15) + part + np.uint64(number))
    return block


def flat(array: pa.Array) -> npt.NDArray[Any]:
    """A fixed-size list column as an array, one row each."""
    values = array.flatten()
    return np.asarray(values.to_numpy(zero_copy_only=False)).reshape(len(array), array.type.list_size)


def score_of(scores: pa.Array, name: str) -> npt.NDArray[np.float64]:
    """The latest value of the score of that name in each row's list; NaN where there is none."""
    lists = pl.Series("scores", pl.from_arrow(scores))
    return (
        np.array(latest_value(lists, name).fill_null(float("nan")).to_list(), np.float64) if len(lists) else np.zeros(0)
    )


# ----------------------------------------------------------------------------------------------------------- collapsing
@dataclass(frozen=True)
class UniqueTexts:
    """The distinct texts among the rows."""

    rows: Places
    """The first row of each text."""
    of: Places
    """The text number of each row; -1 for a row without text."""


def unique_texts(columns: SummaryColumns) -> UniqueTexts:
    """Merges rows with equal normal forms in one block."""
    there = np.flatnonzero(columns.there)
    order = there[
        np.lexsort((there, columns.low[there], columns.high[there], columns.own[there], columns.block[there]))
    ]
    same = np.zeros(len(order), bool)
    if len(order) > 1:
        a, b = order[1:], order[:-1]
        same[1:] = (
            (columns.low[a] == columns.low[b])
            & (columns.high[a] == columns.high[b])
            & (columns.block[a] == columns.block[b])
            & (columns.own[a] == columns.own[b])
        )
    firsts = order[~same]
    # Numbered by their first row, so that the numbers do not depend on digests.
    number = np.empty(len(firsts), np.int64)
    number[np.argsort(firsts)] = np.arange(len(firsts))
    of = np.full(len(columns), -1, np.int64)
    of[order] = number[np.cumsum(~same) - 1] if len(order) else of[:0]
    return UniqueTexts(np.sort(firsts), of)


def decide(
    columns: SummaryColumns,
    rules: Rules,
    pair: Callable[[UniqueTexts], Pairs],
    measure: Callable[[Places, Places], npt.NDArray[np.float64]],
    summaries: Sequence[Summary],
) -> Iterator[dict[str, pa.Array]]:
    """The decision for each summary that is not fixed, in order.

    Args:
        pair: finds the similar pairs among the unique texts.
        measure: the similarity of pairs of rows.
    """
    unique = unique_texts(columns)
    pairs = pair(unique)
    rank = ranks(columns.facts, rules.criteria)
    fixed = columns.facts.fixed
    # A text ranks as high as its best row.
    there = np.flatnonzero(unique.of >= 0)
    by_rank = there[np.argsort(rank[there])]
    best = np.full(len(unique.rows), -1, np.int64)
    best[unique.of[by_rank[::-1]]] = by_rank[::-1]
    thing_rank = np.empty(len(best), np.int64)
    thing_rank[np.argsort(rank[best])] = np.arange(len(best))
    goes_for = link(thing_rank, pairs.left, pairs.right, rules.linkage, fixed[best] if fixed is not None else None)
    target = np.arange(len(columns))
    target[there] = best[goes_for[unique.of[there]]]
    if fixed is not None:
        target[fixed] = np.flatnonzero(fixed)
    yield from _decisions(columns, unique, target, measure, rules, summaries)


def _decisions(
    columns: SummaryColumns,
    unique: UniqueTexts,
    target: Places,
    measure: Callable[[Places, Places], npt.NDArray[np.float64]],
    rules: Rules,
    summaries: Sequence[Summary],
) -> Iterator[dict[str, pa.Array]]:
    gone = np.flatnonzero(target != np.arange(len(target)))
    size = np.bincount(target, minlength=len(target)) if len(target) else np.zeros(0, np.int64)
    similarity = np.full(len(target), np.nan)
    equal = unique.of[gone] == unique.of[target[gone]]
    similarity[gone[equal]] = 1.0
    apart = gone[~equal]
    # Rows with the same text are measured once.
    _, first, back = np.unique(
        np.stack([unique.of[apart], target[apart]]), axis=1, return_index=True, return_inverse=True
    )
    if len(apart):
        similarity[apart] = np.round(measure(apart[first], target[apart[first]])[back.ravel()], 6)
    # A cluster is named by the smallest id in it: the name depends on its rows, not on their order.
    members = np.flatnonzero(size[target] > 1)
    order = members[np.lexsort((columns.id_low[members], columns.id_high[members], target[members]))]
    smallest = np.full(len(target), -1, np.int64)
    smallest[target[order[::-1]]] = order[::-1]
    start = 0
    for summary in summaries:
        rows = summary.rows
        if not summary.fixed:
            at = np.flatnonzero(size[target[start : start + rows]] > 1)
            here = at + start
            original: list[str | None] = list(columns.ids(target[here]))
            for number in np.flatnonzero(target[here] == here).tolist():
                original[number] = None
            yield decision(
                rows,
                at,
                columns.ids(smallest[target[here]]),
                original,
                similarity[here],
                size[target[here]],
                rules.drop,
            )
        start += rows
