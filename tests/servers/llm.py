"""A server on loopback that speaks OpenAI's, Anthropic's and Gemini's protocols, misbehaves on order and writes down
every call it gets; the path says which protocol a call is in.

In a test: ``with FaultServer(script) as server``, where ``script(body, times)`` says what the ``times``-th call with
that very body is answered. As a program (``python llm.py [SECONDS]``) it answers at once, prints its address,
and tells at ``/calls`` how often each prompt was asked.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Reply:
    """What a call is answered."""

    text: str = "fine"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    """The raw body, in place of an answer with ``text``."""
    finish: str | None = "stop"
    delay: float = 0.0
    trickle: float = 0.0
    """Seconds between single bytes of the body."""
    hang: bool = False
    cut: int | None = None
    """Close the connection after so many bytes of the body (-1: before the status line)."""
    message: dict[str, Any] = field(default_factory=dict)
    """More fields of the message."""
    choice: dict[str, Any] = field(default_factory=dict)
    """More fields of the choice."""
    model: str | None = None
    """The model that the answer names, in place of the one that was asked for."""
    endless: bool = False
    """The body never ends; :attr:`FaultServer.sent` counts its bytes until the client hangs up."""
    usage: dict[str, Any] | None = field(default_factory=lambda: {"prompt_tokens": 10, "completion_tokens": 5})


Script = Callable[[dict[str, Any], int], Reply]


def last_turn(body: dict[str, Any]) -> str:
    """What was asked."""
    if "contents" in body:
        return "".join(part.get("text", "") for part in body["contents"][-1]["parts"])
    return body["messages"][-1]["content"] if "messages" in body else str(body["prompt"])


def refusal(status: int, message: str, code: str = "", **headers: str) -> Reply:
    """An error as OpenAI writes it."""
    told = {"error": {"message": message, "code": code, "type": code}}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status=status, headers=named, body=json.dumps(told).encode())


def anthropic_error(status: int, message: str, kind: str = "", **headers: str) -> Reply:
    """An error as Anthropic writes it."""
    told = {"type": "error", "error": {"type": kind or "invalid_request_error", "message": message}}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status=status, headers=named, body=json.dumps({**told, "request_id": "req_1"}).encode())


def gemini_error(status: int, message: str, name: str = "", *details: dict[str, Any], **headers: str) -> Reply:
    """An error as Google writes it."""
    told = {"error": {"code": status, "message": message, "status": name or "INVALID_ARGUMENT"}}
    if details:
        told["error"]["details"] = list(details)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status=status, headers=named, body=json.dumps(told).encode())


def in_openai(reply: Reply, body: dict[str, Any]) -> dict[str, Any]:
    """An answer as OpenAI writes it."""
    choice: dict[str, Any] = {"index": 0, "finish_reason": reply.finish, **reply.choice}
    if "messages" in body:
        choice["message"] = {"role": "assistant", "content": reply.text, **reply.message}
    else:
        choice["text"] = reply.text
    told: dict[str, Any] = {
        "id": "x",
        "object": "chat.completion",
        "model": reply.model or body.get("model"),
        "choices": [choice],
    }
    if reply.usage is not None:
        told["usage"] = reply.usage
    return told


def in_anthropic(reply: Reply, body: dict[str, Any]) -> dict[str, Any]:
    """An answer as Anthropic writes it."""
    told: dict[str, Any] = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": reply.model or body.get("model"),
        "content": [{"type": "text", "text": reply.text}],
        "stop_reason": "end_turn" if reply.finish == "stop" else reply.finish,
        **reply.choice,
    }
    if reply.usage is not None:
        told["usage"] = {
            "input_tokens": reply.usage["prompt_tokens"],
            "output_tokens": reply.usage["completion_tokens"],
        }
    return told


def in_gemini(reply: Reply, path: str) -> dict[str, Any]:
    """An answer as Google writes it."""
    candidate = {
        "content": {"role": "model", "parts": [{"text": reply.text}]},
        "finishReason": "STOP" if reply.finish == "stop" else reply.finish,
        **reply.choice,
    }
    told: dict[str, Any] = {
        "candidates": [candidate],
        "modelVersion": reply.model or path.rpartition("/")[2].partition(":")[0],
        "responseId": "x",
    }
    if reply.usage is not None:
        told["usageMetadata"] = {
            "promptTokenCount": reply.usage["prompt_tokens"],
            "candidatesTokenCount": reply.usage["completion_tokens"],
        }
    return told


class FaultServer:
    """Runs in a thread of its own between ``with`` and its end."""

    def __init__(self, script: Script | None = None) -> None:
        self.script: Script = script or (lambda body, times: Reply())
        self.calls: list[dict[str, Any]] = []
        """The bodies, in order of arrival."""
        self.paths: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.times: list[float] = []
        self.most_at_once = 0
        self.sent = 0
        self._now = 0
        self._seen: Counter[str] = Counter()
        self._ready = threading.Event()
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def asked(self) -> Counter[str]:
        """How often each last turn was asked."""
        return Counter(last_turn(body) for body in self.calls)

    def __enter__(self) -> FaultServer:
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(5)

    def other(self, method: str, path: str, headers: dict[str, str], data: bytes) -> Reply | None:
        """The reply to a request that asks the model nothing; None for all others."""
        return None

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._connection, "127.0.0.1", self.port, limit=1 << 24, backlog=1024)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path = head[0].split()[:2]
        headers = {line.partition(":")[0].lower(): line.partition(":")[2].strip() for line in head[1:] if line}
        data = await reader.readexactly(int(headers.get("content-length", 0)))
        if path == "/calls":
            await self._send(writer, Reply(body=json.dumps(self.asked).encode()), {})
            return True
        if (more := self.other(method, path, headers, data)) is not None:
            if more.hang:
                await asyncio.sleep(3600)
            return await self._send(writer, more, {}, path)
        body = json.loads(data)
        self.calls.append(body)
        self.paths.append(path)
        self.headers.append(headers)
        self.times.append(self._loop.time())
        name = data.decode()
        self._seen[name] += 1
        self._now += 1
        self.most_at_once = max(self.most_at_once, self._now)
        try:
            reply = self.script(body, self._seen[name])
            if reply.hang:
                await asyncio.sleep(3600)
            if reply.delay:
                await asyncio.sleep(reply.delay)
            return await self._send(writer, reply, body, path)
        finally:
            self._now -= 1

    async def _send(self, writer: asyncio.StreamWriter, reply: Reply, body: dict[str, Any], path: str = "") -> bool:
        data = reply.body
        if data is None and path.partition("?")[0].endswith("/messages"):
            data = json.dumps(in_anthropic(reply, body)).encode()
        elif data is None and ":generateContent" in path:
            data = json.dumps(in_gemini(reply, path)).encode()
        elif data is None:
            data = json.dumps(in_openai(reply, body)).encode()
        if reply.cut == -1:
            return False
        headers = {"Content-Type": "application/json", "Content-Length": str(len(data)), **reply.headers}
        if reply.endless:
            headers = {"Content-Type": "application/json", "Connection": "close"}
        lines = [f"HTTP/1.1 {reply.status} X", *(f"{name}: {value}" for name, value in headers.items())]
        writer.write("\r\n".join([*lines, "", ""]).encode() + (b"" if reply.trickle or reply.cut is not None else data))
        if reply.endless:
            writer.write(b'{"choices": [{"message": {"content": "')
            while True:
                writer.write(b"x" * 65_536)
                await writer.drain()
                self.sent += 65_536
        if reply.cut is not None:
            writer.write(data[: reply.cut])
            await writer.drain()
            return False
        if reply.trickle:
            for byte in data:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(reply.trickle)
        await writer.drain()
        return True


async def main(delay: float) -> None:
    server = FaultServer(lambda body, times: Reply(text=f"answer to {last_turn(body)[-40:]}", delay=delay))
    serving = asyncio.create_task(server._serve())
    while not server._ready.is_set():
        await asyncio.sleep(0.01)
    print(server.url, flush=True)
    await serving


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]) if len(sys.argv) > 1 else 0.0))
