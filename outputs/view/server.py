"""Serves the pages on the loopback interface only, to whoever has the token, over the standard library's HTTP server.

Other programs and pages on the same machine must neither read rows nor change a file. So the address has a random
token (then kept in a cookie), the ``Host`` header must be the server's own (a name that a foreign page lets point here
is refused), a change needs the ``Origin`` of the page itself, and the policy allows no script, style, image, form or
frame from elsewhere and none from inside a row.
"""

from __future__ import annotations

import hmac
import logging
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

from curate.errors import CurateError

_LOG = logging.getLogger("curate.outputs")

HOST = "127.0.0.1"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; style-src-attr 'unsafe-inline'; connect-src 'self'; "
    "img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_LARGEST = 1 << 20
_SECONDS = 30


@dataclass(frozen=True)
class Request:
    """What a page is asked for."""

    path: tuple[str, ...]
    """The parts of the path, decoded."""
    query: Mapping[str, str]
    form: Mapping[str, str] | None = None
    """What a form sends; None if the page is only read."""


@dataclass(frozen=True)
class Response:
    """What is answered."""

    body: str
    type: str = "text/html; charset=utf-8"
    status: HTTPStatus = HTTPStatus.OK
    headers: Mapping[str, str] = field(default_factory=dict)


class NotFound(CurateError):
    """There is no such page, dataset, version or row."""


def see(address: str) -> Response:
    """An answer that leads the browser to another page of the same server."""
    return Response("", status=HTTPStatus.SEE_OTHER, headers={"Location": address})


class Server(ThreadingHTTPServer):
    """The server of one `curate view`.

    Args:
        answer: makes the page; a :class:`CurateError` becomes a page that says it.
        problem: makes the page of an error.
        port: 0 for any free one.
    """

    daemon_threads = True

    def __init__(
        self,
        answer: Callable[[Request], Response],
        problem: Callable[[HTTPStatus, str], str],
        port: int = 0,
    ) -> None:
        self.answer, self.problem = answer, problem
        self.token = secrets.token_urlsafe(24)
        super().__init__((HOST, port), _Handler)
        self.hosts = (f"{HOST}:{self.server_port}", f"localhost:{self.server_port}")
        # Cookies know no ports: each server has a name of its own.
        self.cookie = f"curate-{self.server_port}"

    def address(self, path: str = "/") -> str:
        """The address of a page, with the token."""
        return f"http://{self.hosts[0]}{path}{'&' if '?' in path else '?'}token={self.token}"


class _Handler(BaseHTTPRequestHandler):
    server: Server
    server_version, sys_version = "curate", ""
    protocol_version = "HTTP/1.1"
    timeout = _SECONDS

    def do_GET(self) -> None:
        self._handle(None)

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length") or ""
        if not length.isascii() or not length.isdecimal() or int(length) > _LARGEST:
            self.close_connection = True
            self._problem(HTTPStatus.BAD_REQUEST, f"a form of at most {_LARGEST:,} bytes is expected")
            return
        self._handle(self.rfile.read(int(length)))

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the address has the token in it."""

    def _handle(self, sent: bytes | None) -> None:
        host = self.headers.get("Host", "")
        if host not in self.server.hosts:
            self._problem(HTTPStatus.MISDIRECTED_REQUEST, "this server answers only at its own address")
            return
        parts = urlsplit(self.path)
        query = _pairs(parts.query)
        if hmac.compare_digest(query.get("token", "").encode(), self.server.token.encode()) and sent is None:
            rest = "&".join(one for one in parts.query.split("&") if not one.startswith("token="))
            cookie = f"{self.server.cookie}={self.server.token}; Path=/; HttpOnly; SameSite=Strict"
            target = "/" + parts.path.lstrip("/\\") + (f"?{rest}" if rest else "")
            self._send(Response("", status=HTTPStatus.SEE_OTHER, headers={"Location": target, "Set-Cookie": cookie}))
            return
        if not hmac.compare_digest(self._cookie().encode(), self.server.token.encode()):
            self._problem(
                HTTPStatus.FORBIDDEN,
                "open the address that `curate view` printed; it has the token that this page asks for",
            )
            return
        if sent is not None and self.headers.get("Origin") != f"http://{host}":
            self._problem(HTTPStatus.FORBIDDEN, "only a page of this server may change something")
            return
        path = tuple(unquote(part) for part in parts.path.split("/") if part)
        try:
            form = None if sent is None else _pairs(sent.decode("utf-8", "replace"))
            response = self.server.answer(Request(path, query, form))
        except NotFound as error:
            self._problem(HTTPStatus.NOT_FOUND, str(error))
        except CurateError as error:
            self._problem(HTTPStatus.BAD_REQUEST, str(error))
        except Exception:  # noqa: BLE001 - the server goes on; what happened is told in the terminal and on the page
            _LOG.exception("a defect in curate:")
            self._problem(HTTPStatus.INTERNAL_SERVER_ERROR, "a defect in curate; the terminal has the traceback")
        else:
            self._send(response)

    def _cookie(self) -> str:
        try:
            found = SimpleCookie(self.headers.get("Cookie", "")).get(self.server.cookie)
        except CookieError:
            return ""
        return found.value if found else ""

    def _problem(self, status: HTTPStatus, message: str) -> None:
        self._send(Response(self.server.problem(status, message), status=status))

    def _send(self, response: Response) -> None:
        body = response.body.encode("utf-8", "replace")
        self.send_response(response.status)
        for name, value in {
            "Content-Type": response.type,
            "Content-Length": str(len(body)),
            "Cache-Control": "no-store",
            "Content-Security-Policy": POLICY,
            "Cross-Origin-Resource-Policy": "same-origin",
            "Cross-Origin-Opener-Policy": "same-origin",
            # Not `no-referrer`: a form would then be sent with the origin `null`.
            "Referrer-Policy": "same-origin",
            "X-Content-Type-Options": "nosniff",
            **response.headers,
        }.items():
            self.send_header(name, value)
        try:
            self.end_headers()
            self.wfile.write(body)
        except ConnectionError:
            self.close_connection = True


def _pairs(text: str) -> dict[str, str]:
    """The fields of a query or form; of one that is there twice the last counts."""
    try:
        return {name: values[-1] for name, values in parse_qs(text, keep_blank_values=True, max_num_fields=200).items()}
    except ValueError:
        return {}
