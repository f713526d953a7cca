"""Sends what is new in a working copy to the store behind its URL, and takes off the list what is gone."""

from __future__ import annotations

import gzip
import hashlib
import logging
import re
import shutil
import sqlite3
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path

import orjson

from curate.engine.store.integrity import file_digest, read_sealed
from curate.engine.store.remote.fetch import KNOWN, Entry, Known, known, object_name, side_by_side
from curate.engine.store.remote.lease import Lease
from curate.engine.store.remote.working_copy import DESCRIPTIONS, WorkingCopy, checkpoint, is_shared
from curate.errors import DamagedError, StoreError

_LOG = logging.getLogger("curate.engine")
_OURS = re.compile(r"(objects|lists)/[0-9a-f]{64}(-[0-9a-f]{8})?(\.\w+)*")
"""Names of objects that curate has written; what else lies there is somebody else's."""
_DELETED = 1000
"""Objects that are deleted at once."""


def push(copy: WorkingCopy, lease: Lease, *, caches: bool, sweep: bool = False, erased: bool = False) -> None:
    """Sends what is new here, and takes off the list what is gone from here.

    Args:
        caches: also the caches of models and what was spent.
        sweep: delete the objects that are on the list no more.
        erased: rows were erased: other working copies must not send what they made before.

    Raises:
        StoreError: the store cannot be reached, or another process has taken over.
    """
    with tempfile.TemporaryDirectory(dir=copy.root / "remote", prefix=".tmp-") as folder:
        _Push(copy, lease, Path(folder)).run(caches, sweep, erased)


