"""What each output writes: golden content in five scripts, one column besides the payload, every refused row with its
reason."""

from __future__ import annotations

import json

import pyarrow.parquet as pq
import pytest
import yaml
from version_bench import ASKED, data_of, preference_rows, sft_rows, turns, unpaired_rows

from curate.errors import ExportError
from curate.rows import Kind, narrow
from curate.steps import Registry

OUTPUTS = ("parquet", "trl", "llama-factory", "axolotl", "verl", "torchtune", "openai", "sharegpt", "alpaca")
META = ["id", "language", "source", "source_id", "license", "version"]
SAID = {"user": "human", "assistant": "gpt", "system": "system"}
DOCUMENTS = [{"language": tag, "text": one[2]} for tag, one in ASKED.items()]
PROMPTS = [{"language": row["language"], "prompt": row["prompt"]} for row in preference_rows()]
ROWS = {
    Kind.SFT: sft_rows(),
    Kind.PREFERENCE: preference_rows(),
    Kind.UNPAIRED: unpaired_rows(),
    Kind.DOCUMENT: DOCUMENTS,
    Kind.PROMPT: PROMPTS,
    Kind.PARALLEL: [{"language": "sw", "source_language": "en", "source": "water", "target": "maji"}],
}


def test_these_outputs_are_installed():
    assert set(OUTPUTS) <= set(Registry.installed().names("output"))


# --------------------------------------------------------------------------------------------------------------- golden
@pytest.mark.parametrize("language", ASKED)
def test_sft_in_each_form(version, written, language):
    system, question, answer, _ = ASKED[language]
    made = version(Kind.SFT, train=[row for row in sft_rows() if row["language"] == language])
    messages = turns(f"system: {system}", f"user: {question}", f"assistant: {answer}")
    said = [{"from": SAID[turn["role"]], "value": turn["content"]} for turn in messages]
    expected = {
        "trl": {"messages": messages},
        "verl": {"messages": messages},
        "axolotl": {"messages": messages},
        "torchtune": {"messages": messages},
        "openai": {"messages": messages},
        "llama-factory": {"conversations": said},
        "sharegpt": {"conversations": said},
        "alpaca": {"instruction": question, "input": "", "output": answer, "system": system, "history": []},
    }
    for output, payload in expected.items():
        found = written(made, output)
        [row] = data_of(found)
        row.pop("meta", None)
        assert row == payload, output
        assert found.written.skipped == {} and found.written.rows == {"train": 1}


@pytest.mark.parametrize("language", ASKED)
def test_preferences_in_each_form(version, written, language):
    system, question, answer, poor = ASKED[language]
    made = version(Kind.PREFERENCE, train=[row for row in preference_rows() if row["language"] == language])
    prompt = turns(f"system: {system}", f"user: {question}")
    chosen, rejected = turns(f"assistant: {answer}"), turns(f"assistant: {poor}")
    said = [{"from": SAID[turn["role"]], "value": turn["content"]} for turn in prompt]
    ranked = {
        "conversations": said,
        "chosen": {"from": "gpt", "value": answer},
        "rejected": {"from": "gpt", "value": poor},
    }
    head = f"<|im_start|>system\n{system}<|im_end|>\n<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"
    cases = [
        ("trl", {}, {"prompt": prompt, "chosen": chosen, "rejected": rejected}),
        ("trl", {"prompt": "implicit"}, {"chosen": prompt + chosen, "rejected": prompt + rejected}),
        ("axolotl", {}, {"prompt": prompt, "chosen": chosen, "rejected": rejected}),
        ("axolotl", {"task": "reward"}, {"system": system, "input": question, "chosen": answer, "rejected": poor}),
        ("torchtune", {}, {"chosen": prompt + chosen, "rejected": prompt + rejected}),
        ("llama-factory", {}, ranked),
        ("sharegpt", {}, ranked),
        ("verl", {}, {"prompt": head, "chosen": f"{answer}<|im_end|>", "rejected": f"{poor}<|im_end|>"}),
        ("openai", {}, {"input": {"messages": prompt}, "preferred_output": chosen, "non_preferred_output": rejected}),
        (
            "alpaca",
            {},
            {"instruction": question, "input": "", "chosen": answer, "rejected": poor, "system": system, "history": []},
        ),
    ]
    for output, params, payload in cases:
        found = written(made, output, **params)
        [row] = data_of(found)
        row.pop("meta", None)
        assert row == payload, (output, params)
        assert found.written.skipped == {}


