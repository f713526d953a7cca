"""Every model that had a hand in a row leads to the terms its answers come under: what the catalog said, else what its
name tells.

A row names who made it (``lineage.makers[].model``); a manifest tells under which names its models stand there, which
models are made of others, and what the catalog said of their terms. Rows of a dataset that was built on another are
looked up in that one's manifest too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from curate.engine.store.integrity import read_sealed
from curate.steps.outputs import Version
from outputs.licensing.licenses import Book, Terms

_ARROW = " → "
NONE = "none"


@dataclass(frozen=True)
class Known:
    """What a manifest tells of one model."""

    model: str
    """``name@revision``."""
    makers: tuple[str, ...]
    """How its names in lineage begin."""
    terms: str | None = None
    """What the catalog says."""
    outer: tuple[str, ...] = ()
    """What the catalog says of models that are made of it."""


def hops(maker: str) -> list[str]:
    """The models that a name in lineage stands for: a chain of translators (``a@1 → b@2``) is several."""
    return [one for part in maker.split(_ARROW) if (one := part.strip())]


def claims(about: Mapping[str, Any], hop: str) -> bool:
    """Whether a name in lineage stands for a model of a manifest."""
    return _begins(hop, _makers(about))


def _makers(about: Mapping[str, Any]) -> tuple[str, ...]:
    given = about.get("makers", [about["model"]] if about.get("model") else [])
    return tuple(map(str, given)) if isinstance(given, list) else ()


def _begins(hop: str, makers: Sequence[str]) -> bool:
    return any(hop == maker or hop.startswith(f"{maker}+") for maker in makers)


def known_models(version: Version) -> tuple[Known, ...]:
    """All models that a version's manifest tells of, and those of the versions it was built on, as far as the store has
    them."""
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


def _of(models: Mapping[str, Any]) -> Iterator[Known]:
    found = {name: about for name, about in models.items() if isinstance(about, Mapping)}
    outer: dict[str, list[str]] = {}
    for about in found.values():
        for name in _inside(about, found) if about.get("terms") else ():
            outer.setdefault(name, []).append(str(about["terms"]))
    for name, about in found.items():
        said = str(about["terms"]) if about.get("terms") else None
        yield Known(str(about.get("model", "")), _makers(about), said, tuple(sorted(set(outer.get(name, [])))))


def _inside(about: Mapping[str, Any], models: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """The models that one is made of, and those that these are made of."""
    found: set[str] = set()
    left = list(about.get("members", ()))
    while left:
        name = left.pop()
        if name in models and name not in found:
            found.add(name)
            left += models[name].get("members", ())
    return found


def answers(hop: str, book: Book, known: Sequence[Known]) -> tuple[tuple[Terms, ...], str] | None:
    """The terms that answers of one model come under, and a remark; None if nobody knows.

    What the catalog says of the model comes first, then what it says of a model that is made of it, then what the list
    says of its name in lineage, and of its own. Where the catalog says several things of the same model, all hold.
    """
    mine = [one for one in known if _begins(hop, one.makers)]
    said = {one.terms for one in mine if one.terms} or {terms for one in mine for terms in one.outer}
    if said:
        parts = (term for text in sorted(said - {NONE}) for way in book.alternatives(text)[:1] for term in way)
        return tuple(dict.fromkeys(parts)), ""
    # Behind a '+' may stand the model that answered in its place, by the server's word.
    for name in dict.fromkeys([hop.rpartition("+")[2], hop, *(one.model for one in mine)]):
        if (found := book.of_model(name)) is not None:
            return ((found[0],) if found[0] else ()), found[1]
    return None
