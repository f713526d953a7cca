"""A glossary says how terms are to be said in another language; what of it stands in a text is found by its words, not by trying every term."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import regex

from curate.rows import Kind, languages
from curate.steps import Rows
from curate.text.placeholders import has_term
from curate.text.segmentation import UNSPACED

_UNSPACED = "".join(rf"\p{{Script={name}}}" for name in UNSPACED if name != "Hangul")
_SIGNS = regex.compile(rf"(?V1)[{_UNSPACED}]|[\w--[{_UNSPACED}]]+")
_MOST = 200_000


class Terms:
    """The terms for one direction."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Takes pairs in order; of several translations of a term the first counts."""
        self._said: dict[str, tuple[str, str]] = {}
        self._first: dict[str, list[str]] = {}
        for term, said in pairs:
            term, said = " ".join(term.split()), " ".join(said.split())
            key = term.casefold()
            signs = _SIGNS.findall(key)
            if not signs or not said or key in self._said:
                continue
            self._said[key] = (term, said)
            self._first.setdefault(signs[0], []).append(key)

    def __len__(self) -> int:
        return len(self._said)

    def within(self, text: str) -> Sequence[tuple[str, str]]:
        """The (term, translation) pairs that stand in a text as whole words, in any case."""
        if not self._said:
            return ()
        found = [key for sign in dict.fromkeys(_SIGNS.findall(text.casefold())) for key in self._first.get(sign, ())]
        return [self._said[key] for key in found if has_term(text, self._said[key][0])]


class Glossary:
    """The terms for every direction: the user's own by target language, and those of parallel rows by both."""

    def __init__(self, own: Mapping[str, Mapping[str, str]], batches: Iterable[Rows] = ()) -> None:
        self._own = own
        self._rows: dict[tuple[str, str], list[tuple[str, str]]] = {}
        taken = 0
        for rows in batches:
            if rows.kind is not Kind.PARALLEL:
                continue
            columns = (rows.table[name].to_pylist() for name in ("source_language", "language", "source", "target"))
            for source, target, term, said in zip(*columns, strict=True):
                if taken < _MOST:
                    self._rows.setdefault((languages.base(source), target), []).append((term, said))
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
