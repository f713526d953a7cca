"""Calls of tools, reasoning, weights and media are kept with their turn, whatever notation they are written in."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sources.files import JsonArray, JsonLines, Parquet

Read = Callable[..., Any]
Write = Callable[..., str]
GIVEN: dict[str, Any] = {"language": "sw", "license": "x"}
ASK = {"role": "user", "content": "Wie spät ist es in Nairobi?"}
SAY = {"role": "assistant", "content": "Saa nne asubuhi."}
ARGUMENTS = '{"mji": "Nairobi", "eneo": null}'
CALL = {"id": "c1", "type": "function", "function": {"name": "saa", "arguments": ARGUMENTS}}
RESULT = {"role": "tool", "content": "10:00", "tool_call_id": "c1"}
PARAMETERS = {"type": "object", "properties": {"mji": {"type": "string"}}, "required": ["mji"]}
CLOCK = {"type": "function", "function": {"name": "saa", "description": "Die Uhrzeit", "parameters": PARAMETERS}}
CALLS = {"role": "assistant", "content": "", "tool_calls": [CALL]}


def call(name: str = "saa", arguments: str = ARGUMENTS, id: str = "") -> dict[str, Any]:
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


# --------------------------------------------------------------------------------------------------------------- calls
# What a message is in a file → the turns that it becomes.
MESSAGES: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]] = {
    "OpenAI": ({"role": "assistant", "content": None, "tool_calls": [CALL]}, [CALLS]),
    "OpenAI, arguments as an object": (
        {"role": "assistant", "tool_calls": [{**CALL, "function": {"name": "saa", "arguments": {"mji": "Köln"}}}]},
        [{**CALLS, "tool_calls": [call(arguments='{"mji":"Köln"}', id="c1")]}],
    ),
    "calls beside text": ({**SAY, "tool_calls": [CALL, {**CALL, "id": "c2"}]},
                          [{**SAY, "tool_calls": [CALL, {**CALL, "id": "c2"}]}]),
    "calls as text": ({**SAY, "tool_calls": json.dumps([CALL])}, [{**SAY, "tool_calls": [CALL]}]),
    "the older form": (
        {"role": "assistant", "content": None, "function_call": {"name": "saa", "arguments": "{}"}},
        [{**CALLS, "tool_calls": [call(arguments="{}")]}],
    ),
    "the older form of a result": ({"role": "function", "name": "saa", "content": "10"},
                                   [{"role": "tool", "content": "10", "name": "saa"}]),
    "LangChain": (
        {"type": "ai", "content": "", "tool_calls": [{"name": "saa", "args": {"mji": "x"}, "id": "a"}]},
        [{**CALLS, "tool_calls": [call(arguments='{"mji":"x"}', id="a")]}],
    ),
    "LangChain, from OpenAI": (
        {"type": "ai", "content": "", "additional_kwargs": {"tool_calls": [CALL]}},
        [CALLS],
    ),
    "ShareGPT": ({"from": "function_call", "value": json.dumps({"name": "saa", "arguments": {"mji": "x"}})},
                 [{**CALLS, "tool_calls": [call(arguments='{"mji":"x"}')]}]),
    "ShareGPT, several": (
        {"from": "function_call", "value": '[{"name": "saa", "arguments": "{}"}, {"name": "siku", "arguments": {}}]'},
        [{**CALLS, "tool_calls": [call(arguments="{}"), call("siku", "{}")]}],
    ),
    "ShareGPT, result": ({"from": "observation", "value": '{"saa": 10}'}, [{"role": "tool", "content": '{"saa": 10}'}]),
    "a result": ({**RESULT}, [RESULT]),
    "a result as an object": ({**RESULT, "content": {"saa": [10, None]}}, [{**RESULT, "content": '{"saa":[10,null]}'}]),
    "Anthropic, call": (
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "Kwanza saa.", "signature": "zz"},
            {"type": "text", "text": "Ich sehe nach."},
            {"type": "tool_use", "id": "t1", "name": "saa", "input": {"mji": "Dar es Salaam"}},
        ]},
        [{"role": "assistant", "content": "Ich sehe nach.", "reasoning": "Kwanza saa.",
          "tool_calls": [call(arguments='{"mji":"Dar es Salaam"}', id="t1")]}],
    ),
    "Anthropic, results": (
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "10:00"}]},
            {"type": "tool_result", "tool_use_id": "t2", "content": "11:00"},
            {"type": "text", "text": "Na Mombasa?"},
        ]},
        [{"role": "tool", "content": "10:00", "tool_call_id": "t1"},
         {"role": "tool", "content": "11:00", "tool_call_id": "t2"},
         {"role": "user", "content": "Na Mombasa?"}],
    ),
    "reasoning": ({**SAY, "reasoning_content": "Denk …"}, [{**SAY, "reasoning": "Denk …"}]),
    "reasoning under another name": ({**SAY, "thinking": "fikiri"}, [{**SAY, "reasoning": "fikiri"}]),
    "a name": ({**ASK, "name": "Asha"}, [{**ASK, "name": "Asha"}]),
    **{f"{key}: {value!r}": ({**SAY, key: value}, [{**SAY, "weight": 0}])
       for key, value in [("weight", 0), ("weight", 0.0), ("weight", "0"), ("train", False), ("loss_weight", 0),
                          ("loss_mask", 0), ("trainable", False), ("loss", False)]},
    "trained on": ({**SAY, "weight": 1}, [SAY]),
    "excluded, and never trained on": ({**ASK, "weight": 0}, [ASK]),
    "nothing": ({**SAY, "tool_calls": [], "function_call": None, "refusal": None, "images": [], "name": ""}, [SAY]),
}  # fmt: skip


def in_arrow(message: dict[str, Any]) -> bool:
    try:
        pa.Table.from_pylist([{"messages": [ASK, SAY]}, {"messages": [ASK, message]}])
    except pa.ArrowInvalid:
        return False
    return True


@pytest.mark.parametrize("form", ["jsonl", "json", "jsonl as text"])
@pytest.mark.parametrize("notation", MESSAGES)
def test_what_a_message_has_stays_with_its_turn(read: Read, tmp_path: Path, notation: str, form: str) -> None:
    message, turns = MESSAGES[notation]
    rows = [{"messages": [ASK, SAY]}, {"messages": [ASK, message, SAY]}]
    path = tmp_path / "rows"
    if form == "json":
        path.write_text(json.dumps(rows))
        source: Any = JsonArray(path=str(path), **GIVEN)
    else:
        whole = [{"messages": json.dumps(row["messages"])} for row in rows] if form == "jsonl as text" else rows
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in whole))
        source = JsonLines(path=str(path), columns={"messages": "{messages}"}, **GIVEN)
    out = read(source)
    assert not out.bad
    assert [row["messages"] for row in out.rows] == [[ASK, SAY], [ASK, *turns, SAY]]


@pytest.mark.parametrize("notation", [name for name, (message, _) in MESSAGES.items() if in_arrow(message)])
def test_parquet_pads_messages_and_the_turns_are_the_same(read: Read, tmp_path: Path, notation: str) -> None:
    message, turns = MESSAGES[notation]
    path = tmp_path / "t.parquet"
    pq.write_table(pa.Table.from_pylist([{"messages": [ASK, SAY]}, {"messages": [ASK, message, SAY]}]), path)
    out = read(Parquet(path=str(path), **GIVEN))
    assert [row["messages"] for row in out.rows] == [[ASK, SAY], [ASK, *turns, SAY]]


@pytest.mark.parametrize(
    ("target", "columns"),
    [
        ("prompt", {"prompt": "{prompt}", "response": "{response}"}),
        ("response", {"prompt": "{prompt}", "response": "{response}"}),
        ("history", {"prompt": "{prompt}", "response": "{prompt}", "history": "{history}"}),
        ("chosen", {"prompt": "{prompt}", "chosen": "{chosen}", "rejected": "{response}"}),
        ("rejected", {"prompt": "{prompt}", "chosen": "{response}", "rejected": "{rejected}"}),
        ("completion", {"prompt": "{prompt}", "completion": "{completion}", "label": "{ok}"}),
    ],
)
def test_calls_are_kept_in_every_target_that_takes_messages(
    read: Read, jsonl: Write, target: str, columns: dict[str, str]
) -> None:
    messages = [{"role": "assistant", "content": None, "tool_calls": [CALL]}]
    messages = [ASK, *messages, RESULT] if target in ("prompt", "history") else messages
    row = {"prompt": "Saa ngapi?", "response": "Kumi.", "ok": True, target: messages}
    out = read(JsonLines(path=jsonl(row), columns=columns, **GIVEN))
    assert not out.bad and json.dumps(out.rows[0]).count('"c1"') == (2 if target in ("prompt", "history") else 1)
    assert CALLS in [turn for value in out.rows[0].values() if isinstance(value, list) for turn in value]


def test_calls_alone_are_an_answer(read: Read, jsonl: Write) -> None:
    """xLAM and APIGen: query, tools and answers, the last two as JSON."""
    answers = [{"name": "saa", "arguments": {"mji": "Nairobi"}}, {"name": "siku", "arguments": {}}]
    tools = [{"name": "saa", "description": "Die Uhrzeit", "parameters": {
        "mji": {"description": "Ort", "type": "str"}, "zone": {"type": "Optional[int]", "default": 3},
        "wote": {"type": "List[str]", "description": "", "default": "[]"}}}]  # fmt: skip
    row = {"id": 0, "query": "Saa ngapi?", "answers": json.dumps(answers), "tools": json.dumps(tools)}
    source = JsonLines(path=jsonl(row), **GIVEN)
    out = read(source)
    assert source.form.name == "xLAM" and not out.bad
    assert out.rows[0]["messages"] == [
        {"role": "user", "content": "Saa ngapi?"},
        {"role": "assistant", "content": "", "tool_calls": [call(arguments='{"mji":"Nairobi"}'), call("siku", "{}")]},
    ]
    (tool,) = json.loads(out.rows[0]["tools"])
    assert tool["function"]["parameters"] == {
        "type": "object",
        "properties": {
            "mji": {"description": "Ort", "type": "string"},
            "zone": {"type": "integer", "default": 3},
            "wote": {"type": "array", "description": "", "default": "[]"},
        },
        "required": ["mji"],
    }


HERMES = (
    "You call functions. Signatures are within <tools></tools> tags.\n<tools> " + json.dumps([CLOCK]) + " </tools>\n"
    "Answer with <tool_call>\n{'name': …}\n</tool_call>"
)
QWEN = (
    "Sei höflich.\n\n# Tools\n\nYou may call functions:\n<tools>\n" + json.dumps(CLOCK) + "\n" + json.dumps(CLOCK)
    + "\n</tools>\n\nFor each call return:\n<tool_call>\n{\"name\": <name>, \"arguments\": <object>}\n</tool_call>"
)  # fmt: skip


@pytest.mark.parametrize(("system", "left", "tools"), [(HERMES, None, 1), (QWEN, "Sei höflich.", 2)])
def test_tags_of_hermes_and_qwen_are_calls_where_there_are_tools(
    read: Read, jsonl: Write, system: str, left: str | None, tools: int
) -> None:
    tagged = "Ich sehe nach.\n<tool_call>\n" + json.dumps({"name": "saa", "arguments": {"mji": "x"}}) + "\n</tool_call>"
    rows = [
        {"from": "system", "value": system},
        {"from": "human", "value": "Saa?"},
        {"from": "gpt", "value": tagged},
        {"from": "tool", "value": '<tool_response>\n{"saa": 10}\n</tool_response>'},
        {"from": "gpt", "value": "Zehn."},
    ]
    out = read(JsonLines(path=jsonl({"conversations": rows}), **GIVEN))
    expected = [
        {"role": "user", "content": "Saa?"},
        {"role": "assistant", "content": "Ich sehe nach.", "tool_calls": [call(arguments='{"mji":"x"}')]},
        {"role": "tool", "content": '{"saa": 10}'},
        {"role": "assistant", "content": "Zehn."},
    ]
    assert out.rows[0]["messages"] == [*([{"role": "system", "content": left}] if left else []), *expected]
    assert json.loads(out.rows[0]["tools"]) == [CLOCK] * tools


def test_a_text_about_tags_is_a_text(read: Read, jsonl: Write) -> None:
    tagged = '<tool_call>{"name": "saa", "arguments": {}}</tool_call>'
    rows = [{"messages": [ASK, {**SAY, "content": tagged}]}]
    assert read(JsonLines(path=jsonl(*rows), **GIVEN)).rows[0]["messages"][1] == {**SAY, "content": tagged}
    broken = {**SAY, "content": "<tool_call>saa()</tool_call>"}
    source = JsonLines(path=jsonl({"messages": [ASK, broken], "tools": [CLOCK]}), **GIVEN)
    assert read(source).rows[0]["messages"][1] == broken
    assert "a call that cannot be read" in str(source.unused("s").fields)


def test_glaive_is_read_from_its_two_columns(read: Read, jsonl: Write) -> None:
    described = {"name": "saa", "description": "Uhrzeit", "parameters": PARAMETERS}
    rows = [
        {
            "system": "SYSTEM: You are a helpful assistant with access to the following functions. Use them if "
            f"required -\n{json.dumps(described, indent=4)}\n\n{json.dumps(described)}\n",
            "chat": "USER: Saa ngapi Nairobi?\n\n\nASSISTANT: <functioncall> {\"name\": \"saa\", \"arguments\": "
            "'{\"mji\": \"Nairobi\"}'} <|endoftext|>\n\n\nFUNCTION RESPONSE: {\"saa\": \"10\"}\n\n\n"
            "ASSISTANT: Ni saa nne. <|endoftext|>\n",
        },
        {
            "system": "SYSTEM: You are a helpful assistant, with no access to external functions.\n",
            "chat": "USER: Habari?\n\n\nASSISTANT: Nzuri. <|endoftext|>\n\n\nUSER: Asante.\n\n\nASSISTANT: Karibu.",
        },
    ]  # fmt: skip
    source = JsonLines(path=jsonl(*rows), **GIVEN)
    out = read(source)
    assert source.form.name == "Glaive" and not out.bad
    assert out.rows[0]["messages"] == [
        {"role": "user", "content": "Saa ngapi Nairobi?"},
        {"role": "assistant", "content": "", "tool_calls": [call(arguments='{"mji": "Nairobi"}')]},
        {"role": "tool", "content": '{"saa": "10"}'},
        {"role": "assistant", "content": "Ni saa nne."},
    ]
    tool = {"type": "function", "function": described}
    assert json.loads(out.rows[0]["tools"]) == [tool, tool] and "tools" not in out.rows[1]
    assert [turn["content"] for turn in out.rows[1]["messages"]] == [
        "You are a helpful assistant, with no access to external functions.", "Habari?", "Nzuri.", "Asante.", "Karibu."
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("before", "after", "kept"),
    [
        ("You are a helpful assistant with access to the following functions. Use them if required -\n", "", None),
        ("Jibu kwa Kiswahili. You have access to the following functions. Use them if required -\n", "",
         "Jibu kwa Kiswahili."),
        ("You have access to the following functions:\n", "\n\nAnswer in Thai.\n  Never guess.",
         "Answer in Thai.\n  Never guess."),
        ("You are an expert in composing functions. Heute ist Montag. Here is a list of functions in JSON format that "
         "you can invoke:\n", ". \nShould you decide to return the function call(s), \nput it in the format of "
         "[func1(a=1), func2(b=2)]\nNO other text MUST be included.\nTime: 10:00.",
         "Heute ist Montag.\n\nTime: 10:00."),
    ],
)  # fmt: skip
def test_a_system_message_keeps_what_is_not_about_calls(
    read: Read, jsonl: Write, before: str, after: str, kept: str | None
) -> None:
    described = {"name": "saa", "description": "Which tool is it?", "parameters": PARAMETERS}
    row = {"messages": [{"role": "system", "content": f"{before}{json.dumps([described])}{after}"}, ASK, SAY]}
    source = JsonLines(path=jsonl(row), **GIVEN)
    (made,) = read(source).rows
    assert json.loads(made["tools"]) == [{"type": "function", "function": described}]
    assert [turn["content"] for turn in made["messages"] if turn["role"] == "system"] == ([kept] if kept else [])
    assert "system (instructions for tool calls" in str(source.unused("s"))


def test_toolace_calls_are_written_as_in_python(read: Read, jsonl: Write) -> None:
    functions = [{"name": "Market Trends API", "description": "", "parameters": {
        "type": "dict", "properties": {"kind": {"type": "string"}, "n": {"type": "int"}}, "required": ["kind"]},
        "required": None}]  # fmt: skip
    row = {
        "system": "You are an expert in composing functions. Here is a list of functions in JSON format that you can "
        f"invoke:\n{json.dumps(functions)}. \nShould you decide to return the function call(s), put them in the format "
        "[func1(a=1), func2(b=2)]",
        "conversations": [
            {"from": "user", "value": "Masoko?"},
            {
                "from": "assistant",
                "value": '[Market Trends API(kind="MARKET (all), \\"x\\"", n=3), saa(a=[1, {"b": true}])]',
            },
            {"from": "tool", "value": '[{"name": "Market Trends API", "results": {}}]'},
            {"from": "assistant", "value": "Sawa [Anm. (1)]."},
        ],
    }
    out = read(JsonLines(path=jsonl(row), **GIVEN))
    assert out.rows[0]["messages"] == [
        {"role": "user", "content": "Masoko?"},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [
                call("Market Trends API", '{"kind":"MARKET (all), \\"x\\"","n":3}'),
                call("saa", '{"a":[1,{"b":true}]}'),
            ],
        },
        {"role": "tool", "content": '[{"name": "Market Trends API", "results": {}}]'},
        {"role": "assistant", "content": "Sawa [Anm. (1)]."},
    ]
    (tool,) = json.loads(out.rows[0]["tools"])
    assert tool["function"]["parameters"]["type"] == "object" and "required" not in tool["function"]
    assert tool["function"]["parameters"]["properties"]["n"] == {"type": "integer"}


@pytest.mark.parametrize(
    "written",
    ["[f(1)]", "[f(a=b)]", "[f(a=1) oder]", "[f(a=1)", "[f(a=__import__('os'))]", "[f(a=1, a=2)]", "[f(**{'a': 1})]",
     "[" + "(" * 5000 + ")" * 5000 + "]", "[f(a=" + "[" * 3000 + "]" * 3000 + ")]"],
    ids=range(9),
)  # fmt: skip
def test_what_is_no_call_in_python_stays_text(read: Read, jsonl: Write, written: str) -> None:
    row = {"messages": [ASK, {**SAY, "content": written}], "tools": [CLOCK]}
    assert read(JsonLines(path=jsonl(row), **GIVEN)).said()[0][1] == ("assistant", written)


# --------------------------------------------------------------------------------------------------------------- tools
TOOLS: dict[str, Any] = {
    "a list": [CLOCK],
    "one": CLOCK,
    "JSON": json.dumps([CLOCK]),
    "Python": str([CLOCK]),
    "each as JSON": [json.dumps(CLOCK)],
    "without the type": [{"function": CLOCK["function"]}],
    "the function alone": [CLOCK["function"]],
    "Anthropic": [{"name": "saa", "description": "Die Uhrzeit", "input_schema": PARAMETERS}],
    "parameters as JSON": [{"name": "saa", "description": "Die Uhrzeit", "parameters": json.dumps(PARAMETERS)}],
    "types of Python": [{**CLOCK["function"], "parameters": {**PARAMETERS, "type": "dict"}}],  # type: ignore[dict-item]
}


@pytest.mark.parametrize("told", [False, True])
@pytest.mark.parametrize("column", ["tools", "functions"])
@pytest.mark.parametrize("notation", TOOLS)
def test_tools_beside_a_conversation_are_its_tools(
    read: Read, jsonl: Write, notation: str, column: str, told: bool
) -> None:
    path = jsonl(
        {"messages": [ASK, SAY], column: TOOLS[notation]},
        {"messages": [ASK, SAY], column: "[]"},
        {"messages": [ASK, SAY]},
    )
    columns = {"columns": {"messages": "{messages}"}} if told else {}
    out = read(JsonLines(path=path, **columns, **GIVEN))
    assert not out.bad and json.loads(out.rows[0]["tools"]) == [CLOCK]
    assert all("tools" not in row for row in out.rows[1:])
    carried = read(JsonLines(path=path, attributes=[f"{column}?"], **columns, **GIVEN))
    assert all("tools" not in row for row in carried.rows) and "saa" in carried.rows[0]["attributes"][0]["value"]


def test_tools_may_be_mapped_and_names_are_none(read: Read, jsonl: Write) -> None:
    path = jsonl({"prompt": "p", "response": "r", "api": {"list": [CLOCK]}})
    columns = {"prompt": "prompt", "response": "response", "tools": "{api.list}"}
    assert json.loads(read(JsonLines(path=path, columns=columns, **GIVEN)).rows[0]["tools"]) == [CLOCK]
    source = JsonLines(path=jsonl({"prompt": "p", "response": "r", "tools": ["hammer", "saw"]}), **GIVEN)
    assert "tools" not in read(source).rows[0] and source.unused("s").columns == {"tools": 1}
    out = read(JsonLines(path=jsonl({"prompt": "p", "response": "r", "tools": "{not json"}), **GIVEN))
    assert not out.rows and "tools that cannot be read" in out.reasons[0]
    documents = read(
        JsonLines(path=jsonl({"text": "Ein Hammer.", "tools": [CLOCK]}), columns={"text": "text"}, **GIVEN)
    )
    assert len(documents.rows) == 1


# --------------------------------------------------------------------------------------------------------------- media
@pytest.mark.parametrize(
    ("part", "reference"),
    [
        ({"type": "image_url", "image_url": {"url": "https://a.org/b.png", "detail": "low"}}, "https://a.org/b.png"),
        ({"type": "image_url", "image_url": "b.png"}, "b.png"),
        ({"type": "input_image", "image_url": "b.png"}, "b.png"),
        ({"type": "image", "image": "b.png"}, "b.png"),
        ({"type": "image", "url": "b.png"}, "b.png"),
        ({"type": "image", "source": {"type": "url", "url": "u"}}, "u"),
        ({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "R0"}},
         "data:image/png;base64,R0"),
    ],
)  # fmt: skip
def test_an_image_as_a_part_is_a_reference_and_its_place_in_the_text(
    read: Read, jsonl: Write, part: dict[str, Any], reference: str
) -> None:
    message = {"role": "user", "content": [{"type": "text", "text": "Was ist "}, part, {"type": "text", "text": "?"}]}
    out = read(JsonLines(path=jsonl({"messages": [message, SAY]}), **GIVEN))
    assert out.said()[0][0] == ("user", "Was ist <image>?") and out.rows[0]["images"] == [reference]


@pytest.mark.parametrize(("kind", "column"), [("audio", "audios"), ("video", "videos"), ("image", "images")])
def test_media_beside_a_conversation_go_to_their_column(read: Read, jsonl: Write, kind: str, column: str) -> None:
    ask = {"role": "user", "content": f"<{kind}>Was ist das?"}
    part = {"role": "user", "content": [{"type": kind}, {"type": "text", "text": "?"}]}
    rows = [
        {"messages": [ask, SAY], column: ["a", "b"]},
        {"messages": [ask, SAY], column: "a"},
        {"messages": [ask, SAY], column: [{"path": "a", "bytes": None}]},
        {"messages": [ask, SAY], column: []},
        {"messages": [part, SAY], column: ["a"]},
        {"messages": [{**ASK, kind: "a"}, SAY]},
    ]
    out = read(JsonLines(path=jsonl(*rows), **GIVEN))
    assert not out.bad and [row.get(column) for row in out.rows] == [["a", "b"], ["a"], ["a"], None, ["a"], ["a"]]
    assert [turns[0][1][: len(kind) + 2] for turns in out.said()] == [f"<{kind}>"] * 6
    assert len(read(JsonLines(path=jsonl(*rows), attributes=[f"{column}?"], **GIVEN)).rows) == 6
    twice = {"messages": [{**ASK, kind: "a"}, SAY], column: ["b"]}
    assert f"other {column}" in read(JsonLines(path=jsonl(twice), **GIVEN)).reasons[0]


def test_media_of_preferences_come_in_the_order_of_prompt_chosen_rejected(read: Read, jsonl: Write) -> None:
    def with_image(role: str, text: str, image: str) -> dict[str, Any]:
        return {"role": role, "content": [{"type": "image", "image": image}, {"type": "text", "text": text}]}

    prompt = [with_image("user", "p", "1")]
    chosen, rejected = [with_image("assistant", "c", "2")], [with_image("assistant", "r", "3")]
    out = read(JsonLines(path=jsonl({"prompt": prompt, "chosen": chosen, "rejected": rejected}), **GIVEN))
    assert out.rows[0]["images"] == ["1", "2", "3"]
    plain = {"role": "assistant", "content": "r"}
    whole = {"chosen": [*prompt, {"role": "assistant", "content": "c"}], "rejected": [*prompt, plain]}
    assert read(JsonLines(path=jsonl(whole), **GIVEN)).rows[0]["images"] == ["1"]
    other = {**whole, "rejected": [with_image("user", "p", "9"), plain]}
    assert "other images" in read(JsonLines(path=jsonl(other), **GIVEN)).reasons[0]


def test_two_prompts_with_other_calls_are_no_common_beginning(read: Read, jsonl: Write) -> None:
    one, other = [{**CALLS, "tool_calls": [call("saa", a)]} for a in ("{}", '{"a":1}')]
    row = {"chosen": [ASK, one, RESULT, SAY], "rejected": [ASK, other, RESULT, SAY]}
    out = read(JsonLines(path=jsonl(row), **GIVEN))
    assert out.rows[0]["prompt"] == [ASK]
    assert out.rows[0]["chosen"] == [one, RESULT, SAY] and out.rows[0]["rejected"] == [other, RESULT, SAY]
