"""A proxy before an S3 server on loopback, which loses answers, forgets conditions and goes away on demand."""

from __future__ import annotations

import http.client
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_CONDITIONS = ("if-match", "if-none-match")


class Proxy:
    """What the proxy does to requests, and those that it saw."""

    def __init__(self) -> None:
        self.url = ""
        self.seen: list[tuple[str, str]] = []
        """Method and path of every request."""
        self.lose: list[tuple[str, str]] = []
        """Method and end of the path of requests that are done and not answered, each once."""
        self.unconditional = False
        """Whether conditions are forgotten on the way."""
        self.forbidden = False
        """Whether every request is refused."""
        self.away_after: int | None = None
        """Writes below ``objects/`` that are done before nothing is any more."""

    def writes(self, part: str = "") -> list[str]:
        """The paths of all writes with this in them."""
        return [path for method, path in self.seen if method in ("PUT", "POST", "DELETE") and part in path]


@contextmanager
def s3_server() -> Iterator[Proxy]:
    """moto's S3 behind the proxy."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    proxy = Proxy()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            return

        def _pass(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = self.path.partition("?")[0]
            proxy.seen.append((self.command, path))
            if proxy.away_after is not None:
                if self.command == "PUT" and "/objects/" in path:
                    proxy.away_after -= 1
                if proxy.away_after < 0:
                    self.close_connection = True
                    self.connection.close()
                    return
            if proxy.forbidden:
                content = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
                self.send_response(403)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
                return
            headers = {
                name: value
                for name, value in self.headers.items()
                if not (proxy.unconditional and name.lower() in _CONDITIONS)
            }
            connection = http.client.HTTPConnection(host, port, timeout=30)
            connection.request(self.command, self.path, body, headers)
            answer = connection.getresponse()
            content = answer.read()
            for one in proxy.lose:
                if one[0] == self.command and path.endswith(one[1]):
                    proxy.lose.remove(one)
                    self.close_connection = True
                    self.connection.close()
                    return
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("transfer-encoding", "connection", "content-length", "date", "server"):
                    self.send_header(name, value)
            length = answer.getheader("Content-Length") if self.command == "HEAD" else None
            self.send_header("Content-Length", length or str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _pass

    front = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    front.daemon_threads = True
    threading.Thread(target=front.serve_forever, args=(0.05,), daemon=True).start()
    proxy.url = f"http://127.0.0.1:{front.server_address[1]}"
    try:
        yield proxy
    finally:
        front.shutdown()
        front.server_close()
        server.stop()
