"""``curate recipes``: what recipes there are, one of them to read, or to verify."""

from __future__ import annotations

from typing import Annotated

import typer

from curate.cli.options import fail, or_fail, say

app = typer.Typer()


@app.command("recipes")
def recipes_(
    words: Annotated[
        list[str] | None,
        typer.Argument(help="A recipe, to read it; or a word of its line, kinds, needs or papers, to search."),
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Build these recipes in a temporary folder and run their statements.")
    ] = False,
) -> None:
    """List, read or verify recipes: published methods as small catalogs that build their data ('curate new')."""
    from curate.api.recipes import recipe, recipes

    names = words or []
    if names[:1] == ["new"]:
        fail("'curate recipes new' is called 'curate new' now")
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
