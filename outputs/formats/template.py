"""Chat templates, for trainers that read conversations as text; a template is never guessed.

ChatML is built in. A file is a Jinja template as models ship it (``chat_template.jinja``), or a
``tokenizer_config.json`` with one. It is rendered as ``transformers`` does, in Jinja's sandbox, but without the date
(``strftime_now`` is undefined), so that a version gives the same export on any day.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from curate.errors import ExportError
from curate.files import regular
from outputs.formats.structure import LEFT_OUT, dump, spoken
from outputs.formats.turns import Turn, UnsupportedRow

MARK = "the text holds a mark of the chat template"
LOST = "the chat template leaves out or changes text"
_MARK = re.compile(
    r"<\|[^<>|\s]{1,60}\|>|<｜[^<>｜]{1,60}｜>|</?(?:start|end)_of_turn>|\[/?(?:INST|SYSTEM_PROMPT|TOOL_CALLS)\]|<</?SYS>>|</?s>"
)


Tools = Sequence[dict[str, Any]]
# What a template must name if it is to write an optional part.
_WRITTEN_BY = {"tool_calls": "tool_calls", "reasoning": "reasoning_content", "tools": "tools"}


class Template:
    """Renders turns as one text."""

    knows: frozenset[str] = frozenset()
    """The optional parts that it writes: ``tool_calls``, ``reasoning``, ``tools``."""

    def __init__(self, name: str, marks: Iterable[str], bos: str = "") -> None:
        self.name = name
        found = sorted(set(marks))
        self._mark = re.compile("|".join(map(re.escape, found))) if found else None
        self._bos = bos

    def render(self, turns: Sequence[Turn], *, answer: bool, tools: Tools | None = None) -> str:
        """One text; with ``answer``, up to where the assistant speaks next.

        Args:
            tools: the tools that may be called.

        Raises:
            UnsupportedRow: the template rejects the turns.
        """
        raise NotImplementedError

    def prompt(self, turns: Sequence[Turn], tools: Tools | None = None) -> str:
        """A prompt, up to where the assistant speaks. Without the BOS token, which tokenizers add.

        Raises:
            UnsupportedRow: the text contains template tokens, or the template loses text.
        """
        self._check(turns, tools)
        text = self.render(turns, answer=True, tools=tools)
        self._need_all(turns, text, tools)
        return self._without_bos(text)

    def pair(self, prompt: Sequence[Turn], answer: Sequence[Turn], tools: Tools | None = None) -> tuple[str, str]:
        """A prompt and its answer; together they are the whole conversation, except for whitespace at the end.

        If the template writes the prompt differently when an answer follows, the answer begins where the texts diverge
        (as in TRL).

        Raises:
            UnsupportedRow: the text contains template tokens, or the template loses text.
        """
        turns = [*prompt, *answer]
        self._check(turns, tools)
        whole = self.render(turns, answer=False, tools=tools)
        self._need_all(turns, whole, tools)
        begin = shared_beginning(self.render(prompt, answer=True, tools=tools), whole)
        return self._without_bos(begin), _trimmed(whole[len(begin) :], answer[-1]["content"])

    def _without_bos(self, text: str) -> str:
        return text.removeprefix(self._bos) if self._bos else text

    def _check(self, turns: Sequence[Turn], tools: Tools | None) -> None:
        there = {part for part in _WRITTEN_BY if any(part in turn for turn in turns)} | ({"tools"} if tools else set())
        for part in _WRITTEN_BY:
            if part in there - self.knows:
                raise UnsupportedRow(f"{LEFT_OUT[part]} (the chat template {self.name})")
        if self._mark is not None and any(self._mark.search(text) for turn in turns for text in _texts(turn)):
            raise UnsupportedRow(MARK)

    @staticmethod
    def _need_all(turns: Sequence[Turn], text: str, tools: Tools | None) -> None:
        place = 0
        for turn in turns:
            begin = place
            content = turn["content"].strip()
            found = text.find(content, place)
            if found < 0:
                raise UnsupportedRow(LOST)
            place = found + len(content)
            for part in _structure(turn):
                if text.find(part, begin) < 0 and text.find(dump(part)[1:-1], begin) < 0:
                    raise UnsupportedRow(LOST)
        if any(tool["function"]["name"] not in text for tool in tools or ()):
            raise UnsupportedRow(LOST)


def _texts(turn: Turn) -> Iterator[str]:
    """All texts of a message."""
    yield turn["content"]
    if "reasoning" in turn:
        yield turn["reasoning"]
    for call in turn.get("tool_calls", ()):
        yield call["function"]["name"]
        yield call["function"]["arguments"]


def _structure(turn: Turn) -> Iterator[str]:
    """The texts besides the content that must be found again: reasoning, names of functions, keys and texts in
    arguments."""
    if "reasoning" in turn:
        yield turn["reasoning"].strip()
    for call in spoken(turn).get("tool_calls", ()):
        yield call["function"]["name"]
        yield from _strings(call["function"]["arguments"])


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from value
        for one in value.values():
            yield from _strings(one)
    elif isinstance(value, list):
        for one in value:
            yield from _strings(one)


class ChatML(Template):
    """``<|im_start|>role``, line break, text, ``<|im_end|>``, line break."""

    def __init__(self) -> None:
        super().__init__("chatml", ("<|im_start|>", "<|im_end|>", "<|endoftext|>"))

    def render(self, turns: Sequence[Turn], *, answer: bool, tools: Tools | None = None) -> str:
        text = "".join(f"<|im_start|>{turn['role']}\n{turn['content']}<|im_end|>\n" for turn in turns)
        return text + "<|im_start|>assistant\n" if answer else text


class JinjaTemplate(Template):
    """A model's own template."""

    def __init__(self, name: str, source: str, tokens: dict[str, str]) -> None:
        self._tokens = tokens
        super().__init__(name, {*_MARK.findall(source), *filter(None, tokens.values())}, tokens.get("bos_token", ""))
        words = set(re.findall(r"\w+", source))
        self.knows = frozenset(part for part, word in _WRITTEN_BY.items() if word in words)
        environment = _environment()
        try:
            self._template = environment.from_string(source)
        except _template_error() as error:
            raise ExportError(f"{name} is not a chat template: {error}") from None

    def render(self, turns: Sequence[Turn], *, answer: bool, tools: Tools | None = None) -> str:
        try:
            return str(
                self._template.render(
                    messages=[spoken(turn) for turn in turns],
                    tools=list(tools) if tools else None,
                    documents=None,
                    add_generation_prompt=answer,
                    **self._tokens,
                )
            )
        except _template_error() as error:
            raise UnsupportedRow(f"the chat template refuses it: {error}") from None
        except (TypeError, KeyError, ValueError, IndexError) as error:
            raise UnsupportedRow(f"the chat template fails at it: {type(error).__name__}") from None


