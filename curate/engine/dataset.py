"""Builds one dataset: reads its sources, runs its steps, writes its version."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from curate.catalog import DatasetSpec
from curate.catalog.files import defines_dataset
from curate.engine.budget import spent
from curate.engine.funnel import Funnel
from curate.engine.funnel import render as funnel_table
from curate.engine.planning.estimate import ComputeTime, compute_time_of, last_estimate
from curate.engine.planning.inputs import Inputs, Reader
from curate.engine.planning.manifest import dataset_recipe, make_manifest
from curate.engine.planning.partial import partial_alarms, partial_stages
from curate.engine.planning.partition import Partition
from curate.engine.planning.pipeline import PipelineState, identifying_scores, kind_after, run_steps, run_until_target
from curate.engine.planning.runner import BuildContext, DatasetRecord, TaskRunner
from curate.engine.representation import Representation
from curate.engine.store.fingerprint import digest
from curate.engine.store.remote.session import is_working_copy
from curate.engine.store.shards import ChunkLimits, Shard
from curate.engine.store.store import version_of
from curate.engine.store.versions import bad_rows, fill_version, version_digest
from curate.engine.tasks.task import Task
from curate.errors import BuildError, DamagedError
from curate.notebook import table
from curate.rows import Kind, content_digest

_log = logging.getLogger("curate.engine")
_SHARD = ("rows", "bytes", "digest", "places", "languages")


@dataclass(repr=False)
class Built:
    """What a build left behind."""

    dataset: str
    version: str
    """Its digest; empty where the build was stopped after a step (``until``), and no version was written."""
    path: Path
    """The version's folder; without a version, the dataset's."""
    rows: int
    changed: bool
    """Whether anything had to run."""
    funnel: Funnel
    warnings: list[str] = field(default_factory=list)
    alarms: list[str] = field(default_factory=list)
    seconds: float = 0.0
    spending: list[dict[str, Any]] = field(default_factory=list)
    """What model calls cost in this build, resumes included: stage, model, calls, tokens, money."""
    build_key: str = ""
    """Digest of what was asked for: the recipes of the dataset and of those below it, and the states of their
    sources."""
    estimate: dict[str, Any] | None = None
    """What was last estimated for this very build (:meth:`curate.engine.planning.estimate.Estimate.to_json`); None
    where something changed since."""
    partial: list[dict[str, Any]] = field(default_factory=list)
    """What stages left out because answers were missing (``finish``): ``stage``, ``not_asked``, ``rows``."""
    compute_time: ComputeTime | None = None
    """What the results took that the version stands on, whenever they were made; only if there is an estimate to
    lay it beside."""
    mended: list[str] = field(default_factory=list)
    """The warnings about what was damaged and was made again; unlike the others they are not kept with the version."""
    results: tuple[str, ...] = ()
    """The folders of these results below ``work/``; sources are read for all datasets, and not among them."""

    def __repr__(self) -> str:
        done = f" in {self.seconds:.1f} s" if self.changed else ", nothing to do"
        return f"<Built {self.dataset} {self.version or 'without a version'}: {self.rows:,} rows{done}>"

    def _repr_html_(self) -> str:
        notes = [f"alarm: {message}" for message in self.alarms] + [*self.warnings, *self.mended]
        return table(repr(self)[1:-1], *funnel_table(self.funnel), notes)


class DatasetBuilder:
    """Builds (or, without an executor, plans) datasets one after the other; what one found out of its sources, the
    next knows."""

    def __init__(self, context: BuildContext, mended: dict[str, None] | None = None) -> None:
        self.context, self.catalog, self.store = context, context.catalog, context.store
        self.runner = TaskRunner(context, mended)
        self.reader = Reader(context.catalog, self.runner)

    def build(self, name: str) -> Built | None:
        """A dataset; None where a plan cannot know its rows.

        Raises:
            BuildError: a stage failed, or another catalog in this store has a dataset of that name.
        """
        started = time.perf_counter()
        spec = self.catalog.datasets[name]
        self._check_owner(spec)
        runner, inputs_of = self.runner, self.reader.inputs
        runner.begin(DatasetRecord(name, self.store.state(name).get("stages", {})))
        first = len(runner.plan.stages)
        self.reader.read([inner for inner in spec.upstream if inner in self.catalog.sources])
        for inner in spec.versions:
            inputs_of[inner] = self._version(inner)
        inputs = [inputs_of[inner] for inner in spec.inputs]
        kind = kind_after(spec.steps, inputs_of[spec.inputs[0]].kind)
        runner.record.tables = {inner: inputs_of[inner].shards for inner in spec.side_inputs}
        ancestors = list(
            dict.fromkeys(
                path for one in inputs for path in [*one.ancestors, *(shard.path for shard in one.shards or ())]
            )
        )
        pieces: list[Partition | None] = []
        for inner, one in zip(spec.inputs, inputs, strict=True):
            pieces += (
                [None] if one.shards is None else [Partition(one.kind, shard, origin=inner) for shard in one.shards]
            )
        if spec.target is not None and None not in pieces:
            shards = [piece.shard for piece in pieces if piece is not None]
            state = run_until_target(runner, spec, shards, inputs[0].kind, ancestors)
        else:
            state = run_steps(runner, spec.steps[: self._last(spec)], pieces, spec.seed, ancestors)
        built = self._write(spec, kind, state, inputs) if self._last(spec) is None else self._unfinished(spec, state)
        if built is None:
            runner.plan.versions[name] = None
            inputs_of[name] = Inputs(kind, None, ancestors=state.ancestors)
            return None
        built.spending = spent(self.store.root, self.context.build, name)
        built.build_key = self._build_key(name)
        built.estimate = last_estimate(self.store, name, built.build_key)
        built.results = tuple(one for one in runner.record.used if not one.startswith(("read-", "link/", "pick/")))
        if built.estimate is not None:
            built.compute_time = compute_time_of(self.store, built.results)
        built.alarms = [*partial_alarms(built.partial), *state.alarms, *built.alarms]
        built.changed = built.changed or any(not stage.idle for stage in runner.plan.stages[first:])
        built.seconds = time.perf_counter() - started
        if not runner.planning:
            about = {"dataset": name, "version": built.version, "rows": built.rows, "seconds": round(built.seconds, 3)}
            done = "built" if built.changed else "up to date"
            _log.info(done if built.version else f"stopped after {self.context.until}", extra=about)
            for message in built.alarms:
                _log.warning(message, extra={"dataset": name, "alarm": True})
        return built

    def _last(self, spec: DatasetSpec) -> int | None:
        """How many of a dataset's steps are run; None: all, and a version is written."""
        labels = [use.label for use in spec.steps]
        return labels.index(self.context.until) + 1 if self.context.until and spec.name == self.context.wanted else None

    def _unfinished(self, spec: DatasetSpec, state: PipelineState) -> Built:
        """What there is after the last step that was asked for, where no version is written."""
        state.funnel.kept = state.languages()
        warnings = [f"{stage}: {message}" for stage, message in self.runner.record.warnings]
        alarms = state.funnel.alarms(self.catalog.run.alarm)
        rows = sum(state.funnel.kept.values())
        return Built(spec.name, "", self.store.dataset(spec.name), rows, False, state.funnel, warnings, alarms)

    def _write(self, spec: DatasetSpec, kind: Kind, state: PipelineState, inputs: Sequence[Inputs]) -> Built | None:
        """The version that the rows make, written if it is not there."""
        runner, store, record = self.runner, self.store, self.runner.record
        identifying = list(
            dict.fromkeys([*(name for one in inputs for name in one.identifying), *identifying_scores(spec.steps)])
        )
        parts = self._output_files(spec, state, identifying)
        if parts is None:
            return None
        below = [*inputs, *(self.reader.inputs[inner] for inner in spec.side_inputs)]
        partial = partial_stages(record, [one.partial for one in below])
        failed = list(dict.fromkeys([*(folder for one in inputs for folder in one.bad), *record.failed]))
        key = digest(
            {
                "action": "version",
                "kind": kind.value,
                "parts": [folder for folder, _ in parts],
                "bad": [[one, record.failed_digests[one]] if one in record.failed_digests else one for one in failed],
                "splits": list(spec.splits),
            }
        )
        known = runner.result("version", key)
        record.used[f"version/{key}"] = None
        latest = store.refs(spec.name).get("latest", {}).get("version")
        current = known["version"] if known and self._is_whole(spec.name, known["version"], partial) else None
        if runner.planning:
            runner.plan.versions[spec.name] = current if current == latest else None
            if current is None:
                return None
        if current is None:
            counted = state.representation(identifying, [part for _, part in parts])
            current = self._write_version(spec, kind, state, counted, inputs, parts, failed, partial)
            if runner.result("version", key) is None:
                store.commit(store.work("version", key), lambda folder: {"key": key, "version": current})
        manifest = store.manifest(spec.name, current)
        state.funnel.kept = dict(manifest["languages"])
        if state.funnel.prompts is not None:
            state.funnel.prompts.kept = dict(manifest["funnel"].get("prompts", {}).get("kept", {}))
        if not runner.planning:
            self._name_latest(spec, current)
        folder = store.dataset(spec.name) / current
        self.reader.inputs[spec.name] = _inputs(manifest, state.ancestors)
        warnings = [f"{stage}: {message}" for stage, message in record.warnings]
        alarms = state.funnel.alarms(self.catalog.run.alarm)
        changed = latest != current
        return Built(
            spec.name, current, folder, manifest["rows"], changed, state.funnel, warnings, alarms, partial=partial
        )

    def _version(self, name: str) -> Inputs:
        """The rows of a version that was built before, ``dataset@ref``; what they were made from may be gone.

        Raises:
            StoreError: there is none.
        """
        manifest = version_of(self.store, name)
        self.store.check_version(manifest["dataset"], manifest["version"])
        return _inputs(manifest, [])

    def _output_files(
        self, spec: DatasetSpec, state: PipelineState, identifying: Sequence[str]
    ) -> list[tuple[str, dict[str, Any]]] | None:
        """(folder, result) of each task that joins rows with their columns; None while that is not known (a plan).

        Args:
            identifying: the scores of languages (``Step.identifies``) that rows may have.
        """
        runner, chunk_limits = self.runner, self.context.chunk_limits
        stage = f"{spec.name}/write"
        recipe = {
            "action": "part",
            "version": 2,
            "splits": [[name, share] for name, share in spec.splits.items()],
            "seed": spec.seed,
            **({"assigned_by": spec.assigned_by} if spec.assigned_by else {}),
            "identifying": list(identifying),
        }
        tasks: list[Task | None] = [None]
        if state.known:
            groups = [
                *_groups([(piece, True) for piece in state.superseded], chunk_limits),
                *_groups([(piece, False) for piece in state.pieces if piece], chunk_limits),
            ]
            tasks = []
            extras = _extras(state)
            for group in groups:
                content = [
                    [piece.shard.places, [[one.label, one.digest] for one in piece.columns], superseded]
                    for piece, superseded in group
                ]
                full = {**recipe, "kind": group[0][0].kind.value, "inputs": content}
                full |= {"extras": extras} if extras else {}
                payload = {
                    "pieces": [
                        {**piece.to_json(), "superseded": superseded, "entered": piece.entered}
                        for piece, superseded in group
                    ],
                    "splits": dict(spec.splits),
                    "seed": spec.seed,
                    "assigned_by": spec.assigned_by,
                    "extras": extras,
                    "identifying": list(identifying),
                }
                rows = sum(piece.shard.rows for piece, _ in group)
                tasks.append(Task("part", stage, "part", digest(full), full, rows, payload))
        results = runner.run_tasks({stage: ("write", recipe, tasks)})[stage]
        if None in results or None in tasks:
            return None
        return [
            (
                f"work/{task.step}/{task.key}",
                {**result, "kind": task.recipe["kind"], "entered": [one["entered"] for one in task.payload["pieces"]]},
            )
            for task, result in zip(tasks, results, strict=True)
            if task and result
        ]

    def _write_version(
        self,
        spec: DatasetSpec,
        kind: Kind,
        state: PipelineState,
        counted: Representation,
        inputs: Sequence[Inputs],
        parts: Sequence[tuple[str, dict[str, Any]]],
        failed: Sequence[str],
        partial: Sequence[dict[str, Any]],
    ) -> str:
        """The digest of the version, whose folder is there afterwards."""
        store = self.store
        bad = bad_rows(store, failed)
        extras = _extras(state)
        version = version_digest(store, kind, parts, list(spec.splits), content_digest(bad))
        if not self._is_whole(spec.name, version, partial):

            def fill(folder: Path) -> dict[str, Any]:
                files = list(fill_version(store, folder, parts, bad))
                sources, key = self._sources(spec, inputs), self._build_key(spec.name)
                alarms = [*partial_alarms(partial), *state.alarms]
                manifest = make_manifest(
                    spec, kind, version, files, sources, state.funnel, counted, self.runner, key, alarms, partial
                )
                return {**manifest, "extras": extras} if extras else manifest

            # The same rows may once have been all that there was of more (partial), and now be all.
            store.commit(store.dataset(spec.name) / version, fill, name="manifest.json", replace=True)
        return version

    def _name_latest(self, spec: DatasetSpec, version: str) -> None:
        """Notes what the build stands on, and names the version ``latest`` and by the day."""
        store, record = self.store, self.runner.record
        state = {
            "catalog": self._defined_in(spec),
            "stages": record.stages,
            "used": list(record.used),
            "version": version,
        }
        if store.state(spec.name) != state:
            store.set_state(spec.name, state)
        # The same rows may come from another recipe: the manifest has the first, the ref the one that was asked for
        # last.
        about = {
            "version": version,
            "recipe": dataset_recipe(spec, self.runner),
            "build_key": self._build_key(spec.name),
            "description": spec.description,
            "audits": record.audits,
        }
        named = store.refs(spec.name).get("latest", {})
        if {key: named.get(key) for key in about} != about:
            now = datetime.now(UTC)
            about = {**about, "built_at": now.isoformat(timespec="seconds")}
            store.set_ref(spec.name, now.date().isoformat(), about)
            store.set_ref(spec.name, "latest", about)

    def _is_whole(self, name: str, version: str, partial: Sequence[dict[str, Any]]) -> bool:
        """Whether a version is there as its manifest says, and lacks what it says; in a build one that is damaged is
        set aside."""
        if not (self.store.dataset(name) / version).is_dir():
            return False
        try:
            self.store.check_version(name, version)
        except DamagedError as error:
            if not self.runner.planning:
                self.runner.set_aside(self.store.dataset(name) / version, error)
            return False
        return list(self.store.manifest(name, version).get("partial", [])) == list(partial)

    def _defined_in(self, spec: DatasetSpec) -> str:
        """The file that defines a dataset, seen from the store, so that both can be moved together; empty for a store
        behind a URL, from which nothing can be seen."""
        if is_working_copy(self.store.root):
            return ""
        return Path(os.path.relpath(self.catalog.file.parent / spec.mark.file, self.store.root.resolve())).as_posix()

    def _check_owner(self, spec: DatasetSpec) -> None:
        """Two catalogs that share a store (in one folder they do unless told otherwise) do not share a dataset's
        name."""
        recorded = self.store.state(spec.name).get("catalog")
        if not recorded or recorded == self._defined_in(spec):
            return
        other = self.store.root.resolve() / recorded
        if defines_dataset(other, spec.name):
            raise BuildError(
                f"{spec.mark}: the dataset '{spec.name}' in {self.catalog.store} was built from {other.name}, "
                "which still defines it; "
                "give this one another name, or this catalog a store of its own: 'run: {store: "
                f".curate-{self.catalog.file.stem}}}'"
            )

    def _build_key(self, name: str) -> str:
        datasets = [self.catalog.datasets[one] for one in self.catalog.closure(name)]
        names = self.reader.with_parents(
            [one for spec in datasets for one in spec.upstream if one in self.catalog.sources]
        )
        sources = {}
        for one in names:
            kind, units = self.reader.units[one]
            states = [[unit.name, unit.state or [self.context.digests(path) for path in unit.files]] for unit in units]
            sources[one] = [kind.value, self.catalog.sources[one].identity(), states]
        versions = {one for spec in datasets for one in spec.versions}
        sources |= {one: version_of(self.store, one)["version"] for one in sorted(versions)}
        return digest({"recipes": [dataset_recipe(spec, self.runner) for spec in datasets], "sources": sources})

    def _sources(self, spec: DatasetSpec, inputs: Sequence[Inputs]) -> list[dict[str, Any]]:
        """All sources that a dataset's rows come from, those of the datasets it is made of among them."""
        names = self.reader.with_parents([inner for inner in spec.upstream if inner in self.catalog.sources])
        found = [self.reader.inputs[name].about for name in names]
        for one in [*inputs, *(self.reader.inputs[name] for name in spec.side_inputs)]:
            if one.about.get("use") == "dataset" and one.about not in found:
                below = self.store.manifest(one.about["name"], one.about["version"])["sources"]
                found += [one.about, *(source for source in below if source not in found)]
        return found


