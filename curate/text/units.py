"""Quantities with units, in any language, so that five miles can be told from eight kilometres that are no less."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import regex

from curate.text.numbers import NUMBER_WORDS, Mention, plain_digits

_ROUNDING = 0.07
"""Conversions are rounded: five miles are eight kilometres, six feet 1.80 m."""
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

    def converted(self, other: Quantity) -> bool:
        """Whether both say the same in different units."""
        if self.of != other.of or self.unit == other.unit:
            return False
        most = max(abs(self.value), abs(other.value))
        least = max(_DEGREES, _OVEN * most) if self.of == "temperature" else _ROUNDING * most
        return abs(self.value - other.value) <= least


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


def quantities(mention: Mention, text: str) -> Iterator[Quantity]:
    """The readings of a number with the units that stand beside it in the text."""
    plain = plain_digits(text)
    values = [value for value in mention.values if isinstance(value, float)]
    for place in regex.finditer(rf"(?<![\p{{Nd}}.,]){regex.escape(mention.text)}(?![.,]?\p{{Nd}})", plain):
        for unit, (of, size, less, after, before) in enumerate(_units()):
            if after.match(plain, place.end()) or (before is not None and before.search(plain, 0, place.start())):
                yield from (Quantity(of, unit, (value - less) * size) for value in values)
