"""What readers pass to the mapping: records with their position, and the raw text of those that cannot be read."""

from __future__ import annotations

import enum
from typing import Any, Final, NamedTuple

from sources.values import BadValue, as_text

BATCH_ROWS = 2_000
BATCH_BYTES = 16 * 1024 * 1024
RAW = 2_000
"""Characters of a bad row's raw text that are kept."""

Record = tuple[int, dict[str, Any], int]
"""Position in the unit (line from 1, or row from 0), values by column, size in bytes or characters."""


class Need(NamedTuple):
    """Why a column is needed."""

    digits: bool
    """Its numbers may become text, so their digits must be exact."""
    required: bool
    """A file without it is an error."""


class Unread(enum.Enum):
    """The value of a column that a row has but nothing needs."""

    UNREAD = "unread"


UNREAD: Final = Unread.UNREAD


def raw_text(value: Any) -> str:
    """The raw text of an unreadable row: truncated, and safe to store."""
    if isinstance(value, bytes):
        value = value[: 4 * RAW].decode("utf-8", "backslashreplace")
    if not isinstance(value, str):
        try:
            value = as_text(value)
        except (BadValue, RecursionError):
            value = f"a {type(value).__name__}"
    text: str = value[:RAW]
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")[:RAW]
