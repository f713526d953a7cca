"""The page of scores: how one is spread over kept and dropped rows, and over languages and sources."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

import numpy as np

from curate.errors import StoreError
from curate.records.markup import Html, joined, language_name, table, tag
from outputs.report.charts import columns, number
from outputs.report.sections import cut
from outputs.report.thresholds import owner
from outputs.view.filters import chooser, counted
from outputs.view.pages import page
from outputs.view.reading import ReadVersion, literal
from outputs.view.server import Request

_BINS = 40
_SOURCES = 12
"""Sources with a column of their own; a choice shows any other."""
_LANGUAGES = 100


def scores_page(read: ReadVersion, request: Request) -> str:
    """A score over all rows that have it, by language and source.

    Raises:
        StoreError: rows have no such score.
    """
    title = f"{read.version.name}: scores"
    known = list(dict.fromkeys([*read.scores("kept"), *read.scores("dropped")]))
    if not known:
        return page(title, tag("p", "The rows of this version have no scores."), read=read, here="/scores")
    score = request.query.get("score") or known[0]
    language, source = request.query.get("language", ""), request.query.get("source", "")
    options = [
        chooser("Score", "score", [(one, one) for one in known], score, every=False),
        chooser(
            "Language", "language", counted(_sums((one[0], one[4]) for one in read.counts), language_name), language
        ),
        chooser("Source", "source", counted(_sums((one[1], one[4]) for one in read.counts)), source),
    ]
    form = tag(
        "form",
        options,
        tag("button", "Show", type="submit"),
        class_="filters auto",
        action=f"{read.base}/scores",
        aria_label="Score",
    )
    return page(
        title,
        form,
        _spread(read, score, language, source),
        _by_language(read, score, source),
        read=read,
        here="/scores",
    )


def _sums(pairs: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Names with their rows, the most first."""
    sums: dict[str, int] = {}
    for name, rows in pairs:
        sums[name] = sums.get(name, 0) + rows
    return dict(sorted(sums.items(), key=lambda one: (-one[1], one[0])))


# ------------------------------------------------------------------------------------------------------ distribution
def _spread(read: ReadVersion, score: str, language: str, source: str) -> Html:
    found = distribution(read, score, language, source)
    whom = (f"rows of {source}" if source else "rows") + (f" in {language_name(language)}" if language else "")
    if found is None:
        return tag("p", f"No {whom} have the score {score}.", class_="note")
    edges, counts = found
    kept, dropped, other = (int(one) for one in counts.sum(axis=0))
    step = owner(score, read.labels)
    by = f"{dropped:,} dropped by {step}, {other:,} by another step" if step else f"{other:,} dropped"
    about = f"{score}, {whom}: {kept:,} kept, {by}"
    links = bin_links(read, score, edges, counts, {"language": language, "source": source})
    lined = [
        [
            tag("a", f"{number(float(edges[at]))} – {number(float(edges[at + 1]))}", href=links[at]),
            *(f"{one:,}" for one in line),
        ]
        for at, line in enumerate(counts.tolist())
        if any(line)
    ]
    keys = [("kept", "kept"), ("dropped", "dropped by this step"), ("other", "dropped by another step")]
    return tag(
        "figure",
        tag("p", [tag("span", said, class_=f"key {name}") for name, said in keys]),
        columns(edges, counts, [], about, links),
        tag("figcaption", f"{about}. The outermost columns hold all beyond them. A column leads to its rows."),
        tag(
            "details",
            tag("summary", "The same as a table"),
            table(about, ["from – to", *(said for _, said in keys)], lined, numbers=(1, 2, 3)),
        ),
    )


def distribution(
    read: ReadVersion, score: str, language: str = "", source: str = ""
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]] | None:
    """Edges of the bins, and in each rows kept, dropped by the step of the score, dropped otherwise; the outermost bins
    include all beyond. None if no row has the score."""
    where = "".join(
        f" AND {column} = {literal(value)}"
        for column, value in (("language", language), ("lineage.source", source))
        if value
    )
    value = f"score(scores, {literal(score)})"
    mine = literal(owner(score, read.labels) or "")
    parts = [
        f"SELECT {value} AS v, 0 AS sort FROM {read.table('kept')} WHERE isfinite({value}){where}",
        f"SELECT {value} AS v, CASE WHEN step = {mine} THEN 1 ELSE 2 END AS sort FROM {read.table('dropped')} "
        f"WHERE isfinite({value}){where}",
    ]
    rows = " UNION ALL ".join(parts)
    sql = f"SELECT quantile_cont(v, [0.005, 0.995]) AS ends, bool_and(v = floor(v)) AS whole FROM ({rows})"
    [(ends, whole)] = read.reader.remembered((sql,), lambda: read.ask(sql)).rows()
    if ends is None:
        return None
    low, high = (float(one) for one in ends)
    if whole and math.ceil(high) - math.floor(low) < _BINS:
        edges = np.arange(math.floor(low) - 0.5, math.ceil(high) + 1)
    else:
        edges = np.linspace(low, high if high > low else low + 1, _BINS + 1)
    start, wide, last = float(edges[0]), float(edges[1] - edges[0]), len(edges) - 2
    place = f"CAST(least(greatest(floor((v - ({start!r})) / {wide!r}), 0), {last}) AS INTEGER)"
    sql = f"SELECT {place} AS bin, sort, count(*) AS n FROM ({rows}) GROUP BY ALL"
    counts = np.zeros((len(edges) - 1, 3), np.int64)
    for at, sort, n in read.reader.remembered((sql,), lambda: read.ask(sql)).rows():
        counts[at, sort] = n
    return edges, counts


