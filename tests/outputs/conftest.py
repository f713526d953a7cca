"""Finished versions made by hand, as a build leaves them, and their exports."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from structure_bench import built
from trainer_bench import model, tokenizer
from version_bench import version, written


@pytest.fixture
def memory() -> Iterator[Any]:
    """The file system behind ``memory://``, empty."""
    system = fsspec.filesystem("memory")
    system.store.clear()
    yield system
    system.store.clear()


__all__ = ["built", "model", "tokenizer", "version", "written"]
