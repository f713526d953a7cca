"""Shape: what a trainer would refuse, and what says the same thing over and over."""

from __future__ import annotations

import json
import re
from itertools import product
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.catalog.params import Mark, PerLanguage
from curate.rows import Kind
from filters.repetition import CHARACTERS, LEAST, LETTERS, SHORTEST, WORDS, repetition
from filters.shape import _DEFECTS, Shape

GRAMMAR = {
    "conversation": r"s?(?:ua(?:t+a)*)+",
    "prompt": r"s?(?:ua(?:t+a)*)*u(?:at+(?:at+)*)?",
    "answer": r"a(?:t+a|ua)*",
}
ENGLISH = "The river had risen overnight and the lower fields were under water before anyone in the village woke up. "
TEXTS = {
    "en": ENGLISH,
    "zh": "昨夜河水上涨，村里人还没醒来，低处的田地已经被淹没了，孩子们站在桥上看着。",
    "th": "เมื่อคืนน้ำในแม่น้ำสูงขึ้นและท่วมทุ่งนาก่อนที่ใครในหมู่บ้านจะตื่นขึ้นมาดู ",
    "ar": "ارتفع ماء النهر ليلا وغمر الحقول المنخفضة قبل أن يستيقظ أحد من سكان القرية الصغيرة في الصباح الباكر جدا. ",
    "ko": "밤사이 강물이 불어나 마을 사람들이 깨어나기도 전에 낮은 밭이 모두 물에 잠겨 버렸다고 한다. ",
}


def chat(*turns: str) -> list[dict[str, str]]:
    return [dict(zip(("role", "content"), turn.split(": ", 1), strict=True)) for turn in turns]


def reasons(make: Any, decided: Any, context: Any, kind: Kind, row: dict[str, Any], **params: Any) -> str | None:
    return decided(Shape(**params), make(kind, [{"language": "en", **row}]), context)[0]


def test_the_defects_are_exactly_what_the_grammar_of_turns_forbids() -> None:
    for form, grammar in GRAMMAR.items():
        for length in range(7):
            for letters in product("suat", repeat=length):
                turns = "".join(letters)
                defective = any(re.search(pattern, turns) for _, pattern in _DEFECTS[form])
                assert defective == (re.fullmatch(grammar, turns) is None), (form, turns)


@pytest.mark.parametrize(
    ("turns", "reason"),
    [
        (["user: a", "assistant: b"], None),
        (["system: s", "user: a", "assistant: b", "user: c", "assistant: d"], None),
        (["user: a", "assistant: call", "tool: 3", "assistant: it is 3"], None),
        (["user: a", "assistant: calls", "tool: 3", "tool: 4", "assistant: 7"], None),
        ([], "roles.no_turns"),
        (["assistant: b"], "roles.starts_with"),
        (["user: a", "user: b", "assistant: c"], "roles.alternation"),
        (["user: a", "assistant: b", "assistant: c"], "roles.alternation"),
        (["user: a", "system: s", "assistant: b"], "roles.system_position"),
        (["system: s", "system: s", "user: a", "assistant: b"], "roles.system_position"),
        (["user: a", "tool: 3", "assistant: b"], "roles.tool_position"),
        (["user: a", "assistant: b", "tool: 3", "user: c", "assistant: d"], "roles.tool_position"),
        (["user: a", "assistant: b", "user: c"], "roles.ends_with"),
        (["user: a", "assistant: call", "tool: 3"], "roles.ends_with"),
    ],
)
def test_a_conversation_out_of_order_is_named(
    make: Any, decided: Any, context: Any, turns: list[str], reason: str | None
) -> None:
    assert reasons(make, decided, context, Kind.SFT, {"messages": chat(*turns)}) == reason
    assert reasons(make, decided, context, Kind.SFT, {"messages": chat(*turns)}, roles=False) in (None, "empty")


def test_the_parts_of_a_preference_have_their_own_order(make: Any, decided: Any, context: Any) -> None:
    good = {"prompt": chat("user: Why?"), "chosen": chat("assistant: Because."), "rejected": chat("assistant: No.")}
    assert reasons(make, decided, context, Kind.PREFERENCE, good) is None
    assert (
        reasons(make, decided, context, Kind.PREFERENCE, {**good, "prompt": chat("user: a", "assistant: b")})
        == "roles.ends_with"
    )
    assert (
        reasons(make, decided, context, Kind.PREFERENCE, {**good, "rejected": chat("user: a")}) == "roles.starts_with"
    )
    same = {**good, "rejected": chat("assistant:   Because. \n")}
    assert reasons(make, decided, context, Kind.PREFERENCE, same) == "equal"
    assert reasons(make, decided, context, Kind.PREFERENCE, same, allow_equal=True) is None
    assert reasons(make, decided, context, Kind.PREFERENCE, good, min_response_chars=4) == "min_response_chars"
    assert reasons(make, decided, context, Kind.PREFERENCE, good, max_response_chars=7) == "max_response_chars"


