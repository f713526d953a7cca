"""A benchmark is data: where it is, in which languages, which of its fields make an item, and under which licence.

The registry ships as ``data/benchmarks.yaml``; a name may also stand for several (``xtreme``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache

from pydantic import BaseModel, ConfigDict, model_validator

from curate.data_files import DataFile
from curate.rows import languages

Fields = tuple[str, ...]


class Benchmark(BaseModel):
    """An entry of the registry."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    title: str
    """What it is called by those who made it."""
    license: str
    """Licence of the items (an SPDX identifier where there is one), or ``unknown``."""
    note: str = ""
    """What a user should know."""
    of: tuple[str, ...] = ()
    """The benchmarks that this name stands for; nothing else is given then."""
    hub: str | None = None
    """Repository on the Hugging Face Hub; None: only local files can be used."""
    revision: str | None = None
    """Commit, or a branch such as ``refs/convert/parquet`` for what ships as a script; None: ``main``."""
    config: str | None = None
    """The configuration; ``{language}`` is the tag, ``{flores}`` the code as in FLORES (``deu_Latn``)."""
    configs: Mapping[str, str] = {}
    """The configuration of each language, where no rule tells it."""
    data_files: str | None = None
    """Files of the repository in place of a configuration; ``{config}`` and ``{split}`` are filled in."""
    splits: tuple[str, ...] = ("test",)
    """The splits that are used to test models."""
    languages: tuple[str, ...] = ()
    """The languages it is in."""
    language_field: str | None = None
    """The field that tells an item's language, where one table holds several."""
    id: str | None = None
    """The field that names an item, the same in all languages; None: its number."""
    question: Fields = ()
    """The fields that make what is looked for, in order."""
    context: Fields = ()
    """Fields that other data may have with good reason (a Wikipedia paragraph): told apart, not dropped by default."""
    options: Fields = ()
    """Fields with the choices."""
    answer: Fields = ()
    """Fields with what is right."""
    columns: Fields = ()
    """What the columns of files without a header are called."""

    @model_validator(mode="after")
    def _whole(self) -> Benchmark:
        if not self.of and not self.question:
            raise ValueError("needs 'question', or 'of'")
        for tag in self.languages:
            if languages.normalize(tag) != tag:
                raise ValueError(f"languages: '{tag}' is written '{languages.normalize(tag)}'")
        return self

    def config_of(self, language: str) -> str | None:
        """The configuration that holds a language."""
        if language in self.configs:
            return self.configs[language]
        if self.config is None:
            return None
        return self.config.replace("{language}", language).replace("{flores}", languages.flores(language))


BENCHMARKS = DataFile("filters.contamination", "data/benchmarks.yaml")


@cache
def registry() -> Mapping[str, Benchmark]:
    """All benchmarks that can be named."""
    data = BENCHMARKS.yaml()
    return {name: Benchmark(**entry) for name, entry in data["benchmarks"].items()}


def expanded(names: Iterable[str]) -> list[str]:
    """The names with those that stand for several replaced by these, each once, in order."""
    known = registry()
    found: dict[str, None] = {}
    for name in names:
        if name in known and known[name].of:
            found.update(dict.fromkeys(expanded(known[name].of)))
        else:
            found[name] = None
    return list(found)
