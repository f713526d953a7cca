"""Access to files that a user names: checks that they are regular files, expands patterns, computes digests."""

from __future__ import annotations

import contextlib
import errno
import fnmatch
import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from glob import has_magic
from pathlib import Path

_KINDS = (
    (stat.S_ISFIFO, "a named pipe (FIFO)"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def regular(path: Path) -> Path:
    """Returns the path if it is a regular file (links are followed).

    Raises:
        OSError: it is not; for a pipe, a socket or a device ``strerror`` says what it is and what to do.
    """
    mode = path.stat().st_mode
    for test, what in _KINDS:
        if test(mode):
            raise OSError(errno.EINVAL, f"{what}, not a file; write its content to a file and name that", str(path))
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    return path


@contextlib.contextmanager
def exclusively(place: Path) -> Iterator[None]:
    """Lets one process of this machine at a time in, by a lock on a folder or on a file, which is made; the lock of a
    killed process is free.

    Where there are no such locks (Windows, some network file systems), nobody is kept waiting.

    Raises:
        OSError: the folder cannot be made, or the place not opened.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        import fcntl
    except ImportError:
        yield
        return
    opened = os.open(place, os.O_RDONLY if place.is_dir() else os.O_RDWR | os.O_CREAT, 0o666)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(opened, fcntl.LOCK_EX)
        yield
    finally:
        os.close(opened)


def stamp(about: os.stat_result) -> tuple[int, int, int, int]:
    """A value that changes whenever a file's content changes: size, mtime and ctime in nanoseconds, inode. A program
    can reset mtime, but not ctime."""
    return about.st_size, about.st_mtime_ns, about.st_ctime_ns, about.st_ino


def expand(pattern: Path) -> list[Path]:
    """The files and folders that a pattern matches, sorted; ``**`` stands for folders at any depth.

    As :func:`glob.glob` with ``recursive=True``, except that a folder to which several links lead (or one from inside
    itself) is entered once.

    Raises:
        OSError: a folder cannot be looked into.
    """
    parts = pattern.parts[1:] if pattern.is_absolute() else pattern.parts
    return sorted(set(_expand(Path(pattern.anchor), parts)))


def folders_below(folder: Path) -> Iterator[Path]:
    """A folder and its subfolders without hidden ones; links are followed, and each real folder occurs once.

    Raises:
        OSError: one of them cannot be read.
    """
    seen: set[tuple[int, int]] = set()
    waiting, links = [folder], list[Path]()
    while waiting or links:
        # Links last, so that a folder goes by its own name where both lead to it.
        here = waiting.pop() if waiting else links.pop(0)
        about = here.stat()
        place = (about.st_dev, about.st_ino)
        if place in seen:
            continue
        seen.add(place)
        yield here
        for entry in _entries(here):
            if entry.is_dir() and not entry.name.startswith("."):
                (links if entry.is_symlink() else waiting).append(here / entry.name)


def _expand(folder: Path, parts: Sequence[str]) -> Iterator[Path]:
    if not parts:
        yield folder
        return
    part, *rest = parts
    if part == "**":
        for inner in folders_below(folder):
            yield from _expand(inner, rest)
            if not rest:
                yield from (inner / entry.name for entry in _entries(inner) if not entry.name.startswith("."))
    elif has_magic(part):
        for entry in _entries(folder):
            hidden = entry.name.startswith(".") and not part.startswith(".")
            if fnmatch.fnmatch(entry.name, part) and not hidden and (not rest or entry.is_dir()):
                yield from _expand(folder / entry.name, rest)
    elif (folder / part).is_dir() if rest else os.path.lexists(folder / part):
        yield from _expand(folder / part, rest)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return sorted(entries, key=lambda entry: entry.name)


def digest_files(paths: Iterable[Path]) -> str:
    """Content digest of files in order, each with its length; 64 hexadecimal digits."""
    whole = hashlib.blake2b(digest_size=32)
    for path in paths:
        with regular(path).open("rb") as file:
            whole.update(hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=32)).digest())
    return whole.hexdigest()