def _inputs(manifest: dict[str, Any], ancestors: list[str]) -> Inputs:
    """The rows of a version."""
    name, version = manifest["dataset"], manifest["version"]
    shards = [
        Shard(
            path=f"datasets/{name}/{version}/{file['path']}",
            extras=tuple(manifest.get("extras", ())),
            prompts=file.get("prompts", {}),
            **{field: file[field] for field in _SHARD},
        )
        for file in manifest["files"]
        if file["path"].startswith("data/")
    ]
    about = {"name": name, "use": "dataset", "version": version}
    identifying = manifest.get("representation", {}).get("identifying", [])
    return Inputs(
        Kind(manifest["kind"]),
        shards,
        ancestors=ancestors,
        about=about,
        partial=manifest.get("partial", ()),
        identifying=identifying,
    )


def _extras(state: PipelineState) -> list[str]:
    """The optional parts that rows of the version have: its files have the columns and fields for these only."""
    pieces = [*state.superseded, *(piece for piece in state.pieces if piece is not None)]
    return sorted({name for piece in pieces for name in piece.shard.extras})


def _groups(pieces: Sequence[tuple[Partition, bool]], chunk_limits: ChunkLimits) -> list[list[tuple[Partition, bool]]]:
    """Neighbouring small pieces share a part, so that many small sources do not make many small files."""
    groups: list[list[tuple[Partition, bool]]] = []
    rows = 0
    for piece, retired in pieces:
        if not groups or rows >= chunk_limits.least or groups[-1][0][0].kind != piece.kind:
            groups.append([])
            rows = 0
        groups[-1].append((piece, retired))
        rows += piece.shard.rows
    return groups
