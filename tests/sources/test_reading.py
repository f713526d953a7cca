from __future__ import annotations

import bz2
import gzip
import json
import lzma
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from curate.steps import SourceError
from sources import arrays
from sources.files import Csv, JsonArray, JsonLines, Tsv

Read = Callable[..., Any]
TEXTS = ["Guten Tag", "नमस्ते दुनिया", "مرحبا\u2028بالعالم", "你好，世界", "สวัสดี\x85ชาวโลก", "😀 emoji"]
PACK: dict[str, Callable[[bytes], bytes]] = {
    "": lambda data: data,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstandard.compress,
}
DOCUMENT = {"language": "und", "license": "x", "columns": {"text": "t"}}
OPEN = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def lines(texts: list[str]) -> bytes:
    return "".join(json.dumps({"t": text}, ensure_ascii=False) + "\n" for text in texts).encode()


def put(folder: Path, name: str, data: bytes) -> str:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return str(path)


def texts(out: Any) -> list[str]:
    return [row["text"] for row in out.rows]


# ------------------------------------------------------------------------------------------------ compression, encoding
@pytest.mark.parametrize("suffix", PACK)
@pytest.mark.parametrize("form", ["jsonl", "json", "csv"])
def test_every_compression_of_every_form_reads_the_same(read: Read, tmp_path: Path, suffix: str, form: str) -> None:
    plain = {
        "jsonl": lines(TEXTS),
        "json": json.dumps([{"t": text} for text in TEXTS]).encode(),
        "csv": ("t\n" + "".join(f'"{text}"\n' for text in TEXTS)).encode(),
    }[form]
    path = put(tmp_path, f"f.{form}{suffix}", PACK[suffix](plain))
    source = {"jsonl": JsonLines, "json": JsonArray, "csv": Csv}[form](path=path, **DOCUMENT)
    assert texts(read(source)) == TEXTS
    hidden = put(tmp_path, "renamed", PACK[suffix](plain))
    assert texts(read(type(source)(path=hidden, **DOCUMENT))) == TEXTS


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz", ".zst"])
def test_several_compressed_members_are_one_file(read: Read, tmp_path: Path, suffix: str) -> None:
    path = put(tmp_path, f"f.jsonl{suffix}", PACK[suffix](lines(TEXTS[:3])) + PACK[suffix](lines(TEXTS[3:])))
    assert texts(read(JsonLines(path=path, **DOCUMENT))) == TEXTS


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz", ".zst"])
@OPEN
@example(cut=0.0005)
@example(cut=0.002)
@given(cut=st.floats(0, 0.999))
def test_a_compressed_file_cut_off_anywhere_is_never_silently_short(
    read: Read, tmp_path: Path, suffix: str, cut: float
) -> None:
    data = PACK[suffix](lines([f"{text} {i * 7919 % 1000}" for i in range(300) for text in TEXTS]))
    path = put(tmp_path, f"cut.jsonl{suffix}", data[: int(len(data) * cut)])
    with pytest.raises(SourceError, match=r"cut\.jsonl"):
        read(JsonLines(path=path, **DOCUMENT))


