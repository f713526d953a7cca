"""A place is where a version is published to; whatever stands behind it, it can say what is there and take all changes
at once.

This module has the contract and the comparison; :mod:`outputs.publishing.hub`, :mod:`outputs.publishing.folder` and
:mod:`outputs.publishing.fsspec` have the places.
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
class Known:
    """A file that is there already; what is not known is None."""

    size: int
    """In bytes."""
    sha256: str | None = None
    blob: str | None = None
    """Git's digest of it."""

    def same(self, item: Item) -> bool:
        """Whether it is this file, for all that is known."""
        if self.size != item.size:
            return False
        if self.sha256 is not None:
            return self.sha256 == item.sha256
        return self.blob is not None and self.blob == git_digest(item.read())


@dataclass(frozen=True)
class State:
    """What is there."""

    files: Mapping[str, Known] = field(default_factory=dict)
    head: str | None = None
    """The commit, where there are commits."""
    exists: bool = True
    private: bool | None = None
    card: str = ""
    manifest: Mapping[str, Any] = field(default_factory=dict)
    """What curate published there last; empty if it never did."""
    tags: Mapping[str, str] = field(default_factory=dict)
    cut_off: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Where publishing was cut off: path → SHA-256 of what curate had there before or was to put there."""

    @property
    def ours(self) -> dict[str, str]:
        """Path → SHA-256 of the files that curate put there last."""
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
class Shown:
    """A place as a card tells it, for its instructions."""

    form: Literal["hub", "folder", "url"]
    address: str
    """``org/name``, a folder, or a URL without anything secret."""


class Conflict(Exception):
    """Somebody else changed the place since it was looked at."""


class Unsure(Exception):
    """An answer was lost: the change may have been made or not."""


class Place(ABC):
    """Where a version goes."""

    form: ClassVar[Literal["hub", "folder", "url"]]

    def __init__(self, address: str) -> None:
        self.address = address
        """As it may be shown and recorded: nothing secret in it."""

    @abstractmethod
    def state(self) -> State:
        """What is there now.

        Raises:
            PublishError: it cannot be reached or may not be read.
        """

    @abstractmethod
    def apply(self, items: Sequence[Item], remove: Sequence[str], state: State, message: str) -> str:
        """Makes all changes, as one where that is possible.

        Args:
            items: all files; those that are there already need not be sent.
            remove: files to take away.
            state: what the changes were worked out against.

        Returns:
            The commit; empty where there are none.

        Raises:
            Conflict: it is not in that state any more.
            Unsure: nobody knows whether it happened.
            PublishError: it cannot be done.
        """

    def tag(self, name: str, commit: str, state: State) -> bool:
        """Gives a commit a name; whether there is such a thing here."""
        return False

    def settle(self, state: State) -> list[str]:
        """What else has to be as it was asked for (who may read it); tells what was done."""
        return []


def git_digest(data: bytes) -> str:
    """Git's digest of a file's content."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def compare(items: Sequence[Item], state: State) -> list[Change]:
    """What has to happen, file by file, in the order of their names; files of others are left alone."""
    wanted = {item.path: item for item in items}
    changes = []
    for path, item in wanted.items():
        known = state.files.get(path)
        action: Action = "add" if known is None else "same" if known.same(item) else "change"
        changes.append(Change(path, action, item.size, item.sha256))
    for path, digest in state.ours.items():
        if path not in wanted and path in state.files:
            changes.append(Change(path, "remove", state.files[path].size, digest))
    return sorted(changes, key=lambda change: change.path)


def in_the_way(items: Sequence[Item], patterns: Sequence[str], state: State) -> list[str]:
    """What is there by another hand and would be lost or be read as data, in words."""
    wanted, ours = {item.path for item in items}, state.ours
    found = []
    if README in state.files and state.card:
        digest = hashlib.sha256(state.card.encode()).hexdigest()
        blank = not state.card.strip() or re.fullmatch(r"---\s*\n(license:.*\n)?---\s*", state.card)
        if (
            README in ours
            and digest not in (ours[README], *state.cut_off.get(README, ()))
            and not any(item.path == README and item.read() == state.card.encode() for item in items)
        ):
            found.append("README.md was edited by hand since curate wrote it")
        elif README not in ours and not blank and digest not in {item.sha256 for item in items}:
            found.append("README.md was not written by curate")
    for path in state.files:
        if path not in wanted and path not in ours and any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns):
            found.append(f"{path} would be read as data and was not put there by curate")
    mine = {README, *ours, *([MANIFEST] if state.manifest else [])}
    for path in wanted - mine:
        known = state.files.get(path)
        if known is not None and not known.same(next(item for item in items if item.path == path)):
            found.append(f"{path} was not put there by curate")
    return sorted(found)


def read_manifest(data: bytes) -> dict[str, Any]:
    """What curate published; empty if these bytes are something else."""
    try:
        found = orjson.loads(data)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) and isinstance(found.get("publication"), dict) else {}


def human(size: int) -> str:
    """A size in bytes as a person reads it."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= factor:
            return f"{size / factor:,.1f} {unit}"
    return f"{size} bytes"


def shown(url: str) -> str:
    """A URL without user, password, query and fragment; of a chain (``zip://…::s3://…``) each part."""
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


def shown_place(place: Place) -> Shown:
    """A place as a card tells it; of a folder only its name, for the rest is this machine's affair."""
    return Shown(place.form, f"./{Path(place.address).absolute().name}" if place.form == "folder" else place.address)
