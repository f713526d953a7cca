"""Language identification: checks that each text is in the language it is labelled with.

Code, addresses, markup and formulas are masked first. Three outcomes are distinguished: *wrong* (low probability, or
the wrong script), *too little text*, and *a language the identifier does not support*; only the first drops a row by
default. Rows that mix languages on purpose are allowed by naming the mixture, not by lowering the threshold of a
language.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import numpy as np
import polars as pl
import pyarrow as pa
import regex
from pydantic import model_validator

from curate.catalog.params import Count, Decision, IdentifierName, LanguageTag, PerLanguage, Share
from curate.data_files import DataFile
from curate.models.langid import language_data
from curate.models.langid.language_data import DATA
from curate.models.langid.scripts import as_trained, contradicted, romanised
from curate.rows import Kind, languages, main_fields, message_columns, unknown_fields
from curate.rows.fields import ASKED
from curate.steps import Context, LanguageIdentifier, Rows, ScoreStep
from curate.text import segmentation as text
from curate.text.masks import MASKABLE, Maskable, mask

Policy = Literal["keep", "drop"]
Meaning = Literal["ours", "contradicted", "other"]
_LABELS = 8
# The probability from which a label of a text with fewer letters than `min_letters` counts, and the letters it needs.
_CERTAIN, _FEWEST = 0.98, 3.0
# With fewer words in its letters such a text is not found to be in another language.
_FEW_WORDS = 3
_WORDS = regex.compile(r"\p{L}[^\s/]*")
_UNSPACED = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}]")
# Minimum probability left after labels that the script contradicts are removed; with less the rest is noise.
_LEAST_REST = 0.02
# Column of a prompt in another language than the answer → the column of which it is the same.
_PROMPT = {"prompt": "score", "prompt_other": "other", "prompt_script": "script", "prompt_found": "found"}
# Names that an identifier may use for a language that it knows under another written standard.
_STANDARDS = ("nb", "nn", "sr", "hr", "bs", "sh", "fil")


class Language(ScoreStep):
    """Checks the language of each field: probability, script, and optionally the mixture of languages.

    Scores: ``score`` (probability that the worst field is in its language: the sum over those of the identifier's eight
    best labels that mean the expected language), ``other`` (probability of the likeliest other language there),
    ``script`` (lowest share of letters in the expected script), ``letters`` (letters left after masking, weighted in
    Latin letters). Attributes: ``found`` (the worst field's best label), ``abstained`` (``letters``, ``unclear`` or
    ``unsupported``, where there is no score), ``mixture``. In a pair each side is checked against its own language;
    thresholds are looked up by the row's language. In a row with a ``prompt_language`` these are about the answer;
    ``prompt``, ``prompt_other``, ``prompt_script`` and ``prompt_found`` are the same about the prompt, with the
    thresholds of its language.
    """

    tag: ClassVar[str] = "language"
    assesses: ClassVar[str] = "score"
    identifies: ClassVar[bool] = True
    package_data: ClassVar[tuple[DataFile, ...]] = DATA
    version: ClassVar[int] = 6
    summary: ClassVar[str] = "Language and script of each row, with abstention and mixtures."

    model: IdentifierName = "ensemble"
    """The language identifier. ``fasttext`` alone is lighter and less accurate."""
    fields: tuple[str, ...] | None = None
    """The fields to check. Default: the main fields of the kind (prompt and response, source and target, …)."""
    level: Literal["row", "message"] = "row"
    """Whether the messages of a field are judged together or each by itself (the worst counts)."""
    min: Decision[PerLanguage[Share]] = PerLanguage(0.3)
    """Minimum probability (0 to 1) of the expected language. Null: no limit for that language."""
    min_script: Decision[PerLanguage[Share]] = PerLanguage(0.3)
    """Minimum share (0 to 1) of letters in the scripts of the expected language; for Chinese also of simplified or
    traditional characters as the tag says. Null: no limit for that language."""
    min_letters: Count = 20
    """With fewer letters the step abstains unless a language has a probability of 0.98 and, if it is not the expected
    one, the text is in another script or has at least three words; and with fewer than 3 letters always. A Han
    character counts as 3 letters; kana, Hangul and Indic letters count as 2."""
    sure: Decision[PerLanguage[Share]] = PerLanguage(0.5)
    """A row is dropped for its language only if some other language has at least this probability (0 to 1). A list of
    names or nouns belongs to no language, and no label fits it well."""
    abstain: Decision[Policy] = "keep"
    """What to do with rows that cannot be judged: too few letters (numbers, names, code), or only labels that the
    script of the text contradicts."""
    unsupported: Decision[Policy] = "keep"
    """What to do with rows whose language the identifier does not support (the script is still checked)."""
    mask: tuple[Maskable, ...] = MASKABLE
    """What is removed before identification: ``code`` (fenced, or lines that look like program code), ``inline_code``,
    ``url``, ``email``, ``markup``, ``latex``, ``placeholder``."""
    accept: dict[LanguageTag, tuple[LanguageTag, ...]] = {  # noqa: RUF012 (pydantic copies it)
        "zh": ("wuu", "yue"),
        "id": ("ms",),
        "ms": ("id",),
    }
    """Labels that also count as a language: ``{yue: [zh], sw: [rw]}``; a tag also applies to its more specific forms.
    By default Wu and Cantonese count as Chinese, because identifiers label some short Mandarin that way, and Indonesian
    and Malay as each other, because they confuse them; write ``accept: {}`` to tell them apart."""
    mixture: bool = False
    """Also identify sentence by sentence (clause by clause, script by script). Adds the attribute ``mixture``, the
    languages found, largest share first (``hi-Latn+en``), and the score ``expected_share``, the share in the expected
    language. Takes two to five times as long."""
    mixture_share: Share = 0.1
    """Minimum share (0 to 1) of the identified letters that makes a language part of the mixture."""
    mixture_probability: Share = 0.5
    """Minimum probability of a segment's label; below it the segment counts for no language."""
    min_expected_share: Decision[PerLanguage[Share]] = PerLanguage[float]()
    """Minimum share (0 to 1) of a row's identified letters in the expected language (needs ``mixture``)."""
    allow_mixture: Decision[tuple[tuple[LanguageTag, ...], ...]] = ()
    """Intended mixtures, such as ``[[hi-Latn, en]]``: a row whose mixture has two or more languages, all of them in one
    of these sets, is not dropped for its language or script (needs ``mixture``)."""

    @model_validator(mode="after")
    def _need_mixture(self) -> Language:
        if not self.mixture and (self.allow_mixture or self.min_expected_share != PerLanguage[float]()):
            raise ValueError("allow_mixture and min_expected_share need 'mixture: true'")
        return self

    def check(self, kind: Kind) -> list[str]:
        return unknown_fields(kind, self.fields)

    def columns(self, kind: Kind) -> Mapping[str, pa.DataType]:
        columns = {
            "score": pa.float64(),
            "other": pa.float64(),
            "script": pa.float64(),
            "letters": pa.float64(),
            "found": pa.string(),
            "abstained": pa.string(),
        }
        if self._sides(kind)[0] and self._sides(kind)[1]:
            columns |= {name: columns[of] for name, of in _PROMPT.items()}
        return columns | ({"mixture": pa.string(), "expected_share": pa.float64()} if self.mixture else {})

    def score(self, rows: Rows, context: Context, fitted: pa.Table | None) -> pl.DataFrame:
        identifier: LanguageIdentifier = context.model(self.model)
        known = _AcceptedLabels(identifier, self.accept)
        sides = self._sides(rows.kind)
        judged, masked = [], []
        own = pl.Series(rows.table["prompt_language"].is_valid().to_pylist(), dtype=pl.Boolean) if all(sides) else None
        for name in self.fields or main_fields(rows.kind):
            expected = rows.field_language(name)
            turns = rows.turns(name).list.join("\n\n") if self.level == "row" else rows.turns(name)
            frame = pl.DataFrame({"row": pl.int_range(len(rows), eager=True), "text": turns, "expected": expected})
            if self.level == "message":
                frame = frame.explode("text").with_columns(pl.col("text").fill_null(""))
            frame = frame.with_columns(text=as_trained(mask(frame["text"], self.mask)))
            apart = own.gather(frame["row"]) if own is not None and name in sides[0] else pl.lit(False)
            judged.append(self._judge(frame, identifier, known).with_columns(prompt=apart))
            masked.append(frame)
        every = pl.concat(judged)
        merged = _worst(every.filter(~pl.col("prompt")), len(rows))
        if own is not None:
            asked = _worst(every.filter("prompt"), len(rows))
            merged = merged.hstack(asked.select(pl.col(of).alias(name) for name, of in _PROMPT.items()))
        if self.mixture:
            merged = merged.hstack(self._mixtures(pl.concat(masked), len(rows), identifier, known))
        return merged.select(self.columns(rows.kind).keys())

    def _judge(self, frame: pl.DataFrame, identifier: LanguageIdentifier, known: _AcceptedLabels) -> pl.DataFrame:
        """``score``, ``script``, ``letters``, ``found`` and ``abstained`` of each text."""
        counts = text.script_counts(frame["text"])
        frame = frame.hstack(text.letter_weights(frame["text"], frame["expected"], counts))
        systems = text.writing(counts)
        tags = frame["expected"].to_list()
        enough = (frame["letters"] >= self.min_letters).to_numpy()
        few = (frame["letters"] >= min(_FEWEST, self.min_letters)).to_numpy()
        supported = np.asarray([known.supports(tag) for tag in tags], bool)
        # Of a language that CLDR does not know, the usual script is a guess (Latin), and no text may fail for a guess.
        written = np.asarray([languages.known_script(tag) is not None for tag in tags], bool)
        ask = np.flatnonzero(few & supported)
        score, other = np.full(len(tags), np.nan), np.full(len(tags), np.nan)
        labels = np.full(len(tags), None, dtype=object)
        texts = frame["text"].gather(ask).to_list()
        answer = identifier.identify(texts, _LABELS) if texts else None
        for at, row in enumerate(ask.tolist() if answer else ()):
            assert answer is not None
            judged = known.judge(answer.languages[at], answer.probabilities[at], tags[row], systems[row], exact=False)
            if judged is None or not (enough[row] or max(judged[:2]) >= _CERTAIN):
                continue
            if enough[row] or judged[0] >= _CERTAIN or not _may_be_any(texts[at], tags[row], systems[row]):
                score[row], other[row], labels[row] = judged
        assessed = ~np.isnan(score)
        why = np.where(supported, np.where(enough, "unclear", "letters"), "unsupported").astype(object)
        abstained = why
        abstained[assessed] = None
        # Without any letters the reason is "letters", not "unsupported".
        abstained[(frame["letters"] == 0).to_numpy()] = "letters"
        return pl.DataFrame(
            {
                "row": frame["row"],
                "score": pl.Series(score, nan_to_null=True).round(4),
                "script": frame["share"].set(pl.Series(~(enough & written)), None).round(4),
                "other": pl.Series(other, nan_to_null=True).round(4),
                "letters": frame["letters"],
                "found": pl.Series(labels.tolist(), dtype=pl.String),
                "abstained": pl.Series(abstained.tolist(), dtype=pl.String),
            }
        )

    def _mixtures(
        self, frame: pl.DataFrame, count: int, identifier: LanguageIdentifier, known: _AcceptedLabels
    ) -> pl.DataFrame:
        """``mixture`` and ``expected_share`` of each row."""
        pieces = text.segments(frame["text"], self.min_letters).filter(pl.col("letters") >= self.min_letters)
        origin = pieces["row"]
        pieces = pieces.with_columns(row=frame["row"].gather(origin), expected=frame["expected"].gather(origin))
        answer = identifier.identify(pieces["segment"].to_list(), _LABELS) if len(pieces) else None
        label, hit = [], []
        systems = text.writing(text.script_counts(pieces["segment"]))
        for at, (tag, system) in enumerate(zip(pieces["expected"], systems, strict=True)):
            assert answer is not None
            names = [romanised(name, system) for name in answer.languages[at]]
            judged = known.judge(names, answer.probabilities[at], tag, system, exact=True)
            ours, other, best = judged or (0.0, 0.0, languages.UNKNOWN)
            hit.append(ours >= self.mixture_probability)
            # Written standards that the identifier distinguishes are merged under the expected name.
            label.append(tag if hit[-1] else best if other >= self.mixture_probability else None)
        pieces = pieces.with_columns(label=pl.Series(label, dtype=pl.String), hit=pl.Series(hit, dtype=pl.Boolean))
        named = pieces.drop_nulls("label")
        per_row = named.group_by("row").agg(
            expected_share=(pl.col("letters").filter("hit").sum() / pl.col("letters").sum()).round(4)
        )
        shares = (
            named.group_by("row", "label")
            .agg(pl.col("letters").sum())
            .with_columns(share=pl.col("letters") / pl.col("letters").sum().over("row"))
            .filter(pl.col("share") >= self.mixture_share)
            .sort("row", "letters", "label", descending=[False, True, False])
            .group_by("row", maintain_order=True)
            .agg(mixture=pl.col("label").str.join("+"))
        )
        every = pl.DataFrame({"row": pl.int_range(count, eager=True)})
        joined = every.join(shares, on="row", how="left", maintain_order="left").join(
            per_row, on="row", how="left", maintain_order="left"
        )
        return joined.select("mixture", "expected_share")

    def drop_rules(self, kind: Kind) -> Mapping[str, pl.Expr]:
        meant = self._meant()
        asked, answered = self._sides(kind)
        reasons = self._wrong("", "language" if answered else "prompt_language")
        if asked and answered:
            prompt = self._wrong("prompt_", "prompt_language")
            reasons = {name: wrong.fill_null(False) | prompt[name].fill_null(False) for name, wrong in reasons.items()}
        reasons = {name: wrong & ~meant for name, wrong in reasons.items()}
        if self.mixture and self.min_expected_share != PerLanguage[float]():
            reasons["mixture"] = (pl.col("expected_share") < self.min_expected_share.expr()) & ~meant
        if self.abstain == "drop":
            reasons["abstained"] = pl.col("score").is_null() & (pl.col("abstained") != "unsupported")
        if self.unsupported == "drop":
            reasons["unsupported"] = pl.col("score").is_null() & (pl.col("abstained") == "unsupported") & ~meant
        return reasons

    def _sides(self, kind: Kind) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The fields to check, of a conversation's prompt and all others."""
        names = self.fields or main_fields(kind)
        asked = ASKED if message_columns(kind) else ()
        return tuple(name for name in names if name in asked), tuple(name for name in names if name not in asked)

    def _wrong(self, prefix: str, language: str) -> dict[str, pl.Expr]:
        """Reason → whether the scores with this prefix are beyond the thresholds of the language in a column."""
        of = pl.col(language)
        score = pl.col("prompt" if prefix else "score")
        return {
            "script": pl.col(f"{prefix}script") < self.min_script.expr(of),
            "language": (score < self.min.expr(of)) & (pl.col(f"{prefix}other") >= self.sure.expr(of)),
        }

    def _meant(self) -> pl.Expr:
        """Whether the row's mixture is one of those allowed."""
        if not self.allow_mixture:
            return pl.lit(False)
        allowed = self.allow_mixture

        def look_up(mixtures: pl.Series) -> pl.Series:
            known = mixtures.drop_nulls().unique().to_list()
            verdicts = [_is_meant(mixture.split("+"), allowed) for mixture in known]
            return mixtures.replace_strict(known, verdicts, default=False, return_dtype=pl.Boolean)

        return pl.col("mixture").map_batches(look_up, return_dtype=pl.Boolean())


