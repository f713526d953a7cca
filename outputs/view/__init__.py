"""A local page over the store: rows kept, dropped and quarantined, thresholds to move, labels to give, versions to
compare.

Nothing is loaded whole: pages are made of the answers to SQL queries over the version's files.
"""

from __future__ import annotations

import getpass
from pathlib import Path

from curate.engine.store.store import Store
from curate.errors import CurateError
from outputs.view.app import App
from outputs.view.labelling import Labels
from outputs.view.pages import problem
from outputs.view.reading import Reader
from outputs.view.server import HOST, Server


class ViewError(CurateError):
    """The page cannot be served."""


class View:
    """A running `curate view`. Use as a context manager.

    Args:
        name: the dataset (``name`` or ``name@ref``) that is opened first; by default the list of all.
        catalog: the file that thresholds are written into, if it exists.
        labels: the file of labels.
        annotator: who labels; by default the login name.
        port: by default any free one.

    Raises:
        StoreError: there is no such version.
        StepError: ``labels`` is there and is no file of labels.
        ViewError: the port is taken.
    """

    def __init__(
        self,
        store: Store,
        name: str | None = None,
        *,
        catalog: Path | None = None,
        labels: Path = Path("labels.jsonl"),
        annotator: str = "",
        port: int = 0,
    ) -> None:
        self._reader = Reader(store)
        first = "/" if name is None else self._reader.version(name).base
        found = catalog if catalog is not None and catalog.is_file() else None
        app = App(self._reader, Labels(labels, annotator or _login()), found)
        try:
            self._server = Server(app, problem, port)
        except OSError as error:
            raise ViewError(f"--port: {HOST}:{port} cannot be used: {error.strerror or error}") from None
        self.address = self._server.address(first)
        """The address to open; it has the token."""

    def __enter__(self) -> View:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.server_close()
        self._reader.close()

    def serve(self) -> None:
        """Answers until :meth:`stop` is called from another thread, or Ctrl-C."""
        self._server.serve_forever(poll_interval=0.1)

    def stop(self) -> None:
        """Ends :meth:`serve`."""
        self._server.shutdown()


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user without a name
        return "me"


__all__ = ["View", "ViewError"]
