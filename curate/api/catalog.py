"""Catalogs in Python: read from a file or a dictionary, or built in code, each call checked where it stands."""

from __future__ import annotations

import inspect
import keyword
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from curate.api.components import CatalogMethods, DatasetMethods
from curate.catalog import Catalog as LoadedCatalog
from curate.catalog import CatalogError, Mark, Problem
from curate.catalog import load_catalog as _load
from curate.catalog.document import Document, from_values, plain, to_yaml
from curate.catalog.load import check_entry
from curate.catalog.moving import moved
from curate.catalog.suggestions import nearest
from curate.errors import BuildError
from curate.notebook import in_notebook, table
from curate.steps import Registry

if TYPE_CHECKING:
    from curate.engine.dataset import Built
    from curate.engine.followed import Preview
    from curate.engine.planning.plan import Plan
    from curate.engine.progress import Progress

_FIELDS = frozenset(one.name for one in fields(LoadedCatalog))


def load_catalog(
    file: str | Path | Mapping[str, Any] = "catalog.yaml",
    *,
    variables: Mapping[str, Any] | None = None,
    registry: Registry | None = None,
) -> Catalog:
    """Loads and validates a catalog.

    Args:
        file: the YAML file, or a dictionary of what it would say; paths in that are relative to the current folder.
        variables: values to set, e.g. ``{"languages.targets": ["sw"]}``.
        registry: other sources, steps and models than the installed ones.

    Raises:
        CatalogError: something is wrong with it; the message lists everything, with file and line.
    """
    made = Catalog(registry=registry)
    given = from_values(file, made._document.file) if isinstance(file, Mapping) else Path(file)
    made._keep(_load(deepcopy(given), made._registry, overrides=variables))
    if isinstance(given, Document):
        made._document = given
    else:
        made._document = Document(given.resolve().parent / "catalog", "catalog", {"version": 1, "include": given.name})
    made._overrides = dict(variables or {})
    return made


