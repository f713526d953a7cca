"""Reads a catalog file and the files that it includes, each after those that it includes itself."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from curate.catalog.document import CatalogError, Document, Mark, Problem, read_document
from curate.catalog.document import Path as Place
from curate.catalog.loops import makes
from curate.catalog.model import Names, at_home
from curate.catalog.suggestions import nearest
from curate.errors import CurateError
from curate.plugins import PluginFile

SECTIONS = ("version", "include", "plugins", "variables", "languages", "models", "sources", "datasets", "run", "budget")
_MAPPINGS = ("variables", "languages", "models", "sources", "datasets", "run", "budget")


def defines_dataset(file: Path, name: str) -> bool:
    """Whether a file is a catalog that defines a dataset of that name; a file that is there but cannot be read may."""
    if not file.is_file():
        return False
    try:
        values = read_document(file, file.name).values
    except CatalogError:
        return True
    datasets = values.get("datasets") if isinstance(values, dict) else None
    return isinstance(datasets, dict) and any(makes(written, name) for written in datasets)


class Files:
    """The documents of a catalog; what is wrong with them is added to ``problems``."""

    def __init__(self, first: Path | Document, problems: list[Problem]) -> None:
        """
        Args:
            first: the first file, or what it would say.
        """
        self.file = first.file if isinstance(first, Document) else first
        self._given = first if isinstance(first, Document) else None
        self.problems = problems
        self.documents: list[Document] = []
        self._read(self.file, (), None)

    def _read(self, file: Path, inside: tuple[Path, ...], asked: Mark | None) -> None:
        shown = Path(os.path.relpath(file, self.file.parent)).as_posix()
        if file in inside:
            self.problems.append(Problem(asked or Mark(shown, 1), f"{shown} includes itself"))
            return
        if any(document.file == file for document in self.documents):
            return
        try:
            given = self._given if file == self.file else None
            document = read_document(file, shown) if given is None else given
        except CatalogError as error:
            self.problems += (
                [Problem(asked, f"include: {problem}") for problem in error.problems] if asked else error.problems
            )
            return
        if not isinstance(document.values, dict):
            self.problems.append(
                Problem(document.mark(()), "a catalog is a mapping with 'version', 'sources', 'datasets' …")
            )
            return
        for section in document.values:
            if section not in SECTIONS:
                self._problem(document, (section,), f"unknown key '{section}'{nearest(section, SECTIONS)}")
        version = document.values.get("version")
        if version != 1:
            said = (
                "'version: 1' is missing" if version is None else f"version {version!r} is not known; this is version 1"
            )
            self._problem(document, ("version",), said)
        for section in _MAPPINGS:
            if section in document.values and document.values[section] is None:
                document.values[section] = {}
            if section in document.values and not isinstance(document.values[section], dict):
                self._problem(document, (section,), f"'{section}' must be a mapping of names")
                document.values[section] = {}
        for place, include in self.listed(document, "include", "a catalog file"):
            self._read((file.parent / include).resolve(), (*inside, file), document.mark(place))
        self.documents.append(document)

    def listed(self, document: Document, section: str, what: str) -> Iterator[tuple[Place, str]]:
        """The files that a section names, one or a list, each with its place."""
        given = document.values.get(section) or []
        if not isinstance(given, str | list):
            self._problem(document, (section,), f"'{section}' names {what}, or a list of them")
            given = []
        for index, name in enumerate([given] if isinstance(given, str) else given):
            place: Place = (section,) if isinstance(given, str) else (section, index)
            if isinstance(name, str):
                yield place, name
            else:
                self._problem(document, place, f"'{section}' names {what}, or a list of them")

    def plugins(self, names: Names) -> list[tuple[Mark, PluginFile]]:
        """Runs the plug-ins and adds what they offer to ``names``.

        Raises:
            CatalogError: one fails. Nothing else is checked then, for it may be what offers an unknown name.
        """
        found = []
        failed = False
        for document in self.documents:
            for place, name in self.listed(document, "plugins", "a Python file"):
                try:
                    file = PluginFile.read(document.file.parent / at_home(name), name)
                    names.add_plugin(file)
                    found.append((document.mark(place), file))
                except CurateError as error:
                    failed = True
                    self._problem(document, place, f"plugins: {error}")
        if failed:
            raise CatalogError(self.problems)
        return found

    def variables(self, overrides: Mapping[str, Any]) -> dict[str, Any]:
        """What ``${…}`` may name, ``overrides`` over what the files say."""
        variables: dict[str, Any] = {"variables": {}, "languages": {}}
        for document in self.documents:
            for section, known in variables.items():
                for name, value in (document.values.get(section) or {}).items():
                    if name in known and known[name] != value:
                        self._problem(
                            document,
                            (section, name),
                            f"'{section}.{name}' already has another value in an included file",
                        )
                    known[name] = value
        for name, value in overrides.items():
            *inside, last = name.split(".")
            target: Any = variables
            for part in inside:
                target = target.get(part) if isinstance(target, dict) else None
            if not inside or not isinstance(target, dict) or last not in target:
                every = [f"{top}.{inner}" for top, values in variables.items() for inner in values]
                self.problems.append(Problem(Mark("--set", 1), f"there is no variable '{name}'{nearest(name, every)}"))
                continue
            target[last] = value
        return variables

    def _problem(self, document: Document, place: Place, message: str) -> None:
        self.problems.append(Problem(document.mark(place), message))
