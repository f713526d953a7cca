"""``detect_language``: labels rows with the language that an identifier finds, for data that nobody labelled.

:mod:`filters.language` checks labels that are there already; here the label is the result.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import polars as pl
import pyarrow as pa

from curate.catalog.params import Count, IdentifierName, LanguageTag, PerLanguage, Share
from curate.data_files import DataFile
from curate.generation.common.conversations import CHATS
from curate.generation.common.derived_rows import derive_rows, failed, in_order, unchanged_rows, with_findings
from curate.models.langid.language_data import DATA
from curate.models.langid.scripts import as_trained, contradicted, in_own_script, romanised
from curate.rows import Kind, answer_field, languages, required_columns, unknown_fields
from curate.steps import Context, FailedRow, LanguageIdentifier, RowBatch, Rows, RowStep
from curate.text import segmentation
from curate.text.masks import MASKABLE, Maskable, mask

_LABELS = 8
_HANT = 0.02
"""By how much the share of letters that traditional Chinese allows must exceed that of simplified Chinese."""


@dataclass(frozen=True, slots=True)
class Detected:
    """The language found in a text; ``und`` if it is unclear."""

    language: str
    probability: float
    why: str = ""
    """Why it is unclear: ``letters`` (too few), ``probability`` (too low), ``script`` (it contradicts all labels)."""


class DetectLanguage(RowStep):
    """Labels rows with the language of their answer (of the target side, of the text); both sides of a pair.

    A conversation whose prompt is clearly in another language than its answer gets that as ``prompt_language``. A row
    whose labels change is a new row with the old one as its parent and with the attribute ``from``, the label before.
    Rows have the score ``detect_language``, the probability (0 to 1) of the language, or the attribute ``unclear``, why
    they have none; with ``by: message`` also ``languages``, the languages of the messages and their numbers. Code,
    addresses and markup are left out.
    """

    tag: ClassVar[str] = "detect_language"
    version: ClassVar[int] = 5
    identifies: ClassVar[bool] = True
    package_data: ClassVar[tuple[DataFile, ...]] = DATA
    summary: ClassVar[str] = "rows labelled with the language that an identifier finds"

    model: IdentifierName = "ensemble"
    """The language identifier. ``fasttext`` alone is lighter and less accurate."""
    fields: tuple[str, ...] | None = None
    """The fields whose language is the row's. Default: the answer (the text of a document); for pairs each side is
    labelled from its own text."""
    by: Literal["row", "message"] = "row"
    """``row``: the messages of the fields together. ``message``: each by itself; the row gets the language with most
    letters."""
    min: PerLanguage[Share] = PerLanguage(0.5)
    """Minimum probability (0 to 1) of a language; with less it is unclear."""
    min_letters: Count = 20
    """With fewer letters the language is unclear. A Han character counts as 3 letters; kana, Hangul and Indic letters
    count as 2."""
    only: tuple[LanguageTag, ...] = ()
    """Label only rows with these labels, such as ``[und]``. Default: all."""
    unclear: Literal["und", "keep", "quarantine"] = "und"
    """What to do with rows whose language is unclear: label them ``und``, keep their label, or quarantine them."""
    mask: tuple[Maskable, ...] = MASKABLE
    """What is left out of the texts; as for ``language``."""

    def languages_after(self, kind: Kind, languages: frozenset[str] | None) -> frozenset[str] | None:
        return None

    def check(self, kind: Kind) -> list[str]:
        problems = unknown_fields(kind, self.fields)
        if kind is Kind.PARALLEL and self.fields is not None:
            problems.append("fields: both sides of a pair are labelled, each from its own text")
        return problems

    def make(self, rows: Rows, context: Context) -> Iterator[pa.Table | RowBatch]:
        if not len(rows):
            return
        identifier: LanguageIdentifier = context.model(self.model)
        answer, counted = self._answers(rows, identifier)
        labels, bad = self._labels(rows, answer)
        sides: dict[str, list[Any]] = {}
        if rows.kind is Kind.PARALLEL:
            sides["source_language"] = self._source_side(rows, identifier)
        elif rows.kind in CHATS - {Kind.PROMPT}:
            sides["prompt_language"] = self._prompts(rows, labels, identifier)
        olds = {"language": rows.language.to_list()} | {name: rows.table[name].to_pylist() for name in sides}
        news = {"language": labels, **sides}
        changed = [
            place
            for place in range(len(rows))
            if place not in bad and any(news[name][place] != olds[name][place] for name in olds)
        ]
        told = self._told(rows, answer, counted)
        new = self._derived(rows, changed, labels, sides, answer, told)
        scores = [self._score(old, one) for old, one in zip(olds["language"], answer, strict=True)]
        before = with_findings(unchanged_rows(rows), self.tag, attributes=told, scores=scores)
        stay = {*range(len(rows))}.difference(changed, bad)
        yield RowBatch(in_order(before, stay, new, changed), tuple(bad.values()))

    # -------------------------------------------------------------------------------------------------------- labels
    def _answers(self, rows: Rows, identifier: LanguageIdentifier) -> tuple[list[Detected], list[str]]:
        """The language of each row, and with ``by: message`` those of its messages."""
        names = self.fields or (answer_field(rows.kind),)
        turns = pl.select(pl.concat_list([rows.turns(name) for name in names])).to_series()
        if self.by == "row":
            return self.detect(turns.list.join("\n\n"), identifier), [""] * len(rows)
        frame = pl.DataFrame({"row": pl.int_range(len(rows), eager=True), "text": turns}).explode("text").drop_nulls()
        found = self.detect(frame["text"], identifier)
        weights = segmentation.letter_weights(mask(frame["text"], self.mask))["letters"].to_list()
        per_row: list[dict[str, float]] = [{} for _ in range(len(rows))]
        counts: list[Counter[str]] = [Counter() for _ in range(len(rows))]
        best: list[dict[str, Detected]] = [{} for _ in range(len(rows))]
        for row, one, weight in zip(frame["row"].to_list(), found, weights, strict=True):
            counts[row][one.language] += 1
            if one.language != languages.UNKNOWN:
                per_row[row][one.language] = per_row[row].get(one.language, 0.0) + weight
                if one.language not in best[row] or best[row][one.language].probability < one.probability:
                    best[row][one.language] = one
            else:
                best[row].setdefault(languages.UNKNOWN, one)
        nothing = Detected(languages.UNKNOWN, 0.0, "letters")
        winners = [
            best[row][max(sorted(per_row[row]), key=per_row[row].__getitem__)]
            if per_row[row]
            else best[row].get(languages.UNKNOWN, nothing)
            for row in range(len(rows))
        ]
        listed = [" ".join(f"{tag}:{number}" for tag, number in sorted(one.items())) for one in counts]
        return winners, listed

    def detect(self, texts: pl.Series, identifier: LanguageIdentifier) -> list[Detected]:
        """The language of each text."""
        plain = as_trained(mask(texts.fill_null(""), self.mask))
        counts = segmentation.script_counts(plain)
        systems = segmentation.writing(counts)
        letters = segmentation.letter_weights(plain, counts=counts)["letters"]
        found = [Detected(languages.UNKNOWN, 0.0, "letters")] * len(texts)
        ask = np.flatnonzero((letters >= max(1, self.min_letters)).to_numpy())
        answer = identifier.identify(plain.gather(ask).to_list(), _LABELS) if len(ask) else None
        for at, place in enumerate(ask.tolist()):
            assert answer is not None
            found[place] = self._label(answer.languages[at], answer.probabilities[at], systems[place])
        chinese = [place for place, one in enumerate(found) if languages.base(one.language) == "zh"]
        for place, traditional in zip(chinese, _traditional(plain.gather(chinese)), strict=True):
            found[place] = Detected("zh-Hant" if traditional else "zh", found[place].probability)
        return found

    def _label(self, labels: list[str], probabilities: list[float], system: tuple[str, ...]) -> Detected:
        """The best label that the script does not contradict, as a share of the labels that it does not."""
        left_out, sums = 0.0, dict[str, float]()
        for label, probability in zip(labels, probabilities, strict=True):
            if contradicted(label, system):
                left_out += probability
            else:
                tag = romanised(in_own_script(label, system), system)
                sums[tag] = sums.get(tag, 0.0) + probability
        if not labels:
            return Detected(languages.UNKNOWN, 0.0, "probability")
        if not sums or left_out >= 1.0:
            return Detected(languages.UNKNOWN, 0.0, "script")
        best = max(sums, key=sums.__getitem__)
        probability = min(1.0, sums[best] / (1.0 - left_out))
        least = self.min[best]
        if best == languages.UNKNOWN or (least is not None and probability < least):
            return Detected(languages.UNKNOWN, probability, "probability")
        return Detected(best, probability)

    def _labels(self, rows: Rows, found: list[Detected]) -> tuple[list[str], dict[int, FailedRow]]:
        """The new label of each row, and the rows that are quarantined, by place."""
        labels, bad = list[str](), dict[int, FailedRow]()
        for place, (old, one) in enumerate(zip(rows.language.to_list(), found, strict=True)):
            if not self._looks_at(old):
                labels.append(old)
                continue
            if one.language == languages.UNKNOWN and self.unclear == "quarantine":
                bad[place] = failed(rows, place, f"its language is unclear ({one.why})")
            labels.append(old if one.language == languages.UNKNOWN and self.unclear == "keep" else one.language)
        return labels, bad

    def _source_side(self, rows: Rows, identifier: LanguageIdentifier) -> list[str]:
        olds = rows.table["source_language"].to_pylist()
        found = self.detect(rows.text("source"), identifier)
        return [
            old
            if not self._looks_at(old) or (one.language == languages.UNKNOWN and self.unclear != "und")
            else one.language
            for old, one in zip(olds, found, strict=True)
        ]

    def _looks_at(self, label: str) -> bool:
        return not self.only or label in self.only

    def _prompts(self, rows: Rows, labels: list[str], identifier: LanguageIdentifier) -> list[str | None]:
        """The language of each prompt, where it is another than that of the answer; as it was where it is unclear."""
        found = self.detect(rows.text("prompt"), identifier)
        olds = zip(rows.language.to_list(), rows.table["prompt_language"].to_pylist(), strict=True)
        return [
            asked
            if not self._looks_at(old)
            else (None if asked == label else asked)
            if one.language == languages.UNKNOWN
            else None
            if languages.accepts(label, one.language)
            else one.language
            for one, label, (old, asked) in zip(found, labels, olds, strict=True)
        ]

    def _told(self, rows: Rows, answer: list[Detected], counted: list[str]) -> list[dict[str, str]]:
        """The attributes of each row, whether its labels change or not."""
        return [
            {name: text for name, text in (("languages", listed), ("unclear", one.why)) if text}
            if self._looks_at(old)
            else {}
            for old, one, listed in zip(rows.language.to_list(), answer, counted, strict=True)
        ]

    def _score(self, old: str, found: Detected) -> dict[str, float]:
        """The score of a row that keeps its label: none if the step does not look at it, or its language is unclear."""
        clear = self._looks_at(old) and found.language != languages.UNKNOWN
        return {"score": round(found.probability, 4)} if clear else {}

    def _derived(
        self,
        rows: Rows,
        changed: list[int],
        labels: list[str],
        sides: Mapping[str, list[Any]],
        answer: list[Detected],
        told: list[dict[str, str]],
    ) -> pa.Table:
        olds = rows.language.to_list()
        attributes = [
            {**({"from": olds[place]} if olds[place] != labels[place] else {}), **told[place]} for place in changed
        ]
        index = pa.array(changed, pa.int64())
        values: dict[str, Any] = {
            name: [sides[name][place] for place in changed]
            if name in sides
            else rows.table[name].combine_chunks().take(index)
            for name in (*required_columns(rows.kind), *(name for name in sides if name == "prompt_language"))
        }
        return derive_rows(
            rows.kind,
            rows,
            changed,
            values,
            [labels[place] for place in changed],
            step=self.tag,
            scores=[{"score": round(answer[place].probability, 4)} for place in changed],
            attributes=attributes,
        )


def _traditional(texts: pl.Series) -> list[bool]:
    """Whether each Chinese text is in traditional characters."""
    if not len(texts):
        return []
    shares = [
        segmentation.letter_weights(texts, pl.Series([tag] * len(texts)))["share"].fill_null(0.0)
        for tag in ("zh-Hant", "zh")
    ]
    return ((shares[0] - shares[1]) > _HANT).to_list()
