"""Base classes of sources and steps.

A :class:`Source` reads rows from outside. A :class:`RowStep` makes rows from rows, shard by shard; a
:class:`DatasetStep` from all rows at once. A :class:`ScoreStep` scores rows and drops some by their scores. A
:class:`GlobalStep` decides over all rows at once.

A step is a frozen pydantic model: its fields are its parameters, its methods do the work. It never accesses the store,
other shards or the catalog; everything else it needs comes in through :class:`Context`. Raise ``version`` when the same
parameters give other rows.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import polars as pl
import pyarrow as pa
from pydantic import Field

from curate.catalog.params import Decision, Params, Reference, Role
from curate.rows import Kind
from curate.steps.context import CatalogFacts, Context
from curate.steps.models import Sampling
from curate.steps.rows import RowBatch, Rows
from curate.unused import Unused


class Step(Params):
    """Base of all sources and steps."""

    tag: ClassVar[str]
    """Name in the catalog."""
    version: ClassVar[int] = 1
    kinds: ClassVar[frozenset[Kind]] = frozenset(Kind)
    """The kinds of rows it accepts."""
    summary: ClassVar[str] = ""
    """One line for listings and documentation."""
    assesses: ClassVar[str] = ""
    """The score that is null where a row was not assessed (no parent, unsupported language, …). Such rows are counted
    in the funnel, and a language without any assessed row gives a warning."""
    identifies: ClassVar[bool] = False
    """Whether its score is the probability of the row's language. Language adherence is computed from it, and, where
    they exist, from its scores ``other`` (probability of the likeliest other language) and ``script`` (share of letters
    in the language's script) and its attribute ``from`` (the label before, which is the language asked for)."""
    compares: ClassVar[bool] = False
    """Whether it compares rows with their parents, so that rows without one are not reported as unassessed."""

    def check(self, kind: Kind) -> list[str]:
        """The problems of these parameters for rows of this kind (unknown fields, …); empty if there are none."""
        return []

    def in_force(self, name: str) -> Any:
        """The value of a parameter that holds: where it is not given, what the step takes for it."""
        return getattr(self, name)

    def asks_logprobs(self) -> int:
        """The number of tokens whose log-probabilities it asks a language model for; 0: none."""
        return 0

    def check_models(self, facts: CatalogFacts) -> list[str]:
        """What the step needs and its models cannot do, as far as is known before they are loaded; empty if nothing.

        A language that a model does not know is a problem if the step is ``strict``, otherwise a note.

        Raises:
            ModelError: files that a model needs are missing.
        """
        problems = []
        for parameter, names in self.named(Reference.MODEL).items():
            for name in names:
                model = facts.model(name)
                # Several encoders stand in for each other.
                others = [facts.model(one) for one in names if one != name] if model.role is Role.ENCODER else []
                # `user` is asked with `user_sampling`, if there is one.
                sampling = getattr(self, f"{parameter}_sampling", None) or getattr(self, "sampling", None)
                if model.role is Role.GENERATOR and isinstance(sampling, Sampling):
                    found = model.request_problems(sampling, top_logprobs=self.asks_logprobs())
                    problems += [f"{parameter}: the model '{name}': {one}" for one in found]
                unknown = sorted(
                    tag
                    for tag in facts.languages or ()
                    if all(one.knows_language(tag) is False for one in (model, *others))
                )
                if unknown and (not others or name == names[-1]):
                    who = f"the model '{name}' does" if not others else f"the models {', '.join(names)} do"
                    problem = f"{parameter}: {who} not know {', '.join(unknown)}"
                    problems += [problem] if getattr(self, "strict", False) else []
                    generates = model.role is Role.GENERATOR
                    effect = "it is used anyway" if generates else "rows in it are not assessed"
                    facts.note(f"{self.tag}: {problem}; {effect}")
        return problems

    def languages_after(self, kind: Kind, languages: frozenset[str] | None) -> frozenset[str] | None:
        """The languages of the rows after this step; None if only the data tell.

        Args:
            languages: the languages of its input rows.
        """
        return languages


class ScoreStep(Step):
    """Scores each row on its own and drops rows by expressions over the scores.

    ``score`` is expensive and cached per shard; ``drop_rules`` is cheap and may change freely. A row's scores depend on
    the row, its parents, the parameters, the models and the result of ``fit`` only, not on other rows of the shard.
    """

    @abstractmethod
    def columns(self, kind: Kind) -> Mapping[str, pa.DataType]:
        """The columns ``score`` returns: ``float64`` become scores, ``string`` become attributes.

        The column ``score`` is shown under the step's own name, any other as ``<step>.<column>``.
        """

    @abstractmethod
    def score(self, rows: Rows, context: Context, fitted: pa.Table | None) -> pl.DataFrame:
        """The scores: one row of :meth:`columns` per input row, in order; null means *not assessed*."""

    @abstractmethod
    def drop_rules(self, kind: Kind) -> Mapping[str, pl.Expr]:
        """Reason → boolean expression over the columns, ``language`` and ``prompt_language``; true drops the row for
        that reason.

        The first true reason counts. Null does not drop.
        """

    def sample(self, rows: Rows, context: Context) -> pa.Table | None:
        """The part of a shard that ``fit`` needs; None if this step needs no fitting."""
        return None

    def fit(self, samples: Sequence[pa.Table], context: Context) -> pa.Table:
        """A small table made from the samples of all shards, in order; ``score`` gets it as ``fitted``."""
        raise NotImplementedError(f"{self.tag} samples but does not fit")

    @property
    def requires_fit(self) -> bool:
        """Whether ``sample`` and ``fit`` are called."""
        return False

    def diagnostics(self, fitted: pa.Table) -> list[dict[str, Any]]:
        """Metrics of the step itself that ``fit`` measured (such as a judge's bias), for manifest, card and report.

        Returns:
            One object per metric: ``subject`` (a model's name in the catalog), ``model`` (name@revision), ``language``,
            ``figure`` (the metric's name), ``value``, ``low`` and ``high`` (95 % interval; numbers or None), ``rows``
            (sample size), ``limit`` and ``refused`` (if there is a limit), ``note``.
        """
        return []


class RowStep(Step):
    """Makes rows from rows, shard by shard."""

    batch: ClassVar[int] = 2_048
    """Rows per call of ``make``; larger where many requests should be in flight together."""
    max_error_rate: Decision[Annotated[float, Field(ge=0, le=1)]] = 0.05
    """Maximum share of rows that may fail (0 to 1); above it the build stops."""

    def makes(self, kind: Kind) -> Kind:
        """The kind of the new rows, given the kind of the input."""
        return kind

    def languages_after(self, kind: Kind, languages: frozenset[str] | None) -> frozenset[str] | None:
        return None

    @abstractmethod
    def make(self, rows: Rows, context: Context) -> Iterator[pa.Table | RowBatch]:
        """The new rows, in the schema of :meth:`makes`, in an order that depends on the input's order only."""


class DatasetStep(Step):
    """Makes rows from all rows at once (a lexicon from a corpus, pairs from two monolingual sources)."""

    max_error_rate: Decision[Annotated[float, Field(ge=0, le=1)]] = 0.05
    """Maximum share of rows that may fail (0 to 1); above it the build stops."""

    def makes(self, kind: Kind) -> Kind:
        """The kind of the new rows, given the kind of the input."""
        return kind

    def languages_after(self, kind: Kind, languages: frozenset[str] | None) -> frozenset[str] | None:
        return None

    @abstractmethod
    def gather(self, rows: Iterable[Rows], context: Context) -> Iterator[pa.Table | RowBatch]:
        """The new rows, in the schema of :meth:`makes`.

        Args:
            rows: batches in order. They can be iterated several times, so that they need not be held in memory.
        """


class GlobalStep(Step):
    """Decides over all rows at once: a cached summary per shard, then one decision over all summaries."""

    compares_pairs: ClassVar[bool] = False
    """Whether thresholds can be tried only upwards, since nothing is kept of pairs of rows below them."""

    @abstractmethod
    def summarize(self, rows: Rows, context: Context) -> pa.Table:
        """One summary row per row, in order, with only the data that the decision needs."""

    @abstractmethod
    def columns(self, kind: Kind) -> Mapping[str, pa.DataType]:
        """The columns that ``decide`` returns besides ``keep`` and ``reason``; named as in :class:`ScoreStep`."""

    def drop_rules(self, kind: Kind) -> Mapping[str, pl.Expr]:
        """What ``decide`` said of each row, as expressions over its columns: reason → expression. Empty if the columns
        do not tell; then ``untried`` says why.

        They are for trying thresholds.
        """
        return {}

    @property
    def untried(self) -> str:
        """Why other values of its parameters cannot be tried on what rows keep."""
        return "it decides over all rows at once, and rows keep no number that tells what another value would do"

    @property
    def reads(self) -> tuple[str, ...]:
        """Names of scores and attributes that the decision needs.

        ``summarize`` returns the row's own columns ``scores`` and ``attributes`` with the summary. Before ``decide``,
        values of these names from earlier steps of the dataset are appended to the lists.
        """
        return ()

    @property
    def reads_origin(self) -> bool:
        """Whether the decision depends on ``context.origins``."""
        return False

    def assigns(self) -> Mapping[str, float] | None:
        """Split → share, if the step assigns each row to a split, in its attribute column ``split``; else None."""
        return None

    @abstractmethod
    def decide(self, summaries: Sequence[Path], context: Context) -> Iterator[pa.Table]:
        """For each summary, in order, a table with ``keep`` (bool), ``reason`` (string, null if kept) and ``columns``.

        Args:
            summaries: parquet files from ``summarize``, one per shard, restricted to the rows still kept.
        """


# ------------------------------------------------------------------------------------------------------------- sources
@dataclass(frozen=True)
class Unit:
    """The part of a source that is read and cached as one: a file, a pair of files, a Hub split."""

    name: str
    """Name in lineage and errors; not an absolute path."""
    files: tuple[Path, ...] = ()
    """Its local files; their content digest is part of the cache key, unless there is a state."""
    state: str = ""
    """For remote data: its version (a Hub commit, an etag)."""
    note: str = ""
    """What the user is to know before it is read: a warning."""
    beside: tuple[str, ...] = ()
    """What lies beside it in its archive and is no unit; on the first unit of each archive."""


class Source(Step):
    """Reads rows from outside, unit by unit."""

    license: str
    """Licence of the data (an SPDX identifier, or ``unknown``)."""
    max_error_rate: Decision[float] = 0.01
    """Maximum share of unreadable rows (0 to 1); above it the build stops."""

    @property
    @abstractmethod
    def makes(self) -> Kind:
        """The kind of its rows; detected from the data if the catalog does not say."""

    @abstractmethod
    def units(self) -> Sequence[Unit]:
        """The units, in order. Reads names only; uses the network only if there is no other way.

        Raises:
            SourceError: there is nothing to read, or its format is not recognised.
        """

    @abstractmethod
    def read(self, unit: Unit, name: str, context: Context) -> Iterator[RowBatch]:
        """The rows of a unit in order, in batches of bounded size.

        Args:
            name: the source's name in the catalog, for lineage.
        """

    def row_languages(self) -> frozenset[str] | None:
        """The languages of its rows; None if only the data tell."""
        return None

    def parent(self) -> str | None:
        """The source whose rows of the same key are this source's parents (``translation_of``)."""
        return None

    def unused(self, name: str) -> Unused:
        """The parts of its first rows that nothing uses; cheap, and empty if reading would need the network.

        Raises:
            SourceError: they cannot be read.
        """
        return Unused()
