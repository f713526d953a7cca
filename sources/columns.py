"""Builds Arrow columns row by row: messages with their optional parts, lists of names and values, plain values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from curate.rows.kinds import MESSAGES
from sources.conversations.turns import Structured, Turns


class Lists:
    """A list column, built row by row as flat lists of its two fields."""

    def __init__(self, dtype: pa.DataType) -> None:
        self.dtype = dtype
        self.offsets, self.left, self.right = [0], list[str](), list[Any]()

    def add(self, pairs: Sequence[tuple[str, Any]]) -> None:
        for left, right in pairs:
            self.left.append(left)
            self.right.append(right)
        self.offsets.append(len(self.left))

    def array(self) -> pa.Array:
        left, right = self.dtype.value_type
        struct = pa.StructArray.from_arrays(
            [pa.array(self.left, left.type), pa.array(self.right, right.type)], fields=[left, right]
        )
        return pa.ListArray.from_arrays(pa.array(self.offsets, pa.int32()), struct, type=self.dtype)


class Messages:
    """A column of messages; their optional parts, which few messages have, by place."""

    def __init__(self, dtype: pa.DataType) -> None:
        self.dtype = dtype
        self.offsets, self.roles, self.contents = [0], list[str](), list[str]()
        self.extras: dict[str, dict[int, Any]] = {}

    def add(self, turns: Turns) -> None:
        for turn in turns:
            if isinstance(turn, Structured):
                for name, value in turn.extras.items():
                    self.extras.setdefault(name, {})[len(self.roles)] = value
            self.roles.append(turn[0])
            self.contents.append(turn[1])
        self.offsets.append(len(self.roles))

    def array(self) -> pa.Array:
        arrays = []
        for field in self.dtype.value_type:
            values: list[Any] | None = {"role": self.roles, "content": self.contents}.get(field.name)
            if values is None and (some := self.extras.get(field.name)):
                values = [some.get(place) for place in range(len(self.roles))]
            arrays.append(pa.nulls(len(self.roles), field.type) if values is None else pa.array(values, field.type))
        struct = pa.StructArray.from_arrays(arrays, fields=list(self.dtype.value_type))
        return pa.ListArray.from_arrays(pa.array(self.offsets, pa.int32()), struct, type=self.dtype)


class Plain:
    def __init__(self, dtype: pa.DataType) -> None:
        self.dtype, self.values = dtype, list[Any]()
        self.add = self.values.append

    def array(self) -> pa.Array:
        return pa.array(self.values, self.dtype)


def column(name: str, dtype: pa.DataType) -> Lists | Messages | Plain:
    if dtype == MESSAGES:
        return Messages(dtype)
    return Lists(dtype) if name in ("scores", "attributes") else Plain(dtype)
