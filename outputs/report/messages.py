"""Alarms, warnings and rows not assessed: what concerns a whole language first, messages of one form as one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import regex

from curate.records.markup import Html, joined, tag

_MOST = 60
_LANGUAGES = 12
_NUMBER = regex.compile(r"\d[\d,.]*")
_SOURCE = regex.compile(r"(?:read|link) ([^:]+): ")
"""The stage of a source, at the beginning of what is said of it."""


def messages(
    manifest: Mapping[str, Any], unassessed: Mapping[str, Mapping[str, int]], names: Mapping[str, str]
) -> Html:
    """All that a build said of a version.

    Args:
        unassessed: step → language → kept rows that it could not assess.
        names: language tag → its name.
    """
    language = _naming(names)
    groups: list[tuple[int, str, str, list[str]]] = []
    for rank, sort, told in (
        *((0, "alarm", one) for one in _grouped(manifest.get("alarms", ()), language)),
        *(
            (1 if language.search(one[0]) else 4, "warning", one)
            for one in _grouped(manifest.get("warnings", ()), language)
        ),
    ):
        groups.append((rank, sort, {"alarm": "Alarm", "warning": "Warning"}[sort], told))
    for step, counts in unassessed.items():
        whole = {one for one, rows in counts.items() if rows >= manifest["languages"].get(one, 0)}
        for rank, some, what in (
            (2, whole, f"{step} could assess no row in"),
            (3, set(counts) - whole, f"{step} could not assess some rows in"),
        ):
            if some:
                rows = sum(counts[one] for one in some)
                listed = sorted(some, key=lambda one: (-counts[one], one))
                shown = ", ".join(f"{names.get(one, one)} ({counts[one]:,})" for one in listed[:_LANGUAGES])
                more = f" and {len(listed) - _LANGUAGES:,} more" if len(listed) > _LANGUAGES else ""
                groups.append((rank, "note", "Not assessed", [f"{what} {shown}{more}: {rows:,} rows, which are kept"]))
    if not groups:
        return tag("p", "The build reported no warnings.")
    groups.sort(key=lambda one: one[0])
    left = len(groups) - _MOST
    return joined(
        tag("ul", [_item(sort, word, told) for _, sort, word, told in groups[:_MOST]], class_="told"),
        tag("p", f"… and {left:,} more, in the manifest.", class_="note") if left > 0 else None,
    )


def _item(sort: str, word: str, told: list[str]) -> Html:
    first = joined(tag("strong", f"{word}: "), told[0])
    if len(told) == 1:
        return tag("li", first, class_=sort)
    others = [tag("li", one) for one in told[1:_MOST]]
    if len(told) > _MOST:
        others.append(tag("li", f"… and {len(told) - _MOST:,} more, in the manifest."))
    summary = tag("summary", f"and {len(told) - 1:,} more of this form")
    return tag("li", first, tag("details", summary, tag("ul", others)), class_=sort)


def _grouped(told: Iterable[str], language: regex.Pattern[str]) -> list[list[str]]:
    """Messages that differ only in languages, numbers and the source that they are about, together."""
    groups: dict[str, list[str]] = {}
    for one in told:
        form = one
        if source := _SOURCE.match(one):
            form = regex.sub(rf"\b{regex.escape(source[1])}\b", "§", one)
        groups.setdefault(_NUMBER.sub("#", language.sub("§", form)), []).append(one)
    return list(groups.values())


def _naming(names: Mapping[str, str]) -> regex.Pattern[str]:
    """Where a message names a language: by its name, or by its tag where that is no word (``is``, ``no``, ``it``)."""
    tags = "|".join(map(regex.escape, sorted(names, key=len, reverse=True)))
    full = "|".join(regex.escape(one) for tag_, one in names.items() if one != tag_)
    before = r"(?:(?<=')|(?<=\b(?:in|for|into|from|know|of|and|or|support|→) )|(?<=[-–→]))"
    by_tag = rf"{before}(?:{tags})(?=$|['\s,;:.)→–-])" if tags else r"(?!)"
    return regex.compile(rf"{by_tag}|\b(?:{full})\b" if full else by_tag)