class Catalog(LoadedCatalog, CatalogMethods):
    """A catalog, read by :func:`load_catalog` or built in code: ``source``, ``model`` and ``dataset`` add to it.

    What a call gives is checked at once; what concerns several (a name that is not there, kinds of rows that do not
    fit) when the catalog is used. Paths are relative to the current folder, or to that of the file.

    Args:
        include: catalog files whose sources, models and datasets it has too.
        plugins: Python files with steps of your own.
        variables: what ``${variables.NAME}`` stands for.
        languages: what ``${languages.NAME}`` stands for.
        run: how to run, such as ``{"workers": 2}``.
        budget: the most to spend on model calls, such as ``{"money": 5}``.
        registry: other sources, steps and models than the installed ones.

    Raises:
        CatalogError: something is wrong; the message has file and line of the call.
    """

    def __init__(
        self,
        *,
        include: str | Path | Sequence[str | Path] = (),
        plugins: str | Path | Sequence[str | Path] = (),
        variables: Mapping[str, Any] | None = None,
        languages: Mapping[str, Any] | None = None,
        run: Mapping[str, Any] | None = None,
        budget: Mapping[str, Any] | None = None,
        registry: Registry | None = None,
    ) -> None:
        self._registry = registry or Registry.installed()
        self._overrides: dict[str, Any] = {}
        self._document = Document(Path.cwd() / "catalog", "catalog", {"version": 1})
        given = {"include": include, "plugins": plugins, "variables": variables, "languages": languages}
        for section, value in {**given, "run": run, "budget": budget}.items():
            if value:
                self._set((section,), value, section)
        if len(self._document.values) > 1:
            self._now()

    if not TYPE_CHECKING:  # type checkers see the fields of the loaded catalog

        def __getattr__(self, name: str) -> Any:
            """Loads what was said in code when it is first asked for."""
            if name not in _FIELDS:
                raise AttributeError(f"a catalog has no '{name}'{nearest(name, dir(self))}")
            self._now()
            return self.__dict__[name]

    def _now(self) -> None:
        self._keep(_load(deepcopy(self._document), self._registry, overrides=self._overrides))

    def _keep(self, loaded: LoadedCatalog) -> None:
        self.__dict__.update((name, getattr(loaded, name)) for name in _FIELDS)

    # -------------------------------------------------------------------------------------------------------- built up
    def dataset(
        self,
        name: str,
        *,
        splits: Mapping[str, float] | None = None,
        seed: int = 0,
        target: Mapping[str, Any] | None = None,
        description: str = "",
    ) -> DatasetSteps:
        """Adds a dataset; the methods of what is returned add its inputs and steps.

        Args:
            splits: name → share; without it all rows are ``train``.
            seed: seed of everything random in it.
            target: how many rows to make, such as ``{"rows": 100}``.
            description: what it is, for people.

        Raises:
            CatalogError: something is wrong with these, or the name is taken.
        """
        given = {"description": description or None, "splits": splits, "seed": seed or None, "target": target}
        self._add("datasets", name, {key: value for key, value in given.items() if value is not None})
        return DatasetSteps(self, name)

    def _add(self, section: str, name: str, values: dict[str, Any]) -> Self:
        there = self._document.marks.get((section, name))
        what = section.removesuffix("s")
        if there is not None and not in_notebook():  # where a cell runs again
            problem = f"'{name}' is already the name of one of the {section} ({there})"
            raise CatalogError([Problem(self._mark(f"{what} {name}"), problem)])
        place, entries = (section, name), self._document.values.setdefault(section, {})
        before, marks = entries.get(name), self._marks(place) if there else {}
        try:
            self._set(place, {_key(key): value for key, value in values.items()}, f"{what} {name}")
            check_entry(self._document, place, self._registry)
        except CatalogError:  # it is as before, so that a cell can be mended and run again
            self._unmark(place)
            self._document.marks |= marks
            if before is None:
                entries.pop(name, None)
            else:
                entries[name] = before
            raise
        return self

    def _append(self, dataset: str, what: str, name: str, parameters: dict[str, Any]) -> None:
        """A step or output of a dataset."""
        values = {_key(key): value for key, value in parameters.items()}
        listed = self._document.values["datasets"][dataset].setdefault(f"{what}s", [])
        place = ("datasets", dataset, f"{what}s", len(listed))
        listed.append(None)
        try:
            self._set(place, {name: values} if values else name, f"{dataset}.{name}")
            check_entry(self._document, place, self._registry)
        except CatalogError:
            listed.pop()
            self._unmark(place)
            raise

    def _set(self, place: tuple[str | int, ...], value: Any, shown: str) -> None:
        """Puts a value into the document, in which the call that gave it is its place."""
        mark = self._mark(shown)
        if place in self._document.marks:
            self._unmark(place)
        inside = self._document.values
        for part in place[:-1]:
            inside = inside[part]
        inside[place[-1]] = plain(_named(value), place, self._document, lambda _: mark)
        if problems := self._document.problems:
            self._document.problems = []
            raise CatalogError(problems)
        for name in _FIELDS & self.__dict__.keys():  # loaded before this
            del self.__dict__[name]

    def _marks(self, place: tuple[str | int, ...]) -> dict[tuple[str | int, ...], Mark]:
        """The marks of a place and of all in it."""
        return {one: mark for one, mark in self._document.marks.items() if one[: len(place)] == place}

    def _unmark(self, place: tuple[str | int, ...]) -> None:
        for one in self._marks(place):
            del self._document.marks[one]

    def _mark(self, shown: str) -> Mark:
        frame = sys._getframe(1)
        while frame.f_back is not None and str(frame.f_globals.get("__name__")).startswith("curate."):
            frame = frame.f_back
        return Mark(f"{_shown(frame.f_code.co_filename)}:{frame.f_lineno}, {shown}", 0)

    def to_yaml(self, file: str | Path | None = None) -> str:
        """The catalog file that says the same; without the comments of a file that it was read from.

        Args:
            file: where to write it too. The text is made for its folder: relative paths name the same files.

        Raises:
            CatalogError: something is wrong with it.
            BuildError: it cannot be written.
        """
        if file is None:
            return super().to_yaml()
        text = to_yaml(moved(self.written, self.file.parent, Path(file).resolve().parent, self._registry))
        try:
            Path(file).write_text(text, encoding="utf-8")
        except OSError as error:
            raise BuildError(f"{file}: cannot be written: {error.strerror or error}") from None
        return text

    # ------------------------------------------------------------------------------------------------------------ used
    def check(self, *datasets: str) -> list[str]:
        """Checks all that can be known before anything runs, as :func:`curate.check`."""
        from curate.api.datasets import check

        return check(self, *datasets, registry=self._registry)

    def plan(self, *datasets: str) -> Plan:
        """What a build would do, and why, as :func:`curate.plan`."""
        from curate.api.datasets import plan

        return plan(self, *datasets, registry=self._registry)

    def preview(self, dataset: str | None = None, *, rows: int = 5, calls: int = 0) -> Preview:
        """A few rows taken through the steps of a dataset, as :func:`curate.preview`."""
        from curate.api.looking import preview

        return preview(self, dataset, rows=rows, calls=calls, registry=self._registry)

    def build(self, *datasets: str, progress: Progress | Literal[False] | None = None) -> list[Built]:
        """Builds datasets, all if none is named, as :func:`curate.build`."""
        from curate.api.datasets import build

        return build(self, *datasets, progress=progress, registry=self._registry)

    # ----------------------------------------------------------------------------------------------------------- shown
    def __repr__(self) -> str:
        problems = self._problems()
        return f"<Catalog {self._document.file.name}: {'; '.join(problems)}>" if problems else super().__repr__()

    def _repr_html_(self) -> str:
        problems = self._problems()
        return table("Catalog, not valid yet", (), (), problems) if problems else super()._repr_html_()

    def _problems(self) -> list[str]:
        if "file" not in self.__dict__:
            try:
                self._now()
            except CatalogError as error:
                return [str(one) for one in error.problems]
        return []


