"""The inputs of a dataset: sources, read unit by unit and joined with their parents, and datasets built before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from curate.catalog import Catalog
from curate.engine.planning.erasure import without_forgotten
from curate.engine.planning.partition import shards_in, shards_of
from curate.engine.planning.runner import TaskRunner
from curate.engine.store.fingerprint import digest, step_recipe
from curate.engine.store.shards import Shard
from curate.engine.tasks.task import Task, serialize_params
from curate.errors import BuildError
from curate.rows import Kind
from curate.steps import Source, SourceError, Unit
from curate.unused import Unused


@dataclass
class Inputs:
    """A source that has been read, or a dataset that has been built."""

    kind: Kind
    shards: list[Shard] | None
    bad: list[str] = field(default_factory=list)
    """Folders with unreadable rows."""
    ancestors: list[str] = field(default_factory=list)
    """Row shards that its rows may name as parents."""
    about: dict[str, Any] = field(default_factory=dict)
    partial: Sequence[dict[str, Any]] = ()
    """What a dataset lacks (:mod:`curate.engine.planning.partial`)."""
    identifying: Sequence[str] = ()
    """The scores of languages (``Step.identifies``) that its rows may have."""


class Reader:
    """Reads sources when a dataset needs them, and remembers what is known of sources and datasets."""

    def __init__(self, catalog: Catalog, runner: TaskRunner) -> None:
        self.catalog, self.runner = catalog, runner
        self.inputs: dict[str, Inputs] = {}
        self.units: dict[str, tuple[Kind, Sequence[Unit]]] = {}
        self._all: dict[str, list[Shard] | None] = {}
        """Every row of each source, also where only a part of them is built."""

    def read(self, names: Sequence[str]) -> None:
        """Reads all of these sources side by side, then links those that are translations."""
        # Walked anew for every dataset, so that each stands on its own results and tells its own warnings.
        fresh = self.with_parents(names)
        groups: dict[str, tuple[str, dict[str, Any], Sequence[Task | None]]] = {}
        tasks: dict[str, list[Task]] = {}
        kinds: dict[str, Kind] = {}
        for name in fresh:
            source: Source = self.catalog.sources[name]
            try:
                if name not in self.units:
                    self.units[name] = (source.makes, source.units())
                kinds[name], units = self.units[name]
                units = [] if name in self.catalog.forgotten.sources else units
                for note in dict.fromkeys(unit.note for unit in units if unit.note):
                    self.runner.warn(f"read {name}", note)
                recipe, tasks[name] = _read_tasks(self.runner, name, kinds[name], units)
            except (SourceError, OSError) as error:
                raise BuildError(f"{self.catalog.marks['sources', name]}: source '{name}': {error}") from error
            groups[f"read {name}"] = ("read", recipe, tasks[name])
        results = self.runner.run_tasks(groups)
        for name in fresh:
            found = results[f"read {name}"]
            shards = shards_of(tasks[name], found)
            self._note_unused(name, found, self.units[name][1])
            if shards is not None:
                self._check_bad(name, found)
                shards = without_forgotten(self.runner, f"read {name}", shards, name)
            parent = self.catalog.sources[name].parent()
            ancestors: list[str] = []
            if parent is not None:
                up = self.inputs[parent]
                above = self._all[parent]
                shards = _link(self.runner, name, shards, above)
                ancestors = [*up.ancestors, *(shard.path for shard in above or ())]
            self._all[name] = shards
            if (
                shards is not None
                and self.runner.context.sample is not None
                and name not in self.runner.context.unsampled_sources
            ):
                shards = _sample_shards(self.runner, f"read {name}", shards, self.runner.context.sample)
            self.inputs[name] = Inputs(
                kinds[name],
                shards,
                [f"work/{task.step}/{task.key}" for task in tasks[name]],
                ancestors,
                self._about(name, kinds[name], tasks[name], found, self.units[name][1]),
            )

    def shards(self, names: Sequence[str]) -> list[Shard]:
        """All rows of these sources, a sample or not."""
        return [shard for name in names for shard in self._all.get(name) or ()]

    def with_parents(self, names: Sequence[str]) -> list[str]:
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
        most = self.catalog.sources[name].max_error_rate
        if bad and bad / (bad + rows) > most:
            examples = "\n  ".join(example for result in known for example in result["bad_examples"])
            raise BuildError(
                f"source '{name}': {bad:,} of {bad + rows:,} rows cannot be read ({bad / (bad + rows):.1%}, "
                f"allowed: {most:.1%}); "
                f"fix them, correct the mapping, or raise max_error_rate\n  {examples}"
            )
        if bad:
            self.runner.warn(
                f"read {name}",
                f"{bad:,} of {bad + rows:,} rows of {name} cannot be read; they are in the dataset's quarantined table",
            )

    def _note_unused(self, name: str, results: Sequence[dict[str, Any] | None], units: Sequence[Unit]) -> None:
        """Tells a plan what of a source nothing uses: of all rows where they have been read, else of the first ones."""
        if not self.runner.planning:
            return
        unused = unused_of(results, units)
        if unused is None:
            try:
                unused = self.catalog.sources[name].unused(name)
            except (SourceError, OSError):
                return  # the build will say what is wrong
        if said := str(unused):
            self.runner.plan.notes[f"source '{name}': not used: {said}"] = None

    def _about(
        self,
        name: str,
        kind: Kind,
        tasks: Sequence[Task],
        results: Sequence[dict[str, Any] | None],
        of: Sequence[Unit],
    ) -> dict[str, Any]:
        source = self.catalog.sources[name]
        units = [
            {
                "name": task.payload["unit"]["name"],
                "state": task.recipe["state"],
                "rows": result["rows"],
                "bad": result["bad"],
                "key": task.key,
            }
            for task, result in zip(tasks, results, strict=True)
            if result
        ]
        return {
            "name": name,
            "use": source.tag,
            "kind": kind.value,
            "license": source.license,
            "translation_of": source.parent(),
            "params": source.identity(),
            "units": units,
            "unused": (unused_of(results, of) or Unused()).to_json(),
        }


def unused_of(results: Sequence[dict[str, Any] | None], units: Sequence[Unit]) -> Unused | None:
    """What the units of a source had and nothing used, together, and what lies beside them; None if one of them is not
    read."""
    unused = Unused.beside(units)
    for result in results:
        if result is None:
            return None
        unused.add(Unused(**result["unused"]))
    return unused


def _read_tasks(runner: TaskRunner, name: str, kind: Kind, units: Sequence[Unit]) -> tuple[dict[str, Any], list[Task]]:
    """The tasks that read a source, one a unit."""
    source = runner.context.catalog.sources[name]
    recipe = {
        **step_recipe("read", source, {}, decisions=False),
        "kind": kind.value,
        "cuts": runner.context.chunk_limits.recipe(),
    }
    recipe["params"].pop("license", None)  # in the key below, but no reason to tell a person
    if forgotten := sorted(runner.context.catalog.forgotten.of.get(name, ())):
        recipe["forgotten"] = digest(forgotten)
    packed = serialize_params(source)
    tasks = []
    for unit in units:
        state: Any = unit.state or [runner.context.digests(path) for path in unit.files]
        full = {**recipe, "license": source.license, "name": name, "unit": unit.name, "state": state}
        payload = {
            "step": packed,
            "kind": kind.value,
            "name": name,
            "forgotten": forgotten,
            "unit": {
                "name": unit.name,
                "files": [str(path) for path in unit.files],
                "state": unit.state,
                "read": state,
            },
        }
        tasks.append(Task("read", f"read {name}", f"read-{source.tag}", digest(full), full, 0, payload))
    return recipe, tasks


def _sample_shards(
    runner: TaskRunner, stage: str, shards: Sequence[Shard], part: tuple[float, float] | frozenset[str]
) -> list[Shard]:
    """Those shards' rows whose item falls into the part, or whose id is among these."""
    label = f"{stage} sample"
    chosen = {"ids": sorted(part)} if isinstance(part, frozenset) else {"part": list(part)}
    recipe = {"action": "pick", "version": 1, **chosen}
    tasks = []
    for shard in shards:
        full = {**recipe, "input": [shard.digest, shard.places]}
        tasks.append(Task("pick", label, "pick", digest(full), full, shard.rows, {"shard": shard.path, **chosen}))
    results = runner.run_tasks({label: ("pick", recipe, tasks)})[label]
    return [
        Shard.from_json(one, f"work/{task.step}/{task.key}")
        for task, result in zip(tasks, results, strict=True)
        for one in (result or {"shards": []})["shards"]
    ]


