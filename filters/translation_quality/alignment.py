"""Word alignment score: how much of one side's words the other side explains, by word translations learnt from the
data.

A statistical aligner is trained on a sample of the pairs (those with the smallest ids, the same on every run), in two
separate halves: a row is scored by what was learnt from the half it is not in, so a wrong pair cannot support itself
and no row's score depends on its neighbours. With p(t|s) = links(s, t) / count(s) and q(t) the share of t among all
units, a target unit t is explained by the best source unit as far as log(p/q) goes, in proportion to the best that any
source unit could reach. The score is the mean of both directions, weighted by that best and shrunk to the middle where
there are few words; it is between 0 (chance) and 1. Filtering by lexical translation probabilities follows Zipporah (Xu
and Koehn 2017) and IBM model 1 scores in general.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import regex

from curate.rows import Kind, languages
from curate.steps import Context, Rows, StepError
from curate.steps.models import Aligner
from curate.text import segmentation as text

Floats = npt.NDArray[np.float64]
SAMPLE = pa.schema([("pair", pa.string()), ("id", pa.string()), ("source", pa.string()), ("target", pa.string())])
FITTED = pa.schema(
    [
        ("pair", pa.string()),
        ("half", pa.int8()),
        ("back", pa.bool_()),
        ("given", pa.string()),
        ("made", pa.string()),
        ("value", pa.float64()),
    ]
)
LENGTH = "\0length"
"""Marks, in the column ``given``, the rows whose value is the pair's usual length ratio; it is not a word."""
_UNITS = regex.compile(
    r"(?V1)[\p{Han}々〇]|[\p{Katakana}ー]+|\p{Hiragana}{1,2}|[[\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}]&&[\p{L}\p{M}]]+|\p{N}+|(?:[[\p{L}\p{M}]--[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}]])+"
)
_RUNS = regex.compile(r"[\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}]")
_HANGUL = regex.compile(r"\p{Hangul}")
_LONGEST = 120
_STEM, _SYLLABLES, _GRAM = 6, 2, 4
_KEPT_PER_WORD = 30
_LEAST_SHARE = 0.01


def units(content: str) -> list[str]:
    """The units that are aligned: word prefixes, single Han characters, overlapping n-grams in scripts without
    spaces."""
    result: list[str] = []
    for piece in _UNITS.findall(content.casefold()):
        if _RUNS.match(piece):
            result += [piece[at : at + _GRAM] for at in range(0, max(1, len(piece) - _GRAM + 1), 2)]
        elif _HANGUL.match(piece):
            result.append(piece[:_SYLLABLES])
        else:
            result.append(piece[:_STEM])
    return result


def half(row: str) -> int:
    """The half of the sample that a row belongs to, by its id."""
    return blake2b(row.encode(), digest_size=1, person=b"curate-half").digest()[0] & 1


# ------------------------------------------------------------------------------------------------------------------ fit
def sample(parts: Iterable[tuple[pl.Series, pl.Series, pl.Series, pl.Series, pl.Series]], size: int) -> pa.Table:
    """The ``size`` pairs with the smallest ids of each language pair, ordered so that the tags are alphabetical.

    Args:
        parts: ids, source and target languages, source and target texts.
    """
    columns = dict.fromkeys(SAMPLE.names, pl.String)
    chosen = pl.DataFrame(schema=columns)
    for ids, one, other, source, target in parts:
        swapped = one > other  # both directions of a language pair share their word translations
        frame = (
            pl.DataFrame({"one": one, "other": other, "id": ids, "left": source, "right": target, "turned": swapped})
            .select(
                pair=pl.when("turned")
                .then(pl.col("other") + "\t" + pl.col("one"))
                .otherwise(pl.col("one") + "\t" + pl.col("other")),
                id="id",
                source=pl.when("turned").then("right").otherwise("left"),
                target=pl.when("turned").then("left").otherwise("right"),
            )
            .drop_nulls()
        )
        frame = frame.filter((pl.col("source") != "") & (pl.col("target") != ""))
        chosen = _smallest(pl.concat([chosen, frame.cast(columns)]), size)
    return chosen.to_arrow().cast(SAMPLE)


def _smallest(whole: pl.DataFrame, size: int) -> pl.DataFrame:
    return whole.sort("pair", "id", "source").group_by("pair", maintain_order=True).head(size)


