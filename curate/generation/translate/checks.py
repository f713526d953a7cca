"""Checks translations for silent failures of translators, one kind each.

All checks compare a text with its translation, whatever made it, in any pair of scripts. Lengths are in units of Latin
letters (:func:`curate.text.segmentation.letter_weights`) relative to the usual lengths in the two languages. Protected
spans are removed from both sides first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import polars as pl
import regex

from curate.rows import languages
from curate.text.boilerplate import aside, commentary
from curate.text.length_ratio import usual_length
from curate.text.number_match import compare
from curate.text.placeholders import Span, differences, shown
from curate.text.segmentation import UNSPACED, letter_weights
from curate.text.sentences import split

Check = Literal[
    "text", "spans", "omission", "runaway", "copy", "numbers", "script", "language", "repetition", "commentary",
    "layout", "glossary", "brackets",
]  # fmt: skip
CHECKS: tuple[Check, ...] = get_args(Check)

_MIN_LETTERS = 20.0
_SMOOTHING = 10.0


@dataclass(frozen=True, slots=True)
class Pair:
    """A text, its translation, and the protected spans."""

    source: str
    target: str
    spans: tuple[Span, ...] = ()
    terms: tuple[tuple[str, str], ...] = ()
    """(term, translation) of a glossary that occur in the source and are required."""

    @property
    def plain_target(self) -> str:
        """The translation without protected spans."""
        return _plain(self.target, self)


@dataclass(frozen=True)
class Limits:
    """The checks and limits for a translation."""

    checks: frozenset[str] = frozenset(CHECKS)
    min_ratio: float | None = 0.5
    """Minimum length, relative to the usual length for the language pair."""
    max_ratio: float | None = 2.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """The problems of a translation, and its length."""

    problems: tuple[str, ...]
    """``check: problem``; empty if there is none."""
    ratio: float | None
    """Length relative to the usual length; None if the text is too short."""


def verdicts(pairs: Sequence[Pair], source: str, target: str, limits: Limits) -> list[Verdict]:
    """Checks translations from one language into another (except for ``language``)."""
    plain = [(_sound(_plain(pair.source, pair)), _sound(_plain(pair.target, pair))) for pair in pairs]
    before = letter_weights(
        pl.Series([one for one, _ in plain], dtype=pl.String), pl.Series([source] * len(pairs), dtype=pl.String)
    )
    after = letter_weights(
        pl.Series([other for _, other in plain], dtype=pl.String), pl.Series([target] * len(pairs), dtype=pl.String)
    )
    usual = (usual_length(target) or 1.0) / (usual_length(source) or 1.0)
    comments = commentary_in(plain) if "commentary" in limits.checks else [None] * len(pairs)
    result = []
    for at, pair in enumerate(pairs):
        sizes = (float(before["letters"][at]), float(after["letters"][at]))
        shares = (before["share"][at], after["share"][at])
        result.append(_verdict(pair, plain[at], sizes, shares, usual, comments[at], (source, target), limits))
    return result


def _verdict(
    pair: Pair,
    plain: tuple[str, str],
    sizes: tuple[float, float],
    shares: tuple[float | None, float | None],
    usual: float,
    comment: str | None,
    pair_of_languages: tuple[str, str],
    limits: Limits,
) -> Verdict:
    source, target = pair_of_languages
    checks = limits.checks
    problems: list[str] = []

    def report(check: str, problem: str) -> None:
        if check in checks:
            problems.append(f"{check}: {problem}")

    for problem in _unfit(pair):
        report("text", problem)
    if not pair.target.strip() and pair.source.strip():
        report("omission", "there is nothing")
        return Verdict(tuple(problems), 0.0)
    ratio = None
    if sizes[0] >= _MIN_LETTERS:
        ratio = (sizes[1] + _SMOOTHING) / (sizes[0] * usual + _SMOOTHING)
        if limits.min_ratio is not None and ratio < limits.min_ratio:
            report("omission", f"{ratio:.2f} of the usual length")
        elif (
            "omission" in checks
            and ratio < min(0.8, 1.6 * (limits.min_ratio or 0))
            and (counts := _sentences_lost(plain, source, target))
        ):
            report("omission", f"{counts[1]} sentences for {counts[0]}")
    longest = None if limits.max_ratio is None else limits.max_ratio * (sizes[0] * usual + 2 * _SMOOTHING)
    if longest is not None and sizes[1] > longest + _MIN_LETTERS:
        report("runaway", f"{sizes[1]:.0f} letters for {sizes[0]:.0f}")
    if "spans" in checks:
        for problem in differences(pair.source, pair.target, pair.spans)[:3]:
            report("spans", problem)
    if "copy" in checks and (left := copied(plain[0], plain[1], source, target)):
        report("copy", left)
    if "numbers" in checks and (lost := lost_numbers(plain[0], plain[1], source, target)):
        report("numbers", f"{', '.join(lost[:5])} missing")
    if shares[1] is not None and sizes[1] >= 12 and shares[1] < 0.4 * (1.0 if shares[0] is None else shares[0]):
        report("script", f"{shares[1]:.0%} of the letters are in the script of {target}")
    if (
        "repetition" in checks
        and (again := repeated(plain[1], target))
        and again[1] > 2 * max(2, (repeated(plain[0], source) or ("", 0))[1])
    ):
        report("repetition", f"'{shown(again[0])}' {again[1]} times in a row")
    if comment is not None:
        report("commentary", f"it says '{shown(comment)}'")
    if "brackets" in checks and (unmatched := unclosed(plain[0], plain[1])):
        report("brackets", unmatched)
    for term, translation in pair.terms if "glossary" in checks else ():
        if not _has_inflected(pair.target, translation):
            report("glossary", f"'{term}' is not '{translation}'")
    return Verdict(tuple(problems), ratio)


def _plain(text: str, pair: Pair) -> str:
    """The text without protected spans."""
    if not pair.spans:
        return text
    if text is pair.source:
        parts, done = [], 0
        for span in pair.spans:
            parts.append(text[done : span.start])
            done = max(done, span.end)
        return " ".join([*parts, text[done:]])
    for literal in sorted(
        {pair.source[span.start : span.end] for span in pair.spans if span.said is None}, key=len, reverse=True
    ):
        if len(literal) > 1 or not literal.isalnum():
            text = text.replace(literal, " ")
    return text


def _sound(text: str) -> str:
    """Replaces halves of surrogate pairs, which cannot be counted."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _unfit(pair: Pair) -> list[str]:
    problems = []
    if any("\ud800" <= char <= "\udfff" for char in pair.target):
        problems.append("it contains half a surrogate pair, which is no character")
    if "\0" in pair.target and "\0" not in pair.source:
        problems.append("it contains a NUL character")
    if pair.target.count("\ufffd") > pair.source.count("\ufffd"):
        problems.append("it contains characters that could not be decoded")
    return problems


