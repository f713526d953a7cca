"""Compares the model name in a response with the requested one, in all its usual spellings."""

from __future__ import annotations

from collections.abc import Iterable

import regex

_END = regex.compile(r"\.(?:gguf|bin|safetensors)\Z", regex.IGNORECASE)
_PARTS = regex.compile(r"[^\p{L}\p{N}]+")
# Behind a name these make another model of it; anything else (a date, a commit, a quantization) is a version of the
# same.
_OTHER = frozenset(
    (
        "mini",
        "nano",
        "micro",
        "tiny",
        "small",
        "medium",
        "large",
        "lite",
        "light",
        "turbo",
        "flash",
        "fast",
        "pro",
        "plus",
        "max",
        "ultra",
        "base",
        "instruct",
        "chat",
        "it",
        "coder",
        "code",
        "vision",
        "vl",
        "audio",
        "distill",
        "distilled",
        "thinking",
        "reasoning",
        "air",
    )
)


def other_model(told: object, asked: Iterable[str]) -> str:
    """The name in a response if it is none of the requested names; empty if it is one of them, or missing.

    A path before the name, file name extensions, capitals, and a date or version after it are ignored:
    ``gpt-4o-2024-08-06`` is ``gpt-4o``, ``/models/qwen3-8b-q4_k_m.gguf`` is ``Qwen/Qwen3-8B``; ``gpt-4o-mini`` is
    another model.
    """
    if not isinstance(told, str) or not (name := _plain(told)):
        return ""
    for one in asked:
        wanted = _plain(one)
        for left, right in ((name, wanted), (_base(name), _base(wanted))):
            if left == right or (right and _extends(left, right)):
                return ""
    return " ".join(told.split())[:200]


def _plain(name: str) -> str:
    found = _END.sub("", name.strip().replace("\\", "/").rstrip("/")).casefold()
    return regex.sub(r"[-:]latest\Z", "", found)


def _base(name: str) -> str:
    return name.rpartition("/")[2]


def _extends(name: str, wanted: str) -> bool:
    if not name.startswith(wanted) or name[len(wanted)].isalnum():
        return False
    return not _OTHER & set(_PARTS.split(name[len(wanted) :]))
