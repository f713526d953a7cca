"""A rubric is criteria with levels: what an assessment is told, what JSON it must give, and what its numbers mean."""

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
    """One thing that an answer is assessed by."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
    """What its score is called."""
    description: PerLanguage[str]
    """The question it asks, for all languages or for each its own."""
    levels: dict[Annotated[int, Field(ge=-1000, le=1000)], PerLanguage[str]]
    """What each level means, by its number: ``{1: useless, 2: …, 5: excellent}``."""
    weight: Annotated[float, Field(gt=0)] = 1.0
    """How much it counts among several."""

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
        """What it asks, and what each level means, in that language or the default one."""
        lines = [_said(self.description, language)]
        if levels:
            lines += [f"  {number}: {_said(self.levels[number], language)}" for number in self.numbers]
        return "\n".join(lines)


Rubric = tuple[Criterion, ...]


@cache
def shipped_rubric(name: str) -> Rubric:
    """A shipped rubric, in all its languages."""
    given: Mapping[str, Any] = load_data(RUBRICS)[name]
    languages = {tag: one for tag, one in given.items() if tag != "default"}
    default = given["default"]
    levels = {
        number: PerLanguage[str](text, {tag: one["levels"][number] for tag, one in languages.items()})
        for number, text in default["levels"].items()
    }
    description = PerLanguage[str](default["description"], {tag: one["description"] for tag, one in languages.items()})
    return (Criterion(name=name, description=description, levels=levels),)


def rubric_text(rubric: Rubric, language: str, *, levels: bool = True) -> str:
    """All criteria; several with their names."""
    if len(rubric) == 1:
        return rubric[0].text(language, levels=levels)
    return "\n".join(f"{one.name}: {one.text(language, levels=levels)}" for one in rubric)


def part(name: str, language: str, **values: str) -> str:
    """A shipped sentence in a language (see ``judge/parts``), English where it has none."""
    found = _parts()[language]
    assert found is not None
    return own_prompt(f"{PARTS}.{name}", found[name]).fill(values)[0][1]


@cache
def _parts() -> PerLanguage[Mapping[str, str]]:
    given = dict(load_data(PARTS))
    return PerLanguage(given.pop("default"), given)


def spoken_languages() -> tuple[str, ...]:
    """The languages in which the shipped prompts of a judge are written, besides English."""
    return tuple(load_prompts("judge/pairwise").variants)


# --------------------------------------------------------------------------------------------------------------- schemas
def pair_schema(ties: bool, *, reason: bool = True) -> dict[str, Any]:
    """The JSON of a comparison: the reason, if any, first, so that the verdict follows from it."""
    verdict = {"verdict": {"enum": ["A", "B", *(["tie"] if ties else [])]}}
    return _closed({"reason": {"type": "string"}, **verdict} if reason else verdict)


def score_schema(rubric: Sequence[Criterion]) -> dict[str, Any]:
    """The JSON of an assessment: the reason, then one level a criterion."""
    return _closed({"reason": {"type": "string"}, **{one.name: {"enum": list(one.numbers)} for one in rubric}})


def keys(rubric: Sequence[Criterion]) -> str:
    """How the levels are asked for: ``"clarity": 1 | 2 | 3``."""
    return ", ".join(f'"{one.name}": {levels(one)}' for one in rubric)


def levels(one: Criterion) -> str:
    """``1 | 2 | 3``, the same in every language."""
    return " | ".join(map(str, one.numbers))


def _closed(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _said(texts: PerLanguage[str], language: str) -> str:
    found = texts[language]
    if found is None:
        found = texts.default if texts.default is not None else texts["en"]
    if found is None:
        found = next((one for one in texts.values.values() if one is not None), "")
    return found.strip()


ENGLISH = UNKNOWN
"""The tag under which a text is looked up that is to be in English: no variant has it, so the default answers."""