def fit(
    samples: Sequence[pa.Table],
    size: int,
    least: int,
    aligner: Aligner | None,
    table: Iterator[Rows] | None,
    context: Context,
) -> pa.Table:
    """The word translations learnt from all samples, and each pair's usual length ratio.

    Args:
        least: a language pair with fewer sampled rows learns nothing.
        table: rows of a lexicon, whose entries are added.
    """
    columns = dict.fromkeys(SAMPLE.names, pl.String)
    whole = _smallest(
        pl.concat([pl.DataFrame(schema=columns), *(pl.DataFrame(pl.from_arrow(one)).cast(columns) for one in samples)]),
        size,
    ).unique(["pair", "source", "target"], keep="first", maintain_order=True)
    entries: list[tuple[str, int, bool, str, str, float]] = []
    for (pair,), part in whole.group_by("pair", maintain_order=True):
        name = str(pair)
        entries.append((name, 0, False, LENGTH, "", _usual(part)))
        if aligner is None or len(part) < least:
            if aligner is not None:
                context.warn(
                    f"translation_quality: {len(part)} rows of {name.replace(chr(9), '→')} are too few to learn word "
                    "translations: no alignment score"
                )
            continue
        for number in (0, 1):
            mine = part.filter(pl.Series([half(row) == number for row in part["id"]]))
            entries += _learn(name, number, mine["source"].to_list(), mine["target"].to_list(), aligner)
    if table is not None:
        entries += _entries_of(table)
    return (
        pa.Table.from_arrays(
            [
                pa.array(list(column), field.type)
                for column, field in zip(zip(*entries, strict=True), FITTED, strict=True)
            ],
            schema=FITTED,
        )
        if entries
        else FITTED.empty_table()
    )


def _usual(part: pl.DataFrame) -> float:
    """The median ratio of letters, target to source, in the longer half of a pair's rows."""
    sides = [text.letter_weights(part[name])["letters"].to_numpy().astype(np.float64) for name in ("source", "target")]
    enough = (sides[0] >= np.median(sides[0])) & (sides[0] > 0) & (sides[1] > 0)
    return float(np.exp(np.median(np.log(sides[1][enough] / sides[0][enough])))) if enough.any() else 1.0


def _learn(
    pair: str, number: int, sources: list[str], targets: list[str], aligner: Aligner
) -> list[tuple[str, int, bool, str, str, float]]:
    left, right = _unit_pairs(sources, targets)
    links: Counter[tuple[str, str]] = Counter()
    for one, other, alignment in zip(left, right, aligner.align(left, right), strict=True):
        links.update((one[i], other[j]) for i, j in alignment.links)
    counts = Counter(unit for side in left for unit in side), Counter(unit for side in right for unit in side)
    entries: list[tuple[str, int, bool, str, str, float]] = []
    for back in (False, True):
        ours, theirs = counts[::-1] if back else counts
        made: dict[str, list[tuple[float, str]]] = {}
        for (source, target), times in links.items():
            word_given, word = (target, source) if back else (source, target)
            share = times / ours[word_given]
            if times >= 2 and share >= _LEAST_SHARE:
                made.setdefault(word_given, []).append((share, word))
        kept: set[str] = set()
        for word_given in sorted(made):
            for share, word in sorted(made[word_given], key=lambda one: (-one[0], one[1]))[:_KEPT_PER_WORD]:
                entries.append((pair, number, back, word_given, word, round(share, 5)))
                kept.add(word)
        total = theirs.total()
        entries += [(pair, number, back, "", word, theirs[word] / total) for word in sorted(kept)]
    return entries


def _unit_pairs(sources: list[str], targets: list[str]) -> tuple[list[list[str]], list[list[str]]]:
    """Units of both sides, sentence by sentence if there are equally many sentences: long lists align badly."""
    pieces = [text.sentences(pl.Series(side, dtype=pl.String)).to_list() for side in (sources, targets)]
    left, right = [], []
    for one, other, whole_one, whole_other in zip(*pieces, sources, targets, strict=True):
        pairs = zip(one, other, strict=True) if len(one) == len(other) else ((whole_one, whole_other),)
        for source, target in pairs:
            first, second = units(source)[:_LONGEST], units(target)[:_LONGEST]
            if first and second:
                left.append(first)
                right.append(second)
    return left, right


