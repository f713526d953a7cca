"""Exact deduplication: rows with the same digest are grouped by DuckDB on disk, so memory stays within the limit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from curate.steps import Context
from filters.duplicates.clusters import ByScore, BySource, Criterion, decision, hexadecimal
from filters.duplicates.columns import Rules, Summary

# The minimum that DuckDB needs.
_LEAST_MEMORY = 64 * 1024 * 1024
# Bytes that a row takes during grouping.
_ROW = 360


def decide(summaries: Sequence[Summary], rules: Rules, context: Context) -> Iterator[dict[str, pa.Array]]:
    """The decision for each summary that is not fixed, in order."""
    import duckdb

    context.scratch.mkdir(parents=True, exist_ok=True)
    memory = max(context.memory, _LEAST_MEMORY)
    config: dict[str, Any] = {
        "memory_limit": f"{memory // 1024}KiB",
        "temp_directory": str(context.scratch / "duplicates.tmp"),
        "threads": max(1, min(context.threads, memory // _LEAST_MEMORY)),
        "preserve_insertion_order": False,
        "autoinstall_known_extensions": False,
    }
    with duckdb.connect(str(context.scratch / "duplicates.duckdb"), config=config) as database:
        _group(database, summaries, rules, memory)
        for number, summary in enumerate(summaries):
            if not summary.fixed:
                clustered = database.sql(
                    "SELECT * FROM result WHERE shard = ? ORDER BY row", params=[number]
                ).to_arrow_table()
                yield _decision(summary.rows, clustered, rules)


def _rank(criteria: Sequence[Criterion]) -> tuple[list[str], list[Any]]:
    """SQL expressions over a summary, the smallest first, and their parameters."""
    expressions: list[str] = []
    values: list[Any] = []
    for one in criteria:
        if isinstance(one, ByScore):
            sign = "-" if one.order == "greatest" else ""
            expressions.append(
                f"coalesce({sign}list_extract(list_filter(scores, lambda s: s.name = ?), -1).value, 'infinity'::DOUBLE)"
            )
            values.append(one.score)
        elif isinstance(one, BySource):
            expressions.append(f"coalesce(list_position(?, source), {len(one.sources) + 1})::DOUBLE")
            values.append(list(one.sources))
        elif one in ("longest", "shortest"):
            expressions.append(f"({'-' if one == 'longest' else ''}chars)::DOUBLE")
        else:
            break  # first: later criteria have no ties to break
    return expressions, values


def _group(database: Any, summaries: Sequence[Summary], rules: Rules, memory: int) -> None:
    """Fills ``result`` with the rows of all clusters of two or more, ordered by shard and row."""
    expressions, values = _rank(rules.criteria)
    ranked = "".join(f", r{number} DOUBLE" for number in range(len(expressions)))
    database.execute(
        "CREATE TABLE places (high UBIGINT, low UBIGINT, block UBIGINT, id_high UBIGINT, id_low UBIGINT, moves "
        "BOOLEAN, shard UINTEGER, row UBIGINT"
        f"{ranked})"
    )
    apart = [
        *(["language"] if rules.across == "language" else []),
        *(["source"] if rules.scope == "source" else []),
        *(['"group"'] if rules.scope == "group" else []),
    ]
    # 64 bits are enough to distinguish languages and sources within one digest.
    block = f"hash({', '.join(apart)})" if apart else "0"
    for number, summary in enumerate(summaries):
        database.execute(
            f"INSERT INTO places SELECT high, low, {block}, id_high, id_low, {not summary.fixed}, {number}, "
            "file_row_number"
            + "".join(f", {one}" for one in expressions)
            + " FROM read_parquet(?, file_row_number = true) WHERE high IS NOT NULL",
            [*values, str(summary.path)],
        )
    database.execute(
        "CREATE TABLE found (shard UINTEGER, row UBIGINT, kept BOOLEAN, size UBIGINT, smallest_high UBIGINT, "
        "smallest_low UBIGINT, "
        "stays_high UBIGINT, stays_low UBIGINT)"
    )
    # Digests are uniform, so a slice of their values holds a share of the rows that fits in memory and whole groups.
    rows = database.execute("SELECT count(*) FROM places").fetchone()[0]
    slices = max(1, -(-rows * (_ROW + 16 * len(expressions)) // memory))
    order = ", ".join(["moves", *(f"r{number}" for number in range(len(expressions))), "shard", "row"])
    last = 2 + len(expressions)
    for part in range(slices):
        database.execute(
            "INSERT INTO found WITH part AS (SELECT * FROM places WHERE high % ? = ?), "
            f"best AS (SELECT high, low, block, count(*) AS size, min(row({order}, id_high, id_low)) AS first, "
            "min(row(id_high, id_low)) AS smallest "
            "FROM part GROUP BY high, low, block HAVING count(*) > 1) "
            f"SELECT part.shard, part.row, (part.shard = best.first[{last}] AND part.row = best.first[{last + 1}]) OR "
            "NOT part.moves, best.size, "
            f"best.smallest[1], best.smallest[2], best.first[{last + 2}], best.first[{last + 3}] "
            "FROM part JOIN best USING (high, low, block)",
            [slices, part],
        )
    database.execute("CREATE TABLE result AS SELECT * FROM found ORDER BY shard, row")


def _decision(rows: int, clustered: pa.Table, rules: Rules) -> dict[str, pa.Array]:
    column = {name: clustered[name].to_numpy() for name in clustered.column_names}
    kept = column["kept"].astype(bool)
    return decision(
        rows,
        column["row"].astype(np.int64),
        hexadecimal(column["smallest_high"], column["smallest_low"]),
        hexadecimal(column["stays_high"], column["stays_low"]),
        kept,
        np.where(kept, np.nan, 1.0),
        column["size"],
        rules.drop,
    )
