"""Parses answers with several items one by one, so that a broken, cut-off or empty item does not affect the others."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import polars as pl
import regex

from curate.generation.common.requests import InvalidResponse, clean
from curate.generation.instruct.diversity import normalized
from curate.steps.models import Completion
from curate.text.segmentation import UNSPACED, letter_weights

_FENCED = regex.compile(r"```[\w-]*\s*\n(.*?)(?:\n```|\Z)", regex.DOTALL)
_DECODER = json.JSONDecoder()
_MOST_STARTS = 200


@dataclass(frozen=True, slots=True)
class NewItem:
    """A new instruction."""

    instruction: str
    input: str = ""
    output: str = ""
    evidence: str = ""

    @property
    def prompt(self) -> str:
        """The instruction with its input."""
        return f"{self.instruction}\n\n{self.input}" if self.input else self.instruction


@dataclass(frozen=True, slots=True)
class Refused:
    """An item that cannot be used."""

    reason: str
    raw: str


@dataclass(frozen=True)
class Contract:
    """The requirements for an item."""

    count: int
    """Number of requested items."""
    with_input: bool = False
    with_output: bool = False
    with_evidence: bool = False
    min_letters: float = 0
    max_chars: int = 1_000_000
    blocked: tuple[str, ...] = ()

    def keys(self) -> list[str]:
        """The keys of an item, in order."""
        parts = {
            "instruction": True,
            "input": self.with_input,
            "output": self.with_output,
            "evidence": self.with_evidence,
        }
        return [name for name, is_needed in parts.items() if is_needed]

    def schema(self) -> dict[str, Any]:
        """The JSON Schema of the request. Each item is validated again when it is parsed."""
        item = {
            "type": "object",
            "properties": {name: {"type": "string"} for name in self.keys()},
            "required": self.keys(),
            "additionalProperties": False,
        }
        items = {"type": "array", "items": item, "minItems": 1, "maxItems": self.count}
        return {"type": "object", "properties": {"items": items}, "required": ["items"], "additionalProperties": False}

    def read(self, answer: Completion, passage: str = "") -> list[NewItem | Refused]:
        """The items of an answer, good and bad, in order. A cut-off or invalid answer still gives its complete items.

        Raises:
            InvalidResponse: there is no usable item.
        """
        items = [self._item(entry, passage) for entry in find_items(answer)]
        if any(isinstance(one, NewItem) for one in items):
            return items
        if answer.finish == "length":
            raise InvalidResponse("cut off before one item was whole", again=False, trouble="length")
        reason = next((one.reason for one in items if isinstance(one, Refused)), "")
        raise InvalidResponse(
            reason or answer.problem or 'it holds no items: a JSON object {"items": […]} was asked for'
        )

    def _item(self, entry: Any, passage: str) -> NewItem | Refused:
        raw = entry if isinstance(entry, str) else _json(entry)
        if not isinstance(entry, Mapping):
            return Refused("an item is no object", raw)
        texts: dict[str, str] = {}
        for name in self.keys():
            value = entry.get(name, "")
            if isinstance(value, int | float) and not isinstance(value, bool):
                value = str(value)
            if not isinstance(value, str):
                return Refused(f"'{name}' is no text", raw)
            try:
                texts[name] = clean(value).strip()
            except InvalidResponse as invalid:
                return Refused(f"'{name}': {invalid}", raw)
            if not texts[name] and name != "input":
                return Refused(f"'{name}' is missing or empty", raw)
        item = NewItem(**texts)
        return item if not (reason := self._objection(item, passage)) else Refused(reason, raw)

    def _objection(self, item: NewItem, passage: str) -> str:
        if self.min_letters and float(letter_weights(pl.Series([item.prompt]))["letters"][0]) < self.min_letters:
            return "too short"
        if len(item.prompt) > self.max_chars:
            return f"longer than {self.max_chars:,} characters"
        for phrase in self.blocked:
            if holds(item.prompt, phrase):
                return f"holds '{phrase}', which the blocklist names"
        if self.with_evidence and normalized(item.evidence) not in normalized(passage):
            return "its evidence is not in the passage"
        return ""


def find_items(answer: Completion) -> list[Any]:
    """The JSON values in an answer that look like items."""
    if isinstance(answer.value, Mapping) and isinstance(answer.value.get("items"), list):
        return list(answer.value["items"])
    text = answer.text
    for candidate in (text, *(match[1] for match in _FENCED.finditer(text))):
        try:
            value = orjson.loads(candidate)
        except (orjson.JSONDecodeError, UnicodeEncodeError):
            continue
        if isinstance(value, Mapping):
            items = value.get("items")
            return list(items) if isinstance(items, list) else [value] if "instruction" in value else []
        if isinstance(value, list):
            return list(value)
    return list(_complete_objects(text))


def _complete_objects(text: str) -> Iterator[Any]:
    """The complete objects in a broken list."""
    start = text.find("[") + 1
    for _ in range(_MOST_STARTS):
        start = text.find("{", start)
        if start < 0:
            return
        try:
            value, end = _DECODER.raw_decode(text, start)
        except (ValueError, RecursionError):
            start += 1
            continue
        if isinstance(value, Mapping) and "instruction" in value:
            yield value
        start = end


def holds(text: str, phrase: str) -> bool:
    """Whether a text contains a phrase: as whole words in scripts with spaces between words, anywhere in others."""
    return _phrase(phrase).search(text) is not None


_PHRASES: dict[str, regex.Pattern[str]] = {}


def _phrase(phrase: str) -> regex.Pattern[str]:
    if phrase not in _PHRASES:
        single = "".join(rf"\p{{Script={name}}}" for name in UNSPACED)
        edge = regex.compile(rf"(?V1)[[\p{{L}}\p{{M}}\p{{N}}]--[{single}]]")
        left = r"(?<![\p{L}\p{M}\p{N}])" if edge.match(phrase[:1]) else ""
        right = r"(?![\p{L}\p{M}\p{N}])" if edge.match(phrase[-1:]) else ""
        words = r"\s+".join(regex.escape(word) for word in phrase.split())
        _PHRASES[phrase] = regex.compile(f"{left}{words}{right}", regex.IGNORECASE | regex.FULLCASE)
    return _PHRASES[phrase]


def _json(value: Any) -> str:
    try:
        return orjson.dumps(value, default=str).decode()
    except TypeError:  # half a surrogate pair
        return repr(value)
