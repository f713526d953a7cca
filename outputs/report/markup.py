"""HTML is built out of elements, and whatever is not an element is text: nothing from the rows can become markup.

Signs that nobody sees but that turn text around, hide it or break a line are written out by their code points, here and
in ``report.js`` by the same list, so that a page shows what a row holds.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from html import escape

from curate.rows.languages import InvalidLanguage, normalize, script

UNSEEN = (
    r"[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u2028\u2029\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\uffff]"
)
"""As a regular expression in the common part of Python's and JavaScript's syntax."""
_UNSEEN = re.compile(UNSEEN)
_VOID = frozenset({"br", "col", "hr", "img", "input", "link", "meta"})
_RIGHT_TO_LEFT = frozenset({"Adlm", "Arab", "Hebr", "Mand", "Mend", "Nkoo", "Rohg", "Samr", "Syrc", "Thaa"})
_LOOKED_AT = 2_000
# From so many columns on a table may have to be moved sideways, with the keyboard too.
_WIDE = 5
_ATTRIBUTE = re.compile(r"[a-z][a-z0-9-]*")


class Html(str):
    """Text that is HTML already; made by :func:`tag` and :func:`joined` only."""

    __slots__ = ()


Child = "Html | str | int | None | Iterable[Html | str]"


def text(given: object) -> Html:
    """A text as HTML that shows it, every sign of it."""
    parts, at, said = [], 0, str(given)
    for match in _UNSEEN.finditer(said):
        parts.append(escape(said[at : match.start()]))
        sign = match[0]
        name = unicodedata.name(sign, "")
        about = f"U+{ord(sign):04X}"
        parts.append(f'<span class="sign" title="{escape(f"{about} {name}".strip())}">{about}</span>')
        at = match.end()
    parts.append(escape(said[at:]))
    return Html("".join(parts).replace("\r", ""))


def attribute(given: object) -> str:
    """A text as the value of an attribute, between double quotes."""
    return escape(_UNSEEN.sub("\ufffd", str(given)))


def tag(name: str, /, *children: object, **attributes: object) -> Html:
    """An element.

    Args:
        children: elements, texts (which are escaped), iterables of both; None and ``""`` are left out.
        attributes: ``class_`` is ``class``, ``data_id`` is ``data-id``; None and False leave one out, True gives it no
            value.
    """
    given = []
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        written = key.rstrip("_").replace("_", "-")
        if not _ATTRIBUTE.fullmatch(written):
            raise ValueError(f"'{key}' is no attribute")
        given.append(f" {written}" if value is True else f' {written}="{attribute(value)}"')
    head = f"<{name}{''.join(given)}>"
    return Html(head if name in _VOID else f"{head}{joined(*children)}</{name}>")


def joined(*children: object) -> Html:
    """Elements and texts one after the other."""
    parts: list[str] = []
    for child in children:
        if isinstance(child, Html):
            parts.append(child)
        elif isinstance(child, str):
            parts.append(text(child))
        elif isinstance(child, Iterable):
            parts.append(joined(*child))
        elif child is not None:
            parts.append(text(child))
    return Html("".join(parts))


# ------------------------------------------------------------------------------------------------------------- language
@lru_cache(maxsize=4096)
def html_language(language: str) -> str | None:
    """What ``lang`` says for a row's language, which chooses glyphs and hyphenation; None if it is not known."""
    try:
        return None if normalize(language) == "und" else language
    except InvalidLanguage:
        return None


@lru_cache(maxsize=4096)
def _turned(language: str) -> bool:
    try:
        return script(language) in _RIGHT_TO_LEFT
    except InvalidLanguage:
        return False


def direction(said: str, language: str) -> str:
    """``rtl`` or ``ltr``: that of the language, unless the letters say otherwise.

    A text in a language written from the right is set so as soon as it has such letters, however much Latin or code it
    begins with; in another language only if most letters are.
    """
    kinds = [unicodedata.bidirectional(sign) for sign in said[:_LOOKED_AT]]
    right, left = sum(kind in ("R", "AL") for kind in kinds), kinds.count("L")
    if _turned(language):
        return "rtl" if right or not left else "ltr"
    return "rtl" if right > left else "ltr"


def words(said: str, language: str, most: int = 400, name: str = "div", *, tell: bool = True) -> Html:
    """A text of a row, cut, in its language and direction; unless told not to, it says how much is missing."""
    cut = said if len(said) <= most else said[:most]
    more: object = (
        tag("span", f" … {len(said) - most:,} more characters", class_="more", lang="en", dir="ltr") if tell else "…"
    )
    return tag(
        name,
        cut,
        more if cut is not said else None,
        class_="text",
        lang=html_language(language),
        dir=direction(cut, language),
    )


# --------------------------------------------------------------------------------------------------------------- tables
def table(
    caption: object,
    head: Iterable[object],
    rows: Iterable[Iterable[object]],
    *,
    numbers: Iterable[int] = (),
    class_: str = "",
    foot: Iterable[object] | None = None,
) -> Html:
    """A table whose first column names its rows.

    Args:
        numbers: places of columns that are set to the right.
        foot: a last row, of sums.
    """
    right = set(numbers)

    def cell(place: int, given: object, header: bool = False) -> Html:
        if isinstance(given, Html) and given.startswith(("<td", "<th")):
            return given
        return tag(
            "th" if header else "td",
            given,
            class_="number" if place in right else None,
            scope="row" if header else None,
        )

    columns = [
        one
        if isinstance(one, Html) and one.startswith("<th")
        else tag("th", one, scope="col", class_="number" if place in right else None)
        for place, one in enumerate(head)
    ]
    body = [tag("tr", [cell(place, one, place == 0) for place, one in enumerate(row)]) for row in rows]
    ends = tag("tfoot", tag("tr", [cell(place, one, place == 0) for place, one in enumerate(foot)])) if foot else None
    return tag(
        "div",
        tag(
            "table",
            tag("caption", caption),
            tag("thead", tag("tr", columns)),
            tag("tbody", body),
            ends,
            class_=class_ or None,
        ),
        class_="scroll",
        tabindex="0" if len(columns) > _WIDE else None,
        role="group",
        aria_label=_plain(caption),
    )


def _plain(given: object) -> str:
    return re.sub(r"<[^>]*>", "", given) if isinstance(given, Html) else str(given)