@pytest.mark.parametrize(
    "nothing", ["", " \n\t", "\u200b\u200e", "\ufeff", "\u3164", "\u2800", "\u00ad\u2060", "\u3000\u00a0"]
)
def test_what_shows_nothing_is_empty_in_every_kind(make: Any, decided: Any, context: Any, nothing: str) -> None:
    spoken = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": nothing}]
    assert reasons(make, decided, context, Kind.SFT, {"messages": spoken}) == "empty"
    assert reasons(make, decided, context, Kind.DOCUMENT, {"text": nothing}) == "empty"
    pair = {"source_language": "de", "source": nothing, "target": "Hello"}
    assert reasons(make, decided, context, Kind.PARALLEL, pair) == "empty"
    assert reasons(make, decided, context, Kind.PARALLEL, pair, allow_empty=True) is None


@pytest.mark.parametrize("something", ["0", "?", "👍", "́a", "म", "\u200d👩", "।"])
def test_a_single_visible_sign_is_not_empty(make: Any, decided: Any, context: Any, something: str) -> None:
    assert reasons(make, decided, context, Kind.DOCUMENT, {"text": something}) is None


def test_broken_characters_are_counted_apart(make: Any, decided: Any, context: Any) -> None:
    assert reasons(make, decided, context, Kind.DOCUMENT, {"text": "caf\ufffd"}) == "replacement"
    assert reasons(make, decided, context, Kind.DOCUMENT, {"text": "caf\ufffd"}, max_replacement=1) is None
    assert reasons(make, decided, context, Kind.DOCUMENT, {"text": "bell\x07"}) == "controls"
    assert reasons(make, decided, context, Kind.DOCUMENT, {"text": "tab\tand\r\nline"}) is None


def test_limits_differ_by_language_and_turns_are_counted_without_the_system_message(
    make: Any, decided: Any, context: Any
) -> None:
    rows = make(
        Kind.SFT,
        [
            {"language": tag, "messages": chat("system: Kurz.", "user: 你好吗朋友", "assistant: 我很好谢谢你")}
            for tag in ("zh", "zh-Hant", "en")
        ],
    )
    assert decided(Shape(min_response_chars={"default": 10, "zh": 5}), rows, context) == [
        None,
        None,
        "min_response_chars",
    ]
    assert decided(Shape(max_turns=2), rows, context) == [None] * 3
    assert decided(Shape(min_turns=3), rows, context) == ["min_turns"] * 3
    assert decided(Shape(allow_system=False), rows, context) == ["system"] * 3
    assert decided(Shape(max_chars=15), rows, context) == ["max_chars"] * 3
    frame = Shape().score(rows, context, None)
    assert frame.row(0, named=True) | {"repetition": 0.0} == {
        "empty": 0.0,
        "chars": 16.0,
        "repetition": 0.0,
        "loop": 1.0,
        "replacement": 0.0,
        "controls": 0.0,
        "turns": 2.0,
        "system": 1.0,
        "prompt_chars": 5.0,
        "response_chars": 6.0,
        "roles": None,
        "tools": None,
        "media": None,
    }


@pytest.mark.parametrize("language", TEXTS)
def test_a_text_said_again_and_again_is_repetitive_in_every_script(language: str) -> None:
    once = TEXTS[language]
    frame = repetition(pl.Series([once, once * 2, once * 10, once[:12] * 20]))
    shares, loops = frame["repetition"].to_list(), frame["loop"].to_list()
    assert shares[0] == 0.0
    assert 0.35 <= shares[1] <= 0.5
    assert shares[2] >= 0.85
    assert loops[:3] == [1.0, 2.0, 10.0]
    assert loops[3] >= 15


