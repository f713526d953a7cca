"""What a row cannot keep makes it a bad row with its reason, and is never flattened into text that is trained on."""

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

from curate.rows import Kind
from sources.files import JsonArray, JsonLines, Parquet

Read = Callable[..., Any]
Write = Callable[..., str]
GIVEN: dict[str, Any] = {"language": "und", "license": "x"}
ASK = {"role": "user", "content": "Wie spät ist es in Nairobi?"}
SAY = {"role": "assistant", "content": "सुबह के दस बजे।"}
CALL = {"id": "c1", "type": "function", "function": {"name": "saa", "arguments": '{"mji": "Nairobi"}'}}
CLOCK = {"type": "function", "function": {"name": "saa", "parameters": {"type": "object"}}}

# What is in a message → the word by which the reason names it.
LOST: dict[str, tuple[dict[str, Any], str]] = {
    "calls": ({"role": "assistant", "content": None, "tool_calls": [CALL]}, "tool_calls"),
    "calls beside text": ({**SAY, "tool_calls": [CALL]}, "tool_calls"),
    "calls as text": ({**SAY, "tool_calls": json.dumps([CALL])}, "tool_calls"),
    "the older form of a call": ({**SAY, "function_call": {"name": "saa", "arguments": "{}"}}, "function_call"),
    "LangChain's call": ({"type": "ai", "content": "", "additional_kwargs": {"tool_calls": [CALL]}}, "tool_calls"),
    "a role that calls": ({"from": "function_call", "value": '{"name": "saa"}'}, "function_call"),
    "another role that calls": ({"role": "Tool_Call", "content": "{}"}, "tool_call"),
    "the call that a result is of": ({"role": "tool", "tool_call_id": "c1", "content": "10:00"}, "tool_call_id"),
    "a part that calls": (
        {"role": "assistant", "content": [{"type": "tool_use", "name": "saa", "input": {}}]},
        "tool_use",
    ),
    "a part that answers a call": (
        {"role": "user", "content": [{"type": "tool_result", "content": "10"}]},
        "tool_result",
    ),
    "a call as a part": (
        {"role": "assistant", "content": [{"type": "function_call", "value": "saa()"}]},
        "function_call",
    ),
    "a picture": (
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "u"}}, {"type": "text", "text": "?"}]},
        "image_url",
    ),
    "sound": ({"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "…"}}]}, "input_audio"),
    "a video": ({"role": "user", "content": [{"type": "video", "video": "a.mp4"}]}, "video"),
    "a file": ({"role": "user", "content": [{"type": "file", "file": {"file_id": "f"}}]}, "file"),
    "pictures beside the text": ({**ASK, "images": ["a.png"]}, "images"),
    "spoken answers": ({**SAY, "audio": {"id": "a1"}}, "audio"),
    "a refusal": ({"role": "assistant", "content": None, "refusal": "Nope."}, "refusal"),
    "a refusal as a part": ({"role": "assistant", "content": [{"type": "refusal", "refusal": "Nope."}]}, "refusal"),
    "an object": ({"role": "assistant", "content": {"answer": 10}}, "object as content"),
    **{
        f"{key}: {value!r}": ({**SAY, key: value}, key)
        for key, value in [
            ("weight", 0),
            ("weight", 0.0),
            ("weight", "0"),
            ("train", False),
            ("loss_weight", 0),
            ("loss_mask", 0),
            ("trainable", False),
            ("loss", False),
            ("train_detail", [{"begin": 0, "end": 3, "train": False}]),
        ]
    },
}


def fits_arrow(lost: str) -> bool:
    """Whether a column of messages can hold it: Arrow has none of texts and objects."""
    try:
        pa.Table.from_pylist([{"messages": [ASK, SAY]}, {"messages": [ASK, LOST[lost][0], SAY]}])
    except pa.ArrowInvalid:
        return False
    return True


FORMS = ("jsonl", "json", "parquet", "jsonl as text")


@pytest.mark.parametrize(
    ("lost", "form"), [(lost, form) for lost in LOST for form in FORMS if form != "parquet" or fits_arrow(lost)]
)
def test_a_message_that_cannot_be_kept_whole_spoils_its_row_only(
    read: Read, tmp_path: Path, lost: str, form: str
) -> None:
    message, word = LOST[lost]
    good, bad = {"messages": [ASK, SAY]}, {"messages": [ASK, message, SAY]}
    rows = [good, bad, good]
    path = tmp_path / "rows"
    if form == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
        source: Any = Parquet(path=str(path), **GIVEN)
    elif form == "json":
        path.write_text(json.dumps(rows))
        source = JsonArray(path=str(path), **GIVEN)
    else:
        whole = [{"messages": json.dumps(row["messages"])} for row in rows] if form == "jsonl as text" else rows
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in whole))
        source = JsonLines(path=str(path), columns={"messages": "{messages}"}, **GIVEN)
    out = read(source)
    assert out.said() == [[("user", ASK["content"]), ("assistant", SAY["content"])]] * 2
    (reason,) = out.reasons
    assert word in reason and "messages[1]" in reason, reason


