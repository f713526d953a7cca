"""Writes and reads the formats of annotation tools: Argilla (a dataset folder, as its ``Dataset.from_disk`` reads it)
and Label Studio (tasks, with the labelling configuration beside them).

Argilla: ``.argilla/dataset.json``, ``.argilla/settings.json``, ``records.json`` (version 2 of its SDK). Label Studio: a
list of tasks ``{"data": …}``; its exports JSON and JSON-MIN can both be read. Both were tested with the tools' own
packages (``docs/review.md``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal
from xml.sax.saxutils import quoteattr

import orjson

from curate.engine.store.store import write_atomically
from curate.errors import StepError
from curate.files import regular
from curate.preferences.review.sheet import TITLES, AnnotationBatch, Question
from curate.preferences.review.spreadsheets import (
    FilledRow,
    plain,
    read_delimited,
    read_lines,
    read_workbook,
    write_delimited,
    write_lines,
    write_workbook,
)

Format = Literal["csv", "tsv", "jsonl", "xlsx", "argilla", "label-studio"]
FORMATS: tuple[Format, ...] = ("csv", "tsv", "jsonl", "xlsx", "argilla", "label-studio")
_HIDDEN = "_config.xml"


def format_of(path: Path, format: str | None) -> Format:
    """The format of a file: the requested one, or by its name.

    Raises:
        StepError: neither is known.
    """
    for one in FORMATS:
        if format == one or (format is None and path.suffix == f".{one}"):
            return one
    known = ", ".join(FORMATS)
    if format:
        raise StepError(f"review: there is no format '{format}'; there are {known}")
    raise StepError(
        f"review: the format of {path.name} is unknown; name it .csv, .tsv, .jsonl or .xlsx, or set --format ({known})"
    )


def targets(path: Path, form: Format) -> list[Path]:
    """The files that are written for a batch."""
    if form == "argilla":
        return [path / ".argilla" / "dataset.json", path / ".argilla" / "settings.json", path / "records.json"]
    if form == "label-studio":
        return [path, path.with_name(path.stem + _HIDDEN)]
    return [path] if form == "xlsx" else [path, path.with_name(path.stem + "_instructions.txt")]


def write(batch: AnnotationBatch, path: Path, form: Format) -> int:
    """Writes a batch.

    Returns:
        Number of texts cut because they are too long for the format.

    Raises:
        StepError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if form == "argilla":
            return _write_argilla(batch, path)
        if form == "label-studio":
            return _write_label_studio(batch, path)
        if form == "xlsx":
            return write_workbook(batch, path)
        write_atomically(targets(path, form)[1], (batch.instructions.strip() + "\n").encode())
        return write_lines(batch, path) if form == "jsonl" else write_delimited(batch, path)
    except OSError as error:
        raise StepError(f"{path} cannot be written: {error.strerror or error}") from None


def read(path: Path) -> Iterator[FilledRow]:
    """The rows of an annotated file: for each row and annotator the place, and the columns as texts.

    Raises:
        StepError: it cannot be read.
    """
    try:
        if path.is_dir():
            yield from _read_json(path / "records.json")
            return
        regular(path)
        if path.suffix == ".xlsx":
            yield from read_workbook(path)
        elif path.suffix == ".json":
            yield from _read_json(path)
        elif path.suffix in (".jsonl", ".ndjson"):
            yield from read_lines(path)
        elif path.suffix in (".csv", ".tsv", ".txt"):
            yield from read_delimited(path)
        else:
            raise StepError(f"review: {path.name} is not .csv, .tsv, .xlsx, .jsonl, .json or an Argilla folder")
    except OSError as error:
        raise StepError(f"{path} cannot be read: {error.strerror or error}") from None


def _read_json(path: Path) -> Iterator[FilledRow]:
    """Records of Argilla, or tasks of Label Studio (JSON or JSON-MIN), recognised by their content."""
    try:
        entries = orjson.loads(regular(path).read_bytes())
    except orjson.JSONDecodeError as error:
        raise StepError(f"{path.name}: not JSON: {error}") from None
    if not isinstance(entries, list):
        raise StepError(f"{path.name}: must be a list of tasks (Label Studio) or records (Argilla)")
    for number, one in enumerate(entries, 1):
        place = f"entry {number}"
        if not isinstance(one, Mapping):
            raise StepError(f"{path.name}, {place}: must be an object")
        if "fields" in one:
            yield from _of_argilla(one, place)
        elif isinstance(one.get("data"), Mapping):
            yield from _of_task(one, place)
        else:
            yield from _of_flat_task(one, place)


# -------------------------------------------------------------------------------------------------------------- Argilla
def _write_argilla(batch: AnnotationBatch, path: Path) -> int:
    (path / ".argilla").mkdir(parents=True, exist_ok=True)
    files = targets(path, "argilla")
    name = "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in batch.name) or "review"
    fields = [
        {
            "name": column,
            "title": TITLES[column],
            "required": at == 0,
            "type": "text",
            "settings": {"type": "text", "use_markdown": False},
        }
        for at, column in enumerate(batch.columns)
    ]
    shown = [name for name in batch.shown if name != "scores"]
    metadata = [
        {
            "name": one,
            "title": one,
            "visible_for_annotators": one not in ("key", "version"),
            "settings": {"type": "terms", "values": None, "visible_for_annotators": one not in ("key", "version")},
        }
        for one in ("key", "language", *shown)
    ]
    settings = {
        "guidelines": batch.instructions,
        "questions": [_argilla_question(one) for one in batch.questions],
        "fields": fields,
        "vectors": [],
        "metadata": metadata,
        "allow_extra_metadata": True,
        "distribution": {"strategy": "overlap", "min_submitted": 1},
        "mapping": None,
    }
    records = [
        {
            "id": one.id,
            "fields": {column: text for column, text in one.texts.items() if text or column == batch.columns[0]},
            "metadata": {
                "key": one.key,
                "language": one.language,
                **{name: one.shown[name] for name in shown if one.shown.get(name)},
            },
            "suggestions": {},
            "responses": {},
            "vectors": {},
        }
        for one in batch.entries
    ]
    about = {"name": name, "guidelines": batch.instructions, "allow_extra_metadata": True}
    for file, content in zip(files, (about, settings, records), strict=True):
        write_atomically(file, orjson.dumps(content, option=orjson.OPT_INDENT_2))
    return 0


