"""Templates: text with ``{column}`` in it; a template that is only one column passes that column's value unchanged.

The braces are those of :mod:`curate.text.templates`. ``{metadata.score}`` looks inside an object, ``{turns[0]}`` or
``{turns.0}`` inside a list (``-1`` is its last element), and ``{input?}`` is a column that a file may lack. Text
without braces is the name of one column; in single quotes (``'true'``) it is that text for every row.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from typing import Any, Final

from curate.text import templates
from sources.values import BadValue as BadValue
from sources.values import as_key as as_key
from sources.values import as_text as as_text
from sources.values import nothing

_NAME = r"[^{}]*[^{} ?][^{}]*"
_QUOTED = re.compile(r"'([^{}]+)'")
_NAMELESS = re.compile(r"\{[ ?]*\}")
Row = Mapping[str, Any]
Get = Callable[[Row], Any]

ROW: Final = "@row"
"""Pseudo-column: the number of records before this one in the file (0 for the first), bad ones included."""
LINE: Final = "@line"
"""Pseudo-column: the line (from 1) on which the record begins; null in formats without lines."""
UNIT: Final = "@unit"
"""Pseudo-column: the name of the record's file (or Hub split)."""
PSEUDO: Final = (ROW, LINE, UNIT)


class Missing(enum.Enum):
    """The value of a column that a row does not have; not the same as null."""

    MISSING = "missing"


MISSING: Final = Missing.MISSING


@dataclass(frozen=True)
class Column:
    """One column named in a template."""

    name: str
    """As written, without a trailing ``?``."""
    optional: bool = False

    @cached_property
    def path(self) -> tuple[str | int, ...]:
        """The top-level column and the keys and places inside it, unless the whole name is a column."""
        return templates.path(self.name)

    @property
    def root(self) -> str:
        """The top-level column, unless the whole name is one."""
        return str(self.path[0])

    def getter(self) -> Get:
        """A function that gives the value in a row, or MISSING. A column whose name has dots or brackets takes
        precedence over a path."""
        name = self.name
        root, *inside = self.path
        if not inside:
            return lambda row: row.get(name, MISSING)

        def walk(row: Row) -> Any:
            value = row.get(name, MISSING)
            if value is not MISSING:
                return value
            value = row.get(str(root), MISSING)
            for part in inside:
                if isinstance(value, dict):
                    value = value.get(part, MISSING) if isinstance(part, str) else MISSING
                elif isinstance(value, list):
                    try:
                        value = value[int(part)]
                    except (ValueError, IndexError):
                        return MISSING
                elif value is None:
                    return None
                else:
                    return MISSING
            return value

        return walk


@dataclass(frozen=True)
class Template:
    """A parsed template: literal pieces and columns in order."""

    text: str
    pieces: tuple[str | Column, ...]

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns it names, in order."""
        return tuple(piece for piece in self.pieces if isinstance(piece, Column))

    @property
    def single(self) -> Column | None:
        """Its column, if it is one column and nothing else."""
        return self.pieces[0] if len(self.pieces) == 1 and isinstance(self.pieces[0], Column) else None

    def getter(self, empty: frozenset[str] = frozenset(), text: Callable[[Any], str] = as_text) -> Get:
        """A function that gives the value for a row.

        For a single column the unchanged value (MISSING if the row lacks it); otherwise a text in which null, missing
        and ``empty`` values leave nothing, or MISSING if the row lacks all of the columns.

        Args:
            text: converts a value that is not text, where it becomes part of one.
        """
        if self.single is not None:
            get = self.single.getter()
            return (lambda row: None if nothing(value := get(row), empty) else value) if empty else get
        parts = [(piece, None) if isinstance(piece, str) else ("", piece.getter()) for piece in self.pieces]
        constant = all(get is None for _, get in parts)

        def fill(row: Row) -> Any:
            out: list[str] = []
            has_column = constant
            for literal, get in parts:
                if get is None:
                    out.append(literal)
                    continue
                value = get(row)
                if value is MISSING:
                    continue
                has_column = True
                if value is None or (empty and nothing(value, empty)):
                    continue
                out.append(value if type(value) is str else text(value))
            return "".join(out) if has_column else MISSING

        return fill


def parse(text: str) -> Template:
    """Parses a template.

    Raises:
        ValueError: an unmatched brace, no name between braces, or a malformed index.
    """
    if not text.strip():
        raise ValueError("a template is empty; write a column name or text with {column} in it")
    if (quoted := _QUOTED.fullmatch(text.strip())) is not None:
        return Template(text, (quoted[1],))
    if "{" not in text and "}" not in text:
        return Template(text, (_column(text.strip()),))
    try:
        parts = templates.parse(text, _NAME)
    except templates.UnpairedBraceError as error:
        if _NAMELESS.match(text, error.place):
            raise ValueError(f"'{text}' names no column between the braces at character {error.place + 1}") from None
        other = "{}"[error.brace == "{"]
        raise ValueError(
            f"'{text}' has a '{error.brace}' without '{other}' at character {error.place + 1}; "
            f"a literal brace is written '{error.brace * 2}'"
        ) from None
    pieces: list[str | Column] = []
    for literal, name in parts:
        if literal:
            pieces.append(literal)
        if name is not None:
            pieces.append(_column(name))
    return Template(text, tuple(pieces))


def _column(name: str) -> Column:
    column = Column(name.removesuffix("?"), name.endswith("?") and len(name) > 1)
    templates.path(column.name)  # a malformed index is an error of the catalog, not of the data
    return column


def check_columns(templates: Iterable[Template], rows: Sequence[Row], where: str) -> str | None:
    """The error if a template names a column that none of the rows has; else None."""
    columns = {column for template in templates for column in template.columns if not column.optional}
    for column in sorted(columns, key=lambda column: column.name):
        if column.name in PSEUDO:
            continue
        get = column.getter()
        if any(get(row) is not MISSING for row in rows):
            continue
        known = known_names(rows)
        near = get_close_matches(column.name, known, n=1, cutoff=0.6)
        near = near or get_close_matches(
            column.name.lower(), [name for name in known if name.lower() == column.name.lower()]
        )
        hint = f" (did you mean '{near[0]}'?)" if near else ""
        return (
            f"{where} has no column '{column.name}'{hint}; its columns are {', '.join(known) or 'none'}. "
            f"Write '{column.name}?' if only some files have it"
        )
    return None


def known_names(rows: Iterable[Row], limit: int = 40) -> list[str]:
    """The column names of some rows, in order of appearance, with the names one level inside objects."""
    names: dict[str, None] = {}
    for row in rows:
        for name, value in row.items():
            if name in PSEUDO:
                continue
            names.setdefault(printable(name))
            if isinstance(value, dict):
                names.update(dict.fromkeys(printable(f"{name}.{inner}") for inner in value))
    return list(names)[:limit]


def printable(name: object) -> str:
    """A name that can be displayed: files may contain names that terminals cannot show, or very long ones."""
    return str(name).encode("utf-8", "backslashreplace").decode()[:120]
