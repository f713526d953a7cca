"""Dictionaries: a row for each word and each of its translations.

Two formats: word lists (one pair a line, as in MUSE, PanLex extracts and TSV files) and dictd dictionaries (FreeDict).
The step ``lexicon`` weighs and uses the pairs.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice, product
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from curate.catalog.params import Runtime
from curate.steps import Context, FailedRow, SourceError, Unit
from sources.dictd import read_entries, text_of
from sources.files import Encoding
from sources.parallel import Pairs
from sources.paths import find, resolve, units
from sources.reading import Progress, guarded, lines, open_text
from sources.records import Record, raw_text
from sources.remote.addresses import public
from sources.templates import Row

_LOOK = 1_000
"""How many lines are examined to detect the separator of a file."""


class Words(Pairs):
    """A source of word pairs."""

    drop_identical: bool = True
    """Whether pairs with the same word on both sides (ignoring case) are skipped, and counted in a warning. Half of the
    pairs in PanLex extracts are identical: names, numbers, and words that nobody translated; none of them teaches a
    translation."""

    def _warn_of_identical(self, name: str, dropped: int, seen: int, context: Context | None) -> None:
        if dropped and context is not None:
            context.warn(
                f"{name}: {dropped:,} of {seen:,} pairs ({dropped / seen:.0%}) have the same word on both sides and "
                "were skipped"
            )

    def _same(self, source: str, target: str) -> bool:
        return self.drop_identical and _bare(source) == _bare(target)


def _bare(word: str) -> str:
    return unicodedata.normalize("NFC", word.strip()).casefold()


# ----------------------------------------------------------------------------------------------------------- word lists
class Dictionary(Words):
    """Word lists: a word and its translation on each line, separated by a tab, whitespace or another separator.

    Additional columns are named by their numbers (from 0), for use in ``scores`` and ``attributes`` (``scores:
    {probability: "{2}"}``).
    """

    tag: ClassVar[str] = "dictionary"
    summary: ClassVar[str] = "word pairs from text files (MUSE, PanLex, TSV), a pair a line, also compressed"
    lines: ClassVar[bool] = True

    path: Runtime[str | list[str]]
    """A file, a folder (its .txt, .tsv, .tab and .dic files at any depth), a pattern, or a list."""
    separator: Annotated[str, Field(min_length=1)] = "auto"
    """The column separator: ``tab``, ``blank`` (any whitespace; neither side may then have two words), another text
    such as ``|||``, or ``auto``: a tab if most of the file's first lines have one, else whitespace."""
    source: Annotated[int, Field(ge=0)] = 0
    """The column of the source word, from 0."""
    target: Annotated[int, Field(ge=0)] = 1
    """The column of its translation."""
    width: Annotated[int, Field(ge=2)] | None = None
    """The number of columns of a line. Default: that of most of the file's first lines."""
    alternatives: Annotated[str, Field(min_length=1)] | None = None
    """The separator of several translations in one cell, such as ``;``: each makes a row (on the source side too)."""
    comment: Annotated[str, Field(min_length=1)] | None = None
    """Lines that begin with this text are skipped, as are blank lines."""
    skip: Annotated[int, Field(ge=0)] = 0
    """Lines to skip at the beginning (a header)."""
    encoding: Encoding | None = None
    """Encoding of files without a byte order mark. Default: UTF-8."""

    @model_validator(mode="after")
    def _columns(self) -> Dictionary:
        if self.source == self.target:
            raise PydanticCustomError("columns", "'source' and 'target' are the same column")
        if self.width is not None and max(self.source, self.target) >= self.width:
            raise PydanticCustomError("columns", "'source' and 'target' (from 0) must be below 'width'")
        return self

    def units(self) -> Sequence[Unit]:
        return units(resolve(self.path, (".txt", ".tsv", ".tab", ".dic")))

    def pairs(self, unit: Unit, context: Context | None) -> Iterator[Record | FailedRow]:
        separator, width = self._form(unit)
        seen = dropped = 0
        progress = Progress(unit.name)
        with guarded(progress), open_text(unit.files[0], self.encoding) as file:
            for line in islice(lines(file, progress, self.max_row_bytes), self.skip, None):
                if isinstance(line, FailedRow):
                    yield line
                    continue
                if not line.strip() or (self.comment and line.startswith(self.comment)):
                    continue
                cells = _cells(line, separator)
                if len(cells) != width:
                    hint = "; words with spaces need a tab between the sides" if separator is None else ""
                    yield FailedRow(
                        f"line {progress.at}",
                        f"{len(cells)} columns where most lines have {width}{hint}",
                        raw_text(line),
                    )
                    continue
                more = {str(column): cell for column, cell in enumerate(cells)}
                for source, target in product(self._words(cells[self.source]), self._words(cells[self.target])):
                    seen += 1
                    if source.strip() and self._same(source, target):
                        dropped += 1
                        continue
                    yield progress.at, {**more, "source": source, "target": target}, len(line)
        self._warn_of_identical(unit.name, dropped, seen, context)

    def taken(self, row: Row) -> Sequence[str]:
        return str(self.source), str(self.target)

    def _words(self, cell: str) -> list[str]:
        if self.alternatives is None:
            return [cell]
        return [part for part in (part.strip() for part in cell.split(self.alternatives)) if part] or [cell]

    def _form(self, unit: Unit) -> tuple[str | None, int]:
        """The separator (None: whitespace) and the number of columns, from the beginning of the file."""
        progress = Progress(unit.name)
        with guarded(progress), open_text(unit.files[0], self.encoding) as file:
            first = [
                line
                for line in islice(lines(file, progress, self.max_row_bytes), self.skip, self.skip + _LOOK)
                if isinstance(line, str) and line.strip() and not (self.comment and line.startswith(self.comment))
            ]
        separator: str | None = {"tab": "\t", "blank": None}.get(self.separator, self.separator)
        if self.separator == "auto":
            separator = "\t" if 2 * sum("\t" in line for line in first) > len(first) else None
        if self.width is not None:
            return separator, self.width
        counts = Counter(len(_cells(line, separator)) for line in first)
        width = counts.most_common(1)[0][0] if counts else 2
        need = max(self.source, self.target) + 1
        if counts and width < need:
            raise SourceError(
                f"{unit.name}: most lines have {width} column{'s' if width > 1 else ''}, so none has number {need - 1} "
                f"(from 0); the first is {raw_text(first[0])[:120]!r}; set 'separator', 'source' and 'target'"
            )
        return separator, width


