"""Prompt templates, filled in one pass: text from a row is fenced data and can never become template or role.

Templates are data (YAML files beside this module, or the user's own text in a catalog) with ``{name}`` as the only
syntax (``{{`` and ``}}`` for braces). A value is put in once and not scanned again, so braces in it mean nothing. The
text of the package's templates counts wherever they are used: its hash is in the lineage of every row and in the
identity of the step.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any, Literal

import regex
import yaml

from curate.catalog.params import PerLanguage
from curate.catalog.suggestions import nearest
from curate.errors import StepError
from curate.generation.common.derived_rows import hash_of
from curate.rows.languages import UNKNOWN
from curate.steps import Step
from curate.text.templates import UnpairedBraceError, fill, parse

ROLES = ("system", "user", "assistant")
Template = str | tuple[dict[str, str], ...]
"""A prompt in a catalog: a text (one user turn), or a list of turns ``{role: text}``."""
_HOLE = r"\p{L}[\w.-]*"
_NOT_SEEN = regex.compile(r"\p{Cf}")
_OPENS = re.compile("[<＜﹤]")
# What chat templates and tokenisers of common models read as a role change, end of turn or end of text.
_MARKERS = re.compile(
    r"<(?=\|[^<>|\s]{1,60}\|>|\|(?:im_|turn|channel)|｜[^<>｜]{1,60}｜>|/?(?:start|end)_of_turn>|</?SYS>>|/?s>"
    r"|(?:bos|eos|pad|unk|sep|cls)>)"
    r"|\[(?=/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|TOOL_CONTENT|THINK)\])",
    re.IGNORECASE,
)


# ------------------------------------------------------------------------------------------------------------ templates
@dataclass(frozen=True)
class Prompt:
    """A template of turns with placeholders: ((role, text), …)."""

    name: str
    turns: tuple[tuple[str, str], ...]

    @property
    def holes(self) -> frozenset[str]:
        """The names of the placeholders."""
        return frozenset(name for _, text in self.turns for _, name in parse(text, _HOLE) if name)

    @property
    def hash(self) -> str:
        """16 hexadecimal digits of its text, for lineage."""
        return hash_of(self.turns)

    def fill(self, values: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
        """Returns the messages. Turns that are empty once filled are left out (an optional system turn).

        Raises:
            StepError: a placeholder has no value.
        """
        filled = [(role, _fill(self.name, text, values)) for role, text in self.turns]
        return tuple((role, text) for role, text in filled if text.strip())

    def fill_lines(self, values: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
        """Like :meth:`fill`, without the lines that are one placeholder with an empty value."""
        turns = []
        for role, text in self.turns:
            kept = [
                line
                for line in text.split("\n")
                if not (line.startswith("{") and line.endswith("}") and values.get(line[1:-1]) == "")
            ]
            turns.append((role, "\n".join(kept)))
        return Prompt(self.name, tuple(turns)).fill(values)


@dataclass(frozen=True)
class Prompts:
    """One prompt in several languages."""

    name: str
    variants: PerLanguage[Prompt] = field(hash=False)

    def __getitem__(self, language: str) -> Prompt:
        """The prompt for a language, or the default one.

        Raises:
            StepError: there is neither.
        """
        prompt = self.variants[language]
        if prompt is None:
            raise StepError(
                f"prompt '{self.name}' has no text for '{language}' and no default; "
                f"it has {', '.join(self.variants) or 'none'}"
            )
        return prompt

    def __iter__(self) -> Any:
        default = [] if self.variants.default is None else [self.variants.default]
        return iter([*default, *(one for one in self.variants.values.values() if one is not None)])

    @property
    def holes(self) -> frozenset[str]:
        """The placeholders of all variants."""
        return frozenset().union(*(one.holes for one in self))

    @property
    def hash(self) -> str:
        """16 hexadecimal digits of all variants."""
        default = self.variants.default
        return hash_of(
            default and default.turns, [(tag, one and one.turns) for tag, one in self.variants.values.items()]
        )

    @property
    def hashes(self) -> dict[str, str]:
        """The hash of each variant."""
        default = {} if self.variants.default is None else {"default": self.variants.default.hash}
        return {**default, **{tag: one.hash for tag, one in self.variants.values.items() if one is not None}}


def load_prompt(name: str, language: str | None = None) -> Prompt:
    """A prompt of the package by name (``respond/persona``), in the variant for a language if it has variants.

    Raises:
        StepError: there is none of that name.
    """
    return load_prompts(name)[UNKNOWN if language is None else language]


@cache
def load_prompts(name: str) -> Prompts:
    """A prompt of the package in all its variants; a file that is a list of turns has one for all languages.

    Raises:
        StepError: there is none of that name.
    """
    data = load_data(name)
    if not isinstance(data, Mapping):
        return Prompts(name, PerLanguage(own_prompt(name, data)))
    variants = {tag: own_prompt(name, one) for tag, one in data.items()}
    return Prompts(name, PerLanguage(variants.pop("default", None), variants))


@cache
def load_data(name: str) -> Any:
    """The content of a YAML file in ``prompts_data``.

    Raises:
        StepError: there is none of that name.
    """
    path = files("curate.generation.common").joinpath("prompts_data", f"{name}.yaml")
    if not path.is_file():
        raise StepError(f"there is no prompt '{name}'")
    return yaml.safe_load(path.read_text("utf-8"))


def own_prompt(name: str, template: str | Iterable[Mapping[str, Any]]) -> Prompt:
    """A prompt from a text (one user turn) or a list of ``{role: text}`` or ``{role, content}``.

    Line breaks at the end of a turn are dropped: they come from the YAML, not from the author.

    Raises:
        StepError: a role is unknown, or a brace is unpaired; the message shows where.
    """
    turns = [("user", template)] if isinstance(template, str) else [_turn(name, one) for one in template]
    if not turns:
        raise StepError(f"prompt '{name}' has no turns")
    for role, text in turns:
        if role not in ROLES:
            raise StepError(
                f"prompt '{name}': unknown role '{role}'{nearest(role, ROLES)}; there are {', '.join(ROLES)}"
            )
        try:
            parse(text, _HOLE)
        except UnpairedBraceError as error:
            near = text[max(0, error.place - 20) : error.place + 21]
            raise StepError(
                f"prompt '{name}': a single '{error.brace}' near '{near}'; "
                "write {{ and }} for braces, {name} for a value"
            ) from None
    return Prompt(name, tuple((role, text.rstrip("\r\n")) for role, text in turns))


def own_prompts(name: str, templates: PerLanguage[Any]) -> Prompts:
    """The user's own prompt, one for all languages or one for each.

    Raises:
        StepError: as for :func:`own_prompt`, with the language in the name.
    """
    default = None if templates.default is None else own_prompt(name, templates.default)
    variants = {tag: None if one is None else own_prompt(f"{name}.{tag}", one) for tag, one in templates.values.items()}
    return Prompts(name, PerLanguage(default, variants))


def prompt_problems(
    name: str,
    templates: PerLanguage[Any],
    known: Iterable[str],
    prefixes: Iterable[str] = (),
    needed: Sequence[str] = (),
) -> list[str]:
    """Problems with a user's prompt: braces, roles, unknown placeholders, missing placeholders.

    Args:
        known: the placeholders that get a value.
        prefixes: names with these prefixes (``attribute.``) may have a value, depending on the row.
        needed: every variant must have at least one of these.
    """
    try:
        prompts = own_prompts(name, templates)
    except StepError as error:
        return [str(error)]
    known, prefixes = sorted(known), tuple(prefixes)
    listed = ", ".join([*known, *(f"{prefix}…" for prefix in prefixes)])
    problems = []
    for one in prompts:
        problems += [
            f"{one.name}: unknown placeholder '{{{hole}}}'{nearest(hole, known)}; there are {listed}"
            for hole in sorted(one.holes)
            if hole not in known and not hole.startswith(prefixes)
        ]
        if needed and not one.holes & set(needed):
            problems.append(f"{one.name}: it must have {' or '.join(f'{{{hole}}}' for hole in needed)}")
    return problems


def _turn(name: str, one: Mapping[str, Any]) -> tuple[str, str]:
    if set(one) == {"role", "content"}:
        return str(one["role"]), str(one["content"])
    if len(one) != 1:
        raise StepError(f"prompt '{name}': a turn is 'role: text', not {dict(one)!r}")
    role, text = next(iter(one.items()))
    return str(role), str(text)


def _fill(prompt: str, text: str, values: Mapping[str, str]) -> str:
    def value(name: str) -> str:
        if name not in values:
            raise StepError(
                f"prompt '{prompt}': no value for '{{{name}}}'{nearest(name, values)}; there are {', '.join(values)}"
            )
        return values[name]

    return fill(text, value, _HOLE)


# ------------------------------------------------------------------------------------------------------- untrusted text
def fence(text: str, name: str = "text") -> str:
    """Puts the text between ``<name …>`` and ``</name …>`` lines with a name that does not occur in it.

    Role markers in the text are disarmed. The name depends on the text alone: equal texts make equal prompts.
    """
    text = disarm(text)
    # A model also reads a full-width mark, or one with zero-width characters in it, as the mark.
    plain = _NOT_SEEN.sub("", unicodedata.normalize("NFKC", text)) if _OPENS.search(text) else ""
    mark = name
    number = 0
    while _has_mark(text, mark) or _has_mark(plain, mark):
        number += 1
        start = hashlib.blake2b(f"{number}:{text}".encode("utf-8", "surrogatepass"), digest_size=3)
        mark = f"{name}-{start.hexdigest()}"
    return f"<{mark}>\n{text}\n</{mark}>"


def _has_mark(text: str, mark: str) -> bool:
    # Possessive quantifiers: linear, not quadratic, time for a megabyte of whitespace after a '<'.
    return re.search(rf"<\s*+/?\s*+{re.escape(mark)}\b", text, re.IGNORECASE) is not None


def disarm(text: str) -> str:
    """Puts a space into what servers read as role markers (``<|im_start|>``, ``[INST]``, ``</s>`` …).

    A server renders messages into one text and tokenises that; such a marker inside a message would end the turn. Only
    requests are changed; rows keep their text.
    """
    return _MARKERS.sub(lambda match: match[0] + " ", text)


# ------------------------------------------------------------------------------------------------------- language names
@lru_cache(maxsize=4096)
def language_name(tag: str, spoken: Literal["english", "own"] = "english") -> str:
    """The name of a language in English (``Chinese (Traditional)``) or in itself (``Kiswahili``), from CLDR.

    Empty for ``und``; the tag itself if CLDR has no name.
    """
    if tag == UNKNOWN:
        return ""
    import langcodes

    language = langcodes.Language.get(tag)
    name = language.display_name("en") if spoken == "english" else language.autonym()
    return tag if name.startswith("Unknown language") else name


def language_values(tag: str, name: str = "language") -> dict[str, str]:
    """The values of ``{language}``, ``{language_name}`` and ``{language_own_name}``."""
    return {
        name: tag,
        f"{name}_name": language_name(tag) or "an unknown language",
        f"{name}_own_name": language_name(tag, "own"),
    }


# ------------------------------------------------------------------------------------------------------------- identity
class Prompting(Step):
    """A step whose rows depend on prompts of the package: their text is part of its identity."""

    def shipped(self) -> Iterable[str]:
        """The names of the package's prompts and data that these parameters use."""
        return ()

    def identity(self, *, decisions: bool = True) -> dict[str, Any]:
        """The parameters, and the hash of each of the package's prompts in use."""
        parameters = super().identity(decisions=decisions)
        hashes = {name: hash_of(load_data(name)) for name in self.shipped()}
        return {**parameters, "prompts": hashes} if hashes else parameters
