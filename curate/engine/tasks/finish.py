"""What a build that is to finish with the answers there are does in its workers (``curate build --finish``): language
models answer from their caches only, and rows that lack an answer are left out, with a reason."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from curate.errors import NotAskedError
from curate.rows.languages import UNKNOWN
from curate.steps import FailedRow, RowBatch
from curate.steps.models import Completion, Done, Request

NOT_ASKED = "not asked"
"""The reason of a row that a score step left out."""
_WHY = "not asked: the build was finished before all answers were there"


class KeptAnswers:
    """A loaded language model that gives kept answers only. One that keeps none gives none."""

    def __init__(self, generator: Any) -> None:
        self._generator = generator

    def generate(self, requests: Sequence[Request], done: Done | None = None) -> list[Completion]:
        """The kept answer to each request, in order; ``failed`` where there is none."""
        look = getattr(self._generator, "kept", None)
        kept: Sequence[Completion | None] = [None] * len(requests) if look is None else look(requests)
        if done is not None:
            done(len(requests))
        none = Completion("", "failed", problem=_WHY, transient=True, error=NotAskedError.__name__)
        return [answer or none for answer in kept]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._generator, name)


def whole_rows(made: Iterable[pa.Table | RowBatch], not_asked: Set[str]) -> list[RowBatch]:
    """What a row step made, without the rows that lack an answer: of four samples three, a correction without its
    check. Each parent is told once.

    Args:
        not_asked: ids of the parents; complete only when everything has been made.
    """
    batches = [one if isinstance(one, RowBatch) else RowBatch(one) for one in made]
    told = {row.where for batch in batches for row in batch.bad}
    lacking = [FailedRow(row, _WHY, "", transient=True) for row in sorted(not_asked - told)]
    alone = [RowBatch(pa.table({}), tuple(lacking))] if lacking else []
    return [*(RowBatch(_without(one.table, not_asked), one.bad) for one in batches), *alone]


def _without(table: pa.Table, not_asked: Set[str]) -> pa.Table:
    if not table.num_rows or not not_asked:
        return table
    # The first parent is the row that was asked about; others (few-shot examples) only helped.
    first = [(lineage["parents"] or [None])[0] for lineage in table["lineage"].to_pylist()]
    return table.filter(pa.array([one not in not_asked for one in first]))


def left_out(columns: pa.Table, ids: pa.ChunkedArray, not_asked: Set[str]) -> pa.Table:
    """The decision of a score step, with the rows dropped that it could not be asked about."""
    lacking = _marked(ids, not_asked) & np.asarray(columns["keep"].is_valid())
    keep = pa.array(np.where(lacking, False, columns["keep"].to_pylist()), pa.bool_(), from_pandas=True)
    reason = [NOT_ASKED if one else old for one, old in zip(lacking, columns["reason"].to_pylist(), strict=True)]
    for name, values in (("keep", keep), ("reason", pa.array(reason, pa.string()))):
        columns = columns.set_column(columns.column_names.index(name), name, values)
    return columns


def by_language(table: pa.Table, not_asked: Set[str]) -> dict[str, int]:
    """Language → rows of a shard that were not asked about; ``und`` for those that stand in no shard."""
    languages = pl.Series("language", table["language"].combine_chunks())
    counts = dict(languages.filter(pl.Series(_marked(table["id"], not_asked))).value_counts(sort=True).rows())
    other = len(not_asked) - sum(counts.values())
    return {**counts, UNKNOWN: counts.get(UNKNOWN, 0) + other} if other > 0 else counts


def _marked(ids: pa.ChunkedArray, wanted: Set[str]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    return np.fromiter((one in wanted for one in ids.to_pylist()), np.bool_, len(ids))
