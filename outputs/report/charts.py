"""Charts of the report and of `curate view`: columns of a score, bars of the funnel, as HTML and SVG in the page's own
letters and colours, so that they are legible on a phone and in the dark. The page has the same data as tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from curate.records.markup import Html, joined, tag

_SORTS = ("kept", "dropped", "other")
_WIDE, _HIGH, _WIDEST = 600, 100, 60
_SEEN = 1.5
"""The height of a column of few rows beside many."""


def columns(
    edges: np.ndarray[Any, Any],
    counts: np.ndarray[Any, Any],
    lines: Sequence[tuple[float, str]],
    about: str,
    links: Sequence[str] = (),
) -> Html:
    """How a score is spread, with thresholds.

    Args:
        edges: of the bins.
        counts: rows in each bin: kept, dropped by this step (or threshold), dropped otherwise.
        lines: value and class of each threshold: ``present``, or ``moved`` for one that is tried.
        about: what it shows, for those who do not see it.
        links: for each bin where it leads, if anywhere. The keyboard has the same links in the table.
    """
    low, high = float(edges[0]), float(edges[-1])
    tallest = int(counts.sum(axis=1).max()) or 1
    wide = _WIDE / len(counts)
    bars = []
    for place, line in enumerate(counts.tolist()):
        top = float(_HIGH)
        # Few dropped rows above many kept ones would be a line nobody sees.
        for rows, sort in zip(line, _SORTS, strict=True):
            if rows:
                height = max(_HIGH * rows / tallest, _SEEN)
                top = max(0.0, top - height)
                shown = min(wide * 0.92, _WIDEST)
                x = place * wide + (wide - shown) / 2
                bars.append(
                    tag(
                        "rect",
                        class_=sort,
                        x=f"{x:.2f}",
                        y=f"{top:.2f}",
                        width=f"{shown:.2f}",
                        height=f"{height:.2f}",
                    )
                )
    areas = [
        tag(
            "a",
            tag(
                "rect",
                tag("title", f"{number(float(edges[at]))} – {number(float(edges[at + 1]))}: {sum(line):,} rows"),
                class_="area",
                x=f"{at * wide:.2f}",
                y="0",
                width=f"{wide:.2f}",
                height=str(_HIGH),
            ),
            href=link,
            tabindex="-1",
        )
        for at, (link, line) in enumerate(zip(links, counts.tolist(), strict=False))
        if any(line)
    ]
    marks, drawn = [], []
    for value, sort in lines:
        if low <= value <= high:
            share = (value - low) / (high - low)
            at = f"{_WIDE * share:.2f}"
            drawn.append(tag("line", class_=sort, x1=at, x2=at, y1="0", y2=str(_HIGH)))
            # The number is on that side of its line where there is room.
            side = "left" if share <= 0.5 else "right"
            place_ = share if share <= 0.5 else 1 - share
            marks.append(tag("span", number(value), class_=sort, style=f"{side}:{100 * place_:.2f}%"))
    # Whole numbers have a column each, from half below to half above.
    whole = float(edges[1]) - low == 1.0 and low % 1 == 0.5
    ends = (low + 0.5, high - 0.5) if whole else (low, (low + high) / 2, high)
    axis = [tag("span", number(one)) for one in ends]
    return joined(
        tag("div", tag("span", f"{tallest:,} rows", class_="tallest"), marks, class_="marks", aria_hidden="true"),
        tag(
            "svg",
            bars,
            drawn,
            areas,
            class_="columns",
            viewbox=f"0 0 {_WIDE} {_HIGH}",
            preserveaspectratio="none",
            role="group" if areas else "img",
            aria_label=about,
        ),
        tag("div", axis, class_="axis", aria_hidden="true"),
    )


def bars(
    names: Sequence[str], parts: Sequence[tuple[str, Sequence[int]]], links: Sequence[Sequence[str]], about: str
) -> Html:
    """Horizontal bars, a series behind the other: rows left after each step, by language.

    Args:
        names: of the bars.
        parts: of each series its name and its part of each bar.
        links: for each series, where each of its parts leads.
    """
    totals = [sum(values[at] for _, values in parts) for at in range(len(names))]
    longest = max(totals, default=0) or 1
    lines = []
    for at, name in enumerate(names):
        # The keyboard has the same links in the tables.
        pieces = [
            tag(
                "a",
                class_=f"series-{place}",
                style=f"width:{100 * values[at] / longest:.3f}%",
                href=links[place - 1][at],
                title=f"{name}: {label} {values[at]:,}",
                tabindex="-1",
            )
            for place, (label, values) in enumerate(parts, 1)
            if values[at]
        ]
        lines.append(
            tag(
                "div",
                tag("span", name, class_="name"),
                tag("span", pieces, class_="bar"),
                tag("span", f"{totals[at]:,}", class_="number"),
                class_="level",
            )
        )
    keys = [tag("span", label, class_=f"key series-{place}") for place, (label, _) in enumerate(parts, 1)]
    return joined(
        tag("p", keys) if len(parts) > 1 else None,
        tag("div", lines, class_="levels", role="group", aria_label=about),
    )


def number(value: float) -> str:
    """A number as a person writes it."""
    return f"{value:,.0f}" if abs(value) >= 1000 and value == round(value) else f"{value:.4g}"
