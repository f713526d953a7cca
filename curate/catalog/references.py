"""Checks that the names in a catalog lead to sources, models and datasets of the right kind, and in no circle."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from curate.catalog.document import Document, Mark, Problem
from curate.catalog.document import Path as Place
from curate.catalog.model import Catalog, Names, is_version
from curate.catalog.params import Params, Reference, Role
from curate.catalog.reading import circle
from curate.catalog.suggestions import nearest


class References:
    """Looks at all names of a catalog.

    Args:
        names: the installed sources, steps and models.
        where: section and name → the file that has it.
        problems: takes what is wrong.
    """

    def __init__(self, names: Names, where: Mapping[tuple[str, str], Document], problems: list[Problem]) -> None:
        self._names = names
        self._where = where
        self._problems = problems

    def check(self, catalog: Catalog, raw: Mapping[str, Mapping[str, Any]]) -> None:
        for name, source in catalog.sources.items():
            parent = source.parent() if source is not None else None
            if parent is not None and parent not in raw["sources"]:
                self._unknown("sources", name, ("translation_of",), "source", parent, raw["sources"])
            seen = [name]
            while parent in catalog.sources and catalog.sources[parent] is not None:
                if parent in seen:
                    self._problem(
                        self._where["sources", name],
                        ("sources", name),
                        f"sources are translations of each other in a circle: {' → '.join([*seen, str(parent)])}",
                    )
                    break
                seen.append(str(parent))
                parent = catalog.sources[parent].parent()
        known_inputs = [*raw["sources"], *raw["datasets"]]
        known_models = [*raw["models"], *self._names.names("model")]
        for name, model in catalog.models.items():
            if model is not None:
                self._named("", model, Reference.MODEL, known_models, catalog.marks["models", name])
                self._roles("", model, catalog.models, catalog.marks["models", name])
                found = circle({other: _named_models(one) for other, one in catalog.models.items()}, name)
                if found:
                    self._problem(
                        self._where["models", name],
                        ("models", name),
                        f"models are made of each other in a circle: {' → '.join(found)}",
                    )
        for name, dataset in catalog.datasets.items():
            for inner in dataset.inputs:
                if dataset.inputs.count(inner) > 1:
                    self._problem(
                        self._where["datasets", name], ("datasets", name, "from"), f"'{inner}' is named twice"
                    )
                if inner not in known_inputs and not is_version(inner):
                    self._unknown("datasets", name, ("from",), "source or dataset", inner, known_inputs)
            for step in dataset.steps:
                for kind, known in (
                    (Reference.MODEL, known_models),
                    (Reference.SOURCE, list(raw["sources"])),
                    (Reference.ROWS, known_inputs),
                ):
                    self._named(f"{step.name}.", step.params, kind, known, step.mark)
                self._roles(f"{step.name}.", step.params, catalog.models, step.mark)
            found = circle({other: one.upstream for other, one in catalog.datasets.items()}, name)
            if found:
                self._problem(
                    self._where["datasets", name],
                    ("datasets", name),
                    f"datasets are made from each other in a circle: {' → '.join(found)}",
                )

    def _named(self, prefix: str, params: Params, kind: Reference, known: Iterable[str], mark: Mark) -> None:
        known = list(known)
        every = [*known, *params.also_named(kind)]
        for parameter, names in params.named(kind).items():
            for name in names:
                if name not in known and not (kind is Reference.ROWS and is_version(name)):
                    said = f"no {kind.value} is called '{name}'{nearest(name, every)} (known: {', '.join(every)})"
                    self._problems.append(Problem(mark, f"{prefix}{parameter}: {said}"))

    def _roles(self, prefix: str, params: Params, models: Mapping[str, Any], mark: Mark) -> None:
        """A translator where an encoder is needed is a mistake that the names alone show."""

        def role_of(name: str) -> Role | None:
            # A model whose parameters are wrong is None: that is said already.
            model = models[name] if name in models else self._names.get("model", name)
            found: Role | None = getattr(model, "role", None)
            return found

        for parameter, names in params.named(Reference.MODEL).items():
            wanted = params.model_roles(parameter)
            for name in names:
                if not wanted or (name not in models and name not in self._names.names("model")):
                    continue
                role = role_of(name)
                if role is not None and role not in wanted:
                    fit = [one for one in (*models, *self._names.names("model")) if role_of(one) in wanted]
                    needed = " or ".join(sorted(one.value for one in wanted))
                    self._problems.append(
                        Problem(
                            mark,
                            f"{prefix}{parameter}: '{name}' is {role.value}, and {needed} is needed (such are: "
                            f"{', '.join(dict.fromkeys(fit))})",
                        )
                    )

    def _unknown(self, section: str, name: str, inner: Place, what: str, word: str, known: Iterable[str]) -> None:
        known = list(known)
        self._problem(
            self._where[section, name],
            (section, name, *inner),
            f"no {what} is called '{word}'{nearest(word, known)} (known: {', '.join(known)})",
        )

    def _problem(self, document: Document, place: Place, message: str) -> None:
        self._problems.append(Problem(document.mark(place), message))


def _named_models(model: Params | None) -> tuple[str, ...]:
    return tuple(name for names in model.named(Reference.MODEL).values() for name in names) if model is not None else ()
