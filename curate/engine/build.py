"""Builds and plans datasets: takes the lock, chooses where tasks run, and builds one dataset after the other."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from curate.caches import settle
from curate.catalog import Catalog
from curate.catalog.suggestions import nearest
from curate.engine.budget import current_build, finish_build
from curate.engine.dataset import Built, DatasetBuilder
from curate.engine.events import span
from curate.engine.executors.base import Executor
from curate.engine.executors.choose import choose_executor
from curate.engine.executors.local import InlineExecutor
from curate.engine.planning.check import require_sound
from curate.engine.planning.plan import Plan
from curate.engine.planning.runner import BuildContext
from curate.engine.progress import Progress, SilentProgress
from curate.engine.resources import parse_bytes
from curate.engine.store.lock import StoreLock, refresh
from curate.engine.store.shards import ChunkLimits, Shard
from curate.engine.store.store import FileDigests, Store
from curate.engine.tasks.task import WorkerConfig
from curate.errors import BuildError, DamagedError, DatasetsFailedError, DiskFullError, StoreError, is_disk_full
from curate.logs import open_log
from curate.steps import Registry


def make_plan(
    catalog: Catalog, registry: Registry, names: Sequence[str] = (), *, chunk_limits: ChunkLimits | None = None
) -> Plan:
    """What building these datasets (all, if none is named) would do; nothing is read but names, sizes and results.

    Raises:
        BuildError: a dataset is unknown.
        CatalogError: something is wrong with it that can be known before anything runs.
    """
    refresh(catalog.store)
    store = Store(catalog.store)
    wanted = wanted_datasets(catalog, names)
    require_sound(catalog, registry, wanted)
    context = build_context(catalog, registry, store, None, chunk_limits=chunk_limits)
    builder = DatasetBuilder(context)
    for name in wanted:
        builder.build(name)
    if store.root.is_dir():
        with contextlib.suppress(OSError):  # a plan may be made of a store that one may only read
            context.digests.save()
    return builder.runner.plan


def build_datasets(
    catalog: Catalog,
    registry: Registry,
    names: Sequence[str] = (),
    *,
    progress: Progress | None = None,
    wait: float = 0.0,
    chunk_limits: ChunkLimits | None = None,
    retry_failed: bool = False,
    keep_going: bool = False,
    until: str = "",
    finish: bool = False,
    recording: str = "",
) -> list[Built]:
    """Builds these datasets (all, if none is named) and those they are made of.

    Args:
        wait: seconds to wait for another build in the same store to end.
        retry_failed: also ask models again for what they refused or answered unusably before.
        keep_going: build the other datasets if one fails.
        until: the label of the last step of the one dataset that is named; no version of it is written.
        finish: make versions with the answers of language models that are kept, and ask for no more.
        chunk_limits: where shards end (tests).
        recording: see :class:`curate.engine.tasks.task.WorkerConfig`.

    Raises:
        BuildError: a stage failed, or a source has too many unreadable rows.
        CatalogError: something is wrong with it that can be known before anything runs.
        DatasetsFailedError: with ``keep_going``, some datasets could not be built.
        ExecutorError: workers died, or the Ray cluster cannot be used.
        StoreError: another build is at work.
    """
    if finish and (until or retry_failed):
        other = "until" if until else "retry_failed"
        raise BuildError(f"'finish' writes a version and asks nothing, '{other}' the opposite; leave one of them out")
    if until:
        _check_until(catalog, names, until)
    [built] = build_parts(
        catalog,
        registry,
        names,
        [None],
        progress=progress,
        wait=wait,
        chunk_limits=chunk_limits,
        retry_failed=retry_failed,
        keep_going=keep_going,
        until=until,
        finish=finish,
        recording=recording,
    )
    return built


def build_parts(
    catalog: Catalog,
    registry: Registry,
    names: Sequence[str],
    parts: Sequence[tuple[float, float] | None],
    *,
    progress: Progress | None = None,
    wait: float = 0.0,
    chunk_limits: ChunkLimits | None = None,
    whole: frozenset[str] = frozenset(),
    retry_failed: bool = False,
    keep_going: bool = False,
    until: str = "",
    finish: bool = False,
    recording: str = "",
) -> Iterator[list[Built]]:
    """Builds samples one after the other in one build, by the same workers, which keep their models loaded.

    Args:
        parts: for each sample which items are in it (see :class:`curate.engine.planning.runner.BuildContext`);
            None: all.
        whole: sources of which every row is needed all the same.
        retry_failed: also ask models again for what they refused or answered unusably before.
        keep_going: build the other datasets if one fails.
        until, finish: see :func:`build_datasets`.
        recording: see :class:`curate.engine.tasks.task.WorkerConfig`.
    """
    open_log()
    memory, wanted = parse_bytes(catalog.run.memory), wanted_datasets(catalog, names)
    require_sound(catalog, registry, wanted)
    try:
        store = Store(catalog.store).open()
        with StoreLock(store.root, wait=wait):
            store.sweep()
            if not (store.root / "cache").is_symlink():  # a sample's belongs to another store
                settle(store.root / "cache")
            number = current_build(store.root)
            budget = catalog.budget.model_dump(exclude_none=True)
            setting = WorkerConfig(
                str(catalog.store),
                catalog.run.threads,
                memory,
                chunk_limits or ChunkLimits(),
                budget,
                number,
                retry_failed,
                catalog.environment,
                finish,
                recording,
            )
            executor = choose_executor(catalog.run, setting)
            try:
                for part in parts:
                    context = build_context(
                        catalog,
                        registry,
                        store,
                        executor,
                        progress=progress,
                        chunk_limits=chunk_limits,
                        build=number,
                        sample=part,
                        unsampled_sources=whole,
                        retry_failed=retry_failed,
                    )
                    context = replace(context, keep_going=keep_going, wanted=wanted[-1], until=until)
                    yield _build_all(context, wanted)
                if not until and not finish:
                    finish_build(store.root, number)
            finally:
                executor.close()
    except OSError as error:
        kind = DiskFullError if is_disk_full(error) else StoreError
        raise kind(f"{catalog.store}: {error.strerror or error}; what was finished is kept") from error


def build_context(
    catalog: Catalog,
    registry: Registry,
    store: Store,
    executor: Executor | None,
    *,
    progress: Progress | None = None,
    chunk_limits: ChunkLimits | None = None,
    build: str = "",
    sample: tuple[float, float] | frozenset[str] | None = None,
    unsampled_sources: frozenset[str] = frozenset(),
    retry_failed: bool = False,
) -> BuildContext:
    """What stays the same for all datasets of a build; without an executor, of a plan."""
    digests = FileDigests(store.root / "cache" / "files.json")
    return BuildContext(
        store,
        catalog,
        registry,
        progress or SilentProgress(),
        executor,
        digests,
        chunk_limits or ChunkLimits(),
        build,
        sample,
        unsampled_sources,
        retry_failed,
    )


def _build_all(context: BuildContext, names: Sequence[str]) -> list[Built]:
    """All datasets; what is found damaged while it is read is set aside, and the build looks everything up again."""
    mended: dict[str, None] = {}
    while True:
        builder = DatasetBuilder(context, mended)
        try:
            built, failed = _build_each(builder, names)
            break
        except DamagedError as error:
            builder.runner.set_aside(_folder_of(context.store, error), error)
        finally:
            with contextlib.suppress(OSError):
                context.digests.save()
    for one in built:
        one.mended, one.warnings = [*mended], [*mended, *one.warnings]
        one.changed = one.changed or bool(mended)
    if failed:
        raise DatasetsFailedError(failed, built)
    return built


def _build_each(builder: DatasetBuilder, names: Sequence[str]) -> tuple[list[Built], dict[str, BuildError]]:
    """What was built, and why the others were not: at most one where a build does not go on after a failure."""
    built: list[Built] = []
    failed: dict[str, BuildError] = {}
    for name in names:
        upstream = builder.catalog.datasets[name].upstream
        if below := [inner for inner in upstream if inner in failed]:
            failed[name] = BuildError(f"not built, since it is made of {', '.join(below)}")
            continue
        try:
            with span("curate dataset", dataset=name):
                one = builder.build(name)
        except BuildError as error:
            if not builder.context.keep_going or isinstance(error, StoreError):  # a full disk concerns all
                raise
            failed[name] = error
            continue
        if one is not None:
            built.append(one)
    return built, failed


def _check_until(catalog: Catalog, names: Sequence[str], until: str) -> None:
    """Whether a build can stop after this step.

    Raises:
        BuildError: several datasets are named or none, it has no such step, or it has a target.
    """
    if len(names) != 1:
        raise BuildError("'until' wants one dataset: a build stops after a step of that one")
    spec = catalog.datasets.get(names[0])
    if spec is None:
        return  # said with all the other names
    labels = [use.label for use in spec.steps]
    if until not in labels:
        known = ", ".join(labels) or "it has none"
        raise BuildError(f"{spec.mark}: '{spec.name}' has no step '{until}'{nearest(until, labels)} (steps: {known})")
    if spec.target is not None:
        raise BuildError(
            f"{spec.mark}: '{spec.name}' has a target, so all its steps run round after round; 'curate preview "
            f"{spec.name}' shows a few rows step by step"
        )


def _folder_of(store: Store, error: DamagedError) -> Path:
    """The result or version that a damaged file belongs to.

    Raises:
        DamagedError: it belongs to none.
    """
    inside = error.path.relative_to(store.root).parts
    if inside[0] not in ("work", "datasets") or len(inside) < 4 or not store.root.joinpath(*inside[:3]).exists():
        raise error
    return store.root.joinpath(*inside[:3])


def read_inputs(
    catalog: Catalog,
    registry: Registry,
    names: Sequence[str],
    *,
    progress: Progress | None = None,
    chunk_limits: ChunkLimits | None = None,
) -> list[Shard]:
    """Reads sources into the catalog's store; all their rows."""
    store = Store(catalog.store).open()
    memory = parse_bytes(catalog.run.memory)
    setting = WorkerConfig(
        str(catalog.store), catalog.run.threads, memory, chunk_limits or ChunkLimits(), environment=catalog.environment
    )
    executor = InlineExecutor(setting)
    try:
        with StoreLock(store.root):
            reader = DatasetBuilder(
                build_context(catalog, registry, store, executor, progress=progress, chunk_limits=chunk_limits)
            ).reader
            reader.read(list(names))
            return reader.shards(list(names))
    finally:
        executor.close()


def wanted_datasets(catalog: Catalog, names: Sequence[str]) -> list[str]:
    """The datasets that have to be built for these (all, if none is named), in building order.

    Raises:
        BuildError: a dataset is unknown, or an environment variable that one needs is not set.
    """
    order: list[str] = []
    for name in names or catalog.datasets:
        if name not in catalog.datasets:
            raise BuildError(
                f"no dataset is called '{name}'{nearest(name, catalog.datasets)} (known: "
                f"{', '.join(catalog.datasets) or 'none'})"
            )
        missing = sorted({variable for place in catalog.needs(name) for variable in catalog.missing.get(place, ())})
        if missing:
            raise BuildError(
                f"dataset '{name}' needs the environment variable{'s' if len(missing) > 1 else ''} "
                f"{', '.join(missing)}; set and try again"
            )
        order += [inner for inner in catalog.closure(name) if inner not in order]
    return order