def _entries_of(table: Iterator[Rows]) -> list[tuple[str, int, bool, str, str, float]]:
    """The entries of a lexicon: each translation of a word has the lexicon's score, or 0.5."""
    entries: dict[tuple[str, str, str], float] = {}
    for rows in table:
        if rows.kind is not Kind.PARALLEL:
            raise StepError(
                f"translation_quality: table: {rows.kind} rows are not a lexicon; name the rows that 'lexicon' or a "
                "dictionary makes"
            )
        columns = [
            rows.table[name].to_pylist() for name in ("source_language", "language", "source", "target", "scores")
        ]
        for one, other, source, target, scores in zip(*columns, strict=True):
            score_value = next(
                (score["value"] for score in scores or () if score["name"] == "lexicon" and score["value"] is not None),
                None,
            )
            for left in units(source):
                for right in units(target):
                    key = (f"{other}\t{one}", right, left) if one > other else (f"{one}\t{other}", left, right)
                    entries[key] = max(entries.get(key, 0.0), 0.5 if score_value is None else float(score_value))
    result: list[tuple[str, int, bool, str, str, float]] = []
    for (pair, left, right), value in sorted(entries.items()):
        for number in (0, 1):
            result.append((pair, number, False, left, right, value))
            result.append((pair, number, True, right, left, value))
    return result


# ---------------------------------------------------------------------------------------------------------------- score
class Lexicon:
    """The fitted word translations, prepared for scoring."""

    def __init__(self, fitted: pa.Table) -> None:
        self.lengths: dict[tuple[str, str], float] = {}
        self._made: dict[tuple[str, int, bool], dict[str, dict[str, float]]] = {}
        self._shares: dict[tuple[str, int, bool], dict[str, float]] = {}
        for row in zip(*(fitted[name].to_pylist() for name in FITTED.names), strict=True):
            pair, number, back, given, made, value = row
            if given == LENGTH:
                one, _, other = pair.partition("\t")
                self.lengths[one, other], self.lengths[other, one] = value, 1 / max(value, 1e-6)
            elif given:
                into = self._made.setdefault((pair, number, back), {}).setdefault(given, {})
                into[made] = max(value, into.get(made, 0.0))
            else:
                self._shares.setdefault((pair, number, back), {})[made] = value
        self._best: dict[tuple[str, int, bool], dict[str, float]] = {}
        for key, table in self._made.items():
            shares = self._shares.get(key, {})
            best: dict[str, float] = {}
            for given in table.values():
                for made, value in given.items():
                    best[made] = max(best.get(made, 0.0), _gain(value, shares.get(made, _RARE)))
            self._best[key] = best

    def knows(self, one: str, other: str) -> bool:
        """Whether anything was learnt about a language pair."""
        pair = "\t".join(sorted((one, other)))
        return (pair, 0, False) in self._made and (pair, 1, False) in self._made

    def score(self, pair: str, row: str, source: str, target: str) -> float:
        """The explained share, mean of both directions (0 to 1); NaN where there is too little evidence."""
        number = 1 - half(row)
        if (pair, number, False) not in self._made:
            return float("nan")
        ours, theirs = set(units(source)), set(units(target))
        both = [
            self._explained((pair, number, False), ours, theirs),
            self._explained((pair, number, True), theirs, ours),
        ]
        shares = [share for share, weight in both if weight >= _LEAST_WEIGHT]
        return float(np.mean(shares)) if len(shares) == 2 else float("nan")

    def _explained(self, key: tuple[str, int, bool], given: set[str], made: set[str]) -> tuple[float, float]:
        table, best, shares = self._made.get(key, {}), self._best.get(key, {}), self._shares.get(key, {})
        possible = {word: best[word] for word in made if word in best}
        whole = sum(possible.values())
        if not whole:
            return 0.0, 0.0
        reached: dict[str, float] = {}
        for one in given:
            for word, value in table.get(one, _NOTHING).items():
                if word in possible:
                    gain = _gain(value, shares.get(word, _RARE))
                    if gain > reached.get(word, 0.0):
                        reached[word] = gain
        return (sum(reached.values()) + _SHRINK * _MIDDLE) / (whole + _SHRINK), whole


_NOTHING: dict[str, float] = {}
_RARE = 1e-3
# Shrinkage for few words: this many nats are added, explained as in the mean of good pairs.
_SHRINK, _MIDDLE = 8.0, 0.6
_LEAST_WEIGHT = 6.0


def _gain(value: float, share: float) -> float:
    return max(0.0, float(np.log((0.9 * value + 0.1 * share) / share))) if share else 0.0


def scores(
    lexicon: Lexicon,
    ids: Sequence[str],
    tags: tuple[Sequence[Any], Sequence[Any]],
    source: Sequence[str | None],
    target: Sequence[str | None],
) -> Floats:
    """:meth:`Lexicon.score` of each pair."""
    values = np.full(len(ids), np.nan)
    for at, (row, one, other, left, right) in enumerate(zip(ids, *tags, source, target, strict=True)):
        if one is not None and left and right and languages.UNKNOWN not in (one, other):
            values[at] = (
                lexicon.score(f"{other}\t{one}", row, right, left)
                if one > other
                else lexicon.score(f"{one}\t{other}", row, left, right)
            )
    return values
