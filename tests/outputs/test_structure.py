"""Conversations with calls, tools, reasoning, weights and media, from the file through a build and an export to what
the trainer's reader sees, call for call; what it cannot hold is left out with a reason."""

from __future__ import annotations

import gzip
import json
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import yaml
from structure_bench import BROKEN, IMAGES, PAIRS, PRICE, QWEN, ROWS, bot, call, chat, result, said, user
from version_bench import HOSTILE, data_of

from curate.rows import Kind, narrow
from outputs.formats import structure
from outputs.formats.llama_factory import BETWEEN_RESULTS
from outputs.publishing.publish import publish

SHARED = Path(__file__).parents[2].parent / "shared" / "data" / "sft"
_number = count()
ARGUMENTS = {structure.ARGUMENTS: 2}
IDS = "1 rows are without their ids of calls"


def loaded(found: Any, inner: str = "", split: str = "train") -> dict[str, dict[str, Any]]:
    """Name → row, as ``datasets`` reads the export's folder."""
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    cache = found.folder.parent / f"cache-{next(_number)}"
    rows = list(datasets.load_dataset(str(found.folder / inner), split=split, cache_dir=str(cache)))
    return {row["meta"]["group_id"].removeprefix("told:"): row for row in rows}


def objects(turns: Any, *without: str) -> list[dict[str, Any]]:
    """Messages as in the file, with arguments as objects."""
    made = []
    for turn in turns:
        kept = {name: value for name, value in turn.items() if name not in without}
        if "tool_calls" in kept:
            kept["tool_calls"] = [
                {**one, "function": {**one["function"], "arguments": json.loads(one["function"]["arguments"])}}
                for one in kept["tool_calls"]
            ]
        made.append(kept)
    return made


def rendered(messages: Any, tools: Any = None) -> str:
    """What a trainer's tokeniser writes, with the template as transformers sets it up."""
    sandbox = pytest.importorskip("jinja2.sandbox")
    environment = sandbox.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)
    return str(environment.from_string(QWEN).render(messages=messages, tools=tools))


def bare(value: Any) -> Any:
    """Without what is null, as Axolotl's ``remove_none_values``."""
    if isinstance(value, dict):
        return {name: bare(one) for name, one in value.items() if one is not None}
    return [bare(one) for one in value] if isinstance(value, list) else value


# ------------------------------------------------------------------------------------------------------------------ TRL
@pytest.mark.parametrize("params", [{}, {"format": "jsonl", "rows_per_file": 2}, {"format": "json"}])
@pytest.mark.parametrize("inner", ["", "data"])
def test_trl_reads_each_message_with_its_own_keys(built, written, params, inner):
    found = written(built(ROWS, BROKEN), "trl", meta=["group_id"], **params)
    read = loaded(found, inner)
    assert set(read) == set(ROWS) - {"weight"}
    for name, row in read.items():
        assert row["messages"] == objects(ROWS[name]["messages"]), name
        tools = json.loads(row["tools"]) if row["tools"] else None
        assert tools == ROWS[name].get("tools")
        assert rendered(row["messages"], tools) == chat(ROWS[name]["messages"], ROWS[name].get("tools"))
    assert found.written.skipped == {**ARGUMENTS, structure.LEFT_OUT["weight"]: 1}
    assert any("datasets 4.7" in note for note in found.written.notes)


def test_trl_files_say_themselves_what_is_an_object(built, written):
    """Without the README, and without the metadata that ``datasets`` writes."""
    datasets = pytest.importorskip("datasets")
    found = written(built(ROWS), "trl", meta=["group_id"])
    rows = datasets.load_dataset(
        "parquet", data_files=str(found.folder / "data" / "train.parquet"), split="train", cache_dir=str(found.folder)
    )
    assert rows.features["messages"] == datasets.List(datasets.Json())
    again = found.folder / "again.parquet"
    rows.to_parquet(str(again))
    twice = datasets.load_dataset("parquet", data_files=str(again), split="train", cache_dir=str(found.folder))
    for row, one in zip(rows, twice, strict=True):
        assert row == one and row["messages"] == objects(ROWS[row["meta"]["group_id"][5:]]["messages"])


