"""Leak-free splits: rows that belong together go into the same split.

Rows belong together when they share an item (``group_id``: translations of one thing), a prompt, a parent (questions on
one passage), or the value of an attribute (a document, a cluster of duplicates). The relation is transitive and crosses
languages.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field, field_validator

from curate.catalog.params import Decision
from curate.rows import Kind, main_fields
from curate.rows.ids import hash_texts
from curate.rows.kinds import ATTRIBUTES
from curate.steps import Context, GlobalStep, Rows
from curate.text.segmentation import salted, scramble
from filters.duplicates.clusters import connect
from filters.duplicates.files import CHUNK, Files
from filters.duplicates.normalize import Normalization

Hashes = npt.NDArray[np.uint64]
Ties = tuple[npt.NDArray[np.int64], Hashes]
Tie = Literal["prompt", "parent"]
_SAME = Normalization(
    "nfkc",
    "fold",
    whitespace="remove",
    punctuation="ignore",
    digits="fold",
    diacritics="ignore",
    quotes="fold",
    joiners="ignore",
    html="strip",
)
_LARGE = 0.05
# Bytes that sorting a row by a key takes.
_SORT = 64


class Split(GlobalStep):
    """Assigns each row to a split of the dataset without dividing rows that belong together.

    Attribute ``split``: the name of the split. The split of a connected component is decided by its smallest item under
    a seeded digest, so shares are met on average, and a new row moves no other row unless it connects two components.
    Warns of a component with more than 5 % of the rows. Place it after all steps that make rows, and omit the dataset's
    own ``splits``.
    """

    tag: ClassVar[str] = "split"
    summary: ClassVar[str] = (
        "Leak-free splits: items, prompts, passages and clusters are never divided, across languages."
    )

    shares: Decision[
        Annotated[
            dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")], Annotated[float, Field(gt=0)]],
            Field(min_length=1),
        ]
    ]
    """Split → share; the shares must add up to 1. Example: ``{train: 0.98, test: 0.02}``."""
    together: Decision[tuple[Tie, ...]] = ("prompt", "parent")
    """What connects rows besides their item. ``prompt``: the same prompt (for documents the text, for pairs either
    side) except for case, whitespace, punctuation and the like, in any language. ``parent``: a common parent row, or
    one row being the other's parent."""
    attributes: Decision[tuple[str, ...]] = ()
    """Attributes whose equal values connect rows: ``duplicates.cluster_id`` of an earlier step with ``action: mark``,
    or an attribute from the source, such as ``document``."""

    @property
    def untried(self) -> str:
        return "it drops no row, it says which split a row falls into"

    @field_validator("shares")
    @classmethod
    def _sums_to_one(cls, value: dict[str, float]) -> dict[str, float]:
        if abs(sum(value.values()) - 1) > 1e-6:
            raise ValueError(f"the shares add up to {sum(value.values()):g}, not 1")
        for name in ("rejected", "quarantined"):
            if name in value:
                raise ValueError(f"'{name}' is reserved for rows that are not in the dataset; rename the split")
        return value

    @property
    def reads(self) -> tuple[str, ...]:
        return self.attributes

    def assigns(self) -> Mapping[str, float]:
        return self.shares

    def columns(self, kind: Kind) -> Mapping[str, pa.DataType]:
        return {"split": pa.string()}

    def summarize(self, rows: Rows, context: Context) -> pa.Table:
        lineage = rows.table["lineage"].combine_chunks() if len(rows) else None
        parents = lineage.field("parents") if lineage is not None else pa.array([], pa.list_(pa.string()))
        texts = [_normal(rows, name) for name in _prompt_fields(rows.kind)]
        return pa.table(
            {
                "id": _hashed(rows.ids.to_list()),
                "item": _hashed(rows.table["group_id"].to_pylist()),
                "texts": _lists([[text for text in one if text] for one in zip(*texts, strict=True)]),
                "parents": _lists(parents.to_pylist()),
                "attributes": rows.table["attributes"].combine_chunks() if len(rows) else pa.array([], ATTRIBUTES),
            }
        )

    def decide(self, summaries: Sequence[Path], context: Context) -> Iterator[pa.Table]:
        sizes = [int(pq.read_metadata(path).num_rows) for path in summaries]
        starts = [*accumulate([0, *sizes])][:-1]
        # A row takes 24 bytes of disk; of memory, what sorting a part of the keys takes.
        files = Files(context.scratch / "split", context.memory // 4)
        component = files.array("component", (sum(sizes),), np.int64)
        for start, size in zip(starts, sizes, strict=True):
            component[start : start + size] = np.arange(start, start + size)
        parts = -(-len(component) * _SORT // files.memory)
        for what in self._ties():
            for part in range(parts):
                _tie(component, list(self._keys(what, summaries, part, parts)))
                files.release()
        self._warn_if_large(component, files, context)
        least = self._smallest_items(component, summaries, files, context.seed)
        bounds, names = np.cumsum([*self.shares.values()])[:-1], pa.array([*self.shares])
        for start, size in zip(starts, sizes, strict=True):
            # The minimum of n numbers in [0, 1) is not uniform; mixed once more, it is.
            drawn = scramble(least[component[start : start + size]]).astype(np.float64) / 2.0**64
            yield pa.table(
                {
                    "keep": pa.array(np.ones(size, bool)),
                    "reason": pa.nulls(size, pa.string()),
                    "split": names.take(pa.array(np.searchsorted(bounds, drawn, side="right"))),
                }
            )

    def _ties(self) -> list[tuple[str, str]]:
        """(column of a summary, name of the attribute if it is one) of everything that connects rows."""
        ties = [("item", "")]
        ties += [("parents", "")] if "parent" in self.together else []
        ties += [("texts", "")] if "prompt" in self.together else []
        return ties + [("attributes", name) for name in self.attributes]

    def _keys(self, what: tuple[str, str], summaries: Sequence[Path], part: int, parts: int) -> Iterator[Ties]:
        """Rows with their keys, of a part of all keys: rows with equal keys are connected."""
        column, name = what
        start = 0
        for path in summaries:
            table = pq.read_table(path, columns=["id", column] if column == "parents" else [column])
            row = np.arange(start, start + len(table))
            if column == "item":
                found = [(row, salted(_numbers(table["item"]), "item"))]
            elif column == "parents":
                found = [(row, salted(_numbers(table["id"]), "row")), _listed(table["parents"], start, "row")]
            else:
                found = [
                    _listed(table["texts"], start, "text") if column == "texts" else _valued(table[column], start, name)
                ]
            for rows, keys in found:
                mine = keys % np.uint64(parts) == part
                yield rows[mine], keys[mine]
            start += len(table)

    def _smallest_items(
        self, component: npt.NDArray[np.int64], summaries: Sequence[Path], files: Files, seed: int
    ) -> Hashes:
        """The smallest mixed digest of each component: which item represents it depends only on the seed."""
        least: Hashes = files.array("least", (len(component),), np.uint64)
        least[:] = np.iinfo(np.uint64).max
        start = 0
        for path in summaries:
            item = salted(_numbers(pq.read_table(path, columns=["item"])["item"]), "split", seed)
            np.minimum.at(least, component[start : start + len(item)], item)
            start += len(item)
        return least

    def _warn_if_large(self, component: npt.NDArray[np.int64], files: Files, context: Context) -> None:
        counts = files.array("counts", (len(component),), np.int64)
        for start in range(0, len(component), CHUNK):
            np.add.at(counts, component[start : start + CHUNK], 1)
        largest = int(counts.max(initial=0))
        if largest > max(_LARGE * len(component), 20):
            context.warn(
                f"{largest} of {len(component)} rows are connected and go into one split; connect them by fewer "
                "('together', 'attributes') if the shares matter"
            )


def _prompt_fields(kind: Kind) -> tuple[str, ...]:
    """The fields that must not leak from training into test: prompts, or whatever a kind has instead."""
    names = main_fields(kind)
    return ("prompt",) if "prompt" in names else tuple(names)


def _normal(rows: Rows, name: str) -> list[str]:
    text = rows.text(name).fill_null("")
    return _SAME.finish(_SAME.clean(text, rows.field_language(name))).to_list()


def _hashed(texts: Sequence[str]) -> pa.Array:
    return pa.array(np.frombuffer(b"".join(hash_texts(list(texts), 8)), np.uint64) if texts else [], pa.uint64())


def _lists(values: Sequence[Sequence[str]]) -> pa.Array:
    ends = np.cumsum([0, *(len(one) for one in values)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(ends), _hashed([text for one in values for text in one]))


def _numbers(column: pa.ChunkedArray) -> Hashes:
    return np.asarray(column.to_numpy(), np.uint64)


def _listed(column: pa.ChunkedArray, start: int, what: str) -> tuple[npt.NDArray[np.int64], Hashes]:
    lists = column.combine_chunks()
    if not len(lists):
        return np.zeros(0, np.int64), np.zeros(0, np.uint64)
    offsets = lists.offsets.to_numpy().astype(np.int64)
    values = np.asarray(lists.values.to_numpy(zero_copy_only=False), np.uint64)[offsets[0] : offsets[-1]]
    return np.repeat(np.arange(start, start + len(lists)), np.diff(offsets)), salted(values, what)


def _valued(column: pa.ChunkedArray, start: int, name: str) -> tuple[npt.NDArray[np.int64], Hashes]:
    """Rows with an attribute of that name, by the digest of its latest value."""
    lists: Any = pl.Series("attributes", pl.from_arrow(column.combine_chunks())) if len(column) else []
    if not len(lists):
        return np.zeros(0, np.int64), np.zeros(0, np.uint64)
    named = pl.element().filter(pl.element().struct.field("name") == name).struct.field("value")
    latest = lists.list.eval(named).list.last()
    rows = np.flatnonzero(latest.is_not_null().to_numpy())
    digests = np.asarray(_hashed(latest.drop_nulls().to_list()).to_numpy(zero_copy_only=False), np.uint64)
    return rows + start, salted(digests, f"attribute:{name}")


def _tie(component: npt.NDArray[np.int64], ties: Sequence[Ties]) -> None:
    """Connects the components of rows with equal keys."""
    rows, keys = (np.concatenate([one[side] for one in ties]) for side in (0, 1))
    order = np.argsort(keys)
    same = keys[order[1:]] == keys[order[:-1]]
    connect(component, rows[order[:-1][same]], rows[order[1:][same]])