@pytest.mark.parametrize("target", ["prompt", "response", "history", "chosen", "rejected", "completion"])
def test_calls_are_found_in_every_target_that_takes_messages(read: Read, jsonl: Write, target: str) -> None:
    call = {"role": "assistant", "content": None, "tool_calls": [CALL]}
    messages = [call] if target not in ("prompt", "history") else [ASK, call]
    row: dict[str, Any] = {"prompt": "Saa ngapi?", target: messages}
    columns = {
        "prompt": {"prompt": "{prompt}", "response": "{response?}"},
        "response": {"prompt": "{prompt}", "response": "{response}"},
        "history": {"prompt": "{prompt}", "response": "{prompt}", "history": "{history}"},
        "chosen": {"prompt": "{prompt}", "chosen": "{chosen}", "rejected": "{prompt}"},
        "rejected": {"prompt": "{prompt}", "chosen": "{prompt}", "rejected": "{rejected}"},
        "completion": {"prompt": "{prompt}", "completion": "{completion}", "label": "{ok}"},
    }[target]
    out = read(JsonLines(path=jsonl({"response": "Kumi.", "ok": True, **row}), columns=columns, **GIVEN))
    assert not out.rows and "tool_calls" in out.reasons[0]


def test_what_leaves_the_answer_intact_is_kept_and_counted(read: Read, jsonl: Write) -> None:
    harmless = {
        **SAY,
        "name": "Asha",
        "id": "m2",
        "timestamp": 17,
        "weight": 1,
        "reasoning_content": "Denk …",
        "tool_calls": [],
        "function_call": None,
        "refusal": None,
        "images": [],
    }
    parts = {
        "role": "assistant",
        "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "Zehn."}],
    }
    out = read(JsonLines(path=jsonl({"messages": [{**ASK, "weight": 0}, harmless, ASK, parts]}), **GIVEN))
    assert [text for _, text in out.said()[0]] == [ASK["content"], SAY["content"], ASK["content"], "Zehn."]


# --------------------------------------------------------------------------------------------------------- tools, media
SCHEMAS = [[CLOCK], json.dumps([CLOCK]), str([CLOCK]), [json.dumps(CLOCK)], CLOCK, "{not json"]


@pytest.mark.parametrize("schema", SCHEMAS, ids=range(len(SCHEMAS)))
@pytest.mark.parametrize("column", ["tools", "functions", "tool_calls"])
@pytest.mark.parametrize("told", [False, True])
def test_a_conversation_with_tools_is_no_row_unless_they_are_carried_along(
    read: Read, jsonl: Write, schema: Any, column: str, told: bool
) -> None:
    path = jsonl(
        {"messages": [ASK, SAY], column: schema}, {"messages": [ASK, SAY], column: "[]"}, {"messages": [ASK, SAY]}
    )
    columns = {"columns": {"messages": "{messages}"}} if told else {}
    out = read(JsonLines(path=path, **columns, **GIVEN))
    assert [row["lineage"]["source_id"] for row in out.rows] == ["rows.jsonl:2", "rows.jsonl:3"]
    assert f"tools (column '{column}'), which rows do not keep" in out.reasons[0]
    carried = read(JsonLines(path=path, attributes=[f"{column}?"], **columns, **GIVEN))
    assert not carried.bad and len(carried.rows) == 3
    assert "saa" in carried.rows[0]["attributes"][0]["value"] or schema == "{not json"


def test_calls_are_no_row_even_where_the_tools_are_carried_along(read: Read, jsonl: Write) -> None:
    row = {"messages": [ASK, {"role": "assistant", "content": None, "tool_calls": [CALL]}, SAY], "tools": [CLOCK]}
    for attributes in (["tools"], ["tools", "messages"]):
        out = read(JsonLines(path=jsonl(row), attributes=attributes, **GIVEN))
        assert not out.rows and "tool_calls" in out.reasons[0]


def test_tools_beside_columns_of_text_are_seen_too_but_a_list_of_names_is_a_column_like_any_other(
    read: Read, jsonl: Write
) -> None:
    path = jsonl(
        {"prompt": "p", "response": "r", "tools": [CLOCK]}, {"prompt": "p", "response": "r", "tools": ["hammer", "saw"]}
    )
    out = read(JsonLines(path=path, **GIVEN))
    assert [row["lineage"]["source_id"] for row in out.rows] == ["rows.jsonl:2"] and "tools" in out.reasons[0]
    documents = read(
        JsonLines(path=jsonl({"text": "Ein Hammer.", "tools": [CLOCK]}), columns={"text": "text"}, **GIVEN)
    )
    assert len(documents.rows) == 1