def test_trl_takes_a_weight_where_it_trains_on_the_last_answer_alone(built, written):
    only = {name: ROWS[name] for name in ("plain", "weight")}
    version = built(only)
    assert version.extras == ("weight",)
    found = written(version, "trl", messages="prompt_completion", meta=["group_id"])
    for name, row in loaded(found).items():
        assert row["prompt"] + row["completion"] == objects(ROWS[name]["messages"], "weight")
    # Nothing but role and content is needed, so messages stay of that type.
    assert found.written.skipped == {} and found.written.notes == []
    whole = written(version, "trl")
    assert whole.written.skipped == {structure.LEFT_OUT["weight"]: 1} and whole.rows == 1


@pytest.mark.parametrize("prompt", ["explicit", "implicit"])
def test_trl_prefers_a_call_to_an_answer(built, written, prompt):
    found = written(built(PAIRS, kind=Kind.PREFERENCE), "trl", meta=["group_id"], prompt=prompt)
    read = loaded(found)
    assert set(read) == set(PAIRS) and found.written.skipped == {}
    for name, row in read.items():
        given = PAIRS[name]
        head = objects(given["prompt"], "weight")
        begin = [] if prompt == "explicit" else head
        assert row.get("prompt", head) == head
        assert [row[side] for side in ("chosen", "rejected")] == [
            begin + objects(given[side]) for side in ("chosen", "rejected")
        ]
        assert (json.loads(row["tools"]) if row["tools"] else None) == given.get("tools")


def test_trl_reads_no_tools_beside_prompts(built, written):
    prompts = {name: {key: PAIRS[name][key] for key in ("language", "prompt", "tools") if key in PAIRS[name]}
               for name in ("after", "plain", "weight")}  # fmt: skip
    found = written(built(prompts, kind=Kind.PROMPT), "trl", meta=["group_id"])
    assert found.written.skipped == {structure.LEFT_OUT["tools"]: 1}
    assert {name: row["prompt"] for name, row in loaded(found).items()} == {
        name: objects(PAIRS[name]["prompt"], "weight") for name in ("plain", "weight")
    }


@pytest.mark.parametrize(
    ("value", "exact"),
    [(24.5, True), (1e22, True), (2**64 - 1, True), (-(2**63), True), (0.12345678901234, False), (2**64, False),
     (1e-11, False), (True, True)],
)  # fmt: skip
def test_a_number_that_datasets_changes_is_left_out(built, written, value, exact):
    odd = {"language": "sw", "tools": [PRICE], "messages": [user("Ngapi?"), bot("", call("soko_bei", {"x": [value]}))]}
    found = written(built({"odd": odd, "call": ROWS["call"]}), "trl", meta=["group_id"])
    assert found.written.skipped == ({} if exact else {structure.INEXACT: 1})
    if exact:
        assert loaded(found)["odd"]["messages"] == objects(odd["messages"])
    # Others read the text.
    for output in ("axolotl", "llama-factory", "openai", "verl"):
        assert written(built({"odd": odd}), output).written.skipped == {}


@pytest.mark.parametrize(
    "arguments", ['{"a": 1, "a": 2}', '{"a": NaN}', '{"a": 1e999}', '{"a": "\\ud83d"}', "null", ""]
)
def test_arguments_of_doubtful_value_are_left_out(arguments):
    with pytest.raises(structure.UnsupportedRow, match="not a JSON object"):
        structure.arguments_of({"function": {"name": "f", "arguments": arguments}})


def test_texts_of_all_kinds_come_back_beside_calls(built, written):
    rows = {
        str(place): {
            "language": "sw",
            "tools": [PRICE],
            "messages": [user(f"{place} {text}"), bot("", call("soko_bei", {"x": text, text: [text]})), result(text)],
        }
        for place, text in enumerate(text for text in HOSTILE if "\x00" not in text)
    }
    version = built(rows)
    stored = [
        objects(bare(row["messages"])) for part in version.rows("train") for row in part.table.to_pylist()
    ]  # the source trims messages
    for params in ({}, {"format": "jsonl"}):
        read = loaded(written(version, "trl", meta=["group_id"], **params))
        for place, row in read.items():
            assert row["messages"][1] == objects(rows[place]["messages"])[1]
            assert [turn["content"] for turn in row["messages"]] == [turn["content"] for turn in stored[int(place)]]


