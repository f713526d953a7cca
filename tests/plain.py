"""Rows as tests write them: without the optional parts that a row does not have."""

from __future__ import annotations

from typing import Any


def plain(value: Any) -> Any:
    """The value without null entries, at any depth."""
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items() if one is not None}
    return [plain(one) for one in value] if isinstance(value, list) else value