@pytest.mark.parametrize("language", ASKED)
def test_kto_in_each_form(version, written, language):
    system, question, answer, poor = ASKED[language]
    made = version(Kind.UNPAIRED, train=[row for row in unpaired_rows() if row["language"] == language])
    prompt = turns(f"system: {system}", f"user: {question}")
    said = [{"from": SAID[turn["role"]], "value": turn["content"]} for turn in prompt]
    head = f"<|im_start|>system\n{system}<|im_end|>\n<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"
    expected = {
        "trl": [
            {"prompt": prompt, "completion": turns(f"assistant: {text}"), "label": good}
            for text, good in ((answer, True), (poor, False))
        ],
        "llama-factory": [
            {"conversations": [*said, {"from": "gpt", "value": text}], "kto_tag": good}
            for text, good in ((answer, True), (poor, False))
        ],
        "axolotl": [
            {"prompt": head, "completion": f"{text}<|im_end|>", "label": good}
            for text, good in ((answer, True), (poor, False))
        ],
    }
    for output, rows in expected.items():
        found = data_of(written(made, output))
        assert [{name: value for name, value in row.items() if name != "meta"} for row in found] == rows, output


def test_rl_rows_of_verl_have_their_ground_truth(version, written):
    rows = [{**row, "attributes": [{"name": "gold", "value": "٤٢"}]} for row in PROMPTS]
    rows[1].pop("attributes")
    found = written(
        version(Kind.PROMPT, train=rows), "verl", ground_truth="gold", data_source="our/sums", ability="math"
    )
    data = data_of(found)
    assert data[1]["reward_model"] == {"style": "rule", "ground_truth": "٤٢"} and data[1]["data_source"] == "our/sums"
    assert [row["extra_info"]["index"] for row in data] == [0, 1, 2, 3] and data[0]["extra_info"]["split"] == "train"
    assert [row["extra_info"]["id"] for row in data] == [row["meta"]["id"] for row in data]
    assert found.written.skipped == {"no attribute 'gold' for the ground truth": 1}
    asked = written(version(Kind.SFT, name="chats", train=sft_rows()), "verl", task="rl", ground_truth="response")
    row = data_of(asked)[2]
    assert row["prompt"] == sft_rows()[2]["messages"][:-1] and row["reward_model"]["ground_truth"] == ASKED["zh"][2]
    assert row["data_source"] == "letters" and row["ability"] == ""


def test_documents_and_prompts_have_their_readers(version, written):
    made = version(Kind.DOCUMENT, train=DOCUMENTS)
    for output in ("trl", "llama-factory", "axolotl", "torchtune"):
        assert [row["text"] for row in data_of(written(made, output))] == [one[2] for one in ASKED.values()]
    asked = data_of(written(version(Kind.PROMPT, name="asked", train=PROMPTS), "trl"))
    assert [row["prompt"] for row in asked] == [row["prompt"] for row in PROMPTS]


def test_several_turns_become_history_in_alpaca(version, written):
    talk = turns("user: یک", "assistant: دو", "user: سه", "assistant: چهار", "user: پنج", "assistant: شش")
    made = version(Kind.SFT, train=[{"messages": talk}])
    [row] = data_of(written(made, "alpaca"))
    assert (row["instruction"], row["output"], row["history"]) == ("پنج", "شش", [["یک", "دو"], ["سه", "چهار"]])
    with pytest.raises(ExportError, match="several user turns"):
        written(made, "alpaca", history=False)


