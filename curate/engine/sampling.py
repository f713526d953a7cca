"""Builds the four sample parts of an estimate, one after the other, in a temporary store."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from curate.caches import has_nodes, settle
from curate.catalog import Catalog
from curate.catalog.suggestions import nearest
from curate.engine.build import build_parts, make_plan, read_inputs
from curate.engine.planning.estimate import (
    FOLDS,
    Estimate,
    Fold,
    Paid,
    aside,
    compute_time_of,
    estimate,
    paid,
    size_of,
    whole_sources,
)
from curate.engine.progress import Progress
from curate.engine.store.lock import StoreLock
from curate.engine.store.shards import ChunkLimits
from curate.engine.store.store import Store
from curate.engine.tasks.sample import count_parts
from curate.errors import BuildError
from curate.steps import Registry


def estimate_datasets(
    catalog: Catalog,
    registry: Registry,
    names: Sequence[str] = (),
    *,
    sample: int = 200,
    progress: Progress | None = None,
    chunk_limits: ChunkLimits | None = None,
) -> list[Estimate]:
    """What building these datasets (all, if none is named) will come to, and those below them that are not up to
    date, from a sample that is
    built for real.

    Rows of the sample cost what they cost; their answers are kept, and the build does not ask for them again. What
    is estimated is
    written down in the store, so that the build can tell it beside what happened.

    Args:
        sample: how many source rows to build, about; all of them if there are fewer.

    Raises:
        BuildError: a dataset is unknown, or the sample cannot be built.
    """
    if sample < FOLDS:
        raise BuildError(f"a sample of {sample} rows says nothing; take at least {FOLDS}")
    for name in names:
        if name not in catalog.datasets:
            known = ", ".join(catalog.datasets) or "none"
            raise BuildError(f"no dataset is called '{name}'{nearest(name, catalog.datasets)} (known: {known})")
    store = Store(catalog.store).open()
    with contextlib.ExitStack() as held:
        if catalog.run.executor == "ray" or has_nodes(store.root / "cache"):
            # Kept answers are shared with the store: while several machines use them, nobody else may.
            held.enter_context(StoreLock(store.root))
            settle(store.root / "cache")
        if catalog.run.executor == "ray":
            from curate.engine.executors.ray_cluster import keep_connected

            held.enter_context(keep_connected(catalog.run))
        wanted = [
            one
            for one in catalog.upstream(names or list(catalog.datasets))
            if one in names or not names or not make_plan(catalog, registry, [one], chunk_limits=chunk_limits).idle
        ]
        return [_estimate(catalog, store, registry, name, sample, progress, chunk_limits) for name in wanted]


def _estimate(
    catalog: Catalog,
    store: Store,
    registry: Registry,
    name: str,
    sample: int,
    progress: Progress | None,
    chunk_limits: ChunkLimits | None,
) -> Estimate:
    whole = whole_sources(catalog, [name])
    below = [inner for one in catalog.closure(name) for inner in catalog.datasets[one].inputs]
    sources = [inner for inner in dict.fromkeys(below) if inner in catalog.sources and inner not in whole]
    with store.scratch() as folder:
        there = aside(catalog, folder)
        shards = read_inputs(there, registry, sources, progress=progress, chunk_limits=chunk_limits)
        total = sum(shard.rows for shard in shards)
        share = min(1 / FOLDS, sample / FOLDS / max(1, total))
        parts = [(number * share, (number + 1) * share) for number in range(FOLDS)]
        counts = count_parts([folder / shard.path for shard in shards], parts)
        folds: list[Fold] = []
        before: Paid = {}
        samples = build_parts(
            there, registry, [name], parts, progress=progress, chunk_limits=chunk_limits, whole=frozenset(whole)
        )
        for rows, (*_, built) in zip(counts, samples, strict=True):
            own = [Store(folder).root / "work" / one for one in built.results]
            folds.append(
                Fold(
                    rows,
                    dict(built.funnel.kept),
                    paid(built.spending, before),
                    compute_time_of(Store(folder), built.results),
                    size_of(*own, built.path),
                )
            )
            before = paid(built.spending)
    found = estimate(name, folds, total)
    store.set_note(f"{name}.estimate.json", {**found.to_json(), "build_key": built.build_key})
    return found
