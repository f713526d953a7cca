"""Log records as JSON lines in a file: `curate --log-file FILE …`, or CURATE_LOG=FILE for every build.

Everything is logged below the logger ``curate`` (``curate.engine``, ``curate.models``, ``curate.outputs``), so that
a program with a logging
configuration of its own needs none of this. Records never hold texts of rows; credentials are struck out.
"""

from __future__ import annotations

import logging
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import orjson

from curate.redact import Redactor, secrets_of_environment

VARIABLE = "CURATE_LOG"
_STANDARD = frozenset((*logging.makeLogRecord({}).__dict__, "message", "asctime", "taskName"))


class JsonFormatter(logging.Formatter):
    """``time`` (ISO 8601, UTC), ``level``, ``logger``, ``process``, ``message``, and whatever ``extra`` has."""

    def __init__(self) -> None:
        super().__init__()
        self._redact = Redactor(secrets_of_environment(), sure=True)

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": record.process,
            "message": record.getMessage(),
            **{name: value for name, value in record.__dict__.items() if name not in _STANDARD},
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return self._redact(orjson.dumps(line, default=str).decode())


class _Terminal(logging.Handler):
    """Warnings and errors on stderr: the message, and what an error left as its trace; not those of a dataset, which
    are shown with what is built."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._formatter = logging.Formatter()
        self._redact = Redactor(secrets_of_environment(), sure=True)

    def emit(self, record: logging.LogRecord) -> None:
        if hasattr(record, "dataset"):
            return
        trace = f"\n{self._formatter.formatException(record.exc_info)}" if record.exc_info else ""
        print(self._redact(record.getMessage() + trace), file=sys.stderr)


def show_warnings() -> None:
    """Shows warnings of curate that no result shows on stderr, also where they go to a log file. Does so once."""
    logger = logging.getLogger("curate")
    if not any(isinstance(handler, _Terminal) for handler in logger.handlers):
        logger.addHandler(_Terminal())


def open_log(path: str | Path | None = None) -> None:
    """Appends all records of curate, from INFO on, to a file; in this process and every worker of it. Does so once.

    Args:
        path: by default what the environment variable CURATE_LOG says; nothing is logged to a file if it is not set.

    Raises:
        OSError: the file cannot be written.
    """
    wanted = os.environ.get(VARIABLE) if path is None else os.fspath(path)
    if not wanted:
        return
    wanted = str(Path(wanted).expanduser().absolute())
    os.environ[VARIABLE] = wanted  # workers are other processes
    logger = logging.getLogger("curate")
    if any(getattr(handler, "baseFilename", None) == wanted for handler in logger.handlers):
        return
    handler = logging.FileHandler(wanted, encoding="utf-8", delay=False)
    handler.setFormatter(JsonFormatter())
    handler.setLevel(logging.INFO)
    logger.addHandler(handler)
    if logger.getEffectiveLevel() > logging.INFO:
        logger.setLevel(logging.INFO)