# ----------------------------------------------------------------------------------------------------------------- meta
@pytest.mark.parametrize(
    ("output", "kind"),
    [(output, kind) for output in OUTPUTS for kind in sorted(Registry.installed().get("output", output).kinds)],
)
def test_all_besides_the_payload_is_one_column(version, written, kind, output):
    part = Registry.installed().get("output", output)
    params = {"layout": "payload"} if output == "parquet" else {}
    params |= {"reward_style": "model"} if (output, kind) == ("verl", Kind.PROMPT) else {}
    made = version(kind, train=ROWS[kind])
    found = written(made, output, **params)
    names = list(part(**params).columns(kind))
    for row in data_of(found):
        assert list(row) == [*names, *([] if output == "openai" else ["meta"])]
        if output != "openai":
            assert list(row["meta"]) == META
    ids = (
        [row["meta"]["id"] for row in data_of(found)]
        if output != "openai"
        else [json.loads(line)["id"] for line in (found.folder / "rows" / "train.jsonl").read_text().splitlines()]
    )
    stored = [row for rows in made.rows("train") for row in rows.ids]
    assert ids == stored
    if output != "openai":
        meta = data_of(found)[0]["meta"]
        assert (meta["source"], meta["source_id"], meta["license"]) == ("letters", "letters.jsonl:1", "CC0-1.0")
        assert meta["version"] == "letters@0123456789abcdef0123" and meta["language"] == made_of(made)


def made_of(made):
    return next(made.rows("train")).language[0]


def test_scores_and_attributes_go_into_meta_when_asked(version, written):
    rows = sft_rows()
    rows[0] |= {
        "scores": [
            {"name": "judge.score", "value": 4.5},
            {"name": "judge.votes", "value": 3.0},
            {"name": "length", "value": 9.0},
        ],
        "attributes": [{"name": "topic", "value": "地理"}, {"name": "other", "value": "x"}],
    }
    found = written(
        version(Kind.SFT, train=rows), "trl", meta=["id", "parents"], scores=["judge.*", "lenght"], attributes=["topic"]
    )
    data = data_of(found)
    assert data[0]["meta"]["scores"] == [{"name": "judge.score", "value": 4.5}, {"name": "judge.votes", "value": 3.0}]
    assert data[0]["meta"]["attributes"] == [{"name": "topic", "value": "地理"}] and data[0]["meta"]["parents"] == []
    assert data[1]["meta"]["scores"] == [] and list(data[1]["meta"]) == ["id", "parents", "scores", "attributes"]
    assert found.written.notes == ["scores: no row has 'lenght'; did you mean 'length'?"]
    bare = written(version(Kind.SFT, name="bare", train=sft_rows()), "trl", meta=[])
    assert list(data_of(bare)[0]) == ["messages"]


def test_the_margin_is_there_on_request_only(version, written):
    rows = preference_rows()
    for place, row in enumerate(rows[:-1]):
        row["scores"] = [{"name": "pair.margin", "value": place / 2}]
    found = written(version(Kind.PREFERENCE, train=rows), "trl", margin="pair.margin")
    assert [row["margin"] for row in data_of(found)] == [0.0, 0.5, 1.0, 1.5]
    assert found.written.skipped == {"no score 'pair.margin' for the margin": 1}
    assert "trl reward" in (found.folder / "README.md").read_text()


# --------------------------------------------------------------------------------------------------------------- system
def test_system_messages_are_kept_dropped_merged_or_added(version, written):
    system, question, answer, _ = ASKED["th"]
    made = version(
        Kind.SFT, train=[sft_rows()[1], {"language": "th", "messages": turns("user: สอง", "assistant: สาม")}]
    )
    [first, second] = [row["messages"] for row in data_of(written(made, "trl", system="merge"))]
    assert first == [{"role": "user", "content": f"{system}\n\n{question}"}, {"role": "assistant", "content": answer}]
    assert [turn["role"] for turn in second] == ["user", "assistant"]
    [first, _] = [row["messages"] for row in data_of(written(made, "trl", system="drop"))]
    assert [turn["content"] for turn in first] == [question, answer]
    added = written(made, "llama-factory", add_system="พูดสั้น ๆ")
    [first, second] = [row["conversations"] for row in data_of(added)]
    assert first[0]["value"] == system and second[0] == {"from": "system", "value": "พูดสั้น ๆ"}


