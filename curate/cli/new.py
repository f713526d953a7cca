"""``curate new``: a first catalog for data files, checked, with a preview."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

import curate
from curate.cli.options import fail, or_fail, say

app = typer.Typer()


@app.command()
def new(
    files: Annotated[
        list[str] | None, typer.Argument(metavar="FILE…", help="Files, folders, patterns, URLs or archives.")
    ] = None,
    to: Annotated[Path, typer.Option(help="The folder of the new catalog.yaml.")] = Path(),
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=VALUE", help="Set a parameter of the sources, e.g. language=sw, kind=preference."
        ),
    ] = None,
    rows: Annotated[int, typer.Option("--rows", "-n", help="How many rows the preview shows.", min=0)] = 3,
    demo: Annotated[
        bool, typer.Option("--demo", help="Write the quick start's catalogs and data, without a preview.")
    ] = False,
) -> None:
    """Write a first catalog for data files: form, kind, languages and licence are found out; then check and preview
    it."""
    from curate.catalog.document import read_value

    if bool(files) == demo:
        fail("name data files; or, without any, --demo for the quick start's catalogs and data")
    if demo:
        if set_:
            fail("--set is for data files; with --demo edit the catalog")
        written = or_fail(lambda: curate.new_demo(to))
        print(f"{written}: 12 languages, recorded answers of a language model in catalog-llm.yaml beside it")
        print(f"next: cd {to} && curate build" if to != Path() else "next: curate build")
        return
    for name in files or ():
        if not Path(name).exists() and name in _recipes():
            fail(f"'{name}' is a recipe, and there is no such file: curate recipes new {name} --data FILE")
    parameters: dict[str, Any] = {}
    for setting in set_ or []:
        name, equals, value = setting.partition("=")
        if not equals:
            fail(f"--set wants NAME=VALUE, not '{setting}'")
        parameters[name] = or_fail(lambda value=value, name=name: read_value(value, f"--set {name}"))
    made = or_fail(lambda: curate.new_catalog(*files or (), to=to, parameters=parameters))
    print(made)
    for note in or_fail(lambda: curate.check(made.file)):
        say(f"note: {note}")
    for dataset in made.datasets if rows else ():
        print()
        print(or_fail(lambda dataset=dataset: curate.preview(made.file, dataset, rows=rows)))
    where = "" if made.file == Path("catalog.yaml") else f" -c {made.file}"
    print(f"\nnext: read {made.file}, then: curate build{where}")


def _recipes() -> set[str]:
    from curate.api.recipes import recipes

    return {one.id for one in recipes()}
