"""Plug-ins of one file: functions below ``@curate.filter``, and classes, that a catalog's ``plugins`` names."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

import curate
from curate.catalog import CatalogError
from curate.cli.main import app
from curate.engine.tasks.task import load_params, serialize_params
from curate.errors import BuildError, StepError
from curate.rows import Kind, schema
from curate.steps import Registry, Rows

ROOT = Path(__file__).resolve().parents[2]
LATIN = """\
import curate

@curate.filter(min=0.3)
def latin_share(text):
    '''Share of Latin letters.

    More about it.'''
    return sum("a" <= letter.lower() <= "z" for letter in text) / len(text)
"""
TEXTS = {
    "plain words": "en",
    "नमस्ते दुनिया abc": "hi",
    "สวัสดี": "th",
    "你好 hello": "zh",
    "مرحبا": "ar",
    "": "en",
}


def write(folder: Path, code: str = LATIN, steps: Any = ("latin_share",), **more: Any) -> Path:
    (folder / "my_filter.py").write_text(code, encoding="utf-8")
    lines = [orjson.dumps({"text": text, "lang": tag}).decode() for text, tag in TEXTS.items()]
    (folder / "rows.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    catalog = {
        "version": 1,
        "plugins": ["./my_filter.py"],
        "sources": {
            "notes": {
                "use": "jsonl",
                "path": "rows.jsonl",
                "kind": "document",
                "license": "CC0-1.0",
                "language": "{lang}",
            }
        },
        "datasets": {"latin": {"from": "notes", "steps": list(steps)}},
        "run": {"workers": 1},
        **more,
    }
    (folder / "catalog.yaml").write_text(json.dumps(catalog, indent=1, ensure_ascii=False), encoding="utf-8")
    return folder / "catalog.yaml"


def found(folder: Path) -> dict[str, tuple[float | None, str | None, str | None]]:
    """Text → its score, why it has none, and why it was dropped."""
    told = {}
    for table, reason in (("latin", "NULL"), ("latin.rejected", "reason")):
        rows = curate.query(
            f"SELECT text, scores, attributes, {reason} AS reason FROM {table}", store=folder / ".curate"
        )
        for row in rows.to_dicts():
            values = {one["name"]: one["value"] for one in [*(row["scores"] or []), *(row["attributes"] or [])]}
            told[row["text"]] = (values.get("latin_share"), values.get("latin_share.error"), row["reason"])
    return told


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments))


class Here:
    """A context in which a step warns."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, message: str) -> None:
        self.warnings.append(message)


def documents(*texts: str, language: str = "en") -> Rows:
    rows = [
        {
            "id": f"{at:032x}",
            "text": text,
            "language": language,
            "group_id": "",
            "scores": [],
            "attributes": [],
            "lineage": {"source": "s", "source_id": str(at), "license": "CC0-1.0", "parents": [], "makers": []},
        }
        for at, text in enumerate(texts)
    ]
    return Rows(Kind.DOCUMENT, pa.Table.from_pylist(rows, schema(Kind.DOCUMENT)))


def scored(function: Any, rows: Rows, **parameters: Any) -> pl.DataFrame:
    return function.step(**parameters).score(rows, Here(), None)


def test_the_page_begins_with_a_filter_that_runs(tmp_path):
    page = (ROOT / "docs" / "howto-plugin.md").read_text(encoding="utf-8")
    files = dict(re.findall(r'^```\w+ title="(.+?)"\n(.*?)^```$', page, re.M | re.S))
    assert len([line for line in files["my_filter.py"].splitlines() if line]) <= 5
    shutil.copytree(ROOT / "data" / "everyday", tmp_path / "data" / "everyday")
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    (built,) = curate.build(tmp_path / "catalog.yaml")
    kept = curate.query("SELECT language, count(*) AS n FROM latin GROUP BY 1", store=tmp_path / ".curate")
    assert "sw" in kept["language"].to_list() and built.rows == kept["n"].sum()
    dropped = curate.query("SELECT DISTINCT language, step, reason FROM latin.rejected", store=tmp_path / ".curate")
    assert dropped.rows() == [("hi", "latin_share", "below min")]


