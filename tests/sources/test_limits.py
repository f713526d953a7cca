"""A row that is longer than it may be is one bad row, and is passed over without being held."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from curate.steps import SourceError
from sources import reading
from sources.dictionaries import Dictionary
from sources.files import Csv, JsonArray, JsonLines, Parquet, Tsv
from sources.hub import Hub
from sources.parallel import Moses, ParallelTsv, Tmx

Read = Callable[..., Any]
LIMIT = 2_000
GIVEN: dict[str, Any] = {"language": "sw", "license": "x", "columns": {"text": "t"}}
PAIR: dict[str, Any] = {"source_language": "en", "target_language": "sw", "license": "x"}
TMX = '<tmx version="1.4"><header/><body>{}</body></tmx>'


def unit(text: str) -> str:
    return f'<tu><tuv xml:lang="en"><seg>{text}</seg></tuv><tuv xml:lang="sw"><seg>{text}</seg></tuv></tu>\n'


def jsonl(texts: list[str]) -> str:
    return "".join(json.dumps({"t": text}, ensure_ascii=False) + "\n" for text in texts)


def write(folder: Path, form: str, texts: list[str]) -> Any:
    """A source of these texts in a form, with a limit of 2,000."""
    path = folder / f"rows.{form}"
    more = {"max_row_bytes": LIMIT}
    quoted = [f'"{text}"' for text in texts]
    content = {
        "jsonl": lambda: jsonl(texts),
        "jsonl16": lambda: jsonl(texts),
        "jsonlcr": lambda: jsonl(texts).replace("\n", "\r"),
        "json": lambda: json.dumps([{"t": text} for text in texts]),
        "pretty": lambda: "\n".join(json.dumps({"t": text}, indent=1) for text in texts),
        "keyed": lambda: json.dumps({f"k{i}": {"t": text} for i, text in enumerate(texts)}),
        "csv": lambda: "\n".join(["t", *texts]) + "\n",
        "quoted": lambda: "\n".join(["t", *quoted]) + "\n",
        "broken lines": lambda: "\n".join(["t", *(f'"{text[:4]}\n{text[4:]}"' for text in texts)]) + "\n",
        "tsv": lambda: "\n".join(["t", *texts]) + "\n",
        "parallel": lambda: "".join(f"{text}\t{text}\n" for text in texts),
        "dictionary": lambda: "".join(f"{text}\t{text}x\n" for text in texts),
        "moses": lambda: "".join(f"{text}\n" for text in texts),
        "tmx": lambda: TMX.format("".join(map(unit, texts))),
    }
    if form in content:
        path.write_text(content[form](), encoding="utf-16" if form == "jsonl16" else "utf-8", newline="")
    place = {"path": str(path), **more}
    if form in ("parquet", "nested parquet"):
        value = [{"a": [{"t": text}]} for text in texts] if form != "parquet" else texts
        pq.write_table(pa.table({"t": value, "n": list(range(len(texts)))}), path)
        return Parquet(**place, **{**GIVEN, "columns": {"text": "t.a.0.t" if form != "parquet" else "t"}})
    if form == "hub":
        (folder / "hub").mkdir(exist_ok=True)
        pq.write_table(pa.table({"t": texts}), folder / "hub" / "train.parquet")
        return Hub(dataset=str(folder / "hub"), **more, **GIVEN)
    if form == "moses":
        return Moses(source_path=str(path), target_path=str(path), **more, **PAIR)
    if form in ("tmx", "parallel", "dictionary"):
        return {"tmx": Tmx, "parallel": ParallelTsv, "dictionary": Dictionary}[form](**place, **PAIR)
    if form == "keyed":
        return JsonArray(rows="*", **place, **GIVEN)
    cls: Any = {"json": JsonArray, "pretty": JsonArray, "tsv": Tsv, "csv": Csv, "quoted": Csv, "broken lines": Csv}.get(
        form, JsonLines
    )
    return cls(**place, **GIVEN)


FORMS = ["jsonl", "jsonl16", "jsonlcr", "json", "pretty", "keyed", "csv", "quoted", "broken lines", "tsv", "parquet",
         "nested parquet", "hub",
         "moses", "tmx", "parallel", "dictionary"]  # fmt: skip


def firsts(out: Any) -> list[str]:
    return [(row.get("text") or row.get("source"))[:4] for row in out.rows]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("size", [LIMIT + 200, 40_000, 200_000])
def test_a_row_beyond_the_limit_is_one_bad_row_and_those_around_it_are_read(
    read: Read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, size: int
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    texts = ["one!", "b" * size, "two!", "d" * size, "e" * size, "last"]
    out = read(write(tmp_path, form, texts))
    assert firsts(out) == ["one!", "two!", "last"]
    assert len(out.bad) == 3 and all(
        "longer than 2,000 bytes" in reason and "max_row_bytes" in reason for reason in out.reasons
    )
    assert all(len(row.raw) <= 2_000 for _, row in out.bad)
    lines = {
        "csv": 2,
        "quoted": 2,
        "tsv": 2,
        "broken lines": 2,
        **dict.fromkeys(["jsonl", "jsonl16", "jsonlcr", "moses", "parallel", "dictionary"], 1),
    }
    first, step = lines.get(form, 0), 2 if form == "broken lines" else 1
    assert [int(row.where.rpartition(" ")[2]) for _, row in out.bad] == [first + step * i for i in (1, 3, 4)]
    kept = [row["lineage"]["source_id"].replace("#", ":").rpartition(":")[2] for row in out.rows]
    assert kept == [str(first + step * i) for i in (0, 2, 5)]


@pytest.mark.parametrize("form", FORMS)
def test_a_row_within_the_limit_is_read(read: Read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    out = read(write(tmp_path, form, ["k" * 900, "s" * 900]))
    assert not out.bad and len(out.rows) == 2


def test_the_limit_is_to_the_byte(read: Read, tmp_path: Path) -> None:
    for ends in ("\n", "\r\n", ""):
        for over in (0, 1):
            path = tmp_path / "t.jsonl"
            row = '{"t": "' + "x" * (LIMIT - 9 + over) + '"}'
            path.write_text(row + ends, newline="")
            out = read(JsonLines(path=str(path), max_row_bytes=LIMIT, **GIVEN))
            assert (len(out.rows), len(out.bad)) == (1 - over, over)
    with pytest.raises(ValidationError, match="1024"):
        JsonLines(path="x", max_row_bytes=10, **GIVEN)
    assert "max_row_bytes" not in JsonLines(path="x", **GIVEN).identity()


def test_a_quote_that_is_never_closed_is_said_even_beyond_the_limit(read: Read, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    for opened in ('"open\n', 'a\n"' + "x" * 5_000 + "\n", '"' + "y\n" * 1_500):
        path.write_text(f"t\nfine\n{opened}" + "more\n" * 3_000)
        with pytest.raises(SourceError, match=r"line \d: a quote is opened and never closed; set 'quoting: none'"):
            read(Csv(path=str(path), max_row_bytes=LIMIT, **GIVEN))


def test_a_header_beyond_the_limit_is_an_error(read: Read, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("t" * 5_000 + "\nx\n")
    with pytest.raises(SourceError, match="the header cannot be read: it is longer than"):
        read(Csv(path=str(path), max_row_bytes=LIMIT, **GIVEN))


def test_other_values_of_an_object_may_be_of_any_size(read: Read, tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    path.write_text(json.dumps({"about": {"x": ["[{" * 4_000, '\\"'] * 3}, "data": [{"t": "a"}], "more": "y" * 9_000}))
    out = read(JsonArray(path=str(path), rows="data", max_row_bytes=LIMIT, **GIVEN))
    assert firsts(out) == ["a"]
    with pytest.raises(SourceError, match="rows: data"):
        read(JsonArray(path=str(path), max_row_bytes=LIMIT, **GIVEN))


@settings(deadline=None, max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sizes=st.lists(st.integers(1, 3_000), min_size=1, max_size=6),
    filler=st.sampled_from(["x", 'q"', "\\", "é", "]}", "\\u0041"]),
    form=st.sampled_from(["jsonl", "jsonlcr", "json", "pretty", "keyed", "quoted", "tsv", "tmx"]),
    block=st.integers(16, 3_000),
)
def test_rows_of_any_sizes_are_each_read_or_set_aside(
    read: Read, tmp_path: Path, sizes: list[int], filler: str, form: str, block: int
) -> None:
    from sources import arrays, tmx

    text = filler.replace('"', '""') if form == "quoted" else filler
    sizes = [*sizes, 5] if form == "pretty" else sizes  # one object alone is no stream of them
    texts = [f"{i:04}" + text * (size // len(filler)) for i, size in enumerate(sizes)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrays, "_BLOCK", block)
        patch.setattr(tmx, "_BLOCK", max(block, 100))
        patch.setattr(reading, "_BLOCK", block)
        out = read(write(tmp_path, form, texts))
    assert len(out.rows) + len(out.bad) == len(sizes)
    assert firsts(out) == [text[:4] for text in texts if text[:4] in firsts(out)]
    for i, text in enumerate(texts):
        if len(text) < 300:
            assert f"{i:04}" in firsts(out)
        if len(text) > LIMIT:
            assert f"{i:04}" not in firsts(out)


# ----------------------------------------------------------------------------------------------------- memory, for real
MEASURE = """
import re, sys
from pathlib import Path
from sources.dictionaries import Dictionary
from sources.files import Csv, JsonArray, JsonLines, Parquet, Tsv
from sources.parallel import Moses, ParallelTsv, Tmx
form, path = sys.argv[1:]
one = dict(language="sw", license="x", columns={"text": "t"})
pair = dict(source_language="en", target_language="sw", license="x")
source = {
    "jsonl": lambda: JsonLines(path=path, **one), "json": lambda: JsonArray(path=path, **one),
    "csv": lambda: Csv(path=path, **one), "quoted": lambda: Csv(path=path, **one), "tsv": lambda: Tsv(path=path, **one),
    "moses": lambda: Moses(source_path=path, target_path=path, **pair),
    "tmx": lambda: Tmx(path=path, **pair), "parquet": lambda: Parquet(path=path, **one),
}[form]()
unit, = source.units()
peak = lambda: int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1])
before = peak()
rows = bad = 0
for batch in source.read(unit, "s", None):
    rows, bad = rows + batch.table.num_rows, bad + len(batch.bad)
    assert all("longer than 16 MiB" in row.reason for row in batch.bad), batch.bad
