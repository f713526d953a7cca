"""Cross-lingual similarity of a row and its parent, or of the two sides of a pair, by a sentence encoder.

Field by field both texts are encoded and compared by cosine, or by the ratio margin: how much nearer the two are to
each other than to their neighbours. Languages that the encoder was not trained for, and language pairs that its
calibration says it cannot judge, get no score instead of a low one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
from pydantic import Field, PositiveInt, model_validator

from curate.catalog.params import Decision, EncoderName, PerLanguage
from curate.data_files import DataFile
from curate.rows import Kind, main_fields, unknown_fields
from curate.rows.ids import hash_texts
from curate.steps import Context, Encoder, Rows, ScoreStep, StepError
from filters.calibration.anchors import ANCHORS
from filters.calibration.encoders import Encoders, at_most_one
from filters.calibration.file import CalibrationFile, PairThreshold, split_pair
from filters.similarity.margin import Pools, make_sample, merge_samples, smallest
from filters.similarity.sides import compares_own, sides, tags, without_blank

Vectors = npt.NDArray[np.float32]
# Default thresholds. Cosine: with the embedded encoder the mean is .74 for true pairs and .07 for unrelated ones.
# Margin: 1 for a pair whose texts are no nearer to each other than to their neighbours.
_LEAST = {"cosine": 0.5, "margin": 1.05}
_CALIBRATED: Literal["calibrated"] = "calibrated"
Cosine = Annotated[float, Field(ge=-1)]
"""Or a margin, which is a ratio of them."""
Least = Cosine | Literal["calibrated"]


class Similarity(ScoreStep):
    """Compares each row with its parent, or the two sides of a pair, across languages.

    Scores: ``score`` over all fields, and one for each field. Attribute ``unassessed`` says why there is none:
    ``language`` (the encoder does not support one of the two), ``pool`` (too few neighbours for a margin), ``encoder``
    (the calibration says that the encoder cannot judge this language pair, or does not cover it). With a calibration
    the attribute ``pair`` names the languages compared (``en-sw``). A row without a parent has neither and is kept. A
    field that is empty on one side scores 0; if it is empty on both sides, it does not count.
    """

    tag: ClassVar[str] = "similarity"
    assesses: ClassVar[str] = "score"
    compares: ClassVar[bool] = True
    package_data: ClassVar[tuple[DataFile, ...]] = (ANCHORS,)
    path_fields: ClassVar[frozenset[str]] = frozenset({"calibration"})
    version: ClassVar[int] = 2
    summary: ClassVar[str] = "Cross-lingual similarity of a row and its parent, or of a pair's two sides."

    model: EncoderName | Annotated[tuple[EncoderName, ...], Field(min_length=1)] = "use-multilingual"
    """The sentence encoder; or several in order of preference, such as ``[labse, use-multilingual, e5-multilingual]``:
    for each language pair the first that knows both languages, with cosines on one scale (that of
    ``use-multilingual``)."""
    between: Literal["parents", "sides"] | None = None
    """What is compared: a row with its first parent (of a row that ``redact`` or ``detect_language`` changed, that of
    the row before), or source with target. Default: sides for parallel rows, parents
    for all others."""
    fields: tuple[str, ...] | None = None
    """The fields to compare with the parent's of the same name. Default: the main fields of the kind."""
    combine: Literal["mean", "min"] = "mean"
    """How the fields' similarities are combined: ``mean``, weighted by length (of both texts), or ``min``."""
    measure: Literal["cosine", "margin"] = "cosine"
    """``cosine`` (-1 to 1), or ``margin``: the cosine divided by the mean cosine of both texts to their ``neighbours``
    nearest neighbours in the other language (ratio margin of Artetxe and Schwenk 2019). The margin has the same scale
    for every encoder: about 1 for unrelated texts."""
    neighbours: PositiveInt = 4
    """How many nearest neighbours enter the margin."""
    pool: PositiveInt = 2000
    """How many rows of each language pair are searched for neighbours: those with the smallest ids, which is a random
    sample and the same on every run."""
    max_chars: PositiveInt = 2000
    """Longer texts are cut to this length before encoding."""
    min: Decision[PerLanguage[Least]] = PerLanguage[Least]()
    """Minimum similarity. Default: 0.5 for ``cosine`` and 1.05 for ``margin``; 0 turns it off. ``calibrated``: the
    cosine that the calibration found for the language pair."""
    max: Decision[PerLanguage[Cosine]] = PerLanguage[float]()
    """Maximum similarity: above it the text was copied rather than translated. For cosines, about 0.99."""
    unassessed: Decision[Literal["keep", "drop"]] = "keep"
    """What to do with rows that have a counterpart but could not be compared."""
    calibration: Decision[CalibrationFile | None] = None
    """A file that ``curate calibrate`` wrote for this model, for ``min: calibrated``. Only its content counts, and
    other thresholds do not score anything again."""
    trust: Literal["weak", "trusted"] = "weak"
    """The minimum trust that the calibration must give a language pair for its rows to be judged."""
    strict: bool = False
    """Stop if the encoder does not support a language, or cannot judge a language pair, instead of warning and leaving
    the rows unscored."""
    allow_uncalibrated: bool = False
    """Allow an encoder whose cosines have no absolute meaning (the e5 family)."""

    @model_validator(mode="after")
    def _calibrated_by_something(self) -> Similarity:
        given = [self.min.default, *self.min.values.values()]
        if _CALIBRATED in given and self.calibration is None:
            raise ValueError("min: calibrated needs 'calibration', a file that 'curate calibrate' writes")
        if self.calibration is not None and _CALIBRATED not in given:
            raise ValueError("calibration: not used; write 'min: calibrated', or remove it")
        if self.calibration is not None and self.measure != "cosine":
            raise ValueError("min: calibrated is a cosine; remove 'measure', or set margins as numbers")
        return self

    def identity(self, *, decisions: bool = True) -> dict[str, Any]:
        """As of :class:`Params`; of the calibration that decides which pairs are scored at all, without the
        thresholds."""
        given = super().identity(decisions=decisions)
        if self.calibration is not None:
            judged = [name for name, one in sorted(self.calibration.pairs.items()) if self._trusts(one)]
            by = {tag: value == _CALIBRATED for tag, value in self.min.values.items()}
            given["calibrated"] = {
                "model": self.calibration.model,
                "pairs": judged,
                "by": {"default": self.min.default == _CALIBRATED, **by},
            }
        return given

    @model_validator(mode="after")
    def _several_with_cosines(self) -> Similarity:
        if isinstance(self.model, tuple) and (self.measure != "cosine" or self.calibration is not None):
            what = "calibration" if self.calibration is not None else "measure: margin"
            raise ValueError(f"{what}: it is for one encoder; write one as 'model', or leave it out")
        return self

    def _trusts(self, one: PairThreshold) -> bool:
        return one.threshold is not None and one.verdict in ("trusted", self.trust)

    def _calibrated(self, left: str, right: str) -> PairThreshold | None:
        """The calibration of a language pair; None if there is none or it is not trusted."""
        match = self.calibration.find(left, right) if self.calibration is not None else None
        return match[1] if match is not None and self._trusts(match[1]) else None

    def _sides(self, kind: Kind) -> bool:
        return compares_own(kind, self.between)

    def check(self, kind: Kind) -> list[str]:
        if self.between == "sides" and kind is not Kind.PARALLEL:
            return [f"between: sides needs parallel rows, and these are {kind} rows; write 'parents'"]
        if self._sides(kind):
            return [] if self.fields is None else ["fields: does not apply to pairs; remove it"]
        return unknown_fields(kind, self.fields)

    def _fields(self, kind: Kind) -> tuple[str, ...]:
        return ("pair",) if self._sides(kind) else self.fields or main_fields(kind)

    def columns(self, kind: Kind) -> Mapping[str, pa.DataType]:
        single = () if self._sides(kind) else self._fields(kind)
        pair = {} if self.calibration is None else {"pair": pa.string()}
        return {"score": pa.float64(), **dict.fromkeys(single, pa.float64()), "unassessed": pa.string(), **pair}

    @property
    def requires_fit(self) -> bool:
        return self.measure == "margin"

    # ----------------------------------------------------------------------------------------------------------- margin
    def sample(self, rows: Rows, context: Context) -> pa.Table | None:
        if not self.requires_fit:
            return None
        encoders = self._encoders(context)
        languages = tags(rows, self._sides(rows.kind), self._fields(rows.kind), context)
        assessed = self._assessed(languages, encoders)
        pairs = (languages[0] + "\t" + languages[1]).filter(pl.Series(assessed))
        chosen = smallest([], self.pool)
        some = rows.take(assessed.tolist())
        for block, texts in self._texts(some, context):
            part = pl.DataFrame({"pair": pairs[block], "id": some.ids[block]})
            parts = [
                part.with_columns(pl.lit(field).alias("field"), left.alias("left"), right.alias("right"))
                for field, (left, right) in texts.items()
            ]
            chosen = smallest([chosen, *parts], self.pool)
        return make_sample(chosen, encoders.only)

    def fit(self, samples: Sequence[pa.Table], context: Context) -> pa.Table:
        return merge_samples(samples, self.pool)

    # ------------------------------------------------------------------------------------------------------------ score
    def score(self, rows: Rows, context: Context, fitted: pa.Table | None) -> pl.DataFrame:
        encoders = self._encoders(context)
        pools = Pools(fitted, self.neighbours) if self.requires_fit else None
        languages = tags(rows, self._sides(rows.kind), self._fields(rows.kind), context)
        assessed = self._assessed(languages, encoders)
        self._warn(languages, assessed, encoders, context)
        names = self._fields(rows.kind)
        scores = {name: np.full(len(rows), np.nan) for name in names}
        weights = {name: np.zeros(len(rows)) for name in names}
        short = np.zeros(len(rows), bool)
        pairs = np.asarray((languages[0] + "\t" + languages[1]).to_list(), dtype=object)
        index = np.flatnonzero(assessed)
        for block, texts in self._texts(rows.take(assessed.tolist()), context):
            here = index[block]
            both = [(one, other) for one, _, other in (pair.partition("\t") for pair in pairs[here])]
            for encoder, places in encoders.groups(both):
                at = here[places]
                for name, (left, right) in texts.items():
                    found = _Pairs(left.gather(places), right.gather(places), pairs[at], name)
                    score, weight = found.measured(encoder, pools)
                    scores[name][at], weights[name][at] = score, weight
                    short[at] |= np.isnan(score) & (weight > 0)
        every = np.stack([scores[name] for name in names])
        weight = np.where(np.isnan(every), 0.0, np.stack([weights[name] for name in names]))
        if self.combine == "min":
            total = np.where(np.isnan(every), np.inf, every).min(axis=0)
            total[np.isinf(total)] = np.nan
        else:
            summed = weight.sum(axis=0)
            total = np.divide(
                (np.nan_to_num(every) * weight).sum(axis=0), summed, out=np.full(len(rows), np.nan), where=summed > 0
            )
        why = np.full(len(rows), None, dtype=object)
        why[short & np.isnan(total)] = "pool"
        for pair in set(pairs[~assessed & languages[0].is_not_null().to_numpy()].tolist()):
            calibrated = self.min[pair.partition("\t")[2]] == _CALIBRATED
            why[pairs == pair] = "encoder" if calibrated else "language"
        # Four digits: further ones depend on which texts were encoded together.
        columns: dict[str, Any] = {"score": total, **scores}
        frame = pl.DataFrame(
            {name: pl.Series(v, nan_to_null=True, dtype=pl.Float64).round(4) for name, v in columns.items()}
        )
        names_of = (languages[0] + "-" + languages[1]).alias("pair")
        frame = frame.with_columns(pl.Series("unassessed", why.tolist(), dtype=pl.String), names_of)
        return frame.select(self.columns(rows.kind).keys())

    def in_force(self, name: str) -> Any:
        if name == "min" and self.min.default is None:
            return PerLanguage[Least](_LEAST[self.measure], self.min.values)
        return super().in_force(name)

    def drop_rules(self, kind: Kind) -> Mapping[str, pl.Expr]:
        reasons = {"similarity": pl.col("score") < self._least()}
        if self.max != PerLanguage[float]():
            reasons["copied"] = pl.col("score") > self.max.expr()
        if self.unassessed == "drop":
            reasons["unassessed"] = pl.col("score").is_null() & pl.col("unassessed").is_not_null()
        return reasons

    def _least(self) -> pl.Expr:
        """Each row's minimum similarity: by its language, or by the calibration of its language pair; null: none."""
        given = self.in_force("min")
        numbers = PerLanguage(
            _number(given.default), {tag: _number(value) for tag, value in given.values.items()}
        ).expr()
        if self.calibration is None:
            return numbers
        by = {tag: value == _CALIBRATED for tag, value in self.min.values.items()}

        def look_up(pairs: pl.Series) -> pl.Series:
            known = pairs.drop_nulls().unique().to_list()
            cosines = [one.threshold if (one := self._calibrated(*split_pair(pair))) else None for pair in known]
            return pairs.replace_strict(known, cosines, default=None, return_dtype=pl.Float64)

        thresholds = pl.col("pair").map_batches(look_up, return_dtype=pl.Float64())
        calibrated = PerLanguage(given.default == _CALIBRATED, by).expr(dtype=pl.Boolean)
        return pl.when(calibrated).then(thresholds).otherwise(numbers)

    # ------------------------------------------------------------------------------------------------------------ parts
    def _encoders(self, context: Context) -> Encoders:
        encoders = Encoders(self.model, context)
        # A threshold set in the catalog is the user's own calibration; the built-in default is not.
        calibrated = self.calibration is not None and self.min.default is not None
        if self.measure == "cosine" and not encoders.absolute and not (self.allow_uncalibrated or calibrated):
            raise StepError(
                f"similarity: the cosines of model {encoders} have no absolute meaning (unrelated texts reach .8 and "
                f"more); write 'model: [{self.model}]' for cosines on the common scale, 'measure: margin', calibrate "
                "the model ('min: calibrated'), or write 'allow_uncalibrated: true' to compare them anyway"
            )
        name = encoders.names[0]
        if self.calibration is not None and self.calibration.model != context.model_name(name):
            raise StepError(
                f"similarity: the calibration was made for {self.calibration.model}, and model '{name}' is "
                f"{context.model_name(name)}; make one for it: curate calibrate {name} --out FILE"
            )
        return encoders

    def _assessed(self, languages: tuple[pl.Series, pl.Series], encoders: Encoders) -> npt.NDArray[np.bool_]:
        pairs = list(zip(*(side.to_list() for side in languages), strict=True))
        known = {
            (left, right): left is not None and right is not None and self._is_assessed(left, right, encoders)
            for left, right in set(pairs)
        }
        return np.fromiter((known[pair] for pair in pairs), bool, len(pairs))

    def _is_assessed(self, left: str, right: str, encoders: Encoders) -> bool:
        """Whether a language pair is scored: by the calibration where one applies, else by what the encoder
        supports."""
        if self.min[right] == _CALIBRATED:
            return self._calibrated(left, right) is not None
        return encoders.find(left, right) is not None

    def _warn(
        self,
        languages: tuple[pl.Series, pl.Series],
        assessed: npt.NDArray[np.bool_],
        encoders: Encoders,
        context: Context,
    ) -> None:
        missing: set[str] = set()
        pairs: set[tuple[str, str]] = set()
        for left, right, ok in zip(*languages, assessed.tolist(), strict=True):
            if left is None:
                continue
            if self.min[right] == _CALIBRATED:
                pairs.add((left, right))
            elif not ok:
                missing.update(encoders.unknown(left, right))
        # The same words for every shard, so that they are said once.
        for tag in sorted(missing):
            message = f"similarity: model {encoders} does not support '{tag}': its rows are not assessed"
            if self.strict:
                raise StepError(f"{message}; take another model, or write 'strict: false' to leave them unscored")
            context.warn(message)
        for left, right in sorted(pairs):
            self._warn_of_pair(left, right, context)

    def _warn_of_pair(self, left: str, right: str, context: Context) -> None:
        """Warns, or stops, where the calibration says that the encoder cannot judge a language pair."""
        assert self.calibration is not None
        match = self.calibration.find(left, right)
        if match is None or not self._trusts(match[1]):
            verdict = match[1].verdict if match else "not checked"
            says = verdict if verdict == "cannot judge" else f"is {verdict} for"
            message = (
                f"similarity: by its calibration model '{self.model}' {says} {left}-{right}: its rows are not assessed"
            )
            if self.strict:
                raise StepError(f"{message}; take another model, or write 'strict: false' to leave them unscored")
            context.warn(message)
        elif match[1].verdict == "weak":
            lost = 1 - (match[1].recall or 0)
            context.warn(
                f"similarity: by its calibration model '{self.model}' is weak for {match[0]}: about {lost:.0%} of "
                "good pairs are dropped"
            )

    def _texts(self, rows: Rows, context: Context) -> Iterator[tuple[slice, dict[str, tuple[pl.Series, pl.Series]]]]:
        """Both sides of every field, some thousands of rows at a time; null where the parent has no such field."""
        for part in sides(rows, self._sides(rows.kind), self._fields(rows.kind), self.max_chars, context):
            block = slice(part.start, part.start + len(part.target_language))
            yield (
                block,
                {name: (without_blank(left), without_blank(right)) for name, (left, right) in part.texts.items()},
            )


