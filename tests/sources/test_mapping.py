from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from curate.rows import Kind
from curate.steps import SourceError
from sources.files import JsonLines, Parquet

Read = Callable[..., Any]
Write = Callable[..., str]
QA = {"columns": {"prompt": "q", "response": "a"}, "license": "cc0-1.0"}


def test_a_row_carries_where_it_comes_from_and_what_it_was_told_to(read: Read, jsonl: Write) -> None:
    path = jsonl(
        {
            "q": "Ni saa ngapi?",
            "a": "Saa mbili.",
            "n": 3,
            "grade": "4.5",
            "meta": {"kata": "ndio", "x": [1]},
            "tag": None,
        }
    )
    source = JsonLines(
        path=path, language="swh", key="{n}", scores={"grade": "grade"}, attributes=["meta", "tag"], **QA
    )
    (row,) = read(source, "swahili").rows
    assert row == {
        "messages": [{"role": "user", "content": "Ni saa ngapi?"}, {"role": "assistant", "content": "Saa mbili."}],
        "language": "sw",
        "group_id": "swahili:3",
        "scores": [{"name": "grade", "value": 4.5}],
        "attributes": [{"name": "meta", "value": '{"kata":"ndio","x":[1]}'}],
        "lineage": {
            "source": "swahili",
            "source_id": "rows.jsonl:1",
            "license": "cc0-1.0",
            "parents": [],
            "makers": [],
        },
    }


def test_two_sources_join_on_a_key_by_group(read: Read, jsonl: Write) -> None:
    english = JsonLines(
        path=jsonl({"q": "a", "a": "b"}, {"q": "c", "a": "d"}, name="en.jsonl"), language="en", key="{@row}", **QA
    )
    german = JsonLines(
        path=jsonl({"q": "C", "a": "D", "id": 1.0}, {"q": "X", "a": "Y", "id": None}, name="de.jsonl"),
        language="de",
        key="id",
        translation_of="english",
        **QA,
    )
    assert [row["group_id"] for row in read(english, "english").rows] == ["english:0", "english:1"]
    assert [row["group_id"] for row in read(german, "german").rows] == ["english:1", ""]
    assert german.parent() == "english" and english.parent() is None
    named = JsonLines(path=jsonl({"q": "C", "a": "D", "id": 1}), language="de", key="id", group="alpaca", **QA)
    assert read(named).rows[0]["group_id"] == "alpaca:1"


def test_rows_may_say_their_own_language_licence_and_id(read: Read, jsonl: Write) -> None:
    path = jsonl(
        {"q": "x", "a": "y", "lang": "hin_Latn", "lic": "mit", "no": "r1"},
        {"q": "x", "a": "y", "lang": "xx-nonsense", "lic": "mit", "no": "r2"},
        {"q": "x", "a": "y", "lang": "zh-TW", "lic": "", "no": "r3"},
        {"q": "x", "a": "y", "lang": None, "lic": "mit", "no": "r4"},
    )
    out = read(JsonLines(path=path, language="{lang}", id="{no}", columns=QA["columns"], license="{lic}"))
    assert [(row["language"], row["lineage"]["license"], row["lineage"]["source_id"]) for row in out.rows] == [
        ("hi-Latn", "mit", "r1")
    ]
    assert [row.where for _, row in out.bad] == ["line 2", "line 3", "line 4"]
    assert "xx-nonsense" in out.reasons[0] and "licence" in out.reasons[1] and "language is empty" in out.reasons[2]


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (3, [3.0]),
        ("2.5", [2.5]),
        (None, []),
        ("", []),
        (" ", []),
        (-1e-3, [-0.001]),
        ("n/a", "number"),
        (True, "finite"),
        ([1], "finite"),
        ("inf", "finite"),
    ],
)
def test_a_score_is_a_number_or_nothing(read: Read, jsonl: Write, value: Any, wanted: Any) -> None:
    out = read(JsonLines(path=jsonl({"q": "x", "a": "y", "s": value}), language="en", scores={"s": "s"}, **QA))
    if isinstance(wanted, str):
        assert wanted in out.reasons[0] and not out.rows
    else:
        assert [score["value"] for score in out.rows[0]["scores"]] == wanted


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (True, True),
        (0, False),
        (1.0, True),
        (" True ", True),
        ("no", False),
        ("maybe", None),
        (None, None),
        (2, None),
        ("", None),
    ],
)
def test_a_label_is_true_or_false_and_nothing_else(read: Read, jsonl: Write, value: Any, wanted: bool | None) -> None:
    columns = {"prompt": "q", "completion": "a", "label": "l"}
    out = read(JsonLines(path=jsonl({"q": "x", "a": "y", "l": value}), language="en", columns=columns, license="x"))
    assert [row["label"] for row in out.rows] == ([] if wanted is None else [wanted])


