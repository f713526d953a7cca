"""Members of ZIP and tar archives, read as streams where they are: nothing is unpacked, and no name becomes a path.

A unit names a member by a path that exists nowhere: the archive's, the member's number, the last part of its name.
"""

from __future__ import annotations

import fnmatch
import io
import posixpath
import re
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, BinaryIO

from curate.files import stamp
from curate.steps import SourceError
from sources.archives import HEAD, archive_error, is_archive_name, is_tar
from sources.compression import compression, decompressed

MOST = 100_000
"""Members that an archive may have."""
_BLOCK = 1 << 20
_NUMBER = re.compile(r"@(\d+)")


@dataclass(frozen=True)
class Entry:
    """A member of an archive."""

    number: int
    name: str
    """With ``/`` between its parts; only for telling it."""
    size: int
    problem: str = ""
    """Why it cannot be read."""

    def place(self, archive: Path) -> Path:
        """What a unit calls it."""
        return archive / f"@{self.number}" / _last(self.name)


def entries(archive: Path) -> tuple[Entry, ...]:
    """The members of an archive that are files, in its order; none if the file is no ZIP or tar archive.

    Raises:
        SourceError: it is damaged, has too many members, or is a workbook.
    """
    return _entries(archive, stamp(archive.stat()))


@lru_cache(maxsize=64)
def _entries(archive: Path, _: object) -> tuple[Entry, ...]:
    with _told(archive.name):
        kind = _kind(archive)
        if kind is None:
            return ()
        members = _zip_entries if kind == "ZIP" else _tar_entries
        found: dict[str, Entry] = {}
        for entry in members(archive):
            found.pop(entry.name, None)  # of two with one name the last is meant, as for those who unpack
            found[entry.name] = entry
            if len(found) > MOST:
                raise SourceError(f"{archive.name} has more than {MOST:,} members; unpack it")
        return tuple(found.values())


def select(archive: Path, shown: str, pattern: str, accepts: Callable[[str], bool]) -> tuple[list[Entry], list[str]]:
    """The members to read, by name, and what is said of the others.

    Args:
        shown: the archive's name in messages.
        pattern: of the members' names; empty for those that are accepted.

    Raises:
        SourceError: there is none, or one of them cannot be read.
    """
    known = entries(archive)
    if not known:
        raise SourceError(f"{shown} is no ZIP or tar archive, or an empty one; give the files themselves")
    taken = [entry for entry in known if (_matches(entry.name, pattern) if pattern else accepts(entry.name))]
    if not taken:
        names = ", ".join(entry.name for entry in known[:8]) + (" …" if len(known) > 8 else "")
        which = f"that matches '{pattern}'" if pattern else "of this format"
        advice = "" if pattern else f"; name those to read: path: {shown}/{known[0].name}"
        raise SourceError(f"{shown} has no member {which}; it has {names}{advice}")
    for entry in taken:
        if entry.problem:
            raise SourceError(f"{shown}/{entry.name} is {entry.problem}; unpack the archive and give the files")
        if is_archive_name(entry.name):
            raise SourceError(f"{shown}/{entry.name} is an archive inside an archive; unpack the outer one")
    chosen = set(taken)
    others = [
        f"{entry.name} ({entry.problem})" if entry.problem else entry.name for entry in known if entry not in chosen
    ]
    return sorted(taken, key=lambda entry: entry.name), others


def opened(path: Path) -> BinaryIO | None:
    """The bytes of the member that a path names, as a stream; None if it names a file.

    Raises:
        SourceError: the archive is another one by now.
        OSError: it is damaged.
    """
    match = _NUMBER.fullmatch(path.parent.name)
    archive = path.parent.parent
    if match is None or path.exists() or not archive.is_file():
        return None
    with _told(archive.name):
        kind = _kind(archive)
        stream = (_zip_stream if kind == "ZIP" else _tar_stream)(archive, int(match[1]), path.name)
    return io.BufferedReader(stream, _BLOCK)


def size(path: Path) -> int:
    """The uncompressed size of the member that a path names."""
    number = int(path.parent.name[1:])
    return next(entry.size for entry in entries(path.parent.parent) if entry.number == number)


def _last(name: str) -> str:
    return re.sub(r"[\x00-\x1f\\:]", "_", posixpath.basename(name)) or "_"


def _plain(name: str) -> str:
    """A member's name as it is told: from the root of the archive."""
    name = name.replace("\\", "/").encode("utf-8", "replace").decode()
    parts = [part for part in name.split("/") if part not in ("", ".", "..")]
    return "/".join(parts)


def _matches(name: str, pattern: str) -> bool:
    """As a path matches a pattern: ``*`` stays within a folder, ``**`` is folders at any depth."""
    parts, wanted = name.split("/"), pattern.split("/")

    def match(at: int, of: int) -> bool:
        if of == len(wanted):
            return at == len(parts)
        if wanted[of] == "**":
            return any(match(inner, of + 1) for inner in range(at, len(parts) + 1))
        return at < len(parts) and fnmatch.fnmatchcase(parts[at], wanted[of]) and match(at + 1, of + 1)

    return match(0, 0)