def test_trl_is_told_where_images_are(built, written):
    found = written(built(IMAGES), "trl", meta=["group_id"])
    read = loaded(found)
    assert found.written.skipped == {structure.COUNT: 1}
    assert read["picture"]["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "ما الفرق بين "}, {"type": "image"},
                                     {"type": "text", "text": " و"}, {"type": "image"}, {"type": "text", "text": "؟"}]},
        {"role": "assistant", "content": [{"type": "text", "text": "اللون."}]},
    ]  # fmt: skip
    assert read["picture"]["images"] == IMAGES["picture"]["images"]
    assert read["no picture"]["images"] == [] and read["no picture"]["messages"] == IMAGES["no picture"]["messages"]


# --------------------------------------------------------------------------------------------------------------- OpenAI
def test_openai_gets_ids_weights_and_tools(built, written):
    found = written(built(ROWS, BROKEN), "openai", meta=["group_id"], meta_in="column")
    lines = {row.pop("meta")["group_id"].removeprefix("told:"): row for row in data_of(found)}
    assert set(lines) == {*ROWS, *BROKEN}  # its arguments are texts
    ids = {"call": ["call_1"], "last call": ["call_1"], "parallel": ["call_1", "call_2"], "thoughts": ["call_1"],
           "two calls": ["a1", "a2"], "beside": ["b1"], "no JSON": ["call_1"], "no object": ["call_1"]}  # fmt: skip
    for name, line in lines.items():
        given = {**ROWS, **BROKEN}[name]
        assert line.get("tools") == given.get("tools") and set(line) <= {"messages", "tools"}
        calls = iter(ids.get(name, []))
        answered = iter(ids.get(name, []))
        expected = []
        for turn in given["messages"]:
            one = {key: value for key, value in turn.items() if key not in ("reasoning_content", "tool_call_id")}
            if "tool_calls" in one:
                one["tool_calls"] = [{**each, "id": next(calls)} for each in one["tool_calls"]]
                if not one["content"]:
                    del one["content"]
            if turn["role"] == "tool":
                one["tool_call_id"] = next(answered)
                one.pop("name", None)
            expected.append(one)
        assert line["messages"] == expected, name
    assert found.written.skipped == {}
    assert any(note.startswith("2 rows are without their reasoning") for note in found.written.notes)
    assert any(note.startswith("1 rows are without names") for note in found.written.notes)


def test_each_line_with_calls_is_what_openais_types_describe(built, written):
    chat = pytest.importorskip("openai.types.chat")
    from pydantic import TypeAdapter

    messages = TypeAdapter(list[chat.ChatCompletionMessageParam])
    tools = TypeAdapter(list[chat.ChatCompletionToolParam])
    for line in data_of(written(built(ROWS, {"picture": IMAGES["picture"]}), "openai")):
        plain = [{name: value for name, value in turn.items() if name != "weight"} for turn in line["messages"]]
        read = json.loads(json.dumps(messages.validate_python(plain), default=list))
        assert read == plain
        assert line.get("tools") is None or tools.validate_python(line["tools"]) == line["tools"]


