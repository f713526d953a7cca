"""Draws a stratified sample of a version; which rows it has depends on row ids and the seed only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from curate.catalog.suggestions import nearest
from curate.engine.store.store import Store
from curate.errors import StepError
from curate.rows import Kind, schema, widen

Share = Literal["equal", "proportional"]
BY = ("language", "status", "step", "reason", "split", "source", "maker")


@dataclass(frozen=True, slots=True)
class Part:
    """A file of a version."""

    path: Path
    status: Literal["kept", "rejected"]
    split: str


@dataclass(frozen=True)
class Version:
    """A finished version of a dataset."""

    name: str
    version: str
    kind: Kind
    parts: tuple[Part, ...]
    other_kinds: int
    """Rejected rows of another kind (dropped before a step that makes other rows), which cannot be annotated
    together."""

    @classmethod
    def open(cls, store: Store, name: str, *, rejected: bool) -> Version:
        """Opens ``name`` or ``name@ref``.

        Raises:
            StoreError: there is none.
        """
        dataset, _, ref = name.partition("@")
        version = store.resolve(dataset, ref or "latest")
        manifest, folder = store.check_version(dataset, version, digests=True), store.dataset(dataset) / version
        kind = Kind(manifest["kind"])
        parts = [
            Part(folder / path, "kept", split) for split, value in manifest["splits"].items() for path in value["files"]
        ]
        others = 0
        if rejected:
            for file in manifest["files"]:
                if file["path"].startswith(f"rejected/{kind.value}-"):
                    parts.append(Part(folder / file["path"], "rejected", ""))
                elif file["path"].startswith("rejected/"):
                    others += file["rows"]
        return cls(dataset, version, kind, tuple(parts), others)

    def rows(self, places: Mapping[int, Sequence[int]]) -> Iterator[tuple[Part, dict[str, Any]]]:
        """The rows at these places of these parts."""
        for number, rows in places.items():
            part = self.parts[number]
            for row in widen(pq.read_table(part.path)).take(pa.array(rows, pa.int64())).to_pylist():
                yield part, row

    def find(self, ids: set[str]) -> dict[str, dict[str, Any]]:
        """The rows with these ids."""
        rows: dict[str, dict[str, Any]] = {}
        for number, part in enumerate(self.parts):
            here = pq.read_table(part.path, columns=["id"])["id"].to_pylist()
            places = [place for place, one in enumerate(here) if one in ids and one not in rows]
            for _, row in self.rows({number: places}) if places else ():
                rows.setdefault(row["id"], row)
        return rows


@dataclass(frozen=True)
class Sample:
    """Some rows of a version."""

    rows: list[tuple[Part, dict[str, Any]]]
    strata: dict[tuple[str, ...], tuple[int, int]]
    """Stratum → (rows in it, rows sampled)."""


def sample_of(version: Version, size: int | None, by: Sequence[str], share: Share, seed: int) -> Sample:
    """A stratified sample, in an order without meaning.

    Args:
        size: number of rows; None for all.
        by: see :data:`BY`, and ``attribute.NAME``.
        share: ``equal``: the same number of rows from each stratum, where it has them; ``proportional``: by its size.

    Raises:
        StepError: rows have no such property.
    """
    unknown = [name for name in by if name not in BY and not name.startswith("attribute.")]
    if unknown:
        similar = nearest(unknown[0], BY)
        raise StepError(
            f"review: rows cannot be sampled by '{unknown[0]}'{similar}; there are {', '.join(BY)} and attribute.NAME"
        )
    if share not in ("equal", "proportional"):
        raise StepError(f"review: 'share' is equal or proportional, not '{share}'")
    strata: dict[tuple[str, ...], list[tuple[bytes, int, int]]] = {}
    known: set[str] = set()
    for number, part in enumerate(version.parts):
        for place, (row, stratum) in enumerate(_strata(part, version.kind, by)):
            if row not in known:  # a row that is both kept and rejected counts once
                known.add(row)
                rank = blake2b(f"{seed}:{row}".encode(), digest_size=8, person=b"curate-sample").digest()
                strata.setdefault(stratum, []).append((rank, number, place))
    sizes = {stratum: len(rows) for stratum, rows in sorted(strata.items())}
    counts = sizes if size is None else shares(sizes, size, share)
    chosen = sorted(one for stratum, rows in strata.items() for one in sorted(rows)[: counts[stratum]])
    places: dict[int, list[int]] = {}
    for _, number, place in chosen:
        places.setdefault(number, []).append(place)
    by_place: dict[tuple[int, int], tuple[Part, dict[str, Any]]] = {}
    for number, here in places.items():
        by_place |= {(number, place): row for place, row in zip(here, version.rows({number: here}), strict=True)}
    rows = [by_place[number, place] for _, number, place in chosen]
    return Sample(rows, {one: (sizes[one], counts[one]) for one in sizes})


def shares(sizes: Mapping[tuple[str, ...], int], size: int, share: Share) -> dict[tuple[str, ...], int]:
    """The number of rows from each stratum, together ``size`` or all rows."""
    counts = dict.fromkeys(sizes, 0)
    left = min(size, sum(sizes.values()))
    if share == "proportional":
        total = sum(sizes.values()) or 1
        exact = {one: left * count / total for one, count in sizes.items()}
        counts = {one: int(value) for one, value in exact.items()}
        by_remainder = sorted(sizes, key=lambda one: (counts[one] - exact[one], one))
        for one in by_remainder[: left - sum(counts.values())]:
            counts[one] += 1
        return counts
    while left:
        unfilled = [one for one, count in sizes.items() if counts[one] < count]
        each = left // len(unfilled)
        if not each:
            for one in unfilled[:left]:
                counts[one] += 1
            break
        for one in unfilled:
            more = min(each, sizes[one] - counts[one])
            counts[one] += more
            left -= more
    return counts


def _strata(part: Part, kind: Kind, by: Sequence[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Id and stratum of each row of a file."""
    names = ["id", "language"]
    if any(name in ("source", "maker") for name in by):
        names.append("lineage")
    if any(name.startswith("attribute.") for name in by):
        names.append("attributes")
    names += [name for name in ("step", "reason") if part.status == "rejected" and name in by]
    known = set(schema(kind).names) | {"step", "reason"}
    table = pq.read_table(part.path, columns=[name for name in names if name in known])
    getters = [_getter(name, part) for name in by]
    for batch in table.to_batches(65_536):
        for row in batch.to_pylist():
            yield row["id"], tuple(get(row) for get in getters)


def _getter(name: str, part: Part) -> Callable[[Mapping[str, Any]], str]:
    if name == "status":
        return lambda row: part.status
    if name == "split":
        return lambda row: part.split
    if name in ("step", "reason"):
        return lambda row: str(row.get(name) or "")
    if name == "source":
        return lambda row: str(row["lineage"]["source"])
    if name == "maker":
        return lambda row: next((str(one["model"]) for one in reversed(row["lineage"]["makers"]) if one["model"]), "")
    if name.startswith("attribute."):
        key = name.partition(".")[2]
        return lambda row: next((str(one["value"]) for one in reversed(row["attributes"]) if one["name"] == key), "")
    return lambda row: str(row[name])


def earlier_verdicts(part: Part, row: Mapping[str, Any]) -> dict[str, str]:
    """The status, step, reason and scores that a row has."""
    scores = {one["name"]: one["value"] for one in row["scores"]}
    shown = " ".join(f"{name}={value:g}" for name, value in scores.items())
    return {"status": part.status, "step": row.get("step") or "", "reason": row.get("reason") or "", "scores": shown}


def rows_by_language(sample: Sample) -> Counter[str]:
    """The number of rows of each language in a sample."""
    return Counter(row["language"] for _, row in sample.rows)
