"""Compressed files and streams: gzip, Zstandard, bzip2 and xz, told by their first bytes."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
from pathlib import Path
from typing import Any, BinaryIO, cast

_BLOCK = 1 << 20
_MAGIC = {
    ".gz": re.compile(rb"\x1f\x8b"),
    ".xz": re.compile(rb"\xfd7zXZ\0"),
    ".bz2": re.compile(rb"BZh[1-9](1AY&SY|\x17rE8P\x90)"),
    ".zst": re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18"),
}
_BEGINNING = {".gz": b"\x1f\x8b\x08", ".xz": b"\xfd7z", ".bz2": b"BZh", ".zst": b"\x28\xb5\x2f"}
SUFFIXES = tuple(_MAGIC)


def compression(head: bytes, suffix: str = "") -> str | None:
    """The suffix of the compression that these first bytes are of.

    Args:
        suffix: of the file's name, by which a file is told that is truncated inside its first bytes.
    """
    found = next((one for one, magic in _MAGIC.items() if magic.match(head)), None)
    if found is None and len(head) < 10 and suffix in _MAGIC and _BEGINNING[suffix].startswith(head[:3]):
        return suffix
    return found


def decompressed(file: Path | BinaryIO, packed: str) -> BinaryIO:
    """The uncompressed bytes of a file or stream."""
    if packed == ".zst":
        import pyarrow as pa

        place = str(file) if isinstance(file, Path) else pa.PythonFile(file, "r")
        return cast(BinaryIO, io.BufferedReader(pa.input_stream(place, compression="zstd"), _BLOCK))
    opener: Any = {".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open}[packed]
    return cast(BinaryIO, opener(file, "rb"))
