"""Records as HTML that needs nothing else, for notebooks and pages of their own (:mod:`curate.records.markup` escapes
every text)."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from curate.records.marks import Mark
from curate.records.markup import Html, direction, html_language, joined, tag
from curate.records.record import Entry, Record

_STYLE = """
.curate-records{font:15px/1.5 system-ui,sans-serif;max-width:60em}
.curate-records section{border-inline-start:3px solid #888;padding-inline-start:1em;margin-block:1.2em}
.curate-records section section{margin-block:.6em}
.curate-records h3{font-size:1em;margin:0 0 .4em;overflow-wrap:anywhere}
.curate-records dl{display:grid;grid-template-columns:minmax(6em,max-content) 1fr;gap:.2em 1em;margin:0}
.curate-records dt{opacity:.75}
.curate-records dd{margin:0;white-space:pre-wrap;overflow-wrap:anywhere}
.curate-records ins{background:#2a84;text-decoration:underline}
.curate-records del{background:#c334;text-decoration:line-through}
.curate-records small,.curate-records .sign{opacity:.75}
.curate-records .sign{font:.75em ui-monospace,monospace;border:1px solid;border-radius:.2em;padding:0 .2em}
.curate-records .sign{direction:ltr;unicode-bidi:isolate}
@media(max-width:40em){.curate-records dl{grid-template-columns:1fr}}
"""
_TAGS = {Mark.REMOVED: "del", Mark.ADDED: "ins", Mark.NOTE: "small"}


def html(records: Iterable[Record], title: str | None = None) -> str:
    """Records as HTML.

    Args:
        title: of a whole page; without one, a fragment for a notebook.
    """
    body = tag("div", Html(f"<style>{_STYLE}</style>"), map(_section, records), class_="curate-records")
    if title is None:
        return body
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("title", title),
        tag("meta", name="viewport", content="width=device-width,initial-scale=1"),
        Html("<style>:root{color-scheme:light dark}</style>"),
        tag("meta", http_equiv="Content-Security-Policy", content="default-src 'none'; style-src 'unsafe-inline'"),
    )
    return f"<!doctype html>{tag('html', head, tag('body', tag('h1', title), body), lang='en')}\n"


def _section(record: Record) -> Html:
    """A record; entries that follow each other are one list."""
    parts: list[Html] = []
    for nested, some in groupby(record.entries, lambda one: isinstance(one, Record)):
        shown = [_section(one) if isinstance(one, Record) else _entry(one) for one in some]
        parts += shown if nested else [tag("dl", shown)]
    return tag("section", tag("h3", record.title), parts)


def _entry(entry: Entry) -> Html:
    said = [tag(_TAGS[mark], part) if mark in _TAGS else part for mark, part in entry.text]
    if not entry.language:
        return joined(tag("dt", entry.label), tag("dd", said))
    way = direction(entry.plain, entry.language)
    return joined(tag("dt", entry.label), tag("dd", said, lang=html_language(entry.language), dir=way))
