"""The two sides of a row, as texts and languages: a pair's own sides, or a row and its first parent.

A row without a parent has no counterpart. A field that the parent does not have is null, which is not the same as
empty.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import polars as pl

from curate.rows import Kind, field_names
from curate.rows.fields import ASKED
from curate.steps import Context, Rows
from curate.steps.originals import look_up, originals
from curate.text import segmentation as text

BLOCK = 8192


@dataclass(frozen=True)
class Sides:
    """Some rows' texts on both sides, field by field."""

    start: int
    """Position of the first row."""
    source_language: pl.Series
    """Null where there is no counterpart."""
    target_language: pl.Series
    texts: Mapping[str, tuple[pl.Series, pl.Series]]
    """For each field, source and target texts; null where a side does not have the field."""


def sides(rows: Rows, own: bool, fields: tuple[str, ...], max_chars: int, context: Context) -> Iterator[Sides]:
    """The rows' sides, some thousands of rows at a time.

    Args:
        own: whether the sides are the row's own (``source`` and ``target`` of a pair) instead of its first parent's and
            its own.
        fields: the fields to compare with the parent's; for a pair one name of any kind.
        max_chars: longer texts are cut to this length.
    """
    for start in range(0, len(rows), BLOCK):
        part = Rows(rows.kind, rows.table.slice(start, BLOCK))
        if own:
            cut = tuple(part.text(name).str.slice(0, max_chars) for name in ("source", "target"))
            yield Sides(
                start, part.field_language("source"), part.field_language("target"), {fields[0]: (cut[0], cut[1])}
            )
            continue
        parents = originals(part, context)
        parent_rows = look_up(parents, context)
        nothing = pl.Series("", [None] * len(part), dtype=pl.String)
        if parent_rows is None:
            yield Sides(start, nothing, _language(part, fields), dict.fromkeys(fields, (nothing, nothing)))
            continue
        places = {name: number for number, name in enumerate(parent_rows.ids)}
        at = pl.Series([places.get(parent) for parent in parents], dtype=pl.UInt32)
        texts = {}
        for name in fields:
            left = parent_rows.text(name).gather(at) if name in field_names(parent_rows.kind) else nothing
            right = pl.select(pl.when(at.is_not_null()).then(part.text(name))).to_series()
            texts[name] = (left.str.slice(0, max_chars), right.str.slice(0, max_chars))
        yield Sides(start, _language(parent_rows, fields).gather(at), _language(part, fields), texts)


def tags(rows: Rows, own: bool, fields: tuple[str, ...], context: Context) -> tuple[pl.Series, pl.Series]:
    """The languages of both sides of all rows; null on the left where there is no counterpart."""
    if own:
        return rows.field_language("source"), rows.field_language("target")
    parents = originals(rows, context)
    parent_rows = look_up(parents, context)
    known = {}
    if parent_rows is not None:
        known = dict(zip(parent_rows.ids.to_list(), _language(parent_rows, fields).to_list(), strict=True))
    return pl.Series("language", [known.get(one) for one in parents], dtype=pl.String), _language(rows, fields)


def _language(rows: Rows, fields: tuple[str, ...]) -> pl.Series:
    """The language of the fields: of a prompt alone its own, with an answer that of the answer."""
    return rows.prompt_language.rename("language") if all(name in ASKED for name in fields) else rows.language


def without_blank(texts: pl.Series) -> pl.Series:
    """Replaces texts without visible characters by empty ones."""
    frame = texts.to_frame("text")
    return frame.select(pl.when(text.is_empty(pl.col("text"))).then(pl.lit("")).otherwise(pl.col("text"))).to_series()


def compares_own(kind: Kind, between: str | None) -> bool:
    """Whether the sides of rows of this kind are their own."""
    return between == "sides" or (between is None and kind is Kind.PARALLEL)
