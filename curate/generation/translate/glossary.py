"""Glossaries: translations of terms, found in a text by an index of their first words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import regex

from curate.rows import Kind, languages
from curate.steps import Rows
from curate.text.placeholders import has_term
from curate.text.segmentation import UNSPACED

_UNSPACED = "".join(rf"\p{{Script={name}}}" for name in UNSPACED if name != "Hangul")
_WORDS = regex.compile(rf"(?V1)[{_UNSPACED}]|[\w--[{_UNSPACED}]]+")
_MOST = 200_000


class Terms:
    """The terms for one direction."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Takes pairs in order; of several translations of a term the first counts."""
        self._terms: dict[str, tuple[str, str]] = {}
        self._by_first_word: dict[str, list[str]] = {}
        for term, translation in pairs:
            term, translation = " ".join(term.split()), " ".join(translation.split())
            key = term.casefold()
            words = _WORDS.findall(key)
            if not words or not translation or key in self._terms:
                continue
            self._terms[key] = (term, translation)
            self._by_first_word.setdefault(words[0], []).append(key)

    def __len__(self) -> int:
        return len(self._terms)

    def within(self, text: str) -> Sequence[tuple[str, str]]:
        """The (term, translation) pairs that occur in a text as whole words, in any case."""
        if not self._terms:
            return ()
        words = dict.fromkeys(_WORDS.findall(text.casefold()))
        keys = [key for word in words for key in self._by_first_word.get(word, ())]
        return [self._terms[key] for key in keys if has_term(text, self._terms[key][0])]


class Glossary:
    """The terms for every direction: the user's own, by target language, and those of parallel rows."""

    def __init__(self, own: Mapping[str, Mapping[str, str]], batches: Iterable[Rows] = ()) -> None:
        self._own = own
        self._rows: dict[tuple[str, str], list[tuple[str, str]]] = {}
        taken = 0
        for rows in batches:
            if rows.kind is not Kind.PARALLEL:
                continue
            columns = (rows.table[name].to_pylist() for name in ("source_language", "language", "source", "target"))
            for source, target, term, translation in zip(*columns, strict=True):
                if taken < _MOST:
                    self._rows.setdefault((languages.base(source), target), []).append((term, translation))
                    taken += 1
        self._made: dict[tuple[str, str], Terms] = {}

    def of(self, source: str, target: str) -> Terms:
        """The terms of a direction; the user's own come first."""
        key = (source, target)
        if key not in self._made:
            own: list[tuple[str, str]] = []
            tag = target
            while tag:
                own += self._own.get(tag, {}).items()
                own += self._rows.get((languages.base(source), tag), ())
                tag = tag.rpartition("-")[0]
            self._made[key] = Terms(own)
        return self._made[key]
