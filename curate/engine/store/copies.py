"""Records copies of a version written outside of the store (exports, publications), so that erasure can name them."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from curate.engine.store.integrity import read_sealed, seal
from curate.engine.store.store import Store, write_atomically
from curate.errors import DamagedError

_LOG = logging.getLogger("curate.engine")


@dataclass(frozen=True)
class Copy:
    """A folder or a file that was made of a version."""

    dataset: str
    version: str
    path: Path
    files: dict[str, tuple[int, int]]
    """Path below ``path`` (``.``: itself) → size, and time of its last change in nanoseconds, as it was written."""
    record: Path
    """Where it is noted."""

    def there(self) -> tuple[list[Path], list[Path]]:
        """Its files that are still as they were written, and those that somebody changed since."""
        same: list[Path] = []
        changed: list[Path] = []
        for name, about in self.files.items():
            file = self.path / name
            if file.is_file():
                (same if _stamp(file) == about else changed).append(file)
        return same, changed


def note_copy(store: Store, dataset: str, version: str, path: Path) -> None:
    """Notes a file or folder that was just written; in a store that cannot be written only a warning is left."""
    files = [file for file in path.rglob("*") if file.is_file()] if path.is_dir() else [path]
    # Below the store's folder: a store that is moved with what lies around it still knows it, and tells nobody
    # where it once was.
    inside = os.path.relpath(path.resolve(), store.root.resolve())
    record = _folder(store) / f"{hashlib.blake2b(os.fsencode(inside), digest_size=8).hexdigest()}.json"
    about = {
        "dataset": dataset,
        "version": version,
        "path": inside,
        "files": {str(file.relative_to(path)): _stamp(file) for file in files},
    }
    try:
        write_atomically(record, seal(about))
    except OSError as error:
        _LOG.warning(f"{path} could not be noted in the store, so 'curate forget' will not know of it: {error}")


def copies(store: Store) -> Iterator[Copy]:
    """All that are noted and still there, in part at least; a note that is damaged is passed over."""
    for record in sorted(_folder(store).glob("[!.]*.json")):
        try:
            about = read_sealed(record)
        except DamagedError:
            continue
        if about is None:
            continue
        files = {name: (int(size), int(changed)) for name, (size, changed) in about["files"].items()}
        path = Path(os.path.normpath(store.root.resolve() / about["path"]))
        copy = Copy(about["dataset"], about["version"], path, files, record)
        if any(copy.there()):
            yield copy


def _folder(store: Store) -> Path:
    return store.root / "copies"


def _stamp(file: Path) -> tuple[int, int]:
    about = file.stat()
    return about.st_size, about.st_mtime_ns
