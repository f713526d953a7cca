"""Secrets planted wherever one may stand, and a server that repeats all it was sent in every way it can: none is
found again anywhere."""

from __future__ import annotations

import base64
import dataclasses
import json
import os
from collections import deque
from pathlib import Path
from urllib.parse import quote

import pytest
import yaml
from servers.batches import BatchServer
from servers.llm import FaultServer, Reply, gemini_error, refusal
from typer.testing import CliRunner

import curate
from curate.catalog import CatalogError
from curate.engine.store.store import FileDigests
from curate.errors import ModelError, PublishError
from curate.models.endpoint.errors import classify_response, not_json
from curate.models.openai.model import OpenAI
from curate.redact import Redactor
from curate.steps.models import Request

PASSWORD, QUERY, KEY, HEADER, SHORT = "pw/Kanari 777", "queryKanari888", "keyKanari999", "headKanari666", "KNR5x"
ENVIRONMENT = {
    "T_URL": f"http://user:{quote(PASSWORD, safe='')}@127.0.0.1:PORT/v1?api-key={QUERY}",
    "T_KEY": KEY,
    "T_HEADER": HEADER,
    "T_SHORT": SHORT,
    "HF_TOKEN": "hf_KanariToken4444",
    "AWS_SECRET_ACCESS_KEY": "awsKanari333",
}
PAIR = base64.b64encode(f"user:{PASSWORD}".encode()).decode()
NEEDLES = [
    PASSWORD,
    quote(PASSWORD, safe=""),
    json.dumps(PASSWORD).replace("/", "\\/"),
    PAIR,
    PAIR.rstrip("="),
    QUERY,
    KEY,
    HEADER,
    SHORT,
    "hf_KanariToken4444",
    "awsKanari333",
    "kanari-folder",
]


def heard(server: FaultServer, *, short: bool = True) -> str:
    """All that the server was sent with its last call, in every form it can think of."""
    headers, path = server.headers[-1], server.paths[-1]
    authorization = headers.get("authorization", "")
    plain = (
        base64.b64decode(authorization.split()[-1]).decode(errors="replace")
        if authorization.startswith("Basic")
        else ""
    )
    told = [
        authorization,
        authorization.split()[-1] if authorization else "",
        plain,
        plain.partition(":")[2],
        quote(plain, safe=""),
        path,
        headers.get("x-api-key", ""),
        headers.get("x-goog-api-key", ""),
        headers.get("x-key", ""),
        headers.get("x-key", "")[:10] + "...",
        headers.get("x-key", "")[-9:],
    ]
    return " | ".join([*told, *([headers.get("x-short", "")] if short else [])])


WAYS = {
    **{
        str(status): (lambda said, status=status: refusal(status, f"no: {said}"))
        for status in (400, 401, 403, 404, 405, 422, 429, 500)
    },
    "long": lambda said: refusal(400, "x" * 490 + said),
    "elsewhere": lambda said: Reply(
        status=307, headers={"Location": f"http://elsewhere.example/{said.split(' ')[0]}?{said}"}, body=b""
    ),
    "page": lambda said: Reply(status=503, headers={"Content-Type": "text/html"}, body=f"<html>{said}</html>".encode()),
    "page 200": lambda said: Reply(headers={"Content-Type": "text/html"}, body=f"<html>{said}</html>".encode()),
    "stream": lambda said: Reply(headers={"Content-Type": "text/event-stream"}, body=f"data: {said}".encode()),
    "garbled": lambda said: Reply(body=f"{{{said}".encode()),
    "error 200": lambda said: Reply(body=json.dumps({"object": "error", "message": said, "code": 50002}).encode()),
    "half": lambda said: Reply("an", choice={"error": {"message": said, "code": 502}}),
    "refusal": lambda said: Reply(message={"content": None, "refusal": said}),
    "tool": lambda said: Reply(message={"content": None, "tool_calls": [{"function": {"name": said}}]}),
    "ending": lambda said: Reply("a whole answer", finish=said),
    "model": lambda said: Reply("a whole answer", model=said),
    "answer": lambda said: Reply(f"you sent {said}"),
    "escaped answer": lambda said: Reply(
        body=json.dumps({"choices": [{"message": {"content": f"ü {said}"}, "finish_reason": "stop"}]})
        .replace("Kanari", "\\u004banari")
        .encode()
    ),
    "thoughts": lambda said: Reply(f"<think>{said}</think>"),
}
IN_ANSWERS = ("answer", "escaped answer", "thoughts", "refusal", "tool", "ending", "model")
"""Here a short secret may be a word like any other."""


