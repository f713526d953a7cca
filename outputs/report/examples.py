"""Some rows of the sample near the top of the report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from curate.records.markup import Html, tag
from outputs.report.findings import link
from outputs.report.sections import section

_EXAMPLES = 8


def examples(rows: Iterable[Mapping[str, Any]], names: Mapping[str, str]) -> Html | None:
    """Kept and dropped rows, each in another language as far as that goes."""
    lists = []
    for title, dropped in (("Kept", False), ("Dropped", True)):
        some = _spread_out([row for row in rows if bool(row.get("step")) == dropped])
        items = [
            tag(
                "li",
                tag("span", names.get(row["language"], row["language"]), class_="language"),
                " ",
                tag("span", f"{row['step']}: {row['reason']}", class_="state dropped") if dropped else None,
                " ",
                link(row),
            )
            for row in some
        ]
        if items:
            lists.append(tag("div", tag("h3", title), tag("ul", items, class_="examples-of")))
    if not lists:
        return None
    return section(
        "examples",
        "Examples",
        tag("div", lists, class_="beside"),
        tag("p", tag("a", "All rows of the sample, with filters", href="#rows"), class_="note"),
    )


def _spread_out(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The first row of each language and reason, then the second …"""
    seen: Counter[tuple[str, str, str]] = Counter()
    ranked = []
    for place, row in enumerate(rows):
        key = (row["language"], row.get("step") or "", row.get("reason") or "")
        ranked.append((seen[key], place, row))
        seen[key] += 1
    return [row for *_, row in sorted(ranked, key=lambda one: one[:2])[:_EXAMPLES]]
