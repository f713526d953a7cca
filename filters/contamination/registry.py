"""The registry of benchmarks: location, languages, the fields that make an item, and licence.

It ships as ``data/benchmarks.yaml``; a name may also be an alias for several benchmarks (``xtreme``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from hashlib import blake2b

from pydantic import BaseModel, ConfigDict, model_validator

from curate.data_files import DataFile
from curate.rows import languages

Fields = tuple[str, ...]


class Benchmark(BaseModel):
    """An entry of the registry."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str
    """Its makers' name for it."""
    license: str
    """Licence of the items (an SPDX identifier where there is one), or ``unknown``."""
    aka: tuple[str, ...] = ()
    """Other names and spellings, besides those that differ in capitals, spaces and punctuation only."""
    note: str = ""
    """What users should know."""
    of: tuple[str, ...] = ()
    """The benchmarks that this alias stands for; all other fields are then empty."""
    hub: str | None = None
    """Repository on the Hugging Face Hub; None: only local files can be used."""
    revision: str | None = None
    """Commit, or a branch such as ``refs/convert/parquet`` for a repository that ships as a script; None: ``main``."""
    config: str | None = None
    """The configuration; ``{language}`` is the tag, ``{flores}`` the code as in FLORES (``deu_Latn``)."""
    configs: Mapping[str, str] = {}
    """The configuration of each language, where no pattern gives it."""
    data_files: str | None = None
    """Files of the repository instead of a configuration; ``{config}`` and ``{split}`` are filled in."""
    splits: tuple[str, ...] = ("test",)
    """The splits used to evaluate models."""
    languages: tuple[str, ...] = ()
    """The languages it covers."""
    language_field: str | None = None
    """The field with an item's language, if one table has several."""
    id: str | None = None
    """The field that identifies an item, the same in all languages; None: its row number."""
    question: Fields = ()
    """The fields that are searched for, in order."""
    context: Fields = ()
    """Fields that other data may legitimately contain (a Wikipedia paragraph): reported separately, not dropped by
    default."""
    options: Fields = ()
    """Fields with the answer choices."""
    answer: Fields = ()
    """Fields with the correct answer."""
    columns: Fields = ()
    """Column names of files without a header."""

    @model_validator(mode="after")
    def _whole(self) -> Benchmark:
        if not self.of and not self.question:
            raise ValueError("needs 'question', or 'of'")
        for tag in self.languages:
            if languages.normalize(tag) != tag:
                raise ValueError(f"languages: '{tag}' is written '{languages.normalize(tag)}'")
        return self

    @property
    def digest(self) -> str:
        """A digest of all that decides which items there are; 24 hexadecimal digits."""
        given = self.model_dump_json(exclude={"title", "aka", "note", "license"})
        return blake2b(given.encode(), digest_size=12).hexdigest()

    def config_of(self, language: str) -> str | None:
        """The configuration for a language."""
        if language in self.configs:
            return self.configs[language]
        if self.config is None:
            return None
        return self.config.replace("{language}", language).replace("{flores}", languages.flores(language))


BENCHMARKS = DataFile("filters.contamination", "data/benchmarks.yaml")


@cache
def registry() -> Mapping[str, Benchmark]:
    """All known benchmarks."""
    data = BENCHMARKS.yaml()
    return {name: Benchmark(**entry) for name, entry in data["benchmarks"].items()}


def canonical(name: str) -> str:
    """The registry's name for a benchmark as papers spell it (``XQuAD``, ``FLORES-200``); any other name as it is.

    A name that a source or dataset of a catalog may have (small letters, digits, ``-``, ``_``) is a benchmark only if
    it is the registry's own or one of ``aka``.
    """
    if name in registry():
        return name
    own, spellings = _spellings()
    return own.get(name) or (name if re.fullmatch(r"[a-z0-9_-]+", name) else spellings.get(_folded(name), name))


@cache
def _spellings() -> tuple[dict[str, str], dict[str, str]]:
    """Other name → name in the registry; and the same for names without capitals, spaces and punctuation."""
    own = {other: name for name, entry in registry().items() for other in entry.aka}
    titles = {_folded(entry.title): name for name, entry in registry().items()}
    names = {_folded(one): name for one, name in [*own.items(), *((name, name) for name in registry())]}
    return own, {**titles, **names}


def _folded(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def expanded(names: Iterable[str]) -> list[str]:
    """Replaces aliases by the benchmarks they stand for, each once, in order."""
    known = registry()
    expansion: dict[str, None] = {}
    for name in names:
        if name in known and known[name].of:
            expansion.update(dict.fromkeys(expanded(known[name].of)))
        else:
            expansion[name] = None
    return list(expansion)
