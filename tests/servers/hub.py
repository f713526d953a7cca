"""A Hugging Face Hub on loopback: real HTTP, real commits, real LFS, with trouble on demand.

It speaks what ``huggingface_hub`` and ``datasets`` use to make, read and change dataset repositories. Clients need
``HF_ENDPOINT`` and ``HF_HUB_DISABLE_XET=1`` in their environment before they are started.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlparse

import yaml

from servers import running

WRITER, READER, STRANGER = "hf_writer_0123456789abcdef", "hf_reader_0123456789abcdef", "hf_stranger_0123456789abcd"
DATE = "2026-01-02T03:04:05.000Z"
ATTRIBUTES = b"*.parquet filter=lfs diff=lfs merge=lfs -text\n"
LICENSES = {
    "apache-2.0",
    "mit",
    "cc0-1.0",
    "cc-by-4.0",
    "cc-by-sa-4.0",
    "cc-by-sa-3.0",
    "cc-by-nc-4.0",
    "gpl-3.0",
    "unknown",
    "other",
}


@dataclass
class File:
    """A file of a commit: its bytes, or the name of an LFS object."""

    size: int
    blob: str
    data: bytes | None = None
    lfs: str | None = None

    @property
    def etag(self) -> str:
        return self.lfs or self.blob


@dataclass
class Commit:
    sha: str
    files: dict[str, File]
    message: str


@dataclass
class Repo:
    private: bool
    commits: list[Commit] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)

    def at(self, revision: str) -> Commit | None:
        if revision in ("main", "refs/heads/main"):
            return self.commits[-1]
        sha = self.tags.get(revision, revision)
        return next((commit for commit in self.commits if commit.sha == sha), None)

    def commit(self, add: dict[str, File], remove: list[str], message: str) -> Commit:
        files = dict(self.commits[-1].files) if self.commits else {}
        for path in remove:
            for name in [name for name in files if name == path or name.startswith(path.rstrip("/") + "/")]:
                del files[name]
        files.update(add)
        told = json.dumps([message, len(self.commits), sorted((name, file.etag) for name, file in files.items())])
        self.commits.append(Commit(hashlib.sha1(told.encode()).hexdigest(), files, message))
        return self.commits[-1]


def blob(data: bytes) -> File:
    return File(len(data), hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest(), data)


@dataclass
class Trouble:
    """What happens to the next requests of one sort instead of an answer, or before it."""

    method: str
    path: str
    """Regular expression, searched."""
    times: int = 1
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    lost: bool = False
    """The request is carried out, and the connection closed without an answer."""
    before: Callable[[], None] | None = None
    """Called before the request is carried out."""


class Hub:
    """The server's state; start it with ``with Hub() as hub``."""

    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.objects: dict[str, bytes] = {}
        self.uploaded: set[tuple[str, str]] = set()
        """(repository, object): what one repository has must be sent to another again."""
        self.log: list[tuple[str, str, int]] = []
        """(method, path, status) of every answer; 0 where the connection was closed."""
        self.puts: list[str] = []
        """Objects that came in whole, in order."""
        self.troubles: list[Trouble] = []
        self.tokens = {WRITER: "write", READER: "read", STRANGER: "none"}
        self.unhandled: list[str] = []
        self.lock = threading.RLock()

    def __enter__(self) -> Hub:
        self._running = running(type("Handler", (Handler,), {"hub": self}))
        self.address = self._running.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._running.__exit__(None, None, None)

    def create(self, name: str, private: bool = True) -> Repo:
        self.repos[name] = Repo(private)
        self.repos[name].commit({".gitattributes": blob(ATTRIBUTES)}, [], "initial commit")
        return self.repos[name]

    def push(self, name: str, files: dict[str, bytes], message: str = "by hand") -> Commit:
        """A commit of somebody else."""
        return self.repos[name].commit({path: blob(data) for path, data in files.items()}, [], message)

    def content(self, name: str, revision: str = "main") -> dict[str, bytes]:
        commit = self.repos[name].at(revision)
        assert commit is not None
        return {
            path: file.data if file.data is not None else self.objects[str(file.lfs)]
            for path, file in commit.files.items()
        }

    def asked(self, method: str, path: str) -> list[int]:
        """The statuses of what was answered to requests of this sort."""
        return [status for verb, where, status in self.log if verb == method and re.search(path, where)]

    def environment(self, home: Path, token: str | None = WRITER, **more: str) -> dict[str, str]:
        """For a client in a process of its own."""
        kept = {
            key: value for key, value in os.environ.items() if not key.upper().startswith(("HF_", "HTTP", "HUGGING"))
        }
        given = {"HF_TOKEN": token} if token else {}
        return {
            **kept,
            "HF_ENDPOINT": self.address,
            "HF_HOME": str(home),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_IMPLICIT_TOKEN": "0",
            "NO_PROXY": "127.0.0.1",
            **given,
            **more,
        }


class Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    # ------------------------------------------------------------------------------------------------------- plumbing
    def answer(self, code: int, value: Any = None, headers: dict[str, str] | None = None) -> None:
        body = value if isinstance(value, bytes) else b"" if value is None else json.dumps(value).encode()
        self.hub.log.append((self.command, self.where, 0 if self.lost else code))
        if self.lost:
            self.close_connection = True
            return
        self.send_response(code)
        for key, text in {
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            "X-Request-Id": "loopback",
            **(headers or {}),
        }.items():
            self.send_header(key, text)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def refuse(self, code: int, kind: str, message: str) -> None:
        self.answer(code, {"error": message}, {"X-Error-Code": kind, "X-Error-Message": message})

    def body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            out = b""
            while True:
                size = int(self.rfile.readline().split(b";")[0], 16)
                if size == 0:
                    self.rfile.readline()
                    return out
                out += self.rfile.read(size)
                self.rfile.readline()
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    @property
    def right(self) -> str:
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        return self.hub.tokens.get(token, "")

    def handle_any(self) -> None:
        url = urlparse(self.path)
        self.where, self.lost = unquote(url.path), False
        data = self.body() if self.command in ("POST", "PUT", "DELETE", "PATCH") else b""
        with self.hub.lock:
            trouble = next(
                (
                    one
                    for one in self.hub.troubles
                    if one.times > 0 and one.method == self.command and re.search(one.path, self.where)
                ),
                None,
            )
            if trouble:
                trouble.times -= 1
        if trouble:
            if trouble.before:
                trouble.before()
            if trouble.status:
                return self.answer(trouble.status, {"error": "trouble"}, trouble.headers)
            self.lost = trouble.lost
        with self.hub.lock:
            for pattern, action in ROUTES:
                match = re.fullmatch(pattern, self.where)
                if match:
                    return action(self, parse_qs(url.query), data, *match.groups())
        self.hub.unhandled.append(f"{self.command} {self.where}")
        return self.refuse(404, "", f"not here: {self.where}")

    do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = do_PATCH = handle_any

    def repo(self, name: str, *, write: bool = False) -> Repo | None:
        """The repository, or None after the client was told why not."""
        found = self.hub.repos.get(name)
        if self.headers.get("Authorization") and not self.right:
            self.refuse(401, "", "Invalid credentials in Authorization header")
        elif found is None or (found.private and self.right not in ("read", "write")):
            self.refuse(404 if self.right else 401, "RepoNotFound", "Repository not found")
        elif write and self.right != "write":
            self.refuse(403, "", "You don't have the required permissions")
        else:
            return found
        return None

    # --------------------------------------------------------------------------------------------------------- routes
    def whoami(self, query: Any, data: bytes) -> None:
        if not self.right:
            return self.refuse(401, "", "Invalid token")
        return self.answer(
            200,
            {
                "type": "user",
                "name": "mtu",
                "orgs": [],
                "auth": {"type": "access_token", "accessToken": {"displayName": "t", "role": self.right}},
            },
        )

    def make(self, query: Any, data: bytes) -> None:
        given = json.loads(data)
        name = f"{given.get('organization') or 'mtu'}/{given['name']}"
        if self.right != "write":
            return self.refuse(
                403 if self.right else 401, "", "You don't have the rights to create a dataset under the namespace"
            )
        if given.get("type") != "dataset":
            return self.refuse(400, "", "only datasets here")
        url = f"{self.hub.address}/datasets/{name}"
        if name in self.hub.repos:
            return self.answer(409, {"error": "You already created this dataset repo", "url": url})
        self.hub.create(name, bool(given.get("private")) or given.get("visibility") == "private")
        return self.answer(200, {"url": url, "name": name, "id": name})

    def validate(self, query: Any, data: bytes) -> None:
        content = json.loads(data)["content"]
        errors = []
        match = re.match(r"---\n(.*?)\n---\n", content, re.S)
        try:
            about = yaml.safe_load(match[1]) if match else {}
        except yaml.YAMLError as error:
            about, errors = {}, [{"message": f"YAML: {error}"}]
        named = about.get("license", [])
        errors += [
            {"message": f'"license" must be one of the list, not {one}'}
            for one in ([named] if isinstance(named, str) else named)
            if one not in LICENSES
        ]
        errors += [
            {"message": f'"language" {one} is no ISO 639 code'}
            for one in about.get("language", [])
            if not re.fullmatch("[a-z]{2,3}", str(one))
        ]
        names = [one["config_name"] for one in about.get("configs", [])]
        errors += [{"message": "configs"}] if len(set(names)) < len(names) else []
        return self.answer(400 if errors else 200, {"errors": errors, "warnings": []})

    def info(self, query: Any, data: bytes, name: str, revision: str | None = None) -> None:
        repo = self.repo(name)
        if repo is None:
            return None
        commit = repo.at(revision or "main")
        if commit is None:
            return self.refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return self.answer(
            200,
            {
                "_id": hashlib.md5(name.encode()).hexdigest()[:24],
                "id": name,
                "author": name.split("/")[0],
                "sha": commit.sha,
                "lastModified": DATE,
                "createdAt": DATE,
                "private": repo.private,
                "gated": False,
                "disabled": False,
                "downloads": 0,
                "likes": 0,
                "tags": [],
                "cardData": {},
                "siblings": [{"rfilename": path} for path in sorted(commit.files)],
            },
        )

    def tree(self, query: Any, data: bytes, name: str, revision: str, inside: str | None) -> None:
        repo = self.repo(name)
        if repo is None:
            return None
        commit = repo.at(revision)
        if commit is None:
            return self.refuse(404, "RevisionNotFound", "Invalid rev id")
        prefix = f"{inside.strip('/')}/" if inside else ""
        deep = query.get("recursive", ["false"])[0].lower() in ("true", "1")
        folders: dict[str, None] = {}
        listed = []
        for path, file in sorted(commit.files.items()):
            if path.startswith(prefix):
                parts = path[len(prefix) :].split("/")
                for count in range(1, len(parts) if deep else min(2, len(parts))):
                    folders[prefix + "/".join(parts[:count])] = None
                if deep or len(parts) == 1:
                    listed.append(described(path, file))
        if inside and not folders and not listed:
            return self.refuse(404, "EntryNotFound", f"{inside} does not exist on {revision}")
        return self.answer(
            200, [{"type": "directory", "path": path, "oid": "0" * 40, "size": 0} for path in folders] + listed
        )

    def paths_info(self, query: Any, data: bytes, name: str, revision: str) -> None:
        repo = self.repo(name)
        if repo is None:
            return None
        commit = repo.at(revision)
        if commit is None:
            return self.refuse(404, "RevisionNotFound", "Invalid rev id")
        try:
            asked = json.loads(data)["paths"]
        except ValueError:
            asked = parse_qs(data.decode()).get("paths", [])
        out = []
        for path in [asked] if isinstance(asked, str) else asked:
            if path in commit.files:
                out.append(described(path, commit.files[path]))
            elif any(one.startswith(path.rstrip("/") + "/") for one in commit.files):
                out.append({"type": "directory", "path": path, "oid": "0" * 40, "size": 0})
        return self.answer(200, out)

    def refs(self, query: Any, data: bytes, name: str) -> None:
        repo = self.repo(name)
        if repo is None:
            return None
        tags = [{"name": tag, "ref": f"refs/tags/{tag}", "targetCommit": sha} for tag, sha in repo.tags.items()]
        return self.answer(
            200,
            {
                "branches": [{"name": "main", "ref": "refs/heads/main", "targetCommit": repo.commits[-1].sha}],
                "converts": [],
                "tags": tags,
            },
        )

    def preupload(self, query: Any, data: bytes, name: str, revision: str) -> None:
        repo = self.repo(name, write=True)
        if repo is None:
            return None
        head = repo.commits[-1].files
        out = []
        for one in json.loads(data)["files"]:
            mode = "lfs" if one["path"].endswith(".parquet") or one["size"] > 10 * 2**20 else "regular"
            known = head.get(one["path"])
            out.append(
                {"path": one["path"], "uploadMode": mode, "shouldIgnore": False, "oid": known.etag if known else None}
            )
        return self.answer(200, {"files": out})

    def batch(self, query: Any, data: bytes, name: str) -> None:
        if self.repo(name, write=True) is None:
            return None
        out = []
        for one in json.loads(data)["objects"]:
            oid = one["oid"]
            actions = {
                "upload": {
                    "href": f"{self.hub.address}/lfs/{name}/{oid}?X-Amz-Signature=secretsignature",
                    "header": {},
                },
                "verify": {"href": f"{self.hub.address}/lfs/{name}/{oid}/verify", "header": {}},
            }
            out.append(
                {"oid": oid, "size": one["size"], **({} if (name, oid) in self.hub.uploaded else {"actions": actions})}
            )
        return self.answer(200, {"transfer": "basic", "objects": out})

    def put(self, query: Any, data: bytes, name: str, oid: str) -> None:
        if hashlib.sha256(data).hexdigest() != oid:
            return self.refuse(400, "", "the digest is another")
        self.hub.objects[oid] = data
        self.hub.uploaded.add((name, oid))
        self.hub.puts.append(oid)
        return self.answer(200)

    def verify(self, query: Any, data: bytes, name: str, oid: str) -> None:
        return self.answer(200 if oid in self.hub.objects else 404, {})

    def commit(self, query: Any, data: bytes, name: str, revision: str) -> None:
        repo = self.repo(name, write=True)
        if repo is None:
            return None
        add: dict[str, File] = {}
        remove: list[str] = []
        header: dict[str, str] = {}
        for line in data.decode().splitlines():
            one = json.loads(line) if line.strip() else {"key": "", "value": {}}
            value = one["value"]
            if one["key"] == "header":
                header = value
            elif one["key"] == "file":
                add[value["path"]] = blob(base64.b64decode(value["content"]))
            elif one["key"] == "lfsFile":
                if (name, value["oid"]) not in self.hub.uploaded:
                    return self.refuse(400, "", "an LFS object is missing")
                size = len(self.hub.objects[value["oid"]])
                add[value["path"]] = File(size, hashlib.sha1(value["oid"].encode()).hexdigest(), lfs=value["oid"])
            elif one["key"] in ("deletedFile", "deletedFolder"):
                if value["path"] not in repo.commits[-1].files:
                    return self.refuse(404, "EntryNotFound", f"{value['path']} is not there")
                remove.append(value["path"])
        if header.get("parentCommit") and repo.commits[-1].sha != header["parentCommit"]:
            return self.refuse(412, "", "A commit has happened since. Please refresh and try again.")
        made = repo.commit(add, remove, header.get("summary", ""))
        return self.answer(
            200,
            {
                "success": True,
                "commitOid": made.sha,
                "commitUrl": f"{self.hub.address}/datasets/{name}/commit/{made.sha}",
                "hookOutput": "",
            },
        )

    def tag(self, query: Any, data: bytes, name: str, revision: str) -> None:
        repo = self.repo(name, write=True)
        if repo is None:
            return None
        commit, given = repo.at(revision), json.loads(data)["tag"]
        if commit is None:
            return self.refuse(404, "RevisionNotFound", "Invalid rev id")
        if given in repo.tags:
            return self.refuse(409, "", "Tag already exists")
        repo.tags[given] = commit.sha
        return self.answer(200, {})

    def settings(self, query: Any, data: bytes, name: str) -> None:
        repo = self.repo(name, write=True)
        if repo is None:
            return None
        given = json.loads(data)
        repo.private = given["private"] if "private" in given else given["visibility"] == "private"
        return self.answer(200, {})

    def resolve(self, query: Any, data: bytes, name: str, revision: str, path: str) -> None:
        repo = self.repo(name)
        if repo is None:
            return None
        commit = repo.at(revision)
        if commit is None:
            return self.refuse(404, "RevisionNotFound", "Invalid rev id")
        file = commit.files.get(path)
        if file is None:
            return self.refuse(404, "EntryNotFound", "Entry not found")
        whole = file.data if file.data is not None else self.hub.objects[str(file.lfs)]
        headers = {
            "ETag": f'"{file.etag}"',
            "X-Repo-Commit": commit.sha,
            "Accept-Ranges": "bytes",
            "Content-Type": "application/octet-stream",
        }
        if file.lfs:
            headers |= {"X-Linked-Size": str(file.size), "X-Linked-Etag": f'"{file.lfs}"'}
        part = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range") or "")
        if part and self.command == "GET" and whole:
            start = int(part[1]) if part[1] else max(0, len(whole) - int(part[2]))
            end = min(int(part[2]) if part[1] and part[2] else len(whole) - 1, len(whole) - 1)
            return self.answer(
                206, whole[start : end + 1], {**headers, "Content-Range": f"bytes {start}-{end}/{len(whole)}"}
            )
        return self.answer(200, whole, headers)