@pytest.mark.parametrize(
    "fine",
    [
        "1. Apples\n2. Pears\n3. Plums\n4. Cherries\n5. Apricots\n6. Peaches\n7. Quinces\n8. Grapes\n9. Figs",
        "| Year | Rain | Sun |\n|---|---|---|\n"
        + "\n".join(f"| {year} | {year % 7} | {year % 5} |" for year in range(1990, 2020)),
        "0, 0, 0, 0, 0, 0, 0",
        "Row, row, row your boat, gently down the stream. Merrily, merrily, merrily, merrily, life is but a dream.",
        "哈哈哈哈哈哈，你真会开玩笑！",
        "The more you read, the more you know; the more you know, the more you ask; the more you ask, the more you "
        "learn.",
        "^[a-zA-Z0-9]+(?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$",
        "-----------------------------------------------------------",
    ],
)
def test_lists_tables_songs_and_patterns_are_not_repetitive(make: Any, decided: Any, context: Any, fine: str) -> None:
    assert reasons(make, decided, context, Kind.DOCUMENT, {"text": fine}) is None


@pytest.mark.parametrize(
    "stuck", ["I am sorry. " * 9, "na " * 40, "呵" * 40, "0 " * 60, "a" * 400, "x" + "\u0326" * 300, "สวัสดี" * 12]
)
def test_a_model_that_got_stuck_is_caught_by_the_loop(make: Any, decided: Any, context: Any, stuck: str) -> None:
    assert reasons(make, decided, context, Kind.DOCUMENT, {"text": stuck}) == "loop"


def test_repetition_looks_at_the_answer_unless_told_otherwise(make: Any, decided: Any, context: Any) -> None:
    row = {"messages": chat("user: " + ENGLISH * 6, "assistant: Done.")}
    assert reasons(make, decided, context, Kind.SFT, row) is None
    assert reasons(make, decided, context, Kind.SFT, row, repetition_in=("prompt",)) == "repetition"
    assert Shape(repetition_in=("target",)).check(Kind.SFT) == [
        "repetition_in: sft rows have no field 'target'; they have prompt, response, system, messages"
    ]


def test_no_threshold_changes_a_score_and_no_rows_are_no_problem(make: Any, context: Any) -> None:
    rows = make(Kind.SFT, [{"language": "en", "messages": chat("user: Hi", "assistant: " + ENGLISH * 4)}])
    strict = Shape(
        max_repetition=0.1, max_loop=2, min_chars=10, max_chars=20, roles=False, max_turns=1, allow_empty=True
    )
    assert strict.identity(decisions=False) == Shape().identity(decisions=False)
    assert strict.score(rows, context, None).equals(Shape().score(rows, context, None))
    for kind in Kind:
        nothing = make(kind, [])
        assert Shape().score(nothing, context, None).columns == list(Shape().columns(kind))
    assert Shape.marked(Mark.DECISION) >= {"roles", "max_repetition", "min_prompt_chars"}
    assert PerLanguage(0.6) == Shape().max_repetition


