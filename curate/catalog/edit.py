"""Changes one parameter of a step in the text of a catalog; everything else, comments and layout included, stays as it
is written.

Where the place of the value cannot be told for certain (a variable, an alias, an included file that other catalogs may
include too) nothing is changed, and the error says where to look.
"""

from __future__ import annotations

import copy
import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import yaml

from curate.catalog.document import Document, Problem, nodes, parse
from curate.catalog.document import Path as Place
from curate.catalog.files import Files
from curate.catalog.params import PerLanguage
from curate.errors import CurateError
from curate.rows.languages import InvalidLanguage, normalize

_GAP = re.compile(r" {3,}(?=#)")
"""Blanks before a comment that has a column of its own."""


class EditError(CurateError):
    """A value in a catalog cannot be changed by curate; the message says where it stands and why."""


@dataclass(frozen=True)
class Edit:
    """A changed catalog file, not written yet."""

    file: Path
    old: str
    new: str

    @property
    def diff(self) -> str:
        """The change as a unified diff; empty if there is none."""
        lines = difflib.unified_diff(
            self.old.splitlines(keepends=True), self.new.splitlines(keepends=True), self.file.name, self.file.name
        )
        return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def change_parameter(file: Path, dataset: str, label: str, name: str, value: Any, language: str = "") -> Edit:
    """Changes a parameter of a step of a dataset.

    Args:
        file: the catalog.
        label: of the step.
        value: a number, or all values by language; the latter is written whole where the catalog has no value yet.
        language: of a value by language the one that changes; "" for the default.

    Raises:
        EditError: the place cannot be told.
    """
    problems: list[Problem] = []
    documents = Files(file.resolve(), problems).documents
    if problems:
        raise EditError("\n".join(map(str, sorted(problems))))
    for document in documents:
        if dataset in (document.values.get("datasets") or {}):
            if document.file != file.resolve():
                raise EditError(
                    f"{document.mark(('datasets', dataset))}: '{dataset}' stands in a file that {file.name} includes, "
                    "and other catalogs may include it too; change it there"
                )
            text = document.file.read_bytes().decode("utf-8")
            return Edit(
                file, text, _Change(document, text.removeprefix("\ufeff")).apply(dataset, label, name, value, language)
            )
    raise EditError(f"{file} has no dataset '{dataset}'")