def test_rows_of_every_script_are_scored_and_a_row_on_which_it_raises_says_why(tmp_path):
    (built,) = curate.build(write(tmp_path, steps=[{"latin_share": {"min": {"default": 0.5, "hi": 0.1, "th": None}}}]))
    told = found(tmp_path)
    assert told["plain words"] == (pytest.approx(10 / 11), None, None)
    assert told["नमस्ते दुनिया abc"] == (pytest.approx(3 / 17), None, None)
    assert told["สวัสดี"] == (0.0, None, None)  # no minimum for Thai
    assert told["你好 hello"] == (pytest.approx(5 / 8), None, None)
    assert told["مرحبا"] == (0.0, None, "below min")
    assert told[""] == (None, "ZeroDivisionError: division by zero", None)
    (warning,) = [one for one in built.warnings if "latin_share" in one]
    assert "ZeroDivisionError on some rows; they are not assessed" in warning


def test_keep_drops_the_rows_that_it_could_not_assess(tmp_path):
    keep = {"keep": {"scores": {"latin_share": {"min": 0}}, "unassessed": "drop"}}
    curate.build(write(tmp_path, steps=[{"latin_share": {"min": 0.0}}, keep]))
    dropped = curate.query("SELECT text, step FROM latin.rejected", store=tmp_path / ".curate")
    assert dropped.rows() == [("", "keep")]


def test_a_threshold_scores_nothing_again_but_any_change_of_the_file_does(tmp_path):
    catalog = write(tmp_path)
    curate.build(catalog)
    (tmp_path / "catalog.yaml").write_text(
        catalog.read_text().replace('"latin_share"', '{"latin_share": {"min": 0.9}}')
    )
    before = {path.name for path in (tmp_path / ".curate" / "work" / "latin_share").rglob("scores-*")}
    curate.build(catalog)
    assert {path.name for path in (tmp_path / ".curate" / "work" / "latin_share").rglob("scores-*")} == before
    (tmp_path / "my_filter.py").write_text(LATIN + "# another remark\n")
    assert not curate.plan(catalog).idle
    (tmp_path / "my_filter.py").write_text(LATIN.replace("/ len(text)", "/ max(len(text), 1)"))
    curate.build(catalog)
    assert found(tmp_path)[""] == (0.0, None, "below min")


def test_check_names_the_code(tmp_path):
    (note,) = [one for one in curate.check(write(tmp_path)) if "plugins" in one]
    assert note.startswith("catalog.yaml:4: plugins: ./my_filter.py (") and "it offers step latin_share" in note


def test_the_schema_of_a_catalog_knows_its_own_steps(tmp_path):
    catalog = write(tmp_path, LATIN.replace("share(text)", "share(text, words: int = 5)"))
    validator = Draft202012Validator(json.loads(run("schema", "--catalog", str(catalog)).stdout))
    values = json.loads(catalog.read_text())
    assert list(validator.iter_errors(values)) == []
    values["datasets"]["latin"]["steps"] = [{"latin_share": {"words": "five"}}]
    assert list(validator.iter_errors(values)) != []
    assert "latin_share" not in run("schema").stdout
    (tmp_path / "my_filter.py").write_text("x = 1")
    done = run("schema", "--catalog", str(catalog))
    assert done.exit_code == 1 and "there is no step in it" in done.stderr


def test_a_preview_follows_rows_through_it(tmp_path):
    shown = str(curate.preview(write(tmp_path), rows=6))
    assert "latin_share" in shown and "below min" in shown and "ZeroDivisionError" in shown


