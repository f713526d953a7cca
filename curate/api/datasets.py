"""The Python API of catalogs: load, check, plan, build, calibrate, compare."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from curate.api.store import open_store
from curate.catalog import Catalog, CatalogError, catalog_schema, load_catalog
from curate.catalog.forgotten import read_forgotten
from curate.catalog.suggestions import nearest
from curate.engine.progress import progress_or_default
from curate.engine.store.store import Store
from curate.errors import BuildError, SourceError
from curate.steps import Model, Registry

if TYPE_CHECKING:
    from curate.engine.dataset import Built
    from curate.engine.planning.estimate import Estimate
    from curate.engine.planning.plan import Plan
    from curate.engine.progress import Progress
    from curate.engine.store.diff import Difference
    from curate.engine.store.shards import ChunkLimits
    from curate.erase import Erasure
    from curate.models.probe import Finding
    from filters.calibration.file import Calibration


def check(
    catalog: Catalog | str | Path = "catalog.yaml", *datasets: str, registry: Registry | None = None
) -> list[str]:
    """Checks all that can be known of a catalog before anything runs: kinds of rows, fields, what models can do.

    Returns:
        Notes on what is no reason not to build: a language that a model does not know, columns that nothing uses in
        the first rows of a source (which is passed over where it cannot be read yet, or only over the network).

    Raises:
        CatalogError: anything is wrong; it lists everything that is.
        BuildError: a dataset is unknown.
    """
    from curate.engine.planning.check import check_catalog

    registry = registry or Registry.installed()
    loaded = as_catalog(catalog, registry)
    for name in datasets:
        if name not in loaded.datasets:
            known = ", ".join(loaded.datasets) or "none"
            raise BuildError(f"no dataset is called '{name}'{nearest(name, loaded.datasets)} (known: {known})")
    found = check_catalog(loaded, registry, datasets)
    if found.problems:
        raise CatalogError(found.problems)
    notes = [str(one) for one in found.notes]
    for name, source in loaded.sources.items():
        with contextlib.suppress(SourceError, OSError):
            if said := str(source.unused(name)):
                notes.append(f"source '{name}': not used: {said}")
    return notes


def plan(catalog: Catalog | str | Path = "catalog.yaml", *datasets: str, registry: Registry | None = None) -> Plan:
    """What :func:`build` would do, and why; nothing runs.

    Args:
        catalog: a catalog or its file.
        datasets: names; all of the catalog's if none is given.
    """
    from curate.engine.build import make_plan

    registry = registry or Registry.installed()
    return make_plan(as_catalog(catalog, registry), registry, datasets)


def estimate(
    catalog: Catalog | str | Path = "catalog.yaml",
    *datasets: str,
    sample: int = 200,
    progress: Progress | Literal[False] | None = None,
    registry: Registry | None = None,
) -> list[Estimate]:
    """What building will come to: rows, calls, tokens, money, work and disk with 95 % intervals, from a sample that
    is built for real.

    Args:
        sample: how many source rows to build; what models answer to them is kept, and not asked again by :func:`build`.

    Raises:
        BuildError: a dataset is unknown, or the sample cannot be built.
    """
    from curate.engine.sampling import estimate_datasets

    registry = registry or Registry.installed()
    return estimate_datasets(
        as_catalog(catalog, registry), registry, datasets, sample=sample, progress=progress_or_default(progress)
    )


def build(
    catalog: Catalog | str | Path = "catalog.yaml",
    *datasets: str,
    progress: Progress | Literal[False] | None = None,
    wait: float = 0.0,
    registry: Registry | None = None,
    chunk_limits: ChunkLimits | None = None,
    retry_failed: bool = False,
    keep_going: bool = False,
    until: str = "",
    finish: bool = False,
) -> list[Built]:
    """Builds datasets, reusing every result that still holds.

    Answers of models that were lost because a server was in trouble are asked for again.

    Args:
        catalog: a catalog or its file.
        datasets: names; all of the catalog's if none is given.
        progress: who is told; by default bars on a terminal, lines in a notebook, nobody elsewhere. False: nobody.
        wait: seconds to wait for another build in the same store.
        chunk_limits: where shards end.
        retry_failed: also ask models again for what they refused or answered unusably.
        keep_going: build the other datasets if one fails.
        until: stop after the step of this label of the one dataset that is named; no version of it is written.
        finish: make versions with the answers of language models that are there, and ask for no more. Rows that lack an
            answer are left out and counted (``Built.partial``); the next build without it goes on.

    Returns:
        One :class:`Built` for each dataset in building order: version, folder, rows, funnel, warnings.

    Raises:
        BuildError: a stage failed; the message names it.
        DatasetsFailedError: with ``keep_going``, the datasets that failed and why, and what was built.
        StoreError: another build is at work in this store.
    """
    from curate.engine.build import build_datasets

    registry = registry or Registry.installed()
    return build_datasets(
        as_catalog(catalog, registry),
        registry,
        datasets,
        progress=progress_or_default(progress),
        wait=wait,
        chunk_limits=chunk_limits,
        retry_failed=retry_failed,
        keep_going=keep_going,
        until=until,
        finish=finish,
    )


def forget(
    name: str | None = None,
    *,
    rows: Sequence[str] = (),
    sources: Sequence[str] = (),
    lines: Sequence[str] = (),
    where: str | None = None,
    origins: bool = False,
    reason: str = "",
    rebuild: bool = True,
    purge: bool = False,
    catalog: Catalog | str | Path = "catalog.yaml",
    progress: Progress | Literal[False] | None = None,
    wait: float = 0.0,
    registry: Registry | None = None,
) -> Erasure:
    """Takes rows out of all datasets, with everything that was made of them, and keeps them out.

    With nothing named but ``purge``, an erasure that was interrupted is carried on, and versions that still hold
    what is on the
    list beside the catalog are removed.

    Args:
        name: the dataset that ``where`` looks at, ``name`` or ``name@ref``.
        rows: ids of rows; of source rows, to forget all that was made of them too.
        sources: whole sources.
        lines: lines of source files that could not be read, ``FILE:LINE``: their raw text is among what is quarantined.
        where: a SQL condition on the rows of ``name``, kept, rejected and such of which nothing could be made, and
            on what is quarantined.
        origins: also forget the rows that those were made from.
        reason: kept with the list, ``forgotten.jsonl`` beside the catalog.
        rebuild: build the datasets that held them again, without them; rows that stay cost no model call.
        purge: afterwards remove every version that holds them, published ones too, the results and cached answers
            of models they
            are in, what was set aside as damaged, and the exports, reports and review sheets that were made of
            these versions.
        wait: seconds to wait for a build in this store.

    Raises:
        BuildError, StoreError, QueryError: nothing or something unknown is named.
    """
    from curate.erase import forget as go

    registry = registry or Registry.installed()
    return go(
        as_catalog(catalog, registry),
        registry,
        name,
        rows=rows,
        sources=sources,
        lines=lines,
        where=where,
        origins=origins,
        reason=reason,
        rebuild=rebuild,
        purge=purge,
        progress=progress_or_default(progress),
        wait=wait,
    )


def rebuild(
    name: str,
    *,
    catalog: Catalog | str | Path = "catalog.yaml",
    progress: Progress | Literal[False] | None = None,
    chunk_limits: ChunkLimits | None = None,
    registry: Registry | None = None,
) -> tuple[str, str, list[str]]:
    """Builds a dataset once more from nothing but sources, catalog and kept answers of models, to prove its digest.

    Returns:
        The version that is there, the version that came out, and (if they differ) what differs in their recipes.

    Raises:
        BuildError, StoreError: there is no such dataset or version, or it cannot be built.
    """
    from curate.engine.build import build_datasets
    from curate.engine.planning.estimate import aside
    from curate.engine.store.diff import recipe_difference
    from curate.engine.store.lock import refresh

    registry = registry or Registry.installed()
    loaded = as_catalog(catalog, registry)
    refresh(loaded.store, caches=True)
    store = Store(loaded.store)
    there = store.resolve(name)
    with store.scratch() as folder:
        elsewhere = aside(loaded, folder)
        built = build_datasets(
            elsewhere, registry, [name], progress=progress_or_default(progress), chunk_limits=chunk_limits
        )[-1]
        said = recipe_difference(store.manifest(name, there), Store(folder).manifest(name, built.version))
    return there, built.version, said if built.version != there else []


def models(
    catalog: Catalog | str | Path = "catalog.yaml", *names: str, registry: Registry | None = None
) -> dict[str, Model]:
    """The models of a catalog that these names mean (all, if none is given), those bound that are made of others.

    Raises:
        BuildError: there is no model of that name.
    """
    from curate.engine.planning.models import bound_model

    loaded = as_catalog(catalog, registry or Registry.installed())
    for name in names:
        if name not in loaded.models:
            raise BuildError(
                f"no model is called '{name}'{nearest(name, loaded.models)} (known: "
                f"{', '.join(loaded.models) or 'none'})"
            )
    return {name: bound_model(loaded, registry or Registry.installed(), name) for name in names or loaded.models}


def probe_models(
    catalog: Catalog | str | Path = "catalog.yaml",
    *names: str,
    tell: Callable[[Finding], None] | None = None,
    registry: Registry | None = None,
) -> list[Finding]:
    """Loads models and proves each by one real call: an answer, JSON, log-probabilities, a translation, a similarity …

    Args:
        tell: called with each finding as it comes.
    """
    from curate.models.probe import probe

    return probe(models(catalog, *names, registry=registry), tell=tell)


def calibrate(
    model: str,
    catalog: Catalog | str | Path | None = None,
    *,
    anchors: Sequence[str | Path] = (),
    license: str = "unknown",
    pairs: Sequence[str] = (),
    pivot: str = "en",
    precision: float = 0.98,
    bad: float = 0.2,
    among: int = 20,
    least: int = 30,
    most: int = 1000,
    unsupported: bool = False,
    out: str | Path | None = None,
    registry: Registry | None = None,
) -> Calibration:
    """Measures which pairs of languages an encoder can judge, on sentences whose translations are known.

    Args:
        model: a model of the catalog, or the name of an installed encoder.
        anchors: files and folders of parallel sentences; the shipped ones unless given.
        license: of those.
        pairs: ``en-sw``, … or ``all``; unless given, ``pivot`` with each other language.
        precision: wanted share of good pairs among those kept, if a share ``bad`` of all is bad, each as near as
            the nearest
            of ``among`` wrong sentences.
        least: with fewer anchors a pair is not checked.
        most: of more anchors a fair sample of so many is taken.
        unsupported: also measure languages that the model does not say it supports.
        out: a file to write, for ``similarity: {calibration: …, min: calibrated}``.

    Raises:
        BuildError: there is no encoder of that name.
        StepError: there are no such anchors, or the file cannot be written.
    """
    from curate.engine.planning.models import bound_model
    from filters.calibration.calibrate import calibrate_model

    registry = registry or Registry.installed()
    loaded = None if catalog is None else as_catalog(catalog, registry)
    known = [*(loaded.models if loaded else ()), *registry.names("model")]
    if model not in known:
        raise BuildError(f"no model is called '{model}'{nearest(model, known)} (known: {', '.join(known)})")
    params = bound_model(loaded, registry, model) if loaded else registry.get("model", model)()
    asked = {"precision": precision, "bad": bad, "among": among, "least": least, "most": most}
    found = calibrate_model(
        params,
        model,
        asked,
        anchors=[Path(path) for path in anchors],
        license=license,
        pairs=pairs,
        pivot=pivot,
        unsupported=unsupported,
        cache=Path(loaded.store) / "cache" if loaded else None,
    )
    if out is not None:
        found.write(Path(out))
    return found


def diff(
    first: str,
    second: str | None = None,
    *,
    store: str | Path | Store | None = None,
    catalog: Catalog | str | Path = "catalog.yaml",
) -> Difference:
    """What became of a dataset between two versions, and which step or source is responsible.

    Args:
        first: ``name`` or ``name@ref``; alone, it is compared with the version before it.
        second: the newer one; it may be of another dataset.

    Raises:
        StoreError: there is no such version.
    """
    from curate.engine.store.diff import compare, sides

    opened = open_store(store, catalog)
    return compare(opened, *sides(opened, first, second))


def schema(registry: Registry | None = None) -> dict[str, Any]:
    """The JSON Schema of catalogs, with everything that is installed."""
    return catalog_schema(registry or Registry.installed())


def as_catalog(catalog: Catalog | str | Path, registry: Registry) -> Catalog:
    """A catalog, or that of a file; what its plug-ins offer is then in the registry, and it forgets what the list says
    now.

    Raises:
        CatalogError: something is wrong with the file or the list.
    """
    if not isinstance(catalog, Catalog):
        return load_catalog(Path(catalog), registry)
    for _, file in catalog.plugins:
        registry.add_plugin(file)
    catalog.forgotten, problems = read_forgotten(catalog.file.parent)
    if problems:
        raise CatalogError(problems)
    return catalog
