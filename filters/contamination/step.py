"""Decontamination: finds benchmark items in training rows, verbatim, edited, split, embedded or translated.

An item is a question: the same paragraph with another question, or the same sum with other numbers, is not the item.
The items are made into one table for the dataset (``fit``); rows are then compared one by one.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
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
from curate.steps import Context, Encoder, Rows, ScoreStep, StepError
from curate.text.negation import NEGATION
from curate.text.numbers import NUMBER_WORDS
from filters.contamination import items as items_of
from filters.contamination import split_items as halves
from filters.contamination.code_index import CodeMatch, code_index_of
from filters.contamination.hits import A_CONTEXT, add_hits
from filters.contamination.index import Index, index_of
from filters.contamination.joined import JOIN, edges_of, in_fields
from filters.contamination.loading import Unreachable
from filters.contamination.match import Match, match
from filters.contamination.normalize import SAME, Characters, characters_of, learn, plain
from filters.contamination.question_type import ASKED
from filters.contamination.registry import canonical, expanded, registry
from filters.contamination.semantic import WEIGHTS, MeaningIndex, MeaningMatch, passages

Share = Annotated[float, Field(ge=0, le=1)]
Place = str | tuple[str, ...] | dict[LanguageTag, str]
_MOST_CANDIDATES = 24
_CHATS = frozenset({Kind.SFT, Kind.PREFERENCE, Kind.UNPAIRED, Kind.PROMPT})
_FLOATS = ("score", "run", "context", "similarity", "margin", "translation", "paraphrase", "code")
_STRINGS = ("benchmark", "item", "item_language", "hit", "spans", "others", "unassessed")
_MEANINGS: OrderedDict[str, MeaningIndex] = OrderedDict()


class Contamination(ScoreStep):
    """Drops rows that contain an item of a benchmark.

    Scores: ``score``, the share (0 to 1) of the best-matching item that is in the row, rare words weighing more;
    ``run``, its longest verbatim run in words of five Latin letters; ``context``, the share of a benchmark's context;
    and for the likeliest translation or paraphrase ``similarity`` (cosine), ``margin``, and the probability (0 to 1)
    that it is one, as ``translation`` or, where item and row are in the same language, ``paraphrase``; ``code``, the
    probability that code of the row is an item's program with other names, in other words or another programming
    language. 0 means nothing found, null means not assessed.

    Attributes, where something was found: ``benchmark``, ``item``, ``item_language``; ``hit``, one of ``verbatim`` (the
    item is at least half of the row), ``embedded`` (verbatim in a longer row), ``edited``, ``split`` (in several
    places), ``part`` (too little of it to be ``edited``), ``translated``, ``paraphrased`` (by meaning, in its own
    language), ``code`` (a program in other words), ``context``; ``spans``, the places as JSON (``[["prompt", 12,
    58]]``: field, first and last code point, end exclusive); ``others``, further hits as JSON (for an item cut in two
    over two rows, ``row`` is the id of the other row). ``unassessed`` names what was not checked: ``language`` (the
    encoder does not support the row's language, so translations were not searched), ``benchmark:<name>`` (with
    ``missing: skip``).
    """

    tag: ClassVar[str] = "contamination"
    package_data: ClassVar[tuple[DataFile, ...]] = (NEGATION, NUMBER_WORDS, ASKED, WEIGHTS)
    path_fields: ClassVar[frozenset[str]] = frozenset({"files"})
    version: ClassVar[int] = 5
    summary: ClassVar[str] = "Benchmark items in training rows: verbatim, edited, split, embedded, translated."

    against: tuple[RowsName, ...] = Field(min_length=1)
    """Benchmarks of the registry (``xquad``, ``mgsm``, …), or sources and datasets of the catalog, whose prompts, texts
    or sides become items. A name that is in both means the registry's. Benchmarks may be spelled as papers do."""
    files: Runtime[dict[str, Place]] = Field(default_factory=dict)
    """Local files to read a benchmark from instead of the Hub: a path, a pattern, several, or one for each language.
    Their content, not their path, is part of the cache key."""
    missing: Literal["error", "skip"] = "error"
    """What to do when a benchmark cannot be read: stop, or continue and report it as *not checked*. A skipped benchmark
    is not tried again until the rows or the parameters of this step change."""
    revisions: dict[str, str] = Field(default_factory=dict)
    """The commit of a benchmark's repository, to override the registry's."""
    languages: tuple[LanguageTag, ...] | None = None
    """Only the items in these languages. Default: all."""
    fields: tuple[str, ...] | None = None
    """The fields searched for items. Default: the main fields of the kind."""
    short: Annotated[float, Field(ge=0)] = 4.0
    """Items with fewer words (of five Latin letters; a Chinese character is three letters, a number a word) match only
    if they are a whole text, line or sentence, unchanged."""
    model: EncoderName | None = "use-multilingual"
    """The encoder that finds translations and paraphrases; null: they are not searched."""
    pivot: tuple[LanguageTag, ...] = ("en",)
    """The preferred languages for comparing items by meaning: the first that an item has, then any that the encoder
    supports."""
    meaning_in: tuple[str, ...] | None = None
    """The fields searched for translations. Default: the prompt of a conversation, the main fields of other kinds."""
    passages: PositiveInt = 6
    """How many parts of a text are compared by meaning: the whole, its lines, the questions among its sentences."""
    max_chars: PositiveInt = 1000
    """Longer texts are cut to this length before encoding."""
    numbers: Literal["distinct", "ignore"] = "distinct"
    """``distinct``: an item with other numbers is another item. Changing it scores the rows again, because it decides
    what is compared."""
    halves: bool = True
    """Also find items cut in two, each half verbatim as a line in a row of its own. These hits depend on the other
    rows."""
    strict: bool = False
    """Stop if the encoder does not support a row's language, instead of warning and leaving the row not assessed."""

    containment: Decision[PerLanguage[Share]] = PerLanguage(0.6)
    """Minimum share of an item that makes a row contaminated."""
    beside: Decision[PerLanguage[Share]] = PerLanguage(0.85)
    """The same for rows that also have the benchmark's context (``context_share``): other questions about a paragraph
    share many words with the item and are legitimate."""
    part: Decision[PerLanguage[Amount]] = PerLanguage(13.0)
    """Minimum verbatim run, in words of five Latin letters, that makes a row contaminated whatever the share, unless it
    has the context. Null: no limit."""
    translation: Decision[PerLanguage[Share]] = PerLanguage(0.5, {"ar": 0.4, "tr": 0.4})
    """Minimum probability of a translation, by the row's language: lower where the embedded encoder is weaker. Null: no
    row is dropped."""
    paraphrase: Decision[PerLanguage[Share]] = PerLanguage(0.5)
    """Minimum probability of a paraphrase in the item's own language. Null: no row is dropped."""
    code: Decision[PerLanguage[Share]] = PerLanguage(0.5)
    """Minimum probability of an item's program in other words. Null: no row is dropped."""
    context: Decision[Literal["keep", "drop"]] = "keep"
    """Whether to drop rows that have a benchmark's context but none of its questions."""
    context_share: Decision[Share] = 0.5
    """Minimum share of a context that counts as having it."""
    unassessed: Decision[Literal["keep", "drop"]] = "keep"
    """What to do with rows that were not compared with every item."""

    @field_validator("against", mode="before")
    @classmethod
    def _several(cls, value: Any) -> Any:
        value = [value] if isinstance(value, str) else value
        return [canonical(one) if isinstance(one, str) else one for one in value] if isinstance(value, list) else value

    @field_validator("files", "revisions", mode="before")
    @classmethod
    def _canonical_keys(cls, value: Any) -> Any:
        return {canonical(str(name)): one for name, one in value.items()} if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _known(self) -> Contamination:
        chosen = expanded(self.against)
        for parameter, names in (("files", self.files), ("revisions", self.revisions)):
            for name in names:
                if name not in registry():
                    known = ", ".join(registry())
                    raise ValueError(f"{parameter}: unknown benchmark '{name}'{nearest(name, registry())} ({known})")
                if name not in chosen:
                    raise ValueError(f"{parameter}: '{name}' is not among 'against'{nearest(name, chosen)}")
        if self.meaning_in is not None and self.model is None:
            raise ValueError("meaning_in: needs 'model', the encoder that compares meanings")
        return self

    def named(self, kind: Reference) -> dict[str, tuple[str, ...]]:
        """Excludes names of the registry from :meth:`Params.named`: they are not rows of the catalog."""
        names = super().named(kind)
        if kind is Reference.ROWS:
            names["against"] = tuple(name for name in self.against if name not in registry())
        return names

    def identity(self, *, decisions: bool = True) -> dict[str, Any]:
        """Adds the entries of the registry and the content of local files to :meth:`Params.identity`."""
        identity = super().identity(decisions=decisions)
        entries = {name: registry()[name].digest for name in expanded(self.against) if name in registry()}
        for name, place in self.files.items():
            entries[name] += f":{items_of.state_of(place)}"
        return {**identity, "benchmarks": entries}

    def also_named(self, kind: Reference) -> tuple[str, ...]:
        """What ``against`` may name besides sources and datasets, for error hints."""
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
    def requires_fit(self) -> bool:
        return True

    def sample(self, rows: Rows, context: Context) -> pa.Table | None:
        # The items do not come from the rows; ``fit`` is used so that they are made once and cached.
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
            context.warn(f"contamination: no items to compare with ({', '.join(self.against)})")
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
                        f"contamination: the benchmark '{name}' cannot be read: {error}; set local files "
                        f"('files: {{{name}: path}}'), or write 'missing: skip' to continue without it"
                    ) from error
                context.warn(f"contamination: the benchmark '{name}' was not checked: {error}")
                missing.append(name)

    # ------------------------------------------------------------------------------------------------------------ score
    def score(self, rows: Rows, context: Context, fitted: pa.Table | None) -> pl.DataFrame:
        if fitted is None:
            raise StepError("contamination: the item table is missing; 'fit' makes it")
        fitted, cut = halves.split(fitted)
        index = index_of(fitted, self.short)
        lexical = self._lexical(rows, index)
        by_meaning, assessed, margins = self._translations(rows, context, fitted)
        by_code = self._code(rows, fitted, margins)
        absent = sorted(
            {
                name
                for name, part in zip(index.items["benchmark"], index.items["part"], strict=True)
                if part == "missing"
            }
        )
        columns: dict[str, list[Any]] = {name: [None] * len(rows) for name in (*_FLOATS, *_STRINGS)}
        columns["score"] = [0.0] * len(rows)
        columns["context"] = [0.0] * len(rows)
        columns["code"] = [0.0] * len(rows)
        tags, ids = rows.language.to_list(), rows.ids.to_list()
        for row in range(len(rows)):
            if assessed is not None and assessed[row]:
                columns["similarity"][row] = columns["translation"][row] = columns["paraphrase"][row] = 0.0
            why = [
                *(["language"] if assessed is not None and not assessed[row] else []),
                *(f"benchmark:{name}" for name in absent),
            ]
            columns["unassessed"][row] = " ".join(why) or None
            if row in lexical or row in by_meaning or row in by_code or ids[row] in cut:
                columns["code"][row] = by_code[row][0].chance if row in by_code else 0.0
                add_hits(
                    columns,
                    row,
                    tags[row],
                    lexical.get(row, []),
                    by_meaning.get(row),
                    by_code.get(row),
                    index,
                    cut.get(ids[row], ()),
                )
        return pl.DataFrame(
            {
                name: pl.Series(values, dtype=pl.Float64 if name in _FLOATS else pl.String)
                for name, values in columns.items()
            }
        )

    def _lexical(self, rows: Rows, index: Index) -> dict[int, list[tuple[int, Match, list[list[Any]]]]]:
        """For each row the items found in it: (item, match, places in fields), best first."""
        names = self.fields or main_fields(rows.kind)
        texts = [rows.text(name, calls=True).fill_null("") for name in names]
        tags = [rows.field_language(name).fill_null("und") for name in names]
        turns = [rows.turns(name, calls=True) for name in names]
        joined = texts[0] if len(names) == 1 else pl.select(pl.concat_str(texts, separator=JOIN)).to_series()
        normal = [SAME.normalize(plain(one), tag) for one, tag in zip(texts, tags, strict=True)]
        whole = normal[0] if len(names) == 1 else pl.select(pl.concat_str(normal, separator=" ")).to_series()
        candidates = index.candidates(whole)
        if index.tiny:
            candidates = candidates.joined(
                [index.tiny_candidates(one, tag) for one, tag in zip(turns, tags, strict=True)]
            )
        parts, distinct = index.items["part"], self.numbers == "distinct"
        hits_by_row: dict[int, list[tuple[int, Match, list[list[Any]]]]] = {}
        bounds = np.searchsorted(candidates.rows, np.arange(len(rows) + 1))
        there = np.unique(candidates.rows)
        for tag in set(tags[-1].gather(there).to_list()):
            learn(set().union(*joined.gather(there).filter(tags[-1].gather(there) == tag)), tag)
        for row in there.tolist():
            at = np.arange(bounds[row], bounds[row + 1])
            # Keep the best candidates only: an item may be asked in many variants.
            at = at[np.argsort(-candidates.shares[at], kind="stable")][:_MOST_CANDIDATES]
            # Contexts first: text inside a context is not a question about it.
            pairs = sorted(
                zip(candidates.items[at].tolist(), candidates.shares[at].tolist(), strict=True),
                key=lambda pair: parts[pair[0]],
            )
            one, tag = joined[row], tags[-1][row]
            bare = chars = characters_of(one, tag)
            edges = edges_of([turn[row].to_list() for turn in turns])
            hits = []
            for item, share in pairs:
                benchmark_item, is_context = index.item(item), parts[item] == "context"
                hit = match(benchmark_item, chars, one, tag, share, distinct=distinct)
                if hit is not None and not is_context and bare is not chars and hit.hit not in ("verbatim", "embedded"):
                    hit = match(benchmark_item, bare, one, tag, share, distinct=distinct)
                if hit is None or not _supported(index, item, chars):
                    continue
                if is_context and hit.containment >= A_CONTEXT:
                    bare = bare.without(hit.spans)
                if hit.hit != "split" and any(start < edge < end for start, end in hit.spans for edge in edges):
                    hit = replace(hit, hit="split")
                hits.append((item, hit, in_fields(hit.spans, names, [text[row] for text in texts])))
            if hits:
                hits_by_row[row] = sorted(hits, key=lambda hit: (-hit[1].containment, -hit[1].run, hit[0]))
        return hits_by_row

    def _code(
        self, rows: Rows, fitted: pa.Table, margins: Mapping[int, Mapping[tuple[str, str], float]]
    ) -> dict[int, tuple[CodeMatch, list[list[Any]]]]:
        """For each row the item that its code most likely is, and its places in fields."""
        index = code_index_of(fitted, self.pivot)
        if not len(index):
            return {}
        names = self.fields or main_fields(rows.kind)
        texts = [rows.text(name, calls=True).fill_null("").to_list() for name in names]
        found = {}
        for row, parts in enumerate(zip(*texts, strict=True)):
            match = index.best(JOIN.join(parts), margins.get(row, {}))
            if match is not None:
                found[row] = match, in_fields([match.span], names, parts)
        return found

    def _translations(
        self, rows: Rows, context: Context, fitted: pa.Table
    ) -> tuple[dict[int, MeaningMatch], list[bool] | None, dict[int, dict[tuple[str, str], float]]]:
        """For each row the item it most likely translates; which rows the encoder can judge; and how near those rows
        come to items, by benchmark and item."""
        if self.model is None:
            return {}, None, {}
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
            message = f"contamination: model '{self.model}' does not support '{tag}'"
            if self.strict:
                raise StepError(
                    f"{message}: {count} rows not compared by meaning; take another model, or write 'strict: false' to "
                    "leave them unassessed"
                )
            # The same words for every shard, so that they are said once.
            context.warn(f"{message}: its rows are not compared by meaning (attribute 'unassessed': language)")
        cut = [part for part in parts if len(part.text) <= self.max_chars]
        meanings = _meanings(fitted)
        near = meanings.candidates(cut, encoder)
        margins: dict[int, dict[tuple[str, str], float]] = {}
        for passage, item, features, _ in near:
            key, margin = meanings.keys[item], float(features[1])
            known_margins = margins.setdefault(passage.row, {})
            known_margins[key] = max(known_margins.get(key, 0.0), margin)
        return meanings.best(near, encoder, distinct=self.numbers == "distinct"), assessed, margins

    def drop_rules(self, kind: Kind) -> Mapping[str, pl.Expr]:
        about = pl.col("context") >= self.context_share
        there = pl.col("score") >= pl.when(about).then(self.beside.expr()).otherwise(self.containment.expr())
        reasons = {name: there & (pl.col("hit") == name) for name in ("verbatim", "embedded", "split")}
        reasons["edited"] = there
        if self.part != PerLanguage[float]():
            reasons["part"] = (pl.col("run") >= self.part.expr()) & ~about
        reasons["code"] = pl.col("code") >= self.code.expr()
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


def _meanings(items: pa.Table) -> MeaningIndex:
    key = items["digest"][0].as_py() + str(items["vector"].null_count) if items.num_rows else ""
    if key not in _MEANINGS:
        while len(_MEANINGS) >= 2:
            _MEANINGS.popitem(last=False)
        _MEANINGS[key] = MeaningIndex(items)
    _MEANINGS.move_to_end(key)
    return _MEANINGS[key]


def _supported(index: Index, item: int, chars: Characters) -> bool:
    """Whether the text that distinguishes an item from others with the same question is there too: half of its options
    or context."""
    if not index.items["shared"][item]:
        return True
    support = characters_of(index.items["support"][item], index.items["language"][item]).letters
    step = 16
    pieces = [support[at : at + step] for at in range(0, max(1, len(support) - step + 1), step)]
    return 2 * sum(piece in chars.letters for piece in pieces) >= len(pieces)
