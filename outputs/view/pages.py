"""The pages: the list of datasets, a version's overview, its rows, one row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from curate.engine.store.store import Store
from curate.errors import StoreError
from curate.records.conversation import shortened
from curate.records.markup import Html, joined, language_name, table, tag
from outputs.card.sections import unassessed
from outputs.licensing.gate import judge
from outputs.licensing.licenses import load_licenses
from outputs.report import accounts, sections
from outputs.report.records import summary
from outputs.report.representation import representation
from outputs.view.filters import filter_of, filters
from outputs.view.labelling import Labels, form
from outputs.view.reading import PAGE, Filter, ReadVersion
from outputs.view.server import Request

TABS = (
    ("", "Overview"),
    ("/rows", "Rows"),
    ("/scores", "Scores"),
    ("/thresholds", "Thresholds"),
    ("/map", "Map"),
    ("/compare", "Compare"),
)


def page(title: str, *content: object, read: ReadVersion | None = None, here: str = "") -> str:
    """A complete page.

    Args:
        read: the version that it is about, for the navigation.
        here: the tab, as in :data:`TABS`.
    """
    tabs: list[Html] = [tag("li", tag("a", "Datasets", href="/"))]
    if read is not None:
        tabs += [
            tag("li", tag("a", name, href=read.base + tab, aria_current="page" if tab == here else None))
            for tab, name in TABS
        ]
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"{title} · curate view"),
        tag("link", rel="icon", href="data:,"),
        tag("link", rel="stylesheet", href="/assets/view.css"),
        Html('<script src="/assets/view.js" defer></script>'),
    )
    version = tag("code", read.version.version, title="version") if read is not None else None
    body = tag(
        "body",
        tag("a", "To the content", href="#main", class_="skip"),
        tag("header", tag("h1", read.version.name if read is not None else title, " ", version)),
        tag(
            "nav",
            tag(
                "div",
                tag("ul", tabs),
                tag("button", "Colours: auto", id="theme", type="button", class_="scripted-only"),
            ),
            aria_label="Pages",
        ),
        tag("main", content, id="main", tabindex="-1"),
    )
    return f"<!doctype html>\n{tag('html', head, body, lang='en', dir='ltr')}\n"


def problem(status: HTTPStatus, message: str) -> str:
    """The page of an error."""
    return page(
        f"{status.value} {status.phrase}", tag("p", message, class_="why"), tag("p", tag("a", "Datasets", href="/"))
    )


# ---------------------------------------------------------------------------------------------------------- datasets
def datasets(store: Store) -> str:
    """All datasets with a version."""
    lines: list[list[object]] = []
    for name in store.datasets():
        try:
            manifest = store.manifest(name, store.resolve(name))
        except StoreError as error:
            lines.append([name, tag("td", str(error), colspan="5", class_="bad")])
            continue
        counts = [f"{manifest[key]:,}" for key in ("rows", "rejected", "quarantined")]
        link = tag("a", name, href=f"/{quote(name)}")
        lines.append([link, manifest["kind"], *counts, ", ".join(list(manifest["languages"])[:12])])
    shown: object = table(
        "Latest versions", ["dataset", "kind", "kept", "dropped", "quarantined", "languages"], lines, numbers=(2, 3, 4)
    )
    return page(
        "Datasets",
        shown if lines else tag("p", "Nothing has been built in this store yet: ", tag("code", "curate build"), "."),
    )


def overview(read: ReadVersion) -> str:
    """Summary, funnel, representation, languages by sources and judge audits as in the report; numbers lead to their
    rows."""
    version, base = read.version, read.base
    names = _names(read)
    parts = [
        sections.summary(version, judge(version, load_licenses()), unassessed(version), names),
        sections.funnel(version, names),
        representation(version, names),
        sections.sources(_sources(read), names),
        accounts.audits(version),
    ]
    refs = [ref for ref, entry in read.reader.store.refs(version.name).items() if entry["version"] == version.version]
    versions = tag(
        "p",
        "Also called ",
        ", ".join(refs) or "by no other name",
        ". Versions: ",
        [
            joined(tag("a", one[:12], href=f"/{quote(f'{version.name}@{one}', safe='')}"), " ")
            for one in read.reader.store.versions(version.name)
        ],
        class_="note",
    )
    return page(version.name, versions, linked(joined(parts), base), read=read)


def linked(made: Html, base: str) -> Html:
    """A section of the report, with its links to the report's own rows leading to the pages of rows.

    Texts cannot hold such a link: their quotation marks are escaped.
    """
    return Html(made.replace('href="#rows?', f'href="{base}/rows?').replace('href="#row=', f'href="{base}/row/'))


def _names(read: ReadVersion) -> dict[str, str]:
    funnel = read.version.manifest["funnel"]
    tags = {language for language, *_ in read.counts} | set(funnel["read"])
    tags |= {one for step in funnel["steps"] for one in step["languages"]}
    tags |= {one for made in funnel["made"].values() for one in made}
    return {one: language_name(one) for one in sorted(tags)}


def _sources(read: ReadVersion) -> dict[tuple[str, str], list[int]]:
    found: dict[tuple[str, str], list[int]] = {}
    for language, source, step, _, number in read.counts:
        found.setdefault((source, language), [0, 0])[bool(step)] += number
    return found


# -------------------------------------------------------------------------------------------------------------- rows
def rows(read: ReadVersion, request: Request, labels: Labels) -> str:
    """A page of rows, with the filters."""
    given, base = filter_of(read, request, labels), read.base
    number = max(1, whole_number(request.query.get("page"), 1))
    found = read.page(given, number)
    start = (number - 1) * PAGE
    last = number
    if (given.counted and given.state != "quarantined") or len(found) < PAGE:
        whole = read.count(given) if given.counted or not found else start + len(found)
        said: object = f"{start + 1:,}–{start + len(found):,} of {whole:,}" if found else f"none of {whole:,}"
        if not found and whole:
            last = (whole - 1) // PAGE + 1
            said = f"There is no page {number:,}: the {whole:,} rows end with page {last:,}."
    else:
        said = joined(
            f"{start + 1:,}–{start + len(found):,} of ",
            tag("span", "more", data_src=f"{base}/rows/count?{given.address()}", class_="later"),
        )
    show = _quarantined if given.state == "quarantined" else _listed
    return page(
        f"{read.version.name}: rows",
        filters(read, given),
        tag("p", said, class_="note", role="status", id="said"),
        show(found, base, labels),
        _pager(base, given, number if found else last + 1, len(found) == PAGE),
        _keys(labels),
        read=read,
        here="/rows",
    )


def whole_number(text: str | None, otherwise: int) -> int:
    """A whole number in an address; another text counts as not given."""
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 16 else otherwise


def _listed(found: Sequence[Mapping[str, Any]], base: str, labels: Labels) -> Html:
    return tag(
        "div",
        [
            tag(
                "details",
                tag("summary", summary(row, f"{base}/row/{row['id']}", labels.of(row["id"]))),
                class_="row",
                data_src=f"{base}/row/{row['id']}?part=1",
                data_id=row["id"],
            )
            for row in found
        ],
        id="rows",
    )


def _quarantined(found: Sequence[Mapping[str, Any]], base: str, labels: Labels) -> Html:
    return tag(
        "div",
        [
            tag(
                "details",
                tag(
                    "summary",
                    tag("span", row["reason"], class_="state dropped"),
                    f" {row['source']} {row['unit']} {row['place']}",
                ),
                tag("pre", shortened(row["raw"]), dir="auto", tabindex="0"),
                class_="row",
            )
            for row in found
        ],
        id="rows",
    )


def _pager(base: str, given: Filter, number: int, more: bool) -> Html:
    def link(to: int, label: str, rel: str) -> Html:
        query = "&".join(part for part in (given.address(), f"page={to}" if to > 1 else "") if part)
        return tag("a", label, href=f"{base}/rows?{query}", rel=rel)

    return tag(
        "p",
        link(number - 1, "← Previous", "prev") if number > 1 else None,
        " ",
        tag("span", f"Page {number:,}", class_="note") if number > 1 or more else None,
        " ",
        link(number + 1, "Next →", "next") if more else None,
        class_="pager",
    )


def _keys(labels: Labels) -> Html:
    keys = (
        ("j, k", "next, previous row"),
        ("Enter", "open or close the row"),
        ("1, 2, 3", "label: right, wrong, unsure; of a pair: chosen better, rejected better, tie"),
        ("e", "mark the selected characters as an error; write what is wrong, Enter"),
        ("n", "write a note"),
        ("z", "take the last label back"),
        ("/", "search"),
    )
    return tag(
        "details",
        tag("summary", f"Keys · {len(labels):,} labels by {labels.annotator} in {labels.path}"),
        tag("p", "They work while a row has the focus: j goes to the first."),
        tag("dl", [tag("div", tag("dt", tag("kbd", key)), tag("dd", does)) for key, does in keys], class_="facts"),
        tag(
            "form",
            tag("button", "Take the last label back", type="submit"),
            method="post",
            action="/undo",
            aria_label="Undo",
            class_="undo",
        ),
        id="keys",
    )


def row(read: ReadVersion, found: Mapping[str, Any], made: Html, labels: Labels) -> str:
    """The page of one row."""
    return page(
        f"{read.version.name}: {found['id'][:12]}",
        tag(
            "article",
            tag("h2", "Row ", tag("code", found["id"][:12])),
            tag("p", summary(found, read.row_address(found["id"]), labels.of(found["id"]))),
            row_part(read, found, made, labels),
            class_="row open",
            data_id=found["id"],
            tabindex="-1",
        ),
        _keys(labels),
        read=read,
        here="/rows",
    )


def row_part(read: ReadVersion, found: Mapping[str, Any], made: Html, labels: Labels) -> Html:
    """What unfolds below a row in the list."""
    return joined(form(found, labels.of(found["id"]), read.base), made)