def test_the_error_of_a_cut_off_file_says_how_far_it_was_read(read: Read, tmp_path: Path) -> None:
    data = gzip.compress(lines([f"line {i}" for i in range(50_000)]))
    path = put(tmp_path, "cut.jsonl.gz", data[: len(data) // 2])
    with pytest.raises(SourceError, match=r"cut\.jsonl\.gz, after line \d{4,5}: the compressed data is truncated"):
        read(JsonLines(path=path, **DOCUMENT))


@pytest.mark.parametrize(
    ("encoding", "told"),
    [("utf-8-sig", None), ("utf-16", None), ("utf-32", None), ("utf-16-le", "utf-16-le"), ("gb18030", "gb18030")],
)
@pytest.mark.parametrize("form", ["jsonl", "json", "tsv"])
def test_encodings_are_known_by_their_mark_or_told(
    read: Read, tmp_path: Path, encoding: str, told: str | None, form: str
) -> None:
    content = {
        "jsonl": lines(TEXTS).decode(),
        "json": json.dumps([{"t": text} for text in TEXTS], ensure_ascii=False),
        "tsv": "\n".join(["t", *TEXTS]),
    }[form]
    path = put(tmp_path, f"f.{form}", content.encode(encoding))
    cls = {"jsonl": JsonLines, "json": JsonArray, "tsv": Tsv}[form]
    assert texts(read(cls(path=path, encoding=told, **DOCUMENT))) == TEXTS


def test_utf_16_without_a_mark_is_named(read: Read, tmp_path: Path) -> None:
    path = put(tmp_path, "f.jsonl", lines(TEXTS).decode().encode("utf-16-le"))
    with pytest.raises(SourceError, match="encoding: utf-16-le"):
        read(JsonLines(path=path, **DOCUMENT))


def test_a_bad_byte_spoils_its_row_only(read: Read, tmp_path: Path) -> None:
    for cls, data in [
        (JsonLines, b'{"t": "a"}\n{"t": "b\xff"}\n{"t": "c", "other": "\xff"}\n'),
        (Csv, b"t,o\na,1\nb\xff,2\nc,\xff\n"),
        (JsonArray, b'[{"t": "a"}, {"t": "b\xff"}, {"t": "c"}]'),
    ]:
        out = read(cls(path=put(tmp_path, "f", data), **DOCUMENT))
        assert texts(out) == ["a", "c"]
        (reason,) = out.reasons
        assert "0xff" in reason
        out.bad[0][1].raw.encode()


def test_an_empty_file_with_a_compressed_name_and_an_archive_are_errors(read: Read, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="empty, so it is not a compressed file"):
        read(JsonLines(path=put(tmp_path, "f.jsonl.gz", b""), **DOCUMENT))
    with pytest.raises(SourceError, match="ZIP archive"):
        read(JsonLines(path=put(tmp_path, "f.jsonl.gz", b"PK\x03\x04rest"), **DOCUMENT))


# ----------------------------------------------------------------------------------------------------------- JSON Lines
def test_each_broken_line_is_one_bad_row_with_its_place(read: Read, tmp_path: Path) -> None:
    data = (
        b'{"t": "one"}\r\n\n  \n{"t": "cut\n[1, 2]\n"text"\nnull\n{"t": NaN, "u": 1}\n'
        + b"[" * 100_000
        + b'\n{"t": 12}\n{"t": ["x", 3]}\n{"t": "last"}'
    )
    out = read(JsonLines(path=put(tmp_path, "f.jsonl", data), **DOCUMENT))
    assert texts(out) == ["one", "12", "last"]
    assert [row["lineage"]["source_id"] for row in out.rows] == ["f.jsonl:1", "f.jsonl:10", "f.jsonl:12"]
    assert [reason.partition(" at ")[0] for reason in out.reasons] == [
        "line 4: not JSON: Unterminated string starting",
        "line 5: a list where an object was expected",
        "line 6: a text where an object was expected",
        "line 7: null where an object was expected",
        "line 9: not JSON that can be read: nested too deeply",
        "line 8: text has NaN, a number without text; 'empty: [NaN]' treats it as empty",
        "line 11: text is a list where text was expected",
    ]
    assert all(len(row.raw) <= 2000 for _, row in out.bad)


def test_a_json_array_given_as_json_lines_and_the_reverse_say_what_to_use(read: Read, tmp_path: Path) -> None:
    array = put(tmp_path, "a.json", json.dumps([{"t": "x"}], indent=1).encode())
    with pytest.raises(SourceError, match="use: json'"):
        read(JsonLines(path=array, **DOCUMENT))
    with pytest.raises(SourceError, match="use: jsonl'"):
        read(JsonArray(path=put(tmp_path, "a.jsonl", lines(TEXTS)), **DOCUMENT))


def test_batches_are_bounded_by_rows_and_by_size(read: Read, tmp_path: Path) -> None:
    assert read(JsonLines(path=put(tmp_path, "f.jsonl", lines(["x"] * 4_500)), **DOCUMENT)).batches == 3
    assert read(JsonLines(path=put(tmp_path, "g.jsonl", lines(["x" * 6_000_000] * 6)), **DOCUMENT)).batches == 2


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read from /proc")
def test_a_large_file_does_not_need_large_memory(tmp_path: Path) -> None:
    code = """
import re, sys
from pathlib import Path
from sources.files import JsonArray, JsonLines
for path in sys.argv[1:]:
    cls = {"jsonl": JsonLines, "json": JsonArray}[path.rpartition(".")[2]]
    source = cls(path=path, language="en", license="x", columns={"text": "t"})
    unit, = source.units()
    rows = sum(batch.table.num_rows for batch in source.read(unit, "s", None))
    print(rows, re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1])
"""
    row, paths = json.dumps({"t": "many words " * 150}), []
    for count in (5_000, 50_000):
        paths.append(put(tmp_path, f"{count}.jsonl", (f"{row}\n" * count).encode()))
        paths.append(put(tmp_path, f"{count}.json", f"[{','.join([row] * count)}]".encode()))
    done = subprocess.run([sys.executable, "-c", code, *paths], capture_output=True, text=True, check=True)
    counts, peaks = zip(*[map(int, line.split()) for line in done.stdout.splitlines()], strict=True)
    assert counts == (5_000, 5_000, 50_000, 50_000)
    assert peaks[3] - peaks[1] < 30_000, peaks  # KiB; the larger files have 75 MiB more each


# ---------------------------------------------------------------------------------------------------------- JSON arrays
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@OPEN
@given(
    rows=st.lists(st.dictionaries(st.text(max_size=5), JSON, max_size=4), max_size=8),
    block=st.integers(1, 40),
    indent=st.sampled_from([None, 2]),
)
def test_an_array_read_in_any_pieces_has_the_same_elements(
    tmp_path: Path, rows: list[Any], block: int, indent: int | None
) -> None:
    path = Path(
        put(
            tmp_path,
            "a.json",
            json.dumps(rows, ensure_ascii=block % 2 == 0, indent=indent).encode("utf-8", "surrogatepass"),
        )
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrays, "_BLOCK", block)
        assert [record[1] for record in arrays.json_array(path, "a.json", None, None)] == rows


@OPEN
@given(cut=st.integers(0, 200))
def test_an_array_cut_off_anywhere_is_an_error(tmp_path: Path, cut: int) -> None:
    data = json.dumps([{"t": "Zürich", "n": 12.5, "l": [True, None, '\\"']}] * 4).encode()
    if cut < len(data):
        path = Path(put(tmp_path, "a.json", data[:cut]))
        with pytest.raises(SourceError, match=r"a\.json"):
            list(arrays.json_array(path, "a.json", None, None))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[{"t": "a"}, {"t": "b" "c"}]', "after row 0|at the beginning"),
        ('[{"t": "a"}] {"t": "b"}', "more text follows"),
        ('[{"t": "a"},]', "broken"),
        ('{"meta": 1, "data": [{"t": "a"}]}', "rows: data"),
        ('{"meta": 1}', "one object without an array"),
        ("12", "no array"),
        ("", "empty"),
        ("[" * 200_000, "nested too deeply"),
    ],
)
def test_a_broken_array_says_what_is_wrong(read: Read, tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SourceError, match=said):
        read(JsonArray(path=put(tmp_path, "a.json", text.encode()), **DOCUMENT))


