"""Queries that outrun their limits inside one function, versions that are damaged, and the process that queries run
in."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from commands import run
from hypothesis import given
from hypothesis import strategies as st

import curate
import curate.sql.process
from curate.engine.store.integrity import seal
from curate.engine.store.store import Store
from curate.errors import QueryError
from curate.sql import Database, Limits, _unique

WORDS = {"en": "bread", "ar": "خبز", "th": "ขนมปัง", "ja": "パン"}


@pytest.fixture(scope="module")
def built(tmp_path_factory, registry) -> Store:
    """Two versions each of two datasets, with rejected rows."""
    folder: Path = tmp_path_factory.mktemp("limits")
    (folder / "a.txt").write_text(
        "\n".join(f"{language}\t{n}\t{word} {n}" for n in range(30) for language, word in WORDS.items()),
        encoding="utf-8",
    )
    for least in (6, 7):
        catalog = {
            "version": 1,
            "sources": {"words": {"use": "numbered", "path": ["a.txt"], "license": "cc0-1.0"}},
            "datasets": {
                name: {"from": "words", "steps": [{"letters": {"min": least}}]} for name in ("daily-words", "other")
            },
            "run": {"workers": 1},
        }
        (folder / "catalog.yaml").write_text(yaml.safe_dump(catalog))
        curate.build(folder / "catalog.yaml", registry=registry)
    return Store(folder / ".curate")


@pytest.fixture
def store(built, tmp_path) -> Store:
    """A copy to damage."""
    shutil.copytree(built.root, tmp_path / "store")
    return Store(tmp_path / "store")


def pid(database: Database) -> int:
    running = database._process._running
    assert running is not None
    return running.pid


# ------------------------------------------------------------------------------------------------------------------
# limits
OVER_MEMORY = [
    "SELECT repeat('a', 1500000000)",
    "SELECT length(repeat('ab', 1200000000))",
    "SELECT printf('%1200000000d', 1)",
    "SELECT format('{:>1200000000}', 1)",
    "SELECT list_reduce(range(100000000), lambda x, y: x + y)",
    "SELECT list(range) FROM range(1000000000)",
    "SELECT string_agg(repeat('x', 1000)) FROM range(100000000)",
    "SELECT range(1000000000)",
    "WITH RECURSIVE t(n) AS (SELECT 'a' UNION ALL SELECT n || n FROM t) SELECT max(length(n)) FROM t",
    "SELECT a.*, b.* FROM range(100000) a, range(100000) b",
    "SELECT * FROM range(1000000000000)",
]
OVER_TIME = [
    "SELECT sleep_ms(1000000)",
    "SELECT levenshtein(repeat('a', 3000000), repeat('b', 3000000))",
    "SELECT count(*) FROM range(5000000) a, range(100000000) b WHERE hash(a.range, b.range) = 1",
]
REFUSED = [
    "SELECT " + "(" * 20000 + "1" + ")" * 20000,
    "SELECT " + "+".join(["1"] * 50000),
    "SELECT " + "NOT " * 20000 + "true",
    "SELECT regexp_matches('a', '((a{1,1000}){1,1000}){1,1000}')",
    "SELECT * FROM " + "(SELECT * FROM " * 1500 + "other" + ")" * 1500,
]
RUN = """
import json, resource, sys
from pathlib import Path
from curate.engine.store.store import Store
from curate.errors import QueryError
from curate.sql import Database, Limits
told = []
with Database(Store(Path(sys.argv[1])), Limits(seconds=float(sys.argv[2]), memory="200MB")) as database:
    for sql in json.load(sys.stdin):
        try:
            told.append(f"answered {database.query(sql).shape}")
        except QueryError as error:
            told.append(str(error))
        assert database.query("SELECT count(*) FROM other").item() > 0
