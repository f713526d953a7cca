"""What the tests of vLLM and the processes that they start share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from curate.models.vllm.model import Vllm
from curate.steps.models import Request

LONGEST = 512


def ask(*turns: str, **more: Any) -> Request:
    """``ask("system: Be short.", "user: Hello")``"""
    return Request(tuple((role, text) for role, _, text in (turn.partition(": ") for turn in turns)), **more)


def spec(folder: Path, **more: Any) -> Vllm:
    return Vllm(path=folder, model="smollm2", dtype="float32", enforce_eager=True, max_model_len=LONGEST, **more)
