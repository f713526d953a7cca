"""Parses a catalog file into plain values that keep their file and line.

YAML 1.2's core rules are used, not PyYAML's 1.1: ``no`` is Norwegian, not false, and ``1:30`` is text. Repeated keys,
tags that would make objects, and alias bombs are errors.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

import yaml

from curate.catalog.suggestions import nearest
from curate.errors import CurateError
from curate.files import regular

Path = tuple[str | int, ...]
_MOST_NODES = 200_000
_DEEPEST = 50


@dataclass(frozen=True, order=True)
class Mark:
    """A place in a catalog file; line and column count from 1. In a dictionary ``file`` is the place and the line 0."""

    file: str
    line: int
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that is wrong with a catalog, and where."""

    mark: Mark
    message: str

    def __str__(self) -> str:
        return f"{self.mark}: {self.message}"


class CatalogError(CurateError):
    """A catalog cannot be used; :attr:`problems` has every reason, with file and line."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = sorted(set(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))


_HALF = re.compile("[\ud800-\udfff]")


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own shape


_STANDARD = "tag:yaml.org,2002:"
_SCALARS: dict[str, re.Pattern[str]] = {}
"""Tag of a value that is no text → how it is written; a value with such a tag (``!!int``) must be written so too."""
_NAMES = {"int": "number", "float": "number", "bool": "boolean (true or false)"}
for _tag, _pattern, _first in (
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    ("int", r"^(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$", list("-+0123456789")),
    (
        "float",
        r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$",
        list("-+0123456789."),
    ),
    ("merge", r"^(?:<<)$", ["<"]),
):
    _SCALARS[_tag] = re.compile(_pattern)
    _Loader.add_implicit_resolver(f"{_STANDARD}{_tag}", _SCALARS[_tag], _first)


@dataclass
class Document:
    """A file's values, and the mark of each place in them by path (``("sources", "alpaca", "path")``)."""

    file: FilePath
    shown: str
    values: Any
    marks: dict[Path, Mark] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def mark(self, path: Path) -> Mark:
        """The mark of a place, or of the nearest place around it."""
        while path not in self.marks and path:
            path = path[:-1]
        return self.marks.get(path, Mark(self.shown, 1))


def read_document(file: FilePath, shown: str) -> Document:
    """Reads one catalog file.

    Args:
        file: the file.
        shown: its name in messages.

    Raises:
        CatalogError: it is not there, not UTF-8, or not YAML.
    """
    document = Document(file, shown, None)
    try:
        text = regular(file).read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        near = nearest(file.name, [path.name for path in file.parent.glob("*.y*ml")] if file.parent.is_dir() else [])
        raise CatalogError([Problem(Mark(shown, 1), f"there is no such file{near}")]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise CatalogError([Problem(Mark(shown, 1), f"cannot be read: {error}")]) from None
    return parse(text, document)


def nodes(text: str) -> yaml.Node | None:
    """The nodes of a text that :func:`read_document` could read, with their places in it.

    Raises:
        yaml.YAMLError: it is not YAML.
    """
    return _Loader(text).get_single_node()


def from_values(values: Mapping[str, Any], file: FilePath) -> Document:
    """A document of what one would write into a catalog file, as a dictionary.

    Args:
        file: where it would be, for relative paths.

    Raises:
        CatalogError: there is something in it that YAML cannot say.
    """

    def placed(path: Path) -> Mark:
        return Mark("".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)[1:] or "catalog", 0)

    document = Document(file, "catalog", None)
    document.values = plain(values, (), document, placed)
    if document.problems:
        raise CatalogError(document.problems)
    return document


def plain(value: Any, path: Path, document: Document, placed: Callable[[Path], Mark]) -> Any:
    """A value as a catalog file would say it; what YAML cannot say is added to the document's problems.

    Args:
        path: its place in the document.
        placed: gives the mark of each place, which is added to the document.
    """
    mark = document.marks[path] = placed(path)
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                document.problems.append(Problem(mark, f"the key {key!r} is no text"))
        return {str(key): plain(inner, (*path, str(key)), document, placed) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner, (*path, index), document, placed) for index, inner in enumerate(value)]
    if isinstance(value, FilePath):
        return str(value)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    said = None if number and not isinstance(value, int) and not math.isfinite(value) else value
    if isinstance(said, str | int | float | bool | None) and said is value:
        return value
    message = f"a catalog holds only texts, finite numbers, true, false, null, lists and mappings, not {value!r:.60}"
    document.problems.append(Problem(mark, message))
    return None


class _Dumper(yaml.SafeDumper):
    """Puts quotes around what the reader here would take for something else than a text."""

    yaml_implicit_resolvers = _Loader.yaml_implicit_resolvers

    def ignore_aliases(self, data: Any) -> bool:
        return True


def to_yaml(values: Mapping[str, Any]) -> str:
    """What :func:`read_document` reads as the same values."""
    return yaml.dump(values, Dumper=_Dumper, allow_unicode=True, sort_keys=False, default_flow_style=None, width=110)


def read_value(text: str, shown: str) -> Any:
    """One value written as in a catalog (``[sw, no]``, ``0.7``, ``null``).

    Args:
        text: the YAML.
        shown: where it comes from, in messages.

    Raises:
        CatalogError: it is not YAML.
    """
    document = parse(text, Document(FilePath(), shown, None))
    return document.values if text.strip() else None


