"""Index of benchmark items: finds the items that share enough rare shingles with a row.

The shingles of all items are one sorted table behind a bit map: most shingles of a row belong to no item and cost one
lookup in the bit map. Shingles that most items share (*how many*, *which of the following*) are excluded, and long
items are represented by a fixed sample of their shingles.
"""

from __future__ import annotations

import math
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import regex
from rapidfuzz import fuzz, process
from rapidfuzz.distance import LCSseq

from filters.contamination.normalize import SAME, Characters, characters_of, plain, word_count
from filters.contamination.question_type import QuestionTypes, question_types
from filters.duplicates.shingles import SIZES, Shingles, shingles

Places = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Hashes = npt.NDArray[np.uint64]

LEAST = 0.07
"""The share of an item's rare shingles that a row must have, near each other, to become a candidate."""
# Longer than for duplicates: most sequences of five letters occur in any text.
_SIZES = {"default": 6, **{name: 5 if size == 4 else size for name, size in SIZES.items()}}
_BITS = 24
_CELLS, _SPREAD = 1 << 20, np.int64(0x1E3779B97F4A7C15)
_SKETCH = 160
# Shingles in more items than this, and in more than this share of them, are too common to index.
_COMMON, _COMMON_SHARE = 40, 0.01
_FEW = 6
# A pair that shares this much is always aligned, because the item may be split; other pairs only if they are similar as
# a whole. Items longer than _LONG characters are compared by their shingles alone.
_SURE, _IN_ORDER, _ALIKE, _LONG = 0.4, 0.75, 70.0, 400
_ENDS = 6
# The words of a description that are too few for inexact matches.
_BRIEF_DESCRIPTION = 12.0
# Maximum characters, including whitespace, of a line that may be a very short item.
_LINE = 60


@dataclass(frozen=True)
class BenchmarkItem:
    """One text to find."""

    number: int
    """Its row in the item table."""
    chars: Characters
    weights: Floats
    """The rarity of each unit among the items of its language, in (0, 1]."""
    short: bool
    """Too short for anything but an exact match."""
    rarity: Callable[[str], float] = lambda word: 1.0
    """The weight of a unit among these items."""
    context: Characters | None = None
    """The text that the item asks about, if any."""

    @cached_property
    def context_units(self) -> frozenset[str]:
        """The units of the context; in scripts without spaces, pairs of units."""
        if self.context is None:
            return frozenset()
        words = self.context.words
        return frozenset(["".join(pair) for pair in pairwise(words)] if self.dense else words)

    @cached_property
    def dense(self) -> bool:
        """Whether a character carries as much as half a word (Han, kana, Thai …)."""
        return len(self.chars.bounds) - 1 > 0.5 * len(self.chars)

    @cached_property
    def letters(self) -> bool:
        """Whether its units are single letters of a script without spaces (Thai, Khmer …)."""
        return self.dense and len(_LETTERS.findall(self.chars.letters)) > 0.5 * len(self.chars)

    @cached_property
    def question_types(self) -> QuestionTypes:
        """What the question asks for."""
        return question_types(self.text, self.language)

    text: str = ""
    language: str = ""


@dataclass(frozen=True)
class Candidates:
    """Pairs of a row and an item that share many shingles, sorted by row."""

    rows: Places
    items: Places
    shares: Floats
    """The share (0 to 1) of the item's rare shingles that the row has, rarer ones weighing more."""

    def joined(self, others: Sequence[Candidates]) -> Candidates:
        """The union of several candidate sets."""
        rows, items, shares = (
            np.concatenate([getattr(one, name) for one in (self, *others)]) for name in ("rows", "items", "shares")
        )
        _, first = np.unique((rows << 32) | items, return_index=True)
        return Candidates(rows[first], items[first], shares[first])


