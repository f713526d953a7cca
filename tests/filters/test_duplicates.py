"""Duplicates: what counts as the same, which row stays, and that shards and memory do not matter."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from settling import settle

from curate.catalog.params import Mark
from curate.rows import Kind
from filters.duplicates.normalize import _APOSTROPHE_AND_MARK, Normalization
from filters.duplicates.step import Duplicates


def kept(
    make: Any, context: Any, tmp_path: Path, rows: list[dict[str, Any]], kind: Kind = Kind.DOCUMENT, **params: Any
) -> list[bool]:
    context.scratch = tmp_path / f"scratch{len(list(tmp_path.iterdir()))}"
    found = settle(Duplicates(**params), [make(kind, rows)], context, tmp_path / f"s{len(list(tmp_path.iterdir()))}")
    return [row["keep"] for row in found]


@pytest.mark.parametrize(
    ("left", "right", "switch"),
    [
        ("ＡＢＣ１２３", "ABC123", {"unicode": "nfc"}),
        ("caf\u00e9", "cafe\u0301", {"unicode": "none"}),
        ("Straße", "STRASSE", {"case": "keep"}),
        ("Ὀδυσσεύς", "ὈΔΥΣΣΕΎΣ", {"case": "keep"}),
        ("two  words\n", "two words", {"whitespace": "keep"}),
        ("zero\u200bwidth", "zerowidth", {"whitespace": "keep"}),
    ],
)
def test_each_normalisation_can_be_switched_off(
    make: Any, context: Any, tmp_path: Path, left: str, right: str, switch: dict[str, Any]
) -> None:
    rows = [{"language": "de", "text": left}, {"language": "de", "text": right}]
    assert kept(make, context, tmp_path, rows) == [True, False]
    assert kept(make, context, tmp_path, rows, **switch) == [True, True]


@pytest.mark.parametrize(
    ("left", "right", "switch"),
    [
        ("你好 世界", "你好世界", {"whitespace": "remove"}),
        ("Hello, world!", "Hello world", {"punctuation": "ignore"}),
        ("Don't — really", "dont really", {"punctuation": "ignore"}),
        ("你好，世界。", "你好世界", {"punctuation": "ignore", "whitespace": "remove"}),
        ("٣ كتب", "3 كتب", {"digits": "fold"}),
        ("كَتَبَ", "كتب", {"diacritics": "ignore"}),
        ("שָׁלוֹם", "שלום", {"diacritics": "ignore"}),
    ],
)
def test_each_further_normalisation_can_be_switched_on(
    make: Any, context: Any, tmp_path: Path, left: str, right: str, switch: dict[str, Any]
) -> None:
    rows = [{"language": "ar", "text": left}, {"language": "ar", "text": right}]
    assert kept(make, context, tmp_path, rows) == [True, True]
    assert kept(make, context, tmp_path, rows, **switch) == [True, False]


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("C++", "C#"),
        ("C#", "C"),
        ("3.5 kg", "35 kg"),
        ("-4", "4"),
        ("5%", "5"),
        ("a < b", "a > b"),
        ("$5", "€5"),
        ("???", "!!!"),
        ("कि", "की"),
        ("กา", "ก่า"),
        ("می‌خواهم", "میخواهم"),
        ("résumé", "resume"),
        ("👍🏽", "👍"),
        ("10:30", "1030"),
    ],
)
def test_what_changes_the_meaning_never_counts_as_the_same(
    make: Any, context: Any, tmp_path: Path, left: str, right: str
) -> None:
    rows = [{"language": "en", "text": left}, {"language": "en", "text": right}]
    everything = {"punctuation": "ignore", "whitespace": "collapse", "digits": "fold", "diacritics": "ignore"}
    assert kept(make, context, tmp_path, rows, **everything) == [True, True]


def test_case_is_a_matter_of_language(make: Any, context: Any, tmp_path: Path) -> None:
    for language, same in (("tr", [True, False]), ("en", [True, True])):
        assert (
            kept(
                make,
                context,
                tmp_path,
                [{"language": language, "text": "ISPARTA"}, {"language": language, "text": "ısparta"}],
            )
            == same
        )


def test_the_same_text_in_another_language_stays_unless_all_languages_are_one(
    make: Any, context: Any, tmp_path: Path
) -> None:
    rows = [
        {"language": "en", "text": "Hotel"},
        {"language": "de", "text": "Hotel"},
        {"language": "de", "text": "hotel"},
    ]
    assert kept(make, context, tmp_path, rows) == [True, True, False]
    assert kept(make, context, tmp_path, rows, across="all") == [True, False, False]


def test_rows_without_text_are_no_duplicates_and_fields_do_not_run_together(
    make: Any, context: Any, tmp_path: Path
) -> None:
    from_empty = [{"language": "en", "text": text} for text in ("", " \n", "\u200b", "x", "x")]
    assert kept(make, context, tmp_path, from_empty) == [True, True, True, True, False]
    pairs = [
        {"source_language": "de", "language": "en", "source": a, "target": b}
        for a, b in (("ab", "c"), ("a", "bc"), ("ab", "c"))
    ]
    assert kept(make, context, tmp_path, pairs, Kind.PARALLEL) == [True, True, False]


def test_the_fields_decide_what_is_compared(make: Any, context: Any, tmp_path: Path) -> None:
    chats = [
        {"language": "en", "messages": [{"role": "user", "content": p}, {"role": "assistant", "content": r}]}
        for p, r in (("Why?", "Because."), ("Why?", "No idea."), ("How?", "Because."))
    ]
    assert kept(make, context, tmp_path, chats, Kind.SFT) == [True, True, True]
    assert kept(make, context, tmp_path, chats, Kind.SFT, fields=("prompt",)) == [True, False, True]
    assert kept(make, context, tmp_path, chats, Kind.SFT, fields=("response",)) == [True, True, False]
    assert Duplicates(fields=("answer",)).check(Kind.SFT)


def test_which_row_stays_can_be_chosen_and_the_others_point_to_it(make: Any, context: Any, tmp_path: Path) -> None:
    def row(text: str, source: str, *scores: float) -> dict[str, Any]:
        return {
            "language": "en",
            "text": text,
            "source_name": source,
            "scores": [{"name": "grade", "value": s} for s in scores],
        }

    rows = make(
        Kind.DOCUMENT,
        [row("a b", "web", 2), row("a  b", "book"), row("A   b", "web", 3), row("a\nb", "wiki", 3), row("c", "web")],
    )
    chosen = {}
    for name, params in {
        "first": {},
        "longest": {"keep": "longest"},
        "best": {"keep": "best", "by": "grade"},
        "source": {"source_order": ("wiki", "book")},
    }.items():
        context.scratch = tmp_path / f"scratch-{name}"
        found = settle(Duplicates(**params), [rows], context, tmp_path / name)
        chosen[name] = [n for n, each in enumerate(found) if each["keep"]]
        stays = rows.ids[chosen[name][0]]
        assert {each["duplicate_of"] for each in found if not each["keep"]} == {stays}
        assert [each["reason"] for each in found].count("duplicate") == 3
        assert [each["size"] for each in found] == [4.0] * 4 + [1.0]
        assert {each["cluster_id"] for each in found[:4]} == {min(rows.ids[:4])}
        assert found[4] == {
            "keep": True,
            "reason": None,
            "cluster_id": None,
            "duplicate_of": None,
            "similarity": None,
            "size": 1.0,
        }
    assert chosen == {"first": [0, 4], "longest": [2, 4], "best": [2, 4], "source": [3, 4]}
    with pytest.raises(ValidationError, match="by"):
        Duplicates(keep="best")


def test_how_the_rows_are_cut_into_shards_and_how_much_memory_there_is_do_not_matter(
    make: Any, context: Any, tmp_path: Path
) -> None:
    texts = [{"language": "en", "text": f"text {n * n % 37}"} for n in range(200)] + [{"language": "en", "text": ""}]
    outcomes = []
    for cut, memory in (([201], 2**28), ([0, 50, 51, 130, 130, 201], 1), ([7, 201], 2**26)):
        context.memory, context.scratch = memory, tmp_path / f"scratch{len(outcomes)}"
        shards = [make(Kind.DOCUMENT, texts[a:b]) for a, b in zip([0, *cut], cut, strict=False)]
        outcomes.append(settle(Duplicates(), shards, context, tmp_path / f"cut{len(outcomes)}"))
    assert outcomes[0] == outcomes[1] == outcomes[2]
    seen: set[str] = set()
    expected = [each["text"] == "" or not (each["text"] in seen or seen.add(each["text"])) for each in texts]
    assert [each["keep"] for each in outcomes[0]] == expected


def test_nothing_at_all_is_decided_as_nothing(make: Any, context: Any, tmp_path: Path) -> None:
    assert settle(Duplicates(), [make(Kind.SFT, [])], context, tmp_path / "one") == []
    context.scratch = tmp_path / "again"
    assert list(Duplicates().decide([], context)) == []


def test_which_row_stays_is_a_decision_and_leaves_the_summary_alone(make: Any, context: Any) -> None:
    assert Duplicates.marked(Mark.DECISION) >= {
        "keep",
        "source_order",
        "by",
        "similarity",
        "across",
        "scope",
        "linkage",
    }
    rows = make(Kind.DOCUMENT, [{"language": "en", "text": "x"}])
    assert Duplicates(keep="longest").summarize(rows, context).equals(Duplicates().summarize(rows, context))


SIGNS = st.text(st.sampled_from("aAıİIßſσς éＡ１٣3.,!-+#'’\u200b \n\u00a0你，好कि\u064eא\u05b8"), max_size=12)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(SIGNS, min_size=1, max_size=6),
    st.sampled_from(["en", "tr"]),
    st.sampled_from(["keep", "ignore"]),
    st.sampled_from(["collapse", "remove"]),
)
def test_the_normal_form_is_that_of_plain_python(
    texts: list[str], language: str, punctuation: Any, whitespace: Any
) -> None:
    same = Normalization(punctuation=punctuation, whitespace=whitespace)
    found = same.normalize(pl.Series(texts, dtype=pl.String), pl.Series([language] * len(texts))).to_list()

    def squeeze(text: str) -> str:
        return unicodedata.normalize("NFKC", (" " if whitespace == "collapse" else "").join(text.split()))

    for text, normal in zip(texts, found, strict=True):
        expected = unicodedata.normalize("NFKC", regex.sub("[\u200b\u00ad\u2060\ufeff]", "", text))
        if language == "tr":
            expected = expected.replace("I", "ı").replace("İ", "i")
        expected = unicodedata.normalize("NFKC", expected.casefold())
        if punctuation == "ignore":
            bare = expected.replace("'", "").replace("’", "")
            bare = "".join(
                " "
                if unicodedata.category(c)[0] == "P"
                and c not in "#"
                and unicodedata.category((bare + " ")[n + 1])[0] != "N"
                else c
                for n, c in enumerate(bare)
            )
            expected = bare if squeeze(bare) else expected
        assert normal == squeeze(expected)
    again = same.normalize(pl.Series(found, dtype=pl.String), pl.Series([language] * len(found))).to_list()
    if punctuation == "keep":
        assert again == found


def test_only_marks_and_jamo_make_another_character_of_the_one_before_them() -> None:
    # Why text that is normal is still normal without punctuation, unless one of these follows an apostrophe.
    pairs = (unicodedata.decomposition(chr(point)).split() for point in range(0x110000))
    seconds = {chr(int(pair[1], 16)) for pair in pairs if len(pair) == 2 and not pair[0].startswith("<")}
    seconds |= {chr(point) for point in (*range(0x1161, 0x1176), *range(0x11A8, 0x11C3))}
    assert len(seconds) > 60
    assert all(pl.select(pl.lit("'" + one).str.contains(_APOSTROPHE_AND_MARK)).item() for one in seconds)
    step = Normalization(punctuation="ignore")
    texts = pl.Series(["e'\u0301 x", "ᄀ'ᅡ", "l'\u00e9t\u00e9 - a  .  b", "...", "'"])
    assert step.finish(texts).to_list() == ["é x", "가", "lété a b", "...", "'"]