# --------------------------------------------------------------------------------------------------------------- length
_COUNTED = regex.compile(r"\p{L}{2}")


def _sentences_lost(plain: tuple[str, str], source: str, target: str) -> tuple[int, int] | None:
    """The number of sentences on each side, if less than half are left; languages without full stops are not
    compared."""
    if {languages.script(source), languages.script(target)} & {"Thai", "Laoo", "Tibt"}:
        return None
    counts = [
        sum(_COUNTED.search(one.text) is not None for one in split(text, tag))
        for text, tag in zip(plain, (source, target), strict=True)
    ]
    return (counts[0], counts[1]) if counts[0] >= 4 and counts[1] * 2 <= counts[0] else None


# ----------------------------------------------------------------------------------------------------------------- copy
_WORDS = regex.compile(r"[\p{L}\p{M}]+(?:['’][\p{L}\p{M}]+)*")
_LONG_WORDS = 4


def copied(source: str, target: str, from_language: str, into: str) -> str | None:
    """The problem of an untranslated text: nearly all its words, or sentences with four or more lower-case words, are
    unchanged.

    Names (words with capitals) are not counted. Languages in different scripts cannot copy without failing ``script``.
    """
    if languages.base(from_language) == languages.base(into) or languages.accepts(from_language, into):
        return None
    ours, theirs = languages.letters(from_language), languages.letters(into)
    if ours and theirs and not set(ours) & set(theirs):
        return None
    before, after = _copied_units(source), Counter(_copied_units(target.lower()))
    if len(set(before)) < 4 or len(before) < 0.4 * len(_WORDS.findall(source)):
        return None
    common = sum((Counter(before) & after).values())
    # In Portuguese and Spanish nine words of ten may be the same.
    if common >= 0.95 * len(before):
        return "it is the original"
    left = total = 0
    for one in split(source, from_language)[:500]:
        words = _copied_units(one.text)
        total += len(words)
        if len(words) >= _LONG_WORDS and one.text in target:
            left += len(words)
    return f"{left} of {total} words are left as they were" if left > 0.25 * total else None


