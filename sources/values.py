"""Converts values to text exactly as the file has them; a value without a text form makes its row unreadable."""

from __future__ import annotations

import datetime
import decimal
import json
import math
from typing import Any

import orjson

_EXACT = 2.0**53
"""From here on whole numbers are not exact as floats: two ids may have become one."""


class BadValue(ValueError):
    """A value that makes its row unreadable; the message is the reason."""


class Number(float):
    """A number whose digits a float would change (``1.10``, ``1e-05``), with its original text."""

    __slots__ = ("text",)
    text: str

    def __new__(cls, text: str) -> Number:
        made = super().__new__(cls, text)
        made.text = text
        return made


def is_nan(value: Any) -> bool:
    """Whether a value is NaN, which stands for a missing one."""
    return isinstance(value, float) and math.isnan(value)


def is_finite(value: Any) -> bool:
    """Whether a value is neither NaN nor infinite; numbers too large for a float are finite."""
    return not isinstance(value, float) or isinstance(value, Number) or math.isfinite(value)


def as_text(value: Any) -> str:
    """The text of any value in a file: null and NaN are empty, numbers and booleans as in JSON, lists and objects as
    compact JSON with all scripts unescaped.

    Raises:
        BadValue: bytes that are not UTF-8, or a value without JSON form.
    """
    if isinstance(value, str):
        return value
    if type(value) is int:
        return str(value)
    if value is None or is_nan(value):
        return ""
    if isinstance(value, (bytes, bytearray)):
        try:
            return value.decode()
        except UnicodeDecodeError as error:
            raise BadValue(f"a binary value that is not UTF-8 text (byte {error.start})") from None
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return f"{value:f}"
    try:
        text = orjson.dumps(value, default=_plain, option=orjson.OPT_NON_STR_KEYS)
        if b"null" not in text or _all_finite(value):
            return text.decode()
    except (TypeError, ValueError):
        pass
    # What orjson cannot write (long integers, half surrogate pairs) or writes as null (NaN inside of something).
    try:
        return _json(value)
    except RecursionError:
        raise BadValue("a value that is nested too deeply") from None
    except (TypeError, ValueError):
        raise BadValue(f"a value of type {type(value).__name__} that has no text form") from None


def strict_text(value: Any) -> str:
    """Like :func:`as_text`, for texts that are trained on: NaN and infinities have no text.

    Raises:
        BadValue: also for these.
    """
    if not is_finite(value):
        name = _json(value)
        raise BadValue(f"{name}, a number without text; 'empty: [{name}]' treats it as empty")
    return as_text(value)


def as_key(value: Any) -> str:
    """The text of a value that joins rows: like :func:`as_text`, stripped, and 12.0 is 12 (readers turn whole numbers
    into floats).

    Raises:
        BadValue: the value has no text, or is a float that may have been another whole number.
    """
    if type(value) is str:
        return value.strip()
    if isinstance(value, float) and value.is_integer():
        if abs(value) < _EXACT:
            return str(int(value))
        if not isinstance(value, Number):
            raise BadValue(
                f"{value:.17g}, a whole number beyond 2^53 that was stored as a float and may have lost digits"
            )
    return as_text(value).strip()


def nothing(value: Any, empty: frozenset[str]) -> bool:
    """Whether a value is one of the texts that mean empty."""
    if isinstance(value, str):
        return value.strip() in empty
    return isinstance(value, float) and not is_finite(value) and _json(value) in empty


def without_nulls(value: Any) -> Any:
    """A value without null keys: Arrow gives every object all keys that any of them has."""
    if isinstance(value, dict):
        return {key: without_nulls(inner) for key, inner in value.items() if inner is not None}
    return [without_nulls(inner) for inner in value] if isinstance(value, list) else value


def _plain(value: Any) -> Any:
    if isinstance(value, Number):
        return orjson.Fragment(value.text)
    if isinstance(value, decimal.Decimal):
        return f"{value:f}"
    if isinstance(value, (bytes, bytearray, memoryview)):
        return as_text(bytes(value))
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    return as_text(value) if isinstance(value, datetime.date) else str(value)


def _all_finite(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(_all_finite, value.values()))
    return all(map(_all_finite, value)) if isinstance(value, (list, tuple)) else is_finite(value)


def _json(value: Any) -> str:
    """The JSON of a value, with NaN and infinities as Python and pandas write them."""
    if isinstance(value, dict):
        return f"{{{','.join(f'{_json(str(key))}:{_json(inner)}' for key, inner in value.items())}}}"
    if isinstance(value, (list, tuple)):
        return f"[{','.join(map(_json, value))}]"
    if isinstance(value, str) or not is_finite(value):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return orjson.dumps(value, default=_plain).decode()
