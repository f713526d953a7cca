"""Rubrics: criteria with levels, their text in the prompt, and the JSON that a judge must answer with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from curate.catalog.params import Params, PerLanguage
from curate.generation.common.prompts import load_data, load_prompts, own_prompt
from curate.rows.languages import UNKNOWN

RUBRICS = "judge/rubrics"
PARTS = "judge/parts"
PROBES = "judge/probes"
Shipped = Literal["auto", "helpfulness", "translation"]


class Criterion(Params):
    """One criterion of a rubric."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
    """The name of its score."""
    description: PerLanguage[str]
    """The question it asks, one for all languages or one for each."""
    levels: dict[Annotated[int, Field(ge=-1000, le=1000)], PerLanguage[str]]
    """The meaning of each level, by its number: ``{1: useless, 2: …, 5: excellent}``."""
    weight: Annotated[float, Field(gt=0)] = 1.0
    """Its weight in the mean over criteria."""

    @model_validator(mode="after")
    def _whole(self) -> Criterion:
        if len(self.levels) < 2:
            raise ValueError(f"'{self.name}': 'levels' needs at least two")
        if self.description.default is None and not self.description.values:
            raise ValueError(f"'{self.name}': 'description' is empty")
        return self

    @property
    def numbers(self) -> tuple[int, ...]:
        """The levels, lowest first."""
        return tuple(sorted(self.levels))

    def text(self, language: str, *, levels: bool = True) -> str:
        """Its question and the meaning of each level, in that language or the default one."""
        lines = [_text(self.description, language)]
        if levels:
            lines += [f"  {number}: {_text(self.levels[number], language)}" for number in self.numbers]
        return "\n".join(lines)


Rubric = tuple[Criterion, ...]


@cache
def shipped_rubric(name: str) -> Rubric:
    """A rubric of the package, in all its languages."""
    variants: Mapping[str, Any] = load_data(RUBRICS)[name]
    languages = {tag: one for tag, one in variants.items() if tag != "default"}
    default = variants["default"]
    levels = {
        number: PerLanguage[str](text, {tag: one["levels"][number] for tag, one in languages.items()})
        for number, text in default["levels"].items()
    }
    description = PerLanguage[str](default["description"], {tag: one["description"] for tag, one in languages.items()})
    return (Criterion(name=name, description=description, levels=levels),)


def rubric_text(rubric: Rubric, language: str, *, levels: bool = True) -> str:
    """All criteria as text; several with their names."""
    if len(rubric) == 1:
        return rubric[0].text(language, levels=levels)
    return "\n".join(f"{one.name}: {one.text(language, levels=levels)}" for one in rubric)


def part(name: str, language: str, **values: str) -> str:
    """A sentence of the package (see ``judge/parts``) in a language, or in English."""
    texts = _parts()[language]
    assert texts is not None
    return own_prompt(f"{PARTS}.{name}", texts[name]).fill(values)[0][1]


@cache
def _parts() -> PerLanguage[Mapping[str, str]]:
    texts = dict(load_data(PARTS))
    return PerLanguage(texts.pop("default"), texts)


def spoken_languages() -> tuple[str, ...]:
    """The languages of the package's judge prompts, besides English."""
    return tuple(load_prompts("judge/pairwise").variants)


# -------------------------------------------------------------------------------------------------------------- schemas
def pair_schema(ties: bool, *, reason: bool = True) -> dict[str, Any]:
    """The JSON schema of a comparison, with the reason first, so that the verdict follows from it."""
    verdict = {"verdict": {"enum": ["A", "B", *(["tie"] if ties else [])]}}
    return _closed({"reason": {"type": "string"}, **verdict} if reason else verdict)


def score_schema(rubric: Sequence[Criterion]) -> dict[str, Any]:
    """The JSON schema of an assessment: the reason, then one level per criterion."""
    return _closed({"reason": {"type": "string"}, **{one.name: {"enum": list(one.numbers)} for one in rubric}})


def keys(rubric: Sequence[Criterion]) -> str:
    """The requested levels: ``"clarity": 1 | 2 | 3``."""
    return ", ".join(f'"{one.name}": {levels(one)}' for one in rubric)


def levels(one: Criterion) -> str:
    """``1 | 2 | 3``, the same in every language."""
    return " | ".join(map(str, one.numbers))


def _closed(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _text(texts: PerLanguage[str], language: str) -> str:
    text = texts[language]
    if text is None:
        text = texts.default if texts.default is not None else texts["en"]
    if text is None:
        text = next((one for one in texts.values.values() if one is not None), "")
    return text.strip()


ENGLISH = UNKNOWN
"""The tag for looking a text up in English: no variant has it, so the default is used."""
