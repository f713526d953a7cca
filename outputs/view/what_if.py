"""What another value of a threshold would change: the step's own rules, with the other value, over the scores that the
version's rows have.

A row goes if a rule that the threshold governs would drop it, and comes if it was dropped by such a rule and no rule of
the step would drop it any more. Steps behind this one have not seen rows that come: what they would do is not known.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from outputs.view.reading import ReadVersion, literal
from outputs.view.thresholds import Threshold, any_of, changed, columns_of, prompts_of, rules_of, values_of

BINS = 60
EXAMPLES = 5


@dataclass(frozen=True)
class Move:
    """What a moved threshold would change."""

    by_language: pl.DataFrame
    """Language, ``kept`` and ``dropped`` (by the rules that it governs) now, ``go``, ``come``."""
    kept_side: list[tuple[str, float, bool]]
    """Rows next to the threshold that would be kept, nearest first: id, score, whether that is a change."""
    dropped_side: list[tuple[str, float, bool]]
    later: tuple[str, ...]
    """Steps that have not seen the rows that come."""
    astray: int
    """Rows for which the rules do not say what the version says."""


class WhatIf:
    """The scores that one threshold decides by, of all rows that have them.

    Args:
        threshold: as the version has it.
    """

    def __init__(self, read: ReadVersion, threshold: Threshold) -> None:
        self.read, self.threshold = read, threshold
        self._kept = self._asked("kept")
        everything = self._asked("dropped")
        mine = (pl.col("step") == threshold.label) & pl.col("reason").is_in(threshold.reasons)
        self._others = everything.filter(~mine)
        self._dropped = self._candidates() if everything.filter(mine).height else self._kept.clear()
        self._present = self._decide(threshold)
        self.astray = int(self._present[0].sum()) + int(self._present[1].sum())

    def _asked(self, state: str) -> pl.DataFrame:
        """Id, language, step and reason of every row, and the columns that the rules use."""
        more = "step, reason" if state == "dropped" else "'' AS step, '' AS reason"
        return self.read.ask(f"SELECT {columns_of(self.read, self.threshold)}, {more} FROM {self.read.table(state)}")

    def _candidates(self) -> pl.DataFrame:
        """Rows that a governed rule dropped, with all that the step found about them."""
        step = self.threshold
        reasons = ", ".join(map(literal, step.reasons))
        rows = self.read.ask(
            f"SELECT id, language, {prompts_of(self.read)}, scores, attributes FROM {self.read.table('dropped')} "
            f"WHERE step = {literal(step.label)} AND reason IN ({reasons})"
        ).with_row_index("place")
        frame = rows.select("place", "id", "language", "prompt_language")
        for column, dtype in (("scores", pl.Float64), ("attributes", pl.String)):
            columns = {
                step.score(name): name
                for name, kind in step.step.columns(step.kind).items()
                if (kind == pa.float64()) == (column == "scores")
            }
            flat = rows.select("place", column).explode(column).drop_nulls(column).unnest(column)
            wide = flat.filter(pl.col("name").is_in(list(columns))).pivot(
                on="name", on_columns=list(columns), index="place", values="value", aggregate_function="last"
            )
            wide = wide.select("place", *(pl.col(name).cast(dtype).alias(to) for name, to in columns.items()))
            frame = frame.join(wide, on="place", how="left", maintain_order="left")
        return frame.drop("place")

    def _decide(self, threshold: Threshold) -> tuple[pl.Series, pl.Series]:
        """Of the kept rows those that would go, of the dropped ones those that would come."""
        every = threshold.step.drop_rules(threshold.kind)
        go = (
            self._kept.select(any_of(rules_of(threshold)).alias("go"))["go"]
            if self._kept.height
            else pl.Series("go", [], pl.Boolean)
        )
        stay = (
            self._dropped.select(any_of(list(every.values())).alias("stay"))["stay"]
            if self._dropped.height
            else pl.Series("stay", [], pl.Boolean)
        )
        return go, ~stay

    def move(self, value: float | None, language: str = "", column: str = "") -> Move:
        """What another value would change.

        Args:
            language: in which; in all that have no value of their own, unless given.
            column: the step's number by which rows are next to the threshold.

        Raises:
            ExportError: the step does not take it.
        """
        new = self.threshold.moved(value, language)
        go, come = self._decide(new)
        kept = self._kept.with_columns(go.alias("moves"), pl.lit(True).alias("was"))
        dropped = self._dropped.with_columns(come.alias("moves"), pl.lit(False).alias("was"))
        counted = (
            pl.concat([one.select("language", "was", "moves") for one in (kept, dropped)])
            .group_by("language")
            .agg(
                pl.col("was").sum().alias("kept"),
                (~pl.col("was")).sum().alias("dropped"),
                (pl.col("was") & pl.col("moves")).sum().alias("go"),
                (~pl.col("was") & pl.col("moves")).sum().alias("come"),
            )
            .sort("kept", "language", descending=[True, False])
        )
        name = column or self.threshold.columns[0]
        near = pl.concat([one.select("id", "language", "was", "moves", name) for one in (kept, dropped)]).with_columns(
            (pl.col("was") ^ pl.col("moves")).alias("stays"),
            # Without a limit nothing is next to it: then rows that move are shown.
            (pl.lit(0.0) if value is None else (pl.col(name) - value).abs()).alias("away"),
        )
        near = near.filter(pl.col("language").is_in(self._spoken(language)) & pl.col(name).is_finite())
        near = near.filter("moves") if value is None else near
        sides = [
            near.filter(pl.col("stays") == side)
            .bottom_k(EXAMPLES, by=["away", "id"])
            .sort("away", "id")
            .select("id", name, "moves")
            .rows()
            for side in (True, False)
        ]
        return Move(counted, sides[0], sides[1], self._later(), self.astray)

    def _spoken(self, language: str) -> list[str]:
        """The languages of rows for which another value in a language would hold."""
        here = changed(self.threshold.present, math.nan, language)
        known = pl.concat([one["language"] for one in (self._kept, self._dropped, self._others)]).unique().to_list()
        return [one for one in known if here[one] is math.nan]

    def _later(self) -> tuple[str, ...]:
        return self.read.labels[self.read.labels.index(self.threshold.label) + 1 :]

    def histogram(
        self, column: str = "", language: str = ""
    ) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]] | None:
        """Edges of the bins, and in each rows kept, dropped by the rules it governs, dropped otherwise; the outermost
        bins include all beyond. None if no row has the score."""
        name = column or self.threshold.columns[0]
        frames = []
        for frame in (self._kept, self._dropped, self._others):
            mine = frame if not language else frame.filter(pl.col("language").is_in(self._spoken(language)))
            values = mine[name].drop_nulls() if mine.height else pl.Series([], dtype=pl.Float64)
            frames.append(values.filter(values.is_finite()).to_numpy())
        whole = np.concatenate(frames)
        if not len(whole):
            return None
        low, high = np.quantile(whole, [0.005, 0.995])
        inside = [one for one in values_of(self.threshold.present) if whole.min() <= one <= whole.max()]
        low, high = min([low, *inside]), max([high, *inside])
        if bool((whole % 1 == 0).all()) and high - low < BINS:
            edges = np.arange(math.floor(low) - 0.5, math.floor(high) + 1)
        else:
            edges = np.linspace(low, high if high > low else low + 1, BINS + 1)
        counts = np.stack([np.histogram(np.clip(one, edges[0], edges[-1]), edges)[0] for one in frames], axis=1)
        return edges, counts
