"""Building a dataset is walking its stages in order and then naming what came out; planning is the same walk without work."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from curate.caches import settle
from curate.catalog import Catalog, Dataset
from curate.catalog.files import defines_dataset
from curate.engine.budget import current_build, finish_build, spent
from curate.engine.executors.local import Executor, InlineExecutor, choose_executor
from curate.engine.funnel import Funnel
from curate.engine.planning.check import require_sound
from curate.engine.planning.estimate import Labour, labour_of, last_estimate
from curate.engine.planning.inputs import Inputs, Reader
from curate.engine.planning.pipeline import Walked, kind_after, walk_steps, walk_to_target
from curate.engine.planning.plan import Plan
from curate.engine.planning.runner import Piece, Runner
from curate.engine.progress import Progress, SilentProgress
from curate.engine.store.fingerprint import digest
from curate.engine.store.lock import StoreLock
from curate.engine.store.manifest import dataset_recipe, make_manifest
from curate.engine.store.shards import Cuts, Shard
from curate.engine.store.store import FileDigests, Store
from curate.engine.store.versions import bad_rows, fill_version, version_digest
from curate.engine.tasks.task import Setting, Task
from curate.errors import BuildError, DamagedError, DiskFullError, StoreError, is_disk_full
from curate.rows import Kind, content_digest
from curate.steps import Registry

_UNITS = {"": 1, "K": 1_000, "M": 1_000_000, "G": 1_000_000_000, "T": 1_000_000_000_000}


@dataclass
class Built:
    """What a build left behind."""

    dataset: str
    version: str
    path: Path
    """The version's folder."""
    rows: int
    fresh: bool
    """Whether anything had to run."""
    funnel: Funnel
    warnings: list[str] = field(default_factory=list)
    alarms: list[str] = field(default_factory=list)
    seconds: float = 0.0
    spending: list[dict[str, Any]] = field(default_factory=list)
    """What model calls cost in this build, resumes included: stage, model, calls, tokens, money."""
    build_key: str = ""
    """Digest of what was asked for: the recipes of the dataset and of those below it, and the states of their sources."""
    estimate: dict[str, Any] | None = None
    """What was last estimated for this very build (:meth:`curate.engine.planning.estimate.Estimate.to_json`); None where something changed since."""
    labour: Labour | None = None
    """What the results took that the version stands on, whenever they were made; only if there is an estimate to lay it beside."""
    mended: list[str] = field(default_factory=list)
    """The warnings about what was damaged and was made again; unlike the others they are not kept with the version."""
    results: tuple[str, ...] = ()
    """The folders of these results below ``work/``; sources are read for all datasets, and not among them."""


