"""Builds, gc, forget and publish are killed at random moments, run out of disk, see the clock set back or meet each
other; afterwards everything must be as if nothing had happened.

    python -m tests.reliability --runs 1000          # or --seconds 3600; --seed 7 --runs 1 repeats run 7
    python -m tests.reliability --ray 20             # on a Ray of its own, whose workers are killed

A run takes one operation and one fault, both drawn by its seed, on a small catalog with generation (a server on
loopback), filters, near duplicates, a mixture, a gathering step and splits. Then the operation is run to its end, and
checked is that

* every version has the digest that undisturbed runs give it, and verifies against its manifest; so does, after each
  fault already, every version that exists,
* no question was paid for more often than documented (what was in flight at a kill),
* what was forgotten is in no file of the store; what was published is complete, byte by byte,
* nothing half-done is left, and nothing ended with a traceback.

What is wrong stays in a folder, which is named. Figures go to docs/reliability.md by hand.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq
import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT)]

from servers.hub import Hub  # noqa: E402
from servers.llm import FaultServer, Reply, last_turn  # noqa: E402

from curate.engine.store.gc import verify_version  # noqa: E402
from curate.engine.store.store import Store  # noqa: E402

CONCURRENCY = 4
LANGUAGES = {"en": "number", "sw": "namba"}
SCRIPTS = ("river", "mto", "נהר", "नदी", "แม่น้ำ", "川", "نهر")
FILES, ROWS = 3, 14
SECRET = "(7,"
"""In the prompts that are forgotten."""
PLACE = "mtu/pairs"
FORGET = ["forget", "answers", "--where", f"messages[1].content LIKE '%{SECRET}%'", "--origins", "--purge"]
_DISK = 200_000_000
_MOST = {"driver": 400, "worker": 60}
"""About how many changes of files a process makes."""


@dataclass(frozen=True)
class Operation:
    """What is disturbed, on a copy of which folder, and which versions there are afterwards."""

    name: str
    before: str
    commands: tuple[tuple[str, ...], ...]
    after: str
    published: bool = False


OPERATIONS = (
    Operation("build", "empty", (("build",),), "first"),
    Operation("rebuild", "first", (("build",),), "second"),
    Operation("finish", "empty", (("build", "--finish"), ("build",)), "first"),
    Operation("gc", "second", (("gc",),), "second"),
    Operation("forget", "second", (tuple(FORGET),), "forgotten"),
    Operation("publish", "second", (("publish", "pairs", "--to", PLACE),), "second", published=True),
)
FAULTS = {"kill": 14, "disk": 3, "clock": 2, "two": 2}
"""What happens, and how often of all. ``disk`` needs the right to mount, ``clock`` Debian's package faketime."""


@dataclass
class Outcome:
    """What came of a run."""

    seed: int
    operation: str
    fault: str
    hits: int = 0
    """How often the fault struck before the operation had ended."""
    repeated: int = 0
    """Calls of the model that were made before."""
    wrong: list[str] = field(default_factory=list)


def catalog(folder: Path, url: str, *, second: bool, workers: int, executor: str = "local") -> None:
    """Writes the catalog; the second one asks for other answers and keeps fewer of them."""
    writer = {"use": "openai", "url": url, "model": "tests/writer", "revision": "1", "concurrency": CONCURRENCY}
    source = {"use": "jsonl", "kind": "prompt", "license": "CC0-1.0", "key": "{n}", "columns": {"prompt": "{p}"}}
    written = {
        "version": 1,
        "models": {"writer": writer},
        "sources": {
            "english": {**source, "path": "en-*.jsonl", "language": "en"},
            "swahili": {**source, "path": "sw-*.jsonl", "language": "sw", "translation_of": "english"},
        },
        "datasets": {
            "answers": {
                "from": ["english", "swahili"],
                "splits": {"train": 0.8, "test": 0.2},
                "steps": [
                    {"respond": {"model": "writer", **({"system": "Be brief."} if second else {})}},
                    {"shape": {"max_chars": 150 if second else 400}},
                    {"duplicates": {"method": "minhash", "similarity": 0.95}},
                    {"mix": {"rows": 50 if second else 60, "weights": {"en": 1, "sw": 1}}},
                ],
            },
            "pairs": {"from": "answers", "steps": [{"negatives": {"n": 1}}]},
        },
        "run": {"workers": workers, "executor": executor},
    }
    (folder / "catalog.yaml").write_text(yaml.safe_dump(written, sort_keys=False))


def answer(body: dict[str, Any], times: int) -> Reply:
    """An answer that depends on the question only; some are long, some equal."""
    asked = last_turn(body)
    number = sum(asked.encode())
    text = "the same" if number % 11 == 0 else f"{SCRIPTS[number % 7]} {asked} " * (1 + number % 9)
    return Reply(text=text, delay=0.004)


