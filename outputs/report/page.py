"""Assembles the page: one file with markup, style, script and data, and a policy that forbids everything else."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from typing import Any

import orjson

from curate.records.markup import UNSEEN, Html, joined, tag
from curate.steps.outputs import Version
from outputs.report.sections import listed, section

# Characters that could end the data's element or a line, or reorder the source text.
_CLOSED = re.compile(f"[<>&]|{UNSEEN}")


def page(
    version: Version, parts: Sequence[tuple[str, str, Html]], rows: Html, data: Mapping[str, Any], notes: Iterable[str]
) -> str:
    """The complete file.

    Args:
        parts: name, title and content of each section.
        rows: the row browser.
        data: for the script.
        notes: shown below the title.
    """
    script, style = asset("theme.js") + asset("report.js"), asset("report.css")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; base-uri 'none'; "
        "form-action 'none'"
    )
    title = f"{version.name} · curate report"
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("title", title),
        Html(f"<style>{style}</style>"),
    )
    links = [*((name, told) for name, told, _ in parts), ("rows", "Rows")]
    navigation = tag(
        "nav",
        tag("div", listed(links), tag("button", "Colours: auto", id="theme", type="button", class_="scripted-only")),
        aria_label="Parts of the report",
    )
    top = tag("header", tag("h1", version.name), [tag("p", note, class_="note") for note in notes])
    main = tag("main", *(content for _, _, content in parts), rows, id="main")
    footer = tag(
        "footer",
        tag("p", "Made by curate from the version's files and manifest. This page makes no network requests."),
    )
    body = tag(
        "body",
        tag("a", "To the content", href="#main", class_="skip"),
        top,
        navigation,
        main,
        footer,
        Html(f'<script type="application/json" id="data">{embedded(data)}</script>'),
        Html(f"<script>{script}</script>"),
    )
    return f"<!doctype html>\n{tag('html', head, body, lang='en', dir='ltr')}\n"


def embedded(data: Any) -> str:
    """JSON that cannot break out of the element around it."""
    return _CLOSED.sub(lambda match: f"\\u{ord(match[0]):04x}", orjson.dumps(data).decode())


def rows_section(
    strata: Mapping[tuple[str, str, str], int],
    names: Mapping[str, str],
    sources: Sequence[str],
    records: Mapping[str, Sequence[Html]],
    drawn: tuple[int, int],
    name: str,
    seed: int,
) -> Html:
    """The filters and the two lists of rows.

    Args:
        records: of kept and dropped rows.
    """
    languages: dict[str, int] = {}
    steps: dict[str, int] = {}
    reasons: dict[tuple[str, str], int] = {}
    for (language, step, reason), count in strata.items():
        languages[language] = languages.get(language, 0) + count
        if step:
            steps[step] = steps.get(step, 0) + count
            reasons[step, reason] = reasons.get((step, reason), 0) + count
    kept = sum(count for (_, step, _), count in strata.items() if not step)
    gone = sum(steps.values())

    def chooser(label: str, key: str, options: Iterable[Html]) -> Html:
        return tag("label", label, tag("select", tag("option", "all", value=""), options, id=f"filter-{key}"))

    form = tag(
        "form",
        chooser("Rows", "state", [tag("option", "kept", value="kept"), tag("option", "dropped", value="dropped")]),
        chooser(
            "Language",
            "language",
            [tag("option", f"{names.get(one, one)} ({count:,})", value=one) for one, count in _most(languages)],
        ),
        chooser("Dropped by", "step", [tag("option", f"{one} ({count:,})", value=one) for one, count in steps.items()]),
        chooser(
            "Reason",
            "reason",
            [tag("option", f"{one[1]} ({count:,})", value=one[1], data_step=one[0]) for one, count in _most(reasons)],
        ),
        chooser("Source", "source", [tag("option", one, value=one) for one in sources]),
        tag(
            "label",
            "Text, row id or position in the source",
            tag("input", id="filter-text", type="search", autocomplete="off", spellcheck="false", dir="auto"),
            class_="wide",
        ),
        tag("button", "Clear", id="filter-clear", type="button"),
        id="filters",
        class_="filters scripted",
        role="search",
        aria_label="Filter rows",
    )

    def column(state: str, title: str) -> Html:
        return tag(
            "div",
            tag("h3", title, " ", tag("span", "", id=f"{state}-status", class_="note", role="status")),
            tag("div", records[state], id=f"{state}-rows"),
            tag("button", "Show more", id=f"{state}-more", type="button", hidden=True),
        )

    caption = (
        f"A sample of {drawn[0]:,} of {kept:,} kept and {drawn[1]:,} of {gone:,} dropped rows, drawn evenly over "
        f"languages, steps and reasons (seed {seed}), plus the rows that the sections above link to."
    )
    ask = tag(
        "p",
        "No row of this report matches. ",
        tag("code", "curate report ", name, " --rows ", tag("span", "ID", id="no-rows-id")),
        " makes a report with a specific row, ",
        tag("code", "--sample N"),
        " one with more rows.",
        id="no-rows",
        hidden=True,
        role="status",
    )
    chosen = tag(
        "div",
        tag("h3", "Selected row", id="chosen-title", tabindex="-1"),
        tag("button", "Close", id="chosen-close", type="button"),
        tag("div", id="chosen-row"),
        id="chosen",
        hidden=True,
    )
    made = section(
        "rows",
        "Rows, kept and dropped",
        tag("p", caption),
        tag("noscript", tag("p", "Filtering the rows needs JavaScript, which is disabled here.")),
        tag("div", chosen, form, ask, class_="scripted-only"),
        tag("div", column("kept", "Kept"), column("dropped", "Dropped"), class_="beside"),
    )
    return Html(made.replace('id="rows-title"', 'id="rows-title" tabindex="-1"', 1))


def _most(counts: Mapping[Any, int]) -> list[tuple[Any, int]]:
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))


def asset(name: str) -> str:
    """A script or style sheet of the report."""
    return resources.files("outputs.report").joinpath(name).read_text(encoding="utf-8")


__all__ = ["asset", "embedded", "joined", "page", "rows_section"]
