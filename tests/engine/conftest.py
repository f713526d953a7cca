"""The house that the tests of the engine build in."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from house import House


@pytest.fixture
def house(tmp_path, registry) -> House:
    return House(tmp_path, registry)