def _number(value: Least | None) -> float | None:
    return None if isinstance(value, str) else value


class _Pairs:
    """Left and right texts of one field, for some rows."""

    def __init__(self, left: pl.Series, right: pl.Series, pairs: npt.NDArray[np.object_], field: str) -> None:
        self._left, self._right, self._pairs, self._field = left, right, pairs, field

    def measured(
        self, encoder: Encoder, pools: Pools | None
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """The similarity of each pair (nan where there is none), and its weight: the length of both texts."""
        present = (self._left.is_not_null() & self._right.is_not_null()).to_numpy()
        left, right = self._left.fill_null(""), self._right.fill_null("")
        weight = np.where(present, (left.str.len_chars() + right.str.len_chars()).to_numpy(), 0).astype(np.float64)
        score = np.where(weight > 0, 0.0, np.nan)
        both = np.flatnonzero(present & (left != "").to_numpy() & (right != "").to_numpy())
        if not len(both):
            return score, weight
        sides = [left.gather(both).to_list(), right.gather(both).to_list()]
        # One parent has many children: each text is encoded once.
        distinct = {one: number for number, one in enumerate(dict.fromkeys([*sides[0], *sides[1]]))}
        vectors = encoder.encode(list(distinct))
        x, y = (vectors[[distinct[one] for one in side]] for side in sides)
        cosine = at_most_one(encoder, np.einsum("ij,ij->i", x, y, dtype=np.float64))
        if pools is None:
            score[both] = cosine
        else:
            digests = [hash_texts(side) for side in sides]
            score[both] = pools.margins(self._field, self._pairs[both], (x, y), (digests[0], digests[1]), cosine)
        return score, weight
