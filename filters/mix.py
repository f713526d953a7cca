"""Mixtures: how many rows of each language (or source) are kept, and which.

Rows are taken in an order that is drawn once for each item (``group_id``) from the seed, the same in all languages.
Equal numbers therefore select the same items in every language, and a mixture is contained in every larger one of the
same seed: mixtures are nested.

The numbers are found by water-filling: every language's number grows in proportion to its weight until it meets its
limit (:func:`allot`). With equal weights, and the rows times the allowed repeats as the limit, this is UniMax (Chung et
al. 2023). With weights n^(1/T) of the row counts n it is temperature sampling, as for multilingual BERT.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator

from curate.catalog.params import Decision, LanguageTag, PerLanguage
from curate.data_files import DataFile
from curate.rows import Kind
from curate.rows.ids import hash_texts
from curate.rows.kinds import SCORES
from curate.steps import Context, GlobalStep, Rows, StepError
from curate.text.negation import NEGATION
from curate.text.numbers import NUMBER_WORDS
from curate.text.segmentation import salted
from filters.duplicates.near import score_of

Counts = npt.NDArray[np.int64]
Weight = Annotated[float, Field(ge=0)]
_SHARE, _OTHER, _OUT, _REPLACED = (
    "beyond its share",
    "its item is in another language",
    "not in the mixture",
    "replaced by a translation",
)


class Replace(BaseModel):
    """``{language: en, rows: 40}``: replace that many items of one language by their translations."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    language: LanguageTag
    """The language whose rows are replaced by their translations."""
    rows: PositiveInt
    """How many items are replaced, spread evenly over the other languages (as far as there are translations)."""
    by: tuple[LanguageTag, ...] | None = None
    """The languages that replace. Default: all others."""


