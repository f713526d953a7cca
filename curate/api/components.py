"""Methods that installed components give to catalogs and datasets in code; their parameters, for editors and type
checkers, are in ``components.pyi``, which ``python -m tests.stubs`` writes."""

from __future__ import annotations

from typing import Any, Self


class CatalogMethods:
    """``source`` and ``model`` with the parameters of each installed one."""

    def source(self, name: str, use: str, /, **parameters: Any) -> Self:
        """Adds a source: a name for it, the installed source that it uses, and that one's parameters."""
        return self._add("sources", name, {"use": use, **parameters})

    def model(self, name: str, use: str, /, **parameters: Any) -> Self:
        """Adds a model: a name for it, the installed model that it uses, and that one's parameters."""
        return self._add("models", name, {"use": use, **parameters})

    def _add(self, section: str, name: str, values: dict[str, Any]) -> Self:
        raise NotImplementedError


class DatasetMethods:
    """One method for each installed step, and ``output`` with the parameters of each installed output."""

    def output(self, output: str, /, **parameters: Any) -> Self:
        """Adds a form in which ``curate export`` writes it."""
        return self._append("output", output, parameters)

    def step(self, step: str, /, **parameters: Any) -> Self:
        """Adds a step by its name, such as one of a plug-in that editors do not know."""
        return self._append("step", step, parameters)

    def _append(self, what: str, name: str, parameters: dict[str, Any]) -> Self:
        raise NotImplementedError
