"""The read side of the Hub for two small datasets, at two commits: what ``datasets`` asks before it reads."""

from __future__ import annotations

import hashlib
import json
import re
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, unquote, urlparse

ROWS = [{"instruction": f"Swali {i}?", "input": "", "output": f"Jibu {i}.", "meta": {"grade": i}} for i in range(5)]


def lines(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


COMMITS = {"1" * 40: ROWS[:2], "2" * 40: ROWS}
REFS = {"main": "2" * 40, "v1": "1" * 40}


class HubReader(BaseHTTPRequestHandler):
    """The read side of the Hub's HTTP interface for two datasets: mtu/maswali (public) and mtu/siri (needs a token)."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *args: Any) -> None:
        pass

    def answer(self, code: int, value: Any, headers: dict[str, str] | None = None) -> None:
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(code)
        for key, text in {
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            **(headers or {}),
        }.items():
            self.send_header(key, text)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def refuse(self, code: int, what: str) -> None:
        self.answer(code, {"error": what}, {"X-Error-Code": what, "X-Error-Message": what})

    def handle_any(self) -> None:
        path = unquote(urlparse(self.path).path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        found = re.fullmatch(
            r"/(api/)?datasets/(mtu/\w+)(?:/(revision|tree|paths-info|resolve)/([^/]+)(?:/(.*))?)?", path
        )
        if found is None:
            return self.refuse(404, "EntryNotFound")
        _, name, action, revision, rest = found.groups()
        if name == "mtu/siri" and self.headers.get("Authorization") != "Bearer hf_siri":
            return self.refuse(401, "RepoNotFound")
        if name not in ("mtu/maswali", "mtu/siri"):
            return self.refuse(404, "RepoNotFound")
        commit = REFS.get(revision or "main", revision)
        if commit not in COMMITS:
            return self.refuse(404, "RevisionNotFound")
        files = {"data/train.jsonl": lines(COMMITS[commit])}
        if action in (None, "revision"):
            return self.answer(
                200,
                {
                    "_id": "0" * 24,
                    "id": name,
                    "sha": commit,
                    "private": False,
                    "gated": False,
                    "disabled": False,
                    "downloads": 0,
                    "likes": 0,
                    "tags": [],
                    "siblings": [{"rfilename": file} for file in files],
                },
            )
        about = [
            {"type": "file", "path": file, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
            for file, data in files.items()
        ]
        if action == "tree":
            if rest and not any(file.startswith(f"{rest}/") for file in files):
                return self.refuse(404, "EntryNotFound")
            folder = [] if rest else [{"type": "directory", "path": "data", "size": 0, "oid": "0" * 40}]
            deep = rest or parse_qs(urlparse(self.path).query).get("recursive", [""])[0].lower() == "true"
            return self.answer(200, folder + about if deep else folder)
        if action == "paths-info":
            try:
                asked = json.loads(body)["paths"]
            except ValueError:
                asked = parse_qs(body.decode()).get("paths", [])
            return self.answer(200, [one for one in about if one["path"] in asked])
        if rest not in files:
            return self.refuse(404, "EntryNotFound")
        data = files[rest]
        headers = {"ETag": f'"{hashlib.sha1(data).hexdigest()}"', "X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
        part = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        if part and self.command == "GET":
            start, end = int(part[1]), min(int(part[2] or len(data)), len(data) - 1)
            return self.answer(
                206, data[start : end + 1], {**headers, "Content-Range": f"bytes {start}-{end}/{len(data)}"}
            )
        return self.answer(200, data, headers)

    do_GET = do_HEAD = do_POST = handle_any
