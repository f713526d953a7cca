from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from curate.rows import Kind
from curate.steps import SourceError
from sources.files import Csv, JsonLines

Read = Callable[..., Any]
Write = Callable[..., str]

HUMAN, GPT = {"from": "human", "value": "Wie geht's?"}, {"from": "gpt", "value": "Gut."}
ASK, SAY = {"role": "user", "content": "Як справи?"}, {"role": "assistant", "content": "Добре."}
NAY = {"role": "assistant", "content": "Ні."}

FORMS: list[tuple[str, Kind, dict[str, Any], dict[str, Any]]] = [
    ("alpaca", Kind.SFT, {"instruction": "Translate.", "input": "Haus", "output": "house"},
     {"messages": [("user", "Translate.\n\nHaus"), ("assistant", "house")]}),
    ("alpaca with system and history", Kind.SFT,
     {"instruction": "And you?", "output": "Fine.", "system": "Be kind.", "history": [["Hi", "Hello"]]},
     {"messages": [("system", "Be kind."), ("user", "Hi"), ("assistant", "Hello"), ("user", "And you?"), ("assistant",
     "Fine.")]}),
    ("dolly", Kind.SFT, {"instruction": "Who?", "context": "It was Ada.", "response": "Ada", "category": "qa"},
     {"messages": [("user", "Who?\n\nIt was Ada."), ("assistant", "Ada")]}),
    ("alpaca ranking", Kind.PREFERENCE, {"instruction": "Count.", "input": "to 2", "chosen": "1, 2", "rejected": "no"},
     {"prompt": [("user", "Count.\n\nto 2")], "chosen": [("assistant", "1, 2")], "rejected": [("assistant", "no")]}),
    ("sharegpt", Kind.SFT, {"id": 7, "conversations": [HUMAN, GPT]}, {"messages": [("user", "Wie geht's?"),
    ("assistant", "Gut.")]}),
    ("openai", Kind.SFT, {"messages": [{"role": "developer", "content": "Short."}, ASK, SAY]},
     {"messages": [("system", "Short."), ("user", "Як справи?"), ("assistant", "Добре.")]}),
    ("prompt and completion", Kind.SFT, {"prompt": "2+2?", "completion": "4"}, {"messages": [("user", "2+2?"),
    ("assistant", "4")]}),
    ("prompt and completion as messages", Kind.SFT, {"prompt": [ASK], "completion": [SAY]},
     {"messages": [("user", "Як справи?"), ("assistant", "Добре.")]}),
    ("question and answer", Kind.SFT, {"question": "Capital of Kenya?", "answer": "Nairobi"},
     {"messages": [("user", "Capital of Kenya?"), ("assistant", "Nairobi")]}),
    ("preference as texts", Kind.PREFERENCE, {"prompt": "p", "chosen": "c", "rejected": "r"},
     {"prompt": [("user", "p")], "chosen": [("assistant", "c")], "rejected": [("assistant", "r")]}),
    ("preference as messages", Kind.PREFERENCE, {"prompt": [ASK], "chosen": [SAY], "rejected": [NAY]},
     {"prompt": [("user", "Як справи?")], "chosen": [("assistant", "Добре.")], "rejected": [("assistant", "Ні.")]}),
    ("implicit prompt", Kind.PREFERENCE, {"chosen": [ASK, SAY], "rejected": [ASK, NAY]},
     {"prompt": [("user", "Як справи?")], "chosen": [("assistant", "Добре.")], "rejected": [("assistant", "Ні.")]}),
    ("prompt column that repeats the conversations' beginning", Kind.PREFERENCE,
     {"prompt": "Як справи?", "chosen": [ASK, SAY], "rejected": [ASK, NAY]},
     {"prompt": [("user", "Як справи?")], "chosen": [("assistant", "Добре.")], "rejected": [("assistant", "Ні.")]}),
    ("llama-factory ranking", Kind.PREFERENCE, {"conversations": [HUMAN], "chosen": GPT, "rejected": {"from": "gpt",
    "value": "Nö."}},
     {"prompt": [("user", "Wie geht's?")], "chosen": [("assistant", "Gut.")], "rejected": [("assistant", "Nö.")]}),
    ("chosen_messages", Kind.PREFERENCE, {"chosen_messages": [ASK, SAY], "rejected_messages": [ASK, NAY]},
     {"prompt": [("user", "Як справи?")], "chosen": [("assistant", "Добре.")], "rejected": [("assistant", "Ні.")]}),
    ("kto", Kind.UNPAIRED, {"prompt": "p", "completion": "c", "label": False},
     {"prompt": [("user", "p")], "completion": [("assistant", "c")], "label": False}),
    ("kto as messages", Kind.UNPAIRED, {"messages": [ASK, SAY, ASK, NAY], "label": True},
     {"prompt": [("user", "Як справи?"), ("assistant", "Добре."), ("user", "Як справи?")], "completion": [("assistant",
     "Ні.")], "label": True}),
    ("kto as conversations", Kind.UNPAIRED, {"conversations": [HUMAN, GPT], "kto_tag": True},
     {"prompt": [("user", "Wie geht's?")], "completion": [("assistant", "Gut.")], "label": True}),
    ("document", Kind.DOCUMENT, {"text": "Siku njema.", "url": "u"}, {"text": "Siku njema."}),
    ("prompt alone", Kind.PROMPT, {"prompt": "Write."}, {"prompt": [("user", "Write.")]}),
    ("instruction alone", Kind.PROMPT, {"instruction": "Write.", "input": "now"}, {"prompt": [("user",
    "Write.\n\nnow")]}),
]  # fmt: skip


