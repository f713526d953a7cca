"""Converts chats to tokens with the model's own template, so that text in a turn can never act as a control token.

Templates do not escape text such as ``<|im_end|>``. If a turn contains the text of one of the tokenizer's special
tokens, turns and template are tokenized separately, so that the text stays text.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import regex

from curate.errors import ModelError
from curate.models.embedding.preprocess import make_fit
from curate.models.generation.turns import Turn, without_system

Turns = Sequence[tuple[str, str]]


class RefusedChat(ValueError):
    """The template rejects these turns; the message has the reason."""


@dataclass(frozen=True)
class Prompt:
    """A tokenized chat."""

    tokens: list[int]
    start: int
    """Index of the first token with a character of the last turn; where an answer is requested, the number of
    tokens."""


class ChatTemplate:
    """A tokenizer of the transformers library with a chat template."""

    def __init__(self, tokenizer: Any, template: str | None = None, options: Mapping[str, Any] | None = None) -> None:
        """
        Args:
            template: Jinja text in place of the tokenizer's own.
            options: further variables of the template, such as ``enable_thinking``.

        Raises:
            ModelError: there is no template, or it fails on the simplest chat.
        """
        self._tokenizer = tokenizer
        self._template = template
        self._options = dict(options or {})
        if not template and not getattr(tokenizer, "chat_template", None):
            raise ModelError(
                "this model has no chat template (a base model?): give one as 'chat_template:', for example "
                "\"{% for message in messages %}{{ message['content'] }}{% endfor %}\" to put turns one after the other"
            )
        special = {str(token) for token in getattr(tokenizer, "all_special_tokens", ())}
        added = getattr(tokenizer, "added_tokens_decoder", {})
        special |= {str(token.content) for token in added.values() if token.special}
        longest_first = sorted(filter(None, special), key=lambda text: (-len(text), text))
        self._special = regex.compile("|".join(map(regex.escape, longest_first))) if longest_first else None
        try:
            self._apply([("user", "a")], answer=True)
        except RefusedChat as error:
            raise ModelError(f"the chat template does not work: {error}") from error
        self._system = self._has_system()

    @property
    def merges_system(self) -> bool:
        """Whether the template has no system role, so that system turns are prepended to the next user turn."""
        return not self._system

    def answer(self, turns: Turns) -> Prompt:
        """The prompt for an answer; a last assistant turn that is not empty is continued."""
        fit = self._fit(turns)
        role, content = fit[-1]
        if role == "assistant" and content.strip():
            tokens = self._up_to_the_end(fit).tokens
        else:
            tokens = self._whole(fit[:-1] if role == "assistant" else fit)
        return Prompt(tokens, len(tokens))

    def last_turn(self, turns: Turns) -> Prompt:
        """The prompt up to the last character of the last turn.

        Raises:
            RefusedChat: the template rejects these turns.
        """
        return self._up_to_the_end(self._fit(turns))

    def _fit(self, turns: Turns) -> list[tuple[str, str]]:
        if not turns:
            raise RefusedChat("there are no messages")
        fit = [(role, make_fit(content)) for role, content in turns]
        return fit if self._system else [turn[:2] for turn in without_system([Turn(*turn) for turn in fit])]

    def _whole(self, turns: list[tuple[str, str]]) -> list[int]:
        if not turns:
            raise RefusedChat("there is nothing to answer but an empty assistant turn")
        if not self._hostile(turns):
            return self._encode(self._apply(turns, answer=True))
        marks = _marks(turns)
        marked = self._apply([(role, mark) for (role, _), mark in zip(turns, marks, strict=True)], answer=True)
        return self._encode_in_pieces(marked, marks, turns)

    def _up_to_the_end(self, turns: list[tuple[str, str]]) -> Prompt:
        # The last turn is a mark while the template is applied: whatever the template does to texts (trimming, mostly)
        # or puts after a finished turn stays out of a turn that has not ended.
        marks = _marks(turns)
        hostile = self._hostile(turns)
        shown = marks if hostile else [content for _, content in turns[:-1]] + marks[-1:]
        marked = self._apply([(role, text) for (role, _), text in zip(turns, shown, strict=True)], answer=False)
        before, found, _ = marked.rpartition(marks[-1])
        if not found:
            raise RefusedChat(f"the chat template leaves out the last turn ('{turns[-1][0]}')")
        last = turns[-1][1]
        if hostile:
            head = self._encode_in_pieces(before, marks[:-1], turns[:-1])
            return Prompt([*head, *self._encode(last, plain=True)], len(head))
        return self._encode_from(before, last)

    def _encode_from(self, before: str, last: str) -> Prompt:
        if not getattr(self._tokenizer, "is_fast", False):  # it cannot tell where a token stands in the text
            head = self._encode(before)
            return Prompt([*head, *self._encode(last)], len(head))
        encoded = self._tokenizer(before + last, add_special_tokens=False, return_offsets_mapping=True)
        tokens = list(encoded["input_ids"])
        ends = [end for _, end in encoded["offset_mapping"]]
        return Prompt(tokens, next((place for place, end in enumerate(ends) if end > len(before)), len(tokens)))

    def _encode_in_pieces(self, marked: str, marks: list[str], turns: list[tuple[str, str]]) -> list[int]:
        texts = {mark: content for mark, (_, content) in zip(marks, turns, strict=True)}
        pieces = regex.split("(" + "|".join(marks) + ")", marked) if marks else [marked]
        tokens: list[int] = []
        for piece in filter(None, pieces):
            tokens += self._encode(texts[piece], plain=True) if piece in texts else self._encode(piece)
        return tokens

    def _encode(self, text: str, *, plain: bool = False) -> list[int]:
        """Tokenizes a rendered template, which has its own beginning marks. With ``plain`` no text is a control
        token."""
        if not text:
            return []
        more = {"split_special_tokens": True} if plain else {}
        return list(self._tokenizer(text, add_special_tokens=False, **more)["input_ids"])

    def _hostile(self, turns: Turns) -> bool:
        special = self._special
        return special is not None and any(special.search(content) for _, content in turns)

    def _apply(self, turns: Turns, *, answer: bool) -> str:
        from jinja2 import TemplateError

        try:
            text = self._tokenizer.apply_chat_template(
                [{"role": role, "content": content} for role, content in turns],
                chat_template=self._template,
                tokenize=False,
                add_generation_prompt=answer,
                **self._options,
            )
        except (TemplateError, ValueError, TypeError, KeyError, IndexError) as error:
            roles = ", ".join(role for role, _ in turns)
            raise RefusedChat(f"the chat template refuses turns of {roles}: {error or type(error).__name__}") from error
        return str(text)

    def _has_system(self) -> bool:
        turns = [("system", "qsystemq"), ("user", "quserq")]
        try:
            text = self._apply(turns, answer=True)
        except RefusedChat:
            return False
        return "qsystemq" in text


def _marks(turns: Turns) -> list[str]:
    """A placeholder for each turn that occurs in none of them."""
    whole = hashlib.blake2b(digest_size=12)
    for _, content in turns:
        whole.update(content.encode() + b"\0")
    return [f"q{whole.hexdigest()}q{number}q" for number in range(len(turns))]
