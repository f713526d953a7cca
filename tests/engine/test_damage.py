"""Whatever becomes of a file of the store: each command gives the right result, or one error that names the file,
and the remedy works.

A table: every kind of file × every kind of damage × the commands that read it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq
import pytest
import yaml

import curate
from curate.engine.store.diff import compare, sides
from curate.engine.store.gc import collect_garbage, verify_version
from curate.engine.store.history import version_log
from curate.engine.store.integrity import seal
from curate.engine.store.repair import find_damage, repair_store
from curate.engine.store.store import Store
from curate.errors import CurateError, DamagedError

WORDS = {
    "en": "The ferry leaves at %d past seven.",
    "sw": "Kivuko kinaondoka saa moja na dakika %d.",
    "ar": "تغادر العبارة بعد السابعة ب %d دقيقة.",
    "th": "เรือข้ามฟากออกตอนเจ็ดโมง %d นาที",
    "hi": "नाव सात बजकर %d मिनट पर चलती है।",
}


@pytest.fixture(scope="module")
def calm(tmp_path_factory) -> Path:
    """A folder with a store as many builds leave it: two versions, a tag, a published one, rejects, unreadable
    rows, kept scores and vectors."""
    folder = tmp_path_factory.mktemp("calm")
    rows = [{"l": tag, "t": text % n} for n in range(12) for tag, text in WORDS.items()]
    lines = [json.dumps(row, ensure_ascii=False) for row in [*rows, rows[3], {"l": "en", "t": "x" * 300}]]
    (folder / "rows.jsonl").write_text("\n".join([*lines, "no json"]) + "\n")
    catalog: dict[str, Any] = {
        "version": 1,
        "sources": {
            "rows": {
                "use": "jsonl",
                "path": "rows.jsonl",
                "kind": "document",
                "language": "{l}",
                "license": "CC0-1.0",
                "columns": {"text": "{t}"},
                "max_error_rate": 0.1,
            }
        },
        "datasets": {
            "ferry": {
                "from": "rows",
                "splits": {"train": 0.8, "test": 0.2},
                "steps": [
                    {"shape": {"max_chars": 150}},
                    "redact",
                    {"language": {"min_letters": 400}},
                    {"duplicates": {"method": "exact"}},
                    {"mix": {"rows": 50}},
                ],
            }
        },
        "run": {"workers": 1},
    }
    for most in (45, 50):
        catalog["datasets"]["ferry"]["steps"][-1] = {"mix": {"rows": most}}
        (folder / "catalog.yaml").write_text(yaml.safe_dump(catalog, allow_unicode=True, sort_keys=False))
        curate.build(folder / "catalog.yaml")
    store = Store(folder / ".curate")
    from curate.engine.store.history import tag_version

    tag_version(store, "ferry", "good")
    curate.publish("ferry", str(folder / "published"), store=store)
    assert not list(find_damage(store))
    NAMES["latest"] = store.resolve("ferry")
    [NAMES["old"]] = set(store.versions("ferry")) - {NAMES["latest"]}
    return folder


@pytest.fixture
def house(calm, tmp_path) -> Path:
    """The same once more; what is one file under two names there is so here."""
    subprocess.run(["cp", "-a", f"{calm}/.", str(tmp_path)], check=True)
    return tmp_path


RIGHT: dict[str, Any] = {}
"""What each command says where nothing is damaged."""
NAMES: dict[str, str] = {}
"""``latest`` and ``old``: the two versions, as long as their names can be read."""


def newest(folder: Path, pattern: str) -> Path:
    found = sorted(
        (folder / ".curate").glob(pattern.replace("LATEST", NAMES["latest"])),
        key=lambda path: (path.stat().st_mtime_ns, path),
    )
    assert found, pattern
    return found[-1]


KINDS: dict[str, Callable[[Path], Path]] = {
    "description of a read": lambda folder: newest(folder, "work/read-jsonl/*/result.json"),
    "description of scores": lambda folder: newest(folder, "work/shape/*/result.json"),
    "description of made rows": lambda folder: newest(folder, "work/redact/*/result.json"),
    "description of a decision": lambda folder: newest(folder, "work/mix/*/result.json"),
    "description of a part": lambda folder: newest(folder, "work/part/*/result.json"),
    "description of a version": lambda folder: newest(folder, "work/version/*/result.json"),
    "read rows": lambda folder: newest(folder, "work/read-jsonl/*/rows-*.parquet"),
    "unreadable rows": lambda folder: newest(folder, "work/read-jsonl/*/bad.parquet"),
    "made rows": lambda folder: newest(folder, "work/redact/*/rows-*.parquet"),
    "kept scores": lambda folder: newest(folder, "work/shape/*/scores-*.parquet"),
    "columns of a filter": lambda folder: newest(folder, "work/shape/*/columns.parquet"),
    "summary": lambda folder: newest(folder, "work/mix-summary/*/summary.parquet"),
    "columns of a decision": lambda folder: newest(folder, "work/mix/*/columns-*.parquet"),
    "rows of a part": lambda folder: newest(folder, "work/part/*/data-train.parquet"),
    "digests of a part": lambda folder: newest(folder, "work/part/*/data-train.digests"),
    "data of a version": lambda folder: newest(folder, "datasets/ferry/LATEST/data/train-*.parquet"),
    "rejects of a version": lambda folder: newest(folder, "datasets/ferry/LATEST/rejected/*.parquet"),
    "unreadable rows of a version": lambda folder: newest(folder, "datasets/ferry/LATEST/quarantined/*.parquet"),
    "manifest": lambda folder: newest(folder, "datasets/ferry/LATEST/manifest.json"),
    "manifest of an old version": lambda folder: folder / ".curate/datasets/ferry" / NAMES["old"] / "manifest.json",
    "data of an old version": lambda folder: sorted(
        (folder / ".curate/datasets/ferry" / NAMES["old"]).glob("data/*.parquet")
    )[0],
    "latest": lambda folder: newest(folder, "datasets/ferry/refs/latest.json"),
    "tag": lambda folder: newest(folder, "datasets/ferry/refs/good.json"),
    "state": lambda folder: newest(folder, "state/ferry.json"),
    "format": lambda folder: newest(folder, "store.json"),
    "file digests": lambda folder: _file_digests(folder),
    "record of a publication": lambda folder: newest(folder, "publish/ferry/*.json"),
    "ledger": lambda folder: newest(folder, "spending.sqlite"),
}


def _file_digests(folder: Path) -> Path:
    from curate.engine.store.store import FileDigests

    path = folder / ".curate/cache/files.json"
    path.unlink(missing_ok=True)
    digests = FileDigests(path)
    digests._known[str(folder / "rows.jsonl")] = [1, 2, 3, 4, "0" * 64]
    digests._changed = True
    digests.save()
    return path


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def flipped(path: Path) -> None:
    """One byte, in place: what is the same file elsewhere changes with it."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    with path.open("r+b") as file:
        file.write(data)