class Mix(GlobalStep):
    """Samples rows so that languages, or sources, have the requested shares.

    Score ``repeats`` (with ``max_repeats`` above 1): how often a trainer should see the row; rows are never written
    twice. Warns where a language has too few rows for its share.
    """

    tag: ClassVar[str] = "mix"
    version: ClassVar[int] = 2
    package_data: ClassVar[tuple[DataFile, ...]] = (NEGATION, NUMBER_WORDS)
    summary: ClassVar[str] = (
        "Mixture of languages or sources by weights, temperature or UniMax, at constant size, nested by seed."
    )

    by: Decision[Literal["language", "source"]] = "language"
    """What the shares refer to."""
    rows: Decision[PositiveInt | None] = None
    """Total rows (repeats counted). Default: all rows; with ``weights``, as many as keep the shares."""
    weights: Decision[dict[str, Weight] | None] = None
    """Share of each, in any unit (``{en: 90, default: 2}``); ``default`` applies to those not named, which are
    otherwise excluded. Language tags also apply to their more specific forms (``zh`` to ``zh-Hant``)."""
    balance: Decision[Literal["weights", "natural", "temperature", "uniform"] | None] = None
    """``natural``: in proportion to the available rows; ``temperature``: to the power of 1/``temperature`` of that;
    ``uniform``: equal shares (UniMax where some have too few). Default: ``weights`` if there are any, else
    ``natural``."""
    temperature: Decision[Annotated[float, Field(ge=1)]] = 3.3
    """1 is natural, 100 nearly uniform."""
    only: Decision[tuple[str, ...] | None] = None
    """The only languages, or sources, in the mixture."""
    caps: Decision[PerLanguage[Annotated[int, Field(ge=0)]]] = PerLanguage[int]()
    """Maximum rows of each language (or source), repeats counted."""
    max_repeats: Decision[Annotated[float, Field(ge=1)]] = 1.0
    """How often a row may be repeated where a share is larger than the available rows."""
    shortage: Decision[Literal["fill", "shrink", "short", "error"]] = "fill"
    """What to do when there are too few rows for a share: ``fill`` gives the rest to the others, ``shrink`` makes the
    mixture smaller and keeps the shares, ``short`` leaves that share unfilled, ``error`` stops."""
    items: Decision[Literal["any", "once"]] = "any"
    """``once``: at most one row of each item (``group_id``), in one of its languages; the shares then refer to items,
    and the scarcest language chooses first."""
    choose: Decision[str] = "random"
    """``random`` by item and seed, ``first`` in order, or the name of a score, greatest first."""
    replace: Decision[Replace | None] = None
    """Instead of shares: one language, with some of its items replaced by rows in other languages."""

    @model_validator(mode="after")
    def _fits_together(self) -> Mix:
        if self.balance == "weights" and self.weights is None:
            raise ValueError("balance: weights needs 'weights'")
        if self.weights is not None:
            if self.balance not in (None, "weights"):
                raise ValueError(f"weights and 'balance: {self.balance}' both set the shares; use one")
            if not any(self.weights.values()):
                raise ValueError("weights: all are 0")
        if self.replace is not None and (
            self.weights or self.balance or self.by != "language" or self.items == "once" or self.max_repeats > 1
        ):
            raise ValueError("replace can be combined with 'rows', 'choose' and 'only' only")
        return self

    @property
    def reads(self) -> tuple[str, ...]:
        return () if self.choose in ("random", "first") else (self.choose,)

    def columns(self, kind: Kind) -> Mapping[str, pa.DataType]:
        return {"repeats": pa.float64()} if self.max_repeats > 1 else {}

    def summarize(self, rows: Rows, context: Context) -> pa.Table:
        lineage = rows.table["lineage"].combine_chunks() if len(rows) else None
        groups = hash_texts(rows.table["group_id"].to_pylist(), 8)
        return pa.table(
            {
                "item": pa.array(np.frombuffer(b"".join(groups), np.uint64) if groups else [], pa.uint64()),
                "language": pa.array(rows.language.to_list(), pa.string()),
                "source": lineage.field("source").cast(pa.string())
                if lineage is not None
                else pa.array([], pa.string()),
                "scores": rows.table["scores"].combine_chunks() if len(rows) else pa.array([], SCORES),
            }
        )

    # --------------------------------------------------------------------------------------------------------- decision
    def decide(self, summaries: Sequence[Path], context: Context) -> Iterator[pa.Table]:
        sizes = [int(pq.read_metadata(path).num_rows) for path in summaries]
        item = np.zeros(sum(sizes), np.uint64)
        kind = np.zeros(sum(sizes), np.int32)
        value = np.zeros(sum(sizes)) if self.reads else None
        names: dict[str, int] = {}
        start = 0
        for path, size in zip(summaries, sizes, strict=True):
            table = pq.read_table(path)
            item[start : start + size] = table["item"].to_numpy()
            column = table[self.by].combine_chunks().dictionary_encode()
            known = np.array([names.setdefault(name, len(names)) for name in column.dictionary.to_pylist()], np.int32)
            kind[start : start + size] = known[column.indices.to_numpy()] if size else 0
            if value is not None:
                value[start : start + size] = score_of(table["scores"].combine_chunks(), self.choose)
            start += size
        rank = self._rank(item, value, context.seed)
        if self.replace is not None:
            repeats, reason = self._replaced(item, kind, names, rank, context)
        else:
            repeats, reason = self._shared(item, kind, names, rank, context)
        texts = np.array([None, _SHARE, _OTHER, _OUT, _REPLACED], object)
        start = 0
        for size in sizes:
            mine, why = repeats[start : start + size], reason[start : start + size]
            columns = {"keep": pa.array(mine > 0), "reason": pa.array(texts[np.where(mine > 0, 0, why)], pa.string())}
            if self.max_repeats > 1:
                columns["repeats"] = pa.array(
                    np.where(mine > 0, mine, np.nan).astype(np.float64), pa.float64(), from_pandas=True
                )
            yield pa.table(columns)
            start += size

    def _rank(self, item: npt.NDArray[np.uint64], value: npt.NDArray[np.float64] | None, seed: int) -> Counts:
        """The rank of each row in the order of selection."""
        count = len(item)
        if self.choose == "first":
            return np.arange(count)
        drawn = salted(item, "mix", seed)
        keys = (drawn,) if value is None else (drawn, np.where(np.isnan(value), np.inf, -value))
        rank = np.empty(count, np.int64)
        rank[np.lexsort(keys)] = np.arange(count)
        return rank

    def _weight(self, name: str, rows: int) -> float:
        if self.only is not None and not _matches(name, self.only):
            return 0.0
        if self.weights is not None:
            named = PerLanguage[float](
                self.weights.get("default", 0.0), {k: v for k, v in self.weights.items() if k != "default"}
            )
            return named[name] or 0.0
        if self.balance == "uniform":
            return 1.0
        power = 1 / self.temperature if self.balance == "temperature" else 1.0
        return math.pow(rows, power)

    def _shared(
        self,
        item: npt.NDArray[np.uint64],
        kind: npt.NDArray[np.int32],
        names: Mapping[str, int],
        rank: Counts,
        context: Context,
    ) -> tuple[Counts, Counts]:
        there = np.bincount(kind, minlength=len(names))
        weights = np.array([self._weight(name, int(there[at])) for name, at in names.items()])
        caps = np.array([np.inf if (cap := self.caps[name]) is None else cap for name in names])
        if self.items == "once":
            return self._once(item, kind, names, rank, weights, caps, context)
        limits = np.minimum(there * self.max_repeats, caps) * (weights > 0)
        quotas = allot(self.rows, weights, np.floor(limits).astype(np.int64), self._when_short)
        self._warn_of_shortage(names, weights, quotas, there, context)
        repeats, reason = np.zeros(len(item), np.int64), np.full(len(item), 1, np.int64)
        reason[weights[kind] == 0] = 3
        for at in range(len(names)):
            rows = _in_order(np.flatnonzero(kind == at), rank)
            whole, rest = divmod(int(quotas[at]), max(len(rows), 1))
            repeats[rows] = whole
            repeats[rows[:rest]] += 1
        return repeats, reason

    def _once(
        self,
        item: npt.NDArray[np.uint64],
        kind: npt.NDArray[np.int32],
        names: Mapping[str, int],
        rank: Counts,
        weights: npt.NDArray[np.float64],
        caps: npt.NDArray[np.float64],
        context: Context,
    ) -> tuple[Counts, Counts]:
        """At most one row of each item: shares refer to items, and what a language cannot get goes to the others."""
        repeats, reason = np.zeros(len(item), np.int64), np.full(len(item), 1, np.int64)
        reason[weights[kind] == 0] = 3
        numbers, places = np.unique(item, return_inverse=True)
        # The first row of each item in each language, by rank; -1 where there is none.
        first = np.full((len(numbers), len(names)), -1, np.int32 if len(item) < 2**31 else np.int64)
        for at in np.flatnonzero(weights > 0):
            rows = _in_order(np.flatnonzero(kind == at), rank)[::-1]
            first[places[rows], at] = rows
        held = first >= 0
        there = held.sum(axis=0)
        items = int(held.any(axis=1).sum())
        limits = np.floor(np.minimum(there, caps)).astype(np.int64)
        quotas = allot(items if self.rows is None else min(self.rows, items), weights, limits, self._when_short)
        self._warn_of_shortage(names, weights, quotas, there, context)
        order = np.argsort(np.where(held, rank[first], len(item)).min(axis=1), kind="stable")
        chosen = _assign(held, order, quotas)
        if self._when_short == "fill":
            # What a language cannot get, because others took its items, goes to languages that still have some.
            while missing := int(quotas.sum() - (chosen >= 0).sum()):
                free = held & (chosen < 0)[:, None]
                still = np.minimum(free.sum(axis=0), limits - np.bincount(chosen[chosen >= 0], minlength=len(names)))
                more = _assign(free, order, allot(missing, weights, still))
                if not (more >= 0).any():
                    break
                chosen = np.where(more >= 0, more, chosen)
        repeats[first[chosen >= 0, chosen[chosen >= 0]]] = 1
        got = np.bincount(chosen[chosen >= 0], minlength=len(names))
        for name, place in names.items():
            if got[place] < quotas[place]:
                context.warn(
                    f"mix: '{name}' gets {got[place]} of {quotas[place]} rows: other languages have taken its items"
                )
        reason[(chosen >= 0)[places] & (weights[kind] > 0)] = 2
        return repeats, reason

    @property
    def _when_short(self) -> str:
        """Without a total size, given shares are kept; otherwise there is nothing to keep."""
        return "shrink" if self.rows is None and self.weights is not None and self.shortage == "fill" else self.shortage

    def _warn_of_shortage(
        self,
        names: Mapping[str, int],
        weights: npt.NDArray[np.float64],
        quotas: Counts,
        there: Counts,
        context: Context,
    ) -> None:
        total = int(quotas.sum())
        for name in [*(self.weights or {}), *(self.only or ())]:
            if name != "default" and not any(_matches(known, (name,)) for known in names):
                context.warn(f"mix: no rows of '{name}' ({self.by})")
        if self.rows is not None and total < self.rows:
            context.warn(f"mix: {total} rows instead of {self.rows}: no more are available")
        if not total or self._when_short == "shrink":
            return
        for name, at in names.items():
            share, got = weights[at] / weights.sum(), quotas[at] / total
            if weights[at] and got < share * 0.98 - 1 / total and self.balance != "uniform":
                if self.shortage == "error":
                    raise StepError(
                        f"mix: '{name}' has {there[at]} rows, too few for its share of {share:.1%} in "
                        f"{self.rows or total} rows; lower 'rows' or its weight, raise 'max_repeats', or choose "
                        "another 'shortage'"
                    )
                context.warn(f"mix: '{name}' has {got:.1%} of the rows instead of {share:.1%}: it has only {there[at]}")

    def _replaced(
        self,
        item: npt.NDArray[np.uint64],
        kind: npt.NDArray[np.int32],
        names: Mapping[str, int],
        rank: Counts,
        context: Context,
    ) -> tuple[Counts, Counts]:
        assert self.replace is not None
        order = np.argsort(rank, kind="stable")
        listed = list(names)
        base = {at for name, at in names.items() if _matches(name, (self.replace.language,))}
        others = [
            at
            for name, at in names.items()
            if at not in base
            and (self.only is None or _matches(name, self.only))
            and (self.replace.by is None or _matches(name, self.replace.by))
        ]
        repeats, reason = np.zeros(len(item), np.int64), np.full(len(item), 3, np.int64)
        mine = [row for row in order.tolist() if int(kind[row]) in base]
        if self.rows is not None:
            reason[mine[self.rows :]] = 1
            mine = mine[: self.rows]
        repeats[mine] = 1
        own: dict[int, list[int]] = {}
        for row in mine:
            own.setdefault(int(item[row]), []).append(row)
        options: dict[int, dict[int, int]] = {}
        for row in order.tolist():
            if int(kind[row]) in others and int(item[row]) in own:
                reason[row] = 2
                options.setdefault(int(item[row]), {}).setdefault(int(kind[row]), row)
        # Equal numbers for all languages, as far as they have translations; the scarcest chooses first.
        could = np.array([sum(at in choices for choices in options.values()) for at in others], np.int64)
        quota = allot(self.replace.rows, np.ones(len(others)), could)
        free = [number for number in own if number in options]
        done = 0
        for place in [*np.lexsort((np.array(others), could)).tolist(), None]:
            left = self.replace.rows - done if place is None else int(quota[place])
            for number in free:
                at = min(options[number], key=listed.__getitem__) if place is None else others[place]
                if left and at in options[number]:
                    repeats[own[number]], reason[own[number]] = 0, 4
                    repeats[options[number][at]] = 1
                    left, done = left - 1, done + 1
                    options[number] = {}
            free = [number for number in free if options[number]]
        if done < self.replace.rows:
            context.warn(
                f"mix: only {done} of {self.replace.rows} rows in {self.replace.language} have a translation that can "
                "replace them"
            )
        return repeats, reason


