"""A row is contaminated when an item of a benchmark stands in it: word for word, with changes, in parts, or translated.

What is looked for is the item, that is its question: the same paragraph with another question, or the same sum with
other numbers, is not the item. The items are one table, made once for a dataset (``fit``); rows are compared one by
one.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import orjson
import polars as pl
import pyarrow as pa
from pydantic import Field, PositiveInt, field_validator, model_validator

from curate.catalog.params import (
    Amount,
    Decision,
    EncoderName,
    LanguageTag,
    PerLanguage,
    Reference,
    RowsName,
    Runtime,
)
from curate.catalog.suggestions import nearest
from curate.data_files import DataFile
from curate.rows import Kind, main_fields, unknown_fields
from curate.rows.languages import base
from curate.steps import Context, Encoder, Rows, ScoreStep, StepError
from curate.text.negation import NEGATION
from curate.text.numbers import NUMBER_WORDS
from filters.contamination import items as items_of
from filters.contamination import split_items as halves
from filters.contamination.index import Index, index_of
from filters.contamination.loading import Unreachable
from filters.contamination.match import Match, match
from filters.contamination.normalize import SAME, Signs, make_signs
from filters.contamination.question_type import ASKED
from filters.contamination.registry import expanded, registry
from filters.contamination.semantic import WEIGHTS, Meanings, Meant, passages

Share = Annotated[float, Field(ge=0, le=1)]
Place = str | tuple[str, ...] | dict[LanguageTag, str]
_JOIN = "\n\n"
_MOST_HITS = 8
# What is less likely a translation is not told as a hit.
_MEANT = 0.3
# A paragraph, or the part of it that a row has, is told from a third on.
_A_CONTEXT = 0.3
# With less of an item than this a hit is called a part of it.
_A_PART = 0.6
_MOST_CANDIDATES = 24
_CHATS = frozenset({Kind.SFT, Kind.PREFERENCE, Kind.UNPAIRED, Kind.PROMPT})
_FLOATS = ("score", "run", "context", "similarity", "margin", "translation", "paraphrase")
_STRINGS = ("benchmark", "item", "item_language", "hit", "spans", "others", "unassessed")
_MEANINGS: OrderedDict[str, Meanings] = OrderedDict()


class Contamination(ScoreStep):
    """Drops rows in which an item of a benchmark stands.

    Scores: ``score``, the share (0 to 1) of the item of which most is there, rare words counting more; ``run``, its
    longest verbatim run in words of five Latin letters; ``context``, the share of a benchmark's context; and of the
    likeliest translation or paraphrase ``similarity`` (cosine), ``margin``, and as ``translation`` or, where item and
    row are in one language, ``paraphrase`` how likely it is one (0 to 1). 0 is nothing found, null is not assessed.

    Attributes, where something was found: ``benchmark``, ``item``, ``item_language``; ``hit``, one of ``verbatim`` (the
    item is half of the row or more), ``embedded`` (word for word in a longer row), ``edited``, ``split`` (in several
    places), ``part`` (too little of it to be ``edited``), ``translated``, ``paraphrased`` (by meaning, in its own
    language), ``context``; ``spans``, the places as JSON (``[["prompt", 12, 58]]``: field, first and last code point,
    end not included); ``others``, further hits as JSON (of an item cut in two over two rows, ``row``, the id of the
    other). ``unassessed`` says what was not: ``language`` (the encoder does not support the row's, so that translations
    were not looked for), ``benchmark:<name>`` (with ``missing: skip``).
    """

    tag: ClassVar[str] = "contamination"
    package_data: ClassVar[tuple[DataFile, ...]] = (NEGATION, NUMBER_WORDS, ASKED, WEIGHTS)
    path_fields: ClassVar[frozenset[str]] = frozenset({"files"})
    version: ClassVar[int] = 2
    summary: ClassVar[str] = "Rows that hold items of benchmarks: verbatim, edited, split, embedded, translated."

    against: tuple[RowsName, ...] = Field(min_length=1)
    """Names of the registry (``xquad``, ``mgsm``, …), or sources and datasets of the catalog, whose prompts, texts or
    sides are items then. A name of the registry means the registry."""
    files: Runtime[dict[str, Place]] = Field(default_factory=dict)
    """Local files to take a benchmark from in place of the Hub: a path, a pattern, several, or one for each language.
    They count by content."""
    missing: Literal["error", "skip"] = "error"
    """What happens when a benchmark cannot be had: stop, or go on and call it *not checked*. What was skipped is not
    tried again before the rows or something else about this step change."""
    revisions: dict[str, str] = Field(default_factory=dict)
    """The commit of a benchmark's repository, where it should not be the registry's."""
    languages: tuple[LanguageTag, ...] | None = None
    """Only the items in these languages; unless given, all."""
    fields: tuple[str, ...] | None = None
    """Where items are looked for; unless given, the main fields of the kind."""
    short: Annotated[float, Field(ge=0)] = 4.0
    """Items of fewer words (of five Latin letters; a Chinese character is three letters, a number a word) count only
    where they are a whole text, line or sentence, unchanged."""
    model: EncoderName | None = "use-multilingual"
    """The encoder that finds translations and paraphrases; null: they are not looked for."""
    pivot: tuple[LanguageTag, ...] = ("en",)
    """The language in which items are compared by meaning, the first that an item has; after these any that the encoder
    supports."""
    meaning_in: tuple[str, ...] | None = None
    """The fields in which translations are looked for; unless given, what is asked: the prompt of a conversation, the
    main fields of other kinds."""
    passages: PositiveInt = 6
    """How many parts of a text are compared by meaning: the whole, its lines, the questions among its sentences."""
    max_chars: PositiveInt = 1000
    """A longer text is cut there before it is encoded."""
    numbers: Literal["distinct", "ignore"] = "distinct"
    """``distinct``: an item with other numbers is another item. It is of the scoring, for what is compared depends on
    it."""
    halves: bool = True
    """Whether items are looked for that were cut in two, each half, word for word, a line in a row of its own. What is
    found so depends on the other rows."""
    strict: bool = False
    """Stop where the encoder does not support a row's language, instead of a warning and no assessment."""

    containment: Decision[PerLanguage[Share]] = PerLanguage(0.6)
    """Least share of an item that makes a row contaminated."""
    beside: Decision[PerLanguage[Share]] = PerLanguage(0.85)
    """The same for rows that have a benchmark's context as well (``context_share``): other questions about a paragraph
    share much with the item, and stand beside it with good reason."""
    part: Decision[PerLanguage[Amount]] = PerLanguage(13.0)
    """Least verbatim run, in words of five Latin letters, that makes a row contaminated whatever the share, unless it
    has the context. Null: none does."""
    translation: Decision[PerLanguage[Share]] = PerLanguage(0.5, {"ar": 0.3, "th": 0.35, "tr": 0.35, "zh": 0.35})
    """Least likelihood of a translation, by the row's language: lower where the embedded encoder is weaker. Null: none
    is dropped."""
    paraphrase: Decision[PerLanguage[Share]] = PerLanguage(0.99)
    """Least likelihood of a paraphrase, in the item's own language. Null: none is dropped."""
    context: Decision[Literal["keep", "drop"]] = "keep"
    """Whether rows go that have a benchmark's context but none of its questions."""
    context_share: Decision[Share] = 0.5
    """The share of a context that counts as having it."""
    unassessed: Decision[Literal["keep", "drop"]] = "keep"
    """What happens to rows that were not compared with everything."""

    @field_validator("against", mode="before")
    @classmethod
    def _several(cls, given: Any) -> Any:
        return [given] if isinstance(given, str) else given

    @model_validator(mode="after")
    def _known(self) -> Contamination:
        chosen = expanded(self.against)
        for parameter, names in (("files", self.files), ("revisions", self.revisions)):
            for name in names:
                if name not in registry():
                    raise ValueError(f"{parameter}: no benchmark is called '{name}'{nearest(name, registry())}")
                if name not in chosen:
                    raise ValueError(f"{parameter}: '{name}' is not among 'against'{nearest(name, chosen)}")
        if self.meaning_in is not None and self.model is None:
            raise ValueError("meaning_in: there is no model to compare meanings by")
        return self

    def named(self, kind: Reference) -> dict[str, tuple[str, ...]]:
        """As of :class:`Params`; names of the registry are no rows of the catalog."""
        found = super().named(kind)
        if kind is Reference.ROWS:
            found["against"] = tuple(name for name in self.against if name not in registry())
        return found

    def identity(self, *, decisions: bool = True) -> dict[str, Any]:
        """As of :class:`Params`, with the entries of the registry and the content of local files."""
        given = super().identity(decisions=decisions)
        told = {}
        for name in expanded(self.against):
            if name in registry():
                entry = blake2b(
                    registry()[name].model_dump_json(exclude={"title", "note", "license"}).encode(), digest_size=12
                )
                told[name] = (
                    f"{entry.hexdigest()}:{items_of.state_of(self.files[name])}"
                    if name in self.files
                    else entry.hexdigest()
                )
        return {**given, "benchmarks": told}

    def also_named(self, kind: Reference) -> tuple[str, ...]:
        """What a parameter may name beside the sources and datasets of the catalog, for the hint of an error."""
        return tuple(registry()) if kind is Reference.ROWS else ()

    def check(self, kind: Kind) -> list[str]:
        problems = [*unknown_fields(kind, self.fields), *unknown_fields(kind, self.meaning_in, "meaning_in")]
        for name, place in self.files.items():
            try:
                problems += items_of.problems_of_files(name, registry()[name], place, self.languages)
            except Unreachable as error:
                problems += [f"files: {name}: {error}"] if self.missing == "error" else []
        return problems

    def columns(self, kind: Kind) -> Mapping[str, pa.DataType]:
        return {**dict.fromkeys(_FLOATS, pa.float64()), **dict.fromkeys(_STRINGS, pa.string())}

    # -------------------------------------------------------------------------------------------------------- the items
    @property
    def fits(self) -> bool:
        return True

    def sample(self, rows: Rows, context: Context) -> pa.Table | None:
        # The items come from elsewhere; that they are made by ``fit`` is what makes them once and keeps them.
        if not self.halves:
            return halves.SCHEMA.empty_table()
        names = self.fields or main_fields(rows.kind)
        return halves.lines_of(
            rows.ids,
            [rows.turns(name) for name in names],
            [rows.field_language(name).fill_null("und") for name in names],
        )

    def fit(self, samples: Sequence[pa.Table], context: Context) -> pa.Table:
        missing: list[str] = []
        table = items_of.make_table(self._items(context, missing), missing)
        if not table.num_rows or set(table["part"].unique().to_pylist()) == {"missing"}:
            context.warn(f"contamination: there are no items to compare with ({', '.join(self.against)})")
        if self.model is not None:
            table = items_of.add_vectors(table, self._encoder(context), self.max_chars, self.pivot)
        return halves.add_halves(table, halves.find(table, samples)) if self.halves else table

    def _items(self, context: Context, missing: list[str]) -> Iterator[items_of.Item]:
        for name in expanded(self.against):
            if name not in registry():
                yield from items_of.items_of_rows(name, context.rows(name), self.languages)
                continue
            entry = registry()[name]
            if name in self.revisions:
                entry = entry.model_copy(update={"revision": self.revisions[name]})
            try:
                yield from list(items_of.read_benchmark(name, entry, self.files.get(name), self.languages))
            except Unreachable as error:
                if self.missing == "error":
                    raise StepError(
                        f"contamination: the benchmark '{name}' cannot be had: {error}; give local files (files: "
                        f"{{{name}: path}}), "
                        "or write 'missing: skip' to go on without it"
                    ) from error
                context.warn(f"contamination: the benchmark '{name}' was not checked: {error}")
                missing.append(name)

    # ------------------------------------------------------------------------------------------------------------ score
    def score(self, rows: Rows, context: Context, fitted: pa.Table | None) -> pl.DataFrame:
        if fitted is None:
            raise StepError("contamination: there is no table of items; 'fit' makes it")
        fitted, cut = halves.split(fitted)
        index = index_of(fitted, self.short)
        found = self._lexical(rows, index)
        meant, assessed = self._meant(rows, context, fitted)
        absent = sorted(
            {
                name
                for name, part in zip(index.items["benchmark"], index.items["part"], strict=True)
                if part == "missing"
            }
        )
        told: dict[str, list[Any]] = {name: [None] * len(rows) for name in (*_FLOATS, *_STRINGS)}
        told["score"] = [0.0] * len(rows)
        told["context"] = [0.0] * len(rows)
        tags, ids = rows.language.to_list(), rows.ids.to_list()
        for row in range(len(rows)):
            if assessed is not None and assessed[row]:
                told["similarity"][row] = told["translation"][row] = told["paraphrase"][row] = 0.0
            why = [
                *(["language"] if assessed is not None and not assessed[row] else []),
                *(f"benchmark:{name}" for name in absent),
            ]
            told["unassessed"][row] = " ".join(why) or None
            if row in found or row in meant or ids[row] in cut:
                self._tell(told, row, tags[row], found.get(row, []), meant.get(row), index, cut.get(ids[row], ()))
        return pl.DataFrame(
            {
                name: pl.Series(values, dtype=pl.Float64 if name in _FLOATS else pl.String)
                for name, values in told.items()
            }
        )

    def _lexical(self, rows: Rows, index: Index) -> dict[int, list[tuple[int, Match, list[list[Any]]]]]:
        """For each row the items that stand in it: (item, match, places in fields), best first."""
        names = self.fields or main_fields(rows.kind)
        texts = [rows.text(name).fill_null("") for name in names]
        tags = [rows.field_language(name).fill_null("und") for name in names]
        turns = [rows.turns(name) for name in names]
        joined = texts[0] if len(names) == 1 else pl.select(pl.concat_str(texts, separator=_JOIN)).to_series()
        normal = [SAME.normalize(one, tag) for one, tag in zip(texts, tags, strict=True)]
        whole = normal[0] if len(names) == 1 else pl.select(pl.concat_str(normal, separator=" ")).to_series()
        candidates = index.candidates(whole)
        if index.tiny:
            candidates = candidates.joined(
                [index.tiny_candidates(one, tag) for one, tag in zip(turns, tags, strict=True)]
            )
        parts, distinct = index.items["part"], self.numbers == "distinct"
        found: dict[int, list[tuple[int, Match, list[list[Any]]]]] = {}
        bounds = np.searchsorted(candidates.rows, np.arange(len(rows) + 1))
        for row in np.unique(candidates.rows).tolist():
            at = np.arange(bounds[row], bounds[row + 1])
            # Parts are many where an item is asked in many ways; the best are enough.
            at = at[np.argsort(-candidates.shares[at], kind="stable")][:_MOST_CANDIDATES]
            # Contexts first: what stands in one is its own text, and no question about it.
            pairs = sorted(
                zip(candidates.items[at].tolist(), candidates.shares[at].tolist(), strict=True),
                key=lambda pair: parts[pair[0]],
            )
            one, tag = joined[row], tags[-1][row]
            bare = signs = make_signs(one, tag)
            edges = _edges([turn[row].to_list() for turn in turns])
            hits = []
            for item, share in pairs:
                needle, is_context = index.needle(item), parts[item] == "context"
                hit = match(needle, signs, one, tag, share, distinct=distinct)
                if hit is not None and not is_context and bare is not signs and hit.hit not in ("verbatim", "embedded"):
                    hit = match(needle, bare, one, tag, share, distinct=distinct)
                if hit is None or not _supported(index, item, signs):
                    continue
                if is_context and hit.containment >= _A_CONTEXT:
                    bare = bare.without(hit.spans)
                if hit.hit != "split" and any(start < edge < end for start, end in hit.spans for edge in edges):
                    hit = replace(hit, hit="split")
                hits.append((item, hit, _in_fields(hit.spans, names, [text[row] for text in texts])))
            if hits:
                found[row] = sorted(hits, key=lambda hit: (-hit[1].containment, -hit[1].run, hit[0]))
        return found

    def _meant(self, rows: Rows, context: Context, fitted: pa.Table) -> tuple[dict[int, Meant], list[bool] | None]:
        """For each row the item it is likeliest a translation of; which rows the encoder can judge."""
        if self.model is None:
            return {}, None
        encoder = self._encoder(context)
        names = self.meaning_in or (("prompt",) if rows.kind in _CHATS else main_fields(rows.kind))
        assessed = [True] * len(rows)
        unknown: Counter[str] = Counter()
        parts = []
        for name in names:
            tags = rows.field_language(name).fill_null("und").to_list()
            known = {tag: encoder.supports(tag) for tag in set(tags)}
            for row, (one, tag) in enumerate(zip(rows.text(name).fill_null("").to_list(), tags, strict=True)):
                if known[tag]:
                    parts += passages(row, name, tag, one, self.passages)
                else:
                    assessed[row] = False
                    unknown[tag] += 1
        for tag, count in sorted(unknown.items()):
            message = (
                f"contamination: model '{self.model}' does not support '{tag}': {count} rows not compared by meaning"
            )
            if self.strict:
                raise StepError(f"{message}; take another model, or write 'strict: false' to leave them unassessed")
            context.warn(message)
        cut = [part for part in parts if len(part.text) <= self.max_chars]
        return _meanings(fitted).best(cut, encoder, distinct=self.numbers == "distinct"), assessed

    def _tell(
        self,
        told: dict[str, list[Any]],
        row: int,
        language: str,
        found: list[tuple[int, Match, list[list[Any]]]],
        meant: Meant | None,
        index: Index,
        cut: Sequence[tuple[int, str]],
    ) -> None:
        """Puts what was found in a row into the columns."""
        parts, hits = index.items["part"], []
        places_of = {item: places for item, _, places in found}
        for item, other in cut:
            about = {key: index.items[key][item] for key in ("benchmark", "item", "language")}
            told["score"][row] = 1.0
            hits.append((1.0, {**about, "hit": "split", "score": 1.0, "spans": places_of.get(item, []), "row": other}))
        for item, hit, places in found:
            about = {key: index.items[key][item] for key in ("benchmark", "item", "language")}
            if parts[item] == "context":
                told["context"][row] = max(told["context"][row], round(hit.containment, 4))
                # It comes after every question.
                if hit.containment >= _A_CONTEXT:
                    told_as = {**about, "hit": "context", "score": round(hit.containment, 4), "spans": places}
                    hits.append((0.3 * hit.containment, told_as))
                continue
            words = index.words[item] * hit.run / len(index.needle(item).signs)
            told["score"][row] = max(told["score"][row], round(hit.containment, 4))
            told["run"][row] = max(told["run"][row] or 0.0, round(float(words), 2))
            kind: str = "part" if hit.hit in ("edited", "split") and hit.containment < _A_PART else hit.hit
            hits.append((hit.containment, {**about, "hit": kind, "score": round(hit.containment, 4), "spans": places}))
        if meant is not None:
            about = {key: index.items[key][meant.item] for key in ("benchmark", "item", "language")}
            told["similarity"][row], told["margin"][row] = round(meant.cosine, 4), round(meant.margin, 4)
            kind = "paraphrased" if base(about["language"]) == base(language) else "translated"
            told["paraphrase" if kind == "paraphrased" else "translation"][row] = meant.score
            place = [[meant.passage.field, meant.passage.start, meant.passage.end]]
            if meant.score >= _MEANT:
                hits.append((0.7 * meant.score, {**about, "hit": kind, "score": meant.score, "spans": place}))
        if not hits:
            return
        hits.sort(key=lambda hit: -hit[0])
        strongest = hits[0][1]
        for name, key in (("benchmark", "benchmark"), ("item", "item"), ("item_language", "language"), ("hit", "hit")):
            told[name][row] = strongest[key]
        told["spans"][row] = orjson.dumps(strongest["spans"]).decode()
        others = [hit for number, (_, hit) in enumerate(hits[:_MOST_HITS]) if number or "row" in hit]
        told["others"][row] = orjson.dumps(others).decode() if others else None

    def verdicts(self, kind: Kind) -> Mapping[str, pl.Expr]:
        about = pl.col("context") >= self.context_share
        there = pl.col("score") >= pl.when(about).then(self.beside.expr()).otherwise(self.containment.expr())
        reasons = {name: there & (pl.col("hit") == name) for name in ("verbatim", "embedded", "split")}
        reasons["edited"] = there
        if self.part != PerLanguage[float]():
            reasons["part"] = (pl.col("run") >= self.part.expr()) & ~about
        reasons["translated"] = pl.col("translation") >= self.translation.expr()
        reasons["paraphrased"] = pl.col("paraphrase") >= self.paraphrase.expr()
        if self.context == "drop":
            reasons["context"] = pl.col("context") >= self.context_share
        if self.unassessed == "drop":
            reasons["unassessed"] = pl.col("unassessed").is_not_null()
        return reasons

    def _encoder(self, context: Context) -> Encoder:
        assert self.model is not None
        encoder: Encoder = context.model(self.model)
        return encoder


