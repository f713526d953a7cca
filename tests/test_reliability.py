"""Some runs of ``tests/reliability.py``; `make test-reliability` makes a thousand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import reliability

RUNS = range(24)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[reliability.Bench]:
    folder: Path = tmp_path_factory.mktemp("reliability")
    with reliability.bench(folder) as found:
        yield found


@pytest.mark.slow
@pytest.mark.xdist_group("reliability")
@pytest.mark.parametrize("seed", RUNS)
def test_after_a_fault_everything_is_as_if_nothing_had_happened(bench, seed):
    assert not bench.run(seed).wrong
