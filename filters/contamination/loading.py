"""Reads benchmark items from local files or the Hub, as records of plain values.

Formats: JSON lines, JSON arrays, SQuAD's nested JSON, Parquet, CSV and TSV (with or without a header), each compressed
or not, and folders in the layouts that the ``datasets`` library knows. No code of a repository is run.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
from collections.abc import Iterator, Mapping, Sequence
from glob import has_magic
from pathlib import Path
from typing import Any, Literal

import orjson
import pyarrow.parquet as pq
import regex

from curate.errors import StepError
from curate.files import expand, regular
from curate.rows import languages

Record = Mapping[str, Any]
_COMPRESSED = {".gz": gzip.decompress, ".bz2": bz2.decompress, ".xz": lzma.decompress}
_READABLE = (".jsonl", ".ndjson", ".json", ".parquet", ".csv", ".tsv")
_TIMEOUT = 10.0
_BATCH = 1000


class Unreachable(StepError):
    """A benchmark does not exist or cannot be read."""


def find_files(place: str) -> list[Path]:
    """The files of a path or pattern, by name; a folder counts as one place.

    Raises:
        Unreachable: there is none.
    """
    path = Path(place).expanduser()
    if path.exists():
        return [path]
    if has_magic(place):
        files = [one for one in expand(path) if one.is_file()]
        if files:
            return files
    raise Unreachable(f"there is no file {place}")


def read_file(path: Path, columns: Sequence[str] = ()) -> Iterator[Record]:
    """The records of a file.

    Args:
        columns: names for a table without a header; a table has a header if its first row contains one of them.

    Raises:
        Unreachable: it cannot be read.
    """
    suffix, inner = path.suffix.lower(), path
    try:
        regular(path)
        if suffix == ".parquet":
            with pq.ParquetFile(path) as file:
                for batch in file.iter_batches(_BATCH):
                    yield from batch.to_pylist()
            return
        data = path.read_bytes()
        if suffix in _COMPRESSED:
            data, inner = _COMPRESSED[suffix](data), Path(path.stem)
        elif suffix == ".zst":
            data, inner = _zstd(data), Path(path.stem)
        kind = inner.suffix.lower()
        if kind not in _READABLE:
            raise Unreachable(f"{path.name}: unknown file type; it should end in {', '.join(_READABLE)}")
        if kind in (".csv", ".tsv"):
            yield from _table(data.decode("utf-8-sig"), "\t" if kind == ".tsv" else ",", columns)
        elif kind == ".json":
            yield from _json(orjson.loads(data.removeprefix(b"\xef\xbb\xbf")), path.name)
        else:
            for line in data.removeprefix(b"\xef\xbb\xbf").splitlines():
                if line.strip():
                    yield orjson.loads(line)
    except Unreachable:
        raise
    except (OSError, ValueError, EOFError, lzma.LZMAError, csv.Error) as error:
        raise Unreachable(f"{path.name} cannot be read: {error}") from error


def _zstd(data: bytes) -> bytes:
    import pyarrow as pa

    with pa.CompressedInputStream(pa.BufferReader(data), "zstd") as stream:
        return bytes(stream.read())


def _table(text: str, separator: str, columns: Sequence[str]) -> Iterator[Record]:
    # Quotes have no meaning in a TSV: MGSM has lines that begin with one.
    quoting: Literal[0, 3] = csv.QUOTE_NONE if separator == "\t" else csv.QUOTE_MINIMAL
    # Fields may be longer than the library's default of 128 KiB.
    before = csv.field_size_limit(1 << 30)
    try:
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator, quoting=quoting)
        names: Sequence[str] | None = None
        for row in rows:
            if not row:
                continue
            if names is None:
                if not columns or set(columns) & set(row):
                    names = row
                    continue
                names = columns
            yield dict(zip(names, row, strict=False))
    finally:
        csv.field_size_limit(before)


def _json(whole: Any, name: str) -> Iterator[Record]:
    if isinstance(whole, dict) and isinstance(whole.get("data"), list):
        if any(isinstance(one, dict) and "paragraphs" in one for one in whole["data"]):
            for article in whole["data"]:
                for paragraph in article.get("paragraphs", ()):
                    for question in paragraph.get("qas", ()):
                        yield {"title": article.get("title", ""), "context": paragraph.get("context", ""), **question}
            return
        whole = whole["data"]
    if isinstance(whole, dict) and whole and all(isinstance(one, list) for one in whole.values()):
        lengths = {len(one) for one in whole.values()}
        if len(lengths) == 1:  # columns
            yield from (dict(zip(whole, row, strict=True)) for row in zip(*whole.values(), strict=True))
            return
    if isinstance(whole, dict) and whole and all(isinstance(one, dict) for one in whole.values()):
        yield from ({"id": key, **one} for key, one in whole.items())
        return
    if not isinstance(whole, list) or not all(isinstance(one, dict) for one in whole):
        raise Unreachable(f"{name}: not a list of items")
    yield from whole


def read_hub(
    where: str, *, config: str | None, split: str, revision: str | None = None, data_files: str | None = None
) -> Iterator[Record]:
    """The records of a split of a Hub repository, or of a local folder of the same layout.

    Raises:
        Unreachable: it does not exist, or the Hub cannot be reached.
    """
    import datasets

    label = f"{where}/{config}/{split}" if config else f"{where}/{split}"
    local = Path(where).expanduser().is_dir()
    try:
        if not local:
            from huggingface_hub import HfApi

            # Fails in seconds; the library would retry for minutes.
            HfApi().dataset_info(where, revision=revision, timeout=_TIMEOUT)
        folder = Path(where).expanduser()
        if local and ((folder / "state.json").is_file() or (folder / "dataset_dict.json").is_file()):
            saved = datasets.load_from_disk(str(folder))
            loaded = saved[split] if isinstance(saved, datasets.DatasetDict) else saved
        elif data_files is not None:
            loaded = datasets.load_dataset(
                where, data_files={split: data_files}, split=split, revision=revision, streaming=True
            )
        else:
            loaded = datasets.load_dataset(where, config, split=split, revision=revision, streaming=True)
        for batch in loaded.with_format("arrow").iter(batch_size=_BATCH):
            yield from batch.to_pylist()
    except (GeneratorExit, StepError):
        raise
    except Exception as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise Unreachable(f"{label}: {(lines[0] if lines else type(error).__name__)[:200]}") from error


# ------------------------------------------------------------------------------------------------------------ languages
_FLORES = regex.compile(r"(?<![A-Za-z])[a-z]{3}_[A-Z][a-z]{3}(?![A-Za-z])")


def language_of(name: str, known: Sequence[str]) -> str | None:
    """The language in a file's name: a code (``xquad.de.json``, ``deu_Latn``) or an English name.

    Args:
        known: the possible languages; empty for any.
    """
    stem = regex.sub(r"\.(json|jsonl|ndjson|parquet|csv|tsv|gz|zst|bz2|xz)\b", "", name)
    words = [
        *_FLORES.findall(stem),
        *regex.findall(r"(?<![A-Za-z])[a-z]{2,3}-[A-Z][a-z]{3}(?![A-Za-z])", stem),
        *reversed(regex.split(r"[^\p{L}]+", stem)),
    ]
    for word in words:
        tag = _tag(word)
        if tag is not None and (not known or tag in known):
            return tag
    return known[0] if len(known) == 1 else None


def _tag(word: str) -> str | None:
    if regex.fullmatch(r"[a-z]{2,3}(?:[_-][A-Z][a-z]{3})?", word):
        try:
            return languages.normalize(word)
        except languages.InvalidLanguage:
            return None
    if len(word) < 4:
        return None
    import langcodes

    try:
        return languages.normalize(langcodes.find(word).to_tag())
    except (LookupError, languages.InvalidLanguage):
        return None
