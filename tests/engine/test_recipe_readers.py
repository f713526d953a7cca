"""Whoever reads a recipe knows that a step may name several models, as the README's own example does."""

from __future__ import annotations

import json

import pytest
import yaml
from servers.llm import FaultServer, Reply
from typer.testing import CliRunner

from curate.cli.main import app

ROWS = [("en", "What do bees make?"), ("sw", "Nyuki hutengeneza nini?"), ("hi", "मधुमक्खियाँ क्या बनाती हैं?")]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Two versions of a dataset whose answers are of two models; of the second version one model is another."""
    folder = tmp_path_factory.mktemp("recipes")
    (folder / "asked.jsonl").write_text("".join(json.dumps({"l": tag, "q": text}) + "\n" for tag, text in ROWS))
    with FaultServer(lambda body, times: Reply(f"{body['model']} says: honey.")) as server:
        catalog = {
            "version": 1,
            "models": {
                name: {"use": "openai", "url": server.url, "model": f"lab/{name}", "revision": "1"}
                for name in ("one", "two", "three")
            },
            "sources": {
                "asked": {
                    "use": "jsonl",
                    "path": "asked.jsonl",
                    "kind": "prompt",
                    "language": "{l}",
                    "license": "CC0-1.0",
                    "columns": {"prompt": "{q}"},
                }
            },
            "datasets": {
                "answers": {
                    "from": "asked",
                    "steps": [{"respond": {"model": ["one", "two"], "instruct_language": "never"}}],
                }
            },
            "run": {"workers": 1},
        }

        def curate(*arguments: str) -> str:
            given = [*arguments, "-c", str(folder / "catalog.yaml")] if arguments[0] != "schema" else arguments
            result = CliRunner().invoke(app, given)
            assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
            assert result.exit_code == 0, result.output
            return result.output

        for models in (["one", "two"], ["one", "three"]):
            catalog["datasets"]["answers"]["steps"][0]["respond"]["model"] = models
            (folder / "catalog.yaml").write_text(yaml.safe_dump(catalog, sort_keys=False))
            curate("build", "-q")
        yield curate, folder


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["show", "answers"], ['"model":["lab/one@1","lab/three@1"]']),
        (["show", "answers", "--json"], ["lab/three@1"]),
        (["log", "answers"], ["respond.model.2.model: lab/two@1 → lab/three@1"]),
        (["diff", "answers"], ["respond.model.2.model: lab/two@1 → lab/three@1"]),
        (["verify", "answers"], []),
        (["verify", "answers", "--rebuild"], []),
        (["plan"], ["up to date"]),
        (["card", "answers"], ["`lab/one@1`, `lab/three@1`"]),
        (["licenses", "answers"], []),
        (["judge-report"], []),
        (
            ["query", "SELECT DISTINCT lineage.makers[1].model AS made FROM answers ORDER BY 1", "-f", "csv"],
            ["lab/one@1", "lab/three@1"],
        ),
    ],
    ids=lambda value: (
        " ".join(value[:3])
        if value and value[0] in ("show", "log", "diff", "verify", "plan", "card", "licenses", "judge-report", "query")
        else ""
    ),
)
def test_every_command_reads_a_list_of_models(built, arguments, shown):
    curate, _ = built
    output = curate(*arguments)
    for one in shown:
        assert one in output, output


def test_report_and_exports_read_it_too(built, tmp_path):
    curate, _ = built
    curate("report", "answers", "--to", str(tmp_path / "report.html"))
    assert "lab/three@1" in (tmp_path / "report.html").read_text()
    curate("export", "answers", "trl", "--to", str(tmp_path / "exports"))
    curate("publish", "answers", "--to", str(tmp_path / "published"))
    assert "`lab/one@1`, `lab/three@1`" in (tmp_path / "published" / "README.md").read_text()