def plain(row: dict[str, Any], names: Any) -> dict[str, Any]:
    out = {name: row[name] for name in names}
    return {
        name: [(turn["role"], turn["content"]) for turn in value] if isinstance(value, list) else value
        for name, value in out.items()
    }


@pytest.mark.parametrize(("kind", "row", "wanted"), [form[1:] for form in FORMS], ids=[form[0] for form in FORMS])
def test_a_known_form_is_read_without_being_told(
    read: Read, jsonl: Write, kind: Kind, row: dict[str, Any], wanted: dict[str, Any]
) -> None:
    source = JsonLines(path=jsonl(row), language="und", license="unknown")
    assert source.makes is kind
    (made,) = read(source).rows
    assert plain(made, wanted) == wanted


def test_parallel_columns_need_the_language_of_their_source_side(read: Read, jsonl: Write) -> None:
    path = jsonl({"src": "Good morning.", "tgt": "Habari za asubuhi."})
    with pytest.raises(SourceError, match="source_language: en"):
        _ = JsonLines(path=path, language="sw", license="x").makes
    (row,) = read(JsonLines(path=path, language="sw", source_language="en", license="x")).rows
    assert (row["source_language"], row["source"], row["language"], row["target"]) == (
        "en",
        "Good morning.",
        "sw",
        "Habari za asubuhi.",
    )


def test_the_languages_tell_the_sides_of_a_translation_column(read: Read, jsonl: Write) -> None:
    path = jsonl({"translation": {"en": "bread", "de": "Brot"}})
    (row,) = read(JsonLines(path=path, language="de", license="x")).rows
    assert (row["source_language"], row["source"], row["target"]) == ("en", "bread", "Brot")
    (row,) = read(JsonLines(path=path, language="en", source_language="de", license="x")).rows
    assert (row["source_language"], row["source"], row["target"]) == ("de", "Brot", "bread")
    with pytest.raises(SourceError, match="no known format"):
        _ = JsonLines(path=path, language="fr", license="x").makes


def test_two_forms_that_fit_are_an_error_that_shows_what_to_write(read: Read, jsonl: Write) -> None:
    path = jsonl({"instruction": "Sag ja.", "input": "", "output": "Ja.", "text": "### Sag ja. ### Ja."})
    with pytest.raises(SourceError) as error:
        _ = JsonLines(path=path, language="de", license="x").makes
    message = str(error.value)
    assert "Alpaca (sft)" in message and "text (document)" in message
    assert 'columns: {text: "{text}"}' in message and "kind: document" in message
    assert JsonLines(path=path, language="de", license="x", kind="document").makes is Kind.DOCUMENT
    assert read(JsonLines(path=path, language="de", license="x", kind="sft")).said() == [
        [("user", "Sag ja."), ("assistant", "Ja.")]
    ]


