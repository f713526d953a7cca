"""Forms of well-known public sets, JSON in all its layouts, archives: read, or told what they are and what to do."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import random
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard
from pydantic import ValidationError

from curate.rows import Kind
from curate.steps import SourceError
from sources.files import Csv, JsonArray, JsonLines, Parquet, Tsv
from sources.parallel import Moses, ParallelTsv, Tmx

Read = Callable[..., Any]
Write = Callable[..., str]
GIVEN: dict[str, Any] = {"language": "und", "license": "x"}
ASK, SAY = {"role": "user", "content": "Saa ngapi?"}, {"role": "assistant", "content": "Saa kumi."}
TURNS = [("user", "Saa ngapi?"), ("assistant", "Saa kumi.")]


def put(folder: Path, name: str, data: str | bytes) -> str:
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return str(path)


# ---------------------------------------------------------------------------------------------------------- transcripts
def hh(*turns: str) -> str:
    return "".join(f"\n\n{'Assistant' if i % 2 else 'Human'}: {text}" for i, text in enumerate(turns))


def guanaco(*turns: str) -> str:
    return "".join(f"### {'Assistant' if i % 2 else 'Human'}: {text}" for i, text in enumerate(turns))


def test_preferences_as_transcripts_are_detected_and_split(read: Read, jsonl: Write) -> None:
    before = ("Wie koche ich Reis?", "Mit Wasser.\n\nViel Wasser.", "¿Cuánto?")
    path = jsonl({"chosen": hh(*before, "Zwei Tassen."), "rejected": hh(*before, "Weiß nicht.")})
    for more in ({}, {"kind": "preference", "columns": {"chosen": "{chosen}", "rejected": "{rejected}"}}):
        source = JsonLines(path=path, **more, **GIVEN)
        assert source.makes is Kind.PREFERENCE
        (row,) = read(source).rows
        assert [(turn["role"], turn["content"]) for turn in row["prompt"]] == [
            ("user", before[0]),
            ("assistant", before[1]),
            ("user", before[2]),
        ]
        assert (row["chosen"][0]["content"], row["rejected"][0]["content"]) == ("Zwei Tassen.", "Weiß nicht.")


@pytest.mark.parametrize("write", [hh, guanaco])
def test_a_column_of_transcripts_is_a_conversation(read: Read, jsonl: Write, write: Callable[..., str]) -> None:
    rows = [{"text": write("Habari?", "Nzuri.", "Jina lako?", "Asha.")}] * 8 + [
        {"text": "Just prose: Human or Assistant?"}
    ]
    source = JsonLines(path=jsonl(*rows), **GIVEN)
    assert source.makes is Kind.SFT
    out = read(source)
    assert (
        out.said()
        == [[("user", "Habari?"), ("assistant", "Nzuri."), ("user", "Jina lako?"), ("assistant", "Asha.")]] * 8
    )
    assert "a text where a list of messages was expected" in out.reasons[0]
    documents = JsonLines(path=jsonl(*rows), kind="document", **GIVEN)
    assert [row["text"] for row in read(documents).rows] == [row["text"].strip() for row in rows]


def test_a_prompt_that_waits_for_its_answer_is_its_question(read: Read, jsonl: Write) -> None:
    before = ("Reis?", "Ja.", "Wie?")
    path = jsonl(
        {"prompt": hh(*before) + "\n\nAssistant:", "chosen": " So.", "rejected": " Nö."},
        {"prompt": hh(*before), "chosen": hh(*before, "So."), "rejected": hh(*before, "Nö.")},
    )
    for row in read(JsonLines(path=path, **GIVEN)).rows:
        assert [turn["content"] for turn in row["prompt"]] == list(before)
        assert (row["chosen"][0]["content"], row["rejected"][0]["content"]) == ("So.", "Nö.")


def test_a_transcript_with_a_long_gap_is_read_in_a_moment(read: Read, jsonl: Write) -> None:
    gap = " " * 300_000
    path = jsonl(
        {"text": f"### Human: a{gap}### Assistant: b{gap}x"}, {"text": f"\n\nHuman: a{gap}\n\nAssistant: b{gap}x"}
    )
    out = read(JsonLines(path=path, columns={"messages": "text"}, **GIVEN))
    assert out.said() == [[("user", "a"), ("assistant", f"b{gap}x")]] * 2


def test_texts_that_only_talk_of_humans_stay_texts(read: Read, jsonl: Write) -> None:
    texts = ["Human: x", "\nHuman: a\nAssistant: b", "The Assistant: a novel", "### Human rights"]
    out = read(JsonLines(path=jsonl(*[{"prompt": text, "response": text} for text in texts]), **GIVEN))
    assert [turns[0][1] for turns in out.said()] == [text.strip() for text in texts]
    assert JsonLines(path=jsonl(*[{"text": text} for text in texts]), **GIVEN).makes is Kind.DOCUMENT


# ---------------------------------------------------------------------------------------------------------------- roles
def test_roles_of_ones_own_are_mapped_and_their_lack_names_the_parameter(read: Read, jsonl: Write) -> None:
    path = jsonl({"conversations": [{"from": "Frager", "value": "Saa ngapi?"}, {"from": "bing", "value": "Saa kumi."}]})
    out = read(JsonLines(path=path, columns={"messages": "conversations"}, **GIVEN))
    assert "unknown role 'Frager'; say what it is, such as 'roles: {Frager: assistant}'" in out.reasons[0]
    assert read(JsonLines(path=path, roles={"bing": "assistant", "frager": "user"}, **GIVEN)).said() == [TURNS]
    out = read(JsonLines(path=jsonl({"messages": [{"role": "assitant", "content": "x"}]}), **GIVEN))
    assert "did you mean 'assistant'?" in out.reasons[0]
    with pytest.raises(ValidationError, match="'user', 'assistant'"):
        JsonLines(path="x", roles={"bing": "robot"}, **GIVEN)
    plain, mapped = JsonLines(path=path, **GIVEN), JsonLines(path=path, roles={"bing": "assistant"}, **GIVEN)
    assert "roles" not in plain.identity() and mapped.identity()["roles"] == {"bing": "assistant"}


@pytest.mark.parametrize("nested", [False, True])
def test_langchain_names_its_roles_by_type(read: Read, jsonl: Write, nested: bool) -> None:
    turns = [("system", "Kurz."), ("human", "Saa ngapi?"), ("ai", "Saa kumi.")]
    messages = [
        {"type": kind, "data": {"content": text, "additional_kwargs": {}}}
        if nested
        else {"type": kind, "content": text}
        for kind, text in turns
    ]
    source = JsonLines(path=jsonl({"messages": messages}), **GIVEN)
    assert source.makes is Kind.SFT and read(source).said() == [[("system", "Kurz."), *TURNS]]


def test_forms_that_are_not_read_whole_are_read_for_what_they_have(read: Read, jsonl: Write) -> None:
    """UltraFeedback and flat OpenAssistant: what they have besides is named (see test_unused)."""
    source = JsonLines(
        path=jsonl({"source": "s", "instruction": "Zähle.", "models": ["m"], "completions": [{"response": "1"}]}),
        **GIVEN,
    )
    assert source.makes is Kind.PROMPT
    source = JsonLines(
        path=jsonl({"message_id": "1", "parent_id": None, "text": "Hallo", "role": "prompter", "lang": "de"}), **GIVEN
    )
    assert source.makes is Kind.DOCUMENT


# ------------------------------------------------------------------------------------------------------- a few odd rows
ODD_FORMS: list[tuple[dict[str, Any], dict[str, Any], Kind]] = [
    ({"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}, {"conversations": "lost"},
    Kind.SFT),
    ({"messages": [ASK, SAY]}, {"messages": [{"role": ["user"], "content": "x"}]}, Kind.SFT),
    ({"prompt": "p", "chosen": "c", "rejected": "r"}, {"prompt": "p", "chosen": {"a": 1}, "rejected": "r"},
    Kind.PREFERENCE),
    ({"prompt": "p", "completion": "c", "label": True}, {"prompt": "p", "completion": "c", "label": "perhaps"},
    Kind.UNPAIRED),
    ({"instruction": "i", "input": "", "output": "o"}, {"instruction": ["i"], "input": "", "output": "o"}, Kind.SFT),
    ({"source": "s", "target": "t"}, {"source": {"s": 1}, "target": "t"}, Kind.PARALLEL),
    ({"translation": {"en": "a", "und": "b"}}, {"translation": {"en": 1, "und": "b"}}, Kind.PARALLEL),
    ({"text": "t"}, {"text": {"no": "text"}}, Kind.DOCUMENT),
]  # fmt: skip


@pytest.mark.parametrize(("good", "odd", "kind"), ODD_FORMS, ids=[str(kind) for *_, kind in ODD_FORMS])
def test_two_odd_rows_of_nineteen_do_not_hide_a_form(read: Read, jsonl: Write, good: Any, odd: Any, kind: Kind) -> None:
    rows = [good] * 17 + [odd] * 2
    random.Random(7).shuffle(rows)
    more = {"source_language": "en"} if kind is Kind.PARALLEL else {}
    source = JsonLines(path=jsonl(*rows), **more, **GIVEN)
    assert source.makes is kind
    out = read(source)
    assert len(out.rows) >= 17 and len(out.rows) + len(out.bad) == 19
    assert len(out.bad) == 2 or "translation" in good


def test_where_most_rows_are_odd_the_error_says_which_column_and_how(jsonl: Write) -> None:
    path = jsonl(
        *[{"conversations": "Text"}] * 3,
        {"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]},
    )
    with pytest.raises(
        SourceError,
        match=r"the format 'ShareGPT', but 'conversations' does not fit in 3 of 4 rows \(the first is "
        r"number 1: text, 'Text'\)",
    ):
        _ = JsonLines(path=path, **GIVEN).makes


# ------------------------------------------------------------------------------------------------------- JSON's layouts
ROWS = [
    {"prompt": "Ninajua, {ndiyo}", "response": 'A "b" ] c'},
    {"prompt": "двa", "response": "二"},
    {"prompt": "3", "response": "tatu"},
]


def said(out: Any) -> list[tuple[str, str]]:
    return [(turns[0][1], turns[1][1]) for turns in out.said()]


WANTED = [(row["prompt"], row["response"]) for row in ROWS]


def test_pretty_printed_objects_are_told_to_jsonl_and_read_by_json(read: Read, tmp_path: Path) -> None:
    for indent in (1, 4, "\t"):
        path = put(tmp_path, "t", "\n".join(json.dumps(row, indent=indent, ensure_ascii=False) for row in ROWS))
        with pytest.raises(SourceError, match=r"continues over several lines.*use 'use: json'"):
            read(JsonLines(path=path, columns={"prompt": "prompt", "response": "response"}, **GIVEN))
        assert said(read(JsonArray(path=path, **GIVEN))) == WANTED


def test_a_pretty_printed_array_or_object_given_to_jsonl_leads_to_json_and_on_to_its_rows(
    read: Read, tmp_path: Path
) -> None:
    array = put(tmp_path, "a", json.dumps(ROWS, indent=2))
    with pytest.raises(SourceError, match="use 'use: json'"):
        read(JsonLines(path=array, **GIVEN))
    assert said(read(JsonArray(path=array, **GIVEN))) == WANTED
    whole = put(tmp_path, "w", json.dumps({"about": {"n": 3}, "rows": ROWS}, indent=2))
    with pytest.raises(SourceError, match="use 'use: json'"):
        read(JsonLines(path=whole, **GIVEN))
    with pytest.raises(SourceError, match="rows: rows"):
        read(JsonArray(path=whole, **GIVEN))
    assert said(read(JsonArray(path=whole, rows="rows", **GIVEN))) == WANTED


def test_a_first_line_that_is_cut_off_is_one_bad_row(read: Read, tmp_path: Path) -> None:
    lines = "\n".join(json.dumps(row) for row in ROWS)
    for cut in ('{"prompt": "x",', '{"prompt": [', "{", '{"prompt": {"a": 1'):
        out = read(JsonLines(path=put(tmp_path, "t", f"{cut}\n{lines}\n"), **GIVEN))
        assert said(out) == WANTED and out.reasons[0].startswith("line 1: not JSON")


def test_an_object_keyed_by_id_is_read_by_a_star(read: Read, tmp_path: Path) -> None:
    keyed = {f"k{i}": row for i, row in enumerate(ROWS)}
    for indent in (None, 2):
        path = put(tmp_path, "t", json.dumps(keyed, indent=indent))
        with pytest.raises(SourceError, match="use: json"):
            _ = JsonLines(path=path, **GIVEN).makes
        with pytest.raises(SourceError, match=r"values are objects \('k0', 'k1', 'k2' …\).*\"rows: '\*'\""):
            read(JsonArray(path=path, **GIVEN))
        out = read(JsonArray(path=path, rows="*", id="{@key}", key="{@key}", **GIVEN))
        assert said(out) == WANTED
        assert [(row["lineage"]["source_id"], row["group_id"]) for row in out.rows] == [
            (f"k{i}", f"src:k{i}") for i in range(3)
        ]
    deep = put(tmp_path, "d", json.dumps({"data": {"a": {"turns": ROWS[:2]}, "b": {"turns": ROWS[2:]}}, "n": 1}))
    assert said(read(JsonArray(path=deep, rows="data.*.turns", **GIVEN))) == WANTED
    with pytest.raises(SourceError, match=r"set 'use: json' and \"rows: '\*'\""):
        read(JsonLines(path=put(tmp_path, "t", json.dumps(keyed)), columns={"text": "prompt"}, **GIVEN))


def test_one_odd_element_of_an_array_is_one_bad_row(read: Read, tmp_path: Path) -> None:
    odd = [
        '{"prompt": "a\nb", "response": "x"}',
        '{"prompt": "\\q", "response": "x"}',
        "[" * 5000 + "]" * 5000,
        '{"prompt": ' + "9" * 5000 + "}",
        '{"prompt": "x", "prompt": "y"}',
        "12",
        "null",
        '{"a": ' * 3000 + "1" + "}" * 3000,
    ]
    for one in odd:
        text = f"[{json.dumps(ROWS[0])}, {one}, {json.dumps(ROWS[1])}]"
        out = read(
            JsonArray(path=put(tmp_path, "t", text), columns={"prompt": "prompt", "response": "response"}, **GIVEN)
        )
        assert said(out) == WANTED[:2] and len(out.bad) == 1 and out.bad[0][1].where == "row 1", one[:50]


# ------------------------------------------------------------------------------------------------------------- archives
PACK: dict[str, Callable[[bytes], bytes]] = {
    "": lambda data: data,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstandard.compress,
}


def tar(*names: str, form: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for name in names:
            about = tarfile.TarInfo(name)
            data = b'{"text": "moja"}\n' * 3
            about.size = len(data)
            archive.addfile(about, io.BytesIO(data))
    return out.getvalue()


def zipped(*names: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in names:
            archive.writestr(name, '{"text": "moja"}\n')
    return out.getvalue()


ARCHIVES = {
    "tar": (tar("a.jsonl", "b/c.jsonl"), "tar archive of a.jsonl, b/c.jsonl; unpack it"),
    "gnu tar": (tar("a.jsonl", form=tarfile.GNU_FORMAT), "tar archive of a.jsonl; unpack it"),
    "old tar": (tar("a.jsonl", form=tarfile.USTAR_FORMAT).replace(b"ustar\x0000", b"\0" * 8), "tar archive"),
    "long names": (tar("x" * 150 + ".jsonl"), "tar archive of xxx"),
    "many": (tar(*[f"{i}.jsonl" for i in range(9)]), r"of 0.jsonl, 1.jsonl, 2.jsonl, 3.jsonl, 4.jsonl …; unpack it"),
    "zip": (zipped("d/a.jsonl"), "ZIP archive of d/a.jsonl; unpack it"),
    "7z": (b"7z\xbc\xaf\x27\x1c" + bytes(600), "7z archive; unpack it"),
    "rar": (b"Rar!\x1a\x07\x01\x00" + bytes(600), "RAR archive; unpack it"),
    "workbook": (zipped("[Content_Types].xml", "xl/workbook.xml"), "Excel workbook; save its sheet as 'CSV UTF-8'"),
}


@pytest.mark.parametrize("pack", PACK)
@pytest.mark.parametrize("kind", ARCHIVES)
def test_an_archive_is_refused_by_every_reader_with_its_members(tmp_path: Path, kind: str, pack: str) -> None:
    data, wanted = ARCHIVES[kind]
    if kind == "old tar":  # its header's sum must be right again
        head = bytearray(data[:512])
        head[148:156] = b"        "
        head[148:156] = f"{sum(head):06o}\0 ".encode()
        data = bytes(head) + data[512:]
    path = put(tmp_path, f"data.jsonl{pack}", PACK[pack](data))
    pair = {"source_language": "en", "target_language": "sw", "license": "x"}
    readers = [cls(path=path, columns={"text": "text"}, **GIVEN) for cls in (JsonLines, JsonArray, Csv, Tsv)]
    readers += [
        Tmx(path=path, **pair),
        ParallelTsv(path=path, **pair),
        Moses(source_path=path, target_path=path, **pair),
    ]
    readers += [Parquet(path=path, columns={"text": "text"}, **GIVEN)] if not pack else []
    for source in readers:
        with pytest.raises(SourceError, match=wanted.replace(".", r"\.")):
            list(source.read(source.units()[0], "s", None))  # type: ignore[arg-type]


def test_texts_that_begin_like_an_archive_are_texts(read: Read, tmp_path: Path) -> None:
    lines = ["PK is a postcode", "Rar! he said", "7z", "x" * 257 + "ustad", "0" * 600, "ustar"]
    path = put(tmp_path, "t.tsv", "\n".join(["t", *lines]))
    assert [row["text"] for row in read(Tsv(path=path, columns={"text": "t"}, **GIVEN)).rows] == lines


def test_a_file_that_is_compressed_twice_is_said_to_be(read: Read, tmp_path: Path) -> None:
    path = put(tmp_path, "t.jsonl.gz", gzip.compress(gzip.compress(b'{"text": "x"}\n')))
    with pytest.raises(SourceError, match="compressed twice"):
        read(JsonLines(path=path, columns={"text": "text"}, **GIVEN))
