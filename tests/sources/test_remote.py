"""Files behind URLs: read once for each state, whole or not at all, and from the cache where nobody answers."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec  # type: ignore[import-untyped]
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curate import build, check, load_catalog, plan
from curate.steps import SourceError
from sources.dictionaries import Dictd
from sources.files import Csv, JsonArray, JsonLines, Parquet, Tsv
from sources.parallel import Moses, ParallelTsv, Tmx
from sources.remote import cache, web
from sources.remote.addresses import short
from sources.remote.systems import System

sys.path.insert(0, str(Path(__file__).parent))
from servers.web import Served, Shelf, serving

Read = Callable[..., Any]
GIVEN: dict[str, Any] = {"language": "sw", "license": "x", "columns": {"text": "t"}}
PAIR: dict[str, Any] = {"source_language": "en", "target_language": "sw", "license": "x"}


def jsonl(*texts: str) -> bytes:
    return "".join(json.dumps({"t": text}) + "\n" for text in texts).encode()


def texts(out: Any) -> list[str]:
    return [row["text"] for row in out.rows]


@pytest.fixture(autouse=True)
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache, empty; and no time lost on waiting."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CURATE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "PAUSE", 0.01)
    monkeypatch.setattr(web, "PAUSE", 0.01)
    return tmp_path / "cache" / "sources"


@pytest.fixture
def shelf() -> Iterator[Shelf]:
    with serving() as shelf:
        yield shelf


@pytest.fixture
def memory() -> Iterator[Any]:
    system = fsspec.filesystem("memory")
    system.store.clear()
    yield system
    system.store.clear()


def files_of(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file() and path.name != "lock")


# ----------------------------------------------------------------------------------------------------------------- web
def test_a_file_is_fetched_once_for_each_state(shelf: Shelf, read: Read, kept: Path) -> None:
    shelf.files["data/a.jsonl"] = Served(jsonl("moja", "mbili"))
    source = JsonLines(path=f"{shelf.url}/data/a.jsonl", **GIVEN)
    first = source.units()
    assert first[0].name == "a.jsonl" and not shelf.gets()  # what it is called and its state need no content
    assert texts(read(source)) == ["moja", "mbili"] and len(shelf.gets()) == 1
    assert texts(read(source)) == ["moja", "mbili"] and len(shelf.gets()) == 1
    assert source.units() == first
    shelf.files["data/a.jsonl"] = Served(jsonl("tatu"))
    assert source.units()[0].state != first[0].state and source.units()[0].name == first[0].name
    assert texts(read(source)) == ["tatu"] and len(shelf.gets()) == 2
    assert files_of(kept).count("a.jsonl") == 1  # the earlier state is gone


def test_a_broken_transfer_goes_on_where_it_was(shelf: Shelf, read: Read) -> None:
    data = jsonl(*(f"neno {i}" for i in range(20_000)))
    shelf.files["a.jsonl"] = Served(data, breaks_after=[100_000, 150_000])
    assert len(read(JsonLines(path=f"{shelf.url}/a.jsonl", **GIVEN)).rows) == 20_000
    assert shelf.gets() == [None, "bytes=100000-", "bytes=250000-"]
    assert shelf.sent == len(data)


def test_without_ranges_it_starts_again_and_gives_up_in_the_end(shelf: Shelf, read: Read, kept: Path) -> None:
    data = jsonl(*(f"neno {i}" for i in range(5_000)))
    served = shelf.files["a.jsonl"] = Served(data, ranges=False, breaks_after=[50_000])
    source = JsonLines(path=f"{shelf.url}/a.jsonl", **GIVEN)
    assert len(read(source).rows) == 5_000
    shelf.files["b.jsonl"] = Served(data, ranges=False, breaks_after=[50_000] * 100)
    with pytest.raises(SourceError, match=r"b\.jsonl: cannot be reached \(.*try again"):
        read(JsonLines(path=f"{shelf.url}/b.jsonl", **GIVEN))
    assert 2 <= len(shelf.gets()) < 20 and "b.jsonl" not in files_of(kept)
    assert served.breaks_after == []


def test_a_weak_etag_or_a_date_is_a_state_but_no_place_to_go_on(shelf: Shelf, read: Read) -> None:
    data = jsonl(*(f"neno {i}" for i in range(5_000)))
    shelf.files["weak.jsonl"] = Served(data, etag='W/"1"', breaks_after=[50_000])
    shelf.files["date.jsonl"] = Served(data, etag=None, modified="Mon, 05 Jan 2026 10:00:00 GMT", breaks_after=[50_000])
    for name in ("weak", "date"):
        source = JsonLines(path=f"{shelf.url}/{name}.jsonl", **GIVEN)
        assert len(read(source).rows) == len(read(source).rows) == 5_000
    assert shelf.gets() == [None] * 4


def test_what_says_nothing_of_its_state_is_known_by_its_content(shelf: Shelf, read: Read) -> None:
    served = shelf.files["a.jsonl"] = Served(jsonl("moja"), etag=None)
    source = JsonLines(path=f"{shelf.url}/a.jsonl", **GIVEN)
    state = source.units()[0].state
    assert state.startswith("content ") and source.units()[0].state == state
    before = len(shelf.gets())
    assert texts(read(source)) == ["moja"]
    assert len(shelf.gets()) == before + 1  # to know its state; not once more to read it
    served.data = jsonl("mbili")
    assert source.units()[0].state != state and texts(read(source)) == ["mbili"]


def test_a_file_that_changes_between_plan_and_reading_is_not_read(shelf: Shelf, read: Read) -> None:
    shelf.files["a.jsonl"] = Served(jsonl("moja"))
    source = JsonLines(path=f"{shelf.url}/a.jsonl", **GIVEN)
    (unit,) = source.units()
    shelf.files["a.jsonl"] = Served(jsonl("mbili"))
    with pytest.raises(SourceError, match="changed while it was being fetched"):
        list(source.records(source.fetched(unit), None, None))


def test_a_file_that_changes_after_it_was_asked_about_is_not_taken_for_what_it_was(shelf: Shelf, kept: Path) -> None:
    old, new = jsonl(*(f"neno {i}" for i in range(5_000))), jsonl(*(f"jina {i}" for i in range(5_000)))
    for name, more in (("at once", {}), ("in the middle", {"breaks_after": [50_000]})):
        shelf.files["a.jsonl"] = Served(old, becomes=[None, new] if not more else [], **more)  # type: ignore[arg-type]
        source = JsonLines(path=f"{shelf.url}/a.jsonl", **GIVEN)
        (unit,) = source.units()
        if more:
            shelf.files["a.jsonl"].after_break = new
        with pytest.raises(SourceError, match="changed while it was being fetched"):
            source.fetched(unit)
        assert "a.jsonl" not in files_of(kept), name


@pytest.mark.parametrize(
    ("header", "algorithm", "form"),
    [
        ("Content-MD5", "md5", "{}"),
        ("x-goog-hash", "md5", "crc32c=AAAAAA==,md5={}"),
        ("Repr-Digest", "sha256", "sha-256=:{}:"),
    ],
)
def test_a_checksum_is_compared(shelf: Shelf, read: Read, kept: Path, header: str, algorithm: str, form: str) -> None:
    data = jsonl("moja")
    right = base64.b64encode(hashlib.new(algorithm, data).digest()).decode()
    wrong = base64.b64encode(hashlib.new(algorithm, data + b" ").digest()).decode()
    served = shelf.files["a.jsonl"] = Served(data, headers={header: form.format(wrong)})
    source = JsonLines(path=f"{shelf.url}/a.jsonl", **GIVEN)
    with pytest.raises(SourceError, match=rf"damaged \(its {algorithm} is"):
        read(source)
    assert not [name for name in files_of(kept) if name.startswith("a.jsonl")]
    served.headers = {header: form.format(right)}
    assert texts(read(source)) == ["moja"]


def test_a_signed_url_that_permits_only_get_is_read_and_known_by_what_it_is_for(shelf: Shelf, read: Read) -> None:
    shelf.files["a.jsonl"] = Served(jsonl("moja"), methods=("GET",))
    one = JsonLines(path=f"{shelf.url}/a.jsonl?X-Amz-Signature=0123456789abcdef&id=5", **GIVEN)
    again = JsonLines(path=f"{shelf.url}/a.jsonl?X-Amz-Signature=fedcba9876543210&id=5", **GIVEN)
    other = JsonLines(path=f"{shelf.url}/a.jsonl?X-Amz-Signature=0123456789abcdef&id=6", **GIVEN)
    assert texts(read(one)) == ["moja"]
    assert one.units() == again.units() and one.units()[0].files != other.units()[0].files
    both = JsonLines(path=[str(one.path), str(other.path)], **GIVEN).units()
    assert len({unit.name for unit in both}) == 2


def test_a_busy_server_is_asked_again(shelf: Shelf, read: Read) -> None:
    shelf.files["a.jsonl"] = Served(jsonl("moja"), statuses=[503, 429, 200, 500])
    assert texts(read(JsonLines(path=f"{shelf.url}/a.jsonl", **GIVEN))) == ["moja"]


def test_errors_say_which_file_why_and_what_to_do(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    def said(url: str) -> str:
        with pytest.raises(SourceError) as error:
            JsonLines(path=url, **GIVEN).units()
        return str(error.value)

    shelf.files["closed.jsonl"] = Served(b"", user="Basic nobody")
    shelf.files["odd.jsonl"] = Served(b"", statuses=[418, 418])
    assert "/none.jsonl: there is no such file (404" in said(f"{shelf.url}/none.jsonl")
    assert "closed.jsonl: not permitted (401" in said(f"{shelf.url}/closed.jsonl")
    assert "the server answers 418" in said(f"{shelf.url}/odd.jsonl")
    assert "web servers do not list files" in said(f"{shelf.url}/*.jsonl")
    assert "'htps' is no protocol that fsspec knows; did you mean 'https'?" in said("htps://host/a.jsonl")
    assert "URLs inside URLs" in said("zip://a.jsonl::https://example.org/a.zip")
    shelf.stop()
    assert "cannot be reached" in said(f"{shelf.url}/a.jsonl") and "try again" in said(f"{shelf.url}/a.jsonl")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(SourceError, match=r"gs://bucket/a.jsonl: a package for gs:// is missing; pip install gcsfs"):
        JsonLines(path="gs://bucket/a.jsonl", **GIVEN).units()


def test_a_silent_server_is_given_up(shelf: Shelf, read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "TIMEOUT", 0.2)
    monkeypatch.setattr(cache, "TRIES", 2)
    shelf.files["a.jsonl"] = Served(jsonl("moja"), silence=2)
    with pytest.raises(SourceError, match=r"a.jsonl: no answer within 0 seconds \(timeout\); try again"):
        read(JsonLines(path=f"{shelf.url}/a.jsonl", **GIVEN))


def test_where_nobody_answers_the_copy_is_used_with_a_warning(shelf: Shelf, read: Read) -> None:
    shelf.files["a.jsonl"] = Served(jsonl("moja"))
    source = JsonLines(path=f"{shelf.url}/a.jsonl", **GIVEN)
    assert texts(read(source)) == ["moja"]
    before = source.units()
    assert not before[0].note
    shelf.stop()
    (after,) = source.units()
    assert (after.name, after.files, after.state) == (before[0].name, before[0].files, before[0].state)
    assert "cannot be reached" in after.note and "the copy of 20" in after.note
    assert texts(read(source)) == ["moja"]


def test_a_file_that_is_gone_is_an_error_although_there_is_a_copy(shelf: Shelf, read: Read) -> None:
    shelf.files["a.jsonl"] = Served(jsonl("moja"))
    source = JsonLines(path=f"{shelf.url}/a.jsonl", **GIVEN)
    read(source)
    del shelf.files["a.jsonl"]
    with pytest.raises(SourceError, match="there is no such file"):
        source.units()


def test_a_truncated_copy_is_fetched_again(shelf: Shelf, read: Read, kept: Path) -> None:
    shelf.files["a.jsonl"] = Served(jsonl("moja", "mbili"))
    source = JsonLines(path=f"{shelf.url}/a.jsonl", **GIVEN)
    read(source)
    (copy,) = kept.rglob("a.jsonl")
    copy.write_bytes(copy.read_bytes()[:5])
    assert texts(read(source)) == ["moja", "mbili"]


KILLED = """
import sys
sys.path.insert(0, {here!r})
from sources.files import JsonLines
source = JsonLines(path=sys.argv[1], language="sw", license="x", columns={{"text": "t"}})
(unit,) = source.units()
print("go", flush=True)
source.fetched(unit)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="locks of POSIX")
def test_two_processes_fetch_a_file_once(shelf: Shelf) -> None:
    shelf.files["a.jsonl"] = Served(jsonl(*(f"neno {i}" for i in range(50_000))), silence=1)
    script = KILLED.format(here=str(Path(__file__).parents[2]))
    command = [sys.executable, "-c", script, f"{shelf.url}/a.jsonl"]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
    assert [process.wait(600) for process in both] == [0, 0]
    for process in both:
        process.communicate()
    assert len(shelf.gets()) == 1


