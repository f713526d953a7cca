"""Recipes: small catalogs that build what a published method builds, each with statements that its rows must pass."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from curate.catalog.document import read_document, read_value
from curate.catalog.suggestions import nearest
from curate.engine.dataset import Built
from curate.errors import RecipeError
from curate.rows import Kind
from curate.steps import Registry

_PACKAGE = Path(__file__).resolve().parents[1]
HOME = _PACKAGE / "shipped" if (_PACKAGE / "shipped").is_dir() else _PACKAGE.parent
"""The folder with ``recipes/``, the quick start's catalogs and the ``data/`` that they read: in a wheel inside the
package, in a checkout its root."""
_DATA = "../../data/"
_HEAD = re.compile(r"---\n(.*?)^---\n+(.*)", re.M | re.S)
_SLOT = re.compile(r"^  ([\w-]+): +(.*?)( +#.*)?$")
_RECORDED = re.compile(r"^(  ([\w-]+): )\{use: recorded, [^{}]*\}", re.M)
_ROWS = re.compile(r'use: (?:jsonl|json|csv|tsv|parquet)(?=, path: "\$\{variables\.data\}")')
_FORMATS = ("jsonl", "json", "csv", "tsv", "parquet")
_COMPRESSED = (".gz", ".zst", ".bz2", ".xz")
_PLAIN = re.compile(r"[A-Za-z0-9_./-]+")

Needs = Literal["nothing", "embedded", "language model"]


class Head(BaseModel):
    """The first lines of a recipe's README, between ``---``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    line: str
    """What it builds, in one line."""
    kinds: tuple[Kind, ...]
    """The kinds of rows of its datasets."""
    needs: Needs
    """What it takes besides curate: ``nothing``, the models of the extra ``embedded``, or a language model."""
    papers: tuple[str, ...]
    """The papers whose data it builds, by title."""


@dataclass(frozen=True)
class Recipe:
    """A recipe as it is shipped."""

    id: str
    """Its name, that of its folder."""
    folder: Path
    """Has ``catalog.yaml``, ``expect.sql``, ``README.md`` and, if it asks a language model, ``answers.jsonl``."""

    @cached_property
    def _readme(self) -> tuple[Head, str]:
        path = self.folder / "README.md"
        found = _HEAD.fullmatch(path.read_text(encoding="utf-8"))
        if found is None:
            raise RecipeError(f"{path}: it does not begin with '---', line, kinds, needs, papers, '---'")
        try:
            return Head.model_validate(read_value(found[1], path.name)), found[2]
        except ValidationError as error:
            told = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
            raise RecipeError(f"{path}: {told}") from None

    @property
    def head(self) -> Head:
        """What its README begins with.

        Raises:
            RecipeError: something is missing there, or is not known.
        """
        return self._readme[0]

    @property
    def text(self) -> str:
        """The README without its head."""
        return self._readme[1]

    @cached_property
    def catalog(self) -> str:
        """The text of its catalog."""
        return (self.folder / "catalog.yaml").read_text(encoding="utf-8")

    @cached_property
    def slots(self) -> dict[str, Any]:
        """The catalog's variables with their values: what :func:`new_from_recipe` can set."""
        variables: dict[str, Any] = self._values.get("variables", {})
        return variables

    @cached_property
    def models(self) -> tuple[str, ...]:
        """Its language models, which answer from a file until they are given a server."""
        return tuple(name for name, model in self._values.get("models", {}).items() if model.get("use") == "recorded")

    @cached_property
    def embedded(self) -> dict[str, str]:
        """Its other models (translators, encoders, identifiers) with what each uses."""
        models = self._values.get("models", {})
        return {name: str(model["use"]) for name, model in models.items() if name not in self.models}

    @cached_property
    def _values(self) -> dict[str, Any]:
        return dict(read_document(self.folder / "catalog.yaml", "catalog.yaml").values)

    @cached_property
    def expectations(self) -> tuple[Expectation, ...]:
        """The statements of ``expect.sql``, each with the comment above it."""
        text = (self.folder / "expect.sql").read_text(encoding="utf-8")
        found = []
        for statement in re.split(r";[ \t]*$", text, flags=re.M):
            lines = statement.strip().splitlines()
            said = [line.removeprefix("--").strip() for line in lines if line.startswith("--")]
            sql = "\n".join(line for line in lines if not line.startswith("--")).strip()
            if sql:
                found.append(Expectation(" ".join(said), sql))
        return tuple(found)


@dataclass(frozen=True)
class Expectation:
    """A statement about what a recipe builds."""

    says: str
    """What holds, in words."""
    sql: str
    """A query whose rows are those for which it does not hold."""


@dataclass(frozen=True)
class Verified:
    """What :func:`verify` found."""

    id: str
    built: tuple[Built, ...]
    held: tuple[str, ...]
    """What holds."""
    failed: tuple[str, ...]
    """What does not, each with its first rows."""


