"""Builds HTML from elements; everything that is not an element is escaped text, so data cannot become markup.

Invisible characters that reorder text, hide it or break lines are shown as their code points, here and in ``report.js``
by the same list, so that the page shows what a row really has.
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
"""A regular expression in the common subset of Python's and JavaScript's syntax."""
_UNSEEN = re.compile(UNSEEN)
_VOID = frozenset({"br", "col", "hr", "img", "input", "link", "meta"})
_RIGHT_TO_LEFT = frozenset({"Adlm", "Arab", "Hebr", "Mand", "Mend", "Nkoo", "Rohg", "Samr", "Syrc", "Thaa"})
_LOOKED_AT = 2_000
# A table with more columns may need horizontal scrolling, by keyboard too.
_WIDE = 5
_ATTRIBUTE = re.compile(r"[a-z][a-z0-9-]*")


class Html(str):
    """Text that is HTML already; made only by :func:`tag` and :func:`joined`."""

    __slots__ = ()


Child = "Html | str | int | None | Iterable[Html | str]"


def text(value: object) -> Html:
    """A text as HTML that shows every character of it."""
    parts, at, string = [], 0, str(value)
    for match in _UNSEEN.finditer(string):
        parts.append(escape(string[at : match.start()]))
        sign = match[0]
        name = unicodedata.name(sign, "")
        about = f"U+{ord(sign):04X}"
        parts.append(f'<span class="sign" title="{escape(f"{about} {name}".strip())}">{about}</span>')
        at = match.end()
    parts.append(escape(string[at:]))
    return Html("".join(parts).replace("\r", ""))


def written_out(string: str) -> str:
    """A text for a script, with the code points of characters that nobody sees."""
    return _UNSEEN.sub(lambda match: f"[U+{ord(match[0]):04X}]", string)


def attribute(value: object) -> str:
    """A text as an attribute value, for double quotes."""
    return escape(_UNSEEN.sub("\ufffd", str(value)))


def tag(name: str, /, *children: object, **attributes: object) -> Html:
    """An element.

    Args:
        children: elements, texts (escaped), iterables of both; None and ``""`` are skipped.
        attributes: ``class_`` is ``class``, ``data_id`` is ``data-id``; None and False omit an attribute, True gives it
            no value.
    """
    rendered = []
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        written = key.rstrip("_").replace("_", "-")
        if not _ATTRIBUTE.fullmatch(written):
            raise ValueError(f"'{key}' is not an attribute")
        rendered.append(f" {written}" if value is True else f' {written}="{attribute(value)}"')
    head = f"<{name}{''.join(rendered)}>"
    return Html(head if name in _VOID else f"{head}{joined(*children)}</{name}>")


def joined(*children: object) -> Html:
    """Concatenates elements and texts."""
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
def language_name(language: str) -> str:
    """The English name of a language; the tag itself if unknown."""
    if language == "und":
        return "unknown language"
    import langcodes

    try:
        return str(langcodes.Language.get(language).display_name("en"))
    except (ValueError, LookupError):
        return language


@lru_cache(maxsize=4096)
def html_language(language: str) -> str | None:
    """The ``lang`` attribute for a row's language, which chooses glyphs and hyphenation; None if unknown."""
    try:
        return None if normalize(language) == "und" else language
    except InvalidLanguage:
        return None


@lru_cache(maxsize=4096)
def _is_right_to_left(language: str) -> bool:
    try:
        return script(language) in _RIGHT_TO_LEFT
    except InvalidLanguage:
        return False


def direction(string: str, language: str) -> str:
    """``rtl`` or ``ltr``: that of the language, unless the letters contradict it.

    In a language written from right to left any such letter decides, however much Latin or code precedes it; in other
    languages the majority of letters does.
    """
    kinds = [unicodedata.bidirectional(sign) for sign in string[:_LOOKED_AT]]
    right, left = sum(kind in ("R", "AL") for kind in kinds), kinds.count("L")
    if _is_right_to_left(language):
        return "rtl" if right or not left else "ltr"
    return "rtl" if right > left else "ltr"


def words(string: str, language: str, most: int = 400, name: str = "div", *, tell: bool = True) -> Html:
    """A row's text, truncated, with its language and direction; by default with the number of hidden characters."""
    cut = string if len(string) <= most else string[:most]
    more: object = (
        tag("span", f" … {len(string) - most:,} more characters", class_="more", lang="en", dir="ltr") if tell else "…"
    )
    return tag(
        name,
        cut,
        more if cut is not string else None,
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
    """A table whose first column has the row headers.

    Args:
        numbers: positions of right-aligned columns.
        foot: a last row of sums.
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
            tag("caption", tag("span", caption)),
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


def _plain(value: object) -> str:
    return re.sub(r"<[^>]*>", "", value) if isinstance(value, Html) else str(value)
