"""An item stands in a row when its units do, in order and near each other, with every number of it and no other between
them.

The item is laid beside the place in the row where most of its short pieces are; what is not found there is looked for
once more elsewhere (an item told in two turns). What is compared is signs without blanks and punctuation, what is
counted is units, rare ones more.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl
from rapidfuzz.distance import Levenshtein

from curate.rows.languages import base
from filters.contamination.index import Needle
from filters.contamination.normalize import Signs
from filters.contamination.question_type import asked, other_asked
from filters.duplicates import guards

Hit = Literal["verbatim", "embedded", "edited", "split", "part", "context"]
Flags = npt.NDArray[np.bool_]
Places = npt.NDArray[np.int64]
_PIECE = {False: 4, True: 2}
_STRONG = {False: 5, True: 3}
_MOST_PIECES = 4
# A negation turns a question round; in a long text a "no" more may be a slip of the pen.
_BRIEF = 25
# Units that a word put in or taken away may move the ends by.
_BESIDE = 3
# What the item's own context has in place of the item's words counts so much more, where it is no word of all contexts.
_TOLD, _RARE = 2.0, 0.4
# As far as that a sentence is looked at, in signs.
_FAR = 60
_STOPS = frozenset(".!?:;。！？：；؟।॥\n\r")
_ENDINGS = frozenset(".!?:;\"'“”„«»‘’。！？：；；؟।॥…「」『』()[]-–—*_#>|=\n\r\t")


@dataclass(frozen=True)
class Match:
    """How much of an item stands in a text, and where."""

    containment: float
    """The share of its units that are there, rare ones counting more, less what stands in place of others (0 to 1)."""
    run: float
    """The longest verbatim run, in signs of the item."""
    hit: Hit
    spans: tuple[tuple[int, int], ...]
    """Places in the text (code points, end not included), in order of the item."""


@dataclass(frozen=True)
class _Piece:
    """A part of the item laid beside a window of the text."""

    links: Places
    """For each sign of the item the place of the same sign in the text, or -1."""
    window: tuple[int, int]


def match(
    needle: Needle, signs: Signs, text: str, language: str, share: float = 1.0, *, distinct: bool = True
) -> Match | None:
    """The place of an item in a text; None where it is not there, or with other numbers.

    Args:
        share: the share of the item's shingles known to be in the text; a second place is looked for only from a half
            on.
        distinct: whether an item with other numbers is another item.
    """
    item = needle.signs
    if not len(item) or not len(signs):
        return None
    if needle.short:
        return _equal(item, signs, text)
    dense = needle.dense
    at = signs.letters.find(item.letters)
    if at >= 0 and _same_units(item, signs, at):
        return Match(1.0, float(len(item)), _whole(item, signs), (_span(signs, at, at + len(item) - 1),))
    first = _lay(item.letters, signs.letters, dense)
    if first is None:
        return None
    links = first.links.copy()
    pieces = 1
    while pieces < _MOST_PIECES and share >= 0.5:
        gap = _largest_gap(links, dense, len(item))
        if gap is None:
            break
        start, end = gap
        more = _lay(item.letters[start:end], signs.letters, dense, _taken(links, len(signs)))
        if more is None or not (more.links >= 0).mean() >= 0.85:
            break
        links[start:end] = more.links
        pieces += 1
    credit = _credit(needle, links)
    there, whole = float((credit * needle.weights).sum()), float(needle.weights.sum())
    # Chance brings single signs together: what counts as place are runs.
    blocks = [block for block in _blocks(links) if block[1] - block[0] >= 2]
    if not blocks:
        return None
    foreign = _foreign(needle, signs, text, links, blocks) if len(item.bounds) <= _BRIEF else 0.0
    containment = there / (whole + foreign)
    run = float(max(end - start for start, end in blocks))
    if distinct and _other_numbers(item, signs, links, blocks, whole=containment >= 0.6):
        return None
    spans = _spans(signs, links, blocks, dense)
    split = len(spans) > 1 and _apart(links, blocks)
    if (
        not split
        and containment < 1
        and len(item.bounds) <= _BRIEF
        and _asks_other(needle, signs, text, language, links, blocks)
    ):
        return None
    if not split and len(item.bounds) <= _BRIEF and _turned(item, needle, text, spans, language):
        return None
    return Match(containment, run, "split" if split else "edited", spans)


def _whole(item: Signs, signs: Signs) -> Hit:
    return "verbatim" if 2 * len(item) >= len(signs) else "embedded"


# ------------------------------------------------------------------------------------------------------------- equality
def _equal(item: Signs, signs: Signs, text: str) -> Match | None:
    """A short item counts where it stands alone: a whole text, line or sentence."""
    at = signs.letters.find(item.letters)
    while at >= 0:
        end = at + len(item)
        if _same_units(item, signs, at):
            before = text[signs.ends[at - 1] : signs.starts[at]] if at else "\n"
            after = text[signs.ends[end - 1] : signs.starts[end]] if end < len(signs) else "\n"
            if _ENDINGS.intersection(before) and _ENDINGS.intersection(after):
                return Match(1.0, float(len(item)), _whole(item, signs), (_span(signs, at, end - 1),))
        at = signs.letters.find(item.letters, at + 1)
    return None


def _same_units(item: Signs, signs: Signs, at: int) -> bool:
    """Whether the units at a place end where the item's do: 16 is not in 160, nor 35 in 3.5; what is joined of words
    (*data base*, *database*) is the same inside, not at the ends."""
    end = at + len(item)
    if at and signs.units[at] == signs.units[at - 1]:
        return False
    if end < len(signs) and signs.units[end] == signs.units[end - 1]:
        return False
    if not item.figures.any():
        return True
    mine = np.diff(item.units) > 0
    theirs = np.diff(signs.units[at:end]) > 0
    beside = item.figures[1:] | item.figures[:-1]
    return bool((mine == theirs)[beside].all())


# ------------------------------------------------------------------------------------------------------------ alignment
def _lay(a: str, b: str, dense: bool, taken: Flags | None = None) -> _Piece | None:
    """The item, or a part of it, beside that window of the text where most of its short pieces are."""
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
    """Runs of the item that stand in the text one after another."""
    there = np.flatnonzero(links >= 0)
    if not len(there):
        return []
    breaks = np.flatnonzero((np.diff(there) != 1) | (np.diff(links[there]) != 1)) + 1
    edges = np.concatenate([[0], breaks, [len(there)]])
    return [(int(there[s]), int(there[e - 1]) + 1) for s, e in pairwise(edges.tolist())]


def _largest_gap(links: Places, dense: bool, size: int) -> tuple[int, int] | None:
    """The longest stretch of the item without a strong run, if it is long enough to be looked for by itself."""
    edge = 0
    best = (0, 0)
    for start, end in [*(b for b in _blocks(links) if b[1] - b[0] >= _STRONG[dense]), (size, size)]:
        if start - edge > best[1] - best[0]:
            best = (edge, start)
        edge = end
    return best if best[1] - best[0] >= max(4 if dense else 8, size // 8) else None


def _credit(needle: Needle, links: Places) -> npt.NDArray[np.float64]:
    """For each unit the share of its signs that are there; nothing for less than a half."""
    item, there = needle.signs, links >= 0
    lone = np.zeros(len(links), bool)
    for start, end in _blocks(links):
        if end - start == 1 or (needle.letters and end - start < 3 and not item.figures[start:end].any()):
            lone[start:end] = True
    bounds = item.bounds
    sizes = np.diff(bounds)
    # A single sign that matches is a find only where it is a unit.
    good = there & (~lone | (sizes[item.units - item.units[0]] == 1) & (not needle.letters))
    share = np.add.reduceat(good.astype(np.float64), bounds[:-1]) / sizes
    return np.where(share >= 0.5, share, 0.0)


# ----------------------------------------------------------------------------------------------------- what tells apart
def _foreign(needle: Needle, signs: Signs, text: str, links: Places, blocks: list[tuple[int, int]]) -> float:
    """How much, in weights of units, stands at the item's place in the text that the item has nowhere: another question
    about the same thing. What stands before or after it in the sentence counts as far as the item misses something
    there."""
    item, known = needle.signs, set(needle.signs.words)
    strong = [block for block in blocks if block[1] - block[0] >= 3] or blocks
    linked = np.zeros(len(signs), bool)
    linked[links[links >= 0]] = True
    bounds, rows = signs.bounds, signs.units
    share = np.add.reduceat(linked.astype(np.float64), bounds[:-1]) / np.diff(bounds)

    def is_new(unit: int, word: str) -> bool:
        if share[unit] >= 0.5 and not needle.letters:
            return False
        if not needle.letters or not 0 < bounds[unit] < len(signs) - 1:
            return word not in known
        # One letter is in everything: it is the item's where it stands between the same letters.
        at = int(bounds[unit])
        return not any(signs.letters[start : start + 3] in item.letters for start in (at - 2, at - 1, at) if start >= 0)

    def weigh(first: int, last: int) -> float:
        """Of the units from one sign to another."""
        if last < first:
            return 0.0
        units = range(int(rows[first]), int(rows[last]) + 1)
        words = [signs.letters[bounds[unit] : bounds[unit + 1]] for unit in units]
        new = [is_new(unit, word) for unit, word in zip(units, words, strict=True)]
        found = [word for word, one in zip(words, new, strict=True) if one]
        total = sum(map(needle.rarity, found))
        if not needle.dense:
            told = [needle.rarity(word) for word in found if word in needle.told]
        else:
            pairs = [a + b for (a, b), both in zip(pairwise(words), pairwise(new), strict=True) if all(both)]
            told = [1.0 for pair in pairs if pair in needle.told]
        return total + _TOLD * sum(weight for weight in told if weight >= _RARE)

    total = 0.0
    for one, other in pairwise(strong):
        first, last = int(links[one[1] - 1]) + 1, int(links[other[0]]) - 1
        if last - first <= max(12, len(links) // 5):
            total += weigh(first, last)
    missing = np.where(_credit(needle, links) > 0, 0.0, needle.weights)
    before, after = item.units[strong[0][0]] - item.units[0], item.units[strong[-1][1] - 1] - item.units[0] + 1
    first, last = int(links[strong[0][0]]), int(links[strong[-1][1] - 1])
    return (
        total
        + min(float(missing[:before].sum()), weigh(_sentence(signs, text, first, -1), first - 1))
        + min(float(missing[after:].sum()), weigh(last + 1, _sentence(signs, text, last, 1)))
    )


def _sentence(signs: Signs, text: str, at: int, step: int) -> int:
    """The last sign of the sentence around a sign, forwards or backwards."""
    for _ in range(_FAR):
        beside = at + step
        if not 0 <= beside < len(signs):
            break
        low, high = min(at, beside), max(at, beside)
        if _STOPS.intersection(text[signs.ends[low] : signs.starts[high]]):
            break
        at = beside
    return at


def _other_numbers(item: Signs, signs: Signs, links: Places, blocks: list[tuple[int, int]], *, whole: bool) -> bool:
    """Whether a number or operator of the item is not there, or another one stands between what is.

    Args:
        whole: of a part of an item only the numbers inside the part count.
    """
    first, last = (0, len(item)) if whole else (blocks[0][0], blocks[-1][1])
    if _same_figures(item, signs, links, blocks, first, last):
        return False
    matched = set()
    bounds, theirs = item.bounds.tolist(), signs.bounds
    for start, end in pairwise(bounds):
        if not item.figures[start] or start < first or end > last:
            continue
        place = links[start:end]
        if (place < 0).any() or (np.diff(place) != 1).any():
            return True
        unit = signs.units[place[0]]
        if signs.units[place[-1]] != unit or theirs[unit + 1] - theirs[unit] != end - start:
            return True
        matched.add(int(unit))
    joined: list[list[int]] = []
    strong = [(int(links[s]), int(links[e - 1])) for s, e in blocks if e - s >= 3]
    for start, end in sorted(strong):
        if joined and start - joined[-1][1] <= max(8, len(item) // 6):
            joined[-1][1] = max(joined[-1][1], end)
        else:
            joined.append([start, end])
    for start, end in joined:
        inside = np.unique(signs.units[start : end + 1][signs.figures[start : end + 1]])
        for unit in inside.tolist():
            if unit not in matched and signs.letters[theirs[unit]].isdigit():
                return True
    return False


def _same_figures(
    item: Signs, signs: Signs, links: Places, blocks: list[tuple[int, int]], first: int, last: int
) -> bool:
    """Whether the numbers and operators are the same in the same order, however words around them were moved: the ends
    of the place may be some units further out than what was found of it."""
    mine = [
        item.letters[start:end]
        for start, end in pairwise(item.bounds.tolist())
        if item.figures[start] and first <= start and end <= last
    ]
    if not mine:
        return False
    low, high = (int(signs.units[links[place]]) for place in (blocks[0][0], blocks[-1][1] - 1))
    if low > high:
        return False
    bounds = signs.bounds.tolist()
    outer = max(0, low - _BESIDE), min(len(bounds) - 2, high + _BESIDE)
    theirs = [
        (unit, signs.letters[bounds[unit] : bounds[unit + 1]])
        for unit in range(outer[0], outer[1] + 1)
        if signs.figures[bounds[unit]]
    ]
    inside = [number for number, (unit, _) in enumerate(theirs) if low <= unit <= high]
    for start in range(inside[0] + 1 if inside else len(theirs)):
        end = start + len(mine)
        if [one for _, one in theirs[start:end]] == mine and (not inside or end > inside[-1]):
            return True
    return False


def _asks_other(
    needle: Needle, signs: Signs, text: str, language: str, links: Places, blocks: list[tuple[int, int]]
) -> bool:
    """Whether the sentence at the place asks for another thing than the item (*when* for *who*)."""
    if not needle.asked or base(language) != base(needle.language):
        return False
    first, last = int(links[blocks[0][0]]), int(links[blocks[-1][1] - 1])
    if first > last:
        return False
    first, last = _sentence(signs, text, first, -1), _sentence(signs, text, last, 1)
    return other_asked(needle.asked, asked(text[signs.starts[first] : signs.ends[last]], language))


def _turned(item: Signs, needle: Needle, text: str, spans: tuple[tuple[int, int], ...], language: str) -> bool:
    """Whether the place in the text has a negating word more or less than the item's units say."""
    if not spans or not language:
        return False
    window = text[spans[0][0] : spans[-1][1]]
    tag = pl.Series([language])
    mine = guards.negations(pl.Series([" ".join(item.words)]), tag)[0].split()
    theirs = guards.negations(pl.Series([window]), tag)[0].split()
    # One left out may be an edit at an end of the place; another one put in is another question.
    return bool(set(theirs) - set(mine))


