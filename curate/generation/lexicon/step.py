"""``lexicon``: makes a scored bilingual word table from sentence pairs or from a dictionary.

From sentence pairs, the words that an aligner links are counted; from a dictionary, its entries. With c(s, t) for how
often s and t go together and c(s), c(t) for how often they occur, the scores are forward p(t|s) = c(s, t) / c(s),
backward p(s|t) = c(s, t) / c(t), Dice = 2 c(s, t) / (c(s) + c(t)), and the geometric mean of the first two. Each
language pair is a table of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import polars as pl
import pyarrow as pa
from pydantic import Field

from curate.catalog.params import AlignerName, RowsName
from curate.data_files import DataFile
from curate.generation.common.derived_rows import derive_rows
from curate.generation.lexicon.counts import LONGEST_RUN, Counts, Side, Vocabulary, components, is_word
from curate.generation.lexicon.pairs import Pair, aligner_for, entries_of, language_pairs, rows_of
from curate.rows import Kind
from curate.rows.fields import latest_value
from curate.steps import Context, DatasetStep, RowBatch, Rows, StepError
from curate.steps.models import Aligner
from curate.text.sentences import ABBREVIATIONS
from curate.text.words import Lexicon, count_words

_SLICE = 5_000
_ORIGINS = ("induced", "dictionary", "both")


class LexiconStep(DatasetStep):
    """Makes a bilingual word table from parallel rows: pairs of words with scores."""

    tag: ClassVar[str] = "lexicon"
    package_data: ClassVar[tuple[DataFile, ...]] = (ABBREVIATIONS,)
    version: ClassVar[int] = 2
    summary: ClassVar[str] = (
        "a scored bilingual word table, induced from sentence pairs by a word aligner or taken from a dictionary"
    )
    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.PARALLEL})

    method: Literal["align", "dictionary"] = "align"
    """What the rows are: sentence pairs whose words are to be aligned, or entries of a dictionary."""
    model: AlignerName = "systran-align"
    """The word aligner (method ``align``)."""
    dictionary: RowsName | None = None
    """Parallel rows whose entries (in either direction) are counted too. For languages written without spaces they also
    define the words; without them only characters could be aligned."""
    dictionary_weight: Annotated[float, Field(ge=0)] = 1.0
    """The count of an entry of ``dictionary``; 0 uses the dictionary for word segmentation only."""
    confirmed: bool = False
    """Whether to keep only pairs that were aligned and are in ``dictionary`` too."""
    weight: str | None = None
    """For ``method: dictionary``: name of the score used as an entry's count; by default each entry counts 1."""
    measure: Literal["dice", "geometric", "forward", "backward"] = "dice"
    """The measure that becomes the score ``lexicon`` and ranks translations."""
    min_count: Annotated[float, Field(ge=0)] | None = None
    """Minimum count of a pair, unless it is in ``dictionary``. By default 2 for ``align``, none for ``dictionary``."""
    min_score: Annotated[float, Field(ge=0, le=1)] | None = None
    """Minimum score of a pair. By default 0.1 for ``align``, none for ``dictionary``."""
    top: Annotated[int, Field(ge=1)] | None = 5
    """Maximum number of translations of a word, best first; ``null`` keeps all."""
    max_words: Annotated[int, Field(ge=1)] | None = None
    """Maximum length of a phrase in words, on either side. By default 1 for ``align``, 3 for ``dictionary``. Aligners
    that link a word to several others (``symmetrize: grow-diag-final-and``) give phrases."""
    drop_identical: bool = True
    """Whether to drop words that are the same on both sides (ignoring case)."""
    chunk: Annotated[int, Field(ge=1)] = 500_000
    """Number of sentence pairs aligned at a time. A statistical aligner learns from each chunk separately."""

    def check(self, kind: Kind) -> list[str]:
        problems = []
        if self.confirmed and self.dictionary is None:
            problems.append("confirmed: it needs a 'dictionary' to confirm the pairs")
        if self.method == "dictionary" and self.dictionary is not None:
            problems.append(
                "dictionary: the rows themselves are the dictionary (method: dictionary); put both in 'from'"
            )
        if self.method == "align" and self.weight is not None:
            problems.append("weight: it is for 'method: dictionary'")
        return problems

    def makes(self, kind: Kind) -> Kind:
        return Kind.PARALLEL

    def gather(self, rows: Iterable[Rows], context: Context) -> Iterator[pa.Table | RowBatch]:
        """Yields the tables of all language pairs, one after another, sorted by word, best translation first.

        Raises:
            StepError: the dictionary has rows of another kind, or ``weight`` names a score that no row has.
        """
        for pair in language_pairs(rows):
            if pair[0] == pair[1]:
                context.warn(f"rows with {pair[0]} on both sides make no word table and were skipped")
                continue
            yield from _Table(self, pair, rows, context).made()


