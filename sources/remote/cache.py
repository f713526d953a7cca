"""Fetches remote files into the user's cache: each once for each state, whole or not at all.

A unit names such a file by a path that exists nowhere (``remote:/FILE/STATE/NAME``); whoever reads it asks for the file
on this machine (:func:`local`). A transfer that breaks off, or is killed, goes on where it was, as far as the server
can.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import orjson

from curate.files import exclusively
from curate.steps import SourceError
from curate.user_cache import cache_folder
from sources.archives import split_inside
from sources.remote.addresses import (
    WEB,
    About,
    Unreachable,
    changed,
    file_name,
    is_url,
    key_of,
    protocol,
    public,
    state_key,
)
from sources.remote.systems import System
from sources.remote.web import Web

_REMOTE = "remote:"
_NOTE = "about.json"
_OF_CONTENT = ("sha256 ", "md5 ", "blob ", "content ")
TRIES = 5
"""How often in a row a transfer may break off without having come further."""
PAUSE = 1.0
"""Seconds before a broken transfer goes on."""


@dataclass(frozen=True)
class RemoteFile:
    """A file behind a URL."""

    url: str
    state: str
    note: str = ""
    """What the user is to know before it is used."""

    @property
    def place(self) -> Path:
        """What a unit calls it: a path that exists nowhere."""
        return Path(_REMOTE, key_of(self.url), state_key(self.state), file_name(self.url))

    @property
    def version(self) -> str:
        """Its state among all files: etags and times are those of an address, digests those of the content."""
        return self.state if self.state.startswith(_OF_CONTENT) else f"{public(self.url)}@{self.state}"

    @property
    def parts(self) -> tuple[str, ...]:
        """Host (or bucket) and path, for naming it."""
        return PurePosixPath(public(self.url).partition("://")[2].lstrip("/")).parts


def is_remote(path: Path) -> bool:
    return path.parts[:1] == (_REMOTE,)


def locate(url: str, accepts: Callable[[str], bool]) -> list[RemoteFile]:
    """The files that a URL stands for, each with its state; nothing is fetched if their server tells that.

    Args:
        accepts: whether a folder's file of this name is one.

    Raises:
        SourceError: there is none, or it cannot be asked and there is none in the cache.
    """
    if "::" in url:
        raise SourceError(
            f"{public(url)}: URLs inside URLs ('::') are not read; give that of the file, or of an archive"
        )
    listing = _root() / "listings" / f"{key_of(url)}.json"
    try:
        if protocol(url) in WEB:
            if "*" in public(url):
                raise SourceError(f"{public(url)}: web servers do not list files; write the URL of each")
            found = {url: Web().ask(url)}
        else:
            found = System(url).expand(accepts)
        if not found:
            raise SourceError(f"{public(url)}: no file matches; check the bucket (or host) and the pattern")
        files = [RemoteFile(one, about.state or _content_state(one)) for one, about in found.items()]
    except Unreachable as error:
        return _kept(listing, error)
    with contextlib.suppress(OSError):  # only needed where the server is away
        listing.parent.mkdir(parents=True, exist_ok=True)
        _write(listing, orjson.dumps([public(file.url) for file in files]))
    return files


def local(path: Path, urls: Sequence[str]) -> Path:
    """The file of a :attr:`RemoteFile.place` on this machine, fetched if it is not there.

    Args:
        urls: what the source was given; one of them is, or stands for, the file.

    Raises:
        SourceError: it cannot be fetched.
    """
    _, key, state, name = path.parts[:4]
    kept = _root() / key / state / name
    if not _complete(kept):
        _fetch(_url_of(key, urls, name), kept)
    return kept.joinpath(*path.parts[4:])


def urls_in(*paths: str | Sequence[str] | None) -> list[str]:
    """The URLs among some paths; of those of members of archives that of the archive."""
    every = [one for path in paths for one in ([path] if isinstance(path, str) else path or ())]
    return [split_inside(one)[0] for one in every if is_url(one)]


def _root() -> Path:
    return cache_folder() / "sources"


def _url_of(key: str, urls: Sequence[str], name: str) -> str:
    for url in urls:
        if key_of(url) == key:
            return url
    for url in urls:
        if protocol(url) not in WEB:
            for one in System(url).expand(lambda _: True):
                if key_of(one) == key:
                    return one
    raise SourceError(f"{name} is no longer among the files of 'path'; build again")


# ---------------------------------------------------------------------------------------------------------------- kept
def _complete(file: Path) -> bool:
    about = _about(file.parent)
    return about is not None and file.is_file() and file.stat().st_size == about["size"]


def _about(folder: Path) -> dict[str, object] | None:
    try:
        found = orjson.loads((folder / _NOTE).read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _kept(listing: Path, error: Unreachable) -> list[RemoteFile]:
    """The files in the cache that a URL stood for when it could last be asked; raises ``error`` if one is missing."""
    try:
        urls = orjson.loads(listing.read_bytes())
    except (OSError, ValueError):
        urls = []
    files = []
    for url in urls:
        folders = sorted(
            (folder for folder in (_root() / key_of(url)).glob("*/") if _complete(folder / file_name(url))),
            key=lambda folder: (folder / _NOTE).stat().st_mtime_ns,
        )
        about = _about(folders[-1]) if folders else None
        if about is None:
            raise error
        note = (
            f"{error}; the copy of {time.strftime('%Y-%m-%d %H:%M', time.localtime(float(str(about['at']))))} is used"
        )
        files.append(RemoteFile(url, str(about["state"]), note.replace("; check the network and try again", "")))
    if not files:
        raise error
    return files


# --------------------------------------------------------------------------------------------------------------- fetch
def _fetch(url: str, kept: Path) -> None:
    """Fetches a file to its place in the cache; its state must still be that of the place."""
    system = Web() if protocol(url) in WEB else System(url)
    about = system.ask(url)
    if about.state and state_key(about.state) != kept.parent.name:
        raise changed(url)
    if not about.state:
        _content_state(url)
        if not _complete(kept):
            raise changed(url)
        return
    with _keeping(url), exclusively(kept.parent.parent / "lock"):
        if _complete(kept):
            return  # another process fetched it meanwhile
        kept.parent.mkdir(parents=True, exist_ok=True)
        part = kept.with_name(f"{kept.name}.part")
        _transfer(system, url, about, part)
        _keep(url, about, part, kept)


def _content_state(url: str) -> str:
    """The state of a file of which its server tells nothing: it is fetched, and its content is its state."""
    system = Web() if protocol(url) in WEB else System(url)
    folder = _root() / key_of(url)
    with _keeping(url), exclusively(folder / "lock"):
        handle, name = tempfile.mkstemp(dir=folder, suffix=".part")
        os.close(handle)
        part = Path(name)
        try:
            about = replace(system.ask(url), etag="")
            _transfer(system, url, about, part)
            with part.open("rb") as file:
                digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=20)).hexdigest()
            kept = folder / state_key(f"content {digest}") / file_name(url)
            if not _complete(kept):
                kept.parent.mkdir(exist_ok=True)
                _keep(url, replace(about, state=f"content {digest}"), part, kept)
        finally:
            part.unlink(missing_ok=True)
    return f"content {digest}"


def _transfer(system: Web | System, url: str, about: About, part: Path) -> None:
    """Appends to a part until the file is whole."""
    furthest, left = -1, TRIES
    while True:
        start = part.stat().st_size if part.exists() else 0
        if about.size is not None and start > about.size:
            start = 0
        if start and start == about.size:
            return
        try:
            with part.open("r+b" if part.exists() else "w+b") as file:
                _append(system.content(url, about, start), file)
        except Unreachable:
            reached = part.stat().st_size if part.exists() else 0
            left = TRIES if reached > furthest else left - 1
            furthest = max(furthest, reached)
            if left <= 0:
                raise
            time.sleep(PAUSE)
        else:
            return


def _append(content: Iterator[bytes | int], file: BinaryIO) -> None:
    for block in content:
        if isinstance(block, int):
            file.truncate(block)
            file.seek(block)
        else:
            file.write(block)
            file.flush()


def _keep(url: str, about: About, part: Path, kept: Path) -> None:
    """Moves a whole part to its place, if it has the size and the checksum that it should have."""
    size = part.stat().st_size
    problem = f"{size:,} bytes came instead of {about.size:,}" if about.size is not None and size != about.size else ""
    if not problem and about.checksum is not None:
        name, expected = about.checksum
        with part.open("rb") as file:
            found = hashlib.file_digest(file, name).hexdigest()
        problem = f"its {name} is {found}, not {expected}" if found != expected else ""
    if problem:
        part.unlink()
        raise SourceError(f"{public(url)}: the transfer was damaged ({problem}); build again, which fetches it anew")
    with part.open("rb+") as file:
        os.fsync(file.fileno())
    note = {"url": public(url), "state": about.state, "size": size, "at": time.time()}
    part.replace(kept)
    _write(kept.parent / _NOTE, orjson.dumps(note))
    for other in kept.parent.parent.iterdir():  # earlier states of the same file
        if other.is_dir() and other != kept.parent:
            shutil.rmtree(other, ignore_errors=True)


def _write(file: Path, data: bytes) -> None:
    handle, name = tempfile.mkstemp(dir=file.parent, suffix=".new")
    with os.fdopen(handle, "wb") as new:
        new.write(data)
    Path(name).replace(file)


@contextlib.contextmanager
def _keeping(url: str) -> Iterator[None]:
    """Converts errors of the disk."""
    try:
        yield
    except OSError as error:
        raise SourceError(
            f"{public(url)}: it cannot be kept in {_root()}: {error.strerror or error}; CURATE_CACHE names another "
            "folder"
        ) from error