def deleted(path: Path) -> None:
    path.unlink()


def shorter(path: Path) -> None:
    """A valid file of its kind that says less."""
    if path.suffix == ".parquet":
        table = pq.read_table(path)
        path.unlink()
        pq.write_table(table.slice(0, max(0, table.num_rows - 1)), path)
    elif path.suffix == ".json":
        path.write_bytes(b"{}")
    elif path.suffix == ".sqlite":
        path.unlink()
        sqlite3.connect(path).execute("CREATE TABLE t (x)").connection.commit()
    else:
        path.write_bytes(path.read_bytes()[:-32])


def exchanged(path: Path) -> None:
    """A folder where the file was: nobody can read it."""
    path.unlink()
    path.mkdir()


def piped(path: Path) -> None:
    """A pipe that nobody writes to: whoever opens it waits for ever."""
    path.unlink()
    os.mkfifo(path)


def looped(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


DAMAGES = (truncated, emptied, flipped, deleted, shorter, exchanged)
IN_ITS_PLACE = (piped, looped)


def rows_of(store: Store) -> pl.DataFrame:
    """The rows of the latest version, read from its files."""
    folder = store.dataset("ferry") / store.resolve("ferry")
    return pl.concat(
        [pl.read_parquet(path, columns=["id", "text", "language"]) for path in sorted(folder.glob("data/*.parquet"))]
    )


def commands(folder: Path, store: Store) -> dict[str, Callable[[], Any]]:
    catalog = folder / "catalog.yaml"

    def export() -> int:
        shutil.rmtree(folder / "exports", ignore_errors=True)
        return sum(one.rows for one in curate.export("ferry", "parquet", to=folder / "exports", catalog=catalog))

    return {
        "plan": lambda: bool(curate.plan(catalog)),
        "log": lambda: {one.version: one.rows for one in version_log(store, "ferry") if not one.damage},
        "verify": lambda: verify_version(store, "ferry"),
        "card": lambda: curate.card("ferry", store=store).count("\n"),
        "export": export,
        "diff": lambda: compare(store, ("ferry", NAMES["old"]), ("ferry", store.resolve("ferry"))).new_rows,
        "gc": lambda: collect_garbage(store, dry_run=True).versions,
    }


@pytest.mark.slow
@pytest.mark.parametrize("damage", [*DAMAGES, *IN_ITS_PLACE], ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("kind", KINDS)
def test_whatever_becomes_of_a_file(house, calm, kind, damage):
    store = Store(house / ".curate")
    right = RIGHT or {name: call() for name, call in commands(house, store).items()}
    RIGHT.update(right)  # the same of every copy
    version, rows, versions = store.resolve("ferry"), rows_of(store), set(store.versions("ferry"))
    path = KINDS[kind](house)
    same = {one for one in store.root.rglob("*") if one.samefile(path)}
    damage(path)

    for name, call in commands(house, store).items():
        try:
            found = call()
        except DamagedError as error:
            assert error.path in same or error.path in path.parents or path.parent == error.path.parent, (name, error)
            assert "curate repair" in str(error) and "curate build" in str(error)
        except CurateError as error:
            assert kind in ("latest", "manifest") and "no version" in str(error), (name, error)
        else:
            fine = found == right[name] or (name == "verify" and found) or (name in ("plan", "log", "gc"))
            assert fine, (name, found, right[name])
    if kind.startswith(("data of", "rejects of", "unreadable rows of", "manifest")) and "old" not in kind:
        with pytest.raises(CurateError):
            curate.export("ferry", "parquet", to=house / "never", catalog=house / "catalog.yaml")
        assert not (house / "never").exists() or not list((house / "never").rglob("*.parquet"))

    # A build mends what it sees: everything that it reads, or whose size is another.
    catalog = house / "catalog.yaml"
    try:
        [built] = curate.build(catalog)
        assert built.version == version
        assert damage is flipped or rows_of(store).equals(rows)
    except DamagedError as error:
        assert kind == "format" and error.path == path

    # Repairing and building again mends everything.
    repaired = repair_store(store)
    [built] = curate.build(catalog)
    assert built.version == version and store.resolve("ferry") == version
    assert rows_of(store).equals(rows)
    assert [str(one.error) for one in find_damage(store)] == []
    lost = versions - set(store.versions("ferry"))
    assert all(f"ferry@{one}" in repaired.lost for one in lost)
    assert verify_version(store, "ferry") == []
    assert not repair_store(store).lines


def test_a_build_says_what_was_damaged_and_where_it_is_now(house):
    store = Store(house / ".curate")
    path = newest(house, "work/redact/*/rows-*.parquet")
    truncated(path)
    [built] = curate.build(house / "catalog.yaml")
    inside = path.relative_to(store.root).as_posix()
    [said] = [warning for warning in built.warnings if "damaged" in warning]
    assert said.startswith(f"{inside} was damaged (it has ") and "is made again" in said
    [aside] = (store.root / "damaged").glob(f"*/{inside}")
    assert built.changed and aside.stat().st_size > 0
    assert collect_garbage(store).bytes > 0 and not list((store.root / "damaged").glob("*"))


def test_what_is_read_is_checked_though_its_size_is_right(house):
    """A flipped score changed decisions before; the version verified."""
    store = Store(house / ".curate")
    flipped(newest(house, "work/shape/*/scores-*.parquet"))
    text = (house / "catalog.yaml").read_text()
    (house / "catalog.yaml").write_text(text.replace("max_chars: 150", "max_chars: 151"))
    version = store.resolve("ferry")
    [built] = curate.build(house / "catalog.yaml")
    assert built.version == version and any("damaged" in warning for warning in built.warnings)


def test_each_version_stands_or_falls_alone(house):
    store = Store(house / ".curate")
    old = NAMES["old"]
    (store.dataset("ferry") / old / "manifest.json").unlink()
    assert [one.version for one in version_log(store, "ferry") if one.damage] == [old]
    found = collect_garbage(store, dry_run=True)
    assert found.versions == [] and any(old in line for line in found.left)
    assert curate.export("ferry", "parquet", to=house / "exports", catalog=house / "catalog.yaml")


@pytest.mark.parametrize("damage", [deleted, looped], ids=lambda damage: damage.__name__)
def test_a_comparison_with_the_version_before_names_a_manifest_that_is_gone(house, damage):
    damage(KINDS["manifest"](house))
    with pytest.raises(DamagedError, match=r"manifest\.json is damaged"):
        sides(Store(house / ".curate"), "ferry", None)


def test_a_description_of_something_else_is_damage_too(house):
    store = Store(house / ".curate")
    one, other = (
        sorted((store.root / "work" / "part").glob("*/result.json"))[:2]
        if len(list((store.root / "work" / "part").glob("*"))) > 1
        else (newest(house, "work/shape/*/result.json"), newest(house, "work/mix/*/result.json"))
    )
    one.write_bytes(other.read_bytes())
    assert any(damage.error.path == one and "another result" in damage.error.why for damage in find_damage(store))
    manifest = newest(house, "datasets/ferry/LATEST/manifest.json")
    manifest.write_bytes(seal({**store.manifest("ferry", store.resolve("ferry")), "version": "0" * 20}))
    with pytest.raises(DamagedError, match="another version"):
        store.manifest("ferry", store.resolve("ferry"))


def test_a_sample_and_a_rebuild_keep_their_scratch_while_a_build_begins(house):
    store = Store(house / ".curate")
    with store.scratch() as folder:
        (folder / "half").write_text("half")
        curate.build(house / "catalog.yaml")
        assert (folder / "half").exists()
    dead = store.root / "scratch" / "0123-999999999-nowhere"
    dead.mkdir(parents=True)
    import os
    import socket

    gone = store.root / "scratch" / f"0123-999999999-{socket.gethostname()}"
    gone.mkdir()
    os.utime(dead, (1, 1))
    curate.build(house / "catalog.yaml")
    assert not dead.exists() and not gone.exists()


# -----------------------------------------------------------------------------------------------------------------
# caches
def answers(folder: Path, identity: str = "lab/w"):
    from curate.models.cache.responses import AnswerCache

    return AnswerCache(folder, "lab/w", {"model": identity})


def anywhere(path: Path) -> None:
    """A byte of an answer, not of the file's own order."""
    data = bytearray(path.read_bytes())
    at = data.index("ดีมาก 700".encode())
    data[at + 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("damage", [*DAMAGES, anywhere], ids=lambda damage: damage.__name__)
@pytest.mark.filterwarnings("ignore:.*damaged")
def test_an_answer_is_what_was_written_or_asked_again(tmp_path, damage):
    kept = {number.to_bytes(16): {"text": f"ดีมาก {number} " + "mzuri " * 20} for number in range(2_000)}
    cache = answers(tmp_path)
    cache.put(kept)
    cache.close()
    [path] = tmp_path.glob("answers/*.sqlite")
    damage(path)
    again = answers(tmp_path)
    found = again.get(kept)
    assert found.items() <= kept.items()
    least = {"truncated": 200, "flipped": 1_900, "anywhere": 1_999}.get(damage.__name__, 0)
    assert len(found) >= least, "what can be read of a damaged file is kept"
    again.put({key: kept[key] for key in kept.keys() - found.keys()})
    assert again.get(kept) == kept
    again.close()
    fresh = answers(tmp_path)
    assert fresh.get(kept) == kept
    fresh.close()
    if damage in (truncated, exchanged):
        assert list(path.parent.glob("*.damaged-*"))


def test_answers_of_another_model_are_no_answers(tmp_path, caplog):
    mine, other = answers(tmp_path), answers(tmp_path, "lab/x")
    other.put({b"q" * 16: "wrong"})
    mine.close(), other.close()
    a, b = mine.file, other.file
    shutil.copy(b, a)
    again = answers(tmp_path)
    assert again.get([b"q" * 16]) == {}
    [message] = caplog.messages
    assert re.search("1 answers in .* are damaged; they are asked for again", message)


def test_answers_of_a_file_of_an_older_version_are_known(tmp_path):
    cache = answers(tmp_path)
    cache.close()
    cache.file.unlink()
    old = sqlite3.connect(cache.file, isolation_level=None)
    old.execute(
        "CREATE TABLE answers (key BLOB PRIMARY KEY, value BLOB NOT NULL, at INTEGER NOT NULL DEFAULT (unixepoch())) WITHOUT ROWID"  # noqa: E501
    )
    old.execute("INSERT INTO answers (key, value) VALUES (?, ?)", (b"q" * 16, b'"paid for"'))
    old.close()
    again = answers(tmp_path)
    assert again.get([b"q" * 16]) == {b"q" * 16: "paid for"}
    again.put({b"r" * 16: "new"})
    assert again.get([b"q" * 16, b"r" * 16]) == {b"q" * 16: "paid for", b"r" * 16: "new"}


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
@pytest.mark.filterwarnings("ignore:.*damaged")
def test_a_vector_is_what_was_computed_or_computed_again(tmp_path, damage):
    import numpy as np

    from curate.models.cache.embeddings import EmbeddingCache

    keys = [number.to_bytes(16) for number in range(3_000)]
    right = np.random.default_rng(3).standard_normal((len(keys), 16)).astype(np.float16)
    cache = EmbeddingCache(tmp_path, {"model": "m"}, 16)
    cache.put(keys, right)
    cache.close()
    damage(cache.file)
    again = EmbeddingCache(tmp_path, {"model": "m"}, 16)
    found = again.get(keys)
    assert all((vector == right[keys.index(key)]).all() for key, vector in found.items())
    if damage is flipped:
        assert len(found) >= 2_999 or list(tmp_path.glob("*.damaged-*"))
    missing = [place for place, key in enumerate(keys) if key not in found]
    again.put([keys[place] for place in missing], right[missing])
    every = again.get(keys)
    assert len(every) == len(keys) and all((every[key] == right[place]).all() for place, key in enumerate(keys))


def test_repair_keeps_the_answers_that_can_be_read(house):
    store = Store(house / ".curate")
    cache = answers(store.root / "cache")
    kept = {number.to_bytes(16): f"{number} " * 50 for number in range(2_000)}
    cache.put(kept)
    cache.close()
    truncated(cache.file)
    assert [one.error.path for one in find_damage(store)] == [cache.file]
    aside = cache.file.with_name(cache.file.name + ".damaged-1-2")
    aside.write_text("an older one")
    [line] = repair_store(store).lines
    assert "answers of it could be kept" in line and cache.file.is_file()
    again = answers(store.root / "cache")
    found = again.get(kept)
    assert 200 < len(found) < 2_000 and found.items() <= kept.items()
    again.close()
    assert not list(find_damage(store))
    assert (
        collect_garbage(store).bytes > 100_000 and not aside.exists() and not list((store.root / "damaged").glob("*"))
    )