print(rows, bad, peak() - before)
"""
HUGE = 200 << 20
"""Bytes of the one row that is too long."""


def pieces(form: str) -> Iterator[bytes]:
    """A file with a row before and one behind a huge one, piece by piece."""
    begin, end = {
        "jsonl": (b'{"t": "a"}\n{"t": "', b'"}\n{"t": "z"}\n'),
        "json": (b'[{"t": "a"}, {"t": "', b'"}, {"t": "z"}]'),
        "csv": (b"t\na\n", b"\nz\n"),
        "quoted": (b't\na\n"', b'\n"\nz\n'),
        "tsv": (b"t\na\n", b"\nz\n"),
        "moses": (b"a\n", b"\nz\n"),
        "tmx": (
            b"<tmx><body>" + unit("a").encode() + b'<tu><tuv xml:lang="en"><seg>',
            b"</seg></tuv></tu>" + unit("z").encode() + b"</body></tmx>",
        ),
    }[form]
    yield begin
    for _ in range(HUGE >> 20):
        yield b"many words " * 95_325  # 1 MiB
    yield end


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read from /proc")
@pytest.mark.parametrize("form", ["jsonl", "json", "csv", "quoted", "tsv", "moses", "tmx", "parquet"])
def test_a_row_of_200_mib_needs_no_such_memory(tmp_path: Path, form: str) -> None:
    path = tmp_path / f"huge.{form}"
    if form == "parquet":
        pq.write_table(pa.table({"t": ["a", "x" * HUGE, "z"]}), path, use_dictionary=False, write_statistics=False)
    else:
        # Compressed: 200 MiB of the same take no disk; a file of lines is read the same way.
        path = path.with_suffix(f".{form}.gz")
        with gzip.open(path, "wb", compresslevel=1) as file:
            for piece in pieces(form):
                file.write(piece)
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, form, str(path)], capture_output=True, text=True, check=False, timeout=900
    )
    assert done.returncode == 0, done.stderr
    rows, bad, grown = map(int, done.stdout.split())
    assert (rows, bad) == (2, 1)
    # Arrow has to hold a cell of a parquet file to know that it is too long; nobody else has to hold anything of it.
    assert grown < ((3 * HUGE if form == "parquet" else 150 << 20) >> 10), f"{grown / 1024:.0f} MiB"
