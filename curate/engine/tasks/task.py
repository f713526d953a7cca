"""Tasks: one step on one shard, described in JSON; a worker writes only the task's own folder."""

from __future__ import annotations

import importlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curate.catalog.params import WHOLE, Params
from curate.engine.store.columns import (
    Columns,
    count_reasons,
    count_unassessed,
    decide,
    expand,
    kept_scores,
    mask_digest,
    merge_scores,
    read_kept,
    to_arrow,
)
from curate.engine.store.integrity import file_digest
from curate.engine.store.shards import (
    COMPRESSION,
    QUARANTINED,
    ChunkLimits,
    both_languages,
    cut,
    read_parquet,
    write_parquet,
    write_shard,
)
from curate.engine.store.store import Store, sync_folder
from curate.engine.tasks.context import WorkerContext
from curate.engine.tasks.finish import by_language, left_out
from curate.files import digest_files
from curate.plugins import PluginFile
from curate.rows import Kind, content_digest, widen, with_ids
from curate.rows.ids import line_id
from curate.steps import GlobalStep, Rows, ScoreStep, Source, StepError, Unit
from curate.steps.plugins import load_plugin
from curate.unused import Unused

_BATCH = 2_048
Tick = Callable[[int], None]


@dataclass(frozen=True)
class Task:
    """One unit of work; everything in it is JSON, so that it can go to another process or machine."""

    action: str
    """Which function below does it."""
    stage: str
    """Whom it works for, in messages."""
    step: str
    """Folder below ``work/``."""
    key: str
    recipe: dict[str, Any]
    rows: int
    """How many rows it will see (0 if unknown): for progress."""
    payload: dict[str, Any] = field(default_factory=dict)
    exclusive: bool = False
    """Whether it must run in the one process that talks to servers and devices (see ``Model.exclusive``)."""
    again: bool = False
    """Whether its result is there but not all of it, so that the new one takes its place."""


@dataclass(frozen=True)
class WorkerConfig:
    """What is the same for all tasks of a build."""

    root: str
    threads: int
    memory: int
    chunk_limits: ChunkLimits
    budget: dict[str, Any] = field(default_factory=dict)
    """The most that this build may spend: ``calls``, ``tokens``, ``money``."""
    build: str = ""
    """Id of the build in the ledger; the same after a resume."""
    retry_failed: bool = False
    """Whether questions to models that failed for good are asked again."""
    environment: dict[str, str] = field(default_factory=dict)
    """Environment variables that the catalog reads and their values, so that these are written nowhere."""
    finish: bool = False
    """Whether language models give kept answers only, and rows that lack one are left out
    (:mod:`curate.engine.tasks.finish`)."""
    recording: str = ""
    """A folder in which requests to language models are written down with their kept answers; then none is sent."""
    node: str = ""
    """Where several machines work, the name under which this one keeps what it finds out (:mod:`curate.caches`)."""


def serialize_params(params: Params) -> dict[str, Any]:
    """Parameters as JSON, with the class that reads them.

    Only what the catalog gives: to some parameters it matters whether another one was written down or left out.
    """
    return {
        "module": type(params).__module__,
        "name": type(params).__qualname__,
        "params": params.model_dump(mode="json", by_alias=True, exclude_unset=True, context=WHOLE),
        **({"plugin": asdict(params.plugin)} if params.plugin else {}),
    }


def load_params(value: Mapping[str, Any]) -> Any:
    """The parameters that :func:`pack` packed; used only for classes the registry gave to the main process.

    A plug-in of one file travels with them: a worker runs what the main process read, wherever it is.
    """
    plugin = value.get("plugin")
    found: Any = load_plugin(PluginFile(**plugin)) if plugin else importlib.import_module(value["module"])
    for part in value["name"].split("."):
        found = getattr(found, part)
    params = found.model_validate(value["params"])
    if value.get("models"):
        return params.with_models({name: load_params(spec) for name, spec in value["models"].items()})
    return params


