"""Integrity: checksums of descriptions, and sizes and digests of the files beside them, checked on reading.

Sizes are looked at whenever a result is looked up, digests whenever a file is read (once a process, as long as the
file is not
touched). What does not hold is a :class:`~curate.errors.DamagedError`: a build sets it aside and makes it again.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from curate.engine.store.remote.fetch import absent, bring, drop_damaged
from curate.errors import DamagedError
from curate.files import regular

_CHECKSUM = "checksum"
_SEEN: dict[tuple[str, str], tuple[int, int, int, int]] = {}
"""(path, digest) → what the file looked like when its digest was found to be right."""

FileList = Mapping[str, tuple[int, str]]
"""Path below a folder → size in bytes, SHA-256."""


def seal(value: Mapping[str, Any]) -> bytes:
    """The JSON of a description, with a checksum of all of it."""
    return orjson.dumps({**value, _CHECKSUM: _checksum(value)}, option=orjson.OPT_INDENT_2)


def read_sealed(path: Path) -> dict[str, Any] | None:
    """A description that :func:`seal` made; None where there is no such file.

    Raises:
        DamagedError: it is not what was written.
    """
    try:
        if _about(path) is None:
            return None
        data = path.read_bytes()
    except OSError as error:
        raise DamagedError(path, f"it cannot be read: {error.strerror or error}") from None
    try:
        found = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise DamagedError(path, f"no JSON: {error}" if data else "empty") from None
    if not isinstance(found, dict) or not found:
        raise DamagedError(path, "its JSON is not what curate writes there")
    checksum = found.pop(_CHECKSUM, None)
    if checksum != _checksum(found):
        raise DamagedError(path, "its checksum does not fit" if checksum else "it has no checksum")
    return found


def _checksum(value: Mapping[str, Any]) -> str:
    return hashlib.blake2b(orjson.dumps(value, option=orjson.OPT_SORT_KEYS), digest_size=8).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with regular(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def list_files(folder: Path) -> dict[str, tuple[int, str]]:
    """Size and digest of every file in a folder."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): (path.stat().st_size, file_digest(path)) for path in paths}


def check_sizes(folder: Path, files: FileList) -> None:
    """Checks that the files are there (or in the store that this is a working copy of), each as long as it was.

    Raises:
        DamagedError: one is not.
    """
    for name, (size, _) in files.items():
        check_size(folder / name, size)


def check_size(path: Path, size: int) -> None:
    """Checks that a file is there (or in the store that this is a working copy of) and as long as it was.

    Raises:
        DamagedError: it is not.
    """
    about = _about(path)
    found = absent(path) if about is None else about.st_size
    if found is None:
        raise DamagedError(path, "it is gone")
    if found != size and not drop_damaged(path, size):
        raise DamagedError(path, f"it has {found:,} bytes instead of {size:,}")


def _about(path: Path) -> os.stat_result | None:
    """What is known of a file; None if there is none.

    Raises:
        DamagedError: something else is in its place: to open a pipe would wait for ever.
    """
    try:
        about = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:  # a link to itself, for one
        raise DamagedError(path, f"it cannot be read: {error.strerror or error}") from None
    if stat.S_ISDIR(about.st_mode):
        raise DamagedError(path, "a folder is in its place")
    if not stat.S_ISREG(about.st_mode):
        raise DamagedError(path, "a pipe, a socket or a device is in its place")
    return about


def check_digest(path: Path, size: int, digest: str) -> Path:
    """Checks that a file has the bytes that were written; read once, until it is touched. One that is not in a working
    copy is fetched.

    Returns:
        The path.

    Raises:
        DamagedError: it has not.
    """
    check_size(path, size)
    if not _has_digest(path, digest) and not (drop_damaged(path, size, digest) and _has_digest(path, digest)):
        raise DamagedError(path, "its bytes are not those that were written")
    return path


def _has_digest(path: Path, digest: str) -> bool:
    """Whether a file has these bytes; one that is not in a working copy is fetched.

    Raises:
        DamagedError: it cannot be read or fetched.
    """
    try:
        if not path.exists():
            bring(path)
    except ValueError as error:
        raise DamagedError(path, str(error)) from None
    about = path.stat()
    stamp = (about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns)
    if _SEEN.get((str(path), digest)) != stamp:
        try:
            if file_digest(path) != digest:
                return False
        except OSError as error:
            raise DamagedError(path, f"it cannot be read: {error.strerror or error}") from None
        _SEEN[str(path), digest] = stamp
    return True
