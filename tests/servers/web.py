"""A web server on loopback that serves files as its tests tell it to: with etags, ranges, breaks, silence, refusals."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from servers import running


@dataclass
class Served:
    """One file, and how it is served."""

    data: bytes
    etag: str | None = "sha"
    """``sha`` for a digest of the content, None for none."""
    modified: str = ""
    ranges: bool = True
    breaks_after: list[int] = field(default_factory=list)
    """How many bytes the next answers have before their connection closes."""
    becomes: list[bytes | None] = field(default_factory=list)
    """What the content is after each of the next answers to HEAD; None for what it was."""
    after_break: bytes = b""
    """What the content is after an answer that broke off."""
    silence: float = 0.0
    """Seconds before the body."""
    stalls_at: int | None = None
    """The byte after which nothing more comes."""
    statuses: list[int] = field(default_factory=list)
    """What the next answers are instead."""
    methods: tuple[str, ...] = ("HEAD", "GET")
    headers: dict[str, str] = field(default_factory=dict)
    user: str = ""
    """The Authorization header that is asked for."""

    def tag(self) -> str | None:
        return f'"{hashlib.sha256(self.data).hexdigest()[:16]}"' if self.etag == "sha" else self.etag


@dataclass
class Shelf:
    """What is served, and what was asked."""

    url: str = ""
    files: dict[str, Served] = field(default_factory=dict)
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)
    sent: int = 0
    """Bytes of bodies."""
    stop: Callable[[], None] = lambda: None

    def gets(self) -> list[str | None]:
        """The ranges of the requests for content."""
        return [range_ for method, _, range_ in self.asked if method == "GET"]


@contextmanager
def serving() -> Iterator[Shelf]:
    shelf = Shelf()
    stopped = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: Any) -> None:
            pass

        def _answer(self, method: str) -> None:
            path = self.path.partition("?")[0]
            range_ = self.headers.get("Range")
            shelf.asked.append((method, self.path, range_))
            one = shelf.files.get(path.lstrip("/"))
            status = 404 if one is None else one.statuses.pop(0) if one.statuses else 200
            if one is not None and status == 200 and method not in one.methods:
                status = 403
            if one is not None and one.user and self.headers.get("Authorization") != one.user:
                status = 401
            if one is None or status != 200:
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            data, start, tag = one.data, 0, one.tag()
            if range_ and one.ranges and self.headers.get("If-Range") == tag:
                start = int(range_.removeprefix("bytes=").rstrip("-"))
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
            self.send_header("Content-Length", str(len(data) - start))
            if tag is not None:
                self.send_header("ETag", tag)
            if one.modified:
                self.send_header("Last-Modified", one.modified)
            for name, value in one.headers.items():
                self.send_header(name, value)
            self.end_headers()
            if method == "HEAD":
                one.data = (one.becomes.pop(0) if one.becomes else None) or one.data
                return
            time.sleep(one.silence)
            body = data[start:]
            if one.breaks_after:
                body = body[: one.breaks_after.pop(0)]
                self.close_connection = True
                one.data = one.after_break or one.data
            try:
                self.wfile.write(body[: one.stalls_at])
                self.wfile.flush()
                while one.stalls_at is not None and not stopped.wait(0.05):
                    pass
            except OSError:
                return
            shelf.sent += len(body)

        def do_GET(self) -> None:
            self._answer("GET")

        def do_HEAD(self) -> None:
            self._answer("HEAD")

    with ExitStack() as held:
        shelf.url = held.enter_context(running(Handler))
        held.callback(stopped.set)  # before the server ends
        shelf.stop = held.close
        yield shelf
