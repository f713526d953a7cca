"""Tasks that make row shards from row shards: row steps, dataset steps, slices of candidates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from curate.engine.store.columns import Columns, merge_scores, read_kept
from curate.engine.store.shards import QUARANTINED, Shard, cut, read_parquet, read_shard, write_parquet, write_shard
from curate.engine.tasks.finish import by_language, whole_rows
from curate.engine.tasks.task import TaskContext
from curate.redact import Redactor
from curate.rows import Kind, content_digest, schema, with_ids
from curate.steps import DatasetStep, FailedRow, RowBatch, Rows, RowStep

_EXAMPLES = 3
_RAW = 2_000


def make(work: TaskContext, folder: Path) -> dict[str, Any]:
    """A row step's new rows, with the key of this result in their lineage, and apart from them what failed."""
    step: RowStep = work.step()
    table = merged_rows(work.store.root, work.shard(), work.columns())

    def made() -> Iterator[pa.Table | RowBatch]:
        for rows in work.batches(table, step.batch):
            told = work.context.told
            yield from step.make(rows, work.context)
            work.advance(max(0, len(rows) - (work.context.told - told)))

    unanswered = work.context.unanswered
    rows: Iterable[pa.Table | RowBatch] = made()
    if unanswered.finishing:
        rows = list(rows)
        rows = whole_rows(rows, unanswered.not_asked)
    result = _write(work, folder, step.makes(work.kind()), rows)
    return {**result, "not_asked": by_language(table, unanswered.not_asked)} if unanswered.not_asked else result


def gather(work: TaskContext, folder: Path) -> dict[str, Any]:
    """A dataset step's new rows, from all shards."""
    step: DatasetStep = work.step()
    told = work.context.told
    result = _write(work, folder, step.makes(work.kind()), step.gather(_All(work), work.context))
    work.advance(max(0, work.task.rows - (work.context.told - told)))
    return result


def take(work: TaskContext, folder: Path) -> dict[str, Any]:
    """Some rows of a shard, as a shard of their own."""
    table = work.shard().slice(work.payload["first"], work.payload["rows"])
    work.advance(table.num_rows)
    return {"shards": [write_shard(table, folder / "rows-00000.parquet", "rows-00000.parquet").to_json()]}


class _All:
    """Every row of all shards, batch by batch, as often as one likes."""

    def __init__(self, work: TaskContext) -> None:
        self._work = work

    def __iter__(self) -> Iterator[Rows]:
        for piece in self._work.payload["pieces"]:
            columns = [Columns(**value) for value in piece["columns"]]
            root = self._work.store.root
            yield from self._work.batches(merged_rows(root, read_shard(root, Shard(**piece["shard"])), columns))


def _write(work: TaskContext, folder: Path, kind: Kind, made: Iterable[pa.Table | RowBatch]) -> dict[str, Any]:
    bad: list[dict[str, str]] = []
    label = work.payload["label"]

    def tables() -> Iterator[pa.Table]:
        for one in made:
            new = one if isinstance(one, RowBatch) else RowBatch(one)
            bad.extend(_told(row, label, work.context.redact) for row in new.bad)
            work.context.unanswered.lost.update(row.where for row in new.bad if row.transient)
            if new.table.num_rows:
                yield with_ids(kind, _with_key(new.table, work.task.key))

    shards = [
        write_shard(new, folder / f"rows-{index:05d}.parquet", f"rows-{index:05d}.parquet")
        for index, new in enumerate(cut(tables(), work.setting.chunk_limits))
    ]
    told = pa.Table.from_pylist(bad, QUARANTINED)
    failed = [row for row in bad if row["place"] not in work.context.unanswered.not_asked]
    write_parquet(told, folder / "bad.parquet")
    return {
        "shards": [shard.to_json() for shard in shards],
        "rows": sum(shard.rows for shard in shards),
        "bad": len(bad),
        "bad_digest": content_digest(told),
        "bad_rows": len({row["place"] for row in failed}),
        "bad_examples": [f"row {row['place']}: {row['reason']}" for row in failed[:_EXAMPLES]],
    }


def _told(row: FailedRow, label: str, redact: Redactor) -> dict[str, str]:
    # A text may hold half a surrogate pair, which no parquet file can.
    raw = redact(row.raw)[:_RAW].encode("utf-8", "replace").decode()
    return {
        "source": label,
        "unit": "",
        "place": row.where,
        "reason": redact(row.reason).encode("utf-8", "replace").decode(),
        "raw": raw,
    }


def _with_key(table: pa.Table, key: str) -> pa.Table:
    """Fills the empty ``key`` of the makers that this very step added."""
    target = schema(Kind.DOCUMENT).field("lineage").type
    lineage = table["lineage"].combine_chunks().cast(target)
    makers = lineage.field("makers")
    inner = makers.values
    keys = pc.if_else(pc.equal(inner.field("key"), ""), key, inner.field("key")).cast(pa.string())
    parts = {part.name: inner.field(part.name) for part in inner.type}
    parts["key"] = keys
    filled = pa.ListArray.from_arrays(
        makers.offsets, pa.StructArray.from_arrays(list(parts.values()), fields=list(inner.type)), type=makers.type
    )
    fields = {field.name: lineage.field(field.name) for field in target}
    fields["makers"] = filled
    struct = pa.StructArray.from_arrays(list(fields.values()), fields=list(target))
    return table.set_column(table.column_names.index("lineage"), pa.field("lineage", target, nullable=False), struct)


def merged_rows(root: Path, table: pa.Table, columns: list[Columns]) -> pa.Table:
    """The rows kept after these column shards, their scores merged in."""
    kept = pa.array(read_kept(root, columns, table.num_rows))
    beside = [(one.label, read_parquet(root / one.path).filter(kept)) for one in columns]
    return merge_scores(table.filter(kept), beside)
