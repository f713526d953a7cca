"""Separates a model's reasoning from its answer, in all known notations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import regex

_TAG = r"(?:\w+:)?(?:think(?:ing)?|thoughts?|reasoning|scratchpad)"
# Opening and closing mark of each family. Only those of the first can be words of an answer as well.
_PAIRS = (
    (rf"<(?P<tag>{_TAG})(?:\s[^<>]*)?>", rf"</{_TAG}\s*>"),
    (r"\[THINK\]", r"\[/THINK\]"),
    (r"<\|START_THINKING\|>", r"<\|END_THINKING\|>"),
    (r"◁think▷", r"◁/think▷"),
    (r"<\|begin_of_thought\|>", r"<\|end_of_thought\|>"),
    (r"<\|channel>", r"<channel\|>"),
    (r"<unused94>", r"<unused95>"),
)
_OPEN = tuple(regex.compile(one, regex.IGNORECASE) for one, _ in _PAIRS)
_CLOSE = tuple(regex.compile(one, regex.IGNORECASE) for _, one in _PAIRS)
_ANY = regex.compile(
    "|".join(one for pair in _PAIRS for one in pair) + r"|<\|channel\|>|assistantfinal", regex.IGNORECASE
)
_AROUND_ANSWER = regex.compile(r"<\|(?:START|END)_RESPONSE\|>|<\|(?:begin|end)_of_solution\|>")
_CODE = regex.compile(r"(?<!`)(`{3,}|~{3,}).*?(?:\1|\Z)|(?<!`)(`{1,2})(?!`)[^\n]{0,1000}?(?<!`)\2(?!`)", regex.DOTALL)
# After these a sentence has ended, so that what follows is no word of it.
_ENDED = regex.compile(r"(?:\A|[\n.!?:;…。！？；：।॥۔؟።»”」』)\]>*_|])[ \t]*\Z")
_MENTION = regex.compile(r"[\p{L}\p{M}\p{N},] \Z")
_GOES_ON = regex.compile(r" \p{Ll}")
_SPACES = regex.compile(r"\s*")
_NEAR = 200
_MANY = regex.compile(r"\n|(?:\S+\s+){2}\S|\p{L}{12}")
_CHANNEL = regex.compile(
    r"<\|channel\|>\s*(\w+)[^<]*(?:<\|constrain\|>[^<]*)?<\|message\|>(.*?)"
    r"(?:<\|(?:end|return|call)\|>|(?=<\|start\|>)|(?=<\|channel\|>)|\Z)",
    regex.DOTALL,
)
_CONTROL = regex.compile(r"<\|(?:start\|>\w*|end\|>|return\|>|call\|>)")
# The same format where the server left its special tokens out.
_BARE = regex.compile(r"\s*analysis(?=[^\p{Ll}\s])(.*?)assistantfinal(.*)\Z", regex.DOTALL)


def split_thoughts(text: str, *, cut: bool = False) -> tuple[str, str]:
    """Separates an answer from its reasoning.

    Reasoning may be at the beginning (opened by the model or by its chat template), later, or without an end. Markers
    in code are text, and so is a tag used as a word of a sentence.

    Args:
        cut: whether the answer was truncated, so that a closing marker may be missing.
    """
    if not _ANY.search(text):
        return text, ""
    if "<|channel|>" in text:
        return _channels(text)
    if bare := _BARE.match(text):
        return bare[2], bare[1].strip()
    thoughts: list[str] = []
    for number, (opening, closing) in enumerate(zip(_OPEN, _CLOSE, strict=True)):
        if opening.search(text) or closing.search(text):
            text = _split(text, opening, closing, thoughts, plain=number == 0, cut=cut)
    if thoughts:
        text = _AROUND_ANSWER.sub("", text)
    return text, "\n\n".join(filter(None, thoughts))


def _split(
    text: str, opening: regex.Pattern[str], closing: regex.Pattern[str], thoughts: list[str], *, plain: bool, cut: bool
) -> str:
    """The text without the reasoning of one family of markers, which is appended to ``thoughts``.

    Args:
        plain: whether the markers are words that an answer may have.
    """
    size = len(text)
    at = _skip_whitespace(text, 0)
    while start := opening.match(text, at):
        end = closing.search(text, start.end())
        thoughts.append(text[start.end() : end.start() if end else size].strip())
        at = _skip_whitespace(text, end.end() if end else size)
    if at == size:
        return ""
    shown = _CODE.sub(lambda match: "\0" * len(match[0]), text)
    # The chat template opened them: only the end is there.
    first = opening.search(shown, at)
    while end := closing.search(shown, at, first.start() if first else size):
        if plain and _MENTION.search(shown, max(0, end.start() - 2), end.start()) and _GOES_ON.match(shown, end.end()):
            break
        thoughts.append(text[at : end.start()].strip())
        at = _skip_whitespace(text, end.end())
    parts: list[str] = []
    done, endless = at, False
    while start := opening.search(shown, at):
        end = None if endless else closing.search(shown, start.end())
        endless = end is None
        if plain and not _ENDED.search(shown, max(done, start.start() - _NEAR), start.start()):
            inside = shown[start.end() : min(end.start(), start.end() + _NEAR)] if end else ""
            if not (_MANY.search(inside) if end else cut):
                at = start.end()  # the tag is a word of a sentence
                continue
        thoughts.append(text[start.end() : end.start() if end else size].strip())
        parts.append(text[done : start.start()])
        at = done = end.end() if end else size
        if parts[-1][-1:].isspace():
            at = done = _skip_whitespace(text, done)
    left = text[done:]
    return "".join([*parts, left]).rstrip() if parts and not left.strip() else "".join([*parts, left])


def _skip_whitespace(text: str, at: int) -> int:
    found = _SPACES.match(text, at)
    return found.end() if found else at


def _channels(text: str) -> tuple[str, str]:
    """Reads the channels of OpenAI's harmony format: ``final`` is the answer, everything else is reasoning."""
    first = text.index("<|channel|>")
    found = [(match[1].lower(), match[2].strip()) for match in _CHANNEL.finditer(text, first)]
    before = _CONTROL.sub("", regex.sub(r"<\|start\|>\w*\s*\Z", "", text[:first])).strip()
    final = "\n\n".join(said for name, said in found if name == "final" and said)
    others = [said for name, said in found if name != "final" and said]
    if not before:
        return final, "\n\n".join(others)
    # What stands before all channels was begun by the chat template: thoughts, where an answer follows.
    return (final, "\n\n".join([before, *others])) if final else (before, "\n\n".join(others))


def field_thoughts(message: dict[str, Any]) -> str:
    """The reasoning in separate fields: a text, or a list or mapping of parts with texts."""
    found: list[str] = []
    for name in ("reasoning_content", "reasoning", "thinking", "reasoning_details", "thinking_blocks"):
        told = "\n\n".join(_texts(message.get(name))).strip()
        if told and told not in found:
            found.append(told)
    content = message.get("content")
    for part in content if isinstance(content, list) else ():
        if isinstance(part, dict) and part.get("type") in ("thinking", "reasoning"):
            found += [told.strip() for told in _texts({key: part[key] for key in part if key != "type"})]
    # Servers tell the same thoughts under two names.
    return "\n\n".join(dict.fromkeys(filter(None, found)))


def _texts(value: Any, depth: int = 0) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list) and depth < 4:
        for one in value:
            yield from _texts(one, depth + 1)
    elif isinstance(value, dict) and depth < 4:
        for name in ("text", "thinking", "summary", "content", "reasoning"):
            yield from _texts(value.get(name), depth + 1)
