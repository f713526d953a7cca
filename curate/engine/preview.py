"""Takes a few rows of a catalog's sources through a dataset's steps and records what each step does to them.

The rows are built for real in a folder of their own, with the kept answers of models of the real store: what the
preview asks is not asked again by the build.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curate.caches import has_nodes, settle
from curate.catalog import Catalog, DatasetSpec, Reference, StepUse
from curate.engine.budget import current_build, spent
from curate.engine.build import build_context, wanted_datasets
from curate.engine.dataset import DatasetBuilder
from curate.engine.executors.local import InlineExecutor
from curate.engine.followed import Effect, FollowedRow, Preview
from curate.engine.planning.check import require_sound
from curate.engine.planning.estimate import aside, whole_sources
from curate.engine.planning.runner import StepTrace
from curate.engine.progress import Progress
from curate.engine.resources import parse_bytes
from curate.engine.store.columns import read_kept
from curate.engine.store.lock import StoreLock
from curate.engine.store.shards import ChunkLimits
from curate.engine.store.store import Store
from curate.engine.tasks.context import drop_models
from curate.engine.tasks.sample import item_numbers
from curate.engine.tasks.task import WorkerConfig
from curate.engine.thresholds import thresholds
from curate.errors import BudgetError, StoreError
from curate.logs import open_log
from curate.rows import present, widen
from curate.rows.fields import parents_of
from curate.steps import DatasetStep, GlobalStep, Registry, RowStep

READ = 1_000
"""How many rows of each file the rows of a preview are chosen from."""
_UNREADABLE = 5
"""How many unreadable rows are told."""


def preview_dataset(
    catalog: Catalog,
    registry: Registry,
    name: str,
    *,
    rows: int = 5,
    calls: int = 0,
    progress: Progress | None = None,
    chunk_limits: ChunkLimits | None = None,
) -> Preview:
    """Takes rows of the sources of a dataset, in as many languages as there are, through its steps.

    Args:
        rows: how many.
        calls: the most calls of language models; before a step that needs more the preview ends.

    Raises:
        BuildError: the dataset is unknown, it needs an environment variable that is not set, or a source or a step
            failed.
        CatalogError: something is wrong with the catalog that can be known before anything runs.
    """
    open_log()
    wanted = wanted_datasets(catalog, [name])
    require_sound(catalog, registry, wanted)
    try:
        with contextlib.ExitStack() as held:
            store = Store(catalog.store).open()
            if has_nodes(store.root / "cache"):
                held.enter_context(StoreLock(store.root))
                settle(store.root / "cache")
            folder = held.enter_context(store.scratch())
            there = aside(_lenient(catalog, name, calls), folder)
            found = _Walk(there, registry, name, progress, chunk_limits).run(rows, calls)
    except OSError as error:
        raise StoreError(f"{catalog.store}: {error.strerror or error}") from error
    targets = [one for one in wanted if catalog.datasets[one].target is not None]
    found.notes += [f"the target of {one} is not applied: no further candidates were drawn" for one in targets]
    return found


def _lenient(catalog: Catalog, name: str, calls: int) -> Catalog:
    """The catalog for a few rows: sources are read at their beginning, one bad row is no reason to stop, and nobody
    waits for a target."""
    whole = whole_sources(catalog, [name]) | {source.parent() for source in catalog.sources.values()}
    sources = {}
    for one, source in catalog.sources.items():
        change: dict[str, Any] = {"max_error_rate": 1.0}
        fields = type(source).model_fields
        if one not in whole and "limit" in fields and getattr(source, "sample", None) is None:
            change["limit"] = min(source.limit or READ, READ)
        sources[one] = source.model_copy(update=change)
    budget = catalog.budget
    most = calls if budget.calls is None else min(calls, budget.calls)
    return catalog.changed(
        sources=sources,
        datasets={one: _patient(dataset) for one, dataset in catalog.datasets.items()},
        budget=budget.model_copy(update={"calls": most}),
    )


def _patient(dataset: DatasetSpec) -> DatasetSpec:
    steps = tuple(
        replace(use, params=use.params.model_copy(update={"max_error_rate": 1.0}))
        if isinstance(use.params, RowStep | DatasetStep)
        else use
        for use in dataset.steps
    )
    return replace(dataset, steps=steps, target=None)


class _Walk:
    """One preview, in a store of its own."""

    def __init__(
        self,
        catalog: Catalog,
        registry: Registry,
        name: str,
        progress: Progress | None,
        chunk_limits: ChunkLimits | None,
    ) -> None:
        self.catalog, self.name = catalog, name
        self.store = Store(catalog.store).open()
        self.build = current_build(self.store.root)
        self.order = catalog.upstream([name])
        setting = WorkerConfig(
            str(catalog.store),
            catalog.run.threads,
            parse_bytes(catalog.run.memory),
            chunk_limits or ChunkLimits(),
            catalog.budget.model_dump(exclude_none=True),
            self.build,
            environment=catalog.environment,
        )
        self.executor = InlineExecutor(setting)
        self.whole = whole_sources(catalog, [name])
        self.known: dict[str, FollowedRow] = {}
        self.notes: dict[str, None] = {}

        def builder(sample: frozenset[str] | None) -> DatasetBuilder:
            return DatasetBuilder(
                build_context(
                    catalog,
                    registry,
                    self.store,
                    self.executor,
                    progress=progress,
                    chunk_limits=chunk_limits,
                    build=self.build,
                    sample=sample,
                    unsampled_sources=frozenset(self.whole),
                )
            )

        self.builder: Callable[[frozenset[str] | None], DatasetBuilder] = builder

    def run(self, count: int, calls: int) -> Preview:
        sources = [one for name in self.order for one in self.catalog.datasets[name].inputs]
        sources = [one for one in dict.fromkeys(sources) if one in self.catalog.sources]
        try:
            with StoreLock(self.store.root):
                roots = self._choose(sources, count)
                builder = self.builder(frozenset(one.row["id"] for one in roots))
                for name in self.catalog.closure(self.name):
                    if not self._dataset(builder, name, calls):
                        break
        finally:
            self.executor.close()
            drop_models()  # they are held by the store's folder, and this one is gone
        return Preview(self.name, roots, list(self.notes), spent(self.store.root, self.build))

    # ---------------------------------------------------------------------------------------------------------- sources
    def _choose(self, sources: Sequence[str], count: int) -> list[FollowedRow]:
        """Rows of the sources, by turns in each language of each source, and what they are translations of."""
        reader = self.builder(None).reader
        reader.read(sources)
        frames = [pl.DataFrame(schema=dict.fromkeys(("id", "language", "path"), pl.String) | {"place": pl.Float64})]
        for shard in reader.shards(sources):
            table = pq.read_table(self.store.checked(shard.path), columns=["id", "language", "group_id"])
            frame = pl.DataFrame(pl.from_arrow(table.select(["id", "language"])))
            place = pl.Series("place", item_numbers(table["group_id"]))
            frames.append(frame.with_columns(pl.lit(shard.path).alias("path"), place))
        every = pl.concat(frames).with_columns(turn=pl.col("place").rank("ordinal").over("language"))
        # A text may be in several files; it is one row to follow.
        chosen = every.sort("turn", "place", "path").unique("id", keep="first", maintain_order=True).head(count)
        rows = self._rows_at(
            [Path(path) for path in chosen["path"].unique(maintain_order=True)], chosen["id"].to_list()
        )
        limited = [one for one in sources if self._limited(one)]
        if limited and every.height >= READ:
            self.notes[f"the rows were chosen among the first {READ:,} of each file of {', '.join(limited)}"] = None
        every_parent = [shard.path for source in reader.inputs for shard in reader.shards([source])]
        parents = {one for row in rows.values() for one in parents_of(row)}
        above = self._rows_at([Path(path) for path in every_parent], sorted(parents)) if parents else {}
        for one in chosen["id"]:
            row = rows[one]
            found = [above[parent] for parent in parents_of(row) if parent in above]
            self.known[one] = FollowedRow(row, parents=found)
        self._tell_unreadable([folder for one in sources for folder in reader.inputs[one].bad])
        return [self.known[one] for one in chosen["id"]]

    def _limited(self, source: str) -> bool:
        found = self.catalog.sources[source]
        return source not in self.whole and getattr(found, "limit", None) == READ

    def _tell_unreadable(self, folders: Sequence[str]) -> None:
        for number, bad in enumerate(
            bad for folder in folders for bad in pq.read_table(self.store.checked(f"{folder}/bad.parquet")).to_pylist()
        ):
            if number == _UNREADABLE:
                self.notes["further rows could not be read; a build quarantines them all, with the reason"] = None
                return
            self.notes[f"could not be read: {bad['unit']}, {bad['place']}: {bad['reason']}"] = None

    def _rows_at(self, paths: Sequence[Path], ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for path in paths:
            table = pq.read_table(self.store.checked(path.as_posix()))
            table = widen(table.filter(pc.is_in(table["id"], pa.array(ids, pa.string()))))
            found |= {row["id"]: present(row) for row in table.to_pylist() if row["id"] not in found}
        return found

    # -------------------------------------------------------------------------------------------------------- datasets
    def _dataset(self, builder: DatasetBuilder, name: str, calls: int) -> bool:
        """Builds one dataset of the few rows and writes down what its steps did; False where it had to end."""
        spec = self.catalog.datasets[name]
        ended = False
        try:
            builder.build(name)
        except BudgetError:
            ended = True
        record = builder.runner.record
        if name in self.order:
            for before, after in zip(record.trail, record.trail[1:], strict=False):
                self._step(spec, before, after)
            # What could not be read is told row by row, and what a step failed on beside its row.
            self.notes |= {
                f"{stage}: {message}": None
                for stage, message in record.warnings
                if not stage.startswith("read ") and "quarantined" not in message
            }
        if not ended:
            return True
        done = max(0, len(record.trail) - 1)
        use = spec.steps[min(done, len(spec.steps) - 1)]
        waiting = sum(piece.rows_kept for piece in record.trail[-1].partitions if piece) if record.trail else 0
        models = ", ".join(one for listed in use.params.named(Reference.MODEL).values() for one in listed)
        self.notes[
            f"the preview ends before the step '{use.label}' of {name}: it asks {models} about {waiting:,} rows, which "
            f"needs more than the {calls:,} calls of models that are allowed; allow more (--calls, calls=)"
        ] = None
        return False

    def _step(self, spec: DatasetSpec, before: StepTrace, after: StepTrace) -> None:
        use = after.use
        assert use is not None
        kept = {row["id"]: row for row in self._kept(before)}
        if isinstance(use.params, RowStep | DatasetStep):
            self._made(spec, use, kept, after)
        else:
            self._decided(spec, use, after)
        what = None
        if isinstance(use.params, GlobalStep | DatasetStep):
            what = "works on all rows of the dataset together"
        elif getattr(use.params, "requires_fit", False):
            what = "first measures all rows of the dataset"
        if what:
            self.notes[
                f"{use.label} {what}; here it had {len(kept):,}, and a build may decide otherwise about these"
            ] = None

    def _kept(self, trace: StepTrace) -> Iterator[dict[str, Any]]:
        for piece in trace.partitions:
            if piece is not None:
                table = widen(pq.read_table(self.store.checked(piece.shard.path)))
                kept = read_kept(self.store.root, piece.columns, table.num_rows)
                yield from (present(row) for row in table.filter(pa.array(kept)).to_pylist())

    def _decided(self, spec: DatasetSpec, use: StepUse, after: StepTrace) -> None:
        for piece in after.partitions:
            if piece is None:
                continue
            ids = pq.read_table(self.store.checked(piece.shard.path), columns=["id"])["id"].to_pylist()
            for one, found in zip(
                ids, pq.read_table(self.store.checked(piece.columns[-1].path)).to_pylist(), strict=True
            ):
                if found["keep"] is None or one not in self.known:
                    continue
                followed = self.known[one]
                named = {name: value for name, value in found.items() if name not in ("keep", "reason")}
                followed.effects.append(
                    Effect(
                        spec.name,
                        use.label,
                        "kept" if found["keep"] else "dropped",
                        found["reason"] or "",
                        {name: value for name, value in named.items() if isinstance(value, float)},
                        {name: value for name, value in named.items() if isinstance(value, str)},
                        thresholds(type(use.params), use.params.decision(), followed.row["language"]),
                    )
                )

    def _made(self, spec: DatasetSpec, use: StepUse, kept: Mapping[str, Any], after: StepTrace) -> None:
        effects = {one: Effect(spec.name, use.label, "made nothing") for one in kept if one in self.known}
        others = 0
        for row in self._kept(after):
            if row["id"] in effects:
                if effects[row["id"]].outcome == "made nothing":
                    effects[row["id"]].outcome = "unchanged"
                continue
            parents = [one for one in row["lineage"]["parents"] if one in effects]
            if not parents:
                others += 1
                continue
            effect = effects[parents[0]]
            effect.outcome = "made"
            new = self.known.setdefault(row["id"], FollowedRow(row))
            effect.made.append(new)
        for folder in after.failed:
            for bad in pq.read_table(self.store.checked(f"{folder}/bad.parquet")).to_pylist():
                if bad["place"] in effects:
                    effects[bad["place"]].outcome = "failed"
                    effects[bad["place"]].reason = _both(effects[bad["place"]].reason, bad["reason"])
        for one, effect in effects.items():
            self.known[one].effects.append(effect)
        if others:
            self.notes[f"{use.label} made {others:,} rows that name none of these rows as a parent; not shown"] = None


def _both(first: str, second: str) -> str:
    return f"{first}; {second}" if first and second != first else second
