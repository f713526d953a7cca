"""Roles and field names in the known notations of conversations, and what looks like a message in any of them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

ROLES: Mapping[str, str] = MappingProxyType(
    {"user": "user", "human": "user", "prompter": "user",
     "assistant": "assistant", "gpt": "assistant", "model": "assistant", "bot": "assistant", "chatgpt": "assistant",
     "ai": "assistant",
     "system": "system", "developer": "system",
     "tool": "tool", "function": "tool", "observation": "tool", "tool_response": "tool", "function_response": "tool"}
)  # fmt: skip
CALLING_ROLES = ("function_call", "tool_call", "tool_calls")
ROLE_KEYS = ("role", "from")
TYPES = ("human", "ai", "system", "tool", "function")
"""LangChain's values of ``type``, used instead of a role."""
CONTENT_KEYS = ("content", "value", "text")
CALLS = ("tool_calls", "function_call")
MEDIA = ("images", "image", "videos", "video", "audios", "audio")
FILES = ("files", "file", "attachments")
WEIGHTS = ("weight", "loss_weight", "loss_mask", "train", "trainable", "loss")
TEXT_PARTS = ("text", "input_text", "output_text")
THOUGHTS = ("thinking", "reasoning")
REASONING = ("reasoning_content", "reasoning", "thinking")
CALL_PARTS = ("tool_call", "tool_use", "function_call")
RESULT_PARTS = ("tool_result", "function_call_output", "function_response")


def given(value: Any) -> bool:
    """Whether a field has content: not null, and not an empty text, list or object (also written as text)."""
    return value is not None and value not in ("", "[]", "{}", "null") and value != [] and value != {}


def is_excluded(message: Mapping[str, Any]) -> str | None:
    """The field by which a message's author excluded it from training."""
    for key in WEIGHTS:
        value = message.get(key)
        if value is False or (isinstance(value, (int, float)) and value == 0) or value in ("0", "false", "False"):
            return key
    return None


def is_partly_excluded(message: Mapping[str, Any]) -> bool:
    """Whether a message's author excluded a part of its text from training."""
    detail = message.get("train_detail")
    return isinstance(detail, list) and any(isinstance(one, dict) and one.get("train") is False for one in detail)


def is_message(value: Any) -> bool:
    """Whether a value looks like one message."""
    if not isinstance(value, dict):
        return False
    role = any(isinstance(value.get(key), str) for key in ROLE_KEYS) or value.get("type") in TYPES
    return role and bool({*CONTENT_KEYS, "data", "parts", *CALLS} & value.keys())


def is_columns(value: Any) -> bool:
    """Whether a value is a conversation as an object of lists: one of roles, one of contents."""
    if not isinstance(value, dict):
        return False
    lists = [key for key in (*ROLE_KEYS, *CONTENT_KEYS) if isinstance(value.get(key), list)]
    return any(key in ROLE_KEYS for key in lists) and any(key in CONTENT_KEYS for key in lists)
