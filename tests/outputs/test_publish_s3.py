"""Publishing to S3 as boto and s3fs speak it, to a server on loopback."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import orjson
import polars as pl
import pyarrow.dataset
import pytest

from curate.errors import PublishError
from outputs.publishing.fsspec import JOURNAL
from outputs.publishing.publish import publish, records

pytest.importorskip("s3fs")
pytest.importorskip("moto")

sys.path.insert(0, str(Path(__file__).parent))
from shop import Shop, shared_shop

pytestmark = pytest.mark.heavy(env="common")
KEY, SECRET = "AKIALOOPBACKONLY1234", "nobody/should+ever+see+this+5678"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return shared_shop(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        for name, value in (
            ("ENDPOINT_URL", f"http://{host}:{port}"),
            ("ACCESS_KEY_ID", KEY),
            ("SECRET_ACCESS_KEY", SECRET),
            ("DEFAULT_REGION", "us-east-1"),
        ):
            patch.setenv(f"AWS_{name}", value)
        yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(endpoint: str, request: pytest.FixtureRequest) -> Iterator[tuple[Any, str]]:
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
    system = s3fs.S3FileSystem()
    name = f"shelf-{abs(hash(request.node.name)) % 10**8}"
    system.mkdir(name)
    yield system, name
    system.rm(name, recursive=True)


def there(system: Any, root: str) -> set[str]:
    system.invalidate_cache()
    return {str(name).removeprefix(f"{root}/") for name in system.find(root)}


def test_a_bucket_holds_one_version_and_what_others_put_there(built: Shop, bucket: tuple[Any, str]) -> None:
    system, name = bucket
    to, root = f"s3://{name}/data/talk", f"{name}/data/talk"
    first = publish(built.store, "talk", to)
    assert (
        first.count("add") == 8
        and there(system, root) >= {"README.md", "manifest.json"}
        and len(there(system, root)) == 8
    )
    assert not publish(built.store, "talk", to).fresh
    system.pipe_file(f"{root}/LICENSE", b"mine")
    system.pipe_file(f"{name}/data/other/train-0.parquet", b"not here")
    following = publish(built.store, "plain", to)
    assert following.count("remove") == 6 and there(system, root) == {
        "README.md",
        "manifest.json",
        "data/train-00000.parquet",
        "LICENSE",
    }
    system.pipe_file(f"{root}/README.md", b"# my words")
    with pytest.raises(PublishError, match=r"README\.md was edited by hand"):
        publish(built.store, "talk", to)
    publish(built.store, "talk", to, replace_others=True)
    assert "# talk" in system.cat_file(f"{root}/README.md").decode() and system.exists(
        f"{name}/data/other/train-0.parquet"
    )


def test_a_bucket_that_is_not_there_is_not_made(built: Shop, bucket: tuple[Any, str]) -> None:
    system, name = bucket
    with pytest.raises(PublishError, match="does the bucket"):
        publish(built.store, "plain", "s3://no-such-bucket-here/x")
    system.invalidate_cache()
    buckets = system.ls("")  # those of other tests in this process too
    assert name in buckets and "no-such-bucket-here" not in buckets


CHILD = """
import os, signal, sys
from pathlib import Path
import s3fs
from curate.engine.store.store import Store
from outputs.publishing.publish import publish
put, count = s3fs.S3FileSystem.put_file, 0
def counted(self, *args, **more):
    global count
    count += 1
    if count == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    return put(self, *args, **more)
s3fs.S3FileSystem.put_file = counted
publish(Store(Path(sys.argv[1])), "talk", sys.argv[2])
"""


def test_killed_half_way_it_is_whole_after_the_next_time(built: Shop, bucket: tuple[Any, str]) -> None:
    system, name = bucket
    to, root = f"s3://{name}/talk", f"{name}/talk"
    publish(built.store, "plain", to)
    child = subprocess.run(
        [sys.executable, "-c", CHILD, str(built.store.root), to],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        timeout=600,
        check=False,
    )
    assert child.returncode == -signal.SIGKILL
    assert (
        JOURNAL in there(system, root)
        and "data/train-00000.parquet" in there(system, root)
        and "# plain" in system.cat_file(f"{root}/README.md").decode()
    )
    publish(built.store, "talk", to)
    told = orjson.loads(system.cat_file(f"{root}/manifest.json"))
    assert there(system, root) == {one["path"] for one in told["publication"]["files"]} | {"manifest.json"}
    for one in told["publication"]["files"]:
        assert system.info(f"{root}/{one['path']}")["size"] == one["bytes"]


def test_credentials_are_shown_and_kept_nowhere(
    built: Shop, bucket: tuple[Any, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    system, name = bucket
    done = publish(built.store, "plain", f"s3://{name}/quiet")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    type(system).clear_instance_cache()
    with pytest.raises(PublishError) as caught:
        publish(built.store, "plain", f"s3://{name}/away")
    monkeypatch.undo()
    kept = b"".join(path.read_bytes() for path in (built.store.root / "publish").rglob("*") if path.is_file())
    sent = b"".join(system.cat_file(path) for path in system.find(f"{name}/quiet"))
    said = (str(done) + str(caught.value) + str(records(built.store))).encode()
    for secret in (KEY, SECRET):
        assert secret.encode() not in kept + sent + said


def test_readers_find_every_row(
    built: Shop, bucket: tuple[Any, str], endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system, name = bucket
    publish(built.store, "talk", f"s3://{name}/talk")
    system.invalidate_cache()
    files = f"s3://{name}/talk/data/*/train-*.parquet"
    told = orjson.loads(system.cat_file(f"{name}/talk/manifest.json"))
    rows = told["splits"]["train"]["rows"]
    with duckdb.connect() as database:
        database.register_filesystem(system)
        [(count,)] = database.sql(f"SELECT count(*) FROM '{files}'").fetchall()
    options = {
        "aws_endpoint_url": endpoint,
        "aws_access_key_id": KEY,
        "aws_secret_access_key": SECRET,
        "aws_region": "us-east-1",
        "aws_allow_http": "true",
    }
    assert count == rows == pl.scan_parquet(files, storage_options=options).collect().height
    assert (
        pyarrow.dataset.dataset(f"{name}/talk/data", filesystem=system, format="parquet").count_rows() == told["rows"]
    )
    import datasets
    import datasets.config

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)  # it takes that for "no network at all"
    datasets.disable_progress_bars()
    loaded = datasets.load_dataset(
        "parquet", data_files=files, split="train", storage_options={"endpoint_url": endpoint}, cache_dir=str(tmp_path)
    )
    assert len(loaded) == rows and set(loaded["language"]) == {"ar", "th", "zh"}