def _cells(line: str, separator: str | None) -> list[str]:
    return line.split() if separator is None else line.split(separator)


# ---------------------------------------------------------------------------------------------------------------- dictd
class Dictd(Words):
    """FreeDict dictionaries in dictd format: an ``.index`` next to a ``.dict.dz`` (or ``.dict``).

    Unpack distribution packages first (``apt-get install dict-freedict-eng-hin`` puts the files in
    ``/usr/share/dictd``). Additional columns: ``word_class``, ``sense`` (a number, from 1), ``headword`` (as in the
    index) and ``example`` (``true`` for phrases).
    """

    tag: ClassVar[str] = "dictd"
    summary: ClassVar[str] = "word pairs (and translated examples) from dictd dictionaries such as FreeDict's"
    lines: ClassVar[bool] = True

    path: Runtime[str | list[str]]
    """An ``.index`` file (or its ``.dict.dz``), a folder (its .index files at any depth), a pattern, or a list."""
    take: Literal["words", "examples", "both"] = "words"
    """What makes rows: words with their translations, translated example phrases (in some dictionaries), or both."""
    glosses: bool | None = None
    """Whether the line after the translations of a sense is an explanation in the source language, which is skipped.
    Default: true for dictionaries that name WikDict as their origin."""
    max_words: Annotated[int, Field(ge=1)] | None = 6
    """Longer translations (in words) count as explanations and are skipped; ``null`` takes all."""

    def units(self) -> Sequence[Unit]:
        paths = [self.path] if isinstance(self.path, str) else self.path
        if urls := self.urls():
            raise SourceError(
                f"{public(urls[0])}: a dictionary is two files side by side; download both, and give the index"
            )
        indexes = find([_index(one) for one in paths], (".index",))
        return [Unit(unit.name, (unit.files[0], text_of(unit.files[0]))) for unit in units(indexes)]

    def taken(self, row: Row) -> Sequence[str]:
        return list(row)  # all columns come from parsing the entry

    def pairs(self, unit: Unit, context: Context | None) -> Iterator[Record | FailedRow]:
        seen = dropped = long = 0
        warn = context.warn if context is not None else None
        for item in read_entries(
            unit.files[0],
            unit.files[1],
            unit.name,
            self.glosses,
            self.max_row_bytes,
            warn if self.take != "examples" else None,
        ):
            if isinstance(item, FailedRow):
                yield item
                continue
            place, headword, entry = item
            more = {"word_class": entry.word_class, "headword": headword}
            if self.take != "examples":
                for sense, targets in entry.senses:
                    for source, target in product(entry.heads, targets):
                        seen += 1
                        if self.max_words is not None and len(target.split()) > self.max_words:
                            long += 1
                        elif self._same(source, target):
                            dropped += 1
                        else:
                            row = {**more, "source": source, "target": target, "sense": sense, "example": "false"}
                            yield place, row, len(source) + len(target)
            if self.take != "words":
                for source, target in entry.examples:
                    row = {**more, "source": source, "target": target, "sense": None, "example": "true"}
                    yield place, row, len(source) + len(target)
        if long and warn is not None:
            warn(
                f"{unit.name}: {long:,} of {seen:,} translations have more than {self.max_words} words and were skipped"
            )
        self._warn_of_identical(unit.name, dropped, seen, context)


def _index(path: str) -> str:
    """The index file for the name of a text file."""
    for suffix in (".dict.dz", ".dict.gz", ".dict"):
        if path.endswith(suffix):
            return path.removesuffix(suffix) + ".index"
    return path
