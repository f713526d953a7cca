"""What a file is: the parameters of the source that reads it, its kind, its languages, by its first rows."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from curate.catalog.suggestions import nearest
from curate.errors import SourceError
from curate.new.guess import Guess, guess
from curate.new.places import Found
from curate.rows import Kind, answer_field, main_fields
from curate.rows.fields import field_text
from curate.rows.kinds import required_columns
from curate.rows.languages import UNKNOWN, InvalidLanguage, base, from_name, normalize
from curate.steps import FailedRow, Source
from sources.base import SourceParams
from sources.detection import detect
from sources.files import Csv, Delimited, JsonArray, JsonLines, Parquet, Tsv
from sources.parallel import Moses, ParallelTsv, Tmx
from sources.paths import bare
from sources.reading import open_text

LEAST = 3
"""With fewer rows, nothing tells which column identifies them."""
SAMPLE = 200
"""How many rows of each file are looked at."""
LINES = {"use": "csv", "header": ["text"], "delimiter": "\x1f", "quoting": "none"}
"""A text file as a table of one column: no line has the delimiter."""
_BY_FORM: Mapping[str, type[SourceParams]] = {
    "jsonl": JsonLines,
    "json": JsonArray,
    "csv": Csv,
    "tsv": Tsv,
    "parquet": Parquet,
    "text": Csv,
    "tmx": Tmx,
    "moses": Moses,
    "parallel-tsv": ParallelTsv,
}
_LANGUAGE = ("language", "lang", "locale", "language_code", "lang_code", "lang_id")
_LICENCE = ("license", "licence")
_PAIR = re.compile(r"(?<![A-Za-z])([a-z]{2,3})[-_]([a-z]{2,3})(?![A-Za-z])")
_TMX_LANGUAGE = re.compile(r"""<tuv\b[^>]*?\b(?:xml:)?lang\s*=\s*["']([A-Za-z0-9_-]+)["']""", re.IGNORECASE)
_HEAD = 65_536
_EDGES = re.compile(r"^\W+|\W+$")
_LONG_NAME = 40


@dataclass
class Sniffed:
    """A file, and the source that reads it."""

    found: Found
    params: dict[str, Any]
    """The source's parameters, ``use`` first, with those that the user gave, but without ``path``."""
    kind: Kind
    form: str
    """What the form is called (``ShareGPT``)."""
    rows: int = 0
    """How many rows were looked at."""
    bad: list[str] = field(default_factory=list)
    """Place and reason of those that could not be read."""
    guessed: Guess = field(default_factory=Guess)
    licence: str = ""
    """``{column}``, if each row has its own."""
    keys: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Column → its values in the first rows, of the columns that tell rows apart by something short."""
    texts: list[str] = field(default_factory=list)
    """The first texts."""
    length: int = 0
    """How many rows the file has, as far as its lines tell; 0 if unknown."""

    @property
    def tags(self) -> list[str]:
        """The languages of its rows (of the target side)."""
        told = str(self.params.get("target_language") or self.params.get("language", ""))
        return [told] if told and "{" not in told and told != "detect" else self.guessed.tags

    @property
    def unsure(self) -> list[str]:
        """Its language, if the identifier finds it in less than half of the rows, and no other more often."""
        [tag, *others] = self.tags or [""]
        rare = not others and 2 * self._found(tag) < self.guessed.counts.total()
        return [tag] if rare and not self.contradicted else []

    @property
    def contradicted(self) -> bool:
        """Whether another language than it is said to have is found more often."""
        most = max((count for tag, count in self.guessed.counts.items() if tag != UNKNOWN), default=0)
        return len(self.tags) == 1 and most > self._found(self.tags[0]) and 2 * most > self.guessed.counts.total()

    def _found(self, tag: str) -> int:
        return sum(count for one, count in self.guessed.counts.items() if base(one) == base(tag))


def sniff(found: Found, given: Mapping[str, Any]) -> Sniffed:
    """What a file is.

    Args:
        given: parameters of its source that the user gives; these are not guessed.

    Raises:
        SourceError: its form or its language cannot be told; the message says which parameter to set.
    """
    errors: list[str] = []
    forms = [found.form] if found.form else ["parquet", "jsonl", "json", "csv", "tsv", "tmx"]
    for form in forms:
        try:
            return _Sniffer(found, form, given).run()
        except SourceError as error:
            errors.append(str(error))
    if found.form == "json":
        try:
            return _Sniffer(found, "jsonl", given).run()  # JSON Lines in a file called .json
        except SourceError:
            pass
    raise SourceError(errors[0] if found.form else f"{found.path}: in none of the known forms: {'; '.join(errors)}")


class _Sniffer:
    def __init__(self, found: Found, form: str, given: Mapping[str, Any]) -> None:
        self.found, self.given = found, dict(given)
        self.form = form
        self.name = found.path.rpartition("/")[2]
        self.params: dict[str, Any] = dict(LINES) if form == "text" else {"use": form}

    def run(self) -> Sniffed:
        if "kind" in self.given and "columns" in self.given:
            return self._table([])
        if self.form == "moses":
            source, target = self.found.languages
            return self._pairs({"source_language": source, "target_language": target})
        if self.form == "tmx":
            return self._pairs(self._tmx())
        first = self._first()
        if self.form in ("csv", "tsv") and (pairs := self._columns_of_pairs(first)):
            self.params = {"use": "parallel-tsv"}
            if self.form == "csv":
                self.params |= {"delimiter": ",", "quoting": "standard"}
            self.form = "parallel-tsv"
            return self._pairs(pairs)
        return self._table(first)

    # ---------------------------------------------------------------------------------------------------------- reading
    def _source(self, more: Mapping[str, Any] = {}) -> SourceParams:
        params = {**self.params, **more, **self.given}
        params.pop("use")
        params |= {"path": self.found.path, "license": params.get("license", "unknown")}
        params.setdefault("max_error_rate", 1.0)
        cls = _BY_FORM[self.form]
        try:
            return cls.model_validate(params)
        except ValidationError as error:
            told = "; ".join(_told(one, cls) for one in error.errors())
            raise SourceError(f"{self.found.path}: {told}") from None

    def _first(self) -> list[dict[str, Any]]:
        """The first records as they are in the file."""
        source = self._source({"language": UNKNOWN})
        unit, records = source.beginning
        rows = [one[1] for one in records if not isinstance(one, FailedRow)]
        if not rows:
            bad = next((one for one in records if isinstance(one, FailedRow)), None)
            why = f"{bad.where}: {bad.reason}" if bad else "it has no rows"
            raise SourceError(f"{unit.name if unit else self.found.path}: no row could be read: {why}")
        return rows

    def _read(self, source: Source) -> tuple[Any, list[str], int]:
        """The first rows as an Arrow table, what could not be read, and how many there were of both."""
        import pyarrow as pa

        tables, bad = [], []
        for unit in source.units():
            for batch in source.read(unit, "new", _Nobody()):  # type: ignore[arg-type]
                tables.append(batch.table)
                bad += [f"{unit.name}, {one.where}: {one.reason}" for one in batch.bad]
        table = pa.concat_tables(tables) if tables else None
        return table, bad, (table.num_rows if table is not None else 0) + len(bad)

    # ----------------------------------------------------------------------------------------------------------- tables
    def _table(self, first: Sequence[Mapping[str, Any]]) -> Sniffed:
        params = dict(self.params)
        column = next((name for name in _LANGUAGE if _are_languages(name, first)), None)
        params["language"] = f"{{{column}}}" if column else UNKNOWN
        sides = [one for one in self._sides(first) if one]
        if sides:
            params["source_language"], params["language"] = sides
        elif _has_pairs(first):
            params["source_language"] = UNKNOWN
        self.params = params
        source = self._source({"limit": SAMPLE})
        try:
            kind = source.makes
        except SourceError as error:
            raise SourceError(
                f"{error}\n    here: --set kind=KIND --set 'columns={{TARGET: \"{{column}}\"}}'"
            ) from None
        table, bad, rows = self._read(source)
        if bad and isinstance(source, Delimited) and "quoting" not in {**self.given, **params}:
            # Cells with line breaks or delimiters are quoted in one dialect, and a quote is text in the other.
            other = {"quoting": "none" if source.dialect().quote else "standard"}
            again = self._read(self._source({"limit": SAMPLE, **other}))
            if again[0] is not None and len(again[1]) < len(bad):
                table, bad, rows = again
                params |= other
        if table is None or not table.num_rows:
            raise SourceError(f"{self.found.path}: no row could be read{f': {bad[0]}' if bad else ''}")
        form = getattr(source, "form", None)
        sniffed = Sniffed(self.found, params, kind, form.name if form else self.form, rows, bad)
        texts = field_text(kind, table, answer_field(kind)).to_list()
        sniffed.guessed, sniffed.texts = guess(texts, self.name), texts
        every = {name: field_text(kind, table, name).to_list() for name in main_fields(kind)}
        asked = ["\n".join(parts) for parts in zip(*every.values(), strict=True)]
        if not sniffed.guessed.tags and kind is not Kind.PARALLEL and _are_quoted(texts, asked):
            # Numbers and names out of the prompt are in no other language than the prompt.
            whole = guess(asked)
            if len(whole.tags) == 1:
                sniffed.guessed.named, sniffed.guessed.named_by = whole.tags[0], "its prompts and answers together"
        sniffed.keys, sniffed.length = _keys_of(first), _length(self.found)
        if not column and not sides and "language" not in self.given:
            params["language"] = self._language(sniffed.guessed, "language")
        if kind is Kind.PARALLEL and not sides and "source_language" not in self.given:
            left = guess(field_text(kind, table, "source").to_list())
            params["source_language"] = self._language(left, "source_language", several=False)
        licence = next((name for name in _LICENCE if all(_text(row.get(name)) for row in first) and first), None)
        sniffed.licence = f"{{{licence}}}" if licence else ""
        params |= self.given
        return sniffed

    def _language(self, found: Guess, parameter: str, *, several: bool = True) -> str:
        tags = found.tags
        if not tags or (len(tags) > 1 and not several):
            raise SourceError(
                f"{self.found.path}: the language of its texts could not be detected ({found or 'they are empty'}); "
                f"set it: --{'language TAG' if parameter == 'language' else f'set {parameter}=TAG'}"
            )
        return tags[0] if len(tags) == 1 else "detect"

    def _sides(self, first: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
        """The languages of ``translation: {en: …, sw: …}``: source and target."""
        value = first[0].get("translation") if first else None
        if not isinstance(value, dict) or len(value) != 2:
            return "", ""
        keys = sorted(value, key=lambda one: one != "en")
        try:
            return normalize(keys[0]), normalize(keys[1])
        except InvalidLanguage:
            return "", ""

    # ------------------------------------------------------------------------------------------------------------ pairs
    def _pairs(self, told: Mapping[str, Any]) -> Sniffed:
        self.params = {**self.params, **told}
        table, bad, rows = self._read(self._source({"limit": SAMPLE}))
        if table is None or not table.num_rows:
            raise SourceError(f"{self.found.path}: no pair could be read{f': {bad[0]}' if bad else ''}")
        guessed = guess(field_text(Kind.PARALLEL, table, "target").to_list())
        self.params |= self.given
        return Sniffed(self.found, self.params, Kind.PARALLEL, self.form, rows, bad, guessed)

    def _tmx(self) -> dict[str, str]:
        source = self._source({"source_language": "en", "target_language": "fr"})
        unit = source.fetched(source.units()[0])
        with open_text(unit.files[0], None) as file:
            head = file.read(_HEAD)
        tags = list(dict.fromkeys(tag for one in _TMX_LANGUAGE.findall(head) if (tag := _tag(one))))
        return self._two(tags, "its translation units")

    def _two(self, tags: Sequence[str], where: str) -> dict[str, str]:
        given = [self.given.get(name) for name in ("source_language", "target_language")]
        if all(given):
            return {}
        if len(tags) != 2:
            raise SourceError(
                f"{self.found.path}: {where} have {len(tags)} languages ({', '.join(tags) or 'none'}); say which two: "
                "--set source_language=TAG --set target_language=TAG"
            )
        first, second = sorted(tags, key=lambda one: one != "en") if "en" in tags else tags
        return {"source_language": first, "target_language": second}

    def _columns_of_pairs(self, first: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
        """How a table is one of pairs: columns that are called by languages, or no header and two columns in two
        languages; None if it is another."""
        if "header" in self.given or "columns" in self.given or "kind" in self.given:
            return None
        names = [name for name in first[0] if not name.startswith("@")]
        called = [name for name in names if _tag(name)]
        if len(called) == 2:
            one, two = sorted(called, key=lambda name: _tag(name) != "en")
            found = {"header": True, "source": one, "target": two}
            return {**found, "source_language": _tag(one), "target_language": _tag(two)}
        try:
            detect(first, self.name, language=UNKNOWN, source_language=UNKNOWN)
        except SourceError:
            pass
        else:
            return None
        if len(names) < 2 or not any(len(name) > _LONG_NAME or " " in name.strip() for name in names):
            return None
        rows = [names, *([str(row.get(name) or "") for name in names] for row in first)]
        columns = sorted(range(len(names)), key=lambda place: -sum(len(row[place]) for row in rows))[:2]
        columns.sort()
        guessed = [guess([row[place] for row in rows]) for place in columns]
        tags = [one.tags[0] if len(one.tags) == 1 else "" for one in guessed]
        pair = _PAIR.search(self.name)
        if pair and not all(tags) and all(_tag(one) for one in pair.groups()):
            tags = [tag or str(_tag(pair[number])) for number, tag in enumerate(tags, 1)]
        wanted = [
            self.given.get(name) or tag for name, tag in zip(("source_language", "target_language"), tags, strict=True)
        ]
        if not all(wanted) or wanted[0] == wanted[1]:
            told = " and ".join(str(one) for one in guessed)
            raise SourceError(
                f"{self.found.path}: its columns look like pairs of sentences without a header, but their languages "
                f"could not be detected ({told}); set them: --set source_language=TAG --set target_language=TAG"
            )
        places = {"source": columns[0], "target": columns[1]} if columns != [0, 1] else {}
        return {**places, "source_language": wanted[0], "target_language": wanted[1]}


def _are_quoted(answers: Sequence[str], whole: Sequence[str]) -> bool:
    """Whether nearly all answers have no letters, or stand in their prompt too.

    Args:
        whole: for each answer all texts of its row, the answer included.
    """
    quoted = 0
    for answer, every in zip(answers, whole, strict=True):
        words = _EDGES.sub("", answer or "").casefold()
        quoted += not any(map(str.isalpha, words)) or every.casefold().count(words) > 1
    return 10 * quoted >= 9 * len(answers)


def _told(error: Any, source: type[SourceParams]) -> str:
    name = ".".join(map(str, error["loc"]))
    if error["type"] == "extra_forbidden":
        return f"--set {name}: the source {source.tag} has no such parameter{nearest(name, source.model_fields)}"
    return f"{name}: {error['msg']}" if name else str(error["msg"])


def _tag(name: Any) -> str | None:
    try:
        return normalize(name) if isinstance(name, str) and 2 <= len(name) <= 12 else None
    except InvalidLanguage:
        return None


def _text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _are_languages(column: str, rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether every row names a language there."""
    values = [row.get(column) for row in rows]
    return bool(values) and all(_text(one) and (_tag(one) or from_name(str(one))) for one in values)


def _has_pairs(rows: Sequence[Mapping[str, Any]]) -> bool:
    needed = set(required_columns(Kind.PARALLEL)) - {"source_language"}
    return bool(rows) and needed <= set(rows[0]) and "source_language" not in rows[0]


def _keys_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, tuple[str, ...]]:
    """Column → its values, of the columns that tell these rows apart by something short."""
    found = {}
    for column in rows[0] if len(rows) >= LEAST else ():
        values = [row.get(column) for row in rows]
        if all(isinstance(one, str | int) and not isinstance(one, bool) for one in values):
            texts = tuple(map(str, values))
            if len(set(texts)) == len(texts) and all(0 < len(text) <= 64 for text in texts):
                found[column] = texts
    return found


def _length(found: Found) -> int:
    """How many rows a file on this machine has, as far as its lines tell; 0 if they do not."""
    if found.size is None or found.form not in ("jsonl", "text", "csv", "tsv", "parquet"):
        return 0
    if found.form == "parquet":
        import pyarrow.parquet as pq

        return int(pq.read_metadata(found.path).num_rows)
    if bare(found.path) != found.path:
        return 0
    with Path(found.path).open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))


class _Nobody:
    """Nobody is told of warnings while a file is looked at; a build says them."""

    def warn(self, message: str) -> None:
        pass
