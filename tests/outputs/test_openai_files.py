"""OpenAI's own package takes the files: its types, its validators (up to 2.x), and the README's code against a server
on loopback."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from servers import running
from servers.openai_files import FilesAndJobs
from trainer_bench import PAIRS, SFT
from version_bench import data_of

from curate.rows import Kind

# The types of ``openai.types`` refuse what is not theirs only by leaving it out, so what they read must equal what was
# written.
FORMS = [(Kind.SFT, SFT), (Kind.PREFERENCE, PAIRS)]


@pytest.mark.parametrize(("kind", "rows"), FORMS)
def test_each_line_is_what_openais_types_describe(version, written, kind, rows):
    chat = pytest.importorskip("openai.types.chat")
    from pydantic import TypeAdapter

    messages = TypeAdapter(list[chat.ChatCompletionMessageParam])
    answers = TypeAdapter(list[chat.ChatCompletionAssistantMessageParam])
    lines = data_of(written(version(kind, train=rows), "openai"))
    for row, line in zip(rows, lines, strict=True):
        if kind is Kind.SFT:
            assert line == {"messages": row["messages"]} == {"messages": messages.validate_python(line["messages"])}
        else:
            assert list(line) == ["input", "preferred_output", "non_preferred_output"]
            assert line["input"] == {"messages": messages.validate_python(row["prompt"])}
            for name, side in (("preferred_output", "chosen"), ("non_preferred_output", "rejected")):
                assert line[name] == row[side] == answers.validate_python(line[name])


@pytest.mark.heavy(env="common")
@pytest.mark.parametrize(("kind", "rows", "column"), [(*FORMS[0], "messages"), (*FORMS[1], "preferred_output")])
def test_openais_validators_find_every_row(version, written, kind, rows, column):
    validators = pytest.importorskip("openai.lib._validators", exc_type=ImportError)
    pytest.importorskip("pandas")
    found = written(version(kind, train=rows), "openai")
    table, remark = validators.read_any_format(str(found.folder / "data" / "train.jsonl"))
    assert (remark.error_msg, remark.necessary_msg, remark.immediate_msg) == (None, None, None)
    assert len(table) == len(rows)
    assert validators.num_examples_validator(table).error_msg is None
    assert validators.necessary_column_validator(table, column).error_msg is None


@pytest.fixture
def told(monkeypatch):
    """What a server was told of files and jobs."""
    found: list[tuple[str, Any]] = []
    with running(type("Told", (FilesAndJobs,), {"told": found})) as address:
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        monkeypatch.setenv("OPENAI_BASE_URL", f"{address}/v1")
        yield found


@pytest.mark.parametrize(("kind", "rows"), FORMS)
def test_the_readmes_code_sends_the_files_and_starts_the_job(version, written, monkeypatch, told, kind, rows):
    pytest.importorskip("openai")
    found = written(version(kind, train=rows, test=rows[:10]), "openai")
    monkeypatch.chdir(found.folder)
    code = (found.folder / "README.md").read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]
    subprocess.run([sys.executable, "-c", code], check=True, timeout=600)
    [(_, train), (_, test), (path, job)] = told
    assert train == {"purpose": b"fine-tune", "file": (found.folder / "data" / "train.jsonl").read_bytes()}
    assert test["file"] == (found.folder / "data" / "test.jsonl").read_bytes()
    assert path == "/v1/fine_tuning/jobs"
    assert job == {
        "model": "MODEL",
        "training_file": "file-0",
        "validation_file": "file-1",
        **({"method": {"type": "dpo"}} if kind is Kind.PREFERENCE else {}),
    }
