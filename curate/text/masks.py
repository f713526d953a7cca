"""Replaces text that is in no human language: code, addresses, markup, formulas, placeholders.

All masks are Rust regular expressions without backtracking, so that they take linear time on any text.
"""

from __future__ import annotations

from collections.abc import Collection
from types import MappingProxyType
from typing import Literal

import polars as pl

Maskable = Literal["code", "inline_code", "url", "email", "markup", "latex", "placeholder"]
_LINE = r"(?m)^[ \t]*(?:{})[^\n]*$"
# ASCII classes on purpose: ten times the speed of \w, and program text is what they look for.
_CODE_LINES = "|".join(
    [
        r"(?:async )?def [A-Za-z0-9_]+\(", r"class [A-Za-z0-9_]+[^\n]*[:{][ \t]*$", r"import [A-Za-z0-9_.{*]+[^\n]*$",
        r"from [A-Za-z0-9_.]+ import ", r"#include\b", r"package [A-Za-z0-9_.]+;",
        r"(?:public|private|protected|static|const|let|var|final|void|int|float|double|char|bool|string|String) "
        r"[^\n]*[;{=(]",
        r"return\b[^\n]*(?:;|\)|\]|[0-9]|True|False|None)[ \t]*$", r"print(?:ln|f)?\(", r"console\.[A-Za-z0-9_]+\(",
        r"System\.[A-Za-z0-9_]+", r"(?:for|while|if|elif|switch|catch) ?\([^\n]*[{)][ \t]*$",
        r"(?:for [A-Za-z0-9_]+(?:, ?[A-Za-z0-9_]+)? in|while|if|elif|else|try|except|with) ?[^\n。！？]*:[ \t]*$",
        r"function\b[^\n]*\(", r"[A-Za-z0-9_.\[\]]+ ?[-+*/]?= ?[\x20-\x7e]*$",
        r"[A-Za-z0-9_.]+\([^\n()]*\);?[ \t]*$", r"[{}()\[\];,]+[ \t]*$",
        r"(?:SELECT\b|ON [A-Za-z0-9_.]+ ?=|AND [A-Za-z0-9_.]+ ?[=<>]|SET [A-Za-z0-9_.]+ ?=|INSERT INTO|UPDATE|DELETE "
        r"FROM|CREATE TABLE|ALTER TABLE|DROP TABLE) ",
        r"(?:FROM|WHERE|GROUP BY|ORDER BY|HAVING|LIMIT|INNER JOIN|LEFT JOIN|JOIN|VALUES) [A-Za-z0-9_(]",
        r"(?:[.#]?[A-Za-z0-9_-]+) ?\{[ \t]*$", r"[a-z-]+: ?[^\s;]+(?: [^\s;]+){0,3};[ \t]*$",
        r"[^\n]*[)\]}0-9\x22'] ?[;{][ \t]*$", r"\$ [a-z]+",
    ]
)  # fmt: skip
# A line that opens an indented block, with the block (docstrings and comments in it are no language of the row either).
_BLOCK = (
    r"(?m)^[ \t]*(?:(?:async )?def [A-Za-z0-9_]+\(|class [A-Za-z0-9_]+[(:]|(?:for [A-Za-z0-9_]+(?:, ?[A-Za-z0-9_]+)?"
    r" in|while|if|try|with) ?[^\n。！？]*:[ \t]*$)"
    r"[^\n]*\n(?:(?:[ \t]+[^\n]*|[ \t]*)(?:\n|\z))*"
)
# Only where there is other program text: elsewhere these are headings and list items.
_COMMENTS = (
    r"(?s)\x22\x22\x22.*?(?:\x22\x22\x22|\z)",
    r"(?s)\x27{3}.*?(?:\x27{3}|\z)",
    r"(?s)/\*.*?(?:\*/|\z)",
    r"(?m)^[ \t]*(?:#|//|--|\*|%)[^\n]*$",
    r"(?m)[ \t](?:#|//) [^\n]*$",
)
_MASKS: MappingProxyType[Maskable, tuple[str, ...]] = MappingProxyType(
    {
        "code": (r"(?s)```.*?(?:```|\z)", r"(?s)~~~.*?(?:~~~|\z)",
        r"(?si)<(?:pre|code|script|style)\b[^>]*>.*?</(?:pre|code|script|style)>",
                 _BLOCK, _LINE.format(_CODE_LINES)),
        "inline_code": (r"``[^\n]+?``", r"`[^`\n]+`"),
        "url": (r"\]\([^()\s]+\)",
                r"(?i)(?:(?:https?|ftp|file)://|\b(?:mailto|tel|data|magnet):|www\.)[^\s<>\x22'（）【】「」『』《》，。、！？；：]+",
                r"(?i)\b(?:[a-z0-9-]+\.)+(?:com|org|net|edu|gov|io|info|de|fr|cn|jp|ru|uk|co|ai|dev|app)\b"
                r"(?:/[^\s<>\x22'（）【】「」『』《》，。、！？；：]*)?"),
        "email": (r"[\w.%+-]+@[\w-]+(?:\.[\w-]+)+",),
        "markup": (r"(?s)<!--.*?-->", r"</?[A-Za-z][A-Za-z0-9:-]*(?:\s[^<>\n]*)?/?>",
        r"&(?:[A-Za-z]{2,10}|#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6});"),
        "latex": (r"\$\$[^$]+\$\$", r"(?s)\\\[.+?\\\]", r"(?s)\\\(.+?\\\)",
        r"\$[^\s$][^$\n\p{Han}\p{Hiragana}\p{Thai}]*[\\^_=][^$\n]*\$",
                  r"(?s)\\begin\{(?:equation|align|gather|math|matrix|pmatrix|bmatrix|cases"
                  r"|array)\*?\}.+?\\end\{\w+\*?\}", r"\\[A-Za-z]{2,20}\b"),
        "placeholder": (r"\{\{[^{}\n]+\}\}", r"\$\{[^{}\n]+\}", r"\{[\w.]*\}", r"%\([A-Za-z_]+\)[sdifr]", r"%[sdif]\b",
        r"<[A-Z_]+>|(?i:<no ?input>)", r"\[[A-Z][A-Z_ ]+\]"),
    }
)  # fmt: skip
MASKABLE: tuple[Maskable, ...] = tuple(_MASKS)


