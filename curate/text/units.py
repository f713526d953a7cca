"""Numbers with units, in any language, so that 5 miles and 8 km are found to be equal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
import regex

from curate.text.numbers import NUMBER_WORDS, Mention, plain_digits

_ROUNDING = 0.07
"""Conversions are rounded: five miles are eight kilometres, six feet 1.80 m."""
_WIDEST = 24
"""Characters of a unit that stands before its number."""
_DEGREES, _OVEN = 2.0, 0.03
"""Of temperatures: degrees, or the share of a high one."""


@dataclass(frozen=True)
class Quantity:
    """A number with its unit."""

    of: str
    """What is measured."""
    unit: int
    value: float
    """In the common unit of all that is measured so."""


def converts(one: Quantity, units: npt.NDArray[np.int64], values: npt.NDArray[np.float64]) -> bool:
    """Whether one of several quantities, given by units and values, is this one in another unit."""
    most = np.maximum(abs(one.value), np.abs(values))
    least = np.maximum(_DEGREES, _OVEN * most) if one.of == "temperature" else _ROUNDING * most
    return bool(((units != one.unit) & (np.abs(values - one.value) <= least)).any())


_PLACES = r"(?<![\p{Nd}.,])\L<numbers>(?![.,]?\p{Nd})"


@cache
def _units() -> tuple[tuple[str, float, float, regex.Pattern[str], regex.Pattern[str] | None], ...]:
    return tuple(
        (
            one["of"],
            float(one["size"]),
            float(one.get("less", 0)),
            regex.compile(rf"(?i)[\s-]{{0,2}}(?:{one['forms']})(?![\p{{Latin}}\p{{Cyrillic}}\p{{Greek}}\p{{Arabic}}])"),
            regex.compile(rf"(?:{one['before']})\s?$") if "before" in one else None,
        )
        for one in NUMBER_WORDS.yaml()["units"]
    )


def quantities(mentions: Iterable[Mention], text: str) -> dict[str, list[Quantity]]:
    """The readings of numbers of a text with the units that stand beside them there, by how they are written.

    The text is searched once, whatever their number.
    """
    values = {one.text: [value for value in one.values if isinstance(value, float)] for one in mentions}
    found: dict[str, list[Quantity]] = {}
    plain = plain_digits(text)
    for place in regex.finditer(_PLACES, plain, numbers=list(values)) if values else ():
        for unit, (of, size, less, after, before) in enumerate(_units()):
            if after.match(plain, place.end()) or (
                before is not None and before.search(plain, max(0, place.start() - _WIDEST), place.start())
            ):
                readings = [Quantity(of, unit, (value - less) * size) for value in values[place[0]]]
                found.setdefault(place[0], []).extend(readings)
    return found
