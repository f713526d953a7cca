"""The file of labels: one line of JSON per row and annotator, separate from the rows so that it survives every rebuild.

Fields: ``id``, ``annotator``, and of these what was given: ``verdict`` (``good``, ``bad``, ``unsure``), ``choice`` (for
a preference row: ``chosen``, ``rejected``, ``tie``), ``rating`` (1 to 5), ``correction`` (the corrected text),
``comment``, ``errors`` (stretches that are wrong: ``text``, ``from``, ``to``, ``note``); also ``kind``, ``language``
and ``seen`` (the file and line it was read from).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, cast

import orjson
import regex

from curate.catalog.suggestions import nearest
from curate.engine.store.store import write_atomically
from curate.errors import StepError
from curate.files import exclusively, regular
from curate.rows.ids import hash_texts

Verdict = Literal["good", "bad", "unsure"]
Choice = Literal["chosen", "rejected", "tie"]
VERDICTS: tuple[Verdict, ...] = ("good", "bad", "unsure")
CHOICES: tuple[Choice, ...] = ("chosen", "rejected", "tie")
RATINGS = (1, 5)
_ID = regex.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True, order=True)
class ErrorSpan:
    """A stretch of one text of a row that is wrong."""

    text: str
    """Which text: ``messages[1]``, ``chosen[0]``, ``target`` …; a message by its place from 0."""
    start: int
    """The first character (code point), from 0."""
    end: int
    """The character after the last."""
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        """As in the file."""
        note = {"note": self.note} if self.note else {}
        return {"text": self.text, "from": self.start, "to": self.end, **note}


@dataclass(frozen=True, slots=True)
class Label:
    """One annotator's label of one row."""

    id: str
    annotator: str
    verdict: Verdict | None = None
    choice: Choice | None = None
    rating: float | None = None
    correction: str | None = None
    comment: str | None = None
    kind: str = ""
    language: str = ""
    seen: str = ""
    errors: tuple[ErrorSpan, ...] = ()

    @property
    def has_content(self) -> bool:
        """Whether anything was annotated."""
        return any(value not in (None, ()) for value in self.content)

    @property
    def value(self) -> float | None:
        """1 for (good, chosen), -1 against (bad, rejected), 0 between; None without a verdict or choice."""
        if self.choice is not None:
            return {"chosen": 1.0, "rejected": -1.0, "tie": 0.0}[self.choice]
        return None if self.verdict is None else {"good": 1.0, "bad": -1.0, "unsure": 0.0}[self.verdict]

    @property
    def key(self) -> tuple[str, str]:
        """Row and annotator, of which there is one label."""
        return self.id, self.annotator

    @property
    def content(self) -> tuple[Any, ...]:
        """The annotation."""
        return self.verdict, self.choice, self.rating, self.correction, self.comment, self.errors


def is_id(text: str) -> bool:
    """Whether a text has the form of a row's id."""
    return _ID.fullmatch(text) is not None


def read_labels(paths: Sequence[str | Path]) -> list[Label]:
    """The labels of files (.jsonl or .parquet), in order; of several labels by one annotator for one row the last
    counts.

    Raises:
        StepError: a file does not exist, or a line is not a label; the message names it.
    """
    labels: dict[tuple[str, str], Label] = {}
    for path in map(Path, paths):
        try:
            lines = (_parquet if path.suffix == ".parquet" else _json_lines)(regular(path))
            for place, value in lines:
                one = _label(value, f"{path.name}, {place}")
                labels[one.key] = one
        except OSError as error:
            raise StepError(f"labels: {path} cannot be read: {error.strerror or error}") from None
    return list(labels.values())


@contextlib.contextmanager
def exclusive_labels(path: Path) -> Iterator[None]:
    """Keeps other processes that write labels into the same folder from doing so between reading and writing.

    Raises:
        StepError: the folder cannot be made or opened.
    """
    with contextlib.ExitStack() as held:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            held.enter_context(exclusively(path.parent))
        except OSError as error:
            raise StepError(f"{path} cannot be written: {error.strerror or error}") from None
        yield


def write_labels(path: Path, labels: Iterable[Label]) -> None:
    """Writes a file of labels, ordered by row and annotator: .jsonl, or .parquet by the name.

    Raises:
        StepError: it cannot be written.
    """
    ordered = [
        {
            name: [span.to_json() for span in one.errors] if name == "errors" else value
            for name, value in asdict(one).items()
            if value not in (None, "", ())
        }
        for one in sorted(labels, key=lambda one: one.key)
    ]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".parquet":
            import polars as pl

            spans = pl.List(pl.Struct({"text": pl.String, "from": pl.Int64, "to": pl.Int64, "note": pl.String}))
            others: dict[str, Any] = {"rating": pl.Float64, "errors": spans}
            types = {field.name: others.get(field.name, pl.String) for field in fields(Label)}
            pl.DataFrame(ordered, schema=types).write_parquet(path)
        else:
            write_atomically(path, b"".join(orjson.dumps(one) + b"\n" for one in ordered))
    except OSError as error:
        raise StepError(f"{path} cannot be written: {error.strerror or error}") from None


