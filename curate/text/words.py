"""Splits a text into words, given by start and end, without changing a character.

Spaced scripts are split at non-letters. Unspaced scripts (Han, kana, Thai, Lao, Khmer, Burmese …) give runs, which a
lexicon splits into words: fewest unknown characters, then fewest words (maximal matching). Graphemes are never split,
and ``"".join(pieces)`` is the text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise

import regex

from curate.rows import languages
from curate.text.segmentation import UNSPACED
from curate.text.sentences import split

WORD, RUN, FIXED = 1, 2, 3
"""Kinds of spans: a word of a spaced script; a run of letters of an unspaced one; a number or a word with digits,
which belongs to no language."""

Span = tuple[int, int, int]
"""Start, end (code points) and kind."""

# Hangul counts by syllables elsewhere, but its words stand between spaces; Tibetan syllables end in a mark of their
# own.
_RUNNING = tuple(name for name in UNSPACED if name not in ("Hangul", "Tibetan"))
_OWN = "".join(rf"\p{{Script={name}}}" for name in _RUNNING)
_IN_RUN = rf"[[{_OWN}]&&[\p{{L}}\p{{M}}\p{{Nl}}]]ー々〆〇\u3099\u309A\uFF70"
_LETTER = rf"[\p{{L}}\p{{M}}--[{_IN_RUN}]]"
_ANY = rf"[[\p{{L}}\p{{M}}\p{{N}}\u200c\u200d\u00ad]--[{_IN_RUN}]]"
_APOSTROPHES = "'’ʼ＇"
_SPANS = regex.compile(
    rf"(?V1)([{_IN_RUN}][{_IN_RUN}\p{{Variation_Selector}}]*)"
    rf"|(\p{{N}}{_ANY}*(?:[.,:/٫٬]\p{{N}}{_ANY}*)*)"
    rf"|({_LETTER}{_ANY}*(?:[{_APOSTROPHES}׳״·‧]{_LETTER}{_ANY}*)*)"
)
# The same for texts in ASCII, four times as fast.
_ASCII_SPANS = re.compile(
    r"([A-Za-z]+(?:'[A-Za-z]+)*(?![0-9A-Za-z]|'[A-Za-z]))"
    r"|([0-9][0-9A-Za-z]*(?:[.,:/][0-9][0-9A-Za-z]*)*|[A-Za-z][0-9A-Za-z]*(?:'[A-Za-z][0-9A-Za-z]*)*)"
)
_DIGIT = regex.compile(r"\p{N}")
# Romance elision: what stands before the apostrophe is a word of its own.
_ELIDING = frozenset(
    {"fr", "it", "ca", "oc", "frp", "wa", "co", "scn", "lmo", "pms", "lij", "vec", "fur", "nrf", "pcd"}
)
_ELISION = regex.compile(
    rf"(?i)(?:[cdjlmnstv]|qu|jusqu|lorsqu|puisqu|quoiqu|un|all|dall|dell|nell|sull|coll|quell|quest|sant|bell|anch|com|cos|dov)[{_APOSTROPHES}](?=\p{{L}})"
)
_SPACE = regex.compile(r"[\s\p{Z}]+")
_HYPHENS = str.maketrans({"‐": "-", "‑": "-", "’": "'", "ʼ": "'", "＇": "'", "\u00ad": None})
# The vowel signs and stretches that most Arabic and Hebrew writing leaves out.
_UNWRITTEN = regex.compile(
    r"[\u0610-\u061A\u064B-\u065F\u0670\u06D6-\u06DC\u06DF-\u06E8\u06EA-\u06ED\u08D3-\u08FF\u0640\u0591-\u05BD\u05BF\u05C1\u05C2\u05C4\u05C5\u05C7]"
)
_DOTTED = frozenset({"tr", "az", "crh", "gag", "tt-Latn", "kk-Latn"})
_TURKIC = str.maketrans({"I": "ı", "İ": "i"})
# No word ends before, and none begins after, these: vowels that Thai and Lao write behind or before their consonant,
# and
# the signs that stack Khmer and Burmese consonants.
_NOT_BEFORE = frozenset("ะาำๅๆฯະາຳໆຯ")
_NOT_AFTER = frozenset("เแโใไເແໂໃໄ\u17d2\u1039")
_CLUSTER = regex.compile(r"\X")
_PLAIN_RUN = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Bopomofo}ー々〆〇]+")


def spans(text: str, language: str = languages.UNKNOWN) -> list[Span]:
    """The words of a text in order, with runs of unspaced scripts unsplit; text between words is left out."""
    if text.isascii():
        found = [(*match.span(), WORD if match.lastindex == 1 else FIXED) for match in _ASCII_SPANS.finditer(text)]
    else:
        found = []
        for match in _SPANS.finditer(text):
            kind = (RUN, FIXED, WORD)[(match.lastindex or 1) - 1]
            if kind == WORD and _DIGIT.search(match[0]):
                kind = FIXED
            found.append((match.start(), match.end(), kind))
    if languages.base(language) in _ELIDING:
        return _split_elisions(text, found)
    return found


def _split_elisions(text: str, found: list[Span]) -> list[Span]:
    cut: list[Span] = []
    for start, end, kind in found:
        while kind == WORD and (match := _ELISION.match(text, start, end)):
            cut.append((start, match.end(), kind))
            start = match.end()
        cut.append((start, end, kind))
    return cut


class Fold:
    """Normalises words for look-up: NFC, the language's case folding, one form of apostrophe, hyphen and space.

    Arabic and Hebrew vowel points are removed, as most texts omit them.
    """

    __slots__ = ("dotted", "pointed")

    def __init__(self, language: str) -> None:
        self.dotted = language in _DOTTED or (
            languages.base(language) in _DOTTED and languages.script(language) == "Latn"
        )
        self.pointed = bool({"Arabic", "Hebrew"} & set(languages.letters(language)))

    def __call__(self, text: str) -> str:
        """The key of a word or phrase."""
        if self.dotted:
            text = text.translate(_TURKIC)
        if text.isascii():
            key = text.lower()
            return key if key.isalpha() else " ".join(key.split())
        key = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold().translate(_HYPHENS))
        if self.pointed:
            key = _UNWRITTEN.sub("", key)
        return _SPACE.sub(" ", key).strip()


@lru_cache(maxsize=256)
def fold_of(language: str) -> Fold:
    """The :class:`Fold` of a language."""
    return Fold(language)


class Lexicon:
    """A lexicon for splitting runs of unspaced scripts."""

    def __init__(self, words: Iterable[str] = ()) -> None:
        """Adds those of the words that are one run of an unspaced script, unchanged."""
        self.words: set[str] = set()
        lengths: dict[str, set[int]] = {}
        for word in words:
            if word and word not in self.words and is_run(word):
                self.words.add(word)
                lengths.setdefault(word[0], set()).add(len(word))
        self._lengths = {first: sorted(found, reverse=True) for first, found in lengths.items()}

    def __len__(self) -> int:
        return len(self.words)

    def segment(self, run: str) -> list[tuple[int, int, bool]]:
        """Start, end and whether it is a known word, for the pieces of a run in order.

        The split has the fewest unknown characters, then the fewest words, then the longest word first. Unknown Han and
        kana characters are one piece each; those of scripts whose letters have no meaning of their own stay together.
        """
        size = len(run)
        allowed = _cuts(run)
        # best[i]: (characters unknown, words, length of the first piece, known) for run[i:]
        best: list[tuple[int, int, int, bool]] = [(0, 0, 0, True)] * (size + 1)
        following = size
        for start in range(size - 1, -1, -1):
            if not allowed[start]:
                continue
            rest = best[following]
            chosen = (rest[0] + following - start, rest[1] + 1, following - start, False)
            for length in self._lengths.get(run[start], ()):
                end = start + length
                if end > size or not allowed[end]:
                    continue
                after = best[end]
                if (after[0], after[1] + 1) < chosen[:2] and run[start:end] in self.words:
                    chosen = (after[0], after[1] + 1, length, True)
            best[start] = chosen
            following = start
        pieces: list[tuple[int, int, bool]] = []
        start = 0
        while start < size:
            _, _, length, known = best[start]
            together = not known and pieces and not pieces[-1][2] and not _PLAIN_RUN.match(run, start)
            if together and not _PLAIN_RUN.match(run, pieces[-1][0]):
                pieces[-1] = (pieces[-1][0], start + length, False)
            else:
                pieces.append((start, start + length, known))
            start += length
        return pieces


def _cuts(run: str) -> list[bool]:
    """For each position of a run (including its end) whether it may be split there."""
    allowed = [False] * (len(run) + 1)
    allowed[0] = allowed[-1] = True
    if _PLAIN_RUN.fullmatch(run):
        return [True] * (len(run) + 1)
    for match in _CLUSTER.finditer(run):
        place = match.start()
        if place and run[place] not in _NOT_BEFORE and run[place - 1] not in _NOT_AFTER:
            allowed[place] = True
    return allowed


def is_run(text: str) -> bool:
    """Whether a text is one run of letters of unspaced scripts."""
    if text.isascii():
        return False
    match = _SPANS.match(text)
    return match is not None and match.lastindex == 1 and match.end() == len(text)


def tokens(text: str, language: str = languages.UNKNOWN, lexicon: Lexicon | None = None) -> list[Span]:
    """The words of a text, with runs split by the lexicon. An unknown piece keeps the kind ``RUN``; a known one is a
    ``WORD``.

    Without a lexicon runs are split into graphemes.
    """
    found = spans(text, language)
    if not any(kind == RUN for _, _, kind in found):
        return found
    cut: list[Span] = []
    for start, end, kind in found:
        if kind != RUN:
            cut.append((start, end, kind))
        elif lexicon is None:
            places = [place for place, may in enumerate(_cuts(text[start:end])) if may]
            cut += [(start + one, start + next_, RUN) for one, next_ in pairwise(places)]
        else:
            cut += [
                (start + one, start + other, WORD if known else RUN)
                for one, other, known in lexicon.segment(text[start:end])
            ]
    return cut


def pieces(text: str, language: str = languages.UNKNOWN, lexicon: Lexicon | None = None) -> list[tuple[str, int]]:
    """The whole text in pieces with their kinds, 0 between words."""
    parts: list[tuple[str, int]] = []
    done = 0
    for start, end, kind in tokens(text, language, lexicon):
        if start > done:
            parts.append((text[done:start], 0))
        parts.append((text[start:end], kind))
        done = end
    if done < len(text):
        parts.append((text[done:], 0))
    return parts


def count_words(text: str, language: str) -> int:
    """The number of words of a short phrase; a run of an unspaced script counts as one."""
    return 1 if text.isalpha() and text.isascii() else max(1, len(spans(text, language)))


def estimate_words(text: str, language: str) -> int:
    """The approximate number of words of a text; two Han or kana letters and four of other unspaced scripts count as
    one."""
    total = 0
    for start, end, kind in spans(text, language):
        total += 1 if kind != RUN else max(1, (end - start) // (2 if _PLAIN_RUN.match(text, start) else 4))
    return max(1, total)


def sentence_places(text: str, language: str, keep: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Start and end of each non-empty sentence, without gaps.

    Args:
        keep: spans that are not split.
    """
    found, place = [], 0
    for one in split(text, language, keep):
        if one.text:
            found.append((place, place + len(one.text)))
        place += len(one.text) + len(one.gap)
    return found


def touches(left: str, right: str) -> bool:
    """Whether two texts would merge into one word: both sides are letters or digits of spaced scripts."""
    return bool(left and right and _joins(left[-1]) and _joins(right[0]))


def _joins(char: str) -> bool:
    return char.isalnum() and not is_run(char)
