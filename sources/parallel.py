"""Parallel text: two aligned files (Moses), translation memories (TMX), or two columns of a TSV file.

A row's ``language`` is that of its target side. Rows have the columns ``source``, ``target``, ``source_language`` and
``language``, plus those of the format, for use in ``key``, ``id``, ``scores``, ``attributes`` and ``only``.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from curate.catalog.params import LanguageTag, Runtime
from curate.files import digest_files
from curate.rows import Kind
from curate.rows.languages import InvalidLanguage, normalize
from curate.steps import Context, FailedRow, SourceError, Unit
from sources.archives import split_inside
from sources.base import SourceParams
from sources.delimited import Dialect, delimited
from sources.detection import DetectedSchema
from sources.files import Encoding
from sources.mapping import Spec
from sources.paths import Found, bare, members, resolve, resolve_archive, units
from sources.reading import Progress, guarded, lines, open_text
from sources.records import Need, Record, raw_text
from sources.remote.addresses import WEB, file_name, is_url, protocol, public
from sources.remote.cache import locate, urls_in
from sources.templates import Row
from sources.tmx import read_units

_FORM = DetectedSchema(
    "pairs", Kind.PARALLEL, {"source": "{source}", "target": "{target}", "source_language": "{source_language}"}
)


class Pairs(SourceParams):
    """A source of sentence pairs."""

    source_language: LanguageTag
    """Language of the source side."""
    target_language: LanguageTag
    """Language of the target side."""
    direction: Literal["forward", "backward", "both"] = "forward"
    """``backward`` swaps the sides and their languages; ``both`` makes two rows of each pair."""

    @model_validator(mode="after")
    def _two_languages(self) -> Pairs:
        if self.source_language == self.target_language:
            raise PydanticCustomError("languages", "'source_language' and 'target_language' are the same")
        return self

    @property
    def makes(self) -> Kind:
        return Kind.PARALLEL

    def row_languages(self) -> frozenset[str]:
        sides = {"forward": (self.target_language,), "backward": (self.source_language,)}
        return frozenset(sides.get(self.direction, (self.source_language, self.target_language)))

    def spec(self, name: str) -> Spec:
        return self._spec(_FORM, name, "{language}", "")

    @abstractmethod
    def pairs(self, unit: Unit, context: Context | None) -> Iterator[Record | FailedRow]:
        """The records of a unit with ``source`` and ``target``, in the forward direction."""

    def records(
        self, unit: Unit, columns: Mapping[str, Need] | None, context: Context | None
    ) -> Iterator[Record | FailedRow]:
        there = {"source_language": self.source_language, "language": self.target_language}
        back = {"source_language": self.target_language, "language": self.source_language}
        for record in self.pairs(unit, context):
            if isinstance(record, FailedRow):
                yield record
                continue
            place, row, size = record
            if self.direction != "backward":
                yield place, {**row, **there}, size
            if self.direction != "forward":
                yield place, {**row, "source": row["target"], "target": row["source"], **back}, size


# ---------------------------------------------------------------------------------------------------------------- Moses
class Moses(Pairs):
    """Aligned text files: line n of one is the translation of line n of the other."""

    tag: ClassVar[str] = "moses"
    summary: ClassVar[str] = "sentence pairs from two line-aligned text files (Moses), also .gz, .zst, .bz2, .xz"
    lines: ClassVar[bool] = True

    source_path: Runtime[str | list[str] | None] = None
    """The source side: a file, a pattern or a list; files are paired with those of ``target_path`` in order."""
    target_path: Runtime[str | list[str] | None] = None
    """The target side."""
    path: Runtime[str | list[str] | None] = None
    """Instead of the two paths: the common prefix of both file names, which continue with a dot and the language
    (``corpus.en-de`` for ``corpus.en-de.en`` and ``corpus.en-de.de``; ISO 639-3 codes and compressed files are found
    too)."""
    encoding: Encoding | None = None
    """Encoding of files without a byte order mark. Default: UTF-8."""

    @model_validator(mode="after")
    def _either(self) -> Moses:
        both = self.source_path is not None and self.target_path is not None
        neither = self.source_path is None and self.target_path is None
        if not ((both and self.path is None) or (neither and self.path is not None)):
            raise PydanticCustomError(
                "moses", "set either 'source_path' and 'target_path', or 'path' (the prefix of both names)"
            )
        return self

    def units(self) -> Sequence[Unit]:
        if self.path is not None:
            prefixes = [self.path] if isinstance(self.path, str) else self.path
            sides = [(_side(prefix, self.source_language), _side(prefix, self.target_language)) for prefix in prefixes]
            lefts, rights = [left for left, _ in sides], [right for _, right in sides]
        else:
            assert self.source_path is not None and self.target_path is not None
            lefts, rights = resolve(self.source_path, (".txt",)), resolve(self.target_path, (".txt",))
            if len(lefts) != len(rights):
                raise SourceError(
                    f"{len(lefts)} source files but {len(rights)} target files: they must pair up, in order"
                )
        named = units([*lefts, *rights])
        return [_both(left, right) for left, right in zip(named[: len(lefts)], named[len(lefts) :], strict=True)]

    def urls(self) -> list[str]:
        prefixes = [one for one in ([self.path] if isinstance(self.path, str) else self.path or ()) if is_url(one)]
        ends = [one if split_inside(one)[1] else f"{one}.*" for one in prefixes]
        return urls_in(self.source_path, self.target_path, ends)

    def pairs(self, unit: Unit, context: Context | None) -> Iterator[Record | FailedRow]:
        left_name, _, right_name = unit.name.partition(" | ")
        here, there = Progress(left_name), Progress(right_name)
        with (
            guarded(here),
            open_text(unit.files[0], self.encoding) as left_file,
            open_text(unit.files[1], self.encoding) as right_file,
        ):
            left, right = lines(left_file, here, self.max_row_bytes), lines(right_file, there, self.max_row_bytes)
            for number, source in enumerate(left, 1):
                with guarded(there):
                    target = next(right, None)
                if target is None:
                    break
                if isinstance(source, FailedRow) or isinstance(target, FailedRow):
                    side = "source" if isinstance(source, FailedRow) else "target"
                    bad = source if isinstance(source, FailedRow) else target
                    assert isinstance(bad, FailedRow)
                    yield FailedRow(f"line {number}", f"the {side} side is {bad.reason}", bad.raw)
                    continue
                yield number, {"source": source, "target": target}, len(source) + len(target)
            for _ in left:
                pass
            with guarded(there):
                for _ in right:
                    pass
        if here.at != there.at:
            raise SourceError(
                f"{left_name} has {here.at:,} lines but {right_name} has {there.at:,}: the files are not aligned"
            )


def _both(left: Unit, right: Unit) -> Unit:
    """The unit of two sides; if one is remote, its state is that of both."""
    states = [side.state or digest_files(side.files) for side in (left, right)] if left.state or right.state else []
    notes = dict.fromkeys(side.note for side in (left, right) if side.note)
    name = f"{left.name} | {Path(right.name).name}"
    return Unit(name, (*left.files, *right.files), " | ".join(states), "; ".join(notes), (*left.beside, *right.beside))


def _side(prefix: str, language: str) -> Found:
    """The file of one language: prefix, dot, and a code of the language."""
    if protocol(prefix) in WEB and not split_inside(prefix)[1]:
        raise SourceError(
            f"{public(prefix)}: web servers do not list files; set 'source_path' and 'target_path' instead of 'path'"
        )
    near: dict[str, Found]
    archive, inside = split_inside(prefix)
    start = f"{(inside or prefix).rpartition('/')[2]}."
    if inside:
        folder = inside.rpartition("/")[0]
        outer = resolve_archive(archive)
        found_inside = members(outer, "", lambda name: name.startswith(f"{inside}."))
        near = {one.entry.name[len(folder) + bool(folder) :]: one for one in found_inside}
    elif is_url(prefix):
        near = {file_name(file.url): file for file in locate(f"{prefix}.*", lambda _: False)}
    else:
        place = Path(prefix).expanduser()
        there = sorted(place.parent.iterdir()) if place.parent.is_dir() else []
        near = {file.name: file for file in there if file.name.startswith(start) and file.is_file()}
    matches: list[tuple[str, Found]] = []
    for name, found in near.items():
        try:
            if normalize(bare(name)[len(start) :]) == language:
                matches.append((name, found))
        except InvalidLanguage:
            continue
    if len(matches) > 1:
        raise SourceError(
            f"both {matches[0][0]} and {matches[1][0]} could be the {language} side; choose with 'source_path' and "
            "'target_path'"
        )
    if not matches:
        shown = public(prefix) if is_url(prefix) else prefix
        raise SourceError(f"there is no file {shown}.{language}; files with this prefix: {', '.join(near) or 'none'}")
    return matches[0][1]


# ------------------------------------------------------------------------------------------------------------------ TMX
class Tmx(Pairs):
    """Translation memories (TMX 1.1 to 1.4b), read unit by unit.

    A unit with several variants of a language gives a row for each pair of variants. Additional columns: ``tuid``,
    ``props`` (type → text) and ``note``.
    """

    tag: ClassVar[str] = "tmx"
    summary: ClassVar[str] = "sentence pairs from translation memories (.tmx, also compressed)"

    path: Runtime[str | list[str]]
    """A file, a folder (its .tmx files at any depth), a pattern, or a list."""

    def units(self) -> Sequence[Unit]:
        return units(resolve(self.path, (".tmx",)))

    def pairs(self, unit: Unit, context: Context | None) -> Iterator[Record | FailedRow]:
        warn = context.warn if context is not None else None
        return read_units(
            unit.files[0], unit.name, self.source_language, self.target_language, self.max_row_bytes, warn
        )


# ------------------------------------------------------------------------------------------------------------------ TSV
Place = Annotated[int, Field(ge=0)] | Annotated[str, Field(min_length=1)]


class ParallelTsv(Pairs):
    """Two columns of tab-separated files; the others are available under their names (or numbers)."""

    tag: ClassVar[str] = "parallel-tsv"
    summary: ClassVar[str] = "sentence pairs from two columns of TSV files (also compressed)"
    lines: ClassVar[bool] = True

    path: Runtime[str | list[str]]
    """A file, a folder (its .tsv, .tab and .txt files at any depth), a pattern, or a list."""
    source: Place = 0
    """The column of the source side: its number from 0, or its name."""
    target: Place = 1
    """The column of the target side."""
    header: bool | list[Annotated[str, Field(min_length=1)]] = False
    """Whether the first line has the column names; a list gives the names of a file without such a line."""
    quoting: Literal["standard", "none"] = "none"
    """``none``: a quote is text and each line is a row; ``standard``: as in CSV."""
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = "\t"
    """The character between columns."""
    skip: Annotated[int, Field(ge=0)] = 0
    """Lines to skip at the beginning."""
    encoding: Encoding | None = None
    """Encoding of files without a byte order mark. Default: UTF-8."""

    @model_validator(mode="after")
    def _columns(self) -> ParallelTsv:
        if self.source == self.target:
            raise PydanticCustomError("columns", "'source' and 'target' are the same column")
        names = [column for column in (self.source, self.target) if isinstance(column, str)]
        if names and self.header is False:
            message = f"without a header there is no column '{names[0]}'; use its number (from 0) or set 'header'"
            raise PydanticCustomError("columns", "{message}", {"message": message})
        return self

    def units(self) -> Sequence[Unit]:
        return units(resolve(self.path, (".tsv", ".tab", ".txt")))

    def taken(self, row: Row) -> Sequence[str]:
        names = list(row)  # as the file has them, the sides last
        return [str(column) if isinstance(column, str) else names[column] for column in (self.source, self.target)]

    def pairs(self, unit: Unit, context: Context | None) -> Iterator[Record | FailedRow]:
        header = tuple(self.header) if isinstance(self.header, list) else self.header
        dialect = Dialect(self.delimiter, '"' if self.quoting == "standard" else None, header, self.skip)
        names: tuple[str, str] | None = None
        for record in delimited(unit.files[0], unit.name, self.encoding, dialect, self.max_row_bytes):
            if isinstance(record, FailedRow):
                yield record
                continue
            place, row, size = record
            if names is None:
                other = dialect.other(next(iter(row.values()))) if len(row) == 1 else ""
                names = (_named(row, self.source, unit.name, other), _named(row, self.target, unit.name, other))
            source, target = row[names[0]], row[names[1]]
            yield place, {**row, "source": source, "target": target}, size


def _named(row: Mapping[str, Any], column: int | str, where: str, other: str) -> str:
    names = list(row)
    if isinstance(column, str):
        if column in row:
            return column
        raise SourceError(f"{where} has no column '{column}'; its columns are {', '.join(names)}{other}")
    if column < len(names):
        return names[column]
    shown = raw_text(" | ".join(map(str, row.values())))[:200]
    raise SourceError(
        f"{where} has {len(names)} columns, so none has number {column} (from 0); its first row is {shown}{other}"
    )
