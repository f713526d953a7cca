"""Parameters of ``respond``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from curate.catalog.params import EncoderName, GeneratorName, LanguageTag, PerLanguage, RowsName
from curate.generation.common.conversations import CHATS
from curate.generation.common.few_shot import Choice
from curate.generation.common.prompts import Prompting, Template, prompt_problems
from curate.generation.common.requests import RETRY, schema_problems
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
    """Parameters of ``respond``."""

    tag: ClassVar[str] = "respond"
    version: ClassVar[int] = 3
    kinds: ClassVar[frozenset[Kind]] = CHATS
    batch: ClassVar[int] = 4_096
    summary: ClassVar[str] = "n answers to each prompt by one or several language models"

    model: GeneratorName | tuple[GeneratorName, ...]
    """The model that answers. Of several models, each answers every prompt."""
    n: Annotated[int, Field(ge=1, le=1024)] = 1
    """Number of answers per model and prompt."""
    sampling: Sampling = Sampling()
    """Sampling parameters. Several answers at temperature 0 would all be the same."""
    language: LanguageTag | tuple[LanguageTag, ...] | None = None
    """Language of the answers; several languages give one answer in each. By default the row's language."""
    instruct_language: Literal["auto", "never", "own", "english"] = "auto"
    """Whether to tell the model which language to answer in: in that language (``own``), in ``english``, or ``never``.
    ``auto``: in that language, if it is not the row's language."""
    instruct_in: Literal["system", "user"] = "system"
    """Which turn has that instruction. Some chat templates have no system turn."""
    system: PerLanguage[str] | None = None
    """A system prompt, by the language of the answer. It may have ``{language}``, ``{language_name}``,
    ``{language_own_name}``, and the same of the row's language with ``row_`` before the name."""
    system_over: bool = False
    """Whether it replaces a row's own system turn. By default it is only used for rows without one."""
    keep_system: bool = False
    """Whether the new row keeps the system turn that the model got: that system prompt, or the row's own, with the
    sentence that asks for the language."""
    prompt: PerLanguage[Template] | None = None
    """A template for the last user turn: a text or a list of turns, with ``{prompt}``."""
    examples: RowsName | None = None
    """Answered rows that are shown to the model as few-shot examples, as turns before the prompt."""
    examples_count: Annotated[int, Field(ge=1, le=64)] = 3
    """Number of examples."""
    examples_choice: Choice = "random"
    """How examples are chosen: ``random`` by the seed, the ``nearest`` (by ``examples_encoder``, else by shared
    character n-grams), or the ``first``."""
    examples_encoder: EncoderName | None = None
    """An encoder to find the nearest examples by meaning."""
    examples_language: Literal["answer", "row"] = "answer"
    """Whether examples are in the language of the answer or of the row."""
    examples_pool: Annotated[int, Field(ge=1)] = 2_000
    """Maximum number of candidate examples per language, sampled by the seed (for ``first``, the first ones)."""
    examples_chars: Annotated[int, Field(ge=1)] = 4_000
    """Maximum length of an example (question and answer together) in characters; longer rows are skipped."""
    prefix: PerLanguage[str] | None = None
    """A text that every answer begins with; the model continues it."""
    keep_prefix: bool = True
    """Whether the prefix is part of the answer in the row."""
    response_format: dict[str, Any] | None = None
    """A JSON Schema that answers must satisfy. The answer in the row is then that JSON on one line."""
    reasoning: Literal["drop", "message", "attribute", "inline"] = "drop"
    """Whether reasoning before the answer is dropped, kept as the message's ``reasoning``, as the attribute
    ``respond.reasoning``, or in the text before the answer."""
    reasoning_tags: tuple[str, str] = ("<think>", "</think>")
    """The tags around the reasoning, for servers that do not return it separately."""
    on_length: Literal["quarantine", "keep", "drop"] = "quarantine"
    """What to do with an answer cut off at ``sampling.max_tokens``: quarantine it, keep it, or drop it with a warning
    only. One that was cut off while it calls tools is never kept."""
    strip: bool = True
    """Whether to strip whitespace around an answer."""
    logprob: bool = False
    """Whether to keep the mean natural log-probability of the answer's tokens (≤ 0) as the score
    ``respond.logprob``."""
    top_logprobs: Annotated[int, Field(ge=0, le=100)] = 0
    """Number of most likely tokens to keep for each token of an answer, with their log-probabilities, for distillation:
    the attribute ``respond.logprobs``. Twenty of each token of a 500-token answer are some 170 kB."""
    retries: Annotated[int, Field(ge=0, le=5)] = 1
    """How often an unusable answer is requested again, with the complaint."""
    strict: bool = False
    """Whether a language that is not in a model's ``languages`` stops the build. Otherwise it is a warning."""

    @field_validator("model", "language")
    @classmethod
    def _some(cls, value: Any) -> Any:
        if isinstance(value, tuple) and (not value or len(set(value)) < len(value)):
            raise ValueError("a list must not be empty or name anything twice")
        return value

    def asks_logprobs(self) -> int:
        return max(self.top_logprobs, int(self.logprob))

    @model_validator(mode="after")
    def _several(self) -> RespondParams:
        if self.n > 1 and self.sampling.temperature == 0:
            raise ValueError(f"{self.n} answers at temperature 0 would all be the same; set sampling.temperature")
        if self.prefix is not None and self.response_format is not None:
            raise ValueError("'prefix' and 'response_format' exclude each other: the schema says how the JSON begins")
        return self

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the models that answer."""
        return (self.model,) if isinstance(self.model, str) else self.model

    def makes(self, kind: Kind) -> Kind:
        return Kind.SFT

    def shipped(self) -> Iterable[str]:
        names = [RETRY] if self.retries else []
        return names if self.instruct_language == "never" else [*names, ANSWER_IN]

    def languages_after(self, kind: Kind, languages: frozenset[str] | None) -> frozenset[str] | None:
        if self.language is None:
            return languages
        return frozenset([self.language] if isinstance(self.language, str) else self.language)

    def check(self, kind: Kind) -> list[str]:
        problems = []
        if self.prompt is not None:
            problems += prompt_problems("prompt", self.prompt, ("prompt", *_HOLES), needed=["prompt"])
        problems += schema_problems("response_format", self.response_format)
        for name, template in (("system", self.system), ("prefix", self.prefix)):
            problems += [] if template is None else prompt_problems(name, template, _HOLES)
        if self.examples_encoder is not None and (self.examples is None or self.examples_choice != "nearest"):
            problems.append("examples_encoder: it needs 'examples' and 'examples_choice: nearest'")
        return problems
