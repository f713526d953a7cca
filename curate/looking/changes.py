"""The rows that two versions do not share, with their texts: those of one place beside each other, then what is gone
and what is new."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from curate.engine.store.diff import sides
from curate.engine.store.store import Store
from curate.looking.stored import StoredRows, among
from curate.records import Entry, Record, beside, texts
from curate.records.record import title_of
from curate.records.shown import Shown

_PLACE = ["source", "origin", "language", "number"]


@dataclass
class ChangedRow:
    """A row that differs between two versions."""

    old: dict[str, Any] | None
    """None: it is new."""
    new: dict[str, Any] | None
    """None: it is gone."""
    because: str = ""
    """For a row that is gone, the step that dropped it; for one that is new, the step that dropped it before."""


@dataclass
class ChangedRows(Shown):
    """Rows that differ between two versions."""

    old: str
    """``name@version``."""
    new: str
    counts: dict[str, int]
    """``changed``, ``removed``, ``added``: how many there are, of which ``rows`` are some."""
    rows: list[ChangedRow] = field(default_factory=list)

    @property
    def title(self) -> str:
        counts = ", ".join(f"{count:,} {what}" for what, count in self.counts.items())
        return f"{self.old} → {self.new}: {counts}"

    def records(self) -> list[Record]:
        found = [_record(one) for one in self.rows]
        left = sum(self.counts.values()) - len(self.rows)
        return [*found, Record(f"{self.title}{f'; {left:,} of them not shown' if left else ''}")]


def _record(one: ChangedRow) -> Record:
    why = (Entry.of("because", one.because),) if one.because else ()
    if one.old is not None and one.new is not None:
        return Record(f"changed  {title_of(one.old)} → {one.new['id']}", (*why, *beside(one.old, one.new)))
    row = one.old or one.new
    assert row is not None
    said = tuple(Entry.of(label, text, language) for label, text, language in texts(row))
    return Record(f"{'removed' if one.new is None else 'added'}  {title_of(row)}", (*why, *said))


def changed_rows(store: Store, first: str, second: str | None = None, *, rows: int = 20) -> ChangedRows:
    """Rows that two versions do not share: changed ones first, then removed and added ones, in the versions' order.

    Two rows are one that changed if they are of one place of a source, in one language.

    Args:
        first: ``name`` or ``name@ref``; alone, it is compared with the version before it.
        second: the newer one.
        rows: how many to show.

    Raises:
        StoreError: there is no such version.
        DamagedError: a file of them is not what was written.
    """
    before, after = sides(store, first, second)
    left, right = _Side(store, *before), _Side(store, *after)
    gone, fresh = left.without(right), right.without(left)
    pairs = gone.filter(pl.col("origin") != "").join(
        fresh, on=_PLACE, how="inner", suffix="_new", maintain_order="left"
    )
    removed = gone.join(pairs, on="id", how="anti", maintain_order="left")["id"].to_list()
    added = fresh.join(pairs, left_on="id", right_on="id_new", how="anti", maintain_order="left")["id"].to_list()
    counts = {"changed": pairs.height, "removed": len(removed), "added": len(added)}
    # As many of each as there are, but none takes the place of the others.
    shares = _shares(list(counts.values()), rows)
    changed = list(zip(pairs["id"].to_list(), pairs["id_new"].to_list(), strict=True))[: shares[0]]
    removed, added = removed[: shares[1]], added[: shares[2]]
    old = left.rows([*(one for one, _ in changed), *removed])
    new = right.rows([*(one for _, one in changed), *added])
    dropped, before_dropped = right.reasons(removed), left.reasons(added)
    return ChangedRows(
        f"{before[0]}@{before[1]}",
        f"{after[0]}@{after[1]}",
        counts,
        [
            *(ChangedRow(old[one], new[other]) for one, other in changed),
            *(ChangedRow(old[one], None, _said("dropped by", dropped.get(one))) for one in removed),
            *(ChangedRow(None, new[one], _said("no longer dropped by", before_dropped.get(one))) for one in added),
        ],
    )


def _said(what: str, reason: str | None) -> str:
    return f"{what} {reason}" if reason else ""


def _shares(counts: Sequence[int], most: int) -> list[int]:
    """How many of each to show: equal parts, and what one does not need goes to the others, first to last."""
    shares = [min(count, most // len(counts)) for count in counts]
    for place, count in enumerate(counts):
        shares[place] += min(count - shares[place], most - sum(shares))
    return shares


class _Side:
    """One of the two versions."""

    def __init__(self, store: Store, name: str, version: str) -> None:
        self.store, self.stored = store, StoredRows(store)
        listed = store.check_version(name, version)["files"]
        folder = f"datasets/{name}/{version}"
        self.data = [f"{folder}/{file['path']}" for file in listed if file["path"].startswith("data/")]
        self.rejected = [f"{folder}/{file['path']}" for file in listed if file["path"].startswith("rejected/")]
        lineage = pl.col("lineage").struct
        frames = [pl.DataFrame(schema=dict.fromkeys(("id", "language", "source", "origin"), pl.String))]
        for path in self.data:
            frame = pl.read_parquet(store.checked(path), columns=["id", "language", "lineage"])
            frames.append(
                frame.select("id", "language", lineage.field("source"), lineage.field("source_id").alias("origin"))
            )
        self.ids = pl.concat(frames).unique("id", keep="first", maintain_order=True)

    def without(self, other: _Side) -> pl.DataFrame:
        """The rows that the other side does not have; ``number`` counts those of one place."""
        found = self.ids.join(other.ids, on="id", how="anti", maintain_order="left")
        return found.with_columns(pl.int_range(pl.len()).over(_PLACE[:-1]).alias("number"))

    def rows(self, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        return self.stored.by_id(ids, self.data)

    def reasons(self, ids: Sequence[str]) -> dict[str, str]:
        """Step and reason of those that were dropped here."""
        return {
            row["id"]: f"{row['step']} ({row['reason']})"
            for path in (self.rejected if ids else ())
            for row in self.stored.rows_in(path, ["id"], among(ids))
        }
