"""Compares the negations of two texts, in 50 languages: of a translation pair, or of two texts in one language.

Negations come from lists (``data/negation.yaml``); a language without a list is not assessed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import regex

from curate.data_files import DataFile
from curate.rows import languages

Floats = npt.NDArray[np.float64]
NEGATION = DataFile("curate.text", "data/negation.yaml")
_NOTHING = r"[^\s\S]"
# One of Korean's negations is inside the word as often as before it.
_INSIDE = frozenset({"ko"})
_FEW = 200


def _list(language: str) -> Mapping[str, Any] | None:
    base = languages.base(language)
    found: Mapping[str, Any] | None = NEGATION.yaml()["languages"].get({"no": "nb", "nn": "nb"}.get(base, base))
    return found


# ----------------------------------------------------------------------------------------------- within one language
@cache
def stands_alone(language: str) -> bool:
    """Whether negations of this language are separate words."""
    return languages.base(language) not in _INSIDE and not (_list(language) or {}).get("joined")


@cache
def _plain(language: str) -> regex.Pattern[str] | None:
    given = _list(language)
    if given is None:
        return None
    words = {*given.get("also", ()), *(word for word in given.get("words", ()) if regex.escape(word) == word)}
    listed = "|".join(sorted(map(regex.escape, words), key=lambda word: (-len(word), word)))
    if not stands_alone(language):
        return regex.compile(listed)
    return regex.compile(rf"(?i)(?<![\p{{L}}\p{{M}}])(?:{listed})(?![\p{{L}}\p{{M}}'])")


@cache
def _worth_a_look(language: str) -> str:
    """A Rust pattern that rejects texts without any negation ten times faster; most texts have none."""
    given = _list(language) or {}
    words = {*given.get("also", ()), *(word for word in given.get("words", ()) if regex.escape(word) == word)}
    listed = "|".join(regex.escape(word).replace("'", "['’]") for word in sorted(words))
    return rf"(?i)(?:^|[^\p{{L}}\p{{M}}])(?:{listed})(?:$|[^\p{{L}}\p{{M}}'’])"


def words_in(texts: pl.Series, language: pl.Series) -> list[str]:
    """The negations of each text, in alphabetical order, separated by spaces; empty for a language without a list."""
    found = [""] * len(texts)
    tags = language.to_list()
    places: dict[str, list[int]] = {}
    for row, tag in enumerate(tags):
        places.setdefault(tag or "", []).append(row)
    for tag, rows in places.items():
        if not tag or _plain(tag) is None:
            continue
        mine = texts.gather(rows)
        joined = not stands_alone(tag)
        # Where spaces count for nothing, a word may be split by one; and a pattern takes longer to compile than to try.
        every = joined or len(mine) < _FEW
        look = [True] * len(mine) if every else mine.str.contains(_worth_a_look(tag)).fill_null(False).to_list()
        for row, one, there in zip(rows, mine.to_list(), look, strict=True):
            if there and one:
                found[row] = " ".join(words_of(one, tag))
    return found


def words_of(one: str, language: str) -> list[str]:
    """The negations of one text, in alphabetical order, without apostrophes."""
    pattern = _plain(language)
    if pattern is None:
        return []
    one = one.replace("’", "'") if stands_alone(language) else "".join(one.split())
    return sorted(hit.replace("'", "") for hit in pattern.findall(one))


def found(one: str, language: str) -> list[str]:
    """The negations of one text, in order."""
    pattern = _plain(language)
    return pattern.findall(one) if pattern is not None else []


def negators(words: Sequence[str], language: str) -> list[str]:
    """Those of these words that negate, sorted."""
    pattern = _plain(language)
    return sorted(word for word in words if pattern is not None and pattern.fullmatch(word))


# ------------------------------------------------------------------------------------------------- between languages
@cache
def _patterns(language: str) -> tuple[str, str, str, str] | None:
    """Rust patterns for false friends, words that negate nothing, negations, and possible negations; None for a
    language without a list."""
    given = _list(language)
    if given is None or "words" not in given:
        return None
    joined = bool(given.get("joined"))

    def one(parts: Sequence[str]) -> str:
        if not parts:
            return _NOTHING
        whole = "|".join(part.replace(r"\w", r"[\p{L}\p{M}]") for part in sorted(parts, key=lambda part: -len(part)))
        return f"(?i){whole}" if joined else rf"(?i)(?:^|[^\p{{L}}\p{{M}}])(?:{whole})(?:$|[^\p{{L}}\p{{M}}])"

    def any_of(key: str) -> str:
        phrases = given.get(key, ())
        return rf"(?i)(?:{'|'.join(phrases)})" if phrases else _NOTHING

    return any_of("void"), any_of("not"), one(given["words"]), one(given["maybe"])


def is_listed(language: str) -> bool:
    """Whether a list allows comparing texts of this language with another's."""
    return _patterns(language) is not None


def turned(sides: tuple[pl.Series, pl.Series], tags: tuple[Sequence[str], Sequence[str]]) -> Floats:
    """The number of sentences per pair with opposite polarity: one side is negated and the other has nothing that could
    be a negation (counted as a half if something could, but usually is none). nan for a language without a list.

    Args:
        sides: for each pair the aligned sentences, as two lists of equal length.
    """
    result = np.full(len(sides[0]), np.nan)
    known = {tag: is_listed(tag) for tag in {*tags[0], *tags[1]}}
    at = np.flatnonzero([known[one] and known[other] for one, other in zip(*tags, strict=True)])
    if not len(at):
        return result
    frames = []
    for side, own in zip(sides, tags, strict=True):
        frame = pl.DataFrame({"row": pl.Series(at), "tag": [own[row] for row in at.tolist()], "part": side.gather(at)})
        frame = frame.explode("part").with_columns(pl.col("part").fill_null(""))
        frames.append(frame.with_columns(_signs(frame["part"], frame["tag"])))
    (surely, maybe), (there, excuses) = ((frame["surely"].to_numpy(), frame["maybe"].to_numpy()) for frame in frames)
    # What may be a negation goes with what may be one on the other side; only what is left of it excuses a negation
    # that is sure.
    some, other = surely & ~there, ~surely & there
    flipped = (some & (maybe >= excuses)) | (other & (excuses >= maybe))
    plainly = (some & (excuses == 0)) | (other & (maybe == 0))
    result[at] = 0.0
    np.add.at(result, frames[0]["row"].to_numpy()[flipped], np.where(plainly, 1.0, 0.5)[flipped])
    return result


def _signs(parts: pl.Series, tags: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Whether each sentence is certainly negated, and the number of its possible negations."""
    surely, maybe = np.zeros(len(parts), bool), np.zeros(len(parts), np.int64)
    given = np.asarray(tags.to_list(), dtype=object)
    for tag in tags.unique().to_list():
        at = np.flatnonzero(given == tag)
        void, nothing, sure, doubtful = _patterns(tag) or (_NOTHING,) * 4
        some = parts.gather(at).str.replace_all("’", "'", literal=True).str.replace_all(void, " ")
        cleaned = some.str.replace_all(nothing, " , ")
        surely[at] = cleaned.str.contains(sure).to_numpy()
        # What was taken out may still be why the other side negates.
        maybe[at] = cleaned.str.count_matches(doubtful).to_numpy() + (some != cleaned).to_numpy()
    return pl.Series("surely", surely), pl.Series("maybe", maybe)
