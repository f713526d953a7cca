"""Indexes all rows for ``pair`` by a few numbers each, and joins the two rows of each chosen pair.

Rows that are in a pair are written to a file, because the two rows of a pair may be far apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import numpy.typing as npt
import polars as pl

from curate.catalog.suggestions import nearest
from curate.generation.common.chosen_rows import chosen_rows
from curate.generation.common.derived_rows import random_numbers
from curate.preferences.pair.candidates import candidates, makers_of, plain, score_column, score_names, was_translated
from curate.preferences.pair.rules import CandidatePair, Entry, Rule
from curate.rows import Kind
from curate.rows.ids import finish
from curate.steps import Context, Rows, StepError

_WRITTEN = 2_048
_MARKS = r"[\p{M}\p{Cf}]"


@dataclass(frozen=True)
class RowView:
    """What the index reads from rows."""

    by: str | None
    """The score that decides."""
    unscored: bool
    """Whether answers without a score are candidates."""
    keys: Callable[[Rows], list[bytes]]
    """Rows with equal keys compete."""
    sides: Callable[[Rows], list[tuple[bool, bool]]]
    """For each row, whether it may be chosen and whether it may be rejected."""
    step: str = "pair"


@dataclass
class RowIndex:
    """The numbers of all rows by which pairs are chosen."""

    keys: dict[bytes, list[Entry]]
    """By prompt, in the order of their first rows."""
    languages: dict[bytes, str]
    makers: list[int]
    """The model of each row, as a number."""

    @classmethod
    def of(cls, rows: Iterable[Rows], view: RowView, context: Context) -> RowIndex:
        keys: dict[bytes, list[Entry]] = {}
        languages: dict[bytes, str] = {}
        makers: list[int] = []
        known: dict[str, int] = {}
        missing, names = 0, set[str]()
        start = 0
        begun = blake2b(digest_size=16, person=b"curate-answer")
        for part in rows:
            names |= score_names(part) if view.by is not None else set()
            score = scores_of(part, view.by)
            every = candidates(part)
            answers = pl.Series([one.answer for one in every], dtype=pl.String)
            lengths = answers.str.replace_all(_MARKS, "").str.len_chars().to_list()
            by, sides = makers_of(part), view.sides(part)
            chances = random_numbers(context.seed, part.ids, view.step)
            translated = was_translated(part)
            for place, (key, one) in enumerate(zip(view.keys(part), every, strict=True)):
                makers.append(known.setdefault(by[place], len(known)))
                scored = not np.isnan(score[place])
                if not one.answer.strip() or not (scored or view.unscored):
                    missing += bool(one.answer.strip())
                    continue
                text = finish(begun, plain(one.answer).encode("utf-8", "surrogatepass"))
                entry = Entry(
                    start + place,
                    float(score[place]),
                    lengths[place],
                    text,
                    chances[place],
                    *sides[place],
                    translated[place],
                )
                keys.setdefault(key, []).append(entry)
                languages[key] = str(part.language[place])
            start += len(part)
        if view.by is not None and start and missing == start and view.by not in names:
            raise StepError(
                f"{view.step}: no row has a score '{view.by}'{nearest(view.by, sorted(names))}; there are "
                f"{', '.join(sorted(names)) or 'none'}; a step before this one must write it"
            )
        if missing:
            context.warn(f"{view.step}: {missing:,} of {start:,} answers have no score '{view.by}' and are skipped")
        return cls(keys, languages, makers)

    def prompts(self, most: int) -> Iterator[tuple[str, list[Entry]]]:
        """(language, candidates) of each prompt with two or more."""
        for key, entries in self.keys.items():
            if len(entries) > most:
                entries = sorted(entries, key=lambda one: (one.chance, one.place))[:most]
            if len(entries) > 1:
                yield self.languages[key], entries

    def within_models(self, entries: Sequence[Entry], rule: Rule, *, only: bool) -> list[CandidatePair]:
        """Pairs of answers of one model (``only``), or of two models."""
        if only:
            groups: dict[int, list[Entry]] = {}
            for one in entries:
                groups.setdefault(self.makers[one.place], []).append(one)
            return [pair for group in groups.values() for pair in rule.pairs(group)]
        fields = {name: getattr(rule, name) for name in rule.__dataclass_fields__}
        return CrossModelRule(**fields, makers=self.makers).pairs(entries)


@dataclass(frozen=True)
class CrossModelRule(Rule):
    """A rule that pairs only answers of two different models."""

    makers: Sequence[int] = ()

    def allows(self, chosen: Entry, rejected: Entry) -> bool:
        return self.makers[chosen.place] != self.makers[rejected.place] and super().allows(chosen, rejected)


def scores_of(part: Rows, by: str | None) -> npt.NDArray[np.float64]:
    if by is not None:
        return score_column(part, by)
    if part.kind is Kind.UNPAIRED:
        return np.array(part.table["label"].to_pylist(), np.float64)
    return np.full(len(part), np.nan)


# -------------------------------------------------------------------------------------------------------------- joining
@dataclass(frozen=True, slots=True)
class PlacedPair:
    """A pair, and the places of its rows among those at hand."""

    pair: CandidatePair
    chosen: int
    rejected: int


def join_pairs(
    rows: Iterable[Rows], pairs: Sequence[CandidatePair], context: Context
) -> Iterator[tuple[Rows, list[PlacedPair]]]:
    """The pairs with their rows, in chunks."""
    if not pairs:
        return
    places = np.array([[pair.chosen.place, pair.rejected.place] for pair in pairs], np.int64)
    with chosen_rows(_counted(rows, context), places, context) as chosen:
        for first in range(0, len(pairs), _WRITTEN):
            some = pairs[first : first + _WRITTEN]
            here, at = chosen.at(places[first : first + _WRITTEN].reshape(-1))
            yield here, [PlacedPair(pair, *sides) for pair, *sides in zip(some, at[::2], at[1::2], strict=True)]


def _counted(rows: Iterable[Rows], context: Context) -> Iterator[Rows]:
    for part in rows:
        yield part
        context.advance(len(part))