class Bench:
    """Servers, folders to copy, and what undisturbed runs make of them."""

    def __init__(self, folder: Path, model: FaultServer, hub: Hub) -> None:
        self.folder, self.model, self.hub = folder, model, hub
        self.versions: dict[str, dict[str, str]] = {}
        self.took: dict[str, float] = {}
        self.content: dict[str, bytes] = {}
        self.workers = 1
        can = {"disk": can_mount(), "clock": bool(shutil.which("faketime"))}
        self.faults = [name for name in FAULTS if can.get(name, True)]

    def prepare(self) -> None:
        """Builds undisturbed what the operations begin with and end at."""
        empty = self.folder / "empty"
        empty.mkdir()
        for language, word in LANGUAGES.items():
            for file in range(FILES):
                lines = [
                    json.dumps({"n": f"{file}-{n}", "p": f"{SCRIPTS[n % 7]} {word} ({n}, {file})?"}, ensure_ascii=False)
                    for n in range(ROWS)
                ]
                (empty / f"{language}-{file}.jsonl").write_text("\n".join(lines), encoding="utf-8")
        catalog(empty, self.model.url, second=False, workers=1)
        for name, before, second, command in (
            ("first", "empty", False, ["build"]),
            ("second", "first", True, ["build"]),
            ("forgotten", "second", True, FORGET),
        ):
            here = self.folder / name
            shutil.copytree(self.folder / before, here, symlinks=True)
            catalog(here, self.model.url, second=second, workers=1)
            self._undisturbed(here, command, name)
            self.versions[name] = versions(here)
        self._undisturbed(self.folder / "second", ["publish", "pairs", "--to", PLACE], "publish")
        self.content = self.hub.content(PLACE)
        self._undisturbed(self.folder / "second", ["gc", "--dry-run"], "gc")
        self.took |= {"build": self.took["first"], "rebuild": self.took["second"], "finish": self.took["first"]}
        self.took["forget"] = self.took["forgotten"]

    def _undisturbed(self, here: Path, command: Sequence[str], name: str) -> None:
        began = time.monotonic()
        done = self.start(here, command)
        said = done.communicate(timeout=600)[0]
        assert done.returncode == 0, said
        self.took[name] = time.monotonic() - began

    def start(
        self, here: Path, command: Sequence[str], dies: dict[str, Any] | None = None, before: Sequence[str] = ()
    ) -> subprocess.Popen[str]:
        """A command on a folder's catalog.

        Args:
            dies: who dies at which change of a file (``tests/dying``).
            before: a program that runs it.
        """
        more = {} if dies is None else {"CURATE_DIES": json.dumps(dies)}
        path = os.pathsep.join([*([str(ROOT / "tests" / "dying")] if dies else []), str(ROOT)])
        environment = self.hub.environment(self.folder / "home", PYTHONPATH=path, HF_HUB_OFFLINE="0", **more)
        where = ["--catalog", str(here / "catalog.yaml")]
        return subprocess.Popen(
            [*before, sys.executable, "-m", "curate.cli", *command, *where],
            cwd=here,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
            start_new_session=True,
        )

    # ------------------------------------------------------------------------------------------------------------ runs
    def run(self, seed: int, executor: str = "local") -> Outcome:
        """One operation, disturbed, then run to its end and checked."""
        chance = random.Random(seed)
        operation = chance.choice(OPERATIONS if executor == "local" else OPERATIONS[:2])
        names = self.faults if executor == "local" else ["kill"]
        fault = chance.choices(names, [FAULTS[name] for name in names])[0]
        out = Outcome(seed, operation.name, fault if executor == "local" else "kill on ray")
        self.model.calls.clear()
        self.model._seen.clear()
        if operation.published:
            self.hub.repos.pop(PLACE, None)
        with ExitStack() as stack:
            here = self.folder / f"run-{seed}"
            here.mkdir()
            if fault == "disk":
                stack.enter_context(small_disk(here))
            workers = self.workers = 2 if executor == "ray" or chance.random() < 0.25 else 1
            try:
                copy(self.folder / operation.before, here)
                catalog(here, self.model.url, second=operation.after != "first", workers=workers, executor=executor)
                getattr(self, f"_{fault}")(operation, here, chance, out, executor)
                self._complete(operation, here, out)
            except (AssertionError, OSError, subprocess.TimeoutExpired) as error:
                out.wrong.append(f"{type(error).__name__}: {error}")
            if out.wrong:
                kept = self.folder / "wrong" / str(seed)
                shutil.rmtree(kept, ignore_errors=True)
                shutil.copytree(here, kept, symlinks=True, ignore_dangling_symlinks=True)
        shutil.rmtree(here, ignore_errors=True)
        return out

    def _kill(self, operation: Operation, here: Path, chance: random.Random, out: Outcome, executor: str) -> None:
        took = self.took[operation.name] + (8.0 if executor == "ray" else 0.0)
        for number in range(chance.choice((1, 1, 2, 3))):
            command = chance.choice(operation.commands)
            who = chance.choice(("driver", "worker") if self.workers > 1 else ("driver",))
            if executor == "local" and chance.random() < 0.6:
                at = int(_MOST[who] ** chance.random())
                flag = here.parent / f"{here.name}.died-{number}"
                flag.unlink(missing_ok=True)
                process = self.start(here, command, {"who": who, "folder": str(here), "at": at, "flag": str(flag)})
                said = process.communicate(timeout=600)[0]
                hit = flag.exists()
                flag.unlink(missing_ok=True)
            else:
                process = self.start(here, command)
                time.sleep(took * chance.uniform(0.2, 1.1))
                hit = process.poll() is None
                kill(process, who, chance)
                said = process.communicate(timeout=600)[0]
            end(process)
            out.hits += hit
            self._check_end(process.returncode, said, killed=hit)
            self._check_versions(here)

    def _disk(self, operation: Operation, here: Path, chance: random.Random, out: Outcome, executor: str) -> None:
        used = shutil.disk_usage(here).used
        room = chance.uniform(0, 1.2) * max(40_000, size(self.folder / operation.after) - size(here))
        resize(here, used + int(room))
        for command in operation.commands:
            process = self.start(here, command)
            said = process.communicate(timeout=600)[0]
            if process.returncode != 0:
                out.hits += 1
                assert "No space left on device" in said or "disk is full" in said, said
            self._check_end(process.returncode, said)
            self._check_versions(here)
        resize(here, _DISK)

    def _clock(self, operation: Operation, here: Path, chance: random.Random, out: Outcome, executor: str) -> None:
        """Half a build at one time, the rest at another: days before or after."""
        for command in operation.commands:
            days = f"{chance.choice('+-')}{chance.randint(1, 60)}d"
            process = self.start(here, command, before=["faketime", "-f", days])
            if chance.random() < 0.5:
                time.sleep(self.took[operation.name] * chance.uniform(0.2, 1.0))
                kill(process, "group", chance)
            said = process.communicate(timeout=600)[0]
            end(process)
            out.hits += 1
            self._check_end(process.returncode, said, killed=process.returncode == -signal.SIGKILL)
            self._check_versions(here)

    def _two(self, operation: Operation, here: Path, chance: random.Random, out: Outcome, executor: str) -> None:
        """Two at once; one of them may be killed."""
        command = operation.commands[0]
        wait = ["--wait", "120"] if command[0] in ("build", "forget") else []
        processes = [self.start(here, [*command, *wait]) for _ in range(2)]
        if dies := chance.random() < 0.5:
            time.sleep(self.took[operation.name] * chance.uniform(0.2, 1.2))
            kill(processes[0], "group", chance)
        for number, process in enumerate(processes):
            said = process.communicate(timeout=600)[0]
            end(process)
            busy = "another build works in" in said or "is being" in said or "process" in said
            killed = dies and number == 0 and process.returncode == -signal.SIGKILL
            out.hits += killed or not dies
            assert killed or process.returncode == 0 or (busy and not wait) or "no row" in said, said
            self._check_end(process.returncode, said, killed=killed)
        self._check_versions(here)

    # ---------------------------------------------------------------------------------------------------------- checks
    @staticmethod
    def _check_end(code: int | None, said: str, *, killed: bool = False) -> None:
        assert "Traceback" not in said, said
        assert killed or code in (0, 1), f"exit code {code}: {said}"

    @staticmethod
    def _check_versions(here: Path) -> None:
        store = Store(here / ".curate")
        for dataset in store.datasets() if store.root.is_dir() else ():
            for version in store.versions(dataset):
                problems = verify_version(store, dataset, version)
                assert problems == [], f"{dataset} {version}: {problems}"

    def _complete(self, operation: Operation, here: Path, out: Outcome) -> None:
        """Runs everything to its end, undisturbed, and looks at all that there is."""
        commands = [operation.commands[-1], ("build",)] if operation.name != "finish" else [("build",)]
        for command in commands:
            done = self.start(here, command)
            said = done.communicate(timeout=600)[0]
            if command[0] == "forget" and done.returncode == 1:  # it is gone already; what is left of it?
                done = self.start(here, ["forget", "--purge"])
                said = done.communicate(timeout=600)[0]
            assert done.returncode == 0, f"{' '.join(command)}: {said}"
        assert versions(here) == self.versions[operation.after], f"{versions(here)} is not {self.versions}"
        self._check_versions(here)
        left = list((here / ".curate").rglob(".tmp-*"))
        assert not left, f"left: {left}"
        asked = self.model.asked
        out.repeated = sum(asked.values()) - len(asked)
        allowed = out.hits * 2 * CONCURRENCY
        assert out.repeated <= allowed, f"{out.repeated} calls were made twice, {allowed} may be"
        if operation.before == "second":
            assert not asked, f"{len(asked)} calls were made for what was there"
        if operation.name == "forget":
            assert not (found := holding(here / ".curate", SECRET)), f"still in {found}"
        if operation.published:
            assert self.hub.content(PLACE) == self.content, "what is published is another thing"


