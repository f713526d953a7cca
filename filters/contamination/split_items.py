"""Items cut in two, each half in a row of its own: one row has the text before a cut, another the text after it.

Half a question is weak evidence by itself. But a line in one row that is verbatim its beginning, and a line in another
row that is exactly the rest, are no coincidence. ``sample`` keeps digests of all lines of a shard; ``fit``, which makes
the items, looks up the halves of each item among them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import polars as pl
import pyarrow as pa
import regex

from curate.rows.ids import hash_texts
from filters.contamination.normalize import SAME, word_count

SCHEMA = pa.schema([("row", pa.binary(16)), ("line", pa.binary(8))])
PART = "half"
# A half has between a quarter and three quarters of the characters, and at least two words.
_LEAST, _WORDS = 0.25, 2.0
# Maximum characters of a line that may be a half; lines examined at either end of a text.
_LONGEST, _ENDS = 1200, 4
# A half that occurs in more rows is a common phrase.
_MOST = 8
_WORD, _GRAPHEME = regex.compile(r"\S+"), regex.compile(r"\X")
_UNSPACED = regex.compile(r"\p{Han}|\p{Hiragana}|\p{Katakana}|\p{Thai}|\p{Lao}|\p{Khmer}|\p{Myanmar}|\p{Tibetan}")


def _bare(lines: pl.Series, languages: pl.Series) -> pl.Series:
    return SAME.normalize(lines, languages).str.replace_all(r"\s+", "")


def lines_of(ids: pl.Series, turns: Sequence[pl.Series], languages: Sequence[pl.Series]) -> pa.Table:
    """Digests of the lines of some rows, in :data:`SCHEMA`.

    Args:
        turns: for each field a list of texts for each row.
    """
    frames = []
    for field, tags in zip(turns, languages, strict=True):
        frame = pl.DataFrame({"id": ids, "line": field, "language": tags}).explode("line").drop_nulls("line")
        split = pl.col("line").str.split("\n")
        ends = (
            pl.when(split.list.len() <= 2 * _ENDS)
            .then(split)
            .otherwise(pl.concat_list(split.list.head(_ENDS), split.list.tail(_ENDS)))
        )
        frames.append(
            frame.with_columns(ends.alias("line"))
            .explode("line")
            .filter(pl.col("line").str.len_chars().is_between(2, _LONGEST))
        )
    every = pl.concat(frames) if frames else pl.DataFrame({"id": [], "line": [], "language": []})
    bare = _bare(every["line"], every["language"])
    lines = pl.DataFrame({"id": every["id"], "line": bare}).filter(pl.col("line") != "").unique(maintain_order=True)
    rows = pa.array([bytes.fromhex(one) for one in lines["id"].to_list()], pa.binary(16))
    return pa.Table.from_arrays([rows, pa.array(hash_texts(lines["line"].to_list(), 8), pa.binary(8))], schema=SCHEMA)


def cut_places(normal: str) -> list[tuple[int, int]]:
    """Where a normal form may be cut: places in it without whitespace, and in it."""
    size = sum(map(len, normal.split()))
    places, before = [], 0
    for match in _WORD.finditer(normal):
        word, start = match[0], match.start()
        starts = [one.start() for one in _GRAPHEME.finditer(word)] if _UNSPACED.search(word) else (0,)
        places += [(before + at, start + at) for at in starts if _LEAST * size <= before + at <= (1 - _LEAST) * size]
        before += len(word)
    return places


def cuts(normal: str) -> list[tuple[str, str]]:
    """The two halves at each place where a normal form may be cut."""
    return [(normal[:at].strip(), normal[at:]) for _, at in cut_places(normal)]


def find(items: pa.Table, samples: Sequence[pa.Table]) -> list[tuple[int, str, str]]:
    """(row of the item table, id of the row with the first half, id of the row with the second), in order."""
    lines = [one for one in samples if one.schema.equals(SCHEMA) and one.num_rows]
    chosen = [
        number
        for number, (part, shared) in enumerate(
            zip(items["part"].to_pylist(), items["shared"].to_pylist(), strict=True)
        )
        if part == "question" and not shared
    ]
    if not lines or not chosen:
        return []
    some = items.select(["text", "language"]).take(pa.array(chosen))
    normal = SAME.normalize(
        pl.Series(some["text"].to_pylist(), dtype=pl.String), pl.Series(some["language"].to_pylist(), dtype=pl.String)
    ).to_list()
    texts: list[str] = []
    owners: list[tuple[int, int, int]] = []
    for number, form in zip(chosen, normal, strict=True):
        bare = "".join(form.split())
        for cut, (place, _) in enumerate(cut_places(form)):
            texts += (bare[:place], bare[place:])
            owners += ((number, cut, 0), (number, cut, 1))
    digests = pl.Series(hash_texts(texts, 8), dtype=pl.Binary)
    known = digests.unique().implode()
    rows_of: dict[bytes, list[str]] = defaultdict(list)
    for table in lines:
        hits = pl.Series("line", pl.from_arrow(table["line"].combine_chunks())).is_in(known).arg_true().to_list()
        for at in hits:
            rows_of[table["line"][at].as_py()].append(table["row"][at].as_py().hex())
    seen = digests.is_in(pl.Series(list(rows_of), dtype=pl.Binary).implode()).arg_true().to_list()
    there = {owners[at]: rows_of[digests[at]] for at in seen}
    matches: dict[tuple[int, str, str], None] = {}
    normal_of = dict(zip(chosen, normal, strict=True))
    for number, cut in sorted(
        {(number, cut) for number, cut, side in there if side == 0 and (number, cut, 1) in there}
    ):
        sides = [sorted(set(there[number, cut, side])) for side in (0, 1)]
        if max(map(len, sides)) > _MOST or word_count(pl.Series(cuts(normal_of[number])[cut])).min() < _WORDS:
            continue
        matches.update(dict.fromkeys((number, one, other) for one in sides[0] for other in sides[1] if one != other))
    return list(matches)


def add_halves(items: pa.Table, matches: Sequence[tuple[int, str, str]]) -> pa.Table:
    """Adds a row of the part ``half`` for each data row that has one: ``text`` is its id, ``support`` the other's,
    ``about`` the item."""
    pairs = [(item, *both) for item, one, other in matches for both in ((one, other), (other, one))]
    if not pairs:
        return items
    whole = items.take(pa.array([item for item, _, _ in pairs])).to_pylist()
    for row, (item, mine, other) in zip(whole, pairs, strict=True):
        row.update(part=PART, text=mine, support=other, shared=False, about=item, vector=None)
    return pa.concat_tables([items, pa.Table.from_pylist(whole, schema=items.schema)])


def split(table: pa.Table) -> tuple[pa.Table, dict[str, list[tuple[int, str]]]]:
    """Separates the items from the halves. The halves map each data row to (item, id of the row with the other
    half)."""
    parts = np.asarray(table["part"].to_pylist(), dtype=object)
    halves = table.filter(pa.array(parts == PART))
    halves_of: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for row, other, item in zip(*(halves[name].to_pylist() for name in ("text", "support", "about")), strict=True):
        halves_of[row].append((item, other))
    return table.filter(pa.array(parts != PART)) if len(halves) else table, halves_of
