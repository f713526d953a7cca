"""The model that a server names is the one that was asked for, under whatever name it goes, or it is another."""

from __future__ import annotations

import pytest

from curate.models.loading.served import other_model


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("gpt-4o", "gpt-4o"),
        ("gpt-4o", "gpt-4o-2024-08-06"),
        ("gpt-4o-latest", "gpt-4o-2024-08-06"),
        ("Qwen/Qwen3-8B", "Qwen/Qwen3-8B"),
        ("Qwen/Qwen3-8B", "qwen3-8b"),
        ("Qwen/Qwen3-8B", "/models/Qwen3-8B-Q4_K_M.gguf"),
        ("Qwen/Qwen3-8B", "C:\\models\\Qwen3-8B.gguf"),
        ("qwen3-8b", "accounts/fireworks/models/qwen3-8b"),
        ("meta/llama-3.1", "meta/llama-3.1:free"),
        ("a/b", "a/b@main"),
        ("m", None),
        ("m", ""),
        ("m", 7),
    ],
)
def test_other_names_of_the_same_model(asked, told):
    assert other_model(told, [asked]) == ""


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("gpt-4o", "gpt-4o-mini"),
        ("gpt-4o", "gpt-4"),
        ("Qwen/Qwen3-8B", "tinyllama-1.1b-chat.Q2_K.gguf"),
        ("Qwen/Qwen3-8B", "Qwen3-80B"),
        ("large", "small"),
        ("fake/f", "fake"),
        ("llama-3", "llama-3-base"),
    ],
)
def test_another_model(asked, told):
    assert other_model(told, [asked]) == told


def test_any_of_several_names_will_do():
    assert other_model("gpt-4o-2024-08-06", ["my-deployment", "gpt-4o"]) == ""
    assert other_model("gpt-4.1", ["my-deployment", "gpt-4o"]) == "gpt-4.1"
