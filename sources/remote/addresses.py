"""Addresses of remote files: their form without credentials, their name in the cache, their errors.

Everything that leaves this package names a file by :func:`public`: no user name, password or query.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from curate.redact import Redactor, secrets_of_environment, secrets_of_url
from curate.steps import SourceError

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
WEB = ("http", "https")
# What only says that the file may be fetched; signed anew, it is another text for the same file.
_SIGNATURE = re.compile(
    r"x-amz-.*|x-goog-.*|awsaccesskeyid|googleaccessid|signature|expires|policy|key-pair-id|sig|se|sp|sv|sr|st|spr|skoid|"
    r"sktid|skt|ske|sks|skv|.*token.*|.*key|.*secret.*|.*password.*|auth.*"
)


class Unreachable(SourceError):
    """The server cannot be asked now; it may be later."""


class Changed(SourceError):
    """The file is not the one that it was said to be."""


@dataclass(frozen=True)
class About:
    """What a server says of a file."""

    state: str
    """What changes with the content: an etag, a checksum, or size and time; empty if it says nothing of the kind."""
    size: int | None = None
    checksum: tuple[str, str] | None = None
    """The name of an algorithm and the hexadecimal digest of the content."""
    etag: str = ""
    """A strong etag, with which a part of the content can be asked for."""


def is_url(text: str) -> bool:
    return _URL.match(text) is not None


def protocol(url: str) -> str:
    match = _URL.match(url)
    return match[1].lower() if match else ""


def public(url: str) -> str:
    """The URL as it may be told: without user name, password, query and fragment."""
    scheme, _, rest = url.partition("://")
    rest = re.split(r"[?#]", rest, maxsplit=1)[0] if protocol(url) in WEB else rest
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"


def key_of(url: str) -> str:
    """A name for the file of a URL; the same whoever asks for it."""
    known = public(url)
    if protocol(url) in WEB:
        query = [pair for pair in parse_qsl(urlsplit(url).query) if not _SIGNATURE.fullmatch(pair[0].lower())]
        known += f"?{urlencode(query)}" if query else ""
    return _digest(known, 10)


def state_key(state: str) -> str:
    return _digest(state, 8)


def _digest(text: str, size: int) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=size).hexdigest()


def file_name(url: str) -> str:
    """The last part of the path, as a name for a file."""
    path = public(url).partition("://")[2].partition("/")[2]
    name = path.rstrip("/").rpartition("/")[2]
    name = re.sub(r'[\x00-\x1f\x7f/\\:*?"<>|]', "_", unquote(name) if protocol(url) in WEB else name)
    return name.encode("utf-8", "replace")[-150:].decode("utf-8", "ignore").lstrip(".") or "download"


_VARIABLES = {
    "s3": "AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "s3a": "AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS",
    "gcs": "GOOGLE_APPLICATION_CREDENTIALS",
    "az": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
    "abfs": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
    "abfss": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
    "hf": "HF_TOKEN",
}


def not_permitted(url: str, said: str) -> SourceError:
    """The error where credentials are missing, wrong or not enough."""
    if protocol(url) in WEB:
        advice = "write what it needs into the URL through a variable: path: ${DATA_URL}"
    else:
        variables = _VARIABLES.get(protocol(url))
        advice = f"set {variables} in the environment" if variables else "set the credentials in the environment"
    return SourceError(f"{public(url)}: not permitted ({said}); {advice}")


def not_there(url: str, said: str) -> SourceError:
    where = "the address" if protocol(url) in WEB else "the bucket (or host) and the path"
    if protocol(url) == "hf":
        where = "the repository and the path; a private repository needs HF_TOKEN in the environment"
    return SourceError(f"{public(url)}: there is no such file ({said}); check {where}")


def unreachable(url: str, said: str) -> Unreachable:
    return Unreachable(f"{public(url)}: cannot be reached ({said}); check the network and try again")


def too_slow(url: str, seconds: float) -> Unreachable:
    return Unreachable(f"{public(url)}: no answer within {seconds:.0f} seconds (timeout); try again")


def changed(url: str) -> Changed:
    return Changed(f"{public(url)}: it changed while it was being fetched; build again")


def short(error: BaseException, url: str) -> str:
    """The first line of an exception's message, without credentials."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    # Of the addresses that a server redirects to nothing is known but that they may be signed.
    text = re.sub(r"(://[^\s?'\"<>]+)\?[^\s'\"<>]*", r"\1", text.replace(url, public(url)))
    return Redactor([*secrets_of_url(url), *secrets_of_environment()])(text)[:300]
