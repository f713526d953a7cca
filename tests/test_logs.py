"""What happens is logged below the logger ``curate``; a log file has it as JSON lines, from workers too, without
texts and secrets."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from commands import run

import curate
from curate.engine.budget import open_ledger
from curate.engine.planning.runner import DatasetRecord, TaskRunner

CATALOG = """\
version: 1
sources: {one: {use: jsonl, path: a.jsonl, language: sw, license: CC0-1.0, kind: document, columns: {text: "{t}"}, max_error_rate: 0.5}}
datasets: {first: {from: one, steps: [{shape: {max_chars: 7}}]}}
"""  # noqa: E501


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "catalog.yaml").write_text(CATALOG)
    (tmp_path / "a.jsonl").write_text('{"t": "habari"}\n{"t": "asubuhi"}\nbroken\n{"t": "habari za asubuhi"}\n')
    return tmp_path


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("options", [(), ("--log-file", "run.log")])
def test_a_cache_that_is_damaged_is_one_line_on_the_terminal_and_a_record_of_the_log(folder, options):
    assert run(folder, "build", "-q").returncode == 0
    (folder / ".curate" / "spending.sqlite").write_text("no database")
    done = run(folder, *options, "build", "-q")
    assert done.returncode == 0
    [line] = [line for line in done.stderr.splitlines() if "spending.sqlite" in line]
    assert re.match(
        r"\S+spending.sqlite is damaged \(.*\); it was moved to spending.sqlite.damaged-\S+: what builds", line
    )
    assert "Warning" not in done.stderr
    if options:
        [record] = [record for record in lines(folder / "run.log") if record["message"] == line]
        assert record["level"] == "warning" and record["logger"] == "curate.engine"


@pytest.mark.parametrize("how", ["option", "variable"])
def test_a_log_file_has_stages_warnings_and_the_version(folder, how):
    log = folder / "run.log"
    if how == "option":
        done = run(folder, "--log-file", "run.log", "build", "-q")
    else:
        done = run(folder, "build", "-q", CURATE_LOG=str(log))
    assert done.returncode == 0, done.stderr
    records = lines(log)
    assert all({"time", "level", "logger", "process", "message"} <= record.keys() for record in records)
    begun = {record["stage"] for record in records if record["message"] == "stage begins"}
    ended = {record["stage"] for record in records if record["message"] == "stage ends"}
    assert begun == ended and {"read one", "first/shape"} <= begun
    [warning] = [record for record in records if record["level"] == "warning"]
    assert "1 of 4 rows of one cannot be read" in warning["message"] and warning["stage"] == "read one"
    [built] = [record for record in records if record["message"] == "built"]
    [made] = curate.query("SELECT version FROM curate.datasets WHERE ref = 'latest'", store=folder / ".curate").rows()
    assert (built["dataset"], built["rows"], built["version"]) == ("first", 2, made[0])
    assert "habari" not in log.read_text()


def test_a_second_build_is_up_to_date_and_appends(folder):
    run(folder, "--log-file", "run.log", "build", "-q")
    before = len(lines(folder / "run.log"))
    run(folder, "--log-file", "run.log", "build", "-q")
    after = lines(folder / "run.log")[before:]
    assert [record["message"] for record in after if record["level"] == "info"] == ["up to date"]


def test_a_program_sees_the_records_without_a_file(folder, caplog, monkeypatch):
    monkeypatch.delenv("CURATE_LOG", raising=False)
    with caplog.at_level(logging.INFO, logger="curate"):
        curate.build(folder / "catalog.yaml")
    assert {record.name for record in caplog.records} == {"curate.engine"}
    assert "built" in caplog.messages and list(folder.glob("*.log")) == []


def test_credentials_are_struck_out(tmp_path, monkeypatch):
    from curate.logs import JsonFormatter

    monkeypatch.setenv("HUB_TOKEN", "hf_abcdefghijklmnopqrstuvwxyz")
    record = logging.makeLogRecord(
        {"name": "curate.x", "levelname": "INFO", "msg": "asked with %s", "args": ("hf_abcdefghijklmnopqrstuvwxyz",)}
    )
    record.url = "https://x.test/?key=hf_abcdefghijklmnopqrstuvwxyz"
    line = json.loads(JsonFormatter().format(record))
    assert "hf_abc" not in json.dumps(line) and line["message"] == "asked with ***"


def test_a_file_that_cannot_be_written_is_named(folder):
    done = run(folder, "--log-file", "no/such/folder/x.log", "build")
    assert done.returncode == 1 and "--log-file: no/such/folder/x.log" in done.stderr and "Traceback" not in done.stderr


TRACED = """
import json, sys
import curate
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