def _meanings(items: pa.Table) -> Meanings:
    key = items["digest"][0].as_py() + str(items["vector"].null_count) if items.num_rows else ""
    if key not in _MEANINGS:
        while len(_MEANINGS) >= 2:
            _MEANINGS.popitem(last=False)
        _MEANINGS[key] = Meanings(items)
    _MEANINGS.move_to_end(key)
    return _MEANINGS[key]


def _supported(index: Index, item: int, signs: Signs) -> bool:
    """Whether what tells an item from others with the same question is there too: half of its options, or of its
    context."""
    if not index.items["shared"][item]:
        return True
    support = make_signs(index.items["support"][item], index.items["language"][item]).letters
    step = 16
    pieces = [support[at : at + step] for at in range(0, max(1, len(support) - step + 1), step)]
    return 2 * sum(piece in signs.letters for piece in pieces) >= len(pieces)


def _edges(turns: Sequence[Sequence[str]]) -> list[int]:
    """Where turns and fields end in the joined text: what goes over one is told in two parts."""
    found, at = [], 0
    for field in turns:
        for turn in field:
            at += len(turn) + len(_JOIN)
            found.append(at - len(_JOIN))
        at += 0 if field else len(_JOIN)
    return found[:-1]


def _in_fields(spans: Sequence[tuple[int, int]], names: Sequence[str], texts: Sequence[str]) -> list[list[Any]]:
    """Places in the joined text as places in its fields."""
    found, begin = [], 0
    for name, one in zip(names, texts, strict=True):
        for start, end in spans:
            first, last = max(start, begin), min(end, begin + len(one))
            if first < last:
                found.append([name, first - begin, last - begin])
        begin += len(one) + len(_JOIN)
    return found
