"""What all near-duplicate methods share, from the columns of summaries to decisions: merge equal texts, pair, link,
decide.

Rows with one normal form are merged at the start, so that a text copied a million times is compared once. Whatever
grows with the rows is in files (:mod:`filters.duplicates.files`): a row takes about 200 bytes of disk beside its texts
and its signature or vector, and one of memory beside what the ranking by scores or lengths needs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from curate.text import segmentation as text
from filters.duplicates.clusters import Places, Ranking, decision, hexadecimal, link, ranked
from filters.duplicates.columns import Hashes, Rules, Summary, SummaryColumns
from filters.duplicates.files import CHUNK, Files
from filters.duplicates.minhash import Pairs

Measured = Callable[[Places, Places], npt.NDArray[np.float64]]
"""The similarity of pairs of rows."""
# Bytes that sorting a row by its text takes.
_SORT = 96


@dataclass(frozen=True)
class UniqueTexts:
    """The distinct texts among the rows."""

    rows: Places
    """The first row of each text."""
    of: Places
    """The text number of each row; -1 for a row without text."""


def unique_texts(columns: SummaryColumns, files: Files) -> UniqueTexts:
    """Merges rows with equal normal forms in one block."""
    count = len(columns)
    first = files.array("first", (count,), np.int64)
    parts = -(-count * _SORT // files.memory)
    for part in range(parts):
        _find_first(columns, part, parts, first)
    # Numbered by their first row, so that the numbers do not depend on digests.
    number = files.array("number", (count,), np.int64)
    texts = 0
    for at in _starts(count):
        is_first = first[at : at + CHUNK] == np.arange(at, min(count, at + CHUNK))
        number[at : at + CHUNK] = texts + np.cumsum(is_first) - 1
        texts += int(is_first.sum())
    rows = files.array("unique", (texts,), np.int64)
    for at in _starts(count):
        here = first[at : at + CHUNK]
        mine = np.flatnonzero(here == np.arange(at, at + len(here)))
        rows[number[mine + at]] = mine + at
        first[at : at + CHUNK] = np.where(here >= 0, number[here], -1)
    return UniqueTexts(rows, first)


def _starts(count: int) -> range:
    return range(0, count, CHUNK)


def _find_first(columns: SummaryColumns, part: int, parts: int, first: Places) -> None:
    """Writes the first row with the same text for a part of the rows, chosen by digest; -1 for a row without text."""
    rows: list[Places] = []
    for at in _starts(len(columns)):
        here = slice(at, at + CHUNK)
        mine = np.arange(at, at + len(columns.high[here]))
        if not part:
            first[here] = -1
        rows.append(mine[columns.there[here] & (columns.high[here] % np.uint64(parts) == part)])
    chosen = np.concatenate(rows)
    if not len(chosen):
        return
    with np.errstate(over="ignore"):
        apart = text.scramble(columns.block[chosen] * np.uint64(0x9E3779B97F4A7C15) + columns.own[chosen])
    high, low = columns.high[chosen] ^ apart, columns.low[chosen]
    order = np.lexsort((high, low))
    high, low = high[order], low[order]
    begins = np.concatenate([[True], (high[1:] != high[:-1]) | (low[1:] != low[:-1])])
    # The sort is stable: the first of a run is the first row.
    starts = np.flatnonzero(begins)
    first[chosen[order]] = np.repeat(chosen[order[starts]], np.diff(np.append(starts, len(order))))


# ------------------------------------------------------------------------------------------------------------- deciding
def decide(
    columns: SummaryColumns,
    rules: Rules,
    pair: Callable[[UniqueTexts], Iterable[Pairs]],
    measure: Measured,
    summaries: Sequence[Summary],
    files: Files,
) -> Iterator[dict[str, pa.Array]]:
    """The decision for each summary that is not fixed, in order.

    Args:
        pair: finds the similar pairs among the unique texts.
        measure: the similarity of pairs of rows.
    """
    unique = unique_texts(columns, files)
    ranking = _rank_texts(columns, rules, unique, files)
    links = files.numbers("links")
    for some in pair(unique):
        one, other = ranking.place[some.left], ranking.place[some.right]
        links.write(
            (np.maximum(one, other).astype(np.uint64) << np.uint64(32)) | np.minimum(one, other).astype(np.uint64)
        )
        files.release()
    fixed = columns.facts.fixed
    never = 0 if fixed is None else int(np.count_nonzero(fixed[ranking.best]))
    centre = link(files.array("centre", (len(unique.rows),), np.int64), links.sorted(), rules.linkage, never)
    clusters = _clusters(columns, unique, ranking, centre, files)
    start = 0
    for summary in summaries:
        if not summary.fixed:
            rows = np.arange(start, start + summary.rows)
            yield _decision(columns, unique, ranking, clusters, measure, rows, rules)
            files.release()
        start += summary.rows


def _rank_texts(columns: SummaryColumns, rules: Rules, unique: UniqueTexts, files: Files) -> Ranking:
    """A text ranks as high as its best row."""
    count = len(unique.rows)
    place, best = files.array("place", (count,), np.int64), files.array("best", (count,), np.int64)
    first = files.array("first-of-place", (count,), np.int64)
    place[:] = -1
    order = ranked(columns.facts, rules.criteria)
    done = 0
    for at in _starts(len(columns)):
        rows = np.arange(at, min(len(columns), at + CHUNK)) if order is None else order[at : at + CHUNK]
        texts = unique.of[rows]
        new = np.flatnonzero(texts >= 0)
        new = new[place[texts[new]] < 0]
        # Of several rows of a text in this chunk, the first counts.
        new = new[np.sort(np.unique(texts[new], return_index=True)[1])]
        places = np.arange(done, done + len(new))
        place[texts[new]] = places
        best[places], first[places] = rows[new], unique.rows[texts[new]]
        done += len(new)
    return Ranking(place, best, first)


@dataclass(frozen=True)
class _Clusters:
    """For each text, by its place in the ranking: the place of the text that its cluster keeps; for each of those the
    rows in the cluster and the smallest id, which names it: the name depends on its rows, not on their order."""

    centre: Places
    size: Places
    high: Hashes
    low: Hashes


def _clusters(
    columns: SummaryColumns, unique: UniqueTexts, ranking: Ranking, centre: Places, files: Files
) -> _Clusters:
    count = len(centre)
    size = files.array("size", (count,), np.int64)
    high, low = files.array("smallest-high", (count,), np.uint64), files.array("smallest-low", (count,), np.uint64)
    high[:], low[:] = np.iinfo(np.uint64).max, np.iinfo(np.uint64).max
    for smallest in (False, True):
        for at in _starts(len(columns)):
            rows = np.arange(at, min(len(columns), at + CHUNK))
            place, rows = _places(columns, unique, ranking, rows)
            cluster = centre[place]
            if not smallest:
                np.add.at(size, cluster, 1)
                np.minimum.at(high, cluster, columns.id_high[rows])
            else:
                same = columns.id_high[rows] == high[cluster]
                np.minimum.at(low, cluster[same], columns.id_low[rows[same]])
    return _Clusters(centre, size, high, low)


def _places(columns: SummaryColumns, unique: UniqueTexts, ranking: Ranking, rows: Places) -> tuple[Places, Places]:
    """The place of the text of each of these rows that belongs to a cluster, and these rows.

    Of rows that are always kept, only the best of a text stands for it; the others are in no cluster.
    """
    texts = unique.of[rows]
    rows, texts = rows[texts >= 0], texts[texts >= 0]
    place = ranking.place[texts]
    if columns.facts.fixed is not None:
        counts = ~columns.facts.fixed[rows] | (ranking.best[place] == rows)
        place, rows = place[counts], rows[counts]
    return place, rows


def _decision(
    columns: SummaryColumns,
    unique: UniqueTexts,
    ranking: Ranking,
    clusters: _Clusters,
    measure: Measured,
    shard: Places,
    rules: Rules,
) -> dict[str, pa.Array]:
    place, rows = _places(columns, unique, ranking, shard)
    centre = clusters.centre[place]
    several = clusters.size[centre] > 1
    place, rows, centre = place[several], rows[several], centre[several]
    kept = ranking.best[centre]
    similarity = np.where(rows == kept, np.nan, 1.0)
    # Rows with the same text are measured once.
    apart, first, back = np.unique(place, return_index=True, return_inverse=True)
    other = apart != centre[first]
    if other.any():
        measured = np.ones(len(apart))
        measured[other] = np.round(measure(ranking.first[apart[other]], kept[first[other]]), 6)
        similarity = np.where(place == centre, similarity, measured[back])
    return decision(
        len(shard),
        rows - (shard[0] if len(shard) else 0),
        hexadecimal(clusters.high[centre], clusters.low[centre]),
        hexadecimal(columns.id_high[kept], columns.id_low[kept]),
        rows == kept,
        similarity,
        clusters.size[centre],
        rules.drop,
    )
