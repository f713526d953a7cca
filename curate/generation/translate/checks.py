"""A translation is believed when nothing speaks against it: each check looks for one way in which translators fail silently.

All look at a text and its translation only, whoever made it, in any pair of scripts; lengths are compared in Latin
letters' worth (:func:`curate.text.segmentation.letter_weights`) over what the two languages usually need. What stays as it is
(protected spans) is taken out of both sides before anything is counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

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
    "text",
    "spans",
    "omission",
    "runaway",
    "copy",
    "numbers",
    "script",
    "language",
    "repetition",
    "commentary",
    "layout",
    "glossary",
    "brackets",
]
CHECKS: tuple[Check, ...] = (
    "text",
    "spans",
    "omission",
    "runaway",
    "copy",
    "numbers",
    "script",
    "language",
    "repetition",
    "commentary",
    "layout",
    "glossary",
    "brackets",
)

_LEAST_LETTERS = 20.0
_SMOOTHING = 10.0


@dataclass(frozen=True, slots=True)
class Pair:
    """A text, its translation, and what was to stay."""

    source: str
    target: str
    spans: tuple[Span, ...] = ()
    terms: tuple[tuple[str, str], ...] = ()
    """(term, translation) of a glossary that stand in the source and were to be used."""

    @property
    def plain_target(self) -> str:
        """The translation without what was to stay."""
        return _plain(self.target, self)


@dataclass(frozen=True)
class Limits:
    """What a translation is held to."""

    checks: frozenset[str] = frozenset(CHECKS)
    min_ratio: float | None = 0.5
    """Least length, over what the pair of languages usually has."""
    max_ratio: float | None = 2.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What speaks against a translation, and how long it is."""

    problems: tuple[str, ...]
    """``check: what is wrong``, empty if nothing is."""
    ratio: float | None
    """Length over what is usual for the pair; None where there is too little to tell."""


def verdicts(pairs: Sequence[Pair], source: str, target: str, limits: Limits) -> list[Verdict]:
    """What speaks against each translation from one language into another (``language`` is not looked at here)."""
    plain = [(_sound(_plain(pair.source, pair)), _sound(_plain(pair.target, pair))) for pair in pairs]
    before = letter_weights(
        pl.Series([one for one, _ in plain], dtype=pl.String), pl.Series([source] * len(pairs), dtype=pl.String)
    )
    after = letter_weights(
        pl.Series([other for _, other in plain], dtype=pl.String), pl.Series([target] * len(pairs), dtype=pl.String)
    )
    usual = (usual_length(target) or 1.0) / (usual_length(source) or 1.0)
    said = talk(plain) if "commentary" in limits.checks else [None] * len(pairs)
    found = []
    for at, pair in enumerate(pairs):
        sizes = (float(before["letters"][at]), float(after["letters"][at]))
        shares = (before["share"][at], after["share"][at])
        found.append(_verdict(pair, plain[at], sizes, shares, usual, said[at], (source, target), limits))
    return found


def _verdict(
    pair: Pair,
    plain: tuple[str, str],
    sizes: tuple[float, float],
    shares: tuple[float | None, float | None],
    usual: float,
    said: str | None,
    languages_: tuple[str, str],
    limits: Limits,
) -> Verdict:
    source, target = languages_
    checks = limits.checks
    problems: list[str] = []

    def say(check: str, what: str) -> None:
        if check in checks:
            problems.append(f"{check}: {what}")

    for what in _unfit(pair):
        say("text", what)
    if not pair.target.strip() and pair.source.strip():
        say("omission", "there is nothing")
        return Verdict(tuple(problems), 0.0)
    ratio = None
    if sizes[0] >= _LEAST_LETTERS:
        ratio = (sizes[1] + _SMOOTHING) / (sizes[0] * usual + _SMOOTHING)
        if limits.min_ratio is not None and ratio < limits.min_ratio:
            say("omission", f"{ratio:.2f} of the usual length")
        elif (
            "omission" in checks
            and ratio < min(0.8, 1.6 * (limits.min_ratio or 0))
            and (counts := _sentences_lost(plain, source, target))
        ):
            say("omission", f"{counts[1]} sentences for {counts[0]}")
    longest = None if limits.max_ratio is None else limits.max_ratio * (sizes[0] * usual + 2 * _SMOOTHING)
    if longest is not None and sizes[1] > longest + _LEAST_LETTERS:
        say("runaway", f"{sizes[1]:.0f} letters for {sizes[0]:.0f}")
    if "spans" in checks:
        for what in differences(pair.source, pair.target, pair.spans)[:3]:
            say("spans", what)
    if "copy" in checks and (left := copied(plain[0], plain[1], source, target)):
        say("copy", left)
    if "numbers" in checks and (lost := lost_numbers(plain[0], plain[1], source, target)):
        say("numbers", f"{', '.join(lost[:5])} missing")
    if shares[1] is not None and sizes[1] >= 12 and shares[1] < 0.4 * (1.0 if shares[0] is None else shares[0]):
        say("script", f"{shares[1]:.0%} of the letters are in the script of {target}")
    if (
        "repetition" in checks
        and (again := repeated(plain[1], target))
        and again[1] > 2 * max(2, (repeated(plain[0], source) or ("", 0))[1])
    ):
        say("repetition", f"'{shown(again[0])}' {again[1]} times in a row")
    if said is not None:
        say("commentary", f"it says '{shown(said)}'")
    if "brackets" in checks and (open_ := unclosed(plain[0], plain[1])):
        say("brackets", open_)
    for term, wanted in pair.terms if "glossary" in checks else ():
        if not _says(pair.target, wanted):
            say("glossary", f"'{term}' is not '{wanted}'")
    return Verdict(tuple(problems), ratio)