@pytest.fixture
def house(tmp_path, monkeypatch):
    folder = tmp_path / "kanari-folder"
    folder.mkdir()
    rows = [{"q": f"What is {n}?", "a": f"It is the number {n}."} for n in range(4)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)

    def write(server: FaultServer, **more) -> Path:
        for name, value in {**ENVIRONMENT, "T_DIR": str(folder)}.items():
            monkeypatch.setenv(name, value.replace("PORT", str(server.port)))
        headers = {"X-Key": "${T_HEADER}", "X-Short": "${T_SHORT}"}
        patient = {"retries": 0, "max_failed": 1.0, "deadline": 0.2, "timeout": 10}
        catalog = {
            "version": 1,
            "models": {
                "basic": {"use": "openai", "url": "${T_URL}", "model": "b", "headers": headers, **patient},
                "bearer": {
                    "use": "openai",
                    "url": f"http://127.0.0.1:{server.port}",
                    "model": "k",
                    "api_key": "${T_KEY}",
                    "headers": headers,
                    **patient,
                },
            },
            "sources": {
                "rows": {
                    "use": "jsonl",
                    "path": "${T_DIR}/rows.jsonl",
                    "language": "en",
                    "license": "CC0-1.0",
                    "columns": {"prompt": "{q}", "response": "{a}"},
                }
            },
            "datasets": {
                "made": {
                    "from": "rows",
                    "steps": [{"respond": {"model": ["basic", "bearer"], "max_error_rate": 1.0, "retries": 0}}],
                },
                "judged": {
                    "from": "rows",
                    "steps": [{"judge": {"model": ["basic", "bearer"], "method": "direct", "unjudged": "keep"}}],
                },
            },
            "run": {"workers": 1},
            **more,
        }
        (work / "catalog.yaml").write_text(yaml.safe_dump(catalog, sort_keys=False))
        return work / "catalog.yaml"

    return write


@pytest.fixture
def clean(tmp_path, capfd):
    """Runs a command and looks for what must be nowhere: on the terminal, in any file, in any file's name."""

    def run(*arguments: str, needles=tuple(NEEDLES)) -> str:
        from curate.cli.main import app

        found = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
        said = found.output + "".join(capfd.readouterr())
        for needle in needles:
            assert needle not in said, (arguments, needle, said[-2000:])
        for path in (tmp_path / "work").rglob("*"):
            data = b"" if path.name == "catalog.yaml" or not path.is_file() else path.read_bytes()
            for needle in needles:
                assert needle.encode() not in data, (arguments, needle, path)
                assert needle not in str(path.relative_to(tmp_path / "work")), path
        return said

    return run


@pytest.mark.parametrize("way", WAYS)
def test_whatever_a_server_repeats_is_found_nowhere(way, house, clean):
    needles = tuple(needle for needle in NEEDLES if needle != SHORT or way not in IN_ANSWERS)
    with FaultServer() as server:
        server.script = lambda body, times: WAYS[way](heard(server, short=way not in IN_ANSWERS))
        house(server)
        said = clean("build", "-q", needles=needles)
        clean("models", "--probe", needles=needles)
        clean(
            "query",
            "SELECT * FROM made.quarantined UNION ALL SELECT * FROM judged.quarantined",
            "-f",
            "json",
            needles=needles,
        )
        clean("plan", needles=needles)
    assert server.calls and said
    assert any("Basic" in headers.get("authorization", "") for headers in server.headers)
    assert any(KEY in headers.get("authorization", "") for headers in server.headers), "the secrets were sent"


