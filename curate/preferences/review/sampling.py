"""A sample of a version is fair when every stratum has its share and the digest of id and seed decides which rows those are."""

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
from curate.rows import Kind, schema

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
    """Rejected rows of another kind (dropped before a step that makes other rows), which no sheet can show beside these."""

    @classmethod
    def open(cls, store: Store, name: str, *, rejected: bool) -> Version:
        """``name`` or ``name@ref``.

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
        for number, wanted in places.items():
            part = self.parts[number]
            for row in pq.read_table(part.path).take(pa.array(wanted, pa.int64())).to_pylist():
                yield part, row

    def find(self, ids: set[str]) -> dict[str, dict[str, Any]]:
        """The rows with these ids."""
        found: dict[str, dict[str, Any]] = {}
        for number, part in enumerate(self.parts):
            here = pq.read_table(part.path, columns=["id"])["id"].to_pylist()
            places = [place for place, one in enumerate(here) if one in ids and one not in found]
            for _, row in self.rows({number: places}) if places else ():
                found.setdefault(row["id"], row)
        return found


@dataclass(frozen=True)
class Sample:
    """Some rows of a version."""

    rows: list[tuple[Part, dict[str, Any]]]
    strata: dict[tuple[str, ...], tuple[int, int]]
    """Stratum → (rows there are, rows taken)."""


def sample_of(version: Version, size: int | None, by: Sequence[str], share: Share, seed: int) -> Sample:
    """A stratified sample, in an order that tells nothing.

    Args:
        size: how many rows; None for all.
        by: see :data:`BY`, and ``attribute.NAME``.
        share: ``equal``: as many rows of each stratum as far as it has them; ``proportional``: by its size.

    Raises:
        StepError: rows have no such property.
    """
    wrong = [name for name in by if name not in BY and not name.startswith("attribute.")]
    if wrong:
        raise StepError(
            f"review: rows cannot be taken by '{wrong[0]}'{nearest(wrong[0], BY)}; there are {', '.join(BY)} and attribute.NAME"
        )
    if share not in ("equal", "proportional"):
        raise StepError(f"review: the share of a stratum is equal or proportional, not '{share}'")
    strata: dict[tuple[str, ...], list[tuple[bytes, int, int]]] = {}
    known: set[str] = set()
    for number, part in enumerate(version.parts):
        for place, (row, stratum) in enumerate(_strata(part, version.kind, by)):
            if row not in known:  # a row that is both kept and rejected counts once
                known.add(row)
                rank = blake2b(f"{seed}:{row}".encode(), digest_size=8, person=b"curate-sample").digest()
                strata.setdefault(stratum, []).append((rank, number, place))
    sizes = {stratum: len(found) for stratum, found in sorted(strata.items())}
    wanted = sizes if size is None else shares(sizes, size, share)
    chosen = sorted(one for stratum, found in strata.items() for one in sorted(found)[: wanted[stratum]])
    places: dict[int, list[int]] = {}
    for _, number, place in chosen:
        places.setdefault(number, []).append(place)
    read: dict[tuple[int, int], tuple[Part, dict[str, Any]]] = {}
    for number, wanted_here in places.items():
        read |= {
            (number, place): row for place, row in zip(wanted_here, version.rows({number: wanted_here}), strict=True)
        }
    return Sample(
        [read[number, place] for _, number, place in chosen], {one: (sizes[one], wanted[one]) for one in sizes}
    )


def shares(sizes: Mapping[tuple[str, ...], int], size: int, share: Share) -> dict[tuple[str, ...], int]:
    """How many rows of each stratum, together ``size`` where there are so many."""
    wanted = dict.fromkeys(sizes, 0)
    left = min(size, sum(sizes.values()))
    if share == "proportional":
        whole = sum(sizes.values()) or 1
        exact = {one: left * count / whole for one, count in sizes.items()}
        wanted = {one: int(value) for one, value in exact.items()}
        rest = sorted(sizes, key=lambda one: (wanted[one] - exact[one], one))
        for one in rest[: left - sum(wanted.values())]:
            wanted[one] += 1
        return wanted
    while left:
        open_ = [one for one, count in sizes.items() if wanted[one] < count]
        each = left // len(open_)
        if not each:
            for one in open_[:left]:
                wanted[one] += 1
            break
        for one in open_:
            more = min(each, sizes[one] - wanted[one])
            wanted[one] += more
            left -= more
    return wanted


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
        wanted = name.partition(".")[2]
        return lambda row: next((str(one["value"]) for one in reversed(row["attributes"]) if one["name"] == wanted), "")
    return lambda row: str(row[name])


def told_of(part: Part, row: Mapping[str, Any]) -> dict[str, str]:
    """What was thought of a row before: status, step, reason, scores."""
    scores = {one["name"]: one["value"] for one in row["scores"]}
    shown = " ".join(f"{name}={value:g}" for name, value in scores.items())
    return {"status": part.status, "step": row.get("step") or "", "reason": row.get("reason") or "", "scores": shown}


def counted(sample: Sample) -> Counter[str]:
    """How many rows of each language there are in a sample."""
    return Counter(row["language"] for _, row in sample.rows)
