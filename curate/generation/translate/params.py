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
from curate.generation.common.few_shot import Choice
from curate.generation.common.prompts import Prompting, Template, prompt_problems
from curate.generation.common.requests import RETRY
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
    """Changes the JSON schema of a list so that it also accepts a single value."""
    several = {name: schema.pop(name) for name in ("type", "items", "minItems")}
    schema["anyOf"] = [several["items"], several]


class TranslateParams(Prompting, RowStep):
    """Parameters of ``translate``."""

    tag: ClassVar[str] = "translate"
    package_data: ClassVar[tuple[DataFile, ...]] = (ABBREVIATIONS, COMMENTARY, LENGTHS, NUMBER_WORDS)
    version: ClassVar[int] = 5
    batch: ClassVar[int] = 4_096
    summary: ClassVar[str] = "rows translated by a translator or a language model, and checked"

    to: Annotated[tuple[LanguageTag, ...], Field(min_length=1, json_schema_extra=_one_or_several)]
    """The target languages. Rows that are already in a target language are kept and not translated into it."""
    model: Annotated[str, Reference.MODEL, ModelRole.TRANSLATOR, ModelRole.GENERATOR]
    """A translator or a language model."""
    source: LanguageTag | None = None
    """The language of the rows, overriding the language they are labelled with."""
    keep_original: bool = True
    """Whether to keep the original rows beside their translations."""
    fields: tuple[str, ...] | None = None
    """The fields to translate; all by default. With ``[prompt]`` the answers stay in the original language, and so does
    the row's language. For a parallel row, ``source`` (the default) makes the translation the new target; ``target``
    makes the translation the new source and keeps the human-written target (back-translation)."""
    roles: tuple[Role, ...] = _ROLES
    """The roles whose turns are translated, with their reasoning. Turns of the role ``tool`` are not translated unless
    it is named here, and never where they are a JSON object or list; calls of tools and their arguments never are."""
    tool_descriptions: bool = False
    """Also translate what the descriptions of the row's tools and of their parameters say. Names, types and values stay
    as they are."""
    protect: tuple[Protectable, ...] = PROTECTABLE
    """What stays untranslated: ``code`` (blocks), ``inline_code``, ``url`` (and paths), ``email``, ``latex``,
    ``markup`` (tags), ``placeholder`` (``{name}``, ``%s``, ``${x}`` …), ``symbol`` (emoji, operators, ``snake_case``,
    letters of foreign scripts)."""
    unwrap: bool = True
    """Whether a sentence broken over several lines is translated as one and then broken again at about the same
    places."""
    glossary: dict[LanguageTag, dict[str, str]] = {}  # noqa: RUF012 (pydantic copies it)
    """Translations of terms, by target language: ``{pt: {machine learning: aprendizado de máquina}}``."""
    glossary_from: RowsName | None = None
    """Parallel rows used as glossary entries (source and target)."""
    checks: tuple[Check, ...] = CHECKS
    """The checks on each translation: ``text`` (broken characters), ``spans`` (protected spans lost or doubled),
    ``omission``, ``runaway``, ``copy`` (left untranslated), ``numbers``, ``script``, ``language`` (needs ``lid``),
    ``repetition``, ``commentary`` (*Here is the translation*), ``layout`` (lines and list marks; language models only),
    ``glossary`` (language models only), ``brackets`` (unmatched brackets and quotation marks)."""
    min_ratio: PerLanguage[Amount] = PerLanguage(0.5)
    """Minimum length of a translation divided by the usual length for the language pair, by target language. Null: no
    limit."""
    max_ratio: PerLanguage[Annotated[float, Field(gt=0)]] = PerLanguage(2.0)
    """Maximum length of a translation divided by the usual length, by target language."""
    lid: IdentifierName | None = None
    """A language identifier for the check ``language``."""
    retries: Annotated[int, Field(ge=0, le=5)] = 1
    """How often a translation that fails a check is requested again. A language model gets the complaint, then smaller
    pieces; a translator gets a different segmentation, once."""
    back_translation: Literal["none", "score", "column"] = "none"
    """``score`` translates each translation back and compares it with the original (score ``back``); ``column`` also
    keeps it (attribute ``back``)."""
    back_model: Annotated[str, Reference.MODEL, ModelRole.TRANSLATOR, ModelRole.GENERATOR] | None = None
    """The model for back-translation; by default ``model``."""
    back_encoder: EncoderName | None = None
    """An encoder to compare original and back-translation by cosine. By default they are compared by chrF (0 to 1)."""
    sampling: Sampling = Sampling(max_tokens=4096)
    """Sampling parameters of a language model."""
    prompt: PerLanguage[Template] | None = None
    """Your own prompt for a language model, by target language. It must have ``{segments}`` and may have ``{source}``,
    ``{source_name}``, ``{target}``, ``{target_name}``, ``{target_own_name}``, ``{count}``, ``{context}``,
    ``{glossary}``, ``{examples}``, ``{formality}``, ``{instructions}``."""
    instructions: PerLanguage[str] | None = None
    """Additional instructions for a language model, by target language."""
    formality: PerLanguage[Literal["formal", "informal"]] | None = None
    """The form of address a language model uses, by target language."""
    examples: RowsName | None = None
    """Parallel rows that a language model is shown as few-shot examples."""
    examples_count: Annotated[int, Field(ge=1, le=64)] = 3
    """Number of examples."""
    examples_choice: Choice = "nearest"
    """How examples are chosen: the ``nearest`` by shared character n-grams, ``random`` by the seed, or the
    ``first``."""
    examples_pool: Annotated[int, Field(ge=1)] = 2_000
    """Maximum number of candidate examples per language, sampled by the seed."""
    max_chars: Annotated[int, Field(ge=100, le=200_000)] = 3_000
    """Approximate maximum of characters in one request to a language model; longer rows are split over several
    requests."""
    strict: bool = False
    """Whether a language pair that the model does not support stops the build. Otherwise such rows are skipped with a
    warning."""
    max_error_rate: Decision[Annotated[float, Field(ge=0, le=1)]] = 0.05
    """Maximum share of rows that may fail (0 to 1); above it the build stops."""

    @field_validator("to", mode="before")
    @classmethod
    def _several(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @field_validator("to")
    @classmethod
    def _once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) < len(value):
            raise ValueError("a language is listed twice")
        if UNKNOWN in value:
            raise ValueError("'und' is not a language to translate into")
        return value

    @model_validator(mode="after")
    def _fits(self) -> TranslateParams:
        if self.back_translation == "none" and (self.back_model or self.back_encoder):
            raise ValueError(
                "'back_model' and 'back_encoder' are for back-translation: write 'back_translation: score' with them"
            )
        if self.fields is not None and not self.fields:
            raise ValueError("'fields' is empty; leave it out to translate all fields")
        if not self.roles:
            raise ValueError("'roles' is empty")
        if self.lid is not None and "language" not in self.checks:
            raise ValueError("'lid' is used by the check 'language', which is not in 'checks'")
        return self

    def languages_after(self, kind: Kind, languages: frozenset[str] | None) -> frozenset[str] | None:
        if kind is Kind.PARALLEL or (self.keep_original and languages is None):
            return None
        return frozenset(self.to) | (languages or frozenset() if self.keep_original else frozenset())

    def check_models(self, facts: CatalogFacts) -> list[str]:
        """Reports targets that the model cannot translate into; with ``strict``, also single unsupported language
        pairs."""
        problems = super().check_models(facts)
        model = facts.model(self.model)
        unknown = [tag for tag in self.to if model.knows_language(tag) is False]
        if unknown:
            message = f"the model '{self.model}' does not know {', '.join(unknown)}"
            problems += [message] if self.strict else []
            facts.note(f"translate: {message}; it is asked anyway")
        pairs = model.language_pairs()
        row_languages = frozenset({self.source}) if self.source is not None else facts.languages
        if pairs is None or row_languages is None or facts.kind is Kind.PARALLEL:
            return problems
        for target in self.to:
            origins = sorted(tag for tag in row_languages if tag != UNKNOWN and not same_language(tag, target))
            unsupported = [tag for tag in origins if pairs.find(tag, target) is None]
            if not unsupported:
                continue
            message = (
                f"the model '{self.model}' does not translate {', '.join(unsupported)} → {target} "
                f"(it has {pairs.describe()}); {facts.instead(unsupported[0], target)}"
            )
            if self.strict or len(unsupported) == len(origins):
                problems.append(message)
            else:
                facts.note(f"translate: {message}; these rows have no translation into {target}")
        return problems

    def check(self, kind: Kind) -> list[str]:
        problems = wrong_fields(kind, self.fields)
        if self.prompt is not None:
            problems += prompt_problems("prompt", self.prompt, HOLES, needed=["segments"])
        return problems

    def shipped(self) -> Iterable[str]:
        names = [RETRY] if self.retries else []
        return [
            *names,
            *([PROMPT] if self.prompt is None else []),
            *([FORMALITY] if self.formality is not None else []),
        ]
