"""Translation quality: independent checks for the ways in which translations fail, and one probability from all of
them.

The two sides of a pair, or a row and its parent field by field, are compared by checks that need no model (lengths,
scripts, copies, numbers, names, negations, markup, broken characters, translator commentary, loops, truncation) and, if
the catalog names them, by a word aligner, an encoder and a language identifier. Checks without a list or model for a
language are not assessed and do not count against the row; a row whose meaning no model compared has no ``score``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
from pydantic import Field, PositiveInt, model_validator

from curate.catalog.params import (
    AlignerName,
    Amount,
    Decision,
    EncoderName,
    IdentifierName,
    PerLanguage,
    RowsName,
)
from curate.data_files import DataFile
from curate.rows import Kind, main_fields, unknown_fields
from curate.steps import Context, LanguageIdentifier, Rows, ScoreStep, StepError
from curate.text import negation
from curate.text.boilerplate import COMMENTARY
from curate.text.length_ratio import LENGTHS
from curate.text.negation import NEGATION
from curate.text.numbers import NUMBER_WORDS
from filters.calibration.anchors import ANCHORS
from filters.calibration.encoders import Encoders
from filters.similarity.sides import Sides, compares_own, sides, without_blank
from filters.translation_quality import alignment, features
from filters.translation_quality.classifier import WEIGHTS
from filters.translation_quality.columns import ABOUT, COLUMNS, PROBABILITIES, result_of, spread, worst
from filters.translation_quality.features import CHECKS, Check, Findings

Floats = npt.NDArray[np.float64]
Limit = Decision[PerLanguage[Amount]]
_OFF = PerLanguage[float]()
_last: list[tuple[pa.Table, alignment.Lexicon]] = []


class TranslationQuality(ScoreStep):
    """Checks each row against its parent, or the two sides of a pair, for signs of a bad translation.

    Scores (null: not assessed; the worst over several fields): ``score``, the probability (0 to 1) that the row is a
    good translation, from all checks together; ``form``, instead of ``score`` where the meaning of a field was not
    assessed (there is neither ``alignment`` nor ``similarity``), the probability that the other checks found nothing
    wrong, which says nothing about an unrelated text of the right form; ``length`` (target length over source length,
    relative to the usual ratio of the languages), ``sentences`` (ratio of target to source), ``missing_sentence``
    (evidence in nats, 0 to 12, for a sentence without counterpart), ``ending`` (0: the target is cut off or leaves a
    bracket open), ``copied`` and ``left`` (share of the target copied from the source, and of the source left in the
    target), ``script`` and ``identified`` (share of letters in the right script, probability of the right language),
    ``loop`` and ``repetition`` (the target's beyond the source's), ``numbers`` and ``names`` (how many have no
    counterpart, on the side with more of them), ``placeholders`` (share kept), ``negation`` (share of sentences with
    inverted meaning), ``encoding`` (broken places), ``commentary`` (1: it comments on the translation or refuses),
    ``alignment`` (share explained by word translations), ``similarity``, ``coverage`` and ``name_similarity`` (cosine
    of the whole, of the sentence with the weakest counterpart, and of the name without counterpart to the nearest
    word). Attributes: ``evidence``, what was found; ``unassessed``, the checks that the languages did not allow.
    """

    tag: ClassVar[str] = "translation_quality"
    assesses: ClassVar[str] = "score"
    compares: ClassVar[bool] = True
    package_data: ClassVar[tuple[DataFile, ...]] = (ANCHORS, COMMENTARY, LENGTHS, NEGATION, NUMBER_WORDS, WEIGHTS)
    version: ClassVar[int] = 5
    summary: ClassVar[str] = (
        "Translation quality: lengths, copies, numbers, names, negations, markup, commentary, alignment."
    )

    # ------------------------------------------------------------------------------------------------ what is looked at
    checks: tuple[Check, ...] = CHECKS
    """The checks to run. Each has its own score; a check that is not listed has none and costs nothing."""
    between: Literal["parents", "sides"] | None = None
    """What is compared: a row with its first parent, or source with target. Default: sides for parallel rows, parents
    for all others."""
    fields: tuple[str, ...] | None = None
    """The fields to compare with the parent's of the same name. Default: the main fields of the kind."""
    max_chars: PositiveInt = 20_000
    """Longer texts are cut to this length."""
    aligner: AlignerName | None = None
    """A word aligner for ``alignment`` (``systran-align``). It is trained once on a sample of the rows, for any
    language pair."""
    table: RowsName | None = None
    """A lexicon (as ``lexicon`` makes it) or a dictionary of parallel rows, for ``alignment`` in addition to or instead
    of an aligner."""
    pool: Annotated[int, Field(ge=100)] = 20_000
    """How many pairs of each language pair the aligner is trained on: those with the smallest ids, the same on every
    run."""
    min_pool: Annotated[int, Field(ge=20)] = 1_000
    """With fewer pairs of a language pair nothing is learnt, and there is no ``alignment``."""
    encoder: EncoderName | Annotated[tuple[EncoderName, ...], Field(min_length=1)] | None = None
    """A sentence encoder whose cosines have an absolute meaning, for ``similarity`` and ``coverage``; or several in
    order of preference, such as ``[labse, use-multilingual, e5-multilingual]``: for each language pair the first that
    knows both languages, with cosines on one scale (that of ``use-multilingual``)."""
    identifier: IdentifierName | None = None
    """A language identifier (``fasttext``) for ``identified``."""

    # -------------------------------------------------------------------------------------------------- what is dropped
    min: Limit = PerLanguage(0.5)
    """Minimum ``score``, or ``form`` where there is no ``score``."""
    min_length: Limit = PerLanguage(0.3)
    """Minimum ``length``: below it something is missing."""
    max_length: Limit = PerLanguage(3.5)
    """Maximum ``length``: above it something was added."""
    min_sentences: Limit = _OFF
    """Minimum ``sentences``."""
    max_missing_sentence: Limit = PerLanguage(2.9)
    """Maximum ``missing_sentence``: above it one side most likely has a sentence that the other has not."""
    min_ending: Limit = _OFF
    """Minimum ``ending``: 1 drops targets that are cut off."""
    max_copied: Limit = PerLanguage(0.7)
    """Maximum ``copied``."""
    max_left: Limit = PerLanguage(0.7)
    """Maximum ``left``."""
    min_script: Limit = PerLanguage(0.3)
    """Minimum ``script``."""
    min_language: Limit = PerLanguage(0.05)
    """Minimum ``identified``."""
    max_loop: Limit = PerLanguage(6.0)
    """Maximum ``loop``."""
    max_repetition: Limit = _OFF
    """Maximum ``repetition``."""
    max_numbers: Limit = _OFF
    """Maximum ``numbers``."""
    max_names: Limit = _OFF
    """Maximum ``names``."""
    min_placeholders: Limit = _OFF
    """Minimum ``placeholders``: 1 drops rows that lost or gained one."""
    max_negation: Limit = _OFF
    """Maximum ``negation``. By default it counts in the probability only, because good translations often negate
    otherwise; 0.08 allows one sentence in thirteen."""
    max_encoding: Limit = PerLanguage(0.0)
    """Maximum ``encoding``."""
    max_commentary: Limit = PerLanguage(0.0)
    """Maximum ``commentary``: 1 keeps all."""
    min_alignment: Limit = _OFF
    """Minimum ``alignment``."""
    min_similarity: Limit = _OFF
    """Minimum ``similarity``; the step of that name has more options."""
    min_coverage: Limit = _OFF
    """Minimum ``coverage``."""
    min_name_similarity: Limit = PerLanguage(0.4, {"tr": 0.32})
    """Minimum ``name_similarity``: below it a name was most likely replaced. Calibrated for cosines of single words by
    ``use-multilingual``, which is weaker for Turkish."""
    unassessed: Decision[Literal["keep", "drop"]] = "keep"
    """What to do with rows without ``score``, because nothing compared the meaning of both sides: ``keep`` or
    ``drop`` them. They are counted as not assessed."""
    require: Decision[tuple[Check, ...]] = ()
    """Drop rows for which one of these checks could not be made because of their languages (``unassessed``)."""
    strict: bool = False
    """Stop if a model does not support a language, instead of warning and leaving the score null."""

    @model_validator(mode="after")
    def _fits_together(self) -> TranslationQuality:
        if not self.checks:
            raise ValueError(f"checks: name at least one of {', '.join(CHECKS)}")
        for name, parameters in (
            ("alignment", ("aligner", "table")),
            ("similarity", ("encoder",)),
            ("language", ("identifier",)),
        ):
            set_here = [one for one in parameters if getattr(self, one) is not None]
            if set_here and name not in self.checks:
                raise ValueError(f"{set_here[0]}: needs the check '{name}', which 'checks' does not contain")
        return self

    def check(self, kind: Kind) -> list[str]:
        if self.between == "sides" and kind is not Kind.PARALLEL:
            return [f"between: sides needs parallel rows, and these are {kind} rows; write 'parents'"]
        if self._own(kind):
            return [] if self.fields is None else ["fields: does not apply to pairs; remove it"]
        return unknown_fields(kind, self.fields)

    def columns(self, kind: Kind) -> Mapping[str, pa.DataType]:
        return {**dict.fromkeys(COLUMNS, pa.float64()), "evidence": pa.string(), "unassessed": pa.string()}

    def drop_rules(self, kind: Kind) -> Mapping[str, pl.Expr]:
        reasons: dict[str, pl.Expr] = {}
        # Specific reasons come first; the overall probability comes last.
        order = (
            "commentary",
            "encoding",
            "script",
            "copied",
            "left",
            "identified",
            "loop",
            "length",
            *(name for name in COLUMNS),
        )
        for name in dict.fromkeys(order):
            if name in PROBABILITIES:
                continue
            for end, wrong in (("min", pl.Expr.lt), ("max", pl.Expr.gt)):
                limit = getattr(self, f"{end}_{ABOUT.get(name, name)}", _OFF)
                if limit != _OFF:
                    reason = {"min_length": "omission", "max_length": "addition"}.get(
                        f"{end}_{name}", ABOUT.get(name, name)
                    )
                    reasons[reason] = wrong(pl.col(name), limit.expr())
        if self.min != _OFF:
            reasons["translation_quality"] = pl.coalesce(PROBABILITIES) < self.min.expr()
        missing = [pl.col("unassessed").str.contains(rf"\b(?:{'|'.join(self.require)})\b")] if self.require else []
        missing += [pl.col("form").is_not_null()] if self.unassessed == "drop" else []
        if missing:
            reasons["unassessed"] = pl.any_horizontal(missing)
        return reasons

    # ---------------------------------------------------------------------------------------------------------- fitting
    @property
    def requires_fit(self) -> bool:
        return self.aligner is not None or self.table is not None

    def sample(self, rows: Rows, context: Context) -> pa.Table | None:
        if not self.requires_fit:
            return None
        return alignment.sample(
            (
                (rows.ids.slice(part.start, len(left)), part.source_language, part.target_language, left, right)
                for part in self._sides(rows, context)
                for left, right in part.texts.values()
            ),
            self.pool if self.aligner is not None else 0,
        )

    def fit(self, samples: Sequence[pa.Table], context: Context) -> pa.Table:
        aligner = context.model(self.aligner) if self.aligner is not None else None
        table = context.rows(self.table) if self.table is not None else None
        return alignment.fit(samples, self.pool, self.min_pool, aligner, table, context)

    # ---------------------------------------------------------------------------------------------------------- scoring
    def score(self, rows: Rows, context: Context, fitted: pa.Table | None) -> pl.DataFrame:
        lexicon = _lexicon(fitted) if self.requires_fit and fitted is not None else None
        frames = [self._frame([], 0)]
        unsupported: set[tuple[str, str]] = set()
        for part in self._sides(rows, context):
            size = len(part.target_language)
            ids = rows.ids.slice(part.start, size)
            frames.append(
                self._frame(
                    [
                        self._field(part, left, right, ids, lexicon, context, unsupported)
                        for left, right in part.texts.values()
                    ],
                    size,
                )
            )
        # The same words for every shard, so that they are said once.
        for name, tag in sorted(unsupported):
            context.warn(f"translation_quality: {name} does not support '{tag}': its texts are not assessed by it")
        return pl.concat(frames)

    def _sides(self, rows: Rows, context: Context) -> Iterator[Sides]:
        own = self._own(rows.kind)
        return sides(rows, own, ("pair",) if own else self.fields or main_fields(rows.kind), self.max_chars, context)

    def _own(self, kind: Kind) -> bool:
        return compares_own(kind, self.between)

    def _field(
        self,
        part: Sides,
        left: pl.Series,
        right: pl.Series,
        ids: pl.Series,
        lexicon: alignment.Lexicon | None,
        context: Context,
        unsupported: set[tuple[str, str]],
    ) -> Findings:
        """The columns of one field, all rows."""
        present = left.is_not_null() & right.is_not_null() & part.source_language.is_not_null()
        at = np.flatnonzero(present.to_numpy())
        source, target = (without_blank(side.gather(at).fill_null("")) for side in (left, right))
        tags = part.source_language.gather(at), part.target_language.gather(at)
        both = tags[0].to_list(), tags[1].to_list()
        findings = features.find(source, target, tags, self.checks, lexicon.lengths if lexicon else {})
        values = findings.values
        missing: list[list[str]] = [[] for _ in range(len(at))]
        if "negation" in self.checks:
            listed = negation.is_listed
            self._mark_unsupported(both, listed, "negation", "the list of negations", missing, unsupported, len(at))
        if "language" in self.checks and self.identifier is not None:
            identifier: LanguageIdentifier = context.model(self.identifier)
            self._mark_unsupported(
                ([], both[1]),
                identifier.supports,
                "language",
                f"model '{self.identifier}'",
                missing,
                unsupported,
                len(at),
            )
            values["identified"] = features.identified(target, both, identifier)
        if "similarity" in self.checks and self.encoder is not None:
            encoders = self._encoders(context)
            assessed = self._mark_unsupported(
                both, encoders.supports, "similarity", f"model {encoders}", missing, unsupported, len(at)
            )
            for row, pair in enumerate(zip(*both, strict=True)):
                if assessed[row] and encoders.find(*pair) is None:
                    assessed[row] = False
                    missing[row].append("similarity")
                    unsupported.add((f"model {encoders}", "-".join(pair)))
            lengths = lexicon.lengths if lexicon else {}
            by_encoder = features.encoded(source, target, both, assessed, lengths, findings.names, encoders)
            if "sentences" in self.checks:
                values["missing_sentence"] = np.where(
                    np.isnan(by_encoder["missing_sentence"]), values["missing_sentence"], by_encoder["missing_sentence"]
                )
            values |= {name: by_encoder[name] for name in ("similarity", "coverage", "name_similarity")}
        if "alignment" in self.checks and lexicon is not None:
            values["alignment"] = alignment.scores(
                lexicon, ids.gather(at).to_list(), both, source.to_list(), target.to_list()
            )
            known = {pair: lexicon.knows(*pair) for pair in set(zip(*both, strict=True))}
            for row, pair in enumerate(zip(*both, strict=True)):
                if not known[pair]:
                    missing[row].append("alignment")
        return spread(result_of(findings, source, target, missing), at, len(left))

    def _mark_unsupported(
        self,
        both: tuple[Sequence[str], Sequence[str]],
        supports: Any,
        check: str,
        who: str,
        missing: list[list[str]],
        unsupported: set[tuple[str, str]],
        rows: int,
    ) -> npt.NDArray[np.bool_]:
        """Where both languages are supported; records the others as not assessed."""
        known = {tag: bool(supports(tag)) for tag in {*both[0], *both[1]}}
        result = np.ones(rows, bool)
        for side in both:
            for row, tag in enumerate(side):
                if not known[tag]:
                    result[row] = False
        for row in np.flatnonzero(~result).tolist():
            missing[row].append(check)
            unsupported.update({(who, side[row]) for side in both if side and not known[side[row]]})
        if self.strict and not result.all() and check != "negation":
            tag = min(tag for tag, ok in known.items() if not ok)
            raise StepError(
                f"translation_quality: {who} does not support '{tag}'; take another model, or write 'strict: false' "
                "to leave such rows unscored"
            )
        return result

    def _encoders(self, context: Context) -> Encoders:
        encoders = Encoders(self.encoder or "", context)
        if not encoders.absolute:
            raise StepError(
                f"translation_quality: the cosines of model {encoders} have no absolute meaning; write 'encoder: "
                f"[{self.encoder}]' for cosines on the common scale"
            )
        return encoders

    def _frame(self, fields: Sequence[Findings], size: int) -> pl.DataFrame:
        """The worst over the fields, column by column."""
        columns: dict[str, pl.Series] = {}
        every = {
            name: np.stack([one.values[name] for one in fields] or [np.full(size, np.nan)])
            for name in (fields[0].values if fields else COLUMNS)
        }
        for name in COLUMNS:
            stacked = every.get(name, np.full((1, size), np.nan))
            columns[name] = pl.Series(worst(name, stacked), nan_to_null=True, dtype=pl.Float64).round(4)
        # A field whose meaning was not assessed leaves the row without a score, whatever the others have.
        columns |= (
            pl.DataFrame({name: columns[name] for name in PROBABILITIES})
            .select(
                score=pl.when(pl.col("form").is_null()).then("score"),
                form=pl.when(pl.col("form").is_not_null()).then(pl.min_horizontal(PROBABILITIES)),
            )
            .to_dict()
        )
        either = np.fmin(every["score"], every["form"])
        least = np.argmin(np.where(np.isnan(either), np.inf, either), axis=0) if size else np.zeros(0, int)
        for name in ("evidence", "unassessed"):
            columns[name] = pl.Series(
                [fields[which].notes[name][row] for row, which in enumerate(least.tolist())], dtype=pl.String
            )
        return pl.DataFrame(columns)


def _lexicon(fitted: pa.Table) -> alignment.Lexicon:
    """The fitted table as a lexicon; cached for the batches of one shard, which share a table."""
    if not _last or _last[0][0] is not fitted:
        _last[:] = [(fitted, alignment.Lexicon(fitted))]
    return _last[0][1]
