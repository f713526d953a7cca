"""Garbage collection: removes results that no version uses, and verifies that files are as they were written."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq

from curate.engine.store.integrity import check_digest, read_sealed
from curate.engine.store.lock import StoreLock, sweep
from curate.engine.store.remote.fetch import absent_bytes, bring_all
from curate.engine.store.store import Store
from curate.engine.store.versions import ID_LENGTH
from curate.errors import DamagedError, StoreError
from curate.rows import Kind, content_digest, row_ids, schema
from curate.rows.ids import row_digests


@dataclass
class Collected:
    """What ``gc`` removed, or would."""

    results: int = 0
    versions: list[str] = field(default_factory=list)
    bytes: int = 0
    left: list[str] = field(default_factory=list)
    """What was left alone although nothing may stand on it, and why."""


def collect_garbage(
    store: Store, *, keep_versions: int = 0, cache_days: float | None = None, dry_run: bool = False, wait: float = 0.0
) -> Collected:
    """Removes results that the last build of no dataset used, and versions that no ref names.

    Args:
        keep_versions: how many of the newest unnamed versions of each dataset to keep nevertheless.
        dry_run: only count.
    """
    found = Collected()
    with StoreLock(store.root, wait=wait):
        found.results, found.bytes = remove_unused_results(store, dry_run=dry_run)
        for name in store.datasets():
            sound, damaged = store.manifests(name)
            found.left += [f"{name}@{version}: {error}" for version, error in damaged.items()]
            if (unsure := [*store.damaged_refs(name).values(), *_damaged_records(store, name)]) and sound:
                found.left.append(f"all versions of {name}: {unsure[0]}")
                continue
            named = {str(ref["version"]) for ref in store.refs(name).values()} | _published(store, name)
            loose = sorted(
                (version for version in sound if version not in named),
                key=lambda version: sound[version]["created_at"],
                reverse=True,
            )
            for version in loose[keep_versions:]:
                found.versions.append(f"{name}@{version}")
                found.bytes += _remove(store.dataset(name) / version, dry_run)
        found.bytes += remove_damaged(store, dry_run=dry_run)
        if not dry_run:
            sweep(store.root)
    return found


def remove_unused_results(store: Store, *, dry_run: bool = False) -> tuple[int, int]:
    """Removes results that the last build of no dataset used; only while holding the lock.

    Returns:
        How many, and their bytes.
    """
    used: set[str] = set()
    for name in store.datasets():
        used.update(store.state(name).get("used") or _used_by_versions(store, name))
    unused = [folder for folder in store.root.glob("work/*/*") if f"{folder.parent.name}/{folder.name}" not in used]
    return len(unused), sum(_remove(folder, dry_run) for folder in unused)


def remove_damaged(store: Store, *, dry_run: bool = False) -> int:
    """Removes what was set aside because it was damaged; only while holding the lock.

    Returns:
        Its bytes.
    """
    asides = [
        path
        for top in (store.root, store.root / "cache", store.root / "cache" / "answers")
        for path in top.glob("*.damaged-*")
    ]
    return sum(_remove(path, dry_run) for path in [*(store.root / "damaged").glob("*"), *asides])


def _used_by_versions(store: Store, name: str) -> set[str]:
    """The results that a dataset's named versions stand on, where what its last build used is not known."""
    sound, _ = store.manifests(name)
    named = {str(ref["version"]) for ref in store.refs(name).values()}
    return {path for version in named & sound.keys() for path in sound[version]["results"]}


def _published(store: Store, name: str) -> set[str]:
    """Versions that were published: the truth of what is out there stays here."""
    found = (read_sealed(path) for path in _records(store, name))
    return {str(one["version"]) for one in found if one}


def _damaged_records(store: Store, name: str) -> list[DamagedError]:
    damaged = []
    for path in _records(store, name):
        try:
            read_sealed(path)
        except DamagedError as error:
            damaged.append(error)
    return damaged


def _records(store: Store, name: str) -> list[Path]:
    return sorted((store.root / "publish" / name).glob("[!.]*.json"))


def _remove(folder: Path, dry_run: bool) -> int:
    files = folder.rglob("*") if folder.is_dir() else [folder]
    size = sum(path.stat().st_size for path in files if path.is_file() and path.stat().st_nlink == 1)
    size += absent_bytes(folder)
    if not dry_run:
        discard(folder)
    return size


def discard(folder: Path) -> None:
    """Deletes a folder (or file): renamed first, so that a kill half-way leaves one that the next build sweeps, not
    half a result."""
    aside = folder.with_name(f".tmp-gone-{folder.name.removeprefix('.tmp-gone-')}")
    folder.rename(aside)
    if aside.is_dir():
        shutil.rmtree(aside)
    else:
        aside.unlink()


