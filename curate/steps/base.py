"""A source makes rows from the outside, a row step makes rows from rows, a score step scores rows and says which to
keep, a global step decides over all rows at once: four contracts, each one unit of work on one shard.

A step is its parameters: a frozen pydantic model with the work as methods. It never touches the store, other shards or
the catalog; what it needs from the world comes in through :class:`Context`. Raise ``version`` when the same parameters
give other rows.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Protocol

import polars as pl
import pyarrow as pa
from pydantic import Field

from curate.catalog.params import Decision, Params, Reference, Role
from curate.rows import Kind, field_language, field_text, field_turns
from curate.steps.models import Model
from curate.unused import Unused


# ----------------------------------------------------------------------------------------------------------- contracts
@dataclass(frozen=True)
class Rows:
    """Some rows of one kind, in the schema of :func:`curate.rows.schema`."""

    kind: Kind
    table: pa.Table

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @cached_property
    def ids(self) -> pl.Series:
        return pl.Series("id", self.table["id"].combine_chunks() if len(self) else [], dtype=pl.String)

    @cached_property
    def language(self) -> pl.Series:
        """The language of each row's answer."""
        return pl.Series("language", self.table["language"].combine_chunks() if len(self) else [], dtype=pl.String)

    def text(self, name: str) -> pl.Series:
        """The text of a field (see :mod:`curate.rows.fields`), one string a row."""
        return field_text(self.kind, self.table, name)

    def turns(self, name: str) -> pl.Series:
        """The turns of a field, a list of strings a row."""
        return field_turns(self.kind, self.table, name)

    def field_language(self, name: str) -> pl.Series:
        """The language each row's field is expected to be in."""
        return field_language(self.kind, self.table, name)

    def parents(self) -> pl.Series:
        """The id of each row's first parent; null where there is none."""
        parents = self.table["lineage"].combine_chunks().field("parents")
        return pl.Series("parent", parents, dtype=pl.List(pl.String)).list.first()

    def take(self, keep: Sequence[bool] | pl.Series) -> Rows:
        """The rows where ``keep`` is true."""
        return Rows(self.kind, self.table.filter(pa.array(list(keep), pa.bool_())))


class Context(Protocol):
    """What a running step may ask of the world."""

    threads: int
    """How many threads the step may use."""
    memory: int
    """How many bytes of memory a global step may use before it spills."""
    scratch: Path
    """A folder for temporary files; it is removed afterwards."""
    seed: int
    """The dataset's seed: everything random comes from it and from the row. 0 in ``score`` and ``summarize``, whose
    results are shared by datasets of different seeds."""
    draw: int
    """How often these very rows were seen before in this dataset (``target:`` asks again for more): other samples,
    please.
    """

    def model(self, name: str) -> Any:
        """The loaded model of that catalog name (or of that ``use:`` with its defaults)."""
        ...

    def model_name(self, name: str) -> str:
        """``name@revision`` of that model, for lineage."""
        ...

    def look_up(self, ids: pl.Series) -> Rows:
        """The rows with these ids among all rows that came before in this dataset, once each, in any order."""
        ...

    def rows(self, name: str) -> Iterator[Rows]:
        """All rows of a source or dataset that a parameter of this step names (``RowsName``), in batches, in order."""
        ...

    def wants(self, language: str) -> bool:
        """Whether rows in this language are still wanted (a ``target:`` may be reached in some languages before
        others).
        """
        ...

    def tick(self, rows: int) -> None:
        """Tells progress inside a batch; what is not told is counted when the batch is done."""
        ...

    def warn(self, message: str) -> None:
        """Something the user should know; kept with the result and shown again when it is reused."""
        ...


class CatalogFacts(Protocol):
    """What a step can be told about its models and rows before anything runs."""

    @property
    def kind(self) -> Kind:
        """The kind of the rows that reach the step."""
        ...

    @property
    def languages(self) -> frozenset[str] | None:
        """Their languages; None: only the data tell."""
        ...

    def model(self, name: str) -> Model:
        """The model of that name, not loaded."""
        ...

    def instead(self, source: str, target: str) -> str:
        """Which models would translate a pair, for a message: ``'wide' would``."""
        ...

    def note(self, message: str) -> None:
        """Something that is no reason not to build."""
        ...


