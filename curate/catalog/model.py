"""A loaded catalog: names resolved, parameters validated, nothing run yet."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from dataclasses import fields as dataclass_fields
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

from pydantic import AfterValidator, ConfigDict, Field, field_validator, model_validator

from curate.catalog.document import Mark, to_yaml
from curate.catalog.forgotten import Forgotten
from curate.catalog.params import LanguageTag, Params, PerLanguage, Reference
from curate.catalog.store_urls import checked_url, is_url, working_copy
from curate.notebook import table
from curate.plugins import PluginFile

LONGEST_NAME = 100
NAME_PATTERN = r"^[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*$"


def at_home(text: str) -> Path:
    """The path, ``~`` and ``~name`` in place; as it stands where there is no such home."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        return Path(text)


def is_version(name: str) -> bool:
    """Whether an input is a version that was built before, ``dataset@ref``."""
    dataset, at, ref = name.partition("@")
    return bool(at and ref and re.fullmatch(NAME_PATTERN, dataset))


class Names(Protocol):
    """The installed sources, steps and models, by name."""

    def names(self, what: str) -> list[str]: ...

    def get(self, what: str, name: str) -> type[Params]: ...

    def add_plugin(self, file: PluginFile) -> list[str]: ...


def _some(value: str) -> str:
    if not re.search("[1-9]", value):
        raise ValueError(f"'{value}' is no memory at all; write 500MB, 2GB …")
    return value


_Bytes = Annotated[str, Field(pattern=r"^\d+(\.\d+)?\s*[KMGT]?i?B$"), AfterValidator(_some)]
_MOST_PROCESSES = 256


