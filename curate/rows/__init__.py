"""Rows: kinds with their Arrow schemas, ids and digests, languages, and text fields."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from curate.rows.extras import extras_in, narrow, present, widen
    from curate.rows.fields import (
        answer_field,
        field_language,
        field_names,
        field_text,
        field_turns,
        main_fields,
        message_text,
        prompt_language,
        unknown_fields,
    )
    from curate.rows.ids import ContentDigest, content_digest, row_ids, with_ids
    from curate.rows.kinds import (
        Kind,
        message_columns,
        payload,
        required_columns,
        schema,
    )

_MODULES = ("kinds", "extras", "ids", "fields")


def __getattr__(name: str) -> Any:
    """Loads what is named here when it is first used: who needs only :mod:`curate.rows.languages` loads no Arrow."""
    if name in __all__:
        for module in _MODULES:
            if hasattr(found := import_module(f"curate.rows.{module}"), name):
                globals()[name] = getattr(found, name)
                return globals()[name]
    raise AttributeError(f"module 'curate.rows' has no attribute '{name}'")


__all__ = [
    "ContentDigest",
    "Kind",
    "answer_field",
    "content_digest",
    "extras_in",
    "field_language",
    "field_names",
    "field_text",
    "field_turns",
    "main_fields",
    "message_columns",
    "message_text",
    "narrow",
    "payload",
    "present",
    "prompt_language",
    "required_columns",
    "row_ids",
    "schema",
    "unknown_fields",
    "widen",
    "with_ids",
]
