"""The output terms of models: as declared in the catalog, else by the model's name.

A row names its models (``lineage.makers[].model``). The manifest lists the models' names in lineage, which models
consist of others, and the terms declared in the catalog. For rows of an upstream dataset its manifest is searched too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from curate.engine.store.integrity import read_sealed
from curate.steps.outputs import Version
from outputs.licensing.licenses import LicenseDatabase, Terms

_ARROW = " → "
NONE = "none"


@dataclass(frozen=True)
class KnownModel:
    """What a manifest says about one model."""

    model: str
    """``name@revision``."""
    makers: tuple[str, ...]
    """The prefixes of its names in lineage."""
    terms: str | None = None
    """The terms declared in the catalog."""
    outer: tuple[str, ...] = ()
    """The terms declared for models that contain it."""


def hops(maker: str) -> list[str]:
    """The models in a lineage name: a translation chain (``a@1 → b@2``) is several."""
    return [one for part in maker.split(_ARROW) if (one := part.strip())]


def claims(about: Mapping[str, Any], hop: str) -> bool:
    """Whether a lineage name belongs to a model of a manifest."""
    return _begins(hop, _makers(about))


def _makers(about: Mapping[str, Any]) -> tuple[str, ...]:
    makers = about.get("makers", [about["model"]] if about.get("model") else [])
    return tuple(map(str, makers)) if isinstance(makers, list) else ()


def _begins(hop: str, makers: Sequence[str]) -> bool:
    return any(hop == maker or hop.startswith(f"{maker}+") for maker in makers)


def known_models(version: Version) -> tuple[KnownModel, ...]:
    """All models in a version's manifest and in those of upstream versions, as far as the store has them."""
    return tuple(dict.fromkeys(one for models in _manifests(version) for one in _of(models)))


def _manifests(version: Version) -> Iterator[Mapping[str, Any]]:
    datasets = version.folder.parent.parent
    left: list[Mapping[str, Any]] = [version.manifest]
    seen: set[tuple[str, str]] = set()
    while left:
        manifest = left.pop()
        models = manifest.get("models")
        yield models if isinstance(models, Mapping) else {}
        for source in manifest.get("sources", ()):
            if not isinstance(source, Mapping) or source.get("use") != "dataset":
                continue
            name = (str(source.get("name", "")), str(source.get("version", "")))
            path = datasets / name[0] / name[1] / "manifest.json"
            if name not in seen and (below := read_sealed(path)) is not None:
                seen.add(name)
                left.append(below)


def _of(models: Mapping[str, Any]) -> Iterator[KnownModel]:
    entries = {name: about for name, about in models.items() if isinstance(about, Mapping)}
    outer: dict[str, list[str]] = {}
    for about in entries.values():
        for name in _inside(about, entries) if about.get("terms") else ():
            outer.setdefault(name, []).append(str(about["terms"]))
    for name, about in entries.items():
        declared = str(about["terms"]) if about.get("terms") else None
        yield KnownModel(str(about.get("model", "")), _makers(about), declared, tuple(sorted(set(outer.get(name, [])))))


def _inside(about: Mapping[str, Any], models: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """The models that one consists of, recursively."""
    members: set[str] = set()
    left = list(about.get("members", ()))
    while left:
        name = left.pop()
        if name in models and name not in members:
            members.add(name)
            left += models[name].get("members", ())
    return members


def answers(hop: str, book: LicenseDatabase, known: Sequence[KnownModel]) -> tuple[tuple[Terms, ...], str] | None:
    """The output terms of one model, and a remark; None if unknown.

    Terms declared for the model come first, then those declared for a model that contains it, then the licence list's
    entry for its lineage name, then for its own name. If the catalog declares several terms for the same model, all
    apply.
    """
    mine = [one for one in known if _begins(hop, one.makers)]
    declared = {one.terms for one in mine if one.terms} or {terms for one in mine for terms in one.outer}
    if declared:
        parts = (term for text in sorted(declared - {NONE}) for way in book.alternatives(text)[:1] for term in way)
        return tuple(dict.fromkeys(parts)), ""
    # After a '+' there may be the model that answered instead, according to the server.
    for name in dict.fromkeys([hop.rpartition("+")[2], hop, *(one.model for one in mine)]):
        if (entry := book.of_model(name)) is not None:
            return ((entry[0],) if entry[0] else ()), entry[1]
    return None