def test_many_urls_are_asked_about_side_by_side_and_stay_in_order(shelf: Shelf, read: Read) -> None:
    names = [f"{i}.jsonl" for i in range(24)]
    for name in names:
        shelf.files[name] = Served(jsonl(name), statuses=[503])
    source = JsonLines(path=[f"{shelf.url}/{name}" for name in names], **GIVEN)
    assert [unit.name for unit in source.units()] == names and texts(read(source)) == names


def test_an_address_in_an_error_has_no_query() -> None:
    error = OSError("cannot open 'https://cdn.example.org/a?X-Amz-Signature=0a1b2c3d&x=1', twice")
    assert short(error, "https://h/a") == "OSError: cannot open 'https://cdn.example.org/a', twice"


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_killed_transfer_is_carried_on_by_another_process(shelf: Shelf, read: Read, kept: Path) -> None:
    data = jsonl(*(f"neno {i} " + "a" * 500 for i in range(20_000)))
    served = shelf.files["a.jsonl"] = Served(data, stalls_at=4_000_000)
    script = KILLED.format(here=str(Path(__file__).parents[2]))
    with subprocess.Popen([sys.executable, "-c", script, f"{shelf.url}/a.jsonl"], stdout=subprocess.PIPE) as process:
        for _ in range(12_000):
            parts = list(kept.rglob("a.jsonl.part"))
            if parts and parts[0].stat().st_size == 4_000_000:
                break
            time.sleep(0.05)
        else:
            pytest.fail("nothing came")
        os.kill(process.pid, signal.SIGKILL)
    assert not list(kept.rglob("a.jsonl"))
    served.stalls_at = None
    shelf.asked.clear()
    assert len(read(JsonLines(path=f"{shelf.url}/a.jsonl", **GIVEN)).rows) == 20_000
    assert shelf.gets() == ["bytes=4000000-"]