def test_columns_of_a_known_form_that_are_empty_are_named(jsonl: Write) -> None:
    path = jsonl(*[{"prompt": None, "response": None, "note": "x"}] * 3)
    with pytest.raises(SourceError, match=r"prompt, response, note \(empty in the first 3 rows: prompt, response\)"):
        _ = JsonLines(path=path, language="en", license="x").makes


def test_two_answer_columns_are_ambiguous_too(jsonl: Write) -> None:
    path = jsonl({"instruction": "a", "output": "b", "response": "c"})
    with pytest.raises(SourceError, match=r'response: "\{output\}"(.|\n)*response: "\{response\}"'):
        _ = JsonLines(path=path, language="en", license="x").makes


def test_no_known_form_is_an_error_with_the_columns_and_an_example(jsonl: Write) -> None:
    with pytest.raises(SourceError) as error:
        _ = JsonLines(path=jsonl({"frage": "a", "antwort": {"wert": "b"}}), language="de", license="x").makes
    assert "frage, antwort, antwort.wert" in str(error.value) and "columns: {" in str(error.value)


def test_a_kind_chooses_a_form_that_another_hides(read: Read, jsonl: Write) -> None:
    path = jsonl({"prompt": "Erzähl was.", "chosen": "Es war einmal …", "rejected": "Nein."})
    source = JsonLines(path=path, language="de", license="x", kind="prompt")
    assert read(source).said("prompt") == [[("user", "Erzähl was.")]]


def test_a_label_that_is_no_verdict_makes_no_unpaired_rows(jsonl: Write) -> None:
    source = JsonLines(path=jsonl({"messages": [ASK, SAY], "label": "politics"}), language="uk", license="x")
    assert source.makes is Kind.SFT


def test_columns_may_add_to_a_detected_form(read: Read, jsonl: Write) -> None:
    path = jsonl({"instruction": "Hi", "output": "Ho", "persona": "Du bist ein Pirat."})
    source = JsonLines(path=path, language="de", license="x", columns={"system": "{persona}"})
    assert read(source).said() == [[("system", "Du bist ein Pirat."), ("user", "Hi"), ("assistant", "Ho")]]


def test_an_input_column_that_comes_late_is_not_lost(read: Read, jsonl: Write) -> None:
    path = jsonl(
        *[{"instruction": f"n{i}", "output": "x"} for i in range(150)],
        {"instruction": "last", "input": "with this", "output": "y"},
    )
    assert read(JsonLines(path=path, language="en", license="x")).said()[-1][0] == ("user", "last\n\nwith this")


def test_tools_of_a_detected_conversation_belong_to_it(read: Read, jsonl: Write) -> None:
    path = jsonl(
        {"conversations": [HUMAN, GPT], "tools": '[{"name":"clock"}]'}, {"conversations": [HUMAN, GPT], "tools": ""}
    )
    out = read(JsonLines(path=path, language="de", license="x"))
    assert [row.get("tools") for row in out.rows] == ['[{"type":"function","function":{"name":"clock"}}]', None]


def test_what_was_detected_belongs_to_the_identity(jsonl: Write) -> None:
    path = jsonl({"instruction": "a", "output": "b"})
    before = JsonLines(path=path, language="en", license="x").identity()
    assert before["detected"]["kind"] == "sft"
    jsonl({"text": "a"})
    assert JsonLines(path=path, language="en", license="x").identity() != before
    told = JsonLines(path=path, language="en", license="x", kind="sft", columns={"prompt": "a", "response": "b"})
    assert "detected" not in told.identity() and "path" not in told.identity()


def test_an_empty_file_cannot_tell_and_a_told_one_need_not(read: Read, tmp_path: Any) -> None:
    path = tmp_path / "none.jsonl"
    path.write_text("\n\n")
    with pytest.raises(SourceError, match="no rows to infer"):
        _ = JsonLines(path=str(path), language="en", license="x").makes
    assert read(JsonLines(path=str(path), language="en", license="x", columns={"text": "t"})).rows == []


def test_a_csv_is_detected_by_its_header(read: Read, tmp_path: Any) -> None:
    path = tmp_path / "kto.csv"
    path.write_text('prompt,completion,label\n"Hi, you",Yo,TRUE\nHi,Yo,0\n')
    out = read(Csv(path=str(path), language="en", license="x"))
    assert [row["label"] for row in out.rows] == [True, False]
    assert out.said("prompt")[0] == [("user", "Hi, you")]
