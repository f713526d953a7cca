"""What is wrong with one unit of a translation memory costs that unit."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curate.steps import SourceError
from sources import tmx as module
from sources.parallel import Tmx

Read = Callable[..., Any]
PAIR: dict[str, Any] = {"source_language": "en", "target_language": "hi", "license": "x"}
HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<tmx version="1.4"><header srclang="en"><note>n</note></header>\n<body>\n'
)
TAIL = "</body></tmx>\n"
GOOD = (
    '<tu tuid="{0}"><tuv xml:lang="en"><seg>Sentence {0}.</seg></tuv><tuv xml:lang="hi"><seg>वाक्य '
    "{0}।</seg></tuv></tu>\n"
)


def put(folder: Path, text: str | bytes, name: str = "m.tmx") -> str:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape"))
    return str(path)


def kept(out: Any) -> list[str]:
    return [row["source"] for row in out.rows]


def unit(segment: str) -> str:
    return f'<tu><tuv xml:lang="en"><seg>{segment}</seg></tuv><tuv xml:lang="hi"><seg>हिन्दी</seg></tuv></tu>\n'


# What is wrong → the unit as it stands in the file, and a word of the reason.
ODD = {
    "a control character": (unit("a\x02b"), "U+0002"),
    "a form feed": (unit("a\x0cb"), "U+000C"),
    "NUL": (unit("a\0b"), "U+0000"),
    "no character": (unit("a\ufffeb"), "U+FFFE"),
    "a reference to a control character": (unit("a&#x1F;b"), "invalid character"),
    "a reference to half a pair": (unit("a&#xD800;b"), "invalid character"),
    "a byte that is no UTF-8": (unit("a\udcffb"), "0xff"),
    "a lone ampersand": (unit("R&D"), "not XML"),
    "an unknown entity": (unit("a&nbsp;b"), "undefined entity"),
    "a lone angle bracket": (unit("1 < 2"), "not XML"),
    "a tag that is not closed": (unit("a<b>c"), "mismatched tag"),
    "a tag that is not opened": (unit("a</b>c"), "mismatched tag"),
    "an attribute without quotes": ("<tu tuid=7>" + unit("a")[4:], "not XML"),
    "an unknown name space": (unit("<q:ph>x</q:ph>y"), "unbound prefix"),
    "a unit that is not closed": (unit("a").replace("</tu>", ""), "mismatched tag"),
    "an end without a beginning": ("</tu>\n", "without a beginning"),
    "a declaration": (unit("<!DOCTYPE x [<!ENTITY e 'v'>]>"), "not XML"),
    "a comment that is not closed": (unit("a <!-- b"), "not XML"),
}


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("block", [97, 1 << 16])
def test_one_odd_unit_costs_that_unit_only(
    read: Read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, odd: str, block: int
) -> None:
    text, word = ODD[odd]
    monkeypatch.setattr(module, "_BLOCK", block)
    path = put(tmp_path, HEAD + GOOD.format(0) + text + GOOD.format(1) + GOOD.format(2) + TAIL)
    out = read(Tmx(path=path, id="{tuid}", **PAIR))
    assert kept(out) == ["Sentence 0.", "Sentence 1.", "Sentence 2."]
    assert [row["target"] for row in out.rows] == ["वाक्य 0।", "वाक्य 1।", "वाक्य 2।"]
    (reason,) = out.reasons
    assert reason.startswith("row 1: ") and word in reason, reason
    out.bad[0][1].raw.encode()


def test_places_go_on_behind_an_odd_unit_and_an_odd_one_alone_is_no_missing_language(
    read: Read, tmp_path: Path
) -> None:
    out = read(Tmx(path=put(tmp_path, HEAD + unit("a\x02") + GOOD.format(1) + TAIL), **PAIR))
    assert [row["lineage"]["source_id"] for row in out.rows] == ["m.tmx#1"] and out.bad[0][1].where == "row 0"
    out = read(Tmx(path=put(tmp_path, HEAD + unit("a\x02") + TAIL), **PAIR))
    assert not out.rows and len(out.bad) == 1


def test_a_control_character_in_the_header_costs_nothing(read: Read, tmp_path: Path) -> None:
    path = put(tmp_path, HEAD.replace(">n<", ">n\x02\ufffe<") + GOOD.format(0) + TAIL)
    assert kept(read(Tmx(path=path, **PAIR))) == ["Sentence 0."]


def test_comments_and_marked_sections_may_hold_whole_units(read: Read, tmp_path: Path) -> None:
    text = (
        HEAD
        + "<!-- old: "
        + unit("commented out")
        + " -->"
        + GOOD.format(0)
        + unit("<![CDATA[</tu><tu> & <b>]]>")
        + unit("a<!-- </tu> <tu> -->b")
        + "<tu/><tu tuid='x' />"
        + GOOD.format(1)
        + TAIL
    )
    for block in (61, 1 << 16):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "_BLOCK", block)
            out = read(Tmx(path=put(tmp_path, text), **PAIR))
        assert kept(out) == ["Sentence 0.", "</tu><tu> & <b>", "ab", "Sentence 1."] and not out.bad


def test_name_spaces_are_known_inside_of_units(read: Read, tmp_path: Path) -> None:
    head = '<t:tmx xmlns:t="urn:tmx" xmlns:q="urn:q" version="1.4"><t:header/><t:body>'
    one = (
        '<t:tu><t:tuv xml:lang="en"><t:seg>a<q:x>b</q:x></t:seg></t:tuv><t:tuv '
        'xml:lang="hi"><t:seg>क</t:seg></t:tuv></t:tu>'
    )
    assert kept(read(Tmx(path=put(tmp_path, f"{head}{one}</t:body></t:tmx>"), **PAIR))) == ["ab"]
    plain = HEAD.replace("<tmx ", '<tmx xmlns="http://www.lisa.org/tmx14" ') + GOOD.format(0) + TAIL
    assert kept(read(Tmx(path=put(tmp_path, plain), **PAIR))) == ["Sentence 0."]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "iso-8859-15", "cp1251", "utf-32"])
def test_the_encoding_is_that_of_the_mark_or_of_the_declaration(read: Read, tmp_path: Path, encoding: str) -> None:
    word = {"iso-8859-15": "Größe €", "cp1251": "Размер"}.get(encoding, "आकार")
    text = (
        HEAD.replace("UTF-8", encoding.removesuffix("-sig").removesuffix("-le"))
        + unit(word).replace("हिन्दी", word)
        + TAIL
    )
    if encoding == "utf-16-le":
        with pytest.raises(SourceError, match="utf-16-le"):
            read(Tmx(path=put(tmp_path, text.encode(encoding)), **PAIR))
        return
    assert kept(read(Tmx(path=put(tmp_path, text.encode(encoding)), **PAIR))) == [word]


def test_an_encoding_that_nobody_knows_is_named(read: Read, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="declares the unknown encoding 'klingon'"):
        read(Tmx(path=put(tmp_path, HEAD.replace("UTF-8", "klingon") + TAIL), **PAIR))


@pytest.mark.parametrize(
    "tail",
    [
        "",
        "</body>",
        "</tmx>",
        "<tu></body></tmx>",
        '<tu><tuv xml:lang="en">',
        "</body></tmx><more/>",
        "<!-- ",
        "</header></body></tmx>",
    ],
)
def test_what_stands_around_the_units_must_be_whole(read: Read, tmp_path: Path, tail: str) -> None:
    with pytest.raises(SourceError, match=r"m\.tmx, line \d+, column \d+: the XML is broken or cut off"):
        read(Tmx(path=put(tmp_path, HEAD + GOOD.format(0) * 3 + tail), **PAIR))


def test_the_line_of_what_is_broken_is_that_of_the_file(read: Read, tmp_path: Path) -> None:
    text = HEAD + (unit("a\nb") + "\n") * 50 + "<prop>\n</body></tmx>"
    line = text.count("\n", 0, text.index("</body>")) + 1
    with pytest.raises(SourceError, match=rf"m\.tmx, line {line}, column"):
        read(Tmx(path=put(tmp_path, text), **PAIR))


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.text(st.characters(codec="utf-8"), max_size=12),
    piece=st.sampled_from(
        [
            "",
            "<",
            ">",
            "&",
            "</tu>",
            "<tu>",
            "<!--",
            "-->",
            "<![CDATA[",
            "]]>",
            "\x01",
            "&amp;",
            "&#1;",
            "</seg>",
            '"',
            "</body>",
            "<?x",
        ]
    ),
    block=st.integers(30, 400),
)
def test_whatever_a_segment_holds_the_units_around_it_stay_or_the_file_is_refused(
    read: Read, tmp_path: Path, text: str, piece: str, block: int
) -> None:
    """Only what ends the body inside of a unit, or leaves an end over, is the file's fault and not the unit's."""
    path = put(tmp_path, HEAD + GOOD.format(0) + unit(text + piece + text) + GOOD.format(1) + TAIL)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_BLOCK", block)
        try:
            out = read(Tmx(path=path, **PAIR))
        except SourceError as error:
            assert piece in ("</body>", "</tu>", "<tu>", "<!--", "<![CDATA[") or "<" in text, error
            return
    assert kept(out)[0] == "Sentence 0." and kept(out)[-1] == "Sentence 1."
    assert len(out.rows) + len(out.bad) >= 3


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(0, 900), block=st.integers(20, 300), pack=st.booleans())
def test_a_memory_cut_off_anywhere_is_an_error(read: Read, tmp_path: Path, cut: int, block: int, pack: bool) -> None:
    whole = (HEAD + "".join(GOOD.format(i) for i in range(4)) + TAIL).encode().rstrip()
    data = whole[:cut]
    if len(data) == len(whole):
        return
    path = put(tmp_path, gzip.compress(data) if pack else data, "m.tmx.gz" if pack else "m.tmx")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_BLOCK", block)
        with pytest.raises(SourceError, match=r"m\.tmx"):
            read(Tmx(path=path, **PAIR))
