"""What all commands of the command line share: options, how a call fails, how an answer is printed."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    import polars as pl

    from curate.catalog import Catalog

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


def load(file: Path, settings: list[str] | None) -> Catalog:
    from curate import api
    from curate.catalog.document import read_value
    from curate.redact import secrets_of

    variables: dict[str, Any] = {}
    for setting in settings or []:
        name, equals, value = setting.partition("=")
        if not equals:
            fail(f"--set wants NAME=VALUE, not '{setting}'")
        # By the catalog's own rules: `[no]` is Norwegian here too.
        variables[name] = or_fail(lambda value=value, name=name: read_value(value, f"--set {name}"))
    loaded: Catalog = or_fail(lambda: api.load_catalog(file, variables=variables))
    _SECRETS[:] = [*secrets_of(list(loaded.models.values())), *secrets_of(list(loaded.sources.values()))]
    return loaded


_SECRETS: list[str] = []
"""The credentials in the catalog that this process loaded."""


def without_secrets(text: str) -> str:
    """A message without the credentials of the catalog and of the environment."""
    from curate.redact import Redactor, secrets_of_environment

    return Redactor((*_SECRETS, *secrets_of_environment()), sure=True)(text)


def or_fail(call: Any) -> Any:
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
    return fail(message)


def print_answer(frame: pl.DataFrame, format_: Format, output: Path | None) -> None:
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
        say(f"{frame.height:,} rows")


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


def say(message: str) -> None:
    print(without_secrets(message), file=sys.stderr)


def fail(message: str) -> NoReturn:
    say(message)
    raise typer.Exit(1)


def or_say(call: Any) -> str:
    """What a call gives, or in its place what is wrong."""
    from curate.errors import CurateError

    try:
        return str(call())
    except CurateError as error:
        return f"not here: {error}"
