"""A prompt is a template filled in one pass: what comes from a row is data inside fences, and can never become template or role.

Templates are data (YAML beside this module, or the user's own text in a catalog) with ``{name}`` as the only syntax
(``{{`` and ``}}`` for braces). A value is put in once and not looked at again, so braces in it mean nothing. A shipped
template counts by its text wherever it is used: its hash is in the lineage of every row and in the identity of the step.
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

ROLES = ("system", "user", "assistant")
Template = str | tuple[dict[str, str], ...]
"""A prompt in a catalog: a text (one user turn), or a list of turns ``{role: text}``."""
_PART = regex.compile(r"\{\{|\}\}|\{(\p{L}[\w.-]*)\}|[{}]")
_NOT_SEEN = regex.compile(r"\p{Cf}")
_OPENS = re.compile("[<＜﹤]")
# What chat templates and tokenisers of common models read as a change of role, a turn's end or the text's end.
_MARKERS = re.compile(
    r"<(?=\|[^<>|\s]{1,60}\|>|\|(?:im_|turn|channel)|｜[^<>｜]{1,60}｜>|/?(?:start|end)_of_turn>|</?SYS>>|/?s>|(?:bos|eos|pad|unk|sep|cls)>)"
    r"|\[(?=/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|TOOL_CONTENT|THINK)\])",
    re.IGNORECASE,
)


# ------------------------------------------------------------------------------------------------------------- templates
@dataclass(frozen=True)
class Prompt:
    """Turns with holes: ((role, text), …)."""

    name: str
    turns: tuple[tuple[str, str], ...]

    @property
    def holes(self) -> frozenset[str]:
        """The names that must be given."""
        return frozenset(name for _, text in self.turns for name in _holes(text))

    @property
    def hash(self) -> str:
        """16 hexadecimal digits of its text, for lineage."""
        return hash_of(self.turns)

    def fill(self, values: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
        """The messages. Turns that are blank once filled are left out (an optional system turn).

        Raises:
            StepError: a hole has no value.
        """
        filled = [(role, _fill(self.name, text, values)) for role, text in self.turns]
        return tuple((role, text) for role, text in filled if text.strip())


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
        found = self.variants[language]
        if found is None:
            raise StepError(
                f"prompt '{self.name}' has no text for '{language}' and no default; "
                f"it has {', '.join(self.variants) or 'none'}"
            )
        return found

    def __iter__(self) -> Any:
        default = [] if self.variants.default is None else [self.variants.default]
        return iter([*default, *(one for one in self.variants.values.values() if one is not None)])

    @property
    def holes(self) -> frozenset[str]:
        """The names that some variant asks for."""
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
    """A shipped prompt, by its name (``respond/persona``), in the variant for a language where it has variants.

    Raises:
        StepError: there is none of that name.
    """
    found = load_prompts(name)
    return found[UNKNOWN if language is None else language]


@cache
def load_prompts(name: str) -> Prompts:
    """A shipped prompt in all its variants; a file that is a list of turns has one for all languages.

    Raises:
        StepError: there is none of that name.
    """
    given = load_data(name)
    if not isinstance(given, Mapping):
        return Prompts(name, PerLanguage(own_prompt(name, given)))
    made = {tag: own_prompt(name, one) for tag, one in given.items()}
    return Prompts(name, PerLanguage(made.pop("default", None), made))


@cache
def load_data(name: str) -> Any:
    """What a YAML file in ``prompts_data`` says.

    Raises:
        StepError: there is none of that name.
    """
    path = files("curate.generation.common").joinpath("prompts_data", f"{name}.yaml")
    if not path.is_file():
        raise StepError(f"no prompt is called '{name}'")
    return yaml.safe_load(path.read_text("utf-8"))


def own_prompt(name: str, given: str | Iterable[Mapping[str, Any]]) -> Prompt:
    """A prompt from a text (one user turn) or a list of ``{role: text}`` or ``{role, content}``.

    Line breaks at the end of a turn are dropped: they come from the YAML, not from the author.

    Raises:
        StepError: a role is unknown, or a brace stands alone; the message shows where.
    """
    turns = [("user", given)] if isinstance(given, str) else [_turn(name, one) for one in given]
    if not turns:
        raise StepError(f"prompt '{name}' has no turns")
    for role, text in turns:
        if role not in ROLES:
            raise StepError(
                f"prompt '{name}': unknown role '{role}'{nearest(role, ROLES)}; there are {', '.join(ROLES)}"
            )
        for match in _PART.finditer(text):
            if match[0] in ("{", "}"):
                raise StepError(
                    f"prompt '{name}': a single '{match[0]}' near '{text[max(0, match.start() - 20) : match.end() + 20]}'; "
                    "write {{ and }} for braces, {name} for a value"
                )
    return Prompt(name, tuple((role, text.rstrip("\r\n")) for role, text in turns))


def own_prompts(name: str, given: PerLanguage[Any]) -> Prompts:
    """The user's own prompt, for all languages or for each its own.

    Raises:
        StepError: as for :func:`own_prompt`, with the language in the name.
    """
    default = None if given.default is None else own_prompt(name, given.default)
    variants = {tag: None if one is None else own_prompt(f"{name}.{tag}", one) for tag, one in given.values.items()}
    return Prompts(name, PerLanguage(default, variants))


def prompt_problems(
    name: str, given: PerLanguage[Any], known: Iterable[str], prefixes: Iterable[str] = (), needed: Sequence[str] = ()
) -> list[str]:
    """What is wrong with a user's prompt: braces, roles, holes that nothing fills, holes that are missing.

    Args:
        known: the names that will be given.
        prefixes: names that begin so (``attribute.``) may be given, which only the row can tell.
        needed: of these, at least one must be asked for in every variant.
    """
    try:
        prompts = own_prompts(name, given)
    except StepError as error:
        return [str(error)]
    known = sorted(known)
    found = []
    for one in prompts:
        found += [
            f"{one.name}: nothing fills '{{{hole}}}'{nearest(hole, known)}; there are {', '.join(known)}"
            + "".join(f", {prefix}…" for prefix in prefixes)
            for hole in sorted(one.holes)
            if hole not in known and not hole.startswith(tuple(prefixes))
        ]
        if needed and not one.holes & set(needed):
            found.append(f"{one.name}: it must ask for {' or '.join(f'{{{hole}}}' for hole in needed)}")
    return found


def _turn(name: str, one: Mapping[str, Any]) -> tuple[str, str]:
    if set(one) == {"role", "content"}:
        return str(one["role"]), str(one["content"])
    if len(one) != 1:
        raise StepError(f"prompt '{name}': a turn is 'role: text', not {dict(one)!r}")
    role, text = next(iter(one.items()))
    return str(role), str(text)


def _holes(text: str) -> list[str]:
    return [match[1] for match in _PART.finditer(text) if match[1]]


def _fill(name: str, text: str, values: Mapping[str, str]) -> str:
    def put(match: regex.Match[str]) -> str:
        if match[1]:
            if match[1] not in values:
                raise StepError(
                    f"prompt '{name}' asks for '{{{match[1]}}}', which nobody gives{nearest(match[1], values)}; "
                    f"there are {', '.join(values)}"
                )
            return values[match[1]]
        return str(match[0][0])

    return _PART.sub(put, text)


# ------------------------------------------------------------------------------------------------------- untrusted text
def fence(text: str, name: str = "text") -> str:
    """The text between ``<name …>`` and ``</name …>`` lines that cannot stand in it, so it cannot end itself.

    Role markers in it are disarmed. The mark depends on the text alone: equal texts make equal prompts.
    """
    text = disarm(text)
    # A model also reads a full-width or zero-width-split mark as the mark.
    plain = _NOT_SEEN.sub("", unicodedata.normalize("NFKC", text)) if _OPENS.search(text) else ""
    mark = name
    number = 0
    while _has_mark(text, mark) or _has_mark(plain, mark):
        number += 1
        start = hashlib.blake2b(f"{number}:{text}".encode("utf-8", "surrogatepass"), digest_size=3)
        mark = f"{name}-{start.hexdigest()}"
    return f"<{mark}>\n{text}\n</{mark}>"


def _has_mark(text: str, mark: str) -> bool:
    # Possessive quantifiers: a megabyte of blanks after a '<' costs a megabyte, not its square.
    return re.search(rf"<\s*+/?\s*+{re.escape(mark)}\b", text, re.IGNORECASE) is not None


def disarm(text: str) -> str:
    """The text with a blank put into what servers read as role markers (``<|im_start|>``, ``[INST]``, ``</s>`` …).

    A server renders messages into one text and cuts that into tokens; such a marker inside a message would end the turn.
    Only what is asked changes: rows keep their text.
    """
    return _MARKERS.sub(lambda match: match[0] + " ", text)


# -------------------------------------------------------------------------------------------------------- language names
@lru_cache(maxsize=4096)
def language_name(tag: str, spoken: Literal["english", "own"] = "english") -> str:
    """What a language is called in English (``Chinese (Traditional)``) or by itself (``Kiswahili``), as CLDR has it.

    Empty for ``und``; the tag itself where CLDR has no name.
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


# --------------------------------------------------------------------------------------------------------------- identity
class Prompting(Step):
    """A step whose rows depend on shipped prompts: their text is part of what it is, so an edited prompt runs again."""

    def shipped(self) -> Iterable[str]:
        """The names of the shipped prompts and data that these parameters use."""
        return ()

    def identity(self, *, decisions: bool = True) -> dict[str, Any]:
        """The parameters, and the hash of each shipped prompt in use."""
        given = super().identity(decisions=decisions)
        used = {name: hash_of(load_data(name)) for name in self.shipped()}
        return {**given, "prompts": used} if used else given
