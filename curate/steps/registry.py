"""The registry of installed sources, steps, models and outputs, those of curate and of plug-ins."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from curate.catalog.params import Params
from curate.errors import StepError
from curate.plugins import PluginFile
from curate.steps.plugins import plugin_components

NAME = "polycurate"
"""Name of the distribution."""
GROUPS = {"source": "curate.sources", "step": "curate.steps", "model": "curate.models", "output": "curate.outputs"}


def _checkout() -> dict[str, dict[str, str]]:
    """The entry points in the ``pyproject.toml`` of a checkout, by group, so that a new component needs no
    reinstallation.
    """
    import tomllib

    file = Path(__file__).parents[2] / "pyproject.toml"
    if not file.is_file():
        return {}
    project = tomllib.loads(file.read_text(encoding="utf-8")).get("project", {})
    groups: dict[str, dict[str, str]] = project.get("entry-points", {}) if project.get("name") == NAME else {}
    return groups


@cache
def _announced() -> dict[str, dict[str, EntryPoint]]:
    """The entry points of all installed packages, looked up once per process."""
    points: dict[str, dict[str, EntryPoint]] = {}
    checkout = _checkout()
    installed = entry_points()  # of all packages, read once
    for what, group in GROUPS.items():
        known = points.setdefault(what, {})
        here = checkout.get(group, {})  # a name is read out of a package's metadata, which takes long for each
        others = [one for one in installed.select(group=group) if here.get(one.name) != one.value]
        announced = [one for one in others if not (checkout and one.dist and one.dist.name == NAME)]
        for point in [EntryPoint(name, value, group) for name, value in here.items()] + announced:
            other = known.get(point.name)
            if other is not None and other.value != point.value:
                raise StepError(
                    f"two installed packages offer a {what} '{point.name}': {other.value} and {point.value};"
                    " uninstall one"
                )
            known[point.name] = point
    return points


@dataclass
class Registry:
    """The installed sources, steps, models and outputs, by entry point; a class is imported when it is first used."""

    _points: dict[str, dict[str, EntryPoint]] = field(default_factory=dict)
    _loaded: dict[tuple[str, str], type[Params]] = field(default_factory=dict)

    @classmethod
    def installed(cls) -> Registry:
        """The components of all installed packages.

        Raises:
            StepError: two packages register the same name.
        """
        return cls({what: dict(points) for what, points in _announced().items()})

    def add(self, what: str, name: str, loaded: type[Params]) -> None:
        """Registers a class by hand (notebooks, tests)."""
        self._points.setdefault(what, {})
        self._loaded[what, name] = loaded

    def add_plugin(self, file: PluginFile) -> list[str]:
        """Runs a plug-in of one file and registers what it offers, in place of what the same file offered before.

        Returns:
            What it offers: ``step my_filter``, ….

        Raises:
            StepError: its code raises, it offers nothing, or a name is taken.
        """
        found = plugin_components(file)
        for at, (what, name, part) in enumerate(found):
            other = self.get(what, name) if name in self.names(what) else None
            if other is not None and (other.plugin is None or other.plugin.path != file.path) and other is not part:
                by = other.plugin.name if other.plugin else f"{other.__module__} (installed)"
                raise StepError(f"{file.name}: there is already a {what} '{name}', from {by}; give yours another name")
            if (what, name) in [one[:2] for one in found[:at]]:
                raise StepError(f"{file.name}: there are two of the {what} '{name}'; give one another name")
        for what, name, part in found:
            self.add(what, name, part)
        return [f"{what} {name}" for what, name, _ in found]

    def names(self, what: str) -> list[str]:
        """The names of all components of one sort (``source``, ``step``, ``model`` or ``output``), sorted."""
        return sorted({*self._points.get(what, {}), *(name for kind, name in self._loaded if kind == what)})

    def get(self, what: str, name: str) -> type[Any]:
        """The class with that name.

        Raises:
            KeyError: no installed component has that name.
        """
        if (what, name) not in self._loaded:
            point = self._points[what][name]
            try:
                self._loaded[what, name] = point.load()
            except (ImportError, AttributeError) as error:
                raise StepError(
                    f"the {what} '{name}' ({point.value}) cannot be loaded: {error}; install its package again"
                ) from error
        return self._loaded[what, name]