def test_a_loaded_catalog_builds_in_processes_of_its_own(tmp_path):
    catalog = write(tmp_path, run={"workers": 2})
    for at in range(3):
        shutil.copy(tmp_path / "rows.jsonl", tmp_path / f"rows{at}.jsonl")
    catalog.write_text(catalog.read_text().replace('"rows.jsonl"', '"rows*.jsonl"'))
    loaded = curate.load_catalog(catalog)
    (tmp_path / "my_filter.py").unlink()  # workers run what was read
    curate.build(loaded)
    assert found(tmp_path)["plain words"] == (pytest.approx(10 / 11), None, None)


def test_parameters_travel_as_json_with_the_code(tmp_path):
    loaded = curate.load_catalog(write(tmp_path, steps=[{"latin_share": {"min": {"sw": 0.2}}}]))
    params = loaded.datasets["latin"].steps[0].params
    there = load_params(json.loads(json.dumps(serialize_params(params))))
    assert there == params and there.data_identity() == params.data_identity() != {}


def test_looking_into_a_store_runs_no_plug_in(tmp_path):
    catalog = write(tmp_path)
    curate.build(catalog)
    (tmp_path / "my_filter.py").write_text("raise SystemExit('it ran')\n")
    assert len(curate.query("SELECT text FROM latin", catalog=catalog))
    with pytest.raises(CatalogError, match=r"my_filter\.py:1: SystemExit: it ran"):
        curate.load_catalog(catalog)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import curate\nimport no_such_package\n", r"plugins: \./my_filter\.py:2: ModuleNotFoundError: .*no_such"),
        ("def broken(:\n", r"my_filter\.py:1: SyntaxError"),
        ("raise GeneratorExit('เสร็จ')\n", r"my_filter\.py:1: GeneratorExit: เสร็จ"),
        ("raise ValueError('half \\ud800')\n", r"my_filter\.py:1: ValueError: half \\ud800"),
        ("class Dumb(Exception):\n    def __str__(self):\n        raise self\nraise Dumb\n",
         r"my_filter\.py:4: Dumb: its message cannot be made"),
        ("x = 1\n", r"there is no step in it; put '@curate\.filter' above a function"),
        (LATIN.replace("latin_share", "shape"), r"there is already a step 'shape', from filters\.shape \(installed\)"),
        (LATIN.replace("latin_share", "Latin"), r"my_filter\.py:3: StepError: 'Latin' is no name of a step"),
        (LATIN.replace("share(text)", "share()"), "takes nothing from the row"),
        (LATIN.replace("share(text)", "share(*text)"), r"'\*text' cannot be given by name"),
        (LATIN.replace("share(text)", "share(text, max=1)"), "rename it"),
        (LATIN.replace("min=0.3", "min='much'"), "latin_share: min: "),
        (LATIN.replace("share(text)", "share(text: pl.Series, row)").replace("import", "import polars as pl,"),
         "either all"),
        (LATIN + LATIN.replace("def latin_share", "def other") + "\nother.step.tag = 'latin_share'\n",
         "there are two of the step 'latin_share'"),
        ("from curate.steps import GlobalStep\nclass Some(GlobalStep):\n"
         "    def summarize(self, rows, context): ...\n    def columns(self, kind): ...\n"
         "    def decide(self, summaries, context): ...\n", "the class Some has no 'tag'"),
    ],
)  # fmt: skip
def test_mistakes_are_found_when_the_catalog_is_loaded(tmp_path, code, message):
    with pytest.raises(CatalogError, match=message) as caught:
        curate.load_catalog(write(tmp_path, code))
    assert [problem.mark.line for problem in caught.value.problems] == [4]


