"""``labels``: what people said of rows (``curate review import``) becomes scores of these rows, and decides about them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal

import polars as pl
import pyarrow as pa
from pydantic import Field, NonNegativeInt

from curate.catalog.params import Decision, PerLanguage, Runtime
from curate.preferences.review.labels_file import Label, by_row, digest_of, read_labels
from curate.rows import Kind
from curate.steps import Context, Rows, ScoreStep

_FLOATS = ("score", "annotators", "agreement", "rating")
_STRINGS = ("verdict", "by", "correction", "comment")


class Labels(ScoreStep):
    """Merges labels of people by row id.

    Scores: ``score`` (-1 to 1, the mean over people: 1 for ``good`` or, of a preference row, ``chosen``; -1 for ``bad`` or ``rejected``; 0 for
    ``unsure`` or ``tie``), ``annotators`` (how many said something; 0 of rows nobody labelled), ``agreement`` (the share of people who say what most say),
    ``rating`` (their mean). Attributes: ``verdict`` (what most say, or ``split``), ``by`` (who), ``correction`` and ``comment`` (what they wrote; of
    several, each in its line with the name before it).
    """

    tag: ClassVar[str] = "labels"
    path_fields: ClassVar[frozenset[str]] = frozenset({"files"})
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "what people said of rows, merged by row id: scores, and which rows go"

    files: Runtime[str | Annotated[tuple[str, ...], Field(min_length=1)]]
    """A file of labels, or several (.jsonl or .parquet) that ``curate review import`` wrote. They count by what they say. Of one person's labels of one row the
    last counts."""
    annotators: tuple[str, ...] | None = None
    """Only labels of these people."""
    min: Decision[PerLanguage[float]] = PerLanguage[float](0.0)
    """Least score of a labelled row; below it, it is ``bad`` (a preference row: ``reversed``)."""
    min_rating: Decision[PerLanguage[float]] = PerLanguage[float]()
    """Least mean rating, of rows that were rated."""
    min_agreement: Decision[Annotated[float, Field(ge=0, le=1)]] = 0.0
    """Least share of people who say what most say; below it, a row is ``split``."""
    min_annotators: Decision[NonNegativeInt] = 0
    """By how many people a row must be labelled, else it is ``unlabelled``; 1 keeps only what somebody saw."""

    @cached_property
    def _labels(self) -> Mapping[str, Sequence[Label]]:
        found = read_labels([self.files] if isinstance(self.files, str) else self.files)
        return by_row(one for one in found if self.annotators is None or one.annotator in self.annotators)

    def identity(self, *, decisions: bool = True) -> dict[str, Any]:
        """As of :class:`Params`, with what the files say."""
        return {
            **super().identity(decisions=decisions),
            "labels": digest_of([one for listed in self._labels.values() for one in listed]),
        }

    def columns(self, kind: Kind) -> Mapping[str, pa.DataType]:
        return {**dict.fromkeys(_FLOATS, pa.float64()), **dict.fromkeys(_STRINGS, pa.string())}

    def score(self, rows: Rows, context: Context, fitted: pa.Table | None) -> pl.DataFrame:
        found = [_told(self._labels.get(one, ())) for one in rows.ids.to_list()]
        types = {**dict.fromkeys(_FLOATS, pl.Float64), **dict.fromkeys(_STRINGS, pl.String)}
        return pl.DataFrame(found, schema=types, orient="row")

    def verdicts(self, kind: Kind) -> Mapping[str, pl.Expr]:
        score, annotators = pl.col("score"), pl.col("annotators")
        return {
            "unlabelled": annotators < self.min_annotators,
            "split": (pl.col("agreement") < self.min_agreement - 1e-9) & score.is_not_null(),
            "reversed" if kind is Kind.PREFERENCE else "bad": score < self.min.expr() - 1e-9,
            "rating": pl.col("rating") < self.min_rating.expr() - 1e-9,
        }


def _told(labels: Sequence[Label]) -> tuple[Any, ...]:
    """One row of the columns."""
    if not labels:
        return (None, 0.0, *[None] * (len(_FLOATS) + len(_STRINGS) - 2))
    said: list[Literal["good", "bad", "unsure", "chosen", "rejected", "tie"]] = [
        word for one in labels if (word := one.choice or one.verdict) is not None
    ]
    values = [value for one in labels if (value := one.value) is not None]
    ratings = [one.rating for one in labels if one.rating is not None]
    counted = Counter(said).most_common(2)
    split = len(counted) > 1 and counted[0][1] == counted[1][1]
    verdict = None if not counted else "split" if split else counted[0][0]
    return (
        round(sum(values) / len(values), 6) if values else None,
        float(len(labels)),
        round(counted[0][1] / len(said), 6) if said else None,
        round(sum(ratings) / len(ratings), 6) if ratings else None,
        verdict,
        " ".join(one.annotator for one in labels if one.annotator) or None,
        _written([(one.annotator, one.correction) for one in labels]),
        _written([(one.annotator, one.comment) for one in labels]),
    )


def _written(texts: Sequence[tuple[str, str | None]]) -> str | None:
    given = [(who, text) for who, text in texts if text]
    if len(given) == 1:
        return given[0][1]
    return "\n".join(f"{who}: {text}" if who else text for who, text in given) or None
