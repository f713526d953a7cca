"""Commands on what has been built: show, compare, name, check, export and clear away versions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

import curate
from curate.cli.answers import Format, print_answer
from curate.cli.options import DEFAULT, CatalogFile, StoreFolder, fail, number, or_fail, say
from curate.cli.render import print_difference, print_funnel, print_log, tell, tell_export

app = typer.Typer()


@app.command()
def show(
    name: Annotated[str | None, typer.Argument(help="name or name@ref; all datasets if none is named.")] = None,
    catalog: CatalogFile = DEFAULT,
    store: StoreFolder = None,
    json_: Annotated[bool, typer.Option("--json", help="The whole manifest.")] = False,
) -> None:
    """Show built versions, or one version with its steps, languages and warnings."""
    import orjson

    from curate.api.store import open_store
    from curate.engine.funnel import Funnel
    from curate.engine.representation import representation_of, summary
    from curate.engine.store.fingerprint import model_names
    from curate.errors import StoreError
    from curate.unused import Unused

    opened = or_fail(lambda: open_store(store, catalog))
    if name is None:
        for dataset in opened.datasets():
            for ref, about in opened.refs(dataset).items():
                try:
                    manifest = opened.manifest(dataset, about["version"])
                except StoreError as error:
                    print(f"{dataset}@{ref}  {about['version']}  {error}")
                    continue
                part = " (partial)" if manifest.get("partial") else ""
                print(f"{dataset}@{ref}  {about['version']}  {manifest['rows']:,} rows{part}  {about['built_at']}")
        return
    dataset, _, ref = name.partition("@")
    version = or_fail(lambda: opened.resolve(dataset, ref or "latest"))
    manifest = or_fail(lambda: opened.manifest(dataset, version))
    if json_:
        print(orjson.dumps(manifest, option=orjson.OPT_INDENT_2).decode())
        return
    print(
        f"{dataset} {version} ({manifest['kind']}), built {manifest['created_at']}\n{opened.dataset(dataset) / version}"
    )
    splits = ", ".join(f"{split} {about['rows']:,}" for split, about in manifest["splits"].items())
    print(
        f"{manifest['rows']:,} rows ({splits}), {manifest['rejected']:,} rejected, {manifest['quarantined']:,} "
        "unreadable"
    )
    print("licences: " + ", ".join(f"{license} {rows:,}" for license, rows in manifest["licenses"].items()))
    asked = opened.refs(dataset).get(ref or "latest", {})
    for step in asked.get("recipe", manifest["recipe"])["steps"]:
        print(f"  {step['label']}: {orjson.dumps({**step['params'], **model_names(step)}).decode()}")
    print_funnel(Funnel.from_json(manifest["funnel"]))
    for line in summary(representation_of(manifest)):
        print(f"  {line}")
    for source in manifest["sources"]:
        if said := str(Unused(**source.get("unused", {}))):
            print(f"  source '{source['name']}': not used: {said}")
    for message in [*manifest["alarms"], *manifest["warnings"]]:
        print(f"! {message}")


@app.command("judge-report")
def judge_report(
    names: Annotated[list[str] | None, typer.Argument(help="Datasets; all if none is named.")] = None,
    catalog: CatalogFile = DEFAULT,
    store: StoreFolder = None,
    format_: Annotated[Format, typer.Option("--format", "-f")] = Format.TABLE,
) -> None:
    """Show judge diagnostics per language: position, length and self-preference bias, consistency, and which judges
    were disabled."""

    print_answer(or_fail(lambda: curate.audits(*(names or []), store=store, catalog=catalog)), format_, None)


@app.command()
def export(
    name: Annotated[str, typer.Argument(help="name or name@ref.")],
    outputs: Annotated[
        list[str] | None, typer.Argument(help="trl, llama-factory …; those that the dataset lists if none is named.")
    ] = None,
    to: Annotated[Path, typer.Option(help="The folder to write below.")] = Path("exports"),
    catalog: CatalogFile = DEFAULT,
    store: StoreFolder = None,
    by: Annotated[Literal["language"] | None, typer.Option(help="Write an export of each language.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an export that is there.")] = False,
) -> None:
    """Export a version to trainer formats, each with a training configuration."""

    written = or_fail(
        lambda: curate.export(name, *(outputs or []), to=to, by=by, catalog=catalog, store=store, force=force)
    )
    for one in written:
        tell_export(one)


@app.command()
def gc(
    catalog: CatalogFile = DEFAULT,
    store: StoreFolder = None,
    keep: Annotated[int, typer.Option(help="Unnamed versions of each dataset to keep.", min=0)] = 0,
    cache: Annotated[
        float | None,
        typer.Option(help="Also forget cached answers of models not used for so many days.", min=0, callback=number),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
) -> None:
    """Delete cached results that no dataset's last build uses, and versions without a name."""
    from curate.api.store import open_store
    from curate.engine.store.gc import collect_garbage

    opened = or_fail(lambda: open_store(store, catalog))
    found = or_fail(lambda: collect_garbage(opened, keep_versions=keep, dry_run=dry_run))
    verb = "would remove" if dry_run else "removed"
    print(f"{verb} {found.results:,} results, {len(found.versions)} versions: {found.bytes / 1e6:,.1f} MB")
    if cache is not None and not dry_run:
        from curate.engine.store.lock import changing
        from curate.models.cache.embeddings import prune

        def pruned() -> list[Any]:
            with changing(opened.root):
                return list(prune(opened.root / "cache", cache))

        for one in or_fail(pruned):
            print(
                f"  {one.path.name}: "
                + (one.problem or f"{one.removed:,} answers forgotten, {one.kept:,} kept, {one.freed / 1e6:,.1f} MB")
            )
    for version in found.versions:
        print(f"  {version}")
    for one in found.left:
        say(f"! left alone: {one}")