def load_template(file: str | None) -> Template:
    """The template of a file or of a model's folder; ChatML if none is given.

    Raises:
        ExportError: the file cannot be read, or has no template.
    """
    if file is None:
        return ChatML()
    path = Path(file)
    if path.is_dir():
        found = [path / name for name in ("chat_template.jinja", "tokenizer_config.json") if (path / name).is_file()]
        if not found:
            raise ExportError(f"{path} holds neither chat_template.jinja nor tokenizer_config.json")
        path = found[0]
    try:
        text = regular(path).read_text(encoding="utf-8")
        beside = path.with_name("tokenizer_config.json")
        settings = json.loads(beside.read_text(encoding="utf-8")) if beside.is_file() else {}
        if path.suffix == ".json":
            settings = json.loads(text)
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ExportError(f"the chat template {path} cannot be read: {error}") from None
    tokens = {name: _token(settings.get(name)) for name in ("bos_token", "eos_token", "unk_token", "pad_token")}
    if path.suffix == ".json":
        text = _in_config(settings, path)
    return JinjaTemplate(path.name, text, {name: token for name, token in tokens.items() if token})


def shared_beginning(one: str, other: str) -> str:
    """The longest common prefix."""
    if other.startswith(one):
        return one
    return one[
        : next(
            (place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
        )
    ]


def _in_config(settings: Any, path: Path) -> str:
    template = settings.get("chat_template") if isinstance(settings, dict) else None
    if isinstance(template, list):  # several, by name
        template = {each["name"]: each["template"] for each in template}.get("default")
    if not isinstance(template, str):
        raise ExportError(f"{path} has no chat template (no text under 'chat_template')")
    return template


def _token(value: Any) -> str:
    return str(value.get("content", "")) if isinstance(value, dict) else str(value or "")


def _trimmed(text: str, content: str) -> str:
    """Removes whitespace after the last token; a trainer ends the sequence there."""
    kept = content if content in text else content.strip()
    if not kept:
        return text.rstrip()
    end = text.rfind(kept) + len(kept)
    return text[:end] + text[end:].rstrip()


def _template_error() -> type[Exception]:
    from jinja2 import TemplateError

    return TemplateError


@lru_cache(maxsize=1)
def _environment() -> Any:
    try:
        from jinja2 import TemplateError
        from jinja2.ext import Extension, loopcontrols
        from jinja2.sandbox import ImmutableSandboxedEnvironment
    except ImportError:
        raise ExportError("a chat template in a file needs Jinja: pip install 'polycurate[templates]'") from None

    class Generation(Extension):
        """``{% generation %}`` says which part is trained on; for the text it means nothing."""

        tags = {"generation"}  # noqa: RUF012

        def parse(self, parser: Any) -> Any:
            next(parser.stream)
            return parser.parse_statements(("name:endgeneration",), drop_needle=True)

    def refuse(message: str) -> None:
        raise TemplateError(message)

    def to_json(value: Any, indent: int | None = None, **_: Any) -> str:
        return json.dumps(value, ensure_ascii=False, indent=indent)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols]
    )
    environment.filters["tojson"] = to_json
    environment.globals["raise_exception"] = refuse
    return environment
