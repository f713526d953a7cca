"""Two rows are duplicates when their chosen texts are equal after stated normalisations; one row of each group stays.

Each shard is summarised once (a digest a row), and the decision over all summaries is made by DuckDB, which spills to
disk: memory is bounded by the limit, not by the data. The outcome depends on the order of rows, never on how they were
cut into shards.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import model_validator

from curate.catalog.params import Decision
from curate.rows import Kind, main_fields, unknown_fields
from curate.steps import Context, GlobalStep, Rows
from filters.sameness import Sameness

_SUMMARY = pa.schema(
    [("high", pa.uint64()), ("low", pa.uint64()), ("id", pa.string()), ("chars", pa.int64()), ("source", pa.string()),
     ("value", pa.float64())]
)  # fmt: skip
_COLUMNS: Mapping[str, pa.DataType] = {"cluster": pa.string(), "duplicate_of": pa.string(), "size": pa.float64()}
# What DuckDB needs for itself however small the limit.
_LEAST_MEMORY = 64 * 1024 * 1024


class Duplicates(GlobalStep):
    """Drops all but one row of each group of rows that say the same.

    Attributes of every row in a group of two or more: ``cluster`` (16 hexadecimal digits, equal within the group) and, of
    those dropped, ``duplicate_of`` (the id of the row that stays); score ``size`` (rows in the group, 1 for single rows).
    A row whose chosen fields are all empty is the duplicate of none. Labels, scores and lineage do not enter.
    """

    tag: ClassVar[str] = "duplicates"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "One row of each group of equal rows stays."

    method: Literal["exact"] = "exact"
    """``exact``: equal after the normalisations below."""
    fields: tuple[str, ...] | None = None
    """The fields that must be equal, all of them; unless given, the main fields of the kind. ``[prompt]`` keeps one
    answer to each prompt."""
    across: Literal["language", "all"] = "language"
    """Whether equal texts of rows in different languages are duplicates (``all``) or not (``language``)."""
    unicode: Literal["nfkc", "nfc", "none"] = "nfkc"
    """``nfkc`` makes full-width and half-width forms, ligatures and presentation forms equal (and also x² and x2);
    ``nfc`` only different encodings of the same character."""
    case: Literal["fold", "keep"] = "fold"
    """``fold``: case does not count (full Unicode folding, ß = ss; in Turkish, Azerbaijani, Gagauz and Crimean Tatar
    I = ı and İ = i)."""
    blanks: Literal["collapse", "remove", "keep"] = "collapse"
    """``collapse``: any run of blanks and line breaks is one blank, none at the ends, invisible signs (zero-width space,
    direction marks, soft hyphen) nothing; ``remove``: blanks do not count at all, which joins 你好 世界 and 你好世界."""
    punctuation: Literal["keep", "ignore"] = "keep"
    """``ignore``: characters of category P do not count, but for ``# @ % & * / \\`` and for one that stands before a digit
    (3.5, -4, 10:30); symbols (+ = < $ € emoji …) always count, so C++, C# and C stay three. A text of punctuation only
    is compared as it is."""
    digits: Literal["keep", "fold"] = "keep"
    """``fold``: the digits of all scripts are the same (٣ = ३ = 3)."""
    marks: Literal["keep", "ignore"] = "keep"
    """``ignore``: Arabic tashkeel and tatweel and Hebrew points do not count; marks of other scripts always do."""
    keep: Decision[Literal["first", "longest", "best"]] = "first"
    """Which row of a group stays: the first in order, the one with the longest fields, or the one with the greatest score
    ``by``; on a tie the first."""
    by: str | None = None
    """The name of the score, among those that the rows carry from their source, by which the ``best`` is chosen. A row
    without it comes last."""
    source_order: Decision[tuple[str, ...]] = ()
    """Sources whose rows stay before others', the most trusted first; sources not named come last. Counts before ``keep``."""

    @model_validator(mode="after")
    def _need_name(self) -> Duplicates:
        if self.keep == "best" and self.by is None:
            raise ValueError("keep: best needs 'by', the name of a score of the rows")
        return self

    def check(self, kind: Kind) -> list[str]:
        return unknown_fields(kind, self.fields)

    def columns(self, kind: Kind) -> Mapping[str, pa.DataType]:
        return dict(_COLUMNS)

    def summarize(self, rows: Rows, context: Context) -> pa.Table:
        same = Sameness(self.unicode, self.case, self.blanks, self.punctuation, self.digits, self.marks)
        fields = [rows.text(name).fill_null("") for name in self.fields or main_fields(rows.kind)]
        normal = [same.normalize(field, rows.language).to_list() for field in fields]
        tags = rows.language.to_list()
        empty = b"\0" * 16
        digests, there = [], np.zeros(len(rows), bool)
        for row, texts in enumerate(zip(*normal, strict=True)):
            if not any(texts):
                digests.append(empty)
                continue
            there[row] = True
            digest = blake2b(digest_size=16, person=b"curate-same-1")
            if self.across == "language":
                digest.update(tags[row].encode() + b"\0")
            for one in texts:
                data = one.encode("utf-8", "surrogatepass")
                digest.update(len(data).to_bytes(8, "little"))
                digest.update(data)
            digests.append(digest.digest())
        halves = np.frombuffer(b"".join(digests), ">u8").astype(np.uint64).reshape(-1, 2)
        lengths = pl.DataFrame([field.str.len_chars().alias(str(n)) for n, field in enumerate(fields)]).sum_horizontal()
        sources = rows.table["lineage"].combine_chunks().field("source") if len(rows) else pa.array([], pa.string())
        return pa.Table.from_arrays(
            [pa.array(halves[:, 0], mask=~there), pa.array(halves[:, 1], mask=~there), pa.array(rows.ids.to_list(), pa.string()),
             pa.array(lengths.to_list(), pa.int64()), sources.cast(pa.string()), self._values(rows)],
            schema=_SUMMARY,
        )  # fmt: skip

    def _values(self, rows: Rows) -> pa.Array:
        if self.by is None or not len(rows):
            return pa.nulls(len(rows), pa.float64())
        scores = pl.from_arrow(rows.table.select(["scores"])).get_column("scores")  # type: ignore[union-attr]
        named = pl.element().filter(pl.element().struct.field("name") == self.by).struct.field("value")
        return pa.array(scores.list.eval(named).list.first().to_list(), pa.float64())

    def decide(self, summaries: Sequence[Path], context: Context) -> Iterator[pa.Table]:
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
            self._group(database, summaries, memory)
            for number, path in enumerate(summaries):
                found = database.sql(
                    "SELECT row, kept, high, size, id FROM result WHERE shard = ? ORDER BY row", params=[number]
                ).to_arrow_table()
                yield _verdict(pq.read_metadata(path).num_rows, found)

    def _group(self, database: Any, summaries: Sequence[Path], memory: int) -> None:
        """Fills ``result`` with the rows of all groups of two or more, ordered by shard and row."""
        database.execute(
            "CREATE TABLE places (high UBIGINT, low UBIGINT, rank DOUBLE, amount DOUBLE, shard UINTEGER, row UBIGINT)"
        )
        amount = {"first": "0", "longest": "-chars", "best": "coalesce(-value, 'infinity')"}[self.keep]
        order = list(self.source_order)
        for number, path in enumerate(summaries):
            database.execute(
                f"INSERT INTO places SELECT high, low, coalesce(list_position(?, source), {len(order) + 1}), {amount}, {number}, "
                "file_row_number FROM read_parquet(?, file_row_number = true) WHERE high IS NOT NULL",
                [order or [""], str(path)],
            )
        database.execute(
            "CREATE TABLE found (shard UINTEGER, row UBIGINT, kept BOOLEAN, high UBIGINT, size UBIGINT, kept_shard UINTEGER, kept_row UBIGINT)"
        )
        # Digests are uniform, so a slice of their values is a slice of the rows that fits in memory and cuts no group.
        rows = database.execute("SELECT count(*) FROM places").fetchone()[0]
        slices = max(1, -(-rows * 320 // memory))
        for part in range(slices):
            database.execute(
                "INSERT INTO found WITH part AS (SELECT * FROM places WHERE high % ? = ?), "
                "best AS (SELECT high, low, count(*) AS size, min(row(rank, amount, shard, row)) AS first FROM part GROUP BY high, low HAVING count(*) > 1) "
                "SELECT part.shard, part.row, (part.shard = best.first[3] AND part.row = best.first[4]), part.high, best.size, best.first[3], best.first[4] "
                "FROM part JOIN best USING (high, low)",
                [slices, part],
            )
        # Ids are long and needed of kept rows only, so they come in last.
        database.execute("CREATE TABLE names (shard UINTEGER, row UBIGINT, id VARCHAR)")
        for number, path in enumerate(summaries):
            database.execute(
                "INSERT INTO names SELECT ?, file_row_number, id FROM read_parquet(?, file_row_number = true) "
                "WHERE file_row_number IN (SELECT row FROM found WHERE kept AND shard = ?)",
                [number, str(path), number],
            )
        database.execute(
            "CREATE TABLE result AS SELECT found.shard, found.row, kept, high, size, id FROM found "
            "JOIN names ON names.shard = kept_shard AND names.row = kept_row ORDER BY found.shard, found.row"
        )


def _verdict(rows: int, found: pa.Table) -> pa.Table:
    """The decision for a shard of so many rows, given those of them that are in groups."""
    at = found["row"].to_numpy()
    dropped = ~found["kept"].to_numpy()
    keep, size = np.ones(rows, bool), np.ones(rows)
    keep[at[dropped]] = False
    size[at] = found["size"].to_numpy()
    cluster, original = np.full(rows, None, dtype=object), np.full(rows, None, dtype=object)
    cluster[at] = [f"{high:016x}" for high in found["high"].to_pylist()]
    original[at[dropped]] = found["id"].filter(pa.array(dropped)).to_pylist()
    return pa.table(
        {
            "keep": pa.array(keep),
            "reason": pa.array([None if stays else "duplicate" for stays in keep.tolist()], pa.string()),
            "cluster": pa.array(cluster, pa.string()),
            "duplicate_of": pa.array(original, pa.string()),
            "size": pa.array(size),
        }
    )
