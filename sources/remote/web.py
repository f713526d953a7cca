"""Files of web servers: what they say of a file, and its content from any place on."""

from __future__ import annotations

import base64
import binascii
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from curate.steps import SourceError
from sources.remote.addresses import (
    About,
    changed,
    not_permitted,
    not_there,
    public,
    short,
    too_slow,
    unreachable,
)

TIMEOUT = 30.0
"""Seconds without a byte after which a server is given up."""
TRIES = 4
PAUSE = 0.5
"""Seconds before a second try; twice as long before each further one."""
_BUSY = frozenset((408, 425, 429, 500, 502, 503, 504))
_NO_HEAD = frozenset((400, 401, 403, 404, 405, 501))
"""Answers to HEAD that say little: signed URLs permit one method only."""
_DIGEST = re.compile(r"(sha-512|sha-256|md5)=:?([A-Za-z0-9+/]+={0,2}):?", re.IGNORECASE)


class Web:
    """Any web server."""

    def ask(self, url: str) -> About:
        """What the server says of a file.

        Raises:
            Unreachable: it cannot be asked now.
            SourceError: there is no such file, or it is not permitted.
        """
        for method in ("HEAD", "GET"):
            with _answered(method, url) as answer:
                if method == "HEAD" and answer.status_code in _NO_HEAD:
                    continue
                _check(answer, url)
                return _about(answer.headers)
        raise AssertionError  # the second method always returns or raises

    def content(self, url: str, about: About, start: int) -> Iterator[bytes | int]:
        """First the place from which the content comes (``start``, or 0 where the server gives only all of it), then
        the content in blocks.

        Raises:
            Changed: the file is not the one that was asked about.
            Unreachable: the transfer broke off.
        """
        headers = {"Range": f"bytes={start}-", "If-Range": about.etag} if start and about.etag else {}
        with _answered("GET", url, headers) as answer:
            if answer.status_code == 416:
                raise changed(url)
            _check(answer, url)
            found = _about(answer.headers)
            if found.state != about.state:
                raise changed(url)
            begins = re.match(r"bytes (\d+)-", answer.headers.get("content-range", ""))
            yield int(begins[1]) if answer.status_code == 206 and begins else 0
            with _converting_errors(url):
                yield from answer.iter_raw()  # as it comes: what has come before a break is kept


@contextmanager
def _converting_errors(url: str) -> Iterator[None]:
    """Converts exceptions of the client."""
    import httpx2

    try:
        yield
    except httpx2.TimeoutException as error:
        raise too_slow(url, TIMEOUT) from error
    except httpx2.TransportError as error:
        raise unreachable(url, short(error, url)) from error
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
        raise SourceError(f"{public(url)}: {short(error, url)}") from error


@contextmanager
def _answered(method: str, url: str, headers: Mapping[str, str] | None = None) -> Iterator[Any]:
    """The answer to a request, its body not read; a busy server is asked again."""
    import httpx2

    # As it is: a compressed transfer would have another size, and another etag.
    given = {"Accept-Encoding": "identity", "User-Agent": "curate", **(headers or {})}
    with _converting_errors(url), httpx2.Client(timeout=httpx2.Timeout(TIMEOUT), follow_redirects=True) as client:
        for attempt in range(TRIES):
            try:
                answer = client.send(client.build_request(method, url, headers=given), stream=True)
            except httpx2.TransportError:
                if attempt == TRIES - 1:
                    raise
            else:
                if answer.status_code not in _BUSY or attempt == TRIES - 1:
                    break
                answer.close()
            time.sleep(PAUSE * 2**attempt)
        try:
            yield answer
        finally:
            answer.close()


def _check(answer: Any, url: str) -> None:
    status = answer.status_code
    said = f"{status} {answer.reason_phrase}".strip()
    if status in (401, 403, 407):
        raise not_permitted(url, said)
    if status in (404, 410):
        raise not_there(url, said)
    if status in _BUSY:
        raise unreachable(url, said)
    if status not in (200, 206):
        raise SourceError(f"{public(url)}: the server answers {said}; check the address")


def _about(headers: Mapping[str, str]) -> About:
    etag, modified = headers.get("etag", "").strip(), headers.get("last-modified", "").strip()
    length = headers.get("content-length", "")
    whole = re.search(r"/(\d+)$", headers.get("content-range", ""))
    size = int(whole[1]) if whole else int(length) if length.isdigit() else None
    checksum = None if headers.get("content-encoding") or whole else _checksum(headers)
    state = f"etag {etag}" if etag else ""
    if not etag and modified and size is not None:
        state = f"modified {modified}, {size} bytes"
    return About(state, size, checksum, "" if etag.startswith("W/") else etag)


def _checksum(headers: Mapping[str, str]) -> tuple[str, str] | None:
    """The digest of the content, if one of the headers has it."""
    digests = {"md5": headers.get("content-md5", "")}
    for name in ("x-goog-hash", "digest", "repr-digest"):
        digests |= {match[1].lower(): match[2] for match in _DIGEST.finditer(headers.get(name, ""))}
    for name, algorithm, size in (("sha-512", "sha512", 64), ("sha-256", "sha256", 32), ("md5", "md5", 16)):
        try:
            digest = base64.b64decode(digests.get(name, ""), validate=True)
        except binascii.Error:
            continue
        if len(digest) == size:
            return algorithm, digest.hex()
    return None