class RayPlace(Params):
    """What Ray reserves for a process of curate, and so on which nodes it may run."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cpus: Annotated[float, Field(ge=0)] | None = None
    """CPUs; by default as many as ``run.threads`` for a worker, none for the exclusive process (it mostly waits)."""
    gpus: Annotated[float, Field(ge=0)] = 0
    """GPUs, or a share of one; where none is reserved on a cluster, none is seen."""
    memory: _Bytes | None = None
    """Memory, such as ``8GB``: Ray puts no more processes on a node than fit; it does not limit what one takes."""
    resources: dict[Annotated[str, Field(min_length=1)], Annotated[float, Field(gt=0)]] = Field(default_factory=dict)
    """Custom resources that the node must offer, by name."""

    @field_validator("resources")
    @classmethod
    def _custom(cls, value: dict[str, float]) -> dict[str, float]:
        for name in value:
            if name.lower() in ("cpu", "cpus", "gpu", "gpus", "memory"):
                raise ValueError(f"'{name}' is no custom resource; write cpus, gpus or memory beside 'resources'")
        return value


class RayConfig(Params):
    """``run.ray``: which cluster to work on, and with what."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    address: str | None = None
    """``auto`` (this machine is a node of the cluster), ``host:port`` or ``ray://host:port``; by default Ray is
    started on this
    machine for the build, and ended with it."""
    worker: RayPlace = RayPlace()
    """What each of the ``workers`` reserves."""
    exclusive: RayPlace = RayPlace()
    """What the one process reserves that talks to servers and owns devices: its GPU is asked for here."""
    environment: tuple[Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")], ...] = ()
    """Names of environment variables that workers get from this process; their values are written nowhere."""
    retries: Annotated[int, Field(ge=0, le=100)] = 3
    """How often a task is done anew after its worker or node was lost."""
    deadline: Annotated[float, Field(gt=0)] = 300.0
    """Seconds to wait for a place on the cluster; more where nodes are started when they are asked for."""

    @field_validator("address")
    @classmethod
    def _is_address(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(
            r"auto|(ray://)?[^\s/:]+:\d{1,5}|(ray://)?\[[0-9a-fA-F:]+\]:\d{1,5}", value
        ):
            raise ValueError(
                f"'{value}' is no address of a Ray cluster: write auto, host:port or ray://host:port, or leave it out "
                "for a Ray of this machine's own"
            )
        return value


class RunConfig(Params):
    """``run:``: how to run; nothing here changes a row."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    executor: Literal["local", "ray"] = "local"
    """Where work is done: in processes on this machine, or on a Ray cluster."""
    workers: Annotated[int, Field(ge=1, le=4096)] | None = None
    """Processes; by default one a core, with Ray as many as the cluster has room for."""
    ray: RayConfig | None = None
    """The cluster, for ``executor: ray``."""
    threads: Annotated[int, Field(ge=1, le=256)] = 1
    """Threads that a model may use in each process."""
    memory: _Bytes = "2GB"
    """Memory that a step over all rows (duplicates, a query) may use before it spills to disk."""
    store: str | None = None
    """Folder of the store, or its URL (``s3://bucket/path``, ``gs://…``, ``az://…``); by default ``.curate`` beside the
    catalog."""
    alarm: Annotated[float, Field(gt=1)] = 3.0
    """A language is reported when its drop rate is this many times the median of all languages (and at least 10
    points above)."""

    @field_validator("store")
    @classmethod
    def _is_place(cls, value: str | None) -> str | None:
        return checked_url(value) if value is not None and is_url(value) else value

    @model_validator(mode="after")
    def _fits(self) -> RunConfig:
        if self.ray is not None and self.executor != "ray":
            raise ValueError(
                "'ray' says how to work on a Ray cluster, but this catalog runs in local processes; "
                "add 'executor: ray', or leave 'ray' out"
            )
        if self.executor == "local" and (self.workers or 1) > _MOST_PROCESSES:
            raise ValueError(
                f"workers: at most {_MOST_PROCESSES} processes run on one machine; more are for 'executor: ray'"
            )
        return self


class Budget(Params):
    """``budget:``: the most that one build may spend on model calls, resumes included; a build that finished starts
    anew."""

    calls: Annotated[int, Field(ge=0)] | None = None
    """Requests to models, all together; answers that are kept from before cost nothing."""
    tokens: Annotated[int, Field(ge=0)] | None = None
    """Tokens asked and answered."""
    money: Annotated[float, Field(ge=0)] | None = None
    """In the currency of the models' ``price:``."""


class Target(Params):
    """``target:`` of a dataset: go on with candidates until so many rows came through all steps."""

    rows: PerLanguage[Annotated[int, Field(ge=0)]]
    """How many, for each language or (``per: dataset``) in all."""
    per: Literal["language", "dataset"] = "language"
    languages: Annotated[tuple[LanguageTag, ...], Field(min_length=1)] | None = None
    """The languages that must reach it; by default all that come up."""
    candidates: Annotated[int, Field(ge=1)] | None = None
    """The most input rows to try; more than there are means trying them again for other samples. By default each
    once."""
    first: Annotated[int, Field(ge=1)] | None = None
    """Candidates of the first round; by default as many as rows are wanted."""

    @model_validator(mode="after")
    def _one_number(self) -> Target:
        if self.per == "dataset" and (self.rows.values or self.rows.default is None):
            raise ValueError("with 'per: dataset', rows is one number")
        return self


class DatasetConfig(Params):
    """One entry of ``datasets:``."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    from_: Annotated[list[str], Field(alias="from", min_length=1)]
    """A source, a dataset, ``dataset@ref`` (a version that was built before), or a list of them."""
    steps: list[Any] = Field(default_factory=list)
    """What is done to the rows, in order: ``name`` or ``name: {parameters}``."""
    splits: Annotated[
        dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")], Annotated[float, Field(gt=0)]] | None,
        Field(min_length=1),
    ] = None
    """Name → share. Rows of one ``group_id`` always fall into one split. Without it all rows are ``train``."""
    seed: int = 0
    """Seed of everything random in this dataset."""
    target: Target | None = None
    """How many rows to make; without it, one pass over all input rows."""
    description: str = ""
    """What it is, for people."""
    outputs: list[Any] = Field(default_factory=list)
    """The forms in which `curate export` writes it: ``name`` or ``name: {parameters}``."""

    @field_validator("from_", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @field_validator("splits")
    @classmethod
    def _sums_to_one(cls, value: dict[str, float] | None) -> dict[str, float] | None:
        if value is not None and abs(sum(value.values()) - 1) > 1e-6:
            raise ValueError(f"the shares add up to {sum(value.values()):g}, not 1")
        for name in value or ():
            if name in ("rejected", "quarantined"):
                raise ValueError(f"'{name}' is the name of rows that were left out; call the split otherwise")
        return value


@dataclass(frozen=True)
class StepUse:
    """A step as one dataset uses it."""

    name: str
    """Tag of the step."""
    label: str
    """What its scores and reasons are called: ``as:``, else the tag."""
    params: Any
    """The validated step itself."""
    mark: Mark


@dataclass(frozen=True)
class DatasetSpec:
    """A dataset to build."""

    name: str
    inputs: tuple[str, ...]
    steps: tuple[StepUse, ...]
    splits: Mapping[str, float]
    seed: int
    description: str
    mark: Mark
    target: Target | None = None
    assigned_by: str = ""
    """Label of the step that says to which split each row belongs; without one, the row's group decides."""
    outputs: tuple[StepUse, ...] = ()
    """The forms in which it is exported."""

    @property
    def side_inputs(self) -> tuple[str, ...]:
        """The sources and datasets that its steps look into, each once."""
        names = (
            name for step in self.steps for listed in step.params.named(Reference.ROWS).values() for name in listed
        )
        return tuple(dict.fromkeys(names))

    @property
    def upstream(self) -> tuple[str, ...]:
        """All sources, datasets and versions (``name@ref``) that must be there before it."""
        return tuple(dict.fromkeys((*self.inputs, *self.side_inputs)))

    @property
    def versions(self) -> tuple[str, ...]:
        """The versions that it reads, as ``name@ref``."""
        return tuple(name for name in self.upstream if "@" in name)


@dataclass(repr=False)
class Catalog:
    """A whole catalog."""

    file: Path
    sources: dict[str, Any] = field(default_factory=dict)
    models: dict[str, Any] = field(default_factory=dict)
    datasets: dict[str, DatasetSpec] = field(default_factory=dict)
    run: RunConfig = field(default_factory=RunConfig)
    budget: Budget = field(default_factory=Budget)
    variables: dict[str, Any] = field(default_factory=dict)
    marks: dict[tuple[str, str], Mark] = field(default_factory=dict)
    """(section, name) → where it is written."""
    made: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    """(section, name as written) of an entry with ``for:`` → the names of the entries that it makes."""
    missing: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    """(section, name) → environment variables it needs that are not set."""
    forgotten: Forgotten = field(default_factory=Forgotten)
    """What no build may hold (``forgotten.jsonl`` beside the catalog)."""
    plugins: list[tuple[Mark, PluginFile]] = field(default_factory=list)
    """The code that it brings, and where it is named."""
    environment: dict[str, str] = field(default_factory=dict)
    """Environment variables that it reads and their values; ``${NAME}`` stands for them in all that is written."""

    written: Mapping[str, Any] = field(default_factory=dict)
    """What its file says, before variables are replaced; files that it includes are named in it."""

    def to_yaml(self) -> str:
        """What its file says, without comments; of a catalog made of a dictionary, the file that says the same."""
        return to_yaml(self.written)

    def changed(self, **fields: Any) -> Catalog:
        """A copy with other fields."""
        return Catalog(**{**{one.name: getattr(self, one.name) for one in dataclass_fields(self)}, **fields})

    def __repr__(self) -> str:
        return f"<{self._title()}>"

    def _title(self) -> str:
        counts = f"{len(self.sources)} sources, {len(self.models)} models, {len(self.datasets)} datasets"
        return f"Catalog {self.file.name}: {counts}"

    def _repr_html_(self) -> str:
        rows = [
            (one.name, ", ".join(one.inputs), ", ".join(use.label for use in one.steps), ", ".join(one.splits))
            for one in self.datasets.values()
        ]
        plugins = [f"runs code of {file.name}" for _, file in self.plugins]
        return table(self._title(), ("dataset", "from", "steps", "splits"), rows, plugins)

    @property
    def store(self) -> Path:
        """The folder of the store; of one behind a URL, that of its working copy."""
        if self.run.store and is_url(self.run.store):
            return working_copy(self.run.store)
        given = at_home(self.run.store) if self.run.store else Path(".curate")
        return given if given.is_absolute() else self.file.parent / given

    def closure(self, name: str) -> list[str]:
        """The datasets that ``name`` is made of, in building order, itself last."""
        order: dict[str, None] = {}

        def visit(one: str) -> None:
            for inner in self.datasets[one].upstream:
                if inner in self.datasets and inner not in order:
                    visit(inner)
            order[one] = None

        visit(name)
        return list(order)

    def upstream(self, names: Sequence[str]) -> list[str]:
        """The datasets whose rows end in these, in building order, themselves included; what steps look into is none of
        them."""
        order: dict[str, None] = {}

        def visit(one: str) -> None:
            for inner in self.datasets[one].inputs:
                if inner in self.datasets and inner not in order:
                    visit(inner)
            order[one] = None

        for name in names:
            visit(name)
        return list(order)

    def needs(self, dataset: str) -> set[tuple[str, str]]:
        """(section, name) of every source and declared model that building a dataset touches."""
        found: set[tuple[str, str]] = set()
        for name in self.closure(dataset):
            spec = self.datasets[name]
            for inner in spec.upstream:
                found |= self._source_needs(inner)
            for step in spec.steps:
                found |= self._model_needs(step.params)
                for listed in step.params.named(Reference.SOURCE).values():
                    for inner in listed:
                        found |= self._source_needs(inner)
        return found

    def _model_needs(self, params: Params) -> set[tuple[str, str]]:
        found: set[tuple[str, str]] = set()
        for listed in params.named(Reference.MODEL).values():
            for inner in listed:
                if inner in self.models:
                    found |= {("models", inner)} | self._model_needs(self.models[inner])
        return found

    def _source_needs(self, name: str) -> set[tuple[str, str]]:
        if name not in self.sources:
            return set()
        parent = self.sources[name].parent()
        return {("sources", name)} | (self._source_needs(parent) if parent else set())
