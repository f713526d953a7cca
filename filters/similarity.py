"""A translation is kept when a cross-lingual encoder puts it near its original; what the encoder cannot read is not assessed.

The two sides of a pair, or a row and its parent field by field, are encoded and compared by cosine, or by the ratio margin
that says how much nearer the two are to each other than to their neighbours. Languages that the encoder was not trained
for get no score, never a low one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
from pydantic import PositiveInt

from curate.catalog.params import Decision, ModelName, PerLanguage
from curate.rows import Kind, field_names, main_fields, text, unknown_fields
from curate.rows.ids import hash_texts
from curate.steps import Context, Encoder, Rows, ScoreStep, StepError
from filters.margin import Pools, make_sample, merge_samples, smallest

Vectors = npt.NDArray[np.float32]
# Where a threshold is not given. Cosine: for the embedded encoder true pairs have .74 in the mean, unrelated ones .07.
# Margin: 1 is what a pair has that is no nearer to each other than to its neighbours.
_LEAST = {"cosine": 0.5, "margin": 1.05}
_BLOCK = 4096


class Similarity(ScoreStep):
    """Compares each row with its parent, or the two sides of a pair, across languages.

    Scores: ``score`` over all fields, and one for each field. Attribute ``unassessed`` says why there is none:
    ``language`` (the encoder does not support one of the two), ``pool`` (too few neighbours for a margin). A row without a
    parent has neither and is kept. A field that is empty on one side has 0; on both sides, it does not count.
    """

    tag: ClassVar[str] = "similarity"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "Cross-lingual similarity of a row and its parent, or of a pair's two sides."

    model: ModelName = "use-multilingual"
    """The sentence encoder."""
    between: Literal["parents", "sides"] | None = None
    """What is compared: a row with its first parent, or source with target. Unless given: sides for parallel rows,
    parents for all others."""
    fields: tuple[str, ...] | None = None
    """The fields compared with the parent's of the same name; unless given, the main fields of the kind."""
    combine: Literal["mean", "min"] = "mean"
    """How fields make the score: mean weighted by length (of both texts), or the least."""
    measure: Literal["cosine", "margin"] = "cosine"
    """``cosine`` (-1 to 1), or ``margin``: the cosine divided by the mean cosine of both texts to their ``neighbours``
    nearest neighbours in the other language (ratio margin of Artetxe and Schwenk 2019), whose scale is the same for every
    encoder: about 1 for what is no pair."""
    neighbours: PositiveInt = 4
    """How many nearest neighbours the margin looks at."""
    pool: PositiveInt = 2000
    """How many rows of each language pair the neighbours are looked for in: those with the smallest ids, which is a fair
    sample, the same on every run."""
    max_chars: PositiveInt = 2000
    """A longer text is cut there before it is encoded."""
    min: Decision[PerLanguage[float]] = PerLanguage[float]()
    """Least similarity. Unless given, 0.5 for ``cosine`` and 1.05 for ``margin``; 0 turns it off."""
    max: Decision[PerLanguage[float]] = PerLanguage[float]()
    """Greatest similarity: above it the text was copied rather than translated. For cosines, 0.99 or so."""
    unassessed: Decision[Literal["keep", "drop"]] = "keep"
    """What happens to rows that have something to be compared with but could not be."""
    strict: bool = False
    """Stop where the encoder does not support a language, instead of a warning and no score."""
    allow_uncalibrated: bool = False
    """Compare cosines even of an encoder whose cosines have no absolute meaning (the e5 family)."""

    def _sides(self, kind: Kind) -> bool:
        return self.between == "sides" or (self.between is None and kind is Kind.PARALLEL)

    def check(self, kind: Kind) -> list[str]:
        if self.between == "sides" and kind is not Kind.PARALLEL:
            return [f"between: sides needs parallel rows, and these are {kind} rows; write 'parents'"]
        if self._sides(kind):
            return [] if self.fields is None else ["fields: a pair has no choice of fields; leave it out"]
        return unknown_fields(kind, self.fields)

    def _fields(self, kind: Kind) -> tuple[str, ...]:
        return ("pair",) if self._sides(kind) else self.fields or main_fields(kind)

    def columns(self, kind: Kind) -> Mapping[str, pa.DataType]:
        single = () if self._sides(kind) else self._fields(kind)
        return {"score": pa.float64(), **dict.fromkeys(single, pa.float64()), "unassessed": pa.string()}

    @property
    def fits(self) -> bool:
        return self.measure == "margin"

    # ------------------------------------------------------------------------------------------------------------ margin
    def sample(self, rows: Rows, context: Context) -> pa.Table | None:
        if not self.fits:
            return None
        encoder = self._encoder(context)
        languages = self._languages(rows, context)
        assessed = self._assessed(languages, encoder)
        pairs = (languages[0] + "\t" + languages[1]).filter(pl.Series(assessed))
        chosen = smallest([], self.pool)
        some = rows.take(assessed.tolist())
        for block, texts in self._texts(some, context):
            part = pl.DataFrame({"pair": pairs[block], "id": some.ids[block]})
            found = [
                part.with_columns(pl.lit(field).alias("field"), left.alias("left"), right.alias("right"))
                for field, (left, right) in texts.items()
            ]
            chosen = smallest([chosen, *found], self.pool)
        return make_sample(chosen, encoder)

    def fit(self, samples: Sequence[pa.Table], context: Context) -> pa.Table:
        return merge_samples(samples, self.pool)

    # ------------------------------------------------------------------------------------------------------------- score
    def score(self, rows: Rows, context: Context, fitted: pa.Table | None) -> pl.DataFrame:
        encoder = self._encoder(context)
        pools = Pools(fitted, self.neighbours) if self.fits else None
        languages = self._languages(rows, context)
        assessed = self._assessed(languages, encoder)
        self._complain(languages, assessed, encoder, context)
        names = self._fields(rows.kind)
        scores = {name: np.full(len(rows), np.nan) for name in names}
        weights = {name: np.zeros(len(rows)) for name in names}
        short = np.zeros(len(rows), bool)
        pairs = np.asarray((languages[0] + "\t" + languages[1]).to_list(), dtype=object)
        index = np.flatnonzero(assessed)
        for block, texts in self._texts(rows.take(assessed.tolist()), context):
            at = index[block]
            for name, (left, right) in texts.items():
                score, weight = _Pairs(left, right, pairs[at], name).measured(encoder, pools)
                scores[name][at], weights[name][at] = score, weight
                short[at] |= np.isnan(score) & (weight > 0)
        every = np.stack([scores[name] for name in names])
        weight = np.where(np.isnan(every), 0.0, np.stack([weights[name] for name in names]))
        if self.combine == "min":
            total = np.where(np.isnan(every), np.inf, every).min(axis=0)
            total[np.isinf(total)] = np.nan
        else:
            summed = weight.sum(axis=0)
            total = np.divide((np.nan_to_num(every) * weight).sum(axis=0), summed, out=np.full(len(rows), np.nan), where=summed > 0)  # fmt: skip
        why = np.full(len(rows), None, dtype=object)
        why[short & np.isnan(total)] = "pool"
        why[~assessed & languages[0].is_not_null().to_numpy()] = "language"
        # Four digits: the rest depends on which texts were encoded together.
        columns: dict[str, Any] = {"score": total, **scores}
        frame = pl.DataFrame(
            {name: pl.Series(v, nan_to_null=True, dtype=pl.Float64).round(4) for name, v in columns.items()}
        )
        frame = frame.with_columns(unassessed=pl.Series(why.tolist(), dtype=pl.String))
        return frame.select(self.columns(rows.kind).keys())

    def verdicts(self, kind: Kind) -> Mapping[str, pl.Expr]:
        least = PerLanguage(_LEAST[self.measure]) if self.min == PerLanguage[float]() else self.min
        if least.values and least.default is None:
            least = PerLanguage(_LEAST[self.measure], least.values)
        reasons = {"similarity": pl.col("score") < least.expr()}
        if self.max != PerLanguage[float]():
            reasons["copied"] = pl.col("score") > self.max.expr()
        if self.unassessed == "drop":
            reasons["unassessed"] = pl.col("score").is_null() & pl.col("unassessed").is_not_null()
        return reasons

    # ------------------------------------------------------------------------------------------------------------- parts
    def _encoder(self, context: Context) -> Encoder:
        encoder: Encoder = context.model(self.model)
        if self.measure == "cosine" and not getattr(encoder, "absolute", True) and not self.allow_uncalibrated:
            raise StepError(
                f"similarity: the cosines of model '{self.model}' have no absolute meaning (unrelated texts have .8 and more); "
                "write 'measure: margin', or 'allow_uncalibrated: true' to compare them nevertheless"
            )
        return encoder

    def _languages(self, rows: Rows, context: Context) -> tuple[pl.Series, pl.Series]:
        """The languages of both sides; null on the left where there is nothing to compare with."""
        if self._sides(rows.kind):
            return rows.field_language("source"), rows.field_language("target")
        parents = rows.parents()
        found = _look_up(parents, context)
        table = pl.DataFrame({"id": found.ids, "language": found.language}) if found is not None else None
        if table is None:
            return pl.Series("language", [None] * len(rows), dtype=pl.String), rows.language
        known = dict(table.iter_rows())
        left = [known.get(parent) if parent is not None else None for parent in parents]
        return pl.Series("language", left, dtype=pl.String), rows.language

    @staticmethod
    def _assessed(languages: tuple[pl.Series, pl.Series], encoder: Encoder) -> npt.NDArray[np.bool_]:
        sides = []
        for side in languages:
            known = {tag: encoder.supports(tag) for tag in side.drop_nulls().unique().to_list()}
            sides.append(np.asarray([tag is not None and known[tag] for tag in side], bool))
        both: npt.NDArray[np.bool_] = sides[0] & sides[1]
        return both

    def _complain(
        self,
        languages: tuple[pl.Series, pl.Series],
        assessed: npt.NDArray[np.bool_],
        encoder: Encoder,
        context: Context,
    ) -> None:
        missing: Counter[str] = Counter()
        for left, right, ok in zip(*languages, assessed.tolist(), strict=True):
            if left is not None and not ok:
                missing.update({tag for tag in (left, right) if not encoder.supports(tag)})
        for tag, count in sorted(missing.items()):
            message = f"similarity: model '{self.model}' does not support '{tag}': {count} rows not assessed"
            if self.strict:
                raise StepError(f"{message}; take another model, or write 'strict: false' to leave them unscored")
            context.warn(message)

    def _texts(self, rows: Rows, context: Context) -> Iterator[tuple[slice, dict[str, tuple[pl.Series, pl.Series]]]]:
        """Both sides of every field, some thousands of rows at a time; null where the parent has no such field."""
        for start in range(0, len(rows), _BLOCK):
            part = Rows(rows.kind, rows.table.slice(start, _BLOCK))
            block = slice(start, start + len(part))
            if self._sides(rows.kind):
                yield block, {"pair": (self._cut(part.text("source")), self._cut(part.text("target")))}
                continue
            parents = part.parents()
            found = _look_up(parents, context)
            assert found is not None  # rows without a parent are not assessed
            where = {name: number for number, name in enumerate(found.ids)}
            at = pl.Series([where[parent] for parent in parents], dtype=pl.UInt32)
            texts = {}
            for name in self._fields(rows.kind):
                there = name in field_names(found.kind)
                nothing = pl.Series(name, [None] * len(part), dtype=pl.String)
                left = self._cut(found.text(name).gather(at)) if there else nothing
                texts[name] = (left, self._cut(part.text(name)))
            yield block, texts

    def _cut(self, texts: pl.Series) -> pl.Series:
        cut = texts.str.slice(0, self.max_chars)
        return (
            cut.to_frame("text")
            .select(pl.when(text.is_empty(pl.col("text"))).then(pl.lit("")).otherwise(pl.col("text")))
            .to_series()
        )


