"""``redact``: replaces personal data and secrets by typed placeholders, the same value by the same placeholder within a
row.

:mod:`curate.pii.detect` finds them; the filter ``quality`` counts the same findings without changing a row.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal

import polars as pl
import pyarrow as pa
from pydantic import field_validator

from curate.catalog.suggestions import nearest
from curate.data_files import DataFile
from curate.generation.common.derived_rows import derive_rows, in_order, unchanged_rows
from curate.generation.common.prompts import own_prompt
from curate.pii import detect as private
from curate.pii.detect import PHONES
from curate.rows import Kind, extras_in, field_names, field_turns, message_columns, unknown_fields
from curate.rows.fields import field_place
from curate.rows.kinds import payload
from curate.steps import Context, RowBatch, Rows, RowStep, StepError

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+"\s*+:|("(?:[^"\\]|\\.)*+"|-?\d++(?![\d.eE]))|-?\d[\d.eE+-]*+')
"""In JSON: a key; a text or a whole number (group 1); another number."""
_HIDDEN = frozenset({"tool_calls", "reasoning"})
Kinds = Literal["email", "phone", "iban", "card", "ip", "national_id", "api_key", "private_key", "jwt", "password"]
_ALL: tuple[Kinds, ...] = (
    "email",
    "phone",
    "iban",
    "card",
    "ip",
    "national_id",
    "api_key",
    "private_key",
    "jwt",
    "password",
)


class Redact(RowStep):
    """Replaces personal data and secrets by typed placeholders, also in reasoning and in the arguments of tool calls;
    other rows are unchanged.

    The same address gets the same number in all fields of a row, in any notation, so that a question and its answer
    still match. Score of a changed row: ``redact``, the number of replacements. Attribute: ``redact.kinds`` (``email:2
    phone:1``).
    """

    tag: ClassVar[str] = "redact"
    version: ClassVar[int] = 2
    package_data: ClassVar[tuple[DataFile, ...]] = (PHONES,)
    summary: ClassVar[str] = "personal data (addresses, numbers with a check digit) and keys become typed placeholders"

    what: tuple[Kinds, ...] = _ALL
    """The kinds of data to replace."""
    fields: tuple[str, ...] | None = None
    """The fields to redact; by default all."""
    template: str = "[{kind}_{number}]"
    """The replacement: ``{kind}`` is the label, ``{number}`` counts the different values of a kind within the row from
    1. Both are optional."""
    labels: dict[Kinds, str] = {}  # noqa: RUF012 (pydantic copies it)
    """The value of ``{kind}``: ``{email: CORREO}``; by default the kind in capitals."""

    @field_validator("template")
    @classmethod
    def _holes(cls, template: str) -> str:
        try:
            holes = own_prompt("redact", template).holes
        except StepError as error:
            raise ValueError(str(error)) from error
        for hole in holes - {"kind", "number"}:
            raise ValueError(f"there is no '{{{hole}}}'{nearest(hole, ['kind', 'number'])}")
        return template

    def languages_after(self, kind: Kind, languages: frozenset[str] | None) -> frozenset[str] | None:
        return languages

    def check(self, kind: Kind) -> list[str]:
        problems = unknown_fields(kind, self.fields)
        if self.fields == ():
            problems.append("fields: is empty; leave it out for all")
        if not self.what:
            problems.append("what: is empty; leave it out for all")
        return problems

    def make(self, rows: Rows, context: Context) -> Iterator[pa.Table | RowBatch]:
        if not len(rows):
            return
        names = self.fields or field_names(rows.kind)
        touched = [False] * len(rows)
        for name in names:
            turns = _texts(rows, name)
            for place, findings in enumerate(private.find_all(turns.list.join("\n\n"), self.what)):
                touched[place] |= bool(findings)
        changed, values, scores, attributes, tags = self._changed(
            rows, names, [place for place, hit in enumerate(touched) if hit]
        )
        new = derive_rows(rows.kind, rows, changed, values, tags, step=self.tag, scores=scores, attributes=attributes)
        stay = {*range(len(rows))}.difference(changed)
        yield in_order(unchanged_rows(rows), stay, new, changed)

    def _changed(self, rows: Rows, names: tuple[str, ...], places: list[int]) -> Any:
        changed, tags, scores, attributes = [], [], [], []
        values: dict[str, list[Any]] = {name: [] for name in payload(rows.kind)}
        language = rows.language
        for place in places:
            row = {name: rows.table[name][place].as_py() for name in payload(rows.kind)}
            work = _Row(self)
            done: set[tuple[str, int]] = set()
            for name in names:
                column, roles = field_place(rows.kind, name)
                if isinstance(row[column], str):
                    row[column] = work.redacted(row[column])
                    continue
                turns = list(row[column])
                for at, turn in enumerate(turns):
                    if (roles is None or turn["role"] in roles) and (column, at) not in done:
                        turns[at] = work.redacted_turn(turn)
                        done.add((column, at))
                row[column] = turns
            if not work.counts:
                continue
            changed.append(place)
            tags.append(str(language[place]))
            scores.append({"score": float(work.counts.total())})
            attributes.append({"kinds": " ".join(f"{kind}:{count}" for kind, count in sorted(work.counts.items()))})
            for name, column_values in values.items():
                column_values.append(row[name])
        return changed, values, scores, attributes, tags


def _texts(rows: Rows, name: str) -> pl.Series:
    """The texts of a field's turns; for turns with calls or reasoning, these too."""
    turns = field_turns(rows.kind, rows.table, name)
    column, roles = field_place(rows.kind, name)
    if column not in message_columns(rows.kind) or not extras_in(rows.table.select([column])) & _HIDDEN:
        return turns
    texts = [
        [text for turn in row if roles is None or turn["role"] in roles for text in (turn["content"], *_hidden(turn))]
        for row in rows.table[column].to_pylist()
    ]
    return pl.Series(name, texts, dtype=pl.List(pl.String))


