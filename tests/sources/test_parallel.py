from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from curate.rows import Kind
from curate.steps import SourceError
from sources.parallel import Moses, ParallelTsv, Tmx

Read = Callable[..., Any]
EN_HI: dict[str, Any] = {"source_language": "en", "target_language": "hi", "license": "cc0-1.0"}


def sides(out: Any) -> list[tuple[str, str, str, str]]:
    return [(row["source_language"], row["source"], row["language"], row["target"]) for row in out.rows]


def put(folder: Path, name: str, text: str | bytes) -> str:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return str(path)


# ---------------------------------------------------------------------------------------------------------------- Moses
def test_two_files_pair_up_line_by_line(read: Read, tmp_path: Path) -> None:
    left = put(tmp_path, "l.txt", "Good day.\nOne\u2028line.\n\nLast")
    right = put(tmp_path, "r.txt.gz", gzip.compress("नमस्ते।\r\nएक पंक्ति।\r\nखाली\r\nअंतिम\r\n".encode()))
    source = Moses(source_path=left, target_path=right, key="{@line}", **EN_HI)
    out = read(source)
    assert source.makes is Kind.PARALLEL
    assert sides(out) == [
        ("en", "Good day.", "hi", "नमस्ते।"),
        ("en", "One\u2028line.", "hi", "एक पंक्ति।"),
        ("en", "Last", "hi", "अंतिम"),
    ]
    assert out.reasons == ["line 3: the source side is empty"]
    assert [(row["group_id"], row["lineage"]["source_id"]) for row in out.rows][2] == ("src:4", "l.txt | r.txt.gz:4")


def test_a_prefix_finds_both_files_whatever_their_codes(read: Read, tmp_path: Path) -> None:
    put(tmp_path, "tatoeba.hin-eng.eng", "Yes.\n")
    put(tmp_path, "tatoeba.hin-eng.hin", "हाँ।\n")
    put(tmp_path, "tatoeba.hin-eng.notes", "x\n")
    assert sides(read(Moses(path=str(tmp_path / "tatoeba.hin-eng"), **EN_HI))) == [("en", "Yes.", "hi", "हाँ।")]
    with pytest.raises(SourceError, match=r"no file .*\.sw; files with this prefix: tatoeba"):
        Moses(path=str(tmp_path / "tatoeba.hin-eng"), source_language="en", target_language="sw", license="x").units()


def test_files_of_different_length_are_an_error_with_both_counts(read: Read, tmp_path: Path) -> None:
    for left, right in (("a\nb\nc\n", "x\n"), ("a\n", "x\ny\nz\n")):
        source = Moses(source_path=put(tmp_path, "l", left), target_path=put(tmp_path, "r", right), **EN_HI)
        with pytest.raises(SourceError, match=r"l has \d lines but r has \d"):
            read(source)


def test_a_pair_may_be_read_backward_or_both_ways(read: Read, tmp_path: Path) -> None:
    put(tmp_path, "c.en", "one\ntwo\n")
    put(tmp_path, "c.hi", "एक\nदो\n")
    path = str(tmp_path / "c")
    assert sides(read(Moses(path=path, direction="backward", **EN_HI))) == [
        ("hi", "एक", "en", "one"),
        ("hi", "दो", "en", "two"),
    ]
    both = read(Moses(path=path, direction="both", key="{@row}", **EN_HI))
    assert sides(both)[:2] == [("en", "one", "hi", "एक"), ("hi", "एक", "en", "one")]
    assert [row["group_id"] for row in both.rows] == ["src:0", "src:0", "src:1", "src:1"]


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"source_path": "a"},
        {"path": "a", "source_path": "b", "target_path": "c"},
        {"path": "a", "target_language": "eng"},
    ],
)
def test_moses_wants_two_files_or_a_prefix_and_two_languages(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Moses(**{**EN_HI, **given})


# ------------------------------------------------------------------------------------------------------------------ TMX
HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE tmx SYSTEM "tmx14.dtd">\n<tmx version="1.4"><header '
    'srclang="en"/><body>\n'
)
TAIL = "</body></tmx>\n"