class _Push:
    def __init__(self, copy: WorkingCopy, lease: Lease, folder: Path) -> None:
        self._copy, self._lease, self._folder = copy, lease, folder
        self._before = known(copy.root)
        self._now = Known(self._before.index, self._before.purges, {"": {}}, dict(self._before.stamps))
        self._copies: dict[str, Path] = {}
        """Copies of caches, by their paths."""
        suspects = copy.root / "remote" / "suspect"
        self._suspects = {f"objects/{one.name}" for one in suspects.iterdir()} if suspects.is_dir() else set[str]()

    def run(self, caches: bool, sweep: bool, erased: bool) -> None:
        before, now, objects = self._before, self._now, self._copy.objects
        if before.index != self._lease.head.index:
            raise StoreError(f"{self._copy.root / KNOWN} was removed or changed by another program meanwhile")
        for unit, described in self._copy.units().items():
            files = self._described(unit) if described else self._loose(unit)
            if files:
                now.files[unit] = files
        for path in self._copy.notes():
            with suppress(FileNotFoundError):  # removed this moment
                now.files[""][path] = self._copy.entry(now, path)
        if caches:
            for path in self._copy.caches():
                self._cache(path)
        else:
            now.files[""] |= {path: one for path, one in before.files.get("", {}).items() if is_shared(path)}
        side_by_side(self._send, self._new().items())
        if now.files != before.files or erased:
            now.purges += erased
            data = orjson.dumps(now.files, option=orjson.OPT_SORT_KEYS)
            # No two have one name: whoever was overtaken while it deletes an old list deletes no new one.
            now.index = f"lists/{hashlib.sha256(data).hexdigest()}-{uuid.uuid4().hex[:8]}.json.gz"
            objects.put(now.index, gzip.compress(data, mtime=0))
            self._lease.commit(index=now.index, purges=now.purges)
            objects.delete([before.index] * bool(before.index) + self._superseded())
        if now != before:
            self._copy.save(now)
        if sweep:
            self._sweep()

    def _new(self) -> dict[str, Path]:
        """The objects that are not there, and the files to make them of."""
        there = {name for name, _ in _objects(self._before)} - self._suspects
        found: dict[str, Path] = {}
        for name, (path, _) in _objects(self._now):
            file = self._copies.get(path, self._copy.root / path)
            if name not in there and file.is_file():
                found.setdefault(name, file)
        return found

    def _superseded(self) -> list[str]:
        """The objects with former states of caches and notes, which would add up; results stay until ``gc``."""
        now = {name for name, _ in _objects(self._now)}
        former = (object_name(path, entry) for path, entry in self._before.files.get("", {}).items())
        return [name for name in former if name not in now]

    def _send(self, one: tuple[str, Path]) -> None:
        name, file = one
        self._lease.check()
        if name in self._suspects and file_digest(file) != name.partition("/")[2].partition(".")[0]:
            return  # no better than what is there
        self._copy.objects.put(name, file)
        (self._copy.root / "remote" / "suspect" / name.rpartition("/")[2]).unlink(missing_ok=True)

    def _described(self, unit: str) -> dict[str, Entry]:
        """The files of a result or version: as before, or those that its new description names."""
        name = DESCRIPTIONS[unit.partition("/")[0]]
        path, old, stamps = f"{unit}/{name}", self._before.files.get(unit, {}), self._now.stamps
        if name in old and self._copy.same(self._before, path) and stamps[path][0] == old[name][1]:
            return old
        try:
            said = read_sealed(self._copy.root / path)
            digest = file_digest(self._copy.root / path)
            stamp = self._copy.stamp(path, digest)
            if said is None:
                return old
            files = dict(_listed(said["files"]))
            for one, entry in files.items():
                lies = self._copy.root / unit / one
                if old.get(one) != entry and (lies.stat().st_size != entry[0] or file_digest(lies) != entry[1]):
                    raise DamagedError(lies, "its bytes are not those that were written")
        except FileNotFoundError:
            return old  # it is being replaced; the next time
        except (DamagedError, OSError) as error:
            _LOG.warning(f"{unit} is damaged here and was not sent to {self._copy.objects.url}: {error}")
            return old
        stamps[path] = stamp
        return {**files, name: (stamp[1], digest)}

    def _loose(self, unit: str) -> dict[str, Entry]:
        """The files of a folder without description (kept scores), which a new one replaces."""
        old = self._before.files.get(unit, {})
        if DESCRIPTIONS[unit.partition("/")[0]] in old:
            return old  # its description is lost here, and comes again with the next pull
        files = {}
        for file in sorted((self._copy.root / unit).glob("[!.]*")):
            if file.is_file():
                files[file.name] = self._copy.entry(self._now, f"{unit}/{file.name}")
        return files if any(old.get(name) != entry for name, entry in files.items()) else old

    def _cache(self, path: str) -> None:
        """Puts a cache on the list; if it was changed, with a copy of it: others may write it meanwhile."""
        root, listed, stamps = self._copy.root, self._now.files[""], self._now.stamps
        there = self._before.files.get("", {}).get(path)
        checkpoint(root / path)
        if there is not None and self._copy.unchanged(self._now, path) and stamps[path][0] == there[1]:
            listed[path] = there
            return
        stamp = self._copy.stamp(path, "")
        copy = self._folder / f"{len(listed)}{Path(path).suffix}"
        try:
            if copy.suffix == ".sqlite":
                with closing(sqlite3.connect(root / path)) as one, closing(sqlite3.connect(copy)) as other:
                    one.backup(other)
            else:
                shutil.copyfile(root / path, copy)
        except sqlite3.Error as error:
            _LOG.warning(f"{path} cannot be read and was not sent to {self._copy.objects.url}: {error}")
            if there is not None:
                listed[path] = there
            return
        self._copies[path] = copy
        digest = file_digest(copy)
        listed[path] = copy.stat().st_size, digest
        stamps[path] = digest, stamp[1], stamp[2]

    def _sweep(self) -> None:
        """Deletes objects that are on the list no more, and sends those again that are missing there."""
        objects, wanted = self._copy.objects, dict(_objects(self._now))
        found = {name: size for name, size in objects.listed("objects/") if _OURS.fullmatch(name)}
        lists = [name for name, _ in objects.listed("lists/") if _OURS.fullmatch(name) and name != self._now.index]
        gone = [name for name in found if name not in wanted] + lists
        for start in range(0, len(gone), _DELETED):
            self._lease.commit()  # nobody has taken over so far, who may need one of them again
            objects.delete(gone[start : start + _DELETED])
        for name, (path, entry) in wanted.items():
            if found.get(name) != entry[0]:
                file = self._copies.get(path, self._copy.root / path)
                if file.is_file() and file.stat().st_size == entry[0] and file_digest(file) == entry[1]:
                    objects.put(name, file)
                else:
                    _LOG.warning(f"{path} is {'damaged in' if name in found else 'gone from'} {objects.url}")


def _objects(known: Known) -> Iterator[tuple[str, tuple[str, Entry]]]:
    """All objects on a list, each with the path and entry of a file that it holds."""
    for unit, files in known.files.items():
        for name, entry in files.items():
            path = f"{unit}/{name}".lstrip("/")
            yield object_name(path, entry), (path, entry)


def _listed(files: object) -> Iterator[tuple[str, Entry]]:
    """The files of a description: those of a result, or those of a version's manifest."""
    if isinstance(files, Mapping):
        yield from ((str(name), (int(one[0]), str(one[1]))) for name, one in files.items())
    elif isinstance(files, list):
        yield from ((str(one["path"]), (int(one["bytes"]), str(one["sha256"]))) for one in files)
