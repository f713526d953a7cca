"""Replaces rows of one language by their translations, spread evenly over the other languages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, PositiveInt

from curate.catalog.params import LanguageTag, PerLanguage
from filters.mix.shares import Counts, allot

BEYOND, OTHER, OUT, REPLACED = 1, 2, 3, 4
REASONS = (
    "beyond its share",
    "its item is in another language",
    "not in the mixture",
    "replaced by a translation",
)
"""Why a row is left out, by these numbers from 1."""


class Replace(BaseModel):
    """``{language: en, rows: 40}``: replace that many items of one language by their translations."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    language: LanguageTag
    """The language whose rows are replaced by their translations."""
    rows: PositiveInt
    """How many items are replaced, spread evenly over the other languages (as far as there are translations)."""
    by: tuple[LanguageTag, ...] | None = None
    """The languages that replace. Default: all others."""


def replaced(
    replace: Replace,
    item: npt.NDArray[np.uint64],
    kind: npt.NDArray[np.int32],
    names: Mapping[str, int],
    rank: Counts,
    *,
    only: Sequence[str] | None,
    rows: int | None,
    warn: Callable[[str], None],
) -> tuple[Counts, Counts]:
    """How often each row is in the mixture (0 or 1), and why not.

    Args:
        item: the item of each row.
        kind: the language of each row, as a number.
        names: the number of each language.
        rank: the place of each row in the order of selection.
        only: the only languages in the mixture.
        rows: the most items.
    """
    order = np.argsort(rank, kind="stable")
    listed = list(names)
    base = {at for name, at in names.items() if matches(name, (replace.language,))}
    others = [
        at
        for name, at in names.items()
        if at not in base
        and (only is None or matches(name, only))
        and (replace.by is None or matches(name, replace.by))
    ]
    repeats, reason = np.zeros(len(item), np.int64), np.full(len(item), OUT, np.int64)
    mine = [row for row in order.tolist() if int(kind[row]) in base]
    if rows is not None:
        reason[mine[rows:]] = BEYOND
        mine = mine[:rows]
    repeats[mine] = 1
    own: dict[int, list[int]] = {}
    for row in mine:
        own.setdefault(int(item[row]), []).append(row)
    options: dict[int, dict[int, int]] = {}
    for row in order.tolist():
        if int(kind[row]) in others and int(item[row]) in own:
            reason[row] = OTHER
            options.setdefault(int(item[row]), {}).setdefault(int(kind[row]), row)
    # Equal numbers for all languages, as far as they have translations; the scarcest chooses first.
    could = np.array([sum(at in choices for choices in options.values()) for at in others], np.int64)
    quota = allot(replace.rows, np.ones(len(others)), could)
    free = [number for number in own if number in options]
    done = 0
    for place in [*np.lexsort((np.array(others), could)).tolist(), None]:
        left = replace.rows - done if place is None else int(quota[place])
        for number in free:
            at = min(options[number], key=listed.__getitem__) if place is None else others[place]
            if left and at in options[number]:
                repeats[own[number]], reason[own[number]] = 0, REPLACED
                repeats[options[number][at]] = 1
                left, done = left - 1, done + 1
                options[number] = {}
        free = [number for number in free if options[number]]
    if done < replace.rows:
        warn(f"mix: only {done} of {replace.rows} rows in {replace.language} have a translation that can replace them")
    return repeats, reason


def matches(name: str, listed: Sequence[str]) -> bool:
    """Whether a name is one of those given, or a more specific form of one."""
    return PerLanguage[bool](None, dict.fromkeys(listed, True))[name] is not None
