"""The first sections of the report: summary, funnel, languages by sources."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from curate.engine.funnel import Funnel, render
from curate.records.markup import Html, joined, table, tag
from curate.steps.outputs import Version
from outputs.licensing.gate import Verdict
from outputs.report import charts
from outputs.report.messages import messages

MOST = 300
_SERIES = 7
_UNITS = 20


def section(name: str, title: str, *content: object) -> Html:
    """A section of the page with a heading, the target of the navigation."""
    return tag("section", tag("h2", title, id=f"{name}-title"), *content, id=name, aria_labelledby=f"{name}-title")


def figure(chart: Html, caption: object, tables: object, summary: str = "The same as a table") -> Html:
    """A chart with caption and the same data as a table."""
    return tag("figure", chart, tag("figcaption", caption), tag("details", tag("summary", summary), tables))


def to_rows(label: object, title: str, **filters: str) -> Html:
    """A link that sets the filters of the row browser at the end of the page."""
    return tag("a", label, href=rows_address(**filters), title=title)


def rows_address(**filters: str) -> str:
    """The address of the row browser with these filters."""
    return f"#rows?{urlencode(filters)}"


def count(number: int | float | None) -> str:
    return "" if number is None else f"{number:,.0f}"


def share(part: float, whole: float) -> str:
    """A percentage with enough digits that nonzero does not show as 0 and less than all not as 100."""
    if not whole:
        return "–"
    percent = 100 * part / whole
    for digits in (0, 1, 2):
        text = f"{percent:.{digits}f}"
        if not (0 < percent < 100 and float(text) in (0, 100)):
            return f"{text} %"
    return "< 0.01 %" if percent < 50 else "> 99.99 %"


def cut(rows: Sequence[Any], most: int = MOST, where: str = "in the manifest") -> tuple[Sequence[Any], Html | None]:
    """The first rows, and a note on the others.

    Args:
        where: the others are.
    """
    more = len(rows) - most
    return rows[:most], tag("p", f"… and {more:,} more, {where}.", class_="note") if more > 0 else None


# -------------------------------------------------------------------------------------------------------------- summary
def summary(
    version: Version, verdict: Verdict, unassessed: Mapping[str, Mapping[str, int]], names: Mapping[str, str]
) -> Html:
    manifest = version.manifest
    read = sum(manifest["funnel"]["read"].values())
    facts: list[tuple[str, object]] = [
        ("Rows", f"{manifest['rows']:,}"),
        ("Read from sources", f"{read:,}"),
        ("Dropped by steps", to_rows(f"{manifest['rejected']:,}", "show examples", state="dropped")),
        ("Quarantined (unreadable or failed)", f"{manifest['quarantined']:,}"),
        ("Languages", f"{len(manifest['languages']):,}"),
        ("Kind", manifest["kind"]),
        ("Splits", ", ".join(f"{split} {about['rows']:,}" for split, about in manifest["splits"].items())),
        ("Combined licence", verdict.joined.expression or "none"),
        ("Version", tag("code", version.version)),
        ("Built", f"{manifest['created_at'].replace('T', ' ')} with curate {manifest['software']['curate']}"),
    ]
    return section(
        "summary",
        "Summary",
        tag("p", manifest["description"], class_="about") if manifest.get("description") else None,
        tag("dl", [tag("div", tag("dt", name), tag("dd", value)) for name, value in facts], class_="facts"),
        messages(manifest, unassessed, names),
    )


# --------------------------------------------------------------------------------------------------------------- funnel
def funnel(version: Version, names: Mapping[str, str]) -> Html:
    """What each step did to each language: one table over all steps, and one for each step by reason."""
    stages = Funnel.from_json(version.manifest["funnel"])
    languages = stages.languages()
    alive = {language: stages.read.get(language, 0) for language in languages}
    levels = [("read", dict(alive))]
    cells: dict[str, list[object]] = {language: [count(alive[language])] for language in languages}
    details = []
    for label, counts in stages.steps:
        if label in stages.made:
            for language in languages:
                cells[language].append(f"= {stages.made[label].get(language, 0):,}")
            alive = {language: stages.made[label].get(language, 0) for language in languages}
            details.append(
                tag(
                    "details",
                    tag("summary", f"{label}: made {sum(alive.values()):,} rows from {sum(levels[-1][1].values()):,}"),
                    table(
                        f"Input and output rows of {label}",
                        ["language", "input", "output"],
                        [
                            [names[language], count(levels[-1][1][language]), count(alive[language])]
                            for language in languages[:MOST]
                        ],
                        numbers=(1, 2),
                    ),
                )
            )
        else:
            reasons = sorted({reason for by in counts.values() for reason in by} - {"kept"})
            for language in languages:
                by = counts.get(language, {})
                seen, gone = sum(by.values()), sum(by.values()) - by.get("kept", 0)
                cells[language].append(_dropped(label, language, names[language], seen, gone))
                alive[language] = by.get("kept", 0) if by else alive[language]
            details.append(_reasons(label, counts, reasons, names))
        levels.append((label, dict(alive)))
    rows = [
        [
            language_cell(language, names),
            *cells[language],
            count(stages.kept.get(language, 0)),
            share(stages.kept.get(language, 0), stages.read.get(language, 0)) if not stages.made else "–",
        ]
        for language in languages
    ]
    shown, more = cut(rows)
    head = ["language", "read", *(label for label, _ in stages.steps), "kept", "% of rows read"]
    lead = (
        "Rows dropped (−) or made (=) by each step in each language; a stronger colour is a larger share. Numbers "
        "link to dropped rows."
    )
    return section(
        "funnel",
        "Funnel",
        figure(
            _levels(levels, names), "Rows left after each step, by language.", _levels_table(levels, names, languages)
        ),
        table(lead, head, shown, numbers=range(1, len(head)), class_="funnel"),
        more,
        _prompts(stages),
        tag("h3", "By step and reason"),
        details or tag("p", "There are no steps."),
    )


def _prompts(stages: Funnel) -> Html | None:
    """The rows whose prompt is in another language than the answer, which the funnel counts among all others."""
    if stages.prompts is None:
        return None
    head, rows = render(stages.prompts)
    return joined(
        tag("h3", "Rows whose prompt is in another language"),
        table("Counted above by the language of the answer.", head, rows, numbers=range(1, len(head))),
    )


def language_cell(tag_: str, names: Mapping[str, str]) -> Html:
    return joined(names.get(tag_, tag_), " ", tag("code", tag_))


def _dropped(label: str, language: str, name: str, seen: int, gone: int) -> Html:
    if not gone:
        return tag("td", "·" if seen else "", class_="number")
    link = to_rows(
        f"−{gone:,}",
        f"{gone:,} of {seen:,} {name} rows dropped by {label}",
        state="dropped",
        language=language,
        step=label,
    )
    return tag(
        "td",
        link,
        tag("small", f" {share(gone, seen)}"),
        class_="number shaded",
        style=f"--share:{min(1.0, gone / seen):.3f}",
    )


def _reasons(
    label: str, counts: Mapping[str, Mapping[str, int]], reasons: Sequence[str], names: Mapping[str, str]
) -> Html:
    seen = sum(sum(by.values()) for by in counts.values())
    kept = sum(by.get("kept", 0) for by in counts.values())
    title = f"{label}: dropped {seen - kept:,} of {seen:,} rows ({share(seen - kept, seen)})"
    body: list[list[object]] = []
    for language, by in sorted(counts.items(), key=lambda pair: -sum(pair[1].values())):
        cells: list[object] = []
        for reason in reasons:
            gone = by.get(reason, 0)
            cells.append(
                to_rows(
                    f"{gone:,}",
                    f"show {names.get(language, language)} rows dropped by {label} for {reason}",
                    state="dropped",
                    language=language,
                    step=label,
                    reason=reason,
                )
                if gone
                else "·"
            )
        body.append([language_cell(language, names), count(sum(by.values())), *cells, count(by.get("kept", 0))])
    shown, more = cut(body)
    return tag(
        "details",
        tag("summary", title),
        table(
            f"Input rows of {label}, dropped by reason, and kept",
            ["language", "input", *reasons, "kept"],
            shown,
            numbers=range(1, len(reasons) + 3),
        ),
        more,
    )


def _levels(levels: Sequence[tuple[str, Mapping[str, int]]], names: Mapping[str, str]) -> Html:
    largest = sorted(levels[-1][1], key=lambda language: -max(by.get(language, 0) for _, by in levels))
    some, others = largest[:_SERIES], largest[_SERIES:]
    parts = [(names[language], [by.get(language, 0) for _, by in levels]) for language in some]
    if others:
        parts.append((f"{len(others)} more", [sum(by.get(language, 0) for language in others) for _, by in levels]))
    steps = [{"state": "dropped", "step": label} if at else {} for at, (label, _) in enumerate(levels)]
    links = [[rows_address(**step, language=language) for step in steps] for language in some]
    links += [[rows_address(**step) for step in steps]] if others else []
    about = "Rows left after each step: " + ", ".join(f"{label} {sum(by.values()):,}" for label, by in levels)
    return charts.bars([label for label, _ in levels], parts, links, about)


def _levels_table(
    levels: Sequence[tuple[str, Mapping[str, int]]], names: Mapping[str, str], languages: Sequence[str]
) -> Html:
    rows = [[language_cell(one, names), *(count(by.get(one, 0)) for _, by in levels)] for one in languages[:MOST]]
    sums = ["all", *(count(sum(by.values())) for _, by in levels)]
    return table(
        "Rows left after each step",
        ["language", *(label for label, _ in levels)],
        rows,
        numbers=range(1, len(levels) + 1),
        foot=sums,
    )


# ----------------------------------------------------------------------------------------------------- sources
def sources(counts: Mapping[tuple[str, str], Sequence[int]], names: Mapping[str, str]) -> Html:
    """Languages by sources.

    Args:
        counts: (source, language) → rows kept, rows dropped.
    """
    known = sorted(
        {source for source, _ in counts},
        key=lambda one: (-sum(c[0] for (s, _), c in counts.items() if s == one), one),
    )
    languages = sorted(
        {language for _, language in counts},
        key=lambda one: (-sum(c[0] for (_, lang), c in counts.items() if lang == one), one),
    )
    most = max((kept for kept, _ in counts.values()), default=0) or 1
    rows = []
    for language in languages:
        cells: list[object] = []
        for source in known[:_UNITS]:
            kept, gone = counts.get((source, language), (0, 0))
            if not kept and not gone:
                cells.append(tag("td", "·", class_="number"))
                continue
            link = to_rows(
                f"{kept:,}",
                f"{kept:,} {names.get(language, language)} rows of {source} kept, {gone:,} dropped",
                language=language,
                source=source,
            )
            cells.append(
                tag(
                    "td",
                    link,
                    tag("small", f" −{gone:,}") if gone else None,
                    class_="number shaded kept",
                    style=f"--share:{kept / most:.3f}",
                )
            )
        rows.append(
            [
                language_cell(language, names),
                *cells,
                count(sum(c[0] for (_, lang), c in counts.items() if lang == language)),
            ]
        )
    shown, more = cut(rows)
    total = [
        "all",
        *(count(sum(c[0] for (s, _), c in counts.items() if s == one)) for one in known[:_UNITS]),
        count(sum(c[0] for c in counts.values())),
    ]
    note = (
        tag("p", f"{len(known) - _UNITS:,} more sources are included in the sum only.", class_="note")
        if len(known) > _UNITS
        else None
    )
    return section(
        "sources",
        "Languages and sources",
        table(
            "Rows of each source in each language; − marks dropped rows",
            ["language", *known[:_UNITS], "rows"],
            shown,
            numbers=range(1, len(known[:_UNITS]) + 2),
            foot=total,
        ),
        more,
        note,
    )


def listed(parts: Iterable[tuple[str, str]]) -> Html:
    """Links to the sections of the page."""
    return tag("ul", [tag("li", tag("a", title, href=f"#{name}")) for name, title in parts])