def test_openais_made_ids_are_not_those_of_other_calls(built, written):
    turns = [
        user("a"),
        bot("", call("f", {}), call("f", {}, "call_1"), call("f", {})),
        result("b"),
        result("c"),
        result("d"),
    ]
    [line] = data_of(written(built({"mixed": {"language": "sw", "messages": [*turns, bot("e")]}}), "openai"))
    assert [one["id"] for one in line["messages"][1]["tool_calls"]] == ["call_2", "call_1", "call_3"]
    assert [turn["tool_call_id"] for turn in line["messages"][2:5]] == ["call_2", "call_1", "call_3"]


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ([user("a"), bot("", call("f", {})), bot("b")], "a call without its result before the next message"),
        ([user("a"), bot("b"), result("c"), bot("d")], "a tool message, which the reader has no place for"),
        ([user("a"), bot("", call("f", {}, "x")), result("c", tool_call_id="y"), bot("d")],
         "a tool message, which the reader has no place for"),
        ([user("a"), bot("", call("bei ya soko", {}))],
         "the name of a function that OpenAI does not take (letters, digits, _ and -)"),
        ([user("a"), bot("", call("f", {}, "x"), call("f", {}, "x"))], "two calls of one id"),
        ([user("a"), bot("b", weight=0)], "all answers have weight 0"),
    ],
)  # fmt: skip
def test_what_openai_would_reject_is_left_out(built, written, messages, reason):
    found = written(built({"odd": {"language": "sw", "messages": messages}, "call": ROWS["call"]}), "openai")
    assert found.written.skipped == {reason: 1} and found.rows == 1


def test_openai_takes_images_that_are_urls(built, written):
    found = written(built(IMAGES), "openai", meta=["group_id"], meta_in="column")
    lines = {row["meta"]["group_id"].removeprefix("told:"): row["messages"] for row in data_of(found)}
    one, two = ({"type": "image_url", "image_url": {"url": url}} for url in IMAGES["picture"]["images"])
    text = [{"type": "text", "text": text} for text in ("ما الفرق بين ", " و", "؟")]
    assert lines["picture"][0] == {"role": "user", "content": [text[0], one, text[1], two, text[2]]}
    assert set(lines) == {"picture", "no picture"}
    assert found.written.skipped == {
        "an image that is neither a URL nor a data URL": 1,
        structure.COUNT: 1,
    }


def test_openai_prefers_with_tools(built, written):
    found = written(built(PAIRS, kind=Kind.PREFERENCE), "openai", meta=["group_id"], meta_in="column")
    lines = {row["meta"]["group_id"].removeprefix("told:"): row for row in data_of(found)}
    assert set(lines) == set(PAIRS)
    asked = lines["calls"]
    assert asked["input"] == {"messages": PAIRS["calls"]["prompt"], "tools": PAIRS["calls"]["tools"]}
    one = PAIRS["calls"]["chosen"][0]["tool_calls"][0]
    assert asked["preferred_output"] == [{"role": "assistant", "tool_calls": [{"id": "call_1", **one}]}]
    assert lines["after"]["input"]["messages"][2]["tool_call_id"] == "call_1"
    assert lines["weight"]["input"]["messages"] == objects(PAIRS["weight"]["prompt"], "weight")


# --------------------------------------------------------------------------------------------- ShareGPT, LLaMA-Factory
def from_sayings(sayings: Any) -> list[dict[str, Any]]:
    """ShareGPT's turns as messages, read as LLaMA-Factory's formatter does."""
    roles = {
        "system": "system",
        "human": "user",
        "gpt": "assistant",
        "observation": "tool",
        "function_call": "assistant",
    }
    made = []
    for one in sayings:
        turn: dict[str, Any] = {"role": roles[one["from"]], "content": one["value"]}
        head, mark, rest = turn["content"].partition("\n</think>\n\n")
        if mark:
            turn |= {"reasoning_content": head.removeprefix("<think>\n"), "content": rest}
        if one["from"] == "function_call":
            text, mark, rest = turn["content"].rpartition("\n<tool_call>\n")
            calls = json.loads(rest.removesuffix("\n</tool_call>") if mark else turn["content"])
            turn["content"] = text
            turn["tool_calls"] = [
                {"type": "function", "function": one} for one in (calls if isinstance(calls, list) else [calls])
            ]
        if turn["role"] == "tool":
            made += [{**turn, "content": text} for text in turn["content"].split(BETWEEN_RESULTS)]
        else:
            made.append(turn)
    return made


def nameless(turns: Any) -> list[dict[str, Any]]:
    made = objects(turns, "name", "tool_call_id")
    for turn in made:
        if "tool_calls" in turn:
            turn["tool_calls"] = [{"type": "function", "function": one["function"]} for one in turn["tool_calls"]]
    return made