@pytest.mark.parametrize("column", ["images", "videos", "audios"])
def test_pictures_beside_a_conversation_are_no_text(read: Read, jsonl: Write, column: str) -> None:
    row = {"messages": [{"role": "user", "content": "<image>Was ist das?"}, SAY], column: ["a.png"]}
    path = jsonl(row, {**row, column: []})
    out = read(JsonLines(path=path, **GIVEN))
    assert len(out.rows) == 1 and f"the row has {column}" in out.reasons[0]
    assert len(read(JsonLines(path=path, attributes=[column], **GIVEN)).rows) == 2


# ------------------------------------------------------------------------------------------------------ results as text
def test_a_result_is_kept_where_the_call_before_it_is_text(read: Read, jsonl: Write) -> None:
    result = {"role": "tool", "content": "10:00"}
    call = {"role": "assistant", "content": "saa('Nairobi')"}
    path = jsonl(
        {"messages": [ASK, call, result, SAY]},
        {"messages": [ASK, result, SAY]},
        {"messages": [ASK, {"role": "assistant", "content": ""}, result, SAY]},
        {"messages": [result]},
        {"messages": [ASK, call, result, result, SAY]},
    )
    out = read(JsonLines(path=path, **GIVEN))
    assert [[role for role, _ in turns] for turns in out.said()] == [
        ["user", "assistant", "tool", "assistant"],
        ["user", "assistant", "tool", "tool", "assistant"],
    ]
    assert len(out.bad) == 3 and all("no turn before it has the call as text" in reason for reason in out.reasons)


# ------------------------------------------------------------------------------------------------- left out of training
def test_a_turn_left_out_of_training_may_stand_where_nothing_is_trained_on(read: Read, jsonl: Write) -> None:
    off, on = {**SAY, "weight": 0}, {**SAY, "weight": 1}
    nay = {"role": "assistant", "content": "Hapana.", "weight": 1}
    out = read(JsonLines(path=jsonl({"chosen": [ASK, off, ASK, on], "rejected": [ASK, off, ASK, nay]}), **GIVEN))
    assert len(out.rows) == 1 and [turn["role"] for turn in out.rows[0]["prompt"]] == ["user", "assistant", "user"]
    out = read(JsonLines(path=jsonl({"chosen": [ASK, off], "rejected": [ASK, nay]}), **GIVEN))
    assert not out.rows and "chosen[1] is left out of training by its author ('weight')" in out.reasons[0]
    path = jsonl({"messages": [ASK, off, ASK, on], "label": True}, {"messages": [ASK, on, ASK, off], "label": True})
    out = read(JsonLines(path=path, **GIVEN))
    assert [row["lineage"]["source_id"] for row in out.rows] == ["rows.jsonl:1"] and "weight" in out.reasons[0]
    out = read(JsonLines(path=jsonl({"prompt": [ASK, off, ASK]}), kind="prompt", **GIVEN))
    assert len(out.rows) == 1


# ------------------------------------------------------------------------------------------------------------- property
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=4) | st.sampled_from(["[]", "{}", "null", 0.0]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
FIELDS = [
    "tool_calls",
    "function_call",
    "tool_call_id",
    "refusal",
    "images",
    "weight",
    "train",
    "name",
    "reasoning_content",
    "zzz",
]


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    more=st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=3),
    content=JSON,
    role=st.sampled_from(["user", "assistant", "tool"]),
)
def test_a_kept_message_is_the_text_it_had_and_nothing_else(
    read: Read, jsonl: Write, more: dict[str, Any], content: Any, role: str
) -> None:
    """Whatever stands beside a text, it is either kept as it is or its row is set aside; nothing is put into it."""
    message = {"role": role, "content": content, **more}
    out = read(
        JsonLines(
            path=jsonl({"messages": [ASK, SAY, message]}), kind=Kind.SFT, columns={"messages": "{messages}"}, **GIVEN
        )
    )
    assert len(out.rows) + len(out.bad) == 1
    if out.rows:
        kept = out.said()[0][2][1]
        if isinstance(content, str):
            assert kept == content.strip()
        elif isinstance(content, list):
            assert (
                all(isinstance(part, (str, dict)) for part in content)
                and kept == "".join(part for part in content if isinstance(part, str)).strip()
            )
        elif isinstance(content, dict):
            assert role == "tool" and json.loads(kept) == content
        else:
            assert kept == ("" if content is None else json.dumps(content))
