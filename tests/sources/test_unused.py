"""Nothing is dropped unsaid: columns and fields of messages that nothing uses are named, with their share."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from curate.cli.main import app
from curate.unused import Unused
from sources.dictionaries import Dictionary
from sources.files import Csv, JsonLines, Parquet
from sources.hub import Hub
from sources.parallel import ParallelTsv, Tmx

Write = Callable[..., str]
GIVEN: dict[str, Any] = {"language": "und", "license": "x"}
ASK, SAY = {"role": "user", "content": "Saa ngapi?"}, {"role": "assistant", "content": "Saa kumi."}


def counted(source: Any) -> Unused:
    """What the engine is told of all rows."""
    found = Unused()
    for unit in source.units():
        for batch in source.read(unit, "s", _Context()):
            found.add(batch.unused)
    return found


class _Context:
    def warn(self, message: str) -> None:
        pass


def test_columns_and_fields_are_counted_over_all_rows(jsonl: Write) -> None:
    rows = [
        {
            "messages": [ASK, {**SAY, "mood": "hm"}] if i % 4 == 0 else [ASK, SAY],
            "score": 5,
            "topic": "" if i % 2 else "x",
            "note": None,
            "tags": [],
        }
        for i in range(4_500)
    ]
    source = JsonLines(path=jsonl(*rows), **GIVEN)
    found = counted(source)
    assert found == Unused(4_500, 9_000, {"score": 4_500, "topic": 2_250}, {"mood": 1_125})
    assert (
        str(found) == "column 'score' (in 100 % of rows), column 'topic' (in 50 % of rows), message field 'mood' "
        "(in 12 % of messages)"
    )
    sample = source.unused("s")
    assert (sample.rows, set(sample.columns), set(sample.fields)) == (100, {"score", "topic"}, {"mood"})


def test_what_is_used_is_not_named(jsonl: Write) -> None:
    row = {
        "q": "x",
        "a": "y",
        "k": 1,
        "i": 2,
        "l": "sw",
        "c": "mit",
        "s": 3.5,
        "n": {"deep": 1, "other": 2, "none": None},
        "d": "d",
        "o": "keep",
        "a.b": 1,
    }
    source = JsonLines(
        path=jsonl(row),
        language="{l}",
        license="{c}",
        key="k",
        id="{i}",
        scores={"s": "s"},
        attributes={"n": "{n.deep}", "d": "<{d}>", "u": "{@unit}"},
        only={"o": "keep"},
        columns={"prompt": "q", "response": "a"},
    )
    assert counted(source).columns == {"n.other": 1, "a.b": 1}
    whole = JsonLines(path=jsonl(row), attributes=["n", "n.deep"], columns={"prompt": "q", "response": "a"}, **GIVEN)
    assert "n.other" not in counted(whole).columns


def test_rows_that_are_passed_over_or_set_aside_do_not_count(jsonl: Write) -> None:
    rows = [
        {"messages": [ASK, SAY], "x": 1, "set": "a"},
        {"messages": [{**ASK, "name": "n"}, {"role": "nobody"}], "x": 1, "set": "a", "y": 1},
        {"messages": [ASK, SAY], "z": 1, "set": "b"},
    ]
    source = JsonLines(path=jsonl(*rows), only={"set": "a"}, columns={"messages": "messages"}, **GIVEN)
    assert counted(source) == Unused(1, 2, {"x": 1}, {})


@pytest.mark.parametrize("form", ["parquet", "hub", "csv"])
def test_columns_that_a_reader_never_turns_into_values_are_counted_as_well(
    tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    table = pa.table(
        {
            "t": ["a", "b", "c", "d"],
            "half": ["x", None, "y", None],
            "full": [1, 2, 3, 4],
            "none": pa.nulls(4, pa.string()),
            "list": pa.array([[1], None, None, [2]]),
            "struct": [{"a": 1}, None, None, None],
        }
    )
    (tmp_path / "d").mkdir()
    if form == "csv":
        (tmp_path / "t.csv").write_text("t,half,full,none\na,x,1,\nb,,2,\nc,y,3,\nd,,4,\n")
        source: Any = Csv(path=str(tmp_path / "t.csv"), columns={"text": "t"}, **GIVEN)
        assert counted(source).columns == {"half": 2, "full": 4}
        return
    pq.write_table(table, tmp_path / "d" / "train.parquet")
    source = (
        Hub(dataset=str(tmp_path / "d"), columns={"text": "t"}, **GIVEN)
        if form == "hub"
        else Parquet(path=str(tmp_path / "d" / "train.parquet"), columns={"text": "t"}, **GIVEN)
    )
    assert counted(source) == Unused(4, 0, {"half": 2, "full": 4, "list": 2, "struct": 1}, {})
    assert counted(source.model_copy(update={"limit": 1})).columns == {"half": 1, "full": 1, "list": 1, "struct": 1}
    (row,) = [
        row
        for batch in source.model_copy(update={"limit": 1}).read(source.units()[0], "s", _Context())
        for row in batch.table.to_pylist()
    ]
    assert row["text"] == "a" and row["attributes"] == []


def test_a_system_column_that_gives_way_is_named(jsonl: Write) -> None:
    own = [{"role": "system", "content": "mine"}, ASK, SAY]
    path = jsonl(
        {"messages": own, "system": "other"},
        {"messages": own, "system": "mine"},
        {"messages": own[1:], "system": "other"},
    )
    assert counted(JsonLines(path=path, **GIVEN)).columns == {"system": 1}


def test_message_parts_and_lists_that_are_left_out_are_named(jsonl: Write) -> None:
    thinking = {
        "role": "assistant",
        "content": [{"type": "redacted_thinking", "data": "hm"}, {"type": "text", "text": "a", "annotations": [1]}],
    }
    found = counted(JsonLines(path=jsonl({"messages": [ASK, thinking]}), **GIVEN))
    assert found.fields == {"content.redacted_thinking": 1, "content.annotations": 1}
    columns = {"from": ["human", "gpt"], "value": ["a", "b"], "weight": [1, 1], "lang": ["de", None]}
    found = counted(JsonLines(path=jsonl({"conversations": columns}), **GIVEN))
    assert found.fields == {"weight": 2, "lang": 1}


def test_pairs_name_what_their_format_adds_and_not_their_own_sides(tmp_path: Path) -> None:
    pair = {"source_language": "en", "target_language": "sw", "license": "x"}
    (tmp_path / "t.tsv").write_text("id\ten\tsw\tscore\n1\tone\tmoja\t5\n")
    header = ParallelTsv(path=str(tmp_path / "t.tsv"), header=True, source="en", target=2, **pair)
    assert counted(header).columns == {"id": 1, "score": 1}
    assert counted(ParallelTsv(path=str(tmp_path / "t.tsv"), skip=1, source=1, target=2, **pair)).columns == {
        "0": 1,
        "3": 1,
    }
    (tmp_path / "w.txt").write_text("one\tmoja\t0.5\n")
    assert counted(Dictionary(path=str(tmp_path / "w.txt"), **pair)).columns == {"2": 1}
    (tmp_path / "m.tmx").write_text(
        '<tmx><body><tu tuid="1"><prop type="p">v</prop><tuv xml:lang="en"><seg>a</seg></tuv><tuv '
        'xml:lang="sw"><seg>b</seg></tuv></tu></body></tmx>'
    )
    assert counted(Tmx(path=str(tmp_path / "m.tmx"), key="{tuid}", **pair)).columns == {"props": 1}


def test_public_sets_that_are_read_in_part_name_the_rest(jsonl: Write) -> None:
    ultra = {
        "source": "s",
        "instruction": "Zähle.",
        "models": ["m"],
        "completions": [{"response": "1"}],
        "correct_answers": ["1"],
    }
    assert set(counted(JsonLines(path=jsonl(ultra), **GIVEN)).columns) == {
        "source",
        "models",
        "completions",
        "correct_answers",
    }
    oasst = {"message_id": "1", "parent_id": "0", "text": "Hallo", "role": "prompter", "lang": "de"}
    assert set(counted(JsonLines(path=jsonl(oasst), **GIVEN)).columns) == {"message_id", "parent_id", "role", "lang"}


def test_names_are_shown_whatever_they_are_and_not_without_end(jsonl: Write) -> None:
    path = jsonl(*[f'{{"t": "x", "k{i}": 1, "\\ud800{"long" * 90}": 1}}' for i in range(3_000)])
    found = counted(JsonLines(path=path, columns={"text": "t"}, **GIVEN))
    assert len(found.columns) == Unused.MOST and found.rows == 3_000
    assert len(str(found)) < 2_000 and str(found).endswith("988 more")
    str(found).encode()
    assert str(Unused(1000, 0, {"rare": 1})) == "column 'rare' (in under 1 % of rows)" and str(Unused(1000)) == ""
    assert str(Unused(1000, 0, {"nearly": 999})) == "column 'nearly' (in 99 % of rows)"


# A row with U+0000 is a bad row, and kept whole among those.
NAMES = ["t", "a", "b", "c", "t.x"]
VALUES = (
    st.none()
    | st.just("")
    | st.integers(0, 1)
    | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=2)
    | st.just([])
    | st.just({})
)


@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.dictionaries(st.sampled_from(NAMES[1:]), VALUES), min_size=1, max_size=8))
def test_every_value_is_used_or_counted(jsonl: Write, rows: list[dict[str, Any]]) -> None:
    source = JsonLines(
        path=jsonl(*[{"t": "x", **row} for row in rows]), columns={"text": "t"}, attributes=["a?"], **GIVEN
    )
    wanted = {
        name: count
        for name in NAMES[2:]
        if (count := sum(row.get(name) not in (None, "", [], {}, "[]", "{}") for row in rows))
    }
    assert counted(source).columns == wanted


# ----------------------------------------------------------------------------------------------------- where it is told
def test_check_plan_and_show_tell_each_source_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        {"messages": [ASK, {**SAY, "mood": "hm"}] if i % 2 else [ASK, SAY], **({"score": 1} if i < 130 else {})}
        for i in range(200)
    ]
    for name, lines in (("a.jsonl", rows), ("b.jsonl", [{"text": "x"}])):
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in lines))
    (tmp_path / "catalog.yaml").write_text("""\