@pytest.mark.parametrize(
    ("output", "params"),
    [
        ("llama-factory", {}),
        ("llama-factory", {"format": "jsonl"}),
        ("sharegpt", {}),
        ("sharegpt", {"format": "parquet"}),
    ],
)
def test_sharegpt_holds_calls_as_turns(built, written, output, params):
    found = written(built(ROWS, BROKEN), output, meta=["group_id"], **params)
    read = loaded(found)
    beside = {"beside", "two calls"} if output == "sharegpt" else set()
    assert set(read) == set(ROWS) - {"weight"} - beside
    for name, row in read.items():
        assert from_sayings(row["conversations"]) == nameless(ROWS[name]["messages"]), name
        tools = [one["function"] for one in ROWS[name].get("tools", ())]
        assert (json.loads(row["tools"]) if row["tools"] else []) == tools
    assert found.written.skipped == {
        **ARGUMENTS,
        structure.LEFT_OUT["weight"]: 1,
        **({structure.BESIDE: 1, structure.RESULTS: 1} if beside else {}),
    }
    assert bool(beside) != any("1 rows have several results in a row" in note for note in found.written.notes)
    assert any(note.startswith(f"{1 if beside else 2} rows are without their names") for note in found.written.notes)
    assert beside or any("2" + IDS[1:] in note for note in found.written.notes)


def test_llama_factory_joins_results_unless_a_result_has_its_mark(built, written):
    talk = [
        user("Na mvua?"),
        bot("", call("weather", {}), call("weather", {})),
        result("x</tool_response>"),
        result("y"),
    ]
    rows = {"marked": {**ROWS["two calls"], "messages": [*talk, bot("Sawa.")]}, "two calls": ROWS["two calls"]}
    found = written(built(rows), "llama-factory", meta=["group_id"])
    assert found.written.skipped == {structure.MARKS: 1}
    [_, _, results, _] = loaded(found)["two calls"]["conversations"]
    assert results == {"from": "observation", "value": "18:40\n</tool_response>\n<tool_response>\nฝนตก"}


def test_llama_factory_is_told_of_tools_and_media(built, written):
    found = written(built(ROWS, IMAGES), "llama-factory", meta=["group_id"])
    [entry] = json.loads((found.folder / "dataset_info.json").read_text()).values()
    assert entry["columns"] == {"messages": "conversations", "tools": "tools", "images": "images"}
    read = loaded(found)
    assert (
        read["file"]["images"] == ["pictures/b.png"] and read["file"]["conversations"][0]["value"] == "<image>นี่คืออะไร"
    )
    assert read["no picture"]["images"] is None and "no place" not in read
    assert any("relative to this folder" in note for note in found.written.notes)
    assert not any("expects media" in note for note in found.written.notes)


def test_marks_inside_a_call_are_left_out(built, written):
    rows = {
        name: {"language": "sw", "tools": [PRICE], "messages": [user(f"{name}?"), turn]}
        for name, turn in {
            "arguments": bot("", call("soko_bei", {"x": "<tool_call>{}</tool_call>"})),
            "thoughts": bot("Ndiyo.", reasoning_content="a</think>b"),
            "fine": bot("", call("soko_bei", {"x": "<b>"}), reasoning_content="Moja, mbili."),
        }.items()
    }
    found = written(built(rows), "llama-factory", meta=["group_id"])
    assert found.written.skipped == {structure.MARKS: 2}
    assert from_sayings(loaded(found)["fine"]["conversations"]) == nameless(rows["fine"]["messages"])


def test_llama_factory_prefers_and_labels_calls(built, written):
    found = written(built(PAIRS, kind=Kind.PREFERENCE), "llama-factory", meta=["group_id"])
    read = loaded(found)
    assert set(read) == set(PAIRS)
    for name, row in read.items():
        given = PAIRS[name]
        assert from_sayings(row["conversations"]) == [
            {key: value for key, value in turn.items() if key != "weight"} for turn in nameless(given["prompt"])
        ]
        assert [from_sayings([row[side]]) for side in ("chosen", "rejected")] == [
            nameless(given[side]) for side in ("chosen", "rejected")
        ]
    rows = {name: {**{key: row[key] for key in ("language", "prompt", "tools") if key in row},
                   "completion": row["chosen"], "label": True} for name, row in PAIRS.items()}  # fmt: skip
    labelled = loaded(written(built(rows, kind=Kind.UNPAIRED), "llama-factory", meta=["group_id"]))
    assert labelled["calls"]["kto_tag"] is True
    assert from_sayings(labelled["calls"]["conversations"]) == nameless(
        PAIRS["calls"]["prompt"] + PAIRS["calls"]["chosen"]
    )


