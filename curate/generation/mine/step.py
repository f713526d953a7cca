"""``mine``: finds translation pairs in monolingual text of several languages (bitext mining).

Every distinct sentence is encoded once. A pair is scored by the margin between its own cosine and the cosines of its
neighbours (:mod:`curate.generation.mine.margins`), which tells a translation from a sentence on the same subject.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
from pydantic import Field, PositiveInt

from curate.catalog.params import EncoderName, LanguageTag, PerLanguage
from curate.data_files import DataFile
from curate.errors import StepError
from curate.generation.common.derived_rows import all_licenses, derive_rows, hash_of
from curate.generation.mine.margins import Candidates, Direction, Pairs, Score
from curate.generation.mine.sentences import Numbers, Sentences
from curate.rows import Kind, languages, unknown_fields
from curate.rows.kinds import LINEAGE
from curate.steps import Context, DatasetStep, RowBatch, Rows
from curate.steps.models import Encoder
from curate.text import segmentation as text
from curate.text import sentences
from curate.text.sentences import ABBREVIATIONS
from curate.vectors import knn as neighbours

# Defaults of ``min``, near the best F1 of the embedded encoders on real data (docs/mining.md): for encoders whose
# cosines
# are spread from 0 to 1 (LaBSE too), and for those whose cosines are close together (e5).
_LEAST: dict[bool, dict[Score, float]] = {
    True: {"ratio": 1.15, "distance": 0.08, "absolute": 0.6},
    False: {"ratio": 1.015, "distance": 0.013, "absolute": 1.0},
}
_WRITTEN = 2048
_PARENTS = 1000


class Mine(DatasetStep):
    """Mines sentence pairs of the source language and other languages.

    Pairs are ``parallel`` rows, in the order of their source sentences. Scores: ``mine`` (the margin), ``mine.cosine``,
    ``mine.rank`` (1 for the best pair of its two languages). Parents are all rows that contain either sentence (at most
    1,000); attribute ``mine.target_source`` names the source of the target side if it is another one. If the two sides
    have different licences, the pair has both (``CC0-1.0 AND CC-BY-2.0``).
    """

    tag: ClassVar[str] = "mine"
    package_data: ClassVar[tuple[DataFile, ...]] = (ABBREVIATIONS,)
    version: ClassVar[int] = 2
    summary: ClassVar[str] = "parallel pairs mined from text in several languages, by margin"
    kinds: ClassVar[frozenset[Kind]] = frozenset(Kind) - {Kind.PARALLEL}

    source_language: LanguageTag = "en"
    """The language that all others are paired with. It becomes the source side."""
    to: tuple[LanguageTag, ...] | None = None
    """The languages to pair with it; by default all others in the rows."""
    model: EncoderName = "use-multilingual"
    """The sentence encoder. Languages that it does not support are not mined."""
    field: str | None = None
    """The field to mine; by default ``text`` of documents and ``prompt`` of other kinds."""
    split: Literal["none", "line", "sentence"] = "none"
    """How texts are split: not at all (each text is one sentence), into lines, or into sentences by the rules of the
    language."""
    score: Score = "ratio"
    """The score: ``ratio`` or ``distance`` of the cosine to the mean cosine of the neighbours, or the cosine
    (``absolute``)."""
    min: PerLanguage[float] = PerLanguage[float]()
    """Minimum score, by target language. By default 1.15 for ``ratio``, 0.08 for ``distance``, 0.6 for ``absolute``;
    for encoders whose cosines are close together (the e5 family), 1.015 and 0.013. The right value depends on the
    encoder and on the share of sentences that have a partner: look at pairs around it."""
    k: Annotated[int, Field(ge=1, le=100)] = 4
    """Number of nearest neighbours in a margin, and of candidates of each sentence."""
    direction: Direction = "max"
    """``forward``: the best target of each source sentence. ``backward``: the best source of each target. ``both``: the
    union. ``intersection``: pairs found in both directions. ``max``: the union, best first, each sentence in one pair
    only."""
    most: PerLanguage[PositiveInt] = PerLanguage[PositiveInt]()
    """Maximum number of pairs per target language, best first."""
    neighbours: Literal["auto", "exact", "approximate"] = "auto"
    """``approximate`` misses a few in a thousand; ``auto`` uses it above 20 thousand million comparisons."""
    min_letters: Annotated[float, Field(ge=0)] = 5
    """Minimum length of a sentence in Latin letters (a Han character counts three)."""
    max_chars: PositiveInt = 1000
    """Maximum length of a sentence in characters. Longer ones are skipped with a warning."""
    max_length_ratio: Annotated[float, Field(ge=1)] = 3.0
    """Maximum ratio of the lengths of the two sides (in Latin letters, ten added to both)."""
    copies: Literal["drop", "keep"] = "drop"
    """Whether a sentence may be paired with itself (equal except for case, whitespace and punctuation)."""
    strict: bool = False
    """Whether an unsupported language stops the build. Otherwise it is a warning."""

    # --------------------------------------------------------------------------------------------------------- contract
    def check(self, kind: Kind) -> list[str]:
        problems = unknown_fields(kind, [self.field] if self.field else None, "field")
        if self.to is not None and not self.to:
            problems.append("to: is empty; leave it out for all languages")
        if self.source_language in (self.to or ()):
            problems.append(f"to: {self.source_language} is the source language")
        if len(set(self.to or ())) != len(self.to or ()):
            problems.append("to: lists a language twice")
        return problems

    def makes(self, kind: Kind) -> Kind:
        return Kind.PARALLEL

    def gather(self, rows: Iterable[Rows], context: Context) -> Iterator[pa.Table | RowBatch]:
        encoder: Encoder = context.model(self.model)
        self._check_scale(encoder)
        corpus = _Corpus(self, context)
        for batch in rows:
            corpus.add(batch)
        corpus.close()
        targets = self._targets(corpus, encoder, context)
        if not targets:
            return
        source = corpus.sides[self.source_language]
        progress = _Progress(context, corpus.count, len(source) + sum(len(corpus.sides[tag]) for tag in targets))
        source.encode(encoder, progress)
        pairs = {}
        for tag in targets:
            corpus.sides[tag].encode(encoder, progress)
            pairs[tag] = self._search(source, corpus.sides[tag], _spread(encoder), context)
        yield from _Writer(self, corpus, pairs, context).write(rows)

    # ------------------------------------------------------------------------------------------------------------ parts
    def _check_scale(self, encoder: Encoder) -> None:
        has_threshold = self.min.default is not None or self.min.values
        if self.score == "absolute" and not has_threshold and not _spread(encoder):
            raise StepError(
                f"mine: the cosines of model '{self.model}' have no absolute meaning (unrelated texts have .8 and "
                "more); write 'score: ratio', or set 'min'"
            )

    def _targets(self, corpus: _Corpus, encoder: Encoder, context: Context) -> list[str]:
        """The languages that can be mined, in order. Warns about each that cannot."""
        counts = {tag: len(side) for tag, side in corpus.sides.items()}
        if not counts.get(self.source_language):
            context.warn(f"mine: no sentences in the source language {self.source_language}; nothing was mined")
            return []
        candidates = self.to if self.to is not None else sorted(set(counts) - {self.source_language})
        targets = []
        for tag in (self.source_language, *candidates):
            if not counts.get(tag):
                context.warn(f"mine: no sentences in {tag}; nothing was mined for it")
            elif not encoder.supports(tag):
                message = f"mine: model '{self.model}' does not support '{tag}': {counts[tag]} sentences not mined"
                if self.strict:
                    raise StepError(f"{message}; use another model, or write 'strict: false'")
                context.warn(message)
                if tag == self.source_language:
                    return []
            elif tag != self.source_language:
                targets.append(tag)
        return targets

    def _search(self, source: Sentences, target: Sentences, spread: bool, context: Context) -> Pairs:
        how = self.neighbours
        if how == "auto":
            how = "exact" if neighbours.choose(len(source), len(target)) == "exact" else "approximate"
        if how == "exact":
            near = neighbours.exact(
                source.vectors, target.vectors, self.k, memory=context.memory // 2, threads=context.threads
            )
        else:
            near = neighbours.approximate(source.vectors, target.vectors, self.k, threads=context.threads)
        if min(len(source), len(target)) < 2 * self.k and self.score != "absolute":
            context.warn(
                f"mine: only {len(source)} and {len(target)} sentences in {source.language} and {target.language}: "
                f"margins over {self.k} neighbours say little"
            )
        candidates = Candidates(*near, self.score)
        candidates.forbid_lengths(source.letters, target.letters, self.max_length_ratio)
        if self.copies == "drop":
            candidates.forbid_equal(source.bare, target.bare)
        pairs = candidates.choose(self.direction)
        least = self.min[target.language]
        pairs = pairs.take(pairs.score >= (_LEAST[spread][self.score] if least is None else least))
        most = self.most[target.language]
        return pairs if most is None else pairs.take(pairs.ranks() <= most)

    def cut(self, texts: pl.Series, tags: Sequence[str]) -> tuple[pl.Series, Numbers]:
        """The sentences of each text, and which text each is from."""
        if self.split == "none":
            parts = [[one.strip()] for one in texts]
        elif self.split == "line":
            parts = [one.splitlines() for one in texts]
        else:
            parts = [[part.text for part in sentences.split(one, tag)] for one, tag in zip(texts, tags, strict=True)]
        if self.split != "none":
            parts = [[" ".join(part.split()) for part in each] for each in parts]
        places = np.repeat(np.arange(len(parts)), [len(each) for each in parts])
        return pl.Series("text", [part for each in parts for part in each], dtype=pl.String), places


def _spread(encoder: Encoder) -> bool:
    return bool(getattr(encoder, "absolute", True))


# -------------------------------------------------------------------------------------------------------------- reading
@dataclass
class _Progress:
    """Reports rows as done while sentences are encoded, which takes most of the time."""

    context: Context
    rows: int
    sentences: int
    done: int = 0

    def __call__(self, more: int) -> None:
        before = self.rows * self.done // self.sentences
        self.done += more
        self.context.advance(self.rows * self.done // self.sentences - before)


@dataclass
class _Codes:
    """A column with few distinct values, stored as numbers."""

    names: list[str] = field(default_factory=list)
    _numbers: dict[str, int] = field(default_factory=dict)
    _column: list[npt.NDArray[np.int32]] = field(default_factory=list)

    def add(self, values: Sequence[str]) -> None:
        for value in values:
            if value not in self._numbers:
                self._numbers[value] = len(self.names)
                self.names.append(value)
        self._column.append(np.asarray([self._numbers[value] for value in values], np.int32))

    def close(self) -> None:
        self._column = [np.concatenate([np.zeros(0, np.int32), *self._column])]

    def __getitem__(self, row: int) -> str:
        return self.names[int(self._column[0][row])]


class _Corpus:
    """The sentences of every language, and the columns of each row that a pair needs."""

    def __init__(self, step: Mine, context: Context) -> None:
        self._step, self._context = step, context
        self._scratch = Path(mkdtemp(prefix="mine-", dir=context.scratch))
        self.sides: dict[str, Sentences] = {}
        self.ids: list[bytes] | bytes = []
        self.language, self.license, self.source = _Codes(), _Codes(), _Codes()
        self.count = 0
        self._tags: dict[str, str | None] = {}
        self._long: dict[str, int] = {}
        self._other: dict[str, int] = {}

    def add(self, rows: Rows) -> None:
        step, ids = self._step, rows.ids.to_list()
        assert isinstance(self.ids, list)
        self.ids.append(bytes.fromhex("".join(ids)))
        lineage = rows.table["lineage"].combine_chunks()
        self.license.add(lineage.field("license").to_pylist())
        self.source.add(lineage.field("source").to_pylist())
        texts, tags = (
            rows.text(step.field or ("text" if rows.kind is Kind.DOCUMENT else "prompt")),
            rows.language.to_list(),
        )
        self.language.add(tags)
        for tag in dict.fromkeys(tags):
            side = self._side(tag)
            at = np.flatnonzero(np.asarray(tags, object) == tag)
            if side is None:
                self._other[tag] = self._other.get(tag, 0) + len(at)
            else:
                if side not in self.sides:
                    self.sides[side] = Sentences(side, self._scratch / side)
                self._take(self.sides[side], tag, texts.gather(at), at + self.count)
        self.count += len(rows)

    def _take(self, side: Sentences, tag: str, texts: pl.Series, rows: Numbers) -> None:
        parts, places = self._step.cut(texts, [tag] * len(texts))
        letters = text.letter_weights(parts)["letters"].to_numpy()
        short = (parts.str.len_chars() <= self._step.max_chars).to_numpy()
        enough = letters >= max(self._step.min_letters, 1)
        self._long[side.language] = self._long.get(side.language, 0) + int((enough & ~short).sum())
        keep = short & enough
        side.add(parts.filter(pl.Series(keep)), rows[places][keep], letters[keep])

    def _side(self, tag: str) -> str | None:
        """The catalog language that rows of this tag count as: itself, or the language it is a regional form of."""
        if tag not in self._tags:
            listed = None if self._step.to is None else (self._step.source_language, *self._step.to)
            known = (self._step.source_language,) if listed is None else listed
            near = (
                one
                for one in known
                if languages.base(one) == languages.base(tag) and languages.script(one) == languages.script(tag)
            )
            self._tags[tag] = (
                tag if tag in known else next(near, tag if listed is None and tag != languages.UNKNOWN else None)
            )
        return self._tags[tag]

    def close(self) -> None:
        self.ids = b"".join(self.ids)  # type: ignore[arg-type]
        for codes in (self.language, self.license, self.source):
            codes.close()
        for side in self.sides.values():
            side.close()
        for tag, count in sorted(self._long.items()):
            if count:
                self._context.warn(
                    f"mine: {count} sentences in {tag} are longer than {self._step.max_chars} characters and were "
                    "skipped"
                )
        for tag, count in sorted(self._other.items()):
            self._context.warn(f"mine: {count} rows in {tag} are in none of the languages to mine")

    def id(self, row: int) -> str:
        assert isinstance(self.ids, bytes)
        return str(self.ids[16 * row : 16 * row + 16].hex())


# -------------------------------------------------------------------------------------------------------------- writing
class _Writer:
    """Writes pairs as rows, in the order of the rows that their source sentences come from."""

    def __init__(self, step: Mine, corpus: _Corpus, pairs: Mapping[str, Pairs], context: Context) -> None:
        self._step, self._corpus = step, corpus
        self._model = context.model_name(step.model)
        self._source = corpus.sides[step.source_language]
        order = [(number, at) for number, some in enumerate(pairs.values()) for at in range(len(some))]
        keys = np.concatenate([np.zeros(0, np.int64), *(some.left for some in pairs.values())])
        # Stable: one sentence's pairs stay in the order of the languages, then of the scores.
        self._order = [order[place] for place in np.argsort(keys, kind="stable")]
        self._rows = self._source.first_row[np.sort(keys)] if len(keys) else keys
        self._tags, self._pairs = list(pairs), list(pairs.values())
        self._ranks = [some.ranks() for some in pairs.values()]

    def write(self, rows: Iterable[Rows]) -> Iterator[pa.Table]:
        start = done = 0
        for batch in rows:
            end = int(np.searchsorted(self._rows, start + len(batch)))
            for first in range(done, end, _WRITTEN):
                yield self._table(batch, start, range(first, min(end, first + _WRITTEN)))
            start, done = start + len(batch), end

    def _table(self, batch: Rows, start: int, which: Sequence[int]) -> pa.Table:
        corpus, source = self._corpus, self._source
        chosen = [self._order[one] for one in which]
        lefts = [int(self._pairs[side].left[at]) for side, at in chosen]
        rights = [int(self._pairs[side].right[at]) for side, at in chosen]
        targets = [corpus.sides[self._tags[side]] for side, _ in chosen]
        source_rows = [source.rows(one)[:_PARENTS].tolist() for one in lefts]
        target_rows = [side.rows(one)[:_PARENTS].tolist() for side, one in zip(targets, rights, strict=True)]
        both = list(zip(source_rows, target_rows, strict=True))
        source_texts = source.texts(np.asarray(lefts, np.int64))
        target_texts = [side.texts(np.asarray([one], np.int64))[0] for side, one in zip(targets, rights, strict=True)]
        sources = [(corpus.source[left[0]], corpus.source[right[0]]) for left, right in both]
        # A sentence cut out of a text is an item of its own.
        items = (
            None if self._step.split == "none" else [hash_of(self._step.source_language, one) for one in source_texts]
        )
        table = derive_rows(
            Kind.PARALLEL,
            batch,
            [left[0] - start for left in source_rows],
            {
                "source_language": [corpus.language[left[0]] for left in source_rows],
                "source": source_texts,
                "target": target_texts,
            },
            [corpus.language[right[0]] for right in target_rows],
            step=self._step.tag,
            model=self._model,
            more_parents=[
                [corpus.id(row) for row in (left[0], right[0], *left[1:], *right[1:])] for left, right in both
            ],
            group_id=items,
            scores=[self._scores(side, at) for side, at in chosen],
            attributes=[{"target_source": right} if left != right else {} for left, right in sources],
        )
        licenses = [all_licenses(*(corpus.license[row] for row in (*left, *right))) for left, right in both]
        return with_licenses(table, licenses)

    def _scores(self, side: int, at: int) -> dict[str, Any]:
        pairs = self._pairs[side]
        return {
            "score": float(pairs.score[at]),
            "cosine": round(float(pairs.cosine[at]), 5),
            "rank": float(self._ranks[side][at]),
        }


def with_licenses(table: pa.Table, licenses: Sequence[str]) -> pa.Table:
    """Sets the licences in the lineage of the rows."""
    lineage = table["lineage"].combine_chunks()
    parts = {part.name: lineage.field(part.name) for part in LINEAGE}
    parts["license"] = pa.array(licenses, pa.string())
    struct = pa.StructArray.from_arrays(list(parts.values()), fields=list(LINEAGE))
    place = table.column_names.index("lineage")
    return table.set_column(place, table.schema.field("lineage"), struct)
