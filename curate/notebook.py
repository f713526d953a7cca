"""What notebooks show of an object: a table in HTML that needs no script and no colours of its own."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from html import escape

from curate.terminal import visible

_NUMBER = re.compile(r"[−=·–+\d.,%]+")
_STYLE = """
.curate-table{overflow-x:auto}
.curate-table table{border-collapse:collapse;font-variant-numeric:tabular-nums}
.curate-table caption{text-align:start;padding-block:.3em;font-weight:bold;white-space:nowrap}
.curate-table th,.curate-table td{text-align:start;vertical-align:top;padding:.2em .8em}
.curate-table tr{border-block-end:1px solid #8886}
.curate-table td{overflow-wrap:anywhere}
.curate-table td.number{text-align:end;white-space:nowrap}
"""


def safe(text: str) -> str:
    """A text for HTML: markup escaped, what cannot be seen written out."""
    return escape(visible(text))


def table(caption: str, header: Sequence[str], rows: Iterable[Sequence[str]], notes: Iterable[str] = ()) -> str:
    """A table with remarks below it; without rows only caption and remarks."""
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    head = "".join(f'<th scope="col">{safe(name)}</th>' for name in header)
    columns = f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody>" if body else ""
    said = "".join(f'<li dir="auto">{safe(note)}</li>' for note in notes)
    return (
        f'<div class="curate-table"><style>{_STYLE}</style><table><caption>{safe(caption)}</caption>{columns}</table>'
        f"{f'<ul>{said}</ul>' if said else ''}</div>"
    )


def _cell(text: str) -> str:
    return f'<td{" class=number" if _NUMBER.fullmatch(text) else ""} dir="auto">{safe(text)}</td>'


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook; imports nothing to find out."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return type(shell).__name__ == "ZMQInteractiveShell"
