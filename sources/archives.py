"""Detects archives: by their names, of which members are read; else by their first bytes, inside a compression too."""

from __future__ import annotations

import io
import re
import tarfile
import zipfile
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import BinaryIO

HEAD = 512
"""How many bytes are needed to detect an archive."""
_SHOWN = 5
_LOOK = 16 * 1024 * 1024
"""Bytes of an archive that are read to list its members."""
_MAGIC = (
    (b"PK\x03\x04", "ZIP"),
    (b"PK\x05\x06", "ZIP"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"Rar!\x1a\x07", "RAR"),
)
_SUFFIX = r"\.(?:zip|tar|tgz|tbz2?|txz|tzst|tar\.(?:gz|bz2|xz|zst))"
_NAMED = re.compile(rf"{_SUFFIX}$", re.IGNORECASE)
_INSIDE = re.compile(rf"(.*?[^/]{_SUFFIX})/(.+)", re.IGNORECASE | re.DOTALL)


def is_archive_name(name: str) -> bool:
    """Whether a file of this name is an archive of which members are read."""
    return _NAMED.search(name) is not None


def split_inside(path: str) -> tuple[str, str]:
    """A path in two: that of an archive, and a pattern of members inside it (empty if there is none)."""
    match = _INSIDE.fullmatch(path)
    return (match[1], match[2]) if match else (path, "")


def archive_error(head: bytes, path: Path, reopen: Callable[[], BinaryIO], *, packed: bool) -> str | None:
    """The error message for a file whose (uncompressed) beginning is an archive's; None for any other file.

    Args:
        head: its first 512 bytes, or fewer if there are no more.
        reopen: opens it again, uncompressed.
        packed: whether that needs decompression; members of a large archive are then not listed.
    """
    kind = next((kind for magic, kind in _MAGIC if head.startswith(magic)), None)
    if kind is None and not is_tar(head):
        return None
    try:
        with reopen() as opened:
            file = io.BytesIO(opened.read(_LOOK)) if packed else opened
            members = _zip_members(file) if kind == "ZIP" else _tar_members(file) if kind is None else []
    except (OSError, EOFError, ValueError, tarfile.TarError, zipfile.BadZipFile, NotImplementedError):
        members = []
    if kind == "ZIP" and any(name.startswith("xl/") for name in members):
        return f"{path.name} is an Excel workbook; save its sheet as 'CSV UTF-8' and give that with 'use: csv'"
    files = [name for name in members if not name.endswith("/")]
    held = f" of {', '.join(files[:_SHOWN])}{' …' if len(files) > _SHOWN else ''}" if files else ""
    return f"{path.name} is a {kind or 'tar'} archive{held}; unpack it and give the files inside, or their folder"


def is_tar(head: bytes) -> bool:
    """Whether a file that begins with these bytes is a tar archive."""
    if len(head) < HEAD or not (head[257:262] == b"ustar" or head[148:156].strip(b" \0").isdigit()):
        return False
    try:
        tarfile.TarInfo.frombuf(head[:HEAD], "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


def _zip_members(file: BinaryIO) -> list[str]:
    with zipfile.ZipFile(file) as archive:
        return list(islice(archive.namelist(), 1000))


def _tar_members(file: BinaryIO) -> list[str]:
    names: list[str] = []
    with tarfile.open(fileobj=file, mode="r|") as archive:
        try:
            for member in archive:
                if member.isfile():
                    names.append(member.name)
                if member.offset_data + member.size > _LOOK or len(names) > _SHOWN:
                    break
        except (OSError, EOFError, tarfile.TarError):
            pass  # the rest is damaged; the names so far are enough
    return [name.encode("utf-8", "replace").decode() for name in names]
