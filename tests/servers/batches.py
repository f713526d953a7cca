"""A server on loopback that speaks OpenAI's, Anthropic's and Gemini's batch interfaces beside their live ones.

Results come in the reverse of the order of submission. What a request is answered is said by the script, as for a live
one; attributes say what else happens.
"""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from servers.llm import FaultServer, Reply, Script, in_anthropic, in_gemini, in_openai, last_turn


@dataclass
class Submitted:
    """A batch on the server."""

    id: str
    requests: list[tuple[str, dict[str, Any]]]
    """(id of the request, its body)."""
    path: str
    name: str = ""
    """The name that the client gave."""
    polls: int = 0


@dataclass
class Wanted:
    """What the server is to do."""

    polls: int = 1
    """So many times a batch is still running when it is asked for."""
    state: str = "ended"
    """How batches end: ``ended``, ``expired``, ``cancelled`` or ``failed``."""
    lost: dict[str, str] = field(default_factory=dict)
    """Last turn → ``expired``, ``cancelled``, or ``missing``: it has no result at all."""
    strange: list[str] = field(default_factory=list)
    """Lines that belong to no request, before all others."""
    at_submit: deque[Reply] = field(default_factory=deque)
    """What the next submissions are answered in place of a batch."""
    cut_after: int = 0
    """After so many of the next submissions, which succeed, the connection is cut."""
    at_results: deque[Reply] = field(default_factory=deque)
    """What the next requests for files of results are answered."""
    at_poll: deque[Reply] = field(default_factory=deque)
    """What the next looks at batches are answered."""