OTHER_WAYS = {
    **{name: WAYS[name] for name in ("400", "401", "429", "500", "long", "elsewhere", "page 200", "stream", "garbled")},
    **{name: WAYS[name] for name in ("answer", "thoughts", "ending", "model")},
    "anthropic's error 200": lambda said: Reply(
        body=json.dumps({"type": "error", "error": {"type": "api_error", "message": said}}).encode()
    ),
    "google's error": lambda said: gemini_error(429, said, "RESOURCE_EXHAUSTED", {"retryDelay": said, "reason": said}),
    "anthropic's refusal": lambda said: Reply(
        finish="refusal", choice={"stop_details": {"explanation": said}, "finishMessage": said}
    ),
    "google's refusal": lambda said: Reply(finish="SAFETY", choice={"finishMessage": said, "stop_details": said}),
    "google's block": lambda said: Reply(
        body=json.dumps({"promptFeedback": {"blockReason": said}, "type": "message", "content": []}).encode()
    ),
    "anthropic's tool": lambda said: Reply(choice={"content": [{"type": "tool_use", "name": said, "input": {}}]}),
    "google's tool": lambda said: Reply(choice={"content": {"parts": [{"functionCall": {"name": said}}]}}),
}


@pytest.mark.parametrize("way", OTHER_WAYS)
def test_nor_is_what_servers_of_other_protocols_repeat(way, house, clean):
    in_answers = way in IN_ANSWERS or way.endswith(("refusal", "tool", "block"))
    needles = tuple(needle for needle in NEEDLES if needle != SHORT or not in_answers)
    with FaultServer() as server:
        server.script = lambda body, times: OTHER_WAYS[way](heard(server, short=not in_answers))
        given = {
            "url": "${T_URL}",
            "headers": {"X-Key": "${T_HEADER}", "X-Short": "${T_SHORT}"},
            "retries": 0,
            "max_failed": 1.0,
            "deadline": 0.2,
            "timeout": 10,
        }
        claude = {"use": "anthropic", "model": "c", "api_key": "${T_KEY}", **given}
        google = {"use": "gemini", "model": "g", "api_key_env": "T_KEY", **given}
        respond = {"model": ["claude", "google"], "max_error_rate": 1.0, "retries": 0}
        house(
            server,
            models={"claude": claude, "google": google},
            datasets={"made": {"from": "rows", "steps": [{"respond": respond}]}},
        )
        said = clean("build", "-q", needles=needles)
        clean("models", "--probe", needles=needles)
        clean("query", "SELECT * FROM made.quarantined", "-f", "json", needles=needles)
    assert said and {KEY} <= {value for headers in server.headers for value in headers.values()}


class Repeating(BatchServer):
    """Says in the place of ``@heard@`` whatever it was sent with its last request."""

    def other(self, method, path, headers, data):
        reply = super().other(method, path, headers, data)
        if reply is None or reply.body is None:
            return reply
        plain = headers.get("authorization", "").removeprefix("Basic ").encode()
        told = [*headers.values(), base64.b64decode(plain + b"==", validate=False).decode(errors="replace"), path]
        said = json.dumps(" | ".join(told))[1:-1]
        return dataclasses.replace(
            reply, body=reply.body.replace(b"@heard@", said.encode()).replace(WHY, said.encode())
        )


WHY = b"the model is not one for batches"
"""Why a batch failed, as the server says it."""
PAGE = Reply(status=500, body=b"<html>@heard@</html>")
IN_BATCHES = {
    "at_submit": {"at_submit": [refusal(400, "@heard@"), refusal(401, "x" * 480 + "@heard@"), PAGE]},
    "id": {"at_submit": [Reply(body=b'{"id": "", "name": "", "error": {"message": "@heard@"}}')] * 2},
    "at_poll": {"at_poll": [refusal(404, "@heard@"), PAGE, refusal(429, "@heard@")]},
    "at_results": {"at_results": [refusal(403, "@heard@"), PAGE, Reply(body=b"{@heard@")]},
    "failed": {"state": "failed"},
    "lines": {"strange": ["{@heard@", '{"custom_id": "@heard@"}', '{"error": {"message": "@heard@"}}']},
}
IN_RESULTS = {
    "400": lambda: refusal(400, "@heard@"),
    "500": lambda: refusal(500, "@heard@"),
    "filtered": lambda: refusal(400, "@heard@", "content_filter"),
    "answer": lambda: Reply("you sent @heard@"),
}