# -------------------------------------------------------------------------------------------------------- Axolotl, verl
@pytest.mark.parametrize("format", ["parquet", "jsonl"])
def test_axolotl_gets_calls_and_a_flag_of_training(built, written, format):
    found = written(built(ROWS, BROKEN), "axolotl", meta=["group_id"], format=format)
    read = loaded(found)
    assert set(read) == set(ROWS) and found.written.skipped == ARGUMENTS
    for name, row in read.items():
        turns = objects(bare(row["messages"]))
        flags = [turn.pop("train", True) for turn in turns]
        assert turns == objects(ROWS[name]["messages"], "weight"), name
        assert flags == [turn.get("weight") != 0 for turn in ROWS[name]["messages"]]
        tools = json.loads(row["tools"]) if row["tools"] else None
        assert rendered(turns, tools) == chat(ROWS[name]["messages"], ROWS[name].get("tools"))
    [entry] = yaml.safe_load((found.folder / "axolotl.yaml").read_text())["datasets"]
    assert entry["message_field_training"] == "train"


def test_axolotls_preferences_are_texts_alone(built, written):
    found = written(built(PAIRS, kind=Kind.PREFERENCE), "axolotl", meta=["group_id"])
    assert set(loaded(found)) == {"plain", "weight"}
    assert found.written.skipped == {
        structure.LEFT_OUT["tool_calls"]: 2,
        structure.LEFT_OUT["reasoning"]: 1,
    }


def test_verl_reads_conversations_that_are_json(built, written):
    pandas = pytest.importorskip("pandas")
    found = written(built(ROWS, BROKEN), "verl", meta=["group_id"])
    rows = pandas.read_parquet(found.folder / "data" / "train.parquet", dtype_backend="pyarrow")
    read = {meta["group_id"].removeprefix("told:"): (json.loads(messages), tools)
            for meta, messages, tools in zip(rows["meta"], rows["messages"], rows["tools"], strict=True)}  # fmt: skip
    assert set(read) == set(ROWS) and found.written.skipped == ARGUMENTS
    for name, (messages, tools) in read.items():
        assert messages == objects(ROWS[name]["messages"]), name
        assert (json.loads(tools) if isinstance(tools, str) else None) == ROWS[name].get("tools")
    data = yaml.safe_load((found.folder / "verl.yaml").read_text())["data"]
    assert data["custom_cls"] == {"path": "json_rows.py", "name": "JsonRows"}
    compile((found.folder / "json_rows.py").read_text(), "json_rows.py", "exec")
    assert "json_rows.py" in found.written.files


def test_verls_rl_has_no_place_for_calls(built, written):
    found = written(built(ROWS), "verl", task="rl", ground_truth="response", meta=["group_id"])
    assert set(loaded(found)) == {"plain", "reasoning", "weight", "name"}
    assert set(found.written.skipped) == {structure.LEFT_OUT["tool_calls"]}


@pytest.mark.parametrize("task", ["sft", "rl"])
def test_verl_gets_images_and_videos_for_their_places(built, written, task):
    film = {"language": "hi", "videos": ["a.mp4"], "messages": [user("<video>क्या है?"), bot("एक फ़िल्म।")]}
    loose = {"language": "sw", "messages": [user("<image> ni nini?"), bot("Alama.")]}
    sound = {"language": "sw", "audios": ["a.wav"], "messages": [user("<audio>"), bot("Wimbo.")]}
    more = {"ground_truth": "response"} if task == "rl" else {}
    version = built({**IMAGES, "film": film, "loose": loose, "sound": sound})
    found = written(version, "verl", task=task, meta=["group_id"], **more)
    read = loaded(found)
    assert found.written.skipped == {structure.COUNT: 2, structure.LEFT_OUT["audios"]: 1}
    assert {name: (row["images"], row["videos"]) for name, row in read.items()} == {
        "picture": ([{"image": one} for one in IMAGES["picture"]["images"]], []),
        "file": ([{"image": "pictures/b.png"}], []),
        "no picture": ([], []),
        "film": ([], [{"video": "a.mp4"}]),
    }
    column = "messages" if task == "sft" else "prompt"
    assert read["picture"][column][0]["content"] == IMAGES["picture"]["messages"][0]["content"]
    assert any(note.startswith("images and videos are paths") for note in found.written.notes)


