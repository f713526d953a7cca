"""The store: results and versions on disk, written to a temporary sibling, fsynced and renamed, never changed.

``work/<step>/<key>/`` holds the result of one step on one shard, ``datasets/<name>/<version>/`` a finished version,
``datasets/<name>/refs/*.json`` names for versions, ``state/`` what the last build of each dataset used, ``cache/``
model answers by content, ``damaged/`` what was not as it had been written. A folder that exists is complete, and is
checked
when it is read (:mod:`curate.engine.store.integrity`).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import socket
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from curate.engine.store.integrity import check_digest, check_size, check_sizes, list_files, read_sealed, seal
from curate.engine.store.lock import refresh
from curate.engine.store.remote.fetch import bring_all, url_of
from curate.engine.store.remote.session import is_working_copy
from curate.errors import DamagedError, StoreError
from curate.files import digest_files, stamp

FORMAT = 2
_LISTS: dict[str, tuple[tuple[int, int, int, int], Mapping[str, tuple[int, str]]]] = {}
"""Description → what it looked like when it was read, and the files that it lists."""
_SCRATCH_DEAD = 86_400.0
"""Seconds after which a scratch folder of another machine counts as left behind."""


def write_atomically(path: Path, data: bytes) -> None:
    """Writes a small file so that a reader sees the old or the new content, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".tmp-{uuid.uuid4().hex}-{path.name}")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Makes renames in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class Store:
    """A folder of results."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def open(self) -> Store:
        """Makes the folder if need be; a working copy is brought up to date.

        Raises:
            StoreError: it was made by a newer format, or cannot be reached.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        refresh(self.root, caches=True)
        about = read_sealed(self.root / "store.json")
        if about is None:
            # A build that began meanwhile may sweep the temporary file away; then it has written the same.
            with contextlib.suppress(FileNotFoundError):
                self.write_format()
        elif about.get("format") != FORMAT:
            raise StoreError(
                f"{self.root} has format {about.get('format')}, this curate writes format {FORMAT}; use another "
                "store ('run: {store: …}' "
                "in the catalog). Its folder 'cache' may be copied there: then no answer of a model is paid for again"
            )
        return self

    @property
    def place(self) -> str:
        """Where it is, for people: its folder, or the URL that this is a working copy of."""
        return url_of(self.root) if is_working_copy(self.root) else str(self.root)

    def write_format(self) -> None:
        """Writes down which format the store has."""
        # Everything here can be built again: git and backup tools need not look.
        write_atomically(self.root / ".gitignore", b"*\n")
        write_atomically(self.root / "store.json", seal({"format": FORMAT}))

    # --------------------------------------------------------------------------------------------------------- results
    def work(self, step: str, key: str) -> Path:
        """The folder of a step's result."""
        return self.root / "work" / step / key

    def result(self, step: str, key: str) -> dict[str, Any] | None:
        """What is known of a result, or None if there is none.

        Raises:
            DamagedError: it is not what was written; of its files the sizes are looked at.
        """
        folder = self.work(step, key)
        found = read_sealed(folder / "result.json")
        if found is None:
            if (folder / "result.json").is_symlink() or any(_is_result(path) for path in _entries(folder)):
                raise DamagedError(folder / "result.json", "it is gone")
            return None
        if found.get("key") != key:
            raise DamagedError(folder / "result.json", "it describes another result")
        check_sizes(folder, found["files"])
        return found

    def checked(self, path: str) -> Path:
        """A file of the store, by its path below the root, whose bytes are those that were written.

        Raises:
            DamagedError: they are not.
            StoreError: nothing describes it.
        """
        top, first, second, *inside = path.split("/")
        described = self.root / top / first / second / ("result.json" if top == "work" else "manifest.json")
        try:
            about = described.stat()
        except OSError:
            raise DamagedError(described, "it is gone") from None
        stamp = (about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns)
        known = _LISTS.get(str(described))
        if known is None or known[0] != stamp:
            if top == "work":
                files = (read_sealed(described) or {}).get("files", {})
            else:
                files = {
                    file["path"]: (file["bytes"], file["sha256"]) for file in self.manifest(first, second)["files"]
                }
            known = _LISTS[str(described)] = (stamp, files)
        name = "/".join(inside)
        if name not in known[1]:
            raise DamagedError(self.root / path, "nothing says what it should hold")
        return check_digest(self.root / path, *known[1][name])

    def set_aside(self, path: Path) -> Path:
        """Moves what is damaged out of the way, into ``damaged/``; only while holding the lock.

        Returns:
            Where it is now.
        """
        inside = path.relative_to(self.root)
        target = self.root / "damaged" / f"{time.strftime('%Y%m%dT%H%M%S')}-{uuid.uuid4().hex[:6]}" / inside
        target.parent.mkdir(parents=True)
        path.rename(target)
        return target

    def commit(
        self, final: Path, fill: Callable[[Path], dict[str, Any]], *, name: str = "result.json", replace: bool = False
    ) -> dict[str, Any]:
        """Makes a folder whole or not at all.

        Args:
            final: where it will be; what is there but has no sound description is set aside.
            fill: writes the files into the folder it is given and returns what ``name`` is to hold.
            name: the file that describes the folder; a ``result.json`` also gets the size and digest of each file.
            replace: whether it takes the place of a folder that is there.
        """
        final.parent.mkdir(parents=True, exist_ok=True)
        temporary = final.parent / f".tmp-{final.name}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        temporary.mkdir()
        try:
            about = fill(temporary)
            if name == "result.json":
                about = {**about, "files": list_files(temporary)}
            (temporary / name).write_bytes(seal(about))
            for path in temporary.rglob("*"):
                if path.is_file():
                    with path.open("rb") as file:
                        os.fsync(file.fileno())
                else:
                    sync_folder(path)
            sync_folder(temporary)
            try:
                temporary.rename(final)
            except OSError:
                if replace:
                    # A kill in between leaves no result, which the next build makes again.
                    aside = final.parent / f".tmp-old-{final.name}-{uuid.uuid4().hex[:8]}"
                    final.rename(aside)
                    temporary.rename(final)
                    shutil.rmtree(aside, ignore_errors=True)
                elif self._is_sound(final / name):
                    shutil.rmtree(temporary)  # somebody made the same result meanwhile
                else:
                    self.set_aside(final)
                    temporary.rename(final)
            sync_folder(final.parent)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        return about

    @staticmethod
    def _is_sound(path: Path) -> bool:
        try:
            return read_sealed(path) is not None
        except DamagedError:
            return False

    def sweep(self) -> None:
        """Removes what killed builds left half-done; only while holding the lock."""
        for pattern in (
            "work/*/.tmp-*",
            "datasets/*/.tmp-*",
            "datasets/*/refs/.tmp-*",
            "state/.tmp-*",
            "cache/.tmp-*",
            "damaged/.tmp-*",
            "copies/.tmp-*",
            ".tmp-*",
        ):
            for path in self.root.glob(pattern):
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                elif not path.name.startswith(".tmp-lock") or _is_left_behind(path):  # another's attempt
                    path.unlink(missing_ok=True)
        for folder in _entries(self.root / "scratch"):
            if _is_left_behind(folder):
                shutil.rmtree(folder, ignore_errors=True)

    @contextlib.contextmanager
    def scratch(self) -> Iterator[Path]:
        """A folder for temporary files, gone afterwards."""
        folder = self.root / "scratch" / f"{uuid.uuid4().hex}-{os.getpid()}-{socket.gethostname()}"
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    # -------------------------------------------------------------------------------------------------------- versions
    def dataset(self, name: str) -> Path:
        """The folder of a dataset's versions."""
        return self.root / "datasets" / name

    def datasets(self) -> list[str]:
        """The names of all datasets that have a version."""
        folder = self.root / "datasets"
        return sorted(path.name for path in folder.iterdir() if (path / "refs").is_dir()) if folder.is_dir() else []

    def versions(self, name: str) -> list[str]:
        """All complete versions of a dataset, in no order."""
        folder = self.dataset(name)
        return (
            sorted(path.name for path in folder.iterdir() if path.name[0] != "." and (path / "manifest.json").exists())
            if folder.is_dir()
            else []
        )

    def manifest(self, name: str, version: str) -> dict[str, Any]:
        """The manifest of a version.

        Raises:
            DamagedError: it is not what was written.
            StoreError: there is no such version.
        """
        path = self.dataset(name) / version / "manifest.json"
        found = read_sealed(path)
        if found is None:
            if (self.dataset(name) / version).is_dir():
                raise DamagedError(path, "it is gone")
            raise StoreError(f"dataset '{name}' has no version '{version}'")
        if (found.get("dataset"), found.get("version")) != (name, version):
            raise DamagedError(path, "it describes another version")
        return found

    def check_version(self, name: str, version: str, *, digests: bool = False) -> dict[str, Any]:
        """The manifest of a version whose files are there as it says.

        Args:
            digests: read every file, and do not only look at sizes.

        Raises:
            DamagedError: one is not.
            StoreError: there is no such version.
        """
        manifest = self.manifest(name, version)
        if digests:
            bring_all(self.dataset(name) / version)
        for file in manifest["files"]:
            path = self.dataset(name) / version / file["path"]
            if digests:
                check_digest(path, file["bytes"], file["sha256"])
            else:
                check_size(path, file["bytes"])
        return manifest

    def manifests(self, name: str) -> tuple[dict[str, dict[str, Any]], dict[str, DamagedError]]:
        """Version → manifest of a dataset; and what is wrong with the versions that have no sound one."""
        sound: dict[str, dict[str, Any]] = {}
        damaged: dict[str, DamagedError] = {}
        for path in _entries(self.dataset(name)):
            if path.name == "refs" or not path.is_dir():
                continue
            try:
                sound[path.name] = self.manifest(name, path.name)
            except DamagedError as error:
                damaged[path.name] = error
        return sound, damaged

    def refs(self, name: str) -> dict[str, dict[str, Any]]:
        """Ref name → ``{version, built_at}``; without those whose file is damaged (:meth:`damaged_refs`)."""
        return self._refs(name)[0]

    def damaged_refs(self, name: str) -> dict[str, DamagedError]:
        """Names of a dataset's versions that cannot be read, and why."""
        return self._refs(name)[1]

    def _refs(self, name: str) -> tuple[dict[str, dict[str, Any]], dict[str, DamagedError]]:
        sound: dict[str, dict[str, Any]] = {}
        damaged: dict[str, DamagedError] = {}
        for path in sorted((self.dataset(name) / "refs").glob("[!.]*.json")):
            try:
                found = read_sealed(path)
                if found is not None:
                    if not isinstance(found.get("version"), str):
                        raise DamagedError(path, "it names no version")
                    sound[path.stem] = found
            except DamagedError as error:
                damaged[path.stem] = error
        return sound, damaged

    def set_ref(self, name: str, ref: str, about: dict[str, Any]) -> None:
        """Points a name at a version."""
        self._describe(self.dataset(name) / "refs" / f"{ref}.json", about)

    def resolve(self, name: str, ref: str = "latest") -> str:
        """The version that a ref, a version or the unambiguous beginning of one names.

        Raises:
            StoreError: nothing or more than one version is meant.
        """
        refs, damaged = self._refs(name)
        if ref in damaged:
            raise damaged[ref]
        if not refs and not self.versions(name):
            known = ", ".join(self.datasets()) or "none yet"
            raise StoreError(f"no dataset '{name}' has been built in {self.place} (built: {known})")
        if ref in refs:
            return str(refs[ref]["version"])
        found = [version for version in self.versions(name) if version.startswith(ref)]
        if len(found) == 1:
            return found[0]
        raise StoreError(
            f"'{ref}' names {'no' if not found else 'more than one'} version of '{name}' "
            f"(refs: {', '.join(refs)}; versions: {', '.join(self.versions(name))})"
        )

    # ----------------------------------------------------------------------------------------------------------- state
    def state(self, dataset: str) -> dict[str, Any]:
        """What the last finished build of a dataset used; empty if there was none."""
        return self.note(f"{dataset}.json")

    def note(self, name: str) -> dict[str, Any]:
        """What is written down in ``state/``; empty where there is nothing, or nothing sound: it can all be found
        out again."""
        try:
            return read_sealed(self.root / "state" / name) or {}
        except DamagedError:
            return {}

    def set_state(self, dataset: str, state: dict[str, Any]) -> None:
        self.set_note(f"{dataset}.json", state)

    def set_note(self, name: str, value: dict[str, Any]) -> None:
        """Writes something down in ``state/``."""
        self._describe(self.root / "state" / name, value)

    def _describe(self, path: Path, value: dict[str, Any]) -> None:
        if path.is_dir():
            self.set_aside(path)
        write_atomically(path, seal(value))