spans, numbers = InMemorySpanExporter(), InMemoryMetricReader()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(spans))
trace.set_tracer_provider(provider)
metrics.set_meter_provider(MeterProvider(metric_readers=[numbers]))
try:
    curate.build("catalog.yaml")
except curate.CurateError:
    pass
found = [
    {"name": one.name, "status": one.status.status_code.name, "inside": one.parent is not None, **one.attributes}
    for one in spans.get_finished_spans()
]
data = numbers.get_metrics_data()
points = [
    {"name": metric.name, "value": point.value, **point.attributes}
    for resource in data.resource_metrics for scope in resource.scope_metrics for metric in scope.metrics
    for point in metric.data.data_points
] if data else []
print(json.dumps([found, points]))
"""


def traced(folder: Path) -> tuple[list[dict], list[dict]]:
    done = subprocess.run([sys.executable, "-c", TRACED], cwd=folder, capture_output=True, text=True, check=True)
    spans, points = json.loads(done.stdout)
    return spans, points


def test_opentelemetry_gets_spans_and_counters_of_stages(folder):
    spans, points = traced(folder)
    whole = [one for one in spans if one["name"] == "curate dataset"]
    assert [one["curate.dataset"] for one in whole] == ["first"]
    stages = {one["curate.stage"]: one for one in spans if one["name"] == "curate stage"}
    assert {"read one", "first/shape", "first/write"} <= stages.keys() and all(one["inside"] for one in stages.values())
    assert stages["first/shape"]["curate.rows"] == 3 and stages["first/shape"]["status"] == "UNSET"
    rows = {one["curate.stage"]: one["value"] for one in points if one["name"] == "curate.rows"}
    assert rows["first/shape"] == 3


def test_a_stage_that_fails_is_an_error_there(folder):
    code = "def broken(text: pl.Series) -> pl.Series:\n    return pl.Series([0.5])\n"
    (folder / "broken.py").write_text(f"import curate\nimport polars as pl\n\n@curate.filter(min=0.5)\n{code}")
    (folder / "catalog.yaml").write_text(
        CATALOG.replace("shape: {max_chars: 7}", "broken") + "plugins: [./broken.py]\n"
    )
    spans, _ = traced(folder)
    errors = {one["name"]: one for one in spans if one["status"] == "ERROR"}
    assert errors.keys() == {"curate dataset", "curate stage"}
    assert errors["curate stage"]["curate.stage"] == "first/broken"
    run(folder, "--log-file", "run.log", "build", "-q")
    failed = [record for record in lines(folder / "run.log") if record["level"] == "error"]
    assert [(record["message"], record["stage"]) for record in failed] == [("stage failed", "first/broken")]


def test_a_stage_that_ends_in_each_round_counts_its_calls_once(tmp_path):
    """With a target a stage ends once a round; what it spent before is not spent again."""
    context = SimpleNamespace(store=SimpleNamespace(root=tmp_path), build="one")
    runner = TaskRunner(context)
    runner.begin(DatasetRecord("first"))
    assert runner._spent_on("first/respond") == {}
    for calls in (3, 2):
        ledger = open_ledger(tmp_path, "one", {}, "first/respond")
        for _ in range(calls):
            ledger.settle(ledger.reserve("m", 10, 0.5), 4, 6, 0.25)
        ledger.release()
        assert runner._spent_on("first/respond") == {
            "calls": calls,
            "prompt_tokens": 4 * calls,
            "completion_tokens": 6 * calls,
            "money": 0.25 * calls,
        }
    assert set(runner._spent_on("first/respond").values()) == {0}