def tuv(language: str, segment: str, attribute: str = "xml:lang") -> str:
    return f'<tuv {attribute}="{language}"><seg>{segment}</seg></tuv>'


def tu(*variants: str, extra: str = "") -> str:
    return f"<tu {extra}>{''.join(variants)}</tu>\n"


def tmx(folder: Path, *units: str, head: str = HEAD, tail: str = TAIL, name: str = "m.tmx") -> str:
    return put(folder, name, head + "".join(units) + tail)


def test_units_become_pairs_with_what_the_memory_says_of_them(read: Read, tmp_path: Path) -> None:
    unit = tu(
        '<note>ok</note><prop type="domain">health</prop>',
        tuv("en-GB", "fever &amp; cough"),
        tuv("hi", "बुखार और खाँसी"),
        extra='tuid="u1"',
    )
    path = tmx(tmp_path, unit)
    out = read(Tmx(path=path, key="{tuid}", attributes={"domain": "{props.domain}", "note": "note"}, **EN_HI))
    assert sides(out) == [("en", "fever & cough", "hi", "बुखार और खाँसी")]
    assert out.rows[0]["group_id"] == "src:u1"
    assert out.rows[0]["attributes"] == [{"name": "domain", "value": "health"}, {"name": "note", "value": "ok"}]
    assert out.rows[0]["lineage"]["source_id"] == "m.tmx#0"


def test_markup_codes_go_and_text_stays(read: Read, tmp_path: Path) -> None:
    segment = (
        'Press <bpt i="1">&lt;b></bpt>the <hi>red</hi> key<ept i="1">&lt;/b></ept><ph x="1">{0}</ph> '
        'now<ut>\\par</ut><it pos="begin">x</it>.'
    )
    out = read(Tmx(path=tmx(tmp_path, tu(tuv("en", segment), tuv("hi", "<ph>a<sub>उप</sub>b</ph>लाल"))), **EN_HI))
    assert sides(out) == [("en", "Press the red key now.", "hi", "उपलाल")]


def test_languages_match_exactly_first_and_across_open_regions_next(read: Read, tmp_path: Path) -> None:
    path = tmx(
        tmp_path,
        tu(
            tuv("EN_us", "color"),
            tuv("en-GB", "colour"),
            tuv("pt-BR", "cor"),
            tuv("zh-TW", "顏色"),
            tuv("zh_Hans", "颜色"),
            tuv("??", "x"),
        ),
    )

    def pairs(source: str, target: str) -> list[tuple[str, str]]:
        out = read(Tmx(path=path, source_language=source, target_language=target, license="x"))
        return [(left, right) for _, left, _, right in sides(out)]

    assert pairs("en-GB", "pt") == [("colour", "cor")]
    assert pairs("en", "pt-BR") == [("color", "cor"), ("colour", "cor")]
    assert pairs("en-US", "zh-Hant") == [("color", "顏色")]
    assert pairs("en-US", "zh") == [("color", "颜色")]
    with pytest.raises(SourceError, match=r"no unit in both en-US and pt-PT; its languages are .*pt-BR \(1\)"):
        pairs("en-US", "pt-PT")


def test_units_without_a_language_are_counted_and_empty_sides_are_bad(read: Read, tmp_path: Path) -> None:
    path = tmx(
        tmp_path,
        tu(tuv("en", "a")),
        tu(tuv("en", "b"), tuv("hi", " ")),
        tu(tuv("en", "c", "lang"), tuv("hi", "ग", "lang")),
    )
    out = read(Tmx(path=path, **EN_HI))
    assert sides(out) == [("en", "c", "hi", "ग")]
    assert out.reasons == ["row 1: the target side is empty"]
    assert out.warnings == ["m.tmx: 1 of 3 units lack en or hi and were skipped"]


