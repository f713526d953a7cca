"""A store behind a URL has a working copy on this machine, in a folder of the user's cache."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

import orjson

from curate.catalog.suggestions import nearest
from curate.user_cache import cache_folder

SCHEMES = ("s3", "gs", "az")
ABOUT = "remote/about.json"
"""The file of a working copy that says which store it is of."""
_SERVERS = (
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "AWS_ENDPOINT",
    "AZURE_STORAGE_ACCOUNT_NAME",
    "AZURE_STORAGE_ENDPOINT",
)
"""Variables that lead the same URL to another server."""


def is_url(store: str) -> bool:
    """Whether a store is behind a URL, and not in a folder."""
    return "://" in store or re.match(rf"({'|'.join(SCHEMES)}):", store) is not None


def checked_url(url: str) -> str:
    """A store's URL without slashes at its end.

    Raises:
        ValueError: it cannot be one.
    """
    scheme, _, rest = url.partition("://")
    if scheme not in SCHEMES:
        known = [f"{one}://" for one in SCHEMES]
        name = scheme.partition(":")[0]
        if name in SCHEMES:
            raise ValueError(f"'{url}' lacks a slash: write {name}://bucket/path")
        raise ValueError(
            f"a store cannot be at {name}://{nearest(f'{name}://', known)} (known: {', '.join(known)}, or a folder)"
        )
    rest = rest.rstrip("/")
    bucket, _, path = rest.partition("/")
    if "@" in bucket:
        raise ValueError("a store's URL has no credentials in it; they come from the environment")
    if not bucket or re.search(r"[\s?#*]", rest) or "//" in rest or {".", ".."} & set(path.split("/")):
        raise ValueError(f"'{url}' is no place for a store: write {scheme}://bucket/path")
    if not path:
        raise ValueError(f"'{url}' is a whole bucket; name a folder of it for the store: {url.rstrip('/')}/curate")
    return f"{scheme}://{rest}"


def working_copy(url: str) -> Path:
    """The folder with the working copy of a store; made if need be.

    Raises:
        ValueError: the URL cannot be a store's.
    """
    url = checked_url(url)
    servers = [os.environ.get(one, "") for one in _SERVERS]
    whole = hashlib.blake2b("\0".join((url, *servers)).encode(), digest_size=6).hexdigest()
    name = re.sub(r"[^A-Za-z0-9]+", "-", url.partition("://")[2])[-40:].strip("-")
    folder = cache_folder().absolute() / "stores" / f"{name}-{whole}"
    about = folder / ABOUT
    if not about.exists():
        about.parent.mkdir(parents=True, exist_ok=True)
        temporary = about.with_name(f".tmp-{os.getpid()}-about.json")
        temporary.write_bytes(orjson.dumps({"url": url}))
        temporary.replace(about)
    return folder
