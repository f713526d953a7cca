"""Trims rows beyond a target: the first in order are kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Literal

import pyarrow as pa

from curate.catalog.params import Decision, PerLanguage
from curate.engine.store.shards import read_parquet
from curate.rows import Kind
from curate.steps import Context, GlobalStep, Rows


class TakeN(GlobalStep):
    """Keeps the first rows of each language, each id once; used by ``target:`` and not a step of the catalog."""

    tag: ClassVar[str] = "target"
    rows: Decision[PerLanguage[int]]
    per: Decision[Literal["language", "dataset"]] = "language"

    def summarize(self, rows: Rows, context: Context) -> pa.Table:
        return rows.table.select(["id", "language"])

    def columns(self, kind: Kind) -> Mapping[str, pa.DataType]:
        return {}

    def decide(self, summaries: Sequence[Path], context: Context) -> Iterator[pa.Table]:
        counts: dict[str, int] = {}
        seen: set[str] = set()
        for path in summaries:
            table = read_parquet(path)
            reasons: list[str | None] = []
            for one, language in zip(table["id"].to_pylist(), table["language"].to_pylist(), strict=True):
                bucket = language if self.per == "language" else "*"
                most = self.rows[language] if self.per == "language" else self.rows.default
                if one in seen:
                    # The same candidate was drawn twice and came out the same.
                    reasons.append("drawn twice")
                elif most is not None and counts.get(bucket, 0) >= most:
                    reasons.append("beyond the target")
                else:
                    seen.add(one)
                    counts[bucket] = counts.get(bucket, 0) + 1
                    reasons.append(None)
            keep = pa.array([reason is None for reason in reasons], pa.bool_())
            yield pa.table({"keep": keep, "reason": pa.array(reasons, pa.string())})