class TaskContext:
    """What an action has at hand: its task, the store, the step, the rows."""

    def __init__(self, store: Store, setting: WorkerConfig, task: Task, context: WorkerContext, tick: Tick) -> None:
        self.store, self.setting, self.task, self.context, self.advance = store, setting, task, context, tick
        self.payload = task.payload

    def step(self) -> Any:
        return load_params(self.payload["step"])

    def kind(self) -> Kind:
        return Kind(self.payload["kind"])

    def shard(self) -> pa.Table:
        return widen(read_parquet(self.store.root / self.payload["shard"]))

    def columns(self) -> list[Columns]:
        return [Columns(**value) for value in self.payload["columns"]]

    def kept(self, rows: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
        return read_kept(self.store.root, self.columns(), rows)

    def batches(self, table: pa.Table, rows: int = _BATCH) -> Iterator[Rows]:
        if self.context.batched:
            rows = max(1, table.num_rows)
        for start in range(0, table.num_rows, rows):
            yield Rows(self.kind(), table.slice(start, rows))


def read(work: TaskContext, folder: Path) -> dict[str, Any]:
    """One unit of a source becomes row shards, and the rows that could not be read a file of their own."""
    source: Source = work.step()
    kind = work.kind()
    unit = Unit(
        work.payload["unit"]["name"],
        tuple(Path(path) for path in work.payload["unit"]["files"]),
        work.payload["unit"]["state"],
    )
    examples: list[str] = []
    bad = 0
    unused = Unused()
    forgotten = pa.array(work.payload["forgotten"], pa.string())
    lines = set(work.payload["forgotten"])

    def tables() -> Iterator[pa.Table]:
        nonlocal bad
        for batch in source.read(unit, work.payload["name"], work.context):
            found = [row for row in batch.bad if not lines or line_id(work.payload["name"], row.raw) not in lines]
            if found:
                # Written as they come: of a file that is not what it is said to be, every row is one.
                places = [row.where for row in found]
                columns = [
                    [work.payload["name"]] * len(places),
                    [unit.name] * len(places),
                    places,
                    [work.context.redact(row.reason) for row in found],
                    [row.raw for row in found],
                ]
                writer.write_table(
                    pa.Table.from_arrays([pa.array(one, pa.string()) for one in columns], schema=QUARANTINED)
                )
                bad += len(places)
                examples.extend(
                    f"{unit.name}:{row.where.removeprefix('line ')}: {row.reason}" for row in found[: 3 - len(examples)]
                )
            if batch.unused is not None:
                unused.add(batch.unused)
            work.advance(batch.table.num_rows)
            if batch.table.num_rows:
                table = with_ids(kind, batch.table)
                yield table.filter(pc.invert(pc.is_in(table["id"], forgotten))) if len(forgotten) else table

    with pq.ParquetWriter(folder / "bad.parquet", QUARANTINED, use_dictionary=False, **COMPRESSION) as writer:
        shards = [
            write_shard(table, folder / f"rows-{index:05d}.parquet", f"rows-{index:05d}.parquet")
            for index, table in enumerate(cut(tables(), work.setting.chunk_limits))
        ]
    read = work.payload["unit"]["read"]
    if unit.files and not unit.state and [digest_files([path]) for path in unit.files] != read:
        raise StepError(f"{unit.name} changed while it was being read; build again")
    return {
        "shards": [shard.to_json() for shard in shards],
        "rows": sum(shard.rows for shard in shards),
        "bad": bad,
        "bad_examples": examples,
        "unused": unused.to_json(),
    }


def link(work: TaskContext, folder: Path) -> dict[str, Any]:
    """Rows get the parent and the group of the row with the same key in another source."""
    table = work.shard()
    key = pl.col("group_id").str.splitn(":", 2).struct.field("field_1")
    paths = [work.store.root / path for path in work.payload["parents"]]
    above = pl.scan_parquet(paths) if paths else pl.LazyFrame(schema={"id": pl.String, "group_id": pl.String})
    parents = above.select(key.alias("key"), pl.col("id").alias("parent"), pl.col("group_id").alias("group"))
    frame = (
        pl.DataFrame({"group_id": pl.Series(table["group_id"].combine_chunks())})
        .with_row_index("place")
        .with_columns(key.alias("key"))
    )
    wanted = frame["key"].drop_nulls().unique()
    found = (
        parents.filter(pl.col("key").is_in(wanted.implode())).unique("key", keep="first", maintain_order=True).collect()
    )
    joined = frame.join(found, on="key", how="left", maintain_order="left").sort("place")
    parent = joined["parent"].to_list()
    lineage = table["lineage"].combine_chunks()
    fields = {field.name: lineage.field(field.name) for field in lineage.type}
    fields["parents"] = pa.array(
        [[one] if one is not None else [] for one in parent], lineage.type.field("parents").type
    )
    linked = pa.StructArray.from_arrays(list(fields.values()), fields=list(lineage.type))
    # A row whose parent is missing still belongs to the item of its key, and so into that item's split.
    root = work.payload["root"]
    own = (
        pl.col("group_id")
        if root is None
        else pl.when(pl.col("key").is_null()).then(pl.col("group_id")).otherwise(pl.lit(f"{root}:") + pl.col("key"))
    )
    groups = joined.select(pl.coalesce(pl.col("group"), own).alias("group_id"))["group_id"].to_list()
    table = table.set_column(table.schema.get_field_index("lineage"), table.schema.field("lineage"), linked)
    table = table.set_column(
        table.schema.get_field_index("group_id"), table.schema.field("group_id"), pa.array(groups, pa.string())
    )
    unmatched = sum(one is None for one in parent)
    work.advance(table.num_rows)
    return {
        "shards": [write_shard(table, folder / "rows-00000.parquet", "rows-00000.parquet").to_json()],
        "unmatched": unmatched,
    }


def sample(work: TaskContext, folder: Path) -> dict[str, Any]:
    step: ScoreStep = work.step()
    table = work.shard()
    table = table.filter(pa.array(work.kept(table.num_rows)))
    sample = step.sample(Rows(work.kind(), table), work.context)
    if sample is None:
        raise StepError(f"{step.tag}: fits but gave no sample")
    write_parquet(sample, folder / "sample.parquet")
    work.advance(table.num_rows)
    return {"path": "sample.parquet", "digest": content_digest(sample)}


def fit(work: TaskContext, folder: Path) -> dict[str, Any]:
    step: ScoreStep = work.step()
    fitted = step.fit([read_parquet(work.store.root / path) for path in work.payload["samples"]], work.context)
    write_parquet(fitted, folder / "fitted.parquet")
    return {"path": "fitted.parquet", "digest": content_digest(fitted)}


def score(work: TaskContext, folder: Path) -> dict[str, Any]:
    """Scores the rows that are kept so far and not scored yet, keeps the scores, then decides."""
    step: ScoreStep = work.step()
    kind = work.kind()
    table = work.shard()
    kept = work.kept(table.num_rows)
    names = list(step.columns(kind))
    folder_of_scores = work.store.work(work.task.step, work.payload["score_key"])
    known = kept_scores(folder_of_scores)
    if known is None and any(folder_of_scores.glob("scores-*")):
        work.context.warn(
            f"kept scores in {folder_of_scores.relative_to(work.store.root)} were damaged; the rows are scored again"
        )
    scores, scored, failed = _known_scores(known, step, kind, table.num_rows)
    if work.setting.retry_failed:
        scored = scored & ~failed
    missing = np.flatnonzero(kept & ~scored)
    if len(missing):
        fitted = read_parquet(work.store.root / work.payload["fitted"]) if work.payload.get("fitted") else None
        frames = []
        for rows in work.batches(table.take(pa.array(missing))):
            frame = step.score(rows, work.context, fitted)
            _check_scores(step, kind, frame, len(rows))
            frames.append(frame.select(names))
            work.advance(len(rows))
        fresh = pl.concat(frames)
        place = np.zeros(table.num_rows, np.int64)
        place[missing] = np.arange(len(missing)) + table.num_rows
        place[~np.isin(np.arange(table.num_rows), missing)] = np.flatnonzero(
            ~np.isin(np.arange(table.num_rows), missing)
        )
        scores = pl.concat([scores, fresh.cast(scores.schema)])[place]
        unanswered = work.context.unanswered
        # Where an answer was lost nothing of this run is kept: the next build scores these rows again, by answers
        # that are known.
        if not unanswered.lost:
            ids = pl.Series(table["id"].combine_chunks())
            again = ids.is_in(pl.Series(sorted(unanswered.failed), dtype=pl.String).implode()).to_numpy()
            failed = (failed & scored) | (again & kept)
            marked = scores.with_columns(pl.Series("scored", scored | kept), pl.Series("failed", failed))
            _keep_scores(folder_of_scores, known, marked, work.context.warnings, work.context.scratch)
    else:
        work.advance(int(kept.sum()))
        work.context.warnings.extend(_known_warnings(known))
    columns = decide(scores, table, step.drop_rules(kind), kept)
    told: dict[str, Any] = {"scored": len(missing)}
    if not_asked := work.context.unanswered.not_asked:
        columns = left_out(columns, table["id"], not_asked)
        told["not_asked"] = by_language(table.filter(pa.array(kept)), not_asked)
    return {**_columns_result(folder, "columns.parquet", columns, table, step.assesses), **told}


Marks = np.ndarray[Any, np.dtype[np.bool_]]


def _known_scores(path: Path | None, step: ScoreStep, kind: Kind, rows: int) -> tuple[pl.DataFrame, Marks, Marks]:
    """The kept scores, which rows have some, and for which of them a model failed for good."""
    if path is not None:
        frame = pl.read_parquet(path)
        scored = frame["scored"].to_numpy().astype(bool)
        failed = frame["failed"].to_numpy().astype(bool) if "failed" in frame.columns else np.zeros(rows, bool)
        return frame.drop("scored", "failed", strict=False), scored, failed
    types = {name: pl.String if dtype == pa.string() else pl.Float64 for name, dtype in step.columns(kind).items()}
    empty = pl.DataFrame({name: pl.Series([None] * rows, dtype=dtype) for name, dtype in types.items()})
    return empty, np.zeros(rows, bool), np.zeros(rows, bool)


def _known_warnings(path: Path | None) -> list[str]:
    told = b"" if path is None else (pq.read_schema(path).metadata or {}).get(b"warnings", b"")
    return [line for line in told.decode().split("\x1e") if line]


def _keep_scores(folder: Path, before: Path | None, scores: pl.DataFrame, warnings: list[str], scratch: Path) -> None:
    """Puts fuller scores of a shard in the place of those kept before, whole or not at all; its name is the digest
    of its bytes. Another worker may do the same for an equal shard at the same time."""
    folder.mkdir(parents=True, exist_ok=True)
    temporary = scratch / "scores.parquet"
    write_parquet(
        scores.to_arrow().replace_schema_metadata({"warnings": "\x1e".join([*_known_warnings(before), *warnings])}),
        temporary,
    )
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    final = folder / f"scores-{file_digest(temporary)[:32]}.parquet"
    temporary.replace(final)
    for old in folder.glob("*.parquet"):
        if old.is_dir():
            shutil.rmtree(old)
        elif old != final:
            old.unlink(missing_ok=True)
    sync_folder(folder)


def _check_scores(step: ScoreStep, kind: Kind, frame: pl.DataFrame, rows: int) -> None:
    wanted = list(step.columns(kind))
    lacking = [name for name in wanted if name not in frame.columns]
    if lacking or frame.height != rows:
        raise StepError(
            f"step {step.tag}: score() must return {rows} rows of {wanted}; it returned {frame.height} of "
            f"{frame.columns}"
        )


def _columns_result(folder: Path, name: str, columns: pa.Table, rows: pa.Table, assesses: str) -> dict[str, Any]:
    write_parquet(columns, folder / name)
    language = pl.Series("language", rows["language"].combine_chunks())
    asked = count_reasons(both_languages(rows), columns)
    keep = np.asarray(columns["keep"].combine_chunks().fill_null(False).to_numpy(zero_copy_only=False), bool)
    return {
        "path": name,
        "digest": content_digest(columns),
        "alive": mask_digest(keep),
        "rows_alive": int(keep.sum()),
        "funnel": count_reasons(language, columns),
        "unassessed": count_unassessed(language, columns, assesses),
        **({"prompts": asked} if asked else {}),
    }


def summarize(work: TaskContext, folder: Path) -> dict[str, Any]:
    step: GlobalStep = work.step()
    table = work.shard()
    parts = []
    for rows in work.batches(table):
        parts.append(step.summarize(rows, work.context))
        work.advance(len(rows))
    summary = pa.concat_tables(parts)
    if summary.num_rows != table.num_rows:
        raise StepError(
            f"step {step.tag}: summarize() must return one row a row; {summary.num_rows} for {table.num_rows} rows"
        )
    write_parquet(summary, folder / "summary.parquet")
    return {"path": "summary.parquet", "digest": content_digest(summary)}


def _found_before(root: Path, columns: Sequence[Columns], names: Sequence[str]) -> list[tuple[str, pa.Table]]:
    """The findings of these names, as (label, column shard)."""
    found = []
    for one in columns:
        here = (
            [
                name
                for name in pq.read_schema(root / one.path).names
                if name not in ("keep", "reason") and (one.label if name == "score" else f"{one.label}.{name}") in names
            ]
            if names
            else []
        )
        if here:
            found.append((one.label, read_parquet(root / one.path, columns=here)))
    return found


def settle(work: TaskContext, folder: Path) -> dict[str, Any]:
    """The decision of a global step over all shards."""
    step: GlobalStep = work.step()
    kind = work.kind()
    root = work.store.root
    shards = work.payload["shards"]
    names = list(step.columns(kind))
    work.context.origins = [shard["origin"] for shard in shards]
    masks, chunk_limits = [], []
    for index, shard in enumerate(shards):
        before = [Columns(**value) for value in shard["columns"]]
        kept = read_kept(root, before, shard["rows"])
        path = root / shard["summary"]
        found = _found_before(root, before, step.reads)
        if found or not kept.all():
            path = work.context.scratch / f"summary-{index:05d}.parquet"
            write_parquet(merge_scores(read_parquet(root / shard["summary"]), found).filter(pa.array(kept)), path)
        masks.append(kept)
        chunk_limits.append(path)
    results = []
    decided = step.decide(chunk_limits, work.context)
    for index, (table, kept, shard) in enumerate(zip(decided, masks, shards, strict=True)):
        if table.num_rows != int(kept.sum()):
            raise StepError(f"step {step.tag}: decide() gave {table.num_rows} rows for a shard with {int(kept.sum())}")
        columns = expand(to_arrow(pl.DataFrame(pl.from_arrow(table)), names), kept)
        path = root / shard["path"]
        tags = [name for name in ("language", "prompt_language") if name in pq.read_schema(path).names]
        rows = read_parquet(path, columns=tags)
        results.append(_columns_result(folder, f"columns-{index:05d}.parquet", columns, rows, step.assesses))
        work.advance(shard["rows"])
    return {"outputs": results}