def recipes(word: str = "") -> list[Recipe]:
    """The recipes whose id, line, kinds, needs or papers have this word, by id; all without a word.

    Raises:
        RecipeError: there are none in this installation.
    """
    folders = sorted(path.parent for path in (HOME / "recipes").glob("*/catalog.yaml"))
    if not folders:
        raise RecipeError(f"there are no recipes in {HOME}: install curate again")
    every = [Recipe(folder.name, folder) for folder in folders]
    return [one for one in every if not word or word.lower() in _words(one)]


def _words(recipe: Recipe) -> str:
    head = recipe.head
    return " ".join([recipe.id, head.line, *map(str, head.kinds), head.needs, *head.papers]).lower()


def recipe(name: str) -> Recipe:
    """The recipe with this id.

    Raises:
        RecipeError: there is none.
    """
    known = {one.id: one for one in recipes()}
    if name not in known:
        raise RecipeError(f"no recipe is called '{name}'{nearest(name, known)}; 'curate recipes' lists them")
    return known[name]


def verify(name: str, folder: Path | None = None) -> Verified:
    """Builds a recipe as it is shipped, in a folder of its own, and runs the statements of its ``expect.sql``.

    Args:
        folder: where to build; by default a temporary folder.

    Raises:
        RecipeError: there is no such recipe.
        BuildError: it cannot be built.
        QueryError: a statement cannot be run.
    """
    from curate.api.catalog import load_catalog
    from curate.api.datasets import build
    from curate.api.store import open_store
    from curate.sql import Database

    found = recipe(name)
    if folder is None:
        with TemporaryDirectory(prefix="curate-recipe-") as made:
            return verify(name, Path(made))
    catalog = load_catalog(copied(found, folder) / "catalog.yaml")
    built = build(catalog)
    held, failed = [], []
    with Database(open_store(catalog=catalog)) as database:
        for one in found.expectations:
            rows = database.query(one.sql)
            if rows.is_empty():
                held.append(one.says)
            else:
                first = "\n".join(
                    f"  {json.dumps(row, ensure_ascii=False, default=str)}" for row in rows.to_dicts()[:3]
                )
                failed.append(f"{one.says} ({rows.height} rows)\n{first}")
    return Verified(name, tuple(built), tuple(held), tuple(failed))


def copied(found: Recipe, folder: Path) -> Path:
    """A copy of a recipe and of the demo data in a folder, to be built there; the copy's own folder."""
    shutil.copytree(HOME / "data", folder / "data", dirs_exist_ok=True)
    return Path(shutil.copytree(found.folder, folder / "recipes" / found.id, ignore=shutil.ignore_patterns(".curate")))


def new_from_recipe(
    name: str,
    folder: Path,
    *,
    data: str | None = None,
    language: str | None = None,
    to: Sequence[str] = (),
    writer: str | None = None,
    models: Sequence[str] = (),
    slots: Mapping[str, Any] | None = None,
) -> Path:
    """Writes a recipe into a new folder, with slots set, and checks its catalog there.

    The demo data that it still reads is copied, and so are the recorded answers if no ``writer`` is given. Files are
    written as seen from the new folder.

    Args:
        folder: must not exist, or be empty.
        data: your rows: a file, a folder or a URL, in place of the slot ``data``. Their licence is ``unknown`` until
            the slot ``license`` is set.
        language: their language.
        to: other languages.
        writer: the URL of a server with OpenAI's protocol, in place of recorded answers.
        models: the model there; of several, ``MODEL=NAME`` for each language model of the recipe. Of a translator,
            encoder or identifier of the recipe, ``MODEL=NAME`` with the name of an installed one.
        slots: more variables of the catalog with their values.

    Returns:
        The new catalog.

    Raises:
        RecipeError: there is no such recipe or slot, the folder is not empty, or a server or model is missing.
        CatalogError: the catalog that comes out is wrong.
        BuildError: your rows cannot be found.
    """
    from curate.api.catalog import load_catalog
    from curate.api.datasets import check, plan

    found = recipe(name)
    given = {"data": data, "language": language, "to": list(to) or None}
    wanted = {**(slots or {}), **{slot: value for slot, value in given.items() if value is not None}}
    for slot in wanted:
        if slot not in found.slots:
            told = ", ".join(found.slots) or "none"
            raise RecipeError(f"{name} has no slot '{slot}'{nearest(slot, found.slots)} (it has: {told})")
    if to and not isinstance(found.slots["to"], list):
        if len(to) > 1:
            raise RecipeError(f"{name} has one other language; write a folder for each of {', '.join(to)}")
        wanted["to"] = to[0]
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RecipeError(f"{folder} is there already; name another folder")
    if data is not None and "://" not in data and not re.search(r"[*?\[]", data) and not Path(data).exists():
        raise RecipeError(f"there is no file or folder {data}")
    if data is not None and "license" in found.slots:
        wanted = {"license": "unknown", **wanted}
    text = _with_slots(found.catalog, _relative(wanted, folder))
    if data is not None:
        text = _ROWS.sub(f"use: {_format(data)}", text) if _format(data) else text
    swapped = {slot: use for slot, _, use in (one.partition("=") for one in models) if slot in found.embedded}
    text = _with_embedded(found, text, swapped)
    language_models = [one for one in models if one.partition("=")[0] not in swapped]
    text = _with_writer(found, text, writer, language_models, changed=bool(wanted))
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Beside the folder, so that relative paths are the same there; nothing is left of a catalog that is wrong.
    with TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as made:
        draft = Path(made)
        for top in sorted(set(re.findall(re.escape(_DATA) + r"([\w-]+)", text))):
            shutil.copytree(HOME / "data" / top, draft / "data" / top)
        for file in found.folder.iterdir():
            if file.name == "README.md" or file.name in text:
                shutil.copy(file, draft)
        (draft / "catalog.yaml").write_text(text.replace(_DATA, "data/"), encoding="utf-8")
        check(load_catalog(draft / "catalog.yaml"))
        plan(draft / "catalog.yaml")  # the rows can be found
        shutil.copytree(draft, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".curate"))
    return folder / "catalog.yaml"