def mask(texts: pl.Series, what: Collection[str] = MASKABLE) -> pl.Series:
    """The texts with code, addresses, markup, formulas or placeholders replaced by a space.

    ``code`` means fenced blocks (an unclosed fence runs to the end) and lines that look like code. Masks are applied in
    a fixed order (code first), whatever the order of ``what``.

    Raises:
        KeyError: ``what`` has a name that is not in :data:`MASKABLE`.
    """
    if unknown := [name for name in what if name not in _MASKS]:
        raise KeyError(f"cannot mask '{unknown[0]}'; there are {', '.join(MASKABLE)}")
    # A literal test first: most texts have none of these signs, and a search for one is far cheaper than the masks.
    for name, patterns in _MASKS.items():
        if name in what:
            touched = texts.str.contains(_SIGNS[name]).fill_null(False)
            if touched.any():
                part = texts.filter(touched)
                before = part
                for pattern in patterns:
                    part = part.str.replace_all(pattern, " ")
                if name == "code":
                    part = _without_comments(before, part)
                texts = texts.clone().scatter(touched.arg_true(), part) if len(part) < len(texts) else part
    return texts


def lower_capitals(texts: pl.Series) -> pl.Series:
    """The texts, lower-cased where most letters are capitals: in those, capitals mark neither names nor code."""
    shouted = texts.str.count_matches(r"\p{Lu}") > texts.str.count_matches(r"\p{Ll}")
    if not shouted.any():
        return texts
    return texts.clone().scatter(shouted.arg_true(), texts.filter(shouted).str.to_lowercase())


def _without_comments(before: pl.Series, after: pl.Series) -> pl.Series:
    found = (before != after) & after.str.contains(r"#|//|--|/\*|\*|\x22\x22\x22|\x27{3}|%")
    if not found.any():
        return after
    part = after.filter(found)
    for pattern in _COMMENTS:
        part = part.str.replace_all(pattern, " ")
    return after.clone().scatter(found.arg_true(), part)


_SIGNS: MappingProxyType[Maskable, str] = MappingProxyType(
    {"code": r"```|~~~|[;{}()\[\]=]|(?m)^(?:SELECT|INSERT|UPDATE|DELETE|CREATE|ALTER|DROP|FROM|WHERE|import|else)\b|:[ "
             r"\t]*(?m:$)", "inline_code": "`",
     "url": r"[.:/]", "email": "@", "markup": "[<&]", "latex": r"[$\\]", "placeholder": r"[{%<\[]"}
)  # fmt: skip