def versions(here: Path) -> dict[str, str]:
    """Dataset → its latest version."""
    store = Store(here / ".curate")
    return {name: store.refs(name)["latest"]["version"] for name in store.datasets() if "latest" in store.refs(name)}


def holding(folder: Path, text: str) -> list[str]:
    """The parquet files that hold a text."""
    return [str(path) for path in folder.rglob("*.parquet") if text in str(pq.read_table(path).to_pylist())]


def copy(source: Path, target: Path) -> None:
    """Copies what is in a folder into another that is there."""
    shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)


def kill(process: subprocess.Popen[str], who: str, chance: random.Random) -> None:
    """Kills the process that was started, all of its group, or one that it started."""
    try:
        below = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return
    if who == "group" or (who == "driver" and chance.random() < 0.5):
        os.killpg(process.pid, signal.SIGKILL)
    elif who == "worker" and below:
        chance.choice([one for one in below if _works(one)] or [psutil.Process(process.pid)]).kill()
    else:
        process.kill()


def _works(process: psutil.Process) -> bool:
    """Whether a process does tasks; Python's own helper (the resource tracker) does none."""
    try:
        return any(word in " ".join(process.cmdline()) for word in ("ray::", "spawn_main"))
    except psutil.Error:
        return False


def end(process: subprocess.Popen[str]) -> None:
    """Waits for what a killed process has started to end by itself, as it must."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            os.killpg(process.pid, 0)
        except (ProcessLookupError, PermissionError):
            return
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)


def size(folder: Path) -> int:
    """The bytes on disk below a folder."""
    return sum(path.lstat().st_blocks * 512 for path in folder.rglob("*"))


def resize(here: Path, size: int) -> None:
    """Gives a file system of :func:`small_disk` another size."""
    subprocess.run(["mount", "-o", f"remount,size={size}", str(here)], check=True)


def can_mount() -> bool:
    """Whether this user may mount a file system."""
    with tempfile.TemporaryDirectory() as name:
        tried = subprocess.run(["mount", "-t", "tmpfs", "tmpfs", name], capture_output=True, check=False)
        return tried.returncode == 0 and subprocess.run(["umount", name], check=False).returncode == 0


@contextmanager
def small_disk(here: Path):
    """A file system whose size can be changed; needs the right to mount."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={_DISK}", "tmpfs", str(here)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(here)], check=False)