def _in_order(rows: Counts, rank: Counts) -> Counts:
    """Rows by their rank."""
    return rows[np.argsort(rank[rows], kind="stable")]


def _assign(held: npt.NDArray[np.bool_], order: Counts, quotas: Counts) -> Counts:
    """Assigns each item to one language, or -1: as many items for each language as wanted, if available.

    Items available in few languages are assigned first, because the others have alternatives.

    Args:
        held: which item is in which language, shape (items, languages).
        order: the items in order of selection.
    """
    chosen = np.full(len(held), -1, np.int64)
    left = quotas.copy()
    patterns, which = np.unique(np.packbits(held, axis=1), axis=0, return_inverse=True)
    which = which.reshape(-1)[order]
    together = order[np.argsort(which, kind="stable")]
    ends = np.cumsum(np.bincount(which, minlength=len(patterns)))
    sets = np.unpackbits(patterns, axis=1, count=held.shape[1]).astype(bool)
    for number in np.argsort(sets.sum(axis=1), kind="stable").tolist():
        items = together[ends[number - 1] if number else 0 : ends[number]]
        quota = allot(len(items), np.where(sets[number], left, 0).astype(np.float64), np.where(sets[number], left, 0))
        # Interleaved, so that each language gets early and late items.
        turns = np.concatenate([(np.arange(count) + 0.5) / count for count in quota.tolist() if count] or [np.empty(0)])
        dealt = np.repeat(np.arange(len(quota)), quota)[np.argsort(turns, kind="stable")]
        chosen[items[: len(dealt)]] = dealt
        left -= quota
    return chosen