def _plain(text: str, pair: Pair) -> str:
    """The text without what stays as it is."""
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
    """The text without halves of surrogate pairs, which cannot be counted."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _unfit(pair: Pair) -> list[str]:
    found = []
    if any("\ud800" <= char <= "\udfff" for char in pair.target):
        found.append("it contains half a surrogate pair, which is no character")
    if "\0" in pair.target and "\0" not in pair.source:
        found.append("it contains a NUL character")
    if pair.target.count("\ufffd") > pair.source.count("\ufffd"):
        found.append("it contains characters that could not be decoded")
    return found


# ----------------------------------------------------------------------------------------------------------------- length
_COUNTED = regex.compile(r"\p{L}{2}")


def _sentences_lost(plain: tuple[str, str], source: str, target: str) -> tuple[int, int] | None:
    """How many sentences each side has, if under half are left; languages that write no mark are not compared."""
    if {languages.script(source), languages.script(target)} & {"Thai", "Laoo", "Tibt"}:
        return None
    counts = [
        sum(_COUNTED.search(one.text) is not None for one in split(text, tag))
        for text, tag in zip(plain, (source, target), strict=True)
    ]
    return (counts[0], counts[1]) if counts[0] >= 4 and counts[1] * 2 <= counts[0] else None


# ------------------------------------------------------------------------------------------------------------------- copy
_WORDS = regex.compile(r"[\p{L}\p{M}]+(?:['’][\p{L}\p{M}]+)*")
_LONG_WORDS = 4


def copied(source: str, target: str, from_language: str, into: str) -> str | None:
    """What says that a text was left as it was: nearly all its words, or sentences of four small words or more.

    Names (capital letters) are no sign of it. Languages in different scripts cannot copy without failing ``script``.
    """
    if languages.base(from_language) == languages.base(into) or languages.accepts(from_language, into):
        return None
    ours, theirs = languages.letters(from_language), languages.letters(into)
    if ours and theirs and not set(ours) & set(theirs):
        return None
    before, after = _signs(source), Counter(_signs(target.lower()))
    if len(set(before)) < 4 or len(before) < 0.4 * len(_WORDS.findall(source)):
        return None
    common = sum((Counter(before) & after).values())
    # Between Portuguese and Spanish nine words of ten may well be the same.
    if common >= 0.95 * len(before):
        return "it is the original"
    left = total = 0
    for one in split(source, from_language)[:500]:
        words = _signs(one.text)
        total += len(words)
        if len(words) >= _LONG_WORDS and one.text in target:
            left += len(words)
    return f"{left} of {total} words are left as they were" if left > 0.25 * total else None


def _signs(text: str) -> list[str]:
    """Words in small letters, or pairs of characters of unspaced scripts."""
    found = []
    for word in _WORDS.findall(text):
        if _UNSPACED.search(word):
            found += [word[at : at + 2] for at in range(len(word) - 1)]
        elif len(word) > 1 and word[0] == word[0].lower():
            found.append(word)
    return found


_UNSPACED = regex.compile("[" + "".join(rf"\p{{Script={name}}}" for name in UNSPACED if name != "Hangul") + "]")

# ------------------------------------------------------------------------------------------------------------- repetition
_TOKENS = regex.compile(r"[\p{L}\p{M}\p{N}]+")
_PERIODS = 12


def repeated(text: str, language: str = languages.UNKNOWN) -> tuple[str, int] | None:
    """The stretch of up to twelve words (characters, in unspaced scripts) said most often in a row, if four times or more."""
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


# ------------------------------------------------------------------------------------------------------- numbers, commentary
_SPELLED_OUT = 12


def lost_numbers(
    source: str, target: str, from_language: str = languages.UNKNOWN, into: str = languages.UNKNOWN
) -> list[str]:
    """The numbers of a text that its translation has not, in any digits, separators, scales and words.

    Numbers up to 12 may be said in many ways, but not three of them or more.
    """
    found = compare(source, target, from_language, into)
    lost = [] if found is None else list(found.lost)
    small = [one for one in lost if one.isdecimal() and int(one) <= _SPELLED_OUT]
    return lost if len(small) >= 3 else [one for one in lost if one not in small]


def talk(pairs: Sequence[tuple[str, str]]) -> list[str | None]:
    """For each (text, translation): what a model says of itself or the translation, that the original does not say."""
    sides = [pl.Series([pair[side] for pair in pairs], dtype=pl.String) for side in (0, 1)]
    _, found = commentary(sides[0], sides[1])
    return [begun or aside(*pair) for begun, pair in zip(found, pairs, strict=True)]


# --------------------------------------------------------------------------------------------------------------- brackets
_OPENING, _CLOSING = "([{（［｛【〔「『《〈", ")]}）］｝】〕」』》〉"
_BRACKETS = regex.compile("[" + regex.escape(_OPENING + _CLOSING, special_only=False) + "]")
_QUOTES = regex.compile(r"[\x22“”„＂]")


def unclosed(source: str, target: str) -> str | None:
    """What says that brackets or double quotation marks do not match in a translation, if they do in its original."""
    if _order(source) and not _order(target):
        return "brackets do not match"
    if len(_QUOTES.findall(source)) % 2 == 0 and len(_QUOTES.findall(target)) % 2:
        return "a quotation mark is without its other"
    return None


def _order(text: str) -> bool:
    """Whether as many brackets close as open, and none before."""
    depth = 0
    for sign in _BRACKETS.findall(text):
        depth += 1 if sign in _OPENING else -1
        if depth < 0:
            return False
    return not depth


# --------------------------------------------------------------------------------------------------------------- glossary
def _says(target: str, term: str) -> bool:
    """Whether a term stands in a translation, inflected if need be: each of its words by at least two thirds of its letters."""
    folded = target.casefold()
    for word in term.casefold().split():
        stem = word if len(word) < 4 or not word.isalpha() else word[: max(3, len(word) * 2 // 3)]
        if stem not in folded:
            return False
    return True


# --------------------------------------------------------------------------------------------------------------- language
def wrong_language(
    pairs: Sequence[tuple[str, str]], source: str, target: str, identifier: Any, least: float = 40.0
) -> list[str | None]:
    """For each (text, translation): what an identifier takes the translation for, if that is surely not the target.

    Texts of under ``least`` letters, and languages it does not know, are not judged.
    """
    found: list[str | None] = [None] * len(pairs)
    if not pairs or not identifier.supports(target):
        return found
    letters = letter_weights(pl.Series([translation for _, translation in pairs], dtype=pl.String))["letters"]
    places = [at for at in range(len(pairs)) if letters[at] >= least]
    if not places:
        return found
    answer = identifier.identify([" ".join(pairs[at][1].split()) for at in places], 5)
    for at, labels, shares in zip(places, answer.languages, answer.probabilities, strict=True):
        ours = sum(share for label, share in zip(labels, shares, strict=True) if _is(target, label))
        if labels and ours < 0.2 and shares[0] >= 0.5 and not _is(target, labels[0]):
            kind = " (the original's)" if _is(source, labels[0]) else ""
            found[at] = f"it looks like {labels[0]}{kind}"
    return found


def _is(expected: str, label: str) -> bool:
    return languages.base(expected) == languages.base(label) or languages.accepts(expected, label)


# ------------------------------------------------------------------------------------------------------- back-translation
_BLANKS = regex.compile(r"\s+")
_MOST = 50_000


def chrf(reference: str, hypothesis: str, order: int = 6, beta: float = 2.0) -> float:
    """Character n-gram F-score, 0 to 1 (Popović 2015): blanks left out, orders 1 to 6, recall twice as weighty.

    Of longer texts the first 50,000 characters count.
    """
    ours, theirs = (_BLANKS.sub("", text)[:_MOST] for text in (hypothesis, reference))
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
