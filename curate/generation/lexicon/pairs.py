"""Reads what an aligner is given: the rows of one language pair, the entries of a dictionary, their words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import polars as pl
import pyarrow as pa

from curate.generation.lexicon.counts import Vocabulary
from curate.rows import Kind
from curate.steps import Context, Rows, StepError
from curate.steps.models import Aligner

Pair = tuple[str, str]


def language_pairs(rows: Iterable[Rows]) -> list[Pair]:
    """The (source language, language) of the rows, sorted."""
    found: set[Pair] = set()
    for part in rows:
        found.update(pl.DataFrame(part.table.select(["source_language", "language"])).unique().iter_rows())
    return sorted(found)


def rows_of(pair: Pair, rows: Iterable[Rows]) -> Iterator[pa.Table]:
    """The rows of a language pair, with their ``place`` among all rows."""
    start = 0
    for part in rows:
        table = part.table
        source, target = (pl.Series(table[name]) for name in ("source_language", "language"))
        mask = np.asarray((source == pair[0]) & (target == pair[1]))
        if mask.any():
            places = pa.array(np.arange(start, start + table.num_rows))
            yield table.append_column("place", places).filter(pa.array(mask))
        start += table.num_rows


def entries_of(pair: Pair, dictionary: str, step: str, context: Context) -> Iterator[tuple[int, str, str]]:
    """Place, source and target of the dictionary's entries of a language pair, swapped where needed.

    Raises:
        StepError: the dictionary has rows of another kind.
    """
    place = 0
    for part in context.rows(dictionary):
        if part.kind is not Kind.PARALLEL:
            raise StepError(f"{step}: '{dictionary}' has {part.kind} rows; a dictionary needs parallel rows")
        columns = [part.table[name].to_pylist() for name in ("source_language", "language", "source", "target")]
        for here, there, source, target in zip(*columns, strict=True):
            if (here, there) == pair:
                yield place, source, target
            elif (there, here) == pair:
                yield place, target, source
            place += 1


def aligner_for(step: str, model: str, sides: Iterable[Vocabulary], context: Context) -> Aligner:
    """The aligner. Warns of sides of which only characters can be aligned.

    Raises:
        StepError: the model is no aligner.
    """
    aligner = context.model(model)
    if not isinstance(aligner, Aligner):
        raise StepError(f"{step}: the model '{model}' is not a word aligner; use one such as systran-align")
    for side in sides:
        if side.by_character:
            context.warn(
                f"{step}: {side.language} is written without spaces and no 'dictionary' defines its words, "
                "so single characters were aligned; set one, or use an aligner with "
                "'symmetrize: grow-diag-final-and', which joins them"
            )
    return aligner