def _relative(slots: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Paths as seen from the new folder, where they are files here."""

    def seen(value: Any) -> Any:
        here = isinstance(value, str) and "://" not in value and (Path(value).exists() or "*" in value)
        return os.path.relpath(value, folder) if here else value

    return {name: seen(value) for name, value in slots.items()}


def _with_slots(text: str, slots: Mapping[str, Any]) -> str:
    """The catalog with other values of its variables; comments stay."""
    lines, inside = [], False
    for line in text.splitlines():
        if re.match(r"\S", line):
            inside = line.startswith("variables:")
        slot = _SLOT.match(line) if inside else None
        if slot and slot[1] in slots:
            line = f"  {slot[1]}: {_yaml(slots[slot[1]])}{slot[3] or ''}"
        lines.append(line)
    return "\n".join(lines) + "\n"


def _yaml(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_yaml, value))}]"
    if isinstance(value, str) and _PLAIN.fullmatch(value) and read_value(value, "slot") == value:
        return value
    return json.dumps(value, ensure_ascii=False)


def _format(data: str) -> str | None:
    """The source that reads a file of this name, if it is one of those for rows."""
    name = data.lower()
    for ending in _COMPRESSED:
        name = name.removesuffix(ending)
    return next((one for one in _FORMATS if name.endswith(f".{one}")), None)


def _with_embedded(found: Recipe, text: str, swapped: Mapping[str, str]) -> str:
    """The catalog with other installed models for its translators, encoders and identifiers."""
    registry = Registry.installed()
    for slot, use in swapped.items():
        role = registry.get("model", found.embedded[slot]).role
        known = [name for name in registry.names("model") if registry.get("model", name).role is role]
        if use not in known:
            what = role.value if role else "a model"
            raise RecipeError(
                f"{found.id}: '{use}' is not {what} that is installed{nearest(use, known)} (there are: "
                f"{', '.join(known)}; 'curate languages TAG' says which of them knows a language)"
            )
        text, count = re.subn(rf"^(  {re.escape(slot)}: )\{{[^{{}}]*\}}", rf"\g<1>{{use: {use}}}", text, flags=re.M)
        if count != 1:
            raise RecipeError(f"{found.id}: the model '{slot}' is not written on one line; change it in its catalog")
    return text


def _with_writer(found: Recipe, text: str, writer: str | None, models: Sequence[str], *, changed: bool) -> str:
    """The catalog with a server in place of recorded answers."""
    if not found.models:
        if writer is not None or models:
            other = f"; --model sets {', '.join(f'{name}=NAME' for name in found.embedded)}" if found.embedded else ""
            raise RecipeError(f"{found.id} asks no language model: leave the server and the model out{other}")
        return text
    told = f"{found.id} asks {', '.join(found.models)}"
    if writer is None and not models:
        if changed:
            raise RecipeError(f"{told}: the recorded answers are to the demo data only; give a server and a model")
        return text
    if writer is None or not models:
        raise RecipeError(f"{told}: give both, a server (--writer URL) and a model (--model NAME)")
    names = dict.fromkeys(found.models, "")
    for model in models:
        slot, equals, name = model.partition("=")
        if equals and slot not in names:
            raise RecipeError(f"{told}; there is no '{slot}'{nearest(slot, names)}")
        names |= {slot: name} if equals else {one: model for one, taken in names.items() if not taken}
    if missing := [slot for slot, name in names.items() if not name]:
        raise RecipeError(f"{told}: no model is given for {', '.join(missing)}")

    def server(match: re.Match[str]) -> str:
        return f"{match[1]}{{use: openai, url: {json.dumps(writer)}, model: {json.dumps(names[match[2]])}}}"

    return _RECORDED.sub(server, text)


__all__ = ["Expectation", "Head", "Needs", "Recipe", "Verified", "new_from_recipe", "recipe", "recipes", "verify"]
