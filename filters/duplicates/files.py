"""Arrays and texts too large for memory: written to files in a scratch folder and memory-mapped, so that the system can
write them out and read them again as it likes."""

from __future__ import annotations

import mmap
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

CHUNK = 1 << 18
"""Rows that are worked on at once, where nothing else limits them."""


class Files:
    """A folder of arrays and texts, gone with the scratch folder that it is in."""

    def __init__(self, folder: Path, memory: int) -> None:
        self.memory = memory
        """Bytes that may be used beside the files."""
        self._folder = folder
        self._maps: list[mmap.mmap] = []
        folder.mkdir(parents=True, exist_ok=True)

    def array(self, name: str, shape: tuple[int, ...], dtype: npt.DTypeLike) -> Any:
        """A new array of zeros on disk."""
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        return np.frombuffer(self._mapped(name, size), dtype).reshape(shape) if size else np.zeros(shape, dtype)

    def texts(self, name: str, rows: int) -> TextFile:
        """A new column of so many texts on disk."""
        return TextFile(self._folder / name, self.array(f"{name}-ends", (rows + 1,), np.int64))

    def numbers(self, name: str) -> NumberFile:
        """A new list of numbers on disk."""
        return NumberFile(self._folder / name)

    def release(self) -> None:
        """Gives back the memory in which the files were read; what is read again comes from the system's cache or from
        disk."""
        if sum(map(len, self._maps)) > self.memory:
            for one in self._maps:
                one.madvise(mmap.MADV_DONTNEED)

    def _mapped(self, name: str, size: int) -> mmap.mmap:
        with (self._folder / name).open("w+b") as file:
            # A disk that is full is an error here; in a file with holes it would kill the process later.
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
            else:
                file.truncate(size)
            self._maps.append(mmap.mmap(file.fileno(), size))
        return self._maps[-1]


class TextFile:
    """A text column that is written batch by batch, then memory-mapped."""

    def __init__(self, path: Path, ends: npt.NDArray[np.int64]) -> None:
        self._path, self._ends = path, ends
        self._file = path.open("wb")
        self._rows = 0

    def write(self, texts: pa.Array) -> None:
        """Appends texts."""
        if not len(texts):
            return
        whole = pa.concat_arrays([texts.cast(pa.large_string())])  # a slice has the offsets of the whole
        offsets = np.frombuffer(whole.buffers()[1], np.int64, len(whole) + 1, whole.offset * 8)
        data = whole.buffers()[2]
        if data is not None:
            self._file.write(memoryview(data)[offsets[0] : offsets[-1]])
        first, self._rows = self._rows, self._rows + len(whole)
        self._ends[first + 1 : self._rows + 1] = offsets[1:] - offsets[0] + self._ends[first]

    def done(self) -> pa.Array:
        """The finished column, as one array over the mapped files."""
        self._file.close()
        data = np.memmap(self._path, np.uint8, "r") if self._path.stat().st_size else np.zeros(0, np.uint8)
        return pa.LargeStringArray.from_buffers(self._rows, pa.py_buffer(self._ends), pa.py_buffer(data))


class NumberFile:
    """Unsigned 64-bit numbers that are appended to a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("wb")

    def write(self, numbers: npt.NDArray[np.uint64]) -> None:
        """Appends numbers."""
        numbers.tofile(self._file)

    def sorted(self) -> npt.NDArray[np.uint64]:
        """All numbers in order, sorted where they are; nothing can be appended any more."""
        self._file.close()
        if not self._path.stat().st_size:
            return np.zeros(0, np.uint64)
        numbers = np.memmap(self._path, np.uint64, "r+")
        numbers.sort()
        return numbers
