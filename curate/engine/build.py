"""Building a dataset is walking its stages in order and then naming what came out; planning is the same walk without work."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from curate.catalog import Catalog, Dataset
from curate.engine.executor import Executor, InlineExecutor, LocalExecutor
from curate.engine.fingerprint import digest
from curate.engine.funnel import Funnel
from curate.engine.lock import StoreLock
from curate.engine.manifest import dataset_recipe, make_manifest
from curate.engine.plan import Plan
from curate.engine.progress import Progress, SilentProgress
from curate.engine.shards import Cuts, Shard
from curate.engine.stages import Piece, Runner, shards_of
from curate.engine.store import FileDigests, Store
from curate.engine.versions import bad_rows, fill_version, version_digest
from curate.engine.work import Setting, Task
from curate.errors import BuildError, StoreError
from curate.rows import Kind, content_digest
from curate.steps import Registry, RowStep, Source, SourceError, Step, Unit

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


@dataclass
class _Inputs:
    """A source that has been read, or a dataset that has been built."""

    kind: Kind
    shards: list[Shard] | None
    bad: list[str] = field(default_factory=list)
    """Folders with unreadable rows."""
    ancestors: list[str] = field(default_factory=list)
    """Row shards that its rows may name as parents."""
    about: dict[str, Any] = field(default_factory=dict)


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
        BuildError: a dataset is unknown, or kinds do not fit.
    """
    store = Store(catalog.store)
    walk = _Walk(catalog, registry, store, SilentProgress(), None, cuts or Cuts())
    for name in _wanted(catalog, names):
        walk.dataset(name)
    if store.root.is_dir():
        with contextlib.suppress(OSError):  # a plan may be made of a store that one may only read
            walk.runner.digests.save()
    return walk.runner.plan


def build_datasets(catalog: Catalog, registry: Registry, names: Sequence[str] = (), *, progress: Progress | None = None, wait: float = 0.0,
                   cuts: Cuts | None = None) -> list[Built]:  # fmt: skip
    """Builds these datasets (all, if none is named) and those they are made of.

    Args:
        wait: seconds to wait for another build in the same store to end.
        cuts: where shards end (tests).

    Raises:
        BuildError: a stage failed, or a source has too many unreadable rows.
        StoreError: another build is at work.
    """
    workers = catalog.run.workers or len(os.sched_getaffinity(0))
    setting = Setting(str(catalog.store), catalog.run.threads, parse_bytes(catalog.run.memory), cuts or Cuts())
    wanted = _wanted(catalog, names)
    try:
        store = Store(catalog.store).open()
        with StoreLock(store.root, wait=wait):
            store.sweep()
            executor: Executor = InlineExecutor(setting) if workers == 1 else LocalExecutor(setting, workers)
            walk = _Walk(catalog, registry, store, progress or SilentProgress(), executor, setting.cuts)
            try:
                built = [walk.dataset(name) for name in wanted]
            finally:
                executor.close()
                with contextlib.suppress(OSError):
                    walk.runner.digests.save()
    except OSError as error:
        raise StoreError(f"{catalog.store}: {error.strerror or error}; what was finished is kept") from error
    return [one for one in built if isinstance(one, Built)]


