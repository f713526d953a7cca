"""Loads a catalog and reports all of its errors at once, each with file, line and the nearest known word."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from curate.catalog.document import CatalogError, Document, Problem, from_values
from curate.catalog.document import Path as Place
from curate.catalog.files import Files
from curate.catalog.forgotten import read_forgotten
from curate.catalog.loops import Made, unrolled
from curate.catalog.model import (
    LONGEST_NAME,
    NAME_PATTERN,
    Budget,
    Catalog,
    DatasetConfig,
    DatasetSpec,
    Names,
    RunConfig,
    StepUse,
)
from curate.catalog.params import Mark as ParamMark
from curate.catalog.params import Params
from curate.catalog.reading import explain, rooted
from curate.catalog.references import References
from curate.catalog.suggestions import nearest
from curate.catalog.variables import Substitution, hidden
from curate.errors import CurateError
from curate.plugins import PluginFile
from curate.rows.languages import UNKNOWN

_NAMED = ("models", "sources", "datasets")
DETECT = "detect"
"""A source's language, if it is to be found out row by row."""
_DETECT_STEP = "detect_language"
_RESERVED = ("curate", "main", "memory", "temp", "system", "information_schema", "pg_catalog")


def load_catalog(
    file: Path | Mapping[str, Any] | Document,
    names: Names,
    *,
    overrides: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Catalog:
    """Loads and validates a catalog and all it includes.

    Args:
        file: the YAML file, or what it would say: a dictionary is taken as in the current folder.
        names: the installed sources, steps and models.
        overrides: variables to set (``{"languages.targets": ["sw"]}``), over what the catalog says.
        environment: in place of the process's.

    Raises:
        CatalogError: anything is wrong; it lists everything that is.
    """
    if isinstance(file, Mapping):
        file = from_values(file, Path.cwd() / "catalog")
    return _Loading(file, names, dict(overrides or {}), environment).load()


def check_entry(document: Document, place: Place, names: Names) -> None:
    """Checks the parameters of one source, model, dataset, step or output, before the rest of the catalog is known.

    Args:
        document: what has been said so far.
        place: ``("sources", name)``, ``("models", name)``, ``("datasets", name)``, or of a step or output
            ``("datasets", name, "steps", index)``.

    Raises:
        CatalogError: something is wrong with it.
    """
    variables = {key: document.values[key] for key in ("variables", "languages") if key in document.values}
    loading = _Loading(Document(document.file, document.shown, {"version": 1, **variables}), names, {}, None)
    loading.entry(document, place)
    if loading.problems:
        raise CatalogError(loading.problems)


def find_store(file: Path) -> Path:
    """The folder of a catalog's store, out of its ``run:`` alone: what was built can be looked at though a step is
    misspelt.

    Raises:
        CatalogError: the file is no catalog, or ``run:`` is wrong.
    """
    return _Loading(file, _NoNames(), {}, None).store()


class _NoNames:
    """No sources, steps and models: ``run:`` names none."""

    def names(self, what: str) -> list[str]:
        return []

    def get(self, what: str, name: str) -> type[Params]:
        raise KeyError(name)

    def add_plugin(self, file: PluginFile) -> list[str]:
        raise KeyError(file.name)


class _Loading:
    def __init__(
        self,
        given: Path | Document,
        names: Names,
        overrides: dict[str, Any],
        environment: Mapping[str, str] | None,
    ) -> None:
        self.file = given.file if isinstance(given, Document) else given.resolve()
        self.names = names
        self.overrides = overrides
        self.environment = environment
        self.problems: list[Problem] = []
        self.files = Files(given if isinstance(given, Document) else self.file, self.problems)
        self.where: dict[tuple[str, str], Document] = {}
        self.from_environment: dict[tuple[int, Place], str] = {}
        self.used: dict[str, str] = {}
        self.undetected: set[str] = set()
        """The sources with ``language: detect``."""

    def load(self) -> Catalog:
        written: dict[str, Any] = next(
            (deepcopy(one.values) for one in self.files.documents if one.file == self.file), {}
        )
        catalog = Catalog(self.file, variables=self.files.variables(self.overrides), written=written)
        raw: dict[str, dict[str, Any]] = {section: {} for section in _NAMED}
        settings: list[tuple[Document, str, Any]] = []
        made: Made = {}
        catalog.plugins = self.files.plugins(self.names)
        for document in self.files.documents:
            substitution = Substitution(catalog.variables)
            if self.environment is not None:
                substitution.environment = self.environment
            for section in (*_NAMED, "run", "budget"):
                if section not in document.values:
                    continue
                if section in ("sources", "datasets"):
                    values = unrolled(document, section, substitution, made)
                else:
                    values = substitution.apply(document, document.values[section], (section,))
                if section in ("run", "budget"):
                    settings.append((document, section, values))
                else:
                    self._collect(document, section, values, raw, catalog)
            self.problems += substitution.problems
            for place, variable in substitution.from_environment.items():
                self.from_environment[id(document), place] = variable
            self.used |= substitution.used
            for place, variable in substitution.missing.items():
                if place[0] in ("run", "budget"):
                    self._unset(document, place, variable)
                elif len(place) > 1:
                    catalog.missing.setdefault((str(place[0]), str(place[1])), []).append(variable)
        catalog.environment = self.used
        catalog.made = {place: [name for name, _ in entries] for place, entries in made.items()}
        for document, section, values in settings:
            validated = self._validate(RunConfig if section == "run" else Budget, values, document, (section,))
            if validated is not None:
                setattr(catalog, section, validated)
        for name, values in raw["models"].items():
            catalog.models[name] = self._used("model", name, values)
        for name, values in raw["sources"].items():
            if isinstance(values, dict) and values.get("language") == DETECT:
                self.undetected.add(name)
                values = {**values, "language": UNKNOWN}
            catalog.sources[name] = self._used("source", name, values)
        for name, values in raw["datasets"].items():
            dataset = self._dataset(name, values)
            if dataset is not None:
                catalog.datasets[name] = dataset
        catalog.forgotten, wrong = read_forgotten(self.file.parent)
        self.problems += wrong
        References(self.names, self.where, self.problems).check(catalog, raw)
        if self.problems:
            raise CatalogError(map(self._hidden, self.problems))
        return catalog

    def entry(self, document: Document, place: Place) -> None:
        section, name = str(place[0]), str(place[1])
        substitution = Substitution(self.files.variables({}))
        values = substitution.apply(document, document.values[section][name], (section, name))
        self._collect(document, section, {name: values}, {section: {}}, Catalog(self.file))
        if substitution.problems or substitution.missing:
            return  # an included file may say what they are
        if section != "datasets":
            if section == "sources" and isinstance(values, dict) and values.get("language") == DETECT:
                values["language"] = UNKNOWN
            self._used(section.removesuffix("s"), name, values)
        elif len(place) == 2:
            self._validate(DatasetConfig, {"from": ["any"], **values}, document, place)
        else:
            listed = str(place[2])
            self._uses(listed.removesuffix("s"), document, place[:3], values[listed])

    def store(self) -> Path:
        catalog = Catalog(self.file, variables=self.files.variables(self.overrides))
        for document in self.files.documents:
            if "run" in document.values:
                substitution = Substitution(catalog.variables)
                values = substitution.apply(document, document.values["run"], ("run",))
                self.problems += substitution.problems
                self.used |= substitution.used
                for place, variable in substitution.missing.items():
                    self._unset(document, place, variable)
                catalog.run = self._validate(RunConfig, values, document, ("run",)) or catalog.run
        if self.problems:
            raise CatalogError(map(self._hidden, self.problems))
        return catalog.store

    def _hidden(self, problem: Problem) -> Problem:
        return hidden(problem, self.used, self.files.documents, self.from_environment)

    def _unset(self, document: Document, place: Place, variable: str) -> None:
        self._problem(
            document,
            place,
            f"the environment variable {variable} is not set; set it, or write ${{{variable}:-…}} with what "
            "holds without it",
        )

    # ----------------------------------------------------------------------------------------------------------
    # sections
    def _collect(
        self, document: Document, section: str, values: Any, raw: dict[str, dict[str, Any]], catalog: Catalog
    ) -> None:
        for name, value in values.items():
            place = (section, name)
            if len(name) > LONGEST_NAME:  # it names folders
                self._problem(document, place, f"this name has {len(name)} characters; at most {LONGEST_NAME} fit")
            elif not re.fullmatch(NAME_PATTERN, name):
                self._problem(
                    document,
                    place,
                    f"'{name}' is no name: use small letters, digits, single '-' or '_', a letter first",
                )
            if section == "datasets" and name in _RESERVED:
                self._problem(document, place, f"'{name}' is a name that SQL needs for itself; choose another")
            clash = next(
                (key for key in self.where if key[1] == name and {key[0], section} <= {"sources", "datasets"}), None
            )
            clash = clash or ((section, name) if (section, name) in self.where else None)
            if clash:
                first = self.where[clash].mark(clash)
                self._problem(document, place, f"'{name}' is already the name of one of the {clash[0]} ({first})")
                continue
            self.where[section, name] = document
            catalog.marks[section, name] = document.mark(place)
            raw[section][name] = value

    # --------------------------------------------------------------------------------------------------------
    # validation
    def _used(self, what: str, name: str, values: Any) -> Any:
        """A source or model: ``{use: <name>, **parameters}``."""
        section = f"{what}s"
        document, place = self.where[section, name], (section, name)
        if not isinstance(values, dict) or not isinstance(values.get("use"), str):
            self._problem(
                document,
                place,
                f"{what} '{name}' must say what it uses: 'use: …' ({', '.join(self.names.names(what))})",
            )
            return None
        use = values["use"]
        if use not in self.names.names(what):
            known = self.names.names(what)
            self._problem(
                document,
                (*place, "use"),
                f"no {what} is called '{use}'{nearest(use, known)} (known: {', '.join(known)})",
            )
            return None
        given = {key: value for key, value in values.items() if key != "use"}
        return self._validate(self.names.get(what, use), rooted(given, document.file.parent), document, place)

    def _dataset(self, name: str, values: Any) -> DatasetSpec | None:
        document, place = self.where["datasets", name], ("datasets", name)
        config = self._validate(DatasetConfig, values, document, place)
        steps = self._steps(document, place, values.get("steps") if isinstance(values, dict) else None)
        if config is None:
            return None
        if not any(use.name == _DETECT_STEP for use in steps):
            steps = (*self._detection(config.from_), *steps)
        splits, assigned_by = self._splits(document, place, config, steps)
        outputs = self._uses("output", document, (*place, "outputs"), config.outputs)
        return DatasetSpec(
            name,
            tuple(config.from_),
            steps,
            splits,
            config.seed,
            config.description,
            document.mark(place),
            config.target,
            assigned_by,
            outputs,
        )

    def _detection(self, inputs: Sequence[str]) -> Sequence[StepUse]:
        """The step that labels the rows of sources with ``language: detect``, if there are any among the inputs."""
        sources = [name for name in inputs if name in self.undetected]
        if not sources:
            return ()
        step = self.names.get("step", _DETECT_STEP).model_validate({"only": [UNKNOWN]})
        mark = self.where["sources", sources[0]].mark(("sources", sources[0], "language"))
        return (StepUse(_DETECT_STEP, _DETECT_STEP, step, mark),)

    def _splits(
        self, document: Document, place: Place, config: DatasetConfig, steps: Sequence[StepUse]
    ) -> tuple[Mapping[str, float], str]:
        """The splits and the label of the step that assigns them, if one does."""
        found = [
            (at, use, shares)
            for at, use in enumerate(steps)
            if (shares := getattr(use.params, "assigns", lambda: None)()) is not None
        ]
        if not found:
            return config.splits or {"train": 1.0}, ""
        at, use, shares = found[0]
        if len(found) > 1:
            self._problem(
                document, (*place, "steps"), f"'{use.label}' and '{found[1][1].label}' both say which split a row is in"
            )
        if config.splits is not None:
            self._problem(
                document, (*place, "splits"), f"the step '{use.label}' says which splits there are; leave this out"
            )
        if after := [
            later.label for later in steps[at + 1 :] if hasattr(later.params, "make") or hasattr(later.params, "gather")
        ]:
            self._problem(
                document,
                (*place, "steps"),
                f"'{after[0]}' makes new rows, which no longer have the split that '{use.label}' gave; put "
                f"'{use.label}' behind it",
            )
        return shares, use.label

    def _steps(self, document: Document, place: Place, values: Any) -> tuple[StepUse, ...]:
        return self._uses("step", document, (*place, "steps"), values)

    def _uses(self, what: str, document: Document, place: Place, values: Any) -> tuple[StepUse, ...]:
        """A list of steps or outputs: each ``name`` or ``name: {parameters}``."""
        found: list[StepUse] = []
        for index, value in enumerate(values if isinstance(values, list) else []):
            here = (*place, index)
            if isinstance(value, str):
                value = {value: {}}
            if not isinstance(value, dict) or len(value) != 1:
                self._problem(
                    document,
                    here,
                    f"{_article(what)} is 'name' or 'name: {{parameters}}'; parameters are indented below the name",
                )
                continue
            tag, given = next(iter(value.items()))
            if tag not in self.names.names(what):
                known = self.names.names(what)
                self._problem(
                    document,
                    (*here, tag),
                    f"no {what} is called '{tag}'{nearest(tag, known)} (known: {', '.join(known)})",
                )
                continue
            given = {} if given is None else given
            label = given.pop("as", tag) if isinstance(given, dict) else tag
            if not isinstance(label, str) or not re.fullmatch(NAME_PATTERN, label):
                self._problem(
                    document, (*here, tag), f"as: '{label}' is no name: use small letters, digits, '-' or '_'"
                )
                label = tag
            if label in {one.label for one in found}:
                self._problem(
                    document,
                    (*here, tag),
                    f"this dataset already has {_article(what)} '{label}'; give this one a name: '{tag}: {{as: …}}'",
                )
            model = self.names.get(what, tag)
            if isinstance(given, dict):
                # A step's texts (prompts, templates) may begin as they like: only what is a file is looked at.
                files = {key: value for key, value in given.items() if key in model.path_fields}
                given = {**given, **rooted(files, document.file.parent, model.path_fields)}
            params = self._validate(model, given, document, (*here, tag))
            if params is not None:
                found.append(StepUse(tag, label, params, document.mark((*here, tag))))
        return tuple(found)

    def _validate(self, model: type[Params], values: Any, document: Document, place: Place) -> Any:
        for (owner, where), variable in self.from_environment.items():
            key = (
                where[len(place)]
                if owner == id(document) and where[: len(place)] == place and len(where) > len(place)
                else None
            )
            # Of a dataset's steps each checks its own; 'use' and 'as' are no fields, but decide all the same.
            named = {field.alias or name: name for name, field in model.model_fields.items()}
            if model not in (RunConfig, Budget) and (
                key in ("use", "as")
                or (
                    key in named
                    and (model is not DatasetConfig or key not in ("steps", "outputs"))
                    and named[key] not in model.marked(ParamMark.RUNTIME)
                )
            ):
                self._problem(
                    document,
                    where,
                    f"'{key}' decides which rows come out, so it may not depend on the environment "
                    f"(${{{variable}}}); use a catalog variable and --set",
                )
        try:
            return model.model_validate(values)
        except ValidationError as error:
            for details in error.errors():
                self.problems.append(explain(details, model, document, place))
        except CurateError as error:  # from a part's own validation
            self._problem(document, place, str(error))
        return None

    def _problem(self, document: Document, place: Place, message: str) -> None:
        self.problems.append(Problem(document.mark(place), message))


def _article(what: str) -> str:
    return f"an {what}" if what[0] in "aeiou" else f"a {what}"
