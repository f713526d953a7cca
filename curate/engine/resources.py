"""Parses memory sizes such as ``8GiB``."""

from __future__ import annotations

import re

_UNITS = {"": 1, "K": 1_000, "M": 1_000_000, "G": 1_000_000_000, "T": 1_000_000_000_000}


def parse_bytes(text: str) -> int:
    """``2GB`` → 2,000,000,000; ``1GiB`` → 1,073,741,824."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(i?)B", text.strip())
    if match is None:
        raise ValueError(f"'{text}' is no size; write 500MB, 2GB, 1GiB …")
    scale = 1024 ** " KMGT".index(match[2] or " ") if match[3] else _UNITS[match[2]]
    return int(float(match[1]) * scale)
