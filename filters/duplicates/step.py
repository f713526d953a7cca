"""Deduplication: exact, near (MinHash), semantic and cross-lingual. One row of each cluster is kept.

Each shard is summarised once: digests, signatures or vectors, whatever the method compares. Thresholds, order and scope
are not part of a summary. The decision over all summaries works from files and spills to disk. The outcome depends on
the rows and their order, never on how they were cut into shards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from curate.data_files import DataFile
from curate.rows import Kind, unknown_fields
from curate.steps import Context, Rows, StepError
from curate.text.boilerplate import COMMENTARY
from curate.text.length_ratio import LENGTHS
from curate.text.negation import NEGATION
from curate.text.numbers import NUMBER_WORDS
from filters.calibration.anchors import ANCHORS
from filters.calibration.encoders import Encoders
from filters.duplicates import edit_distance, exact, minhash, near, semantic
from filters.duplicates.clusters import ByScore
from filters.duplicates.columns import Rules, Summary, SummaryColumns, gather
from filters.duplicates.files import Files
from filters.duplicates.normalize import Normalization
from filters.duplicates.params import SIMILARITY, DuplicatesParams
from filters.duplicates.substitutions import Vetoes
from filters.duplicates.summaries import Summarizer
from filters.duplicates.thresholds import MinSimilarity
from filters.duplicates.translation_veto import TranslationVeto

# Default normalisation: exact equality ignores only invisible differences, other methods all of the surface.
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


class Duplicates(DuplicatesParams):
    """Drops all but one row of each cluster of duplicates.

    Attributes of every row in a cluster of two or more: ``cluster_id`` (the smallest id in it) and, for dropped rows,
    ``duplicate_of`` (the id of the row that is kept). Scores: ``similarity`` of a dropped row to the kept row, and
    ``size`` (rows in the cluster, 1 for single rows). Attribute ``unassessed`` (``semantic``, ``cross_lingual``):
    ``language`` where the encoder does not support the row's language. A row whose compared fields are all empty is
    never a duplicate. Labels, scores and lineage are not compared.
    """

    tag: ClassVar[str] = "duplicates"
    compares_pairs: ClassVar[bool] = True
    package_data: ClassVar[tuple[DataFile, ...]] = (ANCHORS, COMMENTARY, LENGTHS, NEGATION, NUMBER_WORDS)
    version: ClassVar[int] = 6
    summary: ClassVar[str] = "Deduplication: exact, near (MinHash), semantic, cross-lingual."

    def check(self, kind: Kind) -> list[str]:
        return unknown_fields(kind, self.fields)

    def in_force(self, name: str) -> Any:
        return self.thresholds() if name == "similarity" and self.method in SIMILARITY else super().in_force(name)

    def drop_rules(self, kind: Kind) -> Mapping[str, pl.Expr]:
        # A row keeps its similarity to the row that it was dropped for. That decides only if both are of one language,
        # and no chain, share of shingles or row from elsewhere has linked them.
        alone = self.linkage == "star" and self.across == "language" and self.lexical == 0 and self.against is None
        if self.method not in ("minhash", "semantic") or not alone or self.action != "drop":
            return {}
        return {"duplicate": pl.col("similarity") >= self.thresholds().expr()}

    @property
    def untried(self) -> str:
        if self.drop_rules(Kind.SFT):
            return "rows keep the similarity to the row that they were dropped for, and only 'similarity' decides by it"
        if self.method == "exact":
            return "equal texts are dropped; there is no similarity"
        return (
            "rows keep the similarity to the row that they were dropped for, which decides alone only for minhash and "
            "semantic within a language, with 'linkage: star', without 'lexical' and 'against'"
        )

    @property
    def reads(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(one.score for one in self.criteria() if isinstance(one, ByScore)))

    def columns(self, kind: Kind) -> Mapping[str, pa.DataType]:
        types = {
            "cluster_id": pa.string(),
            "duplicate_of": pa.string(),
            "similarity": pa.float64(),
            "size": pa.float64(),
        }
        return {**types, "unassessed": pa.string()} if self.by_meaning else types

    # -------------------------------------------------------------------------------------------------------- summaries
    def summarize(self, rows: Rows, context: Context) -> pa.Table:
        return self._summarizer().summarize(rows, context)

    def _summarizer(self) -> Summarizer:
        usual = _EXACT if self.method == "exact" else _NEAR
        chosen: dict[str, Any] = {name: getattr(self, name) or value for name, value in usual.items()}
        return Summarizer(
            self.method,
            self.fields,
            Normalization(self.unicode, self.case, **chosen),
            self.shingle_sizes,
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
        decisions = (
            exact.decide(every, self._rules(), context) if self.method == "exact" else self._near(every, context)
        )
        for path, columns in zip(summaries, decisions, strict=True):
            if self.by_meaning:
                columns["unassessed"] = _unassessed(path)
            yield pa.table(columns)

    def _rules(self) -> Rules:
        crossing = self.method == "cross_lingual"
        return Rules(
            "all" if crossing else self.across,
            self.scope,
            self.numbers == "distinct" and self.method in ("exact", "semantic"),
            self.negation == "distinct" and self.method == "semantic",
            self.linkage,
            self.criteria(),
            self.action == "drop",
            self._own(),
        )

    def _own(self) -> tuple[str, ...]:
        """What rows with equal texts must share to be merged before pairs are searched."""
        if self.method == "minhash" and self.numbers == "distinct":
            return ("numbers",)
        if self.method == "cross_lingual":
            return ("language", "group") if self.groups == "exclude" else ("language",)
        return ()

    def _against(self, context: Context) -> list[Summary]:
        """The summaries of the rows of ``against``."""
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
            raise StepError(f"against: rows of {self.against} have a different number of fields; set 'fields'")
        fields = widths.pop()
        files = Files(context.scratch / "duplicates", context.memory // 4)
        scores = [one.score for one in rules.criteria if isinstance(one, ByScore)]
        gathered = gather(summaries, rules, scores, "vector" if self.by_meaning else "signature", files)
        pair: Callable[[near.UniqueTexts], Iterable[minhash.Pairs]]
        if self.by_meaning:
            spaces = semantic.Spaces(gathered, fields, self._encoders(context))
            pair, measure = partial(self._meaning_pairs, spaces, context), spaces.cosines
        else:
            pair = partial(self._sign_pairs, gathered, files)

            def measure(left: npt.NDArray[np.int64], right: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
                return minhash.min_similarity(gathered.texts, left, right, self.measure, self.shingle_sizes)

        yield from near.decide(gathered, rules, pair, measure, summaries, files)

    def _least(self) -> MinSimilarity:
        crossing = self.method == "cross_lingual"
        pairs = semantic.parse_pairs(self.pairs) if crossing else {}
        return MinSimilarity(self.thresholds(), pairs, self.calibration, self.trust)

    def _sign_pairs(self, gathered: SummaryColumns, files: Files, unique: near.UniqueTexts) -> Iterator[minhash.Pairs]:
        least = self._least()
        vetoes = Vetoes(self.numbers == "distinct", self.negation == "distinct", self.words == "distinct")
        for pairs in edit_distance.pairs(
            gathered, unique, least.lowest(gathered), self.measure, self.shingle_sizes, self.bands, files, vetoes
        ):
            rows = unique.rows
            good = pairs.similarity >= least.each(gathered, rows[pairs.left], rows[pairs.right])
            yield minhash.Pairs(pairs.left[good], pairs.right[good], pairs.similarity[good])

    def _encoders(self, context: Context) -> Encoders:
        encoders = Encoders(self.model or "", context)
        if self.similarity is None and not self.allow_uncalibrated and not encoders.absolute:
            raise StepError(
                f"duplicates: the cosines of {encoders} have no absolute meaning, so there is no usual threshold for "
                "them; give 'similarity', or write 'allow_uncalibrated: true'"
            )
        return encoders

    def _meaning_pairs(
        self, spaces: semantic.Spaces, context: Context, unique: near.UniqueTexts
    ) -> list[minhash.Pairs]:
        gathered = spaces.columns
        least = self._least()
        threshold = partial(least.each, gathered)
        if self.method == "cross_lingual":
            name = spaces.encoders.names[0]
            least.check(context.model_name(name), gathered, context.warn, strict=self.strict)
            self._tell_apart(spaces, unique, context)
            pairs = semantic.between(
                spaces,
                unique,
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
            return [self._translations(pairs, gathered, unique.rows)]
        pairs = semantic.within(spaces, unique, threshold, least.lowest(gathered), self.search, context.threads)
        if self.lexical <= 0 or not len(pairs):
            return [pairs]
        rows = unique.rows
        shared = minhash.min_similarity(
            gathered.texts, rows[pairs.left], rows[pairs.right], "jaccard", self.shingle_sizes
        )
        good = shared >= self.lexical
        return [minhash.Pairs(pairs.left[good], pairs.right[good], pairs.similarity[good])]

    def _tell_apart(self, spaces: semantic.Spaces, unique: near.UniqueTexts, context: Context) -> None:
        """Warns of languages that are not compared with each other, since no encoder knows both."""
        columns = spaces.columns
        there = np.unique(columns.language[unique.rows][columns.assessed[unique.rows]]).tolist()
        apart = [pair for pair in combinations(there, 2) if spaces.encoder(*pair) is None]
        if apart:
            named = ", ".join(sorted("-".join(columns.languages[one] for one in pair) for pair in apart))
            message = f"duplicates: none of the models {spaces.encoders} knows both languages of {named}"
            if self.strict:
                raise StepError(f"{message}; take another model, or write 'strict: false'")
            context.warn(f"{message}: rows in these are not compared with each other")

    def _translations(
        self, pairs: minhash.Pairs, gathered: SummaryColumns, rows: npt.NDArray[np.int64]
    ) -> minhash.Pairs:
        """The pairs in which nothing speaks against one being the other's translation."""
        veto = TranslationVeto(self.numbers == "distinct", self.negation == "distinct", self.words == "distinct")
        left, right = rows[pairs.left], rows[pairs.right]
        good = np.ones(len(left), bool)
        for column, spoken in zip(gathered.texts, gathered.spoken, strict=True):
            tags = [[gathered.languages[one] for one in spoken[side].tolist()] for side in (left, right)]
            good &= ~veto.differ(_texts(column, left), _texts(column, right), (tags[0], tags[1]))
        return minhash.Pairs(pairs.left[good], pairs.right[good], pairs.similarity[good])


def _texts(column: pa.Array, rows: npt.NDArray[np.int64]) -> pl.Series:
    return pl.Series("text", column.take(pa.array(rows)), dtype=pl.String)


def _unassessed(path: Path) -> pa.Array:
    summary = pq.read_table(path, columns=["high", "assessed"])
    missing = summary["high"].is_valid().to_numpy() & ~summary["assessed"].to_numpy()
    return pa.array(["language" if one else None for one in missing.tolist()], pa.string())