def _matches(name: str, listed: Sequence[str]) -> bool:
    """Whether a name is one of those given, or a more specific form of one."""
    return PerLanguage[bool](None, dict.fromkeys(listed, True))[name] is not None


def allot(rows: int | None, weights: npt.NDArray[np.float64], limits: Counts, short: str = "fill") -> Counts:
    """How many rows each part gets.

    Args:
        rows: total; None: as many as there are.
        weights: ≥ 0.
        limits: the maximum of each part.
        short: ``fill``: what a part cannot take goes to the others by their weights; ``shrink``: the total is reduced
            until all shares are met; ``short``, ``error``: parts that cannot take their share stay short.

    Returns:
        Whole numbers, at most ``limits``; fractions are given by largest remainder, ties to the first.
    """
    count = len(weights)
    quotas = np.zeros(count)
    weights = weights / (weights.max(initial=0.0) or 1.0)
    live = (weights > 1e-12) & (limits > 0)
    if not live.any():
        return np.zeros(count, np.int64)
    total = float(weights.sum())
    size = float(limits.sum()) if rows is None else float(rows)
    if short == "shrink":
        # A part without rows would make the total 0; it is reported and excluded.
        total = float(weights[live].sum())
        with np.errstate(over="ignore"):
            size = min(size, float((limits[live] * total / weights[live]).min()))
    if short == "fill":
        left = min(size, float(limits.sum()))
        while live.any() and left > 1e-9:
            share = left * (weights / weights[live].sum())
            full = live & (quotas + share >= limits)
            if not full.any():
                quotas[live] += share[live]
                break
            left -= float((limits[full] - quotas[full]).sum())
            quotas[full] = limits[full]
            live &= ~full
    else:
        quotas = np.minimum(size * (weights / total), limits) * live
    return _whole(quotas, limits, short)


def _whole(wanted: npt.NDArray[np.float64], limits: Counts, short: str) -> Counts:
    found = np.floor(wanted + 1e-9).astype(np.int64)
    missing = round(float(wanted.sum())) - int(found.sum())
    for at in np.argsort(-(wanted - found), kind="stable").tolist():
        if missing <= 0:
            break
        if found[at] < limits[at] and wanted[at] > 0:
            found[at] += 1
            missing -= 1
    return found


__all__ = ["Mix", "Replace", "allot"]
