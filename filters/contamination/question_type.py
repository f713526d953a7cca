"""Question types: whether a question asks for a person, time, place, reason or amount, by keywords of each language.

Two questions about one thing share nearly all words and most of their meaning; *when* instead of *who* makes them
different. The keywords are data (``data/asked.yaml``). A question without keywords, or in a language without any, has
no type.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache

import regex

from curate.data_files import DataFile
from curate.rows.languages import base

QuestionTypes = frozenset[str]
_NOTHING: QuestionTypes = frozenset()
# Between two sentences; punctuation at the end of the text does not match.
_SENTENCE = regex.compile(r"(?<=[.!?؟।])\s+(?=\S)|(?<=[。！？])(?=.)|\n+")
_UNSPACED = frozenset({"ja", "ko", "th", "zh"})


ASKED = DataFile("filters.contamination", "data/asked.yaml")


@cache
def _words() -> Mapping[str, Mapping[str, tuple[str, ...]]]:
    data = ASKED.yaml()
    return {tag: {name: tuple(forms) for name, forms in types.items()} for tag, types in data["languages"].items()}


@cache
def _pattern(tag: str) -> tuple[regex.Pattern[str], Mapping[str, str]] | None:
    """All keywords of a language, the longest first, and the type of each."""
    if tag not in _words():
        return None
    of = {form.casefold(): name for name, forms in _words()[tag].items() for form in forms}
    every = "|".join(regex.escape(form).replace(r"\ ", r"\s+") for form in sorted(of, key=len, reverse=True))
    return regex.compile(every if tag in _UNSPACED else rf"(?<![\p{{L}}\p{{M}}])(?:{every})(?![\p{{L}}\p{{M}}])"), of


@lru_cache(maxsize=65_536)
def question_types(text: str, language: str) -> QuestionTypes:
    """The types that the last sentence of a text names; none if it has no keyword."""
    keywords = _pattern(base(language))
    if keywords is None:
        return _NOTHING
    pattern, of = keywords
    last = _SENTENCE.split(text.strip())[-1]
    named = frozenset(of[" ".join(match.group().split())] for match in pattern.finditer(last.casefold()))
    return named - {"neutral"}


def ask_differently(mine: QuestionTypes, theirs: QuestionTypes) -> bool:
    """Whether two questions both have types, and none in common."""
    return bool(mine) and bool(theirs) and not mine & theirs
