"""Makes rows that are derived from other rows, with their lineage.

A derived row is its parent's item in a new form: it inherits group and provenance, names its parent and its maker.
Steps give payloads and the place of the parent; the columns that every row has (``group_id``, ``lineage`` …) are filled
here.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any

import orjson
import polars as pl
import pyarrow as pa

from curate.rows import Kind, message_columns, payload, required_columns, schema
from curate.rows.kinds import LINEAGE
from curate.steps import FailedRow, Rows

RAW_LENGTH = 2_000


def derive_rows(
    kind: Kind,
    parents: Rows,
    places: Sequence[int],
    values: Mapping[str, Sequence[Any] | pa.Array],
    language: Sequence[str],
    *,
    step: str,
    model: str | Sequence[str] = "",
    prompt_hash: str | Sequence[str] = "",
    more_parents: Sequence[Sequence[str]] | None = None,
    group_id: Sequence[str] | None = None,
    scores: Sequence[Mapping[str, float]] | None = None,
    attributes: Sequence[Mapping[str, str]] | None = None,
    inherit: bool = True,
    licenses: Sequence[str] | None = None,
) -> pa.Table:
    """Rows of ``kind``, one for each entry of ``places``, in the schema of :func:`curate.rows.schema` without ``id``.

    Args:
        places: for each new row the place of its first parent in ``parents``.
        values: payload column → one value per row; messages are lists of ``{"role", "content"}`` and the optional
            fields of a message. Optional columns (tools, images …) that are not given
            are the parent's; ``prompt_language`` that is not given is the language of the parent's prompt.
        language: the language of each new row's answer.
        step: the step's tag.
        model: the model that made it (``name@revision``), for all or for each; empty if none did.
        prompt_hash: digest of the prompt template, for all or for each.
        more_parents: ids of further rows that went into each new one.
        group_id: for new rows that are new items; by default a new row belongs to its parent's item.
        scores: names get the step's name in front (``cmi`` → ``code_switch.cmi``, ``score`` → ``code_switch``).
        attributes: the same.
        inherit: whether to keep the parent's attributes. Its scores are never kept: they are about another text.
        licenses: of each new row, where it is not the first parent's alone (see :func:`all_licenses`).
    """
    count = len(places)
    if missing := [name for name in required_columns(kind) if name not in values]:
        raise ValueError(f"{step}: {kind} rows need {', '.join(missing)}")
    for name, column in {**values, "language": language}.items():
        if len(column) != count:
            raise ValueError(f"{step}: {len(column)} values of '{name}' for {count} rows")
    index = pa.array(list(places), pa.int64())
    above = parents.table.select(["id", "group_id", "attributes", "lineage"]).take(index)
    ids = above["id"].to_pylist()
    models = [model] * count if isinstance(model, str) else model
    hashes = [prompt_hash] * count if isinstance(prompt_hash, str) else prompt_hash
    lineage = []
    for place, old in enumerate(above["lineage"].to_pylist()):
        parents_of = list(dict.fromkeys([ids[place], *(more_parents[place] if more_parents else ())]))
        maker = {"step": step, "model": models[place], "prompt_hash": hashes[place], "key": ""}
        new = {**old, "parents": parents_of, "makers": [*old["makers"], maker]}
        lineage.append({**new, "license": licenses[place]} if licenses else new)
    kept = above["attributes"].to_pylist() if inherit else [[] for _ in range(count)]
    named = [_named(step, one) for one in attributes] if attributes else [[] for _ in range(count)]
    fields = schema(kind)
    arrays = {
        name: _array(values[name], dtype)
        if name in values
        else pa.array(parents.prompt_language.to_list(), dtype).take(index)
        if name == "prompt_language" and message_columns(parents.kind)
        else parents.table[name].combine_chunks().take(index)
        if name in parents.table.column_names
        else pa.nulls(count, dtype)
        for name, dtype in payload(kind).items()
    }
    arrays["language"] = pa.array(list(language), pa.string())
    arrays["group_id"] = (
        pa.array(list(group_id), pa.string()) if group_id is not None else above["group_id"].combine_chunks()
    )
    arrays["scores"] = pa.array(
        [_named(step, one) for one in scores] if scores else [[] for _ in range(count)], fields.field("scores").type
    )
    arrays["attributes"] = pa.array(
        [_merged(old, new) for old, new in zip(kept, named, strict=True)], fields.field("attributes").type
    )
    arrays["lineage"] = pa.array(lineage, LINEAGE)
    target = pa.schema([field for field in fields if field.name != "id"])
    return pa.Table.from_arrays([arrays[name] for name in target.names], schema=target)


def _array(values: Sequence[Any] | pa.Array, dtype: pa.DataType) -> pa.Array:
    return values if isinstance(values, pa.Array) else pa.array(list(values), dtype)


def all_licenses(*licenses: str) -> str:
    """The licence of a work derived from several: an SPDX expression that requires all of theirs."""
    if len(set(licenses)) == 1 and " OR " in licenses[0].upper():
        return licenses[0]
    return " AND ".join(dict.fromkeys(part for one in licenses for part in _all_of(one)))


@lru_cache(4096)
def _all_of(expression: str) -> tuple[str, ...]:
    """The parts of an expression that all apply; a choice (``OR``) is one part, in brackets."""
    pieces, depth = [""], 0
    for word in re.split(r"([()]|\s+)", expression.strip()):
        depth += {"(": 1, ")": -1}.get(word, 0)
        if depth < 0:
            break
        if not depth and word.upper() == "OR":
            return (f"({expression.strip()})",)
        if not depth and word.upper() == "AND":
            pieces.append("")
        else:
            pieces[-1] += word
    return tuple(piece.strip() for piece in pieces) if depth == 0 and all(map(str.strip, pieces)) else (expression,)


def with_remarks(
    rows: Rows,
    *,
    step: str,
    model: str = "",
    scores: Sequence[Mapping[str, float]],
    attributes: Sequence[Mapping[str, str]],
    more_parents: Sequence[Sequence[str]] | None = None,
    licenses: Sequence[str] | None = None,
) -> pa.Table:
    """The same rows, with further scores and attributes, which may hold texts of other rows.

    These become parents after those that a row has, with the row's own id between both: what it was made of stays the
    first. Unlike :func:`derive_rows` it keeps the scores, because the text that they are about is the same.

    Args:
        more_parents: ids of the rows whose texts each row has now. By default none, and parents stay as they are.
        licenses: of each row, with those of these texts (see :func:`all_licenses`).
    """
    places = list(range(len(rows)))
    table = derive_rows(
        rows.kind,
        rows,
        places,
        {name: rows.table[name].combine_chunks() for name in required_columns(rows.kind)},
        rows.language.to_list(),
        step=step,
        model=model,
        attributes=attributes,
        licenses=licenses,
    )
    more_parents = more_parents or [()] * len(rows)
    lineage = table["lineage"].to_pylist()
    for one, own, before, more in zip(lineage, rows.ids, rows.table["lineage"].to_pylist(), more_parents, strict=True):
        one["parents"] = list(dict.fromkeys([*before["parents"], *([own, *more] if more else [])]))
    old = rows.table["scores"].to_pylist()
    every = [_merged(before, _named(step, new)) for before, new in zip(old, scores, strict=True)]
    return _with_column(_with_column(table, "scores", every), "lineage", lineage)


def _with_column(table: pa.Table, name: str, values: Sequence[Any]) -> pa.Table:
    place = table.schema.get_field_index(name)
    return table.set_column(place, table.schema.field(place), pa.array(values, table.schema.field(place).type))


def in_order(old: pa.Table, stay: Collection[int], new: pa.Table, places: Sequence[int]) -> pa.Table:
    """The old rows to keep, by their places, each followed by the new rows that have its place."""
    order = sorted([*((place, place) for place in stay), *((place, len(old) + at) for at, place in enumerate(places))])
    both = pa.concat_tables([old.select(new.column_names).cast(new.schema), new])
    return both.take(pa.array([index for _, index in order], pa.int64()))


def unchanged_rows(rows: Rows) -> pa.Table:
    """The original rows, to keep beside those derived from them."""
    return rows.table.drop_columns(["id"])


def with_findings(
    table: pa.Table,
    step: str,
    *,
    attributes: Sequence[Mapping[str, str]] = (),
    scores: Sequence[Mapping[str, float]] = (),
) -> pa.Table:
    """Rows with more attributes and scores, named as in :func:`derive_rows`; one of the same name is replaced."""
    for name, found in (("attributes", attributes), ("scores", scores)):
        if any(found):
            at, field = table.column_names.index(name), table.schema.field(name)
            olds = table[name].to_pylist()
            merged = [_merged(old, _named(step, new)) for old, new in zip(olds, found, strict=True)]
            table = table.set_column(at, field, pa.array(merged, field.type))
    return table


def failed(rows: Rows, place: int, reason: str, raw: str = "") -> FailedRow:
    """A row that could not be made, with the raw answer."""
    return FailedRow(str(rows.ids[place]), reason, raw[:RAW_LENGTH])


def hash_of(*parts: Any) -> str:
    """16 hexadecimal digits of a prompt or anything else that decides how a row is made."""
    return hashlib.blake2b(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS), digest_size=8).hexdigest()


def random_numbers(seed: int, ids: Sequence[str] | pl.Series, *more: Any) -> list[int]:
    """A 64-bit number for each id, from the seed, the id and the other arguments only."""
    start = hashlib.blake2b(orjson.dumps([seed, *more]), digest_size=8)
    numbers = []
    for one in ids:
        mixed = start.copy()
        mixed.update(str(one).encode("utf-8", "surrogatepass"))
        numbers.append(int.from_bytes(mixed.digest(), "big"))
    return numbers


def _named(step: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"name": step if name == "score" else f"{step}.{name}", "value": value} for name, value in values.items()]


def _merged(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> list[dict[str, Any]]:
    fresh = {one["name"] for one in new}
    return [*(one for one in old if one["name"] not in fresh), *new]