# ------------------------------------------------------------------------------------------------------------- refusals
CHATS = {
    "good": turns("user: a", "assistant: b"),
    "no messages": [],
    "two users": turns("user: a", "user: b", "assistant: c"),
    "late system": turns("user: a", "system: b", "assistant: c"),
    "no answer": turns("user: a"),
    "silent": [{"role": "user", "content": "a"}, {"role": "assistant", "content": ""}],
    "tool": turns("user: a", "assistant: b", "tool: c", "assistant: d"),
    "begins with assistant": turns("assistant: a", "user: b", "assistant: c"),
    "empty system": [{"role": "system", "content": ""}, *turns("user: a", "assistant: b")],
}
KEPT = {
    "trl": {"good", "two users", "late system", "no answer", "silent", "tool", "begins with assistant", "empty system"},
    "verl": {"good", "two users", "late system", "tool", "begins with assistant", "empty system"},
    "axolotl": {"good", "two users", "late system", "tool", "begins with assistant", "empty system"},
    "llama-factory": {"good", "silent", "tool"},
    "torchtune": {"good", "silent", "empty system"},
    "openai": {"good", "two users", "late system", "silent", "begins with assistant", "empty system"},
    "sharegpt": {"good", "silent", "tool", "empty system"},
    "alpaca": {"good", "silent"},
}


@pytest.mark.parametrize("output", KEPT)
def test_conversations_that_would_be_skipped_are_told_with_their_ids(version, written, output):
    made = version(Kind.SFT, train=[{"messages": messages, "group_id": name} for name, messages in CHATS.items()])
    names = {
        row: name
        for rows in made.rows("train")
        for row, name in zip(rows.ids, rows.table["group_id"].to_pylist(), strict=True)
    }
    found = written(made, output, **({"meta_in": "column"} if output == "openai" else {}))
    assert {names[row["meta"]["id"]] for row in data_of(found)} == KEPT[output]
    told = {names[row] for examples in found.written.examples.values() for row in examples}
    assert told == set(CHATS) - KEPT[output]
    assert found.skipped == len(CHATS) - len(KEPT[output]) and found.rows == len(KEPT[output])
    account = json.loads((found.folder / "export.json").read_text())
    assert account["rows_in"] == len(CHATS) == sum(account["rows"].values()) + sum(account["skipped"].values())
    for reason in found.written.skipped:
        assert reason in (found.folder / "README.md").read_text()


def test_answers_that_would_be_misread_are_told(version, written):
    asked = turns("user: سؤال")
    yes, no = turns("assistant: نعم"), turns("assistant: لا")
    several = [*yes, *turns("user: لماذا", "assistant: لأن")]
    rows = [
        {"prompt": asked, "chosen": yes, "rejected": no},
        {"prompt": asked, "chosen": yes, "rejected": yes},
        {"prompt": [], "chosen": yes, "rejected": no},
        {"prompt": asked, "chosen": several, "rejected": no},
        {"prompt": [*asked, *yes], "chosen": yes, "rejected": no},
        {"prompt": asked, "chosen": asked, "rejected": no},
        {"prompt": asked, "chosen": several, "rejected": yes},
    ]
    made = version(Kind.PREFERENCE, train=rows)
    skipped = {output: written(made, output).written.skipped for output in ("trl", "llama-factory", "axolotl")}
    assert skipped["trl"] == {
        "chosen and rejected are the same": 1,
        "the prompt is empty": 1,
        "the prompt does not end with a user or tool message": 1,
        "an answer does not begin and end with an assistant message": 1,
    }
    assert written(made, "trl", prompt="implicit").written.skipped["one answer begins with the whole other"] == 1
    for output in ("llama-factory", "axolotl"):
        assert skipped[output]["an answer of several messages, of which the reader takes one"] == 2
        assert sum(skipped[output].values()) == 6


def test_an_empty_answer_would_turn_a_label_of_llama_factory_round(version, written):
    rows = unpaired_rows()
    rows[0]["completion"] = [{"role": "assistant", "content": ""}]
    found = written(version(Kind.UNPAIRED, train=rows), "llama-factory")
    assert found.written.skipped == {"an empty answer, which turns the label round": 1} and found.rows == len(rows) - 1
    assert all(isinstance(row["kto_tag"], bool) for row in data_of(found))


