"""Finds what can be switched in a text: its words with their entries in a table, except where a word is better left
alone.

A text is a list of elements, its words of a known language, in order. An element with an entry in the table can be
switched. Numbers, names, protected spans and what is attached to them have no language and are not elements.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import regex

from curate.rows import languages
from curate.text.segmentation import UNSPACED
from curate.text.words import FIXED, RUN, Lexicon, fold_of, is_run, spans, tokens

# Languages that capitalise nouns: there a capital is no evidence of a name.
NOUNS = frozenset({"de", "lb", "gsw", "nds", "bar", "ksh", "pfl", "frr"})
CASED = frozenset({"Latin", "Cyrillic", "Greek", "Armenian", "Cherokee", "Adlam", "Coptic", "Deseret"})
_BEGINS = frozenset('.!?…:;\n\r"“”„«»¿¡(•*#-–—。！？।؟۔|')
_GLUE = frozenset("#@_$\\~^")
_HYPHENS = frozenset("-‐‑")
_APOSTROPHES = frozenset("'’ʼ＇")
Targets = tuple[tuple[str, float], ...]
Entry = Mapping[int, Targets]
"""Number of the language → translations with weights, best first."""


class Element(NamedTuple):
    """A part of a text in one language."""

    start: int
    end: int
    words: int
    """Number of words it counts for."""
    entry: Entry | None
    """Its translations; None if there are none, or it must not be switched."""
    begins: bool
    """Whether it begins a sentence."""


class Table:
    """The translations of words (or sentences) of one language into others."""

    def __init__(self, matrix: str, to: Sequence[str], *, sentences: bool = False) -> None:
        """Makes an empty table.

        Args:
            to: the other languages; they are numbered from 0 in this order.
            sentences: whether entries are sentences.
        """
        self.matrix, self.to, self.sentences = matrix, tuple(to), sentences
        self.fold = fold_of(matrix)
        self.names = languages.letters(matrix)
        self.unspaced = any(name in UNSPACED and name not in ("Hangul", "Tibetan") for name in self.names)
        self.latin = "Latin" in self.names or not self.names
        self.cased = bool(CASED & set(self.names)) or not self.names
        self._raw: dict[str, dict[int, dict[str, float]]] = {}
        self._words: list[str] = []
        self.entries: dict[str, Entry] = {}
        self.longest: dict[str, int] = {}
        self.lexicon = Lexicon()

    def add(self, source: str, number: int, target: str, weight: float) -> None:
        """Adds a translation; of duplicates the best weight counts."""
        key, target = self.fold(source), " ".join(target.split())
        if not key or not target or fold_of(self.to[number])(target) == key:
            return
        known = self._raw.setdefault(key, {}).setdefault(number, {})
        known[target] = max(weight, known.get(target, 0.0))
        if self.unspaced:
            self._words.append(source)

    def finish(self) -> Table:
        """Makes the table ready for lookups."""
        self.lexicon = Lexicon(self._words)
        for key, by_language in self._raw.items():
            # Of equal weights the first comes first.
            self.entries[key] = {
                number: tuple(sorted(targets.items(), key=lambda one: -one[1]))
                for number, targets in by_language.items()
            }
            if not self.sentences and not (key.isascii() and key.isalpha()):
                parts = tokens(key, self.matrix, self.lexicon) if self.unspaced else spans(key, self.matrix)
                if len(parts) > 1:
                    first = self.fold(key[parts[0][0] : parts[0][1]])
                    self.longest[first] = max(self.longest.get(first, 1), len(parts))
        self._raw, self._words = {}, []
        return self

    def __len__(self) -> int:
        return len(self.entries)

    # ------------------------------------------------------------------------------------------------------------ words
    def scan(
        self, text: str, blocked: Sequence[tuple[int, int]], *, names: bool, never: frozenset[str] = frozenset()
    ) -> list[Element]:
        """The elements of a text.

        Args:
            blocked: protected spans, in order.
            names: whether words that look like names may be switched.
            never: keys that are not switched.
        """
        words = tokens(text, self.matrix, self.lexicon) if self.unspaced else spans(text, self.matrix)
        if not words:
            return []
        begins, is_name = self._names(text, words, names)
        free = _free(words, blocked)
        elements: list[Element] = []
        place, count = 0, len(words)
        fold, entries, longest = self.fold, self.entries, self.longest
        plain = not fold.dotted
        while place < count:
            start, end, kind = words[place]
            if not free[place] or kind == FIXED or is_name[place]:
                place += 1
                continue
            if kind == RUN:
                elements.append(Element(start, end, 1, None, begins[place]))
                place += 1
                continue
            if not self.latin and text[start] < "\u0250":
                place += 1  # a Latin word in a text of another script has no known language
                continue
            word = text[start:end]
            key = word.lower() if plain and word.isascii() else fold(word)
            entry, last = None, place
            for length in range(min(longest.get(key, 1), count - place), 0, -1):
                last = place + length - 1
                if length == 1:
                    entry = entries.get(key)
                elif all(free[place : last + 1]) and not any(is_name[place : last + 1]):
                    phrase = text[start : words[last][1]]
                    if "\n" not in phrase and words[last][1] - start < 200:
                        entry = entries.get(phrase_key := fold(phrase))
                        key = phrase_key if entry else key
                if entry is not None:
                    break
            if entry is not None and (key in never or not self._stands_alone(text, words, place, last)):
                entry, last = None, place
            elements.append(Element(start, words[last][1], last - place + 1, entry, begins[place]))
            place = last + 1
        return elements

    def _names(self, text: str, words: Sequence[tuple[int, int, int]], names: bool) -> tuple[list[bool], list[bool]]:
        """Which words begin a sentence, and which look like names (or like program code)."""
        begins, is_name = [], [False] * len(words)
        done = 0
        for place, (start, end, _) in enumerate(words):
            begins.append(place == 0 or ((gap := text[done:start]) != " " and not _BEGINS.isdisjoint(gap)))
            done = end
        if names or not self.cased:
            return begins, is_name
        nouns = languages.base(self.matrix) in NOUNS
        capitals = [text[start].isupper() for start, _, _ in words]
        if not any(capitals):
            # iPhone, eBay
            return begins, [
                not text[start:end].islower() and text[start:end].lower() != text[start:end] for start, end, _ in words
            ]
        first = 0
        for place in range(1, len(words) + 1):
            if place < len(words) and not begins[place]:
                continue
            inside = range(first + 1, place)
            # Where most words have capitals (a heading, shouting) they are no evidence.
            loud = 2 * sum(capitals[one] for one in inside) > max(len(inside), 1)
            for one in range(first, place):
                word = text[words[one][0] : words[one][1]]
                if (word[1:].lower() != word[1:] and (not word.isupper() or not loud)) or (
                    capitals[one]
                    and one > first
                    and not loud
                    and not nouns
                    and word not in ("I", "I'm", "I've", "I'd", "I'll")
                ):
                    is_name[one] = True
            first = place
        return begins, is_name

    def _stands_alone(self, text: str, words: Sequence[tuple[int, int, int]], first: int, last: int) -> bool:
        """Whether the words are not part of something else (a compound, a tag, an elision)."""
        start, end = words[first][0], words[last][1]
        before = text[start - 1] if start else ""
        after = text[end] if end < len(text) else ""
        if before in _GLUE or after in _GLUE or text[end - 1] in _APOSTROPHES:
            return False
        if before in _HYPHENS and start > 1 and text[start - 2].isalnum():
            return False
        if after in _HYPHENS and end + 1 < len(text) and text[end + 1].isalnum():
            return False
        if self.unspaced and is_run(text[start]):
            if end - start < 3 and _ENDINGS.fullmatch(text, start, end):
                return False
            # Next to unmatched characters it may be part of a longer, unknown word.
            short = end - start == 1 or not _LOGOGRAPHIC.match(text, start)
            beside = (first > 0 and words[first - 1][1] == start and words[first - 1][2] == RUN) or (
                last + 1 < len(words) and words[last + 1][0] == end and words[last + 1][2] == RUN
            )
            return not (short and beside)
        return True

    # -------------------------------------------------------------------------------------------------------- sentences
    def translation(self, sentence: str) -> Entry | None:
        """The translations of a whole sentence."""
        return self.entries.get(self.fold(sentence))


_LOGOGRAPHIC = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Bopomofo}ー々〆〇]")
# Japanese particles and endings: what looks like a short word is mostly none.
_ENDINGS = regex.compile(r"\p{Hiragana}+")


def _free(words: Sequence[tuple[int, int, int]], blocked: Sequence[tuple[int, int]]) -> list[bool]:
    """Which words are outside the protected spans."""
    if not blocked:
        return [True] * len(words)
    free, place = [], 0
    for start, end, _ in words:
        while place < len(blocked) and blocked[place][1] <= start:
            place += 1
        free.append(place >= len(blocked) or blocked[place][0] >= end)
    return free


def joined(intervals: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The intervals in order, overlapping ones merged."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(intervals):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def is_switchable(element: Element, allowed: frozenset[int]) -> bool:
    """Whether an element has a translation into one of the languages."""
    return element.entry is not None and not allowed.isdisjoint(element.entry)