def test_an_array_inside_objects_is_found_by_its_path(read: Read, tmp_path: Path) -> None:
    value = {
        "version": "1",
        "skip": {"data": [{"t": "not this"}]},
        "data": [{"paragraphs": [{"t": "a"}, {"t": "b"}]}, {"paragraphs": []}, {"paragraphs": [{"t": "c"}]}],
    }
    path = put(tmp_path, "a.json", json.dumps(value).encode())
    assert texts(read(JsonArray(path=path, rows="skip.data", **DOCUMENT))) == ["not this"]
    assert texts(read(JsonArray(path=path, rows="data[].paragraphs", **DOCUMENT))) == ["a", "b", "c"]
    with pytest.raises(SourceError, match=r"no array at 'dta'; did you mean 'data'\?"):
        read(JsonArray(path=path, rows="dta", **DOCUMENT))
    with pytest.raises(SourceError, match="no array here"):
        read(JsonArray(path=path, rows="version", **DOCUMENT))


def test_elements_that_are_no_objects_and_long_numbers_survive(read: Read, tmp_path: Path) -> None:
    out = read(
        JsonArray(
            path=put(tmp_path, "a.json", b'[{"t": 123456789012345678901234567890}, 7, {"t": NaN}, {"t": "\\ud800"}]'),
            **DOCUMENT,
        )
    )
    assert texts(out) == ["123456789012345678901234567890"]
    assert out.reasons == [
        "row 1: a number where an object was expected",
        "row 2: text has NaN, a number without text; 'empty: [NaN]' treats it as empty",
        "row 3: text has half of a surrogate pair (U+D800, character 0)",
    ]


# ------------------------------------------------------------------------------------------------------- delimited text
def test_a_csv_with_quotes_and_line_ends_in_cells_counts_lines(read: Read, tmp_path: Path) -> None:
    data = 'id;t\r\n1;"zwei\r\nZeilen; ""ja"""\r\n\r\n2;x;y\r\n3\r\n4;"a"b\r\n5;ende'
    out = read(Csv(path=put(tmp_path, "f.csv", data.encode()), delimiter=";", id="id", **DOCUMENT))
    assert [(row["lineage"]["source_id"], row["text"]) for row in out.rows] == [
        ("1", 'zwei\nZeilen; "ja"'),
        ("5", "ende"),
    ]
    assert [reason.partition(":")[0] for reason in out.reasons] == ["line 5", "line 6", "line 7"]
    assert "3 cells where the header has 2" in out.reasons[0] and "quoting" in out.reasons[2]


def test_a_quote_never_closed_is_an_error_with_its_line(read: Read, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"line 3: a quote is opened and never closed"):
        read(Csv(path=put(tmp_path, "f.csv", b't\nok\n"open\nand so on\n'), **DOCUMENT))


