from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from curate.rows import Kind
from curate.steps import SourceError
from sources.dictd import number, parse
from sources.dictionaries import Dictd, Dictionary

Read = Callable[..., Any]
EN_HI: dict[str, Any] = {"source_language": "en", "target_language": "hi", "license": "cc0-1.0"}
DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def pairs(out: Any) -> list[tuple[str, str]]:
    return [(row["source"], row["target"]) for row in out.rows]


def put(folder: Path, name: str, text: str | bytes) -> str:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return str(path)


# ----------------------------------------------------------------------------------------------------------- word lists
def test_words_between_tabs_may_have_blanks_and_keep_their_scores(read: Read, tmp_path: Path) -> None:
    path = put(tmp_path, "d.txt.gz", gzip.compress("rice\tचावल\t0.9\ngood day\tशुभ दिन\t0.5\nsalt\tनमक\t\n".encode()))
    source = Dictionary(path=path, scores={"probability": "{2}"}, **EN_HI)
    out = read(source)
    assert source.makes is Kind.PARALLEL
    assert pairs(out) == [("rice", "चावल"), ("good day", "शुभ दिन"), ("salt", "नमक")]
    assert [[score["value"] for score in row["scores"]] for row in out.rows] == [[0.9], [0.5], []]
    assert {(row["source_language"], row["language"]) for row in out.rows} == {("en", "hi")}
    assert out.rows[1]["lineage"]["source_id"] == "d.txt.gz:2"


def test_words_between_blanks_have_none_themselves(read: Read, tmp_path: Path) -> None:
    path = put(tmp_path, "d.txt", "rice चावल\n  salt   नमक\ngood day शुभ\n\nwater पानी\n")
    out = read(Dictionary(path=path, **EN_HI))
    assert pairs(out) == [("rice", "चावल"), ("salt", "नमक"), ("water", "पानी")]
    assert out.reasons == ["line 3: 3 columns where most lines have 2; words with spaces need a tab between the sides"]


def test_a_file_between_tabs_keeps_lines_without_one_apart(read: Read, tmp_path: Path) -> None:
    out = read(Dictionary(path=put(tmp_path, "d.tsv", "a\tअ\nb आ\nc\tइ\n"), **EN_HI))
    assert pairs(out) == [("a", "अ"), ("c", "इ")]
    assert out.reasons == ["line 2: 1 columns where most lines have 2"]


def test_identical_pairs_are_passed_over_and_counted_or_kept(read: Read, tmp_path: Path) -> None:
    path = put(tmp_path, "d.txt", "taxi\tTaxi\nrice\tReis\nBerlin\tBerlin\n")
    german = {**EN_HI, "target_language": "de"}
    out = read(Dictionary(path=path, **german))
    assert pairs(out) == [("rice", "Reis")]
    assert out.warnings == ["d.txt: 2 of 3 pairs (67%) have the same word on both sides and were skipped"]
    kept = read(Dictionary(path=path, drop_identical=False, **german))
    assert len(kept.rows) == 3
    assert not kept.warnings


def test_several_translations_in_a_cell_make_a_row_each(read: Read, tmp_path: Path) -> None:
    path = put(tmp_path, "d.txt", "# a comment\nbig ||| बड़ा; विशाल ;\nsmall ||| छोटा\n")
    out = read(Dictionary(path=path, separator="|||", alternatives=";", comment="#", **EN_HI))
    assert pairs(out) == [("big", "बड़ा"), ("big", "विशाल"), ("small", "छोटा")]


def test_columns_may_stand_anywhere_and_the_direction_be_turned(read: Read, tmp_path: Path) -> None:
    path = put(tmp_path, "d.tsv", "id\ten\thi\n1\trice\tचावल\n2\t\tनमक\n")
    out = read(Dictionary(path=path, source=1, target=2, skip=1, direction="both", **EN_HI))
    assert [(row["source_language"], row["source"], row["target"]) for row in out.rows] == [
        ("en", "rice", "चावल"),
        ("hi", "चावल", "rice"),
    ]
    assert all("source side is empty" in reason or "target side is empty" in reason for reason in out.reasons)
    assert len(out.reasons) == 2