class Index:
    """Finds benchmark items in rows.

    Args:
        items: ``benchmark, item, language, part, text, support, shared`` as in
            :func:`filters.contamination.items.make_table`.
        short: minimum words of an item for inexact matches.
    """

    def __init__(self, items: pa.Table, short: float) -> None:
        self.items = items.drop_columns(["vector", "code"]).to_pydict()
        self.count = items.num_rows
        texts = pl.Series(items["text"].combine_chunks() if self.count else [], dtype=pl.String)
        languages = pl.Series(items["language"].combine_chunks() if self.count else [], dtype=pl.String)
        normal = SAME.normalize(plain(texts), languages)
        self.words = word_count(normal)
        # Many programs are to do what few words say.
        described = np.array([part == "description" for part in self.items["part"]], bool)
        self.short = self.words < np.where(described, max(short, _BRIEF_DESCRIPTION), short)
        self._bare = normal.str.replace_all(r"\s+", "").to_list()
        self._make_table(shingles(normal, _SIZES), languages)
        self._items: dict[int, BenchmarkItem] = {}
        self._contexts: dict[int, Characters] = {}
        # Items shorter than a shingle are found by equal lines.
        self.tiny: dict[str, list[int]] = {}
        for number, bare in enumerate(self._bare):
            if bare and self._lengths[number] <= _ENDS and self.items["part"][number] == "question":
                self.tiny.setdefault(bare, []).append(number)

    def _make_table(self, flat: Shingles, languages: pl.Series) -> None:
        counts = np.diff(flat.offsets)
        self._lengths = counts
        self._long = counts * 3 // 2 + 8
        owner = np.repeat(np.arange(self.count), counts)
        # The shingles at the end of a text are shorter, so they do not occur in a longer text.
        last = flat.offsets[1:][owner] - 1 - np.arange(len(owner))
        inner = last >= np.minimum(_ENDS, counts - 1)[owner] if len(owner) else np.zeros(0, bool)
        owner, flat = owner[inner], Shingles(flat.hashes[inner], flat.offsets)
        # Each shingle once per item; for long texts a sample: the smallest of the scrambled hashes.
        order = np.lexsort((flat.hashes, owner))
        owner, hashes = owner[order], flat.hashes[order]
        new = np.ones(len(owner), bool)
        new[1:] = (owner[1:] != owner[:-1]) | (hashes[1:] != hashes[:-1])
        owner, hashes = owner[new], hashes[new]
        begins = np.searchsorted(owner, np.arange(self.count))
        place = np.arange(len(owner)) - begins[owner] if len(owner) else owner
        kept = place < _SKETCH
        owner, hashes = owner[kept], hashes[kept]
        table, inverse, often = np.unique(hashes, return_inverse=True, return_counts=True)
        codes = languages.cast(pl.Categorical).to_physical().to_numpy() if self.count else np.zeros(0, np.int64)
        sizes = Counter(codes.tolist())
        size = np.array([sizes[code] for code in codes.tolist()], np.float64)
        limit = np.maximum(_COMMON, _COMMON_SHARE * size)[owner] if len(owner) else np.zeros(0)
        df = often[inverse]
        # Every item keeps its rarest shingles, even if they are common.
        by_df = np.lexsort((hashes, df, owner))
        rank = np.empty(len(owner), np.int64)
        rank[by_df] = (
            np.arange(len(owner)) - np.searchsorted(owner, np.arange(self.count))[owner[by_df]] if len(owner) else 0
        )
        kept = (df <= limit) | ((rank < _FEW) & (df <= 16 * limit))
        owner, inverse, df = owner[kept], inverse[kept], df[kept]
        weight = np.log1p(len(sizes) + self.count) - np.log(df)
        self._total = np.bincount(owner, weight, minlength=self.count)
        by_shingle = np.argsort(inverse, kind="stable")
        self._postings, self._weights = owner[by_shingle], weight[by_shingle]
        used, first = np.unique(inverse[by_shingle], return_index=True)
        self._table = table[used]
        self._first = np.append(first, len(by_shingle))
        self._bits = np.zeros(1 << _BITS, bool)
        self._bits[self._table >> np.uint64(64 - _BITS)] = True

    # ------------------------------------------------------------------------------------------------------- candidates
    def candidates(self, normal: pl.Series, least: float = LEAST) -> Candidates:
        """The items that may be in some texts.

        Args:
            normal: normal forms (:data:`filters.contamination.normalize.SAME`).
        """
        flat = shingles(normal, _SIZES)
        hits = np.flatnonzero(self._bits[flat.hashes >> np.uint64(64 - _BITS)])
        hashes = flat.hashes[hits]
        place = np.searchsorted(self._table, hashes)
        place[place == len(self._table)] = 0
        good = self._table[place] == hashes if len(self._table) else np.zeros(len(place), bool)
        at, place = hits[good], place[good]
        rows = np.searchsorted(flat.offsets, at, "right") - 1
        many = self._first[place + 1] - self._first[place] if len(place) else np.zeros(0, np.int64)
        which = np.repeat(self._first[place] - (np.cumsum(many) - many), many) + np.arange(int(many.sum()))
        items, rows, at = self._postings[which], np.repeat(rows, many), np.repeat(at, many)
        weights = self._weights[which] / self._total[items]
        pairs = (rows << 32) | items
        # Most pairs share one or two shingles by chance; remove them before sorting. Pairs that hash to the same cell
        # are added up, so that no good pair is lost.
        cell = ((pairs * _SPREAD) >> 40) & (_CELLS - 1)
        enough = np.bincount(cell, weights, minlength=_CELLS)[cell] >= np.where(self.short[items], 0.9, least)
        pairs, at, weights, shingle = pairs[enough], at[enough], weights[enough], which[enough]
        order = np.lexsort((at, pairs))
        pairs, at, weights, shingle = pairs[order], at[order], weights[order], shingle[order]
        near, place = self._near(pairs, at - flat.offsets[pairs >> 32], weights, shingle, least)
        return self._like(near, place, normal, np.diff(flat.offsets))

    def tiny_candidates(self, turns: pl.Series, languages: pl.Series) -> Candidates:
        """The very short items that are a whole line of some texts.

        Args:
            turns: lists of texts.
        """
        frame = pl.DataFrame({"row": pl.int_range(len(turns), eager=True), "line": turns, "language": languages})
        lines = frame.explode("line").drop_nulls("line").with_columns(pl.col("line").str.split("\n")).explode("line")
        lines = lines.filter(pl.col("line").str.len_chars().is_between(1, _LINE))
        bare = SAME.normalize(lines["line"], lines["language"]).str.replace_all(r"\s+", "")
        hits = (
            lines.select("row")
            .with_columns(bare=bare)
            .filter(pl.col("bare").is_in(list(self.tiny)))
            .unique(maintain_order=True)
        )
        pairs = [(row, item) for row, one in hits.rows() for item in self.tiny[one]]
        rows, items = (np.array([pair[side] for pair in pairs], np.int64) for side in (0, 1))
        return Candidates(rows, items, np.ones(len(pairs)))

    def _near(
        self, pairs: Places, at: Places, weights: Floats, shingle: Places, lowest: float
    ) -> tuple[Candidates, Places]:
        """The pairs whose common shingles occur near each other, about as near as in the item; and where."""
        if not len(pairs):
            nothing = np.zeros(0, np.int64)
            return Candidates(nothing, nothing, np.zeros(0)), nothing
        items = pairs & 0xFFFFFFFF
        starts = np.flatnonzero(np.concatenate([[True], pairs[1:] != pairs[:-1]]))
        group = np.cumsum(np.concatenate([[0], pairs[1:] != pairs[:-1]])).astype(np.int64)
        # Positions are offset by pair, so that one sorted list holds them all.
        width = int(at.max()) + int(self._long.max()) + 2
        keys = group * width + at
        sums = np.concatenate([[0.0], np.cumsum(weights)])
        ends = np.searchsorted(keys, keys + self._long[items], "right")
        ends = np.minimum(ends, np.append(starts, len(keys))[group + 1])
        inside = sums[ends] - sums[:-1]
        best = np.maximum.reduceat(inside, starts)
        first = np.minimum.reduceat(np.where(inside >= best[group] - 1e-9, at, width), starts)
        # A shingle that occurs twice counts once.
        once = np.unique((group << 32) | shingle, return_index=True)[1]
        whole = np.bincount(group[once], weights[once], minlength=len(starts))
        rows, items = pairs[starts] >> 32, items[starts]
        least = np.where(self._lengths[items] > _LONG, 0.25, lowest)
        good = np.where(self.short[items], whole >= 0.9, best >= least)
        return Candidates(rows[good], items[good], np.minimum(1.0, whole[good])), first[good]

    def _like(self, near: Candidates, place: Places, normal: pl.Series, counts: Places) -> Candidates:
        """The pairs that are similar at that place, apart from those that share most of the item: a check of
        microseconds."""
        known: dict[int, str] = {}
        mine, theirs = [], []
        doubtful = (near.shares < _SURE) & (self._lengths[near.items] <= _LONG)
        for row, item, at in zip(
            near.rows[doubtful].tolist(), near.items[doubtful].tolist(), place[doubtful].tolist(), strict=True
        ):
            if row not in known:
                known[row] = "".join(normal[row].split())
            bare, size = known[row], len(self._bare[item])
            # Positions count characters, some of which have several code points.
            middle = int(at * len(bare) / max(1, int(counts[row])))
            mine.append(self._bare[item])
            theirs.append(bare[max(0, middle - size - 8) : middle + 2 * size + 8])
        alike = ~doubtful
        if mine:
            # A subsequence takes one pass, the best window many: it is computed only if enough of the item is in order.
            common = process.cpdist(mine, theirs, scorer=LCSseq.similarity) / np.array([len(one) for one in mine])
            likely = np.flatnonzero(common >= _IN_ORDER)
            ratio = (
                process.cpdist(
                    [mine[one] for one in likely], [theirs[one] for one in likely], scorer=fuzz.partial_ratio
                )
                if len(likely)
                else np.zeros(0)
            )
            alike[np.flatnonzero(doubtful)[likely[ratio >= _ALIKE]]] = True
        return Candidates(near.rows[alike], near.items[alike], near.shares[alike])

    def item(self, number: int) -> BenchmarkItem:
        """An item prepared for alignment; cached."""
        entry = self._items.get(number)
        if entry is None:
            language = self.items["language"][number]
            chars = characters_of(self.items["text"][number], language)
            often, size = self._often.get(language, ({}, 1))
            rarity = partial(_rarity, often, size)
            weights = np.array([rarity(word) for word in chars.words])
            entry = BenchmarkItem(
                number,
                chars,
                weights,
                bool(self.short[number]),
                rarity,
                self._context(number),
                self.items["text"][number],
                language,
            )
            if len(self._items) > 20_000:
                self._items.clear()
            self._items[number] = entry
        return entry

    def _context(self, number: int) -> Characters | None:
        about = self.items["about"][number]
        if about is None:
            return None
        if about not in self._contexts:
            if len(self._contexts) > 2_000:
                self._contexts.clear()
            self._contexts[about] = characters_of(self.items["text"][about], self.items["language"][about])
        return self._contexts[about]

    @cached_property
    def _often(self) -> Mapping[str, tuple[Mapping[str, int], int]]:
        """For each language: in how many questions each word occurs, and the number of questions."""
        counts: dict[str, tuple[Counter[str], int]] = {}
        chosen = [number for number in range(self.count) if self.items["part"][number] == "question"]
        for number in chosen[:: max(1, len(chosen) // 20_000)]:
            language = self.items["language"][number]
            words, size = counts.get(language, (Counter(), 0))
            words.update({word.casefold() for word in _rough(self.items["text"][number])})
            counts[language] = (words, size + 1)
        return counts


def _rarity(often: Mapping[str, int], size: int, word: str) -> float:
    if _LETTERS.match(word):
        return 0.5
    return min(1.0, max(0.1, 1 - math.log(often.get(word, 1)) / math.log(size + 2)))


_LETTERS = regex.compile(r"[\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}]")
_WORDS = regex.compile(
    r"(?V1)[[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]]\p{M}*|\p{Nd}+|[\p{L}\p{M}]+"
)


def _rough(one: str) -> list[str]:
    return _WORDS.findall(one)


_INDEXES: OrderedDict[tuple[str, float], Index] = OrderedDict()
_MOST = 2


def index_of(items: pa.Table, short: float) -> Index:
    """The index of some items, made once a process."""
    digest = items["digest"][0].as_py() if items.num_rows else ""
    key = (digest, short)
    if key not in _INDEXES:
        while len(_INDEXES) >= _MOST:
            _INDEXES.popitem(last=False)
        _INDEXES[key] = Index(items, short)
    _INDEXES.move_to_end(key)
    return _INDEXES[key]
