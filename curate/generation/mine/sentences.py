"""The distinct sentences of one language, on disk; each is stored once, however many rows it occurs in.

Texts are in a memory-mapped Arrow file, vectors in another. Only numbers are in memory (about 40 bytes per occurrence
of a sentence).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from curate.rows.ids import hash_texts
from curate.steps.models import Encoder

Numbers = npt.NDArray[np.int64]
_TEXTS = pa.schema([("text", pa.string())])
_ENCODED = 4096
_SPACE = r"[\s\p{Z}]+"


class Sentences:
    """Filled by :meth:`add`, readable after :meth:`close`."""

    def __init__(self, language: str, folder: Path) -> None:
        self.language = language
        self._folder = folder
        self._folder.mkdir(parents=True, exist_ok=True)
        self._all = folder / "all.arrow"
        self._sink = pa.OSFile(str(self._all), "wb")
        self._file = pa.ipc.new_file(self._sink, _TEXTS)
        self._digests: list[bytes] = []
        self._rows: list[Numbers] = []
        self._letters: list[npt.NDArray[np.float32]] = []
        self._bare: list[bytes] = []
        self.occurrences = 0

    def add(self, sentences: pl.Series, rows: Numbers, letters: npt.NDArray[np.float64]) -> None:
        """Adds sentences with the numbers of their rows and their lengths in Latin letters."""
        if not len(sentences):
            return
        texts = sentences.to_list()
        self._file.write_table(pa.table({"text": pa.array(texts, pa.string())}))
        self._digests.append(b"".join(hash_texts(one_spelling(texts))))
        self._rows.append(rows.astype(np.int64))
        self._letters.append(letters.astype(np.float32))
        self._bare.append(b"".join(hash_texts(map(_bare, texts), 8)))
        self.occurrences += len(texts)

    def close(self) -> None:
        """Removes duplicates, keeping the order of first occurrence."""
        self._file.close()
        self._sink.close()
        halves = np.frombuffer(b"".join(self._digests), "<u8").reshape(-1, 2)
        frame = pl.DataFrame({"a": halves[:, 0], "b": halves[:, 1]})
        unique = frame.with_row_index("first").unique(["a", "b"], keep="first", maintain_order=True)
        unique = unique.with_row_index("sentence")
        numbered = frame.join(unique, on=["a", "b"], how="left", maintain_order="left")
        self._first = unique["first"].to_numpy().astype(np.int64)
        rows = np.concatenate([np.zeros(0, np.int64), *self._rows])
        letters = np.concatenate([np.zeros(0, np.float32), *self._letters])
        self.letters: npt.NDArray[np.float32] = letters[self._first]
        self.bare: Numbers = np.frombuffer(b"".join(self._bare), "<i8")[self._first]
        # The rows of each sentence, in order, once each.
        places = (
            pl.DataFrame({"sentence": numbered["sentence"].cast(pl.Int64), "row": rows})
            .unique()
            .sort("sentence", "row")
        )
        self._places = places["row"].to_numpy()
        self._begins = np.searchsorted(places["sentence"].to_numpy(), np.arange(len(self._first) + 1))
        self.first_row = rows[self._first]
        self._digests, self._rows, self._letters, self._bare = [], [], [], []
        self._keep_once()

    def _keep_once(self) -> None:
        path, at, done = self._folder / "texts.arrow", 0, 0
        with (
            pa.memory_map(str(self._all)) as source,
            pa.OSFile(str(path), "wb") as sink,
            pa.ipc.new_file(sink, _TEXTS) as target,
        ):
            reader = pa.ipc.open_file(source)
            for number in range(reader.num_record_batches):
                batch = reader.get_batch(number)
                end = int(np.searchsorted(self._first, at + len(batch)))
                target.write_batch(batch.take(pa.array(self._first[done:end] - at)))
                at, done = at + len(batch), end
        self._all.unlink()
        self._texts = pa.ipc.open_file(pa.memory_map(str(path))).read_all()["text"]

    def __len__(self) -> int:
        return len(self._first)

    def texts(self, which: Numbers) -> list[str]:
        """The sentences with these numbers."""
        # One by one: offsets of more than 2 GB of text would not fit.
        return [str(self._texts[int(number)].as_py()) for number in which]

    def rows(self, sentence: int) -> Numbers:
        """The numbers of its rows, in order."""
        return self._places[self._begins[sentence] : self._begins[sentence + 1]]

    def encode(self, encoder: Encoder, done: Callable[[int], None]) -> None:
        """Computes :attr:`vectors`: a file of unit-length vectors, one for each sentence."""
        path, dimensions = self._folder / "vectors.npy", encoder.dimensions
        if not len(self):
            self.vectors = np.zeros((0, dimensions), np.float32)
            return
        vectors = np.lib.format.open_memmap(str(path), "w+", np.float32, (len(self), dimensions))
        for start in range(0, len(self), _ENCODED):
            part: list[str] = self._texts.slice(start, _ENCODED).to_pylist()
            vectors[start : start + len(part)] = encoder.encode(part)
            done(len(part))
        vectors.flush()
        del vectors
        self.vectors = np.load(str(path), mmap_mode="r")


def one_spelling(texts: Sequence[str]) -> list[str]:
    """The texts in Unicode's composed form with single spaces; equal ones are the same sentence."""
    return [" ".join(unicodedata.normalize("NFC", one).split()) for one in texts]


def _bare(one: str) -> str:
    """Its letters and digits in lower case: if they are equal, one is a copy of the other, not a translation."""
    return "".join(letter for letter in unicodedata.normalize("NFKC", one).casefold() if letter.isalnum())
