"""Files of the file systems of fsspec (``s3://``, ``gs://``, ``hf://`` …): listings, states, content.

Credentials are those that each file system finds in the environment.
"""

from __future__ import annotations

import base64
import binascii
import builtins
import datetime
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from curate.catalog.suggestions import nearest
from curate.steps import SourceError
from sources.remote.addresses import (
    About,
    changed,
    not_permitted,
    not_there,
    protocol,
    public,
    short,
    unreachable,
)

_BLOCK = 8 << 20
_MAGIC = re.compile(r"[*\[]|\?(?!.*=)")
"""What makes a path a pattern; ``?versionId=`` is none."""
_BY_TIME = "modified"
_PACKAGES = {
    "s3": "s3fs",
    "s3a": "s3fs",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "az": "adlfs",
    "abfs": "adlfs",
    "abfss": "adlfs",
    "sftp": "paramiko",
    "ssh": "paramiko",
    "oss": "ossfs",
    "smb": "smbprotocol",
    "webhdfs": "requests",
    "gdrive": "gdrivefs",
    "dropbox": "dropboxdrivefs",
    "box": "boxfs",
    "webdav": "webdav4",
    "oci": "ocifs",
}
_TIMES = ("LastModified", "last_modified", "mtime", "modified", "updated", "created")
# By name: the packages that define them may not be installed.
_FORBIDDEN = frozenset(
    (
        "NoCredentialsError",
        "PartialCredentialsError",
        "ClientAuthenticationError",
        "DefaultCredentialsError",
        "GatedRepoError",
        "TokenRetrievalError",
        "ProfileNotFound",
        "AuthenticationException",
    )
)
_AWAY = frozenset(
    (
        "EndpointConnectionError",
        "ConnectTimeoutError",
        "ReadTimeoutError",
        "ClientConnectorError",
        "OfflineModeIsEnabled",
        "ConnectError",
        "ConnectTimeout",
        "ReadTimeout",
        "ServerDisconnectedError",
        "ServiceRequestError",
        "FSTimeoutError",
        "TransportError",
        "ClientOSError",
        "HTTPClientError",
        "ResponseStreamingError",
        "IncompleteReadError",
        "LocalEntryNotFoundError",
    )
)


class System:
    """The file system of a URL."""

    def __init__(self, url: str) -> None:
        import fsspec  # type: ignore[import-untyped]

        self.url = url
        with converting_errors(url):
            self.system, self.root = fsspec.core.url_to_fs(url)

    def url_of(self, path: str) -> str:
        """The URL of another file of the same file system."""
        prefix = self.url[: len(self.url) - len(self.root)] if self.url.endswith(self.root) else ""
        return f"{prefix}{path}" if "://" in prefix else str(self.system.unstrip_protocol(path))

    def ask(self, url: str) -> About:
        """What the file system says of a file. Raises as :meth:`sources.remote.web.Web.ask`."""
        with converting_errors(url):
            self.system.invalidate_cache()
            info = self.system.info(self.root)
            if info.get("type") == "directory":
                raise not_there(url, "it is a folder")
            return about(info)

    def content(self, url: str, known: About, start: int) -> Iterator[bytes | int]:
        """As :meth:`sources.remote.web.Web.content`."""
        with converting_errors(url), self.system.open(self.root, "rb", block_size=_BLOCK) as file:
            if start:
                try:
                    file.seek(start)
                except (NotImplementedError, ValueError, OSError):
                    start = 0
            yield start
            while block := file.read(_BLOCK):
                yield block
        if known.state and self.ask(url).state != known.state:
            raise changed(url)

    def expand(self, accepts: Callable[[str], bool]) -> dict[str, About]:
        """The files that the URL stands for, by URL: itself, those of a folder at any depth, those of a pattern; hidden
        ones only by their own names."""
        with converting_errors(self.url):
            self.system.invalidate_cache()
            if _MAGIC.search(self.root):
                fixed = len(_MAGIC.split(self.root, maxsplit=1)[0].rpartition("/")[0])
                matches = {
                    path: info
                    for path, info in self.system.glob(self.root, detail=True).items()
                    if "/." not in path[fixed:] or "/." in self.root[fixed:]
                }
            else:
                info = self.system.info(self.root)
                if info.get("type") != "directory":
                    return {self.url_of(self.root): about(info)}
                matches = {self.root.rstrip("/"): info}
            found = {path: info for path, info in matches.items() if info.get("type") == "file"}
            for folder in (path.rstrip("/") for path, info in matches.items() if info.get("type") == "directory"):
                inside = self.system.find(folder, detail=True)
                found |= {path: info for path, info in inside.items() if accepts(path[len(folder) + 1 :])}
            return {self.url_of(path): self._listed(path, found[path]) for path in sorted(found)}

    def _listed(self, path: str, info: Mapping[str, Any]) -> About:
        """What a listing says of a file; times are often others there than where the file alone is asked about."""
        found = about(info)
        return found if found.state and not found.state.startswith(_BY_TIME) else about(self.system.info(path))