WORD = st.sampled_from(["alpha", "beta", "gamma", "delta", "epsilon"])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(WORD, max_size=80), min_size=1, max_size=4))
def test_repetition_and_loops_are_what_plain_python_counts(texts: list[list[str]]) -> None:
    frame = repetition(pl.Series([", ".join(words) for words in texts]))
    for words, share, loop in zip(texts, frame["repetition"], frame["loop"], strict=True):
        covered: set[int] = set()
        seen: set[tuple[str, ...]] = set()
        for start in range(len(words) - WORDS + 1):
            window = tuple(words[start : start + WORDS])
            if window in seen and len("".join(window)) >= LETTERS:
                covered |= set(range(start, start + WORDS))
            seen.add(window)
        expected = len(covered) / len(words) if len(words) >= SHORTEST * WORDS else 0.0
        assert share == pytest.approx(expected, abs=1e-4)
        longest = 1
        for period in range(1, len(words)):
            run = 0
            for at in range(len(words) - period):
                run = run + 1 if words[at] == words[at + period] else 0
                if run >= LEAST:
                    longest = max(longest, run // period + 1)
        assert loop == longest


def test_characters_are_windows_of_sixteen() -> None:
    text = "春眠不觉晓处处闻啼鸟夜来风雨声花落知多少" * 4
    assert repetition(pl.Series([text]))["repetition"][0] == pytest.approx(0.75)
    assert CHARACTERS == 16


# ------------------------------------------------------------------------------------------------------------ structure
def called(name: str = "saa", arguments: str = '{"mji": "Pemba"}', id: str = "c1") -> dict[str, Any]:
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def calling(*calls: dict[str, Any], content: str = "") -> dict[str, Any]:
    return {"role": "assistant", "content": content, "tool_calls": list(calls)}


def result(id: str | None = "c1") -> dict[str, Any]:
    return {"role": "tool", "content": "10:00", "tool_call_id": id}


CLOCK = json.dumps(
    [
        {
            "type": "function",
            "function": {
                "name": "saa",
                "parameters": {
                    "type": "object",
                    "properties": {"mji": {"type": "string"}},
                    "required": ["mji"],
                    "additionalProperties": False,
                },
            },
        }
    ]
)
SAID = {"role": "assistant", "content": "Saa nne."}
ASKED = {"role": "user", "content": "Saa ngapi?"}


@pytest.mark.parametrize(
    ("turns", "tools", "reason"),
    [
        ([ASKED, calling(called()), result(), SAID], CLOCK, None),
        ([ASKED, calling(called()), result(), SAID], None, None),
        ([ASKED, calling(called(id=""), called(id="")), result(None), result(None), SAID], CLOCK, None),
        ([ASKED, calling(called(id="a"), called(id="b")), result("b"), result("a"), SAID], CLOCK, None),
        ([ASKED, calling(called())], CLOCK, None),
        ([ASKED, calling(called("siku"))], CLOCK, "tools.unknown"),
        ([ASKED, calling(called("siku"))], "[]", "tools.unknown"),
        ([ASKED, calling(called())], "{no json", "tools.unknown"),
        ([ASKED, calling(called(arguments="{mji}"))], CLOCK, "tools.arguments"),
        ([ASKED, calling(called(arguments='["Pemba"]'))], None, "tools.arguments"),
        ([ASKED, calling(called(arguments="{}"))], CLOCK, "tools.schema"),
        ([ASKED, calling(called(arguments='{"mji": 3}'))], CLOCK, "tools.schema"),
        ([ASKED, calling(called(arguments='{"mji": "x", "nchi": "y"}'))], CLOCK, "tools.schema"),
        ([ASKED, calling(called(), content="Ngoja."), ASKED, SAID], CLOCK, "tools.unanswered"),
        ([ASKED, calling(called(), called(id="c2")), result(), SAID], CLOCK, "tools.unanswered"),
        ([ASKED, calling(called()), result("c9"), SAID], CLOCK, "tools.result"),
        ([ASKED, SAID, result("c1"), SAID], None, "tools.result"),
        ([ASKED, {**SAID, "content": "saa()"}, result(None), SAID], None, None),
        ([ASKED, calling(called(arguments="{}"))], '[{"name": "saa", "parameters": {"type": "nonsense"}}]', None),
        ([ASKED, calling(called(arguments="{}"))], '[{"name": "saa", "parameters": {"$ref": "http://x.test/"}}]', None),
        ([ASKED, {**SAID, "content": ""}], CLOCK, "empty"),
    ],
    ids=range(21),
)  # fmt: skip
def test_calls_must_fit_tools_and_results(
    make: Any, decided: Any, context: Any, turns: list[dict[str, Any]], tools: str | None, reason: str | None
) -> None:
    row = {"language": "sw", "messages": turns, "tools": tools}
    plain = {"language": "sw", "messages": [ASKED, SAID]}
    assert decided(Shape(), make(Kind.SFT, [plain, row, plain]), context) == [None, reason, None]
    if reason and reason.startswith("tools"):
        assert decided(Shape(tools=False), make(Kind.SFT, [row]), context) == [None]
    split = {"language": "sw", "prompt": turns[:1], "chosen": turns[1:], "rejected": [SAID], "tools": tools}
    assert decided(Shape(), make(Kind.PREFERENCE, [split]), context) in ([reason], ["roles.ends_with"], ["equal"])


def test_references_must_have_their_places(make: Any, decided: Any, context: Any) -> None:
    def row(text: str, **media: list[str]) -> dict[str, Any]:
        return {"language": "sw", "messages": [{"role": "user", "content": text}, SAID], **media}

    rows = [
        row("<image>Nini?", images=["a.png"]),
        row("<image><image>Nini?", images=["a.png"]),
        row("Nini?", videos=["a.mp4"]),
        row("<image> ni alama"),
        row("<audio>?<image>", images=["a"], audios=["b"]),
    ]
    assert decided(Shape(), make(Kind.SFT, rows), context) == [None, "media", "media", None, None]
    assert decided(Shape(media=False), make(Kind.SFT, rows), context) == [None] * 5
