"""Queries that go wrong in unusual ways: names, types, sizes and statements that try to change something."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
import yaml

import curate
from curate.cli.answers import Format, print_answer
from curate.sql import Database, Limits, QueryError

NAMES = ("words", "a-b_c", "a_b-c", "a-b-c")


@pytest.fixture(scope="module")
def store(tmp_path_factory, registry):
    folder: Path = tmp_path_factory.mktemp("sql")
    (folder / "a.txt").write_text("\n".join(f"en\t{n}\tbread {n}" for n in range(40)))
    catalog = {
        "version": 1,
        "sources": {"bread": {"use": "numbered", "path": ["a.txt"], "license": "cc0-1.0"}},
        "datasets": {
            name: {"from": "bread", "splits": {"train": 0.5, "test": 0.5}, "seed": seed}
            for seed, name in enumerate(NAMES)
        },
        "run": {"workers": 1},
    }
    (folder / "catalog.yaml").write_text(yaml.safe_dump(catalog))
    curate.build(folder / "catalog.yaml", registry=registry)
    return curate.open_store(folder / ".curate")


@pytest.fixture(scope="module")
def database(store):
    with Database(store) as opened:
        yield opened


def test_names_that_differ_in_hyphens_only_are_all_there(database):
    for name in NAMES:
        assert database.query(f'SELECT count(*) FROM "{name}"').item() == 40
    assert database.query("SELECT count(*) FROM a_b_c").item() == 40


@pytest.mark.parametrize(
    "sql",
    [
        "EXPLAIN ANALYZE DROP VIEW words",
        "EXPLAIN ANALYZE CREATE OR REPLACE VIEW words AS SELECT 1 AS x",
        "EXPLAIN ANALYZE CREATE TABLE t AS SELECT 1",
        "EXPLAIN ANALYZE CREATE TEMP TABLE words AS SELECT 1 AS x",
        "EXPLAIN ANALYZE CREATE OR REPLACE MACRO score(s, n) AS 99",
        "EXPLAIN ANALYZE CREATE OR REPLACE TEMP MACRO score(s, n) AS 99",
    ],
)
def test_explaining_changes_nothing(database, sql):
    with contextlib.suppress(QueryError):
        database.query(sql)
    assert database.query("SELECT count(DISTINCT id) FROM words").item() == 40
    assert database.query("SELECT score([{name: 'x', value: 2.5}], 'x')").item() == 2.5
    assert "t" not in database.query("SHOW TABLES")["name"].to_list()


def test_a_pivot_says_how_it_is_written(database):
    with pytest.raises(QueryError, match="IN"):
        database.query("PIVOT words ON language USING count(*)")
    found = database.query("PIVOT (SELECT split, language FROM words) ON language IN ('en') USING count(*)")
    assert found["en"].sum() == 40


def test_a_join_may_name_a_column_twice(database):
    found = database.query("SELECT a.id, b.id, 7 AS id_1 FROM words a JOIN words b USING (group_id)")
    assert found.columns == ["id", "id_2", "id_1"] and found.height == 40
    assert (found["id"] == found["id_2"]).all()


@pytest.mark.parametrize(
    ("sql", "shown"),
    [
        ("SELECT INTERVAL 3 MONTH AS v", "3 months"),
        ("SELECT [INTERVAL 1 DAY] AS v", "[1 day]"),
        ("SELECT '101'::BIT AS v", "101"),
        ("SELECT 123456789012345678901234567890::BIGNUM AS v", "123456789012345678901234567890"),
        ("SELECT union_value(a := 1) AS v", "1"),
        ("SELECT TIMETZ '12:00:00+02' AS v", "12:00:00+02"),
    ],
)
def test_types_that_a_frame_cannot_hold_come_as_text(database, sql, shown):
    assert database.query(sql).item() == shown


@pytest.mark.parametrize("format_", list(Format))
def test_every_value_can_be_written_in_every_format(database, tmp_path, format_):
    frame = database.query(
        "SELECT [DATE '2024-01-01'] AS a, {'x': 1.50::DECIMAL(4, 2), 't': TIMESTAMP '2024-01-01'} AS b, 'x'::BLOB AS c, ['x'::BLOB] AS d, "  # noqa: E501
        "NULL AS e, [NULL, 1] AS f, [170141183460469231731687303715884105727::HUGEINT] AS g, 'nan'::DOUBLE AS h, MAP {'k': [1]} AS i, "  # noqa: E501
        "1.50::DECIMAL(4, 2) AS j, 'q,\"w\n' AS k, TIME '12:00' AS l"
    )
    print_answer(frame, format_, tmp_path / "out")
    assert (tmp_path / "out").stat().st_size > 0
    if format_ is Format.CSV:
        assert (tmp_path / "out").read_text().splitlines()[1].startswith('"[""2024-01-01""]","{""x"":""1.50"",')


def test_an_answer_that_cannot_be_written_is_a_message(database, tmp_path):
    frame = database.query("SELECT 1 AS a")
    for format_ in Format:
        with pytest.raises(QueryError, match="cannot be written"):
            print_answer(frame, format_, tmp_path / "no" / "such" / "folder")
    with pytest.raises(QueryError, match="--output"):
        print_answer(frame, Format.PARQUET, None)


def test_a_table_in_a_file_has_all_rows(database, tmp_path):
    print_answer(database.query("SELECT range AS n FROM range(1000)"), Format.TABLE, tmp_path / "out")
    assert len(tmp_path.joinpath("out").read_text().splitlines()) > 1000


def test_limits_count_the_answer_too_and_are_checked(store):
    with Database(store, Limits(memory="100MB")) as small:
        with pytest.raises(QueryError, match="needs more than 100MB"):
            small.query("SELECT * FROM range(50000000)")
        assert small.query("SELECT count(*) FROM words").item() == 40
    with (
        Database(store, Limits(seconds=0.3, memory="1GB")) as slow,
        pytest.raises(QueryError, match=r"stopped after 0.3 s"),
    ):
        slow.query("SELECT a.range FROM range(100000000) a, range(100000000) b WHERE hash(a.range, b.range) = 1")
    for limits in (Limits(memory="much"), Limits(seconds=0), Limits(seconds=-1), Limits(seconds=float("nan"))):
        with pytest.raises(QueryError, match="limit"):
            Database(store, limits)
    with Database(store, Limits(seconds=float("inf"))) as patient:
        assert patient.query("SELECT 1").item() == 1


def test_the_command_ends_quietly_after_an_answer_and_after_a_mistake(tmp_path):
    """DuckDB's binding prints a page about leaks if its objects outlive the interpreter."""
    import subprocess
    import sys

    for sql, code in (("SELECT 1 AS a", 0), ("SELECT nope", 1)):
        run = subprocess.run(
            [sys.executable, "-m", "curate.cli", "query", sql, "--store", str(tmp_path)], capture_output=True, text=True
        )
        assert run.returncode == code
        assert "nanobind" not in run.stderr and len(run.stderr.splitlines()) <= 2
