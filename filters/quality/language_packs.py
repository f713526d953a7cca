"""Language packs for the step ``quality``: function words, refusals, AI disclosures and other phrases of one language.

Packs are data (``data/quality/<language>.yaml``) with owner, licence and version; a user's pack extends the shipped
pack of its language, or replaces it. Phrases use a small grammar and compile to expressions that run in linear time:

- letters match themselves, in lower case; a space matches any whitespace; ``'`` matches every apostrophe;
- ``(a|b|)`` matches one of several alternatives, the last one empty; ``x?`` matches an ``x`` or nothing;
- ``…`` matches anything within the sentence;
- ``\\`` before one of these characters makes it literal.

A phrase starts at a word boundary and may end inside a word (``restrict`` finds ``restricted``), except in the list
``assistant``, where it ends at a word boundary (``as an ai`` does not match ``as an aid``). A pack with ``joined``
(scripts without spaces) matches anywhere.
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
    """The content of a pack file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    owner: str
    """Its maintainer."""
    license: str
    """An SPDX identifier."""
    version: int | str
    language: str
    """BCP-47; ``und`` applies to every language."""
    also: tuple[str, ...] = ()
    """Further languages that it applies to."""
    joined: bool = False
    """Words and phrases match anywhere, not as whole words."""
    replaces: bool = False
    """A user's pack replaces the shipped one instead of extending it."""
    function_words: str = ""
    """The most frequent words, separated by spaces."""
    usual: float | None = None
    """Their share of a typical text's words (of a joined language: letters)."""
    refusals: tuple[str, ...] = ()
    """The assistant refuses."""
    assistant: tuple[str, ...] = ()
    """The assistant says that it is an AI."""
    cutoff: tuple[str, ...] = ()
    """It mentions its training cutoff, or that it cannot look things up."""
    override: tuple[str, ...] = ()
    """The text gives orders to a model that reads it (prompt injection)."""
    boilerplate: tuple[str, ...] = ()
    """Boilerplate of web pages."""
    names: tuple[str, ...] = ()
    """Models and their vendors."""
    template: tuple[str, ...] = ()
    """Chat-template tokens, literal (no grammar)."""

    @field_validator("language", mode="after")
    @classmethod
    def _tag(cls, value: str) -> str:
        return languages.normalize(value)

    @field_validator("refusals", "assistant", "cutoff", "override", "boilerplate", "names", mode="after")
    @classmethod
    def _phrases(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for phrase in value:
            expression(phrase)
        return value


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
    # Joiners are removed from phrases as they are from texts.
    phrase = _JOINERS.sub("", phrase)
    if phrase != phrase.lower():
        raise ValueError(f"'{phrase}' is not in lower case")
    parts_: list[str] = []
    depth = 0
    characters = iter(phrase)
    for character in characters:
        if character == "\\":
            parts_.append(regex.escape(next(characters, "\\"), special_only=True))
        elif character == "(":
            depth += 1
            parts_.append("(?:")
        elif character == ")":
            depth -= 1
            if depth < 0:
                raise ValueError(f"'{phrase}': unmatched closing bracket")
            parts_.append(")")
        elif character == "|":
            parts_.append("|" if depth else r"\|")
        elif character == "?":
            if not parts_ or parts_[-1] in ("(?:", "|"):
                raise ValueError(f"'{phrase}': '?' follows nothing")
            parts_.append("?")
        elif character == "…":
            parts_.append(r"[^.!?\n。！？।؟]*?")
        elif character == " ":
            parts_.append(r"\s+")
        else:
            parts_.append(regex.escape(character, special_only=True))
    if depth:
        raise ValueError(f"'{phrase}': unmatched opening bracket")
    return "(?:" + "".join(parts_).replace(r"\s+?", r"\s*") + ")"


def whole(phrases: Iterable[tuple[str, bool]], *, words: bool = False) -> str | None:
    """One expression for many phrases (text, joined), with the match in group 1 or 2; None without phrases.

    Args:
        words: a phrase that is not joined ends at a word boundary.
    """
    phrases = tuple(phrases)
    spaced = [expression(phrase) for phrase, joined in phrases if not joined]
    free = [expression(phrase) for phrase, joined in phrases if joined]
    parts = []
    if spaced:
        # Word boundaries are written out: a Unicode \b disables the engine's fast automaton.
        parts.append(rf"(?:^|[^{_LETTER}])(" + "|".join(spaced) + ")" + (rf"(?:$|[^{_LETTER}-])" if words else ""))
    if free:
        parts.append("(" + "|".join(free) + ")")
    return "|".join(parts) or None


def lowered(texts: pl.Series) -> pl.Series:
    """The form of texts that phrases are searched in: lower case, one apostrophe, no vowel points, no invisible
    characters."""
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
    """All active packs, by language."""

    by_language: Mapping[str, tuple[Pack, ...]]
    digest: str
    """Digest of their content, for cache keys."""

    def of(self, tag: str) -> tuple[Pack, ...]:
        """The packs for a text in this language, without those for every language; empty if there are none."""
        one = tag
        while True:
            if one in self.by_language:
                return self.by_language[one]
            if "-" not in one:
                return ()
            one = one.rpartition("-")[0]
            # The pack of a language does not apply to another script of it (hi does not apply to hi-Latn).
            if one == languages.base(tag) and languages.script(tag) != languages.script(one) and one != "zh":
                return ()

    def blind(self, what: str) -> tuple[str, ...]:
        """A list that applies to every language."""
        return tuple(phrase for pack in self.by_language.get(BLIND, ()) for phrase in getattr(pack, what))


PACKS = DataFile("filters.quality", "packs")


@cache
def shipped() -> Mapping[str, Pack]:
    """The packs of this package, by language."""
    packs = [Pack(**yaml.safe_load(text)) for text in PACKS.texts().values()]
    return {pack.language: pack for pack in packs}


def read_pack(path: str) -> Pack:
    """Reads a user's pack.

    Raises:
        StepError: the file does not exist, or is not a pack; the message names the file and the problem.
    """
    try:
        fields: Any = yaml.safe_load(regular(Path(path).expanduser()).read_text("utf-8"))
    except OSError as error:
        raise StepError(f"quality: the pack {path} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise StepError(f"quality: the pack {path} is not valid YAML: {error}") from error
    if not isinstance(fields, dict):
        raise StepError(
            f"quality: the pack {path} must be a mapping with owner, license, version, language and lists of phrases"
        )
    try:
        return Pack(**fields)
    except (ValidationError, languages.InvalidLanguage) as error:
        raise StepError(f"quality: the pack {path}: {_message(error, fields)}") from error


def _message(error: Exception, fields: Mapping[str, Any]) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors()[0]
    name = ".".join(map(str, first["loc"]))
    if first["type"] == "extra_forbidden":
        return f"unknown field '{name}'{nearest(name, list(Pack.model_fields))}"
    return f"{name}: {first['msg']}"


def packs_of(paths: Sequence[str]) -> Packs:
    """The shipped packs, extended or replaced by the user's."""
    own = tuple(read_pack(path) for path in paths)
    return _merged(own)


@lru_cache(maxsize=16)
def _merged(own: tuple[Pack, ...]) -> Packs:
    mine: dict[str, list[Pack]] = {}
    for pack in shipped().values():
        for tag in (pack.language, *map(languages.normalize, pack.also)):
            mine.setdefault(tag, []).append(pack)
    for pack in own:
        for tag in (pack.language, *map(languages.normalize, pack.also)):
            mine[tag] = [pack] if pack.replaces else [*mine.get(tag, []), pack]
    digest = blake2b(digest_size=12)
    for tag in sorted(mine):
        for pack in mine[tag]:
            digest.update(f"{tag}\0{pack.model_dump_json(exclude={'owner', 'license'})}\0".encode())
    return Packs({tag: tuple(packs) for tag, packs in mine.items()}, digest.hexdigest())
