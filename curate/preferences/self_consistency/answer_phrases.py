"""Compiles the phrases that announce answers, and the notation of numbers, from ``data/answers.yaml``, once per
language."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import regex

from curate.data_files import DataFile
from curate.rows import languages
from curate.text.numbers import number_words

_NEVER = r"(?!)"
_MARKUP = r"[\s*_`$（(\[「『\"“«'\\]*"
# Without a copula the number comes right after the noun, except for currency signs and markup.
_NUMBER_AHEAD = rf"(?={_MARKUP}[-−+≈~]?\s?\p{{Sc}}?\s?[0-9])"


ANSWERS = DataFile("curate.preferences.self_consistency", "data/answers.yaml")


def load_words() -> Mapping[str, Any]:
    """The content of ``data/answers.yaml``."""
    words: Mapping[str, Any] = ANSWERS.yaml()
    return words


@dataclass(frozen=True)
class AnswerPhrases:
    """The phrases of a language, English included."""

    opening: regex.Pattern[str]
    """Ends where the answer may begin."""
    hints: tuple[str, ...]
    """Every text that announces an answer contains one of these, case folded: a fast test before the slow pattern."""
    closing: regex.Pattern[str]
    """Begins where the answer may end."""
    minus: regex.Pattern[str]
    """Ends where a number may begin."""


@cache
def phrases_of(language: str, markers: tuple[str, ...] = ()) -> AnswerPhrases:
    """The phrases of a language, or the English ones if it is not in the data.

    Args:
        markers: the user's own texts that announce an answer, instead of the known ones.
    """
    known = load_words()["languages"]
    own = known.get(languages.base(language))
    every = [known["en"], *([own] if own is not None and own is not known["en"] else [])]
    opening = [_opening(one) for one in every]
    hints = [word for one in every for name in ("answer", "result", "said", "closing") for word in one.get(name, ())]
    if markers:
        opening = ["|".join(map(regex.escape, sorted(markers, key=len, reverse=True)))]
        hints += markers
    return AnswerPhrases(
        regex.compile(rf"(?i)(?:{'|'.join(opening)})"),
        _shortest([hint.casefold() for hint in hints]),
        regex.compile(rf"(?i)(?:{_alternatives(every, 'closing')})"),
        regex.compile(rf"(?i)(?:{_alternatives(every, 'minus')})\s?$"),
    )


def _shortest(words: Iterable[str]) -> tuple[str, ...]:
    """The words that contain no other."""
    known = set(words)
    return tuple(sorted(word for word in known if not any(other != word and other in word for other in known)))


def _opening(one: Mapping[str, Any]) -> str:
    joined = bool(one.get("joined"))
    noun, result, copula, said = (_any(one.get(name, ()), joined) for name in ("answer", "result", "copula", "said"))
    verbs = "".join(rf"(?<!\b{regex.escape(word)} )" for word in one.get("not_after", ()))
    # Without spaces a copula may be part of any word, so it has to come soon.
    far, edge = (8, "") if joined else (60, r"(?<![\p{L}\p{M}])")
    # «Answer: 5», «**Ответ** — 5»
    mark = r"[\s*_`]*(?:[:：=＝≈—–]+|-\s)"
    # «答 5», «The answer to the question is 5», «Answer (in dollars): 5»; «to answer, there are» does not announce.
    return (
        rf"{verbs}{noun}(?:{mark}|{_NUMBER_AHEAD}|[^\n.,;،、，؛。!?！？।:：を0-9]{{0,{far}}}?{edge}{copula}"
        rf"|[^\n.,;،、，؛。!?！？।を0-9]{{0,40}}?[:：])|{result}{mark}|{said}"
    )


def _alternatives(every: Iterable[Mapping[str, Any]], name: str) -> str:
    return "|".join(_any(one.get(name, ()), bool(one.get("joined"))) for one in every)


def _any(words: Iterable[str], joined: bool) -> str:
    listed = sorted({str(word) for word in words}, key=lambda word: (-len(word), word))
    if not listed:
        return _NEVER
    body = "|".join(map(regex.escape, listed))
    return rf"(?:{body})" if joined else rf"(?<![\p{{L}}\p{{M}}])(?:{body})(?![\p{{L}}\p{{M}}])"


@cache
def decimal_sign(language: str) -> str:
    """The decimal sign, point or comma; the other one groups digits."""
    signs = {tag: sign for sign, tags in load_words()["decimal"].items() for tag in tags}
    tag = language
    while tag:
        if tag in signs:
            return str(signs[tag])
        tag = tag.rpartition("-")[0]
    known = number_words(language)
    return known.decimal if known is not None else "."


@cache
def groups_with_spaces(language: str) -> bool:
    """Whether spaces group digits: 80 000 is one number."""
    return languages.base(language) in load_words()["spaces"]


@cache
def percent_pattern() -> regex.Pattern[str]:
    """A per cent sign or word at the beginning of a text."""
    return regex.compile(rf"(?i)\s?(?:[%٪％﹪]|(?:{'|'.join(map(regex.escape, load_words()['percent']))}))")