def test_texts_are_composed_and_stripped_unless_told_otherwise(read: Read, jsonl: Write) -> None:
    path = jsonl({"q": "  Cafe\u0301 \u3000", "a": "\u00a0e\u0301\n"})
    assert read(JsonLines(path=path, language="fr", **QA)).said() == [[("user", "Café"), ("assistant", "é")]]
    raw = JsonLines(path=path, language="fr", normalize="none", strip=False, **QA)
    assert read(raw).said() == [[("user", "  Cafe\u0301 \u3000"), ("assistant", "\u00a0e\u0301\n")]]


def test_texts_that_stand_for_nothing_are_empty(read: Read, jsonl: Write) -> None:
    path = jsonl(
        {"q": "Sing.", "i": " <noinput>", "a": "La."}, {"q": "Sing.", "i": "Do not say <noinput>.", "a": "La."}
    )
    source = JsonLines(
        path=path, language="en", empty=["<noinput>"], columns={"prompt": "{q}\n\n{i}", "response": "a"}, license="x"
    )
    assert [turns[0][1] for turns in read(source).said()] == ["Sing.", "Sing.\n\nDo not say <noinput>."]


def test_only_and_limit_choose_rows(read: Read, jsonl: Write) -> None:
    path = jsonl(
        *[{"q": f"q{i}", "a": "x", "set": ["dev", "test", None][i % 3], "ok": i != 3, "n": i} for i in range(9)]
    )
    keep = lambda **given: [turns[0][1] for turns in read(JsonLines(path=path, language="en", **given, **QA)).said()]  # noqa: E731
    assert keep(only={"set": "dev", "ok": True}) == ["q0", "q6"]
    assert keep(only={"set": ["test", None]}) == ["q1", "q2", "q4", "q5", "q7", "q8"]
    assert keep(only={"n": [4, 5]}) == ["q4", "q5"]
    assert keep(limit=2, only={"set": "test"}) == ["q1", "q4"]
    with pytest.raises(SourceError, match=r"no column 'sett' \(did you mean 'set'\?\)"):
        keep(only={"sett": "dev"})


def test_a_column_that_no_row_has_is_an_error_with_the_nearest_name(read: Read, jsonl: Write) -> None:
    path = jsonl({"q": "x", "a": "y", "metadata": {"score": 1}})
    with pytest.raises(
        SourceError, match=r"'metadata\.scor'.*did you mean 'metadata\.score'\?.*q, a, metadata, metadata\.score"
    ):
        read(JsonLines(path=path, language="en", scores={"s": "{metadata.scor}"}, **QA))
    assert len(read(JsonLines(path=path, language="en", scores={"s": "{metadata.scor?}"}, **QA)).rows) == 1


def test_a_column_that_one_row_lacks_is_that_rows_fault(read: Read, jsonl: Write) -> None:
    path = jsonl({"q": "x", "a": "y"}, {"q": "x"}, {"q": "x", "a": None})
    out = read(JsonLines(path=path, language="en", **QA))
    assert out.reasons == ["line 2: response: the row has no such column"]
    assert out.said() == [[("user", "x"), ("assistant", "y")], [("user", "x"), ("assistant", "")]]


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ([], "empty list"),
        (None, "null"),
        ("hello", "text where"),
        ([{"role": "user"}], "without 'content'"),
        ([{"content": "x"}], "without 'role'"),
        ([{"role": "narrator", "content": "x"}], "unknown role 'narrator'"),
        (["x"], "messages[0] is a str"),
        ([{"role": "user", "content": [{"type": "hologram", "data": "u"}]}], "type 'hologram'"),
        ([{"role": "user", "content": "a\u0000b"}], "NUL"),
    ],
)
def test_a_broken_conversation_is_a_bad_row(read: Read, jsonl: Write, messages: Any, reason: str) -> None:
    good = {"messages": [{"role": "user", "content": "x"}]}
    out = read(
        JsonLines(
            path=jsonl(good, {"messages": messages}), language="en", license="x", columns={"messages": "messages"}
        )
    )
    assert len(out.rows) == 1
    assert reason in out.reasons[0] and out.reasons[0].startswith("line 2")


