"""``arrange``: orders rows so that each batch of a trainer, a run of neighbouring rows, has one language, source or
item.

The rows are unchanged, each once, in another order; a version keeps the order of its rows within each split. The place
of a row is decided from a few bytes of each; the rows themselves are sorted on disk.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import PositiveInt

from curate.rows import Kind, schema
from curate.rows.ids import hash_texts
from curate.steps import Context, DatasetStep, RowBatch, Rows
from curate.text.segmentation import salted

Places = npt.NDArray[np.int64]
_WRITTEN = 4096


class Arrange(DatasetStep):
    """Orders rows so that each run of ``batch`` rows has one language, source, or item.

    Rows keep their ids, scores and lineage. Shuffling depends on seed and row, so the same rows get the same order
    whatever the shards.
    """

    tag: ClassVar[str] = "arrange"
    summary: ClassVar[str] = (
        "rows in an order for trainers: batches of one language, source or item, shuffled or in turns"
    )

    by: Literal["language", "source", "item", "nothing"] = "language"
    """What a batch has one of. ``item``: all rows of an item (``group_id``) are neighbours, and ``batch`` is ignored.
    ``nothing``: rows are shuffled, or kept, one by one."""
    batch: PositiveInt = 64
    """Rows per batch of the trainer (over all devices). Incomplete batches of a language come last, as mixed
    batches."""
    order: Literal["shuffle", "turns", "keep"] = "shuffle"
    """The order of the batches (or items). ``shuffle``: by the seed. ``turns``: one of each language or source in turn,
    while they last. ``keep``: that of their first rows."""
    within: Literal["shuffle", "keep"] = "shuffle"
    """How rows of a language become neighbours: shuffled, or in their order. Rows of an item keep their order."""

    def languages_after(self, kind: Kind, languages: frozenset[str] | None) -> frozenset[str] | None:
        return languages

    def gather(self, rows: Iterable[Rows], context: Context) -> Iterator[pa.Table | RowBatch]:
        kind: Kind | None = None
        ids: list[bytes] = []
        groups: dict[str, int] = {}
        group: list[npt.NDArray[np.int32]] = []
        for part in rows:
            kind = part.kind
            ids += hash_texts(part.ids.to_list(), 8)
            names = self._names(part)
            group.append(np.array([groups.setdefault(name, len(groups)) for name in names], np.int32))
        if kind is None or not ids:
            return
        drawn = salted(np.frombuffer(b"".join(ids), np.uint64), "arrange", context.seed)
        place = self._places(np.concatenate(group), drawn)
        folder = Path(mkdtemp(dir=_made(context.scratch)))
        target = schema(kind)
        start = 0
        with pq.ParquetWriter(folder / "rows.parquet", target.append(pa.field("arrange_place", pa.int64()))) as writer:
            for part in rows:
                here = pa.array(place[start : start + len(part)])
                writer.write_table(part.table.cast(target).append_column("arrange_place", here))
                start += len(part)
                context.advance(0)
        yield from _sorted(folder, target, context)

    def _names(self, part: Rows) -> list[str]:
        if self.by == "nothing":
            return [""] * len(part)
        if self.by == "language":
            return part.language.to_list()
        if self.by == "item":
            items: list[str] = part.table["group_id"].to_pylist()
            return items
        sources: list[str] = part.table["lineage"].combine_chunks().field("source").to_pylist()
        return sources

    def _places(self, group: npt.NDArray[np.int32], drawn: npt.NDArray[np.uint64]) -> Places:
        """The new place of each row."""
        count = len(group)
        row = np.arange(count)
        shuffled = self.within == "shuffle" and self.by != "item"
        order = np.lexsort((row, drawn, group)) if shuffled else np.lexsort((row, group))
        sizes = np.bincount(group)
        starts = np.repeat(np.cumsum(sizes) - sizes, sizes)
        rank = np.arange(count) - starts  # within the group
        mine = group[order]
        size = 1 if self.by == "nothing" else self.batch
        if self.by == "item":
            number, whole = np.zeros(count, np.int64), np.ones(count, bool)
        else:
            number = rank // size
            whole = (number + 1) * size <= sizes[mine]
        # The key of a batch is that of its first row.
        first = np.ones(count, bool)
        first[1:] = (mine[1:] != mine[:-1]) | (number[1:] != number[:-1])
        batch = np.cumsum(first) - 1
        heads = order[first]
        if self.order == "shuffle":
            keys: tuple[npt.NDArray[np.generic], ...] = (drawn[heads],)
        elif self.order == "turns":
            keys = (mine[first], number[first])
        else:
            least = np.full(len(heads), count)
            np.minimum.at(least, batch, order)
            keys = (least,)
        # Incomplete batches come last.
        turn = np.empty(len(heads), np.int64)
        turn[np.lexsort((*keys, ~whole[first]))] = np.arange(len(heads))
        place = np.empty(count, np.int64)
        place[order[np.lexsort((rank, turn[batch]))]] = np.arange(count)
        return place


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _sorted(folder: Path, target: pa.Schema, context: Context) -> Iterator[pa.Table]:
    import duckdb

    config: dict[str, Any] = {
        "memory_limit": f"{max(context.memory, 128 << 20) // 1024}KiB",
        "temp_directory": str(folder / "tmp"),
        "threads": context.threads,
        "autoinstall_known_extensions": False,
    }
    query = "SELECT * EXCLUDE (arrange_place, id) FROM read_parquet(?) ORDER BY arrange_place"
    with duckdb.connect(":memory:", config=config) as database:
        result = database.sql(query, params=[str(folder / "rows.parquet")])
        bare = pa.schema([field for field in target if field.name != "id"])
        for batch in result.to_arrow_reader(_WRITTEN):
            yield pa.Table.from_batches([batch]).cast(bare)
