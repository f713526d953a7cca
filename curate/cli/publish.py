"""``curate publish``, ``curate card``, ``curate licenses``: publish a version, describe it, check its licences."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from curate.cli.options import DEFAULT, CatalogFile, StoreFolder, number, or_fail, say

if TYPE_CHECKING:
    from outputs.licensing.gate import Verdict
    from outputs.publishing.publish import Publication

Name = Annotated[str, typer.Argument(help="name or name@ref.")]
To = Annotated[str, typer.Option("--to", help="org/name on the Hub, a folder (./…, /…) or a URL (s3://…).")]
Lists = Annotated[
    list[Path] | None,
    typer.Option("--licenses", help="A further list of licences and model terms (see docs/licenses.md)."),
]
PerLanguage = Annotated[
    bool | None,
    typer.Option(
        "--config-per-language/--one-config",
        help="A configuration for each language, or one; by default as many as there are languages.",
    ),
]


app = typer.Typer()


@app.command()
def publish(
    name: Name,
    to: To,
    private: Annotated[
        bool | None,
        typer.Option(
            "--private/--public",
            help="On the Hub: who may read it; a new repository is private, another stays as it is.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show the files and what changes in the card.")
    ] = False,
    override_license: Annotated[
        str,
        typer.Option(
            "--override-license", metavar="REASON", help="Publish although the licences do not permit it, and why."
        ),
    ] = "",
    per_language: PerLanguage = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Overwrite files that somebody else put there, an edited card included.")
    ] = False,
    token_env: Annotated[
        str | None,
        typer.Option(
            "--token-env",
            help="The name of the environment variable with the Hub's token; by default HF_TOKEN or your login.",
        ),
    ] = None,
    lists: Lists = None,
    deadline: Annotated[
        float, typer.Option(help="Seconds to wait altogether while the Hub is busy.", min=0, callback=number)
    ] = 600.0,
    json_: Annotated[bool, typer.Option("--json", help="Print what was done as JSON.")] = False,
    catalog: CatalogFile = DEFAULT,
    store: StoreFolder = None,
) -> None:
    """Publish a version with card and tag to the Hub, a folder or a URL: atomically, uploading only what changed."""
    from curate.api.store import open_store
    from outputs.publishing.publish import publish as go

    done = or_fail(
        lambda: go(
            open_store(store, catalog),
            name,
            to,
            private=private,
            dry_run=dry_run,
            override=override_license,
            per_language=per_language,
            replace_others=replace,
            token_env=token_env,
            licenses=tuple(lists or ()),
            deadline=deadline,
            tell=say,
        )
    )
    if json_:
        import dataclasses

        import orjson

        print(orjson.dumps(dataclasses.asdict(done), option=orjson.OPT_INDENT_2).decode())
    else:
        _tell(done)


@app.command()
def card(
    name: Name,
    to: Annotated[str | None, typer.Option("--to", help="Where it will stand, for its instructions.")] = None,
    per_language: PerLanguage = None,
    lists: Lists = None,
    catalog: CatalogFile = DEFAULT,
    store: StoreFolder = None,
) -> None:
    """Print the dataset card of a version."""
    from curate.api.store import open_store

    def make() -> str:
        from outputs.card import card as cards
        from outputs.licensing.licenses import load_licenses
        from outputs.publishing.layout import plan_layout
        from outputs.publishing.open_target import open_target
        from outputs.publishing.targets import target_address

        version = cards.about(open_store(store, catalog), name)
        place = target_address(open_target(to)) if to else None
        return cards.card(
            version, layout=plan_layout(version, per_language), place=place, book=load_licenses(*(lists or ()))
        )

    sys.stdout.write(or_fail(make))


@app.command()
def licenses(name: Name, lists: Lists = None, catalog: CatalogFile = DEFAULT, store: StoreFolder = None) -> None:
    """Show the licences of a version's rows, and whether it may be published."""
    from curate.api.store import open_store

    def look() -> Verdict:
        from outputs.export import open_version
        from outputs.licensing.gate import judge
        from outputs.licensing.licenses import load_licenses

        return judge(open_version(open_store(store, catalog), name), load_licenses(*(lists or ())))

    verdict: Verdict = or_fail(look)
    from outputs.licensing.gate import lines, plain

    counts: dict[tuple[str, str], int] = {}
    for share in verdict.shares:
        counts[share.license, share.source] = counts.get((share.license, share.source), 0) + share.rows
    for (license_, source), rows in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])):
        print(f"{rows:>12,}  {plain(license_):30} {plain(source)}")
    for model, terms in verdict.terms.items():
        if terms:
            print(f"answers of {plain(model)}: {' AND '.join(one.id for one in terms)}")
    print(
        f"as a whole: {plain(verdict.joined.expression)}"
        if verdict.free
        else f"{verdict.blocked:,} of {verdict.rows:,} rows may not be published:"
    )
    for line in [*lines(verdict), *(f"! {note}" for note in verdict.notes)]:
        print(line)
    if not verdict.free:
        raise typer.Exit(1)


# ------------------------------------------------------------------------------------------------------------------- parts  # noqa: E501
_SIGNS = {"add": "+", "change": "~", "same": "=", "remove": "-"}


def _tell(done: Publication) -> None:
    from outputs.publishing.targets import human

    if done.dry_run or done.fresh:
        for change in done.changes:
            print(f"{_SIGNS[change.action]} {change.path:50} {change.size:>14,}  {change.sha256[:16]}")
    if done.dry_run and done.card_diff:
        print(done.card_diff)
    for note in done.notes:
        print(f"! {note}")
    counts = ", ".join(
        f"{done.count(action)} {word}"
        for action, word in (("add", "new"), ("change", "changed"), ("same", "as they are"), ("remove", "removed"))
        if done.count(action)
    )
    size = sum(change.size for change in done.changes if change.action in ("add", "change"))
    who = "" if done.private is None else ", private" if done.private else ", public"
    what = f"{done.dataset} {done.version} → {done.to}{who}"
    if not done.fresh:
        print(f"{what}: nothing to do, all {done.count('same')} files are there")
    elif done.dry_run:
        print(f"{what}: would send {human(size)} ({counts}); licence {done.license}")
    else:
        at = f", commit {done.commit[:12]}" if done.commit else ""
        print(f"{what}: {human(size)} ({counts}){at}{f', tag {done.tag}' if done.tag else ''}; licence {done.license}")
    if done.override:
        print(
            f"! published against its licences: {done.override}"
            if not done.dry_run
            else f"! would be published against its licences: {done.override}"
        )