def digest_of(labels: Sequence[Label]) -> str:
    """32 hexadecimal digits of the content of labels, independent of their order."""
    lines = sorted(repr((one.key, one.content)) for one in labels)
    return hash_texts(["\n".join(lines)])[0].hex()


def by_row(labels: Iterable[Label]) -> dict[str, list[Label]]:
    """The labels of each row, ordered by annotator."""
    groups: dict[str, list[Label]] = {}
    for one in sorted(labels, key=lambda one: one.key):
        groups.setdefault(one.id, []).append(one)
    return groups


# ------------------------------------------------------------------------------------------------------------ reading
def _json_lines(path: Path) -> Iterable[tuple[str, Any]]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if number == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")
            if line.strip():
                try:
                    yield f"line {number}", orjson.loads(line)
                except orjson.JSONDecodeError as error:
                    raise StepError(f"labels: {path.name}, line {number}: not JSON: {error}") from None


def _parquet(path: Path) -> Iterable[tuple[str, Any]]:
    import polars as pl

    try:
        frame = pl.read_parquet(path)
    except pl.exceptions.PolarsError as error:
        raise StepError(f"labels: {path.name} is not a parquet file: {error}") from None
    for number, row in enumerate(frame.iter_rows(named=True), 1):
        yield f"row {number}", {name: value for name, value in row.items() if value is not None}


def _label(value: Any, place: str) -> Label:
    if not isinstance(value, Mapping):
        raise StepError(f"labels: {place}: must be an object with 'id', not {type(value).__name__}")
    known = [field.name for field in fields(Label)]
    unknown = [name for name in value if name not in known]
    if unknown:
        similar = nearest(str(unknown[0]), known)
        raise StepError(f"labels: {place}: there is no field '{unknown[0]}'{similar}; there are {', '.join(known)}")
    row = value.get("id")
    if not isinstance(row, str) or not is_id(row):
        raise StepError(f"labels: {place}: 'id' must be a row's id, 32 hexadecimal digits, not {row!r}")
    for name, allowed in (("verdict", VERDICTS), ("choice", CHOICES)):
        if value.get(name) is not None and value[name] not in allowed:
            raise StepError(f"labels: {place}: '{name}' must be one of {', '.join(allowed)}, not {value[name]!r}")
    rating = value.get("rating")
    is_number = isinstance(rating, int | float) and not isinstance(rating, bool)
    if rating is not None and not (is_number and RATINGS[0] <= rating <= RATINGS[1]):
        raise StepError(f"labels: {place}: 'rating' must be a number from {RATINGS[0]} to {RATINGS[1]}, not {rating!r}")
    for name in ("annotator", "correction", "comment", "kind", "language", "seen"):
        if not isinstance(value.get(name, ""), str | None):
            raise StepError(f"labels: {place}: '{name}' must be a text, not {value[name]!r}")
    return Label(
        row,
        value.get("annotator") or "",
        cast(Verdict | None, value.get("verdict")),
        cast(Choice | None, value.get("choice")),
        None if rating is None else float(rating),
        value.get("correction"),
        value.get("comment"),
        value.get("kind") or "",
        value.get("language") or "",
        value.get("seen") or "",
        _errors(value.get("errors"), place),
    )


def _errors(given: Any, place: str) -> tuple[ErrorSpan, ...]:
    listed = given if isinstance(given, list) else [] if given is None else [given]
    found = [_error(one) for one in listed]
    if None in found:
        raise StepError(
            f'labels: {place}: \'errors\' must be a list of {{"text": "messages[1]", "from": 0, "to": 5}}, with '
            f'"note" if there is one, not {listed[found.index(None)]!r}'
        )
    return tuple(sorted(one for one in found if one is not None))


def _error(given: Any) -> ErrorSpan | None:
    if not isinstance(given, Mapping):
        return None
    text, start, end, note = (given.get(name) for name in ("text", "from", "to", "note"))
    if not isinstance(text, str) or type(start) is not int or type(end) is not int or not 0 <= start < end:
        return None
    return ErrorSpan(text, start, end, note or "") if isinstance(note, str | None) else None
