"""Rows that say the same are one cluster, of which one row stays; what "the same" is, is the choice of a method.

Each shard is summarised once: digests, signatures, vectors, whatever the method compares, and nothing of what decides
(thresholds, order, scope). The decision over all summaries works from files and spills to disk. The outcome depends on
the rows and their order, never on how they were cut into shards.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field, PositiveInt, model_validator

from curate.catalog.params import Decision, EncoderName, PerLanguage, RowsName
from curate.data_files import DataFile
from curate.rows import Kind, unknown_fields
from curate.steps import Context, GlobalStep, Rows, StepError
from curate.text.negation import NEGATION
from curate.text.numbers import NUMBER_WORDS
from filters.calibration.file import CalibrationFile
from filters.duplicates import edit_distance as near_signs
from filters.duplicates import exact, minhash, near
from filters.duplicates import semantic as near_semantic
from filters.duplicates.clusters import ByScore, BySource, Criterion, Linkage
from filters.duplicates.near import Rules, Summary
from filters.duplicates.normalize import Sameness
from filters.duplicates.shingles import check_sizes
from filters.duplicates.summaries import Summarizer
from filters.duplicates.thresholds import Least

Method = Literal["exact", "minhash", "semantic", "cross_lingual"]
Share = Annotated[float, Field(gt=0, le=1)]
_SIMILARITY: Mapping[str, float] = {"minhash": 0.8, "semantic": 0.92, "cross_lingual": 0.5}
# What does not count, unless said otherwise: for exact equality only what nobody sees, else all that is surface.
_EXACT = {
    "whitespace": "collapse",
    "punctuation": "keep",
    "digits": "keep",
    "diacritics": "keep",
    "quotes": "keep",
    "joiners": "keep",
    "html": "keep",
}
_NEAR = {
    "whitespace": "collapse",
    "punctuation": "ignore",
    "digits": "fold",
    "diacritics": "ignore",
    "quotes": "fold",
    "joiners": "ignore",
    "html": "strip",
}


class Duplicates(GlobalStep):
    """Drops all but one row of each cluster of rows that say the same.

    Attributes of every row in a cluster of two or more: ``cluster_id`` (the smallest id in it) and, of those dropped,
    ``duplicate_of`` (the id of the row that stays). Scores: ``similarity`` of a dropped row to the row that stays,
    ``size`` (rows in the cluster, 1 for single rows). Attribute ``unassessed`` (``semantic``, ``cross_lingual``):
    ``language``, where the encoder does not support the row's. A row whose chosen fields are all empty is the duplicate
    of none. Labels, scores and lineage do not enter.
    """

    tag: ClassVar[str] = "duplicates"
    package_data: ClassVar[tuple[DataFile, ...]] = (NEGATION, NUMBER_WORDS)
    path_fields: ClassVar[frozenset[str]] = frozenset({"calibration"})
    version: ClassVar[int] = 3
    summary: ClassVar[str] = "One row of each cluster of equal, near-equal or equivalent rows stays."

    method: Method = "exact"
    """``exact``: equal after the normalisations below. ``minhash``: alike in their signs (case, punctuation, typing
    errors). ``semantic``: alike in meaning, within a language. ``cross_lingual``: translations of each other."""
    fields: tuple[str, ...] | None = None
    """The fields that must be alike, all of them; unless given, the main fields of the kind. ``[prompt]`` keeps one
    answer to each prompt."""
    across: Decision[Literal["language", "all"]] = "language"
    """Whether rows in different languages may be duplicates (``all``) or not (``language``). ``cross_lingual`` always
    looks across."""
    scope: Decision[Literal["all", "source", "group"]] = "all"
    """Whether duplicates are looked for among all rows, within each source, or within each item (``group_id``: several
    answers or translations of one thing)."""

    # ---------------------------------------------------------------------------------------------- what does not count
    unicode: Literal["nfkc", "nfc", "none"] = "nfkc"
    """``nfkc`` makes full-width and half-width forms, ligatures and presentation forms equal (and also x² and x2);
    ``nfc`` only different encodings of the same character."""
    case: Literal["fold", "keep"] = "fold"
    """``fold``: case does not count (full Unicode folding, ß = ss; in Turkish, Azerbaijani, Gagauz and Crimean Tatar
    I = ı and İ = i)."""
    whitespace: Literal["collapse", "remove", "keep"] | None = None
    """``collapse``: any run of blanks and line breaks is one blank, none at the ends, invisible signs (zero-width
    space, direction marks, soft hyphen) nothing; ``remove``: blanks do not count at all, which joins
    你好 世界 and 你好世界.
    Unless given, ``collapse``; blanks never count for the other methods than ``exact``."""
    punctuation: Literal["keep", "ignore"] | None = None
    """``ignore``: characters of category P do not count, but for ``# @ % & * / \\`` and for one that stands before a
    digit (3.5, -4, 10:30); symbols (+ = < $ € emoji …) always count, so C++, C# and C stay three. A text of punctuation
    only is compared as it is. Unless given, ``keep`` for ``exact``, else ``ignore``."""
    digits: Literal["keep", "fold"] | None = None
    """``fold``: the digits of all scripts are the same (٣ = ३ = 3). Unless given, ``keep`` for ``exact``, else
    ``fold``."""
    diacritics: Literal["keep", "ignore"] | None = None
    """``ignore``: Arabic tashkeel and tatweel and Hebrew points do not count; marks of other scripts always do. Unless
    given, ``keep`` for ``exact``, else ``ignore``."""
    quotes: Literal["keep", "fold"] | None = None
    """``fold``: quotation marks, apostrophes and dashes of all shapes are the same. Unless given, ``keep`` for
    ``exact``, else ``fold``."""
    joiners: Literal["keep", "ignore"] | None = None
    """``ignore``: zero-width joiners, non-joiners and variation selectors do not count; they are spelling in Persian
    and Indic scripts, noise elsewhere. Unless given, ``keep`` for ``exact``, else ``ignore``."""
    html: Literal["keep", "strip"] | None = None
    """``strip``: entities are decoded, tags that come in pairs or stand for breaks do not count; a single ``<b>`` is
    what a text speaks of and does. Unless given, ``keep`` for ``exact``, else ``strip``."""

    # ------------------------------------------------------------------------------------------------------ near copies
    similarity: Decision[PerLanguage[Share] | None] = None
    """Least similarity (0 to 1) in every field: Jaccard or edits for ``minhash`` (unless given, 0.8), cosine for
    ``semantic`` (0.92) and ``cross_lingual`` (0.6). Of two languages the higher one counts."""
    measure: Decision[Literal["jaccard", "edits"]] = "jaccard"
    """For ``minhash``: ``jaccard``, the share of shingles that two texts have in common, which forgives moved and
    replaced passages; or ``edits``, the share of signs that need no change, which forgives typing errors all over a
    text (0.85 finds those with one sign in ten changed) and looks at many more pairs."""
    shingle: dict[str, PositiveInt] | PositiveInt | None = None
    """How many signs (graphemes) make a shingle, one number or by Unicode script (``{default: 5, Han: 3}``). Unless
    given, 5 for alphabets, 3 for Han, kana, Hangul and syllabaries, 4 for Thai, Lao, Khmer, Burmese, Tibetan and the
    Indic scripts."""
    num_perm: Annotated[int, Field(ge=16, le=1024)] = 128
    """Numbers in a signature; 256 bytes a row with 128."""
    bands: Decision[tuple[PositiveInt, PositiveInt] | None] = None
    """Bands and numbers a band. Unless given, chosen so that two rows at the threshold are compared 94 times in 100
    (above it nearly always): 16 × 8 for 0.8."""
    numbers: Decision[Literal["distinct", "ignore"]] = "distinct"
    """``distinct``: rows whose numbers, operators or currencies differ are no duplicates however alike
    (``cross_lingual``: only where both have digits). ``exact`` has no need of it."""
    negation: Decision[Literal["distinct", "ignore"]] = "distinct"
    """``distinct``: rows that differ in a negating word are no duplicates, in the languages that have a list of them;
    not for ``exact`` and ``cross_lingual``."""
    words: Decision[Literal["distinct", "ignore"]] = "distinct"
    """For ``measure: edits``: ``distinct``, rows of which one has another word where the other has its own (dog and
    cat) are no duplicates, however few letters that is; in scripts with blanks between words."""
    linkage: Decision[Linkage] = "star"
    """``star``: a row is dropped only for one that it is itself like. ``connected``: whatever hangs together is one
    cluster, so that the first and the last of a chain may have little in common."""

    # ---------------------------------------------------------------------------------------------------------- meaning
    model: EncoderName | None = None
    """The encoder for ``semantic`` and ``cross_lingual``; unless given, ``use-multilingual``."""
    max_chars: PositiveInt = 2000
    """A longer text is cut there before it is encoded."""
    margin: Decision[Annotated[float, Field(ge=0)]] = 1.2
    """For ``cross_lingual``: least ratio of a pair's cosine to the mean cosine of both to their nearest neighbours in
    the other language. 0 turns it off."""
    mutual: Decision[bool] = True
    """For ``cross_lingual``: whether each of the two must be the other's nearest (but for a cosine of 0.02) of all that
    may be its duplicates. Of many translations of one text only the nearest go then."""
    neighbours: Decision[PositiveInt] = 4
    """How many nearest neighbours the margin looks at, and each row is compared with across languages."""
    pairs: Decision[dict[str, Share]] = Field(default_factory=dict)
    """For ``cross_lingual``: the least cosine of a language pair, such as ``{en/zh: 0.55}``; counts before
    ``similarity``."""
    calibration: Decision[CalibrationFile | None] = None
    """For ``cross_lingual``: a file that ``curate calibrate`` wrote for this very model; its cosine of a language pair
    counts before ``similarity``, and pairs that it does not trust have no duplicates, which is told."""
    trust: Decision[Literal["weak", "trusted"]] = "weak"
    """The least that the calibration must say of a language pair for its rows to be compared."""
    groups: Decision[Literal["exclude", "include"]] = "exclude"
    """For ``cross_lingual``: whether rows of one item (``group_id``), which are meant to be translations of each other,
    are duplicates too (``include``)."""
    lexical: Decision[Annotated[float, Field(ge=0, le=1)]] = 0.0
    """For ``semantic``: least share of shingles (Jaccard) that the two must have in common as well."""
    search: Decision[near_semantic.Search] = "auto"
    """``exact`` compares all, ``approximate`` searches a graph (``pip install 'polycurate[mine]'``); ``auto`` takes the
    graph for more than 150,000 texts of one language."""
    strict: bool = False
    """Stop where the encoder does not support a language, instead of a warning and no assessment."""
    allow_uncalibrated: Decision[bool] = False
    """Compare cosines even of an encoder whose cosines have no absolute meaning (the e5 family)."""

    # -------------------------------------------------------------------------------------------------------- who stays
    keep: Decision[Criterion | tuple[Criterion, ...]] = "first"
    """Which row of a cluster stays: ``first`` in order, ``longest``, ``shortest``, ``{score: name, order: greatest}``,
    ``{sources: [most trusted, …]}``, ``best`` (the greatest score ``by``), or a list of them, of which each decides
    where those before it leave a tie; at last the first in order. Scores are those of earlier steps, and those that
    rows carry."""
    by: Decision[str | None] = None
    """The name of the score by which the ``best`` is chosen. A row without it comes last."""
    source_order: Decision[tuple[str, ...]] = ()
    """Sources whose rows stay before others', the most trusted first; sources not named come last. Counts before
    ``keep``."""
    against: Decision[RowsName | None] = None
    """A source or dataset whose rows count as earlier ones: rows that duplicate one of them go, they themselves
    stay."""
    action: Decision[Literal["drop", "mark"]] = "drop"
    """``mark`` keeps all rows and only tells clusters, for a later step or a look at them."""

    @model_validator(mode="before")
    @classmethod
    def _encoder(cls, given: Any) -> Any:
        if (
            isinstance(given, dict)
            and given.get("method") in ("semantic", "cross_lingual")
            and given.get("model") is None
        ):
            return {**given, "model": "use-multilingual"}
        return given

    @model_validator(mode="after")
    def _fits_together(self) -> Duplicates:
        listed = self.keep if isinstance(self.keep, tuple) else (self.keep,)
        if "best" in listed and self.by is None:
            raise ValueError("keep: best needs 'by', the name of a score of the rows")
        if self.method == "exact" and self.similarity is not None:
            raise ValueError(
                "similarity: exact rows are equal or not; write 'method: minhash' (or semantic, cross_lingual)"
            )
        if self.bands is not None and self.bands[0] * self.bands[1] > self.num_perm:
            raise ValueError(
                f"bands: {self.bands[0]} × {self.bands[1]} is more than the {self.num_perm} numbers of num_perm"
            )
        if self.calibration is not None and self.method != "cross_lingual":
            raise ValueError("calibration: it is of pairs of languages; write 'method: cross_lingual', or leave it out")
        if wrong := check_sizes(self._shingle):
            raise ValueError(wrong[0])
        near_semantic.parse_pairs(self.pairs)
        return self

    def check(self, kind: Kind) -> list[str]:
        return unknown_fields(kind, self.fields)

    @property
    def reads(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(one.score for one in self._criteria() if isinstance(one, ByScore)))

    def columns(self, kind: Kind) -> Mapping[str, pa.DataType]:
        found = {
            "cluster_id": pa.string(),
            "duplicate_of": pa.string(),
            "similarity": pa.float64(),
            "size": pa.float64(),
        }
        return {**found, "unassessed": pa.string()} if self.by_meaning else found

    @property
    def by_meaning(self) -> bool:
        """Whether an encoder decides."""
        return self.method in ("semantic", "cross_lingual")

    @property
    def _shingle(self) -> dict[str, int]:
        if self.shingle is None:
            return {}
        if isinstance(self.shingle, int):
            from filters.duplicates.shingles import SIZES

            return dict.fromkeys(("default", *SIZES), self.shingle)
        return self.shingle

    # -------------------------------------------------------------------------------------------------------- summaries
    def summarize(self, rows: Rows, context: Context) -> pa.Table:
        return self._summarizer().summarize(rows, context)

    def _summarizer(self) -> Summarizer:
        usual = _EXACT if self.method == "exact" else _NEAR
        chosen: dict[str, Any] = {name: getattr(self, name) or value for name, value in usual.items()}
        return Summarizer(
            self.method,
            self.fields,
            Sameness(self.unicode, self.case, **chosen),
            self._shingle,
            self.num_perm,
            self.model or "",
            self.max_chars,
            self.strict,
        )

    # --------------------------------------------------------------------------------------------------------- decision
    def decide(self, summaries: Sequence[Path], context: Context) -> Iterator[pa.Table]:
        if not summaries:
            return
        every = [*self._against(context), *(Summary(path) for path in summaries)]
        told = exact.decide(every, self._rules(), context) if self.method == "exact" else self._near(every, context)
        for path, columns in zip(summaries, told, strict=True):
            if self.by_meaning:
                columns["unassessed"] = _unassessed(path)
            yield pa.table(columns)

    def _rules(self) -> Rules:
        crossing = self.method == "cross_lingual"
        return Rules(
            "all" if crossing else self.across,
            self.scope,
            self.numbers == "distinct" and not crossing,
            self.negation == "distinct" and self.method == "semantic",
            self.linkage,
            self._criteria(),
            self.action == "drop",
            ("language", *(("group",) if self.groups == "exclude" else ())) if crossing else (),
        )

    def _criteria(self) -> tuple[Criterion, ...]:
        listed = self.keep if isinstance(self.keep, tuple) else (self.keep,)
        trusted: tuple[Criterion, ...] = (BySource(sources=self.source_order),) if self.source_order else ()
        return (*trusted, *(ByScore(score=self.by or "") if one == "best" else one for one in listed))

    def _against(self, context: Context) -> list[Summary]:
        """The summaries of the rows that were there before."""
        if self.against is None:
            return []
        context.scratch.mkdir(parents=True, exist_ok=True)
        path = context.scratch / "against.parquet"
        writer: pq.ParquetWriter | None = None
        try:
            for rows in context.rows(self.against):
                if wrong := unknown_fields(rows.kind, self.fields):
                    raise StepError(f"against: {self.against}: {wrong[0]}")
                part = self.summarize(rows, context)
                writer = writer or pq.ParquetWriter(path, part.schema)
                writer.write_table(part)
        finally:
            if writer is not None:
                writer.close()
        return [Summary(path, fixed=True)] if writer is not None else []

    def _near(self, summaries: list[Summary], context: Context) -> Iterator[dict[str, pa.Array]]:
        rules = self._rules()
        widths = {sum(name.startswith("text_") for name in pq.read_schema(one.path).names) for one in summaries}
        if len(widths) > 1:
            raise StepError(f"against: rows of {self.against} have another number of fields; name them with 'fields'")
        fields = widths.pop()
        files = minhash.Files(context.scratch / "duplicates")
        scores = [one.score for one in rules.criteria if isinstance(one, ByScore)]
        found = near.gather(summaries, rules, scores, "vector" if self.by_meaning else "signature", files)
        if self.by_meaning:
            self._check_encoder(context)
            pair = partial(self._meaning_pairs, found, fields, context)

            def measure(left: npt.NDArray[np.int64], right: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
                return near_semantic.cosines(found, left, right, fields)
        else:
            pair = partial(self._sign_pairs, found, context.memory)

            def measure(left: npt.NDArray[np.int64], right: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
                return minhash.least(found.texts, left, right, self.measure, self._shingle)

        yield from near.settle(found, rules, pair, measure, summaries)

    def _thresholds(self) -> PerLanguage[float]:
        usual = _SIMILARITY[self.method]
        if self.similarity is None:
            return PerLanguage(usual)
        if self.similarity.default is None:
            return PerLanguage(usual, self.similarity.values)
        return self.similarity

    def _least(self) -> Least:
        crossing = self.method == "cross_lingual"
        pairs = near_semantic.parse_pairs(self.pairs) if crossing else {}
        return Least(self._thresholds(), pairs, self.calibration, self.trust)

    def _sign_pairs(self, found: near.Gathered, memory: int, things: near.Distinct) -> minhash.Pairs:
        least = self._least()
        pairs = near_signs.pairs(
            found,
            things,
            least.lowest(found),
            self.measure,
            self._shingle,
            self.bands,
            memory // 4,
            words=self.words == "distinct",
            negation=self.negation == "distinct",
        )
        rows = things.rows
        good = pairs.similarity >= least.each(found, rows[pairs.left], rows[pairs.right])
        return minhash.Pairs(pairs.left[good], pairs.right[good], pairs.similarity[good])

    def _check_encoder(self, context: Context) -> None:
        if self.similarity is None and not self.allow_uncalibrated and not context.model(self.model or "").absolute:
            raise StepError(
                f"duplicates: the cosines of '{self.model}' have no absolute meaning, so there is no usual threshold "
                "for "
                "them; give 'similarity', or write 'allow_uncalibrated: true'"
            )

    def _meaning_pairs(
        self, found: near.Gathered, fields: int, context: Context, things: near.Distinct
    ) -> minhash.Pairs:
        least = self._least()
        threshold = partial(least.each, found)
        if self.method == "cross_lingual":
            least.check(context.model_name(self.model or ""), found, context.warn, strict=self.strict)
            return near_semantic.between(
                found,
                things,
                fields,
                threshold,
                margin=self.margin,
                k=self.neighbours,
                siblings=self.groups == "include",
                numbers=self.numbers == "distinct",
                search=self.search,
                threads=context.threads,
                memory=context.memory,
                mutual=self.mutual,
            )
        pairs = near_semantic.within(
            found, things, fields, threshold, least.lowest(found), self.search, context.threads
        )
        if self.lexical <= 0 or not len(pairs):
            return pairs
        rows = things.rows
        shared = minhash.least(found.texts, rows[pairs.left], rows[pairs.right], "jaccard", self._shingle)
        good = shared >= self.lexical
        return minhash.Pairs(pairs.left[good], pairs.right[good], pairs.similarity[good])


def _unassessed(path: Path) -> pa.Array:
    summary = pq.read_table(path, columns=["high", "assessed"])
    missing = summary["high"].is_valid().to_numpy() & ~summary["assessed"].to_numpy()
    return pa.array(["language" if one else None for one in missing.tolist()], pa.string())