@pytest.mark.parametrize("answer", ["user", "a", "[[dummy_message]]", " blank", "blank ", ""])
def test_an_answer_that_axolotl_would_cut_at_the_wrong_place_is_refused(version, written, answer):
    rows = [
        *preference_rows(),
        {
            "prompt": turns("user: q"),
            "chosen": [{"role": "assistant", "content": answer}],
            "rejected": turns("assistant: longer than that"),
        },
    ]
    found = written(version(Kind.PREFERENCE, train=rows), "axolotl")
    assert list(found.written.skipped.values()) == [1] and found.rows == 5


# -------------------------------------------------------------------------------------------------------- files, errors
def test_what_does_not_fit_is_said_before_anything_is_written(version, written, tmp_path):
    parallel = version(Kind.PARALLEL, name="pairs", train=ROWS[Kind.PARALLEL])
    with pytest.raises(ExportError, match="kind: sft, columns"):
        written(parallel, "trl")
    assert data_of(written(parallel, "parquet"))[0]["target"] == "maji"
    chats = version(Kind.SFT, train=sft_rows())
    for output, params, words in (
        ("trl", {"trainer": "dpo"}, "sft rows support sft"),
        ("trl", {"margin": "x"}, "margin: only for preferences"),
        ("verl", {"format": "jsonl"}, "verl reads parquet"),
        ("verl", {"task": "rl"}, "ground_truth: a rule needs it"),
        ("llama-factory", {"format": "jsonl", "compression": "gzip"}, "compression"),
        ("parquet", {"scores": ["x"]}, "layout: payload"),
        ("axolotl", {"template_file": "nowhere.jinja"}, "cannot be read"),
    ):
        with pytest.raises(ExportError, match=words):
            written(chats, output, **params)
    with pytest.raises(ExportError, match="have no messages"):
        written(version(Kind.DOCUMENT, name="texts", train=DOCUMENTS), "trl", system="drop")
    assert not [path for path in tmp_path.rglob("*") if path.name.startswith(".tmp")]


def test_an_empty_split_has_no_file_and_an_empty_version_is_refused(version, written):
    found = written(version(Kind.SFT, train=sft_rows(), test=[]), "trl")
    assert found.written.rows == {"train": 5, "test": 0} and found.written.notes == [
        "the split 'test' has no rows, so it has no file"
    ]
    assert sorted(path.name for path in (found.folder / "data").iterdir()) == ["README.md", "train.parquet"]
    empty = version(Kind.SFT, name="empty", train=[])
    with pytest.raises(ExportError, match="the version is empty"):
        written(empty, "trl")
    native = written(empty, "parquet")
    assert native.rows == 0 and pq.read_table(native.folder / "data" / "train.parquet").num_rows == 0
    refused = version(Kind.SFT, name="refused", train=[{"messages": []}])
    with pytest.raises(ExportError, match=r"1 were skipped: no messages \(1, e\.g\. [0-9a-f]{32}\)"):
        written(refused, "trl")


def test_native_parquet_is_the_version_itself(version, written):
    made = version(Kind.PREFERENCE, files_of=2, train=preference_rows(), test=preference_rows()[:1])
    found = written(made, "parquet", rows_per_file=2)
    for split in ("train", "test"):
        stored = [row for rows in made.rows(split) for row in narrow(rows.table, made.extras).to_pylist()]
        assert data_of(found, split) == stored
    assert sorted(path.name for path in (found.folder / "data" / "train").iterdir()) == [
        "00000.parquet",
        "00001.parquet",
        "00002.parquet",
    ]


@pytest.mark.parametrize("format", ["parquet", "jsonl", "json"])
def test_files_begin_anew_after_so_many_rows(version, written, format):
    made = version(Kind.SFT, train=sft_rows() * 3, dev=sft_rows())
    found = written(made, "sharegpt", format=format, rows_per_file=4)
    assert len(list((found.folder / "data" / "train").iterdir())) == 4
    expected = [row["messages"][1]["content"] for row in sft_rows() * 3]
    assert [row["conversations"][1]["value"] for row in data_of(found)] == expected
    whole = written(made, "sharegpt", format=format, rows_per_file=None)
    assert data_of(whole) == data_of(found) and data_of(whole, "dev") == data_of(found, "dev")