def described(path: str, file: File) -> dict[str, Any]:
    more = {"lfs": {"oid": file.lfs, "size": file.size, "pointerSize": 130}} if file.lfs else {}
    return {"type": "file", "path": path, "size": file.size, "oid": file.blob, **more}


_NAME = r"([\w.-]+/[\w.-]+)"
ROUTES: list[tuple[str, Callable[..., None]]] = [
    (r"/api/whoami-v2", Handler.whoami),
    (r"/api/repos/create", Handler.make),
    (r"/api/validate-yaml", Handler.validate),
    (rf"/api/datasets/{_NAME}", Handler.info),
    (rf"/api/datasets/{_NAME}/revision/(.+)", Handler.info),
    (rf"/api/datasets/{_NAME}/tree/([^/]+)(?:/(.*))?", Handler.tree),
    (rf"/api/datasets/{_NAME}/paths-info/([^/]+)", Handler.paths_info),
    (rf"/api/datasets/{_NAME}/refs", Handler.refs),
    (rf"/api/datasets/{_NAME}/preupload/([^/]+)", Handler.preupload),
    (rf"/api/datasets/{_NAME}/commit/([^/]+)", Handler.commit),
    (rf"/api/datasets/{_NAME}/tag/([^/]+)", Handler.tag),
    (rf"/api/datasets/{_NAME}/settings", Handler.settings),
    (rf"/datasets/{_NAME}\.git/info/lfs/objects/batch", Handler.batch),
    (rf"/lfs/{_NAME}/([0-9a-f]{{64}})", Handler.put),
    (rf"/lfs/{_NAME}/([0-9a-f]{{64}})/verify", Handler.verify),
    (rf"/datasets/{_NAME}/resolve/([^/]+)/(.+)", Handler.resolve),
]
