"""Finds damaged files in a store and sets them aside, so that the next build makes them again."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from curate.caches import find_damaged, salvage_file
from curate.engine.store.columns import kept_scores
from curate.engine.store.integrity import check_digest, read_sealed
from curate.engine.store.lock import StoreLock, sweep
from curate.engine.store.remote.fetch import bring_all
from curate.engine.store.store import Store
from curate.errors import DamagedError


@dataclass(frozen=True)
class Damage:
    """One thing that is not what was written."""

    error: DamagedError
    unit: Path
    """The file or folder that has to go with it."""
    version: tuple[str, str] | None = None
    """Dataset and version, where it is one."""


@dataclass
class Repaired:
    """What was put aside."""

    lines: list[str] = field(default_factory=list)
    """One for each thing: what was wrong with it, and where it is now."""
    lost: list[str] = field(default_factory=list)
    """``name@version``: versions that were put aside; a build makes those again whose recipe is still that of the
    catalog."""


def find_damage(store: Store) -> Iterator[Damage]:
    """Reads everything in a store, the bytes of every file included, and compares it with what was written."""
    root = store.root
    bring_all(root)
    for path in (root / "store.json", *sorted((root / "state").glob("[!.]*.json")), root / "cache" / "files.json"):
        yield from _sealed(path)
    for step in _folders(root / "work"):
        for folder in _folders(step):
            yield from _result(store, step.name, folder)
    for dataset in _folders(root / "datasets"):
        sound, damaged = store.manifests(dataset.name)
        for version, error in damaged.items():
            yield Damage(error, dataset / version, (dataset.name, version))
        for version, manifest in sound.items():
            yield from _version(dataset, version, manifest)
        for error in store.damaged_refs(dataset.name).values():
            yield Damage(error, error.path)
        for ref, about in store.refs(dataset.name).items():
            if about["version"] not in sound and about["version"] not in damaged:
                path = dataset / "refs" / f"{ref}.json"
                yield Damage(DamagedError(path, f"the version {about['version']} that it names is gone"), path)
    for path in sorted((root / "publish").glob("*/[!.]*.json")):
        yield from _sealed(path)
    for path, why in find_damaged([*sorted((root / "cache").rglob("*.sqlite")), root / "spending.sqlite"]):
        yield Damage(DamagedError(path, why), path)


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and path.name[0] != ".") if folder.is_dir() else []


def _sealed(path: Path) -> Iterator[Damage]:
    try:
        read_sealed(path)
    except DamagedError as error:
        yield Damage(error, path)


def _result(store: Store, step: str, folder: Path) -> Iterator[Damage]:
    try:
        about = store.result(step, folder.name)
        for name, (size, digest) in (about or {"files": {}})["files"].items():
            check_digest(folder / name, size, digest)
        if about is None and any(folder.glob("scores-*")) and kept_scores(folder) is None:
            raise DamagedError(next(iter(sorted(folder.glob("scores-*")))), "its bytes are not those that were written")
    except DamagedError as error:
        yield Damage(error, folder)


def _version(dataset: Path, version: str, manifest: dict[str, Any]) -> Iterator[Damage]:
    folder = dataset / version
    try:
        for file in manifest["files"]:
            check_digest(folder / file["path"], file["bytes"], file["sha256"])
    except DamagedError as error:
        yield Damage(error, folder, (dataset.name, version))
        return
    listed = {file["path"] for file in manifest["files"]}
    for path in sorted(folder.rglob("*.parquet")):
        if path.relative_to(folder).as_posix() not in listed:
            yield Damage(DamagedError(path, "it is not in the manifest"), path)


def repair_store(store: Store, *, wait: float = 0.0) -> Repaired:
    """Puts aside all that is damaged, into the store's folder ``damaged``; nothing is thrown away.

    Args:
        wait: seconds to wait for a build in the same store to end.

    Raises:
        StoreError: a build is at work.
    """
    found = Repaired()
    with StoreLock(store.root, wait=wait):
        damages = list(find_damage(store))
        for damage in damages:
            if not os.path.lexists(damage.unit):
                continue  # it went with another one
            where = store.set_aside(damage.unit).relative_to(store.root)
            inside = damage.error.path.relative_to(store.root)
            found.lines.append(f"{inside}: {damage.error.why}; moved to {where}")
            if damage.version is not None:
                found.lost.append("@".join(damage.version))
            for beside in ("-wal", "-shm"):
                log = damage.unit.with_name(damage.unit.name + beside)
                if damage.unit.suffix == ".sqlite" and log.exists():
                    log.rename(store.root / where.with_name(where.name + beside))
            if damage.unit.parent.name == "answers" and (kept := salvage_file(store.root / where, damage.unit)):
                found.lines[-1] += f"; {kept:,} answers of it could be kept"
        if not (store.root / "store.json").exists():
            store.write_format()
        for name in store.datasets():
            found.lines += _point_latest(store, name)
        sweep(store.root)
    return found


def _point_latest(store: Store, name: str) -> list[str]:
    """No name of a dataset names a version that is not there, and ``latest`` names one if there is one."""
    refs, (sound, _) = store.refs(name), store.manifests(name)
    lines = []
    for ref, about in refs.items():
        if about["version"] not in sound:
            store.set_aside(store.dataset(name) / "refs" / f"{ref}.json")
            lines.append(f"{name}@{ref}: named the version {about['version']}, which is not there any more")
    if "latest" in refs and refs["latest"]["version"] in sound:
        return lines
    last = store.state(name).get("version")
    newest = last if last in sound else max(sound, key=lambda one: sound[one]["created_at"], default=None)
    if newest is not None:
        manifest = sound[newest]
        told = {key: manifest[key] for key in ("recipe", "build_key", "description", "audits")}
        store.set_ref(name, "latest", {"version": newest, **told, "built_at": manifest["created_at"]})
        lines.append(f"{name}@latest: names {newest} again")
    return lines
