"""The item table: what is searched for, in which language, of which benchmark.

A question is an item; a context is stored once, however many questions refer to it. A question that several items share
(*What is the passage about?*) matches only together with the text that distinguishes them. What a program is to do, in
its docstring, is searched for by itself too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from curate.catalog.suggestions import nearest
from curate.errors import StepError
from curate.files import digest_files
from curate.rows import Kind, languages
from curate.steps import Encoder, Rows
from filters.contamination import loading as from_files
from filters.contamination.code import description, is_program
from filters.contamination.normalize import SAME
from filters.contamination.registry import Benchmark

Place = str | tuple[str, ...] | Mapping[str, str]
_TEXTS = ("benchmark", "item", "language", "part", "text", "support", "digest")
SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in _TEXTS),
        ("shared", pa.bool_()),
        ("code", pa.string()),
        ("about", pa.int32()),
        ("vector", pa.list_(pa.float16())),
    ]
)
"""``part`` is ``question``, ``description`` (of a program), ``context``, or ``missing`` for a benchmark that could not
be read; ``digest`` is the same in all rows and identifies the whole table; ``code`` is task and solution, where they
are a program; ``about`` is the row with a question's context, if any; ``vector`` is null where nothing is compared by
meaning."""


@dataclass(frozen=True)
class Item:
    """One item in one language."""

    benchmark: str
    name: str
    language: str
    question: str
    context: str = ""
    options: str = ""
    answer: str = ""


# ----------------------------------------------------------------------------------------------------------- benchmarks
def read_benchmark(name: str, entry: Benchmark, place: Place | None, only: Sequence[str] | None) -> Iterator[Item]:
    """The items of a benchmark, from local files if there are any, else from the Hub.

    Args:
        place: a path, a pattern, several, or one for each language.
        only: only these languages.

    Raises:
        Unreachable: the items cannot be read.
        StepError: the items lack fields that the registry names.
    """
    for language, unit, records in _tables(name, entry, place, only):
        number = -1
        for number, record in enumerate(records):
            if number == 0:
                _check(name, entry, record, unit)
            tag = _language(name, entry, record, language, unit)
            if only is not None and tag not in only:
                continue
            question = _join(record, entry.question)
            if question.strip():
                key = _join(record, (entry.id,)) if entry.id else ""
                prefix = f"{unit.rpartition('/')[2]}#" if len(entry.splits) > 1 and place is None else ""
                yield Item(
                    name,
                    key or f"{prefix}{number}",
                    tag,
                    question,
                    _join(record, entry.context),
                    _join(record, entry.options),
                    _join(record, entry.answer),
                )
        if number < 0:
            raise from_files.Unreachable(f"{unit} is empty")


def _tables(
    name: str, entry: Benchmark, place: Place | None, only: Sequence[str] | None
) -> Iterator[tuple[str | None, str, Iterable[from_files.Record]]]:
    """(language or None, name, records) of each table."""
    if place is not None:
        places = (
            place.items()
            if isinstance(place, Mapping)
            else [(None, one) for one in ([place] if isinstance(place, str) else place)]
        )
        for tag, one in places:
            for path in from_files.find_files(one):
                if path.is_dir():
                    yield from _hub(str(path), entry, only, tag)
                    continue
                language = tag or from_files.language_of(path.name, entry.languages)
                if only is None or language is None or language in only:
                    yield language, path.name, from_files.read_file(path, entry.columns)
        return
    if entry.hub is None:
        raise from_files.Unreachable(
            f"it is not on the Hub in a form that can be read{'; ' + entry.note if entry.note else ''}"
        )
    yield from _hub(entry.hub, entry, only, None)


def _hub(
    where: str, entry: Benchmark, only: Sequence[str] | None, tag_given: str | None
) -> Iterator[tuple[str | None, str, Iterable[from_files.Record]]]:
    configs: dict[str | None, str | None] = {}
    for tag in [tag_given] if tag_given else entry.languages or ("und",):
        if only is None or tag in only or entry.language_field:
            configs.setdefault(entry.config_of(tag), None if entry.language_field else tag)
    local = Path(where).expanduser().is_dir()
    for config, language in configs.items():
        for split in entry.splits:
            data = entry.data_files and entry.data_files.replace("{config}", config or "").replace("{split}", split)
            unit = "/".join(part for part in (Path(where).name if local else where, config, split) if part)
            yield (
                language,
                unit,
                from_files.read_hub(
                    where, config=config, split=split, revision=None if local else entry.revision, data_files=data
                ),
            )


def problems_of_files(name: str, entry: Benchmark, place: Place, only: Sequence[str] | None) -> list[str]:
    """What is wrong with a benchmark's local files, judged by the first item of each; folders are not checked.

    Raises:
        Unreachable: there is no such file, or it cannot be read.
    """
    problems = []
    places = (
        place.items()
        if isinstance(place, Mapping)
        else [(None, one) for one in ([place] if isinstance(place, str) else place)]
    )
    files = [(tag, path) for tag, one in places for path in from_files.find_files(one) if not path.is_dir()]
    for tag, path in files:
        record = next(iter(from_files.read_file(path, entry.columns)), None)
        if record is None:
            raise from_files.Unreachable(f"{path.name} is empty")
        try:
            _check(name, entry, record, path.name)
            language = tag or from_files.language_of(path.name, entry.languages)
            _language(name, entry, record, language, path.name)
        except StepError as error:
            problems.append(str(error).removeprefix("contamination: "))
    return problems


def _language(name: str, entry: Benchmark, record: from_files.Record, language: str | None, unit: str) -> str:
    tag = _language_of_record(entry, record) or language
    if tag is None:
        raise StepError(
            f"contamination: {name}: the language of {unit} is unknown; write files: {{{name}: {{de: {unit}}}}}"
        )
    return tag


def _check(name: str, entry: Benchmark, record: from_files.Record, unit: str) -> None:
    missing = [field for field in entry.question if _value(record, field) is None]
    if missing:
        raise StepError(
            f"contamination: {name}: {unit} has no field '{missing[0]}'{nearest(missing[0], record)} (it has "
            f"{', '.join(map(str, record))}); use files with these fields, or a source of the catalog"
        )


def _language_of_record(entry: Benchmark, record: from_files.Record) -> str | None:
    value = _value(record, entry.language_field) if entry.language_field else record.get("language", record.get("lang"))
    if not isinstance(value, str) or not value:
        return None
    try:
        return languages.normalize(value)
    except languages.InvalidLanguage:
        # ``Arabic``, or an id such as ``arabic-2387-1``.
        return from_files.language_of(value, entry.languages)


def _value(record: Any, field: str) -> Any:
    """The value at ``a.b``; a key that itself contains the dot takes precedence.

    ``a|b`` is the first that exists: the makers' files and the copy on the Hub may name a field differently.
    """
    if "|" in field:
        return next((value for one in field.split("|") if (value := _value(record, one)) is not None), None)
    if isinstance(record, Mapping) and field in record:
        return record[field]
    head, _, rest = field.partition(".")
    if rest and isinstance(record, Mapping) and head in record:
        return _value(record[head], rest)
    return None


def _join(record: from_files.Record, fields: Iterable[str]) -> str:
    return "\n".join(one for field in fields for one in _texts(_value(record, field)))


def _texts(value: Any) -> list[str]:
    if value is None:
        return []
    if isinstance(value, str):
        return [value] if value.strip() else []
    if isinstance(value, Mapping):
        return [one for key, inner in value.items() if key not in ("label", "answer_start") for one in _texts(inner)]
    if isinstance(value, list | tuple):
        return [one for inner in value for one in _texts(inner)]
    return [str(value)]


def state_of(place: Place) -> str:
    """The part of a cache key for local files: the digest of their names and contents; ``absent`` if there are none."""
    whole = blake2b(digest_size=16)
    pairs = (
        place.items()
        if isinstance(place, Mapping)
        else [("", one) for one in ([place] if isinstance(place, str) else place)]
    )
    try:
        for key, one in pairs:
            for path in from_files.find_files(one):
                inside = (
                    [path]
                    if path.is_file()
                    else sorted(file for file in path.rglob("*") if file.is_file() and not file.name.startswith("."))
                )
                for file in inside:
                    whole.update(f"{key}\0{file.name}\0{digest_files([file])}\0".encode())
    except StepError:
        return "absent"
    return whole.hexdigest()


# -------------------------------------------------------------------------------------------------------------- catalog
def items_of_rows(name: str, batches: Iterable[Rows], only: Sequence[str] | None) -> Iterator[Item]:
    """The rows of a source or dataset as items: the prompt, or the whole text; for a pair, each side."""
    for rows in batches:
        ids = rows.ids.to_list()
        groups = rows.table["group_id"].to_pylist()
        names = (
            ("text",)
            if rows.kind is Kind.DOCUMENT
            else ("source", "target")
            if rows.kind is Kind.PARALLEL
            else ("prompt",)
        )
        for field in names:
            texts, tags = rows.text(field).to_list(), rows.field_language(field).to_list()
            answers = rows.text("response").to_list() if rows.kind is Kind.SFT else [""] * len(texts)
            # Rows of one group are the same item in several languages.
            for one, answer, tag, own, group in zip(texts, answers, tags, ids, groups, strict=True):
                if one.strip() and (only is None or tag in only):
                    yield Item(name, group or own, tag, one, answer=answer or "")


# ---------------------------------------------------------------------------------------------------------------- table
def make_table(items: Iterable[Item], missing: Sequence[str] = ()) -> pa.Table:
    """The item table in :data:`SCHEMA`, without vectors.

    Args:
        missing: benchmarks that could not be read.
    """
    every = list({(one.benchmark, one.name, one.language, one.question): one for one in items}.values())
    normal = _normal([one.question for one in every], [one.language for one in every])
    kinds: dict[tuple[str, str, str], set[tuple[str, str, str]]] = {}
    for one, form in zip(every, normal, strict=True):
        kinds.setdefault((one.benchmark, one.language, form), set()).add((one.context, one.options, one.answer))
    rows: list[dict[str, Any]] = []
    contexts: dict[tuple[str, str, str], int] = {}

    def add(one: Item, part: str, text: str, **others: Any) -> None:
        about = {"benchmark": one.benchmark, "item": one.name, "language": one.language, "part": part, "text": text}
        rows.append({**about, "support": "", "shared": False, "code": None, "about": None, **others})

    for one, form in zip(every, normal, strict=True):
        if not form:
            continue
        key = (one.benchmark, one.language, one.context)
        if one.context.strip() and key not in contexts:
            contexts[key] = len(rows)
            add(one, "context", one.context)
        # Before the question, so that it is what is compared by meaning.
        told = description(one.question) if is_program(one.question) else ""
        if told:
            add(one, "description", told)
        support = one.options or one.context
        shared = bool(support) and len(kinds[one.benchmark, one.language, form]) > 1
        add(
            one,
            "question",
            one.question,
            support=support if shared else "",
            shared=shared,
            code=f"{one.question}\n{one.answer}" if is_program(f"{one.question}\n{one.answer}") else None,
            about=contexts.get(key),
        )
    for name in missing:
        add(Item(name, "", "und", ""), "missing", "")
    whole = blake2b(digest_size=16)
    for row in rows:
        for name in (*_TEXTS[:-1], "code"):
            data = (row[name] or "").encode("utf-8", "surrogatepass")
            whole.update(len(data).to_bytes(8, "little") + data)
    for row in rows:
        row |= {"digest": whole.hexdigest(), "vector": None}
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def _normal(texts: list[str], tags: list[str]) -> list[str]:
    return SAME.normalize(pl.Series(texts, dtype=pl.String), pl.Series(tags, dtype=pl.String)).to_list()


def add_vectors(table: pa.Table, encoder: Encoder, max_chars: int, preferred: Sequence[str]) -> pa.Table:
    """Adds a vector for each question, in one language.

    Args:
        preferred: the languages to encode an item in: the first that it has and the encoder supports, then any that is
            supported.
    """
    parts, tags = table["part"].to_pylist(), table["language"].to_pylist()
    keys = list(zip(table["benchmark"].to_pylist(), table["item"].to_pylist(), strict=True))
    rank = {tag: number for number, tag in enumerate(preferred)}
    supported = {tag: encoder.supports(tag) for tag in set(tags)}
    best: dict[tuple[str, str], tuple[int, int]] = {}
    for number, (key, part, tag) in enumerate(zip(keys, parts, tags, strict=True)):
        if part in ("question", "description") and supported[tag]:
            here = (rank.get(tag, len(rank)), number)
            best[key] = min(best.get(key, here), here)
    chosen = sorted(number for _, number in best.values())
    texts = [table["text"][number].as_py()[:max_chars] for number in chosen]
    vectors = encoder.encode(texts).astype(np.float16) if texts else np.zeros((0, encoder.dimensions), np.float16)
    column: list[Any] = [None] * table.num_rows
    for number, vector in zip(chosen, vectors, strict=True):
        column[number] = vector
    place = table.schema.get_field_index("vector")
    return table.set_column(place, SCHEMA.field("vector"), pa.array(column, pa.list_(pa.float16())))
