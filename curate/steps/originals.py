"""Finds the row that each row was made from, past the steps that make of a row the same one."""

from __future__ import annotations

import polars as pl

from curate.steps.context import Context
from curate.steps.rows import Rows

_OF_THE_SAME_ROW = ("detect_language", "redact")
"""Steps that make of a row the same one, labelled or without private data. What it was made from is what the old row
was made from."""


def originals(rows: Rows, context: Context) -> pl.Series:
    """The id of each row's first parent, or that of the row that it was before; null where there is none."""
    parents, same = rows.parents(), _is_the_same(rows)
    while same.any():
        before = look_up(parents.filter(same), context)
        ids = before.ids.to_list() if before is not None else []
        above = dict(zip(ids, before.parents().to_list(), strict=True)) if before is not None else {}
        again = dict(zip(ids, _is_the_same(before).to_list(), strict=True)) if before is not None else {}
        parents, same = (
            pl.Series(
                "parent",
                [above.get(one) if is_same else one for one, is_same in zip(parents, same, strict=True)],
                dtype=pl.String,
            ),
            pl.Series(
                [is_same and again.get(one, False) for one, is_same in zip(parents, same, strict=True)],
                dtype=pl.Boolean,
            ),
        )
    return parents


def look_up(ids: pl.Series, context: Context) -> Rows | None:
    """The rows with these ids that are known; None where no id is given."""
    wanted = ids.drop_nulls().unique()
    return context.rows_by_id(wanted) if len(wanted) else None


def _is_the_same(rows: Rows) -> pl.Series:
    lineage = pl.Series(rows.table["lineage"].combine_chunks())
    makers = lineage.struct.field("makers").list.eval(pl.element().struct.field("step"))
    return makers.list.last().is_in(_OF_THE_SAME_ROW).fill_null(False)
