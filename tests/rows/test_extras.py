"""Optional parts of conversations: absent ones leave ids, digests and files as they are, present ones are kept."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given, settings
from rows.test_ids import KINDED

from curate.rows import (
    Kind,
    content_digest,
    extras_in,
    field_language,
    narrow,
    payload,
    row_ids,
    schema,
    widen,
    with_ids,
)
from curate.rows.fields import message_parts
from curate.rows.ids import row_digests
from curate.rows.kinds import EXTRAS, ROW_EXTRAS, message_columns, messages_type

CALL = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Mombasa"}'}}
LINEAGE = {"source": "s", "source_id": "f:1", "license": "mit", "parents": [], "makers": []}


def table(*turns, **more) -> pa.Table:
    row = {
        "messages": list(turns),
        "language": "sw",
        "group_id": "g",
        "scores": [],
        "attributes": [],
        "lineage": LINEAGE,
        **more,
    }
    return with_ids(Kind.SFT, pa.Table.from_pylist([row], schema(Kind.SFT)))


USER = {"role": "user", "content": "Hali ya hewa?"}
PLAIN = {"role": "assistant", "content": "Jua."}


def test_ids_and_digests_of_plain_rows_are_those_from_before_there_were_optional_parts():
    plain = table(USER, PLAIN)
    assert plain["id"].to_pylist() == ["8dbb3f6f3df2e975575601deda75d987"]
    assert row_digests(plain)[0].hex() == "66b4ba5a38394ab3c0487b6b1a4ca5fe"
    assert (
        content_digest(plain)
        == content_digest(narrow(plain))
        == "bdd8a99df213336eac0db63d38b84869c9c543f66f7597ee6f9cff2e893eaa9e"
    )


@pytest.mark.parametrize(
    "absent",
    [
        {"tool_calls": []},
        {"tool_call_id": ""},
        {"name": ""},
        {"reasoning": ""},
        {"weight": 1},
        dict.fromkeys(("tool_calls", "tool_call_id", "name", "reasoning", "weight")),
    ],
    ids=str,
)
def test_there_is_one_way_to_have_no_optional_part(absent):
    assert table(USER, {**PLAIN, **absent}).equals(table(USER, PLAIN))
    assert table(USER, PLAIN, tools="", images=[], prompt_language="sw").equals(table(USER, PLAIN))


def test_the_language_of_a_prompt_is_said_only_where_it_is_another():
    other = table(USER, PLAIN, prompt_language="en")
    assert other["prompt_language"].to_pylist() == ["en"] and other["id"] != table(USER, PLAIN)["id"]
    assert narrow(other, extras_in(other)).column_names[:4] == ["id", "messages", "prompt_language", "language"]
    fields = {name: field_language(Kind.SFT, other, name)[0] for name in ("system", "prompt", "response", "messages")}
    assert fields == {"system": "en", "prompt": "en", "response": "sw", "messages": "sw"}
    row = {"prompt": [USER], "prompt_language": "en", "language": "sw", "group_id": "", "scores": [], "attributes": []}
    asked = with_ids(Kind.PROMPT, pa.Table.from_pylist([{**row, "lineage": LINEAGE}], schema(Kind.PROMPT)))
    assert asked["prompt_language"].to_pylist() == [None]


@pytest.mark.parametrize(
    "turn",
    [
        {**PLAIN, "tool_calls": [CALL]},
        {**PLAIN, "tool_calls": [{**CALL, "id": "c2"}]},
        {**PLAIN, "tool_call_id": "c1"},
        {**PLAIN, "name": "c1"},
        {**PLAIN, "reasoning": "c1"},
        {**PLAIN, "weight": 0},
    ],
    ids=str,
)
def test_every_optional_part_counts_for_the_id_and_the_digests(turn):
    seen = {table(USER, PLAIN)["id"][0].as_py(), table(USER, turn)["id"][0].as_py()}
    seen |= {table({**USER, **{k: v for k, v in turn.items() if k not in PLAIN}}, PLAIN)["id"][0].as_py()}
    assert len(seen) == 3
    assert content_digest(table(USER, turn)) != content_digest(table(USER, PLAIN))
    assert row_digests(table(USER, turn)) != row_digests(table(USER, PLAIN))
    tool, image = table(USER, PLAIN, tools="[]"), table(USER, PLAIN, images=["[]"])
    assert len({one["id"][0].as_py() for one in (tool, image, table(USER, PLAIN, audios=["[]"]))}) == 3


@given(KINDED)
@settings(max_examples=150, deadline=None)
def test_narrow_and_widen_lose_nothing_and_ids_do_not_depend_on_the_other_rows(kinded):
    kind, items = kinded
    whole = with_ids(kind, pa.Table.from_pylist(items, schema(kind)))
    used = extras_in(whole)
    small = narrow(whole, used)
    assert small.schema.equals(schema(kind, used))
    assert widen(small).equals(whole) and widen(small).schema.equals(schema(kind))
    assert row_ids(kind, small).equals(row_ids(kind, whole))
    assert row_digests(small) == row_digests(whole) and content_digest(small) == content_digest(whole)
    for at in range(whole.num_rows):
        alone = narrow(one := whole.slice(at, 1), extras_in(one))
        assert row_ids(kind, alone)[0].as_py() == whole["id"][at].as_py()
        assert row_digests(alone) == row_digests(whole)[at : at + 1]
    bare = narrow(whole)
    assert not extras_in(bare)
    for name in message_columns(kind):
        assert [[(t["role"], t["content"]) for t in turns] for turns in bare[name].to_pylist()] == [
            [(t["role"], t["content"]) for t in turns] for turns in whole[name].to_pylist()
        ]


def test_a_slice_in_the_middle_keeps_its_own_messages():
    rows = [
        {"messages": [USER, {**PLAIN, "content": str(number), "weight": 0}] * (number % 3 + 1), "language": "sw",
         "group_id": "", "scores": [], "attributes": [], "lineage": LINEAGE}
        for number in range(9)
    ]  # fmt: skip
    whole = with_ids(Kind.SFT, pa.Table.from_pylist(rows, schema(Kind.SFT)))
    for part in (whole.slice(4, 3), pa.concat_tables([whole.slice(1, 2), whole.slice(6, 3)])):
        assert widen(narrow(part, {"weight"})).equals(part)
        assert widen(narrow(part))["messages"].to_pylist() == [
            [{**turn, "weight": None} for turn in turns] for turns in part["messages"].to_pylist()
        ]


def test_all_parts_exist_for_conversations_only():
    for kind in Kind:
        chats = bool(message_columns(kind))
        assert set(EXTRAS) & set(payload(kind)) == (set(ROW_EXTRAS) if chats else set())
        assert {field.name for field in schema(kind, ())} >= {"id", "language", "lineage"}
        assert not set(EXTRAS) & set(schema(kind, ()).names)


def test_parts_of_messages_are_read_from_any_piece_of_a_column_and_null_stays_null() -> None:
    said = [None, [], [{"role": "user", "content": "सवाल"}, {"role": "assistant", "content": ""}]] * 2
    table = pa.table({"messages": pa.array(said, messages_type(["reasoning"]))})
    read = [None, [], [{"content": "सवाल"}, {"content": ""}]] * 2
    for start in range(6):
        for stop in range(start, 7):
            piece = table.slice(start, stop - start)
            assert message_parts(piece, "messages", ["content"]).to_list() == read[start:stop]
            whole = table.filter(table["messages"].is_valid()).slice(start, stop - start)
            filled = [one for one in read if one is not None]
            assert message_parts(whole, "messages", ["content"]).to_list() == filled[start:stop]
