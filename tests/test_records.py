"""Records: every script fits the line and keeps its text, nothing moves the cursor, what is cut or changed is said."""

from __future__ import annotations

import re

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from curate.records import Entry, Mark, Record, beside, html, marked, plain, row_record, value_record
from curate.records.marks import LONGEST, cut
from curate.records.terminal import wrapped

SCRIPTS = "ar مرحبا كيف حالك؟ हिन्दी में नमस्ते ภาษาไทยไม่เว้นวรรค 中文没有空格。 한국어 e\u0301 👩‍👩‍👧‍👦 \x1b\u202e\t\n"
TEXTS = st.text(st.sampled_from(SCRIPTS) | st.characters(), max_size=120)
LINEAGE = {"source": "s", "source_id": "a.jsonl:3", "license": "CC0-1.0", "parents": ["b" * 32], "makers": []}


def row(language: str, messages: list[dict], **more) -> dict:
    common = {"id": "a" * 32, "language": language, "group_id": "g", "scores": [], "attributes": [], "lineage": LINEAGE}
    return {**common, "messages": messages, **more}


def chat(*turns: str) -> list[dict]:
    return [{"role": role, "content": turn} for role, turn in zip(("user", "assistant") * 3, turns, strict=False)]


@given(TEXTS, st.integers(4, 40))
def test_wrapped_lines_fit_and_hold_the_whole_text(text, width):
    lines = list(wrapped(text.replace("\t", " "), width))
    assert all(cell_len(line) <= width or len(regex.findall(r"\X", line)) == 1 for line in lines)
    assert re.sub(r"\s", "", "".join(lines)) == re.sub(r"\s", "", text)


@given(TEXTS, TEXTS, st.sampled_from(["en", "ar", "th", "zh", "und"]))
def test_marked_texts_hold_both(old, new, language):
    pieces = marked(old, new, language)
    assert "".join(text for mark, text in pieces if mark in (Mark.SAME, Mark.REMOVED)) == old
    assert "".join(text for mark, text in pieces if mark in (Mark.SAME, Mark.ADDED)) == new
    assert old != new or all(mark is Mark.SAME for mark, _ in pieces)


@given(TEXTS)
def test_nothing_that_moves_the_cursor_or_closes_a_tag_is_written(text):
    shown = plain([Record(text, (Entry.of(text, text),))], 40)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", shown)
    page = html([Record(f"<script>{text}", (Entry.of("a", f"<b>{text}"),))], f"</title>{text}")
    page.encode()
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", page.replace("\t", ""))
    assert "<script>" not in page and "<b>" not in page and page.count("</title>") == 1


@pytest.mark.parametrize(
    ("language", "old", "new", "removed", "added"),
    [
        ("ar", "مرحبا بك في القاهرة", "مرحبا بك في دمشق", "القاهرة", "دمشق"),
        ("hi", "मुझे चाय पसंद है", "मुझे कॉफ़ी पसंद है", "चाय", "कॉफ़ी"),
        ("th", "ฉันชอบกินข้าว", "ฉันชอบกินส้ม", "ข้าว", "ส้ม"),
        ("zh", "我喜欢吃苹果。", "我喜欢吃香蕉。", "苹果", "香蕉"),
        ("en", "Call 0171 now", "Call [PHONE] now", "0171", "[PHONE]"),
    ],
)
def test_changed_words_are_marked_in_every_script(language, old, new, removed, added):
    shown = plain([Record("", tuple(beside(row(language, chat(old)), row(language, chat(new)))))], 100)
    assert f"[-{removed}-]{{+{added}+}}" in shown
    page = html([Record("", tuple(beside(row(language, chat(old)), row(language, chat(new)))))])
    assert (
        f"<del>{removed}</del><ins>{added}</ins>" in page
        and f'lang="{language}" dir="{"rtl" if language == "ar" else "ltr"}"' in page
    )


