"""Writes and reads tables for spreadsheets (CSV, TSV, XLSX, JSON Lines) so that no text is evaluated as a formula.

In CSV a text that a spreadsheet would evaluate (it begins with =, +, -, @, a tab or a line break) gets an apostrophe
before it, and one that begins with an apostrophe a second one; reading removes it. In XLSX such cells are marked as
text.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson
import regex

from curate.engine.store.store import write_atomically
from curate.errors import StepError
from curate.preferences.review.sheet import AnnotationBatch, Entry

_COMPUTED = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠", "'")
_LONGEST_CELL = 32_767
_CUT = " […]"
_NOT_IN_XML = regex.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]|\p{Cs}")
_WIDTHS = {"id": 8, "key": 9, "language": 9, "annotator": 14, "choice": 9, "verdict": 9, "rating": 8, "status": 9}
FilledRow = tuple[str, dict[str, str]]
"""(place in the file, column → text)."""


def safe(text: str) -> str:
    """A text that no spreadsheet evaluates."""
    return "'" + text if text.startswith(_COMPUTED) else text


def unsafe(text: str) -> str:
    """Reverses :func:`safe`."""
    return text[1:] if text.startswith("'") and text[1:].startswith(_COMPUTED) else text


def cells(batch: AnnotationBatch, entry: Entry) -> dict[str, str]:
    """All columns of a row; those of the annotator are empty."""
    filled = {"id": entry.id, "key": entry.key, "language": entry.language, **entry.texts, **entry.shown}
    return {name: filled.get(name, "") for name in batch.header}


# -------------------------------------------------------------------------------------------------------------- writing
def write_delimited(batch: AnnotationBatch, path: Path) -> int:
    """CSV (or TSV) with a byte order mark, which tells spreadsheets that it is UTF-8; no text is cut."""
    lines = io.StringIO(newline="")
    writer = csv.writer(lines, dialect="excel", delimiter="\t" if path.suffix == ".tsv" else ",", quoting=csv.QUOTE_ALL)
    writer.writerow(batch.header)
    for entry in batch.entries:
        writer.writerow([safe(text) for text in cells(batch, entry).values()])
    write_atomically(path, b"\xef\xbb\xbf" + lines.getvalue().encode("utf-8"))
    return 0


def write_lines(batch: AnnotationBatch, path: Path) -> int:
    """JSON Lines; the annotator's columns are null."""
    open_columns = {one.name for one in batch.questions} | {"annotator"}
    lines = [
        orjson.dumps({name: None if name in open_columns else text for name, text in cells(batch, entry).items()})
        + b"\n"
        for entry in batch.entries
    ]
    write_atomically(path, b"".join(lines))
    return 0


def write_workbook(batch: AnnotationBatch, path: Path) -> int:
    """XLSX: wrapped texts in their own direction, drop-down lists, instructions on a second sheet.

    Returns:
        Number of texts that were too long for a cell, and cut.

    Raises:
        StepError: the package for it is not installed.
    """
    openpyxl = _openpyxl()
    from openpyxl.styles import Alignment, Font, PatternFill
    from openpyxl.utils import get_column_letter
    from openpyxl.worksheet.datavalidation import DataValidation

    book = openpyxl.Workbook()
    page = book.active
    page.title = "review"
    page.append(list(batch.header))
    questions = {one.name: one for one in batch.questions}
    open_fill, cut = PatternFill("solid", fgColor="FFF8E1"), 0
    for place, name in enumerate(batch.header, 1):
        page.cell(1, place).font = Font(bold=True)
        page.column_dimensions[get_column_letter(place)].width = _WIDTHS.get(name, 30 if name in questions else 50)
    for number, entry in enumerate(batch.entries, 2):
        for place, (name, text) in enumerate(cells(batch, entry).items(), 1):
            cell = page.cell(number, place)
            # 2: right to left, 1: left to right, whatever the first letter is.
            is_text = name in batch.columns
            order = 2 if entry.rtl and (is_text or name == "correction") else int(is_text)
            cell.alignment = Alignment(wrap_text=True, vertical="top", readingOrder=order)
            if name in questions or name == "annotator":
                cell.fill = open_fill
                continue
            plain = _NOT_IN_XML.sub("\ufffd", text)
            cut += len(plain) > _LONGEST_CELL
            cell.value = plain if len(plain) <= _LONGEST_CELL else plain[: _LONGEST_CELL - len(_CUT)] + _CUT
            cell.data_type = "s"  # never a formula
            cell.quotePrefix = plain.startswith(_COMPUTED)
    for name, one in questions.items():
        if one.options and batch.entries:
            letter = get_column_letter(batch.header.index(name) + 1)
            choice = DataValidation(type="list", formula1='"' + ",".join(one.options) + '"', allow_blank=True)
            page.add_data_validation(choice)
            choice.add(f"{letter}2:{letter}{len(batch.entries) + 1}")
    page.freeze_panes = "D2"
    page.sheet_view.rightToLeft = bool(batch.entries) and all(entry.rtl for entry in batch.entries)
    about = book.create_sheet("instructions")
    for number, line in enumerate([batch.name, *batch.instructions.splitlines()], 1):
        cell = about.cell(number, 1)
        cell.value = _NOT_IN_XML.sub("\ufffd", line)[:_LONGEST_CELL]
        cell.data_type, cell.alignment = "s", Alignment(wrap_text=True)
    about.column_dimensions["A"].width = 100
    data = io.BytesIO()
    book.save(data)
    write_atomically(path, data.getvalue())
    return cut


