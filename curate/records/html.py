"""Records as HTML that needs nothing else: every text escaped, with its language, in its own
direction; what would turn lines round is written out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape

from curate.records.marks import Mark
from curate.records.record import Entry, Record
from curate.terminal import visible

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
.curate-records small{opacity:.75}
@media(max-width:40em){.curate-records dl{grid-template-columns:1fr}}
"""
_TAGS = {Mark.REMOVED: "del", Mark.ADDED: "ins", Mark.NOTE: "small"}


def html(records: Iterable[Record], title: str | None = None) -> str:
    """Records as HTML.

    Args:
        title: of a whole page; without one, a fragment for a notebook.
    """
    body = f'<div class="curate-records"><style>{_STYLE}</style>{"".join(map(_section, records))}</div>'
    if title is None:
        return body
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{_safe(title)}</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        "<style>:root{color-scheme:light dark}</style>"
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"</head><body><h1>{_safe(title)}</h1>{body}</body></html>\n"
    )


def _section(record: Record) -> str:
    return f"<section><h3>{_safe(record.title)}</h3>{''.join(_parts(record))}</section>"


def _parts(record: Record) -> Iterator[str]:
    open_ = False
    for one in record.entries:
        if isinstance(one, Record):
            yield "</dl>" if open_ else ""
            open_ = False
            yield _section(one)
            continue
        yield "" if open_ else "<dl>"
        open_ = True
        yield f"<dt>{_safe(one.label)}</dt>{_text(one)}"
    yield "</dl>" if open_ else ""


def _text(entry: Entry) -> str:
    parts = []
    for mark, text in entry.text:
        tag = _TAGS.get(mark)
        parts.append(f"<{tag}>{_safe(text)}</{tag}>" if tag else _safe(text))
    language = f' lang="{_safe(entry.language)}" dir="auto"' if entry.language else ""
    return f"<dd{language}>{''.join(parts)}</dd>"


def _safe(text: str) -> str:
    return escape(visible(text))
