"""What ``pair`` knows of all rows while it chooses, and how the two rows of a pair come together again.

Of each row a few numbers are held; rows that are in a pair go to a file, because the two of a pair may lie far apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from curate.catalog.suggestions import nearest
from curate.generation.common.derived_rows import random_numbers
from curate.preferences.pair.candidates import candidates, makers_of, plain, score_column, score_names, was_translated
from curate.preferences.pair.rules import Entry, Rule
from curate.preferences.pair.rules import Pair as Two
from curate.rows import Kind
from curate.rows.ids import finish
from curate.steps import Context, Rows, StepError

_WRITTEN = 2_048
_MARKS = r"[\p{M}\p{Cf}]"


@dataclass(frozen=True)
class Look:
    """What is looked for in the rows."""

    by: str | None
    """The score that decides."""
    unscored: bool
    """Whether answers without a score take part."""
    keys: Callable[[Rows], list[bytes]]
    """What rows must share to compete."""
    sides: Callable[[Rows], list[tuple[bool, bool]]]
    """For each row, whether it may be chosen and whether it may be rejected."""
    step: str = "pair"


@dataclass
class Seen:
    """The numbers by which pairs are chosen, of all rows."""

    keys: dict[bytes, list[Entry]]
    """By prompt, in the order of first rows."""
    languages: dict[bytes, str]
    makers: list[int]
    """The model of each row, as a number."""

    @classmethod
    def of(cls, rows: Iterable[Rows], look: Look, context: Context) -> Seen:
        keys: dict[bytes, list[Entry]] = {}
        languages: dict[bytes, str] = {}
        makers: list[int] = []
        known: dict[str, int] = {}
        missing, names = 0, set[str]()
        start = 0
        begun = blake2b(digest_size=16, person=b"curate-answer")
        for part in rows:
            names |= score_names(part) if look.by is not None else set()
            score = scores_of(part, look.by)
            every = candidates(part)
            answers = pl.Series([one.answer for one in every], dtype=pl.String)
            lengths = answers.str.replace_all(_MARKS, "").str.len_chars().to_list()
            by, sides = makers_of(part), look.sides(part)
            chances = random_numbers(context.seed, part.ids, look.step)
            translated = was_translated(part)
            for place, (key, one) in enumerate(zip(look.keys(part), every, strict=True)):
                makers.append(known.setdefault(by[place], len(known)))
                scored = not np.isnan(score[place])
                if not one.answer.strip() or not (scored or look.unscored):
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
        if look.by is not None and start and missing == start and look.by not in names:
            raise StepError(
                f"{look.step}: no row has a score '{look.by}'{nearest(look.by, sorted(names))}; there are {', '.join(sorted(names)) or 'none'}; "
                "a step before this one must give it"
            )
        if missing:
            context.warn(f"{look.step}: {missing:,} of {start:,} answers have no score '{look.by}' and take no part")
        return cls(keys, languages, makers)

    def prompts(self, most: int) -> Iterator[tuple[str, list[Entry]]]:
        """(language, candidates) of each prompt with two or more."""
        for key, entries in self.keys.items():
            if len(entries) > most:
                entries = sorted(entries, key=lambda one: (one.chance, one.place))[:most]
            if len(entries) > 1:
                yield self.languages[key], entries

    def within_models(self, entries: Sequence[Entry], rule: Rule, *, only: bool) -> list[Two]:
        """Pairs of one model's answers, or of two models'."""
        if only:
            groups: dict[int, list[Entry]] = {}
            for one in entries:
                groups.setdefault(self.makers[one.place], []).append(one)
            return [pair for group in groups.values() for pair in rule.pairs(group)]
        return Crossing(**{name: getattr(rule, name) for name in rule.__dataclass_fields__}, makers=self.makers).pairs(
            entries
        )


@dataclass(frozen=True)
class Crossing(Rule):
    """A rule by which the two answers are of two models."""

    makers: Sequence[int] = ()

    def allows(self, chosen: Entry, rejected: Entry) -> bool:
        return self.makers[chosen.place] != self.makers[rejected.place] and super().allows(chosen, rejected)


def scores_of(part: Rows, by: str | None) -> npt.NDArray[np.float64]:
    if by is not None:
        return score_column(part, by)
    if part.kind is Kind.UNPAIRED:
        return np.array(part.table["label"].to_pylist(), np.float64)
    return np.full(len(part), np.nan)


# ------------------------------------------------------------------------------------------------------- putting together
@dataclass(frozen=True, slots=True)
class Placed:
    """A pair, and where its rows stand among those at hand."""

    two: Two
    chosen: int
    rejected: int


def both(rows: Iterable[Rows], pairs: Sequence[Two], context: Context) -> Iterator[tuple[Rows, list[Placed]]]:
    """The pairs with their rows, some at a time: the two of a pair may lie far apart."""
    if not pairs:
        return
    wanted = np.unique([place for pair in pairs for place in (pair.chosen.place, pair.rejected.place)])
    context.scratch.mkdir(parents=True, exist_ok=True)
    path = Path(mkdtemp(dir=context.scratch)) / "rows.arrow"
    kind, start = None, 0
    writer: pa.RecordBatchFileWriter | None = None
    for part in rows:
        kind = part.kind
        here = wanted[np.searchsorted(wanted, start) : np.searchsorted(wanted, start + len(part))] - start
        if len(here):
            table = part.table.take(pa.array(here))
            writer = writer or pa.ipc.new_file(str(path), table.schema)
            writer.write_table(table)
        start += len(part)
        context.tick(len(part))
    assert writer is not None and kind is not None
    writer.close()
    with pa.memory_map(str(path)) as file:
        whole = pa.ipc.open_file(file).read_all()
        for first in range(0, len(pairs), _WRITTEN):
            some = pairs[first : first + _WRITTEN]
            places = np.searchsorted(wanted, [[one.chosen.place, one.rejected.place] for one in some])
            here, back = np.unique(places, return_inverse=True)
            at = back.reshape(-1, 2).tolist()
            yield (
                Rows(kind, whole.take(pa.array(here)).combine_chunks()),
                [Placed(two, *both) for two, both in zip(some, at, strict=True)],
            )
