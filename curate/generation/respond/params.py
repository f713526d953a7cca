"""Parameters of ``respond``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from curate.catalog.params import EncoderName, GeneratorName, LanguageTag, PerLanguage, RowsName
from curate.generation.common import requests as asking
from curate.generation.common.conversations import CHATS
from curate.generation.common.few_shot import Choice
from curate.generation.common.prompts import Prompting, Template, prompt_problems
from curate.generation.common.requests import schema_problems
from curate.rows import Kind
from curate.steps import RowStep
from curate.steps.models import Sampling

ANSWER_IN = "respond/answer_in"
_HOLES = (
    "language",
    "language_name",
    "language_own_name",
    "row_language",
    "row_language_name",
    "row_language_own_name",
)


class RespondParams(Prompting, RowStep):
    """Answers to prompts."""

    tag: ClassVar[str] = "respond"
    version: ClassVar[int] = 2
    kinds: ClassVar[frozenset[Kind]] = CHATS
    batch: ClassVar[int] = 4_096
    summary: ClassVar[str] = "n answers to each prompt, by one language model or several"

    model: GeneratorName | tuple[GeneratorName, ...]
    """Who answers; of several each answers every prompt."""
    n: Annotated[int, Field(ge=1, le=1024)] = 1
    """How many answers each model gives to each prompt."""
    sampling: Sampling = Sampling()
    """How it chooses its words; several answers at temperature 0 would all be the same."""
    language: LanguageTag | tuple[LanguageTag, ...] | None = None
    """Language of the answers, of several one answer in each; that of the row if left out."""
    instruct_language: Literal["auto", "never", "own", "english"] = "auto"
    """Whether the model is told which language to answer in: in that ``own`` language, in ``english``, or ``never``. ``auto``: in its own,
    where it is not the language of the row."""
    instruct_in: Literal["system", "user"] = "system"
    """Where it is told so; some chat templates know no system turn."""
    system: PerLanguage[str] | None = None
    """A system prompt, by the language of the answer; ``{language}``, ``{language_name}``, ``{language_own_name}`` and ``{row_…}`` of them are filled."""
    system_over: bool = False
    """Whether it takes the place of a row's own system turn; if not, it is for rows without one."""
    keep_system: bool = False
    """Whether the made row has as its system turn what the model got as one: that system prompt, or the row's own, and the sentence that
    asks for the language."""
    prompt: PerLanguage[Template] | None = None
    """How the last user turn is put to the model: a text or turns with ``{prompt}`` in it."""
    examples: RowsName | None = None
    """Answered rows from which each prompt gets some to go by, as turns before it."""
    examples_count: Annotated[int, Field(ge=1, le=64)] = 3
    """How many."""
    examples_choice: Choice = "random"
    """Which: ``random`` by the seed, the ``nearest`` (by ``examples_encoder``, else by shared character n-grams), or the ``first``."""
    examples_encoder: EncoderName | None = None
    """An encoder to find the nearest by meaning."""
    examples_language: Literal["answer", "row"] = "answer"
    """Whether they are in the language of the answer or in that of the row."""
    examples_pool: Annotated[int, Field(ge=1)] = 2_000
    """Of at most so many a language is chosen, taken at random by the seed (for ``first``, the first ones)."""
    examples_chars: Annotated[int, Field(ge=1)] = 4_000
    """Longest example, question and answer together, in characters; longer rows are passed over."""
    prefix: PerLanguage[str] | None = None
    """How every answer begins: the model goes on from there."""
    keep_prefix: bool = True
    """Whether that beginning is part of the answer in the row."""
    response_format: dict[str, Any] | None = None
    """A JSON Schema that answers must satisfy; the answer in the row is then that JSON, in one line."""
    reasoning: Literal["drop", "attribute", "inline"] = "drop"
    """What becomes of thoughts before the answer: left out, kept as the attribute ``respond.reasoning``, or put before the answer within tags."""
    reasoning_tags: tuple[str, str] = ("<think>", "</think>")
    """How thoughts begin and end where the server does not tell them apart."""
    on_length: Literal["quarantine", "keep", "drop"] = "quarantine"
    """What becomes of an answer that was cut off at ``sampling.max_tokens``: kept apart as failed, kept as it is, or dropped with a warning only."""
    strip: bool = True
    """Whether blanks around an answer are taken off."""
    logprob: bool = False
    """Whether the mean log-probability of the answer's tokens (natural, ≤ 0) becomes the score ``respond.logprob``."""
    retries: Annotated[int, Field(ge=0, le=5)] = 1
    """How often an answer that cannot be used is asked for again, with the complaint."""
    strict: bool = False
    """Whether a language that a model is not said to know stops the build; if not, it is warned of."""

    @field_validator("model", "language")
    @classmethod
    def _some(cls, value: Any) -> Any:
        if isinstance(value, tuple) and (not value or len(set(value)) < len(value)):
            raise ValueError("a list must have entries, each once")
        return value

    @model_validator(mode="after")
    def _several(self) -> RespondParams:
        if self.n > 1 and self.sampling.temperature == 0:
            raise ValueError(f"{self.n} answers at temperature 0 would all be the same; set sampling.temperature")
        if self.prefix is not None and self.response_format is not None:
            raise ValueError("'prefix' and 'response_format' do not go together: JSON begins as its schema says")
        return self

    @property
    def models(self) -> tuple[str, ...]:
        """The models that answer."""
        return (self.model,) if isinstance(self.model, str) else self.model

    def makes(self, kind: Kind) -> Kind:
        return Kind.SFT

    def shipped(self) -> Iterable[str]:
        names = [asking.RETRY] if self.retries else []
        return names if self.instruct_language == "never" else [*names, ANSWER_IN]

    def languages_after(self, kind: Kind, languages: frozenset[str] | None) -> frozenset[str] | None:
        return (
            languages
            if self.language is None
            else frozenset([self.language] if isinstance(self.language, str) else self.language)
        )

    def check(self, kind: Kind) -> list[str]:
        found = (
            []
            if self.prompt is None
            else prompt_problems("prompt", self.prompt, ("prompt", *_HOLES), needed=["prompt"])
        )
        found += schema_problems("response_format", self.response_format)
        for name, given in (("system", self.system), ("prefix", self.prefix)):
            found += [] if given is None else prompt_problems(name, given, _HOLES)
        if self.examples_encoder is not None and (self.examples is None or self.examples_choice != "nearest"):
            found.append("examples_encoder: it is for 'examples' with 'examples_choice: nearest'")
        return found
