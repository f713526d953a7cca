"""Questions for the misbehaving server, and a model that asks it."""

from __future__ import annotations

from servers.llm import Reply, last_turn

from curate.models.openai.model import OpenAI
from curate.steps.models import Request

KEY = "sk-very-secret-key-0123456789"


def ask(text, **more):
    return Request((("user", text),), **more)


def load(server, cache=None, **more):
    given = {"model": "m", "concurrency": 8, "start_concurrency": 8, "timeout": 20, "retries": 2, **more}
    return OpenAI(url=server.url, **given).load(cache=cache, threads=1)


def echo(body, times):
    return Reply(text=f"you said {last_turn(body)}")