print(json.dumps([told, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10, int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0]) >> 10 if sys.platform == "linux" else 0]))
"""  # noqa: E501


def run_all(store: Store, seconds: float, statements: list[str]) -> list[str]:
    """What is said of each statement; no process may have held a gigabyte (each of them wants one or more)."""
    run = subprocess.run(
        [sys.executable, "-c", RUN, str(store.root), str(seconds)],
        input=json.dumps(statements),
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    told, worker, parent = json.loads(run.stdout)
    if sys.platform == "linux":
        assert worker < 1000 and parent < 1000, (worker, parent)
    return told


@pytest.mark.slow
def test_a_function_that_needs_too_much_memory_is_stopped_and_the_database_answers_on(built):
    for sql, told in zip(OVER_MEMORY, run_all(built, 600, OVER_MEMORY), strict=True):
        assert told == "the query needs more than 200MB; ask for less, or raise --memory", sql


@pytest.mark.slow
def test_a_function_that_takes_too_long_is_stopped_and_the_database_answers_on(built):
    for sql, told in zip(OVER_TIME, run_all(built, 1.5, OVER_TIME), strict=True):
        assert told == "stopped after 1.5 s; ask for less, or raise --timeout", sql


def test_statements_that_are_nested_too_deeply_are_refused(built):
    for sql, told in zip(REFUSED, run_all(built, 600, REFUSED), strict=True):
        assert told.startswith(("nested too deeply", "Invalid Input Error: invalid repetition")), (sql[:50], told)


def test_memory_is_limited_where_the_system_does_not_limit_addresses(built, tmp_path, monkeypatch):
    """macOS takes no notice of RLIMIT_AS."""
    script = curate.sql.process._WORKER.read_text(encoding="utf-8")
    without = re.sub(r"resource\.setrlimit\(resource\.RLIMIT_AS, .*\)", "pass", script)
    assert without != script
    (tmp_path / "worker.py").write_text(without, encoding="utf-8")
    monkeypatch.setattr(curate.sql.process, "_WORKER", tmp_path / "worker.py")
    with Database(built, Limits(memory="100MB")) as database:
        for _ in range(2):
            with pytest.raises(QueryError, match="needs more than 100MB"):
                database.query("SELECT length(repeat('a', 1900000000))")
        assert database.query("SELECT 1").item() == 1


@pytest.mark.slow
def test_long_texts_are_read_within_the_limit(store):
    """Arrow's own scan of a file decodes several row groups at once, beyond any limit of DuckDB's."""
    version = store.resolve("other")
    folder = store.dataset("other") / version
    manifest = store.manifest("other", version)
    [file] = [one for one in manifest["files"] if one["path"].startswith("data/")]
    table = pq.read_table(folder / file["path"])
    row, count = table.slice(0, 1), 3000
    texts = pa.array((f"{n} " * 50_000 for n in range(count)), pa.string())  # 300 to 500 kB each: a gigabyte
    pq.write_table(
        pa.concat_tables([row] * count)
        .set_column(table.schema.get_field_index("text"), "text", texts)
        .cast(table.schema),
        folder / file["path"],
        compression="zstd",
        write_batch_size=16,
    )
    file |= {"rows": count, "bytes": (folder / file["path"]).stat().st_size}
    (folder / "manifest.json").write_bytes(seal(manifest))
    told = subprocess.run(
        [sys.executable, "-c", RUN, str(store.root), "600"],
        capture_output=True,
        text=True,
        check=True,
        input=json.dumps(
            [
                "SELECT max(length(text)) AS n FROM other HAVING n = 250000",
                "SELECT id FROM other WHERE text LIKE '2999 %'",
            ]
        ),
    )
    answers, worker, _ = json.loads(told.stdout)
    assert answers == ["answered (1, 1)", "answered (1, 1)"]
    assert sys.platform != "linux" or worker < 700


@pytest.mark.parametrize(
    "limits", [Limits(memory="0MB"), Limits(memory="1KB"), Limits(threads=0), Limits(threads=-2), Limits(seconds=-0.0)]
)
def test_limits_that_are_none_are_refused(built, limits):
    with pytest.raises(QueryError, match=r"must be (at least|more than)"):
        Database(built, limits)


# ----------------------------------------------------------------------------------------------------------------
# process
def test_one_process_answers_all_queries_of_a_database_and_another_one_after_a_kill(built):
    with Database(built, Limits(seconds=1.0)) as database:
        first = pid(database)
        for _ in range(3):
            assert database.query("SELECT count(*) FROM daily_words").item() > 0
        assert pid(database) == first
        with pytest.raises(QueryError, match="no_such"):
            database.query("SELECT no_such FROM other")
        assert pid(database) == first
        with pytest.raises(QueryError, match="stopped after 1 s"):
            database.query("SELECT sleep_ms(1000000)")
        assert database.query("SELECT count(*) FROM daily_words").item() > 0
        os.kill(pid(database), signal.SIGKILL)  # as the system does when memory runs out
        database._process._running.wait()
        assert database.query("SELECT count(*) FROM daily_words").item() > 0


def test_a_process_is_left_to_the_next_database_which_sees_nothing_of_the_one_before(built, tmp_path):
    with Database(built) as first:
        assert first.query("SELECT count(*) FROM other").item() > 0
        number = pid(first)
        with Database(built) as second:
            assert second.query("SELECT count(*) FROM other").item() > 0 and pid(second) != number
            other = pid(second)
    assert alive(other) and not alive(number), "one process is left, not two"
    with Database(Store(tmp_path)) as third:
        assert pid(third) == other and third.query("SHOW TABLES").height == 0
        with pytest.raises(QueryError, match="other"):
            third.query("SELECT * FROM other")
    with Database(built, Limits(memory="1GB")) as fourth:
        assert pid(fourth) != other, "it was started with another limit"
        answer = fourth.batches("SELECT * FROM range(1000000)")
        next(answer)
        number = pid(fourth)
    assert not alive(number), "it was in the middle of an answer"
    answer.close()
    assert fourth.query("SELECT count(*) FROM other").item() > 0, "a closed database that is asked starts another one"


def test_a_process_that_nobody_asks_ends_and_another_one_answers(built, tmp_path, monkeypatch):
    script = curate.sql.process._WORKER.read_text(encoding="utf-8")
    (tmp_path / "worker.py").write_text(script.replace("_IDLE = 60.0", "_IDLE = 0.05"), encoding="utf-8")
    monkeypatch.setattr(curate.sql.process, "_WORKER", tmp_path / "worker.py")
    with Database(built) as database:
        running = database._process._running
        assert running is not None and running.wait(600) == 0
    monkeypatch.undo()
    ask, times = curate.sql.process.Process.ask, []

    def ends_just_then(*arguments):
        times.append(1)
        if len(times) == 1:
            raise curate.sql.process.Ended(0)
        return ask(*arguments)

    monkeypatch.setattr(curate.sql.process.Process, "ask", ends_just_then)
    with Database(built) as database:
        assert database.query("SELECT count(*) FROM other").item() > 0 and len(times) == 2


def alive(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{number}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"


def test_the_process_ends_with_its_parent_even_in_the_middle_of_a_query(built):
    script = (
        "import sys\nfrom pathlib import Path\nfrom curate.engine.store.store import Store\nfrom curate.sql import Database\n"  # noqa: E501
        "d = Database(Store(Path(sys.argv[1])))\nd.query('SELECT 1')\nprint(d._process._running.pid, flush=True)\nd.query('SELECT sleep_ms(1000000)')\n"  # noqa: E501
    )
    parent = subprocess.Popen([sys.executable, "-c", script, str(built.root)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    worker = int(parent.stdout.readline())
    assert alive(worker)
    parent.kill()
    parent.wait()
    until = time.monotonic() + 600
    while alive(worker) and time.monotonic() < until:
        time.sleep(0.05)
    assert not alive(worker)
    parent.stdout.close()


def test_the_process_knows_no_secret_and_imports_nothing_from_the_folder_it_is_started_in(built, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_canary")
    monkeypatch.chdir(tmp_path)
    for name in ("duckdb", "pyarrow", "json"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported from the wrong place')")
    with Database(built) as database:
        assert database.query("SELECT 1").item() == 1
        if sys.platform == "linux":
            assert b"canary" not in Path(f"/proc/{pid(database)}/environ").read_bytes()


def test_an_answer_can_be_read_in_pieces_and_left_unread(built):
    with Database(built, Limits(memory="100MB")) as database:
        pieces = database.batches("SELECT range AS n, repeat('x', 1000) AS x FROM range(2000000)")
        assert next(pieces).schema.names == ["n", "x"]
        with pytest.raises(QueryError, match="still answering"):
            database.query("SELECT 1")
        pieces.close()
        assert database.query("SELECT 1").item() == 1
        rows = last = 0
        for piece in database.batches(
            "SELECT range AS n, repeat('x', 200) AS x FROM range(1000000)"
        ):  # twice the limit
            rows, last = rows + piece.num_rows, piece["n"][-1].as_py()
        assert (rows, last) == (1_000_000, 999_999)


# -------------------------------------------------------------------------------------------------------------
# statements
@pytest.mark.parametrize(
    "inner",
    [
        "COMMIT",
        "ROLLBACK",
        "BEGIN",
        "CHECKPOINT",
        "SET threads = 1",
        "CREATE TABLE t AS SELECT 1",
        "DROP VIEW other",
        "EXECUTE x",
        "PREPARE p AS SELECT 1",
        "ATTACH ':memory:' AS m",
        "VACUUM",
        "DELETE FROM other",
    ],
)
@pytest.mark.parametrize(
    "explain",
    [
        "EXPLAIN",
        "EXPLAIN ANALYZE",
        "explain /* c */ analyze -- d\n",
        "EXPLAIN (ANALYZE, FORMAT json)",
        "EXPLAIN (FORMAT json)",
    ],
)
def test_only_what_reads_is_explained(database, explain, inner):
    with pytest.raises(QueryError) as told:
        database.query(f"{explain} {inner}")
    assert "Error" not in str(told.value) or "Parser Error" in str(told.value)
    assert database.query("SELECT count(*) FROM other").item() > 0


@pytest.fixture(scope="module")
def database(built):
    with Database(built) as opened:
        yield opened


@pytest.mark.parametrize(
    "explain", ["EXPLAIN", "EXPLAIN ANALYZE", "/* خبز */ EXPLAIN (ANALYZE, FORMAT json)", "explain analyze -- パン\n"]
)
@pytest.mark.parametrize(
    "sql", ["SELECT 'ขนมปัง'", "FROM other", "WITH a AS (SELECT 1) FROM a", "(SELECT 1)", "VALUES (1)"]
)
def test_what_reads_is_explained(database, explain, sql):
    assert database.query(f"{explain} {sql}").height == 1


@given(st.lists(st.sampled_from(["a", "a_1", "a_2", "b", "a_1_1", ""]), max_size=12))
def test_columns_get_names_of_their_own_and_keep_theirs_where_they_can(names):
    found = _unique(names)
    assert len(set(found)) == len(found) == len(names)
    for place, (name, new) in enumerate(zip(names, found, strict=True)):
        assert new == name or (
            name in names[:place] and re.fullmatch(rf"{re.escape(name)}_\d+", new) and new not in names
        )


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("SELECT 'a\0b'", "the query has a NUL character at its character 10"),
        ("SELECT 'ab\ud800'", "the query has half of a surrogate pair at its character 11"),
        ("", "there is no statement"),
        ("-- only a comment", "there is no statement"),
        (" ;; ", "there is no statement"),
        ("SELECT 1; SELECT 2", "one statement at a time; this has 2"),
    ],
)
def test_texts_that_are_no_statement_are_told(database, sql, told):
    with pytest.raises(QueryError, match=told):
        database.query(sql)


def test_lists_of_tables_name_those_of_people_only(built):
    versions = {name: set(built.versions(name)) for name in ("daily-words", "other")}
    refs = {ref for name in versions for ref in built.refs(name)}
    titles = {"daily-words", "daily_words", "other"}
    titles |= {f"{alias}@{ref}" for alias in titles for ref in refs | versions[alias.replace("_", "-")]}
    with Database(built) as database:
        assert set(database.query("SHOW TABLES")["name"]) == titles
        every = {
            (part, name)
            for title in titles
            for part, name in (("main", title), (title, "rejected"), (title, "quarantined"))
        }
        every |= {("curate", name) for name in ("datasets", "funnel", "representation", "sources", "audits")}
        for sql in (
            "SELECT table_schema, table_name FROM information_schema.tables",
            "SELECT schema, name FROM (SHOW ALL TABLES)",
            "SELECT schema_name, view_name FROM duckdb_views() WHERE NOT internal",
        ):
            assert set(database.query(sql).iter_rows()) == every, sql
    assert len(database.names) == len(every)


def test_a_name_that_is_put_together_is_found_too(built):
    with Database(built) as database:
        assert database.query("SELECT count(*) FROM query_table('oth' || 'er')").item() > 0


def test_a_filter_on_a_column_that_is_not_asked_for(database):
    found = database.query(
        "SELECT text FROM other WHERE language = 'th' AND lineage.source_id = 'a.txt:27' AND split = 'train'"
    )
    assert found["text"].to_list() == ["ขนมปัง 6"]
    assert database.query("SELECT count(*) FROM other WHERE language = 'xx'").item() == 0


# -----------------------------------------------------------------------------------------------------------------
# damage
def data_file(store: Store, name: str, part: str = "data/") -> Path:
    version = store.resolve(name)
    [path] = [one["path"] for one in store.manifest(name, version)["files"] if one["path"].startswith(part)]
    return store.dataset(name) / version / path


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def change_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    for at in range(60, len(content) // 2):  # behind the first magic bytes, before the footer
        content[at] ^= 0xFF
    path.write_bytes(content)


def exchange(path: Path) -> None:
    pq.write_table(pa.table({"id": ["x"]}), path)


DAMAGES = {"it is gone": Path.unlink, "bytes where": cut_short, "": change_a_byte, "where": exchange}


@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_file_fails_the_queries_that_read_it_and_no_other(store, how):
    path = data_file(store, "other")
    DAMAGES[how](path)
    version = path.parent.parent.name
    older = next(one for one in store.versions("other") if one != version)
    with Database(store) as database:
        for sql in (
            "SELECT * FROM other",
            f'SELECT text FROM "other@{version}"',
            "SELECT count(DISTINCT a.text) FROM daily_words a JOIN other b USING (id)",
        ):
            with pytest.raises(QueryError) as told:
                database.query(sql)
            assert f"{path} is damaged" in str(told.value) and how in str(told.value)
            assert "'curate repair'" in str(told.value)
        assert database.query("SELECT 1").item() == 1
        for sql in (
            "daily_words",
            f'"other@{older}"',
            "other.rejected",
            "other.quarantined",
            "curate.datasets",
            "(SHOW TABLES)",
        ):
            assert database.query(f"SELECT * FROM {sql}").width > 0


MANIFESTS = {
    "no JSON": b'{"kind": ',
    "another JSON": b"[1, 2]",
    "without files": b'{"kind": "document"}',
    "an unknown kind": b'{"kind": "poem", "files": []}',
    "no path": b'{"kind": "document", "files": [{"rows": 1}]}',
    "empty": b"",
}


@pytest.mark.parametrize("how", MANIFESTS)
def test_a_damaged_manifest_takes_no_other_version_with_it(store, how):
    version = store.resolve("other")
    (store.dataset("other") / version / "manifest.json").write_bytes(MANIFESTS[how])
    older = next(one for one in store.versions("other") if one != version)
    with Database(store) as database:
        assert database.query("SELECT 1").item() == 1
        for sql in ("SELECT * FROM other", "FROM other.rejected", f'SELECT text FROM "other@{version}"'):
            with pytest.raises(QueryError) as told:
                database.query(sql)
            assert f"other/{version}/manifest.json is damaged" in str(told.value) and "'curate repair'" in str(
                told.value
            )
        assert database.query(f'SELECT count(*) FROM "other@{older}"').item() > 0
        assert database.query("SELECT count(*) FROM daily_words").item() > 0
        assert "daily-words" in set(database.query("SHOW TABLES")["name"])
        about = database.query(
            "SELECT dataset, ref, version, kind FROM curate.datasets WHERE ref = 'latest' ORDER BY 1"
        ).rows()
        assert about[1] == ("other", "latest", version, None) and about[0][3] == "document"
        with pytest.raises(QueryError, match="nope"):
            database.query("SELECT * FROM nope")


def test_a_version_that_is_gone_and_a_name_that_is_damaged(store):
    version = store.resolve("other")
    shutil.rmtree(store.dataset("other") / version)
    tag = store.dataset("daily-words") / "refs" / "v1.json"
    tag.write_text("{")
    with Database(store) as database:
        with pytest.raises(QueryError, match=rf"other/{version}/manifest.json is damaged .it is gone.*curate build"):
            database.query("SELECT * FROM other")
        with pytest.raises(QueryError, match=r"v1.json"):
            database.query('SELECT * FROM "daily-words@v1"')
        assert database.query("SELECT count(*) FROM daily_words").item() > 0


# ----------------------------------------------------------------------------------------------------------------
# writing
WRITE = """
import resource, subprocess, sys
subprocess.run([sys.executable, "-m", "curate.cli", "query", *sys.argv[1:]], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10)
"""


@pytest.mark.slow
@pytest.mark.parametrize("format_", ["csv", "json", "jsonl", "parquet"])
def test_a_long_answer_is_written_as_it_comes(built, tmp_path, format_):
    """400 MB of answer, and a gigabyte as Python's own objects; neither process may hold it."""
    sql = "SELECT range AS n, ['ขนมปัง ' || range] AS words, repeat('خبز ', 100) AS x FROM range(400000)"
    out = tmp_path / "answer"
    run = subprocess.run(
        [
            sys.executable,
            "-c",
            WRITE,
            sql,
            "--store",
            str(built.root),
            "-f",
            format_,
            "-o",
            str(out),
            "--timeout",
            "600",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    if sys.platform == "linux":
        assert int(run.stdout) < 450
    assert "400,000 rows written" in run.stderr
    if format_ == "parquet":
        table = pq.read_table(out)
        assert (
            table.num_rows == 400_000
            and table["n"][-1].as_py() == 399_999
            and table["words"][-1].as_py() == ["ขนมปัง 399999"]
        )
    else:
        with out.open(encoding="utf-8") as lines:
            rows = last = 0
            for line in lines:
                rows += "ขนมปัง" in line
                last = line if "ขนมปัง" in line else last
        assert rows == 400_000 and "ขนมปัง 399999" in last


@pytest.mark.parametrize("format_", ["csv", "json", "jsonl", "parquet"])
def test_a_file_is_there_as_a_whole_or_as_it_was(built, tmp_path, format_):
    out = tmp_path / "answer"
    out.write_text("what was there before")
    options = ["--store", str(built.root), "-f", format_, "-o", str(out)]
    sql = "SELECT CASE WHEN range > 300000 THEN error('no more') ELSE range END AS n FROM range(400000)"
    failed = run(tmp_path, "query", sql, *options)
    assert failed.returncode == 1 and "no more" in failed.stderr and "Traceback" not in failed.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["answer"] and out.read_text() == "what was there before"
    assert run(tmp_path, "query", "SELECT 1 AS n", *options).returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["answer"] and out.read_bytes() != b"what was there before"


def test_pieces_are_written_as_one_answer(built, tmp_path, monkeypatch):
    """The same bytes whether a frame is written or its batches, and the keys of maps are texts in JSON."""
    from curate.cli.answers import Format, print_answer

    sql = "SELECT range AS n, {'a': [range, NULL], 'm': MAP {range: 'x'}} AS s, 'é,\"\n' AS t, NULL AS e, 'ab'::BLOB AS b FROM range(10000)"  # noqa: E501
    with Database(built) as database:
        for format_ in (Format.CSV, Format.JSON, Format.JSONL):
            print_answer(database.query(sql), format_, tmp_path / "frame")
            print_answer(database.batches(sql), format_, tmp_path / "batches")
            assert (tmp_path / "frame").read_bytes() == (tmp_path / "batches").read_bytes()
        rows = [json.loads(line) for line in (tmp_path / "batches").read_text().splitlines()]
        assert rows[9999] == {
            "n": 9999,
            "s": {"a": [9999, None], "m": {"9999": "x"}},
            "t": 'é,"\n',
            "e": None,
            "b": "6162",
        }
        print_answer(database.batches("SELECT 1 AS n WHERE false"), Format.JSON, tmp_path / "none")
        assert json.loads((tmp_path / "none").read_text()) == []
        print_answer(database.batches("SELECT 1 AS n, [2] AS m WHERE false"), Format.CSV, tmp_path / "none")
        assert (tmp_path / "none").read_text() == "n,m\n"
        os.mkfifo(tmp_path / "pipe")
        reader = subprocess.Popen(["cat", str(tmp_path / "pipe")], stdout=subprocess.PIPE, text=True)
        print_answer(database.batches("SELECT 7 AS n"), Format.CSV, tmp_path / "pipe")
        assert reader.communicate()[0] == "n\n7\n"