def bin_links(
    read: ReadVersion, score: str, edges: np.ndarray[Any, Any], counts: np.ndarray[Any, Any], filters: Mapping[str, str]
) -> list[str]:
    """For each column of a chart the address of its rows: the kept ones, or the dropped ones if none was kept."""
    links = []
    for at, line in enumerate(counts.tolist()):
        asked = {name: value for name, value in filters.items() if value} | {"score": score}
        asked |= {} if line[0] else {"state": "dropped"}
        asked |= {"min": f"{float(edges[at])!r}"} if at else {}
        asked |= {"max": f"{float(edges[at + 1])!r}"} if at < len(counts) - 1 else {}
        links.append(f"{read.base}/rows?{urlencode(asked)}")
    return links


# ------------------------------------------------------------------------------------------------ language × source
def _by_language(read: ReadVersion, score: str, source: str) -> Html | None:
    """Median, tenths and number of rows of the kept rows of each language and source."""
    sql = (
        "SELECT language, source, count(v) AS n, count(*) - count(v) AS without, "
        "quantile_cont(v, [0.1, 0.5, 0.9]) AS q "
        f"FROM (SELECT language, lineage.source AS source, score(scores, {literal(score)}) AS v "
        f"FROM {read.table('kept')}) GROUP BY ALL"
    )
    every = read.reader.remembered((sql,), lambda: read.ask(sql)).rows(named=True)
    found = [one for one in every if one["n"]]
    if not found:
        if score not in read.scores("dropped"):
            raise StoreError(f"no row of '{read.version.name}' has the score '{score}'")
        return None
    low, high = min(one["q"][0] for one in found), max(one["q"][2] for one in found)
    languages = _sums((one["language"], one["n"]) for one in found)
    sources = list(_sums((one["source"], one["n"]) for one in found))
    shown = [source] if source in sources else sources[:_SOURCES]
    by = {(one["language"], one["source"]): one for one in found}
    rows = [
        [language_name(one), *(_cell(read, score, by.get((one, name)), low, high) for name in shown)]
        for one in languages
        if any((one, name) in by for name in shown)
    ]
    lines, more = cut(rows, _LANGUAGES, "with fewer rows; choose one above")
    lead = (
        f"Median of {score} in kept rows, and their number; bars from the 10th to the 90th percentile, on a scale from "
        f"{number(low)} to {number(high)}. The median leads to the rows, the mark ≤ to the lowest tenth"
    )
    without: dict[str, int] = {}
    for one in every:
        without[one["language"]] = without.get(one["language"], 0) + one["without"]
    listed = [f"{language_name(one)} {count:,}" for one, count in sorted(without.items()) if count]
    told = ", ".join(listed[:_LANGUAGES])
    told += f" and {len(listed) - _LANGUAGES:,} more" if len(listed) > _LANGUAGES else ""
    left = len(sources) - len(shown)
    return joined(
        table(lead, ["language", *shown], lines),
        more,
        tag("p", f"{left:,} more sources: choose one above.", class_="note") if left else None,
        tag("p", f"Kept rows without this score: {told}.", class_="note") if told else None,
    )


def _cell(read: ReadVersion, score: str, one: Mapping[str, Any] | None, low: float, high: float) -> Html:
    if one is None:
        return tag("td", "·", class_="number")
    ends = dict(zip(("low", "value", "high"), one["q"], strict=True))
    wide = (high - low) or 1.0
    style = ";".join(f"--{name}:{(value - low) / wide:.3f}" for name, value in ends.items())
    here = {"language": one["language"], "source": one["source"]}
    about = (
        f"{one['n']:,} {language_name(one['language'])} rows of {one['source']}: a tenth below {number(ends['low'])}, "
        f"half below {number(ends['value'])}, a tenth above {number(ends['high'])}"
    )
    bar = tag("span", class_="interval", style=style, aria_hidden="true")
    link = tag("a", number(ends["value"]), href=f"{read.base}/rows?{urlencode(here)}", title=about)
    lowest = urlencode({**here, "score": score, "max": repr(float(ends["low"]))})
    tenth = tag("a", "≤", href=f"{read.base}/rows?{lowest}", title=f"the lowest tenth, up to {number(ends['low'])}")
    return tag("td", tag("span", bar, link, class_="range"), tag("small", f" {one['n']:,} "), tenth)
