"""Finds rows by id, item or place in the files of a store: those of versions first, then those on the way to them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curate.engine.store.remote.fetch import bring_all
from curate.engine.store.store import Store
from curate.errors import DamagedError, StoreError
from curate.rows import present

Chooser = Callable[[pa.Table], pa.Array | pa.ChunkedArray]


@dataclass(frozen=True)
class VersionFile:
    """A file of a version."""

    dataset: str
    version: str
    part: str
    """Its split, ``rejected`` or ``quarantined``."""
    path: str
    """Below the store."""


@dataclass
class StoredRows:
    """The rows of a store."""

    store: Store
    damaged: dict[str, None] = field(default_factory=dict)
    """What could not be read, a line each."""

    def version_files(self) -> Iterator[VersionFile]:
        """The files of all versions, dataset by dataset, the latest version first."""
        for name in self.store.datasets():
            latest = self.store.refs(name).get("latest", {}).get("version")
            for version in sorted(self.store.versions(name), key=lambda one: one != latest):
                try:
                    listed = self.store.manifest(name, version)["files"]
                except StoreError as error:
                    self.damaged[str(error)] = None
                    continue
                for file in listed:
                    yield VersionFile(name, version, file["part"], f"datasets/{name}/{version}/{file['path']}")

    def work_files(self) -> Iterator[str]:
        """The row files of all results."""
        bring_all(self.store.root, "rows-*.parquet")
        for path in sorted(self.store.root.glob("work/*/[!.]*/rows-*.parquet")):
            yield path.relative_to(self.store.root).as_posix()

    def rows_in(self, path: str, columns: list[str], choose: Chooser) -> list[dict[str, Any]]:
        """The rows of a file that are chosen by some of its columns; none of a damaged file, which is noted."""
        try:
            bring_all(self.store.root / path)
            found = choose(pq.read_table(self.store.root / path, columns=columns))
            if not pc.any(found).as_py():
                return []
            table = pq.read_table(self.store.checked(path)).filter(found)
        except (DamagedError, OSError, pa.ArrowException) as error:
            self.damaged[f"{path} cannot be read and was skipped: {error}"] = None
            return []
        return [present(row) for row in table.to_pylist()]

    def by_id(self, ids: Iterable[str], first: Iterable[str] = ()) -> dict[str, dict[str, Any]]:
        """Rows by id, wherever they are found first.

        Args:
            first: files to look into before all others.
        """
        wanted, found = set(ids), dict[str, dict[str, Any]]()

        def everywhere() -> Iterator[str]:
            yield from first
            yield from (one.path for one in self.version_files() if one.part != "quarantined")
            yield from self.work_files()

        for path in everywhere():
            left = wanted - found.keys()
            if not left:
                break
            for row in self.rows_in(path, ["id"], among(left)):
                found.setdefault(row["id"], row)
        return found


def among(ids: Iterable[str]) -> Chooser:
    """Chooses the rows with these ids."""
    wanted = pa.array(sorted(ids), pa.string())
    return lambda table: pc.is_in(table["id"], wanted)