version: 1
run: {workers: 1}
sources:
  a: {use: jsonl, path: a.jsonl, language: sw, license: x}
  b: {use: jsonl, path: b.jsonl, language: sw, license: x}
  gone: {use: jsonl, path: gone.jsonl, language: sw, license: x}
datasets:
  d: {from: a}
  e: {from: a}
  f: {from: b}
""")
    monkeypatch.chdir(tmp_path)

    def say(*arguments: str) -> str:
        done = CliRunner().invoke(app, list(arguments))
        assert done.exit_code == 0, done.output
        return done.output

    fields = "message field 'mood' (in 25 % of messages)"
    first = f"source 'a': not used: column 'score' (in 100 % of rows), {fields}"
    every = f"source 'a': not used: column 'score' (in 65 % of rows), {fields}"
    checked, planned = say("check"), say("plan")
    assert checked.count(f"note: {first}") == planned.count(first) == 1
    assert "'b'" not in checked and "gone" not in checked and "nothing wrong" in checked
    say("build", "-q")
    assert say("plan").count(every) == 1
    for name in ("d", "e"):
        shown = say("show", name)
        assert shown.count("not used") == 1 and every in shown
        manifest = json.loads(say("show", name, "--json"))
        assert manifest["sources"][0]["unused"] == {
            "rows": 200,
            "messages": 400,
            "columns": {"score": 130},
            "fields": {"mood": 100},
        }
    assert "not used" not in say("show", "f")


def test_a_name_with_a_line_break_stays_in_its_line():
    said = str(Unused(rows=1, columns={"a\nnote: all is well": 1, "عمود": 1}))
    assert said == "column 'a\\nnote: all is well' (in 100 % of rows), column 'عمود' (in 100 % of rows)"