class DatasetSteps(DatasetMethods):
    """A dataset of a catalog in code: a method for each installed step appends that step."""

    def __init__(self, catalog: Catalog, name: str) -> None:
        self._catalog = catalog
        self.name = name

    def from_(self, *inputs: str | DatasetSteps) -> Self:
        """Says what its rows come from: sources, datasets, or versions (``name@ref``)."""
        self._catalog._set(("datasets", self.name, "from"), list(inputs), f"{self.name}.from")
        return self

    def _append(self, what: str, name: str, parameters: dict[str, Any]) -> Self:
        self._catalog._append(self.name, what, name, parameters)
        return self

    def preview(self, *, rows: int = 5, calls: int = 0) -> Preview:
        """A few rows taken through its steps, as :func:`curate.preview`."""
        return self._catalog.preview(self.name, rows=rows, calls=calls)

    def build(self, *, progress: Progress | Literal[False] | None = None) -> Built:
        """Builds it, and what it is made of, as :func:`curate.build`."""
        return self._catalog.build(self.name, progress=progress)[-1]

    if not TYPE_CHECKING:  # type checkers see the methods of components.pyi

        def __getattr__(self, name: str) -> Any:
            steps = {} if name.startswith("_") else self._steps()
            if name not in steps:
                known = ", ".join(steps)
                raise AttributeError(f"no step is called '{name}'{nearest(name, steps)} (known: {known})")
            return _method(self, steps[name], self._catalog._registry)

    def _steps(self) -> dict[str, str]:
        """The steps, by the names of their methods."""
        return {_method_name(tag): tag for tag in self._catalog._registry.names("step")}

    def __dir__(self) -> list[str]:
        return sorted({*object.__dir__(self), *self._steps()})

    def __repr__(self) -> str:
        return f"<DatasetSteps {self.name}: {', '.join(label for label, _ in self._given()) or 'no steps yet'}>"

    def _repr_html_(self) -> str:
        inputs = ", ".join(self._values().get("from", ())) or "…"
        rows = [
            (label, ", ".join(f"{key}={value!r}" for key, value in given.items())) for label, given in self._given()
        ]
        return table(f"Dataset {self.name} from {inputs}", ("step", "parameters"), rows)

    def _values(self) -> dict[str, Any]:
        return dict(self._catalog._document.values["datasets"][self.name])

    def _given(self) -> list[tuple[str, dict[str, Any]]]:
        """Its steps as written: label and parameters."""
        steps = [{one: {}} if isinstance(one, str) else one for one in self._values().get("steps", ())]
        return [(str(given.get("as", tag)), given) for one in steps for tag, given in one.items()]


def _method(builder: DatasetSteps, tag: str, registry: Registry) -> Callable[..., DatasetSteps]:
    """The method of a step, with the parameters that notebooks complete and show."""

    def method(**parameters: Any) -> DatasetSteps:
        return builder.step(tag, **parameters)

    step = registry.get("step", tag)
    method.__name__ = method.__qualname__ = _method_name(tag)
    method.__doc__ = inspect.getdoc(step) or step.summary
    named = [
        inspect.Parameter(
            argument(field.alias or name),
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if field.is_required() else field.get_default(call_default_factory=True),
        )
        for name, field in step.model_fields.items()
    ]
    label = inspect.Parameter("as_", inspect.Parameter.KEYWORD_ONLY, default=tag)
    method.__signature__ = inspect.Signature([*named, label])  # type: ignore[attr-defined]
    return method


def argument(key: str) -> str:
    """What a parameter is called in Python: ``from_`` for ``from``."""
    return f"{key}_" if keyword.iskeyword(key) else key


def _key(argument: str) -> str:
    """The parameter of an argument."""
    plain = argument.removesuffix("_")
    return plain if keyword.iskeyword(plain) else argument


def _method_name(tag: str) -> str:
    return argument(tag.replace("-", "_"))


def _named(value: Any) -> Any:
    """A value in which datasets are their names."""
    if isinstance(value, DatasetSteps):
        return value.name
    if isinstance(value, Mapping):
        return {key: _named(inner) for key, inner in value.items()}
    return [_named(inner) for inner in value] if isinstance(value, list | tuple) else value


def _shown(file: str) -> str:
    """The file of a call as messages name it: seen from here, or the cell of a notebook."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    named = getattr(getattr(shell, "compile", None), "format_code_name", lambda _: None)(file)
    if named:
        return " ".join(named)
    near = os.path.relpath(file) if Path(file).is_absolute() else file
    return file if near.startswith("..") else near
