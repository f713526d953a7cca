"""Digests of large files are noted, and a note never speaks for another file."""

from __future__ import annotations

import os

import pytest

from curate.models.cache import digests
from curate.models.loading import hub


@pytest.fixture(autouse=True)
def own_notes(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(digests, "LARGE", 100)
    monkeypatch.setattr(digests, "_SETTLED", -1.0)


@pytest.fixture
def weights(tmp_path):
    file = tmp_path / "weights.bin"
    file.write_bytes(b"w" * 1000)
    os.utime(file, ns=(10**18, 10**18))
    return file


class Reader:
    def __init__(self):
        self.read = 0

    def __call__(self, path):
        self.read += 1
        return f"digest of {path.read_bytes()[:3].decode()} {path.stat().st_size}"


def test_a_large_file_is_read_once_for_all_processes(weights):
    reader = Reader()
    first = digests.remembered(weights, weights.stat(), reader)
    assert digests.remembered(weights, weights.stat(), reader) == first == "digest of www 1000"
    assert reader.read == 1 and digests.notes().is_file()


def test_a_small_file_is_not_noted(tmp_path):
    small = tmp_path / "small"
    small.write_bytes(b"abc")
    reader = Reader()
    for _ in range(2):
        digests.remembered(small, small.stat(), reader)
    assert reader.read == 2 and not digests.notes().exists()


@pytest.mark.parametrize("change", ["content", "set back", "size", "replaced"])
def test_a_changed_file_is_read_again(weights, change):
    reader = Reader()
    digests.remembered(weights, weights.stat(), reader)
    if change == "content":
        weights.write_bytes(b"v" * 1000)
        os.utime(weights, ns=(10**18, 10**18 + 1))
    elif change == "set back":  # as if nothing had happened: same size, same inode, same time of change
        weights.write_bytes(b"v" * 1000)
        os.utime(weights, ns=(10**18, 10**18))
    elif change == "size":
        weights.write_bytes(b"v" * 1001)
        os.utime(weights, ns=(10**18, 10**18))
    else:
        other = weights.with_suffix(".new")
        other.write_bytes(b"v" * 1000)
        os.utime(other, ns=(10**18, 10**18))
        other.replace(weights)
    assert digests.remembered(weights, weights.stat(), reader).startswith("digest of vvv")
    assert reader.read == 2


def test_a_file_that_changed_a_moment_ago_is_not_noted(tmp_path, monkeypatch):
    monkeypatch.setattr(digests, "_SETTLED", 3.0)
    file = tmp_path / "new.bin"
    file.write_bytes(b"w" * 1000)
    reader = Reader()
    for _ in range(2):
        digests.remembered(file, file.stat(), reader)
    assert reader.read == 2


@pytest.mark.parametrize("trouble", ["no folder", "damaged"])
def test_without_notes_files_are_read(weights, trouble, tmp_path, monkeypatch):
    if trouble == "damaged":
        digests.notes().parent.mkdir(parents=True)
        digests.notes().write_bytes(b"no database at all, but long enough to be taken for one" * 20)
    else:
        (tmp_path / "cache").write_text("a file where the folder should be")
    reader = Reader()
    for _ in range(2):
        assert digests.remembered(weights, weights.stat(), reader) == "digest of www 1000"
    assert reader.read == (1 if trouble == "damaged" else 2), "a damaged note is moved aside, and a new one begun"


def test_the_digest_of_a_file_is_that_of_its_bytes(weights):
    import hashlib

    assert hub.digest_file(weights) == hashlib.blake2b(b"w" * 1000, digest_size=32).hexdigest()
    assert hub.digest_file(weights) == digests.remembered(weights, weights.stat(), Reader())