def _wanted(catalog: Catalog, names: Sequence[str]) -> list[str]:
    from curate.catalog.document import nearest

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
        self.inputs: dict[str, _Inputs] = {}
        self.units: dict[str, tuple[Kind, Sequence[Unit]]] = {}

    # ---------------------------------------------------------------------------------------------------------- sources
    def _read(self, names: Sequence[str]) -> None:
        """Reads all of these sources side by side, then links those that are translations."""
        # Walked anew for every dataset, so that each stands on its own results and tells its own warnings.
        fresh = self._with_parents(names)
        groups: dict[str, tuple[str, dict[str, Any], Sequence[Task | None]]] = {}
        tasks: dict[str, list[Task]] = {}
        kinds: dict[str, Kind] = {}
        for name in fresh:
            source: Source = self.catalog.sources[name]
            try:
                if name not in self.units:
                    self.units[name] = (source.makes, source.units())
                kinds[name], units = self.units[name]
                recipe, tasks[name] = self.runner.read_tasks(name, kinds[name], units)
            except (SourceError, OSError) as error:
                raise BuildError(f"{self.catalog.marks['sources', name]}: source '{name}': {error}") from error
            groups[f"read {name}"] = ("read", recipe, tasks[name])
        results = self.runner.do(groups)
        for name in fresh:
            found = results[f"read {name}"]
            shards = shards_of(tasks[name], found)
            if shards is not None:
                self._check_bad(name, found)
            parent = self.catalog.sources[name].parent()
            ancestors: list[str] = []
            if parent is not None:
                up = self.inputs[parent]
                if up.kind != kinds[name]:
                    mark = self.catalog.marks["sources", name]
                    raise BuildError(
                        f"{mark}: '{name}' has {kinds[name]} rows and cannot be a translation of '{parent}' ({up.kind} rows)"
                    )
                shards = self.runner.link(name, shards, up.shards)
                ancestors = [*up.ancestors, *(shard.path for shard in up.shards or ())]
            self.inputs[name] = _Inputs(kinds[name], shards, [f"work/{task.step}/{task.key}" for task in tasks[name]], ancestors,
                                        self._about(name, kinds[name], tasks[name], found))  # fmt: skip

    def _with_parents(self, names: Sequence[str]) -> list[str]:
        """The sources and all they are translations of, parents first."""
        order: list[str] = []

        def visit(name: str) -> None:
            parent = self.catalog.sources[name].parent()
            if parent is not None:
                visit(parent)
            if name not in order:
                order.append(name)

        for name in names:
            visit(name)
        return order

    def _check_bad(self, name: str, results: Sequence[dict[str, Any] | None]) -> None:
        known = [result for result in results if result]
        bad, rows = sum(result["bad"] for result in known), sum(result["rows"] for result in known)
        most = self.catalog.sources[name].max_bad
        if bad and bad / (bad + rows) > most:
            examples = "\n  ".join(example for result in known for example in result["bad_examples"])
            raise BuildError(f"source '{name}': {bad:,} of {bad + rows:,} rows cannot be read ({bad / (bad + rows):.1%}, allowed: {most:.1%}); "
                             f"mend them, correct the mapping, or raise max_bad\n  {examples}")  # fmt: skip
        if bad:
            self.runner.warnings[
                f"read {name}",
                f"{bad:,} of {bad + rows:,} rows of {name} cannot be read; they are in the dataset's quarantined table",
            ] = None

    def _about(
        self, name: str, kind: Kind, tasks: Sequence[Task], results: Sequence[dict[str, Any] | None]
    ) -> dict[str, Any]:
        source = self.catalog.sources[name]
        units = [{"name": task.payload["unit"]["name"], "state": task.recipe["state"], "rows": result["rows"], "bad": result["bad"], "key": task.key}
                 for task, result in zip(tasks, results, strict=True) if result]  # fmt: skip
        return {"name": name, "use": source.tag, "kind": kind.value, "license": source.license, "translation_of": source.parent(),
                "params": source.identity(), "units": units}  # fmt: skip

    # --------------------------------------------------------------------------------------------------------- datasets
    def dataset(self, name: str) -> Built | None:
        started = time.perf_counter()
        spec = self.catalog.datasets[name]
        runner = self.runner
        runner.dataset, runner.stages, runner.used, runner.warnings = name, {}, {}, {}
        runner.old = self.store.state(name).get("stages", {})
        first = len(runner.plan.stages)
        self._read([inner for inner in spec.inputs if inner in self.catalog.sources])
        inputs = [self.inputs[inner] for inner in spec.inputs]
        kind = self._check_kinds(spec, inputs)
        pieces: list[Piece | None] = []
        for one in inputs:
            pieces += [None] if one.shards is None else [Piece(one.kind, shard) for shard in one.shards]
        funnel = Funnel()
        for piece in pieces:
            if piece is not None:
                funnel.add_read(piece.shard.languages)
        retired: list[Piece] = []
        ancestors = list(
            dict.fromkeys(
                path for one in inputs for path in [*one.ancestors, *(shard.path for shard in one.shards or ())]
            )
        )
        for use in spec.steps:
            before = pieces
            pieces, counts = runner.apply(use, pieces, spec.seed, ancestors)
            if isinstance(use.params, RowStep):
                retired += [piece for piece in before if piece is not None]
                ancestors += [
                    piece.shard.path for piece in pieces if piece is not None and piece.shard.path not in ancestors
                ]
                funnel.made[use.label] = {}
                for languages in counts:
                    for language, count in languages.items():
                        funnel.made[use.label][language] = funnel.made[use.label].get(language, 0) + count
            else:
                funnel.add_step(use.label, counts)
        built = self._finish(spec, kind, pieces, retired, inputs, funnel, ancestors)
        if built is None:
            runner.plan.versions[name] = None
            self.inputs[name] = _Inputs(kind, None, ancestors=ancestors)
            return None
        built.fresh = built.fresh or any(not stage.idle for stage in runner.plan.stages[first:])
        built.seconds = time.perf_counter() - started
        return built

    def _check_kinds(self, spec: Dataset, inputs: Sequence[_Inputs]) -> Kind:
        kinds = {one.kind for one in inputs}
        if len(kinds) > 1:
            said = ", ".join(f"{name}: {one.kind}" for name, one in zip(spec.inputs, inputs, strict=True))
            raise BuildError(
                f"{spec.mark}: dataset '{spec.name}' mixes rows of several kinds ({said}); a dataset has one kind"
            )
        kind = next(iter(kinds))
        problems = []
        for use in spec.steps:
            step: Step = use.params
            if kind not in step.kinds:
                problems.append(
                    f"{use.mark}: step '{use.name}' cannot work on {kind} rows (it can on {', '.join(sorted(step.kinds))})"
                )
                continue
            problems += [f"{use.mark}: {use.name}: {problem}" for problem in step.check(kind)]
            kind = step.makes(kind) if isinstance(step, RowStep) else kind
        if problems:
            raise BuildError("\n".join(problems))
        return kind

    def _finish(self, spec: Dataset, kind: Kind, pieces: Sequence[Piece | None], retired: Sequence[Piece], inputs: Sequence[_Inputs],
                funnel: Funnel, ancestors: list[str]) -> Built | None:  # fmt: skip
        runner, store = self.runner, self.store
        stage = f"{spec.name}/write"
        recipe = {
            "action": "part",
            "version": 1,
            "splits": [[name, share] for name, share in spec.splits.items()],
            "seed": spec.seed,
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
        folders = list(dict.fromkeys(folder for one in inputs for folder in one.bad))
        key = digest(
            {
                "action": "version",
                "kind": kind.value,
                "parts": [folder for folder, _ in parts],
                "bad": folders,
                "splits": list(spec.splits),
            }
        )
        known = store.result("version", key)
        runner.used[f"version/{key}"] = None
        latest = store.refs(spec.name).get("latest", {}).get("version")
        current = (
            known["version"]
            if known and (store.dataset(spec.name) / known["version"] / "manifest.json").exists()
            else None
        )
        if runner.executor is None:
            runner.plan.versions[spec.name] = current if current == latest else None
            if current is None:
                return None
        if current is None:
            bad = bad_rows(store.root, folders)
            current = version_digest(store.root, kind, parts, list(spec.splits), content_digest(bad))
            if not (store.dataset(spec.name) / current / "manifest.json").exists():

                def fill(folder: Path) -> dict[str, Any]:
                    files = list(fill_version(store.root, folder, parts, bad))
                    return make_manifest(spec, kind, current or "", files, self._sources(spec, inputs), funnel, runner)

                store.commit(store.dataset(spec.name) / current, fill, name="manifest.json")
            if store.result("version", key) is None:
                store.commit(store.work("version", key), lambda folder: {"key": key, "version": current})
        manifest = store.manifest(spec.name, current)
        funnel.kept = dict(manifest["languages"])
        if runner.executor is not None:
            state = {"stages": runner.stages, "used": list(runner.used), "version": current}
            if store.state(spec.name) != state:
                store.set_state(spec.name, state)
            # The same rows may come from another recipe: the manifest tells the first, the ref the one that was asked for last.
            asked = {"version": current, "recipe": dataset_recipe(spec, runner), "description": spec.description}
            named = store.refs(spec.name).get("latest", {})
            if {key: named.get(key) for key in asked} != asked:
                now = datetime.now(UTC)
                about = {**asked, "built_at": now.isoformat(timespec="seconds")}
                store.set_ref(spec.name, now.date().isoformat(), about)
                store.set_ref(spec.name, "latest", about)
        folder = store.dataset(spec.name) / current
        shards = [Shard(f"datasets/{spec.name}/{current}/{file['path']}", file["rows"], file["bytes"], file["digest"], file["places"], file["languages"])
                  for file in manifest["files"] if file["path"].startswith("data/")]  # fmt: skip
        self.inputs[spec.name] = _Inputs(
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

    def _sources(self, spec: Dataset, inputs: Sequence[_Inputs]) -> list[dict[str, Any]]:
        """All sources that a dataset's rows come from, those of the datasets it is made of among them."""
        names = self._with_parents([inner for inner in spec.inputs if inner in self.catalog.sources])
        found = [self.inputs[name].about for name in names]
        for one in inputs:
            if one.about.get("use") == "dataset":
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
