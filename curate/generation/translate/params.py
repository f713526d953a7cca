"""Parameters of ``translate``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from curate.catalog.params import (
    Amount,
    Decision,
    EncoderName,
    IdentifierName,
    LanguageTag,
    PerLanguage,
    Reference,
    RowsName,
)
from curate.catalog.params import Role as ModelRole
from curate.data_files import DataFile
from curate.generation.common import requests as asking
from curate.generation.common.few_shot import Choice
from curate.generation.common.prompts import Prompting, Template, prompt_problems
from curate.generation.translate.checks import CHECKS, Check
from curate.generation.translate.llm import FORMALITY, HOLES, PROMPT
from curate.generation.translate.rows import same_language, wrong_fields
from curate.rows import Kind
from curate.rows.kinds import Role
from curate.rows.languages import UNKNOWN
from curate.steps import CatalogFacts, RowStep
from curate.steps.models import Sampling
from curate.text.boilerplate import COMMENTARY
from curate.text.length_ratio import LENGTHS
from curate.text.numbers import NUMBER_WORDS
from curate.text.placeholders import PROTECTABLE, Protectable
from curate.text.sentences import ABBREVIATIONS

_ROLES: tuple[Role, ...] = ("system", "user", "assistant")


def _one_or_several(schema: dict[str, Any]) -> None:
    """An editor may take one language for a list of one, as the step does."""
    several = {name: schema.pop(name) for name in ("type", "items", "minItems")}
    schema["anyOf"] = [several["items"], several]


class TranslateParams(Prompting, RowStep):
    """Rows in other languages.

    Scores: ``length_ratio`` (letters of the translation over what is usual for the pair; 1 is usual), ``back`` (see
    ``back_translation``). Attributes: ``problem`` (what spoke against a part, mended by a second try or too little to lose the row for), ``same`` (``nothing
    to translate``: numbers, code or the like only), ``fields`` and ``to`` (where only a part of the row was translated),
    ``back`` (the back-translation).
    """

    tag: ClassVar[str] = "translate"
    package_data: ClassVar[tuple[DataFile, ...]] = (ABBREVIATIONS, COMMENTARY, LENGTHS, NUMBER_WORDS)
    version: ClassVar[int] = 3
    batch: ClassVar[int] = 4_096
    summary: ClassVar[str] = "rows in other languages, by a translator or a language model, checked"

    to: Annotated[tuple[LanguageTag, ...], Field(min_length=1, json_schema_extra=_one_or_several)]
    """The languages to translate into. Rows that are in one of them already are passed over for it, and kept."""
    model: Annotated[str, Reference.MODEL, ModelRole.TRANSLATOR, ModelRole.GENERATOR]
    """A translator, or a language model."""
    source: LanguageTag | None = None
    """The language the rows are in, whatever they say."""
    keep_original: bool = True
    """Whether the original rows go on beside their translations."""
    fields: tuple[str, ...] | None = None
    """The fields to translate (``[prompt]`` for answers left in the original language, which the new row is then said to be
    in); all unless given. Of a parallel row: ``source`` (then the translation becomes the target) or ``target`` (then the
    translation becomes the source and the target stays as people wrote it: back-translation); ``source`` unless given."""
    roles: tuple[Role, ...] = _ROLES
    """The turns to translate; what tools say stays as it is."""
    protect: tuple[Protectable, ...] = PROTECTABLE
    """What stays as it is: ``code`` (blocks), ``inline_code``, ``url`` (and paths), ``email``, ``latex``, ``markup`` (tags), ``placeholder``
    (``{name}``, ``%s``, ``${x}`` …), ``symbol`` (emoji, operators, ``snake_case``, letters of foreign scripts)."""
    unwrap: bool = True
    """Whether a sentence that is broken over several lines is translated as one (and broken again about there)."""
    glossary: dict[LanguageTag, dict[str, str]] = {}  # noqa: RUF012 (pydantic copies it)
    """For each target language how terms are to be said: ``{pt: {machine learning: aprendizado de máquina}}``."""
    glossary_from: RowsName | None = None
    """Parallel rows that are such terms, source and target."""
    checks: tuple[Check, ...] = CHECKS
    """What a translation is held to: ``text`` (broken characters), ``spans`` (protected spans lost or doubled), ``omission``, ``runaway``,
    ``copy`` (left untranslated), ``numbers``, ``script``, ``language`` (needs ``lid``), ``repetition``, ``commentary`` (*Here is the translation*),
    ``layout`` (lines and list marks; of language models), ``glossary`` (likewise), ``brackets`` (and quotation marks that do not match)."""
    min_ratio: PerLanguage[Amount] = PerLanguage(0.5)
    """Least length of a translation over what is usual for the pair, by target language. Null: no limit."""
    max_ratio: PerLanguage[Annotated[float, Field(gt=0)]] = PerLanguage(2.0)
    """Greatest length, likewise."""
    lid: IdentifierName | None = None
    """A language identifier, for the check ``language``."""
    retries: Annotated[int, Field(ge=0, le=5)] = 1
    """How often what fails a check is asked again: of a language model with the complaint, then in smaller pieces; of a
    sentence translator in another cut, once."""
    back_translation: Literal["none", "score", "column"] = "none"
    """Whether each translation is translated back and compared with its original (score ``back``), and kept (attribute ``back``)."""
    back_model: Annotated[str, Reference.MODEL, ModelRole.TRANSLATOR, ModelRole.GENERATOR] | None = None
    """Who translates back; the same model unless given."""
    back_encoder: EncoderName | None = None
    """Compare by cosine of this encoder; by chrF (0 to 1) unless given."""
    sampling: Sampling = Sampling(max_tokens=4096)
    """How a language model chooses its words."""
    prompt: PerLanguage[Template] | None = None
    """A prompt of your own for a language model, by target language, with ``{segments}`` and what else it needs of ``{source}``,
    ``{source_name}``, ``{target}``, ``{target_name}``, ``{target_own_name}``, ``{count}``, ``{context}``, ``{glossary}``, ``{examples}``, ``{formality}``, ``{instructions}``."""
    instructions: PerLanguage[str] | None = None
    """More for a language model to heed, by target language."""
    formality: PerLanguage[Literal["formal", "informal"]] | None = None
    """How a language model addresses the reader, by target language."""
    examples: RowsName | None = None
    """Parallel rows from which a language model is shown some to go by."""
    examples_count: Annotated[int, Field(ge=1, le=64)] = 3
    """How many."""
    examples_choice: Choice = "nearest"
    """Which: the ``nearest`` by shared character n-grams, ``random`` by the seed, or the ``first``."""
    examples_pool: Annotated[int, Field(ge=1)] = 2_000
    """Of at most so many a language they are chosen, taken at random by the seed."""
    max_chars: Annotated[int, Field(ge=100, le=200_000)] = 3_000
    """Characters of text in one request to a language model, about; longer rows are asked in several."""
    strict: bool = False
    """Whether a pair of languages that the model does not know stops the build; if not, such rows are left out with a warning."""
    max_error_rate: Decision[Annotated[float, Field(ge=0, le=1)]] = 0.05
    """The share of rows that may fail (0 to 1); above it the build stops."""

    @field_validator("to", mode="before")
    @classmethod
    def _several(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @field_validator("to")
    @classmethod
    def _once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) < len(value):
            raise ValueError("a language is named twice")
        if UNKNOWN in value:
            raise ValueError("'und' is no language to translate into")
        return value

    @model_validator(mode="after")
    def _fits(self) -> TranslateParams:
        if self.back_translation == "none" and (self.back_model or self.back_encoder):
            raise ValueError(
                "'back_model' and 'back_encoder' are for back-translation: write 'back_translation: score' with them"
            )
        if self.fields is not None and not self.fields:
            raise ValueError("'fields' names none; leave it out for all")
        if not self.roles:
            raise ValueError("'roles' names none")
        if self.lid is not None and "language" not in self.checks:
            raise ValueError("'lid' is for the check 'language', which 'checks' leaves out")
        return self

    def languages_after(self, kind: Kind, languages: frozenset[str] | None) -> frozenset[str] | None:
        if kind is Kind.PARALLEL or (self.keep_original and languages is None):
            return None
        return frozenset(self.to) | (languages or frozenset() if self.keep_original else frozenset())

    def check_models(self, facts: CatalogFacts) -> list[str]:
        """A target into which nothing can be translated is a problem, a pair among others that can is one where ``strict``."""
        problems = super().check_models(facts)
        unknown = [tag for tag in self.to if facts.model(self.model).knows_language(tag) is False]
        if unknown:
            said = f"the model '{self.model}' does not know {', '.join(unknown)}"
            problems += [said] if self.strict else []
            facts.note(f"translate: {said}; it is asked all the same")
        pairs = facts.model(self.model).language_pairs()
        given = frozenset({self.source}) if self.source is not None else facts.languages
        if pairs is None or given is None or facts.kind is Kind.PARALLEL:
            return problems
        for target in self.to:
            wanted = sorted(tag for tag in given if tag != UNKNOWN and not same_language(tag, target))
            lacking = [tag for tag in wanted if pairs.find(tag, target) is None]
            if not lacking:
                continue
            said = f"the model '{self.model}' does not translate {', '.join(lacking)} → {target} (it has {pairs.describe()}); {facts.instead(lacking[0], target)}"
            if self.strict or len(lacking) == len(wanted):
                problems.append(said)
            else:
                facts.note(f"translate: {said}; these rows have no translation into {target}")
        return problems

    def check(self, kind: Kind) -> list[str]:
        found = wrong_fields(kind, self.fields)
        if self.prompt is not None:
            found += prompt_problems("prompt", self.prompt, HOLES, needed=["segments"])
        return found

    def shipped(self) -> Iterable[str]:
        names = [asking.RETRY] if self.retries else []
        return [
            *names,
            *([PROMPT] if self.prompt is None else []),
            *([FORMALITY] if self.formality is not None else []),
        ]