def _link(
    runner: TaskRunner, name: str, shards: Sequence[Shard] | None, parents: Sequence[Shard] | None
) -> list[Shard] | None:
    """A source's rows joined to their parents by key."""
    stage = f"link {name}"
    root = _root(runner.context.catalog, name)
    recipe = {"action": "link", "version": 1, "root": root}
    tasks: list[Task | None] = [None]
    if shards is not None and parents is not None:
        keys = digest([parent.digest for parent in parents])
        tasks = []
        for shard in shards:
            full = {**recipe, "input": [shard.digest, shard.places], "parents": keys}
            payload = {"shard": shard.path, "parents": [parent.path for parent in parents], "root": root}
            tasks.append(Task("link", stage, "link", digest(full), full, shard.rows, payload))
    results = runner.run_tasks({stage: ("link", recipe, tasks)})[stage]
    if None in results:
        return None
    unmatched = sum(result["unmatched"] for result in results if result)
    if unmatched:
        total = sum(shard.rows for shard in shards or ())
        parent = runner.context.catalog.sources[name].parent()
        missing = f"for {unmatched:,} of {total:,} rows of {name} there is no row with the same key in {parent}"
        runner.warn(stage, f"{missing}; they have no parent")
    return [
        shard
        for task, result in zip(tasks, results, strict=True)
        if task and result
        for shard in shards_in(task, result)
    ]


def _root(catalog: Catalog, name: str) -> str | None:
    """The name space that all of a chain of translations share; None where the source names one itself."""
    if getattr(catalog.sources[name], "group", None):
        return None
    while (parent := catalog.sources[name].parent()) is not None:
        name = parent
    return getattr(catalog.sources[name], "group", None) or name
