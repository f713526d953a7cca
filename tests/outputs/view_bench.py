"""Stores for the tests of `curate view`: hostile rows in many scripts, translations with parents, pairs, tool calls."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from report_bench import OVERRIDE, SAID, SCRIPT

import curate
from curate.engine.store.store import Store
from outputs.view import View

CANARY = '"><script>document.title="owned"</script><img src=x onerror="document.title=\'owned\'">'
CATALOG = """\
# Questions about the sea.
version: 1
run: {workers: 1}
sources:
  english: {use: jsonl, path: en.jsonl, kind: sft, language: en, license: CC0-1.0, key: "{item}",
            columns: {prompt: "{ask}", response: "{answer}"}, max_error_rate: 0.5}
  others: {use: jsonl, path: others.jsonl, kind: sft, language: "{lang}", license: CC0-1.0, key: "{item}",
           columns: {prompt: "{ask}", response: "{answer}"}, translation_of: english}
  chats: {use: jsonl, path: chats.jsonl, kind: sft, language: en, license: CC0-1.0,
          columns: {messages: "{messages}", tools: "{tools}"}}
  choices: {use: jsonl, path: choices.jsonl, kind: preference, language: "{lang}", license: CC0-1.0,
            columns: {prompt: "{ask}", chosen: "{good}", rejected: "{poor}"}}
datasets:
  sea:
    from: [english, others]
    steps:
      - shape:                    # what a trainer would refuse
          min_response_chars: 20  # a short answer
          max_controls: 50
      - duplicates
  calls: {from: [chats], steps: [shape]}
  clean: {from: [chats], steps: [redact]}
  pairs: {from: [choices]}
"""


def make_store(folder: Path) -> Store:
    """``sea`` (eight languages, translations of English, two dropped rows, a quarantined one), ``calls``, ``pairs``."""
    folder.mkdir(parents=True)
    english = [{"item": f"q{n}", "ask": f"{SAID['en'][0]} ({n})", "answer": SAID["en"][1]} for n in range(2)]
    english += [{"item": "short", "ask": "And why is it?", "answer": "It is salt."}]
    english += [
        {"item": f"x{n}", "ask": f"{bad} {n}", "answer": f"{bad} {bad}"} for n, bad in enumerate((CANARY, OVERRIDE))
    ]
    others = [
        {"item": f"q{n}", "lang": lang, "ask": f"{ask} ({n})", "answer": answer}
        for lang, (ask, answer) in SAID.items()
        if lang != "en"
        for n in range(2)
    ]
    others += [{"item": "short", "lang": "zh", "ask": "为什么？", "answer": "有盐。"}]
    call = {"id": "c1", "type": "function", "function": {"name": "tide", "arguments": '{"port": "مرفأ"}'}}
    chats = [
        {
            "messages": [
                {"role": "user", "content": "When is high tide? Tell jo@tide-museum.org."},
                {"role": "assistant", "content": "", "tool_calls": [call]},
                {"role": "tool", "content": "12:40", "tool_call_id": "c1"},
                {"role": "assistant", "content": f"At twenty to one. {SCRIPT}"},
            ],
            "tools": [{"type": "function", "function": {"name": "tide", "parameters": {"type": "object"}}}],
        }
    ]
    choices = [
        {
            "lang": "en",
            "ask": "Why is the sea salty?",
            "good": "Rivers carry salt to it.",
            "poor": "Rivers carry sugar to it.",
        },
        {"lang": "th", "ask": SAID["th"][0], "good": SAID["th"][1], "poor": "ไม่รู้"},
    ]
    for name, rows in (("en", english), ("others", others), ("chats", chats), ("choices", choices)):
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(lines + ("{broken <b>\n" if name == "en" else ""), encoding="utf-8")
    (folder / "catalog.yaml").write_text(CATALOG, encoding="utf-8")
    curate.build(folder / "catalog.yaml")
    return Store(folder / ".curate")


class Client:
    """Asks a running view, as a browser would that has the cookie."""

    def __init__(self, view: View) -> None:
        parts = urlsplit(view.address)
        self.host, self.start = parts.netloc, f"{parts.path}?{parts.query}"
        _, headers, _ = self.ask(self.start)
        self.cookie = (headers.get("Set-Cookie") or "").split(";")[0]
        self.base = headers.get("Location") or ""

    def ask(
        self, path: str, form: dict[str, str] | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], str]:
        """Status, headers and text of an answer."""
        connection = http.client.HTTPConnection(self.host, timeout=60)
        sent: dict[str, Any] = {
            "Cookie": getattr(self, "cookie", ""),
            "Origin": f"http://{self.host}",
            **(headers or {}),
        }
        body = None if form is None else urlencode(form)
        connection.request("GET" if form is None else "POST", path, body, sent)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, dict(answer.getheaders()), text

    def get(self, path: str) -> str:
        """The text of a page below the version's address; it must be there."""
        status, _, text = self.ask(self.base + path)
        assert status == 200, text
        return text


@contextlib.contextmanager
def serving(view: View) -> Iterator[Client]:
    """The view, answering until the block ends."""
    with view:
        thread = threading.Thread(target=view.serve)
        thread.start()
        try:
            yield Client(view)
        finally:
            view.stop()
            thread.join()
