"""The prompts of ``revise``, and the short texts in the row's language that its rows contain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from curate.catalog.params import PerLanguage
from curate.catalog.suggestions import nearest
from curate.generation.common.prompts import Prompts, Template, disarm, fence, load_data, load_prompts, own_prompts
from curate.rows import languages

PromptName = Literal["critique", "correct", "inject", "solve", "contrast"]
PERSPECTIVES = "revise/perspectives"
TEXTS = "revise/texts"
JUDGING = ("judge/pairwise", "judge/parts")
_LANGUAGES = ("language", "language_name", "language_own_name")
HOLES: Mapping[str, tuple[str, ...]] = {
    "critique": ("perspective", "request", "reference", "answer", *_LANGUAGES),
    "correct": ("request", "answer", "notes", *_LANGUAGES),
    "inject": ("request", "steps", *_LANGUAGES),
    "solve": ("perspective", *_LANGUAGES),
    "contrast": ("request", "answers", *_LANGUAGES),
}
NEEDED: Mapping[str, tuple[str, ...]] = {
    "critique": ("answer",), "correct": ("answer",), "inject": ("steps",), "solve": (), "contrast": ("answers",),
}  # fmt: skip
_ENGLISH = "en"
Turn = Mapping[str, str]


def prompts_of(name: str, own: Mapping[PromptName, PerLanguage[Template]]) -> Prompts:
    """The user's prompt of that name, or the package's."""
    for key, template in own.items():
        if key == name:
            return own_prompts(f"templates.{name}", template)
    return load_prompts(f"revise/{name}")


def row_text(name: str, language: str) -> str:
    """A short text for a row, in its language or in English."""
    known = load_data(TEXTS)
    for tag in _nearest(language):
        if name in known.get(tag, {}):
            return str(known[tag][name])
    return str(known["default"][name])


def perspective(name: str, language: str) -> str:
    """A point of view as a sentence; an unknown name is the user's own sentence."""
    known = load_data(PERSPECTIVES)
    if name not in known:
        return disarm(name)
    for tag in _nearest(language):
        if tag in known[name]:
            return str(known[name][tag])
    return str(known[name]["default"])


def known_perspectives(names: Sequence[str]) -> list[str]:
    """Problems with single words that are not a known point of view: they are probably misspelled."""
    known = list(load_data(PERSPECTIVES))
    return [
        f"perspectives: there is no '{name}'{nearest(name, known)}; there are {', '.join(known)}, or write a sentence"
        for name in names
        if name not in known and name.isascii() and name.replace("_", "").isalnum()
    ]


def shown(turns: Sequence[Turn]) -> str:
    """The prompt, fenced: one user turn as it is, a conversation with its roles."""
    if len(turns) == 1 and turns[0]["role"] == "user":
        return fence(turns[0]["content"], "request")
    return fence("\n".join(fence(turn["content"], turn["role"]) for turn in turns), "conversation")


def sentence_separator(language: str) -> str:
    """The separator between two sentences of a language."""
    return "" if languages.base(language) in ("zh", "ja", "yue", "wuu", "lzh") else " "


def _nearest(language: str) -> list[str]:
    tags = [language]
    while "-" in tags[-1]:
        tags.append(tags[-1].rpartition("-")[0])
    return tags
