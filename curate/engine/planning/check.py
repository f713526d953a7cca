"""Static checks of a catalog before anything runs: kinds, fields, and what models support; all reported at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import reduce
from itertools import chain
from operator import or_
from typing import Any

import pyarrow as pa

from curate.catalog import Catalog, CatalogError, DatasetSpec, Mark, Reference, StepUse
from curate.catalog.document import Problem
from curate.catalog.params import Role
from curate.engine.planning.models import bound_model
from curate.engine.store.lock import refresh
from curate.engine.store.store import Store, version_of
from curate.errors import CurateError
from curate.rows import Kind
from curate.steps import DatasetStep, GlobalStep, Model, RowStep, ScoreStep, Source, Step
from curate.steps.names import Names
from curate.steps.plugins import plugin_components

_SHOWN = 6


@dataclass
class Checked:
    """What is wrong with a catalog, and what will not be done for some rows."""

    problems: list[Problem] = field(default_factory=list)
    notes: list[Problem] = field(default_factory=list)
    """What is no reason not to build: languages that a model does not know, …"""


@dataclass(frozen=True)
class _Rows:
    """What is known of the rows on their way through the steps."""

    kind: Kind
    languages: frozenset[str] | None
    """None: only the data tell."""
    scores: Names
    attributes: Names
    inputs: tuple[str, ...] = ()
    """The sources and datasets in ``from``, as long as it is known from which one a row came."""


def check_catalog(catalog: Catalog, registry: Any, names: Sequence[str] = ()) -> Checked:
    """Checks datasets (all, if none is named) and what they are made of; of the data only samples are read, where a
    kind has to be
    told from them."""
    return _Check(catalog, registry).run(names)


def require_sound(catalog: Catalog, registry: Any, names: Sequence[str] = ()) -> None:
    """As :func:`check_catalog`.

    Raises:
        CatalogError: anything is wrong; it lists everything that is.
    """
    if problems := check_catalog(catalog, registry, names).problems:
        raise CatalogError(problems)


class _Check:
    def __init__(self, catalog: Catalog, registry: Any) -> None:
        self.catalog, self.registry = catalog, registry
        self.found = Checked()
        self.known: dict[str, _Rows | None] = {}
        """By source or dataset; None where it cannot be told, which was said, or needs a variable that is not set."""
        self._translators: list[tuple[str, Model]] | None = None

    def run(self, names: Sequence[str]) -> Checked:
        for mark, file in self.catalog.plugins:
            offers = ", ".join(f"{what} {name}" for what, name, _ in plugin_components(file))
            said = f"{file.name} ({file.digest}) is code that runs with your permissions; it offers {offers}"
            self.found.notes.append(Problem(mark, f"plugins: {said}"))
        order: dict[str, None] = {}
        for name in names or self.catalog.datasets:
            order.update(dict.fromkeys(self.catalog.closure(name)))
        for name in order:
            spec = self.catalog.datasets[name]
            for inner in spec.upstream:
                if inner in self.catalog.sources:
                    self._source(inner)
                elif inner in spec.versions:
                    self._version(inner, spec.mark)
            self.known[name] = self._dataset(spec)
        self.found.problems = list(dict.fromkeys(self.found.problems))
        self.found.notes = list(dict.fromkeys(self.found.notes))
        return self.found

    def _problem(self, mark: Mark, message: str) -> None:
        self.found.problems.append(Problem(mark, message))

    # ---------------------------------------------------------------------------------------------------------- sources
    def _source(self, name: str) -> None:
        if name in self.known:
            return
        self.known[name] = None
        if ("sources", name) in self.catalog.missing:
            return
        source: Source = self.catalog.sources[name]
        mark = self.catalog.marks["sources", name]
        try:
            kind = source.makes
        except (CurateError, OSError) as error:
            self._problem(mark, f"source '{name}': {error}")
            return
        for problem in source.check(kind):
            self._problem(mark, f"source '{name}': {problem}")
        self.known[name] = _Rows(kind, source.row_languages(), *_names_of(source))
        parent = source.parent()
        if parent is not None:
            self._source(parent)
            above = self.known[parent]
            if above is not None and above.kind != kind:
                self._problem(
                    mark, f"'{name}' has {kind} rows and cannot be a translation of '{parent}' ({above.kind} rows)"
                )

    def _version(self, name: str, mark: Mark) -> None:
        """A version that was built before, ``dataset@ref``."""
        if name in self.known:
            return
        self.known[name] = None
        try:
            refresh(self.catalog.store)
            manifest = version_of(Store(self.catalog.store), name)
        except CurateError as error:
            dataset, _, ref = name.partition("@")
            self._problem(mark, f"from: {name}: {error}; build '{dataset}' and name it: curate tag {dataset} {ref}")
            return
        self.known[name] = _Rows(
            Kind(manifest["kind"]), frozenset(manifest["languages"]), Names(closed=False), Names(closed=False)
        )

    # --------------------------------------------------------------------------------------------------------- datasets
    def _dataset(self, spec: DatasetSpec) -> _Rows | None:
        inputs = {name: self.known.get(name) for name in spec.inputs}
        given = [rows for rows in inputs.values() if rows is not None]
        if len(given) < len(inputs):
            return None
        if len({rows.kind for rows in given}) > 1:
            said = ", ".join(f"{name}: {rows.kind}" for name, rows in inputs.items() if rows)
            self._problem(
                spec.mark, f"dataset '{spec.name}' mixes rows of several kinds ({said}); a dataset has one kind"
            )
            return None
        every = [rows.languages for rows in given]
        languages = None if None in every else frozenset(chain.from_iterable(one for one in every if one is not None))
        scores, attributes = (reduce(or_, [getattr(rows, name) for rows in given]) for name in ("scores", "attributes"))
        rows = _Rows(given[0].kind, languages, scores, attributes, spec.inputs if spec.target is None else ())
        for use in spec.steps:
            rows = self._step(use, rows)
        return rows

    def _step(self, use: StepUse, rows: _Rows) -> _Rows:
        step: Step = use.params
        sound = False
        if rows.kind not in step.kinds:
            can = ", ".join(sorted(step.kinds))
            self._problem(use.mark, f"step '{use.name}' cannot work on {rows.kind} rows (it can on {can})")
        else:
            problems = step.check(rows.kind)
            for problem in problems:
                self._problem(use.mark, f"{use.name}: {problem}")
            self._models(use, rows)
            sound = not problems
        kind = step.makes(rows.kind) if isinstance(step, RowStep | DatasetStep) else rows.kind
        languages = step.languages_after(rows.kind, rows.languages)
        inputs = () if isinstance(step, DatasetStep) else rows.inputs
        return _Rows(kind, languages, *_names_after(use, rows, sound=sound), inputs)

    def _models(self, use: StepUse, rows: _Rows) -> None:
        named = [name for names in use.params.named(Reference.MODEL).values() for name in names]
        if any(("models", name) in self.catalog.missing for name in named):
            return
        facts = _Facts(self, use.mark, rows)
        try:
            for problem in use.params.check_models(facts):
                self._problem(use.mark, f"{use.name}: {problem}")
        except CurateError as error:  # a package or file that a model stands on is not here
            self._problem(use.mark, f"{use.name}: {error}")

    def translators(self) -> list[tuple[str, Model]]:
        """The translators of the catalog, and those that are installed and need no parameters."""
        if self._translators is None:
            self._translators = []
            for name in self.catalog.models:
                if ("models", name) not in self.catalog.missing:
                    self._translators.append((name, bound_model(self.catalog, self.registry, name)))
            used = {model.use for _, model in self._translators}
            for name in self.registry.names("model"):
                part = self.registry.get("model", name)
                required = any(one.is_required() for one in part.model_fields.values())
                if name not in used and part.role is Role.TRANSLATOR and not required:
                    self._translators.append((name, part()))
            self._translators = [(name, model) for name, model in self._translators if model.role is Role.TRANSLATOR]
        return self._translators


def _names_of(source: Source) -> tuple[Names, Names]:
    """The scores and attributes that a source gives its rows; a source of a plug-in may give any."""
    given = [getattr(source, name, None) for name in ("scores", "attributes")]
    scores, attributes = (
        Names(closed=False) if one is None else Names(frozenset(name.removesuffix("?") for name in one))
        for one in given
    )
    return scores, attributes


def _names_after(use: StepUse, rows: _Rows, *, sound: bool) -> tuple[Names, Names]:
    """The scores and attributes of rows after a step; one with mistakes may give any that begin with its label."""
    step: Step = use.params
    if not isinstance(step, ScoreStep | GlobalStep):
        return rows.scores.with_made(step.tag), rows.attributes.with_made(step.tag)
    try:
        columns = step.columns(rows.kind) if sound else None
    except CurateError:  # a file that says it is not here; that is a problem of its own
        columns = None
    if columns is None:
        return rows.scores.with_made(use.label), rows.attributes.with_made(use.label)
    texts = [name for name, dtype in columns.items() if dtype == pa.string()]
    numbers = [name for name in columns if name not in texts]
    return rows.scores.with_scored(use.label, numbers), rows.attributes.with_scored(use.label, texts)


@dataclass(frozen=True)
class _Facts:
    """What a step may ask about its models; see :class:`curate.steps.CatalogFacts`."""

    check: _Check
    mark: Mark
    rows: _Rows

    @property
    def kind(self) -> Kind:
        return self.rows.kind

    @property
    def languages(self) -> frozenset[str] | None:
        return self.rows.languages

    @property
    def scores(self) -> Names:
        return self.rows.scores

    @property
    def attributes(self) -> Names:
        return self.rows.attributes

    @property
    def inputs(self) -> tuple[str, ...]:
        return self.rows.inputs

    def kind_of(self, name: str) -> Kind | None:
        rows = self.check.known.get(name)
        return rows.kind if rows is not None else None

    def model(self, name: str) -> Model:
        return bound_model(self.check.catalog, self.check.registry, name)

    def note(self, message: str) -> None:
        self.check.found.notes.append(Problem(self.mark, message))

    def instead(self, source: str, target: str) -> str:
        """Which translators, or routes through two of them, would translate a pair; and which language models may."""
        known: list[tuple[str, Any]] = []
        for name, model in self.check.translators():
            try:
                pairs = model.language_pairs()
            except CurateError:
                continue
            if pairs is not None:
                known.append((name, pairs))
        direct = [name for name, pairs in known if pairs.find(source, target)]
        if direct:
            return f"{' or '.join(repr(name) for name in direct[:_SHOWN])} would"
        pivots = sorted({tag for _, pairs in known for tag in pairs.sources & pairs.targets})
        for pivot in pivots:
            first = [name for name, pairs in known if pairs.find(source, pivot)]
            second = [name for name, pairs in known if pairs.find(pivot, target)]
            if first and second:
                through = ", ".join(dict.fromkeys([first[0], second[0]]))
                return f"a route would: {{use: route, through: [{through}]}} ({source} → {pivot} → {target})"
        able = [
            name
            for name in self.check.catalog.models
            if (model := self.model(name)).role is Role.GENERATOR and model.knows_language(target) is not False
        ]
        if able:
            return f"the language model {' or '.join(repr(name) for name in able[:_SHOWN])} may"
        return "no model of this catalog does; a language model (use: openai) or a wide translator such as NLLB (use: seq2seq) may"  # noqa: E501
