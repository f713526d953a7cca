"""Reads conversations that are written as one text, each turn after its speaker."""

from __future__ import annotations

import re

_TRANSCRIPTS = (
    (re.compile(r"\s*Human:"), re.compile(r"(?:^\s*|\n\n)(Human|Assistant):")),
    (re.compile(r"\s*### Human:"), re.compile(r"### (Human|Assistant):")),
    (re.compile(r"\s*USER:"), re.compile(r"(?:^\s*|\n+)(USER|ASSISTANT|FUNCTION RESPONSE):")),
)
_SPEAKERS = {"Human": "user", "USER": "user", "FUNCTION RESPONSE": "tool"}


def transcript(text: str) -> list[tuple[str, str]] | None:
    """The turns of a conversation in one text, each after ``Human:`` or ``Assistant:`` (or Glaive's ``USER:``,
    ``ASSISTANT:``, ``FUNCTION RESPONSE:``); None if it is not one."""
    if "Assistant:" not in text and "ASSISTANT:" not in text:
        return None
    for begin, mark in _TRANSCRIPTS:
        if begin.match(text):
            pieces = mark.split(text)
            roles = [_SPEAKERS.get(who, "assistant") for who in pieces[1::2]]
            texts = pieces[2::2]
            if text.lstrip().startswith("USER:"):
                texts = [" " + one.replace("<|endoftext|>", "").strip() for one in texts]
            turns = list(zip(roles, texts, strict=True))
            if "assistant" in roles:
                return turns
    return None