def test_memory_does_not_grow_with_the_file(shelf: Shelf, kept: Path) -> None:
    import tracemalloc

    data = jsonl(*(f"neno {i} " + "a" * 2_000 for i in range(20_000)))
    shelf.files["a.jsonl"] = Served(data)
    source = JsonLines(path=f"{shelf.url}/a.jsonl", **GIVEN)
    (unit,) = source.units()
    tracemalloc.start()
    source.fetched(unit)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(data) > 40_000_000 and peak < 12_000_000


# ------------------------------------------------------------------------------------------------------- file systems
def test_patterns_and_folders_are_listed_where_that_is_possible(memory: Any, read: Read) -> None:
    for name in ("b/2.jsonl", "b/1.jsonl", "a.jsonl", "a.txt", ".hidden.jsonl", "b/.x/3.jsonl"):
        memory.pipe(f"/data/{name}", jsonl(name))
    out = texts(read(JsonLines(path="memory://data/**/*.jsonl", **GIVEN)))
    assert {"b/1.jsonl", "b/2.jsonl"} <= set(out) <= {"a.jsonl", "b/1.jsonl", "b/2.jsonl"}
    folder = JsonLines(path="memory://data", **GIVEN)
    assert [unit.name for unit in folder.units()] == ["a.jsonl", "b/1.jsonl", "b/2.jsonl"]
    assert texts(read(folder)) == ["a.jsonl", "b/1.jsonl", "b/2.jsonl"]
    assert [unit.name for unit in JsonLines(path="memory://data/b/*.jsonl", **GIVEN).units()] == ["1.jsonl", "2.jsonl"]
    with pytest.raises(SourceError, match=r"memory://data/\*\.csv: no file matches"):
        Csv(path="memory://data/*.csv", **GIVEN).units()
    with pytest.raises(SourceError, match=r"memory://data/none.jsonl: there is no such file"):
        JsonLines(path="memory://data/none.jsonl", **GIVEN).units()


