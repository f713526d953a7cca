"""A value is what its file has: digits, keys, labels and the keys that an object really has."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from curate.engine.store.fingerprint import digest
from curate.steps import SourceError
from sources.files import Csv, JsonArray, JsonLines, Parquet
from sources.hub import Hub
from sources.templates import BadValue, as_key, as_text
from sources.written import load_json, load_line, load_text

Read = Callable[..., Any]
Write = Callable[..., str]
GIVEN: dict[str, Any] = {"language": "sw", "license": "x"}
QUIET = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
NUMBERS = ["34028236692093846346337460743176821145", "-34028236692093846346337460743176821146", "1.10", "100.0",
           "1e-05", "1E5", "0.10000000000000001",
           "18446744073709551616", "12345678901234567.0", "0.0000001", "-0.50", "9" * 400, "1e400"]  # fmt: skip


# --------------------------------------------------------------------------------------------------------------- digits
@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("form", ["jsonl", "json", "jsonl in another encoding"])
def test_a_number_is_as_it_is_written_wherever_it_becomes_text(
    read: Read, tmp_path: Path, number: str, form: str
) -> None:
    row = (
        f'{{"t": {number}, "meta": {{"n": [{number}, "é {number}, "]}}, "id": {number}, "messages": [{{"role": '
        f'"user", "content": {number}}}]}}'
    )
    path = tmp_path / "rows"
    path.write_text(f"[{row}]" if form == "json" else f"{row}\n", encoding="utf-16" if "other" in form else "utf-8")
    cls = JsonArray if form == "json" else JsonLines
    (one,) = read(cls(path=str(path), columns={"text": "t"}, attributes=["meta", "t"], id="id", **GIVEN)).rows
    whole = {"100.0": "100", "1E5": "100000"}  # as a key, a whole number is one however it is written
    assert one["text"] == number and one["lineage"]["source_id"] == whole.get(number, number)
    assert {a["name"]: a["value"] for a in one["attributes"]} == {
        "meta": f'{{"n":[{number},"é {number}, "]}}',
        "t": number,
    }
    (one,) = read(cls(path=str(path), columns={"messages": "messages"}, **GIVEN)).rows
    assert one["messages"][0]["content"] == number
    (one,) = read(cls(path=str(path), columns={"text": "<{meta.n.0}>"}, **GIVEN)).rows
    assert one["text"] == f"<{number}>"


def test_keys_beyond_64_bits_stay_apart(read: Read, jsonl: Write) -> None:
    keys = [34028236692093846346337460743176821145 + i for i in range(4)]
    path = jsonl(*[{"id": key, "t": f"mnyama {i}"} for i, key in enumerate(keys)])
    out = read(JsonLines(path=path, columns={"text": "t"}, key="{id}", **GIVEN))
    assert [row["group_id"] for row in out.rows] == [f"src:{key}" for key in keys]
    out = read(JsonLines(path=path, columns={"text": "t"}, only={"id": keys[2]}, **GIVEN))
    assert [row["text"] for row in out.rows] == ["mnyama 2"]
    digest(
        JsonLines(path=path, columns={"text": "t"}, only={"id": [keys[2], 7]}, **GIVEN).identity()
    )  # a recipe can hold it


def test_a_key_that_may_have_lost_digits_before_is_a_bad_row(read: Read, tmp_path: Path) -> None:
    table = pa.table({"id": [1.0, 2.0**53, 1e20, None], "t": ["a", "b", "c", "d"]})
    pq.write_table(table, tmp_path / "t.parquet")
    out = read(Parquet(path=str(tmp_path / "t.parquet"), columns={"text": "t"}, key="id", **GIVEN))
    assert [(row["text"], row["group_id"]) for row in out.rows] == [("a", "src:1"), ("d", "")]
    assert len(out.bad) == 2 and all("may have lost digits" in reason for reason in out.reasons)
    out = read(Parquet(path=str(tmp_path / "t.parquet"), columns={"text": "t"}, only={"id": 1}, **GIVEN))
    assert [row["text"] for row in out.rows] == ["a"] and len(out.bad) == 2
    with pytest.raises(BadValue, match="2\\^53"):
        as_key(2.0**60)


def test_scores_need_no_digits_and_keep_their_value(read: Read, jsonl: Write) -> None:
    path = jsonl('{"t": "x", "s": 1.10}', '{"t": "y", "s": 1e400}', '{"t": "z", "s": 12345678901234567890123}')
    out = read(JsonLines(path=path, columns={"text": "t"}, scores={"s": "s"}, **GIVEN))
    assert [row["scores"][0]["value"] for row in out.rows] == [1.1, 12345678901234567890123.0]
    assert "score 's' is 1e400 where a finite number was expected" in out.reasons[0]


TOKEN = st.one_of(
    st.integers(-(10**40), 10**40).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.from_regex(r"-?(0|[1-9][0-9]{0,24})(\.[0-9]{1,24})?([eE][+-]?[0-9]{1,2})?", fullmatch=True),
    st.sampled_from(NUMBERS),
)
STRINGS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6) | st.sampled_from(
    [", 1.10,", ":1.10]", '{"a": 1, "a": 2}', "\\u003a"]
)
SPACE = st.sampled_from(["", " ", "  ", "\t"])


@st.composite
def written(draw: Any, depth: int = 3) -> tuple[str, str]:
    """JSON in some style of writing, and the same with nothing but its blanks and escapes normalised."""
    kind = draw(st.integers(0, 5 if depth else 2))
    if kind == 0:
        token = draw(TOKEN)
        return token, token
    if kind == 1:
        text = draw(STRINGS)
        return json.dumps(text, ensure_ascii=draw(st.booleans())).replace(
            ":", draw(st.sampled_from([":", "\\u003a"]))
        ), json.dumps(text, ensure_ascii=False)
    if kind == 2:
        token = draw(st.sampled_from(["null", "true", "false"]))
        return token, token
    inner = draw(st.lists(written(depth - 1), max_size=3))
    gap = draw(SPACE)
    if kind == 3:
        return f"[{gap}{f'{gap},'.join(one for one, _ in inner)}{gap}]", f"[{','.join(one for _, one in inner)}]"
    keys = draw(st.lists(STRINGS, min_size=len(inner), max_size=len(inner), unique=True))
    left = [f"{json.dumps(key)}{gap}:{gap}{one}" for key, (one, _) in zip(keys, inner, strict=True)]
    right = [f"{json.dumps(key, ensure_ascii=False)}:{one}" for key, (_, one) in zip(keys, inner, strict=True)]
    return f"{{{f',{gap}'.join(left)}}}", f"{{{','.join(right)}}}"


@settings(max_examples=400, deadline=None, suppress_health_check=QUIET)
@given(written())
def test_any_json_read_and_written_again_is_the_same_but_for_blanks(pair: tuple[str, str]) -> None:
    given, wanted = pair
    for value in (load_line(given.encode(), None), load_json(given), load_line(given, None)):
        assert as_text([value]).replace("\\/", "/") == f"[{wanted.replace('-0,', '0,')}]" or "-0" in given
    assert as_text(load_line(f'{{"a": {given}}}'.encode(), {"a"})) == f'{{"a":{wanted}}}' or "-0" in given


# ----------------------------------------------------------------------------------------------------- keys that repeat
@pytest.mark.parametrize(
    "row",
    [
        '{"t": "a", "t": "b"}',
        '{"t": "a", "t":"a"}',
        '{"t": "x", "m": {"k": 1, "k": 2}}',
        '{"t": "x", "m": [{"k": 1}, {"k" : 1, "k": 2}]}',
        '{"\\u0074": "a", "t": "b"}',
        '{"t": "12\\u003a30", "o": 1, "o": 2}',
        '{"t": "x", "a" : 1, "b": 1, "b": 2}',
        '{"t": "шлях", "ключ": 1.10, "ключ": 2}',
    ],
)
@pytest.mark.parametrize("form", ["jsonl", "json"])
def test_a_key_that_stands_twice_is_a_bad_row(read: Read, tmp_path: Path, row: str, form: str) -> None:
    path = tmp_path / "f"
    path.write_text(
        {"jsonl": f'{{"t": "one"}}\n{row}\n{{"t": "two"}}\n', "json": f'[{{"t": "one"}}, {row}, {{"t": "two"}}]'}[form]
    )
    out = read({"jsonl": JsonLines, "json": JsonArray}[form](path=str(path), columns={"text": "t"}, **GIVEN))
    assert [one["text"] for one in out.rows] == ["one", "two"]
    assert len(out.bad) == 1 and "stands twice in one object" in out.reasons[0]
    assert out.bad[0][1].raw.startswith(row[:20])


@settings(max_examples=300, deadline=None, suppress_health_check=QUIET)
@given(written(), st.text(max_size=3), st.integers(0, 1))
def test_a_repeated_key_is_never_overlooked(pair: tuple[str, str], key: str, style: int) -> None:
    name = json.dumps(key)
    text = [f'{{{name}:1,"x":{pair[0]},{name} : 2}}', f'{{"x": [{{{name}: 1, {name}: 1}}], "y": {pair[0]}}}'][style]
    if key == "x" and not style:
        return
    with pytest.raises(ValueError, match="stands twice"):
        load_line(text.encode(), None)


# --------------------------------------------------------------------------------------------------- NaN and infinities
@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_what_is_no_number_is_no_text_unless_it_is_said_to_be_nothing(read: Read, jsonl: Write, word: str) -> None:
    path = jsonl(
        f'{{"q": "Swali?", "i": {word}, "a": "Jibu."}}',
        f'{{"q": "Swali?", "i": "x", "a": {word}}}',
        '{"q": "Swali?", "i": "", "a": "b"}',
    )
    columns = {"prompt": "{q}\n\n{i?}", "response": "{a}"}
    out = read(JsonLines(path=path, columns=columns, **GIVEN))
    assert [row["lineage"]["source_id"] for row in out.rows] == ["rows.jsonl:3"]
    assert out.reasons[0] == f"line 1: prompt has {word}, a number without text; 'empty: [{word}]' treats it as empty"
    assert out.reasons[1].startswith(f"line 2: response has {word}, a number")
    out = read(JsonLines(path=path, columns=columns, empty=[word], **GIVEN))
    assert [turns[0][1] for turns in out.said()] == ["Swali?", "Swali?\n\nx", "Swali?"] and not out.bad


def test_nan_inside_of_something_carried_along_is_not_made_null(read: Read, jsonl: Write) -> None:
    path = jsonl('{"t": "x", "m": {"a": NaN, "b": [1.10, Infinity, null, "null"]}, "n": NaN}')
    (row,) = read(JsonLines(path=path, columns={"text": "t"}, attributes=["m", "n"], key="n", **GIVEN)).rows
    assert row["attributes"] == [{"name": "m", "value": '{"a":NaN,"b":[1.10,Infinity,null,"null"]}'}]
    assert row["group_id"] == ""


def test_long_integers_beside_odd_values_keep_their_digits() -> None:
    value = load_json('{"a": 123456789012345678901234567890, "b": 1.10, "c": [1e-05, true, "\\ud800"]}')
    assert as_text(value) == '{"a":123456789012345678901234567890,"b":1.10,"c":[1e-05,true,"\ud800"]}'


# ---------------------------------------------------------------------------------------------- lists written as Python
LITERAL = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3) | st.tuples(inner, inner)
    ),
    max_leaves=8,
)


def plain(value: Any) -> Any:
    return (
        [plain(one) for one in value]
        if isinstance(value, (list, tuple))
        else {k: plain(v) for k, v in value.items()}
        if isinstance(value, dict)
        else value
    )


@settings(max_examples=400, deadline=None, suppress_health_check=QUIET)
@example([{"role": "user", "content": 'Qu\'est-ce que "ça" ?\n\\u2028 \u2028 \x0b é 🙂'}])
@given(st.lists(LITERAL, max_size=3) | st.dictionaries(st.text(max_size=4), LITERAL, min_size=1, max_size=3))
def test_what_python_writes_of_a_list_or_object_is_read_back(value: Any) -> None:
    assert plain(load_text(str(value))) == plain(value)
    assert plain(load_text(json.dumps(value))) == plain(json.loads(json.dumps(value)))


@pytest.mark.parametrize(
    "text",
    [
        "['a' 'b']",  # numpy of two texts, or Python of one?
        "[{'a': nan}]",
        "[{'a': array([1, 2])}]",
        "[{'a': 'x'}, ...]",
        "[{'a': __import__('os')}]",
        "[{'a': 'b' 'c'}]",
        "[{'a': f'{x}'}]",
        "[b'x']",
        "[{'a': 'x'}",
        "[{'a': 1 + 2}]",
        "{'a': 'x\\q'}",
        "['a', 'b'] + ['c']",
        "[{'a': lambda: 1}]",
        "(" * 50_000,
        "['" + "x" * 5_000_000 + "']",
        "[{'a': 1_000}]",
        "[{'a': 'x'},]",
    ],
    ids=range(17),
)
def test_what_could_mean_two_things_or_needs_running_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not JSON"):
        load_text(text)


def spreadsheet(tmp_path: Path, *cells: str, column: str = "messages", **more: str) -> str:
    path = tmp_path / "t.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([column, *more])
        writer.writerows([cell, *more.values()] for cell in cells)
    return str(path)


def test_conversations_in_a_csv_are_read_as_json_as_python_and_as_numpy_write_them(read: Read, tmp_path: Path) -> None:
    turns = [
        {"role": "user", "content": 'Qu\'est-ce ? "Rien"\nencore'},
        {"role": "assistant", "content": "C'est l'été."},
    ]
    numpy = "[" + "\n ".join(map(str, turns)) + "]"
    odd = [str([turns[0]]) + "x", "[{'role': 'user', 'content': nan}]"]
    path = spreadsheet(tmp_path, *[json.dumps(turns), str(turns), numpy] * 3, *odd)
    for columns in ({}, {"columns": {"messages": "{messages}"}}):
        out = read(Csv(path=path, **columns, **GIVEN))
        assert out.said() == [[("user", turns[0]["content"]), ("assistant", turns[1]["content"])]] * 9
        assert len(out.bad) == 2 and all("Python, not JSON" in reason for reason in out.reasons)


def test_answers_that_are_messages_are_no_text(read: Read, tmp_path: Path) -> None:
    """``prompt, chosen, rejected`` of a preference set in a spreadsheet: the answers are conversations in Python's
    words."""
    ask, good, bad = (
        {"content": text, "role": role}
        for text, role in [("Où ?", "user"), ("Ici.", "assistant"), ("Là.", "assistant")]
    )
    path = tmp_path / "t.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(
            [
                ["prompt", "chosen", "rejected"],
                ["Où ?", [ask, good], [ask, bad]],
                ["Où ?", "Ici.", "[1, 2]"],
                ["Où ?", "[{'content': 'Ici.', 'role': array}]", "Là."],
            ]
        )
    out = read(Csv(path=str(path), language="fr", license="x"))
    assert [(row["chosen"][0]["content"], row["rejected"][0]["content"]) for row in out.rows] == [
        ("Ici.", "Là."),
        ("Ici.", "[1, 2]"),
    ]
    assert "Python, not JSON" in out.reasons[0]


def test_an_answer_that_is_json_of_something_else_stays_text(read: Read, jsonl: Write) -> None:
    answers = [
        '[{"role": "admin", "text": "x"}]',
        '{"role": "nurse", "value": 3}',
        "[1, 2]",
        '{"a": 1}',
        "[INST] x",
        "{not json",
        "[]",
    ]
    out = read(JsonLines(path=jsonl(*[{"prompt": "p", "response": text} for text in answers]), **GIVEN))
    assert [turns[1][1] for turns in out.said()] == answers and not out.bad


# --------------------------------------------------------------------------------------------------------- class labels
def saved(folder: Path, columns: dict[str, Any], features: dict[str, Any]) -> str:
    import datasets

    datasets.disable_progress_bars()
    table = datasets.Dataset.from_dict(columns, features=datasets.Features(features))
    table.save_to_disk(str(folder / "saved"))
    table.to_parquet(str(folder / "t.parquet"))
    return str(folder)


def sources_of(folder: str, **given: Any) -> list[Any]:
    """The same rows, as a saved dataset and as a parquet file that ``datasets`` wrote."""
    return [Hub(dataset=f"{folder}/saved", **given), Parquet(path=f"{folder}/t.parquet", **given)]


def test_labels_are_what_their_names_mean(read: Read, tmp_path: Path) -> None:
    import datasets

    text = datasets.Value("string")
    for names, wanted in [
        (["accepted", "rejected"], [True, False]),
        (["rejected", "accepted"], [False, True]),
        (["False", "True"], [False, True]),
        (["bad", "good"], [False, True]),
        (["thumbs up", "thumbs down"], [True, False]),
        (["0", "1"], [False, True]),
    ]:
        place = tmp_path / "-".join(names)
        folder = saved(
            place,
            {"prompt": ["p", "q"], "completion": ["c", "d"], "label": [0, 1]},
            {"prompt": text, "completion": text, "label": datasets.ClassLabel(names=names)},
        )
        for source in sources_of(folder, **GIVEN):
            assert [row["label"] for row in read(source).rows] == wanted, names
    folder = saved(
        tmp_path / "odd",
        {"prompt": ["p"], "completion": ["c"], "label": [0]},
        {"prompt": text, "completion": text, "label": datasets.ClassLabel(names=["sport", "politics"])},
    )
    columns = {"prompt": "prompt", "completion": "completion", "label": "label"}
    for source in sources_of(folder, columns=columns, **GIVEN):
        assert "label is 'sport' where true or false" in read(source).reasons[0]


def test_class_labels_come_by_name_at_any_depth(read: Read, tmp_path: Path) -> None:
    import datasets

    text, language = datasets.Value("string"), datasets.ClassLabel(names=["de", "en", "sw"])
    role = datasets.ClassLabel(names=["user", "assistant"])
    folder = saved(
        tmp_path,
        {
            "messages": [[{"role": 0, "content": "Habari?"}, {"role": 1, "content": "Nzuri."}]] * 2,
            "lang": [2, -1],
            "tags": [[0, 1], []],
            "meta": [{"l": 1, "n": 5}] * 2,
        },
        {
            "messages": [{"role": role, "content": text}],
            "lang": language,
            "tags": datasets.Sequence(language),
            "meta": {"l": language, "n": datasets.Value("int64")},
        },
    )
    for source in sources_of(folder, language="{lang}", license="x", attributes=["tags", "meta"], only={"meta.n": 5}):
        out = read(source)
        assert out.said() == [[("user", "Habari?"), ("assistant", "Nzuri.")]]
        assert [row["language"] for row in out.rows] == ["sw"] and "language is empty" in out.reasons[0]
        assert [one["value"] for one in out.rows[0]["attributes"]] == ['{"l":"en","n":5}', '["de","en"]']


def test_a_language_that_is_a_number_is_said_to_be_one(read: Read, jsonl: Write) -> None:
    out = read(JsonLines(path=jsonl({"t": "x", "l": 3}), language="{l}", license="x", columns={"text": "t"}))
    assert "language is 3, not a tag" in out.reasons[0]


# ----------------------------------------------------------------------------------------------- what Arrow makes of it
def test_keys_that_arrow_pads_with_null_are_not_there(read: Read, tmp_path: Path) -> None:
    rows = [
        {"t": "a", "m": {"stadt": "Rom", "inner": [{"x": 1}, {"y": 2}]}},
        {"t": "b", "m": {"a": 3, "b": None, "inner": []}},
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "t.parquet")
    out = read(Parquet(path=str(tmp_path / "t.parquet"), columns={"text": "{t} {m}"}, attributes=["m"], **GIVEN))
    wanted = ['{"stadt":"Rom","inner":[{"x":1},{"y":2}]}', '{"inner":[],"a":3}']
    assert [orjson.loads(row["attributes"][0]["value"]) for row in out.rows] == [orjson.loads(one) for one in wanted]
    assert [orjson.loads(row["text"][2:]) for row in out.rows] == [orjson.loads(one) for one in wanted]


def test_null_that_is_written_stays_written(read: Read, jsonl: Write) -> None:
    out = read(JsonLines(path=jsonl({"t": "a", "m": {"b": None}}), columns={"text": "t"}, attributes=["m"], **GIVEN))
    assert out.rows[0]["attributes"] == [{"name": "m", "value": '{"b":null}'}]


def test_padded_messages_lose_no_row_and_gain_no_text(read: Read, tmp_path: Path) -> None:
    """A parquet file of conversations of which one alone has calls: the others have null there."""
    ask, say = {"role": "user", "content": "Ciao?"}, {"role": "assistant", "content": "Ciao."}
    calling = {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}}],
        "weight": 0,
    }
    rows = [{"messages": [ask, say]}, {"messages": [ask, calling]}, {"messages": [ask, {**say, "weight": 1}]}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "t.parquet")
    out = read(Parquet(path=str(tmp_path / "t.parquet"), **GIVEN))
    call = {"id": "", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
    called = {"role": "assistant", "content": "", "tool_calls": [call], "weight": 0}
    assert [row["messages"] for row in out.rows] == [[ask, say], [ask, called], [ask, say]]


CONVERSATION = [("human", "Welche Farbe?"), ("gpt", "Blau."), ("human", "Sicher?"), ("gpt", "Ja.")]


@pytest.mark.parametrize("keys", [("from", "value"), ("role", "content")])
def test_a_conversation_as_an_object_of_lists_is_read_in_every_form(
    read: Read, tmp_path: Path, keys: tuple[str, str]
) -> None:
    whole = dict(zip(keys, (list(one) for one in zip(*CONVERSATION, strict=True)), strict=True))
    rows = [
        {"conversations": whole},
        {"conversations": {**whole, keys[1]: ["one"]}},
        {"conversations": {keys[0]: [], keys[1]: []}},
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "t.parquet")
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in [*rows[:1] * 9, *rows]))
    (tmp_path / "t.csv").write_text("conversations\n" + f'"{whole!s}"\n')
    wanted = [("user", "Welche Farbe?"), ("assistant", "Blau."), ("user", "Sicher?"), ("assistant", "Ja.")]
    told = {"columns": {"messages": "{conversations}"}}
    for source in (
        Parquet(path=str(tmp_path / "t.parquet"), **told, **GIVEN),
        JsonLines(path=str(tmp_path / "t.jsonl"), **GIVEN),
    ):
        out = read(source)
        assert all(turns == wanted for turns in out.said()) and out.said()
        assert [reason.partition(": ")[2] for reason in out.reasons] == [
            f"messages has lists of different lengths ({keys[0]}: 4, {keys[1]}: 1)",
            "messages is an empty list of messages",
        ]
    assert read(Csv(path=str(tmp_path / "t.csv"), **GIVEN)).said() == [wanted]


def test_a_saved_sequence_of_messages_is_read(read: Read, tmp_path: Path) -> None:
    import datasets

    text = datasets.Value("string")
    folder = saved(
        tmp_path,
        {"conversations": [{"from": ["human", "gpt"], "value": ["Hi", "Ho"]}]},
        {"conversations": datasets.Sequence({"from": text, "value": text})},
    )
    for source in sources_of(folder, **GIVEN):
        assert read(source).said() == [[("user", "Hi"), ("assistant", "Ho")]]


def test_a_column_that_stands_twice_in_a_parquet_file_is_an_error(tmp_path: Path) -> None:
    pq.write_table(pa.table([["a"], ["b"], ["c"]], names=["t", "t", "u"]), tmp_path / "t.parquet")
    source = Parquet(path=str(tmp_path / "t.parquet"), columns={"text": "u"}, **GIVEN)
    with pytest.raises(SourceError, match="more than one column called t"):
        list(source.read(source.units()[0], "s", None))  # type: ignore[arg-type]