def test_a_list_without_two_columns_is_an_error_that_shows_it(read: Read, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"most lines have 1 column, so none has number 1.*'rice,"):
        read(Dictionary(path=put(tmp_path, "d.txt", "rice,चावल\nsalt,नमक\n"), **EN_HI))
    with pytest.raises(ValidationError, match="same column"):
        Dictionary(path="x", source=1, target=1, **EN_HI)
    assert read(Dictionary(path=put(tmp_path, "e.txt", ""), **EN_HI)).rows == []


# ---------------------------------------------------------------------------------------------------------------- dictd
def digits(value: int) -> str:
    text = DIGITS[value % 64]
    while value >= 64:
        value //= 64
        text = DIGITS[value % 64] + text
    return text


def dictd(
    folder: Path, *entries: tuple[str, str], name: str = "freedict-eng-hin", packed: bool = True, more: str = ""
) -> str:
    """A dictionary of (headword, entry), and lines to put behind the index."""
    data, index = b"", ""
    for head, body in (("00databaseshort", "English-Hindi\n"), *entries):
        raw = body.encode()
        index += f"{head}\t{digits(len(data))}\t{digits(len(raw))}\n"
        data += raw
    put(folder, f"{name}.dict.dz" if packed else f"{name}.dict", gzip.compress(data) if packed else data)
    return put(folder, f"{name}.index", index + more)


@given(st.integers(0, 2**48))
def test_numbers_of_an_index_are_read(value: int) -> None:
    assert number(digits(value)) == value


def test_a_dictionary_gives_its_words_with_their_senses(read: Read, tmp_path: Path) -> None:
    path = dictd(
        tmp_path,
        (
            "galaxy",
            'galaxy /ɡˈalɐksi/ <N>\n1. आकाश~गंगा\n      "There are millions of stars."\n2. तारामंडल, समूह (बहुत बड़ा)\n',
        ),
        ("look", "look /lˈʊk/ <V>\n\n\nदेखना\n see: {watch}\n   Synonym: {gaze}\n         Note: of people\n"),
        ("see only", "see only\n see: {other}\n"),
    )
    out = read(Dictd(path=path, attributes={"class": "word_class", "sense": "{sense}"}, **EN_HI))
    assert pairs(out) == [("galaxy", "आकाश गंगा"), ("galaxy", "तारामंडल"), ("galaxy", "समूह"), ("look", "देखना")]
    assert [row["attributes"] for row in out.rows][1] == [
        {"name": "class", "value": "N"},
        {"name": "sense", "value": "2"},
    ]
    assert out.warnings == [
        "freedict-eng-hin.index: 1 of 3 entries have no translation (cross-references, explanations) and were skipped"
    ]


def test_heads_lose_pronunciation_and_marks_and_each_spelling_counts() -> None:
    entry = parse(
        " [news1]  [nf15]  縦横 /x y/,  [nf15]  じゅうおう /dʑo/\n"
        "1. (noun (common))\nlength and width, length\n2. {経緯}warp\n"
    )
    assert entry.heads == ("縦横", "じゅうおう")
    assert entry.senses == ((1, ("length and width", "length")), (2, ("warp",)))
    assert parse("Dorothy //ˈdɑɹ// //ˈdɒɹ// <pn>\nドロシー\n").heads == ("Dorothy",)
    assert parse("and/or /ænd/\nund/oder\n").heads == ("and/or",)


def test_glosses_in_the_source_language_are_no_translations(read: Read, tmp_path: Path) -> None:
    body = "come out //x// <v>\nカミングアウト 2.\nself-disclosure\n 3.\nto tell others\n4. 出る, 現れる\nto exit\n"
    assert parse(body, glosses=True).senses == ((1, ("カミングアウト",)), (4, ("出る", "現れる")))
    path = dictd(tmp_path, ("00databaseinfo", "made by WikDict\n"), ("come out", body))
    japanese = {**EN_HI, "target_language": "ja"}
    assert [target for _, target in pairs(read(Dictd(path=path, **japanese)))] == ["カミングアウト", "出る", "現れる"]
    assert "to exit" in [target for _, target in pairs(read(Dictd(path=path, glosses=False, **japanese)))]


