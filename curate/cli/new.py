"""``curate new``: a first catalog for data files, with a preview, or of a recipe, with a plan; both are checked."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import typer

import curate
from curate.cli.options import fail, or_fail, say

app = typer.Typer()


@app.command()
def new(
    what: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FILE… | RECIPE",
            help="Files, folders, patterns, URLs or archives; or a recipe ('curate recipes' lists them).",
        ),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(help="The folder of the new catalog.yaml. Default: this one; for a recipe, one of its name."),
    ] = None,
    language: Annotated[str | None, typer.Option(help="The language of the rows.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="Set a parameter of the sources, such as kind=preference; of a recipe, a variable of its catalog.",
        ),
    ] = None,
    data: Annotated[str | None, typer.Option(help="For a recipe: your rows, a file, a folder or a URL.")] = None,
    to: Annotated[str | None, typer.Option(help="For a recipe: other languages, with commas between.")] = None,
    writer: Annotated[
        str | None, typer.Option(help="For a recipe: the URL of a server with OpenAI's protocol.")
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="The model there; where a recipe has several, MODEL=NAME for each. An installed translator or encoder: translator=apertium."  # noqa: E501
        ),
    ] = None,
    rows: Annotated[int, typer.Option("--rows", "-n", help="For files: how many rows the preview shows.", min=0)] = 3,
    demo: Annotated[
        bool, typer.Option("--demo", help="Write the quick start's catalogs and data, without a preview.")
    ] = False,
) -> None:
    """Write a first catalog for data files, or for a recipe with your data, languages and models; then check it.

    Of data files form, kind, languages and licence are found out.
    """
    from curate.catalog.suggestions import nearest

    if bool(what) == demo:
        fail("name data files or a recipe; or, without any, --demo for the quick start's catalogs and data")
    of_recipe = {"--data": data, "--to": to, "--writer": writer, "--model": model}
    given = [option for option, value in of_recipe.items() if value]
    if demo:
        if set_ or language or given:
            fail("--demo has no other option but --folder; edit the catalog")
        _demo(folder or Path())
        return
    settings = _settings(set_ or [])
    names = what or []
    there = _recipes()
    if len(names) == 1 and (given or (names[0] in there and not Path(names[0]).exists())):
        tags = [part for tag in (to or "").split(",") if (part := tag.strip())]
        _recipe(
            names[0], folder, data=data, language=language, to=tags, writer=writer, models=model or (), slots=settings
        )
        return
    if given:
        fail(f"{given[0]} is for one recipe, not for files" + "; the folder is --folder" * (given[0] == "--to"))
    for name in names:
        if not Path(name).exists() and re.fullmatch(r"[\w-]+", name) and (meant := nearest(name, there)):
            fail(f"there is no file or recipe '{name}'{meant}")
    if language is not None:
        settings["language"] = language
    _files(names, folder or Path(), settings, rows)


def _settings(given: list[str]) -> dict[str, Any]:
    from curate.catalog.document import read_value

    settings: dict[str, Any] = {}
    for setting in given:
        name, equals, value = setting.partition("=")
        if not equals:
            fail(f"--set wants NAME=VALUE, not '{setting}'")
        settings[name] = or_fail(lambda value=value, name=name: read_value(value, f"--set {name}"))
    return settings


def _recipes() -> list[str]:
    from curate.api.recipes import recipes

    return [one.id for one in or_fail(recipes)]


def _demo(folder: Path) -> None:
    written = or_fail(lambda: curate.new_demo(folder))
    print(f"{written}: 12 languages, recorded answers of a language model in catalog-llm.yaml beside it")
    print(f"next: cd {folder} && curate build" if folder != Path() else "next: curate build")


def _recipe(name: str, folder: Path | None, **values: Any) -> None:
    from curate.api.recipes import new_from_recipe

    written = or_fail(lambda: new_from_recipe(name, folder or Path(name), **values))
    print(f"{written}: nothing wrong; a build will do this:\n")
    print(or_fail(lambda: curate.plan(written)))
    print(f"\nnext: read {written}, then: curate build -c {written}")


def _files(files: list[str], folder: Path, settings: dict[str, Any], rows: int) -> None:
    made = or_fail(lambda: curate.new_catalog(*files, folder=folder, parameters=settings))
    print(made)
    for note in or_fail(lambda: curate.check(made.file)):
        say(f"note: {note}")
    for dataset in made.datasets if rows else ():
        print()
        print(or_fail(lambda dataset=dataset: curate.preview(made.file, dataset, rows=rows)))
    where = "" if made.file == Path("catalog.yaml") else f" -c {made.file}"
    print(f"\nnext: read {made.file}, then: curate build{where}")
