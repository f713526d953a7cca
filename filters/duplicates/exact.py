"""Rows with one digest are one group: DuckDB puts them together on disk, so that memory is bounded by the limit, not by
the data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from curate.steps import Context
from filters.duplicates.clusters import ByScore, BySource, Criterion, verdict
from filters.duplicates.near import Rules, Summary

# What DuckDB needs for itself however small the limit.
_LEAST_MEMORY = 64 * 1024 * 1024
# Bytes that a row takes while its group is looked for.
_ROW = 360


def decide(summaries: Sequence[Summary], rules: Rules, context: Context) -> Iterator[dict[str, pa.Array]]:
    """The verdict for each summary that is not fixed, in order."""
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
                found = database.sql(
                    "SELECT row, kept, size, cluster, stays FROM result WHERE shard = ? ORDER BY row", params=[number]
                ).to_arrow_table()
                yield _told(summary.rows, found, rules)


def _rank(criteria: Sequence[Criterion]) -> tuple[list[str], list[Any]]:
    """SQL expressions over a summary, the least first, and their parameters."""
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
            break  # first: nothing after it can count
    return expressions, values


def _group(database: Any, summaries: Sequence[Summary], rules: Rules, memory: int) -> None:
    """Fills ``result`` with the rows of all groups of two or more, ordered by shard and row."""
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
    # Sixty-four bits are enough to tell languages and sources apart within one digest.
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
    # Digests are uniform, so a slice of their values is a slice of the rows that fits in memory and cuts no group.
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
    names = {"cluster": "smallest", "stays": "stays"}
    shown = ", ".join(f"printf('%016x%016x', {column}_high, {column}_low) AS {name}" for name, column in names.items())
    database.execute(f"CREATE TABLE result AS SELECT shard, row, kept, size, {shown} FROM found ORDER BY shard, row")


def _told(rows: int, found: pa.Table, rules: Rules) -> dict[str, pa.Array]:
    kept = found["kept"].to_pylist()
    original = [None if stays else name for stays, name in zip(kept, found["stays"].to_pylist(), strict=True)]
    similarity = np.where(np.array(kept, bool), np.nan, 1.0)
    return verdict(
        rows,
        found["row"].to_numpy().astype(np.int64),
        found["cluster"].to_pylist(),
        original,
        similarity,
        found["size"].to_numpy(),
        rules.drop,
    )
