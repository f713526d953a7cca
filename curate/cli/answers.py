"""How the answer to a query is printed or written: as a table, records, CSV, JSON, JSON lines or Parquet, piece by
piece."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from curate.cli.options import say

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

_GROUP_BYTES = 64_000_000
"""Of a row group of a Parquet file."""


_NOT_SHOWN = ("PanicException", "ComputeError", "InvalidOperationError", "ArrowInvalid", "ArrowNotImplementedError")


class Format(StrEnum):
    """How an answer is printed."""

    TABLE = "table"
    RECORDS = "records"
    CSV = "csv"
    JSON = "json"
    JSONL = "jsonl"
    PARQUET = "parquet"


def print_answer(answer: pl.DataFrame | Iterable[pa.RecordBatch], format_: Format, output: Path | None) -> None:
    """Prints an answer, or writes it to a file, which is there afterwards as a whole or not at all.

    Args:
        answer: a frame, or batches that are written as they come, so that memory does not grow with the answer (but
            for a table).
        output: the file; standard output unless given.

    Raises:
        QueryError: it cannot be written there, or in this format.
    """
    import polars as pl

    from curate.errors import QueryError

    if format_ is Format.PARQUET and output is None:
        raise QueryError("parquet needs a file: --output FILE")
    frames = [answer] if isinstance(answer, pl.DataFrame) else (pl.DataFrame(pl.from_arrow(one)) for one in answer)
    try:
        if output is None:
            count = _write(frames, format_, sys.stdout, rows=200)
            if format_ is Format.TABLE:
                say(f"{count:,} rows")
            return
        with _whole(output, binary=format_ is Format.PARQUET) as file:
            count = _write_parquet(answer, file) if format_ is Format.PARQUET else _write(frames, format_, file)
        say(f"{count:,} rows written to {output}")
    except (BrokenPipeError, QueryError):
        raise
    except OSError as error:
        raise QueryError(f"{output or 'the answer'} cannot be written: {error.strerror or error}") from None
    except BaseException as error:
        # Polars panics at dates that have no calendar day, such as DATE 'infinity'; that is no Exception.
        if type(error).__name__ not in _NOT_SHOWN:
            raise
        raise QueryError(
            f"the answer holds a value that {format_} cannot show ({error}); cast its column to VARCHAR"
        ) from None
    finally:
        if isinstance(answer, Generator):
            answer.close()  # so that the database can be asked again


@contextlib.contextmanager
def _whole(output: Path, *, binary: bool) -> Iterator[IO[Any]]:
    """A file to write that takes the place of ``output`` at the end; what is no regular file (a pipe, a device) is
    written directly."""
    target = Path(os.path.realpath(output))
    regular = not target.exists() or stat.S_ISREG(target.stat().st_mode)
    path = target.with_name(f".{target.name}.{os.getpid()}.part") if regular else target
    try:
        with path.open("wb") if binary else path.open("w", encoding="utf-8", newline="") as file:
            yield file
        if regular:
            path.replace(target)
    finally:
        if regular:
            path.unlink(missing_ok=True)


def _write(frames: Iterable[pl.DataFrame], format_: Format, out: Any, rows: int | None = None) -> int:
    import polars as pl

    if format_ is Format.TABLE:
        frame = pl.concat(frames)
        out.write(_table(frame, frame.height if rows is None else rows))
        return frame.height
    count = 0
    for number, frame in enumerate(frames):
        if format_ is Format.RECORDS:
            _write_records(frame, count, out)
        elif format_ is Format.CSV:
            out.write(_csv(frame, header=number == 0))
        elif format_ is Format.JSONL:
            out.writelines(f"{_json(row)}\n" for row in _rows(frame))
        else:
            for row in _rows(frame):
                out.write((",\n  " if count else "[\n  ") + _json(row, indented=True).replace("\n", "\n  "))
                count += 1
            continue
        count += frame.height
    if format_ is Format.JSON:
        out.write("\n]\n" if count else "[]\n")
    return count


def _write_records(frame: pl.DataFrame, before: int, out: Any) -> None:
    from curate.records import plain, value_record

    for number, row in enumerate(_rows(frame), before + 1):
        out.write(("\n" if number > 1 else "") + plain([value_record(row, f"row {number:,}")]) + "\n")


def _write_parquet(answer: pl.DataFrame | Iterable[pa.RecordBatch], file: IO[bytes]) -> int:
    import polars as pl
    import pyarrow as pa
    import pyarrow.parquet as pq

    if isinstance(answer, pl.DataFrame):
        answer.write_parquet(file)
        return answer.height
    batches = iter(answer)
    held = [next(batches)]
    count, size = int(held[0].num_rows), int(held[0].nbytes)
    with pq.ParquetWriter(file, held[0].schema, compression="zstd") as writer:
        for batch in batches:
            if size >= _GROUP_BYTES:
                writer.write_table(pa.Table.from_batches(held))
                held, size = [], 0
            held.append(batch)
            count, size = count + batch.num_rows, size + batch.nbytes
        writer.write_table(pa.Table.from_batches(held))
    return count


def _table(frame: pl.DataFrame, rows: int) -> str:
    import polars as pl

    with pl.Config(
        tbl_rows=rows,
        tbl_cols=50,
        fmt_str_lengths=100,
        fmt_table_cell_list_len=8,
        tbl_hide_dataframe_shape=True,
        tbl_hide_column_data_types=True,
        tbl_width_chars=160,
    ):
        return f"{frame}\n"


def _csv(frame: pl.DataFrame, *, header: bool) -> str:
    import orjson
    import polars as pl

    def nested(value: Any) -> str:
        value = value.to_list() if isinstance(value, pl.Series) else value
        return orjson.dumps(value, default=_jsonable).decode()

    texts = []
    for name, dtype in frame.schema.items():
        if dtype.is_nested():
            form: Callable[[Any], str] = nested
            if "Map(" in repr(dtype):
                form = lambda value: _json(_plain(value.to_list() if isinstance(value, pl.Series) else value))  # noqa: E731
            texts.append(pl.col(name).map_elements(form, return_dtype=pl.String))
        elif dtype == pl.Binary:
            texts.append(pl.col(name).map_elements(_jsonable, return_dtype=pl.String))
    return frame.with_columns(texts).write_csv(include_header=header)


def _rows(frame: pl.DataFrame) -> list[dict[str, Any]]:
    rows = frame.to_dicts()
    return [_plain(row) for row in rows] if any("Map(" in repr(dtype) for dtype in frame.dtypes) else rows


def _json(value: Any, *, indented: bool = False) -> str:
    import orjson

    return orjson.dumps(value, default=_jsonable, option=orjson.OPT_INDENT_2 if indented else 0).decode()


def _plain(value: Any) -> Any:
    """The value with texts as keys, as JSON wants them."""
    if isinstance(value, dict):
        return {key if isinstance(key, str) else _json(key).strip('"'): _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _jsonable(value: Any) -> str:
    """What JSON has no form for, as text: decimals and times as they are written, bytes in hexadecimal."""
    return value.hex() if isinstance(value, bytes) else str(value)
