"""Column shards: for each row of a row shard the scores of a step, and whether and why it drops the row.

``keep`` is null for rows that were dropped before the step, so the last column shard alone says which rows are kept.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from curate.engine.store.integrity import file_digest
from curate.engine.store.remote.fetch import bring_all
from curate.engine.store.shards import read_parquet
from curate.rows import prompt_language
from curate.rows.kinds import ATTRIBUTES, SCORES

Mask = npt.NDArray[np.bool_]
ALL = "all"


@dataclass(frozen=True)
class Columns:
    """One step's column shard beside a row shard."""

    path: str
    """Relative to the store."""
    label: str
    """What its scores are called in this dataset."""
    digest: str
    kept: str
    """Digest of the rows kept after it; ``all`` if no row of the shard has been dropped."""
    rows_kept: int

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def mask_digest(mask: Mask) -> str:
    """Digest of which rows are kept."""
    if mask.all():
        return ALL
    return hashlib.blake2b(len(mask).to_bytes(8, "little") + np.packbits(mask).tobytes(), digest_size=20).hexdigest()


def read_kept(root: Path, columns: Sequence[Columns], rows: int) -> Mask:
    """Which rows are kept after all of these column shards."""
    if not columns:
        return np.ones(rows, bool)
    keep = read_parquet(root / columns[-1].path, columns=["keep"])["keep"].combine_chunks()
    return np.asarray(keep.fill_null(False).to_numpy(zero_copy_only=False), bool)


def decide(scores: pl.DataFrame, rows: pa.Table, verdicts: Mapping[str, pl.Expr], kept: Mask) -> pa.Table:
    """The column shard of a score step: its scores, ``keep`` and ``reason``; all null where a row is not kept.

    Args:
        rows: their languages.
    """
    language = pl.Series("language", rows["language"].combine_chunks())
    frame = scores.with_columns(language, prompt_language(rows))
    reason = pl.lit(None, dtype=pl.String)
    for name, expression in reversed(list(verdicts.items())):
        reason = pl.when(expression.fill_null(False)).then(pl.lit(name)).otherwise(reason)
    decided = frame.with_columns(reason.alias("reason")).with_columns(pl.col("reason").is_null().alias("keep"))
    lives = pl.Series("kept", kept)
    masked = decided.select(
        pl.when(lives).then(pl.col(name)).otherwise(None).alias(name) for name in ["keep", "reason", *scores.columns]
    )
    return to_arrow(masked, scores.columns)


def to_arrow(frame: pl.DataFrame, names: Sequence[str]) -> pa.Table:
    """A column shard's table in its fixed types: keep bool, reason string, scores double, attributes string."""
    arrays: dict[str, pa.Array] = {
        "keep": frame["keep"].cast(pl.Boolean).to_arrow(),
        "reason": frame["reason"].cast(pl.String).to_arrow().cast(pa.string()),
    }
    for name in names:
        text = frame.schema[name] == pl.String
        arrays[name] = (
            frame[name].cast(pl.String if text else pl.Float64).to_arrow().cast(pa.string() if text else pa.float64())
        )
    return pa.table(arrays)


def expand(table: pa.Table, kept: Mask) -> pa.Table:
    """A table over the rows kept, spread over all rows of the shard, null where a row is not kept."""
    index = np.full(len(kept), -1, np.int64)
    index[kept] = np.arange(int(kept.sum()))
    indices = pa.array(index, mask=index < 0)
    return table.take(indices)


def merge_scores(rows: pa.Table, columns: Sequence[tuple[str, pa.Table]]) -> pa.Table:
    """The rows with each step's findings appended to ``scores`` and ``attributes``.

    Args:
        rows: rows in a kind's schema.
        columns: (label, column shard) in step order, aligned with ``rows``. Nulls are left out: not assessed is not
            a score.
    """
    for target, wanted, child in (("scores", pa.float64(), SCORES), ("attributes", pa.string(), ATTRIBUTES)):
        new = [
            (label if name == "score" else f"{label}.{name}", table[name].combine_chunks())
            for label, table in columns
            for name in table.column_names
            if name not in ("keep", "reason") and table[name].type == wanted
        ]
        if new and target in rows.column_names:
            place = rows.schema.get_field_index(target)
            rows = rows.set_column(place, rows.schema.field(place), _append(rows[target].combine_chunks(), new, child))
    return rows


def _append(lists: pa.Array, new: Sequence[tuple[str, pa.Array]], dtype: pa.DataType) -> pa.Array:
    count = len(lists)
    offsets = lists.offsets.to_numpy().astype(np.int64)
    old = lists.values.slice(int(offsets[0]), int(offsets[-1] - offsets[0]))
    owners = [np.repeat(np.arange(count), np.diff(offsets))]
    names: list[pa.Array] = [old.field("name")]
    values: list[pa.Array] = [old.field("value")]
    for name, array in new:
        given = np.flatnonzero(np.asarray(array.is_valid().to_numpy(zero_copy_only=False), bool))
        owners.append(given)
        names.append(pa.array([name] * len(given), pa.string()))
        values.append(array.drop_null().cast(dtype.value_type.field("value").type))
    owner = np.concatenate(owners)
    order = pa.array(np.argsort(owner, kind="stable"))
    fields = [dtype.value_type.field("name"), dtype.value_type.field("value")]
    struct = pa.StructArray.from_arrays(
        [pa.concat_arrays(names).take(order), pa.concat_arrays(values).take(order)], fields=fields
    )
    ends = np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=count))]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(ends), struct, type=dtype)


def count_reasons(languages: pl.Series, columns: pa.Table) -> dict[str, dict[str, int]]:
    """Language → what became of the rows a step saw: ``kept`` and each reason, with counts."""
    frame = pl.DataFrame(
        {
            "language": languages,
            "keep": pl.Series(columns["keep"].combine_chunks()),
            "reason": pl.Series(columns["reason"].combine_chunks()),
        }
    )
    seen = frame.filter(pl.col("keep").is_not_null() & pl.col("language").is_not_null()).with_columns(
        pl.col("reason").fill_null("kept")
    )
    counts: dict[str, dict[str, int]] = {}
    for language, reason, count in seen.group_by("language", "reason").len().sort("language", "reason").rows():
        counts.setdefault(language, {})[reason] = count
    return counts


def count_unassessed(languages: pl.Series, columns: pa.Table, score: str) -> dict[str, int]:
    """Language → how many of the rows a step saw have none of the score that says that they were assessed."""
    if score not in columns.column_names:
        return {}
    frame = pl.DataFrame(
        {
            "language": languages,
            "seen": pl.Series(columns["keep"].is_valid().combine_chunks()),
            "assessed": pl.Series(columns[score].is_valid().combine_chunks()),
        }
    )
    lacking = frame.filter(pl.col("seen") & ~pl.col("assessed")).group_by("language").len().sort("language")
    return dict(lacking.rows())


def kept_scores(folder: Path) -> Path | None:
    """The kept scores of a shard: the newest file whose bytes are those that its name says; None if there is none."""
    bring_all(folder)
    for path in sorted(folder.glob("scores-*.parquet"), key=lambda one: one.lstat().st_mtime_ns, reverse=True):
        with contextlib.suppress(OSError):
            if file_digest(path).startswith(path.stem.removeprefix("scores-")):
                return path
    return None