def _entries(folder: Path) -> list[Path]:
    """What is in a folder, by name; hidden things (temporary ones) left out."""
    return sorted(path for path in folder.iterdir() if path.name[0] != ".") if folder.is_dir() else []


def _is_result(path: Path) -> bool:
    """Whether a file belongs to a result; kept scores stand in a folder without a description."""
    return not path.name.startswith("scores-")


def _is_left_behind(path: Path) -> bool:
    """Whether the process is gone that works in a scratch folder or tries to get the lock by this file."""
    owner = path.name.removeprefix(".tmp-").partition("-")[2]
    pid, _, host = owner.partition("-")
    if not pid.isdecimal():
        return True
    if host != socket.gethostname():
        return time.time() - path.stat().st_mtime > _SCRATCH_DEAD
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except OSError:
        pass
    return False


class FileDigests:
    """Content digests of files, remembered by size, times and inode so that an unchanged file is not read again.

    A file is known by a digest of its path: where somebody's files are is nobody's affair who gets the store.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, list[Any]] = {}
        self._changed = False
        try:
            self._known = (read_sealed(path) or {}).get("files", {})
        except DamagedError:  # it saves time and nothing else; what older versions wrote has paths in it
            self._changed = True

    def __call__(self, file: Path) -> str:
        """The digest of a file's bytes, 64 hexadecimal digits."""
        about = file.stat()
        now = list(stamp(about))
        name = hashlib.blake2b(os.fsencode(file), digest_size=16).hexdigest()
        known = self._known.get(name)
        if known and known[:-1] == now:
            return str(known[-1])
        found = digest_files([file])
        # A file written this very moment may be written again without its time changing.
        if time.time_ns() - max(about.st_mtime_ns, about.st_ctime_ns) > 2_000_000_000:
            self._known[name] = [*now, found]
            self._changed = True
        return found

    def save(self) -> None:
        """Writes down what was learnt."""
        if self._changed:
            with contextlib.suppress(IsADirectoryError):
                write_atomically(self._path, seal({"files": self._known}))
            self._changed = False


def version_of(store: Store, name: str) -> dict[str, Any]:
    """The manifest of the version that ``dataset@ref`` names.

    Raises:
        StoreError: there is none.
    """
    dataset, _, ref = name.partition("@")
    return store.manifest(dataset, store.resolve(dataset, ref))


def lend_version(store: Store, name: str, other: Path) -> None:
    """Lets another store read the version that ``dataset@ref`` names; nothing is copied.

    Raises:
        StoreError: there is none.
    """
    dataset, _, ref = name.partition("@")
    version = store.resolve(dataset, ref)
    there = Store(other).dataset(dataset)
    (there / "refs").mkdir(parents=True, exist_ok=True)
    if not (there / version).exists():
        (there / version).symlink_to((store.dataset(dataset) / version).resolve(), target_is_directory=True)
    if not version.startswith(ref):
        Store(other).set_ref(dataset, ref, store.refs(dataset)[ref])