def verify_version(store: Store, name: str, ref: str = "latest") -> list[str]:
    """What is wrong with a version: files changed or missing, rows not what their ids say, digest not the
    version's; empty if nothing is."""
    version = store.resolve(name, ref)
    manifest = store.manifest(name, version)
    folder = store.dataset(name) / version
    bring_all(folder)
    problems: list[str] = []
    listed = {file["path"] for file in manifest["files"]}
    for path in folder.rglob("*.parquet"):
        if path.relative_to(folder).as_posix() not in listed:
            problems.append(f"{path.relative_to(folder).as_posix()}: not in the manifest")
    digests: dict[str, list[bytes]] = {}
    bad = ""
    for file in manifest["files"]:
        path = folder / file["path"]
        try:
            check_digest(path, file["bytes"], file["sha256"])
        except DamagedError as error:
            problems.append(f"{file['path']}: {error.why}")
            continue
        problems += [
            f"{file['path']}: {problem}" for problem in _check_rows(path, file, digests, manifest.get("extras", ()))
        ]
        if file["part"] == "quarantined":
            bad = content_digest(pq.read_table(path))
    if not problems and _digest(manifest, digests, bad) != version:
        problems.append("the digest of its rows is not the version's name")
    if not problems:
        problems += _check_lineage(store, manifest, folder)
    return problems


def _check_lineage(store: Store, manifest: dict[str, Any], folder: Path) -> list[str]:
    """What is wrong with where rows say they come from: a source or a result that the manifest does not know."""
    results, sources, complete = {path.rpartition("/")[2] for path in manifest["results"]}, set[str](), True
    for source in manifest["sources"]:
        sources.add(source["name"])
        if source.get("use") == "dataset":
            try:
                above = store.manifest(source["name"], source["version"])
            except StoreError:
                complete = False  # it was cleared away; what its rows say cannot be checked any more
                continue
            results |= {path.rpartition("/")[2] for path in above["results"]}
            complete &= not any(one.get("use") == "dataset" for one in above["sources"])
    problems = []
    for file in manifest["files"]:
        if file["part"] == "quarantined":
            continue
        lineage = pl.read_parquet(folder / file["path"], columns=["lineage"])["lineage"]
        named = set(lineage.struct.field("source").unique().to_list())
        keys = set(lineage.struct.field("makers").explode().struct.field("key").drop_nulls().unique().to_list()) - {""}
        if unknown := sorted(named - sources):
            problems.append(f"{file['path']}: rows come from {', '.join(unknown)}, which the manifest does not name")
        if complete and (lost := sorted(keys - results)):
            problems.append(
                f"{file['path']}: rows were made by {len(lost)} results that the manifest does not name, such "
                f"as {lost[0]}"
            )
    return problems


def _check_rows(
    path: Path, file: dict[str, Any], digests: dict[str, list[bytes]], extras: Collection[str]
) -> list[str]:
    table = pq.read_table(path)
    problems = []
    if table.num_rows != file["rows"]:
        problems.append(f"{table.num_rows} rows, the manifest says {file['rows']}")
    if file["part"] == "quarantined":
        return problems
    digests.setdefault(file["part"], []).extend(row_digests(table))
    kind = Kind(path.name.split("-")[0]) if file["part"] == "rejected" else None
    if kind is None:
        from curate.rows.kinds import kind_of

        kind = kind_of(table.column_names)
    wrong = [
        index
        for index, (said, is_) in enumerate(zip(table["id"].to_pylist(), row_ids(kind, table).to_pylist(), strict=True))
        if said != is_
    ]
    if wrong:
        problems.append(f"row {wrong[0]} is not what its id says ({len(wrong)} such rows)")
    expected = schema(kind, extras)
    if table.schema.names[: len(expected.names)] != expected.names:
        problems.append("its columns are not those of its kind")
    return problems


def _digest(manifest: dict[str, Any], digests: dict[str, list[bytes]], bad: str) -> str:
    from curate.engine.store.shards import QUARANTINED

    bad = bad or content_digest(QUARANTINED.empty_table())
    whole = hashlib.blake2b(f"curate-version-1:{manifest['kind']}:{bad}".encode(), digest_size=32)
    for split in manifest["recipe"]["splits"]:
        whole.update(f"\0split {split}\0".encode() + b"".join(digests.get(split, [])))
    whole.update(b"\0rejected\0" + b"".join(digests.get("rejected", [])))
    return whole.hexdigest()[:ID_LENGTH]