def test_a_file_of_a_file_system_that_changed_is_another_state(memory: Any, read: Read) -> None:
    memory.pipe("/data/a.jsonl", jsonl("moja"))
    source = JsonLines(path="memory://data/a.jsonl", **GIVEN)
    assert texts(read(source)) == ["moja"]
    before = source.units()
    assert source.units() == before
    memory.pipe("/data/a.jsonl", jsonl("pili"))  # of the same size
    assert source.units()[0].state != before[0].state
    assert texts(read(source)) == ["pili"]


def test_a_file_of_a_file_system_that_changes_while_it_is_read_is_not_taken(memory: Any) -> None:
    memory.pipe("/data/a.jsonl", jsonl("moja"))
    system = System("memory://data/a.jsonl")
    content = system.content(system.url, system.ask(system.url), 0)
    assert next(content) == 0
    memory.pipe("/data/a.jsonl", jsonl("pili"))
    with pytest.raises(SourceError, match="changed while it was being fetched"):
        list(content)


def test_local_and_remote_files_go_together_each_once(memory: Any, read: Read, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(jsonl("hapa"))
    memory.pipe("/data/a.jsonl", jsonl("kule"))
    memory.pipe("/data/b.jsonl", jsonl("pale"))
    paths = [f"file://{tmp_path}/a.jsonl", "memory://data/a.jsonl", "memory://data/*.jsonl", str(tmp_path / "a.jsonl")]
    source = JsonLines(path=paths, **GIVEN)
    assert texts(read(source)) == ["hapa", "kule", "pale"]
    assert len({unit.name for unit in source.units()}) == 3
    assert source.units()[0].state == ""  # a file here is known by its content, as without the others


def test_every_source_of_files_reads_urls(memory: Any, read: Read, tmp_path: Path) -> None:
    sink = tmp_path / "a.parquet"
    pq.write_table(pa.table({"t": ["moja"]}), sink)
    memory.pipe("/d/a.parquet", sink.read_bytes())
    memory.pipe("/d/a.json", b'[{"t": "moja"}]')
    memory.pipe("/d/a.csv", b"t\nmoja\n")
    memory.pipe("/d/a.tsv", b"t\nmoja\n")
    memory.pipe("/d/p.tsv", b"one\tmoja\n")
    memory.pipe("/d/m.en-sw.en", b"one\n")
    memory.pipe("/d/m.en-sw.sw", b"moja\n")
    sides = '<tuv xml:lang="en"><seg>one</seg></tuv><tuv xml:lang="sw"><seg>moja</seg></tuv>'
    memory.pipe("/d/a.tmx", f'<tmx version="1.4"><header/><body><tu>{sides}</tu></body></tmx>'.encode())
    for cls, suffix in ((Parquet, "parquet"), (JsonArray, "json"), (Csv, "csv"), (Tsv, "tsv")):
        assert texts(read(cls(path=f"memory://d/a.{suffix}", **GIVEN))) == ["moja"]
    pairs = (
        Tmx(path="memory://d/a.tmx", **PAIR),
        ParallelTsv(path="memory://d/p.tsv", **PAIR),
        Moses(path="memory://d/m.en-sw", **PAIR),
        Moses(source_path="memory://d/m.en-sw.en", target_path="memory://d/m.en-sw.sw", **PAIR),
    )
    for source in pairs:
        assert [(row["source"], row["target"]) for row in read(source).rows] == [("one", "moja")]
    before = pairs[2].units()[0].state
    memory.pipe("/d/m.en-sw.sw", b"mmoj\n")
    assert pairs[2].units()[0].state != before
    (tmp_path / "m.en").write_bytes(b"one\n")
    mixed = Moses(source_path=str(tmp_path / "m.en"), target_path="memory://d/m.en-sw.sw", **PAIR)
    state = mixed.units()[0].state
    (tmp_path / "m.en").write_bytes(b"two\n")
    assert mixed.units()[0].state != state and read(mixed).rows[0]["source"] == "two"
    with pytest.raises(SourceError, match="web servers do not list files; set 'source_path'"):
        Moses(path="https://example.org/m.en-sw", **PAIR).units()
    with pytest.raises(SourceError, match="two files side by side"):
        Dictd(path="https://example.org/x.index", **PAIR).units()


def test_the_form_is_found_in_the_fetched_file_and_nothing_is_fetched_where_it_is_told(shelf: Shelf) -> None:
    shelf.files["a.jsonl"] = Served(b'{"prompt": "Habari?", "response": "Nzuri."}\n')
    told = JsonLines(path=f"{shelf.url}/a.jsonl", **{**GIVEN, "columns": {"text": "prompt"}})
    assert told.makes.value == "document" and told.units() and not told.unused("s").columns and not shelf.gets()
    found = JsonLines(path=f"{shelf.url}/a.jsonl", language="sw", license="x")
    assert found.makes.value == "sft" and found.identity() and len(shelf.gets()) == 1


# ---------------------------------------------------------------------------------------------------------- the engine
CATALOG = """
version: 1
sources:
  far:
    use: jsonl
    path: "{path}"
    language: sw
    license: CC0-1.0
    columns: {{text: t}}
datasets:
  all: {{from: far, steps: []}}
"""
PASSWORD = "siri-kubwa-sana-9137"
SIGNATURE = "sahihi-ndefu-4421-abc"


def test_a_build_reads_an_unchanged_file_never_again_and_writes_no_credential(
    shelf: Shelf, tmp_path: Path, kept: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    login = base64.b64encode(f"asha:{PASSWORD}".encode()).decode()
    shelf.files["a.jsonl"] = Served(jsonl("moja", "mbili"), user=f"Basic {login}")
    secret = f"{shelf.url.replace('://', f'://asha:{PASSWORD}@')}/a.jsonl?sig={SIGNATURE}"
    monkeypatch.setenv("FAR_DATA", secret)
    file = tmp_path / "catalog.yaml"
    for path in ("${FAR_DATA}", secret):
        file.write_text(CATALOG.format(path=path), "utf-8")
        asked = len(shelf.gets())
        plan(load_catalog(file))
        check(load_catalog(file))
        assert len(shelf.gets()) == asked  # what is to be done is known without the content
        first = build(load_catalog(file))
        assert first[0].rows == 2
        asked = len(shelf.gets())
        assert build(load_catalog(file))[0].version == first[0].version and len(shelf.gets()) == asked == 1
    shelf.files["a.jsonl"].data = jsonl("tatu")
    assert build(load_catalog(file))[0].rows == 1
    shelf.files["a.jsonl"].user = "Basic other"
    with pytest.raises(Exception, match="not permitted") as error:
        build(load_catalog(file))
    for hidden in (PASSWORD, SIGNATURE, login):
        assert hidden not in str(error.value) and hidden not in caplog.text
        places = [one for folder in (tmp_path / ".curate", kept) for one in folder.rglob("*") if one.is_file()]
        assert len(places) > 5
        assert not [one for one in places if hidden.encode() in one.read_bytes()]


def test_a_build_without_network_warns_and_uses_the_copy(shelf: Shelf, tmp_path: Path) -> None:
    shelf.files["a.jsonl"] = Served(jsonl("moja"))
    file = tmp_path / "catalog.yaml"
    file.write_text(CATALOG.format(path=f"{shelf.url}/a.jsonl"), "utf-8")
    version = build(load_catalog(file))[0].version
    shelf.stop()
    again = build(load_catalog(file))[0]
    assert again.version == version
    file.write_text(CATALOG.format(path=f"{shelf.url}/b.jsonl"), "utf-8")
    with pytest.raises(Exception, match=r"source 'far': .*b\.jsonl: cannot be reached"):
        build(load_catalog(file))