def _kind(archive: Path) -> str | None:
    """``ZIP``, ``tar`` or None for anything else.

    Raises:
        SourceError: it is an archive of another kind, or a workbook.
    """
    with archive.open("rb") as file:
        head = file.read(HEAD)
    packed = compression(head, archive.suffix.lower())
    if packed is not None:
        with decompressed(archive, packed) as unpacked:
            head = unpacked.read(HEAD)
    elif head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        with zipfile.ZipFile(archive) as opened_zip:
            if any(name.startswith("xl/") for name in opened_zip.namelist()):
                problem = archive_error(head, archive, lambda: archive.open("rb"), packed=False)
                raise SourceError(problem or f"{archive.name} is a workbook")
        return "ZIP"

    if is_tar(head):
        return "tar"
    problem = archive_error(head, archive, io.BytesIO, packed=True)
    if problem is not None:
        raise SourceError(problem)
    return None


# ----------------------------------------------------------------------------------------------------------------- ZIP
def _zip_entries(archive: Path) -> Iterator[Entry]:
    with zipfile.ZipFile(archive) as file:
        for number, info in enumerate(file.infolist()):
            name = _plain(info.filename)
            if info.is_dir() or not name:
                continue
            problem = "encrypted" if info.flag_bits & 1 else ""
            if not problem and info.compress_type not in (0, 8, 12, 14):
                problem = f"compressed by method {info.compress_type}, which is not known here"
            yield Entry(number, name, info.file_size, problem)


def _zip_stream(archive: Path, number: int, last: str) -> io.RawIOBase:
    file = zipfile.ZipFile(archive)
    try:
        infos = file.infolist()
        if number >= len(infos) or _last(_plain(infos[number].filename)) != last:
            raise SourceError(f"{archive.name} changed while it was being read; build again")
        return _Stream(file.open(infos[number]), file, archive.name)
    except BaseException:
        file.close()
        raise


# ----------------------------------------------------------------------------------------------------------------- tar
@contextmanager
def _tar(archive: Path) -> Iterator[tarfile.TarFile]:
    file = _open_tar(archive)
    try:
        yield file
    finally:
        _close_tar(file)


def _open_tar(archive: Path) -> tarfile.TarFile:
    """Opens a tar archive: where it is compressed as a stream, else to skip the content of members."""
    with archive.open("rb") as file:
        packed = compression(file.read(HEAD), archive.suffix.lower())
    if packed is None:
        return tarfile.open(archive, "r:")
    stream = decompressed(archive, packed)
    try:
        return tarfile.open(fileobj=stream, mode="r|", bufsize=_BLOCK // 16)
    except BaseException:
        stream.close()
        raise


def _close_tar(file: tarfile.TarFile) -> None:
    inner: Any = file.fileobj
    file.close()
    stream = getattr(inner, "fileobj", None)
    if stream is not None:
        stream.close()


def _tar_members(file: tarfile.TarFile) -> Iterator[tuple[int, tarfile.TarInfo]]:
    """The members with their numbers, of which none is kept.

    As iterating over the archive, which however takes a damaged header for its end.
    """
    number, info = 0, file.next()
    inside: Any = file
    library: Any = tarfile  # whose type stubs lack some of its names
    while info is not None:
        yield number, info
        number += 1
        inside.members.clear()
        if file.offset != inside.fileobj.tell():
            inside.fileobj.seek(file.offset - 1)
            if not inside.fileobj.read(1):
                raise tarfile.ReadError("unexpected end of data")
        try:
            info = file.tarinfo.fromtarfile(file)
        except (library.EOFHeaderError, library.EmptyHeaderError):
            return


def _tar_entries(archive: Path) -> Iterator[Entry]:
    with _tar(archive) as file:
        for number, info in _tar_members(file):
            name = _plain(info.name)
            if info.isdir() or not name:
                continue
            yield Entry(number, name, info.size, "" if info.isreg() else "a link or a device")


def _tar_stream(archive: Path, number: int, last: str) -> io.RawIOBase:
    file = _open_tar(archive)
    try:
        for at, info in _tar_members(file):
            if at == number:
                stream = file.extractfile(info)
                if stream is None or _last(_plain(info.name)) != last:
                    break
                return _Stream(stream, file, archive.name)
        raise SourceError(f"{archive.name} changed while it was being read; build again")
    except BaseException:
        _close_tar(file)
        raise


# -------------------------------------------------------------------------------------------------------------- streams
class _Stream(io.RawIOBase):
    """The bytes of one member; what is damaged is an OSError."""

    def __init__(self, stream: IO[bytes], archive: zipfile.ZipFile | tarfile.TarFile, name: str) -> None:
        self.stream, self.archive, self.name_of = stream, archive, name

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with _told(self.name_of):
            data = self.stream.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self.stream.close()
            if isinstance(self.archive, tarfile.TarFile):
                _close_tar(self.archive)
            else:
                self.archive.close()
        super().close()


@contextmanager
def _told(name: str) -> Iterator[None]:
    """Converts what the libraries raise for damaged archives."""
    try:
        yield
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, struct.error) as error:
        raise OSError(f"the archive {name} is truncated or damaged ({error}); fetch it again") from error
    except (RuntimeError, NotImplementedError) as error:
        raise OSError(f"the archive {name} cannot be read ({error}); unpack it and give the files") from error