@pytest.mark.parametrize(
    ("named", "message"),
    [
        (["./other.py"], r"\./other\.py: cannot be read: No such file"),
        ("./catalog.yaml", "a plug-in is one Python file"),
        ({"a": 1}, "'plugins' names a Python file, or a list of them"),
        ([1], "'plugins' names a Python file, or a list of them"),
    ],
)
def test_what_names_no_file_is_an_error(tmp_path, named, message):
    with pytest.raises(CatalogError, match=message):
        curate.load_catalog(write(tmp_path, plugins=named))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (os.mkfifo, r"a named pipe \(FIFO\), not a file"),
        (lambda path: path.symlink_to(path.name), "Too many levels of symbolic links"),
        (lambda path: path.mkdir(), "Is a directory"),
        (lambda path: path.write_bytes("# größer".encode("latin-1")), "no UTF-8 at byte 4; save it as UTF-8"),
        (lambda path: path.write_bytes(b"x = 0\0\n"), "null bytes"),
    ],
)
def test_what_is_no_text_file_is_an_error(tmp_path, make, message):
    catalog = write(tmp_path)
    (tmp_path / "my_filter.py").unlink()
    make(tmp_path / "my_filter.py")
    with pytest.raises(CatalogError, match=message):
        curate.load_catalog(catalog)


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path):
    [built] = curate.build(write(tmp_path, "\ufeff" + LATIN))
    assert built.rows > 0


def test_an_error_of_any_message_leaves_one_row_not_assessed(tmp_path):
    code = """
import curate

class Dumb(Exception):
    def __str__(self):
        raise self

@curate.filter
def odd(text):
    if "abc" in text:
        raise ValueError("half \\ud83d")
    if "你" in text:
        raise Dumb
    return len(text)
"""
    curate.build(write(tmp_path, code, ["odd"]))
    errors = curate.query(
        "SELECT text, a.value AS error FROM (SELECT text, UNNEST(attributes) AS a FROM latin) "
        "WHERE a.name = 'odd.error'",
        catalog=tmp_path / "catalog.yaml",
    )
    assert dict(errors.rows()) == {
        "नमस्ते दुनिया abc": "ValueError: half \\ud83d",
        "你好 hello": "Dumb: its message cannot be made",
    }


def test_unknown_fields_and_parameters_are_found_by_check(tmp_path):
    with pytest.raises(
        CatalogError, match="latin_share: the function's argument: document rows have no field 'response'"
    ):
        curate.check(write(tmp_path, LATIN.replace("text", "response")))
    with pytest.raises(CatalogError, match=r"unknown key 'mim'; did you mean 'min'"):
        curate.load_catalog(write(tmp_path, steps=[{"latin_share": {"mim": 1}}]))
    with pytest.raises(CatalogError, match="words: "):
        curate.load_catalog(
            write(
                tmp_path,
                LATIN.replace("share(text)", "share(text, *, words: int = 5)"),
                [{"latin_share": {"words": "five"}}],
            )
        )


def test_two_files_with_one_name_are_an_error_and_a_changed_file_takes_its_own_place(tmp_path):
    registry = Registry.installed()
    catalog = write(tmp_path)
    curate.load_catalog(catalog, registry=registry)
    (tmp_path / "my_filter.py").write_text(LATIN.replace("0.3", "0.4"))
    curate.load_catalog(catalog, registry=registry)
    assert registry.get("step", "latin_share")().min["en"] == 0.4
    (tmp_path / "second.py").write_text(LATIN)
    with pytest.raises(
        CatalogError, match=r"\./second\.py: there is already a step 'latin_share', from \./my_filter\.py"
    ):
        curate.load_catalog(write(tmp_path, plugins=["./my_filter.py", "./second.py"]))


def test_an_included_catalog_names_files_in_its_own_folder(tmp_path):
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "more.yaml").write_text("version: 1\nplugins: ./there.py\n")
    (tmp_path / "inner" / "there.py").write_text(LATIN)
    catalog = write(tmp_path, include="inner/more.yaml", plugins=[])
    assert curate.load_catalog(catalog).datasets["latin"].steps[0].name == "latin_share"


def test_classes_in_a_file_are_steps_sources_and_models_too(tmp_path):
    code = (ROOT / "tests" / "plugin" / "curate_letters" / "__init__.py").read_text(encoding="utf-8")
    steps = [{"letters": {"model": "counter", "min": 5}}, {"most": {"count": 2}}]
    curate.build(write(tmp_path, code, steps, models={"counter": {"use": "counter"}}))
    kept = curate.query("SELECT text FROM latin ORDER BY text", store=tmp_path / ".curate")["text"].to_list()
    assert "" not in kept and "plain words" in kept