def _copied_units(text: str) -> list[str]:
    """Lower-case words, or character pairs of unspaced scripts."""
    units = []
    for word in _WORDS.findall(text):
        if _UNSPACED.search(word):
            units += [word[at : at + 2] for at in range(len(word) - 1)]
        elif len(word) > 1 and word[0] == word[0].lower():
            units.append(word)
    return units


_UNSPACED = regex.compile("[" + "".join(rf"\p{{Script={name}}}" for name in UNSPACED if name != "Hangul") + "]")

# ----------------------------------------------------------------------------------------------------------- repetition
_TOKENS = regex.compile(r"[\p{L}\p{M}\p{N}]+")
_PERIODS = 12


def repeated(text: str, language: str = languages.UNKNOWN) -> tuple[str, int] | None:
    """The sequence of up to twelve words (characters, in unspaced scripts) repeated most often in a row, if four times
    or more."""
    tokens = [sign for word in _TOKENS.findall(text) for sign in (word if _UNSPACED.search(word) else [word])]
    if len(tokens) < 5:
        return None
    numbers: dict[str, int] = {}
    ids = np.fromiter((numbers.setdefault(token, len(numbers)) for token in tokens), np.int64, len(tokens))
    best: tuple[int, int, int] = (0, 0, 0)
    for period in range(1, min(_PERIODS, len(ids) // 4) + 1):
        same = np.concatenate([[False], ids[period:] == ids[:-period], [False]])
        edges = np.flatnonzero(np.diff(same.astype(np.int8)))
        if not len(edges):
            continue
        lengths = edges[1::2] - edges[::2]
        at = int(np.argmax(lengths))
        times = int(lengths[at]) // period + 1
        if times >= 4 and times > best[0]:
            best = (times, int(edges[2 * at]), period)
    if not best[0] or (best[0] == 4 and best[2] == 1):
        return None
    joiner = "" if _UNSPACED.search(tokens[best[1]]) else " "
    return joiner.join(tokens[best[1] : best[1] + best[2]]), best[0]


# -------------------------------------------------------------------------------------------------- numbers, commentary
_SPELLED_OUT = 12


def lost_numbers(
    source: str, target: str, from_language: str = languages.UNKNOWN, into: str = languages.UNKNOWN
) -> list[str]:
    """The numbers of a text that are missing in its translation, in any digits, separators, scale words and number
    words.

    Numbers up to 12 may be written in many ways, but not three of them or more.
    """
    match = compare(source, target, from_language, into)
    lost = [] if match is None else list(match.lost)
    small = [one for one in lost if one.isdecimal() and int(one) <= _SPELLED_OUT]
    return lost if len(small) >= 3 else [one for one in lost if one not in small]


def commentary_in(pairs: Sequence[tuple[str, str]]) -> list[str | None]:
    """For each (text, translation): what a model says about itself or the translation, if the original does not say
    it."""
    sides = [pl.Series([pair[side] for pair in pairs], dtype=pl.String) for side in (0, 1)]
    _, openings = commentary(sides[0], sides[1])
    return [opening or aside(*pair) for opening, pair in zip(openings, pairs, strict=True)]


# ------------------------------------------------------------------------------------------------------------- brackets
_OPENING, _CLOSING = "([{（［｛【〔「『《〈", ")]}）］｝】〕」』》〉"
_BRACKETS = regex.compile("[" + regex.escape(_OPENING + _CLOSING, special_only=False) + "]")
_QUOTES = regex.compile(r"[\x22“”„＂]")


def unclosed(source: str, target: str) -> str | None:
    """The problem of unmatched brackets or double quotation marks in a translation, if those of its original match."""
    if _order(source) and not _order(target):
        return "brackets do not match"
    if len(_QUOTES.findall(source)) % 2 == 0 and len(_QUOTES.findall(target)) % 2:
        return "a quotation mark is without its other"
    return None


def _order(text: str) -> bool:
    """Whether every bracket is closed, and none is closed before it is opened."""
    depth = 0
    for sign in _BRACKETS.findall(text):
        depth += 1 if sign in _OPENING else -1
        if depth < 0:
            return False
    return not depth


# ------------------------------------------------------------------------------------------------------------- glossary
def _has_inflected(target: str, term: str) -> bool:
    """Whether a term occurs in a translation, possibly inflected: each of its words with at least two thirds of its
    letters."""
    folded = target.casefold()
    for word in term.casefold().split():
        stem = word if len(word) < 4 or not word.isalpha() else word[: max(3, len(word) * 2 // 3)]
        if stem not in folded:
            return False
    return True


# ------------------------------------------------------------------------------------------------------------- language
def wrong_language(
    pairs: Sequence[tuple[str, str]], source: str, target: str, identifier: Any, least: float = 40.0
) -> list[str | None]:
    """For each (text, translation): the language an identifier finds instead of the target, if it is certain.

    Texts with fewer than ``least`` letters, and languages it does not know, are not checked.
    """
    problems: list[str | None] = [None] * len(pairs)
    if not pairs or not identifier.supports(target):
        return problems
    letters = letter_weights(pl.Series([translation for _, translation in pairs], dtype=pl.String))["letters"]
    places = [at for at in range(len(pairs)) if letters[at] >= least]
    if not places:
        return problems
    answer = identifier.identify([" ".join(pairs[at][1].split()) for at in places], 5)
    for at, labels, shares in zip(places, answer.languages, answer.probabilities, strict=True):
        share_of_target = sum(share for label, share in zip(labels, shares, strict=True) if _is(target, label))
        if labels and share_of_target < 0.2 and shares[0] >= 0.5 and not _is(target, labels[0]):
            kind = " (the original's)" if _is(source, labels[0]) else ""
            problems[at] = f"it looks like {labels[0]}{kind}"
    return problems


def _is(expected: str, label: str) -> bool:
    return languages.base(expected) == languages.base(label) or languages.accepts(expected, label)


# ----------------------------------------------------------------------------------------------------- back-translation
_WHITESPACE = regex.compile(r"\s+")
_MOST = 50_000


def chrf(reference: str, hypothesis: str, order: int = 6, beta: float = 2.0) -> float:
    """Character n-gram F-score, 0 to 1 (Popović 2015): without whitespace, orders 1 to 6, recall weighted twice.

    Only the first 50,000 characters count.
    """
    ours, theirs = (_WHITESPACE.sub("", text)[:_MOST] for text in (hypothesis, reference))
    totals = []
    for size in range(1, order + 1):
        left = Counter(ours[at : at + size] for at in range(len(ours) - size + 1))
        right = Counter(theirs[at : at + size] for at in range(len(theirs) - size + 1))
        if not left or not right:
            continue
        common = sum((left & right).values())
        totals.append((common / left.total(), common / right.total()))
    if not totals:
        return 1.0 if ours == theirs else 0.0
    precision, recall = (sum(values) / len(totals) for values in zip(*totals, strict=True))
    if not precision + recall:
        return 0.0
    return float((1 + beta**2) * precision * recall / (beta**2 * precision + recall))