@contextmanager
def bench(folder: Path):
    """A prepared bench in a folder."""
    with FaultServer(answer) as model, Hub() as hub:
        found = Bench(folder, model, hub)
        found.prepare()
        yield found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--ray", type=int, default=0, help="Runs on Ray, in place of the others.")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="curate-reliability-"))
    until = time.monotonic() + arguments.seconds
    counts: Counter[tuple[str, str]] = Counter()
    wrong: list[Outcome] = []
    with bench(folder) as found:
        for seed in range(arguments.seed, arguments.seed + (arguments.ray or arguments.runs)):
            if time.monotonic() > until:
                break
            out = found.run(seed, "ray" if arguments.ray else "local")
            for name, count in (("runs", 1), ("struck", out.hits), ("calls twice", out.repeated)):
                counts[f"{out.operation}, {out.fault}", name] += count
            print(seed, out.operation, out.fault, out.hits, out.repeated, "WRONG" if out.wrong else "ok", flush=True)
            if out.wrong:
                wrong.append(out)
                print("\n".join(out.wrong), flush=True)
    names = ("runs", "struck", "calls twice")
    print("\n| operation, fault | " + " | ".join(names) + " |\n|---|" + "---|" * len(names))
    for what in sorted({what for what, _ in counts}):
        print(f"| {what} | " + " | ".join(f"{counts[what, name]:,}" for name in names) + " |")
    print(f"\n{len(wrong)} wrong" + (f", kept in {folder / 'wrong'}" if wrong else ""))
    if not wrong:
        shutil.rmtree(folder)
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
