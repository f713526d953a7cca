"""Finds a translator's commentary or refusal in a translation, by phrases in 37 languages (``data/commentary.yaml``).

Phrases of all languages are searched whatever the target language, since models fall back on English. Phrases that the
source contains too are ignored.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt
import polars as pl
import regex

from curate.data_files import DataFile

Floats = npt.NDArray[np.float64]
COMMENTARY = DataFile("curate.text", "data/commentary.yaml")


@cache
def _phrases() -> tuple[str, str, str, str]:
    every = COMMENTARY.yaml()["languages"].values()
    opens, refuses, ends = (
        [pattern for given in every for pattern in given.get(name, ())] for name in ("opens", "refuses", "closes")
    )
    start = r"(?i)^[\s\p{P}\p{S}]{0,8}(?:"
    return (
        start + "|".join(_spaces(one) for one in dict.fromkeys(opens)) + ")",
        start + "|".join(_spaces(one) for one in dict.fromkeys(refuses)) + ")",
        "(?i)" + "|".join(given["excuses"] for given in every),
        r"(?i)(?:[\n.!?。！？।؟]|\A)[\s\p{P}]{0,6}(?:" + "|".join(_spaces(one) for one in dict.fromkeys(ends)) + ")",
    )


def _spaces(pattern: str) -> str:
    return pattern.replace(" ", r"\s+").replace(r"\s+?", r"\s*").replace(r"[\s+,!.]+", r"[\s,!.]+")


# A line of its own with a colon at its end, before a text of one line: in any language that is somebody speaking.
_HEADING = r"^[^\n]{3,120}[:：]\s*\n"


def commentary(source: pl.Series, target: pl.Series) -> tuple[Floats, list[str | None]]:
    """1 if the target begins or ends with commentary or a refusal that the source does not have; and the matched
    words."""
    opens, refuses, excuses, ends = _phrases()
    excused = {refuses: f"{refuses}|{excuses}", _HEADING: r"[:：]\s*\n"}
    found: list[str | None] = [None] * len(source)
    for pattern, longest in ((opens, 300), (refuses, 300), (_HEADING, 300), (ends, None)):
        target_side = target.fill_null("") if longest is None else target.fill_null("").str.slice(0, longest)
        at = target_side.str.contains(pattern).arg_true()
        if len(at):
            before = source.gather(at).fill_null("")
            both = (
                (before if longest is None else before.str.slice(0, 3 * longest))
                .str.contains(excused.get(pattern, pattern))
                .to_list()
            )
            for row, own, words in zip(
                at.to_list(), both, target_side.gather(at).str.extract(f"({pattern})", 1).to_list(), strict=True
            ):
                if not own and found[row] is None:
                    found[row] = (words or "").strip()
    return np.asarray([0.0 if one is None else 1.0 for one in found]), found


# -------------------------------------------------------------------------------------------------------------- asides
@cache
def _asides() -> regex.Pattern[str]:
    return regex.compile(r"\s*[(（](?:" + "|".join(COMMENTARY.yaml()["asides"]) + r")[)）]", regex.IGNORECASE)


_ADDED = regex.compile(r"\s*\([^()]{0,20}(?:\)|$)|\s*\($")
_BRACKET = regex.compile(r"[(\[{）（［｛【〔「『《〈)\]}］｝】〕」』》〉]")


def aside(source: str, target: str) -> str | None:
    """A remark in brackets that a name is foreign (``Jane Doe (em inglês)``), if the source has no brackets."""
    found = None if "(" in source else _asides().search(target)
    return None if found is None else found[0].strip()


def without_asides(source: str, target: str) -> str:
    """The translation without remarks that small translators add to names (``Jane Doe (em inglês)``, ``Tteokbokki
    (o)``), if the source has no brackets."""
    if "(" not in target or _BRACKET.search(source):
        return target
    left = _ADDED.sub("", _asides().sub("", target))
    return left if left.strip() else target