def _is_meant(labels: list[str], allowed: tuple[tuple[str, ...], ...]) -> bool:
    return len(labels) > 1 and any(
        all(any(languages.accepts(tag, label) for tag in mixture) for label in labels) for mixture in allowed
    )


def _may_be_any(one: str, tag: str, system: tuple[str, ...]) -> bool:
    """Whether a short text is one or two words in the script of a language: names and loanwords are in all of them."""
    return len(_WORDS.findall(one)) < _FEW_WORDS and not _UNSPACED.search(one) and not contradicted(tag, system)


def _worst(judged: pl.DataFrame, count: int) -> pl.DataFrame:
    """One line per row: the text with the lowest score, or the reason why there is none."""
    scripts = judged.group_by("row").agg(pl.col("script").min(), pl.col("letters").sum())
    # Unscored texts sort after scored ones; among them, an unsupported language takes precedence over a short text.
    order = judged.with_columns(blame=pl.col("abstained").fill_null("") != "unsupported")
    first = order.sort("row", "score", "blame", nulls_last=True, maintain_order=True).unique(
        "row", keep="first", maintain_order=True
    )
    every = pl.DataFrame({"row": pl.int_range(count, eager=True)})
    first = every.join(
        first.select("row", "score", "other", "found", "abstained"),
        on="row",
        how="left",
        maintain_order="left",
    )
    joined = first.join(scripts, on="row", how="left", maintain_order="left")
    return joined.with_columns(
        pl.col("letters").fill_null(0.0),
        abstained=pl.when(pl.col("score").is_null()).then(pl.col("abstained").fill_null("letters")),
    )


