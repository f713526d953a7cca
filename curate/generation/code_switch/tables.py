"""Translations for code-switching: from a word table, loaded once per process, or from the same rows in other
languages."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any
from weakref import WeakKeyDictionary

import polars as pl
import pyarrow as pa
import regex

from curate.generation.code_switch.candidates import Entry, Table
from curate.generation.lexicon.step import score_of
from curate.rows import Kind, field_names, languages
from curate.steps import Context, Rows, StepError

# A word table is large and the same for all shards: two are cached per process, by their content.
_KEPT: OrderedDict[tuple[Any, ...], dict[str, Table]] = OrderedDict()
_MOST = 2
_SEEN: WeakKeyDictionary[Any, dict[str, str]] = WeakKeyDictionary()


def _digest(context: Context, name: str) -> str:
    """A digest of all rows of a table, computed once for each context."""
    known = _SEEN.setdefault(context, {})
    if name not in known:
        digest = hashlib.blake2b(digest_size=16)
        for rows in context.rows(name):
            if rows.kind is not Kind.PARALLEL:
                raise StepError(
                    f"code_switch: '{name}' has {rows.kind} rows; a table needs parallel rows (a dictionary, or the "
                    "output of lexicon)"
                )
            digest.update("".join(rows.table["id"].to_pylist()).encode())
            if rows.table.num_rows:
                digest.update(str(rows.table["scores"].combine_chunks().flatten().to_pylist()).encode())
        known[name] = digest.hexdigest()
    return known[name]


def load_tables(
    context: Context,
    name: str,
    matrices: Iterable[str],
    to: Sequence[str],
    *,
    score: str | None,
    min_score: float,
    same_script: bool,
    sentences: bool,
) -> Mapping[str, Table]:
    """The table of each matrix language, with translations into the languages ``to``.

    Entries are used in both directions. Weights are the score of that name; by default ``lexicon`` (in the other
    direction ``lexicon.backward``), or 1 if no row has it.

    Raises:
        StepError: the rows are of another kind, or no row has the requested score.
    """
    tags = tuple(sorted(set(matrices)))
    key = (_digest(context, name), tags, tuple(to), score, min_score, same_script, sentences)
    if key not in _KEPT:
        while len(_KEPT) >= _MOST:
            _KEPT.popitem(last=False)
        _KEPT[key] = _read(context, name, tags, to, score, min_score, same_script, sentences)
    _KEPT.move_to_end(key)
    return _KEPT[key]


def _read(
    context: Context,
    name: str,
    matrices: tuple[str, ...],
    to: Sequence[str],
    score: str | None,
    min_score: float,
    same_script: bool,
    sentences: bool,
) -> dict[str, Table]:
    tables = {matrix: Table(matrix, to, sentences=sentences) for matrix in matrices}
    number = {language: place for place, language in enumerate(to)}
    scored = rows_seen = 0
    pairs: dict[tuple[str, str], int] = {}
    for rows in context.rows(name):
        table = rows.table
        forward = score_of(table, score or "lexicon")
        backward = score_of(table, "lexicon.backward") if score is None else forward
        scored += len(forward) - forward.null_count()
        rows_seen += len(forward)
        columns = [table[column].to_pylist() for column in ("source_language", "language", "source", "target")]
        for here, there, source, target, weight, reverse in zip(
            *columns, forward.to_list(), backward.to_list(), strict=True
        ):
            pairs[here, there] = pairs.get((here, there), 0) + 1
            for language, other, word, translation, value in (
                (here, there, source, target, weight),
                (there, here, target, source, reverse),
            ):
                if language in tables and other in number and language != other:
                    if value is None:
                        value = 1.0 if weight is None else weight
                    if value >= min_score and (not same_script or _in_script(other, translation)):
                        tables[language].add(word, number[other], translation, value)
    if rows_seen and not scored and (score is not None or min_score > 1):
        raise StepError(
            f"code_switch: no row of '{name}' has the score '{score or 'lexicon'}'; leave out 'score' if entries have "
            "none"
        )
    for matrix, one in tables.items():
        one.finish()
        if not one:
            counts = [f"{here}-{there} ({count:,})" for (here, there), count in sorted(pairs.items())[:12]]
            context.warn(
                f"code_switch: '{name}' has no translations from {matrix} into {', '.join(to)}; it has "
                f"{', '.join(counts) or 'no rows'}"
            )
    return tables


@lru_cache(maxsize=512)
def _letter_of(language: str) -> regex.Pattern[str] | None:
    names = languages.letters(language)
    return regex.compile("[" + "".join(rf"\p{{Script={name}}}" for name in names) + "]") if names else None


def _in_script(language: str, text: str) -> bool:
    expression = _letter_of(language)
    return expression is None or expression.search(text) is not None


# ------------------------------------------------------------------------------------------------------------- siblings
class ParallelItems:
    """The same items as the current rows, in other languages."""

    def __init__(self, context: Context, name: str, rows: Rows, fields: Sequence[str], to: Sequence[str]) -> None:
        """Reads them; only these are held in memory, however large the other dataset is.

        Raises:
            StepError: the other rows lack one of the fields.
        """
        groups = pa.array(sorted(set(rows.table["group_id"].to_pylist()) - {""}), pa.string())
        self._turns: dict[tuple[str, str, str], list[str]] = {}
        self._ids: dict[tuple[str, str], str] = {}
        for other in context.rows(name):
            missing = [field for field in fields if field not in field_names(other.kind)]
            if missing:
                raise StepError(
                    f"code_switch: '{name}' has {other.kind} rows, which have no field '{missing[0]}'; siblings must "
                    "be rows of the same kind"
                )
            chosen = other.take(
                pl.Series(other.table["group_id"]).is_in(pl.Series(groups).implode()) & other.language.is_in(list(to))
            )
            if not len(chosen):
                continue
            ids, group_ids = chosen.ids.to_list(), chosen.table["group_id"].to_pylist()
            for field in fields:
                tags = chosen.field_language(field).to_list()
                for identity, group, tag, turns in zip(
                    ids, group_ids, tags, chosen.turns(field).to_list(), strict=True
                ):
                    if self._turns.setdefault((group, tag, field), turns) is turns:
                        self._ids.setdefault((group, tag), identity)

    def turns(self, group: str, language: str, field: str) -> list[str] | None:
        """The turns of a field in another language."""
        return self._turns.get((group, language, field))

    def id(self, group: str, language: str) -> str | None:
        """The id of the row with the text in another language."""
        return self._ids.get((group, language))


def aligned_by_place(sentences: Sequence[str], others: Mapping[int, Sequence[str]]) -> list[Entry]:
    """The translations of each sentence: those at the same place in texts with the same number of sentences."""
    same = {number: texts for number, texts in others.items() if len(texts) == len(sentences)}
    return [
        {number: ((texts[place], 1.0),) for number, texts in same.items() if texts[place] != sentence}
        for place, sentence in enumerate(sentences)
    ]