class _Change:
    """One change of a document."""

    def __init__(self, document: Document, text: str) -> None:
        self._document, self._text = document, text
        root = nodes(text)
        self._root = root
        seen: set[int] = set()
        self._shared = {id(node) for node in _all(root) if id(node) in seen or seen.add(id(node))}  # type: ignore[func-returns-value]

    def apply(self, dataset: str, label: str, name: str, value: Any, language: str) -> str:
        """The text with the change."""
        place: Place = ("datasets", dataset, "steps")
        node = self._root
        for key in place:
            node = self._inner(node, key, place)
        if not isinstance(node, yaml.SequenceNode):
            raise self._refused(place, "its steps are no list here; they come from a variable")
        for index, item in enumerate(node.value):
            self._own(item, (*place, index))
            tag, params = (item, None) if isinstance(item, yaml.ScalarNode) else self._single(item, (*place, index))
            if (self._label(params) or tag.value) == label:
                return self._checked((*place, index), tag, params, name, value, language)
        raise self._refused(
            place, f"no step '{label}' is written here; it comes from a variable, or has another name now"
        )

    def _checked(
        self, place: Place, tag: yaml.Node, params: yaml.Node | None, name: str, value: Any, language: str
    ) -> str:
        """The changed text, of which nothing but that value reads otherwise."""
        values = copy.deepcopy(self._document.values)
        steps: list[Any] = values["datasets"][place[1]]["steps"]
        at = int(place[3])
        step = str(tag.value)
        given = steps[at][step] if isinstance(steps[at], dict) else None
        plain = value.dump() if isinstance(value, PerLanguage) else value
        there = given.get(name) if isinstance(given, dict) else None
        inside = (*place, step)
        if isinstance(there, dict) and isinstance(value, PerLanguage):
            key = _key(there, language)
            written = value.values.get(language) if language else value.default
            found = self._value(params, name, inside)
            text = self._set(found, key, written, (*inside, name))
            there[key] = written
        else:
            if params is None:
                text = self._replaced(tag, tag, f"{step}: {{{name}: {_written(plain)}}}")
            elif not isinstance(params, yaml.MappingNode):
                self._own(params, inside)
                if "${" in str(params.value):
                    raise self._refused(inside, f"its parameters come from {params.value}; change that")
                space = " " if params.start_mark.index == params.end_mark.index else ""
                text = self._replaced(params, params, f"{space}{{{name}: {_written(plain)}}}")
            else:
                text = self._set(params, name, plain, inside)
            steps[at] = {step: {**(given or {}), name: plain}}
        document = parse(text, Document(self._document.file, self._document.shown, None))
        if document.values != values:
            raise self._refused(
                place, f"'{name}' cannot be changed here without changing something else; change it by hand"
            )
        bom = "\ufeff" if self._document.file.read_bytes().startswith(b"\xef\xbb\xbf") else ""
        return bom + text

    # ------------------------------------------------------------------------------------------------------- places
    def _inner(self, node: yaml.Node | None, key: str | int, place: Place) -> yaml.Node:
        if isinstance(node, yaml.MappingNode):
            for key_node, value_node in node.value:
                if key_node.value == key:
                    self._own(value_node, place)
                    return value_node  # type: ignore[no-any-return]
        raise self._refused(place, "it is not written here; it comes from an anchor or a variable")

    def _single(self, item: yaml.Node, place: Place) -> tuple[yaml.Node, yaml.Node]:
        if not isinstance(item, yaml.MappingNode) or len(item.value) != 1:
            raise self._refused(place, "a step is 'name' or 'name: {parameters}'")
        tag, params = item.value[0]
        self._own(params, place)
        return tag, params

    def _label(self, params: yaml.Node | None) -> str | None:
        pairs = params.value if isinstance(params, yaml.MappingNode) else ()
        return next((str(value.value) for key, value in pairs if key.value == "as"), None)

    def _value(self, params: yaml.Node | None, name: str, place: Place) -> yaml.Node:
        node = self._inner(params, name, (*place, name))
        if not isinstance(node, yaml.MappingNode):
            raise self._refused((*place, name), f"it comes from {node.value}; change that")
        return node

    def _own(self, node: yaml.Node, place: Place) -> None:
        if id(node) in self._shared:
            raise self._refused(place, "an alias (*) repeats this elsewhere in the file, so a change would change more")

    def _refused(self, place: Place, why: str) -> EditError:
        return EditError(f"{self._document.mark(place)}: {why}")

    # --------------------------------------------------------------------------------------------------------- text
    def _set(self, node: yaml.Node, key: str, value: Any, place: Place) -> str:
        """A key of a mapping with this value, in place or before the first key."""
        assert isinstance(node, yaml.MappingNode)
        for key_node, value_node in node.value:
            if key_node.value == key:
                self._own(value_node, (*place, key))
                if isinstance(value_node, yaml.ScalarNode) and "${" in value_node.value:
                    raise self._refused((*place, key), f"it comes from {value_node.value}; change that")
                space = " " if value_node.start_mark.index == value_node.end_mark.index else ""
                return self._replaced(value_node, value_node, space + _written(value))
        said = f"{key}: {_written(value)}"
        if node.flow_style:
            at = node.start_mark.index + 1
            return f"{self._text[:at]}{said}{', ' if node.value else ''}{self._text[at:]}"
        first = node.value[0][0].start_mark
        newline = "\r\n" if "\r\n" in self._text else "\n"
        return f"{self._text[: first.index]}{said}{newline}{' ' * first.column}{self._text[first.index :]}"

    def _replaced(self, start: yaml.Node, end: yaml.Node, said: str) -> str:
        """The text with this in place of nodes; a comment behind it stays where it stands if there is room."""
        first, last = start.start_mark.index, end.end_mark.index
        rest = self._text[last:]
        if gap := _GAP.match(rest):
            longer = len(said) - (last - first)
            rest = " " * max(2, len(gap[0]) - max(0, longer)) + rest[gap.end() :]
        return self._text[:first] + said + rest


def _all(node: yaml.Node | None) -> Iterator[yaml.Node]:
    """Every node, as often as the file names it; what an alias names is not entered again."""
    seen: set[int] = set()
    stack = [node] if node is not None else []
    while stack:
        one = stack.pop()
        yield one
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, yaml.MappingNode):
            stack += [part for pair in one.value for part in pair]
        elif isinstance(one, yaml.SequenceNode):
            stack += one.value


def _key(there: dict[str, Any], language: str) -> str:
    """The key that a language has in a mapping of values, however its tag is written there."""
    for key in there if language else ():
        try:
            if key != "default" and normalize(key) == language:
                return key
        except InvalidLanguage:
            continue
    return language or "default"


def _written(value: Any) -> str:
    """A value as it is written in a catalog."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_written(one)}" for key, one in value.items()) + "}"
    return orjson.dumps(value).decode()
