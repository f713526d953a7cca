"""``curate languages``: what can be done in a language with what is installed."""

from __future__ import annotations

from typing import Annotated

import typer

from curate.cli.options import fail, say

app = typer.Typer()


@app.command()
def languages(
    tags: Annotated[list[str] | None, typer.Argument(help="Languages (sw, hi-Latn …); a table of all if none.")] = None,
) -> None:
    """Show which identifiers, encoders, translators and word lists cover a language, and how well that was measured;
    without a language, a table of all."""
    from curate.api.languages import display_name
    from curate.api.languages import languages as run
    from curate.rows.languages import InvalidLanguage

    try:
        found = run(*(tags or []))
    except InvalidLanguage as error:
        fail(str(error))
    if not tags:
        columns = list(dict.fromkeys((one.part, one.name) for each in found for one in each.coverage))
        columns = [column for column in columns if column[0] not in ("words", "route")]
        for number, (part, name) in enumerate(columns, 1):
            print(f"{number:2}  {part} {name}")
        print(f"\n{'':34}" + " ".join(f"{number:3}" for number in range(1, len(columns) + 1)))
        for each in found:
            marks = {(one.part, one.name): one.mark.strip("%").replace("yes", "x") for one in each.coverage}
            cells = " ".join(f"{marks[column]:>3}" for column in columns)
            print(f"{each.language:10} {display_name(each.language)[:22]:22} {cells}")
    else:
        for each in found:
            rows = [(part, name, covers, note) for part, name, covers, note in each.rows()]
            widths = [max(len(row[index]) for row in rows) for index in range(3)]
            print(each.title)
            for row in rows:
                print(
                    "  " + "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]])
                )
    for message in found[0].missing if found else ():
        say(f"! {message}")
