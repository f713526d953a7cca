"""``compose``: makes a row from a row by templates, without a model: another kind, another prompt, another order of its
texts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, ClassVar, Literal

import pyarrow as pa

from curate.generation.common.composition import Parts, parts_of, placeholders, prefixed
from curate.generation.common.derived_rows import random_numbers
from curate.generation.common.fields import PREFIXES, Item
from curate.generation.common.forms import Composing
from curate.generation.common.prompts import language_values
from curate.rows import Kind
from curate.steps import Context, RowBatch, Rows, RowStep
from curate.steps.originals import look_up, originals

_PARENT = "parent."


class Compose(Composing, RowStep):
    """Makes a row from each row by templates: parallel sentences become conversations, answers become judgments.

    A row of which a placeholder is missing, or a field comes out empty, is quarantined. The new row is the same item;
    its parents are the row and, where ``{parent.…}`` is used, that row's first parent (of a row that was redacted or
    relabelled, that of the row before).
    """

    tag: ClassVar[str] = "compose"
    version: ClassVar[int] = 2
    batch: ClassVar[int] = 16_384
    summary: ClassVar[str] = (
        "rows by templates from rows, without a model: other kinds, prompts, directions and languages"
    )

    directions: Literal["one", "both"] = "one"
    """``both``: from each ``parallel`` row two new ones, the second with source and target exchanged."""

    def check(self, kind: Kind) -> list[str]:
        known = [*placeholders(kind), *placeholders(None, _PARENT)]
        problems = self.form_problems(kind, known, (*PREFIXES, *(f"{_PARENT}{prefix}" for prefix in PREFIXES)))
        if self.directions == "both" and kind is not Kind.PARALLEL:
            problems.append(f"directions: {kind} rows have one direction; only parallel rows have two")
        return problems

    def languages_after(self, kind: Kind, languages: frozenset[str] | None) -> frozenset[str] | None:
        turned = self.directions == "both" or (kind is Kind.PARALLEL and self.makes(kind) is Kind.PROMPT)
        return None if turned or any("language" in form for form in self.forms) else languages

    def make(self, rows: Rows, context: Context) -> Iterator[pa.Table | RowBatch]:
        yield self.compose(rows, self._parts(rows, context), context)

    def _parts(self, rows: Rows, context: Context) -> Iterator[Parts]:
        ways = ["there", "back"] if self.directions == "both" else ["there"]
        # More rows of the same ones (`target`) are other draws.
        chances = {way: random_numbers(context.seed, rows.ids, self.tag, way, context.draw) for way in ways}
        parents = _Parents(rows, context) if any(hole.startswith(_PARENT) for hole in self.holes()) else None
        for parts in parts_of(rows):
            whole = parents.added(parts) if parents is not None else parts
            for way in ways:
                turned = whole if way == "there" else _turned(whole)
                yield replace(turned, chance=chances[way][parts.place])


class _Parents:
    """The first parent of each row, under names that begin with ``parent.``."""

    def __init__(self, rows: Rows, context: Context) -> None:
        self._ids = originals(rows, context)
        self._known: dict[str, Parts] = {}
        self._licenses: dict[str, str] = {}
        if (found := look_up(self._ids, context)) is not None:
            ids = found.ids.to_list()
            self._known = {ids[parts.place]: parts for parts in parts_of(found)} if ids else {}
            lineage = found.table["lineage"].to_pylist() if ids else []
            self._licenses = {identity: one["license"] for identity, one in zip(ids, lineage, strict=True)}

    def added(self, parts: Parts) -> Parts:
        """The parts of a row with those of its parent, if it has one."""
        identity = self._ids[parts.place]
        if identity is None or identity not in self._known:
            return parts
        values, turns = prefixed(self._known[identity], _PARENT)
        return replace(
            parts,
            values={**parts.values, **values},
            turns={**parts.turns, **turns},
            parents=(identity,),
            licenses=(self._licenses[identity],),
        )


def _turned(parts: Parts) -> Parts:
    """A parallel row with its sides exchanged."""
    values: dict[str, Any] = dict(parts.values)
    values |= {"source": values["target"], "target": values["source"]}
    values |= language_values(parts.values["source_language"])
    values |= language_values(parts.values["language"], "source_language")
    sides: Mapping[str, str] = {"source": parts.item.plain["target"], "target": parts.item.plain["source"]}
    return replace(parts, item=Item(Kind.PARALLEL, plain=dict(sides)), values=values)


__all__ = ["Compose"]
