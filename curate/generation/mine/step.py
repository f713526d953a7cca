"""``mine``: two heaps of text in two languages become parallel pairs: those sentences that are each other's nearest by far.

Every distinct sentence of either side is encoded once; a pair is scored by the margin between its own cosine and that of
its neighbours (:mod:`curate.generation.mine.margins`), which is what tells a translation from a sentence on the same subject.
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
from curate.generation.common.derived_rows import all_licenses, hash_of, new_rows
from curate.generation.mine.margins import Candidates, Direction, Pairs, Score
from curate.generation.mine.sentences import Numbers, Sentences
from curate.rows import Kind, languages, unknown_fields
from curate.rows.kinds import LINEAGE
from curate.steps import Context, GatherStep, NewRows, Rows
from curate.steps.models import Encoder
from curate.text import segmentation as text
from curate.text import sentences
from curate.text.sentences import ABBREVIATIONS
from curate.vectors import knn as neighbours

# Where no threshold is given, near the best F1 of the embedded encoders on real data (docs/mine.md): for encoders whose
# cosines are spread from 0 to 1 (LaBSE too), and for those that crowd them together (e5).
_LEAST: dict[bool, dict[Score, float]] = {
    True: {"ratio": 1.15, "distance": 0.08, "absolute": 0.6},
    False: {"ratio": 1.015, "distance": 0.013, "absolute": 1.0},
}
_WRITTEN = 2048
_PARENTS = 1000


class Mine(GatherStep):
    """Finds sentences of other languages that say the same as one of the source language.

    Pairs are ``parallel`` rows, in the order of their source sentences. Scores: ``mine`` (the margin), ``mine.cosine``,
    ``mine.rank`` (1 for the best pair of its two languages). Parents are all rows in which either sentence stands (1,000
    at most); attribute ``mine.target_source`` names the source of the target side where it is another. Where the two sides have
    different licences, the pair has both (``CC0-1.0 AND CC-BY-2.0``).
    """

    tag: ClassVar[str] = "mine"
    package_data: ClassVar[tuple[DataFile, ...]] = (ABBREVIATIONS,)
    version: ClassVar[int] = 2
    summary: ClassVar[str] = "Parallel pairs mined from text in several languages, by margin."
    kinds: ClassVar[frozenset[Kind]] = frozenset(Kind) - {Kind.PARALLEL}

    source_language: LanguageTag = "en"
    """The language that all others are paired with; it becomes the source side."""
    to: tuple[LanguageTag, ...] | None = None
    """The languages to pair with it; unless given, all others that there are."""
    model: EncoderName = "use-multilingual"
    """The sentence encoder. Languages it does not support are not mined."""
    field: str | None = None
    """The field that is mined; unless given, ``text`` of documents and ``prompt`` of everything else."""
    split: Literal["none", "line", "sentence"] = "none"
    """``none``: a text is one sentence already. ``line``: its lines are. ``sentence``: it is cut, by the rules of its language."""
    score: Score = "ratio"
    """``ratio`` or ``distance`` of the cosine to the mean cosine of the neighbours, or the cosine itself (``absolute``)."""
    min: PerLanguage[float] = PerLanguage[float]()
    """Least score, by target language. Unless given, 1.15 for ``ratio``, 0.08 for ``distance``, 0.6 for ``absolute``; for encoders
    whose cosines crowd together (the e5 family), 1.015 and 0.013. The right one depends on the encoder and on how much of the
    text has a partner: look at pairs around it."""
    k: Annotated[int, Field(ge=1, le=100)] = 4
    """How many nearest neighbours a margin looks at, and how many candidates each sentence has."""
    direction: Direction = "max"
    """``forward``: the best target of each source sentence; ``backward``: the best source of each target; ``both``: what
    either finds; ``intersection``: what both find; ``max``: what either finds, best first, each sentence in one pair only."""
    most: PerLanguage[PositiveInt] = PerLanguage[PositiveInt]()
    """At most so many pairs for a target language, the best ones."""
    neighbours: Literal["auto", "exact", "approximate"] = "auto"
    """``approximate`` misses a few in a thousand; ``auto`` takes it where the two sides multiply to more than 20 thousand million."""
    min_letters: Annotated[float, Field(ge=0)] = 5
    """Shorter sentences are not mined (in Latin letters; a Han character counts three)."""
    max_chars: PositiveInt = 1000
    """Longer sentences are not mined; warned of."""
    max_length_ratio: Annotated[float, Field(ge=1)] = 3.0
    """The longer side may have so many times the letters of the shorter (in Latin letters, ten added to both)."""
    copies: Literal["drop", "keep"] = "drop"
    """Whether a sentence may be paired with itself: equal but for case, blanks and punctuation."""
    strict: bool = False
    """Stop where the encoder does not support a language, instead of a warning."""

    # ---------------------------------------------------------------------------------------------------------- contract
    def check(self, kind: Kind) -> list[str]:
        wrong = unknown_fields(kind, [self.field] if self.field else None, "field")
        if self.to is not None and not self.to:
            wrong.append("to: names no language; leave it out for all there are")
        if self.source_language in (self.to or ()):
            wrong.append(f"to: {self.source_language} is the source language")
        if len(set(self.to or ())) != len(self.to or ()):
            wrong.append("to: names a language twice")
        return wrong

    def makes(self, kind: Kind) -> Kind:
        return Kind.PARALLEL

    def gather(self, rows: Iterable[Rows], context: Context) -> Iterator[pa.Table | NewRows]:
        encoder: Encoder = context.model(self.model)
        self._check_scale(encoder)
        heap = _Heap(self, context)
        for batch in rows:
            heap.add(batch)
        heap.close()
        targets = self._targets(heap, encoder, context)
        if not targets:
            return
        source = heap.sides[self.source_language]
        told = _Told(context, heap.count, len(source) + sum(len(heap.sides[tag]) for tag in targets))
        source.encode(encoder, told)
        found = {}
        for tag in targets:
            heap.sides[tag].encode(encoder, told)
            found[tag] = self._search(source, heap.sides[tag], _spread(encoder), context)
        yield from _Writer(self, heap, found, context).write(rows)

    # ------------------------------------------------------------------------------------------------------------- parts
    def _check_scale(self, encoder: Encoder) -> None:
        given = self.min.default is not None or self.min.values
        if self.score == "absolute" and not given and not _spread(encoder):
            raise StepError(
                f"mine: the cosines of model '{self.model}' have no absolute meaning (unrelated texts have .8 and more); "
                "write 'score: ratio', or give 'min'"
            )

    def _targets(self, heap: _Heap, encoder: Encoder, context: Context) -> list[str]:
        """The languages that can be mined, in order; a warning for each that cannot."""
        there = {tag: len(side) for tag, side in heap.sides.items()}
        if not there.get(self.source_language):
            context.warn(f"mine: there is no sentence in the source language {self.source_language}; nothing was mined")
            return []
        wanted = self.to if self.to is not None else sorted(set(there) - {self.source_language})
        targets = []
        for tag in (self.source_language, *wanted):
            if not there.get(tag):
                context.warn(f"mine: there is no sentence in {tag}; nothing was mined for it")
            elif not encoder.supports(tag):
                message = f"mine: model '{self.model}' does not support '{tag}': {there[tag]} sentences not mined"
                if self.strict:
                    raise StepError(f"{message}; take another model, or write 'strict: false'")
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
                f"mine: {len(source)} and {len(target)} sentences in {source.language} and {target.language} are few: "
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


# ---------------------------------------------------------------------------------------------------------------- reading
@dataclass
class _Told:
    """Rows told to be done as sentences are encoded, which is what takes the time."""

    context: Context
    rows: int
    sentences: int
    done: int = 0

    def __call__(self, more: int) -> None:
        before = self.rows * self.done // self.sentences
        self.done += more
        self.context.tick(self.rows * self.done // self.sentences - before)


@dataclass
class _Codes:
    """Texts by number: there are few of them, and many rows."""

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


class _Heap:
    """The sentences of every language, and of each row what a pair must know of it."""

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
        """The language of the catalog that rows of this tag count as: itself, or the one it is a regional form of."""
        if tag not in self._tags:
            wanted = None if self._step.to is None else (self._step.source_language, *self._step.to)
            home = (self._step.source_language,) if wanted is None else wanted
            near = (
                one
                for one in home
                if languages.base(one) == languages.base(tag) and languages.script(one) == languages.script(tag)
            )
            self._tags[tag] = (
                tag if tag in home else next(near, tag if wanted is None and tag != languages.UNKNOWN else None)
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
                    f"mine: {count} sentences in {tag} have more than {self._step.max_chars} characters and were not mined"
                )
        for tag, count in sorted(self._other.items()):
            self._context.warn(f"mine: {count} rows in {tag} are in none of the languages asked for")

    def id(self, row: int) -> str:
        assert isinstance(self.ids, bytes)
        return str(self.ids[16 * row : 16 * row + 16].hex())


# ---------------------------------------------------------------------------------------------------------------- writing
class _Writer:
    """Pairs as rows, in the order of the rows that their source sentences come from."""

    def __init__(self, step: Mine, heap: _Heap, found: Mapping[str, Pairs], context: Context) -> None:
        self._step, self._heap, self._found = step, heap, found
        self._model = context.model_name(step.model)
        self._source = heap.sides[step.source_language]
        ranks = {tag: pairs.ranks() for tag, pairs in found.items()}
        order = [(number, at) for number, pairs in enumerate(found.values()) for at in range(len(pairs))]
        keys = np.concatenate([np.zeros(0, np.int64), *(pairs.left for pairs in found.values())])
        # Stable: one sentence's pairs stay in the order of the languages, then of the scores.
        self._order = [order[place] for place in np.argsort(keys, kind="stable")]
        self._rows = self._source.first_row[np.sort(keys)] if len(keys) else keys
        self._tags, self._pairs, self._ranks = list(found), list(found.values()), list(ranks.values())

    def write(self, rows: Iterable[Rows]) -> Iterator[pa.Table]:
        start = done = 0
        for batch in rows:
            end = int(np.searchsorted(self._rows, start + len(batch)))
            for first in range(done, end, _WRITTEN):
                yield self._table(batch, start, range(first, min(end, first + _WRITTEN)))
            start, done = start + len(batch), end

    def _table(self, batch: Rows, start: int, which: Sequence[int]) -> pa.Table:
        heap, source = self._heap, self._source
        chosen = [self._order[one] for one in which]
        lefts = [int(self._pairs[side].left[at]) for side, at in chosen]
        rights = [int(self._pairs[side].right[at]) for side, at in chosen]
        targets = [heap.sides[self._tags[side]] for side, _ in chosen]
        near = [source.rows(one)[:_PARENTS].tolist() for one in lefts]
        far = [side.rows(one)[:_PARENTS].tolist() for side, one in zip(targets, rights, strict=True)]
        said = source.texts(np.asarray(lefts, np.int64))
        licenses = [all_licenses(*(heap.license[row] for row in (*a, *b))) for a, b in zip(near, far, strict=True)]
        sources = [(heap.source[a[0]], heap.source[b[0]]) for a, b in zip(near, far, strict=True)]
        table = new_rows(
            Kind.PARALLEL,
            batch,
            [a[0] - start for a in near],
            {
                "source_language": [heap.language[a[0]] for a in near],
                "source": said,
                "target": [
                    side.texts(np.asarray([one], np.int64))[0] for side, one in zip(targets, rights, strict=True)
                ],
            },
            [heap.language[b[0]] for b in far],
            step=self._step.tag,
            model=self._model,
            more_parents=[
                [heap.id(row) for row in (a[0], b[0], *a[1:], *b[1:])] for a, b in zip(near, far, strict=True)
            ],
            # A sentence cut out of a text is an item of its own.
            group_id=None if self._step.split == "none" else [hash_of(self._step.source_language, one) for one in said],
            scores=[self._scores(side, at) for side, at in chosen],
            attributes=[{"target_source": b} if a != b else {} for a, b in sources],
        )
        return with_licenses(table, licenses)

    def _scores(self, side: int, at: int) -> dict[str, Any]:
        pairs = self._pairs[side]
        return {
            "score": float(pairs.score[at]),
            "cosine": round(float(pairs.cosine[at]), 5),
            "rank": float(self._ranks[side][at]),
        }


def with_licenses(table: pa.Table, licenses: Sequence[str]) -> pa.Table:
    """The rows with these licences in their lineage."""
    lineage = table["lineage"].combine_chunks()
    parts = {part.name: lineage.field(part.name) for part in LINEAGE}
    parts["license"] = pa.array(licenses, pa.string())
    struct = pa.StructArray.from_arrays(list(parts.values()), fields=list(LINEAGE))
    place = table.column_names.index("lineage")
    return table.set_column(place, table.schema.field("lineage"), struct)
