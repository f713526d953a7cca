"""Publishes to a local folder, which is replaced as a whole: the new one is built next to it, keeps foreign files, and
takes its name."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal

from curate.engine.store.store import sync_folder
from curate.errors import PublishError
from outputs.publishing.layout import Item, digest
from outputs.publishing.targets import MANIFEST, README, PublishTarget, RemoteFile, State, read_manifest


class Folder(PublishTarget):
    """A local folder."""

    form: ClassVar[Literal["hub", "folder", "url"]] = "folder"

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        # A symbolic link is kept; its target is replaced.
        self.path = path.resolve()
        if self.path == Path(self.path.anchor) or self.path == Path.home():
            raise PublishError(f"{path} cannot be replaced as a whole; name a folder below it")

    def state(self) -> State:
        if not self.path.exists():
            return State(exists=False)
        if not self.path.is_dir():
            raise PublishError(f"{self.address} is a file, not a folder")
        try:
            files = {}
            for path in sorted(self.path.rglob("*")):
                if path.is_file():
                    files[path.relative_to(self.path).as_posix()] = RemoteFile(path.stat().st_size, digest(path))
            card, manifest = self.path / README, self.path / MANIFEST
            return State(
                files,
                card=card.read_bytes().decode("utf-8", "replace") if card.is_file() else "",
                manifest=read_manifest(manifest.read_bytes()) if manifest.is_file() else {},
            )
        except OSError as error:
            raise PublishError(f"{self.address} cannot be read: {error.strerror or error}") from None

    def apply(self, items: Sequence[Item], remove: Sequence[str], state: State, message: str) -> str:
        mark = uuid.uuid4().hex[:8]
        new, old = (self.path.with_name(f".tmp-{self.path.name}-{mark}-{what}") for what in ("new", "old"))
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            new.mkdir()
            if self.path.exists():
                self._carry(new, {*remove, *(item.path for item in items)})
            for item in items:
                _place(item, new / item.path)
            for folder in [new, *(path for path in new.rglob("*") if path.is_dir())]:
                sync_folder(folder)
            if self.path.exists():
                self.path.rename(old)
            try:
                new.rename(self.path)
            except OSError:
                if old.exists():
                    old.rename(self.path)
                raise
            sync_folder(self.path.parent)
        except OSError as error:
            raise PublishError(f"{self.address} cannot be written: {error.strerror or error}") from None
        finally:
            shutil.rmtree(new, ignore_errors=True)
            shutil.rmtree(old, ignore_errors=True)
        return ""

    def _carry(self, new: Path, without: set[str]) -> None:
        """Copies the files of others."""
        for path in self.path.rglob("*"):
            name = path.relative_to(self.path).as_posix()
            target = new / name
            if (path.is_symlink() or path.is_file()) and name not in without:
                target.parent.mkdir(parents=True, exist_ok=True)
                if path.is_symlink():
                    target.symlink_to(path.readlink())
                else:
                    shutil.copy2(path, target)


def _place(item: Item, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(item.content, bytes):
        target.write_bytes(item.content)
    else:
        # A copy, never a link: editing the folder must not edit the store.
        shutil.copyfile(item.content, target)
        if digest(target) != item.sha256:
            raise PublishError(f"{item.content} changed while it was copied; see 'curate verify'")
    with target.open("rb") as file:
        os.fsync(file.fileno())