def parse(text: str, document: Document) -> Document:
    """The document with the values and marks of a text.

    Raises:
        CatalogError: it is not YAML.
    """
    shown = document.shown
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
    except RecursionError:
        raise CatalogError([Problem(Mark(shown, 1), "lists and mappings are nested too deeply")]) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        message = getattr(error, "problem", None) or str(error)
        if isinstance(error, yaml.reader.ReaderError):  # a character that YAML does not allow
            before = text[: error.position].split("\n")
            line, column, message = (
                len(before),
                len(before[-1]) + 1,
                f"the character U+{ord(text[error.position]):04X} may not stand here",
            )
        raise CatalogError([Problem(Mark(shown, line, column), f"not valid YAML: {message}")]) from None
    document.values = {} if node is None else _Reader(document).value(node, ())
    if document.problems:
        raise CatalogError(document.problems)
    return document


class _Reader:
    def __init__(self, document: Document) -> None:
        self._document = document
        self._count = 0
        self._open: set[int] = set()

    def value(self, node: yaml.Node, path: Path) -> Any:
        self._count += 1
        mark = Mark(self._document.shown, node.start_mark.line + 1, node.start_mark.column + 1)
        self._document.marks.setdefault(path, mark)
        if self._count > _MOST_NODES or id(node) in self._open:
            self._problem(mark, "aliases unfold without end; write the values out")
            raise CatalogError(self._document.problems)
        if len(self._open) >= _DEEPEST:
            self._problem(mark, f"lists and mappings are nested more than {_DEEPEST} deep inside each other")
            raise CatalogError(self._document.problems)
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                self._tagged(node, "map")
                return self._mapping(node, path)
            if isinstance(node, yaml.SequenceNode):
                self._tagged(node, "seq")
                return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
            return self._scalar(node, mark)
        finally:
            self._open.discard(id(node))

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        values: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key_node, value_node in node.value:
            mark = Mark(self._document.shown, key_node.start_mark.line + 1, key_node.start_mark.column + 1)
            if key_node.tag == f"{_STANDARD}merge" and key_node.value == "<<":
                for part in value_node.value if isinstance(value_node, yaml.SequenceNode) else [value_node]:
                    given = self.value(part, path)
                    if isinstance(given, dict):
                        merged = {**given, **merged}
                    else:
                        self._problem(mark, "'<<' merges mappings only")
                continue
            if not isinstance(key_node, yaml.ScalarNode):
                self._problem(mark, "a key must be a single word")
                continue
            self._tagged(key_node, "str", *(name for name in _SCALARS if name != "merge"))
            key = self._text(str(key_node.value), mark)
            if key in values:
                first = self._document.mark((*path, key))
                self._problem(mark, f"'{key}' is given twice here (first in line {first.line})")
                continue
            self._document.marks[*path, key] = mark
            values[key] = self.value(value_node, (*path, key))
        return {**merged, **values}

    def _tagged(self, node: yaml.Node, *allowed: str) -> str:
        """A node's tag, which must be one of these: no other is what a catalog holds."""
        tag = node.tag.removeprefix(_STANDARD)
        if tag not in allowed or not node.tag.startswith(_STANDARD):
            mark = Mark(self._document.shown, node.start_mark.line + 1, node.start_mark.column + 1)
            shown = f"!!{tag}" if node.tag.startswith(_STANDARD) else node.tag
            self._problem(
                mark,
                f"the tag {shown} makes an object of this value; a catalog holds only texts, numbers, lists, mappings",
            )
        return tag

    def _scalar(self, node: yaml.Node, mark: Mark) -> Any:
        text, tag = str(node.value), self._tagged(node, "str", *_SCALARS)
        if tag in _SCALARS and not _SCALARS[tag].match(text) and not (tag == "float" and _SCALARS["int"].match(text)):
            self._problem(mark, f"'{text if len(text) <= 40 else f'{text[:37]}…'}' is no {_NAMES.get(tag, tag)}")
            return None
        if tag == "null":
            return None
        if tag == "bool":
            return text.lower() == "true"
        if tag in ("int", "float"):
            return self._number(text, tag, mark)
        return self._text(text, mark)

    def _number(self, text: str, tag: str, mark: Mark) -> int | float:
        """A number that JSON can hold, for all of them end up in keys and manifests."""
        shown = text if len(text) <= 40 else f"{text[:37]}…"
        try:
            if tag == "float":
                real = float(re.sub(r"(?i)\.(inf|nan)", r"\1", text))
                if math.isfinite(real):
                    return real
            elif len(text) <= 40:
                whole = int(text, 0) if text.startswith(("0x", "0o")) else int(text)
                if -(2**63) <= whole < 2**63:
                    return whole
        except ValueError:
            self._problem(mark, f"'{shown}' is no number")
            return 0
        self._problem(mark, f"{shown} is not finite, or too large for a number; put quotes around it if it is a text")
        return 0

    def _text(self, text: str, mark: Mark) -> str:
        """A text that can be stored: JSON's escaped pairs (``\\ud83d\\ude00``) joined, no halves of pairs and no
        NUL."""
        if _HALF.search(text):
            text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
            if _HALF.search(text):
                self._problem(mark, "this text has half of a surrogate pair, which is no character")
                text = _HALF.sub("", text)
        if "\0" in text:
            self._problem(mark, "this text has a NUL character")
        return text

    def _problem(self, mark: Mark, message: str) -> None:
        self._document.problems.append(Problem(mark, message))