# --------------------------------------------------------------------------------------------------------------- places
def _span(signs: Signs, first: int, last: int) -> tuple[int, int]:
    return int(signs.starts[first]), int(signs.ends[last])


def _spans(signs: Signs, links: Places, blocks: list[tuple[int, int]], dense: bool) -> tuple[tuple[int, int], ...]:
    """Places in the text, near ones joined."""
    strong = [b for b in blocks if b[1] - b[0] >= (2 if dense else 3)] or blocks
    found: list[list[int]] = []
    for start, end in strong:
        first, last = int(links[start]), int(links[end - 1])
        if found and 0 <= first - found[-1][1] <= max(12, len(links) // 5):
            found[-1][1] = last
        else:
            found.append([first, last])
    least = max(1, len(links) // 12)
    kept = [one for one in found if one[1] - one[0] + 1 >= least] or found
    return tuple(_span(signs, first, last) for first, last in kept)


def _apart(links: Places, blocks: list[tuple[int, int]]) -> bool:
    """Whether two long runs stand far from each other in the text."""
    long = [b for b in blocks if b[1] - b[0] >= max(4, len(links) // 10)]
    return any(
        abs((int(links[b[0]]) - int(links[a[1] - 1])) - (b[0] - a[1])) > max(12, len(links) // 5)
        for a, b in pairwise(long)
    )