@pytest.mark.parametrize("way", [*IN_BATCHES, *IN_RESULTS])
def test_nor_is_what_a_batch_interface_repeats(way, house, clean, monkeypatch):
    monkeypatch.setattr("curate.models.endpoint.batch_dispatcher.FIRST_POLL", 0.01)
    needles = tuple(needle for needle in NEEDLES if needle != SHORT or way != "answer")
    given = {"model": "m", "url": "${T_URL}", "headers": {"X-Key": "${T_HEADER}", "X-Short": "${T_SHORT}"}}
    given |= {"batch": True, "retries": 0, "max_failed": 1.0, "deadline": 0.2, "timeout": 10}
    said = ""
    for use in ("openai", "anthropic", "gemini"):
        script = IN_RESULTS.get(way, lambda: Reply("A fine answer."))
        wanted = {name: deque(value) if name[:3] == "at_" else value for name, value in IN_BATCHES.get(way, {}).items()}
        builds = max(len(value) if isinstance(value, deque) else 1 for value in [0, *wanted.values()])
        with Repeating(lambda body, times, script=script: script(), polls=0, **wanted) as server:
            key = {} if use == "openai" else {"api_key": "${T_KEY}"}
            house(
                server,
                models={use: {"use": use, **given, **key}},
                datasets={use: {"from": "rows", "steps": [{"respond": {"model": use, "max_error_rate": 1.0}}]}},
            )
            for _ in range(builds):
                said += clean("--log-file", "log.jsonl", "build", "-q", needles=needles)
        assert any(HEADER in headers.values() for headers in server.sent_headers), "the secrets were sent"
        assert use == "openai" or any(KEY in headers.values() for headers in server.sent_headers)
    assert "***" in said or way not in ("400", "500", "at_submit", "at_poll")


@pytest.mark.parametrize("secret", [SHORT, "swordfish", "keyKanari999"])
@pytest.mark.parametrize("form", ["<html>{}</html>", '{{"error": {{"message": "{}"}}}}', "{}"])
def test_no_part_of_a_secret_is_left_where_a_message_is_cut(secret, form):
    redact, wire = Redactor([secret]), OpenAI(url="http://a", model="m").wire()
    for before in (*range(50, 90), *range(470, 510)):
        body = form.format("-" * before + secret + "-" * 600).encode()
        for status in (200, 400, 500):
            if status == 200:
                error = not_json({}, body, "http://a", redact, "no JSON")
            else:
                error = classify_response(status, {}, body, "http://a", redact, wire)
            assert not any(secret[:length] in str(error) for length in range(4, len(secret))), (before, str(error))


def test_no_command_tells_a_secret(house, clean, tmp_path):
    with FaultServer() as server:
        server.script = lambda body, times: (
            WAYS["400"](heard(server)) if "3" in body["messages"][-1]["content"] else Reply("A fine answer.")
        )
        house(server)
        clean("build", "-q")
        for command in (
            ["log", "made"],
            ["card", "made"],
            ["report", "made", "--to", "report.html"],
            ["models"],
            ["check"],
            ["plan", "--sample", "3"],
            ["export", "made", "trl", "--to", "exports"],
            ["publish", "made", "--to", "./public", "--override-license", "a test"],
            ["query", "SELECT * FROM made", "-f", "json"],
            ["licenses", "made"],
            ["verify", "made"],
            ["build", "-q", "--retry-failed"],
        ):
            clean(*command)


def test_an_error_of_the_library_tells_no_secret(house):
    with FaultServer() as server:
        server.script = lambda body, times: WAYS["401"](heard(server))
        catalog = curate.load_catalog(house(server))
        for name in ("basic", "bearer"):
            with pytest.raises(ModelError) as caught:
                catalog.models[name].load(cache=None, threads=1).generate([Request((("user", "x"),))])
            assert not [needle for needle in NEEDLES if needle in str(caught.value) + repr(caught.value)]