def test_explanations_are_left_out_and_phrases_after_a_full_stop_too(read: Read, tmp_path: Path) -> None:
    body = (
        "current /x/\n1. cereyan, akım. current of events olayların akışı\n"
        "2. suyun ya da havanın belli bir yöne doğru akması\n"
    )
    turkish = {**EN_HI, "target_language": "tr"}
    path = dictd(tmp_path, ("current", body))
    out = read(Dictd(path=path, **turkish))
    assert [target for _, target in pairs(out)] == ["cereyan", "akım"]
    assert "1 of 3 translations have more than 6 words" in out.warnings[0]
    assert len(read(Dictd(path=path, max_words=None, **turkish)).rows) == 3


def test_translated_examples_are_sentence_pairs(read: Read, tmp_path: Path) -> None:
    body = (
        'sum up\nzusammenfassen\n      "To sum up, I agree."  - Kurz gesagt, ich bin dafür.\n      "Not translated"\n'
    )
    german = {**EN_HI, "target_language": "de"}
    path = dictd(tmp_path, ("sum up", body))
    assert pairs(read(Dictd(path=path, take="examples", **german))) == [
        ("To sum up, I agree", "Kurz gesagt, ich bin dafür")
    ]
    assert len(read(Dictd(path=path, take="both", **german)).rows) == 2


def test_an_entry_with_several_index_lines_comes_once(read: Read, tmp_path: Path) -> None:
    path = dictd(tmp_path, ("colour", "colour, color\nरंग\n"), packed=False)
    line = Path(path).read_text().splitlines()[-1].split("\t")
    Path(path).write_text(Path(path).read_text() + "\t".join(["color", *line[1:], "Color"]) + "\n")
    assert pairs(read(Dictd(path=str(tmp_path), **EN_HI))) == [("colour", "रंग"), ("color", "रंग")]


def test_broken_lines_and_entries_are_kept_apart(read: Read, tmp_path: Path) -> None:
    path = dictd(tmp_path, ("good", "good\nअच्छा\n"), ("blank", "/x/\nकुछ\n"), more="a\tB\nb\tA\t!\nc\tA\t////\n\n")
    size = len(gzip.decompress((tmp_path / "freedict-eng-hin.dict.dz").read_bytes()))
    out = read(Dictd(path=path, **EN_HI))
    assert pairs(out) == [("good", "अच्छा")]
    assert out.reasons == [
        "line 3: the entry has no headword",
        "line 4: 2 cells where an index has 3 or 4",
        "line 5: '!' is not a base-64 digit",
        f"line 6: it points {64**4 - 1 - size:,} bytes beyond the end of freedict-eng-hin.dict.dz",
    ]


def test_a_text_that_is_not_utf_8_spoils_its_entry_only(read: Read, tmp_path: Path) -> None:
    path = dictd(tmp_path, ("good", "good\nअच्छा\n"), packed=False)
    text = Path(path).with_suffix(".dict")
    start = len(text.read_bytes())
    text.write_bytes(text.read_bytes() + "caf\u00e9\n".encode("latin-1"))
    Path(path).write_text(Path(path).read_text() + f"cafe\t{digits(start)}\tF\n")
    out = read(Dictd(path=path, **EN_HI))
    assert len(out.rows) == 1
    assert out.reasons[0].startswith("line 3: the entry is not UTF-8")


def test_files_that_are_missing_or_cut_off_are_errors(read: Read, tmp_path: Path) -> None:
    path = dictd(tmp_path, *((f"w{i}", f"w{i} x\nशब्द{i}\n") for i in range(400)))
    text = tmp_path / "freedict-eng-hin.dict.dz"
    text.write_bytes(text.read_bytes()[:-20])
    with pytest.raises(SourceError, match=r"dict\.dz.*truncated"):
        read(Dictd(path=path, **EN_HI))
    assert Dictd(path=str(text), **EN_HI).units()[0].files[1] == text
    text.unlink()
    with pytest.raises(SourceError, match="has no text file next to it"):
        Dictd(path=path, **EN_HI).units()