# -------------------------------------------------------------------------------------------------------------- reading
def read_delimited(path: Path) -> Iterator[FilledRow]:
    """The rows of a CSV or TSV file, with their first lines. Semicolons, which some spreadsheets write, are accepted.

    Raises:
        StepError: it is not such a table.
    """
    data = path.read_bytes()
    try:
        text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError:
        raise StepError(f"{path.name}: it is not UTF-8; save it as 'CSV UTF-8'") from None
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    limit = csv.field_size_limit(1 << 30)
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        header = [name.strip() for name in next(reader, [])]
        start = reader.line_num + 1
        for values in reader:
            if any(value.strip() for value in values):
                yield f"line {start}", {name: unsafe(value) for name, value in zip(header, values, strict=False)}
            start = reader.line_num + 1
    except csv.Error as error:
        raise StepError(f"{path.name}: it cannot be read as a table: {error}") from None
    finally:
        csv.field_size_limit(limit)


def read_lines(path: Path) -> Iterator[FilledRow]:
    """The rows of a JSON Lines file.

    Raises:
        StepError: a line is not a JSON object.
    """
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        if not line.strip():
            continue
        try:
            value = orjson.loads(line.removeprefix(b"\xef\xbb\xbf"))
        except orjson.JSONDecodeError as error:
            raise StepError(f"{path.name}, line {number}: not JSON: {error}") from None
        if not isinstance(value, Mapping):
            raise StepError(f"{path.name}, line {number}: must be an object")
        yield f"line {number}", {name: plain(one) for name, one in value.items()}


def read_workbook(path: Path) -> Iterator[FilledRow]:
    """The rows of the first sheet of an XLSX file.

    Raises:
        StepError: it is not one, or the package for it is not installed.
    """
    openpyxl = _openpyxl()
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except Exception as error:  # noqa: BLE001 - zip, XML and key errors alike: it is not a workbook
        raise StepError(f"{path.name}: it cannot be read as XLSX: {error}") from None
    page = book["review"] if "review" in book.sheetnames else book.worksheets[0]
    rows = page.iter_rows(values_only=True)
    header = [plain(value).strip() for value in next(rows, ())]
    for number, values in enumerate(rows, 2):
        texts = [plain(value) for value in values]
        if any(text.strip() for text in texts):
            yield f"row {number}", dict(zip(header, texts, strict=False))
    book.close()


def plain(value: Any) -> str:
    """A cell as text: 4.0 is 4."""
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value if isinstance(value, str) else str(value)


def _openpyxl() -> Any:
    try:
        import openpyxl
    except ImportError:
        raise StepError("XLSX needs a package: pip install 'polycurate[review]' (or use .csv)") from None
    return openpyxl