class _Table:
    """The word table of one language pair."""

    def __init__(self, step: LexiconStep, pair: Pair, rows: Iterable[Rows], context: Context) -> None:
        self.step, self.pair, self.rows, self.context = step, pair, rows, context
        self.aligned = step.method == "align"
        entries = [] if step.dictionary is None else list(entries_of(pair, step.dictionary, step.tag, context))
        lefts, rights = [left for _, left, _ in entries], [right for _, _, right in entries]
        self.left, self.right = Vocabulary(pair[0], Lexicon(lefts)), Vocabulary(pair[1], Lexicon(rights))
        self.counts, self.listed = Counts(), Counts()
        self.seen = (np.zeros(0), np.zeros(0))
        self.longest = step.max_words or (1 if self.aligned else 3)
        if step.dictionary is not None:
            places = [-1 - place for place, _, _ in entries]
            self._list(lefts, rights, places, [step.dictionary_weight] * len(entries))

    # ----------------------------------------------------------------------------------------------------- dictionaries
    def _list(
        self, sources: Sequence[str], targets: Sequence[str], places: Sequence[int], weights: Sequence[float]
    ) -> None:
        """Counts entries of a dictionary, each as one pair."""
        kept: list[tuple[int, int, int, float]] = []
        for source, target, place, weight in zip(sources, targets, places, weights, strict=True):
            source, target = " ".join(source.split()), " ".join(target.split())
            if (
                source
                and target
                and count_words(source, self.pair[0]) <= self.longest
                and count_words(target, self.pair[1]) <= self.longest
            ):
                kept.append(
                    (self.left.key(self.left.number(source)), self.right.key(self.right.number(target)), place, weight)
                )
        counts = self.listed if self.aligned else self.counts
        counts.add(*([one[part] for one in kept] for part in range(4)))  # type: ignore[arg-type]
        self._occur([one[0] for one in kept], [one[1] for one in kept], [one[3] for one in kept])

    def _occur(self, left: Any, right: Any, weights: Any = None) -> None:
        grown = []
        for before, numbers, vocabulary in ((self.seen[0], left, self.left), (self.seen[1], right, self.right)):
            more = np.bincount(np.asarray(numbers, np.int64), weights, len(vocabulary.keys)).astype(np.float64)
            more[: len(before)] += before
            grown.append(more)
        self.seen = (grown[0], grown[1])

    # -------------------------------------------------------------------------------------------------------- alignment
    def _count_entries(self) -> None:
        unweighted = 0
        for table in rows_of(self.pair, self.rows):
            weights = [1.0] * table.num_rows
            if self.step.weight is not None:
                counts = score_of(table, self.step.weight)
                unweighted += counts.null_count()
                if counts.null_count() == len(counts):
                    raise StepError(
                        f"lexicon: no row of {'-'.join(self.pair)} has the score '{self.step.weight}'{_scores(table)}"
                    )
                weights = counts.fill_null(0.0).to_list()
            self._list(table["source"].to_pylist(), table["target"].to_pylist(), table["place"].to_pylist(), weights)
        if unweighted:
            self.context.warn(
                f"lexicon: {unweighted:,} entries of {'-'.join(self.pair)} have no score '{self.step.weight}' and "
                "count 0"
            )

    def _count_links(self) -> None:
        aligner = aligner_for(self.step.tag, self.step.model, (self.left, self.right), self.context)
        here, there, places, empty = Side(self.left), Side(self.right), list[int](), 0
        for table in rows_of(self.pair, self.rows):
            for place, source, target in zip(
                *(table[name].to_pylist() for name in ("place", "source", "target")), strict=True
            ):
                left, right = self.left.units(source), self.right.units(target)
                if not left or not right:
                    empty += 1
                    continue
                here.add(left)
                there.add(right)
                places.append(place)
                if len(places) >= self.step.chunk:
                    self._count_chunk(aligner, here, there, places)
                    here, there, places = Side(self.left), Side(self.right), []
        if places:
            self._count_chunk(aligner, here, there, places)
        if empty:
            self.context.warn(
                f"lexicon: {empty:,} pairs of {'-'.join(self.pair)} have no word on one side and were skipped"
            )

    def _count_chunk(self, aligner: Aligner, here: Side, there: Side, places: Sequence[int]) -> None:
        self._occur(here.key_numbers(), there.key_numbers())
        left, right, rows = list[int](), list[int](), list[int]()
        phrases: tuple[list[int], list[int]] = ([], [])
        by_character = (self.left.by_character, self.right.by_character)
        longest = tuple(LONGEST_RUN if one else self.longest for one in by_character)
        words = here.key_numbers(), there.key_numbers()
        for number, alignment in enumerate(aligner.align(here, there)):
            begin, start = here.ends[number], there.ends[number]
            if not any(by_character):
                for i, j in alignment.links:
                    left.append(int(words[0][begin + i]))
                    right.append(int(words[1][start + j]))
                    rows.append(places[number])
                if self.longest == 1:
                    continue
            for i, k, j, m in components(alignment.links):
                single = i == k and j == m
                if (single and not any(by_character)) or k - i >= longest[0] or m - j >= longest[1]:
                    continue
                one, other = here.phrase(number, i, k), there.phrase(number, j, m)
                if one is not None and other is not None:
                    left.append(one)
                    right.append(other)
                    rows.append(places[number])
                    # A word was counted where it stands; of a phrase only these are known.
                    phrases[0].extend([one] if i != k else [])
                    phrases[1].extend([other] if j != m else [])
        self.counts.add(left, right, rows)
        self._occur(*phrases)

    # ----------------------------------------------------------------------------------------------------------- result
    def made(self) -> Iterator[pa.Table]:
        """Yields the table's rows."""
        if self.aligned:
            self._count_links()
        else:
            self._count_entries()
        frame = self._scored()
        if not len(frame):
            self.context.warn(
                f"lexicon: no entries for {'-'.join(self.pair)}; lower 'min_count' or 'min_score', or add more pairs"
            )
            return
        rows, index = self._parents(frame["first"].to_numpy())
        model = self.context.model_name(self.step.model) if self.aligned else ""
        for part in frame.with_columns(place=pl.Series(index)).iter_slices(_SLICE):
            numbers = part.select("score", "forward", "backward", "count").rows(named=True)
            yield derive_rows(
                Kind.PARALLEL,
                rows,
                part["place"].to_list(),
                {
                    "source_language": [self.pair[0]] * len(part),
                    "source": part["source"].to_list(),
                    "target": part["target"].to_list(),
                },
                [self.pair[1]] * len(part),
                step=self.step.tag,
                model=[model if origin != "dictionary" else "" for origin in part["origin"]],
                group_id=[""] * len(part),
                scores=numbers,
                attributes=[{"origin": origin} for origin in part["origin"]],
                inherit=not self.aligned,
            )

    def _scored(self) -> pl.DataFrame:
        """The entries above the thresholds, sorted: source, target, score, forward, backward, count, origin, first."""
        step = self.step
        links, listed = self.counts.frame(), self.listed.frame()
        if self.aligned:
            frame = links.join(listed, on=["s", "t"], how="full", coalesce=True, suffix="_listed")
            induced, known = pl.col("count").is_not_null(), pl.col("count_listed").is_not_null()
            frame = frame.with_columns(
                origin=pl.when(induced & known).then(2).when(induced).then(0).otherwise(1),
                count=pl.col("count").fill_null(0) + pl.col("count_listed").fill_null(0),
                first=pl.coalesce("first", "first_listed"),
            )
            if step.dictionary_weight == 0:
                frame = frame.filter(pl.col("origin") != 1)
        else:
            frame = links.with_columns(origin=pl.lit(1))
        spellings = (self.left.written(), self.right.written())
        forward, backward = pl.col("count") / pl.col("of_s"), pl.col("count") / pl.col("of_t")
        frame = frame.with_columns(
            of_s=pl.Series(self.seen[0][frame["s"].to_numpy()] if len(frame) else np.zeros(0)),
            of_t=pl.Series(self.seen[1][frame["t"].to_numpy()] if len(frame) else np.zeros(0)),
        ).filter((pl.col("count") > 0) & (pl.col("of_s") > 0) & (pl.col("of_t") > 0))
        measures = {
            "dice": 2 * pl.col("count") / (pl.col("of_s") + pl.col("of_t")),
            "geometric": (forward * backward).sqrt(),
            "forward": forward,
            "backward": backward,
        }
        frame = frame.with_columns(
            # A word may be linked to several at once, a dictionary may have an entry twice: shares end at 1.
            score=measures[step.measure].clip(upper_bound=1.0),
            forward=forward.clip(upper_bound=1.0),
            backward=backward.clip(upper_bound=1.0),
        )
        least = step.min_count if step.min_count is not None else (2.0 if self.aligned else 0.0)
        lowest = step.min_score if step.min_score is not None else (0.1 if self.aligned else 0.0)
        frame = frame.filter((pl.col("count") >= least) | (pl.col("origin") != 0), pl.col("score") >= lowest)
        if step.confirmed:
            frame = frame.filter(pl.col("origin") == 2)
        frame = frame.with_columns(
            source=pl.Series([spellings[0][number] for number in frame["s"]], dtype=pl.String),
            target=pl.Series([spellings[1][number] for number in frame["t"]], dtype=pl.String),
            key=pl.Series([self.left.keys[number] for number in frame["s"]], dtype=pl.String),
            same=pl.Series(
                [self.left.keys[s] == self.right.keys[t] for s, t in zip(frame["s"], frame["t"], strict=True)],
                dtype=pl.Boolean,
            ),
            origin=pl.Series([_ORIGINS[number] for number in frame["origin"]], dtype=pl.String),
        )
        entries = zip(frame["source"], frame["target"], strict=True)
        usable = [is_word(source) and is_word(target) for source, target in entries]
        frame = frame.filter(pl.Series(usable, dtype=pl.Boolean))
        if step.drop_identical:
            frame = frame.filter(~pl.col("same"))
        frame = frame.sort(["key", "score", "count", "target"], descending=[False, True, True, False])
        if step.top is not None:
            frame = frame.filter(pl.int_range(pl.len()).over("s") < step.top)
        return frame.select("source", "target", "score", "forward", "backward", "count", "origin", "first")

    def _parents(self, first: Any) -> tuple[Rows, Any]:
        """The rows in which the pairs were first seen, and for each pair the place of its row among them."""
        numbers, index = np.unique(first, return_inverse=True)
        tables: list[pa.Table] = []
        if len(numbers) and numbers[0] < 0:
            assert self.step.dictionary is not None
            # Entries of the dictionary count downwards from -1.
            listed = -1 - numbers[numbers < 0]
            table = _taken(self.context.rows(self.step.dictionary), np.sort(listed))
            tables = [table.take(np.arange(len(listed))[::-1])]
        tables.append(_taken(self.rows, numbers[numbers >= 0]))
        return Rows(Kind.PARALLEL, pa.concat_tables([table for table in tables if table.num_rows])), index


def _taken(batches: Iterable[Rows], places: Any) -> pa.Table:
    """The rows with these (ascending) numbers among all batches."""
    start, parts = 0, list[pa.Table]()
    empty: pa.Table | None = None
    for batch in batches:
        end = start + batch.table.num_rows
        low, high = np.searchsorted(places, [start, end])
        if high > low:
            parts.append(batch.table.take(pa.array(places[low:high] - start)))
        empty = batch.table.slice(0, 0)
        start = end
    return pa.concat_tables(parts) if parts else (empty if empty is not None else pa.table({}))


def score_of(table: pa.Table, name: str) -> pl.Series:
    """The latest score of that name of each row, or null."""
    return latest_value(pl.Series("scores", pl.from_arrow(table["scores"])), name).cast(pl.Float64)


def _scores(table: pa.Table) -> str:
    names = sorted({score["name"] for scores in table["scores"].slice(0, 1_000).to_pylist() for score in scores})
    return (
        f"; there {'is' if len(names) == 1 else 'are'} {', '.join(names)}" if names else "; they have no scores at all"
    )