def test_the_texts_of_parts_are_joined_and_a_tools_result_is_kept_behind_a_call_that_is_text(
    read: Read, jsonl: Write
) -> None:
    messages = [
        {"role": "user", "content": [{"type": "text", "text": "¿Qué hora "}, {"type": "text", "value": "es?"}]},
        {"role": "assistant", "content": 'reloj(país="Perú")'},
        {"role": "tool", "content": {"hora": "10"}},
        {"from": "observation", "value": "ok"},
        {"role": "ASSISTANT", "content": "Las diez."},
    ]
    out = read(JsonLines(path=jsonl({"messages": messages}), language="es", license="x"))
    assert out.said() == [
        [
            ("user", "¿Qué hora es?"),
            ("assistant", 'reloj(país="Perú")'),
            ("tool", '{"hora":"10"}'),
            ("tool", "ok"),
            ("assistant", "Las diez."),
        ]
    ]


def test_a_part_without_text_is_passed_over_when_its_column_is_carried_along(read: Read, jsonl: Write) -> None:
    messages = [{"role": "user", "content": [{"type": "image", "url": "u"}, {"type": "text", "text": "Was ist das?"}]}]
    out = read(
        JsonLines(
            path=jsonl({"messages": messages}),
            language="de",
            license="x",
            columns={"messages": "messages"},
            attributes=["messages"],
        )
    )
    assert out.said() == [[("user", "Was ist das?")]]
    assert json.loads(out.rows[0]["attributes"][0]["value"]) == messages


def test_a_conversation_written_as_json_text_is_read(read: Read, jsonl: Write) -> None:
    row = {"messages": json.dumps([{"role": "user", "content": "שלום"}, {"role": "assistant", "content": "היי"}])}
    assert read(JsonLines(path=jsonl(row), language="he", license="x")).said() == [
        [("user", "שלום"), ("assistant", "היי")]
    ]


def test_the_system_message_of_the_conversation_goes_before_the_column(read: Read, jsonl: Write) -> None:
    own = [{"role": "system", "content": "mine"}, {"role": "user", "content": "x"}]
    path = jsonl({"messages": own, "system": "column"}, {"messages": own[1:], "system": "column"})
    assert [turns[0] for turns in read(JsonLines(path=path, language="en", license="x")).said()] == [
        ("system", "mine"),
        ("system", "column"),
    ]


