from __future__ import annotations

import pytest

from curate.models.alignment.simalign import SimAlign
from curate.models.embedding.sentence_transformers import SentenceTransformers
from curate.models.loading import devices
from curate.models.loading.devices import takes_device
from curate.models.reward import Reward
from curate.models.translation.seq2seq import Seq2Seq
from curate.models.vllm.model import Vllm


@pytest.mark.parametrize("given", [Reward, SentenceTransformers, Seq2Seq, SimAlign])
def test_a_gpu_has_one_owner_and_a_cpu_one_copy_a_worker(given):
    name = {"model": "some/model", "revision": "0" * 40}
    on, off = given(**name, device="cuda:1"), given(**name, device="cpu")
    assert (on.exclusive, on.accelerators) == (True, 1)
    assert (off.exclusive, off.accelerators) == (False, 0)


def test_where_it_is_left_open_the_machine_decides(monkeypatch):
    monkeypatch.setattr(devices.sys, "platform", "linux")
    there: list[str] = []
    monkeypatch.setattr(devices.Path, "glob", lambda self, pattern: iter(there))
    monkeypatch.setattr(devices.Path, "exists", lambda self: False)
    assert not takes_device(None)
    there.append("nvidia0")
    assert takes_device(None) and not takes_device("cpu")
    engine = Vllm(model="some/model", revision="0" * 40, tensor_parallel_size=2, options={"pipeline_parallel_size": 4})
    assert engine.accelerators == 8
    there.clear()
    assert engine.accelerators == 0
