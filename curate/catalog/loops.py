"""``for:`` makes several sources or datasets out of one entry: ``${lang}`` in its name and values is one of a list."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from itertools import product
from typing import Any

from curate.catalog.document import Document, Path, Problem
from curate.catalog.suggestions import nearest
from curate.catalog.variables import Substitution

FOR = "for"
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_USE = re.compile(r"\$\{\s*([a-z][a-z0-9_]*)\s*\}")
_MOST = 1_000


Made = dict[tuple[str, str], list[tuple[str, Mapping[str, Any]]]]
"""(Section, name as written) → the names that an entry with ``for:`` makes, each with its values."""


def unrolled(document: Document, section: str, substitution: Substitution, made: Made) -> dict[str, Any]:
    """The entries of a section with variables replaced, where one with ``for:`` has become several.

    Mistakes in a ``for:`` are added to the substitution's problems. Places of made entries are marked in the document.

    Args:
        made: added to.
    """
    entries, values = document.values[section], dict[str, Any]()
    taken = {written for written, value in entries.items() if not isinstance(value, dict) or FOR not in value}
    loops = {}
    for written in [one for one in entries if one not in taken]:
        loop = (section, written, FOR)
        given = substitution.apply(document, entries[written][FOR], loop)
        loops[written] = _scopes(document, given, loop, substitution.problems)
        made[section, written] = [(_filled(written, scope), scope) for scope in loops[written]]
    for written, value in entries.items():
        place = (section, written)
        if written in taken:
            values[written] = substitution.apply(document, _with_inputs(value, made, {}), place)
            continue
        inner = {key: one for key, one in value.items() if key != FOR}
        scopes = loops[written]
        for unknown in [one for one in _USE.findall(written) if scopes and one not in scopes[0]]:
            message = f"'for:' does not set '{unknown}'{nearest(unknown, scopes[0])}"
            substitution.problems.append(Problem(document.mark(place), message))
        for scope in scopes:
            name = _filled(written, scope)
            if name in taken or name in values:
                varying = " or ".join(f"${{{one}}}" for one in scope)
                message = f"for: '{name}' is there twice; put {varying} into the name, so that each has its own"
                substitution.problems.append(Problem(document.mark(place), message))
                break
            for path, mark in [(path, mark) for path, mark in document.marks.items() if path[:2] == place]:
                document.marks.setdefault((section, name, *path[2:]), mark)
            substitution.scope = scope
            values[name] = substitution.apply(document, _with_inputs(inner, made, scope), (section, name))
            substitution.scope = {}
    return values


def _with_inputs(value: Any, made: Made, scope: Mapping[str, Any]) -> Any:
    """A dataset in whose ``from:`` the name of an entry with ``for:``, as written, has become the names of all that it
    makes; of those with the dataset's own values, where it has a ``for:`` too."""
    if not isinstance(value, dict) or "from" not in value:
        return value
    written = value["from"] if isinstance(value["from"], list) else [value["from"]]
    names: list[Any] = []
    for one in written:
        holes = _USE.findall(one) if isinstance(one, str) else []
        found = [entry for section in ("sources", "datasets") for entry in made.get((section, one), ()) if holes]
        if not found or all(hole in scope for hole in holes):
            names.append(one)
        else:
            names += [
                name for name, values in found if all(scope.get(hole, values[hole]) == values[hole] for hole in holes)
            ]
    return value if names == written else {**value, "from": names}


def makes(written: str, name: str) -> bool:
    """Whether an entry of this name as written may make one of that name."""
    parts = re.split(_USE, written)
    return re.fullmatch(".+".join(re.escape(part) for part in parts[::2]), name) is not None


def _filled(written: str, scope: Mapping[str, Any]) -> str:
    return _USE.sub(lambda match: str(scope.get(match[1], match[0])), written)


def _scopes(document: Document, given: Any, place: Path, problems: list[Problem]) -> list[dict[str, Any]]:
    """What each of the made entries has for the names of a ``for:``."""

    def wrong(message: str, *inner: str | int) -> list[dict[str, Any]]:
        problems.append(Problem(document.mark((*place, *inner)), message))
        return []

    usage = "write 'for: {lang: [de, sw]}', or a list of mappings: 'for: [{lang: de, rows: 10}, …]'"
    if isinstance(given, dict) and given:
        for name, values in given.items():
            if not isinstance(values, list) or not values:
                return wrong(f"for: '{name}' needs a list of values; {usage}", name)
        if (entries := math.prod(map(len, given.values()))) > _MOST:
            return wrong(f"for: makes {entries:,} entries; at most {_MOST:,} may be made")
        scopes = [dict(zip(given, values, strict=True)) for values in product(*given.values())]
    elif isinstance(given, list) and given and all(isinstance(one, dict) and one for one in given):
        if len(given) > _MOST:
            return wrong(f"for: makes {len(given):,} entries; at most {_MOST:,} may be made")
        scopes = given
        for index, scope in enumerate(scopes):
            if scope.keys() != scopes[0].keys():
                return wrong(f"for: all of the list have the same names ({', '.join(scopes[0])})", index)
    else:
        return wrong(f"for: {usage}")
    for name in scopes[0]:
        if not _NAME.fullmatch(name):
            return wrong(f"for: '{name}' is no name: use small letters, digits, '_', a letter first", name)
    for index, scope in enumerate(scopes):
        if scope in scopes[:index]:
            shown = ", ".join(f"{name}: {value}" for name, value in scope.items())
            return wrong(f"for: {shown} is there twice")
    return scopes