def test_a_build_stops_where_the_function_is_wrong_and_not_the_rows(tmp_path):
    with pytest.raises(BuildError, match=r"returned 'yes' \(str\) for the row [0-9a-f]{32}"):
        curate.build(write(tmp_path, "import curate\n@curate.filter\ndef latin_share(text): return 'yes'\n"))

    @curate.filter
    def never(text):
        return missing  # noqa: F821

    with pytest.raises(StepError, match=r"no score for any of 10 rows; the last error.*line \d+: NameError"):
        scored(never, documents(*"abcdefghij"))
    assert scored(never, documents("a"))["score"].to_list() == [None]


def test_values_that_are_no_finite_numbers_are_not_assessed():
    values = {"nan": float("nan"), "inf": float("inf"), "huge": 10**400, "none": None, "true": True, "three": 3}

    @curate.filter
    def value(text):
        return values[text]

    frame = scored(value, documents(*values))
    assert frame["score"].to_list() == [None, None, None, None, 1.0, 3.0]
    assert frame["error"].to_list() == [
        "no finite number: nan", "no finite number: inf", "no finite number: inf", None, None, None,
    ]  # fmt: skip


def test_a_function_takes_fields_parameters_and_rows():
    @curate.filter(max={"default": 1, "sw": 9})
    def fits(text, language, row, words: int = 2):
        assert row["text"] == text and row["language"] == language
        return len(text.split()) / words

    assert scored(fits, documents("moja mbili tatu", language="sw"))["score"].to_list() == [1.5]
    assert scored(fits, documents("moja mbili tatu"), words=3)["score"].to_list() == [1.0]
    assert fits.step().max["sw"] == 9 and fits("a b", "en", {"text": "a b", "language": "en"}) == 1
    assert fits.step().identity() != fits.step(words=3).identity()


@settings(max_examples=15, deadline=None)
@given(st.lists(st.text(max_size=20), max_size=8))
def test_a_function_over_a_series_gives_the_scores_of_one_over_texts(texts):
    @curate.filter
    def each(text):
        return len(text)

    @curate.filter
    def whole(text: pl.Series) -> pl.Series:
        return text.str.len_chars()

    assert scored(each, documents(*texts)).equals(scored(whole, documents(*texts)))


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda text: text, "returned a series of String"),
        (lambda text: 3, "returned int"),
        (lambda text: text.str.len_chars()[:1], "returned 1 numbers for 2 rows"),
        (lambda text: text.no_such, r"raised, line \d+: AttributeError"),
    ],
)
def test_a_series_that_does_not_fit_stops_the_build(answer, message):
    def whole(text: pl.Series):
        return answer(text)

    with pytest.raises(StepError, match=message):
        scored(curate.filter(whole), documents("a", "b"))


def test_text_is_all_main_fields_of_a_conversation(tmp_path):
    (tmp_path / "f.py").write_text("import curate\n@curate.filter\ndef seen(text): return len(text)\n")
    (tmp_path / "rows.jsonl").write_text('{"prompt": "नमस्ते", "response": "สวัสดี"}\n', encoding="utf-8")
    source = {"use": "jsonl", "path": "rows.jsonl", "language": "hi", "license": "CC0-1.0", "kind": "sft"}
    catalog = {"version": 1, "plugins": "f.py", "sources": {"talk": source},
               "datasets": {"all": {"from": "talk", "steps": ["seen"]}}, "run": {"workers": 1}}  # fmt: skip
    (tmp_path / "catalog.yaml").write_text(json.dumps(catalog))
    curate.build(tmp_path / "catalog.yaml")
    (scores,) = curate.query('SELECT scores FROM "all"', store=tmp_path / ".curate")["scores"].to_list()
    assert scores == [{"name": "seen", "value": len("नमस्ते\n\nสวัสดี")}]
