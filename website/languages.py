"""The page of languages is what ``curate languages`` prints, of all languages, on the machine that builds the site."""

from __future__ import annotations

from curate.api.languages import display_name, languages

_ABOUT = """---
title: Languages
---

# Languages

Which parts cover a language, as the parts themselves say with what was installed where this page was made.
`curate languages sw` says the same of your installation, and more of one language.

A figure of an identifier is the share of texts that it labels right, of those that the [ensemble](../language-id.md)
was fitted on, short ones among them; `·` means that the part does not cover the language. With `anchors`,
`curate calibrate` can measure an encoder in the language ([encoder trust](../encoder-trust.md)).
"""


def text() -> str:
    every = languages()
    columns = list(dict.fromkeys((one.part, one.name) for each in every for one in each.coverage))
    columns = [column for column in columns if column[0] not in ("words", "route")]
    head = ["language", *(f"{part} `{name}`" for part, name in columns)]
    rows = []
    for each in every:
        cells = {(one.part, one.name): one.mark for one in each.coverage}
        rows.append([f"`{each.language}` {display_name(each.language)}", *(cells[column] for column in columns)])
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join([_ABOUT, *(f"| {' | '.join(cells)} |" for cells in lines)]) + "\n"
