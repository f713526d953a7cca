"""The store is the only place where results live: written whole into a temporary sibling, fsynced, renamed, never changed.

``work/<step>/<key>/`` holds the result of one step on one shard, ``datasets/<name>/<version>/`` a finished version,
``datasets/<name>/refs/*.json`` names for versions, ``state/`` what the last build of each dataset used, ``cache/``
model answers by content. A folder that exists is complete.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson

from curate.errors import StoreError
from curate.steps import digest_files

FORMAT = 1


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


def read_json(path: Path) -> Any:
    """The content of a JSON file, or None where there is no such file."""
    try:
        return orjson.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except orjson.JSONDecodeError as error:
        raise StoreError(f"{path} is damaged ({error}); remove it and build again") from None


class Store:
    """A folder of results."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def open(self) -> Store:
        """Makes the folder if need be.

        Raises:
            StoreError: it was made by a newer format.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        about = read_json(self.root / "store.json")
        if about is None:
            write_atomically(self.root / "store.json", orjson.dumps({"format": FORMAT}))
            # Everything here can be built again: git and backup tools need not look.
            write_atomically(self.root / ".gitignore", b"*\n")
        elif about.get("format") != FORMAT:
            raise StoreError(
                f"{self.root} has format {about.get('format')}, this curate writes format {FORMAT}; use another store"
            )
        return self

    # --------------------------------------------------------------------------------------------------------- results
    def work(self, step: str, key: str) -> Path:
        """The folder of a step's result."""
        return self.root / "work" / step / key

    def result(self, step: str, key: str) -> dict[str, Any] | None:
        """What is known of a result, or None if there is none."""
        found = read_json(self.work(step, key) / "result.json")
        return found if found is None or isinstance(found, dict) else None

    def commit(
        self, final: Path, fill: Callable[[Path], dict[str, Any]], *, name: str = "result.json", replace: bool = False
    ) -> dict[str, Any]:
        """Makes a folder whole or not at all.

        Args:
            final: where it will be.
            fill: writes the files into the folder it is given and returns what ``name`` is to hold.
            name: the file that describes the folder.
            replace: whether it takes the place of a folder that is there.
        """
        final.parent.mkdir(parents=True, exist_ok=True)
        temporary = final.parent / f".tmp-{final.name}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        temporary.mkdir()
        try:
            about = fill(temporary)
            (temporary / name).write_bytes(orjson.dumps(about, option=orjson.OPT_INDENT_2))
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
                if not (final / name).exists():
                    raise
                if replace:
                    # A kill in between leaves no result, which the next build makes again.
                    aside = final.parent / f".tmp-old-{final.name}-{uuid.uuid4().hex[:8]}"
                    final.rename(aside)
                    temporary.rename(final)
                    shutil.rmtree(aside, ignore_errors=True)
                else:
                    shutil.rmtree(temporary)  # somebody made the same result meanwhile
            sync_folder(final.parent)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        return about

    def sweep(self) -> None:
        """Removes what killed builds left half-done; only while holding the lock."""
        for pattern in (
            "work/*/.tmp-*",
            "datasets/*/.tmp-*",
            "datasets/*/refs/.tmp-*",
            "state/.tmp-*",
            "cache/.tmp-*",
            ".tmp-*",
        ):
            for path in self.root.glob(pattern):
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                elif not path.name.startswith(".tmp-lock"):  # another build's attempt to get the lock
                    path.unlink(missing_ok=True)
        shutil.rmtree(self.root / "scratch", ignore_errors=True)

    @contextlib.contextmanager
    def scratch(self) -> Iterator[Path]:
        """A folder for temporary files, gone afterwards."""
        folder = self.root / "scratch" / uuid.uuid4().hex
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
            StoreError: there is no such version.
        """
        found = read_json(self.dataset(name) / version / "manifest.json")
        if not isinstance(found, dict):
            raise StoreError(f"dataset '{name}' has no version '{version}'")
        return found

    def refs(self, name: str) -> dict[str, dict[str, Any]]:
        """Ref name → ``{version, built_at}``."""
        folder = self.dataset(name) / "refs"
        return {path.stem: read_json(path) for path in sorted(folder.glob("[!.]*.json"))} if folder.is_dir() else {}

    def set_ref(self, name: str, ref: str, about: dict[str, Any]) -> None:
        """Points a name at a version."""
        write_atomically(self.dataset(name) / "refs" / f"{ref}.json", orjson.dumps(about, option=orjson.OPT_INDENT_2))

    def resolve(self, name: str, ref: str = "latest") -> str:
        """The version that a ref, a version or the unambiguous beginning of one names.

        Raises:
            StoreError: nothing or more than one version is meant.
        """
        refs = self.refs(name)
        if not refs and not self.versions(name):
            known = ", ".join(self.datasets()) or "none yet"
            raise StoreError(f"no dataset '{name}' has been built in {self.root} (built: {known})")
        if ref in refs:
            return str(refs[ref]["version"])
        found = [version for version in self.versions(name) if version.startswith(ref)]
        if len(found) == 1:
            return found[0]
        raise StoreError(f"'{ref}' names {'no' if not found else 'more than one'} version of '{name}' "
                         f"(refs: {', '.join(refs)}; versions: {', '.join(self.versions(name))})")  # fmt: skip

    # ----------------------------------------------------------------------------------------------------------- state
    def state(self, dataset: str) -> dict[str, Any]:
        """What the last finished build of a dataset used; empty if there was none."""
        found = read_json(self.root / "state" / f"{dataset}.json")
        return found if isinstance(found, dict) else {}

    def set_state(self, dataset: str, state: dict[str, Any]) -> None:
        write_atomically(self.root / "state" / f"{dataset}.json", orjson.dumps(state))


class FileDigests:
    """Content digests of files, remembered by size, time and inode so that an unchanged file is not read again.

    A file is known by a digest of its path: where somebody's files are is nobody's affair who gets the store.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        known: dict[str, list[Any]] = read_json(path) or {}
        self._known = {name: about for name, about in known.items() if "/" not in name and "\\" not in name}
        self._changed = len(self._known) < len(known)  # older versions wrote paths

    def __call__(self, file: Path) -> str:
        """The digest of a file's bytes, 64 hexadecimal digits."""
        about = file.stat()
        stamp = [about.st_size, about.st_mtime_ns, about.st_ino]
        name = hashlib.blake2b(os.fsencode(file), digest_size=16).hexdigest()
        known = self._known.get(name)
        if known and known[:3] == stamp:
            return str(known[3])
        found = digest_files([file])
        # A file written this very moment may be written again without its time changing.
        if time.time_ns() - about.st_mtime_ns > 2_000_000_000:
            self._known[name] = [*stamp, found]
            self._changed = True
        return found

    def save(self) -> None:
        """Writes down what was learnt."""
        if self._changed:
            write_atomically(self._path, orjson.dumps(self._known))
            self._changed = False
