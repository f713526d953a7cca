"""Matches an item against a row: its units must occur in order and near each other, with all its numbers and no others.

The item is aligned with the place in the row that has most of its short n-grams; what is missing there is searched once
more elsewhere (an item split over two messages). Characters without whitespace and punctuation are compared; units are
counted, rare ones more.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt
from rapidfuzz.distance import Levenshtein

from curate.rows.languages import base
from curate.text import negation
from filters.contamination.index import BenchmarkItem
from filters.contamination.normalize import Characters
from filters.contamination.question_type import ask_differently, question_types

Hit = Literal["verbatim", "embedded", "edited", "split", "part", "context"]
Flags = npt.NDArray[np.bool_]
Places = npt.NDArray[np.int64]
_PIECE = {False: 4, True: 2}
_STRONG = {False: 5, True: 3}
_MOST_PIECES = 4
# A negation inverts a question; in a text longer than this an extra "no" may be a slip.
_BRIEF = 25
# By how many units an inserted or deleted word may move the ends.
_BESIDE = 3
# Extra weight of words of the item's own context that replace words of the item, and the rarity they need.
_CONTEXT_WEIGHT, _RARE = 2.0, 0.4
# Weight of other words in the item's sentence beyond what the item misses there, and the most they count, in items.
_SENTENCE_WEIGHT, _MOST_BESIDE = 0.6, 0.8
# How far a sentence is followed, in characters.
_FAR = 60
_STOPS = frozenset(".!?:;。！？：；؟।॥\n\r")
_ENDINGS = frozenset(".!?:;\"'“”„«»‘’。！？：；；؟।॥…「」『』()[]-–—*_#>|=\n\r\t")


@dataclass(frozen=True)
class Match:
    """How much of an item is in a text, and where."""

    containment: float
    """The share of its units that are there, rare ones weighing more, less the units that replace others (0 to 1)."""
    run: float
    """The longest verbatim run, in characters of the item."""
    hit: Hit
    spans: tuple[tuple[int, int], ...]
    """Places in the text (code points, end exclusive), in order of the item."""


@dataclass(frozen=True)
class _Piece:
    """A part of the item aligned with a window of the text."""

    links: Places
    """For each character of the item the position of its counterpart in the text, or -1."""
    window: tuple[int, int]


def match(
    item: BenchmarkItem, chars: Characters, text: str, language: str, share: float = 1.0, *, distinct: bool = True
) -> Match | None:
    """The match of an item in a text; None if it is not there, or has other numbers.

    Args:
        share: the share of the item's shingles known to be in the text; further places are searched only from a half
            on.
        distinct: whether an item with other numbers is another item.
    """
    pattern = item.chars
    if not len(pattern) or not len(chars):
        return None
    if item.short:
        return _equal(pattern, chars, text)
    dense = item.dense
    at = chars.letters.find(pattern.letters)
    if at >= 0 and _same_units(pattern, chars, at):
        return Match(1.0, float(len(pattern)), _whole(pattern, chars), (_span(chars, at, at + len(pattern) - 1),))
    first = _align(pattern.letters, chars.letters, dense)
    if first is None:
        return None
    links = first.links.copy()
    pieces = 1
    while pieces < _MOST_PIECES and share >= 0.5:
        gap = _largest_gap(links, dense, len(pattern))
        if gap is None:
            break
        start, end = gap
        more = _align(pattern.letters[start:end], chars.letters, dense, _taken(links, len(chars)))
        if more is None or not (more.links >= 0).mean() >= 0.85:
            break
        links[start:end] = more.links
        pieces += 1
    credit = _credit(item, links)
    there, whole = float((credit * item.weights).sum()), float(item.weights.sum())
    # Single characters match by chance: only runs count as a place.
    blocks = [block for block in _blocks(links) if block[1] - block[0] >= 2]
    if not blocks:
        return None
    foreign = _foreign(item, chars, text, links, blocks) if len(pattern.bounds) <= _BRIEF else 0.0
    containment = there / (whole + foreign)
    run = float(max(end - start for start, end in blocks))
    if distinct and _other_numbers(pattern, chars, links, blocks, whole=containment >= 0.6):
        return None
    spans = _spans(chars, links, blocks, dense)
    split = len(spans) > 1 and _apart(links, blocks)
    if (
        not split
        and containment < 1
        and len(pattern.bounds) <= _BRIEF
        and _asks_other(item, chars, text, language, links, blocks)
    ):
        return None
    if not split and len(pattern.bounds) <= _BRIEF and _is_negated(pattern, item, text, spans, language):
        return None
    return Match(containment, run, "split" if split else "edited", spans)


def _whole(pattern: Characters, chars: Characters) -> Hit:
    return "verbatim" if 2 * len(pattern) >= len(chars) else "embedded"


# ------------------------------------------------------------------------------------------------------------- equality
def _equal(pattern: Characters, chars: Characters, text: str) -> Match | None:
    """A short item matches only by itself: a whole text, line or sentence."""
    at = chars.letters.find(pattern.letters)
    while at >= 0:
        end = at + len(pattern)
        if _same_units(pattern, chars, at):
            before = text[chars.ends[at - 1] : chars.starts[at]] if at else "\n"
            after = text[chars.ends[end - 1] : chars.starts[end]] if end < len(chars) else "\n"
            if _ENDINGS.intersection(before) and _ENDINGS.intersection(after):
                return Match(1.0, float(len(pattern)), _whole(pattern, chars), (_span(chars, at, end - 1),))
        at = chars.letters.find(pattern.letters, at + 1)
    return None


def _same_units(pattern: Characters, chars: Characters, at: int) -> bool:
    """Whether the units at a place end where the item's do: 16 is not in 160, nor 35 in 3.5.

    Joined words (*data base*, *database*) match inside the item, not at its ends.
    """
    end = at + len(pattern)
    if at and chars.units[at] == chars.units[at - 1]:
        return False
    if end < len(chars) and chars.units[end] == chars.units[end - 1]:
        return False
    if not pattern.numeric.any():
        return True
    mine = np.diff(pattern.units) > 0
    theirs = np.diff(chars.units[at:end]) > 0
    beside = pattern.numeric[1:] | pattern.numeric[:-1]
    return bool((mine == theirs)[beside].all())


# ------------------------------------------------------------------------------------------------------------ alignment
def _align(a: str, b: str, dense: bool, taken: Flags | None = None) -> _Piece | None:
    """Aligns the item, or a part of it, with the window of the text that has most of its short n-grams."""
    size = min(_PIECE[dense], len(a))
    where: dict[str, list[int]] = defaultdict(list)
    for q in range(len(a) - size + 1):
        where[a[q : q + size]].append(q)
    diagonals = []
    for p in range(len(b) - size + 1):
        for q in where.get(b[p : p + size], ()):
            if taken is None or not taken[p]:
                diagonals.append(p - q)
    if not diagonals:
        return None
    d = np.sort(np.array(diagonals))
    width = max(3, len(a) // 6)
    count = np.searchsorted(d, d + width, "right") - np.arange(len(d))
    best = int(count.argmax())
    low, high = int(d[best]), int(d[best + count[best] - 1])
    start, end = max(0, low - 2), min(len(b), high + len(a) + 2)
    window = b[start:end]
    links = np.full(len(a), -1, np.int64)
    for code in Levenshtein.opcodes(a, window):
        if code.tag == "equal":
            links[code.src_start : code.src_end] = np.arange(code.dest_start, code.dest_end) + start
    if taken is not None:
        links[(links >= 0) & taken[links]] = -1
    return _Piece(links, (start, end))


def _taken(links: Places, size: int) -> Flags:
    taken = np.zeros(size, bool)
    taken[links[links >= 0]] = True
    return taken


def _blocks(links: Places) -> list[tuple[int, int]]:
    """Runs of the item that are contiguous in the text."""
    there = np.flatnonzero(links >= 0)
    if not len(there):
        return []
    breaks = np.flatnonzero((np.diff(there) != 1) | (np.diff(links[there]) != 1)) + 1
    edges = np.concatenate([[0], breaks, [len(there)]])
    return [(int(there[s]), int(there[e - 1]) + 1) for s, e in pairwise(edges.tolist())]


def _largest_gap(links: Places, dense: bool, size: int) -> tuple[int, int] | None:
    """The longest span of the item without a strong run, if it is long enough to be searched by itself."""
    edge = 0
    best = (0, 0)
    for start, end in [*(b for b in _blocks(links) if b[1] - b[0] >= _STRONG[dense]), (size, size)]:
        if start - edge > best[1] - best[0]:
            best = (edge, start)
        edge = end
    return best if best[1] - best[0] >= max(4 if dense else 8, size // 8) else None


def _credit(item: BenchmarkItem, links: Places) -> npt.NDArray[np.float64]:
    """For each unit the share of its characters that are there; 0 for less than a half."""
    pattern, there = item.chars, links >= 0
    lone = np.zeros(len(links), bool)
    for start, end in _blocks(links):
        if end - start == 1 or (item.letters and end - start < 3 and not pattern.numeric[start:end].any()):
            lone[start:end] = True
    bounds = pattern.bounds
    sizes = np.diff(bounds)
    # A single matching character counts only if it is a unit.
    good = there & (~lone | (sizes[pattern.units - pattern.units[0]] == 1) & (not item.letters))
    share = np.add.reduceat(good.astype(np.float64), bounds[:-1]) / sizes
    return np.where(share >= 0.5, share, 0.0)


# ----------------------------------------------------------------------------------------------------- what tells apart
def _foreign(item: BenchmarkItem, chars: Characters, text: str, links: Places, blocks: list[tuple[int, int]]) -> float:
    """The weight of units at the item's place in the text that the item does not have: signs of another question.

    Units before and after it in the sentence count in full as far as the item misses something there, else less: three
    common words of a short item are in many a longer sentence.
    """
    pattern, known = item.chars, set(item.chars.words)
    strong = [block for block in blocks if block[1] - block[0] >= 3] or blocks
    linked = np.zeros(len(chars), bool)
    linked[links[links >= 0]] = True
    bounds, rows = chars.bounds, chars.units
    share = np.add.reduceat(linked.astype(np.float64), bounds[:-1]) / np.diff(bounds)

    def is_new(unit: int, word: str) -> bool:
        if share[unit] >= 0.5 and not item.letters:
            return False
        if not item.letters or not 0 < bounds[unit] < len(chars) - 1:
            return word not in known
        # Single letters occur everywhere: one belongs to the item if its neighbours are the same.
        at = int(bounds[unit])
        return not any(
            chars.letters[start : start + 3] in pattern.letters for start in (at - 2, at - 1, at) if start >= 0
        )

    def weigh(first: int, last: int) -> float:
        """Of the units from one character to another."""
        if last < first:
            return 0.0
        units = range(int(rows[first]), int(rows[last]) + 1)
        words = [chars.letters[bounds[unit] : bounds[unit + 1]] for unit in units]
        new = [is_new(unit, word) for unit, word in zip(units, words, strict=True)]
        new_words = [word for word, one in zip(words, new, strict=True) if one]
        total = sum(map(item.rarity, new_words))
        if not item.dense:
            context_weights = [item.rarity(word) for word in new_words if word in item.context_units]
        else:
            pairs = [a + b for (a, b), both in zip(pairwise(words), pairwise(new), strict=True) if all(both)]
            context_weights = [1.0 for pair in pairs if pair in item.context_units]
        return total + _CONTEXT_WEIGHT * sum(weight for weight in context_weights if weight >= _RARE)

    total = 0.0
    for one, other in pairwise(strong):
        first, last = int(links[one[1] - 1]) + 1, int(links[other[0]]) - 1
        if last - first <= max(12, len(links) // 5):
            total += weigh(first, last)
    missing = np.where(_credit(item, links) > 0, 0.0, item.weights)
    before, after = (
        pattern.units[strong[0][0]] - pattern.units[0],
        pattern.units[strong[-1][1] - 1] - pattern.units[0] + 1,
    )
    first, last = int(links[strong[0][0]]), int(links[strong[-1][1] - 1])
    beside = 0.0
    for lost, said in (
        (float(missing[:before].sum()), weigh(_sentence(chars, text, first, -1), first - 1)),
        (float(missing[after:].sum()), weigh(last + 1, _sentence(chars, text, last, 1))),
    ):
        total += min(lost, said)
        beside += _SENTENCE_WEIGHT * max(0.0, said - lost)
    return total + min(beside, _MOST_BESIDE * float(item.weights.sum()))


def _sentence(chars: Characters, text: str, at: int, step: int) -> int:
    """The last character of the sentence around a character, forwards or backwards."""
    for _ in range(_FAR):
        beside = at + step
        if not 0 <= beside < len(chars):
            break
        low, high = min(at, beside), max(at, beside)
        if _STOPS.intersection(text[chars.ends[low] : chars.starts[high]]):
            break
        at = beside
    return at


def _other_numbers(
    pattern: Characters, chars: Characters, links: Places, blocks: list[tuple[int, int]], *, whole: bool
) -> bool:
    """Whether a number or operator of the item is missing, or another one is between the matched parts.

    Args:
        whole: if false, only the numbers inside the matched part count.
    """
    first, last = (0, len(pattern)) if whole else (blocks[0][0], blocks[-1][1])
    if _same_numbers(pattern, chars, links, blocks, first, last):
        return False
    matched = set()
    bounds, theirs = pattern.bounds.tolist(), chars.bounds
    for start, end in pairwise(bounds):
        if not pattern.numeric[start] or start < first or end > last:
            continue
        place = links[start:end]
        if (place < 0).any() or (np.diff(place) != 1).any():
            return True
        unit = chars.units[place[0]]
        if chars.units[place[-1]] != unit or theirs[unit + 1] - theirs[unit] != end - start:
            return True
        matched.add(int(unit))
    joined: list[list[int]] = []
    strong = [(int(links[s]), int(links[e - 1])) for s, e in blocks if e - s >= 3]
    for start, end in sorted(strong):
        if joined and start - joined[-1][1] <= max(8, len(pattern) // 6):
            joined[-1][1] = max(joined[-1][1], end)
        else:
            joined.append([start, end])
    for start, end in joined:
        inside = np.unique(chars.units[start : end + 1][chars.numeric[start : end + 1]])
        for unit in inside.tolist():
            if unit not in matched and chars.letters[theirs[unit]].isdigit():
                return True
    return False


def _same_numbers(
    pattern: Characters, chars: Characters, links: Places, blocks: list[tuple[int, int]], first: int, last: int
) -> bool:
    """Whether numbers and operators are the same in the same order, however the words around them were moved.

    The ends of the place may be some units further out than the match.
    """
    mine = [
        pattern.letters[start:end]
        for start, end in pairwise(pattern.bounds.tolist())
        if pattern.numeric[start] and first <= start and end <= last
    ]
    if not mine:
        return False
    low, high = (int(chars.units[links[place]]) for place in (blocks[0][0], blocks[-1][1] - 1))
    if low > high:
        return False
    bounds = chars.bounds.tolist()
    outer = max(0, low - _BESIDE), min(len(bounds) - 2, high + _BESIDE)
    theirs = [
        (unit, chars.letters[bounds[unit] : bounds[unit + 1]])
        for unit in range(outer[0], outer[1] + 1)
        if chars.numeric[bounds[unit]]
    ]
    inside = [number for number, (unit, _) in enumerate(theirs) if low <= unit <= high]
    for start in range(inside[0] + 1 if inside else len(theirs)):
        end = start + len(mine)
        if [one for _, one in theirs[start:end]] == mine and (not inside or end > inside[-1]):
            return True
    return False


def _asks_other(
    item: BenchmarkItem, chars: Characters, text: str, language: str, links: Places, blocks: list[tuple[int, int]]
) -> bool:
    """Whether the sentence at the place asks for another thing than the item (*when* instead of *who*)."""
    if not item.question_types or base(language) != base(item.language):
        return False
    first, last = int(links[blocks[0][0]]), int(links[blocks[-1][1] - 1])
    if first > last:
        return False
    first, last = _sentence(chars, text, first, -1), _sentence(chars, text, last, 1)
    return ask_differently(item.question_types, question_types(text[chars.starts[first] : chars.ends[last]], language))


def _is_negated(
    pattern: Characters, item: BenchmarkItem, text: str, spans: tuple[tuple[int, int], ...], language: str
) -> bool:
    """Whether the place in the text has a negating word that the item does not have."""
    if not spans or not language:
        return False
    window = text[spans[0][0] : spans[-1][1]]
    # Split, because a negation may be of several words.
    mine = " ".join(negation.words_of(" ".join(pattern.words), language)).split()
    theirs = " ".join(negation.words_of(window, language)).split()
    # A missing negation may be an edit at an end of the place; an added one makes another question.
    return bool(set(theirs) - set(mine))


# --------------------------------------------------------------------------------------------------------------- places
def _span(chars: Characters, first: int, last: int) -> tuple[int, int]:
    return int(chars.starts[first]), int(chars.ends[last])


def _spans(chars: Characters, links: Places, blocks: list[tuple[int, int]], dense: bool) -> tuple[tuple[int, int], ...]:
    """Places in the text, near ones joined."""
    strong = [b for b in blocks if b[1] - b[0] >= (2 if dense else 3)] or blocks
    places: list[list[int]] = []
    for start, end in strong:
        first, last = int(links[start]), int(links[end - 1])
        if places and 0 <= first - places[-1][1] <= max(12, len(links) // 5):
            places[-1][1] = last
        else:
            places.append([first, last])
    least = max(1, len(links) // 12)
    kept = [one for one in places if one[1] - one[0] + 1 >= least] or places
    return tuple(_span(chars, first, last) for first, last in kept)


def _apart(links: Places, blocks: list[tuple[int, int]]) -> bool:
    """Whether two long runs are far from each other in the text."""
    long = [b for b in blocks if b[1] - b[0] >= max(4, len(links) // 10)]
    return any(
        abs((int(links[b[0]]) - int(links[a[1] - 1])) - (b[0] - a[1])) > max(12, len(links) // 5)
        for a, b in pairwise(long)
    )