@pytest.mark.parametrize(
    ("head", "tail", "said"),
    [
        (HEAD, "</body>", r"m\.tmx, line \d+, column \d+: the XML is broken"),
        (HEAD, "<tu></body></tmx>", r"line \d+, column \d+"),
        ("<xliff><body>", "</body></xliff>", "root element is <xliff>"),
        ('<!DOCTYPE tmx [<!ENTITY a "b">]><tmx><body>', TAIL, "declares entities"),
        (
            '<!DOCTYPE tmx [<!ENTITY a SYSTEM "file:///etc/hostname">]><tmx><body><tu>&a;</tu>',
            TAIL,
            "declares entities",
        ),
    ],
)
def test_a_broken_or_dangerous_memory_is_refused(read: Read, tmp_path: Path, head: str, tail: str, said: str) -> None:
    with pytest.raises(SourceError, match=said):
        read(Tmx(path=tmx(tmp_path, tu(tuv("en", "a"), tuv("hi", "क")), head=head, tail=tail), **EN_HI))


def test_a_compressed_memory_cut_off_is_an_error(read: Read, tmp_path: Path) -> None:
    whole = gzip.compress((HEAD + tu(tuv("en", "a"), tuv("hi", "क")) * 500 + TAIL).encode())
    assert len(read(Tmx(path=put(tmp_path, "m.tmx.gz", whole), **EN_HI)).rows) == 500
    with pytest.raises(SourceError, match=r"m\.tmx\.gz"):
        read(Tmx(path=put(tmp_path, "m.tmx.gz", whole[:-12]), **EN_HI))


def test_a_utf_16_memory_is_read(read: Read, tmp_path: Path) -> None:
    text = (HEAD + tu(tuv("en", "a"), tuv("hi", "क")) + TAIL).replace("UTF-8", "UTF-16")
    assert sides(read(Tmx(path=put(tmp_path, "m.tmx", text.encode("utf-16")), **EN_HI))) == [("en", "a", "hi", "क")]


def test_a_large_memory_does_not_stay_in_memory(tmp_path: Path) -> None:
    import tracemalloc

    source = Tmx(path=tmx(tmp_path, tu(tuv("en", "some words " * 20), tuv("hi", "कुछ शब्द " * 20)) * 6_000), **EN_HI)
    (unit,) = source.units()
    tracemalloc.start()
    count = sum(1 for _ in source.records(unit, None, None))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 6_000
    assert peak < 4_000_000, f"{peak:,} bytes for a file of {unit.files[0].stat().st_size:,}"


# ------------------------------------------------------------------------------------------------------------------ TSV
def test_two_columns_by_number_or_name(read: Read, tmp_path: Path) -> None:
    path = put(tmp_path, "p.tsv", 'id\ten\thi\tmean\n1\tsay "yes\tहाँ\t80.5\n2\tno\t\t3\n3\tonly\n')
    named = read(
        ParallelTsv(path=path, header=True, source="en", target="hi", scores={"mean": "mean"}, id="id", **EN_HI)
    )
    assert sides(named) == [("en", 'say "yes', "hi", "हाँ")]
    assert named.rows[0]["scores"] == [{"name": "mean", "value": 80.5}]
    assert sorted(named.reasons) == ["line 3: the target side is empty", "line 4: 2 cells where the header has 4"]
    numbered = read(ParallelTsv(path=path, skip=1, source=1, target=2, **EN_HI))
    assert sides(numbered) == sides(named)
    swapped = read(ParallelTsv(path=path, skip=1, source=1, target=2, direction="backward", **EN_HI))
    assert sides(swapped) == [("hi", "हाँ", "en", 'say "yes')]


def test_a_wrong_column_is_an_error_that_shows_the_file(read: Read, tmp_path: Path) -> None:
    path = put(tmp_path, "p.tsv", "en hi\nyes हाँ\n")
    with pytest.raises(SourceError, match=r"1 columns, so none has number 1.*en hi"):
        read(ParallelTsv(path=path, **EN_HI))
    with pytest.raises(SourceError, match=r"no column 'target'; its columns are en hi"):
        read(ParallelTsv(path=path, header=True, source="en hi", target="target", **EN_HI))
    with pytest.raises(ValidationError, match="without a header"):
        ParallelTsv(path=path, source="en", **EN_HI)
