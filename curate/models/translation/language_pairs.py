"""Matches a requested language pair to the nearest pair that a translator has, or to none.

``pt-BR`` is served by ``pt-BR``, otherwise by ``pt``, but never ``hi-Latn`` by ``hi``: another script counts as another
language. This module is independent of the engines.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property

from curate.rows import languages

Pair = tuple[str, str]
_SHOWN = 12


class Pairs:
    """The language pairs of a translator: a list, or all pairs of some sources and some targets."""

    def __init__(self, ways: Iterable[Pair] = (), *, sources: Iterable[str] = (), targets: Iterable[str] = ()) -> None:
        """
        Args:
            ways: pairs of canonical tags.
            sources: with ``targets``: every pair of two different languages among them is a way as well.
        """
        self._ways = frozenset(ways)
        self._sources, self._targets = frozenset(sources), frozenset(targets)
        self._found: dict[Pair, Pair | None] = {}

    @cached_property
    def sources(self) -> frozenset[str]:
        """All source languages."""
        return self._sources | {source for source, _ in self._ways}

    @cached_property
    def targets(self) -> frozenset[str]:
        """All target languages."""
        return self._targets | {target for _, target in self._ways}

    def __iter__(self) -> Iterator[Pair]:
        every = {(a, b) for a in self._sources for b in self._targets if not _same(a, b)}
        return iter(sorted(self._ways | every))

    def __contains__(self, pair: object) -> bool:
        return pair in self._ways or (
            isinstance(pair, tuple)
            and pair[0] in self._sources
            and pair[1] in self._targets
            and not _same(pair[0], pair[1])
        )

    def find(self, source: str, target: str) -> Pair | None:
        """The pair that serves this one, an exact one if possible; None if there is none."""
        asked = (source, target)
        if asked not in self._found:
            self._found[asked] = self._find(source, target)
        return self._found[asked]

    def _find(self, source: str, target: str) -> Pair | None:
        try:
            source, target = languages.normalize(source), languages.normalize(target)
        except languages.InvalidLanguage:
            return None
        for one in _near(source, self.sources):
            for other in _near(target, self.targets):
                if (one, other) in self:
                    return one, other
        return None

    def chain(self, source: str, target: str) -> tuple[str, ...]:
        """The shortest chain of languages from one to the other by pairs of this translator; empty if there is none."""
        start = next(iter(_near(source, self.sources)), None)
        goals = set(_near(target, self.targets))
        if start is None:
            return ()
        before: dict[str, str | None] = {start: None}
        queue = deque([start])
        while queue:
            here = queue.popleft()
            if here in goals:
                path: list[str] = []
                step: str | None = here
                while step is not None:
                    path.append(step)
                    step = before[step]
                return tuple(reversed(path))
            for there in sorted(other for one, other in self._ways if one == here):
                if there not in before:
                    before[there] = here
                    queue.append(there)
        return ()

    def describe(self) -> str:
        """A description of the pairs, the first dozen if there are many."""
        if self._ways:
            listed = [f"{source}→{target}" for source, target in sorted(self._ways)]
        else:
            listed = sorted(self._sources | self._targets)
        more = f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
        return (", ".join(listed[:_SHOWN]) or "nothing") + more

    def refusal(self, name: str, source: str, target: str) -> str:
        """An error message for an unsupported pair, with the nearest supported ones."""
        said = f"{name} does not translate {source}→{target}"
        chain = self.chain(source, target)
        if len(chain) > 2:
            return f"{said}, but {'→'.join(chain)}: declare a model 'use: route' through it"
        if not _near(source, self.sources):
            into = sorted(one for one in self.sources if (one, target) in self)
            hint = f"; into {target} it translates from {', '.join(into[:_SHOWN])}" if into and self._ways else ""
            return f"{said}: {source} is no language it translates from{hint} (it has {self.describe()})"
        if not _near(target, self.targets):
            into = sorted(other for other in self.targets if (source, other) in self)
            hint = f"; from {source} it translates into {', '.join(into[:_SHOWN])}" if into and self._ways else ""
            return f"{said}: {target} is no language it translates into{hint} (it has {self.describe()})"
        return f"{said} (it has {self.describe()})"


def _near(tag: str, known: frozenset[str]) -> list[str]:
    """The known languages that serve a tag, nearest first: itself, without its last parts, of another region."""
    found = []
    shorter = tag
    while True:
        if shorter in known and _same(shorter, tag):
            found.append(shorter)
        if "-" not in shorter:
            break
        shorter = shorter.rpartition("-")[0]
    return found + sorted(other for other in known if other not in found and _same(other, tag))


def _same(one: str, other: str) -> bool:
    """Whether two tags are the same language in the same script."""
    return languages.base(one) == languages.base(other) and languages.script(one) == languages.script(other)


def parse_pair(text: str) -> Pair:
    """The pair written as ``en-pt``, ``en→pt``, ``en->pt`` or ``en>pt``.

    Raises:
        ValueError: it is not a pair, or ambiguous with ``-`` (``pt-BR-es``).
    """
    for arrow in ("→", "->", ">"):
        if arrow in text:
            source, _, target = text.partition(arrow)
            return languages.normalize(source), languages.normalize(target)
    parts = text.split("-")
    found: list[Pair] = []
    for cut in range(1, len(parts)):
        try:
            found.append((languages.normalize("-".join(parts[:cut])), languages.normalize("-".join(parts[cut:]))))
        except languages.InvalidLanguage:
            continue
    if len(found) != 1:
        what = "could be read as several pairs" if found else "is no pair of languages"
        raise ValueError(f"'{text}' {what}; write it with an arrow, such as 'pt-BR→es'")
    return found[0]


def match_pair(pair: Pair, given: Mapping[Pair, object]) -> Pair | None:
    """The key of ``given`` that serves a pair (see :meth:`Pairs.find`)."""
    return Pairs(given).find(*pair)
