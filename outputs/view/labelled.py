"""Thresholds out of labels: for each language the value that keeps the most rows that people called right, while the
wanted share of the labelled rows it keeps is right."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from curate.errors import ExportError
from curate.preferences.review.labels_file import Label, by_row
from outputs.view.reading import ReadVersion, literal
from outputs.view.thresholds import Threshold, any_of, columns_of, rules_of

PRECISION = 0.98
LEAST = 30
"""With fewer labels a language gets no threshold."""
_CANDIDATES = 200
_Z = 1.959964


@dataclass(frozen=True)
class Counts:
    """Labelled rows that a value keeps."""

    right: int
    wrong: int
    all_right: int
    """Labelled rows that are right, kept or not."""

    @property
    def precision(self) -> float | None:
        """Share of right ones among those it keeps; None if it keeps none."""
        kept = self.right + self.wrong
        return self.right / kept if kept else None

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the precision (Wilson)."""
        n = self.right + self.wrong
        if not n:
            return 0.0, 1.0
        share, z2 = self.right / n, _Z**2
        middle, half = share + z2 / (2 * n), _Z * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
        return (middle - half) / (1 + z2 / n), (middle + half) / (1 + z2 / n)

    @property
    def recall(self) -> float | None:
        """Share of the right ones that it keeps."""
        return self.right / self.all_right if self.all_right else None


@dataclass(frozen=True)
class LabelledThreshold:
    """What labels say about a threshold in one language."""

    language: str
    """Empty: all languages together."""
    labels: int
    now: Any
    """The value of the version."""
    at_now: Counts
    value: float | None
    """The value that labels speak for; None if there is none."""
    at_value: Counts | None
    reason: str = ""
    """Why there is none."""


@dataclass(frozen=True)
class LabelledRows:
    """Labelled rows with what a threshold decides by."""

    frame: pl.DataFrame
    """``language``, ``prompt_language``, ``right`` and the columns of the rules."""
    without: int
    """Labels of rows that have no such score: another step dropped them before, or the step did not assess them."""
    unsure: int
    """Labels that say neither right nor wrong, or one each."""
    elsewhere: int
    """Labels of rows that this version has not got."""


def labelled_rows(read: ReadVersion, threshold: Threshold, labels: Iterable[Label]) -> LabelledRows:
    """The labelled rows among those of a version, kept and dropped. Of several annotators the majority counts."""
    values: dict[str, float] = {}
    for row, given in by_row(labels).items():
        said = [value for one in given if (value := one.value) is not None]
        if said:
            values[row] = sum(said)
    ids = ", ".join(map(literal, values)) or "''"
    parts = [
        read.ask(f"SELECT {columns_of(read, threshold)} FROM {read.table(state)} WHERE id IN ({ids})")
        for state in ("kept", "dropped")
    ]
    found = pl.concat(parts).unique("id", keep="first", maintain_order=True)
    sums = pl.Series([values[one] for one in found["id"]], dtype=pl.Float64)
    column = threshold.columns[0]
    scored = found[column].is_not_null() & found[column].is_finite()
    frame = found.with_columns((sums > 0).alias("right")).filter(scored & (sums != 0))
    return LabelledRows(
        frame,
        int(((sums != 0) & ~scored).sum()),
        int((sums == 0).sum()),
        len(values) - found.height,
    )


def kept(threshold: Threshold, frame: pl.DataFrame) -> npt.NDArray[np.bool_]:
    """Of some rows those that no rule that the threshold governs drops."""
    if not frame.height:
        return np.zeros(0, bool)
    return ~frame.select(any_of(rules_of(threshold)).alias("gone"))["gone"].to_numpy()


def counts(threshold: Threshold, frame: pl.DataFrame) -> Counts:
    """The labelled rows that a threshold keeps."""
    right, stays = frame["right"].to_numpy(), kept(threshold, frame)
    return Counts(int((right & stays).sum()), int((~right & stays).sum()), int(right.sum()))


def counts_by_language(threshold: Threshold, frame: pl.DataFrame) -> dict[str, Counts]:
    """The same for each language, and under ``""`` for all together."""
    stays = frame.with_columns(pl.Series("stays", kept(threshold, frame)))
    right = pl.col("right")
    every = [right & pl.col("stays"), ~right & pl.col("stays"), right]
    sums = [one.sum().alias(str(place)) for place, one in enumerate(every)]
    found = {language: Counts(*given) for language, *given in stays.group_by("language").agg(sums).rows()}
    return {**found, "": counts(threshold, frame)}


def from_labels(
    threshold: Threshold, rows: LabelledRows, precision: float = PRECISION, least: int = LEAST
) -> list[LabelledThreshold]:
    """What labels say about a threshold: for each language with labels, the most first, and for all together.

    Raises:
        ExportError: ``precision`` is no share, or ``least`` no number of labels.
    """
    if not 0 < precision <= 1 or least < 1:
        raise ExportError(f"precision: {precision:g} must be above 0 and at most 1, least: {least} at least 1")
    frame = rows.frame
    languages = frame["language"].value_counts().sort("count", "language", descending=[True, False])["language"]
    listed = [*(languages.to_list() if threshold.by_language else ()), ""]
    return [_of(threshold, frame, language, precision, least) for language in listed]


def _of(threshold: Threshold, every: pl.DataFrame, language: str, precision: float, least: int) -> LabelledThreshold:
    frame = every.filter(pl.col("language") == language) if language else every
    now = threshold.present[language] if language else threshold.present.default
    present = counts(threshold, frame)

    def told(value: float | None, at: Counts | None, reason: str = "") -> LabelledThreshold:
        return LabelledThreshold(language, frame.height, now, present, value, at, reason)

    if frame.height < least:
        return told(None, None, f"{frame.height} labels, and {least} are needed")
    tried = [(value, _counts_at(threshold, frame, value, language)) for value in _candidates(frame, threshold)]
    fit = [(value, at) for value, at in tried if at is not None and (at.precision or 0.0) >= precision]
    if not fit:
        best = max((at.precision or 0.0 for _, at in tried if at is not None), default=0.0)
        return told(None, None, f"no value keeps rows of which {precision:.0%} are right; at best {best:.0%} are")
    near = now if isinstance(now, int | float) and not isinstance(now, bool) else 0.0
    value, at = max(fit, key=lambda one: (one[1].right, -one[1].wrong, -abs(one[0] - near)))
    return told(value, at)


def _candidates(frame: pl.DataFrame, threshold: Threshold) -> Sequence[float]:
    """The scores of the labelled rows, the only values at which something changes; of very many some."""
    values = np.unique(frame[threshold.columns[0]].to_numpy())
    if len(values) > _CANDIDATES:
        values = values[np.linspace(0, len(values) - 1, _CANDIDATES).round().astype(int)]
    return [int(one) if one == int(one) else float(one) for one in values.tolist()]


def _counts_at(threshold: Threshold, frame: pl.DataFrame, value: float, language: str) -> Counts | None:
    """None if the step does not take the value."""
    try:
        return counts(threshold.moved(value, language), frame)
    except ExportError:
        return None
