"""The working copy of a store behind a URL: brought up to date before a command, and sent after it.

What another machine has removed is removed here. What this one has made and not yet sent is kept, and sent the next
time; but not what it made before rows were erased.
"""

from __future__ import annotations

import gzip
import hashlib
import logging
import shutil
import sqlite3
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import asdict
from pathlib import Path

import orjson

from curate.caches import bring as merge
from curate.caches import settle
from curate.engine.store.integrity import file_digest, read_sealed
from curate.engine.store.remote.fetch import (
    KNOWN,
    Entry,
    Known,
    known,
    object_name,
    objects_of,
    read_files,
    side_by_side,
)
from curate.engine.store.remote.head import Head
from curate.engine.store.remote.lease import Lease
from curate.errors import DamagedError, StoreError

_LOG = logging.getLogger("curate.engine")
_NOTES = ("store.json", "erasure.json", "state/*.json", "publish/*/*.json", "datasets/*/refs/*.json")
"""Small files that may change; they are always here."""
_DESCRIPTIONS = {"work": "result.json", "datasets": "manifest.json"}


class WorkingCopy:
    """A working copy, while its lock is held."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.objects = objects_of(self.root)

    # ------------------------------------------------------------------------------------------------------------ here
    def _stamp(self, path: str, digest: str) -> tuple[str, int, int]:
        about = (self.root / path).stat()
        return digest, about.st_size, about.st_mtime_ns

    def _same(self, now: Known, path: str) -> bool:
        """Whether a file is as it was when it was the same as there."""
        stamp = now.stamps.get(path)
        with suppress(FileNotFoundError):
            return stamp is not None and self._stamp(path, stamp[0]) == stamp
        return False

    def _units(self) -> dict[str, bool]:
        """Results and versions that are here, and whether they have a description."""
        found = {}
        for top, name in _DESCRIPTIONS.items():
            for folder in self.root.glob(f"{top}/*/[!.]*"):
                if folder.name != "refs" and folder.is_dir():
                    found[folder.relative_to(self.root).as_posix()] = (folder / name).is_file()
        return found

    def _notes(self) -> list[str]:
        return [
            path.relative_to(self.root).as_posix()
            for pattern in _NOTES
            for path in sorted(self.root.glob(pattern))
            if path.name[0] != "." and path.is_file()
        ]

    def _caches(self) -> list[str]:
        cache = self.root / "cache"
        files = [path for path in cache.rglob("*") if path.is_file()] if cache.is_dir() else []
        found = [path.relative_to(self.root).as_posix() for path in [self.root / "spending.sqlite", *files]]
        return sorted(path for path in found if _is_shared(path) and (self.root / path).is_file())

    def _save(self, now: Known) -> None:
        temporary = self.root / "remote" / f".tmp-{uuid.uuid4().hex}"
        temporary.write_bytes(orjson.dumps(asdict(now)))
        temporary.replace(self.root / KNOWN)

    # ------------------------------------------------------------------------------------------------------------ pull
    def pull(self, head: Head, *, caches: bool) -> None:
        """Brings the working copy up to date.

        Args:
            caches: also the caches of models and what was spent.

        Raises:
            StoreError: it cannot be reached, or its list of files is damaged.
        """
        before = known(self.root)
        theirs = before.files if before.index == head.index else self._read_index(head.index)
        erased = before.purges != head.purges
        now = Known(head.index, head.purges, theirs, dict(before.stamps))
        fetches: list[tuple[str, Entry]] = []
        self._pull_units(before, now, erased, fetches)
        self._pull_notes(before, now, erased, fetches)
        if erased:
            shutil.rmtree(self.root / "damaged", ignore_errors=True)
        changed = self._pull_caches(before, now, erased, fetches) if caches else []

        def fetch(one: tuple[str, Entry]) -> None:
            path, entry = one
            try:
                self.objects.fetch(object_name(path, entry), self.root / path, *entry)
            except ValueError as error:
                raise StoreError(f"{self.objects.url}: {path} is damaged: {error}") from None
            now.stamps[path] = self._stamp(path, entry[1])

        side_by_side(fetch, fetches)
        for aside, path in changed:
            _merge(aside, self.root / path)
        if changed:
            settle(self.root / "cache")
        if now != before:
            self._save(now)

    def _read_index(self, name: str) -> dict[str, dict[str, Entry]]:
        if not name:
            return {}
        found = self.objects.get(name)
        digest = name.partition("/")[2].partition(".")[0]
        try:
            if found is not None and hashlib.sha256(data := gzip.decompress(found[0])).hexdigest() == digest:
                return read_files(orjson.loads(data))
        except (OSError, EOFError, orjson.JSONDecodeError):
            pass
        raise StoreError(
            f"{self.objects.url}: its list of files ({name}) is {'gone' if found is None else 'damaged'}; try again, "
            "since another machine may have written a new one. If it stays so, name another folder and build anew"
        )

    def _pull_units(self, before: Known, now: Known, erased: bool, fetches: list[tuple[str, Entry]]) -> None:
        here = self._units()
        for unit in here:
            if unit not in now.files and (unit in before.files or erased):
                self._remove(now, unit)
        for unit, files in now.files.items():
            if not unit:
                continue
            folder, name = self.root / unit, _DESCRIPTIONS[unit.partition("/")[0]]
            path = f"{unit}/{name}"
            if name in files:
                if self._same(now, path) and now.stamps[path][0] == files[name][1]:
                    continue
                if here.get(unit):
                    if self._is(path, files[name]):
                        now.stamps[path] = self._stamp(path, files[name][1])
                        continue
                    if before.files.get(unit) == files and not erased:
                        continue  # made anew here, and not yet sent
                    self._remove(now, unit)
                fetches.append((path, files[name]))
            else:
                gone = before.files.get(unit, {}).keys() - files.keys()
                for file in folder.glob("*") if folder.is_dir() else ():
                    if file.name in gone or (erased and file.name not in files):
                        file.unlink(missing_ok=True)
            folder.mkdir(parents=True, exist_ok=True)

    def _pull_notes(self, before: Known, now: Known, erased: bool, fetches: list[tuple[str, Entry]]) -> None:
        old, new = before.files.get("", {}), now.files.get("", {})
        for path in self._notes():
            if path not in new and path != "store.json" and (path in old or erased):
                (self.root / path).unlink()
                now.stamps.pop(path, None)
        for path, entry in new.items():
            if _is_shared(path):
                continue
            if self._same(now, path) and now.stamps[path][0] == entry[1]:
                continue
            if (self.root / path).is_file():
                if self._is(path, entry):
                    now.stamps[path] = self._stamp(path, entry[1])
                    continue
                if old.get(path) == entry and not erased:
                    continue  # changed here, and not yet sent
            fetches.append((path, entry))

    def _pull_caches(
        self, before: Known, now: Known, erased: bool, fetches: list[tuple[str, Entry]]
    ) -> list[tuple[Path, str]]:
        """Moves aside what is here and was changed in both places; returns where to, and what it was."""
        new, aside = now.files.get("", {}), list[tuple[Path, str]]()
        for path in self._caches():
            if path not in new and (path in now.stamps or erased):
                self._remove(now, path)
        for path, entry in new.items():
            if not _is_shared(path):
                continue
            stamp = now.stamps.get(path)
            if stamp is not None and stamp[0] == entry[1] and (self.root / path).is_file() and not erased:
                continue  # as there, or changed here only
            if (self.root / path).is_file() and not erased and not self._unchanged(now, path):
                place = self.root / "cache" / "nodes" / f"copy-{uuid.uuid4().hex[:8]}" / path.removeprefix("cache/")
                place.parent.mkdir(parents=True)
                _checkpoint(self.root / path)
                (self.root / path).rename(place)
                aside.append((place, path))
            self._remove(now, path)
            fetches.append((path, entry))
        return aside

    def _unchanged(self, now: Known, path: str) -> bool:
        log = self.root / f"{path}-wal"
        return self._same(now, path) and not (log.exists() and log.stat().st_size)

    def _is(self, path: str, entry: Entry) -> bool:
        return file_digest(self.root / path) == entry[1]

    def _remove(self, now: Known, path: str) -> None:
        place = self.root / path
        for one in [one for one in now.stamps if one == path or one.startswith(f"{path}/")]:
            del now.stamps[one]
        if place.is_dir():
            aside = place.with_name(f".tmp-gone-{place.name}")
            place.rename(aside)
            shutil.rmtree(aside, ignore_errors=True)
        for name in (place, Path(f"{place}-wal"), Path(f"{place}-shm")):
            with suppress(OSError):
                name.unlink(missing_ok=True)

    # ------------------------------------------------------------------------------------------------------------ push
    def push(self, lease: Lease, *, caches: bool, sweep: bool = False, erased: bool = False) -> None:
        """Sends what is new here, and takes off the list what is gone from here.

        Args:
            caches: also the caches of models and what was spent.
            sweep: delete the objects that are on the list no more.
            erased: rows were erased: other working copies must not send what they made before.

        Raises:
            StoreError: it cannot be reached, or another process has taken over.
        """
        before = known(self.root)
        if before.index != lease.head.index:
            raise StoreError(
                f"{self.root}/{KNOWN} was removed or changed meanwhile; what is new here is sent next time"
            )
        now = Known(before.index, before.purges + erased, {"": {}}, dict(before.stamps))
        sends: dict[str, Path] = {}
        there = {
            object_name(f"{unit}/{name}", one) for unit, files in before.files.items() for name, one in files.items()
        }
        suspects = self._suspects()
        there -= suspects
        for unit, described in self._units().items():
            files = self._described(before, now, unit) if described else self._loose(before, now, unit)
            if files:
                now.files[unit] = files
        for path in self._notes():
            self._note(now, path)
        with tempfile.TemporaryDirectory(dir=self.root / "remote", prefix=".tmp-") as folder:
            if caches:
                for path in self._caches():
                    copy = self._cache(now, path, Path(folder))
                    if copy is not None:
                        sends[object_name(path, now.files[""][path])] = copy
            else:
                now.files[""] |= {path: one for path, one in before.files.get("", {}).items() if _is_shared(path)}
            for unit, files in now.files.items():
                for name, entry in files.items():
                    path = f"{unit}/{name}".lstrip("/")
                    if (key := object_name(path, entry)) not in there and (self.root / path).is_file():
                        sends.setdefault(key, self.root / path)

            def send(one: tuple[str, Path]) -> None:
                name, file = one
                lease.check()
                if name in suspects and file_digest(file) != name.partition("/")[2].partition(".")[0]:
                    return  # no better than what is there
                self.objects.put(name, file)
                (self.root / "remote" / "suspect" / name.rpartition("/")[2]).unlink(missing_ok=True)

            side_by_side(send, sends.items())
        if now.files != before.files or erased:
            data = orjson.dumps(now.files, option=orjson.OPT_SORT_KEYS)
            now.index = f"lists/{hashlib.sha256(data).hexdigest()}.json.gz"
            self.objects.put(now.index, gzip.compress(data, mtime=0))
            lease.commit(index=now.index, purges=now.purges)
            if before.index and before.index != now.index:
                self.objects.delete([before.index])
        if now != before:
            self._save(now)
        if sweep:
            self._sweep(now, lease)

    def _described(self, before: Known, now: Known, unit: str) -> dict[str, Entry]:
        """The files of a result or version: as before, or those that its new description names."""
        name = _DESCRIPTIONS[unit.partition("/")[0]]
        path, old = f"{unit}/{name}", before.files.get(unit, {})
        if name in old and self._same(before, path) and before.stamps[path][0] == old[name][1]:
            return old
        try:
            said = read_sealed(self.root / path)
            digest = file_digest(self.root / path)
            stamp = self._stamp(path, digest)
            if said is None:
                return old
            files = dict(_listed(said["files"]))
            for one, entry in files.items():
                lies = self.root / unit / one
                if old.get(one) != entry and (lies.stat().st_size != entry[0] or file_digest(lies) != entry[1]):
                    raise DamagedError(lies, "its bytes are not those that were written")
        except FileNotFoundError:
            return old  # it is being replaced; the next time
        except (DamagedError, OSError) as error:
            _LOG.warning(f"{unit} is damaged here and was not sent to {self.objects.url}: {error}")
            return old
        now.stamps[path] = stamp
        return {**files, name: (stamp[1], digest)}

    def _loose(self, before: Known, now: Known, unit: str) -> dict[str, Entry]:
        """The files of a folder without description (kept scores), which a new one replaces."""
        old = before.files.get(unit, {})
        if _DESCRIPTIONS[unit.partition("/")[0]] in old:
            return old  # its description is lost here, and comes again with the next pull
        files = {}
        for file in sorted((self.root / unit).glob("[!.]*")):
            if file.is_file():
                files[file.name] = self._entry(now, f"{unit}/{file.name}")
        return files if any(old.get(name) != entry for name, entry in files.items()) else old

    def _note(self, now: Known, path: str) -> None:
        with suppress(FileNotFoundError):
            now.files[""][path] = self._entry(now, path)

    def _entry(self, now: Known, path: str) -> Entry:
        """Size and digest of a file, which is read if it was changed."""
        if not self._same(now, path):
            now.stamps[path] = self._stamp(path, file_digest(self.root / path))
        digest, size, _ = now.stamps[path]
        return size, digest

    def _cache(self, now: Known, path: str, folder: Path) -> Path | None:
        """Puts a cache on the list; a copy of it, if it was changed: others may write it meanwhile."""
        old = now.stamps.get(path)
        _checkpoint(self.root / path)
        if old is not None and self._unchanged(now, path):
            size = known(self.root).files.get("", {}).get(path, (0, ""))
            if size[1] == old[0]:
                now.files[""][path] = size
                return None
        stamp = self._stamp(path, "")
        copy = folder / f"{len(now.files[''])}{Path(path).suffix}"
        if copy.suffix == ".sqlite":
            try:
                with closing(sqlite3.connect(self.root / path)) as one, closing(sqlite3.connect(copy)) as other:
                    one.backup(other)
            except sqlite3.Error as error:
                _LOG.warning(f"{path} cannot be read and was not sent to {self.objects.url}: {error}")
                if path in (there := known(self.root).files.get("", {})):
                    now.files[""][path] = there[path]
                return None
        else:
            shutil.copyfile(self.root / path, copy)
        digest = file_digest(copy)
        now.files[""][path] = copy.stat().st_size, digest
        now.stamps[path] = digest, stamp[1], stamp[2]
        return copy

    def _suspects(self) -> set[str]:
        folder = self.root / "remote" / "suspect"
        return {f"objects/{one.name}" for one in folder.iterdir()} if folder.is_dir() else set()

    def _sweep(self, now: Known, lease: Lease) -> None:
        """Deletes objects that are on the list no more, and sends those again that are missing there."""
        wanted = {
            object_name(name, entry): (f"{unit}/{name}".lstrip("/"), entry)
            for unit, files in now.files.items()
            for name, entry in files.items()
        }
        lease.check()
        found = dict(self.objects.listed("objects/"))
        self.objects.delete([name for name in found if name not in wanted])
        self.objects.delete([name for name, _ in self.objects.listed("lists/") if name != now.index])
        for name, (path, entry) in wanted.items():
            if found.get(name) != entry[0]:
                file = self.root / path
                if file.is_file() and file.stat().st_size == entry[0] and file_digest(file) == entry[1]:
                    self.objects.put(name, file)
                else:
                    _LOG.warning(f"{path} is {'damaged in' if name in found else 'gone from'} {self.objects.url}")


def _listed(files: object) -> Iterator[tuple[str, Entry]]:
    """The files of a description: those of a result, or those of a version's manifest."""
    if isinstance(files, Mapping):
        yield from ((str(name), (int(one[0]), str(one[1]))) for name, one in files.items())
    elif isinstance(files, list):
        yield from ((str(one["path"]), (int(one["bytes"]), str(one["sha256"]))) for one in files)


def _is_shared(path: str) -> bool:
    """Whether a file is a cache that all machines share, or what was spent."""
    if path == "spending.sqlite":
        return True
    top, _, name = path.partition("/")
    return (
        top == "cache"
        and name != "files.json"
        and not name.startswith("nodes/")
        and not any(part.startswith(".") for part in name.split("/"))
        and not name.endswith(("-wal", "-shm", "-journal"))
        and ".damaged-" not in name
    )


def _checkpoint(path: Path) -> None:
    """Writes what stands in the log of an SQLite file into the file."""
    if path.suffix == ".sqlite" and Path(f"{path}-wal").exists():
        with suppress(sqlite3.Error), closing(sqlite3.connect(path, timeout=10, isolation_level=None)) as file:
            file.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _merge(aside: Path, path: Path) -> None:
    """Adds what was found out here to what came from there; caches of models are merged by :func:`settle`."""
    if path.name == "spending.sqlite":
        try:
            merge(aside, path)
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"{aside} cannot be merged into {path}: {error}") from error
    elif path.suffix != ".sqlite":
        aside.unlink()


__all__ = ["WorkingCopy"]