def _hidden(turn: Mapping[str, Any]) -> list[str]:
    """The texts of a turn besides its content: reasoning and the arguments of calls."""
    calls = turn["tool_calls"] or ()
    return [*([turn["reasoning"]] if turn["reasoning"] else []), *(one["function"]["arguments"] for one in calls)]


class _Row:
    """The placeholders used so far in one row."""

    def __init__(self, step: Redact) -> None:
        self._step = step
        self._prompt = own_prompt("redact", step.template)
        self._numbers: dict[tuple[str, str], int] = {}
        self.counts: Counter[str] = Counter()

    def redacted_turn(self, turn: Mapping[str, Any]) -> dict[str, Any]:
        """A turn with its content, its reasoning and the texts in the arguments of its calls redacted."""
        new = {**turn, "content": self.redacted(turn["content"])}
        if turn["reasoning"]:
            new["reasoning"] = self.redacted(turn["reasoning"])
        if turn["tool_calls"]:
            new["tool_calls"] = [
                {**one, "function": {**one["function"], "arguments": self._arguments(one["function"]["arguments"])}}
                for one in turn["tool_calls"]
            ]
        return new

    def _arguments(self, written: str) -> str:
        """Arguments with their texts and whole numbers redacted; keys, and everything else, stay as written. What is no
        JSON is redacted as text."""
        try:
            json.loads(written)
        except ValueError:
            return self.redacted(written)
        return _TOKEN.sub(self._token, written)

    def _token(self, token: re.Match[str]) -> str:
        if token[1] is None:  # a key, or a number with a fraction
            return token[0]
        value = json.loads(token[1])
        new = self.redacted(str(value))
        return token[0] if new == str(value) else json.dumps(new, ensure_ascii=False)

    def redacted(self, text: str) -> str:
        parts, at = [], 0
        for hit in private.find(text, self._step.what):
            parts += [text[at : hit.start], self._placeholder(hit)]
            at = hit.end
            self.counts[hit.kind] += 1
        return "".join([*parts, text[at:]])

    def _placeholder(self, hit: private.Finding) -> str:
        key = (hit.kind, hit.value)
        if key not in self._numbers:
            self._numbers[key] = 1 + sum(kind == hit.kind for kind, _ in self._numbers)
        kind: Any = hit.kind
        label = self._step.labels.get(kind, hit.kind.upper())
        filled = self._prompt.fill({"kind": label, "number": str(self._numbers[key])})
        return filled[0][1] if filled else ""
