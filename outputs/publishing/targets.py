"""Publish targets: the contract (read the state, apply all changes atomically where possible) and the comparison.

The targets are in :mod:`outputs.publishing.hub`, :mod:`outputs.publishing.folder` and :mod:`outputs.publishing.fsspec`.
"""

from __future__ import annotations

import fnmatch
import hashlib
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal
from urllib.parse import urlsplit

import orjson

from outputs.publishing.layout import Item

README = "README.md"
MANIFEST = "manifest.json"
Action = Literal["add", "change", "same", "remove"]


@dataclass(frozen=True)
class RemoteFile:
    """A file at the target; unknown values are None."""

    size: int
    """In bytes."""
    sha256: str | None = None
    blob: str | None = None
    """Git's digest of it."""

    def same(self, item: Item) -> bool:
        """Whether it is this file, as far as known."""
        if self.size != item.size:
            return False
        if self.sha256 is not None:
            return self.sha256 == item.sha256
        return self.blob is not None and self.blob == git_digest(item.read())


@dataclass(frozen=True)
class State:
    """The content of a target."""

    files: Mapping[str, RemoteFile] = field(default_factory=dict)
    head: str | None = None
    """The commit, if the target has commits."""
    exists: bool = True
    private: bool | None = None
    card: str = ""
    manifest: Mapping[str, Any] = field(default_factory=dict)
    """The manifest of curate's last publication there; empty if there is none."""
    tags: Mapping[str, str] = field(default_factory=dict)
    cut_off: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """After an interrupted publication: path → SHA-256 of curate's files there before, or of those to be written."""

    @property
    def ours(self) -> dict[str, str]:
        """Path → SHA-256 of the files that curate published there last."""
        listed = self.manifest.get("publication", {}).get("files", [])
        return {path: digests[-1] for path, digests in self.cut_off.items() if digests} | {
            str(one["path"]): str(one["sha256"])
            for one in listed
            if isinstance(one, Mapping) and "path" in one and "sha256" in one
        }

    @property
    def version(self) -> str:
        """The version that curate published there last."""
        return str(self.manifest.get("version", ""))


@dataclass(frozen=True)
class Change:
    """What publishing does to one file."""

    path: str
    action: Action
    size: int
    sha256: str


@dataclass(frozen=True)
class TargetAddress:
    """A target as shown in a card."""

    form: Literal["hub", "folder", "url"]
    address: str
    """``org/name``, a folder, or a URL without secrets."""


class Conflict(Exception):
    """The target was changed by others since it was read."""


class UnknownState(Exception):
    """A response was lost: the change may or may not have been made."""


class PublishTarget(ABC):
    """A publish target."""

    form: ClassVar[Literal["hub", "folder", "url"]]

    def __init__(self, address: str) -> None:
        self.address = address
        """As it may be shown and recorded: nothing secret in it."""

    @abstractmethod
    def state(self) -> State:
        """The current content.

        Raises:
            PublishError: it cannot be reached or read.
        """

    @abstractmethod
    def apply(self, items: Sequence[Item], remove: Sequence[str], state: State, message: str) -> str:
        """Makes all changes, atomically where possible.

        Args:
            items: all files; those already there need not be sent.
            remove: files to delete.
            state: the state on which the changes are based.

        Returns:
            The commit; empty if the target has none.

        Raises:
            Conflict: the target is no longer in that state.
            UnknownState: it is unknown whether the change was made.
            PublishError: it is not possible.
        """

    def tag(self, name: str, commit: str, state: State) -> bool:
        """Tags a commit; returns whether the target has tags."""
        return False

    def settle(self, state: State) -> list[str]:
        """Applies other settings (visibility); returns what was done."""
        return []


def git_digest(data: bytes) -> str:
    """Git's digest of a file's content."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def compare(items: Sequence[Item], state: State) -> list[Change]:
    """The required changes, file by file, in the order of their names; other files are not touched."""
    items_by_path = {item.path: item for item in items}
    changes = []
    for path, item in items_by_path.items():
        known = state.files.get(path)
        action: Action = "add" if known is None else "same" if known.same(item) else "change"
        changes.append(Change(path, action, item.size, item.sha256))
    for path, digest in state.ours.items():
        if path not in items_by_path and path in state.files:
            changes.append(Change(path, "remove", state.files[path].size, digest))
    return sorted(changes, key=lambda change: change.path)


def in_the_way(items: Sequence[Item], patterns: Sequence[str], state: State) -> list[str]:
    """Foreign files that would be lost or read as data, as messages."""
    paths, ours = {item.path for item in items}, state.ours
    conflicts = []
    if README in state.files and state.card:
        digest = hashlib.sha256(state.card.encode()).hexdigest()
        blank = not state.card.strip() or re.fullmatch(r"---\s*\n(license:.*\n)?---\s*", state.card)
        if (
            README in ours
            and digest not in (ours[README], *state.cut_off.get(README, ()))
            and not any(item.path == README and item.read() == state.card.encode() for item in items)
        ):
            conflicts.append("README.md was edited by hand since curate wrote it")
        elif README not in ours and not blank and digest not in {item.sha256 for item in items}:
            conflicts.append("README.md was not written by curate")
    for path in state.files:
        if path not in paths and path not in ours and any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns):
            conflicts.append(f"{path} would be read as data and was not put there by curate")
    mine = {README, *ours, *([MANIFEST] if state.manifest else [])}
    for path in paths - mine:
        known = state.files.get(path)
        if known is not None and not known.same(next(item for item in items if item.path == path)):
            conflicts.append(f"{path} was not put there by curate")
    return sorted(conflicts)


def read_manifest(data: bytes) -> dict[str, Any]:
    """The manifest of a publication by curate; empty for anything else."""
    try:
        manifest = orjson.loads(data)
    except orjson.JSONDecodeError:
        return {}
    return manifest if isinstance(manifest, dict) and isinstance(manifest.get("publication"), dict) else {}


def human(size: int) -> str:
    """A size in bytes for display."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= factor:
            return f"{size / factor:,.1f} {unit}"
    return f"{size} bytes"


def shown(url: str) -> str:
    """A URL without user, password, query and fragment; for a chain (``zip://…::s3://…``) each part."""
    return "::".join(_shown(part) for part in url.split("::")).rstrip("/")


def _shown(url: str) -> str:
    parts = urlsplit(url)
    if not parts.scheme or "://" not in url:
        return url.partition("?")[0].rpartition("@")[2]
    place, path = parts.netloc.rpartition("@")[2], parts.path
    port = place.rpartition(":")[2] if ":" in place else ""
    if "@" in path and port and not port.isdigit():  # a password with a '/' in it
        place, path = "", path.rpartition("@")[2]
    return f"{parts.scheme}://{place}{path}".rstrip("/")


def target_address(place: PublishTarget) -> TargetAddress:
    """A target as shown in a card; of a folder only its name."""
    return TargetAddress(
        place.form, f"./{Path(place.address).absolute().name}" if place.form == "folder" else place.address
    )
