"""The ratio margin: how much nearer two texts are to each other than to their nearest neighbours in the other language.

Artetxe and Schwenk 2019 (*Margin-based parallel corpus mining*, ACL): with NN_k(x) the k nearest texts to x in the
other language, margin(x, y) = cos(x, y) / (Σ_{z ∈ NN_k(x)} cos(x, z) + Σ_{z ∈ NN_k(y)} cos(y, z)) · 2k. Here the
neighbours come from a fixed sample (the pool) of the data's own pairs, without the pair itself and its copies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from curate.rows.ids import hash_texts
from curate.steps import Encoder

Vectors = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
_BLOCK = 1024
# Lower bound of the neighbours' mean cosine, which avoids division by zero.
_FLOOR = 0.05


def pool_schema(dimensions: int) -> pa.Schema:
    """Columns of a sample: field, language pair (``en<tab>zh``), row id, digests and vectors of both texts."""
    vector = pa.list_(pa.float32(), dimensions)
    return pa.schema(
        [
            ("field", pa.string()),
            ("pair", pa.string()),
            ("id", pa.string()),
            ("left_digest", pa.binary(16)),
            ("right_digest", pa.binary(16)),
            ("left", vector),
            ("right", vector),
        ]
    )


def smallest(parts: Sequence[pl.DataFrame], size: int) -> pl.DataFrame:
    """Of the rows that have both texts, the ``size`` with the smallest ids for each field and language pair.

    Ids are digests, so this is a random sample; and the smallest of the whole are among the smallest of each part.
    """
    columns = dict.fromkeys(("field", "pair", "id", "left", "right"), pl.String)
    whole = pl.concat([pl.DataFrame(schema=columns), *(part.select(columns.keys()) for part in parts)])
    return (
        whole.filter((pl.col("left") != "") & (pl.col("right") != ""))
        .sort("field", "pair", "id")
        .unique(["field", "pair", "id"], keep="first", maintain_order=True)
        .group_by("field", "pair", maintain_order=True)
        .head(size)
    )


def make_sample(chosen: pl.DataFrame, encoder: Encoder) -> pa.Table:
    """The rows of :func:`smallest` with vectors instead of texts, in :func:`pool_schema`."""
    sides = [chosen[name].to_list() for name in ("left", "right")]
    schema = pool_schema(encoder.dimensions)
    if not len(chosen):
        return schema.empty_table()
    vectors = [
        pa.FixedSizeListArray.from_arrays(pa.array(encoder.encode(side).reshape(-1)), encoder.dimensions)
        for side in sides
    ]
    names = [pa.array(chosen[name].to_list(), pa.string()) for name in ("field", "pair", "id")]
    return pa.Table.from_arrays(
        [*names, *(pa.array(hash_texts(side), pa.binary(16)) for side in sides), *vectors], schema=schema
    )


def merge_samples(samples: Sequence[pa.Table], size: int) -> pa.Table:
    """The ``size`` rows with the smallest ids of each field and language pair; equal text pairs are kept once.

    The result does not depend on how the rows were divided into samples.
    """
    whole = pa.concat_tables(samples)
    keys = pl.DataFrame(
        {name: whole[name].to_pylist() for name in ("field", "pair", "id", "left_digest", "right_digest")},
        schema={
            "field": pl.String,
            "pair": pl.String,
            "id": pl.String,
            "left_digest": pl.Binary,
            "right_digest": pl.Binary,
        },
    ).with_row_index("at")
    chosen = (
        keys.sort("field", "pair", "id")
        .unique(["field", "pair", "id"], keep="first", maintain_order=True)
        .group_by("field", "pair", maintain_order=True)
        .head(size)
        .unique(["field", "pair", "left_digest", "right_digest"], keep="first", maintain_order=True)
    )
    return whole.take(pa.array(chosen["at"].to_list(), pa.int64()))


@dataclass(frozen=True)
class _Pool:
    left: Vectors
    right: Vectors
    left_digests: npt.NDArray[np.void]
    right_digests: npt.NDArray[np.void]


class Pools:
    """The sampled pairs of every field and language pair, prepared for search."""

    def __init__(self, fitted: pa.Table | None, neighbours: int) -> None:
        if fitted is None:
            raise ValueError("the margin needs the fitted sample")
        self._k = neighbours
        self._pools: dict[tuple[str, str], _Pool] = {}
        self._whole = fitted
        keys = pl.DataFrame(
            {"field": fitted["field"].to_pylist(), "pair": fitted["pair"].to_pylist()},
            schema={"field": pl.String, "pair": pl.String},
        ).with_row_index("at")
        for (field, pair), part in keys.group_by("field", "pair", maintain_order=True):
            rows = fitted.take(pa.array(part["at"].to_list(), pa.int64())).combine_chunks()
            self._pools[str(field), str(pair)] = _Pool(
                _matrix(rows["left"]),
                _matrix(rows["right"]),
                _digests(rows["left_digest"].to_pylist()),
                _digests(rows["right_digest"].to_pylist()),
            )

    def margins(
        self,
        field: str,
        pairs: npt.NDArray[np.object_],
        vectors: tuple[Vectors, Vectors],
        digests: tuple[list[bytes], list[bytes]],
        cosine: Floats,
    ) -> Floats:
        """The margin of each pair; NaN where the pool of its languages has fewer than ``neighbours`` other texts."""
        margins = np.full(len(cosine), np.nan)
        digest = [_digests(side) for side in digests]
        for pair in sorted(set(pairs.tolist())):
            pool = self._pools.get((field, pair))
            if pool is None:
                continue
            rows = np.flatnonzero(pairs == pair)
            for start in range(0, len(rows), _BLOCK):
                at = rows[start : start + _BLOCK]
                # The pair itself, and other translations of the same text, are not neighbours.
                same = (digest[0][at][:, None] == pool.left_digests) | (digest[1][at][:, None] == pool.right_digests)
                near = self._nearest(vectors[0][at], pool.right, same) + self._nearest(vectors[1][at], pool.left, same)
                margins[at] = cosine[at] / np.maximum(near / 2, _FLOOR)
        return margins

    def _nearest(self, vectors: Vectors, pool: Vectors, same: npt.NDArray[np.bool_]) -> Floats:
        """Mean cosine to the k nearest of the pool; NaN where there are fewer."""
        if pool.shape[0] < self._k:
            return np.full(len(vectors), np.nan)
        cosines = (vectors @ pool.T).astype(np.float64)
        cosines[same] = -np.inf
        best = -np.partition(-cosines, self._k - 1, axis=1)[:, : self._k]
        mean: Floats = best.mean(axis=1)
        mean[~np.isfinite(mean)] = np.nan
        return mean


def _matrix(column: pa.ChunkedArray) -> Vectors:
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    width = array.type.list_size
    flat: Vectors = array.flatten().to_numpy(zero_copy_only=False)
    return flat.reshape(-1, width)


def _digests(values: list[bytes]) -> npt.NDArray[np.void]:
    return np.frombuffer(b"".join(values), "V16")
