"""Base class of models that transformers loads, from a folder (identified by its content) or the Hub (at one
commit)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from curate.errors import ModelError
from curate.models.loading.hub import digest_folder, resolve_commit
from curate.steps.models import Model


class Weights(Model):
    """Name and revision of a model with the parameters ``model`` (a folder, or ``organisation/name``) and
    ``revision``."""

    model: str
    revision: str | None = None

    def _folder(self) -> Path | None:
        folder = Path(self.model).expanduser()
        if (folder / "config.json").is_file():
            return folder
        if folder.is_dir() or folder.is_absolute() or self.model.startswith((".", "~")) or self.model.count("/") != 1:
            raise ModelError(
                f"'{self.model}' is neither a folder with a model (config.json) nor organisation/name on the Hub"
            )
        return None

    def identity(self, *, decisions: bool = True) -> dict[str, Any]:
        """The parameters without ``model`` and ``revision``, which :meth:`name_and_revision` covers."""
        given = super().identity(decisions=decisions)
        return {name: value for name, value in given.items() if name not in ("model", "revision")}

    def name_and_revision(self) -> str:
        """``organisation/name@commit``, or ``local@digest`` for a folder."""
        folder = self._folder()
        if folder is not None:
            return f"local@{digest_folder(folder)[:32]}"
        return f"{self.model}@{resolve_commit(self.model, self.revision)}"