def parse_bytes(text: str) -> int:
    """``2GB`` → 2,000,000,000; ``1GiB`` → 1,073,741,824."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(i?)B", text.strip())
    if match is None:
        raise ValueError(f"'{text}' is no size; write 500MB, 2GB, 1GiB …")
    scale = 1024 ** " KMGT".index(match[2] or " ") if match[3] else _UNITS[match[2]]
    return int(float(match[1]) * scale)


def make_plan(catalog: Catalog, registry: Registry, names: Sequence[str] = (), *, cuts: Cuts | None = None) -> Plan:
    """What building these datasets (all, if none is named) would do; nothing is read but names, sizes and results.

    Raises:
        BuildError: a dataset is unknown.
        CatalogError: something is wrong with it that can be known before anything runs.
    """
    store = Store(catalog.store)
    wanted = _wanted(catalog, names)
    require_sound(catalog, registry, wanted)
    walk = _Walk(catalog, registry, store, SilentProgress(), None, cuts or Cuts())
    for name in wanted:
        walk.dataset(name)
    if store.root.is_dir():
        with contextlib.suppress(OSError):  # a plan may be made of a store that one may only read
            walk.runner.digests.save()
    return walk.runner.plan


def build_datasets(catalog: Catalog, registry: Registry, names: Sequence[str] = (), *, progress: Progress | None = None, wait: float = 0.0,
                   cuts: Cuts | None = None, retry_failed: bool = False) -> list[Built]:  # fmt: skip
    """Builds these datasets (all, if none is named) and those they are made of.

    Args:
        wait: seconds to wait for another build in the same store to end.
        retry_failed: also ask models again for what they refused or answered unusably before.
        cuts: where shards end (tests).

    Raises:
        BuildError: a stage failed, or a source has too many unreadable rows.
        CatalogError: something is wrong with it that can be known before anything runs.
        ExecutorError: workers died, or the Ray cluster cannot be used.
        StoreError: another build is at work.
    """
    [built] = build_parts(
        catalog, registry, names, [None], progress=progress, wait=wait, cuts=cuts, retry_failed=retry_failed
    )
    return built


def build_parts(catalog: Catalog, registry: Registry, names: Sequence[str], parts: Sequence[tuple[float, float] | None], *,
                progress: Progress | None = None, wait: float = 0.0, cuts: Cuts | None = None,
                whole: frozenset[str] = frozenset(), retry_failed: bool = False) -> Iterator[list[Built]]:  # fmt: skip
    """Builds samples one after the other in one build, by the same workers, which keep their models loaded.

    Args:
        parts: for each sample which items are in it (see :class:`curate.engine.planning.runner.Runner`); None: all.
        whole: sources of which every row is needed all the same.
        retry_failed: also ask models again for what they refused or answered unusably before.
    """
    memory, wanted = parse_bytes(catalog.run.memory), _wanted(catalog, names)
    require_sound(catalog, registry, wanted)
    try:
        store = Store(catalog.store).open()
        with StoreLock(store.root, wait=wait):
            store.sweep()
            if not (store.root / "cache").is_symlink():  # a sample's belongs to another store
                settle(store.root / "cache")
            number = current_build(store.root)
            budget = catalog.budget.model_dump(exclude_none=True)
            setting = Setting(
                str(catalog.store),
                catalog.run.threads,
                memory,
                cuts or Cuts(),
                budget,
                number,
                retry_failed,
                catalog.environment,
            )
            executor = choose_executor(catalog.run, setting)
            try:
                for part in parts:
                    mended: dict[str, None] = {}
                    while True:
                        walk = _Walk(catalog, registry, store, progress or SilentProgress(), executor, setting.cuts)
                        runner = walk.runner
                        runner.build, runner.part, runner.whole, runner.mended = number, part, whole, mended
                        runner.retry_failed = retry_failed
                        try:
                            built = [walk.dataset(name) for name in wanted]
                            break
                        except DamagedError as error:
                            # Found while it was read: what stands on it is looked up anew, now that it is not there.
                            runner.set_aside(_folder_of(store, error), error)
                        finally:
                            with contextlib.suppress(OSError):
                                runner.digests.save()
                    for one in built:
                        if one is not None:
                            one.mended, one.warnings, one.fresh = (
                                [*mended],
                                [*mended, *one.warnings],
                                one.fresh or bool(mended),
                            )
                    yield [one for one in built if isinstance(one, Built)]
                finish_build(store.root, number)
            finally:
                executor.close()
    except OSError as error:
        kind = DiskFullError if is_disk_full(error) else StoreError
        raise kind(f"{catalog.store}: {error.strerror or error}; what was finished is kept") from error


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
    cuts: Cuts | None = None,
) -> list[Shard]:
    """Reads sources into the catalog's store; all their rows."""
    store = Store(catalog.store).open()
    memory = parse_bytes(catalog.run.memory)
    setting = Setting(str(catalog.store), catalog.run.threads, memory, cuts or Cuts(), environment=catalog.environment)
    executor = InlineExecutor(setting)
    try:
        with StoreLock(store.root):
            walk = _Walk(catalog, registry, store, progress or SilentProgress(), executor, setting.cuts)
            walk.reader.read(list(names))
            return walk.reader.shards(list(names))
    finally:
        executor.close()


