"""Delimited text as spreadsheets and databases write it: it is read, or the error names the parameter to set."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curate.rows import Kind
from curate.steps import SourceError
from sources.files import Csv, JsonLines, Tsv
from sources.parallel import Moses, ParallelTsv

Read = Callable[..., Any]
GIVEN: dict[str, Any] = {"language": "und", "license": "x"}
ROWS = [("Wie heißt du?", "Müller, glaub ich"), ("Как дела?", 'Хорошо; "очень"'), ("你好吗？", "很好\t谢谢")]


def put(folder: Path, name: str, data: str | bytes, encoding: str = "utf-8") -> str:
    path = folder / name
    path.write_bytes(data.encode(encoding) if isinstance(data, str) else data)
    return str(path)


def excel(rows: Any = ROWS, delimiter: str = ",", ends: str = "\r\n") -> str:
    """What Excel saves: cells quoted where they must be."""
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, lineterminator=ends).writerows([("prompt", "response"), *rows])
    return out.getvalue()


def pairs(out: Any) -> list[tuple[str, str]]:
    return [(turns[0][1], turns[1][1]) for turns in out.said()]


# ------------------------------------------------------------------------------------------ all of Excel's ways to save
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "gb18030"])
@pytest.mark.parametrize("ends", ["\r\n", "\n", "\r"])
def test_every_way_a_spreadsheet_saves_is_read_once_it_is_named(
    read: Read, tmp_path: Path, delimiter: str, encoding: str, ends: str
) -> None:
    path = put(tmp_path, "t.csv", excel(delimiter=delimiter, ends=ends), encoding)
    told = {"encoding": encoding} if encoding in ("utf-16-le", "utf-16-be", "gb18030") else {}
    out = read(Csv(path=path, delimiter=delimiter, **told, **GIVEN))
    assert pairs(out) == ROWS and not out.bad
    if told and encoding != "gb18030":  # a code page is told by nothing; its rows say so, below
        with pytest.raises(SourceError, match=f"set 'encoding: {encoding}'"):
            read(Csv(path=path, delimiter=delimiter, **GIVEN))
    if delimiter != ",":
        with pytest.raises(SourceError, match="use 'delimiter: "):
            read(Csv(path=path, **told, **GIVEN))


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1252", "Größe, ñandú"),
        ("cp1251", "Как дела?"),
        ("gb18030", "你好吗？"),
        ("shift_jis", "元気ですか"),
        ("cp1256", "كيف"),
    ],
)
def test_a_code_page_is_read_when_named_and_asked_for_when_not(
    read: Read, tmp_path: Path, encoding: str, text: str
) -> None:
    path = put(tmp_path, "t.csv", f'prompt,response\nid,"{text}"\nplain,ascii\n', encoding)
    assert pairs(read(Csv(path=path, encoding=encoding, **GIVEN))) == [("id", text), ("plain", "ascii")]
    out = read(Csv(path=path, **GIVEN))
    assert pairs(out) == [("plain", "ascii")] and "set 'encoding'" in out.reasons[0]
    named = put(tmp_path, "h.csv", f"{text.partition(',')[0]},response\na,b\n", encoding)
    with pytest.raises(SourceError, match="in another encoding; set 'encoding"):
        read(Csv(path=named, **GIVEN))


def test_the_line_that_names_the_separator_is_read(read: Read, tmp_path: Path) -> None:
    for first in ("sep=;", "SEP=;", '"sep=;"', "\ufeffsep=;"):
        for ends in ("\r\n", "\n", "\r"):
            path = put(tmp_path, "t.csv", f"{first}{ends}{excel(delimiter=';', ends=ends)}")
            assert pairs(read(Csv(path=path, **GIVEN))) == ROWS, (first, ends)
    path = put(tmp_path, "t.csv", f"sep=;\r\n{excel(delimiter=';')}", "utf-16")
    out = read(Csv(path=path, id="{@line}", **GIVEN))
    assert pairs(out) == ROWS and out.rows[0]["lineage"]["source_id"] == "3"
    path = put(tmp_path, "t.csv", f"sep=;\n{excel(delimiter=';')}")
    assert pairs(read(Csv(path=path, skip=1, delimiter=";", **GIVEN))) == ROWS
    path = put(tmp_path, "t.tsv", "sep=|\nen|hi\nyes|हाँ\n")
    assert [
        row["target"]
        for row in read(
            ParallelTsv(path=path, header=True, source_language="en", target_language="hi", license="x")
        ).rows
    ] == ["हाँ"]


# ---------------------------------------------------------------------------------------------------------- what to set
@pytest.mark.parametrize(
    ("mark", "name", "shown"), [(";", "semicolon", '";"'), ("\t", "tab", '"\\t"'), ("|", "bar", '"|"')]
)
def test_one_column_that_is_several_names_the_delimiter(
    read: Read, tmp_path: Path, mark: str, name: str, shown: str
) -> None:
    path = put(tmp_path, "t.csv", excel([("Ja?", "Nein.")], delimiter=mark))
    said = f"if a {name} separates the cells, use 'delimiter: {shown}'"
    with pytest.raises(SourceError) as error:
        read(Csv(path=path, **GIVEN))
    assert said in str(error.value)
    columns = {"prompt": "prompt", "response": "response"}
    out = read(Csv(path=path, header=["prompt", "response"], skip=1, columns=columns, **GIVEN))
    assert not out.rows and said in out.reasons[0]
    if mark != "\t":
        tab = put(tmp_path, "t.tsv", excel([("Ja?", "Nein.")], delimiter=mark))
        with pytest.raises(SourceError) as error:
            read(Tsv(path=tab, **GIVEN))
        assert f"use 'use: csv' and 'delimiter: {shown}'" in str(error.value)
        with pytest.raises(SourceError) as error:
            read(ParallelTsv(path=tab, source_language="de", target_language="en", license="x"))
        assert f"use 'delimiter: {shown}'" in str(error.value)


def test_commas_in_a_tsv_name_the_other_source_and_quotes_their_parameter(read: Read, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="if a comma separates the cells, use 'use: csv'"):
        read(Tsv(path=put(tmp_path, "t.tsv", "prompt,response\na,b\n"), **GIVEN))
    out = read(Tsv(path=put(tmp_path, "u.tsv", 'prompt\tresponse\na\tb\n"x\ty"\tz\n'), **GIVEN))
    assert "set 'quoting: standard'" in out.reasons[0]
    out = read(Csv(path=put(tmp_path, "u.csv", 'prompt,response\na,b\nc,"x"y\n'), **GIVEN))
    assert "set 'quoting: none'" in out.reasons[0]


def test_lines_before_the_header_name_their_parameter(read: Read, tmp_path: Path) -> None:
    path = put(tmp_path, "t.csv", "Export of 3 May\n\nprompt,response\na,b\n")
    out = read(Csv(path=path, columns={"prompt": "Export of 3 May", "response": "Export of 3 May"}, **GIVEN))
    assert "2 cells where the header has 1; if other lines precede the header, set 'skip: …'" in out.reasons[0]
    assert pairs(read(Csv(path=path, skip=2, **GIVEN))) == [("a", "b")]
    path = put(tmp_path, "t.csv", "Export,\nprompt,response\na,b\n")
    for more in ({}, {"columns": {"prompt": "prompt", "response": "response"}}):
        with pytest.raises(SourceError, match="set 'skip: …'"):
            read(Csv(path=path, **more, **GIVEN))


def test_a_file_without_a_header_names_its_parameter(read: Read, tmp_path: Path) -> None:
    path = put(tmp_path, "t.tsv", "Bata wa Janet hutaga mayai 16 kila siku, ngapi?\t18\nNyingine?\t3\n")
    with pytest.raises(SourceError, match=r"give 'header: \[names\]'"):
        _ = Tsv(path=path, **GIVEN).makes
    with pytest.raises(SourceError, match=r"give 'header: \[names\]'"):
        read(Tsv(path=path, columns={"prompt": "question", "response": "answer"}, **GIVEN))
    assert pairs(read(Tsv(path=path, header=["question", "answer"], **GIVEN)))[1] == ("Nyingine?", "3")


def test_a_column_whose_name_has_a_delimiter_in_it_is_one_column_where_there_are_others(
    read: Read, tmp_path: Path
) -> None:
    path = put(tmp_path, "t.csv", "a;b,t\n1,x\n")
    assert [row["text"] for row in read(Csv(path=path, columns={"text": "t"}, **GIVEN)).rows] == ["x"]


# --------------------------------------------------------------------------------------------------- files put together
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_header_in_the_middle_is_no_row_and_a_mark_in_the_middle_no_text(
    read: Read, tmp_path: Path, mark: str
) -> None:
    path = put(tmp_path, "t.csv", f"{mark}{excel(ROWS[:1])}{mark}{excel(ROWS[1:])}")
    out = read(Csv(path=path, **GIVEN))
    assert pairs(out) == ROWS
    assert out.reasons == ["line 3: the header again, as in concatenated files"]
    lines = "".join(json.dumps({"prompt": p, "response": r}) + "\n" for p, r in ROWS[:1])
    more = "".join(json.dumps({"prompt": p, "response": r}) + "\n" for p, r in ROWS[1:])
    out = read(JsonLines(path=put(tmp_path, "t.jsonl", f"{mark}{lines}{mark}{more}"), **GIVEN))
    assert pairs(out) == ROWS and not out.bad


def test_aligned_text_with_a_mark_in_the_middle_stays_aligned_and_clean(read: Read, tmp_path: Path) -> None:
    left, right = put(tmp_path, "l", "\ufeffone\n\ufefftwo\n"), put(tmp_path, "r", "moja\rmbili\r")
    out = read(Moses(source_path=left, target_path=right, source_language="en", target_language="sw", license="x"))
    assert [(row["source"], row["target"]) for row in out.rows] == [("one", "moja"), ("two", "mbili")]


# -------------------------------------------------------------------------------------------------------------- no rows
@pytest.mark.parametrize(
    ("header", "kind"),
    [
        ("prompt,response", Kind.SFT),
        ("instruction,input,output", Kind.SFT),
        ("messages", Kind.SFT),
        ("prompt,chosen,rejected", Kind.PREFERENCE),
        ("prompt,completion,label", Kind.UNPAIRED),
        ("text,url", Kind.DOCUMENT),
        ("prompt", Kind.PROMPT),
    ],
)
def test_a_header_alone_tells_the_kind(read: Read, tmp_path: Path, header: str, kind: Kind) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from sources.files import Parquet

    source = Csv(path=put(tmp_path, "t.csv", f"{header}\n"), **GIVEN)
    assert source.makes is kind and read(source).rows == [] and source.identity()["detected"]["kind"] == kind
    pq.write_table(pa.table({name: pa.array([], pa.string()) for name in header.split(",")}), tmp_path / "t.parquet")
    source = Parquet(path=str(tmp_path / "t.parquet"), **GIVEN)
    assert source.makes is kind and read(source).rows == []


def test_no_rows_are_no_error_where_the_catalog_says_the_kind(read: Read, tmp_path: Path) -> None:
    for kind in Kind:
        more = {"source_language": "en"} if kind is Kind.PARALLEL else {}
        for name, data in (("t.jsonl", ""), ("t.csv", "frage;antwort,x\n")):
            source = (JsonLines if name == "t.jsonl" else Csv)(
                path=put(tmp_path, name, data), kind=kind, **more, **GIVEN
            )
            if name == "t.csv":
                with pytest.raises(SourceError, match="no known format of kind"):
                    _ = source.makes
            else:
                assert source.makes is kind and read(source).rows == []
    with pytest.raises(SourceError, match="set 'kind' and 'columns'"):
        _ = JsonLines(path=put(tmp_path, "t.jsonl", ""), **GIVEN).makes


def test_a_file_with_a_header_alone_beside_full_ones_does_not_matter(read: Read, tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    put(tmp_path / "d", "a.csv", "prompt,response\n")
    put(tmp_path / "d", "b.csv", excel())
    assert pairs(read(Csv(path=str(tmp_path / "d"), **GIVEN))) == ROWS


# ------------------------------------------------------------------------------------------------------------- property
CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=8) | st.sampled_from(
    ['"', '""', "a\nb", ",;\t|", "'", "sep=;"]
)


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.tuples(CELL, CELL), max_size=6),
    delimiter=st.sampled_from(",;\t|"),
    ends=st.sampled_from(["\n", "\r\n"]),
)
def test_whatever_is_written_as_csv_is_read_as_it_was(
    tmp_path: Path, rows: list[tuple[str, str]], delimiter: str, ends: str
) -> None:
    path = put(tmp_path, "t.csv", excel(rows, delimiter, ends))
    source = Csv(path=path, delimiter=delimiter, columns={"text": "response"}, **GIVEN)
    records = [record[1] for record in source.records(source.units()[0], None, None)]  # type: ignore[index]
    wanted = [{"prompt": a, "response": b} for a, b in rows if (a, b) != ("prompt", "response")]
    assert records == wanted