def test_where_files_are_is_not_written_down_and_what_older_versions_wrote_goes(tmp_path):
    digests = tmp_path / "cache" / "files.json"
    data = tmp_path / "kanari-folder" / "x.txt"
    digests.parent.mkdir()
    data.parent.mkdir()
    data.write_text("x")
    os.utime(data, (1e9, 1e9))
    digests.write_text(json.dumps({str(data): [1, 2, 3, "old"], "C:\\data\\x": [1, 2, 3, "old"]}))
    first = FileDigests(digests)
    found = first(data)
    first.save()
    assert "kanari" not in digests.read_text() and "data" not in digests.read_text()
    again = FileDigests(digests)
    data.write_bytes(b"y")
    os.utime(data, (1e9, 1e9))
    assert again(data) != found, "a file that was changed is read again, though its size and time are the same"


# ------------------------------------------------------------------------------------------------------------------
# catalog
@pytest.mark.parametrize(
    ("models", "named"),
    [
        ({"m": {"use": "openai", "url": "${T_SECRET}", "model": "m", "dialect": "${T_SECRET}"}}, 2),
        ({"m": {"use": "openai", "url": "http://a", "model": "m", "concurrency": "${T_SECRET}"}}, 0),
        ({"m": {"use": "${T_SECRET}", "url": "http://a", "model": "m"}}, 2),
        ({"m": {"use": "openai", "url": "http://a", "model": "m", "price": {"input": "x", "${T_SECRET}": 1}}}, 0),
        ({"m": {"use": "openai", "url": "http://a", "model": "m", "headers": "${T_SECRET}"}}, 0),
        ({"m": {"use": "openai", "url": "http://a", "model": "m", "served_as": {"x": "${T_SECRET}"}}}, 0),
    ],
)
@pytest.mark.parametrize("secret", ["Kanari-geheim-1", 'it\'s \\ "Kanari" ünd', "Kan7"])
def test_a_catalogs_errors_show_the_variable_and_not_its_value(models, named, secret, tmp_path, monkeypatch):
    monkeypatch.setenv("T_SECRET", secret)
    catalog = {
        "version": 1,
        "models": models,
        "run": {"executor": "${T_SECRET}", "memory": "${T_SECRET}"},
        "datasets": {"d": {"from": "${T_SECRET}"}},
    }
    (tmp_path / "catalog.yaml").write_text(yaml.safe_dump(catalog, sort_keys=False))
    with pytest.raises(CatalogError) as caught:
        curate.load_catalog(tmp_path / "catalog.yaml")
    said = str(caught.value)
    for form in (secret, repr(secret)[1:-1], json.dumps(secret)[1:-1]):
        assert form not in said, said
    assert said.count("${T_SECRET}") >= named + 1


def test_a_value_that_stands_in_a_message_by_chance_is_left(tmp_path, monkeypatch):
    monkeypatch.setenv("T_N", "8")
    catalog = {
        "version": 1,
        "models": {
            "m": {"use": "openai", "url": "http://a", "model": "m", "concurrency": "${T_N}"},
            "n": {"use": "openai8", "model": "8"},
        },
    }
    (tmp_path / "catalog.yaml").write_text(yaml.safe_dump(catalog, sort_keys=False))
    with pytest.raises(CatalogError, match="no model is called 'openai8'; did you mean 'openai'"):
        curate.load_catalog(tmp_path / "catalog.yaml")


# ------------------------------------------------------------------------------------------------------------------
# publish
def test_what_a_place_says_is_told_without_its_credentials(house, clean, monkeypatch):
    from outputs.publishing.folder import Folder

    def broken(self):
        raise PublishError(f"403 for hf_KanariToken4444, signed with awsKanari333 at s3://u:{KEY}@host")

    with FaultServer(lambda body, times: Reply("A fine answer.")) as server:
        house(server)
        clean("build", "-q", "made")
        monkeypatch.setattr(Folder, "state", broken)
        said = clean("publish", "made", "--to", "./public", "--override-license", "a test")
        assert "403 for ***, signed with ***" in said
        with pytest.raises(PublishError) as caught:
            curate.publish("made", "./public", override="a test")
        assert "Kanari" not in str(caught.value).replace(KEY, "")
