"""The command line: mistakes in what is typed are messages and exit code 1, never tracebacks."""

from __future__ import annotations

import inspect
import re
import typing
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from curate.cli.main import app

CATALOG = """\
version: 1
languages: {targets: [sw]}
sources: {one: {use: jsonl, path: a.jsonl, language: "${languages.targets}", license: x, kind: document, columns: {text: "{t}"}}}
datasets: {first: {from: one}}
run: {workers: 1}
"""  # noqa: E501


@pytest.fixture
def curate(tmp_path: Path, monkeypatch):
    (tmp_path / "catalog.yaml").write_text(CATALOG.replace("[sw]", "sw"))
    (tmp_path / "a.jsonl").write_text('{"t": "habari"}\n{"t": "asubuhi"}\n')
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, code: int = 0):
        result = CliRunner().invoke(app, list(arguments))
        assert result.exit_code == code, result.output
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return run


@pytest.mark.parametrize("value", ["[", "{a", "!!int x", ".nan", '"\\ud800"'])
def test_a_value_that_cannot_be_read_is_told(curate, value):
    assert "--set languages.targets:1: " in curate("check", "--set", f"languages.targets={value}", code=1).output


def test_values_are_read_as_in_the_catalog(curate):
    curate("build", "-q", "--set", "languages.targets=no")
    shown = curate("query", "SELECT DISTINCT language FROM first", "-f", "csv").output
    assert shown.split() == ["language", "nb"], "Norwegian, not false"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--memory", "lots"), "memory limit"),
        (("--timeout", "0"), "time limit"),
        (("--timeout", "nan"), "time limit"),
        (("-f", "parquet"), "--output"),
        (("-o", "no/such/folder/x.csv", "-f", "csv"), "cannot be written"),
    ],
)
def test_options_of_a_query_that_cannot_be_are_told(curate, options, message):
    curate("build", "-q")
    assert message in curate("query", "SELECT 1 AS a", *options, code=1).output


def test_what_was_built_can_be_looked_at_while_the_catalog_is_being_changed(curate, tmp_path):
    curate("build", "-q")
    (tmp_path / "catalog.yaml").write_text(CATALOG.replace("[sw]", "sw").replace("from: one", "from: oen"))
    assert "oen" in curate("plan", code=1).output
    assert "habari" in curate("query", "SELECT text FROM first").output
    for command in ("show", "log", "card"):
        assert "first" in curate(command, "first").output


def test_several_queries_are_answered_in_order_by_one_process(curate):
    curate("build", "-q")
    shown = curate("query", "SELECT text FROM first ORDER BY text LIMIT 1", "SELECT 'ต่อไป' AS second").output
    assert shown.index("asubuhi") < shown.index("ต่อไป") and "habari" not in shown
    failed = curate("query", "SELECT 1 AS a", "SELECT nothing FROM first", "SELECT 'never' AS b", code=1).output
    assert "nothing" in failed and "never" not in failed


@pytest.mark.parametrize("options", [("-f", "csv"), ("-o", "all.txt")])
def test_several_queries_are_not_written_into_one_file(curate, tmp_path, options):
    curate("build", "-q")
    assert "give one with" in curate("query", "SELECT 1 AS a", "SELECT 2 AS a", *options, code=1).output
    assert not (tmp_path / "all.txt").exists()


def test_several_builds_take_a_line_each_and_one_is_told_at_length(curate, tmp_path):
    more = "datasets: {first: {from: one}, second: {from: one, steps: [{shape: {max_chars: 6}}]}}"
    (tmp_path / "catalog.yaml").write_text(
        CATALOG.replace("[sw]", "sw").replace("datasets: {first: {from: one}}", more)
    )
    first, second, where = curate("build", "-q").stdout.splitlines()
    assert re.fullmatch(r"first +2 rows: 1 language, 0 dropped, [0-9.]+ s", first)
    assert re.fullmatch(r"second +1 rows: 1 language, 1 dropped, [0-9.]+ s", second)
    assert "curate show NAME" in where
    (tmp_path / "a.jsonl").write_text('{"t": "habari"}\n{"t": "usiku"}\n')
    assert "read  shape  kept" in curate("build", "-q", "second").stdout


def test_two_columns_of_one_name_are_shown(curate):
    curate("build", "-q")
    shown = curate("query", "SELECT a.id, b.id FROM first a JOIN first b USING (id)", "-f", "csv").output.splitlines()
    assert shown[0] == "id,id_1" and len(shown) == 3


CHECKED_LATER = {
    "query --timeout": "time limit",
    "calibrate --precision": "Input should be greater than 0",
    "calibrate --bad": "Input should be greater than 0",
    "calibrate --among": "equal to 1",
    "calibrate --least": "equal to 5",
    "calibrate --most": "equal to 5",
}
"""Options whose limits the part that uses them knows, and what it says."""
ANY_NUMBER = {"seed"}


def numeric_options() -> list:
    """(command with what it requires, option, type) of every number that the command line takes."""
    found = []
    commands = [((one.name or one.callback.__name__,), one.callback) for one in app.registered_commands]
    commands += [
        ((group.name, one.name or one.callback.__name__), one.callback)
        for group in app.registered_groups
        for one in group.typer_instance.registered_commands
    ]
    for words, function in commands:
        hints = typing.get_type_hints(function, include_extras=True)
        required: list[str] = []
        for name, parameter in inspect.signature(function).parameters.items():
            if hints[name] is typer.Context:  # typer's own, no option
                continue
            about = typing.get_args(hints[name])[1]
            written = next(
                (one for one in about.param_decls or () if one.startswith("--")),
                f"--{name.rstrip('_').replace('_', '-')}",
            )
            if parameter.default is parameter.empty:
                required += ["use-multilingual"] if isinstance(about, typer.models.ArgumentInfo) else [written, "x"]
            inner = typing.get_args(hints[name])[0]
            kinds = {inner, *typing.get_args(inner)} & {int, float}
            if kinds:
                found.append(((*words,), required, written, kinds.pop()))
    return [
        pytest.param([*words, *required], option, kind, id=" ".join([*words, option]))
        for words, required, option, kind in found
    ]


@pytest.mark.parametrize(("command", "option", "kind"), numeric_options())
def test_every_number_has_a_least_value_that_is_told(curate, command, option, kind):
    if option.removeprefix("--") in ANY_NUMBER:
        return
    for value in ("-1", "nan") if kind is float else ("-1",):
        run = CliRunner().invoke(app, [*command, option, value])
        assert run.exit_code != 0 and (run.exception is None or isinstance(run.exception, SystemExit)), run.exception
        told = r"(range x>=|greater than or equal to )\d"  # as Typer says it, before and since 1.0
        told = f"nan|{told}" if value == "nan" else CHECKED_LATER.get(f"{command[0]} {option}", told)
        assert re.search(told, " ".join(run.output.replace("│", " ").split())), run.output


def test_the_numbers_are_found():
    assert {
        "plan --sample",
        "build --wait",
        "query --timeout",
        "gc --keep",
        "gc --cache",
        "calibrate --precision",
        "review export --sample",
    } <= {one.id for one in numeric_options()}
