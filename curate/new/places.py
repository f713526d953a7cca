"""What a user names (files, folders, patterns, URLs, archives) as files of each form."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from curate.errors import SourceError
from curate.redact import secrets_of_url
from curate.rows.languages import InvalidLanguage, normalize
from sources.archives import is_archive_name, split_inside
from sources.paths import COMPRESSED, bare, find
from sources.remote.addresses import is_url, public

SUFFIXES = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".jsonlines": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".tmx": "tmx",
    ".txt": "text",
}
"""Suffix of a file → its form: a source's ``use:``, or ``text`` for one document a line."""


@dataclass(frozen=True)
class Found:
    """Something to read."""

    path: str
    """As a source's ``path`` has it: a file, a URL, an archive, the prefix of a pair of Moses files."""
    form: str
    """One of :data:`SUFFIXES`, ``moses``, or empty where the name does not tell."""
    size: int | None = None
    """Bytes; None where it is not on this machine."""
    languages: tuple[str, ...] = ()
    """The languages of a pair of Moses files."""


def find_places(named: Sequence[str]) -> list[Found]:
    """What is named by files, folders, patterns, URLs and archives, in order.

    Raises:
        SourceError: a place stands for nothing, or for files of no known form.
    """
    found: dict[str, Found] = {}
    sides: list[Path] = []
    for place in named:
        if is_url(place) and any(secrets_of_url(place)):
            raise SourceError(
                f"{public(place)}: the address may hold credentials, which would be written into the catalog; put them "
                "into an environment variable, write the source by hand, and write ${NAME} in their place"
            )
        if is_url(place) or split_inside(place)[1] or is_archive_name(place):
            found[place] = Found(place, _form(split_inside(place)[1] or place))
            continue
        for file in find(place, tuple(SUFFIXES)):
            form = _form(file.name)
            if form:
                found[str(file)] = Found(str(file), form, file.stat().st_size)
            elif _tag(file) is not None:
                sides.append(file)
            else:
                raise SourceError(
                    f"{file} has no suffix that is known ({', '.join(SUFFIXES)}, or one of them and "
                    f"{', '.join(COMPRESSED)}); rename it, or write its source by hand"
                )
    return [*found.values(), *_moses(sides)]


def _form(name: str) -> str:
    return SUFFIXES.get(Path(bare(name.rpartition("/")[2])).suffix.lower(), "")


def _tag(file: Path) -> str | None:
    """The language that a Moses file's name ends in."""
    try:
        return normalize(Path(bare(file.name)).suffix[1:])
    except InvalidLanguage:
        return None


def _moses(files: Iterable[Path]) -> list[Found]:
    """Pairs of files of one prefix that end in two languages."""
    by_prefix: dict[str, list[Path]] = {}
    for file in files:
        whole = str(file.with_name(bare(file.name)))
        by_prefix.setdefault(whole.removesuffix(Path(whole).suffix), []).append(file)
    pairs = []
    for prefix, sides in by_prefix.items():
        if len(sides) != 2:
            names = ", ".join(one.name for one in sides)
            raise SourceError(
                f"{names}: aligned text files come in twos, PREFIX.LANGUAGE for each side, and of the prefix "
                f"{Path(prefix).name} there {'is 1' if len(sides) == 1 else f'are {len(sides)}'}; name the two, or "
                "give them a suffix that tells their form"
            )
        # English is the usual source side; else the order in which they are named.
        ordered = sorted(sides, key=lambda one: _tag(one) != "en")
        tags = tuple(str(_tag(one)) for one in ordered)
        pairs.append(Found(prefix, "moses", sum(one.stat().st_size for one in sides), tags))
    return pairs