def _look_up(parents: pl.Series, context: Context) -> Rows | None:
    wanted = parents.drop_nulls().unique()
    return context.look_up(wanted) if len(wanted) else None


class _Pairs:
    """Some rows' left and right texts of one field."""

    def __init__(self, left: pl.Series, right: pl.Series, pairs: npt.NDArray[np.object_], field: str) -> None:
        self._left, self._right, self._pairs, self._field = left, right, pairs, field

    def measured(
        self, encoder: Encoder, pools: Pools | None
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """The similarity of each pair (nan where there is none), and its weight: the length of both texts."""
        given = (self._left.is_not_null() & self._right.is_not_null()).to_numpy()
        left, right = self._left.fill_null(""), self._right.fill_null("")
        weight = np.where(given, (left.str.len_chars() + right.str.len_chars()).to_numpy(), 0).astype(np.float64)
        score = np.where(weight > 0, 0.0, np.nan)
        both = np.flatnonzero(given & (left != "").to_numpy() & (right != "").to_numpy())
        if not len(both):
            return score, weight
        sides = [left.gather(both).to_list(), right.gather(both).to_list()]
        # One parent has many children: each text is encoded once.
        distinct = {one: number for number, one in enumerate(dict.fromkeys([*sides[0], *sides[1]]))}
        vectors = encoder.encode(list(distinct))
        x, y = (vectors[[distinct[one] for one in side]] for side in sides)
        cosine = np.einsum("ij,ij->i", x, y, dtype=np.float64)
        if pools is None:
            score[both] = cosine
        else:
            digests = [hash_texts(side) for side in sides]
            score[both] = pools.margins(self._field, self._pairs[both], (x, y), (digests[0], digests[1]), cosine)
        return score, weight
