"""Runs `curate` commands inside the process of the tests, as its entry point does, on whatever stream they shall print
to: importing everything again takes longer than most commands."""

from __future__ import annotations

import contextlib
import gc
import io
import logging
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import pytest

from curate.cli.main import main


@dataclass
class Done:
    """What became of a command."""

    returncode: int
    stdout: str
    stderr: str


def run(folder: Path, *arguments: str, text: str = "", **environment: str) -> Done:
    """A command whose output is no terminal."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="\n") for _ in range(2))
    code = run_on(folder, arguments, io.StringIO(text), out, err, **environment)
    printed, complained = (stream.buffer.getvalue().decode() for stream in (out, err))
    return Done(code, printed, complained)


def run_on(
    folder: Path, arguments: tuple[str, ...], stdin: TextIO, stdout: TextIO, stderr: TextIO, **environment: str
) -> int:
    """A command on these streams, which stay open; its exit code. What it changes of this process is changed back."""
    logger, thresholds = logging.getLogger("curate"), gc.get_threshold()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("CURATE_LOG", "")  # `--log-file` sets it for workers, and that is to be changed back
        for name, value in environment.items():
            patch.setenv(name, value)
        for name, stream in (("stdin", stdin), ("stdout", stdout), ("stderr", stderr)):
            patch.setattr(sys, name, stream)
        patch.setattr(sys, "argv", ["curate", *arguments])
        before, level = [*logger.handlers], logger.level
        try:
            main()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        finally:
            for stream in (stdout, stderr):
                with contextlib.suppress(ValueError):
                    stream.flush()
            for handler in [one for one in logger.handlers if one not in before]:
                logger.removeHandler(handler)
                handler.close()
            logger.setLevel(level)
            gc.set_threshold(*thresholds)
    return code
