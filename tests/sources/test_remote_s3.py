"""Files in S3 as boto and s3fs speak it, on a server on loopback."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from curate import build, load_catalog
from curate.steps import SourceError
from sources.files import JsonLines
from sources.remote import cache

pytest.importorskip("s3fs")
pytest.importorskip("moto")

pytestmark = pytest.mark.heavy(env="common")
Read = Callable[..., Any]
KEY, SECRET = "AKIALOOPBACKONLY1234", "nobody/should+ever+see+this+5678"
GIVEN: dict[str, Any] = {"language": "sw", "license": "x", "columns": {"text": "t"}}


def jsonl(*texts: str) -> bytes:
    return "".join(json.dumps({"t": text}) + "\n" for text in texts).encode()


def texts(out: Any) -> list[str]:
    return [row["text"] for row in out.rows]


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Any:
    import s3fs

    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in (
        ("ENDPOINT_URL", endpoint),
        ("ACCESS_KEY_ID", KEY),
        ("SECRET_ACCESS_KEY", SECRET),
        ("DEFAULT_REGION", "us-east-1"),
    ):
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("CURATE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "PAUSE", 0.01)
    s3fs.S3FileSystem.clear_instance_cache()
    system = s3fs.S3FileSystem()
    name = f"shelf-{abs(hash(request.node.name)) % 10**8}"
    system.mkdir(name)
    return system, name


def test_a_bucket_is_read_by_pattern_folder_and_name(bucket: Any, read: Read) -> None:
    system, name = bucket
    for path in ("a/1.jsonl", "a/2.jsonl", "b.jsonl", "c.txt"):
        system.pipe(f"{name}/{path}", jsonl(path))
    assert texts(read(JsonLines(path=f"s3://{name}/a/*.jsonl", **GIVEN))) == ["a/1.jsonl", "a/2.jsonl"]
    folder = JsonLines(path=f"s3://{name}/", **GIVEN)
    assert texts(read(folder)) == ["a/1.jsonl", "a/2.jsonl", "b.jsonl"]
    one = JsonLines(path=f"s3://{name}/b.jsonl", **GIVEN)
    # Listed or asked for alone, a file has the same state, so that it is fetched once.
    assert one.units()[0].state == folder.units()[2].state and one.units()[0].files == folder.units()[2].files
    before = one.units()[0].state
    system.pipe(f"{name}/b.jsonl", jsonl("B.jsonl"))
    assert one.units()[0].state != before and texts(read(one)) == ["B.jsonl"]


def test_what_is_wrong_is_said_without_the_key(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import s3fs

    _, name = bucket

    def said(url: str) -> str:
        with pytest.raises(SourceError) as error:
            JsonLines(path=url, **GIVEN).units()
        assert KEY not in str(error.value) and SECRET not in str(error.value)
        return str(error.value)

    assert "there is no such file" in said(f"s3://{name}/none.jsonl")
    assert "there is no such file" in said("s3://no-such-bucket-here/a.jsonl")
    assert "no file matches" in said(f"s3://{name}/*.jsonl")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    s3fs.S3FileSystem.clear_instance_cache()
    assert "not permitted" in (text := said(f"s3://{name}/a.jsonl")) and "AWS_PROFILE" in text
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    s3fs.S3FileSystem.clear_instance_cache()
    assert "cannot be reached" in said(f"s3://{name}/a.jsonl")


def test_a_large_file_is_fetched_in_parts_and_goes_on_where_it_was(bucket: Any, read: Read, tmp_path: Path) -> None:
    system, name = bucket
    data = jsonl(*(f"neno {i} " + "a" * 900 for i in range(20_000)))
    assert len(data) > 18_000_000
    system.pipe(f"{name}/a.jsonl", data)
    source = JsonLines(path=f"s3://{name}/a.jsonl", **GIVEN)
    (unit,) = source.units()
    part = tmp_path.joinpath("cache", "sources", *unit.files[0].parts[1:]).with_name("a.jsonl.part")
    part.parent.mkdir(parents=True)
    part.write_bytes(data[:10_000_000])
    assert len(read(source).rows) == 20_000 and not part.exists()
    assert part.with_name("a.jsonl").read_bytes() == data


def test_a_build_in_processes_keeps_the_key_to_itself(bucket: Any, tmp_path: Path) -> None:
    system, name = bucket
    for path in ("1.jsonl", "2.jsonl"):
        system.pipe(f"{name}/{path}", jsonl(path))
    file = tmp_path / "catalog.yaml"
    file.write_text(
        f"version: 1\nsources:\n  far: {{use: jsonl, path: 's3://{name}/*.jsonl', language: sw, license: x}}\n"
        "datasets:\n  all: {from: far, steps: []}\nrun: {workers: 2}\n".replace(
            "license: x", "license: x, columns: {text: t}"
        ),
        "utf-8",
    )
    (first,) = build(load_catalog(file))
    assert first.rows == 2 and build(load_catalog(file))[0].version == first.version
    for folder in (tmp_path / ".curate", tmp_path / "cache"):
        for one in folder.rglob("*"):
            assert not one.is_file() or not {KEY, SECRET} & {x for x in (KEY, SECRET) if x.encode() in one.read_bytes()}
