"""A step of each contract that looks its rows' parents up wherever it may, and writes down how many it saw."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from curate.catalog import Runtime
from curate.rows import Kind
from curate.steps import Context, DatasetStep, GlobalStep, Rows, RowStep, ScoreStep
from curate_letters import note


def see(step: Any, where: str, rows: Rows, context: Context) -> pl.Series:
    """The text of each row's parent; null where it has none."""
    parents = rows.parents()
    found = context.rows_by_id(parents)
    texts = dict(zip(found.ids.to_list(), found.text("text").to_list(), strict=True)) if len(found) else {}
    note(step.journal, f"{step.tag} {where}: {sum(one in texts for one in parents.to_list())} seed {context.seed}")
    return pl.Series("parent", [texts.get(one) for one in parents.to_list()], dtype=pl.String)


class LookScore(ScoreStep):
    """Looks in ``sample``, ``fit`` and ``score``."""

    tag: ClassVar[str] = "look_score"
    assesses: ClassVar[str] = "score"
    journal: Runtime[str | None] = None

    @property
    def requires_fit(self) -> bool:
        return True

    def sample(self, rows: Rows, context: Context) -> pa.Table:
        see(self, "sample", rows, context)
        return rows.table.select(["id"])

    def fit(self, samples: Sequence[pa.Table], context: Context) -> pa.Table:
        ids = pl.Series([one for sample in samples for one in sample["id"].to_pylist()])
        note(self.journal, f"{self.tag} fit: {len(context.rows_by_id(ids))} seed {context.seed}")
        return pa.table({"rows": [len(ids)]})

    def columns(self, kind: Kind) -> Mapping[str, pa.DataType]:
        return {"score": pa.float64()}

    def score(self, rows: Rows, context: Context, fitted: pa.Table | None) -> pl.DataFrame:
        return pl.DataFrame({"score": see(self, "score", rows, context).str.len_chars().cast(pl.Float64)})

    def drop_rules(self, kind: Kind) -> Mapping[str, pl.Expr]:
        return {}


class LookGlobal(GlobalStep):
    """Looks in ``summarize`` and ``decide``."""

    tag: ClassVar[str] = "look_global"
    assesses: ClassVar[str] = "score"
    journal: Runtime[str | None] = None

    def summarize(self, rows: Rows, context: Context) -> pa.Table:
        return pa.table({"id": rows.table["id"], "parent": see(self, "summarize", rows, context).to_arrow()})

    def columns(self, kind: Kind) -> Mapping[str, pa.DataType]:
        return {"score": pa.float64()}

    def decide(self, summaries: Sequence[Path], context: Context) -> Iterator[pa.Table]:
        for path in summaries:
            table = pq.read_table(path)
            note(
                self.journal,
                f"{self.tag} decide: {len(context.rows_by_id(pl.Series(table['id'])))} seed {context.seed}",
            )
            scores = [None if one is None else float(len(one)) for one in table["parent"].to_pylist()]
            keep, reason = [True] * len(scores), pa.array([None] * len(scores), pa.string())
            yield pa.table({"keep": keep, "reason": reason, "score": pa.array(scores, pa.float64())})


class LookRow(RowStep):
    """Looks in ``make``."""

    tag: ClassVar[str] = "look_row"
    journal: Runtime[str | None] = None

    def make(self, rows: Rows, context: Context) -> Iterator[pa.Table]:
        see(self, "make", rows, context)
        yield rows.table


class LookGather(DatasetStep):
    """Looks in ``gather``."""

    tag: ClassVar[str] = "look_gather"
    journal: Runtime[str | None] = None

    def gather(self, rows: Iterable[Rows], context: Context) -> Iterator[pa.Table]:
        for one in rows:
            see(self, "gather", one, context)
            yield one.table


STEPS = (LookScore, LookGlobal, LookRow, LookGather)
