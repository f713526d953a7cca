"""``labels``: turns human annotation (``curate review import``) into scores of rows, and drops rows by them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal

import orjson
import polars as pl
import pyarrow as pa
from pydantic import Field, NonNegativeInt

from curate.catalog.params import Decision, PerLanguage, Runtime
from curate.preferences.review.labels_file import Label, by_row, digest_of, read_labels
from curate.rows import Kind
from curate.steps import Context, Rows, ScoreStep

_FLOATS = ("score", "annotators", "agreement", "rating")
_STRINGS = ("verdict", "by", "correction", "comment", "errors")


class Labels(ScoreStep):
    """Adds human labels to rows by row id.

    Scores: ``score`` (-1 to 1, the mean over annotators: 1 for ``good`` or, for a preference row, ``chosen``; -1 for
    ``bad`` or ``rejected``; 0 for ``unsure`` or ``tie``), ``annotators`` (their number; 0 for unlabelled rows),
    ``agreement`` (the share of annotators with the most frequent verdict), ``rating`` (the mean). Attributes:
    ``verdict`` (the most frequent one, or ``split``), ``by`` (the annotators), ``correction`` and ``comment`` (of
    several annotators one line each, with the name first), ``errors`` (JSON: a list of ``by``, ``text``, ``from``,
    ``to``, ``note``; see :class:`~curate.preferences.review.labels_file.ErrorSpan`).
    """

    tag: ClassVar[str] = "labels"
    path_fields: ClassVar[frozenset[str]] = frozenset({"files"})
    version: ClassVar[int] = 2
    summary: ClassVar[str] = "human labels, joined by row id: scores, and which rows to keep"

    files: Runtime[str | Annotated[tuple[str, ...], Field(min_length=1)]]
    """One or several files of labels (.jsonl or .parquet), written by ``curate review import``. Only their content
    counts. Of several labels by one person for one row the last counts."""
    annotators: tuple[str, ...] | None = None
    """Only labels of these annotators are used."""
    min: Decision[PerLanguage[float]] = PerLanguage[float](0.0)
    """Minimum score of a labelled row; below it, it is ``bad`` (a preference row: ``reversed``)."""
    min_rating: Decision[PerLanguage[float]] = PerLanguage[float]()
    """Minimum mean rating of rated rows."""
    min_agreement: Decision[Annotated[float, Field(ge=0, le=1)]] = 0.0
    """Minimum share of annotators with the most frequent verdict; below it, a row is ``split``."""
    min_annotators: Decision[NonNegativeInt] = 0
    """Minimum number of annotators per row; below it, a row is ``unlabelled``. 1 keeps only labelled rows."""

    @cached_property
    def _labels(self) -> Mapping[str, Sequence[Label]]:
        labels = read_labels([self.files] if isinstance(self.files, str) else self.files)
        return by_row(one for one in labels if self.annotators is None or one.annotator in self.annotators)

    def identity(self, *, decisions: bool = True) -> dict[str, Any]:
        """As for :class:`Params`, with the content of the files."""
        return {
            **super().identity(decisions=decisions),
            "labels": digest_of([one for listed in self._labels.values() for one in listed]),
        }

    def columns(self, kind: Kind) -> Mapping[str, pa.DataType]:
        return {**dict.fromkeys(_FLOATS, pa.float64()), **dict.fromkeys(_STRINGS, pa.string())}

    def score(self, rows: Rows, context: Context, fitted: pa.Table | None) -> pl.DataFrame:
        values = [_row(self._labels.get(one, ())) for one in rows.ids.to_list()]
        types = {**dict.fromkeys(_FLOATS, pl.Float64), **dict.fromkeys(_STRINGS, pl.String)}
        return pl.DataFrame(values, schema=types, orient="row")

    def drop_rules(self, kind: Kind) -> Mapping[str, pl.Expr]:
        score, annotators = pl.col("score"), pl.col("annotators")
        return {
            "unlabelled": annotators < self.min_annotators,
            "split": (pl.col("agreement") < self.min_agreement - 1e-9) & score.is_not_null(),
            "reversed" if kind is Kind.PREFERENCE else "bad": score < self.min.expr() - 1e-9,
            "rating": pl.col("rating") < self.min_rating.expr() - 1e-9,
        }


def _row(labels: Sequence[Label]) -> tuple[Any, ...]:
    """The values of one row, in the order of the columns."""
    if not labels:
        return (None, 0.0, *[None] * (len(_FLOATS) + len(_STRINGS) - 2))
    verdicts: list[Literal["good", "bad", "unsure", "chosen", "rejected", "tie"]] = [
        word for one in labels if (word := one.choice or one.verdict) is not None
    ]
    values = [value for one in labels if (value := one.value) is not None]
    ratings = [one.rating for one in labels if one.rating is not None]
    counted = Counter(verdicts).most_common(2)
    split = len(counted) > 1 and counted[0][1] == counted[1][1]
    verdict = None if not counted else "split" if split else counted[0][0]
    return (
        round(sum(values) / len(values), 6) if values else None,
        float(len(labels)),
        round(counted[0][1] / len(verdicts), 6) if verdicts else None,
        round(sum(ratings) / len(ratings), 6) if ratings else None,
        verdict,
        " ".join(one.annotator for one in labels if one.annotator) or None,
        _joined([(one.annotator, one.correction) for one in labels]),
        _joined([(one.annotator, one.comment) for one in labels]),
        _errors(labels),
    )


def _errors(labels: Sequence[Label]) -> str | None:
    found = [{"by": one.annotator, **span.to_json()} for one in labels for span in one.errors]
    return orjson.dumps(found).decode() if found else None


def _joined(texts: Sequence[tuple[str, str | None]]) -> str | None:
    lines = [(annotator, text) for annotator, text in texts if text]
    if len(lines) == 1:
        return lines[0][1]
    return "\n".join(f"{annotator}: {text}" if annotator else text for annotator, text in lines) or None