def _wanted(catalog: Catalog, names: Sequence[str]) -> list[str]:
    from curate.catalog.suggestions import nearest

    order: list[str] = []
    for name in names or catalog.datasets:
        if name not in catalog.datasets:
            raise BuildError(
                f"no dataset is called '{name}'{nearest(name, catalog.datasets)} (known: {', '.join(catalog.datasets) or 'none'})"
            )
        missing = sorted({variable for place in catalog.needs(name) for variable in catalog.missing.get(place, ())})
        if missing:
            raise BuildError(
                f"dataset '{name}' needs the environment variable{'s' if len(missing) > 1 else ''} {', '.join(missing)}; set and try again"
            )
        order += [inner for inner in catalog.closure(name) if inner not in order]
    return order


class _Walk:
    def __init__(
        self,
        catalog: Catalog,
        registry: Registry,
        store: Store,
        progress: Progress,
        executor: Executor | None,
        cuts: Cuts,
    ) -> None:
        self.catalog, self.store, self.progress = catalog, store, progress
        self.runner = Runner(
            store, catalog, registry, progress, executor, FileDigests(store.root / "cache" / "files.json"), cuts
        )
        self.reader = Reader(catalog, self.runner)

    def dataset(self, name: str) -> Built | None:
        started = time.perf_counter()
        spec = self.catalog.datasets[name]
        self._check_owner(spec)
        runner, inputs_of = self.runner, self.reader.inputs
        runner.dataset, runner.stages, runner.used, runner.warnings, runner.bad, runner.audits = (
            name,
            {},
            {},
            {},
            [],
            {},
        )
        runner.old = self.store.state(name).get("stages", {})
        first = len(runner.plan.stages)
        self.reader.read([inner for inner in spec.stands_on if inner in self.catalog.sources])
        inputs = [inputs_of[inner] for inner in spec.inputs]
        kind = kind_after(spec.steps, inputs_of[spec.inputs[0]].kind)
        runner.tables = {inner: inputs_of[inner].shards for inner in spec.looks_into}
        ancestors = list(
            dict.fromkeys(
                path for one in inputs for path in [*one.ancestors, *(shard.path for shard in one.shards or ())]
            )
        )
        pieces: list[Piece | None] = []
        for one in inputs:
            pieces += [None] if one.shards is None else [Piece(one.kind, shard) for shard in one.shards]
        if spec.target is not None and None not in pieces:
            shards = [piece.shard for piece in pieces if piece is not None]
            walked = walk_to_target(runner, spec, shards, inputs[0].kind, ancestors)
        else:
            walked = walk_steps(runner, spec.steps, pieces, spec.seed, ancestors)
        built = self._finish(spec, kind, walked, inputs)
        if built is None:
            runner.plan.versions[name] = None
            inputs_of[name] = Inputs(kind, None, ancestors=walked.ancestors)
            return None
        built.spending = spent(self.store.root, runner.build, name)
        built.build_key = self._build_key(name)
        built.estimate = last_estimate(self.store, name, built.build_key)
        built.results = tuple(one for one in runner.used if not one.startswith(("read-", "link/", "pick/")))
        if built.estimate is not None:
            built.labour = labour_of(self.store, built.results)
        built.alarms = [*walked.alarms, *built.alarms]
        built.fresh = built.fresh or any(not stage.idle for stage in runner.plan.stages[first:])
        built.seconds = time.perf_counter() - started
        return built

    def _finish(self, spec: Dataset, kind: Kind, walked: Walked, inputs: Sequence[Inputs]) -> Built | None:
        runner, store = self.runner, self.store
        pieces, retired, funnel, ancestors = walked.pieces, walked.retired, walked.funnel, walked.ancestors
        stage = f"{spec.name}/write"
        recipe = {
            "action": "part",
            "version": 1,
            "splits": [[name, share] for name, share in spec.splits.items()],
            "seed": spec.seed,
            **({"assigned_by": spec.assigned_by} if spec.assigned_by else {}),
        }
        tasks: list[Task | None] = [None]
        if None not in pieces:
            groups = [
                *_groups([(piece, True) for piece in retired], runner.cuts),
                *_groups([(piece, False) for piece in pieces if piece], runner.cuts),
            ]
            tasks = []
            for group in groups:
                content = [
                    [piece.shard.places, [[one.label, one.digest] for one in piece.columns], old]
                    for piece, old in group
                ]
                full = {**recipe, "kind": group[0][0].kind.value, "inputs": content}
                payload = {
                    "pieces": [{**piece.to_json(), "retired": old} for piece, old in group],
                    "splits": dict(spec.splits),
                    "seed": spec.seed,
                    "assigned_by": spec.assigned_by,
                }
                tasks.append(
                    Task(
                        "part", stage, "part", digest(full), full, sum(piece.shard.rows for piece, _ in group), payload
                    )
                )
        results = runner.do({stage: ("write", recipe, tasks)})[stage]
        if None in results or None in tasks:
            return None
        parts = [
            (f"work/{task.step}/{task.key}", {**result, "kind": task.recipe["kind"]})
            for task, result in zip(tasks, results, strict=True)
            if task and result
        ]
        folders = list(dict.fromkeys([*(folder for one in inputs for folder in one.bad), *runner.bad]))
        key = digest(
            {
                "action": "version",
                "kind": kind.value,
                "parts": [folder for folder, _ in parts],
                "bad": [[one, runner.bad_digests[one]] if one in runner.bad_digests else one for one in folders],
                "splits": list(spec.splits),
            }
        )
        known = runner.result("version", key)
        runner.used[f"version/{key}"] = None
        latest = store.refs(spec.name).get("latest", {}).get("version")
        current = known["version"] if known and self._is_whole(spec.name, known["version"]) else None
        if runner.executor is None:
            runner.plan.versions[spec.name] = current if current == latest else None
            if current is None:
                return None
        if current is None:
            bad = bad_rows(store, folders)
            current = version_digest(store, kind, parts, list(spec.splits), content_digest(bad))
            if not self._is_whole(spec.name, current):

                def fill(folder: Path) -> dict[str, Any]:
                    files = list(fill_version(store, folder, parts, bad))
                    return make_manifest(
                        spec,
                        kind,
                        current or "",
                        files,
                        self._sources(spec, inputs),
                        funnel,
                        runner,
                        self._build_key(spec.name),
                        walked.alarms,
                    )

                store.commit(store.dataset(spec.name) / current, fill, name="manifest.json")
            if runner.result("version", key) is None:
                store.commit(store.work("version", key), lambda folder: {"key": key, "version": current})
        manifest = store.manifest(spec.name, current)
        funnel.kept = dict(manifest["languages"])
        if runner.executor is not None:
            state = {
                "catalog": self._defined_in(spec),
                "stages": runner.stages,
                "used": list(runner.used),
                "version": current,
            }
            if store.state(spec.name) != state:
                store.set_state(spec.name, state)
            # The same rows may come from another recipe: the manifest tells the first, the ref the one that was asked for last.
            asked = {
                "version": current,
                "recipe": dataset_recipe(spec, runner),
                "build_key": self._build_key(spec.name),
                "description": spec.description,
                "audits": runner.audits,
            }
            named = store.refs(spec.name).get("latest", {})
            if {key: named.get(key) for key in asked} != asked:
                now = datetime.now(UTC)
                about = {**asked, "built_at": now.isoformat(timespec="seconds")}
                store.set_ref(spec.name, now.date().isoformat(), about)
                store.set_ref(spec.name, "latest", about)
        folder = store.dataset(spec.name) / current
        shards = [Shard(f"datasets/{spec.name}/{current}/{file['path']}", file["rows"], file["bytes"], file["digest"], file["places"], file["languages"])
                  for file in manifest["files"] if file["path"].startswith("data/")]  # fmt: skip
        self.reader.inputs[spec.name] = Inputs(
            kind, shards, ancestors=ancestors, about={"name": spec.name, "use": "dataset", "version": current}
        )
        warnings = [f"{stage}: {message}" for stage, message in runner.warnings]
        return Built(
            spec.name,
            current,
            folder,
            manifest["rows"],
            latest != current,
            funnel,
            warnings,
            funnel.alarms(self.catalog.run.alarm),
        )

    def _is_whole(self, name: str, version: str) -> bool:
        """Whether a version is there as its manifest says; in a build one that is not is set aside."""
        if not (self.store.dataset(name) / version).is_dir():
            return False
        try:
            self.store.check_version(name, version)
        except DamagedError as error:
            if self.runner.executor is not None:
                self.runner.set_aside(self.store.dataset(name) / version, error)
            return False
        return True

    def _defined_in(self, spec: Dataset) -> str:
        """The file that defines a dataset, seen from the store, so that both can be moved together."""
        return Path(os.path.relpath(self.catalog.file.parent / spec.mark.file, self.store.root.resolve())).as_posix()

    def _check_owner(self, spec: Dataset) -> None:
        """Two catalogs that share a store (in one folder they do unless told otherwise) do not share a dataset's name."""
        recorded = self.store.state(spec.name).get("catalog")
        if not recorded or recorded == self._defined_in(spec):
            return
        other = self.store.root.resolve() / recorded
        if defines_dataset(other, spec.name):
            raise BuildError(
                f"{spec.mark}: the dataset '{spec.name}' in {self.catalog.store} was built from {other.name}, which still defines it; "
                f"give this one another name, or this catalog a store of its own: 'run: {{store: .curate-{self.catalog.file.stem}}}'"
            )

    def _build_key(self, name: str) -> str:
        datasets = [self.catalog.datasets[one] for one in self.catalog.closure(name)]
        names = self.reader.with_parents(
            [one for spec in datasets for one in spec.stands_on if one in self.catalog.sources]
        )
        sources = {}
        for one in names:
            kind, units = self.reader.units[one]
            states = [[unit.name, unit.state or [self.runner.digests(path) for path in unit.files]] for unit in units]
            sources[one] = [kind.value, self.catalog.sources[one].identity(), states]
        return digest({"recipes": [dataset_recipe(spec, self.runner) for spec in datasets], "sources": sources})

    def _sources(self, spec: Dataset, inputs: Sequence[Inputs]) -> list[dict[str, Any]]:
        """All sources that a dataset's rows come from, those of the datasets it is made of among them."""
        names = self.reader.with_parents([inner for inner in spec.stands_on if inner in self.catalog.sources])
        found = [self.reader.inputs[name].about for name in names]
        for one in [*inputs, *(self.reader.inputs[name] for name in spec.looks_into)]:
            if one.about.get("use") == "dataset" and one.about not in found:
                below = self.store.manifest(one.about["name"], one.about["version"])["sources"]
                found += [one.about, *(source for source in below if source not in found)]
        return found


def _groups(pieces: Sequence[tuple[Piece, bool]], cuts: Cuts) -> list[list[tuple[Piece, bool]]]:
    """Neighbouring small pieces share a part, so that many small sources do not make many small files."""
    groups: list[list[tuple[Piece, bool]]] = []
    rows = 0
    for piece, retired in pieces:
        if not groups or rows >= cuts.least or groups[-1][0][0].kind != piece.kind:
            groups.append([])
            rows = 0
        groups[-1].append((piece, retired))
        rows += piece.shard.rows
    return groups
