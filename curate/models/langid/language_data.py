"""Data on languages besides identifiers: close groups, scripts, distinctive letters and words, measured weights.

The data are in ``curate/models/langid/data/languages_*``, our own and CC0-1.0; each file names its maintainer and
version.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any

import orjson

from curate.data_files import DataFile
from curate.rows import languages


@dataclass(frozen=True)
class Group:
    """A group of languages that are easily confused."""

    name: str
    tag: str
    """The registered tag of the group (ISO 639-5), such as ``gmq``."""
    members: frozenset[str]


DATA = tuple(
    DataFile("curate.models.langid", f"data/languages_{name}")
    for name in ("groups.yaml", "letters.yaml", "triples.json", "weights.json")
)


@cache
def _file(name: str) -> Mapping[str, Any]:
    file = next(one for one in DATA if name in one.path)
    return MappingProxyType(orjson.loads(file.text()) if file.path.endswith("json") else file.yaml())


@cache
def data_digest() -> str:
    """Of all files, for identities: other data give other answers."""
    return hashlib.blake2b("\0".join(file.text() for file in DATA).encode(), digest_size=16).hexdigest()


# -------------------------------------------------------------------------------------------------------------- groups
@cache
def groups() -> tuple[Group, ...]:
    """The close groups, dialect groups too; a language is in one at most."""
    return tuple(Group(name, one["tag"], frozenset(one["members"])) for name, one in _file("groups")["groups"].items())


@cache
def group_of(tag: str) -> Group | None:
    """The group a language, in its script, is in."""
    return next((group for group in groups() if tag in group.members), None)


@cache
def is_group(label: str) -> bool:
    """Whether a label is the name of a group."""
    return any(group.tag == label for group in groups())


@cache
def means(label: str, tag: str) -> bool:
    """Whether a label is the name of a group that the language is in."""
    return any(
        languages.base(tag) == languages.base(member) and languages.letters(tag) == languages.letters(member)
        for group in groups()
        if group.tag == label
        for member in group.members
    )


@cache
def covered_by(identifier: str) -> Mapping[str, tuple[str, ...]]:
    """What the labels of an identifier (its package) mean beside themselves."""
    return {tag: tuple(more) for tag, more in _file("groups")["covers"].get(identifier, {}).items()}


@cache
def telling_words() -> Mapping[str, frozenset[str]]:
    """A word in small letters, or a sign of an unspaced script → the languages it speaks for within their group."""
    found: dict[str, set[str]] = {}
    for one in _file("groups")["groups"].values():
        for tag, words in (one.get("words") or {}).items():
            for word in str(words).split():
                found.setdefault(word, set()).add(tag)
    return {word: frozenset(tags) for word, tags in found.items()}


@cache
def romanised_words() -> Mapping[str, tuple[frozenset[str], frozenset[str]]]:
    """Romanised language → words that are rare in other languages with Latin letters, and common words shared with
    them."""
    given = _file("groups")["romanised"]
    return {
        tag: (frozenset(str(one["sure"]).split()), frozenset(str(one["maybe"]).split())) for tag, one in given.items()
    }


# ------------------------------------------------------------------------------------------------------------- letters
@cache
def other_scripts() -> frozenset[str]:
    """Tags of languages in a script that is not their usual one but is really used (``sr-Latn``)."""
    return frozenset(_file("letters")["scripts"])


@cache
def usual_languages() -> frozenset[str]:
    """Languages that much is written in."""
    return frozenset(_file("letters")["usual"])


@cache
def doubtful_languages() -> Mapping[str, float]:
    """Language → share of right sentences that the step ``language`` drops with the default model and threshold, where
    that is a lot."""
    return dict(_file("letters")["doubtful"])


@cache
def deciding_scripts() -> Mapping[str, str]:
    """Unicode name of a script → the one language that is written in it."""
    return dict(_file("letters")["decide"])


@cache
def alphabets() -> Mapping[str, frozenset[str]]:
    """Language → which of the letters that tell languages of its script apart it is written with."""
    return {tag: frozenset("".join(str(letters).split())) for tag, letters in _file("letters")["letters"].items()}


# ------------------------------------------------------------------------------------------------------------- weights
@cache
def weak_languages(identifier: str) -> frozenset[str]:
    """Languages that an identifier has a label for but recognises in fewer than three of five sentences."""
    return frozenset(_file("weights")["weak"].get(identifier, ()))


def recognised(identifier: str, tag: str) -> float | None:
    """The share of texts in a language that an identifier (its package) gave a label of that language; None if it was
    not measured. Of the texts, whole and cut to a few words, that the weights of ``ensemble`` were fitted on.
    """
    says = weights()["weights"]["identifiers"].get(identifier, {}).get("says", {}).get(tag)
    if says is None:
        return None
    return float(sum(share for label, share in says.items() if languages.accepts(tag, label)))


def weights() -> Mapping[str, Any]:
    """The measured weights and the calibration, as they stand in the file."""
    return _file("weights")


def triples() -> Mapping[str, Any]:
    """The usual triples of letters by language, and the weights of what tells an unknown language."""
    return _file("triples")
