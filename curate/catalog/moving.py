"""Rewrites the relative paths of a catalog for a file in another folder."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from curate.catalog.model import Names
from curate.catalog.reading import rooted


def moved(written: Mapping[str, Any], home: Path, folder: Path, names: Names) -> dict[str, Any]:
    """The values of a catalog in ``home`` for a file in ``folder``."""
    if home == folder:
        return dict(written)

    def entry(values: Any, paths: Collection[str] = ()) -> Any:
        return _relative(values, rooted(values, home, paths), folder) if isinstance(values, dict) else values

    def listed(values: Any, what: str) -> Any:
        known = names.names(what)
        return [
            {tag: entry(given, names.get(what, tag).path_fields if tag in known else ()) for tag, given in one.items()}
            if isinstance(one, dict)
            else one
            for one in values
        ]

    found = dict(written)
    for section in ("include", "plugins"):
        if section in found:
            found[section] = entry({"path": found[section]})["path"]
    for section in ("sources", "models"):
        if isinstance(found.get(section), dict):
            found[section] = {name: entry(values) for name, values in found[section].items()}
    if isinstance(found.get("datasets"), dict):
        found["datasets"] = {
            name: {
                key: listed(value, key.removesuffix("s")) if key in ("steps", "outputs") else value
                for key, value in values.items()
            }
            for name, values in found["datasets"].items()
        }
    if isinstance(found.get("run"), dict) and "store" in found["run"]:
        found["run"] = {**found["run"], "store": entry({"path": found["run"]["store"]})["path"]}
    return found


def _relative(before: Any, after: Any, folder: Path) -> Any:
    """Where rooting a path changed it, the same path as seen from ``folder``."""
    if isinstance(before, dict):
        return {key: _relative(value, after[key], folder) for key, value in before.items()}
    if isinstance(before, list):
        return [_relative(one, other, folder) for one, other in zip(before, after, strict=True)]
    if before == after or before.startswith("~"):
        return before
    there = Path(os.path.relpath(after, folder)).as_posix()
    return there if there.startswith("../") else f"./{there}" if before.startswith("./") else there