def about(info: Mapping[str, Any]) -> About:
    """What the entry of a listing says."""
    size = info.get("size") if isinstance(info.get("size"), int) else None
    lfs = info.get("lfs")
    sha256 = lfs.get("sha256") if isinstance(lfs, Mapping) else getattr(lfs, "sha256", None)
    if sha256:
        return About(f"sha256 {sha256}", size, ("sha256", str(sha256)))
    if info.get("blob_id"):
        return About(f"blob {info['blob_id']}", size)
    md5 = _md5(info.get("md5Hash"))
    if md5 is not None:
        return About(f"md5 {md5}", size, ("md5", md5))
    etag = info.get("ETag") or info.get("etag")
    if etag:
        return About(f"etag {etag}", size)
    time = next((info[name] for name in _TIMES if info.get(name)), None)
    if time is None or size is None:
        return About("", size)
    if isinstance(time, datetime.datetime):
        time = (time if time.tzinfo else time.replace(tzinfo=datetime.UTC)).timestamp()
    return About(f"{_BY_TIME} {time}, {size} bytes", size)


def _md5(text: Any) -> str | None:
    try:
        digest = base64.b64decode(text, validate=True) if isinstance(text, str) else b""
    except binascii.Error:
        return None
    return digest.hex() if len(digest) == 16 else None


@contextmanager
def converting_errors(url: str) -> Iterator[None]:
    """Converts exceptions of file systems, of which each has its own."""
    try:
        yield
    except (SourceError, GeneratorExit):
        raise
    except ImportError as error:
        package = _PACKAGES.get(protocol(url))
        advice = f"pip install {package}" if package else short(error, url)
        raise SourceError(f"{public(url)}: a package for {protocol(url)}:// is missing; {advice}") from error
    except Exception as error:
        raise _failed(error, url) from error


def _failed(error: Exception, url: str) -> SourceError:
    names = {kind.__name__ for kind in type(error).__mro__}
    said = short(error, url)
    if isinstance(error, ValueError) and "rotocol not known" in str(error):
        from fsspec.registry import known_implementations  # type: ignore[import-untyped]

        near = nearest(protocol(url), sorted(known_implementations))
        return SourceError(f"{public(url)}: '{protocol(url)}' is no protocol that fsspec knows{near}")
    if names & _FORBIDDEN or isinstance(error, PermissionError):
        return not_permitted(url, said)
    away = (builtins.ConnectionError, TimeoutError)
    if names & _AWAY or isinstance(error, away):
        return unreachable(url, said)
    if isinstance(error, FileNotFoundError) or names & {
        "RepositoryNotFoundError",
        "EntryNotFoundError",
        "NoSuchBucket",
    }:
        return not_there(url, said)
    return SourceError(f"{public(url)}: {said}")
