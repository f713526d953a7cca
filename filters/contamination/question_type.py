"""What a question asks for, a person, a time, a place, a reason or an amount, is told by a few words of each language.

Two questions about one thing share nearly all of their words and most of their meaning; *when* in place of *who* makes
them two. The words are data (``data/asked.yaml``); of a language without any, or a question that has none of them,
nothing is said.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache

import regex

from curate.data_files import DataFile
from curate.rows.languages import base

Asked = frozenset[str]
_NOTHING: Asked = frozenset()
# Between two sentences; what ends the text is no end of a sentence before the last.
_SENTENCE = regex.compile(r"(?<=[.!?؟।])\s+(?=\S)|(?<=[。！？])(?=.)|\n+")
_UNSPACED = frozenset({"ja", "ko", "th", "zh"})


ASKED = DataFile("filters.contamination", "data/asked.yaml")


@cache
def _words() -> Mapping[str, Mapping[str, tuple[str, ...]]]:
    data = ASKED.yaml()
    return {tag: {name: tuple(forms) for name, forms in given.items()} for tag, given in data["languages"].items()}


@cache
def _pattern(tag: str) -> tuple[regex.Pattern[str], Mapping[str, str]] | None:
    """All words of a language, the longest first, and the class of each."""
    if tag not in _words():
        return None
    of = {form.casefold(): name for name, forms in _words()[tag].items() for form in forms}
    every = "|".join(regex.escape(form).replace(r"\ ", r"\s+") for form in sorted(of, key=len, reverse=True))
    return regex.compile(every if tag in _UNSPACED else rf"(?<![\p{{L}}\p{{M}}])(?:{every})(?![\p{{L}}\p{{M}}])"), of


@lru_cache(maxsize=65_536)
def asked(text: str, language: str) -> Asked:
    """The classes that the last sentence of a text names; none where nothing says what is asked for."""
    found = _pattern(base(language))
    if found is None:
        return _NOTHING
    pattern, of = found
    last = _SENTENCE.split(text.strip())[-1]
    named = frozenset(of[" ".join(match.group().split())] for match in pattern.finditer(last.casefold()))
    return named - {"neutral"}


def other_asked(mine: Asked, theirs: Asked) -> bool:
    """Whether two questions ask for different things: both say for what, and for nothing in common."""
    return bool(mine) and bool(theirs) and not mine & theirs