def test_equal_conversations_still_have_answers_and_strangers_have_no_prompt(read: Read, jsonl: Write) -> None:
    ask, say = {"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}
    other = {"role": "user", "content": "z"}
    path = jsonl({"chosen": [ask, say], "rejected": [ask, say]}, {"chosen": [ask, say], "rejected": [other, say]})
    out = read(JsonLines(path=path, language="en", license="x"))
    assert out.said("chosen") == out.said("rejected") == [[("assistant", "y")]]
    assert "no prompt in common" in out.reasons[0]


def test_half_a_surrogate_pair_is_a_bad_row_only_where_it_is_used(read: Read, jsonl: Write) -> None:
    path = jsonl(
        '{"q": "x", "a": "\\ud83d", "z": ""}',
        '{"q": "x", "a": "y", "z": "\\ud83d"}',
        '{"q": "x", "a": "\\ud83d\\ude00", "z": ""}',
    )
    out = read(JsonLines(path=path, language="en", **QA))
    assert [turns[1][1] for turns in out.said()] == ["y", "😀"]
    assert out.reasons == ["line 1: response has half of a surrogate pair (U+D83D, character 0)"]
    out.bad[0][1].raw.encode()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.dictionaries(
            st.sampled_from("qaxk"),
            st.none() | st.text() | st.integers() | st.booleans() | st.lists(st.text(), max_size=2),
        ),
        max_size=12,
    )
)
def test_every_record_becomes_a_row_or_a_bad_row(read: Read, jsonl: Write, records: list[dict[str, Any]]) -> None:
    path = jsonl({"q": "first", "a": "row", "k": 1}, *[json.dumps(record) for record in records])
    out = read(JsonLines(path=path, language="en", key="k", **QA))
    assert len(out.rows) + len(out.bad) == len(records) + 1
    places = [int(row["lineage"]["source_id"].rpartition(":")[2]) for row in out.rows]
    assert places == sorted(places) and not {f"line {place}" for place in places} & {row.where for _, row in out.bad}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"columns": {"promt": "q", "response": "a"}}, "did you mean 'prompt'"),
        ({"columns": {"chosen": "q", "rejected": "a"}, "kind": "sft"}, "'chosen' is not a target"),
        ({"columns": {"messages": "m", "prompt": "q"}}, "whole conversation"),
        ({"columns": {"prompt": "{q"}}, "without '}'"),
        ({"language": "klingonish"}, "klingonish"),
        ({"license": " "}, "unknown"),
        ({"key": "{"}, "without '}'"),
        ({"translation_of": "en"}, "needs a 'key'"),
        ({"group": "a:b", "key": "k"}, "pattern"),
        ({"columns": {"source": "q", "target": "a"}}, "source_language: en"),
        ({"columns": {"text": "q"}, "source_language": "en"}, "for parallel rows"),
        ({"max_error_rate": 2}, "less than or equal to 1"),
        ({"limit": 0}, "greater than or equal to 1"),
        ({"encoding": "utf-9"}, "not a text encoding"),
    ],
)
def test_wrong_parameters_are_told_before_anything_is_read(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as error:
        JsonLines(**{"path": "x.jsonl", "language": "en", "license": "x", **given})
    assert said in str(error.value)


def test_the_kind_is_told_by_the_targets() -> None:
    def kind(**columns: str) -> Kind:
        return JsonLines(
            path="x", language="en", license="x", source_language="fr" if "target" in columns else None, columns=columns
        ).makes

    assert kind(prompt="a", response="b") is kind(messages="m") is Kind.SFT
    assert kind(chosen="a", rejected="b") is Kind.PREFERENCE
    assert kind(completion="a", label="b") is Kind.UNPAIRED
    assert kind(source="a", target="b") is Kind.PARALLEL
    assert kind(text="a") is Kind.DOCUMENT
    assert kind(prompt="a") is Kind.PROMPT


def test_parquet_columns_are_read_by_need_and_by_type(read: Read, tmp_path: Any) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    turns = pa.array(
        [[{"role": "user", "content": "hola"}], None],
        pa.large_list(pa.struct([("role", pa.large_string()), ("content", pa.large_string())])),
    )
    table = pa.table(
        {"m": turns, "n": pa.array([1.0, None]), "d": pa.array([b"abc", b"\xff"]), "unused": [b"\xff", b"\xff"]}
    )
    pq.write_table(table, tmp_path / "t.parquet")
    source = Parquet(
        path=str(tmp_path / "t.parquet"),
        language="es",
        license="x",
        columns={"messages": "m"},
        key="n",
        attributes={"d": "d"},
    )
    out = read(source)
    assert (out.rows[0]["group_id"], out.rows[0]["attributes"]) == ("src:1", [{"name": "d", "value": "abc"}])
    assert out.reasons == ["row 1: messages is null where a list of messages was expected"]
    with pytest.raises(SourceError, match=r"no column 'mm'.*m, n, d, unused"):
        read(Parquet(path=str(tmp_path / "t.parquet"), language="es", license="x", columns={"messages": "mm"}))
    (tmp_path / "t.parquet").write_bytes((tmp_path / "t.parquet").read_bytes()[:-20])
    with pytest.raises(SourceError, match="not a Parquet file, or is truncated"):
        read(source)