@app.command()
def verify(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="name or name@ref; the latest of all, and the whole store, if none is named."),
    ] = None,
    catalog: CatalogFile = DEFAULT,
    store: StoreFolder = None,
    rebuild: Annotated[
        bool,
        typer.Option("--rebuild", help="Also build each once more from its sources and kept answers, and compare."),
    ] = False,
) -> None:
    """Verify files, rows, lineage and digest of versions against their manifests; without NAME, every file of the
    store."""
    from curate.api.datasets import rebuild as build_again
    from curate.api.store import open_store
    from curate.engine.store.gc import verify_version
    from curate.engine.store.repair import find_damage

    opened = or_fail(lambda: open_store(store, catalog))
    wrong = 0
    for damage in [] if names else or_fail(lambda: list(find_damage(opened))):
        print(f"{damage.error.path.relative_to(opened.root)}: {damage.error.why}")
        wrong += 1
    for name in names or opened.datasets():
        dataset, _, ref = name.partition("@")
        version = or_fail(lambda dataset=dataset, ref=ref: opened.resolve(dataset, ref or "latest"))
        problems = or_fail(lambda dataset=dataset, version=version: verify_version(opened, dataset, version))
        print(f"{dataset} {version}: {'as written' if not problems else f'{len(problems)} problems'}")
        if rebuild:
            there, again, said = or_fail(lambda dataset=dataset: build_again(dataset, catalog=catalog))
            print(
                f"{dataset} {there}: "
                + ("built again, it is the same" if again == there else f"built again, it is {again}")
            )
            problems += said or (["the same recipe gives other rows"] if again != there else [])
        wrong += len(problems)
        for problem in problems:
            print(f"  {problem}")
    if wrong:
        say("'curate repair' puts aside what is damaged; 'curate build' makes again what can be made")
        raise typer.Exit(1)


@app.command()
def repair(
    catalog: CatalogFile = DEFAULT,
    store: StoreFolder = None,
    wait: Annotated[
        float, typer.Option(help="Seconds to wait for a build in this store.", min=0, callback=number)
    ] = 0.0,
) -> None:
    """Move damaged files of the store aside, so that the next build recreates them."""
    from curate.api.store import open_store
    from curate.engine.store.repair import repair_store

    opened = or_fail(lambda: open_store(store, catalog))
    found = or_fail(lambda: repair_store(opened, wait=wait))
    for line in found.lines:
        print(line)
    for version in found.lost:
        print(f"! {version} was moved aside; 'curate build' recreates it if the catalog and its sources are unchanged")
    print(
        "nothing is damaged"
        if not found.lines
        else f"{len(found.lines)} files moved aside or repaired; next: curate build"
    )


