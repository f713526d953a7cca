"""Finds shifted stretches in line-aligned data: one file has a line too many, and all later targets belong to a
neighbour.

Any single row of such a stretch is simply wrong; over many rows, each target fits the source k rows away, always with
the same k (:mod:`curate.text.row_alignment`). Each stretch is reported once, with its shift and rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

from curate.catalog.params import Decision, EncoderName
from curate.data_files import DataFile
from curate.rows import Kind, main_fields, unknown_fields
from curate.steps import Context, Encoder, GlobalStep, Rows
from curate.text.numbers import NUMBER_WORDS
from curate.text.row_alignment import CHANGE, MIN_ROWS, align_rows
from curate.text.row_evidence import MAX_CHARS, features
from filters.similarity.sides import compares_own, sides

_NOTHING = pl.Series("text", [], dtype=pl.String)


class Misalignment(GlobalStep):
    """Finds stretches of rows whose targets belong to sources a constant number of rows away.

    Score ``shift``: 0 where a row's target belongs to its own source, k where it belongs to the source of the row k
    further on (in the order of the source, for each source and language pair separately; null: fewer than ``min_rows``
    rows, nothing to compare with, or not known). Attribute ``state``: ``shifted``, ``disordered`` in stretches where no
    source fits, or ``unsure`` near a change and in short stretches. A warning reports each stretch. Place it before
    steps that drop rows: afterwards neighbours are no longer neighbours. ``realign`` puts the rows right.
    """

    tag: ClassVar[str] = "misalignment"
    assesses: ClassVar[str] = "shift"
    compares: ClassVar[bool] = True
    package_data: ClassVar[tuple[DataFile, ...]] = (NUMBER_WORDS,)
    version: ClassVar[int] = 4
    summary: ClassVar[str] = "Detects rows shifted against their translations or parents by a constant number of lines."

    between: Literal["parents", "sides"] | None = None
    """What is compared: a row with its first parent, or source with target. Default: sides for parallel rows, parents
    for all others."""
    fields: tuple[str, ...] | None = None
    """The fields to compare, together. Default: the main fields of the kind."""
    max_chars: Annotated[int, Field(ge=20)] = MAX_CHARS
    """Longer texts are cut to this length."""
    encoder: EncoderName | None = None
    """A sentence encoder, for texts without numbers and names that are all of similar length."""
    max_shift: Decision[Annotated[int, Field(ge=1)] | None] = None
    """The largest shift to search for, in either direction. Default: any."""
    min_rows: Decision[Annotated[int, Field(ge=5)]] = MIN_ROWS
    """Shorter stretches are not reported; their rows are unsure."""
    change: Decision[Annotated[float, Field(gt=0)]] = CHANGE
    """The cost of a change of shift, in nats: a higher value finds less, with more certainty."""
    action: Decision[Literal["report", "drop"]] = "report"
    """``report`` warns and keeps all rows; ``drop`` also drops the rows of the stretches (``misalignment``)."""

    @property
    def untried(self) -> str:
        return "whole stretches of rows are judged together, and rows keep no number of their own"

    def check(self, kind: Kind) -> list[str]:
        if self.between == "sides" and kind is not Kind.PARALLEL:
            return [f"between: sides needs parallel rows, and these are {kind} rows; write 'parents'"]
        if compares_own(kind, self.between):
            return [] if self.fields is None else ["fields: does not apply to pairs; remove it"]
        return unknown_fields(kind, self.fields)

    def columns(self, kind: Kind) -> Mapping[str, pa.DataType]:
        return {"shift": pa.float64(), "state": pa.string()}

    # -------------------------------------------------------------------------------------------------------- summaries
    def summarize(self, rows: Rows, context: Context) -> pa.Table:
        own = compares_own(rows.kind, self.between)
        names = ("pair",) if own else self.fields or main_fields(rows.kind)
        lineage = rows.table["lineage"].combine_chunks()
        origin = pl.Series(lineage.field("source").to_pylist() if len(rows) else [], dtype=pl.String)
        encoder: Encoder | None = context.model(self.encoder) if self.encoder is not None else None
        parts = [features((_NOTHING, _NOTHING), ([], []), encoder).append_column("group", pa.array([], pa.string()))]
        for part in sides(rows, own, names, self.max_chars, context):
            tags = part.source_language, part.target_language
            found = features(_joined(part.texts), (tags[0].to_list(), tags[1].to_list()), encoder)
            # Null where there is no counterpart.
            group = origin.slice(part.start, len(tags[0])) + "\t" + tags[0] + "\t" + tags[1]
            parts.append(found.append_column("group", pa.array(group.to_list(), pa.string())))
        return pa.concat_tables(parts)

    # --------------------------------------------------------------------------------------------------------- decision
    def decide(self, summaries: Sequence[Path], context: Context) -> Iterator[pa.Table]:
        counts = [pq.read_metadata(path).num_rows for path in summaries]
        whole = pa.concat_tables([pq.read_table(path) for path in summaries]) if summaries else None
        shifts = np.full(sum(counts), np.nan)
        states = np.full(len(shifts), None, dtype=object)
        if whole is not None:
            groups = pl.Series("group", whole["group"].to_pylist(), dtype=pl.String)
            for name in groups.drop_nulls().unique(maintain_order=True).to_list():
                at = np.flatnonzero((groups == name).fill_null(False).to_numpy())
                if len(at) >= self.min_rows:
                    aligned = align_rows(
                        whole.take(pa.array(at)), change=self.change, min_rows=self.min_rows, max_shift=self.max_shift
                    )
                    shifts[at], states[at] = aligned.shifts(), aligned.states()
                    for message in aligned.messages(self.tag, name):
                        context.warn(message)
        start = 0
        for count in counts:
            part, state = shifts[start : start + count], states[start : start + count].tolist()
            start += count
            gone = [self.action == "drop" and one in ("shifted", "disordered") for one in state]
            yield pa.table(
                {
                    "keep": pa.array([not one for one in gone], pa.bool_()),
                    "reason": pa.array(["misalignment" if one else None for one in gone], pa.string()),
                    "shift": pa.array(part, from_pandas=True),
                    "state": pa.array(state, pa.string()),
                }
            )


def _joined(texts: Mapping[str, tuple[pl.Series, pl.Series]]) -> tuple[pl.Series, pl.Series]:
    sides_ = []
    for number in (0, 1):
        frame = pl.DataFrame([pair[number].fill_null("").alias(name) for name, pair in texts.items()])
        sides_.append(frame.select(pl.concat_str(pl.all(), separator="\n")).to_series())
    return sides_[0], sides_[1]
