"""Brings a working copy up to date with the store behind its URL.

What another machine has removed is removed here. What this one has made and not yet sent is kept; but not what it made
before rows were erased.
"""

from __future__ import annotations

import gzip
import hashlib
import shutil
import sqlite3
import uuid
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import orjson

from curate.caches import bring as merge
from curate.caches import settle
from curate.engine.store.remote.fetch import Entry, Known, known, object_name, read_files, side_by_side, suspect
from curate.engine.store.remote.head import Head
from curate.engine.store.remote.working_copy import DESCRIPTIONS, UNSENT, WorkingCopy, checkpoint, is_shared
from curate.errors import StoreError


def pull(copy: WorkingCopy, head: Head, *, caches: bool) -> list[str]:
    """Brings a working copy up to date.

    Args:
        caches: also the caches of models and what was spent.

    Returns:
        What is damaged or gone there, a line each: here it is as if it were lost, and what needs it says so.

    Raises:
        StoreError: the store cannot be reached, or its list of files is damaged.
    """
    return _Pull(copy, head).run(caches)


class _Pull:
    def __init__(self, copy: WorkingCopy, head: Head) -> None:
        self._copy = copy
        self._before = known(copy.root)
        theirs = self._before.files if self._before.index == head.index else self._read_index(head.index)
        self._now = Known(head.index, head.purges, theirs, dict(self._before.stamps))
        self._erased = self._before.purges != head.purges
        """Whether rows were erased since this copy was up to date."""
        self._unsent = any((copy.root / "remote" / name).exists() for name in UNSENT)
        """Whether what is not here was removed by a command that could not send it; else a cache was cleared."""
        self._fetches: list[tuple[str, Entry]] = []
        self._lost: list[str] = []

    def run(self, caches: bool) -> list[str]:
        self._units()
        self._notes()
        merges = []
        if caches or self._erased:
            merges = self._caches()
        if self._erased:
            shutil.rmtree(self._copy.root / "damaged", ignore_errors=True)
        side_by_side(self._fetch, self._fetches)
        for aside, path in merges:
            _merge(aside, self._copy.root / path)
        if merges:
            settle(self._copy.root / "cache")
        if self._now != self._before:
            self._copy.save(self._now)
        return sorted(self._lost)

    def _fetch(self, one: tuple[str, Entry]) -> None:
        path, entry = one
        root, objects = self._copy.root, self._copy.objects
        try:
            objects.fetch(object_name(path, entry), root / path, *entry, aside=root / "remote")
        except ValueError as error:
            suspect(root, object_name(path, entry))
            self._lost.append(f"{path} cannot be used: {error}")
            return
        self._now.stamps[path] = self._copy.stamp(path, entry[1])

    def _read_index(self, name: str) -> dict[str, dict[str, Entry]]:
        if not name:
            return {}
        found = self._copy.objects.get(name)
        digest = name.partition("/")[2].partition("-")[0]
        try:
            if found is not None and hashlib.sha256(data := gzip.decompress(found[0])).hexdigest() == digest:
                return _inside(read_files(orjson.loads(data)))
        except (OSError, EOFError, orjson.JSONDecodeError):
            pass
        raise StoreError(
            f"{self._copy.objects.url}: its list of files ({name}) is {'gone' if found is None else 'damaged'}; try "
            "again, since another machine may have written a new one. If it stays so, name another folder"
        )

    def _units(self) -> None:
        """Removes results and versions that are gone there, and fetches descriptions of new ones."""
        here = self._copy.units()
        for unit in here:
            if unit not in self._now.files and (unit in self._before.files or self._erased):
                self._copy.remove(self._now, unit)
        for unit, files in self._now.files.items():
            if not unit:
                continue
            if self._unsent and unit not in here and self._before.files.get(unit) == files:
                continue  # removed here, and not yet sent
            name = DESCRIPTIONS[unit.partition("/")[0]]
            if name not in files:
                self._loose(unit, files)
            elif not self._is_here(f"{unit}/{name}", files[name]):
                if here.get(unit):
                    if self._before.files.get(unit) == files and not self._erased:
                        continue  # made anew here, and not yet sent
                    self._copy.remove(self._now, unit)
                self._fetches.append((f"{unit}/{name}", files[name]))
            # A folder that is not here at the end of a command was removed by it.
            (self._copy.root / unit).mkdir(parents=True, exist_ok=True)

    def _loose(self, unit: str, files: Mapping[str, Entry]) -> None:
        """Removes kept scores that are gone there."""
        gone = self._before.files.get(unit, {}).keys() - files.keys()
        for file in (self._copy.root / unit).glob("[!.]*"):
            if file.name in gone or (self._erased and file.name not in files):
                file.unlink(missing_ok=True)

    def _notes(self) -> None:
        """Brings small files up to date; one that was changed in both places is as there."""
        old, new = self._before.files.get("", {}), self._now.files.get("", {})
        for path in self._copy.notes():
            if path not in new and path != "store.json" and (path in old or self._erased):
                self._copy.remove(self._now, path)
        for path, entry in new.items():
            if is_shared(path) or self._is_here(path, entry):
                continue
            there = self._unsent or (self._copy.root / path).is_file()
            if there and old.get(path) == entry and not self._erased:
                continue  # changed or removed here, and not yet sent
            self._fetches.append((path, entry))

    def _is_here(self, path: str, entry: Entry) -> bool:
        """Whether a file is here as it is there."""
        if self._copy.same(self._now, path) and self._now.stamps[path][0] == entry[1]:
            return True
        if (self._copy.root / path).is_file() and self._copy.holds(path, entry):
            self._now.stamps[path] = self._copy.stamp(path, entry[1])
            return True
        return False

    def _caches(self) -> list[tuple[Path, str]]:
        """Brings caches up to date. Those that were changed in both places are moved aside, to be merged.

        Returns:
            Of these where they are now, and what they were.
        """
        root, new = self._copy.root, self._now.files.get("", {})
        aside = [(one, "spending.sqlite") for one in (root / "remote").glob("unmerged-*.sqlite")]
        for path in self._copy.caches():
            if path not in new and (path in self._now.stamps or self._erased):
                self._copy.remove(self._now, path)
        for path, entry in new.items():
            if not is_shared(path):
                continue
            here, stamp = (root / path).is_file(), self._now.stamps.get(path)
            if here and stamp is not None and stamp[0] == entry[1] and not self._erased:
                continue  # as there, or changed here only
            if here and not self._erased and not self._copy.unchanged(self._now, path):
                word = uuid.uuid4().hex[:8]
                place = root / "cache" / "nodes" / f"copy-{word}" / path.removeprefix("cache/")
                if path == "spending.sqlite":  # should this end here, settle() would make a cache of it
                    place = root / "remote" / f"unmerged-{word}.sqlite"
                place.parent.mkdir(parents=True, exist_ok=True)
                checkpoint(root / path)
                (root / path).rename(place)
                aside.append((place, path))
            self._copy.remove(self._now, path)
            self._fetches.append((path, entry))
        return aside


def _inside(files: dict[str, dict[str, Entry]]) -> dict[str, dict[str, Entry]]:
    """The list of files, none of which lies outside of the store, whoever wrote it.

    Raises:
        StoreError: one does.
    """
    for unit, listed in files.items():
        parts = unit.split("/") if unit else []
        for name in listed:
            path = PurePosixPath(*parts, name)
            if path.is_absolute() or ".." in path.parts or (unit and (len(parts) != 3 or parts[0] not in DESCRIPTIONS)):
                raise StoreError(
                    f"the list of files names {str(path)!r}, which is no place in a store; nothing was read"
                )
    return files


def _merge(aside: Path, path: Path) -> None:
    """Adds what was found out here to what came from there; caches of models are merged by :func:`settle`."""
    if path.name == "spending.sqlite":
        try:
            merge(aside, path)
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"{aside} cannot be merged into {path}: {error}") from error
    elif path.suffix != ".sqlite":
        aside.unlink()
