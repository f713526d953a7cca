"""``curate recipes``: what recipes there are, one of them to read, to verify, or as a new catalog of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from curate.cli.options import fail, or_fail, say

_LIST = "list"


class _OrList(TyperGroup):
    """The commands of ``curate recipes``; what is none of them is a word for ``list``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] != "--help"):
            args = [_LIST, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(cls=_OrList, rich_markup_mode=None, help="List, read and verify recipes; write one as a catalog.")


@app.command(_LIST)
def list_(
    words: Annotated[
        list[str] | None,
        typer.Argument(help="A recipe, to read it; or a word of its line, kinds, needs or papers, to search."),
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Build these recipes in a temporary folder and run their statements.")
    ] = False,
) -> None:
    """List recipes: published methods as small catalogs that build their data. 'list' may be left out."""
    from curate.api.recipes import recipe, recipes

    names = words or []
    every = or_fail(recipes)
    known = [one.id for one in every]
    if verify:
        _verify([or_fail(lambda name=name: recipe(name)).id for name in names] or known)
        return
    if len(names) == 1 and names[0] in known:
        found = recipe(names[0])
        print(f"{or_fail(lambda: found.text).rstrip()}\n\n## catalog.yaml\n\n```yaml\n{found.catalog.rstrip()}\n```")
        return
    found_all = or_fail(lambda: recipes(" ".join(names))) if names else every
    if not found_all:
        or_fail(lambda: recipe(" ".join(names)))
    for one in found_all:
        head = or_fail(lambda one=one: one.head)
        print(f"{one.id:26} {', '.join(map(str, head.kinds)):12} {head.needs:14} {head.line}")


def _verify(names: list[str]) -> None:
    from curate.api.recipes import verify

    wrong = 0
    for name in names:
        found = or_fail(lambda name=name: verify(name))
        rows = ", ".join(f"{one.dataset} {one.rows:,}" for one in found.built)
        print(f"{name:26} {rows} rows; {len(found.held)} of {len(found.held) + len(found.failed)} statements hold")
        for one in found.failed:
            say(f"! {name}: does not hold: {one}")
        wrong += bool(found.failed)
    if wrong:
        fail(f"{wrong} of {len(names)} recipes are not what they say")


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="The recipe.")],
    data: Annotated[str | None, typer.Option(help="Your rows: a file, a folder or a URL.")] = None,
    language: Annotated[str | None, typer.Option(help="Their language.")] = None,
    to: Annotated[str, typer.Option(help="Other languages, with commas between.")] = "",
    writer: Annotated[str | None, typer.Option(help="URL of a server with OpenAI's protocol.")] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(help="The model there; where a recipe has several, MODEL=NAME for each."),
    ] = None,
    slot: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Another variable of the catalog.")
    ] = None,
    folder: Annotated[Path | None, typer.Option(help="The folder to write; by default named as the recipe.")] = None,
) -> None:
    """Write a recipe into a new folder, with your data, languages and models, and check its catalog there."""
    from curate.api.recipes import new_from_recipe
    from curate.catalog.document import read_value

    slots: dict[str, Any] = {}
    for setting in slot or []:
        key, equals, value = setting.partition("=")
        if not equals:
            fail(f"--set wants NAME=VALUE, not '{setting}'")
        slots[key] = or_fail(lambda key=key, value=value: read_value(value, f"--set {key}"))
    written = or_fail(
        lambda: new_from_recipe(
            name,
            folder or Path(name),
            data=data,
            language=language,
            to=[part for tag in to.split(",") if (part := tag.strip())],
            writer=writer,
            models=model or (),
            slots=slots,
        )
    )
    print(f"{written}: nothing wrong; next: curate build --catalog {written}")