def test_in_a_tsv_quotes_are_text_unless_told_otherwise(read: Read, tmp_path: Path) -> None:
    path = put(tmp_path, "f.tsv", b't\tn\n"quoted" word\t1\n"half\t2\n"a ""b"""\t3\n')
    assert texts(read(Tsv(path=path, **DOCUMENT))) == ['"quoted" word', '"half', '"a ""b"""']
    path = put(tmp_path, "g.tsv", b't\tn\n"a ""b"""\t3\n')
    assert texts(read(Tsv(path=path, quoting="standard", **DOCUMENT))) == ['a "b"']


def test_a_header_may_be_given_or_be_missing(read: Read, tmp_path: Path) -> None:
    path = put(tmp_path, "f.tsv", "какой вопрос?\t18\nещё?\t3\n".encode())
    named = Tsv(path=path, header=["question", "answer"], language="ru", license="x")
    assert read(named).said()[0] == [("user", "какой вопрос?"), ("assistant", "18")]
    numbered = Tsv(path=path, header=False, language="ru", license="x", columns={"prompt": "0", "response": "1"})
    assert read(numbered).said() == read(named).said()
    skipped = Tsv(path=path, header=False, skip=1, language="ru", license="x", columns={"text": "0"})
    assert [(row["text"], row["lineage"]["source_id"]) for row in read(skipped).rows] == [("ещё?", "f.tsv:2")]


def test_headers_are_checked(read: Read, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="has t more than once"):
        read(Csv(path=put(tmp_path, "f.csv", b"t,t\n1,2\n"), **DOCUMENT))
    with pytest.raises(SourceError, match="without a header"):
        read(Csv(path=put(tmp_path, "e.csv", b""), **DOCUMENT))
    out = read(Csv(path=put(tmp_path, "i.csv", b",t\n0,x\n"), id="column_0", **DOCUMENT))
    assert out.rows[0]["lineage"]["source_id"] == "0"


def test_a_cell_may_be_longer_than_the_csv_modules_own_limit(read: Read, tmp_path: Path) -> None:
    assert texts(read(Csv(path=put(tmp_path, "f.csv", b't\n"' + b"x" * 300_000 + b'"\n'), **DOCUMENT))) == [
        "x" * 300_000
    ]


# ---------------------------------------------------------------------------------------------------------------- paths
def test_a_folder_gives_its_files_of_the_right_kind_by_name(read: Read, tmp_path: Path) -> None:
    for name in ("b.jsonl", "a/2.ndjson.gz", "a/1.jsonl", "a/.hidden.jsonl", ".git/x.jsonl", "notes.txt"):
        put(tmp_path / "d", name, PACK[".gz"](lines([name])) if name.endswith(".gz") else lines([name]))
    source = JsonLines(path=str(tmp_path / "d"), attributes={"file": "{@unit}"}, **DOCUMENT)
    assert [unit.name for unit in source.units()] == ["a/1.jsonl", "a/2.ndjson.gz", "b.jsonl"]
    out = read(source)
    assert (
        texts(out) == ["a/1.jsonl", "a/2.ndjson.gz", "b.jsonl"] == [row["attributes"][0]["value"] for row in out.rows]
    )


def test_patterns_and_lists_give_each_file_once(tmp_path: Path) -> None:
    for name in ("x/c.jsonl", "x/a.jsonl", "y/[1].jsonl"):
        put(tmp_path, name, lines(["t"]))
    source = JsonLines(
        path=[str(tmp_path / "y/[1].jsonl"), str(tmp_path / "x/*.jsonl"), str(tmp_path / "x/a.jsonl")], **DOCUMENT
    )
    assert [unit.name for unit in source.units()] == ["y/[1].jsonl", "x/a.jsonl", "x/c.jsonl"]
    assert all(unit.files[0].is_file() and not unit.state for unit in source.units())


def test_a_path_to_nothing_names_what_is_near(tmp_path: Path) -> None:
    put(tmp_path, "data/alpaca.jsonl.gz", b"")
    for path, said in [
        ("data/alpacca.jsonl.gz", r"did you mean .*alpaca\.jsonl\.gz"),
        ("dat/alpaca.jsonl", "no 'dat' in .*did you mean .*/data"),
        ("data/*.csv", "no file matches"),
        ("data/zzz", r"has alpaca\.jsonl\.gz"),
    ]:
        with pytest.raises(SourceError, match=said):
            JsonLines(path=str(tmp_path / path), **DOCUMENT).units()
    with pytest.raises(SourceError, match=r"no file ending in \.csv.*alpaca"):
        Csv(path=str(tmp_path / "data"), **DOCUMENT).units()
    with pytest.raises(SourceError, match="names no file"):
        Csv(path=[], **DOCUMENT).units()
