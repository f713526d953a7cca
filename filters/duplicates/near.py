"""The way from summaries to verdicts that all near-duplicate methods share: gather, collapse equal texts, pair, link,
tell.

Rows with one normal form are one thing from the start, so that a text copied a million times is compared once. What is
held in memory of each row is about a hundred bytes; signatures, vectors and texts lie in mapped files.
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
from filters.duplicates.clusters import Criterion, Facts, Linkage, Places, link, ranks, verdict
from filters.duplicates.minhash import Files, Pairs

Hashes = npt.NDArray[np.uint64]
Flags = npt.NDArray[np.bool_]
BATCH = 8192


@dataclass(frozen=True)
class Summary:
    """The summary of some rows, as a parquet file."""

    path: Path
    fixed: bool = False
    """Whether its rows stay whatever comes, and get no verdict."""

    @property
    def rows(self) -> int:
        return int(pq.read_metadata(self.path).num_rows)


@dataclass
class Gathered:
    """What is known of all rows, in the order of the summaries."""

    high: Hashes
    low: Hashes
    """Digest of the normal forms."""
    there: Flags
    """Whether there is anything to compare."""
    assessed: Flags
    """Whether it can be compared by meaning; for other methods, everywhere."""
    id_high: Hashes
    id_low: Hashes
    block: Hashes
    """Only rows of one block may be duplicates of each other."""
    own: Hashes
    """Only rows with one of these, and of one block, are one thing if their texts are equal."""
    group: Hashes
    language: npt.NDArray[np.int32]
    """Index into ``languages``."""
    languages: tuple[str, ...]
    digits: Hashes
    negation: Hashes
    facts: Facts
    data: Any
    """Signatures (uint16) or vectors (float16), one row each, mapped from a file."""
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
    """What decides which rows may be duplicates, and which of them stay."""

    across: str
    scope: str
    numbers: bool
    negation: bool
    linkage: Linkage
    criteria: tuple[Criterion, ...]
    drop: bool
    own: tuple[str, ...] = ()
    """``language``, ``group``: what rows with equal texts must share to be one thing from the start."""


def gather(
    summaries: Sequence[Summary], rules: Rules, scores: Sequence[str], column: str | None, files: Files
) -> Gathered:
    """Reads all summaries once.

    Args:
        scores: the names of the scores that the choice of who stays asks for.
        column: ``signature`` or ``vector``: what goes to a file as it is.
    """
    counts = [summary.rows for summary in summaries]
    total = sum(counts)
    numeric = {
        name: np.zeros(total, np.uint64)
        for name in ("high", "low", "id_high", "id_low", "group", "numbers", "negation", "digits")
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
    return Gathered(
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
    return _mixed([*parts, *([numeric["group"]] if "group" in rules.own else [])], len(numeric["group"]))


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
class Distinct:
    """The different texts among the rows: things to compare."""

    rows: Places
    """A row of each (the first)."""
    of: Places
    """Which of them each row is; -1 for a row without text."""


def distinct(found: Gathered) -> Distinct:
    """Rows with equal normal forms in one block as one thing."""
    there = np.flatnonzero(found.there)
    order = there[np.lexsort((there, found.low[there], found.high[there], found.own[there], found.block[there]))]
    same = np.zeros(len(order), bool)
    if len(order) > 1:
        a, b = order[1:], order[:-1]
        same[1:] = (
            (found.low[a] == found.low[b])
            & (found.high[a] == found.high[b])
            & (found.block[a] == found.block[b])
            & (found.own[a] == found.own[b])
        )
    firsts = order[~same]
    # Numbered by their first row, so that numbers do not depend on digests.
    number = np.empty(len(firsts), np.int64)
    number[np.argsort(firsts)] = np.arange(len(firsts))
    of = np.full(len(found), -1, np.int64)
    of[order] = number[np.cumsum(~same) - 1] if len(order) else of[:0]
    return Distinct(np.sort(firsts), of)


def settle(
    found: Gathered,
    rules: Rules,
    pair: Callable[[Distinct], Pairs],
    measure: Callable[[Places, Places], npt.NDArray[np.float64]],
    summaries: Sequence[Summary],
) -> Iterator[dict[str, pa.Array]]:
    """The verdict for each summary that is not fixed, in order.

    Args:
        pair: the pairs among the different texts that are alike.
        measure: how alike two rows are, for pairs of rows.
    """
    things = distinct(found)
    pairs = pair(things)
    rank = ranks(found.facts, rules.criteria)
    fixed = found.facts.fixed
    # A text stays as long as its best row would.
    there = np.flatnonzero(things.of >= 0)
    by_rank = there[np.argsort(rank[there])]
    best = np.full(len(things.rows), -1, np.int64)
    best[things.of[by_rank[::-1]]] = by_rank[::-1]
    thing_rank = np.empty(len(best), np.int64)
    thing_rank[np.argsort(rank[best])] = np.arange(len(best))
    goes_for = link(thing_rank, pairs.left, pairs.right, rules.linkage, fixed[best] if fixed is not None else None)
    target = np.arange(len(found))
    target[there] = best[goes_for[things.of[there]]]
    if fixed is not None:
        target[fixed] = np.flatnonzero(fixed)
    yield from _verdicts(found, things, target, measure, rules, summaries)


def _verdicts(
    found: Gathered,
    things: Distinct,
    target: Places,
    measure: Callable[[Places, Places], npt.NDArray[np.float64]],
    rules: Rules,
    summaries: Sequence[Summary],
) -> Iterator[dict[str, pa.Array]]:
    gone = np.flatnonzero(target != np.arange(len(target)))
    size = np.bincount(target, minlength=len(target)) if len(target) else np.zeros(0, np.int64)
    similarity = np.full(len(target), np.nan)
    equal = things.of[gone] == things.of[target[gone]]
    similarity[gone[equal]] = 1.0
    apart = gone[~equal]
    # Equal rows of one text are measured once.
    _, first, back = np.unique(
        np.stack([things.of[apart], target[apart]]), axis=1, return_index=True, return_inverse=True
    )
    if len(apart):
        similarity[apart] = np.round(measure(apart[first], target[apart[first]])[back.ravel()], 6)
    # The name of a cluster is the smallest id in it: it changes with its rows, never with their order.
    members = np.flatnonzero(size[target] > 1)
    order = members[np.lexsort((found.id_low[members], found.id_high[members], target[members]))]
    smallest = np.full(len(target), -1, np.int64)
    smallest[target[order[::-1]]] = order[::-1]
    start = 0
    for summary in summaries:
        rows = summary.rows
        if not summary.fixed:
            at = np.flatnonzero(size[target[start : start + rows]] > 1)
            here = at + start
            original: list[str | None] = list(found.ids(target[here]))
            for number in np.flatnonzero(target[here] == here).tolist():
                original[number] = None
            yield verdict(
                rows, at, found.ids(smallest[target[here]]), original, similarity[here], size[target[here]], rules.drop
            )
        start += rows
