"""Queries: they see the versions, and only the versions."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
import yaml
from commands import run

import curate
from curate.sql import Database, Limits, QueryError


@pytest.fixture(scope="module")
def built(tmp_path_factory, registry):
    folder: Path = tmp_path_factory.mktemp("sql")
    (folder / "a.txt").write_text(
        "\n".join(
            f"{language}\t{n}\t{word} {n}"
            for n in range(30)
            for language, word in (("en", "bread"), ("ar", "خبز"), ("th", "ขนมปัง"))
        ),
        encoding="utf-8",
    )
    catalog = {
        "version": 1,
        "sources": {"words": {"use": "numbered", "path": ["a.txt"], "license": "cc0-1.0"}},
        "datasets": {"daily-words": {"from": "words", "steps": [{"letters": {"min": {"default": 6, "th": 9}}}]}},
        "run": {"workers": 1},
    }
    (folder / "catalog.yaml").write_text(yaml.safe_dump(catalog))
    first = curate.build(folder / "catalog.yaml", registry=registry)[0]
    catalog["datasets"]["daily-words"]["steps"] = [{"letters": {"min": 1}}]
    (folder / "catalog.yaml").write_text(yaml.safe_dump(catalog))
    second = curate.build(folder / "catalog.yaml", registry=registry)[0]
    return folder, first, second


@pytest.fixture(scope="module")
def database(built):
    with Database(curate.open_store(built[0] / ".curate")) as opened:
        yield opened


def test_names_refs_and_rejects_are_tables(built, database):
    _, first, second = built
    assert database.query('SELECT count(*) FROM "daily-words"').item() == 90 == second.rows
    assert database.query("SELECT count(*) FROM daily_words").item() == 90
    assert database.query(f'SELECT count(*) FROM "daily-words@{first.version}"').item() == first.rows < 90
    old = database.query(f'SELECT language, text, reason FROM "daily-words@{first.version}".rejected')
    assert old.height == 90 - first.rows and set(old["reason"]) == {"too short"}
    assert set(old["language"]) == {"ar", "th"}
    assert database.query("SELECT count(*) FROM daily_words.quarantined").item() == 0
    assert database.query("FROM curate.datasets WHERE ref = 'latest'").select("dataset", "rows", "version").row(0) == (
        "daily-words",
        90,
        second.version,
    )


def test_where_from_why_and_under_which_licence(database):
    row = database.query(
        "SELECT lineage.source AS source, lineage.source_id AS place, lineage.license AS license FROM daily_words WHERE text = 'خبز 7'"  # noqa: E501
    )
    assert row.row(0) == ("words", "a.txt:23", "cc0-1.0")
    assert database.query("SELECT sum(rows) FROM curate.funnel WHERE step = 'letters' AND language = 'th'").item() == 30
    assert database.query("SELECT license, rows, bad FROM curate.sources").row(0) == ("cc0-1.0", 90, 0)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_parquet('{file}')",
        "SELECT * FROM '{file}'",
        "SELECT * FROM read_text('/etc/hostname')",
        "SELECT * FROM glob('/*')",
        "SELECT * FROM read_csv('/etc/hostname')",
        "SELECT * FROM sniff_csv('/etc/hostname')",
        "SELECT * FROM read_blob('{file}')",
        "COPY (SELECT 1) TO '{file}.csv'",
        "ATTACH '{file}.db'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET memory_limit = '1TB'",
        "PRAGMA database_list",
        "CREATE TABLE t AS SELECT 1",
        "DELETE FROM daily_words",
        "DROP VIEW daily_words",
        "EXPORT DATABASE '{file}.x'",
        "SELECT 1; SELECT 2",
        "SELECT * FROM 'http://127.0.0.1/x.parquet'",
        "SELECT getenv('HOME')",
        "CALL pragma_version()",
        "CHECKPOINT",
        "SELECT * FROM parquet_metadata('{file}')",
        "",
        "SELEC 1",
    ],
)
def test_nothing_else_can_be_read_or_changed(built, database, sql):
    file = next(built[2].path.glob("data/*.parquet"))
    before = sorted(path.name for path in file.parent.iterdir())
    with pytest.raises(QueryError):
        database.query(sql.format(file=file))
    assert sorted(path.name for path in file.parent.iterdir()) == before
    assert database.query("SELECT count(*) FROM daily_words").item() == 90, "and the database still answers"


def test_python_variables_are_no_tables(database):
    secret = pl.DataFrame({"a": [1]})
    with pytest.raises(QueryError, match="secret"):
        database.query("SELECT * FROM secret")
    assert secret.height == 1


def test_a_query_that_takes_too_long_or_too_much_is_stopped(built):
    store = curate.open_store(built[0] / ".curate")
    with Database(store, Limits(seconds=0.3)) as slow, pytest.raises(QueryError, match=r"stopped after 0.3 s"):
        slow.query("SELECT count(*) FROM range(100000000) a, range(100000000) b WHERE a.range * b.range % 7 = 3")
    with Database(store, Limits(memory="64MB")) as small, pytest.raises(QueryError, match="needs more than 64MB"):
        small.query("SELECT list(range) FROM range(50000000)")


def test_a_wrong_table_name_lists_the_right_ones(database):
    with pytest.raises(QueryError, match="daily-words"):
        database.query("SELECT * FROM dayly_words")


def test_an_optional_part_that_no_row_has_is_named(database):
    with pytest.raises(QueryError, match=r"no row of this version has 'tools'"):
        database.query("SELECT tools FROM daily_words")
    with pytest.raises(QueryError, match=r"no row of this version has 'tool_calls'"):
        database.query("SELECT m.tool_calls FROM (SELECT {'role': 'user'} AS m FROM daily_words)")
    with pytest.raises(QueryError) as other:
        database.query("SELECT toolz FROM daily_words")
    assert "no row" not in str(other.value)


def test_reading_statements_of_every_form_work(database):
    for sql in (
        "FROM daily_words LIMIT 1",
        "WITH a AS (SELECT 1 AS b) FROM a",
        "DESCRIBE daily_words",
        "SUMMARIZE SELECT language FROM daily_words",
        "EXPLAIN SELECT 1",
        "SHOW TABLES",
    ):
        assert database.query(sql).height > 0


@pytest.mark.parametrize("format_", ["table", "csv", "json", "jsonl"])
def test_the_command_prints_each_format_with_scripts_as_they_are(built, format_):
    sql = "SELECT text, scores FROM daily_words WHERE language = 'ar' ORDER BY id LIMIT 2"
    done = run(built[0], "query", sql, "-f", format_)
    assert done.returncode == 0 and "خبز" in done.stdout and "\\u" not in done.stdout


def test_the_prompt_answers_and_goes_on_after_a_mistake(built, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "curate.cli", "query", "--store", str(built[0] / ".curate"), "-f", "csv"],
        capture_output=True,
        text=True,
        input="SELECT nonsense;\nSELECT count(*) AS n\nFROM daily_words;\nexit\n",
        check=True,
    )
    assert "nonsense" in done.stderr and "90" in done.stdout
    out = tmp_path / "out.parquet"
    assert run(built[0], "query", "SELECT * FROM daily_words", "-f", "parquet", "-o", str(out)).returncode == 0
    assert pl.read_parquet(out).height == 90
