"""Requests are split into batches by the limits of the provider and by the budget."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections import deque
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_batches import INTERFACES, Ledger

from curate.errors import BudgetError
from curate.models.endpoint.batch_dispatcher import BatchDispatcher
from curate.models.endpoint.batches import BatchRecords
from curate.models.endpoint.dispatcher import Job
from curate.models.endpoint.http import Endpoint
from curate.models.endpoint.pricing import CostEstimator, Price, Usage
from curate.models.endpoint.wire import RequestBody
from curate.models.openai.batches import OpenAIBatches


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 400), max_size=12),
    most=st.integers(1, 5),
    room=st.integers(150, 900),
    afford=st.integers(0, 12),
)
def test_each_request_is_submitted_once_within_limits_and_budget(sizes, most, room, afford):
    class Interface(OpenAIBatches):
        most_requests, most_bytes = most, room + 1_000
        batches: ClassVar[list] = []

        async def submit(self, items, name, client):
            self.batches.append([json.loads(item)["custom_id"] for item in items])
            assert len(items) <= most and len(b"\n".join(items)) <= room
            return f"b{len(self.batches)}"

    jobs = {
        f"{n:032x}": Job(n, RequestBody(bytes(16), "chat", {"x": "x" * size}), 8, 8) for n, size in enumerate(sizes)
    }
    items = {key: len(Interface("/chat/completions").item(key, job.body)) for key, job in jobs.items()}
    Interface.batches, refused, left, ledger = [], [], deque(jobs), Ledger(calls=afford)
    with tempfile.TemporaryDirectory() as folder:
        found = BatchRecords(Path(folder), Path("m.sqlite"))
        settings_of = ("m", Endpoint("http://127.0.0.1:9/v1"), None, CostEstimator(Price(), None), Usage(), None, 0.5)
        dispatcher = BatchDispatcher(*settings_of, interface=Interface("/chat/completions"), records=found)
        dispatcher.ledger = ledger
        fit = [key for key in jobs if items[key] <= room]
        work = dispatcher._submit_all(left, jobs, lambda index, result: refused.append(index), waiting=False)
        if fit and not afford:
            with pytest.raises(BudgetError):
                asyncio.run(work)
            return
        made = asyncio.run(work)
        assert [one.keys for one in made] == [tuple(keys) for keys in Interface.batches]
        assert {one.id for one in found.open()} == {one.id for one in made}
    assert [key for keys in Interface.batches for key in keys] == fit[:afford], (
        "in order, each once, as the budget allows"
    )
    assert list(left)[:1] == fit[afford : afford + 1] and len(ledger.open) == min(afford, len(fit))
    if len(fit) <= afford:
        assert refused == [jobs[key].index for key in jobs if key not in fit]


def test_the_limits_are_those_of_the_providers():
    known = {one: (kind.most_requests, kind.most_bytes) for one, kind in INTERFACES.items()}
    assert known["openai"] == (50_000, 200_000_000) and known["anthropic"] == (100_000, 256_000_000)
    assert known["gemini"][1] == 20_000_000
