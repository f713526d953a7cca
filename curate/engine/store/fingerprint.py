"""Cache keys: the digest of a recipe in canonical JSON, with everything that decides an outcome and nothing else.

The recipe is stored next to what it made, so that two recipes can be compared and the difference told to a person.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import orjson

from curate.catalog.params import Reference

if TYPE_CHECKING:
    from curate.steps import Model, Step

SCHEME = "c1"


def canonical_json(value: Any) -> bytes:
    """UTF-8 JSON with sorted keys, no blanks, and only values that have one form.

    Raises:
        TypeError: NaN, infinities, sets, or mappings with keys that are no text.
    """
    _refuse(value, "recipe")
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _refuse(value: Any, where: str) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise TypeError(f"{where}: {value} has no canonical form")
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise TypeError(f"{where}: the key {key!r} is no text")
            _refuse(inner, f"{where}.{key}")
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            _refuse(inner, f"{where}[{index}]")
    elif not isinstance(value, str | int | float | bool | None):
        raise TypeError(f"{where}: a {type(value).__name__} has no canonical form")


def digest(value: Any) -> str:
    """40 hexadecimal digits of BLAKE2b over the scheme's name and the canonical JSON."""
    data = canonical_json(value)
    return hashlib.blake2b(f"{SCHEME}:{len(data)}:".encode() + data, digest_size=20).hexdigest()


def step_recipe(action: str, step: Step, models: Mapping[str, Model], *, decisions: bool) -> dict[str, Any]:
    """The recipe of one use of a step, inputs not yet in it.

    Models enter by their identity in place of the name the catalog gives them.
    """
    params = step.identity(decisions=decisions)
    identities: dict[str, Any] = {}
    for parameter, names in step.named(Reference.MODEL).items():
        params.pop(parameter, None)
        if names:
            found = [models[name].model_identity() for name in names]
            identities[parameter] = found[0] if isinstance(getattr(step, parameter), str) else found
    for parameter in step.named(Reference.ROWS):
        params.pop(parameter, None)  # what is in them enters, not what they are called
    recipe = {"action": action, "step": step.tag, "version": step.version, "params": params, "models": identities}
    return {**recipe, **step.data_identity()}


def models_in(recipe: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The identities of the models in the recipe of a step, by parameter: one or several each."""
    return {
        parameter: list(given) if isinstance(given, list) else [given]
        for parameter, given in recipe.get("models", {}).items()
    }


def model_names(recipe: Mapping[str, Any]) -> dict[str, str | list[str]]:
    """The names of the models in the recipe of a step, by parameter: a text for one, a list for several."""
    names = {
        parameter: [str(one.get("model", one.get("use", ""))) for one in given]
        for parameter, given in models_in(recipe).items()
    }
    return {parameter: given[0] if len(given) == 1 else given for parameter, given in names.items()}


def explain(old: Any, new: Any, path: str = "") -> list[str]:
    """What differs between two recipes: ``params.min: 0.7 → 0.75``, one line a difference."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        lines: list[str] = []
        for key in sorted({*old, *new}):
            inner = f"{path}.{key}" if path else str(key)
            if key not in old:
                lines.append(f"{inner}: (default) → {_short(new[key])}")
            elif key not in new:
                lines.append(f"{inner}: {_short(old[key])} → (default)")
            else:
                lines += explain(old[key], new[key], inner)
        return lines
    return [] if old == new else [f"{path}: {_short(old)} → {_short(new)}"]


def _short(value: Any) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str) and len(value) > 6:
        return f"{len(value)} values"
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    return text if len(text) <= 80 else text[:77] + "…"