def _argilla_question(one: Question) -> dict[str, Any]:
    settings: dict[str, Any]
    if one.kind == "text":
        settings = {"type": "text", "use_markdown": False}
    elif one.kind == "rating":
        settings = {"type": "rating", "options": [{"value": int(option)} for option in one.options]}
    else:
        options = [{"value": option, "text": option, "description": None} for option in one.options]
        settings = {"type": "label_selection", "options": options, "visible_options": None}
    return {
        "name": one.name,
        "title": one.title,
        "description": None,
        "required": one.required,
        "settings": settings,
        "type": settings["type"],
    }


def _of_argilla(record: Mapping[str, Any], place: str) -> Iterator[FilledRow]:
    """One entry for each annotator."""
    metadata = record.get("metadata") or {}
    same = {
        "id": plain(record.get("id")),
        "key": plain(metadata.get("key")),
        "language": plain(metadata.get("language")),
    }
    answers: dict[str, dict[str, str]] = {}
    for question, responses in (record.get("responses") or {}).items():
        for one in responses if isinstance(responses, Sequence) and not isinstance(responses, str) else ():
            if isinstance(one, Mapping) and one.get("status") not in ("discarded", "draft"):
                answers.setdefault(plain(one.get("user_id")), {})[str(question)] = plain(one.get("value"))
    for annotator, columns in answers.items():
        yield place, {**same, **columns, "annotator": annotator}
    if not answers:
        yield place, same


# --------------------------------------------------------------------------------------------------------- Label Studio
def _write_label_studio(batch: AnnotationBatch, path: Path) -> int:
    tasks = [
        {
            "data": {
                "id": one.id,
                "key": one.key,
                "language": one.language,
                **{column: one.texts.get(column, "") for column in batch.columns},
                **{name: one.shown.get(name, "") for name in batch.shown},
            }
        }
        for one in batch.entries
    ]
    files = targets(path, "label-studio")
    write_atomically(files[0], orjson.dumps(tasks, option=orjson.OPT_INDENT_2))
    write_atomically(files[1], label_studio_config(batch).encode())
    return 0


def label_studio_config(batch: AnnotationBatch) -> str:
    """The labelling configuration of a batch: each text in its own direction, then the questions."""
    anchor = batch.columns[-1] if batch.columns[-1] != "source_language" else batch.columns[0]
    lines = ["<View>", f'  <Header value={quoteattr(" ".join(batch.instructions.split()))} size="5"/>']
    for name in batch.shown:
        lines.append(f'  <Text name="{name}" value="${name}"/>')
    for column in batch.columns:
        # plaintext: the direction of each paragraph is that of its first letter.
        lines += [
            f"  <Header value={quoteattr(TITLES[column])}/>",
            '  <View style="unicode-bidi: plaintext; text-align: start; white-space: pre-wrap">',
            f'    <Text name="{column}" value="${column}"/>',
            "  </View>",
        ]
    for one in batch.questions:
        required = ' required="true"' if one.required else ""
        lines.append(f"  <Header value={quoteattr(one.title)}/>")
        if one.kind == "choice":
            lines.append(f'  <Choices name="{one.name}" toName="{anchor}" choice="single" showInline="true"{required}>')
            lines += [f"    <Choice value={quoteattr(option)}/>" for option in one.options]
            lines.append("  </Choices>")
        elif one.kind == "rating":
            lines.append(f'  <Rating name="{one.name}" toName="{anchor}" maxRating="{len(one.options)}"/>')
        else:
            lines.append(
                f'  <TextArea name="{one.name}" toName="{anchor}" rows="3" maxSubmissions="1" editable="true"/>'
            )
    return "\n".join([*lines, "</View>", ""])


def _of_task(task: Mapping[str, Any], place: str) -> Iterator[FilledRow]:
    """One entry for each annotation that was not skipped."""
    data = task["data"]
    same = {name: plain(data.get(name)) for name in ("id", "key", "language")}
    done = 0
    for one in task.get("annotations") or task.get("completions") or ():
        if not isinstance(one, Mapping) or one.get("was_cancelled"):
            continue
        columns = {}
        for region in one.get("result") or ():
            columns[plain(region.get("from_name"))] = _text(region.get("value") or {})
        done += 1
        yield place, {**same, **columns, "annotator": _annotator(one.get("completed_by"))}
    if not done:
        yield place, same


def _of_flat_task(task: Mapping[str, Any], place: str) -> Iterator[FilledRow]:
    """JSON-MIN: data and answers side by side."""
    columns = {str(name): _text(value) for name, value in task.items()}
    yield place, {**columns, "annotator": _annotator(task.get("annotator"))}


def _annotator(value: Any) -> str:
    if isinstance(value, Mapping):
        return plain(value.get("email") or value.get("id"))
    return plain(value)


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return _text(next((value[kind] for kind in ("choices", "rating", "text") if kind in value), None))
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "\n".join(map(_text, value))
    return plain(value)
