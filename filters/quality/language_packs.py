"""A pack is what one language's text is held against: its commonest words, how it refuses, how a machine says that it
is one.

Packs are data (``data/quality/<language>.yaml``) with owner, licence and version; a user's pack adds to the shipped one
of its language, or takes its place. Phrases are written in a small grammar that every one can read, and become
expressions whose cost is linear in the text:

- letters stand for themselves, in lower case; a blank for any white space; ``'`` for every apostrophe;
- ``(a|b|)`` is one of several, the last one nothing; ``x?`` an ``x`` or nothing;
- ``…`` is anything within the sentence;
- ``\\`` before one of these signs makes it stand for itself.

A phrase begins where a word begins, and may end inside one (``restrict`` finds ``restricted``), but in the list
``assistant``, where it ends with a word (``as an ai`` is not ``as an aid``). A pack that says ``joined`` (scripts
without blanks) finds them anywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

import polars as pl
import regex
import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from curate.catalog.suggestions import nearest
from curate.data_files import DataFile
from curate.files import regular
from curate.rows import languages
from curate.steps import StepError

BLIND = "und"


class Pack(BaseModel):
    """A pack as it is written."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    owner: str
    """Who answers for it."""
    license: str
    """An SPDX identifier."""
    version: int | str
    language: str
    """BCP-47; ``und`` is for every language."""
    also: tuple[str, ...] = ()
    """Further languages that are held against it."""
    joined: bool = False
    """Words and phrases are found anywhere, not as whole words."""
    replaces: bool = False
    """A user's pack takes the shipped one's place instead of adding to it."""
    function_words: str = ""
    """The commonest words, separated by blanks."""
    usual: float | None = None
    """The share of a usual text's words (of a joined language: letters) that they make."""
    refusals: tuple[str, ...] = ()
    """An assistant declines."""
    assistant: tuple[str, ...] = ()
    """A machine says that it is one."""
    cutoff: tuple[str, ...] = ()
    """It speaks of its training's end, or that it cannot look things up."""
    override: tuple[str, ...] = ()
    """A text gives orders to whoever reads it as a prompt."""
    boilerplate: tuple[str, ...] = ()
    """What stands around texts on web pages."""
    names: tuple[str, ...] = ()
    """Models and their makers."""
    template: tuple[str, ...] = ()
    """Tokens of chat templates, as they are (no grammar)."""

    @field_validator("language", mode="after")
    @classmethod
    def _tag(cls, given: str) -> str:
        return languages.normalize(given)

    @field_validator("refusals", "assistant", "cutoff", "override", "boilerplate", "names", mode="after")
    @classmethod
    def _phrases(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        for phrase in given:
            expression(phrase)
        return given


# -------------------------------------------------------------------------------------------------------------- grammar
_SPECIAL = set("()|?…\\ ")
_JOINERS = regex.compile("[\u200c\u200d]")
_LETTER = r"\p{L}\p{M}\p{N}"


def expression(phrase: str) -> str:
    """The Rust regular expression of a phrase.

    Raises:
        ValueError: the phrase is empty, its brackets do not match, or a ``?`` follows nothing.
    """
    if not phrase.strip():
        raise ValueError("an empty phrase")
    # Joiners are left out of phrases as they are of texts.
    phrase = _JOINERS.sub("", phrase)
    if phrase != phrase.lower():
        raise ValueError(f"'{phrase}' is not in lower case")
    made: list[str] = []
    depth = 0
    signs = iter(phrase)
    for sign in signs:
        if sign == "\\":
            made.append(regex.escape(next(signs, "\\"), special_only=True))
        elif sign == "(":
            depth += 1
            made.append("(?:")
        elif sign == ")":
            depth -= 1
            if depth < 0:
                raise ValueError(f"'{phrase}': a bracket is closed that was not opened")
            made.append(")")
        elif sign == "|":
            made.append("|" if depth else r"\|")
        elif sign == "?":
            if not made or made[-1] in ("(?:", "|"):
                raise ValueError(f"'{phrase}': '?' follows nothing")
            made.append("?")
        elif sign == "…":
            made.append(r"[^.!?\n。！？।؟]*?")
        elif sign == " ":
            made.append(r"\s+")
        else:
            made.append(regex.escape(sign, special_only=True))
    if depth:
        raise ValueError(f"'{phrase}': a bracket is not closed")
    return "(?:" + "".join(made).replace(r"\s+?", r"\s*") + ")"


def whole(phrases: Iterable[tuple[str, bool]], *, words: bool = False) -> str | None:
    """One expression for many phrases (text, joined), the match in group 1 or 2; None without any.

    Args:
        words: a phrase that is not joined ends where a word ends.
    """
    phrases = tuple(phrases)
    spaced = [expression(phrase) for phrase, joined in phrases if not joined]
    free = [expression(phrase) for phrase, joined in phrases if joined]
    parts = []
    if spaced:
        # Word ends by hand: \b over all of Unicode takes the fast automaton from the engine.
        parts.append(rf"(?:^|[^{_LETTER}])(" + "|".join(spaced) + ")" + (rf"(?:$|[^{_LETTER}-])" if words else ""))
    if free:
        parts.append("(" + "|".join(free) + ")")
    return "|".join(parts) or None


def lowered(texts: pl.Series) -> pl.Series:
    """The texts as phrases are looked for in: lower case, one apostrophe, no vowel points, no invisible signs."""
    texts = texts.fill_null("").str.to_lowercase()
    odd = texts.str.contains(r"[’ʼ＇`´\x{064B}-\x{065F}\x{0640}\x{00AD}\x{200B}-\x{200F}\x{FEFF}]")
    if not odd.any():
        return texts
    part = (
        texts.filter(odd)
        .str.replace_all("[’ʼ＇`´]", "'")
        .str.replace_all(r"[\x{064B}-\x{065F}\x{0640}\x{00AD}\x{200B}-\x{200F}\x{FEFF}]", "")
    )
    return texts.scatter(odd.arg_true(), part)


# -------------------------------------------------------------------------------------------------------------- loading
@dataclass(frozen=True)
class Packs:
    """All packs in force, by language."""

    by_language: Mapping[str, tuple[Pack, ...]]
    digest: str
    """What they say, in a key."""

    def of(self, tag: str) -> tuple[Pack, ...]:
        """The packs a text in this language is held against, without the blind one; empty if there is none."""
        one = tag
        while True:
            if one in self.by_language:
                return self.by_language[one]
            if "-" not in one:
                return ()
            one = one.rpartition("-")[0]
            # A language in an unusual script is another text (hi-Latn is not held against hi).
            if one == languages.base(tag) and languages.script(tag) != languages.script(one) and one != "zh":
                return ()

    def blind(self, what: str) -> tuple[str, ...]:
        """A list that is for every language."""
        return tuple(phrase for pack in self.by_language.get(BLIND, ()) for phrase in getattr(pack, what))


PACKS = DataFile("filters.quality", "packs")


@cache
def shipped() -> Mapping[str, Pack]:
    """The packs of this package, by the language they are written for."""
    packs = [Pack(**yaml.safe_load(text)) for text in PACKS.texts().values()]
    return {pack.language: pack for pack in packs}


def read_pack(path: str) -> Pack:
    """A user's pack.

    Raises:
        StepError: the file is not there, or is no pack; the message names it and what is wrong.
    """
    try:
        given: Any = yaml.safe_load(regular(Path(path).expanduser()).read_text("utf-8"))
    except OSError as error:
        raise StepError(f"quality: the pack {path} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise StepError(f"quality: the pack {path} is no YAML: {error}") from error
    if not isinstance(given, dict):
        raise StepError(
            f"quality: the pack {path} must be a mapping with owner, license, version, language and lists of phrases"
        )
    try:
        return Pack(**given)
    except (ValidationError, languages.InvalidLanguage) as error:
        raise StepError(f"quality: the pack {path}: {_told(error, given)}") from error


def _told(error: Exception, given: Mapping[str, Any]) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors()[0]
    name = ".".join(map(str, first["loc"]))
    if first["type"] == "extra_forbidden":
        return f"there is no '{name}' in a pack{nearest(name, list(Pack.model_fields))}"
    return f"{name}: {first['msg']}"


def packs_of(paths: Sequence[str]) -> Packs:
    """The shipped packs with the users' ones added, or in their place."""
    given = tuple(read_pack(path) for path in paths)
    return _merged(given)


@lru_cache(maxsize=16)
def _merged(given: tuple[Pack, ...]) -> Packs:
    mine: dict[str, list[Pack]] = {}
    for pack in shipped().values():
        for tag in (pack.language, *map(languages.normalize, pack.also)):
            mine.setdefault(tag, []).append(pack)
    for pack in given:
        for tag in (pack.language, *map(languages.normalize, pack.also)):
            mine[tag] = [pack] if pack.replaces else [*mine.get(tag, []), pack]
    told = blake2b(digest_size=12)
    for tag in sorted(mine):
        for pack in mine[tag]:
            told.update(f"{tag}\0{pack.model_dump_json(exclude={'owner', 'license'})}\0".encode())
    return Packs({tag: tuple(packs) for tag, packs in mine.items()}, told.hexdigest())