class BatchServer(FaultServer):
    """Runs in a thread of its own between ``with`` and its end."""

    def __init__(self, script: Script | None = None, **wanted: Any) -> None:
        super().__init__(script)
        self.wanted = Wanted(**wanted)
        self.batches: dict[str, Submitted] = {}
        """In order of submission."""
        self.files: dict[str, bytes] = {}
        self.sent_headers: list[dict[str, str]] = []

    @property
    def asked_by_batch(self) -> list[list[str]]:
        """The last turns of each batch's requests."""
        return [[last_turn(body) for _, body in batch.requests] for batch in self.batches.values()]

    def other(self, method: str, path: str, headers: dict[str, str], data: bytes) -> Reply | None:
        self.sent_headers.append(headers)
        for ours in (self._openai, self._anthropic, self._gemini):
            if (reply := ours(method, path, data)) is not None:
                return reply
        return None

    # ------------------------------------------------------------------------------------------------- of each protocol
    def _openai(self, method: str, path: str, data: bytes) -> Reply | None:
        parts = path.removeprefix("/v1/").split("/")
        if (method, path) == ("POST", "/v1/files"):
            assert b'name="purpose"\r\n\r\nbatch\r\n' in data
            name = f"file-{len(self.files)}"
            self.files[name] = data.partition(b"application/jsonl\r\n\r\n")[2].rpartition(b"\r\n--")[0]
            return _json({"id": name, "object": "file", "purpose": "batch"})
        if (method, path) == ("POST", "/v1/batches"):
            wanted = json.loads(data)
            lines = [json.loads(line) for line in self.files[wanted["input_file_id"]].splitlines() if line]
            assert wanted["completion_window"] == "24h" and {line["url"] for line in lines} == {wanted["endpoint"]}
            requests = [(line["custom_id"], line["body"]) for line in lines]
            return self._made(requests, path, self._openai_batch, wanted["metadata"]["curate"])
        if method == "GET" and path.startswith("/v1/batches?"):
            listed = [self._openai_batch(batch) for batch in self.batches.values()]
            if "after" not in path:  # two pages
                return _json({"data": listed[:1], "has_more": True})
            return _json({"data": listed[1:], "has_more": False})
        if method == "GET" and parts[0] == "batches":
            return self._polled(parts[1], self._openai_batch)
        if method == "GET" and parts[0] == "files" and parts[-1] == "content":
            return self.wanted.at_results.popleft() if self.wanted.at_results else Reply(body=self.files[parts[1]])
        return None

    def _openai_batch(self, batch: Submitted) -> dict[str, Any]:
        state = {"ended": "completed", "running": "in_progress"}.get(self._state(batch), self._state(batch))
        told: dict[str, Any] = {"id": batch.id, "object": "batch", "status": state, "errors": None}
        told["metadata"] = {"curate": batch.name}
        if state == "failed":
            why = {"code": "invalid_request", "message": "the model is not one for batches", "line": 1, "param": None}
            return {**told, "errors": {"object": "list", "data": [why]}}
        if state == "in_progress":
            return told
        good, bad = list(self.wanted.strange), []
        for key, body, reply, lost in self._outcomes(batch):
            line = {"id": f"r-{key}", "custom_id": key, "response": None, "error": None}
            if lost:
                bad.append(json.dumps({**line, "error": {"code": f"batch_{lost}", "message": "too late"}}))
            else:
                told_body = in_openai(reply, body) if reply.body is None else json.loads(reply.body)
                response = {"status_code": reply.status, "request_id": "q", "body": told_body}
                (good if reply.status == 200 else bad).append(json.dumps({**line, "response": response}))
        for name, lines in (("output_file_id", good), ("error_file_id", bad)):
            if lines:
                told[name] = f"{name}-{batch.id}"
                self.files[told[name]] = "\n".join(lines).encode()
        return told

    def _anthropic(self, method: str, path: str, data: bytes) -> Reply | None:
        parts = path.removeprefix("/v1/messages/batches").split("/")
        if not path.startswith("/v1/messages/batches"):
            return None
        if method == "POST":
            requests = [(one["custom_id"], one["params"]) for one in json.loads(data)["requests"]]
            return self._made(requests, path, self._anthropic_batch)
        if path.startswith("/v1/messages/batches?"):
            return _json({"data": [self._anthropic_batch(batch) for batch in self.batches.values()]})
        if parts[-1] != "results":
            return self._polled(parts[1], self._anthropic_batch)
        if self.wanted.at_results:
            return self.wanted.at_results.popleft()
        batch, lines = self.batches[parts[1]], list(self.wanted.strange)
        for key, body, reply, lost in self._outcomes(batch):
            if lost:
                result: dict[str, Any] = {"type": "canceled" if lost == "cancelled" else lost}
            elif reply.body is not None:
                result = {"type": "errored", "error": json.loads(reply.body)}
            else:
                result = {"type": "succeeded", "message": in_anthropic(reply, body)}
            lines.append(json.dumps({"custom_id": key, "result": result}))
        return Reply(body="\n".join([*lines, ""]).encode())

    def _anthropic_batch(self, batch: Submitted) -> dict[str, Any]:
        status = "in_progress" if self._state(batch) == "running" else "ended"
        counts = {"processing": len(batch.requests), "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0}
        told = {"id": batch.id, "type": "message_batch", "processing_status": status, "results_url": None}
        return {**told, "request_counts": counts, "created_at": datetime.now(UTC).isoformat()}

    def _gemini(self, method: str, path: str, data: bytes) -> Reply | None:
        if path.endswith(":batchGenerateContent"):
            given = json.loads(data)["batch"]
            listed = given["inputConfig"]["requests"]["requests"]
            requests = [(one["metadata"]["key"], one["request"]) for one in listed]
            return self._made(requests, path, self._gemini_batch, given["displayName"])
        if method == "GET" and path.startswith("/v1beta/batches?"):
            operations = [self._gemini_batch(batch) for batch in self.batches.values()]
            if "pageToken=n%2B1" not in path:  # two pages
                return _json({"operations": operations[:1], "nextPageToken": "n+1"})
            return _json({"operations": operations[1:]})
        if method == "GET" and path.startswith("/v1beta/batches/"):
            return self._polled(path.removeprefix("/v1beta/"), self._gemini_batch)
        return None

    def _gemini_batch(self, batch: Submitted) -> dict[str, Any]:
        state = self._state(batch)
        named = {"ended": "SUCCEEDED", "running": "RUNNING"}.get(state, state.upper())
        told: dict[str, Any] = {
            "name": batch.id,
            "metadata": {"state": f"BATCH_STATE_{named}", "displayName": batch.name},
        }
        if state == "failed":
            return {**told, "done": True, "error": {"code": 3, "message": "the model is not one for batches"}}
        if state in ("running", "expired", "cancelled"):
            return told
        listed: list[Any] = list(self.wanted.strange)
        for key, _, reply, lost in self._outcomes(batch):
            about = {"metadata": {"key": key}}
            if lost or reply.body is not None:
                error = json.loads(reply.body or b"{}").get("error") or {"code": 4, "message": lost}
                code = {400: 3, 429: 8, 500: 13, 503: 14}.get(error["code"], error["code"])
                listed.append({**about, "error": {"code": code, "message": error["message"]}})
            else:
                listed.append({**about, "response": in_gemini(reply, batch.path)})
        return {**told, "done": True, "response": {"inlinedResponses": {"inlinedResponses": listed}}}

    # ------------------------------------------------------------------------------------------------ of all protocols
    def _made(self, requests: list[tuple[str, dict[str, Any]]], path: str, described: Any, name: str = "") -> Reply:
        if self.wanted.at_submit:
            return self.wanted.at_submit.popleft()
        batch = Submitted(f"batches/b{len(self.batches)}" if "generate" in path.lower() else "", requests, path, name)
        batch.id = batch.id or f"batch_{len(self.batches)}"
        self.batches[batch.id] = batch
        if self.wanted.cut_after:
            self.wanted.cut_after -= 1
            return Reply(body=b"{}", cut=-1)
        return _json(described(batch))

    def _polled(self, name: str, described: Any) -> Reply:
        if self.wanted.at_poll:
            return self.wanted.at_poll.popleft()
        batch = self.batches.get(name)
        if batch is None:
            return Reply(status=404, body=json.dumps({"error": {"message": f"no batch {name}", "code": 404}}).encode())
        batch.polls += 1
        return _json(described(batch))

    def _state(self, batch: Submitted) -> str:
        return "running" if batch.polls <= self.wanted.polls else self.wanted.state

    def _outcomes(self, batch: Submitted) -> list[tuple[str, dict[str, Any], Reply, str]]:
        """For each request its id, its body, the reply, and whether it was lost."""
        found = []
        for key, body in reversed(batch.requests):
            lost = self.wanted.lost.get(last_turn(body), "")
            if lost != "missing":
                found.append((key, body, self.script(body, 1), lost))
        return found


def _json(value: Any) -> Reply:
    return Reply(body=json.dumps(value).encode())