@app.command()
def forget(
    name: Annotated[str | None, typer.Argument(help="The dataset that --where looks at, name or name@ref.")] = None,
    row: Annotated[list[str] | None, typer.Option(help="Id of a row, of whatever dataset or source.")] = None,
    source: Annotated[list[str] | None, typer.Option(help="A whole source.")] = None,
    line: Annotated[
        list[str] | None, typer.Option(help="A line of a source file that could not be read, FILE:LINE.")
    ] = None,
    where: Annotated[
        str | None, typer.Option(help="A SQL condition on the rows of NAME: kept, rejected, failed, quarantined.")
    ] = None,
    origins: Annotated[bool, typer.Option("--origins", help="Also the rows that those were made from.")] = False,
    reason: Annotated[str, typer.Option(help="Kept with the list beside the catalog.")] = "",
    rebuild: Annotated[bool, typer.Option(help="Build the datasets that held them again.")] = True,
    purge: Annotated[
        bool,
        typer.Option(
            "--purge",
            help="Also remove older versions, cached answers, exports and reports that hold them; with "
            "nothing named, carry on what was begun.",
        ),
    ] = False,
    wait: Annotated[
        float, typer.Option(help="Seconds to wait for a build in this store.", min=0, callback=number)
    ] = 0.0,
    catalog: CatalogFile = DEFAULT,
) -> None:
    """Erase rows from all datasets, with everything derived from them, and keep them out of later builds."""
    from curate.catalog.forgotten import FILE
    from curate.engine.progress import default_progress

    done = or_fail(
        lambda: curate.forget(
            name,
            rows=row or (),
            sources=source or (),
            lines=line or (),
            where=where,
            origins=origins,
            reason=reason,
            rebuild=rebuild,
            purge=purge,
            catalog=catalog,
            progress=default_progress(),
            wait=wait,
        )
    )
    print(f"{done.rows:,} rows to forget, {done.added:,} lines added to {FILE}")
    for built in done.built:
        tell(built)
    if not rebuild and done.datasets:
        print(f"! to be built again: {', '.join(done.datasets)}")
    for one in done.removed:
        print(f"removed: {one}")
    if purge:
        print(f"{done.answers:,} cached answers of models and {done.vectors:,} vectors of texts removed")
    for version, rows in done.versions.items():
        holds = f"still holds {rows:,} such rows" if rows else "may hold such rows (files of it are damaged)"
        print(f"! {version} {holds}" + ("" if purge else "; --purge removes it"))
    for one in done.copies:
        print(f"! {one} {'stays' if purge else 'still holds such rows; --purge removes it'}")
    for one in done.published:
        print(f"! published with such rows: {one}; publish the new version, and delete the old one there")
    if done.old_objects:
        print(f"! the bucket of {done.old_objects} keeps old versions of objects; delete them there, curate cannot")
    for one in done.recordings:
        print(f"! recording {one} repeat texts of such rows; 'forget' changes no recording: delete these lines")
    if done.unreadable:
        print(
            f"! {len(done.unreadable):,} damaged files were skipped, such as {done.unreadable[0]}; --purge "
            "removes damaged versions, 'curate repair' the rest"
        )


@app.command()
def diff(
    first: Annotated[
        str,
        typer.Argument(metavar="A", help="name or name@ref; alone, its version is compared with the one before it."),
    ],
    second: Annotated[str | None, typer.Argument(metavar="[B]", help="The version to compare it with.")] = None,
    catalog: CatalogFile = DEFAULT,
    store: StoreFolder = None,
    json_: Annotated[bool, typer.Option("--json", help="Everything, as JSON.")] = False,
    texts: Annotated[
        bool, typer.Option("--rows", help="Show rows: texts beside each other, changed words marked.")
    ] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", help="With --rows, how many.", min=1)] = 20,
) -> None:
    """Compare two versions: rows added, removed and changed, and which step or source is responsible."""

    if texts:
        if json_:
            fail("--json tells everything but rows; leave out --rows or --json")
        print(or_fail(lambda: curate.diff_rows(first, second, rows=limit, store=store, catalog=catalog)))
        return
    print_difference(or_fail(lambda: curate.diff(first, second, store=store, catalog=catalog)), as_json=json_)


@app.command()
def tag(
    name: Annotated[str, typer.Argument(help="name or name@ref.")],
    tag: Annotated[str, typer.Argument(help="The tag, e.g. v1.0.")],
    note: Annotated[str, typer.Option(help="Why.")] = "",
    move: Annotated[bool, typer.Option("--move", help="Even if it names another version.")] = False,
    delete: Annotated[bool, typer.Option("--delete", help="Take the tag away; the version stays.")] = False,
    catalog: CatalogFile = DEFAULT,
    store: StoreFolder = None,
) -> None:
    """Name a version; gc keeps named versions."""
    from curate.api.store import open_store
    from curate.engine.store.history import remove_tag, tag_version

    opened = or_fail(lambda: open_store(store, catalog))
    if delete:
        or_fail(lambda: remove_tag(opened, name.partition("@")[0], tag))
        print(f"{name}: tag {tag} is gone")
        return
    version = or_fail(lambda: tag_version(opened, name, tag, note=note, move=move))
    print(f"{name.partition('@')[0]}@{tag} is {version}")


@app.command()
def log(
    name: Annotated[str, typer.Argument(help="A dataset.")], catalog: CatalogFile = DEFAULT, store: StoreFolder = None
) -> None:
    """Show the version history of a dataset, newest first, with what changed."""
    from curate.api.store import open_store
    from curate.engine.store.history import version_log

    opened = or_fail(lambda: open_store(store, catalog))
    print_log(name, or_fail(lambda: version_log(opened, name)))