def test_a_translation_is_shown_beside_its_original_unmarked():
    shown = plain([Record("", tuple(beside(row("en", chat("Good morning")), row("th", chat("สวัสดี")))))], 80)
    assert "user, before  Good morning" in shown and "user, after   สวัสดี" in shown and "{+" not in shown


def test_a_megabyte_is_cut_at_a_grapheme_and_said():
    [(_, shown), (mark, note)] = cut("नि" * 500_000)
    assert mark is Mark.NOTE and f"{1_000_000 - len(shown):,} more characters" in note
    assert len(shown) <= LONGEST and shown.endswith("नि")
    old, new = "字" * 500_000 + "旧" + "尾" * 500_000, "字" * 500_000 + "新" + "尾" * 500_000
    text = plain([Record("", tuple(beside(row("zh", chat(old)), row("zh", chat(new)))))], 100)
    assert "[-旧-]{+新+}" in text and "characters the same" in text and "not shown" in text and len(text) < 8_000


def test_calls_thoughts_tools_scores_and_lineage_are_all_there():
    call = {"id": "1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"กรุงเทพ"}'}}
    messages = [
        {"role": "user", "content": "ฝนจะตกไหม"},
        {"role": "assistant", "content": "", "tool_calls": [call], "reasoning": "ask the tool"},
        {"role": "tool", "content": "31 °C", "tool_call_id": "1"},
    ]
    tools = '[{"type": "function", "function": {"name": "weather"}}]'
    more = {"scores": [{"name": "s", "value": 0.25}], "attributes": [{"name": "split", "value": "x"}]}
    shown = plain([row_record(row("th", messages, tools=tools, **more), "train")], 100)
    for said in ('weather({"city":"กรุงเทพ"})', "assistant, reasoning  ask the tool", "tool  ", "31 °C", "s 0.25",
                 "s, a.jsonl:3; licence CC0-1.0", "b" * 32, f"{'a' * 32}  th  train"):  # fmt: skip
        assert said in shown, said


def test_every_kind_of_row_shows_its_texts():
    base = row("sw", [])
    del base["messages"]
    answers = {"prompt": chat("swali"), "chosen": [{"role": "assistant", "content": "zuri"}],
               "rejected": [{"role": "assistant", "content": "baya"}]}  # fmt: skip
    found = {
        "preference": row_record({**base, **answers}),
        "parallel": row_record({**base, "source_language": "en", "source": "river", "target": "mto"}),
        "document": row_record({**base, "text": "habari"}),
        "unpaired": row_record({**base, "prompt": chat("swali"), "completion": answers["chosen"], "label": False}),
    }
    shown = {kind: plain([one], 80) for kind, one in found.items()}
    assert re.search(r"chosen +zuri\n +rejected +baya", shown["preference"])
    assert re.search(r"source +river\n +target +mto", shown["parallel"]) and "habari" in shown["document"]
    assert re.search(r"completion +zuri\n +label +bad", shown["unpaired"])
    languages = {one.label: one.language for one in found["parallel"].entries}
    assert (languages["source"], languages["target"]) == ("en", "sw")


def test_an_empty_text_and_values_of_a_query_are_told():
    assert "(empty)" in plain([row_record(row("en", chat("", "x")))], 60)
    shown = plain([value_record({"m": chat("नमस्ते"), "n": None, "d": {"a": [1]}, "b": b"\xff"}, "1")], 60)
    for said in ("m, user", "नमस्ते", "NULL", '{"a":[1]}', '"ff"'):
        assert said in shown


def test_a_row_of_another_kind_tells_only_what_it_says_itself():
    new = row("sw", [], prompt=chat("swali"), chosen=chat("", "jibu")[1:], rejected=chat("", "baya")[1:])
    del new["messages"]
    found = beside(row("sw", chat("swali", "jibu")), new, before=False)
    assert [(one.label, one.plain) for one in found] == [("chosen", "jibu"), ("rejected", "baya")]
