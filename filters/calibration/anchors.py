"""Anchors: sentences that mean the same in several languages, as key → text for each language.

The shipped set is in ``data/anchors``, one file a language. Other sets are read in their usual formats: a file of lines
for each language (FLORES), pairs of such files (Tatoeba, Moses), a table with a column for each language, TMX, and the
Universal Declaration of Human Rights as JSON lines, whose paragraphs are aligned article by article.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import orjson
import regex

from curate.data_files import DataFile
from curate.errors import StepError
from curate.rows import languages

SHIPPED = "shipped"
ANCHORS = DataFile("filters.calibration", "anchors")
Texts = dict[str, dict[str, str]]
_PAIR = regex.compile(
    r"^(?P<stem>.*\.)?(?P<left>[A-Za-z]{2,3}(?:_[A-Za-z]+)*)-(?P<right>[A-Za-z]{2,3}(?:_[A-Za-z]+)*)\.(?P<side>[A-Za-z_]+)$"
)
_HEADER = regex.compile(r"^#\s*(\w+):\s*(.*)$")
_LETTER = regex.compile(r"\p{L}")
_NUMBER = regex.compile(r"\p{Nd}+|[一二三四五六七八九十]+")
_HAN = {digit: value for value, digit in enumerate("〇一二三四五六七八九十")}
_TABLES = (".tsv", ".csv", ".jsonl", ".tmx")
_ARTICLES = 30
_KEY = "key"


@dataclass
class Anchors:
    """Parallel sentences: language → key → text."""

    texts: Texts
    name: str
    license: str = "unknown"
    version: str = ""
    notes: list[str] = field(default_factory=list)
    """What could not be used, and why."""

    @property
    def languages(self) -> tuple[str, ...]:
        return tuple(sorted(self.texts))

    @property
    def sentences(self) -> int:
        """The number of keys."""
        return len({key for texts in self.texts.values() for key in texts})

    def digest(self) -> str:
        """Digest of all languages, keys and texts, independent of the files."""
        whole = hashlib.blake2b(digest_size=16)
        for language in self.languages:
            for key, text in sorted(self.texts[language].items()):
                for part in (language, key, text):
                    data = part.encode("utf-8", "surrogatepass")
                    whole.update(len(data).to_bytes(8, "little") + data)
        return whole.hexdigest()

    def pair(self, left: str, right: str, most: int) -> tuple[list[str], list[str]]:
        """The texts that both languages have, in the order of their keys' digests; at most ``most``.

        Of pairs that share a text on one side only the first is used: an alternative translation is not a wrong one.
        """
        one, other = self.texts.get(left, {}), self.texts.get(right, {})
        keys = sorted(one.keys() & other.keys(), key=lambda key: hashlib.blake2b(key.encode(), digest_size=16).digest())
        seen: tuple[set[str], set[str]] = (set(), set())
        chosen: tuple[list[str], list[str]] = ([], [])
        for key in keys:
            pair = (one[key], other[key])
            same = tuple(_same(text) for text in pair)
            if same[0] in seen[0] or same[1] in seen[1]:
                continue
            for side in (0, 1):
                seen[side].add(same[side])
                chosen[side].append(pair[side])
            if len(chosen[0]) == most:
                break
        return chosen


def shipped_anchors() -> Anchors:
    """The set that is part of the package (CC0-1.0)."""
    anchors = Anchors({}, SHIPPED)
    for name, text in ANCHORS.texts().items():
        about = _keyed(anchors.texts, text, name.removesuffix(".tsv"), "")
        anchors.license, anchors.version = about.get("license", "unknown"), about.get("version", "")
    return anchors


def read_anchors(paths: Sequence[Path], license: str = "unknown", name: str | None = None) -> Anchors:
    """The anchors of several files and folders.

    Args:
        paths: see :mod:`filters.calibration.anchors`; ``.gz`` files are read too.
        license: of these texts; overridden by a file's header line ``# license: …``.

    Raises:
        StepError: a file does not exist, has an unknown format, or contradicts itself.
    """
    anchors = Anchors({}, name or "+".join(dict.fromkeys(path.name for path in paths)), license)
    for number, path in enumerate(paths):
        before = f"{number}/" if len(paths) > 1 else ""
        if path.is_dir():
            _read_folder(anchors, path, before)
        elif path.is_file():
            _read_file(anchors, path, before)
        else:
            raise StepError(f"there are no anchors at {path}")
    anchors.texts = {language: texts for language, texts in anchors.texts.items() if texts}
    if len(anchors.texts) < 2:
        raise StepError(
            f"{', '.join(map(str, paths))}: anchors in at least two languages are needed, but found "
            f"{listed(anchors.texts)}; supported are FLORES-like files (one a language, a sentence a line), X-Y.X with "
            "X-Y.Y, TMX, and TSV, CSV or JSON lines with a column for each language"
        )
    return anchors


# -------------------------------------------------------------------------------------------------------------- folders
def _read_folder(anchors: Anchors, folder: Path, before: str) -> None:
    inside = sorted(
        path for path in (*folder.glob("*"), *folder.glob("*/*")) if path.is_file() and not path.name.startswith(".")
    )
    splits: dict[str, dict[str, list[str]]] = {}
    for path in inside:
        name = path.name.removesuffix(".gz")
        relative = path.parent.relative_to(folder).as_posix()
        if _PAIR.match(name):
            _read_file(anchors, path, before)
            continue
        stem, _, rest = name.partition(".")
        tag = _tag(stem)
        if tag is None:
            if name.endswith(_TABLES):
                _read_file(anchors, path, f"{before}{name}/")
            continue
        if rest == "tsv":
            _keyed(anchors.texts, _text(path), tag, before)
        elif f".{rest}" not in _TABLES:
            split = splits.setdefault(f"{relative}/{rest}", {})
            if tag in split:
                raise StepError(f"{folder}: two files are in {tag}, the second is {path.name}")
            split[tag] = _lines(path)
    for place, by_language in splits.items():
        counts = {tag: len(lines) for tag, lines in by_language.items()}
        if len(set(counts.values())) > 1:
            usual = max(counts.values(), key=list(counts.values()).count)
            odd = {tag: count for tag, count in counts.items() if count != usual}
            raise StepError(
                f"{folder}: files must have the same sentence on each line, but {_counted(odd)} where the others "
                f"have {usual:,} lines"
            )
        for tag, lines in by_language.items():
            _add(anchors.texts, tag, ((f"{before}{place}:{number}", line) for number, line in enumerate(lines)))


# ---------------------------------------------------------------------------------------------------------------- files
def _read_file(anchors: Anchors, path: Path, before: str) -> None:
    name = path.name.removesuffix(".gz")
    pair = _PAIR.match(name)
    if pair:
        _read_side(anchors, path, name, pair, before)
    elif name.endswith(".tmx"):
        _read_tmx(anchors, path, before)
    elif name.endswith(".jsonl"):
        rows = list(_json_lines(path))
        if rows and "paragraphs" in rows[0]:
            _read_udhr(anchors, rows, before)
        else:
            _read_table(anchors, path, rows, before)
    elif name.endswith((".tsv", ".csv")):
        tag = _tag(name.partition(".")[0])
        text = _text(path)
        first = next((line for line in text.splitlines() if line and not line.startswith("#")), "")
        if (
            tag is not None
            and name.endswith(".tsv")
            and first.count("\t") == 1
            and _tag(first.partition("\t")[2]) is None
        ):
            _keyed(anchors.texts, text, tag, before)
            return
        body = "\n".join(line for line in text.split("\n") if not line.startswith("#"))
        tabs = name.endswith(".tsv")
        source = io.StringIO(body)
        reader = csv.DictReader(source, delimiter="\t", quoting=csv.QUOTE_NONE) if tabs else csv.DictReader(source)
        about = _about(text)
        anchors.license = about.get("license", anchors.license)
        anchors.version = about.get("version", anchors.version)
        _read_table(anchors, path, list(reader), before)
    else:
        raise StepError(
            f"{path}: unknown format of anchors; use .tsv, .csv, .jsonl, .tmx, X-Y.X with X-Y.Y, or a folder of files"
        )


def _read_side(anchors: Anchors, path: Path, name: str, pair: regex.Match[str], before: str) -> None:
    """Reads two line-aligned files, when called with the first of them."""
    sides = [pair["left"], pair["right"]]
    if pair["side"] != sides[0]:
        if pair["side"] != sides[1]:
            raise StepError(f"{path}: '{name}' is not a side of '{sides[0]}-{sides[1]}'")
        return  # read with the first
    stem = f"{pair['stem'] or ''}{sides[0]}-{sides[1]}"
    packed = path.name[len(name) :]
    lines = []
    for side in sides:
        file = path.with_name(f"{stem}.{side}{packed}")
        if not file.is_file():
            raise StepError(f"{path}: the other side, {file.name}, is missing")
        lines.append(_lines(file))
    if len(lines[0]) != len(lines[1]):
        raise StepError(f"{path}: {len(lines[0]):,} lines, but {len(lines[1]):,} in {sides[1]}")
    for side, texts in zip(sides, lines, strict=True):
        tag = _tag(side)
        if tag is None:
            raise StepError(f"{path}: '{side}' is not a language")
        _add(anchors.texts, tag, ((f"{before}{stem}:{number}", text) for number, text in enumerate(texts)))


def _read_table(anchors: Anchors, path: Path, rows: Sequence[Mapping[str, object]], before: str) -> None:
    columns = list(dict.fromkeys(name for row in rows for name in row if isinstance(name, str)))
    key = _KEY if _KEY in columns else None
    if key is None and "id" in columns and not any(_LETTER.search(str(row.get("id") or "")) for row in rows):
        key = "id"  # numbers, so not Indonesian
    tags = {name: tag for name in columns if name != key and (tag := _tag(name)) is not None}
    if len(set(tags.values())) != len(tags):
        raise StepError(f"{path}: two columns are in one language ({listed(tags.values())})")
    for name, tag in tags.items():
        _add(
            anchors.texts,
            tag,
            (
                (f"{before}{row[key] if key else number}", text)
                for number, row in enumerate(rows)
                if isinstance(text := row.get(name), str)
            ),
        )


def _read_tmx(anchors: Anchors, path: Path, before: str) -> None:
    from xml.etree.ElementTree import Element, ParseError

    from defusedxml.common import DefusedXmlException
    from defusedxml.ElementTree import iterparse

    units: list[Element] = []
    try:
        with _open(path) as file:
            units = [element for _, element in iterparse(file, events=("end",)) if _local(element) == "tu"]
    except (ParseError, DefusedXmlException, EOFError, OSError) as error:
        raise StepError(f"{path} is not valid TMX: {error}") from None
    for number, unit in enumerate(units):
        for part in unit:
            code = part.get("{http://www.w3.org/XML/1998/namespace}lang") or part.get("lang") or ""
            tag = _tag(code)
            segment = next((inner for inner in part if _local(inner) == "seg"), None)
            if tag is not None and segment is not None:
                _add(anchors.texts, tag, [(f"{before}{number}", "".join(segment.itertext()))])


def _read_udhr(anchors: Anchors, rows: Sequence[Mapping[str, object]], before: str) -> None:
    """Lines with ``bcp47`` and ``paragraphs``: the paragraphs of each article that have the same number in two
    languages.

    A language whose articles cannot be recognised by their numbers is skipped; so is its second orthography or edition.
    """
    editions = []
    for row in rows:
        full = _tag(str(row.get("bcp47") or row.get("code") or ""))
        if full is not None and full != languages.UNKNOWN:
            tag = languages.normalize(f"{languages.base(full)}-{languages.script(full)}")
            editions.append(((full != tag, str(row.get("code") or "")[:1].isdigit()), tag, row.get("paragraphs")))
    left_out = []
    # The plain language comes before its varieties, which have numbers as codes where ISO 639 has none.
    for _, tag, paragraphs in sorted(editions, key=lambda edition: edition[0]):
        if not isinstance(paragraphs, list) or tag in anchors.texts:
            continue
        articles = _articles([" ".join(str(one).split()) for one in paragraphs])
        if articles is None:
            left_out.append(tag)
            continue
        # The number of paragraphs is in the key: if two languages divide an article differently, its keys differ.
        _add(
            anchors.texts,
            tag,
            (
                (f"{before}{article}.{place}/{len(texts)}", text)
                for article, texts in articles.items()
                for place, text in enumerate(texts)
            ),
        )
    if left_out:
        anchors.notes.append(
            f"{len(left_out)} languages skipped, whose articles have no numbers: {listed(sorted(left_out))}"
        )


def _articles(paragraphs: Sequence[str]) -> dict[int, list[str]] | None:
    """The paragraphs below each of the 30 headings, with those before the first as article 0; None if not all headings
    are found in order."""
    articles: dict[int, list[str]] = {0: []}
    for text in paragraphs:
        numbers = [_number(one) for one in _NUMBER.findall(text)] if len(text) <= 30 else []
        if len(articles) == 1 and 1 not in numbers and 2 in numbers:
            articles[1] = []  # "Article premier": the preamble has it too, and its keys meet no other's
        if len(articles) <= _ARTICLES and len(articles) in numbers:
            articles[len(articles)] = []
        else:
            articles[len(articles) - 1].append(text)
    return articles if len(articles) == _ARTICLES + 1 else None


def _number(text: str) -> int:
    """A number in digits of any script, or in Chinese characters up to 99."""
    if text[0] not in _HAN:
        return int(text) if len(text) < 9 else -1
    tens, ten, ones = text.rpartition("十")
    return (_HAN.get(tens, 0) or 1) * 10 * bool(ten) + _HAN.get(ones, 0) if ten else _HAN.get(text, -1)


# ---------------------------------------------------------------------------------------------------------------- parts
def _keyed(texts: Texts, text: str, tag: str, before: str) -> dict[str, str]:
    """Adds lines of key, tab, sentence; returns the header."""
    pairs = (line.partition("\t") for line in text.split("\n") if line and not line.startswith("#"))
    _add(texts, tag, ((f"{before}{key}", sentence) for key, _, sentence in pairs))
    return _about(text)


def _about(text: str) -> dict[str, str]:
    lines = (_HEADER.match(line) for line in text.split("\n", 20) if line.startswith("#"))
    return {match[1]: match[2].strip() for match in lines if match}


def _add(texts: Texts, tag: str, pairs: Iterable[tuple[str, str]]) -> None:
    known = texts.setdefault(tag, {})
    for key, text in pairs:
        clean = " ".join(unicodedata.normalize("NFC", text).split())
        if clean:
            known.setdefault(key, clean)


def _tag(code: str) -> str | None:
    try:
        return languages.normalize(code) if code else None
    except languages.InvalidLanguage:
        return None


def _same(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _local(element: object) -> str:
    return str(getattr(element, "tag", "")).rpartition("}")[2]


def _open(path: Path) -> io.BufferedIOBase:
    opener: Callable[..., io.BufferedIOBase] = gzip.open if path.suffix == ".gz" else open
    return opener(path, "rb")


def _text(path: Path) -> str:
    try:
        with _open(path) as file:
            return file.read().decode("utf-8-sig").replace("\r\n", "\n")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise StepError(f"{path} cannot be read: {error}") from None


def _lines(path: Path) -> list[str]:
    return _text(path).removesuffix("\n").split("\n")


def _json_lines(path: Path) -> Iterator[dict[str, object]]:
    for number, line in enumerate(_lines(path), 1):
        if not line.strip():
            continue
        try:
            row = orjson.loads(line.encode("utf-8", "surrogatepass"))
        except orjson.JSONDecodeError as error:
            raise StepError(f"{path}, line {number}: {error}") from None
        if not isinstance(row, dict):
            raise StepError(f"{path}, line {number}: not an object with a field for each language")
        yield row


def listed(names: Iterable[str]) -> str:
    """The first names, and how many more there are."""
    every = list(names)
    return (", ".join(every[:12]) + (f" and {len(every) - 12} more" if len(every) > 12 else "")) or "none"


def _counted(counts: Mapping[str, int]) -> str:
    return listed(f"{tag} has {count:,}" for tag, count in sorted(counts.items()))
