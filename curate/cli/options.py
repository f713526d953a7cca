"""What all commands of the command line share: options, how a call fails."""

from __future__ import annotations

import contextlib
import logging
import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

import curate

if TYPE_CHECKING:
    from curate.catalog import Catalog

CatalogFile = Annotated[Path, typer.Option("--catalog", "-c", help="The catalog.")]
StoreFolder = Annotated[
    str | None, typer.Option("--store", help="The store's folder or URL; by default the catalog's.")
]
Datasets = Annotated[list[str] | None, typer.Argument(help="Datasets; all of the catalog's if none is named.")]
Variables = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Set a catalog variable, e.g. languages.targets=[sw]."),
]
DEFAULT = Path("catalog.yaml")


def number(value: float | None) -> float | None:
    """For options: ``nan`` is no number, and no limit would ever be below it."""
    if value is not None and math.isnan(value):
        raise typer.BadParameter("nan is no number")
    return value


def load(file: Path, settings: list[str] | None) -> Catalog:
    from curate.catalog.document import read_value
    from curate.redact import secrets_of

    variables: dict[str, Any] = {}
    for setting in settings or []:
        name, equals, value = setting.partition("=")
        if not equals:
            fail(f"--set wants NAME=VALUE, not '{setting}'")
        # By the catalog's own rules: `[no]` is Norwegian here too.
        variables[name] = or_fail(lambda value=value, name=name: read_value(value, f"--set {name}"))
    loaded: Catalog = or_fail(lambda: curate.load_catalog(file, variables=variables))
    _SECRETS[:] = [*secrets_of(list(loaded.models.values())), *secrets_of(list(loaded.sources.values()))]
    return loaded


_SECRETS: list[str] = []
"""The credentials in the catalog that this process loaded."""


def without_secrets(text: str) -> str:
    """A message without the credentials of the catalog and of the environment."""
    from curate.redact import Redactor, secrets_of_environment

    return Redactor((*_SECRETS, *secrets_of_environment()), sure=True)(text)


def or_fail(call: Any) -> Any:
    """Runs a call; expected errors become a message and exit code 1, all others keep their trace; 130 is the shell's
    code of what Ctrl-C stopped."""
    from curate.catalog import CatalogError
    from curate.errors import CurateError, is_disk_full

    code = 1
    try:
        with _warnings_on_failure():
            return call()
    except CatalogError as error:
        count = len(error.problems)
        message = f"{error}\n{count} problem{'s' if count > 1 else ''}"
    except CurateError as error:
        message = str(error)
    except OSError as error:
        if not is_disk_full(error):
            raise
        message = f"{error.filename or 'the disk'}: {error.strerror}"
    except KeyboardInterrupt:
        message, code = "stopped; what was finished is kept, build again to go on", 130
    # Out here the error and the frames it holds (an open database among them) are gone.
    return fail(message, code)


@contextlib.contextmanager
def _warnings_on_failure() -> Iterator[None]:
    """Shows the warnings of a build that fails; those of one that does not are shown with its result."""
    from curate.errors import CurateError

    kept = _Kept(logging.WARNING)
    logger = logging.getLogger("curate.engine")
    logger.addHandler(kept)
    try:
        yield
    except (CurateError, KeyboardInterrupt):
        for stage, message in kept.warnings:
            say(f"! {stage}: {message}" if stage else f"! {message}")
        raise
    finally:
        logger.removeHandler(kept)


class _Kept(logging.Handler):
    def __init__(self, level: int) -> None:
        super().__init__(level)
        self.warnings: list[tuple[str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        if hasattr(record, "dataset"):
            self.warnings.append((getattr(record, "stage", ""), record.getMessage()))


def say(message: str) -> None:
    print(without_secrets(message), file=sys.stderr)


def fail(message: str, code: int = 1) -> NoReturn:
    say(message)
    raise typer.Exit(code)


def or_say(call: Any) -> str:
    """What a call gives, or in its place what is wrong."""
    from curate.errors import CurateError

    try:
        return str(call())
    except CurateError as error:
        return f"not here: {error}"


def print_table(rows: Sequence[tuple[str, ...]], *, left: int) -> None:
    """Prints lines of cells in columns; the first ``left`` columns are aligned at their beginning."""
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    for row in rows:
        cells = (
            cell.ljust(width) if index < left else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        print("  ".join(cells).rstrip())
