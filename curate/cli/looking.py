"""Commands that show rows: on their way through the steps, of a version, and one with everything about it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import curate
from curate.cli.options import (
    DEFAULT,
    CatalogFile,
    StoreFolder,
    Variables,
    fail,
    load,
    or_fail,
    say,
)

app = typer.Typer()
Rows = Annotated[int, typer.Option("--rows", "-n", help="How many rows.", min=1)]


@app.command()
def preview(
    dataset: Annotated[str | None, typer.Argument(help="A dataset; may be left out if there is only one.")] = None,
    rows: Rows = 5,
    calls: Annotated[
        int,
        typer.Option(help="The most calls of language models to make; the build does not repeat them.", min=0),
    ] = 0,
    html: Annotated[Path | None, typer.Option("--html", help="Write a page instead of printing.")] = None,
    catalog: CatalogFile = DEFAULT,
    set_: Variables = None,
) -> None:
    """Take a few source rows through the steps of a dataset: what each step made, changed, scored and dropped, and
    why."""
    from curate.engine.progress import default_progress

    loaded = load(catalog, set_)
    found = or_fail(lambda: curate.preview(loaded, dataset, rows=rows, calls=calls, progress=default_progress()))
    if html is None:
        print(found)
        return
    try:
        html.write_text(found.html(), encoding="utf-8")
    except OSError as error:
        fail(f"--html: {html}: {error.strerror}")
    say(f"{len(found.rows):,} rows written to {html}")


@app.command()
def why(
    row: Annotated[str, typer.Argument(metavar="ID", help="A row's id, its beginning, or its place, FILE:LINE.")],
    catalog: CatalogFile = DEFAULT,
    store: StoreFolder = None,
) -> None:
    """Show everything about a row: versions, steps, scores and thresholds, source, parents, siblings, duplicates."""

    print(or_fail(lambda: curate.why(row, store=store, catalog=catalog)))


@app.command()
def head(
    name: Annotated[str, typer.Argument(help="name or name@ref.")],
    rows: Rows = 5,
    rejected: Annotated[bool, typer.Option("--rejected", help="Rows that a step dropped.")] = False,
    quarantined: Annotated[bool, typer.Option("--quarantined", help="What could not be read or made.")] = False,
    language: Annotated[str | None, typer.Option(help="Only rows in this language.")] = None,
    catalog: CatalogFile = DEFAULT,
    store: StoreFolder = None,
) -> None:
    """Show the first rows of a version as records."""
    from curate.looking.head import Part

    if rejected and quarantined:
        fail("--rejected and --quarantined are two tables; ask for one")
    part: Part = "rejected" if rejected else "quarantined" if quarantined else "kept"
    print(or_fail(lambda: curate.head(name, rows=rows, part=part, language=language, store=store, catalog=catalog)))