class Step(Params):
    """What all contracts share."""

    tag: ClassVar[str]
    """Name in the catalog."""
    version: ClassVar[int] = 1
    kinds: ClassVar[frozenset[Kind]] = frozenset(Kind)
    """The kinds of rows it can work on."""
    summary: ClassVar[str] = ""
    """One line for lists and documentation."""
    assesses: ClassVar[str] = ""
    """The score that is null where a row could not be assessed (it has no parent, its language is not supported, …).
    Such rows are counted in the funnel, and a language none of whose rows was assessed is warned of."""
    compares: ClassVar[bool] = False
    """Whether it compares rows with their parents, so that rows without one are not missed."""

    def check(self, kind: Kind) -> list[str]:
        """What is wrong with these parameters for rows of this kind (unknown fields, …); empty if nothing."""
        return []

    def check_models(self, facts: CatalogFacts) -> list[str]:
        """What the models that the parameters name cannot do, as far as that is known before they are loaded; empty if
        nothing.

        A language that a model does not know is a problem for a step that is ``strict``, else a note.

        Raises:
            ModelError: what a model stands on is not here.
        """
        problems = []
        for parameter, names in self.named(Reference.MODEL).items():
            for name in names:
                model = facts.model(name)
                unknown = sorted(tag for tag in facts.languages or () if model.knows_language(tag) is False)
                if unknown:
                    said = f"{parameter}: the model '{name}' does not know {', '.join(unknown)}"
                    problems += [said] if getattr(self, "strict", False) else []
                    asked = (
                        "it is asked all the same" if model.role is Role.GENERATOR else "rows in it are not assessed"
                    )
                    facts.note(f"{self.tag}: {said}; {asked}")
        return problems

    def languages_after(self, kind: Kind, languages: frozenset[str] | None) -> frozenset[str] | None:
        """The languages of the rows after this step; None: only the data tell.

        Args:
            languages: those of the rows before it.
        """
        return languages


class ScoreStep(Step):
    """Scores each row by itself and decides by an expression over the scores.

    ``score`` is dear and kept per shard; ``verdicts`` is cheap and may change freely. A row's scores depend on the row,
    its parents, the parameters, the models and what ``fit`` returned, on nothing else: not on its neighbours.
    """

    @abstractmethod
    def columns(self, kind: Kind) -> Mapping[str, pa.DataType]:
        """The columns ``score`` returns: ``float64`` become scores, ``string`` become attributes.

        The column ``score`` is shown under the step's own name, any other as ``<step>.<column>``.
        """

    @abstractmethod
    def score(self, rows: Rows, context: Context, fitted: pa.Table | None) -> pl.DataFrame:
        """One row of :meth:`columns` for each row, in order; null means *not assessed*."""

    @abstractmethod
    def verdicts(self, kind: Kind) -> Mapping[str, pl.Expr]:
        """Reason → boolean expression over the columns and ``language``: true drops the row for that reason.

        The first true reason counts; null does not drop.
        """

    def sample(self, rows: Rows, context: Context) -> pa.Table | None:
        """What ``fit`` must see of a shard; None if this step needs no fitting."""
        return None

    def fit(self, samples: Sequence[pa.Table], context: Context) -> pa.Table:
        """A small table, from the samples of all shards in order, that ``score`` gets as ``fitted``."""
        raise NotImplementedError(f"{self.tag} samples but does not fit")

    @property
    def fits(self) -> bool:
        """Whether ``sample`` and ``fit`` are to be called."""
        return False

    def audits(self, fitted: pa.Table) -> list[dict[str, Any]]:
        """What ``fit`` found out about the step itself that a reader of the dataset must know (how far a judge can be
        trusted), for manifest, card and report.

        Returns:
            One object a figure: ``subject`` (a model's name in the catalog), ``model`` (name@revision), ``language``,
                ``figure`` (its
            name), ``value``, ``low`` and ``high`` (95 % interval) as numbers or None, ``rows`` (of how many), ``limit``
                and ``refused``
            (where there is one), ``note``.
        """
        return []


@dataclass(frozen=True)
class BadRow:
    """A row that could not be read or made: it is kept apart, counted and shown."""

    where: str
    """``line 17``, ``row 3``: the place inside the unit; for a row that could not be made, the id of its parent."""
    reason: str
    raw: str
    """The raw text (of a file, of a model's answer), cut to 2,000 characters."""
    transient: bool = False
    """Whether it is for want of a server that it could not be made, so that the next build tries again. Steps that ask
    models through :func:`curate.generation.common.requests.ask` need not say it."""


@dataclass(frozen=True)
class NewRows:
    """A batch of rows without ids, and what could not be read or made."""

    table: pa.Table
    """Columns of the kind's schema, ``id`` left out; ``group_id`` may be empty strings."""
    bad: tuple[BadRow, ...] = ()
    unused: Unused | None = None
    """Of a source: what its rows had and nothing used."""


