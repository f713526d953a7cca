"""``realign``: gives each target of line-aligned rows the source that it belongs to, where lines are missing, extra or
moved.

The sources are found as ``misalignment`` finds them (:mod:`curate.text.row_alignment`), for each source of rows and
language pair separately.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, ClassVar

import numpy as np
import pyarrow as pa
from pydantic import Field

from curate.catalog.params import Decision, EncoderName
from curate.data_files import DataFile
from curate.generation.common.derived_rows import (
    all_licenses,
    derive_rows,
    failed,
    in_order,
    unchanged_rows,
    with_findings,
)
from curate.rows import Kind
from curate.steps import Context, DatasetStep, Encoder, RowBatch, Rows
from curate.text.numbers import NUMBER_WORDS
from curate.text.row_alignment import MIN_ROWS, Integers, align_rows
from curate.text.row_evidence import MAX_CHARS, features

_LOST = "no source fits its target: a line too many, or rows in no order"


class Realign(DatasetStep):
    """Puts sources and targets that were shifted against each other together again.

    A row whose target belongs to another row's source gets that source, and that row's item; both rows are its parents,
    and its attribute ``realign.shift`` says how many rows further on the source was. Rows that are beside their own
    source stay as they are. Where another source may be right too, ``realign.state`` is ``unsure``. A target whose
    source is not found is quarantined. Place it before steps that drop rows.
    """

    tag: ClassVar[str] = "realign"
    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.PARALLEL})
    package_data: ClassVar[tuple[DataFile, ...]] = (NUMBER_WORDS,)
    summary: ClassVar[str] = "shifted parallel rows with the right source again, found by the order of all rows"

    encoder: EncoderName | None = None
    """A sentence encoder, for texts without numbers and names that are all of similar length."""
    max_error_rate: Decision[Annotated[float, Field(ge=0, le=1)]] = 1.0
    """Maximum share of rows whose source is not found (0 to 1); above it the build stops."""

    def languages_after(self, kind: Kind, languages: frozenset[str] | None) -> frozenset[str] | None:
        return languages

    def gather(self, rows: Iterable[Rows], context: Context) -> Iterator[pa.Table | RowBatch]:
        encoder: Encoder | None = context.model(self.encoder) if self.encoder is not None else None
        known = _Known(rows, encoder, context)
        start = 0
        for part in rows:
            end = start + len(part)
            yield _batch(part, start, known, known.partner[start:end], known.unsure[start:end].tolist())
            start = end


class _Known:
    """What is held of all rows: what sources and targets are compared by, and what a row takes from another one."""

    def __init__(self, rows: Iterable[Rows], encoder: Encoder | None, context: Context) -> None:
        groups: list[str] = []
        tables, taken = [], []
        for part in rows:
            source, target = (part.text(name).str.slice(0, MAX_CHARS) for name in ("source", "target"))
            tags = part.field_language("source").to_list(), part.field_language("target").to_list()
            tables.append(features((source, target), tags, encoder))
            lineage = part.table["lineage"].combine_chunks()
            groups += ["\t".join(each) for each in zip(lineage.field("source").to_pylist(), *tags, strict=True)]
            taken.append(
                part.table.select(["id", "group_id", "source"]).append_column("license", lineage.field("license"))
            )
            context.advance(0)
        self.partner, self.unsure = np.arange(len(groups)), np.zeros(len(groups), bool)
        self.place = np.arange(len(groups))
        """The place of each row among those of its source and languages."""
        if not groups:
            return
        self.rows, whole, names = pa.concat_tables(taken), pa.concat_tables(tables), np.array(groups, dtype=object)
        for name in dict.fromkeys(groups):
            at = np.flatnonzero(names == name)
            self.place[at] = np.arange(len(at))
            if len(at) >= MIN_ROWS:
                found = align_rows(whole.take(pa.array(at)))
                self.partner[at] = np.where(found.partner < 0, -1, at[found.partner])
                self.unsure[at] = found.unsure
                for message in found.messages(Realign.tag, name):
                    context.warn(message)
                self._tell(name, at, self.partner[at], context)

    @staticmethod
    def _tell(name: str, at: Integers, partner: Integers, context: Context) -> None:
        moved, lost = int(((partner >= 0) & (partner != at)).sum()), int((partner < 0).sum())
        if moved or lost:
            source, one, other = name.split("\t")
            alone = len(at) - len(np.unique(partner[partner >= 0]))
            context.warn(
                f"realign: '{source}' ({one}→{other}): {moved:,} of {len(at):,} targets got another source, {lost:,} "
                f"have none, and {alone:,} sources have no target"
            )


def _batch(part: Rows, start: int, known: _Known, partner: Integers, unsure: Sequence[bool]) -> RowBatch:
    """The rows of one batch, in their order."""
    places = np.arange(len(part))
    moved = places[(partner >= 0) & (partner != places + start)]
    stay, lost = places[partner == places + start].tolist(), places[partner < 0].tolist()
    states = [{"state": "unsure"} if one else {} for one in unsure]
    table = in_order(
        with_findings(unchanged_rows(part), Realign.tag, attributes=states),
        stay,
        _moved(part, start, moved, partner[moved], known, states),
        moved.tolist(),
    )
    return RowBatch(table, tuple(failed(part, at, _LOST) for at in lost))


def _moved(
    part: Rows, start: int, moved: Integers, partner: Integers, known: _Known, states: Sequence[dict[str, str]]
) -> pa.Table:
    """The rows that get the source of another row."""
    theirs = known.rows.take(pa.array(partner))
    own = part.table["lineage"].combine_chunks().field("license").take(pa.array(moved)).to_pylist()
    languages = part.language.to_list()
    shifts = (known.place[partner] - known.place[moved + start]).tolist()
    return derive_rows(
        Kind.PARALLEL,
        part,
        moved.tolist(),
        {
            "source": theirs["source"].to_pylist(),
            "target": part.table["target"].take(pa.array(moved)).to_pylist(),
            "source_language": part.table["source_language"].take(pa.array(moved)).to_pylist(),
        },
        [languages[one] for one in moved.tolist()],
        step=Realign.tag,
        attributes=[{"shift": f"{shift:+d}", **states[one]} for one, shift in zip(moved.tolist(), shifts, strict=True)],
        more_parents=[[one] for one in theirs["id"].to_pylist()],
        group_id=theirs["group_id"].to_pylist(),
        licenses=[all_licenses(*both) for both in zip(own, theirs["license"].to_pylist(), strict=True)],
    )