class _AcceptedLabels:
    """Which labels count as which language; results are cached."""

    def __init__(self, identifier: LanguageIdentifier, also: Mapping[str, tuple[str, ...]]) -> None:
        self._identifier = identifier
        self._also = also
        self._accepted: dict[tuple[str, str, bool, bool], bool] = {}
        self._meanings: dict[tuple[str, tuple[str, ...], bool], dict[str, Meaning]] = {}
        self._supported: dict[str, bool] = {}

    def judge(
        self, labels: list[str], probabilities: list[float], expected: str, system: tuple[str, ...], *, exact: bool
    ) -> tuple[float, float, str] | None:
        """The probability of the expected language, that of the likeliest other language, and the best label.

        None if the script contradicts all labels.
        """
        ours, left_out, best = 0.0, 0.0, ""
        others: list[tuple[str, float]] = []
        meanings = self._meanings.setdefault((expected, system, exact), {})
        for label, probability in zip(labels, probabilities, strict=True):
            meaning = meanings.get(label)
            if meaning is None:
                meaning = meanings[label] = self._meaning(label, expected, system, exact)
            if meaning == "ours":
                ours += probability
            elif meaning == "contradicted":
                left_out += probability
                continue
            else:
                others.append((label, probability))
            best = best or label
        rest = 1.0 - left_out
        if not best or rest < _LEAST_REST:
            return None
        # Several labels of one language (Serbian has four) are one other language: their probabilities are summed.
        if len(others) < 2:
            other = others[0][1] if others else 0.0
        else:
            first = others[0][0]
            other = sum(value for label, value in others if self.accepts(first, label, exact, also=False))
        return min(1.0, ours / rest), min(1.0, other / rest), best

    def _meaning(self, label: str, expected: str, system: tuple[str, ...], exact: bool) -> Meaning:
        if self.accepts(expected, label, exact):
            return "ours"
        return "contradicted" if contradicted(label, system) else "other"

    def accepts(self, expected: str, label: str, exact: bool, *, also: bool = True) -> bool:
        """Whether the label means the expected language: with its script (``exact``), or whatever the script.

        The script of a whole text is checked by counting letters, so the script of a label, which may be the
        identifier's guess, is ignored there: Chinese full of English names is not labelled romanised Chinese. The label
        of a group of close languages, which the model ``ensemble`` gives where it cannot distinguish them, means each
        of them. What the catalog accepts in addition (``also``) is about expected languages, not about others.
        """
        key = (expected, label, exact, also)
        if key not in self._accepted:
            tags = (expected, *(self._also_accepted(expected) if also else ()))
            self._accepted[key] = any(
                languages.accepts(tag, label)
                or (not exact and languages.base(tag) == languages.base(label))
                or language_data.means(label, tag)
                for tag in tags
            )
        return self._accepted[key]

    def _also_accepted(self, expected: str) -> tuple[str, ...]:
        tag = expected
        while tag not in self._also and "-" in tag:
            tag = tag.rpartition("-")[0]
        return self._also.get(tag, ())

    def supports(self, expected: str) -> bool:
        """Whether the identifier can name the language, by this or by another accepted name.

        Romanised text needs a label of its own: support for the language is not enough.
        """
        if expected not in self._supported:
            base = languages.base(expected)
            standards = [name for name in (*_STANDARDS, base) if languages.accepts(expected, name)]
            names = [expected, *self._also_accepted(expected), *standards]
            self._supported[expected] = expected != languages.UNKNOWN and any(map(self._identifier.supports, names))
        return self._supported[expected]