class RowStep(Step):
    """Makes rows from rows, one shard at a time."""

    batch: ClassVar[int] = 2_048
    """How many rows ``make`` sees at once; more where many questions should be under way together."""
    max_error_rate: Decision[Annotated[float, Field(ge=0, le=1)]] = 0.05
    """The share of rows that may fail (0 to 1); above it the build stops."""

    def makes(self, kind: Kind) -> Kind:
        """The kind of the rows it makes from rows of ``kind``."""
        return kind

    def languages_after(self, kind: Kind, languages: frozenset[str] | None) -> frozenset[str] | None:
        return None

    @abstractmethod
    def make(self, rows: Rows, context: Context) -> Iterator[pa.Table | NewRows]:
        """Tables in the schema of :meth:`makes`, in an order that depends on the input's order only."""


class GatherStep(Step):
    """Makes rows from all rows at once (a word table from a corpus, pairs from two monolingual sources)."""

    max_error_rate: Decision[Annotated[float, Field(ge=0, le=1)]] = 0.05
    """The share of rows that may fail (0 to 1); above it the build stops."""

    def makes(self, kind: Kind) -> Kind:
        """The kind of the rows it makes from rows of ``kind``."""
        return kind

    def languages_after(self, kind: Kind, languages: frozenset[str] | None) -> frozenset[str] | None:
        return None

    @abstractmethod
    def gather(self, rows: Iterable[Rows], context: Context) -> Iterator[pa.Table | NewRows]:
        """Tables in the schema of :meth:`makes`.

        Args:
            rows: batches in order; may be walked several times, so that nobody has to hold everything.
        """


class GlobalStep(Step):
    """Decides over all rows at once: a summary of each shard (kept), then one decision over all summaries."""

    @abstractmethod
    def summarize(self, rows: Rows, context: Context) -> pa.Table:
        """One row a row, in order: all that the decision needs to know, and as little as possible."""

    @abstractmethod
    def columns(self, kind: Kind) -> Mapping[str, pa.DataType]:
        """The columns ``decide`` returns besides ``keep`` and ``reason``; named as in :class:`ScoreStep`."""

    @property
    def reads(self) -> tuple[str, ...]:
        """Names of scores and attributes whose values the decision needs.

        ``summarize`` returns the row's own columns ``scores`` and ``attributes`` with the summary; what earlier steps
        of the dataset found under these names is added to them before ``decide`` sees them, and so comes last in the
        lists.
        """
        return ()

    def assigns(self) -> Mapping[str, float] | None:
        """Split → share, if the step says in its attribute column ``split`` to which split of the dataset each row
        belongs.
        """
        return None

    @abstractmethod
    def decide(self, summaries: Sequence[Path], context: Context) -> Iterator[pa.Table]:
        """For each summary, in order, a table with ``keep`` (bool), ``reason`` (string, null if kept) and ``columns``.

        Args:
            summaries: parquet files, one a shard, as ``summarize`` made them, cut to the rows still kept.
        """


# ------------------------------------------------------------------------------------------------------------- sources
@dataclass(frozen=True)
class Unit:
    """The smallest part of a source that is read as a whole and cached on its own: a file, a pair of files, a Hub
    split.
    """

    name: str
    """As shown in lineage and errors; no absolute path."""
    files: tuple[Path, ...] = ()
    """Local files that make it; their content digest is the state."""
    state: str = ""
    """For what is not local files: the immutable state outside (a Hub commit)."""


class Source(Step):
    """Makes rows from the outside, unit by unit."""

    license: str
    """Licence of the data (an SPDX identifier, or ``unknown``)."""
    max_error_rate: Decision[float] = 0.01
    """The share of unreadable rows (0 to 1) above which the build stops."""

    @property
    @abstractmethod
    def makes(self) -> Kind:
        """The kind of its rows; read from the data where the catalog does not say."""

    @abstractmethod
    def units(self) -> Sequence[Unit]:
        """What there is to read, in order. Looks at names only; touches the network only if there is no other way.

        Raises:
            SourceError: nothing is there, or it cannot be told what it is.
        """

    @abstractmethod
    def read(self, unit: Unit, name: str, context: Context) -> Iterator[NewRows]:
        """The rows of a unit in its order, in batches of bounded size.

        Args:
            name: the source's name in the catalog, for lineage.
        """

    def row_languages(self) -> frozenset[str] | None:
        """The languages that its rows can be in; None: only the data tell."""
        return None

    def parent(self) -> str | None:
        """The source whose rows of the same key are this source's parents (``translation_of``)."""
        return None

    def unused(self, name: str) -> Unused:
        """What its first rows have and nothing uses; cheap, and nothing at all where looking would need the network.

        Raises:
            SourceError: they cannot be read.
        """
        return Unused()
