"""What of a text could be switched: its words with their entries in a table, and where a word is better left alone.

A text is a list of elements, the words that are of some language, in order; an element with an entry of the table can be
switched. Numbers, names, protected spans and what is glued to them are of no language and are no elements.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import regex

from curate.rows import languages
from curate.text.segmentation import UNSPACED
from curate.text.words import FIXED, RUN, Lexicon, fold_of, is_run, spans, tokens

# Whose nouns are written with capitals: there a capital is no sign of a name.
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
    """A stretch of a text that is of one language."""

    start: int
    end: int
    words: int
    """How many words it counts for."""
    entry: Entry | None
    """What it can be switched to; None if nothing is known, or nothing may be done to it."""
    begins: bool
    """Whether it stands at the beginning of a sentence."""


class Table:
    """What the words (or sentences) of one language are in others."""

    def __init__(self, matrix: str, to: Sequence[str], *, whole: bool = False) -> None:
        """An empty table.

        Args:
            to: the other languages; they are numbered from 0 in this order.
            whole: whether entries are sentences.
        """
        self.matrix, self.to, self.whole = matrix, tuple(to), whole
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
        """Adds a translation; of one that is given several times the best weight counts."""
        key, target = self.fold(source), " ".join(target.split())
        if not key or not target or fold_of(self.to[number])(target) == key:
            return
        known = self._raw.setdefault(key, {}).setdefault(number, {})
        known[target] = max(weight, known.get(target, 0.0))
        if self.unspaced:
            self._words.append(source)

    def finish(self) -> Table:
        """Makes it ready to look things up."""
        self.lexicon = Lexicon(self._words)
        for key, by_language in self._raw.items():
            # Of equals the one that came first.
            self.entries[key] = {
                number: tuple(sorted(targets.items(), key=lambda one: -one[1]))
                for number, targets in by_language.items()
            }
            if not self.whole and not (key.isascii() and key.isalpha()):
                parts = tokens(key, self.matrix, self.lexicon) if self.unspaced else spans(key, self.matrix)
                if len(parts) > 1:
                    first = self.fold(key[parts[0][0] : parts[0][1]])
                    self.longest[first] = max(self.longest.get(first, 1), len(parts))
        self._raw, self._words = {}, []
        return self

    def __len__(self) -> int:
        return len(self.entries)

    # ---------------------------------------------------------------------------------------------------------------- words
    def scan(
        self, text: str, blocked: Sequence[tuple[int, int]], *, names: bool, never: frozenset[str] = frozenset()
    ) -> list[Element]:
        """The elements of a text.

        Args:
            blocked: protected stretches, in order.
            names: whether words that look like names may be switched.
            never: keys that are left alone.
        """
        found = tokens(text, self.matrix, self.lexicon) if self.unspaced else spans(text, self.matrix)
        if not found:
            return []
        begins, called = self._names(text, found, names)
        free = _free(found, blocked)
        elements: list[Element] = []
        place, count = 0, len(found)
        fold, entries, longest = self.fold, self.entries, self.longest
        plain = not fold.dotted
        while place < count:
            start, end, kind = found[place]
            if not free[place] or kind == FIXED or called[place]:
                place += 1
                continue
            if kind == RUN:
                elements.append(Element(start, end, 1, None, begins[place]))
                place += 1
                continue
            if not self.latin and text[start] < "\u0250":
                place += 1  # a Latin word in another script's text is of no known language
                continue
            word = text[start:end]
            key = word.lower() if plain and word.isascii() else fold(word)
            entry, last = None, place
            for length in range(min(longest.get(key, 1), count - place), 0, -1):
                last = place + length - 1
                if length == 1:
                    entry = entries.get(key)
                elif all(free[place : last + 1]) and not any(called[place : last + 1]):
                    phrase = text[start : found[last][1]]
                    if "\n" not in phrase and found[last][1] - start < 200:
                        entry = entries.get(phrase_key := fold(phrase))
                        key = phrase_key if entry else key
                if entry is not None:
                    break
            if entry is not None and (key in never or not self._stands_alone(text, found, place, last)):
                entry, last = None, place
            elements.append(Element(start, found[last][1], last - place + 1, entry, begins[place]))
            place = last + 1
        return elements

    def _names(self, text: str, found: Sequence[tuple[int, int, int]], names: bool) -> tuple[list[bool], list[bool]]:
        """Which words begin a sentence, and which look like names (or are written like program text)."""
        begins, called = [], [False] * len(found)
        done = 0
        for place, (start, end, _) in enumerate(found):
            begins.append(place == 0 or ((gap := text[done:start]) != " " and not _BEGINS.isdisjoint(gap)))
            done = end
        if names or not self.cased:
            return begins, called
        nouns = languages.base(self.matrix) in NOUNS
        capitals = [text[start].isupper() for start, _, _ in found]
        if not any(capitals):
            # iPhone, eBay
            return begins, [
                not text[start:end].islower() and text[start:end].lower() != text[start:end] for start, end, _ in found
            ]
        first = 0
        for place in range(1, len(found) + 1):
            if place < len(found) and not begins[place]:
                continue
            inside = range(first + 1, place)
            # Where most words have capitals (a heading, shouting) they say nothing.
            loud = 2 * sum(capitals[one] for one in inside) > max(len(inside), 1)
            for one in range(first, place):
                word = text[found[one][0] : found[one][1]]
                if (word[1:].lower() != word[1:] and (not word.isupper() or not loud)) or (
                    capitals[one]
                    and one > first
                    and not loud
                    and not nouns
                    and word not in ("I", "I'm", "I've", "I'd", "I'll")
                ):
                    called[one] = True
            first = place
        return begins, called

    def _stands_alone(self, text: str, found: Sequence[tuple[int, int, int]], first: int, last: int) -> bool:
        """Whether nothing is glued to the stretch that makes it part of something else (a compound, a tag, an elision)."""
        start, end = found[first][0], found[last][1]
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
            # Beside characters that no word accounts for it may be part of a longer, unknown one.
            short = end - start == 1 or not _WHOLE.match(text, start)
            beside = (first > 0 and found[first - 1][1] == start and found[first - 1][2] == RUN) or (
                last + 1 < len(found) and found[last + 1][0] == end and found[last + 1][2] == RUN
            )
            return not (short and beside)
        return True

    # ------------------------------------------------------------------------------------------------------------ sentences
    def translation(self, sentence: str) -> Entry | None:
        """What a whole sentence is in the other languages."""
        return self.entries.get(self.fold(sentence))


_WHOLE = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Bopomofo}ー々〆〇]")
# Particles and endings of Japanese; what looks like a short word there mostly is none.
_ENDINGS = regex.compile(r"\p{Hiragana}+")


def _free(found: Sequence[tuple[int, int, int]], blocked: Sequence[tuple[int, int]]) -> list[bool]:
    """Which words have no part in a protected stretch."""
    if not blocked:
        return [True] * len(found)
    free, place = [], 0
    for start, end, _ in found:
        while place < len(blocked) and blocked[place][1] <= start:
            place += 1
        free.append(place >= len(blocked) or blocked[place][0] >= end)
    return free


def joined(stretches: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Stretches in order, overlapping ones as one."""
    whole: list[tuple[int, int]] = []
    for start, end in sorted(stretches):
        if whole and start <= whole[-1][1]:
            whole[-1] = (whole[-1][0], max(end, whole[-1][1]))
        else:
            whole.append((start, end))
    return whole


def can(element: Element, allowed: frozenset[int]) -> bool:
    """Whether an element has a translation into one of the languages."""
    return element.entry is not None and not allowed.isdisjoint(element.entry)