def test_a_version_of_many_batches_keeps_its_order(version, written):
    rows = [{"messages": turns(f"user: {number}?", f"assistant: {number}!")} for number in range(9_000)]
    made = version(Kind.SFT, files_of=5_000, train=rows)
    found = written(made, "llama-factory", rows_per_file=2_500)
    assert [row["conversations"][1]["value"] for row in data_of(found)] == [f"{number}!" for number in range(9_000)]
    info = json.loads((found.folder / "dataset_info.json").read_text())
    assert (
        info["letters_train"]["file_name"] == "data/train"
        and len(list((found.folder / "data" / "train").iterdir())) == 4
    )


def test_the_same_version_is_the_same_bytes(version, written):
    made = version(Kind.SFT, train=sft_rows(), test=sft_rows()[:2])
    for output, params in (("trl", {}), ("openai", {}), ("alpaca", {"compression": "gzip"})):
        first, second = written(made, output, **params), written(made, output, **params)
        names = [path.relative_to(first.folder) for path in first.folder.rglob("*") if path.is_file()]
        assert len(names) >= 4
        for name in names:
            assert (first.folder / name).read_bytes() == (second.folder / name).read_bytes(), name


def test_a_field_of_nothing_but_dates_is_warned_of_in_json(version, written):
    rows = [{"messages": turns("user: When was it?", f"assistant: 2024-01-0{day}")} for day in range(1, 4)]
    found = written(version(Kind.SFT, train=rows), "alpaca")
    assert any("output" in note and "looks like a date" in note for note in found.written.notes)
    assert not written(version(Kind.SFT, name="more", train=[*rows, *sft_rows()]), "alpaca").written.notes
    assert not written(version(Kind.SFT, name="typed", train=rows), "trl").written.notes


def test_configurations_name_the_files_that_are_there(version, written):
    for kind, outputs in ((Kind.SFT, ("axolotl", "verl", "torchtune")), (Kind.PREFERENCE, ("axolotl", "torchtune"))):
        made = version(kind, name=f"some-{kind}", train=ROWS[kind] * 2, test=ROWS[kind])
        for output in outputs:
            for size in (None, 3):
                found = written(made, output, rows_per_file=size)
                [path] = found.folder.glob("*.yaml")
                text = path.read_text()
                assert yaml.safe_load(text)
                named = {
                    word
                    for line in text.splitlines()
                    for word in [line.strip().removeprefix("- ").split(": ")[-1]]
                    if word.startswith("data/")
                }
                assert named and all((found.folder / name).exists() for name in named), text
                listed = {name for name in found.written.files if name.startswith("data/")}
                assert listed <= named | {
                    f"{name}/{file.name}"
                    for name in named
                    if (found.folder / name).is_dir()
                    for file in (found.folder / name).iterdir()
                }


def test_rows_that_a_format_changes_are_written_as_changed(version, written):
    made = version(Kind.SFT, train=[{"messages": turns("system: rules", "user: habari", "assistant: nzuri")}])
    [whole] = data_of(written(made, "trl"))
    [less] = data_of(written(made, "trl", system="drop"))
    assert whole["messages"] == turns("system: rules", "user: habari", "assistant: nzuri")
    assert less["messages"] == turns("user: habari", "assistant: nzuri")


def test_what_a_format_does_to_a_row_in_place_is_written(version, written, monkeypatch):
    def shout(self, kind, row):
        for turn in row["messages"]:
            turn["content"] = turn["content"].upper()
        return {"messages": row["messages"]}

    monkeypatch.setattr(Registry.installed().get("output", "trl"), "render", shout)
    [row] = data_of(written(version(Kind.SFT, train=[{"messages": turns("user: habari", "assistant: nzuri")}]), "trl"))
    assert row["messages"] == turns("user: HABARI", "assistant: NZURI")