@pytest.mark.parametrize("format", ["parquet", "jsonl"])
def test_axolotl_gets_media_as_parts_of_messages_if_asked(built, written, format):
    sound = {"language": "sw", "audios": ["a.wav"], "messages": [user("Sikia: <audio>"), bot("Wimbo.")]}
    version = built({**IMAGES, "sound": sound, "call": ROWS["call"], "weight": ROWS["weight"]})
    found = written(version, "axolotl", task="multimodal", meta=["group_id"], format=format)
    read = {name: objects(bare(row["messages"])) for name, row in loaded(found).items()}
    assert found.written.skipped == {
        structure.COUNT: 1,
        structure.LEFT_OUT["tool_calls"]: 1,
        structure.LEFT_OUT["weight"]: 1,
    }
    assert read["picture"][0]["content"] == [
        {"type": "text", "text": "ما الفرق بين "},
        {"type": "image", "url": "https://example.org/a.png"},
        {"type": "text", "text": " و"},
        {"type": "image", "url": "data:image/png;base64,iVBORw0="},
        {"type": "text", "text": "؟"},
    ]
    assert read["file"] == [
        {"role": "user", "content": [{"type": "image", "path": "pictures/b.png"}, {"type": "text", "text": "นี่คืออะไร"}]},
        {"role": "assistant", "content": [{"type": "text", "text": "แมว"}]},
    ]
    assert read["sound"][0]["content"] == [{"type": "text", "text": "Sikia: "}, {"type": "audio", "path": "a.wav"}]
    assert read["no picture"][1]["content"] == [{"type": "text", "text": "Dodoma."}]
    config = yaml.safe_load((found.folder / "axolotl.yaml").read_text())
    assert config["processor_type"] == "AutoProcessor" and config["skip_prepare_dataset"] is True
    plain = written(version, "axolotl")
    assert plain.written.skipped == {structure.LEFT_OUT["images"]: 3, structure.LEFT_OUT["audios"]: 1}


@pytest.mark.parametrize(("output", "kind"), [("verl", Kind.PREFERENCE), ("axolotl", Kind.UNPAIRED)])
def test_text_with_calls_is_what_the_template_writes(built, written, tmp_path, output, kind):
    (tmp_path / "qwen.jinja").write_text(QWEN, encoding="utf-8")
    rows = PAIRS
    if kind is Kind.UNPAIRED:
        rows = {name: {**{key: row[key] for key in ("language", "prompt", "tools") if key in row},
                       "completion": row["chosen"], "label": True} for name, row in PAIRS.items()}  # fmt: skip
    version = built(rows, kind=kind)
    found = written(version, output, template_file=str(tmp_path / "qwen.jinja"), meta=["group_id"])
    read = loaded(found)
    assert set(read) == set(PAIRS)
    for name, row in read.items():
        assert row["prompt"] == chat(PAIRS[name]["prompt"], PAIRS[name].get("tools"), answer=True)
        assert row["chosen" if kind is Kind.PREFERENCE else "completion"] == said(PAIRS[name]["chosen"][0]).rstrip("\n")
    plain = written(version, output)
    assert plain.rows == 2 and set(plain.written.skipped) == {
        f"{structure.LEFT_OUT[part]} (the chat template chatml)" for part in ("tool_calls", "reasoning")
    }


