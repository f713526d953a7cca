"""Brings files of a store behind a URL into its working copy when they are needed.

A working copy has all descriptions, names and notes; what they describe is fetched when it is read. Its list of what
lies where is ``remote/known.json``.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import Any

import orjson

from curate.catalog.store_urls import ABOUT
from curate.engine.store.remote.objects import Objects

_LOG = logging.getLogger("curate.engine")
KNOWN = "remote/known.json"
AT_ONCE = 16
"""Requests at the same time."""
Entry = tuple[int, str]
"""Size in bytes, SHA-256."""
Files = Mapping[str, Mapping[str, Entry]]
"""Folder of a result or version, below the store → its files; under the empty name, files outside of these."""


@dataclass
class Known:
    """What a working copy knows of its store."""

    index: str = ""
    """The object from which this was read."""
    purges: int = 0
    files: dict[str, dict[str, Entry]] = field(default_factory=dict)
    stamps: dict[str, tuple[str, int, int]] = field(default_factory=dict)
    """Path → digest of what the file here was when it was the same as there, its size and the time of its last
    change."""


_ROOTS: dict[Path, None] = {}
"""Working copies that were found."""
_KNOWN: dict[Path, tuple[tuple[int, int], Known]] = {}
_OBJECTS: dict[Path, tuple[int, Objects]] = {}


def object_name(path: str, entry: Entry) -> str:
    """The object that holds a file."""
    suffix = PurePosixPath(path).suffix
    return f"objects/{entry[1]}{suffix if suffix.isascii() and suffix[1:].isalnum() else ''}"


def copy_root(path: Path) -> Path | None:
    """The working copy that a path lies in; None if it lies in none."""
    for root in _ROOTS:
        if path.is_relative_to(root):
            return root
    real = Path(os.path.realpath(path))
    found = next((folder for folder in (real, *real.parents) if (folder / ABOUT).is_file()), None)
    if found is not None:
        _ROOTS[found] = None
    return found


def objects_of(root: Path) -> Objects:
    """The objects behind a working copy, opened once a process."""
    if root not in _OBJECTS or _OBJECTS[root][0] != os.getpid():
        _OBJECTS[root] = os.getpid(), Objects(url_of(root))
    return _OBJECTS[root][1]


def url_of(root: Path) -> str:
    """The URL that a working copy is of."""
    return str(orjson.loads((root / ABOUT).read_bytes())["url"])


def known(root: Path) -> Known:
    """What a working copy knows of its store; not to be changed."""
    file = root / KNOWN
    try:
        about = file.stat()
    except FileNotFoundError:
        return Known()
    stamp = (about.st_ino, about.st_mtime_ns)
    if root not in _KNOWN or _KNOWN[root][0] != stamp:
        _KNOWN[root] = stamp, read_known(file.read_bytes())
    return _KNOWN[root][1]


def read_known(data: bytes) -> Known:
    """See :data:`KNOWN`; what is damaged is as if it were not there, and everything is compared anew."""
    try:
        said = orjson.loads(data)
        stamps = {path: (one[0], one[1], one[2]) for path, one in said["stamps"].items()}
        return Known(said["index"], said["purges"], read_files(said["files"]), stamps)
    except (orjson.JSONDecodeError, KeyError, TypeError, IndexError):
        return Known()


def read_files(said: Any) -> dict[str, dict[str, Entry]]:
    """The list of files as JSON has it."""
    return {unit: {name: (one[0], one[1]) for name, one in files.items()} for unit, files in said.items()}


def absent(path: Path) -> int | None:
    """The size of a file that is not here, but in the store behind the URL; None if it is not there either."""
    found = _absent(path)
    return None if found is None else found[2][0]


def _absent(path: Path) -> tuple[Path, str, Entry] | None:
    root = copy_root(path.parent)
    if root is None:
        return None
    # A version may be lent to a store within this one by a link.
    for place in (path, Path(os.path.realpath(path.parent), path.name)):
        if place.is_relative_to(root):
            inside = place.relative_to(root).parts
            unit, name = "/".join(inside[:3]), "/".join(inside[3:])
            entry = known(root).files.get(unit, {}).get(name)
            if entry is not None:
                return root, f"{unit}/{name}", entry
    return None


def absent_bytes(folder: Path) -> int:
    """How large the files of a result or version are that are not here, but in the store behind the URL."""
    root = copy_root(folder)
    if root is None:
        return 0
    return sum(entry[0] for path, entry in _missing(root, folder) if not (root / path).exists())


def drop_damaged(path: Path, size: int, sha256: str | None = None) -> bool:
    """Removes a file of a working copy that is not as it was written, so that it is fetched again; only if it is there
    in the store behind the URL.

    Returns:
        Whether it was removed.
    """
    found = _absent(path)
    if found is None or found[2][0] != size or sha256 not in (None, found[2][1]):
        return False
    _LOG.warning(f"{found[1]} was damaged on this machine and is fetched again from {url_of(found[0])}")
    path.unlink(missing_ok=True)
    return True


def bring(path: Path) -> bool:
    """Fetches a file that is not here from the store behind the URL; whether it was there.

    Raises:
        StoreError: the store cannot be reached.
        ValueError: it is not what was written.
    """
    found = _absent(path)
    if found is None:
        return False
    _fetch(*found)
    return True


def bring_all(folder: Path, pattern: str = "*") -> list[Path]:
    """Fetches all files below a folder whose name fits a pattern and that are not here.

    Returns:
        Those that are damaged or gone there.

    Raises:
        StoreError: the store cannot be reached.
    """
    root = copy_root(folder)
    if root is None:
        return []
    wanted = [
        (root, path, entry)
        for path, entry in _missing(root, folder)
        if fnmatch(path.rpartition("/")[2], pattern) and not (root / path).exists()
    ]
    lost: list[Path] = []

    def fetch(one: tuple[Path, str, Entry]) -> None:
        try:
            _fetch(*one)
        except ValueError:
            lost.append(root / one[1])

    side_by_side(fetch, wanted)
    return sorted(lost)


def side_by_side(work: Any, items: Iterable[Any]) -> None:
    """Does something for all items, some at the same time.

    Raises:
        Exception: the first that one raised; those that were not begun are left.
    """
    with ThreadPoolExecutor(AT_ONCE) as pool:
        waiting = [pool.submit(work, item) for item in items]
        try:
            for one in waiting:
                one.result()
        except BaseException:
            for one in waiting:
                one.cancel()
            raise


def _missing(root: Path, folder: Path) -> Iterator[tuple[str, Entry]]:
    below = Path(os.path.realpath(folder)).relative_to(root)
    files = known(root).files
    units = ["/".join(below.parts[:3])] if len(below.parts) > 2 else [unit for unit in files if unit]
    for unit in units:
        if not (root / unit).is_dir():
            continue  # removed here, and not yet sent
        for name, entry in files.get(unit, {}).items():
            if PurePosixPath(unit, name).is_relative_to(below):
                yield f"{unit}/{name}", entry


def _fetch(root: Path, path: str, entry: Entry) -> None:
    name = object_name(path, entry)
    try:
        objects_of(root).fetch(name, root / path, *entry, aside=root / "remote")
    except ValueError:
        suspect(root, name)
        raise


def suspect(root: Path, name: str) -> None:
    """Notes that an object is not what was written, so that it is written again as soon as its bytes are here."""
    note = root / "remote" / "suspect" / name.rpartition("/")[2]
    note.parent.mkdir(parents=True, exist_ok=True)
    note.touch()
