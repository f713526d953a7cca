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

# What is in a message → the word by which the reason names it.
LOST: dict[str, tuple[dict[str, Any], str]] = {
    "a call without a name": ({"role": "assistant", "content": None, "tool_calls": [{"id": "c1"}]}, "without its name"),
    "a call that is no JSON": ({"from": "function_call", "value": "saa()"}, "not JSON"),
    "a call by the user": ({**ASK, "tool_calls": [CALL]}, "its role is user"),
    "a part that calls, by the user": (
        {"role": "user", "content": [{"type": "tool_use", "name": "saa", "input": {}}]},
        "the role is user",
    ),
    "the bytes of a picture": ({**ASK, "images": [{"bytes": "R0lGODlh", "path": None}]}, "no path, URL or id"),
    "a file": ({"role": "user", "content": [{"type": "file", "file": {"file_id": "f"}}]}, "file"),
    "files beside the text": ({**ASK, "attachments": ["a.pdf"]}, "attachments"),
    "a refusal": ({"role": "assistant", "content": None, "refusal": "Nope."}, "refusal"),
    "a refusal as a part": ({"role": "assistant", "content": [{"type": "refusal", "refusal": "Nope."}]}, "refusal"),
    "an object": ({"role": "assistant", "content": {"answer": 10}}, "object as content"),
    "a part of a text left out of training": (
        {**SAY, "train_detail": [{"begin": 0, "end": 3, "train": False}]},
        "train_detail",
    ),
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


@pytest.mark.parametrize("column", ["tool_calls", "function_call"])
def test_calls_beside_a_conversation_are_no_row_unless_they_are_carried_along(
    read: Read, jsonl: Write, column: str
) -> None:
    path = jsonl({"messages": [ASK, SAY], column: [CALL]}, {"messages": [ASK, SAY], column: "[]"})
    out = read(JsonLines(path=path, **GIVEN))
    assert [row["lineage"]["source_id"] for row in out.rows] == ["rows.jsonl:2"]
    assert f"calls of tools (column '{column}'), and no message" in out.reasons[0]
    carried = read(JsonLines(path=path, attributes=[f"{column}?"], **GIVEN))
    assert not carried.bad and "saa" in carried.rows[0]["attributes"][0]["value"]


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
        turn = out.rows[0]["messages"][2]
        assert {"role", "content"} <= turn.keys() <= {"role", "content", "tool_calls", "name", "reasoning", "weight",
                                                      "tool_call_id"}  # fmt: skip
        kept = turn["content"]
        media = "".join(f"<{name[:-1]}>" * len(out.rows[0].get(name, ())) for name in ("images", "audios", "videos"))
        if isinstance(content, str):
            assert kept == media + content.strip()
        elif isinstance(content, list):
            assert (
                all(isinstance(part, (str, dict)) for part in content)
                and kept == "".join(part for part in content if isinstance(part, str)).strip()
            )
        elif isinstance(content, dict):
            assert role == "tool" and json.loads(kept) == content
        else:
            assert kept == ("" if content is None else json.dumps(content))