# ------------------------------------------------------------------------------------------------- what holds text only
@pytest.mark.parametrize("output", ["torchtune", "alpaca"])
def test_readers_of_text_get_the_rows_that_are_text(built, written, output):
    found = written(built(ROWS, BROKEN, IMAGES), output, meta=["group_id"])
    assert set(loaded(found)) == {"plain", "name", "no picture"}
    assert found.written.skipped == {
        structure.LEFT_OUT["tool_calls"]: 8,
        structure.LEFT_OUT["reasoning"]: 1,
        structure.LEFT_OUT["weight"]: 1,
        structure.LEFT_OUT["images"]: 3,
    }
    assert any(note.startswith("1 rows are without their names") for note in found.written.notes)
    for reason in found.written.skipped:
        assert reason in (found.folder / "README.md").read_text()


def test_torchtune_trains_on_answers_within_the_prompt_too(built, written):
    found = written(built(PAIRS, kind=Kind.PREFERENCE), "torchtune", meta=["group_id"])
    assert set(loaded(found)) == {"plain"}
    assert found.written.skipped[structure.LEFT_OUT["weight"]] == 1


# -------------------------------------------------------------------------------------------------- Parquet, publishing
def test_parquet_has_what_the_version_has(built, written):
    version = built(ROWS, BROKEN, IMAGES)
    stored = [row for rows in version.rows("train") for row in narrow(rows.table, version.extras).to_pylist()]
    assert data_of(written(version, "parquet")) == stored
    payload = data_of(written(version, "parquet", layout="payload", meta=["id"]))
    assert payload == [
        {**{name: row[name] for name in ("messages", "tools", "images")}, "meta": {"id": row["id"]}} for row in stored
    ]


def test_a_published_version_with_tools_is_what_the_store_has(built, tmp_path):
    datasets = pytest.importorskip("datasets")
    from curate.engine.store.store import Store

    version = built(ROWS, IMAGES)
    publish(Store(version.folder.parents[2]), "talk", str(tmp_path / "out"))
    stored = {
        row["id"]: row for rows in version.rows("train") for row in narrow(rows.table, version.extras).to_pylist()
    }
    for config in ("default", "th"):
        read = datasets.load_dataset(str(tmp_path / "out"), config, split="train", cache_dir=str(tmp_path / "cache"))
        assert {row["id"]: row for row in read} == {
            name: row for name, row in stored.items() if config in ("default", row["language"])
        }
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    for part in ("tools", "images", "tool_calls", "tool_call_id", "reasoning", "weight"):
        assert f"`{part}`" in card
    assert "`audios`" not in card


# --------------------------------------------------------------------------------------------------------------- others
def test_system_messages_are_merged_beside_calls(built, written):
    version = built({"call": ROWS["call"]})
    [row] = data_of(written(version, "axolotl", system="merge"))
    turns = bare(row["messages"])
    system, question, *rest = ROWS["call"]["messages"]
    assert turns[0] == {"role": "user", "content": f"{system['content']}\n\n{question['content']}"}
    assert turns[1:] == rest


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.is_dir(), reason="no development data beside the checkout")
@pytest.mark.parametrize("language", ["en", "zh"])
def test_real_calls_reach_each_reader(built, written, language):
    given = json.loads(gzip.decompress((SHARED / f"glaive_toolcall_{language}_demo.json.gz").read_bytes()))
    rows = {str(place): {**row, "language": language} for place, row in enumerate(given)}
    version = built(rows)
    reads = {
        "trl": lambda row: row["messages"],
        "axolotl": lambda row: objects(bare(row["messages"])),
        "llama-factory": lambda row: from_sayings(row["conversations"]),
    }
    for output, messages in reads.items():
        found = written(version, output, meta=["group_id"])
        read = loaded(found)
        assert len(read) == 300 - found.skipped >= 290, found.written.skipped
        for name, row in read.items():
            tools = json.loads(row["tools"]) if row["tools"] else []
            assert [one.get("function", one) for one in tools] == json.loads(rows[name]["tools"] or "[]")
            for turn, message in zip(rows[name]["conversations"], messages(row), strict=True):
                if turn["from"] == "function_call":
                    assert [one["function"] for one in message["tool_calls"]] == [json.loads(turn["value"])]
                else:
                    assert message["content"] == turn["value"].strip()
