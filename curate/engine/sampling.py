"""An estimate is made by building four small parts of a dataset in a folder of their own, one after the other."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import orjson

from curate.caches import has_nodes, settle
from curate.catalog import Catalog
from curate.catalog.document import nearest
from curate.engine.build import build_datasets, count_inputs
from curate.engine.estimate import FOLDS, Estimate, Fold, Labour, aside, estimate, size_of, whole_sources
from curate.engine.lock import StoreLock
from curate.engine.progress import Progress
from curate.engine.shards import Cuts
from curate.engine.store import Store, read_json, write_atomically
from curate.errors import BuildError
from curate.steps import Registry


def estimate_datasets(catalog: Catalog, registry: Registry, names: Sequence[str] = (), *, sample: int = 200, progress: Progress | None = None,
                      cuts: Cuts | None = None) -> list[Estimate]:  # fmt: skip
    """What building these datasets (all, if none is named) will come to, from a sample that is built for real.

    Rows of the sample cost what they cost; their answers are kept, and the build does not ask for them again. What is estimated is
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
            from curate.engine.ray_cluster import keep_connected

            held.enter_context(keep_connected(catalog.run))
        return [_estimate(catalog, store, registry, name, sample, progress, cuts) for name in names or catalog.datasets]


def _estimate(
    catalog: Catalog,
    store: Store,
    registry: Registry,
    name: str,
    sample: int,
    progress: Progress | None,
    cuts: Cuts | None,
) -> Estimate:
    whole = whole_sources(catalog, [name])
    below = [inner for one in catalog.closure(name) for inner in catalog.datasets[one].inputs]
    sources = [inner for inner in dict.fromkeys(below) if inner in catalog.sources and inner not in whole]
    with store.scratch() as folder:
        there = aside(catalog, folder)
        total = count_inputs(there, registry, sources, progress=progress, cuts=cuts)
        read = size_of(folder)
        share = min(1 / FOLDS, sample / FOLDS / max(1, total))
        folds: list[Fold] = []
        seen, before = read, Labour()
        for number in range(FOLDS):
            part = (number * share, (number + 1) * share)
            built = build_datasets(
                there, registry, [name], progress=progress, cuts=cuts, part=part, whole=frozenset(whole)
            )[-1]
            size, labour = size_of(folder), _labour(Store(folder))
            folds.append(Fold(dict(built.funnel.kept), built.spending, labour - before, size - seen))
            seen, before = size, labour
    found = estimate(name, folds, share=share, sampled=min(total, round(share * FOLDS * total)), rows_in=total)
    write_atomically(
        store.root / "state" / f"{name}.estimate.json", orjson.dumps(found.to_json(), option=orjson.OPT_INDENT_2)
    )
    return found


def _labour(store: Store) -> Labour:
    """What everything in a store took, but for reading."""
    paths = (
        path for path in store.root.glob("work/*/*/result.json") if not path.parent.parent.name.startswith("read-")
    )
    return Labour.of(one for path in paths if isinstance(one := read_json(path), dict))
