"""Ends a process at its n-th change of a file below a folder, as ``kill -9`` at that moment would.

A test puts this folder on ``PYTHONPATH`` and says in ``CURATE_DIES`` (JSON) ``who`` dies (``driver``, ``worker``),
below which ``folder`` changes are counted, ``at`` which, and the file ``flag`` that says that it has happened: it
happens once.
What libraries write without Python (parquet, SQLite) is not counted; kills at random moments are for that.
"""

import json
import os
import signal
import sys

_CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.truncate", "os.utime"}


def _watch(who: str, folder: str, at: int, flag: str) -> None:
    worker = any("spawn_main" in word or "default_worker" in word for word in sys.orig_argv)
    if worker != (who == "worker"):
        return
    seen = 0

    def look(event: str, given: tuple) -> None:
        nonlocal seen
        if event == "open":
            path, _, flags = given
            changes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        elif event in _CHANGES:
            path, changes = given[0], True
        else:
            return
        if not changes or not isinstance(path, str | bytes | os.PathLike) or not os.fsdecode(path).startswith(folder):
            return
        if os.fsdecode(path) == flag:
            return
        seen += 1
        if seen == at:
            try:
                os.close(os.open(flag, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            except FileExistsError:
                return
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(look)


if "CURATE_DIES" in os.environ:
    _watch(**json.loads(os.environ["CURATE_DIES"]))
