"""``curate record``: the requests of a build with their kept answers, in a file for the model ``recorded``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from curate.cli.options import DEFAULT, CatalogFile, Datasets, Variables, load, or_fail, say

app = typer.Typer()


@app.command()
def record(
    file: Annotated[Path, typer.Argument(help="The file to write, or to add to: .jsonl or .jsonl.zst.")],
    datasets: Datasets = None,
    catalog: CatalogFile = DEFAULT,
    set_: Variables = None,
) -> None:
    """Write what datasets ask language models, with the kept answers, to a file for 'use: recorded'; requests without
    an answer are written too, to be answered by hand. No server is asked."""
    from curate.api.recording import record as run

    loaded = load(catalog, set_)
    found = or_fail(lambda: run(file, *(datasets or []), catalog=loaded))
    print(
        f"{file}: {found.requests:,} requests: {found.there:,} were answered there, {found.added:,} added with their"
        f" answers, {found.unanswered:,} without an answer"
    )
    if found.unanswered:
        say(f'! write the answers in place of null ("answer": null) in {file}, then run this again')
    if found.stopped:
        say(f"! the steps after this one were not reached: {found.stopped.splitlines()[0]}")
    if found.unanswered:
        raise typer.Exit(1)
