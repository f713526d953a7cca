"""Parameters of ``duplicates``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, PositiveInt, model_validator

from curate.catalog.params import Decision, EncoderName, PerLanguage, RowsName
from curate.steps import GlobalStep
from filters.calibration.file import CalibrationFile
from filters.duplicates import semantic
from filters.duplicates.clusters import ByScore, BySource, Criterion, Linkage
from filters.duplicates.shingles import SIZES, check_sizes

Method = Literal["exact", "minhash", "semantic", "cross_lingual"]
Share = Annotated[float, Field(gt=0, le=1)]
SIMILARITY: Mapping[str, float] = {"minhash": 0.8, "semantic": 0.92, "cross_lingual": 0.65}


class DuplicatesParams(GlobalStep):
    """Parameters of ``duplicates``."""

    path_fields: ClassVar[frozenset[str]] = frozenset({"calibration"})

    method: Method = "exact"
    """``exact``: equal after the normalisations below. ``minhash``: similar character sequences (case, punctuation and
    typing errors forgiven). ``semantic``: similar meaning within a language. ``cross_lingual``: translations of each
    other."""
    fields: tuple[str, ...] | None = None
    """The fields that must all be alike. Default: the main fields of the kind. ``[prompt]`` keeps one answer to each
    prompt."""
    across: Decision[Literal["language", "all"]] = "language"
    """Whether rows in different languages may be duplicates (``all``) or not (``language``). ``cross_lingual`` always
    compares across languages."""
    scope: Decision[Literal["all", "source", "group"]] = "all"
    """Where duplicates are searched: among all rows, within each source, or within each item (``group_id``: several
    answers or translations of one thing)."""

    # ---------------------------------------------------------------------------------------------- what does not count
    unicode: Literal["nfkc", "nfc", "none"] = "nfkc"
    """``nfkc`` makes full-width and half-width forms, ligatures and presentation forms equal (also x² and x2); ``nfc``
    only different encodings of the same character."""
    case: Literal["fold", "keep"] = "fold"
    """``fold`` ignores case (full Unicode folding, ß = ss; in Turkish, Azerbaijani, Gagauz and Crimean Tatar I = ı and
    İ = i)."""
    whitespace: Literal["collapse", "remove", "keep"] | None = None
    """``collapse``: each run of whitespace becomes one space; leading and trailing whitespace and invisible characters
    (zero-width space, direction marks, soft hyphen) are removed. ``remove``: all whitespace is ignored: 你好 世界 and
    你好世界 are equal. Default: ``collapse``. Methods other than ``exact`` always ignore whitespace."""
    punctuation: Literal["keep", "ignore"] | None = None
    """``ignore`` removes characters of category P, except ``# @ % & * / \\`` and one that precedes a digit (3.5, -4,
    10:30). Symbols (+ = < $ € emoji …) are always compared, so C++, C# and C stay three. A text of punctuation only is
    compared unchanged. Default: ``keep`` for ``exact``, else ``ignore``."""
    digits: Literal["keep", "fold"] | None = None
    """``fold`` makes the digits of all scripts equal (٣ = ३ = 3). Default: ``keep`` for ``exact``, else ``fold``."""
    diacritics: Literal["keep", "ignore"] | None = None
    """``ignore`` removes Arabic tashkeel and tatweel and Hebrew points; marks of other scripts are always compared.
    Default: ``keep`` for ``exact``, else ``ignore``."""
    quotes: Literal["keep", "fold"] | None = None
    """``fold`` makes quotation marks, apostrophes and dashes of all shapes equal. Default: ``keep`` for ``exact``, else
    ``fold``."""
    joiners: Literal["keep", "ignore"] | None = None
    """``ignore`` removes zero-width joiners, non-joiners and variation selectors: they are spelling in Persian and
    Indic scripts, noise elsewhere. Default: ``keep`` for ``exact``, else ``ignore``."""
    html: Literal["keep", "strip"] | None = None
    """``strip`` decodes entities and removes tags that come in pairs or are line breaks; a single ``<b>`` is text and
    stays. Default: ``keep`` for ``exact``, else ``strip``."""

    # ------------------------------------------------------------------------------------------------------ near copies
    similarity: Decision[PerLanguage[Share] | None] = None
    """Minimum similarity (0 to 1) in every field: edits or Jaccard for ``minhash`` (default 0.8), cosine for
    ``semantic`` (0.92) and ``cross_lingual`` (0.65). For a pair of languages the higher threshold applies."""
    measure: Decision[Literal["jaccard", "edits"]] = "edits"
    """For ``minhash``. ``edits``: the share of characters that need no change; it forgives typing errors, an added
    heading and a missing end. ``jaccard``: the share of shingles that two texts have in common; it forgives moved
    passages, costs half as much, and misses texts with an error in every tenth word."""
    shingle: dict[str, PositiveInt] | PositiveInt | None = None
    """Characters (graphemes) in a shingle: one number, or one for each Unicode script (``{default: 5, Han: 3}``).
    Default: 5 for alphabets, 3 for Han, kana, Hangul and syllabaries, 4 for Thai, Lao, Khmer, Burmese, Tibetan and the
    Indic scripts."""
    num_perm: Annotated[int, Field(ge=16, le=1024)] = 128
    """Permutations in a MinHash signature; 128 take 256 bytes a row."""
    bands: Decision[tuple[PositiveInt, PositiveInt] | None] = None
    """Number of bands, and permutations in each band. Default: chosen so that 94 % of the pairs at the threshold are
    compared (above it nearly all): 16 × 8 for 0.8."""
    numbers: Decision[Literal["distinct", "ignore"]] = "distinct"
    """``distinct``: rows with different numbers, operators or currencies are never duplicates. For ``minhash`` a number
    counts where another stands in its place, or where it is all that is added, not in an added or missing stretch of
    words. ``cross_lingual``: where both have digits that differ, or one lacks a number of the other. ``exact`` does not
    need it."""
    negation: Decision[Literal["distinct", "ignore"]] = "distinct"
    """``distinct``: rows that differ in a negating word are never duplicates, in the languages that have a list of such
    words; for ``minhash`` not if it is in an added or missing stretch of words. Not used by ``exact``."""
    words: Decision[Literal["distinct", "ignore"]] = "distinct"
    """For ``cross_lingual``. ``distinct``: rows of which one lacks a sentence or a name of the other are never
    duplicates. For ``minhash``: rows of at most 400 words together whose differences are other words (dog and cat)
    rather than typing errors are never duplicates, nor those that differ in one stretch of three words or more, as two
    requests in one prompt do. In scripts without spaces two or more other characters are another
    word, or one Chinese character."""
    linkage: Decision[Linkage] = "star"
    """``star``: a row is dropped only if it is similar to the kept row itself. ``connected``: all transitively linked
    rows are one cluster, so the first and last row of a chain may have little in common."""

    # ---------------------------------------------------------------------------------------------------------- meaning
    model: EncoderName | Annotated[tuple[EncoderName, ...], Field(min_length=1)] | None = None
    """The encoder for ``semantic`` and ``cross_lingual``. Default: ``use-multilingual``. For ``cross_lingual`` also
    several in order of preference, such as ``[use-multilingual, e5-multilingual]``: for each language pair the first
    that knows both languages, with cosines on one scale. Each encodes all rows in languages that it knows."""
    max_chars: PositiveInt = 2000
    """Longer texts are cut to this length before encoding."""
    margin: Decision[Annotated[float, Field(ge=0)]] = 1.3
    """For ``cross_lingual``: minimum ratio of a pair's cosine to the mean cosine of both to their nearest neighbours in
    the other language. 0 turns it off."""
    mutual: Decision[bool] = True
    """For ``cross_lingual``: whether both rows must be each other's nearest neighbour (within a cosine of 0.02) among
    their candidates. Of many translations of one text only the nearest are dropped then."""
    neighbours: Decision[PositiveInt] = 4
    """How many nearest neighbours enter the margin, and how many candidates each row is compared with across
    languages."""
    pairs: Decision[dict[str, Share]] = Field(default_factory=dict)
    """For ``cross_lingual``: minimum cosine of a language pair, such as ``{en/zh: 0.55}``; overrides ``similarity``."""
    calibration: Decision[CalibrationFile | None] = None
    """For ``cross_lingual``: a file that ``curate calibrate`` wrote for this model. Its cosine for a language pair
    overrides ``similarity``; pairs that it does not trust have no duplicates, and a warning says so."""
    trust: Decision[Literal["weak", "trusted"]] = "weak"
    """The minimum trust that the calibration must give a language pair for its rows to be compared."""
    groups: Decision[Literal["exclude", "include"]] = "exclude"
    """For ``cross_lingual``: whether rows of one item (``group_id``), which are meant to be translations of each other,
    are duplicates too (``include``)."""
    lexical: Decision[Annotated[float, Field(ge=0, le=1)]] = 0.0
    """For ``semantic``: minimum share of shingles (Jaccard) that two rows must also have in common."""
    search: Decision[semantic.Search] = "auto"
    """``exact`` compares all pairs, ``approximate`` searches a graph (``pip install 'polycurate[mine]'``); ``auto``
    uses the graph above 150,000 texts of one language."""
    strict: bool = False
    """Stop if the encoder does not support a language, instead of warning and leaving its rows not assessed."""
    allow_uncalibrated: Decision[bool] = False
    """Allow an encoder whose cosines have no absolute meaning (the e5 family)."""

    # ------------------------------------------------------------------------------------------------ which row is kept
    keep: Decision[Criterion | tuple[Criterion, ...]] = "first"
    """Which row of a cluster is kept: ``first`` in order, ``longest``, ``shortest``, ``{score: name, order:
    greatest}``, ``{sources: [most trusted, …]}``, ``best`` (the greatest score ``by``), or a list of these, where each
    breaks the ties of those before it. The last tie-breaker is the order. Scores are those of earlier steps and those
    that rows bring along."""
    by: Decision[str | None] = None
    """The score for ``keep: best``. A row without it ranks last."""
    source_order: Decision[tuple[str, ...]] = ()
    """Sources whose rows are kept before others', the most trusted first; sources not listed rank last. Takes
    precedence over ``keep``."""
    against: Decision[RowsName | None] = None
    """A source or dataset to compare with, as if its rows came first: rows that duplicate one of them are dropped; the
    rows of ``against`` are not added."""
    action: Decision[Literal["drop", "mark"]] = "drop"
    """``mark`` keeps all rows and only writes the cluster attributes, for a later step or for inspection."""

    @model_validator(mode="before")
    @classmethod
    def _encoder(cls, values: Any) -> Any:
        if (
            isinstance(values, dict)
            and values.get("method") in ("semantic", "cross_lingual")
            and values.get("model") is None
        ):
            return {**values, "model": "use-multilingual"}
        return values

    @model_validator(mode="after")
    def _fits_together(self) -> DuplicatesParams:
        listed = self.keep if isinstance(self.keep, tuple) else (self.keep,)
        if "best" in listed and self.by is None:
            raise ValueError("keep: best needs 'by', the name of a score")
        if self.method == "exact" and self.similarity is not None:
            raise ValueError(
                "similarity: does not apply to 'method: exact'; write 'method: minhash' (or semantic, cross_lingual)"
            )
        if self.bands is not None and self.bands[0] * self.bands[1] > self.num_perm:
            raise ValueError(
                f"bands: {self.bands[0]} × {self.bands[1]} is more than the {self.num_perm} numbers of num_perm"
            )
        if self.calibration is not None and self.method != "cross_lingual":
            raise ValueError("calibration: it holds language pairs; write 'method: cross_lingual', or remove it")
        if isinstance(self.model, tuple) and (self.method != "cross_lingual" or self.calibration is not None):
            what = "calibration" if self.calibration is not None else f"method: {self.method}"
            raise ValueError(f"{what}: it is for one encoder; write one as 'model'")
        if wrong := check_sizes(self.shingle_sizes):
            raise ValueError(wrong[0])
        semantic.parse_pairs(self.pairs)
        return self

    def thresholds(self) -> PerLanguage[float]:
        usual = SIMILARITY[self.method]
        if self.similarity is None:
            return PerLanguage(usual)
        if self.similarity.default is None:
            return PerLanguage(usual, self.similarity.values)
        return self.similarity

    def criteria(self) -> tuple[Criterion, ...]:
        listed = self.keep if isinstance(self.keep, tuple) else (self.keep,)
        trusted: tuple[Criterion, ...] = (BySource(sources=self.source_order),) if self.source_order else ()
        return (*trusted, *(ByScore(score=self.by or "") if one == "best" else one for one in listed))

    @property
    def by_meaning(self) -> bool:
        """Whether an encoder decides."""
        return self.method in ("semantic", "cross_lingual")

    @property
    def shingle_sizes(self) -> dict[str, int]:
        if self.shingle is None:
            return {}
        if isinstance(self.shingle, int):
            return dict.fromkeys(("default", *SIZES), self.shingle)
        return self.shingle
