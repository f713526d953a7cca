"""Mixtures: how many rows of each language (or source, or value of an attribute) are kept, and which.

Rows are taken in an order that is drawn once for each item (``group_id``) from the seed, the same in all languages.
Equal numbers therefore select the same items in every language, and a mixture is contained in every larger one of the
same seed: mixtures are nested.

With ``items: once`` languages take items in turn (:mod:`filters.mix.turns`), so that a larger mixture, or one in more
languages, leaves every item in its language or gives it to a new one.

The numbers are found by water-filling (:mod:`filters.mix.shares`): every language's number grows in proportion to its
weight until it meets its limit. With equal weights, and the rows times the allowed repeats as the limit, this is UniMax
(Chung et al. 2023). With weights n^(1/T) of the row counts n it is temperature sampling, as for multilingual BERT.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field, PositiveInt, field_validator, model_validator

from curate.catalog.params import Count, Decision, PerLanguage
from curate.catalog.suggestions import nearest
from curate.data_files import DataFile
from curate.rows import Kind
from curate.rows.fields import latest_value, prompt_field
from curate.rows.ids import hash_texts
from curate.rows.kinds import ATTRIBUTES, SCORES
from curate.steps import CatalogFacts, Context, GlobalStep, Rows, StepError
from curate.text.negation import NEGATION
from curate.text.numbers import NUMBER_WORDS
from curate.text.segmentation import salted
from filters.duplicates.columns import score_of
from filters.duplicates.files import Files
from filters.mix.replace import BEYOND, OTHER, OUT, REASONS, Replace, matches, replaced
from filters.mix.shares import Counts, allot
from filters.mix.turns import deal

Weight = Annotated[float, Field(ge=0)]
T = TypeVar("T")
_LANGUAGES = ("language", "prompt_language")
_BY = (*_LANGUAGES, "source", "dataset")
_ATTRIBUTE = "attribute."
_NO_ORIGIN = (
    "by: dataset cannot tell where rows came from behind a step that makes rows of all rows at once (arrange, join, "
    "pair …) or with 'target'; put mix before it, or mix by source or an attribute"
)


class Mix(GlobalStep):
    """Samples rows so that languages, sources or values of an attribute have the requested shares.

    Score ``repeats`` (with ``max_repeats`` above 1): how often a trainer should see the row; rows are never written
    twice. Warns where a language has too few rows for its share.
    """

    tag: ClassVar[str] = "mix"
    version: ClassVar[int] = 3
    package_data: ClassVar[tuple[DataFile, ...]] = (NEGATION, NUMBER_WORDS)
    summary: ClassVar[str] = (
        "Mixture of languages, sources or attributes by weights, temperature or UniMax, at constant size, nested."
    )

    by: Decision[Annotated[str, Field(examples=[*_BY, f"{_ATTRIBUTE}NAME"])]] = "language"
    """What the shares refer to: ``language``, ``prompt_language`` (of a pair, the language of its source), ``source``,
    ``dataset`` (the dataset or source in ``from`` that a row came from), or ``attribute.NAME``. Rows without the
    attribute have the value ``""``."""
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
    """The only languages (sources, values) in the mixture. With ``items: once``, also their order: a mixture nests in
    those whose list begins with its own. By default that is the alphabet's."""
    caps: Decision[Count | dict[str, Count | None]] = Field(default_factory=dict)
    """Maximum rows of each language (source, value), repeats counted; for all, or by name with ``default``."""
    max_repeats: Decision[Annotated[float, Field(ge=1)]] = 1.0
    """How often a row may be repeated where a share is larger than the available rows."""
    shortage: Decision[Literal["fill", "shrink", "short", "error"]] = "fill"
    """What to do when there are too few rows for a share: ``fill`` gives the rest to the others, ``shrink`` makes the
    mixture smaller and keeps the shares, ``short`` leaves that share unfilled, ``error`` stops."""
    items: Decision[Literal["any", "once"]] = "any"
    """``once``: at most one row of each item (``group_id``), in one of its languages. The shares then refer to items
    and are met to within fewer items than languages; each language prefers items that few others have."""
    choose: Decision[str] = "random"
    """``random`` by item and seed, ``first`` in order, or the name of a score, greatest first."""
    replace: Decision[Replace | None] = None
    """Instead of shares: one language, with some of its items replaced by rows in other languages."""

    @property
    def untried(self) -> str:
        return "which rows of a share are taken depends on all others: another value takes other rows"

    @field_validator("by")
    @classmethod
    def _is_known(cls, value: str) -> str:
        if value not in _BY and (not value.startswith(_ATTRIBUTE) or value == _ATTRIBUTE):
            known = (*_BY, f"{_ATTRIBUTE}NAME")
            raise ValueError(f"'{value}' is nothing that rows have{nearest(value, known)}; write {', '.join(known)}")
        return value

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
    def _score(self) -> str | None:
        return None if self.choose in ("random", "first") else self.choose

    @property
    def _attribute(self) -> str | None:
        return self.by.removeprefix(_ATTRIBUTE) if self.by.startswith(_ATTRIBUTE) else None

    @property
    def reads(self) -> tuple[str, ...]:
        return tuple(name for name in (self._score, self._attribute) if name is not None)

    def identity(self, *, decisions: bool = True) -> dict[str, Any]:
        """An attribute that is read decides what the summaries hold."""
        identity = super().identity(decisions=decisions)
        return identity if self._attribute is None else {**identity, "reads": self._attribute}

    @property
    def reads_origin(self) -> bool:
        return self.by == "dataset"

    def check(self, kind: Kind) -> list[str]:
        if self.by == "prompt_language" and prompt_field(kind) is None:
            return [f"by: {kind} rows have no prompt"]
        return []

    def check_models(self, facts: CatalogFacts) -> list[str]:
        problems = super().check_models(facts)
        for parameter, what, name, there in (
            ("choose", "score", self._score, facts.scores),
            ("by", "attribute", self._attribute, facts.attributes),
        ):
            said, certain = there.problem(name, what) if name is not None else ("", False)
            if certain:
                problems.append(f"{parameter}: {said}")
            elif said:
                facts.note(f"mix: {parameter}: {said}; it must be in the rows")
        return problems + self._input_problems(facts.inputs)

    def _input_problems(self, inputs: Sequence[str]) -> list[str]:
        """Names that are not in ``from``, where shares are those of datasets."""
        if self.by != "dataset":
            return []
        if not inputs:
            return [_NO_ORIGIN]
        listed: dict[str, Iterable[str]] = {
            "weights": self.weights or (),
            "caps": self.caps if isinstance(self.caps, dict) else (),
            "only": self.only or (),
        }
        return [
            f"{parameter}: '{name}' is not in 'from'{nearest(name, inputs)}; there are {', '.join(inputs)}"
            for parameter, names in listed.items()
            for name in names
            if name != "default" and name not in inputs
        ]

    def columns(self, kind: Kind) -> Mapping[str, pa.DataType]:
        return {"repeats": pa.float64()} if self.max_repeats > 1 else {}

    def summarize(self, rows: Rows, context: Context) -> pa.Table:
        lineage = rows.table["lineage"].combine_chunks() if len(rows) else None
        asked = prompt_field(rows.kind)
        prompts = rows.language if asked is None else rows.field_language(asked)
        attributes = [
            [one for one in own if one["name"] == self._attribute]
            for own in (rows.table["attributes"].to_pylist() if self._attribute is not None else [[]] * len(rows))
        ]
        groups = hash_texts(rows.table["group_id"].to_pylist(), 8)
        return pa.table(
            {
                "item": pa.array(np.frombuffer(b"".join(groups), np.uint64) if groups else [], pa.uint64()),
                "language": pa.array(rows.language.to_list(), pa.string()),
                "prompt_language": pa.array(prompts.to_list(), pa.string()),
                "source": lineage.field("source").cast(pa.string())
                if lineage is not None
                else pa.array([], pa.string()),
                "scores": rows.table["scores"].combine_chunks() if len(rows) else pa.array([], SCORES),
                "attributes": pa.array(attributes, ATTRIBUTES),
            }
        )

    # --------------------------------------------------------------------------------------------------------- decision
    def decide(self, summaries: Sequence[Path], context: Context) -> Iterator[pa.Table]:
        sizes = [int(pq.read_metadata(path).num_rows) for path in summaries]
        # Beside these files, choosing takes some 40 bytes a row of memory.
        files = Files(context.scratch / "mix", context.memory // 4)
        item = files.array("item", (sum(sizes),), np.uint64)
        kind = files.array("kind", (sum(sizes),), np.int32)
        value = files.array("value", (sum(sizes),), np.float64) if self._score is not None else None
        names: dict[str, int] = {}
        start = 0
        origins = context.origins if self.reads_origin else [""] * len(sizes)
        if self.reads_origin and not all(origins):
            raise StepError(f"mix: {_NO_ORIGIN}")
        for path, size, origin in zip(summaries, sizes, origins, strict=True):
            table = pq.read_table(path)
            item[start : start + size] = table["item"].to_numpy()
            column = self._names(table, origin).dictionary_encode()
            known = np.array([names.setdefault(name, len(names)) for name in column.dictionary.to_pylist()], np.int32)
            kind[start : start + size] = known[column.indices.to_numpy()] if size else 0
            if value is not None:
                value[start : start + size] = score_of(table["scores"].combine_chunks(), self.choose)
            start += size
        rank = self._rank(item, value, context.seed, files.array("rank", (len(item),), np.int64))
        if self.replace is not None:
            repeats, reason = replaced(
                self.replace, item, kind, names, rank, only=self.only, rows=self.rows, warn=context.warn
            )
        else:
            repeats, reason = self._shared(item, kind, names, rank, context)
        texts = np.array([None, *REASONS], object)
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

    def _names(self, table: pa.Table, origin: str) -> pa.Array:
        """What each row counts as."""
        if self.by == "dataset":
            return pa.array([origin] * len(table), pa.string())
        if self._attribute is None:
            return table[self.by].combine_chunks()
        found = latest_value(pl.Series(pl.from_arrow(table["attributes"])), self._attribute)
        return pa.array(found.cast(pl.String).fill_null("").to_list(), pa.string())

    def _rank(
        self, item: npt.NDArray[np.uint64], value: npt.NDArray[np.float64] | None, seed: int, rank: Counts
    ) -> Counts:
        """Writes the rank of each row in the order of selection."""
        if self.choose == "first":
            rank[:] = np.arange(len(item))
            return rank
        drawn = salted(item, "mix", seed)
        keys = (drawn,) if value is None else (drawn, np.where(np.isnan(value), np.inf, -value))
        rank[np.lexsort(keys)] = np.arange(len(item))
        return rank

    def _weight(self, name: str, rows: int) -> float:
        if self.only is not None and not self._is_listed(name, self.only):
            return 0.0
        if self.weights is not None:
            return self._of(self.weights, name) or 0.0
        if self.balance == "uniform":
            return 1.0
        power = 1 / self.temperature if self.balance == "temperature" else 1.0
        return math.pow(rows, power)

    def _of(self, values: Mapping[str, T], name: str) -> T | None:
        """The value for a name; a language tag's also applies to its more specific forms."""
        if self.by not in _LANGUAGES:
            return values.get(name, values.get("default"))
        return PerLanguage(values.get("default"), {tag: one for tag, one in values.items() if tag != "default"})[name]

    def _is_listed(self, name: str, listed: Sequence[str]) -> bool:
        return matches(name, listed) if self.by in _LANGUAGES else name in listed

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
        given = self.caps if isinstance(self.caps, dict) else {"default": self.caps}
        caps = np.array([np.inf if (cap := self._of(given, name)) is None else cap for name in names])
        if self.items == "once":
            return self._once(item, kind, names, rank, weights, caps, context)
        limits = np.minimum(there * self.max_repeats, caps) * (weights > 0)
        quotas = allot(self.rows, weights, np.floor(limits).astype(np.int64), self._when_short)
        self._warn_of_shortage(names, weights, quotas, there, context)
        repeats, reason = np.zeros(len(item), np.int64), np.full(len(item), BEYOND, np.int64)
        reason[weights[kind] == 0] = OUT
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
        repeats, reason = np.zeros(len(item), np.int64), np.full(len(item), BEYOND, np.int64)
        reason[weights[kind] == 0] = OUT
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
        count = (
            min(items, int(quotas.sum())) if self._when_short in ("fill", "shrink") else min(self.rows or items, items)
        )
        parts = [at for at in self._in_turn(names) if weights[at] > 0]
        chosen, robbed = deal(held, order, parts, weights, limits, count, fill=self._when_short == "fill")
        repeats[first[chosen >= 0, chosen[chosen >= 0]]] = 1
        got = np.bincount(chosen[chosen >= 0], minlength=len(names))
        for name, place in names.items():
            if place in robbed and got[place] < quotas[place]:
                context.warn(
                    f"mix: '{name}' gets {got[place]} of {quotas[place]} rows: other languages have taken its items"
                )
        reason[(chosen >= 0)[places] & (weights[kind] > 0)] = OTHER
        return repeats, reason

    def _in_turn(self, names: Mapping[str, int]) -> list[int]:
        """The order in which languages come into a mixture: that of ``only``, else the alphabet's."""

        def place(name: str) -> tuple[int, str]:
            listed = [at for at, one in enumerate(self.only or ()) if self._is_listed(name, (one,))]
            return (listed[0] if listed else 0, name)

        return [names[name] for name in sorted(names, key=place)]

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
            if name != "default" and not any(self._is_listed(known, (name,)) for known in names):
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


def _in_order(rows: Counts, rank: Counts) -> Counts:
    """Rows by their rank."""
    return rows[np.argsort(rank[rows], kind="stable")]


__all__ = ["Mix", "Replace"]
