"""Members of archives are units, read where they are; what is not read, or cannot be, is said."""

from __future__ import annotations

import gzip
import io
import json
import lzma
import random
import struct
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec  # type: ignore[import-untyped]
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curate import build, check, load_catalog
from curate.steps import SourceError
from sources import members
from sources.files import Csv, JsonArray, JsonLines, Parquet, Tsv
from sources.parallel import Moses, ParallelTsv, Tmx

Read = Callable[..., Any]
GIVEN: dict[str, Any] = {"language": "sw", "license": "x", "columns": {"text": "t"}}
PAIR: dict[str, Any] = {"source_language": "en", "target_language": "sw", "license": "x"}


def jsonl(*texts: str) -> bytes:
    return "".join(json.dumps({"t": text}) + "\n" for text in texts).encode()


def texts(out: Any) -> list[str]:
    return [row["text"] for row in out.rows]


def zipped(path: Path, files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> str:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return str(path)


def tarred(path: Path, files: dict[str, bytes], form: int = tarfile.PAX_FORMAT) -> str:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for name, data in files.items():
            about = tarfile.TarInfo(name)
            about.size = len(data)
            archive.addfile(about, io.BytesIO(data))
    pack: dict[str, Callable[[bytes], bytes]] = {
        ".gz": gzip.compress,
        ".tgz": gzip.compress,
        ".xz": lzma.compress,
        ".zst": zstandard.compress,
    }
    path.write_bytes(pack.get(path.suffix, bytes)(out.getvalue()))
    return str(path)


FILES = {
    "README.md": b"words",
    "./b/two.jsonl": jsonl("mbili"),
    "a/one.jsonl": jsonl("moja", "tena"),
    "a/packed.jsonl.gz": gzip.compress(jsonl("kubwa")),
    "a/.hidden.jsonl": jsonl("siri"),
    "inner.zip": b"PK\x03\x04",
}


@pytest.mark.parametrize("name", ["d.zip", "d.tar", "d.tar.gz", "d.tgz", "d.tar.xz", "d.tar.zst"])
def test_each_member_of_the_format_is_a_unit(read: Read, tmp_path: Path, name: str) -> None:
    path = (zipped if name == "d.zip" else tarred)(tmp_path / name, FILES)
    source = JsonLines(path=path, **GIVEN)
    units = source.units()
    assert [unit.name for unit in units] == [
        f"{name}/{one}" for one in ("a/one.jsonl", "a/packed.jsonl.gz", "b/two.jsonl")
    ]
    assert set(units[0].beside) == {f"{name}/{one}" for one in ("README.md", "a/.hidden.jsonl", "inner.zip")}
    out = read(source)
    assert texts(out) == ["moja", "tena", "kubwa", "mbili"]
    assert out.rows[1]["lineage"]["source_id"] == f"{name}/a/one.jsonl:2"
    assert sorted(file.name for file in tmp_path.iterdir()) == [name]  # nothing was unpacked


def test_members_are_named_like_files_in_a_folder(read: Read, tmp_path: Path) -> None:
    path = zipped(tmp_path / "d.zip", FILES)
    assert texts(read(JsonLines(path=f"{path}/b/two.jsonl", **GIVEN))) == ["mbili"]
    assert texts(read(JsonLines(path=f"{path}/a/*.jsonl", **GIVEN))) == ["siri", "moja", "tena"]
    assert texts(read(JsonLines(path=f"{path}/**/t*.jsonl", **GIVEN))) == ["mbili"]
    both = JsonLines(path=[f"{path}/b/two.jsonl", f"{path}/a/one.jsonl", path], **GIVEN)
    assert texts(read(both)) == ["mbili", "moja", "tena", "kubwa"]
    assert not [name for unit in both.units() for name in unit.beside if name.endswith(("one.jsonl", "two.jsonl"))]
    with pytest.raises(SourceError, match=r"d\.zip has no member that matches 'c/\*'; it has README.md, b/two.jsonl"):
        JsonLines(path=f"{path}/c/*", **GIVEN).units()
    with pytest.raises(SourceError, match=r"no member of this format; .*path: d\.zip/README.md"):
        Parquet(path=path, **GIVEN).units()
    with pytest.raises(SourceError, match=r"d\.zip/inner\.zip is an archive inside an archive"):
        JsonLines(path=f"{path}/inner.zip", **GIVEN).units()


def test_archives_and_files_go_together(read: Read, tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    zipped(tmp_path / "x" / "d.zip", {"1.jsonl": jsonl("moja")})
    tarred(tmp_path / "e.tar", {"1.jsonl": jsonl("mbili")})
    (tmp_path / "f.jsonl").write_bytes(jsonl("tatu"))
    paths = [str(tmp_path / "x" / "*.zip"), str(tmp_path / "e.tar"), str(tmp_path / "f.jsonl")]
    source = JsonLines(path=paths, **GIVEN)
    assert [unit.name for unit in source.units()] == ["x/d.zip/1.jsonl", "e.tar/1.jsonl", "f.jsonl"]
    assert texts(read(source)) == ["moja", "mbili", "tatu"]
    assert [bool(unit.state) for unit in source.units()] == [True, True, False]


def test_a_folder_with_the_name_of_an_archive_is_a_folder(read: Read, tmp_path: Path) -> None:
    (tmp_path / "d.zip").mkdir()
    (tmp_path / "d.zip" / "a.jsonl").write_bytes(jsonl("moja"))
    for path in (tmp_path / "d.zip", tmp_path / "d.zip" / "a.jsonl"):
        source = JsonLines(path=str(path), **GIVEN)
        assert texts(read(source)) == ["moja"] and source.units()[0].state == ""


def test_every_source_of_files_reads_members(read: Read, tmp_path: Path) -> None:
    sink = io.BytesIO()
    pq.write_table(pa.table({"t": ["moja", "mbili"]}), sink)
    sides = '<tuv xml:lang="en"><seg>one</seg></tuv><tuv xml:lang="sw"><seg>moja</seg></tuv>'
    files = {
        "a.parquet": sink.getvalue(),
        "a.json": b'[{"t": "moja"}, {"t": "mbili"}]',
        "a.csv": b"t\nmoja\nmbili\n",
        "a.tab": b"t\nmoja\nmbili\n",
        "p.tsv": b"one\tmoja\n",
        "o/m.en-sw.en": b"one\n",
        "o/m.en-sw.sw": b"moja\n",
        "a.tmx": f'<tmx version="1.4"><header/><body><tu>{sides}</tu></body></tmx>'.encode(),
        "LICENSE": b"yes",
    }
    for path in (zipped(tmp_path / "d.zip", files), tarred(tmp_path / "d.tar.gz", files)):
        for cls, name in ((Parquet, "a.parquet"), (JsonArray, "a.json"), (Csv, "a.csv"), (Tsv, "a.tab")):
            assert texts(read(cls(path=f"{path}/{name}", **GIVEN))) == ["moja", "mbili"]
        assert texts(read(Parquet(path=path, sample=1, **GIVEN)))[0] in ("moja", "mbili")
        for source in (
            Tmx(path=path, **PAIR),
            ParallelTsv(path=f"{path}/p.tsv", **PAIR),
            Moses(path=f"{path}/o/m.en-sw", **PAIR),
            Moses(source_path=f"{path}/o/m.en-sw.en", target_path=f"{path}/o/m.en-sw.sw", **PAIR),
        ):
            assert [(row["source"], row["target"]) for row in read(source).rows] == [("one", "moja")]
        assert not [one for one in source.units()[0].beside if "m.en-sw" in one]


def test_a_changed_archive_is_another_state(read: Read, tmp_path: Path) -> None:
    path = zipped(tmp_path / "d.zip", {"a.jsonl": jsonl("moja")})
    source = JsonLines(path=path, **GIVEN)
    (before,) = source.units()
    assert source.units() == [before]
    zipped(tmp_path / "d.zip", {"b.jsonl": jsonl("pili"), "a.jsonl": jsonl("moja")})
    assert source.units()[0].state != before.state
    with pytest.raises(SourceError, match=r"d\.zip changed while it was being read"):
        list(source.records(before, None, None))


def encrypted(path: Path) -> str:
    zipped(path, {"open.jsonl": jsonl("wazi"), "secret.jsonl": jsonl("siri")}, zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    for magic, flag in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.rindex(magic)
        data[at + flag] |= 1
    path.write_bytes(data)
    return str(path)


def test_what_cannot_be_read_is_an_error_that_says_why(read: Read, tmp_path: Path) -> None:
    path = encrypted(tmp_path / "e.zip")
    with pytest.raises(SourceError, match=r"e\.zip/secret\.jsonl is encrypted; unpack the archive"):
        JsonLines(path=path, **GIVEN).units()
    only = JsonLines(path=f"{path}/open.jsonl", **GIVEN)
    assert texts(read(only)) == ["wazi"] and only.units()[0].beside == ("e.zip/secret.jsonl (encrypted)",)

    zipped(tmp_path / "m.zip", {"a.jsonl": jsonl("moja")})
    data = (tmp_path / "m.zip").read_bytes().replace(struct.pack("<HHH", 20, 0, 8), struct.pack("<HHH", 20, 0, 9))
    (tmp_path / "m.zip").write_bytes(data)
    with pytest.raises(SourceError, match="compressed by method 9"):
        JsonLines(path=str(tmp_path / "m.zip"), **GIVEN).units()

    (tmp_path / "t.zip").write_bytes(b"PK\x03\x04" + bytes(2_000))
    with pytest.raises(SourceError, match=r"t\.zip: the archive t\.zip is truncated or damaged"):
        JsonLines(path=str(tmp_path / "t.zip"), **GIVEN).units()
    (tmp_path / "no.zip").write_bytes(jsonl("moja"))
    with pytest.raises(SourceError, match=r"no\.zip is no ZIP or tar archive"):
        JsonLines(path=str(tmp_path / "no.zip"), **GIVEN).units()
    (tmp_path / "x.zip").write_bytes(b"7z\xbc\xaf\x27\x1c" + bytes(600))
    with pytest.raises(SourceError, match="7z archive; unpack it"):
        JsonLines(path=str(tmp_path / "x.zip"), **GIVEN).units()
    zipped(tmp_path / "w.zip", {"[Content_Types].xml": b"", "xl/workbook.xml": b""})
    with pytest.raises(SourceError, match="Excel workbook"):
        Csv(path=str(tmp_path / "w.zip"), **GIVEN).units()


def test_a_member_that_is_an_archive_by_its_content_or_twice_compressed_is_said(read: Read, tmp_path: Path) -> None:
    inner = (tmp_path / "i").with_suffix(".bin")
    zipped(inner, {"a.jsonl": jsonl("moja")})
    path = zipped(
        tmp_path / "d.zip", {"a.jsonl": inner.read_bytes(), "b.jsonl": gzip.compress(gzip.compress(jsonl("moja")))}
    )
    with pytest.raises(SourceError, match="archive inside an archive"):
        read(JsonLines(path=f"{path}/a.jsonl", **GIVEN))
    with pytest.raises(SourceError, match="compressed twice"):
        read(JsonLines(path=f"{path}/b.jsonl", **GIVEN))


@pytest.mark.parametrize("name", ["d.zip", "d.tar", "d.tar.gz"])
def test_damage_is_an_error_and_no_shorter_file(read: Read, tmp_path: Path, name: str) -> None:
    noise = random.Random(1)
    rows = [jsonl(*("".join(noise.choices("abcdefgh", k=200)) for _ in range(400))) for _ in range(3)]
    path = Path(
        (zipped if name == "d.zip" else tarred)(tmp_path / name, {f"{i}.jsonl": one for i, one in enumerate(rows)})
    )
    source = JsonLines(path=str(path), **GIVEN)
    assert len(read(source).rows) == 1_200
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 3 // 5])
    with pytest.raises(SourceError, match="truncated or damaged"):
        read(source)
    with pytest.raises(SourceError, match="truncated or damaged"):  # even if the members that are read are whole
        JsonLines(path=f"{path}/0.jsonl", **GIVEN).units()
    if name == "d.zip":  # a flipped byte is told by the checksum
        at = len(whole) // 2
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(SourceError, match="truncated or damaged"):
            read(source)
    if name == "d.tar":  # a damaged header is not the end
        at = whole.index(b"1.jsonl")
        path.write_bytes(whole[:at] + b"\xff" * 20 + whole[at + 20 :])
        with pytest.raises(SourceError, match="truncated or damaged"):
            read(source)


def test_links_of_tar_are_not_followed_and_names_lead_nowhere(read: Read, tmp_path: Path) -> None:
    (tmp_path / "secret.jsonl").write_bytes(jsonl("siri"))
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name in ("../up.jsonl", "/etc/root.jsonl", "a/../../b.jsonl"):
            about = tarfile.TarInfo(name)
            about.size = len(jsonl(name))
            archive.addfile(about, io.BytesIO(jsonl(name)))
        link = tarfile.TarInfo("link.jsonl")
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path / "secret.jsonl")
        archive.addfile(link)
    (tmp_path / "d.tar").write_bytes(out.getvalue())
    source = JsonLines(path=str(tmp_path / "d.tar") + "/**/[!l]*.jsonl", **GIVEN)
    assert sorted(texts(read(source))) == sorted(["../up.jsonl", "/etc/root.jsonl", "a/../../b.jsonl"])
    assert [unit.name for unit in source.units()] == ["d.tar/a/b.jsonl", "d.tar/etc/root.jsonl", "d.tar/up.jsonl"]
    assert source.units()[0].beside == ("d.tar/link.jsonl (a link or a device)",)
    with pytest.raises(SourceError, match=r"link\.jsonl is a link or a device"):
        JsonLines(path=str(tmp_path / "d.tar"), **GIVEN).units()


@pytest.mark.parametrize("name", ["d.zip", "d.tar.gz"])
def test_a_bomb_needs_no_memory(read: Read, tmp_path: Path, name: str) -> None:
    bomb = b'{"t": "' + bytes(60_000_000) + b'"}\n' + jsonl("moja")
    path = (zipped if name == "d.zip" else tarred)(tmp_path / name, {"a.jsonl": bomb})
    assert Path(path).stat().st_size < 200_000
    source = JsonLines(path=path, max_row_bytes=1 << 20, max_error_rate=1, **GIVEN)
    del bomb
    tracemalloc.start()
    out = read(source)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert texts(out) == ["moja"] and "longer than" in out.reasons[0]
    assert peak < 16_000_000


def test_an_archive_has_a_limited_number_of_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(members, "MOST", 5)
    path = tarred(tmp_path / "d.tar", {f"{i}.jsonl": b"" for i in range(6)})
    with pytest.raises(SourceError, match=r"more than 5 members; unpack it"):
        JsonLines(path=path, **GIVEN).units()


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    files=st.dictionaries(
        st.text("abcdé.-_ ", min_size=1, max_size=12)
        .map(lambda name: f"{name}.jsonl")
        .filter(lambda name: name[0] != "."),
        st.lists(st.text(max_size=20), max_size=6),
        min_size=1,
        max_size=6,
    ),
    kind=st.sampled_from(["zip", "tar", "tar.gz"]),
)
def test_an_archive_gives_what_its_files_give(
    read: Read, tmp_path_factory: pytest.TempPathFactory, files: dict[str, list[str]], kind: str
) -> None:
    folder = tmp_path_factory.mktemp("files")
    content = {name: jsonl(*rows) for name, rows in files.items()}
    (folder / "in").mkdir()
    for name, data in content.items():
        (folder / "in" / name).write_bytes(data)
    path = (zipped if kind == "zip" else tarred)(folder / f"d.{kind}", content)
    plain, packed = (
        read(JsonLines(path=str(one), strip=False, normalize="none", **GIVEN)) for one in (folder / "in", path)
    )
    assert sorted(texts(plain)) == sorted(texts(packed)) and len(packed.bad) == len(plain.bad)


def test_an_archive_behind_a_url(read: Read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CURATE_CACHE", str(tmp_path / "cache"))
    system = fsspec.filesystem("memory")
    system.store.clear()
    path = Path(zipped(tmp_path / "d.zip", FILES))
    system.pipe("/far/d.zip", path.read_bytes())
    source = JsonLines(path="memory://far/d.zip", **GIVEN)
    assert texts(read(source)) == ["moja", "tena", "kubwa", "mbili"]
    assert source.units()[0].name == "d.zip/a/one.jsonl" and source.units()[0].files[0].parts[0] == "remote:"
    one = JsonLines(path="memory://far/d.zip/b/*.jsonl", **GIVEN)
    assert texts(read(one)) == ["mbili"]
    before = one.units()[0].state
    system.pipe("/far/d.zip", Path(zipped(path, {"b/two.jsonl": jsonl("tatu")})).read_bytes())
    assert one.units()[0].state != before and texts(read(one)) == ["tatu"]
    system.store.clear()


CATALOG = """
version: 1
sources:
  packed: {{use: jsonl, path: "{path}", language: sw, license: CC0-1.0, columns: {{text: t}}}}
datasets:
  all: {{from: packed, steps: []}}
"""


def test_check_and_show_name_what_is_not_read(tmp_path: Path) -> None:
    path = zipped(tmp_path / "d.zip", FILES)
    file = tmp_path / "catalog.yaml"
    file.write_text(CATALOG.format(path=path), "utf-8")
    notes = "\n".join(str(note) for note in check(load_catalog(file)))
    assert "member 'd.zip/README.md'" in notes and "member 'd.zip/inner.zip'" in notes and "one.jsonl" not in notes
    (built,) = build(load_catalog(file))
    assert built.rows == 4
    manifest = json.loads((built.path / "manifest.json").read_text("utf-8"))
    assert manifest["sources"][0]["unused"]["members"] == [
        "d.zip/README.md",
        "d.zip/a/.hidden.jsonl",
        "d.zip/inner.zip",
    ]
    assert build(load_catalog(file))[0].version == built.version
