"""``curate report``: one HTML file about a finished version."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from curate.cli.options import DEFAULT, CatalogFile, StoreFolder, or_fail

if TYPE_CHECKING:
    from outputs.report import Reported

app = typer.Typer()


@app.command()
def report(
    name: Annotated[str, typer.Argument(help="name or name@ref.")],
    to: Annotated[Path | None, typer.Option("--to", help="The file; NAME-report.html here by default.")] = None,
    rows: Annotated[
        list[str] | None,
        typer.Option(
            "--rows",
            metavar="ID",
            help="A row that is to be in it, kept or dropped (or how its id begins); several times for several.",
        ),
    ] = None,
    sample: Annotated[int, typer.Option(help="How many kept and how many dropped rows are drawn.", min=0)] = 300,
    seed: Annotated[int, typer.Option(help="Another draw.")] = 0,
    catalog: CatalogFile = DEFAULT,
    store: StoreFolder = None,
) -> None:
    """Write an HTML report of a version, in one file that works offline: funnel, scores, duplicates, cost, sampled
    rows."""
    from curate.api.store import open_store

    def make() -> Reported:
        from outputs.report import report as write

        wanted = [one for given in rows or () for one in given.replace(",", " ").split()]
        return write(open_store(store, catalog), name, to, rows=wanted, sample=sample, seed=seed)

    made: Reported = or_fail(make)
    print(
        f"{made.path}: {made.dataset} {made.version}, {made.bytes / 1e6:.1f} MB, with {made.kept:,} kept and "
        f"{made.dropped:,} dropped rows to look at"
    )
