"""The steps, sources and models in a plug-in of one file."""

from __future__ import annotations

import inspect
from types import ModuleType

from curate.catalog.params import Params
from curate.errors import StepError
from curate.plugins import PluginFile
from curate.steps.base import Source, Step
from curate.steps.models import Model


def load_plugin(file: PluginFile) -> ModuleType:
    """Runs the file (once in a process) and tells its classes which file they are from.

    Raises:
        StepError: its code raises.
    """
    module = file.load()
    for part in _parts(module):
        part.plugin = file
    return module


def plugin_components(file: PluginFile) -> list[tuple[str, str, type[Params]]]:
    """``step``, ``source`` or ``model``, name and class of all that a file offers: functions below
    ``@curate.filter`` and concrete classes.

    Raises:
        StepError: its code raises, or it offers nothing.
    """
    found: list[tuple[str, str, type[Params]]] = []
    for part in _parts(load_plugin(file)):
        if inspect.isabstract(part) or not issubclass(part, Step | Model):
            continue
        what = "source" if issubclass(part, Source) else "step" if issubclass(part, Step) else "model"
        word = "use" if what == "model" else "tag"
        name = getattr(part, word, None)
        if not isinstance(name, str):
            raise StepError(f"{file.name}: the class {part.__name__} has no '{word}', its name in a catalog")
        found.append((what, name, part))
    if not found:
        raise StepError(f"{file.name}: there is no step in it; put '@curate.filter' above a function")
    return found


def _parts(module: ModuleType) -> list[type[Params]]:
    """The parameter classes that the module itself defines, each once."""
    values = (getattr(value, "step", value) for value in vars(module).values())
    found = (one for one in values if isinstance(one, type) and one.__module__ == module.__name__)
    return list(dict.fromkeys(one for one in found if issubclass(one, Params)))
