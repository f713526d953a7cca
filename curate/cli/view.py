"""``curate view``: a local page over the store."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from curate.cli.options import DEFAULT, CatalogFile, StoreFolder, or_fail, say

if TYPE_CHECKING:
    from outputs.view import View

app = typer.Typer()


@app.command()
def view(
    name: Annotated[str | None, typer.Argument(help="name or name@ref to open first; by default a list.")] = None,
    labels: Annotated[Path, typer.Option(help="The file of labels (.jsonl or .parquet).")] = Path("labels.jsonl"),
    annotator: Annotated[str, typer.Option(help="Who labels; by default the login name.")] = "",
    port: Annotated[int, typer.Option(help="By default any free one.", min=0, max=65535)] = 0,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open it in the browser.")] = True,
    catalog: CatalogFile = DEFAULT,
    store: StoreFolder = None,
) -> None:
    """Look at rows in the browser: search, why rows were dropped, what a threshold would change, labels, versions."""
    from curate import open_store

    def make() -> View:
        from outputs.view import View as Made

        return Made(open_store(store, catalog), name, catalog=catalog, labels=labels, annotator=annotator, port=port)

    opened: View = or_fail(make)
    with opened, contextlib.suppress(KeyboardInterrupt):
        print(opened.address, flush=True)
        say("only on this machine, and only with this address; Ctrl-C ends it")
        if browser:
            import webbrowser

            webbrowser.open(opened.address)
        opened.serve()
